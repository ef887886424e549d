//! What `compile-policy` writes and the filter reads.
//!
//! A policy is written for people; a configuration is written for the filter: names are resolved to
//! indices, presets and defaults are spelt out, files and PEM are turned into key sets. Whatever the
//! filter would have to refuse was refused when the policy was compiled. The format carries a
//! version, and a filter refuses a version that it does not know.

mod document;
mod possession;
mod replies;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;

pub use document::Document;
pub use possession::{Binding, DEFAULT_DPOP_MAX_AGE_SECS, Possession};

pub use replies::{Redirect, Replies, ReplyFormat, ReplyHeader, StatusReply};

use crate::claim_path::ClaimPath;
use crate::issuer_pattern::IssuerPattern;
use crate::jose::Algorithm;
use crate::json::Value;
use crate::read::{Members, Read, ReadError, Variant, read_object, read_variant, read_word};
use crate::request::{fold_header_name, folds_alike};
use crate::revocation::RevokedBy;
use crate::scalar::Scalar;

/// The version of the format that this build writes and reads.
pub const FORMAT_VERSION: u32 = 3;

/// A whole compiled policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Config {
    /// [`FORMAT_VERSION`] of the compiler.
    pub nexus: u32,
    /// Who issues tokens; referred to by index.
    pub providers: Vec<Provider>,
    /// What is protected, in the order of the policy.
    pub apps: Vec<App>,
    /// What happens to a request that no app matches.
    pub unmatched: Unmatched,
    /// How many tokens that were verified a worker remembers; 0: none.
    #[serde(skip_serializing_if = "is_default_jwt_cache_size")]
    pub jwt_cache_size: u32,
    /// Who checks signatures.
    #[serde(skip_serializing_if = "SignatureVerification::is_default")]
    pub signature_verification: SignatureVerification,
    /// What clients hear of refusals, where the app does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replies: Option<Replies>,
}

impl Read for Config {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        let known = [
            "nexus",
            "providers",
            "apps",
            "unmatched",
            "jwt_cache_size",
            "signature_verification",
            "replies",
        ];
        let members = Members::of(value, &known)?;
        Ok(Self {
            nexus: members.required("nexus")?,
            providers: members.required("providers")?,
            apps: members.required("apps")?,
            unmatched: members.required("unmatched")?,
            jwt_cache_size: members.or("jwt_cache_size", DEFAULT_JWT_CACHE_SIZE)?,
            signature_verification: members
                .or("signature_verification", SignatureVerification::default())?,
            replies: members.or("replies", None)?,
        })
    }
}

/// Who checks signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "policy", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SignatureVerification {
    /// The proxy, where it offers to and is faster, which is found out at start; else the module.
    #[default]
    Auto,
    /// The proxy, wherever it can; where it offers nothing, the module.
    Host,
    /// The module, always.
    Module,
}

read_word!(SignatureVerification { "auto" => Auto, "host" => Host, "module" => Module });

impl SignatureVerification {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde shows the field by reference"
    )]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How many tokens that were verified a worker remembers where the policy does not say.
pub const DEFAULT_JWT_CACHE_SIZE: u32 = 10_000;

/// How many it remembers at most.
pub const MAX_JWT_CACHE_SIZE: u32 = 100_000;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde shows the field by reference"
)]
const fn is_default_jwt_cache_size(size: &u32) -> bool {
    *size == DEFAULT_JWT_CACHE_SIZE
}

/// What happens to a request that no app matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "policy", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// It is answered 404.
    #[default]
    Deny,
    /// It goes through, without any header that an app forwards claims in.
    Allow,
}

read_word!(Unmatched { "deny" => Deny, "allow" => Allow });

