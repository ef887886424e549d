//! The numbers and encodings of Proxy-Wasm ABI 0.2.1.
//!
//! Everything here is fixed by the specification; nothing here knows of wasmtime or of the host's state.

use crate::header_map::HeaderMap;

/// Most pairs that a guest may hand over in one serialized map; more read as an empty map, as in Envoy
/// (`PROXY_WASM_HOST_PAIRS_MAX_COUNT` of proxy-wasm-cpp-host).
pub const MAX_PAIRS: usize = 1024;

/// Most bytes that a guest may hand over in one serialized map; more read as an empty map, as in Envoy
/// (`PROXY_WASM_HOST_PAIRS_MAX_BYTES` of proxy-wasm-cpp-host).
pub const MAX_PAIRS_BYTES: usize = 1024 * 1024;

/// Most bytes that one `random_get` gives, as in Envoy (`PROXY_WASM_HOST_WASI_RANDOM_GET_MAX_SIZE_BYTES`).
pub const MAX_RANDOM_BYTES: usize = 64 * 1024;

/// The functions of module `env` that every Envoy since 1.30 offers to a module of ABI 0.2.x.
pub const ENVOY_IMPORTS: &[&str] = &[
    "emscripten_notify_memory_growth",
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_buffer_status",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_size",
    "proxy_get_header_map_value",
    "proxy_get_log_level",
    "proxy_get_metric",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "pthread_equal",
];

/// The functions of module `wasi_snapshot_preview1` (or `wasi_unstable`) that every Envoy since 1.30 offers.
pub const WASI_IMPORTS: &[&str] = &[
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

/// The functions of WASI that this host has and that only an Envoy of 2025 or later has (proxy-wasm-cpp-host since
/// 2024-12).
pub const LATER_WASI_IMPORTS: &[&str] = &["fd_fdstat_set_flags", "poll_oneoff", "sched_yield"];

/// The two names under which WASI is imported.
pub(crate) const WASI_MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// What a host function answers (`proxy_status_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Status {
    /// Done.
    Ok = 0,
    /// No such key, property, function, metric or context.
    NotFound = 1,
    /// An argument out of range, or a map that cannot be used now.
    BadArgument = 2,
    /// A value could not be serialized.
    SerializationFailure = 3,
    /// A value could not be parsed.
    ParseFailure = 4,
    /// A pointer or length outside the guest's memory.
    InvalidMemoryAccess = 6,
    /// The queue holds nothing.
    Empty = 7,
    /// The compare-and-swap value is out of date.
    CasMismatch = 8,
    /// The host could not do it.
    InternalFailure = 10,
    /// The connection broke; a code of `proxy_get_status` only.
    BrokenConnection = 11,
    /// The host does not do this.
    Unimplemented = 12,
}

/// Which header map a call is about (`proxy_map_type_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapType {
    RequestHeaders,
    RequestTrailers,
    ResponseHeaders,
    ResponseTrailers,
    GrpcInitialMetadata,
    GrpcTrailingMetadata,
    CalloutHeaders,
    CalloutTrailers,
}

impl MapType {
    pub(crate) fn from_guest(value: u32) -> Result<Self, Status> {
        Ok(match value {
            0 => Self::RequestHeaders,
            1 => Self::RequestTrailers,
            2 => Self::ResponseHeaders,
            3 => Self::ResponseTrailers,
            4 => Self::GrpcInitialMetadata,
            5 => Self::GrpcTrailingMetadata,
            6 => Self::CalloutHeaders,
            7 => Self::CalloutTrailers,
            _ => return Err(Status::BadArgument),
        })
    }
}

/// Which buffer a call is about (`proxy_buffer_type_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BufferType {
    RequestBody,
    ResponseBody,
    DownstreamData,
    UpstreamData,
    CalloutBody,
    GrpcMessage,
    VmConfiguration,
    PluginConfiguration,
    CallData,
}

impl BufferType {
    pub(crate) fn from_guest(value: u32) -> Result<Self, Status> {
        Ok(match value {
            0 => Self::RequestBody,
            1 => Self::ResponseBody,
            2 => Self::DownstreamData,
            3 => Self::UpstreamData,
            4 => Self::CalloutBody,
            5 => Self::GrpcMessage,
            6 => Self::VmConfiguration,
            7 => Self::PluginConfiguration,
            8 => Self::CallData,
            _ => return Err(Status::BadArgument),
        })
    }
}

/// Which direction of a stream a call is about (`proxy_stream_type_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamType {
    Request,
    Response,
    Downstream,
    Upstream,
}

