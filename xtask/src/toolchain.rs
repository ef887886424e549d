//! The compiler for WebAssembly: the one that cargo uses with a target added by rustup, or, where
//! rustup is missing or cannot reach its server, Debian's packages.
//!
//! Debian has no compiled standard library for these targets, so there cargo builds it from
//! Debian's source package, and links against Debian's C library for WASI.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    console::Console,
    failure::{Failure, OrFail as _},
    workspace::Workspace,
};

/// Which compiler the caller wants.
#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ToolchainChoice {
    /// Rustup's, else Debian's
    #[default]
    Auto,
    /// The compiler in use, its target added by rustup where missing
    Rustup,
    /// Debian's packages, installed by apt-get where missing
    Debian,
}

/// A WebAssembly target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// What proxies load: WASI preview 1.
    Wasip1,
    /// No operating system at all: there is no `std`, so no clock, file, socket or environment.
    Bare,
}

impl Target {
    /// The name that rustc has for it.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Wasip1 => "wasm32-wasip1",
            Self::Bare => "wasm32v1-none",
        }
    }
}

/// A compiler that is ready to build for WebAssembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The one that cargo uses for everything else.
    Native,
    /// Debian's.
    Debian,
}

const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "rust-web-src", "lld", "wasi-libc"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld";
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";
const DEBIAN_STD: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
/// The oldest compiler that the filter builds with (major, minor).
const OLDEST_RUSTC: (u32, u32) = (1, 85);

impl Toolchain {
    /// Makes sure that some compiler for `target` is there, installing what is missing.
    ///
    /// # Errors
    /// When what is missing cannot be installed; the error says how to do it by hand.
    pub(crate) fn ensure(
        choice: ToolchainChoice,
        target: Target,
        console: Console,
    ) -> anyhow::Result<Self> {
        match choice {
            ToolchainChoice::Rustup => add_by_rustup(target, console).map(|()| Self::Native),
            ToolchainChoice::Debian => install_debian(console).map(|()| Self::Debian),
            ToolchainChoice::Auto => {
                let Err(error) = add_by_rustup(target, console) else {
                    return Ok(Self::Native);
                };
                if !on_path("apt-get") {
                    return Err(error);
                }
                console.note(&format!("{error:#}; taking Debian's compiler for it"));
                install_debian(console).map(|()| Self::Debian)
            }
        }
    }

    /// A cargo command that uses this compiler for `target`, with `rustflags` for every crate.
    pub(crate) fn cargo(
        self,
        workspace: &Workspace,
        subcommand: &str,
        target: Target,
        rustflags: &[String],
    ) -> Command {
        let mut command = workspace.cargo(subcommand);
        command
            .args(["--target", target.triple()])
            .arg("--target-dir")
            .arg(self.folder(workspace));
        let mut rustflags = rustflags.to_vec();
        if self == Self::Debian {
            // The bootstrap switch lets a stable compiler build its own standard library.
            command
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1");
            match target {
                Target::Wasip1 => {
                    command.arg("-Zbuild-std=std,panic_abort");
                    rustflags.push(format!("-Clinker={DEBIAN_LINKER}"));
                    rustflags.push("-Clink-self-contained=no".to_owned());
                    rustflags.push(format!("-Lnative={DEBIAN_LIBC}"));
                }
                Target::Bare => {
                    command.arg("-Zbuild-std=core,alloc");
                }
            }
        }
        // Replaces whatever flags the environment or a configuration has: the same source gives
        // the same bytes.
        command.env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\x1f"));
        command
    }

    /// Where this compiler's output goes; Debian's has a folder of its own, so that changing from
    /// one compiler to the other builds nothing again.
    pub(crate) fn folder(self, workspace: &Workspace) -> PathBuf {
        match self {
            Self::Native => workspace.target_folder().to_path_buf(),
            Self::Debian => workspace.target("debian"),
        }
    }
}

fn add_by_rustup(target: Target, console: Console) -> anyhow::Result<()> {
    let triple = target.triple();
    if has_target(triple, console) {
        return Ok(());
    }
    let by_hand = format!(
        "run `rustup target add {triple}`, or on Debian `cargo xtask build --toolchain debian`"
    );
    if !on_path("rustup") {
        return Err(Failure::new(format!(
            "the compiler has no target `{triple}`, and rustup is not installed"
        ))
        .hint(by_hand)
        .into());
    }
    let mut command = Command::new("rustup");
    command.args(["target", "add", triple]);
    let output = console.capture(&format!("adding the target {triple}"), &mut command)?;
    if output.status.success() && has_target(triple, console) {
        return Ok(());
    }
    Err(
        Failure::new(format!("rustup could not add the target `{triple}`"))
            .evidence(String::from_utf8_lossy(&output.stderr).lines())
            .hint(by_hand)
            .into(),
    )
}

