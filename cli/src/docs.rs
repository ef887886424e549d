//! `nexusctl docs`, hidden: the texts that `docs/` is generated from.

use std::fmt::Write as _;

use crate::exit::{Outcome, Result};
use crate::output;

/// Print a generated page of the documentation
#[derive(clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    /// The page
    #[arg(value_enum)]
    page: Page,
}

/// A generated page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Page {
    /// The help texts, as Markdown
    Cli,
}

pub(crate) fn run(args: &Args, command: clap::Command) -> Result<Outcome> {
    let text = match args.page {
        Page::Cli => cli(command),
    };
    output::data(text.as_bytes())?;
    Ok(Outcome::Fine)
}

fn cli(mut command: clap::Command) -> String {
    command.build();
    let mut page =
        String::from("# The command\n\nWhat `nexusctl --help` prints, command by command.\n");
    let subcommands = command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set() && subcommand.get_name() != "help");
    for command in std::iter::once(&command).chain(subcommands) {
        let title = command
            .get_bin_name()
            .unwrap_or(command.get_name())
            .to_owned();
        let help = command.clone().render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        // Writing to a string does not fail.
        let _ = write!(
            page,
            "\n## {title}\n\n```text\n{}\n```\n",
            lines.join("\n").trim_end()
        );
    }
    page
}
