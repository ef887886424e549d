//! The committed configurations under `envoy-config/` are run as they stand, so that nobody copies
//! one that has rotted.
//!
//! After a change of the compiler's output, `NEXUS_UPDATE=1` writes it into the files anew.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nexus_tests::{
    artifacts,
    envoy::{self, Envoy, Launch},
    http::Request,
    jwks_server::JwksServer,
    keys::{self, Algorithm},
    nexusctl, tls,
    tokens::Token,
    upstream::Upstream,
};
use serde_json::{Value, json};

#[test]
fn envoy_runs_the_committed_configuration_and_the_filter_decides() {
    let key = keys::rsa().with_kid("key-1");
    let jwks = JwksServer::start_tls(keys::jwks([key.public_jwk()]), tls::idp());
    let upstream = Upstream::start();
    let text = substituted(
        &format!(
            "{{ address: 127.0.0.1, port_value: {} }}",
            upstream.addr().port()
        ),
        &format!(
            "{{ address: 127.0.0.1, port_value: {} }}",
            jwks.addr().port()
        ),
    );
    let token = Token::new("https://idp.example.com")
        .audience("your-app-client-id")
        .claim("email", "user@example.com");
    let good = token.clone().sign(&key, Algorithm::RS256);
    let other_audience = token
        .clone()
        .audience("another")
        .sign(&key, Algorithm::RS256);
    let expired = token
        .clone()
        .expires_in(-3_600)
        .sign(&key, Algorithm::RS256);
    let forged = token.sign(&keys::other_rsa().with_kid("key-1"), Algorithm::RS256);
    envoy::for_oldest_and_newest(|version| {
        let envoy = Envoy::try_start_text(version, &text, &Launch::default())
            .unwrap_or_else(|error| panic!("{error}"));
        let mut client = envoy.client();
        let mut ask = |token: Option<&str>| {
            let request = Request::get("/my-app/page").header("X-User-Id", "admin");
            client.send(&match token {
                Some(token) => request.bearer(token),
                None => request,
            })
        };
        let allowed = ask(Some(&good));
        assert_eq!(allowed.status, 200, "{}", allowed.text());
        let headers = allowed.seen().headers;
        assert_eq!(headers.all("x-user-id"), [b"user".as_slice()]);
        assert_eq!(
            headers.all("x-user-email"),
            [b"user@example.com".as_slice()]
        );
        for (token, status, body) in [
            (None, 401, "Jwt is missing"),
            (Some(&expired), 401, "Jwt is expired"),
            (Some(&forged), 401, "Jwt verification fails"),
            (
                Some(&other_audience),
                403,
                "Audiences in Jwt are not allowed",
            ),
        ] {
            let denied = ask(token.map(String::as_str));
            assert_eq!((denied.status, denied.text().as_str()), (status, body));
        }
    });
}

#[test]
fn envoy_finds_the_committed_configuration_valid() {
    // As it stands but for the two files, which are at another place here.
    let text = with_files(&committed("envoy.yaml"));
    envoy::for_oldest_and_newest(|version| {
        let output = validate(version, &text);
        assert!(output.contains("OK"), "envoy {version}: {output}");
    });
}

#[test]
fn envoy_refuses_the_committed_configuration_with_a_policy_that_does_not_load() {
    let text = with_files(&committed("envoy.yaml"));
    let text = with_block(&text, "value: |", "{\"nexus\": 0}");
    envoy::for_oldest_and_newest(|version| {
        let error = Envoy::try_start_text(version, &text, &Launch::default())
            .expect_err("no filter can load this");
        assert!(
            error.log().contains("Unable to create Wasm plugin nexus"),
            "{error}"
        );
    });
}

#[test]
fn committed_configurations_hold_what_the_compiler_makes_of_their_policies() {
    for (file, policy, marker) in [
        ("envoy.yaml", "policy.json", "value: |"),
        (
            "istio-wasmplugin.yaml",
            "istio-policy.json",
            "pluginConfig:",
        ),
    ] {
        let compiled = nexusctl::compile_policy(&committed(policy));
        let text = committed(file);
        let expected = with_block(&text, marker, &compiled);
        if env::var_os("NEXUS_UPDATE").is_some() {
            replace(&path(file), &expected);
        } else {
            assert_eq!(
                text, expected,
                "`{file}` is not up to date: run `NEXUS_UPDATE=1 cargo xtask test`"
            );
        }
    }
}

#[test]
fn policies_differ_only_in_what_istio_calls_the_cluster() {
    let parse = |name: &str| -> Value { serde_json::from_str(&committed(name)).expect("JSON") };
    let mut istio = parse("istio-policy.json");
    let cluster = istio["default_policy"]["auth"]
        .as_object_mut()
        .and_then(|auth| auth.remove("jwks_cluster"));
    assert_eq!(cluster, Some(json!("outbound|443||idp.example.com")));
    assert_eq!(istio, parse("policy.json"));
}

