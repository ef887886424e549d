//! Key sets: what is put aside and why, and that the rest works.

use nexus_core::jose::{
    Algorithm, JwkSet, JwkSetError, KeyError, KeyOrigin, MAX_JWKS_BYTES, MAX_KEYS, UntrustedToken,
    base64url, verify,
};
use nexus_core::json as core_json;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

use crate::signer::{SigningKey, good_token, key, key_set, set_of};

fn parse(keys: &Value, origin: KeyOrigin) -> JwkSet {
    JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes(), origin).unwrap()
}

/// The key with members put in or replaced; `null` takes a member out.
pub(crate) fn changed(jwk: Value, changes: Value) -> Value {
    let mut jwk = jwk;
    let members = jwk.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    jwk
}

fn error_of(jwk: &Value) -> KeyError {
    let set = parse(&json!([jwk]), KeyOrigin::Local);
    assert!(set.is_empty(), "{jwk} is usable");
    set.rejected()[0].error.clone()
}

fn modulus() -> rsa::BigUint {
    let SigningKey::Rsa(private) = key(Algorithm::Rs256) else {
        panic!("an RSA key")
    };
    private.n().clone()
}

fn number(number: &rsa::BigUint) -> String {
    base64url::encode(&number.to_bytes_be())
}

#[test]
fn documents_that_are_no_key_sets() {
    let cases: [(&str, JwkSetError, &str); 5] = [
        (
            "[]",
            JwkSetError::NotAnObject { found: "an array" },
            "an array",
        ),
        ("{}", JwkSetError::NoKeys, "no keys"),
        (r#"{"Keys":[]}"#, JwkSetError::NoKeys, "another name"),
        (
            r#"{"keys":{}}"#,
            JwkSetError::KeysNotArray { found: "an object" },
            "keys: an object",
        ),
        (
            r#"{"keys":null}"#,
            JwkSetError::KeysNotArray { found: "null" },
            "keys: null",
        ),
    ];
    for (text, error, note) in cases {
        assert_eq!(
            JwkSet::parse(text.as_bytes(), KeyOrigin::Remote).unwrap_err(),
            error,
            "{note}"
        );
    }
    for text in [
        "",
        "<html></html>",
        r#"{"keys":["#,
        r#"{"keys":[],"keys":[]}"#,
    ] {
        let error = JwkSet::parse(text.as_bytes(), KeyOrigin::Remote).unwrap_err();
        assert!(
            matches!(error, JwkSetError::NotJson(_)),
            "{text}: {error:?}"
        );
    }
    let large = " ".repeat(MAX_JWKS_BYTES + 1);
    assert_eq!(
        JwkSet::parse(large.as_bytes(), KeyOrigin::Remote).unwrap_err(),
        JwkSetError::TooLarge {
            bytes: MAX_JWKS_BYTES + 1
        }
    );
    let nested = format!(r#"{{"keys":{}}}"#, "[".repeat(100_000));
    assert!(matches!(
        JwkSet::parse(nested.as_bytes(), KeyOrigin::Remote).unwrap_err(),
        JwkSetError::NotJson(error) if error.kind == core_json::ErrorKind::TooDeep
    ));
}

#[test]
fn a_set_without_usable_keys_is_an_empty_set() {
    let set = parse(&json!([]), KeyOrigin::Remote);
    assert!(set.is_empty() && set.rejected().is_empty());
    let set = parse(
        &json!([{ "kty": "OKP", "crv": "X25519", "x": "" }]),
        KeyOrigin::Remote,
    );
    assert!(set.is_empty());
    assert_eq!(set.rejected().len(), 1);
}

#[test]
fn broken_siblings_do_not_matter() {
    let good = changed(key(Algorithm::Es256).jwk(), json!({ "kid": "good" }));
    let keys = json!([
        null,
        7,
        { "kty": "AKP", "kid": "post-quantum", "alg": "ML-DSA-65", "pub": "" },
        { "kty": "OKP", "crv": "X25519", "x": "", "kid": "x" },
        { "kty": "OKP", "crv": "Ed448", "x": "" },
        { "kty": "EC", "crv": "P-256" },
        { "kid": "certificate only", "x5c": ["MIIB"] },
        good,
        { "kty": "oct", "k": base64url::encode(&[7; 32]) },
    ]);
    let set = parse(&keys, KeyOrigin::Remote);
    assert_eq!(set.keys().len(), 1);
    let token = good_token(Algorithm::Es256);
    let token = UntrustedToken::parse(token.as_bytes()).unwrap();
    assert_eq!(
        verify(&token, &set, &Algorithm::ALL).unwrap().key().kid(),
        Some("good")
    );

    let shown: Vec<String> = set.rejected().iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "key 0: the key is null, not an object",
            "key 1: the key is a number, not an object",
            "key 2: keys of type `AKP` are not supported (JwksNotImplementedKty)",
            "key 3: the curve `X25519` is not supported (JwksOKPKeyCrvUnsupported)",
            "key 4: the curve `Ed448` is not supported (JwksOKPKeyCrvUnsupported)",
            "key 5: `x` is missing (JwksECKeyMissingX)",
            "key 6: `kty` is missing (JwksMissingKty)",
            "key 8: a symmetric key is not accepted from a remote key set",
        ]
    );
    assert_eq!(set.rejected()[2].kid.as_deref(), Some("post-quantum"));
}

