//! Header maps: what a filter sees of them, when, and what its changes do.

use nexus_host::{HeaderMap, MAX_PAIRS, Request, Response};

use crate::guest::{Bench, forwarded, map_data};

fn on_request_headers(body: &str) -> String {
    format!(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {body} (i32.const 0))"#
    )
}

fn text(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers
        .all(name)
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect()
}

#[test]
fn the_getter_gives_the_first_value_only() {
    let bench = Bench::new();
    let vm = bench.start(&on_request_headers(
        r#"(call $say_header (i32.const 0) @"x-many")"#,
    ));
    let stream = vm.request(
        Request::get("a.test", "/")
            .header("X-Many", "first")
            .header("x-many", "second"),
    );
    assert_eq!(bench.lines(), ["x-many=first"]);
    assert_eq!(text(&forwarded(&stream), "x-many"), ["first", "second"]);
}

#[test]
fn the_getter_ignores_case_and_knows_what_is_missing() {
    let bench = Bench::new();
    let vm = bench.start(&on_request_headers(
        r#"(call $say_header (i32.const 0) @"X-ONE") (call $say_header (i32.const 0) @"x-none")
           (call $say_header (i32.const 0) @"host")"#,
    ));
    let _stream = vm.request(Request::get("a.test", "/").header("x-one", "1"));
    assert_eq!(bench.lines(), ["X-ONE=1", "x-none!1", "host=a.test"]);
}

#[test]
fn every_pair_is_given_in_order_with_its_bytes() {
    let bench = Bench::new();
    let vm = bench.start(&on_request_headers(
        r#"(drop (call $get_pairs (i32.const 0) (i32.const 16) (i32.const 20)))
           (drop (call $set_property @"pairs" (call $given_pointer) (call $given_length)))"#,
    ));
    let stream = vm.request(
        Request::get("a.test", "/")
            .header("x-raw", [0xFF, b'a'])
            .header("x-empty", ""),
    );
    let bytes = stream.property("pairs").expect("the guest stored them");
    assert_eq!(bytes[..4], 6_u32.to_le_bytes());
    assert!(bytes.ends_with(b"x-raw\0\xFFa\0x-empty\0\0"));
}

#[test]
fn additions_are_lower_case_and_join_where_envoy_joins() {
    let bench = Bench::new();
    let vm = bench.start(&on_request_headers(
        r#"(drop (call $add_value (i32.const 0) @"X-New" @"One"))
           (drop (call $add_value (i32.const 0) @"x-new" @"Two"))
           (drop (call $add_value (i32.const 0) @"Authorization" @"b"))"#,
    ));
    let stream = vm.request(Request::get("a.test", "/").header("authorization", "a"));
    let headers = forwarded(&stream);
    assert_eq!(text(&headers, "x-new"), ["One", "Two"]);
    assert_eq!(text(&headers, "authorization"), ["a,b"]);
    let changes = headers.changes_from(&stream.original_headers());
    assert_eq!(changes.added.len(), 2);
    assert_eq!(text(&changes.changed, "authorization"), ["a,b"]);
}

#[test]
fn a_client_that_sends_authorization_twice_is_seen_with_one_value() {
    let bench = Bench::new();
    let vm = bench.start(&on_request_headers(
        r#"(call $say_header (i32.const 0) @"authorization")"#,
    ));
    let _stream = vm.request(
        Request::get("a.test", "/")
            .header("Authorization", "Bearer a")
            .header("authorization", "Bearer b"),
    );
    assert_eq!(bench.lines(), ["authorization=Bearer a,Bearer b"]);
}

#[test]
fn replacing_and_removing_act_on_every_value() {
    let bench = Bench::new();
    let vm = bench.start(&on_request_headers(
        r#"(drop (call $replace_value (i32.const 0) @"x-a" @"new"))
           (drop (call $remove_value (i32.const 0) @"X-B"))
           (drop (call $replace_value (i32.const 0) @":path" @"/new"))"#,
    ));
    let request = Request::get("a.test", "/").headers([
        ("x-a", "1"),
        ("x-b", "1"),
        ("x-a", "2"),
        ("x-b", "2"),
    ]);
    let stream = vm.request(request);
    let headers = forwarded(&stream);
    assert_eq!(text(&headers, "x-a"), ["new"]);
    assert_eq!(text(&headers, ":path"), ["/new"]);
    let changes = headers.changes_from(&stream.original_headers());
    assert_eq!(text(&changes.removed, "x-b"), ["1", "2"]);
}

#[test]
fn a_whole_map_can_be_set() {
    let bench = Bench::new();
    let (data, place) = map_data(&[(":method", "PUT"), ("X-Only", "1")]);
    let body = format!("(drop (call $set_pairs (i32.const 0) {place}))");
    let vm = bench.start(&(data + &on_request_headers(&body)));
    let stream = vm.request(Request::get("a.test", "/"));
    assert_eq!(
        forwarded(&stream),
        HeaderMap::from_pairs([(":method", "PUT"), ("x-only", "1")])
    );
}

