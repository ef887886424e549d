//! Logs, metrics, properties, foreign functions.

use nexus_host::{
    FakeClock, LogLevel, LogSource, MetricValue, PropertyType, Proxy, Request, Response, Status,
    VmConfig,
};

use crate::guest::{Bench, START, module};

#[test]
fn logs_keep_their_level_and_the_context_that_wrote_them() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = seen.clone();
    let proxy = Proxy::builder()
        .clock(FakeClock::at(START))
        .log_level(LogLevel::Warn)
        .on_log(move |entry| {
            listener
                .lock()
                .expect("no panic")
                .push(entry.message.clone())
        })
        .build();
    let guest = module(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (drop (call $get_log_level (i32.const 24)))
             (drop (call $log (i32.const 2) @"not kept"))
             (drop (call $log (i32.load (i32.const 24)) @"warning"))
             (drop (call $log (i32.const 5) @"the end"))
             (i32.const 0))"#,
    );
    let vm = proxy
        .start_vm(&guest, VmConfig::default())
        .expect("the guest starts");
    let _stream = vm.request(Request::get("a.test", "/"));
    let entries = proxy.log().entries();
    assert_eq!(entries.len(), 2);
    assert_eq!(
        (entries[0].level, entries[0].message.as_str()),
        (LogLevel::Warn, "warning")
    );
    assert_eq!(
        (entries[0].source, entries[0].context_id, entries[0].worker),
        (LogSource::Guest, 2, 0)
    );
    assert_eq!(entries[1].level, LogLevel::Critical);
    assert!(proxy.log().contains("the end"));
    assert_eq!(*seen.lock().expect("no panic"), ["warning", "the end"]);
}

#[test]
fn metrics_follow_envoys_rules() {
    let bench = Bench::new();
    let guest = r#"
      (func $define (param $kind i32) (param $name i32) (param $length i32) (result i32)
        (call $say_number @"define" (call $define_metric (local.get $kind) (local.get $name) (local.get $length) (i32.const 24)))
        (i32.load (i32.const 24)))
      (func $read (param $id i32)
        (call $say_number @"read" (call $get_metric (local.get $id) (i32.const 24)))
        (call $say_long @"value" (i64.load (i32.const 24))))
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (local $counter i32) (local $gauge i32) (local $histogram i32)
        (local.set $counter (call $define (i32.const 0) @"requests"))
        (local.set $gauge (call $define (i32.const 1) @"open"))
        (local.set $histogram (call $define (i32.const 2) @"size"))
        (call $say_number @"fourth kind" (call $define_metric (i32.const 3) @"x" (i32.const 24)))
        (call $say_number @"up" (call $increment_metric (local.get $counter) (i64.const 2)))
        (call $say_number @"by nothing" (call $increment_metric (local.get $counter) (i64.const 0)))
        (call $say_number @"down" (call $increment_metric (local.get $counter) (i64.const -1)))
        (call $say_number @"record" (call $record_metric (local.get $counter) (i64.const 5)))
        (call $read (local.get $counter))
        (call $say_number @"set" (call $record_metric (local.get $gauge) (i64.const 10)))
        (call $say_number @"down" (call $increment_metric (local.get $gauge) (i64.const -3)))
        (call $read (local.get $gauge))
        (call $say_number @"record" (call $record_metric (local.get $histogram) (i64.const 7)))
        (call $say_number @"up" (call $increment_metric (local.get $histogram) (i64.const 1)))
        (call $say_number @"read" (call $get_metric (local.get $histogram) (i32.const 24)))
        (call $say_number @"unknown" (call $increment_metric (i32.const 400) (i64.const 1)))
        (call $say_number @"unknown" (call $record_metric (i32.const 403) (i64.const 1)))
        (i32.const 1))"#;
    let _vm = bench.start(guest);
    assert_eq!(
        bench.lines(),
        [
            "define=0",
            "define=0",
            "define=0",
            "fourth kind=2",
            "up=0",
            "by nothing=2",
            "down=2",
            "record=0",
            "read=0",
            "value=7",
            "set=0",
            "down=0",
            "read=0",
            "value=7",
            "record=0",
            "up=2",
            "read=2",
            "unknown=1",
            "unknown=1",
        ]
    );
    let _second = bench.start(guest);
    let metrics = bench.proxy.metrics();
    assert_eq!(
        metrics.counter("requests"),
        Some(14),
        "both workers count into one"
    );
    assert_eq!(metrics.gauge("open"), Some(7));
    assert_eq!(metrics.histogram("size"), Some(vec![7, 7]));
    assert_eq!(metrics.counter("open"), None);
    assert_eq!(metrics.snapshot().get("open"), Some(&MetricValue::Gauge(7)));
}

