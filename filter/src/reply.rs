//! A decision becomes header edits or a reply.

use alloc::format;
use nexus_core::engine::{Decision, Denial, HeaderEdits, Outcome};
use nexus_core::reason::Reason;
use nexus_core::reply::Reply;
use nexus_core::request::Request;

use crate::host::{self, HostError};

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Progress {
    /// It is not decided: its headers have not come, or it waits.
    #[default]
    Undecided,
    /// Its headers are edited, and it may go on.
    Passed,
    /// It was answered.
    Answered,
}

/// Answers a request that comes before the policy.
pub(crate) fn not_configured() -> Progress {
    send(&Reply::without_policy(Reason::NotConfigured))
}

/// Answers a request that the policy cannot be asked about.
pub(crate) fn internal() -> Progress {
    send(&Reply::without_policy(Reason::Internal))
}

/// The decision for a request that the host does not let the filter judge.
pub(crate) fn unreadable() -> Decision {
    Decision::denied(None, Denial::Internal)
}

/// Edits the headers of the effective context's request, which is `request` where that is known, or answers it with
/// what `reply` makes. A request whose headers cannot be edited does not go on.
pub(crate) fn apply<'e>(
    decision: &Decision,
    request: Option<&Request<'_>>,
    reply: impl FnOnce() -> Reply<'e>,
) -> Progress {
    match &decision.outcome {
        Outcome::Allow(edits) if edit(edits, request).is_ok() => Progress::Passed,
        Outcome::Allow(_) | Outcome::Deny(_) => send(&reply()),
    }
}

fn edit(edits: &HeaderEdits, request: Option<&Request<'_>>) -> Result<(), HostError> {
    for name in &edits.remove {
        host::remove_request_header(name)?;
    }
    for (name, value) in &edits.set {
        // Proxies take longer to replace a header than to add one.
        match request.is_some_and(|request| !request.has(name)) {
            true => host::add_request_header(name, value)?,
            false => host::replace_request_header(name, value)?,
        }
    }
    for (key, value) in &edits.filter_state {
        host::set_property(key, value)?;
    }
    match edits.clear_route_cache {
        true => host::clear_route_cache(),
        false => Ok(()),
    }
}

/// Answers the request of the effective context.
fn send(reply: &Reply<'_>) -> Progress {
    if let Err(HostError(status)) =
        host::send_local_response(reply.status, &reply.details, &reply.headers, &reply.body)
    {
        // The stream stays paused: it is not let through.
        host::log(
            host::LogLevel::Error,
            &format!("nexus: the proxy refused a reply with status {status}"),
        );
    }
    Progress::Answered
}
