//! Keys that reach the filter through the VM's environment, and that leave no trace.

use nexus_tests::{
    envoy::{self, Envoy},
    http::Request,
    keys::{self, Algorithm, Key},
    tokens::{self, Token, with_broken_signature},
    upstream::Upstream,
};
use serde_json::json;

use crate::scene::{Health, assert_denied, assert_passes, with_policy};

const SECRET_ISSUER: &str = "https://secret.example.com";
const KEY_ISSUER: &str = "https://key.example.com";

#[test]
fn keys_from_the_environment_verify_and_are_never_shown() {
    let secret = keys::random_text(48);
    let pem = keys::for_algorithm(Algorithm::ES256).public_pem();
    let upstream = Upstream::start();
    let policy = json!({
        "providers": {
            "secret": {"issuer": SECRET_ISSUER, "jwt_secret_env": "NEXUS_SECRET"},
            "key": {"issuer": KEY_ISSUER, "jwt_public_key_env": "NEXUS_KEY"},
        },
        "apps": [{"slug": "app", "gateway_path": "/", "default_policy": {"auth": {
            "auth_type": "jwt", "providers": ["secret", "key"],
        }}}],
    });
    // Envoy's own components write all headers of a request at `debug`; what the filter and its host
    // write is looked at here, at the level that writes most.
    let config = with_policy(upstream.addr(), &policy)
        .host_env("NEXUS_SECRET", &secret)
        .host_env("NEXUS_KEY", &pem)
        .log_level("info", "trace");
    let by_secret = Token::new(SECRET_ISSUER).sign(&Key::secret(&secret), Algorithm::HS256);
    let by_key =
        Token::new(KEY_ISSUER).sign(keys::for_algorithm(Algorithm::ES256), Algorithm::ES256);
    let other = Key::secret(keys::random_text(48));
    let by_other = Token::new(SECRET_ISSUER).sign(&other, Algorithm::HS256);
    let by_pem = Token::new(KEY_ISSUER).sign(&Key::secret(&pem), Algorithm::HS256);
    let rows = [
        (&by_secret, None),
        (&by_key, None),
        (&by_other, Some("signature_invalid")),
        (
            &with_broken_signature(&by_secret),
            Some("signature_invalid"),
        ),
        (&with_broken_signature(&by_key), Some("signature_invalid")),
        (&by_pem, Some("token_alg_not_allowed")),
    ];
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        for (token, denial) in rows {
            let request = Request::get("/").bearer(token);
            match denial {
                None => assert_passes(&mut client, &request, "from the environment"),
                Some(code) => assert_denied(&client.send(&request), code, code),
            }
        }
        health.assert_unharmed(&mut envoy);
        let shown = envoy.config_dump().to_string();
        assert!(shown.contains("NEXUS_SECRET"), "the variable is named");
        let (_, log) = envoy.shut_down();
        assert_eq!(
            log.matches("nexus.decision").count(),
            rows.len(),
            "each is logged"
        );
        let lines_of_the_key: Vec<&str> =
            pem.lines().filter(|line| !line.starts_with('-')).collect();
        for text in [&shown, &log] {
            assert!(!text.contains(&secret), "the secret is shown");
            assert!(
                !lines_of_the_key.iter().any(|line| text.contains(line)),
                "the key is shown"
            );
            for (token, _) in rows {
                let [_, payload, signature] = tokens::parts(token);
                assert!(
                    !text.contains(payload) && !text.contains(signature),
                    "a token is shown"
                );
            }
        }
    });
}
