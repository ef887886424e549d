//! One worker: its engine, driven as the filter drives it.

use std::rc::Rc;

use nexus_core::engine::{
    Alarm, Decision, Engine, Event, FetchAnswer, FetchId, Outcome, RequestId,
};
use nexus_core::request::Request;
use nexus_core::time::{Millis, Timestamp};

use super::flight::Flight;
use super::keys::{self, Token};
use super::ledger::{Round, Success};
use super::place::Served;
use super::settings::Settings;
use super::store::Member;
use super::world::{DISCOVERED, LIST, LIST_PLACE, PROVIDERS, World, place_of};

/// A round of fetching under way.
#[derive(Debug)]
struct Open {
    id: FetchId,
    place: usize,
    /// For which provider, or for the list; those that have their keys at one place are sources of their own.
    source: usize,
    began: u64,
    timeout_ms: u64,
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    id: RequestId,
    pub(crate) provider: usize,
    pub(crate) token: Token,
    pub(crate) arrived: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Worker {
    /// The name of its engine; no other ever has it.
    pub(crate) member: u32,
    pub(crate) engine: Option<Engine>,
    pub(crate) settings: Option<Settings>,
    /// Whether the engine has looked at its sources yet.
    pub(crate) has_looked: bool,
    open: Vec<Open>,
    pub(crate) waiting: Vec<Waiting>,
    /// When a token came that could not be placed.
    asked: Option<u64>,
    /// What it has asked for ticks.
    alarm: Alarm,
    /// When the next tick comes; where there is no engine, one begins then.
    pub(crate) tick_at: Option<u64>,
    pub(crate) stalled_until: u64,
    /// Since when something is due, by the clock as it is.
    due_since: Option<u64>,
    /// Which setting of the clock the engine could notice last, and when it did.
    noticed: (Option<u64>, u64),
}

impl Worker {
    /// When the engine could notice that the clock was set, if it was.
    pub(crate) fn clock_noticed(&self) -> Option<u64> {
        self.noticed.0.map(|_| self.noticed.1)
    }

    pub(crate) const fn is_stalled(&self, now: u64) -> bool {
        now < self.stalled_until
    }

    /// When something gets done that is due then.
    pub(crate) fn ready_at(&self, at: u64) -> u64 {
        at.max(self.stalled_until)
    }

    /// Whether it fetches for that provider, or the list.
    pub(crate) fn is_fetching(&self, source: usize) -> bool {
        self.open.iter().any(|open| open.source == source)
    }

    /// Since when it has something to do; where there is nothing to do, `None`.
    pub(crate) fn due_since(&mut self, now: u64, clock: Timestamp) -> Option<u64> {
        let due = self.engine.as_ref()?.poll_timeout();
        self.due_since = due
            .filter(|due| *due <= clock)
            .map(|_| self.due_since.unwrap_or(now));
        self.due_since
    }

    fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("only living workers do things")
    }

    /// Tells the time by which the engine does something now.
    fn look_at_clock(&mut self, world: &World) -> Timestamp {
        let state = world.state.borrow();
        if self.noticed.0 != state.clock_set {
            self.noticed = (state.clock_set, state.now);
        }
        state.timestamp()
    }

    /// Asks for the next tick, as the filter does.
    fn schedule(&mut self, now: u64, clock: Timestamp) {
        let wanted = self.engine().poll_timeout();
        match self.alarm.poll_period(wanted, clock, Millis(now)) {
            None => {}
            Some(Millis(0)) => self.tick_at = None,
            Some(period) => self.tick_at = Some(now + period.0),
        }
    }
}

impl World {
    /// Begins an engine.
    pub(crate) fn start(self: &Rc<Self>, index: usize) {
        let mut worker = self.workers[index].borrow_mut();
        let (member, settings, clock, failing) = {
            let state = &mut *self.state.borrow_mut();
            state.next_member += 1;
            let failing = state.faults.failing_calls;
            (
                state.next_member,
                state.settings,
                state.timestamp(),
                failing,
            )
        };
        let process = Member {
            world: Rc::downgrade(self),
            bell: member,
            failing,
        };
        let seed = u64::from(member) << 32;
        let engine = Engine::new(settings.config(), &|_| None, seed, clock)
            .expect("the policy can be used")
            .with_process(Box::new(process), seed)
            // Some remember tokens, some do not: the promises hold for both.
            .with_token_cache(u128::from(seed).to_be_bytes());
        *worker = Worker {
            member,
            engine: Some(engine),
            settings: Some(settings),
            stalled_until: worker.stalled_until,
            ..Worker::default()
        };
        worker.schedule(self.now(), clock);
        self.note(|| format!("engine {member} begins at worker {index}"));
    }

