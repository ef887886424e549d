//! What is a module that this host takes, and what it says of the others.

use std::time::{Duration, Instant};

use nexus_host::{
    ENVOY_IMPORTS, Import, Interface, ItemKind, LoadError, Module, Request, VmConfig, WASI_IMPORTS,
};

use crate::guest::{Bench, forwarded, wasm};

const MINIMUM: &str = r#"
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 0))"#;

fn compile(body: &str) -> Result<Module, LoadError> {
    Module::compile(&wat::parse_str(format!("(module {body})")).expect("well formed"))
}

fn start(module: &Module) -> String {
    match Bench::new().proxy.start_vm(module, VmConfig::default()) {
        Ok(_) => "started".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_module_needs_little_more_than_memory_and_an_abi() {
    assert_eq!(start(&compile(MINIMUM).expect("a module")), "started");
}

#[test]
fn unknown_imports_are_named() {
    let error = compile(
        r#"(import "env" "proxy_get_buffer_bits" (func))
           (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "sock_accept" (func))
           (import "env" "memory" (memory 1))
           (func (export "proxy_abi_version_0_2_1"))"#,
    )
    .expect_err("the host has none of these");
    assert_eq!(
        error.to_string(),
        "the module imports what the host does not offer: `env.proxy_get_buffer_bits`, \
         `wasi_snapshot_preview1.sock_accept`, `env.memory`"
    );
    let LoadError::UnknownImports { imports } = error else {
        panic!("another error")
    };
    assert_eq!(imports[2].kind, ItemKind::Memory);
}

#[test]
fn an_import_with_another_signature_is_told() {
    let error = compile(&format!(
        r#"(import "env" "proxy_log" (func (param i32))) {MINIMUM}"#
    ))
    .expect_err("a mismatch");
    assert!(
        matches!(error, LoadError::ImportSignature { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("proxy_log"), "{error}");
}

#[test]
fn a_module_without_a_known_abi_is_refused() {
    let error = compile(r#"(memory (export "memory") 1)"#).expect_err("no ABI");
    assert!(matches!(error, LoadError::AbiVersion { found: None }));
    let error = compile(r#"(func (export "proxy_abi_version_0_1_0"))"#).expect_err("an old ABI");
    assert!(
        matches!(error, LoadError::AbiVersion { found: Some(name) } if name == "proxy_abi_version_0_1_0")
    );
}

#[test]
fn missing_or_wrong_exports_are_told() {
    let no_memory = compile(
        r#"(func (export "proxy_abi_version_0_2_1"))
           (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 0))"#,
    );
    assert_eq!(
        start(&no_memory.expect("a module")),
        "the module has no usable export `memory`"
    );
    let wrong = compile(&format!(r#"{MINIMUM} (func (export "proxy_on_tick"))"#));
    assert_eq!(
        start(&wrong.expect("a module")),
        "the module has no usable export `proxy_on_tick`"
    );
}

#[test]
fn what_is_not_webassembly_is_invalid() {
    for bytes in [&b""[..], b"hello", b"\0asm\x01\0\0\0\xFF"] {
        assert!(
            matches!(Module::compile(bytes), Err(LoadError::Invalid { .. })),
            "{bytes:?}"
        );
    }
    assert!(matches!(
        Interface::of_wasm(b"hello"),
        Err(LoadError::Invalid { .. })
    ));
}

#[test]
fn the_interface_is_the_same_before_and_after_compiling() {
    let bytes = wasm("");
    let interface = Interface::of_wasm(&bytes).expect("a module");
    assert_eq!(
        &interface,
        Module::compile(&bytes).expect("a module").interface()
    );
    assert!(interface.exports_function("proxy_abi_version_0_2_1"));
    assert!(!interface.exports_function("memory"));
    assert_eq!(interface.unportable_imports(), Vec::<&Import>::new());
}

#[test]
fn the_lint_knows_what_not_every_envoy_has() {
    let bytes = wat::parse_str(
        r#"(module
             (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
             (import "wasi_unstable" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
             (import "env" "proxy_get_log_level" (func (param i32) (result i32))))"#,
    )
    .expect("well formed");
    let interface = Interface::of_wasm(&bytes).expect("a module");
    let unportable: Vec<String> = interface
        .unportable_imports()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(unportable, ["wasi_snapshot_preview1.sched_yield"]);
    assert_eq!(WASI_IMPORTS.len(), 15);
    assert!(ENVOY_IMPORTS.is_sorted());
}

#[test]
fn a_precompiled_module_does_the_same_and_starts_at_once() {
    let body = r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $say @"here") (i32.const 0))"#;
    let bytes = Module::precompile(&wasm(body)).expect("a module");
    let started = Instant::now();
    // SAFETY: the bytes are what `precompile` gave.
    #[expect(unsafe_code, reason = "this is what is tested")]
    let module = unsafe { Module::from_precompiled(&bytes) }.expect("made by this version");
    let bench = Bench::new();
    let vm = bench
        .proxy
        .start_vm(&module, VmConfig::default())
        .expect("the guest starts");
    forwarded(&vm.request(Request::get("a.test", "/")));
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "took {:?}",
        started.elapsed()
    );
    assert_eq!(bench.lines(), ["here"]);
}

#[test]
fn what_is_not_precompiled_is_told() {
    // SAFETY: the bytes hold no machine code; the loader refuses them by their header.
    #[expect(unsafe_code, reason = "this is what is tested")]
    let error = unsafe { Module::from_precompiled(&wasm("")) }.expect_err("not precompiled");
    assert!(matches!(error, LoadError::Precompiled { .. }), "{error:?}");
    assert!(matches!(
        Module::precompile(b"hello"),
        Err(LoadError::Invalid { .. })
    ));
}

#[test]
fn instructions_are_counted_where_that_was_asked_for_and_depend_on_nothing_else() {
    let body = r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (local $turns i32)
        (local.set $turns (i32.mul (local.get 1) (i32.const 1000)))
        (loop $again
          (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
          (br_if $again (i32.gt_s (local.get $turns) (i32.const 0))))
        (i32.const 0))"#;
    let bench = Bench::new();
    let counting = Module::compile_counting(&wasm(body)).expect("a module");
    let vm = bench
        .proxy
        .start_vm(&counting, VmConfig::default())
        .expect("the guest starts");
    let count = |request: Request| {
        let before = vm.instructions().expect("they are counted");
        forwarded(&vm.request(request));
        vm.instructions().expect("they are counted") - before
    };
    let get = || Request::get("example.com", "/");
    let one = count(get());
    assert_eq!(count(get()), one);
    // A turn of the loop has eight instructions, and a header makes a thousand turns more.
    let more = count(get().header("x-one", "1"));
    assert_eq!(more - one, 8_000);

    let plain = Module::compile(&wasm(body)).expect("a module");
    let vm = bench
        .proxy
        .start_vm(&plain, VmConfig::default())
        .expect("the guest starts");
    assert_eq!(vm.instructions(), None);
}
