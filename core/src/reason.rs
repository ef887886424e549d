//! Why a request is refused: one table of stable codes.
//!
//! The client hears the status and the body, the operator the code and the evidence. Bodies are
//! Envoy's own where its `jwt_authn` has one for the case, so that moving from it changes nothing
//! for clients. `docs/deny-reasons.md` is generated from this table.

mod envoy;

use alloc::string::String;
use core::fmt::Write;

pub use envoy::{EnvoyPlace, EnvoyStatus, envoy_reference};

use crate::reply::Scheme;

/// Who has to act so that the request can pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Whoever sent the request.
    Client,
    /// Whoever issued the token or serves the keys.
    Issuer,
    /// Whoever wrote the policy or the proxy's configuration.
    Configuration,
    /// Nexus or the proxy.
    Internal,
}

/// How `WWW-Authenticate` is answered (RFC 6750 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// Not at all.
    None,
    /// `Bearer`: no token was sent, or it was not judged.
    Bearer,
    /// `Bearer error="invalid_request"`.
    InvalidRequest,
    /// `Bearer error="invalid_token"`.
    InvalidToken,
    /// `Bearer error="insufficient_scope"`.
    InsufficientScope,
    /// `DPoP error="invalid_token"` (RFC 9449 §7.1).
    DpopInvalidToken,
    /// `DPoP error="invalid_dpop_proof"` (RFC 9449 §7.1).
    DpopInvalidProof,
}

impl Challenge {
    /// The scheme of the challenge.
    pub const fn scheme(self) -> Scheme {
        match self {
            Self::DpopInvalidToken | Self::DpopInvalidProof => Scheme::Dpop,
            _ => Scheme::Bearer,
        }
    }

    /// The `error` of the challenge (RFC 6750 §3.1, RFC 9449 §7.1).
    pub const fn error(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Bearer => None,
            Self::InvalidRequest => Some("invalid_request"),
            Self::InvalidToken | Self::DpopInvalidToken => Some("invalid_token"),
            Self::DpopInvalidProof => Some("invalid_dpop_proof"),
            Self::InsufficientScope => Some("insufficient_scope"),
        }
    }

    /// The value of `WWW-Authenticate`; never a part of the request.
    pub const fn value(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Bearer => Some("Bearer"),
            Self::InvalidRequest => Some("Bearer error=\"invalid_request\""),
            Self::InvalidToken => Some("Bearer error=\"invalid_token\""),
            Self::InsufficientScope => Some("Bearer error=\"insufficient_scope\""),
            Self::DpopInvalidToken => Some("DPoP error=\"invalid_token\""),
            Self::DpopInvalidProof => Some("DPoP error=\"invalid_dpop_proof\""),
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The reason.
    pub reason: Reason,
    /// The stable code, as in logs, metrics and the response-code details.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The body of the reply, as text.
    pub body: &'static str,
    /// The challenge of the reply.
    pub challenge: Challenge,
    /// Who has to act.
    pub blame: Blame,
    /// What happened, for the documentation.
    pub meaning: &'static str,
}

macro_rules! reasons {
    ($( $reason:ident $code:literal $status:literal $challenge:ident $blame:ident $body:literal $meaning:literal; )*) => {
        /// Why a request is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $( #[doc = $meaning] $reason, )*
        }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &'static [Self] = &[ $( Self::$reason, )* ];

            /// The reason's row in the table.
            pub const fn row(self) -> Row {
                match self {
                    $( Self::$reason => Row {
                        reason: self,
                        code: $code,
                        status: $status,
                        body: $body,
                        challenge: Challenge::$challenge,
                        blame: Blame::$blame,
                        meaning: $meaning,
                    }, )*
                }
            }
        }
    };
}

