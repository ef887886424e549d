use nexus_core::jose::Algorithm;
use nexus_core::json;

use crate::sandbox::{Sandbox, mode, transcripts};

#[test]
fn files_are_written_with_the_right_permissions() {
    let sandbox = Sandbox::new();
    let run = sandbox.run([
        "keygen",
        "--alg",
        "ES256",
        "--kid",
        "first",
        "-o",
        "key.json",
        "--jwks",
        "jwks.json",
        "--public-pem",
        "public.pem",
    ]);
    insta::assert_snapshot!(run.transcript());
    assert_eq!(mode(&sandbox.path("key.json")), 0o600);
    assert_eq!(mode(&sandbox.path("jwks.json")) & 0o400, 0o400);
    let set = sandbox.read("jwks.json");
    let set = json::parse(set.as_bytes()).unwrap();
    let keys = set.member("keys").unwrap().as_array().unwrap();
    let names: Vec<&str> = keys[0]
        .as_object()
        .unwrap()
        .iter()
        .map(|member| member.name.as_ref())
        .collect();
    assert_eq!(names, ["kty", "kid", "use", "alg", "crv", "x", "y"]);
}

#[test]
fn no_key_set_has_a_private_member() {
    let sandbox = Sandbox::new();
    for algorithm in Algorithm::ALL {
        if algorithm.is_symmetric() {
            continue;
        }
        let run = sandbox.run([
            "keygen",
            "--alg",
            algorithm.name(),
            "-o",
            "key.json",
            "--jwks",
            "-",
            "--force",
        ]);
        let run = run.expect(0);
        let set = json::parse(run.stdout.as_bytes()).unwrap();
        let keys = set.member("keys").unwrap().as_array().unwrap();
        assert_eq!(keys.len(), 1);
        for name in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(keys[0].member(name).is_none(), "{algorithm}: {name}");
        }
    }
}

#[test]
fn nothing_is_overwritten_unasked() {
    let sandbox = Sandbox::new()
        .file("key.json", "precious")
        .file("jwks.json", "precious");
    let runs = [
        sandbox
            .run(["keygen", "--alg", "EdDSA", "-o", "key.json"])
            .expect(2),
        sandbox
            .run([
                "keygen",
                "--alg",
                "EdDSA",
                "-o",
                "new.json",
                "--jwks",
                "jwks.json",
            ])
            .expect(2),
        sandbox
            .run([
                "keygen",
                "--alg",
                "EdDSA",
                "-o",
                "new.json",
                "--jwks",
                "jwks.json",
                "--append",
            ])
            .expect(3),
    ];
    insta::assert_snapshot!(transcripts(&runs));
    assert_eq!(sandbox.read("key.json"), "precious");
    assert_eq!(sandbox.read("jwks.json"), "precious");
    assert_eq!(sandbox.names(), ["jwks.json", "key.json"]);

    let run = sandbox
        .run(["keygen", "--alg", "EdDSA", "-o", "key.json", "--force"])
        .expect(0);
    assert!(
        run.stderr.starts_with("wrote key.json (EdDSA key `"),
        "{}",
        run.stderr
    );
    assert_eq!(mode(&sandbox.path("key.json")), 0o600);
}

#[test]
fn a_key_is_added_to_a_set_that_stays_as_it_is() {
    let sandbox = Sandbox::new().file(
        "jwks.json",
        r#"{"keys": [{"kty": "unheard-of", "kid": "old", "n": 1.50}]}"#,
    );
    let append = |kid: &str| {
        sandbox.run([
            "keygen",
            "--alg",
            "EdDSA",
            "-o",
            "key.json",
            "--jwks",
            "jwks.json",
            "--append",
            "--kid",
            kid,
            "--force",
        ])
    };
    append("new").expect(0);
    let text = sandbox.read("jwks.json");
    let set = json::parse(text.as_bytes()).unwrap();
    let keys = set.member("keys").unwrap().as_array().unwrap();
    assert_eq!(
        keys[0].to_string(),
        r#"{"kty":"unheard-of","kid":"old","n":1.50}"#
    );
    assert_eq!(keys[1].member("kid").unwrap().as_str(), Some("new"));

    let run = append("old").expect(3);
    insta::assert_snapshot!(run.transcript());
    assert_eq!(sandbox.read("jwks.json"), text);
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let sandbox = Sandbox::new();
    let runs = [
        sandbox
            .run(["keygen", "--alg", "ES256", "--bits", "2048"])
            .expect(2),
        sandbox
            .run(["keygen", "--alg", "RS256", "--bits", "1024"])
            .expect(2),
        sandbox
            .run(["keygen", "--alg", "HS256", "--jwks", "jwks.json", "-o", "k"])
            .expect(2),
        sandbox
            .run(["keygen", "--alg", "HS256", "-o", "key.pem"])
            .expect(2),
        sandbox
            .run(["keygen", "--alg", "ES256", "--format", "secret"])
            .expect(2),
        sandbox
            .run(["keygen", "--alg", "ES256", "--jwks", "-"])
            .expect(2),
        sandbox
            .run(["keygen", "--alg", "ES256", "--append"])
            .expect(2),
        sandbox
            .run(["keygen", "--alg", "ES256", "-o", "no/such/folder"])
            .expect(4),
    ];
    insta::assert_snapshot!(transcripts(&runs));
    assert_eq!(sandbox.names(), [""; 0]);
}

#[test]
fn a_secret_is_text_with_as_many_random_bits_as_the_hash() {
    let sandbox = Sandbox::new();
    for (algorithm, characters) in [("HS256", 43), ("HS384", 64), ("HS512", 86)] {
        let run = sandbox.run(["keygen", "--alg", algorithm, "--format", "secret"]);
        let secret = run.line();
        assert_eq!(secret.len(), characters, "{algorithm}");
        assert!(
            secret
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
            "{algorithm}"
        );
    }
}

#[test]
fn two_keys_are_never_the_same() {
    let sandbox = Sandbox::new();
    for algorithm in ["ES256", "EdDSA", "HS256"] {
        let one = sandbox.run(["keygen", "--alg", algorithm]).line();
        let other = sandbox.run(["keygen", "--alg", algorithm]).line();
        assert_ne!(one, other);
    }
}
