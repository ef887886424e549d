use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::IsIdentity as _;
use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use proptest::prelude::*;
use sha2::{Digest as _, Sha512};
use std::vec::Vec;

use super::super::slow::{Slow, below, is_tight, limbs};
use super::field::Element;
use super::*;
use crate::ec::limbs::unpacked;

const P: Words = Words([
    0xffff_ffed,
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
    0x7fff_ffff,
]);

fn scalar(words: &Words) -> Scalar {
    Scalar::from_canonical_bytes(words.to_le_bytes()).unwrap()
}

fn words(scalar: &Scalar) -> Words {
    Words::from_le_bytes(scalar.as_bytes())
}

fn key(point: &EdwardsPoint) -> PublicKey {
    PublicKey::new(&point.compress().0).ok().unwrap()
}

/// Whether the signature is accepted, by a key of either kind as by ed25519-dalek.
fn verdict(encoded: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let oracle = VerifyingKey::from_bytes(encoded).ok();
    let expected = oracle.is_some_and(|key| {
        key.verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    });
    let Ok(key) = PublicKey::new(encoded) else {
        assert!(!expected);
        return false;
    };
    for has_signed in [false, true] {
        key.has_signed.set(has_signed);
        assert_eq!(key.is_valid(message, signature), expected);
    }
    expected
}

fn concat(r: &[u8; 32], s: &Scalar) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r);
    signature[32..].copy_from_slice(s.as_bytes());
    signature
}

/// The number that a signature multiplies the key with (RFC 8032 §5.1.7).
fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new()
        .chain_update(r)
        .chain_update(key)
        .chain_update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// Compares s B - h A, by a key that has its table and by one that has none.
fn assert_sum(s: &Scalar, h: &Scalar, a: &EdwardsPoint, key: &PublicKey) {
    let expected = B * s - a * h;
    for has_signed in [false, true] {
        key.has_signed.set(has_signed);
        let sum = key.sum(&words(s), &words(h)).unwrap();
        let text = std::format!("{s:?} B - {h:?} A, A = {a:?}");
        assert_eq!(sum.compressed(), Some(expected.compress().0), "{text}");
        assert_eq!(sum.has_small_order(), expected.is_small_order(), "{text}");
    }
}

/// Every encoding of a point with an order of eight or less, the ones that are not canonical among them.
fn small_orders() -> Vec<[u8; 32]> {
    let mut encodings: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|it| it.compress().0).collect();
    for encoded in beyond_p() {
        let point = CompressedEdwardsY(encoded).decompress();
        if point.is_some_and(|point| point.is_small_order()) {
            encodings.push(encoded);
        }
    }
    // An x of 0 with a sign.
    let [mut one, mut minus_one] = [EIGHT_TORSION[0], EIGHT_TORSION[4]].map(|it| it.compress().0);
    one[31] |= 0x80;
    minus_one[31] |= 0x80;
    encodings.extend([one, minus_one]);
    encodings
}

