//! These need a command with the filter inside, as `cargo xtask test` builds it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::sandbox::{ED25519_JWK, NOW, Run, Sandbox, transcripts};

const POLICY: &str = r#"{
  "providers": {
    "idp": {
      "issuer": "https://idp.example.com",
      "audiences": ["my-app"],
      "jwks_url": "http://127.0.0.1:PORT/jwks.json"
    },
    "internal": { "issuer": "internal", "jwt_secret_env": "JWT_SECRET", "algorithms": ["HS256"] }
  },
  "apps": [
    {
      "name": "My app", "slug": "my-app", "gateway_path": "/my-app", "hosts": ["app.example.com"],
      "default_policy": {
        "auth": {
          "auth_type": "jwt",
          "providers": ["idp", "internal"],
          "required_claims": ["sub"],
          "forward_claims_as_headers": { "sub": "X-User-Id", "email": "X-User-Email" }
        }
      },
      "routes": [
        { "path": "/health", "methods": ["GET"], "policy": { "auth": { "auth_type": "none" } } }
      ]
    }
  ]
}
"#;

const SECRET: &str = "test-only-test-only-test-only-test-only";

fn sandbox() -> Sandbox {
    let public = ED25519_JWK.replace(
        "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\",",
        "\"alg\":\"EdDSA\",",
    );
    Sandbox::new()
        .file("policy.json", POLICY.replace("PORT", "9"))
        .file("key.json", ED25519_JWK)
        .file("jwks.json", format!("{{\"keys\":[{public}]}}"))
        .variable("JWT_SECRET", SECRET)
}

fn mint(sandbox: &Sandbox, more: &[&str]) -> String {
    let args = [
        "mint-token",
        "--key",
        "key.json",
        "--now",
        NOW,
        "--iss",
        "https://idp.example.com",
        "--aud",
        "my-app",
        "--sub",
        "alice",
    ];
    sandbox.run(args.iter().chain(more)).line()
}

fn test(sandbox: &Sandbox, more: &[&str]) -> Run {
    let args = [
        "test-token",
        "--policy",
        "policy.json",
        "--jwks",
        "jwks.json",
        "--now",
        NOW,
    ];
    sandbox.run(args.iter().chain(more))
}

/// With the token in a file, so that transcripts do not repeat it.
fn test_minted(sandbox: &Sandbox, minted: &[&str], more: &[&str]) -> Run {
    std::fs::write(sandbox.path("token"), mint(sandbox, minted) + "\n").unwrap();
    test(sandbox, &[&["--token-file", "token"], more].concat())
}

