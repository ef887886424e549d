//! Methods and header names, and which headers are free to carry a claim.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::diagnostic::quote;
use super::suggest;
use super::value::Fault;

/// Methods that are registered or widely used, to find slips of the pen.
const KNOWN_METHODS: [&str; 20] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "QUERY",
    "COPY",
    "LOCK",
    "MKCOL",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "REPORT",
    "SEARCH",
    "UNLOCK",
    "PURGE",
];

/// Whether a character may stand in a token (RFC 9110 §5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A method: a token (RFC 9110 §9.1) in upper case.
pub(super) fn check_method(method: &str) -> Result<(), Fault> {
    if method == "*" {
        return Err(Fault::new("is not a method").hint("leave `methods` out for every method"));
    }
    if method.is_empty() || !method.bytes().all(is_token_byte) {
        return Err(Fault::new("is not a method"));
    }
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(Fault::new("is not in upper case").hint(format!(
            "methods are case-sensitive; write {}",
            quote(&method.to_ascii_uppercase())
        )));
    }
    Ok(())
}

/// The known method that an unknown one may be meant as.
pub(super) fn misspelt_method(method: &str) -> Option<&'static str> {
    match KNOWN_METHODS.contains(&method) {
        true => None,
        false => suggest::nearest(method, KNOWN_METHODS),
    }
}

/// A header that may carry a claim, in lower case.
pub(super) fn parse_claim_header(header: &str) -> Result<String, Fault> {
    let example = "X-User-Id";
    let name = parse_header_name(header, example)?;
    match reserved(&name.replace('_', "-")) {
        None => Ok(name),
        Some(reason) => Err(Fault::new(format!("cannot carry a claim: {reason}"))
            .hint(format!("write a name such as {}", quote(example)))),
    }
}

/// A header that may hold a token, in lower case.
pub(super) fn parse_token_header(header: &str) -> Result<String, Fault> {
    let name = parse_header_name(header, "X-Jwt")?;
    let fault = |reason: &str| Fault::new(format!("cannot hold a token: {reason}"));
    match name.replace('_', "-").as_str() {
        "authorization" | "proxy-authorization" => Ok(name),
        cookie @ "cookie" => Err(fault(reserved(cookie).unwrap_or_default())
            .hint("write `{\"cookie\": \"NAME\"}` for the cookie with the token")),
        other => match reserved(other) {
            None => Ok(name),
            Some(reason) => {
                Err(fault(reason).hint("write a name such as `Authorization` or `X-Jwt`"))
            }
        },
    }
}

/// The longest prefix of a token, and the longest name of a query parameter or cookie, in bytes.
const MAX_PLACE_BYTES: usize = 64;

/// What stands before a token in a header.
pub(super) fn parse_prefix(prefix: &str) -> Result<String, Fault> {
    let fault = |message: &str| Err(Fault::new(message));
    if prefix.trim().is_empty() {
        return Err(Fault::new("holds nothing to look for")
            .hint("leave `prefix` out when the token is the whole value"));
    }
    if prefix.len() > MAX_PLACE_BYTES {
        return Err(Fault::new(format!(
            "is longer than {MAX_PLACE_BYTES} bytes"
        )));
    }
    if prefix.starts_with(' ') {
        return fault("begins with a space, which is not part of a header's value");
    }
    if prefix.ends_with("  ") {
        return Err(Fault::new("ends with several spaces")
            .hint("one stands for as many as there are; write one"));
    }
    if prefix.contains(',') {
        return fault("has a comma, which separates values that a proxy has joined");
    }
    match prefix.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        true => Ok(prefix.to_owned()),
        false => fault("has a character that does not stand in headers"),
    }
}

/// The name of a query parameter or cookie, as it is decoded.
pub(super) fn parse_parameter_name(name: &str) -> Result<String, Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !name.is_empty() && name.len() <= MAX_PLACE_BYTES && name.bytes().all(is_plain) {
        return Ok(name.to_owned());
    }
    Err(Fault::new("is not a name that a token can stand under").hint(format!(
        "letters, digits, `-`, `.`, `_` and `~`, at most {MAX_PLACE_BYTES}, as in `access_token`"
    )))
}

/// The name of a header, in lower case; `example` is one that could stand there.
fn parse_header_name(header: &str, example: &str) -> Result<String, Fault> {
    if header.starts_with(':') {
        return Err(
            Fault::new("is a pseudo-header, which is part of the request line")
                .hint(format!("write a name such as {}", quote(example))),
        );
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if header.is_empty() || !header.bytes().all(is_name) {
        return Err(Fault::new("is not a header name").hint(format!(
            "letters, digits, `-` and `_`, as in {}",
            quote(example)
        )));
    }
    Ok(header.to_ascii_lowercase())
}

/// A header that a route may have a condition on, in lower case.
pub(super) fn parse_condition_header(header: &str) -> Result<String, Fault> {
    let name = header.to_ascii_lowercase();
    let instead = match name.as_str() {
        ":method" => "methods have a field of their own, `methods`",
        ":path" => "paths have fields of their own, `path` and `path_regex`",
        ":authority" | "host" => "hosts belong to the app, in `hosts`",
        _ if name.starts_with(':') => "a condition is on a header such as `x-env`",
        _ => "",
    };
    if !instead.is_empty() {
        return Err(Fault::new("is part of the request line, not a header").hint(instead));
    }
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(Fault::new("is not a header name").hint("such as `x-env`"));
    }
    Ok(name)
}

/// Why a header, in lower case and with `-` for `_`, is not free to carry a claim.
fn reserved(name: &str) -> Option<&'static str> {
    Some(match name {
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "upgrade" => {
            "it is about a single connection (RFC 9110 §7.6.1), and proxies remove it"
        }
        "transfer-encoding" | "content-length" => "it says where the request ends (RFC 9112 §6)",
        "content-type" | "content-encoding" | "content-range" => {
            "it says what the body is (RFC 9110 §8)"
        }
        "host" => "it says whom the request is for (RFC 9110 §7.2)",
        "authorization" | "proxy-authorization" | "proxy-authenticate" => {
            "it holds credentials (RFC 9110 §11)"
        }
        "cookie" | "set-cookie" => "it holds cookies (RFC 6265)",
        "expect" => "it changes how the request is sent (RFC 9110 §10.1.1)",
        "forwarded"
        | "via"
        | "x-forwarded-for"
        | "x-forwarded-host"
        | "x-forwarded-proto"
        | "x-forwarded-port"
        | "x-forwarded-client-cert"
        | "x-real-ip"
        | "x-request-id" => "the proxy sets it itself",
        "x-nexus-report" => "the filter itself sets it",
        _ if name.starts_with("x-envoy-") => "Envoy takes its orders from it",
        _ => return None,
    })
}
