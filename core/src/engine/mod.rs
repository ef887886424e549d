//! The engine: takes requests, answers and the time, and gives decisions and fetches.
//!
//! A request goes one way: match → extract → authenticate → authorize → mutate. Where it needs keys
//! that are not there yet it waits, and goes the same way again when they are. Whoever drives the
//! engine calls
//!
//! - [`Engine::handle_request`] for each request, [`Engine::handle_cancelled`] for one that is gone,
//! - [`Engine::handle_answer`] for the answer to each fetch,
//! - [`Engine::handle_news`] when another engine of the process rings,
//! - [`Engine::handle_timeout`] when the time of [`Engine::poll_timeout`] has come,
//!
//! and after each of them [`Engine::poll_fetch`], [`Engine::poll_decision`] and
//! [`Engine::poll_event`] until they give nothing more. Where there is more to decide than is to be done in one go,
//! [`Engine::poll_timeout`] is over at once. Calling any of them too often is harmless. Where others of its process go on,
//! [`Engine::handle_end`] is the last call.

mod alarm;
mod authenticate;
mod authorize;
mod claim_text;
mod commons;
mod content;
mod decision;
mod explain;
mod extract;
mod fetch;
mod freshness;
mod issuer;
mod mutate;
pub(crate) mod parameters;
mod possession;
mod prospect;
mod queue;
mod removal;
mod reply;
mod requirement;
mod schedule;
mod setup;
mod source;
mod token_cache;
mod waiting;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use alarm::{Alarm, LONGEST_PERIOD};
use authenticate::Bench;
use authorize::Terms;
pub use claim_text::{ClaimProblem, MAX_CLAIM_HEADER_BYTES};
use commons::Commons;
pub use content::MAX_REPORTED_KEYS;
pub use decision::{
    Decision, Denial, HeaderEdits, MAX_EVIDENCE_CHARS, Outcome, ProviderIndex, REPORT_HEADER,
};
pub use fetch::{Content, Fetch, FetchAnswer, FetchFailure, FetchId, Target};
pub use freshness::Freshness;
use issuer::Issuers;
#[cfg(feature = "policy")]
pub(crate) use parameters::names_fold_alike;
use possession::{PROOF_HEADER, Possession};
pub use prospect::Prospect;
use requirement::{Examination, Granted, Plan};
use schedule::Sources;
pub use setup::SetupError;
use source::Start;
pub use source::{LONGEST_RETRY_AFTER, MAX_AGE_BOUNDS_SECS};
pub use token_cache::BYTES_FOR_EACH_TOKEN;
use token_cache::TokenCache;
use waiting::{Wait, Waiting, WaitingRequests};

use crate::config::{Config, Enforcement, SignatureVerification, TokenSource};
use crate::header_names::HeaderNames;
use crate::jose::{Algorithm, JwkSet, SignatureVerifier, TriedVerifier};
use crate::matching::{MatchError, Matcher, Rule};
use crate::replay::{ReplayMemory, Use};
use crate::request::{OwnedRequest, Request, folds_alike};
use crate::revocation::RevocationList;
use crate::shared::Process;
use crate::time::{Millis, Timestamp};

/// How many requests may wait for keys at once in one engine.
pub const MAX_WAITING: usize = 1024;

/// How many bytes of requests, headers and all, may wait for keys at once in one engine.
pub const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// How many requests that waited are judged for one decision: those that go on waiting give none.
const MOST_AT_ONCE: usize = 16;

/// How many events are kept for whoever does not poll them.
const MAX_EVENTS: usize = 256;

/// A request, as whoever drives the engine names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SourceIndex(usize);

/// An issuer with its keys read.
#[derive(Debug)]
struct Provider {
    name: String,
    issuers: Issuers,
    terms: Terms,
    algorithms: Vec<Algorithm>,
    /// Seconds.
    leeway: i64,
    require_expiration: bool,
    possession: Possession,
    keys: ProviderKeys,
    /// What the policy itself revokes.
    revoked: RevocationList,
    /// The list of what is revoked beside that.
    revocations: Option<SourceIndex>,
}

