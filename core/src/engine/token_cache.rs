//! Tokens that were verified, so that one that comes again costs no signature check.
//!
//! What is kept is what came of a token under one rule, found again by a keyed digest over the whole token: under another
//! rule, in another place or with one bit changed it is another token. An entry counts until the token expires, and only
//! while everything that it was judged by is as it was; whoever asks checks that with [`Remembered`]. Only tokens that were
//! accepted are kept, so that nobody fills the cache without them, and not those whose acceptance depends on who sent them.
//!
//! The order in which entries are given up is that of S3-FIFO: one that nobody asked for again goes first, so that a flood of
//! tokens that come once does not displace those that come all the time. Nothing here decides what may be kept.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashTable;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::decision::ProviderIndex;
use super::mutate::Identity;
use super::requirement::UseIndex;
use crate::matching::Rule;
use crate::time::Timestamp;

/// How many bytes there are for each token that may be kept, on average over all of them.
pub const BYTES_FOR_EACH_TOKEN: usize = 1024;

/// What an entry costs beside its own content: its slot, its places in the queue and in the index.
const OVERHEAD_BYTES: usize = 256;

/// Which share of the entries is for those that were not asked for again: one of so many.
const PROBATION_SHARE: usize = 10;

/// How often an entry may be asked for and have it count.
const MOST_CREDIT: u8 = 3;

/// How many entries are looked at to give one up: the next one goes, whatever was asked for.
const LONGEST_SEARCH: usize = 64;

/// A keyed digest of a token, the rule and the place. SipHash-2-4 with a random key: nobody who does not know it finds
/// two tokens with the same one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    high: u64,
    low: u64,
}

/// What came of a token.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    /// Who accepted it, and what it says.
    pub(super) verdicts: Rc<[(UseIndex, Rc<Identity>)]>,
    pub(super) provider: Option<ProviderIndex>,
    pub(super) kid: Option<Rc<str>>,
    /// Whether keys of a remote set were tried.
    pub(super) used_remote_keys: bool,
    /// When it was accepted. Before that it may have been too early, or have lived for too long.
    pub(super) since: Timestamp,
    /// The first second since the epoch at which one of those who accepted it would not.
    pub(super) expires: i64,
    /// What there was of each source of those who accepted it, in their order.
    pub(super) generations: Box<[Option<u64>]>,
}

impl Remembered {
    /// How many bytes it takes, about; never less.
    fn size(&self) -> usize {
        let identities = self.verdicts.iter().map(|(_, identity)| identity.size());
        let kid = self.kid.as_ref().map_or(0, |kid| kid.len());
        let generations = size_of_val::<[Option<u64>]>(&self.generations);
        identities
            .chain([kid, generations, OVERHEAD_BYTES])
            .fold(0, usize::saturating_add)
    }
}

/// An entry, and how it is doing.
#[derive(Debug)]
struct Slot {
    fingerprint: Fingerprint,
    remembered: Remembered,
    size: usize,
    /// How often it was asked for since it was looked at to be given up, up to [`MOST_CREDIT`].
    credit: u8,
}

/// Tokens that were verified, as many as it was made for.
pub(super) struct TokenCache {
    key: (u64, u64),
    most_tokens: usize,
    most_bytes: usize,
    bytes: usize,
    index: HashTable<u32>,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    /// Those that were not asked for again, the oldest first.
    probation: VecDeque<u32>,
    /// Those that were.
    proven: VecDeque<u32>,
    /// Tags of entries that were given up on probation, by their fingerprints: one that comes again was asked for.
    ghosts: Vec<u32>,
}

impl TokenCache {
    /// A cache for that many tokens; `None` for no token at all. `key` is random and secret.
    pub(super) fn new(most_tokens: usize, key: [u8; 16]) -> Option<Self> {
        if most_tokens == 0 {
            return None;
        }
        let key = u128::from_be_bytes(key);
        Some(Self {
            key: ((key >> 64) as u64, key as u64),
            most_tokens: most_tokens.min(u32::MAX as usize),
            most_bytes: most_tokens.saturating_mul(BYTES_FOR_EACH_TOKEN),
            bytes: 0,
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            probation: VecDeque::new(),
            proven: VecDeque::new(),
            ghosts: Vec::new(),
        })
    }

