//! What a source brings, and the requests that it takes to bring it.
//!
//! A round begins with one request and may need others: an issuer is asked where its keys are before they
//! are fetched, and asked again when they are not there any more. When a round starts, how long it may
//! take and how long its result may be used is the affair of [`super::source`].

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Event;
use super::commons::Topic;
use super::fetch::{Content, FetchAnswer, FetchFailure, Target, label};
use crate::config::{Discovery, Remote};
use crate::discovery::{self, KeyLocation};
use crate::jose::{Jwk, JwkSet, KeyOrigin, Sha256Digest};
use crate::revocation::RevocationList;
use crate::sort::sort_by;
use crate::time::{Millis, Timestamp};

/// How many unusable keys of one set are reported by name.
pub const MAX_REPORTED_KEYS: usize = 8;

/// How long what an issuer says about its keys is believed at least. It is asked again earlier when its
/// keys are not where it said.
const METADATA_TIME_TO_LIVE: Millis = Millis::from_seconds(3600);

/// What a source has brought.
#[derive(Debug)]
pub(super) enum Loaded {
    /// A JWK set, and its text for other engines.
    Keys(JwkSet, Vec<u8>),
    Revocations(RevocationList),
}

/// What follows from an answer.
#[derive(Debug)]
pub(super) enum Step {
    /// The round is over, and brought this.
    Done(Brought),
    /// The round goes on with another request.
    Next,
    /// The round is over without result.
    Failed(Failed),
}

/// What a round brought.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) loaded: Loaded,
    /// From where, in full.
    pub(super) url: String,
}

/// A request that was of no use.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) content: Content,
    /// For logs.
    pub(super) url: String,
    pub(super) failure: FetchFailure,
}

/// What a source is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A JWK set at a fixed place, and the thumbprints of the keys of it that count; none: all do.
    Keys(Remote, Vec<Sha256Digest>),
    /// A JWK set where its issuer says.
    Discovered(Box<Discovered>),
    /// A list of what is revoked.
    Revocations(Remote),
}

impl Purpose {
    /// What the source is kept for in the end.
    pub(super) const fn content(&self) -> Content {
        match self {
            Self::Keys(..) | Self::Discovered(_) => Content::Keys,
            Self::Revocations(_) => Content::Revocations,
        }
    }

    /// How long an answer may take, in milliseconds.
    pub(super) const fn timeout_ms(&self) -> u64 {
        match self {
            Self::Keys(remote, _) | Self::Revocations(remote) => remote.timeout_ms,
            Self::Discovered(discovered) => discovered.config.timeout_ms,
        }
    }

    /// How many answers a request waits for when nothing was fetched yet.
    pub(super) const fn requests(&self) -> u64 {
        match self {
            Self::Keys(..) | Self::Revocations(_) => 1,
            Self::Discovered(_) => 2,
        }
    }

    pub(super) const fn cache_ttl_secs(&self) -> Option<u64> {
        match self {
            Self::Keys(remote, _) | Self::Revocations(remote) => remote.cache_ttl_secs,
            Self::Discovered(discovered) => discovered.config.cache_ttl_secs,
        }
    }

    pub(super) const fn max_stale_secs(&self) -> u64 {
        match self {
            Self::Keys(remote, _) | Self::Revocations(remote) => remote.max_stale_secs,
            Self::Discovered(discovered) => discovered.config.max_stale_secs,
        }
    }

