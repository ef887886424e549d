//! A decision becomes header edits or a reply.

use nexus_core::engine::{Decision, Denial, HeaderEdits, Outcome};
use nexus_core::reason::Reason;

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

/// The decision for a request that comes before the policy.
pub(crate) fn not_configured() -> Decision {
    Decision::denied(None, Denial::NotConfigured)
}

/// The decision for a request that the host does not let the filter judge.
pub(crate) fn internal() -> Decision {
    Decision::denied(None, Denial::Internal)
}

/// Edits the headers of the effective context's request, or answers it. A request whose headers cannot
/// be edited does not go on.
pub(crate) fn apply(decision: &Decision) -> Progress {
    match &decision.outcome {
        Outcome::Allow(edits) if edit(edits).is_ok() => Progress::Passed,
        Outcome::Allow(_) => answer(Reason::Internal),
        Outcome::Deny(denial) => answer(denial.reason()),
    }
}

fn edit(edits: &HeaderEdits) -> Result<(), HostError> {
    for name in &edits.remove {
        host::remove_request_header(name)?;
    }
    for (name, value) in &edits.set {
        host::replace_request_header(name, value)?;
    }
    Ok(())
}

fn answer(reason: Reason) -> Progress {
    let row = reason.row();
    let headers: Vec<(&str, &str)> = row
        .challenge
        .value()
        .map(|value| ("www-authenticate", value))
        .into_iter()
        .collect();
    let details = format!("nexus_denied{{{}}}", row.code);
    if let Err(HostError(status)) =
        host::send_local_response(row.status, &details, &headers, row.body)
    {
        // The stream stays paused: it is not let through.
        host::log(
            host::LogLevel::Error,
            &format!("nexus: the proxy refused a reply with status {status}"),
        );
    }
    Progress::Answered
}
