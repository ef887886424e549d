//! Guests that trap, loop or grow, and what becomes of their requests.

use std::time::Duration;

use nexus_host::{FailurePolicy, HeaderMap, Outcome, Request, Response, VmConfig};

use crate::guest::{Bench, forwarded, is_paused, replied};

/// Traps where a header asks for it; its timer traps at once.
const TRAPS: &str = r#"
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (i32.eqz (call $get_value (i32.const 0) @"x-trap" (i32.const 16) (i32.const 20))) (then unreachable))
    (if (i32.eqz (call $get_value (i32.const 0) @"x-timer" (i32.const 16) (i32.const 20)))
      (then (drop (call $set_tick (i32.const 10)))))
    (i32.const 0))
  (func (export "proxy_on_tick") (param i32) unreachable)
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (call $say @"response") (i32.const 0))
  (func (export "proxy_on_log") (param i32) (call $say @"log"))
  (func (export "proxy_on_delete") (param i32) (call $say @"delete"))"#;

fn request() -> Request {
    Request::get("a.test", "/")
}

#[test]
fn a_trap_fails_the_vm_and_every_later_request() {
    let bench = Bench::new();
    let vm = bench.start(TRAPS);
    assert_eq!(vm.failure(), None);
    let trapped = vm.request(request().header("x-trap", "1"));
    assert_eq!(replied(&trapped), (503, String::new()));
    assert_eq!(trapped.details().as_deref(), Some("wasm_fail_stream"));
    let response = trapped.client_response().expect("the client is answered");
    assert_eq!(
        response,
        Response {
            headers: HeaderMap::from_pairs([(":status", "503")]),
            ..Response::default()
        }
    );
    assert_eq!(
        vm.failure().as_deref(),
        Some("wasm `unreachable` instruction executed")
    );
    assert!(
        bench
            .proxy
            .log()
            .contains("the filter trapped in `proxy_on_request_headers`")
    );
    assert!(
        bench.lines().is_empty(),
        "nothing of the guest runs any more"
    );
    assert_eq!(replied(&vm.request(request())), (503, String::new()));
    bench.proxy.advance(Duration::from_secs(3600));
    assert!(vm.failure().is_some());
}

#[test]
fn a_reload_by_hand_brings_the_vm_back() {
    let bench = Bench::new();
    let vm = bench.start(TRAPS);
    let _trapped = vm.request(request().header("x-trap", "1"));
    vm.reload().expect("the guest starts again");
    assert_eq!(vm.failure(), None);
    forwarded(&vm.request(request()));
}

#[test]
fn other_vms_go_on() {
    let bench = Bench::new();
    let (first, second) = (bench.start(TRAPS), bench.start(TRAPS));
    let _trapped = first.request(request().header("x-trap", "1"));
    forwarded(&second.request(request()));
}

#[test]
fn failing_open_lets_requests_pass() {
    let bench = Bench::new();
    let config = VmConfig {
        failure_policy: FailurePolicy::Open,
        ..VmConfig::default()
    };
    let vm = bench.start_with(TRAPS, config);
    forwarded(&vm.request(request().header("x-trap", "1")));
    let stream = vm.request(request());
    forwarded(&stream);
    stream
        .respond(Response::new(200))
        .expect("the request went on");
    assert_eq!(
        stream
            .client_response()
            .and_then(|response| response.status()),
        Some(200)
    );
    assert!(bench.lines().is_empty());
}

#[test]
fn failing_with_reload_waits_for_its_pause() {
    let bench = Bench::new();
    let policy = FailurePolicy::Reload {
        backoff: Duration::from_secs(1),
    };
    let vm = bench.start_with(
        TRAPS,
        VmConfig {
            failure_policy: policy,
            ..VmConfig::default()
        },
    );
    assert_eq!(replied(&vm.request(request().header("x-trap", "1"))).0, 503);
    bench.proxy.advance(Duration::from_millis(999));
    assert_eq!(replied(&vm.request(request())).0, 503);
    bench.proxy.advance(Duration::from_millis(1));
    forwarded(&vm.request(request()));
    // The pause counts from the last start, not from the trap.
    bench.proxy.advance(Duration::from_secs(5));
    assert_eq!(replied(&vm.request(request().header("x-trap", "1"))).0, 503);
    forwarded(&vm.request(request()));
}

