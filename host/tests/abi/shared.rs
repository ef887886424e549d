//! Shared data and shared queues, between VMs.

use nexus_host::{Request, VmConfig};

use crate::guest::Bench;

fn of_vm(vm_id: &str) -> VmConfig {
    VmConfig {
        vm_id: vm_id.to_owned(),
        ..VmConfig::default()
    }
}

#[test]
fn shared_data_follows_envoys_compare_and_swap() {
    let bench = Bench::new();
    let _vm = bench.start_with(
        r#"(func $read
             (call $say_given @"value" (call $get_shared @"key" (i32.const 16) (i32.const 20) (i32.const 24))))
           (func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $read)
             (call $say_number @"missing with a number" (call $set_shared @"key" @"one" (i32.const 77)))
             (call $read)
             (call $say_number @"stale" (call $set_shared @"key" @"two" (i32.add (i32.load (i32.const 24)) (i32.const 1))))
             (call $say_number @"current" (call $set_shared @"key" @"three" (i32.load (i32.const 24))))
             (call $say_number @"same again" (call $set_shared @"key" @"four" (i32.load (i32.const 24))))
             (call $read)
             (call $say_number @"in any case" (call $set_shared @"key" @"" (i32.const 0)))
             (call $read)
             (i32.const 1))"#,
        of_vm("v"),
    );
    assert_eq!(
        bench.lines(),
        [
            "value!1",
            "missing with a number=0",
            "value=one",
            "stale=8",
            "current=0",
            "same again=8",
            "value=three",
            "in any case=0",
            "value=",
        ]
    );
    assert_eq!(
        bench
            .proxy
            .shared_data()
            .value("v", "key")
            .map(|(value, _)| value),
        Some(Vec::new())
    );
}

const READER: &str = r#"
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $say_given @"value" (call $get_shared @"key" (i32.const 16) (i32.const 20) (i32.const 24)))
    (i32.const 0))"#;

#[test]
fn shared_data_is_shared_by_vms_of_one_id_only() {
    let bench = Bench::new();
    let writer = r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $set_shared @"key" @"here" (i32.const 0))) (i32.const 1))"#;
    let _writer = bench.start_with(writer, of_vm("a"));
    let _same = bench
        .start_with(READER, of_vm("a"))
        .request(Request::get("a.test", "/"));
    let _other = bench
        .start_with(READER, of_vm("b"))
        .request(Request::get("a.test", "/"));
    assert_eq!(bench.lines(), ["value=here", "value!1"]);
}

#[test]
fn a_test_can_play_another_worker() {
    let bench = Bench::new();
    let vm = bench.start(READER);
    bench.proxy.shared_data().set("", "key", "from outside");
    let _stream = vm.request(Request::get("a.test", "/"));
    assert_eq!(bench.lines(), ["value=from outside"]);
}

const CONSUMER: &str = r#"
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $register_queue @"jobs" (i32.const 24))) (i32.const 1))
  (func (export "proxy_on_queue_ready") (param $context i32) (param $queue i32)
    (call $say_number @"context" (local.get $context))
    (call $say_given @"item" (call $dequeue (local.get $queue) (i32.const 16) (i32.const 20)))
    (call $say_given @"next" (call $dequeue (local.get $queue) (i32.const 16) (i32.const 20))))"#;

const PRODUCER: &str = r#"
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $say_number @"resolve" (call $resolve_queue @"consumer" @"jobs" (i32.const 24)))
    (call $say_number @"enqueue" (call $enqueue (i32.load (i32.const 24)) @"work"))
    (call $say_number @"unknown" (call $resolve_queue @"" @"jobs" (i32.const 24)))
    (call $say_number @"no queue" (call $enqueue (i32.const 99) @"work"))
    (call $say_given @"no queue" (call $dequeue (i32.const 0) (i32.const 16) (i32.const 20)))
    (i32.const 0))"#;

#[test]
fn a_queue_wakes_the_vm_that_registered_it() {
    let bench = Bench::new();
    let _consumer = bench.start_with(CONSUMER, of_vm("consumer"));
    let producer = bench.start_with(PRODUCER, of_vm("producer"));
    let _stream = producer.request(Request::get("a.test", "/"));
    assert_eq!(
        bench.lines(),
        [
            "resolve=0",
            "enqueue=0",
            "unknown=1",
            "no queue=1",
            "no queue!1"
        ]
    );
    assert_eq!(bench.proxy.run_until_idle(), 1);
    assert_eq!(bench.lines(), ["context=1", "item=work", "next!7"]);
}

#[test]
fn the_vm_that_registered_last_is_woken() {
    let bench = Bench::new();
    let _first = bench.start_with(CONSUMER, of_vm("consumer"));
    let _second = bench.start_with(CONSUMER, of_vm("consumer"));
    let producer = bench.start_with(PRODUCER, of_vm("producer"));
    let _stream = producer.request(Request::get("a.test", "/"));
    bench.lines();
    bench.proxy.run_until_idle();
    assert!(
        bench
            .proxy
            .log()
            .take()
            .iter()
            .all(|entry| entry.worker == 1)
    );
}

#[test]
fn what_is_queued_before_a_reload_is_there_after_it() {
    let bench = Bench::new();
    let consumer = bench.start_with(CONSUMER, of_vm("consumer"));
    let producer = bench.start_with(PRODUCER, of_vm("producer"));
    let _first = producer.request(Request::get("a.test", "/"));
    consumer.reload().expect("the guest starts again");
    bench.lines();
    bench.proxy.run_until_idle();
    assert!(
        bench.lines().is_empty(),
        "the news was for the VM that is gone"
    );
    let _second = producer.request(Request::get("a.test", "/"));
    bench.lines();
    bench.proxy.run_until_idle();
    assert_eq!(bench.lines(), ["context=1", "item=work", "next=work"]);
}

#[test]
fn a_guest_that_wakes_itself_for_ever_does_not_hang_the_host() {
    let bench = Bench::new();
    let _vm = bench.start(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (drop (call $register_queue @"self" (i32.const 24)))
             (drop (call $enqueue (i32.load (i32.const 24)) @"x")) (i32.const 1))
           (func (export "proxy_on_queue_ready") (param i32) (param $queue i32)
             (drop (call $enqueue (local.get $queue) @"x")))"#,
    );
    assert!(bench.proxy.run_until_idle() > 1000);
}