#[test]
fn a_map_over_the_limit_is_an_empty_one() {
    let bench = Bench::new();
    // The count says one more than the limit; what follows does not matter any more.
    let count: String = u32::try_from(MAX_PAIRS + 1)
        .expect("small")
        .to_le_bytes()
        .map(|b| format!("\\{b:02x}"))
        .concat();
    let body = on_request_headers(
        r#"(call $say_number @"set" (call $set_pairs (i32.const 0) (i32.const 32768) (i32.const 24576)))"#,
    );
    let vm = bench.start(&format!("(data (i32.const 32768) \"{count}\") {body}"));
    let stream = vm.request(Request::get("a.test", "/"));
    assert_eq!(bench.lines(), ["set=0"]);
    assert!(forwarded(&stream).is_empty());
}

#[test]
fn the_size_is_that_of_names_and_values() {
    let bench = Bench::new();
    let vm = bench.start(&on_request_headers(
        r#"(drop (call $get_map_size (i32.const 0) (i32.const 24)))
           (call $say_number @"size" (i32.load (i32.const 24)))
           (call $say_number @"response" (call $get_map_size (i32.const 2) (i32.const 24)))"#,
    ));
    let request = Request::from_headers(HeaderMap::from_pairs([(":path", "/"), ("x", "abc")]));
    let _stream = vm.request(request);
    assert_eq!(bench.lines(), ["size=10", "response=2"]);
}

#[test]
fn a_map_outside_its_phase_is_a_bad_argument_to_the_getter_and_empty_to_the_lister() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func $look
             (call $say_header (i32.const 0) @":path")
             (call $say_header (i32.const 2) @":status")
             (call $say_header (i32.const 6) @":status")
             (call $say_pairs @"request" (i32.const 0))
             (call $say_pairs @"response" (i32.const 2))
             (call $say_pairs @"trailers" (i32.const 1))
             (call $say_pairs @"callout" (i32.const 6))
             (call $say_pairs @"unknown" (i32.const 8))
             (call $say_number @"add" (call $add_value (i32.const 0) @"x" @"y")))
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $say @"request phase") (call $look) (i32.const 0))
           (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
             (call $say @"response phase") (call $look) (i32.const 0))"#,
    );
    let stream = vm.request(Request::get("a.test", "/p"));
    assert_eq!(
        bench.lines(),
        [
            "request phase",
            ":path=/p",
            ":status!2",
            ":status!2",
            "request=4",
            "response=0",
            "trailers=0",
            "callout=0",
            "unknown!2",
            "add=0",
        ]
    );
    stream
        .respond(Response::new(204).header("x", "1"))
        .expect("the request went on");
    assert_eq!(
        bench.lines(),
        [
            "response phase",
            ":path!2",
            ":status=204",
            ":status!2",
            "request=0",
            "response=2",
            "trailers=0",
            "callout=0",
            "unknown!2",
            "add=2",
        ]
    );
}

#[test]
fn trailers_are_readable_and_changeable_in_their_own_callback() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_request_trailers") (param i32) (param $count i32) (result i32)
             (call $say_number @"count" (local.get $count))
             (call $say_header (i32.const 1) @"x-sum")
             (drop (call $replace_value (i32.const 1) @"x-sum" @"2"))
             (i32.const 0))"#,
    );
    let stream = vm.request(
        Request::get("a.test", "/")
            .body("b")
            .trailers(HeaderMap::from_pairs([("X-Sum", "1")])),
    );
    assert_eq!(bench.lines(), ["count=1", "x-sum=1"]);
    let nexus_host::Outcome::Forwarded(forwarded) = stream.outcome() else {
        panic!("everything passes")
    };
    assert_eq!(
        forwarded.trailers,
        Some(HeaderMap::from_pairs([("x-sum", "2")]))
    );
    assert_eq!(forwarded.body, b"b");
}

#[test]
fn pointers_outside_memory_are_invalid_accesses() {
    let bench = Bench::new();
    let vm = bench.start(&on_request_headers(
        r#"(call $say_number @"name" (call $get_value (i32.const 0) (i32.const -4) (i32.const 8) (i32.const 16) (i32.const 20)))
           (call $say_number @"result" (call $get_value (i32.const 0) @":path" (i32.const -4) (i32.const 20)))
           (call $say_number @"length" (call $add_value (i32.const 0) (i32.const 0) (i32.const -1) @"v"))
           (call $say_number @"log" (call $log (i32.const 2) (i32.const 262143) (i32.const 2)))
           (call $say_number @"level" (call $log (i32.const 6) (i32.const 0) (i32.const 0)))"#,
    ));
    let stream = vm.request(Request::get("a.test", "/"));
    assert_eq!(
        bench.lines(),
        ["name=6", "result=6", "length=6", "log=6", "level=2"]
    );
    assert_eq!(vm.failure(), None);
    forwarded(&stream);
}
