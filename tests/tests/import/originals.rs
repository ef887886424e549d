//! Configurations of `jwt_authn` as people have them: the originals.

use nexus_tests::{
    jwks_server::JwksServer,
    keys::{self, Algorithm, Key},
};
use serde_json::{Value, json};

/// The issuer of most tokens.
pub(crate) const ISSUER: &str = "https://example.com";
/// Another issuer.
pub(crate) const OTHER: &str = "https://other.example.com";

/// The key of [`ISSUER`].
pub(crate) fn key() -> Key {
    keys::rsa().with_kid("key-1")
}

/// The key of [`OTHER`].
pub(crate) fn other_key() -> Key {
    keys::for_algorithm(Algorithm::ES256).with_kid("key-2")
}

/// A key set as a provider has it inline.
pub(crate) fn inline(keys: impl IntoIterator<Item = Value>) -> Value {
    json!({"inline_string": keys::jwks(keys)})
}

/// The provider of [`ISSUER`], with more fields.
fn provider(more: Value) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "local_jwks": inline([key().public_jwk()]),
    });
    merge(&mut provider, more);
    provider
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

fn name(provider: &str) -> Value {
    json!({"provider_name": provider})
}

fn any(requirements: Value) -> Value {
    json!({"requires_any": {"requirements": requirements}})
}

fn everywhere(requires: Value) -> Value {
    json!([{"match": {"prefix": "/"}, "requires": requires}])
}

