//! The process: what the workers share, and the driving of time and events through all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::abi::Status;
use crate::callouts::{Callouts, NoClusters};
use crate::clock::{Clock, SystemClock};
use crate::config::VmConfig;
use crate::error::StartError;
use crate::inbox::Inbox;
use crate::log::{Listener, Log, LogEntry, LogLevel};
use crate::metrics::Metrics;
use crate::module::Module;
use crate::random::Random;
use crate::shared::{SharedData, SharedQueues};
use crate::vm::Vm;
use crate::worker::Worker;

/// Most events in one moment of time: a guest that wakes itself for ever does not hang its host.
const MAX_EVENTS_AT_ONCE: usize = 100_000;

/// A foreign function that the user of the host offers.
type OwnFunction = dyn Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync;

/// What `proxy_call_foreign_function` reaches.
pub(crate) enum ForeignFunction {
    /// What the user of the host offers.
    Own(Box<OwnFunction>),
    /// Envoy's `clear_route_cache`.
    ClearRouteCache,
    /// Envoy's `declare_property`.
    DeclareProperty,
}

/// The functions of Envoy that this host has itself.
fn envoy_functions() -> BTreeMap<String, ForeignFunction> {
    [
        ("clear_route_cache", ForeignFunction::ClearRouteCache),
        ("declare_property", ForeignFunction::DeclareProperty),
    ]
    .map(|(name, function)| (name.to_owned(), function))
    .into()
}

/// What all workers of a process share.
pub(crate) struct Process {
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) random: Random,
    pub(crate) callouts: Box<dyn Callouts>,
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
    pub(crate) shared_data: SharedData,
    pub(crate) queues: SharedQueues,
    pub(crate) foreign_functions: BTreeMap<String, ForeignFunction>,
    pub(crate) inbox: Arc<Inbox>,
    workers: Mutex<Vec<Weak<Mutex<Worker>>>>,
    workers_started: AtomicUsize,
    instances: AtomicU64,
}

impl Process {
    /// A number that no other VM of this process has had.
    pub(crate) fn next_instance(&self) -> u64 {
        self.instances.fetch_add(1, Ordering::Relaxed)
    }

    fn workers(&self) -> Vec<Arc<Mutex<Worker>>> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|worker| worker.strong_count() > 0);
        workers.iter().filter_map(Weak::upgrade).collect()
    }

    /// Delivers one thing that is due now, the earliest. Says whether there was one.
    fn step(&self) -> bool {
        let workers = self.workers();
        if let Some(event) = self.inbox.take() {
            let addressee = workers
                .iter()
                .find(|worker| lock(worker).has_instance(event.instance()));
            // Nobody is there for what concerns a VM that has been replaced.
            if let Some(worker) = addressee {
                lock(worker).take(event);
            }
            return true;
        }
        let now = self.clock.monotonic();
        let due = workers
            .iter()
            .filter_map(|worker| Some((lock(worker).next_due()?, worker)));
        match due.filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at) {
            Some((_, worker)) => lock(worker).run_due(now),
            None => false,
        }
    }

    fn next_due(&self) -> Option<Duration> {
        self.workers()
            .iter()
            .filter_map(|worker| lock(worker).next_due())
            .min()
    }

    pub(crate) fn run_until(&self, stop: &dyn Fn() -> bool) -> usize {
        (0..MAX_EVENTS_AT_ONCE)
            .take_while(|_| !stop() && self.step())
            .count()
    }

    /// Lets at most so much time pass, and all that happens in it; less if `stop` says so after an event.
    pub(crate) fn drive(&self, most: Duration, stop: &dyn Fn() -> bool) {
        let end = self.clock.monotonic().saturating_add(most);
        loop {
            self.run_until(stop);
            if stop() {
                return;
            }
            let now = self.clock.monotonic();
            let next = self.next_due().map_or(end, |due| due.min(end));
            let pause = next.saturating_sub(now);
            if now >= end {
                return;
            }
            if self.clock.try_advance(Duration::ZERO) {
                // Time that is only pretended stands still while somebody really works.
                if !self.inbox.wait_for_flights() {
                    self.clock.try_advance(pause);
                }
            } else {
                self.inbox.wait(pause);
            }
        }
    }
}

pub(crate) fn lock(worker: &Mutex<Worker>) -> MutexGuard<'_, Worker> {
    worker.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A proxy process: workers, and what they share. A cheap handle; the process lives as long as a handle or a [`Vm`].
#[derive(Clone)]
pub struct Proxy {
    process: Arc<Process>,
}

impl Proxy {
    /// A process to set up: real time, real randomness, no cluster, log level "info".
    #[must_use]
    pub fn builder() -> ProxyBuilder {
        ProxyBuilder {
            clock: Box::new(SystemClock::new()),
            random: Random::System,
            callouts: Box::new(NoClusters),
            log_level: LogLevel::Info,
            on_log: None,
            foreign_functions: envoy_functions(),
        }
    }

