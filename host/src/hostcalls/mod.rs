//! The functions of module `env`: Proxy-Wasm ABI 0.2.1, with Envoy's answers.
//!
//! Each is a plain function over a [`Call`](crate::call::Call); this file only says under which name and when a guest may call it.

mod buffers;
mod headers;
mod outbound;
mod shared;
mod streams;
mod system;

use wasmtime::Linker;

use crate::call::Access::{Always, Started};
use crate::linker::{host_function, host_functions};
use crate::state::HostState;

pub(crate) use system::nanoseconds;

pub(crate) fn register(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    const ENV: &str = "env";
    host_functions!(linker, ENV, Always => {
        "proxy_log" = system::log(level: u32, text: u32, length: u32);
    });
    host_functions!(linker, ENV, Started => {
        "proxy_get_log_level" = system::log_level(level_at: u32);
        "proxy_get_current_time_nanoseconds" = system::current_time(time_at: u32);
        "proxy_set_tick_period_milliseconds" = system::set_tick_period(period: u32);
        "proxy_get_property" = system::property(path: u32, length: u32, value_at: u32, length_at: u32);
        "proxy_set_property" = system::set_property(path: u32, length: u32, value: u32, value_length: u32);
        "proxy_set_effective_context" = system::set_effective_context(context: u32);
        "proxy_done" = system::done();
        "proxy_get_status" = system::status(code_at: u32, text_at: u32, length_at: u32);
        "proxy_call_foreign_function" = system::call_foreign_function(
            name: u32, name_length: u32, argument: u32, argument_length: u32, result_at: u32, length_at: u32);
        "proxy_define_metric" = system::define_metric(kind: u32, name: u32, length: u32, id_at: u32);
        "proxy_increment_metric" = system::increment_metric(id: u32, offset: i64);
        "proxy_record_metric" = system::record_metric(id: u32, value: u64);
        "proxy_get_metric" = system::metric(id: u32, value_at: u32);
    });
    host_functions!(linker, ENV, Started => {
        "proxy_get_buffer_bytes" = buffers::bytes(buffer: u32, start: u32, most: u32, data_at: u32, length_at: u32);
        "proxy_set_buffer_bytes" = buffers::set_bytes(buffer: u32, start: u32, size: u32, data: u32, length: u32);
        "proxy_get_buffer_status" = buffers::status(buffer: u32, length_at: u32, flags_at: u32);
        "proxy_get_header_map_size" = headers::size(map: u32, size_at: u32);
        "proxy_get_header_map_pairs" = headers::pairs(map: u32, data_at: u32, length_at: u32);
        "proxy_set_header_map_pairs" = headers::set_pairs(map: u32, data: u32, length: u32);
        "proxy_get_header_map_value" = headers::value(
            map: u32, name: u32, name_length: u32, value_at: u32, length_at: u32);
        "proxy_add_header_map_value" = headers::add(map: u32, name: u32, name_length: u32, value: u32, length: u32);
        "proxy_replace_header_map_value" = headers::replace(
            map: u32, name: u32, name_length: u32, value: u32, length: u32);
        "proxy_remove_header_map_value" = headers::remove(map: u32, name: u32, name_length: u32);
        "proxy_continue_stream" = streams::resume(direction: u32);
        "proxy_close_stream" = streams::close(direction: u32);
        "proxy_send_local_response" = streams::reply(
            status: u32, details: u32, details_length: u32, body: u32, body_length: u32, headers: u32,
            headers_length: u32, grpc_status: u32);
    });
    host_functions!(linker, ENV, Started => {
        "proxy_get_shared_data" = shared::data(key: u32, length: u32, value_at: u32, length_at: u32, cas_at: u32);
        "proxy_set_shared_data" = shared::set_data(key: u32, length: u32, value: u32, value_length: u32, cas: u32);
        "proxy_register_shared_queue" = shared::register_queue(name: u32, length: u32, id_at: u32);
        "proxy_resolve_shared_queue" = shared::resolve_queue(
            vm_id: u32, vm_id_length: u32, name: u32, name_length: u32, id_at: u32);
        "proxy_enqueue_shared_queue" = shared::enqueue(queue: u32, data: u32, length: u32);
        "proxy_dequeue_shared_queue" = shared::dequeue(queue: u32, data_at: u32, length_at: u32);
        "proxy_http_call" = outbound::http_call(
            cluster: u32, cluster_length: u32, headers: u32, headers_length: u32, body: u32, body_length: u32,
            trailers: u32, trailers_length: u32, timeout: u32, token_at: u32);
        "proxy_grpc_call" = outbound::grpc_call(
            service: u32, service_length: u32, name: u32, name_length: u32, method: u32, method_length: u32,
            metadata: u32, metadata_length: u32, message: u32, message_length: u32, timeout: u32, token_at: u32);
        "proxy_grpc_stream" = outbound::grpc_stream(
            service: u32, service_length: u32, name: u32, name_length: u32, method: u32, method_length: u32,
            metadata: u32, metadata_length: u32, token_at: u32);
        "proxy_grpc_send" = outbound::grpc_send(token: u32, message: u32, length: u32, end_of_stream: u32);
        "proxy_grpc_cancel" = outbound::grpc_end(token: u32);
        "proxy_grpc_close" = outbound::grpc_end(token: u32);
    });
    linker.func_wrap(ENV, "emscripten_notify_memory_growth", |_memory: u32| {})?;
    linker.func_wrap(ENV, "pthread_equal", |left: u32, right: u32| {
        u32::from(left == right)
    })?;
    Ok(())
}
