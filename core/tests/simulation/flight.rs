//! A fetch on its way: to the place, and back.

use std::rc::Rc;

use nexus_core::engine::{Fetch, FetchAnswer, FetchId};

use super::place::{Asked, Served};
use super::worker::Worker;
use super::world::World;

#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) member: u32,
    pub(crate) id: FetchId,
    pub(crate) place: usize,
    /// When the place sees it.
    pub(crate) serve_at: u64,
    /// When the engine hears of it.
    pub(crate) deliver_at: u64,
    asked: Asked,
    if_none_match: Option<String>,
    /// Whether the proxy gives up before the answer is there.
    is_too_late: bool,
    pub(crate) served: Option<Served>,
}

impl World {
    /// Sends a fetch off. What gets lost comes back to nobody.
    pub(crate) fn send(&self, member: u32, place: usize, fetch: &Fetch) {
        let state = &mut *self.state.borrow_mut();
        let (now, timeout, random) = (state.now, fetch.timeout_ms, &mut state.random);
        let is_faulty = !state.is_healed && state.faults.slow_answers;
        let (there, back) = match random.percent(25) && is_faulty {
            false => (random.within(1, 100), random.within(1, 100)),
            true if random.percent(25) => return,
            true => (random.within(0, timeout), random.within(0, timeout + 2_000)),
        };
        // Mostly the proxy says that it gave up; what comes behind its word is not heard.
        let is_too_late = there + back > timeout && random.percent(75);
        let deliver_at = match is_too_late {
            true => now + timeout,
            false => now + there + back,
        };
        state.flights.push(Flight {
            member,
            id: fetch.id,
            place,
            serve_at: (now + there).min(deliver_at),
            deliver_at,
            asked: Asked {
                content: fetch.content,
                path: fetch.target.path.clone(),
            },
            if_none_match: fetch.if_none_match.clone(),
            is_too_late,
            served: None,
        });
    }

    /// Has the place answer a fetch.
    pub(crate) fn serve(&self, at: usize) {
        let state = &mut *self.state.borrow_mut();
        let flight = &mut state.flights[at];
        let served = match flight.is_too_late {
            true => Served::useless(FetchAnswer::NoResponse),
            false => state.places[flight.place].serve(
                &flight.asked,
                flight.if_none_match.as_deref(),
                &mut state.random,
                state.now,
            ),
        };
        flight.served = Some(served);
    }

    /// Does something for that worker before its time.
    pub(crate) fn hurry(self: &Rc<Self>, worker: &mut Worker) {
        let (flight, ring) = {
            let state = self.state.borrow();
            let is_its = |flight: &Flight| flight.member == worker.member;
            let flight = state.flights.iter().position(is_its);
            let ring = state
                .rings
                .iter()
                .position(|ring| ring.bell == worker.member);
            (flight, ring)
        };
        if worker.engine.is_none() {
            return;
        }
        if let Some(at) = flight {
            if self.state.borrow().flights[at].served.is_none() {
                self.serve(at);
            }
            let flight = self.state.borrow_mut().flights.remove(at);
            self.deliver(worker, flight);
        } else if let Some(at) = ring {
            let ring = self.state.borrow_mut().rings.remove(at);
            self.hear(worker, &ring.topic);
        } else {
            self.tick(worker);
        }
    }
}
