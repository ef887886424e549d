//! Key servers that are down, slow or broken, and that come back.

use std::{
    thread,
    time::{Duration, Instant},
};

use nexus_tests::{
    envoy::{self, Config, Envoy},
    eventually,
    http::Request,
    jwks_server::{Answer, Behaviour, JwksServer},
    keys::{self, Algorithm},
    tokens::Token,
    upstream::Upstream,
};
use serde_json::{Map, Value, json};

use crate::scene::{Health, assert_denied, assert_passes, compiled, fetches, key};

/// How long a request may wait for keys here.
const TIMEOUT: Duration = Duration::from_millis(400);

/// What a loaded machine may take on top.
const SLACK: Duration = Duration::from_millis(1500);

/// A server that gives no keys.
struct Failing {
    /// The name of its provider and its app.
    name: &'static str,
    server: JwksServer,
    /// What it does; `None` when it refuses connections.
    behaviour: Option<Behaviour>,
    /// What the counter of fetches calls it.
    outcome: &'static str,
    /// What its requests are answered.
    denial: &'static str,
}

fn failing() -> Vec<Failing> {
    let row = |name, outcome, denial, behaviour: Behaviour| {
        let server = JwksServer::start("");
        server.behave(behaviour.clone());
        Failing {
            name,
            server,
            behaviour: Some(behaviour),
            outcome,
            denial,
        }
    };
    let unavailable = |name, outcome, behaviour| row(name, outcome, "jwks_unavailable", behaviour);
    let ok = |body: &str| Behaviour::Answer(Answer::ok(body));
    let published = keys::jwks([key().public_jwk()]);
    let redirect = Answer::status(302).header("location", "/elsewhere");
    let oct =
        r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}]}"#;
    let large = format!(r#"{{"keys": [], "filler": "{}"}}"#, "a".repeat(1 << 20));
    let refused = Failing {
        name: "refused",
        server: JwksServer::start_down(""),
        behaviour: None,
        // Envoy answers in the place of a server that it cannot reach.
        outcome: "status",
        denial: "jwks_unavailable",
    };
    vec![
        refused,
        unavailable("hang", "status", Behaviour::Hang),
        unavailable("close", "status", Behaviour::Close),
        unavailable(
            "reset",
            "no_response",
            Behaviour::ResetMidBody(Answer::ok(published.clone())),
        ),
        unavailable("error", "status", Behaviour::Answer(Answer::status(500))),
        unavailable("redirect", "status", Behaviour::Answer(redirect)),
        unavailable(
            "busy",
            "status",
            Behaviour::Answer(Answer::status(429).header("retry-after", "1")),
        ),
        unavailable(
            "accepted",
            "status",
            Behaviour::Answer(Answer {
                status: 202,
                ..Answer::ok(published.clone())
            }),
        ),
        unavailable("html", "invalid", ok("<html>Sign in</html>")),
        unavailable("empty", "invalid", ok("")),
        unavailable("object", "invalid", ok("{}")),
        unavailable("cut", "invalid", ok(&published[..published.len() / 2])),
        unavailable("deep", "invalid", ok(&"[".repeat(100_000))),
        unavailable("large", "invalid", ok(&large)),
        unavailable("huge", "invalid", ok(&" ".repeat(10 << 20))),
        row(
            "no-keys",
            "no_usable_key",
            "jwks_unusable",
            ok(r#"{"keys": []}"#),
        ),
        row("secret", "no_usable_key", "jwks_unusable", ok(oct)),
    ]
}

#[test]
fn requests_are_denied_in_bounded_time_while_keys_are_missing_and_pass_when_they_come() {
    envoy::for_oldest_and_newest(|version| {
        let upstream = Upstream::start();
        let failing = failing();
        let mut envoy = Envoy::start(version, &config(&upstream, &failing));
        let health = Health::of(&envoy);
        let requests: Vec<Request> = failing.iter().map(|row| request(row.name)).collect();
        thread::scope(|scope| {
            for (row, request) in failing.iter().zip(&requests) {
                let mut client = envoy.client();
                scope.spawn(move || {
                    let asked = Instant::now();
                    let response = client.send(request);
                    let waited = asked.elapsed();
                    assert!(waited < TIMEOUT + SLACK, "{}: {waited:?}", row.name);
                    assert_denied(&response, row.denial, row.name);
                });
            }
        });
        assert_eq!(upstream.count(), 0);
        // Each of them was asked; what became of it is counted and logged.
        for row in &failing {
            let expected = format!("no keys from {}", row.server.url());
            assert!(envoy.wait_for_log(&expected, SLACK), "{expected}");
        }
        let stats = envoy.stats();
        for outcome in ["status", "no_response", "invalid", "no_usable_key"] {
            let sources = failing.iter().filter(|row| row.outcome == outcome).count();
            let counted = fetches(&stats, outcome);
            assert!(
                counted >= sources as u64,
                "{outcome}: {counted} < {sources}"
            );
        }
        assert_eq!(fetches(&stats, "success"), 0);

        for row in &failing {
            row.server.serve(keys::jwks([key().public_jwk()]));
            row.server.up();
        }
        let mut client = envoy.client();
        for (row, request) in failing.iter().zip(&requests) {
            // The pauses behind failures are 1, 2 and 4 s; the machine may be slow.
            let recovered = eventually(Duration::from_secs(15), || {
                client.send(request).status == 200
            });
            assert!(recovered, "{}", row.name);
        }
        let redirected = failing.iter().flat_map(|row| row.server.requests());
        assert!(
            redirected
                .into_iter()
                .all(|it| it.path == "/.well-known/jwks.json"),
            "no redirection is followed"
        );
        health.assert_unharmed(&mut envoy);
    });
}

/// Whatever becomes of a server, the keys that it gave stay in use: none of that lets anybody else in, and none keeps
/// out the holder of a token whose key is known.
#[test]
fn no_misbehaviour_of_a_server_does_away_with_the_keys_that_it_gave() {
    let stranger = keys::other_rsa().with_kid("stranger");
    envoy::for_oldest_and_newest(|version| {
        let upstream = Upstream::start();
        let failing = failing();
        for row in &failing {
            row.server.serve(keys::jwks([key().public_jwk()]));
            row.server.up();
        }
        let config = config(&upstream, &failing).host_env("GATEWAY_JWKS__CACHE_TTL_SECS", "2");
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        for row in &failing {
            assert_passes(&mut client, &request(row.name), row.name);
        }
        for row in &failing {
            match &row.behaviour {
                Some(behaviour) => row.server.behave(behaviour.clone()),
                None => row.server.down(),
            }
        }
        let stale = |envoy: &Envoy| envoy.stats().value("wasmcustom.nexus.jwks_cache.stale");
        let all = failing.len() as u64;
        assert!(
            eventually(Duration::from_secs(30), || stale(&envoy) == all),
            "{} of {all} are stale",
            stale(&envoy)
        );
        for row in &failing {
            let expected = format!("no keys from {}", row.server.url());
            assert!(envoy.wait_for_log(&expected, SLACK), "{expected}");
            assert_passes(&mut client, &request(row.name), row.name);
            let unknown = Token::new(&issuer(row.name)).sign(&stranger, Algorithm::RS256);
            let response = client.send(&Request::get(format!("/{}", row.name)).bearer(unknown));
            assert_denied(&response, "key_not_found", row.name);
        }
        assert_eq!(stale(&envoy), all, "told once for each");
        health.assert_unharmed(&mut envoy);
    });
}

/// What is odd about a set and does no harm: its good keys are used, the others named.
#[test]
fn good_keys_of_an_odd_set_are_used() {
    let good = key().public_jwk();
    let other = keys::other_rsa().with_kid("other").public_jwk();
    let private = json!({"kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"});
    let same_kid = keys::other_rsa()
        .with_kid(key().kid().expect("a kid"))
        .public_jwk();
    let many: Vec<Value> = (0..10_000)
        .map(|n| json!({"kty": "x", "kid": n.to_string()}))
        .collect();
    let first = [vec![good.clone()], many].concat();
    let html = Answer::ok(keys::jwks([good.clone()])).header("content-type", "text/html");
    let rows = [
        (
            "duplicate",
            Answer::ok(keys::jwks([same_kid, good.clone()])),
        ),
        (
            "secret-beside",
            Answer::ok(keys::jwks([private, good.clone()])),
        ),
        ("ten-thousand", Answer::ok(keys::jwks(first))),
        ("content-type", html),
        ("two", Answer::ok(keys::jwks([other, good]))),
    ];
    envoy::for_oldest_and_newest(|version| {
        let upstream = Upstream::start();
        let sources: Vec<Failing> = rows
            .iter()
            .map(|(name, answer)| {
                let server = JwksServer::start("");
                server.answer(answer.clone());
                Failing {
                    name,
                    server,
                    behaviour: None,
                    outcome: "success",
                    denial: "",
                }
            })
            .collect();
        let mut envoy = Envoy::start(version, &config(&upstream, &sources));
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        for row in &sources {
            assert_passes(&mut client, &request(row.name), row.name);
        }
        let log = envoy.log();
        assert!(!log.contains("c2VjcmV0"), "key material is in the log");
        health.assert_unharmed(&mut envoy);
    });
}

fn request(name: &str) -> Request {
    let token = Token::new(&issuer(name)).sign(&key(), Algorithm::RS256);
    Request::get(format!("/{name}")).bearer(token)
}

fn issuer(name: &str) -> String {
    format!("https://{name}.example.com")
}

fn config(upstream: &Upstream, failing: &[Failing]) -> Config {
    let provider = |row: &Failing| {
        json!({
            "issuer": issuer(row.name),
            "jwks_url": row.server.url(),
            "jwks_timeout_ms": u64::try_from(TIMEOUT.as_millis()).expect("milliseconds fit"),
        })
    };
    let providers: Map<String, Value> = failing
        .iter()
        .map(|row| (row.name.to_owned(), provider(row)))
        .collect();
    let apps: Vec<Value> = failing.iter().map(|row| app(row.name)).collect();
    let policy = json!({"providers": providers, "apps": apps});
    let config = Config::new(upstream.addr()).filter(compiled(&policy));
    failing.iter().fold(config, |config, row| {
        config.cluster(&row.server.authority(), row.server.addr())
    })
}

fn app(name: &str) -> Value {
    json!({
        "slug": name,
        "gateway_path": format!("/{name}"),
        "default_policy": {"auth": {"auth_type": "jwt", "providers": [name]}},
    })
}

/// A policy whose cluster Envoy does not have is a mistake of the configuration that only shows at run
/// time: it denies at once, and the log says what to do.
#[test]
fn a_cluster_that_envoy_does_not_have_denies_and_is_named_in_the_log() {
    let upstream = Upstream::start();
    let policy = json!({
        "providers": {"typo": {
            "issuer": issuer("typo"), "jwks_url": "https://idp.example.com/jwks",
            "jwks_cluster": "ipd",
        }},
        "apps": [app("typo")],
    });
    let config = Config::new(upstream.addr()).filter(compiled(&policy));
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        assert!(envoy.wait_for_log("is the cluster configured?", SLACK));
        let asked = Instant::now();
        assert_denied(
            &envoy.client().send(&request("typo")),
            "jwks_unavailable",
            "",
        );
        // The default timeout is 5 s; what cannot be sent is tried again after 1 s.
        assert!(
            asked.elapsed() < Duration::from_secs(6),
            "{:?}",
            asked.elapsed()
        );
        assert!(fetches(&envoy.stats(), "not_sent") > 0);
        health.assert_unharmed(&mut envoy);
    });
}

