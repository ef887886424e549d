//! What a text has of a key set: each key with what Nexus makes of it, and what should not be there.
//!
//! Whether a key is usable is said by [`JwkSet`], which the filter reads the same text with; the rest is looked up in
//! the text for people. Of secrets only their names are kept.

use std::collections::BTreeMap;

use nexus_core::jose::{
    Algorithm, JwkSet, JwkSetError, KeyOrigin, MAX_CANDIDATES, MAX_KEYS, PRIVATE_MEMBERS,
    RejectedKey, base64url,
};
use nexus_core::json::{self, Value};

use crate::inspect_token::Finding;
use crate::output::count;

/// The longest piece of a document that is repeated, in characters.
const MAX_EXCERPT: usize = 64;

/// How many of its operations a key is shown with.
const MAX_OPERATIONS: usize = 8;

/// How many names of keys a finding has.
const MAX_NAMES: usize = 8;

/// A key set with every key in it.
pub(super) struct Document {
    /// The first [`MAX_KEYS`].
    pub(super) keys: Vec<Key>,
    /// How many there are.
    pub(super) total: usize,
    pub(super) usable: usize,
    /// What is not as one expects it.
    pub(super) unusual: Vec<Finding>,
}

/// A key.
pub(super) struct Key {
    /// Its place in the set, from 0.
    pub(super) index: usize,
    pub(super) kid: Option<String>,
    pub(super) kty: Option<String>,
    pub(super) crv: Option<String>,
    /// The length of an RSA modulus.
    pub(super) bits: Option<usize>,
    pub(super) alg: Option<String>,
    pub(super) key_use: Option<String>,
    pub(super) key_ops: Option<Vec<String>>,
    pub(super) verdict: Verdict,
}

/// What Nexus makes of a key.
pub(super) enum Verdict {
    Usable {
        /// RFC 7638, SHA-256, base64url.
        thumbprint: String,
        algorithms: Vec<Algorithm>,
    },
    PutAside {
        reason: String,
        /// What Envoy calls it.
        envoy: Option<&'static str>,
    },
}

/// Something that only the owner of a key may know, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Secret {
    /// The key: `key 3 (`kid`)`.
    pub(super) place: String,
    /// The names of the members with it.
    pub(super) members: Vec<&'static str>,
}

/// A text as it may be repeated: cut.
pub(super) fn excerpt(text: &str) -> String {
    let mut excerpt: String = text.chars().take(MAX_EXCERPT).collect();
    if text.chars().nth(MAX_EXCERPT).is_some() {
        excerpt.push('…');
    }
    excerpt
}

impl Document {
    /// Reads a key set as one from the network.
    ///
    /// # Errors
    /// As [`JwkSet::parse`].
    pub(super) fn parse(text: &[u8]) -> Result<Self, JwkSetError> {
        let set = JwkSet::parse(text, KeyOrigin::Remote)?;
        let document = json::parse(text).map_err(JwkSetError::NotJson)?;
        let elements = elements(&document);
        let mut usable = set.keys().iter();
        let mut keys = Vec::new();
        for (index, element) in elements.iter().enumerate().take(MAX_KEYS) {
            let rejected = set.rejected().iter().find(|key| key.index == index);
            let verdict = match rejected {
                Some(rejected) => put_aside(rejected),
                // Those that are not rejected are the usable ones, in the same order.
                None => match usable.next() {
                    Some(key) => Verdict::Usable {
                        thumbprint: key.thumbprint().to_base64url(),
                        algorithms: key.algorithms().to_vec(),
                    },
                    None => break,
                },
            };
            keys.push(Key::of(index, element, verdict));
        }
        let unusual = unusual(&set, elements);
        Ok(Self {
            keys,
            total: elements.len(),
            usable: set.keys().len(),
            unusual,
        })
    }
}

impl Key {
    fn of(index: usize, element: &Value<'_>, verdict: Verdict) -> Self {
        let text = |name| element.member(name).and_then(Value::as_str).map(excerpt);
        let key_ops = element.member("key_ops").and_then(Value::as_array);
        let key_ops = key_ops.map(|operations| {
            let shown = operations.iter().take(MAX_OPERATIONS);
            shown.filter_map(Value::as_str).map(excerpt).collect()
        });
        let kty = text("kty");
        let bits = match kty.as_deref() {
            Some("RSA") => element
                .member("n")
                .and_then(Value::as_str)
                .and_then(modulus_bits),
            _ => None,
        };
        Self {
            index,
            kid: text("kid"),
            kty,
            crv: text("crv"),
            bits,
            alg: text("alg"),
            key_use: text("use"),
            key_ops,
            verdict,
        }
    }
}

fn put_aside(rejected: &RejectedKey) -> Verdict {
    Verdict::PutAside {
        reason: rejected.error.to_string(),
        envoy: rejected.envoy_status().map(|status| status.name()),
    }
}

fn elements<'d>(document: &'d Value<'_>) -> &'d [Value<'d>] {
    let keys = document.member("keys").and_then(Value::as_array);
    keys.unwrap_or_default()
}

fn modulus_bits(n: &str) -> Option<usize> {
    let bytes = base64url::decode(n.as_bytes()).ok()?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    let significant = bytes.get(first..)?;
    let zeros = significant.first()?.leading_zeros() as usize;
    Some(significant.len() * 8 - zeros)
}

