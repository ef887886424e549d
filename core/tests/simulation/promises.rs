//! What is promised to those who send requests, checked whenever something was decided.

use std::collections::BTreeSet;
use std::rc::Rc;

use nexus_core::engine::{Decision, LONGEST_PERIOD};

use super::keys::{KEYS, Token};
use super::ledger::Success;
use super::worker::{Worker, fate, is_allowed};
use super::world::{LIST, LIST_PLACE, PLACES, PROVIDERS, World, place_of};

/// How much later than it was served an answer may be heard, in milliseconds: the longest timeout, what the proxy
/// takes on top of it, and how long a worker may stand still.
const LATEST_ANSWER: u64 = 7_000 + 2_000 + 10_000;

/// How late a decision may be that waits for its turn, in milliseconds.
const LATEST_TURN: u64 = 100;

/// By how much the clocks of two workers may differ in the eyes of an engine, in milliseconds.
const SKEW: u64 = 5_000;

impl World {
    /// Checks a decision.
    pub(crate) fn judge(
        &self,
        worker: &Worker,
        provider: usize,
        token: Token,
        decision: &Decision,
        has_waited: bool,
    ) {
        if has_waited {
            self.note(|| {
                let fate = fate(decision);
                format!("engine {}: {token:?} of {provider}: {fate}", worker.member)
            });
        }
        match (is_allowed(decision), token) {
            (true, Token::Genuine(key)) => {
                self.check_passed(worker, provider, key);
                self.check_not_revoked(worker, provider, key);
            }
            (true, token) => panic!("keys: {token:?} passes, which nobody's key has signed"),
            (false, Token::Genuine(key)) => {
                let fate = fate(decision);
                self.check_kept_out(worker, provider, key, &fate);
            }
            (false, _) => {}
        }
    }

    /// Checks a request that is not decided at once.
    pub(crate) fn check_may_wait(&self, worker: &Worker, provider: usize, token: Token) {
        if let Token::Genuine(key) = token {
            self.check_kept_out(worker, provider, key, "waits");
        }
    }

    /// Nobody passes by a key that was withdrawn for longer than the bound.
    fn check_passed(&self, worker: &Worker, provider: usize, key: usize) {
        let state = self.state.borrow();
        let place = PROVIDERS[provider].place;
        let settings = worker.settings.expect("a living worker has them");
        assert!(
            settings.has(provider) && state.places[place].knows(key),
            "keys: key {key} of provider {provider} passes, which was never published"
        );
        let Some(withdrawn) = state.places[place].withdrawn_since(key) else {
            return;
        };
        let longest = settings
            .time_to_live(Some(u64::MAX))
            .max(settings.time_to_live(None));
        let seen = withdrawn + LATEST_ANSWER;
        // What was there when the clock was set back may be as new as that.
        let from = match worker.clock_noticed() {
            Some(noticed) => seen.max(noticed + SKEW),
            None => seen,
        };
        let bound = from + longest + settings.max_stale_secs * 1_000;
        assert!(
            state.now <= bound,
            "keys: key {key} of place {place} passes, withdrawn at {withdrawn}, the bound was {bound}"
        );
        let told = state.ledgers[place]
            .successes()
            .iter()
            .find(|success| success.began > withdrawn && self.has_heard(worker, provider, success));
        if let Some(success) = told {
            panic!(
                "keys: key {key} of place {place} passes at engine {}, withdrawn at {withdrawn}, which engine {} \
                 found at {}",
                worker.member, success.by, success.done
            );
        }
    }

    /// Nobody passes by a token that was revoked for longer than the bound, or while nobody can tell whether it is.
    fn check_not_revoked(&self, worker: &Worker, provider: usize, key: usize) {
        let state = self.state.borrow();
        let settings = worker.settings.expect("a living worker has them");
        if !settings.has_list(provider) {
            return;
        }
        let longest = settings
            .time_to_live(Some(u64::MAX))
            .max(settings.time_to_live(None))
            + settings.max_stale_secs * 1_000;
        // What was there when the clock was set back may be as new as that.
        let bound = |since: u64| {
            let from = worker
                .clock_noticed()
                .map_or(since, |at| since.max(at + SKEW));
            from + longest
        };
        let successes = state.ledgers[LIST_PLACE].successes();
        let last = successes.iter().map(|success| success.done).max();
        assert!(
            last.is_some_and(|done| state.now <= bound(done)),
            "lists: token {key} passes at engine {}, whose list nobody has seen since {last:?}",
            worker.member
        );
        let Some(revoked) = state.places[LIST_PLACE].published_since(key) else {
            return;
        };
        // What is on the list from the beginning is on every copy of it.
        let until = match revoked {
            0 => 0,
            revoked => bound(revoked + LATEST_ANSWER),
        };
        assert!(
            state.now <= until,
            "lists: token {key} passes at engine {}, revoked at {revoked}, the bound was {until}",
            worker.member
        );
        let told = successes
            .iter()
            .find(|success| success.began > revoked && self.has_heard(worker, LIST, success));
        if let Some(success) = told {
            panic!(
                "lists: token {key} passes at engine {}, revoked at {revoked}, which engine {} found at {}",
                worker.member, success.by, success.done
            );
        }
    }

