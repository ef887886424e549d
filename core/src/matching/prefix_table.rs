//! Texts that are looked up by what begins with them.
//!
//! Of ten thousand paths only those are looked at that a request's path begins with. What follows from that is not
//! said here.

use alloc::vec::Vec;

use crate::sort::sort_by;

/// Values, each under a text. It takes a binary search to find those whose text another one begins with, and one step
/// for each of their texts.
#[derive(Debug)]
pub(super) struct PrefixTable<V> {
    /// By text, each once.
    entries: Vec<Entry>,
    /// By text, and for the same one in the order in which they were given.
    values: Vec<V>,
}

#[derive(Debug)]
struct Entry {
    text: Vec<u8>,
    /// The entry with the longest other text that this one begins with.
    parent: Option<usize>,
    /// Its values: from there, up to and without the second.
    values: (usize, usize),
}

impl<V> Default for PrefixTable<V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            values: Vec::new(),
        }
    }
}

impl<V> PrefixTable<V> {
    pub(super) fn new(mut pairs: Vec<(Vec<u8>, V)>) -> Self {
        sort_by(&mut pairs, |(one, _), (other, _)| one.cmp(other));
        let mut table = Self {
            entries: Vec::new(),
            values: Vec::with_capacity(pairs.len()),
        };
        // The entries that the next one may begin with, each with the one before it.
        let mut open: Vec<usize> = Vec::new();
        for (text, value) in pairs {
            let at = table.values.len();
            table.values.push(value);
            let behind = table.values.len();
            match table.entries.last_mut() {
                Some(entry) if entry.text == text => entry.values.1 = behind,
                _ => {
                    let begins_with = |index: usize| {
                        let entry = table.entries.get(index);
                        entry.is_some_and(|entry| text.starts_with(&entry.text))
                    };
                    while open.last().is_some_and(|index| !begins_with(*index)) {
                        open.pop();
                    }
                    let parent = open.last().copied();
                    open.push(table.entries.len());
                    table.entries.push(Entry {
                        text,
                        parent,
                        values: (at, behind),
                    });
                }
            }
        }
        table
    }

    /// The texts that `text` begins with, the longest first, as their lengths; each with its values.
    pub(super) fn prefixes_of<'t>(
        &'t self,
        text: &'t [u8],
    ) -> impl Iterator<Item = (usize, &'t [V])> {
        // Whatever stands between a prefix and the text begins with that prefix too. So all prefixes are found from
        // the last entry that is not behind the text.
        let behind = self
            .entries
            .partition_point(|entry| entry.text.as_slice() <= text);
        let mut next = behind.checked_sub(1);
        core::iter::from_fn(move || {
            loop {
                let entry = self.entries.get(next?)?;
                next = entry.parent;
                if text.starts_with(&entry.text) {
                    let (from, behind) = entry.values;
                    return Some((entry.text.len(), self.values.get(from..behind)?));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_prefixes_of_a_text_are_found_the_longest_first(
            texts in proptest::collection::vec("[ab]{0,4}", 0..20),
            text in "[abc]{0,6}",
        ) {
            let pairs = texts.iter().enumerate();
            let table = PrefixTable::new(pairs.map(|(at, it)| (it.clone().into_bytes(), at)).collect());
            let found: Vec<(usize, Vec<usize>)> = table
                .prefixes_of(text.as_bytes())
                .map(|(length, values)| (length, values.to_vec()))
                .collect();
            let expected: Vec<(usize, Vec<usize>)> = (0..=text.len())
                .rev()
                .map(|length| {
                    let same = texts.iter().enumerate().filter(|(_, it)| **it == text[..length]);
                    (length, same.map(|(at, _)| at).collect())
                })
                .filter(|(_, values): &(usize, Vec<usize>)| !values.is_empty())
                .collect();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
