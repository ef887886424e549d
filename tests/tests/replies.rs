//! What clients hear of refusals where a policy shapes it: natively, through the `.wasm`, in the oldest and
//! the newest Envoy, each with the keys there and with the request first.

use nexus_tests::{
    cases::{self, Case, Expected, Request, Setting},
    client::{self, Client},
    envoy::{self, Config, Envoy},
    http,
    keys::{self, Algorithm, Key},
    nexusctl,
    tokens::Token,
    upstream::Upstream,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://idp.example.com";
const URL: &str = "https://idp.example.com/jwks";
const METADATA: &str = "https://api.example.com/.well-known/oauth-protected-resource";
const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn key() -> Key {
    keys::for_algorithm(Algorithm::EdDSA).with_kid("key-1")
}

fn token(now: i64) -> Token {
    Token::empty()
        .claim("iss", ISSUER)
        .claim("aud", "orders")
        .claim("exp", now + 300)
}

fn signed(token: &Token) -> String {
    token.sign(&key(), Algorithm::EdDSA)
}

/// An app at `/slug` whose replies are these; without, those of the policy.
fn app(slug: &str, replies: Option<Value>) -> Value {
    let mut app = json!({
        "slug": slug, "hosts": ["app.example.com"], "gateway_path": format!("/{slug}"),
        "default_policy": {"auth": {
            "auth_type": "jwt", "providers": ["idp"], "required_claims": ["email"],
            "token_sources": [{"header": "authorization", "prefix": "Bearer "}, {"query": "t"}],
        }},
    });
    if let Some(replies) = replies {
        app["replies"] = replies;
    }
    app
}

/// The same with scopes that a token needs.
fn scoped() -> Value {
    let mut app = app("scoped", None);
    app["default_policy"]["auth"]["required_scopes"] = json!(["orders:read", "orders:write"]);
    app
}

fn policy() -> Value {
    json!({
        "providers": {"idp": {"issuer": ISSUER, "audience": "orders", "jwks_url": URL}},
        "replies": {
            "format": "problem", "realm": "the \"api\" \\ all of it", "resource_metadata": METADATA,
        },
        "apps": [
            app("api", None),
            scoped(),
            app("text", Some(json!({}))),
            app("empty", Some(json!({"format": "empty"}))),
            app("own", Some(json!({
                "realm": "own",
                "by_status": {
                    "400": {"body": ""},
                    "401": {
                        "body": "<h1>${status}</h1><p>${message} ($${reason} is ${reason}; ${app})</p>",
                        "content_type": "text/html",
                        "headers": {
                            "X-Why": "${status} ${reason}: ${message}",
                            "Content-Security-Policy": "default-src 'none'",
                            "Cache-Control": "no-store",
                        },
                    },
                    "403": {
                        "body": "{\"error\": \"${message}\", \"code\": ${status}}",
                        "content_type": "application/vnd.example+json",
                    },
                },
            }))),
            app("web", Some(json!({
                "redirect": {
                    "location": "https://login.example.com/start?why=${reason}&return_to=${return_to}#${app}",
                    "status": 303,
                },
                "by_status": {"401": {"body": "log in", "headers": {"Vary": "origin"}}},
            }))),
        ],
    })
}

fn case(name: &str, request: Request, expected: Expected) -> Case {
    Case {
        name: name.to_owned(),
        request,
        expected,
    }
}

const CHALLENGE: &str = "Bearer realm=\"the \\\"api\\\" \\\\ all of it\"";

fn problem_challenge(error: &str) -> String {
    format!("{CHALLENGE}, error=\"{error}\", resource_metadata=\"{METADATA}\"")
}

/// The replies of the whole policy: problem details.
fn problem_cases(now: i64) -> Vec<Case> {
    let problem = |status: u16, reason: &str, body: &str, challenge: Option<&str>| {
        Expected::denied(status, reason, body, challenge)
            .with_header("content-type", "application/problem+json")
    };
    let get = || Request::get("/api");
    let missing = format!("{CHALLENGE}, resource_metadata=\"{METADATA}\"");
    vec![
        case(
            "no token",
            get(),
            problem(
                401,
                "token_missing",
                r#"{"title":"Unauthorized","status":401,"detail":"Jwt is missing","reason":"token_missing"}"#,
                Some(&missing),
            ),
        ),
        case(
            "a browser without a token, where nothing says that it is sent anywhere",
            get().header("accept", BROWSER),
            problem(
                401,
                "token_missing",
                r#"{"title":"Unauthorized","status":401,"detail":"Jwt is missing","reason":"token_missing"}"#,
                Some(&missing),
            ),
        ),
        case(
            "a text with an apostrophe",
            get().bearer(&token(now).sign(&key().with_kid("key-2"), Algorithm::EdDSA)),
            problem(
                401,
                "key_not_found",
                r#"{"title":"Unauthorized","status":401,"detail":"Jwks doesn't have key to match kid or alg from Jwt","reason":"key_not_found"}"#,
                Some(&problem_challenge("invalid_token")),
            ),
        ),
        case(
            "a genuine token without the claim",
            get().bearer(&signed(&token(now))),
            problem(
                403,
                "claim_missing",
                r#"{"title":"Forbidden","status":403,"detail":"Required claim is missing in Jwt","reason":"claim_missing"}"#,
                Some(&problem_challenge("insufficient_scope")),
            ),
        ),
        case(
            "a genuine token without the scopes is told which",
            Request::get("/scoped").bearer(&signed(
                &token(now)
                    .claim("email", "a@example.com")
                    .claim("scope", "orders:read"),
            )),
            problem(
                403,
                "scope_missing",
                r#"{"title":"Forbidden","status":403,"detail":"Required scope is missing in Jwt","reason":"scope_missing"}"#,
                Some(&format!(
                    "{CHALLENGE}, error=\"insufficient_scope\", scope=\"orders:read orders:write\", \
                     resource_metadata=\"{METADATA}\""
                )),
            ),
        ),
        case(
            "no app",
            Request::get("/<script>alert(1)</script>").header("accept", BROWSER),
            problem(
                404,
                "no_app_matched",
                r#"{"title":"Not Found","status":404,"detail":"Not Found","reason":"no_app_matched"}"#,
                None,
            ),
        ),
        case(
            "a path that may mean anything",
            Request::get("/api%2fx"),
            problem(
                400,
                "request_malformed",
                r#"{"title":"Bad Request","status":400,"detail":"Bad Request","reason":"request_malformed"}"#,
                None,
            ),
        ),
        case(
            "HEAD has the headers of GET",
            Request {
                method: "HEAD".to_owned(),
                ..get()
            },
            problem(401, "token_missing", "", Some(&missing)),
        ),
        case(
            "a good token",
            get().bearer(&signed(&token(now).claim("email", "a@example.com"))),
            Expected::allowed([("authorization", None)]),
        ),
    ]
}

/// The replies of apps, which replace those of the policy as a whole.
fn app_cases(now: i64) -> Vec<Case> {
    let expired = signed(&token(now).claim("exp", now - 1000));
    let genuine = signed(&token(now));
    vec![
        case(
            "an app that goes back to the default",
            Request::get("/text").bearer(&expired),
            Expected::invalid_token("token_expired", "Jwt is expired"),
        ),
        case(
            "nothing but the status",
            Request::get("/empty").bearer(&expired),
            Expected::denied(401, "token_expired", "", None),
        ),
        case(
            "nothing but the status of a 403",
            Request::get("/empty").bearer(&genuine),
            Expected::denied(403, "claim_missing", "", None),
        ),
        case(
            "an own page",
            Request::get("/own")
                .bearer(&token(now).sign(&key().with_kid("key-2"), Algorithm::EdDSA)),
            Expected::denied(
                401,
                "key_not_found",
                "<h1>401</h1><p>Jwks doesn&#39;t have key to match kid or alg from Jwt \
                 (${reason} is key_not_found; own)</p>",
                Some("Bearer realm=\"own\", error=\"invalid_token\""),
            )
            .with_header("content-type", "text/html; charset=utf-8")
            .with_header(
                "x-why",
                "401 key_not_found: Jwks doesn't have key to match kid or alg from Jwt",
            )
            .with_header("content-security-policy", "default-src 'none'")
            .with_header("cache-control", "no-store"),
        ),
        case(
            "an own JSON",
            Request::get("/own").bearer(&genuine),
            Expected::denied(
                403,
                "claim_missing",
                r#"{"error": "Required claim is missing in Jwt", "code": 403}"#,
                Some("Bearer realm=\"own\", error=\"insufficient_scope\""),
            )
            .with_header("content-type", "application/vnd.example+json"),
        ),
        case(
            "an own empty body",
            Request::get("/own").bearer(&genuine).bearer(&genuine),
            Expected::denied(
                400,
                "token_repeated",
                "",
                Some("Bearer realm=\"own\", error=\"invalid_request\""),
            ),
        ),
    ]
}

/// Browsers that are sent to log in, and everybody else.
fn redirect_cases(now: i64) -> Vec<Case> {
    let sent = |reason: &str, url: &str| {
        let location = format!("https://login.example.com/start?why={reason}&return_to={url}#web");
        Expected::denied(303, reason, "", None)
            .with_header("location", &location)
            .with_header("cache-control", "no-store")
            .with_header("vary", "accept")
    };
    let browser = |path: &str| Request::get(path).header("accept", BROWSER);
    let expired = signed(&token(now).claim("exp", now - 1000));
    let genuine = signed(&token(now));
    let origin = "http%3A%2F%2Fapp.example.com";
    vec![
        case(
            "a browser without a token",
            browser("/web/orders?page=2&sort=a%20b"),
            sent(
                "token_missing",
                &format!("{origin}%2Fweb%2Forders%3Fpage%3D2%26sort%3Da%2520b"),
            ),
        ),
        case(
            "a browser with a token that is no good any more",
            browser("/web").bearer(&expired),
            sent("token_expired", &format!("{origin}%2Fweb")),
        ),
        case(
            "tokens are not carried along, wherever services may look for them",
            browser(&format!("/web?a=1&t={expired}&b=2")),
            sent("token_expired", &format!("{origin}%2Fweb%3Fa%3D1%26b%3D2")),
        ),
        case(
            "the parameter of the standard is no token here, and may be one all the same",
            browser("/web?access_token=secret&ACCESS%5fTOKEN=secret&b=2"),
            sent("token_missing", &format!("{origin}%2Fweb%3Fb%3D2")),
        ),
        case(
            "what would lead elsewhere stays a value",
            browser("/web?x=/../..//evil.example.com/&return_to=https://evil.example.com/%0d%0aset-cookie:%20a=b"),
            sent(
                "token_missing",
                &format!(
                    "{origin}%2Fweb%3Fx%3D%2F..%2F..%2F%2Fevil.example.com%2F%26return_to%3Dhttps%3A%2F%2F\
                     evil.example.com%2F%250d%250aset-cookie%3A%2520a%3Db"
                ),
            ),
        ),
        case(
            "a port of the client's choice is a part of the value",
            browser("/web").host("app.example.com:8443"),
            sent("token_missing", "http%3A%2F%2Fapp.example.com%3A8443%2Fweb"),
        ),
        case(
            "a URL that is too long loses its query",
            browser(&format!("/web?{}", "a".repeat(2048))),
            sent("token_missing", &format!("{origin}%2Fweb")),
        ),
        case(
            "HEAD is sent there too",
            Request {
                method: "HEAD".to_owned(),
                ..browser("/web")
            },
            sent("token_missing", &format!("{origin}%2Fweb")),
        ),
        case(
            "a form that is posted is lost, and is not sent anywhere",
            Request {
                method: "POST".to_owned(),
                ..browser("/web")
            },
            not_sent(),
        ),
        case("a program that takes anything", Request::get("/web").header("accept", "*/*"), not_sent()),
        case("a program that says nothing", Request::get("/web"), not_sent()),
        case(
            "a program that wants no HTML",
            Request::get("/web").header("accept", "application/json, text/html;q=0"),
            not_sent(),
        ),
        case(
            "a browser with a good token that is not enough",
            browser("/web").bearer(&genuine),
            Expected::denied(
                403,
                "claim_missing",
                "Required claim is missing in Jwt",
                Some("Bearer error=\"insufficient_scope\""),
            ),
        ),
        case(
            "another host is another app, and is not sent anywhere",
            browser("/web").host("evil.example.com"),
            Expected::denied(
                404,
                "no_app_matched",
                r#"{"title":"Not Found","status":404,"detail":"Not Found","reason":"no_app_matched"}"#,
                None,
            )
            .with_header("content-type", "application/problem+json"),
        ),
    ]
}

/// The 401 of an app with a redirect, for those who are not redirected: with its own `vary` and the one for the
/// redirect.
fn not_sent() -> Expected {
    Expected::denied(401, "token_missing", "log in", Some("Bearer"))
        .with_header("content-type", "text/plain; charset=utf-8")
        .with_header("vary", "accept, origin")
}

#[test]
fn replies_are_the_same_on_every_side() {
    let setting = Setting::new("replies", &policy().to_string())
        .key_set(URL, &keys::jwks([key().public_jwk()]));
    let cases = |now| {
        let mut cases = problem_cases(now);
        cases.extend(app_cases(now));
        cases.extend(redirect_cases(now));
        cases
    };
    cases::check(&setting, cases, &[envoy::oldest(), envoy::newest()]);
}

/// An app that is the whole policy: what it says holds for what it does not match, too.
#[test]
fn a_single_app_answers_for_everything() {
    let setting = Setting::new(
        "single-app",
        &json!({
            "slug": "a", "gateway_path": "/a",
            "default_policy": {"auth": {"auth_type": "jwt", "jwt_secret_env": "SECRET"}},
            "replies": {"by_status": {
                "401": {"body": "${app}"}, "404": {"body": "nothing, not even an app: [${app}]"},
            }},
        })
        .to_string(),
    )
    .env("SECRET", &"s".repeat(32));
    let text =
        |expected: Expected| expected.with_header("content-type", "text/plain; charset=utf-8");
    let cases = |_| {
        vec![
            case(
                "an app",
                Request::get("/a"),
                text(Expected::denied(401, "token_missing", "a", Some("Bearer"))),
            ),
            case(
                "no app",
                Request::get("/b"),
                text(Expected::denied(
                    404,
                    "no_app_matched",
                    "nothing, not even an app: []",
                    None,
                )),
            ),
        ]
    };
    cases::check(&setting, cases, &[envoy::newest()]);
}

fn envoy_with(policy: &Value, check: impl Fn(&Envoy, &mut Client)) {
    let upstream = Upstream::start();
    let config = Config::new(upstream.addr()).filter(nexusctl::compile_policy(&policy.to_string()));
    envoy::for_oldest_and_newest(|version| {
        let envoy = Envoy::start(version, &config);
        check(&envoy, &mut envoy.client());
        assert_eq!(upstream.count(), 0);
    });
}

fn small_policy(replies: Value) -> Value {
    json!({
        "slug": "a", "gateway_path": "/", "hosts": ["app.example.com"], "replies": replies,
        "default_policy": {"auth": {
            "auth_type": "jwt", "issuer": ISSUER, "jwks": {"keys": [key().public_jwk()]},
        }},
    })
}

/// What only the wire shows: lengths, and what Envoy makes of a reply to gRPC.
#[test]
fn envoy_frames_the_replies() {
    let policy = small_policy(json!({"format": "problem"}));
    envoy_with(&policy, |envoy, client| {
        let get = http::Request::get("/x").host("app.example.com");
        let whole = client.send(&get);
        let head = client.send(&http::Request::new("HEAD", "/x").host("app.example.com"));
        assert_eq!((whole.status, head.status), (401, 401));
        assert_eq!(
            whole.headers.text("content-length"),
            Some(whole.body.len().to_string())
        );
        assert_eq!(head.body, b"");
        for name in ["content-length", "content-type", "www-authenticate"] {
            assert_eq!(head.headers.text(name), whole.headers.text(name), "{name}");
        }
        let grpc = client.send(&get.header("content-type", "application/grpc"));
        assert_eq!((grpc.status, grpc.text().as_str()), (200, ""));
        assert_eq!(grpc.headers.text("grpc-status").as_deref(), Some("16"));
        assert_eq!(
            grpc.headers.text("grpc-message").as_deref(),
            Some("Jwt is missing")
        );
        assert_eq!(
            grpc.headers.text("content-type").as_deref(),
            Some("application/grpc")
        );
        let log = envoy.wait_for_access_log(3);
        for entry in log {
            assert_eq!(entry.details, "nexus_denied{token_missing}");
        }
    });
}

/// Bytes that are not UTF-8, and an `Accept` of every kind, neither stop the filter nor get into a header.
#[test]
fn hostile_headers_do_not_get_into_a_redirect() {
    let policy = small_policy(json!({
        "redirect": {"location": "https://login.example.com/?to=${return_to}"},
    }));
    envoy_with(&policy, |envoy, _| {
        let many: Vec<u8> = b"text/html,".iter().copied().cycle().take(40_000).collect();
        for (accept, redirected) in [
            (b"\xff\xfe, text/html".to_vec(), true),
            (b"text/html\xff".to_vec(), false),
            (b",,,;;;q=,text/html;;".to_vec(), true),
            (b"text/html;q=0;q=1".to_vec(), false),
            (many, true),
        ] {
            let request = http::Request::get("/x?a=%C3%A9")
                .host("app.example.com")
                .header("accept", &accept);
            let response = client::send(envoy.addr(), &request);
            let status = if redirected { 302 } else { 401 };
            assert_eq!(response.status, status, "{}", http::escape(&accept));
            if redirected {
                assert_eq!(
                    response.headers.text("location").as_deref(),
                    Some(
                        "https://login.example.com/?to=http%3A%2F%2Fapp.example.com%2Fx%3Fa%3D%25C3%25A9"
                    )
                );
            }
        }
    });
}
