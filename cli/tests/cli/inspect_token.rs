use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::sandbox::{NOW, Run, Sandbox, transcripts};

fn token(header: &str, claims: &str, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!(
        "{}.{}.{}",
        part(header.as_bytes()),
        part(claims.as_bytes()),
        part(signature)
    )
}

fn inspect(token: &str) -> Run {
    let run = Sandbox::new().file("token", token).run([
        "inspect-token",
        "--token-file",
        "token",
        "--now",
        NOW,
    ]);
    assert!(
        run.stdout.contains("nothing was verified"),
        "{}",
        run.stdout
    );
    run
}

const HEADER: &str = r#"{"alg":"ES256","typ":"JWT","kid":"k1"}"#;
const CLAIMS: &str = r#"{"iss":"https://idp.example.com","aud":"app","sub":"alice","iat":1699999900,"exp":1700000100}"#;

#[test]
fn an_ordinary_token() {
    let claims = r#"{"iss":"https://idp.example.com","sub":"alice","aud":["app","api"],
        "iat":1699999900,"nbf":1699999900,"exp":1700003600,"auth_time":1699990000.5,
        "realm_access":{"roles":["admin","user"]},"email verified":true,"big":12345678901234567890}"#;
    let sandbox = Sandbox::new().file("token", token(HEADER, claims, &[7; 64]) + "\n");
    let human = sandbox.run(["inspect-token", "--token-file", "token", "--now", NOW]);
    let json = sandbox.run([
        "inspect-token",
        "--token-file",
        "token",
        "--now",
        NOW,
        "--output",
        "json",
    ]);
    let runs = [human.expect(0), json.expect(0)];
    insta::assert_snapshot!(transcripts(&runs));
    let signature = URL_SAFE_NO_PAD.encode([7; 64]);
    assert!(runs.iter().all(|run| !run.stdout.contains(&signature)));
}

#[test]
fn a_token_comes_from_an_argument_a_file_or_standard_input() {
    let sandbox = Sandbox::new();
    let text = token(HEADER, CLAIMS, &[7; 64]);
    let as_argument = sandbox.run(["inspect-token", &text, "--now", NOW]);
    let piped = sandbox.run_with(&text, ["inspect-token", "-", "--now", NOW]);
    let piped_file = sandbox.run_with(&text, ["inspect-token", "--token-file", "-", "--now", NOW]);
    let outputs = [
        as_argument.line(),
        piped.line(),
        piped_file.line(),
        inspect(&text).line(),
    ];
    assert!(outputs.iter().all(|output| *output == outputs[0]));
}

