//! Which sources are in use in a process, so that what nobody names any more can be emptied.
//!
//! From the store nothing is ever removed, and nothing tells an engine that another one has ended. So every engine writes
//! its sources into one register now and then, with the number of the round in which it does, and rounds go on by time.
//! A source that nobody has written in for some rounds is taken out, and what the store has of it is overwritten by next
//! to nothing. Rounds are counted, and not the time since: a clock that is set forward ends one of them and no more.
//!
//! An engine that names such a source later, or was only standing still, finds nothing in the store and fetches. What an
//! engine has in its own memory stays there.

use alloc::vec::Vec;

use super::{ATTEMPTS, Commons, Record, TOPIC_BYTES, Topic};
use crate::engine::source::LONGEST_LEASE;
use crate::shared::{NO_NUMBER, SharedStore, StoreError, Stored};
use crate::time::{Millis, Timestamp};

/// How long a round is at least, and how often an engine writes its sources in.
pub(in crate::engine) const ROUND: Millis = Millis::from_seconds(600);

/// The round behind the last one with a source in which it is taken out: an hour has passed then at least.
const ROUNDS_ABSENT: u32 = 7;

/// The most sources that the register has. Those beyond are in use as well, and stay in the store.
const MAX_TOPICS: usize = 2_048;

/// The most sources that one visit takes out; the others are for the next one.
const MAX_REMOVED: usize = 64;

/// Where the register is.
const KEY: &str = "nexus.register.1";

/// What a record is overwritten by: one that says nothing.
const EMPTY_RECORD: &[u8] = b"{}";

/// A source, and the number of the round in which somebody wrote it in last.
type Entry = (Topic, u32);

/// The bytes of the number and the beginning of the round.
const HEAD_BYTES: usize = 12;

/// The bytes of an [`Entry`].
const ENTRY_BYTES: usize = TOPIC_BYTES + 4;

/// The sources of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Register {
    round: u32,
    /// When it began, in milliseconds since the epoch.
    began: u64,
    entries: Vec<Entry>,
}

impl Register {
    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (round, rest) = bytes.split_first_chunk()?;
        let (began, rest) = rest.split_first_chunk()?;
        let chunks = rest.chunks_exact(ENTRY_BYTES);
        if !chunks.remainder().is_empty() || chunks.len() > MAX_TOPICS {
            return None;
        }
        let entry = |chunk: &[u8]| {
            let (topic, round) = chunk.split_first_chunk()?;
            let round = round.first_chunk()?;
            Some((Topic(*topic), u32::from_be_bytes(*round)))
        };
        Some(Self {
            round: u32::from_be_bytes(*round),
            began: u64::from_be_bytes(*began),
            entries: chunks.map(entry).collect::<Option<_>>()?,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let size = self.entries.len().saturating_mul(ENTRY_BYTES);
        let mut bytes = Vec::with_capacity(size.saturating_add(HEAD_BYTES));
        bytes.extend_from_slice(&self.round.to_be_bytes());
        bytes.extend_from_slice(&self.began.to_be_bytes());
        for (topic, round) in &self.entries {
            bytes.extend_from_slice(&topic.0);
            bytes.extend_from_slice(&round.to_be_bytes());
        }
        bytes
    }

    /// Begins the next round if the one under way is over; one from before the clock was set back begins anew.
    fn turn(&mut self, now: Timestamp) {
        let began = Timestamp::from_millis(self.began);
        if began.after(ROUND) <= now {
            self.round = self.round.wrapping_add(1);
            self.began = now.as_millis();
        } else if now < began {
            self.began = now.as_millis();
        }
    }

    /// Writes these in.
    fn enter(&mut self, topics: &[Topic]) {
        for topic in topics {
            let known = self.entries.iter_mut().find(|(known, _)| known == topic);
            if let Some((_, round)) = known {
                *round = self.round;
            } else if self.entries.len() < MAX_TOPICS {
                self.entries.push((*topic, self.round));
            }
        }
    }

    /// Those whom nobody has written in for too long, but no more than `most`.
    fn absent(&self, most: usize) -> Vec<Topic> {
        self.entries
            .iter()
            .filter(|(_, round)| self.round.wrapping_sub(*round) >= ROUNDS_ABSENT)
            .map(|(topic, _)| *topic)
            .take(most)
            .collect()
    }

    /// Takes one out.
    fn remove(&mut self, topic: Topic) {
        self.entries.retain(|(known, _)| *known != topic);
    }
}

impl Commons {
    /// Whether it is time to write the sources in.
    pub(in crate::engine) fn is_register_due(&self, now: Timestamp) -> bool {
        self.process.is_some()
            && self
                .registered
                .is_none_or(|at| now < at || at.after(ROUND) <= now)
    }