#[test]
fn a_good_token_is_allowed_and_the_headers_of_the_service_are_told() {
    let sandbox = sandbox();
    let minted = ["--claim", "email=alice@example.com"];
    let forged = [
        "--header",
        "X-User-Id: root",
        "--header",
        "x_user_email: root",
    ];
    let runs = [
        test_minted(&sandbox, &minted, &[]).expect(0),
        test_minted(&sandbox, &minted, &forged).expect(0),
        test_minted(&sandbox, &minted, &["--output", "json"]).expect(0),
        test(&sandbox, &["--path", "/my-app/health"]).expect(0),
    ];
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn denials_are_told_with_reason_evidence_and_reply() {
    let sandbox = sandbox();
    let runs = [
        test(&sandbox, &[]).expect(1),
        test_minted(&sandbox, &["--expires-in=-372s"], &[]).expect(1),
        test_minted(&sandbox, &["--not-before", "+1h"], &[]).expect(1),
        test_minted(&sandbox, &["--claim", "aud=other"], &["--output", "json"]).expect(1),
        test_minted(&sandbox, &["--claim", "iss=https://evil.example.com"], &[]).expect(1),
        test(&sandbox, &["--token", "garbage"]).expect(1),
        test(&sandbox, &["--path", "/other"]).expect(1),
        test(&sandbox, &["--host", "other.example.com"]).expect(1),
        test(
            &sandbox,
            &[
                "--path",
                "/my-app/health",
                "--method",
                "POST",
                "--output",
                "json",
            ],
        )
        .expect(1),
    ];
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn the_hint_about_time_leads_to_the_other_decision() {
    let sandbox = sandbox();
    std::fs::write(
        sandbox.path("token"),
        mint(&sandbox, &["--expires-in=-372s"]),
    )
    .unwrap();
    let args = [
        "test-token",
        "--policy",
        "policy.json",
        "--jwks",
        "jwks.json",
        "--token-file",
        "token",
    ];
    let denied = sandbox.run(args.iter().chain(&["--now", NOW])).expect(1);
    let hint = "hint: use `--now 1699999627` to evaluate just before expiry\n";
    assert_eq!(denied.stderr, hint);
    sandbox
        .run(args.iter().chain(&["--now", "1699999627"]))
        .expect(0);
}

#[test]
fn a_secret_comes_from_the_environment_or_an_option() {
    let sandbox = sandbox();
    let token = sandbox
        .run([
            "mint-token",
            "--secret-env",
            "JWT_SECRET",
            "--now",
            NOW,
            "--iss",
            "internal",
            "--sub",
            "bob",
        ])
        .line();
    std::fs::write(sandbox.path("token"), token).unwrap();
    let run = test(&sandbox, &["--token-file", "token"]).expect(0);
    assert!(
        run.stdout.contains("provider  internal\n"),
        "{}",
        run.stdout
    );
    let other = [
        "--token-file",
        "token",
        "--env",
        "JWT_SECRET=another-test-only-another-test-only",
    ];
    let run = test(&sandbox, &other).expect(1);
    assert!(
        run.stdout.starts_with("DENY 401 signature_invalid\n"),
        "{}",
        run.stdout
    );
    let run = test(&sandbox, &["--token-file", "token", "--env", "UNUSED=1"]).expect(0);
    assert_eq!(
        run.stderr,
        "warning: `--env UNUSED=…` has no effect: the policy does not name it\n"
    );
}

#[test]
fn a_token_is_read_from_standard_input() {
    let sandbox = sandbox();
    let token = mint(&sandbox, &[]) + "\n";
    let args = [
        "test-token",
        "--policy",
        "policy.json",
        "--jwks",
        "jwks.json",
        "--now",
        NOW,
    ];
    for source in [&["-"][..], &["--token", "-"], &["--token-file", "-"]] {
        let run = sandbox
            .run_with(&token, args.iter().chain(source))
            .expect(0);
        assert!(run.stdout.starts_with("ALLOW\n"), "{source:?}");
    }
    let run = sandbox
        .run_with(&format!("Bearer {token}"), args.iter().chain(&["-"]))
        .expect(0);
    assert_eq!(
        run.stderr,
        "warning: standard input starts with `Bearer`, which was left out\n"
    );
}

/// Serves one key set to everybody, and says how often it was asked.
fn key_server(jwks: String) -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, questions) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
            let question = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let (status, body) = if question.contains("/jwks.json") {
                ("200 OK", jwks.as_str())
            } else {
                ("404 Not Found", "")
            };
            let _ = write!(
                connection,
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            if asked.send(question).is_err() {
                break;
            }
        }
    });
    (port, questions)
}

#[test]
fn without_a_key_set_it_is_really_fetched() {
    let sandbox = sandbox();
    let (port, questions) = key_server(sandbox.read("jwks.json"));
    let sandbox = sandbox.file("policy.json", POLICY.replace("PORT", &port.to_string()));
    std::fs::write(sandbox.path("token"), mint(&sandbox, &[])).unwrap();
    let args = [
        "test-token",
        "--policy",
        "policy.json",
        "--token-file",
        "token",
        "--now",
        NOW,
    ];
    let run = sandbox.run(args).expect(0);
    assert!(run.stdout.contains("key       rfc8037\n"), "{}", run.stdout);
    assert_eq!(questions.recv().unwrap(), "GET /jwks.json HTTP/1.1");
}

#[test]
fn a_key_set_comes_from_a_url() {
    let sandbox = sandbox();
    let (port, questions) = key_server(sandbox.read("jwks.json"));
    std::fs::write(sandbox.path("token"), mint(&sandbox, &[])).unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let args = [
        "test-token",
        "--policy",
        "policy.json",
        "--token-file",
        "token",
        "--now",
        NOW,
        "--jwks",
    ];
    sandbox
        .run(
            args.iter()
                .copied()
                .chain([format!("{url}/jwks.json").as_str()]),
        )
        .expect(0);
    assert_eq!(questions.recv().unwrap(), "GET /jwks.json HTTP/1.1");
    let run = sandbox
        .run(
            args.iter()
                .copied()
                .chain([format!("{url}/other").as_str()]),
        )
        .expect(3);
    assert_eq!(
        run.stderr,
        format!("error: cannot fetch the key set `{url}/other`\n  it was answered 404 Not Found\n")
    );
}

#[test]
fn keys_that_cannot_be_fetched_deny() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let sandbox = sandbox().file("policy.json", POLICY.replace("PORT", &port));
    std::fs::write(sandbox.path("token"), mint(&sandbox, &[])).unwrap();
    let args = [
        "test-token",
        "--policy",
        "policy.json",
        "--token-file",
        "token",
        "--now",
        NOW,
    ];
    let run = sandbox.run(args).expect(1);
    assert!(
        run.stdout.starts_with("DENY 401 jwks_unavailable\n"),
        "{}",
        run.stdout
    );
    let hint = "hint: use `--jwks FILE` to answer the fetch from a file\n";
    assert!(run.stderr.ends_with(hint), "{}", run.stderr);
    assert!(
        run.stderr.contains("warning: the filter says: "),
        "{}",
        run.stderr
    );
}

