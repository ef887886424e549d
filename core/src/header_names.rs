//! Many header names, any spelling of which is found at once.

use alloc::vec;
use alloc::vec::Vec;

use crate::request::{fold_header_byte, folds_to};
use crate::sort::sort_and_dedup;

/// A set of header names, compared as services fold them: see [`crate::request::fold_header_name`].
///
/// Every header of every request is looked up in it. Most are told by their length alone; the others cost as much as
/// they are long, however many names there are.
#[derive(Debug, Default)]
pub(crate) struct HeaderNames {
    /// Folded, each once.
    names: Vec<Vec<u8>>,
    /// Bit n for names of n bytes, the last one for all that are longer too.
    lengths: u64,
    /// Where the names are by their hash: places in `names` counted from 1, 0 where there is none. At most half of
    /// them are in use, and their number is a power of two.
    slots: Vec<u32>,
}

impl HeaderNames {
    /// The set of these names, which are folded.
    pub(crate) fn new(mut names: Vec<Vec<u8>>) -> Self {
        sort_and_dedup(&mut names);
        let size = names.len().saturating_mul(2).next_power_of_two();
        let mut set = Self {
            slots: vec![0; size],
            ..Self::default()
        };
        for name in names {
            set.lengths |= length_bit(name.len());
            // A configuration has fewer names than bytes, and those a 32-bit machine can hold.
            let place = u32::try_from(set.names.len().saturating_add(1)).unwrap_or(0);
            let free = set.slots_for(&name).find(|slot| set.at(*slot).is_none());
            if let Some(slot) = free.and_then(|slot| set.slots.get_mut(slot)) {
                *slot = place;
            }
            set.names.push(name);
        }
        set
    }

    /// Whether services may take `name` for one of them.
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        if self.lengths & length_bit(name.len()) == 0 {
            return false;
        }
        self.slots_for(name)
            .map_while(|slot| self.at(slot))
            .any(|known| folds_to(name, known))
    }

    /// Where a name may be, in the order in which these places are taken.
    fn slots_for(&self, name: &[u8]) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len().saturating_sub(1);
        let first = usize::try_from(hash(name)).unwrap_or(0);
        (0..=mask).map(move |step| first.wrapping_add(step) & mask)
    }

    fn at(&self, slot: usize) -> Option<&[u8]> {
        let place = usize::try_from(*self.slots.get(slot)?).ok()?;
        self.names.get(place.checked_sub(1)?).map(Vec::as_slice)
    }
}

const fn length_bit(length: usize) -> u64 {
    1 << if length < 63 { length } else { 63 }
}

/// FNV-1a of the folded name. Who may choose names to fall on one place is who writes the policy; a client only chooses
/// where it looks.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(fold_header_byte(*byte))).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::fold_header_name;

    #[test]
    fn a_name_is_found_in_every_spelling_and_others_are_not() {
        let long = "x-".repeat(40);
        let names = ["x-user-id", "x-user", "", &long].map(fold_header_name);
        let set = HeaderNames::new(names.to_vec());
        for name in ["x-user-id", "X_User.Id", "x-user", "X-USER", "", &long] {
            assert!(set.contains(name.as_bytes()), "{name}");
        }
        for name in ["x-user-i", "x-user-ie", ":-user", "x-usar", "x", &long[1..]] {
            assert!(!set.contains(name.as_bytes()), "{name}");
        }
        assert!(set.contains(b"x\xffuser"));
        assert!(!HeaderNames::default().contains(b""));
        assert!(!HeaderNames::new(Vec::new()).contains(b"x"));
    }

    #[test]
    fn among_ten_thousand_names_a_few_places_are_looked_at() {
        let names = (0..10_000).map(|number| std::format!("x-team-{number}-user-id"));
        let set = HeaderNames::new(names.map(|name| fold_header_name(&name)).collect());
        let longest = (0..20_000)
            .map(|number| {
                let name = std::format!("X_Team_{number}_User_Id");
                assert_eq!(set.contains(name.as_bytes()), number < 10_000);
                let places = set.slots_for(name.as_bytes());
                places.map_while(|slot| set.at(slot)).count()
            })
            .max();
        assert!(longest < Some(64), "{longest:?}");
    }

    proptest::proptest! {
        #[test]
        fn a_set_has_its_names_and_no_other(
            names in proptest::collection::vec("[a-c-]{0,3}", 0..40),
            sought in "[A-Ca-d_-]{0,3}",
        ) {
            let folded: Vec<Vec<u8>> = names.iter().map(|name| fold_header_name(name)).collect();
            let expected = folded.contains(&fold_header_name(&sought));
            proptest::prop_assert_eq!(HeaderNames::new(folded).contains(sought.as_bytes()), expected);
        }
    }
}
