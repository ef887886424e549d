//! Shows the filter at work in a real Envoy.

use std::process::Command;

use crate::{
    artifacts::{self, executable, native_binary},
    console::Console,
    envoy,
    toolchain::ToolchainChoice,
    workspace::Workspace,
};

/// Builds, gets an Envoy and hands over to the demo, which ends this program.
///
/// # Errors
/// When something cannot be built or fetched, and when the demo fails.
pub(crate) fn run(
    workspace: &Workspace,
    choice: ToolchainChoice,
    keep: bool,
    console: Console,
) -> anyhow::Result<()> {
    let artifacts = artifacts::build(workspace, choice, console)?;
    let envoy = envoy::any(workspace, console)?;
    let mut build = native_binary(workspace, "nexus-demo", console);
    console.step("building the demo", &mut build)?;

    let mut demo = Command::new(executable(workspace, "nexus-demo"));
    demo.current_dir(workspace.root())
        .env("NEXUS_WASM", &artifacts.module.path)
        .env("NEXUSCTL", &artifacts.nexusctl)
        .env("NEXUS_ENVOYS", envoy::listed(std::slice::from_ref(&envoy)));
    if keep {
        demo.arg("--keep");
    }
    replace_this_process(demo, "the demo")
}

/// A program takes this process's place, so that Ctrl-C reaches that program alone and its shutdown
/// is waited for.
///
/// # Errors
/// When the program cannot be started; where a process cannot be replaced, also when it fails.
#[cfg(unix)]
pub(crate) fn replace_this_process(mut command: Command, name: &str) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let error = command.exec();
    Err(anyhow::Error::from(error).context(format!("cannot start {name}")))
}

#[cfg(not(unix))]
pub(crate) fn replace_this_process(mut command: Command, name: &str) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let status = command
        .status()
        .with_context(|| format!("cannot start {name}"))?;
    anyhow::ensure!(status.success(), "{name} failed: {status}");
    Ok(())
}
