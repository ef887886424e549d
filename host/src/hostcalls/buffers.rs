//! Bodies and configurations.

use crate::abi::{BufferType, Status};
use crate::call::{Answer, Call};
use crate::state::HostState;

pub(super) fn bytes(
    call: &mut Call<'_>,
    buffer: u32,
    start: u32,
    most: u32,
    data_at: u32,
    length_at: u32,
) -> Answer {
    let data = readable(call.state(), BufferType::from_guest(buffer)?).ok_or(Status::NotFound)?;
    // A start and a length that overflow 32 bits are no error: Envoy adds them with 64.
    let start = start as usize;
    let end = start.saturating_add(most as usize).min(data.len());
    let Some(part) = data.get(start..end).filter(|part| !part.is_empty()) else {
        // Nothing there is no error, and nothing is written.
        return Ok(());
    };
    let part = part.to_vec();
    call.give(&part, data_at, length_at)
}

pub(super) fn status(call: &mut Call<'_>, buffer: u32, length_at: u32, flags_at: u32) -> Answer {
    let buffer = BufferType::from_guest(buffer)?;
    let length = readable(call.state(), buffer)
        .ok_or(Status::NotFound)?
        .len();
    call.write_length(length_at, length)?;
    call.write_u32(flags_at, 0)
}

pub(super) fn set_bytes(
    call: &mut Call<'_>,
    buffer: u32,
    start: u32,
    size: u32,
    data: u32,
    length: u32,
) -> Answer {
    let buffer = BufferType::from_guest(buffer)?;
    readable(call.state(), buffer).ok_or(Status::NotFound)?;
    let data = call.read(data, length)?;
    let target = writable(call.state_mut(), buffer).ok_or(Status::BadArgument)?;
    if start == 0 {
        // Envoy drains what is replaced from the front, and puts the new bytes there.
        target.splice(..(size as usize).min(target.len()), data);
    } else if start as usize >= target.len() {
        target.extend(data);
    } else {
        return Err(Status::BadArgument.into());
    }
    Ok(())
}

/// What a buffer holds; `None` if there is no such buffer now. A body that is not there is an empty one.
fn readable(state: &HostState, buffer: BufferType) -> Option<&[u8]> {
    match buffer {
        BufferType::RequestBody => Some(
            state
                .stream()
                .and_then(|stream| stream.request.body())
                .unwrap_or_default(),
        ),
        BufferType::ResponseBody => {
            let side = state.stream().and_then(|stream| stream.response.as_ref());
            Some(side.and_then(|side| side.body()).unwrap_or_default())
        }
        // This host has no TCP streams and no gRPC calls, so these are never filled.
        BufferType::DownstreamData | BufferType::UpstreamData | BufferType::GrpcMessage => {
            Some(&[])
        }
        BufferType::CalloutBody => state.call_reply.as_ref().map(|reply| reply.body.as_slice()),
        BufferType::VmConfiguration => Some(&state.config.vm_configuration),
        BufferType::PluginConfiguration => state
            .reads_plugin_configuration
            .then_some(state.config.plugin_configuration.as_slice()),
        BufferType::CallData => Some(&state.call_data),
    }
}

fn writable(state: &mut HostState, buffer: BufferType) -> Option<&mut Vec<u8>> {
    let stream = state.stream_mut()?;
    match buffer {
        BufferType::RequestBody => stream.request.body_mut(),
        BufferType::ResponseBody => stream.response.as_mut()?.body_mut(),
        _ => None,
    }
}
