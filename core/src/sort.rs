//! Sorting in little code.
//!
//! The standard library's sorts are made for speed: 4 to 7 kilobytes for each type that is sorted, all of which a proxy
//! compiles before it is ready. What is sorted here is sorted once for a configuration, or short. This is heap sort over
//! places, compiled once for all types.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// Sorts by `compare`, which has to be a total order. Those that are equal stay in their order.
pub(crate) fn sort_by<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let order = places(items.len(), &|one, other| {
        let both = items.get(one).zip(items.get(other));
        both.map_or(Ordering::Equal, |(one, other)| compare(one, other))
            .then(one.cmp(&other))
            .is_lt()
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

/// The places from 0 up to `count` in their order.
fn places(count: usize, is_before: &dyn Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut heap: Vec<usize> = (0..count).collect();
    for root in (0..count / 2).rev() {
        sift_down(&mut heap, root, is_before);
    }
    for end in (1..count).rev() {
        heap.swap(0, end);
        sift_down(heap.get_mut(..end).unwrap_or_default(), 0, is_before);
    }
    heap
}

/// Moves what stands at `root` down until nothing below it comes later.
fn sift_down(heap: &mut [usize], mut root: usize, is_before: &dyn Fn(usize, usize) -> bool) {
    loop {
        let mut last = root;
        let left = root.saturating_mul(2).saturating_add(1);
        for child in [left, left.saturating_add(1)] {
            if let (Some(known), Some(other)) = (heap.get(last), heap.get(child)) {
                if is_before(*known, *other) {
                    last = child;
                }
            }
        }
        if last == root {
            return;
        }
        heap.swap(root, last);
        root = last;
    }
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