    /// Where the source is, for logs.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Keys(remote, _) | Self::Revocations(remote) => label(&remote.url),
            Self::Discovered(discovered) => discovered.document(0).label(),
        }
    }

    /// What distinguishes the source from those at other places, for all engines alike.
    pub(super) fn topic(&self) -> Topic {
        match self {
            Self::Keys(remote, pins) => remote_topic(b"keys", remote, pins),
            Self::Revocations(remote) => remote_topic(b"revocations", remote, &[]),
            Self::Discovered(discovered) => discovered.topic(),
        }
    }

    /// Reads what another engine has fetched. It is checked as if this one had.
    #[inline(never)]
    pub(super) fn load(&self, text: Vec<u8>) -> Result<Loaded, FetchFailure> {
        match self.content() {
            Content::Revocations => parse_revocations(Cow::Owned(text)),
            Content::Keys | Content::Metadata => parse_keys(Cow::Owned(text), self.pins()),
        }
    }

    /// The thumbprints of the keys that count; none: all do.
    fn pins(&self) -> &[Sha256Digest] {
        match self {
            Self::Keys(_, pins) => pins,
            Self::Discovered(discovered) => &discovered.pins,
            Self::Revocations(_) => &[],
        }
    }

    /// Where the keys are, as their issuer said, and when.
    pub(super) fn location(&self) -> Option<(&str, Timestamp)> {
        match self {
            Self::Discovered(discovered) => {
                let (location, at) = discovered.location.as_ref()?;
                Some((&location.url, *at))
            }
            Self::Keys(..) | Self::Revocations(_) => None,
        }
    }

    /// Learns where the keys are from another engine. A place that the configuration does not allow is not learnt.
    pub(super) fn learn_location(&mut self, url: &str, at: Timestamp) {
        if let Self::Discovered(discovered) = self {
            let known = discovered.location.as_ref();
            if known.is_none_or(|(_, known)| *known < at) {
                if let Ok(location) = discovery::locate(url, &discovered.config.hosts) {
                    discovered.location = Some((location, at));
                }
            }
        }
    }

    /// Begins a round.
    pub(super) fn begin(&mut self, now: Timestamp, time_to_live: Millis) {
        if let Self::Discovered(discovered) = self {
            discovered.begin(now, time_to_live);
        }
    }

    /// Notices a clock that was set back.
    pub(super) fn handle_clock(&mut self, now: Timestamp) {
        if let Self::Discovered(discovered) = self {
            if let Some((_, at)) = &mut discovered.location {
                *at = now.min(*at);
            }
        }
    }

    /// The request that the round needs now.
    pub(super) fn request(&self) -> (Content, Target) {
        match self {
            Self::Keys(remote, _) => (Content::Keys, target(remote)),
            Self::Revocations(remote) => (Content::Revocations, target(remote)),
            Self::Discovered(discovered) => discovered.request(),
        }
    }

    /// Takes the answer to [`request`](Self::request). `told` gets what is worth telling in the middle of a
    /// round.
    pub(super) fn handle_answer(
        &mut self,
        answer: FetchAnswer<'_>,
        now: Timestamp,
        told: &mut Vec<Event>,
    ) -> Step {
        match self {
            Self::Keys(remote, pins) => {
                brought(Content::Keys, &remote.url, read_keys(answer, pins))
            }
            Self::Revocations(remote) => {
                brought(Content::Revocations, &remote.url, read_revocations(answer))
            }
            Self::Discovered(discovered) => discovered.handle_answer(answer, now, told),
        }
    }
}

/// Whether a set can be used depends on the pins, and with that whether fetching it has failed.
fn remote_topic(kind: &[u8], remote: &Remote, pins: &[Sha256Digest]) -> Topic {
    let mut parts = Vec::from([
        kind,
        remote.cluster.as_bytes(),
        remote.scheme.as_bytes(),
        remote.authority.as_bytes(),
        remote.path.as_bytes(),
    ]);
    parts.extend(pins.iter().map(|pin| pin.as_bytes().as_slice()));
    Topic::of(&parts)
}

fn target(remote: &Remote) -> Target {
    Target {
        url: remote.url.clone(),
        cluster: remote.cluster.clone(),
        scheme: remote.scheme.clone(),
        authority: remote.authority.clone(),
        path: remote.path.clone(),
    }
}

fn brought(content: Content, url: &str, read: Result<Loaded, FetchFailure>) -> Step {
    match read {
        Ok(loaded) => Step::Done(Brought {
            loaded,
            url: url.into(),
        }),
        Err(failure) => Step::Failed(Failed {
            content,
            url: label(url),
            failure,
        }),
    }
}

/// A key and its name.
fn named(key: &Jwk) -> Vec<u8> {
    let mut named = key.thumbprint().as_bytes().to_vec();
    named.extend(key.kid().unwrap_or_default().as_bytes());
    named
}

pub(super) fn read_keys(
    answer: FetchAnswer<'_>,
    pins: &[Sha256Digest],
) -> Result<Loaded, FetchFailure> {
    parse_keys(answer.body()?, pins)
}

fn read_revocations(answer: FetchAnswer<'_>) -> Result<Loaded, FetchFailure> {
    parse_revocations(answer.body()?)
}

fn parse_keys(text: Cow<'_, [u8]>, pins: &[Sha256Digest]) -> Result<Loaded, FetchFailure> {
    let keys = JwkSet::parse(&text, KeyOrigin::Remote).map_err(FetchFailure::Invalid)?;
    let keys = keys.pinned(pins);
    match keys.is_empty() {
        true => Err(FetchFailure::NoUsableKey),
        false => Ok(Loaded::Keys(keys, text.into_owned())),
    }
}

