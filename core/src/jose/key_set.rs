//! Sets of keys (RFC 7517 §5), and keys from PEM and from secrets.
//!
//! A set is as good as its usable keys: one that Nexus does not know or that is broken is put aside with
//! the reason, and the others work.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::key_index::{Count, KeyIndex};
use super::{Algorithm, Jwk, KeyError, KeyOrigin, KeyType, PemError, Sha256Digest, pem};
use crate::json::{self, Value};

/// The longest key set that is read, in bytes.
pub const MAX_JWKS_BYTES: usize = 1_048_576;

/// How many keys of a set are read; what follows is put aside.
pub const MAX_KEYS: usize = 1000;

/// The keys of a source.
#[derive(Debug, Clone, Default)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    /// Of `keys`.
    index: KeyIndex,
    rejected: Vec<RejectedKey>,
}

/// A key that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedKey {
    /// Its place in the set, from 0.
    pub index: usize,
    /// Its name, if it has one.
    pub kid: Option<String>,
    /// Its kind, if it names one that Nexus knows.
    pub key_type: Option<KeyType>,
    /// Why.
    pub error: KeyError,
}

/// Why a text is no set of keys at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwkSetError {
    /// The text is longer than [`MAX_JWKS_BYTES`].
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The text is not JSON.
    NotJson(json::Error),
    /// The text is JSON, but no object.
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// There is no `keys` (RFC 7517 §5.1).
    NoKeys,
    /// `keys` is no array.
    KeysNotArray {
        /// What it is.
        found: &'static str,
    },
}

impl JwkSet {
    /// Reads a JSON Web Key Set. A set without any usable key is a set too; see [`Self::is_empty`].
    ///
    /// # Errors
    /// A [`JwkSetError`] when the text is no key set; what is wrong with single keys is in [`Self::rejected`].
    pub fn parse(text: &[u8], origin: KeyOrigin) -> Result<Self, JwkSetError> {
        if text.len() > MAX_JWKS_BYTES {
            return Err(JwkSetError::TooLarge { bytes: text.len() });
        }
        let set = json::parse(text).map_err(JwkSetError::NotJson)?;
        if set.as_object().is_none() {
            return Err(JwkSetError::NotAnObject {
                found: set.kind_name(),
            });
        }
        let keys = set.member("keys").ok_or(JwkSetError::NoKeys)?;
        let elements = keys.as_array().ok_or(JwkSetError::KeysNotArray {
            found: keys.kind_name(),
        })?;
        Ok(Self::from_elements(elements, origin))
    }