/// Every original by name, and the key servers that they need.
pub(crate) struct Originals {
    pub(crate) all: Vec<(&'static str, Value)>,
    pub(crate) good: JwksServer,
    pub(crate) failing: JwksServer,
}

impl Originals {
    pub(crate) fn new() -> Self {
        let good = JwksServer::start(keys::jwks([key().public_jwk()]));
        let failing = JwksServer::start("");
        failing.answer(nexus_tests::jwks_server::Answer::status(500));
        let mut all = vec![
            ("single", single()),
            ("several", several()),
            ("allow-missing", bypass("allow_missing")),
            ("allow-missing-or-failed", bypass("allow_missing_or_failed")),
            ("all-of", all_of()),
            ("sources", sources()),
            ("forward", forward()),
            ("claims", claims()),
            ("rules", rules()),
            ("audiences", audiences()),
            ("limits", limits()),
            ("algorithms", algorithms()),
            ("stripped", stripped()),
        ];
        all.push(("remote", remote(&good)));
        all.push(("remote-failing", remote(&failing)));
        Self { all, good, failing }
    }
}

/// One provider, as the documentation of Envoy begins.
fn single() -> Value {
    let fields = json!({
        "audiences": ["orders", "https://api.example.com/"],
        "forward_payload_header": "x-payload",
        "claim_to_headers": [
            {"header_name": "x-sub", "claim_name": "sub"},
            {"header_name": "x-group", "claim_name": "nested.group"},
        ],
    });
    json!({
        "providers": {"main": provider(fields)},
        "rules": everywhere(name("main")),
    })
}

/// Two issuers and a provider for any other.
fn several() -> Value {
    let other = json!({"issuer": OTHER, "localJwks": inline([other_key().public_jwk()])});
    let any_issuer =
        json!({"local_jwks": inline([keys::other_rsa().with_kid("key-3").public_jwk()])});
    json!({
        "providers": {"main": provider(json!({})), "other": other, "rest": any_issuer},
        "rules": [
            {"match": {"prefix": "/three"}, "requires": any(json!([name("main"), name("other"), name("rest")]))},
            {"match": {"prefix": "/"}, "requires": any(json!([name("main"), name("other")]))},
        ],
    })
}

fn bypass(kind: &str) -> Value {
    let fields = json!({"claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}]});
    json!({
        "providers": {"main": provider(fields)},
        "rules": everywhere(any(json!([name("main"), {kind: {}}]))),
    })
}

/// Two tokens in two headers.
fn all_of() -> Value {
    let main = provider(json!({"from_headers": [{"name": "x-user", "value_prefix": "Bearer "}]}));
    let other = json!({
        "issuer": OTHER,
        "local_jwks": inline([other_key().public_jwk()]),
        "from_headers": [{"name": "x-device"}],
    });
    json!({
        "providers": {"user": main, "device": other},
        "rules": everywhere(json!({"requires_all": {"requirements": [name("user"), name("device")]}})),
    })
}

fn sources() -> Value {
    let fields = json!({
        "from_headers": [{"name": "x-jwt"}, {"name": "Authorization", "value_prefix": "Token "}],
        "from_params": ["jwt", "access_token"],
        "from_cookies": ["session"],
    });
    json!({"providers": {"main": provider(fields)}, "rules": everywhere(name("main"))})
}

fn forward() -> Value {
    let fields = json!({
        "forward": true,
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "from_params": ["jwt"],
        "forward_payload_header": "x-payload",
        "pad_forward_payload_header": true,
    });
    json!({"providers": {"main": provider(fields)}, "rules": everywhere(name("main"))})
}

/// Claims of every kind as headers.
fn claims() -> Value {
    let claims = [
        "text",
        "yes",
        "number",
        "negative",
        "fraction",
        "list",
        "object",
        "nested.deep.value",
        "absent",
        "empty",
        "nothing",
    ];
    let headers: Vec<Value> = claims
        .iter()
        .map(|claim| {
            let header = format!("x-{}", claim.replace('.', "-"));
            json!({"header_name": header, "claim_name": claim})
        })
        .collect();
    let fields = json!({"claim_to_headers": headers});
    json!({"providers": {"main": provider(fields)}, "rules": everywhere(name("main"))})
}

/// Rules of every kind; the first that matches decides, and where none does everybody passes.
fn rules() -> Value {
    let main = name("main");
    json!({
        "providers": {"main": provider(json!({}))},
        "requirement_map": {"named": main},
        "bypass_cors_preflight": true,
        "rules": [
            {"match": {"path": "/open"}},
            {"match": {"path": "/exact"}, "requires": main},
            {"match": {"path_separated_prefix": "/below"}, "requires": main},
            {"match": {"prefix": "/Case", "case_sensitive": false}, "requires": main},
            {"match": {"safe_regex": {"regex": "/v[0-9]+/.*"}}, "requirement_name": "named"},
            {"match": {"prefix": "/get", "headers": [{"name": ":method", "exact_match": "GET"}]}, "requires": main},
            {"match": {"prefix": "/get"}},
            {"match": {"prefix": "/env", "headers": [{"name": "x-env", "string_match": {"prefix": "prod"}}]}, "requires": main},
            {"match": {"prefix": "/present", "headers": [{"name": "x-env", "present_match": true}]}, "requires": main},
            {"match": {"prefix": "/query", "query_parameters": [{"name": "v", "string_match": {"exact": "2"}}]}, "requires": main},
            {"match": {"prefix": "/first/inner"}},
            {"match": {"prefix": "/first"}, "requires": main},
            {"match": {"prefix": "/slash/"}, "requires": main},
        ],
    })
}

fn audiences() -> Value {
    let with = |audiences: Value| json!({"provider_and_audiences": {"provider_name": "main", "audiences": audiences}});
    json!({
        "providers": {"main": provider(json!({"audiences": ["orders"]}))},
        "rules": [
            {"match": {"prefix": "/admin"}, "requires": with(json!(["admin"]))},
            {"match": {"prefix": "/url"}, "requires": with(json!(["https://api.example.com"]))},
            {"match": {"prefix": "/"}, "requires": name("main")},
        ],
    })
}

fn limits() -> Value {
    let with = |fields: Value| provider(fields);
    json!({
        "providers": {
            "expires": with(json!({"require_expiration": true})),
            "lifetime": with(json!({"max_lifetime": "600s"})),
            "subject": with(json!({"subjects": {"prefix": "svc-"}})),
            "skew": with(json!({"clock_skew_seconds": 120})),
            "zero": with(json!({"clock_skew_seconds": 0})),
        },
        "rules": [
            {"match": {"prefix": "/expires"}, "requires": name("expires")},
            {"match": {"prefix": "/lifetime"}, "requires": name("lifetime")},
            {"match": {"prefix": "/subject"}, "requires": name("subject")},
            {"match": {"prefix": "/skew"}, "requires": name("skew")},
            {"match": {"prefix": "/"}, "requires": name("zero")},
        ],
    })
}

/// The algorithms that both verify.
pub(crate) const ALGORITHMS: [Algorithm; 13] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::ES512,
    Algorithm::EdDSA,
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
];

fn algorithms() -> Value {
    let keys = ALGORITHMS.iter().map(|algorithm| {
        let key = keys::for_algorithm(*algorithm).with_kid(algorithm.name());
        key.public_jwk_with(&json!({"alg": algorithm.name()}))
    });
    let mut provider = provider(json!({}));
    provider["local_jwks"] = inline(keys);
    json!({"providers": {"main": provider}, "rules": everywhere(name("main"))})
}

fn stripped() -> Value {
    json!({
        "providers": {"main": provider(json!({"audiences": ["orders"]}))},
        "rules": everywhere(name("main")),
        "strip_failure_response": true,
    })
}

fn remote(server: &JwksServer) -> Value {
    let mut provider = provider(json!({}));
    merge(
        &mut provider,
        json!({"remote_jwks": {
            "http_uri": {"uri": server.url(), "cluster": server.authority(), "timeout": "1s"},
            "cache_duration": "300s",
        }}),
    );
    if let Some(fields) = provider.as_object_mut() {
        fields.remove("local_jwks");
    }
    json!({"providers": {"main": provider}, "rules": everywhere(name("main"))})
}
