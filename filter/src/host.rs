//! The host's functions (proxy-wasm ABI 0.2.1), as calls that return results.
//!
//! The SDK's own wrappers panic on a status that they do not expect and on header bytes that are not
//! UTF-8, and its `Status` is an `enum` that a host could fill with a number it has no name for. Here
//! a status is a number, and what a host says is checked before it is believed.

#![expect(unsafe_code, reason = "the host's functions are foreign functions")]

use alloc::vec;
use alloc::vec::Vec;
use core::ptr::{null, null_mut};
use core::time::Duration;

/// What the host said instead of `Ok`, as a number of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostError(pub(crate) u32);

/// `NotFound`: of a foreign function, that the host has none of that name.
const NOT_FOUND: HostError = HostError(1);

/// `BadArgument`.
const BAD_ARGUMENT: HostError = HostError(2);

/// `InternalFailure`: also for an answer of the host that makes no sense.
const INTERNAL_FAILURE: HostError = HostError(10);

/// `CasMismatch`: somebody else was faster.
const CAS_MISMATCH: HostError = HostError(8);

/// The levels of the host's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
}

/// The header maps that the filter uses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Map {
    Request = 0,
    CallResponse = 6,
}

/// The buffers that the filter uses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Buffer {
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

mod sys {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
        pub(super) fn proxy_get_log_level(level: *mut u32) -> u32;
        pub(super) fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
        pub(super) fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
        pub(super) fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            max_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_get_header_map_pairs(
            map: u32,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_get_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_add_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_replace_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_remove_header_map_value(
            map: u32,
            key: *const u8,
            key_size: usize,
        ) -> u32;
        pub(super) fn proxy_continue_stream(stream: u32) -> u32;
        pub(super) fn proxy_send_local_response(
            status: u32,
            details: *const u8,
            details_size: usize,
            body: *const u8,
            body_size: usize,
            headers: *const u8,
            headers_size: usize,
            grpc_status: i32,
        ) -> u32;
        pub(super) fn proxy_http_call(
            cluster: *const u8,
            cluster_size: usize,
            headers: *const u8,
            headers_size: usize,
            body: *const u8,
            body_size: usize,
            trailers: *const u8,
            trailers_size: usize,
            timeout: u32,
            token: *mut u32,
        ) -> u32;
        pub(super) fn proxy_set_effective_context(context: u32) -> u32;
        pub(super) fn proxy_define_metric(
            kind: u32,
            name: *const u8,
            name_size: usize,
            id: *mut u32,
        ) -> u32;
        pub(super) fn proxy_increment_metric(id: u32, offset: i64) -> u32;
        pub(super) fn proxy_set_property(
            path: *const u8,
            path_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_call_foreign_function(
            name: *const u8,
            name_size: usize,
            argument: *const u8,
            argument_size: usize,
            result: *mut *mut u8,
            result_size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_get_property(
            path: *const u8,
            path_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_get_shared_data(
            key: *const u8,
            key_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
            number: *mut u32,
        ) -> u32;
        pub(super) fn proxy_set_shared_data(
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
            number: u32,
        ) -> u32;
        pub(super) fn proxy_register_shared_queue(
            name: *const u8,
            name_size: usize,
            queue: *mut u32,
        ) -> u32;
        pub(super) fn proxy_enqueue_shared_queue(
            queue: u32,
            item: *const u8,
            item_size: usize,
        ) -> u32;
        pub(super) fn proxy_dequeue_shared_queue(
            queue: u32,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
    }

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) fn environ_sizes_get(count: *mut usize, size: *mut usize) -> i32;
        pub(super) fn environ_get(entries: *mut *mut u8, data: *mut u8) -> i32;
        pub(super) fn random_get(data: *mut u8, size: usize) -> i32;
        pub(super) fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> i32;
    }
}

const fn check(status: u32) -> Result<(), HostError> {
    match status {
        0 => Ok(()),
        other => Err(HostError(other)),
    }
}

/// Takes over memory that the host filled: `proxy_on_memory_allocate` gave it `size` bytes.
fn take(data: *mut u8, size: usize) -> Vec<u8> {
    if data.is_null() || size == 0 {
        return Vec::new();
    }
    // SAFETY: the host got `data` from this module's `proxy_on_memory_allocate(size)`, which gives exactly `size` bytes of
    // alignment 1 away, filled all of them, and hands them over once.
    unsafe { Vec::from_raw_parts(data, size, size) }
}

/// Writes a line to the host's log. A log that fails is not worth failing for.
pub(crate) fn log(level: LogLevel, message: &str) {
    // SAFETY: pointer and length are of one live string.
    unsafe {
        sys::proxy_log(level as u32, message.as_ptr(), message.len());
    }
}

/// The level, as a number, from which on the host keeps lines; a host that does not say keeps those above `Debug`.
pub(crate) fn log_threshold() -> u32 {
    let mut threshold = LogLevel::Info as u32;
    // SAFETY: the pointer is to a live local.
    let status = unsafe { sys::proxy_get_log_level(&mut threshold) };
    match check(status) {
        Ok(()) => threshold,
        Err(_) => LogLevel::Info as u32,
    }
}

/// Nanoseconds since the epoch.
pub(crate) fn now_nanos() -> Result<u64, HostError> {
    let mut time = 0;
    // SAFETY: the pointer is to a live local.
    check(unsafe { sys::proxy_get_current_time_nanoseconds(&mut time) })?;
    Ok(time)
}

/// Milliseconds of a clock that nobody sets, since whenever; `None` when the host has none.
pub(crate) fn steady_millis() -> Option<u64> {
    // `CLOCK_MONOTONIC` of WASI.
    const MONOTONIC: u32 = 1;
    let mut nanos = 0;
    // SAFETY: the pointer is to a live local.
    let errno = unsafe { sys::clock_time_get(MONOTONIC, 0, &mut nanos) };
    (errno == 0).then(|| nanos.wrapping_div(1_000_000))
}

/// A variable of the VM's environment.
pub(crate) fn variable(name: &str) -> Option<Vec<u8>> {
    let (mut count, mut size) = (0, 0);
    // SAFETY: the pointers are to live locals.
    let errno = unsafe { sys::environ_sizes_get(&mut count, &mut size) };
    if errno != 0 {
        return None;
    }
    let (mut entries, mut data) = (vec![null_mut(); count], vec![0; size]);
    // SAFETY: there is room for as many entries and bytes as the host said.
    let errno = unsafe { sys::environ_get(entries.as_mut_ptr(), data.as_mut_ptr()) };
    if errno != 0 {
        return None;
    }
    // `name=value`, each with a zero byte at its end.
    data.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(value.to_vec())
    })
}

