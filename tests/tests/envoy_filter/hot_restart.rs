//! One Envoy takes over from another while requests come in.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use nexus_tests::{
    client::Client,
    envoy::{self, Config, Envoy, HotRestart},
    eventually,
    http::Request,
    jwks_server::{Behaviour, JwksServer},
    keys::{self, Key},
    upstream::Upstream,
};

use crate::{
    scene::{assert_passes, compiled},
    sharing::{counts, policy, request, serve},
};

const PROVIDERS: usize = 2;
const WORKERS: u32 = 2;
/// How many requests are enough to say that there is traffic.
const MORE: u64 = 200;

const LONG: Duration = Duration::from_secs(30);

fn key() -> Key {
    keys::rsa().with_kid("key")
}

fn config(upstream: &Upstream, jwks: &JwksServer, times: HotRestart) -> Config {
    Config::new(upstream.addr())
        .filter(compiled(&policy(jwks, PROVIDERS)))
        .cluster(&jwks.authority(), jwks.addr())
        .concurrency(WORKERS)
        .hot_restart(times)
}

/// How often each source was asked, which is that often for all of them.
fn asked(jwks: &JwksServer) -> BTreeMap<usize, usize> {
    let mut sources = BTreeMap::new();
    for count in counts(jwks).into_values() {
        *sources.entry(count).or_default() += 1;
    }
    sources
}

/// Nobody whose token is good notices: not who keeps a connection for as long as Envoy lets him, nor who comes anew each
/// time, while one process starts, both serve, and the other one ends.
#[test]
fn a_hot_restart_under_load_fails_no_good_token_and_fetches_each_source_once_more() {
    let times = HotRestart {
        drain_secs: 2,
        shutdown_secs: 4,
    };
    let upstream = Upstream::start();
    let requests: Vec<Request> = (0..PROVIDERS).map(|at| request(at, &key())).collect();
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        serve(&jwks, &key());
        let config = config(&upstream, &jwks, times);
        let old = Envoy::start(version, &config);
        for request in &requests {
            assert_passes(&mut old.client(), request, "before");
        }
        assert_eq!(asked(&jwks), BTreeMap::from([(1, PROVIDERS)]));

        let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let addr = old.addr();
        let (mut new, sent_before, sent_between) = thread::scope(|scope| {
            for number in 0..4 {
                let (is_over, sent, requests) = (&is_over, &sent, &requests);
                scope.spawn(move || {
                    let mut client = Client::new(addr);
                    for request in requests.iter().cycle() {
                        if is_over.load(Ordering::Relaxed) {
                            return;
                        }
                        assert_passes(&mut client, request, "during the restart");
                        sent.fetch_add(1, Ordering::Relaxed);
                        if number % 2 == 0 {
                            client = Client::new(addr);
                        }
                        thread::sleep(Duration::from_millis(2));
                    }
                });
            }
            let _ending = Ending(&is_over);
            let at_least = |count: u64| eventually(LONG, || sent.load(Ordering::Relaxed) >= count);
            assert!(at_least(MORE), "traffic through the old process");
            let sent_before = sent.load(Ordering::Relaxed);
            let new = old.restart(version, &config);
            let (status, log) = old.wait_for_end(LONG);
            assert!(status.success(), "the old process: {status}");
            assert!(!log.contains("Uncaught"), "{log}");
            let sent_between = sent.load(Ordering::Relaxed) - sent_before;
            assert!(
                at_least(sent_before + sent_between + MORE),
                "traffic through the new process"
            );
            (new, sent_before, sent_between)
        });
        println!("{sent_before} requests before, {sent_between} while both were there");
        assert!(sent_between > 0);
        for request in &requests {
            assert_passes(&mut new.client(), request, "behind");
        }
        assert_eq!(asked(&jwks), BTreeMap::from([(2, PROVIDERS)]));
        // All since the end of the old one were its own.
        let served = new.wait_for_access_log(MORE as usize);
        assert!(served.iter().all(|entry| entry.status == 200));
        assert!(!new.log().contains("Uncaught"), "{}", new.log_end());
        assert!(new.is_alive());
    });
}

/// Tells the clients that it is over, also when a check fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Requests that wait for keys in the old process are answered by it, and those in the new one by the new one.
#[test]
fn requests_that_wait_during_a_hot_restart_are_answered_by_the_process_that_has_them() {
    let times = HotRestart {
        drain_secs: 10,
        shutdown_secs: 60,
    };
    let upstream = Upstream::start();
    let requests: Vec<Request> = (0..PROVIDERS).map(|at| request(at, &key())).collect();
    let waiting = 8;
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        jwks.behave(Behaviour::Hold);
        let config = config(&upstream, &jwks, times);
        let mut old = Envoy::start(version, &config);
        thread::scope(|scope| {
            // The address is that of both processes; who gets a connection is said by when it is made.
            let addr = old.addr();
            let ask = |note: &'static str| {
                for request in requests.iter().cycle().take(waiting) {
                    scope.spawn(move || assert_passes(&mut Client::new(addr), request, note));
                }
            };
            ask("in the old process");
            old.wait_for_stats("jwks_cache", LONG, |stats| {
                stats.value("wasmcustom.nexus.jwks_cache.miss") == waiting as u64
            });
            assert!(jwks.wait_for_requests(PROVIDERS, LONG));
            let new = old.restart(version, &config);
            assert!(jwks.wait_for_requests(2 * PROVIDERS, LONG));
            ask("in the new process");
            // It counts what the old one has counted as its own.
            new.wait_for_stats("jwks_cache", LONG, |stats| {
                stats.value("wasmcustom.nexus.jwks_cache.miss") == 2 * waiting as u64
            });
            serve(&jwks, &key());
            let passed = |envoy: &Envoy| {
                let log = envoy.access_log();
                log.iter().filter(|entry| entry.status == 200).count()
            };
            let all = || passed(&old) + passed(&new) == 2 * waiting;
            assert!(
                eventually(LONG, all),
                "{} and {}",
                passed(&old),
                passed(&new)
            );
            // The old one may get a connection while it stops to listen.
            assert!(passed(&old) >= waiting && passed(&new) > 0);
            for process in [&old, &new] {
                assert!(!process.log().contains("Uncaught"), "{}", process.log_end());
            }
        });
        assert_eq!(asked(&jwks), BTreeMap::from([(2, PROVIDERS)]));
        assert!(old.is_alive());
    });
}
