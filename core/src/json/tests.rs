use super::*;
use alloc::format;
use alloc::string::ToString;
use proptest::prelude::*;
use std::vec;

fn error(text: &str) -> (ErrorKind, usize) {
    let error = parse(text.as_bytes()).expect_err(text);
    (error.kind, error.offset)
}

fn number(text: &str) -> Number<'_> {
    parse(text.as_bytes()).expect(text).as_number().expect(text)
}

#[test]
fn values_keep_their_place() {
    let text = r#" {"a": [1, "b\u0063"], "d": null} "#;
    let value = parse(text.as_bytes()).unwrap();
    let array = value.member("a").unwrap();
    assert_eq!(&text[array.span.start..array.span.end], r#"[1, "b\u0063"]"#);
    let string = &array.as_array().unwrap()[1];
    assert_eq!(string.as_str(), Some("bc"));
    assert_eq!(&text[string.span.start..string.span.end], r#""b\u0063""#);
    let name = value.as_object().unwrap()[1].name_span;
    assert_eq!(&text[name.start..name.end], "\"d\"");
}

#[test]
fn what_is_not_strict_json_is_refused_at_its_place() {
    use ErrorKind::*;
    let cases = [
        ("", (UnexpectedEnd, 0), "nothing"),
        ("\u{feff}{}", (ByteOrderMark, 0), "byte order mark"),
        ("{} {}", (TrailingData, 3), "second document"),
        ("{}\0", (TrailingData, 2), "trailing NUL"),
        ("[1,]", (UnexpectedByte, 3), "trailing comma"),
        (
            "{\"a\":1,}",
            (UnexpectedByte, 7),
            "trailing comma in an object",
        ),
        ("{\"a\" 1}", (UnexpectedByte, 5), "no colon"),
        ("{a:1}", (UnexpectedByte, 1), "bare name"),
        ("[1", (UnexpectedEnd, 2), "open array"),
        ("nul", (UnexpectedEnd, 3), "cut literal"),
        ("NaN", (UnexpectedByte, 0), "NaN"),
        ("01", (InvalidNumber, 1), "leading zero"),
        ("-", (InvalidNumber, 1), "only a sign"),
        ("1.", (InvalidNumber, 2), "no digit behind the point"),
        ("1e+", (InvalidNumber, 3), "no digit in the exponent"),
        (".5", (UnexpectedByte, 0), "no digit before the point"),
        ("\"a\nb\"", (ControlCharacter, 2), "line feed in a string"),
        ("\"\\x\"", (InvalidEscape, 1), "unknown escape"),
        ("\"\\ud800\"", (InvalidEscape, 1), "unpaired high surrogate"),
        ("\"\\udc00\"", (InvalidEscape, 1), "unpaired low surrogate"),
        (
            "\"\\ud800\\u0041\"",
            (InvalidEscape, 1),
            "high surrogate and a letter",
        ),
        (
            "{\"sub\":1,\"s\\u0075b\":2}",
            (DuplicateMember, 9),
            "twin by escape",
        ),
        (
            "{\"a\":{\"b\":1,\"b\":1}}",
            (DuplicateMember, 12),
            "twin further in",
        ),
    ];
    for (text, expected, note) in cases {
        assert_eq!(error(text), expected, "{note}");
    }
    assert_eq!(
        parse(b"\"\xff\"").unwrap_err(),
        Error {
            kind: NotUtf8,
            offset: 1
        }
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(
        error(&nested(MAX_DEPTH + 1)),
        (ErrorKind::TooDeep, MAX_DEPTH)
    );
    assert_eq!(error(&"[{\"a\":".repeat(100_000)).0, ErrorKind::TooDeep);
}

#[test]
fn writing_gives_compact_json_with_exact_numbers() {
    let text = "{ \"a\" : [ 9007199254740993 , 1.50, true ], \"b\\n\": \"\\u007f\\\"é\" }";
    assert_eq!(
        parse(text.as_bytes()).unwrap().to_string(),
        "{\"a\":[9007199254740993,1.50,true],\"b\\n\":\"\\u007f\\\"é\"}"
    );
}

#[test]
fn floor_is_exact_and_saturates() {
    let cases = vec![
        ("0", 0),
        ("-0", 0),
        ("4102444800.5", 4_102_444_800),
        ("4.1024448e9", 4_102_444_800),
        ("41024448e2", 4_102_444_800),
        ("41024448000e-1", 4_102_444_800),
        ("1e-400", 0),
        ("-1e-400", -1),
        ("-1.5", -2),
        ("-1", -1),
        ("999999999999999999", 999_999_999_999_999_999),
        ("1000000000000000000", 1_000_000_000_000_000_000),
        ("9223372036854775807", i64::MAX),
        ("9223372036854775808", i64::MAX),
        ("-9223372036854775809", i64::MIN),
        ("1e308", i64::MAX),
        ("1e400", i64::MAX),
        ("-1e400", i64::MIN),
        ("1e99999999999999999999999", i64::MAX),
        ("0e99999999999999999999999", 0),
        ("1e-99999999999999999999999", 0),
    ];
    for (text, expected) in cases {
        assert_eq!(number(text).floor(), expected, "{text}");
    }
    assert_eq!(number(&"9".repeat(400)).floor(), i64::MAX);
}

#[test]
fn a_name_that_comes_again_is_refused_in_objects_of_every_size() {
    for size in 2..80 {
        for (first, again) in [
            (0, 1),
            (0, size - 1),
            (size / 2, size - 1),
            (size - 2, size - 1),
        ] {
            if first == again {
                continue;
            }
            let names = (0..size).map(|at| if at == again { first } else { at });
            let members: Vec<String> = names.map(|name| format!("\"m{name}\":0")).collect();
            let text = format!("{{{}}}", members.join(","));
            let before: usize = members[..again].iter().map(|member| member.len() + 1).sum();
            let expected = (ErrorKind::DuplicateMember, before + 1);
            assert_eq!(error(&text), expected, "{text}");
        }
    }
    // The first that comes again is told, and nothing before the object is at its end.
    assert_eq!(
        error("{\"b\":1,\"a\":1,\"a\":1,\"b\":1}"),
        (ErrorKind::DuplicateMember, 13)
    );
    assert_eq!(error("{\"a\":1,\"a\":1"), (ErrorKind::UnexpectedEnd, 12));
}

#[test]
fn a_string_ends_or_fails_at_every_place() {
    for length in 0..40 {
        let plain = "x".repeat(length);
        let value = |text: &str| parse(text.as_bytes()).map(|it| it.as_str().map(String::from));
        for behind in ["", "y", "é", "yyyyyyyyyyyyyyyyyyyyyyyy"] {
            assert_eq!(
                value(&format!("\"{plain}{behind}\"")),
                Ok(Some(format!("{plain}{behind}")))
            );
            assert_eq!(
                value(&format!("\"{plain}\\n{behind}\\\"\"")),
                Ok(Some(format!("{plain}\n{behind}\"")))
            );
            for control in '\0'..' ' {
                assert_eq!(
                    error(&format!("\"{plain}{control}{behind}\"")),
                    (ErrorKind::ControlCharacter, length + 1)
                );
            }
            let open = format!("\"{plain}{behind}");
            assert_eq!(error(&open), (ErrorKind::UnexpectedEnd, open.len()));
        }
    }
}

#[test]
fn strings_without_escapes_are_not_copied() {
    for text in [
        "\"\"",
        "\"plain\"",
        "\"as long as more than one block\"",
        "\"é\"",
    ] {
        let kind = parse(text.as_bytes()).unwrap().kind;
        assert!(matches!(kind, Kind::String(Cow::Borrowed(_))), "{text}");
    }
}

/// What another reader says of a value of this one.
fn of_serde(value: &Value<'_>) -> serde_json::Value {
    match &value.kind {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool(bool) => (*bool).into(),
        Kind::Number(number) => serde_json::from_str(number.as_str()).unwrap(),
        Kind::String(text) => text.as_ref().into(),
        Kind::Array(elements) => elements.iter().map(of_serde).collect(),
        Kind::Object(members) => members
            .iter()
            .map(|member| (member.name.to_string(), of_serde(&member.value)))
            .collect(),
    }
}

/// A document with numbers that any reader takes.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_string()),
        Just("true".to_string()),
        Just("false".to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?",
        "\"[ !#-\\[\\]-~]{0,40}\"",
        "\"([a-zé€😀]{0,18}|\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-f]{2}|\\\\ud83d\\\\ude0[0-9A-F]){0,4}\"",
    ];
    leaf.prop_recursive(4, 60, 20, |inner| {
        let member = ("\"[a-z]{0,3}\"", "[ \t\n\r]?", inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec(member, 0..20).prop_map(|all| {
                let all = all.into_iter();
                let all: Vec<_> = all
                    .map(|(name, space, value)| format!("{name}{space}:{space}{value}"))
                    .collect();
                format!("{{{}}}", all.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn other_readers_read_the_same(
        document in document(),
        edit in prop::option::of((
            any::<prop::sample::Index>(),
            prop::sample::select(&b"\"\\{}[],:0e+-. \x00\x1f\x80\xc3\xff"[..]),
        )),
    ) {
        let mut text = document.into_bytes();
        if let Some((at, byte)) = edit {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let other: Result<serde_json::Value, _> = serde_json::from_slice(&text);
        match (parse(&text), other) {
            (Ok(value), Ok(other)) => prop_assert_eq!(of_serde(&value), other),
            (Err(_), Err(_)) => {}
            // It takes the last one.
            (Err(error), Ok(_)) => prop_assert_eq!(error.kind, ErrorKind::DuplicateMember),
            // It has no room for the number.
            (Ok(_), Err(other)) => prop_assert!(other.to_string().starts_with("number out of range")),
        }
    }
}
