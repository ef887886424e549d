use std::fs;

use nexus_tests::jwks_server::{Answer, Behaviour, JwksServer};
use nexus_tests::tls::Identity;
use serde_json::{Value, json};

use crate::sandbox::{ED25519_JWK, Run, Sandbox};

/// The private half of [`ED25519_JWK`].
const PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

/// The key of RFC 7638 §3.1.
fn rsa() -> Value {
    json!({
        "kty": "RSA", "kid": "2011-04-29", "alg": "RS256", "use": "sig", "e": "AQAB",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    })
}

/// The key of RFC 9449 §6.1.
fn p256() -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "key_ops": ["verify"],
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    })
}

/// The public key of RFC 8037 A.2.
fn ed25519(kid: &str) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

fn with(mut key: Value, members: Value) -> Value {
    let members = members.as_object().unwrap().clone();
    key.as_object_mut().unwrap().extend(members);
    key
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn check(server: &JwksServer, more: &[&str]) -> Run {
    let url = server.url();
    let args = ["jwks", "check", &url].into_iter();
    Sandbox::new().run(args.chain(more.iter().copied()))
}

/// The transcript without the port.
fn masked(run: &Run, server: &JwksServer) -> String {
    run.transcript()
        .replace(&server.authority(), "127.0.0.1:PORT")
}

/// The transcripts of checking a server that answers in each of these ways.
fn answers(cases: impl IntoIterator<Item = (Answer, i32)>) -> String {
    let server = JwksServer::start("");
    let transcripts = cases.into_iter().map(|(answer, code)| {
        server.answer(answer);
        masked(&check(&server, &[]).expect(code), &server)
    });
    transcripts.collect::<Vec<String>>().join("\n\n")
}

#[test]
fn a_set_of_which_everything_can_be_used() {
    let server = JwksServer::start("");
    let answer = Answer::ok(set(&[rsa(), p256(), ed25519("ed")]))
        .header("cache-control", "public, max-age=600")
        .header("age", "20")
        .header("etag", "\"v1\"");
    server.behave(Behaviour::Revalidate(answer));
    let run = check(&server, &[]).expect(0);
    insta::assert_snapshot!(masked(&run, &server));
    let requests = server.requests();
    let header = |index: usize, name| {
        let request: &nexus_tests::http::SeenRequest = &requests[index];
        request.headers.text(name)
    };
    // As the filter asks.
    let accept = "application/jwk-set+json, application/json";
    assert_eq!(header(0, "accept").as_deref(), Some(accept));
    assert_eq!(header(0, "accept-encoding"), None);
    assert_eq!(header(0, "if-none-match"), None);
    assert_eq!(header(1, "if-none-match").as_deref(), Some("\"v1\""));
    assert_eq!(requests.len(), 2);
}

#[test]
fn the_result_as_json() {
    let server = JwksServer::start("");
    let keys = [rsa(), with(ed25519("enc"), json!({"use": "enc"}))];
    let answer = Answer::ok(set(&keys)).header("etag", "\"v1\"");
    server.behave(Behaviour::Revalidate(answer));
    let run = check(&server, &["--output", "json"]).expect(0);
    insta::assert_snapshot!(masked(&run, &server));
    server.answer(Answer::status(503).header("retry-after", "9999"));
    let run = check(&server, &["--output", "json"]).expect(3);
    insta::assert_snapshot!("json-of-a-failure", masked(&run, &server));
    let printed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        printed["sources"][0]["nexus"]["retry_after_ms"],
        json!([300_000, 300_000])
    );
}

#[test]
fn keys_that_cannot_be_used_are_told_with_the_reason() {
    let keys = [
        rsa(),
        with(
            rsa(),
            json!({"kid": "enc", "alg": "RSA-OAEP", "use": "enc"}),
        ),
        with(rsa(), json!({"kid": "short", "n": "AQAB"})),
        with(
            p256(),
            json!({"kid": "off", "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDE"}),
        ),
        json!({"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA"}),
        json!({"kty": "PQC"}),
        json!("key"),
    ];
    insta::assert_snapshot!(answers([(
        Answer::ok(set(&keys))
            .header("cache-control", "no-store")
            .header("etag", "unquoted"),
        0
    )]));
}

