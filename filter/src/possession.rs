//! What the host knows about the sender of a request, and what its workers know of each other's proofs.

use nexus_core::jose::Sha256Digest;
use nexus_core::replay::{ReplayMemory, SharedMemory, SharedStore, StoreError, Stored};

use crate::host;

/// The digest of the client's certificate, as the host's TLS has seen it: 64 hexadecimal digits. `None` when
/// there is no certificate, and when the host says nothing that can be understood: a token that is bound
/// to one is then refused.
pub(crate) fn certificate() -> Option<Sha256Digest> {
    let digest = host::property(&["connection", "sha256_peer_certificate_digest"]);
    Sha256Digest::from_hex(&digest.ok()??)
}

/// A memory of proofs in the shared data of the host. All workers of a process have the same, if their VMs have one
/// id. `fallback` stands in for random bytes where the host has none.
pub(crate) fn replay_memory(fallback: u64) -> Box<dyn ReplayMemory> {
    let seed = host::random().unwrap_or_else(|| u128::from(fallback).to_be_bytes());
    Box::new(SharedMemory::new(SharedData, seed))
}

/// The shared data of the host.
#[derive(Debug)]
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
