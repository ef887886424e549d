//! One configuration at work: the engine, the fetches under way, the counters.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use core::fmt;
use core::time::Duration;

use nexus_core::config::Config;
use nexus_core::engine::{
    Alarm, Content, Decision, Engine, Event, Fetch, FetchAnswer, Freshness, Outcome, RequestId,
    SetupError,
};
use nexus_core::request::Request;
use nexus_core::sorted::SortedMap;
use nexus_core::time::{Millis, Timestamp};

use crate::events::Streams;
use crate::host::{self, Buffer, HostError, LogLevel, Map};
use crate::metrics::{LONGEST_UNTOLD, Metrics};
use crate::possession;
use crate::process::{self, HostProcess};
use crate::reply::{self, Progress};
use crate::verifier::ProxyVerifier;

/// How long decisions about requests that waited may hold up a worker, in nanoseconds. The others come with the
/// next tick.
const LONGEST_RUN: u64 = 5_000_000;

/// How many requests that waited are let go on or answered in one call of the host; the others come with the next tick.
/// A reply ends its request only when the call is over: the proxy calls the module to delete it, and gives the next reply
/// from there, each inside the one before. Some four hundred of them are more than the stack of a VM holds.
const MOST_RESUMED: usize = 16;

/// Why a configuration is refused.
#[derive(Debug)]
pub(crate) enum ConfigureError {
    /// The host does not hand it out, or does not tell the time.
    Host(HostError),
    /// There is none.
    Empty,
    /// The engine cannot work with it.
    Setup(SetupError),
    /// The host does not take text for its filter state, which the configuration needs.
    FilterState(HostError),
}

impl fmt::Display for ConfigureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(HostError(status)) => {
                write!(
                    f,
                    "the proxy does not hand out the configuration: status {status}"
                )
            }
            Self::Empty => f.write_str(
                "there is no configuration; give the filter what `nexusctl compile-policy` writes",
            ),
            Self::Setup(error) => error.fmt(f),
            Self::FilterState(HostError(status)) => write!(
                f,
                "the proxy does not keep text as filter state: status {status}"
            ),
        }
    }
}

/// A configuration that was accepted.
pub(crate) struct Plugin {
    root: u32,
    engine: Engine,
    /// The fetches under way, by the host's token.
    fetches: SortedMap<u32, Box<Fetch>>,
    metrics: Metrics,
    /// What the host was asked for ticks.
    alarm: Alarm,
    /// The second of the last event: what every request would ask the host, or tell it, happens once in each.
    second: Option<i64>,
    /// The level from which on the host's log keeps lines.
    log_threshold: u32,
}

impl Plugin {
    /// Reads the configuration of the root context. Fetching starts with the first tick: while a proxy
    /// configures its filters its clusters may not be there yet.
    #[inline(never)]
    pub(crate) fn configure(root: u32, size: usize) -> Result<Self, ConfigureError> {
        let json = host::buffer(Buffer::PluginConfiguration, size).map_err(ConfigureError::Host)?;
        if json.is_empty() {
            return Err(ConfigureError::Empty);
        }
        let nanos = host::now_nanos().map_err(ConfigureError::Host)?;
        let config = Config::parse(&json).map_err(ConfigureError::Setup)?;
        // The memory of a VM never gets less: a large configuration makes room before more is built from it.
        drop(json);
        let seed = host::random().unwrap_or_else(|| u128::from(nanos).to_be_bytes());
        let member = nexus_core::shared::member(u128::from_be_bytes(seed));
        let engine = Engine::new(config, &host::variable, member, timestamp(nanos))
            .map_err(ConfigureError::Setup)?
            .with_replay_memory(process::replay_memory(seed))
            .with_process(Box::new(HostProcess::new(member)), member)
            .with_signature_verifier(Box::new(ProxyVerifier::default()));
        // A digest of tokens needs a key that nobody can guess.
        let engine = match host::random() {
            Some(key) => engine.with_token_cache(key),
            None => engine,
        };
        for key in engine.filter_state_keys() {
            host::declare_text_property(key).map_err(ConfigureError::FilterState)?;
        }
        let mut plugin = Self {
            root,
            engine,
            fetches: SortedMap::new(),
            metrics: Metrics::define(),
            alarm: Alarm::default(),
            second: None,
            log_threshold: 0,
        };
        let now = plugin.handle_time(nanos);
        plugin.schedule(now);
        Ok(plugin)
    }

    /// Takes the time of an event, in nanoseconds since the epoch.
    fn handle_time(&mut self, nanos: u64) -> Timestamp {
        let now = timestamp(nanos);
        let second = now.as_seconds();
        if self.second != Some(second) {
            self.second = Some(second);
            self.log_threshold = host::log_threshold();
            self.metrics.tell();
        }
        now
    }

