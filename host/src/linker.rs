//! Binds host functions to the names under which a module imports them, and checks what a module imports.

use wasmtime::{Engine, InstancePre, Linker};

use crate::abi::{ENVOY_IMPORTS, LATER_WASI_IMPORTS, WASI_IMPORTS, WASI_MODULES};
use crate::error::LoadError;
use crate::module::{Import, ItemKind};
use crate::state::HostState;
use crate::{hostcalls, wasi};

/// Registers one function over a `Call` that answers with a status.
macro_rules! host_function {
    ($linker:expr, $module:expr, $access:expr, $name:literal, $function:path, ($($argument:ident: $type:ty),*)) => {
        $linker.func_wrap(
            $module,
            $name,
            |caller: wasmtime::Caller<'_, crate::state::HostState>, $($argument: $type),*| -> wasmtime::Result<i32> {
                let mut call = crate::call::Call::enter(caller, $name, $access)?;
                crate::call::status_word($function(&mut call, $($argument),*))
            },
        )?;
    };
}

/// Registers functions that may be called at the same times.
macro_rules! host_functions {
    ($linker:expr, $module:expr, $access:expr => {
        $($name:literal = $group:ident::$function:ident($($argument:ident: $type:ty),*);)*
    }) => {
        $(host_function!($linker, $module, $access, $name, $group::$function, ($($argument: $type),*));)*
    };
}

pub(crate) use {host_function, host_functions};

/// Links a module with every function of the host.
pub(crate) fn link(
    engine: &Engine,
    module: &wasmtime::Module,
) -> Result<InstancePre<HostState>, LoadError> {
    let unknown: Vec<Import> = module
        .imports()
        .filter(|import| !is_offered(import))
        .map(describe)
        .collect();
    if !unknown.is_empty() {
        return Err(LoadError::UnknownImports { imports: unknown });
    }
    let pre = linker(engine).and_then(|linker| linker.instantiate_pre(module));
    pre.map_err(|error| LoadError::ImportSignature {
        reason: format!("{error:#}"),
    })
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    hostcalls::register(&mut linker)?;
    for module in WASI_MODULES {
        wasi::register(&mut linker, module)?;
    }
    Ok(linker)
}

fn is_offered(import: &wasmtime::ImportType<'_>) -> bool {
    let name = import.name();
    matches!(import.ty(), wasmtime::ExternType::Func(_))
        && match import.module() {
            "env" => ENVOY_IMPORTS.contains(&name),
            module if WASI_MODULES.contains(&module) => {
                WASI_IMPORTS.contains(&name) || LATER_WASI_IMPORTS.contains(&name)
            }
            _ => false,
        }
}

fn describe(import: wasmtime::ImportType<'_>) -> Import {
    Import {
        module: import.module().to_owned(),
        name: import.name().to_owned(),
        kind: ItemKind::of(&import.ty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_offers_the_functions_of_its_lists_and_no_others() {
        let engine = Engine::default();
        let linker = linker(&engine).expect("no name is registered twice");
        let process = crate::Proxy::builder().build().into_process();
        let state = HostState::new(process, std::sync::Arc::default(), 0);
        let mut store = wasmtime::Store::new(&engine, state);
        let modules: Vec<String> = linker
            .iter(&mut store)
            .map(|(module, _, _)| module.to_owned())
            .collect();
        assert!(
            modules
                .iter()
                .all(|module| module == "env" || WASI_MODULES.contains(&module.as_str()))
        );
        let offered = modules.len();
        let wasi = WASI_IMPORTS.len() + LATER_WASI_IMPORTS.len();
        assert_eq!(offered, ENVOY_IMPORTS.len() + wasi * WASI_MODULES.len());
    }
}
