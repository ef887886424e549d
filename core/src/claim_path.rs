//! Which claim of a token is meant: one at the top, or one inside of others.
//!
//! A name is compared as it is, dots, slashes and all, since claims that are named by a URL are common: the
//! way into an object is a list of names, and never a text that would have to be split.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;

use crate::json::{self, MAX_DEPTH, Value};
use crate::read::{Read, ReadError};

/// The way to a claim: the name of a top-level claim, and then those of members, each inside of the one before.
///
/// Its form in JSON is a string where it is one name, else an array of strings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "Written")]
pub struct ClaimPath(
    // INVARIANT: 1 to `MAX_STEPS` names.
    Vec<String>,
);

/// How many names a path may have: claims that nest deeper are not read at all.
pub const MAX_STEPS: usize = MAX_DEPTH;

/// A path that has no name, or more than [`MAX_STEPS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepsError {
    /// How many names it has.
    pub found: usize,
}

impl fmt::Display for StepsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            0 => f.write_str("a path to a claim has no name"),
            found => write!(
                f,
                "a path to a claim has {found} names, the limit is {MAX_STEPS}"
            ),
        }
    }
}

impl core::error::Error for StepsError {}

impl ClaimPath {
    /// The top-level claim of that name.
    pub fn top(name: impl Into<String>) -> Self {
        Self(Vec::from([name.into()]))
    }

    /// The claim at the end of these names.
    ///
    /// # Errors
    /// [`StepsError`] when there is no name, or more than [`MAX_STEPS`].
    pub fn new(names: Vec<String>) -> Result<Self, StepsError> {
        match names.len() {
            1..=MAX_STEPS => Ok(Self(names)),
            found => Err(StepsError { found }),
        }
    }

    /// The names, from the top. At least one.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The name, where it is a top-level claim.
    pub fn as_top(&self) -> Option<&str> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether it is the top-level claim of that name.
    pub fn is_top(&self, name: &str) -> bool {
        self.as_top() == Some(name)
    }
}

/// The path as a policy writes it: the name alone, or `["a","b"]`.
impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.as_top() {
            return f.write_str(name);
        }
        for (index, name) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "[" } else { "," })?;
            json::write_string(f, name)?;
        }
        f.write_str("]")
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written {
    Name(String),
    Names(Vec<String>),
}

impl Read for ClaimPath {
    fn read(value: &Value<'_>) -> Result<Self, ReadError> {
        match value.as_str() {
            Some(name) => Ok(Self::top(name)),
            None => Self::new(Read::read(value)?).map_err(|error| ReadError::new(value, &error)),
        }
    }
}

impl From<ClaimPath> for Written {
    fn from(path: ClaimPath) -> Self {
        match <[String; 1]>::try_from(path.0) {
            Ok([name]) => Self::Name(name),
            Err(names) => Self::Names(names),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use std::assert_eq;
    use std::vec;

    use super::*;
    use crate::jose::Claims;
    use crate::read::read_text;

    fn path(json: &str) -> ClaimPath {
        read_text(json).unwrap()
    }

    #[test]
    fn a_path_is_written_as_it_was_read() {
        for (json, shown) in [
            (r#""sub""#, "sub"),
            (
                r#""https://example.com/roles""#,
                "https://example.com/roles",
            ),
            (r#"["a","b.c"]"#, r#"["a","b.c"]"#),
            (r#"["a","\"\u0000"]"#, r#"["a","\"\u0000"]"#),
        ] {
            assert_eq!(serde_json::to_string(&path(json)).unwrap(), json);
            assert_eq!(path(json).to_string(), shown);
        }
        assert_eq!(path(r#"["sub"]"#), ClaimPath::top("sub"));
        for json in ["[]", "7", "null", "{}", r#"["a",1]"#] {
            assert!(read_text::<ClaimPath>(json).is_err(), "{json}");
        }
        let names = |count| vec![String::from("a"); count];
        assert!(ClaimPath::new(names(MAX_STEPS)).is_ok());
        assert_eq!(
            ClaimPath::new(names(MAX_STEPS + 1)),
            Err(StepsError { found: 65 })
        );
    }

    #[test]
    fn a_claim_is_found_by_its_names_alone() {
        let claims = br#"{"a":{"b":{"c":1},"b.c":2,"n":null},"a.b":3,"https://x/y":4,"l":[{"b":5}],"s":"b","":{"":6},"n":null}"#;
        let claims = Claims::parse(claims).unwrap();
        let cases = [
            (r#"["a","b","c"]"#, Some("1")),
            (r#"["a","b.c"]"#, Some("2")),
            (r#""a.b""#, Some("3")),
            (r#""https://x/y""#, Some("4")),
            (r#"["a","b"]"#, Some(r#"{"c":1}"#)),
            (r#"["",""]"#, Some("6")),
            (r#""b""#, None),
            (r#"["a","c"]"#, None),
            (r#"["a","b","c","d"]"#, None),
            (r#"["l","b"]"#, None),
            (r#"["l","0"]"#, None),
            (r#"["s","b"]"#, None),
            (r#""n""#, None),
            (r#"["a","n"]"#, None),
            (r#"["n","a"]"#, None),
            (r#""A""#, None),
        ];
        for (json, expected) in cases {
            let found = claims.at(&path(json)).map(ToString::to_string);
            assert_eq!(found.as_deref(), expected, "{json}");
        }
    }
}
