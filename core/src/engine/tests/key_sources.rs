//! Several sources of keys at once, keys of the policy below them, and pinned keys.
//!
//! The old identity provider has the key 1, the new one the key 2, the policy the key 9; nobody has the key 7.

use super::*;
use crate::jose::{JwkSet, KeyOrigin};

const OLD: &str = "old.example.com";
const NEW: &str = "new.example.com";
const DOWN: FetchAnswer<'static> = FetchAnswer::NoResponse;

fn url(host: &str) -> Value {
    json!({ "url": {
        "url": std::format!("https://{host}/jwks"), "cluster": host, "scheme": "https",
        "authority": host, "path": "/jwks", "timeout_ms": 5000,
        "cache_ttl_secs": 3600, "max_stale_secs": 3600,
    }})
}

/// The keys of both, and of the policy.
fn moving() -> Value {
    json!({ "fixed": { "jwks": jwks(&[9]) }, "remote": [url(OLD), url(NEW)] })
}

/// A bed, and the fetches that nobody has answered.
struct Move {
    bed: Bed,
    open: Vec<Fetch>,
}

impl Move {
    fn new(keys: &Value) -> Self {
        Self {
            bed: Bed::new(config(keys)),
            open: Vec::new(),
        }
    }

    /// The hosts that are asked and have not answered, in order.
    fn asked(&mut self) -> Vec<String> {
        let bed = &mut self.bed;
        self.open
            .extend(core::iter::from_fn(|| bed.engine.poll_fetch(bed.now)));
        let mut hosts: Vec<_> = self
            .open
            .iter()
            .map(|fetch| fetch.target.authority.clone())
            .collect();
        hosts.sort();
        hosts
    }

    fn answer(&mut self, host: &str, answer: FetchAnswer<'_>) {
        let asked = self.asked();
        let at = self
            .open
            .iter()
            .position(|fetch| fetch.target.authority == host);
        let fetch = self.open.remove(at.unwrap_or_else(|| panic!("{asked:?}")));
        self.bed
            .engine
            .handle_answer(fetch.id, answer, self.bed.now);
    }

    fn serve(&mut self, host: &str, keys: &[u8]) {
        let body = jwks(keys).to_string();
        self.answer(host, FetchAnswer::response(200, body.as_bytes()));
    }

    /// Lets sources fail until their next try is further away than any request waits.
    fn take_down(&mut self, hosts: &[&str]) {
        for pause in [1000, 2000, 4000, 0] {
            for host in hosts {
                self.answer(host, DOWN);
            }
            self.bed.advance(pause);
        }
    }
}