impl Provider {
    /// Everything that is fetched for it.
    fn sources(&self) -> impl Iterator<Item = SourceIndex> {
        self.keys.remote.iter().copied().chain(self.revocations)
    }
}

/// The keys of a provider: all of them count.
#[derive(Debug)]
struct ProviderKeys {
    /// Those that are always there.
    fixed: Option<JwkSet>,
    /// Those that are fetched.
    remote: Vec<SourceIndex>,
}

/// An app, as far as it matters once it was matched.
#[derive(Debug)]
struct App {
    slug: String,
    access: Access,
    bypass_cors_preflight: bool,
    routes: Vec<AppRoute>,
    replies: Option<crate::config::Replies>,
}

/// A route, as far as it matters once it was matched.
#[derive(Debug)]
struct AppRoute {
    /// The path of the policy, for explanations.
    label: String,
    access: Access,
}

/// What a rule asks of a request.
#[derive(Debug)]
enum Access {
    /// Nothing.
    Open,
    /// Tokens.
    Tokens(Plan),
}

/// Something that an operator may want to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A JWK set was fetched.
    KeysFetched {
        /// From where.
        url: String,
        /// How many of its keys can be used.
        usable: usize,
        /// Why the others cannot, a line each, at most [`MAX_REPORTED_KEYS`].
        rejected: Vec<String>,
    },
    /// An issuer said where its keys are.
    MetadataFetched {
        /// From where.
        url: String,
        /// Where the keys are.
        jwks_uri: String,
    },
    /// A list of what is revoked was fetched.
    RevocationsFetched {
        /// From where.
        url: String,
        /// How many entries it has.
        entries: usize,
    },
    /// A source says that it has not changed.
    Unchanged {
        /// What it is.
        content: Content,
        /// From where.
        url: String,
    },
    /// A fetch was of no use.
    FetchFailed {
        /// What it was for.
        content: Content,
        /// From where.
        url: String,
        /// Why.
        failure: FetchFailure,
        /// How long until the next one; `None` when something else is tried at once.
        retry_in: Option<Millis>,
    },
    /// What is behind its time to live is in use because the source fails. Once for each outage.
    Stale {
        /// What it is.
        content: Content,
        /// From where it is fetched.
        url: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeysFetched {
                url,
                usable,
                rejected,
            } => {
                write!(f, "fetched {usable} usable keys from {url}")?;
                for reason in rejected {
                    write!(f, "; {reason}")?;
                }
                Ok(())
            }
            Self::MetadataFetched { url, jwks_uri } => {
                write!(f, "fetched metadata from {url}: the keys are at {jwks_uri}")
            }
            Self::RevocationsFetched { url, entries } => {
                write!(
                    f,
                    "fetched a revocation list of {entries} entries from {url}"
                )
            }
            Self::Unchanged { content, url } => {
                write!(f, "no change of the {} from {url}", content.noun())
            }
            Self::FetchFailed {
                content,
                url,
                failure,
                retry_in,
            } => {
                write!(f, "no {} from {url}: {failure}", content.noun())?;
                match retry_in {
                    Some(pause) => write!(f, "; next try in {pause}"),
                    None => Ok(()),
                }
            }
            Self::Stale {
                content: Content::Revocations,
                url,
            } => write!(
                f,
                "the revocation list from {url} is older than its time to live and stays in use while fetching it fails"
            ),
            Self::Stale { content, url } => write!(
                f,
                "the {} from {url} are older than their time to live and stay in use while fetching them fails",
                content.noun()
            ),
        }
    }
}

