//! What the tests of the filter share: an issuer, how a denial looks, and how to tell that the filter's
//! VM has come to no harm.

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
};

use nexus_tests::{
    client::Client,
    envoy::{self, Config, Envoy, Stats},
    http::{Request, Response},
    keys::{self, Algorithm, Key},
    nexusctl,
    tokens::Token,
    upstream::Upstream,
};
use serde_json::{Value, json};

/// The issuer that the policies here trust.
pub(crate) const ISSUER: &str = "https://idp.example.com";

/// What a client hears of a denial.
pub(crate) struct Answer {
    /// The stable code, in the counter and in the response-code details.
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) body: &'static str,
    /// `www-authenticate`.
    pub(crate) challenge: Option<&'static str>,
}

const BEARER: Option<&str> = Some("Bearer");
const INVALID_REQUEST: Option<&str> = Some("Bearer error=\"invalid_request\"");
const INVALID_TOKEN: Option<&str> = Some("Bearer error=\"invalid_token\"");
const INSUFFICIENT_SCOPE: Option<&str> = Some("Bearer error=\"insufficient_scope\"");

macro_rules! answers {
    ($( $code:literal $status:literal $challenge:expr, $body:literal; )*) => {
        &[$( Answer { code: $code, status: $status, body: $body, challenge: $challenge }, )*]
    };
}

/// Every denial that there is. It is written out here, and not taken from the engine, because clients
/// depend on it: a change there has to be one here.
pub(crate) const ANSWERS: &[Answer] = answers! {
    "request_malformed" 400 None, "Bad Request";
    "path_ambiguous" 400 None, "Bad Request";
    "no_app_matched" 404 None, "Not Found";
    "token_missing" 401 BEARER, "Jwt is missing";
    "token_repeated" 400 INVALID_REQUEST, "Found multiple Jwt tokens";
    "token_malformed" 401 INVALID_TOKEN,
        "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
    "token_header_base64" 401 INVALID_TOKEN, "Jwt header is an invalid Base64url encoded";
    "token_header_json" 401 INVALID_TOKEN, "Jwt header is an invalid JSON";
    "token_alg_invalid" 401 INVALID_TOKEN, "Jwt header [alg] field is required and must be a string";
    "token_alg_unsupported" 401 INVALID_TOKEN, "Jwt header [alg] is not supported";
    "token_alg_not_allowed" 401 INVALID_TOKEN, "Jwt header [alg] is not supported";
    "token_kid_invalid" 401 INVALID_TOKEN, "Jwt header [kid] field is not a string";
    "token_crit_unsupported" 401 INVALID_TOKEN, "Jwt verification fails";
    "token_payload_base64" 401 INVALID_TOKEN, "Jwt payload is an invalid Base64url encoded";
    "token_payload_json" 401 INVALID_TOKEN, "Jwt payload is an invalid JSON";
    "token_iss_invalid" 401 INVALID_TOKEN, "Jwt payload [iss] field is not a string";
    "token_sub_invalid" 401 INVALID_TOKEN, "Jwt payload [sub] field is not a string";
    "token_jti_invalid" 401 INVALID_TOKEN, "Jwt payload [jti] field is not a string";
    "token_aud_invalid" 401 INVALID_TOKEN, "Jwt payload [aud] field is not a string or string list";
    "token_exp_not_number" 401 INVALID_TOKEN, "Jwt payload [exp] field is not an integer";
    "token_exp_negative" 401 INVALID_TOKEN, "Jwt payload [exp] field is not a positive 64 bit integer";
    "token_nbf_not_number" 401 INVALID_TOKEN, "Jwt payload [nbf] field is not an integer";
    "token_nbf_negative" 401 INVALID_TOKEN, "Jwt payload [nbf] field is not a positive 64 bit integer";
    "token_iat_not_number" 401 INVALID_TOKEN, "Jwt payload [iat] field is not an integer";
    "token_iat_negative" 401 INVALID_TOKEN, "Jwt payload [iat] field is not a positive 64 bit integer";
    "token_signature_base64" 401 INVALID_TOKEN, "Jwt signature is an invalid Base64url encoded";
    "token_signature_length" 401 INVALID_TOKEN, "Jwt ED25519 signature is wrong length";
    "token_issuer_unknown" 401 INVALID_TOKEN, "Jwt issuer is not configured";
    "token_expired" 401 INVALID_TOKEN, "Jwt is expired";
    "token_not_yet_valid" 401 INVALID_TOKEN, "Jwt not yet valid";
    "token_exp_missing" 401 INVALID_TOKEN, "Jwt verification fails";
    "signature_invalid" 401 INVALID_TOKEN, "Jwt verification fails";
    "key_not_found" 401 INVALID_TOKEN, "Jwks doesn't have key to match kid or alg from Jwt";
    "jwks_unusable" 401 BEARER, "Jwks doesn't have any valid public key";
    "jwks_unavailable" 401 BEARER, "Jwks remote fetch is failed";
    "waiting_limit" 503 None, "Service Unavailable";
    "token_revoked" 401 INVALID_TOKEN, "Jwt verification fails";
    "revocations_unavailable" 503 None, "Service Unavailable";
    "audience_not_allowed" 403 INVALID_TOKEN, "Audiences in Jwt are not allowed";
    "claim_missing" 403 INSUFFICIENT_SCOPE, "Required claim is missing in Jwt";
    "claim_not_forwardable" 403 INSUFFICIENT_SCOPE, "Jwt claim cannot be forwarded";
    "condition_ambiguous" 400 None, "Bad Request";
    "token_cnf_invalid" 401 INVALID_TOKEN, "Jwt is not bound to its sender";
    "certificate_binding_missing" 401 INVALID_TOKEN, "Jwt is not bound to its sender";
    "certificate_missing" 401 INVALID_TOKEN, "Jwt is not bound to its sender";
    "certificate_mismatch" 401 INVALID_TOKEN, "Jwt is not bound to its sender";
    "dpop_binding_missing" 401 Some("DPoP error=\"invalid_token\""), "Jwt is not bound to its sender";
    "dpop_scheme_missing" 401 Some("DPoP error=\"invalid_token\""), "Jwt is not bound to its sender";
    "dpop_proof_missing" 401 Some("DPoP error=\"invalid_dpop_proof\""), "DPoP proof is missing";
    "dpop_proof_repeated" 401 Some("DPoP error=\"invalid_dpop_proof\""), "DPoP proof is invalid";
    "dpop_proof_malformed" 401 Some("DPoP error=\"invalid_dpop_proof\""), "DPoP proof is invalid";
    "dpop_key_unusable" 401 Some("DPoP error=\"invalid_dpop_proof\""), "DPoP proof is invalid";
    "dpop_request_mismatch" 401 Some("DPoP error=\"invalid_dpop_proof\""), "DPoP proof is invalid";
    "dpop_token_mismatch" 401 Some("DPoP error=\"invalid_dpop_proof\""), "DPoP proof is invalid";
    "dpop_key_mismatch" 401 Some("DPoP error=\"invalid_dpop_proof\""), "DPoP proof is invalid";
    "dpop_proof_expired" 401 Some("DPoP error=\"invalid_dpop_proof\""), "DPoP proof is invalid";
    "dpop_signature_invalid" 401 Some("DPoP error=\"invalid_dpop_proof\""), "DPoP proof is invalid";
    "dpop_proof_replayed" 401 Some("DPoP error=\"invalid_dpop_proof\""), "DPoP proof is invalid";
    "dpop_memory_unavailable" 503 None, "Service Unavailable";
    "token_type_not_allowed" 401 INVALID_TOKEN, "Jwt verification fails";
    "token_profile_claim_missing" 401 INVALID_TOKEN, "Jwt verification fails";
    "token_lifetime_too_long" 401 INVALID_TOKEN, "Jwt verification fails";
    "subject_not_allowed" 401 INVALID_TOKEN, "Jwt verification fails";
    "claim_not_allowed" 403 INSUFFICIENT_SCOPE, "Required claim has no allowed value in Jwt";
    "scope_missing" 403 INSUFFICIENT_SCOPE, "Required scope is missing in Jwt";
    "not_configured" 503 None, "Service Unavailable";
    "internal" 500 None, "Internal Server Error";
};

