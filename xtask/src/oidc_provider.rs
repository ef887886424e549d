//! A real OpenID provider for the tests: npm's `oidc-provider` with what it needs, in the versions and with
//! the hashes of `tests/oidc-provider/package-lock.json`, kept under `target/oidc-provider/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

use anyhow::Context as _;

use crate::{
    console::Console,
    failure::{Failure, OrFail as _},
    toolchain::on_path,
    workspace::Workspace,
};

/// What npm reads; the second says whether the folder is that of this lock.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// The folder with the provider's `node_modules`, which is installed unless it is there.
///
/// # Errors
/// When there is no npm, or when something cannot be fetched.
pub(crate) fn install(workspace: &Workspace, console: Console) -> anyhow::Result<PathBuf> {
    let source = workspace.root().join("tests/oidc-provider");
    let folder = workspace.target("oidc-provider");
    let [_, lock] = FILES;
    let wanted = read(&source.join(lock))?;
    if fs::read(folder.join(lock)).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    for program in ["npm", "node"] {
        if !on_path(program) {
            return Err(Failure::new(format!(
                "the tests' OpenID provider needs `{program}`, which is not installed"
            ))
            .hint("install Node.js with npm (Debian: `apt-get install nodejs npm`)")
            .into());
        }
    }
    // Filled beside the folder and renamed when whole, so that half an installation is never used.
    let partial = workspace.target(&format!("oidc-provider.{}", process::id()));
    let installed = fill(&source, &partial, console).and_then(|()| {
        remove(&folder)?;
        fs::rename(&partial, &folder)
            .with_context(|| format!("cannot create `{}`", folder.display()))
    });
    if installed.is_err() {
        remove(&partial)?;
    }
    installed.map(|()| folder)
}

fn fill(source: &Path, folder: &Path, console: Console) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    for name in FILES {
        let to = folder.join(name);
        fs::write(&to, read(&source.join(name))?)
            .with_context(|| format!("cannot write `{}`", to.display()))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder);
    console
        .step("fetching the OpenID provider", &mut npm)
        .or_fail(|| Failure::new("cannot fetch `oidc-provider` by npm"))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove `{}`", folder.display())),
        false => Ok(()),
    }
}
