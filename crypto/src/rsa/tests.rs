//! The arithmetic and the checks against the crates `rsa` and `num-bigint-dig`, which are no part of the filter.
//!
//! Signatures need no private key here. With the exponent 3, s is the signature of any encoding m under the modulus
//! s³ - m: nobody knows its factors, and nothing that verifies asks for them. So every size of key and every wrong
//! encoding has its signature at once.

use ::rsa::traits::PublicKeyParts as _;
use ::rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPublicKey};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::vec::Vec;

use super::montgomery::Modulus;
use super::{Hash, MAX_EXPONENT, PublicKey, bit_length, encoding};

const HASHES: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
const MESSAGE: &[u8] = b"header.payload";

fn one() -> BigUint {
    BigUint::from(1_u8)
}

fn power_of_two(exponent: usize) -> BigUint {
    one() << exponent
}

/// The number, big-endian, in so many bytes.
fn padded(number: &BigUint, length: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    let mut padded = std::vec![0; length - bytes.len()];
    padded.extend(bytes);
    padded
}

fn oracle(modulus: &BigUint, exponent: u64) -> RsaPublicKey {
    RsaPublicKey::new_with_max_size(modulus.clone(), BigUint::from(exponent), 8192).unwrap()
}

/// Whether the crate `rsa` finds the signature valid, as RSASSA-PKCS1-v1_5 and as RSASSA-PSS.
fn oracle_verifies(key: &RsaPublicKey, hash: Hash, message: &[u8], signature: &[u8]) -> [bool; 2] {
    let (pkcs1v15, pss, digest) = match hash {
        Hash::Sha256 => (
            Pkcs1v15Sign::new::<Sha256>(),
            Pss::new_with_salt::<Sha256>(32),
            Sha256::digest(message).to_vec(),
        ),
        Hash::Sha384 => (
            Pkcs1v15Sign::new::<Sha384>(),
            Pss::new_with_salt::<Sha384>(48),
            Sha384::digest(message).to_vec(),
        ),
        Hash::Sha512 => (
            Pkcs1v15Sign::new::<Sha512>(),
            Pss::new_with_salt::<Sha512>(64),
            Sha512::digest(message).to_vec(),
        ),
    };
    [
        key.verify(pkcs1v15, &digest, signature).is_ok(),
        key.verify(pss, &digest, signature).is_ok(),
    ]
}

fn verifies(key: &PublicKey, hash: Hash, message: &[u8], signature: &[u8]) -> [bool; 2] {
    [
        key.verify_pkcs1v15(hash, message, signature),
        key.verify_pss(hash, message, signature),
    ]
}

/// The smallest number whose cube is at least `cube`.
fn cube_root(cube: &BigUint) -> BigUint {
    let mut root = BigUint::from(0_u8);
    for bit in (0..=cube.bits() / 3).rev() {
        let higher = &root + power_of_two(bit);
        if &(&higher * &higher * &higher) < cube {
            root = higher;
        }
    }
    root + one()
}

/// A modulus of so many bits, and the signature for the exponent 3 whose encoding is `encoded`, which is a smaller
/// number.
fn signed(encoded: &[u8], bits: usize) -> (BigUint, Vec<u8>) {
    let encoded = BigUint::from_bytes_be(encoded);
    let at_least = power_of_two(bits - 1).max(&encoded + one());
    let mut signature = cube_root(&(&at_least + &encoded));
    loop {
        let modulus = &signature * &signature * &signature - &encoded;
        if modulus.to_bytes_be().last().unwrap() % 2 == 1 {
            assert_eq!(modulus.bits(), bits);
            let bytes = padded(&signature, bits.div_ceil(8));
            return (modulus, bytes);
        }
        signature += one();
    }
}

/// EMSA-PSS of the message in as many bytes as the modulus has (RFC 8017 §9.1.1).
fn pss(hash: Hash, message: &[u8], salt: &[u8], modulus_bits: usize) -> Vec<u8> {
    let digest = |bytes: &[u8]| match hash {
        Hash::Sha256 => Sha256::digest(bytes).to_vec(),
        Hash::Sha384 => Sha384::digest(bytes).to_vec(),
        Hash::Sha512 => Sha512::digest(bytes).to_vec(),
    };
    let bits = modulus_bits - 1;
    let length = bits.div_ceil(8);
    let found = digest(&[[0; 8].as_slice(), &digest(message), salt].concat());
    let mut block = std::vec![0; length - found.len() - 1 - salt.len() - 1];
    block.push(1);
    block.extend_from_slice(salt);
    for (index, byte) in block.iter_mut().enumerate() {
        let counter = u32::try_from(index / found.len()).unwrap();
        let mask = digest(&[found.as_slice(), &counter.to_be_bytes()].concat());
        *byte ^= mask[index % found.len()];
    }
    block[0] &= 0xff >> (8 * length - bits);
    let mut encoded = std::vec![0; modulus_bits.div_ceil(8) - length];
    encoded.extend(block);
    encoded.extend(found);
    encoded.push(0xbc);
    encoded
}