#[test]
fn rsa_keys_that_are_refused() {
    let rsa = || key(Algorithm::Rs256).jwk();
    let n = modulus();
    let one = rsa::BigUint::from(1_u8);
    let long = &((&one << 8192_usize) + &one);
    let missing = |member| KeyError::MissingMember { member };
    let size = |bits| KeyError::RsaModulusSize { bits };
    let exponent = |exponent| KeyError::RsaExponent { exponent };
    let cases = [
        (json!({ "n": null }), missing("n"), "no n"),
        (json!({ "e": null }), missing("e"), "no e"),
        (
            json!({ "e": 65537 }),
            KeyError::WrongType {
                member: "e",
                expected: "a string",
                found: "a number",
            },
            "e: a number",
        ),
        (
            json!({ "e": "AQAB=" }),
            KeyError::NotBase64url { member: "e" },
            "padding",
        ),
        (
            json!({ "n": "a+b/" }),
            KeyError::NotBase64url { member: "n" },
            "the other alphabet",
        ),
        (json!({ "n": "" }), size(0), "an empty modulus"),
        (json!({ "n": "AA" }), size(0), "zero"),
        (
            json!({ "n": number(&(&n >> 1024_usize)) }),
            size(1024),
            "1024 bits",
        ),
        (
            json!({ "n": number(&(&n >> 1_usize)) }),
            size(2047),
            "2047 bits",
        ),
        (json!({ "n": number(long) }), size(8193), "8193 bits"),
        (
            json!({ "n": number(&(&n + &one)) }),
            KeyError::RsaModulusEven,
            "even",
        ),
        (json!({ "e": "" }), exponent(Some(0)), "an empty exponent"),
        (json!({ "e": "AA" }), exponent(Some(0)), "e = 0"),
        (json!({ "e": "AQ" }), exponent(Some(1)), "e = 1"),
        (json!({ "e": "Ag" }), exponent(Some(2)), "e = 2"),
        (json!({ "e": "AQAA" }), exponent(Some(65536)), "e = 65536"),
        (
            json!({ "e": base64url::encode(&[2, 0, 0, 0, 1]) }),
            exponent(Some((1 << 33) + 1)),
            "34 bits",
        ),
        (
            json!({ "e": number(&n) }),
            exponent(None),
            "as long as the modulus",
        ),
    ];
    for (change, error, note) in cases {
        assert_eq!(error_of(&changed(rsa(), change)), error, "{note}");
    }
}

