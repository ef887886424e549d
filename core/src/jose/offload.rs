//! Signature checks by whoever drives the engine, where it has faster cryptography at hand.
//!
//! A proxy's own library checks a signature in a fraction of the time that WebAssembly takes. What it says counts as what
//! [`super::signature`] says, so it is believed only after it has told good signatures from bad ones, and only about what
//! it was tried with. What is checked, and by which key, is never its choice. Nothing secret is handed out.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::{Algorithm, Hash, Jwk, JwkSet, KeyOrigin, UntrustedToken, base64url};

/// A signature to be checked: RSASSA-PKCS1-v1_5 or ECDSA, as the key is for.
#[derive(Clone, Copy)]
pub struct SignatureCheck<'c> {
    /// The hash of the algorithm.
    pub hash: Hash,
    /// The key, as a SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7).
    pub public_key: &'c [u8],
    /// The signature; that of ECDSA as an Ecdsa-Sig-Value in DER (RFC 3279 §2.2.3).
    pub signature: &'c [u8],
    /// What is signed.
    pub text: &'c [u8],
}

/// Shows lengths only: what is signed is part of a credential.
impl fmt::Debug for SignatureCheck<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureCheck")
            .field("hash", &self.hash)
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// Somebody who checks signatures.
pub trait SignatureVerifier {
    /// Whether the signature is the key's signature of the text; `None` when it cannot tell.
    fn verify(&mut self, check: &SignatureCheck<'_>) -> Option<bool>;
}

// Not by each verifier for itself: the filter would have the code, and never a use for it.
impl fmt::Debug for dyn SignatureVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignatureVerifier")
    }
}

/// A verifier that was tried.
#[derive(Debug)]
pub struct TriedVerifier {
    verifier: Box<dyn SignatureVerifier>,
    /// What it is asked about.
    algorithms: Vec<Algorithm>,
}

impl TriedVerifier {
    /// Tries a verifier: it has to take a good signature and refuse a bad one, of each kind that it is then asked about.
    /// `None` when there is none that it can check, among the algorithms `of_interest`.
    pub fn new(
        mut verifier: Box<dyn SignatureVerifier>,
        of_interest: impl Fn(Algorithm) -> bool,
    ) -> Option<Self> {
        let mut algorithms = Vec::new();
        for (keys, compact) in KNOWN {
            let tried = try_with(&mut *verifier, keys, compact);
            let Some(tried) = tried.filter(|alg| of_interest(*alg)) else {
                continue;
            };
            algorithms.push(tried);
            // The same but for the hash, which its name chooses.
            if tried == Algorithm::Rs256 {
                let others = [Algorithm::Rs384, Algorithm::Rs512];
                algorithms.extend(others.into_iter().filter(|alg| of_interest(*alg)));
            }
        }
        (!algorithms.is_empty()).then_some(Self {
            verifier,
            algorithms,
        })
    }

    /// What it is asked about.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Whether a signature is right; `None` when the verifier is not asked, or cannot tell.
    pub(super) fn verify(
        &mut self,
        key: &Jwk,
        algorithm: Algorithm,
        text: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        if !self.algorithms.contains(&algorithm) {
            return None;
        }
        verify(&mut *self.verifier, key, algorithm, text, signature)
    }
}

/// The algorithm of a known token, if the verifier takes it, and refuses one that differs in the text, in the signature, or
/// in the key.
fn try_with(verifier: &mut dyn SignatureVerifier, keys: &str, compact: &str) -> Option<Algorithm> {
    let keys = JwkSet::parse(keys.as_bytes(), KeyOrigin::Remote).ok()?;
    let key = keys.keys().first()?;
    let token = UntrustedToken::parse(compact.as_bytes()).ok()?;
    let (alg, text, signature) = (
        token.header().alg(),
        token.signing_input(),
        token.signature(),
    );
    let mut other_text = text.to_vec();
    *other_text.last_mut()? ^= 1;
    let mut other_signature = signature.to_vec();
    *other_signature.last_mut()? ^= 1;
    let is_told = verify(verifier, key, alg, text, signature)?
        && !verify(verifier, key, alg, &other_text, signature)?
        && !verify(verifier, key, alg, text, &other_signature)?;
    is_told.then_some(alg)
}

fn verify(
    verifier: &mut dyn SignatureVerifier,
    key: &Jwk,
    algorithm: Algorithm,
    text: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let (hash, coordinate_bytes) = match algorithm {
        Algorithm::Rs256 => (Hash::Sha256, None),
        Algorithm::Rs384 => (Hash::Sha384, None),
        Algorithm::Rs512 => (Hash::Sha512, None),
        Algorithm::Es256 => (Hash::Sha256, Some(32)),
        Algorithm::Es384 => (Hash::Sha384, Some(48)),
        Algorithm::Es512 => (Hash::Sha512, Some(66)),
        _ => return None,
    };
    let public_key = key.to_spki_der()?;
    let as_der;
    let signature = match coordinate_bytes {
        None => signature,
        // RFC 7518 §3.4: r and s in full length.
        Some(bytes) => match signature.split_at_checked(bytes) {
            Some((r, s)) if s.len() == bytes => {
                as_der = sequence(&[integer(r), integer(s)]);
                &as_der
            }
            _ => return Some(false),
        },
    };
    verifier.verify(&SignatureCheck {
        hash,
        public_key,
        signature,
        text,
    })
}

