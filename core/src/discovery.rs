//! Where an issuer's keys are, as the issuer itself says: its metadata document (OpenID Connect Discovery
//! 1.0 §3, RFC 8414 §2).
//!
//! Of the document two members count: `issuer`, which has to be the configured one, and `jwks_uri`, which
//! may not lead to a host that the configuration does not name. Whoever could change either could sign
//! tokens. Nothing here fetches a document or knows how old it is.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::Ipv4Addr;

use crate::config::DiscoveryHost;
use crate::json;

/// The longest metadata document that is read, in bytes. Those of large identity providers have ten thousand.
pub const MAX_METADATA_BYTES: usize = 262_144;

/// The longest `jwks_uri` that is followed, in bytes.
pub const MAX_JWKS_URI_BYTES: usize = 2048;

/// How much of a document's value is repeated in an error, in characters.
const MAX_EVIDENCE_CHARS: usize = 128;

/// The paths of an issuer's metadata documents in the order in which they are tried, from the path of the
/// issuer's URL: that of OpenID Connect Discovery 1.0 §4.1, and that of RFC 8414 §3.1.
pub fn metadata_paths(issuer_path: &str) -> [String; 2] {
    let path = issuer_path.strip_suffix('/').unwrap_or(issuer_path);
    [
        format!("{path}/.well-known/openid-configuration"),
        format!("/.well-known/oauth-authorization-server{path}"),
    ]
}

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLocation {
    /// The URL as the document has it: visible ASCII.
    pub url: String,
    /// Which of the configured hosts it is on: an index into them.
    pub host: usize,
    /// The host and port as the URL has them, in lower case.
    pub authority: String,
    /// Path and query; begins with a slash.
    pub path: String,
}

/// Why a document does not say where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataError {
    /// More than [`MAX_METADATA_BYTES`].
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Not JSON.
    NotJson(json::Error),
    /// JSON, but no object.
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// A member that has to be a string is missing or something else.
    Member {
        /// Its name.
        name: &'static str,
        /// What it is, if it is there.
        found: Option<&'static str>,
    },
    /// `issuer` is not the one that was asked for (OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3).
    IssuerMismatch {
        /// What it is, cut.
        found: String,
    },
    /// `jwks_uri` is no URL that a key set can be fetched from.
    JwksUri {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// `jwks_uri` leads to a host that the configuration does not name.
    ForeignHost {
        /// The host, with its port if it has one.
        authority: String,
    },
}

impl MetadataError {
    /// The word for it in metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::IssuerMismatch { .. } => "issuer_mismatch",
            Self::ForeignHost { .. } => "foreign_host",
            _ => "invalid",
        }
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(
                f,
                "the document has {bytes} bytes, the limit is {MAX_METADATA_BYTES}"
            ),
            Self::NotJson(error) => write!(f, "the document is not valid JSON: {error}"),
            Self::NotAnObject { found } => write!(f, "the document is {found}, not an object"),
            Self::Member { name, found: None } => write!(f, "the document has no `{name}`"),
            Self::Member {
                name,
                found: Some(found),
            } => write!(f, "`{name}` of the document is {found}, not a string"),
            Self::IssuerMismatch { found } => write!(
                f,
                "the document is that of the issuer `{}`",
                found.escape_debug()
            ),
            Self::JwksUri { problem } => write!(f, "`jwks_uri` of the document {problem}"),
            Self::ForeignHost { authority } => write!(
                f,
                "`jwks_uri` of the document is on `{authority}`, which is neither the issuer's host nor one of \
                 `discovery_hosts`"
            ),
        }
    }
}

impl core::error::Error for MetadataError {}

/// Reads a metadata document: that of `issuer`, with its keys on one of `hosts`.
///
/// # Errors
/// A [`MetadataError`].
pub fn key_location(
    document: &[u8],
    issuer: &str,
    hosts: &[DiscoveryHost],
) -> Result<KeyLocation, MetadataError> {
    if document.len() > MAX_METADATA_BYTES {
        return Err(MetadataError::TooLarge {
            bytes: document.len(),
        });
    }
    let document = json::parse(document).map_err(MetadataError::NotJson)?;
    if document.as_object().is_none() {
        return Err(MetadataError::NotAnObject {
            found: document.kind_name(),
        });
    }
    let text = |name| {
        let value = document.member(name);
        value
            .and_then(json::Value::as_str)
            .ok_or(MetadataError::Member {
                name,
                found: value.map(json::Value::kind_name),
            })
    };
    let found = text("issuer")?;
    if found != issuer {
        return Err(MetadataError::IssuerMismatch {
            found: found.chars().take(MAX_EVIDENCE_CHARS).collect(),
        });
    }
    locate(text("jwks_uri")?, hosts)
}

