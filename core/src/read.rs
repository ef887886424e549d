//! From JSON values to the types of a configuration, in little code.
//!
//! What serde derives keeps every member in a place of its own until all of them are there, and has what drops them again
//! at each place where one may be wrong: a seventh of the filter was that. Here a type says which members it has, and
//! takes each out of the object that was parsed. That no name appears twice is the parser's to see to.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::json::{self, Kind, Number, Value};

/// A type that is read from a JSON value.
pub(crate) trait Read: Sized {
    /// # Errors
    /// What is wrong with the value.
    fn read(value: &Value<'_>) -> Result<Self, ReadError>;
}

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// What is wrong.
    message: String,
    /// Offset of the first byte of what it is wrong with.
    offset: usize,
}

impl ReadError {
    /// Something is wrong with this value. No part of its text may be told: it may be a secret.
    #[cold]
    #[inline(never)]
    pub(crate) fn new(value: &Value<'_>, message: &dyn fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            offset: value.span.start,
        }
    }

    /// The value is of another kind.
    #[cold]
    #[inline(never)]
    pub(crate) fn unexpected(value: &Value<'_>, expected: &str) -> Self {
        let found = value.kind_name();
        Self::new(value, &format_args!("{found}, where {expected} has to be"))
    }

    #[cold]
    #[inline(never)]
    fn unknown(offset: usize, what: &str, name: &str, known: &[&str]) -> Self {
        Self {
            message: format!(
                "unknown {what} `{name}`, known are `{}`",
                known.join("`, `")
            ),
            offset,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.message)
    }
}

impl core::error::Error for ReadError {}

impl From<json::Error> for ReadError {
    fn from(error: json::Error) -> Self {
        Self {
            message: error.kind.to_string(),
            offset: error.offset,
        }
    }
}

/// The members of an object.
#[derive(Clone, Copy)]
pub(crate) struct Members<'v, 'a>(
    // INVARIANT: an object.
    &'v Value<'a>,
);

impl<'v, 'a> Members<'v, 'a> {
    /// The members of an object that may have these.
    ///
    /// # Errors
    /// When it is no object, or has another member.
    #[inline(never)]
    pub(crate) fn of(value: &'v Value<'a>, known: &[&str]) -> Result<Self, ReadError> {
        let members = value
            .as_object()
            .ok_or_else(|| ReadError::unexpected(value, "an object"))?;
        let unknown = members
            .iter()
            .find(|member| !known.contains(&member.name.as_ref()));
        match unknown {
            None => Ok(Self(value)),
            Some(member) => {
                let start = member.name_span.start;
                Err(ReadError::unknown(start, "field", &member.name, known))
            }
        }
    }

    #[inline(never)]
    fn get(self, name: &str) -> Result<&'v Value<'a>, ReadError> {
        self.0
            .member(name)
            .ok_or_else(|| ReadError::new(self.0, &format_args!("no field `{name}`")))
    }

    /// A member that has to be there.
    pub(crate) fn required<T: Read>(self, name: &str) -> Result<T, ReadError> {
        T::read(self.get(name)?)
    }

    /// A member, or `otherwise` where there is none.
    pub(crate) fn or<T: Read>(self, name: &str, otherwise: T) -> Result<T, ReadError> {
        match self.0.member(name) {
            Some(value) => T::read(value),
            None => Ok(otherwise),
        }
    }
}

/// A variant of an enum: a word, or an object with one member.
#[derive(Clone, Copy)]
pub(crate) struct Variant<'v, 'a> {
    value: &'v Value<'a>,
    pub(crate) name: &'v str,
    content: Option<&'v Value<'a>>,
}

impl<'v, 'a> Variant<'v, 'a> {
    /// # Errors
    /// When the value is neither.
    #[inline(never)]
    pub(crate) fn of(value: &'v Value<'a>) -> Result<Self, ReadError> {
        let (name, content) = match &value.kind {
            Kind::String(word) => (word.as_ref(), None),
            Kind::Object(members) => match members.as_slice() {
                [only] => (only.name.as_ref(), Some(&only.value)),
                _ => return Err(ReadError::unexpected(value, "an object with one member")),
            },
            _ => return Err(ReadError::unexpected(value, "a word or an object")),
        };
        Ok(Self {
            value,
            name,
            content,
        })
    }

    /// What a variant has that has something.
    #[inline(never)]
    pub(crate) fn content(self) -> Result<&'v Value<'a>, ReadError> {
        self.content
            .ok_or_else(|| ReadError::unexpected(self.value, "an object with one member"))
    }

    /// For a variant that has nothing.
    #[inline(never)]
    pub(crate) fn alone(self) -> Result<(), ReadError> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(ReadError::unexpected(self.value, "a word")),
        }
    }

    /// There is no such variant.
    pub(crate) fn unknown(self, known: &[&str]) -> ReadError {
        ReadError::unknown(self.value.span.start, "name", self.name, known)
    }
}

