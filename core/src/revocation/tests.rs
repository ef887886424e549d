use super::*;
use serde_json::json;
use std::string::ToString;

fn list(text: &str) -> Result<RevocationList, RevocationError> {
    RevocationList::parse(text.as_bytes().into())
}

fn subject<'t>(jti: &'t str, sub: &'t str, kid: &'t str, iat: Option<i64>) -> Subject<'t> {
    Subject {
        jti: Some(jti),
        sub: Some(sub),
        kid: Some(kid),
        iat,
    }
}

#[test]
fn a_token_is_revoked_by_each_of_its_names_and_by_no_other_ones() {
    let list = list(
        r#"{"jti": ["t1", "\u0074\u0032", ""], "sub": ["alice", {"sub": "bob", "issued_before": 1700000000}],
            "kid": [{"kid": "k1"}, {"issued_before": 0, "kid": "k0"}]}"#,
    )
    .unwrap();
    assert_eq!(list.len(), 7);
    let rows = [
        (
            subject("t1", "x", "x", Some(9_000_000_000)),
            Some(RevokedBy::Jti),
        ),
        (subject("t2", "x", "x", None), Some(RevokedBy::Jti)),
        (subject("", "x", "x", None), Some(RevokedBy::Jti)),
        (subject("T1", "x", "x", None), None),
        (subject("t1 ", "x", "x", None), None),
        (
            subject("x", "alice", "x", Some(9_000_000_000)),
            Some(RevokedBy::Sub),
        ),
        (subject("alice", "t1", "t1", None), None),
        (
            subject("x", "bob", "x", Some(1_699_999_999)),
            Some(RevokedBy::Sub),
        ),
        (subject("x", "bob", "x", Some(1_700_000_000)), None),
        (subject("x", "bob", "x", Some(i64::MAX)), None),
        (subject("x", "bob", "x", None), Some(RevokedBy::Sub)),
        (
            subject("x", "x", "k1", Some(i64::MAX)),
            Some(RevokedBy::Kid),
        ),
        (subject("x", "x", "k0", Some(0)), None),
        (subject("x", "x", "k0", None), Some(RevokedBy::Kid)),
        (Subject::default(), None),
    ];
    for (subject, expected) in rows {
        assert_eq!(list.revokes(&subject), expected, "{subject:?}");
    }
}

#[test]
fn the_compact_form_is_the_list_and_its_bytes_are_fixed() {
    let entry = |by, value: &'static str, issued_before| Entry {
        by,
        value: value.into(),
        issued_before,
    };
    let list = RevocationList::of([
        entry(RevokedBy::Sub, "bob", Some(1_700_000_000)),
        entry(RevokedBy::Jti, "t1", None),
    ])
    .unwrap();
    // SHA-256 of `jti\0t1` and of `sub\0bob`, as any other tool gives it.
    let mut expected = b"NEXUSREV\0\0\0\x01\0\0\0\x02".to_vec();
    let mut records = [
        [&sha256(b"jti\0t1")[..8], &[0xff; 4]].concat(),
        [&sha256(b"sub\0bob")[..8], &1_700_000_000_u32.to_be_bytes()].concat(),
    ];
    records.sort();
    expected.extend(records.concat());
    assert_eq!(list.as_bytes(), expected);
    assert_eq!(RevocationList::parse(expected.into()), Ok(list));
}