/// The engine. It owns its state and nothing else: no clock, no connection.
#[derive(Debug)]
pub struct Engine {
    matcher: Matcher,
    unmatched: crate::config::Unmatched,
    /// What clients hear where the app does not say.
    replies: crate::config::Replies,
    /// The query parameters that tokens are taken from anywhere.
    token_parameters: Vec<String>,
    apps: Vec<App>,
    providers: Vec<Provider>,
    /// Whether any provider looks at the client's certificate.
    asks_certificate: bool,
    sources: Sources,
    /// The headers that carry claims anywhere.
    protected: HeaderNames,
    filter_state_keys: Vec<String>,
    waiting: WaitingRequests,
    events: VecDeque<Event>,
    /// The tokens that were verified, where they are remembered.
    token_cache: Option<TokenCache>,
    /// How many that may be.
    jwt_cache_size: usize,
    /// Who checks signatures instead of the module, if anybody.
    verifier: Option<TriedVerifier>,
    signature_verification: SignatureVerification,
    /// What remembers the proofs that were used.
    replay: Box<dyn ReplayMemory>,
    /// What the engines of the process know about the sources.
    commons: Commons,
    /// The time that was told last.
    told: Timestamp,
    /// The latest time that was told since the clock was set back.
    seen: Timestamp,
    next_fetch: u64,
    /// State of a small generator that spreads the refreshes of many engines apart.
    jitter: u64,
}

impl Engine {
    /// An engine for a configuration. `environment` gives the value of an environment variable, `seed`
    /// is any number that differs between engines.
    ///
    /// # Errors
    /// Returns what in the configuration or the environment cannot be used; an engine that exists is
    /// able to decide.
    pub fn new(
        config: Config,
        environment: &dyn Fn(&str) -> Option<Vec<u8>>,
        seed: u64,
        now: Timestamp,
    ) -> Result<Self, SetupError> {
        setup::build(config, environment, seed, now)
    }

    /// The engine with another memory of proofs (RFC 9449 §11.1): one that it shares with the other engines of the
    /// process. Its own forgets nothing before its time either, but knows only what this engine has seen.
    #[must_use]
    pub fn with_replay_memory(mut self, memory: Box<dyn ReplayMemory>) -> Self {
        self.replay = memory;
        self
    }

    /// The engine with a memory of tokens that it verified, as many as the configuration says. `key` has to be random and
    /// nobody else's: who knows it may find another token that is taken for one of those.
    #[must_use]
    pub fn with_token_cache(mut self, key: [u8; 16]) -> Self {
        self.token_cache = TokenCache::new(self.jwt_cache_size, key);
        self
    }

    /// The engine with somebody else who checks signatures, where the configuration lets it and it has proved that it can.
    #[must_use]
    pub fn with_signature_verifier(mut self, verifier: Box<dyn SignatureVerifier>) -> Self {
        self.verifier = match self.signature_verification {
            SignatureVerification::Module => None,
            SignatureVerification::Host => TriedVerifier::new(verifier, |_| true),
            SignatureVerification::Auto => TriedVerifier::new(verifier, is_faster_elsewhere),
        };
        self
    }

    /// The algorithms whose signatures somebody else checks.
    pub fn offloaded(&self) -> &[Algorithm] {
        self.verifier
            .as_ref()
            .map_or(&[], TriedVerifier::algorithms)
    }

    /// The engine as one of several in a process, of which one fetches for all. `member` is a number that no other of
    /// them has, also none that ends while its fetches are under way: a random one.
    #[must_use]
    pub fn with_process(mut self, process: Box<dyn Process>, member: u64) -> Self {
        self.commons = Commons::of(process, member);
        let commons = &self.commons;
        self.sources
            .change_all(|index, source| source.rename(commons.holder(index.0)));
        self
    }

    /// Whether the decision about a request depends on the client's certificate, which it then has to have
    /// ([`Request::with_certificate`]). Otherwise nobody needs to ask the proxy for it.
    pub fn needs_certificate(&self, request: &Request<'_>) -> bool {
        // Mostly no provider at all asks, and the rule does not have to be found for that.
        if !self.asks_certificate {
            return false;
        }
        let rule = self.match_rule(request).ok().flatten();
        match rule.and_then(|rule| access_of(&self.apps, rule)) {
            Some(Access::Tokens(plan)) => plan.traits.asks_certificate,
            _ => false,
        }
    }

