//! HTTP streams: pausing, resuming, replying, closing, bodies, and the end.

use std::time::Duration;

use nexus_host::{HeaderMap, Outcome, Phase, Request, Response, StreamError, VmConfig};

use crate::guest::{Bench, forwarded, is_paused, map_data, replied};

/// Pauses every request; the timer resumes stream 2.
const RESUMED_BY_TIMER: &str = r#"
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $set_tick (i32.const 100))) (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_tick") (param i32)
    (call $say_number @"select" (call $set_effective (i32.const 2)))
    (call $say_header (i32.const 0) @":path")
    (call $say_number @"add" (call $add_value (i32.const 0) @"x-late" @"1"))
    (call $say_number @"resume" (call $continue (i32.const 0)))
    (call $say_header (i32.const 0) @":path"))"#;

#[test]
fn a_paused_stream_is_resumed_from_another_callback() {
    let bench = Bench::new();
    let vm = bench.start(RESUMED_BY_TIMER);
    let stream = vm.request(Request::get("a.test", "/p"));
    assert_eq!(stream.outcome(), Outcome::Paused(Phase::RequestHeaders));
    bench.proxy.advance(Duration::from_millis(99));
    assert!(is_paused(&stream));
    bench.proxy.advance(Duration::from_millis(1));
    // Once resumed, the headers are out of reach, in the same callback already.
    assert_eq!(
        bench.lines(),
        ["select=0", ":path=/p", "add=0", "resume=0", ":path!2"]
    );
    assert!(forwarded(&stream).contains("x-late"));
}

#[test]
fn waiting_for_a_stream_drives_time_only_as_far_as_needed() {
    let bench = Bench::new();
    let vm = bench.start(RESUMED_BY_TIMER);
    let stream = vm.request(Request::get("a.test", "/"));
    assert!(matches!(
        stream.wait(Duration::from_secs(5)),
        Outcome::Forwarded(_)
    ));
    assert_eq!(
        bench.proxy.now(),
        crate::guest::START + Duration::from_millis(100)
    );
}

#[test]
fn waiting_ends_when_the_time_is_up() {
    let bench = Bench::new();
    let vm = bench.start(RESUMED_BY_TIMER);
    let stream = vm.request(Request::get("a.test", "/"));
    assert!(matches!(
        stream.wait(Duration::from_millis(99)),
        Outcome::Paused(_)
    ));
    assert_eq!(
        bench.proxy.now(),
        crate::guest::START + Duration::from_millis(99)
    );
}

#[test]
fn a_stream_that_is_gone_cannot_be_selected() {
    let bench = Bench::new();
    let vm = bench.start(RESUMED_BY_TIMER);
    let stream = vm.request(Request::get("a.test", "/"));
    stream.cancel();
    assert_eq!(stream.outcome(), Outcome::Reset);
    bench.proxy.advance(Duration::from_millis(100));
    // Without a stream of its own, the root resumes nothing, and is told that all is well.
    assert_eq!(
        bench.lines(),
        ["select=2", ":path!2", "add=2", "resume=0", ":path!2"]
    );
}

#[test]
fn headers_resumed_before_the_pause_go_on_but_not_their_body() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (drop (call $continue (i32.const 0))) (i32.const 1))
           (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
             (call $say @"body") (i32.const 0))"#,
    );
    forwarded(&vm.request(Request::get("a.test", "/")));
    assert!(is_paused(
        &vm.request(Request::new("POST", "a.test", "/").body("b"))
    ));
    assert!(bench.lines().is_empty());
}

#[test]
fn a_reply_of_the_filter_ends_the_request_whatever_it_returns() {
    let bench = Bench::new();
    let (data, place) = map_data(&[("WWW-Authenticate", "Bearer"), ("x", "1"), ("x", "2")]);
    let vm = bench.start(&format!(
        r#"{data}
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $say_number @"reply" (call $reply (i32.const 401) @"jwt is\nmissing" @"no" {place} (i32.const -1)))
             (i32.const 0))"#
    ));
    let stream = vm.request(Request::get("a.test", "/").body("never read"));
    assert_eq!(bench.lines(), ["reply=0"]);
    let Outcome::Replied(reply) = stream.outcome() else {
        panic!("the filter replied")
    };
    assert_eq!(
        (reply.status, reply.body.as_slice(), reply.grpc_status),
        (401, &b"no"[..], None)
    );
    assert_eq!(reply.details, "jwt_is_missing");
    assert_eq!(
        reply.headers,
        HeaderMap::from_pairs([("www-authenticate", "Bearer"), ("x", "1"), ("x", "2")])
    );
    let response = stream.client_response().expect("the client has its answer");
    assert_eq!(
        response.headers.first("content-type"),
        Some(&b"text/plain"[..])
    );
    assert_eq!(response.whole_body(), b"no");
    assert_eq!(
        stream.respond(Response::new(200)),
        Err(StreamError::NotForwarded)
    );
}

