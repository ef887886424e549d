//! The value of a claim as text for a header or a filter state.
//!
//! A value is written so that its reader can only read what the issuer signed, or it is refused: it is never
//! cut, trimmed or cleaned, since the service would take what is left for the identity of somebody else.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::ClaimFormat;
use crate::json::{Kind, Value};

/// How long the text of a claim may be, in bytes. Servers refuse more than this in one header.
pub const MAX_CLAIM_HEADER_BYTES: usize = 8 * 1024;

/// Why a claim cannot be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimProblem {
    /// Its text is longer than [`MAX_CLAIM_HEADER_BYTES`].
    TooLong,
    /// It has a control character (RFC 9110 §5.5).
    ControlCharacter,
    /// It starts or ends with a space, which is not part of a header's value (RFC 9110 §5.5): the service would
    /// see another.
    SpaceAtEnd,
    /// It, or an element of it, is an array or object where `comma` needs a string, number or boolean.
    NotScalar,
    /// An element is empty; in a list that is the same as none (RFC 9110 §5.6.1).
    ElementEmpty,
    /// An element has a comma or a quotation mark, at which a list is taken apart (RFC 9110 §5.6.1).
    ElementSeparator,
}

impl fmt::Display for ClaimProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "is longer than 8 KiB",
            Self::ControlCharacter => "has a control character",
            Self::SpaceAtEnd => "starts or ends with a space",
            Self::NotScalar => "is no array of strings, numbers and booleans",
            Self::ElementEmpty => "has an empty element",
            Self::ElementSeparator => "has an element with a comma or a quotation mark",
        })
    }
}

/// Writes a value in a format. A value that is `null`, an empty string or, in [`ClaimFormat::Comma`], an empty
/// array gives nothing.
///
/// # Errors
/// Why the value cannot be written so that it stays what it is.
pub(super) fn write(
    value: &Value<'_>,
    format: ClaimFormat,
) -> Result<Option<String>, ClaimProblem> {
    let text = match format {
        ClaimFormat::Text => plain(value).map(Cow::into_owned),
        ClaimFormat::Comma => comma(value)?,
        ClaimFormat::Base64 => match &value.kind {
            Kind::Array(_) | Kind::Object(_) => Some(STANDARD.encode(value.to_string())),
            _ => plain(value).map(Cow::into_owned),
        },
        ClaimFormat::Percent => plain(value).map(|text| percent(&text)),
    };
    match text {
        Some(text) => check(&text).map(|()| Some(text)),
        None => Ok(None),
    }
}

/// Strings, numbers and booleans as they are, arrays and objects as JSON.
fn plain<'v>(value: &'v Value<'_>) -> Option<Cow<'v, str>> {
    match &value.kind {
        Kind::Array(_) | Kind::Object(_) => Some(Cow::Owned(value.to_string())),
        _ => scalar(value),
    }
}

fn scalar<'v>(value: &'v Value<'_>) -> Option<Cow<'v, str>> {
    Some(Cow::Borrowed(match &value.kind {
        Kind::String(text) if !text.is_empty() => text,
        Kind::Number(number) => number.as_str(),
        Kind::Bool(true) => "true",
        Kind::Bool(false) => "false",
        _ => return None,
    }))
}

fn comma(value: &Value<'_>) -> Result<Option<String>, ClaimProblem> {
    let elements = match &value.kind {
        Kind::Array(elements) => elements.as_slice(),
        Kind::Object(_) => return Err(ClaimProblem::NotScalar),
        _ => match scalar(value) {
            Some(_) => core::slice::from_ref(value),
            None => return Ok(None),
        },
    };
    let mut list = String::new();
    for element in elements {
        let text = match &element.kind {
            Kind::Null | Kind::Array(_) | Kind::Object(_) => return Err(ClaimProblem::NotScalar),
            _ => scalar(element).ok_or(ClaimProblem::ElementEmpty)?,
        };
        if text.contains([',', '"']) {
            return Err(ClaimProblem::ElementSeparator);
        }
        check(&text)?;
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&text);
    }
    Ok((!list.is_empty()).then_some(list))
}

/// Everything but the unreserved characters of RFC 3986 §2.3 as its bytes in hexadecimal (§2.1).
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let digit = |value: u8| char::from_digit(value.into(), 16);
                encoded.push('%');
                encoded.extend(
                    [digit(byte >> 4), digit(byte & 0xf)]
                        .into_iter()
                        .flatten()
                        .map(|digit| digit.to_ascii_uppercase()),
                );
            }
        }
    }
    encoded
}

