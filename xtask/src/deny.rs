//! Licences, sources and bans of the dependencies, by cargo-deny and `deny.toml`.

use std::process::Command;

use crate::{
    console::Console,
    failure::{Failure, OrFail as _},
    toolchain::find_on_path,
    workspace::Workspace,
};

/// The version that is installed where there is none.
const VERSION: &str = "0.20.2";

/// Checks what a clone and a registry are enough for.
///
/// # Errors
/// When a dependency breaks a rule, or cargo-deny cannot be installed.
pub(crate) fn check(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    let mut command = cargo_deny(workspace, console)?;
    command.args(["check", "bans", "licenses", "sources"]);
    console.step("checking licences, sources and bans", &mut command)
}

/// Checks known vulnerabilities, for which the advisory database is fetched.
///
/// # Errors
/// When there is a vulnerability, or the database cannot be fetched.
pub(crate) fn audit(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    let mut command = cargo_deny(workspace, console)?;
    command.args(["check", "advisories"]);
    console.step("asking the advisory database", &mut command)
}

/// cargo-deny: one on the path, else our own, installed under `target/tools/`.
fn cargo_deny(workspace: &Workspace, console: Console) -> anyhow::Result<Command> {
    let tools = workspace.target("tools");
    let own = tools
        .join("bin")
        .join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    let program = match find_on_path("cargo-deny") {
        Some(program) => program,
        None => {
            if !own.is_file() {
                let mut install = workspace.cargo("install");
                install
                    .args(["cargo-deny", "--locked", "--version", VERSION, "--root"])
                    .arg(&tools);
                console
                    .step("installing cargo-deny (minutes, once)", &mut install)
                    .or_fail(|| {
                        Failure::new("cannot install cargo-deny").hint(format!(
                            "run `cargo install cargo-deny --locked --version {VERSION}`"
                        ))
                    })?;
            }
            own
        }
    };
    let mut command = Command::new(program);
    command
        .current_dir(workspace.root())
        .args(["--all-features", "--color", "auto"]);
    Ok(command)
}
