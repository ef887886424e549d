//! Public keys in PEM.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_core::jose::{Algorithm, JwkSet, KeyError, PemError, UntrustedToken, verify};
use rsa::pkcs1::{EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::traits::PublicKeyParts as _;

use crate::signer::{SigningKey, good_token, key, key_set};

/// A PEM block with lines of 64 characters.
pub(crate) fn block(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

const PUBLIC: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Es256k,
    Algorithm::EdDsa,
];

fn pkcs1() -> Vec<u8> {
    let SigningKey::Rsa(private) = key(Algorithm::Rs256) else {
        panic!("an RSA key")
    };
    private.to_public_key().to_pkcs1_der().unwrap().into_vec()
}

fn is_verified(algorithm: Algorithm, set: &JwkSet) -> bool {
    let token = good_token(algorithm);
    let token = UntrustedToken::parse(token.as_bytes()).unwrap();
    verify(&token, set, &[algorithm]).is_ok()
}

#[test]
fn public_keys_of_every_kind() {
    for algorithm in PUBLIC {
        let set =
            JwkSet::from_pem(block("PUBLIC KEY", &key(algorithm).spki_der()).as_bytes()).unwrap();
        assert_eq!(set.keys().len(), 1);
        assert_eq!(set.keys()[0].kid(), None);
        assert_eq!(set.to_json(), key_set(algorithm).to_json(), "{algorithm}");
        assert!(is_verified(algorithm, &set), "{algorithm}");
    }
}

#[test]
fn rsa_keys_of_pkcs1() {
    let set = JwkSet::from_pem(block("RSA PUBLIC KEY", &pkcs1()).as_bytes()).unwrap();
    let all = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ];
    assert_eq!(set.keys()[0].algorithms(), all);
    for algorithm in all {
        assert!(is_verified(algorithm, &set), "{algorithm}");
    }
}

#[test]
fn several_blocks_are_several_keys() {
    let text: String = PUBLIC
        .iter()
        .map(|algorithm| {
            format!(
                "# {algorithm}\n{}",
                block("PUBLIC KEY", &key(*algorithm).spki_der())
            )
        })
        .collect();
    let set = JwkSet::from_pem(text.as_bytes()).unwrap();
    assert_eq!(set.keys().len(), PUBLIC.len());
    for algorithm in PUBLIC {
        assert!(is_verified(algorithm, &set), "{algorithm}");
    }
}

#[test]
fn line_breaks_do_not_matter() {
    let text = block("PUBLIC KEY", &key(Algorithm::Es256).spki_der());
    for text in [
        text.replace('\n', "\r\n"),
        text.replace('\n', " "),
        text.replace("-----\n", "-----").replace("\n-----", "-----"),
        format!("Bag Attributes\n  friendlyName: x\n\n{text}\n\n"),
    ] {
        assert!(is_verified(
            Algorithm::Es256,
            &JwkSet::from_pem(text.as_bytes()).unwrap()
        ));
    }
}

/// DER of tag, length and value.
pub(crate) fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u16::try_from(value.len()).unwrap() {
        length @ 0..128 => out.push(length.to_be_bytes()[1]),
        length @ 128..256 => out.extend([0x81, length.to_be_bytes()[1]]),
        length => {
            out.push(0x82);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend(value);
    out
}

/// A certificate with the key in it; its signature is nonsense, which nobody checks.
fn certificate(spki: &[u8], with_version: bool) -> Vec<u8> {
    let algorithm = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]));
    let name = tlv(
        0x30,
        &tlv(
            0x31,
            &tlv(0x30, &[tlv(6, &[0x55, 4, 3]), tlv(12, b"test")].concat()),
        ),
    );
    let validity = tlv(
        0x30,
        &[tlv(23, b"250101000000Z"), tlv(23, b"350101000000Z")].concat(),
    );
    let mut fields = Vec::new();
    if with_version {
        fields.extend(tlv(0xa0, &tlv(2, &[2])));
    }
    for part in [&tlv(2, &[1])[..], &algorithm, &name, &validity, &name, spki] {
        fields.extend(part);
    }
    if with_version {
        fields.extend(tlv(0xa3, &tlv(0x30, &[])));
    }
    let signed = tlv(0x30, &fields);
    tlv(0x30, &[signed, algorithm, tlv(3, &[0, 1, 2, 3])].concat())
}