/// An issuer of tokens and where its keys are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provider {
    /// Its name in the policy, for logs and explanations.
    pub name: String,
    /// What `iss` has to be, byte for byte. `None` accepts tokens of any issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Instead of `issuer`: `iss` has to be one of these. Not beside `issuer`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<String>,
    /// Instead of `issuer`: what `iss` has to look like. Not beside `issuer` or `issuers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_pattern: Option<IssuerPattern>,
    /// One of these has to match `sub`. Empty: `sub` is not checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<TextMatch>,
    /// The media types that `typ` may name, in full and in lower case. Empty: `typ` is not checked, but for the
    /// profile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_types: Vec<String>,
    /// What else its tokens have to be. Not beside `token_types`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// A token that has this many seconds or more to live is refused, and so is one without `exp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lifetime_secs: Option<u64>,
    /// One of these has to be in `aud`. Empty: `aud` is not checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// The algorithms that may be used, whatever the key would allow. Never empty.
    pub algorithms: Vec<Algorithm>,
    /// Leeway for `exp` and `nbf` in seconds; 0 is none.
    pub clock_skew_secs: u64,
    /// Whether a token without `exp` is refused.
    pub require_expiration: bool,
    /// Where its keys are.
    pub keys: Keys,
    /// What of its tokens is revoked.
    #[serde(skip_serializing_if = "Revocation::is_empty")]
    pub revocation: Revocation,
    /// What it asks of whoever sends its tokens.
    #[serde(skip_serializing_if = "Possession::is_default")]
    pub possession: Possession,
    /// Where its tokens are, what they have to hold, and what the service gets of them.
    #[serde(skip_serializing_if = "Handling::is_default")]
    pub handling: Handling,
}

read_object!(
    Provider { name, algorithms, clock_skew_secs, require_expiration, keys } or default {
        issuer, issuers, issuer_pattern, subjects, token_types, profile, max_lifetime_secs,
        audiences, revocation, possession, handling,
    }
);

/// Where tokens are, what they have to hold, and what the service gets of them. A provider has one, and so
/// has each [`JwtAuth`]; see [`Handling::merged`].
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Handling {
    /// Where tokens may stand, in order. Empty does not say, and means [`TokenSource::bearer`] alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_sources: Vec<TokenSource>,
    /// Claims that the token must have, with a value other than `null`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_claims: Vec<RequiredClaim>,
    /// Scopes that the token must have, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_scopes: Vec<String>,
    /// Scopes of each of which the token must have at least one. None of the lists is empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any_scope: Vec<Vec<String>>,
    /// Claims that are passed on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forward_claims: Vec<ForwardedClaim>,
    /// Whether the service gets the token itself; `None` does not say, and means no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_token: Option<bool>,
    /// Where the whole payload goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_payload: Option<ForwardedPayload>,
    /// Whether the proxy finds its route anew once a token was accepted; `None` does not say, and means no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear_route_cache: Option<bool>,
}

read_object!(
    Handling {} or default {
        token_sources, required_claims, required_scopes, any_scope, forward_claims,
        forward_token, forward_payload, clear_route_cache,
    }
);

impl Handling {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What holds for tokens of a provider, of which `self` is the handling, where a rule says `rule` on top:
    /// what has to hold and what is passed on is added up, the rest is the rule's where it says so.
    pub fn merged(&self, rule: &Self) -> Self {
        let mut merged = self.clone();
        if !rule.token_sources.is_empty() {
            merged.token_sources.clone_from(&rule.token_sources);
        }
        merged
            .required_claims
            .extend_from_slice(&rule.required_claims);
        merged
            .required_scopes
            .extend_from_slice(&rule.required_scopes);
        merged.any_scope.extend_from_slice(&rule.any_scope);
        merged
            .forward_claims
            .extend_from_slice(&rule.forward_claims);
        merged.forward_token = rule.forward_token.or(self.forward_token);
        if let Some(payload) = &rule.forward_payload {
            merged.forward_payload = Some(payload.clone());
        }
        merged.clear_route_cache = rule.clear_route_cache.or(self.clear_route_cache);
        merged
    }
}

/// A form that tokens have to have as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// An OAuth 2.0 access token (RFC 9068).
    Rfc9068,
}

read_word!(Profile { "rfc9068" => Rfc9068 });

/// A claim that a token must have, with a value other than `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RequiredClaim {
    /// Whatever it is.
    Present(ClaimPath),
    /// For which something holds.
    Condition(ClaimCondition),
}

impl RequiredClaim {
    /// Which claim.
    pub const fn claim(&self) -> &ClaimPath {
        match self {
            Self::Present(claim) | Self::Condition(ClaimCondition { claim, .. }) => claim,
        }
    }
}

