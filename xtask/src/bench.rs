//! Measures the filter beside others. What is measured, and how, is the affair of `nexus-bench`; here is only what it
//! needs.

use std::process::Command;

use crate::{
    artifacts::{self, executable, native_binary},
    console::Console,
    demo, envoy, filter,
    toolchain::ToolchainChoice,
    workspace::Workspace,
};

/// Builds, gets the newest Envoy and hands over to the benchmark with these arguments, which ends this program.
///
/// # Errors
/// When something cannot be built or fetched, and when the benchmark cannot be started.
pub(crate) fn run(
    workspace: &Workspace,
    choice: ToolchainChoice,
    arguments: &[String],
    console: Console,
) -> anyhow::Result<()> {
    let artifacts = artifacts::build(workspace, choice, console)?;
    let empty = filter::build_empty(workspace, choice, console)?;
    let envoy = envoy::newest(workspace, console)?;
    let mut build = native_binary(workspace, "nexus-bench", console);
    console.step("building the benchmark", &mut build)?;

    let mut bench = Command::new(executable(workspace, "nexus-bench"));
    bench
        .current_dir(workspace.root())
        .env("NEXUS_WASM", &artifacts.module.path)
        .env("NEXUSCTL", &artifacts.nexusctl)
        .env("NEXUS_EMPTY_FILTER", &empty)
        .env("NEXUS_ENVOYS", envoy::listed(std::slice::from_ref(&envoy)))
        .args(arguments)
        .arg("--output")
        .arg(workspace.target("bench"));
    demo::replace_this_process(bench, "the benchmark")
}
