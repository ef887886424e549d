//! What a rule asks of a request, and whether the tokens that were found fulfil it.
//!
//! Every token in a place where one of the rule's providers has its tokens has to be accepted by such a provider:
//! one that nobody accepts is never overlooked because another one was good. Whether the accepted
//! ones are enough is then a question of the requirement alone. Nothing here looks into a token.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::Provider;
use super::authorize::Demands;
use super::decision::{Denial, ProviderIndex};
use super::extract::is_same_place;
use super::issuer::ByIssuer;
use super::mutate::Identity;
use super::possession::Possession;
use super::setup::has_one_value_for_each_target;
use super::source::Source;
use crate::config::{
    Binding, Enforcement, Handling, JwtAuth, MAX_REQUIREMENT_DEPTH, Requirement, TokenSource,
};
use crate::jose::dpop::VerifiedProof;
use crate::sort::sort_and_dedup;
use crate::time::Millis;

/// An index into [`Plan::uses`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UseIndex(usize);

/// A provider as one part of a requirement uses it.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) provider: ProviderIndex,
    /// One of these has to be in `aud`. Empty: `aud` is not checked.
    pub(super) audiences: Vec<String>,
    /// The provider's and the rule's in one, but for what became of the demands.
    pub(super) handling: Handling,
    /// What the claims of a genuine token have to be.
    pub(super) demands: Demands,
    /// Whether a token that the provider refuses counts as none.
    tolerates_failure: bool,
}

/// A place where tokens may be, and whose.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) source: TokenSource,
    pub(super) uses: Vec<UseIndex>,
    /// The uses by the issuers of their providers, where there are many.
    pub(super) by_issuer: Option<ByIssuer<UseIndex>>,
    /// Whether any of them takes a token that is refused for none.
    tolerates_failure: bool,
    /// Whether the service gets the tokens of every one of them.
    forwards_all: bool,
}

/// How many uses of a place are looked at one after the other; more are looked up.
const MAX_SCANNED_USES: usize = 8;

/// What follows for a rule from all of its providers together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traits {
    /// How long a request may wait: as long as the slowest of its sources may take to answer.
    pub(super) longest_wait: Millis,
    /// Whether any of them looks at the client's certificate.
    pub(super) asks_certificate: bool,
    /// Whether any of them takes tokens that are bound to no key.
    pub(super) takes_bearer: bool,
    /// Whether any of them takes tokens that are bound to a key.
    pub(super) takes_proof: bool,
}

impl Traits {
    /// Takes in those of one provider.
    fn add(&mut self, provider: &Provider, sources: &[Source]) {
        let waits = provider.sources().filter_map(|index| sources.get(index.0));
        for source in waits {
            self.longest_wait = self.longest_wait.max(source.longest_wait());
        }
        let Possession { mtls, dpop, .. } = provider.possession;
        self.asks_certificate |= mtls != Binding::Off;
        self.takes_bearer |= dpop != Binding::Required;
        self.takes_proof |= dpop != Binding::Off;
    }
}

/// A requirement, ready to be asked.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) enforcement: Enforcement,
    /// In the order in which they are asked.
    pub(super) places: Vec<Place>,
    /// Whether a token has to be shown to every provider whose it may be, and not only to the first one
    /// that accepts it.
    pub(super) is_exhaustive: bool,
    pub(super) traits: Traits,
    uses: Vec<Use>,
    root: Node,
}

#[derive(Debug)]
enum Node {
    Use(UseIndex),
    /// Any of the uses from the first index to the second.
    AnyUse(UseIndex, UseIndex),
    AnyOf(Vec<Node>),
    AllOf(Vec<Node>),
    AllowMissing(Box<Node>),
    /// Fulfilled, whatever was found.
    Anything,
}

/// Why a requirement cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlanError {
    /// A claim or scope that is asked for cannot be.
    Demand(&'static str),
    /// It names a provider that does not exist.
    UnknownProvider,
    /// A list of alternatives or parts is empty.
    Empty,
    /// It is nested deeper than [`MAX_REQUIREMENT_DEPTH`].
    TooDeep,
    /// Two values would go into one header or filter state.
    TwoValues,
}