#[test]
fn the_key_of_a_certificate() {
    for algorithm in PUBLIC {
        for with_version in [false, true] {
            let der = certificate(&key(algorithm).spki_der(), with_version);
            let set = JwkSet::from_pem(block("CERTIFICATE", &der).as_bytes()).unwrap();
            assert_eq!(set.to_json(), key_set(algorithm).to_json(), "{algorithm}");
        }
    }
}

#[test]
fn a_p256_key_is_written_in_der_with_its_whole_point_however_it_was_read() {
    let SigningKey::P256(ec) = key(Algorithm::Es256) else {
        panic!("a P-256 key")
    };
    let whole = key(Algorithm::Es256).spki_der();
    // RFC 5480 §2.2: the same structure with a compressed point, which is 32 bytes shorter.
    let point = ec.verifying_key().to_encoded_point(true);
    let (head, _) = whole.split_at(whole.len() - 65);
    let mut compressed = [head, point.as_bytes()].concat();
    for length in [1, head.len() - 2] {
        compressed[length] -= 32;
    }
    for der in [&whole, &compressed] {
        let set = JwkSet::from_pem(block("PUBLIC KEY", der).as_bytes()).unwrap();
        assert_eq!(set.to_json(), key_set(Algorithm::Es256).to_json());
        assert_eq!(set.keys()[0].to_spki_der(), Some(whole.as_slice()));
    }
    for algorithm in [Algorithm::Es256k, Algorithm::EdDsa, Algorithm::Hs256] {
        assert_eq!(key_set(algorithm).keys()[0].to_spki_der(), None);
    }
}

#[test]
fn private_keys_are_refused_by_name() {
    let SigningKey::Rsa(rsa) = key(Algorithm::Rs256) else {
        panic!("an RSA key")
    };
    let SigningKey::P256(ec) = key(Algorithm::Es256) else {
        panic!("a P-256 key")
    };
    let pkcs8 = ec.to_pkcs8_der().unwrap();
    let public = block("PUBLIC KEY", &key(Algorithm::Es256).spki_der());
    let cases = [
        (block("PRIVATE KEY", pkcs8.as_bytes()), 1),
        (
            block("RSA PRIVATE KEY", rsa.to_pkcs1_der().unwrap().as_bytes()),
            1,
        ),
        (block("EC PRIVATE KEY", b"any"), 1),
        (block("ENCRYPTED PRIVATE KEY", b"any"), 1),
        (
            format!("{public}{}", block("PRIVATE KEY", pkcs8.as_bytes())),
            2,
        ),
    ];
    for (text, block) in cases {
        let error = JwkSet::from_pem(text.as_bytes()).unwrap_err();
        assert_eq!(error, PemError::PrivateKey { block });
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("private key"), "{shown}");
    }
}

