//! A hundred thousand tokens that nobody signed, each with a `kid` of its own.

use std::{
    collections::BTreeMap,
    env,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use nexus_tests::{
    envoy::{self, Envoy},
    flood::{self, Forger, Kind},
    http::Request,
    jwks_server::{Behaviour, JwksServer},
    keys,
    keys::Algorithm,
    upstream::Upstream,
};
use serde_json::json;

use crate::scene::{Health, ISSUER, assert_passes, fetches, key, token, with_policy};

const KEY_NOT_FOUND: &str = "wasmcustom.nexus.denied.key_not_found";

/// How many made-up tokens are sent to each Envoy, if the variable [`VARIABLE`] does not say.
const FORGED: u64 = 20_000;

/// Sets how many it is.
const VARIABLE: &str = "NEXUS_FLOOD_REQUESTS";

/// Of a growth of more than that, in bytes, something is kept of the requests: see the test of memory.
const TOLERATED: u64 = 3 << 20;

fn forged() -> u64 {
    match env::var(VARIABLE) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("`{VARIABLE}` is `{value}`, which is no number")),
        Err(_) => FORGED,
    }
}

/// Made-up tokens that come together wait together, for the fetch that the first one of them asks for. All of them are
/// answered, by a worker that lives: what it does to end a request may not pile up.
#[test]
fn made_up_tokens_that_wait_together_are_all_refused() {
    const TOGETHER: u64 = 1_000;
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let set = keys::jwks([key().public_jwk()]);
        let jwks = JwksServer::start(set.clone());
        let policy = json!({
            "slug": "app", "gateway_path": "/",
            "default_policy": {"auth": {
                "auth_type": "jwt", "issuer": ISSUER, "audience": "orders", "jwks_url": jwks.url(),
                "jwks_timeout_ms": 60_000,
            }},
        });
        let config = with_policy(upstream.addr(), &policy)
            .cluster(&jwks.authority(), jwks.addr())
            .concurrency(1)
            .log_level("warn", "warn");
        let mut envoy = Envoy::start(version, &config);
        envoy.wait_for_stats("jwks_fetch", Duration::from_secs(10), |stats| {
            fetches(stats, "success") == 1
        });
        let health = Health::of(&envoy);
        let good = token().expires_in(3600).sign(&key(), Algorithm::RS256);
        let forger = Forger::like(&good);
        jwks.behave(Behaviour::Hold);
        let mut waiting: Vec<TcpStream> = (0..TOGETHER)
            .map(|number| {
                let mut stream = TcpStream::connect(envoy.addr()).expect("Envoy accepts");
                stream
                    .write_all(&forger.request(number))
                    .expect("the request is sent");
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .expect("a timeout can be set");
                stream
            })
            .collect();
        envoy.wait_for_stats("downstream_rq", Duration::from_secs(20), |stats| {
            stats.value("http.ingress.downstream_rq_active") >= TOGETHER
        });
        jwks.serve(set);
        for (number, stream) in waiting.iter_mut().enumerate() {
            let mut answer = [0; 12];
            stream
                .read_exact(&mut answer)
                .unwrap_or_else(|error| panic!("request {number} is not answered: {error}"));
            assert_eq!(&answer, b"HTTP/1.1 401", "request {number}");
        }
        let for_kid = envoy.assert_denied(TOGETHER).value(KEY_NOT_FOUND);
        assert_eq!(for_kid, TOGETHER);
        let good = Request::get("/").bearer(good);
        assert_passes(&mut envoy.client(), &good, "behind all of it");
        health.assert_unharmed(&mut envoy);
    });
}

/// The flood takes no fetch beyond what the documentation grants it, every made-up token is refused, no good one is, and
/// nothing is kept of any of them.
#[test]
fn a_flood_of_random_kids_costs_the_fetches_of_its_bucket_and_keeps_nobody_out() {
    let forged = forged();
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start(keys::jwks([key().public_jwk()]));
        // No fetch is for freshness.
        let policy = json!({
            "slug": "app", "gateway_path": "/",
            "default_policy": {"auth": {
                "auth_type": "jwt", "issuer": ISSUER, "audience": "orders", "jwks_url": jwks.url(),
                "jwks_cache_ttl_secs": 86_400,
            }},
        });
        let config = with_policy(upstream.addr(), &policy)
            .cluster(&jwks.authority(), jwks.addr())
            .log_level("warn", "warn");
        let mut envoy = Envoy::start(version, &config);
        envoy.wait_for_stats("jwks_fetch", Duration::from_secs(10), |stats| {
            fetches(stats, "success") == 1
        });
        let health = Health::of(&envoy);
        let good: Vec<Vec<u8>> = (0..32)
            .map(|number| {
                let token = token().expires_in(3600).claim("jti", format!("{number}"));
                Request::get("/")
                    .bearer(token.sign(&key(), Algorithm::RS256))
                    .to_bytes()
            })
            .collect();
        let forger = Forger::like(&token().expires_in(3600).sign(&key(), Algorithm::RS256));
        let good_request = |number: u64| good[number as usize % good.len()].clone();
        let began = Instant::now();
        let mut sizes = Vec::new();
        // What is allocated once, such as what V8 makes of hot functions, is there behind a fifth.
        for part in 0..5 {
            let first = part * (forged / 5);
            let bad_request = |number: u64| forger.request(first + number);
            let kinds = [
                Kind {
                    total: forged / 20,
                    request: &good_request,
                },
                Kind {
                    total: forged / 5,
                    request: &bad_request,
                },
            ];
            let report = flood::run(envoy.addr(), 16, &kinds);
            assert_eq!(report.failures, [""; 0]);
            let expected = kinds.iter().zip([200, 401]);
            let expected = expected.map(|(kind, status)| BTreeMap::from([(status, kind.total)]));
            assert_eq!(report.by_kind, expected.collect::<Vec<_>>());
            sizes.push(envoy.resident_bytes());
            println!("{} requests in {:?}", forged / 4, report.elapsed);
        }
        let most = flood::most_refetches(began.elapsed());
        let asked = jwks.count();
        println!(
            "{asked} fetches in {:?}; resident bytes: {sizes:?}",
            began.elapsed()
        );
        // The first one was for the start, and the first token that nobody knew had it asked at once.
        assert!(
            (2..=1 + most).contains(&asked),
            "{asked} fetches, at most {most} for the flood"
        );
        assert!(sizes[4] <= sizes[0] + TOLERATED, "{sizes:?}");
        let refused = forged / 5 * 5;
        let for_kid = envoy.assert_denied(refused).value(KEY_NOT_FOUND);
        assert_eq!(for_kid, refused, "all of them for their `kid`");
        health.assert_unharmed(&mut envoy);
    });
}
