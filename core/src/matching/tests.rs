use super::*;
use crate::config::{Auth, Route};
use std::string::ToString;
use std::vec;

fn app(hosts: &[&str], path: &str, routes: &[(&str, bool, &[&str])]) -> App {
    App {
        slug: path.to_string(),
        hosts: hosts.iter().map(ToString::to_string).collect(),
        path: path.to_string(),
        auth: Auth::None,
        routes: routes
            .iter()
            .map(|(path, prefix, methods)| Route {
                path: path.to_string(),
                prefix: *prefix,
                methods: methods.iter().map(ToString::to_string).collect(),
                auth: Auth::None,
            })
            .collect(),
    }
}

fn rule(matcher: &Matcher, method: &str, host: &str, path: &str) -> Option<(usize, Option<usize>)> {
    matcher
        .rule(host.as_bytes(), path.as_bytes(), method.as_bytes())
        .expect(path)
        .map(|rule| (rule.app.0, rule.route.map(|route| route.0)))
}

#[test]
fn longest_prefix_on_segment_boundaries_wins() {
    let matcher = Matcher::new(&[
        app(&["*"], "/", &[]),
        app(&["*"], "/my-app", &[]),
        app(&["*"], "/my-app/admin", &[]),
    ]);
    for (path, expected) in [
        ("/", 0),
        ("/my-apple", 0),
        ("/my", 0),
        ("/my-app", 1),
        ("/my-app/", 1),
        ("/my-app?x=/my-app/admin", 1),
        ("/my-app/administrator", 1),
        ("/my-app/admin", 2),
        ("/my-app/admin/x/y/z", 2),
        ("/my-app/x/../admin/x", 2),
    ] {
        let outcome = matcher.rule(b"example.com", path.as_bytes(), b"GET");
        match outcome {
            Ok(rule) => assert_eq!(rule.unwrap().app.0, expected, "{path}"),
            Err(error) => assert!(path.contains(".."), "{path}: {error:?}"),
        }
    }
    let matcher = Matcher::new(&[app(&["*"], "/my-app", &[])]);
    assert_eq!(rule(&matcher, "GET", "example.com", "/"), None);
    assert_eq!(rule(&matcher, "GET", "example.com", "/other"), None);
}

#[test]
fn the_most_specific_host_is_asked_first_and_the_next_where_it_has_no_such_path() {
    let matcher = Matcher::new(&[
        app(&["*"], "/", &[]),
        app(&["*.example.com"], "/", &[]),
        app(&["*.api.example.com"], "/v1", &[]),
        app(&["api.example.com"], "/v1", &[]),
    ]);
    for (host, path, expected) in [
        ("other.test", "/v1", 0),
        ("example.com", "/v1", 0),
        ("www.example.com", "/v1", 1),
        ("WWW.Example.COM:8443", "/v1", 1),
        ("api.example.com", "/v1/x", 3),
        ("api.example.com", "/v2", 1),
        ("a.api.example.com", "/v1", 2),
        ("a.api.example.com", "/", 1),
        ("a.b.api.example.com", "/v1", 2),
        ("[::1]:8080", "/v1", 0),
    ] {
        assert_eq!(
            rule(&matcher, "GET", host, path).unwrap().0,
            expected,
            "{host}{path}"
        );
    }
}

#[test]
fn an_authority_that_is_not_a_host_with_a_port_is_refused() {
    let matcher = Matcher::new(&[app(&["*"], "/", &[])]);
    for authority in [
        "",
        ".",
        ".example.com",
        "www.example.com.",
        "www.example.com.:80",
        "www.example.com:80:80",
        "www.example.com:http",
        "user@www.example.com",
        "www.example.com/x",
        "www.example.com\t",
        "[::1",
        "[::1]x",
        "[::1]:80:80",
        "b\u{fc}cher.example.com",
    ] {
        assert_eq!(
            matcher.rule(authority.as_bytes(), b"/", b"GET"),
            Err(MatchError::Authority),
            "{authority}"
        );
    }
    assert_eq!(
        matcher.rule(b"\xff", b"/", b"GET"),
        Err(MatchError::Authority)
    );
    assert_eq!(
        rule(&matcher, "GET", "www.example.com:", "/"),
        Some((0, None))
    );
}

