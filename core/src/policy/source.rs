//! The policy language: the types of what people write.
//!
//! From these types come the JSON Schema, the reference and the structural check, so the comments below
//! are the reference's text: they speak to the person who writes a policy. Nothing here decides
//! anything; what a field means together with others is said by the compiler beside this module.

mod replies;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::IgnoredAny;

pub use replies::{DEFAULT_REDIRECT_STATUS, Redirect, Replies, StatusReply};

use crate::config::{
    Binding, ClaimFormat, DEFAULT_DPOP_MAX_AGE_SECS, DEFAULT_JWT_CACHE_SIZE, MAX_JWT_CACHE_SIZE,
    MAX_TEXT_MATCH_BYTES, RouteOrder, SignatureVerification, Unmatched,
};
use crate::jose::Algorithm;
use crate::revocation::MAX_ISSUED_BEFORE;

/// Leeway for `exp` and `nbf` where the policy does not say, in seconds: that of Envoy's `jwt_authn`.
pub const DEFAULT_CLOCK_SKEW_SECS: u64 = 60;
/// How long an answer with keys may take where the policy does not say, in milliseconds.
pub const DEFAULT_JWKS_TIMEOUT_MS: u64 = 5_000;
/// How long keys stay in use while their source fails where the policy does not say, in seconds: a day.
pub const DEFAULT_JWKS_MAX_STALE_SECS: u64 = 86_400;
/// How long a revocation list is fresh where the policy does not say, in seconds.
pub const DEFAULT_REVOCATION_CACHE_TTL_SECS: u64 = 300;
/// How long a revocation list stays in use while its source fails where the policy does not say, in seconds: an
/// hour, in which what was revoked meanwhile is still accepted.
pub const DEFAULT_REVOCATION_MAX_STALE_SECS: u64 = 3600;
/// Whether a token without `exp` is refused where the policy does not say.
pub const DEFAULT_REQUIRE_EXPIRATION: bool = true;

/// The longest clock skew that a provider may have, in seconds.
pub const MAX_CLOCK_SKEW_SECS: u64 = 3600;
/// The longest lifetime that a provider may ask of its tokens to stay below, in seconds: a hundred years.
pub const MAX_MAX_LIFETIME_SECS: u64 = 3_153_600_000;
/// The fewest URLs that a list of them has.
pub const MIN_JWKS_URLS: usize = 2;
/// The most URLs that a provider may have its keys at: each is a fetch of its own, and each set is looked into for
/// every token.
pub const MAX_JWKS_URLS: usize = 8;
/// The most keys that a provider may pin. Each key of each set is compared with all of them.
pub const MAX_PINNED_KEYS: usize = 64;
/// The longest time that a proof of possession may be used, in seconds: it is remembered for so long.
pub const MAX_DPOP_MAX_AGE_SECS: u64 = 600;
/// The longest time that an answer with keys may take, in milliseconds.
pub const MAX_JWKS_TIMEOUT_MS: u64 = 60_000;
/// The longest time that fetched keys may count as fresh, in seconds: a day.
pub const MAX_JWKS_CACHE_TTL_SECS: u64 = 86_400;
/// The longest time that keys may stay in use while their source fails, in seconds: thirty days.
pub const MAX_JWKS_MAX_STALE_SECS: u64 = 2_592_000;

/// A Nexus policy: who issues tokens, and which apps need one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The JSON Schema of the document, for editors. Nothing depends on it.
    #[serde(rename = "$schema")]
    pub schema: Option<String>,
    /// Issuers of tokens by name, for apps to refer to. A name consists of letters, digits, `.`, `_`
    /// and `-`, and begins with a letter or digit.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub providers: BTreeMap<String, Provider>,
    /// What is protected. A request belongs to the app whose host matches best (exact host, then the longest
    /// `*.` pattern, then `*`) and whose `gateway_path` is the longest.
    pub apps: Vec<App>,
    /// What happens to a request that no app matches.
    #[serde(default)]
    pub unmatched: Unmatched,
    /// How many verified tokens each worker of the proxy remembers; 0: none. One that comes again under the same rule
    /// costs no signature check then. A token is forgotten with its `exp`, with its key, and when it is revoked. At most
    /// 1 KiB of memory for each, on average; a token of more than 8 KiB, and one of a provider with `mtls_bound` or `dpop`, is
    /// verified each time.
    #[schemars(range(min = 0, max = MAX_JWT_CACHE_SIZE), extend("default" = DEFAULT_JWT_CACHE_SIZE))]
    pub jwt_cache_size: Option<u32>,
    /// Who checks signatures. Both say the same of every token; they differ in speed alone.
    #[serde(default)]
    pub signature_verification: SignatureVerification,
    /// What clients hear of refusals, where an app does not say. Envoy's texts when left out.
    pub replies: Option<Replies>,
}

