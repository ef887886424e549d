//! Whether a token proves who sent it, and whether that is enough.
//!
//! Cheap checks that need no key come first: form, algorithm, issuer, time. Then the signature. What
//! the claims have to be is looked at last, so that a 403 is only ever told to somebody who holds a
//! genuine token.

use alloc::borrow::Cow;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::authorize::check_audience;
use super::decision::{Denial, evidence};
use super::fetch::Content;
use super::issuer::in_order;
use super::mutate::{Identity, identity};
use super::possession::Presented;
use super::requirement::{Examination, Place, Plan, Use, UseIndex};
use super::schedule::Sources;
use super::source::{Availability, Source};
use super::token_cache::{Fingerprint, Remembered, TokenCache};
use super::{Provider, SourceIndex};
use crate::config::Binding;
use crate::jose::dpop::VerifiedProof;
use crate::jose::{
    Claims, Jwk, JwkSet, TriedVerifier, UntrustedToken, VerifyError, verify_offloading,
};
use crate::matching::Rule;
use crate::request::Request;
use crate::revocation::Subject;
use crate::time::Timestamp;

/// The longest token that is remembered, in bytes.
const MAX_REMEMBERED_BYTES: usize = 8_192;

/// What a provider says about a token.
enum Verdict {
    /// It is genuine and sufficient; this is what it says, and this is how its sender proved to be the one that
    /// it is bound to.
    Accepted(Identity, Option<VerifiedProof>),
    Refused(Denial),
    /// It cannot be judged before a source has answered.
    Needs,
}

/// What comes of asking a source for a key that nobody knows.
enum Asked {
    /// It will answer.
    Awaited,
    /// It does not have the key.
    Answered,
    /// It has nothing, and will not answer in time.
    Missing(Denial),
}

/// Everything that tokens are judged by.
pub(super) struct Bench<'e> {
    pub(super) providers: &'e [Provider],
    pub(super) sources: &'e mut Sources,
    /// The tokens that were verified before.
    pub(super) cache: Option<&'e mut TokenCache>,
    /// Who checks signatures instead of the module.
    pub(super) verifier: Option<&'e mut TriedVerifier>,
    pub(super) rule: Rule,
    pub(super) plan: &'e Plan,
    pub(super) request: &'e Request<'e>,
    pub(super) now: Timestamp,
    /// When the request came.
    pub(super) arrived: Timestamp,
    /// When the request has to be decided.
    pub(super) deadline: Timestamp,
    /// The sources whose answers were awaited before and have not come.
    pub(super) outstanding: &'e [SourceIndex],
    /// The sources whose answers are needed now.
    pub(super) awaited: &'e mut Vec<SourceIndex>,
    /// The sources that had nothing when the request came: what they bring first decides.
    pub(super) without: &'e mut Vec<SourceIndex>,
    /// Whether keys of a remote set were there and tried.
    pub(super) used_remote_keys: bool,
    /// How many tokens were looked into, and how many of them were remembered.
    pub(super) looked_into: usize,
    pub(super) recalled: usize,
}

