//! What the engine decides, and why.

use alloc::borrow::ToOwned;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::claim_text::ClaimProblem;
use crate::claim_path::ClaimPath;
use crate::config::{ClaimCondition, ClaimTest, ForwardTarget, TokenSource};
use crate::jose::dpop::ProofError;
use crate::jose::{Algorithm, Segment, StringClaim, TimeClaim, TokenError};
use crate::matching::Rule;
use crate::path::PathError;
use crate::reason::Reason;
use crate::revocation::RevokedBy;

/// An index into the providers of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderIndex(pub usize);

/// A decision about one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Whether it may pass.
    pub outcome: Outcome,
    /// The rule that it was decided by; `None` when no app matched.
    pub rule: Option<Rule>,
    /// The provider that accepted the token, or whose refusal is the most telling.
    pub provider: Option<ProviderIndex>,
    /// The `kid` of the token, cut to [`MAX_EVIDENCE_CHARS`].
    pub kid: Option<Rc<str>>,
    /// Whether the keys of a remote set were needed and there already.
    pub cached_keys: bool,
    /// Whether its tokens were verified before and are remembered; `None` where it has none that was looked into, and
    /// where nothing is remembered.
    pub cached_token: Option<bool>,
    /// Why the request would have been denied, where the rule only reports.
    pub would_deny: Option<Denial>,
}

/// Whether a request may pass.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It goes on to the service, with these edits.
    Allow(HeaderEdits),
    /// It is answered.
    Deny(Denial),
}

/// What changes in the headers of a request that passes. Removals come first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    /// Names to remove with all their values, as the request spells them.
    pub remove: Vec<Vec<u8>>,
    /// Headers to set, each to this one value: names in lower case, values without control characters.
    pub set: Vec<(String, Vec<u8>)>,
    /// What to keep as the proxy's filter state: keys without Envoy's prefix `wasm.`, values without control
    /// characters.
    pub filter_state: Vec<(String, Vec<u8>)>,
    /// Whether the proxy has to find its route anew, after all else.
    pub clear_route_cache: bool,
}

/// The header by which a service learns what a rule that only reports would have done. It is removed from every
/// inbound request.
pub const REPORT_HEADER: &str = "x-nexus-report";

/// How much of a value that a client controls is kept as evidence, in characters.
pub const MAX_EVIDENCE_CHARS: usize = 128;

