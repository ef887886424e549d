use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
use p256::elliptic_curve::PrimeField as _;
use p256::elliptic_curve::sec1::{FromEncodedPoint as _, ToEncodedPoint as _};
use p256::{AffinePoint, EncodedPoint, ProjectivePoint, Scalar};
use proptest::prelude::*;
use std::vec::Vec;

use super::super::slow::{Slow, below, hex, is_tight, limbs};
use super::*;
use crate::ec::comb::Group as _;
use crate::ec::limbs::unpacked;

const P: Words = Words([
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
    0,
    0,
    0,
    1,
    0xffff_ffff,
]);

fn scalar(words: &Words) -> Scalar {
    Scalar::from_repr(words.to_be_bytes().into()).unwrap()
}

fn words(scalar: &Scalar) -> Words {
    Words::from_be_bytes(&scalar.to_repr().into())
}

/// The key of a point that is not at infinity.
fn key(point: ProjectivePoint) -> PublicKey {
    PublicKey::from_sec1_bytes(point.to_affine().to_encoded_point(false).as_bytes()).unwrap()
}

/// A key that has signed before.
fn used(key: &PublicKey) -> PublicKey {
    let key = key.clone();
    key.has_signed.set(true);
    key
}

/// The point in the form of SEC 1.
fn encoded(point: &Point) -> Vec<u8> {
    if point.is_infinity {
        return std::vec![0];
    }
    let [entry] = P256::entries(&[*point]).unwrap().try_into().unwrap();
    let [x, y] = entry.map(|it| Element(unpacked(&it)).words().to_be_bytes());
    [&[4], x.as_slice(), &y].concat()
}

/// Compares u1 G + u2 Q, by a key that has its table and by one that has none.
fn assert_sum(u1: &Scalar, u2: &Scalar, q: ProjectivePoint, key: &PublicKey) {
    let expected = ProjectivePoint::GENERATOR * u1 + q * u2;
    let expected = expected.to_affine().to_encoded_point(false);
    for has_signed in [false, true] {
        key.has_signed.set(has_signed);
        let sum = key.sum(&words(u1), &words(u2)).unwrap();
        assert_eq!(
            encoded(&sum),
            expected.as_bytes(),
            "{u1:?} G + {u2:?} Q, Q = {q:?}"
        );
    }
}

/// Whether both kinds of check accept the signature, which have to agree with the crate p256 and each other.
fn verdict(key: &PublicKey, digest: &[u8; 32], signature: &[u8]) -> bool {
    let [x, y] = key.coordinates();
    let point = EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
    let oracle = p256::ecdsa::VerifyingKey::from_encoded_point(&point).unwrap();
    let expected = p256::ecdsa::Signature::from_slice(signature)
        .is_ok_and(|signature| oracle.verify_prehash(digest, &signature).is_ok());
    let fresh = PublicKey::from_sec1_bytes(point.as_bytes()).unwrap();
    assert_eq!(fresh.verify(digest, signature).is_some(), expected);
    assert_eq!(key.verify(digest, signature).is_some(), expected);
    expected
}

fn concat(r: &Words, s: &Words) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r.to_be_bytes());
    signature[32..].copy_from_slice(&s.to_be_bytes());
    signature
}

