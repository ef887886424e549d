use std::fs;

use crate::sandbox::{ED25519_JWK, Run, Sandbox, mode, transcripts};

/// A policy as a team would write it: one app, its keys behind a URL.
const POLICY: &str = r#"{
  "name": "My SSO App",
  "slug": "my-sso-app",
  "gateway_path": "/my-app",
  "routing_mode": "pass_through",
  "default_policy": {
    "auth": {
      "auth_type": "jwt",
      "required": true,
      "jwks_url": "https://idp.example.com/.well-known/jwks.json",
      "issuer": "https://idp.example.com",
      "audience": "my-app",
      "required_claims": ["sub", "email"],
      "forward_claims_as_headers": { "sub": "X-User-Id", "email": "X-User-Email" }
    }
  }
}
"#;

fn with_secret(variable: &str) -> String {
    POLICY.replace(
        r#""jwks_url": "https://idp.example.com/.well-known/jwks.json""#,
        &format!(r#""jwt_secret_env": "{variable}""#),
    )
}

fn compile(sandbox: &Sandbox, more: &[&str]) -> Run {
    sandbox.run(["compile-policy", "policy.json"].iter().chain(more))
}

#[test]
fn a_policy_is_compiled_and_its_needs_are_told() {
    let sandbox = Sandbox::new().file("policy.json", POLICY);
    let runs = [
        compile(&sandbox, &[]).expect(0),
        compile(&sandbox, &["--check"]).expect(0),
        compile(&sandbox, &["-o", "nexus.json"]).expect(0),
        compile(
            &sandbox,
            &["--check", "--cluster", "IDP.example.com=keycloak"],
        )
        .expect(0),
        compile(
            &sandbox,
            &["--check", "--istio", "--cluster", "other.example.com=x"],
        )
        .expect(0),
    ];
    insta::assert_snapshot!(transcripts(&runs));
    assert_eq!(sandbox.read("nexus.json"), runs[0].stdout);
    assert_eq!(sandbox.names(), ["nexus.json", "policy.json"]);
}

#[test]
fn the_same_policy_gives_the_same_bytes_from_a_file_and_from_standard_input() {
    let sandbox = Sandbox::new().file("policy.json", POLICY);
    let from_file = compile(&sandbox, &[]).expect(0).stdout;
    let piped = sandbox
        .run_with(POLICY, ["compile-policy", "-", "-o", "-"])
        .expect(0);
    assert_eq!(piped.stdout, from_file);
}

#[test]
fn environment_variables_are_named() {
    let sandbox = Sandbox::new().file("policy.json", with_secret("JWT_SECRET"));
    let runs = [
        compile(&sandbox, &["--check"]).expect(0),
        compile(&sandbox, &["--check", "--istio"]).expect(0),
    ];
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn everything_that_is_wrong_is_shown_and_nothing_is_written() {
    let broken = POLICY
        .replace("required_claims", "requird_claims")
        .replace("pass_through", "passthrough")
        .replace("\"required\": true", "\"required\": \"yes\"");
    let sandbox = Sandbox::new()
        .file("policy.json", broken)
        .file("nexus.json", "the configuration of yesterday\n");
    let runs = [
        compile(&sandbox, &["-o", "nexus.json"]).expect(3),
        compile(&sandbox, &["-o", "new.json"]).expect(3),
        compile(&sandbox, &[]).expect(3),
    ];
    insta::assert_snapshot!(runs[0].transcript());
    assert!(
        runs.iter()
            .all(|run| run.stdout.is_empty() && run.stderr == runs[0].stderr)
    );
    assert_eq!(
        sandbox.read("nexus.json"),
        "the configuration of yesterday\n"
    );
    assert_eq!(sandbox.names(), ["nexus.json", "policy.json"]);
}

#[test]
fn what_is_not_json_is_shown_with_its_place() {
    let sandbox = Sandbox::new();
    let runs: Vec<Run> = [
        "",
        "{\n  \"name\": \"a\",\n}\n",
        "[]",
        "{\"slug\": \"a\", \"slug\": \"b\"}",
    ]
    .iter()
    .map(|text| {
        fs::write(sandbox.path("policy.json"), text).unwrap();
        compile(&sandbox, &["--check"]).expect(3)
    })
    .collect();
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn files_are_read_from_the_folder_of_the_policy() {
    let policy = POLICY.replace(
        r#""jwks_url": "https://idp.example.com/.well-known/jwks.json""#,
        r#""jwks_file": "keys.json""#,
    );
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("team")).unwrap();
    fs::write(sandbox.path("team/policy.json"), policy).unwrap();
    let missing = sandbox
        .run(["compile-policy", "team/policy.json", "--check"])
        .expect(3);
    insta::assert_snapshot!(missing.transcript());

    sandbox
        .run([
            "keygen",
            "--alg",
            "ES256",
            "-o",
            "key.json",
            "--jwks",
            "team/keys.json",
        ])
        .expect(0);
    let run = sandbox
        .run(["compile-policy", "team/policy.json"])
        .expect(0);
    let key = sandbox.read("team/keys.json");
    let set: serde_json::Value = serde_json::from_str(&key).unwrap();
    let x = set["keys"][0]["x"].as_str().unwrap();
    assert!(run.stdout.contains(x), "{}", run.stdout);
}

#[test]
fn a_file_that_is_replaced_keeps_its_permissions_and_a_link_stays_a_link() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let sandbox = Sandbox::new()
        .file("policy.json", POLICY)
        .file("nexus.json", "old");
    fs::set_permissions(
        sandbox.path("nexus.json"),
        fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    symlink("nexus.json", sandbox.path("link.json")).unwrap();
    compile(&sandbox, &["-o", "link.json"]).expect(0);
    assert_eq!(mode(&sandbox.path("nexus.json")), 0o640);
    assert!(sandbox.path("link.json").is_symlink());
    assert!(sandbox.read("nexus.json").starts_with('{'));
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    let sandbox = Sandbox::new().file("policy.json", POLICY);
    compile(&sandbox, &["-o", "/dev/null"]).expect(0);
    assert!(!std::path::Path::new("/dev/null").is_file());
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let sandbox = Sandbox::new().file("policy.json", POLICY);
    let runs = [
        compile(&sandbox, &["-o", "./policy.json"]).expect(2),
        compile(&sandbox, &["--check", "-o", "x"]).expect(2),
        compile(&sandbox, &["--cluster", "https://idp.example.com=x"]).expect(2),
        compile(&sandbox, &["--cluster", "idp.example.com"]).expect(2),
        compile(&sandbox, &["--cluster", "a=x", "--cluster", "A=y"]).expect(2),
        sandbox.run(["compile-policy", "missing.json"]).expect(3),
    ];
    insta::assert_snapshot!(transcripts(&runs));
    assert_eq!(sandbox.read("policy.json"), POLICY);
}

#[test]
fn a_secret_in_a_line_that_is_shown_stays_hidden() {
    let sandbox = Sandbox::new().file(
        "key.json",
        ED25519_JWK.replace("}", ",,}").replace('\n', ""),
    );
    let run = sandbox.run(["mint-token", "--key", "key.json"]).expect(3);
    insta::assert_snapshot!(run.transcript());
    assert!(!run.stderr.contains("nWGxne"), "{}", run.stderr);
}

#[test]
fn generated_pages_come_from_the_code() {
    let sandbox = Sandbox::new();
    let schema = sandbox.run(["docs", "policy-schema"]).expect(0).stdout;
    assert!(
        serde_json::from_str::<serde_json::Value>(&schema)
            .unwrap()
            .is_object()
    );
    let reference = sandbox.run(["docs", "policy-reference"]).expect(0).stdout;
    assert!(reference.contains("forward_claims_as_headers"));
    let reasons = sandbox.run(["docs", "deny-reasons"]).expect(0).stdout;
    assert!(reasons.contains("token_expired"));
}