/// Which of some words a value is.
///
/// # Errors
/// When it is none of them.
#[inline(never)]
fn place_of_word(value: &Value<'_>, words: &[&str]) -> Result<usize, ReadError> {
    let word = text(value)?;
    let place = words.iter().position(|known| *known == word);
    place.ok_or_else(|| ReadError::unknown(value.span.start, "word", word, words))
}

/// The one of `all` whose word the value is; the words are in the same order.
///
/// # Errors
/// When it is none of them.
pub(crate) fn word<T: Copy>(value: &Value<'_>, words: &[&str], all: &[T]) -> Result<T, ReadError> {
    // INVARIANT: there are as many words.
    let found = all.get(place_of_word(value, words)?);
    found
        .copied()
        .ok_or_else(|| ReadError::unexpected(value, "a known word"))
}

/// The text of a string.
#[inline(never)]
pub(crate) fn text<'v>(value: &'v Value<'_>) -> Result<&'v str, ReadError> {
    value
        .as_str()
        .ok_or_else(|| ReadError::unexpected(value, "a string"))
}

/// The elements of an array.
#[inline(never)]
fn elements<'v, 'a>(value: &'v Value<'a>) -> Result<&'v [Value<'a>], ReadError> {
    value
        .as_array()
        .ok_or_else(|| ReadError::unexpected(value, "an array"))
}

/// A whole number of at most `max`.
#[inline(never)]
fn number(value: &Value<'_>, max: u64) -> Result<u64, ReadError> {
    let number = value.as_number().and_then(Number::as_u64);
    number
        .filter(|number| *number <= max)
        .ok_or_else(|| ReadError::new(value, &format_args!("not a whole number from 0 to {max}")))
}

/// Reads a document.
#[cfg(test)]
pub(crate) fn read_text<T: Read>(text: &str) -> Result<T, ReadError> {
    T::read(&json::parse(text.as_bytes())?)
}

/// Reads an object as a struct: the members that have to be there, and behind `or default` the others.
macro_rules! read_object {
    ($type:ident { $($required:ident),* $(,)? } $(or default { $($optional:ident),* $(,)? })?) => {
        impl $crate::read::Read for $type {
            #[inline(never)]
            fn read(value: &$crate::json::Value<'_>) -> Result<Self, $crate::read::ReadError> {
                let members = $crate::read::Members::of(
                    value,
                    &[$(stringify!($required),)* $($(stringify!($optional),)*)?],
                )?;
                Ok(Self {
                    $($required: members.required(stringify!($required))?,)*
                    $($($optional: members.or(stringify!($optional), Default::default())?,)*)?
                })
            }
        }
    };
}

/// Reads a word as one of the variants of an enum; where there are no words, those that its `name` gives for its `ALL`.
macro_rules! read_word {
    ($type:ident) => {
        impl $crate::read::Read for $type {
            #[inline(never)]
            fn read(value: &$crate::json::Value<'_>) -> Result<Self, $crate::read::ReadError> {
                $crate::read::word(value, &Self::ALL.map(Self::name), &Self::ALL)
            }
        }
    };
    ($type:ident { $($word:literal => $variant:ident),* $(,)? }) => {
        impl $crate::read::Read for $type {
            #[inline(never)]
            fn read(value: &$crate::json::Value<'_>) -> Result<Self, $crate::read::ReadError> {
                $crate::read::word(value, &[$($word),*], &[$(Self::$variant),*])
            }
        }
    };
}

/// Reads an enum whose variants have something, which is an object with the variant as its only member, or, behind
/// `alone`, nothing, which is a word.
macro_rules! read_variant {
    ($type:ident { $($name:literal => $variant:ident),* $(,)? } $(alone { $($word:literal => $unit:ident),* $(,)? })?) => {
        impl $crate::read::Read for $type {
            #[inline(never)]
            fn read(value: &$crate::json::Value<'_>) -> Result<Self, $crate::read::ReadError> {
                let found = $crate::read::Variant::of(value)?;
                match found.name {
                    $($name => $crate::read::Read::read(found.content()?).map(Self::$variant),)*
                    $($($word => found.alone().map(|()| Self::$unit),)*)?
                    _ => Err(found.unknown(&[$($name,)* $($($word,)*)?])),
                }
            }
        }
    };
}

pub(crate) use {read_object, read_variant, read_word};

impl Read for bool {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        match value.kind {
            Kind::Bool(truth) => Ok(truth),
            _ => Err(ReadError::unexpected(value, "`true` or `false`")),
        }
    }
}

impl Read for u64 {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        number(value, u64::MAX)
    }
}

impl Read for u32 {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        // INVARIANT: it is not larger.
        number(value, u32::MAX.into()).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }
}

impl Read for u16 {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        // INVARIANT: it is not larger.
        number(value, u16::MAX.into()).map(|number| u16::try_from(number).unwrap_or(u16::MAX))
    }
}

impl Read for String {
    #[inline(never)]
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        text(value).map(Self::from)
    }
}

impl<T: Read> Read for Option<T> {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        match value.kind {
            Kind::Null => Ok(None),
            _ => T::read(value).map(Some),
        }
    }
}