reasons! {
    RequestMalformed "request_malformed" 400 None Client
        "Bad Request" "The request has no single method, path or host, its host is none, or its path has no normal form.";
    PathAmbiguous "path_ambiguous" 400 None Client
        "Bad Request" "Services may read the path in two ways that different rules hold for.";
    ConditionAmbiguous "condition_ambiguous" 400 None Client
        "Bad Request" "A header or query parameter that a route has a condition on is repeated, or encoded in a way that services read differently, and different rules hold for the readings.";
    NoAppMatched "no_app_matched" 404 None Client
        "Not Found" "No app of the policy matches the host and path.";
    TokenMissing "token_missing" 401 Bearer Client
        "Jwt is missing" "The request carries no token where the rule looks for one, or not every token that it asks for.";
    TokenRepeated "token_repeated" 400 InvalidRequest Client
        "Found multiple Jwt tokens" "A place for a token holds more than one, or one that only some services see; or two tokens say different things about who sent them.";
    TokenMalformed "token_malformed" 401 InvalidToken Client
        "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections" "The token is not three base64url segments, or it is larger than 64 KiB.";
    TokenHeaderBase64 "token_header_base64" 401 InvalidToken Client
        "Jwt header is an invalid Base64url encoded" "The token's header is not canonical base64url.";
    TokenHeaderJson "token_header_json" 401 InvalidToken Client
        "Jwt header is an invalid JSON" "The token's header is not one strict JSON object.";
    TokenAlgInvalid "token_alg_invalid" 401 InvalidToken Client
        "Jwt header [alg] field is required and must be a string" "The header has no `alg`, or one that is not a string.";
    TokenAlgUnsupported "token_alg_unsupported" 401 InvalidToken Client
        "Jwt header [alg] is not supported" "The header's `alg` is not one that Nexus verifies; `none` never is.";
    TokenAlgNotAllowed "token_alg_not_allowed" 401 InvalidToken Client
        "Jwt header [alg] is not supported" "The provider does not allow the token's algorithm.";
    TokenKidInvalid "token_kid_invalid" 401 InvalidToken Client
        "Jwt header [kid] field is not a string" "The header's `kid` is not a string.";
    TokenCritUnsupported "token_crit_unsupported" 401 InvalidToken Client
        "Jwt verification fails" "The header has a `crit` (RFC 7515 §4.1.11) or `b64` that Nexus does not understand.";
    TokenPayloadBase64 "token_payload_base64" 401 InvalidToken Client
        "Jwt payload is an invalid Base64url encoded" "The token's payload is not canonical base64url.";
    TokenPayloadJson "token_payload_json" 401 InvalidToken Client
        "Jwt payload is an invalid JSON" "The token's payload is not one strict JSON object.";
    TokenIssInvalid "token_iss_invalid" 401 InvalidToken Issuer
        "Jwt payload [iss] field is not a string" "`iss` is not a string.";
    TokenSubInvalid "token_sub_invalid" 401 InvalidToken Issuer
        "Jwt payload [sub] field is not a string" "`sub` is not a string.";
    TokenJtiInvalid "token_jti_invalid" 401 InvalidToken Issuer
        "Jwt payload [jti] field is not a string" "`jti` is not a string.";
    TokenAudInvalid "token_aud_invalid" 401 InvalidToken Issuer
        "Jwt payload [aud] field is not a string or string list" "`aud` is neither a string nor a list of strings.";
    TokenExpNotNumber "token_exp_not_number" 401 InvalidToken Issuer
        "Jwt payload [exp] field is not an integer" "`exp` is not a number.";
    TokenExpNegative "token_exp_negative" 401 InvalidToken Issuer
        "Jwt payload [exp] field is not a positive 64 bit integer" "`exp` is negative.";
    TokenNbfNotNumber "token_nbf_not_number" 401 InvalidToken Issuer
        "Jwt payload [nbf] field is not an integer" "`nbf` is not a number.";
    TokenNbfNegative "token_nbf_negative" 401 InvalidToken Issuer
        "Jwt payload [nbf] field is not a positive 64 bit integer" "`nbf` is negative.";
    TokenIatNotNumber "token_iat_not_number" 401 InvalidToken Issuer
        "Jwt payload [iat] field is not an integer" "`iat` is not a number.";
    TokenIatNegative "token_iat_negative" 401 InvalidToken Issuer
        "Jwt payload [iat] field is not a positive 64 bit integer" "`iat` is negative.";
    TokenSignatureBase64 "token_signature_base64" 401 InvalidToken Client
        "Jwt signature is an invalid Base64url encoded" "The token's signature is not canonical base64url.";
    TokenSignatureLength "token_signature_length" 401 InvalidToken Client
        "Jwt ED25519 signature is wrong length" "The signature of an EdDSA token is not 64 bytes long.";
    TokenIssuerUnknown "token_issuer_unknown" 401 InvalidToken Client
        "Jwt issuer is not configured" "No provider of the app has the token's `iss`.";
    TokenExpired "token_expired" 401 InvalidToken Client
        "Jwt is expired" "`exp` lies in the past, leeway included.";
    TokenNotYetValid "token_not_yet_valid" 401 InvalidToken Client
        "Jwt not yet valid" "`nbf` lies in the future, leeway included.";
    TokenExpMissing "token_exp_missing" 401 InvalidToken Issuer
        "Jwt verification fails" "The token has no `exp`, which the provider requires.";
    SignatureInvalid "signature_invalid" 401 InvalidToken Client
        "Jwt verification fails" "No key that could have signed the token did.";
    KeyNotFound "key_not_found" 401 InvalidToken Client
        "Jwks doesn't have key to match kid or alg from Jwt" "The provider has no key with the token's `kid` that may be used with its `alg`.";
    JwksUnusable "jwks_unusable" 401 Bearer Issuer
        "Jwks doesn't have any valid public key" "The provider's JWK set was fetched, but none of its keys can be used.";
    JwksUnavailable "jwks_unavailable" 401 Bearer Issuer
        "Jwks remote fetch is failed" "The provider's JWK set could not be fetched in time.";
    WaitingLimit "waiting_limit" 503 None Issuer
        "Service Unavailable" "Too many requests wait for what has to be fetched already.";
    TokenRevoked "token_revoked" 401 InvalidToken Client
        "Jwt verification fails" "The token is genuine, but its `jti`, `sub` or `kid` is revoked.";
    RevocationsUnavailable "revocations_unavailable" 503 None Issuer
        "Service Unavailable" "The token is genuine, but the list of what is revoked could not be fetched in time.";
    TokenCnfInvalid "token_cnf_invalid" 401 InvalidToken Issuer
        "Jwt is not bound to its sender" "`cnf` is no object, or `x5t#S256` or `jkt` in it is not the base64url of a SHA-256 digest.";
    CertificateBindingMissing "certificate_binding_missing" 401 InvalidToken Issuer
        "Jwt is not bound to its sender" "The token is genuine, but not bound to a client certificate, which the provider requires.";
    CertificateMissing "certificate_missing" 401 InvalidToken Client
        "Jwt is not bound to its sender" "The token is bound to a client certificate, and the connection has none.";
    CertificateMismatch "certificate_mismatch" 401 InvalidToken Client
        "Jwt is not bound to its sender" "The token is bound to another client certificate than that of the connection.";
    DpopBindingMissing "dpop_binding_missing" 401 DpopInvalidToken Issuer
        "Jwt is not bound to its sender" "The token is genuine, but not bound to a key: the provider requires it, or the token came under the scheme `DPoP`.";
    DpopSchemeMissing "dpop_scheme_missing" 401 DpopInvalidToken Client
        "Jwt is not bound to its sender" "The token is bound to a key, but did not come under the scheme `DPoP`.";
    DpopProofMissing "dpop_proof_missing" 401 DpopInvalidProof Client
        "DPoP proof is missing" "The token is bound to a key, and the request has no `DPoP` header.";
    DpopProofRepeated "dpop_proof_repeated" 401 DpopInvalidProof Client
        "DPoP proof is invalid" "The request has more than one `DPoP` header.";
    DpopProofMalformed "dpop_proof_malformed" 401 DpopInvalidProof Client
        "DPoP proof is invalid" "The proof is no JWT of the form that RFC 9449 §4.2 asks for, or it is larger than 8 KiB.";
    DpopKeyUnusable "dpop_key_unusable" 401 DpopInvalidProof Client
        "DPoP proof is invalid" "`jwk` of the proof is missing, private, symmetric, or no key that Nexus verifies with.";
    DpopRequestMismatch "dpop_request_mismatch" 401 DpopInvalidProof Client
        "DPoP proof is invalid" "The proof is for another method (`htm`) or URI (`htu`).";
    DpopTokenMismatch "dpop_token_mismatch" 401 DpopInvalidProof Client
        "DPoP proof is invalid" "The proof is for another token (`ath`).";
    DpopKeyMismatch "dpop_key_mismatch" 401 DpopInvalidProof Client
        "DPoP proof is invalid" "The token is bound to another key than that of the proof.";
    DpopProofExpired "dpop_proof_expired" 401 DpopInvalidProof Client
        "DPoP proof is invalid" "The proof was made too long ago, or in the future, leeway included.";
    DpopSignatureInvalid "dpop_signature_invalid" 401 DpopInvalidProof Client
        "DPoP proof is invalid" "The signature of the proof is not by its key.";
    DpopProofReplayed "dpop_proof_replayed" 401 DpopInvalidProof Client
        "DPoP proof is invalid" "The proof was used before.";
    DpopMemoryUnavailable "dpop_memory_unavailable" 503 None Configuration
        "Service Unavailable" "The proof cannot be remembered: too many are, or the proxy's shared data cannot be used.";
    AudienceNotAllowed "audience_not_allowed" 403 InvalidToken Client
        "Audiences in Jwt are not allowed" "The token is genuine, but it is for another audience.";
    ClaimMissing "claim_missing" 403 InsufficientScope Client
        "Required claim is missing in Jwt" "The token is genuine, but a required claim is absent or `null`.";
    ClaimNotForwardable "claim_not_forwardable" 403 InsufficientScope Issuer
        "Jwt claim cannot be forwarded" "The token is genuine, but a claim cannot stand in a header: a control character, white space at an end, or more than 8 KiB.";
    TokenTypeNotAllowed "token_type_not_allowed" 401 InvalidToken Client
        "Jwt verification fails" "The header's `typ` is none that the provider accepts (RFC 7515 §4.1.9), or there is none.";
    TokenProfileClaimMissing "token_profile_claim_missing" 401 InvalidToken Issuer
        "Jwt verification fails" "The token lacks a claim that the provider's `profile` requires, such as `client_id` (RFC 9068 §2.2).";
    TokenLifetimeTooLong "token_lifetime_too_long" 401 InvalidToken Issuer
        "Jwt verification fails" "`exp` is further away than the provider's `max_lifetime_secs`.";
    SubjectNotAllowed "subject_not_allowed" 401 InvalidToken Client
        "Jwt verification fails" "`sub` is none that the provider accepts, or there is none.";
    ClaimNotAllowed "claim_not_allowed" 403 InsufficientScope Client
        "Required claim has no allowed value in Jwt" "The token is genuine, but a required claim is not what the policy asks for.";
    ScopeMissing "scope_missing" 403 InsufficientScope Client
        "Required scope is missing in Jwt" "The token is genuine, but it lacks a required scope. `WWW-Authenticate` tells in `scope` which ones are needed.";
    NotConfigured "not_configured" 503 None Configuration
        "Service Unavailable" "The filter has no policy.";
    Internal "internal" 500 None Internal
        "Internal Server Error" "The proxy did not do what was asked of it.";
}

