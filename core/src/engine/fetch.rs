//! What a fetch is, to those who carry it out: what to send, what came back, why it was of no use.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use super::freshness::Freshness;
use crate::discovery::{MAX_METADATA_BYTES, MetadataError};
use crate::jose::{JwkSetError, MAX_JWKS_BYTES};
use crate::revocation::{MAX_LIST_BYTES, RevocationError};

/// A fetch, so that its answer can be told from that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u64);

/// What a fetch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// A JWK set.
    Keys,
    /// An issuer's metadata document, which says where its keys are.
    Metadata,
    /// A list of what is revoked.
    Revocations,
}

impl Content {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Keys, Self::Metadata, Self::Revocations];

    /// The first part of the names of its counters.
    pub const fn counter(self) -> &'static str {
        match self {
            Self::Keys => "jwks_fetch",
            Self::Metadata => "discovery_fetch",
            Self::Revocations => "revocation_fetch",
        }
    }

    /// The words for failures that it may have, as [`FetchFailure::code`] gives them.
    pub const fn failures(self) -> &'static [&'static str] {
        match self {
            Self::Keys => &[
                "not_sent",
                "no_response",
                "status",
                "invalid",
                "no_usable_key",
            ],
            Self::Metadata => &[
                "not_sent",
                "no_response",
                "status",
                "invalid",
                "issuer_mismatch",
                "foreign_host",
            ],
            Self::Revocations => &["not_sent", "no_response", "status", "invalid"],
        }
    }

    /// The `accept` of a request for it.
    pub const fn accept(self) -> &'static str {
        match self {
            Self::Keys => "application/jwk-set+json, application/json",
            Self::Metadata => "application/json",
            Self::Revocations => "application/octet-stream, application/json",
        }
    }

    /// What it is, in the plural.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Metadata => "metadata",
            Self::Revocations => "revocation list",
        }
    }
}

/// Where something is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The URL, for logs and tests.
    pub url: String,
    /// The proxy's cluster that the request is sent to.
    pub cluster: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The `:authority` of the request.
    pub authority: String,
    /// The `:path` of the request, query included.
    pub path: String,
}

impl Target {
    /// The URL for logs: without its query, where people put keys of APIs.
    pub(super) fn label(&self) -> String {
        label(&self.url)
    }
}

/// A URL without its query.
pub(super) fn label(url: &str) -> String {
    url.split('?').next().unwrap_or_default().into()
}

/// A fetch to be made: a `GET` without a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// To be given back with the answer.
    pub id: FetchId,
    /// What is expected.
    pub content: Content,
    /// Where.
    pub target: Target,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// The `if-none-match` of the request: the entity tag of what is there already (RFC 9110 §13.1.2).
    pub if_none_match: Option<String>,
}

impl Fetch {
    /// The `accept` of the request.
    pub const fn accept(&self) -> &'static str {
        self.content.accept()
    }

    /// How many bytes of a body are of use. One more shows that there were too many.
    pub const fn max_body_bytes(&self) -> usize {
        match self.content {
            Content::Keys => MAX_JWKS_BYTES,
            Content::Metadata => MAX_METADATA_BYTES,
            Content::Revocations => MAX_LIST_BYTES,
        }
    }
}

/// What came back from a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchAnswer<'a> {
    /// An HTTP response.
    Response {
        /// Its status.
        status: u16,
        /// What its headers say about how long it holds.
        freshness: Freshness,
        /// Its body. A large one is better owned: it may be kept as it is.
        body: Cow<'a, [u8]>,
    },
    /// No response: no connection, a reset, a timeout.
    NoResponse,
    /// The proxy did not send the request, as it does when it has no such cluster.
    NotSent,
}

impl<'a> FetchAnswer<'a> {
    /// An HTTP response that says nothing about its freshness.
    pub fn response(status: u16, body: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::Response {
            status,
            freshness: Freshness::default(),
            body: body.into(),
        }
    }

    /// The same with other headers.
    #[must_use]
    pub fn with_freshness(self, freshness: Freshness) -> Self {
        match self {
            Self::Response { status, body, .. } => Self::Response {
                status,
                freshness,
                body,
            },
            other => other,
        }
    }

    /// What its headers say about how long it holds.
    pub(super) fn freshness(&self) -> Freshness {
        match self {
            Self::Response { freshness, .. } => freshness.clone(),
            Self::NoResponse | Self::NotSent => Freshness::default(),
        }
    }

    /// The body of a response that has one to read.
    pub(super) fn body(self) -> Result<Cow<'a, [u8]>, FetchFailure> {
        match self {
            Self::Response {
                status: 200, body, ..
            } => Ok(body),
            Self::Response { status, .. } => Err(FetchFailure::Status(status)),
            Self::NoResponse => Err(FetchFailure::NoResponse),
            Self::NotSent => Err(FetchFailure::NotSent),
        }
    }
}

/// Why a fetch was of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchFailure {
    /// The proxy did not send the request.
    NotSent,
    /// No response.
    NoResponse,
    /// A status other than 200.
    Status(u16),
    /// The body is no JWK set.
    Invalid(JwkSetError),
    /// A JWK set without a key that can be used.
    NoUsableKey,
    /// The body is no metadata document that says where the issuer's keys are.
    Metadata(MetadataError),
    /// The body is no list of what is revoked.
    Revocations(RevocationError),
}

impl FetchFailure {
    /// The word for it in metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::NoResponse => "no_response",
            Self::Status(_) => "status",
            Self::Invalid(_) | Self::Revocations(_) => "invalid",
            Self::NoUsableKey => "no_usable_key",
            Self::Metadata(error) => error.code(),
        }
    }
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => {
                f.write_str("the proxy did not send the request; is the cluster configured?")
            }
            Self::NoResponse => f.write_str("no response"),
            // Envoy answers a callout itself when it cannot reach the source.
            Self::Status(status @ (503 | 504)) => write!(
                f,
                "status {status}, which is also what the proxy says when it cannot reach the source"
            ),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Invalid(error) => error.fmt(f),
            Self::NoUsableKey => f.write_str("no key of the set can be used"),
            Self::Metadata(error) => error.fmt(f),
            Self::Revocations(error) => error.fmt(f),
        }
    }
}
