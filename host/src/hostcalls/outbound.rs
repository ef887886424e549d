//! Callouts: HTTP, and as much of gRPC as a host without a gRPC client owes its guest.

use std::time::Duration;

use crate::abi::Status;
use crate::call::{Answer, Call};
use crate::callouts::{Callout, Dispatch, ReplyHandle};
use crate::header_map::{HeaderMap, MapKind};
use crate::inbox::CallId;
use crate::protobuf;
use crate::state::{HostState, PendingCall};

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
pub(super) fn http_call(
    call: &mut Call<'_>,
    cluster: u32,
    cluster_length: u32,
    headers: u32,
    headers_length: u32,
    body: u32,
    body_length: u32,
    trailers: u32,
    trailers_length: u32,
    timeout: u32,
    token_at: u32,
) -> Answer {
    let cluster = call.read_text(cluster, cluster_length)?;
    let body = call.read(body, body_length)?;
    let headers = call.read_pairs(headers, headers_length)?;
    let trailers = call.read_pairs(trailers, trailers_length)?;
    // Envoy proves the place for the token before it sends anything.
    call.write_u32(token_at, 0)?;
    let timeout = (timeout > 0).then(|| Duration::from_millis(timeout.into()));
    let callout = callout(cluster, &headers, body, &trailers, timeout);
    let token = send(call.state_mut(), &callout)?;
    call.write_u32(token_at, token)
}

fn callout(
    cluster: String,
    headers: &HeaderMap,
    body: Vec<u8>,
    trailers: &HeaderMap,
    timeout: Option<Duration>,
) -> Callout {
    let mut headers = MapKind::RequestHeaders.receive(headers);
    if !body.is_empty() {
        MapKind::RequestHeaders.replace(
            &mut headers,
            b"content-length",
            body.len().to_string().as_bytes(),
        );
    }
    Callout {
        cluster,
        headers,
        body,
        trailers: MapKind::Trailers.receive(trailers),
        timeout,
    }
}

fn send(state: &mut HostState, callout: &Callout) -> Result<u32, Status> {
    // A negative number of milliseconds in Envoy's eyes.
    if callout
        .timeout
        .is_some_and(|timeout| timeout.as_millis() > i32::MAX as u128)
    {
        return Err(Status::BadArgument);
    }
    if !state.process.callouts.knows_cluster(&callout.cluster) {
        return Err(Status::BadArgument);
    }
    if ![":path", ":method", ":authority"]
        .iter()
        .all(|name| callout.headers.contains(name))
    {
        return Err(Status::BadArgument);
    }
    let token = state.next_call_token()?;
    let call = CallId {
        instance: state.instance,
        token,
    };
    let now = state.process.clock.monotonic();
    let inbox = &state.process.inbox;
    let ending = match state.process.callouts.dispatch(callout) {
        Dispatch::Refused => return Err(Status::InternalFailure),
        Dispatch::After(delay, outcome) => Some((now.saturating_add(delay), outcome)),
        Dispatch::Held(hold) => {
            hold(ReplyHandle::new(inbox.clone(), call));
            None
        }
        Dispatch::InFlight(start) => {
            inbox.announce(call);
            start(ReplyHandle::new(inbox.clone(), call));
            None
        }
    };
    let deadline = callout.timeout.map(|timeout| now.saturating_add(timeout));
    state.calls.insert(token, PendingCall { deadline, ending });
    Ok(token)
}

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
pub(super) fn grpc_call(
    call: &mut Call<'_>,
    service: u32,
    service_length: u32,
    name: u32,
    name_length: u32,
    method: u32,
    method_length: u32,
    metadata: u32,
    metadata_length: u32,
    message: u32,
    message_length: u32,
    _timeout: u32,
    _token_at: u32,
) -> Answer {
    call.read(message, message_length)?;
    open_grpc(
        call,
        (service, service_length),
        &[
            (name, name_length),
            (method, method_length),
            (metadata, metadata_length),
        ],
    )
}

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
pub(super) fn grpc_stream(
    call: &mut Call<'_>,
    service: u32,
    service_length: u32,
    name: u32,
    name_length: u32,
    method: u32,
    method_length: u32,
    metadata: u32,
    metadata_length: u32,
    _token_at: u32,
) -> Answer {
    open_grpc(
        call,
        (service, service_length),
        &[
            (name, name_length),
            (method, method_length),
            (metadata, metadata_length),
        ],
    )
}

/// Answers as Envoy does where no gRPC call comes about: `ParseFailure` for what is neither a serialized `GrpcService`
/// nor a cluster's name, `BadArgument` for a `GrpcService` without target, `InternalFailure` where the call cannot be
/// sent, which in this host is every call.
fn open_grpc(call: &mut Call<'_>, service: (u32, u32), others: &[(u32, u32)]) -> Answer {
    let service = call.read(service.0, service.1)?;
    for (pointer, length) in others {
        call.read(*pointer, *length)?;
    }
    let fields = protobuf::fields(&service);
    Err(match fields {
        // `envoy_grpc` and `google_grpc`, the two kinds of target.
        Some(fields) if fields.iter().any(|(number, _)| matches!(number, 1 | 2)) => {
            Status::InternalFailure
        }
        Some(_) => Status::BadArgument,
        None if call
            .state()
            .process
            .callouts
            .knows_cluster(&String::from_utf8_lossy(&service)) =>
        {
            Status::InternalFailure
        }
        None => Status::ParseFailure,
    }
    .into())
}

pub(super) fn grpc_send(
    call: &mut Call<'_>,
    token: u32,
    message: u32,
    length: u32,
    _end_of_stream: u32,
) -> Answer {
    call.read(message, length)?;
    Err(match token & GRPC_KIND {
        GRPC_STREAM => Status::NotFound,
        _ => Status::BadArgument,
    }
    .into())
}

/// `proxy_grpc_cancel` and `proxy_grpc_close`: no call or stream exists, so none is found.
pub(super) fn grpc_end(_call: &mut Call<'_>, token: u32) -> Answer {
    Err(match token & GRPC_KIND {
        GRPC_CALL | GRPC_STREAM => Status::NotFound,
        _ => Status::BadArgument,
    }
    .into())
}

/// The bits of a callout id that say what it is, as in Envoy.
const GRPC_KIND: u32 = 0b11;
const GRPC_CALL: u32 = 1;
const GRPC_STREAM: u32 = 2;