    /// Writes the sources of this engine in, and empties what nobody names any more. Where the store fails, that has
    /// time until the next round.
    pub(in crate::engine) fn register(&mut self, topics: &[Topic], now: Timestamp) {
        self.registered = Some(now);
        if let Some(process) = &mut self.process {
            // An engine that does not get at the store empties nothing.
            let _ = visit(&mut **process, topics, now);
        }
    }
}

/// Ends a round if it is over, writes sources in, and empties what nobody names any more.
fn visit(
    store: &mut (impl SharedStore + ?Sized),
    topics: &[Topic],
    now: Timestamp,
) -> Result<(), StoreError> {
    update(store, |store, register, number| {
        register.turn(now);
        register.enter(topics);
        // Whatever has something in the store stays in the register, or nobody would ever empty it.
        for topic in register.absent(MAX_REMOVED) {
            if empty(store, topic, number, now)? {
                register.remove(topic);
            }
        }
        Ok(())
    })
}

/// Writes sources in without ending a round: those of which the store is about to have something.
pub(super) fn enter(
    store: &mut (impl SharedStore + ?Sized),
    topics: &[Topic],
) -> Result<(), StoreError> {
    update(store, |_, register, _| {
        register.enter(topics);
        Ok(())
    })
}

/// Changes the register. `change` is shown it as it is, with its number, and again as often as somebody else was faster.
fn update<S: SharedStore + ?Sized>(
    store: &mut S,
    mut change: impl FnMut(&mut S, &mut Register, u32) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for _ in 0..ATTEMPTS {
        let stored = store.read(KEY)?;
        let number = number_of(stored.as_ref());
        let known = stored.and_then(|it| Register::parse(&it.value));
        let mut register = known.clone().unwrap_or_default();
        change(store, &mut register, number)?;
        if known.as_ref() == Some(&register) || store.swap(KEY, &register.to_bytes(), number)? {
            return Ok(());
        }
    }
    Err(StoreError)
}

/// By which number a value is swapped.
fn number_of(stored: Option<&Stored>) -> u32 {
    stored.map_or(NO_NUMBER, |it| it.number)
}

/// Empties what is left of a source, unless somebody is at it; whether nothing is left. That nobody names it was read in
/// the register of that number.
fn empty(
    store: &mut (impl SharedStore + ?Sized),
    topic: Topic,
    register: u32,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let content = store.read(&topic.content_key())?;
    let record = store.read(&topic.record_key())?;
    // Who names it writes it in first. Who has since may have written what was read here; what is written from here on
    // has another number.
    if number_of(store.read(KEY)?.as_ref()) != register {
        return Ok(false);
    }
    if let Some(record) = record {
        let known = Record::parse(&record.value);
        let is_in_use = known.is_some_and(|it| it.held(now, now.after(LONGEST_LEASE)).is_some());
        if is_in_use || !store.swap(&topic.record_key(), EMPTY_RECORD, record.number)? {
            return Ok(false);
        }
    }
    match content.filter(|it| !it.value.is_empty()) {
        Some(content) => store.swap(&topic.content_key(), b"", content.number),
        None => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::string::String;

    use super::*;
    use crate::engine::commons::Lease;
    use crate::shared::ANY_NUMBER;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn topic(number: u32) -> Topic {
        Topic::of(&[&number.to_be_bytes()])
    }

    fn later(rounds: u64) -> Timestamp {
        NOW.after(Millis(rounds * ROUND.0))
    }

    fn visit(register: &mut Register, topics: &[Topic], now: Timestamp) -> Vec<Topic> {
        register.turn(now);
        register.enter(topics);
        let absent = register.absent(MAX_REMOVED);
        for topic in &absent {
            register.remove(*topic);
        }
        absent
    }

    #[test]
    fn a_register_is_read_as_it_was_written() {
        let mut register = Register::default();
        visit(&mut register, &[topic(1), topic(2)], NOW);
        visit(&mut register, &[topic(2), topic(3)], later(1));
        let bytes = register.to_bytes();
        assert_eq!(bytes.len(), HEAD_BYTES + 3 * ENTRY_BYTES);
        assert_eq!(Register::parse(&bytes), Some(register));
        for wrong in [&bytes[..HEAD_BYTES - 1], &bytes[1..], b"", b"{}"] {
            assert_eq!(Register::parse(wrong), None);
        }
        let too_long = std::vec![0; HEAD_BYTES + (MAX_TOPICS + 1) * ENTRY_BYTES];
        assert_eq!(Register::parse(&too_long), None);
    }

    #[test]
    fn what_nobody_writes_in_is_taken_out_after_an_hour_of_rounds() {
        let mut register = Register::default();
        visit(&mut register, &[topic(1)], NOW);
        for round in 1..7 {
            assert_eq!(visit(&mut register, &[topic(2)], later(round)), []);
        }
        assert_eq!(visit(&mut register, &[topic(2)], later(7)), [topic(1)]);
        assert_eq!(visit(&mut register, &[topic(2)], later(8)), []);
    }

    #[test]
    fn rounds_go_on_by_time_and_not_by_visits() {
        let mut register = Register::default();
        visit(&mut register, &[topic(1)], NOW);
        for second in 0..3_600 {
            let now = NOW.after(Millis::from_seconds(second));
            assert_eq!(visit(&mut register, &[topic(2)], now), [], "{second}");
        }
    }

    #[test]
    fn a_clock_that_is_set_takes_nothing_out_that_is_in_use() {
        let mut register = Register::default();
        let mut now = NOW;
        for step in 0..100_u64 {
            for number in 0..3 {
                assert_eq!(visit(&mut register, &[topic(number)], now), [], "{step}");
            }
            now = match step % 2 {
                0 => now.after(Millis::from_seconds(86_400 * step)),
                _ => NOW,
            };
        }
        assert_eq!(register.entries.len(), 3);
    }

    #[test]
    fn the_register_is_bounded_and_so_is_what_one_visit_takes_out() {
        let many: Vec<_> = (0..3_000).map(topic).collect();
        let mut register = Register::default();
        visit(&mut register, &many, NOW);
        assert_eq!(register.entries.len(), MAX_TOPICS);
        for round in 1..7 {
            visit(&mut register, &[], later(round));
        }
        let mut removed = 0;
        while !register.entries.is_empty() {
            let some = visit(&mut register, &[], later(7)).len();
            assert!((1..=MAX_REMOVED).contains(&some));
            removed += some;
        }
        assert_eq!(removed, MAX_TOPICS);
    }

    /// Values that are swapped by their number.
    #[derive(Debug, Default)]
    struct Values {
        values: BTreeMap<String, Stored>,
        /// What somebody writes behind every look at it.
        is_written: Option<String>,
        /// Who comes back before the next look at a record, writes itself in, and puts its content there.
        returning: Option<Topic>,
    }

    impl SharedStore for Values {
        fn read(&mut self, key: &str) -> Result<Option<Stored>, StoreError> {
            if key.starts_with("nexus.content.") {
                if let Some(topic) = self.returning.take() {
                    enter(self, &[topic])?;
                    self.swap(&topic.content_key(), b"new keys", ANY_NUMBER)?;
                }
            }
            let found = self.values.get(key).cloned();
            if let Some(value) = self.values.get_mut(key) {
                value.number += u32::from(self.is_written.as_deref() == Some(key));
            }
            Ok(found)
        }

        fn swap(&mut self, key: &str, value: &[u8], number: u32) -> Result<bool, StoreError> {
            let known = self.values.get(key).map_or(0, |it| it.number);
            let fits = known == 0 || number == ANY_NUMBER || number == known;
            if fits {
                let value = value.to_vec();
                let number = known.wrapping_add(1);
                self.values.insert(key.into(), Stored { value, number });
            }
            Ok(fits)
        }
    }

    #[test]
    fn what_somebody_is_at_is_not_emptied() {
        let lease = |millis: i64| {
            let until = NOW.as_millis().checked_add_signed(millis).unwrap();
            Some(Lease { holder: 7, until })
        };
        let topic = topic(1);
        let [record_key, content_key] = [topic.record_key(), topic.content_key()];
        for (lease, is_written, is_emptied, note) in [
            (None, None, [true, true], "nobody is"),
            (lease(-1), None, [true, true], "a lease that is over"),
            (lease(1), None, [false, false], "somebody fetches"),
            (lease(66_000), None, [false, false], "somebody fetches"),
            (
                lease(66_001),
                None,
                [true, true],
                "before the clock was set back",
            ),
            (
                None,
                Some(&record_key),
                [false, false],
                "the record was written since",
            ),
            (
                None,
                Some(&content_key),
                [true, false],
                "so was the content",
            ),
        ] {
            let record = Record {
                lease,
                ..Record::default()
            };
            let stored = |value: &[u8]| Stored {
                value: value.to_vec(),
                number: 1,
            };
            let mut store = Values {
                is_written: is_written.cloned(),
                ..Values::default()
            };
            let record = serde_json::to_vec(&record).unwrap();
            store.values.insert(record_key.clone(), stored(&record));
            store.values.insert(content_key.clone(), stored(b"keys"));
            let is_done = empty(&mut store, topic, NO_NUMBER, NOW).unwrap();
            let found = [
                store.values[&record_key].value == EMPTY_RECORD,
                store.values[&content_key].value.is_empty(),
            ];
            assert_eq!(found, is_emptied, "{note}");
            assert_eq!(is_done, is_emptied == [true, true], "{note}");
        }
    }

    #[test]
    fn what_somebody_comes_back_for_is_not_emptied_for_a_moment() {
        let topic = topic(1);
        let mut store = Values::default();
        for (key, value) in [
            (topic.record_key(), &b"{\"failures\":1}"[..]),
            (topic.content_key(), b"keys"),
        ] {
            store.swap(&key, value, NO_NUMBER).unwrap();
        }
        super::visit(&mut store, &[topic], NOW).unwrap();
        for round in 1..7 {
            super::visit(&mut store, &[], later(round)).unwrap();
        }
        // It is absent for long enough, and back when what it has is looked at.
        store.returning = Some(topic);
        super::visit(&mut store, &[], later(7)).unwrap();
        let value = |key| store.values[&key].value.as_slice();
        assert_eq!(value(topic.content_key()), b"new keys");
        assert_eq!(value(topic.record_key()), b"{\"failures\":1}");
        let register = Register::parse(value(KEY.into())).unwrap();
        assert_eq!(register.entries, [(topic, 7)]);
        // Who does not come back is emptied.
        for round in 8..15 {
            super::visit(&mut store, &[], later(round)).unwrap();
        }
        assert_eq!(store.values[&topic.content_key()].value, b"");
        assert_eq!(store.values[&topic.record_key()].value, EMPTY_RECORD);
    }

    #[test]
    fn what_was_emptied_says_nothing() {
        assert_eq!(Record::parse(EMPTY_RECORD), Some(Record::default()));
    }
}