#[test]
fn a_reply_passes_through_the_filter_and_the_stream_ends() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $reply_with (i32.const 403) @"no") (call $say @"request") (i32.const 1))
           (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
             (call $say_header (i32.const 2) @":status")
             (drop (call $add_value (i32.const 2) @"x-seen" @"1")) (i32.const 0))
           (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
             (call $say_buffer @"body" (i32.const 1)) (i32.const 0))
           (func (export "proxy_on_log") (param i32)
             (call $say_header (i32.const 0) @":path") (call $say_header (i32.const 2) @":status") (call $say @"log"))
           (func (export "proxy_on_done") (param i32) (result i32) (call $say @"done") (i32.const 1))
           (func (export "proxy_on_delete") (param i32) (call $say @"delete"))"#,
    );
    let stream = vm.request(Request::get("a.test", "/p"));
    assert_eq!(
        bench.lines(),
        [
            "request",
            ":status=403",
            "body=no",
            ":path=/p",
            ":status=403",
            "log",
            "done",
            "delete"
        ]
    );
    assert!(
        stream
            .client_response()
            .expect("answered")
            .headers
            .contains("x-seen")
    );
    assert_eq!(vm.open_streams(), 0);
}

#[test]
fn only_the_first_reply_counts() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $reply_with (i32.const 401) @"one") (call $reply_with (i32.const 402) @"two") (i32.const 1))"#,
    );
    assert_eq!(
        replied(&vm.request(Request::get("a.test", "/"))),
        (401, "one".to_owned())
    );
}

#[test]
fn a_reply_without_a_stream_goes_nowhere() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $say_number @"reply" (call $reply (i32.const 401) @"" @"" @"" (i32.const -1)))
             (call $say_number @"close" (call $close (i32.const 0)))
             (call $say_number @"upstream" (call $continue (i32.const 3)))
             (call $say_number @"unknown" (call $continue (i32.const 4)))
             (i32.const 1))"#,
    );
    assert_eq!(
        bench.lines(),
        ["reply=0", "close=0", "upstream=12", "unknown=2"]
    );
    forwarded(&vm.request(Request::get("a.test", "/")));
}

#[test]
fn the_filter_can_close_a_stream() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (drop (call $close (i32.const 0))) (i32.const 1))
           (func (export "proxy_on_delete") (param i32) (call $say @"delete"))"#,
    );
    let stream = vm.request(Request::get("a.test", "/"));
    assert_eq!(stream.outcome(), Outcome::Reset);
    assert_eq!(stream.details().as_deref(), Some("wasm_close_stream"));
    assert_eq!(bench.lines(), ["delete"]);
}

#[test]
fn a_body_is_shown_chunk_by_chunk_and_can_be_replaced() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $say_number @"end" (local.get 2)) (i32.const 0))
           (func (export "proxy_on_request_body") (param i32) (param $size i32) (param $end i32) (result i32)
             (call $say_number @"size" (local.get $size))
             (call $say_number @"end" (local.get $end))
             (call $say_buffer @"body" (i32.const 0))
             (drop (call $set_buffer (i32.const 0) (i32.const 0) (local.get $size) @"<>"))
             (drop (call $set_buffer (i32.const 0) (i32.const 2) (i32.const 0) @"!"))
             (call $say_number @"middle" (call $set_buffer (i32.const 0) (i32.const 1) (i32.const 1) @"?"))
             (i32.const 0))"#,
    );
    let stream = vm.request(Request::new("POST", "a.test", "/").body("abc").body("de"));
    assert_eq!(
        bench.lines(),
        [
            "end=0", "size=3", "end=0", "body=abc", "middle=2", "size=2", "end=1", "body=de",
            "middle=2",
        ]
    );
    let Outcome::Forwarded(forwarded) = stream.outcome() else {
        panic!("everything passes")
    };
    assert_eq!(forwarded.body, b"<>!<>!");
}

#[test]
fn parts_of_a_buffer_can_be_read() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
             (call $say_given @"middle" (call $get_buffer (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 16) (i32.const 20)))
             (call $say_given @"rest" (call $get_buffer (i32.const 0) (i32.const 3) (i32.const 99) (i32.const 16) (i32.const 20)))
             (call $say_given @"behind" (call $get_buffer (i32.const 0) (i32.const 9) (i32.const 9) (i32.const 16) (i32.const 20)))
             (call $say_given @"overflow" (call $get_buffer (i32.const 0) (i32.const 9) (i32.const -1) (i32.const 16) (i32.const 20)))
             (call $say_given @"unknown" (call $get_buffer (i32.const 9) (i32.const 0) (i32.const 9) (i32.const 16) (i32.const 20)))
             (call $say_given @"callout" (call $get_buffer (i32.const 4) (i32.const 0) (i32.const 9) (i32.const 16) (i32.const 20)))
             (call $say_given @"configuration" (call $get_buffer (i32.const 7) (i32.const 0) (i32.const 9) (i32.const 16) (i32.const 20)))
             (call $say_number @"status" (call $get_buffer_status (i32.const 0) (i32.const 16) (i32.const 20)))
             (call $say_number @"length" (call $given_pointer))
             (i32.const 0))"#,
    );
    let _stream = vm.request(Request::new("POST", "a.test", "/").body("abcde"));
    assert_eq!(
        bench.lines(),
        [
            "middle=bc",
            "rest=de",
            "behind=",
            "overflow=",
            "unknown!2",
            "callout!1",
            "configuration!1",
            "status=0",
            "length=5",
        ]
    );
}

