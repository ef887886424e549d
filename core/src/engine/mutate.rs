//! Which headers the service sees.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::decision::Denial;
use crate::config::ClaimHeader;
use crate::jose::Claims;
use crate::json::{Kind, Value};

/// How long a header that carries a claim may be, in bytes. Servers refuse more than this in one header.
pub const MAX_CLAIM_HEADER_BYTES: usize = 8 * 1024;

/// The headers that carry claims. A claim that is absent, `null` or an empty string gives none.
///
/// # Errors
/// Returns [`Denial::ClaimNotForwardable`] for a value that a header cannot carry as it is: it is never
/// cut or altered, since the service would take it for the identity of somebody else.
pub(super) fn claim_headers(
    claims: &Claims<'_>,
    wanted: &[ClaimHeader],
) -> Result<Vec<(String, String)>, Denial> {
    let mut headers = Vec::with_capacity(wanted.len());
    for ClaimHeader { claim, header } in wanted {
        let Some(value) = claims.value(claim).and_then(header_value) else {
            continue;
        };
        if let Some(problem) = problem(&value) {
            return Err(Denial::ClaimNotForwardable {
                claim: claim.clone(),
                problem,
            });
        }
        headers.push((header.clone(), value.into_owned()));
    }
    Ok(headers)
}

/// Strings, numbers and booleans as they are, arrays and objects as JSON.
fn header_value<'v>(value: &'v Value<'_>) -> Option<Cow<'v, str>> {
    match &value.kind {
        Kind::Null => None,
        Kind::String(text) if text.is_empty() => None,
        Kind::String(text) => Some(Cow::Borrowed(text)),
        Kind::Number(number) => Some(Cow::Borrowed(number.as_str())),
        Kind::Bool(true) => Some(Cow::Borrowed("true")),
        Kind::Bool(false) => Some(Cow::Borrowed("false")),
        Kind::Array(_) | Kind::Object(_) => Some(Cow::Owned(value.to_string())),
    }
}

/// What keeps a value from standing in a header (RFC 9110 §5.5).
fn problem(value: &str) -> Option<&'static str> {
    if value.len() > MAX_CLAIM_HEADER_BYTES {
        Some("is longer than 8 KiB")
    } else if value.chars().any(char::is_control) {
        Some("has a control character")
    } else if value.starts_with(' ') || value.ends_with(' ') {
        // White space at the ends is not part of a header's value: the service would see another.
        Some("starts or ends with a space")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(claims: &str) -> Result<Option<String>, &'static str> {
        let claims = Claims::parse(claims.as_bytes()).unwrap();
        let wanted = [ClaimHeader {
            claim: "c".into(),
            header: "x-c".into(),
        }];
        match claim_headers(&claims, &wanted) {
            Ok(headers) => Ok(headers.into_iter().next().map(|(name, value)| {
                assert_eq!(name, "x-c");
                value
            })),
            Err(Denial::ClaimNotForwardable { claim, problem }) => {
                assert_eq!(claim, "c");
                Err(problem)
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn claims_become_headers_unaltered_or_not_at_all() {
        let cases = [
            ("{}", Ok(None)),
            (r#"{"c":null}"#, Ok(None)),
            (r#"{"c":""}"#, Ok(None)),
            (r#"{"c":"alice"}"#, Ok(Some("alice"))),
            (r#"{"c":"zoë Ċ"}"#, Ok(Some("zoë Ċ"))),
            (r#"{"c":true}"#, Ok(Some("true"))),
            (r#"{"c":9007199254740993}"#, Ok(Some("9007199254740993"))),
            (r#"{"c":1.50}"#, Ok(Some("1.50"))),
            (r#"{"c": [1, "a,b"] }"#, Ok(Some(r#"[1,"a,b"]"#))),
            (r#"{"c":["a\nb"]}"#, Ok(Some(r#"["a\nb"]"#))),
            (r#"{"c":{"a":{}}}"#, Ok(Some(r#"{"a":{}}"#))),
            (r#"{"c":"a\r\nx-admin: 1"}"#, Err("has a control character")),
            (r#"{"c":"a\u0000"}"#, Err("has a control character")),
            (r#"{"c":"a\tb"}"#, Err("has a control character")),
            (r#"{"c":"a\u007f"}"#, Err("has a control character")),
            (r#"{"c":"a\u0085"}"#, Err("has a control character")),
            (r#"{"c":" admin"}"#, Err("starts or ends with a space")),
            (r#"{"c":"admin "}"#, Err("starts or ends with a space")),
        ];
        for (claims, expected) in cases {
            assert_eq!(
                header(claims),
                expected.map(|value| value.map(String::from)),
                "{claims}"
            );
        }
        let long = |length: usize| std::format!(r#"{{"c":"{}"}}"#, "a".repeat(length));
        assert!(header(&long(MAX_CLAIM_HEADER_BYTES)).is_ok());
        assert_eq!(
            header(&long(MAX_CLAIM_HEADER_BYTES + 1)),
            Err("is longer than 8 KiB")
        );
    }
}
