//! Envoy's foreign function `verify_signature` for `nexus-host`, with the crates of RustCrypto in the place of BoringSSL.
//!
//! It takes and gives the same protobuf messages. As in Envoy, whatever cannot be understood is answered with "no", and
//! never with a status.

use rsa::{Pkcs1v15Sign, RsaPublicKey, pkcs8::DecodePublicKey as _, sha2};

/// The name under which a proxy offers it.
pub const NAME: &str = "verify_signature";

/// Answers a call: `VerifySignatureArguments` in, `VerifySignatureResult` out.
#[must_use]
pub fn verify_signature(arguments: &[u8]) -> Vec<u8> {
    let is_valid = fields(arguments).is_some_and(|[hash, key, signature, text]| {
        rsa(hash, key, signature, text).unwrap_or_else(|| ecdsa(hash, key, signature, text))
    });
    match is_valid {
        true => vec![0x08, 0x01],
        // A field with its default is left out; field 2 is the reason.
        false => [&[0x12, 0x07][..], b"refused"].concat(),
    }
}

/// The four fields of the arguments.
fn fields(mut rest: &[u8]) -> Option<[&[u8]; 4]> {
    let mut fields = [&[][..]; 4];
    while let Some((tag, behind)) = rest.split_first() {
        let (mut length, mut shift, mut at) = (0_usize, 0, 0);
        loop {
            let byte = *behind.get(at)?;
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        // Fields 1 to 4, each of bytes with a length.
        let field = usize::from(tag >> 3).checked_sub(1)?;
        if tag & 7 != 2 {
            return None;
        }
        *fields.get_mut(field)? = behind.get(at..at + length)?;
        rest = behind.get(at + length..)?;
    }
    Some(fields)
}

/// `None` when the key is none of RSA.
fn rsa(hash: &[u8], key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
    use sha2::Digest as _;
    // The crate refuses keys that are longer unless told otherwise.
    let key = RsaPublicKey::from_public_key_der(key).ok()?;
    let (scheme, digest) = match hash {
        b"sha256" => (
            Pkcs1v15Sign::new::<sha2::Sha256>(),
            sha2::Sha256::digest(text).to_vec(),
        ),
        b"sha384" => (
            Pkcs1v15Sign::new::<sha2::Sha384>(),
            sha2::Sha384::digest(text).to_vec(),
        ),
        b"sha512" => (
            Pkcs1v15Sign::new::<sha2::Sha512>(),
            sha2::Sha512::digest(text).to_vec(),
        ),
        _ => return Some(false),
    };
    Some(key.verify(scheme, &digest, signature).is_ok())
}

fn ecdsa(hash: &[u8], key: &[u8], signature: &[u8], text: &[u8]) -> bool {
    /// Whether it is a signature by a key of one curve, whose hash is that of JOSE; `None` for a key of another one.
    macro_rules! on {
        ($curve:ident) => {
            $curve::PublicKey::from_public_key_der(key).ok().map(|key| {
                use $curve::ecdsa::signature::Verifier as _;
                let point = $curve::EncodedPoint::from(key);
                let key = $curve::ecdsa::VerifyingKey::from_encoded_point(&point);
                let signature = $curve::ecdsa::Signature::from_der(signature);
                key.is_ok_and(|key| {
                    signature.is_ok_and(|signature| key.verify(text, &signature).is_ok())
                })
            })
        };
    }
    let verified = match hash {
        b"sha256" => on!(p256),
        b"sha384" => on!(p384),
        b"sha512" => on!(p521),
        _ => None,
    };
    verified.unwrap_or(false)
}
