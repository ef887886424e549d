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
    replace_this_process(demo)
}

/// The demo takes this process's place, so that Ctrl-C reaches the demo alone and its shutdown
/// is waited for.
#[cfg(unix)]
fn replace_this_process(mut command: Command) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let error = command.exec();
    Err(anyhow::Error::from(error).context("cannot start the demo"))
}

#[cfg(not(unix))]
fn replace_this_process(mut command: Command) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let status = command.status().context("cannot start the demo")?;
    anyhow::ensure!(status.success(), "the demo failed: {status}");
    Ok(())
}
