//! A map in little code: a sorted vector.
//!
//! The standard library's map is made for any number of entries in any order: 5 to 10 kilobytes for each pair of types, all of
//! which a proxy compiles before it is ready. Here a key is found as fast, but one that goes in or out moves all behind it:
//! this is for few entries, for small ones up to some thousands, and for those that come in their order.

use alloc::vec::Vec;
use core::borrow::Borrow;

/// Entries by their keys, in the order of these.
#[derive(Debug, Clone)]
pub struct SortedMap<K, V>(
    // INVARIANT: the keys ascend.
    Vec<(K, V)>,
);

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> SortedMap<K, V> {
    /// One without entries.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The entries, to change their values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// Where a key is, or would be.
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        // What comes last mostly comes in its order.
        match self.0.last() {
            Some((last, _)) if last.borrow() < key => Err(self.0.len()),
            _ => self
                .0
                .binary_search_by(|(known, _)| known.borrow().cmp(key)),
        }
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    /// Sets the value of a key; gives the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => {
                let (_, known) = self.0.get_mut(place)?;
                Some(core::mem::replace(known, value))
            }
            Err(place) => {
                self.0.insert(place, (key, value));
                None
            }
        }
    }

    /// Takes a key out; gives the value that it had.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        Some(self.0.remove(place).1)
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::SortedMap;

    proptest! {
        #[test]
        fn it_is_the_map_of_the_standard_library(
            steps in prop::collection::vec((0..20_u8, any::<Option<u16>>()), 0..60)
        ) {
            let (mut map, mut expected) = (SortedMap::new(), BTreeMap::new());
            for (key, value) in steps {
                match value {
                    Some(value) => prop_assert_eq!(map.insert(key, value), expected.insert(key, value)),
                    None => prop_assert_eq!(map.remove(&key), expected.remove(&key)),
                }
                for key in 0..20 {
                    prop_assert_eq!(map.get(&key), expected.get(&key));
                    prop_assert_eq!(map.get_mut(&key), expected.get_mut(&key));
                }
                prop_assert_eq!(map.len(), expected.len());
                prop_assert_eq!(map.is_empty(), expected.is_empty());
                let entries: Vec<_> = map.iter().collect();
                prop_assert_eq!(entries, expected.iter().collect::<Vec<_>>());
                let entries: Vec<_> = map.iter_mut().collect();
                prop_assert_eq!(entries, expected.iter_mut().collect::<Vec<_>>());
            }
        }
    }
}
