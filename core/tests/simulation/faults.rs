//! What may go wrong in a run. Each has some of it only, so that what the rest brings about is seen as well.

use std::rc::Rc;

use super::keys::{KEYS, MADE_UP, Token};
use super::ledger::Ledger;
use super::settings::Settings;
use super::store::Store;
use super::world::{DISCOVERED, PLACES, PROVIDERS, World};

/// By how much the clock may be set back without any engine noticing, in milliseconds: what clocks may differ by, less the
/// time by which what is published is dated behind what was.
const UNNOTICED: u64 = 4_900;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    /// Engines die and come again.
    pub(crate) crashes: bool,
    /// So does the whole process.
    pub(crate) restarts: bool,
    /// Policies change.
    pub(crate) updates: bool,
    /// Workers get on while others are in the middle of something, and writes meet others.
    pub(crate) contention: bool,
    /// Workers stand still for seconds.
    pub(crate) stalls: bool,
    /// Places do not answer for a while.
    pub(crate) outages: bool,
    /// Answers come late, or not at all.
    pub(crate) slow_answers: bool,
    /// News get lost.
    pub(crate) lost_bells: bool,
    /// The store does nothing for a while.
    pub(crate) broken_store: bool,
    /// Of a hundred, how many calls of the store fail by themselves.
    pub(crate) failing_calls: u64,
    /// The clock is set back and forth.
    pub(crate) clock: bool,
    /// And never by so much that an engine can tell it from what clocks differ by.
    pub(crate) only_slightly: bool,
}

impl Faults {
    pub(crate) fn new(random: &mut super::random::Random) -> Self {
        let is_rough = random.percent(40);
        let mut rough = || is_rough && random.percent(40);
        let (lost_bells, broken_store, clock, fails) = (rough(), rough(), rough(), rough());
        let mut some = || random.percent(50);
        Self {
            crashes: some(),
            restarts: some(),
            updates: some(),
            contention: some(),
            stalls: some(),
            outages: some(),
            slow_answers: some(),
            lost_bells,
            broken_store,
            failing_calls: if fails { 3 } else { 0 },
            clock,
            only_slightly: random.percent(50),
        }
    }

    /// Whether something may be told and not be kept.
    pub(crate) const fn loses_writes(&self) -> bool {
        self.broken_store || self.failing_calls > 0
    }

    /// Whether everybody hears of what another one fetched.
    pub(crate) const fn is_heard(&self) -> bool {
        !self.loses_writes() && (!self.clock || self.only_slightly) && !self.lost_bells
    }
}

impl World {
    /// One thing that happens by chance.
    pub(crate) fn step(self: &Rc<Self>) {
        let faults = self.state.borrow().faults;
        match self.index(40) {
            0..16 => self.pass_time(),
            16..30 => self.ask(),
            30..33 => self.rotate(),
            33 => {
                if faults.crashes {
                    self.crash();
                }
            }
            34 => {
                if faults.restarts && self.percent(25) {
                    self.restart();
                }
            }
            35 => {
                if faults.updates && self.percent(50) {
                    self.update();
                }
            }
            36 => {
                if faults.stalls {
                    self.stall();
                }
            }
            37 => {
                if faults.outages && self.percent(50) {
                    self.fail_place();
                }
            }
            38 => {
                if faults.broken_store && self.percent(50) {
                    self.break_store();
                }
            }
            _ => {
                if faults.clock && self.percent(50) {
                    self.set_clock();
                }
            }
        }
        self.check_waiting();
    }

    fn pass_time(self: &Rc<Self>) {
        let millis = match self.index(10) {
            0..3 => self.within(0, 5),
            3..6 => self.within(5, 1_000),
            6..8 => self.within(1_000, 10_000),
            8 => self.within(10_000, 100_000),
            // Until something happens, and that too.
            _ => match self.next_occasion() {
                Some((at, _)) => at.saturating_sub(self.now()),
                None => 0,
            },
        };
        self.note(|| format!("{millis} ms pass"));
        self.advance(millis);
    }

