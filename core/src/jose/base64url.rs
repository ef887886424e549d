//! base64url as JOSE has it (RFC 7515 §2), and nothing more lenient.
//!
//! Two texts must never decode to the same bytes: a token that was revoked by its text would come back
//! in another spelling. So padding, `+` and `/`, white space and trailing bits that are not zero are refused.

use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;

use crate::bytes16::Bytes16;

/// A text is not base64url without padding in its only spelling (RFC 7515 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base64urlError;

impl fmt::Display for Base64urlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not base64url without padding")
    }
}

impl core::error::Error for Base64urlError {}

/// Decodes `text`. The empty text is the empty sequence of bytes.
///
/// # Errors
/// [`Base64urlError`] for anything that [`encode`] would not have written.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, Base64urlError> {
    decode_sixteens(text).ok_or(Base64urlError)
}

#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
fn decode_sixteens(text: &[u8]) -> Option<Vec<u8>> {
    let sixteens = text.len() / 16;
    let mut bytes = Vec::with_capacity(sixteens.saturating_add(1).saturating_mul(12));
    // Zero in some place as soon as one of them has something there that is no character.
    let mut shifts = Bytes16::all(u8::MAX);
    let mut rest = text;
    while let Some((sixteen, others)) = rest.split_first_chunk() {
        let characters = Bytes16::new(sixteen);
        let shift = shift(characters);
        shifts = shifts.min(shift);
        let mut twelve = [0; 12];
        characters.plus(shift).write_sixes(&mut twelve);
        bytes.extend_from_slice(&twelve);
        rest = others;
    }
    // What is left, filled up with zeros: bits behind the last whole byte have to be some as well.
    let last = core::array::from_fn(|at| rest.get(at).copied().unwrap_or(b'A'));
    let last = Bytes16::new(&last);
    let shift = shift(last);
    let mut twelve = [0; 12];
    last.plus(shift).write_sixes(&mut twelve);
    bytes.extend_from_slice(&twelve);
    let decoded = rest.len().saturating_mul(3) / 4;
    let beyond = twelve.get(decoded..)?;
    let is_whole = rest.len() % 4 != 1;
    let is_good = shifts.min(shift).has_no_zero() && is_whole && beyond.iter().all(|it| *it == 0);
    bytes.truncate(bytes.len().saturating_sub(beyond.len()));
    is_good.then_some(bytes)
}

/// What makes each character the six bits that it stands for (RFC 4648 §5) when it is added: never zero. Zero where
/// there is no character of base64url.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
#[inline]
fn shift(characters: Bytes16) -> Bytes16 {
    const fn to(six: u8, character: u8) -> u8 {
        six.wrapping_sub(character)
    }
    let upper = characters.minus(b'A').is_below(26).select(to(0, b'A'));
    let lower = characters.minus(b'a').is_below(26).select(to(26, b'a'));
    let digit = characters.minus(b'0').is_below(10).select(to(52, b'0'));
    let minus = characters.equals(b'-').select(to(62, b'-'));
    let underscore = characters.equals(b'_').select(to(63, b'_'));
    upper.or(lower).or(digit).or(minus).or(underscore)
}

/// Encodes `bytes`, without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn assert_as_the_crate_decodes(text: &[u8]) {
        let expected = URL_SAFE_NO_PAD.decode(text).map_err(|_| Base64urlError);
        assert_eq!(decode(text), expected, "{}", text.escape_ascii());
    }

    #[test]
    fn every_ending_decodes_as_the_crate_decodes_it() {
        for a in 0..=u8::MAX {
            assert_as_the_crate_decodes(&[a]);
            assert_as_the_crate_decodes(&[b'A', b'A', b'A', b'A', a]);
            for b in 0..=u8::MAX {
                assert_as_the_crate_decodes(&[a, b]);
                assert_as_the_crate_decodes(&[b'A', a, b]);
                assert_as_the_crate_decodes(&[b'_', b'-', a, b]);
            }
        }
    }

    #[test]
    fn a_stray_byte_is_refused_in_every_place() {
        for length in 1..24 {
            for at in 0..length {
                for stray in *b"=+/ \n.\0\x80\xff" {
                    let mut text = vec![b'A'; length];
                    text[at] = stray;
                    assert_eq!(
                        decode(&text),
                        Err(Base64urlError),
                        "{}",
                        text.escape_ascii()
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()), Ok(bytes));
        }

        #[test]
        fn any_text_decodes_as_the_crate_decodes_it(
            mut text in prop::collection::vec(prop::sample::select(&b"AZaz09-_BQgw"[..]), 0..90),
            stray in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
        ) {
            if let (Some((at, byte)), false) = (stray, text.is_empty()) {
                let at = at.index(text.len());
                text[at] = byte;
            }
            assert_as_the_crate_decodes(&text);
        }
    }
}