    /// Ends an engine; another one begins after a pause.
    pub(crate) fn replace(&self, index: usize, pause: u64) {
        let mut worker = self.workers[index].borrow_mut();
        let member = worker.member;
        // As when a configuration is replaced, or when a thread is gone.
        let is_told = self.percent(50);
        self.note(|| format!("engine {member} ends, and is told: {is_told}"));
        if let Some(engine) = worker.engine.take().filter(|_| is_told) {
            // Others may begin while it still tidies up.
            for open in &worker.open {
                self.state.borrow_mut().ledgers[open.place].release(member);
            }
            engine.handle_end();
        }
        let now = self.now();
        *worker = Worker {
            tick_at: Some(now + pause),
            stalled_until: worker.stalled_until,
            ..Worker::default()
        };
    }

    /// Does what is due.
    pub(crate) fn tick(self: &Rc<Self>, worker: &mut Worker) {
        let clock = worker.look_at_clock(self);
        worker.alarm.handle_call();
        worker.engine().handle_timeout(clock);
        self.settle_overdue(worker);
        self.drive(worker);
    }

    /// Takes news.
    pub(crate) fn hear(self: &Rc<Self>, worker: &mut Worker, topic: &[u8]) {
        let clock = worker.look_at_clock(self);
        self.note(|| format!("engine {} hears news", worker.member));
        worker.engine().handle_news(topic, clock);
        self.drive(worker);
    }

    /// Takes an answer.
    pub(crate) fn deliver(self: &Rc<Self>, worker: &mut Worker, flight: Flight) {
        let served = flight.served.expect("it was served");
        self.settle(worker, flight.id, served);
        self.drive(worker);
    }

    fn settle(&self, worker: &mut Worker, id: FetchId, served: Served) {
        let clock = worker.look_at_clock(self);
        let said = match served.answer {
            FetchAnswer::Response { status, .. } => status,
            _ => 0,
        };
        self.note(|| format!("engine {} hears {said} {:?}", worker.member, served.keys));
        worker.engine().handle_answer(id, served.answer, clock);
        let events: Vec<Event> = std::iter::from_fn(|| worker.engine().poll_event()).collect();
        let Some(at) = worker.open.iter().position(|open| open.id == id) else {
            return;
        };
        let is_over = served.keys.is_some() || events.iter().any(ends_round);
        if !is_over && worker.open[at].place == DISCOVERED {
            return;
        }
        let open = worker.open.remove(at);
        let state = &mut *self.state.borrow_mut();
        let ledger = &mut state.ledgers[open.place];
        match served.keys {
            Some(keys) => {
                let max_age_secs = match (said, served.max_age_secs) {
                    (304, None) => ledger.shortest_max_age(keys),
                    (_, said) => said,
                };
                ledger.succeed(Success {
                    began: open.began,
                    done: state.now,
                    by: worker.member,
                    source: open.source,
                    keys,
                    max_age_secs,
                });
            }
            None => {
                let pause = served.retry_after_secs;
                ledger.fail(worker.member, open.began, state.now, pause);
            }
        }
    }

    /// Takes note of the fetches that the engine has given up.
    fn settle_overdue(&self, worker: &mut Worker) {
        while let Some(event) = worker.engine().poll_event() {
            let Event::FetchFailed { url, .. } = &event else {
                continue;
            };
            if !ends_round(&event) {
                continue;
            }
            let overdue = worker.open.iter().enumerate();
            let overdue = overdue.filter(|(_, open)| url.contains(&format!("idp-{}.", open.place)));
            let first = overdue.min_by_key(|(_, open)| open.began + open.timeout_ms);
            let Some(at) = first.map(|(at, _)| at) else {
                panic!(
                    "engine {} gave up a fetch from {url} that it did not make",
                    worker.member
                );
            };
            let open = worker.open.remove(at);
            self.note(|| format!("engine {} gives up place {}", worker.member, open.place));
            let state = &mut *self.state.borrow_mut();
            state.ledgers[open.place].fail(worker.member, open.began, state.now, 0);
        }
    }