/// An app: a part of the URL space and who may use it. A document that is a single app is a whole
/// policy too; its `auth` then holds the provider's fields itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The JSON Schema of the document, for editors. Nothing depends on it.
    #[serde(rename = "$schema")]
    pub schema: Option<String>,
    /// What people call it. Nothing depends on it.
    pub name: Option<String>,
    /// The short name in logs, counters and explanations, unique in the policy: lower-case letters,
    /// digits and `-`, beginning with a letter or digit, at most 63 characters.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]*$"), length(min = 1, max = 63))]
    pub slug: String,
    /// The hosts of the app, without port: `api.example.com` is that host, `*.example.com` every host below
    /// `example.com` (not `example.com` itself), `*` every host. Case does not matter.
    #[serde(default = "every_host")]
    #[schemars(length(min = 1))]
    pub hosts: Vec<String>,
    /// The path that the app lies below, matched on segment boundaries: `/my-app` holds `/my-app` and
    /// `/my-app/x`, not `/my-application`. Without query, dot segments, duplicate slashes and needless
    /// percent-encoding; a slash at the end is dropped. `/` is the whole host.
    #[schemars(regex(pattern = "^/"))]
    pub gateway_path: String,
    /// What happens to a request that may pass.
    #[serde(default)]
    #[schemars(extend("default" = "pass_through"))]
    pub routing_mode: RoutingMode,
    /// What holds where no route matches.
    pub default_policy: AccessPolicy,
    /// Whether a CORS preflight passes without a token: `OPTIONS` with one `Origin` and one
    /// `Access-Control-Request-Method`, both not empty. No other request passes by this.
    #[serde(default)]
    pub bypass_cors_preflight: bool,
    /// Paths that everybody may use, written as the `path` of a route is: as routes with `auth_type` `none`, which
    /// is what they become. No route may have the same path. With `route_order` `first_match` they go before
    /// all routes.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub excluded_paths: Vec<String>,
    /// Which of several routes for a request decides.
    #[serde(default)]
    #[schemars(extend("default" = "most_specific"))]
    pub route_order: RouteOrder,
    /// Parts of the app with a policy of their own. The most specific one decides, unless `route_order` says
    /// otherwise: a path without `*` goes before a `path_regex`, that before a path with `*`, and of those the
    /// longer one before the shorter, `/x/*` before `/x*`; for the same path, one with `methods` before one
    /// without, then one with more conditions in `headers`, then one with more in `query`. What is left, and two
    /// expressions in `path_regex`, goes in the order of the list.
    ///
    /// A request that services may read in two ways (dot segments, duplicate slashes, parameters behind `;`,
    /// needless or double percent-encoding, a repeated header or query parameter), for which different
    /// routes would decide, is answered 400.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub routes: Vec<Route>,
    /// What clients hear of refusals in this app; replaces that of the policy as a whole.
    pub replies: Option<Replies>,
}

/// What happens to a request that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoutingMode {
    /// The proxy's own routes say where it goes.
    #[default]
    PassThrough,
}

/// A part of an app with a policy of its own. It has `path` or `path_regex`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A path below the app's `gateway_path`: `/health` is that path alone, with or without a slash at
    /// the end; `/files/*` is `/files` and everything below it; `/v*` is every path that begins with `/v`; `/*` is
    /// the whole app.
    #[schemars(regex(pattern = "^/"))]
    pub path: Option<String>,
    /// A regular expression (as `regex` of a condition) for the whole path below the app's `gateway_path`: decoded,
    /// without dot segments, duplicate slashes and query, beginning with `/`; a slash at the end may be left
    /// out of account.
    #[schemars(length(min = 1, max = MAX_TEXT_MATCH_BYTES))]
    pub path_regex: Option<String>,
    /// The methods of the route, in upper case. Every method when left out; `GET` does not include `HEAD`.
    #[schemars(length(min = 1))]
    pub methods: Option<Vec<String>>,
    /// Conditions on headers. All of them have to hold for a request to belong to the route. Clients write headers
    /// themselves: a condition tells requests apart, it proves nothing.
    #[serde(default)]
    #[schemars(extend("default" = []), length(max = MAX_CONDITIONS))]
    pub headers: Vec<HeaderCondition>,
    /// Conditions on parameters of the query. All of them have to hold for a request to belong to the route.
    #[serde(default)]
    #[schemars(extend("default" = []), length(max = MAX_CONDITIONS))]
    pub query: Vec<QueryCondition>,
    /// What holds here. It replaces the app's `default_policy` as a whole.
    pub policy: AccessPolicy,
}

