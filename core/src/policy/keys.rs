//! Keys that stand in a policy or in files beside it: read, judged, and written as one key set.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote};
use super::key_sources::{Counting, Keys, fixed};
use super::node::Node;
use super::render::LineIndex;
use crate::config::{Document, FixedKeys};
use crate::jose::{Algorithm, JwkSet, JwkSetError, KeyError, KeyOrigin, PemError, RejectedKey};
use crate::json::Span;

impl Compiler<'_> {
    /// The keys of `jwks`.
    pub(super) fn inline_set(
        &mut self,
        field: &Node<'_, '_>,
        counting: Counting<'_>,
    ) -> Option<Keys> {
        let text = field.value().to_string();
        let set = self.key_set(field, text.as_bytes(), "`jwks`")?;
        let keys = field.field("keys");
        let place = |index: usize| {
            let element = keys.as_ref().and_then(|keys| keys.element(index));
            element.map_or(field.span(), |element| element.span())
        };
        self.judge_set(field, set, "`jwks`", counting, place)
    }

    /// The keys of `jwks_file`.
    pub(super) fn set_from_file(
        &mut self,
        field: &Node<'_, '_>,
        name: &str,
        counting: Counting<'_>,
    ) -> Option<Keys> {
        let text = self.read(field, name)?;
        let set = self.key_set(field, &text, &quote(name))?;
        self.judge_set(field, set, &quote(name), counting, |_| field.span())
    }

    /// The key of `public_key`.
    pub(super) fn inline_pem(
        &mut self,
        field: &Node<'_, '_>,
        text: &str,
        counting: Counting<'_>,
    ) -> Option<Keys> {
        self.pem(field, text.as_bytes(), "`public_key`", counting)
    }

    /// The key of `public_key_file`.
    pub(super) fn pem_from_file(
        &mut self,
        field: &Node<'_, '_>,
        name: &str,
        counting: Counting<'_>,
    ) -> Option<Keys> {
        let text = self.read(field, name)?;
        self.pem(field, &text, &quote(name), counting)
    }

    fn read(&mut self, field: &Node<'_, '_>, name: &str) -> Option<Vec<u8>> {
        if name.is_empty() || name.contains('\0') {
            let message = format!("{} is not the name of a file", field.label());
            self.error(Code::InvalidValue, field, message, None);
            return None;
        }
        match (self.files)(name) {
            Ok(text) => Some(text),
            Err(reason) => {
                let message = format!("cannot read {}: {reason}", quote(name));
                self.error(Code::UnreadableFile, field, message, None);
                None
            }
        }
    }

    fn key_set(&mut self, field: &Node<'_, '_>, text: &[u8], name: &str) -> Option<JwkSet> {
        let error = match JwkSet::parse(text, KeyOrigin::Local) {
            Ok(set) => return Some(set),
            Err(error) => error,
        };
        let reason = match error {
            JwkSetError::NotJson(error) => {
                let position = LineIndex::new(text).position(text, error.offset);
                format!(
                    "{} in line {}, column {}",
                    error.kind, position.line, position.column
                )
            }
            other => other.to_string(),
        };
        let message = format!("{name} is not a key set: {reason}");
        let hint = "a key set is `{ \"keys\": [ … ] }` (RFC 7517)";
        self.error(Code::InvalidKey, field, message, Some(hint.into()));
        None
    }

    /// Reports what is wrong with the keys of a set, and takes the good ones.
    fn judge_set(
        &mut self,
        field: &Node<'_, '_>,
        set: JwkSet,
        name: &str,
        counting: Counting<'_>,
        place: impl Fn(usize) -> Span,
    ) -> Option<Keys> {
        for rejected in set.rejected() {
            self.put_aside(field, rejected, name, &place);
        }
        if set.is_empty() {
            let message = format!("{name} has no usable key");
            let error = Diagnostic::error(Code::InvalidKey, field.opening(), field.path(), message);
            let hint = set.rejected().first().map(ToString::to_string);
            self.found.push(Diagnostic { hint, ..error });
            return None;
        }
        let mut is_valid = true;
        // The used keys are those that were not rejected, in the order of the set.
        let rejected: Vec<usize> = set
            .rejected()
            .iter()
            .map(|rejected| rejected.index)
            .collect();
        let indices = (0..).filter(|index| rejected.binary_search(index).is_err());
        for (index, key) in indices.zip(set.keys()) {
            let which = which(index, key.kid());
            if key.private_key_material() {
                let message = format!("{which} of {name} is a private key");
                let error =
                    Diagnostic::error(Code::InvalidKey, place(index), field.path(), message);
                self.found.push(error.with_hint(
                    "write its public members only; whoever has read it can sign tokens",
                ));
                is_valid = false;
            } else if key.is_symmetric() && (counting.is_floor || !counting.pins.is_empty()) {
                let (reason, hint) = match counting.is_floor {
                    true => (
                        "cannot stand beside keys that are fetched",
                        "only public keys may; leave it out",
                    ),
                    false => (
                        "has no thumbprint that could be pinned",
                        "leave it out, or `pinned_keys`",
                    ),
                };
                let message = format!("{which} of {name} is a shared secret, which {reason}");
                let error =
                    Diagnostic::error(Code::InvalidKey, place(index), field.path(), message);
                self.found.push(error.with_hint(hint));
                is_valid = false;
            } else if key.is_symmetric() {
                let message = format!(
                    "{which} of {name} is a shared secret, and will stand in the configuration"
                );
                let warning =
                    Diagnostic::warning(Code::Insecure, place(index), field.path(), message);
                self.found
                    .push(warning.with_hint("`jwt_secret_env` keeps it in the environment"));
            }
        }
        if !is_valid {
            return None;
        }
        let set = self.pinned(field, set, name, counting, place)?;
        let algorithms = set_algorithms(&set);
        Some(local(&set, algorithms.clone(), algorithms))
    }

    /// The keys of a set that are pinned, where any are. The others are reported.
    fn pinned(
        &mut self,
        field: &Node<'_, '_>,
        set: JwkSet,
        name: &str,
        counting: Counting<'_>,
        place: impl Fn(usize) -> Span,
    ) -> Option<JwkSet> {
        let set = set.pinned(counting.pins);
        let is_unpinned =
            |rejected: &&RejectedKey| matches!(rejected.error, KeyError::NotPinned { .. });
        if set.is_empty() {
            let message = format!("{name} has no key that is pinned");
            let error = Diagnostic::error(Code::InvalidKey, field.opening(), field.path(), message);
            let hint = set.rejected().iter().find(is_unpinned);
            let hint = hint.map(ToString::to_string);
            self.found.push(Diagnostic { hint, ..error });
            return None;
        }
        for rejected in set.rejected().iter().filter(is_unpinned) {
            self.put_aside(field, rejected, name, &place);
        }
        Some(set)
    }

    /// Reports a key that is not used.
    fn put_aside(
        &mut self,
        field: &Node<'_, '_>,
        rejected: &RejectedKey,
        name: &str,
        place: impl Fn(usize) -> Span,
    ) {
        let which = which(rejected.index, rejected.kid.as_deref());
        let message = format!("{which} of {name} is not used: {}", rejected.error);
        let warning = Diagnostic::warning(
            Code::InvalidKey,
            place(rejected.index),
            field.path(),
            message,
        );
        self.found.push(warning);
    }

    fn pem(
        &mut self,
        field: &Node<'_, '_>,
        text: &[u8],
        name: &str,
        counting: Counting<'_>,
    ) -> Option<Keys> {
        match JwkSet::from_pem(text) {
            Ok(set) => {
                let set = self.pinned(field, set, name, counting, |_| field.span())?;
                let possible = set_algorithms(&set);
                Some(local(&set, pem_algorithms(&set), possible))
            }
            Err(error) => {
                let message = format!("{name} has no usable key: {error}");
                let hint = match error {
                    PemError::PrivateKey { .. } => {
                        Some("`openssl pkey -pubout` writes the public half")
                    }
                    PemError::NoBlock | PemError::UnsupportedLabel { .. } => {
                        Some("a public key in PEM starts with `-----BEGIN PUBLIC KEY-----`")
                    }
                    _ => None,
                };
                self.error(Code::InvalidKey, field, message, hint.map(String::from));
                None
            }
        }
    }
}