fn salt_of(hash: Hash) -> Vec<u8> {
    let bytes = match hash {
        Hash::Sha256 => 32,
        Hash::Sha384 => 48,
        Hash::Sha512 => 64,
    };
    (0..bytes).collect()
}

/// The power by this module and by `num-bigint-dig`, for a base below the modulus.
fn assert_same_power(modulus: &BigUint, base: &BigUint, exponent: u64) {
    assert_same_powers(modulus, core::slice::from_ref(base), exponent);
}

fn assert_same_powers(modulus: &BigUint, bases: &[BigUint], exponent: u64) {
    let length = modulus.bits().div_ceil(8);
    let number = Modulus::new(&modulus.to_bytes_be()).unwrap();
    for base in bases {
        let expected = base.modpow(&BigUint::from(exponent), modulus);
        let found = number.power(&padded(base, length), exponent);
        assert_eq!(
            BigUint::from_bytes_be(&found),
            expected,
            "{base} to the {exponent} modulo {modulus}"
        );
        assert_eq!(found.len(), length);
    }
}

/// Moduli of so many bits whose digits are as large as can be, or of which there are few.
fn hostile_moduli(bits: usize) -> Vec<BigUint> {
    let all = power_of_two(bits);
    let mut moduli = std::vec![
        &all - one(),
        &all - BigUint::from(3_u8),
        power_of_two(bits - 1) + one(),
        power_of_two(bits - 1) + power_of_two(bits / 2) + one(),
        &all - power_of_two(bits / 2) - one(),
        &all - power_of_two(bits - 2) - one(),
    ];
    // Each digit of 13 bits the same: the largest positive one, the largest negative one and its neighbours.
    for digit in [0x0fff_u16, 0x1000, 0x1001, 0x1fff, 0x0001, 0x0aaa, 0x1555] {
        let mut modulus = BigUint::from(0_u8);
        for place in (0..bits).step_by(13) {
            modulus += BigUint::from(digit) << place;
        }
        modulus %= power_of_two(bits - 1);
        modulus += power_of_two(bits - 1);
        if modulus.to_bytes_be().last().unwrap() % 2 == 0 {
            modulus += one();
        }
        moduli.push(modulus);
    }
    moduli
}

#[test]
fn powers_modulo_hostile_numbers_are_right() {
    let sizes = (17..=440)
        .step_by(47)
        .chain([2048, 2049, 2053, 2056, 2078, 2079, 2080, 2081, 3072, 4096]);
    for bits in sizes {
        for modulus in hostile_moduli(bits) {
            let half = &modulus >> 1_usize;
            let small = BigUint::from(2_u8);
            let bases = [
                BigUint::from(0_u8),
                one(),
                small.clone(),
                half.clone(),
                half + one(),
                &modulus - small,
                &modulus - one(),
            ];
            assert_same_powers(&modulus, &bases, 3);
            assert_same_power(&modulus, &(&modulus - one()), 65_537);
            assert_same_power(&modulus, &(&modulus >> 1_usize), 65_537);
        }
    }
}

#[test]
fn powers_modulo_the_longest_hostile_numbers_are_right() {
    for bits in [8_189, 8_192] {
        for modulus in hostile_moduli(bits) {
            assert_same_power(&modulus, &(&modulus - one()), 3);
            assert_same_power(&modulus, &(&modulus >> 1_usize), 17);
        }
    }
}

/// Bytes of which each is as likely all zeros or all ones as anything else.
fn rough_bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0_u8), Just(0xff_u8), any::<u8>()];
    proptest::collection::vec(byte, length)
}

fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), length),
        rough_bytes(length)
    ]
}

/// An odd modulus of `bits` and a smaller base, made of two rows of bytes.
fn modulus_and_base(bits: usize, modulus: &[u8], base: &[u8]) -> (BigUint, BigUint) {
    let top = power_of_two(bits - 1);
    let mut modulus = BigUint::from_bytes_be(modulus) % &top + &top;
    if modulus.to_bytes_be().last().unwrap() % 2 == 0 {
        modulus += one();
    }
    let base = BigUint::from_bytes_be(base) % &modulus;
    (modulus, base)
}

