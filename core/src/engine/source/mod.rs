//! Something behind a URL that is kept fresh: when to fetch it, how long to trust it.
//!
//! It is fetched before the first request needs it and again before it goes stale, by one engine for all of the
//! process (see [`super::commons`]); the others take over what it brought. A round of fetching that fails is
//! tried again after pauses that double. What was good stays in use while the source fails, up to a bound. Which
//! requests a round takes and what their answers mean is said in [`super::content`]. Nothing here reads a clock or
//! talks to the network: the engine tells the time and carries the answers.

mod following;
mod pace;
mod round;
mod settling;

use alloc::string::String;
use alloc::vec::Vec;

pub use pace::{LONGEST_RETRY_AFTER, MAX_AGE_BOUNDS_SECS};
pub(super) use pace::{Lifetime, refresh_after, retry_after};
pub(super) use round::{LONGEST_LEASE, Start};

use super::commons::{Commons, Topic};
use super::content::{Loaded, Purpose};
use super::fetch::{Content, FetchId};
use crate::jose::JwkSet;
use crate::revocation::RevocationList;
use crate::time::{Millis, Timestamp};

/// How long after its own timeout the proxy may still answer a fetch before it is given up.
const ANSWER_GRACE: Millis = Millis(1_000);

/// How much later than now something may have happened elsewhere: every worker reads the clock once for all that it
/// does in one go. What is later still is from before the clock was set back.
pub(super) const SKEW: Millis = Millis(5_000);

/// How long to wait before a record is looked at again that others change faster than it can be read.
const CONTENTION_PAUSE: Millis = Millis(50);

/// How often one look at a record is begun anew because it has changed.
const LOOKS: usize = 4;

/// Whether a source has what a request needs.
pub(super) enum Availability<'s, T> {
    /// It has.
    Ready(&'s T),
    /// It has nothing yet, and the next answer is due before the given deadline.
    Pending,
    /// It has nothing, and no answer is due in time.
    Missing,
}

/// When a round began, as far as that can be: later than now by more than [`SKEW`] is from before the clock was set back,
/// and counts as now. What is a little later is so on purpose ([`Record::behind`](super::commons::Record::behind)).
fn believed_beginning(began: Timestamp, now: Timestamp) -> Timestamp {
    match began <= now.after(SKEW) {
        true => began,
        false => now,
    }
}

#[derive(Debug)]
enum State {
    /// No round under way; the next one begins when it is due, or wanted.
    Idle,
    /// In the middle of a round, before its next request.
    Between,
    /// A fetch is under way; it is given up at `until`.
    Fetching { id: FetchId, until: Timestamp },
    /// Another engine fetches; it is given up at `until`.
    Following { until: Timestamp },
}

#[derive(Debug)]
struct Fetched {
    loaded: Loaded,
    /// The SHA-256 digest of its text, in base64url.
    digest: String,
    url: String,
    etag: Option<String>,
    at: Timestamp,
    /// When the round began that brought it.
    began: Timestamp,
    /// Only what others fetched later than this is newer: [`at`](Self::at), until the clock is set back behind it.
    newer_than: Timestamp,
    /// What the source said about its freshness, in seconds.
    max_age_secs: Option<u64>,
    time_to_live: Millis,
}

/// Something remote and its freshness.
#[derive(Debug)]
pub(super) struct Source {
    purpose: Purpose,
    /// Where it is, for logs.
    pub(super) label: String,
    topic: Topic,
    /// Under which name it takes leases.
    holder: u64,
    lifetime: Lifetime,
    fetched: Option<Fetched>,
    /// How often [`fetched`](Self::fetched) has become something else.
    generation: u64,
    state: State,
    /// When the next round begins by itself.
    due: Timestamp,
    /// Whether an unknown `kid` asks for a round before.
    wanted: bool,
    /// The earliest time at which one may.
    refetch_at: Timestamp,
    /// When the round under way began.
    began: Timestamp,
    /// Whether the request under way asks only for something new.
    revalidates: bool,
    /// Rounds that failed in a row, as far as this engine knows.
    pub(super) failures: u32,
    /// Whether the last of them brought a set without a usable key.
    pub(super) unusable: bool,
    /// The digest of what others have fetched and could not be read here.
    unreadable: Option<String>,
}

impl Source {
    /// A source that has nothing and whose first round is due at once. `default_ttl_secs` counts for keys; the number
    /// `holder` is no other source's.
    pub(super) fn new(
        purpose: Purpose,
        default_ttl_secs: Option<u64>,
        holder: u64,
        now: Timestamp,
    ) -> Self {
        let default_ttl_secs = default_ttl_secs.filter(|_| purpose.content() == Content::Keys);
        Self {
            label: purpose.label(),
            topic: purpose.topic(),
            holder,
            lifetime: Lifetime::of(purpose.cache_ttl_secs().or(default_ttl_secs)),
            purpose,
            fetched: None,
            generation: 0,
            state: State::Idle,
            due: now,
            wanted: false,
            refetch_at: Timestamp::from_millis(0),
            began: now,
            revalidates: false,
            failures: 0,
            unusable: false,
            unreadable: None,
        }
    }