    /// Decides a request, or `None` when it has to wait: its decision comes from
    /// [`poll_decision`](Self::poll_decision).
    pub fn handle_request(
        &mut self,
        id: RequestId,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Option<Decision> {
        self.handle_clock(now);
        // A request that comes again under the same name replaces the one that waited.
        self.handle_cancelled(id);
        let rule = match self.match_rule(request) {
            Ok(Some(rule)) => rule,
            Ok(None) => return Some(self.decide_unmatched(request)),
            Err(denial) => return Some(Decision::denied(None, denial)),
        };
        let longest = match access_of(&self.apps, rule) {
            None => return Some(Decision::denied(Some(rule), Denial::Internal)),
            Some(Access::Tokens(plan)) if !self.bypasses(rule, request) => plan.traits.longest_wait,
            Some(_) => {
                let edits = self.stripped(request);
                return Some(Decision::of(Some(rule), Outcome::Allow(edits)));
            }
        };
        let wait = Wait {
            arrived: now,
            deadline: now.after(longest),
            longest,
            awaited: Vec::new(),
            without: Vec::new(),
            waited: false,
        };
        match self.judge(request, rule, wait, now) {
            Ok(decision) => Some(decision),
            Err(wait) => {
                self.keep(id, OwnedRequest::of(request), rule, wait);
                None
            }
        }
    }

    /// Forgets a request that is gone.
    pub fn handle_cancelled(&mut self, id: RequestId) {
        self.waiting.remove(id);
    }

    /// Takes the answer of a fetch. An answer that nobody waits for is ignored.
    pub fn handle_answer(&mut self, id: FetchId, answer: FetchAnswer<'_>, now: Timestamp) {
        self.handle_clock(now);
        if let Some(index) = self.sources.awaiting(id) {
            self.settle(index, answer, now);
        }
    }

    /// Does what is due: gives up fetches without answer and requests that waited too long.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.handle_clock(now);
        for index in self.sources.overdue(now) {
            self.settle(index, FetchAnswer::NoResponse, now);
        }
        self.waiting.wake_overdue(now);
    }

    /// Notices a clock that was set back: nobody waits for longer than from now on, and what was fetched is asked for
    /// anew, where it is more than what the workers' clocks may differ by.
    fn handle_clock(&mut self, now: Timestamp) {
        if now < self.told {
            self.waiting.shorten(now);
        }
        self.told = now;
        if now.after(source::SKEW) < self.seen {
            let commons = &mut self.commons;
            self.sources
                .change_all(|_, source| source.handle_clock(commons, now));
            self.seen = now;
        }
        self.seen = self.seen.max(now);
    }

    /// Ends the engine: what it was fetching another one of the process may fetch at once, without waiting for an answer
    /// that nobody hears.
    pub fn handle_end(mut self) {
        let commons = &mut self.commons;
        self.sources.change_all(|_, source| source.abandon(commons));
    }

    /// Takes the news that another engine of the process rang with.
    pub fn handle_news(&mut self, topic: &[u8], now: Timestamp) {
        self.handle_clock(now);
        for index in self.sources.about(topic) {
            let jitter = self.next_jitter();
            let commons = &mut self.commons;
            let has_news = self
                .sources
                .change(index, |source| source.handle_news(commons, jitter, now));
            if has_news == Some(true) {
                self.waiting.wake_for(index);
            }
        }
    }

    /// The next fetch to make, if one is due.
    #[inline(never)]
    pub fn poll_fetch(&mut self, now: Timestamp) -> Option<Fetch> {
        if self.commons.is_register_due(now) {
            let topics: Vec<_> = self.sources.iter().map(source::Source::topic).collect();
            self.commons.register(&topics, now);
        }
        loop {
            let index = self.sources.due(now)?;
            let jitter = self.next_jitter();
            let (id, commons) = (FetchId(self.next_fetch), &mut self.commons);
            let started = self
                .sources
                .change(index, |source| source.start(id, commons, jitter, now))?;
            match started {
                Start::Fetch(fetch) => {
                    self.sources.begin_fetch(index, id);
                    self.next_fetch = self.next_fetch.wrapping_add(1);
                    return Some(fetch);
                }
                Start::Settled => self.waiting.wake_for(index),
                Start::Following => {}
            }
        }
    }

