//! `nexusctl jwks`: key sets, as their sources serve them.

mod check;
mod client;
mod document;
mod report;

use clap::Subcommand;

use crate::exit::{Outcome, Result};

/// Look at the JWK sets that identity providers serve
#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Args),
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    match &args.command {
        Command::Check(args) => check::run(args),
    }
}
