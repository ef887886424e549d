//! How the command ends: exit codes, and failures in the shape that people read.
//!
//! A denial is an answer, not a failure: it has an exit code of its own, which no error shares.

use std::process::ExitCode;

use nexus_core::policy::{self, Excerpt};

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The request was allowed, or there was nothing to decide.
    Fine,
    /// The request was denied.
    Denied,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fine => Self::SUCCESS,
            Outcome::Denied => Self::from(1),
        }
    }
}

/// Whose fault a failure is, as the exit code tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The arguments do not make sense together. The parser's own complaints have the same code.
    Usage,
    /// A policy, key, key set or token that was given.
    Input,
    /// The filter, the host it runs in, or the machine.
    Harness,
}

impl Blame {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Input => 3,
            Self::Harness => 4,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whose fault it is.
    pub(crate) blame: Blame,
    /// What is wrong, worst or first one first. Never empty.
    pub(crate) reports: Vec<Report>,
    /// A last line about all of it.
    pub(crate) summary: Option<String>,
}

/// One thing that is wrong: a message, the evidence below it, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// Lower case, no final period, user input in backticks.
    pub(crate) message: String,
    /// Places in what the user wrote.
    pub(crate) excerpts: Vec<Excerpt>,
    /// Lines that show what the message is based on.
    pub(crate) evidence: Vec<String>,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl Report {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            excerpts: Vec::new(),
            evidence: Vec::new(),
            hint: None,
        }
    }
}

impl From<policy::Report> for Report {
    fn from(report: policy::Report) -> Self {
        Self {
            message: report.message,
            excerpts: report.excerpts,
            evidence: Vec::new(),
            hint: report.hint,
        }
    }
}

/// The result of everything that can fail in front of the user.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    fn new(blame: Blame, message: impl Into<String>) -> Self {
        Self {
            blame,
            reports: vec![Report::new(message)],
            summary: None,
        }
    }

    /// The arguments do not make sense together.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Blame::Usage, message)
    }

    /// Something that was given is not valid.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(Blame::Input, message)
    }

    /// The filter, the host or the machine failed.
    pub(crate) fn harness(message: impl Into<String>) -> Self {
        Self::new(Blame::Harness, message)
    }

    /// Adds lines of evidence to the last report.
    #[must_use]
    pub(crate) fn evidence(mut self, text: impl AsRef<str>) -> Self {
        if let Some(report) = self.reports.last_mut() {
            report
                .evidence
                .extend(text.as_ref().lines().map(str::to_owned));
        }
        self
    }

    /// Shows a place with the last report.
    #[must_use]
    pub(crate) fn excerpts(mut self, excerpts: Vec<Excerpt>) -> Self {
        if let Some(report) = self.reports.last_mut() {
            report.excerpts = excerpts;
        }
        self
    }

    /// Gives the last report a hint.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(report) = self.reports.last_mut() {
            report.hint = Some(hint.into());
        }
        self
    }
}