fn exponents() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(3_u64),
        Just(17),
        Just(65_537),
        (1..=MAX_EXPONENT / 2).prop_map(|half| 2 * half + 1),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn powers_modulo_short_numbers_are_right(
        bits in 2_usize..700,
        modulus in bytes(88),
        base in bytes(88),
        exponent in exponents(),
    ) {
        let (modulus, base) = modulus_and_base(bits, &modulus, &base);
        assert_same_power(&modulus, &base, exponent);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn powers_modulo_numbers_of_the_length_of_keys_are_right(
        bits in 2048_usize..=4096,
        modulus in bytes(512),
        base in bytes(512),
        exponent in exponents(),
    ) {
        let (modulus, base) = modulus_and_base(bits, &modulus, &base);
        assert_same_power(&modulus, &base, exponent);
    }

    #[test]
    fn any_signature_is_judged_as_by_the_oracle(
        bits in 2048_usize..=2100,
        modulus in bytes(263),
        signature in bytes(263),
        by in -1_i8..=1,
    ) {
        let (modulus, base) = modulus_and_base(bits, &modulus, &signature);
        let length = bits.div_ceil(8);
        let key = PublicKey::new(&modulus.to_bytes_be(), 3).unwrap();
        let oracle = oracle(&modulus, 3);
        let near = if by < 0 { &modulus - one() } else if by > 0 { &modulus + one() } else { modulus };
        for number in [base, near] {
            if number.bits() <= 8 * length {
                let signature = padded(&number, length);
                let expected = oracle_verifies(&oracle, Hash::Sha256, MESSAGE, &signature);
                prop_assert_eq!(verifies(&key, Hash::Sha256, MESSAGE, &signature), expected);
            }
        }
    }
}

#[test]
fn signatures_of_every_size_of_key_are_accepted_and_of_no_other_message() {
    let sizes = (2048..=2057_usize).chain([2500, 3072, 4096, 6001, 8191, 8192]);
    for bits in sizes {
        for hash in HASHES {
            let encodings = [
                encoding::pkcs1v15(hash, MESSAGE, bits.div_ceil(8)).unwrap(),
                pss(hash, MESSAGE, &salt_of(hash), bits),
            ];
            for (scheme, encoded) in encodings.iter().enumerate() {
                let (modulus, signature) = signed(encoded, bits);
                let key = PublicKey::new(&modulus.to_bytes_be(), 3).unwrap();
                let expected = [scheme == 0, scheme == 1];
                let oracle = oracle(&modulus, 3);
                let found = verifies(&key, hash, MESSAGE, &signature);
                assert_eq!(found, expected, "{hash:?}, {bits} bits");
                assert_eq!(found, oracle_verifies(&oracle, hash, MESSAGE, &signature));
                let other = verifies(&key, hash, b"header.payloae", &signature);
                assert_eq!(other, [false; 2], "{hash:?}, {bits} bits");
                for other in HASHES.into_iter().filter(|other| *other != hash) {
                    assert_eq!(verifies(&key, other, MESSAGE, &signature), [false; 2]);
                }
            }
        }
    }
}

#[test]
fn a_signature_with_any_bit_changed_is_refused() {
    let bits = 2048;
    let encodings = [
        encoding::pkcs1v15(Hash::Sha256, MESSAGE, bits / 8).unwrap(),
        pss(Hash::Sha256, MESSAGE, &salt_of(Hash::Sha256), bits),
    ];
    for (scheme, encoded) in encodings.iter().enumerate() {
        let (modulus, signature) = signed(encoded, bits);
        let key = PublicKey::new(&modulus.to_bytes_be(), 3).unwrap();
        assert_ne!(
            verifies(&key, Hash::Sha256, MESSAGE, &signature),
            [false; 2]
        );
        for bit in 0..bits {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let accepted = match scheme {
                0 => key.verify_pkcs1v15(Hash::Sha256, MESSAGE, &changed),
                _ => key.verify_pss(Hash::Sha256, MESSAGE, &changed),
            };
            assert!(!accepted, "scheme {scheme}, bit {bit}");
        }
    }
}

