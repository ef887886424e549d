//! Pages under `docs/` that are generated, so that they cannot say something else than the code.

use std::{fs, process::Command};

use crate::{
    artifacts, console::Console, digest, failure::Failure, toolchain::ToolchainChoice,
    workspace::Workspace,
};

/// A generated file: `nexusctl`, called so, prints it to standard output.
struct Page {
    /// From the workspace's root.
    file: &'static str,
    arguments: &'static [&'static str],
}

/// Every generated file.
const PAGES: [Page; 5] = [
    Page {
        file: "docs/nexusctl.md",
        arguments: &["docs", "cli"],
    },
    Page {
        file: "docs/policy-reference.md",
        arguments: &["docs", "policy-reference"],
    },
    Page {
        file: "docs/policy.schema.json",
        arguments: &["docs", "policy-schema"],
    },
    Page {
        file: "docs/deny-reasons.md",
        arguments: &["docs", "deny-reasons"],
    },
    Page {
        file: "docs/envoy-status.md",
        arguments: &["docs", "envoy-status"],
    },
];

/// Writes all pages anew.
///
/// # Errors
/// When a page cannot be generated or written.
pub(crate) fn write(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    for (page, text) in generate(workspace, console)? {
        digest::write_if_changed(&workspace.root().join(page.file), &text)?;
    }
    Ok(())
}

/// Compares all pages with what would be generated.
///
/// # Errors
/// Names each page that differs or is missing.
pub(crate) fn check(workspace: &Workspace, console: Console) -> anyhow::Result<()> {
    let stale: Vec<&str> = generate(workspace, console)?
        .into_iter()
        .filter(|(page, text)| {
            fs::read(workspace.root().join(page.file)).map_or(true, |old| old != *text)
        })
        .map(|(page, _)| page.file)
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failure::new("generated pages are not up to date")
        .evidence(stale)
        .hint("run `cargo xtask docs` and commit what it changes")
        .into())
}

fn generate(
    workspace: &Workspace,
    console: Console,
) -> anyhow::Result<Vec<(&'static Page, Vec<u8>)>> {
    let nexusctl = artifacts::build(workspace, ToolchainChoice::Auto, console)?.nexusctl;
    PAGES
        .iter()
        .map(|page| {
            let mut command = Command::new(&nexusctl);
            command.current_dir(workspace.root()).args(page.arguments);
            let text = console.output_of(&format!("writing {}", page.file), &mut command)?;
            Ok((page, text))
        })
        .collect()
}
