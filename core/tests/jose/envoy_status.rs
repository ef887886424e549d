//! Every status that Envoy has for a key or a key set, provoked: each row is an input and the status that
//! the error is, and no row of Envoy's table is left out.

use std::collections::BTreeSet;

use nexus_core::jose::{Algorithm, JwkSet, KeyOrigin};
use nexus_core::reason::{EnvoyPlace, EnvoyStatus};
use serde_json::{Value, json};

use crate::key_sets::changed;
use crate::pem::{block, tlv};
use crate::signer::key;

/// Texts that are no key sets.
const SETS: [(&str, EnvoyStatus); 5] = [
    ("", EnvoyStatus::JwksParseError),
    ("{", EnvoyStatus::JwksParseError),
    ("[]", EnvoyStatus::JwksParseError),
    (
        r#"{"kid": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"}"#,
        EnvoyStatus::JwksNoKeys,
    ),
    (r#"{"keys": {}}"#, EnvoyStatus::JwksBadKeys),
];

/// Keys that are put aside.
fn keys() -> Vec<(Value, EnvoyStatus)> {
    use EnvoyStatus as E;
    let of = |algorithm: Algorithm, changes: Value| changed(key(algorithm).jwk(), changes);
    let rsa = |changes| of(Algorithm::Rs256, changes);
    let ec = |changes| of(Algorithm::Es256, changes);
    let okp = |changes| of(Algorithm::EdDsa, changes);
    let oct = |changes| of(Algorithm::Hs256, changes);
    vec![
        (json!({}), E::JwksMissingKty),
        (rsa(json!({ "kty": null })), E::JwksMissingKty),
        (rsa(json!({ "kty": 1 })), E::JwksBadKty),
        (json!({ "kty": "AKP" }), E::JwksNotImplementedKty),
        (rsa(json!({ "alg": "ES256" })), E::JwksRSAKeyBadAlg),
        (rsa(json!({ "n": null })), E::JwksRSAKeyMissingN),
        (rsa(json!({ "n": 1 })), E::JwksRSAKeyBadN),
        (rsa(json!({ "e": null })), E::JwksRSAKeyMissingE),
        (rsa(json!({ "e": 65537 })), E::JwksRSAKeyBadE),
        (rsa(json!({ "n": "a+b/" })), E::JwksRsaParseError),
        (rsa(json!({ "e": "AQAB=" })), E::JwksRsaParseError),
        (rsa(json!({ "e": "AQ" })), E::JwksRsaParseError),
        (rsa(json!({ "n": "" })), E::JwksRsaParseError),
        (ec(json!({ "alg": "RS256" })), E::JwksECKeyBadAlg),
        (
            ec(json!({ "alg": "ES384" })),
            E::JwksECKeyAlgNotCompatibleWithCrv,
        ),
        (ec(json!({ "crv": 256 })), E::JwksECKeyBadCrv),
        (
            ec(json!({ "crv": "P-224" })),
            E::JwksECKeyAlgOrCrvUnsupported,
        ),
        (ec(json!({ "crv": null })), E::JwksECKeyAlgOrCrvUnsupported),
        (ec(json!({ "x": null })), E::JwksECKeyMissingX),
        (ec(json!({ "x": 1 })), E::JwksECKeyBadX),
        (ec(json!({ "y": null })), E::JwksECKeyMissingY),
        (ec(json!({ "y": [] })), E::JwksECKeyBadY),
        (ec(json!({ "x": "a+b/" })), E::JwksEcXorYBadBase64),
        (ec(json!({ "y": "=" })), E::JwksEcXorYBadBase64),
        (ec(json!({ "x": "AAAA" })), E::JwksEcParseError),
        (
            ec(json!({ "x": "A".repeat(43), "y": "A".repeat(43) })),
            E::JwksEcParseError,
        ),
        (okp(json!({ "alg": "ES256" })), E::JwksOKPKeyBadAlg),
        (okp(json!({ "crv": null })), E::JwksOKPKeyMissingCrv),
        (okp(json!({ "crv": true })), E::JwksOKPKeyBadCrv),
        (okp(json!({ "crv": "X25519" })), E::JwksOKPKeyCrvUnsupported),
        (okp(json!({ "x": null })), E::JwksOKPKeyMissingX),
        (okp(json!({ "x": {} })), E::JwksOKPKeyBadX),
        (okp(json!({ "x": "a+b/" })), E::JwksOKPXBadBase64),
        (okp(json!({ "x": "AAAA" })), E::JwksOKPXWrongLength),
        (oct(json!({ "alg": "RS256" })), E::JwksHMACKeyBadAlg),
        (oct(json!({ "k": null })), E::JwksHMACKeyMissingK),
        (oct(json!({ "k": 1 })), E::JwksHMACKeyBadK),
        (oct(json!({ "k": "a+b/" })), E::JwksOctBadBase64),
        (oct(json!({ "k": "" })), E::JwksOctBadBase64),
    ]
}

/// A SubjectPublicKeyInfo with this object identifier and key.
fn info(oid: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = [&[0], key].concat();
    tlv(0x30, &[tlv(0x30, &tlv(6, oid)), tlv(3, &bits)].concat())
}

/// A certificate (RFC 5280 §4.1) of this key, as far as it is looked at.
fn certificate(info: &[u8]) -> Vec<u8> {
    let empty = tlv(0x30, &[]);
    let fields = [
        &tlv(2, &[1]),
        empty.as_slice(),
        &empty,
        &empty,
        &empty,
        info,
    ]
    .concat();
    tlv(
        0x30,
        &[tlv(0x30, &fields), empty.clone(), tlv(3, &[0])].concat(),
    )
}

/// Texts that are no public keys in PEM.
fn pems() -> Vec<(String, EnvoyStatus)> {
    use EnvoyStatus as E;
    let x25519 = info(&[0x2b, 0x65, 0x6e], &[9; 32]);
    let mut off_curve = key(Algorithm::Es256).spki_der();
    *off_curve.last_mut().unwrap() ^= 1;
    vec![
        (String::new(), E::JwksPemBadBase64),
        (
            "-----BEGIN PUBLIC KEY-----\n*\n-----END PUBLIC KEY-----\n".into(),
            E::JwksPemBadBase64,
        ),
        (block("PUBLIC KEY", b"garbage"), E::JwksPemBadBase64),
        (block("PRIVATE KEY", b"any"), E::JwksPemBadBase64),
        (block("PUBLIC KEY", &x25519), E::JwksPemNotImplementedKty),
        (
            block("PUBLIC KEY", &info(&[0x2b, 0x65, 0x70], &[9; 31])),
            E::JwksPemGetRawEd25519Error,
        ),
        (block("PUBLIC KEY", &off_curve), E::JwksEcParseError),
        (block("CERTIFICATE", b"garbage"), E::JwksX509ParseError),
        (
            block("CERTIFICATE", &certificate(&x25519)),
            E::JwksX509GetPubkeyError,
        ),
    ]
}

#[test]
fn every_status_of_a_key_is_provoked() {
    let mut provoked = BTreeSet::new();
    for (text, status) in SETS {
        let error = JwkSet::parse(text.as_bytes(), KeyOrigin::Remote).unwrap_err();
        assert_eq!(error.envoy_status(), status, "{text}");
        provoked.insert(status);
    }
    for (jwk, status) in keys() {
        let text = json!({ "keys": [jwk] }).to_string();
        let set = JwkSet::parse(text.as_bytes(), KeyOrigin::Local).unwrap();
        assert!(set.is_empty(), "{jwk}");
        let rejected = &set.rejected()[0];
        assert_eq!(rejected.envoy_status(), Some(status), "{jwk}: {rejected}");
        // What the operator reads has Envoy's name.
        let said = rejected.to_string();
        assert!(said.ends_with(&format!(" ({})", status.name())), "{said}");
        provoked.insert(status);
    }
    for (text, status) in pems() {
        let error = JwkSet::from_pem(text.as_bytes()).unwrap_err();
        assert_eq!(error.envoy_status(), Some(status), "{error}: {text}");
        provoked.insert(status);
    }
    let listed: BTreeSet<EnvoyStatus> = EnvoyStatus::ALL
        .iter()
        .copied()
        .filter(|status| {
            matches!(
                status.place(),
                EnvoyPlace::Set(_) | EnvoyPlace::Key(_) | EnvoyPlace::Pem(_)
            )
        })
        .collect();
    assert_eq!(provoked, listed);
}

/// What Nexus refuses and Envoy does not has no status of Envoy's.
#[test]
fn what_only_nexus_refuses_has_no_status() {
    let remote = |jwk: Value| {
        let text = json!({ "keys": [jwk] }).to_string();
        let set = JwkSet::parse(text.as_bytes(), KeyOrigin::Remote).unwrap();
        set.rejected()[0].clone()
    };
    let rsa = |changes| changed(key(Algorithm::Rs256).jwk(), changes);
    for jwk in [
        json!(null),
        rsa(json!({ "use": "enc" })),
        rsa(json!({ "key_ops": ["sign"] })),
        rsa(json!({ "kid": 1 })),
        key(Algorithm::Hs256).jwk(),
    ] {
        let rejected = remote(jwk);
        assert_eq!(rejected.envoy_status(), None, "{rejected}");
        assert!(!rejected.to_string().ends_with(')'), "{rejected}");
    }
}
