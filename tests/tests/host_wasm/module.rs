//! The module itself: what it asks of a proxy, what it weighs, and that it does not grow.

use std::{collections::BTreeSet, fs, time::Duration};

use nexus_host::{Answer, FailurePolicy, Interface, LogLevel, Request, VmConfig};
use nexus_tests::{
    artifacts,
    cases::{
        NOW,
        wasm::{self, Bed},
    },
    keys::Algorithm,
    tokens::Token,
};

use crate::{
    CLUSTER, ISSUER, PATH, bed_with_keys, fate, jwks, key, next_key, send, setting, token_by,
};

const MIB: usize = 1024 * 1024;

fn bytes() -> Vec<u8> {
    fs::read(artifacts::wasm()).expect("the module can be read")
}

#[test]
fn the_module_is_no_larger_than_it_may_be() {
    let size = bytes().len();
    assert!(size <= 1_000_000, "{size} bytes");
}

#[test]
fn the_module_asks_for_nothing_that_an_envoy_since_1_30_lacks() {
    let interface = Interface::of_wasm(&bytes()).expect("a module");
    assert!(!interface.imports.is_empty());
    let unportable = interface.unportable_imports();
    assert!(unportable.is_empty(), "{unportable:?}");
}

#[test]
fn the_module_offers_what_a_proxy_looks_for() {
    let interface = Interface::of_wasm(&bytes()).expect("a module");
    for name in [
        "_initialize",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_delete",
        "proxy_on_http_call_response",
        "proxy_on_memory_allocate",
        "proxy_on_queue_ready",
        "proxy_on_request_body",
        "proxy_on_request_headers",
        "proxy_on_request_trailers",
        "proxy_on_tick",
        "proxy_on_vm_start",
    ] {
        assert!(interface.exports_function(name), "`{name}` is missing");
    }
    // Each of these would be a call into the module for every request.
    for name in [
        "proxy_on_done",
        "proxy_on_log",
        "proxy_on_response_body",
        "proxy_on_response_headers",
        "proxy_on_response_trailers",
    ] {
        assert!(
            !interface.exports_function(name),
            "`{name}` has nothing to do"
        );
    }
    let versions: BTreeSet<&str> = interface
        .exports
        .iter()
        .map(|export| export.name.as_str())
        .filter(|name| name.starts_with("proxy_abi_version"))
        .collect();
    assert_eq!(versions, BTreeSet::from(["proxy_abi_version_0_2_1"]));
}

#[test]
fn a_vm_that_is_idle_takes_little_memory() {
    let bed = bed_with_keys(&[&key()]);
    let vm = bed.start_with_keys(&setting());
    let bytes = vm.memory_bytes();
    assert!(bytes <= 8 * MIB, "{bytes} bytes");
}

#[test]
fn a_hundred_thousand_requests_leave_the_memory_as_it_was() {
    let bed = Bed::with_log_level(LogLevel::Warn);
    bed.callouts
        .answer(CLUSTER, PATH, Answer::json(jwks(&[&key()])));
    let vm = bed.start_with_keys(&setting());
    let good = token_by(&key());
    let expired = Token::empty()
        .claim("iss", ISSUER)
        .claim("exp", NOW - 3600)
        .sign(&key(), Algorithm::EdDSA);
    // One in ten costs a signature check; all else is what a proxy sees besides.
    let requests = [
        (crate::request(&good), "allow"),
        (crate::request(&expired), "401 nexus_denied{token_expired}"),
        (
            crate::request("a.b.c"),
            "401 nexus_denied{token_header_base64}",
        ),
        (crate::request(""), "401 nexus_denied{token_malformed}"),
        (
            crate::request(&"x".repeat(20_000)),
            "401 nexus_denied{token_malformed}",
        ),
        (
            Request::get("app.example.com", "/app"),
            "401 nexus_denied{token_missing}",
        ),
        (
            Request::get("app.example.com", "/"),
            "404 nexus_denied{no_app_matched}",
        ),
        (
            Request::get("app.example.com", "/app%2f"),
            "400 nexus_denied{request_malformed}",
        ),
        (
            Request::get("app.example.com", "/app").header("authorization", "Basic YTpi"),
            "401 nexus_denied{token_missing}",
        ),
        (
            Request::get("app.example.com", "/app").header("x-other", b"\xff\x00\xfe"),
            "401 nexus_denied{token_missing}",
        ),
    ];
    let mut after_warm_up = 0;
    for round in 0..10_000 {
        for (request, expected) in &requests {
            let stream = vm.request(request.clone());
            assert_eq!(fate(&stream), *expected);
        }
        if round == 1_000 {
            after_warm_up = vm.memory_bytes();
        }
    }
    assert_eq!(
        vm.memory_bytes(),
        after_warm_up,
        "no growth after 10,000 requests"
    );
    assert!(after_warm_up <= 8 * MIB, "{after_warm_up} bytes");
    assert_eq!(vm.open_streams(), 0);
    bed.proxy.advance(Duration::from_secs(1));
    assert_eq!(bed.proxy.metrics().counter("nexus.allowed"), Some(10_000));
}

