//! Logging, time, timers, properties, metrics and foreign functions.

use std::time::Duration;

use crate::abi::Status;
use crate::call::{Answer, Call, Fault};
use crate::filter_state;
use crate::log::{LogLevel, LogSource};
use crate::metrics::MetricKind;
use crate::process::ForeignFunction;
use crate::properties;
use crate::state::{Deferred, HostState, RootLife, Tick};

pub(super) fn log(call: &mut Call<'_>, level: u32, text: u32, length: u32) -> Answer {
    let level = LogLevel::from_guest(level).ok_or(Status::BadArgument)?;
    let message = call.read_text(text, length)?;
    call.state().log(level, LogSource::Guest, message);
    Ok(())
}

pub(super) fn log_level(call: &mut Call<'_>, level_at: u32) -> Answer {
    let level = call.state().process.log.level();
    call.write_u32(level_at, level as u32)
}

pub(super) fn current_time(call: &mut Call<'_>, time_at: u32) -> Answer {
    let now = call.state().process.clock.now();
    call.write_u64(time_at, nanoseconds(now))
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn set_tick_period(call: &mut Call<'_>, period: u32) -> Answer {
    let state = call.state_mut();
    let period = Duration::from_millis(period.into());
    let now = state.process.clock.monotonic();
    state.tick = (period > Duration::ZERO).then(|| Tick {
        period,
        next: now.saturating_add(period),
    });
    Ok(())
}

pub(super) fn property(
    call: &mut Call<'_>,
    path: u32,
    length: u32,
    value_at: u32,
    length_at: u32,
) -> Answer {
    let path = call.read(path, length)?;
    let value = properties::lookup(call.state(), &path)?;
    call.give(&value, value_at, length_at)
}

pub(super) fn set_property(
    call: &mut Call<'_>,
    path: u32,
    length: u32,
    value: u32,
    value_length: u32,
) -> Answer {
    let path = call.read(path, length)?;
    let value = call.read(value, value_length)?;
    let state = call.state_mut();
    let declaration = state.declarations.get(&path).copied().unwrap_or_default();
    let stream = state.stream_mut().ok_or(Status::NotFound)?;
    Ok(stream.filter_state.set(path, value, declaration)?)
}

pub(super) fn set_effective_context(call: &mut Call<'_>, context: u32) -> Answer {
    let state = call.state_mut();
    if !state.has_context(context) {
        return Err(Status::BadArgument.into());
    }
    state.effective = context;
    Ok(())
}

pub(super) fn done(call: &mut Call<'_>) -> Answer {
    let state = call.state_mut();
    if state.root != RootLife::WaitsForDone {
        return Err(Status::NotFound.into());
    }
    state.deferred.push(Deferred::DeleteRoot);
    Ok(())
}

pub(super) fn status(call: &mut Call<'_>, code_at: u32, text_at: u32, length_at: u32) -> Answer {
    // The status is the root context's, whatever the effective context.
    let (code, text) = call.state().status.clone();
    call.write_u32(code_at, code)?;
    call.give(text.as_bytes(), text_at, length_at)
}

pub(super) fn call_foreign_function(
    call: &mut Call<'_>,
    name: u32,
    name_length: u32,
    argument: u32,
    argument_length: u32,
    result_at: u32,
    length_at: u32,
) -> Answer {
    let name = call.read_text(name, name_length)?;
    let argument = call.read(argument, argument_length)?;
    let process = call.state().process.clone();
    let outcome = match process.foreign_functions.get(&name) {
        Some(ForeignFunction::Own(function)) => function(&argument).map(Some),
        Some(ForeignFunction::ClearRouteCache) => {
            clear_route_cache(call.state_mut());
            Ok(None)
        }
        Some(ForeignFunction::DeclareProperty) => {
            declare_property(call.state_mut(), &argument).map(|()| None)
        }
        None => return Err(Status::NotFound.into()),
    };
    let result = match &outcome {
        Ok(Some(result)) => Some(result.as_slice()),
        Ok(None) => None,
        Err(_) => Some(&[][..]),
    };
    // A caller that gives no place for the result does not want it.
    if result_at != 0 {
        let pointer = match result {
            Some(result) => call.place(result)?,
            None => 0,
        };
        call.write_u32(result_at, pointer)?;
    }
    if length_at != 0 {
        call.write_length(length_at, result.unwrap_or_default().len())?;
    }
    outcome.map(drop).map_err(Fault::Status)
}

/// Of a context that is no stream's there is no route; Envoy says so to nobody.
fn clear_route_cache(state: &mut HostState) {
    if let Some(stream) = state.stream_mut() {
        stream.route_cache_clears += 1;
    }
}

/// It is the context whose callback runs that declares, whatever the effective one.
fn declare_property(state: &mut HostState, argument: &[u8]) -> Result<(), Status> {
    let declarations = match state.streams.get_mut(&state.current) {
        Some(stream) => &mut stream.declarations,
        None => &mut state.declarations,
    };
    filter_state::declare(declarations, argument)
}

pub(super) fn define_metric(
    call: &mut Call<'_>,
    kind: u32,
    name: u32,
    length: u32,
    id_at: u32,
) -> Answer {
    let name = call.read_text(name, length)?;
    let kind = MetricKind::from_guest(kind)?;
    let state = call.state_mut();
    let id = state
        .metric_ids
        .define(&state.process.metrics, kind, name)?;
    call.write_u32(id_at, id)
}

pub(super) fn increment_metric(call: &mut Call<'_>, id: u32, offset: i64) -> Answer {
    let state = call.state();
    Ok(state
        .metric_ids
        .increment(&state.process.metrics, id, offset)?)
}

pub(super) fn record_metric(call: &mut Call<'_>, id: u32, value: u64) -> Answer {
    let state = call.state();
    Ok(state.metric_ids.record(&state.process.metrics, id, value)?)
}

pub(super) fn metric(call: &mut Call<'_>, id: u32, value_at: u32) -> Answer {
    let state = call.state();
    let value = state.metric_ids.read(&state.process.metrics, id)?;
    call.write_u64(value_at, value)
}
