//! Requests that are meant to break the filter: none of them does, whatever it is answered.

use nexus_tests::{
    client::Client,
    envoy::{self, Envoy},
    http::{Request, escape},
    keys::{self, Algorithm},
    tokens,
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{
    Health, ISSUER, assert_denied, assert_passes, good_token, inline_provider, key, token,
    with_policy,
};

/// What a request may be answered.
enum Expected {
    /// It reaches the service.
    Passes,
    /// The filter denies it, with this code.
    Denied(&'static str),
    /// Envoy itself refuses it, with this status, before any filter sees it.
    RefusedByEnvoy(u16),
}

use Expected::{Denied, Passes, RefusedByEnvoy};

#[test]
fn no_request_harms_the_vm() {
    let upstream = Upstream::start();
    let policy = json!({
        "providers": {"idp": inline_provider()},
        "apps": [{"slug": "app", "gateway_path": "/", "default_policy": {"auth": {
            "auth_type": "jwt",
            "providers": ["idp"],
            "forward_claims_as_headers": {"sub": "X-User-Id", "deep": "X-Deep"},
        }}}],
    });
    let config = with_policy(upstream.addr(), &policy);
    let good = Request::get("/").bearer(good_token());
    let rows: Vec<Row> = [
        bytes_that_are_no_text(),
        several_tokens(),
        large_requests(),
        large_tokens(),
        odd_requests(),
    ]
    .into_iter()
    .flatten()
    .collect();
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        for (note, expected, request) in &rows {
            // A connection of its own, since Envoy closes some; and on it the good one, so that the
            // same worker, hence the same VM, gets both.
            let mut client = envoy.client();
            check(&mut client, request, expected, note);
            assert_passes(&mut client, &good, &format!("behind: {note}"));
        }
        health.assert_unharmed(&mut envoy);
    });
}

/// Where Envoy is told to let more headers through than it does by default, the filter sees them all: the
/// forged one at the end is removed as one among few would be.
#[test]
fn the_last_of_thousands_of_headers_counts() {
    let upstream = Upstream::start();
    let policy = json!({
        "providers": {"idp": inline_provider()},
        "apps": [{
            "slug": "app", "gateway_path": "/",
            "default_policy": {"auth": {
                "auth_type": "jwt",
                "providers": ["idp"],
                "forward_claims_as_headers": {"sub": "X-User-Id"},
            }},
            "routes": [{"path": "/public", "policy": {"auth": {"auth_type": "none"}}}],
        }],
    });
    let config = with_policy(upstream.addr(), &policy).edit_connection_manager(|manager| {
        manager["common_http_protocol_options"] = json!({"max_headers_count": 16384});
        manager["max_request_headers_kb"] = json!(8192);
    });
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        for count in [90, 1_000, 1_100, 5_000, 16_000] {
            let forged = with_headers(Request::get("/public"), count).header("X_User-Id", "admin");
            let seen = client.send(&forged).seen();
            assert_eq!(seen.headers.all("x_user-id").len(), 0, "{count}");
            let good = with_headers(Request::get("/"), count)
                .header("x_user_id", "admin")
                .bearer(good_token());
            let seen = client.send(&good).seen();
            assert_eq!(seen.headers.all("x-user-id"), [b"user"], "{count}");
            assert_eq!(seen.headers.all("x_user_id").len(), 0, "{count}");
            let repeated = good.bearer(good_token());
            assert_denied(&client.send(&repeated), "token_repeated", "at the end");
        }
        let large = Request::get("/").header("x-large", "a".repeat(2 << 20));
        assert_denied(&client.send(&large), "token_missing", "2 MB in a header");
        assert_passes(
            &mut client,
            &large.bearer(good_token()),
            "the same with a token",
        );
        let large = Request::get("/").bearer("a".repeat(2 << 20));
        assert_denied(&client.send(&large), "token_malformed", "2 MB of token");
        health.assert_unharmed(&mut envoy);
    });
}

