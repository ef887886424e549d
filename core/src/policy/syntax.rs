//! What is wrong with a text that is not JSON, in words that help.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

use super::diagnostic::{Code, Diagnostic, quote};
use crate::json::{Error, ErrorKind, MAX_DEPTH, Span};

/// A finding about a text that is not JSON.
pub(super) fn syntax_error(text: &[u8], error: Error) -> Diagnostic {
    let at = error.offset.min(text.len());
    let rest = text.get(at..).unwrap_or_default();
    let character = rest
        .utf8_chunks()
        .next()
        .and_then(|chunk| chunk.valid().chars().next());
    let before = text
        .get(..at)
        .unwrap_or_default()
        .trim_ascii_end()
        .last()
        .copied();
    let mut span = Span {
        start: at,
        end: at
            .saturating_add(character.map_or(1, char::len_utf8))
            .min(text.len()),
    };
    let (message, hint) = match (error.kind, character) {
        (ErrorKind::UnexpectedByte, Some(character)) => (
            format!(
                "{} cannot stand here",
                quote(character.encode_utf8(&mut [0; 4]))
            ),
            unexpected_hint(character, before),
        ),
        (ErrorKind::DuplicateMember, _) => {
            let name = string_at(text, at);
            span.end = at.saturating_add(name.len());
            (
                format!("the member {} appears twice", quote(name.trim_matches('"'))),
                Some("a name may appear once in an object; remove one of the two"),
            )
        }
        (ErrorKind::UnexpectedEnd, _) if text.trim_ascii().is_empty() => (
            "the text is empty".to_owned(),
            Some("a policy is a JSON object with `apps`"),
        ),
        (ErrorKind::UnexpectedEnd, _) => (
            "the text ends too early".to_owned(),
            Some("a bracket, brace or quote is not closed"),
        ),
        (ErrorKind::ByteOrderMark, _) => (
            "the text starts with a byte order mark".to_owned(),
            Some("save it as UTF-8 without a byte order mark"),
        ),
        (ErrorKind::TooDeep, _) => (
            format!("arrays and objects nested deeper than {}", MAX_DEPTH),
            None,
        ),
        (ErrorKind::InvalidNumber, _) => (
            "an invalid number".to_owned(),
            Some("a number has no leading zero, and a digit on both sides of its point"),
        ),
        (ErrorKind::ControlCharacter, _) => (
            "a control character inside a string".to_owned(),
            Some("write a line break as `\\n`, a tab as `\\t`"),
        ),
        (ErrorKind::InvalidEscape, _) => (
            "an invalid escape in a string".to_owned(),
            Some("a backslash is written as `\\\\`"),
        ),
        (kind, _) => (kind.to_string(), None),
    };
    let diagnostic = Diagnostic::error(Code::Syntax, span, "", message);
    match hint {
        Some(hint) => diagnostic.with_hint(hint),
        None => diagnostic,
    }
}

fn unexpected_hint(character: char, before: Option<u8>) -> Option<&'static str> {
    match (character, before) {
        ('}' | ']', Some(b',')) => Some("remove the comma before it"),
        ('"' | '{' | '[', Some(b'"' | b'}' | b']' | b'0'..=b'9' | b'e' | b'l')) => {
            Some("a comma or a colon is missing before it")
        }
        ('/' | '#', _) => Some("JSON has no comments"),
        ('\'', _) => Some("a string stands in double quotes"),
        ('\u{201c}' | '\u{201d}' | '\u{201e}', _) => {
            Some("a string stands in straight quotes: `\"`")
        }
        ('T' | 'F' | 'N', _) => Some("write `true`, `false` or `null` in lower case"),
        (_, Some(b'{' | b',')) => Some("the name of a member stands in double quotes"),
        _ => None,
    }
}

/// The string that begins at `at`, quotes included.
fn string_at(text: &[u8], at: usize) -> String {
    let rest = text.get(at..).unwrap_or_default();
    let mut escaped = false;
    let mut end = 0;
    for (index, byte) in rest.iter().enumerate() {
        end = index.saturating_add(1);
        match byte {
            b'"' if index > 0 && !escaped => break,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned()
}
