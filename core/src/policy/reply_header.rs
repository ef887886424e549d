//! Headers and content types of replies, and which of them a policy may write.

use alloc::format;
use alloc::string::String;

use super::http::is_token_byte;
use super::value::{Fault, check_text};

/// The longest value of a header of a reply, in bytes, with substitutions as they are written.
const MAX_HEADER_BYTES: usize = 4096;

/// A header that a policy may put into replies, in lower case.
pub(super) fn parse_reply_header(header: &str) -> Result<String, Fault> {
    if header.starts_with(':') {
        return Err(Fault::new(
            "is a pseudo-header, which is part of the status line",
        ));
    }
    if header.is_empty() || !header.bytes().all(is_token_byte) {
        return Err(Fault::new("is not a header name")
            .hint("letters, digits, `-` and `_`, as in `X-Reason`"));
    }
    let name = header.to_ascii_lowercase();
    match reserved(&name) {
        None => Ok(name),
        Some((reason, hint)) => {
            let fault = Fault::new(format!("cannot be set by a policy: {reason}"));
            Err(Fault {
                hint: hint.map(String::from),
                ..fault
            })
        }
    }
}

/// Why a header, in lower case, is none that a policy may write, and what to write instead.
fn reserved(name: &str) -> Option<(&'static str, Option<&'static str>)> {
    Some(match name {
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "upgrade" => {
            ("it is about a single connection (RFC 9110 §7.6.1)", None)
        }
        "transfer-encoding" | "content-length" => {
            ("it says where the reply ends (RFC 9112 §6)", None)
        }
        "content-encoding" | "content-range" => {
            ("it says how the body is to be read (RFC 9110 §8)", None)
        }
        "content-type" => (
            "it says what the body is (RFC 9110 §8.3)",
            Some("write `content_type` beside `body`"),
        ),
        "www-authenticate" => (
            "it holds the challenge (RFC 9110 §11.6.1)",
            Some("write `realm` or `resource_metadata` in `replies`"),
        ),
        "proxy-authenticate"
        | "proxy-authorization"
        | "authorization"
        | "authentication-info"
        | "proxy-authentication-info" => ("it belongs to authentication (RFC 9110 §11)", None),
        "location" => (
            "it leads somewhere else (RFC 9110 §10.2.2)",
            Some("write `redirect` in `replies`"),
        ),
        "set-cookie" | "set-cookie2" => (
            "any other site can make a browser ask for a refusal, and would change the cookies with it",
            None,
        ),
        "date" | "server" | "via" | "x-request-id" => ("the proxy sets it itself", None),
        "grpc-status" | "grpc-message" | "grpc-status-details-bin" => (
            "it is the status of a gRPC call, which the proxy sets",
            None,
        ),
        _ if name.starts_with("x-envoy-") => ("Envoy takes its orders from it", None),
        _ => return None,
    })
}

/// A text that stands in one line of a reply: not empty, nothing invisible in it or around it.
pub(super) fn check_line(text: &str) -> Result<(), Fault> {
    check_text(text).map_err(|fault| Fault {
        // What is said about comparing is no matter here.
        hint: None,
        ..fault
    })
}

/// The value of a header: visible ASCII, with spaces between (RFC 9110 §5.5).
pub(super) fn check_header_value(value: &str) -> Result<(), Fault> {
    check_line(value)?;
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(Fault::new(
            "has a character beyond ASCII, which a header does not carry safely",
        ));
    }
    if value.len() > MAX_HEADER_BYTES {
        return Err(Fault::new(format!(
            "has more than {MAX_HEADER_BYTES} characters"
        )));
    }
    Ok(())
}

/// A content type (RFC 9110 §8.3.1), with the character set that bodies are sent in.
pub(super) fn parse_content_type(content_type: &str) -> Result<String, Fault> {
    check_line(content_type)?;
    let mut parts = content_type.split(';');
    let essence = parts.next().unwrap_or_default();
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
    let (kind, subtype) = essence.trim_end().split_once('/').unwrap_or_default();
    if !is_token(kind) || !is_token(subtype) {
        return Err(
            Fault::new("is not a content type").hint("a type and a subtype, as in `text/html`")
        );
    }
    let mut has_charset = false;
    for parameter in parts {
        let Some((name, value)) = parameter.trim().split_once('=') else {
            return Err(Fault::new("has a parameter that is not `name=value`"));
        };
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value);
        if !is_token(name) || !is_token(value) {
            return Err(Fault::new("has a parameter that is not `name=value`"));
        }
        if name.eq_ignore_ascii_case("charset") {
            if !value.eq_ignore_ascii_case("utf-8") {
                return Err(Fault::new(
                    "has another character set than UTF-8, in which bodies are sent",
                )
                .hint("leave `charset` out"));
            }
            has_charset = true;
        }
    }
    let is_text = kind.eq_ignore_ascii_case("text");
    Ok(match is_text && !has_charset {
        true => format!("{content_type}; charset=utf-8"),
        false => content_type.into(),
    })
}