#[test]
fn what_is_unusual_is_named() {
    let kid = r#""kid":"k1""#;
    let cases: &[(&str, String, String, usize)] = &[
        (
            "alg_none",
            format!(r#"{{"alg":"none",{kid}}}"#),
            CLAIMS.into(),
            0,
        ),
        (
            "alg_none",
            format!(r#"{{"alg":"nOnE",{kid}}}"#),
            CLAIMS.into(),
            0,
        ),
        ("alg_missing", format!("{{{kid}}}"), CLAIMS.into(), 64),
        (
            "alg_unknown",
            format!(r#"{{"alg":"ES255",{kid}}}"#),
            CLAIMS.into(),
            64,
        ),
        (
            "alg_unknown",
            format!(r#"{{"alg":7,{kid}}}"#),
            CLAIMS.into(),
            64,
        ),
        (
            "alg_symmetric",
            format!(r#"{{"alg":"HS256",{kid}}}"#),
            CLAIMS.into(),
            32,
        ),
        ("signature_length", HEADER.into(), CLAIMS.into(), 71),
        (
            "signature_length",
            format!(r#"{{"alg":"RS256",{kid}}}"#),
            CLAIMS.into(),
            128,
        ),
        ("signature_empty", HEADER.into(), CLAIMS.into(), 0),
        (
            "kid_missing",
            r#"{"alg":"ES256"}"#.into(),
            CLAIMS.into(),
            64,
        ),
        (
            "kid_odd",
            r#"{"alg":"ES256","kid":"../../dev/null"}"#.into(),
            CLAIMS.into(),
            64,
        ),
        (
            "kid_odd",
            r#"{"alg":"ES256","kid":7}"#.into(),
            CLAIMS.into(),
            64,
        ),
        (
            "embedded_key",
            format!(r#"{{"alg":"ES256",{kid},"jwk":{{}}}}"#),
            CLAIMS.into(),
            64,
        ),
        (
            "embedded_key",
            format!(r#"{{"alg":"ES256",{kid},"jku":"x"}}"#),
            CLAIMS.into(),
            64,
        ),
        (
            "embedded_key",
            format!(r#"{{"alg":"ES256",{kid},"x5u":"x"}}"#),
            CLAIMS.into(),
            64,
        ),
        (
            "embedded_key",
            format!(r#"{{"alg":"ES256",{kid},"x5c":[]}}"#),
            CLAIMS.into(),
            64,
        ),
        (
            "crit",
            format!(r#"{{"alg":"ES256",{kid},"crit":["exp"]}}"#),
            CLAIMS.into(),
            64,
        ),
        (
            "b64",
            format!(r#"{{"alg":"ES256",{kid},"b64":false}}"#),
            CLAIMS.into(),
            64,
        ),
        (
            "encrypted",
            format!(r#"{{"alg":"ES256",{kid},"zip":"DEF"}}"#),
            CLAIMS.into(),
            64,
        ),
        (
            "typ_odd",
            format!(r#"{{"alg":"ES256",{kid},"typ":"logout+jwt"}}"#),
            CLAIMS.into(),
            64,
        ),
        (
            "exp_missing",
            HEADER.into(),
            r#"{"iss":"i","aud":"a","iat":1699999900}"#.into(),
            64,
        ),
        (
            "expired",
            HEADER.into(),
            r#"{"iss":"i","aud":"a","exp":1700000000}"#.into(),
            64,
        ),
        (
            "expired",
            HEADER.into(),
            r#"{"iss":"i","aud":"a","exp":1699999628}"#.into(),
            64,
        ),
        (
            "not_yet_valid",
            HEADER.into(),
            r#"{"iss":"i","aud":"a","nbf":1700000001,"exp":1700000100}"#.into(),
            64,
        ),
        (
            "iat_future",
            HEADER.into(),
            r#"{"iss":"i","aud":"a","iat":1700000061,"exp":1700000100}"#.into(),
            64,
        ),
        (
            "lifetime_long",
            HEADER.into(),
            r#"{"iss":"i","aud":"a","iat":1699999900,"exp":1731535900}"#.into(),
            64,
        ),
        (
            "lifetime_negative",
            HEADER.into(),
            r#"{"iss":"i","aud":"a","iat":1700000020,"exp":1700000010}"#.into(),
            64,
        ),
        (
            "time_in_milliseconds",
            HEADER.into(),
            r#"{"iss":"i","aud":"a","exp":1700000100000}"#.into(),
            64,
        ),
        (
            "time_not_a_number",
            HEADER.into(),
            r#"{"iss":"i","aud":"a","exp":"1700000100"}"#.into(),
            64,
        ),
        (
            "time_negative",
            HEADER.into(),
            r#"{"iss":"i","aud":"a","iat":-1,"exp":1700000100}"#.into(),
            64,
        ),
        (
            "iss_missing",
            HEADER.into(),
            r#"{"aud":"a","exp":1700000100}"#.into(),
            64,
        ),
        (
            "aud_missing",
            HEADER.into(),
            r#"{"iss":"i","exp":1700000100}"#.into(),
            64,
        ),
    ];
    let mut told = String::new();
    for (code, header, claims, signature) in cases {
        let text = token(header, claims, &vec![7; *signature]);
        let run = Sandbox::new()
            .run(["inspect-token", &text, "--now", NOW, "--output", "json"])
            .expect(0);
        let printed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let finding = printed["unusual"]
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["code"] == *code)
            .unwrap_or_else(|| panic!("{code} is not told: {}", run.stdout));
        told += &format!("{code}: {}\n", finding["text"].as_str().unwrap());
    }
    insta::assert_snapshot!(told);
}

#[test]
fn an_ordinary_token_has_nothing_unusual() {
    let run = inspect(&token(HEADER, CLAIMS, &[7; 64])).expect(0);
    assert!(!run.stdout.contains("unusual"), "{}", run.stdout);
}

#[test]
fn what_was_done_to_the_text_on_its_way_is_told() {
    let text = token(HEADER, CLAIMS, &[7; 64]);
    for (dressed, code) in [
        (format!("Bearer {text}"), "bearer_prefix"),
        (format!("Authorization: Bearer {text}"), "bearer_prefix"),
        (format!("  {text}\n"), "whitespace"),
        (format!("{text} \n"), "whitespace"),
    ] {
        let run = Sandbox::new()
            .file("token", &dressed)
            .run([
                "inspect-token",
                "--token-file",
                "token",
                "--now",
                NOW,
                "--output",
                "json",
            ])
            .expect(0);
        let printed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(printed["claims"]["sub"], "alice", "{dressed:?}");
        assert_eq!(printed["unusual"][0]["code"], code, "{dressed:?}");
    }
}

#[test]
fn broken_tokens_are_shown_as_far_as_they_go() {
    let text = token(HEADER, CLAIMS, &[7; 64]);
    let parts: Vec<&str> = text.split('.').collect();
    let not_canonical = format!("{}.{}.{}", parts[0], parts[1], "AB");
    let runs: Vec<Run> = [
        String::new(),
        "not-a-token".to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}==.{}", parts[0], parts[1], parts[2]),
        format!("{}.{}.++//", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], &parts[1][..40], parts[2]),
        format!("!!.{}.{}", parts[1], parts[2]),
        not_canonical,
        format!("{text}.a.b"),
        token(r#"{"alg":"none","alg":"ES256"}"#, CLAIMS, &[7; 64]),
        token("[1]", "\"x\"", &[7; 64]),
        format!("..{}", parts[2]),
    ]
    .iter()
    .map(|text| inspect(text).expect(3))
    .collect();
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn a_terminal_is_safe_from_what_a_token_says() {
    let text = token(
        "{\"alg\":\"ES256\",\"kid\":\"a\u{9b}2J\"}",
        "{\"sub\":\"\\u001b[2J\u{202e}evil\",\"\u{1b}]0;x\":1",
        &[7; 64],
    );
    let run = inspect(&text).expect(3);
    assert!(
        !run.stdout.contains(['\u{1b}', '\u{9b}', '\u{202e}']),
        "{:?}",
        run.stdout
    );
    assert!(run.stdout.contains("\\u{202e}evil"), "{}", run.stdout);
}

#[test]
fn colours_are_for_terminals_and_those_who_ask() {
    let text = token(HEADER, CLAIMS, &[7; 64]);
    let args = ["inspect-token", &text, "--now", NOW];
    let has_colour = |sandbox: &Sandbox| sandbox.run(args).expect(0).stdout.contains('\u{1b}');
    assert!(!has_colour(&Sandbox::new()));
    assert!(has_colour(&Sandbox::new().variable("CLICOLOR_FORCE", "1")));
    assert!(!has_colour(&Sandbox::new().variable("NO_COLOR", "1")));
}
