use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus_core::jose::Algorithm;
use ring::signature::{self as verify, UnparsedPublicKey, VerificationAlgorithm};

use crate::sandbox::{ED25519_JWK, NOW, Run, Sandbox, transcripts};

fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// Header and claims as they were written.
fn parts(token: &str) -> [String; 2] {
    let mut parts = token.split('.').map(decode);
    [(); 2].map(|()| String::from_utf8(parts.next().unwrap()).unwrap())
}

fn ed25519() -> Sandbox {
    Sandbox::new().file("key.json", ED25519_JWK)
}

fn mint(sandbox: &Sandbox, more: &[&str]) -> Run {
    let args = ["mint-token", "--key", "key.json", "--now", NOW];
    sandbox.run(args.iter().chain(more))
}

#[test]
fn a_token_of_every_kind_of_option() {
    let sandbox = ed25519().file(
        "claims.json",
        r#"{"sub": "bob", "scope": "a b", "n": 1.50, "exp": 5, "nested": {"x": [null]}}"#,
    );
    let cases: &[&[&str]] = &[
        &[],
        &[
            "--iss",
            "https://idp.example.com",
            "--sub",
            "123",
            "--aud",
            "app",
            "--jti",
            "j",
        ],
        &["--aud", "app", "--aud", "api", "--no-iat", "--no-exp"],
        &[
            "--expires-in=-5m",
            "--not-before",
            "-1h",
            "--issued-at",
            "2023-11-14T21:00:00Z",
        ],
        &["--exp", "+90s", "--not-before", "1699999999"],
        &[
            "--claim",
            "admin=true",
            "--claim",
            "name=Ann \"A\" B",
            "--claim",
            "roles=[\"a\"]",
            "--claim",
            "zip=007",
        ],
        &[
            "--claims-file",
            "claims.json",
            "--sub",
            "alice",
            "--claim",
            "n=2",
        ],
        &["--no-kid", "--typ", ""],
        &[
            "--kid",
            "other",
            "--typ",
            "at+jwt",
            "--header",
            "crit=[\"exp\"]",
            "--header",
            "x=y",
        ],
    ];
    let mut told = String::new();
    for options in cases {
        let token = mint(&sandbox, options).line();
        let [header, claims] = parts(&token);
        told += &format!("{}\n  {header}\n  {claims}\n", options.join(" "));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_deterministic_algorithm_gives_the_same_token_every_time() {
    let sandbox = ed25519();
    let run = mint(&sandbox, &["--sub", "alice"]).expect(0);
    insta::assert_snapshot!(run.transcript());
    assert_eq!(run.stdout, mint(&sandbox, &["--sub", "alice"]).stdout);
}

#[test]
fn claims_and_keys_come_from_standard_input() {
    let sandbox = ed25519();
    let args = [
        "mint-token",
        "--key",
        "key.json",
        "--claims-file",
        "-",
        "--no-iat",
        "--no-exp",
    ];
    let token = sandbox.run_with(r#"{"a":1}"#, args).line();
    assert_eq!(parts(&token)[1], r#"{"a":1}"#);
    let args = ["mint-token", "--key", "-", "--no-iat", "--no-exp"];
    let token = sandbox.run_with(ED25519_JWK, args).line();
    assert_eq!(parts(&token)[1], "{}");
}

/// The public key as the `ring` library takes it: what lies behind the header of the PEM block.
fn public_bytes(pem: &str, algorithm: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .unwrap();
    // SubjectPublicKeyInfo of these keys has a fixed length up to the key.
    let header = match algorithm {
        "ES256" => 26,
        "ES384" => 23,
        "EdDSA" => 12,
        _ => 24,
    };
    der[header..].to_vec()
}

/// Every algorithm that the `ring` library verifies; it shares no code with what signs here.
#[test]
fn signatures_are_accepted_by_an_independent_library() {
    let cases: [(&str, &dyn VerificationAlgorithm); 9] = [
        ("RS256", &verify::RSA_PKCS1_2048_8192_SHA256),
        ("RS384", &verify::RSA_PKCS1_2048_8192_SHA384),
        ("RS512", &verify::RSA_PKCS1_2048_8192_SHA512),
        ("PS256", &verify::RSA_PSS_2048_8192_SHA256),
        ("PS384", &verify::RSA_PSS_2048_8192_SHA384),
        ("PS512", &verify::RSA_PSS_2048_8192_SHA512),
        ("ES256", &verify::ECDSA_P256_SHA256_FIXED),
        ("ES384", &verify::ECDSA_P384_SHA384_FIXED),
        ("EdDSA", &verify::ED25519),
    ];
    for (algorithm, verification) in cases {
        for key in ["key.json", "key.pem"] {
            let sandbox = Sandbox::new();
            sandbox
                .run([
                    "keygen",
                    "--alg",
                    algorithm,
                    "-o",
                    key,
                    "--public-pem",
                    "public.pem",
                ])
                .expect(0);
            let token = sandbox
                .run([
                    "mint-token",
                    "--key",
                    key,
                    "--alg",
                    algorithm,
                    "--sub",
                    "alice",
                ])
                .line();
            let (message, signature) = token.rsplit_once('.').unwrap();
            let public = public_bytes(&sandbox.read("public.pem"), algorithm);
            let public = UnparsedPublicKey::new(verification, public);
            let signature = decode(signature);
            assert!(
                public.verify(message.as_bytes(), &signature).is_ok(),
                "{algorithm} {key}"
            );
            assert!(
                public.verify(b"other", &signature).is_err(),
                "{algorithm} {key}"
            );
        }
    }
}

#[test]
fn secrets_sign_as_an_independent_library_does() {
    for (algorithm, hmac) in [
        ("HS256", ring::hmac::HMAC_SHA256),
        ("HS384", ring::hmac::HMAC_SHA384),
        ("HS512", ring::hmac::HMAC_SHA512),
    ] {
        let sandbox = Sandbox::new();
        let secret = sandbox
            .run(["keygen", "--alg", algorithm, "--format", "secret"])
            .line();
        let sandbox = sandbox.variable("SECRET", &secret);
        let token = sandbox
            .run(["mint-token", "--secret-env", "SECRET", "--alg", algorithm])
            .line();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let key = ring::hmac::Key::new(hmac, secret.as_bytes());
        ring::hmac::verify(&key, message.as_bytes(), &decode(signature)).unwrap();
    }
}

#[test]
fn the_algorithm_is_that_of_the_key() {
    for algorithm in Algorithm::ALL {
        let sandbox = Sandbox::new();
        sandbox
            .run([
                "keygen",
                "--alg",
                algorithm.name(),
                "--kid",
                "k",
                "-o",
                "key.json",
            ])
            .expect(0);
        let token = mint(&sandbox, &[]).line();
        assert_eq!(
            parts(&token)[0],
            format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"k"}}"#)
        );
    }
}

#[test]
fn the_key_of_a_set_is_chosen_by_its_kid() {
    let set = format!(
        r#"{{"keys":[{ED25519_JWK},{{"kty":"oct","kid":"s","k":"c2VjcmV0"}},{{"kty":"EC","kid":"pub"}}]}}"#
    );
    let sandbox = Sandbox::new().file("key.json", set);
    let token = mint(&sandbox, &["--kid", "s"]).expect(0);
    assert!(
        token.stderr.contains("the secret has 6 bytes"),
        "{}",
        token.stderr
    );
    assert_eq!(
        parts(token.stdout.trim())[0],
        r#"{"alg":"HS256","typ":"JWT","kid":"s"}"#
    );
    let runs = [
        mint(&sandbox, &[]).expect(3),
        mint(&sandbox, &["--kid", "x"]).expect(3),
        mint(&sandbox, &["--kid", "pub"]).expect(3),
    ];
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn what_cannot_be_signed_with_is_refused_with_a_reason() {
    let public =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let wrong_x = ED25519_JWK.replace("11qY", "22qY");
    let cases: &[(&str, &str)] = &[
        ("empty", ""),
        ("text", "secret"),
        ("public", public),
        ("set", &format!(r#"{{"keys":[{public}]}}"#)),
        ("no-kty", r#"{"d":"AA"}"#),
        ("wrong-x", &wrong_x),
        ("short-d", r#"{"kty":"EC","crv":"P-256","d":"AA"}"#),
        (
            "zero-d",
            r#"{"kty":"EC","crv":"P-256","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
        ),
        ("padded", r#"{"kty":"oct","k":"c2VjcmV0cw=="}"#),
        ("number", r#"{"kty":"oct","k":7}"#),
        ("curve", r#"{"kty":"OKP","crv":"X25519","d":"AA"}"#),
        (
            "alg",
            &ED25519_JWK.replace("\"kid\"", "\"alg\":\"ES256\",\"kid\""),
        ),
        ("broken", "{\"kty\":\"oct\",\n \"k\":}"),
        (
            "pem",
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
        ),
    ];
    let runs: Vec<Run> = cases
        .iter()
        .map(|(name, text)| {
            Sandbox::new()
                .file(name, text)
                .run(["mint-token", "--key", name])
                .expect(3)
        })
        .collect();
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let sandbox = ed25519()
        .file("claims.json", "{\"a\": 1,\n \"á\": tru}")
        .file("list", "[1]");
    let runs = [
        mint(&sandbox, &["--alg", "RS256"]).expect(2),
        mint(&sandbox, &["--claim", "a=1", "--claim", "a=2"]).expect(2),
        mint(&sandbox, &["--claim", "novalue"]).expect(2),
        mint(&sandbox, &["--exp", "tomorrow"]).expect(2),
        mint(&sandbox, &["--expires-in", "1h", "--exp", "now"]).expect(2),
        mint(&sandbox, &["--claims-file", "claims.json"]).expect(3),
        mint(&sandbox, &["--claims-file", "list"]).expect(3),
        mint(&sandbox, &["--claims-file", "missing"]).expect(3),
        sandbox
            .run(["mint-token", "--secret-env", "NEXUSCTL_TEST_UNSET"])
            .expect(3),
        sandbox
            .run(["mint-token", "--key", "-", "--claims-file", "-"])
            .expect(2),
    ];
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn a_header_that_lies_about_the_algorithm_is_possible_with_a_warning() {
    let run = mint(&ed25519(), &["--header", "alg=none"]).expect(0);
    assert_eq!(
        parts(run.stdout.trim())[0],
        r#"{"alg":"none","typ":"JWT","kid":"rfc8037"}"#
    );
    assert_eq!(
        run.stderr,
        "warning: the header says another `alg` than EdDSA, which the token is signed with\n"
    );
}
