//! The engine: takes requests, answers and the time, and gives decisions and fetches.
//!
//! A request goes one way: match → extract → authenticate → authorize → mutate. Where it needs keys
//! that are not there yet it waits, and goes the same way again when they are. Whoever drives the
//! engine calls
//!
//! - [`Engine::handle_request`] for each request, [`Engine::handle_cancelled`] for one that is gone,
//! - [`Engine::handle_answer`] for the answer to each fetch,
//! - [`Engine::handle_timeout`] when the time of [`Engine::poll_timeout`] has come,
//!
//! and after each of them [`Engine::poll_fetch`], [`Engine::poll_decision`] and
//! [`Engine::poll_event`] until they give nothing more. Calling any of them too often is harmless.

mod authenticate;
mod claim_text;
mod content;
mod decision;
mod explain;
mod extract;
mod fetch;
mod mutate;
mod parameters;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "called once edits can set headers")
)]
mod removal;
mod setup;
mod source;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use authenticate::{Bench, Verdict};
pub use claim_text::{ClaimProblem, MAX_CLAIM_HEADER_BYTES};
pub use content::MAX_REPORTED_KEYS;
pub use decision::{Decision, Denial, HeaderEdits, MAX_EVIDENCE_CHARS, Outcome, ProviderIndex};
pub use fetch::{Content, Fetch, FetchAnswer, FetchFailure, FetchId, Target};
#[cfg(feature = "policy")]
pub(crate) use parameters::names_fold_alike;
pub use setup::SetupError;
pub use source::REFETCH_PAUSE;
use source::Source;

use crate::config::{Auth, Config, JwtAuth, TokenSource};
use crate::jose::{Algorithm, JwkSet};
use crate::matching::{MatchError, Matcher, Rule};
use crate::request::Request;
use crate::revocation::RevocationList;
use crate::time::{Millis, Timestamp};

/// How many requests may wait for keys at once in one engine.
pub const MAX_WAITING: usize = 1024;

/// How many bytes of tokens may wait for keys at once in one engine.
pub const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// How many events are kept for whoever does not poll them.
const MAX_EVENTS: usize = 256;

/// A request, as whoever drives the engine names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SourceIndex(usize);

/// An issuer with its keys read.
#[derive(Debug)]
struct Provider {
    name: String,
    issuer: Option<String>,
    audiences: Vec<String>,
    algorithms: Vec<Algorithm>,
    /// Seconds.
    leeway: i64,
    require_expiration: bool,
    keys: ProviderKeys,
    /// What the policy itself revokes.
    revoked: RevocationList,
    /// The list of what is revoked beside that.
    revocations: Option<SourceIndex>,
}

impl Provider {
    /// Everything that is fetched for it.
    fn sources(&self) -> impl Iterator<Item = SourceIndex> {
        let keys = match self.keys {
            ProviderKeys::Remote(index) => Some(index),
            ProviderKeys::Fixed(_) => None,
        };
        keys.into_iter().chain(self.revocations)
    }
}

#[derive(Debug)]
enum ProviderKeys {
    Fixed(JwkSet),
    Remote(SourceIndex),
}

/// An app, as far as it matters once it was matched.
#[derive(Debug)]
struct App {
    slug: String,
    auth: Auth,
    bypass_cors_preflight: bool,
    routes: Vec<AppRoute>,
}

/// A route, as far as it matters once it was matched.
#[derive(Debug)]
struct AppRoute {
    /// The path of the policy, for explanations.
    label: String,
    auth: Auth,
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

/// A request that waits for sources.
#[derive(Debug)]
struct Waiting {
    rule: Rule,
    token: Vec<u8>,
    remove: Vec<Vec<u8>>,
    deadline: Timestamp,
    /// The sources whose answers it waits for.
    awaited: Vec<SourceIndex>,
    /// The sources that it had fetched anew because of an unknown `kid`, which it may do once for each.
    refetched: Vec<SourceIndex>,
    /// Whether it has waited at all.
    waited: bool,
}

/// The engine. It owns its state and nothing else: no clock, no connection.
#[derive(Debug)]
pub struct Engine {
    matcher: Matcher,
    unmatched: crate::config::Unmatched,
    apps: Vec<App>,
    providers: Vec<Provider>,
    sources: Vec<Source>,
    /// The headers that carry claims anywhere, folded (see [`crate::request::fold_header_name`]) and sorted.
    protected: Vec<Vec<u8>>,
    waiting: BTreeMap<RequestId, Waiting>,
    waiting_bytes: usize,
    decided: VecDeque<(RequestId, Decision)>,
    events: VecDeque<Event>,
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

