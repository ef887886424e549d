//! What a VM's host functions work on: the state behind one guest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Memory, StoreLimits, TypedFunc};

use crate::abi::{Status, StreamType};
use crate::callouts::{CalloutOutcome, CalloutReply};
use crate::config::VmConfig;
use crate::filter_state::Declarations;
use crate::http::LocalReply;
use crate::log::{LogEntry, LogLevel, LogSource};
use crate::metrics::MetricIds;
use crate::process::Process;
use crate::stream_state::HttpStream;

/// The id of the root context; the first that Envoy gives.
pub(crate) const ROOT: u32 = 1;

/// The step between two ids of callouts, whose two lowest bits are the kind of callout, as in Envoy.
const CALLOUT_STEP: u32 = 4;

/// What a host function asked for that waits until the guest has returned.
pub(crate) enum Deferred {
    Continue { stream: u32, direction: StreamType },
    Reply { stream: u32, reply: LocalReply },
    Close { stream: u32 },
    DeleteRoot,
}

/// A callout that the guest waits for.
pub(crate) struct PendingCall {
    /// When it runs into its timeout, by the monotonic clock.
    pub(crate) deadline: Option<Duration>,
    /// How and when it ends, once that is known.
    pub(crate) ending: Option<(Duration, CalloutOutcome)>,
}

/// The timer of the root context.
#[derive(Clone, Copy)]
pub(crate) struct Tick {
    pub(crate) period: Duration,
    /// When it fires next, by the monotonic clock.
    pub(crate) next: Duration,
}

/// Whether the root context lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RootLife {
    Alive,
    /// `proxy_on_done` said no: it waits for `proxy_done`.
    WaitsForDone,
    Gone,
}

pub(crate) struct HostState {
    pub(crate) process: Arc<Process>,
    pub(crate) config: Arc<VmConfig>,
    pub(crate) worker: usize,
    pub(crate) instance: u64,
    pub(crate) limits: StoreLimits,
    pub(crate) memory: Option<Memory>,
    pub(crate) allocate: Option<TypedFunc<u32, u32>>,
    /// Whether only what a module may do while it initializes is allowed.
    pub(crate) restricted: bool,
    pub(crate) reads_plugin_configuration: bool,
    /// The context whose callback runs; 0 is the VM itself.
    pub(crate) current: u32,
    /// The context that `proxy_set_effective_context` put in its place; 0 if none.
    pub(crate) effective: u32,
    pub(crate) stop_iteration: bool,
    pub(crate) deferred: Vec<Deferred>,
    pub(crate) root: RootLife,
    pub(crate) tick: Option<Tick>,
    pub(crate) calls: BTreeMap<u32, PendingCall>,
    pub(crate) call_reply: Option<CalloutReply>,
    pub(crate) call_data: Vec<u8>,
    pub(crate) status: (u32, String),
    pub(crate) metric_ids: MetricIds,
    /// What the root context declared of properties.
    pub(crate) declarations: Declarations,
    pub(crate) streams: BTreeMap<u32, HttpStream>,
    pub(crate) moving: VecDeque<u32>,
    last_call: u32,
}

impl HostState {
    pub(crate) fn new(process: Arc<Process>, config: Arc<VmConfig>, worker: usize) -> Self {
        let limits = wasmtime::StoreLimitsBuilder::new()
            .memory_size(config.memory_limit)
            .build();
        Self {
            instance: process.next_instance(),
            process,
            config,
            worker,
            limits,
            memory: None,
            allocate: None,
            restricted: true,
            reads_plugin_configuration: false,
            current: 0,
            effective: 0,
            stop_iteration: false,
            deferred: Vec::new(),
            root: RootLife::Gone,
            tick: None,
            calls: BTreeMap::new(),
            call_reply: None,
            call_data: Vec::new(),
            status: (0, String::new()),
            metric_ids: MetricIds::default(),
            declarations: Declarations::new(),
            streams: BTreeMap::new(),
            moving: VecDeque::new(),
            last_call: 0,
        }
    }

    /// The context that host functions are about: the effective one as long as it exists.
    pub(crate) fn context(&self) -> u32 {
        if self.effective != 0 && self.has_context(self.effective) {
            self.effective
        } else {
            self.current
        }
    }

    pub(crate) fn has_context(&self, id: u32) -> bool {
        match id {
            0 => true,
            ROOT => self.root != RootLife::Gone,
            id => self.streams.get(&id).is_some_and(HttpStream::is_live),
        }
    }

    /// The stream that host functions are about, if they are about one.
    pub(crate) fn stream(&self) -> Option<&HttpStream> {
        self.streams.get(&self.context())
    }

    pub(crate) fn stream_mut(&mut self) -> Option<&mut HttpStream> {
        let id = self.context();
        self.streams.get_mut(&id)
    }

    pub(crate) fn next_call_token(&mut self) -> Result<u32, Status> {
        self.last_call = self
            .last_call
            .checked_add(CALLOUT_STEP)
            .ok_or(Status::InternalFailure)?;
        Ok(self.last_call)
    }

    pub(crate) fn log(&self, level: LogLevel, source: LogSource, message: String) {
        let entry = LogEntry {
            level,
            message,
            source,
            worker: self.worker,
            context_id: self.context(),
        };
        self.process.log.write(entry);
    }

    /// When something of this VM's own is due next, by the monotonic clock.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let calls = self.calls.values().filter_map(PendingCall::due);
        calls.chain(self.tick.map(|tick| tick.next)).min()
    }
}

impl PendingCall {
    /// When it ends, as far as is known.
    pub(crate) fn due(&self) -> Option<Duration> {
        let ending = self.ending.as_ref().map(|(at, _)| *at);
        match (ending, self.deadline) {
            (Some(ending), Some(deadline)) => Some(ending.min(deadline)),
            (ending, deadline) => ending.or(deadline),
        }
    }

    /// How it ends when it ends at [`PendingCall::due`]: an answer in time wins over the timeout.
    pub(crate) fn into_outcome(self) -> CalloutOutcome {
        let deadline = self.deadline.unwrap_or(Duration::MAX);
        match self.ending {
            Some((at, outcome)) if at <= deadline => outcome,
            _ => CalloutOutcome::Reply(CalloutReply::timed_out()),
        }
    }
}
