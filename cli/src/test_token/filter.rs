//! The filter that is run: the one inside this command, or one that the user names.

use std::path::Path;

use nexus_host::{LoadError, Module};

use crate::exit::{Failure, Result};
use crate::files;
use crate::output;

/// The filter as it was built; empty when this build carries none.
static WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/filter.wasm"));

/// The same, compiled for the machine that it was built on; empty when this build carries none.
static PRECOMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/filter.cwasm"));

/// Loads the filter of this file, or the filter inside this command.
///
/// # Errors
/// [`crate::exit::Blame::Input`] when the file is no filter, [`crate::exit::Blame::Harness`] when there is no filter inside.
pub(super) fn load(path: Option<&Path>) -> Result<Module> {
    match path {
        Some(path) => {
            let bytes = files::read(path)?;
            Module::compile(&bytes).map_err(|error| {
                Failure::input(format!(
                    "{} cannot be run as a filter",
                    files::describe_input(path)
                ))
                .evidence(error.to_string())
            })
        }
        None => embedded(),
    }
}

fn embedded() -> Result<Module> {
    if !PRECOMPILED.is_empty() {
        match precompiled() {
            Ok(module) => return Ok(module),
            Err(error) => output::warning(&format!(
                "the filter has to be compiled for this machine first, which takes a moment\n  {error}"
            )),
        }
    }
    if WASM.is_empty() {
        return Err(Failure::harness("this build carries no filter").hint(
            "build it with `cargo xtask build`, which puts the filter in, or name one with `--wasm`",
        ));
    }
    Module::compile(WASM).map_err(|error| {
        Failure::harness("the filter inside this command cannot be run").evidence(error.to_string())
    })
}

#[expect(
    unsafe_code,
    reason = "machine code can be trusted only for where it comes from"
)]
fn precompiled() -> std::result::Result<Module, LoadError> {
    // SAFETY: the bytes were made by `Module::precompile` when this command was built, and are a part of it.
    unsafe { Module::from_precompiled(PRECOMPILED) }
}
