//! Envoy's table: every status that its `jwt_authn` ends a request or a key set with, and what it is here.
//!
//! Who comes from there looks for the words that he knows. `docs/envoy-status.md` is generated from this table.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::Reason;

/// Where a status of Envoy's is told in Nexus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvoyPlace {
    /// Nothing is told: the request passes.
    Passes,
    /// The client hears it: it is the text of a [`Reason`].
    Reply,
    /// A whole key set is refused, for this reason: the operator hears it.
    Set(&'static str),
    /// A key of a set is put aside, for this reason: the operator hears it.
    Key(&'static str),
    /// A key in PEM is refused, for this reason: who compiles the policy or starts the filter hears it.
    Pem(&'static str),
    /// It cannot occur, for this reason.
    Impossible(&'static str),
}

macro_rules! statuses {
    ($( $code:literal $status:ident $text:literal $place:ident $( ( $why:literal ) )?; )*) => {
        /// A status of Envoy's `jwt_authn`, by the name that it has there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EnvoyStatus {
            $( #[doc = concat!("`", $text, "`")] $status, )*
        }

        impl EnvoyStatus {
            /// Every status, in the order of Envoy's numbers.
            pub const ALL: &'static [Self] = &[ $( Self::$status, )* ];

            /// Envoy's number.
            pub const fn code(self) -> u8 {
                match self { $( Self::$status => $code, )* }
            }

            /// Envoy's name.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$status => stringify!($status), )* }
            }

            /// Envoy's text.
            pub const fn text(self) -> &'static str {
                match self { $( Self::$status => $text, )* }
            }

            /// Where it is told here.
            pub const fn place(self) -> EnvoyPlace {
                match self { $( Self::$status => EnvoyPlace::$place $( ($why) )?, )* }
            }
        }
    };
}

statuses! {
    0 Ok "OK"
        Passes;
    1 JwtMissed "Jwt is missing"
        Reply;
    2 JwtNotYetValid "Jwt not yet valid"
        Reply;
    3 JwtExpired "Jwt is expired"
        Reply;
    4 JwtBadFormat "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
        Reply;
    5 JwtHeaderParseErrorBadBase64 "Jwt header is an invalid Base64url encoded"
        Reply;
    6 JwtHeaderParseErrorBadJson "Jwt header is an invalid JSON"
        Reply;
    7 JwtHeaderBadAlg "Jwt header [alg] field is required and must be a string"
        Reply;
    8 JwtHeaderNotImplementedAlg "Jwt header [alg] is not supported"
        Reply;
    9 JwtHeaderBadKid "Jwt header [kid] field is not a string"
        Reply;
    10 JwtPayloadParseErrorBadBase64 "Jwt payload is an invalid Base64url encoded"
        Reply;
    11 JwtPayloadParseErrorBadJson "Jwt payload is an invalid JSON"
        Reply;
    12 JwtPayloadParseErrorIssNotString "Jwt payload [iss] field is not a string"
        Reply;
    13 JwtPayloadParseErrorSubNotString "Jwt payload [sub] field is not a string"
        Reply;
    14 JwtPayloadParseErrorIatNotInteger "Jwt payload [iat] field is not an integer"
        Reply;
    15 JwtPayloadParseErrorIatOutOfRange "Jwt payload [iat] field is not a positive 64 bit integer"
        Reply;
    16 JwtPayloadParseErrorNbfNotInteger "Jwt payload [nbf] field is not an integer"
        Reply;
    17 JwtPayloadParseErrorNbfOutOfRange "Jwt payload [nbf] field is not a positive 64 bit integer"
        Reply;
    18 JwtPayloadParseErrorExpNotInteger "Jwt payload [exp] field is not an integer"
        Reply;
    19 JwtPayloadParseErrorExpOutOfRange "Jwt payload [exp] field is not a positive 64 bit integer"
        Reply;
    20 JwtPayloadParseErrorJtiNotString "Jwt payload [jti] field is not a string"
        Reply;
    21 JwtPayloadParseErrorAudNotString "Jwt payload [aud] field is not a string or string list"
        Reply;
    22 JwtSignatureParseErrorBadBase64 "Jwt signature is an invalid Base64url encoded"
        Reply;
    23 JwtEd25519SignatureWrongLength "Jwt ED25519 signature is wrong length"
        Reply;
    24 JwtUnknownIssuer "Jwt issuer is not configured"
        Reply;
    25 JwtAudienceNotAllowed "Audiences in Jwt are not allowed"
        Reply;
    26 JwtVerificationFail "Jwt verification fails"
        Reply;
    27 JwtMultipleTokens "Found multiple Jwt tokens"
        Reply;
    28 JwksParseError "Jwks is an invalid JSON"
        Set("the key set is not strict JSON, no object, or larger than 1 MiB");
    29 JwksNoKeys "Jwks does not have [keys] field"
        Set("the key set has no `keys`; Envoy's map of certificates is none");
    30 JwksBadKeys "[keys] in Jwks is not an array"
        Set("`keys` is not an array");
    31 JwksNoValidKeys "Jwks doesn't have any valid public key"
        Reply;
    32 JwksKidAlgMismatch "Jwks doesn't have key to match kid or alg from Jwt"
        Reply;
    33 JwksRsaParseError "Jwks RSA [n] or [e] field is missing or has a parse error"
        Key("`n` or `e` of an RSA key is not base64url, `n` is even or has less than 2048 or more than 8192 bits, or `e` is even, below 3 or beyond 33 bits");
    34 JwksEcCreateKeyFail "Jwks EC create key fail"
        Impossible("a curve is part of the program, and a point on it takes no memory that could be missing");
    35 JwksEcXorYBadBase64 "Jwks EC [x] or [y] field is an invalid Base64."
        Key("`x` or `y` of an EC key is not base64url");
    36 JwksEcParseError "Jwks EC [x] and [y] fields have a parse error."
        Key("`x` or `y` of an EC key has another length than its curve asks for, or the point is not on the curve");
    37 JwksOctBadBase64 "Jwks Oct key is an invalid Base64"
        Key("`k` of a symmetric key is not base64url, or empty");
    38 JwksOKPXBadBase64 "Jwks OKP [x] field is an invalid Base64."
        Key("`x` of an OKP key is not base64url");
    39 JwksOKPXWrongLength "Jwks OKP [x] field is wrong length."
        Key("`x` of an OKP key has another length than its curve asks for");
    40 JwksFetchFail "Jwks remote fetch is failed"
        Reply;
    41 JwksMissingKty "[kty] is missing in [keys]"
        Key("`kty` is missing");
    42 JwksBadKty "[kty] is bad in [keys]"
        Key("`kty` is not a string");
    43 JwksNotImplementedKty "[kty] is not supported in [keys]"
        Key("`kty` is none of `RSA`, `EC`, `OKP` and `oct`");
    44 JwksRSAKeyBadAlg "[alg] is not started with [RS] or [PS] for an RSA key"
        Key("`alg` of an RSA key is none that RSA keys verify");
    45 JwksRSAKeyMissingN "[n] field is missing for a RSA key"
        Key("`n` of an RSA key is missing");
    46 JwksRSAKeyBadN "[n] field is not string for a RSA key"
        Key("`n` of an RSA key is not a string");
    47 JwksRSAKeyMissingE "[e] field is missing for a RSA key"
        Key("`e` of an RSA key is missing");
    48 JwksRSAKeyBadE "[e] field is not string for a RSA key"
        Key("`e` of an RSA key is not a string");
    49 JwksECKeyBadAlg "[alg] is not started with [ES] for an EC key"
        Key("`alg` of an EC key does not start with `ES`");
    50 JwksECKeyBadCrv "[crv] field is not string for an EC key"
        Key("`crv` of an EC key is not a string");
    51 JwksECKeyAlgOrCrvUnsupported "[crv] or [alg] field is not supported for an EC key"
        Key("`crv` of an EC key is missing, or none that Nexus verifies with");
    52 JwksECKeyAlgNotCompatibleWithCrv "[crv] field specified is not compatible with [alg] for an EC key"
        Key("`alg` of an EC key is that of another curve than `crv`");
    53 JwksECKeyMissingX "[x] field is missing for an EC key"
        Key("`x` of an EC key is missing");
    54 JwksECKeyBadX "[x] field is not string for an EC key"
        Key("`x` of an EC key is not a string");
    55 JwksECKeyMissingY "[y] field is missing for an EC key"
        Key("`y` of an EC key is missing");
    56 JwksECKeyBadY "[y] field is not string for an EC key"
        Key("`y` of an EC key is not a string");
    57 JwksHMACKeyBadAlg "[alg] does not start with [HS] for an HMAC key"
        Key("`alg` of a symmetric key is none that a secret verifies");
    58 JwksHMACKeyMissingK "[k] field is missing for an HMAC key"
        Key("`k` of a symmetric key is missing");
    59 JwksHMACKeyBadK "[k] field is not string for an HMAC key"
        Key("`k` of a symmetric key is not a string");
    60 JwksOKPKeyBadAlg "[alg] is not [EdDSA] for an OKP key"
        Key("`alg` of an OKP key is not `EdDSA`");
    61 JwksOKPKeyMissingCrv "[crv] field is missing for an OKP key"
        Key("`crv` of an OKP key is missing");
    62 JwksOKPKeyBadCrv "[crv] field is not string for an OKP key"
        Key("`crv` of an OKP key is not a string");
    63 JwksOKPKeyCrvUnsupported "[crv] field is not supported for an OKP key"
        Key("`crv` of an OKP key is not `Ed25519`");
    64 JwksOKPKeyMissingX "[x] field is missing for an OKP key"
        Key("`x` of an OKP key is missing");
    65 JwksOKPKeyBadX "[x] field is not string for an OKP key"
        Key("`x` of an OKP key is not a string");
    66 JwksX509BioWriteError "X509 parse pubkey internal fails: memory allocation"
        Impossible("a certificate is read where it lies, without a buffer of OpenSSL's");
    67 JwksX509ParseError "X509 parse pubkey fails"
        Pem("a `CERTIFICATE` does not hold one");
    68 JwksX509GetPubkeyError "X509 parse pubkey internal fails: get pubkey"
        Pem("a `CERTIFICATE` is that of a key that Nexus does not verify with");
    69 JwksPemNotImplementedKty "PEM Key type is not supported"
        Pem("a `PUBLIC KEY` is of a kind that Nexus does not verify with");
    70 JwksPemBadBase64 "PEM pubkey parse fails"
        Pem("the text is no PEM, or a block is not base64, does not hold what it says, or is something other than a public key");
    71 JwksPemGetRawEd25519Error "PEM failed to get raw ED25519 key"
        Pem("the key of an Ed25519 `PUBLIC KEY` is not 32 bytes long");
    72 JwksBioAllocError "Failed to create BIO due to memory allocation failure"
        Impossible("PEM is read where it lies, without a buffer of OpenSSL's");
}

impl EnvoyStatus {
    /// The reasons whose text it is, in the order of their table.
    pub fn reasons(self) -> impl Iterator<Item = Reason> {
        Reason::ALL
            .iter()
            .copied()
            .filter(move |reason| reason.envoy_status() == Some(self))
    }
}

impl Reason {
    /// The status of Envoy's that has the same text; `None` for a refusal that only Nexus knows.
    pub fn envoy_status(self) -> Option<EnvoyStatus> {
        let text = self.row().body;
        EnvoyStatus::ALL
            .iter()
            .copied()
            .find(|status| status.text() == text)
    }
}

/// The table as Markdown.
pub fn envoy_reference() -> String {
    let mut text = String::from(
        "# What Envoy's statuses are here\n\n\
         <!-- Generated by `cargo xtask docs` from `core/src/reason/envoy.rs`. -->\n\n\
         Every status of Envoy's `jwt_authn`, its text, and where Nexus tells it. A request that provokes one gets the same status\n\
         and text from both, but for two texts that Envoy has and never says: of two `Authorization` it says that they are no\n\
         token (4 for 27), and of a key set without a usable key that it could not be fetched (40 for 31). Of single keys it tells\n\
         nobody; Nexus writes which key of a set is put aside, and why, into the proxy's log, with Envoy's name in parentheses, and\n\
         `nexusctl compile-policy` says it of keys in a policy.\n\n\
         | code | name | text | in Nexus |\n\
         |---|---|---|---|\n",
    );
    for status in EnvoyStatus::ALL {
        let place = match status.place() {
            EnvoyPlace::Passes => String::from("the request passes"),
            EnvoyPlace::Reply => {
                let reasons: Vec<String> = status
                    .reasons()
                    .map(|reason| format!("[`{}`](deny-reasons.md)", reason.code()))
                    .collect();
                format!("the reply {}", reasons.join(", "))
            }
            EnvoyPlace::Set(why) => {
                format!("the fetch fails, or the policy is refused: {why}")
            }
            EnvoyPlace::Key(why) => format!("the key is put aside: {why}"),
            EnvoyPlace::Pem(why) => {
                format!("the policy or the configuration is refused: {why}")
            }
            EnvoyPlace::Impossible(why) => format!("cannot occur: {why}"),
        };
        // Writing to a `String` does not fail.
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | {place} |",
            status.code(),
            status.name(),
            status.text()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_whole() {
        assert_eq!(EnvoyStatus::ALL.len(), 73);
        for (code, status) in (0..).zip(EnvoyStatus::ALL) {
            assert_eq!(status.code(), code, "{}", status.name());
        }
        let texts: BTreeSet<_> = EnvoyStatus::ALL
            .iter()
            .map(|status| status.text())
            .collect();
        assert_eq!(texts.len(), 73);
    }

    #[test]
    fn a_status_has_reasons_if_and_only_if_a_client_hears_it() {
        for status in EnvoyStatus::ALL {
            assert_eq!(
                status.place() == EnvoyPlace::Reply,
                status.reasons().next().is_some(),
                "{}",
                status.name()
            );
        }
    }
}