/// The answer with this code.
pub(crate) fn answer(code: &str) -> &'static Answer {
    ANSWERS
        .iter()
        .find(|answer| answer.code == code)
        .unwrap_or_else(|| panic!("no denial is called `{code}`"))
}

/// Checks that a response is this denial and nothing more.
pub(crate) fn assert_denied(response: &Response, code: &str, note: &str) {
    let Answer {
        status,
        body,
        challenge,
        ..
    } = answer(code);
    assert_eq!(
        (response.status, response.text().as_str()),
        (*status, *body),
        "{note}"
    );
    let challenges: Vec<_> = challenge.iter().map(|text| text.as_bytes()).collect();
    assert_eq!(
        response.headers.all("www-authenticate"),
        challenges,
        "{note}"
    );
}

/// The key that signs for [`ISSUER`].
pub(crate) fn key() -> Key {
    keys::rsa().with_kid("key-1")
}

/// A token of [`ISSUER`] that is as good as can be.
pub(crate) fn token() -> Token {
    Token::new(ISSUER).audience("orders")
}

/// [`token`], signed.
pub(crate) fn good_token() -> String {
    token().sign(&key(), Algorithm::RS256)
}

/// The provider of [`ISSUER`], with its key inline.
pub(crate) fn inline_provider() -> Value {
    let jwks: Value = serde_json::from_str(&keys::jwks([key().public_jwk()])).expect("JSON");
    json!({"issuer": ISSUER, "audience": "orders", "jwks": jwks})
}