fn sha256(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[test]
fn an_owned_compact_list_is_taken_over_where_it_is() {
    let bytes = list(r#"{"jti": ["a", "b"]}"#).unwrap().bytes;
    let place = bytes.as_ptr();
    let list = RevocationList::parse(bytes.into()).unwrap();
    assert_eq!(list.bytes.as_ptr(), place);
}

#[test]
fn the_widest_of_several_entries_for_a_value_counts() {
    let both = |first: serde_json::Value, second: serde_json::Value| {
        let text = json!({ "sub": [first, second] }).to_string();
        let list = list(&text).unwrap();
        assert_eq!(list.len(), 1);
        list.issued_before(RevokedBy::Sub, "a")
    };
    let until = |time: u32| json!({ "sub": "a", "issued_before": time });
    assert_eq!(both(until(5), until(7)), Some(7));
    assert_eq!(both(until(7), until(5)), Some(7));
    assert_eq!(both(until(7), json!("a")), Some(ALWAYS));
    assert_eq!(both(json!("a"), until(7)), Some(ALWAYS));
    assert_eq!(
        both(until(MAX_ISSUED_BEFORE), until(0)),
        Some(MAX_ISSUED_BEFORE)
    );
}

#[test]
fn every_entry_of_a_large_list_is_found_and_nothing_else() {
    let name = |number: u32| std::format!("token-{number}");
    let entries = (0..10_000).step_by(2).map(|number| Entry {
        by: RevokedBy::Jti,
        value: name(number).into(),
        issued_before: None,
    });
    let list = RevocationList::of(entries).unwrap();
    assert_eq!(list.len(), 5000);
    for number in 0..10_000 {
        let name = name(number);
        let found = list.revokes(&Subject {
            jti: Some(&name),
            ..Subject::default()
        });
        assert_eq!(found.is_some(), number % 2 == 0, "{name}");
    }
}

#[test]
fn a_json_list_that_is_wrong_is_refused_as_a_whole() {
    for (text, message) in [
        (
            "",
            "the list is neither in the compact form nor valid JSON: the text ends too early at byte 0",
        ),
        (
            "<html>",
            "the list is neither in the compact form nor valid JSON: a character that cannot stand here at byte 0",
        ),
        (
            r#"{"jti": ["a"]"#,
            "the list is neither in the compact form nor valid JSON: the text ends too early at byte 13",
        ),
        (
            r#"{"jti": [], "jti": []}"#,
            "the list is neither in the compact form nor valid JSON: a member that appears twice at byte 12",
        ),
        ("[]", "the list is an array, not an object"),
        ("{}", "the list has none of `jti`, `sub` and `kid`"),
        (
            r#"{"jti": [], "error\n": 1}"#,
            "the list has a member `error\\n`; there are `jti`, `sub` and `kid`",
        ),
        (
            r#"{"jti": "a"}"#,
            "`jti` of the list is a string, not an array",
        ),
        (
            r#"{"jti": ["a", 7]}"#,
            "the element 1 of `jti` of the list is no string",
        ),
        (
            r#"{"jti": [{"jti": "a"}]}"#,
            "the element 0 of `jti` of the list is no string",
        ),
        (
            r#"{"sub": [null]}"#,
            "the element 0 of `sub` of the list is neither a string nor an object",
        ),
        (
            r#"{"sub": [{}]}"#,
            "the element 0 of `sub` of the list does not name a string",
        ),
        (
            r#"{"sub": [{"sub": 7}]}"#,
            "the element 0 of `sub` of the list does not name a string",
        ),
        (
            r#"{"sub": [{"kid": "a"}]}"#,
            "the element 0 of `sub` of the list has a member that an entry does not have",
        ),
        (
            r#"{"kid": [{"kid": "a", "issued_before": "1"}]}"#,
            "the element 0 of `kid` of the list has an `issued_before` that is no time in whole seconds",
        ),
        (
            r#"{"kid": [{"kid": "a", "issued_before": -1}]}"#,
            "the element 0 of `kid` of the list has an `issued_before` that is no time in whole seconds",
        ),
        (
            r#"{"kid": [{"kid": "a", "issued_before": 1.5}]}"#,
            "the element 0 of `kid` of the list has an `issued_before` that is no time in whole seconds",
        ),
        (
            r#"{"kid": [{"kid": "a", "issued_before": 4294967295}]}"#,
            "the element 0 of `kid` of the list has an `issued_before` that is no time in whole seconds",
        ),
        (
            r#"{"kid": [{"kid": "a", "issued_before": null}]}"#,
            "the element 0 of `kid` of the list has an `issued_before` that is no time in whole seconds",
        ),
    ] {
        assert_eq!(list(text).unwrap_err().to_string(), message, "{text}");
    }
    let large = std::format!(r#"{{"jti": ["{}"]}}"#, "a".repeat(MAX_JSON_BYTES));
    assert_eq!(
        list(&large).unwrap_err().to_string(),
        std::format!(
            "the list has {} bytes, the limit is 1048576 in JSON",
            large.len()
        )
    );
}

#[test]
fn a_compact_list_that_is_wrong_is_refused_as_a_whole() {
    let good = list(r#"{"jti": ["a", "b", "c"]}"#).unwrap().bytes;
    let message = |bytes: Vec<u8>| RevocationList::parse(bytes.into()).unwrap_err().to_string();
    for length in 8..good.len() {
        let cut = good[..length].to_vec();
        let expected = match length {
            0..16 => std::format!(
                "the list says that it has 0 entries, which do not take its {length} bytes"
            ),
            _ => std::format!(
                "the list says that it has 3 entries, which do not take its {length} bytes"
            ),
        };
        assert_eq!(message(cut), expected, "{length}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(
        message(longer),
        "the list says that it has 3 entries, which do not take its 53 bytes"
    );
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(message(with(11, 2)), "the list has version 2, not 1");
    assert_eq!(message(with(8, 1)), "the list has version 16777217, not 1");
    assert_eq!(
        message(with(12, 0xff)),
        "the list says that it has 4278190083 entries, which do not take its 52 bytes"
    );
    assert!(
        message(with(0, b'n'))
            .starts_with("the list is neither in the compact form nor valid JSON")
    );
    let mut swapped = good.clone();
    swapped[16..40].rotate_left(12);
    assert_eq!(message(swapped), "the record 1 of the list is not in order");
    let mut repeated = good.clone();
    repeated.copy_within(28..40, 40);
    assert_eq!(
        message(repeated),
        "the record 2 of the list is not in order"
    );
    let mut large = good[..16].to_vec();
    large.resize(MAX_LIST_BYTES + 1, 0);
    assert_eq!(
        message(large),
        "the list has 25165841 bytes, the limit is 25165840"
    );
    assert_eq!(
        message([&MAGIC[..], &[0, 0, 0, 1, 0, 0, 0, 1], &[0; 11]].concat()),
        "the list says that it has 1 entries, which do not take its 27 bytes"
    );
    let empty = RevocationList::parse([&MAGIC[..], &[0, 0, 0, 1, 0, 0, 0, 0]].concat().into());
    assert!(empty.unwrap().is_empty());
}
