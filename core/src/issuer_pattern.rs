//! Issuers that differ in a part of their name, as those of a provider with many tenants.
//!
//! A pattern names a bounded set: what `*` stands for has no dot and no slash, so that it can neither
//! leave its label of a host nor its segment of a path.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;

use crate::json::Value;
use crate::read::{self, Read, ReadError};
use crate::sort::sort_and_dedup;

/// How many characters a `*` stands for at most: the length of a label of a host (RFC 1035 §2.3.4).
pub const MAX_WILDCARD_CHARS: usize = 63;

/// How many `*` a pattern may have.
pub const MAX_WILDCARDS: usize = 8;

/// The longest pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// A pattern for `iss`: each `*` stands for 1 to [`MAX_WILDCARD_CHARS`] ASCII letters, digits, `-` and `_`,
/// everything else for itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct IssuerPattern(
    // INVARIANT: at most `MAX_PATTERN_BYTES`, with 1 to `MAX_WILDCARDS` times `*`, no two in a row.
    String,
);

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternError {
    /// There is no `*` in it.
    NoWildcard,
    /// There is nothing but a `*`.
    OnlyWildcard,
    /// There are two `*` in a row.
    AdjacentWildcards,
    /// There are more than [`MAX_WILDCARDS`].
    TooManyWildcards,
    /// It is longer than [`MAX_PATTERN_BYTES`].
    TooLong,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWildcard => f.write_str("has no `*`"),
            Self::OnlyWildcard => f.write_str("is nothing but a `*`"),
            Self::AdjacentWildcards => f.write_str("has two `*` in a row"),
            Self::TooManyWildcards => write!(f, "has more than {MAX_WILDCARDS} `*`"),
            Self::TooLong => write!(f, "is longer than {MAX_PATTERN_BYTES} bytes"),
        }
    }
}

impl core::error::Error for PatternError {}

impl IssuerPattern {
    /// The pattern that a text is.
    ///
    /// # Errors
    /// [`PatternError`]
    pub fn new(text: impl Into<String>) -> Result<Self, PatternError> {
        let text = text.into();
        let wildcards = text.bytes().filter(|byte| *byte == b'*').count();
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong);
        }
        match wildcards {
            0 => Err(PatternError::NoWildcard),
            _ if text.contains("**") => Err(PatternError::AdjacentWildcards),
            _ if text == "*" => Err(PatternError::OnlyWildcard),
            1..=MAX_WILDCARDS => Ok(Self(text)),
            _ => Err(PatternError::TooManyWildcards),
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `issuer` is one of those that the pattern stands for.
    pub fn matches(&self, issuer: &str) -> bool {
        let issuer = issuer.as_bytes();
        let longest = self
            .0
            .len()
            .saturating_add(MAX_WILDCARD_CHARS.saturating_mul(MAX_WILDCARDS));
        if issuer.len() > longest {
            return false;
        }
        let mut literals = self.0.split('*').map(str::as_bytes);
        let first = literals.next().unwrap_or_default();
        if !issuer.starts_with(first) {
            return false;
        }
        // Where in `issuer` the pattern may have come to. Bounded by the length of the issuer, and so is the work
        // for each wildcard.
        let mut reached = Vec::from([first.len()]);
        for literal in literals {
            reached = after_wildcard(issuer, &reached, literal);
        }
        reached.contains(&issuer.len())
    }
}

/// The places behind a wildcard and then `literal`, from any of the places `reached`.
fn after_wildcard(issuer: &[u8], reached: &[usize], literal: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    for start in reached {
        let rest = issuer.get(*start..).unwrap_or_default();
        let run = rest
            .iter()
            .take(MAX_WILDCARD_CHARS)
            .take_while(|byte| is_wild(**byte))
            .count();
        for length in 1..=run {
            let behind = rest.get(length..).unwrap_or_default();
            if behind.starts_with(literal) {
                places.push(start.saturating_add(length).saturating_add(literal.len()));
            }
        }
    }
    sort_and_dedup(&mut places);
    places
}

/// Whether a `*` may stand for the byte.
const fn is_wild(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

impl fmt::Display for IssuerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Read for IssuerPattern {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        Self::new(read::text(value)?).map_err(|error| ReadError::new(value, &error))
    }
}

impl From<IssuerPattern> for String {
    fn from(pattern: IssuerPattern) -> Self {
        pattern.0
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use std::assert_eq;

    use super::*;
    use crate::read::read_text;

    #[test]
    fn a_wildcard_stays_inside_of_its_label_or_segment() {
        let azure = "https://login.example.com/*/v2.0";
        let host = "https://*.idp.example.com";
        let label = |length| format!("https://{}.idp.example.com", "a".repeat(length));
        let cases = [
            (azure, "https://login.example.com/8f3-A_9/v2.0", true),
            (azure, "https://login.example.com/x/v2.0", true),
            (azure, "https://login.example.com//v2.0", false),
            (azure, "https://login.example.com/x/y/v2.0", false),
            (azure, "https://login.example.com/x.y/v2.0", false),
            (azure, "https://login.example.com/%78/v2.0", false),
            (azure, "https://login.example.com/x/v2.0/", false),
            (azure, "https://login.example.com/x/V2.0", false),
            (azure, "xhttps://login.example.com/x/v2.0", false),
            (azure, "https://login.example.com/*/v2.0", false),
            (azure, "", false),
            (host, "https://a.idp.example.com", true),
            (host, "https://a.b.idp.example.com", false),
            (host, "https://.idp.example.com", false),
            (host, "https://evil.example/a.idp.example.com", false),
            (host, "https://evil@a.idp.example.com", false),
            (host, "https://\u{e9}.idp.example.com", false),
            (host, "https://a.idp.example.com\n", false),
            (host, &label(63), true),
            (host, &label(64), false),
            ("https://*-x.test", "https://a-x.test", true),
            ("https://*-x.test", "https://a-x-x.test", true),
            ("https://*-x.test", "https://-x.test", false),
            ("https://*-x.test", "https://a-x-.test", false),
            ("a*b*", "aabab", true),
            ("a*b*", "ab1", false),
            ("a*b*", "axb", false),
            ("*.test/*", "a.test/b", true),
            ("*.test/*", "a.test/", false),
            ("*x", "xx", true),
            ("*x", "x", false),
        ];
        for (pattern, issuer, expected) in cases {
            let pattern = IssuerPattern::new(pattern).unwrap();
            assert_eq!(pattern.matches(issuer), expected, "{pattern}: {issuer}");
        }
    }

    #[test]
    fn a_hostile_issuer_is_judged_at_once() {
        let pattern = IssuerPattern::new("*a*a*a*a*a*a*a*a").unwrap();
        assert!(pattern.matches(&"a".repeat(16)));
        assert!(!pattern.matches(&format!("{}!", "a".repeat(500))));
        assert!(!pattern.matches(&"a".repeat(64 * 1024)));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let long = format!("*{}", "a".repeat(MAX_PATTERN_BYTES));
        let cases = [
            ("https://idp.example.com", PatternError::NoWildcard),
            ("", PatternError::NoWildcard),
            ("*", PatternError::OnlyWildcard),
            ("a**b", PatternError::AdjacentWildcards),
            ("*.*.*.*.*.*.*.*.*", PatternError::TooManyWildcards),
            (&long, PatternError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(IssuerPattern::new(text), Err(error), "{text}");
        }
        assert!(read_text::<IssuerPattern>("\"a\"").is_err());
        let pattern: IssuerPattern = read_text("\"a*\"").unwrap();
        assert_eq!(serde_json::to_string(&pattern).unwrap(), "\"a*\"");
    }
}