impl Bench<'_> {
    /// What comes of a token. `None` when it cannot be judged before a source has answered.
    pub(super) fn examine(&mut self, at: usize, compact: &[u8]) -> Option<Examination> {
        self.looked_into = self.looked_into.saturating_add(1);
        let cache = self.cache.as_ref();
        let fingerprint = cache
            .filter(|_| compact.len() <= MAX_REMEMBERED_BYTES)
            .map(|cache| cache.fingerprint(self.rule, at, compact));
        if let Some(examination) = fingerprint.and_then(|it| self.recall(it, at)) {
            self.recalled = self.recalled.saturating_add(1);
            return Some(examination);
        }
        self.examine_anew(at, compact, fingerprint)
    }

    /// What came of a token before, if it would come of it now.
    fn recall(&mut self, fingerprint: Fingerprint, at: usize) -> Option<Examination> {
        let remembered = self.cache.as_mut()?.get(fingerprint)?;
        if self.now < remembered.since || self.now.as_seconds() >= remembered.expires {
            return None;
        }
        let mut known = remembered.generations.iter();
        for (index, _) in &*remembered.verdicts {
            let provider = self.plan.get(*index)?.provider;
            for source in self.providers.get(provider.0)?.sources() {
                let generation = self.sources.get(source.0)?.generation(self.now);
                if known.next() != Some(&generation) {
                    return None;
                }
            }
        }
        self.used_remote_keys |= remembered.used_remote_keys;
        Some(Examination {
            verdicts: remembered
                .verdicts
                .iter()
                .map(|(index, identity)| (*index, Ok(Rc::clone(identity))))
                .collect(),
            provider: remembered.provider,
            kid: remembered.kid.clone(),
            ..Examination::unread(at, Denial::Internal)
        })
    }

    /// Remembers what came of a token, where the same would come of it whoever sent it: everybody who was asked accepted
    /// it, and nobody asks how it is bound to its sender.
    #[inline(never)]
    fn remember(
        &mut self,
        fingerprint: Fingerprint,
        examination: &Examination,
        claims: &Claims<'_>,
        used_remote_keys: bool,
    ) {
        let mut verdicts = Vec::with_capacity(examination.verdicts.len());
        let mut generations = Vec::new();
        let mut expires = i64::MAX;
        for (index, verdict) in &examination.verdicts {
            let part = self.plan.get(*index);
            let provider = part.and_then(|part| self.providers.get(part.provider.0));
            let (Some(provider), Ok(identity)) = (provider, verdict) else {
                return;
            };
            if provider.possession.mtls != Binding::Off || provider.possession.dpop != Binding::Off
            {
                return;
            }
            verdicts.push((*index, Rc::clone(identity)));
            generations.extend(provider.sources().map(|source| {
                self.sources
                    .get(source.0)
                    .and_then(|source| source.generation(self.now))
            }));
            if let Some(exp) = claims.exp() {
                expires = expires.min(exp.as_seconds().saturating_add(provider.leeway));
            }
        }
        if verdicts.is_empty() || examination.proof.is_some() {
            return;
        }
        let remembered = Remembered {
            verdicts: verdicts.into(),
            provider: examination.provider,
            kid: examination.kid.clone(),
            used_remote_keys,
            since: self.now,
            expires,
            generations: generations.into(),
        };
        if let Some(cache) = &mut self.cache {
            cache.put(fingerprint, remembered);
        }
    }

    /// Shows a token to the providers whose it may be: those with its issuer first, then those of any issuer.
    #[inline(never)]
    fn examine_anew(
        &mut self,
        at: usize,
        compact: &[u8],
        fingerprint: Option<Fingerprint>,
    ) -> Option<Examination> {
        let mut examination = Examination::unread(at, Denial::Internal);
        let Some(place) = self.plan.places.get(at) else {
            return Some(examination);
        };
        let token = match UntrustedToken::parse(compact) {
            Ok(token) => token,
            Err(error) => return Some(Examination::unread(at, Denial::Token(error))),
        };
        examination.kid = token.header().kid().map(|kid| evidence(kid).into());
        let claims = match token.claims() {
            Ok(claims) => claims,
            Err(error) => {
                examination.refusal = Denial::Token(error);
                return Some(examination);
            }
        };
        let issuer = claims.iss();
        let mut refusal: Option<Denial> = None;
        let mut needs_answer = false;
        let used_before = core::mem::take(&mut self.used_remote_keys);
        for index in self.candidates(place, issuer) {
            let Some(part) = self.plan.get(index) else {
                continue;
            };
            let presented = Presented {
                compact,
                claims: &claims,
                under_dpop: place.source.is_dpop(),
            };
            match self.judge(part, &token, &presented) {
                Verdict::Accepted(identity, proof) => {
                    examination.take_proof(proof);
                    if !examination.is_accepted() {
                        examination.provider = Some(part.provider);
                    }
                    examination.verdicts.push((index, Ok(Rc::new(identity))));
                    if !self.plan.is_exhaustive {
                        break;
                    }
                }
                Verdict::Needs => needs_answer = true,
                Verdict::Refused(denial) => {
                    let known = refusal.as_ref();
                    let is_telling = known.is_none_or(|it| denial.progress() > it.progress());
                    if is_telling && !examination.is_accepted() {
                        refusal = Some(denial.clone());
                        examination.provider = Some(part.provider);
                    }
                    examination.verdicts.push((index, Err(denial)));
                }
            }
        }
        if !examination.is_accepted() {
            examination.refusal = refusal.unwrap_or_else(|| Denial::IssuerUnknown {
                iss: issuer.map(evidence),
            });
        }
        let used_remote_keys = core::mem::replace(&mut self.used_remote_keys, used_before);
        self.used_remote_keys |= used_remote_keys;
        // One who accepts is enough, unless all are to be asked.
        if needs_answer && (self.plan.is_exhaustive || !examination.is_accepted()) {
            return None;
        }
        if let Some(fingerprint) = fingerprint.filter(|_| !needs_answer) {
            self.remember(fingerprint, &examination, &claims, used_remote_keys);
        }
        Some(examination)
    }

    /// The providers whose token it may be, as far as its issuer tells.
    fn candidates(&self, place: &Place, issuer: Option<&str>) -> Vec<UseIndex> {
        let issuers = |index: UseIndex| {
            let part = self.plan.get(index)?;
            let provider = self.providers.get(part.provider.0)?;
            Some(&provider.issuers)
        };
        if let Some(by_issuer) = &place.by_issuer {
            return by_issuer.in_order(issuer, issuers);
        }
        let candidates = place.uses.iter();
        in_order(
            candidates.filter_map(|index| Some((*index, issuers(*index)?))),
            issuer,
        )
    }

    #[inline(never)]
    fn judge(
        &mut self,
        part: &Use,
        token: &UntrustedToken<'_>,
        presented: &Presented<'_>,
    ) -> Verdict {
        let claims = presented.claims;
        let Some(provider) = self.providers.get(part.provider.0) else {
            return Verdict::Refused(Denial::Internal);
        };
        let alg = token.header().alg();
        if !provider.algorithms.contains(&alg) {
            return Verdict::Refused(Denial::AlgorithmNotAllowed { alg });
        }
        if let Err(denial) = check_times(provider, claims, self.now) {
            return Verdict::Refused(denial);
        }
        if let Err(denial) = provider.terms.check(token.header(), claims, self.now) {
            return Verdict::Refused(denial);
        }
        let kid = match self.verify(provider, token) {
            Ok(kid) => kid,
            Err(verdict) => return verdict,
        };
        if let Err(verdict) = self.check_revocation(provider, kid.as_deref(), claims) {
            return verdict;
        }
        let possession = provider.possession;
        let proof = match possession.check(presented, self.request, self.now) {
            Ok(proof) => proof,
            Err(denial) => return Verdict::Refused(denial),
        };
        match check_audience(&part.audiences, claims)
            .and_then(|()| part.demands.check(claims))
            .and_then(|()| identity(token, claims, &part.handling))
        {
            Ok(identity) => Verdict::Accepted(identity, proof),
            Err(denial) => Verdict::Refused(denial),
        }
    }

    /// Checks the signature with the provider's keys, as far as they are known: those of a source that is there decide
    /// without the others. Gives the `kid` of the key that made it: that of the key where the token names none.
    #[inline(never)]
    fn verify<'t>(
        &mut self,
        provider: &Provider,
        token: &'t UntrustedToken<'t>,
    ) -> Result<Option<Cow<'t, str>>, Verdict> {
        let error = match self.verify_with_known(provider, token) {
            Ok(kid) => return Ok(kid),
            Err(error) => error,
        };
        if !may_be_rotated(error) {
            return Err(Verdict::Refused(denial(error)));
        }
        let mut needs_answer = false;
        let mut missing = None;
        for index in &provider.keys.remote {
            match self.ask(*index) {
                Asked::Awaited => needs_answer = true,
                Asked::Answered => {}
                Asked::Missing(denial) => missing = missing.or(Some(denial)),
            }
        }
        if needs_answer {
            return Err(Verdict::Needs);
        }
        // The key may be one of those that nobody could tell about.
        Err(Verdict::Refused(missing.unwrap_or_else(|| denial(error))))
    }

    /// Checks the signature with the keys that are there.
    fn verify_with_known<'t>(
        &mut self,
        provider: &Provider,
        token: &'t UntrustedToken<'t>,
    ) -> Result<Option<Cow<'t, str>>, VerifyError> {
        let mut sets: Vec<&JwkSet> = provider.keys.fixed.iter().collect();
        for index in &provider.keys.remote {
            let source = self.sources.get(index.0);
            if let Some(Availability::Ready(keys)) =
                source.map(|source| source.keys(self.now, self.deadline))
            {
                self.used_remote_keys = true;
                sets.push(keys);
            }
        }
        let verifier = self.verifier.as_deref_mut();
        verify_offloading(token, &sets, &provider.algorithms, verifier)
            .map(|verified| kid_of(token, verified.key()))
    }

    /// Asks a source for a key that nobody knows, which a request does once for each.
    fn ask(&mut self, index: SourceIndex) -> Asked {
        let Some(source) = self.sources.get(index.0) else {
            return Asked::Missing(Denial::Internal);
        };
        match source.keys(self.now, self.deadline) {
            Availability::Pending => {
                if !self.without.contains(&index) {
                    self.without.push(index);
                }
            }
            Availability::Missing => return Asked::Missing(unavailable(source)),
            Availability::Ready(_) if self.outstanding.contains(&index) => {}
            Availability::Ready(_) => {
                // What was asked for before the request came may lack a key that was published meanwhile.
                let is_new =
                    source.is_newer_than(self.arrived, self.now) || self.without.contains(&index);
                let may_refetch = self.deadline > self.now && !is_new;
                let mut refetch = || self.sources.change(index, |it| it.refetch(self.now));
                if !may_refetch || refetch() != Some(true) {
                    return Asked::Answered;
                }
            }
        }
        self.awaited.push(index);
        Asked::Awaited
    }
}