/// Keys that were good stay in use while their server fails, as long as the policy says.
#[test]
fn good_keys_outlive_their_server_for_a_bounded_time() {
    let long = JwksServer::start(keys::jwks([key().public_jwk()]));
    let short = JwksServer::start(keys::jwks([key().public_jwk()]));
    let upstream = Upstream::start();
    let provider = |server: &JwksServer, name: &str, stale: u64| {
        json!({
            "issuer": issuer(name), "jwks_url": server.url(), "jwks_timeout_ms": 500,
            "jwks_cache_ttl_secs": 1, "jwks_max_stale_secs": stale,
        })
    };
    let policy = json!({
        "providers": {"long": provider(&long, "long", 3600), "short": provider(&short, "short", 0)},
        "apps": [app("long"), app("short")],
    });
    let config = Config::new(upstream.addr())
        .filter(compiled(&policy))
        .cluster(&long.authority(), long.addr())
        .cluster(&short.authority(), short.addr());
    envoy::for_oldest_and_newest(|version| {
        long.up();
        short.up();
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        let (kept, lost) = (request("long"), request("short"));
        assert_passes(&mut client, &kept, "the server is up");
        assert_passes(&mut client, &lost, "the server is up");
        long.down();
        short.down();
        let denied = eventually(Duration::from_secs(10), || client.send(&lost).status != 200);
        assert!(denied, "keys without a bound");
        assert_denied(&client.send(&lost), "jwks_unavailable", "beyond its bound");
        assert!(
            envoy.wait_for_log(
                "stay in use while fetching them fails",
                Duration::from_secs(5)
            ),
            "the operator is told"
        );
        assert_passes(&mut client, &kept, "within its bound");
        long.up();
        short.up();
        let recovered = eventually(Duration::from_secs(15), || client.send(&lost).status == 200);
        assert!(recovered);
        assert_passes(&mut client, &kept, "again");
        health.assert_unharmed(&mut envoy);
    });
}