    fn ask(self: &Rc<Self>) {
        let index = self.index(self.workers.len());
        let provider = self.index(PROVIDERS.len());
        let key = self.index(KEYS);
        let token = match self.index(8) {
            0 => Token::Forged(key),
            1 | 2 => Token::MadeUp(self.index(MADE_UP)),
            _ => Token::Genuine(key),
        };
        let mut worker = self.workers[index].borrow_mut();
        if worker.engine.is_some() && !worker.is_stalled(self.now()) {
            self.request(&mut worker, provider, token);
        }
    }

    fn rotate(&self) {
        let place = self.index(PLACES);
        let (published, moves) = {
            let state = &mut *self.state.borrow_mut();
            let moves = place == DISCOVERED && state.random.percent(30);
            if moves {
                state.places[place].relocate();
            }
            state.places[place].rotate(&mut state.random, state.now);
            (state.places[place].published(), moves)
        };
        self.note(|| format!("place {place} publishes {published:?}, and moves: {moves}"));
    }

    fn crash(&self) {
        let index = self.index(self.workers.len());
        let pause = self.within(0, 5_000);
        self.replace(index, pause);
    }

    fn restart(&self) {
        self.note(|| "the process begins anew".into());
        for index in 0..self.workers.len() {
            let pause = self.within(0, 100);
            self.replace(index, pause);
        }
        let state = &mut *self.state.borrow_mut();
        state.store = Store::default();
        state.rings.clear();
        state.ledgers = (0..PLACES).map(|_| Ledger::default()).collect();
    }

    fn update(&self) {
        let settings = {
            let state = &mut *self.state.borrow_mut();
            state.settings = Settings::new(&mut state.random);
            state.settings
        };
        self.note(|| format!("the policy becomes {settings:?}"));
        for index in 0..self.workers.len() {
            let pause = self.within(0, 2_000);
            self.replace(index, pause);
        }
    }

    fn stall(&self) {
        let index = self.index(self.workers.len());
        let until = self.now() + self.within(1, 10_000);
        self.workers[index].borrow_mut().stalled_until = until;
        self.note(|| format!("worker {index} stands still until {until}"));
    }

    fn fail_place(&self) {
        let place = self.index(PLACES);
        let longest = [10_000, 300_000, 5_000_000][self.index(3)];
        let until = self.now() + self.within(1, longest);
        let says_nothing = place == DISCOVERED && self.percent(50);
        match &mut self.state.borrow_mut().places[place] {
            its if says_nothing => its.unsaid_until = until,
            its => its.down_until = until,
        }
        let what = if says_nothing {
            "the issuer of"
        } else {
            "place"
        };
        self.note(|| format!("{what} {place} fails until {until}"));
    }

    fn break_store(&self) {
        let until = self.now() + self.within(1, 30_000);
        self.note(|| format!("the store fails until {until}"));
        let state = &mut *self.state.borrow_mut();
        state.store.fails_until = until;
        // Every engine is on its own for that time, and finds out for itself what the pauses are; one that begins
        // anew, and all when it is over, do so again.
        let workers = self.workers.len() as u64;
        for ledger in &mut state.ledgers {
            ledger.forgive(8 * workers + 20);
        }
    }

    fn set_clock(&self) {
        let faults = self.state.borrow().faults;
        let longest = match faults.only_slightly {
            true => 2_000,
            false => [2_000, 100_000, 86_400_000][self.index(3)],
        };
        let by = self.within(1, longest);
        let is_forth = self.percent(50);
        self.note(|| format!("the clock is to be set by {by} ms, forth: {is_forth}"));
        let state = &mut *self.state.borrow_mut();
        state.latest = state.latest.max(state.clock + state.now);
        let clock = match is_forth {
            true => state.clock + by,
            false => state.clock - by,
        };
        // No engine was told a later time. What it fetches behind what is from then may be from a little later.
        let is_noticed = clock + state.now + UNNOTICED < state.latest;
        if is_noticed && faults.only_slightly {
            return;
        }
        state.clock = clock;
        state.clock_set = Some(state.now);
        // A round under way is given up, a pause is over, and what was fetched is due. Nothing is where nobody notices.
        if is_forth || is_noticed {
            for ledger in &mut state.ledgers {
                ledger.forgive(3);
            }
        }
    }
}
