//! What a rule asks of a request, and whether the tokens that were found fulfil it.
//!
//! Every token in a place where one of the rule's providers has its tokens has to be accepted by such a provider:
//! one that nobody accepts is never overlooked because another one was good. Whether the accepted
//! ones are enough is then a question of the requirement alone. Nothing here looks into a token.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::authorize::Demands;
use super::decision::{Denial, ProviderIndex};
use super::extract::is_same_place;
use super::mutate::Identity;
use super::setup::has_one_value_for_each_target;
use crate::config::{
    Enforcement, Handling, JwtAuth, MAX_REQUIREMENT_DEPTH, Requirement, TokenSource,
};
use crate::jose::dpop::VerifiedProof;

/// An index into [`Plan::uses`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UseIndex(usize);

/// A provider as one part of a requirement uses it.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) provider: ProviderIndex,
    /// One of these has to be in `aud`. Empty: `aud` is not checked.
    pub(super) audiences: Vec<String>,
    /// The provider's and the rule's in one.
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
    uses: Vec<Use>,
    root: Node,
}

#[derive(Debug)]
enum Node {
    Use(UseIndex),
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
        auth: &JwtAuth,
        providers: &[(Handling, Vec<String>)],
    ) -> Result<Self, PlanError> {
        let mut builder = Builder {
            rule: &auth.handling,
            providers,
            uses: Vec::new(),
            is_exhaustive: false,
        };
        let root = builder.node(&auth.requirement, false, 0)?;
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
            uses,
            root,
        })
    }

    /// The token sources of these places.
    pub(super) fn sources(&self, places: &[usize]) -> impl Iterator<Item = &TokenSource> {
        places
            .iter()
            .filter_map(|place| Some(&self.places.get(*place)?.source))
    }

    pub(super) fn get(&self, index: UseIndex) -> Option<&Use> {
        self.uses.get(index.0)
    }

    /// The providers that the rule refers to.
    pub(super) fn providers(&self) -> impl Iterator<Item = ProviderIndex> {
        self.uses.iter().map(|use_| use_.provider)
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
        self.places.get(place).is_some_and(|place| {
            place
                .uses
                .iter()
                .filter_map(|index| self.get(*index))
                .any(|use_| use_.tolerates_failure)
        })
    }

    /// Whether the service gets the tokens of every provider that has them in this place.
    fn forwards_all(&self, place: usize) -> bool {
        self.places.get(place).is_some_and(|place| {
            let mut uses = place.uses.iter().filter_map(|index| self.get(*index));
            uses.all(|part| part.handling.forward_token == Some(true))
        })
    }

    // Recursion is bounded by `MAX_REQUIREMENT_DEPTH`.
    fn standing(&self, node: &Node, examinations: &[Examination]) -> Standing {
        match node {
            Node::Anything => Standing::Fulfilled,
            Node::Use(index) => standing_of(*index, examinations),
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
    let mut add = |source: &TokenSource, index| match places
        .iter_mut()
        .find(|place| is_same_place(&place.source, source))
    {
        Some(place) => place.uses.push(index),
        None => places.push(Place {
            source: source.clone(),
            uses: Vec::from([index]),
        }),
    };
    for (index, part) in uses.iter().enumerate() {
        match part.handling.token_sources.as_slice() {
            [] => add(&TokenSource::bearer(), UseIndex(index)),
            sources => {
                for source in sources {
                    add(source, UseIndex(index));
                }
            }
        }
    }
    places
}

fn standing_of(index: UseIndex, examinations: &[Examination]) -> Standing {
    let mut worst = Standing::Missing;
    for (_, verdict) in examinations
        .iter()
        .flat_map(|examination| &examination.verdicts)
        .filter(|(judge, _)| *judge == index)
    {
        match (verdict, &worst) {
            (Ok(_), _) => return Standing::Fulfilled,
            (Err(denial), Standing::Failed(known)) if denial.progress() <= known.progress() => {}
            (Err(denial), _) => worst = Standing::Failed(denial.clone()),
        }
    }
    worst
}

struct Builder<'b> {
    rule: &'b Handling,
    providers: &'b [(Handling, Vec<String>)],
    uses: Vec<Use>,
    is_exhaustive: bool,
}

impl Builder<'_> {
    fn node(
        &mut self,
        requirement: &Requirement,
        tolerates_failure: bool,
        depth: usize,
    ) -> Result<Node, PlanError> {
        if depth >= MAX_REQUIREMENT_DEPTH {
            return Err(PlanError::TooDeep);
        }
        let depth = depth.saturating_add(1);
        Ok(match requirement {
            Requirement::Provider { index, audiences } => {
                self.provider(*index, audiences, tolerates_failure)?
            }
            Requirement::AnyOf(parts) => {
                Node::AnyOf(self.nodes(parts, tolerates_failure, depth)?)
            }
            Requirement::AllOf(parts) => {
                self.is_exhaustive = true;
                Node::AllOf(self.nodes(parts, tolerates_failure, depth)?)
            }
            Requirement::AllowMissing(inner) => {
                Node::AllowMissing(Box::new(self.node(inner, tolerates_failure, depth)?))
            }
            Requirement::AllowMissingOrFailed(inner) => {
                // Its providers are asked, so that the service gets what they say.
                self.node(inner, true, depth)?;
                Node::Anything
            }
        })
    }

    fn nodes(
        &mut self,
        parts: &[Requirement],
        tolerates_failure: bool,
        depth: usize,
    ) -> Result<Vec<Node>, PlanError> {
        if parts.is_empty() {
            return Err(PlanError::Empty);
        }
        parts
            .iter()
            .map(|part| self.node(part, tolerates_failure, depth))
            .collect()
    }

    fn provider(
        &mut self,
        index: u32,
        audiences: &[String],
        tolerates_failure: bool,
    ) -> Result<Node, PlanError> {
        let provider = usize::try_from(index).map_err(|_| PlanError::UnknownProvider)?;
        let (handling, own_audiences) = self
            .providers
            .get(provider)
            .ok_or(PlanError::UnknownProvider)?;
        let audiences = match audiences {
            [] => own_audiences.clone(),
            others => others.to_vec(),
        };
        let handling = handling.merged(self.rule);
        if !has_one_value_for_each_target(&handling) {
            return Err(PlanError::TwoValues);
        }
        let node = Node::Use(UseIndex(self.uses.len()));
        self.uses.push(Use {
            provider: ProviderIndex(provider),
            audiences,
            demands: Demands::new(&handling).map_err(PlanError::Demand)?,
            handling,
            tolerates_failure,
        });
        Ok(node)
    }
}