type Row = (&'static str, Expected, Request);

fn check(client: &mut Client, request: &Request, expected: &Expected, note: &str) {
    match expected {
        Passes => assert_passes(client, request, note),
        Denied(code) => assert_denied(&client.send(request), code, note),
        RefusedByEnvoy(status) => {
            let response = client.send(request);
            assert_eq!(response.status, *status, "{note}: {}", response.text());
        }
    }
}

fn get() -> Request {
    Request::get("/")
}

fn good() -> Request {
    get().bearer(good_token())
}

fn bytes_that_are_no_text() -> Vec<Row> {
    let token = good_token();
    let behind = |bytes: &[u8]| [b"Bearer ", token.as_bytes(), bytes].concat();
    let path = |bytes: &[u8]| Request::get([b"/x", bytes].concat()).bearer(&token);
    vec![
        (
            "0xFF in a value",
            Passes,
            good().header("x-bytes", b"a\xFFb"),
        ),
        (
            "FF FE 80 in a value",
            Passes,
            good().header("x-bytes", b"\xFF\xFE\x80"),
        ),
        (
            "the same without a token",
            Denied("token_missing"),
            get().header("x-bytes", b"\xFF\xFE\x80"),
        ),
        (
            "in a claim's header",
            Passes,
            good().header("x-user-id", b"\xFF\xFE\x80"),
        ),
        (
            "in a cookie",
            Passes,
            good().header("cookie", b"a=\xC3\x28"),
        ),
        (
            "0xFF in a name",
            RefusedByEnvoy(400),
            good().header(b"x-\xFFname", "a"),
        ),
        (
            "a NUL in a value",
            RefusedByEnvoy(400),
            good().header("x-bytes", b"a\0b"),
        ),
        (
            "behind the scheme",
            Denied("token_header_base64"),
            get().header("authorization", [b"Bearer\xFF ", token.as_bytes()].concat()),
        ),
        (
            "before the token",
            Denied("token_malformed"),
            get().header("authorization", b"Bearer \xFF\xFE\x80"),
        ),
        (
            "behind the token",
            Denied("token_signature_base64"),
            get().header("authorization", behind(b"\xFF")),
        ),
        (
            "only bytes",
            Denied("token_missing"),
            get().header("authorization", b"\xFF\xFE\x80"),
        ),
        (
            "in the query",
            RefusedByEnvoy(400),
            path(b"?q=\xFF\xFE\x80"),
        ),
        ("in the path", RefusedByEnvoy(400), path(b"/\xFF\xFE\x80")),
        (
            "in the host",
            RefusedByEnvoy(400),
            good().host(b"nexus\xFF.test"),
        ),
    ]
}

fn several_tokens() -> Vec<Row> {
    let token = good_token();
    let broken = tokens::with_broken_signature(&token);
    vec![
        (
            "good and bad",
            Denied("token_repeated"),
            get().bearer(&token).bearer(&broken),
        ),
        (
            "bad and good",
            Denied("token_repeated"),
            get().bearer(&broken).bearer(&token),
        ),
        (
            "in two cases",
            Denied("token_repeated"),
            get()
                .header("Authorization", format!("Bearer {token}"))
                .header("AUTHORIZATION", format!("bearer {token}")),
        ),
        (
            "joined by a comma",
            Denied("token_repeated"),
            get().header("authorization", format!("Bearer {token},Bearer {broken}")),
        ),
        (
            "joined schemes",
            Denied("token_repeated"),
            get().header("authorization", format!("Basic dTpw, Bearer {token}")),
        ),
        (
            "a hundred",
            Denied("token_repeated"),
            (0..100).fold(get(), |request, _| request.bearer("a.b.c")),
        ),
        (
            "lower case",
            Passes,
            get().header("authorization", format!("bearer {token}")),
        ),
        (
            "upper case and spaces",
            Passes,
            get().header("authorization", format!("BEARER   {token}  ")),
        ),
        (
            "something behind it",
            Denied("token_signature_base64"),
            get().header("authorization", format!("Bearer {token} x")),
        ),
        (
            "in the query, where nobody looks",
            Denied("token_missing"),
            Request::get(format!("/?access_token={token}")),
        ),
        (
            "in another header",
            Denied("token_missing"),
            get().header("x-authorization", format!("Bearer {token}")),
        ),
    ]
}

fn large_requests() -> Vec<Row> {
    let filler = "a".repeat(1 << 20);
    vec![
        (
            "1 MB in a header",
            RefusedByEnvoy(431),
            good().header("x-large", &filler),
        ),
        ("1 MB of token", RefusedByEnvoy(431), get().bearer(&filler)),
        (
            "1 MB of path",
            RefusedByEnvoy(431),
            Request::get(format!("/{filler}")).bearer(good_token()),
        ),
        (
            "1,000 headers",
            RefusedByEnvoy(431),
            with_headers(good(), 1000),
        ),
        ("90 headers", Passes, with_headers(good(), 90)),
        (
            "90 spellings of a claim's header",
            Passes,
            spellings(good(), 90),
        ),
        (
            "50 KB of path",
            Passes,
            Request::get(format!("/{}", "a/".repeat(25_000))).bearer(good_token()),
        ),
        (
            "50 KB of dots",
            Passes,
            Request::get(format!("/{}", "../".repeat(16_000))).bearer(good_token()),
        ),
    ]
}

fn large_tokens() -> Vec<Row> {
    let bearer = |token: &str| get().bearer(token);
    let signed = |payload: String| {
        tokens::signed(
            r#"{"alg":"RS256","kid":"key-1"}"#,
            payload,
            &key(),
            Algorithm::RS256,
        )
    };
    let with = |members: &str| {
        let exp = tokens::now() + 300;
        signed(format!(
            r#"{{"iss":"{ISSUER}","aud":"orders","exp":{exp},"sub":"user",{members}}}"#
        ))
    };
    let filler = "a".repeat(33_000);
    let deep_header = |depth: usize| {
        let header = format!(r#"{{"alg":"RS256","x":{}}}"#, "[".repeat(depth));
        tokens::assembled(header, "{}", "signature")
    };
    vec![
        (
            "45 KB and good",
            Passes,
            bearer(
                &token()
                    .claim("filler", filler)
                    .sign(&key(), Algorithm::RS256),
            ),
        ),
        (
            "45 KB of signature",
            Denied("signature_invalid"),
            bearer(&resigned(&"A".repeat(45_000))),
        ),
        (
            "8,000 dots",
            Denied("token_malformed"),
            bearer(&".".repeat(8_000)),
        ),
        (
            "8,000 segments",
            Denied("token_malformed"),
            bearer(&"a.".repeat(8_000)),
        ),
        (
            "20,000 brackets in the header",
            Denied("token_header_json"),
            bearer(&deep_header(20_000)),
        ),
        (
            "12,000 brackets in the payload",
            Denied("token_payload_json"),
            bearer(&signed(format!(
                r#"{{"a":{}{}}}"#,
                "[".repeat(12_000),
                "]".repeat(12_000)
            ))),
        ),
        (
            "100 brackets in a claim's header",
            Denied("token_payload_json"),
            bearer(&with(&format!(
                r#""deep":{}{}"#,
                "[".repeat(200),
                "]".repeat(200)
            ))),
        ),
        (
            "20 brackets in a claim's header",
            Passes,
            bearer(&with(&format!(
                r#""deep":{}{}"#,
                "[".repeat(20),
                "]".repeat(20)
            ))),
        ),
        ("4,000 members", Passes, bearer(&with(&members(4_000)))),
        (
            "a number of 10,000 digits",
            Passes,
            bearer(&with(&format!(r#""n":{}"#, "9".repeat(10_000)))),
        ),
        (
            "exp of 400 digits",
            Passes,
            bearer(&with(&format!(r#""nbf":0.{}"#, "9".repeat(400)))),
        ),
        (
            "nbf 1e400",
            Denied("token_not_yet_valid"),
            bearer(&with(r#""nbf":1e400"#)),
        ),
        ("nbf 1e-400", Passes, bearer(&with(r#""nbf":1e-400"#))),
        (
            "a kid of 4 KB",
            Denied("key_not_found"),
            bearer(
                &token()
                    .kid(&"../".repeat(1_300))
                    .sign(&key(), Algorithm::RS256),
            ),
        ),
        (
            "a kid with a NUL and a quote",
            Denied("key_not_found"),
            bearer(
                &token()
                    .kid("key-1\0'\"<script>\r\n")
                    .sign(&key(), Algorithm::RS256),
            ),
        ),
    ]
}

fn odd_requests() -> Vec<Row> {
    let with = |name: &str, value: &str| get().header(name, value);
    vec![
        (
            "a preflight",
            Denied("token_missing"),
            Request::new("OPTIONS", "/")
                .header("origin", "https://example.com")
                .header("access-control-request-method", "GET"),
        ),
        (
            "OPTIONS *",
            RefusedByEnvoy(404),
            Request::new("OPTIONS", "*"),
        ),
        (
            "an odd method",
            Denied("token_missing"),
            Request::new("PROPFIND", "/"),
        ),
        (
            "a WebSocket",
            RefusedByEnvoy(403),
            with("connection", "upgrade").header("upgrade", "websocket"),
        ),
        (
            "h2c",
            Denied("token_missing"),
            with("connection", "upgrade, http2-settings")
                .header("upgrade", "h2c")
                .header("http2-settings", ""),
        ),
        (
            "a health check's agent",
            Denied("token_missing"),
            with("user-agent", "GoogleHC/1.0"),
        ),
        (
            "Envoy's own headers",
            Denied("token_missing"),
            with("x-envoy-internal", "true").header("x-envoy-original-path", "/public"),
        ),
        ("an empty host", Denied("request_malformed"), get().host("")),
        (
            "gRPC",
            Denied("token_missing"),
            Request::new("POST", "/")
                .header("content-type", "text/plain")
                .body("body"),
        ),
    ]
}

fn with_headers(request: Request, count: usize) -> Request {
    (0..count).fold(request, |request, number| {
        request.header(format!("x-{number}"), "a")
    })
}

/// All ways of writing `x-user-id` with `_` for `-` and in two cases, as far as `count` goes.
fn spellings(request: Request, count: usize) -> Request {
    (0..count).fold(request, |request, number| {
        let spelt: String = "x-user-id"
            .char_indices()
            .map(
                |(at, character)| match (number >> (at % 7) & 1, character) {
                    (1, '-') => '_',
                    (1, other) => other.to_ascii_uppercase(),
                    (_, other) => other,
                },
            )
            .collect();
        request.header(spelt, "admin")
    })
}

fn members(count: usize) -> String {
    let members: Vec<String> = (0..count)
        .map(|number| format!(r#""m{number}":1"#))
        .collect();
    members.join(",")
}

/// A good token with another signature.
fn resigned(signature: &str) -> String {
    let good = good_token();
    let [header, payload, _] = tokens::parts(&good);
    format!("{header}.{payload}.{signature}")
}

/// What a client is told has nothing of its token or of what the filter thinks of it.
#[test]
fn an_answer_repeats_nothing_of_the_request() {
    let upstream = Upstream::start();
    let policy: Value = json!({
        "providers": {"idp": inline_provider()},
        "apps": [{"slug": "app", "gateway_path": "/", "default_policy": {"auth": {
            "auth_type": "jwt", "providers": ["idp"], "required_claims": ["secret-claim"],
        }}}],
    });
    let config = with_policy(upstream.addr(), &policy);
    let marked = |token: tokens::Token| token.claim("sub", "<script>mark").kid("mark\"'<b>");
    let rows = [
        marked(token()).sign(keys::other_rsa(), Algorithm::RS256),
        marked(token())
            .claim("iss", "https://mark.example.com\r\n\"")
            .sign(&key(), Algorithm::RS256),
        marked(token())
            .audience("mark")
            .kid("key-1")
            .sign(&key(), Algorithm::RS256),
        marked(token()).kid("key-1").sign(&key(), Algorithm::RS256),
        tokens::signed(r#"{"alg":"mark"}"#, "{}", &key(), Algorithm::RS256),
        tokens::signed(
            r#"{"alg":"RS256"}"#,
            r#"{"mark":"mark"#,
            &key(),
            Algorithm::RS256,
        ),
    ];
    let envoy = Envoy::start(&envoy::newest(), &config);
    let mut client = envoy.client();
    for token in &rows {
        let response = client.send(
            &Request::get("/mark?mark")
                .bearer(token)
                .header("x-mark", "mark"),
        );
        assert!((400..500).contains(&response.status), "{}", response.text());
        let headers: String = response
            .headers
            .0
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", escape(value)))
            .collect();
        let whole = format!("{headers}\n{}", response.text()).to_ascii_lowercase();
        for part in [
            "mark",
            "script",
            "secret-claim",
            "orders",
            "key-1",
            &ISSUER[8..],
        ] {
            assert!(!whole.contains(part), "`{part}` in {whole}");
        }
    }
    assert_eq!(upstream.count(), 0);
}