#[test]
fn numbers_at_the_edges_of_the_modulus_are_no_signatures() {
    for modulus in hostile_moduli(2048) {
        let key = PublicKey::new(&modulus.to_bytes_be(), 65_537).unwrap();
        let edges = [
            BigUint::from(0_u8),
            one(),
            &modulus - one(),
            modulus.clone(),
            &modulus + one(),
            power_of_two(2048) - one(),
        ];
        for number in edges {
            if number.bits() <= 2048 {
                for hash in HASHES {
                    let found = verifies(&key, hash, MESSAGE, &padded(&number, 256));
                    assert_eq!(found, [false; 2], "{number} modulo {modulus}");
                }
            }
        }
    }
}

#[test]
fn a_signature_has_the_length_of_the_modulus_and_is_smaller() {
    let bits = 2051;
    let encodings = [
        encoding::pkcs1v15(Hash::Sha256, MESSAGE, 257).unwrap(),
        pss(Hash::Sha256, MESSAGE, &salt_of(Hash::Sha256), bits),
    ];
    for (scheme, encoded) in encodings.iter().enumerate() {
        let (modulus, signature) = signed(encoded, bits);
        let key = PublicKey::new(&modulus.to_bytes_be(), 3).unwrap();
        assert!(verifies(&key, Hash::Sha256, MESSAGE, &signature)[scheme]);
        let (0, shorter) = signature.split_first().unwrap() else {
            panic!("a third of the bits of the modulus")
        };
        let longer = [&[0], signature.as_slice()].concat();
        let twin = BigUint::from_bytes_be(&signature) + &modulus;
        let twin = padded(&twin, 257);
        for (wrong, note) in [
            (shorter, "a byte less"),
            (&longer, "a byte more"),
            (&twin, "the modulus more"),
            (&[], "nothing"),
        ] {
            let found = verifies(&key, Hash::Sha256, MESSAGE, wrong);
            assert_eq!(found, [false; 2], "{note}");
        }
    }
}

#[test]
fn encodings_that_are_not_exactly_pkcs1_are_refused() {
    let right = encoding::pkcs1v15(Hash::Sha256, MESSAGE, 256).unwrap();
    let digest = right.split_at(256 - 32).1;
    let info = encoding::digest_info(Hash::Sha256);
    // A padding of the length that fills the 256 bytes.
    let filled = |kind: u8, byte: u8, behind: &[u8]| {
        let mut encoded = std::vec![0, kind];
        encoded.resize(256 - 1 - behind.len(), byte);
        encoded.push(0);
        encoded.extend_from_slice(behind);
        encoded
    };
    let without_null = [
        &[0x30, 0x2f, 0x30, 0x0b],
        info.get(4..15).unwrap(),
        &[0x04, 0x20],
        digest,
    ]
    .concat();
    let whole = [info.as_slice(), digest].concat();
    assert_eq!(filled(1, 0xff, &whole), right);
    let with_garbage = |padding: usize| {
        let mut encoded = std::vec![0, 1];
        encoded.resize(2 + padding, 0xff);
        encoded.push(0);
        encoded.extend_from_slice(&whole);
        encoded.resize(256, 0x5a);
        encoded
    };
    let mut longer_length = whole.clone();
    longer_length.splice(1..2, [0x81, 0x31]);
    let mut other_bit = right.clone();
    other_bit[100] = 0xfe;
    for (encoded, note) in [
        (filled(1, 0xff, &without_null), "no NULL parameters"),
        (filled(1, 0xff, digest), "no DigestInfo"),
        (filled(1, 0xff, &longer_length), "a length in the long form"),
        (filled(2, 0xff, &whole), "block type 2"),
        (filled(0, 0x00, &whole), "block type 0"),
        (with_garbage(8), "eight bytes of padding, garbage behind"),
        (with_garbage(0), "no padding, garbage behind"),
        (with_garbage(201), "a byte of garbage behind"),
        (other_bit, "a bit of the padding"),
        (
            filled(1, 0xff, &[whole.as_slice(), &[0]].concat()),
            "a zero behind",
        ),
    ] {
        let (modulus, signature) = signed(&encoded, 2048);
        let key = PublicKey::new(&modulus.to_bytes_be(), 3).unwrap();
        let found = verifies(&key, Hash::Sha256, MESSAGE, &signature);
        assert_eq!(found, [false; 2], "{note}");
        let oracle = oracle(&modulus, 3);
        assert_eq!(
            oracle_verifies(&oracle, Hash::Sha256, MESSAGE, &signature),
            [false; 2],
            "{note}"
        );
    }
}

