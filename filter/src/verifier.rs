//! Signatures checked by the proxy: Envoy's function `verify_signature`, which does it with BoringSSL.
//!
//! What it takes and gives are protobuf messages (`envoy.source.extensions.common.wasm.VerifySignatureArguments` and
//! `VerifySignatureResult`), small enough to be written and read by hand.

use alloc::vec::Vec;
use nexus_core::jose::{Hash, SignatureCheck, SignatureVerifier};

use crate::host;

/// The tags of the fields of the arguments, each with a length behind it: hash, key, signature, text.
const FIELDS: [u8; 4] = [0x0a, 0x12, 0x1a, 0x22];

/// The proxy's cryptography.
#[derive(Default)]
pub(crate) struct ProxyVerifier {
    /// The arguments of the last call, to be written over.
    arguments: Vec<u8>,
}

impl SignatureVerifier for ProxyVerifier {
    fn verify(&mut self, check: &SignatureCheck<'_>) -> Option<bool> {
        let hash: &[u8] = match check.hash {
            Hash::Sha256 => b"sha256",
            Hash::Sha384 => b"sha384",
            Hash::Sha512 => b"sha512",
        };
        self.arguments.clear();
        let values = [hash, check.public_key, check.signature, check.text];
        for (field, value) in FIELDS.into_iter().zip(values) {
            self.arguments.push(field);
            write_varint(&mut self.arguments, value.len());
            self.arguments.extend_from_slice(value);
        }
        let result = host::call_foreign_function("verify_signature", &self.arguments).ok()?;
        Some(is_valid(&result))
    }
}

/// Writes a number in groups of seven bits, the lowest first.
fn write_varint(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let group = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            out.push(group);
            return;
        }
        out.push(group | 0x80);
    }
}

/// Field 1 of the result, a boolean: it stands first, and is left out when it is false.
fn is_valid(result: &[u8]) -> bool {
    matches!(result, [0x08, 0x01, ..])
}
