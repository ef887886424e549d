//! Everything that `cargo xtask build` makes, in order: the module, the same compiled ahead of
//! time for this machine, and the command with both inside.

use std::{fmt::Write as _, fs, path::PathBuf, process::Command};

use anyhow::Context as _;

use crate::{
    console::Console,
    digest,
    filter::{self, FilterModule},
    toolchain::ToolchainChoice,
    workspace::{FILTER_PACKAGE, Workspace},
};

/// What was built.
pub(crate) struct Artifacts {
    pub(crate) module: FilterModule,
    pub(crate) nexusctl: PathBuf,
}

impl Artifacts {
    /// The built files for people: path, size, SHA-256.
    ///
    /// # Errors
    /// When the command cannot be read.
    pub(crate) fn summary(&self, workspace: &Workspace) -> anyhow::Result<String> {
        let nexusctl = fs::read(&self.nexusctl)
            .with_context(|| format!("cannot read `{}`", self.nexusctl.display()))?;
        let module = &self.module;
        let mut text = String::new();
        for (path, size, sha256) in [
            (&module.path, module.size, module.sha256.clone()),
            (&self.nexusctl, nexusctl.len(), digest::of_bytes(&nexusctl)),
        ] {
            let path = workspace.relative(path).display();
            writeln!(text, "{path}  {size} bytes  sha256:{sha256}")?;
        }
        Ok(text)
    }
}

/// A release-mode cargo command over all native packages at once.
///
/// The selection is the same wherever native code is built: cargo unites features over the
/// packages it selects, and another selection would compile wasmtime a second time. For the same
/// reason each command names the module, as far as there is one, that the build script of
/// `nexusctl` puts inside.
pub(crate) fn cargo_native(workspace: &Workspace, subcommand: &str) -> Command {
    let mut command = workspace.cargo(subcommand);
    command.args(["--release", "--workspace", "--exclude", FILTER_PACKAGE]);
    for (variable, path) in [
        ("NEXUS_FILTER_WASM", filter::module_path(workspace)),
        ("NEXUS_FILTER_CWASM", precompiled_path(workspace)),
    ] {
        if path.is_file() {
            command.env(variable, path);
        } else {
            command.env_remove(variable);
        }
    }
    command
}

/// Builds all that is not built yet.
///
/// # Errors
/// When a step fails; see [`filter::build`].
pub(crate) fn build(
    workspace: &Workspace,
    choice: ToolchainChoice,
    console: Console,
) -> anyhow::Result<Artifacts> {
    let module = filter::build(workspace, choice, console)?;
    precompile(workspace, &module, console)?;
    let mut command = native_binary(workspace, "nexusctl", console);
    console.step("building nexusctl", &mut command)?;
    Ok(Artifacts {
        module,
        nexusctl: executable(workspace, "nexusctl"),
    })
}

/// A command that builds one native executable, and a small test for the sake of its company: as
/// soon as cargo builds any test, it unites the features that tests need with all others, and the
/// executable shares its dependencies with the tests. Without it wasmtime is compiled twice.
pub(crate) fn native_binary(workspace: &Workspace, name: &str, console: Console) -> Command {
    let mut command = cargo_native(workspace, "build");
    command.args(["--bin", name, "--test", "xtask_command"]);
    if !console.verbose() {
        command.arg("--quiet");
    }
    command
}

/// Where cargo puts a native executable.
pub(crate) fn executable(workspace: &Workspace, name: &str) -> PathBuf {
    workspace
        .target("release")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Compiles the module ahead of time, once for each module and compiler.
fn precompile(
    workspace: &Workspace,
    module: &FilterModule,
    console: Console,
) -> anyhow::Result<()> {
    let mut build = native_binary(workspace, "nexus-precompile", console);
    console.step(
        "building the host (wasmtime takes minutes, once)",
        &mut build,
    )?;
    let compiler = executable(workspace, "nexus-precompile");
    let made_from = format!("{} {}\n", module.sha256, digest::of_file(&compiler)?);

    let precompiled = precompiled_path(workspace);
    let record = workspace.target("nexus_filter.cwasm.made-from");
    let up_to_date =
        precompiled.is_file() && fs::read_to_string(&record).is_ok_and(|old| old == made_from);
    if !up_to_date {
        let mut command = Command::new(&compiler);
        command.arg(&module.path).arg(&precompiled);
        console.step("compiling the filter for this machine", &mut command)?;
        fs::write(&record, made_from)
            .with_context(|| format!("cannot write `{}`", record.display()))?;
    }
    Ok(())
}

/// Where the module goes that wasmtime has compiled for this machine.
fn precompiled_path(workspace: &Workspace) -> PathBuf {
    workspace.target("nexus_filter.cwasm")
}
