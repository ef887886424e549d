//! Keys that one worker fetches for all of a process.

use std::{
    collections::BTreeMap,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nexus_tests::{
    envoy::{self, Config, Envoy},
    eventually,
    http::Request,
    jwks_server::{Answer, Behaviour, JwksServer},
    keys::{self, Algorithm, Key},
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{Health, assert_denied, assert_passes, compiled, fetches, token};

const WORKERS: u32 = 8;
const PROVIDERS: usize = 20;
const LONG: Duration = Duration::from_secs(20);

fn issuer(number: usize) -> String {
    format!("https://idp-{number}.example.com")
}

fn path(number: usize) -> String {
    format!("/{number}/jwks.json")
}

/// A policy of that many providers, each with a JWKS of its own on one server.
pub(crate) fn policy(jwks: &JwksServer, providers: usize) -> Value {
    let named = |number: usize| {
        let provider = json!({
            "issuer": issuer(number), "audience": "orders",
            "jwks_url": format!("http://{}{}", jwks.authority(), path(number)),
            "jwks_timeout_ms": 60_000,
        });
        (format!("idp-{number}"), provider)
    };
    let providers: BTreeMap<String, Value> = (0..providers).map(named).collect();
    let names: Vec<&String> = providers.keys().collect();
    json!({
        "apps": [{
            "slug": "app", "gateway_path": "/",
            "default_policy": {"auth": {"auth_type": "jwt", "providers": names}},
        }],
        "providers": providers,
    })
}

pub(crate) fn request(number: usize, key: &Key) -> Request {
    let token = token().claim("iss", issuer(number));
    Request::get("/").bearer(token.sign(key, Algorithm::RS256))
}

pub(crate) fn serve(jwks: &JwksServer, key: &Key) {
    let answer = Answer::ok(keys::jwks([key.public_jwk()]));
    let paths: Vec<String> = (0..PROVIDERS).map(path).collect();
    jwks.answer_paths(paths.iter().map(|path| (path.as_str(), answer.clone())));
}

pub(crate) fn counts(jwks: &JwksServer) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in jwks.requests() {
        *counts.entry(request.path).or_default() += 1;
    }
    counts
}

/// Every worker has requests that wait for every provider; each provider is asked once, and everybody passes
/// as soon as one worker has its keys.
#[test]
fn one_fetch_serves_eight_workers() {
    let key = keys::rsa().with_kid("key");
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        jwks.behave(Behaviour::Hold);
        let config = Config::new(upstream.addr())
            .filter(compiled(&policy(&jwks, PROVIDERS)))
            .cluster(&jwks.authority(), jwks.addr())
            .concurrency(WORKERS);
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let requests: Vec<Request> = (0..PROVIDERS).map(|number| request(number, &key)).collect();
        let waiting = PROVIDERS * 4;
        thread::scope(|scope| {
            for _ in 0..4 {
                for request in &requests {
                    // A connection of its own, so that all workers have some.
                    let mut client = envoy.client();
                    scope.spawn(move || assert_passes(&mut client, request, "it waited"));
                }
            }
            envoy.wait_for_stats("jwks_cache", LONG, |stats| {
                stats.value("wasmcustom.nexus.jwks_cache.miss") == waiting as u64
            });
            assert!(jwks.wait_for_requests(PROVIDERS, LONG));
            serve(&jwks, &key);
        });
        // Whoever did not ask so far has the keys as well.
        for request in &requests {
            for _ in 0..4 {
                assert_passes(&mut envoy.client(), request, "the keys are there");
            }
        }
        let counts = counts(&jwks);
        assert_eq!(counts.len(), PROVIDERS);
        assert!(counts.values().all(|count| *count == 1), "{counts:?}");
        assert_eq!(fetches(&envoy.stats(), "success"), PROVIDERS as u64);
        health.assert_unharmed(&mut envoy);
    });
}

