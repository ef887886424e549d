//! Lists of what is revoked: as long as they may be, broken, stale, and not there at all.

use std::{fs, thread, time::Duration};

use nexus_tests::{
    envoy::{self, Config, Envoy, Stats, Version},
    eventually,
    http::Request,
    jwks_server::{Answer, Behaviour, JwksServer},
    keys::Algorithm,
    nexusctl::Nexusctl,
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{
    Health, assert_denied, assert_passes, inline_provider, key, token, with_policy,
};

const MIB: u64 = 1 << 20;
const MILLION: u32 = 1_000_000;

/// Hexadecimal digits that look like what issuers take for a `jti`.
fn jti(number: u32) -> String {
    format!(
        "{:08x}-5f0e-4c1d-9a51-{number:012x}",
        number.wrapping_mul(0x9e37_79b9)
    )
}

fn request(jti: &str) -> Request {
    Request::get("/").bearer(token().claim("jti", jti).sign(&key(), Algorithm::RS256))
}

fn policy(list: &JwksServer, more: &Value) -> Value {
    let mut auth = inline_provider();
    auth["auth_type"] = json!("jwt");
    auth["revocation_url"] = json!(list.url());
    for (name, value) in more.as_object().expect("fields") {
        auth[name] = value.clone();
    }
    json!({"slug": "app", "gateway_path": "/", "default_policy": {"auth": auth}})
}

fn config(upstream: &Upstream, list: &JwksServer, more: &Value) -> Config {
    with_policy(upstream.addr(), &policy(list, more)).cluster(&list.authority(), list.addr())
}

fn fetched(stats: &Stats, outcome: &str) -> u64 {
    stats.value(&format!("wasmcustom.nexus.revocation_fetch.{outcome}"))
}

/// What `nexusctl compile-revocations` makes of a million lines.
fn a_million() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines: String = (0..MILLION).map(|number| jti(number) + "\n").collect();
    fs::write(folder.path().join("revoked.txt"), lines).expect("writing the lines");
    let output = Nexusctl::new([
        "compile-revocations",
        "--jti",
        "revoked.txt",
        "-o",
        "revoked.bin",
    ])
    .folder(folder.path())
    .run()
    .expect_code(0);
    assert!(
        output
            .stderr_text()
            .contains("1000000 entries in 12000016 bytes")
    );
    fs::read(folder.path().join("revoked.bin")).expect("the list was written")
}

/// A million entries come through a callout of Envoy, each of them is refused and nothing else, and they
/// take what `docs/revocation-lists.md` says.
#[test]
fn revocation_of_a_million_tokens_holds_in_the_memory_that_is_stated() {
    let million = a_million();
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let list = JwksServer::start(million.clone());
        let more = json!({"revocation_timeout_ms": 20_000});
        let mut envoy = Envoy::start(version, &config(&upstream, &list, &more));
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        for number in (0..MILLION).step_by(99_991).chain([1, MILLION - 1]) {
            assert_denied(
                &client.send(&request(&jti(number))),
                "token_revoked",
                "listed",
            );
        }
        for number in (MILLION..MILLION + 20).chain([u32::MAX]) {
            assert_passes(&mut client, &request(&jti(number)), "not listed");
        }
        assert!(fetched(&envoy.stats(), "success") > 0);
        assert!(
            envoy
                .log()
                .contains("fetched a revocation list of 1000000 entries")
        );
        health.assert_unharmed(&mut envoy);
        drop(envoy);

        let (first, replaced) = memory_of_a_vm(version, &upstream, &million);
        println!(
            "envoy {version}: a VM takes {first} bytes more with a million entries, {replaced} once they were replaced"
        );
        assert!(first >= 11 * MIB, "{first}: the list is not there");
        // Two lists, and what Envoy's allocator keeps of the buffered answers.
        assert!(replaced <= 48 * MIB, "{replaced}");
    });
}