    /// Decides the request of the effective context and carries it out. It is undecided when it has to wait;
    /// what became of it then is noted in the streams.
    pub(crate) fn handle_request(&mut self, id: RequestId) -> Progress {
        let (Ok(pairs), Ok(nanos)) = (host::pairs(Map::Request), host::now_nanos()) else {
            return self.refuse_unreadable();
        };
        let Ok(headers) = pairs.parse() else {
            return self.refuse_unreadable();
        };
        let now = self.handle_time(nanos);
        let mut request = Request::new(&headers);
        if self.engine.needs_certificate(&request) {
            request = request.with_certificate(possession::certificate());
        }
        let decision = self.engine.handle_request(id, &request, now);
        let had_untold = self.metrics.has_untold();
        let progress = match decision {
            Some(decision) => self.carry_out(&decision, Some(&request)),
            None => {
                self.metrics.count_cache_miss();
                Progress::Undecided
            }
        };
        let has_news = progress == Progress::Undecided || !had_untold && self.metrics.has_untold();
        if has_news || self.alarm.is_wrong(now) {
            self.schedule(now);
        }
        progress
    }

    /// Refuses a request that the host does not let the filter judge. Whether there will be another event is open then, so
    /// that the host is told of it at once.
    fn refuse_unreadable(&self) -> Progress {
        let progress = self.carry_out(&reply::unreadable(), None);
        self.metrics.tell();
        progress
    }

    /// Does what was decided about the request of the effective context, which is `request` where that is known.
    fn carry_out(&self, decision: &Decision, request: Option<&Request<'_>>) -> Progress {
        self.report(decision);
        let unknown = Request::new(&[]);
        reply::apply(decision, request, || {
            self.engine.reply(decision, request.unwrap_or(&unknown))
        })
    }

    /// Ends the configuration.
    pub(crate) fn handle_end(self) {
        self.metrics.tell();
        self.engine.handle_end();
    }

    /// Forgets a request whose client is gone.
    pub(crate) fn handle_cancelled(&mut self, id: RequestId) {
        self.engine.handle_cancelled(id);
    }

    /// Does what is due.
    pub(crate) fn handle_tick(&mut self, streams: &mut Streams) {
        self.alarm.handle_call();
        if let Ok(nanos) = host::now_nanos() {
            let now = self.handle_time(nanos);
            self.metrics.tell();
            self.engine.handle_timeout(now);
            self.drive(streams, now);
        }
    }

    /// Takes the answer of a fetch. Without headers there was no response.
    pub(crate) fn handle_answer(
        &mut self,
        streams: &mut Streams,
        token: u32,
        headers: usize,
        body_size: usize,
    ) {
        let (Some(fetch), Ok(nanos)) = (self.fetches.remove(&token), host::now_nanos()) else {
            return;
        };
        let now = self.handle_time(nanos);
        // One byte more than the limit shows the engine that it was crossed.
        let size = body_size.min(fetch.max_body_bytes().saturating_add(1));
        let response = match headers {
            0 => None,
            _ => status().zip(host::buffer(Buffer::CallResponseBody, size).ok()),
        };
        let answer = match response {
            Some((status, body)) => {
                FetchAnswer::response(status, body).with_freshness(freshness(now))
            }
            None => FetchAnswer::NoResponse,
        };
        self.engine.handle_answer(fetch.id, answer, now);
        self.drive(streams, now);
    }

    /// Takes what other workers rang with.
    pub(crate) fn handle_news(&mut self, streams: &mut Streams, queue: u32) {
        let Ok(nanos) = host::now_nanos() else {
            return;
        };
        let now = self.handle_time(nanos);
        while let Some(topic) = host::dequeue(queue) {
            self.engine.handle_news(&topic, now);
        }
        self.drive(streams, now);
    }

    /// Carries out what the engine has to say, from the root context.
    fn drive(&mut self, streams: &mut Streams, now: Timestamp) {
        while let Some(fetch) = self.engine.poll_fetch(now) {
            let mut headers = vec![
                (":method", "GET"),
                (":scheme", fetch.target.scheme.as_str()),
                (":authority", fetch.target.authority.as_str()),
                (":path", fetch.target.path.as_str()),
                ("accept", fetch.accept()),
                ("user-agent", concat!("nexus/", env!("CARGO_PKG_VERSION"))),
            ];
            if let Some(etag) = &fetch.if_none_match {
                headers.push(("if-none-match", etag));
            }
            let timeout = Duration::from_millis(fetch.timeout_ms);
            match host::http_call(&fetch.target.cluster, &headers, timeout) {
                Ok(token) => {
                    self.fetches.insert(token, Box::new(fetch));
                }
                Err(_) => self
                    .engine
                    .handle_answer(fetch.id, FetchAnswer::NotSent, now),
            }
        }
        let began = host::now_nanos().unwrap_or(0);
        for _ in 0..MOST_RESUMED {
            let Some((id, decision)) = self.engine.poll_decision(now) else {
                break;
            };
            self.resume(streams, id, &decision);
            if host::now_nanos().unwrap_or(0).saturating_sub(began) > LONGEST_RUN {
                break;
            }
        }
        while let Some(event) = self.engine.poll_event() {
            self.tell(&event);
        }
        self.metrics.tell();
        self.schedule(now);
    }