/// The first token with a new key is good at once, whichever worker gets it, and so is every other; a key that
/// was withdrawn is refused by all of them. It takes one fetch.
#[test]
fn a_rotation_is_known_to_all_workers_at_once() {
    let (old, new) = (
        keys::rsa().with_kid("old"),
        keys::other_rsa().with_kid("new"),
    );
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        serve(&jwks, &old);
        let config = Config::new(upstream.addr())
            .filter(compiled(&policy(&jwks, 1)))
            .cluster(&jwks.authority(), jwks.addr())
            .concurrency(WORKERS);
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let (old, new) = (request(0, &old), request(0, &new));
        for _ in 0..32 {
            assert_passes(&mut envoy.client(), &old, "the first key");
        }
        serve(&jwks, &keys::other_rsa().with_kid("new"));
        assert_passes(&mut envoy.client(), &new, "the first with the new key");
        // News travel from worker to worker without being waited for.
        thread::sleep(Duration::from_millis(200));
        for _ in 0..32 {
            assert_passes(&mut envoy.client(), &new, "the new key");
            assert_denied(&envoy.client().send(&old), "key_not_found", "withdrawn");
        }
        assert_eq!(jwks.count(), 2);
        health.assert_unharmed(&mut envoy);
    });
}

/// Made-up `kid`s at all workers together cost the source a fetch for each pause, which grow.
#[test]
fn a_flood_of_made_up_kids_is_one_trickle_of_fetches() {
    let key = keys::rsa().with_kid("key");
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        serve(&jwks, &key);
        let config = Config::new(upstream.addr())
            .filter(compiled(&policy(&jwks, 1)))
            .cluster(&jwks.authority(), jwks.addr())
            .concurrency(WORKERS);
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let good = request(0, &key);
        assert_passes(&mut envoy.client(), &good, "the key");
        let began = Instant::now();
        let mut sent = 0;
        while began.elapsed() < Duration::from_millis(6_500) {
            thread::scope(|scope| {
                for client in 0..WORKERS {
                    let made_up = keys::rsa().with_kid(&format!("{sent}-{client}"));
                    let request = request(0, &made_up);
                    let mut client = envoy.client();
                    scope.spawn(move || {
                        assert_denied(&client.send(&request), "key_not_found", "made up");
                    });
                }
            });
            assert_passes(&mut envoy.client(), &good, "in the flood");
            sent += 1;
        }
        // At the start, and 0, 1 and 3 seconds after the flood began; the next would be at 7 seconds.
        assert_eq!(jwks.count(), 4, "for {sent} times {WORKERS} requests");
        health.assert_unharmed(&mut envoy);
    });
}

/// A source that fails is asked by one worker, and staleness is told once for all of them.
#[test]
fn an_outage_is_one_workers_business() {
    let key = keys::rsa().with_kid("key");
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        serve(&jwks, &key);
        let config = Config::new(upstream.addr())
            .filter(compiled(&policy(&jwks, 1)))
            .cluster(&jwks.authority(), jwks.addr())
            .host_env("GATEWAY_JWKS__CACHE_TTL_SECS", "2")
            .concurrency(WORKERS);
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let good = request(0, &key);
        assert_passes(&mut envoy.client(), &good, "the key");
        jwks.answer(Answer::status(500));
        let before = jwks.count();
        let is_stale =
            |envoy: &Envoy| envoy.stats().value("wasmcustom.nexus.jwks_cache.stale") == 1;
        assert!(eventually(LONG, || is_stale(&envoy)));
        thread::sleep(Duration::from_millis(3_000));
        for _ in 0..32 {
            assert_passes(&mut envoy.client(), &good, "with what was good");
        }
        assert!(is_stale(&envoy));
        let asked = jwks.count() - before;
        assert!((2..=6).contains(&asked), "asked {asked} times");
        let log = envoy.log();
        assert_eq!(log.matches("stay in use").count(), 1, "{log}");
        health.assert_unharmed(&mut envoy);
    });
}