#[test]
fn names_that_several_keys_have_are_told() {
    let keys = [ed25519("a"), with(p256(), json!({"kid": "a"})), rsa()];
    insta::assert_snapshot!(answers([(
        Answer::ok(set(&keys)).header("etag", "W/\"1\""),
        0
    )]));
    let many: Vec<Value> = (0..17).map(|_| p256()).collect();
    let told = answers([(Answer::ok(set(&many)), 0)]);
    assert!(
        told.contains("17 keys can be meant by one ES256 token, and only the first 16 are tried"),
        "{told}"
    );
}

#[test]
fn a_secret_that_is_published_is_an_error_and_not_shown() {
    let private: Value = serde_json::from_str(ED25519_JWK).unwrap();
    let symmetric = json!({"kty": "oct", "kid": "shared", "k": PRIVATE});
    let server = JwksServer::start(set(&[rsa(), private, symmetric]));
    let run = check(&server, &[]).expect(3);
    insta::assert_snapshot!(masked(&run, &server));
    let single = JwksServer::start(ED25519_JWK);
    let pem = "-----BEGIN PRIVATE KEY-----\nnWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n-----END PRIVATE KEY-----\n";
    let answers = [
        Answer::ok(pem),
        Answer {
            status: 404,
            ..Answer::ok(ED25519_JWK)
        },
    ];
    let pems = answers.map(|answer| {
        let server = JwksServer::start("");
        server.answer(answer);
        server
    });
    for server in [&server, &single].into_iter().chain(&pems) {
        for format in ["human", "json"] {
            let run = check(server, &["--output", format]).expect(3);
            let printed = run.transcript();
            assert!(!printed.contains(PRIVATE), "{printed}");
            assert!(printed.contains("publishes a secret"), "{printed}");
        }
    }
}

#[test]
fn answers_that_bring_no_keys() {
    let metadata = json!({
        "issuer": "https://idp.example.com", "jwks_uri": "https://idp.example.com/keys",
        "authorization_endpoint": "https://idp.example.com/login",
    });
    let html = Answer {
        headers: vec![(
            "content-type".to_owned(),
            "text/html; charset=utf-8".to_owned(),
        )],
        ..Answer::ok("<!DOCTYPE html><title>Sign in</title>")
    };
    insta::assert_snapshot!(answers([
        (html, 3),
        (Answer::ok(metadata.to_string()), 3),
        (Answer::ok(ed25519("x").to_string()), 3),
        (Answer::ok(""), 3),
        (Answer::ok(set(&[])), 3),
        (Answer::ok(set(&[json!({"kty": "PQC"})])), 3),
        (Answer::ok(vec![b' '; 10 << 20]), 3),
        (Answer::status(404), 3),
        (
            Answer::status(301).header("location", "https://elsewhere.test/keys"),
            3
        ),
        (Answer::status(429).header("retry-after", "20"), 3),
        (Answer::status(503).header("retry-after", "9999"), 3),
    ]));
}

#[test]
fn a_body_without_end_is_not_read_to_it() {
    let told = answers([(Answer::ok(vec![b' '; 17 << 20]), 3)]);
    assert!(told.contains("the body has more than 16 MiB"), "{told}");
}

#[test]
fn connections_that_bring_no_answer() {
    let server = JwksServer::start(set(&[rsa()]));
    let mut runs = Vec::new();
    server.behave(Behaviour::ResetMidBody(Answer::ok(set(&[rsa()]))));
    runs.push(check(&server, &[]).expect(3));
    server.behave(Behaviour::Close);
    runs.push(check(&server, &[]).expect(3));
    server.behave(Behaviour::Hang);
    runs.push(check(&server, &["--timeout", "300ms"]).expect(3));
    server.down();
    runs.push(check(&server, &[]).expect(3));
    let transcripts: Vec<String> = runs.iter().map(|run| masked(run, &server)).collect();
    insta::assert_snapshot!(transcripts.join("\n\n"));
    let nowhere = Sandbox::new()
        .run(["jwks", "check", "http://nowhere.invalid/keys"])
        .expect(3);
    assert!(
        nowhere
            .stderr
            .contains("there is no answer from `http://nowhere.invalid/keys`"),
        "{}",
        nowhere.stderr
    );
    assert!(
        nowhere.stdout.contains("keys are fetched without TLS"),
        "{}",
        nowhere.stdout
    );
}

