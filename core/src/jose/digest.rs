//! SHA-256 digests as tokens and proxies write them.

use alloc::string::String;
use core::fmt;
use sha2::{Digest as _, Sha256};

use super::base64url;

/// A SHA-256 digest: the thumbprint of a key or of a certificate, or the hash of a token.
///
/// None of these is a secret: comparing two of them may take as long as it likes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of all `parts`, each behind its length in 8 bytes, so that no two lists of parts are hashed alike.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // A usize fits 64 bits wherever Nexus runs.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The digest that `bytes` are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads base64url without padding, as `x5t#S256` (RFC 8705 §3.1), `jkt` (RFC 9449 §6.1) and `ath` (RFC 9449
    /// §4.2) have it. `None` for any other text, and for another length than that of a digest.
    pub fn from_base64url(text: &str) -> Option<Self> {
        base64url::decode(text.as_bytes())
            .ok()?
            .try_into()
            .ok()
            .map(Self)
    }

    /// Reads 64 hexadecimal digits of either case, as Envoy writes the digest of a certificate. `None` for any other
    /// text.
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            let digit = |digit: &u8| char::from(*digit).to_digit(16);
            *byte = u8::try_from((digit(high)? << 4) | digit(low)?).ok()?;
        }
        Some(Self(bytes))
    }

    /// The digest as bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest as base64url without padding.
    pub fn to_base64url(&self) -> String {
        base64url::encode(&self.0)
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Digest({})", self.to_base64url())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_strictly() {
        let digest = Sha256Digest::of(b"abc");
        let lower = b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(
            Sha256Digest::from_hex(lower),
            Some(digest),
            "FIPS 180-2 B.1"
        );
        assert_eq!(
            Sha256Digest::from_hex(&lower.to_ascii_uppercase()),
            Some(digest)
        );
        let mut longer = lower.to_vec();
        longer.push(b'0');
        let mut wrong = lower.to_vec();
        wrong[63] = b'g';
        let mut signed = lower.to_vec();
        signed[0] = b'+';
        let cases: [&[u8]; 7] = [
            b"",
            b"0x",
            &lower[1..],
            &longer,
            &wrong,
            &signed,
            &[0xff; 64],
        ];
        for text in cases {
            assert_eq!(Sha256Digest::from_hex(text), None, "{text:?}");
        }
    }

    #[test]
    fn base64url_is_read_strictly() {
        let digest = Sha256Digest::of(b"abc");
        let text = digest.to_base64url();
        assert_eq!(Sha256Digest::from_base64url(&text), Some(digest));
        let cases = [
            String::new(),
            alloc::format!("{text}="),
            text[1..].into(),
            alloc::format!("{text}AA"),
            text.replace(&text[..1], "+"),
            base64url::encode(&[0; 31]),
            base64url::encode(&[0; 33]),
        ];
        for text in cases {
            assert_eq!(Sha256Digest::from_base64url(&text), None, "{text}");
        }
    }

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(
            Sha256Digest::of_parts(&[b"ab", b"c"]),
            Sha256Digest::of_parts(&[b"a", b"bc"])
        );
        assert_ne!(
            Sha256Digest::of_parts(&[b"ab"]),
            Sha256Digest::of_parts(&[b"ab", b""])
        );
    }

    /// RFC 8705 Appendix A: the certificate and its `x5t#S256`.
    #[test]
    fn the_certificate_of_rfc_8705_has_the_thumbprint_that_the_rfc_says() {
        let text = "-----BEGIN CERTIFICATE-----\n\
            MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx\n\
            ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG\n\
            SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ\n\
            /Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID\n\
            SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV\n\
            bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=\n\
            -----END CERTIFICATE-----\n";
        let der = der_of(text);
        assert_eq!(
            Sha256Digest::of(&der).to_base64url(),
            "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"
        );
    }

    fn der_of(pem: &str) -> alloc::vec::Vec<u8> {
        use base64::Engine as _;
        let base64: String = pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        base64::engine::general_purpose::STANDARD
            .decode(base64)
            .unwrap()
    }
}
