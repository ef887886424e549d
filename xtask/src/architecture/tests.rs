//! Each rule is broken in a copy of the workspace, and has to be seen.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{core_without_std, dependencies, names_std, sources};
use crate::{
    console::Console,
    failure::{Failure, lines, outputs},
    workspace::Workspace,
};

const MEMBERS: [&str; 8] = [
    "crypto", "core", "filter", "host", "cli", "tests", "bench", "xtask",
];

/// A copy of the workspace's manifests and sources, in a folder of its own for each test.
struct Copy {
    workspace: Workspace,
}

impl Copy {
    fn new(test: &str) -> Self {
        let original = Workspace::locate().unwrap();
        let root = original.target("xtask").join("architecture").join(test);
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        for file in ["Cargo.toml", "Cargo.lock"] {
            copy(&original.root().join(file), &root.join(file));
        }
        for member in MEMBERS {
            copy(&original.root().join(member), &root.join(member));
        }
        // Shared by all copies, so that dependencies are compiled once. Cargo tells copies of one
        // package apart by their version only.
        let target = original.target("xtask").join("architecture/target");
        let copy = Self {
            workspace: Workspace::at(root, target),
        };
        let version = format!("version = \"0.0.0-{}\"", test.replace('_', "-"));
        copy.replace("Cargo.toml", "version = \"0.1.0\"", &version);
        copy
    }

    fn path(&self, file: &str) -> PathBuf {
        self.workspace.root().join(file)
    }

    fn append(&self, file: &str, text: &str) {
        let path = self.path(file);
        let old = fs::read_to_string(&path).unwrap();
        fs::write(path, old + text).unwrap();
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.path(file);
        let old = fs::read_to_string(&path).unwrap();
        assert!(old.contains(from), "`{from}` is not in {file}");
        fs::write(path, old.replacen(from, to, 1)).unwrap();
    }

    fn dependencies(&self) -> Result<(), Failure> {
        dependencies(&self.workspace.packages(Console::new(false)).unwrap())
    }

    fn sources(&self) -> anyhow::Result<()> {
        sources(self.workspace.root(), "core/src")?;
        sources(self.workspace.root(), "crypto/src")
    }

