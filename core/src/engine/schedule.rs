//! Every source, and which of them has something to do when.
//!
//! Requests, answers and ticks ask for the source whose time comes first, for the one that awaits an answer, for the
//! ones that news are about. None of that looks at every source: a start with a thousand of them would otherwise look
//! at each a thousand times. What a source does is not decided here; see [`super::source`].

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Deref;

use super::SourceIndex;
use super::commons::Topic;
use super::fetch::FetchId;
use super::queue::Queue;
use super::source::Source;
use crate::sort::sort_by;
use crate::sorted::SortedMap;
use crate::time::Timestamp;

/// The sources of an engine, which are read as a slice and changed by [`change`](Self::change) alone.
#[derive(Debug, Default)]
pub(super) struct Sources {
    list: Vec<Source>,
    /// By source.
    entries: Vec<Entry>,
    /// Those that begin something by themselves, by when.
    beginning: Queue<Timestamp, SourceIndex>,
    /// Those with a fetch under way, by when it is given up.
    awaiting: Queue<Timestamp, SourceIndex>,
    /// The last fetch of each source, by its name.
    fetches: SortedMap<FetchId, SourceIndex>,
    /// Those that share a name with other engines, by that name; in their order.
    topics: BTreeMap<Topic, Vec<SourceIndex>>,
}

/// Where a source stands in the schedule.
#[derive(Debug, Clone, Copy)]
struct Entry {
    at: Timestamp,
    awaits: bool,
    fetch: Option<FetchId>,
}

impl Entry {
    fn of(source: &Source, fetch: Option<FetchId>) -> Self {
        let at = source.next_event();
        Self {
            at,
            awaits: source.is_overdue(at),
            fetch,
        }
    }
}

impl Deref for Sources {
    type Target = [Source];

    fn deref(&self) -> &[Source] {
        &self.list
    }
}

impl Sources {
    /// Adds a source, which other engines know under the name `topic`.
    pub(super) fn push(&mut self, source: Source, topic: Topic) -> SourceIndex {
        let index = SourceIndex(self.list.len());
        let entry = Entry::of(&source, None);
        self.queue(entry).insert(entry.at, index);
        self.entries.push(entry);
        self.list.push(source);
        self.topics.entry(topic).or_default().push(index);
        index
    }

    /// Changes a source, and notes when it has something to do from now on. `None` when there is no such source.
    pub(super) fn change<T>(
        &mut self,
        index: SourceIndex,
        change: impl FnOnce(&mut Source) -> T,
    ) -> Option<T> {
        let source = self.list.get_mut(index.0)?;
        let entry = self.entries.get_mut(index.0)?;
        let outcome = change(source);
        let before = *entry;
        let after = Entry::of(source, entry.fetch);
        *entry = after;
        if (before.at, before.awaits) != (after.at, after.awaits) {
            self.queue(before).remove(before.at, index);
            self.queue(after).insert(after.at, index);
        }
        Some(outcome)
    }

    /// Changes every source.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(SourceIndex, &mut Source)) {
        for index in (0..self.list.len()).map(SourceIndex) {
            self.change(index, |source| change(index, source));
        }
    }

    /// Notes that a source has begun a fetch under that name.
    pub(super) fn begin_fetch(&mut self, index: SourceIndex, id: FetchId) {
        if let Some(entry) = self.entries.get_mut(index.0) {
            if let Some(before) = entry.fetch.replace(id) {
                self.fetches.remove(&before);
            }
            self.fetches.insert(id, index);
        }
    }

    /// The source that awaits the answer of a fetch.
    pub(super) fn awaiting(&self, id: FetchId) -> Option<SourceIndex> {
        let index = *self.fetches.get(&id)?;
        self.list.get(index.0)?.awaits(id).then_some(index)
    }

    /// The source whose turn it is to begin something; `None` when it is nobody's yet.
    pub(super) fn due(&self, now: Timestamp) -> Option<SourceIndex> {
        let (at, index) = self.beginning.first()?;
        (at <= now).then_some(index)
    }

    /// The sources whose fetches are to be given up, in their order.
    pub(super) fn overdue(&self, now: Timestamp) -> Vec<SourceIndex> {
        let overdue = self.awaiting.up_to(now);
        let mut overdue: Vec<_> = overdue.map(|(_, index)| index).collect();
        sort_by(&mut overdue, SourceIndex::cmp);
        overdue
    }

    /// The sources that news are about, in their order.
    pub(super) fn about(&self, topic: &[u8]) -> Vec<SourceIndex> {
        Topic::from_bytes(topic)
            .and_then(|topic| self.topics.get(&topic))
            .cloned()
            .unwrap_or_default()
    }

    /// When the first of them has something to do; `None` when there is none.
    pub(super) fn next_event(&self) -> Option<Timestamp> {
        let firsts = [self.beginning.first(), self.awaiting.first()];
        firsts.into_iter().flatten().map(|(at, _)| at).min()
    }

    /// Panics where the schedule is not what looking at every source gives.
    #[cfg(test)]
    pub(super) fn assert_consistent(&self) {
        let (mut beginning, mut awaiting) = (Queue::default(), Queue::default());
        for (place, source) in self.list.iter().enumerate() {
            let index = SourceIndex(place);
            let at = source.next_event();
            match source.is_due(at) {
                true => beginning.insert(at, index),
                false => awaiting.insert(at, index),
            };
            assert_eq!(source.is_overdue(at), !source.is_due(at));
            let fetch = self.entries[place].fetch;
            assert!(fetch.is_none_or(|id| self.fetches.get(&id) == Some(&index)));
        }
        assert_eq!((&self.beginning, &self.awaiting), (&beginning, &awaiting));
        assert!(self.fetches.len() <= self.list.len());
    }

    fn queue(&mut self, entry: Entry) -> &mut Queue<Timestamp, SourceIndex> {
        match entry.awaits {
            true => &mut self.awaiting,
            false => &mut self.beginning,
        }
    }
}