/// The place of a `jwks_uri`, which has to be on one of `hosts`.
///
/// # Errors
/// [`MetadataError::JwksUri`] or [`MetadataError::ForeignHost`].
pub(crate) fn locate(url: &str, hosts: &[DiscoveryHost]) -> Result<KeyLocation, MetadataError> {
    let fault = |problem| MetadataError::JwksUri { problem };
    let parsed = HttpUrl::parse(url).map_err(fault)?;
    if parsed.scheme == "http" && !is_loopback(parsed.host) {
        return Err(fault("is not an `https` URL"));
    }
    let same_place = |host: &DiscoveryHost| {
        let (name, port) = split_port(&host.authority, default_port(&host.scheme))?;
        Some(name.eq_ignore_ascii_case(parsed.host) && port == parsed.port)
    };
    let host = hosts
        .iter()
        .position(|host| host.scheme == parsed.scheme && same_place(host) == Some(true));
    match host {
        Some(host) => Ok(KeyLocation {
            url: url.into(),
            host,
            authority: parsed.authority.to_ascii_lowercase(),
            path: format!(
                "{}{}",
                if parsed.target.starts_with('/') {
                    ""
                } else {
                    "/"
                },
                parsed.target
            ),
        }),
        None => Err(MetadataError::ForeignHost {
            authority: parsed.authority.chars().take(MAX_EVIDENCE_CHARS).collect(),
        }),
    }
}

/// An absolute `https` or `http` URL (RFC 3986 §3), taken apart.
struct HttpUrl<'u> {
    /// In lower case.
    scheme: &'static str,
    authority: &'u str,
    host: &'u str,
    port: u16,
    /// Path and query; may be empty.
    target: &'u str,
}

impl<'u> HttpUrl<'u> {
    /// # Errors
    /// What is wrong with the text, to stand behind its name.
    fn parse(url: &'u str) -> Result<Self, &'static str> {
        if url.len() > MAX_JWKS_URI_BYTES {
            return Err("is longer than 2048 bytes");
        }
        // What a URL never has as it is (RFC 3986 §2), a fragment included, which is never sent.
        let odd = |byte: u8| !byte.is_ascii_graphic() || b"\"#<>\\^`{|}".contains(&byte);
        if url.bytes().any(odd) {
            return Err("has a character that cannot stand in it");
        }
        let (scheme, rest) = url.split_once("://").ok_or("is not an absolute URL")?;
        let scheme = ["https", "http"]
            .into_iter()
            .find(|known| scheme.eq_ignore_ascii_case(known))
            .ok_or("is not an `https` URL")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err("has a user name or password before its host");
        }
        let (host, port) = split_port(authority, default_port(scheme)).ok_or("has a bad port")?;
        if !is_host(host) {
            return Err("has no host");
        }
        Ok(Self {
            scheme,
            authority,
            host,
            port,
            target,
        })
    }
}

fn default_port(scheme: &str) -> u16 {
    if scheme == "http" { 80 } else { 443 }
}

/// The host and port of an authority (RFC 3986 §3.2).
fn split_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    let name_end = authority.rfind(']').unwrap_or(0);
    let Some(colon) = authority.rfind(':').filter(|colon| *colon >= name_end) else {
        return Some((authority, default));
    };
    let (host, port) = authority.split_at_checked(colon)?;
    let digits = port.strip_prefix(':')?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|port| *port > 0 && is_number)?;
    Some((host, port))
}

/// A name, an IPv4 address, or an IPv6 address in brackets. Which of them exist is the proxy's affair.
fn is_host(host: &str) -> bool {
    let name = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let allowed = |byte: u8| match name {
        Some(_) => byte.is_ascii_hexdigit() || b":.".contains(&byte),
        None => byte.is_ascii_alphanumeric() || b"-._".contains(&byte),
    };
    let name = name.unwrap_or(host);
    !name.is_empty() && name.bytes().all(allowed)
}

/// Whether the host is this machine.
fn is_loopback(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
