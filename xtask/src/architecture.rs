//! The rules about what each part may know, held by the build.
//!
//! `core` must be a function of its arguments: it is compiled for a target that has no `std`, so
//! that a clock, a file, a socket or an environment variable cannot even be named. Who may depend
//! on whom is read from what cargo resolved.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    console::Console,
    failure::{Failure, OrFail as _},
    toolchain::{Target, Toolchain, ToolchainChoice},
    workspace::{Packages, Workspace},
};

const CORE: &str = "nexus-core";
const CRYPTO: &str = "nexus-crypto";

/// Packages and the members of the workspace that may name them in their manifest, for whatever
/// purpose.
const ONLY_FOR: [(&str, &[&str]); 5] = [
    ("proxy-wasm", &["nexus-filter"]),
    ("wasmtime", &["nexus-host"]),
    (CRYPTO, &[CORE]),
    (CORE, &["nexus-filter", "nexusctl", "nexus-tests"]),
    ("nexus-host", &["nexusctl", "nexus-tests", "nexus-bench"]),
];

/// Members of the workspace and what must not be built into them, however far down.
const NEVER_IN: [(&str, &[&str]); 4] = [
    (CRYPTO, &["base64", "der", "serde_json", CORE]),
    (
        CORE,
        &["proxy-wasm", "wasmtime", "nexus-filter", "nexus-host"],
    ),
    ("nexus-filter", &["wasmtime", "nexus-host"]),
    ("nexus-host", &["proxy-wasm", CORE]),
];

/// The one platform that core and crypto may have dependencies of its own for: the build for the bare target
/// sees them, and nothing else does.
const BARE_TARGET_ONLY: &str = r#"cfg(all(target_family = "wasm", target_os = "none"))"#;

/// Checks every rule.
///
/// # Errors
/// Names the rule that is broken and where.
pub(crate) fn check(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    dependencies(&workspace.packages(console)?)?;
    for folder in ["core/src", "crypto/src"] {
        sources(workspace.root(), folder)?;
    }
    core_without_std(workspace, console)
}

/// Checks who depends on whom.
fn dependencies(packages: &Packages) -> Result<(), Failure> {
    let mut broken = Vec::new();
    for member in packages.members() {
        for dependency in &member.dependencies {
            let rule = ONLY_FOR
                .iter()
                .find(|(package, _)| *package == dependency.name);
            // A package may name itself, to give its tests more features.
            if let Some((package, allowed)) = rule
                && *package != member.name
                && !allowed.contains(&member.name.as_str())
            {
                let allowed = allowed.join("`, `");
                broken.push(format!(
                    "`{}` depends on `{package}`, which is for `{allowed}` only",
                    member.name
                ));
            }
            // What only some platforms compile, the build for the bare target does not see.
            let built_in = dependency.kind.as_deref() != Some("dev");
            if let Some(target) = &dependency.target
                && [CORE, CRYPTO].contains(&member.name.as_str())
                && built_in
                && target != BARE_TARGET_ONLY
            {
                broken.push(format!(
                    "`{}` depends on `{}` on some platforms only: `{target}`",
                    member.name, dependency.name
                ));
            }
        }
    }
    for (member, forbidden) in NEVER_IN {
        let inside = packages.built_into(member);
        for package in forbidden.iter().filter(|package| inside.contains(*package)) {
            broken.push(format!("`{package}` is built into `{member}`"));
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::new("a package knows what it must not know")
        .evidence(broken)
        .hint("the table of parts in CONTRIBUTING.md says who may know what"))
}

/// Checks that the source in a folder, that of core or crypto, asks for no `std`: it says `no_std` on every platform, and
/// takes `std` back for its own unit tests at most.
fn sources(root: &Path, folder: &str) -> anyhow::Result<()> {
    let text = read(&root.join(folder).join("lib.rs"))?;
    let says_no_std = code_lines(&text)
        .any(|(_, line)| line == "#![no_std]" || line == "#![cfg_attr(not(test), no_std)]");
    let mut broken = Vec::new();
    if !says_no_std {
        broken.push(format!("{folder}/lib.rs: there is no `#![no_std]`"));
    }
    for file in rust_files(&root.join(folder))? {
        let text = read(&file)?;
        let mut above = String::new();
        for (number, line) in code_lines(&text) {
            if names_std(&line) && !line.starts_with("#[cfg(test)]") && above != "#[cfg(test)]" {
                let file = file.strip_prefix(root)?;
                broken.push(format!("{}:{number}: `{line}`", file.display()));
            }
            above = line;
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::new("core and crypto must not use `std`")
        .evidence(broken)
        .hint("`extern crate std` may stand under `#[cfg(test)]` only")
        .into())
}

fn names_std(line: &str) -> bool {
    let mut words = line
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '#'))
        .skip_while(|word| *word != "extern");
    words.next().is_some()
        && words.next() == Some("crate")
        && matches!(words.next(), Some("std" | "r#std"))
}

/// The lines that are no comments, trimmed, with their number.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            let code = line.split_once("//").map_or(line, |(code, _)| code);
            let words: Vec<&str> = code.split_whitespace().collect();
            (index + 1, words.join(" "))
        })
        .filter(|(_, line)| !line.is_empty())
}

fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))
}

/// Compiles core, with all its features and crypto below it, for a target without `std`.
fn core_without_std(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    let toolchain = Toolchain::ensure(ToolchainChoice::Auto, Target::Bare, console)?;
    let mut command = toolchain.cargo(workspace, "check", Target::Bare, &[]);
    command.args([
        "--quiet",
        "--release",
        "--package",
        CORE,
        "--lib",
        "--all-features",
    ]);
    console
        .step("compiling core without std", &mut command)
        .or_fail(|| {
            Failure::new("core does not compile without `std`").hint(
            "core is a function of its arguments: time and all else from outside come in as such",
        )
        })
}

#[cfg(test)]
mod tests;
