//! Whether whoever sends a token is the one that it was issued to (RFC 8705 §3, RFC 9449 §7).
//!
//! A token may be bound to a client certificate (`cnf.x5t#S256`) or to a key (`cnf.jkt`). It is then worth nothing
//! to somebody who has stolen it alone. What is looked at here is a genuine token: the signature that makes `cnf`
//! worth reading was checked before. Whether a proof was used before is not asked here, since asking is using it.

use alloc::vec::Vec;

use super::decision::Denial;
use crate::config::{self, Binding};
use crate::jose::dpop::{ProofContext, VerifiedProof, verify_proof};
use crate::jose::{Claims, Sha256Digest};
use crate::json::{Kind, Value};
use crate::request::Request;
use crate::target_uri::TargetUri;
use crate::time::{Millis, Timestamp};

/// The header with the proof, lower case.
pub(super) const PROOF_HEADER: &str = "dpop";

/// What a provider asks of the sender of its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Possession {
    /// Binding to a client certificate.
    pub(super) mtls: Binding,
    /// Binding to a key.
    pub(super) dpop: Binding,
    /// How old a proof may be, in seconds.
    pub(super) max_age: i64,
    /// How far clocks may be apart, in seconds.
    pub(super) leeway: i64,
    /// How long behind that a proof is remembered: another provider may still take it.
    remembered_longer: Millis,
}

/// A genuine token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presented<'t> {
    /// As it was sent.
    pub(super) compact: &'t [u8],
    pub(super) claims: &'t Claims<'t>,
    /// Whether it stood behind the scheme `DPoP`.
    pub(super) under_dpop: bool,
}

impl Possession {
    /// What the configuration says; `leeway` is the provider's, in seconds. `None` when a proof may be older than
    /// any number says.
    pub(super) fn new(config: &config::Possession, leeway: i64) -> Option<Self> {
        Some(Self {
            mtls: config.mtls_bound,
            dpop: config.dpop,
            max_age: i64::try_from(config.dpop_max_age_secs).ok()?,
            leeway,
            remembered_longer: Millis(0),
        })
    }

    /// Until how long behind its `iat` a proof is accepted, in seconds.
    const fn proof_lifetime(&self) -> i64 {
        self.max_age.saturating_add(self.leeway)
    }

    /// Has every proof remembered for as long as any of these would accept it. A proof that one of them took could
    /// otherwise be used again with the next, which takes older ones.
    pub(super) fn remember_for_all<'p>(all: impl Iterator<Item = &'p mut Self>) {
        let mut all: Vec<&mut Self> = all.filter(|it| it.dpop != Binding::Off).collect();
        let longest = all.iter().map(|it| it.proof_lifetime()).max().unwrap_or(0);
        for possession in &mut all {
            let longer = longest.saturating_sub(possession.proof_lifetime());
            possession.remembered_longer = Millis::from_seconds(u64::try_from(longer).unwrap_or(0));
        }
    }

    /// Checks that the sender of a token is the one that it is bound to. Gives the proof that has to be
    /// remembered, where one was needed.
    ///
    /// # Errors
    /// What the token or its sender lacks.
    pub(super) fn check(
        &self,
        token: &Presented<'_>,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Result<Option<VerifiedProof>, Denial> {
        self.check_certificate(token, request)?;
        self.check_proof(token, request, now)
    }

    /// RFC 8705 §3.
    fn check_certificate(
        &self,
        token: &Presented<'_>,
        request: &Request<'_>,
    ) -> Result<(), Denial> {
        if self.mtls == Binding::Off {
            return Ok(());
        }
        match (
            confirmation(token.claims, "x5t#S256")?,
            request.certificate(),
        ) {
            (None, _) if self.mtls == Binding::Required => Err(Denial::CertificateBindingMissing),
            (None, _) => Ok(()),
            (Some(_), None) => Err(Denial::CertificateMissing),
            (Some(bound), Some(shown)) if bound == shown => Ok(()),
            (Some(_), Some(_)) => Err(Denial::CertificateMismatch),
        }
    }

    /// RFC 9449 §7.1 and §7.2: a bound token comes under the scheme `DPoP` and with a proof, and a token under
    /// that scheme is a bound one.
    #[inline(never)]
    fn check_proof(
        &self,
        token: &Presented<'_>,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Result<Option<VerifiedProof>, Denial> {
        if self.dpop == Binding::Off {
            return Ok(None);
        }
        let key = match (confirmation(token.claims, "jkt")?, token.under_dpop) {
            (None, false) if self.dpop == Binding::Allowed => return Ok(None),
            (None, _) => return Err(Denial::KeyBindingMissing),
            (Some(_), false) => return Err(Denial::DpopSchemeMissing),
            (Some(key), true) => key,
        };
        let uri = TargetUri::of(request);
        let context = ProofContext {
            method: request.single(":method").unwrap_or_default(),
            uri: uri.as_ref(),
            access_token: token.compact,
            key,
            now,
            max_age: self.max_age,
            leeway: self.leeway,
        };
        verify_proof(only_proof(request)?, &context)
            .map(|proof| {
                Some(VerifiedProof {
                    until: proof.until.after(self.remembered_longer),
                    ..proof
                })
            })
            .map_err(Denial::Proof)
    }
}

/// The one proof of a request (RFC 9449 §4.3 check 1).
fn only_proof<'r>(request: &Request<'r>) -> Result<&'r [u8], Denial> {
    let mut proofs = request.values(PROOF_HEADER);
    match (proofs.next(), proofs.next()) {
        (None, _) => Err(Denial::ProofMissing),
        (Some(proof), None) => Ok(proof),
        (Some(_), Some(_)) => Err(Denial::ProofRepeated),
    }
}

/// What a token is bound to by `member` of its `cnf` (RFC 7800 §3.1); `None` when it is not.
fn confirmation(claims: &Claims<'_>, member: &'static str) -> Result<Option<Sha256Digest>, Denial> {
    let Some(cnf) = claims.value("cnf").filter(|cnf| cnf.kind != Kind::Null) else {
        return Ok(None);
    };
    if cnf.as_object().is_none() {
        return Err(Denial::ConfirmationInvalid { member: "cnf" });
    }
    let Some(value) = cnf.member(member) else {
        return Ok(None);
    };
    let digest = Value::as_str(value).and_then(Sha256Digest::from_base64url);
    match digest {
        Some(digest) => Ok(Some(digest)),
        None => Err(Denial::ConfirmationInvalid { member }),
    }
}
