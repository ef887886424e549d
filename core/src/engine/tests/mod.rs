//! The engine driven by hand: requests, answers and the time are what the test says they are.

mod authorizing;
mod deciding;
mod discovering;
mod fetching;
mod forwarding;
mod key_sources;
mod placing;
mod possession;
mod remembering;
mod replies;
mod requiring;
mod revoking;
mod setting_up;
mod sharing;

use super::*;
use crate::config;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::string::ToString;
use std::vec;

/// Seconds since the epoch at which every test starts.
const START: u64 = 1_700_000_000;

/// What a test needs of an engine: it, the time, and keys named by a number.
struct Bed {
    engine: Engine,
    now: Timestamp,
    requests: u32,
}

/// What became of a request.
#[derive(Debug, PartialEq)]
enum Fate {
    Allowed {
        added: Vec<(String, String)>,
        removed: Vec<String>,
    },
    Denied(&'static str),
    Waits(RequestId),
}

impl Fate {
    fn of(decision: Decision) -> Self {
        match decision.outcome {
            Outcome::Allow(edits) => Self::Allowed {
                added: edits
                    .set
                    .into_iter()
                    .map(|(name, value)| (name, String::from_utf8(value).unwrap()))
                    .collect(),
                removed: edits
                    .remove
                    .into_iter()
                    .map(|name| String::from_utf8(name).unwrap())
                    .collect(),
            },
            Outcome::Deny(denial) => Self::Denied(denial.reason().code()),
        }
    }

    fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }

    fn waits(self) -> RequestId {
        match self {
            Self::Waits(id) => id,
            other => panic!("{other:?}"),
        }
    }
}

impl Bed {
    fn new(config: Value) -> Self {
        Self::beginning(config, Timestamp::from_seconds(START))
    }

    fn beginning(config: Value, now: Timestamp) -> Self {
        let config = Config::parse(config.to_string().as_bytes()).unwrap();
        Self {
            // Nothing that a test expects depends on whether tokens are remembered.
            engine: Engine::new(config, &environment, 7, now)
                .unwrap()
                .with_token_cache([7; 16]),
            now,
            requests: 0,
        }
    }

    fn send(&mut self, headers: &[(&str, &str)]) -> Fate {
        self.requests += 1;
        let id = RequestId(self.requests);
        let headers: Vec<(&[u8], &[u8])> = headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
        match self
            .engine
            .handle_request(id, &Request::new(&headers), self.now)
        {
            Some(decision) => Fate::of(decision),
            None => Fate::Waits(id),
        }
    }

    /// A GET of `/app` with a bearer token.
    fn get(&mut self, token: &str) -> Fate {
        let authorization = std::format!("Bearer {token}");
        self.send(&[
            (":method", "GET"),
            (":authority", "example.com"),
            (":path", "/app"),
            ("authorization", &authorization),
        ])
    }

    fn advance(&mut self, millis: u64) {
        self.now = self.now.after(Millis(millis));
        self.engine.handle_timeout(self.now);
        self.assert_consistent();
    }

    /// What is looked up is what there is.
    fn assert_consistent(&self) {
        self.engine.sources.assert_consistent();
        self.engine.waiting.assert_consistent();
    }

    fn fetch(&mut self) -> Option<FetchId> {
        self.assert_consistent();
        self.engine.poll_fetch(self.now).map(|fetch| fetch.id)
    }

    /// Answers the fetch that is due.
    fn serve(&mut self, answer: FetchAnswer<'_>) {
        let id = self.fetch().expect("a fetch is due");
        assert_eq!(self.fetch(), None, "only one fetch is due");
        self.engine.handle_answer(id, answer, self.now);
    }

    fn serve_keys(&mut self, keys: &[u8]) {
        let body = jwks(keys).to_string();
        self.serve(FetchAnswer::response(200, body.as_bytes()));
    }

    /// What was decided about requests that waited, until nothing is to be decided any more.
    fn fates(&mut self) -> Vec<(RequestId, Fate)> {
        let mut fates = Vec::new();
        while self.engine.waiting.has_ready() {
            let decided = self.engine.poll_decision(self.now);
            fates.extend(decided.map(|(id, decision)| (id, Fate::of(decision))));
        }
        fates
    }