/// Why a request is refused, with the evidence.
///
/// Evidence is for the operator: it may name an issuer, a claim or a `kid`, never a token or a key.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Denial {
    /// A pseudo-header is missing or stands more than once.
    PseudoHeader(&'static str),
    /// The authority is no host with an optional port.
    Authority,
    /// The path has no normal form.
    Path(PathError),
    /// Two readings of the path lead to two rules.
    PathAmbiguous,
    /// Two readings of a header or query parameter that a route has a condition on lead to two rules.
    ConditionAmbiguous,
    /// No app matches.
    NoAppMatched,
    /// No token in any place where the rule looks for one, or not all that it asks for.
    TokenMissing,
    /// More than one token where there may be one.
    TokenRepeated,
    /// A token source holds more than one value, or one that only some services see.
    TokenSourceRepeated {
        /// Which, from the policy.
        source: TokenSource,
    },
    /// Two accepted tokens say different things about a header or a filter state.
    TokensDisagree {
        /// What it is about, from the policy.
        target: ForwardTarget,
    },
    /// The token cannot be read.
    Token(TokenError),
    /// No provider of the app has this issuer.
    IssuerUnknown {
        /// The token's `iss`, cut.
        iss: Option<String>,
    },
    /// The provider does not allow the algorithm.
    AlgorithmNotAllowed {
        /// The token's `alg`.
        alg: Algorithm,
    },
    /// `now >= exp + leeway`, all in seconds.
    Expired {
        /// `exp`, seconds since the epoch.
        exp: i64,
        /// When it was judged, seconds since the epoch.
        now: i64,
        /// The provider's clock skew in seconds.
        leeway: i64,
    },
    /// `now + leeway < nbf`, all in seconds.
    NotYetValid {
        /// `nbf`, seconds since the epoch.
        nbf: i64,
        /// When it was judged, seconds since the epoch.
        now: i64,
        /// The provider's clock skew in seconds.
        leeway: i64,
    },
    /// No `exp`, and the provider requires one.
    ExpirationMissing,
    /// The provider has no usable key for the token's `kid` and `alg`.
    KeyNotFound {
        /// The token's `alg`.
        alg: Algorithm,
    },
    /// None of the keys that fit verifies the signature.
    SignatureInvalid {
        /// How many were tried.
        tried: usize,
    },
    /// The JWK set has no key that can be used.
    JwksUnusable {
        /// Where it was fetched.
        url: String,
    },
    /// The JWK set could not be fetched in time.
    JwksUnavailable {
        /// Where it should have been fetched.
        url: String,
    },
    /// Too many requests wait already.
    WaitingLimit,
    /// The token is genuine, and revoked.
    TokenRevoked {
        /// By which of its names.
        by: RevokedBy,
    },
    /// The list of what is revoked could not be fetched in time.
    RevocationsUnavailable {
        /// Where it should have been fetched.
        url: String,
    },
    /// `cnf`, or what it says, is not of its form (RFC 7800 §3, RFC 8705 §3.1, RFC 9449 §6.1).
    ConfirmationInvalid {
        /// `cnf`, `x5t#S256` or `jkt`.
        member: &'static str,
    },
    /// The token is bound to no client certificate, and the provider requires it.
    CertificateBindingMissing,
    /// The token is bound to a client certificate, and the connection has none.
    CertificateMissing,
    /// The token is bound to another client certificate.
    CertificateMismatch,
    /// The token is bound to no key, and the provider or the scheme requires it.
    KeyBindingMissing,
    /// The token is bound to a key, and did not come under the scheme `DPoP`.
    DpopSchemeMissing,
    /// No `DPoP` header.
    ProofMissing,
    /// More than one `DPoP` header.
    ProofRepeated,
    /// The proof proves nothing.
    Proof(ProofError),
    /// The proof was used before.
    ProofReplayed,
    /// The proof cannot be remembered.
    ProofMemory,
    /// None of the accepted audiences is in `aud`.
    AudienceNotAllowed {
        /// The token's audiences, cut.
        aud: Vec<String>,
    },
    /// A required claim is absent or `null`.
    ClaimMissing {
        /// Which, from the policy.
        claim: ClaimPath,
    },
    /// A required claim is not what it has to be.
    ClaimNotAllowed {
        /// What it has to be, from the policy.
        condition: ClaimCondition,
    },
    /// A scope is missing.
    ScopeMissing {
        /// The scopes that a token needs, from the policy; where any of several will do and it has none, all of these.
        needed: Vec<String>,
    },
    /// The token's `typ` is none that the provider accepts.
    TypeNotAllowed {
        /// The token's `typ`, cut.
        typ: Option<String>,
    },
    /// A claim is missing that the provider's profile requires.
    ProfileClaimMissing {
        /// Which.
        claim: &'static str,
    },
    /// `exp - now >= max`, all in seconds; `now` was cut.
    LifetimeTooLong {
        /// `exp`, seconds since the epoch.
        exp: i64,
        /// When it was judged, seconds since the epoch.
        now: i64,
        /// The provider's longest lifetime in seconds.
        max: u64,
    },
    /// The token's `sub` is none that the provider accepts.
    SubjectNotAllowed {
        /// The token's `sub`, cut.
        sub: Option<String>,
    },
    /// A claim cannot stand in a header.
    ClaimNotForwardable {
        /// Its name, from the policy.
        claim: String,
        /// What is wrong with its value.
        problem: ClaimProblem,
    },
    /// The filter has no policy.
    NotConfigured,
    /// The proxy refused what was asked of it.
    Internal,
}