/// The most conditions on headers, and on parameters of the query, that a route may have.
pub const MAX_CONDITIONS: usize = 16;

/// A condition on a header: its name, and either `present` or one way to compare its value. A header that is not
/// there fulfils no comparison, inverted or not. One that stands several times has to fulfil the condition
/// with each of its values and with all of them joined by commas; where they disagree, and in
/// spellings that services take for the same name (`x_env` for `x-env`), see `routes`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderCondition {
    /// The name of the header. Case does not matter.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Whether the header has to be there (`true`) or must not (`false`), whatever its value.
    pub present: Option<bool>,
    /// Whether the comparison must fail for the condition to hold. The header has to be there all the same.
    #[serde(default)]
    pub invert: bool,
    /// How its value is compared.
    #[serde(flatten)]
    pub text: TextCondition,
}

/// A condition on a parameter of the query: its name, and either `present` or one way to compare its value.
/// A parameter that is not there fulfils no comparison, inverted or not. Names and values are
/// percent-decoded; a space is written `%20`, since services differ about `+`. One that stands several times has
/// to fulfil the condition with each of its values; where they disagree, or services may read the query in
/// another way, see `routes`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryCondition {
    /// The name of the parameter, decoded. Case matters.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Whether the parameter has to be there (`true`) or must not (`false`), whatever its value.
    pub present: Option<bool>,
    /// Whether the comparison must fail for the condition to hold. The parameter has to be there all the same.
    #[serde(default)]
    pub invert: bool,
    /// How its value is compared.
    #[serde(flatten)]
    pub text: TextCondition,
}

/// What a request has to fulfil.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessPolicy {
    /// Who may pass.
    pub auth: Auth,
}

/// How a request is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthType {
    /// By a JWT in `Authorization: Bearer …`.
    Jwt,
    /// Not at all: everybody passes. No other field may stand beside it.
    None,
}

/// Who may pass. The providers are named by `providers` or `requirement`, or the fields of one stand here themselves.
/// Beside `providers` or `requirement`, of a provider's fields, only those may stand that say what is done with a
/// token: `audience` and `audiences`, `token_sources`, `forward_token`, `forward_payload` and `clear_route_cache`, which
/// then replace those of the providers, and `required_claims`, `required_scopes`, `any_scope`, `forward_claims`
/// and `forward_claims_as_headers`, which are added to theirs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// How a request is authenticated.
    pub auth_type: AuthType,
    /// Whether a request without a token is refused. One with a token that fails always is. `false` is the same as
    /// `mode` `allow_missing`, and cannot stand beside `mode`.
    #[schemars(extend("default" = true))]
    pub required: Option<bool>,
    /// What happens to requests without a good token.
    #[schemars(extend("default" = "strict"))]
    pub mode: Option<Mode>,
    /// Names of the policy's `providers`; a token that any of them accepts passes. Every token in a place
    /// where one of them has its tokens has to be accepted by such a provider. The issuer of a token
    /// tells whose it is before any key is tried.
    #[schemars(length(min = 1))]
    pub providers: Option<Vec<String>>,
    /// Instead of `providers`: which of them have to accept, in any combination.
    pub requirement: Option<Requirement>,
    /// The provider, where it is not named by `providers` or `requirement`.
    #[serde(flatten)]
    pub provider: Provider,
}

/// What happens to requests without a good token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are denied.
    Strict,
    /// One without any token passes, without the headers that carry claims. One with a token that fails is denied.
    AllowMissing,
    /// All pass, without the headers that carry claims. A token that fails counts as none, and is removed unless
    /// `forward_token` is set.
    AllowMissingOrFailed,
    /// All pass for whom a rule is found, and what `strict` would have done is told: to the service in the header
    /// `x-nexus-report` (`allow`, or `deny; reason=` and the code), in the log and in the counters
    /// `nexus.would_deny.<code>`. Tokens stay in the request, whatever `forward_token` says, so that what checks them
    /// behind the filter goes on doing so. A request that no rule can be found for is still answered 400 or 404.
    ReportOnly,
}

/// Which providers have to accept: one by its name, or a combination.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Requirement {
    /// the name of a provider
    Name(String),
    /// exactly one of `provider`, `any_of` and `all_of`
    Part(Box<RequirementPart>),
}

