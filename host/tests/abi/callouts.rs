//! HTTP callouts: who gets which answer when, and every way to fail.

use std::time::Duration;

use nexus_host::{Answer, HeaderMap, Outcome, Request, Vm};

use crate::guest::{Bench, forwarded, is_paused, map_data};

/// Holds each request until its call to cluster `auth` is answered, and says what the answer was. The configuration's
/// length is the timeout in milliseconds.
fn caller(headers: &[(&str, &str)]) -> String {
    let (data, place) = map_data(headers);
    format!(
        r#"{data}
          (global $timeout (mut i32) (i32.const 0))
          (global $waiting (mut i32) (i32.const 0))
          (func (export "proxy_on_configure") (param i32) (param $size i32) (result i32)
            (global.set $timeout (local.get $size)) (i32.const 1))
          (func (export "proxy_on_request_headers") (param $id i32) (param i32 i32) (result i32)
            (local $status i32)
            (local.set $status (call $http_call @"auth" {place} @"body" (i32.const 0) (i32.const 0)
              (global.get $timeout) (i32.const 24)))
            (if (local.get $status)
              (then (call $say_number @"refused" (local.get $status)) (return (i32.const 0))))
            (call $say_number @"token" (i32.load (i32.const 24)))
            (global.set $waiting (local.get $id))
            (i32.const 1))
          (func (export "proxy_on_http_call_response") (param $context i32) (param $token i32) (param $headers i32)
            (param $size i32) (param $trailers i32)
            (call $say_number @"context" (local.get $context))
            (call $say_number @"token" (local.get $token))
            (call $say_number @"headers" (local.get $headers))
            (call $say_number @"size" (local.get $size))
            (call $say_number @"trailers" (local.get $trailers))
            (call $say_header (i32.const 6) @":status")
            (call $say_header (i32.const 7) @"x-trailer")
            (call $say_pairs @"pairs" (i32.const 6))
            (call $say_buffer @"body" (i32.const 4))
            (drop (call $get_status (i32.const 24) (i32.const 16) (i32.const 20)))
            (call $say_number @"code" (i32.load (i32.const 24)))
            (call $say_given @"reason" (i32.const 0))
            (if (i32.eqz (call $set_effective (global.get $waiting)))
              (then
                (call $say_header (i32.const 6) @":status")
                (drop (call $continue (i32.const 0)))))
            (call $say @"end"))"#
    )
}

const HEADERS: &[(&str, &str)] = &[
    (":method", "POST"),
    (":authority", "auth.test"),
    (":path", "/check?x=1"),
    ("X-Key", "k"),
];

fn started(bench: &Bench, timeout_ms: usize) -> Vm {
    let config = nexus_host::VmConfig {
        plugin_configuration: vec![0; timeout_ms],
        ..Default::default()
    };
    bench.start_with(&caller(HEADERS), config)
}

#[test]
fn a_callout_is_recorded_and_its_answer_reaches_the_root_context() {
    let bench = Bench::new();
    let trailers = HeaderMap::from_pairs([("x-trailer", "t")]);
    bench
        .callouts
        .answer("auth", "/check?x=1", Answer::json("{}").trailers(trailers));
    let vm = started(&bench, 500);
    let stream = vm.request(Request::get("a.test", "/"));
    assert!(is_paused(&stream));
    assert_eq!(vm.pending_callouts(), 1);
    assert_eq!(bench.lines(), ["token=4"]);
    assert_eq!(bench.proxy.run_until_idle(), 1);
    assert_eq!(
        bench.lines(),
        [
            "context=1",
            "token=4",
            "headers=2",
            "size=2",
            "trailers=1",
            ":status=200",
            "x-trailer=t",
            "pairs=2",
            "body={}",
            "code=0",
            "reason=",
            ":status=200",
            "end",
        ]
    );
    forwarded(&stream);
    assert_eq!(vm.pending_callouts(), 0);
    let calls = bench.callouts.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].cluster, "auth");
    assert_eq!(calls[0].timeout, Some(Duration::from_millis(500)));
    assert_eq!(calls[0].body, b"body");
    assert_eq!(calls[0].headers.first("x-key"), Some(&b"k"[..]));
    assert_eq!(calls[0].headers.first("content-length"), Some(&b"4"[..]));
}