/// Scalars at the edges of what a comb does.
fn edges() -> Vec<Scalar> {
    let mut edges = std::vec![Scalar::ZERO];
    let half = Scalar::from(2_u64).invert().unwrap();
    for near in [Scalar::ZERO, half] {
        for distance in 1..=3_u64 {
            edges.push(near + Scalar::from(distance));
            edges.push(near - Scalar::from(distance));
        }
    }
    for exponent in [31, 32, 36, 37, 63, 64, 128, 191, 192, 222, 224, 254, 255] {
        let power = Scalar::from(2_u64).pow_vartime(&[exponent]);
        edges.extend([power, -power, power + Scalar::ONE]);
    }
    edges
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn products_and_squares_are_right_for_factors_as_large_as_they_may_be(
        (weight, a, b) in prop_oneof![Just(1), Just(3)]
            .prop_flat_map(|weight| (Just(weight), limbs(weight), limbs(1)))
    ) {
        let radix = Slow::power_of_two(261, P);
        let slow = |limbs| Slow::of_limbs(limbs, P);
        let product = Element(a).times(&Element(b));
        prop_assert!(is_tight(&product.0));
        prop_assert_eq!(slow(&product.0).times(radix), slow(&a).times(slow(&b)));
        if weight == 1 {
            let square = Element(a).squared();
            prop_assert!(is_tight(&square.0));
            prop_assert_eq!(slow(&square.0).times(radix), slow(&a).times(slow(&a)));
        }
    }

    #[test]
    fn carrying_changes_no_number(a in limbs(16)) {
        let carried = Element(a).carried();
        prop_assert!(is_tight(&carried.0));
        prop_assert_eq!(Slow::of_limbs(&carried.0, P), Slow::of_limbs(&a, P));
    }

    #[test]
    fn numbers_come_out_as_they_went_in_and_those_from_p_on_do_not_go_in(a in below(P), b in below(P)) {
        let (x, y) = (Element::new(&a).unwrap(), Element::new(&b).unwrap());
        prop_assert_eq!(x.words(), a);
        let slow = |number| Slow { number, modulus: P };
        prop_assert_eq!(x.times(&y).words(), slow(a).times(slow(b)).number);
        prop_assert_eq!(x.minus(&y).words(), slow(a).minus(slow(b)).number);
        prop_assert_eq!(x.minus(&y).is_zero(), a == b);
        prop_assert_eq!(x.minus(&y).plus(&y).minus(&x).is_zero(), true);
        let (beyond, carry) = a.plus(&P);
        prop_assert!(carry || Element::new(&beyond).is_none());
        match x.inverse() {
            None => prop_assert!(a.is_zero()),
            Some(inverse) => prop_assert_eq!(inverse.times(&x).words(), Words::ONE),
        }
    }

    #[test]
    fn scalars_are_multiplied_and_inverted_as_by_the_crate_p256(
        a in below(*ORDER.words()),
        b in below(*ORDER.words()),
    ) {
        let product = ORDER.montgomery_product(&a, &ORDER.times_radix(&b));
        prop_assert_eq!(product, words(&(scalar(&a) * scalar(&b))));
        let inverse = Option::from(scalar(&a).invert());
        prop_assert_eq!(ORDER.inverse(&a), inverse.map(|inverse| words(&inverse)));
        let wide = Slow { number: b, modulus: *ORDER.words() }
            .times(Slow::power_of_two(256, *ORDER.words()))
            .plus(Slow { number: a, modulus: *ORDER.words() });
        prop_assert_eq!(ORDER.reduce(&a, &b), wide.number);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn sums_of_multiples_are_those_of_the_crate_p256(
        u1 in below(*ORDER.words()),
        u2 in below(*ORDER.words()),
        q in below(*ORDER.words()),
    ) {
        prop_assume!(!q.is_zero());
        let q = ProjectivePoint::GENERATOR * scalar(&q);
        assert_sum(&scalar(&u1), &scalar(&u2), q, &key(q));
    }

    #[test]
    fn verdicts_are_those_of_the_crate_p256(
        secret in below(*ORDER.words()),
        digest in any::<[u8; 32]>(),
        bit in 0_usize..512,
    ) {
        prop_assume!(!secret.is_zero());
        let signer = p256::ecdsa::SigningKey::from_bytes(&secret.to_be_bytes().into()).unwrap();
        let key = used(&key(ProjectivePoint::GENERATOR * scalar(&secret)));
        let signature: p256::ecdsa::Signature = signer.sign_prehash(&digest).unwrap();
        let (r, s) = (words(&signature.r()), words(&signature.s()));
        prop_assert!(verdict(&key, &digest, &concat(&r, &s)));
        // The other s is as good.
        prop_assert!(verdict(&key, &digest, &concat(&r, &words(&-*signature.s()))));
        let mut flipped = concat(&r, &s);
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verdict(&key, &digest, &flipped));
        let mut other_digest = digest;
        other_digest[bit % 32] ^= 1 << (bit / 64);
        prop_assert!(!verdict(&key, &other_digest, &concat(&r, &s)));
        prop_assert!(!verdict(&key, &digest, &concat(&s, &r)));
    }

    #[test]
    fn points_are_read_as_by_the_crate_p256(x in below(P), y in any::<[u8; 32]>(), form in 0_u8..9) {
        for coordinates in [&[][..], &y[..31], &y] {
            let bytes = [&[form], x.to_be_bytes().as_slice(), coordinates].concat();
            let expected = EncodedPoint::from_bytes(&bytes)
                .ok()
                .filter(|_| form != 5)
                .and_then(|point| Option::<AffinePoint>::from(AffinePoint::from_encoded_point(&point)));
            let read = PublicKey::from_sec1_bytes(&bytes);
            prop_assert_eq!(read.is_some(), expected.is_some());
            let (Some(read), Some(expected)) = (read, expected) else { continue };
            let [x, y] = read.coordinates();
            let read = [&[4], x.as_slice(), &y].concat();
            let expected = expected.to_encoded_point(false);
            prop_assert_eq!(read, expected.as_bytes());
        }
    }
}