    /// The fingerprint of a token under a rule and in a place of it.
    pub(super) fn fingerprint(&self, rule: Rule, place: usize, compact: &[u8]) -> Fingerprint {
        let (high, low) = self.key;
        let mut hasher = SipHasher24::new_with_keys(high, low);
        let route = rule.route.map_or(u64::MAX, |route| route.0 as u64);
        let mut domain = [0; 24];
        let numbers = [rule.app.0 as u64, route, place as u64];
        for (to, from) in domain
            .iter_mut()
            .zip(numbers.into_iter().flat_map(u64::to_le_bytes))
        {
            *to = from;
        }
        core::hash::Hasher::write(&mut hasher, &domain);
        core::hash::Hasher::write(&mut hasher, compact);
        let digest = hasher.finish128();
        Fingerprint {
            high: digest.h1,
            low: digest.h2,
        }
    }

    /// What came of the token.
    pub(super) fn get(&mut self, fingerprint: Fingerprint) -> Option<&Remembered> {
        let at = self.find(fingerprint)?;
        let slot = self.slots.get_mut(at as usize)?.as_mut()?;
        slot.credit = slot.credit.saturating_add(1).min(MOST_CREDIT);
        Some(&slot.remembered)
    }

    fn find(&self, fingerprint: Fingerprint) -> Option<u32> {
        let is_it = |at: &u32| {
            let slot = self.slots.get(*at as usize).and_then(Option::as_ref);
            slot.is_some_and(|slot| slot.fingerprint == fingerprint)
        };
        self.index.find(fingerprint.high, is_it).copied()
    }

    /// Keeps what came of a token. What is too large to be kept beside others is not.
    pub(super) fn put(&mut self, fingerprint: Fingerprint, remembered: Remembered) {
        let size = remembered.size();
        if size > self.largest() {
            return;
        }
        let known = self.find(fingerprint);
        let known = known.and_then(|at| self.slots.get_mut(at as usize)?.as_mut());
        if let Some(slot) = known {
            self.bytes = self.bytes.saturating_sub(slot.size).saturating_add(size);
            slot.size = size;
            slot.remembered = remembered;
        } else {
            self.make_room(size);
            self.insert(Slot {
                fingerprint,
                remembered,
                size,
                credit: 0,
            });
        }
        while self.bytes > self.most_bytes && self.give_up_one() {}
    }

    /// The largest entry: there is always room for some others.
    fn largest(&self) -> usize {
        (self.most_bytes / PROBATION_SHARE).max(8 * BYTES_FOR_EACH_TOKEN)
    }

    fn make_room(&mut self, size: usize) {
        while self.index.len() >= self.most_tokens
            || self.bytes.saturating_add(size) > self.most_bytes
        {
            if !self.give_up_one() {
                return;
            }
        }
    }

    fn insert(&mut self, slot: Slot) {
        let fingerprint = slot.fingerprint;
        self.bytes = self.bytes.saturating_add(slot.size);
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                // INVARIANT: there are at most `most_tokens` slots, which fits.
                let at = self.slots.len() as u32;
                self.slots.push(None);
                at
            }
        };
        if let Some(place) = self.slots.get_mut(at as usize) {
            *place = Some(slot);
        }
        match self.is_ghost(fingerprint) {
            true => self.proven.push_back(at),
            false => self.probation.push_back(at),
        }
        let Self { index, slots, .. } = self;
        index.insert_unique(fingerprint.high, at, |at| {
            let slot = slots.get(*at as usize).and_then(Option::as_ref);
            slot.map_or(0, |slot| slot.fingerprint.high)
        });
    }

    /// Gives up the entry whose turn it is; `false` when there is none.
    fn give_up_one(&mut self) -> bool {
        for looked_at in 0..LONGEST_SEARCH.saturating_mul(2) {
            let spares = looked_at < LONGEST_SEARCH;
            let is_crowded = self.probation.len() > self.most_tokens / PROBATION_SHARE;
            if is_crowded || self.proven.is_empty() {
                let Some(at) = self.probation.pop_front() else {
                    return false;
                };
                match self.credit(at) {
                    Some(1..) if spares => self.proven.push_back(at),
                    _ => {
                        self.remove(at, true);
                        return true;
                    }
                }
            } else if let Some(at) = self.proven.pop_front() {
                match self.credit(at) {
                    Some(1..) if spares => self.proven.push_back(at),
                    _ => {
                        self.remove(at, false);
                        return true;
                    }
                }
            }
        }
        false
    }

    /// The credit of an entry, one of which is used up by asking.
    fn credit(&mut self, at: u32) -> Option<u8> {
        let slot = self.slots.get_mut(at as usize)?.as_mut()?;
        let credit = slot.credit;
        slot.credit = credit.saturating_sub(1);
        Some(credit)
    }

    fn remove(&mut self, at: u32, becomes_ghost: bool) {
        let slot = self.slots.get_mut(at as usize).and_then(Option::take);
        let Some(slot) = slot else { return };
        self.bytes = self.bytes.saturating_sub(slot.size);
        let entry = self
            .index
            .find_entry(slot.fingerprint.high, |other| *other == at);
        if let Ok(entry) = entry {
            entry.remove();
        }
        self.free.push(at);
        if becomes_ghost {
            if self.ghosts.is_empty() {
                let many = self.most_tokens.next_power_of_two();
                self.ghosts.resize(many, 0);
            }
            let tag = tag(slot.fingerprint);
            if let Some(ghost) = self.ghost(slot.fingerprint) {
                *ghost = tag;
            }
        }
    }

    fn is_ghost(&mut self, fingerprint: Fingerprint) -> bool {
        self.ghost(fingerprint)
            .is_some_and(|ghost| *ghost == tag(fingerprint))
    }

    fn ghost(&mut self, fingerprint: Fingerprint) -> Option<&mut u32> {
        let mask = self.ghosts.len().checked_sub(1)?;
        self.ghosts.get_mut(fingerprint.low as usize & mask)
    }

    /// How many tokens it has.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
}