#[test]
fn what_is_not_valid_ends_with_3() {
    let sandbox = sandbox()
        .file("broken.json", "{\"apps\": [],}")
        .file("list.json", "[]")
        .file("empty", "\n")
        .file("two-lines", "abc\ndef\n")
        .file("text.wasm", "no filter");
    let with = |policy: &str, more: &[&str]| {
        sandbox
            .run(["test-token", "--policy", policy].iter().chain(more))
            .expect(3)
    };
    let runs = [
        with("broken.json", &[]),
        with("missing.json", &[]),
        with("policy.json", &["--jwks", "missing.json"]),
        with("policy.json", &["--jwks", "list.json"]),
        with("policy.json", &["--jwks", "broken.json"]),
        with("policy.json", &["--token-file", "missing"]),
        with("policy.json", &["--token-file", "empty"]),
        with("policy.json", &["--token-file", "two-lines"]),
        with("policy.json", &["--wasm", "text.wasm"]),
    ];
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn a_variable_that_is_not_set_ends_with_3() {
    let sandbox = Sandbox::new().file(
        "policy.json",
        POLICY
            .replace("PORT", "9")
            .replace("JWT_SECRET", "NEXUSCTL_TEST_SECRET"),
    );
    let run = sandbox
        .run(["test-token", "--policy", "policy.json"])
        .expect(3);
    insta::assert_snapshot!(run.transcript());
}

#[test]
fn arguments_that_do_not_fit_end_with_2() {
    let sandbox = sandbox();
    let runs = [
        sandbox.run(["test-token"]).expect(2),
        test(&sandbox, &["--token", "a", "--token-file", "b"]).expect(2),
        test(&sandbox, &["--token", "a", "-"]).expect(2),
        test(&sandbox, &["token"]).expect(2),
        test(&sandbox, &["--header", "novalue"]).expect(2),
        test(&sandbox, &["--header", ":path: /x"]).expect(2),
        sandbox
            .run([
                "test-token",
                "--policy",
                "policy.json",
                "--jwks",
                "jwks.json",
                "--now",
                "1960-01-01T00:00:00Z",
            ])
            .expect(2),
    ];
    insta::assert_snapshot!(transcripts(&runs));
    let run = sandbox
        .run_with(POLICY, ["test-token", "--policy", "-", "-"])
        .expect(2);
    assert_eq!(
        run.stderr,
        "error: the policy and the token cannot both come from standard input\n"
    );
}

/// A filter that does this when it is configured, and that for the headers of a request.
fn filter(on_configure: &str, on_request_headers: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
          (import "env" "proxy_send_local_response"
            (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 64) "out of tea")
          (data (i32.const 128) "nexus.decision {{\"decision\":\"allow\"}}")
          (func (export "proxy_abi_version_0_2_1"))
          (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
          (func (export "proxy_on_configure") (param i32 i32) (result i32) {on_configure})
          (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {on_request_headers}))"#
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn a_filter_that_fails_ends_with_4() {
    let sandbox = sandbox();
    let tea = "(drop (call $log (i32.const 3) (i32.const 64) (i32.const 10)))";
    let refuse = format!("{tea} (i32.const 0)");
    let reply = "(drop (call $reply (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0) \
                 (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))";
    let allow = "(drop (call $log (i32.const 1) (i32.const 128) (i32.const 35)))";
    let fine = "(i32.const 1)";
    let cases = [
        ("refuses", filter(&refuse, "(i32.const 0)")),
        ("traps-at-start", filter("unreachable", "(i32.const 0)")),
        ("traps", filter(fine, &format!("{tea} unreachable"))),
        ("pauses", filter(fine, "(i32.const 1)")),
        ("says-nothing", filter(fine, "(i32.const 0)")),
        (
            "lies",
            filter(fine, &format!("{allow} {reply} (i32.const 1)")),
        ),
    ];
    let mut sandbox = sandbox;
    for (name, wasm) in &cases {
        sandbox = sandbox.file(name, wasm);
    }
    let runs: Vec<Run> = cases
        .iter()
        .map(|(name, _)| test(&sandbox, &["--wasm", name]).expect(4))
        .collect();
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn everything_that_the_filter_logs_is_shown_on_request() {
    let run = test_minted(&sandbox(), &[], &["--verbose"]).expect(0);
    assert!(
        run.stderr.contains("debug nexus.decision {"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("info  nexus: "), "{}", run.stderr);
}

#[test]
fn an_answer_takes_less_than_300_ms() {
    let sandbox = sandbox();
    std::fs::write(sandbox.path("token"), mint(&sandbox, &[])).unwrap();
    // The best of several: other tests run at the same time.
    let best = (0..10)
        .map(|_| {
            let start = Instant::now();
            test(&sandbox, &["--token-file", "token"]).expect(0);
            start.elapsed()
        })
        .min();
    assert!(best.unwrap() < Duration::from_millis(300), "{best:?}");
}

#[test]
fn a_token_of_every_algorithm_passes_the_filter_and_not_with_another_key() {
    let sandbox = sandbox();
    let test = |variable: &str, token: &str| {
        sandbox.run([
            "test-token",
            "--policy",
            "policy.json",
            "--jwks",
            "jwks.json",
            "--now",
            NOW,
            "--env",
            variable,
            "--token",
            token,
        ])
    };
    for algorithm in nexus_core::jose::Algorithm::ALL {
        let name = algorithm.name();
        let policy = POLICY.replace("PORT", "9").replace("HS256", name);
        let mint = |key: &str, claims: &[&str]| {
            let args = [
                "mint-token",
                "--key",
                key,
                "--no-kid",
                "--now",
                NOW,
                "--sub",
                "alice",
            ];
            sandbox.run(args.iter().chain(claims)).line()
        };
        let keygen = ["keygen", "--alg", name, "--force", "-o"];
        if algorithm.is_symmetric() {
            std::fs::write(sandbox.path("policy.json"), policy).unwrap();
            let secret = |file: &str| {
                sandbox
                    .run(keygen.iter().chain(&[file, "--format", "jwk"]))
                    .expect(0);
                let jwk: serde_json::Value = serde_json::from_str(&sandbox.read(file)).unwrap();
                let bytes = URL_SAFE_NO_PAD.decode(jwk["k"].as_str().unwrap()).unwrap();
                format!("JWT_SECRET={}", String::from_utf8(bytes).unwrap())
            };
            let (one, other) = (secret("one.json"), secret("other.json"));
            let token = mint("one.json", &["--iss", "internal"]);
            test(&one, &token).expect(0);
            test(&other, &token).expect(1);
        } else {
            let claims = ["--iss", "https://idp.example.com", "--aud", "my-app"];
            let secret = format!("JWT_SECRET={SECRET}");
            sandbox.run(keygen.iter().chain(&["other.json"])).expect(0);
            sandbox
                .run(keygen.iter().chain(&["one.json", "--jwks", "jwks.json"]))
                .expect(0);
            test(&secret, &mint("one.json", &claims)).expect(0);
            let run = test(&secret, &mint("other.json", &claims)).expect(1);
            assert!(
                run.stdout.starts_with("DENY 401 signature_invalid\n"),
                "{name}: {}",
                run.stdout
            );
        }
    }
}

/// The policy's issuer says where its keys are, and its tokens may be revoked.
const FETCHING_POLICY: &str = r#"{
  "slug": "my-app", "gateway_path": "/my-app",
  "default_policy": {
    "auth": {
      "auth_type": "jwt",
      "issuer": "https://idp.example.com", "audience": "my-app", "oidc_discovery": true,
      "revocation_url": "https://lists.example.com/revoked.bin"
    }
  }
}
"#;

#[test]
fn discovery_and_revocation_are_answered_from_files() {
    let sandbox = sandbox()
        .file("policy.json", FETCHING_POLICY)
        .file("revoked.json", r#"{"jti": ["stolen"]}"#)
        .file("broken.json", r#"{"jtis": ["stolen"]}"#);
    sandbox
        .run(["compile-revocations", "revoked.json", "-o", "revoked.bin"])
        .expect(0);
    let good = mint(&sandbox, &[]);
    let revoked = mint(&sandbox, &["--jti", "stolen"]);
    let run = |token: &str, more: &[&str]| {
        let fixed = ["test-token", "--policy", "policy.json", "--now", NOW, "-"];
        sandbox.run_with(token, fixed.iter().chain(more))
    };
    let (jwks, list) = (["--jwks", "jwks.json"], ["--revocations", "revoked.json"]);
    let runs = [
        run(&good, &[jwks, list].concat()).expect(0),
        run(&revoked, &[jwks, list].concat()).expect(1),
        run(&revoked, &[jwks, ["--revocations", "revoked.bin"]].concat()).expect(1),
        // What is not given is not there, and nobody passes without it.
        run(&good, &jwks).expect(1),
        run(&good, &list).expect(1),
        run(&good, &[jwks, ["--revocations", "broken.json"]].concat()).expect(3),
    ];
    insta::assert_snapshot!(without_pauses(&transcripts(&runs)));
}

/// The pauses behind failures are drawn at random.
fn without_pauses(transcript: &str) -> String {
    const BEFORE: &str = "next try in ";
    let mut parts = transcript.split(BEFORE);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked.push_str(BEFORE);
        masked.push('N');
        masked.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    masked
}