#[test]
fn a_reset_callout_has_no_headers_and_no_readable_map() {
    let bench = Bench::new();
    bench.callouts.answer("auth", "/check?x=1", Answer::reset());
    let vm = started(&bench, 0);
    let stream = vm.request(Request::get("a.test", "/"));
    assert_eq!(bench.lines(), ["token=4"]);
    bench.proxy.run_until_idle();
    assert_eq!(
        bench.lines(),
        [
            "context=1",
            "token=4",
            "headers=0",
            "size=0",
            "trailers=0",
            ":status!2",
            "x-trailer!2",
            "pairs=0",
            "body!1",
            "code=11",
            "reason=reset",
            ":status!2",
            "end",
        ]
    );
    forwarded(&stream);
    assert_eq!(bench.callouts.calls()[0].timeout, None);
}

#[test]
fn a_callout_that_runs_out_of_time_is_answered_504() {
    let bench = Bench::new();
    bench.callouts.answer(
        "auth",
        "/check?x=1",
        Answer::json("{}").after(Duration::from_millis(501)),
    );
    let vm = started(&bench, 500);
    let stream = vm.request(Request::get("a.test", "/"));
    bench.proxy.advance(Duration::from_millis(499));
    assert!(is_paused(&stream));
    bench.proxy.advance(Duration::from_millis(1));
    let lines = bench.lines();
    assert!(lines.contains(&":status=504".to_owned()), "{lines:?}");
    assert!(
        lines.contains(&"body=upstream request timeout".to_owned()),
        "{lines:?}"
    );
    // The answer that comes too late reaches nobody.
    bench.proxy.advance(Duration::from_secs(1));
    assert!(bench.lines().is_empty());
}

#[test]
fn an_answer_in_time_is_an_answer() {
    let bench = Bench::new();
    bench.callouts.answer(
        "auth",
        "/check?x=1",
        Answer::status(204).after(Duration::from_millis(500)),
    );
    let vm = started(&bench, 500);
    let stream = vm.request(Request::get("a.test", "/"));
    assert!(matches!(
        stream.wait(Duration::from_secs(9)),
        Outcome::Forwarded(_)
    ));
    assert!(bench.lines().contains(&":status=204".to_owned()));
}

#[test]
fn a_call_to_a_cluster_without_endpoints_cannot_be_sent() {
    let bench = Bench::new();
    bench.callouts.cluster("auth");
    let vm = started(&bench, 0);
    forwarded(&vm.request(Request::get("a.test", "/")));
    assert_eq!(bench.lines(), ["refused=10"]);
    assert_eq!(vm.pending_callouts(), 0);
}

#[test]
fn no_connection_is_503() {
    let bench = Bench::new();
    bench
        .callouts
        .answer("auth", "/check?x=1", Answer::unreachable());
    let vm = started(&bench, 0);
    let _stream = vm.request(Request::get("a.test", "/"));
    bench.proxy.run_until_idle();
    let lines = bench.lines();
    assert!(lines.contains(&":status=503".to_owned()), "{lines:?}");
    assert!(lines.contains(&"headers=3".to_owned()), "{lines:?}");
}

#[test]
fn an_unknown_cluster_is_a_bad_argument() {
    let bench = Bench::new();
    let vm = started(&bench, 0);
    forwarded(&vm.request(Request::get("a.test", "/")));
    assert_eq!(bench.lines(), ["refused=2"]);
    bench
        .callouts
        .any_cluster(true)
        .answer("other", "/", Answer::status(200));
    forwarded(&vm.request(Request::get("a.test", "/")));
    assert_eq!(
        bench.lines(),
        ["refused=10"],
        "the cluster exists, and has no endpoint"
    );
}

#[test]
fn a_call_without_method_authority_or_path_is_a_bad_argument() {
    for missing in [":method", ":authority", ":path"] {
        let bench = Bench::new();
        bench.callouts.any_cluster(true);
        let headers: Vec<_> = HEADERS
            .iter()
            .copied()
            .filter(|(name, _)| *name != missing)
            .collect();
        let vm = bench.start(&caller(&headers));
        forwarded(&vm.request(Request::get("a.test", "/")));
        assert_eq!(bench.lines(), ["refused=2"], "without {missing}");
        assert_eq!(bench.callouts.call_count(), 0);
    }
}

#[test]
fn a_call_that_cannot_be_sent_is_an_internal_failure() {
    let bench = Bench::new();
    bench
        .callouts
        .answer("auth", "/check?x=1", Answer::refused());
    let vm = started(&bench, 0);
    forwarded(&vm.request(Request::get("a.test", "/")));
    assert_eq!(bench.lines(), ["refused=10"]);
    assert_eq!(vm.pending_callouts(), 0);
}

