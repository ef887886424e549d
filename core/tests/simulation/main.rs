//! The engines of a process in simulated time: they fetch keys through everything that goes wrong, and keep their
//! promises.
//!
//! A run takes some hundred random steps with up to eight engines that share a store and ring for each other, two
//! places that publish keys for three providers, an issuer that says where the keys of a fourth one are, and a list of
//! what is revoked. Requests come, keys change, and of the faults in [`faults`] each run
//! has some. At each step this holds:
//!
//! - *keys*: no request passes by a key that was never published, or was withdrawn for longer than the bound: until
//!   somebody in the process fetched without it and all heard, at the latest until it was too old to be used;
//! - *known keys*: a request passes whose key is known and was not withdrawn, as long as what is known may be used;
//! - *lists*: no request passes by a token that was revoked for longer than the same bound, nor where the list cannot be
//!   had;
//! - *waiting*: no request waits for longer than its bound;
//! - *prompt*: what is due is done at once, and within a minute where it is due because the clock was set forward;
//! - *budget*: every fetch has a reason, which [`ledger`] works out;
//!
//! and in the end, when faults are over, within a refresh interval and the longest pause
//!
//! - *asked*: a `kid` that nobody knows has the place asked;
//! - *fresh*: every engine knows the keys that are published, and no others;
//! - *tidy*: in the store is what engines name, and when some time has passed, nothing else.
//!
//! `NEXUS_SIMULATION_RUNS=n` has more or fewer runs, `NEXUS_SIMULATION_SEED=s` one, and prints what happened.

mod faults;
mod flight;
mod keys;
mod ledger;
mod place;
mod promises;
mod random;
mod settings;
mod store;
mod worker;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use world::World;

/// How many runs there are when nobody says.
const RUNS: u64 = 10_000;

/// How many random steps a run has.
const STEPS: usize = 200;

/// In how many of a hundred runs what nobody names any more is waited for.
const TIDY_PERCENT: u64 = 2;

/// How much of what happened before a failure is printed.
const LAST_LINES: usize = 80;

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    match value.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("`{name}` is `{value}`, which is no number"),
    }
}

fn run(world: &Rc<World>) {
    for _ in 0..STEPS {
        world.step();
    }
    world.heal();
    world.check_fresh();
    if world.percent(TIDY_PERCENT) {
        world.check_tidy();
    }
}

/// What a run came to: how many rounds of fetching, or why it failed.
fn outcome(world: &Rc<World>) -> Result<u64, String> {
    let ended = catch_unwind(AssertUnwindSafe(|| run(world)));
    let rounds = || {
        world
            .state
            .borrow()
            .ledgers
            .iter()
            .map(|it| it.rounds)
            .sum()
    };
    ended.map(|()| rounds()).map_err(|panic| reason(&*panic))
}

fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").into()
}

/// What happens in the run of that seed, and what it comes to.
fn replay(seed: u64) -> (Vec<String>, Result<u64, String>) {
    let world = World::new(seed, true);
    let outcome = outcome(&world);
    (world.trace(), outcome)
}

#[test]
fn keys_are_fetched_as_promised_whatever_fails() {
    if let Some(seed) = variable("NEXUS_SIMULATION_SEED") {
        let (trace, outcome) = replay(seed);
        println!("{}", trace.join("\n"));
        let rounds = outcome.unwrap_or_else(|reason| panic!("seed {seed}: {reason}"));
        println!("seed {seed}: {rounds} rounds of fetching");
        return;
    }
    let runs = variable("NEXUS_SIMULATION_RUNS").unwrap_or(RUNS);
    let mut rounds = 0;
    let mut failed = None;
    // The reason of a failure is told below, with what happened before.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for seed in 0..runs {
        match outcome(&World::new(seed, false)) {
            Ok(fetched) => rounds += fetched,
            Err(_) => {
                failed = Some((seed, replay(seed)));
                break;
            }
        }
    }
    std::panic::set_hook(hook);
    if let Some((seed, (trace, outcome))) = failed {
        let from = trace.len().saturating_sub(LAST_LINES);
        panic!(
            "{}\n…\n{}\nseed {seed}: {}\nto see all of it: NEXUS_SIMULATION_SEED={seed} cargo test -p nexus-core --test \
             simulation -- --nocapture",
            trace.first().map_or("", String::as_str),
            trace[from..].join("\n"),
            outcome
                .err()
                .unwrap_or_else(|| "not the second time".into())
        );
    }
    assert!(rounds > runs, "{rounds} rounds of fetching in {runs} runs");
    println!("{runs} runs with {rounds} rounds of fetching");
}
