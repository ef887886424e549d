//! The start and the end of a VM: order, configuration, refusals, the timer.

use std::time::Duration;

use nexus_host::{FakeClock, Proxy, Request, StartError, VmConfig};

use crate::guest::{Bench, START, module};

#[test]
fn a_vm_starts_in_envoys_order_and_reads_its_configurations() {
    let bench = Bench::new();
    let config = VmConfig {
        vm_configuration: b"of the vm".to_vec(),
        plugin_configuration: b"of the plugin".to_vec(),
        ..VmConfig::default()
    };
    let _vm = bench.start_with(
        r#"(func (export "_initialize") (call $say @"initialize"))
           (func (export "proxy_on_context_create") (param $id i32) (param $parent i32)
             (call $say_number @"create" (local.get $id)))
           (func (export "proxy_on_vm_start") (param i32) (param $size i32) (result i32)
             (call $say_number @"start" (local.get $size))
             (call $say_buffer @"vm" (i32.const 6))
             (call $say_buffer @"plugin" (i32.const 7)) (i32.const 1))
           (func (export "proxy_on_configure") (param i32) (param $size i32) (result i32)
             (call $say_number @"configure" (local.get $size))
             (call $say_buffer @"plugin" (i32.const 7)) (i32.const 1))"#,
        config,
    );
    assert_eq!(
        bench.lines(),
        [
            "initialize",
            "create=1",
            "start=9",
            "vm=of the vm",
            "plugin!1",
            "configure=13",
            "plugin=of the plugin",
        ]
    );
}

#[test]
fn a_refused_configuration_is_told_with_the_logs() {
    let bench = Bench::new();
    let refuses = module(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $say @"unknown field `colour`") (i32.const 0))"#,
    );
    let error = bench
        .proxy
        .start_vm(&refuses, VmConfig::default())
        .expect_err("the guest says no");
    assert!(
        matches!(error, StartError::ConfigureRefused { .. }),
        "{error:?}"
    );
    assert_eq!(error.logs()[0].message, "unknown field `colour`");
    assert_eq!(
        error.to_string(),
        "the filter refused its configuration (`proxy_on_configure` returned false)"
    );
}

#[test]
fn a_refused_start_is_told() {
    let bench = Bench::new();
    let refuses =
        module(r#"(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 0))"#);
    let error = bench
        .proxy
        .start_vm(&refuses, VmConfig::default())
        .expect_err("the guest says no");
    assert!(
        matches!(error, StartError::VmStartRefused { .. }),
        "{error:?}"
    );
}

#[test]
fn a_trap_during_the_start_names_the_callback() {
    let bench = Bench::new();
    let traps =
        module(r#"(func (export "proxy_on_configure") (param i32 i32) (result i32) unreachable)"#);
    let error = bench
        .proxy
        .start_vm(&traps, VmConfig::default())
        .expect_err("the guest traps");
    let StartError::Trap {
        during,
        message,
        logs,
    } = error
    else {
        panic!("not a trap")
    };
    assert_eq!(
        (during.as_str(), message.as_str()),
        (
            "proxy_on_configure",
            "wasm `unreachable` instruction executed"
        )
    );
    assert!(
        logs.iter()
            .any(|entry| entry.message.contains("trapped in `proxy_on_configure`"))
    );
}

#[test]
fn while_it_initializes_a_module_may_do_little() {
    let bench = Bench::new();
    let body = |call: &str| format!(r#"(func (export "_initialize") (drop {call}))"#);
    let allowed = [
        "(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 16))",
        "(call $environ_sizes_get (i32.const 16) (i32.const 20))",
        "(call $random_get (i32.const 16) (i32.const 4))",
    ];
    for call in allowed {
        bench
            .proxy
            .start_vm(&module(&body(call)), VmConfig::default())
            .expect(call);
    }
    let restricted = [
        "(call $get_time (i32.const 16))",
        "(call $set_tick (i32.const 100))",
        "(call $get_shared (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 20) (i32.const 24))",
        "(call $fd_close (i32.const 1))",
    ];
    for call in restricted {
        let error = bench
            .proxy
            .start_vm(&module(&body(call)), VmConfig::default())
            .expect_err(call);
        let StartError::Trap {
            during, message, ..
        } = error
        else {
            panic!("{call}: not a trap")
        };
        assert_eq!(during, "_initialize");
        assert!(
            message.starts_with("restricted callback"),
            "{call}: {message}"
        );
    }
}

#[test]
fn a_configuration_can_be_tried_without_keeping_the_vm() {
    let bench = Bench::new();
    let checks = module(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (drop (call $set_tick (i32.const 10)))
             (drop (call $get_buffer (i32.const 7) (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 20)))
             (i32.eq (i32.load8_u (call $given_pointer)) (i32.const 49)))
           (func (export "proxy_on_tick") (param i32) (call $say @"tick"))"#,
    );
    let config = |text: &str| VmConfig {
        plugin_configuration: text.into(),
        ..VmConfig::default()
    };
    bench
        .proxy
        .check_configuration(&checks, &config("1"))
        .expect("a good configuration");
    let error = bench
        .proxy
        .check_configuration(&checks, &config("2"))
        .expect_err("a bad one");
    assert!(matches!(error, StartError::ConfigureRefused { .. }));
    bench.proxy.advance(Duration::from_secs(1));
    assert!(
        bench.lines().is_empty(),
        "a VM that was thrown away has no timer"
    );
}

/// Logs the time of each tick; sets its period to what the configuration's length is.
const TICKS: &str = r#"
  (func (export "proxy_on_configure") (param i32) (param $size i32) (result i32)
    (drop (call $set_tick (local.get $size))) (i32.const 1))
  (func (export "proxy_on_tick") (param i32)
    (drop (call $get_time (i32.const 24)))
    (call $say_long @"tick" (i64.load (i32.const 24))))"#;

#[test]
fn ticks_come_by_the_fake_clock() {
    let bench = Bench::new();
    let config = VmConfig {
        plugin_configuration: vec![0; 100],
        ..VmConfig::default()
    };
    let vm = bench.start_with(TICKS, config);
    assert_eq!(vm.tick_period(), Some(Duration::from_millis(100)));
    assert_eq!(bench.proxy.run_until_idle(), 0);
    bench.proxy.advance(Duration::from_millis(250));
    let nanoseconds = START.as_nanos();
    let tick = |after_ms: u128| format!("tick={}", nanoseconds + after_ms * 1_000_000);
    assert_eq!(bench.lines(), [tick(100), tick(200)]);
    bench.proxy.advance(Duration::from_millis(50));
    assert_eq!(bench.lines(), [tick(300)]);
    assert_eq!(bench.proxy.now(), START + Duration::from_millis(300));
}

#[test]
fn setting_the_wall_clock_moves_no_tick() {
    let bench = Bench::new();
    let config = VmConfig {
        plugin_configuration: vec![0; 100],
        ..VmConfig::default()
    };
    let _vm = bench.start_with(TICKS, config);
    bench.clock.set(START + Duration::from_secs(3600));
    assert_eq!(bench.proxy.run_until_idle(), 0);
    bench.proxy.advance(Duration::from_millis(100));
    assert_eq!(bench.lines().len(), 1);
}

#[test]
fn ticks_of_several_vms_come_in_the_order_of_time() {
    let bench = Bench::new();
    let guest = module(
        r#"(func (export "proxy_on_configure") (param i32) (param $size i32) (result i32)
             (drop (call $set_tick (local.get $size))) (i32.const 1))
           (func (export "proxy_on_tick") (param i32) (call $say @"tick"))"#,
    );
    let start = |period: usize| {
        let config = VmConfig {
            plugin_configuration: vec![0; period],
            ..VmConfig::default()
        };
        bench
            .proxy
            .start_vm(&guest, config)
            .expect("the guest starts")
    };
    let _vms = [start(30), start(20)];
    bench.proxy.advance(Duration::from_millis(60));
    let workers: Vec<usize> = bench
        .proxy
        .log()
        .take()
        .iter()
        .map(|entry| entry.worker)
        .collect();
    assert_eq!(workers, [1, 0, 1, 0, 1]);
}

#[test]
fn a_timer_can_be_stopped_in_its_own_callback() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (drop (call $set_tick (i32.const 10))) (i32.const 1))
           (func (export "proxy_on_tick") (param i32)
             (call $say @"tick") (drop (call $set_tick (i32.const 0))))"#,
    );
    bench.proxy.advance(Duration::from_secs(1));
    assert_eq!(bench.lines(), ["tick"]);
    assert_eq!(vm.tick_period(), None);
}

