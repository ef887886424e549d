//! When to be called next, for whoever drives an engine by a timer that does not know the engine's clock.
//!
//! An engine says at which time of the wall clock it has something to do. A proxy calls in so many milliseconds, counted
//! by a steady clock of its own: when the wall clock is set forward meanwhile, or the machine sleeps, that is too late. So a
//! timer never runs for longer than [`LONGEST_PERIOD`], whoever learns the time beside, as with a request, can tell at
//! once whether it is wrong, and whether it calls in time for what is wanted is told by the steady clock. A timer that is
//! right is left alone: to set it anew with each request would put it off for ever.

use crate::time::{Millis, Timestamp};

/// The longest time between two calls: by so much at most something is late that a step of the clock made due.
pub const LONGEST_PERIOD: Millis = Millis(60_000);

/// How late a call may be before the timer is taken for wrong.
const SLACK: Millis = Millis(100);

/// What a timer was set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Timer {
    /// Nobody has set it since it called.
    #[default]
    Unset,
    /// It does not call.
    Off,
    /// It calls then.
    Until {
        /// By the wall clock, if nobody sets that.
        wall: Timestamp,
        /// By the steady clock.
        steady: Millis,
    },
}

/// The timer of one engine.
#[derive(Debug, Default)]
pub struct Alarm {
    timer: Timer,
}

impl Alarm {
    /// Takes note that the timer has called, or that setting it has failed.
    pub const fn handle_call(&mut self) {
        self.timer = Timer::Unset;
    }

    /// In how many milliseconds the timer is to call from now on, for an engine with this
    /// [`poll_timeout`](super::Engine::poll_timeout); zero switches it off. `None` when it is to be left as it is.
    /// `steady` is the time of a clock that nobody sets, since whenever.
    pub fn poll_period(
        &mut self,
        wanted: Option<Timestamp>,
        now: Timestamp,
        steady: Millis,
    ) -> Option<Millis> {
        let Some(at) = wanted else {
            let is_off = self.timer == Timer::Off;
            self.timer = Timer::Off;
            return (!is_off).then_some(Millis(0));
        };
        let mut period = Millis(at.since(now).0.clamp(1, LONGEST_PERIOD.0));
        let mut is_right = false;
        if let Timer::Until { steady: set, .. } = self.timer {
            // One that should have called already is about to.
            let remaining = Millis(set.0.saturating_sub(steady.0));
            is_right = remaining <= period;
            period = period.min(remaining);
        }
        self.timer = Timer::Until {
            wall: now.after(period),
            steady: steady.and(period),
        };
        (!is_right).then_some(period)
    }

    /// Whether the clock was set by more than the timer had to run, so that it calls at another time than it was meant
    /// to. Less than that is told by [`poll_period`](Self::poll_period) alone.
    pub fn is_wrong(&self, now: Timestamp) -> bool {
        match self.timer {
            Timer::Until { wall, .. } => {
                wall.after(SLACK) < now || now.after(LONGEST_PERIOD) < wall
            }
            Timer::Unset | Timer::Off => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn later(millis: u64) -> Timestamp {
        NOW.after(Millis(millis))
    }

    /// The steady clock so long after [`NOW`].
    fn steady(millis: u64) -> Millis {
        Millis(7_000_000 + millis)
    }

    #[test]
    fn a_timer_calls_when_it_is_wanted_but_at_least_once_a_minute() {
        for (wanted, period) in [
            (None, 0),
            (Some(Timestamp::from_millis(0)), 1),
            (Some(NOW), 1),
            (Some(later(1)), 1),
            (Some(later(5_000)), 5_000),
            (Some(later(59_999)), 59_999),
            (Some(later(60_001)), 60_000),
            (Some(later(u64::MAX)), 60_000),
        ] {
            let mut alarm = Alarm::default();
            let poll = |alarm: &mut Alarm| alarm.poll_period(wanted, NOW, steady(0));
            assert_eq!(poll(&mut alarm), Some(Millis(period)));
            assert_eq!(poll(&mut alarm), None, "{wanted:?}");
            alarm.handle_call();
            assert_eq!(poll(&mut alarm), Some(Millis(period)));
        }
    }

    #[test]
    fn a_timer_that_calls_in_time_is_left_alone() {
        let mut alarm = Alarm::default();
        let mut poll = |wanted, at| alarm.poll_period(wanted, later(at), steady(at));
        assert_eq!(poll(Some(later(5_000)), 0), Some(Millis(5_000)));
        // Nothing is due earlier.
        assert_eq!(poll(Some(later(9_000)), 1_000), None);
        assert_eq!(poll(Some(later(5_000)), 2_999), None);
        // Something is.
        assert_eq!(poll(Some(later(4_000)), 3_000), Some(Millis(1_000)));
        // What is due at once is not put off by those who come while the call is on its way, however late that is.
        let due = Some(Timestamp::from_millis(0));
        assert_eq!(poll(due, 3_000), Some(Millis(1)));
        for at in 3_000..13_000 {
            assert_eq!(poll(due, at), None, "{at}");
        }
        // When nothing is, it is switched off, once.
        assert_eq!(poll(None, 13_000), Some(Millis(0)));
        assert_eq!(poll(None, 13_000), None);
        assert_eq!(poll(due, 13_000), Some(Millis(1)));
    }

    #[test]
    fn a_timer_that_calls_too_late_by_the_clock_as_it_is_now_is_set_anew() {
        for (step, period) in [
            (0, None),
            (1, Some(29_999)),
            (20_000, Some(10_000)),
            (30_000, Some(1)),
            (3_600_000, Some(1)),
            // It calls too early, which is set right when it does.
            (-10_000, None),
            (-3_600_000, None),
        ] {
            let mut alarm = Alarm::default();
            alarm.poll_period(Some(later(30_000)), NOW, steady(0));
            let now = Timestamp::from_millis(NOW.as_millis().checked_add_signed(step).unwrap());
            let told = alarm.poll_period(Some(later(30_000)), now, steady(0));
            assert_eq!(told, period.map(Millis), "{step}");
        }
    }

    #[test]
    fn a_request_tells_that_the_clock_was_set_by_more_than_the_timer_had_to_run() {
        for (by, is_wrong) in [
            (-3_600_000, true),
            (-60_000, true),
            (-10_000, false),
            (0, false),
            (30_000, false),
            (30_100, false),
            (30_101, true),
            (3_600_000, true),
        ] {
            let mut alarm = Alarm::default();
            alarm.poll_period(Some(later(30_000)), NOW, steady(0));
            let now = Timestamp::from_millis(NOW.as_millis().checked_add_signed(by).unwrap());
            assert_eq!(alarm.is_wrong(now), is_wrong, "{by}");
            alarm.poll_period(Some(later(30_000)), now, steady(0));
            assert!(!alarm.is_wrong(now), "asked once");
        }
        // One that is off, or has called, has nothing to be wrong about.
        let mut alarm = Alarm::default();
        alarm.poll_period(None, NOW, steady(0));
        assert!(!alarm.is_wrong(later(u64::MAX)));
        alarm.handle_call();
        assert!(!alarm.is_wrong(later(u64::MAX)));
    }
}