/// A part of a requirement. It has exactly one of `provider`, `any_of` and `all_of`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequirementPart {
    /// The name of the provider that has to accept.
    pub provider: Option<String>,
    /// For `provider`: replaces its audiences, and those beside `requirement`.
    #[schemars(length(min = 1))]
    pub audiences: Option<Vec<String>>,
    /// One of these has to be fulfilled.
    #[schemars(length(min = 1))]
    pub any_of: Option<Vec<Requirement>>,
    /// All of these have to be fulfilled, by the same token or by several. Two tokens that say different things
    /// for a header that carries a claim are refused.
    #[schemars(length(min = 1))]
    pub all_of: Option<Vec<Requirement>>,
    /// What also fulfils this part. Left out: nothing.
    pub mode: Option<PartMode>,
}

/// What fulfils a part of a requirement without a good token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartMode {
    /// That there is no token of its providers.
    AllowMissing,
    /// Anything: a token that fails counts as none.
    AllowMissingOrFailed,
}

/// An issuer of tokens and where its keys are. It has one source of keys: `preset`, `jwks_url`, `jwks_urls`, `jwks`,
/// `jwks_file`, `public_key`, `public_key_file`, `jwt_secret_env`, `jwt_public_key_env` or `oidc_discovery`. Beside
/// one whose keys are fetched, `jwks` or `jwks_file` may stand, whose keys are then good in any case.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What the `iss` claim has to be, byte for byte. Without it, `issuers` and `issuer_pattern` any issuer is
    /// accepted, except with a `preset`, which sets it. Of several providers those that name the token's issuer
    /// are asked first, then those whose pattern it fits, then those that take any.
    pub issuer: Option<String>,
    /// Instead of `issuer`: the `iss` claim has to be one of these.
    #[schemars(length(min = 1))]
    pub issuers: Option<Vec<String>>,
    /// Instead of `issuer`: what the `iss` claim has to look like, as in `https://login.example.com/*/v2.0`. Each of
    /// at most 8 `*` stands for 1 to 63 ASCII letters, digits, `-` and `_`, everything else for itself.
    pub issuer_pattern: Option<String>,
    /// Whom tokens may be about: the `sub` claim has to match one of these. A token without `sub` is refused then.
    #[schemars(length(min = 1))]
    pub subjects: Option<Vec<TextMatch>>,
    /// A token that has this much or more time to live, in seconds, is refused, and so is one without `exp`. What
    /// counts is the time from now until `exp`, without leeway.
    #[schemars(range(min = 1, max = MAX_MAX_LIFETIME_SECS))]
    pub max_lifetime_secs: Option<u64>,
    /// The values of the header `typ` that are accepted, as in `JWT`. Case does not matter, and `application/` may be
    /// left out (RFC 7515 §4.1.9). A token without `typ` is refused then. Not checked when left out.
    #[schemars(length(min = 1))]
    pub token_types: Option<Vec<String>>,
    /// A form that tokens have to have as a whole.
    pub profile: Option<Profile>,
    /// What the `aud` claim has to contain. Not checked when left out.
    pub audience: Option<String>,
    /// Instead of `audience`: the `aud` claim has to contain any of these.
    #[schemars(length(min = 1))]
    pub audiences: Option<Vec<String>>,
    /// A known identity provider, which sets `jwks_url` and `issuer`. `auth0` and `okta` need `tenant`, `azure_ad`
    /// needs `tenant` (the tenant's ID), `keycloak` needs `host` and `realm`, `google` needs nothing. An
    /// `issuer` beside it replaces that of the preset.
    pub preset: Option<Preset>,
    /// For `preset`: the tenant, as `<tenant>.auth0.com`, `<tenant>.okta.com` or
    /// `login.microsoftonline.com/<tenant>` have it.
    pub tenant: Option<String>,
    /// For `preset` `keycloak`: its host, with a port if need be.
    pub host: Option<String>,
    /// For `preset` `keycloak`: the realm.
    pub realm: Option<String>,
    /// The URL of a JWK set, absolute, `https` or `http`. The keys are fetched through the proxy and cached.
    pub jwks_url: Option<String>,
    /// Instead of `jwks_url`: 2 to 8 of them, each as that one, as during a move from one identity provider to
    /// another. A token is good if any of them publishes its key: whether the others answer does not matter then.
    #[schemars(length(min = MIN_JWKS_URLS, max = MAX_JWKS_URLS))]
    pub jwks_urls: Option<Vec<String>>,
    /// The proxy's cluster that requests for `jwks_url` are sent to. By default the URL's host and port as they
    /// are written there, in lower case, unless the compiler is told otherwise.
    pub jwks_cluster: Option<String>,
    /// How long an answer from `jwks_url`, or each of `jwks_urls`, may take, in milliseconds.
    #[schemars(range(min = 1, max = MAX_JWKS_TIMEOUT_MS), extend("default" = DEFAULT_JWKS_TIMEOUT_MS))]
    pub jwks_timeout_ms: Option<u64>,
    /// How long keys from `jwks_url` or `jwks_urls` are fresh, in seconds. When left out, the proxy's environment variable
    /// `GATEWAY_JWKS__CACHE_TTL_SECS` says, else `Cache-Control: max-age` of the answer, within 60 and 3600, else 300.
    #[schemars(range(min = 1, max = MAX_JWKS_CACHE_TTL_SECS))]
    pub jwks_cache_ttl_secs: Option<u64>,
    /// How long keys stay in use beyond their freshness while the URL that they are from fails, in seconds; 0 is not
    /// at all.
    #[schemars(range(min = 0, max = MAX_JWKS_MAX_STALE_SECS), extend("default" = DEFAULT_JWKS_MAX_STALE_SECS))]
    pub jwks_max_stale_secs: Option<u64>,
    /// A JWK set (RFC 7517), inline. Beside keys that are fetched, all of its keys have to be public.
    pub jwks: Option<InlineJwks>,
    /// A file with a JWK set, as `jwks`, read when the policy is compiled; relative to the policy's folder.
    pub jwks_file: Option<String>,
    /// A public key in PEM (`-----BEGIN PUBLIC KEY-----`), inline.
    pub public_key: Option<String>,
    /// A file with a public key in PEM, read when the policy is compiled; relative to the policy's folder.
    pub public_key_file: Option<String>,
    /// The environment variable of the proxy that holds a shared secret, for HS256 unless `algorithms` says otherwise.
    #[schemars(regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub jwt_secret_env: Option<String>,
    /// The environment variable of the proxy that holds a public key in PEM.
    #[schemars(regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub jwt_public_key_env: Option<String>,
    /// `true`: the keys are where the issuer says they are. The issuer's metadata is fetched from below `issuer`,
    /// which has to be an `https` URL: from `/.well-known/openid-configuration` behind it (OpenID Connect
    /// Discovery), or else from `/.well-known/oauth-authorization-server` before its path (RFC 8414). Its
    /// `issuer` has to be this one byte for byte, and its `jwks_uri` may be on the issuer's host or on one of
    /// `discovery_hosts`. `jwks_cluster` is then the cluster of the issuer's host; `jwks_timeout_ms` holds for
    /// each of the requests.
    pub oidc_discovery: Option<bool>,
    /// For `oidc_discovery`: the hosts beside the issuer's that its keys may be on, with a port if need be.
    #[schemars(length(min = 1))]
    pub discovery_hosts: Option<Vec<String>>,
    /// The SHA-256 thumbprints (RFC 7638), in base64url, of the keys that are used, at most 64. Every other key,
    /// wherever it comes from, is treated as if it were not there.
    #[schemars(length(min = 1, max = MAX_PINNED_KEYS))]
    pub pinned_keys: Option<Vec<String>>,
    /// Tokens that are refused although they are genuine. For long lists, and for those that change without the
    /// policy, there is `revocation_url`.
    pub revoked: Option<Revoked>,
    /// The URL of a list of what is revoked, absolute, `https` or `http`: JSON in the form of `revoked`, or the
    /// compact form that `nexusctl compile-revocations` writes. It is fetched through the proxy and refreshed as
    /// a JWK set is. Without a list that may be used no token of this provider passes.
    pub revocation_url: Option<String>,
    /// The proxy's cluster that requests for `revocation_url` are sent to; by default as for `jwks_cluster`.
    pub revocation_cluster: Option<String>,
    /// How long an answer from `revocation_url` may take, in milliseconds.
    #[schemars(range(min = 1, max = MAX_JWKS_TIMEOUT_MS), extend("default" = DEFAULT_JWKS_TIMEOUT_MS))]
    pub revocation_timeout_ms: Option<u64>,
    /// How long a list from `revocation_url` is fresh, in seconds: how late a revocation may take effect.
    #[schemars(range(min = 1, max = MAX_JWKS_CACHE_TTL_SECS), extend("default" = DEFAULT_REVOCATION_CACHE_TTL_SECS))]
    pub revocation_cache_ttl_secs: Option<u64>,
    /// How long a list stays in use beyond its freshness while `revocation_url` fails, in seconds; 0 is not at all.
    #[schemars(range(min = 0, max = MAX_JWKS_MAX_STALE_SECS), extend("default" = DEFAULT_REVOCATION_MAX_STALE_SECS))]
    pub revocation_max_stale_secs: Option<u64>,
    /// The signature algorithms that are accepted. When left out: for a JWK set all that its keys may be used with (from
    /// a URL: all but HS256, HS384 and HS512, which never come from a URL); for a PEM key the one of its type
    /// (RSA: RS256, P-256: ES256, P-384: ES384, P-521: ES512, secp256k1: ES256K, Ed25519: EdDSA); for a secret HS256.
    #[schemars(length(min = 1))]
    pub algorithms: Option<Vec<Algorithm>>,
    /// How far clocks may differ when `exp` and `nbf` are checked, in seconds; 0 is no leeway.
    #[schemars(range(min = 0, max = MAX_CLOCK_SKEW_SECS), extend("default" = DEFAULT_CLOCK_SKEW_SECS))]
    pub clock_skew_secs: Option<u64>,
    /// Where a token may stand: by default in `Authorization: Bearer …` alone, and where `dpop` is not `off` in
    /// `Authorization: DPoP …` too. Every token that is found has to be good. What stands twice in one place, or where only some services see it, is answered 400.
    #[schemars(length(min = 1))]
    pub token_sources: Option<Vec<TokenSource>>,
    /// Whether a token without `exp` is refused.
    #[schemars(extend("default" = DEFAULT_REQUIRE_EXPIRATION))]
    pub require_expiration: Option<bool>,
    /// Whether tokens are bound to a client certificate by `x5t#S256` in their claim `cnf` (RFC 8705): the connection
    /// to the proxy has to have that very certificate. A proxy in front that ends TLS keeps the certificate to
    /// itself, and bound tokens are then refused.
    #[schemars(extend("default" = "off"))]
    pub mtls_bound: Option<Binding>,
    /// Whether tokens are bound to a key by `jkt` in their claim `cnf` (RFC 9449): they then come under the scheme
    /// `DPoP` instead of `Bearer`, and with a proof for this very request in the header `DPoP`, which nobody can use
    /// a second time. The service gets that header if it gets the token.
    #[schemars(extend("default" = "off"))]
    pub dpop: Option<Binding>,
    /// How old a proof may be, in seconds. `clock_skew_secs` is added, and a proof may lie that far in the future.
    #[schemars(range(min = 1, max = MAX_DPOP_MAX_AGE_SECS), extend("default" = DEFAULT_DPOP_MAX_AGE_SECS))]
    pub dpop_max_age_secs: Option<u64>,
    /// Claims that the token must have, with a value other than `null`, and what they have to be.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub required_claims: Vec<RequiredClaim>,
    /// Scopes that the token must have, all of them. Scopes are looked for in the claims `scope` and `scp`, each a
    /// string of words with spaces between them, or a list.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub required_scopes: Vec<String>,
    /// Scopes of which the token must have at least one.
    #[schemars(length(min = 1))]
    pub any_scope: Option<Vec<String>>,
    /// Top-level claims that the service gets as headers: claim name to header name. These headers are removed
    /// from every inbound request first, whatever app it is for, in every spelling (case, and anything but a
    /// letter or digit for `-`). A header name consists of letters, digits, `-` and `_`.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub forward_claims_as_headers: BTreeMap<String, String>,
    /// Claims that are passed on, each to the service as a header or to the proxy as filter state. It says more than
    /// `forward_claims_as_headers` and may stand beside it. The headers are removed from every inbound request first, as
    /// those are. A claim that is absent, `null` or empty is not passed on.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub forward_claims: Vec<ForwardedClaim>,
    /// Where the whole payload of the token goes. A header that carries it is removed from every inbound request first.
    pub forward_payload: Option<ForwardedPayload>,
    /// Whether the proxy finds its route anew once a token was accepted, so that routes can be chosen by headers or filter
    /// state that carry claims. Where a forged header was removed from a request it does so in any case. Envoy does so by
    /// itself when a filter changes headers, which no version promises, and never for filter state alone.
    #[schemars(extend("default" = false))]
    pub clear_route_cache: Option<bool>,
    /// Whether the service gets the token itself. Otherwise it is removed from the request once it is verified.
    #[schemars(extend("default" = false))]
    pub forward_token: Option<bool>,
}

