//! Builds the module that the proxy loads, the same bytes wherever it is built.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    calls,
    console::Console,
    digest,
    toolchain::{Target, Toolchain, ToolchainChoice},
    wasm_module,
    workspace::{FILTER_PACKAGE, Workspace},
};

/// For a smaller module, which the proxy compiles in less time.
const FLAGS: [&str; 5] = [
    // Copying is an instruction. Compilers before Rust 1.87 would call a C library, which the filter does without.
    "-Ctarget-feature=+bulk-memory",
    // LLVM's loop strength reduction computes addresses that loads and stores of WebAssembly would have as an offset for
    // nothing. Without it a check of an RSA signature takes 8 % less, too.
    "-Cllvm-args=-disable-lsr",
    // A third of the code that LLVM puts in the place of calls otherwise, and no loops written out four times. A request takes
    // a tenth less time in the module than with `opt-level` "s", which is as long to compile.
    "-Cllvm-args=-inline-threshold=80",
    "-Cllvm-args=-unroll-runtime=false",
    // The linker leaves five bytes for each number that it fills in, most of which fit two. 5 % of the module.
    "-Clink-arg=--compress-relocations",
];

/// The built module.
pub(crate) struct FilterModule {
    pub(crate) path: PathBuf,
    /// In bytes.
    pub(crate) size: usize,
    pub(crate) sha256: String,
}

/// Builds `target/nexus_filter.wasm` and checks that every Envoy since 1.30 can load it.
///
/// # Errors
/// When no compiler can be had, when the filter does not compile, and when the module is not fit
/// to be loaded; then the file is not written.
pub(crate) fn build(
    workspace: &Workspace,
    choice: ToolchainChoice,
    console: Console,
) -> anyhow::Result<FilterModule> {
    let folder = compile(workspace, choice, &["--lib"], console)?;
    let built = folder.join("nexus_filter.wasm");
    let module = fs::read(&built).with_context(|| format!("cannot read `{}`", built.display()))?;
    let module = calls::through_table(&module)
        .with_context(|| format!("cannot rewrite the calls of `{}`", built.display()))?;
    wasm_module::check(&module)?;
    let path = module_path(workspace);
    digest::write_if_changed(&path, &module)?;
    Ok(FilterModule {
        path,
        size: module.len(),
        sha256: digest::of_bytes(&module),
    })
}

/// Builds a filter that does nothing, to measure beside the filter, and gives its path.
///
/// # Errors
/// When no compiler can be had, and when it does not compile.
pub(crate) fn build_empty(
    workspace: &Workspace,
    choice: ToolchainChoice,
    console: Console,
) -> anyhow::Result<PathBuf> {
    let folder = compile(workspace, choice, &["--example", "empty"], console)?;
    Ok(folder.join("examples/empty.wasm"))
}

/// Compiles one target of the filter's package as it is shipped, and gives the folder it is in.
fn compile(
    workspace: &Workspace,
    choice: ToolchainChoice,
    target: &[&str],
    console: Console,
) -> anyhow::Result<PathBuf> {
    let toolchain = Toolchain::ensure(choice, Target::Wasip1, console)?;
    let mut rustflags = remapped_paths(workspace, console)?;
    rustflags.extend(FLAGS.map(str::to_owned));
    let mut command = toolchain.cargo(workspace, "build", Target::Wasip1, &rustflags);
    command.args(["--package", FILTER_PACKAGE, "--profile", "filter"]);
    command.args(target);
    if !console.verbose() {
        command.arg("--quiet");
    }
    console.step("building the filter", &mut command)?;
    let folder = toolchain.folder(workspace).join(Target::Wasip1.triple());
    Ok(folder.join("filter"))
}

/// Where the module goes.
pub(crate) fn module_path(workspace: &Workspace) -> PathBuf {
    workspace.target("nexus_filter.wasm")
}

/// Compiler flags by which no path of this machine stands in the module: panic messages name the
/// file they come from.
fn remapped_paths(workspace: &Workspace, console: Console) -> anyhow::Result<Vec<String>> {
    let mut flags = Vec::new();
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    // rustc takes the last prefix that fits, so the general ones come first.
    if let Some(home) = env::home_dir() {
        remap(&home, "/home");
    }
    remap(workspace.root(), "/nexus");
    remap(workspace.target_folder(), "/nexus/target");
    for folder in workspace.packages(console)?.registry_folders() {
        remap(&folder, "/crates");
    }
    Ok(flags)
}
