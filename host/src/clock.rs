//! Time as the guest sees it: the system's, or one that stands still until it is moved.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the host takes the time from. Both of the guest's clocks, its ticks, callout timeouts and scripted delays
/// follow it.
pub trait Clock: Send + Sync {
    /// The time since 1970-01-01T00:00:00Z.
    fn now(&self) -> Duration;

    /// The time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Moves the clock on and says `true`, or says `false` because it moves by itself, so that the host has to wait.
    fn try_advance(&self, by: Duration) -> bool;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Duration {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn try_advance(&self, by: Duration) -> bool {
        (**self).try_advance(by)
    }
}

/// The system's clock, at its own pace.
#[derive(Clone, Debug)]
pub struct SystemClock {
    started: Instant,
    wall_at_start: Option<Duration>,
}

impl SystemClock {
    /// The system's time.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            wall_at_start: None,
        }
    }

    /// A clock that reads `since_epoch` now and goes on at the system's pace: what would happen if it were then.
    #[must_use]
    pub fn starting_at(since_epoch: Duration) -> Self {
        Self {
            started: Instant::now(),
            wall_at_start: Some(since_epoch),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        match self.wall_at_start {
            Some(start) => start.saturating_add(self.started.elapsed()),
            // A system clock before 1970 reads as 1970.
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn try_advance(&self, _by: Duration) -> bool {
        false
    }
}

/// A clock that only moves when it is told to. Clones share the time.
#[derive(Clone)]
pub struct FakeClock {
    times: Arc<Mutex<Times>>,
}

#[derive(Clone, Copy)]
struct Times {
    wall: Duration,
    monotonic: Duration,
}

impl FakeClock {
    /// A clock that reads `since_epoch`.
    #[must_use]
    pub fn at(since_epoch: Duration) -> Self {
        Self {
            times: Arc::new(Mutex::new(Times {
                wall: since_epoch,
                monotonic: Duration::ZERO,
            })),
        }
    }

    /// Sets the wall clock, forward or back, as an administrator or NTP does: ticks and timeouts do not move with it.
    pub fn set(&self, since_epoch: Duration) {
        self.with(|times| times.wall = since_epoch);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Times) -> T) -> T {
        act(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for FakeClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("FakeClock")
            .field(&self.now())
            .finish()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Duration {
        self.with(|times| times.wall)
    }

    fn monotonic(&self) -> Duration {
        self.with(|times| times.monotonic)
    }

    fn try_advance(&self, by: Duration) -> bool {
        self.with(|times| {
            times.wall = times.wall.saturating_add(by);
            times.monotonic = times.monotonic.saturating_add(by);
        });
        true
    }
}