#[test]
fn encodings_that_are_not_exactly_pss_are_refused() {
    let hash = Hash::Sha256;
    let salt = salt_of(hash);
    for bits in [2048, 2049, 2053] {
        let right = pss(hash, MESSAGE, &salt, bits);
        let changed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut encoded = right.clone();
            change(&mut encoded);
            encoded
        };
        for (encoded, note) in [
            (pss(hash, MESSAGE, &salt[1..], bits), "a salt of 31 bytes"),
            (pss(hash, MESSAGE, &[7; 33], bits), "a salt of 33 bytes"),
            (pss(hash, MESSAGE, &[], bits), "no salt"),
            (
                changed(&|encoded| *encoded.last_mut().unwrap() = 0xcc),
                "another trailer",
            ),
            (
                changed(&|encoded| encoded[100] ^= 1),
                "a bit of the padding",
            ),
            (
                changed(&|encoded| {
                    let last_zero = encoded.len() - 1 - 32 - 32 - 1;
                    encoded[last_zero] ^= 1;
                }),
                "0x00 before the salt",
            ),
        ] {
            let (modulus, signature) = signed(&encoded, bits);
            let key = PublicKey::new(&modulus.to_bytes_be(), 3).unwrap();
            let found = verifies(&key, hash, MESSAGE, &signature);
            assert_eq!(found, [false; 2], "{note}, {bits} bits");
            let oracle = oracle(&modulus, 3);
            assert_eq!(
                found,
                oracle_verifies(&oracle, hash, MESSAGE, &signature),
                "{note}"
            );
        }
    }
}

#[test]
fn a_pss_encoding_with_a_bit_beyond_its_own_is_refused() {
    // An encoding has a bit less than the modulus. Where that makes it a byte shorter, the crate `rsa` leaves the
    // byte in front of it out and does not look at it; RFC 8017 §8.1.2 refuses it in step 2c.
    let hash = Hash::Sha256;
    for bits in [2048, 2049, 2050] {
        let mut encoded = pss(hash, MESSAGE, &salt_of(hash), bits);
        let top = (bits - 1) % 8;
        encoded[0] |= 1 << top;
        // Small enough to be below a modulus of as many bits.
        if top > 0 {
            encoded[0] &= !(1 << (top - 1));
        }
        let (modulus, signature) = signed(&encoded, bits);
        let key = PublicKey::new(&modulus.to_bytes_be(), 3).unwrap();
        assert!(!key.verify_pss(hash, MESSAGE, &signature), "{bits} bits");
    }
}

#[test]
fn modulus_and_exponent_come_out_as_by_the_oracle() {
    for bits in [2048, 2049, 2055, 2056, 3072, 8191, 8192] {
        for exponent in [3, 127, 129, 257, 65_537, MAX_EXPONENT] {
            let modulus = power_of_two(bits - 1) + one();
            let key = PublicKey::new(&modulus.to_bytes_be(), exponent).unwrap();
            let oracle = oracle(&modulus, exponent);
            assert_eq!(key.modulus(), oracle.n().to_bytes_be());
            assert_eq!(key.exponent(), oracle.e().to_bytes_be());
        }
    }
}

#[test]
fn no_key_has_an_even_modulus_or_an_exponent_that_is_even_or_out_of_range() {
    let odd = (power_of_two(2047) + one()).to_bytes_be();
    let even = power_of_two(2047).to_bytes_be();
    for exponent in [3, 5, 65_537, MAX_EXPONENT] {
        assert!(PublicKey::new(&odd, exponent).is_some(), "{exponent}");
        assert!(PublicKey::new(&even, exponent).is_none(), "{exponent}");
        assert!(PublicKey::new(&[], exponent).is_none());
        assert!(PublicKey::new(&[0, 0], exponent).is_none());
    }
    for exponent in [
        0,
        1,
        2,
        4,
        65_536,
        MAX_EXPONENT + 1,
        MAX_EXPONENT + 2,
        u64::MAX,
    ] {
        assert!(PublicKey::new(&odd, exponent).is_none(), "{exponent}");
    }
    assert_eq!(MAX_EXPONENT, RsaPublicKey::MAX_PUB_EXPONENT);
}

#[test]
fn zeros_in_front_of_a_modulus_are_no_part_of_it() {
    let (modulus, signature) = signed(
        &encoding::pkcs1v15(Hash::Sha256, MESSAGE, 256).unwrap(),
        2048,
    );
    let long = padded(&modulus, 300);
    let key = PublicKey::new(&long, 3).unwrap();
    assert_eq!(key.modulus(), modulus.to_bytes_be());
    assert_eq!(bit_length(&long), 2048);
    assert!(key.verify_pkcs1v15(Hash::Sha256, MESSAGE, &signature));
}