#[test]
fn answers_queue_up_before_the_standing_one() {
    let bench = Bench::new();
    bench
        .callouts
        .answer("auth", "/check?x=1", Answer::status(200));
    bench
        .callouts
        .answer_once("auth", "/check?x=1", Answer::status(500));
    bench
        .callouts
        .answer_once("auth", "/check?x=1", Answer::status(429));
    let vm = started(&bench, 0);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let _stream = vm.request(Request::get("a.test", "/"));
        bench.proxy.run_until_idle();
        statuses.extend(
            bench
                .lines()
                .into_iter()
                .find(|line| line.starts_with(":status")),
        );
    }
    assert_eq!(statuses, [":status=500", ":status=429", ":status=200"]);
}

#[test]
fn a_held_call_is_answered_when_the_test_says_so() {
    let bench = Bench::new();
    bench.callouts.answer("auth", "/check?x=1", Answer::held());
    let vm = started(&bench, 0);
    let stream = vm.request(Request::get("a.test", "/"));
    bench.proxy.advance(Duration::from_secs(3600));
    assert!(is_paused(&stream));
    assert!(bench.callouts.reply(0, Answer::status(200)));
    assert!(
        !bench.callouts.reply(0, Answer::status(200)),
        "a call is answered once"
    );
    bench.proxy.run_until_idle();
    forwarded(&stream);
}

#[test]
fn a_held_call_still_runs_into_its_timeout() {
    let bench = Bench::new();
    bench.callouts.answer("auth", "/check?x=1", Answer::held());
    let vm = started(&bench, 500);
    let stream = vm.request(Request::get("a.test", "/"));
    assert!(matches!(
        stream.wait(Duration::from_secs(9)),
        Outcome::Forwarded(_)
    ));
    assert!(bench.lines().contains(&":status=504".to_owned()));
    bench.callouts.reply(0, Answer::status(200));
    bench.proxy.run_until_idle();
    assert!(bench.lines().is_empty());
}

#[test]
fn an_answer_after_the_stream_has_gone_still_reaches_the_root() {
    let bench = Bench::new();
    bench
        .callouts
        .answer("auth", "/check?x=1", Answer::status(200));
    let vm = started(&bench, 0);
    drop(vm.request(Request::get("a.test", "/")));
    bench.proxy.run_until_idle();
    let lines = bench.lines();
    assert_eq!(lines.last().map(String::as_str), Some("end"));
    // Not selected, so the second look at the status is missing.
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.starts_with(":status"))
            .count(),
        1
    );
}

#[test]
fn an_answer_to_a_vm_that_was_reloaded_reaches_nobody() {
    let bench = Bench::new();
    bench.callouts.answer("auth", "/check?x=1", Answer::held());
    let vm = started(&bench, 0);
    let stream = vm.request(Request::get("a.test", "/"));
    bench.lines();
    vm.reload().expect("the guest starts again");
    bench.callouts.reply(0, Answer::status(200));
    bench.proxy.run_until_idle();
    assert!(bench.lines().is_empty());
    assert!(is_paused(&stream));
}

#[test]
fn grpc_calls_fail_as_in_an_envoy_that_cannot_make_them() {
    let bench = Bench::new();
    bench.callouts.cluster("known");
    let _vm = bench.start(
        r#"(func $open (param $label i32) (param $length i32) (param $service i32) (param $size i32)
             (call $say_number (local.get $label) (local.get $length)
               (call $grpc_stream (local.get $service) (local.get $size) @"svc" @"method" @"" (i32.const 24))))
           (func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $open @"unknown" @"unknown")
             (call $open @"known" @"known")
             (call $open @"empty" @"")
             (call $say_number @"call" (call $grpc_call @"unknown" @"svc" @"method" @"" @"" (i32.const 0) (i32.const 24)))
             (call $say_number @"send" (call $grpc_send (i32.const 6) @"m" (i32.const 1)))
             (call $say_number @"send to call" (call $grpc_send (i32.const 5) @"m" (i32.const 1)))
             (call $say_number @"cancel" (call $grpc_cancel (i32.const 5)))
             (call $say_number @"close" (call $grpc_close (i32.const 4)))
             (i32.const 1))"#,
    );
    assert_eq!(
        bench.lines(),
        [
            "unknown=4",
            "known=10",
            "empty=2",
            "call=4",
            "send=1",
            "send to call=2",
            "cancel=1",
            "close=2",
        ]
    );
}
