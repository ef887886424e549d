//! `nexusctl`: Nexus for people. It compiles policies, plays requests through the filter that a proxy
//! would run, explains tokens, and makes keys and tokens for trying things out.
//!
//! The command knows arguments, files, diagnostics and exit codes. It does not know how a decision is
//! made: whatever it says about one, the filter told it.

mod compile_policy;
mod compile_revocations;
mod completions;
mod docs;
mod exit;
mod files;
mod import;
mod inspect_token;
mod json_text;
mod jwks;
mod keygen;
mod keys;
mod man;
mod mint_proof;
mod mint_token;
mod output;
mod policy_file;
mod test_token;
mod time;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::exit::{Outcome, Result};

const EXAMPLES: &str = "\
Examples:
  Check a policy, then write the configuration that the proxy loads:
    $ nexusctl compile-policy policy.json --check
    $ nexusctl compile-policy policy.json -o nexus.json

  Make a key and a token, and ask the filter what it thinks of them:
    $ nexusctl keygen --alg ES256 -o key.json --jwks jwks.json
    $ nexusctl mint-token --key key.json --iss https://idp.example.com --aud my-app > token
    $ nexusctl test-token --policy policy.json --jwks jwks.json --token-file token --path /my-app

Exit codes:
  0  allowed, or done
  1  denied
  2  the arguments are wrong
  3  a policy, key, key set or token is not valid
  4  the filter, its host or the machine failed";

/// Compile, test and explain Nexus policies; make keys and tokens for trying them out
#[derive(Parser)]
#[command(name = "nexusctl", version, after_long_help = EXAMPLES, max_term_width = 100)]
#[command(arg_required_else_help = true, infer_long_args = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    CompilePolicy(compile_policy::Args),
    CompileRevocations(compile_revocations::Args),
    Import(import::Args),
    TestToken(Box<test_token::Args>),
    InspectToken(inspect_token::Args),
    Jwks(jwks::Args),
    MintToken(Box<mint_token::Args>),
    MintProof(mint_proof::Args),
    Keygen(keygen::Args),
    Completions(completions::Args),
    Man(man::Args),
    Docs(docs::Args),
}

fn run(command: Command) -> Result<Outcome> {
    match command {
        Command::CompilePolicy(args) => compile_policy::run(&args),
        Command::CompileRevocations(args) => compile_revocations::run(&args),
        Command::Import(args) => import::run(&args),
        Command::TestToken(args) => test_token::run(&args),
        Command::InspectToken(args) => inspect_token::run(&args),
        Command::Jwks(args) => jwks::run(&args),
        Command::MintToken(args) => mint_token::run(&args),
        Command::MintProof(args) => mint_proof::run(&args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Completions(args) => completions::run(&args, &mut Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
        Command::Docs(args) => docs::run(&args, Cli::command()),
    }
}

fn main() -> ExitCode {
    // Wrong arguments end the process here, with exit code 2.
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            output::failure(&failure);
            ExitCode::from(failure.blame.code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_defined() {
        Cli::command().debug_assert();
    }
}
