//! Attacks on the form of a token: its header, its encoding, its size. One row each, with what it is.

use nexus_core::jose::{
    Algorithm, JwkSet, MAX_TOKEN_BYTES, Segment, TokenError, UntrustedToken, base64url, verify,
};
use serde_json::json;

use crate::outcome::{CLAIMS, Outcome, with_key};
use crate::signer::{self, good_token};

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
