//! What later filters, routes and access logs make of verified claims.

use std::time::Duration;

use nexus_tests::{
    cases::{self, Case, Expected},
    envoy::{self, Config, Envoy, Version},
    http::{Request, Response},
    jwks_server::{Answer, Behaviour, JwksServer},
    keys::{self, Algorithm},
    tokens::{self, base64url},
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{
    Health, ISSUER, answer, assert_denied, good_token, inline_provider, key, token, with_policy,
};

/// A token with these claims beside the usual ones, each as JSON text, so that its digits stay as they are. It is the
/// same at all times, so that all sides see the same payload.
fn token_of(claims: &str) -> String {
    let payload = format!(r#"{{"iss":"{ISSUER}","aud":"orders","exp":4102444800,{claims}}}"#);
    tokens::signed(
        br#"{"alg":"RS256","kid":"key-1"}"#,
        payload.as_bytes(),
        &key(),
        Algorithm::RS256,
    )
}

/// Forwarding of every kind, of a provider and of a rule.
fn forwarding_policy() -> Value {
    let mut provider = inline_provider();
    provider["forward_claims"] = json!([
        {"claim": "sub", "header": "X-User"},
        {"claim": "sub", "header": "X-Actor", "format": "percent"},
    ]);
    json!({
        "providers": {"idp": provider},
        "apps": [{
            "slug": "app", "gateway_path": "/",
            "default_policy": {"auth": {
                "auth_type": "jwt", "providers": ["idp"],
                "forward_claims": [
                    {"claim": ["realm_access", "roles"], "header": "X-Roles", "format": "comma"},
                    {"claim": ["realm_access", "roles"], "header": "X-Roles-Base64", "format": "base64"},
                    {"claim": ["realm_access", "roles"], "header": "X-Roles-Json"},
                    {"claim": "https://example.com/tenant.id", "header": "X-Tenant"},
                    {"claim": ["a.b", "c", "d"], "header": "X-Deep"},
                    {"claim": "n", "header": "X-Number", "format": "base64"},
                    {"claim": "name", "header": "X-Name", "format": "percent"},
                ],
                "forward_payload": {"header": "X-Payload"},
            }},
            "routes": [
                {"path": "/padded", "policy": {"auth": {
                    "auth_type": "jwt", "providers": ["idp"],
                    "forward_payload": {"header": "X-Payload", "padding": true},
                }}},
                {"path": "/open", "policy": {"auth": {"auth_type": "none"}}},
            ],
        }],
    })
}

fn forwarding_cases(_now: i64) -> Vec<Case> {
    let passes = |name: &str, path: &str, claims: &str, headers: &[(&str, &str)]| {
        let token = token_of(claims);
        let payload = tokens::parts(&token)[1].to_owned();
        let padded = format!("{payload}{}", "=".repeat(payload.len().wrapping_neg() % 4));
        let mut sees = vec![("authorization", None)];
        sees.push((
            "x-payload",
            Some(if path == "/padded" {
                padded.as_str()
            } else {
                payload.as_str()
            }),
        ));
        sees.extend(headers.iter().map(|(name, value)| (*name, Some(*value))));
        Case {
            name: name.to_owned(),
            request: cases::Request::get(path).bearer(&token),
            expected: Expected::allowed(sees),
        }
    };
    let refused = |name: &str, claims: &str| {
        let answer = answer("claim_not_forwardable");
        Case {
            name: name.to_owned(),
            request: cases::Request::get("/").bearer(&token_of(claims)),
            expected: Expected::denied(answer.status, answer.code, answer.body, answer.challenge),
        }
    };
    let roles = |roles: &str| format!(r#""realm_access":{{"roles":{roles}}}"#);
    let long = |length: usize| format!(r#""sub":"{}""#, "a".repeat(length));
    let long_sub = "a".repeat(8192);
    vec![
        passes("nothing but the payload", "/", r#""x":1"#, &[]),
        passes(
            "one claim goes into two headers",
            "/",
            r#""sub":"zoë""#,
            &[("x-user", "zoë"), ("x-actor", "zo%C3%AB")],
        ),
        passes(
            "an array in three formats",
            "/",
            &roles(r#"[ "admin", "a b" ]"#),
            &[
                ("x-roles", "admin,a b"),
                ("x-roles-base64", "WyJhZG1pbiIsImEgYiJd"),
                ("x-roles-json", r#"["admin","a b"]"#),
            ],
        ),
        passes(
            "an empty array is no list",
            "/",
            &roles("[]"),
            &[("x-roles-base64", "W10="), ("x-roles-json", "[]")],
        ),
        passes(
            "a name with dots and slashes is one name, and a path goes through names with dots",
            "/",
            r#""https://example.com/tenant.id":"t-1","a.b":{"c":{"d":true}},"a":{"b":{"c":{"d":"wrong"}}}"#,
            &[("x-tenant", "t-1"), ("x-deep", "true")],
        ),
        passes(
            "a path that ends early gives nothing",
            "/",
            r#""a.b":{"c":"d"}"#,
            &[],
        ),
        passes(
            "a path does not go into arrays",
            "/",
            r#""a.b":[{"c":{"d":1}}]"#,
            &[],
        ),
        passes(
            "null is nothing",
            "/",
            r#""a.b":{"c":{"d":null}},"n":null"#,
            &[],
        ),
        passes(
            "an integer keeps its digits",
            "/",
            r#""n":123456789012345678901234567890"#,
            &[("x-number", "123456789012345678901234567890")],
        ),
        passes(
            "integers inside of JSON do as well",
            "/",
            r#""n":[9007199254740993]"#,
            &[("x-number", "WzkwMDcxOTkyNTQ3NDA5OTNd")],
        ),
        passes(
            "control characters pass percent-encoded",
            "/",
            r#""name":"a\r\nx-admin: 1\u0000""#,
            &[("x-name", "a%0D%0Ax-admin%3A%201%00")],
        ),
        passes(
            "padding where it is asked for",
            "/padded",
            r#""sub":"a","pad":"xyz""#,
            &[("x-user", "a"), ("x-actor", "a")],
        ),
        passes(
            "as long as a header may be",
            "/",
            &long(8192),
            &[("x-user", &long_sub), ("x-actor", &long_sub)],
        ),
        refused("too long for a header", &long(8193)),
        refused("an element with a comma", &roles(r#"["a,admin"]"#)),
        refused("an element with a line break", &roles(r#"["a\nb"]"#)),
        refused("an element that is an object", &roles("[{}]")),
        refused("a list that is an object", &roles(r#"{"a":1}"#)),
        refused(
            "a control character in a text",
            r#""sub":"a\r\nx-admin: 1""#,
        ),
        refused("a space at the end of a text", r#""sub":"admin ""#),
        Case {
            name: "forged headers are removed where nothing is verified".to_owned(),
            request: cases::Request::get("/open")
                .header("X-Payload", "e30")
                .header("x_payload", "e30")
                .header("X-Roles", "admin")
                .header("x.roles", "admin")
                .header("X-Tenant", "t-1"),
            expected: Expected::allowed([
                ("x-payload", None),
                ("x_payload", None),
                ("x-roles", None),
                ("x.roles", None),
                ("x-tenant", None),
            ]),
        },
        Case {
            name: "and where a token has no such claim".to_owned(),
            request: cases::Request::get("/padded")
                .bearer(&token_of(r#""x":2"#))
                .header("X-Payload", b"\xff")
                .header("X-Roles", "admin"),
            expected: Expected::allowed([
                ("authorization", None),
                ("x-roles", None),
                (
                    "x-payload",
                    Some(padded_payload(&token_of(r#""x":2"#)).as_str()),
                ),
            ]),
        },
    ]
}

fn padded_payload(token: &str) -> String {
    let payload = tokens::parts(token)[1];
    format!("{payload}{}", "=".repeat(payload.len().wrapping_neg() % 4))
}

#[test]
fn claims_and_payload_reach_the_service_in_every_format_on_every_side() {
    let policy = forwarding_policy().to_string();
    let setting = cases::Setting::new("forwarding", &policy);
    cases::check(
        &setting,
        forwarding_cases,
        &[envoy::oldest(), envoy::newest()],
    );
}

/// A policy that keeps claims as filter state.
fn filter_state_policy() -> Value {
    let auth = json!({
        "auth_type": "jwt", "providers": ["idp"], "required": false,
        "forward_claims": [
            {"claim": "sub", "filter_state": "sub"},
            {"claim": "roles", "filter_state": "nexus.roles", "format": "comma"},
        ],
        "forward_payload": {"filter_state": "payload"},
    });
    json!({
        "providers": {"idp": inline_provider()},
        "apps": [{"slug": "app", "gateway_path": "/", "default_policy": {"auth": auth}}],
    })
}

/// `filter_state[KEY] == VALUE`, parsed.
fn filter_state_is(key: &str, value: &str) -> Value {
    let text = |text: &str| json!({"const_expr": {"string_value": text}});
    json!({"call_expr": {"function": "_==_", "args": [
        {"call_expr": {"function": "_[_]", "args": [{"ident_expr": {"name": "filter_state"}}, text(key)]}},
        text(value),
    ]}})
}

/// An `rbac` filter that denies what the condition holds for.
fn denying(condition: Value) -> Value {
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "DENY", "policies": {"claims": {
                "permissions": [{"any": true}],
                "principals": [{"any": true}],
                "condition": condition,
            }}},
        },
    })
}

/// A filter that tells the service what is in the filter state.
fn telling_headers() -> Value {
    let header = |name: &str, key: &str| {
        json!({"append": {
            "header": {"key": name, "value": format!("%FILTER_STATE({key}:PLAIN)%")},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }})
    };
    json!({
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {"request_mutations": [
                header("x-state-sub", "wasm.sub"),
                header("x-state-roles", "wasm.nexus.roles"),
                header("x-state-payload", "wasm.payload"),
            ]},
        },
    })
}

#[test]
fn later_filters_and_access_logs_see_verified_claims_as_filter_state() {
    let upstream = Upstream::start();
    let config = with_policy(upstream.addr(), &filter_state_policy())
        .http_filter_after(denying(filter_state_is("wasm.sub", "mallory")))
        .http_filter_after(telling_headers())
        .edit_connection_manager(|manager| {
            let format = &mut manager["access_log"][0]["typed_config"]["log_format"]["json_format"];
            format["sub"] = json!("%FILTER_STATE(wasm.sub:PLAIN)%");
            format["typed_sub"] = json!("%FILTER_STATE(wasm.sub:TYPED)%");
            format["payload"] = json!("%FILTER_STATE(wasm.payload:PLAIN)%");
        });
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        let mut send = |claims: Option<&str>| {
            // A client can send headers; there is no way from one into the filter state.
            let mut request = Request::get("/").header("wasm.sub", "admin");
            if let Some(claims) = claims {
                request = request.bearer(token_of(claims));
            }
            client.send(&request)
        };

        let state = |response: &Response| {
            assert_eq!(response.status, 200, "{version}: {}", response.text());
            let headers = response.seen().headers;
            ["x-state-sub", "x-state-roles", "x-state-payload"].map(|name| headers.text(name))
        };
        let text = |text: &str| Some(text.to_owned());
        let alice = send(Some(
            r#""sub":"alice", "roles":["a","b"], "n":9007199254740993"#,
        ));
        let payload = r#"{"iss":"https://idp.example.com","aud":"orders","exp":4102444800,"sub":"alice","roles":["a","b"],"n":9007199254740993}"#;
        assert_eq!(state(&alice), [text("alice"), text("a,b"), text(payload)]);

        let mallory = send(Some(r#""sub":"mallory""#));
        assert_eq!(
            (mallory.status, mallory.text().as_str()),
            (403, "RBAC: access denied")
        );

        let nobody = send(None);
        let absent = state(&nobody);
        for value in &absent {
            assert!(
                matches!(value.as_deref(), None | Some("-" | "")),
                "{version}: nothing is there without a token: {absent:?}"
            );
        }
        let without = send(Some(r#""other":1"#));
        let [sub, roles, _] = state(&without);
        for value in [sub, roles] {
            assert!(
                matches!(value.as_deref(), None | Some("-" | "")),
                "{version}: nor without the claim: {value:?}"
            );
        }
        let refused = send(Some(r#""sub":"a\nb""#));
        assert_denied(
            &refused,
            "claim_not_forwardable",
            "a line break would forge a line of a log",
        );

        let log = envoy.wait_for_access_log(5);
        let subjects: Vec<&Value> = log.iter().map(|entry| &entry.line["sub"]).collect();
        assert_eq!(
            subjects,
            [
                &json!("alice"),
                &json!("mallory"),
                &Value::Null,
                &Value::Null,
                &Value::Null
            ],
            "{version}"
        );
        assert_eq!(log[0].line["payload"].as_str(), Some(payload), "{version}");
        health.assert_unharmed(&mut envoy);
    });
}

/// Routes that a claim decides: to whoever has the plan `gold` the answer says `gold`.
fn routed_by_plan(config: Config) -> Config {
    config.edit_connection_manager(|manager| {
        let route = |name: &str, headers: Value| {
            json!({
                "match": {"prefix": "/", "headers": headers},
                "route": {"cluster": "upstream"},
                "response_headers_to_add": [{"header": {"key": "x-route", "value": name}}],
            })
        };
        manager["route_config"]["virtual_hosts"][0]["routes"] = json!([
            route(
                "gold",
                json!([{"name": "x-plan", "string_match": {"exact": "gold"}}])
            ),
            route("default", json!([])),
        ]);
    })
}

fn plan_policy(clear_route_cache: bool, provider: Value) -> Value {
    let auth = json!({
        "auth_type": "jwt", "providers": ["idp"],
        "forward_claims": [{"claim": ["account", "plan"], "header": "X-Plan"}],
        "clear_route_cache": clear_route_cache,
    });
    let mut optional = auth.clone();
    optional["required"] = json!(false);
    json!({
        "providers": {"idp": provider},
        "apps": [{
            "slug": "app", "gateway_path": "/app", "default_policy": {"auth": auth},
            "routes": [
                {"path": "/optional", "policy": {"auth": optional}},
                {"path": "/open", "policy": {"auth": {"auth_type": "none"}}},
                {"path": "/plain", "policy": {"auth": {"auth_type": "jwt", "providers": ["idp"]}}},
            ],
        }],
        "unmatched": "allow",
    })
}

/// The requests, and the route that each takes when routes follow verified claims alone.
fn routed_requests() -> Vec<(&'static str, Request, &'static str)> {
    let with_plan = |path: &str, plan: &str| {
        let account = format!(r#""account":{{"plan":"{plan}"}}"#);
        Request::get(path).bearer(token_of(&account))
    };
    let forged = |request: Request| request.header("X-Plan", "gold");
    vec![
        ("the claim says gold", with_plan("/app", "gold"), "gold"),
        ("it says free", with_plan("/app", "free"), "default"),
        (
            "the token has none",
            Request::get("/app").bearer(good_token()),
            "default",
        ),
        (
            "forged beside another",
            forged(with_plan("/app", "free")),
            "default",
        ),
        (
            "forged beside the same",
            forged(with_plan("/app", "gold")),
            "gold",
        ),
        (
            "forged, and the token has none",
            forged(Request::get("/app").bearer(good_token())),
            "default",
        ),
        (
            "forged without a token",
            forged(Request::get("/app/optional")),
            "default",
        ),
        (
            "forged on an open route",
            forged(Request::get("/app/open")),
            "default",
        ),
        (
            "forged where the rule forwards nothing",
            forged(with_plan("/app/plain", "gold")),
            "default",
        ),
        (
            "forged outside of every app",
            forged(Request::get("/elsewhere")),
            "default",
        ),
        ("nothing at all", Request::get("/app/open"), "default"),
        (
            "twice, in two spellings",
            forged(forged(Request::get("/app/open"))).header("x_plan", "gold"),
            "default",
        ),
    ]
}

/// Whether every request takes the route that the verified claim names, with `clear_route_cache` or without.
fn assert_routes_follow_verified_claims(clears: bool) {
    let upstream = Upstream::start();
    let policy = plan_policy(clears, inline_provider());
    let config = routed_by_plan(with_policy(upstream.addr(), &policy));
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        for (note, request, route) in routed_requests() {
            let response = client.send(&request);
            assert_eq!(
                response.status,
                200,
                "{version}, {note}: {}",
                response.text()
            );
            assert_eq!(
                response.headers.text("x-route").as_deref(),
                Some(route),
                "{version}, {note}"
            );
        }
        health.assert_unharmed(&mut envoy);
    });
}

#[test]
fn routes_follow_verified_claims_and_no_forged_header() {
    assert_routes_follow_verified_claims(true);
}

/// These Envoys find the route anew by themselves when a filter changes headers, so that a claim chooses it too.
#[test]
fn no_forged_header_chooses_a_route_where_the_policy_does_not_ask_for_clearing() {
    assert_routes_follow_verified_claims(false);
}

/// No header changes here, so that Envoy has no reason of its own to find the route anew.
#[test]
fn a_route_follows_filter_state_only_where_the_policy_asks_for_clearing() {
    let upstream = Upstream::start();
    for (clears, expected) in [(true, "gold"), (false, "default")] {
        let policy = json!({
            "providers": {"idp": inline_provider()},
            "apps": [{"slug": "app", "gateway_path": "/", "default_policy": {"auth": {
                "auth_type": "jwt", "providers": ["idp"], "forward_token": true,
                "forward_claims": [{"claim": "plan", "filter_state": "plan"}],
                "clear_route_cache": clears,
            }}}],
        });
        let config = with_policy(upstream.addr(), &policy).edit_connection_manager(|manager| {
            let route = |name: &str, conditions: Value| {
                json!({
                    "match": {"prefix": "/", "filter_state": conditions},
                    "route": {"cluster": "upstream"},
                    "response_headers_to_add": [{"header": {"key": "x-route", "value": name}}],
                })
            };
            let is_gold = json!([{"key": "wasm.plan", "string_match": {"exact": "gold"}}]);
            manager["route_config"]["virtual_hosts"][0]["routes"] =
                json!([route("gold", is_gold), route("default", json!([]))]);
        });
        envoy::for_oldest_and_newest(|version| {
            let envoy = Envoy::start(version, &config);
            let route = |plan: &str| {
                let signed = token_of(&format!(r#""plan":"{plan}""#));
                let response = envoy.client().send(&Request::get("/").bearer(signed));
                assert_eq!(response.status, 200, "{version}: {}", response.text());
                response.headers.text("x-route")
            };
            assert_eq!(
                route("gold").as_deref(),
                Some(expected),
                "{version}, {clears}"
            );
            assert_eq!(
                route("free").as_deref(),
                Some("default"),
                "{version}, {clears}"
            );
        });
    }
}

#[test]
fn a_request_that_waited_for_keys_takes_the_route_of_its_claim() {
    let upstream = Upstream::start();
    let slow = || {
        let keys = keys::jwks([key().public_jwk()]);
        Behaviour::Answer(Answer::ok(keys).after(Duration::from_secs(3)))
    };
    let server = JwksServer::start("");
    server.behave(slow());
    let provider = json!({
        "issuer": ISSUER, "audience": "orders", "jwks_url": server.url(), "jwks_max_stale_secs": 0,
    });
    let policy = plan_policy(true, provider);
    let config = routed_by_plan(with_policy(upstream.addr(), &policy))
        .cluster(&server.authority(), server.addr())
        .concurrency(1);
    envoy::for_oldest_and_newest(|version| {
        let known = server.count();
        let envoy = Envoy::start(version, &config);
        let mut client = envoy.client();
        assert!(server.wait_for_requests(known + 1, Duration::from_secs(30)));
        let signed = token()
            .claim("account", json!({"plan": "gold"}))
            .sign(&key(), Algorithm::RS256);
        let response = client.send(&Request::get("/app").bearer(signed));
        assert_eq!(response.status, 200, "{version}: {}", response.text());
        assert_eq!(
            response.headers.text("x-route").as_deref(),
            Some("gold"),
            "{version}"
        );
        let waited = "wasmcustom.nexus.jwks_cache.miss";
        assert_eq!(envoy.stats().value(waited), 1, "{version}: it waited");
        drop(envoy);
        server.behave(slow());
    });
}

/// The bootstrap with the filter allowed everything but these functions of the host.
fn restricted(config: Config, forbidden: &'static [&'static str]) -> Config {
    config.edit(move |bootstrap| {
        let filters = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]
            ["filters"][0]["typed_config"]["http_filters"];
        let module = std::fs::read(nexus_tests::artifacts::wasm()).expect("the filter");
        let interface = nexus_host::Interface::of_wasm(&module).expect("a module");
        let functions = interface
            .imports
            .iter()
            .map(|import| import.name.clone())
            .chain(interface.exports.iter().map(|export| export.name.clone()));
        let allowed: serde_json::Map<String, Value> = functions
            .filter(|name| !forbidden.contains(&name.as_str()))
            .map(|name| (name, json!({})))
            .collect();
        filters[0]["typed_config"]["config"]["capability_restriction_config"] =
            json!({"allowed_capabilities": allowed});
    })
}

#[test]
fn a_request_is_denied_where_the_proxy_refuses_what_was_asked_of_it() {
    let upstream = Upstream::start();
    let state = restricted(
        with_policy(upstream.addr(), &filter_state_policy()),
        &["proxy_set_property"],
    );
    let routes = restricted(
        routed_by_plan(with_policy(
            upstream.addr(),
            &plan_policy(true, inline_provider()),
        )),
        &["proxy_call_foreign_function"],
    );
    let nothing_of_it = restricted(
        with_policy(upstream.addr(), &plan_policy(false, inline_provider())),
        &["proxy_call_foreign_function", "proxy_set_property"],
    );
    envoy::for_oldest_and_newest(|version| {
        let envoy = Envoy::start(version, &state);
        let signed = token_of(r#""sub":"alice""#);
        let response = envoy.client().send(&Request::get("/").bearer(&signed));
        assert_denied(&response, "internal", "the filter state cannot be set");
        let response = envoy.client().send(&Request::get("/"));
        assert_eq!(
            response.status, 200,
            "nothing has to be set without a token"
        );

        let envoy = Envoy::start(version, &routes);
        let response = envoy
            .client()
            .send(&Request::get("/app").bearer(good_token()));
        assert_denied(&response, "internal", "the route cannot be found anew");
        let forged = Request::get("/app/open").header("x-plan", "gold");
        assert_denied(
            &envoy.client().send(&forged),
            "internal",
            "nor after a forged header",
        );

        let envoy = Envoy::start(version, &nothing_of_it);
        let response = envoy
            .client()
            .send(&Request::get("/app").bearer(good_token()));
        assert_eq!(
            response.status, 200,
            "a policy without them does without them"
        );
    });
    let undeclared = restricted(
        with_policy(upstream.addr(), &filter_state_policy()),
        &["proxy_call_foreign_function"],
    );
    envoy::for_oldest_and_newest(|version| {
        let error = Envoy::try_start(version, &undeclared).expect_err("the filter refuses");
        let expected = "nexus: the proxy does not keep text as filter state: status";
        assert!(error.log().contains(expected), "{version}: {}", error.log());
    });
}

/// What native `jwt_authn` puts into the header of the claim `c`, and Nexus with `base64`; `None` for what has to be
/// the same. The list is what `docs/migrating.md` tells of it.
const OF_JWT_AUTHN: &[(&str, Option<(&str, &str)>)] = &[
    (r#""alice""#, None),
    (r#""zoë""#, None),
    (r#""""#, None),
    ("null", None),
    ("true", None),
    ("false", None),
    ("0", None),
    ("12", None),
    ("9007199254740991", None),
    ("[]", None),
    ("{}", None),
    (r#"["a", "b,c", 1, true, null, ["d"], {"e": "f"}]"#, None),
    (r#"["zoë \" \\ / \n \u0001 \u007f \u0085"]"#, None),
    // Numbers go through a double there.
    (
        "9007199254740993",
        Some(("9007199254740992", "9007199254740993")),
    ),
    ("1e3", Some(("1000", "1e3"))),
    ("-5", Some(("-5.000000", "-5"))),
    ("1.5", Some(("1.500000", "1.5"))),
    (
        "[9007199254740993, 1.0]",
        Some(("[9007199254740992,1]", "[9007199254740993,1.0]")),
    ),
    // Two spellings of the same JSON.
    (r#"["<>"]"#, Some((r#"["\u003c\u003e"]"#, r#"["<>"]"#))),
];

#[test]
fn base64_is_what_native_jwt_authn_does_with_arrays_and_objects() {
    let jwks = keys::jwks([key().public_jwk()]);
    let native = json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"idp": {
                "issuer": ISSUER,
                "local_jwks": {"inline_string": jwks},
                "claim_to_headers": [{"header_name": "x-c", "claim_name": "c"}],
                "forward_payload_header": "x-payload",
                "pad_forward_payload_header": true,
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}],
        },
    });
    let mut provider = inline_provider();
    provider["forward_claims"] = json!([{"claim": "c", "header": "x-c", "format": "base64"}]);
    provider["forward_payload"] = json!({"header": "x-payload", "padding": true});
    let policy = json!({
        "providers": {"idp": provider},
        "apps": [{
            "slug": "app", "gateway_path": "/",
            "default_policy": {"auth": {"auth_type": "jwt", "providers": ["idp"]}},
        }],
    });
    let upstream = Upstream::start();
    let native = Config::new(upstream.addr()).http_filter_after(native);
    let nexus = with_policy(upstream.addr(), &policy);
    envoy::for_oldest_and_newest(|version: &Version| {
        let (native, nexus) = (
            Envoy::start(version, &native),
            Envoy::start(version, &nexus),
        );
        let (mut native, mut nexus) = (native.client(), nexus.client());
        for (value, difference) in OF_JWT_AUTHN {
            let signed = token_of(&format!(r#""c":{value}"#));
            let request = Request::get("/").bearer(&signed);
            let [native, nexus] = [&mut native, &mut nexus].map(|client| {
                let response = client.send(&request);
                assert_eq!(
                    response.status,
                    200,
                    "{version}, {value}: {}",
                    response.text()
                );
                let headers = response.seen().headers;
                (headers.text("x-c"), headers.text("x-payload"))
            });
            assert_eq!(native.1, nexus.1, "{version}, {value}: the payload");
            match difference {
                None => assert_eq!(native.0, nexus.0, "{version}, {value}"),
                Some((there, here)) => {
                    let written = |text: &str| match text.starts_with('[') {
                        true => standard_base64(text),
                        false => text.to_owned(),
                    };
                    assert_eq!(native.0, Some(written(there)), "{version}, {value}");
                    assert_eq!(nexus.0, Some(written(here)), "{version}, {value}");
                }
            }
        }
    });
}

/// Base64 with `+`, `/` and padding.
fn standard_base64(text: &str) -> String {
    let encoded = base64url(text.as_bytes())
        .replace('-', "+")
        .replace('_', "/");
    format!("{encoded}{}", "=".repeat(encoded.len().wrapping_neg() % 4))
}
