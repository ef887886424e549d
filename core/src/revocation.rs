//! Lists of what is revoked although its signature is good: tokens by `jti`, subjects, signing keys.
//!
//! A list holds an entry in twelve bytes, whatever form it came in: eight of a digest and four of a time,
//! sorted, so that a lookup is a binary search in the bytes as they were received. The compact form of a
//! list is these bytes behind a header, and is taken over without a copy. `docs/revocation-lists.md`
//! describes both forms. Nothing here fetches a list or knows how old it is.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::json::{self, Value};
use crate::read::read_word;
use crate::sort::sort_by;

/// The most entries that a list may have.
pub const MAX_ENTRIES: usize = 1 << 21;

/// The longest list in the compact form, in bytes: 24 MiB, and the header. Envoy buffers an answer of up to 32 MiB.
pub const MAX_LIST_BYTES: usize = HEADER_BYTES + MAX_ENTRIES * RECORD_BYTES;

/// The longest list in JSON, in bytes. Reading JSON takes a multiple of it, so longer lists come in the
/// compact form.
pub const MAX_JSON_BYTES: usize = 1_048_576;

/// The last time that `issued_before` may name, in seconds since the epoch: in the year 2106.
pub const MAX_ISSUED_BEFORE: u32 = u32::MAX - 1;

/// What a list in the compact form starts with; a JSON document never does.
pub const MAGIC: [u8; 8] = *b"NEXUSREV";

/// The version of the compact form.
pub const VERSION: u32 = 1;

/// [`MAGIC`], the version and the number of records, both big-endian.
const HEADER_BYTES: usize = 16;

const RECORD_BYTES: usize = 12;

/// How many bytes of the digest a record keeps.
const DIGEST_BYTES: usize = 8;

/// `issued_before` of an entry that holds for every token.
const ALWAYS: u32 = u32::MAX;

/// What a list names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedBy {
    /// The token's `jti` (RFC 7519 §4.1.7).
    Jti,
    /// The token's `sub` (RFC 7519 §4.1.2).
    Sub,
    /// The `kid` in the token's header (RFC 7515 §4.1.4), or of the key that signed it where there is none.
    Kid,
}

read_word!(RevokedBy);

impl RevokedBy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Jti, Self::Sub, Self::Kid];

    /// The name of the claim or header parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jti => "jti",
            Self::Sub => "sub",
            Self::Kid => "kid",
        }
    }
}

impl fmt::Display for RevokedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'v> {
    /// What it names.
    pub by: RevokedBy,
    /// The value, as the string that JSON stands for.
    pub value: Cow<'v, str>,
    /// The entry holds for tokens that were issued before this time, in seconds since the epoch, and for
    /// those that do not say when; at most [`MAX_ISSUED_BEFORE`]. `None`: for every token.
    pub issued_before: Option<u32>,
}

/// What of a token a list may name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'t> {
    /// `jti`.
    pub jti: Option<&'t str>,
    /// `sub`.
    pub sub: Option<&'t str>,
    /// `kid` of the header, or of the key that signed it where the header has none.
    pub kid: Option<&'t str>,
    /// `iat`, in seconds since the epoch.
    pub iat: Option<i64>,
}

/// Why a text is no list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationError {
    /// More than [`MAX_LIST_BYTES`], or in JSON more than [`MAX_JSON_BYTES`].
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
        /// The limit for its form.
        limit: usize,
    },
    /// More than [`MAX_ENTRIES`].
    TooMany {
        /// How many.
        entries: usize,
    },
    /// The compact form in another version.
    Version {
        /// Which.
        found: u32,
    },
    /// The compact form with another length than its header says.
    Length {
        /// How many entries the header names.
        entries: usize,
        /// The length in bytes.
        bytes: usize,
    },
    /// The compact form with a record that is not greater than the one before it.
    Unsorted {
        /// The index of the record.
        index: usize,
    },
    /// Neither the compact form nor JSON.
    NotJson(json::Error),
    /// JSON, but no object.
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// An object with none of `jti`, `sub` and `kid`.
    Nothing,
    /// An object with a member that is none of `jti`, `sub` and `kid`.
    UnknownMember {
        /// Its name, cut.
        name: String,
    },
    /// A member that is no array.
    NotArray {
        /// Which.
        by: RevokedBy,
        /// What it is.
        found: &'static str,
    },
    /// An element that is no entry.
    Entry {
        /// Of which array.
        by: RevokedBy,
        /// Its index.
        index: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, limit } => {
                write!(f, "the list has {bytes} bytes, the limit is {limit}")?;
                if *limit == MAX_JSON_BYTES {
                    f.write_str(" in JSON")?;
                }
                Ok(())
            }
            Self::TooMany { entries } => {
                write!(
                    f,
                    "the list has {entries} entries, the limit is {MAX_ENTRIES}"
                )
            }
            Self::Version { found } => {
                write!(f, "the list has version {found}, not {VERSION}")
            }
            Self::Length { entries, bytes } => write!(
                f,
                "the list says that it has {entries} entries, which do not take its {bytes} bytes"
            ),
            Self::Unsorted { index } => {
                write!(f, "the record {index} of the list is not in order")
            }
            Self::NotJson(error) => write!(
                f,
                "the list is neither in the compact form nor valid JSON: {error}"
            ),
            Self::NotAnObject { found } => write!(f, "the list is {found}, not an object"),
            Self::Nothing => f.write_str("the list has none of `jti`, `sub` and `kid`"),
            Self::UnknownMember { name } => write!(
                f,
                "the list has a member `{}`; there are `jti`, `sub` and `kid`",
                name.escape_debug()
            ),
            Self::NotArray { by, found } => {
                write!(f, "`{by}` of the list is {found}, not an array")
            }
            Self::Entry { by, index, problem } => {
                write!(f, "the element {index} of `{by}` of the list {problem}")
            }
        }
    }
}