#[test]
fn with_the_systems_clock_time_really_passes() {
    let proxy = Proxy::builder().build();
    let ticks = module(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (drop (call $set_tick (i32.const 20))) (i32.const 1))
           (func (export "proxy_on_tick") (param i32) (call $say @"tick"))"#,
    );
    let _vm = proxy
        .start_vm(&ticks, VmConfig::default())
        .expect("the guest starts");
    let started = std::time::Instant::now();
    assert!(proxy.advance_until(Duration::from_secs(30), || proxy.log().entries().len() >= 2));
    assert!(started.elapsed() >= Duration::from_millis(40));
}

#[test]
fn a_root_context_that_is_not_done_waits_for_proxy_done() {
    let bench = Bench::new();
    let vm = bench.start(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $say_number @"early" (call $done)) (drop (call $set_tick (i32.const 10))) (i32.const 1))
           (func (export "proxy_on_done") (param i32) (result i32) (call $say @"done") (i32.const 0))
           (func (export "proxy_on_tick") (param i32) (call $say_number @"tick" (call $done)))
           (func (export "proxy_on_delete") (param i32) (call $say @"delete"))"#,
    );
    assert!(!vm.shut_down());
    bench.proxy.advance(Duration::from_millis(10));
    assert!(vm.shut_down());
    assert_eq!(bench.lines(), ["early=1", "done", "tick=0", "delete"]);
}

#[test]
fn processes_do_not_know_each_other() {
    let guest = module(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $say_number @"cas" (call $set_shared @"key" @"value" (i32.const 0)))
             (drop (call $define_metric (i32.const 0) @"requests" (i32.const 24)))
             (drop (call $increment_metric (i32.load (i32.const 24)) (i64.const 1)))
             (i32.const 0))"#,
    );
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let guest = guest.clone();
            std::thread::spawn(move || {
                let proxy = Proxy::builder().clock(FakeClock::at(START)).build();
                let vm = proxy
                    .start_vm(&guest, VmConfig::default())
                    .expect("the guest starts");
                for _ in 0..100 {
                    drop(vm.request(Request::get("a.test", "/")));
                }
                (
                    proxy.metrics().counter("requests"),
                    proxy.log().entries().len(),
                )
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), (Some(100), 100));
    }
}
