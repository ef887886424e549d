//! When to be called next, for whoever drives an engine by a timer that does not know the engine's clock.
//!
//! An engine says at which time of the wall clock it has something to do. A proxy calls in so many milliseconds, counted
//! by a clock of its own: when the wall clock is set forward meanwhile, or the machine sleeps, that is too late. So a
//! timer never runs for longer than [`LONGEST_PERIOD`], and whoever learns the time beside, as with a request, can tell
//! at once whether it is wrong. A timer that is right is left alone: to set it anew with each request would put it off
//! for ever.

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
    /// It calls then, by the clock as it was when the timer was set.
    Until(Timestamp),
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

    /// Takes note that somebody begins to wait, who is promised a time: a timer that was set before the clock was set
    /// forward by less than it had to run would call too late, and does not show it. It is set anew then, to the same
    /// time, unless it is about to call.
    pub fn handle_waiting(&mut self, now: Timestamp) {
        if matches!(self.timer, Timer::Until(at) if at > now) {
            self.timer = Timer::Unset;
        }
    }

    /// In how many milliseconds the timer is to call from now on, for an engine with this
    /// [`poll_timeout`](super::Engine::poll_timeout); zero switches it off. `None` when it is to be left as it is.
    pub fn poll_period(&mut self, wanted: Option<Timestamp>, now: Timestamp) -> Option<Millis> {
        let (timer, period) = match wanted {
            None => (Timer::Off, Millis(0)),
            Some(at) => {
                let period = Millis(at.since(now).0.clamp(1, LONGEST_PERIOD.0));
                (Timer::Until(now.after(period)), period)
            }
        };
        let is_right = match (self.timer, timer) {
            (Timer::Off, Timer::Off) => true,
            (Timer::Until(set), Timer::Until(needed)) => set <= needed && !self.is_wrong(now),
            _ => false,
        };
        if is_right {
            return None;
        }
        self.timer = timer;
        Some(period)
    }

    /// Whether the clock was set, so that the timer calls at another time than it was meant to.
    pub fn is_wrong(&self, now: Timestamp) -> bool {
        match self.timer {
            Timer::Until(at) => at.after(SLACK) < now || now.after(LONGEST_PERIOD) < at,
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
            assert_eq!(alarm.poll_period(wanted, NOW), Some(Millis(period)));
            assert_eq!(alarm.poll_period(wanted, NOW), None, "{wanted:?}");
            alarm.handle_call();
            assert_eq!(alarm.poll_period(wanted, NOW), Some(Millis(period)));
        }
    }

    #[test]
    fn who_begins_to_wait_has_the_timer_set_by_the_clock_as_it_is() {
        let mut alarm = Alarm::default();
        alarm.poll_period(Some(later(25_000)), NOW);
        // The clock is set forward by 20 s: the timer would call 20 s too late.
        let now = later(20_000);
        assert_eq!(alarm.poll_period(Some(later(25_000)), now), None);
        alarm.handle_waiting(now);
        let period = alarm.poll_period(Some(later(25_000)), now);
        assert_eq!(period, Some(Millis(5_000)));
        // One that is about to call is not put off.
        let now = later(25_000);
        alarm.handle_waiting(now);
        assert_eq!(alarm.poll_period(Some(later(25_000)), now), None);
    }

    #[test]
    fn a_timer_that_calls_in_time_is_left_alone() {
        let mut alarm = Alarm::default();
        alarm.poll_period(Some(later(5_000)), NOW);
        // Nothing is due earlier.
        assert_eq!(alarm.poll_period(Some(later(9_000)), later(1_000)), None);
        assert_eq!(alarm.poll_period(Some(later(5_000)), later(4_999)), None);
        // Something is.
        let period = alarm.poll_period(Some(later(3_000)), later(1_000));
        assert_eq!(period, Some(Millis(2_000)));
        // What is due at once is not put off by those who come while the call is on its way.
        let due = Some(Timestamp::from_millis(0));
        assert_eq!(alarm.poll_period(due, later(1_000)), Some(Millis(1)));
        for millis in 1_000..1_100 {
            assert_eq!(alarm.poll_period(due, later(millis)), None, "{millis}");
        }
        // When nothing is, it is switched off, once.
        assert_eq!(alarm.poll_period(None, later(1_000)), Some(Millis(0)));
        assert_eq!(alarm.poll_period(None, later(1_000)), None);
        assert_eq!(alarm.poll_period(due, later(1_000)), Some(Millis(1)));
    }

    #[test]
    fn a_clock_that_was_set_makes_a_timer_wrong() {
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
            alarm.poll_period(Some(later(30_000)), NOW);
            let now = Timestamp::from_millis(NOW.as_millis().checked_add_signed(by).unwrap());
            assert_eq!(alarm.is_wrong(now), is_wrong, "{by}");
            let period = alarm.poll_period(Some(later(30_000)), now);
            assert_eq!(period.is_some(), is_wrong, "{by}");
            assert!(!alarm.is_wrong(now));
        }
        // One that is off, or has called, has nothing to be wrong about.
        let mut alarm = Alarm::default();
        alarm.poll_period(None, NOW);
        assert!(!alarm.is_wrong(later(u64::MAX)));
        alarm.handle_call();
        assert!(!alarm.is_wrong(later(u64::MAX)));
    }
}