impl<T: Read> Read for Box<T> {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        T::read(value).map(Self::new)
    }
}

impl<T: Read> Read for Vec<T> {
    #[inline(never)]
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        let elements = elements(value)?;
        let mut read = Self::with_capacity(elements.len());
        for element in elements {
            read.push(T::read(element)?);
        }
        Ok(read)
    }
}

impl<T: Read, U: Read> Read for (T, U) {
    #[inline(never)]
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        match elements(value)? {
            [first, second] => Ok((T::read(first)?, U::read(second)?)),
            _ => Err(ReadError::unexpected(value, "an array of two")),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use std::vec;

    use super::{Read, read_text as read};

    #[derive(Debug, PartialEq)]
    struct House {
        number: u16,
        name: Option<String>,
        rooms: Vec<Room>,
    }

    #[derive(Debug, PartialEq)]
    enum Room {
        Kitchen,
        Hall(u64),
        Inner(Box<Room>),
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Colour {
        Red,
        Green,
    }

    read_object!(House { number } or default { name, rooms });
    read_variant!(Room { "hall" => Hall, "inner" => Inner } alone { "kitchen" => Kitchen });
    read_word!(Colour { "red" => Red, "green" => Green });

    fn problem<T: Read + core::fmt::Debug>(text: &str) -> String {
        read::<T>(text).unwrap_err().to_string()
    }

    #[test]
    fn each_form_is_read() {
        let text = r#"{"number": 7, "name": "a\u0062", "rooms": ["kitchen", {"hall": 3}, {"inner": "kitchen"}]}"#;
        let expected = House {
            number: 7,
            name: Some("ab".into()),
            rooms: vec![
                Room::Kitchen,
                Room::Hall(3),
                Room::Inner(Box::new(Room::Kitchen)),
            ],
        };
        assert_eq!(read::<House>(text).unwrap(), expected);
        let least = read::<House>(r#"{"number": 65535, "name": null}"#).unwrap();
        assert_eq!(
            (least.number, least.name, least.rooms),
            (65_535, None, vec![])
        );
        assert_eq!(read::<Colour>("\"green\"").unwrap(), Colour::Green);
        assert_eq!(
            read::<(bool, u32)>("[true, 4294967295]").unwrap(),
            (true, u32::MAX)
        );
        assert_eq!(read::<u64>("18446744073709551615").unwrap(), u64::MAX);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected) in [
            ("[7]", "at byte 0: an array, where an object has to be"),
            (" {}", "at byte 1: no field `number`"),
            (
                r#"{"number": 1, "street": 2}"#,
                "at byte 14: unknown field `street`, known are `number`, `name`, `rooms`",
            ),
            (
                r#"{"number": 65536}"#,
                "at byte 11: not a whole number from 0 to 65535",
            ),
            (
                r#"{"number": -1}"#,
                "at byte 11: not a whole number from 0 to 65535",
            ),
            (
                r#"{"number": 1.5}"#,
                "at byte 11: not a whole number from 0 to 65535",
            ),
            (
                r#"{"number": "1"}"#,
                "at byte 11: not a whole number from 0 to 65535",
            ),
            (
                r#"{"number": 1, "name": []}"#,
                "at byte 22: an array, where a string has to be",
            ),
            (
                r#"{"number": 1, "rooms": null}"#,
                "at byte 23: null, where an array has to be",
            ),
            (
                r#"{"number": 1, "rooms": ["attic"]}"#,
                "at byte 24: unknown name `attic`, known are `hall`, `inner`, `kitchen`",
            ),
            (
                r#"{"number": 1, "rooms": [{"kitchen": 1}]}"#,
                "at byte 24: an object, where a word has to be",
            ),
            (
                r#"{"number": 1, "rooms": ["hall"]}"#,
                "at byte 24: a string, where an object with one member has to be",
            ),
            (
                r#"{"number": 1, "rooms": [{}]}"#,
                "at byte 24: an object, where an object with one member has to be",
            ),
            (
                r#"{"number": 1, "rooms": [2]}"#,
                "at byte 24: a number, where a word or an object has to be",
            ),
            (
                r#"{"number": 1, "number": 1}"#,
                "at byte 14: a member that appears twice",
            ),
            (r#"{"number": 1"#, "at byte 12: the text ends too early"),
        ] {
            assert_eq!(problem::<House>(text), expected, "{text}");
        }
        assert_eq!(
            problem::<Colour>("\"blue\""),
            "at byte 0: unknown word `blue`, known are `red`, `green`"
        );
        assert_eq!(
            problem::<bool>("\"true\""),
            "at byte 0: a string, where `true` or `false` has to be"
        );
        assert_eq!(
            problem::<(u32, u32)>("[1, 2, 3]"),
            "at byte 0: an array, where an array of two has to be"
        );
    }

    #[test]
    fn no_secret_is_told() {
        assert!(!problem::<House>(r#"{"number": "hunter2"}"#).contains("hunter2"));
    }
}
