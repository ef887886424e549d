//! One instance of a module: the only place that calls into a guest.
//!
//! Every call follows one rule: what the guest asked for while it ran happens after it has returned, and a trap marks the
//! instance failed for good.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Instance, Store};

use crate::config::VmConfig;
use crate::error::StartError;
use crate::exports::Exports;
use crate::log::{LogLevel, LogSource};
use crate::module::{EPOCH, Module};
use crate::process::Process;
use crate::state::{Deferred, HostState, ROOT, RootLife};

/// A deadline that is never reached.
const NO_DEADLINE: u64 = u64::MAX / 4;

pub(crate) struct Guest {
    pub(crate) store: Store<HostState>,
    exports: Exports,
    failure: Option<String>,
}

/// Which callback of a stream is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

impl Guest {
    /// Instantiates a module and starts it: initialization, the root context, `on_vm_start`, `on_configure`.
    pub(crate) fn start(
        process: &Arc<Process>,
        module: &Module,
        config: &Arc<VmConfig>,
        worker: usize,
    ) -> Result<Self, StartError> {
        let logged = process.log.len();
        let logs = || process.log.since(logged);
        let trap = |during: &str, message: String| StartError::Trap {
            during: during.to_owned(),
            message,
            logs: logs(),
        };
        if config.call_deadline.is_some() {
            module.compiled.start_ticker();
        }
        let mut store = Store::new(
            &module.compiled.engine,
            HostState::new(process.clone(), config.clone(), worker),
        );
        store.limiter(|state| &mut state.limits);
        set_deadline(&mut store);
        if module.compiled.counts {
            store
                .set_fuel(u64::MAX)
                .map_err(|error| trap("start", describe(&error)))?;
        }
        let instance = module
            .compiled
            .linked
            .instantiate(&mut store)
            .map_err(|error| trap("start", describe(&error)))?;
        let exports = Exports::find(&instance, &mut store)?;
        let mut guest = Self {
            store,
            exports,
            failure: None,
        };
        guest
            .initialize(&instance)
            .map_err(|message| trap("_initialize", message))?;
        guest.run_start(config, logs)?;
        Ok(guest)
    }

    fn initialize(&mut self, instance: &Instance) -> Result<(), String> {
        let store = &mut self.store;
        let entry = |store: &mut Store<HostState>, name: &str| {
            instance.get_typed_func::<(), ()>(store, name).ok()
        };
        let main = instance
            .get_typed_func::<(u32, u32), u32>(&mut *store, "main")
            .ok();
        if let Some(initialize) = entry(store, "_initialize") {
            self.run("_initialize", 0, |store| initialize.call(store, ()))?;
            if let Some(main) = main {
                self.run("main", 0, |store| main.call(store, (0, 0)))?;
            }
        } else if let Some(start) = entry(store, "_start") {
            self.run("_start", 0, |store| start.call(store, ()))?;
        }
        self.store.data_mut().restricted = false;
        Ok(())
    }

    fn run_start(
        &mut self,
        config: &VmConfig,
        logs: impl Fn() -> Vec<crate::log::LogEntry>,
    ) -> Result<(), StartError> {
        let trap = |during: &str, message| StartError::Trap {
            during: during.to_owned(),
            message,
            logs: logs(),
        };
        self.store.data_mut().root = RootLife::Alive;
        self.create_context(ROOT, 0)
            .map_err(|message| trap("proxy_on_context_create", message))?;
        if let Some(on_vm_start) = self.exports.on_vm_start.clone() {
            let length = length_word(config.vm_configuration.len());
            let accepted = self.run("proxy_on_vm_start", ROOT, |store| {
                on_vm_start.call(store, (ROOT, length))
            });
            if accepted.map_err(|message| trap("proxy_on_vm_start", message))? == 0 {
                return Err(StartError::VmStartRefused { logs: logs() });
            }
        }
        if let Some(on_configure) = self.exports.on_configure.clone() {
            let length = length_word(config.plugin_configuration.len());
            self.store.data_mut().reads_plugin_configuration = true;
            let accepted = self.run("proxy_on_configure", ROOT, |store| {
                on_configure.call(store, (ROOT, length))
            });
            self.store.data_mut().reads_plugin_configuration = false;
            if accepted.map_err(|message| trap("proxy_on_configure", message))? == 0 {
                return Err(StartError::ConfigureRefused { logs: logs() });
            }
        }
        Ok(())
    }