/// What keeps a text from standing in a header as it is.
fn check(text: &str) -> Result<(), ClaimProblem> {
    if text.len() > MAX_CLAIM_HEADER_BYTES {
        Err(ClaimProblem::TooLong)
    } else if text.chars().any(char::is_control) {
        Err(ClaimProblem::ControlCharacter)
    } else if text.starts_with(' ') || text.ends_with(' ') {
        Err(ClaimProblem::SpaceAtEnd)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use ClaimFormat::{Base64, Comma, Percent, Text};
    use ClaimProblem::{
        ControlCharacter, ElementEmpty, ElementSeparator, NotScalar, SpaceAtEnd, TooLong,
    };

    type Expected = Result<Option<&'static str>, ClaimProblem>;

    fn assert_all(cases: &[(ClaimFormat, &str, Expected)]) {
        for (format, value, expected) in cases {
            let parsed = json::parse(value.as_bytes()).unwrap();
            assert_eq!(
                write(&parsed, *format).as_ref().map(Option::as_deref),
                expected.as_ref().map(|text| *text),
                "{format:?} {value}"
            );
        }
    }

    #[test]
    fn text_is_the_value_unaltered_or_nothing_at_all() {
        assert_all(&[
            (Text, "null", Ok(None)),
            (Text, r#""""#, Ok(None)),
            (Text, r#""alice""#, Ok(Some("alice"))),
            (Text, r#""zoë Ċ""#, Ok(Some("zoë Ċ"))),
            (Text, "true", Ok(Some("true"))),
            (Text, "false", Ok(Some("false"))),
            (Text, "-0", Ok(Some("-0"))),
            (Text, "9007199254740993", Ok(Some("9007199254740993"))),
            (Text, "-9007199254740993", Ok(Some("-9007199254740993"))),
            (
                Text,
                "123456789012345678901234567890",
                Ok(Some("123456789012345678901234567890")),
            ),
            (Text, "1.50", Ok(Some("1.50"))),
            (Text, "1e3", Ok(Some("1e3"))),
            (Text, r#" [1, "a,b"] "#, Ok(Some(r#"[1,"a,b"]"#))),
            (Text, "[ ]", Ok(Some("[]"))),
            (Text, r#"{"a" : {} }"#, Ok(Some(r#"{"a":{}}"#))),
            // What JSON escapes is no control character of the header.
            (
                Text,
                r#"["a\nb","\u007f\u0085"]"#,
                Ok(Some(r#"["a\nb","\u007f\u0085"]"#)),
            ),
            (Text, r#""a\r\nx-admin: 1""#, Err(ControlCharacter)),
            (Text, r#""a\u0000""#, Err(ControlCharacter)),
            (Text, r#""a\tb""#, Err(ControlCharacter)),
            (Text, r#""a\u007f""#, Err(ControlCharacter)),
            (Text, r#""a\u0085""#, Err(ControlCharacter)),
            (Text, r#"" admin""#, Err(SpaceAtEnd)),
            (Text, r#""admin ""#, Err(SpaceAtEnd)),
        ]);
    }

    #[test]
    fn comma_joins_elements_that_a_reader_takes_apart_again() {
        assert_all(&[
            (Comma, "null", Ok(None)),
            (Comma, r#""""#, Ok(None)),
            (Comma, "[]", Ok(None)),
            (Comma, r#"["a"]"#, Ok(Some("a"))),
            (
                Comma,
                r#"["a", "b c", 1, true, "ë"]"#,
                Ok(Some("a,b c,1,true,ë")),
            ),
            (
                Comma,
                "[9007199254740993, -1]",
                Ok(Some("9007199254740993,-1")),
            ),
            // A claim that is a string or an array of them, as `aud`.
            (Comma, r#""a""#, Ok(Some("a"))),
            (Comma, "7", Ok(Some("7"))),
            (Comma, r#""a,b""#, Err(ElementSeparator)),
            (Comma, r#"["a", "b,admin"]"#, Err(ElementSeparator)),
            // A reader of quoted strings would take `"x,admin"` for one element.
            (Comma, r#"["\"x", "admin\""]"#, Err(ElementSeparator)),
            (Comma, r#"["a", ""]"#, Err(ElementEmpty)),
            (Comma, r#"[""]"#, Err(ElementEmpty)),
            (Comma, r#"["a", null]"#, Err(NotScalar)),
            (Comma, r#"["a", ["b"]]"#, Err(NotScalar)),
            (Comma, r#"[{"a": 1}]"#, Err(NotScalar)),
            (Comma, r#"{"a": 1}"#, Err(NotScalar)),
            (Comma, r#"["a\r\nb"]"#, Err(ControlCharacter)),
            (Comma, r#"["a\u0085"]"#, Err(ControlCharacter)),
            (Comma, r#"["a", " admin"]"#, Err(SpaceAtEnd)),
        ]);
    }

    #[test]
    fn base64_is_for_arrays_and_objects_only() {
        assert_all(&[
            (Base64, "null", Ok(None)),
            (Base64, r#""""#, Ok(None)),
            (Base64, r#""alice""#, Ok(Some("alice"))),
            (Base64, "9007199254740993", Ok(Some("9007199254740993"))),
            (Base64, "true", Ok(Some("true"))),
            (Base64, "[]", Ok(Some("W10="))),
            (Base64, r#"["a", "b"]"#, Ok(Some("WyJhIiwiYiJd"))),
            // `[">>>","???"]`: with `+` and `/`, not `-` and `_`.
            (
                Base64,
                r#"["<?>", "ÿÿ>"]"#,
                Ok(Some("WyI8Pz4iLCLDv8O/PiJd")),
            ),
            (
                Base64,
                r#"{"z": 1, "a": 9007199254740993}"#,
                Ok(Some("eyJ6IjoxLCJhIjo5MDA3MTk5MjU0NzQwOTkzfQ==")),
            ),
            (Base64, r#""a\nb""#, Err(ControlCharacter)),
            (Base64, r#""a ""#, Err(SpaceAtEnd)),
        ]);
    }

    #[test]
    fn percent_lets_everything_through_as_ascii() {
        assert_all(&[
            (Percent, "null", Ok(None)),
            (Percent, r#""""#, Ok(None)),
            (Percent, r#""AZaz09-._~""#, Ok(Some("AZaz09-._~"))),
            (Percent, r#"" a,b/c%d ""#, Ok(Some("%20a%2Cb%2Fc%25d%20"))),
            (Percent, r#""zoë""#, Ok(Some("zo%C3%AB"))),
            (
                Percent,
                r#""a\r\nx: 1\u0000""#,
                Ok(Some("a%0D%0Ax%3A%201%00")),
            ),
            (Percent, r#""\u0085""#, Ok(Some("%C2%85"))),
            (Percent, "-1.5", Ok(Some("-1.5"))),
            (Percent, r#"["a", 1]"#, Ok(Some("%5B%22a%22%2C1%5D"))),
        ]);
    }

    #[test]
    fn text_beyond_the_limit_is_refused_in_every_format() {
        let text = |length: usize| std::format!("\"{}\"", "a".repeat(length));
        // 5 characters around it make 6 more bytes of base64, or 12 of percent-encoding.
        let array = |length: usize| std::format!("[\"{}\"]", "a".repeat(length));
        let cases = [
            (
                Text,
                text(MAX_CLAIM_HEADER_BYTES),
                text(MAX_CLAIM_HEADER_BYTES + 1),
            ),
            (
                Text,
                array(MAX_CLAIM_HEADER_BYTES - 4),
                array(MAX_CLAIM_HEADER_BYTES - 3),
            ),
            (
                Comma,
                array(MAX_CLAIM_HEADER_BYTES),
                array(MAX_CLAIM_HEADER_BYTES + 1),
            ),
            (
                Base64,
                array(MAX_CLAIM_HEADER_BYTES / 4 * 3 - 4),
                array(MAX_CLAIM_HEADER_BYTES / 4 * 3 - 3),
            ),
            (
                Percent,
                array(MAX_CLAIM_HEADER_BYTES - 12),
                array(MAX_CLAIM_HEADER_BYTES - 11),
            ),
        ];
        for (format, fits, too_long) in cases {
            let written = write(&json::parse(fits.as_bytes()).unwrap(), format).unwrap();
            assert_eq!(
                written.map(|text| text.len()),
                Some(MAX_CLAIM_HEADER_BYTES),
                "{format:?}"
            );
            assert_eq!(
                write(&json::parse(too_long.as_bytes()).unwrap(), format),
                Err(TooLong)
            );
        }
        // The sum counts, not only each element.
        let halves = std::format!("[\"{0}\",\"{0}\"]", "a".repeat(MAX_CLAIM_HEADER_BYTES / 2));
        assert_eq!(
            write(&json::parse(halves.as_bytes()).unwrap(), Comma),
            Err(TooLong)
        );
    }
}