fn which(index: usize, kid: Option<&str>) -> String {
    match kid {
        Some(kid) => format!("the key {}", quote(kid)),
        None => format!("key {index}"),
    }
}

fn local(
    set: &JwkSet,
    default_algorithms: Vec<Algorithm>,
    possible_algorithms: Vec<Algorithm>,
) -> Keys {
    let keys = FixedKeys::Jwks(Document::written(set.to_json()));
    fixed(keys, default_algorithms, possible_algorithms)
}

/// All algorithms that the keys of a set take part in, in the order of [`Algorithm::ALL`].
fn set_algorithms(set: &JwkSet) -> Vec<Algorithm> {
    Algorithm::ALL
        .into_iter()
        .filter(|algorithm| {
            set.keys()
                .iter()
                .any(|key| key.algorithms().contains(algorithm))
        })
        .collect()
}

/// The algorithm that goes with each key: for RSA, of which PEM does not say how it is used, RS256.
fn pem_algorithms(set: &JwkSet) -> Vec<Algorithm> {
    Algorithm::ALL
        .into_iter()
        .filter(|algorithm| {
            set.keys().iter().any(|key| {
                let is_rsa = key.algorithms().contains(&Algorithm::Rs256);
                key.algorithms().contains(algorithm) && (!is_rsa || *algorithm == Algorithm::Rs256)
            })
        })
        .collect()
}