/// What a source says about its freshness counts, and what did not change is not sent again.
#[test]
fn entity_tags_and_pauses_are_honoured() {
    let key = keys::rsa().with_kid("key");
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        jwks.answer(Answer::ok(keys::jwks([key.public_jwk()])).header("etag", "\"one\""));
        let config = Config::new(upstream.addr())
            .filter(compiled(&policy(&jwks, 1)))
            .cluster(&jwks.authority(), jwks.addr())
            .host_env("GATEWAY_JWKS__CACHE_TTL_SECS", "2")
            .concurrency(2);
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let good = request(0, &key);
        assert_passes(&mut envoy.client(), &good, "the key");
        jwks.answer(Answer::status(304).header("etag", "\"one\""));
        let unchanged = |envoy: &Envoy| fetches(&envoy.stats(), "unchanged");
        assert!(eventually(LONG, || unchanged(&envoy) >= 2));
        for request in jwks.requests().iter().skip(1) {
            assert_eq!(
                request.headers.text("if-none-match").as_deref(),
                Some("\"one\"")
            );
        }
        assert_passes(&mut envoy.client(), &good, "unchanged");
        assert_eq!(fetches(&envoy.stats(), "status"), 0);
        // Left alone for as long as it asks.
        jwks.answer(Answer::status(429).header("retry-after", "6"));
        let before = jwks.count();
        assert!(eventually(LONG, || fetches(&envoy.stats(), "status") == 1));
        thread::sleep(Duration::from_secs(5));
        assert_eq!(jwks.count(), before + 1);
        assert_passes(&mut envoy.client(), &good, "while it is left alone");
        jwks.serve(keys::jwks([key.public_jwk()]));
        assert!(jwks.wait_for_requests(before + 2, LONG));
        health.assert_unharmed(&mut envoy);
    });
}

/// A new configuration takes effect without a restart. It finds the keys of the old one; only what is new in it is
/// fetched, and what it does not name any more is of no use.
#[test]
fn an_update_of_the_configuration_keeps_the_keys_of_what_it_still_names() {
    let key = keys::rsa().with_kid("key");
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        serve(&jwks, &key);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("listeners.json");
        let config = Config::new(upstream.addr())
            .filter(compiled(&policy(&jwks, 2)))
            .cluster(&jwks.authority(), jwks.addr())
            .concurrency(4)
            .edit({
                let file = file.clone();
                move |bootstrap| listeners_from(bootstrap, &file)
            });
        let mut envoy = Envoy::start(version, &config);
        let requests = [0, 1, 2].map(|number| request(number, &key));
        for request in &requests[..2] {
            assert_passes(&mut envoy.client(), request, "before");
        }
        let unknown = envoy.client().send(&requests[2]);
        assert_denied(&unknown, "token_issuer_unknown", "before");
        // Issuer 0 leaves, issuer 2 comes.
        let mut updated = policy(&jwks, 3);
        set_providers(&mut updated, &["idp-1", "idp-2"]);
        updated["providers"]
            .as_object_mut()
            .expect("providers")
            .remove("idp-0");
        update_filter(&file, &compiled(&updated));
        assert!(eventually(LONG, || {
            envoy.client().send(&requests[2]).status == 200
        }));
        for _ in 0..16 {
            assert_passes(&mut envoy.client(), &requests[1], "still named");
            assert_passes(&mut envoy.client(), &requests[2], "new");
            let gone = envoy.client().send(&requests[0]);
            assert_denied(&gone, "token_issuer_unknown", "not named any more");
        }
        let counts = counts(&jwks);
        assert_eq!(counts.len(), 3);
        assert!(counts.values().all(|count| *count == 1), "{counts:?}");
        assert!(envoy.is_alive());
    });
}

