//! The store and the bells of a process, and how they fail.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Weak;

use nexus_core::shared::{ANY_NUMBER, Process, SharedStore, StoreError, Stored};

use super::world::World;

/// Values that are swapped as a whole.
#[derive(Debug, Default)]
pub(crate) struct Store {
    values: BTreeMap<String, (Vec<u8>, u32)>,
    writes: u32,
    /// Until when it does nothing.
    pub(crate) fails_until: u64,
}

impl Store {
    /// How many sources it has the content of.
    pub(crate) fn contents(&self) -> usize {
        let contents = self.values.iter();
        contents
            .filter(|(key, (value, _))| key.starts_with("nexus.content.") && !value.is_empty())
            .count()
    }
}

/// News on their way.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    pub(crate) at: u64,
    pub(crate) bell: u32,
    pub(crate) topic: Vec<u8>,
}

/// What one engine sees of its process. Between a look at the store and a write others get on.
pub(crate) struct Member {
    pub(crate) world: Weak<World>,
    /// Its own, which is also the name of its engine.
    pub(crate) bell: u32,
    /// Of a hundred, how many calls fail by themselves.
    pub(crate) failing: u64,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("bell", &self.bell).finish()
    }
}

impl Member {
    fn world(&self) -> std::rc::Rc<World> {
        self.world.upgrade().expect("engines go before their world")
    }

    fn check(&self, world: &World) -> Result<(), StoreError> {
        let state = &mut *world.state.borrow_mut();
        if state.now < state.store.fails_until {
            return Err(StoreError);
        }
        if self.failing > 0 && !state.is_healed && state.random.percent(self.failing) {
            // What this engine knows by itself differs from what the others do: pauses may be one step too short
            // until they grow no more.
            state
                .ledgers
                .iter_mut()
                .for_each(|ledger| ledger.forgive(8));
            return Err(StoreError);
        }
        Ok(())
    }
}

impl SharedStore for Member {
    fn read(&mut self, key: &str) -> Result<Option<Stored>, StoreError> {
        let world = self.world();
        world.interleave();
        self.check(&world)?;
        let state = world.state.borrow();
        let stored = state.store.values.get(key).cloned();
        Ok(stored.map(|(value, number)| Stored { value, number }))
    }

    fn swap(&mut self, key: &str, value: &[u8], number: u32) -> Result<bool, StoreError> {
        let world = self.world();
        world.interleave();
        self.check(&world)?;
        let state = &mut *world.state.borrow_mut();
        if state.faults.contention && number != ANY_NUMBER && state.random.percent(10) {
            return Ok(false);
        }
        let store = &mut state.store;
        let fits = match store.values.get(key) {
            None => true,
            Some((_, current)) => number == ANY_NUMBER || number == *current,
        };
        if fits {
            store.writes += 1;
            let entry = (value.to_vec(), store.writes);
            store.values.insert(key.into(), entry);
        }
        Ok(fits)
    }
}

impl Process for Member {
    fn bell(&mut self) -> Option<u32> {
        Some(self.bell)
    }

    fn ring(&mut self, bell: u32, topic: &[u8]) {
        self.world().ring(bell, topic);
    }
}
