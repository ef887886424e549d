//! Something behind a URL that is kept fresh: when to fetch it, how long to trust it.
//!
//! It is fetched before the first request needs it and again before it goes stale, by one engine for all of the
//! process (see [`super::commons`]); the others take over what it brought. A round of fetching that fails is
//! tried again after pauses that double. What was good stays in use while the source fails, up to a bound. Which
//! requests a round takes and what their answers mean is said in [`super::content`]. Nothing here reads a clock or
//! talks to the network: the engine tells the time and carries the answers.

use alloc::string::String;
use alloc::vec::Vec;

use super::Event;
use super::commons::{Commons, Lease, Published, Record, Topic};
use super::content::{Brought, Failed, Loaded, Purpose, Step};
use super::fetch::{Content, Fetch, FetchAnswer, FetchFailure, FetchId, label};
use super::freshness::Freshness;
use crate::config::DEFAULT_CACHE_TTL_SECS;
use crate::jose::{JwkSet, Sha256Digest};
use crate::revocation::RevocationList;
use crate::time::{Millis, Timestamp};

/// The first pause behind a fetch that failed, and between fetches because of an unknown `kid`.
const FIRST_PAUSE: Millis = Millis(1_000);

/// The longest of these pauses.
const LONGEST_PAUSE: Millis = Millis(60_000);

/// The longest pause that a source may ask for.
pub const LONGEST_RETRY_AFTER: Millis = Millis(300_000);

/// How long after a fetch because of an unknown `kid` the pauses between them begin anew.
const REFETCH_QUIET: Millis = Millis(600_000);

/// The bounds of what a source says about its freshness, in seconds.
pub const MAX_AGE_BOUNDS_SECS: (u64, u64) = (60, 3_600);

/// How long after its own timeout the proxy may still answer a fetch before it is given up.
const ANSWER_GRACE: Millis = Millis(1_000);

/// The longest that a lease can be seen to be: that of the longest timeout, with [`ANSWER_GRACE`] and [`SKEW`].
const LONGEST_LEASE: Millis = Millis(66_000);

/// How much later than now something may have happened elsewhere: every worker reads the clock once for all that it
/// does in one go. What is later still is from before the clock was set back.
const SKEW: Millis = Millis(5_000);

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

/// What a source does when its time has come.
#[derive(Debug)]
pub(super) enum Start {
    /// This request is to be made.
    Fetch(Fetch),
    /// Nothing is to be fetched: either another engine has, or it is too early. Requests that wait for the source are
    /// to be judged by what it has.
    Settled,
    /// Another engine fetches, and will ring.
    Following,
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
    /// No round under way; the next one begins when it is due, or wanted.
    Idle,
    /// In the middle of a round, before its next request.
    Between,
    /// A fetch is under way; it is given up at `until`.
    Fetching { id: FetchId, until: Timestamp },
    /// Another engine fetches; it is given up at `until`.
    Following { until: Timestamp },
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

#[derive(Debug)]
struct Fetched {
    loaded: Loaded,
    /// The SHA-256 digest of its text, in base64url.
    digest: String,
    url: String,
    etag: Option<String>,
    at: Timestamp,
    /// Only what others fetched later than this is newer: [`at`](Self::at), until the clock is set back behind it.
    newer_than: Timestamp,
    time_to_live: Millis,
}

/// How long something fetched is fresh.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lifetime {
    /// As the operator says.
    Fixed(Millis),
    /// As the source says, within [`MAX_AGE_BOUNDS_SECS`], else [`DEFAULT_CACHE_TTL_SECS`].
    Advised,
}

impl Lifetime {
    /// As the operator says, if there is a say; at least a second.
    pub(super) fn of(cache_ttl_secs: Option<u64>) -> Self {
        match cache_ttl_secs {
            Some(seconds) => Self::Fixed(Millis::from_seconds(seconds.max(1))),
            None => Self::Advised,
        }
    }

    /// How long it is, where the source says this about its freshness.
    pub(super) fn with(self, max_age_secs: Option<u64>) -> Millis {
        let (least, most) = MAX_AGE_BOUNDS_SECS;
        match (self, max_age_secs) {
            (Self::Fixed(time), _) => time,
            (Self::Advised, Some(seconds)) => Millis::from_seconds(seconds.clamp(least, most)),
            (Self::Advised, None) => Millis::from_seconds(DEFAULT_CACHE_TTL_SECS),
        }
    }
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

