//! What the engines of one process tell each other about a source, so that one of them fetches for all.
//!
//! For each source there is a small record, swapped as a whole, and beside it what was fetched last. Whoever wants to
//! fetch writes into the record that it does, and until when: a lease. The others wait for the end of it, and take
//! over what was fetched. A holder that dies loses its lease by time. An engine that reads a record leaves its bell
//! there, and is rung for once when the record has news.
//!
//! Where there is nothing to share, or it does not work, an engine keeps its records for itself and is on its own.
//! Nothing here decides when to fetch; see [`super::source`].

mod register;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use super::freshness;
use crate::discovery::MAX_JWKS_URI_BYTES;
use crate::jose::Sha256Digest;
use crate::json;
use crate::read::{Read, read_object};
use crate::shared::{ANY_NUMBER, NO_NUMBER, Process, StoreError};
use crate::sorted::SortedMap;
use crate::time::{Millis, Timestamp};

/// How many bells one record has. An engine that loses its place to another one looks again when its own time comes.
const MAX_BELLS: usize = 1024;

/// How often a write is tried again because another engine wrote first. Each time somebody else got on, and all who have
/// a bell in a record may do so once.
const ATTEMPTS: usize = MAX_BELLS;

/// The bytes of a [`Topic`].
const TOPIC_BYTES: usize = 16;

/// The name of a source among the engines of a process: the same for the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Topic([u8; TOPIC_BYTES]);

impl Topic {
    /// The name of the source with these parts.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let digest = Sha256Digest::of_parts(parts);
        let mut bytes = [0; TOPIC_BYTES];
        bytes
            .iter_mut()
            .zip(digest.as_bytes())
            .for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// The name that these bytes are, which came with a ring.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    fn record_key(&self) -> String {
        format!("nexus.source.1.{:032x}", u128::from_be_bytes(self.0))
    }

    fn content_key(&self) -> String {
        format!("nexus.content.1.{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What the engines of a process know about a source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct Record {
    /// What was fetched last.
    pub(super) published: Option<Published>,
    /// The time that it, or what was there before it, had until it was dated back.
    pub(super) dated: u64,
    /// Where the keys are, as their issuer said, and when it said so, in milliseconds since the epoch.
    pub(super) location: Option<(String, u64)>,
    /// Who fetches.
    pub(super) lease: Option<Lease>,
    /// Rounds of fetching that failed in a row.
    pub(super) failures: u32,
    /// Whether the last of them brought a set without a usable key.
    pub(super) unusable: bool,
    /// While the source fails: when it may be asked again.
    pub(super) retry_at: u64,
    /// Whether it was told that something stale is in use.
    pub(super) stale_told: bool,
    /// Rounds because of an unknown `kid`, one soon after the other, that brought no other keys.
    pub(super) refetches: u32,
    /// When the next such round may begin.
    pub(super) refetch_at: u64,
    /// For whom to ring.
    pub(super) bells: Vec<u32>,
}

read_object!(
    Record {} or default {
        published, dated, location, lease, failures, unusable, retry_at, stale_told,
        refetches, refetch_at, bells,
    }
);

/// What was fetched, without itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Published {
    /// The SHA-256 digest of the content, in base64url.
    pub(super) digest: String,
    /// The digest of what it says, however that is written.
    pub(super) meaning: String,
    /// When the round began that brought it, in milliseconds since the epoch.
    pub(super) began: u64,
    /// When the source said that it holds, in milliseconds since the epoch.
    pub(super) at: u64,
    /// What the source said about its freshness, in seconds.
    pub(super) max_age_secs: Option<u64>,
    /// From where it came.
    pub(super) url: String,
    /// The entity tag by which the source can be asked whether it changed.
    pub(super) etag: Option<String>,
}

read_object!(Published { digest, meaning, began, at, url } or default { max_age_secs, etag });

impl Published {
    /// Whether an engine may have written it. Other programs can.
    fn is_sane(&self) -> bool {
        let etag = self.etag.as_deref();
        self.url.len() <= MAX_JWKS_URI_BYTES
            // It goes into a header.
            && etag.is_none_or(|it| freshness::etag(it) == Some(it))
            // What begins behind its end would look newer than everything that follows.
            && self.began <= self.at
    }
}