#[test]
fn properties_are_those_of_envoy_of_the_user_and_of_the_filter() {
    let bench = Bench::new();
    let config = VmConfig {
        vm_id: "v".to_owned(),
        root_id: "r".to_owned(),
        plugin_name: "p".to_owned(),
        properties: [(
            vec!["xds".to_owned(), "cluster_name".to_owned()],
            b"c".to_vec(),
        )]
        .into(),
        ..VmConfig::default()
    };
    let vm = bench.start_with(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $say_property @"plugin_name") (call $say_property @"plugin_root_id")
             (call $say_property @"plugin_vm_id") (call $say_property @"xds\0cluster_name")
             (call $say_property @"request\0path")
             (call $say_number @"set" (call $set_property @"mine" @"x"))
             (i32.const 1))
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $say_property @"request\0path") (call $say_property @"request\0url_path")
             (call $say_property @"request\0query") (call $say_property @"request\0method")
             (call $say_property @"request\0host") (call $say_property @"request\0scheme")
             (call $say_property @"request\0headers\0x-many") (call $say_property @"request\0headers\0x-none")
             (call $say_property @"request\0protocol")
             (call $say_property @"source\0address") (call $say_property @"nothing") (call $say_property @"")
             (call $say_number @"set" (call $set_property @"mine" @"value"))
             (call $say_property @"mine") (call $say_property @"filter_state\0wasm.mine")
             (i32.const 0))
           (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
             (call $say_property @"request\0path") (call $say_property @"response\0headers\0x")
             (call $say_property @"mine") (i32.const 0))
           (func (export "proxy_on_log") (param i32) (call $say_property @"request\0path"))"#,
        config,
    );
    let lines: Vec<String> = bench
        .lines()
        .iter()
        .map(|line| line.replace('\0', "."))
        .collect();
    assert_eq!(
        lines,
        [
            "plugin_name=p",
            "plugin_root_id=r",
            "plugin_vm_id=v",
            "xds.cluster_name=c",
            "request.path!1",
            "set=1"
        ]
    );
    let request = Request::get("a.test", "/p?q=1").headers([("x-many", "1"), ("x-many", "2")]);
    let stream = vm.request(request.property(&["source", "address"], "192.0.2.1:9"));
    let lines: Vec<String> = bench
        .lines()
        .iter()
        .map(|line| line.replace('\0', "."))
        .collect();
    assert_eq!(
        lines,
        [
            "request.path=/p?q=1",
            "request.url_path=/p",
            "request.query=q=1",
            "request.method=GET",
            "request.host=a.test",
            "request.scheme=http",
            "request.headers.x-many=1,2",
            "request.headers.x-none!1",
            "request.protocol=HTTP/1.1",
            "source.address=192.0.2.1:9",
            "nothing!1",
            "!3",
            "set=0",
            "mine=value",
            "filter_state.wasm.mine=value",
        ]
    );
    assert_eq!(stream.property("mine"), Some(b"value".to_vec()));
    stream
        .respond(Response::new(200).header("x", "1"))
        .expect("the request went on");
    let lines: Vec<String> = bench
        .lines()
        .iter()
        .map(|line| line.replace('\0', "."))
        .collect();
    assert_eq!(
        lines,
        [
            "request.path!1",
            "response.headers.x=1",
            "mine=value",
            "request.path=/p?q=1"
        ]
    );
}

#[test]
fn numbers_are_eight_bytes() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
             (drop (call $get_property @"response\0code" (i32.const 16) (i32.const 20)))
             (call $say_number @"length" (call $given_length))
             (call $say_long @"code" (i64.load (call $given_pointer)))
             (drop (call $get_property @"request\0time" (i32.const 16) (i32.const 20)))
             (call $say_long @"time" (i64.load (call $given_pointer))) (i32.const 0))"#,
    );
    let stream = vm.request(Request::get("a.test", "/"));
    stream
        .respond(Response::new(404))
        .expect("the request went on");
    assert_eq!(
        bench.lines(),
        ["length=8", "code=404", "time=1700000000000000000"]
    );
}

