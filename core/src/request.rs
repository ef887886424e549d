//! A request as the proxy shows it: names and values as bytes, nothing assumed about either.

use alloc::vec::Vec;

use crate::jose::Sha256Digest;

/// The headers of a request, pseudo-headers included, in the order of the proxy's map.
///
/// Names and values are bytes: what a client sends need not be UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    headers: &'r [(&'r [u8], &'r [u8])],
    certificate: Option<Sha256Digest>,
}

impl<'r> Request<'r> {
    /// A request with these headers.
    pub const fn new(headers: &'r [(&'r [u8], &'r [u8])]) -> Self {
        Self {
            headers,
            certificate: None,
        }
    }

    /// The same over a connection whose client showed a certificate with this SHA-256 digest of its DER form
    /// (RFC 8705 §3.1).
    #[must_use]
    pub const fn with_certificate(mut self, certificate: Option<Sha256Digest>) -> Self {
        self.certificate = certificate;
        self
    }

    /// The digest of the client's certificate; `None` when there is none, or when nobody asked for it.
    pub const fn certificate(&self) -> Option<Sha256Digest> {
        self.certificate
    }

    /// Every name and value.
    pub fn headers(&self) -> impl Iterator<Item = (&'r [u8], &'r [u8])> + use<'r> {
        self.headers.iter().copied()
    }

    /// Every value of the header `name`, which has to be lower case; names are compared without case.
    pub fn values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'r [u8]> + use<'r, 'n> {
        self.headers()
            .filter(move |(candidate, _)| is_named(candidate, name))
            .map(|(_, value)| value)
    }

    /// Every value of a header that a service might take for `name`, in whatever spelling: see
    /// [`fold_header_name`].
    pub fn folded_values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'r [u8]> + use<'r, 'n> {
        self.headers()
            .filter(move |(candidate, _)| folds_alike(candidate, name))
            .map(|(_, value)| value)
    }

    /// The value of a header that may stand only once; `None` when it is missing or stands more often.
    pub fn single(&self, name: &str) -> Option<&'r [u8]> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    /// Whether it is a CORS preflight (Fetch §3.3.2): `OPTIONS` with one `Origin` and one
    /// `Access-Control-Request-Method`, neither of them empty. Neither can have a comma in it; one that has was
    /// sent more than once, and joined by the proxy.
    pub fn is_cors_preflight(&self) -> bool {
        let has = |name| {
            self.single(name)
                .is_some_and(|value| !value.is_empty() && !value.contains(&b','))
        };
        self.single(":method") == Some(b"OPTIONS")
            && has("origin")
            && has("access-control-request-method")
    }

    /// Whether there is a header `name`, which has to be lower case; names are compared without case.
    pub fn has(&self, name: &str) -> bool {
        self.headers()
            .any(|(candidate, _)| is_named(candidate, name))
    }

    /// How many bytes its names and values have.
    pub fn size(&self) -> usize {
        self.headers()
            .map(|(name, value)| name.len().saturating_add(value.len()))
            .fold(0, usize::saturating_add)
    }

    /// The names for which `wanted` holds, as the request spells them. Each spelling once.
    pub fn spellings_of(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<&'r [u8]> {
        let mut found: Vec<&'r [u8]> = Vec::new();
        for (name, _) in self.headers() {
            if wanted(name) && !found.contains(&name) {
                found.push(name);
            }
        }
        found
    }
}

/// Whether a header has this name, which is lower case. Lengths come first: they tell most names apart.
#[inline]
fn is_named(candidate: &[u8], name: &str) -> bool {
    candidate.len() == name.len() && candidate.eq_ignore_ascii_case(name.as_bytes())
}

/// Whether services may fold a header name to `folded`, which [`fold_header_name`] made.
pub(crate) fn folds_to(name: &[u8], folded: &[u8]) -> bool {
    name.len() == folded.len()
        && name
            .iter()
            .zip(folded)
            .all(|(byte, folded)| fold_header_byte(*byte) == *folded)
}

/// A request that outlives what the proxy showed of it.
#[derive(Debug, Clone, Default)]
pub struct OwnedRequest {
    certificate: Option<Sha256Digest>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl OwnedRequest {
    /// A copy of a request.
    pub fn of(request: &Request<'_>) -> Self {
        Self {
            certificate: request.certificate(),
            headers: request
                .headers()
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect(),
        }
    }

    /// The digest of the client's certificate, for [`Request::with_certificate`].
    pub const fn certificate(&self) -> Option<Sha256Digest> {
        self.certificate
    }

    /// The headers, for [`Request::new`].
    pub fn headers(&self) -> Vec<(&[u8], &[u8])> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
            .collect()
    }

    /// How many bytes its names and values have.
    pub fn size(&self) -> usize {
        Request::new(&self.headers()).size()
    }
}

/// A header name in the form in which services that fold names compare them: lower case, and `-` for
/// everything that is neither a letter nor a digit.
///
/// CGI and WSGI servers turn both `X-User-Id` and `X_User_Id` into `HTTP_X_USER_ID` (RFC 3875 §4.1.18), some
/// of them `X.User.Id` as well. A pseudo-header keeps its colon, so that it never folds to a header.
pub fn fold_header_name(name: &str) -> Vec<u8> {
    name.bytes().map(fold_header_byte).collect()
}

/// Whether two header names fold to the same: see [`fold_header_name`].
///
/// Most are of another length, which is seen without a call.
#[inline]
pub(crate) fn folds_alike(name: &[u8], other: &str) -> bool {
    name.len() == other.len() && folds_alike_throughout(name, other.as_bytes())
}

#[inline(never)]
fn folds_alike_throughout(name: &[u8], other: &[u8]) -> bool {
    name.iter()
        .zip(other)
        .all(|(byte, other)| fold_header_byte(*byte) == fold_header_byte(*other))
}

pub(crate) const fn fold_header_byte(byte: u8) -> u8 {
    match byte {
        b':' => b':',
        other if other.is_ascii_alphanumeric() => other.to_ascii_lowercase(),
        _ => b'-',
    }
}