impl Bench<'_> {
    /// Whether a token that is genuine is revoked. Where a list cannot be had nobody passes.
    #[inline(never)]
    fn check_revocation(
        &mut self,
        provider: &Provider,
        kid: Option<&str>,
        claims: &Claims<'_>,
    ) -> Result<(), Verdict> {
        let subject = Subject {
            jti: claims.jti(),
            sub: claims.sub(),
            kid,
            iat: claims.iat().map(|iat| iat.as_seconds()),
        };
        let refuse = |by| Err(Verdict::Refused(Denial::TokenRevoked { by }));
        if let Some(by) = provider.revoked.revokes(&subject) {
            return refuse(by);
        }
        let Some(index) = provider.revocations else {
            return Ok(());
        };
        let Some(source) = self.sources.get(index.0) else {
            return Err(Verdict::Refused(Denial::Internal));
        };
        match source.revocations(self.now, self.deadline) {
            Availability::Ready(list) => list.revokes(&subject).map_or(Ok(()), refuse),
            Availability::Pending => {
                self.awaited.push(index);
                Err(Verdict::Needs)
            }
            Availability::Missing => Err(Verdict::Refused(unavailable(source))),
        }
    }
}

/// The `kid` of the key that signed a token, which the token need not name (RFC 7515 §4.1.4). A key that has none is
/// called what the token calls it.
fn kid_of<'t>(token: &'t UntrustedToken<'t>, key: &Jwk) -> Option<Cow<'t, str>> {
    let named = token.header().kid().map(Cow::Borrowed);
    named.or_else(|| key.kid().map(|kid| Cow::Owned(kid.into())))
}