fn parse_revocations(text: Cow<'_, [u8]>) -> Result<Loaded, FetchFailure> {
    RevocationList::parse(text)
        .map(Loaded::Revocations)
        .map_err(FetchFailure::Revocations)
}

impl Loaded {
    /// What other engines are to read.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Keys(_, text) => text,
            Self::Revocations(list) => list.as_bytes(),
        }
    }

    /// A digest that two texts share which say the same: some issuers write their keys in another order each time.
    pub(super) fn meaning(&self) -> Sha256Digest {
        match self {
            Self::Keys(keys, _) => {
                let mut parts: Vec<_> = keys.keys().iter().map(named).collect();
                sort_by(&mut parts, Vec::cmp);
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                Sha256Digest::of_parts(&parts)
            }
            Self::Revocations(_) => Sha256Digest::of(self.bytes()),
        }
    }

    /// What is told when it was fetched from there.
    #[inline(never)]
    pub(super) fn event(&self, url: &str) -> Event {
        let url = label(url);
        match self {
            Self::Keys(keys, _) => Event::KeysFetched {
                url,
                usable: keys.keys().len(),
                rejected: keys
                    .rejected()
                    .iter()
                    .take(MAX_REPORTED_KEYS)
                    .map(ToString::to_string)
                    .collect(),
            },
            Self::Revocations(list) => Event::RevocationsFetched {
                url,
                entries: list.len(),
            },
        }
    }
}

/// A JWK set where its issuer says it is.
#[derive(Debug)]
pub(super) struct Discovered {
    config: Discovery,
    /// The thumbprints of the keys that count; none: all do.
    pins: Vec<Sha256Digest>,
    /// What the issuer said last, and when.
    location: Option<(KeyLocation, Timestamp)>,
    /// How long that is believed without asking again.
    believed: Millis,
    stage: Stage,
    /// Whether the issuer was asked in this round.
    was_asked: bool,
    /// The first failure of asking it in this round.
    asked_in_vain: Option<Failed>,
    /// What became of fetching the keys from where they were said to be before.
    fetched_in_vain: Option<Failed>,
}

/// Which request of a round it is.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The metadata document at this index of the paths.
    Metadata(usize),
    Keys,
}

impl Discovered {
    pub(super) const fn new(config: Discovery, pins: Vec<Sha256Digest>) -> Self {
        Self {
            config,
            pins,
            location: None,
            believed: METADATA_TIME_TO_LIVE,
            stage: Stage::Metadata(0),
            was_asked: false,
            asked_in_vain: None,
            fetched_in_vain: None,
        }
    }

    fn topic(&self) -> Topic {
        let mut parts: Vec<&[u8]> = Vec::from([&b"discovery"[..], self.config.issuer.as_bytes()]);
        parts.extend(self.config.paths.iter().map(String::as_bytes));
        for host in &self.config.hosts {
            parts.extend([&host.scheme, &host.authority, &host.cluster].map(|it| it.as_bytes()));
        }
        parts.extend(self.pins.iter().map(|pin| pin.as_bytes().as_slice()));
        Topic::of(&parts)
    }

    fn begin(&mut self, now: Timestamp, time_to_live: Millis) {
        self.believed = METADATA_TIME_TO_LIVE.max(Millis(time_to_live.0.saturating_mul(2)));
        self.stage = match &self.location {
            Some((_, at)) if now < at.after(self.believed) => Stage::Keys,
            _ => Stage::Metadata(0),
        };
        self.was_asked = false;
        self.asked_in_vain = None;
        self.fetched_in_vain = None;
    }

    fn request(&self) -> (Content, Target) {
        match (self.stage, &self.location) {
            (Stage::Keys, Some((location, _))) => (Content::Keys, self.keys(location)),
            (Stage::Metadata(index), _) => (Content::Metadata, self.document(index)),
            // Keys are asked for only where they were said to be.
            (Stage::Keys, None) => (Content::Metadata, self.document(0)),
        }
    }

    fn keys(&self, location: &KeyLocation) -> Target {
        let host = self.config.hosts.get(location.host);
        Target {
            url: location.url.clone(),
            cluster: host.map_or_else(String::new, |host| host.cluster.clone()),
            scheme: host.map_or_else(String::new, |host| host.scheme.clone()),
            authority: location.authority.clone(),
            path: location.path.clone(),
        }
    }

