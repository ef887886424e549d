//! Something behind a URL that is kept fresh: when to fetch it, how long to trust it.
//!
//! It is fetched before the first request needs it and again before it goes stale. A round of fetching
//! that fails is tried again after pauses that double. What was good stays in use while the source fails,
//! up to a bound. Which requests a round takes and what their answers mean is said in [`super::content`].
//! Nothing here reads a clock or talks to the network: the engine tells the time and carries the answers.

use alloc::string::String;
use alloc::vec::Vec;

use super::Event;
use super::content::{Loaded, Purpose, Step};
use super::fetch::{Content, Fetch, FetchAnswer, FetchFailure, FetchId};
use crate::config::DEFAULT_CACHE_TTL_SECS;
use crate::jose::JwkSet;
use crate::revocation::RevocationList;
use crate::time::{Millis, Timestamp};

/// The first pause behind a fetch that failed.
const FIRST_PAUSE: Millis = Millis(1_000);

/// The longest pause between fetches that fail.
const LONGEST_PAUSE: Millis = Millis(60_000);

/// How long after a fetch a token with an unknown `kid` may cause the next one. It bounds what made-up
/// `kid`s cost the source, and how long a key that was just published may be unknown.
pub const REFETCH_PAUSE: Millis = Millis(5_000);

/// How long after its own timeout the proxy may still answer a fetch before it is given up.
const ANSWER_GRACE: Millis = Millis(1_000);

/// Whether a source has what a request needs.
pub(super) enum Availability<'s, T> {
    /// It has.
    Ready(&'s T),
    /// It has nothing yet, and the next answer is due before the given deadline.
    Pending,
    /// It has nothing, and no answer is due in time.
    Missing,
}

/// What became of an answer.
#[derive(Debug)]
pub(super) struct Settled {
    /// To be told, in order.
    pub(super) events: Vec<Event>,
    /// Whether the round is over; otherwise another request is due at once.
    pub(super) is_over: bool,
}

#[derive(Debug)]
enum State {
    /// No round under way; the next one is due at this time.
    Idle(Timestamp),
    /// In the middle of a round, before its next request.
    Between,
    /// A fetch is under way; it is given up at `until`.
    Fetching { id: FetchId, until: Timestamp },
}

#[derive(Debug)]
struct Fetched {
    loaded: Loaded,
    at: Timestamp,
}

/// Something remote and its freshness.
#[derive(Debug)]
pub(super) struct Source {
    purpose: Purpose,
    /// Where it is, for logs.
    pub(super) label: String,
    time_to_live: Millis,
    fetched: Option<Fetched>,
    state: State,
    /// When the last round was started.
    started: Option<Timestamp>,
    /// Rounds that failed in a row.
    pub(super) failures: u32,
    pub(super) last_failure: Option<FetchFailure>,
    stale_reported: bool,
}

impl Source {
    /// A source that has nothing and whose first fetch is due at once. `default_ttl_secs` counts for keys.
    pub(super) fn new(purpose: Purpose, default_ttl_secs: Option<u64>, now: Timestamp) -> Self {
        let default_ttl_secs = default_ttl_secs.filter(|_| purpose.content() == Content::Keys);
        let seconds = purpose
            .cache_ttl_secs()
            .or(default_ttl_secs)
            .unwrap_or(DEFAULT_CACHE_TTL_SECS);
        Self {
            time_to_live: Millis::from_seconds(seconds.max(1)),
            label: purpose.label(),
            purpose,
            fetched: None,
            state: State::Idle(now),
            started: None,
            failures: 0,
            last_failure: None,
            stale_reported: false,
        }
    }

    #[cfg(test)]
    pub(super) fn time_to_live(&self) -> Millis {
        self.time_to_live
    }

    /// What it is kept for.
    pub(super) const fn content(&self) -> Content {
        self.purpose.content()
    }

    /// How long a request waits for it at most.
    pub(super) const fn longest_wait(&self) -> Millis {
        Millis(
            self.purpose
                .timeout_ms()
                .saturating_mul(self.purpose.requests()),
        )
    }

    /// What was fetched, if it may still be used.
    fn usable(&self, now: Timestamp) -> Option<&Loaded> {
        let fetched = self.fetched.as_ref()?;
        let bound = fetched
            .at
            .after(self.time_to_live)
            .after(Millis::from_seconds(self.purpose.max_stale_secs()));
        (now <= bound).then_some(&fetched.loaded)
    }

