//! Several engines of one process: one of them fetches for all.

use alloc::rc::Rc;
use core::cell::RefCell;

use super::*;
use crate::shared::{NO_NUMBER, Process, SharedStore, StoreError, Stored};

/// A token that does not expire during a test.
fn lasting(key: u8) -> String {
    token(key, &claims(&json!({ "exp": START + 1_000_000 })))
}

/// The store and the bells of a process.
#[derive(Debug, Default)]
struct Common {
    values: BTreeMap<String, (Vec<u8>, u32)>,
    writes: u32,
    rung: VecDeque<(u32, Vec<u8>)>,
    fails: bool,
    /// How many of the next writes come too late.
    late: u32,
}

#[derive(Debug, Clone)]
struct Member {
    common: Rc<RefCell<Common>>,
    bell: Option<u32>,
}

impl SharedStore for Member {
    fn read(&mut self, key: &str) -> Result<Option<Stored>, StoreError> {
        let common = self.common.borrow();
        if common.fails {
            return Err(StoreError);
        }
        let stored = common.values.get(key).cloned();
        Ok(stored.map(|(value, number)| Stored { value, number }))
    }

    fn swap(&mut self, key: &str, value: &[u8], number: u32) -> Result<bool, StoreError> {
        let mut common = self.common.borrow_mut();
        if common.fails {
            return Err(StoreError);
        }
        if common.late > 0 {
            common.late -= 1;
            return Ok(false);
        }
        let fits = match common.values.get(key) {
            None => true,
            Some((_, current)) => number == 0 || number == *current,
        };
        if fits {
            common.writes += 1;
            assert_ne!(common.writes, NO_NUMBER);
            let entry = (value.to_vec(), common.writes);
            common.values.insert(key.into(), entry);
        }
        Ok(fits)
    }
}

impl Process for Member {
    fn bell(&mut self) -> Option<u32> {
        self.bell
    }

    fn ring(&mut self, bell: u32, topic: &[u8]) {
        self.common
            .borrow_mut()
            .rung
            .push_back((bell, topic.to_vec()));
    }
}

/// The workers of a process.
struct Fleet {
    common: Rc<RefCell<Common>>,
    beds: Vec<Bed>,
}

impl Fleet {
    fn new(workers: u32, config: &Value) -> Self {
        let mut fleet = Self {
            common: Rc::default(),
            beds: Vec::new(),
        };
        for _ in 0..workers {
            fleet.join(config);
        }
        fleet
    }

    /// One more worker; its bell is its index.
    fn join(&mut self, config: &Value) {
        let start = Timestamp::from_seconds(START);
        let now = self.beds.first().map_or(start, |first| first.now);
        let mut bed = Bed::beginning(config.clone(), now);
        let bell = u32::try_from(self.beds.len()).unwrap();
        let member = Member {
            common: Rc::clone(&self.common),
            bell: Some(bell),
        };
        bed.engine = bed
            .engine
            .with_process(Box::new(member), u64::from(bell + 1) << 32);
        self.beds.push(bed);
    }

    fn advance(&mut self, millis: u64) {
        for bed in &mut self.beds {
            bed.advance(millis);
        }
    }

    /// The fetches that are due, by worker.
    fn fetches(&mut self) -> Vec<(usize, Fetch)> {
        let mut fetches = Vec::new();
        for (index, bed) in self.beds.iter_mut().enumerate() {
            while let Some(fetch) = bed.engine.poll_fetch(bed.now) {
                fetches.push((index, fetch));
            }
        }
        fetches
    }

    /// The one fetch that is due, and whose it is.
    fn fetch(&mut self) -> (usize, Fetch) {
        let mut fetches = self.fetches();
        assert_eq!(fetches.len(), 1, "{fetches:?}");
        fetches.remove(0)
    }

    fn answer(&mut self, worker: usize, fetch: &Fetch, answer: FetchAnswer<'_>) {
        let bed = &mut self.beds[worker];
        bed.engine.handle_answer(fetch.id, answer, bed.now);
        self.deliver();
    }

    /// Has everybody hear what was rung for.
    fn deliver(&mut self) {
        loop {
            let Some((bell, topic)) = self.common.borrow_mut().rung.pop_front() else {
                return;
            };
            if let Some(bed) = self.beds.get_mut(bell as usize) {
                bed.engine.handle_news(&topic, bed.now);
            }
        }
    }

    /// Answers the one fetch that is due.
    fn serve(&mut self, answer: FetchAnswer<'_>) -> usize {
        let (worker, fetch) = self.fetch();
        self.answer(worker, &fetch, answer);
        worker
    }

    fn serve_keys(&mut self, keys: &[u8]) -> usize {
        let body = jwks(keys).to_string();
        self.serve(FetchAnswer::response(200, body.as_bytes()))
    }

    fn everybody_knows(&mut self, key: u8) {
        for bed in &mut self.beds {
            let fate = bed.get(&lasting(key));
            assert!(fate.is_allowed(), "{key}: {fate:?}");
        }
    }
}

#[test]
fn one_fetch_serves_all_workers() {
    let mut fleet = Fleet::new(8, &config(&remote()));
    let waiting: Vec<_> = fleet
        .beds
        .iter_mut()
        .map(|bed| bed.get(&good(1)).waits())
        .collect();
    fleet.serve_keys(&[1]);
    assert_eq!(fleet.fetches(), []);
    for (bed, id) in fleet.beds.iter_mut().zip(waiting) {
        assert!(bed.fate_of(id).is_allowed(), "without waiting for a tick");
        assert!(bed.get(&good(1)).is_allowed());
    }
    let told: Vec<_> = fleet.beds.iter_mut().flat_map(Bed::events).collect();
    assert_eq!(
        told,
        ["fetched 1 usable keys from https://idp.example.com/jwks"]
    );
}

#[test]
fn refreshes_are_shared_and_a_withdrawn_key_is_gone_everywhere() {
    let mut fleet = Fleet::new(8, &config(&remote()));
    fleet.serve_keys(&[1]);
    let mut who = Vec::new();
    for round in 2..9 {
        let due = fleet
            .beds
            .iter()
            .filter_map(|bed| bed.engine.poll_timeout());
        let pause = due.min().unwrap().since(fleet.beds[0].now).0;
        assert!((240_000..=270_000).contains(&pause), "{pause}");
        fleet.advance(pause);
        who.push(fleet.serve_keys(&[round]));
        fleet.everybody_knows(round);
        fleet.advance(1_000);
        for bed in &mut fleet.beds {
            let id = bed.get(&lasting(round - 1)).waits();
            assert!(bed.engine.waiting.contains_key(&id));
        }
        // Asked once more for all of them, because of the `kid` that is unknown now.
        fleet.serve_keys(&[round]);
        for bed in &mut fleet.beds {
            let fates = bed.fates();
            assert_eq!(fates.len(), 1);
            assert_eq!(fates[0].1, Fate::Denied("key_not_found"));
        }
    }
    who.sort_unstable();
    who.dedup();
    assert!(who.len() > 1, "it is not always the same who fetches");
}