#[test]
fn rsa_keys_that_are_accepted() {
    let n = modulus();
    let mut padded = n.to_bytes_be();
    padded.insert(0, 0);
    // No product of primes, but nobody can tell.
    let largest = (rsa::BigUint::from(1_u8) << 8192_usize) - rsa::BigUint::from(1_u8);
    let odd_size = (rsa::BigUint::from(1_u8) << 2053_usize) + rsa::BigUint::from(1_u8);
    for (change, note) in [
        (
            json!({ "n": base64url::encode(&padded) }),
            "a zero in front of the modulus",
        ),
        (
            json!({ "e": base64url::encode(&[0, 1, 0, 1]) }),
            "a zero in front of the exponent",
        ),
        (json!({ "e": "Aw" }), "e = 3"),
        (
            json!({ "e": base64url::encode(&[1, 255, 255, 255, 255]) }),
            "e of 33 bits",
        ),
        (json!({ "n": number(&largest) }), "8192 bits"),
        (json!({ "n": number(&odd_size) }), "2054 bits"),
    ] {
        let set = parse(
            &json!([changed(key(Algorithm::Rs256).jwk(), change)]),
            KeyOrigin::Remote,
        );
        assert_eq!(set.rejected(), [], "{note}");
        // Whatever the size, checking a signature with it ends in an answer.
        for algorithm in set.keys()[0].algorithms() {
            assert!(
                !set.keys()[0].verify_signature(*algorithm, b"", &[1; 256]),
                "{note}"
            );
        }
    }
    let zero = changed(
        key(Algorithm::Rs256).jwk(),
        json!({ "n": base64url::encode(&padded) }),
    );
    let token = good_token(Algorithm::Rs256);
    let token = UntrustedToken::parse(token.as_bytes()).unwrap();
    assert!(verify(&token, &set_of(&[zero]), &Algorithm::ALL).is_ok());
}

#[test]
fn ec_keys_that_are_refused() {
    let ec = || key(Algorithm::Es256).jwk();
    let x = base64url::decode(ec()["x"].as_str().unwrap().as_bytes()).unwrap();
    let mut off = x.clone();
    off[31] ^= 1;
    let length = |bytes| KeyError::CoordinateLength {
        member: "x",
        bytes,
        expected: 32,
    };
    let padded = [&[0], x.as_slice()].concat();
    let zero = base64url::encode(&[0; 32]);
    let curve = |crv: &str| KeyError::UnsupportedCurve {
        crv: crv.to_owned(),
    };
    let mismatch = |alg: &str| KeyError::AlgorithmMismatch {
        alg: alg.to_owned(),
        key: "a P-256",
    };
    let cases = [
        (
            json!({ "crv": null }),
            KeyError::MissingMember { member: "crv" },
            "no curve",
        ),
        (
            json!({ "y": null }),
            KeyError::MissingMember { member: "y" },
            "no y",
        ),
        (json!({ "crv": "P-224" }), curve("P-224"), "another curve"),
        (json!({ "crv": "p-256" }), curve("p-256"), "another case"),
        (
            json!({ "x": base64url::encode(&x[1..]) }),
            length(31),
            "x short of a byte",
        ),
        (
            json!({ "x": base64url::encode(&padded) }),
            length(33),
            "x with a zero in front",
        ),
        (
            json!({ "x": base64url::encode(&off) }),
            KeyError::NotOnCurve { crv: "P-256" },
            "off the curve",
        ),
        (
            json!({ "x": zero, "y": zero }),
            KeyError::NotOnCurve { crv: "P-256" },
            "(0, 0)",
        ),
        (
            json!({ "crv": "secp256k1" }),
            KeyError::NotOnCurve { crv: "secp256k1" },
            "on another curve",
        ),
        (
            json!({ "alg": "ES384" }),
            mismatch("ES384"),
            "the algorithm of another curve",
        ),
        (
            json!({ "alg": "ES256K" }),
            mismatch("ES256K"),
            "the algorithm of another curve",
        ),
        (
            json!({ "alg": "ECDH-ES" }),
            mismatch("ECDH-ES"),
            "encryption",
        ),
        (
            json!({ "alg": "HS256" }),
            mismatch("HS256"),
            "a symmetric algorithm",
        ),
        (json!({ "alg": "none" }), mismatch("none"), "none"),
        (
            json!({ "alg": 1 }),
            KeyError::WrongType {
                member: "alg",
                expected: "a string",
                found: "a number",
            },
            "alg: a number",
        ),
        (
            json!({ "kid": 1 }),
            KeyError::WrongType {
                member: "kid",
                expected: "a string",
                found: "a number",
            },
            "kid: a number",
        ),
        (
            json!({ "use": "enc" }),
            KeyError::NotForSignatures {
                key_use: "enc".to_owned(),
            },
            "use: enc",
        ),
        (
            json!({ "key_ops": ["sign"] }),
            KeyError::NotForVerification,
            "key_ops: sign",
        ),
        (
            json!({ "key_ops": [] }),
            KeyError::NotForVerification,
            "key_ops: none",
        ),
        (
            json!({ "key_ops": "verify" }),
            KeyError::WrongType {
                member: "key_ops",
                expected: "an array of strings",
                found: "a string",
            },
            "key_ops: a string",
        ),
        (
            json!({ "key_ops": ["verify", 1] }),
            KeyError::WrongType {
                member: "key_ops",
                expected: "an array of strings",
                found: "a number",
            },
            "key_ops: with a number",
        ),
    ];
    for (change, error, note) in cases {
        assert_eq!(error_of(&changed(ec(), change)), error, "{note}");
    }
}