impl Denial {
    /// The row of the table of reasons.
    pub fn reason(&self) -> Reason {
        match self {
            Self::PseudoHeader(_) | Self::Authority | Self::Path(_) => Reason::RequestMalformed,
            Self::PathAmbiguous => Reason::PathAmbiguous,
            Self::ConditionAmbiguous => Reason::ConditionAmbiguous,
            Self::NoAppMatched => Reason::NoAppMatched,
            Self::TokenMissing => Reason::TokenMissing,
            Self::TokenRepeated
            | Self::TokenSourceRepeated { .. }
            | Self::TokensDisagree { .. } => Reason::TokenRepeated,
            Self::Token(error) => token_reason(error),
            Self::IssuerUnknown { .. } => Reason::TokenIssuerUnknown,
            Self::AlgorithmNotAllowed { .. } => Reason::TokenAlgNotAllowed,
            Self::Expired { .. } => Reason::TokenExpired,
            Self::NotYetValid { .. } => Reason::TokenNotYetValid,
            Self::ExpirationMissing => Reason::TokenExpMissing,
            Self::KeyNotFound { .. } => Reason::KeyNotFound,
            Self::SignatureInvalid { .. } => Reason::SignatureInvalid,
            Self::JwksUnusable { .. } => Reason::JwksUnusable,
            Self::JwksUnavailable { .. } => Reason::JwksUnavailable,
            Self::WaitingLimit => Reason::WaitingLimit,
            Self::TokenRevoked { .. } => Reason::TokenRevoked,
            Self::RevocationsUnavailable { .. } => Reason::RevocationsUnavailable,
            Self::ConfirmationInvalid { .. } => Reason::TokenCnfInvalid,
            Self::CertificateBindingMissing => Reason::CertificateBindingMissing,
            Self::CertificateMissing => Reason::CertificateMissing,
            Self::CertificateMismatch => Reason::CertificateMismatch,
            Self::KeyBindingMissing => Reason::DpopBindingMissing,
            Self::DpopSchemeMissing => Reason::DpopSchemeMissing,
            Self::ProofMissing => Reason::DpopProofMissing,
            Self::ProofRepeated => Reason::DpopProofRepeated,
            Self::Proof(error) => proof_reason(error),
            Self::ProofReplayed => Reason::DpopProofReplayed,
            Self::ProofMemory => Reason::DpopMemoryUnavailable,
            Self::AudienceNotAllowed { .. } => Reason::AudienceNotAllowed,
            Self::ClaimMissing { .. } => Reason::ClaimMissing,
            Self::ClaimNotAllowed { .. } => Reason::ClaimNotAllowed,
            Self::ScopeMissing { .. } => Reason::ScopeMissing,
            Self::TypeNotAllowed { .. } => Reason::TokenTypeNotAllowed,
            Self::ProfileClaimMissing { .. } => Reason::TokenProfileClaimMissing,
            Self::LifetimeTooLong { .. } => Reason::TokenLifetimeTooLong,
            Self::SubjectNotAllowed { .. } => Reason::SubjectNotAllowed,
            Self::ClaimNotForwardable { .. } => Reason::ClaimNotForwardable,
            Self::NotConfigured => Reason::NotConfigured,
            Self::Internal => Reason::Internal,
        }
    }

    /// The scopes that `WWW-Authenticate` names (RFC 6750 §3): those of the policy that a token needs, where it
    /// lacks one. Each is a scope of RFC 6749 §3.3.
    pub fn needed_scopes(&self) -> &[String] {
        match self {
            Self::ScopeMissing { needed } => needed,
            _ => &[],
        }
    }

    /// Whether it is about where a token stands, before any token was looked at. No requirement tolerates that:
    /// what cannot be told apart cannot be taken out of the request either.
    pub(super) fn is_of_request(&self) -> bool {
        matches!(
            self,
            Self::PseudoHeader(_) | Self::Path(_) | Self::TokenSourceRepeated { .. }
        )
    }

    /// How far the token came before it was refused. Of several providers' refusals the one that
    /// came furthest is told.
    pub(super) fn progress(&self) -> u8 {
        match self {
            Self::IssuerUnknown { .. } => 0,
            Self::AlgorithmNotAllowed { .. } => 1,
            Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::ExpirationMissing
            | Self::TypeNotAllowed { .. }
            | Self::ProfileClaimMissing { .. }
            | Self::LifetimeTooLong { .. }
            | Self::SubjectNotAllowed { .. } => 2,
            Self::JwksUnavailable { .. } | Self::JwksUnusable { .. } => 3,
            Self::KeyNotFound { .. } => 4,
            Self::SignatureInvalid { .. } => 5,
            _ => 6,
        }
    }
}

/// Where the token went wrong, as a row of the table.
fn token_reason(error: &TokenError) -> Reason {
    match error {
        TokenError::TooLarge { .. }
        | TokenError::NotThreeSegments { .. }
        | TokenError::EmptySegment { .. } => Reason::TokenMalformed,
        TokenError::SegmentNotBase64url { segment } => match segment {
            Segment::Header => Reason::TokenHeaderBase64,
            Segment::Payload => Reason::TokenPayloadBase64,
            Segment::Signature => Reason::TokenSignatureBase64,
        },
        TokenError::HeaderNotJson(_)
        | TokenError::HeaderNotObject { .. }
        | TokenError::HeaderMemberNotString { .. } => Reason::TokenHeaderJson,
        TokenError::AlgMissing | TokenError::AlgNotString { .. } => Reason::TokenAlgInvalid,
        TokenError::AlgNotSupported { .. } => Reason::TokenAlgUnsupported,
        TokenError::KidNotString { .. } => Reason::TokenKidInvalid,
        TokenError::CritNotSupported | TokenError::UnencodedPayload => Reason::TokenCritUnsupported,
        TokenError::PayloadNotJson(_) | TokenError::PayloadNotObject { .. } => {
            Reason::TokenPayloadJson
        }
        TokenError::ClaimNotString { claim, .. } => match claim {
            StringClaim::Iss => Reason::TokenIssInvalid,
            StringClaim::Sub => Reason::TokenSubInvalid,
            StringClaim::Jti => Reason::TokenJtiInvalid,
        },
        TokenError::TimeNotNumber { claim, .. } => match claim {
            TimeClaim::Exp => Reason::TokenExpNotNumber,
            TimeClaim::Nbf => Reason::TokenNbfNotNumber,
            TimeClaim::Iat => Reason::TokenIatNotNumber,
        },
        TokenError::TimeNegative { claim } => match claim {
            TimeClaim::Exp => Reason::TokenExpNegative,
            TimeClaim::Nbf => Reason::TokenNbfNegative,
            TimeClaim::Iat => Reason::TokenIatNegative,
        },
        TokenError::AudNotStrings { .. } => Reason::TokenAudInvalid,
        TokenError::Ed25519SignatureLength { .. } => Reason::TokenSignatureLength,
    }
}

