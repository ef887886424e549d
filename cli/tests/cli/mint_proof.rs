use nexus_core::jose::dpop::{ProofContext, ProofError, VerifiedProof, verify_proof};
use nexus_core::jose::{Claims, Sha256Digest, UntrustedToken};
use nexus_core::target_uri::TargetUri;
use nexus_core::time::Timestamp;

use crate::sandbox::{ED25519_JWK, NOW, Sandbox, transcripts};

const URL: &str = "https://api.example.com/orders";

/// What the filter's own check says about a proof for a `GET` of [`URL`] at [`NOW`].
fn verified(proof: &str, token: &str, key: Sha256Digest) -> Result<VerifiedProof, ProofError> {
    let uri = TargetUri::parse(URL);
    let context = ProofContext {
        method: b"GET",
        uri: uri.as_ref(),
        access_token: token.as_bytes(),
        key,
        now: Timestamp::from_seconds(NOW.parse().unwrap()),
        max_age: 1,
        leeway: 0,
    };
    verify_proof(proof.as_bytes(), &context)
}

/// What a token is bound to by `jkt`.
fn bound_key(token: &str) -> Sha256Digest {
    let token = UntrustedToken::parse(token.as_bytes()).unwrap();
    let claims: Claims<'_> = token.claims().unwrap();
    let jkt = claims.value("cnf").unwrap().member("jkt").unwrap();
    Sha256Digest::from_base64url(jkt.as_str().unwrap()).unwrap()
}

#[test]
fn a_proof_of_every_kind_of_key_is_one_for_the_token_that_is_bound_to_it() {
    let sandbox = Sandbox::new().file("key.json", ED25519_JWK);
    for alg in [
        "RS256", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA",
    ] {
        let client = format!("{alg}.json");
        sandbox
            .run(["keygen", "--alg", alg, "-o", &client])
            .expect(0);
        let mint = ["mint-token", "--key", "key.json", "--now", NOW];
        let token = sandbox
            .run(mint.iter().chain(&["--bind-key", client.as_str()]))
            .line();
        let prove = |url: &str| {
            let args = [
                "mint-proof",
                "--key",
                &client,
                "--url",
                url,
                "--token",
                &token,
                "--now",
                NOW,
            ];
            sandbox.run(args).line()
        };
        let key = bound_key(&token);
        let first = verified(&prove(URL), &token, key).unwrap();
        let second = verified(&prove("https://api.example.com/orders?x=1#y"), &token, key).unwrap();
        assert_ne!(first.digest, second.digest, "every proof is a new one");
        assert_eq!(
            verified(&prove("https://api.example.com/"), &token, key),
            Err(ProofError::UriMismatch {
                proof: Some("https://api.example.com/".to_owned()),
                request: Some(URL.to_owned()),
            })
        );
        assert_eq!(
            verified(&prove(URL), "another", key),
            Err(ProofError::TokenMismatch)
        );
    }
}