#[test]
fn okp_keys_that_are_refused() {
    let okp = || key(Algorithm::EdDsa).jwk();
    let mut not_a_point = [0_u8; 32];
    not_a_point[0] = 2;
    let mut identity = [0_u8; 32];
    identity[0] = 1;
    let length = |bytes| KeyError::CoordinateLength {
        member: "x",
        bytes,
        expected: 32,
    };
    let cases = [
        (
            json!({ "x": null }),
            KeyError::MissingMember { member: "x" },
            "no x",
        ),
        (
            json!({ "x": base64url::encode(&[1; 31]) }),
            length(31),
            "31 bytes",
        ),
        (
            json!({ "x": base64url::encode(&[1; 33]) }),
            length(33),
            "33 bytes",
        ),
        (
            json!({ "x": base64url::encode(&not_a_point) }),
            KeyError::NotOnCurve { crv: "Ed25519" },
            "no point",
        ),
        (
            json!({ "x": base64url::encode(&identity) }),
            KeyError::SmallOrder,
            "the identity",
        ),
        (
            json!({ "x": base64url::encode(&[0; 32]) }),
            KeyError::SmallOrder,
            "a point of order 4",
        ),
        (
            json!({ "alg": "Ed25519" }),
            KeyError::AlgorithmMismatch {
                alg: "Ed25519".to_owned(),
                key: "an Ed25519",
            },
            "RFC 9864, which tokens with EdDSA do not have",
        ),
    ];
    for (change, error, note) in cases {
        assert_eq!(error_of(&changed(okp(), change)), error, "{note}");
    }
}

