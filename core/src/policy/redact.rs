//! Where secrets stand in a text, so that nothing that is shown repeats them.
//!
//! The scan works on text that is not JSON as well: the place of a syntax error is shown too. It rather
//! hides too much than too little.

use alloc::vec::Vec;

use crate::json::Span;

/// The values of private members of a JWK (RFC 7518 §6.2.2, §6.3.2) are never shorter.
const SHORTEST_PRIVATE_MEMBER: usize = 16;

/// The places of secrets, without their quotes, in the order of the text.
pub(super) fn secrets(text: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    let mut name: Option<&[u8]> = None;
    let mut position = 0;
    while let Some(byte) = text.get(position) {
        match byte {
            b'"' => {
                let start = position.saturating_add(1);
                let end = string_end(text, start);
                let content = text.get(start..end).unwrap_or_default();
                position = end.saturating_add(1);
                if is_name(text, position) {
                    name = Some(content);
                } else {
                    if is_secret(name, content) {
                        found.push(Span { start, end });
                    }
                    name = None;
                }
                continue;
            }
            b':' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => name = None,
        }
        position = position.saturating_add(1);
    }
    found
}

/// The offset of the quote that closes a string, or of the end of the line where none does.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut position = start;
    while let Some(byte) = text.get(position) {
        match byte {
            b'"' | b'\n' => return position,
            b'\\' => position = position.saturating_add(2),
            _ => position = position.saturating_add(1),
        }
    }
    text.len()
}

/// Whether the string that ends before `position` is the name of a member.
fn is_name(text: &[u8], position: usize) -> bool {
    text.get(position..)
        .unwrap_or_default()
        .iter()
        .find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        == Some(&b':')
}

fn is_secret(name: Option<&[u8]>, content: &[u8]) -> bool {
    contains(content, b"PRIVATE KEY")
        || has_user_info(content)
        || name.is_some_and(|name| is_secret_member(name, content))
}

fn is_secret_member(name: &[u8], content: &[u8]) -> bool {
    match name {
        b"k" => true,
        b"d" | b"p" | b"q" | b"dp" | b"dq" | b"qi" | b"r" | b"t" => {
            content.len() >= SHORTEST_PRIVATE_MEMBER
        }
        _ if name.ends_with(b"_env") => {
            contains_ignoring_case(name, b"secret") && !is_variable_name(content)
        }
        // A name that hides behind escapes.
        _ if name.contains(&b'\\') => true,
        _ => [&b"secret"[..], b"password", b"private"]
            .iter()
            .any(|word| contains_ignoring_case(name, word)),
    }
}

/// Whether this is the name that an environment variable can have.
pub(super) fn is_variable_name(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'A'..=b'Z' | b'a'..=b'z' | b'_'))
        && text
            .iter()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Whether a URL carries a user name or password (RFC 3986 §3.2.1).
fn has_user_info(content: &[u8]) -> bool {
    let Some(at) = content.windows(3).position(|window| window == b"://") else {
        return false;
    };
    content
        .get(at.saturating_add(3)..)
        .unwrap_or_default()
        .iter()
        .take_while(|byte| !matches!(byte, b'/' | b'?' | b'#'))
        .any(|byte| *byte == b'@')
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn contains_ignoring_case(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len())
        .any(|window| window.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn shown(text: &str) -> Vec<String> {
        secrets(text.as_bytes())
            .into_iter()
            .map(|span| text.get(span.start..span.end).unwrap().into())
            .collect()
    }

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        for (text, expected) in [
            (r#"{"k": "c2VjcmV0", "kty": "oct"}"#, &["c2VjcmV0"][..]),
            (r#"{"k" : "a\"b"}"#, &["a\\\"b"]),
            (r#"{"k": "never closed"#, &["never closed"]),
            ("{\"k\":\n\"x\n", &["x"]),
            (r#"{"d": "0123456789abcdef"}"#, &["0123456789abcdef"]),
            (r#"{"d": "X-Department"}"#, &[]),
            (r#"{"jwt_secret": "hunter2"}"#, &["hunter2"]),
            (r#"{"clientSecret": "hunter2"}"#, &["hunter2"]),
            (r#"{"\u006b": "hunter2"}"#, &["hunter2"]),
            (r#"{"jwt_secret_env": "JWT_SECRET"}"#, &[]),
            (r#"{"jwt_secret_env": "hunter-2"}"#, &["hunter-2"]),
            (
                r#"["-----BEGIN EC PRIVATE KEY-----"]"#,
                &["-----BEGIN EC PRIVATE KEY-----"],
            ),
            (r#"{"jwks_url": "https://u:p@h/x"}"#, &["https://u:p@h/x"]),
            (r#"{"jwks_url": "https://h/@x"}"#, &[]),
            (r#"{"n": "k"}"#, &[]),
            (r#"{"k": {"n": "x"}}"#, &[]),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
