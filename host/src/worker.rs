//! One worker: a VM that may fail, be reloaded, and get events.

use std::sync::Arc;
use std::time::Duration;

use crate::callouts::CalloutOutcome;
use crate::config::{FailurePolicy, VmConfig};
use crate::error::{StartError, StreamError};
use crate::guest::Guest;
use crate::header_map::MapKind;
use crate::http::{Request, Response};
use crate::inbox::Event;
use crate::module::Module;
use crate::process::Process;
use crate::side::Side;
use crate::state::{HostState, ROOT, RootLife, Tick};
use crate::stream_state::Context;

pub(crate) struct Worker {
    process: Arc<Process>,
    module: Module,
    config: Arc<VmConfig>,
    number: usize,
    pub(crate) guest: Guest,
    started_at: Duration,
    last_stream: u32,
}

impl Worker {
    pub(crate) fn start(
        process: &Arc<Process>,
        module: &Module,
        config: Arc<VmConfig>,
        number: usize,
    ) -> Result<Self, StartError> {
        let started_at = process.clock.monotonic();
        let mut guest = Guest::start(process, module, &config, number)?;
        guest.settle();
        Ok(Self {
            process: process.clone(),
            module: module.clone(),
            config,
            number,
            guest,
            started_at,
            last_stream: ROOT,
        })
    }

    fn state(&mut self) -> &mut HostState {
        self.guest.store.data_mut()
    }

    /// Puts a new VM in the place of this one. Streams of the old one are never moved again, as in Envoy.
    pub(crate) fn reload(&mut self) -> Result<(), StartError> {
        self.started_at = self.process.clock.monotonic();
        let mut guest = Guest::start(&self.process, &self.module, &self.config, self.number)?;
        let mut streams = std::mem::take(&mut self.state().streams);
        for stream in streams.values_mut() {
            stream.context = Context::Gone;
        }
        guest.store.data_mut().streams = streams;
        self.guest = guest;
        self.guest.settle();
        Ok(())
    }

    pub(crate) fn request(&mut self, request: Request) -> u32 {
        self.reload_if_due();
        self.last_stream += 1;
        self.guest.begin_stream(self.last_stream, request);
        self.last_stream
    }

    fn reload_if_due(&mut self) {
        let FailurePolicy::Reload { backoff } = self.config.failure_policy else {
            return;
        };
        let due = self.started_at.saturating_add(backoff);
        if self.guest.failure().is_some() && self.process.clock.monotonic() >= due {
            // A VM that does not start again leaves the failed one in place; why, it has logged.
            let _ = self.reload();
        }
    }

    pub(crate) fn respond(&mut self, id: u32, response: Response) -> Result<(), StreamError> {
        let stream = self.guest.stream_mut(id).ok_or(StreamError::Closed)?;
        if stream.was_reset {
            return Err(StreamError::Closed);
        }
        if stream.reply.is_some() || !stream.request.is_complete() {
            return Err(StreamError::NotForwarded);
        }
        if stream.response.is_some() {
            return Err(StreamError::AlreadyAnswered);
        }
        let trailers = response.trailers.as_ref();
        stream.response = Some(Side::new(
            MapKind::ResponseHeaders,
            &response.headers,
            response.body,
            trailers,
        ));
        stream.details = Some("via_upstream".to_owned());
        if stream.context == Context::Gone {
            return Err(StreamError::Closed);
        }
        self.state().moving.push_back(id);
        self.guest.settle();
        Ok(())
    }

    /// When this VM has something of its own to do, by the monotonic clock.
    pub(crate) fn next_due(&mut self) -> Option<Duration> {
        if self.guest.failure().is_some() {
            None
        } else {
            self.state().next_due()
        }
    }

    pub(crate) fn has_instance(&self, instance: u64) -> bool {
        self.guest.store.data().instance == instance
    }

    /// Takes what came from outside. Answers are noted, not delivered: they are due now.
    pub(crate) fn take(&mut self, event: Event) {
        match event {
            Event::Answered { call, outcome } => {
                let now = self.process.clock.monotonic();
                if let Some(pending) = self.state().calls.get_mut(&call.token) {
                    pending.ending.get_or_insert((now, outcome));
                }
            }
            Event::QueueReady { reader, queue } => {
                if self.state().has_context(reader.context_id) {
                    self.guest.on_queue_ready(reader.context_id, queue);
                    self.guest.settle();
                }
            }
        }
    }

    /// Runs the first thing that is due at `now`, the answers to callouts before the timer. Says whether there was one.
    pub(crate) fn run_due(&mut self, now: Duration) -> bool {
        let state = self.state();
        let due = |at: Option<Duration>| at.filter(|at| *at <= now);
        let call = state
            .calls
            .iter()
            .filter_map(|(token, call)| Some((due(call.due())?, *token)))
            .min();
        let tick = state.tick.filter(|tick| tick.next <= now);
        match (call, tick) {
            (Some((at, token)), tick) if tick.is_none_or(|tick| at <= tick.next) => {
                self.deliver(token)
            }
            (_, Some(tick)) => self.tick(tick),
            (_, None) => return false,
        }
        self.guest.settle();
        true
    }

    fn deliver(&mut self, token: u32) {
        let Some(call) = self.state().calls.remove(&token) else {
            return;
        };
        match call.into_outcome() {
            CalloutOutcome::Reply(reply) => {
                let sizes = (reply.headers.len(), reply.body.len(), reply.trailers.len());
                self.state().call_reply = Some(reply);
                self.guest
                    .on_http_call_response(token, sizes.0, sizes.1, sizes.2);
                self.state().call_reply = None;
            }
            CalloutOutcome::Reset => {
                self.state().status = (
                    crate::abi::Status::BrokenConnection as u32,
                    "reset".to_owned(),
                );
                self.guest.on_http_call_response(token, 0, 0, 0);
                self.state().status.1.clear();
            }
        }
    }

    fn tick(&mut self, tick: Tick) {
        self.guest.on_tick();
        // Envoy arms the timer again after the callback, with the period that holds then.
        let now = self.process.clock.monotonic();
        if let Some(next) = &mut self.state().tick
            && next.next == tick.next
        {
            next.next = now.saturating_add(next.period);
        }
    }

    /// Ends the root context. Says whether it is gone; if not, it waits for `proxy_done`.
    pub(crate) fn shut_down(&mut self) -> bool {
        if self.state().root == RootLife::Alive {
            self.state().root = RootLife::WaitsForDone;
            if self.guest.on_done(ROOT) {
                self.guest.on_delete(ROOT);
                self.state().root = RootLife::Gone;
            }
            self.guest.settle();
        }
        self.state().root == RootLife::Gone
    }
}
