//! The requests that wait for sources, and which of them are to be judged again.
//!
//! They are found by what ends their wait: the answer of a source, or their deadline. Looking at each of them for each
//! answer would be a million looks where a thousand wait while a thousand sources answer.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::queue::Queue;
use super::{RequestId, SourceIndex};
use crate::matching::Rule;
use crate::request::OwnedRequest;
use crate::sort::sort_by;
use crate::sorted::SortedMap;
use crate::time::{Millis, Timestamp};

/// A request that waits for sources.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: OwnedRequest,
    pub(super) rule: Rule,
    pub(super) wait: Wait,
    /// Whether it is among those to be judged again.
    is_ready: bool,
}

/// How long a request waits, and for what.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) arrived: Timestamp,
    pub(super) deadline: Timestamp,
    /// How far away that may be.
    pub(super) longest: Millis,
    /// The sources whose answers it waits for.
    pub(super) awaited: Vec<SourceIndex>,
    /// The sources that had nothing when it came: what they bring first decides.
    pub(super) without: Vec<SourceIndex>,
    /// Whether it has waited at all.
    pub(super) waited: bool,
}

/// All requests that wait.
#[derive(Debug, Default)]
pub(super) struct WaitingRequests {
    // At most so many that moving the pointers behind one is nothing.
    requests: SortedMap<RequestId, Box<Waiting>>,
    /// How many bytes of requests these are.
    bytes: usize,
    /// Who waits for which source.
    by_source: Queue<SourceIndex, RequestId>,
    /// Until when who waits that is not ready.
    by_deadline: Queue<Timestamp, RequestId>,
    /// Requests that waited and are to be judged again, first come first served.
    ready: VecDeque<RequestId>,
}

impl WaitingRequests {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a request until a source that it waits for answers, or its time is over.
    pub(super) fn insert(&mut self, id: RequestId, request: OwnedRequest, rule: Rule, wait: Wait) {
        self.remove(id);
        self.bytes = self.bytes.saturating_add(request.size());
        for source in &wait.awaited {
            self.by_source.insert(*source, id);
        }
        self.by_deadline.insert(wait.deadline, id);
        let waiting = Waiting {
            request,
            rule,
            wait,
            is_ready: false,
        };
        self.requests.insert(id, Box::new(waiting));
    }

    /// Takes a request out.
    pub(super) fn remove(&mut self, id: RequestId) -> Option<Waiting> {
        let waiting = self.requests.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(waiting.request.size());
        for source in &waiting.wait.awaited {
            self.by_source.remove(*source, id);
        }
        self.by_deadline.remove(waiting.wait.deadline, id);
        Some(*waiting)
    }

    /// A source has answered: who waits for it is to be judged by what it has now.
    pub(super) fn wake_for(&mut self, source: SourceIndex) {
        let woken: Vec<_> = self.by_source.of(source).collect();
        for id in woken {
            self.by_source.remove(source, id);
            if let Some(waiting) = self.requests.get_mut(&id) {
                waiting.wait.awaited.retain(|awaited| *awaited != source);
            }
            self.wake(id);
        }
    }

    /// Who has waited long enough is to be judged by what is there.
    pub(super) fn wake_overdue(&mut self, now: Timestamp) {
        let overdue = self.by_deadline.up_to(now);
        let mut overdue: Vec<_> = overdue.map(|(_, id)| id).collect();
        sort_by(&mut overdue, RequestId::cmp);
        for id in overdue {
            self.wake(id);
        }
    }

    fn wake(&mut self, id: RequestId) {
        if let Some(waiting) = self.requests.get_mut(&id).filter(|it| !it.is_ready) {
            waiting.is_ready = true;
            self.by_deadline.remove(waiting.wait.deadline, id);
            self.ready.push_back(id);
        }
    }

    /// Nobody waits for longer than from now on, where the clock was set back.
    pub(super) fn shorten(&mut self, now: Timestamp) {
        self.by_deadline.clear();
        for (id, waiting) in self.requests.iter_mut() {
            let latest = now.after(waiting.wait.longest);
            waiting.wait.deadline = waiting.wait.deadline.min(latest);
            waiting.wait.arrived = waiting.wait.arrived.min(now);
            if !waiting.is_ready {
                self.by_deadline.insert(waiting.wait.deadline, *id);
            }
        }
    }

    /// The next request that is to be judged again, taken out; `None` when there is none.
    pub(super) fn next_ready(&mut self) -> Option<(RequestId, Waiting)> {
        while let Some(id) = self.ready.pop_front() {
            if let Some(waiting) = self.remove(id) {
                return Some((id, waiting));
            }
        }
        None
    }

    /// When something is to be done about one of them; `None` when there is none.
    pub(super) fn next_event(&self) -> Option<Timestamp> {
        match self.ready.is_empty() {
            true => self.by_deadline.first().map(|(at, _)| at),
            false => Some(Timestamp::from_millis(0)),
        }
    }

    /// Panics where what is found by source or by deadline is not what looking at every request gives.
    #[cfg(test)]
    pub(super) fn assert_consistent(&self) {
        let (mut by_source, mut by_deadline) = (Queue::default(), Queue::default());
        for (id, waiting) in self.requests.iter() {
            for source in &waiting.wait.awaited {
                by_source.insert(*source, *id);
            }
            match waiting.is_ready {
                true => assert!(self.ready.contains(id)),
                false => assert!(by_deadline.insert(waiting.wait.deadline, *id)),
            }
        }
        assert_eq!(
            (&self.by_source, &self.by_deadline),
            (&by_source, &by_deadline)
        );
        let sizes = self.requests.iter().map(|(_, it)| it.request.size());
        assert_eq!(self.bytes, sizes.sum::<usize>());
    }

    /// Whether some are to be judged again.
    #[cfg(test)]
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    #[cfg(test)]
    pub(super) fn contains_key(&self, id: &RequestId) -> bool {
        self.requests.get(id).is_some()
    }
}