#[test]
fn a_worker_that_comes_later_finds_what_was_fetched() {
    let config = config(&remote());
    let mut fleet = Fleet::new(2, &config);
    fleet.serve_keys(&[1]);
    fleet.advance(100_000);
    fleet.join(&config);
    let id = fleet.beds[2].get(&good(1)).waits();
    assert_eq!(fleet.fetches(), []);
    assert!(fleet.beds[2].fate_of(id).is_allowed());
    // What it found is as old as it is: it is refreshed with the others'.
    let due = fleet.beds[2].engine.poll_timeout().unwrap();
    let pause = due.since(fleet.beds[2].now).0;
    assert!((140_000..=170_000).contains(&pause), "{pause}");
}

#[test]
fn a_configuration_with_another_time_to_live_or_timeout_finds_it_too() {
    let mut fleet = Fleet::new(1, &config(&remote()));
    fleet.serve_keys(&[1]);
    let mut other = config(&remote());
    other["providers"][0]["keys"]["remote"][0]["url"]["cache_ttl_secs"] = json!(100);
    other["providers"][0]["keys"]["remote"][0]["url"]["timeout_ms"] = json!(999);
    fleet.join(&other);
    assert_eq!(fleet.fetches(), []);
    fleet.everybody_knows(1);
}

#[test]
fn the_lease_of_a_worker_that_died_ends() {
    let mut fleet = Fleet::new(3, &config(&remote()));
    let (dead, _) = fleet.fetch();
    assert_eq!(dead, 0);
    fleet.beds.remove(0);
    let id = fleet.beds[1].get(&good(1)).waits();
    fleet.advance(5_999);
    assert_eq!(fleet.fetches(), []);
    assert_eq!(fleet.beds[1].fate_of(id), Fate::Denied("jwks_unavailable"));
    fleet.advance(1);
    // The bells are those of before, which is as if all news were lost.
    fleet.common.borrow_mut().rung.clear();
    fleet.serve_keys(&[1]);
    fleet.common.borrow_mut().rung.clear();
    assert_eq!(fleet.fetches(), []);
}

#[test]
fn news_that_are_lost_are_found_when_the_time_comes() {
    let mut fleet = Fleet::new(2, &config(&remote()));
    let (worker, fetch) = fleet.fetch();
    let other = 1 - worker;
    let body = jwks(&[1]).to_string();
    let bed = &mut fleet.beds[worker];
    bed.engine.handle_answer(
        fetch.id,
        FetchAnswer::response(200, body.as_bytes()),
        bed.now,
    );
    fleet.common.borrow_mut().rung.clear();
    let id = fleet.beds[other].get(&good(1)).waits();
    let due = fleet.beds[other].engine.poll_timeout().unwrap();
    assert!(due.since(fleet.beds[other].now).0 <= 6_000);
    fleet.advance(5_000);
    assert_eq!(
        fleet.beds[other].fate_of(id),
        Fate::Denied("jwks_unavailable")
    );
    fleet.advance(1_000);
    assert_eq!(fleet.fetches(), []);
    assert!(fleet.beds[other].get(&good(1)).is_allowed());
}

#[test]
fn a_worker_that_read_the_clock_a_little_earlier_believes_the_others() {
    let mut fleet = Fleet::new(2, &config(&remote()));
    fleet.beds[0].now = fleet.beds[0].now.after(Millis(30));
    let (worker, fetch) = {
        let bed = &mut fleet.beds[0];
        (0, bed.engine.poll_fetch(bed.now).unwrap())
    };
    let body = jwks(&[1]).to_string();
    fleet.answer(worker, &fetch, FetchAnswer::response(200, body.as_bytes()));
    assert_eq!(fleet.fetches(), []);
    fleet.everybody_knows(1);
}

#[test]
fn failures_are_shared_and_so_are_their_pauses() {
    let mut fleet = Fleet::new(4, &config(&remote()));
    let ids: Vec<_> = fleet
        .beds
        .iter_mut()
        .map(|bed| bed.get(&good(1)).waits())
        .collect();
    let mut tries = 0;
    for _ in 0..70 {
        fleet.advance(1_000);
        for (worker, fetch) in fleet.fetches() {
            tries += 1;
            fleet.answer(worker, &fetch, FetchAnswer::NoResponse);
        }
    }
    assert!((5..=8).contains(&tries), "{tries} tries in 70 seconds");
    for (bed, id) in fleet.beds.iter_mut().zip(ids) {
        assert_eq!(bed.fate_of(id), Fate::Denied("jwks_unavailable"));
        assert_eq!(bed.get(&good(1)), Fate::Denied("jwks_unavailable"));
    }
    fleet.advance(60_000);
    fleet.serve_keys(&[1]);
    fleet.advance(60_000);
    assert_eq!(fleet.fetches(), []);
    fleet.everybody_knows(1);
}

#[test]
fn staleness_is_told_once_for_all() {
    let mut fleet = Fleet::new(4, &config(&remote()));
    fleet.serve_keys(&[1]);
    for _ in 0..100 {
        fleet.advance(10_000);
        for (worker, fetch) in fleet.fetches() {
            fleet.answer(worker, &fetch, FetchAnswer::response(500, &b""[..]));
        }
    }
    let told: Vec<_> = fleet.beds.iter_mut().flat_map(Bed::events).collect();
    let stale = told.iter().filter(|line| line.contains("stay in use"));
    assert_eq!(stale.count(), 1, "{told:#?}");
}

#[test]
fn a_key_that_is_newer_than_the_fetch_of_another_worker_is_asked_for_behind_it() {
    let mut fleet = Fleet::new(2, &config(&remote()));
    fleet.serve_keys(&[1]);
    fleet.advance(290_000);
    let (at_work, refresh) = fleet.fetch();
    let ids = [0, 1].map(|worker| fleet.beds[worker].get(&lasting(2)).waits());
    assert_eq!(fleet.fetches(), [], "one is under way");
    let before = jwks(&[1]).to_string();
    fleet.answer(
        at_work,
        &refresh,
        FetchAnswer::response(200, before.as_bytes()),
    );
    for bed in &mut fleet.beds {
        assert_eq!(bed.fates(), [], "the key may have been published since");
    }
    fleet.serve_keys(&[1, 2]);
    for (bed, id) in fleet.beds.iter_mut().zip(ids) {
        assert_eq!(bed.fates().len(), 1);
        assert!(bed.get(&lasting(2)).is_allowed(), "{id:?}");
    }
}

