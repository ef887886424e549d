//! HMAC with SHA-2 (RFC 2104, RFC 7518 §3.2).

use ::hmac::digest::KeyInit;
use ::hmac::{Hmac, Mac};
use sha2::{Sha256, Sha384, Sha512};

use crate::Hash;

/// Whether `mac` is the whole HMAC of `message`. Compared in constant time.
pub fn is_valid(hash: Hash, key: &[u8], message: &[u8], mac: &[u8]) -> bool {
    match hash {
        Hash::Sha256 => is_mac::<Hmac<Sha256>>(key, message, mac),
        Hash::Sha384 => is_mac::<Hmac<Sha384>>(key, message, mac),
        Hash::Sha512 => is_mac::<Hmac<Sha512>>(key, message, mac),
    }
}

fn is_mac<M: Mac + KeyInit>(key: &[u8], message: &[u8], mac: &[u8]) -> bool {
    // A key may have any length.
    <M as Mac>::new_from_slice(key)
        .is_ok_and(|hmac| hmac.chain_update(message).verify_slice(mac).is_ok())
}

#[cfg(test)]
mod tests {
    use jwt_compact::alg::{Hs256, Hs256Key, Hs384, Hs384Key, Hs512, Hs512Key};
    use jwt_compact::{Algorithm as _, AlgorithmSignature as _};
    use std::vec::Vec;

    use super::*;

    #[test]
    fn the_mac_of_jwt_compact_is_accepted_whole_and_no_other() {
        for length in [0, 1, 32, 63, 64, 65, 127, 128, 129, 500] {
            let key = std::vec![7; length];
            let macs: [(Hash, Vec<u8>); 3] = [
                (
                    Hash::Sha256,
                    Hs256.sign(&Hs256Key::new(&key), b"text").as_bytes().into(),
                ),
                (
                    Hash::Sha384,
                    Hs384.sign(&Hs384Key::new(&key), b"text").as_bytes().into(),
                ),
                (
                    Hash::Sha512,
                    Hs512.sign(&Hs512Key::new(&key), b"text").as_bytes().into(),
                ),
            ];
            for (hash, mac) in &macs {
                assert!(is_valid(*hash, &key, b"text", mac));
                assert!(!is_valid(*hash, &key, b"texts", mac));
                assert!(!is_valid(*hash, &[&key[..], b"x"].concat(), b"text", mac));
                for bit in 0..8 * mac.len() {
                    let mut other = mac.clone();
                    other[bit / 8] ^= 1 << (bit % 8);
                    assert!(!is_valid(*hash, &key, b"text", &other));
                }
                for end in 0..mac.len() {
                    assert!(!is_valid(*hash, &key, b"text", &mac[..end]));
                }
                assert!(!is_valid(*hash, &key, b"text", &[&mac[..], &[0]].concat()));
                for (other, _) in macs.iter().filter(|(other, _)| other != hash) {
                    assert!(!is_valid(*other, &key, b"text", mac));
                }
            }
        }
    }
}
