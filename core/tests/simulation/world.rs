//! A process with its workers, the places that it fetches from, and the time.

use std::cell::RefCell;
use std::rc::Rc;

use nexus_core::time::Timestamp;

use super::faults::Faults;
use super::flight::Flight;
use super::ledger::Ledger;
use super::place::Place;
use super::random::Random;
use super::settings::Settings;
use super::store::{Ring, Store};
use super::worker::Worker;

/// When a run begins, in seconds since the epoch.
pub(crate) const START_SECS: u64 = 1_700_000_000;

/// How many places there are: of keys at a fixed place, of keys where their issuer says, and of a list.
pub(crate) const PLACES: usize = 4;

/// The place whose keys are found by asking their issuer.
pub(crate) const DISCOVERED: usize = 2;

/// The place of the list of what is revoked.
pub(crate) const LIST_PLACE: usize = 3;

/// What is fetched for a provider, by its index among [`PROVIDERS`]; and behind them, the list.
pub(crate) const LIST: usize = PROVIDERS.len();

/// The provider whose tokens the list is about.
pub(crate) const LISTED: usize = 1;

/// Where something is fetched.
pub(crate) const fn place_of(source: usize) -> usize {
    if source == LIST {
        LIST_PLACE
    } else {
        PROVIDERS[source].place
    }
}

/// A provider that a policy may have.
pub(crate) struct Provider {
    pub(crate) issuer: &'static str,
    /// Where its keys are.
    pub(crate) place: usize,
}

/// The providers; two of them have their keys at one place.
pub(crate) const PROVIDERS: [Provider; 4] = [
    Provider {
        issuer: "https://one.example.com",
        place: 0,
    },
    Provider {
        issuer: "https://two.example.com",
        place: 1,
    },
    Provider {
        issuer: "https://three.example.com",
        place: 0,
    },
    Provider {
        issuer: "https://idp-2.example.com",
        place: DISCOVERED,
    },
];

/// Everything but the workers.
#[derive(Debug)]
pub(crate) struct State {
    /// Milliseconds since the run began.
    pub(crate) now: u64,
    /// What the clock shows beside them, in milliseconds since the epoch.
    pub(crate) clock: u64,
    /// The latest that the clock has shown when it was set.
    pub(crate) latest: u64,
    /// When the clock was last set.
    pub(crate) clock_set: Option<u64>,
    pub(crate) random: Random,
    pub(crate) faults: Faults,
    pub(crate) is_healed: bool,
    pub(crate) store: Store,
    pub(crate) rings: Vec<Ring>,
    pub(crate) flights: Vec<Flight>,
    pub(crate) places: Vec<Place>,
    pub(crate) ledgers: Vec<Ledger>,
    /// The policy of engines that begin now.
    pub(crate) settings: Settings,
    pub(crate) next_member: u32,
    pub(crate) next_request: u32,
    /// How many engines are at work inside of each other.
    depth: u32,
    trace: Option<Vec<String>>,
}

impl State {
    /// What the clock shows.
    pub(crate) const fn timestamp(&self) -> Timestamp {
        Timestamp::from_millis(self.clock + self.now)
    }

    fn write(&mut self, text: String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now:>9} {text}"));
        }
    }
}

pub(crate) struct World {
    pub(crate) state: RefCell<State>,
    pub(crate) workers: Vec<RefCell<Worker>>,
}

impl World {
    /// The world of a run. With `is_traced` it can tell what happened.
    pub(crate) fn new(seed: u64, is_traced: bool) -> Rc<Self> {
        let mut random = Random::new(seed);
        let faults = Faults::new(&mut random);
        let workers = random.pick(&[1, 2, 2, 3, 3, 4, 5, 8]);
        let places = (0..PLACES)
            .map(|index| Place::new(index, &mut random))
            .collect();
        let settings = Settings::new(&mut random);
        let world = Rc::new(Self {
            state: RefCell::new(State {
                now: 1_000,
                clock: START_SECS * 1_000,
                latest: 0,
                clock_set: None,
                random,
                faults,
                is_healed: false,
                store: Store::default(),
                rings: Vec::new(),
                flights: Vec::new(),
                places,
                ledgers: (0..PLACES).map(|_| Ledger::default()).collect(),
                settings,
                next_member: 1,
                next_request: 1,
                depth: 0,
                trace: is_traced.then(Vec::new),
            }),
            workers: (0..workers).map(|_| RefCell::default()).collect(),
        });
        world.note(|| format!("{workers} workers, {faults:?}, {settings:?}"));
        for index in 0..world.workers.len() {
            world.start(index);
        }
        world
    }

