//! What becomes of an answer: what it brought is kept and handed to the other engines, or the source failed.

use alloc::string::String;
use alloc::vec::Vec;

use super::following::{believed_refetch, is_superseded};
use super::pace::{FIRST_PAUSE, refresh_after, retry_after};
use super::{CONTENTION_PAUSE, Fetched, LOOKS, SKEW, Source, State, believed_beginning};
use crate::engine::Event;
use crate::engine::commons::{Commons, Published};
use crate::engine::content::{Brought, Failed, Step};
use crate::engine::fetch::{FetchAnswer, FetchFailure, FetchId, label};
use crate::engine::freshness::Freshness;
use crate::jose::Sha256Digest;
use crate::time::{Millis, Timestamp};

/// What became of an answer.
#[derive(Debug)]
pub(in crate::engine) struct Settled {
    /// To be told, in order.
    pub(in crate::engine) events: Vec<Event>,
    /// Whether the round is over; otherwise another request is due at once.
    pub(in crate::engine) is_over: bool,
}

impl Source {
    /// Whether the fetch `id` is the one under way.
    pub(in crate::engine) fn awaits(&self, id: FetchId) -> bool {
        matches!(self.state, State::Fetching { id: awaited, .. } if awaited == id)
    }

    /// Takes the answer of the fetch under way.
    pub(in crate::engine) fn handle_answer(
        &mut self,
        answer: FetchAnswer<'_>,
        commons: &mut Commons,
        jitter: u64,
        now: Timestamp,
    ) -> Settled {
        let mut events = Vec::new();
        let freshness = answer.freshness();
        let is_unchanged =
            self.revalidates && matches!(answer, FetchAnswer::Response { status: 304, .. });
        self.state = State::Idle;
        if is_unchanged {
            self.renew(freshness, commons, jitter, now, &mut events);
        } else {
            match self.purpose.handle_answer(answer, now, &mut events) {
                Step::Next => {
                    self.state = State::Between;
                    return Settled {
                        events,
                        is_over: false,
                    };
                }
                Step::Done(brought) => {
                    events.push(brought.loaded.event(&brought.url));
                    self.take(brought, freshness, commons, jitter, now);
                }
                Step::Failed(failed) => {
                    let asked = freshness.retry_after();
                    self.fail(failed, asked, commons, jitter, now, &mut events);
                }
            }
        }
        Settled {
            events,
            is_over: true,
        }
    }

    /// What is here is what the source has.
    #[inline(never)]
    fn renew(
        &mut self,
        freshness: Freshness,
        commons: &mut Commons,
        jitter: u64,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let Some(fetched) = &mut self.fetched else {
            return;
        };
        events.push(Event::Unchanged {
            content: self.purpose.content(),
            url: label(&fetched.url),
        });
        fetched.at = now;
        fetched.began = self.began;
        fetched.newer_than = now;
        // What it does not say anew stays as it was said (RFC 9111 §4.3.4).
        fetched.max_age_secs = freshness.max_age_secs.or(fetched.max_age_secs);
        fetched.time_to_live = self.lifetime.with(fetched.max_age_secs);
        fetched.etag = freshness.etag.or(fetched.etag.take());
        self.publish(commons, jitter, now);
    }

    /// Keeps what a round brought, and hands it to the other engines.
    #[inline(never)]
    fn take(
        &mut self,
        brought: Brought,
        freshness: Freshness,
        commons: &mut Commons,
        jitter: u64,
        now: Timestamp,
    ) {
        let digest = Sha256Digest::of(brought.loaded.bytes()).to_base64url();
        let known = self.fetched.as_ref().map(|known| &known.digest);
        if known != Some(&digest) {
            self.begin_generation();
        }
        self.fetched = Some(Fetched {
            loaded: brought.loaded,
            digest,
            url: brought.url,
            etag: freshness.etag,
            at: now,
            began: self.began,
            newer_than: now,
            max_age_secs: freshness.max_age_secs,
            time_to_live: self.lifetime.with(freshness.max_age_secs),
        });
        self.publish(commons, jitter, now);
    }