#[test]
fn secrets() {
    let oct = |bytes: usize, alg: Option<&str>| {
        let jwk = json!({ "kty": "oct", "k": base64url::encode(&vec![7; bytes]) });
        changed(jwk, json!({ "alg": alg }))
    };
    let short = |algorithm, bytes, required| KeyError::SecretTooShort {
        algorithm,
        bytes,
        required,
    };
    let refused = [
        (oct(0, None), short(Algorithm::Hs256, 0, 32)),
        (oct(31, None), short(Algorithm::Hs256, 31, 32)),
        (oct(31, Some("HS256")), short(Algorithm::Hs256, 31, 32)),
        (oct(47, Some("HS384")), short(Algorithm::Hs384, 47, 48)),
        (oct(63, Some("HS512")), short(Algorithm::Hs512, 63, 64)),
        (
            oct(32, Some("A256KW")),
            KeyError::AlgorithmMismatch {
                alg: "A256KW".to_owned(),
                key: "a symmetric",
            },
        ),
        (
            oct(32, Some("RS256")),
            KeyError::AlgorithmMismatch {
                alg: "RS256".to_owned(),
                key: "a symmetric",
            },
        ),
    ];
    for (jwk, error) in refused {
        assert_eq!(error_of(&jwk), error, "{jwk}");
    }
    let accepted: [(Value, &[Algorithm]); 4] = [
        (oct(32, None), &[Algorithm::Hs256]),
        (oct(48, None), &[Algorithm::Hs256, Algorithm::Hs384]),
        (
            oct(64, None),
            &[Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512],
        ),
        (oct(64, Some("HS384")), &[Algorithm::Hs384]),
    ];
    for (jwk, algorithms) in accepted {
        assert_eq!(
            set_of(std::slice::from_ref(&jwk)).keys()[0].algorithms(),
            algorithms,
            "{jwk}"
        );
    }
}

#[test]
fn secrets_as_bytes() {
    let set = JwkSet::from_secret(&[7; 32], &[Algorithm::Hs256]).unwrap();
    assert_eq!(set.keys()[0].algorithms(), [Algorithm::Hs256]);
    assert!(set.keys()[0].is_symmetric());
    let set = JwkSet::from_secret(&[7; 64], &[]).unwrap();
    assert_eq!(set.keys()[0].algorithms().len(), 3);
    assert_eq!(
        JwkSet::from_secret(&[7; 32], &[Algorithm::Hs256, Algorithm::Hs512]).unwrap_err(),
        KeyError::SecretTooShort {
            algorithm: Algorithm::Hs512,
            bytes: 32,
            required: 64
        }
    );
    assert!(matches!(
        JwkSet::from_secret(&[7; 64], &[Algorithm::Rs256]).unwrap_err(),
        KeyError::AlgorithmMismatch { .. }
    ));
    assert!(matches!(
        JwkSet::from_secret(b"", &[]).unwrap_err(),
        KeyError::SecretTooShort { bytes: 0, .. }
    ));
}

#[test]
fn a_public_key_is_no_secret() {
    let rsa = key(Algorithm::Rs256);
    let pem = crate::pem::block("PUBLIC KEY", &rsa.spki_der());
    let jwk = rsa.jwk().to_string();
    let texts: [(Vec<u8>, &str); 7] = [
        (pem.clone().into_bytes(), "PEM"),
        (
            format!("\u{feff}\n{pem}").into_bytes(),
            "PEM behind a byte order mark",
        ),
        (
            b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAA test".to_vec(),
            "OpenSSH",
        ),
        (rsa.spki_der(), "DER"),
        (key(Algorithm::EdDsa).spki_der(), "DER of Ed25519"),
        (jwk.clone().into_bytes(), "a JSON Web Key"),
        (format!("{{\"keys\":[{jwk}]}}\n").into_bytes(), "a key set"),
    ];
    for (secret, note) in texts {
        assert_eq!(
            JwkSet::from_secret(&secret, &[]).unwrap_err(),
            KeyError::SecretIsPublicKey,
            "{note}"
        );
        let jwk = json!({ "kty": "oct", "k": base64url::encode(&secret) });
        assert_eq!(error_of(&jwk), KeyError::SecretIsPublicKey, "{note}");
    }
}

#[test]
fn too_many_keys() {
    let jwk = key(Algorithm::EdDsa).jwk();
    let set = parse(&json!(vec![jwk; MAX_KEYS + 5]), KeyOrigin::Remote);
    assert_eq!(set.keys().len(), MAX_KEYS);
    assert_eq!(set.rejected().len(), 1);
    assert_eq!(set.rejected()[0].index, MAX_KEYS);
    assert_eq!(
        set.rejected()[0].error,
        KeyError::TooManyKeys { keys: MAX_KEYS + 5 }
    );
}