/// What became of one token.
#[derive(Debug)]
pub(super) struct Examination {
    /// An index into [`Plan::places`].
    pub(super) place: usize,
    /// What the providers said whose token it may be.
    pub(super) verdicts: Vec<(UseIndex, Result<Rc<Identity>, Denial>)>,
    /// Why it is refused, where nobody accepts it: the most telling denial.
    pub(super) refusal: Denial,
    /// The provider that accepted it, or whose refusal is told.
    pub(super) provider: Option<ProviderIndex>,
    pub(super) kid: Option<Rc<str>>,
    /// The proof that came with it, where somebody who accepts it needs one.
    pub(super) proof: Option<VerifiedProof>,
}

impl Examination {
    /// A token that could not be taken out of the request.
    pub(super) fn unread(place: usize, refusal: Denial) -> Self {
        Self {
            place,
            verdicts: Vec::new(),
            refusal,
            provider: None,
            kid: None,
            proof: None,
        }
    }

    /// Takes the proof of one who accepts the token. It has to be remembered for as long as any of them would
    /// take it.
    pub(super) fn take_proof(&mut self, proof: Option<VerifiedProof>) {
        self.proof = match (self.proof, proof) {
            (Some(known), Some(proof)) if known.until >= proof.until => Some(known),
            (known, proof) => proof.or(known),
        };
    }

    /// Refuses it, whoever accepted it.
    pub(super) fn refuse(&mut self, denial: &Denial) {
        for (_, verdict) in &mut self.verdicts {
            if verdict.is_ok() {
                *verdict = Err(denial.clone());
            }
        }
        self.refusal = denial.clone();
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.accepted().next().is_some()
    }

    fn accepted(&self) -> impl Iterator<Item = (UseIndex, &Identity)> {
        self.verdicts
            .iter()
            .filter_map(|(index, verdict)| Some((*index, &**verdict.as_ref().ok()?)))
    }
}

/// What the tokens of a request give it.
#[derive(Debug, Default)]
pub(super) struct Granted {
    pub(super) identity: Identity,
    /// The places, as indices, whose tokens the service does not get.
    pub(super) consumed: Vec<usize>,
}

/// How a part of a requirement stands.
enum Standing {
    Fulfilled,
    /// No token of any of its providers.
    Missing,
    Failed(Denial),
}

impl Plan {
    /// The plan for a rule, given the handling and audiences of each provider.
    pub(super) fn new(
        auth: JwtAuth,
        providers: &[(Handling, Vec<String>)],
    ) -> Result<Self, PlanError> {
        let mut builder = Builder {
            rule: auth.handling,
            has_one_provider: matches!(auth.requirement, Requirement::Provider { .. }),
            providers,
            uses: Vec::new(),
            is_exhaustive: false,
        };
        let root = builder.node(auth.requirement, false, 0)?;
        let Builder {
            uses,
            is_exhaustive,
            ..
        } = builder;
        let places = places(&uses);
        Ok(Self {
            enforcement: auth.enforcement,
            places,
            is_exhaustive,
            traits: Traits::default(),
            uses,
            root,
        })
    }

    /// The same with what follows from the providers themselves, which the plan names by their indices.
    pub(super) fn with_providers(mut self, providers: &[Provider], sources: &[Source]) -> Self {
        let mut known: Vec<_> = self.uses.iter().map(|part| part.provider.0).collect();
        sort_and_dedup(&mut known);
        for provider in known.iter().filter_map(|index| providers.get(*index)) {
            self.traits.add(provider, sources);
        }
        for place in &mut self.places {
            if place.uses.len() > MAX_SCANNED_USES {
                let issuers = |index: &UseIndex| {
                    let part = self.uses.get(index.0)?;
                    Some((*index, &providers.get(part.provider.0)?.issuers))
                };
                place.by_issuer = Some(ByIssuer::new(place.uses.iter().filter_map(issuers)));
            }
        }
        self
    }

    /// The token sources of these places.
    pub(super) fn sources(&self, places: &[usize]) -> impl Iterator<Item = &TokenSource> + Clone {
        places
            .iter()
            .filter_map(|place| Some(&self.places.get(*place)?.source))
    }

    pub(super) fn get(&self, index: UseIndex) -> Option<&Use> {
        self.uses.get(index.0)
    }