/// What a source did before the request came.
#[derive(Debug, Clone, Copy)]
enum Past {
    /// It has not answered.
    Silent,
    /// It has answered with its key.
    Up,
    /// It fails.
    Down,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// It passes at once.
    Passes,
    /// It waits, and is denied with that code when all who are asked have said what they said before.
    Waits(&'static str),
    /// It is denied at once.
    Denied(&'static str),
}

#[test]
fn a_known_key_decides_and_an_unknown_one_asks_everybody_who_may_know() {
    use Ends::{Denied, Passes, Waits};
    use Past::{Down, Silent, Up};
    let cases = [
        // The new one is up, and nobody knows about the old one.
        (Silent, Up, 2, Passes, "known"),
        (Silent, Up, 9, Passes, "in the policy"),
        (Silent, Up, 7, Waits("key_not_found"), "both have answered"),
        // The old one is gone.
        (Down, Up, 2, Passes, "known"),
        (Down, Up, 9, Passes, "in the policy"),
        (Down, Up, 1, Waits("jwks_unavailable"), "its key"),
        (Down, Up, 7, Waits("jwks_unavailable"), "who knows"),
        // The new one does not come up.
        (Up, Down, 1, Passes, "known"),
        (Up, Down, 2, Waits("jwks_unavailable"), "its key"),
        // Both are up.
        (Up, Up, 1, Passes, "known"),
        (Up, Up, 2, Passes, "known"),
        (Up, Up, 9, Passes, "in the policy"),
        (Up, Up, 7, Waits("key_not_found"), "nobody has it"),
        // Nobody is.
        (Silent, Silent, 9, Passes, "in the policy"),
        (Down, Down, 9, Passes, "in the policy"),
        (Down, Down, 1, Denied("jwks_unavailable"), "its key"),
        (Down, Down, 7, Denied("jwks_unavailable"), "who knows"),
    ];
    for (old, new, number, ends, note) in cases {
        let case = std::format!("{old:?}, {new:?}, {number}: {note}");
        let mut all = Move::new(&moving());
        let sides = [(OLD, old, 1), (NEW, new, 2)];
        assert_eq!(all.asked(), [NEW, OLD], "both are asked at the start");
        for (host, past, key) in sides {
            if matches!(past, Up) {
                all.serve(host, &[key]);
            }
        }
        let down: Vec<_> = sides
            .iter()
            .filter(|(_, past, _)| matches!(past, Down))
            .map(|(host, ..)| *host)
            .collect();
        if !down.is_empty() {
            all.take_down(&down);
        }
        let fate = all.bed.get(&good(number));
        match ends {
            Passes => assert!(fate.is_allowed(), "{case}: {fate:?}"),
            Denied(code) => assert_eq!(fate, Fate::Denied(code), "{case}"),
            Waits(code) => {
                let id = fate.waits();
                for (host, past, key) in sides {
                    if !matches!(past, Down) {
                        assert_eq!(all.bed.fates(), [], "{case}: {host}");
                        all.serve(host, &[key]);
                    }
                }
                assert_eq!(all.bed.fate_of(id), Fate::Denied(code), "{case}");
                assert_eq!(all.asked(), [""; 0], "{case}: nobody is asked twice");
            }
        }
    }
}

#[test]
fn an_unknown_key_is_good_as_soon_as_one_source_has_it() {
    let mut all = Move::new(&moving());
    all.serve(OLD, &[1]);
    all.serve(NEW, &[2]);
    let id = all.bed.get(&good(7)).waits();
    assert_eq!(all.asked(), [NEW, OLD]);
    all.serve(NEW, &[2, 7]);
    assert!(all.bed.fate_of(id).is_allowed());
    assert_eq!(all.asked(), [OLD], "which did not have to answer");
}

#[test]
fn a_source_that_stays_silent_is_waited_for_until_the_deadline() {
    let mut all = Move::new(&moving());
    all.serve(NEW, &[2]);
    let id = all.bed.get(&good(1)).waits();
    all.serve(NEW, &[2]);
    all.bed.advance(4999);
    assert_eq!(all.bed.fates(), []);
    all.bed.advance(1);
    assert_eq!(all.bed.fate_of(id), Fate::Denied("jwks_unavailable"));
}

#[test]
fn a_key_is_good_until_its_last_publisher_withdraws_it() {
    let mut all = Move::new(&moving());
    all.serve(OLD, &[1, 9]);
    all.serve(NEW, &[1, 2]);
    // Each is asked for a key that nobody has, and says what it has now.
    let publish = |all: &mut Move, old: &[u8], new: &[u8]| {
        all.bed.advance(120_000);
        let id = all.bed.get(&good(7)).waits();
        all.serve(OLD, old);
        all.serve(NEW, new);
        assert_eq!(all.bed.fate_of(id), Fate::Denied("key_not_found"));
    };
    publish(&mut all, &[3], &[1, 2]);
    for number in [1, 2, 3, 9] {
        assert!(all.bed.get(&good(number)).is_allowed(), "{number}");
    }
    publish(&mut all, &[3], &[2]);
    all.bed.advance(100);
    assert_eq!(all.bed.get(&good(1)), Fate::Denied("key_not_found"));
}

#[test]
fn a_token_that_names_no_key_is_tried_with_those_of_all() {
    let unnamed = |number| sign(number, &json!({ "alg": "EdDSA" }), &claims(&json!({})));
    let mut all = Move::new(&moving());
    all.serve(NEW, &[2]);
    for number in [2, 9] {
        assert!(all.bed.get(&unnamed(number)).is_allowed(), "{number}");
    }
    let id = all.bed.get(&unnamed(1)).waits();
    all.serve(OLD, &[1]);
    assert!(all.bed.fate_of(id).is_allowed());
}

#[test]
fn two_sources_may_call_different_keys_the_same() {
    let mut all = Move::new(&moving());
    let named = |number: u8| {
        let mut set = jwks(&[number]);
        set["keys"][0]["kid"] = json!("default");
        set.to_string()
    };
    for (host, number) in [(OLD, 1), (NEW, 2)] {
        all.answer(host, FetchAnswer::response(200, named(number).as_bytes()));
    }
    let header = json!({ "alg": "EdDSA", "kid": "default" });
    let token = |number| sign(number, &header, &claims(&json!({})));
    assert!(all.bed.get(&token(1)).is_allowed());
    assert!(all.bed.get(&token(2)).is_allowed());
    assert_eq!(all.bed.get(&token(3)), Fate::Denied("signature_invalid"));
}

#[test]
fn each_source_answers_for_itself_alone() {
    let mut all = Move::new(&moving());
    all.answer(OLD, FetchAnswer::response(500, &b"no"[..]));
    all.serve(NEW, &[2]);
    assert!(all.bed.get(&good(2)).is_allowed());
    assert_eq!(all.bed.engine.sources[0].failures, 1);
    assert_eq!(all.bed.engine.sources[1].failures, 0);
}

fn thumbprint(number: u8) -> String {
    let text = jwks(&[number]).to_string();
    let set = JwkSet::parse(text.as_bytes(), KeyOrigin::Remote).unwrap();
    set.keys()[0].thumbprint().to_base64url()
}

#[test]
fn a_key_that_is_not_pinned_is_not_there_wherever_it_comes_from() {
    let mut keys = moving();
    keys["fixed"]["jwks"] = jwks(&[8, 9]);
    keys["pinned"] = json!([thumbprint(2), thumbprint(9)]);
    let mut all = Move::new(&keys);
    all.serve(OLD, &[1]);
    all.serve(NEW, &[1, 2, 3]);
    let events = all.bed.events();
    assert!(
        events[0].starts_with(
            "no keys from https://old.example.com/jwks: no key of the set can be used"
        ),
        "{events:?}"
    );
    assert_eq!(
        events[1],
        std::format!(
            "fetched 1 usable keys from https://new.example.com/jwks; \
             key 0: its thumbprint `{}` is not pinned; key 2: its thumbprint `{}` is not pinned",
            thumbprint(1),
            thumbprint(3)
        )
    );
    for number in [2, 9] {
        assert!(all.bed.get(&good(number)).is_allowed(), "{number}");
    }
    // Who names a pinned key has to hold it.
    let claimed = sign(
        3,
        &json!({ "alg": "EdDSA", "kid": "2" }),
        &claims(&json!({})),
    );
    assert_eq!(all.bed.get(&claimed), Fate::Denied("signature_invalid"));
    for number in [3, 8] {
        all.bed.advance(120_000);
        let id = all.bed.get(&good(number)).waits();
        all.serve(OLD, &[1]);
        all.serve(NEW, &[1, 2, 3]);
        assert_eq!(all.bed.fates(), [], "the old one may have another key soon");
        all.bed.advance(5000);
        assert_eq!(
            all.bed.fate_of(id),
            Fate::Denied("jwks_unusable"),
            "{number}"
        );
    }
}

#[test]
fn unpinned_keys_are_told_a_few_at_a_time() {
    let mut all = Move::new(&json!({ "remote": [url(NEW)], "pinned": [thumbprint(1)] }));
    all.serve(NEW, &(1..=100).collect::<Vec<_>>());
    let events = all.bed.events();
    assert_eq!(
        events[0].matches("is not pinned").count(),
        MAX_REPORTED_KEYS,
        "{events:?}"
    );
}

/// A source that has no key for one provider has keys for another: what one cannot use does not keep the other waiting.
#[test]
fn providers_share_what_they_fetch_if_they_pin_the_same() {
    let keys = |pinned: Value| json!({ "remote": [url(NEW)], "pinned": pinned });
    let mut policy = config(&keys(json!([thumbprint(1)])));
    for (name, pinned) in [("same", json!([thumbprint(1)])), ("all", json!([]))] {
        let mut other = provider(&keys(pinned));
        other["name"] = json!(name);
        policy["providers"].as_array_mut().unwrap().push(other);
    }
    policy["apps"][0]["auth"]["jwt"]["requirement"] = any_of(&[0, 1, 2]);
    let mut all = Move {
        bed: Bed::new(policy),
        open: Vec::new(),
    };
    assert_eq!(all.asked(), [NEW, NEW]);
    all.serve(NEW, &[2]);
    all.serve(NEW, &[2]);
    assert_eq!(
        all.bed
            .engine
            .sources
            .iter()
            .map(|it| it.failures)
            .collect::<Vec<_>>(),
        [1, 0]
    );
    assert!(
        all.bed.get(&good(2)).is_allowed(),
        "by the one that pins nothing"
    );
}

#[test]
fn a_place_that_is_named_twice_is_one_source() {
    let mut all = Move::new(&json!({ "remote": [url(NEW), url(NEW)] }));
    assert_eq!(all.asked(), [NEW]);
    assert_eq!(all.bed.engine.providers[0].keys.remote.len(), 1);
}

#[test]
fn those_who_go_on_waiting_are_judged_a_few_at_a_time() {
    let mut all = Move::new(&moving());
    let waiting: Vec<_> = (0..100).map(|_| all.bed.get(&good(2)).waits()).collect();
    all.serve(OLD, &[1]);
    // What they need is the other one's; as long as some were not looked at, the engine wants to be called.
    let calls = (0..100).take_while(|_| {
        assert_eq!(all.bed.engine.poll_decision(all.bed.now), None);
        let wanted = all.bed.engine.poll_timeout().unwrap();
        all.bed.assert_consistent();
        wanted <= all.bed.now
    });
    assert_eq!(calls.count(), 100 / MOST_AT_ONCE);
    all.serve(NEW, &[2]);
    let fates = all.bed.fates();
    assert!(fates.iter().all(|(_, fate)| fate.is_allowed()));
    assert!(fates.iter().map(|(id, _)| *id).eq(waiting));
}