/// What tells a ghost from another one in the same place; never 0, which is none.
const fn tag(fingerprint: Fingerprint) -> u32 {
    (fingerprint.low >> 32) as u32 | 1
}

/// Shows numbers only.
impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("tokens", &self.index.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A digest of a token is not shown.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::string::String;

    use super::*;
    use crate::matching::{AppIndex, RouteIndex};

    const RULE: Rule = Rule {
        app: AppIndex(0),
        route: None,
    };

    fn cache(most_tokens: usize) -> TokenCache {
        TokenCache::new(most_tokens, *b"0123456789abcdef").unwrap()
    }

    fn remembered(kid: &str) -> Remembered {
        Remembered {
            verdicts: Rc::new([]),
            provider: None,
            kid: Some(kid.into()),
            used_remote_keys: false,
            since: Timestamp::from_millis(0),
            expires: i64::MAX,
            generations: Box::new([]),
        }
    }

    fn name(number: usize) -> String {
        std::format!("token {number}")
    }

    fn put(cache: &mut TokenCache, token: &str) {
        let fingerprint = cache.fingerprint(RULE, 0, token.as_bytes());
        cache.put(fingerprint, remembered(token));
    }

    fn has(cache: &mut TokenCache, token: &str) -> bool {
        let fingerprint = cache.fingerprint(RULE, 0, token.as_bytes());
        let found = cache.get(fingerprint);
        if let Some(found) = found {
            assert_eq!(found.kid.as_deref(), Some(token), "another token's entry");
        }
        found.is_some()
    }

    /// That its parts say the same about what it has.
    fn assert_consistent(cache: &TokenCache) {
        let slots: Vec<&Slot> = cache.slots.iter().flatten().collect();
        assert_eq!(slots.len(), cache.len());
        assert_eq!(
            slots.len() + cache.free.len(),
            cache.slots.len(),
            "every slot is in use or free"
        );
        assert_eq!(
            slots.iter().map(|slot| slot.size).sum::<usize>(),
            cache.bytes
        );
        let queued: BTreeSet<u32> = cache
            .probation
            .iter()
            .chain(&cache.proven)
            .copied()
            .collect();
        assert_eq!(queued.len(), cache.probation.len() + cache.proven.len());
        assert_eq!(queued.len(), slots.len());
        for slot in slots {
            assert!(cache.find(slot.fingerprint).is_some());
        }
        assert!(cache.len() <= cache.most_tokens);
        assert!(cache.bytes <= cache.most_bytes);
    }

    #[test]
    fn a_token_is_found_under_its_rule_and_in_its_place_alone() {
        let mut cache = cache(8);
        put(&mut cache, "a.b.c");
        assert!(has(&mut cache, "a.b.c"));
        for other in ["a.b.d", "a.b.c ", "a.b.", ""] {
            assert!(!has(&mut cache, other), "{other}");
        }
        let rule = |app, route: Option<usize>| Rule {
            app: AppIndex(app),
            route: route.map(RouteIndex),
        };
        for (rule, place) in [
            (rule(1, None), 0),
            (rule(0, Some(0)), 0),
            (rule(0, None), 1),
        ] {
            let fingerprint = cache.fingerprint(rule, place, b"a.b.c");
            assert!(cache.get(fingerprint).is_none(), "{rule:?} {place}");
        }
    }

    #[test]
    fn the_fingerprint_depends_on_the_key() {
        let other = TokenCache::new(8, *b"0123456789abcdeg").unwrap();
        assert!(cache(8).fingerprint(RULE, 0, b"a.b.c") != other.fingerprint(RULE, 0, b"a.b.c"));
    }

    #[test]
    fn no_room_is_no_cache() {
        assert!(TokenCache::new(0, [0; 16]).is_none());
    }

    #[test]
    fn there_are_never_more_tokens_than_it_was_made_for() {
        for most in [1, 2, 3, 10, 100] {
            let mut cache = cache(most);
            for number in 0..1000 {
                put(&mut cache, &name(number));
                assert!(has(&mut cache, &name(number)), "the newest is there");
                assert_consistent(&cache);
            }
            assert_eq!(cache.len(), most);
        }
    }

    #[test]
    fn a_flood_of_tokens_that_come_once_does_not_displace_those_that_come_again() {
        let mut cache = cache(100);
        let hot: Vec<String> = (0..50).map(|number| std::format!("hot {number}")).collect();
        for token in &hot {
            put(&mut cache, token);
            assert!(has(&mut cache, token));
        }
        for number in 0..100_000 {
            put(&mut cache, &name(number));
            // Each of them comes again once in a while.
            if number % 100 == 0 {
                for token in &hot {
                    assert!(has(&mut cache, token), "{token} at {number}");
                }
            }
        }
        assert_consistent(&cache);
    }

    #[test]
    fn a_token_that_was_given_up_and_comes_again_is_kept_longer() {
        let mut cache = cache(100);
        put(&mut cache, "again");
        for number in 0..100 {
            put(&mut cache, &name(number));
        }
        assert!(!has(&mut cache, "again"));
        put(&mut cache, "again");
        for number in 100..150 {
            put(&mut cache, &name(number));
        }
        assert!(has(&mut cache, "again"));
    }

    #[test]
    fn entries_take_no_more_bytes_than_there_are() {
        let mut cache = cache(100);
        for number in 0..200 {
            let fingerprint = cache.fingerprint(RULE, 0, name(number).as_bytes());
            cache.put(fingerprint, remembered(&"k".repeat(5_000)));
            assert_consistent(&cache);
        }
        assert!(cache.len() >= 10);
        let before = cache.len();
        let fingerprint = cache.fingerprint(RULE, 0, b"huge");
        cache.put(fingerprint, remembered(&"k".repeat(50_000)));
        assert!(cache.get(fingerprint).is_none());
        assert_eq!(cache.len(), before);
    }

    #[test]
    fn what_is_known_is_replaced() {
        let mut cache = cache(2);
        let fingerprint = cache.fingerprint(RULE, 0, b"a");
        cache.put(fingerprint, remembered("first"));
        cache.put(fingerprint, remembered("second, and longer"));
        assert_consistent(&cache);
        assert_eq!(cache.len(), 1);
        let found = cache.get(fingerprint).unwrap();
        assert_eq!(found.kid.as_deref(), Some("second, and longer"));
        put(&mut cache, "b");
        assert!(has(&mut cache, "b"));
        assert_consistent(&cache);
    }

    proptest::proptest! {
        /// Whatever comes in whatever order, an entry is its own token's, and the bounds hold.
        #[test]
        fn any_sequence_keeps_the_bounds(
            most in 1_usize..20,
            steps in proptest::collection::vec((0_u8..3, 0_usize..40, 0_usize..4_000), 0..400),
        ) {
            let mut cache = cache(most);
            for (step, number, size) in steps {
                let token = name(number);
                let fingerprint = cache.fingerprint(RULE, 0, token.as_bytes());
                match step {
                    0 | 1 => {
                        let kid = std::format!("{token} {}", "k".repeat(size));
                        cache.put(fingerprint, remembered(&kid));
                    }
                    _ => {
                        if let Some(found) = cache.get(fingerprint) {
                            let kid = found.kid.as_deref().unwrap_or_default();
                            let prefix = std::format!("{token} ");
                            proptest::prop_assert!(kid.starts_with(&prefix));
                        }
                    }
                }
                assert_consistent(&cache);
            }
        }
    }
}