    /// Whether the tokens of a request are enough, and what they give it.
    ///
    /// # Errors
    /// Why the request is denied: the refusal of a token that nobody accepts, or what is missing.
    pub(super) fn weigh(&self, examinations: &[Examination]) -> Result<Granted, Denial> {
        let intolerable = |examination: &&Examination| {
            !examination.is_accepted()
                && (examination.refusal.is_of_request()
                    || !self.tolerates_failure(examination.place))
        };
        if let Some(examination) = examinations.iter().find(intolerable) {
            return Err(examination.refusal.clone());
        }
        match self.standing(&self.root, examinations) {
            Standing::Fulfilled => self.grant(examinations),
            Standing::Missing | Standing::Failed(Denial::TokenMissing) => {
                // A token that counts as none tells more than that there is none.
                let refused = examinations
                    .iter()
                    .find(|examination| !examination.is_accepted());
                Err(refused.map_or(Denial::TokenMissing, |refused| refused.refusal.clone()))
            }
            Standing::Failed(denial) => Err(denial),
        }
    }

    fn tolerates_failure(&self, place: usize) -> bool {
        let place = self.places.get(place);
        place.is_some_and(|place| place.tolerates_failure)
    }

    /// Whether the service gets the tokens of every provider that has them in this place.
    fn forwards_all(&self, place: usize) -> bool {
        let place = self.places.get(place);
        place.is_some_and(|place| place.forwards_all)
    }

    // Recursion is bounded by `MAX_REQUIREMENT_DEPTH`.
    fn standing(&self, node: &Node, examinations: &[Examination]) -> Standing {
        match node {
            Node::Anything => Standing::Fulfilled,
            Node::Use(index) => standing_of(*index, *index, examinations),
            Node::AnyUse(first, last) => standing_of(*first, *last, examinations),
            Node::AllowMissing(inner) => match self.standing(inner, examinations) {
                Standing::Missing => Standing::Fulfilled,
                other => other,
            },
            Node::AnyOf(nodes) => {
                let mut worst = Standing::Missing;
                for node in nodes {
                    match (self.standing(node, examinations), &worst) {
                        (Standing::Fulfilled, _) => return Standing::Fulfilled,
                        (Standing::Failed(denial), Standing::Failed(known))
                            if denial.progress() <= known.progress() => {}
                        (Standing::Failed(denial), _) => worst = Standing::Failed(denial),
                        (Standing::Missing, _) => {}
                    }
                }
                worst
            }
            Node::AllOf(nodes) => {
                let mut all = nodes.iter().map(|node| self.standing(node, examinations));
                let mut first = None;
                let mut is_all_missing = true;
                for standing in &mut all {
                    match standing {
                        Standing::Failed(denial) => return Standing::Failed(denial),
                        Standing::Fulfilled => is_all_missing = false,
                        Standing::Missing => first = Some(Denial::TokenMissing),
                    }
                }
                match first {
                    None => Standing::Fulfilled,
                    Some(_) if is_all_missing => Standing::Missing,
                    Some(denial) => Standing::Failed(denial),
                }
            }
        }
    }

    /// What the accepted tokens give. Two that say different things about the same header are refused, and one
    /// that says nothing about it says something different: the service would see a mixture of two identities.
    fn grant(&self, examinations: &[Examination]) -> Result<Granted, Denial> {
        let mut granted = Granted::default();
        for examination in examinations {
            for (index, identity) in examination.accepted() {
                granted.identity.unite(identity)?;
                let forwards =
                    self.get(index).and_then(|use_| use_.handling.forward_token) == Some(true);
                if !forwards && !granted.consumed.contains(&examination.place) {
                    granted.consumed.push(examination.place);
                }
            }
            // One that fails and is tolerated counts as none: the service is not shown it as if it were good.
            if !examination.is_accepted() && !self.forwards_all(examination.place) {
                granted.consumed.push(examination.place);
            }
        }
        Ok(granted)
    }
}

/// Where tokens may be, each place once.
fn places(uses: &[Use]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut add = |source: &TokenSource, index, part: &Use| {
        let forwards = part.handling.forward_token == Some(true);
        let known = places
            .iter_mut()
            .find(|place| is_same_place(&place.source, source));
        match known {
            Some(place) => {
                place.uses.push(index);
                place.tolerates_failure |= part.tolerates_failure;
                place.forwards_all &= forwards;
            }
            None => places.push(Place {
                source: source.clone(),
                uses: Vec::from([index]),
                by_issuer: None,
                tolerates_failure: part.tolerates_failure,
                forwards_all: forwards,
            }),
        }
    };
    for (index, part) in uses.iter().enumerate() {
        match part.handling.token_sources.as_slice() {
            [] => add(&TokenSource::bearer(), UseIndex(index), part),
            sources => {
                for source in sources {
                    add(source, UseIndex(index), part);
                }
            }
        }
    }
    places
}