    /// Writes down what happens, where somebody wants to know.
    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        if self.state.borrow().trace.is_some() {
            let text = text();
            self.state.borrow_mut().write(text);
        }
    }

    /// What was written down.
    pub(crate) fn trace(&self) -> Vec<String> {
        self.state.borrow().trace.clone().unwrap_or_default()
    }

    pub(crate) fn now(&self) -> u64 {
        self.state.borrow().now
    }

    /// Whether something happens that does so in that many of a hundred cases.
    pub(crate) fn percent(&self, chance: u64) -> bool {
        self.state.borrow_mut().random.percent(chance)
    }

    pub(crate) fn within(&self, least: u64, most: u64) -> u64 {
        self.state.borrow_mut().random.within(least, most)
    }

    pub(crate) fn index(&self, len: usize) -> usize {
        self.state.borrow_mut().random.index(len)
    }

    /// Sends news on their way.
    pub(crate) fn ring(&self, bell: u32, topic: &[u8]) {
        let state = &mut *self.state.borrow_mut();
        if !state.is_healed && state.faults.lost_bells && state.random.percent(30) {
            return;
        }
        let delay = match state.random.percent(20) && !state.is_healed {
            true => state.random.within(1, 2_000),
            false => state.random.within(0, 2),
        };
        state.rings.push(Ring {
            at: state.now + delay,
            bell,
            topic: topic.to_vec(),
        });
    }

    /// Lets another worker get on while one is at work, as threads do.
    pub(crate) fn interleave(self: &Rc<Self>) {
        let choice = {
            let state = &mut *self.state.borrow_mut();
            if !state.faults.contention || state.depth >= 2 || !state.random.percent(10) {
                return;
            }
            state.depth += 1;
            state.random.index(self.workers.len())
        };
        if let Ok(mut worker) = self.workers[choice].try_borrow_mut() {
            if !worker.is_stalled(self.now()) {
                self.hurry(&mut worker);
            }
        }
        self.state.borrow_mut().depth -= 1;
    }

    /// Moves the time on by so much, and does what comes due meanwhile, in order.
    pub(crate) fn advance(self: &Rc<Self>, millis: u64) {
        let end = self.now() + millis;
        while let Some((at, occasion)) = self.next_occasion().filter(|(at, _)| *at <= end) {
            let mut state = self.state.borrow_mut();
            state.now = state.now.max(at);
            drop(state);
            self.meet(occasion);
            self.check_waiting();
            self.check_prompt();
        }
        self.state.borrow_mut().now = end;
        self.check_waiting();
    }

    /// What comes next, and when.
    pub(crate) fn next_occasion(&self) -> Option<(u64, Occasion)> {
        let state = self.state.borrow();
        let workers = || self.workers.iter().map(RefCell::borrow).enumerate();
        let ticks = workers().filter_map(|(index, worker)| {
            let occasion = match worker.engine {
                Some(_) => Occasion::Tick(index),
                None => Occasion::Start(index),
            };
            Some((worker.ready_at(worker.tick_at?), occasion))
        });
        // News for those who are gone come to nothing.
        let ready_at = |member: u32, at: u64| {
            let worker = workers().find(|(_, worker)| worker.member == member);
            worker.map_or(at, |(_, worker)| worker.ready_at(at))
        };
        let rings = state.rings.iter().enumerate();
        let rings = rings.map(|(at, ring)| (ready_at(ring.bell, ring.at), Occasion::Ring(at)));
        let flights = state.flights.iter().enumerate();
        let flights = flights.map(|(at, flight)| match flight.served {
            None => (flight.serve_at, Occasion::Serve(at)),
            Some(_) => (
                ready_at(flight.member, flight.deliver_at),
                Occasion::Deliver(at),
            ),
        });
        ticks.chain(rings).chain(flights).min()
    }

    fn meet(self: &Rc<Self>, occasion: Occasion) {
        match occasion {
            Occasion::Start(index) => self.start(index),
            Occasion::Tick(index) => self.tick(&mut self.workers[index].borrow_mut()),
            Occasion::Ring(at) => {
                let ring = self.state.borrow_mut().rings.remove(at);
                if let Some(mut worker) = self.worker_of(ring.bell) {
                    self.hear(&mut worker, &ring.topic);
                }
            }
            Occasion::Serve(at) => self.serve(at),
            Occasion::Deliver(at) => {
                let flight = self.state.borrow_mut().flights.remove(at);
                if let Some(mut worker) = self.worker_of(flight.member) {
                    self.deliver(&mut worker, flight);
                }
            }
        }
    }

    fn worker_of(&self, member: u32) -> Option<std::cell::RefMut<'_, Worker>> {
        let workers = self
            .workers
            .iter()
            .filter_map(|worker| worker.try_borrow_mut().ok());
        workers
            .into_iter()
            .find(|worker| worker.member == member && worker.engine.is_some())
    }
}

/// Something that happens at a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Occasion {
    /// An engine begins at that worker.
    Start(usize),
    /// That worker does what is due.
    Tick(usize),
    /// That news arrive.
    Ring(usize),
    /// A place answers that request.
    Serve(usize),
    /// The answer arrives.
    Deliver(usize),
}
