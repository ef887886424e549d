//! Everything that `cargo xtask build` makes, in order: the module, the same compiled ahead of
//! time for this machine, and the command with both inside.

use std::{fmt::Write as _, fs, path::PathBuf, process::Command};

use anyhow::Context as _;

use crate::{
    console::Console,
    digest,
    filter::{self, FilterModule},
    toolchain::ToolchainChoice,
    workspace::Workspace,
};

/// What was built.
pub(crate) struct Artifacts {
    pub(crate) module: FilterModule,
    /// The module compiled by wasmtime for this machine.
    precompiled: PathBuf,
    pub(crate) nexusctl: PathBuf,
    summary: String,
}

impl Artifacts {
    /// The built files for people: path, size, SHA-256.
    pub(crate) fn summary(&self) -> &str {
        &self.summary
    }

    /// Tells the command's build script which module to put inside. Every cargo command that may
    /// build the command needs these, or it would be built again without.
    pub(crate) fn embed_in<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("NEXUS_FILTER_WASM", &self.module.path)
            .env("NEXUS_FILTER_CWASM", &self.precompiled)
    }
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
    let precompiled = precompile(workspace, &module, console)?;
    let mut artifacts = Artifacts {
        module,
        precompiled,
        nexusctl: executable(workspace, "nexusctl"),
        summary: String::new(),
    };
    let mut command = native_binary(workspace, "nexusctl", console);
    console.step("building nexusctl", artifacts.embed_in(&mut command))?;
    artifacts.summary = summary(workspace, &artifacts)?;
    Ok(artifacts)
}

/// A command that builds one native executable.
pub(crate) fn native_binary(workspace: &Workspace, name: &str, console: Console) -> Command {
    let mut command = workspace.cargo_native("build");
    command.args(["--bin", name]);
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
) -> anyhow::Result<PathBuf> {
    let mut build = native_binary(workspace, "nexus-precompile", console);
    console.step(
        "building the host (wasmtime takes minutes, once)",
        &mut build,
    )?;
    let compiler = executable(workspace, "nexus-precompile");
    let made_from = format!("{} {}\n", module.sha256, digest::of_file(&compiler)?);

    let precompiled = workspace.target("nexus_filter.cwasm");
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
    Ok(precompiled)
}

fn summary(workspace: &Workspace, artifacts: &Artifacts) -> anyhow::Result<String> {
    let nexusctl = fs::read(&artifacts.nexusctl)
        .with_context(|| format!("cannot read `{}`", artifacts.nexusctl.display()))?;
    let module = &artifacts.module;
    let mut text = String::new();
    for (path, size, sha256) in [
        (&module.path, module.size, module.sha256.clone()),
        (
            &artifacts.nexusctl,
            nexusctl.len(),
            digest::of_bytes(&nexusctl),
        ),
    ] {
        let path = workspace.relative(path).display();
        writeln!(text, "{path}  {size} bytes  sha256:{sha256}")?;
    }
    Ok(text)
}
