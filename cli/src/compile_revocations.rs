//! `nexusctl compile-revocations`: from lists of what is revoked to the compact form that the filter reads.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use nexus_core::json;
use nexus_core::revocation::{self, Entry, MAX_ISSUED_BEFORE, RevocationList, RevokedBy};

use crate::exit::{Failure, Outcome, Result};
use crate::files::{self, Access};
use crate::output;
use crate::time::{self, Time, parse_time};

const EXAMPLES: &str = "\
Examples:
  From JSON, in the form that a policy's `revoked` has:
    $ echo '{\"jti\": [\"7f3a\"], \"sub\": [{\"sub\": \"bob\", \"issued_before\": 1700000000}]}' > revoked.json
    $ nexusctl compile-revocations revoked.json -o revoked.bin

  A million identifiers of tokens, one a line, as a database writes them:
    $ psql -Atc 'select jti from revoked' | nexusctl compile-revocations --jti - -o revoked.bin

  Everybody in a file has to log in again:
    $ nexusctl compile-revocations --sub subjects.txt --issued-before now -o revoked.bin

  Several lists as one:
    $ nexusctl compile-revocations a.json b.json --jti more.txt -o revoked.bin

Serve the file under the policy's `revocation_url`. An entry takes 12 bytes of it, and of the memory
of each worker of the proxy twice as much while a list is replaced. The same entries in any order
give the same bytes.";

/// Write a revocation list in the compact form
///
/// Entries are told apart by 64 bits of SHA-256; the note tells how likely it is that a token which is
/// not in the list is taken for one that is.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("input").required(true).multiple(true)
    .args(["lists", "jti", "sub", "kid"]))]
pub(crate) struct Args {
    /// Lists in JSON, `{"jti": […], "sub": […], "kid": […]}`; `-` is standard input
    #[arg(value_name = "LIST")]
    lists: Vec<PathBuf>,

    /// Tokens by their `jti`, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    jti: Vec<PathBuf>,

    /// Subjects by their `sub`, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    sub: Vec<PathBuf>,

    /// Keys by their `kid`, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    kid: Vec<PathBuf>,

    /// Of the subjects and keys in lines, refuse only tokens issued before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    issued_before: Option<Time>,

    /// Write the list to this file, not to standard output
    #[arg(short, long = "output-file", value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    refuse_two_readers(args)?;
    let output = args.output.as_deref().unwrap_or(Path::new(files::DASH));
    if files::is_dash(output) && io::stdout().is_terminal() {
        return Err(
            Failure::usage("the list is not text that a terminal can show")
                .hint("name a file with `-o`"),
        );
    }
    let issued_before = issued_before(args)?;
    let mut entries = Vec::new();
    for path in &args.lists {
        entries.extend(read_json(path)?);
    }
    let lines = [
        (RevokedBy::Jti, &args.jti, None),
        (RevokedBy::Sub, &args.sub, issued_before),
        (RevokedBy::Kid, &args.kid, issued_before),
    ];
    for (by, paths, issued_before) in lines {
        for path in paths {
            entries.extend(read_lines(path, by, issued_before)?);
        }
    }
    let given = entries.len();
    let list = RevocationList::of(entries).map_err(|error| Failure::input(error.to_string()))?;
    files::write(output, list.as_bytes(), Access::Public)?;
    if !files::is_dash(output) {
        output::status(&format!("wrote {}", output.display()));
    }
    output::note(&summary(&list, given));
    Ok(Outcome::Fine)
}

/// What was written, and how sure it is.
fn summary(list: &RevocationList, given: usize) -> String {
    let mut text = format!("{} in {} bytes", entries(list.len()), list.as_bytes().len());
    if given > list.len() {
        text.push_str(&format!(
            "; {} were given, some of them twice",
            entries(given)
        ));
    }
    if !list.is_empty() {
        // Each name of a token is looked up: three chances.
        let chances = 2_f64.powi(64) / (3 * list.len()) as f64;
        text.push_str(&format!(
            "\n  a token that is not in the list is refused with a chance of at most 1 in {chances:.1e}"
        ));
    }
    text
}

fn entries(number: usize) -> String {
    match number {
        1 => "1 entry".to_owned(),
        _ => format!("{number} entries"),
    }
}

fn refuse_two_readers(args: &Args) -> Result<()> {
    let inputs = [&args.lists, &args.jti, &args.sub, &args.kid];
    let dashes = inputs.into_iter().flatten();
    match dashes.filter(|path| files::is_dash(path)).count() {
        0 | 1 => Ok(()),
        _ => Err(Failure::usage("standard input can be read only once")),
    }
}

fn issued_before(args: &Args) -> Result<Option<u32>> {
    let Some(time) = args.issued_before else {
        return Ok(None);
    };
    if args.sub.is_empty() && args.kid.is_empty() {
        return Err(
            Failure::usage("`--issued-before` is for the lines of `--sub` and `--kid`")
                .hint("a `jti` names one token, whenever it was issued"),
        );
    }
    let time = time.resolve(time::system_now());
    u32::try_from(time.as_second())
        .ok()
        .filter(|seconds| *seconds <= MAX_ISSUED_BEFORE)
        .map(Some)
        .ok_or_else(|| {
            Failure::usage("`--issued-before` is not between 1970 and 2106")
                .evidence(format!("it is {time}"))
        })
}

fn read_json(path: &Path) -> Result<Vec<Entry<'static>>> {
    let name = files::describe_input(path);
    let text = files::read(path)?;
    if text.starts_with(&revocation::MAGIC) {
        return Err(
            Failure::input(format!("{name} is in the compact form already"))
                .hint("it keeps digests only; compile it anew from what it was made of"),
        );
    }
    let refused =
        |error: String| Failure::input(format!("{name} is no revocation list")).evidence(error);
    let document = json::parse(&text).map_err(|error| {
        refused(format!("it is not valid JSON: {error}"))
            .hint("for one entry a line there are `--jti`, `--sub` and `--kid`")
    })?;
    let entries = revocation::entries(&document).map_err(|error| refused(error.to_string()))?;
    Ok(entries.into_iter().map(Entry::into_owned).collect())
}

fn read_lines(
    path: &Path,
    by: RevokedBy,
    issued_before: Option<u32>,
) -> Result<Vec<Entry<'static>>> {
    let name = files::describe_input(path);
    let text = files::read_text(path)?;
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() {
            continue;
        }
        if line.trim() != line || line.chars().any(char::is_control) {
            return Err(Failure::input(format!(
                "line {} of {name} has a space at an end or a control character",
                index + 1
            ))
            .hint("a line is one name, as tokens have it; names of another form stand in JSON"));
        }
        entries.push(Entry {
            by,
            value: Cow::Owned(line.to_owned()),
            issued_before,
        });
    }
    if entries.is_empty() {
        output::warning(&format!("{name} has no line with a `{by}`"));
    }
    Ok(entries)
}