    /// Notices a clock that was set back: what happened later than now happened now, and the next
    /// fetch is due. Otherwise what was fetched would stay fresh for as long as the clock had been ahead.
    pub(super) fn handle_clock(&mut self, now: Timestamp) {
        self.began = self.began.min(now);
        self.refetch_at = self.refetch_at.min(now);
        self.due = now;
        self.purpose.handle_clock(now);
        if let Some(fetched) = self.fetched.as_mut().filter(|fetched| fetched.at > now) {
            fetched.at = now;
            // Whatever others have published by the clock as it is now is newer.
            fetched.newer_than = Timestamp::from_millis(0);
        }
        let given_up = self.given_up(now);
        match &mut self.state {
            State::Idle | State::Between => {}
            State::Following { until } => *until = now,
            State::Fetching { until, .. } => *until = given_up,
        }
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

    /// Starts what is due; a request gets that name. `jitter` is a number below 1000 that spreads engines apart.
    pub(super) fn start(
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
                    self.take_over(&record);
                    self.wanted = false;
                    self.began = now;
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
                    self.take_over(&record);
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

    /// When what a record speaks of was fetched, if that is newer than what is here.
    fn news(&self, record: &Record, now: Timestamp) -> Option<Timestamp> {
        let at = Timestamp::from_millis(record.published.as_ref()?.at);
        match &self.fetched {
            None => Some(at),
            // What is here is no older.
            Some(_) if at > now.after(SKEW) => None,
            Some(fetched) => (at > fetched.newer_than).then_some(at),
        }
    }

    /// Whether the record does not speak of what was looked for in vain.
    fn is_readable(&self, record: &Record) -> bool {
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
                    Some(loaded) => loaded,
                    None => {
                        self.fetched = known;
                        self.unreadable = Some(published.digest.clone());
                        return false;
                    }
                }
            }
        };
        self.take_over(record);
        if let Some((url, at)) = &record.location {
            self.purpose
                .learn_location(url, Timestamp::from_millis(*at).min(now));
        }
        let time_to_live = self.lifetime.with(published.max_age_secs);
        // What is from before the clock was set back is good, and to be asked for anew at once.
        let at = match at > now.after(SKEW) {
            true => Timestamp::from_millis(now.as_millis().saturating_sub(time_to_live.0)),
            false => at,
        };
        self.due = at.after(refresh_after(time_to_live, jitter));
        // A request with an unknown `kid` has seen older keys than these.
        self.wanted = false;
        self.fetched = Some(Fetched {
            loaded,
            digest: published.digest.clone(),
            url: published.url.clone(),
            etag: published.etag.clone(),
            at,
            newer_than: at,
            time_to_live,
        });
        true
    }

    /// Learns what else a record says.
    fn take_over(&mut self, record: &Record) {
        self.failures = record.failures;
        self.unusable = record.unusable;
        self.refetch_at = Timestamp::from_millis(record.refetch_at);
    }

    /// Takes over what is new, if there is; whether there was. What comes behind this look is rung for.
    fn look(&mut self, commons: &mut Commons, jitter: u64, now: Timestamp) -> bool {
        let bell = commons.bell();
        // The bell first: what is published between the look and the bell would pass unheard.
        let record = commons.update(self.topic, |record| {
            let is_changed = record.leave_bell(bell);
            (record.clone(), is_changed)
        });
        self.adopt(&record, commons, jitter, now)
    }

    /// Looks at what is new. Whether requests that wait for the source are to be judged by what it has.
    pub(super) fn handle_news(
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

    /// Whether the fetch `id` is the one under way.
    pub(super) fn awaits(&self, id: FetchId) -> bool {
        matches!(self.state, State::Fetching { id: awaited, .. } if awaited == id)
    }

    /// Takes the answer of the fetch under way.
    pub(super) fn handle_answer(
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
        fetched.newer_than = now;
        fetched.time_to_live = self.lifetime.with(freshness.max_age_secs);
        fetched.etag = freshness.etag.or(fetched.etag.take());
        self.publish(freshness.max_age_secs, commons, jitter, now);
    }

    /// Keeps what a round brought, and hands it to the other engines.
    fn take(
        &mut self,
        brought: Brought,
        freshness: Freshness,
        commons: &mut Commons,
        jitter: u64,
        now: Timestamp,
    ) {
        let digest = Sha256Digest::of(brought.loaded.bytes()).to_base64url();
        self.fetched = Some(Fetched {
            loaded: brought.loaded,
            digest,
            url: brought.url,
            etag: freshness.etag,
            at: now,
            newer_than: now,
            time_to_live: self.lifetime.with(freshness.max_age_secs),
        });
        self.publish(freshness.max_age_secs, commons, jitter, now);
    }

    /// Tells the other engines what is here.
    fn publish(
        &mut self,
        max_age_secs: Option<u64>,
        commons: &mut Commons,
        jitter: u64,
        now: Timestamp,
    ) {
        self.failures = 0;
        self.unusable = false;
        self.unreadable = None;
        // The clock may have been set back while the answer was on its way.
        let began = self.began.min(now);
        let Some(fetched) = &self.fetched else {
            return;
        };
        self.due = now.after(refresh_after(fetched.time_to_live, jitter));
        let published = Published {
            digest: fetched.digest.clone(),
            meaning: fetched.loaded.meaning().to_base64url(),
            began: began.as_millis(),
            at: fetched.at.as_millis(),
            max_age_secs,
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
            let known = record.published.as_ref().map(|it| &it.meaning);
            if known.is_some_and(|known| *known != published.meaning) {
                record.refetches = 0;
                record.refetch_at = now.after(FIRST_PAUSE).as_millis();
            }
            record.published = Some(published.clone());
            record.location.clone_from(&location);
            record.failures = 0;
            record.unusable = false;
            record.retry_at = 0;
            record.stale_told = false;
            record.release(me);
            let bells = core::mem::take(&mut record.bells);
            record.leave_bell(bell);
            (Some((bells, record.refetch_at)), true)
        });
        match outcome {
            Some((bells, refetch_at)) => {
                self.refetch_at = Timestamp::from_millis(refetch_at);
                commons.ring(&bells, self.topic);
            }
            None => self.give_way(commons, jitter, now),
        }
    }

    /// Takes over what another engine has fetched by a round that began later than the one which is over.
    fn give_way(&mut self, commons: &mut Commons, jitter: u64, now: Timestamp) {
        if let Some(fetched) = &mut self.fetched {
            fetched.at = fetched.at.min(self.began);
            fetched.newer_than = fetched.at;
        }
        self.look(commons, jitter, now);
    }

    /// Takes note of a round that failed, where no other engine has fetched meanwhile.
    fn fail(
        &mut self,
        failed: Failed,
        asked: Millis,
        commons: &mut Commons,
        jitter: u64,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let is_stale = self
            .fetched
            .as_ref()
            .is_some_and(|fetched| fetched.at.after(fetched.time_to_live) < now);
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
                    self.take_over(&record);
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
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Fetching { until, .. } if until <= now)
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

/// Whether what a record speaks of was brought by a round that began later than `began`: that is the newer one,
/// whichever of them ended first.
fn is_superseded(record: &Record, began: Timestamp, now: Timestamp) -> bool {
    let published = record.published.as_ref();
    let latest = now.after(SKEW).as_millis();
    published.is_some_and(|it| began.as_millis() < it.began && it.at <= latest)
}

const fn lease(holder: u64, until: Timestamp) -> Lease {
    Lease {
        holder,
        until: until.as_millis(),
    }
}

/// When something fetched is refreshed: between 80 % and 90 % of their time to live.
pub(super) fn refresh_after(time_to_live: Millis, jitter: u64) -> Millis {
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

/// How long a source is left alone behind its failure number `failures` in a row, counted from 0: our own pause, or
/// the longer one that it `asked` for, up to [`LONGEST_RETRY_AFTER`].
pub(super) fn retry_after(failures: u32, jitter: u64, asked: Millis) -> Millis {
    pause(failures, jitter).max(asked).min(LONGEST_RETRY_AFTER)
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