/// How it stands with any of the uses from `first` to `last`. Of several that failed the same far, the first one
/// tells.
fn standing_of(first: UseIndex, last: UseIndex, examinations: &[Examination]) -> Standing {
    let mut worst: Option<(UseIndex, &Denial)> = None;
    for (judge, verdict) in examinations
        .iter()
        .flat_map(|examination| &examination.verdicts)
        .filter(|(judge, _)| (first..=last).contains(judge))
    {
        match (verdict, worst) {
            (Ok(_), _) => return Standing::Fulfilled,
            (Err(denial), Some((known_judge, known)))
                if (denial.progress(), known_judge) <= (known.progress(), *judge) => {}
            (Err(denial), _) => worst = Some((*judge, denial)),
        }
    }
    worst.map_or(Standing::Missing, |(_, denial)| {
        Standing::Failed(denial.clone())
    })
}

/// The alternatives, each run of uses in one: of a thousand providers only those are looked at that have said
/// something.
fn any_of(nodes: Vec<Node>) -> Node {
    let mut parts: Vec<Node> = Vec::with_capacity(nodes.len().min(MAX_SCANNED_USES));
    for node in nodes {
        match (parts.last_mut(), node) {
            // INVARIANT: uses are numbered in the order of the requirement, so that a run has no gap.
            (Some(Node::AnyUse(_, last)), Node::Use(index)) => *last = index,
            (_, Node::Use(index)) => parts.push(Node::AnyUse(index, index)),
            (_, other) => parts.push(other),
        }
    }
    Node::AnyOf(parts)
}

struct Builder<'b> {
    rule: Handling,
    /// Whether nobody else needs the handling of the rule.
    has_one_provider: bool,
    providers: &'b [(Handling, Vec<String>)],
    uses: Vec<Use>,
    is_exhaustive: bool,
}

impl Builder<'_> {
    fn node(
        &mut self,
        requirement: Requirement,
        tolerates_failure: bool,
        depth: usize,
    ) -> Result<Node, PlanError> {
        if depth >= MAX_REQUIREMENT_DEPTH {
            return Err(PlanError::TooDeep);
        }
        let depth = depth.saturating_add(1);
        Ok(match requirement {
            Requirement::Provider { index, audiences } => {
                self.provider(index, audiences, tolerates_failure)?
            }
            Requirement::AnyOf(parts) => any_of(self.nodes(parts, tolerates_failure, depth)?),
            Requirement::AllOf(parts) => {
                self.is_exhaustive = true;
                Node::AllOf(self.nodes(parts, tolerates_failure, depth)?)
            }
            Requirement::AllowMissing(inner) => {
                Node::AllowMissing(Box::new(self.node(*inner, tolerates_failure, depth)?))
            }
            Requirement::AllowMissingOrFailed(inner) => {
                // Its providers are asked, so that the service gets what they say.
                self.node(*inner, true, depth)?;
                Node::Anything
            }
        })
    }

    fn nodes(
        &mut self,
        parts: Vec<Requirement>,
        tolerates_failure: bool,
        depth: usize,
    ) -> Result<Vec<Node>, PlanError> {
        if parts.is_empty() {
            return Err(PlanError::Empty);
        }
        parts
            .into_iter()
            .map(|part| self.node(part, tolerates_failure, depth))
            .collect()
    }

    fn provider(
        &mut self,
        index: u32,
        audiences: Vec<String>,
        tolerates_failure: bool,
    ) -> Result<Node, PlanError> {
        let provider = usize::try_from(index).map_err(|_| PlanError::UnknownProvider)?;
        let (handling, own_audiences) = self
            .providers
            .get(provider)
            .ok_or(PlanError::UnknownProvider)?;
        let audiences = match audiences.is_empty() {
            true => own_audiences.clone(),
            false => audiences,
        };
        let mut handling = match self.has_one_provider && handling.is_default() {
            // A large configuration is made of such rules.
            true => core::mem::take(&mut self.rule),
            false => handling.merged(&self.rule),
        };
        if !has_one_value_for_each_target(&handling) {
            return Err(PlanError::TwoValues);
        }
        let node = Node::Use(UseIndex(self.uses.len()));
        self.uses.push(Use {
            provider: ProviderIndex(provider),
            audiences,
            demands: Demands::take(&mut handling).map_err(PlanError::Demand)?,
            handling,
            tolerates_failure,
        });
        Ok(node)
    }
}
