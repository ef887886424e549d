//! Values that have a form of their own: names, hosts, paths.
//!
//! Each is parsed on its own, without regard to the rest of the policy. A value that is refused says what
//! is wrong with it and how it is written instead.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::net::{Ipv4Addr, Ipv6Addr};

use super::diagnostic::{is_unprintable, quote};
use crate::config::PathKind;
use crate::path::NormalPath;

/// What is wrong with a value, and how it is written instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// A text that is compared byte for byte: not empty, nothing invisible in it or around it.
pub(super) fn check_text(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::new("is empty"));
    }
    if let Some(hidden) = text.chars().find(|character| is_unprintable(*character)) {
        return Err(Fault::new(format!(
            "has the invisible character U+{:04X}",
            u32::from(hidden)
        )));
    }
    if text.trim() != text {
        return Err(Fault::new("has a space at its beginning or end")
            .hint("it is compared byte for byte; remove the space"));
    }
    Ok(())
}

/// The longest slug, and the longest name of a provider, in characters.
const MAX_NAME: usize = 63;

/// The short name of an app.
pub(super) fn check_slug(slug: &str) -> Result<(), Fault> {
    let rule = "lower-case letters, digits and `-`, a letter or digit first, at most 63 characters";
    if is_slug(slug) {
        return Ok(());
    }
    let proposal = slug.to_ascii_lowercase().replace(['_', ' ', '.'], "-");
    let hint = match is_slug(&proposal) {
        true => format!("write {}", quote(&proposal)),
        false => rule.to_owned(),
    };
    Err(Fault::new("is not a slug").hint(hint))
}

fn is_slug(slug: &str) -> bool {
    slug.len() <= MAX_NAME
        && slug.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && slug
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// The name of a provider.
pub(super) fn check_provider_name(name: &str) -> Result<(), Fault> {
    let is_valid = name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if is_valid {
        return Ok(());
    }
    Err(Fault::new("is not a name for a provider")
        .hint("letters, digits, `.`, `_` and `-`, a letter or digit first, at most 63 characters"))
}

/// A host pattern (`*`, `*.example.com`, `api.example.com`) in lower case.
pub(super) fn parse_host_pattern(pattern: &str) -> Result<String, Fault> {
    if pattern == "*" {
        return Ok(pattern.to_owned());
    }
    if let Some((_, rest)) = pattern.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        return Err(Fault::new("is a URL, not a host").hint(format!("write {}", quote(host))));
    }
    if pattern.contains('/') {
        return Err(Fault::new("has a path, and hosts are written without")
            .hint("the path stands in `gateway_path`"));
    }
    if let Some(suffix) = pattern.strip_prefix("*.") {
        let host = parse_host(suffix)?;
        if host.parse::<Ipv4Addr>().is_ok() || host.starts_with('[') {
            return Err(Fault::new("puts a wildcard before an address"));
        }
        return Ok(format!("*.{host}"));
    }
    if pattern.contains('*') {
        return Err(Fault::new("has `*` in a place where it means nothing")
            .hint("`*` is every host, `*.example.com` every host below `example.com`"));
    }
    parse_host(pattern)
}

/// The longest host name, in characters (RFC 1035 §2.3.4, without the dot of the root).
const MAX_HOST: usize = 253;
/// The longest label of a host name, in characters (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// A host without port, in lower case: a name, an IPv4 address, or an IPv6 address in brackets.
pub(super) fn parse_host(host: &str) -> Result<String, Fault> {
    if host.is_empty() {
        return Err(Fault::new("has no host"));
    }
    if let Some(address) = host.strip_prefix('[') {
        let is_valid = address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
        if !is_valid {
            return Err(Fault::new("has no valid IPv6 address in its brackets"));
        }
        return Ok(host.to_ascii_lowercase());
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return Err(Fault::new("is an IPv6 address without brackets")
            .hint(format!("write {}", quote(&format!("[{host}]")))));
    }
    if let Some((name, _)) = host.split_once(':') {
        return Err(Fault::new("has a port, and hosts are written without")
            .hint(format!("write {}; it holds for every port", quote(name))));
    }
    check_host_name(host)?;
    Ok(host.to_ascii_lowercase())
}

