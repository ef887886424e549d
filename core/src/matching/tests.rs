use super::route::Belongs;
use super::*;
use crate::config::{
    Auth, Condition, ConditionTest, PathKind, Route, RouteOrder, TextMatch, TextMatchKind,
};
use std::string::ToString;
use std::vec;

fn app(hosts: &[&str], path: &str, routes: &[(&str, bool, &[&str])]) -> App {
    App {
        slug: path.to_string(),
        hosts: hosts.iter().map(ToString::to_string).collect(),
        path: path.to_string(),
        auth: Auth::None,
        bypass_cors_preflight: false,
        route_order: RouteOrder::MostSpecific,
        routes: routes
            .iter()
            .map(|(path, below, methods)| Route {
                path_kind: if *below {
                    PathKind::Below
                } else {
                    PathKind::Exact
                },
                methods: methods.iter().map(ToString::to_string).collect(),
                ..route(path)
            })
            .collect(),
        replies: None,
    }
}

fn route(path: &str) -> Route {
    let (path, path_kind) = match path.strip_suffix('*') {
        None if path.starts_with('/') => (path, PathKind::Exact),
        None => (path, PathKind::Regex),
        Some(path) => match path.strip_suffix('/') {
            Some("") => ("/", PathKind::Below),
            Some(path) => (path, PathKind::Below),
            None => (path, PathKind::Prefix),
        },
    };
    Route {
        path: path.into(),
        path_kind,
        methods: vec![],
        headers: vec![],
        query: vec![],
        auth: Auth::None,
    }
}

/// An app for every host and path.
fn app_of(order: RouteOrder, routes: Vec<Route>) -> App {
    App {
        route_order: order,
        routes,
        ..app(&["*"], "/", &[])
    }
}

fn ready(apps: &[App]) -> Matcher {
    Matcher::new(apps).unwrap()
}

fn outcome(
    matcher: &Matcher,
    method: &[u8],
    host: &[u8],
    path: &[u8],
    headers: &[(&str, &str)],
) -> Result<Option<Rule>, MatchError> {
    let mut all: Vec<(&[u8], &[u8])> = vec![
        (b":method", method),
        (b":authority", host),
        (b":path", path),
    ];
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    all.extend(headers);
    matcher.rule(&Request::new(&all))
}

fn rule(matcher: &Matcher, method: &str, host: &str, path: &str) -> Option<(usize, Option<usize>)> {
    outcome(
        matcher,
        method.as_bytes(),
        host.as_bytes(),
        path.as_bytes(),
        &[],
    )
    .expect(path)
    .map(|rule| (rule.app.0, rule.route.map(|route| route.0)))
}

