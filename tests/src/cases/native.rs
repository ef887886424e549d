//! The engine driven by hand, without a filter around it: the side that the others are compared with.
//!
//! This is the one place in the tests' library that uses `nexus-core`.

use nexus_core::{
    config::Config,
    engine::{Content, Decision, Engine, FetchAnswer, Outcome, RequestId},
    request::Request,
    time::{Millis, Timestamp},
};
use serde_json::Value;

use super::{Arrival, Case, NOW, Observed, Reply, Seen, Setting, by_name};

/// How often time may be moved on to what is due next before a case counts as stuck.
const MAX_STEPS: usize = 100;

/// Decides every case.
pub(super) fn observe(setting: &Setting, cases: &[Case], arrival: Arrival) -> Vec<Observed> {
    let mut bed = Bed::new(setting);
    if arrival == Arrival::AfterKeys {
        bed.fetch_all();
    }
    let mut all = Vec::new();
    for case in cases {
        if arrival == Arrival::BeforeKeys {
            bed = Bed::new(setting);
        }
        all.push(bed.decide(case));
    }
    all
}

/// An engine with the key sets of a setting.
#[derive(Debug)]
pub struct Bed<'s> {
    setting: &'s Setting,
    engine: Engine,
    now: Timestamp,
}

impl<'s> Bed<'s> {
    /// An engine that has fetched nothing yet.
    ///
    /// # Panics
    /// When the configuration gives none.
    pub fn new(setting: &'s Setting) -> Self {
        let now = Timestamp::from_seconds(NOW.unsigned_abs());
        let environment = |name: &str| {
            let value = setting.environment().get(name)?;
            Some(value.clone().into_bytes())
        };
        let engine = Config::parse(setting.compiled().as_bytes())
            .and_then(|config| Engine::new(config, &environment, 1, now))
            .unwrap_or_else(|error| panic!("`{}` gives no engine: {error}", setting.name()));
        Self {
            setting,
            engine,
            now,
        }
    }

    /// Answers every fetch that is due; says how many.
    ///
    /// # Panics
    /// When the setting publishes nothing where something is fetched.
    pub fn fetch_all(&mut self) -> usize {
        let mut answered = 0;
        while let Some(fetch) = self.engine.poll_fetch(self.now) {
            let answer = match self.setting.published(&fetch.target.url) {
                Some(body) => FetchAnswer::response(200, body.as_bytes()),
                None if fetch.content == Content::Metadata
                    || self.setting.is_down(&fetch.target.url) =>
                {
                    FetchAnswer::response(404, &b""[..])
                }
                None => panic!("`{}` publishes nothing for {fetch:?}", self.setting.name()),
            };
            self.engine.handle_answer(fetch.id, answer, self.now);
            answered += 1;
        }
        answered
    }

    fn decide(&mut self, case: &Case) -> Observed {
        self.decide_headers(case.request.as_seen_by_filters())
    }

    /// Decides a request with these headers, pseudo-headers among them.
    ///
    /// # Panics
    /// When it is never decided.
    pub fn decide_headers(&mut self, headers: Vec<(Vec<u8>, Vec<u8>)>) -> Observed {
        let borrowed: Vec<(&[u8], &[u8])> = headers
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
            .collect();
        let id = RequestId(1);
        let decision = self
            .engine
            .handle_request(id, &Request::new(&borrowed), self.now)
            .unwrap_or_else(|| self.wait(id));
        self.observed(&decision, headers)
    }

    fn wait(&mut self, id: RequestId) -> Decision {
        for _ in 0..MAX_STEPS {
            if self.fetch_all() == 0 {
                let due = self.engine.poll_timeout().map_or(Millis(1), |due| {
                    let wait = due.since(self.now);
                    wait.max(Millis(1))
                });
                self.now = self.now.after(due);
                self.engine.handle_timeout(self.now);
            }
            if let Some((decided, decision)) = self.engine.poll_decision(self.now) {
                assert_eq!(decided, id, "only one request waits");
                return decision;
            }
        }
        panic!("a request is never decided");
    }

    fn observed(&self, decision: &Decision, mut headers: Vec<(Vec<u8>, Vec<u8>)>) -> Observed {
        let explanation: Value = serde_json::from_str(&self.engine.explain(decision))
            .expect("an explanation is a JSON object");
        let seen = match &decision.outcome {
            Outcome::Allow(edits) => {
                for removed in &edits.remove {
                    headers.retain(|(name, _)| !name.eq_ignore_ascii_case(removed));
                }
                for (added, value) in &edits.set {
                    headers.retain(|(name, _)| !name.eq_ignore_ascii_case(added.as_bytes()));
                    headers.push((added.clone().into_bytes(), value.clone()));
                }
                Seen::Upstream(by_name(
                    headers
                        .iter()
                        .map(|(name, value)| (name.as_slice(), value.as_slice())),
                ))
            }
            Outcome::Deny(_) => Seen::Reply(self.reply(decision, &headers)),
        };
        Observed::new(seen, &explanation)
    }

    /// What the client gets: as a proxy does, without the body for `HEAD`.
    fn reply(&self, decision: &Decision, headers: &[(Vec<u8>, Vec<u8>)]) -> Reply {
        let borrowed: Vec<(&[u8], &[u8])> = headers
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
            .collect();
        let request = Request::new(&borrowed);
        let reply = self.engine.reply(decision, &request);
        let body = match request.single(":method") {
            Some(b"HEAD") => Vec::new(),
            _ => reply.body.into_owned().into_bytes(),
        };
        let headers = reply
            .headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Reply::new(reply.status, body, headers)
    }
}
