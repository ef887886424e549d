//! What the filter asks of the host beyond headers: filter state, and finding the route anew.

use std::time::Duration;

use nexus_host::{
    FakeClock, Outcome, PropertyType, Proxy, ProxyBuilder, Request, Status, Stream, Vm,
};
use nexus_tests::cases::{
    NOW, Setting,
    wasm::{self, LONGEST_WAIT},
};
use serde_json::{Value, json};

use crate::{ISSUER, fate, jwks, key, token_by};

/// One app at `/app` whose tokens are optional, with a part where no token is looked at.
fn setting(fields: &Value) -> Setting {
    let jwks: Value = serde_json::from_str(&jwks(&[&key()])).expect("JSON");
    let mut auth = json!({
        "auth_type": "jwt", "required": false, "issuer": ISSUER, "audience": "client", "jwks": jwks,
    });
    for (name, value) in fields.as_object().expect("fields") {
        auth[name] = value.clone();
    }
    let policy = json!({
        "slug": "app", "gateway_path": "/app", "default_policy": {"auth": auth},
        "routes": [{"path": "/open", "policy": {"auth": {"auth_type": "none"}}}],
    });
    Setting::new("forwarding", &policy.to_string())
}

fn builder() -> ProxyBuilder {
    let now = Duration::from_secs(NOW.unsigned_abs());
    Proxy::builder().clock(FakeClock::at(now)).seed(1)
}

fn start(builder: ProxyBuilder, setting: &Setting) -> Vm {
    builder
        .build()
        .start_vm(wasm::module(), wasm::vm_config(setting))
        .expect("the filter starts")
}

fn send(vm: &Vm, request: Request) -> Stream {
    let stream = vm.request(request);
    let _ = stream.wait(LONGEST_WAIT);
    assert_eq!(vm.failure(), None);
    stream
}

fn get(path: &str) -> Request {
    Request::get("app.example.com", path)
}

fn with_token(request: Request) -> Request {
    request.header("authorization", format!("Bearer {}", token_by(&key())))
}

#[test]
fn claims_and_payload_are_kept_as_text_properties_and_only_when_verified() {
    let vm = start(
        builder(),
        &setting(&json!({
            "forward_claims": [
                {"claim": "sub", "filter_state": "user.id"},
                {"claim": "none", "filter_state": "none"},
            ],
            "forward_payload": {"filter_state": "payload"},
        })),
    );
    let stream = send(&vm, with_token(get("/app")));
    assert_eq!(fate(&stream), "allow");
    assert_eq!(stream.property("user.id"), Some(b"alice".to_vec()));
    assert_eq!(stream.property_type("user.id"), Some(PropertyType::String));
    assert_eq!(stream.property("none"), None);
    let payload = stream.property("payload").expect("the payload");
    let payload: Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(
        (&payload["sub"], &payload["iss"]),
        (&json!("alice"), &json!(ISSUER))
    );
    assert_eq!(stream.route_cache_clears(), 0, "nobody asked for it");

    let bad = get("/app").header("authorization", "Bearer a.b.c");
    for (request, expected) in [
        (get("/app"), "allow"),
        (with_token(get("/app/open")), "allow"),
        (bad, "401 nexus_denied{token_header_json}"),
    ] {
        let stream = send(&vm, request);
        assert!(
            fate(&stream).starts_with(&expected[..5]),
            "{}",
            fate(&stream)
        );
        for name in ["user.id", "none", "payload"] {
            assert_eq!(stream.property(name), None, "{expected}: {name}");
        }
    }
}

#[test]
fn the_route_cache_is_cleared_for_verified_claims_and_for_forged_headers() {
    let headers = json!({
        "forward_claims": [{"claim": "sub", "header": "X-User"}],
        "forward_payload": {"header": "X-Payload"},
        "clear_route_cache": true,
    });
    let vm = start(builder(), &setting(&headers));
    let forged = |request: Request| request.header("x_payload", "e30").header("X-User", "admin");
    for (request, clears, note) in [
        (with_token(get("/app")), 1, "a token"),
        (
            forged(with_token(get("/app"))),
            1,
            "a token and forged headers",
        ),
        (forged(get("/app")), 1, "forged headers without a token"),
        (
            forged(get("/app/open")),
            1,
            "forged headers on an open route",
        ),
        (get("/app"), 0, "no token"),
        (with_token(get("/app/open")), 0, "an open route"),
    ] {
        let stream = send(&vm, request);
        assert_eq!(fate(&stream), "allow", "{note}");
        assert_eq!(stream.route_cache_clears(), clears, "{note}");
    }

    let mut without = headers;
    without["clear_route_cache"] = json!(false);
    let vm = start(builder(), &setting(&without));
    for (request, clears) in [(with_token(get("/app")), 0), (forged(get("/app")), 1)] {
        let stream = send(&vm, request);
        assert_eq!(
            (fate(&stream).as_str(), stream.route_cache_clears()),
            ("allow", clears),
            "what a client forged may have chosen the route in any case"
        );
    }
}

#[test]
fn a_host_without_the_function_clears_the_cache_itself_and_one_that_fails_denies() {
    let setting = setting(&json!({
        "forward_claims": [{"claim": "sub", "header": "X-User"}], "clear_route_cache": true,
    }));
    let older = start(
        builder().without_foreign_function("clear_route_cache"),
        &setting,
    );
    let stream = send(&older, with_token(get("/app")));
    let Outcome::Forwarded(forwarded) = stream.outcome() else {
        panic!("{}", fate(&stream));
    };
    assert_eq!(forwarded.headers.first("x-user"), Some(&b"alice"[..]));

    for status in [
        Status::InternalFailure,
        Status::BadArgument,
        Status::Unimplemented,
    ] {
        let failing = builder().foreign_function("clear_route_cache", move |_| Err(status));
        let failing = start(failing, &setting);
        for request in [
            with_token(get("/app")),
            get("/app/open").header("x-user", "admin"),
        ] {
            let stream = send(&failing, request);
            assert_eq!(fate(&stream), "500 nexus_denied{internal}", "{status:?}");
        }
        let stream = send(&failing, get("/app"));
        assert_eq!(fate(&stream), "allow", "nothing was asked for");
    }
}

#[test]
fn a_host_that_keeps_no_text_is_refused_when_the_policy_needs_it() {
    let needs = setting(&json!({"forward_claims": [{"claim": "sub", "filter_state": "user"}]}));
    let needs_none = setting(&json!({"forward_claims": [{"claim": "sub", "header": "X-User"}]}));
    let proxy = |status: Option<Status>| match status {
        None => builder()
            .without_foreign_function("declare_property")
            .build(),
        Some(status) => builder()
            .foreign_function("declare_property", move |_| Err(status))
            .build(),
    };
    for (status, number) in [(None, 1), (Some(Status::InternalFailure), 10)] {
        let proxy = proxy(status);
        let error = proxy
            .start_vm(wasm::module(), wasm::vm_config(&needs))
            .expect_err("the filter refuses");
        let expected =
            format!("nexus: the proxy does not keep text as filter state: status {number}");
        let lines: Vec<&str> = error
            .logs()
            .iter()
            .map(|line| line.message.as_str())
            .collect();
        assert_eq!(lines, [expected], "{error}");
        proxy
            .start_vm(wasm::module(), wasm::vm_config(&needs_none))
            .expect("a policy without it does without it");
    }
    // Envoy says so of what the same root context has declared before.
    let again = proxy(Some(Status::BadArgument));
    again
        .start_vm(wasm::module(), wasm::vm_config(&needs))
        .expect("the filter starts");
}
