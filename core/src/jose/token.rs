//! Signed tokens in the compact form (RFC 7515 §7.1), before anything about them was verified.
//!
//! Reading a token decides nothing: an [`UntrustedToken`] is what the client claims. The keys and the
//! places of keys that a header may bring along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at, so
//! that a token cannot choose what it is verified with.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::claims::{StringClaim, TimeClaim};
use super::{Algorithm, Claims, base64url};
use crate::json::{self, Kind, Member, Value};
use crate::scan;

/// The longest token that is read, in bytes. Envoy accepts 60 KiB of request headers in all unless
/// told otherwise, so no longer token reaches a filter by default.
pub const MAX_TOKEN_BYTES: usize = 65_536;

/// The length of an Ed25519 signature in bytes (RFC 8032 §5.1.6).
const ED25519_SIGNATURE_BYTES: usize = 64;

/// A token whose signature nobody has checked.
pub struct UntrustedToken<'t> {
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
    /// The header and the payload as they were sent, with the dot between them (RFC 7515 §5.2).
    signing_input: &'t [u8],
}

/// What the header of a token says (RFC 7515 §4.1).
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    alg: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    cty: Option<String>,
}

/// A part of a token between its dots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// The first.
    Header,
    /// The second.
    Payload,
    /// The third.
    Signature,
}

/// Why bytes are not a token that could be verified. None of it repeats text of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// The token is longer than [`MAX_TOKEN_BYTES`].
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The token is not three segments with a dot between each two (RFC 7515 §7.1).
    NotThreeSegments {
        /// How many there are.
        found: usize,
    },
    /// There is nothing in a segment.
    EmptySegment {
        /// Which one.
        segment: Segment,
    },
    /// A segment is not base64url without padding (RFC 7515 §2).
    SegmentNotBase64url {
        /// Which one.
        segment: Segment,
    },
    /// The header is not JSON.
    HeaderNotJson(json::Error),
    /// The header is JSON, but no object (RFC 7515 §4).
    HeaderNotObject {
        /// What it is.
        found: &'static str,
    },
    /// The header has no `alg` (RFC 7515 §4.1.1).
    AlgMissing,
    /// `alg` is not a string.
    AlgNotString {
        /// What it is.
        found: &'static str,
    },
    /// `alg` names no algorithm that Nexus verifies.
    AlgNotSupported {
        /// The name, when it is one that is registered for JOSE or `none`.
        registered: Option<&'static str>,
    },
    /// `kid` is not a string (RFC 7515 §4.1.4).
    KidNotString {
        /// What it is.
        found: &'static str,
    },
    /// `typ` or `cty` is not a string (RFC 7515 §4.1.9, §4.1.10).
    HeaderMemberNotString {
        /// The name of the member.
        member: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The header has `crit`: extensions that have to be understood (RFC 7515 §4.1.11). None is.
    CritNotSupported,
    /// `b64` is not `true`: the payload would not be base64url (RFC 7797 §3).
    UnencodedPayload,
    /// The payload is not JSON.
    PayloadNotJson(json::Error),
    /// The payload is JSON, but no object (RFC 7519 §3).
    PayloadNotObject {
        /// What it is.
        found: &'static str,
    },
    /// `iss`, `sub` or `jti` is not a string (RFC 7519 §4.1).
    ClaimNotString {
        /// Which one.
        claim: StringClaim,
        /// What it is.
        found: &'static str,
    },
    /// `iat`, `nbf` or `exp` is not a number (RFC 7519 §2).
    TimeNotNumber {
        /// Which one.
        claim: TimeClaim,
        /// What it is.
        found: &'static str,
    },
    /// `iat`, `nbf` or `exp` lies before the epoch.
    TimeNegative {
        /// Which one.
        claim: TimeClaim,
    },
    /// `aud` is neither a string nor an array of strings (RFC 7519 §4.1.3).
    AudNotStrings {
        /// What it is, or what the first element is that is no string.
        found: &'static str,
    },
    /// An EdDSA signature that is not 64 bytes long.
    Ed25519SignatureLength {
        /// Its length in bytes.
        bytes: usize,
    },
}

impl<'t> UntrustedToken<'t> {
    /// Reads a token in the compact form. The payload is decoded but not looked at.
    ///
    /// # Errors
    /// The first [`TokenError`] of form, header, payload and signature, in this order.
    pub fn parse(compact: &'t [u8]) -> Result<Self, TokenError> {
        if compact.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge {
                bytes: compact.len(),
            });
        }
        let segments = Segments::split(compact)?;
        let header = Header::parse(&decode(segments.header, Segment::Header)?)?;
        let payload = decode(segments.payload, Segment::Payload)?;
        let signature = decode(segments.signature, Segment::Signature)?;
        if header.alg == Algorithm::EdDsa && signature.len() != ED25519_SIGNATURE_BYTES {
            return Err(TokenError::Ed25519SignatureLength {
                bytes: signature.len(),
            });
        }
        Ok(Self {
            header,
            payload,
            signature,
            signing_input: segments.signing_input,
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The bytes of the payload, decoded.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The claims of the payload, to find out early what needs no key: the issuer, the times.
    ///
    /// # Errors
    /// Those of [`Claims::parse`].
    pub fn claims(&self) -> Result<Claims<'_>, TokenError> {
        Claims::parse(&self.payload)
    }

    /// The payload as it was sent: base64url, not empty.
    pub fn payload_segment(&self) -> &'t [u8] {
        scan::split_once(self.signing_input, b'.')
            .map(|(_, payload)| payload)
            .unwrap_or_default()
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    pub(super) fn signing_input(&self) -> &'t [u8] {
        self.signing_input
    }
}