    /// The keys for a request that waits until `deadline` at most.
    pub(super) fn keys(&self, now: Timestamp, deadline: Timestamp) -> Availability<'_, JwkSet> {
        match self.usable(now) {
            Some(Loaded::Keys(keys)) => Availability::Ready(keys),
            Some(Loaded::Revocations(_)) => Availability::Missing,
            None => self.outlook(now, deadline),
        }
    }

    /// The list for a request that waits until `deadline` at most.
    pub(super) fn revocations(
        &self,
        now: Timestamp,
        deadline: Timestamp,
    ) -> Availability<'_, RevocationList> {
        match self.usable(now) {
            Some(Loaded::Revocations(list)) => Availability::Ready(list),
            Some(Loaded::Keys(_)) => Availability::Missing,
            None => self.outlook(now, deadline),
        }
    }

    /// Whether an answer is due in time where there is nothing to use.
    fn outlook<T>(&self, now: Timestamp, deadline: Timestamp) -> Availability<'_, T> {
        let answer_due = match self.state {
            State::Idle(next) => next,
            State::Between | State::Fetching { .. } => now,
        };
        if answer_due <= deadline {
            Availability::Pending
        } else {
            Availability::Missing
        }
    }

    /// Asks for a fetch because a key is unknown; whether one is under way or due now.
    pub(super) fn refetch(&mut self, now: Timestamp) -> bool {
        match self.state {
            State::Between | State::Fetching { .. } => true,
            State::Idle(next) => {
                let allowed = self
                    .started
                    .is_none_or(|started| started.after(REFETCH_PAUSE) <= now);
                // While the source fails, its pauses hold.
                if allowed && self.failures == 0 {
                    self.state = State::Idle(next.min(now));
                }
                allowed && self.failures == 0
            }
        }
    }

    /// Notices a clock that was set back: what happened later than now happened now, and the next
    /// fetch is due. Otherwise what was fetched would stay fresh for as long as the clock had been ahead.
    pub(super) fn handle_clock(&mut self, now: Timestamp) {
        if self.started.is_none_or(|started| started <= now) {
            return;
        }
        self.started = Some(now);
        self.purpose.handle_clock(now);
        if let Some(fetched) = &mut self.fetched {
            fetched.at = fetched.at.min(now);
        }
        let given_up = self.given_up(now);
        match &mut self.state {
            State::Idle(next) => *next = now,
            State::Between => {}
            State::Fetching { until, .. } => *until = given_up,
        }
    }

    /// When a fetch that starts now is given up.
    fn given_up(&self, now: Timestamp) -> Timestamp {
        now.after(Millis(self.purpose.timeout_ms()))
            .after(ANSWER_GRACE)
    }

    /// Whether a fetch should start now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        match self.state {
            State::Idle(next) => next <= now,
            State::Between => true,
            State::Fetching { .. } => false,
        }
    }

    /// Starts the fetch that is due under that name.
    pub(super) fn start(&mut self, id: FetchId, now: Timestamp) -> Fetch {
        if !matches!(self.state, State::Between) {
            self.purpose.begin(now, self.time_to_live);
            self.started = Some(now);
        }
        self.state = State::Fetching {
            id,
            until: self.given_up(now),
        };
        let (content, target) = self.purpose.request();
        Fetch {
            id,
            content,
            target,
            timeout_ms: self.purpose.timeout_ms(),
        }
    }

    /// Whether the fetch `id` is the one under way.
    pub(super) fn awaits(&self, id: FetchId) -> bool {
        matches!(self.state, State::Fetching { id: awaited, .. } if awaited == id)
    }

    /// Takes the answer of the fetch under way. `jitter` is a number below 1000 that spreads sources apart.
    pub(super) fn handle_answer(
        &mut self,
        answer: FetchAnswer<'_>,
        jitter: u64,
        now: Timestamp,
    ) -> Settled {
        let mut events = Vec::new();
        match self.purpose.handle_answer(answer, now, &mut events) {
            Step::Next => {
                self.state = State::Between;
                return Settled {
                    events,
                    is_over: false,
                };
            }
            Step::Done { loaded, url } => {
                self.failures = 0;
                self.last_failure = None;
                self.stale_reported = false;
                self.state = State::Idle(now.after(refresh_after(self.time_to_live, jitter)));
                events.push(loaded.event(url));
                self.fetched = Some(Fetched { loaded, at: now });
            }
            Step::Failed(failed) => {
                let pause = pause(self.failures, jitter);
                self.state = State::Idle(now.after(pause));
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some(failed.failure.clone());
                events.push(failed.told(Some(pause)));
            }
        }
        if self.turned_stale(now) {
            events.push(Event::Stale {
                content: self.purpose.content(),
                url: self.label.clone(),
            });
        }
        Settled {
            events,
            is_over: true,
        }
    }

    /// Whether the fetch under way got no answer in time; it has to be handled as one without.
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Fetching { until, .. } if until <= now)
    }

    /// When something is to be done next.
    pub(super) fn next_event(&self) -> Timestamp {
        match self.state {
            State::Idle(next) => next,
            State::Between => Timestamp::from_millis(0),
            State::Fetching { until, .. } => until,
        }
    }

    /// Whether something stale came into use since the last call; true once for each outage.
    fn turned_stale(&mut self, now: Timestamp) -> bool {
        let stale = self
            .fetched
            .as_ref()
            .is_some_and(|fetched| fetched.at.after(self.time_to_live) < now);
        let turned = stale && self.failures > 0 && !self.stale_reported;
        self.stale_reported |= turned;
        turned
    }
}

/// When something fetched is refreshed: between 80 % and 90 % of their time to live.
fn refresh_after(time_to_live: Millis, jitter: u64) -> Millis {
    let share = jitter.min(1000).saturating_add(8000);
    Millis(
        time_to_live
            .0
            .saturating_mul(share)
            .checked_div(10_000)
            .unwrap_or(0)
            .max(1),
    )
}

/// The pause behind the failure number `failures` in a row, counted from 0: it doubles from
/// [`FIRST_PAUSE`] to [`LONGEST_PAUSE`], less up to a tenth.
fn pause(failures: u32, jitter: u64) -> Millis {
    let doubled = FIRST_PAUSE
        .0
        .saturating_mul(1_u64.checked_shl(failures.min(16)).unwrap_or(u64::MAX))
        .min(LONGEST_PAUSE.0);
    let less = doubled
        .saturating_mul(jitter.min(1000))
        .checked_div(10_000)
        .unwrap_or(0);
    Millis(doubled.saturating_sub(less))
}
