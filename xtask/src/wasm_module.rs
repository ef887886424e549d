//! What a module may ask of the proxy that loads it.
//!
//! A proxy refuses a module with an import that it does not know, or an instruction that its
//! engine does not have, and it does so at run time, on the operator's machine. Here the build
//! fails instead, against what every Envoy since 1.30 offers.

use std::collections::BTreeSet;

use anyhow::Context as _;
use wasmparser::{ExternalKind, Parser, Payload, TypeRef, Validator, WasmFeatures};

use crate::failure::Failure;

/// Largest module that is shipped, in bytes.
pub(crate) const LARGEST_MODULE: usize = 700_000;

/// Largest function that is shipped, in bytes. A proxy takes several times as long for a large function as for small ones of
/// the same size in all: V8 spent a tenth of its time on one of 23,000 bytes, which was 3 % of the module.
const LARGEST_FUNCTION: usize = 12_000;

/// The proxy-wasm ABI 0.2.1, module `env`, without the prefix `proxy_`.
const PROXY_FUNCTIONS: [&str; 39] = [
    "add_header_map_value",
    "call_foreign_function",
    "close_stream",
    "continue_stream",
    "define_metric",
    "dequeue_shared_queue",
    "done",
    "enqueue_shared_queue",
    "get_buffer_bytes",
    "get_buffer_status",
    "get_current_time_nanoseconds",
    "get_header_map_pairs",
    "get_header_map_size",
    "get_header_map_value",
    "get_log_level",
    "get_metric",
    "get_property",
    "get_shared_data",
    "get_status",
    "grpc_call",
    "grpc_cancel",
    "grpc_close",
    "grpc_send",
    "grpc_stream",
    "http_call",
    "increment_metric",
    "log",
    "record_metric",
    "register_shared_queue",
    "remove_header_map_value",
    "replace_header_map_value",
    "resolve_shared_queue",
    "send_local_response",
    "set_buffer_bytes",
    "set_effective_context",
    "set_header_map_pairs",
    "set_property",
    "set_shared_data",
    "set_tick_period_milliseconds",
];

/// What Envoy had of WASI preview 1 before December 2024, when more was added.
const WASI_FUNCTIONS: [&str; 15] = [
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_read",
    "fd_seek",
    "fd_write",
    "path_open",
    "proc_exit",
    "random_get",
];

/// What a proxy looks for in a module; without any of these it does not start.
const NEEDED_EXPORTS: [&str; 7] = [
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_vm_start",
];

/// Checks that every Envoy since 1.30 can load `module`.
///
/// # Errors
/// Names each import that is not offered and each export that is missing, or says that the
/// module is too large, not valid, or made of instructions newer than WebAssembly 2.0.
pub(crate) fn check(module: &[u8]) -> anyhow::Result<()> {
    if module.len() > LARGEST_MODULE {
        return Err(Failure::new(format!(
            "the filter is too large: {} bytes, the limit is {LARGEST_MODULE}",
            module.len()
        ))
        .into());
    }
    Validator::new_with_features(WasmFeatures::WASM2)
        .validate_all(module)
        .context("the filter is not a WebAssembly 2.0 module")?;
    let largest = largest_function(module)?;
    if largest > LARGEST_FUNCTION {
        return Err(Failure::new(format!(
            "the filter has a function that is too large: {largest} bytes, the limit is {LARGEST_FUNCTION}"
        ))
        .hint("`cargo build --package nexus-filter --profile filter --target wasm32-wasip1` keeps the names of functions in the module; keep parts of that one out by `#[inline(never)]`")
        .into());
    }
    let (imports, exports) = links(module)?;
    let unknown: Vec<&String> = imports.iter().filter(|name| !is_offered(name)).collect();
    if !unknown.is_empty() {
        return Err(Failure::new("the filter imports what not every Envoy since 1.30 offers")
            .evidence(unknown.into_iter().map(|name| format!("`{name}`")))
            .hint(
                "find the dependency or the call into `std` that brings it in, and do without it",
            )
            .into());
    }
    let missing: Vec<&str> = NEEDED_EXPORTS
        .into_iter()
        .filter(|name| !exports.contains(*name))
        .collect();
    if !missing.is_empty() {
        return Err(
            Failure::new("the filter is no proxy-wasm 0.2.1 module: exports are missing")
                .evidence(missing.into_iter().map(|name| format!("`{name}`")))
                .into(),
        );
    }
    Ok(())
}

