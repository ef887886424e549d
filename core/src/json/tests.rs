use super::*;
use alloc::format;
use alloc::string::ToString;
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
