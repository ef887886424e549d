//! What `proxy_get_property` finds: what the user of the host set, what the host can compute, what the filter stored.
//!
//! Values have the forms that Envoy gives them: text and bytes as they are, numbers as 64-bit little-endian, maps as
//! serialized pairs.

use crate::abi::{Status, serialize_pairs};
use crate::header_map::HeaderMap;
use crate::hostcalls::nanoseconds;
use crate::state::HostState;
use crate::stream_state::{Context, HttpStream};

/// Looks a path up. `path` is its parts, each but the last followed by a NUL.
pub(crate) fn lookup(state: &HostState, path: &[u8]) -> Result<Vec<u8>, Status> {
    if path.is_empty() {
        // Envoy then serializes a value that it never looked up.
        return Err(Status::SerializationFailure);
    }
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    let text: Vec<String> = path
        .split(|byte| *byte == 0)
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    let parts: Vec<&str> = text.iter().map(String::as_str).collect();
    let stream = state.stream();
    stream
        .and_then(|stream| stream.properties.get(&text).cloned())
        .or_else(|| state.config.properties.get(&text).cloned())
        .or_else(|| of_plugin(state, &parts))
        .or_else(|| of_stream(state, stream?, &parts))
        .or_else(|| of_filter(stream?, &text))
        .ok_or(Status::NotFound)
}

fn of_plugin(state: &HostState, path: &[&str]) -> Option<Vec<u8>> {
    let config = &state.config;
    match path {
        ["plugin_name"] => Some(config.plugin_name.clone().into()),
        ["plugin_root_id"] => Some(config.root_id.clone().into()),
        ["plugin_vm_id"] => Some(config.vm_id.clone().into()),
        _ => None,
    }
}

fn of_stream(state: &HostState, stream: &HttpStream, path: &[&str]) -> Option<Vec<u8>> {
    match path {
        ["request", rest @ ..] => of_request(state, stream, rest),
        ["response", rest @ ..] => of_response(stream, rest),
        ["connection", "mtls"] => Some(vec![0]),
        ["connection", "id"] | ["connection_id"] => Some(number(u64::from(state.context()))),
        ["source", "address"] => Some(b"127.0.0.1:50000".to_vec()),
        ["source", "port"] => Some(number(50_000)),
        ["destination", "address"] => Some(b"127.0.0.1:10000".to_vec()),
        ["destination", "port"] => Some(number(10_000)),
        _ => None,
    }
}

fn of_request(state: &HostState, stream: &HttpStream, path: &[&str]) -> Option<Vec<u8>> {
    let logging = stream.context == Context::Logging;
    match path {
        ["protocol"] => return Some(b"HTTP/1.1".to_vec()),
        ["time"] => return Some(number(nanoseconds(stream.started_at))),
        ["duration"] if logging => {
            return Some(number(nanoseconds(
                state.process.clock.now().saturating_sub(stream.started_at),
            )));
        }
        ["size"] => return Some(number(stream.request.passed_body().len() as u64)),
        _ => {}
    }
    // The rest is read from the headers, which Envoy lets a filter see only as long as it holds them, and when it logs.
    let headers = if logging {
        stream.request.headers()
    } else {
        stream.request.readable_headers()?
    };
    let header = |name: &str| headers.first(name).map(<[u8]>::to_vec);
    match path {
        ["path"] => header(":path"),
        ["url_path"] => header(":path").map(|path| before_query(&path).to_vec()),
        ["query"] => header(":path").map(|path| after_query(&path).to_vec()),
        ["host"] => header(":authority"),
        ["scheme"] => header(":scheme"),
        ["method"] => header(":method"),
        ["referer"] => header("referer"),
        ["useragent"] => header("user-agent"),
        ["id"] => header("x-request-id"),
        ["total_size"] => Some(number(
            (headers.byte_size() + stream.request.passed_body().len()) as u64,
        )),
        ["headers"] => Some(serialize_pairs(headers)),
        ["headers", name] => joined(headers, name),
        _ => None,
    }
}

fn of_response(stream: &HttpStream, path: &[&str]) -> Option<Vec<u8>> {
    if path == ["code_details"] {
        return stream.details.clone().map(String::into_bytes);
    }
    let logging = stream.context == Context::Logging;
    let (headers, trailers) = match (&stream.direct, &stream.response) {
        (Some(direct), _) if logging => (Some(&direct.headers), direct.trailers.as_ref()),
        (_, Some(side)) if logging => (Some(side.headers()), side.trailers()),
        (_, Some(side)) => (side.readable_headers(), side.readable_trailers()),
        (_, None) => return None,
    };
    match path {
        ["code"] => {
            let status = std::str::from_utf8(headers?.first(":status")?).ok()?;
            Some(number(status.parse().ok()?))
        }
        ["headers"] => Some(serialize_pairs(headers?)),
        ["headers", name] => joined(headers?, name),
        ["trailers"] => Some(serialize_pairs(trailers?)),
        ["trailers", name] => joined(trailers?, name),
        _ => None,
    }
}

/// What filters stored with `proxy_set_property`: readable by its own name, and as `filter_state` under `wasm.NAME`.
fn of_filter(stream: &HttpStream, path: &[String]) -> Option<Vec<u8>> {
    let name = match path {
        [name] => name,
        [map, name] if map == "filter_state" => name.strip_prefix("wasm.")?,
        _ => return None,
    };
    stream
        .filter_state
        .value(name.as_bytes())
        .map(<[u8]>::to_vec)
}

fn number(value: u64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

fn joined(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> = headers.all(name).collect();
    (!values.is_empty()).then(|| values.join(&b','))
}

fn before_query(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'?').next().unwrap_or_default()
}

fn after_query(path: &[u8]) -> &[u8] {
    path.iter()
        .position(|byte| *byte == b'?')
        .and_then(|at| path.get(at + 1..))
        .unwrap_or_default()
}