/// Asks for a tick of the root context every `millis` milliseconds; 0 for none.
pub(crate) fn set_tick_period(millis: u32) -> Result<(), HostError> {
    // SAFETY: no pointer is passed.
    check(unsafe { sys::proxy_set_tick_period_milliseconds(millis) })
}

/// Up to `max_size` bytes of a buffer.
pub(crate) fn buffer(buffer: Buffer, max_size: usize) -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the pointers are to live locals.
    let status =
        unsafe { sys::proxy_get_buffer_bytes(buffer as u32, 0, max_size, &mut data, &mut size) };
    match status {
        // An empty buffer is told as one that is not there.
        1 => Ok(Vec::new()),
        other => check(other).map(|()| take(data, size)),
    }
}

/// All pairs of a header map.
pub(crate) fn pairs(map: Map) -> Result<Pairs, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the pointers are to live locals.
    check(unsafe { sys::proxy_get_header_map_pairs(map as u32, &mut data, &mut size) })?;
    Ok(Pairs(take(data, size)))
}

/// The first value of a header.
pub(crate) fn first_value(map: Map, name: &str) -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the pointers are to a live string and to live locals.
    check(unsafe {
        sys::proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), &mut data, &mut size)
    })?;
    Ok(take(data, size))
}

/// Adds a header to the request, which has none of that name.
pub(crate) fn add_request_header(name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: pointers and lengths are of a live string and a live slice.
    check(unsafe {
        sys::proxy_add_header_map_value(
            Map::Request as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Sets a header of the request to one value.
pub(crate) fn replace_request_header(name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: pointers and lengths are of a live string and a live slice.
    check(unsafe {
        sys::proxy_replace_header_map_value(
            Map::Request as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Removes every value of a header of the request.
pub(crate) fn remove_request_header(name: &[u8]) -> Result<(), HostError> {
    // SAFETY: pointer and length are of one live slice.
    check(unsafe {
        sys::proxy_remove_header_map_value(Map::Request as u32, name.as_ptr(), name.len())
    })
}

/// Lets the request of the effective context go on.
pub(crate) fn continue_request() -> Result<(), HostError> {
    // SAFETY: no pointer is passed.
    check(unsafe { sys::proxy_continue_stream(0) })
}

/// Answers the request of the effective context. `details` end up in Envoy's response code details.
pub(crate) fn send_local_response(
    status: u16,
    details: &str,
    headers: &[(&str, impl AsRef<str>)],
    body: &str,
) -> Result<(), HostError> {
    let headers = serialize(headers)?;
    // SAFETY: pointers and lengths are of live strings and slices. -1 is no gRPC status.
    check(unsafe {
        sys::proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        )
    })
}

/// Makes another context the one that the following calls are about.
pub(crate) fn set_effective_context(context: u32) -> Result<(), HostError> {
    // SAFETY: no pointer is passed.
    check(unsafe { sys::proxy_set_effective_context(context) })
}

/// Defines a counter, or finds the one of that name.
pub(crate) fn define_counter(name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: the pointers are to a live string and a live local. 0 is a counter.
    check(unsafe { sys::proxy_define_metric(0, name.as_ptr(), name.len(), &mut id) })?;
    Ok(id)
}

/// Adds to a counter.
pub(crate) fn increment(id: u32, by: u32) -> Result<(), HostError> {
    // SAFETY: no pointer is passed.
    check(unsafe { sys::proxy_increment_metric(id, i64::from(by)) })
}

/// Says that the property of that name is text, so that a CEL expression compares it with text. Envoy keeps the
/// declaration with the root context, and refuses one that it has already.
pub(crate) fn declare_text_property(name: &str) -> Result<(), HostError> {
    // `DeclarePropertyArguments` in protobuf: field 1 the name, field 3 the type, of which 1 is text.
    let length = u8::try_from(name.len())
        .ok()
        .filter(|length| *length < 0x80)
        .ok_or(INTERNAL_FAILURE)?;
    let mut argument = vec![0x0a, length];
    argument.extend_from_slice(name.as_bytes());
    argument.extend_from_slice(&[0x18, 1]);
    match call_foreign_function("declare_property", &argument) {
        Err(BAD_ARGUMENT) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Keeps a value with the request of the effective context; Envoy does so in its filter state as `wasm.NAME`.
pub(crate) fn set_property(name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: pointers and lengths are of live slices.
    check(unsafe {
        sys::proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// Has the route of the effective context's request found anew. An Envoy before 1.33 has no function for that: it
/// does so by itself whenever a filter changes headers.
pub(crate) fn clear_route_cache() -> Result<(), HostError> {
    match call_foreign_function("clear_route_cache", &[]) {
        Err(NOT_FOUND) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Calls a function that is the proxy's own, and gives what it returns.
pub(crate) fn call_foreign_function(name: &str, argument: &[u8]) -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: pointers and lengths are of live slices, the others are to live locals.
    let status = unsafe {
        sys::proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            argument.as_ptr(),
            argument.len(),
            &mut data,
            &mut size,
        )
    };
    let result = take(data, size);
    check(status).map(|()| result)
}

/// The value of a property; `None` when there is none. The names of `path` go from the outside in.
pub(crate) fn property(path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
    let path = path.join("\0");
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the pointers are to a live string and to live locals.
    let status =
        unsafe { sys::proxy_get_property(path.as_ptr(), path.len(), &mut data, &mut size) };
    match check(status) {
        Ok(()) => Ok(Some(take(data, size))),
        Err(NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A value that the VMs of one id share, and the number by which it is swapped; `None` when there is none.
pub(crate) fn shared_data(key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
    let (mut data, mut size, mut number) = (null_mut(), 0, 0);
    // SAFETY: the pointers are to a live string and to live locals.
    let status = unsafe {
        sys::proxy_get_shared_data(key.as_ptr(), key.len(), &mut data, &mut size, &mut number)
    };
    match check(status) {
        Ok(()) => Ok(Some((take(data, size), number))),
        Err(NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets a shared value if its number still is `number`, or if there is none; says whether it did. The
/// number 0 sets it in any case.
pub(crate) fn swap_shared_data(key: &str, value: &[u8], number: u32) -> Result<bool, HostError> {
    // SAFETY: pointers and lengths are of a live string and a live slice.
    let status = unsafe {
        sys::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), number)
    };
    match check(status) {
        Ok(()) => Ok(true),
        Err(CAS_MISMATCH) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A queue of this name that the root context is told about.
pub(crate) fn register_queue(name: &str) -> Result<u32, HostError> {
    let mut queue = 0;
    // SAFETY: the pointers are to a live string and a live local.
    check(unsafe { sys::proxy_register_shared_queue(name.as_ptr(), name.len(), &mut queue) })?;
    Ok(queue)
}

/// Puts something into a queue; whoever registered it is told.
pub(crate) fn enqueue(queue: u32, item: &[u8]) -> Result<(), HostError> {
    // SAFETY: pointer and length are of one live slice.
    check(unsafe { sys::proxy_enqueue_shared_queue(queue, item.as_ptr(), item.len()) })
}

/// Takes the next thing out of a queue; `None` when it has nothing.
pub(crate) fn dequeue(queue: u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the pointers are to live locals.
    let status = unsafe { sys::proxy_dequeue_shared_queue(queue, &mut data, &mut size) };
    check(status).ok().map(|()| take(data, size))
}

/// Random bytes; `None` when the host gives none.
pub(crate) fn random() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    // SAFETY: pointer and length are of one live array.
    let errno = unsafe { sys::random_get(bytes.as_mut_ptr(), bytes.len()) };
    (errno == 0).then_some(bytes)
}

/// Sends a request without body; the token comes back with the answer.
pub(crate) fn http_call(
    cluster: &str,
    headers: &[(&str, &str)],
    timeout: Duration,
) -> Result<u32, HostError> {
    let headers = serialize(headers)?;
    let trailers = serialize::<&str>(&[])?;
    let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let mut token = 0;
    // SAFETY: pointers and lengths are of a live string and of live vectors, the body is empty, and the last
    // pointer is to a live local.
    check(unsafe {
        sys::proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            null(),
            0,
            trailers.as_ptr(),
            trailers.len(),
            timeout,
            &mut token,
        )
    })?;
    Ok(token)
}

/// Pairs in the ABI's form: their number, the lengths of all, then all names and values, each with a NUL.
fn serialize<V: AsRef<str>>(pairs: &[(&str, V)]) -> Result<Vec<u8>, HostError> {
    let length = |text: &str| {
        u32::try_from(text.len())
            .map(u32::to_le_bytes)
            .map_err(|_| INTERNAL_FAILURE)
    };
    let texts = || {
        pairs
            .iter()
            .flat_map(|(name, value)| [*name, value.as_ref()])
    };
    let size = texts().fold(4_usize, |size, text| {
        size.saturating_add(text.len()).saturating_add(5)
    });
    let mut bytes = Vec::with_capacity(size);
    let count = u32::try_from(pairs.len()).map_err(|_| INTERNAL_FAILURE)?;
    bytes.extend_from_slice(&count.to_le_bytes());
    for text in texts() {
        bytes.extend_from_slice(&length(text)?);
    }
    for text in texts() {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    Ok(bytes)
}

/// A name and a value.
pub(crate) type Pair<'p> = (&'p [u8], &'p [u8]);

/// The pairs of a header map as the host serialized them.
pub(crate) struct Pairs(Vec<u8>);

impl Pairs {
    /// The names and values.
    ///
    /// # Errors
    /// When the bytes are not in the ABI's form.
    pub(crate) fn parse(&self) -> Result<Vec<Pair<'_>>, HostError> {
        self.parse_checked().ok_or(INTERNAL_FAILURE)
    }

    fn parse_checked(&self) -> Option<Vec<Pair<'_>>> {
        if self.0.is_empty() {
            return Some(Vec::new());
        }
        let (count, mut lengths) = read_length(&self.0)?;
        let mut data = lengths.get(count.checked_mul(8)?..)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let (name_length, rest) = read_length(lengths)?;
            let (value_length, rest) = read_length(rest)?;
            lengths = rest;
            let (name, rest) = read_text(data, name_length)?;
            let (value, rest) = read_text(rest, value_length)?;
            data = rest;
            pairs.push((name, value));
        }
        Some(pairs)
    }
}

fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*length)).ok()?, rest))
}

/// A text and what stands behind its NUL.
fn read_text(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    Some((text, rest.get(1..)?))
}
