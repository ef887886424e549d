use proptest::prelude::*;
use rsa::BigUint;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::vec::Vec;

use super::number::{BITS, LIMBS, Modulus};
use super::point::Entry;
use super::*;

/// The largest limb.
const MOST: u32 = (1 << BITS) - 1;

fn moduli() -> [&'static Modulus; 6] {
    let [a, b, c] = [&P384, &P521, &SECP256K1].map(|curve| [&curve.p, &curve.n]);
    [a[0], a[1], b[0], b[1], c[0], c[1]]
}

fn big(number: &Number) -> BigUint {
    BigUint::from_bytes_be(&number.to_be_bytes(66))
}

fn number(big: &BigUint) -> Number {
    Number::from_be_bytes(&big.to_bytes_be()).unwrap()
}

/// The radix of a modulus.
fn radix(modulus: &BigUint) -> BigUint {
    BigUint::from(1_u8) << (modulus.bits().div_ceil(29) * 29)
}

/// Numbers below 2^522: any, and those where carries go far.
fn any_number() -> impl Strategy<Value = Number> {
    let limb = prop_oneof![Just(0), Just(1), Just(MOST), Just(1 << 28), 0..=MOST];
    prop_oneof![
        prop::collection::vec(0..=MOST, LIMBS),
        prop::collection::vec(limb, LIMBS),
    ]
    .prop_map(|limbs| Number(limbs.try_into().unwrap()))
}

/// Numbers below a modulus: any, and those at its edges.
fn below(modulus: &'static Modulus) -> impl Strategy<Value = Number> {
    let bound = big(modulus.number());
    let small = prop_oneof![
        (0_u32..4).prop_map(BigUint::from),
        (0_usize..521).prop_map(|exponent| BigUint::from(1_u8) << exponent),
    ];
    let edge = (small, any::<bool>());
    prop_oneof![
        3 => any_number().prop_map(|it| big(&it)),
        1 => edge.prop_map({
            let bound = bound.clone();
            move |(small, is_negative)| match small % &bound {
                small if is_negative => &bound - small,
                small => small,
            }
        }),
    ]
    .prop_map(move |it| number(&(it % &bound)))
}

