//! What attackers of JWT gateways have tried on tokens, one row each with what it is.

use nexus_core::jose::{
    Algorithm, JwkSet, KeyOrigin, MAX_CANDIDATES, MAX_TOKEN_BYTES, Segment, TokenError,
    UntrustedToken, VerifyError, base64url, verify,
};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

use crate::signer::{self, SigningKey, good_token, hmac, key, key_set, set_of, signing_input};

const CLAIMS: &str = r#"{"iss":"https://issuer.example.com","exp":4102444800}"#;

/// How far a token came.
#[derive(Debug, PartialEq)]
enum Outcome {
    Malformed(TokenError),
    Unverified(VerifyError),
    /// Verified, but the payload is no set of claims.
    NoClaims(TokenError),
    Verified,
}

fn outcome(token: &[u8], keys: &JwkSet, allowed: &[Algorithm]) -> Outcome {
    let token = match UntrustedToken::parse(token) {
        Ok(token) => token,
        Err(error) => return Outcome::Malformed(error),
    };
    match verify(&token, keys, allowed) {
        Err(error) => Outcome::Unverified(error),
        Ok(verified) => match verified.claims() {
            Err(error) => Outcome::NoClaims(error),
            Ok(_) => Outcome::Verified,
        },
    }
}

/// The outcome with the run's key of `algorithm`, all algorithms allowed.
fn with_key(algorithm: Algorithm, token: &str) -> Outcome {
    outcome(token.as_bytes(), &key_set(algorithm), &Algorithm::ALL)
}

fn invalid(tried: usize) -> Outcome {
    Outcome::Unverified(VerifyError::SignatureInvalid {
        tried,
        candidates: tried,
        keys_with_kid: 0,
    })
}

#[test]
fn a_good_token_of_every_algorithm_is_verified() {
    for algorithm in Algorithm::ALL {
        assert_eq!(
            with_key(algorithm, &good_token(algorithm)),
            Outcome::Verified,
            "{algorithm}"
        );
    }
}