#[test]
fn foreign_functions_are_those_that_were_offered() {
    let proxy = Proxy::builder()
        .clock(FakeClock::at(START))
        .foreign_function("reverse", |bytes| Ok(bytes.iter().rev().copied().collect()))
        .foreign_function("fails", |_| Err(Status::ParseFailure))
        .build();
    let guest = module(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $say_given @"reverse" (call $foreign @"reverse" @"abc" (i32.const 16) (i32.const 20)))
             (call $say_given @"fails" (call $foreign @"fails" @"abc" (i32.const 16) (i32.const 20)))
             (call $say_given @"unknown" (call $foreign @"unknown" @"abc" (i32.const 16) (i32.const 20)))
             (call $say_number @"unwanted" (call $foreign @"reverse" @"abc" (i32.const 0) (i32.const 0)))
             (i32.const 1))"#,
    );
    let _vm = proxy
        .start_vm(&guest, VmConfig::default())
        .expect("the guest starts");
    let lines: Vec<String> = proxy
        .log()
        .take()
        .into_iter()
        .map(|entry| entry.message)
        .collect();
    assert_eq!(lines, ["reverse=cba", "fails!4", "unknown!1", "unwanted=0"]);
}

#[test]
fn properties_have_the_type_that_the_root_context_declared() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $say_number @"text" (call $foreign @"declare_property" @"\x0a\x04text\x18\x01" (i32.const 0) (i32.const 0)))
             (call $say_number @"again" (call $foreign @"declare_property" @"\x0a\x04text\x18\x01" (i32.const 0) (i32.const 0)))
             (call $say_number @"fixed" (call $foreign @"declare_property" @"\x0a\x05fixed\x10\x01" (i32.const 0) (i32.const 0)))
             (call $say_given @"broken" (call $foreign @"declare_property" @"text" (i32.const 16) (i32.const 20)))
             (i32.const 1))
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $say_number @"late" (call $foreign @"declare_property" @"\x0a\x04late\x18\x01" (i32.const 0) (i32.const 0)))
             (call $say_number @"set" (call $set_property @"text" @"1"))
             (call $say_number @"set" (call $set_property @"text" @"2"))
             (call $say_number @"set" (call $set_property @"fixed" @"1"))
             (call $say_number @"set" (call $set_property @"fixed" @"2"))
             (call $say_number @"set" (call $set_property @"late" @"1"))
             (i32.const 0))"#,
    );
    assert_eq!(bench.lines(), ["text=0", "again=2", "fixed=0", "broken!2"]);
    for _ in 0..2 {
        let stream = vm.request(Request::get("a.test", "/"));
        assert_eq!(
            bench.lines(),
            ["late=0", "set=0", "set=0", "set=0", "set=2", "set=0"],
            "a read-only property is set once for each request"
        );
        let of = |name| (stream.property(name), stream.property_type(name));
        assert_eq!(
            of("text"),
            (Some(b"2".to_vec()), Some(PropertyType::String))
        );
        assert_eq!(
            of("fixed"),
            (Some(b"1".to_vec()), Some(PropertyType::Bytes))
        );
        assert_eq!(
            of("late"),
            (Some(b"1".to_vec()), Some(PropertyType::Bytes)),
            "what a stream's context declares counts nowhere"
        );
        assert_eq!(of("wasm.text"), (None, None));
        let names: Vec<Vec<u8>> = stream.properties().into_keys().collect();
        assert_eq!(
            names,
            [b"fixed".to_vec(), b"late".to_vec(), b"text".to_vec()]
        );
    }
}

#[test]
fn clearing_of_the_route_cache_is_counted_for_the_effective_stream() {
    let guest = r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $say_number @"root" (call $foreign @"clear_route_cache" @"" (i32.const 0) (i32.const 0)))
             (i32.const 1))
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $say_given @"stream" (call $foreign @"clear_route_cache" @"" (i32.const 16) (i32.const 20)))
             (i32.const 0))"#;
    let bench = Bench::new();
    let vm = bench.start(guest);
    assert_eq!(
        bench.lines(),
        ["root=0"],
        "without a stream nothing is done"
    );
    let stream = vm.request(Request::get("a.test", "/"));
    assert_eq!(bench.lines(), ["stream="]);
    assert_eq!(stream.route_cache_clears(), 1);

    let older = Proxy::builder()
        .without_foreign_function("clear_route_cache")
        .build();
    let vm = older
        .start_vm(&module(guest), VmConfig::default())
        .expect("the guest starts");
    let stream = vm.request(Request::get("a.test", "/"));
    let lines: Vec<String> = older
        .log()
        .take()
        .into_iter()
        .map(|entry| entry.message)
        .collect();
    assert_eq!(lines, ["root=1", "stream!1"]);
    assert_eq!(stream.route_cache_clears(), 0);
}