/// Makes sure that a component of the toolchain in use, `clippy` or `rustfmt`, is there.
///
/// # Errors
/// When it is missing and rustup cannot add it.
pub(crate) fn ensure_component(component: &str, console: Console) -> anyhow::Result<()> {
    let subcommand = component.strip_prefix("rust").unwrap_or(component);
    let mut probe = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    probe.args([subcommand, "--version"]);
    let doing = format!("looking for {component}");
    let is_there = |output: Output| output.status.success();
    if console.capture(&doing, &mut probe).is_ok_and(is_there) {
        return Ok(());
    }
    let mut command = Command::new("rustup");
    command.args(["component", "add", component]);
    console
        .step(&format!("adding {component}"), &mut command)
        .or_fail(|| Failure::new(format!("{component} is needed and cannot be installed")))
}

/// Whether the compiler that cargo uses has a standard library for a target.
fn has_target(triple: &str, console: Console) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", triple]);
    console
        .capture("looking for the target", &mut command)
        .is_ok_and(|output| {
            output.status.success()
                && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
        })
}

fn install_debian(console: Console) -> anyhow::Result<()> {
    if debian_is_installed(console) {
        return Ok(());
    }
    if !on_path("apt-get") {
        return Err(Failure::new("this is no Debian: there is no `apt-get`")
            .hint("run `rustup target add wasm32-wasip1` and leave out `--toolchain debian`")
            .into());
    }
    install_debian_packages(console).or_fail(|| {
        Failure::new("cannot install Debian's Rust compiler for WebAssembly").hint(format!(
            "run `apt-get install {}` as root",
            DEBIAN_PACKAGES.join(" ")
        ))
    })?;
    if debian_is_installed(console) {
        return Ok(());
    }
    let (major, minor) = OLDEST_RUSTC;
    Err(
        Failure::new("Debian's packages are installed, but not what was expected of them")
            .evidence(
                [DEBIAN_RUSTC, DEBIAN_LINKER, DEBIAN_LIBC, DEBIAN_STD]
                    .map(|path| format!("needed: `{path}`")),
            )
            .evidence([format!("needed: rustc {major}.{minor} or newer")])
            .into(),
    )
}

fn install_debian_packages(console: Console) -> anyhow::Result<()> {
    let mut update = as_root("apt-get", console)?;
    update.args(["update", "--quiet"]);
    console.step("reading Debian's list of packages", &mut update)?;
    let mut install = as_root("apt-get", console)?;
    install
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(DEBIAN_PACKAGES);
    console.step(
        "installing Debian's Rust compiler for WebAssembly",
        &mut install,
    )
}

fn debian_is_installed(console: Console) -> bool {
    let files = [DEBIAN_RUSTC, DEBIAN_LINKER, DEBIAN_STD];
    files.iter().all(|file| Path::new(file).exists())
        && Path::new(DEBIAN_LIBC).join("libc.a").exists()
        && console
            .capture(
                "looking for Debian's compiler",
                Command::new(DEBIAN_RUSTC).arg("--version"),
            )
            .ok()
            .and_then(|output| rustc_version(&String::from_utf8_lossy(&output.stdout)))
            .is_some_and(|version| version >= OLDEST_RUSTC)
}

/// Major and minor version from what `rustc --version` prints.
fn rustc_version(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.strip_prefix("rustc ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A command run as root: as it is, or by sudo where that asks for no password.
fn as_root(program: &str, console: Console) -> anyhow::Result<Command> {
    let mut id = Command::new("id");
    id.arg("-u");
    if console
        .output_of("asking who runs this", &mut id)?
        .trim_ascii()
        == b"0"
    {
        return Ok(Command::new(program));
    }
    let mut probe = Command::new("sudo");
    probe.args(["-n", "true"]);
    if console
        .capture("asking for root", &mut probe)
        .is_ok_and(|output| output.status.success())
    {
        let mut command = Command::new("sudo");
        command.args(["-n", program]);
        return Ok(command);
    }
    Err(Failure::new("installing packages needs root").into())
}

/// Whether a program of this name is on the path.
pub(crate) fn on_path(program: &str) -> bool {
    find_on_path(program).is_some()
}

/// The first executable file of this name on the path.
pub(crate) fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|entry| entry.is_file() && entry.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::{OLDEST_RUSTC, rustc_version};

    #[test]
    fn version_of_debians_compiler_is_read() {
        assert_eq!(
            rustc_version("rustc 1.85.0 (4d91de4e4 2025-02-17) (built from a source tarball)"),
            Some((1, 85))
        );
        assert!(rustc_version("rustc 1.63.0").is_some_and(|version| version < OLDEST_RUSTC));
        assert!(rustc_version("rustc 2.0.0-nightly").is_some_and(|version| version > OLDEST_RUSTC));
        assert_eq!(rustc_version("cargo 1.95.0"), None);
    }
}