/// The SubjectPublicKeyInfo of a key with these members of a JSON Web Key, in DER (RFC 8017 A.1, RFC 5480 §2); `None` for a
/// kind that no verifier is asked about.
pub(super) fn subject_public_key_info(
    members: &[(&'static str, alloc::string::String)],
) -> Option<Vec<u8>> {
    /// `SEQUENCE { rsaEncryption, NULL }`.
    const RSA: &[u8] = &[
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    /// id-ecPublicKey.
    const EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    let text = |name: &str| {
        let member = members.iter().find(|(known, _)| *known == name);
        member.map(|(_, value)| value.as_str())
    };
    let bytes = |name: &str| base64url::decode(text(name)?.as_bytes()).ok();
    let (algorithm, key) = match text("kty")? {
        "RSA" => {
            let key = sequence(&[integer(&bytes("n")?), integer(&bytes("e")?)]);
            (RSA.to_vec(), key)
        }
        "EC" => {
            let curve: &[u8] = match text("crv")? {
                "P-256" => &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
                "P-384" => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
                "P-521" => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23],
                _ => return None,
            };
            // An uncompressed point (SEC 1 §2.3.3).
            let point = [&[0x04][..], &bytes("x")?, &bytes("y")?].concat();
            (sequence(&[EC.to_vec(), curve.to_vec()]), point)
        }
        _ => return None,
    };
    // No bit of the last byte is unused.
    let key = [&[0x00][..], &key].concat();
    Some(sequence(&[algorithm, tagged(0x03, &key)]))
}

/// A DER SEQUENCE of what is encoded already.
fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

/// A DER INTEGER that is not negative, from big-endian bytes.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    match digits.first() {
        Some(0..=0x7f) => tagged(0x02, digits),
        // A first bit of 1 would make it negative, and no byte at all is no number.
        _ => tagged(0x02, &[&[0x00][..], digits].concat()),
    }
}

/// A DER element: tag, length, content.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = Vec::with_capacity(content.len().saturating_add(6));
    element.push(tag);
    let length = content.len();
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => element.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let digits = bytes.get(zeros..).unwrap_or_default();
            // A usize has at most 8 bytes.
            element.push(0x80 | digits.len() as u8);
            element.extend_from_slice(digits);
        }
    }
    element.extend_from_slice(content);
    element
}