#[test]
fn made_up_kids_cost_all_workers_together_one_fetch_for_each_pause() {
    let mut fleet = Fleet::new(4, &config(&remote()));
    fleet.serve_keys(&[1]);
    let mut fetches = Vec::new();
    for second in 0..600 {
        fleet.advance(100);
        for bed in &mut fleet.beds {
            let made_up = sign(
                9,
                &json!({ "alg": "EdDSA", "kid": std::format!("x{second}") }),
                &claims(&json!({})),
            );
            bed.get(&made_up);
        }
        for (worker, fetch) in fleet.fetches() {
            fetches.push(second / 10);
            let body = jwks(&[1]).to_string();
            let answer = FetchAnswer::response(200, body.as_bytes());
            fleet.answer(worker, &fetch, answer);
        }
        for bed in &mut fleet.beds {
            let fates = bed.fates();
            assert!(
                fates
                    .iter()
                    .all(|(_, fate)| *fate == Fate::Denied("key_not_found"))
            );
        }
    }
    assert_eq!(fetches, [0, 1, 3, 7, 15, 31]);
    fleet.everybody_knows(1);
    // When a key really is new, the pauses begin anew.
    fleet.advance(60_000);
    let id = fleet.beds[0].get(&good(2)).waits();
    fleet.serve_keys(&[1, 2]);
    assert!(fleet.beds[0].fate_of(id).is_allowed());
    fleet.everybody_knows(2);
    fleet.advance(1_000);
    let id = fleet.beds[3].get(&good(3)).waits();
    fleet.serve_keys(&[3]);
    assert!(fleet.beds[3].fate_of(id).is_allowed());
}

#[test]
fn a_worker_that_missed_a_rotation_asks_the_others_before_the_source() {
    let mut fleet = Fleet::new(2, &config(&remote()));
    fleet.serve_keys(&[1]);
    fleet.advance(2_000);
    let id = fleet.beds[0].get(&good(2)).waits();
    let (worker, fetch) = fleet.fetch();
    let body = jwks(&[2]).to_string();
    let bed = &mut fleet.beds[worker];
    bed.engine.handle_answer(
        fetch.id,
        FetchAnswer::response(200, body.as_bytes()),
        bed.now,
    );
    assert!(bed.fate_of(id).is_allowed());
    fleet.common.borrow_mut().rung.clear();
    let id = fleet.beds[1].get(&good(2)).waits();
    assert_eq!(fleet.fetches(), []);
    assert!(fleet.beds[1].fate_of(id).is_allowed());
}

#[test]
fn a_source_that_did_not_change_is_not_sent_again() {
    let mut config = config(&remote());
    config["providers"][0]["keys"]["remote"][0]["url"]["cache_ttl_secs"] = Value::Null;
    let mut fleet = Fleet::new(2, &config);
    let fresh = |etag: Option<&str>, max_age| Freshness {
        etag: etag.map(String::from),
        max_age_secs: max_age,
        retry_after_secs: None,
    };
    let body = jwks(&[1]).to_string();
    let first = FetchAnswer::response(200, body.as_bytes());
    let (worker, fetch) = fleet.fetch();
    assert_eq!(fetch.if_none_match, None);
    let headers = fresh(Some("\"one\""), Some(100));
    fleet.answer(worker, &fetch, first.with_freshness(headers));
    fleet.advance(100_000);
    let (worker, fetch) = fleet.fetch();
    assert_eq!(fetch.if_none_match.as_deref(), Some("\"one\""));
    let unchanged = FetchAnswer::response(304, &b""[..]);
    fleet.answer(
        worker,
        &fetch,
        unchanged.with_freshness(fresh(None, Some(1_000))),
    );
    assert!(fleet.beds[worker].events().contains(&String::from(
        "no change of the keys from https://idp.example.com/jwks"
    )));
    fleet.advance(700_000);
    assert_eq!(fleet.fetches(), []);
    fleet.everybody_knows(1);
    fleet.advance(300_000);
    let (worker, fetch) = fleet.fetch();
    assert_eq!(fetch.if_none_match.as_deref(), Some("\"one\""));
    // One that does not say how long that holds says what it said.
    fleet.answer(worker, &fetch, FetchAnswer::response(304, &b""[..]));
    for bed in &fleet.beds {
        let pause = bed.engine.poll_timeout().unwrap().since(bed.now).0;
        assert!((800_000..=900_000).contains(&pause), "{pause}");
    }
    fleet.advance(900_000);
    let (worker, fetch) = fleet.fetch();
    // A source that says so without being asked has nothing to say.
    fleet.answer(worker, &fetch, FetchAnswer::response(500, &b""[..]));
    fleet.advance(2_000);
    let (worker, fetch) = fleet.fetch();
    let other = jwks(&[2]).to_string();
    fleet.answer(worker, &fetch, FetchAnswer::response(200, other.as_bytes()));
    fleet.advance(300_000);
    let (worker, fetch) = fleet.fetch();
    assert_eq!(fetch.if_none_match, None);
    fleet.answer(worker, &fetch, FetchAnswer::response(304, &b""[..]));
    let told = fleet.beds[worker].events();
    assert!(
        told.iter().any(|line| line.contains("status 304")),
        "{told:?}"
    );
}

#[test]
fn a_source_may_ask_for_a_pause_within_bounds() {
    for (asked, least, most) in [
        (None, 900, 1_000),
        (Some(20), 20_000, 20_000),
        (Some(u64::MAX), 300_000, 300_000),
        (Some(0), 900, 1_000),
    ] {
        let mut fleet = Fleet::new(2, &config(&remote()));
        let busy = FetchAnswer::response(429, &b""[..]).with_freshness(Freshness {
            retry_after_secs: asked,
            ..Freshness::default()
        });
        fleet.serve(busy);
        assert_eq!(fleet.fetches(), []);
        for bed in &fleet.beds {
            let pause = bed.engine.poll_timeout().unwrap().since(bed.now).0;
            assert!((least..=most).contains(&pause), "{asked:?}: {pause}");
        }
    }
}

