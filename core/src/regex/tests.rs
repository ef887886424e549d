use super::*;
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern, false)
        .expect(pattern)
        .matches(text.as_bytes())
}

#[test]
fn the_whole_text_has_to_match() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("abc", &["abc"], &["", "ab", "abcd", "xabc", "ABC"]),
        ("a|bc|", &["a", "bc", ""], &["ab", "b", "c"]),
        ("a|b*c", &["a", "c", "bbc"], &["ab", "bb"]),
        ("(a|b)*c", &["c", "abac"], &["ab"]),
        ("a?b+c*", &["b", "abbcc"], &["a", "ac"]),
        ("a{2}", &["aa"], &["a", "aaa"]),
        ("a{2,}", &["aa", "aaaa"], &["a"]),
        ("a{0}b", &["b"], &["ab"]),
        ("(ab){1,3}?", &["ab", "ababab"], &["", "abababab"]),
        (".", &["a", "\u{e9}", "\u{1f600}"], &["", "\n", "ab"]),
        ("(?s).", &["\n"], &[]),
        ("[a-c]", &["a", "b", "c"], &["d", "-", ""]),
        ("[^a-c]", &["d", "\n", "\u{e9}"], &["a", ""]),
        ("[]a]", &["]", "a"], &["[]a]"]),
        ("[^]a]", &["b"], &["]", "a"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("[\\]\\-\\\\]", &["]", "-", "\\"], &["a"]),
        ("[\\d.]+", &["1.25"], &["1,25"]),
        ("[^\\D]", &["1"], &["a"]),
        ("[[:alpha:]_]", &["a", "Z", "_"], &["1", ":"]),
        ("[[:^alpha:]]", &["1"], &["a"]),
        ("[\u{e0}-\u{ff}]", &["\u{e9}"], &["e"]),
        ("\\d\\D\\s\\S\\w\\W", &["1a a_-"], &["1a a--"]),
        ("\\s", &[" ", "\t", "\n", "\x0c", "\r"], &["\x0b", "\u{a0}"]),
        ("\\d", &["0", "9"], &["\u{663}"]),
        ("\\.\\*\\/\\-\\ \\_", &[".*/- _"], &[]),
        ("\\x41\\x{e9}\\n\\t", &["A\u{e9}\n\t"], &[]),
        ("\\Qa.*\\E+", &["a.*", "a.**"], &["a."]),
        ("\\Q.", &["."], &["a"]),
        ("^a$", &["a"], &["a\n"]),
        ("\\Aa\\z", &["a"], &[]),
        ("a^b", &[], &["ab", "a\nb"]),
        ("(?m)a$\\n^b", &["a\nb"], &["ab"]),
        ("\\bfoo\\b.*", &["foo", "foo bar"], &["foobar"]),
        ("f\\Boo", &["foo"], &[]),
        ("(?i)AbC", &["abc", "ABC"], &["ab"]),
        ("(?i)[a-c]", &["B"], &["D"]),
        ("(?i)[^a-c]", &["d"], &["B", "b"]),
        ("a(?i)b", &["ab", "aB"], &["Ab"]),
        ("a(?i:b)c", &["aBc"], &["aBC"]),
        ("(a(?i)b)c", &["aBc"], &["aBC"]),
        ("(?i)a(?-i)b", &["Ab"], &["AB"]),
        ("(?is-m:A.)", &["a\n"], &[]),
        ("(?:a)(?P<name>b)(?<other>c)", &["abc"], &[]),
        ("()*|(a*)*b", &["", "b", "aab"], &["a"]),
        ("(a|b|)(|c)", &["", "a", "c", "bc"], &["cc"]),
        ("}]", &["}]"], &[]),
        (
            "/v[0-9]+/users/[^/]+",
            &["/v1/users/x", "/v22/users/\u{e9}"],
            &["/v1/users/", "/v1/users/a/b", "/v/users/a"],
        ),
    ];
    for (pattern, matched, others) in cases {
        for text in *matched {
            assert!(matches(pattern, text), "{pattern} {text:?}");
        }
        for text in *others {
            assert!(!matches(pattern, text), "{pattern} {text:?}");
        }
    }
    let folded = Regex::new("svc-[a-f]", true).unwrap();
    assert!(folded.matches(b"SVC-F"));
    let anything = Regex::new("(?s).*", false).unwrap();
    assert!(!anything.matches(b"a\xff"));
}

