//! Thumbprints of keys (RFC 7638), by which tokens name the key that they are bound to.

use alloc::string::String;

use super::{Jwk, Sha256Digest};
use crate::json;

impl Jwk {
    /// The SHA-256 thumbprint of the key (RFC 7638 §3; for Ed25519 RFC 8037 §2).
    ///
    /// It is made from the key and not from the text that the key was read from, so that two spellings of one key
    /// have one thumbprint. That of a symmetric key would tell something about the secret; nothing asks for it.
    pub fn thumbprint(&self) -> Sha256Digest {
        // The members come in the order of their names, and each value is base64url or the name of a curve or kind:
        // nothing in it needs an escape.
        let mut text = String::from("{");
        for (index, (name, value)) in self.material().members().iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            // Writing to a `String` does not fail.
            let _ = json::write_string(&mut text, name);
            text.push(':');
            let _ = json::write_string(&mut text, value);
        }
        text.push('}');
        Sha256Digest::of(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use crate::jose::{JwkSet, KeyOrigin};
    use serde_json::{Value, json};
    use std::string::{String, ToString};

    fn thumbprint(jwk: &Value) -> String {
        let set = json!({ "keys": [jwk] }).to_string();
        let set = JwkSet::parse(set.as_bytes(), KeyOrigin::Remote).unwrap();
        assert_eq!(set.keys().len(), 1, "{:?}", set.rejected());
        set.keys()[0].thumbprint().to_base64url()
    }

    #[test]
    fn the_keys_of_the_rfcs_have_the_thumbprints_that_the_rfcs_say() {
        let cases = [
            (
                "RFC 7638 §3.1",
                json!({
                    "kty": "RSA",
                    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
                    "e": "AQAB",
                    "alg": "RS256",
                    "kid": "2011-04-29",
                }),
                "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            ),
            (
                "RFC 8037 A.3",
                json!({
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                }),
                "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            ),
            (
                "RFC 9449 §6.1",
                json!({
                    "kty": "EC",
                    "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                    "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
                    "crv": "P-256",
                }),
                "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
            ),
        ];
        for (source, jwk, expected) in cases {
            assert_eq!(thumbprint(&jwk), expected, "{source}");
        }
    }

    #[test]
    fn what_is_no_part_of_the_key_does_not_change_the_thumbprint() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let bare = json!({ "x": x, "kty": "OKP", "crv": "Ed25519" });
        let full = json!({
            "kid": "k", "alg": "EdDSA", "use": "sig", "key_ops": ["verify"], "zz": [1],
            "crv": "Ed25519", "kty": "OKP", "x": x,
        });
        assert_eq!(thumbprint(&bare), thumbprint(&full));
    }
}