    /// Whether an engine has to know that a token is not revoked.
    fn is_cleared(&self, worker: &Worker, provider: usize, key: usize) -> bool {
        let state = self.state.borrow();
        let settings = worker.settings.expect("a living worker has them");
        if !settings.has_list(provider) {
            return true;
        }
        let place = &state.places[LIST_PLACE];
        let cleared = match place.published_since(key) {
            Some(_) => return false,
            None => place.withdrawn_since(key).unwrap_or(0),
        };
        self.may_be_used(worker, LIST, cleared).is_some()
    }

    /// Until when an engine may use what somebody fetched later than `since`, if it has heard of it and may now.
    fn may_be_used(&self, worker: &Worker, source: usize, since: u64) -> Option<(u64, u64)> {
        let state = self.state.borrow();
        let settings = worker.settings.expect("a living worker has them");
        let successes = state.ledgers[place_of(source)].successes();
        let known = successes
            .iter()
            .position(|success| success.began > since && self.has_heard(worker, source, success))?;
        let usable_until = |success: &Success| {
            success.done
                + settings.time_to_live(success.max_age_secs)
                + settings.max_stale_secs * 1_000
        };
        let until = successes[known..].iter().map(usable_until).min()?;
        let is_clock_set = state
            .clock_set
            .is_some_and(|set| successes[known].began <= set);
        let is_usable = !is_clock_set && state.now <= until;
        is_usable.then_some((successes[known].done, until))
    }

    /// Whether an engine knows what another one has fetched, or newer.
    fn has_heard(&self, worker: &Worker, source: usize, success: &Success) -> bool {
        let state = self.state.borrow();
        if success.by == worker.member && success.source == source {
            // What only it knows, it takes for older than what the others do, once the clock was set back behind it.
            return !state.faults.clock || !state.faults.loses_writes();
        }
        state.faults.is_heard()
            && worker.has_looked
            && !worker.is_fetching(source)
            && state.rings.iter().all(|ring| ring.bell != worker.member)
    }

    /// Nobody is kept out whose key is known and was not withdrawn, as long as what is known may be used.
    fn check_kept_out(&self, worker: &Worker, provider: usize, key: usize, fate: &str) {
        let state = self.state.borrow();
        let place = PROVIDERS[provider].place;
        let settings = worker.settings.expect("a living worker has them");
        let Some(published) = state.places[place].published_since(key) else {
            return;
        };
        if !settings.has(provider) {
            return;
        }
        if !self.is_cleared(worker, provider, key) {
            return;
        }
        if let Some((found, until)) = self.may_be_used(worker, provider, published) {
            panic!(
                "known keys: key {key} of place {place} does not pass at engine {}: {fate}; it was found at {found} and \
                 may be used until {until}",
                worker.member
            );
        }
    }

    /// No request waits for longer than its bound.
    pub(crate) fn check_waiting(&self) {
        let state = self.state.borrow();
        for worker in self.workers.iter().map(|worker| worker.borrow()) {
            let Some(settings) = worker.settings else {
                continue;
            };
            for waiting in &worker.waiting {
                let bound = settings.longest_wait();
                let due = match state.clock_set.filter(|set| waiting.arrived <= *set) {
                    // It is noticed with a tick, which another request may have put off; from then on it counts.
                    Some(set) => worker.ready_at(set + 2 * bound) + bound,
                    None => waiting.arrived + bound,
                };
                let due = worker.ready_at(due) + LATEST_TURN;
                assert!(
                    state.now <= due,
                    "waiting: {waiting:?} waits at engine {}, the bound was {due}",
                    worker.member
                );
            }
        }
    }