impl Read for RequiredClaim {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        match value.as_object() {
            None => ClaimPath::read(value).map(Self::Present),
            Some(_) => ClaimCondition::read(value).map(Self::Condition),
        }
    }
}

/// A claim and what it has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClaimCondition {
    /// Which claim.
    pub claim: ClaimPath,
    /// What it has to be.
    pub test: ClaimTest,
}

read_object!(ClaimCondition { claim, test });

/// What a claim has to be. The elements of a claim are those of an array, the words of `scope` and `scp` where they
/// are a string, and of everything else the value itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimTest {
    /// It is this value, and no array.
    Equals(Scalar),
    /// One of its elements is one of these. Never empty.
    OneOf(Vec<Scalar>),
    /// One of its elements is this.
    Contains(Scalar),
    /// One of its elements is a string that matches.
    Matches(TextMatch),
}

read_variant!(
    ClaimTest {
        "equals" => Equals, "one_of" => OneOf, "contains" => Contains,
        "matches" => Matches,
    }
);

/// Where the keys of a provider are: the keys of all these places count, as if they were in one. There is at
/// least one place.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Keys {
    /// Keys that are always there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<FixedKeys>,
    /// Key sets that are fetched. Beside them there is no symmetric key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote: Vec<RemoteKeys>,
    /// The SHA-256 thumbprints (RFC 7638), in base64url, of the keys that count. Empty: all do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pinned: Vec<String>,
}

read_object!(Keys {} or default { fixed, remote, pinned });

/// Keys that are always there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FixedKeys {
    /// A JWK set inside the configuration (from inline keys, a file or PEM).
    Jwks(Document),
    /// The environment variable that holds a shared secret, taken as its bytes are.
    SecretEnv(String),
    /// The environment variable that holds a public key in PEM.
    PublicKeyEnv(String),
}

read_variant!(
    FixedKeys {
        "jwks" => Jwks, "secret_env" => SecretEnv, "public_key_env" => PublicKeyEnv,
    }
);

/// A key set that is fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteKeys {
    /// A JWK set behind a URL.
    Url(Remote),
    /// A JWK set behind a URL that the issuer's metadata document names.
    Discovery(Discovery),
}

read_variant!(RemoteKeys { "url" => Url, "discovery" => Discovery });

/// Something behind a URL, and how to keep it fresh.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Remote {
    /// The URL as the policy has it, for logs.
    pub url: String,
    /// The proxy's cluster that the request is sent to.
    pub cluster: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The `:authority` of the request.
    pub authority: String,
    /// The `:path` of the request, query included.
    pub path: String,
    /// How long an answer may take, in milliseconds; at least 1.
    pub timeout_ms: u64,
    /// How long what was fetched is fresh, in seconds, at least 1. `None`: the environment variable
    /// [`CACHE_TTL_VARIABLE`] says, else [`DEFAULT_CACHE_TTL_SECS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_ttl_secs: Option<u64>,
    /// How long it stays in use behind its freshness while the source fails, in seconds. 0: not at all.
    pub max_stale_secs: u64,
}

read_object!(
    Remote { url, cluster, scheme, authority, path, timeout_ms, max_stale_secs } or default { cache_ttl_secs }
);

/// A JWK set at the place that the metadata document of its issuer names (OpenID Connect Discovery 1.0 §4,
/// RFC 8414 §3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Discovery {
    /// What `issuer` of the document has to be, byte for byte.
    pub issuer: String,
    /// The paths of the document on the first of the hosts; each but the first is tried where the one before
    /// it brings no document. Never empty.
    pub paths: Vec<String>,
    /// The hosts that the keys may be on; the first is the issuer's. Never empty.
    pub hosts: Vec<DiscoveryHost>,
    /// As [`Remote::timeout_ms`], for each of the requests.
    pub timeout_ms: u64,
    /// As [`Remote::cache_ttl_secs`], for the keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_ttl_secs: Option<u64>,
    /// As [`Remote::max_stale_secs`].
    pub max_stale_secs: u64,
}

read_object!(
    Discovery { issuer, paths, hosts, timeout_ms, max_stale_secs } or default { cache_ttl_secs }
);

