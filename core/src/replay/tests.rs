use super::*;
use crate::shared::Stored;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::RefCell;
use std::vec;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
const SEED: [u8; 16] = *b"0123456789abcdef";

fn later(seconds: u64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + seconds * 1000)
}

fn proof(number: u32) -> Sha256Digest {
    Sha256Digest::of(&number.to_be_bytes())
}

/// The shared data of Envoy: a number for each write, 0 sets in any case, a key without value takes any number.
#[derive(Debug, Default)]
struct Envoy {
    values: BTreeMap<String, Stored>,
    last: u32,
}

impl Envoy {
    fn set(&mut self, key: &str, value: &[u8]) {
        self.last += 1;
        self.values.insert(
            key.to_string(),
            Stored {
                value: value.to_vec(),
                number: self.last,
            },
        );
    }
}

/// What happens between a read and the write that follows it.
type Meanwhile = Option<fn(&mut Envoy, &str)>;

#[derive(Debug, Clone)]
struct Store {
    envoy: Rc<RefCell<Envoy>>,
    meanwhile: Meanwhile,
    broken: bool,
}

impl Store {
    fn new() -> Self {
        Self {
            envoy: Rc::default(),
            meanwhile: None,
            broken: false,
        }
    }
}

impl SharedStore for Store {
    fn read(&mut self, key: &str) -> Result<Option<Stored>, StoreError> {
        if self.broken {
            return Err(StoreError);
        }
        Ok(self.envoy.borrow().values.get(key).cloned())
    }

    fn swap(&mut self, key: &str, value: &[u8], number: u32) -> Result<bool, StoreError> {
        assert_ne!(number, 0, "0 would set it in any case");
        if let Some(meanwhile) = self.meanwhile {
            if !key.ends_with("salt") {
                meanwhile(&mut self.envoy.borrow_mut(), key);
            }
        }
        let mut envoy = self.envoy.borrow_mut();
        if envoy
            .values
            .get(key)
            .is_some_and(|stored| stored.number != number)
        {
            return Ok(false);
        }
        envoy.set(key, value);
        Ok(true)
    }
}

#[test]
fn a_proof_is_new_once_in_its_time() {
    let mut local = LocalMemory::default();
    let mut shared = SharedMemory::new(Store::new(), SEED);
    let memories: [&mut dyn ReplayMemory; 2] = [&mut local, &mut shared];
    for memory in memories {
        let until = later(60);
        assert_eq!(memory.remember(&proof(1), until, NOW), Use::First);
        assert_eq!(memory.remember(&proof(1), until, NOW), Use::Repeated);
        assert_eq!(memory.remember(&proof(2), until, NOW), Use::First);
        assert_eq!(memory.remember(&proof(1), until, later(59)), Use::Repeated);
        assert_eq!(
            memory.remember(&proof(1), later(120), until),
            Use::First,
            "behind its time nobody accepts it, and nobody has to know it"
        );
    }
}

#[test]
fn what_one_worker_has_seen_the_others_know() {
    let store = Store::new();
    let mut one = SharedMemory::new(store.clone(), SEED);
    let mut other = SharedMemory::new(store, [0; 16]);
    assert_eq!(one.remember(&proof(1), later(60), NOW), Use::First);
    assert_eq!(other.remember(&proof(1), later(60), NOW), Use::Repeated);
    assert_eq!(other.remember(&proof(2), later(60), NOW), Use::First);
    assert_eq!(one.remember(&proof(2), later(60), NOW), Use::Repeated);
}

#[test]
fn a_part_of_a_second_counts_as_a_whole_one() {
    let mut memory = SharedMemory::new(Store::new(), SEED);
    let until = Timestamp::from_millis(NOW.as_millis() + 1);
    assert_eq!(memory.remember(&proof(1), until, NOW), Use::First);
    assert_eq!(memory.remember(&proof(1), until, NOW), Use::Repeated);
}

/// The same proof at two workers at the same time: the one that writes first has it.
#[test]
fn the_first_of_two_simultaneous_uses_is_the_only_one() {
    let store = Store::new();
    let mut one = SharedMemory::new(store.clone(), SEED);
    // Creates the salt, so that the buckets are the same.
    assert_eq!(one.remember(&proof(0), later(60), NOW), Use::First);
    let mut late = SharedMemory::new(
        Store {
            meanwhile: Some(|envoy, key| {
                // Another worker uses the very proof between the read and the write of this one.
                let salt: Salt = SEED;
                let place = Sha256Digest::of_parts(&[&salt, proof(1).as_bytes()]);
                let digest = place.as_bytes()[2..18].try_into().unwrap();
                let value = envoy.values.get(key).map(|stored| stored.value.clone());
                if let Change::Added(value) =
                    with(&value.unwrap_or_default(), digest, later(60), NOW).unwrap()
                {
                    envoy.set(key, &value);
                }
            }),
            ..store
        },
        SEED,
    );
    assert_eq!(late.remember(&proof(1), later(60), NOW), Use::Repeated);
}

