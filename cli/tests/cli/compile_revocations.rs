use std::fs;

use nexus_core::revocation::{RevocationList, RevokedBy, Subject};

use crate::sandbox::{Run, Sandbox, transcripts};

const JSON: &str = r#"{
  "jti": ["t1", "\u0074\u0032"],
  "sub": ["alice", {"sub": "bob", "issued_before": 1700000000}],
  "kid": [{"kid": "k1"}]
}
"#;

fn list(sandbox: &Sandbox, name: &str) -> RevocationList {
    RevocationList::parse(fs::read(sandbox.path(name)).unwrap().into()).unwrap()
}

fn revokes(list: &RevocationList, by: RevokedBy, value: &str, iat: i64) -> bool {
    let value_of = |wanted| (by == wanted).then_some(value);
    let subject = Subject {
        jti: value_of(RevokedBy::Jti),
        sub: value_of(RevokedBy::Sub),
        kid: value_of(RevokedBy::Kid),
        iat: Some(iat),
    };
    list.revokes(&subject) == Some(by)
}

#[test]
fn lists_in_json_and_in_lines_become_one() {
    let sandbox = Sandbox::new()
        .file("revoked.json", JSON)
        .file("more.json", r#"{"jti": ["t3", "t1"]}"#)
        .file("ids.txt", "t4\r\n\nt5\nt1\n")
        .file("subjects.txt", "carol\n");
    let runs = [
        sandbox
            .run(["compile-revocations", "revoked.json", "-o", "one.bin"])
            .expect(0),
        sandbox
            .run([
                "compile-revocations",
                "revoked.json",
                "more.json",
                "--jti",
                "ids.txt",
                "--sub",
                "subjects.txt",
                "--issued-before",
                "1700000000",
                "-o",
                "all.bin",
            ])
            .expect(0),
        sandbox
            .run_with(
                "only\n",
                ["compile-revocations", "--kid", "-", "-o", "kid.bin"],
            )
            .expect(0),
    ];
    insta::assert_snapshot!(transcripts(&runs));
    let one = list(&sandbox, "one.bin");
    let all = list(&sandbox, "all.bin");
    for (by, value, iat, in_one, in_all) in [
        (RevokedBy::Jti, "t1", i64::MAX, true, true),
        (RevokedBy::Jti, "t2", 0, true, true),
        (RevokedBy::Jti, "t3", 0, false, true),
        (RevokedBy::Jti, "t4", 0, false, true),
        (RevokedBy::Jti, "t5", 0, false, true),
        (RevokedBy::Jti, "", 0, false, false),
        (RevokedBy::Sub, "alice", i64::MAX, true, true),
        (RevokedBy::Sub, "bob", 1_699_999_999, true, true),
        (RevokedBy::Sub, "bob", 1_700_000_000, false, false),
        (RevokedBy::Sub, "carol", 1_699_999_999, false, true),
        (RevokedBy::Sub, "carol", 1_700_000_000, false, false),
        (RevokedBy::Kid, "k1", i64::MAX, true, true),
    ] {
        assert_eq!(revokes(&one, by, value, iat), in_one, "{by} {value}");
        assert_eq!(revokes(&all, by, value, iat), in_all, "{by} {value}");
    }
    assert!(revokes(
        &list(&sandbox, "kid.bin"),
        RevokedBy::Kid,
        "only",
        0
    ));
}

#[test]
fn the_order_of_entries_does_not_change_the_bytes_and_standard_output_has_nothing_else() {
    let sandbox = Sandbox::new()
        .file("a.txt", "a\nb\nc\n")
        .file("b.txt", "c\na\nb\nb\n");
    for name in ["a", "b"] {
        let lines = format!("{name}.txt");
        let output = format!("{name}.bin");
        let args = ["compile-revocations", "--jti", &lines, "-o", &output];
        sandbox.run(args).expect(0);
    }
    let bytes = fs::read(sandbox.path("a.bin")).unwrap();
    assert_eq!(bytes, fs::read(sandbox.path("b.bin")).unwrap());
    let output = sandbox
        .command()
        .args(["compile-revocations", "--jti", "a.txt"])
        .output()
        .unwrap();
    assert_eq!(output.stdout, bytes);
}

#[test]
fn what_is_no_list_is_refused_and_nothing_is_written() {
    let sandbox = Sandbox::new()
        .file("broken.json", "{\"jti\": [\"a\"")
        .file("misspelt.json", r#"{"jtis": []}"#)
        .file("number.json", r#"{"sub": ["a", 7]}"#)
        .file("padded.txt", "a\n b\n")
        .file("tab.txt", "a\tb\n")
        .file("latin1.txt", b"caf\xe9\n")
        .file("lines.txt", "a\n")
        .file("empty.txt", "\n");
    sandbox
        .run([
            "compile-revocations",
            "--jti",
            "lines.txt",
            "-o",
            "good.bin",
        ])
        .expect(0);
    let refused = |code: i32, args: &[&str]| -> Run {
        let args = ["compile-revocations", "-o", "out.bin"].iter().chain(args);
        sandbox.run(args).expect(code)
    };
    let runs = [
        refused(3, &["broken.json"]),
        refused(3, &["misspelt.json"]),
        refused(3, &["number.json"]),
        refused(3, &["good.bin"]),
        refused(3, &["nothing.json"]),
        refused(3, &["--jti", "padded.txt"]),
        refused(3, &["--sub", "tab.txt"]),
        refused(3, &["--jti", "latin1.txt"]),
        refused(2, &["-", "--jti", "-"]),
        refused(2, &["--jti", "lines.txt", "--issued-before", "now"]),
        refused(
            2,
            &[
                "--sub",
                "lines.txt",
                "--issued-before",
                "2200-01-01T00:00:00Z",
            ],
        ),
        refused(2, &[]),
    ];
    insta::assert_snapshot!(transcripts(&runs));
    assert!(!sandbox.path("out.bin").exists());
    // A list that names nobody is a list.
    let run = refused(0, &["--jti", "empty.txt"]);
    insta::assert_snapshot!("an_empty_list", run.transcript());
    assert!(list(&sandbox, "out.bin").is_empty());
}