impl core::error::Error for RevocationError {}

/// A list, ready to be searched.
#[derive(Clone, PartialEq, Eq)]
pub struct RevocationList {
    // INVARIANT: the compact form: a header, then records whose digests ascend strictly.
    bytes: Vec<u8>,
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationList({} entries)", self.len())
    }
}

impl RevocationList {
    /// Reads a list in either form. A list in the compact form that is owned is taken over as it is.
    ///
    /// # Errors
    /// A [`RevocationError`]; nothing of a list that is partly wrong is used.
    pub fn parse(text: Cow<'_, [u8]>) -> Result<Self, RevocationError> {
        if text.starts_with(&MAGIC) {
            check_compact(&text)?;
            return Ok(Self {
                bytes: text.into_owned(),
            });
        }
        if text.len() > MAX_JSON_BYTES {
            return Err(RevocationError::TooLarge {
                bytes: text.len(),
                limit: MAX_JSON_BYTES,
            });
        }
        let document = json::parse(&text).map_err(RevocationError::NotJson)?;
        Self::of(entries(&document)?)
    }

    /// The list of these entries. Of entries for the same value the one that holds for more tokens counts.
    ///
    /// # Errors
    /// [`RevocationError::TooMany`].
    pub fn of<'v>(entries: impl IntoIterator<Item = Entry<'v>>) -> Result<Self, RevocationError> {
        let mut records: Vec<([u8; DIGEST_BYTES], u32)> = entries
            .into_iter()
            .map(|entry| {
                let time = entry.issued_before.unwrap_or(ALWAYS);
                (digest(entry.by, &entry.value), time)
            })
            .collect();
        // Of equal digests the latest time comes first, and only the first stays.
        sort_by(&mut records, |one, other| {
            (one.0, other.1).cmp(&(other.0, one.1))
        });
        records.dedup_by_key(|(digest, _)| *digest);
        if records.len() > MAX_ENTRIES {
            return Err(RevocationError::TooMany {
                entries: records.len(),
            });
        }
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let length = records.len().saturating_mul(RECORD_BYTES);
        let mut bytes = Vec::with_capacity(length.saturating_add(HEADER_BYTES));
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        for (digest, time) in records {
            bytes.extend_from_slice(&digest);
            bytes.extend_from_slice(&time.to_be_bytes());
        }
        Ok(Self { bytes })
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.records().len()
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The compact form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Which of its names makes a token a revoked one; `None` when it is not.
    pub fn revokes(&self, subject: &Subject<'_>) -> Option<RevokedBy> {
        let value = |by| match by {
            RevokedBy::Jti => subject.jti,
            RevokedBy::Sub => subject.sub,
            RevokedBy::Kid => subject.kid,
        };
        RevokedBy::ALL.into_iter().find(|by| {
            value(*by)
                .and_then(|value| self.issued_before(*by, value))
                .is_some_and(|bound| {
                    bound == ALWAYS || subject.iat.is_none_or(|iat| iat < i64::from(bound))
                })
        })
    }

    /// The time of the entry for a value, or `None` when there is none.
    fn issued_before(&self, by: RevokedBy, value: &str) -> Option<u32> {
        if self.is_empty() {
            // As most lists are: then nothing is worth a digest.
            return None;
        }
        let wanted = digest(by, value);
        let records = self.records();
        let (mut low, mut high) = (0_usize, records.len());
        while low < high {
            let middle = low.midpoint(high);
            let (digest, time) = records.get(middle)?;
            match digest.cmp(&wanted) {
                Ordering::Equal => return Some(time),
                Ordering::Less => low = middle.saturating_add(1),
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn records(&self) -> Records<'_> {
        Records::of(&self.bytes)
    }
}

/// The records of a list.
struct Records<'b>(&'b [u8]);

impl<'b> Records<'b> {
    /// Those behind the header of a list.
    fn of(list: &'b [u8]) -> Self {
        Self(list.get(HEADER_BYTES..).unwrap_or_default())
    }

    const fn len(&self) -> usize {
        self.0.len() / RECORD_BYTES
    }

    /// The digest and the time of a record.
    fn get(&self, index: usize) -> Option<(&'b [u8; DIGEST_BYTES], u32)> {
        let start = index.checked_mul(RECORD_BYTES)?;
        let (digest, rest) = self.0.get(start..)?.split_first_chunk()?;
        Some((digest, u32::from_be_bytes(*rest.first_chunk()?)))
    }
}

/// Whether a text that begins with [`MAGIC`] is a list.
fn check_compact(text: &[u8]) -> Result<(), RevocationError> {
    if text.len() > MAX_LIST_BYTES {
        return Err(RevocationError::TooLarge {
            bytes: text.len(),
            limit: MAX_LIST_BYTES,
        });
    }
    let number = |at: usize| {
        let bytes = text.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*bytes))
    };
    let cut = RevocationError::Length {
        entries: 0,
        bytes: text.len(),
    };
    let (Some(version), Some(count)) = (number(8), number(12)) else {
        return Err(cut);
    };
    if version != VERSION {
        return Err(RevocationError::Version { found: version });
    }
    let entries = usize::try_from(count).unwrap_or(usize::MAX);
    let expected = entries
        .checked_mul(RECORD_BYTES)
        .and_then(|bytes| bytes.checked_add(HEADER_BYTES));
    if expected != Some(text.len()) {
        return Err(RevocationError::Length {
            entries,
            bytes: text.len(),
        });
    }
    let records = Records::of(text);
    let mut last = None;
    for index in 0..entries {
        let digest = records.get(index).map(|(digest, _)| digest);
        if digest <= last {
            return Err(RevocationError::Unsorted { index });
        }
        last = digest;
    }
    Ok(())
}