impl Reason {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        self.row().code
    }

    /// Whether a client that logs in may pass: no token, or one that is refused. While the keys are missing,
    /// a new token is no better than the old one.
    pub const fn is_cured_by_login(self) -> bool {
        self.row().status == 401 && !matches!(self, Self::JwksUnusable | Self::JwksUnavailable)
    }

    /// Whether a request may be refused with this status.
    pub fn has_status(status: u16) -> bool {
        Self::ALL.iter().any(|reason| reason.row().status == status)
    }
}

/// The table as Markdown.
pub fn reference() -> String {
    let mut text = String::from(
        "# Why a request is refused\n\n\
         <!-- Generated by `cargo xtask docs` from `core/src/reason.rs`. -->\n\n\
         The code is in the debug log, in the counter `nexus.denied.<code>`, and in Envoy's response code\n\
         details as `nexus_denied{<code>}`. The client sees the status, the body and the challenge, and nothing else.\n\n\
         | code | status | body | `WWW-Authenticate` | who has to act | what happened |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in Reason::ALL.iter().map(|reason| reason.row()) {
        let challenge = row.challenge.value().unwrap_or("–");
        let blame = match row.blame {
            Blame::Client => "client",
            Blame::Issuer => "issuer",
            Blame::Configuration => "operator",
            Blame::Internal => "Nexus",
        };
        // Writing to a `String` does not fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | `{challenge}` | {blame} | {} |",
            row.code, row.status, row.body, row.meaning
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_words() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for code in codes {
            assert!(
                code.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
                "{code}"
            );
        }
    }

    #[test]
    fn only_a_genuine_token_is_answered_403_and_401_has_a_challenge() {
        for row in Reason::ALL.iter().map(|reason| reason.row()) {
            let after_signature = matches!(
                row.reason,
                Reason::AudienceNotAllowed
                    | Reason::ClaimMissing
                    | Reason::ClaimNotAllowed
                    | Reason::ClaimNotForwardable
                    | Reason::ScopeMissing
            );
            assert_eq!(row.status == 403, after_signature, "{}", row.code);
            if row.status == 401 {
                assert!(row.challenge.value().is_some(), "{}", row.code);
            }
        }
    }
}