    #[cfg(test)]
    pub(crate) fn into_process(self) -> Arc<Process> {
        self.process
    }

    /// Starts a worker: a VM with this module, configured.
    ///
    /// # Errors
    /// [`StartError`] if the filter traps or refuses, with what it logged.
    pub fn start_vm(&self, module: &Module, config: VmConfig) -> Result<Vm, StartError> {
        let number = self.process.workers_started.fetch_add(1, Ordering::Relaxed);
        let worker = Worker::start(&self.process, module, Arc::new(config), number)?;
        let worker = Arc::new(Mutex::new(worker));
        self.process
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::downgrade(&worker));
        Ok(Vm::new(self.process.clone(), worker))
    }

    /// Tries a configuration as Envoy does before it takes it: in a VM that is started, configured and thrown away. What
    /// it does to shared data and metrics stays; no event reaches it.
    ///
    /// # Errors
    /// As [`Proxy::start_vm`].
    pub fn check_configuration(
        &self,
        module: &Module,
        config: &VmConfig,
    ) -> Result<(), StartError> {
        let number = self.process.workers_started.load(Ordering::Relaxed);
        Worker::start(&self.process, module, Arc::new(config.clone()), number).map(drop)
    }

    /// Delivers everything that is due now: answers, ticks, news of queues. No time passes. Gives the number of events.
    pub fn run_until_idle(&self) -> usize {
        self.process.run_until(&|| false)
    }

    /// Lets time pass and delivers all that happens in it, in order. A fake clock jumps from event to event, but waits
    /// where another thread is at work; with the system's clock this takes as long as it says.
    pub fn advance(&self, time: Duration) {
        self.process.drive(time, &|| false);
    }

    /// Drives all workers until `stop` says so after an event, or so much time of the proxy's clock has passed. Says
    /// whether `stop` did.
    pub fn advance_until(&self, most: Duration, stop: impl Fn() -> bool) -> bool {
        self.process.drive(most, &stop);
        stop()
    }

    /// The time since 1970-01-01T00:00:00Z by the proxy's clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.process.clock.now()
    }

    /// What the filters logged.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.process.log
    }

    /// What the filters counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.process.metrics
    }

    /// What the workers share.
    #[must_use]
    pub fn shared_data(&self) -> &SharedData {
        &self.process.shared_data
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Proxy")
            .field("workers", &self.process.workers().len())
            .finish_non_exhaustive()
    }
}

/// A process to set up.
pub struct ProxyBuilder {
    clock: Box<dyn Clock>,
    random: Random,
    callouts: Box<dyn Callouts>,
    log_level: LogLevel,
    on_log: Option<Listener>,
    foreign_functions: BTreeMap<String, ForeignFunction>,
}

impl ProxyBuilder {
    /// Takes the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Makes randomness a sequence that this seed fixes.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random::seeded(seed);
        self
    }

    /// Answers callouts with this.
    #[must_use]
    pub fn callouts(mut self, callouts: impl Callouts + 'static) -> Self {
        self.callouts = Box::new(callouts);
        self
    }

    /// Keeps log lines of this level and above, and tells filters so.
    #[must_use]
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log_level = level;
        self
    }

    /// Calls this with each log line that is kept, while the filter runs. It must not call back into a [`Vm`].
    #[must_use]
    pub fn on_log(mut self, listener: impl Fn(&LogEntry) + Send + Sync + 'static) -> Self {
        self.on_log = Some(Box::new(listener));
        self
    }

    /// Offers a function to `proxy_call_foreign_function`. It must not call back into a [`Vm`].
    #[must_use]
    pub fn foreign_function(
        mut self,
        name: impl Into<String>,
        function: impl Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync + 'static,
    ) -> Self {
        self.foreign_functions
            .insert(name.into(), ForeignFunction::Own(Box::new(function)));
        self
    }

    /// Does without one of the functions of Envoy that the host offers by itself, `clear_route_cache` (which Envoy has
    /// since 1.33) and `declare_property`.
    #[must_use]
    pub fn without_foreign_function(mut self, name: &str) -> Self {
        self.foreign_functions.remove(name);
        self
    }

    /// The process.
    #[must_use]
    pub fn build(self) -> Proxy {
        Proxy {
            process: Arc::new(Process {
                clock: self.clock,
                random: self.random,
                callouts: self.callouts,
                log: Log::new(self.log_level, self.on_log),
                metrics: Metrics::default(),
                shared_data: SharedData::default(),
                queues: SharedQueues::default(),
                foreign_functions: self.foreign_functions,
                inbox: Arc::new(Inbox::default()),
                workers: Mutex::default(),
                workers_started: AtomicUsize::new(0),
                instances: AtomicU64::new(0),
            }),
        }
    }
}

impl fmt::Debug for ProxyBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ProxyBuilder")
            .field("log_level", &self.log_level)
            .finish_non_exhaustive()
    }
}