/// A place in a request where a token may stand: exactly one of `header`, `query` and `cookie`. What is named
/// is there even if it is empty, and an empty token is no good one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenSource {
    /// A header. It has to stand alone; a second one, in any spelling (case, and anything but a letter or digit
    /// for `-`), or a comma in its value is answered 400. A name consists of letters, digits, `-` and `_`.
    pub header: Option<String>,
    /// For `header`: what stands before the token, compared without case. A space at its end stands for one or
    /// more, which a scheme such as `Bearer ` needs. A value without the prefix is no token. When left out, the
    /// whole value is the token.
    #[schemars(length(min = 1, max = 64))]
    pub prefix: Option<String>,
    /// A query parameter, as `access_token` of RFC 6750 §2.3. Names and values are decoded first. URLs end up in
    /// logs and histories: prefer a header where clients can set one.
    #[schemars(regex(pattern = "^[A-Za-z0-9._~-]+$"), length(min = 1, max = 64))]
    pub query: Option<String>,
    /// A cookie. Browsers send it by themselves, whatever page makes them: the service has to see to it that
    /// changes are asked for by its own pages (`SameSite`, or a token in the form).
    #[schemars(regex(pattern = "^[A-Za-z0-9._~-]+$"), length(min = 1, max = 64))]
    pub cookie: Option<String>,
}