#[test]
fn a_bucket_that_others_keep_writing_is_given_up() {
    let mut memory = SharedMemory::new(
        Store {
            meanwhile: Some(|envoy, key| {
                let value = envoy.values.get(key).map(|stored| stored.value.clone());
                envoy.set(key, &value.unwrap_or_default());
            }),
            ..Store::new()
        },
        SEED,
    );
    assert_eq!(memory.remember(&proof(1), later(60), NOW), Use::Unknown);
}

#[test]
fn a_store_that_fails_or_holds_something_else_is_not_trusted() {
    let mut broken = SharedMemory::new(
        Store {
            broken: true,
            ..Store::new()
        },
        SEED,
    );
    assert_eq!(broken.remember(&proof(1), later(60), NOW), Use::Unknown);

    let store = Store::new();
    store.envoy.borrow_mut().set("nexus.dpop.1.salt", b"short");
    let mut memory = SharedMemory::new(store, SEED);
    assert_eq!(memory.remember(&proof(1), later(60), NOW), Use::Unknown);

    let store = Store::new();
    for bucket in 0..BUCKETS {
        let key = format!("nexus.dpop.1.{bucket}");
        store.envoy.borrow_mut().set(&key, b"no whole entry");
    }
    let mut memory = SharedMemory::new(store, SEED);
    assert_eq!(memory.remember(&proof(1), later(60), NOW), Use::Unknown);
}

#[test]
fn a_full_bucket_takes_nothing_until_its_proofs_have_had_their_time() {
    let mut bucket = Vec::new();
    for number in 0..PROOFS_PER_BUCKET {
        let digest = (number as u128).to_be_bytes();
        bucket = match with(&bucket, &digest, later(60), NOW) {
            Ok(Change::Added(bucket)) => bucket,
            _ => panic!("{number}"),
        };
    }
    assert_eq!(bucket.len(), PROOFS_PER_BUCKET * ENTRY_BYTES);
    let another = [0xff; DIGEST_BYTES];
    assert!(matches!(
        with(&bucket, &another, later(90), later(59)),
        Ok(Change::Full)
    ));
    assert!(matches!(
        with(&bucket, &0_u128.to_be_bytes(), later(90), later(59)),
        Ok(Change::Known)
    ));
    match with(&bucket, &another, later(90), later(60)) {
        Ok(Change::Added(bucket)) => assert_eq!(bucket.len(), ENTRY_BYTES, "the others are gone"),
        _ => panic!("there is room again"),
    }
}

#[test]
fn the_memory_stays_within_its_bound_and_says_so() {
    let store = Store::new();
    let mut memory = SharedMemory::new(store.clone(), SEED);
    let uses: Vec<Use> = (0..20_000)
        .map(|number| memory.remember(&proof(number), later(60), NOW))
        .collect();
    assert!(uses.iter().all(|seen| *seen == Use::First));
    let envoy = store.envoy.borrow();
    let bytes: usize = envoy.values.values().map(|stored| stored.value.len()).sum();
    assert_eq!(bytes, 20_000 * ENTRY_BYTES + SEED.len());
    assert!(envoy.values.len() <= usize::from(BUCKETS) + 1);
    assert_eq!(MAX_SHARED_BYTES, 20 * 1024 * 1024);
    // Spread evenly: no bucket has many times its share of five.
    let longest = envoy.values.values().map(|stored| stored.value.len()).max();
    assert!(longest.unwrap() < 25 * ENTRY_BYTES);
}

#[test]
fn a_local_memory_is_bounded_and_forgets_what_is_over() {
    let mut memory = LocalMemory::default();
    for number in 0..MAX_LOCAL_PROOFS {
        let number = u32::try_from(number).unwrap();
        assert_eq!(memory.remember(&proof(number), later(60), NOW), Use::First);
    }
    let one_more = proof(u32::MAX);
    assert_eq!(memory.remember(&one_more, later(60), NOW), Use::Unknown);
    assert_eq!(memory.remember(&proof(7), later(60), NOW), Use::Repeated);
    assert_eq!(
        memory.remember(&one_more, later(120), later(60)),
        Use::First
    );
    assert_eq!(memory.proofs.len(), 1);
}

#[test]
fn the_salt_of_the_first_engine_counts_for_all() {
    let store = Store::new();
    let salts: Vec<Salt> = vec![[1; 16], [2; 16]]
        .into_iter()
        .map(|seed| SharedMemory::new(store.clone(), seed).salt().unwrap())
        .collect();
    assert_eq!(salts, [[1; 16], [1; 16]]);
}
