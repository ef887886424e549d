//! Runs every test of the workspace against what was just built, in real Envoys.

use std::{
    io::{BufRead, BufReader, Write as _},
    process::Stdio,
};

use anyhow::Context as _;

use crate::{
    artifacts,
    console::{Console, rendered},
    envoy,
    failure::Failure,
    filter, oidc_provider,
    toolchain::ToolchainChoice,
    workspace::Workspace,
};

/// What cargo's test programs counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// Builds, fetches Envoys and runs the tests; with `filters`, those whose name contains one.
///
/// # Errors
/// When something cannot be built or fetched, when a test fails, and when no test ran.
pub(crate) fn run(
    workspace: &Workspace,
    choice: ToolchainChoice,
    filters: &[String],
    console: Console,
) -> anyhow::Result<()> {
    let artifacts = artifacts::build(workspace, choice, console)?;
    let empty_filter = filter::build_empty(workspace, choice, console)?;
    let envoys = envoy::all(workspace, console)?;
    let oidc_provider = oidc_provider::install(workspace, console)?;

    let mut command = artifacts::cargo_native(workspace, "test");
    command
        .env("NEXUS_WASM", &artifacts.module.path)
        .env("NEXUSCTL", &artifacts.nexusctl)
        .env("NEXUS_EMPTY_FILTER", &empty_filter)
        .env("NEXUS_ENVOYS", envoy::listed(&envoys))
        .env("NEXUS_OIDC_PROVIDER", &oidc_provider)
        .arg("--no-fail-fast")
        .arg("--")
        .args(filters);
    console.note("building and running the tests …");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{}`", rendered(&command)))?;
    let output = child.stdout.take().context("the tests' output is piped")?;
    let tally = pass_on(BufReader::new(output));
    let status = child.wait().context("cannot wait for the tests")?;
    let tally = tally?;

    println!("{}", tally.line());
    if !status.success() || tally.failed > 0 {
        return Err(Failure::new(format!("the tests did not pass ({status})"))
            .hint("run one again by `cargo xtask test NAME`")
            .into());
    }
    if tally.passed == 0 {
        let names = filters.join("`, `");
        return Err(Failure::new(format!("no test ran: none is called like `{names}`")).into());
    }
    Ok(())
}

/// Copies the tests' output to standard output, counting results.
fn pass_on(output: impl BufRead) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut stdout = std::io::stdout().lock();
    for line in output.split(b'\n') {
        let mut line = line.context("cannot read the tests' output")?;
        tally.count(&String::from_utf8_lossy(&line));
        line.push(b'\n');
        stdout
            .write_all(&line)
            .context("cannot write the tests' output")?;
    }
    Ok(tally)
}

impl Tally {
    /// Adds the numbers of a line `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn count(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let numbers = result
            .split(['.', ';'])
            .filter_map(|part| part.trim().split_once(' '));
        for (number, what) in numbers {
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    fn line(&self) -> String {
        let Self {
            passed,
            failed,
            ignored,
        } = self;
        if *ignored == 0 {
            format!("{passed} passed, {failed} failed")
        } else {
            format!("{passed} passed, {failed} failed, {ignored} skipped")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn results_of_all_test_programs_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; \
             finished in 0.00s",
            "test 5 passed; ... ok",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; \
             finished in 1.52s",
        ] {
            tally.count(line);
        }
        assert_eq!(tally.line(), "4 passed, 2 failed, 1 skipped");
    }
}
