//! Keys that change while Envoy runs.

use std::time::{Duration, Instant};

use nexus_tests::{
    envoy::{self, Envoy},
    eventually,
    http::Request,
    jwks_server::JwksServer,
    keys::{self, Algorithm, Key},
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{Health, ISSUER, assert_denied, assert_passes, token, with_policy};

fn policy(jwks: &JwksServer) -> Value {
    json!({
        "slug": "app", "gateway_path": "/",
        "default_policy": {"auth": {
            "auth_type": "jwt", "issuer": ISSUER, "audience": "orders", "jwks_url": jwks.url(),
        }},
    })
}

fn request(key: &Key) -> Request {
    Request::get("/").bearer(token().sign(key, Algorithm::RS256))
}

/// An unknown `kid` causes a fetch, at most every 5 s: the new key works long before the old set's
/// 300 s are over, and made-up names cost the issuer next to nothing.
#[test]
fn a_new_key_is_picked_up_and_made_up_kids_cause_no_flood_of_fetches() {
    let (old, new) = (
        keys::rsa().with_kid("old"),
        keys::other_rsa().with_kid("new"),
    );
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start(keys::jwks([old.public_jwk()]));
        let config =
            with_policy(upstream.addr(), &policy(&jwks)).cluster(&jwks.authority(), jwks.addr());
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        assert_passes(&mut client, &request(&old), "the only key");
        assert_denied(
            &client.send(&request(&new)),
            "key_not_found",
            "not published",
        );
        for number in 0..24 {
            let unknown = keys::rsa().with_kid(&format!("made-up-{number}"));
            assert_denied(&client.send(&request(&unknown)), "key_not_found", "made up");
        }
        // Each VM fetches at its start, and none again within 5 s.
        let vms = envoy.stats().value("wasm.envoy.wasm.runtime.v8.active");
        let before = jwks.count() as u64;
        assert!(before <= vms, "{before} fetches by {vms} VMs");

        jwks.serve(keys::jwks([new.public_jwk()]));
        let rotated = Instant::now();
        let mut asked = 0_u32;
        let new_token = request(&new);
        let picked_up = eventually(Duration::from_secs(10), || {
            asked += 1;
            client.send(&new_token).status == 200
        });
        assert!(
            picked_up,
            "the new key is not in use after {:?}",
            rotated.elapsed()
        );
        // One client talks to one VM.
        let more = jwks.count() as u64 - before;
        assert!(more <= 2, "{more} fetches for {asked} requests");
        assert_denied(&client.send(&request(&old)), "key_not_found", "withdrawn");
        assert_passes(&mut client, &new_token, "the new key");
        health.assert_unharmed(&mut envoy);
    });
}

/// `GATEWAY_JWKS__CACHE_TTL_SECS` says how long keys are fresh; they are renewed a little before.
#[test]
fn keys_are_renewed_within_the_time_that_the_environment_sets() {
    let (old, new) = (
        keys::rsa().with_kid("old"),
        keys::other_rsa().with_kid("new"),
    );
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start(keys::jwks([old.public_jwk()]));
        let config = with_policy(upstream.addr(), &policy(&jwks))
            .cluster(&jwks.authority(), jwks.addr())
            .host_env("GATEWAY_JWKS__CACHE_TTL_SECS", "2")
            .concurrency(1);
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        assert_passes(&mut client, &request(&old), "the first key");
        jwks.serve(keys::jwks([new.public_jwk()]));
        let started = Instant::now();
        let old_token = request(&old);
        let withdrawn = eventually(Duration::from_secs(5), || {
            client.send(&old_token).status != 200
        });
        let after = started.elapsed();
        assert!(withdrawn, "a key that was withdrawn is good for ever");
        // 80 to 90 % of 2 s after the fetch, and slack for a slow machine.
        assert!(after < Duration::from_secs(4), "{after:?}");
        assert_denied(&client.send(&old_token), "key_not_found", "withdrawn");
        assert_passes(&mut client, &request(&new), "published");
        // It goes on without any request.
        let count = jwks.count();
        assert!(jwks.wait_for_requests(count + 1, Duration::from_secs(5)));
        health.assert_unharmed(&mut envoy);
    });
}