#[test]
fn istio_resources_are_consistent() {
    let resources: Vec<Value> =
        serde_saphyr::from_multiple(&committed("istio-wasmplugin.yaml")).expect("YAML");
    let kinds: Vec<&str> = resources
        .iter()
        .filter_map(|it| it["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["WasmPlugin", "ServiceEntry", "DestinationRule"]);
    let [plugin, entry, rule] = &resources[..] else {
        panic!("three resources");
    };
    assert_eq!(plugin["spec"]["phase"], "AUTHN");
    assert_eq!(plugin["spec"]["failStrategy"], "FAIL_CLOSE");
    // Istio names a cluster by port and host of the entry; the filter has to call just that one,
    // and TLS has to be on for that host.
    let host = &entry["spec"]["hosts"][0];
    let port = &entry["spec"]["ports"][0]["number"];
    let cluster = format!("outbound|{port}||{}", host.as_str().expect("a host"));
    let configuration = plugin["spec"]["pluginConfig"].to_string();
    assert!(
        configuration.contains(&cluster),
        "no `{cluster}` in {configuration}"
    );
    assert_eq!(&rule["spec"]["host"], host);
    assert_eq!(rule["spec"]["trafficPolicy"]["tls"]["mode"], "SIMPLE");
    assert_eq!(&rule["spec"]["trafficPolicy"]["tls"]["sni"], host);
    assert_eq!(
        &rule["spec"]["trafficPolicy"]["tls"]["subjectAltNames"][0],
        host
    );
}

#[test]
fn nobody_answers_for_the_identity_provider_without_its_certificate() {
    // The authority that this server's certificate comes from is not the one that Envoy is told.
    let stranger = tls::Identity::generate("idp.example.com");
    let key = keys::rsa().with_kid("key-1");
    let jwks = JwksServer::start_tls(keys::jwks([key.public_jwk()]), &stranger);
    let upstream = Upstream::start();
    let text = substituted(
        &format!(
            "{{ address: 127.0.0.1, port_value: {} }}",
            upstream.addr().port()
        ),
        &format!(
            "{{ address: 127.0.0.1, port_value: {} }}",
            jwks.addr().port()
        ),
    );
    let token = Token::new("https://idp.example.com")
        .audience("your-app-client-id")
        .claim("email", "user@example.com")
        .sign(&key, Algorithm::RS256);
    let version = envoy::newest();
    let envoy = Envoy::try_start_text(&version, &text, &Launch::default())
        .unwrap_or_else(|error| panic!("{error}"));
    envoy.wait_for_stats("ssl", Duration::from_secs(10), |stats| {
        stats.value("cluster.idp.example.com.ssl.fail_verify_error") > 0
    });
    let denied = envoy.client().send(&Request::get("/my-app").bearer(&token));
    assert_eq!(
        (denied.status, upstream.count()),
        (401, 0),
        "{}",
        denied.text()
    );
    assert_eq!(jwks.count(), 0, "the filter never gets as far as to ask");
}

/// The committed file with every place of its list replaced by the test's values.
fn substituted(upstream: &str, idp: &str) -> String {
    let text = with_files(&committed("envoy.yaml"));
    [
        (
            "{ address: 0.0.0.0, port_value: 8080 }",
            "{ address: 127.0.0.1, port_value: 0 }",
        ),
        (
            "{ address: 127.0.0.1, port_value: 9901 }",
            "{ address: 127.0.0.1, port_value: 0 }",
        ),
        ("{ address: 127.0.0.1, port_value: 8081 }", upstream),
        ("{ address: idp.example.com, port_value: 443 }", idp),
    ]
    .iter()
    .fold(text, |text, (from, to)| with_replaced(&text, from, to))
}

fn with_files(text: &str) -> String {
    let wasm = artifacts::wasm();
    let authority = tls::idp().authority_file();
    let text = with_replaced(
        text,
        "/etc/envoy/nexus_filter.wasm",
        &wasm.to_string_lossy(),
    );
    with_replaced(
        &text,
        "/etc/ssl/certs/ca-certificates.crt",
        &authority.to_string_lossy(),
    )
}

/// Replaces what stands once in the list at the file's head and once below.
fn with_replaced(text: &str, from: &str, to: &str) -> String {
    let is_comment = |line: &&str| line.starts_with('#');
    let (head, body): (Vec<&str>, Vec<&str>) = text.lines().partition(is_comment);
    assert!(
        head.iter().any(|line| line.contains(from)),
        "`{from}` is not in the file's list of what to change"
    );
    let body = body.join("\n") + "\n";
    assert_eq!(body.matches(from).count(), 1, "`{from}` stands once");
    head.join("\n") + "\n" + &body.replace(from, to)
}

/// Replaces the indented block below the line that ends with `marker`.
fn with_block(text: &str, marker: &str, block: &str) -> String {
    let indent_of = |line: &str| line.len() - line.trim_start().len();
    let mut out = Vec::new();
    let mut lines = text.lines().peekable();
    let mut found = 0;
    while let Some(line) = lines.next() {
        out.push(line.to_owned());
        if line.trim_start().starts_with('#') || !line.ends_with(marker) {
            continue;
        }
        found += 1;
        let indent = indent_of(line);
        while lines
            .next_if(|next| !next.is_empty() && indent_of(next) > indent)
            .is_some()
        {}
        let margin = " ".repeat(indent + 2);
        out.extend(block.lines().map(|line| format!("{margin}{line}")));
    }
    assert_eq!(found, 1, "`{marker}` stands once");
    out.join("\n") + "\n"
}

fn validate(version: &envoy::Version, text: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("envoy.yaml");
    fs::write(&file, text).expect("writing the configuration");
    let output = Command::new(&version.path)
        .args(["--mode", "validate", "--config-path"])
        .arg(&file)
        .output()
        .expect("Envoy runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "envoy {version}: {text}");
    text
}

/// Replaces a file at once, so that a test beside this one reads the old or the new text.
fn replace(path: &Path, text: &str) {
    let folder = path.parent().expect("a file is in a folder");
    let mut file = tempfile::NamedTempFile::new_in(folder).expect("a temporary file");
    file.write_all(text.as_bytes()).expect("writing the file");
    let permissions = fs::metadata(path).expect("the file is there").permissions();
    fs::set_permissions(file.path(), permissions).expect("setting permissions");
    file.persist(path).expect("replacing the file");
}

fn committed(name: &str) -> String {
    let path = path(name);
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()))
}

fn path(name: &str) -> PathBuf {
    artifacts::repository().join("envoy-config").join(name)
}