#[test]
fn escapes_name_the_same_path_on_both_sides() {
    let routes: &[(&str, bool, &[&str])] =
        &[("/users:purge", false, &[]), ("/caf%C3%A9", true, &[])];
    let matcher = Matcher::new(&[app(&["*"], "/v1", routes)]);
    for (path, expected) in [
        ("/v1/users:purge", Some(0)),
        ("/v1/users%3Apurge", Some(0)),
        ("/v1/caf%c3%a9/x", Some(1)),
        ("/v1/caf\u{e9}", Some(1)),
        ("/v1/users%3Alist", None),
    ] {
        assert_eq!(
            rule(&matcher, "GET", "h", path),
            Some((0, expected)),
            "{path}"
        );
    }
}

#[test]
fn the_most_specific_route_wins() {
    let routes: &[(&str, bool, &[&str])] = &[
        ("/", true, &["OPTIONS"]),
        ("/health", false, &["GET"]),
        ("/files", true, &[]),
        ("/files/private", true, &[]),
        ("/files/private", false, &[]),
        ("/files/private", false, &["PUT"]),
    ];
    for prefix in ["/app", "/"] {
        let matcher = Matcher::new(&[app(&["*"], prefix, routes)]);
        for (method, path, expected) in [
            ("GET", "/", None),
            ("OPTIONS", "/", Some(0)),
            ("OPTIONS", "/anything", Some(0)),
            ("GET", "/health", Some(1)),
            ("GET", "/health/", Some(1)),
            ("GET", "/health?x", Some(1)),
            ("GET", "/health/live", None),
            ("GET", "/healthy", None),
            ("get", "/health", None),
            ("HEAD", "/health", None),
            ("POST", "/health", None),
            ("OPTIONS", "/health", Some(0)),
            ("GET", "/files", Some(2)),
            ("GET", "/files/a/b", Some(2)),
            ("GET", "/filesystem", None),
            ("GET", "/files/private", Some(4)),
            ("PUT", "/files/private", Some(5)),
            ("PUT", "/files/private/x", Some(3)),
        ] {
            let path = std::format!("{}{path}", prefix.trim_end_matches('/'));
            assert_eq!(
                rule(&matcher, method, "h", &path),
                Some((0, expected)),
                "{method} {path}"
            );
        }
    }
}

#[test]
fn a_path_that_leads_to_two_rules_is_refused() {
    let matcher = Matcher::new(&[
        app(&["*"], "/", &[("/public", true, &[])]),
        app(&["*"], "/admin", &[]),
    ]);
    for path in [
        "/admin/../public",
        "/public/../admin",
        "//admin",
        "/%61dmin",
        "/admin;v=1",
        "/admin;/x",
        "/public/../x",
        "/public/%252e%252e/admin",
        "/public%252f..%252fadmin",
        "/%2561dmin",
        "/;/admin",
        "/public/;/../admin",
        "/%3B/admin",
        "/admin%253Bx",
        "/public/../admin//../public/x",
    ] {
        assert_eq!(
            matcher.rule(b"h", path.as_bytes(), b"GET"),
            Err(MatchError::Ambiguous),
            "{path}"
        );
    }
    for (path, expected) in [
        ("/public/a;v=1", (0, Some(0))),
        ("/public/./a//b", (0, Some(0))),
        ("/admin/%7Euser", (1, None)),
        ("/admin/a/../b", (1, None)),
        ("/public/100%25/a%2520b", (0, Some(0))),
    ] {
        assert_eq!(rule(&matcher, "GET", "h", path), Some(expected), "{path}");
    }
}

#[test]
fn a_long_path_costs_no_more_than_the_deepest_prefix() {
    let matcher = Matcher::new(&[app(&["*"], "/a/b", &[])]);
    assert_eq!(matcher.any.depth, 2);
    let long = vec![b'/'; 1_000_000];
    assert_eq!(matcher.rule(b"h", &long, b"GET"), Ok(None));
    let deep = "/a".repeat(500_000);
    assert_eq!(rule(&matcher, "GET", "h", &deep), None);
}
