//! Routes by prefix, by expression, by headers and by the query; excluded paths; the order of routes; CORS
//! preflights. The same tables natively, through the `.wasm` in `nexus-host` and in the oldest and
//! newest Envoy, with what clients try: repeated values, other spellings, other encodings.

use nexus_tests::{
    cases::{self, Case, Expected, Request, Setting},
    envoy,
    keys::{self, Algorithm, Key},
    tokens::Token,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://idp.example.com";
const URL: &str = "https://idp.example.com/jwks.json";

fn idp() -> Key {
    keys::for_algorithm(Algorithm::EdDSA).with_kid("key-1")
}

fn token(now: i64) -> String {
    Token::empty()
        .claim("iss", ISSUER)
        .claim("sub", "alice")
        .claim("iat", now)
        .claim("exp", now + 300)
        .sign(&idp(), Algorithm::EdDSA)
}

/// What asks for a token of the provider, and gives its `sub` to the service.
fn closed() -> Value {
    json!({"auth": {
        "auth_type": "jwt", "providers": ["idp"], "forward_claims_as_headers": {"sub": "X-User-Id"}
    }})
}

fn open() -> Value {
    json!({"auth": {"auth_type": "none"}})
}

/// A policy with one app, `app`, at `/app`, closed but for what `members` say.
fn setting(name: &str, members: Value) -> Setting {
    let mut app = json!({"slug": "app", "gateway_path": "/app", "default_policy": closed()});
    let own = members.as_object().expect("members of an app").clone();
    app.as_object_mut().expect("an app").extend(own);
    let policy = json!({
        "providers": {"idp": {"issuer": ISSUER, "jwks_url": URL}},
        "apps": [app],
    });
    Setting::new(name, &policy.to_string()).key_set(URL, &keys::jwks([idp().public_jwk()]))
}

fn check(setting: &Setting, cases: impl Fn(i64) -> Vec<Case>) {
    let mut ends = vec![envoy::oldest(), envoy::newest()];
    ends.dedup();
    cases::check(setting, cases, &ends);
}

/// What comes of a request without a token.
#[derive(Clone, Copy)]
enum Fate {
    /// It passes by this route.
    Open(&'static str),
    /// It needs a token by this route.
    Closed(&'static str),
    /// It needs a token by the app's own policy.
    Default,
    /// It is answered 400 for this reason.
    Refused(&'static str),
}

use Fate::{Closed, Default, Open, Refused};

const PATH: Fate = Refused("path_ambiguous");
const MALFORMED: Fate = Refused("request_malformed");
const CONDITION: Fate = Refused("condition_ambiguous");

fn case(request: Request, fate: Fate) -> Case {
    let name = format!(
        "{} {} {:?}",
        request.method,
        request.path,
        request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
            .collect::<Vec<_>>()
    );
    let route = |expected: Expected, route: &str| Expected {
        app: Some("app".to_owned()),
        route: Some(route.to_owned()),
        ..expected
    };
    let forged = request
        .headers
        .iter()
        .filter(|(name, _)| name.to_ascii_lowercase().replace('_', "-") == "x-user-id")
        .map(|(name, _)| (name.to_ascii_lowercase(), None));
    let passes = Expected {
        service_sees: forged.collect(),
        ..Expected::default()
    };
    let expected = match fate {
        Open(label) => route(passes, label),
        Closed(label) => route(Expected::token_missing(), label),
        Default => Expected {
            app: Some("app".to_owned()),
            ..Expected::token_missing()
        },
        Refused(reason) => Expected::denied(400, reason, "Bad Request", None),
    };
    Case {
        name,
        request,
        expected,
    }
}

/// Cases of paths alone.
fn paths(rows: &[(&str, Fate)]) -> Vec<Case> {
    rows.iter()
        .map(|(path, fate)| case(Request::get(path), *fate))
        .collect()
}

/// Headers, and what comes of a request with them.
type HeadersRow<'r> = (&'r [(&'r str, &'r [u8])], Fate);

/// One path with these headers.
fn with_headers(path: &str, rows: &[HeadersRow<'_>]) -> Vec<Case> {
    rows.iter()
        .map(|(headers, fate)| {
            let request = headers
                .iter()
                .fold(Request::get(path), |request, (name, value)| {
                    request.header(name, value)
                });
            case(request, *fate)
        })
        .collect()
}

#[test]
fn a_prefix_opens_what_begins_with_it_and_nothing_else() {
    let setting = setting(
        "prefix",
        json!({"routes": [
            {"path": "/v*", "policy": open()},
            {"path": "/vault/*", "policy": closed()},
        ]}),
    );
    let rows = [
        ("/app/v", Open("/v*")),
        ("/app/v1/x", Open("/v*")),
        ("/app/v?x=/vault", Open("/v*")),
        ("/app/v1/caf%C3%A9", Open("/v*")),
        ("/app/vaults", Open("/v*")),
        ("/app/v1;a=b/x", Open("/v*")),
        ("/app/V1", Default),
        ("/app/x/v1", Default),
        ("/app/", Default),
        ("/app/vault", Closed("/vault/*")),
        ("/app/vault/", Closed("/vault/*")),
        ("/app/vault/x", Closed("/vault/*")),
        ("/app/vault;a=b", PATH),
        ("/app/vault;/x", PATH),
        ("/app/v;x/../vault", PATH),
        ("/app/v1/../vault", PATH),
        ("/app/v1//../vault/x", PATH),
        ("/app/v1/%2e%2e/vault", PATH),
        ("/app/v1/%252e%252e/vault", PATH),
        ("/app/%76ault", PATH),
        ("/app/v%61ult/x", PATH),
        ("/app/v%2561ult/x", PATH),
        ("/app//vault", PATH),
        ("/app/x/../v1", PATH),
        ("/app/v1/..%2fvault", MALFORMED),
        ("/app/v1/..;/vault", MALFORMED),
        ("/app/v1\\..\\vault", MALFORMED),
        ("/app/vault%00", MALFORMED),
    ];
    check(&setting, |_| paths(&rows));
}

#[test]
fn an_expression_decides_about_the_whole_path_in_normal_form() {
    let setting = setting(
        "expression",
        json!({"routes": [
            {"path_regex": "/users/[0-9]+/avatar(\\.png)?", "policy": open()},
            {"path_regex": "/files/(public|shared)/.+", "policy": open()},
            {"path_regex": "(?i)/files/.*\\.key", "methods": ["GET"], "policy": closed()},
            {"path": "/files/public/index", "policy": open()},
            {"path": "/files/*", "policy": closed()},
        ]}),
    );
    let avatar = Open("/users/[0-9]+/avatar(\\.png)?");
    let shared = Open("/files/(public|shared)/.+");
    let rows = [
        ("/app/users/7/avatar", avatar),
        ("/app/users/7/avatar/", avatar),
        ("/app/users/7/avatar.png?size=1", avatar),
        ("/app/users/7/avatar.pngx", Default),
        ("/app/users/7/avatarXpng", Default),
        ("/app/users/x/avatar", Default),
        ("/app/users//avatar", Default),
        ("/app/x/users/7/avatar", Default),
        ("/app/users/7/avatar%0a", MALFORMED),
        ("/app/users/7/avatar%0a/../../../secret", MALFORMED),
        ("/app/users/%37/avatar", PATH),
        ("/app/users/x/../7/avatar", PATH),
        ("/app/users/7;v=1/avatar", PATH),
        ("/app/users/7/avatar;.png", PATH),
        ("/app/users/7/%61vatar", PATH),
        ("/app/users//7/avatar", PATH),
        ("/app/users/7/avatar%2f..%2fsecret", MALFORMED),
        ("/app/files/public/a/b", shared),
        ("/app/files/public/caf%C3%A9", shared),
        ("/app/files/public/", Closed("/files/*")),
        ("/app/files/public/../private", PATH),
        ("/app/files/public/./../private/x", PATH),
        ("/app/files/public/%252e%252e/private", PATH),
        ("/app/files/public/..;/private", MALFORMED),
        // As listed: the expression that opens stands first.
        ("/app/files/public/a.key", shared),
        (
            "/app/files/private/a.KEY",
            Closed("GET (?i)/files/.*\\.key"),
        ),
        ("/app/files/public/index", Open("/files/public/index")),
        // What is not UTF-8 is neither matched nor passed by.
        ("/app/users/%ff/avatar", PATH),
        ("/app/elsewhere/%ff", PATH),
        ("/app/elsewhere/%c3%a9", Default),
    ];
    check(&setting, |_| paths(&rows));
}

#[test]
fn a_header_opens_only_with_all_its_values() {
    let setting = setting(
        "headers open",
        json!({"routes": [
            {"path": "/x", "policy": open(), "headers": [{"name": "X-Env", "exact": "test"}]},
            {"path": "/x", "methods": ["GET"], "policy": closed(), "headers": [
                {"name": "x-env", "prefix": "prod-", "ignore_case": true},
                {"name": "x-debug", "present": false}
            ]},
        ]}),
    );
    let opens = Open("/x [x-env]");
    let closes = Closed("GET /x [x-debug, x-env]");
    let rows: &[HeadersRow<'_>] = &[
        (&[], Default),
        (&[("x-env", b"test")], opens),
        (&[("X-ENV", b"test")], opens),
        (&[("x-env", b"Test")], Default),
        (&[("x-env", b"test,test")], Default),
        (&[("x-env", b"")], Default),
        (&[("x-env", b"te\xffst")], Default),
        (&[("x-env", b"test"), ("x-env", b"prod")], CONDITION),
        (&[("x-env", b"prod"), ("x-env", b"test")], CONDITION),
        (&[("x-env", b"test"), ("x-env", b"test")], CONDITION),
        (&[("x-env", b"a"), ("x-env", b"b")], Default),
        (&[("x_env", b"test")], CONDITION),
        (&[("x_env", b"prod")], Default),
        (&[("x-env", b"test"), ("x_env", b"prod")], CONDITION),
        (&[("x-env", b"PROD-1")], closes),
        (&[("x-env", b"prod-1"), ("x-env", b"prod-2")], closes),
        (&[("x-env", b"prod-1"), ("x-debug", b"1")], Default),
        (&[("x-env", b"prod-1"), ("x_debug", b"1")], CONDITION),
        (&[("x-env", b"prod-1"), ("x-env", b"dev")], CONDITION),
        (&[("x-env", b"test"), ("x-user-id", b"admin")], opens),
        (&[("x-env", b"test"), ("X_User_Id", b"admin")], opens),
    ];
    check(&setting, |_| with_headers("/app/x", rows));
}

#[test]
fn a_header_that_closes_is_not_escaped_by_a_second_value() {
    let setting = setting(
        "headers close",
        json!({"default_policy": open(), "routes": [
            {"path": "/*", "policy": closed(), "headers": [{"name": "x-tenant", "exact": "bank"}]},
            {"path": "/r", "policy": closed(), "headers": [{"name": "x-tenant", "regex": "b[a-z]+"}]},
            {"path": "/i", "policy": closed(), "headers": [{"name": "x-tenant", "exact": "toys", "invert": true}]},
            {"path": "/c", "policy": closed(), "headers": [{"name": "x-tenant", "contains": "ban"}]},
        ]}),
    );
    let passes = |path, headers: &[(&str, &[u8])]| Case {
        expected: Expected {
            app: Some("app".to_owned()),
            ..Expected::default()
        },
        ..with_headers(path, &[(headers, Default)]).remove(0)
    };
    let all = |path: &str, closes: Fate| {
        let rows: &[HeadersRow<'_>] = &[
            (&[("x-tenant", b"bank")], closes),
            (&[("x-tenant", b"bank"), ("x-tenant", b"toys")], CONDITION),
            (&[("x-tenant", b"toys"), ("X-Tenant", b"bank")], CONDITION),
            (&[("x_tenant", b"bank")], CONDITION),
            (&[("x.tenant", b"bank"), ("x-tenant", b"toys")], CONDITION),
        ];
        with_headers(path, rows)
    };
    check(&setting, |_| {
        let mut cases = all("/app/a", Closed("/* [x-tenant]"));
        cases.extend(all("/app/r", Closed("/r [x-tenant]")));
        cases.extend(all("/app/i", Closed("/i [x-tenant]")));
        cases.extend(all("/app/c", Closed("/c [x-tenant]")));
        let not_utf8: &[HeadersRow<'_>] = &[(&[("x-tenant", b"ba\xff")], CONDITION)];
        cases.extend(with_headers("/app/r", not_utf8));
        for path in ["/app/a", "/app/r", "/app/i", "/app/c"] {
            cases.push(passes(path, &[]));
            cases.push(passes(path, &[("x-tenant", b"toys")]));
            cases.push(passes(path, &[("x-tenants", b"bank")]));
        }
        cases.push(passes("/app/a", &[("x-tenant", b"ba\xff")]));
        cases
    });
}

#[test]
fn a_parameter_counts_decoded_and_with_all_its_values() {
    let setting = setting(
        "query",
        json!({"routes": [
            {"path": "/x", "policy": open(), "query": [{"name": "mode", "exact": "public view"}]},
            {"path": "/y", "policy": open(), "query": [
                {"name": "v", "regex": "[12]"}, {"name": "admin", "present": false}
            ]},
        ]}),
    );
    let x = Open("/x [?mode]");
    let y = Open("/y [?admin, ?v]");
    let rows = [
        ("/app/x", Default),
        ("/app/x?mode=public%20view", x),
        ("/app/x?a=1&mode=public%20view&b", x),
        ("/app/x?mode=public+view", CONDITION),
        ("/app/x?mode=public%2Bview", Default),
        ("/app/x?mode=%70ublic%20view", CONDITION),
        ("/app/x?mode=public%2520view", CONDITION),
        ("/app/x?m%6fde=public%20view", CONDITION),
        ("/app/x?mode=public%20view&mode=private", CONDITION),
        ("/app/x?mode=private&mode=public%20view", CONDITION),
        ("/app/x?mode=public%20view&mode=public%20view", x),
        ("/app/x?mode=private;mode=public%20view", CONDITION),
        ("/app/x?a=mode=public%20view", Default),
        ("/app/x?MODE=public%20view", Default),
        ("/app/y?v=1", y),
        ("/app/y?v=2&v=1", y),
        ("/app/y?v=2&v=3", CONDITION),
        ("/app/y?v=3", Default),
        ("/app/y?v=1&admin", Default),
        ("/app/y?v=1&admin=", Default),
        ("/app/y?v=1;admin=1", CONDITION),
        ("/app/y?v=1&%61dmin=1", CONDITION),
        ("/app/y?v=1&%2561dmin=1", CONDITION),
        ("/app/y?v=%ff", CONDITION),
        ("/app/y?v=1&x=?admin", y),
    ];
    check(&setting, |_| paths(&rows));
}

#[test]
fn routes_go_by_how_specific_they_are_or_by_their_order() {
    let routes = json!([
        {"path": "/*", "policy": closed(), "headers": [{"name": "x-a", "present": true}]},
        {"path": "/a*", "policy": open()},
        {"path": "/a/*", "policy": closed()},
        {"path_regex": "/a/[0-9]", "policy": open()},
        {"path": "/a/1", "policy": closed()},
        {"path": "/a/1", "policy": open(), "query": [{"name": "q", "present": true}]},
        {"path": "/a/1", "policy": closed(), "headers": [{"name": "x-a", "present": true}]},
        {"path": "/a/1", "policy": open(), "methods": ["PUT"]},
    ]);
    let specific = setting("most specific", json!({"routes": routes}));
    let plain = [
        ("/app/b", Default),
        ("/app/ab", Open("/a*")),
        ("/app/a/b", Closed("/a/*")),
        ("/app/a/2", Open("/a/[0-9]")),
        ("/app/a/1", Closed("/a/1")),
        ("/app/a/1?q", Open("/a/1 [?q]")),
    ];
    let put = Request {
        method: "PUT".to_owned(),
        ..Request::get("/app/a/1?q")
    };
    let with_a = |path: &str| Request::get(path).header("x-a", "1");
    check(&specific, |_| {
        let mut cases = paths(&plain);
        cases.push(case(put.clone().header("x-a", "1"), Open("PUT /a/1")));
        cases.push(case(with_a("/app/a/1?q"), Closed("/a/1 [x-a]")));
        cases.push(case(with_a("/app/a/2"), Open("/a/[0-9]")));
        cases.push(case(with_a("/app/b"), Closed("/* [x-a]")));
        cases
    });

    let listed = setting(
        "first match",
        json!({"route_order": "first_match", "routes": routes, "excluded_paths": ["/a/b/c"]}),
    );
    check(&listed, |_| {
        let mut cases = paths(&[
            ("/app/b", Default),
            ("/app/ab", Open("/a*")),
            ("/app/a/b", Open("/a*")),
            ("/app/a/1", Open("/a*")),
            ("/app/a/1/../b", Open("/a*")),
            ("/app/a/../b", PATH),
        ]);
        cases.push(case(put.clone(), Open("/a*")));
        cases.push(case(with_a("/app/a/2"), Closed("/* [x-a]")));
        cases.push(case(with_a("/app/a/b/c"), Open("/a/b/c")));
        cases
    });
}

#[test]
fn excluded_paths_are_open_and_their_neighbours_are_not() {
    let setting = setting(
        "excluded",
        json!({
            "excluded_paths": ["/health", "/public/*", "/.well-known*"],
            "routes": [{"path": "/public/admin/*", "policy": closed()}],
        }),
    );
    let rows = [
        ("/app/health", Open("/health")),
        ("/app/health/", Open("/health")),
        ("/app/health?x", Open("/health")),
        ("/app/health/x", Default),
        ("/app/healthy", Default),
        ("/app/public", Open("/public/*")),
        ("/app/public/a.js", Open("/public/*")),
        ("/app/publics", Default),
        ("/app/public/admin", Closed("/public/admin/*")),
        ("/app/public/admin/x", Closed("/public/admin/*")),
        ("/app/.well-known/a", Open("/.well-known*")),
        ("/app/public/../x", PATH),
        ("/app/public/x/../admin", PATH),
        ("/app/public/admin/../x", PATH),
        ("/app/health;x", PATH),
        ("/app/health/..;/x", MALFORMED),
        ("/app/health%2f", MALFORMED),
    ];
    check(&setting, |_| {
        let mut cases = paths(&rows);
        let forged = Request::get("/app/health").header("X-User-Id", "admin");
        cases.push(case(forged, Open("/health")));
        cases
    });
}

#[test]
fn only_a_true_preflight_passes_without_a_token() {
    let routes = json!({"routes": [{"path": "/closed", "policy": closed()}]});
    let mut with_bypass = routes.clone();
    with_bypass["bypass_cors_preflight"] = json!(true);
    let with = setting("preflight", with_bypass);
    let without = setting("no preflight", routes);
    let request = |method: &str, headers: &[(&str, &str)]| {
        headers.iter().fold(
            Request {
                method: method.to_owned(),
                ..Request::get("/app/closed")
            },
            |request, (name, value)| request.header(name, value),
        )
    };
    let origin = ("Origin", "https://www.example.com");
    let asked = ("Access-Control-Request-Method", "PUT");
    let label = "/closed";
    check(&with, |now| {
        let mut cases: Vec<Case> = [
            ("OPTIONS", vec![origin, asked], Open(label)),
            (
                "OPTIONS",
                vec![origin, asked, ("X-User-Id", "admin")],
                Open(label),
            ),
            (
                "OPTIONS",
                vec![origin, asked, ("x_user_id", "admin")],
                Open(label),
            ),
            ("OPTIONS", vec![], Closed(label)),
            ("OPTIONS", vec![origin], Closed(label)),
            ("OPTIONS", vec![asked], Closed(label)),
            ("OPTIONS", vec![("Origin", ""), asked], Closed(label)),
            (
                "OPTIONS",
                vec![origin, ("Access-Control-Request-Method", "")],
                Closed(label),
            ),
            ("OPTIONS", vec![origin, origin, asked], Closed(label)),
            ("OPTIONS", vec![origin, asked, asked], Closed(label)),
            (
                "OPTIONS",
                vec![("Origin", "https://a.test, https://b.test"), asked],
                Closed(label),
            ),
            (
                "OPTIONS",
                vec![origin, ("Access_Control_Request_Method", "PUT")],
                Closed(label),
            ),
            ("GET", vec![origin, asked], Closed(label)),
            ("POST", vec![origin, asked], Closed(label)),
            (
                "POST",
                vec![origin, asked, ("X-HTTP-Method-Override", "OPTIONS")],
                Closed(label),
            ),
        ]
        .into_iter()
        .map(|(method, headers, fate)| case(request(method, &headers), fate))
        .collect();
        // No claim comes of a preflight, not even with a genuine token.
        let with_token = request("OPTIONS", &[origin, asked, ("X-User-Id", "admin")]);
        cases.push(case(with_token.bearer(&token(now)), Open(label)));
        cases.push(Case {
            name: "a request of that method with a token".to_owned(),
            request: request("OPTIONS", &[origin]).bearer(&token(now)),
            expected: Expected::allowed([("authorization", None), ("x-user-id", Some("alice"))]),
        });
        cases.push(Case {
            name: "a preflight for no app".to_owned(),
            request: Request {
                path: "/elsewhere".to_owned(),
                ..request("OPTIONS", &[origin, asked])
            },
            expected: Expected::denied(404, "no_app_matched", "Not Found", None),
        });
        cases.push(Case {
            request: Request {
                path: "/app/closed%2f".to_owned(),
                ..request("OPTIONS", &[origin, asked])
            },
            ..case(request("OPTIONS", &[]), MALFORMED)
        });
        cases
    });
    check(&without, |_| {
        vec![case(request("OPTIONS", &[origin, asked]), Closed(label))]
    });
}