/// What is revoked: tokens by their `jti`, all tokens about a `sub`, all tokens that the key `kid` signed. Values are
/// compared byte for byte.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// Tokens, by their `jti`.
    #[schemars(length(min = 1))]
    pub jti: Option<Vec<String>>,
    /// Subjects, by their `sub`; as an object with a time before which their tokens were issued.
    #[schemars(length(min = 1))]
    pub sub: Option<Vec<RevokedSubject>>,
    /// Keys, by their `kid`; as an object with a time before which tokens were issued.
    #[schemars(length(min = 1))]
    pub kid: Option<Vec<RevokedKey>>,
}

/// A subject whose tokens are refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RevokedSubject {
    /// All of them.
    Any(String),
    /// Those that were issued before some time.
    Earlier(RevokedEarlierSubject),
}

/// A subject whose tokens are refused if they were issued before some time, or do not say when (`iat`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokedEarlierSubject {
    /// The `sub` of the tokens.
    pub sub: String,
    /// Tokens with this `iat` or a later one pass; seconds since 1970. All are refused when left out.
    #[schemars(range(min = 0, max = MAX_ISSUED_BEFORE))]
    pub issued_before: Option<u32>,
}

/// A key whose tokens are refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RevokedKey {
    /// All of them.
    Any(String),
    /// Those that were issued before some time.
    Earlier(RevokedEarlierKey),
}

