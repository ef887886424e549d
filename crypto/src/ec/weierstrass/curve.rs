//! The curves themselves: y² = x³ + a x + b modulo a prime p that is 3 modulo 4, with a group of a prime order n below p.

use super::number::{Modulus, Number};
use crate::Hash;

/// A curve, and the hash that signatures on it are made with.
pub struct Curve {
    /// How many bytes a coordinate has, and r and s of a signature.
    pub(super) bytes: usize,
    pub(super) hash: Hash,
    pub(super) p: Modulus,
    pub(super) n: Modulus,
    /// Whether the coefficient a is -3. Otherwise it is 0.
    pub(super) is_a_minus_three: bool,
    /// The coefficient b.
    pub(super) b: Number,
    /// The base point G.
    pub(super) generator: [Number; 2],
}

/// P-384 (SP 800-186 §3.2.1.4).
pub static P384: Curve = Curve {
    bytes: 48,
    hash: Hash::Sha384,
    p: Modulus::new(
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
    ),
    n: Modulus::new(
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    ),
    is_a_minus_three: true,
    b: Number::from_hex(
        "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    ),
    generator: [
        Number::from_hex(
            "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
        ),
        Number::from_hex(
            "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
        ),
    ],
};

/// P-521 (SP 800-186 §3.2.1.5).
pub static P521: Curve = Curve {
    bytes: 66,
    hash: Hash::Sha512,
    p: Modulus::new(
        "1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ),
    n: Modulus::new(
        "1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    ),
    is_a_minus_three: true,
    b: Number::from_hex(
        "51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
    ),
    generator: [
        Number::from_hex(
            "c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
        ),
        Number::from_hex(
            "11839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
        ),
    ],
};

/// secp256k1 (SEC 2 §2.4.1).
pub static SECP256K1: Curve = Curve {
    bytes: 32,
    hash: Hash::Sha256,
    p: Modulus::new("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"),
    n: Modulus::new("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
    is_a_minus_three: false,
    b: Number::from_hex("7"),
    generator: [
        Number::from_hex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
        Number::from_hex("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
    ],
};
