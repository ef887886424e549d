//! Looks at bytes many at a time.

use core::cmp::Ordering;

use crate::bytes16::Bytes16;

/// Where `byte` stands first.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub(crate) fn find(text: &[u8], byte: u8) -> Option<usize> {
    let mut rest = text;
    while let Some((sixteen, others)) = rest.split_first_chunk() {
        if let Some(at) = Bytes16::new(sixteen).equals(byte).first_marked() {
            return Some(behind(text, rest, at));
        }
        rest = others;
    }
    let at = rest.iter().position(|it| *it == byte)?;
    Some(behind(text, rest, at))
}

/// What stands before the first `byte` and behind it; `None` when there is none.
pub(crate) fn split_once(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let (before, from) = text.split_at_checked(find(text, byte)?)?;
    Some((before, from.split_first()?.1))
}

/// How many bytes `text` starts with that a JSON string may have as they are (RFC 8259 §7): neither quote nor
/// backslash nor control character.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub(crate) fn count_unescaped(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((sixteen, others)) = rest.split_first_chunk() {
        let bytes = Bytes16::new(sixteen);
        let controls = bytes.is_below(0x20);
        let ends = bytes.equals(b'"').or(bytes.equals(b'\\')).or(controls);
        if let Some(count) = ends.first_marked() {
            return behind(text, rest, count);
        }
        rest = others;
    }
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    let count = rest.iter().position(is_end).unwrap_or(rest.len());
    behind(text, rest, count)
}

/// Compares as the order of slices does, without what the compiler makes of that order: the function that compares memory,
/// which where there is no C library has to be made of something else. Both have the same length, or the shorter one is
/// compared with as much of the other.
pub fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let (mut one, mut other) = (one, other);
    while let (Some((first, ones)), Some((second, others))) =
        (one.split_first_chunk(), other.split_first_chunk())
    {
        // The first byte that differs is the most significant one.
        let (first, second) = (u64::from_be_bytes(*first), u64::from_be_bytes(*second));
        if first != second {
            return first.cmp(&second);
        }
        (one, other) = (ones, others);
    }
    let mut pairs = one.iter().zip(other);
    let differing = pairs.find(|(first, second)| first != second);
    differing.map_or(Ordering::Equal, |(first, second)| first.cmp(second))
}

/// Where in `text` a place of its end is.
fn behind(text: &[u8], end: &[u8], place: usize) -> usize {
    text.len().wrapping_sub(end.len()).wrapping_add(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_compares_as_slices_do(one in text(), other in text(), shared in text()) {
            let mut one = [shared.clone(), one].concat();
            let mut other = [shared, other].concat();
            let length = one.len().min(other.len());
            one.truncate(length);
            other.truncate(length);
            prop_assert_eq!(compare(&one, &other), one.cmp(&other));
            prop_assert_eq!(compare(&one, &one), Ordering::Equal);
        }
    }

    /// Bytes of which many are next to those that are looked for.
    fn text() -> impl Strategy<Value = std::vec::Vec<u8>> {
        let byte = prop_oneof![
            8 => b'a'..=b'z',
            1 => any::<u8>(),
            1 => prop::sample::select(&b"\"\\./#![]\x1f\x20\x00\x80\x9f\xa2\xdc\xff"[..]),
        ];
        prop::collection::vec(byte, 0..60)
    }

    proptest! {
        #[test]
        fn what_is_found_is_the_first(text in text(), byte in any::<u8>()) {
            for byte in [byte, b'.', 0, 0x80, 0xff] {
                prop_assert_eq!(find(&text, byte), text.iter().position(|it| *it == byte));
            }
            let plain = text.iter().take_while(|it| !matches!(it, b'"' | b'\\' | 0..=0x1f));
            prop_assert_eq!(count_unescaped(&text), plain.count());
        }
    }

    #[test]
    fn every_byte_is_found_in_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..40 {
                let mut text = [byte.wrapping_add(1); 40];
                text[at..].fill(byte);
                assert_eq!(find(&text, byte), Some(at), "{byte} at {at}");
                text[at..].fill(byte.wrapping_add(2));
                assert_eq!(find(&text, byte), None, "{byte} at {at}");
            }
        }
    }
}