/// Private and symmetric keys in a text: in a key set, in a single key, or in PEM.
pub(super) fn secrets(text: &[u8]) -> Vec<Secret> {
    let Ok(document) = json::parse(text) else {
        return Vec::from_iter(pem_secret(text));
    };
    let single = std::iter::once(("the document".to_owned(), &document));
    let of_set = elements(&document).iter().enumerate().map(|(index, key)| {
        let kid = key.member("kid").and_then(Value::as_str);
        let kid = kid.map_or_else(String::new, |kid| format!(" (`{}`)", excerpt(kid)));
        (format!("key {index}{kid}"), key)
    });
    single
        .chain(of_set)
        .filter_map(|(place, key)| {
            let members: Vec<&'static str> = PRIVATE_MEMBERS
                .into_iter()
                .chain(["k"])
                .filter(|member| key.member("kty").is_some() && key.member(member).is_some())
                .collect();
            (!members.is_empty()).then_some(Secret { place, members })
        })
        .collect()
}

fn pem_secret(text: &[u8]) -> Option<Secret> {
    let text = String::from_utf8_lossy(text);
    let is_private = |line: &str| {
        line.trim_start().starts_with("-----BEGIN ") && line.contains("PRIVATE KEY-----")
    };
    text.lines().any(is_private).then(|| Secret {
        place: "the document".to_owned(),
        members: vec!["PRIVATE KEY"],
    })
}

fn unusual(set: &JwkSet, elements: &[Value<'_>]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut by_kid: BTreeMap<&str, usize> = BTreeMap::new();
    for kid in elements
        .iter()
        .filter_map(|key| key.member("kid").and_then(Value::as_str))
    {
        *by_kid.entry(kid).or_default() += 1;
    }
    let repeated: Vec<(&str, usize)> = by_kid.into_iter().filter(|(_, keys)| *keys > 1).collect();
    for (kid, keys) in repeated.iter().take(MAX_NAMES) {
        found.push(Finding::new(
            "duplicate_kid",
            format!(
                "{keys} keys have the kid `{}`: a token with it is tried with each that fits its algorithm",
                excerpt(kid)
            ),
        ));
    }
    if let Some(more) = repeated
        .len()
        .checked_sub(MAX_NAMES)
        .filter(|more| *more > 0)
    {
        found.push(Finding::new(
            "duplicate_kid",
            format!("{} more stand with several keys", count(more, "kid")),
        ));
    }
    if let Some((algorithm, candidates)) = most_candidates(set) {
        found.push(Finding::new(
            "too_many_candidates",
            format!(
                "{candidates} keys can be meant by one {algorithm} token, and only the first {MAX_CANDIDATES} are tried"
            ),
        ));
    }
    if elements.len() > MAX_KEYS {
        let last = set.rejected().last();
        let text = last.map(|key| key.error.to_string()).unwrap_or_default();
        found.push(Finding::new("too_many_keys", text));
    }
    found
}

/// The algorithm for which the most keys match one token with a `kid`, if they are more than are tried.
fn most_candidates(set: &JwkSet) -> Option<(Algorithm, usize)> {
    let of = |algorithm: Algorithm| {
        let mut unnamed = 0;
        let mut named: BTreeMap<&str, usize> = BTreeMap::new();
        for key in set.keys() {
            match key.kid() {
                _ if !key.algorithms().contains(&algorithm) => {}
                Some(kid) => *named.entry(kid).or_default() += 1,
                None => unnamed += 1,
            }
        }
        unnamed + named.values().max().copied().unwrap_or_default()
    };
    Algorithm::ALL
        .into_iter()
        .map(|algorithm| (algorithm, of(algorithm)))
        .filter(|(_, candidates)| *candidates > MAX_CANDIDATES)
        .max_by_key(|(_, candidates)| *candidates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_wherever_they_stand_and_told_by_name_alone() {
        let key = |place: &str, members: &[&'static str]| Secret {
            place: place.to_owned(),
            members: members.to_vec(),
        };
        for (text, expected) in [
            (r#"{"keys":[{"kty":"EC","x":"AA"}]}"#, vec![]),
            (
                r#"{"keys":[{"kty":"RSA","kid":"a","d":"x","p":"x"},{"kty":"oct","k":"x"},{"kty":"zz","use":"enc","d":1}]}"#,
                vec![
                    key("key 0 (`a`)", &["d", "p"]),
                    key("key 1", &["k"]),
                    key("key 2", &["d"]),
                ],
            ),
            (
                r#"{"kty":"OKP","d":"x"}"#,
                vec![key("the document", &["d"])],
            ),
            (r#"{"d":"x","keys":{}}"#, vec![]),
            (
                "x\n-----BEGIN EC PRIVATE KEY-----\nAA",
                vec![key("the document", &["PRIVATE KEY"])],
            ),
            ("-----BEGIN PUBLIC KEY-----\nAA", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(secrets(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn bits_of_a_modulus_are_counted_without_its_leading_zeros() {
        for (n, bits) in [
            ("AQAB", Some(17)),
            ("AAAB", Some(1)),
            ("AAAA", None),
            ("=", None),
        ] {
            assert_eq!(modulus_bits(n), bits, "{n}");
        }
    }
}
