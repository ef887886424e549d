//! The URL of a key set.

use alloc::format;
use alloc::string::String;
use core::net::Ipv4Addr;

use super::diagnostic::quote;
use super::value::{Fault, check_text, parse_host, placeholder};

/// The URL of a key set, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JwksUrl {
    /// `https` or `http`.
    pub(super) scheme: &'static str,
    /// Host and port as written, in lower case.
    pub(super) authority: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query; at least `/`.
    pub(super) path: String,
}

impl JwksUrl {
    /// Reads an absolute `https` or `http` URL (RFC 3986 §3).
    pub(super) fn parse(url: &str) -> Result<Self, Fault> {
        check_text(url)?;
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(Fault::new("is not an absolute URL")
                .hint("write `https://…`, with the host and the path of the key set"));
        };
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "https" => ("https", 443),
            "http" => ("http", 80),
            _ => {
                return Err(Fault::new("is neither an `https` nor an `http` URL")
                    .hint("for keys from a file there is `jwks_file`"));
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(Fault::new("has a user name or password before its host"));
        }
        if url.contains(['<', '>', '{', '}']) {
            return Err(placeholder());
        }
        if target.contains('#') {
            return Err(Fault::new("has a fragment (`#`), which is never sent"));
        }
        let (host, port) = split_port(authority, default_port)?;
        let host = parse_host(host)?;
        check_target(target)?;
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            scheme,
            authority: authority.to_ascii_lowercase(),
            host,
            port,
            path: format!("{slash}{target}"),
        })
    }

    /// Whether the host is this machine.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

/// Whether a host, in lower case, is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The host and port of an authority (RFC 3986 §3.2).
pub(super) fn split_port(authority: &str, default: u16) -> Result<(&str, u16), Fault> {
    let colon = match authority.rfind(']') {
        Some(bracket) => authority
            .get(bracket..)
            .and_then(|rest| rest.find(':'))
            .map(|at| at.saturating_add(bracket)),
        None => authority.rfind(':'),
    };
    let Some((host, port)) = colon.and_then(|at| authority.split_at_checked(at)) else {
        return Ok((authority, default));
    };
    let digits = port.trim_start_matches(':');
    match digits.parse::<u16>() {
        Ok(port) if port > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok((host, port))
        }
        _ => Err(Fault::new(format!("has the port {}", quote(digits)))
            .hint("a port is a number from 1 to 65535")),
    }
}

/// What stands behind the host of a URL: visible ASCII, escapes whole.
pub(super) fn check_target(target: &str) -> Result<(), Fault> {
    if let Some(odd) = target
        .chars()
        .find(|character| !character.is_ascii_graphic() || "\"\\^`|".contains(*character))
    {
        return Err(Fault::new(format!(
            "has {} in its path",
            quote(odd.encode_utf8(&mut [0; 4]))
        ))
        .hint("such characters stand in percent-encoding in a URL"));
    }
    let mut parts = target.split('%');
    parts.next();
    let is_whole = |part: &str| {
        part.get(..2)
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    match parts.all(is_whole) {
        true => Ok(()),
        false => Err(Fault::new("has a `%` without two hexadecimal digits")),
    }
}
