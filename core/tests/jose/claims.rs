//! Claims of the wrong type are refused, and odd but right ones are read.

use nexus_core::jose::{Claims, StringClaim, TimeClaim, TokenError};
use nexus_core::json;

#[test]
fn numeric_dates() {
    let far = i64::MAX;
    let cases: [(&str, i64, &str); 17] = [
        ("0", 0, "the epoch"),
        ("-0", 0, "the epoch with a sign"),
        ("1700000000", 1_700_000_000, "seconds"),
        (
            "4102444800.5",
            4_102_444_800,
            "RFC 7519 §2: not only whole numbers",
        ),
        ("4.1024448e9", 4_102_444_800, "an exponent"),
        ("41024448E+2", 4_102_444_800, "an exponent with a sign"),
        ("0.9999", 0, "cut, not rounded"),
        ("1e-400", 0, "less than any float, but not negative"),
        (
            "17000000000e-1",
            1_700_000_000,
            "an exponent that moves digits away",
        ),
        (
            "9007199254740993",
            9_007_199_254_740_993,
            "beyond 2^53, exact",
        ),
        ("9223372036854775807", far, "the largest i64"),
        ("9223372036854775808", far, "one more"),
        ("18446744073709551615", far, "the largest u64"),
        ("1e308", far, "a large float"),
        ("1e400", far, "larger than any float"),
        ("1e99999999999999999999", far, "an exponent beyond u64"),
        ("0e99999999999999999999", 0, "nothing, however often"),
    ];
    for (number, expected, note) in cases {
        for claim in ["exp", "nbf", "iat"] {
            let text = format!(r#"{{"{claim}":{number}}}"#);
            let claims = Claims::parse(text.as_bytes()).unwrap();
            let date = match claim {
                "exp" => claims.exp(),
                "nbf" => claims.nbf(),
                _ => claims.iat(),
            };
            assert_eq!(date.map(|date| date.as_seconds()), Some(expected), "{note}");
        }
    }
    let digits = format!(r#"{{"exp":{}}}"#, "9".repeat(400));
    let claims = Claims::parse(digits.as_bytes()).unwrap();
    assert_eq!(claims.exp().map(|exp| exp.as_seconds()), Some(far));
}

#[test]
fn times_that_are_no_numbers_or_lie_before_the_epoch() {
    let claims = [
        ("exp", TimeClaim::Exp),
        ("nbf", TimeClaim::Nbf),
        ("iat", TimeClaim::Iat),
    ];
    for (name, claim) in claims {
        for (value, found) in [
            (r#""4102444800""#, "a string"),
            ("null", "null"),
            ("true", "a boolean"),
            ("[4102444800]", "an array"),
            (r#"{"$numberLong":4102444800}"#, "an object"),
        ] {
            let text = format!(r#"{{"{name}":{value}}}"#);
            assert_eq!(
                Claims::parse(text.as_bytes()).unwrap_err(),
                TokenError::TimeNotNumber { claim, found }
            );
        }
        for value in ["-1", "-0.5", "-1e-400", "-1e400", "-9223372036854775809"] {
            let text = format!(r#"{{"{name}":{value}}}"#);
            assert_eq!(
                Claims::parse(text.as_bytes()).unwrap_err(),
                TokenError::TimeNegative { claim },
                "{value}"
            );
        }
    }
}

#[test]
fn names_that_are_no_strings() {
    let claims = [
        ("iss", StringClaim::Iss),
        ("sub", StringClaim::Sub),
        ("jti", StringClaim::Jti),
    ];
    for (name, claim) in claims {
        for (value, found) in [
            (r#"["https://issuer.example.com"]"#, "an array"),
            ("1", "a number"),
            ("null", "null"),
            ("false", "a boolean"),
            ("{}", "an object"),
        ] {
            let text = format!(r#"{{"{name}":{value}}}"#);
            assert_eq!(
                Claims::parse(text.as_bytes()).unwrap_err(),
                TokenError::ClaimNotString { claim, found }
            );
        }
    }
}

#[test]
fn audiences() {
    let good: [(&str, &[&str]); 5] = [
        (r#"{}"#, &[]),
        (r#"{"aud":[]}"#, &[]),
        (r#"{"aud":"a"}"#, &["a"]),
        (r#"{"aud":["a","b"]}"#, &["a", "b"]),
        (r#"{"aud":""}"#, &[""]),
    ];
    for (text, expected) in good {
        let claims = Claims::parse(text.as_bytes()).unwrap();
        assert_eq!(claims.aud().collect::<Vec<_>>(), expected, "{text}");
    }
    for (value, found) in [
        ("1", "a number"),
        ("null", "null"),
        (r#"{"a":1}"#, "an object"),
        (r#"["a",1]"#, "a number"),
        (r#"["a",["b"]]"#, "an array"),
        (r#"["a",null]"#, "null"),
    ] {
        let text = format!(r#"{{"aud":{value}}}"#);
        assert_eq!(
            Claims::parse(text.as_bytes()).unwrap_err(),
            TokenError::AudNotStrings { found }
        );
    }
}

#[test]
fn payloads_that_are_no_claims() {
    for (payload, found) in [
        ("[]", "an array"),
        ("null", "null"),
        ("\"eyJhbGciOiJub25lIn0.e30.\"", "a string"),
        ("1", "a number"),
    ] {
        assert_eq!(
            Claims::parse(payload.as_bytes()).unwrap_err(),
            TokenError::PayloadNotObject { found }
        );
    }
    let cases: [(&[u8], json::ErrorKind, &str); 9] = [
        (b"", json::ErrorKind::UnexpectedEnd, "nothing"),
        (b"{} {}", json::ErrorKind::TrailingData, "two objects"),
        (b"{}\0", json::ErrorKind::TrailingData, "a NUL behind"),
        (
            b"\xef\xbb\xbf{}",
            json::ErrorKind::ByteOrderMark,
            "a byte order mark",
        ),
        (
            b"{\"sub\":\"\xff\"}",
            json::ErrorKind::NotUtf8,
            "bytes that are not UTF-8",
        ),
        (
            b"{\"exp\":NaN}",
            json::ErrorKind::UnexpectedByte,
            "no JSON number",
        ),
        (
            b"{\"exp\":1,\"exp\":2}",
            json::ErrorKind::DuplicateMember,
            "a claim twice",
        ),
        (
            b"{\"sub\":\"a\",\"s\\u0075b\":\"b\"}",
            json::ErrorKind::DuplicateMember,
            "a claim twice, once escaped",
        ),
        (
            b"eyJhbGciOiJub25lIn0.e30.",
            json::ErrorKind::UnexpectedByte,
            "a nested token",
        ),
    ];
    for (payload, kind, note) in cases {
        match Claims::parse(payload).unwrap_err() {
            TokenError::PayloadNotJson(error) => assert_eq!(error.kind, kind, "{note}"),
            other => panic!("{note}: {other:?}"),
        }
    }
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let text = format!(r#"{{"a":{}{}}}"#, "[".repeat(12_000), "]".repeat(12_000));
    let error = Claims::parse(text.as_bytes()).unwrap_err();
    assert!(
        matches!(error, TokenError::PayloadNotJson(error) if error.kind == json::ErrorKind::TooDeep)
    );
}

#[test]
fn escapes_are_resolved_before_a_claim_is_compared() {
    let text = br#"{"i\u0073s":"https:\/\/issuer.example.com\/"}"#;
    let claims = Claims::parse(text).unwrap();
    assert_eq!(claims.iss(), Some("https://issuer.example.com/"));
    assert_eq!(claims.json().as_object().unwrap().len(), 1);
}
