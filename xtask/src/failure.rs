//! What went wrong and what to do about it, kept apart so that the terminal can show both.

use std::fmt;

/// An error with the evidence for it and a way out.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    evidence: Vec<String>,
    hint: Option<String>,
    cause: Option<anyhow::Error>,
    /// What the program that failed printed.
    output: String,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            evidence: Vec::new(),
            hint: None,
            cause: None,
            output: String::new(),
        }
    }

    /// Adds lines that show why; each is printed indented under the message.
    pub(crate) fn evidence<T: Into<String>>(mut self, lines: impl IntoIterator<Item = T>) -> Self {
        self.evidence.extend(lines.into_iter().map(Into::into));
        self
    }

    /// Keeps the error that this one follows from.
    pub(crate) fn because(mut self, cause: anyhow::Error) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Keeps what a program that failed has printed; it is shown as it is, before the error.
    pub(crate) fn output(mut self, bytes: &[u8]) -> Self {
        self.output.push_str(&String::from_utf8_lossy(bytes));
        self
    }

    /// Says what the reader can do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(AsRef::as_ref)
    }
}

/// Says what an error means to the person who asked for the task.
pub(crate) trait OrFail<T> {
    /// Puts a failure over an error, which stays as its cause.
    fn or_fail(self, failure: impl FnOnce() -> Failure) -> anyhow::Result<T>;
}

impl<T> OrFail<T> for anyhow::Result<T> {
    fn or_fail(self, failure: impl FnOnce() -> Failure) -> anyhow::Result<T> {
        self.map_err(|error| failure().because(error).into())
    }
}

fn failures(error: &anyhow::Error) -> impl Iterator<Item = &Failure> + Clone {
    error.chain().filter_map(|cause| cause.downcast_ref())
}

/// What the programs that failed have printed.
#[cfg(test)]
pub(crate) fn outputs(error: &anyhow::Error) -> String {
    failures(error)
        .map(|failure| failure.output.as_str())
        .collect()
}

/// A failure as people read it, a line each: message, evidence, hint.
#[cfg(test)]
pub(crate) fn lines(failure: &Failure) -> Vec<String> {
    let mut lines = vec![failure.message.clone()];
    lines.extend(details(std::iter::once(failure)));
    lines
}

/// The evidence of all failures, then the hints: what to do is read last.
fn details<'a>(failures: impl Iterator<Item = &'a Failure> + Clone) -> Vec<String> {
    let evidence = failures.clone().flat_map(|failure| &failure.evidence);
    let hints = failures.filter_map(|failure| failure.hint.as_ref());
    evidence
        .map(|line| format!("  {line}"))
        .chain(hints.map(|hint| format!("hint: {hint}")))
        .collect()
}

/// Prints an error to standard error: what went wrong by which cause, the evidence, the hints.
pub(crate) fn report(error: &anyhow::Error) {
    for failure in failures(error) {
        eprint!("{}", failure.output);
    }
    eprintln!("error: {error:#}");
    for line in details(failures(error)) {
        eprintln!("{line}");
    }
}