#[test]
fn longest_prefix_on_segment_boundaries_wins() {
    let matcher = ready(&[
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
        let found = outcome(&matcher, b"GET", b"example.com", path.as_bytes(), &[]);
        match found {
            Ok(rule) => assert_eq!(rule.unwrap().app.0, expected, "{path}"),
            Err(error) => assert!(path.contains(".."), "{path}: {error:?}"),
        }
    }
    let matcher = ready(&[app(&["*"], "/my-app", &[])]);
    assert_eq!(rule(&matcher, "GET", "example.com", "/"), None);
    assert_eq!(rule(&matcher, "GET", "example.com", "/other"), None);
}

#[test]
fn the_most_specific_host_is_asked_first_and_the_next_where_it_has_no_such_path() {
    let matcher = ready(&[
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
    let matcher = ready(&[app(&["*"], "/", &[])]);
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
            outcome(&matcher, b"GET", authority.as_bytes(), b"/", &[]),
            Err(MatchError::Authority),
            "{authority}"
        );
    }
    assert_eq!(
        outcome(&matcher, b"GET", b"\xff", b"/", &[]),
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
    let matcher = ready(&[app(&["*"], "/v1", routes)]);
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
        let matcher = ready(&[app(&["*"], prefix, routes)]);
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
    let matcher = ready(&[
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
            outcome(&matcher, b"GET", b"h", path.as_bytes(), &[]),
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
    let matcher = ready(&[app(&["*"], "/a/b", &[])]);
    let long = vec![b'/'; 1_000_000];
    assert_eq!(outcome(&matcher, b"GET", b"h", &long, &[]), Ok(None));
    let deep = "/a".repeat(500_000);
    assert_eq!(rule(&matcher, "GET", "h", &deep), None);
}

/// The index of the route that is chosen; `Err` with the error.
fn chosen(
    matcher: &Matcher,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Option<usize>, MatchError> {
    outcome(matcher, b"GET", b"h", path.as_bytes(), headers)
        .map(|rule| rule.unwrap().route.map(|route| route.0))
}

fn text(kind: TextMatchKind, text: &str) -> TextMatch {
    TextMatch {
        kind,
        text: text.into(),
        ignore_case: false,
    }
}

fn condition(name: &str, test: ConditionTest) -> Condition {
    Condition {
        name: name.into(),
        test,
    }
}

fn is(name: &str, value: &str) -> Condition {
    condition(
        name,
        ConditionTest::Matches(text(TextMatchKind::Exact, value)),
    )
}

#[test]
fn a_prefix_holds_for_every_path_that_begins_so() {
    let matcher = ready(&[app_of(
        RouteOrder::MostSpecific,
        vec![
            route("/v*"),
            route("/v/*"),
            route("/v2/*"),
            route("/v2"),
            route("/%7Bx*"),
        ],
    )]);
    for (path, expected) in [
        ("/v", Some(1)),
        ("/v/", Some(1)),
        ("/v/x", Some(1)),
        ("/vx", Some(0)),
        ("/v2", Some(3)),
        ("/v2/", Some(3)),
        ("/v2/x", Some(2)),
        ("/v22/x", Some(0)),
        ("/V", None),
        ("/", None),
        ("/%7bx", Some(4)),
        ("/{xy/z", Some(4)),
        ("/a?/v", None),
    ] {
        assert_eq!(chosen(&matcher, path, &[]), Ok(expected), "{path}");
    }
    for path in [
        "/x/../v",
        "/vx/../a",
        "//v",
        "/%76x",
        "/a/%252e%252e/v",
        "/a;/../v",
    ] {
        assert_eq!(
            chosen(&matcher, path, &[]),
            Err(MatchError::Ambiguous),
            "{path}"
        );
    }
    assert_eq!(
        chosen(&matcher, "/v;a=b", &[]),
        Err(MatchError::Ambiguous),
        "`/v` is another route"
    );
    assert_eq!(chosen(&matcher, "/vx;a=b", &[]), Ok(Some(0)));
}

#[test]
fn a_regular_expression_holds_for_the_whole_path_with_or_without_its_last_slash() {
    let app = App {
        path: "/app".into(),
        ..app_of(
            RouteOrder::MostSpecific,
            vec![
                route("(?:)/users/[0-9]+"),
                route("(?:)/users/[^/]+"),
                route("/users/7"),
                route("/users/*"),
                route("(?:)/"),
                route("(?:)/files/(.*)"),
            ],
        )
    };
    let matcher = ready(&[app]);
    for (path, expected) in [
        ("/app", Some(4)),
        ("/app/", Some(4)),
        ("/app/users/1", Some(0)),
        ("/app/users/1/", Some(0)),
        ("/app/users/1?x=/a", Some(0)),
        ("/app/users/%31", Some(0)),
        ("/app/users/7", Some(2)),
        ("/app/users/a", Some(1)),
        ("/app/users/caf%c3%a9", Some(1)),
        ("/app/users/a/b", Some(3)),
        ("/app/users", Some(3)),
        ("/app/files", None),
        ("/app/files/", Some(5)),
        ("/app/files/a/b", Some(5)),
        ("/app/xusers/1", None),
    ] {
        let found = chosen(&matcher, path, &[]);
        match found {
            Err(MatchError::Ambiguous) => assert!(path.contains("%31"), "{path}"),
            found => assert_eq!(found, Ok(expected), "{path}"),
        }
    }
    for path in [
        "/app/users/%ff",
        "/app/users/1;a",
        "/app/users//1",
        "/app/users/../files/x",
        "/app/files/../x",
    ] {
        assert_eq!(
            chosen(&matcher, path, &[]),
            Err(MatchError::Ambiguous),
            "{path}"
        );
    }
    assert_eq!(chosen(&matcher, "/app/files/./a//b", &[]), Ok(Some(5)));
}

#[test]
fn routes_are_asked_by_how_specific_they_are_or_as_listed() {
    let routes = || {
        vec![
            route("/a*"),
            route("/a/*"),
            Route {
                headers: vec![condition("x", ConditionTest::Present)],
                ..route("/a/b")
            },
            Route {
                query: vec![condition("q", ConditionTest::Present)],
                ..route("/a/b")
            },
            Route {
                headers: vec![
                    condition("x", ConditionTest::Present),
                    condition("y", ConditionTest::Present),
                ],
                ..route("/a/b")
            },
            Route {
                methods: vec!["POST".into(), "GET".into()],
                headers: vec![is("z", "1")],
                ..route("/a/b")
            },
            route("(?:)/a/[a-c]"),
            route("(?:)/a/[b-d]"),
            route("/a/b"),
            Route {
                query: vec![condition("q", ConditionTest::Present)],
                ..route("(?:)/a/[a-c]")
            },
        ]
    };
    let specific = ready(&[app_of(RouteOrder::MostSpecific, routes())]);
    let x = ("x", "1");
    let y = ("y", "1");
    let z = ("z", "1");
    for (path, headers, expected) in [
        ("/a/b", &[][..], 8),
        ("/a/b?q", &[], 3),
        ("/a/b?q", &[x], 2),
        ("/a/b?q", &[x, y], 4),
        ("/a/b?q", &[x, y, z], 5),
        ("/a/a", &[], 6),
        ("/a/a?q", &[], 9),
        ("/a/c", &[], 6),
        ("/a/d", &[], 7),
        ("/a/e", &[], 1),
        ("/ae", &[], 0),
    ] {
        assert_eq!(
            chosen(&specific, path, headers),
            Ok(Some(expected)),
            "{path}"
        );
    }
    let listed = ready(&[app_of(
        RouteOrder::FirstMatch,
        routes().into_iter().rev().collect(),
    )]);
    for (path, headers, expected) in [
        ("/a/b", &[][..], 1),
        ("/a/b?q", &[x, y, z], 0),
        ("/a/d", &[x], 2),
        ("/a/e", &[], 8),
        ("/ae", &[], 9),
    ] {
        assert_eq!(chosen(&listed, path, headers), Ok(Some(expected)), "{path}");
    }
}

#[test]
fn a_header_counts_with_all_its_values_and_spellings() {
    use ConditionTest::{Absent, Differs, Matches, Present};
    use TextMatchKind::{Contains, Exact, Prefix, Regex};
    let refused = Err(MatchError::AmbiguousCondition);
    let yes = Ok(Some(0));
    let no = Ok(None);
    let exact = || text(Exact, "a");
    type Case<'c> = (
        ConditionTest,
        &'c [(&'c str, &'c str)],
        Result<Option<usize>, MatchError>,
    );
    let cases: &[Case<'_>] = &[
        (Present, &[], no),
        (Present, &[("x-env", "")], yes),
        (Present, &[("X-Env", "a")], yes),
        (Present, &[("x-env", "a"), ("x-env", "b")], yes),
        (Present, &[("x_env", "a")], refused),
        (Present, &[("x-envy", "a")], no),
        (Absent, &[], yes),
        (Absent, &[("x-env", "")], no),
        (Absent, &[("x_env", "")], refused),
        (Absent, &[("x.env", ""), ("x-env", "a")], no),
        (Matches(exact()), &[], no),
        (Matches(exact()), &[("x-env", "a")], yes),
        (Matches(exact()), &[("x-env", "A")], no),
        (Matches(exact()), &[("x-env", "")], no),
        (Matches(exact()), &[("x-env", "a,a")], no),
        (Matches(exact()), &[("x-env", "a"), ("x-env", "b")], refused),
        (Matches(exact()), &[("x-env", "b"), ("x-env", "a")], refused),
        (Matches(exact()), &[("x-env", "a"), ("x-env", "a")], refused),
        (Matches(exact()), &[("x-env", "b"), ("x-env", "c")], no),
        (Matches(exact()), &[("x-env", "a"), ("X_ENV", "b")], refused),
        (Matches(exact()), &[("X_ENV", "a")], refused),
        (Matches(exact()), &[("X_ENV", "b")], no),
        (Differs(exact()), &[], no),
        (Differs(exact()), &[("x-env", "b")], yes),
        (Differs(exact()), &[("x-env", "a")], no),
        (Differs(exact()), &[("x-env", "b"), ("x-env", "c")], yes),
        (Differs(exact()), &[("x-env", "a"), ("x-env", "b")], refused),
        (Differs(exact()), &[("x_env", "b")], refused),
        (
            Matches(text(Prefix, "a")),
            &[("x-env", "ab"), ("x-env", "ac")],
            yes,
        ),
        (
            Matches(text(Prefix, "a")),
            &[("x-env", "ab"), ("x-env", "b")],
            refused,
        ),
        (
            Matches(text(Contains, ",")),
            &[("x-env", "a"), ("x-env", "b")],
            refused,
        ),
        (
            Matches(text(Contains, "a")),
            &[("x-env", "xa"), ("x-env", "ax")],
            yes,
        ),
        (Matches(text(Regex, "[a-z]")), &[("x-env", "q")], yes),
        (Matches(text(Regex, "[a-z]")), &[("x-env", "qq")], no),
    ];
    for (test, headers, expected) in cases {
        let matcher = ready(&[app_of(
            RouteOrder::MostSpecific,
            vec![Route {
                headers: vec![condition("x-env", test.clone())],
                ..route("/x")
            }],
        )]);
        assert_eq!(
            chosen(&matcher, "/x", headers),
            *expected,
            "{test:?} {headers:?}"
        );
        assert_eq!(chosen(&matcher, "/y", headers), no, "another path");
    }
}

#[test]
fn a_value_that_is_not_utf8_is_open_to_a_regular_expression_only() {
    for (kind, expected) in [
        (TextMatchKind::Regex, Err(MatchError::AmbiguousCondition)),
        (TextMatchKind::Exact, Ok(None)),
    ] {
        for test in [ConditionTest::Matches, ConditionTest::Differs] {
            let matcher = ready(&[app_of(
                RouteOrder::MostSpecific,
                vec![Route {
                    headers: vec![condition("x", test(text(kind, "a+")))],
                    ..route("/*")
                }],
            )]);
            let headers: [(&[u8], &[u8]); 4] = [
                (b":method", b"GET"),
                (b":authority", b"h"),
                (b":path", b"/"),
                (b"x", b"a\xff"),
            ];
            let found = matcher.rule(&Request::new(&headers));
            let found = found.map(|rule| rule.unwrap().route);
            let inverted = kind == TextMatchKind::Exact
                && matches!(test(text(kind, "a")), ConditionTest::Differs(_));
            match inverted {
                true => assert_eq!(found, Ok(Some(RouteIndex(0)))),
                false => assert_eq!(found.map(|route| route.map(|route| route.0)), expected),
            }
        }
    }
}

#[test]
fn a_parameter_counts_with_all_its_values_and_readings() {
    use ConditionTest::{Absent, Differs, Matches, Present};
    let refused = Err(MatchError::AmbiguousCondition);
    let yes = Ok(Some(0));
    let no = Ok(None);
    let one = || Matches(text(TextMatchKind::Exact, "1"));
    let spaced = || Matches(text(TextMatchKind::Exact, "a b"));
    type Case<'c> = (ConditionTest, &'c str, Result<Option<usize>, MatchError>);
    let cases: &[Case<'_>] = &[
        (Present, "", no),
        (Present, "?", no),
        (Present, "?v", yes),
        (Present, "?v=", yes),
        (Present, "?a=1&v=1", yes),
        (Present, "?a=v", no),
        (Present, "?V=1", no),
        (Present, "?v=1&v=2", yes),
        (Present, "?a=1;v=1", refused),
        (Present, "?%76=1", refused),
        (Present, "?%2576=1", refused),
        (Present, "?a?v", no),
        (Absent, "?a=1", yes),
        (Absent, "?v", no),
        (Absent, "?a;v", refused),
        (one(), "?v=1", yes),
        (one(), "?v=2", no),
        (one(), "?v=1&v=1", yes),
        (one(), "?v=1&v=2", refused),
        (one(), "?v=2&v=1", refused),
        (one(), "?v=2&v=3", no),
        (one(), "?v=1;x=2", refused),
        (one(), "?v=%31", refused),
        (one(), "?v=1=1", no),
        (one(), "?v=1%00", no),
        (one(), "?v=%", no),
        (spaced(), "?v=a%20b", yes),
        (spaced(), "?v=a+b", refused),
        (spaced(), "?v=a%2Bb", no),
        (spaced(), "?v=a%2520b", refused),
        (Differs(text(TextMatchKind::Exact, "1")), "", no),
        (Differs(text(TextMatchKind::Exact, "1")), "?v=2", yes),
        (
            Differs(text(TextMatchKind::Exact, "1")),
            "?v=2&v=1",
            refused,
        ),
        (
            Matches(text(TextMatchKind::Exact, "caf\u{e9}")),
            "?v=caf%c3%a9",
            yes,
        ),
        (
            Matches(text(TextMatchKind::Exact, "a&b=c")),
            "?v=a%26b%3Dc",
            yes,
        ),
        (Matches(text(TextMatchKind::Regex, ".")), "?v=%ff", refused),
    ];
    for (test, query, expected) in cases {
        let matcher = ready(&[app_of(
            RouteOrder::MostSpecific,
            vec![Route {
                query: vec![condition("v", test.clone())],
                ..route("/x")
            }],
        )]);
        let path = std::format!("/x{query}");
        assert_eq!(chosen(&matcher, &path, &[]), *expected, "{test:?} {query}");
        assert_eq!(chosen(&matcher, &std::format!("/y{query}"), &[]), no);
    }
}

#[test]
fn a_route_that_cannot_be_compared_is_refused() {
    let refused = |route| {
        let (app, error) = Matcher::new(&[
            app(&["*"], "/a", &[]),
            app_of(RouteOrder::MostSpecific, vec![route]),
        ])
        .unwrap_err();
        assert_eq!(app, AppIndex(1));
        error
    };
    assert!(matches!(refused(route("(")), MatcherError::Path(_)));
    let empty = Route {
        headers: vec![is("x", "")],
        ..route("/")
    };
    assert_eq!(
        refused(empty),
        MatcherError::Condition(TextMatchError::Empty)
    );
}

#[test]
fn pseudo_headers_have_to_stand_once() {
    let matcher = ready(&[app(&["*"], "/", &[])]);
    let all: [(&[u8], &[u8]); 3] = [
        (b":method", b"GET"),
        (b":authority", b"h"),
        (b":path", b"/"),
    ];
    assert!(matcher.rule(&Request::new(&all)).is_ok());
    for (index, name) in [":method", ":authority", ":path"].into_iter().enumerate() {
        let mut missing = all.to_vec();
        let removed = missing.remove(index);
        let error = Err(MatchError::PseudoHeader(name));
        assert_eq!(matcher.rule(&Request::new(&missing)), error);
        let mut twice = all.to_vec();
        twice.push(removed);
        assert_eq!(matcher.rule(&Request::new(&twice)), error);
    }
}

#[test]
fn a_parameter_hides_no_closed_path_from_a_service_that_leaves_dots() {
    for closed in ["/admin*", "/admin/*", "(?:)/admin(/(.*))?"] {
        let matcher = ready(&[app_of(RouteOrder::MostSpecific, vec![route(closed)])]);
        for path in [
            "/admin%3b/../public",
            "/admin;/../public",
            "/admin;x/%2e%2e/public",
            "/admin%253b/../public",
            "/public//../admin",
        ] {
            let found = chosen(&matcher, path, &[]);
            assert_eq!(found, Err(MatchError::Ambiguous), "{closed} {path}");
        }
    }
}

/// A path that can be read in a dozen ways does not have a long query read a dozen times.
#[test]
fn conditions_are_looked_at_once_for_all_readings_of_a_path() {
    let mut only = route("/x/*");
    only.query = vec![is("v", "1")];
    let routes = route::ordered(&[only], RouteOrder::MostSpecific).unwrap();
    let request = Request::new(&[]);
    let mut sought = Sought {
        method: b"GET",
        query: b"v=1",
        request: &request,
        conditions: SortedMap::new(),
    };
    assert_eq!(
        routes[0].belongs(AppIndex(0), b"/y", &mut sought),
        Belongs::No
    );
    assert_eq!(
        sought.conditions.len(),
        0,
        "nothing is looked at for another path"
    );
    assert_eq!(
        routes[0].belongs(AppIndex(0), b"/x/a", &mut sought),
        Belongs::Yes
    );
    sought.query = b"";
    assert_eq!(
        routes[0].belongs(AppIndex(0), b"/x/b", &mut sought),
        Belongs::Yes
    );
    assert_eq!(
        routes[0].belongs(AppIndex(1), b"/x/b", &mut sought),
        Belongs::No,
        "another app's route is another one"
    );
}
