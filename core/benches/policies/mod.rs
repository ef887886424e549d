//! Configurations of any size, with a request that belongs to their last part.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use nexus_core::config::Config;
use nexus_core::engine::{Decision, Engine, FetchAnswer, RequestId};
use nexus_core::request::Request;
use nexus_core::time::Timestamp;
use serde_json::{Value, json};

/// Seconds since the epoch.
pub(crate) const NOW: u64 = 1_700_000_000;

/// A configuration and a request that it allows.
pub(crate) struct Case {
    /// What the filter would be given.
    json: Vec<u8>,
    headers: Vec<(String, String)>,
}

/// Fetches and answers everything that an engine asks for, as a proxy does when it starts.
pub(crate) fn start(engine: &mut Engine) {
    let keys = json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "kid": "key",
        "x": URL_SAFE_NO_PAD.encode(signing_key(0, 0).verifying_key()),
    }]})
    .to_string();
    let now = Timestamp::from_seconds(NOW);
    let drive = |engine: &mut Engine| -> Vec<_> {
        let fetches = std::iter::from_fn(|| engine.poll_fetch(now)).collect();
        while engine.poll_event().is_some() {}
        engine.poll_timeout();
        fetches
    };
    for fetch in drive(engine) {
        let answer = FetchAnswer::response(200, keys.as_bytes());
        engine.handle_answer(fetch.id, answer, now);
        drive(engine);
    }
}

/// An engine at work, and the request.
pub(crate) struct Running {
    engine: Engine,
    headers: Vec<(String, String)>,
}

impl Case {
    /// One provider and so many apps, each with a host and three routes of its own.
    pub(crate) fn of_apps(apps: usize) -> Self {
        let last = apps - 1;
        Self::new(
            vec![provider(0, 1)],
            (0..apps)
                .map(|number| app(number, three_routes()))
                .collect(),
            (
                &format!("app-{last}.example.com"),
                &format!("/team-{last}/reports/2024"),
            ),
            (0, 0),
        )
    }

    /// One app with so many routes, of exact paths, paths below and expressions in turn.
    pub(crate) fn of_routes(routes: usize) -> Self {
        let all = (0..routes).map(|number| {
            let (path, kind) = match number % 4 {
                0 | 1 => (format!("/items/{number}"), "exact"),
                2 => (format!("/items/{number}"), "below"),
                _ => (format!("/items/{number}/[0-9]+"), "regex"),
            };
            json!({ "path": path, "path_kind": kind, "methods": ["GET"], "auth": auth(&[0]) })
        });
        let app = app(0, all.collect());
        // The last one with an expression.
        let last = (0..routes).rev().find(|number| number % 4 == 3);
        let path = format!("/team-0/items/{}/17", last.expect("four routes or more"));
        Self::new(
            vec![provider(0, 1)],
            vec![app],
            ("app-0.example.com", &path),
            (0, 0),
        )
    }

    /// One app for the tokens of so many providers.
    pub(crate) fn of_providers(providers: usize) -> Self {
        let all: Vec<usize> = (0..providers).collect();
        let app = json!({
            "slug": "app", "hosts": ["*"], "path": "/app", "auth": auth(&all),
        });
        let providers: Vec<_> = all.iter().map(|number| provider(*number, 1)).collect();
        let last = providers.len() - 1;
        Self::new(providers, vec![app], ("example.com", "/app/x"), (last, 0))
    }

    /// One provider with so many keys.
    pub(crate) fn of_keys(keys: usize) -> Self {
        Self::new(
            vec![provider(0, keys)],
            vec![app(0, three_routes())],
            ("app-0.example.com", "/team-0/reports/2024"),
            (0, keys - 1),
        )
    }

    /// So many providers whose keys are fetched, each from a place of its own.
    pub(crate) fn of_sources(sources: usize) -> Self {
        let providers = (0..sources).map(|number| {
            let authority = format!("idp-{number}.example.com");
            let mut provider = provider(number, 1);
            provider["keys"] = json!({ "remote": [{ "url": {
                "url": format!("https://{authority}/jwks"), "cluster": authority, "scheme": "https",
                "authority": authority, "path": "/jwks", "timeout_ms": 5000, "max_stale_secs": 3600,
            }}]});
            provider
        });
        let app = json!({ "slug": "app", "hosts": ["*"], "path": "/app", "auth": auth(&[0]) });
        Self::new(
            providers.collect(),
            vec![app],
            ("example.com", "/app/x"),
            (0, 0),
        )
    }

