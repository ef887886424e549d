//! What the workers of one process share: the key-value store and the queues, both by VM id.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::abi::Status;

type Key = (String, Vec<u8>);

/// The shared key-value store of one process. No entry ever expires.
#[derive(Debug, Default)]
pub struct SharedData {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    values: BTreeMap<Key, (Vec<u8>, u32)>,
    last_cas: u32,
}

impl SharedData {
    /// The value of a key and its compare-and-swap number.
    #[must_use]
    pub fn value(&self, vm_id: &str, key: impl AsRef<[u8]>) -> Option<(Vec<u8>, u32)> {
        self.lock()
            .values
            .get(&(vm_id.to_owned(), key.as_ref().to_vec()))
            .cloned()
    }

    /// The keys that have a value, in order.
    #[must_use]
    pub fn keys(&self, vm_id: &str) -> Vec<Vec<u8>> {
        let entries = self.lock();
        let of_vm = entries.values.keys().filter(|(id, _)| id == vm_id);
        of_vm.map(|(_, key)| key.clone()).collect()
    }

    /// Sets a value, whatever it was, as another worker would.
    pub fn set(&self, vm_id: &str, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.lock()
            .store((vm_id.to_owned(), key.as_ref().to_vec()), value.into());
    }

    /// Envoy's rule: 0 sets in any case, another number only what has this number or does not exist yet.
    pub(crate) fn compare_and_swap(
        &self,
        vm_id: &str,
        key: &[u8],
        value: Vec<u8>,
        cas: u32,
    ) -> Result<(), Status> {
        let mut entries = self.lock();
        let key = (vm_id.to_owned(), key.to_vec());
        if entries
            .values
            .get(&key)
            .is_some_and(|(_, known)| cas != 0 && cas != *known)
        {
            return Err(Status::CasMismatch);
        }
        entries.store(key, value);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn store(&mut self, key: Key, value: Vec<u8>) {
        // 0 means "in any case", so it is nobody's number.
        self.last_cas = self.last_cas.checked_add(1).unwrap_or(1);
        self.values.insert(key, (value, self.last_cas));
    }
}

/// The shared queues of one process.
#[derive(Debug, Default)]
pub(crate) struct SharedQueues {
    queues: Mutex<Vec<Queue>>,
}

#[derive(Debug)]
struct Queue {
    name: Key,
    reader: Reader,
    items: VecDeque<Vec<u8>>,
}

/// Whom to tell that a queue has something: the VM that registered it last, as in Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) instance: u64,
    pub(crate) context_id: u32,
}

impl SharedQueues {
    /// Registers a queue, or takes over one that exists with what is in it; gives its id, counted from 1.
    pub(crate) fn register(&self, vm_id: &str, name: &[u8], reader: Reader) -> Result<u32, Status> {
        let mut queues = self.lock();
        let name = (vm_id.to_owned(), name.to_vec());
        let index = match queues.iter().position(|queue| queue.name == name) {
            Some(index) => index,
            None => {
                queues.push(Queue {
                    name,
                    reader,
                    items: VecDeque::new(),
                });
                queues.len() - 1
            }
        };
        queues[index].reader = reader;
        u32::try_from(index + 1).map_err(|_| Status::InternalFailure)
    }

    pub(crate) fn resolve(&self, vm_id: &str, name: &[u8]) -> Result<u32, Status> {
        let index = self
            .lock()
            .iter()
            .position(|queue| queue.name.0 == vm_id && queue.name.1 == name);
        u32::try_from(index.ok_or(Status::NotFound)? + 1).map_err(|_| Status::InternalFailure)
    }

    pub(crate) fn enqueue(&self, id: u32, item: Vec<u8>) -> Result<Reader, Status> {
        self.with(id, |queue| {
            queue.items.push_back(item);
            queue.reader
        })
    }

    pub(crate) fn dequeue(&self, id: u32) -> Result<Vec<u8>, Status> {
        self.with(id, |queue| queue.items.pop_front())?
            .ok_or(Status::Empty)
    }

    fn with<T>(&self, id: u32, act: impl FnOnce(&mut Queue) -> T) -> Result<T, Status> {
        let index = (id as usize).checked_sub(1).ok_or(Status::NotFound)?;
        self.lock().get_mut(index).map(act).ok_or(Status::NotFound)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
