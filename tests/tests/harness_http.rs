//! The client, the upstream and the JWKS server by themselves: what they send and report is what
//! the other tests rely on.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use nexus_tests::{
    client::{self, Client},
    http::{Request, SeenRequest},
    jwks_server::{Answer, Behaviour, JwksServer, PATH},
    load,
    upstream::Upstream,
};

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn upstream_reports_every_header_byte_for_byte_and_in_order() {
    let upstream = Upstream::start();
    let long = vec![b'x'; 200_000];
    let request = Request::new("PATCH", "/a/../b?c=%2f")
        .header("X-Case", "  spaces around  ")
        .header("x-bytes", [0x80, 0xFF, b'\\', b'x'])
        .header("x-twice", "one")
        .header("X-Twice", "two")
        .header("x-empty", "")
        .header("x-long", &long)
        .body("hello");
    let mut client = Client::new(upstream.addr());
    let seen = client.send(&request).seen();
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str()),
        ("PATCH", "/a/../b?c=%2f")
    );
    assert_eq!(seen.body_length, 5);
    let names: Vec<&str> = seen
        .headers
        .0
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "host",
            "X-Case",
            "x-bytes",
            "x-twice",
            "X-Twice",
            "x-empty",
            "x-long",
            "content-length"
        ]
    );
    assert_eq!(
        seen.headers.first("x-case"),
        Some(b"spaces around".as_slice())
    );
    assert_eq!(
        seen.headers.first("x-bytes"),
        Some([0x80, 0xFF, b'\\', b'x'].as_slice())
    );
    assert_eq!(seen.headers.all("x-twice"), [b"one", b"two"]);
    assert_eq!(seen.headers.first("x-empty"), Some(b"".as_slice()));
    assert_eq!(seen.headers.first("x-long"), Some(long.as_slice()));
    assert_eq!(upstream.last(), Some(seen));
    assert_eq!(client.send(&Request::new("HEAD", "/")).body, b"");
    assert_eq!(upstream.count(), 2);
}

#[test]
fn chunked_bodies_are_read_to_their_end() {
    let upstream = Upstream::start();
    let mut client = Client::new(upstream.addr());
    let bytes = b"POST /one HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                  4;ext=1\r\nabcd\r\nA\r\n0123456789\r\n0\r\ntrailer: x\r\n\r\n";
    assert_eq!(
        client
            .send_bytes(bytes, false)
            .expect("an answer")
            .seen()
            .body_length,
        14
    );
    // The connection stands where the next request starts.
    assert_eq!(client.send(&Request::get("/two")).seen().path, "/two");
}

#[test]
fn jwks_server_refuses_connections_while_it_is_down_and_comes_back_on_its_port() {
    let server = JwksServer::start_down("{}");
    let request = Request::get(PATH);
    let refused = |server: &JwksServer| {
        Client::new(server.addr())
            .try_send(&request)
            .expect_err("the port is closed")
            .kind()
    };
    assert_eq!(refused(&server), ErrorKind::ConnectionRefused);
    server.up();
    let mut kept = Client::new(server.addr());
    assert_eq!(kept.send(&request).text(), "{}");
    server.down();
    assert!(
        kept.try_send(&request).is_err(),
        "open connections are closed too"
    );
    assert_eq!(refused(&server), ErrorKind::ConnectionRefused);
    server.serve("new");
    server.up();
    assert_eq!(client::send(server.addr(), &request).text(), "new");
    let paths: Vec<String> = server
        .requests()
        .into_iter()
        .map(|seen| seen.path)
        .collect();
    assert_eq!(paths, [PATH, PATH]);
}

#[test]
fn jwks_server_misbehaves_as_it_is_told() {
    let server = JwksServer::start("unused");
    let request = Request::get(PATH);
    let ask = || {
        Client::new(server.addr())
            .with_timeout(SHORT)
            .try_send(&request)
    };

    server.answer(Answer::status(503).header("retry-after", "7"));
    let answer = ask().expect("an answer");
    assert_eq!(
        (answer.status, answer.headers.text("retry-after")),
        (503, Some("7".to_owned()))
    );

    server.answer(Answer::ok("late").after(Duration::from_millis(100)));
    let started = Instant::now();
    assert_eq!(ask().expect("an answer").text(), "late");
    assert!(started.elapsed() >= Duration::from_millis(100));

    server.behave(Behaviour::Hang);
    let error = ask().expect_err("no answer while it hangs");
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );

    server.behave(Behaviour::ResetMidBody(Answer::ok("0123456789")));
    let error = ask().expect_err("half an answer");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");

    server.behave(Behaviour::Close);
    let error = ask().expect_err("not a byte");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
    assert_eq!(server.count(), 5);
}

#[test]
fn load_counts_every_answer_by_request_and_status() {
    let upstream = Upstream::start();
    let requests = [
        Request::get("/a"),
        Request::new("HEAD", "/b"),
        Request::get("/c"),
    ];
    let report = load::run(upstream.addr(), 4, &requests, 3_001);
    assert_eq!(report.failures, Vec::<String>::new());
    let counts: Vec<u64> = report
        .by_request
        .iter()
        .map(|counts| counts[&200])
        .collect();
    assert_eq!(counts, [1001, 1000, 1000]);
    assert_eq!(upstream.count(), 3_001);
}

#[test]
fn load_reports_what_was_not_answered() {
    let server = JwksServer::start("unused");
    server.behave(Behaviour::Close);
    let report = load::run(server.addr(), 2, &[Request::get("/")], 10);
    assert_eq!((report.answered(), report.failed), (0, 10));
    assert!(!report.failures.is_empty());
}

#[test]
fn a_report_survives_its_json_form() {
    let upstream = Upstream::start();
    let request = Request::get("/")
        .header("x", [0xC3, 0x28])
        .header("y", "{\"base64\": 1}");
    let answer = client::send(upstream.addr(), &request);
    let seen = SeenRequest::from_json(&answer.json()).expect("a report");
    assert_eq!(seen, upstream.last().expect("a request"));
}