    /// Compiles core without `std`; the error is what the compiler said.
    fn core_without_std(&self) -> anyhow::Result<()> {
        core_without_std(&self.workspace, Console::new(false))
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if name != "target" && name != "node_modules" {
                copy(&entry.path(), &to.join(name));
            }
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

fn evidence(error: &anyhow::Error) -> String {
    let failures = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<Failure>());
    failures.flat_map(lines).collect::<Vec<_>>().join("\n")
}

#[test]
fn workspace_as_it_is_keeps_the_rules() {
    let copy = Copy::new("as_it_is");
    copy.dependencies().unwrap();
    copy.sources().unwrap();
    copy.core_without_std().unwrap();
}

#[test]
fn core_that_reads_the_clock_does_not_compile() {
    let copy = Copy::new("clock");
    copy.append(
        "core/src/lib.rs",
        "/// The time.\npub fn now() -> std::time::SystemTime {\n    \
         std::time::SystemTime::now()\n}\n",
    );
    let error = copy.core_without_std().unwrap_err();
    assert!(
        evidence(&error).contains("core does not compile without `std`"),
        "{error:#}"
    );
    // Rust's E0433: a path leads nowhere.
    let said = outputs(&error);
    assert!(
        said.contains("E0433") && said.contains("std::time::SystemTime"),
        "{said}"
    );
}

#[test]
fn core_that_takes_std_back_for_one_platform_is_refused() {
    let copy = Copy::new("std_on_one_platform");
    copy.append(
        "core/src/lib.rs",
        "#[cfg(target_os = \"wasi\")]\nextern crate std;\n\
         /// The time.\n#[cfg(target_os = \"wasi\")]\npub fn now() -> std::time::SystemTime {\n    \
         std::time::SystemTime::now()\n}\n",
    );
    // The compiler cannot see it on the bare target, which is why the source is read as well.
    copy.core_without_std().unwrap();
    let error = copy.sources().unwrap_err();
    let said = evidence(&error);
    assert!(
        said.starts_with("core and crypto must not use `std`"),
        "{said}"
    );
    assert!(
        said.contains("core/src/lib.rs:") && said.contains("`extern crate std;`"),
        "{said}"
    );
}

#[test]
fn core_without_the_no_std_attribute_is_refused() {
    let copy = Copy::new("no_attribute");
    copy.replace("core/src/lib.rs", "#![no_std]", "");
    let said = evidence(&copy.sources().unwrap_err());
    assert!(
        said.contains("core/src/lib.rs: there is no `#![no_std]`"),
        "{said}"
    );
}

#[test]
fn crypto_without_the_no_std_attribute_is_refused() {
    let copy = Copy::new("crypto_no_attribute");
    copy.replace("crypto/src/lib.rs", "#![no_std]", "");
    let said = evidence(&copy.sources().unwrap_err());
    assert!(
        said.contains("crypto/src/lib.rs: there is no `#![no_std]`"),
        "{said}"
    );
}

#[test]
fn crypto_that_reads_json_is_refused() {
    let copy = Copy::new("crypto_json");
    copy.replace(
        "crypto/Cargo.toml",
        "[dependencies]",
        "[dependencies]\nserde_json.workspace = true",
    );
    let said = lines(&copy.dependencies().unwrap_err()).join("\n");
    assert!(
        said.contains("`serde_json` is built into `nexus-crypto`"),
        "{said}"
    );
}

#[test]
fn crypto_that_the_filter_calls_itself_is_refused() {
    let copy = Copy::new("filter_crypto");
    copy.replace(
        "filter/Cargo.toml",
        "[dependencies]",
        "[dependencies]\nnexus-crypto.workspace = true",
    );
    let said = lines(&copy.dependencies().unwrap_err()).join("\n");
    assert!(
        said.contains("`nexus-filter` depends on `nexus-crypto`, which is for `nexus-core` only"),
        "{said}"
    );
}

#[test]
fn core_that_depends_on_proxy_wasm_is_refused() {
    let copy = Copy::new("core_proxy_wasm");
    copy.replace(
        "core/Cargo.toml",
        "[dependencies]",
        "[dependencies]\nproxy-wasm.workspace = true",
    );
    let said = lines(&copy.dependencies().unwrap_err()).join("\n");
    assert!(
        said.contains("`nexus-core` depends on `proxy-wasm`, which is for `nexus-filter` only"),
        "{said}"
    );
    assert!(
        said.contains("`proxy-wasm` is built into `nexus-core`"),
        "{said}"
    );
    assert!(!said.contains("built into `nexus-host`"), "{said}");
}

#[test]
fn wasmtime_anywhere_but_in_the_host_is_refused() {
    for (folder, package) in [
        ("core", "nexus-core"),
        ("cli", "nexusctl"),
        ("tests", "nexus-tests"),
        ("bench", "nexus-bench"),
    ] {
        let copy = Copy::new(&format!("{folder}_wasmtime"));
        copy.append(
            &format!("{folder}/Cargo.toml"),
            "\n[dependencies.wasmtime]\nworkspace = true\n",
        );
        let said = lines(&copy.dependencies().unwrap_err()).join("\n");
        assert!(
            said.contains(&format!(
                "`{package}` depends on `wasmtime`, which is for `nexus-host` only"
            )),
            "{said}"
        );
    }
}

#[test]
fn host_that_knows_the_policy_is_refused_even_in_its_tests() {
    let copy = Copy::new("host_core");
    copy.append(
        "host/Cargo.toml",
        "\n[target.'cfg(unix)'.dev-dependencies.nexus-core]\nworkspace = true\n",
    );
    let said = lines(&copy.dependencies().unwrap_err()).join("\n");
    assert!(
        said.contains("`nexus-host` depends on `nexus-core`"),
        "{said}"
    );
    assert!(!said.contains("built into"), "{said}");
}

#[test]
fn benchmark_that_calls_the_engine_itself_is_refused() {
    let copy = Copy::new("bench_core");
    copy.append(
        "bench/Cargo.toml",
        "\n[dependencies.nexus-core]\nworkspace = true\n",
    );
    let said = lines(&copy.dependencies().unwrap_err()).join("\n");
    assert!(
        said.contains("`nexus-bench` depends on `nexus-core`"),
        "{said}"
    );
}

#[test]
fn core_dependency_for_one_platform_only_is_refused() {
    let copy = Copy::new("one_platform");
    copy.append(
        "core/Cargo.toml",
        "\n[target.'cfg(target_os = \"wasi\")'.dependencies]\nserde_json.workspace = true\n",
    );
    let said = lines(&copy.dependencies().unwrap_err()).join("\n");
    assert!(
        said.contains(
            "`nexus-core` depends on `serde_json` on some platforms only: `cfg(target_os = \"wasi\")`"
        ),
        "{said}"
    );
}

#[test]
fn std_is_found_however_it_is_written() {
    for line in [
        "extern crate std;",
        "pub extern crate std as other;",
        "#[cfg(unix)] extern crate r#std;",
        "mod clock { extern crate std; }",
    ] {
        assert!(names_std(line), "{line}");
    }
    for line in [
        "extern crate alloc;",
        "use std::vec;",
        "extern \"C\" {",
        "let external = crate_std;",
    ] {
        assert!(!names_std(line), "{line}");
    }
}
