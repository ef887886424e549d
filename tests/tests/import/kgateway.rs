//! kgateway's page about JWT policies: each of its resources, its token, and the results that it shows.

use std::path::PathBuf;

use nexus_tests::{
    artifacts,
    envoy::{self, Config, Envoy},
    http::{Request, Response},
    jwks_server::JwksServer,
    nexusctl,
    upstream::Upstream,
};

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The service got it, and these headers of those that were asked for.
    Passed(Vec<(String, String)>),
    /// The reply: status and body.
    Refused(u16, String),
}

fn fixture(name: &str) -> PathBuf {
    artifacts::repository()
        .join("tests/fixtures/import/kgateway")
        .join(name)
}

fn token() -> String {
    let text = std::fs::read_to_string(fixture("token.jwt")).expect("the page's token");
    text.trim().to_owned()
}

/// Imports the extension with the page's TrafficPolicy, and compiles it.
fn compiled(extension: &str) -> String {
    let policy = nexusctl::Nexusctl::new(["import", "kgateway"])
        .arg(fixture(extension))
        .arg(fixture("traffic-policy.yaml"))
        .arg(fixture("backend.yaml"))
        .arg("--strict")
        .run()
        .expect_code(0);
    nexusctl::compile_policy(&policy.stdout_text())
}

fn outcome(response: &Response, headers: &[&str]) -> Outcome {
    if response.status != 200 {
        return Outcome::Refused(response.status, response.text());
    }
    let seen = response.seen();
    let found = headers.iter().filter_map(|name| {
        let value = seen.headers.text(name)?;
        Some(((*name).to_owned(), value))
    });
    Outcome::Passed(found.collect())
}

fn passed(headers: &[(&str, &str)]) -> Outcome {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Outcome::Passed(headers.iter().map(own).collect())
}

fn refused(status: u16, body: &str) -> Outcome {
    Outcome::Refused(status, body.to_owned())
}

/// The page's request: `/headers` of `www.example.com:8080`.
fn request() -> Request {
    Request::get("/headers").host("www.example.com:8080")
}

#[test]
fn every_import_of_the_page_does_what_the_page_shows() {
    let token = token();
    let with_token = || request().bearer(&token);
    let broken = {
        let mut text = token.clone();
        text.truncate(token.len() - 4);
        text + "AAAA"
    };
    let missing = || refused(401, "Jwt is missing");
    // The extension, the request, the headers to look at, what the page shows or says.
    type Row<'r> = (&'r str, Request, &'r [&'r str], Outcome);
    let rows: Vec<Row<'_>> = vec![
        ("basic.yaml", request(), &[], missing()),
        (
            "basic.yaml",
            with_token(),
            &["authorization", "x-team"],
            passed(&[]),
        ),
        (
            "basic.yaml",
            request().bearer(&broken),
            &[],
            refused(401, "Jwt verification fails"),
        ),
        ("claims-to-headers.yaml", request(), &[], missing()),
        (
            "claims-to-headers.yaml",
            with_token().header("x-team", "forged"),
            &["x-team", "x-org", "authorization"],
            passed(&[("x-team", "dev"), ("x-org", "solo.io")]),
        ),
        ("strict.yaml", request(), &[], missing()),
        ("strict.yaml", with_token(), &["authorization"], passed(&[])),
        ("allow-missing.yaml", request(), &[], passed(&[])),
        (
            "allow-missing.yaml",
            with_token(),
            &["authorization"],
            passed(&[]),
        ),
        (
            "allow-missing.yaml",
            request().bearer(&broken),
            &[],
            refused(401, "Jwt verification fails"),
        ),
        // The page's token has no `aud`.
        (
            "audiences.yaml",
            with_token(),
            &[],
            refused(403, "Audiences in Jwt are not allowed"),
        ),
        ("audiences.yaml", request(), &[], missing()),
        ("token-source.yaml", with_token(), &[], missing()),
        (
            "token-source.yaml",
            request().header("x-jwt", format!("Bearer {token}")),
            &["x-jwt"],
            passed(&[]),
        ),
    ];
    let upstream = Upstream::start();
    let mut extensions: Vec<&str> = rows.iter().map(|row| row.0).collect();
    extensions.dedup();
    extensions.push("forward-token.yaml");
    envoy::for_oldest_and_newest(|version| {
        for extension in &extensions {
            let config = Config::new(upstream.addr()).filter(compiled(extension));
            let envoy = Envoy::start(version, &config);
            let mut client = envoy.client();
            for (_, request, headers, expected) in rows.iter().filter(|row| row.0 == *extension) {
                let response = client.send(request);
                assert_eq!(
                    outcome(&response, headers),
                    *expected,
                    "{extension} in {version}"
                );
            }
            if *extension == "forward-token.yaml" {
                let response = client.send(&with_token());
                let authorization = format!("Bearer {token}");
                assert_eq!(
                    outcome(&response, &["authorization"]),
                    passed(&[("authorization", &authorization)]),
                    "{extension} in {version}"
                );
            }
        }
    });
}

/// The page's Keycloak is a server here; the token is signed by another key, so this is about the fetch.
#[test]
fn remote_keys_of_an_import_come_through_the_backend() {
    let policy = nexusctl::Nexusctl::new(["import", "kgateway"])
        .arg(fixture("remote-jwks.yaml"))
        .arg(fixture("traffic-policy.yaml"))
        .arg(fixture("backend.yaml"))
        .arg("--strict")
        .run()
        .expect_code(0)
        .json();
    let provider = &policy["providers"]["keycloak"];
    assert_eq!(
        provider["jwks_url"],
        "https://keycloak.example.com/realms/master/protocol/openid-connect/certs"
    );
    assert_eq!(provider["jwks_cache_ttl_secs"], 600);
    let key = nexus_tests::keys::rsa().with_kid("k");
    let server = JwksServer::start(nexus_tests::keys::jwks([key.public_jwk()]));
    let upstream = Upstream::start();
    let config = Config::new(upstream.addr())
        .filter(nexusctl::compile_policy(&policy.to_string()))
        .cluster("keycloak.example.com", server.addr());
    let token = nexus_tests::tokens::Token::new("https://keycloak.example.com/realms/master")
        .sign(&key, nexus_tests::keys::Algorithm::RS256);
    envoy::for_oldest_and_newest(|version| {
        let envoy = Envoy::start(version, &config);
        let response = envoy.client().send(&request().bearer(&token));
        assert_eq!(outcome(&response, &[]), passed(&[]), "{version}");
        assert!(server.count() > 0);
    });
}