    /// The next decision about a request that waited. Each takes as long as deciding some requests takes; those that
    /// are not asked for now come the next time. So do those behind many that go on waiting: there is no decision then,
    /// and [`poll_timeout`](Self::poll_timeout) is over at once.
    pub fn poll_decision(&mut self, now: Timestamp) -> Option<(RequestId, Decision)> {
        for _ in 0..MOST_AT_ONCE {
            let (id, waiting) = self.waiting.next_ready()?;
            if let Some(decision) = self.judge_again(id, waiting, now) {
                return Some((id, decision));
            }
        }
        None
    }

    /// The next thing to tell the operator.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout), [`poll_fetch`](Self::poll_fetch) and
    /// [`poll_decision`](Self::poll_decision) have something to do; `None` when they never will.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let events = [self.sources.next_event(), self.waiting.next_event()];
        events.into_iter().flatten().min()
    }

    fn match_rule(&self, request: &Request<'_>) -> Result<Option<Rule>, Denial> {
        self.matcher.rule(request).map_err(|error| match error {
            MatchError::PseudoHeader(name) => Denial::PseudoHeader(name),
            MatchError::Authority => Denial::Authority,
            MatchError::Path(error) => Denial::Path(error),
            MatchError::Ambiguous => Denial::PathAmbiguous,
            MatchError::AmbiguousCondition => Denial::ConditionAmbiguous,
        })
    }

    /// Whether a request passes whatever its rule asks for: a browser sends a CORS preflight without any token.
    fn bypasses(&self, rule: Rule, request: &Request<'_>) -> bool {
        let app = self.apps.get(rule.app.0);
        app.is_some_and(|app| app.bypass_cors_preflight) && request.is_cors_preflight()
    }

    /// The edits that every request gets: without the headers that a service might take for the verified
    /// identity, whatever app it is for, since services trust them by name, and may be reached by more than
    /// one path. The proxy may have taken its route by such a header, and has to find it anew.
    fn stripped(&self, request: &Request<'_>) -> HeaderEdits {
        let remove = spellings(request, |name| self.protected.contains(name));
        HeaderEdits {
            clear_route_cache: !remove.is_empty(),
            remove,
            ..HeaderEdits::default()
        }
    }

    /// The keys under which anything may be kept as the proxy's filter state, in order.
    pub fn filter_state_keys(&self) -> &[String] {
        &self.filter_state_keys
    }

    fn decide_unmatched(&self, request: &Request<'_>) -> Decision {
        let outcome = match self.unmatched {
            crate::config::Unmatched::Deny => Outcome::Deny(Denial::NoAppMatched),
            crate::config::Unmatched::Allow => Outcome::Allow(self.stripped(request)),
        };
        Decision::of(None, outcome)
    }

    /// Judges the tokens of a request.
    ///
    /// # Errors
    /// Gives back what it waits for when it cannot be judged yet.
    fn judge(
        &mut self,
        request: &Request<'_>,
        rule: Rule,
        mut wait: Wait,
        now: Timestamp,
    ) -> Result<Decision, Wait> {
        let Some(Access::Tokens(plan)) = access_of(&self.apps, rule) else {
            return Ok(Decision::denied(Some(rule), Denial::Internal));
        };
        // Behind its deadline a request is judged by what is there.
        let outstanding = match wait.deadline > now {
            true => core::mem::take(&mut wait.awaited),
            false => Vec::new(),
        };
        wait.awaited.clear();
        let mut bench = Bench {
            providers: &self.providers,
            sources: &mut self.sources,
            cache: self.token_cache.as_mut(),
            verifier: self.verifier.as_mut(),
            rule,
            plan,
            request,
            now,
            arrived: wait.arrived,
            deadline: wait.deadline,
            outstanding: &outstanding,
            awaited: &mut wait.awaited,
            without: &mut wait.without,
            used_remote_keys: false,
            looked_into: 0,
            recalled: 0,
        };
        let mut examinations = Vec::new();
        let mut needs_answer = false;
        for (at, found) in extract::tokens(request, plan) {
            match found {
                Err(denial) => examinations.push(Examination::unread(at, denial)),
                Ok(token) => match bench.examine(at, token.as_bytes()) {
                    Some(examination) => examinations.push(examination),
                    None => needs_answer = true,
                },
            }
        }
        let cached_keys = bench.used_remote_keys && !wait.waited;
        let cached_token = (bench.cache.is_some() && bench.looked_into > 0)
            .then_some(bench.looked_into == bench.recalled);
        let weighed = match needs_answer {
            false => match plan.weigh(&examinations) {
                // Refused is what depended on a proof that was used before; the rest may still be enough.
                Ok(_) if !spend_proofs(&mut *self.replay, &mut examinations, now) => {
                    plan.weigh(&examinations)
                }
                weighed => weighed,
            },
            true if self.may_wait(request, &wait, now) => return Err(wait),
            true if wait.deadline <= now => Err(self.unanswered(&wait)),
            true => Err(Denial::WaitingLimit),
        };
        let told = examinations
            .iter()
            .find(|examination| examination.is_accepted())
            .or(examinations.first());
        Ok(Decision {
            provider: told.and_then(|examination| examination.provider),
            kid: told.and_then(|examination| examination.kid.clone()),
            cached_keys,
            cached_token,
            ..self.conclude(request, rule, plan, weighed)
        })
    }

    /// What becomes of a request whose tokens were weighed.
    #[inline(never)]
    fn conclude(
        &self,
        request: &Request<'_>,
        rule: Rule,
        plan: &Plan,
        weighed: Result<Granted, Denial>,
    ) -> Decision {
        let mut edits = self.stripped(request);
        let report = match (&weighed, plan.enforcement) {
            (_, Enforcement::Deny) => None,
            (Ok(_), Enforcement::Report) => Some(String::from("allow")),
            (Err(denial), Enforcement::Report) => {
                Some(alloc::format!("deny; reason={}", denial.reason().code()))
            }
        };
        let would_deny = match weighed {
            Ok(granted) => {
                // What only reports leaves the token to whoever checks it behind this filter.
                if plan.enforcement == Enforcement::Deny {
                    take_tokens(request, plan, &granted, &mut edits);
                }
                granted.identity.apply(&mut edits);
                None
            }
            Err(denial) if report.is_none() => return Decision::denied(Some(rule), denial),
            Err(denial) => Some(denial),
        };
        if let Some(report) = report {
            edits.set.push((REPORT_HEADER.into(), report.into_bytes()));
        }
        Decision {
            would_deny,
            ..Decision::of(Some(rule), Outcome::Allow(edits))
        }
    }

    /// Why a request is denied whose time to wait is over.
    fn unanswered(&self, wait: &Wait) -> Denial {
        wait.awaited
            .first()
            .and_then(|source| self.sources.get(source.0))
            .map_or(Denial::Internal, authenticate::unavailable)
    }

    fn may_wait(&self, request: &Request<'_>, wait: &Wait, now: Timestamp) -> bool {
        wait.deadline > now
            && self.waiting.len() < MAX_WAITING
            && self.waiting.bytes().saturating_add(request.size()) <= MAX_WAITING_BYTES
    }

    /// Keeps a request that waits. There is no decision about it yet.
    fn keep(&mut self, id: RequestId, request: OwnedRequest, rule: Rule, mut wait: Wait) {
        wait.waited = true;
        self.waiting.insert(id, request, rule, wait);
    }

    /// Judges a request that waited once more; `None` when it goes on waiting.
    fn judge_again(&mut self, id: RequestId, waiting: Waiting, now: Timestamp) -> Option<Decision> {
        let Waiting {
            request,
            rule,
            wait,
            ..
        } = waiting;
        let headers = request.headers();
        let again = Request::new(&headers).with_certificate(request.certificate());
        match self.judge(&again, rule, wait, now) {
            Ok(decision) => Some(decision),
            Err(wait) => {
                self.keep(id, request, rule, wait);
                None
            }
        }
    }

    /// Gives the source its answer.
    fn settle(&mut self, index: SourceIndex, answer: FetchAnswer<'_>, now: Timestamp) {
        let jitter = self.next_jitter();
        let commons = &mut self.commons;
        let settled = self.sources.change(index, |source| {
            source.handle_answer(answer, commons, jitter, now)
        });
        let Some(settled) = settled else { return };
        for event in settled.events {
            self.push_event(event);
        }
        if settled.is_over {
            self.waiting.wake_for(index);
        }
    }

    fn push_event(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }

    /// A number below 1000 (SplitMix64). It spreads load; nothing secret depends on it.
    fn next_jitter(&mut self) -> u64 {
        self.jitter = self.jitter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.jitter;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % 1000
    }
}

