//! The keys of a set by their names, so that a token's is found among a thousand without looking at the others.

use alloc::vec::Vec;

use super::{Algorithm, Jwk};

use crate::sort::sort_by;
use crate::sorted::SortedMap;

/// Places in a set of keys.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyIndex {
    /// Those of the keys with a name: by name, and for the same one in the order of the set.
    named: Vec<usize>,
    /// Those of the others, in order.
    unnamed: Vec<usize>,
    /// How many keys are for an algorithm.
    counts: SortedMap<Algorithm, Count>,
}

/// How many keys are for something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) all: usize,
    /// Those of them without a name.
    pub(super) unnamed: usize,
}

impl KeyIndex {
    pub(super) fn of(keys: &[Jwk]) -> Self {
        let mut index = Self::default();
        for (place, key) in keys.iter().enumerate() {
            let is_unnamed = key.kid().is_none();
            match is_unnamed {
                true => index.unnamed.push(place),
                false => index.named.push(place),
            }
            for alg in key.algorithms() {
                let mut count = index.counts.get(alg).copied().unwrap_or_default();
                count.all = count.all.saturating_add(1);
                count.unnamed = count.unnamed.saturating_add(usize::from(is_unnamed));
                index.counts.insert(*alg, count);
            }
        }
        sort_by(&mut index.named, |one, other| {
            name_of(keys, *one).cmp(&name_of(keys, *other))
        });
        index
    }

    /// The keys with this very name, in the order of the set. `keys` is the set that the index is of.
    pub(super) fn named<'k>(&self, keys: &'k [Jwk], kid: &str) -> impl Iterator<Item = &'k Jwk> {
        let name = |place: &usize| name_of(keys, *place);
        let from = self.named.partition_point(|place| name(place) < Some(kid));
        let rest = self.named.get(from..).unwrap_or_default();
        let behind = rest.partition_point(|place| name(place) == Some(kid));
        let found = rest.get(..behind).unwrap_or_default();
        found.iter().filter_map(|place| keys.get(*place))
    }

    /// The keys without a name, in the order of the set.
    pub(super) fn unnamed<'k>(&self, keys: &'k [Jwk]) -> impl Iterator<Item = &'k Jwk> {
        self.unnamed.iter().filter_map(|place| keys.get(*place))
    }

    /// How many keys are for an algorithm.
    pub(super) fn count(&self, alg: Algorithm) -> Count {
        self.counts.get(&alg).copied().unwrap_or_default()
    }
}

fn name_of(keys: &[Jwk], place: usize) -> Option<&str> {
    keys.get(place).and_then(Jwk::kid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{JwkSet, KeyOrigin};
    use serde_json::json;
    use std::string::ToString;

    proptest::proptest! {
        #[test]
        fn keys_are_found_as_if_each_was_looked_at(
            keys in proptest::collection::vec(
                (proptest::sample::select(std::vec![None, Some("a"), Some("ab"), Some("")]), 32..34_usize),
                0..12,
            ),
        ) {
            let secret = |bytes| crate::jose::base64url::encode(&std::vec![7_u8; bytes]);
            let keys: Vec<_> = keys
                .iter()
                .enumerate()
                .map(|(at, (kid, bytes))| {
                    let mut key = json!({ "kty": "oct", "k": secret(bytes + 16 * (at & 1)) });
                    if let Some(kid) = kid {
                        key["kid"] = json!(kid);
                    }
                    key
                })
                .collect();
            let text = json!({ "keys": keys }).to_string();
            let set = JwkSet::parse(text.as_bytes(), KeyOrigin::Local).unwrap();
            proptest::prop_assert_eq!(set.keys().len(), keys.len());
            let places = |found: &mut dyn Iterator<Item = &Jwk>| -> Vec<*const Jwk> {
                found.map(core::ptr::from_ref).collect()
            };
            let all = || set.keys().iter();
            for kid in ["", "a", "ab", "b"] {
                let named = places(&mut all().filter(|key| key.kid() == Some(kid)));
                proptest::prop_assert_eq!(places(&mut set.named(kid)), named);
            }
            let unnamed = places(&mut all().filter(|key| key.kid().is_none()));
            proptest::prop_assert_eq!(places(&mut set.unnamed()), unnamed);
            for alg in Algorithm::ALL {
                let fitting = || all().filter(|key| key.algorithms().contains(&alg));
                let count = Count {
                    all: fitting().count(),
                    unnamed: fitting().filter(|key| key.kid().is_none()).count(),
                };
                proptest::prop_assert_eq!(set.count(alg), count);
            }
        }
    }
}