/// The entries of a list in JSON: `{"jti": […], "sub": […], "kid": […]}`, of which at least one is there. An
/// element is the value, or in `sub` and `kid` an object that names it and may have `issued_before`.
///
/// # Errors
/// What is wrong with the document.
pub fn entries<'v>(document: &'v Value<'_>) -> Result<Vec<Entry<'v>>, RevocationError> {
    let members = document
        .as_object()
        .ok_or_else(|| RevocationError::NotAnObject {
            found: document.kind_name(),
        })?;
    if members.is_empty() {
        return Err(RevocationError::Nothing);
    }
    let mut entries = Vec::new();
    for member in members {
        let by = RevokedBy::ALL
            .into_iter()
            .find(|by| by.name() == member.name)
            .ok_or_else(|| RevocationError::UnknownMember {
                name: member.name.chars().take(64).collect(),
            })?;
        let elements = member
            .value
            .as_array()
            .ok_or_else(|| RevocationError::NotArray {
                by,
                found: member.value.kind_name(),
            })?;
        for (index, element) in elements.iter().enumerate() {
            let entry = entry(by, element).map_err(|problem| RevocationError::Entry {
                by,
                index,
                problem,
            })?;
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn entry<'v>(by: RevokedBy, element: &'v Value<'_>) -> Result<Entry<'v>, &'static str> {
    if let Some(value) = element.as_str() {
        return Ok(Entry {
            by,
            value: value.into(),
            issued_before: None,
        });
    }
    let members = match (by, element.as_object()) {
        (RevokedBy::Jti, _) => return Err("is no string"),
        (_, Some(members)) => members,
        (_, None) => return Err("is neither a string nor an object"),
    };
    let known = |name: &str| name == by.name() || name == "issued_before";
    if !members.iter().all(|member| known(&member.name)) {
        return Err("has a member that an entry does not have");
    }
    let value = element
        .member(by.name())
        .and_then(Value::as_str)
        .ok_or("does not name a string")?;
    let issued_before = match element.member("issued_before") {
        None => None,
        Some(time) => Some(
            time.as_number()
                .and_then(json::Number::as_u64)
                .and_then(|seconds| u32::try_from(seconds).ok())
                .filter(|seconds| *seconds <= MAX_ISSUED_BEFORE)
                .ok_or("has an `issued_before` that is no time in whole seconds")?,
        ),
    };
    Ok(Entry {
        by,
        value: value.into(),
        issued_before,
    })
}

impl Entry<'_> {
    /// The same, on its own.
    pub fn into_owned(self) -> Entry<'static> {
        Entry {
            value: Cow::Owned(self.value.as_ref().to_owned()),
            ..self
        }
    }
}

/// The first bytes of SHA-256 over the name, a NUL and the value.
fn digest(by: RevokedBy, value: &str) -> [u8; DIGEST_BYTES] {
    let mut hash = Sha256::new();
    hash.update(by.name());
    hash.update([0]);
    hash.update(value);
    let full: [u8; 32] = hash.finalize().into();
    full.first_chunk::<DIGEST_BYTES>()
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
