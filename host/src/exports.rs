//! What a module offers to its host: its memory, its allocator, its callbacks.

use wasmtime::{Instance, Store, TypedFunc, WasmParams, WasmResults};

use crate::error::{LoadError, StartError};
use crate::state::HostState;

/// The root context, the callout, and how many headers, bytes of body and trailers it brought.
type HttpCallResponse = (u32, u32, u32, u32, u32);

/// The callbacks of a module. Each may be missing.
pub(crate) struct Exports {
    pub(crate) on_context_create: Option<TypedFunc<(u32, u32), ()>>,
    pub(crate) on_vm_start: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) on_configure: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) on_tick: Option<TypedFunc<u32, ()>>,
    pub(crate) on_queue_ready: Option<TypedFunc<(u32, u32), ()>>,
    pub(crate) on_http_call_response: Option<TypedFunc<HttpCallResponse, ()>>,
    pub(crate) on_request_headers: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) on_request_body: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) on_request_trailers: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) on_response_headers: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) on_response_body: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) on_response_trailers: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) on_done: Option<TypedFunc<u32, u32>>,
    pub(crate) on_log: Option<TypedFunc<u32, ()>>,
    pub(crate) on_delete: Option<TypedFunc<u32, ()>>,
}

impl Exports {
    /// Finds what there is, and tells the host functions where memory is and how to get more of it.
    pub(crate) fn find(
        instance: &Instance,
        store: &mut Store<HostState>,
    ) -> Result<Self, StartError> {
        let memory = instance
            .get_memory(&mut *store, "memory")
            .ok_or(LoadError::MissingExport { name: "memory" })?;
        let allocate = ["proxy_on_memory_allocate", "malloc"]
            .into_iter()
            .find_map(|name| instance.get_typed_func::<u32, u32>(&mut *store, name).ok())
            .ok_or(LoadError::MissingExport {
                name: "proxy_on_memory_allocate",
            })?;
        store.data_mut().memory = Some(memory);
        store.data_mut().allocate = Some(allocate);
        Ok(Self {
            on_context_create: callback(instance, store, "proxy_on_context_create")?,
            on_vm_start: callback(instance, store, "proxy_on_vm_start")?,
            on_configure: callback(instance, store, "proxy_on_configure")?,
            on_tick: callback(instance, store, "proxy_on_tick")?,
            on_queue_ready: callback(instance, store, "proxy_on_queue_ready")?,
            on_http_call_response: callback(instance, store, "proxy_on_http_call_response")?,
            on_request_headers: callback(instance, store, "proxy_on_request_headers")?,
            on_request_body: callback(instance, store, "proxy_on_request_body")?,
            on_request_trailers: callback(instance, store, "proxy_on_request_trailers")?,
            on_response_headers: callback(instance, store, "proxy_on_response_headers")?,
            on_response_body: callback(instance, store, "proxy_on_response_body")?,
            on_response_trailers: callback(instance, store, "proxy_on_response_trailers")?,
            on_done: callback(instance, store, "proxy_on_done")?,
            on_log: callback(instance, store, "proxy_on_log")?,
            on_delete: callback(instance, store, "proxy_on_delete")?,
        })
    }
}

/// A callback if the module has it; one of another type is an error.
fn callback<P: WasmParams, R: WasmResults>(
    instance: &Instance,
    store: &mut Store<HostState>,
    name: &'static str,
) -> Result<Option<TypedFunc<P, R>>, LoadError> {
    let Some(function) = instance.get_func(&mut *store, name) else {
        return Ok(None);
    };
    function
        .typed(&*store)
        .map(Some)
        .map_err(|_| LoadError::MissingExport { name })
}
