//! What the host's workers share: its shared data, and its shared queues as bells.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use nexus_core::replay::{ReplayMemory, SharedMemory};
use nexus_core::shared::{Process, SharedStore, StoreError, Stored};

use crate::host;

/// The process, for the engine of one root context.
pub(crate) struct HostProcess {
    /// The name of this engine's queue, which no other engine has.
    name: String,
    /// Its number. It is registered when it is asked for, so that a configuration which is only tried leaves none.
    bell: Bell,
}

enum Bell {
    Unregistered,
    Registered(u32),
    /// The host has no queues.
    None,
}

impl HostProcess {
    /// `member` is a number that no other engine of the process has.
    pub(crate) fn new(member: u64) -> Self {
        Self {
            name: format!("nexus.bell.{member:016x}"),
            bell: Bell::Unregistered,
        }
    }
}

impl SharedStore for HostProcess {
    fn read(&mut self, key: &str) -> Result<Option<Stored>, StoreError> {
        SharedData.read(key)
    }

    fn swap(&mut self, key: &str, value: &[u8], number: u32) -> Result<bool, StoreError> {
        SharedData.swap(key, value, number)
    }
}

impl Process for HostProcess {
    fn bell(&mut self) -> Option<u32> {
        if matches!(self.bell, Bell::Unregistered) {
            self.bell = host::register_queue(&self.name).map_or(Bell::None, Bell::Registered);
        }
        match self.bell {
            Bell::Registered(queue) => Some(queue),
            Bell::Unregistered | Bell::None => None,
        }
    }

    fn ring(&mut self, bell: u32, topic: &[u8]) {
        // Whoever is not there any more has no use for the news.
        let _ = host::enqueue(bell, topic);
    }
}

/// A memory of proofs in the shared data of the host. All workers of a process have the same, if their VMs have one
/// id. `seed` is random.
pub(crate) fn replay_memory(seed: [u8; 16]) -> Box<dyn ReplayMemory> {
    Box::new(SharedMemory::new(SharedData, seed))
}

/// The shared data of the host.
struct SharedData;

impl SharedStore for SharedData {
    fn read(&mut self, key: &str) -> Result<Option<Stored>, StoreError> {
        match host::shared_data(key) {
            Ok(found) => Ok(found.map(|(value, number)| Stored { value, number })),
            Err(_) => Err(StoreError),
        }
    }

    fn swap(&mut self, key: &str, value: &[u8], number: u32) -> Result<bool, StoreError> {
        host::swap_shared_data(key, value, number).map_err(|_| StoreError)
    }
}
