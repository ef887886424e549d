//! Regular expressions that match a whole text, in time linear in its length.
//!
//! The syntax is RE2's without Unicode classes, so that an expression of Envoy means the same here. It is
//! of its own because the crates of that kind either need a standard library or add a quarter of a
//! megabyte to the module. There is no search, no capture and no backtracking: an expression becomes a
//! list of instructions (Thompson's construction), and a text is read once, character by character, with
//! the set of instructions that it may be at. Nothing here may take longer than the length of the text
//! times [`MAX_INSTRUCTIONS`].

mod parse;
mod program;

use alloc::string::String;
use core::fmt;

use program::Program;

/// The longest expression, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1024;
/// The most instructions that an expression may become.
pub const MAX_INSTRUCTIONS: usize = 512;
/// How deep groups may be nested.
pub const MAX_DEPTH: usize = 32;
/// The largest number in a repetition (`{1000}`), as in RE2.
pub const MAX_REPETITION: u32 = 1000;

/// A compiled regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regex(Program);

impl Regex {
    /// Compiles an expression. `ignore_case` takes ASCII letters of both cases for the same, as `(?i)` does.
    ///
    /// # Errors
    /// Returns what is wrong with the expression, and where.
    pub fn new(pattern: &str, ignore_case: bool) -> Result<Self, RegexError> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(RegexError::TooLong);
        }
        let tree = parse::parse(pattern, ignore_case)?;
        Program::new(&tree).map(Self)
    }

    /// Whether the expression matches the whole text. A text that is not UTF-8 is not matched by any.
    pub fn matches(&self, text: &[u8]) -> bool {
        core::str::from_utf8(text).is_ok_and(|text| self.0.matches(text))
    }

    /// What every text begins with that matches.
    pub(crate) fn literal_prefix(&self) -> String {
        self.0.literal_prefix()
    }

    /// Whether any text that begins with this character may match. `false` is certain; `true` is not.
    pub fn may_begin_with(&self, char: char) -> bool {
        self.0.may_begin_with(char)
    }
}

/// What is wrong with a regular expression. Positions are characters, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegexError {
    /// Longer than [`MAX_PATTERN_BYTES`].
    TooLong,
    /// More than [`MAX_INSTRUCTIONS`].
    TooLarge,
    /// Groups are nested deeper than [`MAX_DEPTH`].
    TooDeep {
        /// The group's `(`.
        at: usize,
    },
    /// A group without `)`.
    UnclosedGroup {
        /// Its `(`.
        at: usize,
    },
    /// A `)` without a group.
    UnopenedGroup {
        /// The `)`.
        at: usize,
    },
    /// `(?` with something behind it that is no flag of RE2 and no name.
    UnknownGroup {
        /// The `(`.
        at: usize,
    },
    /// A class without `]`.
    UnclosedClass {
        /// Its `[`.
        at: usize,
    },
    /// `[[:name:]]` with a name that does not exist.
    UnknownClass {
        /// The inner `[`.
        at: usize,
    },
    /// A range of a class whose end is before its beginning, or is not a character.
    InvalidRange {
        /// Where it begins.
        at: usize,
    },
    /// A backslash with something behind it that has no meaning, or none that is supported.
    UnknownEscape {
        /// The backslash.
        at: usize,
        /// The character behind it; `None` at the end of the expression.
        escaped: Option<char>,
    },
    /// A repetition of nothing, or of a repetition.
    NothingToRepeat {
        /// The `*`, `+`, `?` or `{`.
        at: usize,
    },
    /// `{` without numbers behind it, with more than [`MAX_REPETITION`], or with the larger one first.
    InvalidRepetition {
        /// The `{`.
        at: usize,
    },
}

impl fmt::Display for RegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it is longer than {MAX_PATTERN_BYTES} bytes"),
            Self::TooLarge => write!(f, "it becomes more than {MAX_INSTRUCTIONS} instructions"),
            Self::TooDeep { at } => write!(
                f,
                "the group at character {at} is nested deeper than {MAX_DEPTH}"
            ),
            Self::UnclosedGroup { at } => write!(f, "the group at character {at} has no `)`"),
            Self::UnopenedGroup { at } => write!(f, "the `)` at character {at} closes no group"),
            Self::UnknownGroup { at } => {
                write!(
                    f,
                    "the group at character {at} begins with a `(?` that RE2 does not have"
                )
            }
            Self::UnclosedClass { at } => write!(f, "the class at character {at} has no `]`"),
            Self::UnknownClass { at } => {
                write!(
                    f,
                    "the class at character {at} has a name that RE2 does not have"
                )
            }
            Self::InvalidRange { at } => {
                write!(
                    f,
                    "the range at character {at} does not lead from one character to a later one"
                )
            }
            Self::UnknownEscape {
                at,
                escaped: Some('p' | 'P'),
            } => write!(f, "the class of Unicode at character {at} is not supported"),
            Self::UnknownEscape {
                at,
                escaped: Some(escaped),
            } => write!(
                f,
                "the escape `\\{}` at character {at} has no meaning",
                escaped.escape_default()
            ),
            Self::UnknownEscape { at, escaped: None } => {
                write!(f, "the backslash at character {at} has nothing behind it")
            }
            Self::NothingToRepeat { at } => {
                write!(f, "the repetition at character {at} has nothing to repeat")
            }
            Self::InvalidRepetition { at } => write!(
                f,
                "the `{{` at character {at} begins no repetition of at most {MAX_REPETITION}; as a character it is written `\\{{`"
            ),
        }
    }
}

impl core::error::Error for RegexError {}

#[cfg(test)]
mod tests;