/// What a list of a million entries adds to the resident memory for each VM that has it: when it was fetched
/// once, and when it was replaced several times.
fn memory_of_a_vm(version: &Version, upstream: &Upstream, million: &[u8]) -> (u64, u64) {
    const WORKERS: u32 = 4;
    let measure = |body: &[u8], rounds: u64| {
        let list = JwksServer::start(body.to_vec());
        let ttl = if rounds > 1 { 1 } else { 3600 };
        let more = json!({"revocation_timeout_ms": 20_000, "revocation_cache_ttl_secs": ttl});
        let config = config(upstream, &list, &more)
            .concurrency(WORKERS)
            .log_level("warn", "warn");
        let envoy = Envoy::start(version, &config);
        let enough = eventually(Duration::from_secs(60), || {
            fetched(&envoy.stats(), "success") >= rounds
        });
        assert!(enough, "{} of {rounds}", fetched(&envoy.stats(), "success"));
        // The other workers take it over.
        thread::sleep(Duration::from_secs(3));
        envoy.resident_bytes()
    };
    // Each worker has a VM, and the main thread.
    let holders = u64::from(WORKERS) + 1;
    let empty = measure(br#"{"jti": []}"#, 1);
    let once = measure(million, 1);
    let often = measure(million, 4);
    let share = |bytes: u64| bytes.saturating_sub(empty) / holders;
    (share(once), share(often))
}

/// Whatever the source says next, a good list stays in use; where there was none, nobody passes.
#[test]
fn revocation_by_broken_lists_keeps_the_good_one_and_lets_nobody_through_without() {
    let compact = {
        let output = Nexusctl::new(["compile-revocations", "-"])
            .stdin(r#"{"jti": ["revoked", "other"]}"#)
            .run()
            .expect_code(0);
        output.stdout
    };
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = compact.clone();
        change(&mut bytes);
        Behaviour::Answer(Answer::ok(bytes))
    };
    let broken = [
        (
            "html",
            Behaviour::Answer(Answer::ok("<html>Sign in</html>")),
        ),
        (
            "redirect",
            Behaviour::Answer(Answer::status(301).header("location", "/x")),
        ),
        ("object", Behaviour::Answer(Answer::ok("{}"))),
        ("misspelt", Behaviour::Answer(Answer::ok(r#"{"jtis": []}"#))),
        (
            "large",
            Behaviour::Answer(Answer::ok(format!(
                r#"{{"jti": ["{}"]}}"#,
                "a".repeat(1 << 20)
            ))),
        ),
        (
            "too-large",
            Behaviour::Answer(Answer::ok([&compact[..12], &[0xff; 26 << 20]].concat())),
        ),
        (
            "beyond-envoy",
            Behaviour::Answer(Answer::ok([&compact[..12], &[0xff; 34 << 20]].concat())),
        ),
        ("cut", changed(&|bytes| bytes.truncate(39))),
        ("longer", changed(&|bytes| bytes.push(0))),
        ("version", changed(&|bytes| bytes[11] = 2)),
        ("unsorted", changed(&|bytes| bytes[16..40].rotate_left(12))),
        (
            "reset",
            Behaviour::ResetMidBody(Answer::ok(compact.clone())),
        ),
        ("close", Behaviour::Close),
    ];
    let upstream = Upstream::start();
    let version = envoy::newest();
    for (name, behaviour) in broken {
        let list = JwksServer::start(compact.clone());
        let more = json!({"revocation_cache_ttl_secs": 1, "revocation_timeout_ms": 2000});
        let mut envoy = Envoy::start(&version, &config(&upstream, &list, &more));
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        assert_denied(&client.send(&request("revoked")), "token_revoked", name);
        list.behave(behaviour.clone());
        let told = envoy.wait_for_log(
            "is older than its time to live and stays in use",
            Duration::from_secs(20),
        );
        assert!(told, "{name}: {}", envoy.log_end());
        assert_denied(&client.send(&request("revoked")), "token_revoked", name);
        assert_passes(&mut client, &request("good"), name);
        health.assert_unharmed(&mut envoy);
        drop(envoy);

        let mut envoy = Envoy::start(&version, &config(&upstream, &list, &more));
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        assert_denied(
            &client.send(&request("good")),
            "revocations_unavailable",
            name,
        );
        health.assert_unharmed(&mut envoy);
    }
}

/// A list is refreshed; while its source fails it is used as long as the policy says, and then nobody passes.
#[test]
fn revocation_lists_are_refreshed_and_do_not_outlive_their_bound() {
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let list = JwksServer::start(r#"{"jti": ["first"]}"#);
        let more = json!({
            "revocation_cache_ttl_secs": 1, "revocation_max_stale_secs": 2, "revocation_timeout_ms": 300,
        });
        let mut envoy = Envoy::start(version, &config(&upstream, &list, &more));
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        let (first, second) = (request("first"), request("second"));
        assert_denied(&client.send(&first), "token_revoked", "listed");
        assert_passes(&mut client, &second, "not yet");
        list.serve(r#"{"jti": ["second"]}"#);
        let refreshed = eventually(Duration::from_secs(5), || {
            client.send(&second).status == 401
        });
        assert!(refreshed);
        assert_passes(&mut client, &first, "taken off the list");
        list.down();
        let gone = eventually(Duration::from_secs(10), || {
            client.send(&first).status == 503
        });
        assert!(gone, "a list without a bound");
        assert_denied(
            &client.send(&first),
            "revocations_unavailable",
            "beyond its bound",
        );
        assert!(fetched(&envoy.stats(), "status") > 0);
        list.up();
        let back = eventually(Duration::from_secs(15), || {
            client.send(&first).status == 200
        });
        assert!(back);
        health.assert_unharmed(&mut envoy);
    });
}

/// A cluster that Envoy does not have only shows at run time: it denies, and the log says what to do.
#[test]
fn revocation_through_a_cluster_that_envoy_does_not_have_denies() {
    let upstream = Upstream::start();
    let list = JwksServer::start(r#"{"jti": []}"#);
    let more = json!({"revocation_cluster": "typo", "revocation_timeout_ms": 300});
    let mut envoy = Envoy::start(&envoy::newest(), &config(&upstream, &list, &more));
    let health = Health::of(&envoy);
    assert_denied(
        &envoy.client().send(&request("x")),
        "revocations_unavailable",
        "",
    );
    assert!(envoy.wait_for_log("is the cluster configured?", Duration::from_secs(5)));
    assert!(fetched(&envoy.stats(), "not_sent") > 0);
    health.assert_unharmed(&mut envoy);
}