impl Decision {
    fn of(rule: Option<Rule>, outcome: Outcome) -> Self {
        Self {
            outcome,
            rule,
            provider: None,
            kid: None,
            cached_keys: false,
            cached_token: None,
            would_deny: None,
        }
    }

    /// A denial that no token has a part in.
    pub fn denied(rule: Option<Rule>, denial: Denial) -> Self {
        Self::of(rule, Outcome::Deny(denial))
    }
}

/// Uses up the proofs of the tokens that were accepted; refuses those whose proof was used before, and says whether
/// there was none. It is the last thing that is asked about a request: a proof that is good and comes with
/// something that is not has not been used.
#[inline(never)]
fn spend_proofs(
    memory: &mut dyn ReplayMemory,
    examinations: &mut [Examination],
    now: Timestamp,
) -> bool {
    let mut spent = Vec::new();
    let mut is_fresh = true;
    for examination in examinations {
        let Some(proof) = examination.proof.filter(|_| examination.is_accepted()) else {
            continue;
        };
        // The one proof of a request may be for a token that stands in two places.
        if spent.contains(&proof.digest) {
            continue;
        }
        let denial = match memory.remember(&proof.digest, proof.until, now) {
            Use::First => {
                spent.push(proof.digest);
                continue;
            }
            Use::Repeated => Denial::ProofReplayed,
            Use::Unknown => Denial::ProofMemory,
        };
        is_fresh = false;
        examination.refuse(&denial);
    }
    is_fresh
}