    /// What is due is done, also where it is due because the clock was set forward.
    pub(crate) fn check_prompt(&self) {
        let (now, clock, faults) = {
            let state = self.state.borrow();
            (state.now, state.timestamp(), state.faults)
        };
        let bound = match faults.clock {
            true => LONGEST_PERIOD.0 + LATEST_TURN,
            false => LATEST_TURN,
        };
        for worker in &self.workers {
            // Whoever is at work is not late.
            let Ok(mut worker) = worker.try_borrow_mut() else {
                continue;
            };
            if let Some(since) = worker.due_since(now, clock) {
                assert!(
                    now <= worker.ready_at(since + bound) + LATEST_TURN,
                    "prompt: engine {} has had something to do since {since}",
                    worker.member
                );
            }
        }
    }

    /// From now on nothing fails any more.
    pub(crate) fn heal(self: &Rc<Self>) {
        self.note(|| "from here on all is well".into());
        {
            let state = &mut *self.state.borrow_mut();
            state.is_healed = true;
            state.store.fails_until = 0;
            for place in &mut state.places {
                place.is_healed = true;
            }
        }
        for worker in &self.workers {
            let mut worker = worker.borrow_mut();
            worker.stalled_until = worker.stalled_until.min(self.now());
        }
        let settings = self
            .workers
            .iter()
            .filter_map(|worker| worker.borrow().settings);
        let settings = settings.chain([self.state.borrow().settings]);
        let refresh = settings.map(|settings| {
            let most = settings.time_to_live(Some(u64::MAX));
            most.max(settings.time_to_live(None)) * 9 / 10
        });
        let refresh = refresh.max().unwrap_or(0);
        // A refresh interval, the longest pause, and somebody at work whose answer got lost.
        self.advance(refresh + 300_000 + 2 * 8_000 + LATEST_ANSWER);
    }

    /// What nobody names any more is emptied, and nobody misses anything.
    pub(crate) fn check_tidy(self: &Rc<Self>) {
        let places: BTreeSet<usize> = self
            .workers
            .iter()
            .filter_map(|worker| worker.borrow().settings)
            .flat_map(|settings| (0..=LIST).filter(move |source| settings.has(*source)))
            .map(place_of)
            .collect();
        let contents = || self.state.borrow().store.contents();
        // Seven rounds and one to begin with, each a tick late at most.
        let end = self.now() + 8 * (600_000 + LONGEST_PERIOD.0);
        while self.now() < end {
            assert!(
                contents() >= places.len(),
                "tidy: something is missing of what is named, at the places {places:?}"
            );
            self.advance(LONGEST_PERIOD.0);
        }
        assert_eq!(
            contents(),
            places.len(),
            "tidy: what is named is at the places {places:?}"
        );
        self.check_fresh();
    }

    /// Whoever brings a `kid` that nobody knows waits until the place was asked, when it was not for long.
    fn check_asked(self: &Rc<Self>) {
        for worker in &self.workers {
            let mut worker = worker.borrow_mut();
            let settings = worker.settings.expect("a living worker has them");
            for provider in (0..PROVIDERS.len()).filter(|provider| settings.has(*provider)) {
                let decision = self.request(&mut worker, provider, Token::MadeUp(0));
                assert!(
                    decision.is_none(),
                    "asked: nobody is asked for a key of provider {provider} at engine {}",
                    worker.member
                );
            }
        }
        self.advance(LATEST_ANSWER);
    }

    /// Everybody knows what is published, and nothing else passes.
    pub(crate) fn check_fresh(self: &Rc<Self>) {
        self.check_asked();
        for (provider, its) in PROVIDERS.iter().enumerate() {
            let (published, revoked) = {
                let places = &self.state.borrow().places;
                (
                    places[its.place].published(),
                    places[LIST_PLACE].published(),
                )
            };
            for worker in &self.workers {
                let mut worker = worker.borrow_mut();
                let Some(settings) = worker.settings.filter(|its| its.has(provider)) else {
                    continue;
                };
                for key in (0..KEYS).rev() {
                    let decision = self.request(&mut worker, provider, Token::Genuine(key));
                    let passes = decision.as_ref().is_some_and(is_allowed);
                    let is_revoked = settings.has_list(provider) && revoked.has(key);
                    assert!(
                        passes == (published.has(key) && !is_revoked),
                        "fresh: key {key} of provider {provider} at engine {}: {:?}",
                        worker.member,
                        decision.as_ref().map(fate)
                    );
                }
            }
        }
        // What was made to wait is decided, too.
        self.advance(PLACES as u64 * LATEST_ANSWER);
        for worker in &self.workers {
            assert!(
                worker.borrow().waiting.is_empty(),
                "waiting: somebody waits for ever"
            );
        }
    }
}
