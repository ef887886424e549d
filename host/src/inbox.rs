//! What reaches the workers from outside their own VM: answers to callouts and news of queues.
//!
//! Other threads only ever put something in; the thread that drives the process takes it out.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::callouts::CalloutOutcome;
use crate::shared::Reader;

/// A callout of one VM. The instance makes sure that a VM that was reloaded gets no answer of its predecessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId {
    pub(crate) instance: u64,
    pub(crate) token: u32,
}

#[derive(Debug)]
pub(crate) enum Event {
    Answered {
        call: CallId,
        outcome: CalloutOutcome,
    },
    QueueReady {
        reader: Reader,
        queue: u32,
    },
}

impl Event {
    pub(crate) fn instance(&self) -> u64 {
        match self {
            Self::Answered { call, .. } => call.instance,
            Self::QueueReady { reader, .. } => reader.instance,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Content {
    events: VecDeque<Event>,
    in_flight: BTreeSet<CallId>,
}

impl Inbox {
    pub(crate) fn put(&self, event: Event) {
        self.lock().events.push_back(event);
        self.changed.notify_all();
    }

    pub(crate) fn take(&self) -> Option<Event> {
        self.lock().events.pop_front()
    }

    pub(crate) fn announce(&self, call: CallId) {
        self.lock().in_flight.insert(call);
    }

    pub(crate) fn is_in_flight(&self, call: CallId) -> bool {
        self.lock().in_flight.contains(&call)
    }

    pub(crate) fn answer(&self, call: CallId, outcome: CalloutOutcome) {
        let mut content = self.lock();
        content.in_flight.remove(&call);
        content.events.push_back(Event::Answered { call, outcome });
        drop(content);
        self.changed.notify_all();
    }

    /// Waits until there is an event, or nothing is in flight. Says whether there is an event.
    pub(crate) fn wait_for_flights(&self) -> bool {
        let content = self
            .changed
            .wait_while(self.lock(), |content| {
                content.events.is_empty() && !content.in_flight.is_empty()
            })
            .unwrap_or_else(PoisonError::into_inner);
        !content.events.is_empty()
    }

    /// Waits until there is an event, at most so long.
    pub(crate) fn wait(&self, most: Duration) {
        // Whether there was an event or time ran out, the caller looks again.
        let _ = self
            .changed
            .wait_timeout_while(self.lock(), most, |content| content.events.is_empty());
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
