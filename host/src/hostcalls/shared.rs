//! Shared data and shared queues.

use crate::abi::Status;
use crate::call::{Answer, Call};
use crate::inbox::Event;
use crate::shared::Reader;
use crate::state::ROOT;

pub(super) fn data(
    call: &mut Call<'_>,
    key: u32,
    length: u32,
    value_at: u32,
    length_at: u32,
    cas_at: u32,
) -> Answer {
    let key = call.read(key, length)?;
    let state = call.state();
    let (value, cas) = state
        .process
        .shared_data
        .value(&state.config.vm_id, key)
        .ok_or(Status::NotFound)?;
    call.give(&value, value_at, length_at)?;
    call.write_u32(cas_at, cas)
}

pub(super) fn set_data(
    call: &mut Call<'_>,
    key: u32,
    length: u32,
    value: u32,
    value_length: u32,
    cas: u32,
) -> Answer {
    let key = call.read(key, length)?;
    let value = call.read(value, value_length)?;
    let state = call.state();
    Ok(state
        .process
        .shared_data
        .compare_and_swap(&state.config.vm_id, &key, value, cas)?)
}

pub(super) fn register_queue(call: &mut Call<'_>, name: u32, length: u32, id_at: u32) -> Answer {
    let name = call.read(name, length)?;
    let state = call.state();
    let reader = Reader {
        instance: state.instance,
        context_id: ROOT,
    };
    let id = state
        .process
        .queues
        .register(&state.config.vm_id, &name, reader)?;
    call.write_u32(id_at, id)
}

pub(super) fn resolve_queue(
    call: &mut Call<'_>,
    vm_id: u32,
    vm_id_length: u32,
    name: u32,
    name_length: u32,
    id_at: u32,
) -> Answer {
    let vm_id = call.read_text(vm_id, vm_id_length)?;
    let name = call.read(name, name_length)?;
    let state = call.state();
    let vm_id = if vm_id.is_empty() {
        &state.config.vm_id
    } else {
        &vm_id
    };
    let id = state.process.queues.resolve(vm_id, &name)?;
    call.write_u32(id_at, id)
}

pub(super) fn enqueue(call: &mut Call<'_>, queue: u32, data: u32, length: u32) -> Answer {
    let item = call.read(data, length)?;
    let process = &call.state().process;
    let reader = process.queues.enqueue(queue, item)?;
    process.inbox.put(Event::QueueReady { reader, queue });
    Ok(())
}

pub(super) fn dequeue(call: &mut Call<'_>, queue: u32, data_at: u32, length_at: u32) -> Answer {
    let item = call.state().process.queues.dequeue(queue)?;
    call.give(&item, data_at, length_at)
}
