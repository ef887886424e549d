//! All that must hold of the source before a change is taken, but for the tests.

use crate::{
    architecture, artifacts,
    console::Console,
    deny, docs,
    failure::{Failure, OrFail as _},
    toolchain::{self, Target, Toolchain, ToolchainChoice},
    workspace::{FILTER_PACKAGE, Workspace},
};

/// Runs every check, the quick ones first.
///
/// # Errors
/// When one does not hold; the later ones are then not run.
pub(crate) fn run(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    for component in ["rustfmt", "clippy"] {
        toolchain::ensure_component(component, console)?;
    }
    lock_file(workspace, console)?;
    formatting(workspace, console)?;
    architecture::check(workspace, console)?;
    deny::check(workspace, console)?;
    lints_for_the_proxy(workspace, console)?;
    lints(workspace, console)?;
    documentation(workspace, console)?;
    docs::check(workspace, console)?;
    println!("all checks passed");
    Ok(())
}

fn lock_file(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    let mut command = workspace.cargo("metadata");
    command.args(["--locked", "--format-version", "1"]);
    console
        .output_of("reading Cargo.lock", &mut command)
        .map(drop)
        .or_fail(|| {
            Failure::new("`Cargo.lock` does not go with the manifests")
                .hint("run `cargo metadata` once and commit `Cargo.lock`")
        })
}

fn formatting(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    let mut command = workspace.cargo("fmt");
    command.args(["--all", "--check"]);
    console
        .step("checking the formatting", &mut command)
        .or_fail(|| Failure::new("the source is not formatted").hint("run `cargo fmt --all`"))
}

/// The packages that end up in the module, and the filter that does nothing, as the module's target sees them.
fn lints_for_the_proxy(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    let toolchain = Toolchain::ensure(ToolchainChoice::Auto, Target::Wasip1, console)?;
    let lint = |targets: &[&str]| {
        let mut command = match toolchain {
            Toolchain::Native => toolchain.cargo(workspace, "clippy", Target::Wasip1, &[]),
            // Clippy is of the other compiler, which lacks the target; it can still read the code.
            Toolchain::Debian => workspace.cargo("clippy"),
        };
        command.args(["--release", "--quiet", "--package", FILTER_PACKAGE]);
        command.args(targets).args(["--", "--deny", "warnings"]);
        command
    };
    let mut all = lint(&[
        "--package",
        "nexus-core",
        "--package",
        "nexus-crypto",
        "--lib",
    ]);
    console.step("linting crypto, core and filter for the proxy", &mut all)?;
    // By itself: with any example among its targets, cargo gives core the features that core's tests need.
    let mut empty = lint(&["--examples"]);
    console.step("linting the empty filter for the proxy", &mut empty)
}

fn lints(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    let mut command = artifacts::cargo_native(workspace, "clippy");
    command.args(["--all-targets", "--quiet", "--", "--deny", "warnings"]);
    console.step("linting everything else", &mut command)
}

/// Names the kinds of target, examples among them, so that cargo unites features as it does for
/// the lints and reads no dependency twice.
fn documentation(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    let mut command = artifacts::cargo_native(workspace, "doc");
    command
        .args(["--lib", "--bins", "--examples"])
        .args(["--no-deps", "--document-private-items", "--quiet"])
        .env("RUSTDOCFLAGS", "--deny warnings");
    console.step("checking the documentation's links", &mut command)
}