#[test]
fn purposes_that_fit() {
    for change in [
        json!({ "use": "sig" }),
        json!({ "key_ops": ["verify"] }),
        json!({ "key_ops": ["sign", "verify"], "use": "sig" }),
        json!({ "alg": "ES256", "x5t": "abc", "exp": 1, "unknown": null }),
    ] {
        set_of(&[changed(key(Algorithm::Es256).jwk(), change)]);
    }
}

#[test]
fn private_members_are_reported_and_dropped() {
    let private = "marker-of-a-private-key";
    for (algorithm, member) in [
        (Algorithm::Rs256, "d"),
        (Algorithm::Rs256, "p"),
        (Algorithm::Es256, "d"),
        (Algorithm::EdDsa, "d"),
    ] {
        let jwk = changed(key(algorithm).jwk(), json!({ member: private }));
        let set = parse(&json!([jwk]), KeyOrigin::Remote);
        assert!(
            set.keys()[0].private_key_material(),
            "{algorithm}, {member}"
        );
        assert!(!set.to_json().contains(private));
        assert!(!format!("{set:?}").contains(private));
    }
    assert!(!key_set(Algorithm::Rs256).keys()[0].private_key_material());
    assert!(!key_set(Algorithm::Hs256).keys()[0].private_key_material());
}

#[test]
fn debug_output_shows_no_secret() {
    let secret = b"0123456789abcdef0123456789abcdef";
    let set = JwkSet::from_secret(secret, &[Algorithm::Hs256]).unwrap();
    let shown = format!("{set:?} {set:#?}");
    assert!(shown.contains("Hs256"));
    for form in [
        "0123456789".to_owned(),
        base64url::encode(secret),
        format!("{secret:?}"),
        "48, 49, 50".to_owned(),
    ] {
        assert!(!shown.contains(&form), "{shown}");
    }
}

#[test]
fn what_is_written_reads_the_same() {
    let mut keys: Vec<Value> = Algorithm::ALL
        .into_iter()
        .map(|algorithm| {
            changed(
                key(algorithm).jwk(),
                json!({ "alg": algorithm.name(), "kid": algorithm.name() }),
            )
        })
        .collect();
    keys.push(changed(
        key(Algorithm::Rs256).jwk(),
        json!({ "kid": "quotes \" and \\ and \u{1}" }),
    ));
    keys.push(key(Algorithm::Es512).jwk());
    let set = set_of(&keys);
    let text = set.to_json();
    let again = JwkSet::parse(text.as_bytes(), KeyOrigin::Local).unwrap();
    assert_eq!(again.rejected(), []);
    assert_eq!(again.to_json(), text);
    assert_eq!(again.keys().len(), set.keys().len());
    for (left, right) in set.keys().iter().zip(again.keys()) {
        assert_eq!(left.kid(), right.kid());
        assert_eq!(left.algorithms(), right.algorithms());
    }
    for algorithm in Algorithm::ALL {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"{algorithm}"}}"#);
        let token = crate::signer::token(algorithm, &header, "{}");
        let token = UntrustedToken::parse(token.as_bytes()).unwrap();
        assert!(
            verify(&token, &again, &Algorithm::ALL).is_ok(),
            "{algorithm}"
        );
    }
}

#[test]
fn a_secret_for_some_algorithms_is_written_once_for_each() {
    let set = JwkSet::from_secret(&[7; 64], &[Algorithm::Hs512, Algorithm::Hs256]).unwrap();
    let again = JwkSet::parse(set.to_json().as_bytes(), KeyOrigin::Local).unwrap();
    let algorithms: Vec<_> = again.keys().iter().map(|key| key.algorithms()).collect();
    assert_eq!(algorithms, [&[Algorithm::Hs256][..], &[Algorithm::Hs512]]);
}

#[test]
fn evidence_is_cut_and_escaped() {
    let jwk = json!({ "kty": format!("a\n\u{7f}{}", "x".repeat(200)) });
    let shown = error_of(&jwk).to_string();
    assert!(shown.contains("a\\n\\u{7f}xxx"), "{shown}");
    assert!(shown.len() < 150 && shown.contains('…'), "{shown}");
}

