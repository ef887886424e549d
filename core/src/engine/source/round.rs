//! How a round of fetching begins: who of the process may fetch now, by the lease in the record, and what is asked for.

use super::pace::{LONGEST_PAUSE, LONGEST_RETRY_AFTER, pause};
use super::{CONTENTION_PAUSE, LOOKS, SKEW, Source, State};
use crate::engine::commons::{Commons, Lease, Record};
use crate::engine::fetch::{Fetch, FetchId};
use crate::time::{Millis, Timestamp};

/// How long after a fetch because of an unknown `kid` the pauses between them begin anew.
const REFETCH_QUIET: Millis = Millis(600_000);

/// The longest that a lease can be seen to be: that of the longest timeout, with [`ANSWER_GRACE`](super::ANSWER_GRACE) and [`SKEW`].
pub(in crate::engine) const LONGEST_LEASE: Millis = Millis(66_000);

/// What a source does when its time has come.
#[derive(Debug)]
pub(in crate::engine) enum Start {
    /// This request is to be made.
    Fetch(Fetch),
    /// Nothing is to be fetched: either another engine has, or it is too early. Requests that wait for the source are
    /// to be judged by what it has.
    Settled,
    /// Another engine fetches, and will ring.
    Following,
}

/// What a look at the record came to.
#[derive(Debug)]
enum Claim {
    /// This engine fetches.
    Mine(Record),
    /// Another one does until then.
    Theirs(Timestamp),
    /// Another one has fetched meanwhile.
    News,
    /// The source fails, and is left alone until then.
    PutOff(Record),
    /// Unknown `kid`s have had it fetched too often; the next time is then.
    TooSoon(Timestamp),
}

impl Source {
    /// Starts what is due; a request gets that name. `jitter` is a number below 1000 that spreads engines apart.
    pub(in crate::engine) fn start(
        &mut self,
        id: FetchId,
        commons: &mut Commons,
        jitter: u64,
        now: Timestamp,
    ) -> Start {
        if matches!(self.state, State::Between) {
            let (me, until) = (self.holder, self.given_up(now));
            commons.update(self.topic, |record| {
                let is_theirs = record.held_by_another(me, now, now.after(LONGEST_LEASE));
                let is_mine = is_theirs.is_none();
                if is_mine {
                    record.lease = Some(lease(me, until));
                }
                ((), is_mine)
            });
            return Start::Fetch(self.send(id, now));
        }
        self.state = State::Idle;
        for _ in 0..LOOKS {
            if self.look(commons, jitter, now) && !self.is_due(now) {
                return Start::Settled;
            }
            match self.claim(commons, now) {
                Claim::News => {}
                Claim::Mine(record) => {
                    self.take_over(&record, now);
                    self.wanted = false;
                    self.began = record.behind(now, now.after(SKEW));
                    let time_to_live = self.fetched.as_ref().map(|it| it.time_to_live);
                    let time_to_live = time_to_live.unwrap_or(self.lifetime.with(None));
                    self.purpose.begin(now, time_to_live);
                    return Start::Fetch(self.send(id, now));
                }
                Claim::Theirs(until) => {
                    self.state = State::Following { until };
                    return Start::Following;
                }
                Claim::PutOff(record) => {
                    self.take_over(&record, now);
                    self.wanted = false;
                    self.due = Timestamp::from_millis(record.retry_at);
                    return Start::Settled;
                }
                Claim::TooSoon(at) => {
                    self.wanted = false;
                    self.refetch_at = at;
                    return Start::Settled;
                }
            }
        }
        self.wanted = false;
        self.due = now.after(CONTENTION_PAUSE);
        Start::Settled
    }

    /// Asks for the lease.
    fn claim(&self, commons: &mut Commons, now: Timestamp) -> Claim {
        let bell = commons.bell();
        let (me, until) = (self.holder, self.given_up(now));
        let is_only_wanted = self.due > now;
        commons.update(self.topic, |record| {
            if let Some(until) = record.held_by_another(me, now, now.after(LONGEST_LEASE)) {
                return (Claim::Theirs(until), record.leave_bell(bell));
            }
            if self
                .news(record, now)
                .is_some_and(|at| at <= now.after(SKEW))
                && self.is_readable(record)
            {
                return (Claim::News, false);
            }
            let retry_at = Timestamp::from_millis(record.retry_at);
            let latest = now.after(LONGEST_RETRY_AFTER).after(SKEW);
            if record.failures > 0 && now < retry_at && retry_at <= latest {
                let is_changed = record.leave_bell(bell);
                return (Claim::PutOff(record.clone()), is_changed);
            }
            if is_only_wanted {
                let refetch_at = Timestamp::from_millis(record.refetch_at);
                if now < refetch_at && refetch_at <= now.after(LONGEST_PAUSE).after(SKEW) {
                    let is_changed = record.leave_bell(bell);
                    return (Claim::TooSoon(refetch_at), is_changed);
                }
                if refetch_at.after(REFETCH_QUIET) <= now {
                    record.refetches = 0;
                }
                record.refetch_at = now.after(pause(record.refetches, 0)).as_millis();
                record.refetches = record.refetches.saturating_add(1);
            }
            record.lease = Some(lease(me, until));
            (Claim::Mine(record.clone()), true)
        })
    }

    /// Makes the request that the round needs now.
    fn send(&mut self, id: FetchId, now: Timestamp) -> Fetch {
        self.state = State::Fetching {
            id,
            until: self.given_up(now),
        };
        let (content, target) = self.purpose.request();
        let known = self.fetched.as_ref();
        let if_none_match = known
            .filter(|it| content == self.content() && it.url == target.url)
            .and_then(|it| it.etag.clone());
        self.revalidates = if_none_match.is_some();
        Fetch {
            id,
            content,
            target,
            timeout_ms: self.purpose.timeout_ms(),
            if_none_match,
        }
    }
}

const fn lease(holder: u64, until: Timestamp) -> Lease {
    Lease {
        holder,
        until: until.as_millis(),
    }
}
