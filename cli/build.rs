//! Puts the filter that `NEXUS_FILTER_WASM` and `NEXUS_FILTER_CWASM` name into the command.
//!
//! `cargo xtask build` sets them. Without them the command is complete but for a filter of its own.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    embed("NEXUS_FILTER_WASM", &out.join("filter.wasm"));
    embed("NEXUS_FILTER_CWASM", &out.join("filter.cwasm"));
}

fn embed(variable: &str, target: &Path) {
    println!("cargo::rerun-if-env-changed={variable}");
    let bytes = match env::var_os(variable).filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = PathBuf::from(path);
            println!("cargo::rerun-if-changed={}", path.display());
            fs::read(&path)
                .unwrap_or_else(|error| panic!("{variable} names `{}`: {error}", path.display()))
        }
        None => Vec::new(),
    };
    fs::write(target, bytes).expect("OUT_DIR can be written");
}