#[test]
fn what_a_source_says_about_its_freshness_is_bounded_and_the_policy_comes_first() {
    for (policy, max_age, expected) in [
        (None, None, 300),
        (None, Some(120), 120),
        (None, Some(0), 60),
        (None, Some(u64::MAX), 3_600),
        (Some(30), Some(120), 30),
    ] {
        let mut config = config(&remote());
        config["providers"][0]["keys"]["remote"][0]["url"]["cache_ttl_secs"] = json!(policy);
        let mut fleet = Fleet::new(2, &config);
        let body = jwks(&[1]).to_string();
        let answer = FetchAnswer::response(200, body.as_bytes());
        fleet.serve(answer.with_freshness(Freshness {
            max_age_secs: max_age,
            ..Freshness::default()
        }));
        for bed in &fleet.beds {
            let pause = bed.engine.poll_timeout().unwrap().since(bed.now).0;
            let bounds = expected * 800..=expected * 900;
            assert!(bounds.contains(&pause), "{policy:?} {max_age:?}: {pause}");
        }
    }
}

#[test]
fn what_another_program_writes_there_is_not_believed() {
    let spoil = |fleet: &Fleet, kind: &str, value: &[u8]| {
        let mut common = fleet.common.borrow_mut();
        let mut spoilt = 0;
        for (key, (stored, number)) in &mut common.values {
            if key.contains(kind) {
                *stored = value.to_vec();
                *number += 1_000;
                spoilt += 1;
            }
        }
        assert_eq!(spoilt, 1);
    };
    let config = config(&remote());
    for value in [
        &b""[..],
        b"{}",
        b"[",
        b"{\"published\":1}",
        b"\xff",
        b"{\"x\":{}}",
    ] {
        let mut fleet = Fleet::new(2, &config);
        fleet.serve_keys(&[1]);
        spoil(&fleet, "source", value);
        fleet.everybody_knows(1);
        fleet.join(&config);
        fleet.serve_keys(&[1]);
        fleet.everybody_knows(1);
    }
    // Keys that the record does not speak of are nobody's.
    let mut fleet = Fleet::new(2, &config);
    fleet.serve_keys(&[1]);
    spoil(&fleet, "content", jwks(&[9]).to_string().as_bytes());
    fleet.join(&config);
    let id = fleet.beds[2].get(&good(9)).waits();
    let body = jwks(&[1]).to_string();
    fleet.serve(FetchAnswer::response(200, body.as_bytes()));
    assert_eq!(fleet.beds[2].fate_of(id), Fate::Denied("key_not_found"));
    fleet.everybody_knows(1);
}