    fn document(&self, index: usize) -> Target {
        let path = self.config.paths.get(index).cloned().unwrap_or_default();
        match self.config.hosts.first() {
            Some(host) => Target {
                url: format!("{}://{}{path}", host.scheme, host.authority),
                cluster: host.cluster.clone(),
                scheme: host.scheme.clone(),
                authority: host.authority.clone(),
                path,
            },
            // INVARIANT: there is a host; what is sent to no cluster is not sent.
            None => Target {
                url: path.clone(),
                cluster: String::new(),
                scheme: String::new(),
                authority: String::new(),
                path,
            },
        }
    }

    fn handle_answer(
        &mut self,
        answer: FetchAnswer<'_>,
        now: Timestamp,
        told: &mut Vec<Event>,
    ) -> Step {
        match self.request() {
            (Content::Metadata, document) => {
                let read = answer.body().and_then(|body| {
                    discovery::key_location(&body, &self.config.issuer, &self.config.hosts)
                        .map_err(FetchFailure::Metadata)
                });
                match read {
                    Ok(location) => self.handle_location(location, document.label(), now, told),
                    Err(failure) => {
                        let failed = Failed {
                            content: Content::Metadata,
                            url: document.label(),
                            failure,
                        };
                        self.handle_no_document(failed, now, told)
                    }
                }
            }
            (_, keys) => self.handle_keys(&keys.url, read_keys(answer, &self.pins)),
        }
    }

    fn handle_location(
        &mut self,
        location: KeyLocation,
        document: String,
        now: Timestamp,
        told: &mut Vec<Event>,
    ) -> Step {
        self.was_asked = true;
        told.push(Event::MetadataFetched {
            url: document,
            jwks_uri: label(&location.url),
        });
        let moved = self
            .location
            .as_ref()
            .is_none_or(|(known, _)| *known != location);
        self.location = Some((location, now));
        match self.fetched_in_vain.take() {
            // The keys are still where they could not be fetched from.
            Some(failed) if !moved => Step::Failed(failed),
            failed => {
                told.extend(failed.map(Failed::told_in_passing));
                self.stage = Stage::Keys;
                Step::Next
            }
        }
    }

    fn handle_no_document(
        &mut self,
        failed: Failed,
        now: Timestamp,
        told: &mut Vec<Event>,
    ) -> Step {
        let may_be_elsewhere = matches!(
            failed.failure,
            FetchFailure::Status(300..=499) | FetchFailure::Metadata(_)
        );
        let next = match self.stage {
            Stage::Metadata(index) => index.saturating_add(1),
            Stage::Keys => self.config.paths.len(),
        };
        // A document that was refused tells more than one that is not there.
        let telling = match self.asked_in_vain.take() {
            Some(first) if matches!(first.failure, FetchFailure::Metadata(_)) => first,
            _ => failed,
        };
        if may_be_elsewhere && next < self.config.paths.len() {
            self.asked_in_vain = Some(telling);
            self.stage = Stage::Metadata(next);
            return Step::Next;
        }
        self.was_asked = true;
        let bound = self
            .believed
            .and(Millis::from_seconds(self.config.max_stale_secs));
        let is_usable = |(_, at): &(KeyLocation, Timestamp)| now <= at.after(bound);
        match self.fetched_in_vain.take() {
            Some(keys) => {
                told.push(keys.told_in_passing());
                Step::Failed(telling)
            }
            // The keys may well be where they were.
            None if self.location.as_ref().is_some_and(is_usable) => {
                told.push(telling.told_in_passing());
                self.stage = Stage::Keys;
                Step::Next
            }
            None => Step::Failed(telling),
        }
    }

    fn handle_keys(&mut self, url: &str, read: Result<Loaded, FetchFailure>) -> Step {
        match brought(Content::Keys, url, read) {
            Step::Failed(failed) if !self.was_asked => {
                self.fetched_in_vain = Some(failed);
                self.stage = Stage::Metadata(0);
                Step::Next
            }
            step => step,
        }
    }
}

impl Failed {
    /// The event, where the round goes on.
    fn told_in_passing(self) -> Event {
        self.told(None)
    }

    /// The event, with the time until the next try.
    pub(super) fn told(self, retry_in: Option<Millis>) -> Event {
        Event::FetchFailed {
            content: self.content,
            url: self.url,
            failure: self.failure,
            retry_in,
        }
    }
}