/// Keys and tokens that they signed.
const KNOWN: [(&str, &str); 4] = [
    // RFC 7515 A.2.
    (
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26m\
             PddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47s\
             oMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMT\
             BQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcD\
             TW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}]}",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL\
             mNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7\
             AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWz\
             O75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZES\
             c6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlU\
             PQGe77Rw",
    ),
    // RFC 7515 A.3.
    (
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uP\
             HvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL\
             mNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA\
             pmWQxfKTUJqPP3-Kg6NU1Q",
    ),
    // No RFC has one: signed once, with a key that nobody has any more.
    (
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"ygvvnESBxp7w5V72rNL7TGFCQOba31W_LQ4EY\
             lOipCMsNXhL8ZnZoEttjBdzM_J7\",\"y\":\"ezy8107o6QAkm6C0Dj-m1UKFYAtvajt3cXiN4xguCGz6NiRMbQMb\
             wkd4PSNLEh0I\"}]}",
        "eyJhbGciOiJFUzM4NCJ9.e30.l-mSYMRcnnWa0qJs_sYWoXg2zyR1SqvX3UF7LVQkVCRxhFndybA6NsIkA2Iawp-X3\
             fVDcgTFe-ZUKGLyZ3Sk8zVy-wNMAiIEjLOhZcsMxmRWwU_tb_Fq81efU-Z4YIr_",
    ),
    // RFC 7515 A.4.
    (
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06\
             wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l\
             6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}]}",
        "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWRO\
             c-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vc\
             nwNrmxYbSW9ERBXukOXolLzeO_Jn",
    ),
];

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::jose::{verify_offloading, verify_with_any};

    /// Checks with the module's own code what it was asked, by reading the key and the signature back from DER.
    #[derive(Debug, Clone, Default)]
    struct Mirror {
        asked: Rc<RefCell<usize>>,
        answer: Option<Option<bool>>,
    }

    impl SignatureVerifier for Mirror {
        fn verify(&mut self, check: &SignatureCheck<'_>) -> Option<bool> {
            *self.asked.borrow_mut() += 1;
            if let Some(answer) = self.answer {
                return answer;
            }
            let material = super::super::der::subject_public_key_info(check.public_key).unwrap();
            let key = Jwk::unnamed(material).unwrap();
            let wanted = match check.hash {
                Hash::Sha256 => [Algorithm::Rs256, Algorithm::Es256],
                Hash::Sha384 => [Algorithm::Rs384, Algorithm::Es384],
                Hash::Sha512 => [Algorithm::Rs512, Algorithm::Es512],
            };
            let alg = *key
                .algorithms()
                .iter()
                .find(|alg| wanted.contains(alg))
                .unwrap();
            let signature = match alg {
                Algorithm::Es256 => fixed(check.signature, 32),
                Algorithm::Es384 => fixed(check.signature, 48),
                Algorithm::Es512 => fixed(check.signature, 66),
                _ => check.signature.to_vec(),
            };
            Some(key.verify_signature(alg, check.text, &signature))
        }
    }

    /// r and s of an Ecdsa-Sig-Value, in full length.
    fn fixed(der: &[u8], bytes: usize) -> Vec<u8> {
        let (mut rest, mut fixed) = (&der[if der[1] < 0x80 { 2 } else { 3 }..], Vec::new());
        for _ in 0..2 {
            assert_eq!(rest[0], 2);
            let length = usize::from(rest[1]);
            let number = &rest[2..2 + length];
            assert!(number[0] < 0x80, "negative");
            assert!(
                length == 1 || number[0] != 0 || number[1] >= 0x80,
                "not the shortest"
            );
            let digits = number.strip_prefix(&[0]).unwrap_or(number);
            fixed.extend(std::iter::repeat_n(0, bytes - digits.len()));
            fixed.extend_from_slice(digits);
            rest = &rest[2 + length..];
        }
        assert!(rest.is_empty());
        fixed
    }

    fn all(_: Algorithm) -> bool {
        true
    }

    #[test]
    fn a_verifier_that_can_tell_is_asked_about_everything_it_was_tried_with() {
        let tried = TriedVerifier::new(Box::new(Mirror::default()), all).unwrap();
        assert_eq!(
            tried.algorithms(),
            [
                Algorithm::Rs256,
                Algorithm::Rs384,
                Algorithm::Rs512,
                Algorithm::Es256,
                Algorithm::Es384,
                Algorithm::Es512
            ]
        );
        let some = TriedVerifier::new(Box::new(Mirror::default()), |alg| alg == Algorithm::Es384);
        assert_eq!(some.unwrap().algorithms(), [Algorithm::Es384]);
    }

    #[test]
    fn a_verifier_that_says_the_same_of_everything_is_never_asked_again() {
        for answer in [Some(true), Some(false), None] {
            let mirror = Mirror {
                answer: Some(answer),
                ..Mirror::default()
            };
            assert!(
                TriedVerifier::new(Box::new(mirror), all).is_none(),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn tokens_are_verified_by_the_verifier_and_by_the_module_alike() {
        let mirror = Mirror::default();
        let asked = Rc::clone(&mirror.asked);
        let mut verifier = TriedVerifier::new(Box::new(mirror), all).unwrap();
        for (keys, compact) in KNOWN {
            let keys = JwkSet::parse(keys.as_bytes(), KeyOrigin::Remote).unwrap();
            let signature_at = compact.rfind('.').unwrap() + 1;
            for changed in [
                None,
                Some(1),
                Some(signature_at - 2),
                Some(signature_at),
                Some(signature_at + 40),
            ] {
                let mut text = compact.as_bytes().to_vec();
                if let Some(at) = changed {
                    text[at] = if text[at] == b'A' { b'B' } else { b'A' };
                }
                let Ok(token) = UntrustedToken::parse(&text) else {
                    continue;
                };
                let before = *asked.borrow();
                let by_verifier =
                    verify_offloading(&token, &[&keys], &Algorithm::ALL, Some(&mut verifier))
                        .map(|_| ());
                let by_module = verify_with_any(&token, &[&keys], &Algorithm::ALL).map(|_| ());
                assert_eq!(by_verifier, by_module);
                assert_eq!(by_module.is_ok(), changed.is_none());
                assert_eq!(*asked.borrow(), before + 1);
            }
        }
    }

    #[test]
    fn numbers_are_written_as_der_has_them() {
        for (bytes, expected) in [
            (&[0x00, 0x00][..], &[0x02, 0x01, 0x00][..]),
            (&[], &[0x02, 0x01, 0x00]),
            (&[0x00, 0x7f], &[0x02, 0x01, 0x7f]),
            (&[0x80], &[0x02, 0x02, 0x00, 0x80]),
            (&[0x01, 0x00], &[0x02, 0x02, 0x01, 0x00]),
        ] {
            assert_eq!(integer(bytes), expected);
        }
        assert_eq!(tagged(0x04, &[7; 0x7f])[..2], [0x04, 0x7f]);
        assert_eq!(tagged(0x04, &[7; 0x80])[..3], [0x04, 0x81, 0x80]);
        assert_eq!(tagged(0x04, &[7; 0x1234])[..4], [0x04, 0x82, 0x12, 0x34]);
    }
}
