//! `nexusctl completions`: what a shell needs to complete the command.

use clap_complete::Shell;

use crate::exit::{Outcome, Result};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  $ nexusctl completions bash > ~/.local/share/bash-completion/completions/nexusctl
  $ nexusctl completions zsh > \"${fpath[1]}/_nexusctl\"
  $ nexusctl completions fish > ~/.config/fish/completions/nexusctl.fish";

/// Print the completion script of a shell
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, command: &mut clap::Command) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "nexusctl", &mut script);
    output::data(&script)?;
    Ok(Outcome::Fine)
}