    /// Makes it one of an engine whose sources take leases under other names.
    pub(super) fn rename(&mut self, holder: u64) {
        self.holder = holder;
    }

    #[cfg(test)]
    pub(super) fn time_to_live(&self) -> Millis {
        self.lifetime.with(None)
    }

    /// Its name among the engines of a process.
    pub(super) const fn topic(&self) -> Topic {
        self.topic
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
            .after(fetched.time_to_live)
            .after(Millis::from_seconds(self.purpose.max_stale_secs()));
        (now <= bound).then_some(&fetched.loaded)
    }

    /// A number for what may be used now: another one whenever it is something else than before, the same where it was
    /// only renewed. `None` when there is nothing that may be used. What was found by what the source has holds for as
    /// long as this says the same.
    pub(super) fn generation(&self, now: Timestamp) -> Option<u64> {
        self.usable(now).map(|_| self.generation)
    }

    /// Takes note that what it has is about to become something else.
    const fn begin_generation(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// The keys for a request that waits until `deadline` at most.
    pub(super) fn keys(&self, now: Timestamp, deadline: Timestamp) -> Availability<'_, JwkSet> {
        match self.usable(now) {
            Some(Loaded::Keys(keys, _)) => Availability::Ready(keys),
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
            Some(Loaded::Keys(..)) => Availability::Missing,
            None => self.outlook(now, deadline),
        }
    }

    /// Whether an answer is due in time where there is nothing to use.
    fn outlook<T>(&self, now: Timestamp, deadline: Timestamp) -> Availability<'_, T> {
        let answer_due = match self.state {
            State::Idle if !self.wanted => self.due,
            _ => now,
        };
        if answer_due <= deadline {
            Availability::Pending
        } else {
            Availability::Missing
        }
    }

    /// Asks for a round because a key is unknown; whether one is under way or begins now.
    pub(super) fn refetch(&mut self, now: Timestamp) -> bool {
        match self.state {
            State::Between | State::Fetching { .. } | State::Following { .. } => true,
            State::Idle => {
                // While the source fails, its pauses hold.
                self.wanted |= self.failures == 0 && self.refetch_at <= now;
                self.wanted
            }
        }
    }

    /// Whether what is here was asked for later than at this time: it has every key that was published by then. Nobody
    /// knows of what seems to be from later than now, before a clock that was set back a little.
    pub(super) fn is_newer_than(&self, at: Timestamp, now: Timestamp) -> bool {
        let fetched = self.fetched.as_ref();
        fetched.is_some_and(|fetched| at < fetched.began && fetched.began <= now)
    }

    /// Notices a clock that was set back by more than [`SKEW`]: what happened later than now happened now, and the next
    /// fetch is due. Otherwise what was fetched would stay fresh for as long as the clock had been ahead.
    pub(super) fn handle_clock(&mut self, commons: &mut Commons, now: Timestamp) {
        // For all others as well, and before a round under way ends: then it may not look like that any more.
        let lifetime = self.lifetime;
        commons.update(self.topic, |record| {
            let is_dated = record.date_back(now, now.after(SKEW), |it| lifetime.with(it));
            ((), is_dated)
        });
        self.began = believed_beginning(self.began, now);
        self.refetch_at = self.refetch_at.min(now);
        self.due = now;
        self.purpose.handle_clock(now);
        self.disbelieve(now);
        if let Some(fetched) = &mut self.fetched {
            fetched.at = fetched.at.min(now);
            fetched.began = fetched.began.min(now);
        }
        let given_up = self.given_up(now);
        match &mut self.state {
            State::Idle | State::Between => {}
            State::Following { until } => *until = now,
            State::Fetching { until, .. } => *until = given_up,
        }
    }

    /// Leaves the other engines of the process, for an engine that ends: what it was fetching another one may fetch at
    /// once, and nobody rings for it any more.
    pub(super) fn abandon(&mut self, commons: &mut Commons) {
        let (me, bell) = (self.holder, commons.known_bell());
        let bells = commons.update(self.topic, |record| {
            let is_left = record.take_bell(bell);
            let is_mine = record.lease.is_some_and(|lease| lease.holder == me);
            record.release(me);
            let bells = match is_mine {
                true => core::mem::take(&mut record.bells),
                false => Vec::new(),
            };
            (bells, is_left || is_mine)
        });
        self.state = State::Idle;
        commons.ring(&bells, self.topic);
    }

    /// When a fetch that starts now is given up.
    fn given_up(&self, now: Timestamp) -> Timestamp {
        now.after(Millis(self.purpose.timeout_ms()))
            .after(ANSWER_GRACE)
    }

    /// Whether something should start now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        match self.state {
            State::Idle => self.wanted || self.due <= now,
            State::Between => true,
            State::Fetching { .. } => false,
            State::Following { until } => until <= now,
        }
    }

    /// When something is to be done next.
    pub(super) fn next_event(&self) -> Timestamp {
        match self.state {
            State::Idle if !self.wanted => self.due,
            State::Idle | State::Between => Timestamp::from_millis(0),
            State::Fetching { until, .. } | State::Following { until } => until,
        }
    }
}
