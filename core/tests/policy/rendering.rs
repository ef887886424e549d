//! How findings are shown, whatever the text is.

use nexus_core::json::Span;
use nexus_core::policy::{Code, Diagnostic, LineIndex, Position, Source, render};

fn at(start: usize, end: usize) -> Diagnostic {
    Diagnostic::error(Code::Syntax, Span { start, end }, "", "here".into())
}

fn shown(text: &[u8], start: usize, end: usize) -> String {
    render(&at(start, end), "policy.json", text)
}

#[test]
fn lines_and_columns_count_from_one_in_characters() {
    let text = "é\"a\"\r\n\n  x\n".as_bytes();
    let index = LineIndex::new(text);
    for (offset, line, column) in [
        (0, 1, 1),
        (2, 1, 2),
        (5, 1, 5),
        (7, 2, 1),
        (8, 3, 1),
        (10, 3, 3),
        (12, 4, 1),
        (99, 4, 1),
    ] {
        assert_eq!(
            index.position(text, offset),
            Position { line, column },
            "{offset}"
        );
    }
    assert_eq!(
        LineIndex::new(b"").position(b"", 0),
        Position { line: 1, column: 1 }
    );
    let broken = b"\xff\xfe\"x";
    assert_eq!(
        LineIndex::new(broken).position(broken, 3),
        Position { line: 1, column: 4 }
    );
}

#[test]
fn the_gutter_is_as_wide_as_the_largest_line_number() {
    let text = "\n".repeat(8) + "one\ntwo\n";
    let diagnostic = Diagnostic {
        hint: Some("do it".into()),
        ..at(8, 11)
    }
    .with_place(Span { start: 12, end: 15 }, "and there");
    assert_eq!(
        render(&diagnostic, "policy.json", text.as_bytes()),
        "error: here\n  --> policy.json:9:1\n   |\n 9 | one\n   | ^^^\n\
         note: and there\n  --> policy.json:10:1\n   |\n10 | two\n   | ^^^\nhint: do it\n"
    );
}

#[test]
fn a_place_of_many_lines_is_underlined_in_its_first() {
    assert_eq!(
        shown(b"a {\n  b\n}", 2, 9),
        "error: here\n --> policy.json:1:3\n  |\n1 | a {\n  |   ^\n"
    );
}

#[test]
fn the_end_of_the_text_can_be_shown() {
    assert_eq!(
        shown(b"[1", 2, 2),
        "error: here\n --> policy.json:1:3\n  |\n1 | [1\n  |   ^\n"
    );
    assert_eq!(
        shown(b"", 0, 1),
        "error: here\n --> policy.json:1:1\n  |\n1 |\n  | ^\n"
    );
    assert_eq!(
        shown(b"[1\n", 3, 3),
        "error: here\n --> policy.json:2:1\n  |\n2 |\n  | ^\n"
    );
}

#[test]
fn line_feeds_of_windows_are_not_shown() {
    assert_eq!(
        shown(b"[\r\n1x\r\n]", 4, 5),
        "error: here\n --> policy.json:2:2\n  |\n2 | 1x\n  |  ^\n"
    );
}

#[test]
fn controls_tabs_and_broken_bytes_are_made_harmless_and_the_underline_stays_in_place() {
    for (text, start, end, line, underline) in [
        (&b"\tx"[..], 1, 2, "    x", "    ^"),
        (b"\x1b[31mx", 5, 6, "\\u{1b}[31mx", "          ^"),
        (b"a\xffx", 2, 3, "a\u{fffd}x", "  ^"),
        (b"a\xffx", 1, 2, "a\u{fffd}x", " ^"),
        ("\u{202e}x".as_bytes(), 3, 4, "\\u{202e}x", "        ^"),
        ("éx".as_bytes(), 2, 3, "éx", " ^"),
        (b"a\rb", 2, 3, "a\\u{d}b", "      ^"),
        (b"a\0b", 1, 2, "a\\u{0}b", " ^^^^^"),
    ] {
        let shown = shown(text, start, end);
        let lines: Vec<&str> = shown.lines().skip(3).collect();
        assert_eq!(
            lines,
            [format!("1 | {line}"), format!("  | {underline}")],
            "{text:?}"
        );
    }
    let name = render(&at(0, 1), "\u{1b}[2Jpolicy.json", b"x");
    assert!(name.contains("--> \u{fffd}[2Jpolicy.json:1:1"), "{name}");
}

#[test]
fn a_line_without_end_is_cut_around_the_place() {
    let mut text = vec![b'a'; 4_000_000];
    text.extend_from_slice(b"HERE");
    text.extend(vec![b'b'; 4_000_000]);
    assert_eq!(
        shown(&text, 4_000_000, 4_000_004),
        format!(
            "error: here\n --> policy.json:1:4000001\n  |\n1 | …{}HERE{}…\n  | {}^^^^\n",
            "a".repeat(60),
            "b".repeat(56),
            " ".repeat(61)
        )
    );
    let report = Source::new("policy.json", &text).report(&at(0, 8_000_000));
    assert!(report.excerpts[0].underline.len() < 130, "{report}");
}

#[test]
fn secrets_are_redacted_around_the_place_and_in_it() {
    let text = br#"{"k": "geheim", "jwt_secret": "geheim", "d": "geheimgeheimgeheim", "x": 1}"#;
    let shown = shown(text, 67, 70);
    let line = r#"{"k": "[redacted]", "jwt_secret": "[redacted]", "d": "[redacted]", "x": 1}"#;
    let before = " ".repeat(67);
    assert_eq!(
        shown,
        format!("error: here\n --> policy.json:1:68\n  |\n1 | {line}\n  | {before}^^^\n")
    );
    for start in 0..text.len() {
        for end in start..text.len() {
            let shown = self::shown(text, start, end);
            assert!(!shown.contains("geheim"), "{shown}");
        }
    }
}