/// Shows lengths only: a token is a credential.
impl fmt::Debug for UntrustedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntrustedToken")
            .field("header", &self.header)
            .field("payload_bytes", &self.payload.len())
            .field("signature_bytes", &self.signature.len())
            .finish()
    }
}

impl Header {
    /// Reads the decoded bytes of a header.
    fn parse(text: &[u8]) -> Result<Self, TokenError> {
        let header = json::parse(text).map_err(TokenError::HeaderNotJson)?;
        let Some(object) = header.as_object() else {
            return Err(TokenError::HeaderNotObject {
                found: header.kind_name(),
            });
        };
        let members = Members::find(object);
        let alg = match members.alg {
            None => return Err(TokenError::AlgMissing),
            Some(alg) => alg.as_str().ok_or(TokenError::AlgNotString {
                found: alg.kind_name(),
            })?,
        };
        let alg = Algorithm::from_name(alg).ok_or_else(|| TokenError::AlgNotSupported {
            registered: registered_name(alg),
        })?;
        let kid = string(members.kid).map_err(|found| TokenError::KidNotString { found })?;
        let other = |member: &'static str, value| {
            string(value).map_err(|found| TokenError::HeaderMemberNotString { member, found })
        };
        let typ = other("typ", members.typ)?;
        let cty = other("cty", members.cty)?;
        members.refuse_extensions()?;
        Ok(Self { alg, kid, typ, cty })
    }

    /// The algorithm that the token claims to be signed with.
    pub fn alg(&self) -> Algorithm {
        self.alg
    }

    /// The name of the key (RFC 7515 §4.1.4).
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The type of the token (RFC 7515 §4.1.9), as written.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Whether the token is of a media type, which is given in full (`application/at+jwt`): case does not matter, and
    /// `application/` may be left out where there is no other `/` (RFC 7515 §4.1.9). A token without type is of none.
    pub fn is_of_type(&self, media_type: &str) -> bool {
        let Some(typ) = &self.typ else {
            return false;
        };
        let wanted = match typ.contains('/') {
            true => Some(media_type),
            false => media_type.strip_prefix("application/"),
        };
        wanted.is_some_and(|wanted| typ.eq_ignore_ascii_case(wanted))
    }

    /// The type of the payload (RFC 7515 §4.1.10), as written.
    pub fn cty(&self) -> Option<&str> {
        self.cty.as_deref()
    }
}

/// Shows the algorithm, and of the rest only whether it is there: the client wrote it.
impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("alg", &self.alg)
            .field("has_kid", &self.kid.is_some())
            .field("has_typ", &self.typ.is_some())
            .field("has_cty", &self.cty.is_some())
            .finish()
    }
}

/// The members of a header that are looked at.
#[derive(Default)]
struct Members<'h> {
    alg: Option<&'h Value<'h>>,
    kid: Option<&'h Value<'h>>,
    typ: Option<&'h Value<'h>>,
    cty: Option<&'h Value<'h>>,
    b64: Option<&'h Value<'h>>,
    crit: Option<&'h Value<'h>>,
}

impl<'h> Members<'h> {
    fn find(object: &'h [Member<'h>]) -> Self {
        let mut found = Self::default();
        for member in object {
            let place = match &*member.name {
                "alg" => &mut found.alg,
                "kid" => &mut found.kid,
                "typ" => &mut found.typ,
                "cty" => &mut found.cty,
                "b64" => &mut found.b64,
                "crit" => &mut found.crit,
                _ => continue,
            };
            *place = Some(&member.value);
        }
        found
    }

    /// Refuses what would change how the token has to be read.
    fn refuse_extensions(&self) -> Result<(), TokenError> {
        if self.b64.is_some_and(|b64| b64.kind != Kind::Bool(true)) {
            return Err(TokenError::UnencodedPayload);
        }
        match self.crit {
            None => Ok(()),
            Some(_) => Err(TokenError::CritNotSupported),
        }
    }
}