#[test]
fn certificates_are_checked() {
    let identity = Identity::generate("127.0.0.1");
    let server = JwksServer::start_tls(set(&[rsa()]), &identity);
    let stranger = check(&server, &[]).expect(3);
    insta::assert_snapshot!(masked(&stranger, &server));
    let authority = identity.authority_file().to_str().unwrap();
    let known = check(&server, &["--ca-file", authority]).expect(0);
    assert!(
        known.stdout.contains("1 of 1 key can be used"),
        "{}",
        known.stdout
    );
    // A file that holds no certificate is no reason to trust everybody.
    let sandbox = Sandbox::new().file("empty.pem", "");
    let url = server.url();
    let empty = sandbox
        .run(["jwks", "check", &url, "--ca-file", "empty.pem"])
        .expect(3);
    assert!(
        empty.stderr.contains("holds no certificates"),
        "{}",
        empty.stderr
    );
}

#[test]
fn what_a_terminal_would_act_upon_is_escaped_and_everything_is_bounded() {
    let hostile = "\u{1b}[31m\u{202e}".to_owned() + &"k".repeat(100_000);
    let operations: Vec<&str> = vec![&hostile; 3];
    let key = with(
        rsa(),
        json!({"kid": hostile, "use": hostile, "alg": hostile, "key_ops": operations}),
    );
    let other = json!({"kty": hostile, "kid": hostile, "crv": hostile});
    let server = JwksServer::start(set(&[key.clone(), key, other]));
    for format in ["human", "json"] {
        let run = check(&server, &["--output", format]).expect(3);
        for text in [&run.stdout, &run.stderr] {
            let is_plain = |it: char| it == '\n' || (!it.is_control() && it != '\u{202e}');
            assert!(text.chars().all(is_plain), "{text}");
            assert!(text.len() < 10_000, "{} bytes", text.len());
        }
    }
}

#[test]
fn of_ten_thousand_keys_some_are_shown() {
    let keys: Vec<Value> = (0..10_000).map(|kid| ed25519(&kid.to_string())).collect();
    let server = JwksServer::start(set(&keys));
    let run = check(&server, &[]).expect(0);
    let lines = run.stdout.lines().count();
    assert!(lines < 80, "{lines} lines");
    for told in [
        "1000 of 10000 keys can be used",
        "9980 more are not shown: 980 can be used, 9000 cannot",
        "the set has 10000 keys, only the first 1000 are used",
    ] {
        assert!(run.stdout.contains(told), "{}", run.stdout);
    }
}

#[test]
fn a_file_is_checked_as_it_would_be_served() {
    let sandbox = Sandbox::new().file("jwks.json", set(&[rsa()]));
    let run = sandbox.run(["jwks", "check", "jwks.json"]).expect(0);
    insta::assert_snapshot!(run.transcript());
    fs::write(sandbox.path("jwks.json"), set(&[])).unwrap();
    let several = sandbox
        .run(["jwks", "check", "jwks.json", "missing.json"])
        .expect(3);
    insta::assert_snapshot!("several-sources", several.transcript());
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let sandbox = Sandbox::new();
    let runs: Vec<String> = [
        &["jwks"][..],
        &["jwks", "check"],
        &["jwks", "check", "ftp://idp.example.com/keys"],
        &["jwks", "check", "https://user:pass@idp.example.com/keys"],
        &[
            "jwks",
            "check",
            "https://idp.example.com/keys",
            "--timeout",
            "0s",
        ],
    ]
    .iter()
    .map(|args| sandbox.run(*args).expect(2).transcript())
    .collect();
    insta::assert_snapshot!(runs.join("\n\n"));
}

#[test]
fn the_query_of_a_url_is_not_repeated() {
    let server = JwksServer::start(set(&[rsa()]));
    let url = format!("{}?api_key=hush", server.url());
    let run = Sandbox::new().run(["jwks", "check", &url]).expect(0);
    assert!(
        run.stdout.contains("/.well-known/jwks.json?…"),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("hush") && !run.stderr.contains("hush"));
    assert!(server.requests()[0].path.ends_with("?api_key=hush"));
}