/// Every encoding whose y is not below p.
fn beyond_p() -> Vec<[u8; 32]> {
    let mut encodings = Vec::new();
    for last in [0x7f, 0xff] {
        for first in 0xed..=0xff {
            let mut encoded = [0xff; 32];
            encoded[0] = first;
            encoded[31] = last;
            encodings.push(encoded);
        }
    }
    encodings
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn products_and_squares_are_right_for_factors_as_large_as_they_may_be(
        (weight, a, b) in prop_oneof![Just(1), Just(3)]
            .prop_flat_map(|weight| (Just(weight), limbs(weight), limbs(1)))
    ) {
        let slow = |limbs| Slow::of_limbs(limbs, P);
        let product = Element(a).times(&Element(b));
        prop_assert!(is_tight(&product.0));
        prop_assert_eq!(slow(&product.0), slow(&a).times(slow(&b)));
        if weight == 1 {
            let square = Element(a).squared();
            prop_assert!(is_tight(&square.0));
            prop_assert_eq!(slow(&square.0), slow(&a).times(slow(&a)));
        }
    }

    #[test]
    fn carrying_changes_no_number(a in limbs(16)) {
        let carried = Element(a).carried();
        prop_assert!(is_tight(&carried.0));
        prop_assert_eq!(Slow::of_limbs(&carried.0, P), Slow::of_limbs(&a, P));
        prop_assert_eq!(Element(a).words(), Slow::of_limbs(&a, P).number);
    }

    #[test]
    fn inverses_and_powers_are_right(a in below(P)) {
        let x = Element::new(&a);
        prop_assert_eq!(x.words(), a);
        match x.inverse() {
            None => prop_assert!(a.is_zero()),
            Some(inverse) => prop_assert_eq!(inverse.times(&x).words(), Words::ONE),
        }
        // The eighth of p - 5, eight times, and five more: p, to the power of which everything is itself.
        let mut power = x.power_of_eighth();
        for _ in 0..3 {
            power = power.squared();
        }
        let fifth = x.squared().squared().times(&x);
        prop_assert_eq!(power.times(&fifth).words(), a);
    }

    #[test]
    fn scalars_are_multiplied_and_inverted_and_reduced_as_by_curve25519_dalek(
        a in below(*ORDER.words()),
        b in below(*ORDER.words()),
        wide in any::<[u8; 64]>(),
    ) {
        let product = ORDER.montgomery_product(&a, &ORDER.times_radix(&b));
        prop_assert_eq!(product, words(&(scalar(&a) * scalar(&b))));
        if !a.is_zero() {
            prop_assert_eq!(ORDER.inverse(&a), Some(words(&scalar(&a).invert())));
        }
        for wide in [wide, [0xff; 64], [0; 64]] {
            let (low, high) = wide.split_first_chunk().unwrap();
            let [low, high] = [low, high.try_into().unwrap()].map(Words::from_le_bytes);
            prop_assert_eq!(
                ORDER.reduce(&low, &high),
                words(&Scalar::from_bytes_mod_order_wide(&wide))
            );
        }
    }

    #[test]
    fn keys_are_read_as_by_ed25519_dalek(encoded in any::<[u8; 32]>()) {
        let expected = VerifyingKey::from_bytes(&encoded).is_ok();
        prop_assert_eq!(PublicKey::new(&encoded).is_ok(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn sums_of_multiples_are_those_of_curve25519_dalek(
        s in below(*ORDER.words()),
        h in below(*ORDER.words()),
        a in below(*ORDER.words()),
        torsion in 0_usize..8,
    ) {
        prop_assume!(!a.is_zero());
        let a = B * scalar(&a) + EIGHT_TORSION[torsion];
        assert_sum(&scalar(&s), &scalar(&h), &a, &key(&a));
    }

    #[test]
    fn verdicts_are_those_of_ed25519_dalek(
        seed in any::<[u8; 32]>(),
        message in prop::collection::vec(any::<u8>(), 0..200),
        bit in 0_usize..512,
    ) {
        let signer = SigningKey::from_bytes(&seed);
        let encoded = signer.verifying_key().to_bytes();
        let good = signer.sign(&message).to_bytes();
        prop_assert!(verdict(&encoded, &message, &good));
        let mut flipped = good;
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verdict(&encoded, &message, &flipped));
        let longer = [message.as_slice(), b"."].concat();
        prop_assert!(!verdict(&encoded, &longer, &good));
        // S + L, which is S modulo L.
        let mut unreduced = good;
        let (_, s) = good.split_last_chunk::<32>().unwrap();
        unreduced[32..].copy_from_slice(&Words::from_le_bytes(s).plus(ORDER.words()).0.to_le_bytes());
        prop_assert!(!verdict(&encoded, &message, &unreduced));
    }
}

#[test]
fn the_table_of_the_base_point_has_its_multiples() {
    for (number, entry) in generator::TABLE.iter().enumerate() {
        let power = |tooth: u32| (0..32 * tooth).fold(Scalar::ONE, |power, _| power + power);
        let multiple = (0..7).fold(power(7), |sum, tooth| {
            if number >> tooth & 1 == 1 {
                sum + power(tooth)
            } else {
                sum - power(tooth)
            }
        });
        let [x, y] = point::decompressed(&(B * multiple).compress().0).unwrap();
        let words = |entry: &Entry| entry.map(|it| Element(unpacked(&it)).words());
        assert_eq!(words(entry), words(&point::entry(&[x, y])), "{number}");
        assert!(entry.iter().all(|it| is_tight(&unpacked(it))));
    }
}

#[test]
fn sums_are_right_where_additions_meet_equal_opposite_and_neutral_points() {
    let mut edges = Vec::new();
    for small in 0..4_u64 {
        edges.extend([Scalar::from(small), -Scalar::from(small)]);
    }
    for exponent in [31, 32, 36, 37, 63, 64, 128, 192, 222, 224, 251, 252] {
        let power = (0..exponent).fold(Scalar::ONE, |power, _| power + power);
        edges.extend([power, power + Scalar::ONE, -power]);
    }
    for a in [1_u64, 2, 3].map(Scalar::from) {
        for (turn, torsion) in EIGHT_TORSION.iter().enumerate() {
            let point = B * a + torsion;
            let key = key(&point);
            for (number, h) in edges.iter().enumerate() {
                assert_sum(&(a * h), h, &point, &key);
                assert_sum(&-(a * h), h, &point, &key);
                assert_sum(&edges[(number + turn) % edges.len()], h, &point, &key);
            }
        }
    }
}

#[test]
fn keys_of_small_order_are_refused_in_every_encoding() {
    let all = small_orders();
    assert!(all.len() >= 12, "{}", all.len());
    for encoded in all {
        let oracle = VerifyingKey::from_bytes(&encoded).unwrap();
        assert!(oracle.is_weak());
        let error = PublicKey::new(&encoded).err();
        assert!(matches!(error, Some(PublicKeyError::SmallOrder)));
        // The signature that such a key has under every message.
        assert!(!verdict(
            &encoded,
            b"",
            &concat(&EIGHT_TORSION[0].compress().0, &Scalar::ZERO)
        ));
    }
}

#[test]
fn encodings_beyond_p_are_keys_where_ed25519_dalek_has_them_for_keys() {
    let mut keys = 0;
    for encoded in beyond_p() {
        let oracle = VerifyingKey::from_bytes(&encoded).is_ok_and(|key| !key.is_weak());
        assert_eq!(PublicKey::new(&encoded).is_ok(), oracle);
        keys += usize::from(oracle);
    }
    assert!(keys > 0);
}

#[test]
fn an_r_of_small_order_is_refused_in_every_encoding() {
    // With R = 0 or another point of small order, S is h times the secret: nobody else can make that either.
    let secret = Scalar::from(0x1234_5678_9abc_u64);
    for torsion in EIGHT_TORSION {
        let key = (B * secret + torsion).compress().0;
        for r in small_orders() {
            for number in 0..16_u8 {
                let message = [number];
                let s = challenge(&r, &key, &message) * secret;
                assert!(!verdict(&key, &message, &concat(&r, &s)));
            }
        }
    }
}

#[test]
fn a_key_with_a_part_of_small_order_is_checked_without_the_cofactor() {
    // R has a part of small order too. It fits, or only a multiple of eight does.
    let (secret, nonce) = (Scalar::from(0x1234_5678_9abc_u64), Scalar::from(4711_u64));
    let (mut valid, mut invalid) = (0, 0);
    for torsion in EIGHT_TORSION {
        let a = B * secret + torsion;
        let key = a.compress().0;
        for other in EIGHT_TORSION {
            for number in 0..4_u8 {
                let message = [number];
                let r = (B * nonce + other).compress().0;
                let h = challenge(&r, &key, &message);
                let signature = concat(&r, &(nonce + h * secret));
                let fits = (B * nonce + other + a * h - B * (nonce + h * secret)).is_identity();
                assert_eq!(verdict(&key, &message, &signature), fits);
                *if fits { &mut valid } else { &mut invalid } += 1;
            }
        }
    }
    assert!(valid > 20 && invalid > 20, "{valid} {invalid}");
}

#[test]
fn a_signature_of_another_length_is_refused() {
    let signer = SigningKey::from_bytes(&[7; 32]);
    let key = key(&signer.verifying_key().to_edwards());
    let good = signer.sign(b"").to_bytes();
    assert!(key.is_valid(b"", &good));
    assert!(!key.is_valid(b"", &good[1..]));
    assert!(!key.is_valid(b"", &good[..63]));
    assert!(!key.is_valid(b"", &[&good[..], &[0]].concat()));
    assert!(!key.is_valid(b"", b""));
}

#[test]
fn a_key_gets_its_table_when_it_has_signed_and_not_for_forged_signatures() {
    let signer = SigningKey::from_bytes(&[7; 32]);
    let key = key(&signer.verifying_key().to_edwards());
    let good = signer.sign(b"message").to_bytes();
    for (message, has_table) in [
        ("forged", false),
        ("forged", false),
        ("message", false),
        ("forged", true),
        ("message", true),
    ] {
        let is_valid = key.is_valid(message.as_bytes(), &good);
        assert_eq!(is_valid, message == "message");
        assert_eq!(key.table.get().is_some(), has_table);
    }
    let bytes = key.table.get().map(|it| size_of_val(it.as_ref()));
    assert_eq!(bytes, Some(64 * 108));
}
