//! Callouts answered from a script, and remembered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Callout, CalloutOutcome, CalloutReply, Callouts, Dispatch, ReplyHandle};
use crate::header_map::HeaderMap;

/// A scripted answer.
#[derive(Clone, Debug)]
pub struct Answer {
    end: End,
    after: Duration,
}

#[derive(Clone, Debug)]
enum End {
    Reply(CalloutReply),
    Reset,
    Held,
    Refused,
}

impl Answer {
    /// A reply with this status, no body.
    #[must_use]
    pub fn status(status: u32) -> Self {
        let headers = HeaderMap::from_pairs([(":status", status.to_string())]);
        Self::ending(End::Reply(CalloutReply {
            headers,
            ..CalloutReply::default()
        }))
    }

    /// A `200` with this body as `application/json`.
    #[must_use]
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200)
            .header("content-type", "application/json")
            .body(body)
    }

    /// No connection comes about: a `503` that the proxy makes.
    #[must_use]
    pub fn unreachable() -> Self {
        Self::ending(End::Reply(CalloutReply::unreachable()))
    }

    /// The call fails: the filter hears of a response with 0 headers.
    #[must_use]
    pub fn reset() -> Self {
        Self::ending(End::Reset)
    }

    /// No answer until [`ScriptedCallouts::reply`] gives one; the call's own timeout still runs.
    #[must_use]
    pub fn held() -> Self {
        Self::ending(End::Held)
    }

    /// The call cannot be sent: the filter's host call fails (`InternalFailure`).
    #[must_use]
    pub fn refused() -> Self {
        Self::ending(End::Refused)
    }

    /// Adds a header to a reply; nothing to other ends.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        if let End::Reply(reply) = &mut self.end {
            reply.headers.push(name, value);
        }
        self
    }

    /// Sets the body of a reply; nothing to other ends.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        if let End::Reply(reply) = &mut self.end {
            reply.body = body.into();
        }
        self
    }

    /// Sets the trailers of a reply; nothing to other ends.
    #[must_use]
    pub fn trailers(mut self, trailers: HeaderMap) -> Self {
        if let End::Reply(reply) = &mut self.end {
            reply.trailers = trailers;
        }
        self
    }

    /// Comes only after so much time of the proxy's clock.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    fn ending(end: End) -> Self {
        Self {
            end,
            after: Duration::ZERO,
        }
    }
}

/// Callouts answered from a script. Clones share the script and the record of calls.
///
/// A call to a known cluster for which nothing is scripted cannot be sent, as in Envoy to a cluster without endpoints: the
/// filter's host call fails (`InternalFailure`).
#[derive(Clone, Debug, Default)]
pub struct ScriptedCallouts {
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    any_cluster: bool,
    clusters: BTreeSet<String>,
    always: BTreeMap<(String, String), Answer>,
    once: BTreeMap<(String, String), VecDeque<Answer>>,
    calls: Vec<Callout>,
    held: BTreeMap<usize, ReplyHandle>,
}

impl ScriptedCallouts {
    /// An empty script: no cluster exists.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every cluster exist, or only those that were named.
    pub fn any_cluster(&self, exists: bool) -> &Self {
        self.lock().any_cluster = exists;
        self
    }

    /// Makes a cluster exist.
    pub fn cluster(&self, name: &str) -> &Self {
        self.lock().clusters.insert(name.to_owned());
        self
    }

    /// Answers every call to this cluster for this `:path` (with its query) like this, from now on; the cluster exists.
    pub fn answer(&self, cluster: &str, path: &str, answer: Answer) -> &Self {
        self.lock()
            .always
            .insert((cluster.to_owned(), path.to_owned()), answer);
        self.cluster(cluster)
    }

    /// Answers the next such call like this, before what [`ScriptedCallouts::answer`] says; several queue up.
    pub fn answer_once(&self, cluster: &str, path: &str, answer: Answer) -> &Self {
        self.lock()
            .once
            .entry((cluster.to_owned(), path.to_owned()))
            .or_default()
            .push_back(answer);
        self.cluster(cluster)
    }

    /// Every call so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Callout> {
        self.lock().calls.clone()
    }

    /// How many calls there were so far.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.lock().calls.len()
    }

    /// Answers the call of this index in [`ScriptedCallouts::calls`], which a [`Answer::held`] has held. Says whether
    /// there was such a call; the delay of the answer does not count.
    pub fn reply(&self, index: usize, answer: Answer) -> bool {
        let Some(handle) = self.lock().held.remove(&index) else {
            return false;
        };
        match answer.end {
            End::Reply(reply) => handle.send(CalloutOutcome::Reply(reply)),
            End::Reset | End::Refused => handle.send(CalloutOutcome::Reset),
            End::Held => {
                self.lock().held.insert(index, handle);
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Script {
    fn answer_to(&mut self, call: &Callout) -> Option<Answer> {
        let path =
            String::from_utf8_lossy(call.headers.first(":path").unwrap_or_default()).into_owned();
        let key = (call.cluster.clone(), path);
        let queued = self.once.get_mut(&key).and_then(VecDeque::pop_front);
        queued.or_else(|| self.always.get(&key).cloned())
    }
}

impl Callouts for ScriptedCallouts {
    fn knows_cluster(&self, cluster: &str) -> bool {
        let script = self.lock();
        script.any_cluster || script.clusters.contains(cluster)
    }

    fn dispatch(&self, call: &Callout) -> Dispatch {
        let mut script = self.lock();
        let index = script.calls.len();
        let answer = script.answer_to(call);
        script.calls.push(call.clone());
        let Some(answer) = answer else {
            return Dispatch::Refused;
        };
        match answer.end {
            End::Reply(reply) => Dispatch::After(answer.after, CalloutOutcome::Reply(reply)),
            End::Reset => Dispatch::After(answer.after, CalloutOutcome::Reset),
            End::Refused => Dispatch::Refused,
            End::Held => {
                let this = self.clone();
                Dispatch::Held(Box::new(move |handle| {
                    this.lock().held.insert(index, handle);
                }))
            }
        }
    }
}