/// A key whose tokens are refused if they were issued before some time, or do not say when (`iat`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokedEarlierKey {
    /// The `kid` of the tokens' header.
    pub kid: String,
    /// Tokens with this `iat` or a later one pass; seconds since 1970. All are refused when left out.
    #[schemars(range(min = 0, max = MAX_ISSUED_BEFORE))]
    pub issued_before: Option<u32>,
}

/// A known identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Preset {
    /// Auth0: needs `tenant`.
    #[serde(rename = "auth0")]
    Auth0,
    /// Keycloak 17 or later: needs `host` and `realm`.
    #[serde(rename = "keycloak")]
    Keycloak,
    /// Okta with its authorization server `default`: needs `tenant`.
    #[serde(rename = "okta")]
    Okta,
    /// Azure AD (Microsoft Entra ID), tokens of version 2.0: needs `tenant`.
    #[serde(rename = "azure_ad")]
    AzureAd,
    /// Google: needs nothing.
    #[serde(rename = "google")]
    Google,
}

/// A condition on a text: a string is compared with the whole text, an object says how to compare.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TextMatch {
    /// The whole text, byte for byte.
    Exact(String),
    /// Says how to compare.
    Condition(TextCondition),
}

/// How a text is compared: in exactly one way of `exact`, `prefix`, `suffix`, `contains` and `regex`, each with
/// at most 1024 bytes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextCondition {
    /// The text is this.
    #[schemars(length(min = 1, max = MAX_TEXT_MATCH_BYTES))]
    pub exact: Option<String>,
    /// The text begins with this.
    #[schemars(length(min = 1, max = MAX_TEXT_MATCH_BYTES))]
    pub prefix: Option<String>,
    /// The text ends in this.
    #[schemars(length(min = 1, max = MAX_TEXT_MATCH_BYTES))]
    pub suffix: Option<String>,
    /// The text has this in it.
    #[schemars(length(min = 1, max = MAX_TEXT_MATCH_BYTES))]
    pub contains: Option<String>,
    /// The whole text matches this regular expression. The syntax is that of RE2 without classes of Unicode
    /// (`\pL`), `\C` and octal escapes; `\d`, `\s`, `\w` and `(?i)` are about ASCII. Groups are nested at most
    /// 32 deep, and the expression may become at most 512 instructions. A text that is not UTF-8 never matches.
    #[schemars(length(min = 1, max = MAX_TEXT_MATCH_BYTES))]
    pub regex: Option<String>,
    /// Whether ASCII letters of both cases are the same.
    #[serde(default)]
    pub ignore_case: bool,
}

