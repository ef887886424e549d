//! Sorting in little code.
//!
//! The standard library's sorts are made for speed: 4 to 7 kilobytes for each type that is sorted, all of which a proxy
//! compiles before it is ready. What is sorted here is sorted once for a configuration or a list, or short. This is merge
//! sort over places, compiled once for all types.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// Sorts by `compare`, which has to be a total order. Those that are equal stay in their order.
pub(crate) fn sort_by<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let order = places(items.len(), &|one, other| {
        let both = items.get(one).zip(items.get(other));
        both.is_some_and(|(one, other)| compare(one, other).is_lt())
    });
    let mut taken: Vec<Option<T>> = items.drain(..).map(Some).collect();
    items.extend(
        order
            .into_iter()
            .filter_map(|place| taken.get_mut(place)?.take()),
    );
}

/// Sorts, and leaves of those that are equal the first.
pub(crate) fn sort_and_dedup<T: Ord>(items: &mut Vec<T>) {
    sort_by(items, T::cmp);
    items.dedup();
}

/// The places from 0 up to `count` in their order: sorted runs are merged, two by two, until there is one.
fn places(count: usize, is_before: &dyn Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut sorted: Vec<usize> = (0..count).collect();
    let mut merged = Vec::with_capacity(count);
    let mut length = 1_usize;
    while length < count {
        let both = length.saturating_mul(2);
        for runs in sorted.chunks(both) {
            merge(runs, length, is_before, &mut merged);
        }
        core::mem::swap(&mut sorted, &mut merged);
        merged.clear();
        length = both;
    }
    sorted
}

/// Adds to `merged`, in their order, the two sorted runs that `runs` is; the first is `length` long, if there are two.
fn merge(
    runs: &[usize],
    length: usize,
    is_before: &dyn Fn(usize, usize) -> bool,
    merged: &mut Vec<usize>,
) {
    let (mut first, mut second) = runs.split_at_checked(length).unwrap_or((runs, &[]));
    while let (Some((one, others)), Some((other, behind))) =
        (first.split_first(), second.split_first())
    {
        if is_before(*other, *one) {
            merged.push(*other);
            second = behind;
        } else {
            merged.push(*one);
            first = others;
        }
    }
    merged.extend_from_slice(first);
    merged.extend_from_slice(second);
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_sorts_as_the_standard_library_does(
            pairs in proptest::collection::vec((0_u8..9, 0_u32..), 0..70),
        ) {
            let mut expected = pairs.clone();
            expected.sort_by_key(|(key, _)| *key);
            let mut sorted = pairs.clone();
            sort_by(&mut sorted, |(one, _), (other, _)| one.cmp(other));
            proptest::prop_assert_eq!(sorted, expected);

            let mut expected: Vec<u8> = pairs.into_iter().map(|(key, _)| key).collect();
            let mut sorted = expected.clone();
            sort_and_dedup(&mut sorted);
            expected.sort_unstable();
            expected.dedup();
            proptest::prop_assert_eq!(sorted, expected);
        }
    }
}
