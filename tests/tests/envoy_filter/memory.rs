//! What the filter takes: the memory of a VM that waits for work, and no more of it after a hundred thousand requests.

use std::{thread, time::Duration};

use nexus_tests::{
    envoy::{self, Config, Envoy, Version},
    http::Request,
    jwks_server::JwksServer,
    keys::{self, Algorithm, Key},
    load,
    tokens::{self, Token},
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{Health, ISSUER, assert_passes, token, with_policy};

const MIB: u64 = 1 << 20;

fn policy(jwks: &JwksServer) -> Value {
    json!({
        "slug": "app", "gateway_path": "/",
        "default_policy": {"auth": {
            "auth_type": "jwt", "issuer": ISSUER, "audience": "orders", "jwks_url": jwks.url(),
            "required_claims": ["sub"],
            "forward_claims_as_headers": {"sub": "X-User-Id", "email": "X-User-Email"},
        }},
    })
}

fn ed25519() -> Key {
    keys::for_algorithm(Algorithm::EdDSA).with_kid("ed25519")
}

fn rsa() -> Key {
    keys::rsa().with_kid("rsa")
}

/// What one more worker costs in resident memory with the filter, less what it costs without: all that a
/// VM takes, V8's share included, and not only the module's linear memory. Envoy's own figure
/// (`/memory`) does not know V8's.
#[test]
fn the_vm_of_an_idle_worker_takes_at_most_eight_mebibytes() {
    const MORE: u32 = 8;
    let jwks = JwksServer::start(keys::jwks([rsa().public_jwk(), ed25519().public_jwk()]));
    let upstream = Upstream::start();
    let plain = Config::new(upstream.addr());
    let filtered =
        with_policy(upstream.addr(), &policy(&jwks)).cluster(&jwks.authority(), jwks.addr());
    envoy::for_oldest_and_newest(|version| {
        let cost = |config: &Config| {
            let few = idle(version, &config.clone().concurrency(1));
            let many = idle(version, &config.clone().concurrency(1 + MORE));
            many.saturating_sub(few) / u64::from(MORE)
        };
        // Envoy's allocator may have more or less in reserve; a measurement that shows nothing is made again.
        let vm = (0..3).find_map(|_| {
            let (without, with) = (cost(&plain), cost(&filtered));
            let vm = with.saturating_sub(without);
            println!("a worker: {without} bytes without the filter, {with} with it; its VM: {vm}");
            (vm > 0).then_some(vm)
        });
        let vm = vm.expect("a VM takes something, or the measurement is wrong");
        assert!(vm <= 8 * MIB, "{vm} bytes");
    });
}

/// Resident memory once each worker has fetched its keys.
fn idle(version: &Version, config: &Config) -> u64 {
    let envoy = Envoy::start(version, config);
    if envoy.stats().with("wasmcustom.nexus").is_empty() {
        return envoy.resident_bytes();
    }
    envoy.wait_for_stats("wasm", Duration::from_secs(10), |stats| {
        stats.value("wasmcustom.nexus.jwks_fetch.success") > 0
    });
    // The others take them over at once.
    thread::sleep(Duration::from_millis(500));
    envoy.resident_bytes()
}

/// Nothing is kept of a request. What may still grow between 10,000 and 100,000 requests is V8's: it
/// compiles hot functions anew in the background, and its garbage collector and Envoy's allocator give
/// pages back when they like. Keeping even 40 bytes of each request would be more.
#[test]
fn a_hundred_thousand_requests_leave_no_more_memory_than_ten_thousand() {
    const TOLERATED: u64 = 3 * MIB;
    let jwks = JwksServer::start(keys::jwks([rsa().public_jwk(), ed25519().public_jwk()]));
    let upstream = Upstream::start();
    let config = with_policy(upstream.addr(), &policy(&jwks))
        .cluster(&jwks.authority(), jwks.addr())
        .log_level("warn", "warn");
    let requests = mixed_requests();
    let (expected, requests): (Vec<u16>, Vec<Request>) = requests.into_iter().unzip();
    envoy::for_oldest_and_newest(|version| {
        upstream.clear();
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut sizes = Vec::new();
        let mut passed = 0;
        for total in [10_000, 30_000, 30_000, 30_000] {
            let report = load::run(envoy.addr(), 8, &requests, total);
            assert_eq!(report.failed, 0, "{:?}", report.failures);
            assert_eq!(report.answered(), total);
            for (index, (counts, expected)) in report.by_request.iter().zip(&expected).enumerate() {
                let other = counts.keys().find(|status| *status != expected);
                assert_eq!(
                    other, None,
                    "request {index}: {counts:?} instead of {expected}"
                );
            }
            passed += report.by_status()[&200];
            sizes.push(envoy.resident_bytes());
            println!("{total} requests in {:?}", report.elapsed);
        }
        println!("resident bytes: {sizes:?}");
        assert!(sizes[3] <= sizes[0] + TOLERATED, "{sizes:?}");
        envoy.assert_allowed(passed);
        assert_eq!(upstream.count(), passed);
        envoy.assert_denied(100_000 - passed);
        let good = Request::get("/").bearer(token().sign(&rsa(), Algorithm::RS256));
        assert_passes(&mut envoy.client(), &good, "behind all of it");
        health.assert_unharmed(&mut envoy);
    });
}

/// Some thousand requests, no two of which have the same token, with the status of each.
fn mixed_requests() -> Vec<(u16, Request)> {
    let named = |number: u32| token().expires_in(3600).claim("jti", format!("{number}"));
    let request =
        |number: u32, token: String| Request::get(format!("/{number}?q={number}")).bearer(token);
    let ed25519 = |token: Token| token.sign(&ed25519(), Algorithm::EdDSA);
    let mut requests = Vec::new();
    for number in 0..400 {
        let email = format!("user-{number}@example.com");
        let eddsa = ed25519(named(number).claim("email", email.clone()));
        let rs256 = named(number)
            .claim("email", email)
            .sign(&rsa(), Algorithm::RS256);
        let made_up = keys::for_algorithm(Algorithm::EdDSA).with_kid(&format!("made-up-{number}"));
        let unknown = named(number).sign(&made_up, Algorithm::EdDSA);
        let large = ed25519(named(number).claim("filler", "a".repeat(20 * number as usize)));
        requests.extend([
            (200, request(number, eddsa.clone())),
            (200, request(number, rs256.clone())),
            (200, request(number, large)),
            (401, request(number, tokens::with_broken_signature(&eddsa))),
            (401, request(number, tokens::with_broken_signature(&rs256))),
            (401, request(number, unknown)),
            (
                401,
                request(number, ed25519(named(number).expires_in(-3600))),
            ),
            (
                401,
                request(
                    number,
                    ed25519(named(number).claim("iss", format!("https://{number}.example.com"))),
                ),
            ),
            (401, request(number, format!("{number}.{number}.{number}"))),
            (
                401,
                Request::get(format!("/{number}")).header("x-user-id", [0xFF, 0xFE]),
            ),
            (
                403,
                request(number, ed25519(named(number).audience(format!("{number}")))),
            ),
            (403, request(number, ed25519(named(number).without("sub")))),
            (400, request(number, eddsa.clone()).bearer(&rs256)),
            (400, Request::get(format!("/{number}%2f")).bearer(&eddsa)),
        ]);
    }
    requests
}
