//! Header maps: which one may be read or changed when, and how.

use crate::abi::{MapType, Status, serialize_pairs};
use crate::call::{Answer, Call};
use crate::header_map::{HeaderMap, MapKind};
use crate::state::HostState;
use crate::stream_state::{Context, HttpStream};

pub(super) fn size(call: &mut Call<'_>, map: u32, size_at: u32) -> Answer {
    // Envoy asks for the map as if to change it.
    let size = writable(call.state_mut(), MapType::from_guest(map)?)?
        .1
        .byte_size();
    call.write_length(size_at, size)
}

pub(super) fn pairs(call: &mut Call<'_>, map: u32, data_at: u32, length_at: u32) -> Answer {
    // A map that cannot be read now is an empty one here, and only here.
    let bytes =
        readable(call.state(), MapType::from_guest(map)?).map(|(_, map)| serialize_pairs(map));
    call.give(&bytes.unwrap_or_default(), data_at, length_at)
}

pub(super) fn set_pairs(call: &mut Call<'_>, map: u32, data: u32, length: u32) -> Answer {
    let map = MapType::from_guest(map)?;
    let pairs = call.read_pairs(data, length)?;
    let (kind, target) = writable(call.state_mut(), map)?;
    *target = kind.receive(&pairs);
    Ok(())
}

pub(super) fn value(
    call: &mut Call<'_>,
    map: u32,
    name: u32,
    name_length: u32,
    value_at: u32,
    length_at: u32,
) -> Answer {
    let map = MapType::from_guest(map)?;
    let name = call.read(name, name_length)?;
    let state = call.state();
    let unreadable = match state.stream().map(|stream| stream.context) {
        Some(Context::Logging) => Status::NotFound,
        _ => Status::BadArgument,
    };
    let (kind, map) = readable(state, map).ok_or(unreadable)?;
    let value = kind.first(map, &name).ok_or(Status::NotFound)?;
    call.give(&value, value_at, length_at)
}

pub(super) fn add(
    call: &mut Call<'_>,
    map: u32,
    name: u32,
    name_length: u32,
    value: u32,
    length: u32,
) -> Answer {
    change(
        call,
        map,
        (name, name_length),
        (value, length),
        MapKind::add,
    )
}

pub(super) fn replace(
    call: &mut Call<'_>,
    map: u32,
    name: u32,
    name_length: u32,
    value: u32,
    length: u32,
) -> Answer {
    change(
        call,
        map,
        (name, name_length),
        (value, length),
        MapKind::replace,
    )
}

pub(super) fn remove(call: &mut Call<'_>, map: u32, name: u32, name_length: u32) -> Answer {
    let map = MapType::from_guest(map)?;
    let name = call.read(name, name_length)?;
    let (kind, map) = writable(call.state_mut(), map)?;
    kind.remove(map, &name);
    Ok(())
}

fn change(
    call: &mut Call<'_>,
    map: u32,
    name: (u32, u32),
    value: (u32, u32),
    act: impl FnOnce(MapKind, &mut HeaderMap, &[u8], &[u8]),
) -> Answer {
    let map = MapType::from_guest(map)?;
    let name = call.read(name.0, name.1)?;
    let value = call.read(value.0, value.1)?;
    let (kind, map) = writable(call.state_mut(), map)?;
    act(kind, map, &name, &value);
    Ok(())
}

/// The map if it may be read now.
fn readable(state: &HostState, map: MapType) -> Option<(MapKind, &HeaderMap)> {
    let stream = state.stream();
    let logging = stream.is_some_and(|stream| stream.context == Context::Logging);
    let found = match map {
        MapType::RequestHeaders if logging => Some(stream?.request.headers()),
        MapType::RequestHeaders => stream?.request.readable_headers(),
        MapType::RequestTrailers if logging => None,
        MapType::RequestTrailers => stream?.request.readable_trailers(),
        MapType::ResponseHeaders => return response_headers(stream?, logging),
        MapType::ResponseTrailers if logging => stream?.response.as_ref()?.trailers(),
        MapType::ResponseTrailers => stream?.response.as_ref()?.readable_trailers(),
        MapType::CalloutHeaders => {
            return Some((
                MapKind::ResponseHeaders,
                &state.call_reply.as_ref()?.headers,
            ));
        }
        MapType::CalloutTrailers => state
            .call_reply
            .as_ref()
            .map(|reply| &reply.trailers)
            .filter(|map| !map.is_empty()),
        MapType::GrpcInitialMetadata | MapType::GrpcTrailingMetadata => None,
    };
    Some((kind_of(map), found?))
}

fn response_headers(stream: &HttpStream, logging: bool) -> Option<(MapKind, &HeaderMap)> {
    let headers = match (&stream.direct, &stream.response) {
        (Some(direct), _) if logging => &direct.headers,
        (_, Some(side)) if logging => side.headers(),
        (_, Some(side)) => side.readable_headers()?,
        (_, None) => return None,
    };
    Some((MapKind::ResponseHeaders, headers))
}

/// The map if it may be changed now: only those of the stream itself, while the filter holds them.
fn writable(state: &mut HostState, map: MapType) -> Result<(MapKind, &mut HeaderMap), Status> {
    let stream = state.stream_mut().ok_or(Status::BadArgument)?;
    let found = match map {
        MapType::RequestHeaders => stream.request.writable_headers(),
        MapType::RequestTrailers => stream.request.writable_trailers(),
        MapType::ResponseHeaders => stream
            .response
            .as_mut()
            .and_then(|side| side.writable_headers()),
        MapType::ResponseTrailers => stream
            .response
            .as_mut()
            .and_then(|side| side.writable_trailers()),
        MapType::GrpcInitialMetadata
        | MapType::GrpcTrailingMetadata
        | MapType::CalloutHeaders
        | MapType::CalloutTrailers => None,
    };
    Ok((kind_of(map), found.ok_or(Status::BadArgument)?))
}

fn kind_of(map: MapType) -> MapKind {
    match map {
        MapType::RequestHeaders => MapKind::RequestHeaders,
        MapType::ResponseHeaders | MapType::CalloutHeaders | MapType::GrpcInitialMetadata => {
            MapKind::ResponseHeaders
        }
        MapType::RequestTrailers
        | MapType::ResponseTrailers
        | MapType::CalloutTrailers
        | MapType::GrpcTrailingMetadata => MapKind::Trailers,
    }
}
