//! `nexusctl man`: the manual pages, made from the same texts as `--help`.

use std::fs;
use std::path::PathBuf;

use crate::docs;
use crate::exit::{Failure, Outcome, Result};
use crate::files::{self, Access};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  $ nexusctl man | man -l -
  $ nexusctl man --dir ~/.local/share/man/man1";

/// Print the manual page, or write the pages of all commands
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write one page per command into this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, mut command: clap::Command) -> Result<Outcome> {
    command.build();
    match &args.dir {
        None => output::data(&page(&command)?)?,
        Some(dir) => {
            fs::create_dir_all(dir).map_err(|error| {
                Failure::harness(format!("cannot make the folder `{}`", dir.display()))
                    .evidence(error.to_string())
            })?;
            for command in docs::shown(&command) {
                let name = command.get_display_name().unwrap_or(command.get_name());
                let path = dir.join(format!("{name}.1"));
                files::write(&path, &page(command)?, Access::Public)?;
                output::status(&format!("wrote {}", path.display()));
            }
        }
    }
    Ok(Outcome::Fine)
}

fn page(command: &clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    // Without a date, so that the same build gives the same bytes.
    clap_mangen::Man::new(command.clone())
        .date("")
        .manual("Nexus")
        .render(&mut page)
        .map_err(|error| {
            Failure::harness("cannot make the manual page").evidence(error.to_string())
        })?;
    Ok(page)
}