/// The size of the largest function.
fn largest_function(module: &[u8]) -> anyhow::Result<usize> {
    let mut largest = 0;
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CodeSectionEntry(body) = payload? {
            largest = largest.max(body.range().len());
        }
    }
    Ok(largest)
}

/// Whether an import, as `module.name`, is a function that every Envoy since 1.30 has.
fn is_offered(import: &str) -> bool {
    match import.split_once('.') {
        Some(("env", name)) => name
            .strip_prefix("proxy_")
            .is_some_and(|name| PROXY_FUNCTIONS.contains(&name)),
        Some(("wasi_snapshot_preview1", name)) => WASI_FUNCTIONS.contains(&name),
        _ => false,
    }
}

/// The imports, as `module.name`, and the names of the exports. An import that is no function
/// gets its kind added, by which it is offered nowhere.
fn links(module: &[u8]) -> anyhow::Result<(BTreeSet<String>, BTreeSet<String>)> {
    let mut imports = BTreeSet::new();
    let mut exports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let kind = match import.ty {
                        TypeRef::Func(_) => "",
                        TypeRef::Table(_) => " (a table)",
                        TypeRef::Memory(_) => " (a memory)",
                        TypeRef::Global(_) => " (a global)",
                        _ => " (no function)",
                    };
                    imports.insert(format!("{}.{}{kind}", import.module, import.name));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if matches!(export.kind, ExternalKind::Func | ExternalKind::Memory) {
                        exports.insert(export.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

#[cfg(test)]
mod tests {
    use super::{LARGEST_FUNCTION, LARGEST_MODULE, NEEDED_EXPORTS, check};
    use crate::failure::{Failure, lines};

    fn section(id: u8, count: usize, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![id];
        let mut body = leb128(count);
        body.extend(content);
        bytes.extend(leb128(body.len()));
        bytes.extend(body);
        bytes
    }

    fn leb128(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(value & 0x7f).unwrap();
            value >>= 7;
            if value == 0 {
                bytes.push(low);
                return bytes;
            }
            bytes.push(low | 0x80);
        }
    }

    fn name(text: &str) -> Vec<u8> {
        let mut bytes = leb128(text.len());
        bytes.extend(text.as_bytes());
        bytes
    }

    /// A module with these function imports, these exports (functions, but for `memory`), and
    /// `instructions` as the body of its one function.
    fn module(imports: &[(&str, &str)], exports: &[&str], instructions: &[u8]) -> Vec<u8> {
        let mut import_section = Vec::new();
        for (module, field) in imports {
            import_section.extend(name(module));
            import_section.extend(name(field));
            import_section.extend([0x00, 0x00]);
        }
        let mut export_section = Vec::new();
        for export in exports {
            export_section.extend(name(export));
            if *export == "memory" {
                export_section.extend([0x02, 0x00]);
            } else {
                export_section.push(0x00);
                export_section.extend(leb128(imports.len()));
            }
        }
        let mut body = vec![0x00];
        body.extend(instructions);
        body.push(0x0b);
        let mut code = leb128(body.len());
        code.extend(body);

        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        bytes.extend(section(1, 1, &[0x60, 0x00, 0x00]));
        bytes.extend(section(2, imports.len(), &import_section));
        bytes.extend(section(3, 1, &[0x00]));
        bytes.extend(section(5, 1, &[0x00, 0x01]));
        bytes.extend(section(7, exports.len(), &export_section));
        bytes.extend(section(10, 1, &code));
        bytes
    }

    fn refusal(module: &[u8]) -> String {
        let error = check(module).unwrap_err();
        match error.downcast_ref::<Failure>() {
            Some(failure) => lines(failure).join("\n"),
            None => format!("{error:#}"),
        }
    }

    #[test]
    fn module_with_known_imports_is_accepted() {
        let imports = [
            ("env", "proxy_log"),
            ("env", "proxy_define_metric"),
            ("wasi_snapshot_preview1", "random_get"),
        ];
        check(&module(&imports, &NEEDED_EXPORTS, &[])).unwrap();
    }

    #[test]
    fn unknown_import_is_refused_by_name() {
        for (imported_from, field) in [
            // Added to Envoy in December 2024.
            ("wasi_snapshot_preview1", "sched_yield"),
            // Of another version of WASI.
            ("wasi_unstable", "fd_write"),
            // A crate that expects a browser.
            ("__wbindgen_placeholder__", "__wbindgen_describe"),
            // The prefix counts.
            ("env", "log"),
            ("env", "proxy_fly"),
        ] {
            let imports = [("env", "proxy_log"), (imported_from, field)];
            assert_eq!(
                refusal(&module(&imports, &NEEDED_EXPORTS, &[])),
                format!(
                    "the filter imports what not every Envoy since 1.30 offers\n  \
                     `{imported_from}.{field}`\nhint: find the dependency or the call into \
                     `std` that brings it in, and do without it"
                )
            );
        }
    }

    #[test]
    fn imported_memory_is_refused_whatever_its_name() {
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        let mut import = name("env");
        import.extend(name("proxy_log"));
        import.extend([0x02, 0x00, 0x01]);
        bytes.extend(section(2, 1, &import));
        assert!(refusal(&bytes).contains("`env.proxy_log (a memory)`"));
    }

    #[test]
    fn each_missing_export_is_named() {
        for missing in NEEDED_EXPORTS {
            let exports: Vec<&str> = NEEDED_EXPORTS
                .into_iter()
                .filter(|name| *name != missing)
                .collect();
            assert_eq!(
                refusal(&module(&[], &exports, &[])),
                format!(
                    "the filter is no proxy-wasm 0.2.1 module: exports are missing\n  `{missing}`"
                )
            );
        }
    }

    #[test]
    fn instructions_newer_than_webassembly_2_are_refused() {
        // `memory.fill` is of 2.0; `return_call 0` is of 3.0.
        let fill = [0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0b, 0x00];
        check(&module(&[], &NEEDED_EXPORTS, &fill)).unwrap();
        let tail_call = [0x12, 0x00];
        assert!(refusal(&module(&[], &NEEDED_EXPORTS, &tail_call)).contains("tail calls"));
    }

    #[test]
    fn function_over_the_limit_is_refused() {
        const NOP: u8 = 0x01;
        // Besides there are the count of its locals and its end.
        let largest = vec![NOP; LARGEST_FUNCTION - 2];
        check(&module(&[], &NEEDED_EXPORTS, &largest)).unwrap();
        let larger = [largest, vec![NOP]].concat();
        let refusal = refusal(&module(&[], &NEEDED_EXPORTS, &larger));
        assert!(
            refusal.starts_with(&format!(
                "the filter has a function that is too large: {} bytes, the limit is {LARGEST_FUNCTION}\nhint: ",
                LARGEST_FUNCTION + 1
            )),
            "{refusal}"
        );
    }

    #[test]
    fn module_over_the_limit_is_refused() {
        let mut bytes = module(&[], &NEEDED_EXPORTS, &[]);
        // A custom section fills it up: identifier, size of five bytes, empty name.
        let filling = LARGEST_MODULE - bytes.len() - 6;
        bytes.push(0x00);
        for shift in [0, 7, 14, 21] {
            bytes.push(u8::try_from((filling >> shift) & 0x7f).unwrap() | 0x80);
        }
        bytes.push(0x00);
        bytes.resize(LARGEST_MODULE, 0x00);
        check(&bytes).unwrap();

        bytes.push(0x00);
        assert_eq!(
            refusal(&bytes),
            format!(
                "the filter is too large: {} bytes, the limit is {LARGEST_MODULE}",
                LARGEST_MODULE + 1
            )
        );
    }
}
