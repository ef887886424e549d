//! Tokens in headers, query parameters and cookies: which are found, that all of them have to be good, and
//! that the service sees everything but the token.
//!
//! The cases run natively, through the `.wasm` in `nexus-host`, and in both Envoys.

use nexus_tests::{
    cases::{self, Case, Expected, Request, Setting},
    envoy::{self, Envoy},
    http,
    keys::Algorithm,
    tokens::{Token, with_broken_signature},
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{
    Health, ISSUER, assert_denied, assert_passes, good_token, inline_provider, key, with_policy,
};

const MALFORMED: &str =
    "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";

/// An app whose tokens may stand in many places, and routes that say otherwise.
fn policy() -> Value {
    let auth = |fields: Value| {
        let mut auth = json!({
            "auth_type": "jwt", "providers": ["idp"], "forward_claims_as_headers": {"sub": "X-User-Id"},
        });
        for (name, value) in fields.as_object().expect("an object") {
            auth[name] = value.clone();
        }
        json!({"auth": auth})
    };
    let mut provider = inline_provider();
    provider["token_sources"] = json!([
        {"header": "Authorization", "prefix": "Bearer "},
        {"header": "X-Jwt"},
        {"header": "X-Key", "prefix": "Token "},
        {"query": "access_token"},
        {"cookie": "session"},
    ]);
    let mut usual = inline_provider();
    usual["audience"] = json!("orders");
    json!({
        "providers": {"idp": provider, "usual": usual},
        "apps": [{
            "slug": "app", "gateway_path": "/app",
            "default_policy": auth(json!({})),
            "routes": [
                {"path": "/usual/*", "policy": {"auth": {"auth_type": "jwt", "providers": ["usual"]}}},
                {"path": "/keep/*", "policy": auth(json!({"forward_token": true}))},
                {"path": "/optional/*", "policy": auth(json!({"required": false}))},
                {"path": "/cookie/*", "policy": auth(json!({"token_sources": [{"cookie": "c"}, {"query": "q"}]}))},
                {"path": "/open/*", "policy": {"auth": {"auth_type": "none"}}},
            ],
        }],
    })
}

fn setting() -> Setting {
    Setting::new("token sources", &policy().to_string())
}

fn token(sub: &str, now: i64) -> String {
    Token::empty()
        .claim("iss", ISSUER)
        .claim("aud", "orders")
        .claim("sub", sub)
        .claim("iat", now)
        .claim("exp", now + 300)
        .sign(&key(), Algorithm::RS256)
}

/// The service sees alice, and these differences.
fn alice<'h>(differences: impl IntoIterator<Item = (&'h str, Option<&'h str>)>) -> Expected {
    let identity = [("x-user-id", Some("alice"))];
    Expected::allowed(differences.into_iter().chain(identity))
}

fn repeated() -> Expected {
    Expected::denied(
        400,
        "token_repeated",
        "Found multiple Jwt tokens",
        Some("Bearer error=\"invalid_request\""),
    )
}

fn malformed() -> Expected {
    Expected::invalid_token("token_malformed", MALFORMED)
}

fn forged() -> Expected {
    Expected::invalid_token("signature_invalid", "Jwt verification fails")
}

fn as_sent() -> Expected {
    Expected::allowed([])
}

