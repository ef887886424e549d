//! Where the things under test are: `cargo xtask test` builds or fetches them and names them in
//! the environment. Nothing is searched for or guessed, so that a test never runs against a stale
//! file.

use std::{env, path::PathBuf};

/// Names the filter's module, a `.wasm` file.
pub const WASM_VARIABLE: &str = "NEXUS_WASM";
/// Names the `nexusctl` executable.
pub const NEXUSCTL_VARIABLE: &str = "NEXUSCTL";
/// Lists Envoy executables: `1.36.2=/path,1.40.0=/path`.
pub const ENVOYS_VARIABLE: &str = "NEXUS_ENVOYS";
/// Names the module of a filter that does nothing, for the benchmark.
pub const EMPTY_FILTER_VARIABLE: &str = "NEXUS_EMPTY_FILTER";
/// Names the folder in which npm has installed `oidc-provider`.
pub const OIDC_PROVIDER_VARIABLE: &str = "NEXUS_OIDC_PROVIDER";

/// The filter's module.
///
/// # Panics
/// When `NEXUS_WASM` is unset or names no file.
pub fn wasm() -> PathBuf {
    file(WASM_VARIABLE)
}

/// The `nexusctl` executable.
///
/// # Panics
/// When `NEXUSCTL` is unset or names no file.
pub fn nexusctl() -> PathBuf {
    file(NEXUSCTL_VARIABLE)
}

/// The module of a filter that does nothing.
///
/// # Panics
/// When `NEXUS_EMPTY_FILTER` is unset or names no file.
pub fn empty_filter() -> PathBuf {
    file(EMPTY_FILTER_VARIABLE)
}

/// The folder in which npm has installed `oidc-provider`.
///
/// # Panics
/// When `NEXUS_OIDC_PROVIDER` is unset or names no such folder.
pub fn oidc_provider() -> PathBuf {
    let folder = PathBuf::from(variable(OIDC_PROVIDER_VARIABLE));
    assert!(
        folder.join("node_modules/oidc-provider").is_dir(),
        "`{OIDC_PROVIDER_VARIABLE}` names `{}`, where there is no `oidc-provider`: run the tests by `cargo xtask test`",
        folder.display()
    );
    folder
}

/// The root folder of the repository, for the committed files that tests run.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests folder has a parent")
        .to_path_buf()
}

pub(crate) fn variable(name: &str) -> String {
    match env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!(
            "the environment variable `{name}` is not set: run the tests by `cargo xtask test`"
        ),
    }
}

fn file(name: &str) -> PathBuf {
    let path = PathBuf::from(variable(name));
    assert!(
        path.is_file(),
        "`{name}` names `{}`, which is no file: run the tests by `cargo xtask test`",
        path.display()
    );
    path
}