#[test]
fn the_table_of_the_base_point_has_its_multiples() {
    for (number, entry) in generator::TABLE.iter().enumerate() {
        let power = |tooth: u64| Scalar::from(2_u64).pow_vartime(&[32 * tooth]);
        let multiple = (0..7).fold(power(7), |sum, tooth| {
            if number >> tooth & 1 == 1 {
                sum + power(tooth)
            } else {
                sum - power(tooth)
            }
        });
        let expected = (ProjectivePoint::GENERATOR * multiple).to_affine();
        let expected = expected.to_encoded_point(false);
        let [x, y] = entry.map(|it| Element(unpacked(&it)).words().to_be_bytes());
        assert_eq!([&[4], x.as_slice(), &y].concat(), expected.as_bytes());
        assert!(entry.iter().all(|it| is_tight(&unpacked(it))));
    }
}

#[test]
fn sums_are_right_where_additions_meet_equal_opposite_and_infinite_points() {
    let edges = edges();
    let keys = [1_u64, 2, 3].map(Scalar::from);
    let half = Scalar::from(2_u64).invert().unwrap();
    let keys = keys.into_iter().flat_map(|it| [it, -it, half * it]);
    for (turn, q) in keys.enumerate() {
        let point = ProjectivePoint::GENERATOR * q;
        let key = key(point);
        for (number, u2) in edges.iter().enumerate() {
            // u1 · G and u2 · Q are the same, opposite, or near that.
            assert_sum(&(q * u2), u2, point, &key);
            assert_sum(&-(q * u2), u2, point, &key);
            assert_sum(&(Scalar::ONE - q * u2), u2, point, &key);
            assert_sum(&edges[(number + turn) % edges.len()], u2, point, &key);
        }
    }
}

#[test]
fn an_addition_knows_the_same_and_the_opposite_point() {
    let one = key(ProjectivePoint::GENERATOR).entry().unwrap();
    let point = P256::add(&P256::ZERO, &one, false);
    let four = P256::double(&P256::double(&point));
    let [entry] = P256::entries(&[four]).unwrap().try_into().unwrap();
    assert!(P256::add(&four, &entry, true).is_infinity);
    assert_eq!(
        encoded(&P256::add(&four, &entry, false)),
        encoded(&P256::double(&four))
    );
    assert!(P256::double(&P256::ZERO).is_infinity);
    assert!(P256::entries(&[four, P256::ZERO]).is_none());
}

#[test]
fn a_signature_whose_point_has_an_x_from_n_on_is_valid() {
    // The first points whose x is n or more, and the last ones before p; r is what is left of it.
    let mut found = 0;
    let p_minus_n = P.minus(ORDER.words()).0;
    for small in 1..100 {
        let small = Words([small, 0, 0, 0, 0, 0, 0, 0]);
        let large = p_minus_n.minus(&small).0;
        for (r, x) in [
            (small, small),
            (small, small.plus(ORDER.words()).0),
            (large, large),
            (large, large.plus(ORDER.words()).0),
        ] {
            let compressed = [&[2], x.to_be_bytes().as_slice()].concat();
            let Ok(point) = EncodedPoint::from_bytes(compressed) else {
                continue;
            };
            let Some(point) = Option::<AffinePoint>::from(AffinePoint::from_encoded_point(&point))
            else {
                continue;
            };
            // Any u1 and u2, and the key for which they give that point.
            let (u1, u2) = (
                Scalar::from(0x1234_5678_u64),
                -Scalar::from(0x9abc_def0_u64),
            );
            let q = (ProjectivePoint::from(point) - ProjectivePoint::GENERATOR * u1)
                * u2.invert().unwrap();
            let s = scalar(&r) * u2.invert().unwrap();
            let digest = (u1 * s).to_repr().into();
            let key = used(&key(q));
            assert!(verdict(&key, &digest, &concat(&r, &words(&s))));
            // The same number modulo n, which has one spelling.
            let beyond = r.plus(ORDER.words()).0;
            assert!(!verdict(&key, &digest, &concat(&beyond, &words(&s))));
            found += 1;
        }
    }
    assert!(found > 100, "{found}");
}