#[test]
fn a_key_that_names_its_algorithm_verifies_no_other() {
    for (named, other) in [
        (Algorithm::Rs512, Algorithm::Rs256),
        (Algorithm::Rs256, Algorithm::Ps256),
        (Algorithm::Hs512, Algorithm::Hs256),
    ] {
        let signer = key(named);
        let set = set_of(&[changed(signer.jwk(), json!({ "alg": named.name() }))]);
        let jwk = &set.keys()[0];
        assert!(jwk.verify_signature(named, b"message", &signer.sign(named, b"message")));
        assert!(!jwk.verify_signature(other, b"message", &signer.sign(other, b"message")));
    }
}

#[test]
fn of_a_pinned_set_the_other_keys_are_put_aside_in_their_places() {
    let mut broken = key(Algorithm::Es256).jwk();
    broken["use"] = json!("enc");
    let mut named = key(Algorithm::EdDsa).jwk();
    named["kid"] = json!("ed");
    let keys = [
        key(Algorithm::Rs256).jwk(),
        broken,
        named,
        key(Algorithm::Es256).jwk(),
        key(Algorithm::Hs256).jwk(),
    ];
    let set = parse(&json!(keys), KeyOrigin::Local);
    let print = |index: usize| set.keys()[index].thumbprint();
    assert_eq!(set.clone().pinned(&[]).keys().len(), 4, "no pins, no bound");
    let pinned = set.clone().pinned(&[print(2), print(0)]);
    let kept: Vec<_> = pinned.keys().iter().map(|key| key.thumbprint()).collect();
    assert_eq!(kept, [print(0), print(2)]);
    let told: Vec<_> = pinned.rejected().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "key 1: `use` is `enc`, not `sig`".to_owned(),
            format!(
                "key 2: its thumbprint `{}` is not pinned",
                print(1).to_base64url()
            ),
            "key 4: a shared secret has no thumbprint that could be pinned".to_owned(),
        ]
    );
    assert_eq!(pinned.rejected()[1].kid.as_deref(), Some("ed"));
    // Even somebody who knows what the thumbprint of a secret would be cannot pin it.
    assert!(key_set(Algorithm::Hs256).pinned(&[print(3)]).is_empty());
}

#[test]
fn a_key_in_der_is_as_its_crate_writes_it() {
    for algorithm in Algorithm::ALL {
        let set = key_set(algorithm);
        let found = set.keys()[0].to_spki_der();
        match algorithm {
            // Nobody is asked about these.
            Algorithm::Es256k
            | Algorithm::EdDsa
            | Algorithm::Hs256
            | Algorithm::Hs384
            | Algorithm::Hs512 => assert_eq!(found, None, "{algorithm}"),
            _ => assert_eq!(
                found,
                Some(key(algorithm).spki_der().as_slice()),
                "{algorithm}"
            ),
        }
    }
}

#[test]
fn an_rsa_key_of_any_size_in_der_is_as_the_crate_rsa_writes_it() {
    use rsa::BigUint;
    use rsa::pkcs8::EncodePublicKey as _;
    for bits in [2048, 2049, 2055, 2056, 3072, 8191, 8192] {
        for exponent in [3_u64, 127, 129, 257, 65_537, (1 << 33) - 1] {
            let (modulus, exponent) = (
                (BigUint::from(1_u8) << (bits - 1)) + 1_u8,
                BigUint::from(exponent),
            );
            let set = set_of(&[json!({
                "kty": "RSA",
                "n": base64url::encode(&modulus.to_bytes_be()),
                "e": base64url::encode(&exponent.to_bytes_be()),
            })]);
            let oracle = rsa::RsaPublicKey::new_with_max_size(modulus, exponent, 8192).unwrap();
            let expected = oracle.to_public_key_der().unwrap();
            assert_eq!(
                set.keys()[0].to_spki_der(),
                Some(expected.as_bytes()),
                "{bits}"
            );
        }
    }
}