#[test]
fn what_re2_does_not_have_is_refused_with_its_place() {
    use RegexError::*;
    let escape = |at, escaped| UnknownEscape { at, escaped };
    let cases = [
        ("a(b", UnclosedGroup { at: 2 }),
        ("a)b", UnopenedGroup { at: 2 }),
        ("(?x)a", UnknownGroup { at: 1 }),
        ("(?i-)a", UnknownGroup { at: 1 }),
        ("(?=a)", UnknownGroup { at: 1 }),
        ("(?!a)", UnknownGroup { at: 1 }),
        ("(?<=a)", UnknownGroup { at: 1 }),
        ("(?P<>a)", UnknownGroup { at: 1 }),
        ("(?P<a", UnknownGroup { at: 1 }),
        ("\u{e9}[a", UnclosedClass { at: 2 }),
        ("[]", UnclosedClass { at: 1 }),
        ("[a-", UnclosedClass { at: 1 }),
        ("[[:letters:]]", UnknownClass { at: 2 }),
        ("[z-a]", InvalidRange { at: 2 }),
        ("[a-\\d]", InvalidRange { at: 2 }),
        ("[\\b]", escape(2, Some('b'))),
        ("\\pL", escape(1, Some('p'))),
        ("[\\PL]", escape(2, Some('P'))),
        ("\\1", escape(1, Some('1'))),
        ("\\C", escape(1, Some('C'))),
        ("\\Z", escape(1, Some('Z'))),
        ("\\xg0", escape(1, Some('x'))),
        ("\\x{110000}", escape(1, Some('x'))),
        ("\\x{d800}", escape(1, Some('x'))),
        ("\\x{41", escape(1, Some('x'))),
        ("a\\", escape(2, None)),
        ("*a", NothingToRepeat { at: 1 }),
        ("a|*", NothingToRepeat { at: 3 }),
        ("(+)", NothingToRepeat { at: 2 }),
        ("a**", NothingToRepeat { at: 3 }),
        ("a*??", NothingToRepeat { at: 4 }),
        ("a{2}{3}", NothingToRepeat { at: 5 }),
        ("a(?i)*", NothingToRepeat { at: 6 }),
        ("a{", InvalidRepetition { at: 2 }),
        ("a{,2}", InvalidRepetition { at: 2 }),
        ("a{x}", InvalidRepetition { at: 2 }),
        ("a{3,2}", InvalidRepetition { at: 2 }),
        ("a{1001}", InvalidRepetition { at: 2 }),
        ("a{99999999999}", InvalidRepetition { at: 2 }),
        ("a{512}", TooLarge),
        ("((a{100}){100}){100}", TooLarge),
    ];
    for (pattern, expected) in cases {
        assert_eq!(Regex::new(pattern, false), Err(expected), "{pattern}");
    }
    let at_limit = format!("{}a{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
    assert!(Regex::new(&at_limit, false).is_ok());
    let beyond = format!("({at_limit})");
    assert_eq!(
        Regex::new(&beyond, false),
        Err(TooDeep { at: MAX_DEPTH + 1 })
    );
    assert_eq!(
        Regex::new(&"a".repeat(MAX_PATTERN_BYTES + 1), false),
        Err(TooLong)
    );
    assert!(Regex::new(&"a".repeat(MAX_INSTRUCTIONS - 1), false).is_ok());
    assert_eq!(
        Regex::new(&"a".repeat(MAX_INSTRUCTIONS), false),
        Err(TooLarge)
    );
}

#[test]
fn nothing_repeated_a_thousand_times_a_thousand_times_is_nothing() {
    let mut pattern = String::from("()");
    for _ in 0..MAX_DEPTH - 1 {
        pattern = format!("({pattern}{{1000}})");
    }
    assert!(matches(&pattern, ""));
}

#[test]
fn an_expression_that_others_backtrack_on_is_read_once() {
    let text = "a".repeat(60_000);
    for pattern in ["(a*)*b", "(a|a)*b", "(a|aa)+b", "a*a*a*a*a*a*a*b"] {
        assert!(!matches(pattern, &text), "{pattern}");
    }
}

/// An expression in our syntax, and the same for the crate that it is compared with, which is told by
/// spelling that classes are those of ASCII.
fn expression() -> impl Strategy<Value = (String, String)> {
    let same = |text: &str| (text.to_string(), text.to_string());
    let pair = |ours: &str, theirs: &str| (ours.to_string(), theirs.to_string());
    let leaf = prop::sample::select(vec![
        same("a"),
        same("b"),
        same("B"),
        same("1"),
        same("_"),
        same("\u{e9}"),
        same("."),
        same("(?s:.)"),
        same("\\n"),
        same("\\-"),
        same("[ab]"),
        same("[^a1]"),
        same("[a-c0-9]"),
        same("[^\\-\u{e9}]"),
        same("^"),
        same("$"),
        same("(?m:^)"),
        same("(?m:$)"),
        same("(?:)"),
        pair("\\b", "(?-u:\\b)"),
        pair("\\B", "(?-u:\\B)"),
        pair("\\d", "[0-9]"),
        pair("\\D", "[^0-9]"),
        pair("\\w", "[0-9A-Z_a-z]"),
        pair("\\W", "[^0-9A-Z_a-z]"),
        pair("\\s", "[\\t\\n\\x0c\\r ]"),
        pair("[[:upper:]_]", "[A-Z_]"),
        pair("[^\\D1]", "[02-9]"),
        pair("(?i:aB[^c])", "[aA][bB][^cC]"),
    ]);
    leaf.prop_recursive(5, 24, 4, |inner| {
        let both = |parts: Vec<(String, String)>, between: &str| {
            let (ours, theirs): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            (ours.join(between), theirs.join(between))
        };
        let group = |(ours, theirs): (String, String), behind: &str| {
            (format!("({ours}){behind}"), format!("(?:{theirs}){behind}"))
        };
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(move |parts| both(parts, "")),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(move |parts| group(both(parts, "|"), "")),
            (
                inner,
                prop::sample::select(vec!["*", "+", "?", "*?", "{2}", "{1,}", "{0,2}", "{1,3}?"])
            )
                .prop_map(move |(part, behind)| group(part, behind)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn agrees_with_another_implementation(
        (ours, theirs) in expression(),
        texts in prop::collection::vec("[abB1_ \u{e9}\n-]{0,6}", 1..12),
    ) {
        let Ok(regex) = Regex::new(&ours, false) else {
            // Only its size may be wrong with it.
            prop_assert_eq!(Regex::new(&ours, false), Err(RegexError::TooLarge));
            return Ok(());
        };
        let other = ::regex::Regex::new(&format!("\\A(?:{theirs})\\z")).expect(&theirs);
        for text in texts {
            prop_assert_eq!(regex.matches(text.as_bytes()), other.is_match(&text), "{} {:?}", ours, text);
        }
    }

    #[test]
    fn takes_any_expression_and_any_text(pattern in any::<String>(), text in any::<Vec<u8>>()) {
        if let Ok(regex) = Regex::new(&pattern, true) {
            regex.matches(&text);
        }
    }

    #[test]
    fn takes_any_expression_of_its_own_signs(
        pattern in "([(){}\\[\\]|*+?^$.\\\\a-z:<>P0-9,-]|\\(\\?|\\[:){0,40}",
        text in "[a-z0-9]{0,20}",
    ) {
        if let Ok(regex) = Regex::new(&pattern, false) {
            regex.matches(text.as_bytes());
        }
    }
}