/// A form that tokens have to have as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Profile {
    /// A JWT access token (RFC 9068): `typ` is `at+jwt`; `iss`, `exp`, `aud`, `sub`, `client_id`, `iat` and `jti`
    /// are there. Needs an issuer and an audience.
    #[serde(rename = "rfc9068")]
    Rfc9068,
}

/// A claim that a token must have, with a value other than `null`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RequiredClaim {
    /// the name of a top-level claim, dots, slashes and all, that may be anything
    Name(String),
    /// a claim and what it has to be
    Condition(Box<ClaimCondition>),
}

/// A claim and what it has to be: at most one of `equals`, `one_of`, `contains` and `matches`. Numbers are
/// compared by their value, exactly: 1 is 1.0, and not `"1"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimCondition {
    /// Which claim.
    pub claim: ClaimPath,
    /// It is this value. A list never is.
    pub equals: Option<Scalar>,
    /// It is one of these values, or a list with one of them in it. `scope` and `scp` as a string count as the list
    /// of their words.
    #[schemars(length(min = 1))]
    pub one_of: Option<Vec<Scalar>>,
    /// It is a list with this value in it, or this value alone: a string is never searched for a part. `scope` and
    /// `scp` as a string count as the list of their words.
    pub contains: Option<Scalar>,
    /// It is a string that matches, or a list with one in it. `scope` and `scp` as a string count as the list
    /// of their words.
    pub matches: Option<TextMatch>,
}

/// A value that a claim is compared with.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// compared byte for byte
    Text(String),
    /// compared by its value
    Number(f64),
    /// compared as it is
    Truth(bool),
}

/// A claim of a token: the name of a top-level claim, or a list of names that leads to a claim inside of another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ClaimPath {
    /// the top-level claim of exactly that name, dots, slashes and all
    Name(String),
    /// the name of a top-level claim, then that of a member of it, and so on: `["realm_access", "roles"]`
    Path(#[schemars(length(min = 1))] Vec<String>),
}

/// A claim that is passed on: exactly one of `header` and `filter_state` says where to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardedClaim {
    /// The claim that is passed on; it may go to several places, by an entry for each.
    pub claim: ClaimPath,
    /// The header for the service: letters, digits, `-` and `_`.
    pub header: Option<String>,
    /// The key of the proxy's filter state, where later filters and access logs find the text of the claim: in Envoy as
    /// `wasm.` and this key, such as `%FILTER_STATE(wasm.user:PLAIN)%` in an access log or `filter_state["wasm.user"]`
    /// in a CEL expression. Letters, digits, `.`, `-` and `_`, at most 63.
    pub filter_state: Option<String>,
    /// How the value is written. In no format may the text be longer than 8 KiB; a token with such a claim is refused
    /// with 403.
    #[serde(default)]
    #[schemars(extend("default" = "text"))]
    pub format: ClaimFormat,
}

/// Where the payload of a token goes: exactly one of `header` and `filter_state`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardedPayload {
    /// The header for the service, which gets the payload in base64url, as it stands in the token.
    pub header: Option<String>,
    /// The key of the proxy's filter state, which gets the payload as JSON text without white space.
    pub filter_state: Option<String>,
    /// For `header`: whether base64url ends in `=` where its length is no multiple of four.
    #[schemars(extend("default" = false))]
    pub padding: Option<bool>,
}

/// A JWK set inside a policy. Its content is read by the reader of key sets, not by serde.
#[derive(Debug, Clone)]
pub struct InlineJwks;

impl<'de> Deserialize<'de> for InlineJwks {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for InlineJwks {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "InlineJwks".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "required": ["keys"] })
    }
}

fn every_host() -> Vec<String> {
    Vec::from([String::from("*")])
}
