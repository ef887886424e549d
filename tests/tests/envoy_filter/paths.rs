//! Paths that proxies and services read in different ways, under an Envoy that does not normalise them.

use nexus_tests::{
    envoy::{self, Envoy},
    http::Request,
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{Health, assert_passes, good_token, inline_provider, with_policy};

/// Ways of asking for `/app/admin` that look like something else: the open route `/app/public/*`, or
/// `/open`, which belongs to no app and which Envoy sends elsewhere.
const TRICKS: [(&str, &str); 59] = [
    ("/app/admin", "as it is"),
    ("/app/admin/", "with a slash"),
    (
        "/app/admin?x=/app/public/a.js",
        "the open path in the query",
    ),
    ("/app/admin?/../public/a", "dots in the query"),
    ("/app/admin#/app/public/a", "in the fragment"),
    ("/app/public/../admin", "dots"),
    ("/app/public/%2e%2e/admin", "escaped dots"),
    ("/app/public/%2E%2e/admin", "in another case"),
    ("/app/public/.%2e/admin", "half escaped"),
    ("/app/public/..%2fadmin", "an escaped slash"),
    ("/app/public/..%2Fadmin", "in another case"),
    ("/app/public/%2e%2e%2fadmin", "both escaped"),
    ("/app/public%2f..%2f..%2fadmin", "more of them"),
    ("/app/public/..%5cadmin", "an escaped backslash"),
    (
        "/app/public/%c0%ae%c0%ae/admin",
        "dots in more bytes than they have",
    ),
    (
        "/app/public/..%c0%afadmin",
        "a slash in more bytes than it has",
    ),
    ("/app/public\\..\\admin", "backslashes"),
    ("/app/public/..\\admin", "one of them"),
    ("/app/public/..;/admin", "a parameter behind dots"),
    ("/app/public/..;x=1/admin", "with a value"),
    ("/app/public/%2e%2e;/admin", "escaped"),
    ("/app/public/.;/../admin", "behind one dot"),
    (
        "/app/public;/../admin",
        "a parameter behind the open segment",
    ),
    ("/app/admin;/public/x", "a parameter behind the closed one"),
    ("/app/admin;a=b", "with a value"),
    ("/app/admin%3b/../public", "escaped"),
    ("/app/./admin", "one dot"),
    ("/app//admin", "two slashes"),
    ("//app/admin", "at the beginning"),
    ("/app/public//../admin", "two slashes before dots"),
    ("/app/public/x/..//../admin", "and between them"),
    ("/%61pp/admin", "an escaped letter"),
    ("/app/%61dmin", "in the last segment"),
    ("/app/%2561dmin", "escaped twice"),
    ("/app/public/%252e%252e/admin", "dots escaped twice"),
    ("/app/public%252f..%252fadmin", "slashes escaped twice"),
    ("/app/admin%00", "a NUL behind it"),
    ("/app/admin%00/public/x", "a NUL in it"),
    ("/app/public/%00/../../admin", "a NUL before it"),
    ("/app/public/x%0d%0ax: y/../../admin", "a line end"),
    ("/app/admin%20", "a space"),
    ("/app/admin%09", "a tab"),
    ("/app/admin/%", "half an escape"),
    ("/app/ADMIN", "another case"),
    ("/app/PUBLIC/x", "the open route in another case"),
    ("/app/publicx", "no segment boundary"),
    ("/app/public.json", "a suffix"),
    ("/app/public%2e", "an escaped dot behind it"),
    ("/open/../app/admin", "from outside of the app"),
    ("/open/%2e%2e/app/admin", "escaped"),
    ("/open/..%2fapp%2fadmin", "with the slashes"),
    ("/open/..;/app/admin", "with a parameter"),
    ("/open//../../app/admin", "above the root"),
    ("/open/x/../../app/admin", "from deeper"),
    ("/open;/../app/admin", "a parameter before it"),
    ("http://nexus.test/app/admin", "the absolute form"),
    ("http://nexus.test/app/public/../admin", "with dots"),
    (
        "http://other.test/app/public/%2e%2e/admin",
        "of another host",
    ),
    (
        "/app/public/\u{ff0e}\u{ff0e}/admin/..\u{2215}x/../../admin",
        "dots of full width, then real ones",
    ),
];

/// Requests that are what they look like.
const HONEST: [(&str, &str); 7] = [
    ("/app/public", "the open route itself"),
    ("/app/public/", "with a slash"),
    (
        "/app/public/a.js?x=/app/admin",
        "a closed path in the query",
    ),
    ("/app/public/./a", "dots that lead nowhere else"),
    ("/app/public/a/../b", "dots inside of the open route"),
    ("/app/public/%61", "an escape inside of it"),
    ("/app/public/100%25/a%2520b", "escaped escapes inside of it"),
];

/// What the policies of [`TRICKS`] disagree about: these paths are no spelling of `/app/admin`, and some
/// kinds of routes are for them, or are not for them.
const OTHER_PATHS: [&str; 6] = [
    "/app/ADMIN",
    "/app/PUBLIC/x",
    "/app/publicx",
    "/app/public.json",
    "/app/public%2e",
    "/app/admin%20",
];

#[test]
fn no_spelling_of_a_protected_path_needs_no_token() {
    check(
        &policy(json!({
            "default_policy": closed(),
            "routes": [{"path": "/public/*", "policy": open()}],
        })),
        &[],
    );
}

#[test]
fn nor_does_one_beside_a_prefix_or_an_expression_that_is_open() {
    check(
        &policy(json!({
            "default_policy": closed(),
            "routes": [{"path": "/public*", "policy": open()}],
        })),
        &OTHER_PATHS,
    );
    check(
        &policy(json!({
            "default_policy": closed(),
            "routes": [{"path_regex": "/public(/.*)?", "policy": open()}],
        })),
        &[],
    );
    check(
        &policy(json!({
            "default_policy": closed(),
            "route_order": "first_match",
            "excluded_paths": ["/public/*"],
            "routes": [{"path": "/*", "policy": closed()}],
        })),
        &[],
    );
}

#[test]
fn nor_does_one_of_a_prefix_or_an_expression_that_is_closed() {
    for route in [
        json!({"path": "/admin*", "policy": closed()}),
        json!({"path_regex": "/admin(/.*)?", "policy": closed()}),
        json!({"path": "/admin/*", "policy": closed(), "headers": [{"name": "x-none", "present": false}]}),
    ] {
        check(
            &policy(json!({"default_policy": open(), "routes": [route]})),
            &OTHER_PATHS,
        );
    }
}

/// Sends all tricks and honest requests, but for the paths that `skipped` has.
fn check(policy: &Value, skipped: &[&str]) {
    let upstream = Upstream::start();
    let elsewhere = Upstream::start();
    let config = with_policy(upstream.addr(), policy)
        .cluster("elsewhere", elsewhere.addr())
        .edit_connection_manager(|manager| {
            manager["normalize_path"] = json!(false);
            manager["merge_slashes"] = json!(false);
            manager["path_with_escaped_slashes_action"] = json!("KEEP_UNCHANGED");
            let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
            let open = json!({"match": {"prefix": "/open"}, "route": {"cluster": "elsewhere"}});
            let protected = routes[0].take();
            *routes = json!([open, protected]);
        });
    let good = good_token();
    envoy::for_oldest_and_newest(|version| {
        upstream.clear();
        elsewhere.clear();
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        for (target, note) in TRICKS {
            if skipped.contains(&target) {
                continue;
            }
            let response = client.send(&Request::get(target));
            assert!(
                matches!(response.status, 400 | 401 | 404),
                "{target} ({note}): {} {}",
                response.status,
                response.text()
            );
        }
        for (header, value) in [
            ("x-original-url", "/app/public/a"),
            ("x-rewrite-url", "/app/public/a"),
            ("x-forwarded-uri", "/app/public/a"),
            ("x-envoy-original-path", "/app/public/a"),
            ("x-http-method-override", "OPTIONS"),
            ("x-forwarded-host", "open.test"),
            ("forwarded", "host=open.test"),
        ] {
            let response = client.send(&Request::get("/app/admin").header(header, value));
            assert_eq!(response.status, 401, "{header}");
        }
        assert_eq!((upstream.count(), elsewhere.count()), (0, 0));

        for (target, note) in HONEST {
            assert_passes(&mut client, &Request::get(target), note);
        }
        assert_passes(
            &mut client,
            &Request::get("/app/admin").bearer(&good),
            "with a token",
        );
        assert_eq!(elsewhere.count(), 0);
        assert_passes(
            &mut client,
            &Request::get("/open/x"),
            "what belongs to no app",
        );
        assert_eq!(elsewhere.count(), 1);
        health.assert_unharmed(&mut envoy);
    });
}

fn closed() -> Value {
    json!({"auth": {"auth_type": "jwt", "providers": ["idp"]}})
}

fn open() -> Value {
    json!({"auth": {"auth_type": "none"}})
}

fn policy(members: Value) -> Value {
    let mut app = json!({"slug": "app", "gateway_path": "/app"});
    let own = members.as_object().expect("members of an app").clone();
    app.as_object_mut().expect("an app").extend(own);
    json!({
        "providers": {"idp": inline_provider()},
        "apps": [app],
        "unmatched": "allow",
    })
}