type Row = (&'static str, Request, Expected);

fn cases(rows: Vec<Row>) -> Vec<Case> {
    rows.into_iter()
        .map(|(name, request, expected)| Case {
            name: name.to_owned(),
            request,
            expected,
        })
        .collect()
}

fn check(rows: impl Fn(&str, i64) -> Vec<Row>) {
    let envoys = [envoy::oldest(), envoy::newest()];
    let all = |now| cases(rows(&token("alice", now), now));
    cases::check(&setting(), all, &envoys);
}

#[test]
fn tokens_are_found_where_the_policy_says_and_nowhere_else() {
    check(|good, _| {
        let get = |path: &str| Request::get(path);
        let query = format!("access_token={good}");
        vec![
            (
                "the usual place",
                get("/app").bearer(good),
                alice([("authorization", None)]),
            ),
            (
                "a scheme without case",
                get("/app").header("authorization", format!("bEARER  {good}")),
                alice([("authorization", None)]),
            ),
            (
                "a bare header",
                get("/app").header("X-Jwt", good),
                alice([("x-jwt", None)]),
            ),
            (
                "a bare header with a scheme in it",
                get("/app").header("x-jwt", format!("Bearer {good}")),
                Expected::invalid_token(
                    "token_header_base64",
                    "Jwt header is an invalid Base64url encoded",
                ),
            ),
            (
                "a scheme of its own",
                get("/app").header("x-key", format!("token {good}")),
                alice([("x-key", None)]),
            ),
            (
                "another scheme there is no token",
                get("/app").header("x-key", format!("Bearer {good}")),
                Expected::token_missing(),
            ),
            (
                "a query parameter",
                get(&format!("/app?{query}")),
                alice([(":path", Some("/app"))]),
            ),
            (
                "an escaped one",
                get(&format!("/app?access%5Ftoken={}", good.replace('.', "%2e"))),
                alice([(":path", Some("/app"))]),
            ),
            (
                "a cookie",
                get("/app").header("cookie", format!("session={good}")),
                alice([("cookie", None)]),
            ),
            (
                "a quoted one",
                get("/app").header("cookie", format!("session=\"{good}\"")),
                alice([("cookie", None)]),
            ),
            (
                "not in a parameter that is called alike",
                get(&format!("/app?access_token2={good}&xaccess_token={good}")),
                Expected::token_missing(),
            ),
            (
                "not in the path",
                get(&format!("/app/{query}")),
                Expected::token_missing(),
            ),
            (
                "not in the usual app's query",
                get(&format!("/app/usual/x?{query}")),
                Expected::token_missing(),
            ),
            (
                "nor in its cookie or header",
                get("/app/usual/x")
                    .header("cookie", format!("session={good}"))
                    .header("x-jwt", good),
                Expected::token_missing(),
            ),
            (
                "but in its usual place",
                get(&format!("/app/usual/x?{query}")).bearer(good),
                Expected::allowed([("authorization", None)]),
            ),
            (
                "a route's own places replace the provider's",
                get("/app/cookie/x").bearer(good),
                Expected::token_missing(),
            ),
            (
                "there is its own",
                get("/app/cookie/x").header("cookie", format!("c={good}; session=x")),
                alice([("cookie", Some("session=x"))]),
            ),
            (
                "an open route looks at none",
                get("/app/open/x?access_token=a&access_token=b").header("cookie", "session=x"),
                as_sent(),
            ),
        ]
    });
}

#[test]
fn every_token_that_is_found_has_to_be_good() {
    check(|good, now| {
        let get = |path: &str| Request::get(path);
        let bad = with_broken_signature(good);
        let old = token("alice", now - 100_000);
        let bob = token("bob", now);
        vec![
            (
                "all five places with a good one",
                get(&format!("/app?a=1&access_token={good}"))
                    .bearer(good)
                    .header("x-jwt", good)
                    .header("x-key", format!("Token {good}"))
                    .header("cookie", format!("a=1; session={good}")),
                alice([
                    ("authorization", None),
                    ("x-jwt", None),
                    ("x-key", None),
                    ("cookie", Some("a=1")),
                    (":path", Some("/app?a=1")),
                ]),
            ),
            (
                "a forged one in the query",
                get(&format!("/app?access_token={bad}")).bearer(good),
                forged(),
            ),
            (
                "a forged one in the cookie",
                get("/app")
                    .bearer(good)
                    .header("cookie", format!("session={bad}")),
                forged(),
            ),
            (
                "a forged one in the first place",
                get("/app")
                    .bearer(&bad)
                    .header("cookie", format!("session={good}")),
                forged(),
            ),
            (
                "an expired one in the last",
                get("/app")
                    .bearer(good)
                    .header("cookie", format!("session={old}")),
                Expected::invalid_token("token_expired", "Jwt is expired"),
            ),
            (
                "no token at all in one of them",
                get("/app?access_token=undefined").bearer(good),
                malformed(),
            ),
            (
                "an empty parameter",
                get("/app?access_token=").bearer(good),
                malformed(),
            ),
            (
                "one without value",
                get("/app?access_token").bearer(good),
                malformed(),
            ),
            (
                "an empty cookie",
                get("/app").bearer(good).header("cookie", "session="),
                malformed(),
            ),
            (
                "an empty header",
                get("/app").bearer(good).header("x-jwt", ""),
                malformed(),
            ),
            (
                "two people",
                get("/app").bearer(good).header("x-jwt", &bob),
                repeated(),
            ),
            (
                "none where none is required",
                get("/app/optional/x?a=1").header("cookie", "a=1"),
                as_sent(),
            ),
            (
                "a good one there",
                get(&format!("/app/optional/x?access_token={good}")),
                alice([(":path", Some("/app/optional/x"))]),
            ),
            (
                "a forged one there",
                get(&format!("/app/optional/x?access_token={bad}")),
                forged(),
            ),
            (
                "an empty one there",
                get("/app/optional/x").header("cookie", "session="),
                malformed(),
            ),
            (
                "another scheme there",
                get("/app/optional/x").header("authorization", "Basic dTpw"),
                as_sent(),
            ),
        ]
    });
}

#[test]
fn a_place_holds_one_token_to_every_service() {
    check(|good, _| {
        let get = |path: &str| Request::get(path);
        let query = |rest: &str| get(&format!("/app?access_token={good}{rest}"));
        let cookie = |rest: &str| get("/app").header("cookie", format!("session={good}{rest}"));
        vec![
            ("a parameter twice", query("&access_token=x"), repeated()),
            (
                "the same twice",
                query(&format!("&access_token={good}")),
                repeated(),
            ),
            ("without case", query("&Access_Token=x"), repeated()),
            ("escaped", query("&%61ccess_token=x"), repeated()),
            ("with a dot for PHP", query("&access.token=x"), repeated()),
            ("with a space for PHP", query("&access+token=x"), repeated()),
            ("an array", query("&access_token[]=x"), repeated()),
            (
                "an escaped array",
                query("&access_token%5B0%5D=x"),
                repeated(),
            ),
            ("cut at NUL", query("&access_token%00=x"), repeated()),
            (
                "behind a semicolon",
                query("&a=1;access_token=x"),
                repeated(),
            ),
            (
                "behind a semicolon alone",
                get("/app?a=1;access_token=x"),
                repeated(),
            ),
            (
                "behind a semicolon where no token is required",
                get("/app/optional/x?a=1;access_token=x"),
                repeated(),
            ),
            (
                "a semicolon behind it",
                query(";a=1"),
                Expected::invalid_token(
                    "token_signature_base64",
                    "Jwt signature is an invalid Base64url encoded",
                ),
            ),
            ("a cookie twice", cookie("; session=x"), repeated()),
            (
                "in two headers",
                cookie("").header("cookie", "session=x"),
                repeated(),
            ),
            ("without case", cookie("; Session=x"), repeated()),
            ("escaped", cookie("; sess%69on=x"), repeated()),
            ("behind a comma", cookie("; a=1,session=x"), repeated()),
            ("behind white space", cookie("; a=1 session=x"), repeated()),
            (
                "behind a comma where no token is required",
                get("/app/optional/x").header("cookie", "a=1, session=x"),
                repeated(),
            ),
            ("without a value", cookie("; session"), repeated()),
            (
                "a header twice",
                get("/app").header("x-jwt", good).header("x-jwt", good),
                repeated(),
            ),
            (
                "in two spellings",
                get("/app").header("x-jwt", good).header("X_Jwt", "x"),
                repeated(),
            ),
            (
                "the other spelling alone",
                get("/app").header("X_Jwt", good),
                alice([("x_jwt", None)]),
            ),
            (
                "the other spelling, forged, where no token is required",
                get("/app/optional/x").header("X_Jwt", with_broken_signature(good)),
                forged(),
            ),
            (
                "joined by a comma",
                get("/app").header("x-jwt", format!("{good},{good}")),
                repeated(),
            ),
            (
                "joined schemes",
                get("/app").header("x-key", format!("Basic x, token {good}")),
                repeated(),
            ),
            (
                "a good one elsewhere",
                get("/app?access_token=x&access_token=y").bearer(good),
                repeated(),
            ),
        ]
    });
}

#[test]
fn the_token_goes_and_nothing_else_changes() {
    check(|good, _| {
        let get = |path: &str| Request::get(path);
        let query = format!("access_token={good}");
        let path = |before: &str, behind: &str| get(&format!("/app/x?{before}{query}{behind}"));
        let cookie = |before: &str, behind: &str| {
            get("/app").header("cookie", format!("{before}session={good}{behind}"))
        };
        vec![
            (
                "escapes",
                path("b=%26c%3D1&", ""),
                alice([(":path", Some("/app/x?b=%26c%3D1"))]),
            ),
            (
                "escapes behind it",
                path("", "&b=%26c%3D1&d=a+b%2f%2F%zz"),
                alice([(":path", Some("/app/x?b=%26c%3D1&d=a+b%2f%2F%zz"))]),
            ),
            (
                "order and empty parameters",
                path("z=1&a=&&a&", "&=x&z=0&"),
                alice([(":path", Some("/app/x?z=1&a=&&a&=x&z=0&"))]),
            ),
            (
                "question marks and URLs in values",
                path("return=/a?b=c&", ""),
                alice([(":path", Some("/app/x?return=/a?b=c"))]),
            ),
            (
                "the question mark goes",
                path("", ""),
                alice([(":path", Some("/app/x"))]),
            ),
            (
                "a path that is escaped",
                get(&format!("/app/caf%C3%a9/%7Ex?{query}&a=1")),
                alice([(":path", Some("/app/caf%C3%a9/%7Ex?a=1"))]),
            ),
            (
                "a path with the parameter's name",
                get(&format!("/app/access_token=x?{query}")),
                alice([(":path", Some("/app/access_token=x"))]),
            ),
            (
                "cookies before",
                cookie("a=1; b=\"2\"; ", ""),
                alice([("cookie", Some("a=1; b=\"2\""))]),
            ),
            (
                "cookies behind",
                cookie("", "; a=1;b = 2"),
                alice([("cookie", Some("a=1;b = 2"))]),
            ),
            (
                "cookies around",
                cookie("a=%20; ", "; session2=x"),
                alice([("cookie", Some("a=%20; session2=x"))]),
            ),
            (
                "forwarded: all stays",
                get(&format!("/app/keep/x?a=1&{query}"))
                    .bearer(good)
                    .header("x-jwt", good)
                    .header("cookie", format!("session={good}; a=1")),
                alice([]),
            ),
            (
                "a claim's header that a client sends goes too",
                path("", "&a=1").header("x-user-id", "root"),
                alice([(":path", Some("/app/x?a=1"))]),
            ),
        ]
    });
}

#[test]
fn the_path_is_matched_as_without_a_token() {
    check(|good, _| {
        let get = |path: &str| Request::get(path);
        let query = format!("access_token={good}");
        vec![
            (
                "dots in the query lead nowhere",
                get(&format!("/app/usual/x?/../../app&{query}")),
                Expected::token_missing(),
            ),
            (
                "nor does an escaped question mark end the path",
                get(&format!("/app/x%3F{query}")),
                Expected::token_missing(),
            ),
            (
                "an escaped slash is refused with a token too",
                get(&format!("/app%2Fopen/x?{query}")),
                Expected::denied(400, "request_malformed", "Bad Request", None),
            ),
            (
                "an ambiguous path is refused with a token too",
                get(&format!("/app/open/../x?{query}")),
                Expected::denied(400, "path_ambiguous", "Bad Request", None),
            ),
            (
                "a slash in the token's place",
                get(&format!("/app/x?a=/app/open/&{query}")),
                alice([(":path", Some("/app/x?a=/app/open/"))]),
            ),
        ]
    });
}

#[test]
fn huge_queries_and_thousands_of_cookies_do_no_harm() {
    let upstream = Upstream::start();
    let config = with_policy(upstream.addr(), &policy()).edit_connection_manager(|manager| {
        manager["common_http_protocol_options"] = json!({"max_headers_count": 16384});
        manager["max_request_headers_kb"] = json!(8192);
    });
    let good = good_token();
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        many_parameters(&envoy, &good);
        many_cookies(&envoy, &good);
        bytes_that_are_no_text(&envoy, &good);
        health.assert_unharmed(&mut envoy);
    });
}

