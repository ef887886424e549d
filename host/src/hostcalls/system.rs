//! Logging, time, timers, properties, metrics and foreign functions.

use std::time::Duration;

use crate::abi::Status;
use crate::call::{Answer, Call, Fault};
use crate::log::{LogLevel, LogSource};
use crate::metrics::MetricKind;
use crate::properties;
use crate::state::{Deferred, RootLife, Tick};

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
    let stream = call.state_mut().stream_mut().ok_or(Status::NotFound)?;
    stream.filter_state.insert(path, value);
    Ok(())
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
    let function = process
        .foreign_functions
        .get(&name)
        .ok_or(Status::NotFound)?;
    let outcome = function(&argument);
    let result = outcome.as_deref().unwrap_or_default();
    // A caller that gives no place for the result does not want it.
    if result_at != 0 {
        let pointer = call.place(result)?;
        call.write_u32(result_at, pointer)?;
    }
    if length_at != 0 {
        call.write_length(length_at, result.len())?;
    }
    outcome.map(drop).map_err(Fault::Status)
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