    /// Decides a request, or `None` when it has to wait: its decision comes from
    /// [`poll_decision`](Self::poll_decision).
    pub fn handle_request(
        &mut self,
        id: RequestId,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Option<Decision> {
        // A request that comes again under the same name replaces the one that waited.
        self.handle_cancelled(id);
        let rule = match self.match_rule(request) {
            Ok(Some(rule)) => rule,
            Ok(None) => return Some(self.decide_unmatched(request)),
            Err(denial) => return Some(Decision::denied(None, denial)),
        };
        let Some(auth) = auth_of(&self.apps, rule) else {
            return Some(Decision::denied(Some(rule), Denial::Internal));
        };
        let mut remove = self.identity_headers(request);
        if self.bypasses(rule, request) {
            return Some(Decision::allowed(rule, remove, Vec::new()));
        }
        let Auth::Jwt(auth) = auth else {
            return Some(Decision::allowed(rule, remove, Vec::new()));
        };
        let token = match extract::found(request, &TokenSource::bearer()) {
            Ok(Some(token)) => token.into_bytes(),
            Ok(None) if auth.required => {
                return Some(Decision::denied(Some(rule), Denial::TokenMissing));
            }
            Ok(None) => return Some(Decision::allowed(rule, remove, Vec::new())),
            Err(denial) => return Some(Decision::denied(Some(rule), denial)),
        };
        if !auth.forward_token {
            remove.extend(spellings(request, |name| name == b"authorization"));
        }
        let waiting = Waiting {
            rule,
            token,
            remove,
            deadline: now.after(longest_wait(auth, &self.providers, &self.sources)),
            awaited: Vec::new(),
            refetched: Vec::new(),
            waited: false,
        };
        self.judge(id, waiting, now)
    }

    /// Forgets a request that is gone.
    pub fn handle_cancelled(&mut self, id: RequestId) {
        if let Some(waiting) = self.waiting.remove(&id) {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(waiting.token.len());
        }
        self.decided.retain(|(decided, _)| *decided != id);
    }

    /// Takes the answer of a fetch. An answer that nobody waits for is ignored.
    pub fn handle_answer(&mut self, id: FetchId, answer: FetchAnswer<'_>, now: Timestamp) {
        let Some(at) = self.sources.iter().position(|source| source.awaits(id)) else {
            return;
        };
        self.settle(SourceIndex(at), answer, now);
    }

    /// Does what is due: gives up fetches without answer and requests that waited too long.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        for source in &mut self.sources {
            source.handle_clock(now);
        }
        for at in 0..self.sources.len() {
            if self
                .sources
                .get(at)
                .is_some_and(|source| source.is_overdue(now))
            {
                self.settle(SourceIndex(at), FetchAnswer::NoResponse, now);
            }
        }
        let expired: Vec<RequestId> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.deadline <= now)
            .map(|(id, _)| *id)
            .collect();
        self.judge_again(expired, now);
    }

    /// The next fetch to make, if one is due.
    pub fn poll_fetch(&mut self, now: Timestamp) -> Option<Fetch> {
        let source = self.sources.iter_mut().find(|source| source.is_due(now))?;
        let id = FetchId(self.next_fetch);
        self.next_fetch = self.next_fetch.wrapping_add(1);
        Some(source.start(id, now))
    }

    /// The next decision about a request that waited.
    pub fn poll_decision(&mut self) -> Option<(RequestId, Decision)> {
        self.decided.pop_front()
    }

    /// The next thing to tell the operator.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) and [`poll_fetch`](Self::poll_fetch) have something
    /// to do; `None` when they never will.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let sources = self.sources.iter().map(Source::next_event);
        let waiting = self.waiting.values().map(|waiting| waiting.deadline);
        sources.chain(waiting).min()
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

    /// The headers of a request that a service might take for the verified identity, whatever app it is
    /// for: services trust them by name, and may be reached by more than one path.
    fn identity_headers(&self, request: &Request<'_>) -> Vec<Vec<u8>> {
        spellings(request, |name| {
            self.protected
                .binary_search_by(|protected| protected.as_slice().cmp(name))
                .is_ok()
        })
    }

    fn decide_unmatched(&self, request: &Request<'_>) -> Decision {
        match self.unmatched {
            crate::config::Unmatched::Deny => Decision::denied(None, Denial::NoAppMatched),
            crate::config::Unmatched::Allow => Decision {
                outcome: Outcome::Allow(HeaderEdits {
                    remove: self.identity_headers(request),
                    add: Vec::new(),
                }),
                rule: None,
                provider: None,
                kid: None,
                cached_keys: false,
            },
        }
    }

    /// Judges the token of a request; keeps the request when it has to wait.
    fn judge(&mut self, id: RequestId, mut waiting: Waiting, now: Timestamp) -> Option<Decision> {
        let rule = waiting.rule;
        let Some(Auth::Jwt(auth)) = auth_of(&self.apps, rule) else {
            return Some(Decision::denied(Some(rule), Denial::Internal));
        };
        // Behind its deadline a request is judged by what is there.
        let outstanding = match waiting.deadline > now {
            true => core::mem::take(&mut waiting.awaited),
            false => Vec::new(),
        };
        waiting.awaited.clear();
        let mut bench = Bench {
            providers: &self.providers,
            sources: &mut self.sources,
            now,
            deadline: waiting.deadline,
            outstanding: &outstanding,
            awaited: &mut waiting.awaited,
            refetched: &mut waiting.refetched,
            used_remote_keys: false,
        };
        let judgement = bench.judge(&waiting.token, auth);
        let cached_keys = bench.used_remote_keys && !waiting.waited;
        let outcome = match judgement.verdict {
            Verdict::Accepted(add) => Outcome::Allow(HeaderEdits {
                remove: waiting.remove,
                add,
            }),
            Verdict::Refused(denial) => Outcome::Deny(denial),
            Verdict::Needs if self.may_wait(&waiting, now) => {
                waiting.waited = true;
                self.waiting_bytes = self.waiting_bytes.saturating_add(waiting.token.len());
                self.waiting.insert(id, waiting);
                return None;
            }
            Verdict::Needs if waiting.deadline <= now => {
                let source = waiting.awaited.first();
                Outcome::Deny(
                    source
                        .and_then(|source| self.sources.get(source.0))
                        .map_or(Denial::Internal, authenticate::unavailable),
                )
            }
            Verdict::Needs => Outcome::Deny(Denial::WaitingLimit),
        };
        Some(Decision {
            outcome,
            rule: Some(rule),
            cached_keys,
            provider: judgement.provider,
            kid: judgement.kid,
        })
    }

    fn may_wait(&self, waiting: &Waiting, now: Timestamp) -> bool {
        waiting.deadline > now
            && self.waiting.len() < MAX_WAITING
            && self.waiting_bytes.saturating_add(waiting.token.len()) <= MAX_WAITING_BYTES
    }

    /// Judges requests that waited once more.
    fn judge_again(&mut self, ids: Vec<RequestId>, now: Timestamp) {
        for id in ids {
            let Some(waiting) = self.waiting.remove(&id) else {
                continue;
            };
            self.waiting_bytes = self.waiting_bytes.saturating_sub(waiting.token.len());
            if let Some(decision) = self.judge(id, waiting, now) {
                self.decided.push_back((id, decision));
            }
        }
    }

    /// Gives the source its answer and judges the requests that waited for it.
    fn settle(&mut self, index: SourceIndex, answer: FetchAnswer<'_>, now: Timestamp) {
        let jitter = self.next_jitter();
        let Some(source) = self.sources.get_mut(index.0) else {
            return;
        };
        let settled = source.handle_answer(answer, jitter, now);
        for event in settled.events {
            self.push_event(event);
        }
        if !settled.is_over {
            return;
        }
        let mut waited = Vec::new();
        for (id, waiting) in &mut self.waiting {
            if waiting.awaited.contains(&index) {
                waiting.awaited.retain(|awaited| *awaited != index);
                waited.push(*id);
            }
        }
        self.judge_again(waited, now);
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
    fn denied(rule: Option<Rule>, denial: Denial) -> Self {
        Self {
            outcome: Outcome::Deny(denial),
            rule,
            provider: None,
            kid: None,
            cached_keys: false,
        }
    }

    fn allowed(rule: Rule, remove: Vec<Vec<u8>>, add: Vec<(String, String)>) -> Self {
        Self {
            outcome: Outcome::Allow(HeaderEdits { remove, add }),
            rule: Some(rule),
            provider: None,
            kid: None,
            cached_keys: false,
        }
    }
}

/// What a request needs to pass by a rule.
fn auth_of(apps: &[App], rule: Rule) -> Option<&Auth> {
    let app = apps.get(rule.app.0)?;
    match rule.route {
        None => Some(&app.auth),
        Some(route) => Some(&app.routes.get(route.0)?.auth),
    }
}

/// How long a request may wait: as long as the slowest of its sources may take to answer.
fn longest_wait(auth: &JwtAuth, providers: &[Provider], sources: &[Source]) -> Millis {
    auth.providers
        .iter()
        .filter_map(|index| providers.get(usize::try_from(*index).ok()?))
        .flat_map(Provider::sources)
        .filter_map(|index| sources.get(index.0))
        .map(Source::longest_wait)
        .max()
        .unwrap_or(Millis(0))
}

/// The names of a request that fold to one that `protected` knows, as the request spells them.
fn spellings(request: &Request<'_>, protected: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
    request
        .spellings_of(protected)
        .into_iter()
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests;