fn check_host_name(host: &str) -> Result<(), Fault> {
    if host.contains(['<', '>', '{', '}', '$']) {
        return Err(placeholder());
    }
    if let Some(stranger) = host.chars().find(|character| !character.is_ascii()) {
        return Err(Fault::new(format!(
            "has {} (U+{:04X}), not an ASCII character, in its host",
            quote(stranger.encode_utf8(&mut [0; 4])),
            u32::from(stranger)
        ))
        .hint("write an international name in its ASCII form, `xn--…`"));
    }
    if let Some(name) = host.strip_suffix('.') {
        return Err(
            Fault::new("has a dot at the end of its host").hint(format!("write {}", quote(name)))
        );
    }
    if host.len() > MAX_HOST {
        return Err(Fault::new(format!(
            "has a host of more than {MAX_HOST} characters"
        )));
    }
    for label in host.split('.') {
        if label.is_empty() {
            return Err(Fault::new(
                "has two dots in a row, or one at the beginning, in its host",
            ));
        }
        if label.len() > MAX_LABEL {
            return Err(Fault::new(format!(
                "has more than {MAX_LABEL} characters between two dots of its host"
            )));
        }
        let odd = label.chars().find(|character| {
            !(character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
        });
        if let Some(odd) = odd {
            let odd = quote(odd.encode_utf8(&mut [0; 4]));
            return Err(Fault::new(format!("has {odd} in its host")));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(Fault::new("has `-` beside a dot or an end of its host"));
        }
    }
    Ok(())
}

pub(super) fn placeholder() -> Fault {
    Fault::new("has a placeholder in it").hint("write the real value instead")
}

/// A path in the form in which requests are matched; no slash at the end, except that of `/` itself.
pub(super) fn parse_path(path: &str) -> Result<String, Fault> {
    if !path.starts_with('/') {
        let proposal = path.split_once("://").map_or(path, |(_, rest)| {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        });
        let slash = if proposal.starts_with('/') { "" } else { "/" };
        return Err(Fault::new("does not start with `/`")
            .hint(format!("write {}", quote(&format!("{slash}{proposal}")))));
    }
    if path.contains('*') {
        return Err(Fault::new("has `*` in a place where it means nothing"));
    }
    if let Some((before, _)) = path.split_once('?') {
        return Err(Fault::new("has a query, which has no part in matching")
            .hint(format!("write {}", quote(before))));
    }
    if path.contains(['{', '}', '<', '>']) {
        return Err(Fault::new("has a placeholder in it")
            .hint("a path is matched as it stands; `/*` at the end is everything below"));
    }
    if path.contains(';') {
        return Err(Fault::new(
            "has a parameter (`;`), which services read in different ways",
        ));
    }
    let encoded = encode_path(path);
    if encoded != path {
        return Err(
            Fault::new("has characters that a request has in percent-encoding")
                .hint(format!("write {}", quote(&encoded))),
        );
    }
    let normal = NormalPath::parse(path.as_bytes()).map_err(|error| {
        Fault::new(format!("cannot be a path: {error}"))
            .hint("requests with such a path are answered 400")
    })?;
    if normal.differs_from_request() {
        let normal = String::from_utf8_lossy(normal.as_bytes());
        return Err(Fault::new("is not in normal form").hint(format!("write {}", quote(&normal))));
    }
    Ok(match path.strip_suffix('/') {
        Some("") | None => path.to_owned(),
        Some(path) => path.to_owned(),
    })
}

/// The path with spaces and everything outside of ASCII in percent-encoding (RFC 3986 §2.1).
fn encode_path(path: &str) -> String {
    let mut encoded = String::new();
    for character in path.chars() {
        if character.is_ascii() && character != ' ' {
            encoded.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    encoded
}

/// What `*` in the path of a route means.
const STAR_HINT: &str =
    "`/files/*` is `/files` and everything below it, `/v*` every path that begins with `/v`";

/// The path of a route, and how paths are compared with it.
pub(super) fn parse_route_path(path: &str) -> Result<(String, PathKind), Fault> {
    let is_inside = path.trim_end_matches('*').contains('*');
    let fault = |fault: Fault| match fault.hint {
        // What else is wrong is no use to whoever wants a `*` in such a place.
        _ if is_inside => fault.hint(STAR_HINT),
        None if path.contains('*') => fault.hint(STAR_HINT),
        _ => fault,
    };
    if let Some(above) = path.strip_suffix("/*") {
        return match above {
            "" => Ok(("/".to_owned(), PathKind::Below)),
            above => Ok((parse_path(above).map_err(fault)?, PathKind::Below)),
        };
    }
    match path.strip_suffix('*') {
        Some("") => Err(Fault::new("does not start with `/`").hint("write `/*`")),
        Some(beginning) => Ok((parse_path(beginning).map_err(fault)?, PathKind::Prefix)),
        None => Ok((parse_path(path).map_err(fault)?, PathKind::Exact)),
    }
}
