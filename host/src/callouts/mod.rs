//! HTTP callouts: what a filter asks the proxy to fetch, and who answers.
//!
//! The host itself only knows that a call is answered, fails or runs into its timeout. Who answers is a [`Callouts`]:
//! [`ScriptedCallouts`] from a script, [`LiveCallouts`] (feature `live`) from the network.

#[cfg(feature = "live")]
mod live;
mod scripted;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::header_map::HeaderMap;
use crate::inbox::{CallId, Inbox};

#[cfg(feature = "live")]
pub use live::{LiveCallouts, LiveOptions};
pub use scripted::{Answer, ScriptedCallouts};

/// A call that a filter made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callout {
    /// The name of the cluster (`upstream`) that it goes to.
    pub cluster: String,
    /// The headers, `:method`, `:authority` and `:path` always among them.
    pub headers: HeaderMap,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
    /// The trailers; empty if there are none.
    pub trailers: HeaderMap,
    /// How long the filter waits; for ever if there is none.
    pub timeout: Option<Duration>,
}

/// What comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalloutReply {
    /// The headers, `:status` among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers; empty if there are none.
    pub trailers: HeaderMap,
}

impl CalloutReply {
    /// An answer that the proxy itself makes in the place of an upstream, as Envoy words it.
    #[must_use]
    pub fn local(status: u32, body: &str) -> Self {
        let headers = HeaderMap::from_pairs([
            (":status", status.to_string()),
            ("content-length", body.len().to_string()),
            ("content-type", "text/plain".to_owned()),
        ]);
        Self {
            headers,
            body: body.into(),
            trailers: HeaderMap::new(),
        }
    }

    /// What Envoy gives when the call's timeout has passed.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::local(504, "upstream request timeout")
    }

    /// What Envoy gives when no connection comes about. (A cluster without endpoints is [`Dispatch::Refused`].)
    #[must_use]
    pub fn unreachable() -> Self {
        Self::local(
            503,
            "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
        )
    }
}

/// How a call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalloutOutcome {
    /// With a reply.
    Reply(CalloutReply),
    /// Without one: the stream was reset in the middle of the response, or the response was too large. The filter hears
    /// of 0 headers, and may read no map.
    Reset,
}

/// What becomes of a call once it was made.
pub enum Dispatch {
    /// It cannot be sent; the filter is told at once (`InternalFailure`).
    Refused,
    /// It ends like this, after so much time of the proxy's clock.
    After(Duration, CalloutOutcome),
    /// Whoever gets the handle answers when it likes. A fake clock does not wait for it.
    Held(Box<dyn FnOnce(ReplyHandle) + Send>),
    /// Another thread answers as soon as it can. A fake clock stands still until it has.
    InFlight(Box<dyn FnOnce(ReplyHandle) + Send>),
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => formatter.write_str("Refused"),
            Self::After(delay, outcome) => formatter
                .debug_tuple("After")
                .field(delay)
                .field(outcome)
                .finish(),
            Self::Held(_) => formatter.write_str("Held"),
            Self::InFlight(_) => formatter.write_str("InFlight"),
        }
    }
}

/// Answers callouts.
pub trait Callouts: Send + Sync {
    /// Whether there is a cluster of this name; a call to one that does not exist is a `BadArgument` to the filter.
    fn knows_cluster(&self, cluster: &str) -> bool;

    /// Takes a call. The host sees to the timeout.
    fn dispatch(&self, call: &Callout) -> Dispatch;
}

impl<C: Callouts + ?Sized> Callouts for Arc<C> {
    fn knows_cluster(&self, cluster: &str) -> bool {
        (**self).knows_cluster(cluster)
    }

    fn dispatch(&self, call: &Callout) -> Dispatch {
        (**self).dispatch(call)
    }
}

/// The one answer that a call can get. Dropped without one, it resets a call in flight and leaves a held one for ever.
#[derive(Debug)]
pub struct ReplyHandle {
    inbox: Arc<Inbox>,
    call: CallId,
    answered: bool,
}

impl ReplyHandle {
    pub(crate) fn new(inbox: Arc<Inbox>, call: CallId) -> Self {
        Self {
            inbox,
            call,
            answered: false,
        }
    }

    /// Answers. Nothing happens if the filter does not wait any more.
    pub fn send(mut self, outcome: CalloutOutcome) {
        self.answered = true;
        self.inbox.answer(self.call, outcome);
    }
}

impl Drop for ReplyHandle {
    fn drop(&mut self) {
        if !self.answered && self.inbox.is_in_flight(self.call) {
            self.inbox.answer(self.call, CalloutOutcome::Reset);
        }
    }
}

/// A process of which nothing was said: no cluster exists.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NoClusters;

impl Callouts for NoClusters {
    fn knows_cluster(&self, _cluster: &str) -> bool {
        false
    }

    fn dispatch(&self, _call: &Callout) -> Dispatch {
        Dispatch::Refused
    }
}