/// The right to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Lease {
    /// Who has it.
    pub(super) holder: u64,
    /// Until when, in milliseconds since the epoch.
    pub(super) until: u64,
}

read_object!(Lease { holder, until });

impl Record {
    /// The lease of somebody who may still be at work. One that ends later than a lease taken now, `longest`, is from
    /// before the clock was set back.
    fn held(&self, now: Timestamp, longest: Timestamp) -> Option<Lease> {
        let is_good = |lease: &Lease| {
            let until = Timestamp::from_millis(lease.until);
            now < until && until <= longest
        };
        self.lease.filter(is_good)
    }

    /// When the lease of somebody else ends that may still be at work.
    pub(super) fn held_by_another(
        &self,
        me: u64,
        now: Timestamp,
        longest: Timestamp,
    ) -> Option<Timestamp> {
        let lease = self.held(now, longest)?;
        (lease.holder != me).then_some(Timestamp::from_millis(lease.until))
    }

    /// A time behind that of what is published, also where that is from a little later than now, up to `latest`: what
    /// follows it is newer. Later than that is from before the clock was set back.
    pub(super) fn behind(&self, now: Timestamp, latest: Timestamp) -> Timestamp {
        let published = self.published.as_ref().map(|it| it.at);
        // Some engines may not have noticed that the clock was set back, and have it from then.
        let times = published.into_iter().chain([self.dated]);
        let times = times.map(Timestamp::from_millis);
        let last = times.filter(|at| *at < latest).max();
        last.map_or(now, |at| now.max(at.after(Millis(1))))
    }

    /// Notices that what is published is from before the clock was set back, which nobody knows the age of: it counts as
    /// not fresh any more since just now, for everybody who looks from here on. `time_to_live` is the time for which it
    /// is fresh by what the source said. Whether there was something to note.
    pub(super) fn date_back(
        &mut self,
        now: Timestamp,
        latest: Timestamp,
        time_to_live: impl Fn(Option<u64>) -> Millis,
    ) -> bool {
        let published = self.published.as_mut();
        let Some(it) = published.filter(|it| it.at > latest.as_millis()) else {
            return false;
        };
        self.dated = it.at;
        it.at = now
            .as_millis()
            .saturating_sub(time_to_live(it.max_age_secs).0);
        it.began = it.began.min(it.at);
        true
    }

    /// Leaves a bell to be rung at the next news; `false` when it is there already. Where there is no room, the one goes
    /// that was left first: most likely nobody is there any more.
    pub(super) fn leave_bell(&mut self, bell: Option<u32>) -> bool {
        let Some(bell) = bell.filter(|bell| !self.bells.contains(bell)) else {
            return false;
        };
        if self.bells.len() >= MAX_BELLS {
            self.bells.remove(0);
        }
        self.bells.push(bell);
        true
    }

    /// Takes a bell back, which nobody hears any more; whether it was there.
    pub(super) fn take_bell(&mut self, bell: Option<u32>) -> bool {
        let before = self.bells.len();
        self.bells.retain(|known| Some(*known) != bell);
        self.bells.len() != before
    }

    /// Gives up the lease if it is `me` who has it.
    pub(super) fn release(&mut self, me: u64) {
        self.lease = self.lease.filter(|lease| lease.holder != me);
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let record = Self::read(&json::parse(value).ok()?).ok()?;
        let published = record.published.as_ref();
        let is_sane = record.bells.len() <= MAX_BELLS
            && published.is_none_or(Published::is_sane)
            && record
                .location
                .as_ref()
                .is_none_or(|(url, _)| url.len() <= MAX_JWKS_URI_BYTES);
        is_sane.then_some(record)
    }
}

/// What the engines of a process share, as one of them sees it.
#[derive(Debug)]
pub(super) struct Commons {
    process: Option<Box<dyn Process>>,
    /// The records of sources that cannot be shared.
    own: SortedMap<Topic, Box<Record>>,
    /// What tells this engine from the others.
    member: u64,
    /// When this engine wrote its sources in last.
    registered: Option<Timestamp>,
    /// Its bell, once it has left one somewhere.
    bell: Option<u32>,
}

