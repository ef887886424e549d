//! Every algorithm, as the module computes it under V8.

use nexus_tests::{
    envoy::{self, Envoy},
    http::Request,
    jwks_server::JwksServer,
    keys::{self, Algorithm, Key},
    tokens::{Token, with_broken_signature},
    upstream::Upstream,
};
use serde_json::json;

use crate::scene::{Health, ISSUER, assert_denied, assert_passes, with_policy};

const SECRET_ISSUER: &str = "https://secret.example.com";

#[test]
fn every_algorithm_verifies_and_a_broken_signature_does_not() {
    let (symmetric, asymmetric): (Vec<_>, Vec<_>) = Algorithm::ALL
        .into_iter()
        .partition(|algorithm| algorithm.is_symmetric());
    let published = asymmetric
        .iter()
        .map(|algorithm| public_key(*algorithm).public_jwk_with(&json!({"alg": algorithm.name()})));
    let jwks = JwksServer::start(keys::jwks(published));
    let secret = keys::random_text(64);
    let upstream = Upstream::start();
    let names: Vec<_> = symmetric.iter().map(|algorithm| algorithm.name()).collect();
    let policy = json!({
        "providers": {
            "idp": {"issuer": ISSUER, "jwks_url": jwks.url()},
            "secret": {
                "issuer": SECRET_ISSUER, "jwt_secret_env": "NEXUS_SECRET", "algorithms": names,
            },
        },
        "apps": [{"slug": "app", "gateway_path": "/", "default_policy": {"auth": {
            "auth_type": "jwt", "providers": ["idp", "secret"],
        }}}],
    });
    let config = with_policy(upstream.addr(), &policy)
        .host_env("NEXUS_SECRET", &secret)
        .cluster(&jwks.authority(), jwks.addr());
    let signed = Algorithm::ALL.map(|algorithm| {
        let token = match algorithm.is_symmetric() {
            true => Token::new(SECRET_ISSUER).sign(&Key::secret(&secret), algorithm),
            false => Token::new(ISSUER).sign(&public_key(algorithm), algorithm),
        };
        (algorithm.name(), token)
    });
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        for (name, token) in &signed {
            assert_passes(&mut client, &Request::get("/").bearer(token), name);
            let broken = Request::get("/").bearer(with_broken_signature(token));
            assert_denied(&client.send(&broken), "signature_invalid", name);
        }
        health.assert_unharmed(&mut envoy);
    });
}

fn public_key(algorithm: Algorithm) -> Key {
    keys::for_algorithm(algorithm).with_kid(algorithm.name())
}