#[test]
fn a_trap_outside_a_stream_is_felt_by_the_next_request() {
    let bench = Bench::new();
    let vm = bench.start(TRAPS);
    let before = vm.request(request().header("x-timer", "1"));
    forwarded(&before);
    bench.proxy.advance(Duration::from_millis(10));
    assert!(vm.failure().is_some());
    assert_eq!(replied(&vm.request(request())).0, 503);
    // A request that is with its upstream already gets the same instead of the response.
    before
        .respond(Response::new(200))
        .expect("the request went on");
    assert_eq!(
        before
            .client_response()
            .and_then(|response| response.status()),
        Some(503)
    );
}

#[test]
fn a_stream_that_a_failed_vm_holds_stays_held() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (drop (call $set_tick (i32.const 10))) (i32.const 1))
           (func (export "proxy_on_tick") (param i32) unreachable)"#,
    );
    let stream = vm.request(request());
    assert!(matches!(
        stream.wait(Duration::from_secs(60)),
        Outcome::Paused(_)
    ));
    assert!(vm.failure().is_some());
    vm.reload().expect("the guest starts again");
    assert!(is_paused(&stream));
    stream.cancel();
    assert_eq!(stream.outcome(), Outcome::Reset);
}

#[test]
fn a_trap_after_a_reply_is_a_failure_all_the_same() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $reply_with (i32.const 200) @"fine") unreachable)"#,
    );
    assert_eq!(replied(&vm.request(request())), (503, String::new()));
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let bench = Bench::new();
    let config = VmConfig {
        call_deadline: Some(Duration::from_millis(50)),
        ..VmConfig::default()
    };
    let vm = bench.start_with(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (loop $on (br $on)) (i32.const 0))"#,
        config,
    );
    let started = std::time::Instant::now();
    assert_eq!(replied(&vm.request(request())).0, 503);
    assert!(started.elapsed() >= Duration::from_millis(40));
    assert_eq!(
        vm.failure().as_deref(),
        Some("it ran for longer than its deadline")
    );
}

#[test]
fn memory_grows_to_its_limit_only() {
    let bench = Bench::new();
    let config = VmConfig {
        memory_limit: 8 * 65536,
        ..VmConfig::default()
    };
    let vm = bench.start_with(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $say_number @"grown from" (memory.grow (i32.const 4)))
             (call $say_number @"refused" (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
             (i32.const 0))"#,
        config,
    );
    assert_eq!(vm.memory_bytes(), 4 * 65536);
    forwarded(&vm.request(request()));
    assert_eq!(bench.lines(), ["grown from=4", "refused=1"]);
    assert_eq!(vm.memory_bytes(), 8 * 65536);
}

#[test]
fn an_allocator_that_fails_is_an_invalid_access_and_one_that_traps_a_trap() {
    let bench = Bench::new();
    let guest = |allocate: &str| {
        let text = format!(
            r#"(module
                 (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
                 (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
                 (memory (export "memory") 1)
                 (data (i32.const 64) ":pathpointer")
                 (func (export "proxy_abi_version_0_2_0"))
                 (func (export "malloc") (param i32) (result i32) {allocate})
                 (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                   (if (i32.eq (i32.const 6)
                         (call $get (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 16) (i32.const 20)))
                     (then (drop (call $log (i32.const 2) (i32.const 69) (i32.const 7)))))
                   (i32.const 0)))"#
        );
        nexus_host::Module::compile(&wat::parse_str(text).expect("well formed"))
            .expect("nothing unknown")
    };
    let vm = bench
        .proxy
        .start_vm(&guest("(i32.const 0)"), VmConfig::default())
        .expect("the guest starts");
    forwarded(&vm.request(request()));
    assert_eq!(bench.lines(), ["pointer"]);
    let vm = bench
        .proxy
        .start_vm(&guest("(i32.const -8)"), VmConfig::default())
        .expect("the guest starts");
    forwarded(&vm.request(request()));
    assert_eq!(bench.lines(), ["pointer"]);
    let vm = bench
        .proxy
        .start_vm(&guest("unreachable"), VmConfig::default())
        .expect("the guest starts");
    assert_eq!(replied(&vm.request(request())).0, 503);
}