#[test]
fn no_other_x_passes_for_an_r() {
    // What a check without bounds would take for r: x itself where x is r + n beyond p, and r + n where r is not small.
    let (u1, u2) = (Scalar::from(3_u64), Scalar::from(5_u64));
    let q = ProjectivePoint::GENERATOR * Scalar::from(7_u64);
    let sum = (ProjectivePoint::GENERATOR * u1 + q * u2).to_affine();
    let x = Words::from_be_bytes(sum.to_encoded_point(false).x().unwrap().as_ref());
    let p_minus_n = P.minus(ORDER.words()).0;
    for r in [
        x.plus(&p_minus_n).0,
        x.plus(&Words::ONE).0,
        x.minus(&p_minus_n).0,
    ] {
        let s = scalar(&r) * u2.invert().unwrap();
        let digest = (u1 * s).to_repr().into();
        assert!(!verdict(&key(q), &digest, &concat(&r, &words(&s))));
    }
}

#[test]
fn a_sum_at_infinity_is_no_signature() {
    for q in [1_u64, 2, 3, 0x1234_5678].map(Scalar::from) {
        let (r, s) = (Scalar::from(4711_u64), Scalar::from(815_u64));
        let digest = (-(r * q)).to_repr().into();
        let key = used(&key(ProjectivePoint::GENERATOR * q));
        assert!(!verdict(&key, &digest, &concat(&words(&r), &words(&s))));
    }
}

#[test]
fn numbers_out_of_range_are_no_signature() {
    let n = *ORDER.words();
    let most = Words([u32::MAX; 8]);
    let numbers = [Words::ZERO, Words::ONE, n.minus(&Words::ONE).0, n, P, most];
    let key = used(&key(ProjectivePoint::GENERATOR));
    for digest in [[0; 32], [0xff; 32], n.to_be_bytes()] {
        for r in numbers {
            for s in numbers {
                verdict(&key, &digest, &concat(&r, &s));
            }
        }
    }
    let good = concat(&Words::ONE, &Words::ONE);
    assert!(!key.is_valid(b"", &good[1..]));
    assert!(!key.is_valid(b"", &[&good[..], &[0]].concat()));
    assert!(!key.is_valid(b"", b""));
}

#[test]
fn the_digest_of_a_message_is_its_sha_256() {
    // RFC 6979 A.2.5, SHA-256, message "sample".
    let key = [
        "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6",
        "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299",
    ]
    .map(|it| hex(it).to_be_bytes());
    let key = [&[4], key[0].as_slice(), &key[1]].concat();
    let key = PublicKey::from_sec1_bytes(&key).unwrap();
    let signature = concat(
        &hex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"),
        &hex("F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"),
    );
    assert!(key.is_valid(b"sample", &signature));
    assert!(!key.is_valid(b"sample.", &signature));
}

#[test]
fn what_is_no_point_of_the_curve_is_no_key() {
    let good = key(ProjectivePoint::GENERATOR).coordinates();
    let p = P.to_be_bytes();
    let zero = [0; 32];
    for (x, y) in [(zero, zero), (p, good[1]), (good[0], p), (good[1], good[0])] {
        assert!(PublicKey::from_sec1_bytes(&[&[4], x.as_slice(), &y].concat()).is_none());
    }
    assert!(PublicKey::from_sec1_bytes(&[0]).is_none());
    assert!(PublicKey::from_sec1_bytes(&[]).is_none());
}

#[test]
fn a_key_gets_its_table_when_it_has_signed_and_not_for_forged_signatures() {
    let signer = p256::ecdsa::SigningKey::from_bytes(&[7; 32].into()).unwrap();
    let key = key(signer.verifying_key().as_affine().into());
    let good: p256::ecdsa::Signature = signer.sign(b"message");
    for (message, has_table) in [
        ("forged", false),
        ("forged", false),
        ("message", false),
        ("forged", true),
        ("message", true),
    ] {
        let is_valid = key.is_valid(message.as_bytes(), &good.to_bytes());
        assert_eq!(is_valid, message == "message");
        assert_eq!(key.table.get().is_some(), has_table);
    }
    let bytes = key.table.get().map(|it| size_of_val(it.as_ref()));
    assert_eq!(bytes, Some(64 * 72));
}