/// What is told about a source that has nothing to judge by.
pub(super) fn unavailable(source: &Source) -> Denial {
    let url = source.label.clone();
    match (source.content(), source.unusable) {
        (Content::Revocations, _) => Denial::RevocationsUnavailable { url },
        (_, true) => Denial::JwksUnusable { url },
        _ => Denial::JwksUnavailable { url },
    }
}

fn denial(error: VerifyError) -> Denial {
    match error {
        VerifyError::AlgorithmNotAllowed { alg } => Denial::AlgorithmNotAllowed { alg },
        VerifyError::NoKeyMatches { alg, .. } => Denial::KeyNotFound { alg },
        VerifyError::SignatureInvalid { tried, .. } => Denial::SignatureInvalid { tried },
    }
}

/// Whether the issuer may have signed with a key that it published since the last fetch: no key of the
/// set has the token's `kid`, or the token has none to tell.
const fn may_be_rotated(error: VerifyError) -> bool {
    match error {
        VerifyError::AlgorithmNotAllowed { .. } => false,
        VerifyError::NoKeyMatches { .. } => true,
        VerifyError::SignatureInvalid { keys_with_kid, .. } => keys_with_kid == 0,
    }
}

/// RFC 7519 §4.1.4 and §4.1.5, with the provider's leeway.
fn check_times(provider: &Provider, claims: &Claims<'_>, now: Timestamp) -> Result<(), Denial> {
    let now = now.as_seconds();
    let leeway = provider.leeway;
    match claims.exp().map(|exp| exp.as_seconds()) {
        None if provider.require_expiration => return Err(Denial::ExpirationMissing),
        Some(exp) if now >= exp.saturating_add(leeway) => {
            return Err(Denial::Expired { exp, now, leeway });
        }
        _ => {}
    }
    match claims.nbf().map(|nbf| nbf.as_seconds()) {
        Some(nbf) if now.saturating_add(leeway) < nbf => {
            Err(Denial::NotYetValid { nbf, now, leeway })
        }
        _ => Ok(()),
    }
}
