//! A JWK set behind a URL: when to fetch it, how long to trust it.
//!
//! The set is fetched before the first request needs it and again before it goes stale. A fetch
//! that fails is tried again after pauses that double. Keys that were good stay in use while the
//! source fails, up to a bound. Nothing here reads a clock or talks to the network: the engine tells
//! the time and carries the answers.

use alloc::string::String;
use core::fmt;

use crate::config::{DEFAULT_CACHE_TTL_SECS, RemoteJwks};
use crate::jose::{JwkSet, JwkSetError, KeyOrigin};
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

/// A fetch, so that its answer can be told from that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u64);

/// What came back from a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchAnswer<'a> {
    /// An HTTP response.
    Response {
        /// Its status.
        status: u16,
        /// Its body.
        body: &'a [u8],
    },
    /// No response: no connection, a reset, a timeout.
    NoResponse,
    /// The proxy did not send the request, as it does when it has no such cluster.
    NotSent,
}

/// Why a fetch brought no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchFailure {
    /// The proxy did not send the request.
    NotSent,
    /// No response.
    NoResponse,
    /// A status other than 200.
    Status(u16),
    /// The body is no JWK set.
    Invalid(JwkSetError),
    /// A JWK set without a key that can be used.
    NoUsableKey,
}

impl FetchFailure {
    /// The word for it in metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::NoResponse => "no_response",
            Self::Status(_) => "status",
            Self::Invalid(_) => "invalid",
            Self::NoUsableKey => "no_usable_key",
        }
    }

    /// Every [`code`](Self::code).
    pub const CODES: [&'static str; 5] = [
        "not_sent",
        "no_response",
        "status",
        "invalid",
        "no_usable_key",
    ];
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => {
                f.write_str("the proxy did not send the request; is the cluster configured?")
            }
            Self::NoResponse => f.write_str("no response"),
            // Envoy answers a callout itself when it cannot reach the source.
            Self::Status(status @ (503 | 504)) => write!(
                f,
                "status {status}, which is also what the proxy says when it cannot reach the source"
            ),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Invalid(error) => error.fmt(f),
            Self::NoUsableKey => f.write_str("no key of the set can be used"),
        }
    }
}

/// Whether a source has keys for a request.
pub(super) enum Keys<'s> {
    /// It has.
    Ready(&'s JwkSet),
    /// It has none yet, and the next answer is due before the given deadline.
    Pending,
    /// It has none, and no answer is due in time.
    Missing,
}

#[derive(Debug)]
enum State {
    /// No fetch under way; the next one is due at this time.
    Idle(Timestamp),
    /// A fetch is under way; it is given up at `until`.
    Fetching { id: FetchId, until: Timestamp },
}

#[derive(Debug)]
struct Fetched {
    keys: JwkSet,
    at: Timestamp,
}

/// A remote JWK set and its freshness.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) remote: RemoteJwks,
    /// The URL for logs: without its query, where people put keys of APIs.
    pub(super) label: String,
    time_to_live: Millis,
    fetched: Option<Fetched>,
    state: State,
    /// When the last fetch was started.
    started: Option<Timestamp>,
    /// Fetches that failed in a row.
    pub(super) failures: u32,
    pub(super) last_failure: Option<FetchFailure>,
    stale_reported: bool,
}

impl Source {
    /// A source without keys whose first fetch is due at once.
    pub(super) fn new(remote: RemoteJwks, default_ttl_secs: Option<u64>, now: Timestamp) -> Self {
        let seconds = remote
            .cache_ttl_secs
            .or(default_ttl_secs)
            .unwrap_or(DEFAULT_CACHE_TTL_SECS);
        Self {
            time_to_live: Millis::from_seconds(seconds.max(1)),
            label: remote.url.split('?').next().unwrap_or_default().into(),
            remote,
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

    /// The keys, if they may still be used.
    pub(super) fn usable(&self, now: Timestamp) -> Option<&JwkSet> {
        let fetched = self.fetched.as_ref()?;
        let bound = fetched
            .at
            .after(self.time_to_live)
            .after(Millis::from_seconds(self.remote.max_stale_secs));
        (now <= bound).then_some(&fetched.keys)
    }

    /// The keys for a request that waits until `deadline` at most.
    pub(super) fn keys(&self, now: Timestamp, deadline: Timestamp) -> Keys<'_> {
        if let Some(keys) = self.usable(now) {
            return Keys::Ready(keys);
        }
        let answer_due = match self.state {
            State::Idle(next) => next,
            State::Fetching { .. } => now,
        };
        if answer_due <= deadline {
            Keys::Pending
        } else {
            Keys::Missing
        }
    }

    /// Asks for a fetch because a key is unknown; whether one is under way or due now.
    pub(super) fn refetch(&mut self, now: Timestamp) -> bool {
        match self.state {
            State::Fetching { .. } => true,
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
    /// fetch is due. Otherwise keys would stay fresh for as long as the clock had been ahead.
    pub(super) fn handle_clock(&mut self, now: Timestamp) {
        if self.started.is_none_or(|started| started <= now) {
            return;
        }
        self.started = Some(now);
        if let Some(fetched) = &mut self.fetched {
            fetched.at = fetched.at.min(now);
        }
        match &mut self.state {
            State::Idle(next) => *next = now,
            State::Fetching { until, .. } => {
                *until = now
                    .after(Millis(self.remote.timeout_ms))
                    .after(ANSWER_GRACE);
            }
        }
    }

    /// Whether a fetch should start now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Idle(next) if next <= now)
    }

    /// Notes that the fetch `id` has started.
    pub(super) fn handle_started(&mut self, id: FetchId, now: Timestamp) {
        self.started = Some(now);
        self.state = State::Fetching {
            id,
            until: now
                .after(Millis(self.remote.timeout_ms))
                .after(ANSWER_GRACE),
        };
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
    ) -> Result<&JwkSet, FetchFailure> {
        let outcome = match answer {
            FetchAnswer::NotSent => Err(FetchFailure::NotSent),
            FetchAnswer::NoResponse => Err(FetchFailure::NoResponse),
            FetchAnswer::Response { status: 200, body } => {
                match JwkSet::parse(body, KeyOrigin::Remote) {
                    Ok(keys) if keys.is_empty() => Err(FetchFailure::NoUsableKey),
                    Ok(keys) => Ok(keys),
                    Err(error) => Err(FetchFailure::Invalid(error)),
                }
            }
            FetchAnswer::Response { status, .. } => Err(FetchFailure::Status(status)),
        };
        match outcome {
            Ok(keys) => {
                self.failures = 0;
                self.last_failure = None;
                self.stale_reported = false;
                self.state = State::Idle(now.after(refresh_after(self.time_to_live, jitter)));
                Ok(&self.fetched.insert(Fetched { keys, at: now }).keys)
            }
            Err(failure) => {
                self.state = State::Idle(now.after(pause(self.failures, jitter)));
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some(failure.clone());
                Err(failure)
            }
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
            State::Fetching { until, .. } => until,
        }
    }

    /// Whether stale keys came into use since the last call; true once for each outage.
    pub(super) fn turned_stale(&mut self, now: Timestamp) -> bool {
        let stale = self
            .fetched
            .as_ref()
            .is_some_and(|fetched| fetched.at.after(self.time_to_live) < now);
        let turned = stale && self.failures > 0 && !self.stale_reported;
        self.stale_reported |= turned;
        turned
    }
}

/// When keys are refreshed: between 80 % and 90 % of their time to live.
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