/// A host that an issuer may have its keys on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DiscoveryHost {
    /// `https`; `http` only for a loopback address.
    pub scheme: String,
    /// Host and port, in lower case.
    pub authority: String,
    /// The proxy's cluster that requests are sent to.
    pub cluster: String,
}

read_object!(DiscoveryHost {
    scheme,
    authority,
    cluster
});

/// What of an issuer's tokens is not accepted although its signature is good.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Revocation {
    /// What the policy itself lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<RevokedEntry>,
    /// A list behind a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
}

read_object!(Revocation {} or default { entries, remote });

impl Revocation {
    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.remote.is_none()
    }
}

/// A token, subject or key that is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevokedEntry {
    /// What the value is.
    pub by: RevokedBy,
    /// The `jti`, `sub` or `kid`, byte for byte.
    pub value: String,
    /// Only tokens issued before this time, in seconds since the epoch, and those that do not say when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_before: Option<u32>,
}

read_object!(RevokedEntry { by, value } or default { issued_before });

/// The environment variable that sets how long fetched keys are fresh where the policy does not say.
pub const CACHE_TTL_VARIABLE: &str = "GATEWAY_JWKS__CACHE_TTL_SECS";

/// How long fetched keys are fresh where nobody says, in seconds.
pub const DEFAULT_CACHE_TTL_SECS: u64 = 300;

/// An app: a part of the URL space and who may use it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct App {
    /// The short name, unique in the policy.
    pub slug: String,
    /// Host patterns: `*`, `*.example.com` or `api.example.com`; lower case, without port. Never empty.
    pub hosts: Vec<String>,
    /// The path prefix in normal form: `/` or `/a/b`, no slash at the end.
    pub path: String,
    /// What holds where no route matches.
    pub auth: Auth,
    /// Whether a CORS preflight passes without a token.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub bypass_cors_preflight: bool,
    /// In which order the routes are asked.
    #[serde(skip_serializing_if = "RouteOrder::is_most_specific")]
    pub route_order: RouteOrder,
    /// Parts of the app with a policy of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// What clients hear of refusals; replaces that of the configuration as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replies: Option<Replies>,
}

read_object!(
    App { slug, hosts, path, auth } or default { bypass_cors_preflight, route_order, routes, replies }
);

/// A part of an app with a policy of its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Route {
    /// The path below the app's, in normal form (`/health`), or a regular expression if `path_kind` says so.
    pub path: String,
    /// How the path of a request is compared with `path`.
    #[serde(skip_serializing_if = "PathKind::is_exact")]
    pub path_kind: PathKind,
    /// The methods of the route, case-sensitive (RFC 9110 §9.1). Empty: every method.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Conditions on headers, all of which have to hold. Names are in lower case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Condition>,
    /// Conditions on parameters of the query, all of which have to hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<Condition>,
    /// What holds here.
    pub auth: Auth,
}

read_object!(Route { path, auth } or default { path_kind, methods, headers, query });

/// How the path of a request, below that of its app, is compared with that of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// It is the same, or the same with a slash at the end.
    #[default]
    Exact,
    /// It is the same or lies below.
    Below,
    /// It begins with the same bytes.
    Prefix,
    /// It matches a regular expression as a whole, with or without the slash at its end.
    Regex,
}

read_word!(PathKind { "exact" => Exact, "below" => Below, "prefix" => Prefix, "regex" => Regex });

impl PathKind {
    fn is_exact(&self) -> bool {
        *self == Self::Exact
    }
}

/// In which order the routes of an app are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "policy", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RouteOrder {
    /// The most specific one decides, wherever it stands.
    #[default]
    MostSpecific,
    /// The first one in the order of the policy decides.
    FirstMatch,
}

read_word!(RouteOrder { "most_specific" => MostSpecific, "first_match" => FirstMatch });

impl RouteOrder {
    fn is_most_specific(&self) -> bool {
        *self == Self::MostSpecific
    }
}

/// A condition on a header or on a parameter of the query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Condition {
    /// Of the header or parameter.
    pub name: String,
    /// What has to be with it.
    pub test: ConditionTest,
}

read_object!(Condition { name, test });

