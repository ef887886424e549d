//! Callouts that are really made, to servers of the test's own on 127.0.0.1.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nexus_host::{
    FakeClock, LiveCallouts, LiveOptions, Outcome, Proxy, Request, SystemClock, VmConfig,
};

use crate::guest::{START, map_data, module};

/// Holds each request for a `GET` of `/keys` from this authority, and logs what came back.
fn fetcher(authority: &str, timeout_ms: u32) -> String {
    let headers = [
        (":method", "GET"),
        (":authority", authority),
        (":path", "/keys?a=1"),
        ("x-key", "k"),
    ];
    let (data, place) = map_data(&headers);
    format!(
        r#"{data}
          (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $say_number @"call" (call $http_call @"any" {place} @"" @"" (i32.const {timeout_ms}) (i32.const 24)))
            (i32.const 1))
          (func (export "proxy_on_http_call_response") (param i32 i32) (param $headers i32) (param $size i32) (param i32)
            (call $say_header (i32.const 6) @":status")
            (call $say_header (i32.const 6) @"location")
            (call $say_buffer @"body" (i32.const 4))
            (call $say_number @"none" (i32.eqz (local.get $headers)))
            (drop (call $set_effective (i32.const 2)))
            (drop (call $continue (i32.const 0))))"#
    )
}

/// A server that answers one connection, and what it was asked.
fn server(answer: Vec<u8>, pause: Duration) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let authority = listener.local_addr().expect("bound").to_string();
    let (asked, questions) = mpsc::channel();
    std::thread::spawn(move || {
        let Ok((mut connection, _)) = listener.accept() else {
            return;
        };
        // Whether anybody listens to what was asked is the test's business.
        let _ = asked.send(read_head(&mut connection));
        std::thread::sleep(pause);
        let _ = connection.write_all(&answer);
    });
    (authority, questions)
}

fn read_head(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && connection.read(&mut byte).is_ok_and(|read| read == 1) {
        bytes.extend(byte);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn live(max_body: u64) -> LiveCallouts {
    let mut options = LiveOptions::default();
    options.max_body = max_body;
    options.proxy_from_environment = false;
    LiveCallouts::new(options)
}

fn fetch(proxy: &Proxy, authority: &str, timeout_ms: u32) -> Vec<String> {
    let vm = proxy
        .start_vm(
            &module(&fetcher(authority, timeout_ms)),
            VmConfig::default(),
        )
        .expect("the guest starts");
    let stream = vm.request(Request::get("a.test", "/"));
    assert!(matches!(
        stream.wait(Duration::from_secs(20)),
        Outcome::Forwarded(_)
    ));
    proxy
        .log()
        .take()
        .into_iter()
        .map(|entry| entry.message)
        .collect()
}

#[test]
fn a_call_goes_over_the_network_and_its_answer_comes_back() {
    let (authority, asked) = server(
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nkeys".to_vec(),
        Duration::ZERO,
    );
    let proxy = Proxy::builder().callouts(live(100)).build();
    assert_eq!(
        fetch(&proxy, &authority, 5000),
        ["call=0", ":status=200", "location!1", "body=keys", "none=0"]
    );
    let head = asked.recv().expect("the server was asked").to_lowercase();
    assert!(head.starts_with("get /keys?a=1 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {authority}\r\n")), "{head}");
    assert!(head.contains("x-key: k\r\n"), "{head}");
    assert!(
        !head.contains("accept") && !head.contains("user-agent"),
        "{head}"
    );
}

#[test]
fn a_fake_clock_stands_still_while_a_call_is_made() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
    let (authority, _asked) = server(answer, Duration::from_millis(50));
    let proxy = Proxy::builder()
        .clock(FakeClock::at(START))
        .callouts(live(100))
        .build();
    assert_eq!(fetch(&proxy, &authority, 5000)[1], ":status=200");
    assert_eq!(proxy.now(), START);
}

#[test]
fn a_redirect_is_an_answer() {
    let answer =
        b"HTTP/1.1 302 Found\r\nlocation: http://other.test/\r\ncontent-length: 0\r\n\r\n".to_vec();
    let (authority, _asked) = server(answer, Duration::ZERO);
    let proxy = Proxy::builder().callouts(live(100)).build();
    assert_eq!(
        fetch(&proxy, &authority, 5000)[1..3],
        [":status=302", "location=http://other.test/"]
    );
}

#[test]
fn a_body_over_the_limit_is_a_reset() {
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n".to_vec();
    answer.extend([b'x'; 101]);
    let (authority, _asked) = server(answer, Duration::ZERO);
    let proxy = Proxy::builder().callouts(live(100)).build();
    assert_eq!(
        fetch(&proxy, &authority, 5000),
        ["call=0", ":status!2", "location!2", "body!1", "none=1"]
    );
}

#[test]
fn a_response_cut_short_is_a_reset() {
    let (authority, _asked) = server(
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nkeys".to_vec(),
        Duration::ZERO,
    );
    let proxy = Proxy::builder().callouts(live(100)).build();
    assert_eq!(
        fetch(&proxy, &authority, 5000).last().map(String::as_str),
        Some("none=1")
    );
}

#[test]
fn nobody_listening_is_503() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let authority = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let proxy = Proxy::builder().callouts(live(100)).build();
    assert_eq!(fetch(&proxy, &authority, 5000)[1], ":status=503");
}

#[test]
fn a_slow_server_is_504_in_time() {
    let (authority, _asked) = server(Vec::new(), Duration::from_secs(5));
    let proxy = Proxy::builder()
        .clock(SystemClock::starting_at(START))
        .callouts(live(100))
        .build();
    let started = Instant::now();
    assert_eq!(fetch(&proxy, &authority, 200)[1], ":status=504");
    assert!(started.elapsed() < Duration::from_secs(4));
    assert!(proxy.now() >= START + Duration::from_millis(200));
}

#[test]
fn a_guest_has_to_say_where_to_go() {
    let proxy = Proxy::builder().callouts(live(100)).build();
    assert_eq!(fetch(&proxy, "not an authority", 200)[1], ":status=400");
}