/// Where the proof went wrong, as a row of the table.
const fn proof_reason(error: &ProofError) -> Reason {
    match error {
        ProofError::TooLarge { .. }
        | ProofError::Form(_)
        | ProofError::Type
        | ProofError::AlgorithmSymmetric { .. }
        | ProofError::ClaimMissing { .. }
        | ProofError::ClaimNotString { .. }
        | ProofError::JtiLength { .. } => Reason::DpopProofMalformed,
        ProofError::KeyMissing | ProofError::KeyUnusable(_) | ProofError::KeyPrivate => {
            Reason::DpopKeyUnusable
        }
        ProofError::MethodMismatch { .. } | ProofError::UriMismatch { .. } => {
            Reason::DpopRequestMismatch
        }
        ProofError::TooOld { .. }
        | ProofError::FromTheFuture { .. }
        | ProofError::OutsideItsTime => Reason::DpopProofExpired,
        ProofError::TokenMismatch => Reason::DpopTokenMismatch,
        ProofError::KeyMismatch => Reason::DpopKeyMismatch,
        ProofError::SignatureInvalid => Reason::DpopSignatureInvalid,
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PseudoHeader(name) => {
                write!(f, "the request does not have exactly one `{name}`")
            }
            Self::Authority => f.write_str("the authority is not a host with an optional port"),
            Self::Path(error) => error.fmt(f),
            Self::PathAmbiguous => f.write_str("two readings of the path lead to two rules"),
            Self::ConditionAmbiguous => {
                f.write_str("two readings of a header or query parameter lead to two rules")
            }
            Self::NoAppMatched => f.write_str("no app has this host and path"),
            Self::TokenMissing => f.write_str("no token where the rule looks for one"),
            Self::TokenRepeated => f.write_str("more than one token in the request"),
            Self::TokenSourceRepeated { source } => {
                write!(
                    f,
                    "{source} stands more than once, or where only some services see it"
                )
            }
            Self::TokensDisagree { target } => {
                write!(f, "two tokens say different things for {target}")
            }
            Self::Token(error) => error.fmt(f),
            Self::IssuerUnknown { iss: Some(iss) } => {
                write!(f, "no provider of the app has the issuer `{iss}`")
            }
            Self::IssuerUnknown { iss: None } => f.write_str("the token has no `iss`"),
            Self::AlgorithmNotAllowed { alg } => {
                write!(f, "the provider does not allow `alg` {alg}")
            }
            Self::Expired { exp, now, leeway } => write!(
                f,
                "token expired {} s ago: exp {exp}, now {now}, leeway {leeway} s",
                now.saturating_sub(*exp)
            ),
            Self::NotYetValid { nbf, now, leeway } => write!(
                f,
                "token is valid in {} s: nbf {nbf}, now {now}, leeway {leeway} s",
                nbf.saturating_sub(*now)
            ),
            Self::ExpirationMissing => f.write_str("the token has no `exp`"),
            Self::KeyNotFound { alg } => {
                write!(
                    f,
                    "no key of the provider has the token's `kid` and may be used with {alg}"
                )
            }
            Self::SignatureInvalid { tried: 1 } => {
                f.write_str("the signature does not verify with the key that fits")
            }
            Self::SignatureInvalid { tried } => {
                write!(
                    f,
                    "the signature does not verify with any of the {tried} keys that were tried"
                )
            }
            Self::JwksUnusable { url } => {
                write!(f, "the key set of `{url}` has no key that can be used")
            }
            Self::JwksUnavailable { url } => {
                write!(f, "the key set of `{url}` could not be fetched in time")
            }
            Self::WaitingLimit => f.write_str("too many requests wait for fetches already"),
            Self::TokenRevoked { by } => write!(f, "the token is revoked by its `{by}`"),
            Self::RevocationsUnavailable { url } => {
                write!(
                    f,
                    "the revocation list of `{url}` could not be fetched in time"
                )
            }
            Self::ConfirmationInvalid { member } => {
                write!(
                    f,
                    "`{member}` of the token does not name what it is bound to"
                )
            }
            Self::CertificateBindingMissing => f.write_str("the token has no `x5t#S256` in `cnf`"),
            Self::CertificateMissing => f.write_str(
                "the token is bound to a client certificate, and the connection has none",
            ),
            Self::CertificateMismatch => {
                f.write_str("the token is bound to another client certificate")
            }
            Self::KeyBindingMissing => f.write_str("the token has no `jkt` in `cnf`"),
            Self::DpopSchemeMissing => {
                f.write_str("the token is bound to a key, but is not under the scheme `DPoP`")
            }
            Self::ProofMissing => f.write_str("no `DPoP` in the request"),
            Self::ProofRepeated => f.write_str("more than one `DPoP` in the request"),
            Self::Proof(error) => error.fmt(f),
            Self::ProofReplayed => f.write_str("the proof was used before"),
            Self::ProofMemory => f.write_str("the proof cannot be remembered"),
            Self::AudienceNotAllowed { aud } if aud.is_empty() => {
                f.write_str("the token has no `aud`")
            }
            Self::AudienceNotAllowed { aud } => {
                f.write_str("the token is for")?;
                for (index, audience) in aud.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "," };
                    write!(f, "{separator} `{audience}`")?;
                }
                Ok(())
            }
            Self::ClaimMissing { claim } => write!(f, "the token has no claim `{claim}`"),
            Self::ClaimNotAllowed { condition } => {
                write!(
                    f,
                    "the claim `{}` {}",
                    condition.claim,
                    Unmet(&condition.test)
                )
            }
            Self::ScopeMissing { needed } => {
                write!(
                    f,
                    "the token lacks a scope: needed are `{}`",
                    needed.join(" ")
                )
            }
            Self::TypeNotAllowed { typ: Some(typ) } => {
                write!(f, "the provider does not accept the `typ` `{typ}`")
            }
            Self::TypeNotAllowed { typ: None } => f.write_str("the token has no `typ`"),
            Self::ProfileClaimMissing { claim } => {
                write!(
                    f,
                    "the token has no `{claim}`, which the provider's profile requires"
                )
            }
            Self::LifetimeTooLong { exp, now, max } => write!(
                f,
                "token is valid for {} s more, the limit is {max} s: exp {exp}, now {now}",
                exp.saturating_sub(*now)
            ),
            Self::SubjectNotAllowed { sub: Some(sub) } => {
                write!(f, "the provider does not accept the `sub` `{sub}`")
            }
            Self::SubjectNotAllowed { sub: None } => f.write_str("the token has no `sub`"),
            Self::ClaimNotForwardable { claim, problem } => {
                write!(f, "the claim `{claim}` {problem}")
            }
            Self::NotConfigured => f.write_str("the filter has no policy"),
            Self::Internal => f.write_str("the proxy refused what was asked of it"),
        }
    }
}

/// In which way a claim is not what the policy asks for.
struct Unmet<'t>(&'t ClaimTest);

impl fmt::Display for Unmet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ClaimTest::Equals(wanted) => write!(f, "is not `{wanted}`"),
            ClaimTest::Contains(wanted) => write!(f, "does not contain `{wanted}`"),
            ClaimTest::Matches(_) => f.write_str("does not match"),
            ClaimTest::OneOf(wanted) => {
                f.write_str("is none of")?;
                for (index, value) in wanted.iter().take(MAX_VALUES).enumerate() {
                    let separator = if index == 0 { "" } else { "," };
                    write!(f, "{separator} `{value}`")?;
                }
                match wanted.len().checked_sub(MAX_VALUES) {
                    None | Some(0) => Ok(()),
                    Some(more) => write!(f, " and {more} more"),
                }
            }
        }
    }
}

/// How many values of a condition are told.
const MAX_VALUES: usize = 8;

/// A value that a client controls, cut to what is kept as evidence.
pub(super) fn evidence(text: &str) -> String {
    match text.char_indices().nth(MAX_EVIDENCE_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => {
            let mut cut = text.get(..end).unwrap_or_default().to_owned();
            cut.push('…');
            cut
        }
    }
}