/// What has to be with a header or parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditionTest {
    /// It is there.
    Present,
    /// It is not there.
    Absent,
    /// It is there, and its value fulfils this.
    Matches(TextMatch),
    /// It is there, and its value does not fulfil this.
    Differs(TextMatch),
}

read_variant!(
    ConditionTest { "matches" => Matches, "differs" => Differs } alone { "present" => Present, "absent" => Absent }
);

/// A condition on a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TextMatch {
    /// How the text is compared.
    pub kind: TextMatchKind,
    /// What it is compared with: never empty, at most [`MAX_TEXT_MATCH_BYTES`]; a regular expression
    /// ([`crate::regex`]) if `kind` says so.
    pub text: String,
    /// Whether ASCII letters of both cases are the same.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub ignore_case: bool,
}

read_object!(TextMatch { kind, text } or default { ignore_case });

/// The longest text that a condition compares with, in bytes.
pub const MAX_TEXT_MATCH_BYTES: usize = 1024;

/// How a text is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TextMatchKind {
    /// The whole text.
    Exact,
    /// Its beginning.
    Prefix,
    /// Its end.
    Suffix,
    /// Any part of it.
    Contains,
    /// The whole text with a regular expression.
    Regex,
}

read_word!(
    TextMatchKind {
        "exact" => Exact, "prefix" => Prefix, "suffix" => Suffix, "contains" => Contains,
        "regex" => Regex,
    }
);

/// What a request needs to pass.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Nothing.
    None,
    /// A JWT.
    Jwt(Box<JwtAuth>),
}

read_variant!(Auth { "jwt" => Jwt } alone { "none" => None });

/// Which JWT a request needs, and what is passed on from it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JwtAuth {
    /// Whether requests are denied at all, or only reported.
    #[serde(skip_serializing_if = "Enforcement::is_default")]
    pub enforcement: Enforcement,
    /// What has to be presented.
    pub requirement: Requirement,
    /// What holds beside that of the providers.
    #[serde(skip_serializing_if = "Handling::is_default")]
    pub handling: Handling,
}

read_object!(JwtAuth { requirement } or default { enforcement, handling });

/// What happens to a request that does not fulfil a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// It is denied.
    #[default]
    Deny,
    /// It passes, and is reported.
    Report,
}

read_word!(Enforcement { "deny" => Deny, "report" => Report });

impl Enforcement {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a request has to present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// A token that the provider accepts.
    Provider {
        /// An index into [`Config::providers`].
        index: u32,
        /// Replaces the audiences of the provider where it is not empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        audiences: Vec<String>,
    },
    /// One of these. Never empty.
    AnyOf(Vec<Requirement>),
    /// All of these. Never empty.
    AllOf(Vec<Requirement>),
    /// This, or no token at all in the places where its providers' tokens are.
    AllowMissing(Box<Requirement>),
    /// Fulfilled in any case. A token that nobody accepts counts as none.
    AllowMissingOrFailed(Box<Requirement>),
}

impl Read for Requirement {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        let found = Variant::of(value)?;
        Ok(match found.name {
            "provider" => {
                let members = Members::of(found.content()?, &["index", "audiences"])?;
                Self::Provider {
                    index: members.required("index")?,
                    audiences: members.or("audiences", Vec::new())?,
                }
            }
            "any_of" => Self::AnyOf(Read::read(found.content()?)?),
            "all_of" => Self::AllOf(Read::read(found.content()?)?),
            "allow_missing" => Self::AllowMissing(Read::read(found.content()?)?),
            "allow_missing_or_failed" => Self::AllowMissingOrFailed(Read::read(found.content()?)?),
            _ => {
                let known = [
                    "provider",
                    "any_of",
                    "all_of",
                    "allow_missing",
                    "allow_missing_or_failed",
                ];
                return Err(found.unknown(&known));
            }
        })
    }
}

/// How deep requirements may be nested.
pub const MAX_REQUIREMENT_DEPTH: usize = 17;

/// A place in a request where a token may stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// A header.
    Header(TokenHeader),
    /// The query parameter of this name.
    Query(String),
    /// The cookie of this name.
    Cookie(String),
}

read_variant!(TokenSource { "header" => Header, "query" => Query, "cookie" => Cookie });