#[test]
fn alg_none_is_refused_in_every_spelling() {
    let good = good_token(Algorithm::Es256);
    let signature = good.rsplit('.').next().unwrap();
    let payload = base64url::encode(CLAIMS.as_bytes());
    for alg in ["none", "None", "NONE", "nOnE"] {
        let header = base64url::encode(format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#).as_bytes());
        let refused = Outcome::Malformed(TokenError::AlgNotSupported {
            registered: Some("none"),
        });
        let kept = format!("{header}.{payload}.{signature}");
        assert_eq!(
            with_key(Algorithm::Es256, &kept),
            refused,
            "{alg}, signature kept"
        );
        let empty = format!("{header}.{payload}.");
        let no_signature = Outcome::Malformed(TokenError::EmptySegment {
            segment: Segment::Signature,
        });
        assert_eq!(
            with_key(Algorithm::Es256, &empty),
            no_signature,
            "{alg}, signature empty"
        );
        let cut = format!("{header}.{payload}");
        let two = Outcome::Malformed(TokenError::NotThreeSegments { found: 2 });
        assert_eq!(
            with_key(Algorithm::Es256, &cut),
            two,
            "{alg}, signature cut off"
        );
    }
}

#[test]
fn a_removed_signature_is_refused() {
    for algorithm in Algorithm::ALL {
        let good = good_token(algorithm);
        let (signed, _) = good.rsplit_once('.').unwrap();
        assert_eq!(
            with_key(algorithm, &format!("{signed}.")),
            Outcome::Malformed(TokenError::EmptySegment {
                segment: Segment::Signature
            }),
            "{algorithm}"
        );
    }
}

#[test]
fn headers_that_name_no_algorithm() {
    let not_supported = |registered| TokenError::AlgNotSupported { registered };
    let not_string = |found| TokenError::AlgNotString { found };
    let cases = [
        (r#"{}"#, TokenError::AlgMissing, "no alg"),
        (r#"{"ALG":"ES256"}"#, TokenError::AlgMissing, "another name"),
        (r#"{"alg":""}"#, not_supported(None), "empty"),
        (r#"{"alg":"es256"}"#, not_supported(None), "lower case"),
        (r#"{"alg":"ES256 "}"#, not_supported(None), "a space behind"),
        (
            r#"{"alg":"ES256\u0000"}"#,
            not_supported(None),
            "a NUL behind",
        ),
        (
            r#"{"alg":"ES２５６"}"#,
            not_supported(None),
            "full-width digits",
        ),
        (
            r#"{"alg":"Ed25519"}"#,
            not_supported(Some("Ed25519")),
            "RFC 9864, not EdDSA",
        ),
        (
            r#"{"alg":"RSA-OAEP"}"#,
            not_supported(Some("RSA-OAEP")),
            "encryption",
        ),
        (
            r#"{"alg":"dir","enc":"A128GCM"}"#,
            not_supported(Some("dir")),
            "encryption",
        ),
        (r#"{"alg":256}"#, not_string("a number"), "a number"),
        (r#"{"alg":null}"#, not_string("null"), "null"),
        (r#"{"alg":["ES256"]}"#, not_string("an array"), "an array"),
        (
            r#"{"alg":{"name":"ES256"}}"#,
            not_string("an object"),
            "an object",
        ),
    ];
    for (header, error, note) in cases {
        let token = signer::token(Algorithm::Es256, header, CLAIMS);
        assert_eq!(
            with_key(Algorithm::Es256, &token),
            Outcome::Malformed(error),
            "{note}"
        );
    }
}

#[test]
fn headers_that_are_not_as_they_must_be() {
    let kid = |found| TokenError::KidNotString { found };
    let member = |member, found| TokenError::HeaderMemberNotString { member, found };
    let object = |found| TokenError::HeaderNotObject { found };
    let cases = [
        (
            r#"{"alg":"ES256","kid":1}"#,
            kid("a number"),
            "kid: a number",
        ),
        (
            r#"{"alg":"ES256","kid":["a"]}"#,
            kid("an array"),
            "kid: an array",
        ),
        (
            r#"{"alg":"ES256","kid":{}}"#,
            kid("an object"),
            "kid: an object",
        ),
        (r#"{"alg":"ES256","kid":null}"#, kid("null"), "kid: null"),
        (
            r#"{"alg":"ES256","typ":1}"#,
            member("typ", "a number"),
            "typ: a number",
        ),
        (
            r#"{"alg":"ES256","cty":null}"#,
            member("cty", "null"),
            "cty: null",
        ),
        (r#"["alg","ES256"]"#, object("an array"), "an array"),
        (r#""ES256""#, object("a string"), "a string"),
        (r#"null"#, object("null"), "null"),
        (
            r#"{"alg":"ES256","crit":["exp"]}"#,
            TokenError::CritNotSupported,
            "crit: a registered name",
        ),
        (
            r#"{"alg":"ES256","crit":["x"],"x":1}"#,
            TokenError::CritNotSupported,
            "crit: unknown",
        ),
        (
            r#"{"alg":"ES256","crit":["x"]}"#,
            TokenError::CritNotSupported,
            "crit: absent member",
        ),
        (
            r#"{"alg":"ES256","crit":[]}"#,
            TokenError::CritNotSupported,
            "crit: empty",
        ),
        (
            r#"{"alg":"ES256","crit":"x"}"#,
            TokenError::CritNotSupported,
            "crit: not an array",
        ),
        (
            r#"{"alg":"ES256","crit":null}"#,
            TokenError::CritNotSupported,
            "crit: null",
        ),
        (
            r#"{"alg":"ES256","b64":true,"crit":["b64"]}"#,
            TokenError::CritNotSupported,
            "crit: b64, harmless",
        ),
        (
            r#"{"alg":"ES256","b64":false}"#,
            TokenError::UnencodedPayload,
            "b64 without crit",
        ),
        (
            r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#,
            TokenError::UnencodedPayload,
            "b64 with crit",
        ),
        (
            r#"{"alg":"ES256","b64":"true"}"#,
            TokenError::UnencodedPayload,
            "b64: a string",
        ),
    ];
    for (header, error, note) in cases {
        let token = signer::token(Algorithm::Es256, header, CLAIMS);
        assert_eq!(
            with_key(Algorithm::Es256, &token),
            Outcome::Malformed(error),
            "{note}"
        );
    }
}

#[test]
fn headers_that_are_not_strict_json() {
    let nested = format!(r#"{{"alg":"ES256","x":{}}}"#, "[".repeat(20_000));
    let cases = [
        (r#"{"alg":"ES256","alg":"none"}"#, "alg twice"),
        (
            r#"{"alg":"ES256","\u0061lg":"ES256"}"#,
            "alg twice, once escaped",
        ),
        (r#"{"alg":"ES256","kid":"a","kid":"b"}"#, "kid twice"),
        (r#"{"alg":"ES256"} {}"#, "something behind"),
        (r#"{"alg":"ES256",}"#, "a comma too many"),
        (r#"{'alg':'ES256'}"#, "other quotes"),
        ("\u{feff}{\"alg\":\"ES256\"}", "a byte order mark"),
        (nested.as_str(), "20,000 brackets"),
    ];
    for (header, note) in cases {
        let token = signer::token(Algorithm::Es256, header, CLAIMS);
        let found = with_key(Algorithm::Es256, &token);
        let refused = matches!(found, Outcome::Malformed(TokenError::HeaderNotJson(_)));
        assert!(refused, "{note}: {found:?}");
    }
}

#[test]
fn odd_but_right_headers_are_read() {
    for header in [
        "{\r\n \"alg\" : \"ES256\",\r\n \"typ\":\"JWT\"}",
        r#"{"alg":"ES\u003256"}"#,
        r#"{"typ":"at+jwt","alg":"ES256","x":[{"y":null}]}"#,
        r#"{"alg":"ES256","b64":true}"#,
    ] {
        let token = signer::token(Algorithm::Es256, header, CLAIMS);
        assert_eq!(
            with_key(Algorithm::Es256, &token),
            Outcome::Verified,
            "{header}"
        );
    }
}

#[test]
fn a_public_key_is_not_taken_for_a_secret() {
    let rsa = key(Algorithm::Rs256);
    let SigningKey::Rsa(private) = rsa else {
        panic!("an RSA key")
    };
    let der = rsa.spki_der();
    let pem = crate::pem::block("PUBLIC KEY", &der);
    let jwk = rsa.jwk().to_string();
    let secrets: [(Vec<u8>, &str); 9] = [
        (pem.clone().into_bytes(), "PEM"),
        (pem.trim_end().into(), "PEM without the last line break"),
        (
            pem.replace('\n', "\r\n").into_bytes(),
            "PEM with other line breaks",
        ),
        (
            format!("\u{feff}{pem}").into_bytes(),
            "PEM behind a byte order mark",
        ),
        (der, "DER"),
        (private.n().to_bytes_be(), "the modulus"),
        (jwk.clone().into_bytes(), "the JSON Web Key"),
        (format!(r#"{{"keys":[{jwk}]}}"#).into_bytes(), "the key set"),
        (Vec::new(), "nothing"),
    ];
    for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
        let input = signing_input(
            format!(r#"{{"alg":"{algorithm}"}}"#).as_bytes(),
            CLAIMS.as_bytes(),
        );
        for (secret, note) in &secrets {
            let mac = hmac(algorithm, secret, input.as_bytes());
            let token = format!("{input}.{}", base64url::encode(&mac));
            let expected = Outcome::Unverified(VerifyError::NoKeyMatches {
                alg: algorithm,
                has_kid: false,
                keys_with_kid: 0,
                keys_with_alg: 0,
            });
            assert_eq!(with_key(Algorithm::Rs256, &token), expected, "{note}");
        }
    }
}

#[test]
fn keys_inside_a_token_are_not_used() {
    let own = signer::token;
    let foreign = p256::ecdsa::SigningKey::random(&mut rsa::rand_core::OsRng);
    let foreign = SigningKey::P256(foreign);
    let jwk = foreign.jwk();
    for member in [
        json!({ "jwk": jwk }),
        json!({ "jku": "https://attacker.example.com/jwks" }),
        json!({ "x5u": "https://attacker.example.com/certificate" }),
        json!({ "x5c": ["MIIB"] }),
    ] {
        let mut header = json!({ "alg": "ES256" });
        header
            .as_object_mut()
            .unwrap()
            .extend(member.as_object().unwrap().clone());
        let header = header.to_string();
        let input = signing_input(header.as_bytes(), CLAIMS.as_bytes());
        let signature = foreign.sign(Algorithm::Es256, input.as_bytes());
        let token = format!("{input}.{}", base64url::encode(&signature));
        assert_eq!(with_key(Algorithm::Es256, &token), invalid(1), "{header}");
        // With the right key the member is simply ignored.
        let token = own(Algorithm::Es256, &header, CLAIMS);
        assert_eq!(
            with_key(Algorithm::Es256, &token),
            Outcome::Verified,
            "{header}"
        );
    }
}

#[test]
fn a_kid_is_a_name_and_nothing_else() {
    let mut jwk = key(Algorithm::Es256).jwk();
    jwk["kid"] = json!("key-1");
    let set = set_of(&[jwk]);
    let long = "k".repeat(4096);
    for kid in [
        "../../dev/null",
        "' OR 1=1 --",
        "https://attacker.example.com",
        "key-1\u{0}",
        "KEY-1",
        "",
        &long,
    ] {
        let header = json!({ "alg": "ES256", "kid": kid }).to_string();
        let token = signer::token(Algorithm::Es256, &header, CLAIMS);
        let expected = Outcome::Unverified(VerifyError::NoKeyMatches {
            alg: Algorithm::Es256,
            has_kid: true,
            keys_with_kid: 0,
            keys_with_alg: 1,
        });
        assert_eq!(
            outcome(token.as_bytes(), &set, &Algorithm::ALL),
            expected,
            "{kid}"
        );
    }
}

#[test]
fn the_algorithm_has_to_be_allowed_by_provider_and_key() {
    let token = good_token(Algorithm::Rs512);
    let set = key_set(Algorithm::Rs256);
    assert_eq!(
        outcome(token.as_bytes(), &set, &[Algorithm::Rs256]),
        Outcome::Unverified(VerifyError::AlgorithmNotAllowed {
            alg: Algorithm::Rs512
        }),
        "valid, but not on the list"
    );
    assert_eq!(
        outcome(token.as_bytes(), &set, &[]),
        Outcome::Unverified(VerifyError::AlgorithmNotAllowed {
            alg: Algorithm::Rs512
        }),
        "an empty list allows nothing"
    );

    let mut jwk = key(Algorithm::Rs256).jwk();
    jwk["alg"] = json!("PS256");
    jwk["kid"] = json!("one");
    let set = set_of(&[jwk]);
    let header = r#"{"alg":"RS256","kid":"one"}"#;
    assert_eq!(
        outcome(
            signer::token(Algorithm::Rs256, header, CLAIMS).as_bytes(),
            &set,
            &Algorithm::ALL
        ),
        Outcome::Unverified(VerifyError::NoKeyMatches {
            alg: Algorithm::Rs256,
            has_kid: true,
            keys_with_kid: 1,
            keys_with_alg: 0,
        }),
        "the key is for PS256"
    );
}

#[test]
fn a_key_of_another_curve_does_not_match() {
    for (claimed, signed) in [
        (Algorithm::Es384, Algorithm::Es256),
        (Algorithm::Es256, Algorithm::Es256k),
        (Algorithm::Es256k, Algorithm::Es256),
        (Algorithm::Es512, Algorithm::Es384),
    ] {
        let token = signer::token(signed, &format!(r#"{{"alg":"{claimed}"}}"#), CLAIMS);
        assert_eq!(
            with_key(signed, &token),
            Outcome::Unverified(VerifyError::NoKeyMatches {
                alg: claimed,
                has_kid: false,
                keys_with_kid: 0,
                keys_with_alg: 0,
            }),
            "{claimed} with a key for {signed}"
        );
    }
}

fn with_signature(algorithm: Algorithm, signature: &[u8]) -> Outcome {
    let good = good_token(algorithm);
    let (input, _) = good.rsplit_once('.').unwrap();
    with_key(
        algorithm,
        &format!("{input}.{}", base64url::encode(signature)),
    )
}

/// The order of the curve's group.
fn order(algorithm: Algorithm) -> Vec<u8> {
    let hex = match algorithm {
        Algorithm::Es256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        Algorithm::Es384 => {
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
        }
        Algorithm::Es512 => {
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409"
        }
        _ => "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
    };
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

const ECDSA: [Algorithm; 4] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Es256k,
];

#[test]
fn psychic_signatures_are_refused() {
    for algorithm in ECDSA {
        let order = order(algorithm);
        let zero = vec![0; order.len()];
        let mut one = zero.clone();
        *one.last_mut().unwrap() = 1;
        for (r, s, note) in [
            (&zero, &zero, "0, 0"),
            (&zero, &one, "0, 1"),
            (&one, &zero, "1, 0"),
            (&order, &order, "n, n"),
            (&order, &one, "n, 1"),
            (&one, &order, "1, n"),
            (&zero, &order, "0, n"),
        ] {
            let signature = [r.as_slice(), s.as_slice()].concat();
            assert_eq!(
                with_signature(algorithm, &signature),
                invalid(1),
                "{algorithm}: {note}"
            );
        }
    }
}

#[test]
fn high_s_is_valid() {
    for algorithm in ECDSA {
        let order = order(algorithm);
        let good = good_token(algorithm);
        let (input, signature) = good.rsplit_once('.').unwrap();
        let signature = base64url::decode(signature.as_bytes()).unwrap();
        let (r, s) = signature.split_at(order.len());
        let negated = subtract(&order, s);
        let token = format!("{input}.{}", base64url::encode(&[r, &negated].concat()));
        assert_eq!(
            with_key(algorithm, &token),
            Outcome::Verified,
            "{algorithm}"
        );
    }
}

/// `left - right`, big-endian, both of the same length.
fn subtract(left: &[u8], right: &[u8]) -> Vec<u8> {
    let difference = rsa::BigUint::from_bytes_be(left) - rsa::BigUint::from_bytes_be(right);
    let bytes = difference.to_bytes_be();
    let mut padded = vec![0; left.len() - bytes.len()];
    padded.extend(bytes);
    padded
}

#[test]
fn ecdsa_signatures_in_another_form_are_refused() {
    let good = good_token(Algorithm::Es256);
    let (_, signature) = good.rsplit_once('.').unwrap();
    let bytes = base64url::decode(signature.as_bytes()).unwrap();
    let der = p256::ecdsa::Signature::from_slice(&bytes).unwrap().to_der();
    let longer = [bytes.as_slice(), &[0]].concat();
    let padded = [&[0], bytes.as_slice()].concat();
    let cases: [(&[u8], &str); 5] = [
        (der.as_bytes(), "DER"),
        (&bytes[..63], "a byte short"),
        (&longer, "a byte behind"),
        (&padded, "a byte in front"),
        (&[1; 16_000], "21,000 characters"),
    ];
    for (signature, note) in cases {
        assert_eq!(
            with_signature(Algorithm::Es256, signature),
            invalid(1),
            "{note}"
        );
    }
    assert_eq!(
        with_key(Algorithm::Es256, &good),
        Outcome::Verified,
        "still alive"
    );
}

#[test]
fn signatures_of_every_wrong_length_are_refused() {
    for algorithm in Algorithm::ALL {
        let good = good_token(algorithm);
        let (_, signature) = good.rsplit_once('.').unwrap();
        let right = base64url::decode(signature.as_bytes()).unwrap().len();
        for length in (1..=140).chain([255, 256, 257, 511, 512, 1024]) {
            let found = with_signature(algorithm, &vec![1; length]);
            let expected = if algorithm == Algorithm::EdDsa && length != right {
                Outcome::Malformed(TokenError::Ed25519SignatureLength { bytes: length })
            } else {
                invalid(1)
            };
            assert_eq!(found, expected, "{algorithm}, {length} bytes");
        }
    }
}

#[test]
fn rsa_signatures_that_were_not_reduced_are_refused() {
    let SigningKey::Rsa(private) = key(Algorithm::Rs256) else {
        panic!("an RSA key")
    };
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        // s + n has the same residue; it fits the length when s is small enough, so look for such a token.
        let header = format!(r#"{{"alg":"{algorithm}"}}"#);
        let twin = (0..5_000).find_map(|jti| {
            let good = signer::token(algorithm, &header, &format!(r#"{{"jti":"{jti}"}}"#));
            let (input, signature) = good.rsplit_once('.').unwrap();
            let signature = base64url::decode(signature.as_bytes()).unwrap();
            let twin = (rsa::BigUint::from_bytes_be(&signature) + private.n()).to_bytes_be();
            (twin.len() == private.size()).then(|| format!("{input}.{}", base64url::encode(&twin)))
        });
        let twin = twin.expect("a signature below 2^2048 - n");
        assert_eq!(with_key(algorithm, &twin), invalid(1), "{algorithm}");
    }
}

#[test]
fn ed25519_signatures_have_one_spelling() {
    let good = good_token(Algorithm::EdDsa);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let bytes = base64url::decode(signature.as_bytes()).unwrap();
    // L, little-endian (RFC 8032 §5.1).
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut twin = bytes.clone();
    let mut carry = 0_u16;
    for (byte, add) in twin[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + add + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let token = format!("{input}.{}", base64url::encode(&twin));
    assert_eq!(with_key(Algorithm::EdDsa, &token), invalid(1), "S + L");
    for length in [0, 63, 65] {
        let mut wrong = bytes.clone();
        wrong.resize(length, 0);
        let token = format!("{input}.{}", base64url::encode(&wrong));
        let found = with_key(Algorithm::EdDsa, &token);
        assert!(
            matches!(found, Outcome::Malformed(_)),
            "{length} bytes: {found:?}"
        );
    }
}

#[test]
fn base64url_has_one_spelling() {
    let good = good_token(Algorithm::Hs256);
    let parts: Vec<&str> = good.split('.').collect();
    let segments = [Segment::Header, Segment::Payload, Segment::Signature];
    for (index, segment) in segments.into_iter().enumerate() {
        let part = parts[index];
        let spoilt = [
            (format!("{part}="), "padding"),
            (format!("{part}=="), "padding"),
            (format!("{part} "), "a space behind"),
            (format!(" {part}"), "a space in front"),
            (format!("{part}\n"), "a line break"),
            (
                format!("{}?{}", &part[..4], &part[4..]),
                "a stray character",
            ),
            (format!("+{}", &part[1..]), "the other alphabet"),
            (format!("/{}", &part[1..]), "the other alphabet"),
            (format!("{}ä", &part[1..]), "not ASCII"),
            ("A".to_owned(), "one character"),
            ("AAAAA".to_owned(), "five characters"),
        ];
        for (text, note) in spoilt {
            let mut parts = parts.clone();
            parts[index] = &text;
            assert_eq!(
                with_key(Algorithm::Hs256, &parts.join(".")),
                Outcome::Malformed(TokenError::SegmentNotBase64url { segment }),
                "{segment}: {note}"
            );
        }
    }
    // The last character of a 32-byte MAC has two spare bits.
    let (rest, last) = good.split_at(good.len() - 1);
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = ALPHABET.find(last).unwrap();
    for spare in 1..4 {
        let twin = format!("{rest}{}", &ALPHABET[at + spare..=at + spare]);
        assert_eq!(
            with_key(Algorithm::Hs256, &twin),
            Outcome::Malformed(TokenError::SegmentNotBase64url {
                segment: Segment::Signature
            }),
            "spare bits {spare}"
        );
    }
}

#[test]
fn anything_but_three_segments_is_refused() {
    let good = good_token(Algorithm::Es256);
    let parts: Vec<&str> = good.split('.').collect();
    let (h, p, s) = (parts[0], parts[1], parts[2]);
    let found = |found| TokenError::NotThreeSegments { found };
    let empty = |segment| TokenError::EmptySegment { segment };
    let cases = [
        (String::new(), found(1), "nothing"),
        ("garbage".to_owned(), found(1), "one segment"),
        (format!("{h}.{p}"), found(2), "two"),
        (format!(".{h}.{p}.{s}"), found(4), "a dot in front"),
        (format!("{h}.{p}.{s}."), found(4), "a dot behind"),
        (format!("{h}..{p}.{s}"), found(4), "a dot twice"),
        (format!("{h}.{p}.{s}.{s}"), found(4), "four"),
        (format!("{h}.{p}.{s}.{s}.{s}"), found(5), "five, as JWE has"),
        (format!("..{s}"), empty(Segment::Header), "no header"),
        (format!("{h}..{s}"), empty(Segment::Payload), "no payload"),
        ("..".to_owned(), empty(Segment::Header), "two dots"),
        (".".repeat(8_000), found(8_001), "8,000 dots"),
        (
            ".".repeat(MAX_TOKEN_BYTES),
            found(MAX_TOKEN_BYTES + 1),
            "dots up to the limit",
        ),
        (
            json!({ "payload": p, "signatures": [] }).to_string(),
            found(1),
            "the JSON form",
        ),
    ];
    for (token, error, note) in cases {
        assert_eq!(
            with_key(Algorithm::Es256, &token),
            Outcome::Malformed(error),
            "{note}"
        );
    }
}

#[test]
fn huge_tokens() {
    let padding = "x".repeat(33_000);
    let token = signer::token(
        Algorithm::Es256,
        r#"{"alg":"ES256"}"#,
        &json!({ "padding": padding }).to_string(),
    );
    assert!(token.len() > 44_000);
    assert_eq!(
        with_key(Algorithm::Es256, &token),
        Outcome::Verified,
        "44 kB are fine"
    );
    for bytes in [MAX_TOKEN_BYTES + 1, 1_000_000] {
        let token = "a".repeat(bytes);
        let expected = Outcome::Malformed(TokenError::TooLarge { bytes });
        assert_eq!(with_key(Algorithm::Es256, &token), expected);
    }
}

#[test]
fn a_payload_that_is_signed_but_no_claims() {
    for payload in [
        "",
        "[]",
        "null",
        "{} {}",
        "{\"exp\":NaN}",
        "{\"exp\":\"4102444800\"}",
        "{\"sub\":\"a\",\"sub\":\"b\"}",
    ] {
        if payload.is_empty() {
            continue;
        }
        let token = signer::token(Algorithm::Es256, r#"{"alg":"ES256"}"#, payload);
        let found = with_key(Algorithm::Es256, &token);
        assert!(
            matches!(found, Outcome::NoClaims(_)),
            "{payload}: {found:?}"
        );
    }
}

#[test]
fn a_secret_in_a_remote_set_is_not_used() {
    let jwk = key(Algorithm::Hs256).jwk();
    let text = json!({ "keys": [jwk] }).to_string();
    let set = JwkSet::parse(text.as_bytes(), KeyOrigin::Remote).unwrap();
    assert!(set.is_empty());
    let token = good_token(Algorithm::Hs256);
    let found = outcome(token.as_bytes(), &set, &Algorithm::ALL);
    assert!(matches!(
        found,
        Outcome::Unverified(VerifyError::NoKeyMatches { .. })
    ));
}

#[test]
fn the_same_kid_at_another_issuer_does_not_help() {
    let other = SigningKey::P256(p256::ecdsa::SigningKey::random(&mut rsa::rand_core::OsRng));
    let mut jwk = other.jwk();
    jwk["kid"] = json!("one");
    let set = set_of(&[jwk]);
    let token = signer::token(Algorithm::Es256, r#"{"alg":"ES256","kid":"one"}"#, CLAIMS);
    assert_eq!(
        outcome(token.as_bytes(), &set, &Algorithm::ALL),
        Outcome::Unverified(VerifyError::SignatureInvalid {
            tried: 1,
            candidates: 1,
            keys_with_kid: 1,
        })
    );
}

#[test]
fn a_set_of_many_keys_costs_a_bounded_number_of_checks() {
    let strangers: Vec<Value> = (0..100)
        .map(|_| {
            SigningKey::P256(p256::ecdsa::SigningKey::random(&mut rsa::rand_core::OsRng)).jwk()
        })
        .collect();
    let token = good_token(Algorithm::Es256);
    assert_eq!(
        outcome(token.as_bytes(), &set_of(&strangers), &Algorithm::ALL),
        Outcome::Unverified(VerifyError::SignatureInvalid {
            tried: MAX_CANDIDATES,
            candidates: 100,
            keys_with_kid: 0,
        })
    );

    // The key with the very name is tried before those without one, wherever it stands.
    let mut named = key(Algorithm::Es256).jwk();
    named["kid"] = json!("mine");
    let mut keys = strangers;
    keys.push(named);
    let token = signer::token(Algorithm::Es256, r#"{"alg":"ES256","kid":"mine"}"#, CLAIMS);
    let token = UntrustedToken::parse(token.as_bytes()).unwrap();
    let set = set_of(&keys);
    let verified = verify(&token, &set, &Algorithm::ALL).unwrap();
    assert_eq!(verified.key_index(), 100);
    assert_eq!(verified.key().kid(), Some("mine"));
}

#[test]
fn keys_without_a_name_match_every_token_and_named_keys_a_token_without() {
    let plain = key(Algorithm::Es256).jwk();
    let mut named = plain.clone();
    named["kid"] = json!("a");
    let with_kid = signer::token(Algorithm::Es256, r#"{"alg":"ES256","kid":"b"}"#, CLAIMS);
    let without = good_token(Algorithm::Es256);
    let found = |token: &str, jwk: &Value| {
        outcome(
            token.as_bytes(),
            &set_of(std::slice::from_ref(jwk)),
            &Algorithm::ALL,
        )
    };
    assert_eq!(
        found(&with_kid, &plain),
        Outcome::Verified,
        "the key has no name"
    );
    assert_eq!(
        found(&without, &named),
        Outcome::Verified,
        "the token names none"
    );
    assert!(
        matches!(found(&with_kid, &named), Outcome::Unverified(_)),
        "the names differ"
    );
}

#[test]
fn keys_that_share_a_name_are_all_tried() {
    let stranger = SigningKey::P256(p256::ecdsa::SigningKey::random(&mut rsa::rand_core::OsRng));
    let mut keys = [
        key(Algorithm::Rs256).jwk(),
        stranger.jwk(),
        key(Algorithm::Es256).jwk(),
    ];
    for jwk in &mut keys {
        jwk["kid"] = json!("same");
    }
    let set = set_of(&keys);
    for (algorithm, index) in [(Algorithm::Rs256, 0), (Algorithm::Es256, 2)] {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"same"}}"#);
        let token = signer::token(algorithm, &header, CLAIMS);
        let token = UntrustedToken::parse(token.as_bytes()).unwrap();
        assert_eq!(
            verify(&token, &set, &Algorithm::ALL).unwrap().key_index(),
            index
        );
    }
}

#[test]
fn errors_and_debug_output_repeat_nothing_of_a_token() {
    let secret_words = ["marker-kid", "marker-typ", "marker-sub", "marker-alg"];
    let headers = [
        r#"{"alg":"marker-alg","kid":"marker-kid"}"#,
        r#"{"alg":"ES256","kid":["marker-kid"]}"#,
        r#"{"alg":"ES256","kid":"marker-kid","typ":"marker-typ"}"#,
        r#"{"alg":"ES256","crit":["marker-kid"]}"#,
        r#"{"alg":"ES256","marker-kid":}"#,
    ];
    let payloads = [
        r#"{"sub":"marker-sub"}"#,
        r#"{"aud":{"marker-sub":1}}"#,
        r#"{"marker-sub"}"#,
    ];
    let mut shown = String::new();
    for header in headers {
        for payload in payloads {
            let token = signer::token(Algorithm::Es256, header, payload);
            match UntrustedToken::parse(token.as_bytes()) {
                Err(error) => shown += &format!("{error} {error:?}"),
                Ok(parsed) => {
                    shown += &format!("{parsed:?} {:?}", parsed.header());
                    if let Err(error) = parsed.claims() {
                        shown += &format!("{error} {error:?}");
                    }
                    let set = JwkSet::default();
                    let error = verify(&parsed, &set, &Algorithm::ALL).unwrap_err();
                    shown += &format!("{error} {error:?}");
                }
            }
        }
    }
    assert!(shown.len() > 500);
    for word in secret_words {
        assert!(!shown.contains(word), "{word} in {shown}");
    }
}
