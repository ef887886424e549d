use std::fs;
use std::path::Path;

use crate::sandbox::{Run, Sandbox, transcripts};

/// A filter with a field that has no counterpart.
const ENVOY: &str = r#"providers:
  idp:
    issuer: https://idp.example.com
    payload_in_metadata: jwt
    remote_jwks:
      http_uri: {uri: "https://idp.example.com/jwks", cluster: idp, timeout: 5s}
rules:
- match: {prefix: /}
  requires: {provider_name: idp}
"#;

fn import(sandbox: &Sandbox, more: &[&str]) -> Run {
    sandbox.run(["import", "envoy", "jwt.yaml"].iter().chain(more))
}

#[test]
fn an_import_is_written_and_says_what_it_leaves() {
    let sandbox = Sandbox::new().file("jwt.yaml", ENVOY);
    let runs = [
        import(&sandbox, &[]).expect(0),
        import(&sandbox, &["-o", "policy.json"]).expect(0),
        sandbox
            .run(["compile-policy", "policy.json", "--check"])
            .expect(0),
    ];
    insta::assert_snapshot!(transcripts(&runs));
    assert_eq!(sandbox.read("policy.json"), runs[0].stdout);
}

#[test]
fn a_file_is_not_overwritten_unasked() {
    let sandbox = Sandbox::new()
        .file("jwt.yaml", ENVOY)
        .file("policy.json", "the policy of yesterday\n");
    let run = import(&sandbox, &["-o", "policy.json"]).expect(2);
    insta::assert_snapshot!(run.transcript());
    assert_eq!(sandbox.read("policy.json"), "the policy of yesterday\n");
    import(&sandbox, &["-o", "policy.json", "--force"]).expect(0);
    assert!(sandbox.read("policy.json").starts_with('{'));
}

#[test]
fn strict_writes_nothing_unless_everything_is_carried_over() {
    let sandbox = Sandbox::new().file("jwt.yaml", ENVOY);
    let runs = [import(&sandbox, &["--strict", "-o", "policy.json"]).expect(3)];
    insta::assert_snapshot!(transcripts(&runs));
    assert_eq!(sandbox.names(), ["jwt.yaml"]);
    let whole = ENVOY.replace("    payload_in_metadata: jwt\n", "");
    fs::write(sandbox.path("jwt.yaml"), whole).unwrap();
    import(&sandbox, &["--strict", "-o", "policy.json"]).expect(0);
}

#[test]
fn what_would_let_more_requests_pass_is_refused() {
    let sandbox = Sandbox::new();
    let runs: Vec<Run> = [
        ENVOY.replace("rules:", "filter_state_rules: {name: x}\nrules:"),
        ENVOY.replace("provider_name: idp", "extract_only_without_validation: {}"),
        ENVOY.replace("issuer:", "issuer: x\n    issuer:"),
        ENVOY.replace("rules:", "rules: ["),
        "a: 1\n".to_owned(),
        String::new(),
        ENVOY.replace("https://idp.example.com/jwks", "ftp://idp.example.com/jwks"),
    ]
    .iter()
    .map(|text| {
        fs::write(sandbox.path("jwt.yaml"), text).unwrap();
        import(&sandbox, &["-o", "policy.json"]).expect(3)
    })
    .collect();
    insta::assert_snapshot!(transcripts(&runs));
    assert_eq!(sandbox.names(), ["jwt.yaml"]);
}

#[test]
fn what_has_no_end_is_refused() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    let deep = "{a: ".repeat(5000);
    let long = format!("a: \"{}\"\n", "x".repeat(9 << 20));
    let sandbox = Sandbox::new();
    for text in [bomb, deep, long] {
        fs::write(sandbox.path("jwt.yaml"), text).unwrap();
        let run = import(&sandbox, &[]).expect(3);
        assert!(
            run.stdout.is_empty() && run.stderr.len() < 300,
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_secret_in_the_original_is_not_shown() {
    let secret = "c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1zZWU";
    let text = ENVOY.replace(
        "    remote_jwks:\n      http_uri: {uri: \"https://idp.example.com/jwks\", cluster: idp, timeout: 5s}\n",
        &format!("    local_jwks:\n      inline_string: '{{\"keys\":[{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\",\"d\":\"{secret}\"}}]}}'\n"),
    );
    let sandbox = Sandbox::new().file("jwt.yaml", text);
    let run = import(&sandbox, &[]).expect(3);
    assert!(!run.stderr.contains(secret), "{}", run.stderr);
    assert!(run.stderr.contains("private half"), "{}", run.stderr);
}

/// The originals of `docs/migrating.md`, and the page of kgateway's documentation.
#[test]
fn originals_of_every_product_are_imported() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sandbox = Sandbox::new();
    for product in ["envoy", "istio", "envoy-gateway", "kgateway"] {
        let file = root.join(format!("docs/migrating/{product}.yaml"));
        let run = sandbox
            .run(["import", product, file.to_str().unwrap()])
            .expect(0);
        fs::write(sandbox.path("policy.json"), run.stdout).unwrap();
        sandbox
            .run(["compile-policy", "policy.json", "--check"])
            .expect(0);
    }
    let page = root.join("tests/fixtures/import/kgateway");
    let policy = page.join("traffic-policy.yaml");
    let mut imported = 0;
    for entry in fs::read_dir(&page).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if !text.contains("kind: GatewayExtension") {
            continue;
        }
        let [path, policy] = [&path, &policy].map(|path| path.to_str().unwrap());
        sandbox
            .run(["import", "kgateway", "--strict", path, policy])
            .expect(0);
        imported += 1;
    }
    assert_eq!(imported, 8);
}