#[test]
fn a_filter_can_buffer_the_whole_body() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_request_body") (param i32 i32) (param $end i32) (result i32)
             (if (i32.eqz (local.get $end)) (then (return (i32.const 1))))
             (call $say_buffer @"whole" (i32.const 0))
             (i32.const 0))"#,
    );
    let stream = vm.request(Request::new("POST", "a.test", "/").body("abc").body("de"));
    assert_eq!(bench.lines(), ["whole=abcde"]);
    let Outcome::Forwarded(forwarded) = stream.outcome() else {
        panic!("everything passes")
    };
    assert_eq!(forwarded.body, b"abcde");
}

#[test]
fn with_the_option_paused_headers_do_not_hold_the_body_back() {
    let body = r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
      (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say_header (i32.const 0) @":method") (i32.const 0))"#;
    let bench = Bench::new();
    let held = bench
        .start(body)
        .request(Request::new("POST", "a.test", "/").body("b"));
    assert!(is_paused(&held));
    assert!(bench.lines().is_empty());
    let config = VmConfig {
        allow_on_headers_stop_iteration: true,
        ..VmConfig::default()
    };
    let passed = bench
        .start_with(body, config)
        .request(Request::new("POST", "a.test", "/").body("b"));
    assert_eq!(bench.lines(), [":method=POST"]);
    forwarded(&passed);
}

#[test]
fn the_response_passes_through_the_filter() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_response_headers") (param i32) (param $count i32) (param $end i32) (result i32)
             (call $say_number @"count" (local.get $count))
             (drop (call $remove_value (i32.const 2) @"x-secret"))
             (i32.const 0))
           (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
             (drop (call $set_buffer (i32.const 1) (i32.const 0) (i32.const 9) @"new")) (i32.const 0))
           (func (export "proxy_on_response_trailers") (param i32) (param $count i32) (result i32)
             (call $say_number @"trailers" (local.get $count)) (i32.const 0))"#,
    );
    let stream = vm.request(Request::get("a.test", "/"));
    assert_eq!(stream.client_response(), None);
    let response = Response::new(200)
        .header("x-secret", "1")
        .body("old")
        .trailers(HeaderMap::from_pairs([("t", "1")]));
    stream.respond(response).expect("the request went on");
    assert_eq!(stream.details().as_deref(), Some("via_upstream"));
    assert_eq!(bench.lines(), ["count=2", "trailers=1"]);
    let expected = Response::new(200)
        .body("new")
        .trailers(HeaderMap::from_pairs([("t", "1")]));
    assert_eq!(stream.client_response(), Some(expected));
    assert_eq!(
        stream.respond(Response::new(200)),
        Err(StreamError::AlreadyAnswered)
    );
}

#[test]
fn a_reply_in_the_response_phase_takes_the_place_of_the_response() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
             (call $say @"response") (call $reply_with (i32.const 502) @"bad") (i32.const 0))"#,
    );
    let stream = vm.request(Request::get("a.test", "/"));
    stream
        .respond(Response::new(200).body("secret"))
        .expect("the request went on");
    assert_eq!(stream.details().as_deref(), Some(""));
    // The reply does not pass through the filter again.
    assert_eq!(bench.lines(), ["response"]);
    let response = stream.client_response().expect("answered");
    assert_eq!(
        (response.status(), response.whole_body()),
        (Some(502), b"bad".to_vec())
    );
}

#[test]
fn a_held_request_has_no_response() {
    let bench = Bench::new();
    let vm = bench.start(RESUMED_BY_TIMER);
    let stream = vm.request(Request::get("a.test", "/"));
    assert_eq!(
        stream.respond(Response::new(200)),
        Err(StreamError::NotForwarded)
    );
}

#[test]
fn dropping_a_stream_ends_its_context() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_context_create") (param $id i32) (param $parent i32)
             (call $say_number @"create" (local.get $id)) (call $say_number @"parent" (local.get $parent)))
           (func (export "proxy_on_delete") (param $id i32) (call $say_number @"delete" (local.get $id)))"#,
    );
    drop(vm.request(Request::get("a.test", "/")));
    let second = vm.request(Request::get("a.test", "/"));
    assert_eq!(second.id(), 3);
    assert_eq!(
        bench.lines(),
        [
            "create=1", "parent=0", "create=2", "parent=1", "delete=2", "create=3", "parent=1"
        ]
    );
}