    fn new(
        providers: Vec<Value>,
        apps: Vec<Value>,
        (authority, path): (&str, &str),
        (provider, key): (usize, usize),
    ) -> Self {
        let config = json!({
            "nexus": nexus_core::config::FORMAT_VERSION,
            "unmatched": "deny", "providers": providers, "apps": apps,
        });
        let pairs = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", authority),
            (":path", path),
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            ),
            ("accept", "application/json"),
            ("accept-language", "en"),
            ("accept-encoding", "gzip, deflate, br"),
            ("x-forwarded-for", "192.0.2.17"),
            ("x-forwarded-proto", "https"),
            ("x-request-id", "8f4f9a9e-2f1b-4f0e-9f2e-6a3d0c4b1a58"),
            ("authorization", &format!("Bearer {}", token(provider, key))),
        ];
        Self {
            json: config.to_string().into_bytes(),
            headers: pairs
                .map(|(name, value)| (name.into(), value.into()))
                .to_vec(),
        }
    }

    /// Takes the configuration, as a VM does.
    pub(crate) fn engine(&self) -> Engine {
        let config = Config::parse(&self.json).expect("a configuration");
        Engine::new(config, &|_| None, 7, Timestamp::from_seconds(NOW)).expect("a good one")
    }

    /// The engine with the request.
    pub(crate) fn run(self) -> Running {
        Running {
            engine: self.engine(),
            headers: self.headers,
        }
    }
}

impl Running {
    /// Decides the request.
    pub(crate) fn decide(&mut self) -> Decision {
        let headers: Vec<(&[u8], &[u8])> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
        let request = Request::new(&headers);
        let now = Timestamp::from_seconds(NOW);
        self.engine.needs_certificate(&request);
        self.engine
            .handle_request(RequestId(1), &request, now)
            .expect("every key is there")
    }

    /// The same request with another last character in its token, which then is not genuine.
    pub(crate) fn forge(&mut self) {
        let (_, value) = self.headers.last_mut().expect("there are headers");
        let at = value.len() - 20;
        let other = if value.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        value.replace_range(at..=at, other);
    }

    /// The same request without its token.
    pub(crate) fn strip(&mut self) {
        self.headers.pop();
    }
}

fn auth(providers: &[usize]) -> Value {
    let all: Vec<_> = providers
        .iter()
        .map(|index| json!({ "provider": { "index": index } }))
        .collect();
    let requirement = match all.as_slice() {
        [only] => only.clone(),
        _ => json!({ "any_of": all }),
    };
    json!({ "jwt": {
        "requirement": requirement,
        "handling": {
            "required_claims": ["sub", "email"],
            "forward_claims": [
                { "claim": "sub", "to": { "header": "x-user-id" } },
                { "claim": "email", "to": { "header": "x-user-email" } },
            ],
        },
    }})
}

fn app(number: usize, routes: Vec<Value>) -> Value {
    json!({
        "slug": format!("app-{number}"),
        "hosts": [format!("app-{number}.example.com")],
        "path": format!("/team-{number}"),
        "auth": auth(&[0]),
        "routes": routes,
    })
}

fn three_routes() -> Vec<Value> {
    Vec::from([
        json!({ "path": "/health", "methods": ["GET"], "auth": "none" }),
        json!({ "path": "/public", "path_kind": "below", "auth": "none" }),
        json!({ "path": "/reports", "path_kind": "below", "auth": auth(&[0]) }),
    ])
}

fn provider(number: usize, keys: usize) -> Value {
    let keys: Vec<_> = (0..keys)
        .map(|key| {
            json!({
                "kty": "OKP", "crv": "Ed25519", "kid": format!("key-{number}-{key}"),
                "x": URL_SAFE_NO_PAD.encode(signing_key(number, key).verifying_key()),
            })
        })
        .collect();
    json!({
        "name": format!("idp-{number}"), "issuer": format!("https://idp-{number}.example.com"),
        "audiences": ["client"], "algorithms": ["EdDSA"], "clock_skew_secs": 60,
        "require_expiration": true, "keys": { "fixed": { "jwks": { "keys": keys } } },
    })
}

fn signing_key(provider: usize, key: usize) -> SigningKey {
    let mut seed = [1; 32];
    seed[..8].copy_from_slice(&(provider as u64).to_le_bytes());
    seed[8..16].copy_from_slice(&(key as u64).to_le_bytes());
    SigningKey::from_bytes(&seed)
}

fn token(provider: usize, key: usize) -> String {
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": format!("key-{provider}-{key}") });
    let claims = json!({
        "iss": format!("https://idp-{provider}.example.com"), "aud": "client", "sub": "alice",
        "iat": NOW, "exp": NOW + 600, "email": "alice@example.com", "scope": "openid profile",
    });
    let input = [header, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let signature = signing_key(provider, key).sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}