/// One of the moduli, a number below its radix, and two below itself.
fn factors() -> impl Strategy<Value = (&'static Modulus, Number, Number, Number)> {
    (0_usize..6).prop_flat_map(|index| {
        let modulus = moduli()[index];
        let radix = radix(&big(modulus.number()));
        let large = any_number().prop_map(move |it| number(&(big(&it) % &radix)));
        (Just(modulus), large, below(modulus), below(modulus))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn numbers_are_computed_with_as_by_the_crate_num_bigint((modulus, large, a, b) in factors()) {
        let m = big(modulus.number());
        let radix = radix(&m);
        for (left, right) in [(&large, &b), (&a, &b), (&b, &b)] {
            let product = modulus.product(left, right);
            prop_assert!(product < *modulus.number());
            prop_assert_eq!(big(&product) * &radix % &m, big(left) * big(right) % &m);
        }
        prop_assert_eq!(modulus.square(&a), modulus.product(&a, &a));
        prop_assert_eq!(big(&modulus.times_radix(&large)), big(&large) * &radix % &m);
        prop_assert_eq!(modulus.without_radix(&modulus.times_radix(&a)), a);
        prop_assert_eq!(big(&modulus.sum(&a, &b)), (big(&a) + big(&b)) % &m);
        prop_assert_eq!(big(&modulus.difference(&a, &b)), (big(&a) + &m - big(&b)) % &m);
        prop_assert_eq!(big(&a.plus(&b)), big(&a) + big(&b));
        prop_assert_eq!(a.minus(&b).1, a < b);
        prop_assert_eq!(a < b, big(&a) < big(&b));
        match modulus.inverse(&a) {
            None => prop_assert!(a.is_zero()),
            Some(inverse) => {
                prop_assert!(inverse < *modulus.number());
                prop_assert_eq!(big(&inverse) * big(&a) % &m, BigUint::from(1_u8));
            }
        }
    }

    #[test]
    fn a_square_root_is_found_where_there_is_one(curve in 0_usize..3, seed in any_number()) {
        let p = &[&P384, &P521, &SECP256K1][curve].p;
        let m = big(p.number());
        let a = number(&(big(&seed) % &m));
        let root = p.square_root(&p.times_radix(&a)).map(|root| p.without_radix(&root));
        let is_square = big(&a).modpow(&(&m >> 1), &m) <= BigUint::from(1_u8);
        prop_assert_eq!(root.is_some(), is_square);
        if let Some(root) = root {
            prop_assert_eq!(big(&root) * big(&root) % &m, big(&a));
        }
        let square = p.square(&p.times_radix(&a));
        prop_assert!(p.square_root(&square).is_some());
    }

    #[test]
    fn numbers_come_out_of_bytes_as_they_went_in(a in any_number(), zeros in 0_usize..4) {
        let bytes = a.to_be_bytes(66 + zeros);
        prop_assert_eq!(Number::from_be_bytes(&bytes), Some(a));
        prop_assert!(bytes.iter().take(zeros).all(|byte| *byte == 0));
        for weight in [0, 1, 28, 29, 30, 511, 520, 521, 522, 600] {
            let expected = (big(&a) >> weight) % 32_u8;
            prop_assert_eq!(BigUint::from(a.bits(weight as u32, 5)), expected);
        }
    }

    #[test]
    fn digits_are_odd_and_make_up_the_number(a in any_number()) {
        // Below 2^521.
        let a = Number::from_be_bytes(&(big(&a) >> 1).to_bytes_be()).unwrap();
        let digits = multiples::digits(&a);
        prop_assert!(digits.iter().all(|digit| *digit == 0 || digit % 2 != 0 && digit.abs() < 16));
        let side = |sign: i8| {
            let digits = digits.iter().rev();
            digits.fold(BigUint::from(0_u8), |sum, digit| {
                sum * 2_u8 + (digit * sign).max(0).unsigned_abs()
            })
        };
        prop_assert_eq!(side(1), big(&a) + side(-1));
    }
}

#[test]
fn products_of_the_largest_factors_are_right() {
    for modulus in moduli() {
        let m = big(modulus.number());
        let radix = radix(&m);
        let (one, most) = (BigUint::from(1_u8), number(&(&radix - 1_u8)));
        let last = number(&(&m - one));
        let product = modulus.product(&most, &last);
        assert_eq!(big(&product) * &radix % &m, big(&most) * big(&last) % &m);
    }
}

#[test]
fn numbers_that_do_not_fit_are_none() {
    let most = [&[3][..], &[0xff; 65]].concat();
    assert!(Number::from_be_bytes(&most).is_some());
    assert!(Number::from_be_bytes(&[&[0, 0][..], &most].concat()).is_some());
    assert!(Number::from_be_bytes(&[&[4][..], &[0; 65]].concat()).is_none());
    assert!(Number::from_be_bytes(&[&[1][..], &[0; 66]].concat()).is_none());
    assert!(Number::from_be_bytes(&[&[1][..], &[0; 90]].concat()).is_none());
    assert_eq!(Number::from_be_bytes(&[]), Some(Number::ZERO));
}

/// Compares one curve with the crate that has it. `$lower` is for a crate that only takes the lower one of two s.
macro_rules! compare {
    ($krate:ident, $curve:ident, $bytes:literal, $hash:ident, $lower:expr) => {
        mod $krate {
            use ::$krate::ecdsa::signature::hazmat::PrehashVerifier as _;
            use ::$krate::ecdsa::{Signature, VerifyingKey};
            use ::$krate::elliptic_curve::sec1::{FromEncodedPoint as _, ToEncodedPoint as _};
            use ::$krate::elliptic_curve::PrimeField as _;
            use ::$krate::{AffinePoint, EncodedPoint, FieldBytes, ProjectivePoint, Scalar};

            use super::*;

            const CURVE: &Curve = &$curve;

            fn scalar(number: &Number) -> Scalar {
                Scalar::from_repr(FieldBytes::clone_from_slice(&number.to_be_bytes($bytes))).unwrap()
            }

            fn number(scalar: &Scalar) -> Number {
                Number::from_be_bytes(&scalar.to_repr()).unwrap()
            }

            /// The number modulo the order, or modulo p.
            fn modulo(modulus: &Modulus, it: &Number) -> Number {
                super::number(&(big(it) % big(modulus.number())))
            }

            /// The key of a point that is not at infinity.
            fn key(point: ProjectivePoint) -> PublicKey {
                let point = point.to_affine().to_encoded_point(false);
                PublicKey::from_sec1_bytes(CURVE, point.as_bytes()).unwrap()
            }

            /// A key that has signed before.
            fn used(key: &PublicKey) -> PublicKey {
                let key = key.clone();
                key.has_signed.set(true);
                key
            }

            fn entry(point: &Point) -> Entry {
                CURVE.entries(&[*point]).unwrap()[0]
            }

            /// The point in the form of SEC 1.
            fn encoded(point: &Point) -> Vec<u8> {
                if point.z.is_zero() {
                    return std::vec![0];
                }
                let [x, y] = entry(point).map(|it| CURVE.p.without_radix(&it).to_be_bytes($bytes));
                [&[4], x.as_slice(), &y].concat()
            }

            /// Compares u1 G + u2 Q, by a key that has its tables and by one that has none.
            fn assert_sum(u1: &Scalar, u2: &Scalar, q: ProjectivePoint, key: &PublicKey) {
                let expected = ProjectivePoint::GENERATOR * *u1 + q * *u2;
                let expected = expected.to_affine().to_encoded_point(false);
                for has_signed in [false, true] {
                    key.has_signed.set(has_signed);
                    let sum = key.sum(&number(u1), &number(u2)).unwrap();
                    assert_eq!(encoded(&sum), expected.as_bytes(), "{u1:?} G + {u2:?} Q, Q = {q:?}");
                }
            }

            /// Whether both kinds of check accept the signature, which have to agree with the crate and each other.
            fn verdict(key: &PublicKey, digest: &[u8], signature: &[u8]) -> bool {
                let [x, y] = key.coordinates();
                let point = [&[4], x.as_slice(), &y].concat();
                let oracle = VerifyingKey::from_sec1_bytes(&point).unwrap();
                let lower: fn(Signature) -> Signature = $lower;
                let expected = Signature::from_slice(signature)
                    .is_ok_and(|signature| oracle.verify_prehash(digest, &lower(signature)).is_ok());
                let fresh = PublicKey::from_sec1_bytes(CURVE, &point).unwrap();
                assert_eq!(fresh.verify(digest, signature).is_some(), expected);
                assert_eq!(key.verify(digest, signature).is_some(), expected);
                expected
            }

            fn concat(r: &Number, s: &Number) -> Vec<u8> {
                [r, s].map(|number| number.to_be_bytes($bytes)).concat()
            }

            fn of_digest(digest: &[u8]) -> Scalar {
                scalar(&modulo(&CURVE.n, &Number::from_be_bytes(digest).unwrap()))
            }

            /// A digest that is this number: of P-521, whose digests are shorter, `None` for most.
            fn digest_of(it: &Scalar) -> Option<Vec<u8>> {
                let bytes = number(it).to_be_bytes($bytes);
                let zeros = bytes.len() - $hash::output_size();
                let (head, digest) = bytes.split_at(zeros);
                head.iter().all(|byte| *byte == 0).then(|| digest.to_vec())
            }

            /// r and s.
            fn sign(secret: &Scalar, nonce: &Scalar, digest: &[u8]) -> [Number; 2] {
                let point = (ProjectivePoint::GENERATOR * *nonce).to_affine();
                let x = Number::from_be_bytes(point.to_encoded_point(false).x().unwrap()).unwrap();
                let r = modulo(&CURVE.n, &x);
                let sum = of_digest(digest) + scalar(&r) * *secret;
                [r, number(&(sum * nonce.invert().unwrap()))]
            }

            /// Scalars at the edges of what the digits do.
            fn edges() -> Vec<Scalar> {
                let mut edges = std::vec![Scalar::ZERO];
                let half = Scalar::from(2_u64).invert().unwrap();
                for near in [Scalar::ZERO, half] {
                    for distance in [1, 2, 15, 16, 17, 31, 32_u64] {
                        edges.push(near + Scalar::from(distance));
                        edges.push(near - Scalar::from(distance));
                    }
                }
                let bits = big(CURVE.n.number()).bits();
                let spacing = (8 * $bytes + 1_usize).div_ceil(PARTS);
                for exponent in [spacing - 5, spacing - 1, spacing, 2 * spacing, bits - 8, bits - 1] {
                    let power = scalar(&super::number(&(BigUint::from(1_u8) << exponent)));
                    edges.extend([power, -power, power + Scalar::ONE]);
                }
                edges
            }

            proptest! {
                #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

                #[test]
                fn sums_of_multiples_are_those_of_the_crate(
                    u1 in below(&CURVE.n),
                    u2 in below(&CURVE.n),
                    q in below(&CURVE.n),
                ) {
                    prop_assume!(!q.is_zero());
                    let q = ProjectivePoint::GENERATOR * scalar(&q);
                    assert_sum(&scalar(&u1), &scalar(&u2), q, &key(q));
                }

                #[test]
                fn verdicts_are_those_of_the_crate(
                    secret in below(&CURVE.n),
                    nonce in below(&CURVE.n),
                    message in any::<[u8; 8]>(),
                    bit in 0_usize..16 * $bytes,
                ) {
                    prop_assume!(!secret.is_zero() && !nonce.is_zero());
                    let digest = $hash::digest(message).to_vec();
                    let key = used(&key(ProjectivePoint::GENERATOR * scalar(&secret)));
                    let [r, s] = sign(&scalar(&secret), &scalar(&nonce), &digest);
                    prop_assume!(!r.is_zero() && !s.is_zero());
                    let good = concat(&r, &s);
                    prop_assert!(verdict(&key, &digest, &good));
                    // The other s is as good.
                    prop_assert!(verdict(&key, &digest, &concat(&r, &number(&-scalar(&s)))));
                    let mut flipped = good.clone();
                    flipped[bit / 8] ^= 1 << (bit % 8);
                    prop_assert!(!verdict(&key, &digest, &flipped));
                    let mut other_digest = digest.clone();
                    other_digest[bit % digest.len()] ^= 1 << (bit % 8);
                    prop_assert!(!verdict(&key, &other_digest, &good));
                    prop_assert!(r == s || !verdict(&key, &digest, &concat(&s, &r)));
                    // As a message.
                    prop_assert!(key.is_valid(&message, &good));
                    prop_assert!(!key.is_valid(&message[1..], &good));
                    for wrong in [&good[1..], &[&[0], &good[..]].concat(), &[&good[..], &[0]].concat()] {
                        prop_assert!(!verdict(&key, &digest, wrong));
                    }
                }

                #[test]
                fn points_are_read_as_by_the_crate(x in any_number(), y in any_number(), form in 0_u8..9) {
                    let x = modulo(&CURVE.p, &x).to_be_bytes($bytes);
                    let y = modulo(&CURVE.p, &y).to_be_bytes($bytes);
                    for coordinates in [&[][..], &y[1..], &y] {
                        let bytes = [&[form], x.as_slice(), coordinates].concat();
                        // The form 5 is of a draft only.
                        let expected = EncodedPoint::from_bytes(&bytes)
                            .ok()
                            .filter(|_| form != 5)
                            .and_then(|it| Option::<AffinePoint>::from(AffinePoint::from_encoded_point(&it)));
                        let read = PublicKey::from_sec1_bytes(CURVE, &bytes);
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
            fn points_of_both_forms_are_read() {
                for q in 1..20_u64 {
                    let point = (ProjectivePoint::GENERATOR * Scalar::from(q)).to_affine();
                    let whole = point.to_encoded_point(false);
                    for compress in [true, false] {
                        let bytes = point.to_encoded_point(compress);
                        let read = PublicKey::from_sec1_bytes(CURVE, bytes.as_bytes()).unwrap();
                        assert_eq!(read.coordinates().concat(), whole.as_bytes()[1..]);
                    }
                }
            }

            #[test]
            fn sums_are_right_where_additions_meet_equal_opposite_and_infinite_points() {
                let edges = edges();
                let half = Scalar::from(2_u64).invert().unwrap();
                let keys = [1_u64, 2, 3].map(Scalar::from);
                let keys = keys.into_iter().flat_map(|it| [it, -it, half * it]);
                for (turn, q) in keys.enumerate() {
                    let point = ProjectivePoint::GENERATOR * q;
                    let key = key(point);
                    // A part of the edges for each key.
                    for (index, u2) in edges.iter().enumerate().skip(turn % 3).step_by(3) {
                        // u1 · G and u2 · Q are the same, opposite, or near that.
                        assert_sum(&(q * u2), u2, point, &key);
                        assert_sum(&-(q * u2), u2, point, &key);
                        assert_sum(&(Scalar::ONE - q * u2), u2, point, &key);
                        assert_sum(&edges[(index + turn) % edges.len()], u2, point, &key);
                    }
                }
            }

            #[test]
            fn an_addition_knows_the_same_and_the_opposite_point() {
                let generator = CURVE.entry(&CURVE.generator).unwrap();
                let point = CURVE.add(&Point::INFINITY, &generator, false);
                let four = CURVE.double(&CURVE.double(&point));
                assert!(CURVE.add(&four, &entry(&four), true).z.is_zero());
                let eight = CURVE.add(&four, &entry(&four), false);
                assert_eq!(encoded(&eight), encoded(&CURVE.double(&four)));
                let expected = ProjectivePoint::GENERATOR * Scalar::from(8_u64);
                assert_eq!(encoded(&eight), expected.to_affine().to_encoded_point(false).as_bytes());
                assert!(CURVE.double(&Point::INFINITY).z.is_zero());
                assert!(CURVE.entries(&[four, Point::INFINITY]).is_none());
                let negative = CURVE.add(&Point::INFINITY, &generator, true);
                let expected = (-ProjectivePoint::GENERATOR).to_affine().to_encoded_point(false);
                assert_eq!(encoded(&negative), expected.as_bytes());
            }

            #[test]
            fn a_signature_whose_point_has_an_x_from_n_on_is_valid() {
                // The first points whose x is n or more, and the last ones before p; r is what is left of it.
                let mut found = 0;
                let n = CURVE.n.number();
                let p_minus_n = CURVE.p.number().minus(n).0;
                for small in 1..12 {
                    let mut first = Number::ZERO;
                    first.0[0] = small;
                    let last = p_minus_n.minus(&first).0;
                    for (r, x) in [(first, first), (first, first.plus(n)), (last, last), (last, last.plus(n))] {
                        let compressed = [&[2], x.to_be_bytes($bytes).as_slice()].concat();
                        let point = EncodedPoint::from_bytes(compressed).unwrap();
                        let point = AffinePoint::from_encoded_point(&point);
                        let Some(point) = Option::<AffinePoint>::from(point) else {
                            continue;
                        };
                        // Any digest and s, and the key for which they give that point.
                        let digest = $hash::digest([small as u8]);
                        let s = Scalar::from(0x9abc_def0_u64);
                        let inverse = s.invert().unwrap();
                        let (u1, u2) = (of_digest(&digest) * inverse, scalar(&r) * inverse);
                        let q = (ProjectivePoint::from(point) - ProjectivePoint::GENERATOR * u1)
                            * u2.invert().unwrap();
                        let key = used(&key(q));
                        let s = number(&s);
                        assert!(verdict(&key, &digest, &concat(&r, &s)));
                        // The same numbers modulo n, which have one spelling.
                        assert!(!verdict(&key, &digest, &concat(&r.plus(n), &s)));
                        assert!(!verdict(&key, &digest, &concat(&r, &s.plus(n))));
                        found += 1;
                    }
                }
                assert!(found > 10, "{found}");
            }

            #[test]
            fn no_other_x_passes_for_an_r() {
                // What a check without bounds would take for r: x itself where x is r + n beyond p, and r + n where r is
                // not small.
                let q = Scalar::from(7_u64);
                let p_minus_n = CURVE.p.number().minus(CURVE.n.number()).0;
                let nonce = Scalar::from(5_u64);
                let x = sign(&q, &nonce, &[0; 32])[0];
                for r in [x.plus(&p_minus_n), x.plus(&Number::ONE), x.minus(&p_minus_n).0] {
                    let r = modulo(&CURVE.n, &r);
                    let digest = $hash::digest(b"");
                    let s = (of_digest(&digest) + scalar(&r) * q) * nonce.invert().unwrap();
                    let key = key(ProjectivePoint::GENERATOR * q);
                    assert!(!verdict(&key, &digest, &concat(&r, &number(&s))));
                }
            }

            #[test]
            fn a_sum_at_infinity_is_no_signature() {
                for q in [1_u64, 2, 3, 0x1234_5678].map(Scalar::from) {
                    // Of the digest e, r is -e / q.
                    let digest = $hash::digest(b"");
                    let (r, s) = (-(of_digest(&digest) * q.invert().unwrap()), Scalar::from(815_u64));
                    let key = used(&key(ProjectivePoint::GENERATOR * q));
                    assert!(key.sum(&number(&-(r * q)), &number(&r)).unwrap().z.is_zero());
                    assert!(!verdict(&key, &digest, &concat(&number(&r), &number(&s))));
                }
            }

            #[test]
            fn numbers_out_of_range_are_no_signature() {
                let n = CURVE.n.number();
                let before = n.minus(&Number::ONE).0;
                let most = super::number(&((BigUint::from(1_u8) << (8 * $bytes).min(522)) - 1_u8));
                let numbers = [Number::ZERO, Number::ONE, before, *n, *CURVE.p.number(), most];
                let key = used(&key(ProjectivePoint::GENERATOR));
                let length = $hash::output_size();
                for digest in [std::vec![0; length], std::vec![0xff; length]] {
                    for r in numbers {
                        for s in numbers {
                            verdict(&key, &digest, &concat(&r, &s));
                        }
                    }
                    verdict(&key, &digest, &[0xff; 2 * $bytes]);
                }
            }

            #[test]
            fn a_digest_beyond_the_order_counts_modulo_it() {
                let secret = Scalar::from(7_u64);
                let key = used(&key(ProjectivePoint::GENERATOR * secret));
                let length = $hash::output_size();
                let at_the_order = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE];
                let digests = at_the_order.iter().filter_map(digest_of);
                for digest in digests.chain([std::vec![0xff; length]]) {
                    let [r, s] = sign(&secret, &Scalar::from(11_u64), &digest);
                    assert!(verdict(&key, &digest, &concat(&r, &s)));
                }
            }

            #[test]
            fn what_is_no_point_of_the_curve_is_no_key() {
                let [x, y] = key(ProjectivePoint::GENERATOR).coordinates();
                let p = CURVE.p.number().to_be_bytes($bytes);
                let (zero, most) = (std::vec![0; $bytes], std::vec![0xff; $bytes]);
                for (x, y) in [(&zero, &zero), (&p, &y), (&x, &p), (&y, &x), (&most, &y), (&x, &most)] {
                    let point = [&[4], x.as_slice(), y].concat();
                    assert!(PublicKey::from_sec1_bytes(CURVE, &point).is_none());
                }
                for x in [&p, &most] {
                    let point = [&[2], x.as_slice()].concat();
                    assert!(PublicKey::from_sec1_bytes(CURVE, &point).is_none());
                }
                for infinity in [&[][..], &[0], &[[0].as_slice(), &x, &y].concat()] {
                    assert!(PublicKey::from_sec1_bytes(CURVE, infinity).is_none());
                }
            }

            #[test]
            fn a_key_gets_its_tables_when_it_has_signed_and_not_for_forged_signatures() {
                let secret = Scalar::from(7_u64);
                let key = key(ProjectivePoint::GENERATOR * secret);
                let [r, s] = sign(&secret, &Scalar::from(11_u64), &$hash::digest(b"message"));
                for (message, has_tables) in [
                    ("forged", false),
                    ("forged", false),
                    ("message", false),
                    ("forged", true),
                    ("message", true),
                ] {
                    let is_valid = key.is_valid(message.as_bytes(), &concat(&r, &s));
                    assert_eq!(is_valid, message == "message");
                    assert_eq!(key.tables.get().is_some(), has_tables);
                }
                assert_eq!(key.tables.get().unwrap().bytes(), 9_216);
            }
        }
    };
}

compare!(p384, P384, 48, Sha384, |signature| signature);
compare!(p521, P521, 66, Sha512, |signature| signature);
compare!(k256, SECP256K1, 32, Sha256, |signature| signature
    .normalize_s()
    .unwrap_or(signature));
