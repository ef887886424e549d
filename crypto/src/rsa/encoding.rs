//! What an RSA signature is made of: the encodings of RFC 8017 §9.

use alloc::vec::Vec;

use crate::Hash;

/// The DigestInfo in DER as far as the hash itself (RFC 8017 §9.2, note 1). The parameters of the hash are NULL: an
/// encoding that leaves them out is another one, and is refused.
pub(super) const fn digest_info(hash: Hash) -> [u8; 19] {
    let (whole, name, bytes) = match hash {
        Hash::Sha256 => (0x31, 0x01, 0x20),
        Hash::Sha384 => (0x41, 0x02, 0x30),
        Hash::Sha512 => (0x51, 0x03, 0x40),
    };
    [
        0x30, whole, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, name,
        0x05, 0x00, 0x04, bytes,
    ]
}

/// EMSA-PKCS1-v1_5 of a message in `length` bytes (RFC 8017 §9.2). `None` where it does not fit them.
pub(super) fn pkcs1v15(hash: Hash, message: &[u8], length: usize) -> Option<Vec<u8>> {
    let info = digest_info(hash);
    let digest = hash.of(&[message]);
    // 0x00 || 0x01 || PS || 0x00 || T, with at least eight bytes of PS.
    let padding = length
        .checked_sub(3)?
        .checked_sub(info.len())?
        .checked_sub(digest.len())?;
    if padding < 8 {
        return None;
    }
    let mut encoded = alloc::vec![0, 1];
    encoded.resize(padding.checked_add(2)?, 0xff);
    encoded.push(0);
    encoded.extend_from_slice(&info);
    encoded.extend_from_slice(&digest);
    Some(encoded)
}

/// Whether `encoded` is an EMSA-PSS encoding of a message (RFC 8017 §9.1.2), `encoded` having as many bytes as a
/// modulus of `modulus_bits`. The salt has the length of the hash.
pub(super) fn is_pss(hash: Hash, message: &[u8], encoded: &[u8], modulus_bits: usize) -> bool {
    pss_hash(hash, message, encoded, modulus_bits).is_some_and(|(found, right)| found == right)
}

/// The hash that a PSS encoding has, and the one that it has to have. `None` where its form is wrong.
fn pss_hash<'a>(
    hash: Hash,
    message: &[u8],
    encoded: &'a [u8],
    modulus_bits: usize,
) -> Option<(&'a [u8], Vec<u8>)> {
    // The encoding has a bit less than the modulus, so it may have a byte less too. That byte is zero
    // (RFC 8017 §4.1, step 1, of the number that is to be `emLen` bytes).
    let bits = modulus_bits.checked_sub(1)?;
    let length = bits.div_ceil(8);
    let (front, encoded) = encoded.split_at_checked(encoded.len().checked_sub(length)?)?;
    if front.iter().any(|byte| *byte != 0) {
        return None;
    }
    let (0xbc, encoded) = encoded.split_last()? else {
        return None;
    };
    let (masked, found) = encoded.split_at_checked(encoded.len().checked_sub(hash.bytes())?)?;
    let unused = length.checked_mul(8)?.checked_sub(bits)?;
    let used = 0xff_u8.checked_shr(u32::try_from(unused).ok()?)?;
    if masked.first()? & !used != 0 {
        return None;
    }
    let mut block = masked.to_vec();
    mask(hash, found, &mut block);
    if let Some(first) = block.first_mut() {
        *first &= used;
    }
    // Zeros, then 0x01, then the salt.
    let (padding, salt) = block.split_at_checked(block.len().checked_sub(hash.bytes())?)?;
    let (0x01, zeros) = padding.split_last()? else {
        return None;
    };
    if zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    let right = hash.of(&[&[0; 8], &hash.of(&[message]), salt]);
    Some((found, right))
}

/// Adds MGF1 of the seed to the bytes (RFC 8017 B.2.1).
fn mask(hash: Hash, seed: &[u8], bytes: &mut [u8]) {
    for (counter, part) in (0_u32..).zip(bytes.chunks_mut(hash.bytes())) {
        let mask = hash.of(&[seed, &counter.to_be_bytes()]);
        for (byte, mask) in part.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}