    fn fate_of(&mut self, id: RequestId) -> Fate {
        let mut fates = self.fates();
        assert_eq!(fates.len(), 1, "{fates:?}");
        let (decided, fate) = fates.remove(0);
        assert_eq!(decided, id);
        fate
    }

    fn events(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.engine.poll_event())
            .map(|event| event.to_string())
            .collect()
    }
}

fn environment(name: &str) -> Option<Vec<u8>> {
    match name {
        "SECRET" => Some(SECRET.to_vec()),
        "SHORT_SECRET" => Some(b"short".to_vec()),
        "NO_PEM" => Some(b"no PEM".to_vec()),
        _ => None,
    }
}

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// A set of the public keys of those numbers; the `kid` is the number.
fn jwks(keys: &[u8]) -> Value {
    let keys: Vec<Value> = keys
        .iter()
        .map(|number| {
            json!({
                "kty": "OKP", "crv": "Ed25519", "kid": number.to_string(),
                "x": base64url(key(*number).verifying_key().as_bytes()),
            })
        })
        .collect();
    json!({ "keys": keys })
}

/// A token signed by the key of that number.
fn token(number: u8, claims: &Value) -> String {
    let header = json!({ "alg": "EdDSA", "kid": number.to_string() });
    sign(number, &header, claims)
}

fn sign(number: u8, header: &Value, claims: &Value) -> String {
    let input = std::format!(
        "{}.{}",
        base64url(header.to_string().as_bytes()),
        base64url(claims.to_string().as_bytes())
    );
    let signature = key(number).sign(input.as_bytes()).to_bytes();
    std::format!("{input}.{}", base64url(&signature))
}

/// Claims that pass everywhere, with these changed; `null` takes one out.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://idp.example.com", "aud": "client", "sub": "alice",
        "exp": START + 600, "email": "alice@example.com",
    });
    for (name, value) in changes.as_object().unwrap() {
        let claims = claims.as_object_mut().unwrap();
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
    claims
}

fn good(number: u8) -> String {
    token(number, &claims(&json!({})))
}

fn remote() -> Value {
    json!({ "remote": [{ "url": {
        "url": "https://idp.example.com/jwks", "cluster": "idp", "scheme": "https",
        "authority": "idp.example.com", "path": "/jwks", "timeout_ms": 5000,
        "cache_ttl_secs": 300, "max_stale_secs": 3600,
    }}]})
}

fn provider(keys: &Value) -> Value {
    json!({
        "name": "idp", "issuer": "https://idp.example.com", "audiences": ["client"],
        "algorithms": ["EdDSA"], "clock_skew_secs": 60, "require_expiration": true, "keys": keys,
    })
}

/// One app at `/app` with one provider, `sub` and `email` required and forwarded.
fn config(keys: &Value) -> Value {
    json!({
        "nexus": 3, "unmatched": "deny", "providers": [provider(keys)],
        "apps": [{
            "slug": "app", "hosts": ["*"], "path": "/app",
            "auth": { "jwt": {
                "requirement": { "provider": { "index": 0 } },
                "handling": {
                    "required_claims": ["sub", "email"],
                    "forward_claims": [
                        { "claim": "sub", "to": { "header": "x-user-id" } },
                        { "claim": "email", "to": { "header": "x-user-email" } },
                    ],
                },
            }},
            "routes": [
                { "path": "/health", "methods": ["GET"], "auth": "none" },
                { "path": "/optional", "path_kind": "below", "auth": { "jwt": {
                    "requirement": { "allow_missing": { "provider": { "index": 0 } } },
                    "handling": { "forward_token": true },
                }}},
            ],
        }],
    })
}

/// A requirement that any of these providers fulfils.
fn any_of(providers: &[u32]) -> Value {
    let parts = providers
        .iter()
        .map(|index| json!({ "provider": { "index": index } }));
    json!({ "any_of": parts.collect::<Vec<_>>() })
}

fn inline(keys: &[u8]) -> Value {
    json!({ "fixed": { "jwks": jwks(keys) } })
}