impl StreamType {
    pub(crate) fn from_guest(value: u32) -> Result<Self, Status> {
        Ok(match value {
            0 => Self::Request,
            1 => Self::Response,
            2 => Self::Downstream,
            3 => Self::Upstream,
            _ => return Err(Status::BadArgument),
        })
    }
}

/// Reads a serialized map: `u32` count, then a key and a value length for each pair, then the bytes of each key and
/// value, both ended by a NUL. Little-endian. What is malformed or over a limit is an empty map, as in Envoy.
pub(crate) fn parse_pairs(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    try_parse_pairs(bytes).unwrap_or_default()
}

fn try_parse_pairs(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    if bytes.len() > MAX_PAIRS_BYTES {
        return None;
    }
    let (count, rest) = split_u32(bytes)?;
    if count > MAX_PAIRS || rest.len() / 8 < count {
        return None;
    }
    let (mut lengths, mut data) = rest.split_at(count * 8);
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (key_length, after_key) = split_u32(lengths)?;
        let (value_length, after_value) = split_u32(after_key)?;
        lengths = after_value;
        let key = take_terminated(&mut data, key_length)?;
        let value = take_terminated(&mut data, value_length)?;
        pairs.push((key.to_vec(), value.to_vec()));
    }
    data.is_empty().then_some(pairs)
}

fn split_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*head) as usize, rest))
}

fn take_terminated<'a>(data: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let with_nul = length.checked_add(1)?;
    let (taken, rest) = data.split_at_checked(with_nul)?;
    let (nul, value) = taken.split_last()?;
    if *nul != 0 {
        return None;
    }
    *data = rest;
    Some(value)
}

/// Writes a map for the guest; the inverse of [`parse_pairs`]. An empty map is no bytes at all, as Envoy has it.
pub(crate) fn serialize_pairs(map: &HeaderMap) -> Vec<u8> {
    if map.is_empty() {
        return Vec::new();
    }
    let data: usize = map
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    let mut bytes = Vec::with_capacity(4 + map.len() * 8 + data);
    bytes.extend(length_word(map.len()));
    for (name, value) in map.iter() {
        bytes.extend(length_word(name.len()));
        bytes.extend(length_word(value.len()));
    }
    for (name, value) in map.iter() {
        for part in [name, value] {
            bytes.extend_from_slice(part);
            bytes.push(0);
        }
    }
    bytes
}

/// A length as the guest reads it. The guest's memory is 32-bit, so what does not fit could not be handed over anyway.
fn length_word(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_pairs() -> HeaderMap {
        HeaderMap::from_pairs([("a", "1"), ("bb", "")])
    }

    #[test]
    fn pairs_survive_the_round_trip() {
        let bytes = serialize_pairs(&two_pairs());
        assert_eq!(bytes.len(), 4 + 2 * 8 + 4 + 4);
        assert_eq!(HeaderMap::from_pairs(parse_pairs(&bytes)), two_pairs());
    }

    #[test]
    fn every_truncation_of_a_map_reads_as_empty() {
        let bytes = serialize_pairs(&two_pairs());
        for end in 0..bytes.len() {
            assert!(parse_pairs(&bytes[..end]).is_empty(), "cut at {end}");
        }
    }

    #[test]
    fn bytes_after_the_last_pair_make_the_map_read_as_empty() {
        let mut bytes = serialize_pairs(&two_pairs());
        bytes.push(0);
        assert!(parse_pairs(&bytes).is_empty());
    }

    #[test]
    fn a_count_that_overflows_reads_as_empty() {
        assert!(parse_pairs(&[0xFF; 64]).is_empty());
    }

    #[test]
    fn one_pair_more_than_the_limit_reads_as_empty() {
        let full = HeaderMap::from_pairs((0..MAX_PAIRS).map(|_| ("a", "")));
        assert_eq!(parse_pairs(&serialize_pairs(&full)).len(), MAX_PAIRS);
        let over = HeaderMap::from_pairs((0..=MAX_PAIRS).map(|_| ("a", "")));
        assert!(parse_pairs(&serialize_pairs(&over)).is_empty());
    }

    #[test]
    fn one_byte_more_than_the_limit_reads_as_empty() {
        let overhead = 4 + 8 + 1 + 2;
        let full = HeaderMap::from_pairs([("a", vec![b'x'; MAX_PAIRS_BYTES - overhead])]);
        assert_eq!(parse_pairs(&serialize_pairs(&full)).len(), 1);
        let over = HeaderMap::from_pairs([("a", vec![b'x'; MAX_PAIRS_BYTES - overhead + 1])]);
        assert!(parse_pairs(&serialize_pairs(&over)).is_empty());
    }
}