/// A header that a token may stand in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TokenHeader {
    /// Its name, lower case.
    pub name: String,
    /// What stands before the token, compared without case. With a space at its end it is a scheme
    /// (RFC 9110 §11.1). Empty: the token is the whole value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

read_object!(TokenHeader { name } or default { prefix });

impl TokenSource {
    /// `Authorization: Bearer` (RFC 6750 §2.1): where a token stands if the policy does not say.
    pub fn bearer() -> Self {
        Self::Header(TokenHeader {
            name: "authorization".into(),
            prefix: "Bearer ".into(),
        })
    }

    /// `Authorization: DPoP` (RFC 9449 §7.1): where a token that is bound to a key stands besides.
    pub fn dpop() -> Self {
        Self::Header(TokenHeader {
            name: "authorization".into(),
            prefix: "DPoP ".into(),
        })
    }

    /// Whether tokens stand there under the scheme `DPoP`.
    pub fn is_dpop(&self) -> bool {
        match self {
            Self::Header(header) => header.prefix.trim_end().eq_ignore_ascii_case("dpop"),
            Self::Query(_) | Self::Cookie(_) => false,
        }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(header) => write!(f, "the header `{}`", header.name),
            Self::Query(name) => write!(f, "the query parameter `{name}`"),
            Self::Cookie(name) => write!(f, "the cookie `{name}`"),
        }
    }
}

/// A claim that is passed on, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForwardedClaim {
    /// The claim.
    pub claim: ClaimPath,
    /// Where it goes.
    pub to: ForwardTarget,
    /// How its value is written.
    #[serde(skip_serializing_if = "ClaimFormat::is_default")]
    pub format: ClaimFormat,
}

read_object!(ForwardedClaim { claim, to } or default { format });

/// Where the payload of a token goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForwardedPayload {
    /// A header gets it in base64url, the filter state as JSON.
    pub to: ForwardTarget,
    /// Whether base64url ends in padding.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub padding: bool,
}

read_object!(ForwardedPayload { to } or default { padding });

/// The longest key of filter state, in bytes.
pub const MAX_FILTER_STATE_KEY_BYTES: usize = 63;

/// Where something verified goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardTarget {
    /// A header for the service, in lower case.
    Header(String),
    /// A key of the proxy's filter state, without Envoy's prefix `wasm.`.
    FilterState(String),
}

read_variant!(ForwardTarget { "header" => Header, "filter_state" => FilterState });

impl ForwardTarget {
    /// Whether services may take the names for each other: whether both are the same when [`folded`](Self::folded).
    pub(crate) fn folds_alike(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header(name), Self::Header(other)) => folds_alike(name.as_bytes(), other),
            (Self::FilterState(key), Self::FilterState(other)) => key == other,
            _ => false,
        }
    }

    /// The same for names that a service may take for each other.
    pub fn folded(&self) -> Self {
        match self {
            Self::Header(name) => {
                let folded = fold_header_name(name);
                Self::Header(folded.into_iter().map(char::from).collect())
            }
            Self::FilterState(key) => Self::FilterState(key.clone()),
        }
    }
}

impl fmt::Display for ForwardTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::FilterState(key) => write!(f, "the filter state `{key}`"),
        }
    }
}

/// How the value of a claim is written into a header or a filter state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "policy", derive(serde::Deserialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClaimFormat {
    /// Strings, numbers and booleans as they are in the token, arrays and objects as JSON. A value with
    /// a control character, or with a space at an end, is refused with 403.
    #[default]
    Text,
    /// The elements of an array, strings, numbers and booleans, with a comma between each two. A value that
    /// is no array counts as the only element. An element that is empty, has a comma or a quotation mark, or
    /// that `text` would refuse is refused with 403.
    Comma,
    /// Arrays and objects as standard base64 (with padding) of their JSON, everything else as `text`: what
    /// Envoy's `claim_to_headers` does.
    Base64,
    /// As `text`, with every byte but letters, digits, `-`, `.`, `_` and `~` percent-encoded, so that nothing in
    /// it has to be refused but its length.
    Percent,
}

read_word!(
    ClaimFormat {
        "text" => Text, "comma" => Comma, "base64" => Base64, "percent" => Percent,
    }
);

impl ClaimFormat {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests;