    /// Lets a request that waited go on, or answers it. One whose stream is gone is skipped.
    #[inline(never)]
    fn resume(&self, streams: &mut Streams, id: RequestId, decision: &Decision) {
        if !streams.has(id) || host::set_effective_context(id.0).is_err() {
            return;
        }
        let progress = self.carry_out_late(decision);
        if streams.settle(id, progress) && progress == Progress::Passed {
            if let Err(HostError(status)) = host::continue_request() {
                host::log(
                    LogLevel::Error,
                    &format!("nexus: the proxy refused to continue a request with status {status}"),
                );
            }
        }
        // Ticks and callouts are the root context's; a host always knows it.
        let _ = host::set_effective_context(self.root);
    }

    /// The same for a request that waited: its headers are still there, and are read again for its reply. Where
    /// the host does not hand them out, the reply is one that does not depend on them.
    fn carry_out_late(&self, decision: &Decision) -> Progress {
        let pairs = match decision.outcome {
            Outcome::Deny(_) => host::pairs(Map::Request).ok(),
            Outcome::Allow(_) => None,
        };
        let headers = pairs.as_ref().and_then(|pairs| pairs.parse().ok());
        self.carry_out(decision, headers.as_deref().map(Request::new).as_ref())
    }

    /// Counts a decision, and explains it to those who listen.
    #[inline(never)]
    fn report(&self, decision: &Decision) {
        if decision.cached_keys {
            self.metrics.count_cache_hit();
        }
        if let Some(is_hit) = decision.cached_token {
            self.metrics.count_token(is_hit);
        }
        match &decision.outcome {
            Outcome::Allow(_) => self.metrics.count_allowed(),
            Outcome::Deny(denial) => self.metrics.count_denied(denial.reason()),
        }
        let mut level = LogLevel::Debug;
        if let Some(denial) = &decision.would_deny {
            self.metrics.count_would_deny(denial.reason());
            level = LogLevel::Info;
        }
        if self.log_threshold <= level as u32 {
            host::log(
                level,
                &format!("nexus.decision {}", self.engine.explain(decision)),
            );
        }
    }

    #[inline(never)]
    fn tell(&self, event: &Event) {
        match event {
            Event::KeysFetched { .. } => self.metrics.count_fetched(Content::Keys),
            Event::MetadataFetched { .. } => self.metrics.count_fetched(Content::Metadata),
            Event::RevocationsFetched { .. } => self.metrics.count_fetched(Content::Revocations),
            Event::FetchFailed {
                content, failure, ..
            } => self.metrics.count_fetch_failed(*content, failure),
            Event::Unchanged { content, .. } => self.metrics.count_unchanged(*content),
            Event::Stale { content, .. } => self.metrics.count_stale(*content),
        }
        let level = match event {
            Event::KeysFetched { rejected, .. } if rejected.is_empty() => LogLevel::Info,
            Event::MetadataFetched { .. } | Event::RevocationsFetched { .. } => LogLevel::Info,
            Event::Unchanged { .. } => LogLevel::Debug,
            _ => LogLevel::Warn,
        };
        host::log(level, &format!("nexus: {event}"));
    }

    /// Asks for the next tick, unless it comes in time.
    fn schedule(&mut self, now: Timestamp) {
        // A host without a steady clock is one whose clock nobody may set.
        let steady = host::steady_millis().unwrap_or(now.as_millis());
        let untold = self.metrics.has_untold().then(|| now.after(LONGEST_UNTOLD));
        let wanted = self.engine.poll_timeout().into_iter().chain(untold).min();
        let Some(period) = self.alarm.poll_period(wanted, now, Millis(steady)) else {
            return;
        };
        if host::set_tick_period(u32::try_from(period.0).unwrap_or(u32::MAX)).is_err() {
            self.alarm.handle_call();
        }
    }
}

fn status() -> Option<u16> {
    let value = host::first_value(Map::CallResponse, ":status").ok()?;
    core::str::from_utf8(&value).ok()?.parse().ok()
}

/// What the answer of a fetch says about how long it holds.
fn freshness(now: Timestamp) -> Freshness {
    let pairs = host::pairs(Map::CallResponse).ok();
    let headers = pairs.as_ref().and_then(|pairs| pairs.parse().ok());
    Freshness::of(headers.unwrap_or_default(), now)
}

fn timestamp(nanos: u64) -> Timestamp {
    Timestamp::from_millis(nanos.wrapping_div(1_000_000))
}
