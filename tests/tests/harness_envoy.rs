//! Envoy as the other tests use it, with Envoy's own filters only: a failure here is one of the
//! harness, not of Nexus.

use std::path::Path;

use nexus_tests::{
    envoy::{self, Config, Envoy, StartError},
    http::Request,
    jwks_server::JwksServer,
    keys::{self, Algorithm},
    load, tls,
    tokens::Token,
    upstream::Upstream,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://idp.example.com";

#[test]
fn envoy_passes_requests_on_and_tells_about_itself() {
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        upstream.clear();
        let mut envoy = Envoy::start(version, &Config::new(upstream.addr()));
        let request = Request::get("/some/path?query").header("x-bytes", [b'a', 0xFF]);
        let seen = envoy.client().send(&request).seen();
        assert_eq!(seen.path, "/some/path?query");
        assert_eq!(seen.headers.first("x-bytes"), Some([b'a', 0xFF].as_slice()));

        let report = load::run(envoy.addr(), 2, &[Request::get("/")], 2_000);
        assert_eq!((report.answered(), report.failed), (2_000, 0));
        assert_eq!(upstream.count(), 2_001);
        let stats = envoy.stats();
        assert_eq!(stats.value("http.ingress.downstream_rq_2xx"), 2_001);
        assert_eq!(stats.value("server.concurrency"), 2);
        let entry = envoy.wait_for_access_log(2_001).swap_remove(0);
        assert_eq!(
            (entry.path.as_str(), entry.status, entry.details.as_str()),
            ("/some/path?query", 200, "via_upstream")
        );

        assert_eq!(envoy.listener("main"), envoy.addr());
        assert!(envoy.config_dump().to_string().contains("\"upstream\""));
        assert!(envoy.memory().allocated > 1 << 20);
        assert!(envoy.resident_bytes() > 10 << 20);
        assert!(envoy.log().contains("starting main dispatch loop"));
        assert!(envoy.is_alive());
        let (status, _) = envoy.shut_down();
        assert!(status.success(), "{status}");
    });
}

#[test]
fn envoy_that_refuses_its_configuration_is_reported_with_its_log() {
    let config = Config::new(Upstream::start().addr())
        .edit_connection_manager(|manager| manager["no_such_field"] = json!(1));
    envoy::for_oldest_and_newest(|version| {
        let error = Envoy::try_start(version, &config).expect_err("the configuration is bad");
        assert!(matches!(error, StartError::Exited { .. }), "{error}");
        assert!(error.log().contains("no_such_field"), "{error}");
    });
}

#[test]
fn dropping_envoy_ends_its_process_even_while_panicking() {
    let config = Config::new(Upstream::start().addr());
    let version = envoy::newest();
    let envoy = Envoy::start(&version, &config);
    let process = format!("/proc/{}", envoy.pid());
    assert!(Path::new(&process).exists());
    let panicked = std::thread::spawn(move || {
        let _envoy = envoy;
        panic!("on purpose");
    })
    .join();
    assert!(panicked.is_err());
    assert!(!Path::new(&process).exists());
}

/// Envoy's own verification, of another library's making, agrees that the tests' tokens are good,
/// and reaches the tests' JWKS server over TLS.
#[test]
fn envoy_itself_accepts_the_tests_tokens_and_fetches_the_tests_jwks() {
    let upstream = Upstream::start();
    // Envoy has no ES256K, and takes no shared secret from where a JWKS comes... but for `oct`.
    let algorithms: Vec<Algorithm> = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| *algorithm != Algorithm::ES256K)
        .collect();
    let published = algorithms.iter().map(|algorithm| {
        keys::for_algorithm(*algorithm)
            .with_kid(algorithm.name())
            .public_jwk()
    });
    let jwks = JwksServer::start_tls(keys::jwks(published), tls::idp());
    let config = Config::new(upstream.addr())
        .tls_cluster(
            "idp",
            jwks.addr(),
            "idp.example.com",
            tls::idp().authority_file(),
        )
        .http_filter_after(jwt_authn());
    envoy::for_oldest_and_newest(|version| {
        let envoy = Envoy::start(version, &config);
        let mut client = envoy.client();
        let missing = client.send(&Request::get("/"));
        assert_eq!(
            (missing.status, missing.text()),
            (401, "Jwt is missing".to_owned())
        );
        for algorithm in &algorithms {
            let key = keys::for_algorithm(*algorithm).with_kid(algorithm.name());
            let token = Token::new(ISSUER).sign(&key, *algorithm);
            let answer = client.send(&Request::get("/").bearer(&token));
            assert_eq!(
                answer.status,
                200,
                "{}: {}",
                algorithm.name(),
                answer.text()
            );
            let expired = Token::new(ISSUER).expires_in(-100).sign(&key, *algorithm);
            let answer = client.send(&Request::get("/").bearer(&expired));
            assert_eq!(answer.text(), "Jwt is expired", "{}", algorithm.name());
        }
    });
    assert!(jwks.count() >= 2, "each Envoy has fetched");
}

fn jwt_authn() -> Value {
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"idp": {
                "issuer": ISSUER,
                "remote_jwks": {"http_uri": {
                    "uri": "https://idp.example.com/.well-known/jwks.json",
                    "cluster": "idp",
                    "timeout": "5s",
                }},
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}],
        },
    })
}