#[test]
fn requests_that_wait_give_their_memory_back() {
    let bed = Bed::with_log_level(LogLevel::Warn);
    bed.callouts.answer(CLUSTER, PATH, Answer::held());
    let vm = bed.start_with_keys(&setting());
    let token = token_by(&key());
    let fill = || -> usize {
        let streams: Vec<_> = (0..1024).map(|_| send(&vm, &token)).collect();
        assert_eq!(fate(&streams[1023]), "wait");
        vm.memory_bytes()
    };
    // The second round finds the allocator's free lists as every later one does.
    fill();
    let settled = fill();
    for _ in 0..5 {
        assert_eq!(fill(), settled);
    }
}

#[test]
fn a_filter_without_a_policy_is_refused_and_lets_nobody_pass() {
    for configuration in ["", "{}", "null", "[]", "{\"nexus\": 2}", "not JSON"] {
        let bed = Bed::new();
        let error = bed
            .proxy
            .start_vm(
                wasm::module(),
                VmConfig {
                    plugin_configuration: configuration.as_bytes().to_vec(),
                    ..VmConfig::default()
                },
            )
            .expect_err("the filter has to refuse");
        assert!(
            matches!(error, nexus_host::StartError::ConfigureRefused { .. }),
            "{configuration}: {error}"
        );
        assert!(
            error
                .logs()
                .iter()
                .any(|entry| entry.message.starts_with("nexus: ")),
            "{configuration}: the log has to say why: {error}"
        );
    }
}

#[test]
fn a_vm_that_is_reloaded_finds_the_keys_and_asks_for_those_that_are_new() {
    let bed = bed_with_keys(&[&key()]);
    let config = VmConfig {
        failure_policy: FailurePolicy::Reload {
            backoff: std::time::Duration::from_secs(1),
        },
        ..wasm::vm_config(&setting())
    };
    let vm = bed
        .proxy
        .start_vm(wasm::module(), config)
        .expect("the filter starts");
    bed.proxy.advance(std::time::Duration::from_secs(1));
    assert_eq!(fate(&send(&vm, &token_by(&key()))), "allow");
    bed.callouts
        .answer(CLUSTER, PATH, Answer::json(jwks(&[&next_key()])));
    vm.reload().expect("the filter starts again");
    bed.proxy.advance(std::time::Duration::from_secs(1));
    assert_eq!(fate(&send(&vm, &token_by(&key()))), "allow");
    assert_eq!(bed.callouts.call_count(), 1, "the process has the keys");
    let rotated = send(&vm, &token_by(&next_key()));
    bed.proxy.advance(std::time::Duration::from_secs(1));
    assert_eq!(fate(&rotated), "allow");
    assert_eq!(bed.callouts.call_count(), 2);
    assert_eq!(fate(&send(&vm, &token_by(&key()))), crate::NOT_FOUND);
}

#[test]
fn a_vm_shuts_down_at_once() {
    let bed = bed_with_keys(&[&key()]);
    let vm = bed.start_with_keys(&setting());
    assert!(vm.shut_down());
    assert_eq!(vm.failure(), None);
}