/// Compiles a policy.
pub(crate) fn compiled(policy: &Value) -> String {
    nexusctl::compile_policy(&policy.to_string())
}

/// A configuration with the filter and this policy.
pub(crate) fn with_policy(upstream: std::net::SocketAddr, policy: &Value) -> Config {
    Config::new(upstream).filter(compiled(policy))
}

/// What must not change while no VM fails: how many were made, and what the log says of failures.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Health {
    vms_created: u64,
    vms_active: u64,
    failures: Vec<String>,
}

impl Health {
    /// The health of a running Envoy.
    pub(crate) fn of(envoy: &Envoy) -> Self {
        let stats = envoy.stats();
        // What the host of a VM says when one traps, and what Envoy says when it cannot have one.
        let signs = ["failed: Uncaught", "[critical]"];
        let failures = envoy
            .log()
            .lines()
            .filter(|line| signs.iter().any(|sign| line.contains(sign)))
            .map(str::to_owned)
            .collect();
        Self {
            vms_created: stats.value("wasm.envoy.wasm.runtime.v8.created"),
            vms_active: stats.value("wasm.envoy.wasm.runtime.v8.active"),
            failures,
        }
    }

    /// Checks that Envoy runs and that its VMs are those that it started with.
    pub(crate) fn assert_unharmed(&self, envoy: &mut Envoy) {
        assert!(envoy.is_alive());
        let now = Self::of(envoy);
        assert!(now.failures.is_empty(), "{now:#?}");
        assert_eq!(&now, self);
        assert!(now.vms_active > 0, "the statistics of VMs are there");
    }
}

/// Checks that a good request passes.
pub(crate) fn assert_passes(client: &mut Client, request: &Request, note: &str) {
    let response = client.send(request);
    assert_eq!(response.status, 200, "{note}: {}", response.text());
    response.seen();
}

/// How many fetches of keys succeeded or failed, by outcome.
pub(crate) fn fetches(stats: &Stats, outcome: &str) -> u64 {
    stats.value(&format!("wasmcustom.nexus.jwks_fetch.{outcome}"))
}

/// A failure of a VM is seen: [`Health`] would be worth nothing otherwise.
#[test]
fn a_vm_that_traps_is_told_from_one_that_does_not() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = folder.path().join("trap.wasm");
    fs::write(&module, module_that_traps_on_request_headers()).expect("writing the module");
    let config = Config::new(upstream.addr()).filter("{}").module(module);
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        assert_eq!(health.failures, [""; 0]);
        let response = envoy.client().send(&Request::get("/"));
        assert_eq!(response.status, 503, "{}", response.text());
        let unharmed = panic::catch_unwind(AssertUnwindSafe(|| health.assert_unharmed(&mut envoy)));
        assert!(unharmed.is_err());
        assert_eq!(Health::of(&envoy).failures.len(), 1);
    });
}

/// The least that Envoy takes for a filter: its one callback about requests is `unreachable`.
fn module_that_traps_on_request_headers() -> Vec<u8> {
    const I32: u8 = 0x7F;
    let string = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    let vector = |items: &[Vec<u8>]| [vec![items.len() as u8], items.concat()].concat();
    let section = |id: u8, items: &[Vec<u8>]| {
        let content = vector(items);
        // Two bytes of LEB128 for the length.
        let length = [content.len() as u8 | 0x80, (content.len() >> 7) as u8];
        [vec![id], length.to_vec(), content].concat()
    };
    // Exported functions: name, number of parameters, whether there is a result, instructions.
    let (nothing, one, trap): (&[u8], &[u8], &[u8]) = (&[], &[0x41, 1], &[0x00]);
    let functions = [
        ("proxy_abi_version_0_2_1", 0, false, nothing),
        ("malloc", 1, true, one),
        ("proxy_on_context_create", 2, false, nothing),
        ("proxy_on_vm_start", 2, true, one),
        ("proxy_on_configure", 2, true, one),
        ("proxy_on_request_headers", 3, true, trap),
    ];
    let types = functions.map(|(_, parameters, result, _)| {
        let results: &[u8] = if result { &[1, I32] } else { &[0] };
        [
            &[0x60, parameters as u8],
            &vec![I32; parameters][..],
            results,
        ]
        .concat()
    });
    let indices = [0, 1, 2, 3, 4, 5].map(|index: u8| vec![index]);
    let mut exports: Vec<Vec<u8>> = functions
        .iter()
        .zip(0_u8..)
        .map(|((name, ..), index)| [string(name), vec![0, index]].concat())
        .collect();
    exports.push([string("memory"), vec![2, 0]].concat());
    let bodies = functions.map(|(.., instructions)| {
        [&[instructions.len() as u8 + 2, 0], instructions, &[0x0B]].concat()
    });
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &types),
        section(3, &indices),
        section(5, &[vec![0, 1]]),
        section(7, &exports),
        section(10, &bodies),
    ]
    .concat()
}