#[test]
fn a_store_that_fails_leaves_every_worker_on_its_own() {
    let mut fleet = Fleet::new(2, &config(&remote()));
    fleet.common.borrow_mut().fails = true;
    let fetches = fleet.fetches();
    assert_eq!(fetches.len(), 2);
    let body = jwks(&[1]).to_string();
    for (worker, fetch) in &fetches {
        let answer = FetchAnswer::response(200, body.as_bytes());
        fleet.answer(*worker, fetch, answer);
    }
    fleet.everybody_knows(1);
    // Once it works the first refresh is shared.
    fleet.common.borrow_mut().fails = false;
    fleet.advance(280_000);
    fleet.serve_keys(&[2]);
    fleet.everybody_knows(2);
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_old_keys_for_longer() {
    let mut fleet = Fleet::new(3, &config(&remote()));
    fleet.serve_keys(&[1]);
    let back = Timestamp::from_seconds(START - 1_000_000);
    for bed in &mut fleet.beds {
        bed.now = back;
        bed.engine.handle_timeout(back);
    }
    fleet.serve_keys(&[2]);
    fleet.everybody_knows(2);
    for bed in &fleet.beds {
        let pause = bed.engine.poll_timeout().unwrap().since(bed.now).0;
        assert!((240_000..=270_000).contains(&pause), "{pause}");
    }
    // A lease, a failure and a pause from before do not bind anybody.
    let mut fleet = Fleet::new(2, &config(&remote()));
    let _lost = fleet.fetch();
    for bed in &mut fleet.beds {
        bed.now = back;
        bed.engine.handle_timeout(back);
    }
    let (worker, fetch) = fleet.fetch();
    assert_eq!(worker, 1, "the first one still waits for its answer");
    fleet.answer(
        worker,
        &fetch,
        FetchAnswer::response(200, jwks(&[1]).to_string().as_bytes()),
    );
    assert!(fleet.beds[1].get(&good(1)).is_allowed());
}

#[test]
fn two_sources_at_one_place_share_it() {
    let mut policy = config(&remote());
    let mut second = policy["providers"][0].clone();
    second["name"] = json!("second");
    second["keys"]["remote"][0]["url"]["timeout_ms"] = json!(1234);
    policy["providers"].as_array_mut().unwrap().push(second);
    let mut fleet = Fleet::new(2, &policy);
    fleet.serve_keys(&[1]);
    assert_eq!(fleet.fetches(), []);
    fleet.everybody_knows(1);
}

impl Fleet {
    /// Moves the clock, and nobody notices by itself.
    fn move_clock(&mut self, to: impl Fn(Timestamp) -> Timestamp) {
        for bed in &mut self.beds {
            bed.now = to(bed.now);
        }
    }
}

#[test]
fn news_are_heard_behind_a_failure_of_which_all_heard() {
    let mut patient = config(&remote());
    patient["providers"][0]["keys"]["remote"][0]["url"]["cache_ttl_secs"] = json!(3_600);
    let mut fleet = Fleet::new(1, &config(&remote()));
    fleet.join(&patient);
    fleet.serve_keys(&[1]);
    fleet.everybody_knows(1);
    fleet.advance(280_000);
    // The patient one hears that it failed, and is not due for long.
    assert_eq!(fleet.serve(FetchAnswer::NoResponse), 0);
    fleet.advance(1_000);
    fleet.serve_keys(&[2]);
    assert!(!fleet.beds[1].get(&lasting(1)).is_allowed());
    fleet.everybody_knows(2);
}

#[test]
fn what_was_asked_for_last_is_the_newest_however_late_the_rest_comes() {
    for late in [
        FetchAnswer::response(200, jwks(&[1]).to_string().into_bytes()),
        FetchAnswer::NoResponse,
    ] {
        // The first one stands still: its lease ends, and its answer comes when another one has fetched.
        let mut fleet = Fleet::new(3, &config(&remote()));
        let (stalled, first) = fleet.fetch();
        let id = fleet.beds[stalled].get(&good(2)).waits();
        fleet.move_clock(|now| now.after(Millis(6_000)));
        let (other, second) = fleet.fetch();
        assert_ne!(other, stalled);
        let body = jwks(&[2]).to_string();
        fleet.answer(other, &second, FetchAnswer::response(200, body.as_bytes()));
        fleet.move_clock(|now| now.after(Millis(1_000)));
        fleet.answer(stalled, &first, late);
        assert_eq!(fleet.fetches(), []);
        assert!(fleet.beds[stalled].fate_of(id).is_allowed());
        fleet.everybody_knows(2);
    }
    // And where the late answer comes first, it is not in the way of the newer one.
    let mut fleet = Fleet::new(3, &config(&remote()));
    let (stalled, first) = fleet.fetch();
    fleet.move_clock(|now| now.after(Millis(6_000)));
    let (other, second) = fleet.fetch();
    fleet.move_clock(|now| now.after(Millis(100)));
    let bodies = [jwks(&[1]).to_string(), jwks(&[2]).to_string()];
    fleet.answer(
        stalled,
        &first,
        FetchAnswer::response(200, bodies[0].as_bytes()),
    );
    fleet.move_clock(|now| now.after(Millis(100)));
    fleet.answer(
        other,
        &second,
        FetchAnswer::response(200, bodies[1].as_bytes()),
    );
    fleet.everybody_knows(2);
}

#[test]
fn failures_at_the_same_time_count_as_what_they_are() {
    // Two that fail one behind the other, because the first one's lease was over.
    let mut fleet = Fleet::new(2, &config(&remote()));
    let (stalled, first) = fleet.fetch();
    fleet.move_clock(|now| now.after(Millis(6_000)));
    let (other, second) = fleet.fetch();
    fleet.answer(stalled, &first, FetchAnswer::NoResponse);
    fleet.answer(other, &second, FetchAnswer::NoResponse);
    fleet.advance(1_700);
    assert_eq!(fleet.fetches(), []);
    fleet.advance(300);
    fleet.serve_keys(&[1]);
}

#[test]
fn a_set_in_another_order_is_no_other_set() {
    let mut fleet = Fleet::new(2, &config(&remote()));
    fleet.serve_keys(&[1, 2]);
    let mut fetches = Vec::new();
    for second in 0..100 {
        fleet.advance(1_000);
        let id = fleet.beds[0].get(&good(3));
        for (worker, fetch) in fleet.fetches() {
            fetches.push(second);
            let keys = [[1, 2], [2, 1]][fetches.len() % 2];
            let body = jwks(&keys).to_string();
            fleet.answer(worker, &fetch, FetchAnswer::response(200, body.as_bytes()));
        }
        assert!(!id.is_allowed());
    }
    assert_eq!(fetches, [0, 1, 3, 7, 15, 31, 63]);
}

#[test]
fn content_that_was_lost_is_stored_again_with_the_same_keys() {
    let config = config(&remote());
    let mut fleet = Fleet::new(1, &config);
    fleet.serve_keys(&[1]);
    let is_content = |key: &str| key.contains("content");
    fleet
        .common
        .borrow_mut()
        .values
        .retain(|key, _| !is_content(key));
    fleet.advance(280_000);
    fleet.serve_keys(&[1]);
    fleet.join(&config);
    assert_eq!(fleet.fetches(), []);
    fleet.everybody_knows(1);
}

#[test]
fn a_clock_that_is_set_back_keeps_nobody_from_the_news_before_its_next_tick() {
    let mut fleet = Fleet::new(4, &config(&remote()));
    fleet.serve_keys(&[1]);
    fleet.move_clock(|_| Timestamp::from_seconds(START - 50_000));
    // Only one notices, and fetches.
    let bed = &mut fleet.beds[2];
    bed.advance(1_000);
    let fetch = bed.engine.poll_fetch(bed.now).unwrap();
    fleet.move_clock(|_| Timestamp::from_seconds(START - 49_998));
    let body = jwks(&[2]).to_string();
    fleet.answer(2, &fetch, FetchAnswer::response(200, body.as_bytes()));
    fleet.everybody_knows(2);
    for bed in &mut fleet.beds {
        assert!(!bed.get(&lasting(1)).is_allowed());
        bed.engine.poll_fetch(bed.now);
    }
    // Nor does a fetch that was under way then make everything that follows look old.
    let mut fleet = Fleet::new(2, &config(&remote()));
    let (worker, fetch) = fleet.fetch();
    fleet.move_clock(|_| Timestamp::from_seconds(START - 50_000));
    let body = jwks(&[1]).to_string();
    fleet.answer(worker, &fetch, FetchAnswer::response(200, body.as_bytes()));
    fleet.advance(280_000);
    fleet.serve_keys(&[2]);
    fleet.everybody_knows(2);
    assert_eq!(fleet.fetches(), []);
}

#[test]
fn a_clock_that_is_set_back_lets_nobody_wait_for_longer() {
    for millis in [1, 4_000, 50_000_000] {
        let mut fleet = Fleet::new(1, &config(&remote()));
        let id = fleet.beds[0].get(&good(1)).waits();
        let _lost = fleet.fetch();
        fleet.move_clock(back(millis));
        let bed = &mut fleet.beds[0];
        bed.advance(0);
        bed.advance(4_999);
        assert_eq!(bed.fates(), []);
        bed.advance(1);
        assert_eq!(bed.fate_of(id), Fate::Denied("jwks_unavailable"));
    }
}

#[test]
fn the_generation_of_a_source_is_another_one_when_its_keys_are_and_only_then() {
    fn generations(fleet: &Fleet) -> [Option<u64>; 2] {
        let of = |bed: &Bed| bed.engine.sources[0].generation(bed.now);
        [of(&fleet.beds[0]), of(&fleet.beds[1])]
    }
    let mut fleet = Fleet::new(2, &config(&remote()));
    assert_eq!(generations(&fleet), [None, None]);
    fleet.serve_keys(&[1]);
    let first = generations(&fleet);
    assert!(first.iter().all(Option::is_some));
    // Whoever fetches and whoever follows: what was only renewed is the same.
    for _ in 0..6 {
        fleet.advance(280_000);
        fleet.serve_keys(&[1]);
        assert_eq!(generations(&fleet), first);
    }
    let mut known = vec![first];
    for keys in [&[1, 2][..], &[2], &[1]] {
        fleet.advance(280_000);
        fleet.serve_keys(keys);
        let next = generations(&fleet);
        for generations in &known {
            assert_ne!(generations[0], next[0], "{keys:?}");
            assert_ne!(generations[1], next[1], "{keys:?}");
        }
        known.push(next);
    }
    // What is too old to be used has none, and the same again when it is renewed: it says what it said.
    let last = generations(&fleet);
    for _ in 0..66 {
        fleet.advance(60_000);
        for (worker, fetch) in fleet.fetches() {
            fleet.answer(worker, &fetch, FetchAnswer::NoResponse);
        }
    }
    assert_eq!(generations(&fleet), [None, None]);
    fleet.advance(60_000);
    fleet.serve_keys(&[1]);
    assert_eq!(generations(&fleet), last);
}

/// A source of keys at another place.
fn other_remote() -> Value {
    let mut keys = remote();
    let url = &mut keys["remote"][0]["url"];
    url["url"] = json!("https://old.example.com/jwks");
    url["authority"] = json!("old.example.com");
    keys
}

impl Fleet {
    /// What the store has, by the kind of it and the size of the value.
    fn stored(&self, kind: &str) -> Vec<usize> {
        let common = self.common.borrow();
        let of_kind = common.values.iter().filter(|(key, _)| key.contains(kind));
        of_kind.map(|(_, (value, _))| value.len()).collect()
    }

    /// How many sources the store has something of.
    fn kept(&self) -> usize {
        let contents = self
            .stored("nexus.content.")
            .iter()
            .filter(|it| **it > 0)
            .count();
        let records = self
            .stored("nexus.source.")
            .iter()
            .filter(|it| **it > 2)
            .count();
        assert_eq!(contents, records);
        contents
    }

    /// Lets minutes pass in which every fetch brings the key 1; how many fetches there were.
    fn live(&mut self, minutes: u64) -> usize {
        let body = jwks(&[1]).to_string();
        let mut count = 0;
        for _ in 0..minutes {
            self.advance(60_000);
            for (worker, fetch) in self.fetches() {
                count += 1;
                self.answer(worker, &fetch, FetchAnswer::response(200, body.as_bytes()));
            }
        }
        count
    }

    /// Has these workers end; the others keep their bells.
    fn end(&mut self, count: usize) -> Vec<Bed> {
        let rest = self.beds.split_off(count);
        core::mem::replace(&mut self.beds, rest)
    }
}

#[test]
fn what_no_configuration_names_any_more_is_emptied_and_fetched_anew_when_one_does() {
    let (old, new) = (config(&other_remote()), config(&remote()));
    let mut fleet = Fleet::new(2, &old);
    fleet.serve_keys(&[1]);
    for _ in 0..2 {
        fleet.join(&new);
    }
    fleet.serve_keys(&[1]);
    fleet.everybody_knows(1);
    assert_eq!(fleet.kept(), 2);
    fleet.end(2);
    fleet.live(59);
    assert_eq!(fleet.kept(), 2, "an old worker may only stand still");
    fleet.live(30);
    assert_eq!(fleet.kept(), 1);
    // Those who name it never noticed.
    fleet.everybody_knows(1);
    let in_an_hour = fleet.live(60);
    assert!((12..=15).contains(&in_an_hour), "{in_an_hour}");
    // Who comes back is as one who comes first.
    fleet.join(&old);
    fleet.join(&old);
    let waiting = fleet.beds[2].get(&lasting(1)).waits();
    let (worker, fetch) = fleet.fetch();
    assert_eq!(fetch.target.authority, "old.example.com");
    let body = jwks(&[1]).to_string();
    fleet.answer(worker, &fetch, FetchAnswer::response(200, body.as_bytes()));
    // Their bells are those of others here.
    fleet.advance(6_000);
    assert_eq!(fleet.fetches(), []);
    assert!(fleet.beds[2].fate_of(waiting).is_allowed());
    fleet.everybody_knows(1);
    assert_eq!(fleet.kept(), 2);
}

#[test]
fn what_is_named_stays_however_seldom_it_is_fetched_and_whatever_the_clock_does() {
    let mut seldom = config(&other_remote());
    seldom["providers"][0]["keys"]["remote"][0]["url"]["cache_ttl_secs"] = json!(86_400);
    let mut fleet = Fleet::new(2, &seldom);
    fleet.serve_keys(&[1]);
    fleet.join(&config(&remote()));
    fleet.serve_keys(&[1]);
    fleet.live(600);
    assert_eq!(fleet.kept(), 2);
    for secs in [START + 500_000, START + 1_000, START + 900_000] {
        fleet.move_clock(|_| Timestamp::from_seconds(secs));
        // The others notice later than the first.
        fleet.beds[2].advance(0);
        fleet.live(1);
        assert_eq!(fleet.kept(), 2, "{secs}");
    }
    fleet.everybody_knows(1);
}

#[test]
fn a_worker_that_stood_still_keeps_its_keys_when_the_store_loses_them() {
    let mut old = config(&other_remote());
    old["providers"][0]["keys"]["remote"][0]["url"]["cache_ttl_secs"] = json!(86_400);
    let mut fleet = Fleet::new(1, &old);
    fleet.serve_keys(&[1]);
    fleet.join(&config(&remote()));
    fleet.serve_keys(&[1]);
    let mut still = fleet.end(1);
    fleet.live(100);
    assert_eq!(fleet.kept(), 1);
    still[0].now = fleet.beds[0].now;
    fleet.beds.append(&mut still);
    fleet.everybody_knows(1);
    fleet.live(60);
    fleet.everybody_knows(1);
    assert_eq!(fleet.kept(), 1, "nothing is due");
    // When the time has come it fetches as ever, and the store has it again.
    fleet.live(1_440);
    assert_eq!(fleet.kept(), 2);
    fleet.everybody_knows(1);
}

#[test]
fn a_store_that_fails_keeps_nobody_from_writing_in_later() {
    let mut fleet = Fleet::new(1, &config(&remote()));
    fleet.common.borrow_mut().fails = true;
    fleet.serve_keys(&[1]);
    assert!(fleet.stored("nexus.register.").is_empty());
    fleet.common.borrow_mut().fails = false;
    fleet.live(11);
    assert_eq!(fleet.stored("nexus.register."), [12 + 20]);
    // Something else in its place is overwritten.
    let key = String::from("nexus.register.1");
    let number = fleet.common.borrow().values[&key].1;
    fleet
        .common
        .borrow_mut()
        .values
        .insert(key, (b"?".to_vec(), number));
    fleet.live(11);
    assert_eq!(fleet.stored("nexus.register."), [12 + 20]);
    fleet.everybody_knows(1);
}

/// The clock so much earlier.
fn back(millis: u64) -> impl Fn(Timestamp) -> Timestamp {
    move |now| Timestamp::from_millis(now.as_millis() - millis)
}

/// One that shows what follows from a store in which this was changed of the record.
fn changed(fleet: &Fleet, change: impl Fn(&mut Value)) {
    let mut common = fleet.common.borrow_mut();
    let of_source = |key: &&String| key.starts_with("nexus.source.");
    let key = common.values.keys().find(of_source).unwrap().clone();
    let (value, number) = common.values.get_mut(&key).unwrap();
    let mut record = serde_json::from_slice(value).unwrap();
    change(&mut record);
    *value = record.to_string().into_bytes();
    *number += 1_000;
}

#[test]
fn unknown_kids_are_asked_for_after_the_clock_was_set_back() {
    let mut fleet = Fleet::new(2, &config(&remote()));
    fleet.serve_keys(&[1]);
    fleet.advance(1_000);
    let id = fleet.beds[0].get(&good(2)).waits();
    fleet.serve_keys(&[1, 2]);
    assert!(fleet.beds[0].fate_of(id).is_allowed());
    fleet.move_clock(back(50_000_000));
    fleet.advance(0);
    fleet.serve_keys(&[1, 2]);
    fleet.advance(2_000);
    for worker in [0, 1] {
        let id = fleet.beds[worker].get(&lasting(3)).waits();
        fleet.serve_keys(&[1, 2, 3]);
        assert!(fleet.beds[worker].fate_of(id).is_allowed());
        fleet.advance(2_000);
        fleet.beds[worker].get(&lasting(4)).waits();
        fleet.serve_keys(&[1, 2]);
        fleet.advance(2_000);
    }
    // Nor does another program keep anybody from it.
    changed(&fleet, |record| record["refetch_at"] = json!(u64::MAX));
    fleet.join(&config(&remote()));
    fleet.beds[2].get(&lasting(2)).waits();
    assert_eq!(fleet.fetches(), []);
    fleet.beds[2].fates();
    fleet.beds[2].get(&lasting(3)).waits();
    fleet.serve_keys(&[1, 2, 3]);
    fleet.everybody_knows(3);
}

#[test]
fn a_clock_that_steps_back_by_little_has_nothing_fetched() {
    for millis in [1, 1_000, 5_000] {
        let mut fleet = Fleet::new(3, &config(&remote()));
        fleet.serve_keys(&[1]);
        fleet.advance(10_000);
        fleet.move_clock(back(millis));
        fleet.advance(0);
        assert_eq!(fleet.fetches(), [], "{millis}");
        fleet.everybody_knows(1);
        let due = fleet.beds[0].engine.poll_timeout().unwrap();
        let pause = due.since(fleet.beds[0].now).0;
        assert!((230_000..=265_000).contains(&pause), "{millis}: {pause}");
        // While the source fails its pauses hold.
        fleet.advance(280_000);
        fleet.serve(FetchAnswer::NoResponse);
        fleet.move_clock(back(millis));
        fleet.advance(0);
        assert_eq!(fleet.fetches(), [], "{millis}");
    }
    // Many such steps are one that is noticed.
    let mut fleet = Fleet::new(3, &config(&remote()));
    fleet.serve_keys(&[1]);
    for step in 0..11 {
        assert_eq!(fleet.fetches(), [], "{step}");
        fleet.move_clock(back(500));
        fleet.advance(0);
    }
    fleet.serve_keys(&[2]);
    fleet.everybody_knows(2);
    assert_eq!(fleet.fetches(), []);
}

#[test]
fn what_is_fetched_after_a_small_step_back_is_newer_than_what_was_before() {
    for (millis, waits) in [(1, 0), (4_000, 50), (4_900, 50), (4_000, 3_000)] {
        let mut fleet = Fleet::new(3, &config(&remote()));
        let (worker, fetch) = fleet.fetch();
        fleet.advance(50);
        let first = jwks(&[1]).to_string();
        fleet.answer(worker, &fetch, FetchAnswer::response(200, first.as_bytes()));
        fleet.move_clock(back(millis));
        fleet.advance(0);
        let id = fleet.beds[1].get(&lasting(2)).waits();
        let (worker, fetch) = fleet.fetch();
        fleet.advance(waits);
        let second = jwks(&[2]).to_string();
        fleet.answer(
            worker,
            &fetch,
            FetchAnswer::response(200, second.as_bytes()),
        );
        assert!(fleet.beds[1].fate_of(id).is_allowed(), "{millis}");
        fleet.everybody_knows(2);
        fleet.advance(5_000);
        for bed in &mut fleet.beds {
            assert!(!bed.get(&lasting(1)).is_allowed(), "{millis}");
        }
        // And it is refreshed like everything else.
        fleet.advance(300_000);
        fleet.serve_keys(&[3]);
        fleet.everybody_knows(3);
    }
}

#[test]
fn a_round_under_way_when_the_clock_steps_back_brings_what_is_newest() {
    // The round began a little later than now, because what was published before was, when the clock is set back once
    // more, so that it is noticed: by so much that what was published is from before that, by less, and in between, so
    // that others take it for that and the one that fetches does not. Once the store has lost what was published.
    for (quiet, by, later, is_lost) in [
        (0, 1_510, 0, false),
        (100, 1_450, 0, false),
        (0, 1_510, 20, false),
        (100, 1_450, 0, true),
    ] {
        let mut fleet = Fleet::new(3, &config(&remote()));
        fleet.advance(1_000);
        fleet.serve_keys(&[1]);
        fleet.advance(quiet);
        fleet.move_clock(back(4_000 + quiet));
        fleet.advance(0);
        fleet.beds[0].get(&lasting(2)).waits();
        let bed = &mut fleet.beds[0];
        let fetch = bed.engine.poll_fetch(bed.now).unwrap();
        fleet.advance(500);
        fleet.move_clock(back(by));
        fleet.beds[1].advance(0);
        fleet.move_clock(|now| now.after(Millis(later)));
        fleet.advance(0);
        fleet.advance(100);
        let second = jwks(&[2]).to_string();
        let answer = FetchAnswer::response(200, second.as_bytes());
        if is_lost {
            let has_bells = |record: &mut Value| *record = json!({ "bells": record["bells"] });
            changed(&fleet, has_bells);
        }
        fleet.answer(0, &fetch, answer);
        assert!(fleet.beds[0].fates()[0].1.is_allowed(), "{by}");
        // Who comes later finds it.
        fleet.join(&config(&remote()));
        let bed = &mut fleet.beds[3];
        assert_eq!(bed.engine.poll_fetch(bed.now), None, "{by}");
        assert!(bed.get(&lasting(2)).is_allowed(), "{by}");
        if !is_lost {
            assert_eq!(fleet.fetches(), [], "{by}");
            fleet.everybody_knows(2);
        }
    }
}

#[test]
fn what_is_from_before_the_clock_was_set_back_holds_no_longer_for_those_who_come_later() {
    let config = config(&remote());
    for join_after in [0, 3_500] {
        let mut fleet = Fleet::new(1, &config);
        fleet.serve_keys(&[1]);
        fleet.move_clock(back(5_000_000));
        fleet.advance(0);
        let fail = |fleet: &mut Fleet, secs: u64| {
            for _ in 0..secs / 10 {
                fleet.advance(10_000);
                for (worker, fetch) in fleet.fetches() {
                    fleet.answer(worker, &fetch, FetchAnswer::NoResponse);
                }
            }
        };
        fail(&mut fleet, join_after);
        fleet.join(&config);
        fail(&mut fleet, 10);
        fleet.everybody_knows(1);
        // 3,600 s behind their freshness they are of no use to anybody, and do not come back when the clock gets where
        // it was.
        fail(&mut fleet, 3_600 - join_after);
        for _ in 0..200 {
            fail(&mut fleet, 10);
            fleet.join(&config);
            for bed in &mut fleet.beds {
                assert!(
                    !bed.get(&lasting(1)).is_allowed(),
                    "{}",
                    bed.now.as_seconds()
                );
            }
            fleet.beds.truncate(2);
        }
    }
}

#[test]
fn who_looks_first_after_the_clock_was_set_back_fetches() {
    let config = config(&remote());
    let mut fleet = Fleet::new(1, &config);
    fleet.serve_keys(&[1]);
    fleet.move_clock(back(5_000_000));
    // Nobody is there any more who noticed.
    fleet.join(&config);
    fleet.end(1);
    fleet.serve(FetchAnswer::NoResponse);
    fleet.everybody_knows(1);
    fleet.advance(2_000);
    fleet.serve_keys(&[2]);
    fleet.everybody_knows(2);
}

#[test]
fn who_comes_between_two_small_steps_back_hears_what_is_fetched_behind_the_second() {
    let mut fleet = Fleet::new(1, &config(&remote()));
    fleet.serve_keys(&[1]);
    fleet.move_clock(back(4_000));
    fleet.join(&config(&remote()));
    assert_eq!(fleet.fetches(), []);
    // The first one notices, the second one cannot.
    fleet.move_clock(back(2_000));
    fleet.advance(0);
    assert_eq!(fleet.serve_keys(&[2]), 0);
    fleet.everybody_knows(2);
}

#[test]
fn a_set_that_came_before_the_clock_was_set_back_is_older_than_what_follows() {
    // By so little that what is here is from a little later than now again when the news come: before they are published,
    // and behind that.
    for (takes, is_heard_after) in [(1_500, 0), (300, 1_000)] {
        let mut fleet = Fleet::new(2, &config(&remote()));
        fleet.serve_keys(&[1]);
        fleet.move_clock(back(6_000));
        // Both notice; one of them with a request, behind which it does not look at once.
        fleet.advance(0);
        let bed = &mut fleet.beds[0];
        let fetch = bed.engine.poll_fetch(bed.now).unwrap();
        fleet.advance(takes);
        let second = jwks(&[2]).to_string();
        let answer = FetchAnswer::response(200, second.as_bytes());
        let bed = &mut fleet.beds[0];
        bed.engine.handle_answer(fetch.id, answer, bed.now);
        fleet.advance(is_heard_after);
        fleet.deliver();
        assert_eq!(fleet.fetches(), []);
        fleet.everybody_knows(2);
    }
}

#[test]
fn an_engine_that_ends_hands_its_fetch_to_another() {
    let mut fleet = Fleet::new(3, &config(&remote()));
    let (ending, _) = fleet.fetch();
    assert_eq!(ending, 0);
    let id = fleet.beds[1].get(&good(1)).waits();
    let config = config(&remote());
    let ended = core::mem::replace(&mut fleet.beds[ending], Bed::new(config.clone()));
    ended.engine.handle_end();
    fleet.deliver();
    let body = jwks(&[1]).to_string();
    let (worker, fetch) = fleet
        .fetches()
        .into_iter()
        .find(|(worker, _)| *worker != ending)
        .unwrap();
    fleet.answer(worker, &fetch, FetchAnswer::response(200, body.as_bytes()));
    assert!(fleet.beds[1].fate_of(id).is_allowed());
    // Nobody rings for it any more, and one that only follows takes nothing from whoever fetches.
    fleet.advance(280_000);
    let (worker, fetch) = fleet.fetch();
    let other = 3 - worker;
    let ended = core::mem::replace(&mut fleet.beds[other], Bed::new(config));
    ended.engine.handle_end();
    assert!(fleet.common.borrow().rung.is_empty());
    let bed = &mut fleet.beds[worker];
    let answer = FetchAnswer::response(200, body.as_bytes());
    bed.engine.handle_answer(fetch.id, answer, bed.now);
    let rung = core::mem::take(&mut fleet.common.borrow_mut().rung);
    assert!(rung.iter().all(|(bell, _)| *bell as usize == worker));
    // One that never looked at anything leaves nothing.
    let before = fleet.common.borrow().writes;
    fleet.join(&super::config(&remote()));
    fleet.beds.pop().unwrap().engine.handle_end();
    assert_eq!(fleet.common.borrow().writes, before);
}

#[test]
fn a_bell_finds_a_place_among_many_and_against_many() {
    let mut fleet = Fleet::new(2, &config(&remote()));
    fleet.serve_keys(&[1]);
    // Of those who came before nobody is there any more.
    let gone: Vec<u32> = (1_000..2_024).collect();
    changed(&fleet, |record| record["bells"] = json!(gone));
    fleet.join(&config(&remote()));
    // And many write at the same time.
    fleet.common.borrow_mut().late = 1_000;
    assert_eq!(fleet.fetches(), []);
    let bed = &mut fleet.beds[0];
    bed.now = bed.now.after(Millis(1_000));
    let id = bed.get(&lasting(2)).waits();
    let fetch = bed.engine.poll_fetch(bed.now).unwrap();
    fleet.answer(
        0,
        &fetch,
        FetchAnswer::response(200, jwks(&[2]).to_string().as_bytes()),
    );
    assert!(fleet.beds[0].fate_of(id).is_allowed());
    assert!(fleet.beds[2].get(&lasting(2)).is_allowed());
}

#[test]
fn a_record_that_no_engine_writes_says_nothing() {
    let config = config(&remote());
    for (name, value) in [
        ("etag", json!("\"a\"\r\nx-injected: b")),
        ("etag", json!("no quotes")),
        ("etag", json!(std::format!("\"{}\"", "a".repeat(256)))),
        ("began", json!(u64::MAX)),
        ("url", json!("a".repeat(100_000))),
    ] {
        let mut fleet = Fleet::new(1, &config);
        fleet.serve_keys(&[1]);
        changed(&fleet, |record| record["published"][name] = value.clone());
        fleet.join(&config);
        let (worker, fetch) = fleet.fetch();
        assert_eq!((worker, &fetch.if_none_match), (1, &None), "{name}");
        let body = jwks(&[2]).to_string();
        fleet.answer(worker, &fetch, FetchAnswer::response(200, body.as_bytes()));
        assert!(fleet.beds[1].get(&lasting(2)).is_allowed(), "{name}");
    }
}