/// The example of RFC 8037 A.3 for the thumbprint; EdDSA signs the same text in the same way every time.
#[test]
fn the_same_arguments_give_the_same_proof() {
    let sandbox = Sandbox::new()
        .file("key.json", ED25519_JWK)
        .file("token", "a.b.c\n");
    let bound = [
        "mint-token",
        "--key",
        "key.json",
        "--now",
        NOW,
        "--bind-key",
        "key.json",
    ];
    let run = sandbox.run(bound).expect(0);
    assert_eq!(
        bound_key(run.stdout.trim_end()).to_base64url(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    let args = [
        "mint-proof",
        "--key",
        "key.json",
        "--url",
        URL,
        "--token-file",
        "token",
        "--method",
        "POST",
        "--jti",
        "one",
        "--now",
        NOW,
    ];
    let run = sandbox.run(args).expect(0);
    let proof = UntrustedToken::parse(run.stdout.trim_end().as_bytes()).unwrap();
    insta::assert_snapshot!(format!(
        "{}\n{}",
        run.transcript(),
        std::str::from_utf8(proof.payload()).unwrap()
    ));
    assert_eq!(run.stdout, sandbox.run(args).stdout);
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let sandbox = Sandbox::new().file("key.json", ED25519_JWK).file(
        "secret.json",
        r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
    );
    let prove = |more: &[&str]| {
        let args = ["mint-proof", "--url", URL];
        sandbox.run(args.iter().chain(more))
    };
    let runs = [
        prove(&["--key", "key.json"]).expect(2),
        prove(&["--key", "key.json", "--token", "a", "--token-file", "b"]).expect(2),
        prove(&["--key", "secret.json", "--token", "a"]).expect(2),
        prove(&["--key", "key.json", "--token", "a", "--alg", "ES256"]).expect(2),
        prove(&["--key", "-", "--token-file", "-"]).expect(2),
        prove(&["--key", "missing.json", "--token", "a"]).expect(3),
        sandbox
            .run([
                "mint-token",
                "--key",
                "key.json",
                "--bind-key",
                "secret.json",
            ])
            .expect(2),
        sandbox
            .run(["mint-token", "--key", "-", "--bind-key", "-"])
            .expect(2),
    ];
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn a_url_that_no_request_has_is_warned_about() {
    let sandbox = Sandbox::new().file("key.json", ED25519_JWK);
    let run = sandbox
        .run([
            "mint-proof",
            "--key",
            "key.json",
            "--token",
            "a",
            "--url",
            "/orders",
        ])
        .expect(0);
    insta::assert_snapshot!(run.stderr);
}

#[test]
fn test_token_tells_what_a_proof_is_for_and_what_the_request_is() {
    let policy = r#"{
  "name": "Orders", "slug": "orders", "hosts": ["api.example.com"], "gateway_path": "/orders",
  "default_policy": {"auth": {
    "auth_type": "jwt", "issuer": "https://idp.example.com", "audience": "orders",
    "jwks_url": "https://idp.example.com/jwks.json", "dpop": "required"
  }}
}"#;
    let sandbox = Sandbox::new().file("policy.json", policy);
    sandbox
        .run([
            "keygen",
            "--alg",
            "ES256",
            "-o",
            "issuer.json",
            "--jwks",
            "jwks.json",
        ])
        .expect(0);
    sandbox
        .run(["keygen", "--alg", "ES256", "-o", "client.json"])
        .expect(0);
    let mint = [
        "mint-token",
        "--key",
        "issuer.json",
        "--bind-key",
        "client.json",
        "--iss",
        "https://idp.example.com",
        "--aud",
        "orders",
        "--now",
        NOW,
    ];
    let token = sandbox.run(mint).line();
    let proof = sandbox
        .run([
            "mint-proof",
            "--key",
            "client.json",
            "--url",
            URL,
            "--token",
            &token,
            "--now",
            NOW,
        ])
        .line();
    let test = |scheme: &str, more: &[&str]| {
        let authorization = format!("Authorization: {scheme} {token}");
        let proof = format!("DPoP: {proof}");
        let args = [
            "test-token",
            "--policy",
            "policy.json",
            "--jwks",
            "jwks.json",
            "--header",
            &authorization,
            "--header",
            &proof,
            "--now",
            NOW,
        ];
        sandbox.run(args.iter().chain(more))
    };
    let https = ["--header", "x-forwarded-proto: https"];
    let secret = "/orders/7?secret=hidden";
    test("DPoP", &https).expect(0);
    for (scheme, more, expected, hint) in [
        (
            "DPoP",
            [].as_slice(),
            "the proof is for `https://api.example.com/orders`, the request for `http://api.example.com/orders`",
            "hint: scheme, host, port and path count: ",
        ),
        (
            "DPoP",
            &[https[0], https[1], "--path", secret],
            "the proof is for `https://api.example.com/orders`, the request for `https://api.example.com/orders/7`",
            "hint: scheme, host, port and path count: ",
        ),
        (
            "DPoP",
            &[https[0], https[1], "--method", "POST"],
            "the proof is for the method `GET`, the request has `POST`",
            "hint: scheme, host, port and path count: ",
        ),
        (
            "Bearer",
            &https,
            "the token is bound to a key, but is not under the scheme `DPoP`",
            "hint: the token goes under its own scheme, with a proof beside it: ",
        ),
    ] {
        let run = transcripts(&[test(scheme, more).expect(1)]);
        assert!(run.contains(expected), "{run}");
        assert!(run.contains(hint), "{run}");
    }
}