/// Whether a proxy's own cryptography takes less time for an algorithm than the module, the way there included: for all that
/// it knows but ES256, which the module has arithmetic of its own for.
const fn is_faster_elsewhere(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::Es256)
}

/// What a rule asks of a request.
fn access_of(apps: &[App], rule: Rule) -> Option<&Access> {
    let app = apps.get(rule.app.0)?;
    match rule.route {
        None => Some(&app.access),
        Some(route) => Some(&app.routes.get(route.0)?.access),
    }
}

/// The names of a request for which `wanted` holds, as the request spells them.
fn spellings(request: &Request<'_>, wanted: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
    request
        .spellings_of(wanted)
        .into_iter()
        .map(<[u8]>::to_vec)
        .collect()
}

/// Takes the tokens that are not handed on out of the request, and the proofs that came with them.
fn take_tokens(request: &Request<'_>, plan: &Plan, granted: &Granted, edits: &mut HeaderEdits) {
    if plan.sources(&granted.consumed).any(TokenSource::is_dpop) {
        let proofs = spellings(request, |name| folds_alike(name, PROOF_HEADER));
        edits.remove.extend(proofs);
    }
    let removal = removal::removal(request, plan.sources(&granted.consumed));
    edits.remove.extend(removal.remove);
    edits.set.extend(removal.set);
}

#[cfg(test)]
mod tests;
