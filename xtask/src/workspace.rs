//! Where the workspace is and what cargo says is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use serde::Deserialize;

use crate::console::Console;

/// The package of the module that the proxy loads; every other one is native.
pub(crate) const FILTER_PACKAGE: &str = "nexus-filter";

/// The workspace's folders.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

#[derive(Deserialize)]
struct Folders {
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Workspace {
    /// Finds the workspace that this program belongs to.
    ///
    /// # Errors
    /// When cargo cannot read its manifest.
    pub(crate) fn locate() -> anyhow::Result<Self> {
        // Set by `cargo run`; the value at compile time serves a program started by hand.
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let mut command = Command::new(cargo_program());
        command
            .args([
                "metadata",
                "--no-deps",
                "--format-version",
                "1",
                "--manifest-path",
            ])
            .arg(package.join("Cargo.toml"));
        let json = Console::new(false).output_of("reading the workspace", &mut command)?;
        let folders: Folders =
            serde_json::from_slice(&json).context("cannot understand `cargo metadata`")?;
        Ok(Self {
            root: folders.workspace_root,
            target: folders.target_directory,
        })
    }

    /// A workspace elsewhere, for tests of the rules.
    #[cfg(test)]
    pub(crate) fn at(root: PathBuf, target: PathBuf) -> Self {
        Self { root, target }
    }

    /// The folder of the top `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target folder.
    pub(crate) fn target_folder(&self) -> &Path {
        &self.target
    }

    /// A path under cargo's target folder.
    pub(crate) fn target(&self, path: &str) -> PathBuf {
        self.target.join(path)
    }

    /// `path` relative to the workspace where it lies in there, for messages.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// A cargo command that runs in the workspace.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new(cargo_program());
        command.current_dir(&self.root).arg(subcommand);
        command
    }

    /// The packages of the workspace with all that they depend on.
    ///
    /// # Errors
    /// When cargo cannot resolve or fetch them.
    pub(crate) fn packages(&self, console: Console) -> anyhow::Result<Packages> {
        Packages::read(&mut self.cargo("metadata"), console)
    }
}

fn cargo_program() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// The packages that `cargo metadata` lists.
#[derive(Deserialize)]
pub(crate) struct Packages {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

/// One package.
#[derive(Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    source: Option<String>,
    manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency as a manifest has it, of any kind: normal, development or build.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev` or `build`, nothing for a normal one.
    pub(crate) kind: Option<String>,
    /// The platforms it is for, where it is not for all.
    pub(crate) target: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Packages {
    /// Reads what `cargo metadata`, as far as given by `command`, says.
    ///
    /// # Errors
    /// When cargo fails, or answers something else than its documentation says.
    pub(crate) fn read(command: &mut Command, console: Console) -> anyhow::Result<Self> {
        command.args(["--format-version", "1"]);
        let json = console.output_of("reading the dependencies", command)?;
        serde_json::from_slice(&json).context("cannot understand `cargo metadata`")
    }

    /// The workspace's own packages.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The folders that packages from registries were unpacked into.
    pub(crate) fn registry_folders(&self) -> BTreeSet<PathBuf> {
        let fetched = self
            .packages
            .iter()
            .filter(|package| package.source.is_some());
        fetched
            .filter_map(|package| Some(package.manifest_path.parent()?.parent()?.to_path_buf()))
            .collect()
    }

    /// The names of all packages that `member` is built from, itself included; what only its
    /// tests need is not among them.
    pub(crate) fn built_into(&self, member: &str) -> BTreeSet<&str> {
        let names: BTreeMap<&str, &str> = self
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package.name.as_str()))
            .collect();
        let nodes: BTreeMap<&str, &Node> = self
            .resolve
            .nodes
            .iter()
            .map(|node| (node.id.as_str(), node))
            .collect();
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<&str> = self
            .members()
            .filter(|package| package.name == member)
            .map(|package| package.id.as_str())
            .collect();
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            let edges = nodes.get(id).map_or(&[][..], |node| &node.deps);
            let needed = edges.iter().filter(|edge| {
                edge.dep_kinds
                    .iter()
                    .any(|kind| kind.kind.as_deref() != Some("dev"))
            });
            waiting.extend(needed.map(|edge| edge.pkg.as_str()));
        }
        seen.into_iter()
            .filter_map(|id| names.get(id).copied())
            .collect()
    }
}
