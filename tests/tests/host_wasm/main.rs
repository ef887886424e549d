//! What is shown best where time is pretended and every call is on record: the `.wasm` in `nexus-host`.
//!
//! Fetching keys and waiting for them, several VMs, counters and log lines, memory, and that no input of
//! whatever kind makes the filter trap or lets anybody pass who has no good token.

mod fetching;
mod forwarding;
mod hostile;
mod module;
mod rsa;
mod telling;

use nexus_host::{Answer, Outcome, Request, Stream, Vm};
use nexus_tests::{
    cases::{NOW, Setting, wasm::Bed},
    keys::{self, Algorithm, Key},
    tokens::Token,
};
use serde_json::json;

const ISSUER: &str = "https://idp.example.com";
const URL: &str = "https://idp.example.com/jwks";
const CLUSTER: &str = "idp.example.com";
const PATH: &str = "/jwks";

/// One app at `/app`, its keys at [`URL`], fresh for 300 s and good for an hour more while the source fails.
fn setting() -> Setting {
    setting_with_ttl(300)
}

fn setting_with_ttl(seconds: u64) -> Setting {
    let policy = json!({
        "slug": "app", "gateway_path": "/app",
        "default_policy": {"auth": {
            "auth_type": "jwt", "issuer": ISSUER, "audience": "client",
            "jwks_url": URL, "jwks_cache_ttl_secs": seconds, "jwks_max_stale_secs": 3600, "jwks_timeout_ms": 5000,
            "required_claims": ["sub"],
            "forward_claims_as_headers": {"sub": "X-User-Id"},
        }},
    });
    Setting::new("app", &policy.to_string()).key_set(URL, &jwks(&[&key()]))
}

fn key() -> Key {
    keys::for_algorithm(Algorithm::EdDSA).with_kid("key-1")
}

/// A key that is not published at first.
fn next_key() -> Key {
    static KEY: std::sync::OnceLock<Key> = std::sync::OnceLock::new();
    KEY.get_or_init(Key::generate_ed25519).with_kid("key-2")
}

fn jwks(keys: &[&Key]) -> String {
    keys::jwks(keys.iter().map(|key| key.public_jwk()))
}

/// A token that passes until the end of every test.
fn token_by(key: &Key) -> String {
    Token::empty()
        .claim("iss", ISSUER)
        .claim("aud", "client")
        .claim("sub", "alice")
        .claim("exp", NOW + 1_000_000)
        .sign(key, Algorithm::EdDSA)
}

fn request(token: &str) -> Request {
    Request::get("app.example.com", "/app").header("authorization", format!("Bearer {token}"))
}

fn send(vm: &Vm, token: &str) -> Stream {
    vm.request(request(token))
}

/// `allow`, `wait`, or the status and the code of a refusal.
fn fate(stream: &Stream) -> String {
    match stream.outcome() {
        Outcome::Forwarded(_) => "allow".to_owned(),
        Outcome::Replied(reply) => format!("{} {}", reply.status, reply.details),
        Outcome::Paused(_) => "wait".to_owned(),
        Outcome::Reset => "reset".to_owned(),
    }
}

const UNAVAILABLE: &str = "401 nexus_denied{jwks_unavailable}";
const NOT_FOUND: &str = "401 nexus_denied{key_not_found}";
const SIGNATURE: &str = "401 nexus_denied{signature_invalid}";
const FULL: &str = "503 nexus_denied{waiting_limit}";

/// A process whose key server answers like this.
fn bed(answer: Answer) -> Bed {
    let bed = Bed::new();
    bed.callouts.answer(CLUSTER, PATH, answer);
    bed
}

fn bed_with_keys(keys: &[&Key]) -> Bed {
    bed(Answer::json(jwks(keys)))
}