fn many_parameters(envoy: &Envoy, good: &str) {
    let mut client = envoy.client();
    for filler in ["a=1&", "&", "%61=%&", "access_toke=&", "[&"] {
        let many = filler.repeat(200_000 / filler.len());
        let target = format!("/app?{many}access_token={good}&b=2");
        let seen = client.send(&http::Request::get(&target)).seen();
        assert_eq!(seen.path, format!("/app?{many}b=2"), "{filler}");
        let twice = http::Request::get(format!("{target}&access_token=x"));
        assert_denied(&client.send(&twice), "token_repeated", filler);
    }
    let long = http::Request::get(format!("/app?access_token={}", "%41".repeat(500_000)));
    assert_denied(&client.send(&long), "token_malformed", "1.5 MB of token");
    let usual = http::Request::get("/app").bearer(good);
    assert_passes(&mut client, &usual, "afterwards");
}

fn many_cookies(envoy: &Envoy, good: &str) {
    let mut client = envoy.client();
    for count in [1_000, 10_000] {
        let others: Vec<String> = (0..count)
            .map(|index| format!("c{index}={index}"))
            .collect();
        let others = others.join("; ");
        let request = http::Request::get("/app");
        let one = request
            .clone()
            .header("cookie", format!("{others}; session={good}"));
        let seen = client.send(&one).seen();
        assert_eq!(seen.headers.all("cookie"), [others.as_bytes()], "{count}");
        let twice = one.header("cookie", "session=x");
        assert_denied(&client.send(&twice), "token_repeated", "in a second header");
        let mut apart = request;
        for index in 0..count {
            apart = apart.header("cookie", format!("c{index}={index}"));
        }
        let seen = client
            .send(&apart.header("cookie", format!("session={good}")))
            .seen();
        let joined = seen.headers.all("cookie").join(&b"; "[..]);
        assert_eq!(joined, others.as_bytes(), "{count} headers");
    }
}

fn bytes_that_are_no_text(envoy: &Envoy, good: &str) {
    let mut client = envoy.client();
    let cookie = [b"a=\xff\xfe; session=", good.as_bytes(), b"; b=\x80"].concat();
    let seen = client
        .send(&http::Request::get("/app").header("cookie", cookie))
        .seen();
    assert_eq!(seen.headers.all("cookie"), [b"a=\xff\xfe; b=\x80"]);
    for (note, request) in [
        (
            "a cookie",
            http::Request::get("/app").header("cookie", b"session=\xff"),
        ),
        (
            "a header",
            http::Request::get("/app").header("x-jwt", b"\xff\xfe"),
        ),
        (
            "a parameter",
            http::Request::get("/app?access_token=%ff%fe"),
        ),
    ] {
        let response = client.send(&request);
        assert_denied(&response, "token_malformed", note);
    }
}
