//! Letting a stream go on, answering it, closing it. All of it happens once the guest has returned.

use crate::abi::{Status, StreamType};
use crate::call::{Answer, Call};
use crate::header_map::HeaderMap;
use crate::http::LocalReply;
use crate::state::{Deferred, HostState};

pub(super) fn resume(call: &mut Call<'_>, direction: u32) -> Answer {
    let direction = StreamType::from_guest(direction)?;
    match direction {
        StreamType::Request | StreamType::Response => {}
        StreamType::Downstream => return Ok(()),
        StreamType::Upstream => return Err(Status::Unimplemented.into()),
    }
    let state = call.state_mut();
    // Without a stream there is nothing to do, and Envoy says so to nobody.
    if let Some(stream) = live_stream(state) {
        state
            .deferred
            .push(Deferred::Continue { stream, direction });
        if let Some(stream) = state.streams.get_mut(&stream) {
            stream.request.forget();
        }
    }
    Ok(())
}

pub(super) fn close(call: &mut Call<'_>, direction: u32) -> Answer {
    let direction = StreamType::from_guest(direction)?;
    let state = call.state_mut();
    if matches!(direction, StreamType::Request | StreamType::Response)
        && let Some(stream) = live_stream(state)
    {
        state.deferred.push(Deferred::Close { stream });
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
pub(super) fn reply(
    call: &mut Call<'_>,
    status: u32,
    details: u32,
    details_length: u32,
    body: u32,
    body_length: u32,
    headers: u32,
    headers_length: u32,
    grpc_status: u32,
) -> Answer {
    let details = call.read_text(details, details_length)?;
    let body = call.read(body, body_length)?;
    let headers: HeaderMap = call.read_pairs(headers, headers_length)?;
    let state = call.state_mut();
    if let Some(stream) = live_stream(state) {
        let details = details
            .chars()
            .map(|c| if c.is_ascii_whitespace() { '_' } else { c })
            .collect();
        // 17 and above, -1 among them, is no status.
        let grpc_status = (grpc_status <= 16).then_some(grpc_status);
        let reply = LocalReply {
            status,
            headers,
            body,
            details,
            grpc_status,
        };
        state.deferred.push(Deferred::Reply { stream, reply });
    }
    state.stop_iteration = true;
    Ok(())
}

fn live_stream(state: &HostState) -> Option<u32> {
    state
        .stream()
        .filter(|stream| stream.is_live())
        .map(|_| state.context())
}