    fn from_elements(elements: &[Value<'_>], origin: KeyOrigin) -> Self {
        let mut set = Self::default();
        for (index, element) in elements.iter().enumerate() {
            if index == MAX_KEYS {
                set.reject(
                    index,
                    element,
                    KeyError::TooManyKeys {
                        keys: elements.len(),
                    },
                );
                break;
            }
            match Jwk::parse(element, origin) {
                Ok(key) => set.keys.push(key),
                Err(error) => set.reject(index, element, error),
            }
        }
        set.indexed()
    }

    /// The set with its keys indexed as they are now.
    fn indexed(mut self) -> Self {
        self.index = KeyIndex::of(&self.keys);
        self
    }

    fn reject(&mut self, index: usize, element: &Value<'_>, error: KeyError) {
        let text = |member| element.member(member).and_then(Value::as_str);
        self.rejected.push(RejectedKey {
            index,
            kid: text("kid").map(ToOwned::to_owned),
            key_type: text("kty").and_then(KeyType::from_name),
            error,
        });
    }

    /// Reads public keys from PEM (RFC 7468): blocks `PUBLIC KEY`, `RSA PUBLIC KEY` and `CERTIFICATE`, of
    /// which only the key is taken. The keys have no name and take part in every algorithm of their kind.
    ///
    /// # Errors
    /// A [`PemError`] for the first block that cannot be used, for a private key, and for a text without blocks.
    pub fn from_pem(text: &[u8]) -> Result<Self, PemError> {
        let keys = pem::public_keys(text)?;
        Ok(Self {
            keys,
            ..Self::default()
        }
        .indexed())
    }

    /// A set with one shared secret, its bytes as they are, for `algorithms`; for all whose length it has
    /// when that is empty.
    ///
    /// # Errors
    /// [`KeyError::SecretTooShort`], [`KeyError::SecretIsPublicKey`], and [`KeyError::AlgorithmMismatch`] for an
    /// algorithm that is not symmetric.
    pub fn from_secret(secret: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        let keys = alloc::vec![Jwk::secret(secret, algorithms)?];
        Ok(Self {
            keys,
            ..Self::default()
        }
        .indexed())
    }

    /// The set as it is for somebody who uses only the keys with one of these thumbprints (RFC 7638): the others are
    /// put aside. No `pins` allow every key.
    #[must_use]
    pub fn pinned(mut self, pins: &[Sha256Digest]) -> Self {
        if pins.is_empty() {
            return self;
        }
        let mut before = core::mem::take(&mut self.rejected).into_iter().peekable();
        let mut index = 0_usize;
        for key in core::mem::take(&mut self.keys) {
            // A key stands behind those that were put aside before, each in its place.
            while let Some(rejected) = before.next_if(|rejected| rejected.index == index) {
                self.rejected.push(rejected);
                index = index.saturating_add(1);
            }
            let thumbprint = (!key.is_symmetric()).then(|| key.thumbprint());
            if thumbprint.is_some_and(|thumbprint| pins.contains(&thumbprint)) {
                self.keys.push(key);
            } else {
                self.rejected.push(RejectedKey {
                    index,
                    kid: key.kid().map(ToOwned::to_owned),
                    key_type: Some(key.key_type()),
                    error: KeyError::NotPinned {
                        thumbprint: thumbprint.map(|thumbprint| thumbprint.to_base64url()),
                    },
                });
            }
            index = index.saturating_add(1);
        }
        self.rejected.extend(before);
        self.indexed()
    }

    /// The usable keys, in the order of the set.
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// The usable keys with this very name, in the order of the set.
    pub(super) fn named(&self, kid: &str) -> impl Iterator<Item = &Jwk> {
        self.index.named(&self.keys, kid)
    }

    /// The usable keys without a name, in the order of the set.
    pub(super) fn unnamed(&self) -> impl Iterator<Item = &Jwk> {
        self.index.unnamed(&self.keys)
    }

    /// How many usable keys are for an algorithm.
    pub(super) fn count(&self, alg: Algorithm) -> Count {
        self.index.count(alg)
    }

    /// The keys that were put aside, in the order of the set.
    pub fn rejected(&self) -> &[RejectedKey] {
        &self.rejected
    }

    /// Whether there is no usable key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The usable keys as a JSON Web Key Set without white space: public members only, except that a
    /// symmetric key is its secret. The members of a key are in the order of their names, so that the same keys give the
    /// same text.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"keys\":[");
        for (index, key) in self.keys.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            // INVARIANT: writing to a `String` does not fail.
            let _ = key.write_json(&mut out);
        }
        out.push_str("]}");
        out
    }
}

/// The reason, and what Envoy calls it.
impl fmt::Display for RejectedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}: {}", self.index, self.error)?;
        match self.envoy_status() {
            Some(status) => write!(f, " ({})", status.name()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for JwkSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(
                f,
                "the key set has {bytes} bytes, the limit is {MAX_JWKS_BYTES}"
            ),
            Self::NotJson(error) => write!(f, "the key set is not valid JSON: {error}"),
            Self::NotAnObject { found } => write!(f, "the key set is {found}, not an object"),
            Self::NoKeys => f.write_str("the key set has no `keys`"),
            Self::KeysNotArray { found } => {
                write!(f, "`keys` of the key set is {found}, not an array")
            }
        }
    }
}

impl core::error::Error for JwkSetError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::NotJson(error) => Some(error),
            _ => None,
        }
    }
}
