//! Conditions on texts: equal, beginning with, ending in, containing, matching a regular expression.
//!
//! One kind of condition for header values, query parameters, subjects and claims, so that it means the
//! same everywhere. Texts are bytes that a client may choose: each condition takes time linear in the text.

use alloc::string::String;
use core::fmt;

use crate::config::{MAX_TEXT_MATCH_BYTES, TextMatch, TextMatchKind};
use crate::regex::{Regex, RegexError};

/// A condition on a text, ready for use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextMatcher {
    test: Test,
    ignore_case: bool,
}

/// Texts are in lower case where case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(Regex),
}

/// Why a condition cannot be used. `compile-policy` refuses such a one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextMatchError {
    /// The text is empty, which nothing or everything would match.
    Empty,
    /// The text is longer than [`MAX_TEXT_MATCH_BYTES`].
    TooLong,
    /// The regular expression is none.
    Regex(RegexError),
}

impl fmt::Display for TextMatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the text is empty"),
            Self::TooLong => write!(f, "the text is longer than {MAX_TEXT_MATCH_BYTES} bytes"),
            Self::Regex(error) => write!(f, "the regular expression cannot be used: {error}"),
        }
    }
}

impl core::error::Error for TextMatchError {}

impl TextMatcher {
    /// A condition from the configuration.
    ///
    /// # Errors
    /// Returns why it cannot be used.
    pub fn new(condition: &TextMatch) -> Result<Self, TextMatchError> {
        let TextMatch {
            kind,
            text,
            ignore_case,
        } = condition;
        if text.is_empty() {
            return Err(TextMatchError::Empty);
        }
        if text.len() > MAX_TEXT_MATCH_BYTES {
            return Err(TextMatchError::TooLong);
        }
        let folded = || match ignore_case {
            true => text.to_ascii_lowercase(),
            false => text.clone(),
        };
        let test = match kind {
            TextMatchKind::Exact => Test::Exact(folded()),
            TextMatchKind::Prefix => Test::Prefix(folded()),
            TextMatchKind::Suffix => Test::Suffix(folded()),
            TextMatchKind::Contains => Test::Contains(folded()),
            TextMatchKind::Regex => {
                Test::Regex(Regex::new(text, *ignore_case).map_err(TextMatchError::Regex)?)
            }
        };
        Ok(Self {
            test,
            ignore_case: *ignore_case,
        })
    }

    /// Whether the text fulfils the condition. It may be any bytes; a regular expression matches no text
    /// that is not UTF-8.
    pub fn matches(&self, text: &[u8]) -> bool {
        match &self.test {
            Test::Exact(wanted) => self.same(text, wanted),
            Test::Prefix(wanted) => text
                .get(..wanted.len())
                .is_some_and(|start| self.same(start, wanted)),
            Test::Suffix(wanted) => text
                .len()
                .checked_sub(wanted.len())
                .and_then(|from| text.get(from..))
                .is_some_and(|end| self.same(end, wanted)),
            // What is searched is UTF-8, so it is found inside of what is UTF-8 or not at all.
            Test::Contains(wanted) => text.utf8_chunks().any(|chunk| match self.ignore_case {
                true => chunk.valid().to_ascii_lowercase().contains(wanted),
                false => chunk.valid().contains(wanted),
            }),
            Test::Regex(regex) => regex.matches(text),
        }
    }

    /// What [`matches`](Self::matches) says, or `None` where another way to read the bytes might say otherwise: a
    /// regular expression takes characters, and services read what is not UTF-8 in ways of their own.
    pub fn judge(&self, text: &[u8]) -> Option<bool> {
        match &self.test {
            Test::Regex(_) if core::str::from_utf8(text).is_err() => None,
            _ => Some(self.matches(text)),
        }
    }

    fn same(&self, text: &[u8], wanted: &str) -> bool {
        match self.ignore_case {
            true => text.eq_ignore_ascii_case(wanted.as_bytes()),
            false => text == wanted.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(kind: TextMatchKind, text: &str, ignore_case: bool) -> TextMatcher {
        TextMatcher::new(&TextMatch {
            kind,
            text: text.into(),
            ignore_case,
        })
        .expect(text)
    }

    #[test]
    fn each_kind_compares_the_part_that_it_names() {
        use TextMatchKind::*;
        let cases: &[(TextMatchKind, &str, bool, &[u8], bool)] = &[
            (Exact, "svc-a", false, b"svc-a", true),
            (Exact, "svc-a", false, b"SVC-A", false),
            (Exact, "svc-a", false, b"svc-a ", false),
            (Exact, "Svc-A", true, b"sVC-a", true),
            (Exact, "caf\u{c9}", true, "caf\u{e9}".as_bytes(), false),
            (Prefix, "svc-", false, b"svc-a", true),
            (Prefix, "svc-", false, b"svc-", true),
            (Prefix, "svc-", false, b"svc", false),
            (Prefix, "svc-", false, b"Svc-a", false),
            (Prefix, "SVC-", true, b"svc-\xff", true),
            (Suffix, ".test", false, b"a.test", true),
            (Suffix, ".test", false, b"test", false),
            (Suffix, ".test", false, b"a.test.", false),
            (Suffix, ".TEST", true, b"\xff.tesT", true),
            (Contains, "bot", false, b"a bot is", true),
            (Contains, "bot", false, b"bo", false),
            (Contains, "bot", false, b"", false),
            (Contains, "bot", false, b"a BOT", false),
            (Contains, "BOT", true, b"a bOt", true),
            (Contains, "bot", false, b"\xffbot\xff", true),
            (Contains, "bot", false, b"bo\xfft", false),
            (Contains, "\u{e9}", false, b"caf\xc3\xa9\xff", true),
            (Regex, "svc-[a-z]+", false, b"svc-ab", true),
            (Regex, "svc-[a-z]+", false, b"xsvc-ab", false),
            (Regex, "svc-[a-z]+", false, b"svc-ab\n", false),
            (Regex, "svc-[a-z]+", false, b"svc-AB", false),
            (Regex, "svc-[a-z]+", true, b"SVC-AB", true),
            (Regex, "(?s).*", false, b"\xff", false),
        ];
        for (kind, text, ignore_case, given, expected) in cases {
            assert_eq!(
                matcher(*kind, text, *ignore_case).matches(given),
                *expected,
                "{kind:?} {text} {given:?}"
            );
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let refused = |kind, text: String| {
            TextMatcher::new(&TextMatch {
                kind,
                text,
                ignore_case: false,
            })
            .expect_err("refused")
        };
        assert_eq!(
            refused(TextMatchKind::Prefix, String::new()),
            TextMatchError::Empty
        );
        assert_eq!(
            refused(TextMatchKind::Exact, "a".repeat(MAX_TEXT_MATCH_BYTES + 1)),
            TextMatchError::TooLong
        );
        assert_eq!(
            refused(TextMatchKind::Regex, "(".into()),
            TextMatchError::Regex(RegexError::UnclosedGroup { at: 1 })
        );
    }
}
