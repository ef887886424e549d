//! The filter and a certified OpenID provider: keys found by discovery, tokens as such a provider mints them,
//! and keys that it replaces.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use nexus_tests::{
    artifacts, client,
    envoy::{self, Config, Envoy},
    eventually,
    http::Request,
    nexusctl::{self, Nexusctl},
    tokens,
    upstream::Upstream,
};
use serde_json::{Value, json};

const RESOURCE: &str = "https://api.example.com/orders";

/// A running provider; it ends when this is dropped, and when the tests' process does.
struct Provider {
    addr: SocketAddr,
    process: Child,
    _stdin: ChildStdin,
}

impl Provider {
    fn start() -> Self {
        // The port is free again once the listener is gone; its number is in the issuer's name.
        let addr = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port");
        let script = artifacts::repository().join("tests/oidc-provider/provider.mjs");
        let mut process = Command::new("node")
            .arg(script)
            .arg(addr.port().to_string())
            .current_dir(artifacts::oidc_provider())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let stdin = process.stdin.take().expect("its input is piped");
        let stdout = process.stdout.take().expect("its output is piped");
        let started = BufReader::new(stdout)
            .lines()
            .any(|line| line.is_ok_and(|line| line == "listening"));
        assert!(started, "the provider ended: {:?}", process.wait());
        Self {
            addr,
            process,
            _stdin: stdin,
        }
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A token for [`RESOURCE`], by the client credentials grant (RFC 6749 §4.4, RFC 8707).
    fn mint(&self) -> String {
        let body = "grant_type=client_credentials&client_id=orders-client&client_secret=test-only-secret\
                    &resource=https%3A%2F%2Fapi.example.com%2Forders&scope=orders%3Aread";
        let request = Request::new("POST", "/token")
            .host(self.addr.to_string())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let response = client::send(self.addr, &request);
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()["access_token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// Replaces its keys.
    fn rotate(&self) {
        let request = Request::new("POST", "/rotate").host(self.addr.to_string());
        assert_eq!(client::send(self.addr, &request).status, 200);
    }

    fn policy(&self, more: &Value) -> String {
        let mut auth = json!({
            "auth_type": "jwt", "issuer": self.issuer(), "audience": RESOURCE, "oidc_discovery": true,
            "required_claims": ["client_id"], "forward_claims_as_headers": {"sub": "X-User-Id"},
        });
        for (name, value) in more.as_object().expect("fields") {
            auth[name] = value.clone();
        }
        json!({"slug": "app", "gateway_path": "/", "default_policy": {"auth": auth}}).to_string()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn jti(token: &str) -> String {
    let [_, payload, _] = tokens::parts(token);
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token);
    let claims = claims
        .unwrap_or_else(|error| panic!("{payload}: {error}"))
        .claims;
    claims["jti"].as_str().expect("a `jti`").to_owned()
}

#[test]
fn oidc_provider_is_discovered_its_tokens_pass_and_its_new_keys_are_followed() {
    let upstream = Upstream::start();
    envoy::for_oldest_and_newest(|version| {
        let provider = Provider::start();
        let (good, revoked) = (provider.mint(), provider.mint());
        let policy = provider.policy(&json!({"revoked": {"jti": [jti(&revoked)]}}));
        let config = Config::new(upstream.addr())
            .filter(nexusctl::compile_policy(&policy))
            .cluster(&provider.addr.to_string(), provider.addr);
        let envoy = Envoy::start(version, &config);
        let mut client = envoy.client();
        let mut send = |token: &str| client.send(&Request::get("/").bearer(token));
        let response = send(&good);
        assert_eq!(response.status, 200, "{}", envoy.log_end());
        let seen = response.seen().headers.text("x-user-id");
        assert_eq!(seen.as_deref(), Some("orders-client"));
        assert_eq!(send(&tokens::with_broken_signature(&good)).status, 401);
        let refused = send(&revoked);
        assert_eq!(
            (refused.status, refused.text().as_str()),
            (401, "Jwt verification fails")
        );

        provider.rotate();
        let renewed = provider.mint();
        // A new key is looked for at most every five seconds.
        let followed = eventually(Duration::from_secs(15), || send(&renewed).status == 200);
        assert!(followed, "{}", envoy.log_end());
        let old = send(&good);
        assert_eq!(
            old.text(),
            "Jwks doesn't have key to match kid or alg from Jwt"
        );
    });
}

/// The filter asks the provider over the network, as `nexusctl test-token` lets it.
#[test]
fn oidc_provider_is_asked_by_nexusctl() {
    let provider = Provider::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let policy = folder.path().join("policy.json");
    std::fs::write(&policy, provider.policy(&json!({}))).expect("writing the policy");
    let token = provider.mint();
    let run = |token: &str| {
        Nexusctl::new([
            "test-token",
            "--policy",
            "policy.json",
            "--output",
            "json",
            "-",
        ])
        .folder(folder.path())
        .stdin(token)
        .run()
    };
    let report = run(&token).expect_code(0).json();
    assert_eq!(report["decision"], "allow", "{report}");
    let report = run(&tokens::with_broken_signature(&token))
        .expect_code(1)
        .json();
    assert_eq!(report["reason"], "signature_invalid", "{report}");
}