impl Commons {
    /// Nothing shared.
    pub(super) const fn alone() -> Self {
        Self {
            process: None,
            own: SortedMap::new(),
            member: 0,
            registered: None,
            bell: None,
        }
    }

    /// What `process` has. `member` is a number that no other of its engines has.
    pub(super) const fn of(process: Box<dyn Process>, member: u64) -> Self {
        Self {
            process: Some(process),
            own: SortedMap::new(),
            member,
            registered: None,
            bell: None,
        }
    }

    /// What tells this engine's source at `index` from every other one, this engine's included.
    pub(super) fn holder(&self, index: usize) -> u64 {
        // A usize fits 64 bits wherever Nexus runs.
        self.member.wrapping_add(index as u64)
    }

    /// Where this engine is rung for.
    pub(super) fn bell(&mut self) -> Option<u32> {
        self.bell = self.process.as_mut()?.bell();
        self.bell
    }

    /// The same where that was asked for before: a process may have to make a bell first.
    pub(super) const fn known_bell(&self) -> Option<u32> {
        self.bell
    }

    /// The record.
    pub(super) fn read(&mut self, topic: Topic) -> Record {
        match self.try_read(topic) {
            Ok((record, _)) => record,
            Err(StoreError) => self
                .own
                .get(&topic)
                .map_or_else(Record::default, |own| (**own).clone()),
        }
    }

    fn try_read(&mut self, topic: Topic) -> Result<(Record, u32), StoreError> {
        let process = self.process.as_mut().ok_or(StoreError)?;
        Ok(match process.read(&topic.record_key())? {
            None => (Record::default(), NO_NUMBER),
            // What nobody can read says nothing; it is overwritten.
            Some(stored) => (
                Record::parse(&stored.value).unwrap_or_default(),
                stored.number,
            ),
        })
    }

    /// Changes the record. `change` is shown the record as it is, and again as often as somebody else was faster. It
    /// says what follows and whether there is something to write.
    pub(super) fn update<T>(
        &mut self,
        topic: Topic,
        mut change: impl FnMut(&mut Record) -> (T, bool),
    ) -> T {
        match self.try_update(topic, &mut change) {
            Ok(outcome) => outcome,
            Err(StoreError) => {
                let mut own = self.own.remove(&topic).unwrap_or_default();
                let (outcome, _) = change(&mut own);
                self.own.insert(topic, own);
                outcome
            }
        }
    }

    fn try_update<T>(
        &mut self,
        topic: Topic,
        change: &mut impl FnMut(&mut Record) -> (T, bool),
    ) -> Result<T, StoreError> {
        for _ in 0..ATTEMPTS {
            let (mut record, number) = self.try_read(topic)?;
            let (outcome, is_changed) = change(&mut record);
            if !is_changed {
                return Ok(outcome);
            }
            let value = serde_json::to_vec(&record).map_err(|_| StoreError)?;
            let process = self.process.as_mut().ok_or(StoreError)?;
            if process.swap(&topic.record_key(), &value, number)? {
                return Ok(outcome);
            }
        }
        Err(StoreError)
    }

    /// The content that a record speaks of; `None` when it is not there, or is another by now.
    pub(super) fn content(&mut self, topic: Topic, digest: &str) -> Option<Vec<u8>> {
        let stored = self.process.as_mut()?.read(&topic.content_key()).ok()??;
        (Sha256Digest::of(&stored.value).to_base64url() == digest).then_some(stored.value)
    }

    /// Puts content where [`content`](Self::content) finds it. It counts once a record speaks of it.
    pub(super) fn put_content(&mut self, topic: Topic, content: &[u8]) {
        if let Some(process) = &mut self.process {
            // Nobody would ever empty what is not in the register. Where it cannot be kept, others find nothing that
            // fits their record, and fetch.
            if register::enter(&mut **process, &[topic]).is_ok() {
                let _ = process.swap(&topic.content_key(), content, ANY_NUMBER);
            }
        }
    }

    /// Rings.
    pub(super) fn ring(&mut self, bells: &[u32], topic: Topic) {
        if let Some(process) = &mut self.process {
            for bell in bells {
                process.ring(*bell, &topic.0);
            }
        }
    }
}
