//! What other engines of the process have fetched, and how it is taken over.

use super::pace::{LONGEST_PAUSE, refresh_after};
use super::{Fetched, SKEW, Source, State};
use crate::engine::commons::{Commons, Record};
use crate::time::Timestamp;

impl Source {
    /// When what a record speaks of was fetched, if that is newer than what is here.
    pub(super) fn news(&self, record: &Record, now: Timestamp) -> Option<Timestamp> {
        let at = Timestamp::from_millis(record.published.as_ref()?.at);
        let is_news = self
            .fetched
            .as_ref()
            .is_none_or(|known| known.newer_than < at && at <= now.after(SKEW));
        is_news.then_some(at)
    }

    /// Whether the record does not speak of what was looked for in vain.
    pub(super) fn is_readable(&self, record: &Record) -> bool {
        let digest = record.published.as_ref().map(|it| it.digest.as_str());
        digest.is_some() && digest != self.unreadable.as_deref()
    }

    /// Takes over what another engine has fetched, if it is newer than what is here; whether it was.
    fn adopt(
        &mut self,
        record: &Record,
        commons: &mut Commons,
        jitter: u64,
        now: Timestamp,
    ) -> bool {
        let (Some(at), Some(published)) = (self.news(record, now), record.published.as_ref())
        else {
            return false;
        };
        let known = self.fetched.take();
        let loaded = match known {
            Some(known) if known.digest == published.digest => known.loaded,
            known => {
                let text = commons.content(self.topic, &published.digest);
                match text.and_then(|text| self.purpose.load(text).ok()) {
                    Some(loaded) => {
                        self.begin_generation();
                        loaded
                    }
                    None => {
                        self.fetched = known;
                        self.unreadable = Some(published.digest.clone());
                        return false;
                    }
                }
            }
        };
        self.take_over(record, now);
        if let Some((url, at)) = &record.location {
            self.purpose
                .learn_location(url, Timestamp::from_millis(*at).min(now));
        }
        let time_to_live = self.lifetime.with(published.max_age_secs);
        self.due = at.after(refresh_after(time_to_live, jitter));
        // A request with an unknown `kid` has seen older keys than these.
        self.wanted = false;
        self.fetched = Some(Fetched {
            loaded,
            digest: published.digest.clone(),
            url: published.url.clone(),
            etag: published.etag.clone(),
            at,
            began: Timestamp::from_millis(published.began).min(at),
            newer_than: at,
            max_age_secs: published.max_age_secs,
            time_to_live,
        });
        true
    }

    /// Learns what else a record says.
    pub(super) fn take_over(&mut self, record: &Record, now: Timestamp) {
        self.failures = record.failures;
        self.unusable = record.unusable;
        self.refetch_at = believed_refetch(record.refetch_at, now);
    }

    /// Whatever others have published by the clock as it is now is newer than what is here from before it was set back.
    pub(super) fn disbelieve(&mut self, now: Timestamp) {
        let known = self.fetched.as_mut();
        if let Some(known) = known.filter(|it| it.newer_than > now.after(SKEW)) {
            known.newer_than = Timestamp::from_millis(0);
        }
    }

    /// Takes over what is new, if there is; whether there was. What comes behind this look is rung for.
    pub(super) fn look(&mut self, commons: &mut Commons, jitter: u64, now: Timestamp) -> bool {
        self.disbelieve(now);
        let (bell, lifetime) = (commons.bell(), self.lifetime);
        // The bell first: what is published between the look and the bell would pass unheard.
        let record = commons.update(self.topic, |record| {
            let is_dated = record.date_back(now, now.after(SKEW), |it| lifetime.with(it));
            let is_left = record.leave_bell(bell);
            (record.clone(), is_dated || is_left)
        });
        self.adopt(&record, commons, jitter, now)
    }

    /// Looks at what is new. Whether requests that wait for the source are to be judged by what it has.
    pub(in crate::engine) fn handle_news(
        &mut self,
        commons: &mut Commons,
        jitter: u64,
        now: Timestamp,
    ) -> bool {
        // A round of its own ends by itself.
        if matches!(self.state, State::Between | State::Fetching { .. }) {
            return false;
        }
        self.state = State::Idle;
        self.look(commons, jitter, now)
    }

    /// Takes over what another engine has fetched by a round that began later than the one which is over.
    pub(super) fn give_way(&mut self, commons: &mut Commons, jitter: u64, now: Timestamp) {
        if let Some(fetched) = &mut self.fetched {
            fetched.at = fetched.at.min(self.began);
            fetched.newer_than = fetched.at;
        }
        self.look(commons, jitter, now);
    }
}

/// When unknown `kid`s may have the source fetched again. Later than the longest pause is from before the clock was set
/// back, and binds nobody.
pub(super) fn believed_refetch(at: u64, now: Timestamp) -> Timestamp {
    let at = Timestamp::from_millis(at);
    match at <= now.after(LONGEST_PAUSE).after(SKEW) {
        true => at,
        false => Timestamp::from_millis(0),
    }
}

/// Whether what a record speaks of was brought by a round that began later than `began`: that is the newer one,
/// whichever of them ended first.
pub(super) fn is_superseded(record: &Record, began: Timestamp, now: Timestamp) -> bool {
    let published = record.published.as_ref();
    let latest = now.after(SKEW).as_millis();
    published.is_some_and(|it| began.as_millis() < it.began && it.at <= latest)
}