#[test]
fn texts_that_are_no_keys() {
    let good = block("PUBLIC KEY", &key(Algorithm::Es256).spki_der());
    let unsupported = |oid: &str| PemError::UnsupportedAlgorithm {
        block: 1,
        oid: oid.parse().unwrap(),
    };
    // X25519 and RSASSA-PSS by their object identifiers.
    let x25519 = tlv(
        0x30,
        &[tlv(0x30, &tlv(6, &[0x2b, 0x65, 0x6e])), tlv(3, &[0; 33])].concat(),
    );
    let pss_oid = tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10]);
    let pss = tlv(0x30, &[tlv(0x30, &pss_oid), tlv(3, &[0; 33])].concat());
    let p224_oids = [
        tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]),
        tlv(6, &[0x2b, 0x81, 4, 0, 33]),
    ];
    let p224 = tlv(
        0x30,
        &[tlv(0x30, &p224_oids.concat()), tlv(3, &[0; 58])].concat(),
    );
    let cases = [
        (String::new(), PemError::NoBlock, "nothing"),
        ("hello".to_owned(), PemError::NoBlock, "no block"),
        (
            good.replace("-----END", "-----"),
            PemError::Unterminated { block: 1 },
            "no end",
        ),
        (
            good.replace("END PUBLIC KEY", "END CERTIFICATE"),
            PemError::Unterminated { block: 1 },
            "another end",
        ),
        (
            good.replace("BEGIN PUBLIC KEY-----\n", "BEGIN PUBLIC KEY-----\n*"),
            PemError::NotBase64 { block: 1 },
            "not base64",
        ),
        (
            block("PUBLIC KEY", b"garbage"),
            PemError::Malformed { block: 1 },
            "not DER",
        ),
        (
            block("CERTIFICATE", b"garbage"),
            PemError::CertificateMalformed { block: 1 },
            "not DER",
        ),
        (
            block("RSA PUBLIC KEY", &key(Algorithm::Rs256).spki_der()),
            PemError::Malformed { block: 1 },
            "another structure",
        ),
        (
            block("PGP PUBLIC KEY BLOCK", b"any"),
            PemError::UnsupportedLabel {
                block: 1,
                label: "PGP PUBLIC KEY BLOCK".to_owned(),
            },
            "another label",
        ),
        (
            block("PUBLIC KEY", &x25519),
            unsupported("1.3.101.110"),
            "X25519",
        ),
        (
            block("PUBLIC KEY", &pss),
            unsupported("1.2.840.113549.1.1.10"),
            "RSASSA-PSS",
        ),
        (
            block("PUBLIC KEY", &p224),
            unsupported("1.3.132.0.33"),
            "P-224",
        ),
        (
            format!("{good}{}", block("PUBLIC KEY", b"garbage")),
            PemError::Malformed { block: 2 },
            "the second is broken",
        ),
    ];
    for (text, error, note) in cases {
        assert_eq!(
            JwkSet::from_pem(text.as_bytes()).unwrap_err(),
            error,
            "{note}"
        );
    }
    assert_eq!(JwkSet::from_pem(b"\xff").unwrap_err(), PemError::NotUtf8);
}

#[test]
fn unsafe_keys_are_refused() {
    let SigningKey::Rsa(private) = key(Algorithm::Rs256) else {
        panic!("an RSA key")
    };
    let integer = |number: &rsa::BigUint| {
        let mut bytes = number.to_bytes_be();
        if bytes[0] >= 128 {
            bytes.insert(0, 0);
        }
        tlv(2, &bytes)
    };
    let rsa = |n: &rsa::BigUint, e: u8| {
        block(
            "RSA PUBLIC KEY",
            &tlv(0x30, &[integer(n), tlv(2, &[e])].concat()),
        )
    };
    let short: rsa::BigUint = private.n() >> 1024_usize;
    let mut off_curve = key(Algorithm::Es256).spki_der();
    *off_curve.last_mut().unwrap() ^= 1;
    let mut zero = key(Algorithm::EdDsa).spki_der();
    let key_at = zero.len() - 32;
    zero[key_at..].fill(0);
    let cases = [
        (
            rsa(&short, 3),
            KeyError::RsaModulusSize { bits: 1024 },
            "1024 bits",
        ),
        (
            rsa(private.n(), 1),
            KeyError::RsaExponent { exponent: Some(1) },
            "e = 1",
        ),
        (
            rsa(private.n(), 4),
            KeyError::RsaExponent { exponent: Some(4) },
            "e = 4",
        ),
        (
            block("PUBLIC KEY", &off_curve),
            KeyError::NotOnCurve { crv: "P-256" },
            "off the curve",
        ),
        (
            block("PUBLIC KEY", &zero),
            KeyError::SmallOrder,
            "a point of order 4",
        ),
    ];
    for (text, error, note) in cases {
        let found = JwkSet::from_pem(text.as_bytes()).unwrap_err();
        assert_eq!(found, PemError::Key { block: 1, error }, "{note}");
    }
}