/// Updates that change one thing each: what is not new in them is not fetched again, in whichever worker a request ends
/// up, and what they leave out is of no use at once.
#[test]
fn each_kind_of_update_fetches_what_is_new_in_it_and_nothing_else() {
    let key = keys::rsa().with_kid("key");
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        serve(&jwks, &key);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("listeners.json");
        let mut named = policy(&jwks, 2);
        let config = Config::new(upstream.addr())
            .filter(compiled(&named))
            .cluster(&jwks.authority(), jwks.addr())
            .concurrency(4)
            .edit({
                let file = file.clone();
                move |bootstrap| listeners_from(bootstrap, &file)
            });
        let mut envoy = Envoy::start(version, &config);
        let requests = [0, 1, 2].map(|number| request(number, &key));
        let at_all_workers = |envoy: &Envoy, passing: &[usize], note: &str| {
            for _ in 0..16 {
                for number in passing {
                    assert_passes(&mut envoy.client(), &requests[*number], note);
                }
            }
        };
        let fetched = |expected: &[(usize, usize)], note: &str| {
            let expected: BTreeMap<String, usize> = expected
                .iter()
                .map(|(at, count)| (path(*at), *count))
                .collect();
            assert_eq!(counts(&jwks), expected, "{note}");
        };
        at_all_workers(&envoy, &[0, 1], "before");
        fetched(&[(0, 1), (1, 1)], "before");

        // Apps alone: a path that was everybody's is now nobody's but for a token, and another one is open.
        let open = json!({"path": "/open", "policy": {"auth": {"auth_type": "none"}}});
        named["apps"][0]["routes"] = json!([open]);
        update_filter(&file, &compiled(&named));
        let is_open = |envoy: &Envoy| envoy.client().send(&Request::get("/open")).status == 200;
        assert!(eventually(LONG, || is_open(&envoy)), "{}", envoy.log_end());
        at_all_workers(&envoy, &[0, 1], "other apps");
        fetched(&[(0, 1), (1, 1)], "other apps");

        // One more provider.
        named["providers"] = policy(&jwks, 3)["providers"].take();
        set_providers(&mut named, &["idp-0", "idp-1", "idp-2"]);
        update_filter(&file, &compiled(&named));
        let is_known = |envoy: &Envoy| envoy.client().send(&requests[2]).status == 200;
        assert!(eventually(LONG, || is_known(&envoy)), "{}", envoy.log_end());
        at_all_workers(&envoy, &[0, 1, 2], "one more");
        fetched(&[(0, 1), (1, 1), (2, 1)], "one more");

        // One less.
        let providers = named["providers"].as_object_mut().expect("providers");
        providers.remove("idp-0");
        set_providers(&mut named, &["idp-1", "idp-2"]);
        update_filter(&file, &compiled(&named));
        let is_gone = |envoy: &Envoy| envoy.client().send(&requests[0]).status == 401;
        assert!(eventually(LONG, || is_gone(&envoy)), "{}", envoy.log_end());
        at_all_workers(&envoy, &[1, 2], "one less");
        for _ in 0..16 {
            let gone = envoy.client().send(&requests[0]);
            assert_denied(&gone, "token_issuer_unknown", "one less");
        }
        fetched(&[(0, 1), (1, 1), (2, 1)], "one less");

        // And back: keys that are as fresh as before need no fetch.
        named["providers"] = policy(&jwks, 3)["providers"].take();
        set_providers(&mut named, &["idp-0", "idp-1", "idp-2"]);
        update_filter(&file, &compiled(&named));
        let is_back = |envoy: &Envoy| envoy.client().send(&requests[0]).status == 200;
        assert!(eventually(LONG, || is_back(&envoy)), "{}", envoy.log_end());
        at_all_workers(&envoy, &[0, 1, 2], "and back");
        fetched(&[(0, 1), (1, 1), (2, 1)], "and back");
        assert!(envoy.is_alive());
        let log = envoy.log();
        assert!(!log.contains("Uncaught"), "{}", envoy.log_end());
    });
}

fn set_providers(policy: &mut Value, names: &[&str]) {
    policy["apps"][0]["default_policy"]["auth"]["providers"] = json!(names);
}

/// Puts another configuration of the filter into the file that Envoy watches.
fn update_filter(file: &Path, configuration: &str) {
    let listeners = std::fs::read_to_string(file).expect("reading the listeners");
    let mut listeners: Value = serde_json::from_str(&listeners).expect("JSON");
    let filters = &mut listeners["resources"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        ["http_filters"];
    filters[0]["typed_config"]["config"]["configuration"]["value"] = json!(configuration);
    write_whole(file, &listeners);
}

/// Moves the listeners of a bootstrap into a file that Envoy watches.
fn listeners_from(bootstrap: &mut Value, file: &Path) {
    let mut listeners = bootstrap["static_resources"]["listeners"].take();
    for listener in listeners.as_array_mut().expect("listeners") {
        listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    }
    write_whole(file, &json!({"version_info": "1", "resources": listeners}));
    bootstrap["static_resources"]["listeners"] = json!([]);
    bootstrap["node"] = json!({"id": "test", "cluster": "test"});
    bootstrap["dynamic_resources"]["lds_config"] = json!({
        "path_config_source": {
            "path": file,
            "watched_directory": {"path": file.parent()},
        },
    });
}

/// Puts a file in its place at once: Envoy notices files that are moved there.
fn write_whole(file: &Path, content: &Value) {
    let written = file.with_extension("new");
    std::fs::write(&written, content.to_string()).expect("writing a file");
    std::fs::rename(written, file).expect("moving a file");
}