    /// Tells the other engines what is here.
    fn publish(&mut self, commons: &mut Commons, jitter: u64, now: Timestamp) {
        self.failures = 0;
        self.unusable = false;
        self.unreadable = None;
        // The clock may have been set back while the answer was on its way.
        let began = believed_beginning(self.began, now);
        let Some(fetched) = &self.fetched else {
            return;
        };
        self.due = now.after(refresh_after(fetched.time_to_live, jitter));
        let published = Published {
            digest: fetched.digest.clone(),
            meaning: fetched.loaded.meaning().to_base64url(),
            began: began.as_millis(),
            at: fetched.at.as_millis(),
            max_age_secs: fetched.max_age_secs,
            url: fetched.url.clone(),
            etag: fetched.etag.clone(),
        };
        let location = self
            .purpose
            .location()
            .map(|(url, at)| (String::from(url), at.as_millis()));
        let before = commons.read(self.topic);
        if is_superseded(&before, began, now) {
            self.give_way(commons, jitter, now);
            return;
        }
        if commons.content(self.topic, &fetched.digest).is_none() {
            commons.put_content(self.topic, fetched.loaded.bytes());
        }
        let (me, bell) = (self.holder, commons.bell());
        let outcome = commons.update(self.topic, |record| {
            if is_superseded(record, began, now) {
                return (None, false);
            }
            // Whoever has what was published before takes this for newer.
            let at = record.behind(now, now.after(SKEW));
            let known = record.published.as_ref().map(|it| &it.meaning);
            if known.is_some_and(|known| *known != published.meaning) {
                record.refetches = 0;
                record.refetch_at = now.after(FIRST_PAUSE).as_millis();
            }
            record.published = Some(Published {
                began: began.min(at).as_millis(),
                at: at.as_millis(),
                ..published.clone()
            });
            record.location.clone_from(&location);
            record.failures = 0;
            record.unusable = false;
            record.retry_at = 0;
            record.stale_told = false;
            record.release(me);
            let bells = core::mem::take(&mut record.bells);
            record.leave_bell(bell);
            (Some((at, bells, record.refetch_at)), true)
        });
        match outcome {
            Some((at, bells, refetch_at)) => {
                if let Some(fetched) = &mut self.fetched {
                    fetched.at = at;
                    fetched.newer_than = at;
                }
                self.refetch_at = believed_refetch(refetch_at, now);
                commons.ring(&bells, self.topic);
            }
            None => self.give_way(commons, jitter, now),
        }
    }

    /// Takes note of a round that failed, where no other engine has fetched meanwhile.
    #[inline(never)]
    fn fail(
        &mut self,
        failed: Failed,
        asked: Millis,
        commons: &mut Commons,
        jitter: u64,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let is_old = |it: &Fetched| it.at.after(it.time_to_live) < now;
        let is_stale = self.usable(now).is_some() && self.fetched.as_ref().is_some_and(is_old);
        let unusable = failed.failure == FetchFailure::NoUsableKey;
        let (me, bell) = (self.holder, commons.bell());
        for _ in 0..LOOKS {
            let outcome = commons.update(self.topic, |record| {
                let news = self.news(record, now);
                let latest = now.after(SKEW);
                if news.is_some_and(|at| self.began < at && at <= latest)
                    && self.is_readable(record)
                {
                    return (None, false);
                }
                let pause = retry_after(record.failures, jitter, asked);
                record.failures = record.failures.saturating_add(1);
                record.unusable = unusable;
                record.retry_at = now.after(pause).as_millis();
                let is_telling = is_stale && !record.stale_told;
                record.stale_told |= is_stale;
                record.release(me);
                let bells = core::mem::take(&mut record.bells);
                record.leave_bell(bell);
                (Some((record.clone(), bells, pause, is_telling)), true)
            });
            match outcome {
                Some((record, bells, pause, is_telling)) => {
                    self.take_over(&record, now);
                    self.due = now.after(pause);
                    commons.ring(&bells, self.topic);
                    events.push(failed.told(Some(pause)));
                    if is_telling {
                        events.push(Event::Stale {
                            content: self.content(),
                            url: self.label.clone(),
                        });
                    }
                    return;
                }
                None if self.look(commons, jitter, now) => {
                    events.push(failed.told(Some(self.due.since(now))));
                    return;
                }
                None => {}
            }
        }
        self.due = now.after(CONTENTION_PAUSE);
        events.push(failed.told(Some(self.due.since(now))));
    }

    /// Whether the fetch under way got no answer in time; it has to be handled as one without.
    pub(in crate::engine) fn is_overdue(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Fetching { until, .. } if until <= now)
    }
}