    /// Why the guest runs no more, if it does not.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.store
            .data()
            .memory
            .map_or(0, |memory| memory.data_size(&self.store))
    }

    /// How many instructions have run, where they are counted.
    pub(crate) fn instructions(&self) -> Option<u64> {
        let left = self.store.get_fuel().ok()?;
        Some(u64::MAX - left)
    }

    pub(crate) fn create_context(&mut self, id: u32, parent: u32) -> Result<(), String> {
        let Some(on_context_create) = self.exports.on_context_create.clone() else {
            return Ok(());
        };
        self.run("proxy_on_context_create", id, |store| {
            on_context_create.call(store, (id, parent))
        })
    }

    pub(crate) fn on_tick(&mut self) {
        if let Some(on_tick) = self.exports.on_tick.clone() {
            self.run_unless_failed("proxy_on_tick", ROOT, |store| on_tick.call(store, ROOT));
        }
    }

    pub(crate) fn on_queue_ready(&mut self, context: u32, queue: u32) {
        if let Some(on_queue_ready) = self.exports.on_queue_ready.clone() {
            self.run_unless_failed("proxy_on_queue_ready", context, |store| {
                on_queue_ready.call(store, (context, queue))
            });
        }
    }

    pub(crate) fn on_http_call_response(
        &mut self,
        token: u32,
        headers: usize,
        body: usize,
        trailers: usize,
    ) {
        if let Some(callback) = self.exports.on_http_call_response.clone() {
            let sizes = (
                length_word(headers),
                length_word(body),
                length_word(trailers),
            );
            self.run_unless_failed("proxy_on_http_call_response", ROOT, |store| {
                callback.call(store, (ROOT, token, sizes.0, sizes.1, sizes.2))
            });
        }
    }

    /// Calls a stream's callback for headers; a module without it lets everything pass.
    pub(crate) fn on_headers(
        &mut self,
        direction: Direction,
        id: u32,
        count: usize,
        end: bool,
    ) -> Result<u32, String> {
        let (name, callback) = match direction {
            Direction::Request => ("proxy_on_request_headers", &self.exports.on_request_headers),
            Direction::Response => (
                "proxy_on_response_headers",
                &self.exports.on_response_headers,
            ),
        };
        let Some(callback) = callback.clone() else {
            return Ok(0);
        };
        self.run_filter(name, id, |store| {
            callback.call(store, (id, length_word(count), u32::from(end)))
        })
    }

    /// As [`Guest::on_headers`], for a part of the body.
    pub(crate) fn on_body(
        &mut self,
        direction: Direction,
        id: u32,
        size: usize,
        end: bool,
    ) -> Result<u32, String> {
        let (name, callback) = match direction {
            Direction::Request => ("proxy_on_request_body", &self.exports.on_request_body),
            Direction::Response => ("proxy_on_response_body", &self.exports.on_response_body),
        };
        let Some(callback) = callback.clone() else {
            return Ok(0);
        };
        self.run_filter(name, id, |store| {
            callback.call(store, (id, length_word(size), u32::from(end)))
        })
    }

    /// As [`Guest::on_headers`], for trailers.
    pub(crate) fn on_trailers(
        &mut self,
        direction: Direction,
        id: u32,
        count: usize,
    ) -> Result<u32, String> {
        let (name, callback) = match direction {
            Direction::Request => (
                "proxy_on_request_trailers",
                &self.exports.on_request_trailers,
            ),
            Direction::Response => (
                "proxy_on_response_trailers",
                &self.exports.on_response_trailers,
            ),
        };
        let Some(callback) = callback.clone() else {
            return Ok(0);
        };
        self.run_filter(name, id, |store| {
            callback.call(store, (id, length_word(count)))
        })
    }

    /// Says whether the context may be deleted at once.
    pub(crate) fn on_done(&mut self, id: u32) -> bool {
        let Some(on_done) = self.exports.on_done.clone() else {
            return true;
        };
        self.run_unless_failed("proxy_on_done", id, |store| on_done.call(store, id))
            .is_none_or(|done| done != 0)
    }

    pub(crate) fn on_log(&mut self, id: u32) {
        if let Some(on_log) = self.exports.on_log.clone() {
            self.run_unless_failed("proxy_on_log", id, |store| on_log.call(store, id));
        }
    }

    pub(crate) fn on_delete(&mut self, id: u32) {
        if let Some(on_delete) = self.exports.on_delete.clone() {
            self.run_unless_failed("proxy_on_delete", id, |store| on_delete.call(store, id));
        }
    }

    /// Runs a callback that says whether its stream goes on. A local reply stops it whatever the callback returns.
    fn run_filter(
        &mut self,
        name: &str,
        id: u32,
        act: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<u32>,
    ) -> Result<u32, String> {
        let returned = self.run(name, id, act)?;
        Ok(if self.store.data().stop_iteration {
            u32::MAX
        } else {
            returned
        })
    }

    fn run_unless_failed<R>(
        &mut self,
        name: &str,
        context: u32,
        act: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<R>,
    ) -> Option<R> {
        if self.failure.is_some() {
            return None;
        }
        self.run(name, context, act).ok()
    }

    /// Runs guest code as a context, then what it asked for. After a trap nothing it asked for is done.
    fn run<R>(
        &mut self,
        name: &str,
        context: u32,
        act: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<R>,
    ) -> Result<R, String> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let state = self.store.data_mut();
        state.current = context;
        state.effective = 0;
        state.stop_iteration = false;
        set_deadline(&mut self.store);
        let result = act(&mut self.store);
        let state = self.store.data_mut();
        state.effective = 0;
        let deferred = std::mem::take(&mut state.deferred);
        match result {
            Ok(value) => {
                self.carry_out(deferred);
                self.store.data_mut().current = 0;
                Ok(value)
            }
            Err(error) => {
                let message = describe(&error);
                state.log(
                    LogLevel::Critical,
                    LogSource::Host,
                    format!("the filter trapped in `{name}`: {message}"),
                );
                state.current = 0;
                self.failure = Some(message.clone());
                Err(message)
            }
        }
    }

    /// Does what host functions put off. Streams that move on because of it are queued, not run: no callback runs inside
    /// another.
    fn carry_out(&mut self, deferred: Vec<Deferred>) {
        for action in deferred {
            let state = self.store.data_mut();
            match action {
                Deferred::Continue {
                    stream: id,
                    direction,
                } => {
                    let Some(stream) = state.streams.get_mut(&id) else {
                        continue;
                    };
                    let side = match direction {
                        crate::abi::StreamType::Request => Some(&mut stream.request),
                        _ => stream.response.as_mut(),
                    };
                    if side.is_some_and(crate::side::Side::resume) {
                        state.moving.push_back(id);
                    }
                }
                Deferred::Reply { stream: id, reply } => {
                    if let Some(stream) = state.streams.get_mut(&id) {
                        stream.begin_reply(reply);
                        state.moving.push_back(id);
                    }
                }
                Deferred::Close { stream: id } => {
                    if let Some(stream) = state.streams.get_mut(&id) {
                        stream.reset("wasm_close_stream");
                        state.moving.push_back(id);
                    }
                }
                Deferred::DeleteRoot => {
                    self.on_delete(ROOT);
                    self.store.data_mut().root = RootLife::Gone;
                }
            }
        }
    }
}

fn set_deadline(store: &mut Store<HostState>) {
    let deadline = store.data().config.call_deadline;
    store.set_epoch_deadline(deadline.map_or(NO_DEADLINE, epochs));
}

/// A time in ticks of the engine, and one more for the tick that has begun.
fn epochs(deadline: Duration) -> u64 {
    u64::try_from(deadline.as_millis().div_ceil(EPOCH.as_millis())).map_or(NO_DEADLINE, |epochs| {
        epochs.saturating_add(1).min(NO_DEADLINE)
    })
}

/// A length as the guest takes it. Lengths past 4 GiB do not fit a 32-bit guest.
fn length_word(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// What went wrong on one line: the cause, not the backtrace.
fn describe(error: &wasmtime::Error) -> String {
    let cause = error.root_cause().to_string();
    let line = cause.lines().next().unwrap_or_default();
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::Interrupt) => "it ran for longer than its deadline".to_owned(),
        _ => line.trim_start_matches("wasm trap: ").to_owned(),
    }
}
