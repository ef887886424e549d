//! Compiles a proxy-wasm module to machine code that `Module::from_precompiled` loads in milliseconds.
//!
//! For builds: the program that embeds the result must be built with the same version of `nexus-host`.

use std::path::Path;
use std::process::ExitCode;

use nexus_host::Module;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        eprintln!("usage: nexus-precompile IN.wasm OUT.cwasm");
        return ExitCode::from(2);
    };
    match precompile(Path::new(input), Path::new(output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn precompile(input: &Path, output: &Path) -> Result<(), String> {
    let wasm = std::fs::read(input)
        .map_err(|error| format!("cannot read `{}`: {error}", input.display()))?;
    let code =
        Module::precompile(&wasm).map_err(|error| format!("`{}`: {error}", input.display()))?;
    std::fs::write(output, code)
        .map_err(|error| format!("cannot write `{}`: {error}", output.display()))
}
