//! Runs child processes as named steps: silent when they are quick and succeed, named when they
//! take a while, shown in full when they fail.

use std::{
    io::IsTerminal as _,
    process::{Command, ExitStatus, Output, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::Context as _;

use crate::failure::Failure;

/// A step that takes longer than this is named on standard error.
const QUICK: Duration = Duration::from_millis(700);

/// How much of the work is shown.
#[derive(Clone, Copy)]
pub(crate) struct Console {
    verbose: bool,
}

impl Console {
    pub(crate) fn new(verbose: bool) -> Self {
        Self { verbose }
    }

    pub(crate) fn verbose(self) -> bool {
        self.verbose
    }

    /// Tells the reader something that is no error.
    #[expect(
        clippy::unused_self,
        reason = "notes belong to the console, as steps do"
    )]
    pub(crate) fn note(self, text: &str) {
        eprintln!("  {text}");
    }

    /// Runs `command`; `doing` names the step (`building the filter`).
    ///
    /// # Errors
    /// When the command cannot be started or does not succeed; its output has then been shown.
    pub(crate) fn step(self, doing: &str, command: &mut Command) -> anyhow::Result<()> {
        if self.verbose {
            return self.step_in_the_open(doing, command);
        }
        let output = self.capture(doing, command)?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(doing, command, output.status)
            .output(&output.stdout)
            .output(&output.stderr)
            .into())
    }

    /// Runs `command` and returns what it wrote to standard output.
    ///
    /// # Errors
    /// As [`Console::step`].
    pub(crate) fn output_of(self, doing: &str, command: &mut Command) -> anyhow::Result<Vec<u8>> {
        if self.verbose {
            eprintln!("  $ {}", rendered(command));
        }
        let output = self.capture(doing, command)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(failed(doing, command, output.status)
            .output(&output.stderr)
            .into())
    }

    /// Runs `command` with its output captured, whatever its exit code.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub(crate) fn capture(self, doing: &str, command: &mut Command) -> anyhow::Result<Output> {
        if std::io::stderr().is_terminal() {
            command.env("CARGO_TERM_COLOR", "always");
        }
        let _notice = Notice::after_a_while(doing);
        command
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run `{}`", rendered(command)))
    }

    fn step_in_the_open(self, doing: &str, command: &mut Command) -> anyhow::Result<()> {
        self.note(&format!("{doing} …"));
        eprintln!("  $ {}", rendered(command));
        let status = command
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("cannot run `{}`", rendered(command)))?;
        if status.success() {
            Ok(())
        } else {
            Err(failed(doing, command, status).into())
        }
    }
}

fn failed(doing: &str, command: &Command, status: ExitStatus) -> Failure {
    Failure::new(format!("failed while {doing}"))
        .evidence([format!("`{}`: {status}", rendered(command))])
}

/// The command line as a person would type it, near enough to be run again.
pub(crate) fn rendered(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| {
            let word = word.to_string_lossy();
            if word.is_empty() || word.contains([' ', '\'', '"', '$', '*']) {
                format!("'{}'", word.replace('\'', r"'\''"))
            } else {
                word.into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Names a step once it has taken longer than [`QUICK`]; ends with the step.
struct Notice {
    done: Option<mpsc::Sender<()>>,
    printer: Option<thread::JoinHandle<()>>,
}

impl Notice {
    fn after_a_while(doing: &str) -> Self {
        let (done, ended) = mpsc::channel::<()>();
        let line = format!("  {doing} …");
        let printer = thread::spawn(move || {
            if ended.recv_timeout(QUICK) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{line}");
            }
        });
        Self {
            done: Some(done),
            printer: Some(printer),
        }
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(printer) = self.printer.take() {
            // The printer cannot panic but by a closed standard error, which nobody would see.
            let _ = printer.join();
        }
    }
}
