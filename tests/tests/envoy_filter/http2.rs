//! Clients that speak HTTP/2: the same decisions as over HTTP/1.1, and nothing that its form of requests lets in.

use std::{thread, time::Duration};

use nexus_tests::{
    client,
    envoy::{self, Config, Envoy},
    http::{self, Response, SeenRequest},
    http2::{Connection, Outcome, Request},
    jwks_server::{Behaviour, JwksServer},
    keys,
    tokens::with_broken_signature,
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{Health, ISSUER, assert_denied, good_token, inline_provider, key, with_policy};

/// A host whose requests need no token.
const OPEN: &str = "open.example.com";

fn policy() -> Value {
    let mut provider = inline_provider();
    provider["token_sources"] = json!([
        {"header": "Authorization", "prefix": "Bearer "},
        {"cookie": "session"},
    ]);
    let auth = json!({
        "auth_type": "jwt", "providers": ["idp"], "forward_claims_as_headers": {"sub": "X-User-Id"},
    });
    json!({
        "providers": {"idp": provider},
        "apps": [
            {"slug": "closed", "gateway_path": "/", "default_policy": {"auth": auth}},
            {
                "slug": "open", "hosts": [OPEN], "gateway_path": "/",
                "default_policy": {"auth": {"auth_type": "none"}},
            },
        ],
    })
}

fn run(test: impl Fn(&Envoy, &Upstream)) {
    let upstream = Upstream::start();
    let config = with_policy(upstream.addr(), &policy());
    envoy::for_oldest_and_newest(|version| {
        upstream.clear();
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        test(&envoy, &upstream);
        health.assert_unharmed(&mut envoy);
    });
}

/// The response to a request on a connection of its own.
fn send(envoy: &Envoy, request: &Request, note: &str) -> Response {
    outcome(envoy, request).unwrap_or_else(|refusal| panic!("{note}: {refusal:?}"))
}

fn outcome(envoy: &Envoy, request: &Request) -> Outcome {
    Connection::open(envoy.addr()).send(request)
}

/// What the service saw of a request that passes.
fn seen(envoy: &Envoy, request: &Request, note: &str) -> SeenRequest {
    let response = send(envoy, request, note);
    assert_eq!(response.status, 200, "{note}: {}", response.text());
    response.seen()
}

#[test]
fn http2_requests_are_decided_as_those_of_http1_are() {
    run(|envoy, _| {
        let good = good_token();
        let bad = with_broken_signature(&good);
        let rows: Vec<(&str, Vec<(&str, String)>)> = vec![
            ("good", vec![("authorization", format!("Bearer {good}"))]),
            ("bad", vec![("authorization", format!("Bearer {bad}"))]),
            ("none", vec![]),
            (
                "malformed",
                vec![("authorization", "Bearer a.b".to_owned())],
            ),
            (
                "another scheme",
                vec![("authorization", "Basic YTpi".to_owned())],
            ),
            (
                "two",
                vec![
                    ("authorization", format!("Bearer {good}")),
                    ("authorization", format!("Bearer {good}")),
                ],
            ),
            (
                "a bad one in the cookie",
                vec![
                    ("authorization", format!("Bearer {good}")),
                    ("cookie", format!("session={bad}")),
                ],
            ),
            (
                "forged claims",
                vec![
                    ("authorization", format!("Bearer {good}")),
                    ("x-user-id", "admin".to_owned()),
                    ("x_user_id", "admin".to_owned()),
                    ("x-user_id", "admin".to_owned()),
                    ("x-user-id", "root".to_owned()),
                ],
            ),
            (
                "forged claims alone",
                vec![("x-user-id", "admin".to_owned())],
            ),
        ];
        for (note, fields) in &rows {
            let mut old = http::Request::get("/a?b=c");
            let mut new = Request::get("/a?b=c");
            for (name, value) in fields {
                old = old.header(name, value);
                new = new.header(name, value);
            }
            let (old, new) = (client::send(envoy.addr(), &old), send(envoy, &new, note));
            assert_eq!(told(&old), told(&new), "{note}");
        }
        assert_denied(
            &send(envoy, &Request::get("/"), ""),
            "token_missing",
            "none",
        );
        let passed = seen(envoy, &Request::get("/a?b=c").bearer(&good), "good");
        assert_eq!(passed.path, "/a?b=c");
        assert_eq!(passed.headers.all("x-user-id"), [b"user"]);
        assert!(!passed.headers.contains("authorization"));
    });
}

/// What a client is told and what the service saw, but for what differs between any two requests.
fn told(response: &Response) -> (u16, Value, Option<String>) {
    let challenge = response.headers.text("www-authenticate");
    if response.status != 200 {
        return (response.status, json!(response.text()), challenge);
    }
    let mut seen = response.seen();
    let differs = [
        "x-request-id",
        "x-forwarded-proto",
        "x-envoy-expected-rq-timeout-ms",
    ];
    seen.headers
        .0
        .retain(|(name, _)| !differs.contains(&name.as_str()));
    seen.headers.0.sort();
    (response.status, seen.to_json(), challenge)
}

/// A client may send a cookie header in parts (RFC 9113 §8.2.3). They count as the one header that they are.
#[test]
fn http2_cookies_that_come_in_crumbs_are_one_header() {
    run(|envoy, upstream| {
        let good = good_token();
        let bad = with_broken_signature(&good);
        let with = |crumbs: &[&str]| {
            crumbs.iter().fold(Request::get("/"), |request, crumb| {
                request.header("cookie", crumb)
            })
        };
        let token = format!("session={good}");
        let forged = format!("session={bad}");
        for (note, crumbs, left) in [
            ("alone", vec![token.as_str()], None),
            ("first", vec![&token, "a=1", "b=2"], Some("a=1; b=2")),
            ("between", vec!["a=1", &token, "b=2"], Some("a=1; b=2")),
            (
                "last",
                vec!["a=1; b=2", "c=3", &token],
                Some("a=1; b=2; c=3"),
            ),
        ] {
            let seen = seen(envoy, &with(&crumbs), note);
            let cookies = seen.headers.all("cookie");
            let left: Vec<&[u8]> = left.iter().map(|left: &&str| left.as_bytes()).collect();
            assert_eq!(cookies, left, "{note}");
            assert_eq!(seen.headers.all("x-user-id"), [b"user"], "{note}");
        }
        upstream.clear();
        for (note, crumbs, code) in [
            ("forged", vec!["a=1", &forged], "signature_invalid"),
            ("twice", vec![&token, &token], "token_repeated"),
            (
                "a good and a forged one",
                vec![&token, "a=1", &forged],
                "token_repeated",
            ),
            (
                "a forged and a good one",
                vec![&forged, "a=1", &token],
                "token_repeated",
            ),
            ("a name alone", vec![&token, "session"], "token_repeated"),
            ("none", vec!["a=1", "b=2"], "token_missing"),
        ] {
            assert_denied(&send(envoy, &with(&crumbs), note), code, note);
        }
        assert_eq!(upstream.count(), 0);
    });
}

/// Whose request it is, is what `:authority` says; without one, what `host` says. What Envoy does not let through does
/// not matter; what passes without a token has the open host and no other, as the service sees it.
#[test]
fn http2_authorities_that_are_missing_doubled_or_odd_open_nothing() {
    run(|envoy, _| {
        let open = seen(envoy, &Request::get("/").authority(OPEN), "open");
        assert_eq!(open.headers.text("host").as_deref(), Some(OPEN));
        let by_host = Request::get("/").without(":authority").header("host", OPEN);
        let by_host = seen(envoy, &by_host, "by its host");
        assert_eq!(by_host.headers.text("host").as_deref(), Some(OPEN));
        let closed_by_host = Request::get("/")
            .without(":authority")
            .header("host", "nexus.test");
        let closed_by_host = send(envoy, &closed_by_host, "closed by its host");
        assert_denied(&closed_by_host, "token_missing", "closed by its host");
        let both = Request::get("/").header("host", OPEN);
        let both = send(envoy, &both, "the host of another");
        assert_denied(&both, "token_missing", "the host of another");
        let good = Request::get("/").header("host", OPEN).bearer(&good_token());
        let good = seen(envoy, &good, "the host of another, with a token");
        assert_eq!(good.headers.all("host"), [b"nexus.test"]);

        for (note, request) in [
            ("none", Request::get("/").without(":authority")),
            ("an empty one", Request::get("/").authority("")),
            (
                "an empty one, and a host",
                Request::get("/").authority("").header("host", OPEN),
            ),
            ("two", Request::get("/").first(":authority", OPEN)),
            (
                "two the other way round",
                Request::get("/")
                    .authority(OPEN)
                    .first(":authority", "nexus.test"),
            ),
            (
                "a list",
                Request::get("/").authority(&format!("{OPEN}, nexus.test")),
            ),
            (
                "a list the other way round",
                Request::get("/").authority(&format!("nexus.test,{OPEN}")),
            ),
            (
                "somebody at it",
                Request::get("/").authority(&format!("a@{OPEN}")),
            ),
            (
                "it as somebody",
                Request::get("/").authority(&format!("{OPEN}@nexus.test")),
            ),
            (
                "white space",
                Request::get("/").authority(&format!("{OPEN} nexus.test")),
            ),
            (
                "a path",
                Request::get("/").authority(&format!("{OPEN}/nexus.test")),
            ),
            ("a zero", Request::get("/").authority(&format!("{OPEN}\0"))),
            (
                "a line",
                Request::get("/").authority(&format!("{OPEN}\r\nhost: {OPEN}")),
            ),
            (
                "behind a field",
                Request::get("/")
                    .without(":authority")
                    .header("a", "b")
                    .header(":authority", OPEN),
            ),
            (
                "in upper case",
                Request::get("/").without(":authority").header("Host", OPEN),
            ),
            (
                "two hosts",
                Request::get("/")
                    .without(":authority")
                    .header("host", OPEN)
                    .header("host", "nexus.test"),
            ),
        ] {
            assert_kept_out_unless_open(&outcome(envoy, &request), note);
        }
    });
}

/// Requests that HTTP/1.1 has no words for.
#[test]
fn http2_requests_of_an_odd_form_open_nothing() {
    run(|envoy, upstream| {
        let connect = || Request::new("CONNECT", "/").without(":scheme");
        for (note, request) in [
            ("no path", Request::get("/").without(":path")),
            ("an empty path", Request::new("GET", "")),
            ("an asterisk", Request::new("OPTIONS", "*")),
            ("a URL", Request::new("GET", &format!("http://{OPEN}/"))),
            ("a fragment", Request::new("GET", "/#/../open")),
            ("two paths", Request::get("/").first(":path", "/open")),
            ("no method", Request::get("/").without(":method")),
            ("an odd method", Request::new("G T", "/")),
            ("no scheme", Request::get("/").without(":scheme")),
            (
                "an unknown pseudo-header",
                Request::get("/").first(":token", "a"),
            ),
            (
                "a pseudo-header of answers",
                Request::get("/").first(":status", "200"),
            ),
            ("to connect", connect().without(":path")),
            (
                "to connect to an open host",
                connect().without(":path").authority("open.example.com:443"),
            ),
            (
                "to connect to a web socket",
                Request::new("CONNECT", "/").first(":protocol", "websocket"),
            ),
            (
                "upper case",
                Request::get("/").header("Authorization", format!("Bearer {}", good_token())),
            ),
            (
                "a header of a connection",
                Request::get("/").header("connection", "x-user-id"),
            ),
            (
                "a transfer coding",
                Request::new("POST", "/")
                    .header("transfer-encoding", "chunked")
                    .body("0\r\n\r\n"),
            ),
            (
                "a line in a value",
                Request::get("/").header("a", "b\r\nauthorization: c"),
            ),
            (
                "a line in a name",
                Request::get("/").header("a: b\r\nauthorization", "c"),
            ),
            ("no name", Request::get("/").header("", "a")),
            (
                "a length that is none",
                Request::new("POST", "/")
                    .header("content-length", "1")
                    .body("abc"),
            ),
        ] {
            assert_kept_out(&outcome(envoy, &request), note);
        }
        assert_eq!(upstream.count(), 0);
        let good = seen(
            envoy,
            &Request::new("POST", "/")
                .bearer(&good_token())
                .body(vec![b'a'; 40_000]),
            "a body",
        );
        assert_eq!((good.method.as_str(), good.body_length), ("POST", 40_000));
    });
}

/// That the service got nothing is looked at apart.
fn assert_kept_out(outcome: &Outcome, note: &str) {
    match outcome {
        Ok(response) => {
            println!("{note}: {} {}", response.status, response.text());
            assert!(
                (400..=404).contains(&response.status),
                "{note}: {} {}",
                response.status,
                response.text()
            );
        }
        Err(refusal) => println!("{note}: {refusal:?}"),
    }
}

fn assert_kept_out_unless_open(outcome: &Outcome, note: &str) {
    match outcome {
        Ok(response) if response.status == 200 => {
            assert_eq!(
                response.seen().headers.all("host"),
                [OPEN.as_bytes()],
                "{note}"
            );
        }
        outcome => assert_kept_out(outcome, note),
    }
}

/// What happens to one stream of a connection is no other stream's affair, whether or not they wait.
#[test]
fn http2_streams_of_one_connection_are_decided_each_by_its_own_token() {
    let upstream = Upstream::start();
    let good = good_token();
    let bad = with_broken_signature(&good);
    let requests: Vec<Request> = (0..60)
        .map(|number| {
            let request = Request::get(&format!("/{number}")).header("x-user-id", "admin");
            match number % 3 {
                0 => request.bearer(&good),
                1 => request.bearer(&bad),
                _ => request,
            }
        })
        .collect();
    let check = |outcomes: &[Outcome]| {
        assert_eq!(outcomes.len(), requests.len());
        for (number, outcome) in outcomes.iter().enumerate() {
            let response = outcome
                .as_ref()
                .unwrap_or_else(|it| panic!("{number}: {it:?}"));
            match number % 3 {
                0 => {
                    assert_eq!(response.status, 200, "{number}: {}", response.text());
                    let seen = response.seen();
                    assert_eq!(seen.path, format!("/{number}"));
                    assert_eq!(seen.headers.all("x-user-id"), [b"user"]);
                }
                1 => assert_denied(response, "signature_invalid", "forged"),
                _ => assert_denied(response, "token_missing", "none"),
            }
        }
    };
    envoy::for_oldest_and_newest(|version| {
        let jwks = JwksServer::start("");
        jwks.behave(Behaviour::Hold);
        let policy = json!({
            "slug": "app", "gateway_path": "/",
            "default_policy": {"auth": {
                "auth_type": "jwt", "issuer": ISSUER, "audience": "orders",
                "jwks_url": jwks.url(), "jwks_timeout_ms": 60_000,
                "forward_claims_as_headers": {"sub": "X-User-Id"},
            }},
        });
        let config: Config =
            with_policy(upstream.addr(), &policy).cluster(&jwks.authority(), jwks.addr());
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        thread::scope(|scope| {
            let mut connection = Connection::open(envoy.addr());
            let waiting = scope.spawn({
                let requests = &requests;
                move || {
                    let outcomes = connection.send_all(requests);
                    (connection, outcomes)
                }
            });
            // Two of three have a token for whose key they wait.
            envoy.wait_for_stats("jwks_cache", Duration::from_secs(20), |stats| {
                stats.value("wasmcustom.nexus.jwks_cache.miss") == 40
            });
            jwks.serve(keys::jwks([key().public_jwk()]));
            let (mut connection, outcomes) = waiting.join().expect("the client does not panic");
            check(&outcomes);
            check(&connection.send_all(&requests));
        });
        health.assert_unharmed(&mut envoy);
    });
}