    /// Does what the engine wants done.
    fn drive(self: &Rc<Self>, worker: &mut Worker) {
        let clock = self.state.borrow().timestamp();
        while let Some(fetch) = worker.engine().poll_fetch(clock) {
            let settings = worker.settings.expect("a living worker has them");
            let source = (0..=LIST)
                .find(|source| settings.timeout_ms(*source) == fetch.timeout_ms)
                .expect("the timeout tells sources apart");
            let place = place_of(source);
            assert!(fetch.target.url.contains(&format!("idp-{place}.")));
            let mut rounds = worker.open.iter_mut();
            match rounds.find(|open| open.source == source && place == DISCOVERED) {
                Some(round) => {
                    round.id = fetch.id;
                    self.go_on(worker.member, place, fetch.timeout_ms);
                }
                None => {
                    self.begin(worker, place, fetch.timeout_ms);
                    worker.open.push(Open {
                        id: fetch.id,
                        place,
                        source,
                        began: self.now(),
                        timeout_ms: fetch.timeout_ms,
                    });
                }
            }
            let is_healed = self.state.borrow().is_healed;
            match self.percent(3) && !is_healed {
                true => self.settle(worker, fetch.id, Served::useless(FetchAnswer::NotSent)),
                false => self.send(worker.member, place, &fetch),
            }
        }
        worker.has_looked = true;
        while let Some((id, decision)) = worker.engine().poll_decision(clock) {
            let at = worker.waiting.iter().position(|waiting| waiting.id == id);
            let waiting = worker.waiting.remove(at.expect("decided is what waits"));
            self.judge(worker, waiting.provider, waiting.token, &decision, true);
            // As when a decision took long: the rest is for the next tick.
            if self.percent(5) {
                break;
            }
        }
        worker.schedule(self.now(), clock);
    }

    fn go_on(&self, member: u32, place: usize, timeout_ms: u64) {
        self.note(|| format!("engine {member} asks place {place} on"));
        let state = &mut *self.state.borrow_mut();
        state.ledgers[place].go_on(member, state.now, timeout_ms);
    }

    /// When somebody asked for more than there was at a place. Whoever waits for a list as well asks when that is there,
    /// by what there is then.
    fn asked(&self, worker: &Worker, place: usize) -> Option<u64> {
        let settings = worker.settings.expect("a living worker has them");
        let mut waiting = worker.waiting.iter().map(|waiting| waiting.provider);
        match waiting.any(|it| PROVIDERS[it].place == place && settings.has_list(it)) {
            true => Some(self.now()),
            false => worker.asked,
        }
    }

    fn begin(&self, worker: &Worker, place: usize, timeout_ms: u64) {
        let asked = self.asked(worker, place).filter(|_| place != LIST_PLACE);
        self.note(|| format!("engine {} asks place {place}", worker.member));
        let state = &mut *self.state.borrow_mut();
        let verdict = state.ledgers[place].begin(&Round {
            at: state.now,
            by: worker.member,
            timeout_ms,
            asked,
            settings: worker.settings.expect("a living worker has them"),
        });
        if let Err(reason) = verdict {
            panic!(
                "budget: engine {} asks place {place} without reason: {reason}",
                worker.member
            );
        }
    }

    /// Sends a request; it is decided or waits.
    pub(crate) fn request(
        self: &Rc<Self>,
        worker: &mut Worker,
        provider: usize,
        token: Token,
    ) -> Option<Decision> {
        let clock = worker.look_at_clock(self);
        let (now, id) = {
            let state = &mut *self.state.borrow_mut();
            state.next_request += 1;
            (state.now, RequestId(state.next_request))
        };
        let authorization = keys::authorization(provider, token);
        let headers: [(&[u8], &[u8]); 4] = [
            (b":method", b"GET"),
            (b":authority", b"example.com"),
            (b":path", b"/"),
            (b"authorization", authorization.as_bytes()),
        ];
        let decision = worker
            .engine()
            .handle_request(id, &Request::new(&headers), clock);
        if decision
            .as_ref()
            .is_none_or(|decision| !is_allowed(decision))
        {
            worker.asked = Some(now);
        }
        match &decision {
            Some(decision) => self.judge(worker, provider, token, decision, false),
            None => {
                self.check_may_wait(worker, provider, token);
                worker.waiting.push(Waiting {
                    id,
                    provider,
                    token,
                    arrived: now,
                });
            }
        }
        self.note(|| {
            let fate = match &decision {
                None => "waits".into(),
                Some(decision) => fate(decision),
            };
            format!("engine {}: {token:?} of {provider}: {fate}", worker.member)
        });
        if decision.is_none() || worker.alarm.is_wrong(clock) {
            worker.schedule(now, clock);
        }
        decision
    }
}

/// Whether it tells that a round has failed; otherwise another request of the round follows.
const fn ends_round(event: &Event) -> bool {
    matches!(
        event,
        Event::FetchFailed {
            retry_in: Some(_),
            ..
        }
    )
}

/// Whether a request passes.
pub(crate) const fn is_allowed(decision: &Decision) -> bool {
    matches!(decision.outcome, Outcome::Allow(_))
}

/// What became of a request, in a word.
pub(crate) fn fate(decision: &Decision) -> String {
    match &decision.outcome {
        Outcome::Allow(_) => "passes".into(),
        Outcome::Deny(denial) => denial.reason().code().into(),
    }
}
