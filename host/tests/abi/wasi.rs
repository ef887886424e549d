//! WASI as Envoy has it.

use std::time::Duration;

use nexus_host::{FakeClock, LogLevel, LogSource, Proxy, Request, StartError, VmConfig};

use crate::guest::{Bench, START, module};

#[test]
fn the_environment_is_what_the_configuration_says() {
    let bench = Bench::new();
    let config = VmConfig {
        environment: vec![
            ("SECRET".to_owned(), "s3cret".to_owned()),
            ("EMPTY".to_owned(), String::new()),
        ],
        ..VmConfig::default()
    };
    let _vm = bench.start_with(
        r#"(func (export "_initialize")
             (drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
             (call $say_number @"count" (call $given_pointer))
             (call $say_number @"size" (call $given_length))
             (drop (call $environ_get (i32.const 40000) (i32.const 41000)))
             (call $say_number @"second" (i32.load (i32.const 40004)))
             (call $say (i32.load (i32.const 40000)) (i32.const 13))
             (call $say (i32.load (i32.const 40004)) (i32.const 6)))"#,
        config.clone(),
    );
    assert_eq!(
        bench.lines(),
        [
            "count=2",
            "size=21",
            "second=41014",
            "SECRET=s3cret",
            "EMPTY="
        ]
    );
    assert!(
        !format!("{config:?}").contains("s3cret"),
        "the environment holds secrets"
    );
}

#[test]
fn no_environment_is_two_zeros() {
    let bench = Bench::new();
    let _vm = bench.start(
        r#"(func (export "_initialize")
             (i64.store (i32.const 16) (i64.const -1))
             (drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
             (call $say_long @"words" (i64.load (i32.const 16))))"#,
    );
    assert_eq!(bench.lines(), ["words=0"]);
}

#[test]
fn both_clocks_follow_the_hosts() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 24)))
             (call $say_long @"realtime" (i64.load (i32.const 24)))
             (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 24)))
             (call $say_long @"monotonic" (i64.load (i32.const 24)))
             (call $say_number @"cpu" (call $clock_time_get (i32.const 2) (i64.const 1) (i32.const 24)))
             (i32.const 0))"#,
    );
    bench.proxy.advance(Duration::from_nanos(5));
    bench.clock.set(START);
    let _stream = vm.request(Request::get("a.test", "/"));
    assert_eq!(
        bench.lines(),
        ["realtime=1700000000000000000", "monotonic=5", "cpu=58"]
    );
}

#[test]
fn a_seed_fixes_randomness() {
    let guest = module(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (drop (call $random_get (i32.const 24) (i32.const 8)))
             (call $say_long @"random" (i64.load (i32.const 24)))
             (drop (call $random_get (i32.const 24) (i32.const 8)))
             (call $say_long @"random" (i64.load (i32.const 24))) (i32.const 1))"#,
    );
    let numbers = |proxy: Proxy| -> Vec<String> {
        let _vm = proxy
            .start_vm(&guest, VmConfig::default())
            .expect("the guest starts");
        proxy
            .log()
            .take()
            .into_iter()
            .map(|entry| entry.message)
            .collect()
    };
    let seeded = |seed| {
        numbers(
            Proxy::builder()
                .clock(FakeClock::at(START))
                .seed(seed)
                .build(),
        )
    };
    assert_eq!(seeded(1), seeded(1));
    assert_ne!(seeded(1), seeded(2));
    assert_ne!(seeded(1)[0], seeded(1)[1]);
    assert_ne!(
        numbers(Proxy::builder().build()),
        numbers(Proxy::builder().build())
    );
}

#[test]
fn more_randomness_than_envoy_gives_at_once_is_refused() {
    let bench = Bench::new();
    let _vm = bench.start(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $say_number @"most" (call $random_get (i32.const 65536) (i32.const 65536)))
             (call $say_number @"more" (call $random_get (i32.const 65536) (i32.const 65537)))
             (call $say_number @"outside" (call $random_get (i32.const -4) (i32.const 8))) (i32.const 1))"#,
    );
    assert_eq!(bench.lines(), ["most=0", "more=28", "outside=21"]);
}

#[test]
fn standard_output_is_information_and_standard_error_an_error() {
    let bench = Bench::new();
    let _vm = bench.start(
        r#"(data (i32.const 40000) "\00\a0\00\00\03\00\00\00\03\a0\00\00\04\00\00\00")
           (data (i32.const 40960) "one two\0a")
           (func (export "proxy_on_configure") (param i32 i32) (result i32)
             (drop (call $fd_write (i32.const 1) (i32.const 40000) (i32.const 2) (i32.const 24)))
             (call $say_number @"written" (i32.load (i32.const 24)))
             (drop (call $fd_write (i32.const 2) (i32.const 40000) (i32.const 1) (i32.const 24)))
             (call $say_number @"file" (call $fd_write (i32.const 3) (i32.const 40000) (i32.const 1) (i32.const 24)))
             (call $say_number @"outside" (call $fd_write (i32.const 1) (i32.const -4) (i32.const 1) (i32.const 24)))
             (i32.const 1))"#,
    );
    let entries = bench.proxy.log().take();
    let wasi: Vec<_> = entries
        .iter()
        .filter(|entry| entry.source == LogSource::Wasi)
        .map(|entry| (entry.level, entry.message.as_str()))
        .collect();
    assert_eq!(
        wasi,
        [(LogLevel::Info, "one two"), (LogLevel::Error, "one")]
    );
    let guest: Vec<_> = entries
        .iter()
        .filter(|entry| entry.source == LogSource::Guest)
        .map(|entry| entry.message.as_str())
        .collect();
    assert_eq!(guest, ["written=7", "file=8", "outside=21"]);
}

#[test]
fn there_are_no_files_and_no_arguments() {
    let bench = Bench::new();
    let _vm = bench.start(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $say_number @"read" (call $fd_read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 24)))
             (call $say_number @"seek" (call $fd_seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 24)))
             (call $say_number @"close" (call $fd_close (i32.const 1)))
             (call $say_number @"stat" (call $fd_fdstat_get (i32.const 1) (i32.const 24)))
             (call $say_long @"rights" (i64.load (i32.const 32)))
             (call $say_number @"stat of none" (call $fd_fdstat_get (i32.const 3) (i32.const 24)))
             (call $say_number @"open" (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0)
               (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 24)))
             (call $say_number @"prestat" (call $fd_prestat_get (i32.const 3) (i32.const 24)))
             (call $say_number @"directory" (call $fd_prestat_dir_name (i32.const 3) (i32.const 24) (i32.const 8)))
             (call $say_number @"arguments" (call $args_get (i32.const 24) (i32.const 24)))
             (i64.store (i32.const 16) (i64.const -1))
             (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
             (call $say_long @"sizes" (i64.load (i32.const 16)))
             (i32.const 1))"#,
    );
    assert_eq!(
        bench.lines(),
        [
            "read=52",
            "seek=0",
            "close=0",
            "stat=0",
            "rights=64",
            "stat of none=8",
            "open=44",
            "prestat=8",
            "directory=52",
            "arguments=0",
            "sizes=0",
        ]
    );
}

#[test]
fn a_guest_that_exits_has_failed() {
    let bench = Bench::new();
    let exits = module(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32) (call $proc_exit (i32.const 3)) (i32.const 1))"#,
    );
    let error = bench
        .proxy
        .start_vm(&exits, VmConfig::default())
        .expect_err("the guest exits");
    let StartError::Trap { message, .. } = error else {
        panic!("not a trap")
    };
    assert_eq!(message, "the guest ended itself with code 3 (`proc_exit`)");
}