/// The text of an optional member; the kind of one that is no string.
fn string(value: Option<&Value<'_>>) -> Result<Option<String>, &'static str> {
    value
        .map(|value| value.as_str().map(String::from).ok_or(value.kind_name()))
        .transpose()
}

fn decode(segment: &[u8], which: Segment) -> Result<Vec<u8>, TokenError> {
    base64url::decode(segment).map_err(|_| TokenError::SegmentNotBase64url { segment: which })
}

/// The algorithms of the JOSE registry that no signature of a JWT is verified with here.
fn registered_name(alg: &str) -> Option<&'static str> {
    const NAMES: [&str; 22] = [
        "none",
        "Ed25519",
        "Ed448",
        "RS1",
        "HS1",
        "RSA1_5",
        "RSA-OAEP",
        "RSA-OAEP-256",
        "A128KW",
        "A192KW",
        "A256KW",
        "dir",
        "ECDH-ES",
        "ECDH-ES+A128KW",
        "ECDH-ES+A192KW",
        "ECDH-ES+A256KW",
        "A128GCMKW",
        "A192GCMKW",
        "A256GCMKW",
        "PBES2-HS256+A128KW",
        "PBES2-HS384+A192KW",
        "PBES2-HS512+A256KW",
    ];
    NAMES
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(alg))
}

struct Segments<'t> {
    header: &'t [u8],
    payload: &'t [u8],
    signature: &'t [u8],
    signing_input: &'t [u8],
}

impl<'t> Segments<'t> {
    fn split(compact: &'t [u8]) -> Result<Self, TokenError> {
        let mut rest = Some(compact);
        let mut next = || {
            let text = rest?;
            let (segment, behind) = match scan::split_once(text, b'.') {
                Some((segment, behind)) => (segment, Some(behind)),
                None => (text, None),
            };
            rest = behind;
            Some(segment)
        };
        let first = [next(), next(), next()];
        let ([Some(header), Some(payload), Some(signature)], None) = (first, rest) else {
            let others = rest.map_or(0, |rest| rest.split(|byte| *byte == b'.').count());
            return Err(TokenError::NotThreeSegments {
                found: first.iter().flatten().count().saturating_add(others),
            });
        };
        for (segment, bytes) in [
            (Segment::Header, header),
            (Segment::Payload, payload),
            (Segment::Signature, signature),
        ] {
            if bytes.is_empty() {
                return Err(TokenError::EmptySegment { segment });
            }
        }
        let signed = header.len().saturating_add(payload.len()).saturating_add(1);
        Ok(Self {
            header,
            payload,
            signature,
            signing_input: compact.get(..signed).unwrap_or_default(),
        })
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(
                f,
                "the token has {bytes} bytes, the limit is {MAX_TOKEN_BYTES}"
            ),
            Self::NotThreeSegments { found } => {
                write!(f, "the token has {found} segments instead of 3")
            }
            Self::EmptySegment { segment } => write!(f, "the {segment} is empty"),
            Self::SegmentNotBase64url { segment } => {
                write!(f, "the {segment} is not base64url without padding")
            }
            Self::HeaderNotJson(error) => write!(f, "the header is not valid JSON: {error}"),
            Self::HeaderNotObject { found } => write!(f, "the header is {found}, not an object"),
            Self::AlgMissing => f.write_str("the header has no `alg`"),
            Self::AlgNotString { found } => write!(f, "`alg` is {found}, not a string"),
            Self::AlgNotSupported {
                registered: Some(name),
            } => write!(f, "the algorithm `{name}` is not supported"),
            Self::AlgNotSupported { registered: None } => {
                f.write_str("`alg` names an unknown algorithm")
            }
            Self::KidNotString { found } => write!(f, "`kid` is {found}, not a string"),
            Self::HeaderMemberNotString { member, found } => {
                write!(f, "`{member}` of the header is {found}, not a string")
            }
            Self::CritNotSupported => {
                f.write_str("the header has `crit`, and no extension is supported")
            }
            Self::UnencodedPayload => f.write_str("the header has `b64` other than true"),
            Self::PayloadNotJson(error) => write!(f, "the payload is not valid JSON: {error}"),
            Self::PayloadNotObject { found } => write!(f, "the payload is {found}, not an object"),
            Self::ClaimNotString { claim, found } => {
                write!(f, "`{claim}` is {found}, not a string")
            }
            Self::TimeNotNumber { claim, found } => write!(f, "`{claim}` is {found}, not a number"),
            Self::TimeNegative { claim } => write!(f, "`{claim}` lies before the epoch"),
            Self::AudNotStrings { found } => {
                write!(
                    f,
                    "`aud` is or has {found}, it has to be a string or an array of strings"
                )
            }
            Self::Ed25519SignatureLength { bytes } => write!(
                f,
                "the Ed25519 signature has {bytes} bytes instead of {ED25519_SIGNATURE_BYTES}"
            ),
        }
    }
}

impl core::error::Error for TokenError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::HeaderNotJson(error) | Self::PayloadNotJson(error) => Some(error),
            _ => None,
        }
    }
}
