//! `nexusctl inspect-token`: what a token says. It verifies nothing, and says so.
//!
//! The signature is never printed, so that what is pasted into a ticket is no working token.

mod anatomy;
mod oddities;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use jiff::Timestamp;
use nexus_core::json::Value;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::exit::{Failure, Outcome, Result};
use crate::files;
use crate::json_text::{self, pretty, quoted};
use crate::output::{self, FAINT, ODD, TITLE, count, styled};
use crate::time::{self, Time, parse_time};

pub(crate) use anatomy::{Anatomy, cleaned};

/// The claims that are times: RFC 7519 §4.1, OpenID Connect Core §2 and §5.1.
const TIME_CLAIMS: [&str; 5] = ["exp", "nbf", "iat", "auth_time", "updated_at"];

const NOT_VERIFIED: &str =
    "nothing was verified: whoever wrote this token may have written anything";

const EXAMPLES: &str = "\
Examples:
  $ nexusctl inspect-token eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln
  $ pbpaste | nexusctl inspect-token -
  $ nexusctl inspect-token --token-file token --output json | jq .claims.sub

A token on the command line can be seen by others on the same machine, and stays in the shell's
history: prefer a file or standard input for tokens that somebody could use.

The exit code is 0 whenever the token is well-formed, expired or not; only `nexusctl test-token`
says whether a policy accepts it.";

/// Show what a token says, without verifying it
///
/// Prints header and claims with times in words, and what is unusual about them. Looks at broken
/// tokens as far as it can.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["token", "token_file"]))]
pub(crate) struct Args {
    /// The token; `-` is standard input
    #[arg(value_name = "TOKEN", allow_hyphen_values = true)]
    token: Option<String>,

    /// Read the token from this file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// What time it is: epoch seconds, RFC 3339, or an offset such as +5m [default: the machine's clock]
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    now: Option<Time>,

    /// How the result is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Human)]
    output: Format,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Human,
    /// One JSON object
    Json,
}

/// Something to tell about a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A stable name.
    pub(crate) code: &'static str,
    /// A sentence.
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let text = match (&args.token, &args.token_file) {
        (Some(token), _) if token != files::DASH => token.clone().into_bytes(),
        (_, Some(path)) => files::read(path)?,
        _ => files::read(Path::new(files::DASH))?,
    };
    let now = time::resolve_now(args.now);
    let anatomy = Anatomy::of(&text);
    let unusual: Vec<Finding> = anatomy
        .unusual
        .iter()
        .cloned()
        .chain(oddities::of(&anatomy, now))
        .collect();
    match args.output {
        Format::Human => output::text(&human(&anatomy, &unusual, now))?,
        Format::Json => output::data(json(&anatomy, &unusual, now)?.as_bytes())?,
    }
    if anatomy.problems.is_empty() {
        return Ok(Outcome::Fine);
    }
    let mut failure = Failure::input("the token is malformed");
    for problem in &anatomy.problems {
        failure = failure.evidence(&problem.text);
    }
    Err(failure)
}

fn human(anatomy: &Anatomy, unusual: &[Finding], now: Timestamp) -> String {
    let mut text = String::new();
    section(&mut text, "header", &anatomy.header, now);
    section(&mut text, "claims", &anatomy.claims, now);
    if let Some(length) = anatomy.signature_bytes {
        let _ = writeln!(text, "{}", styled(TITLE, "signature"));
        let _ = writeln!(text, "  {}, not shown", count(length, "byte"));
    }
    if !unusual.is_empty() {
        let _ = writeln!(text, "{}", styled(ODD, "unusual"));
        for finding in unusual {
            let _ = writeln!(text, "  {}", finding.text);
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{}", styled(FAINT, NOT_VERIFIED));
    text
}

fn section(text: &mut String, title: &str, part: &anatomy::Part, now: Timestamp) {
    if !part.is_present() {
        return;
    }
    let _ = writeln!(text, "{}", styled(TITLE, title));
    match part.json() {
        Some(value) => match value.as_object() {
            Some(members) => {
                let names: Vec<String> = members
                    .iter()
                    .map(|member| plain_name(&member.name))
                    .collect();
                let width = names.iter().map(|name| name.chars().count()).max();
                for (member, name) in members.iter().zip(names) {
                    let width = width.unwrap_or_default();
                    let words = time_in_words(title, &member.name, &member.value, now)
                        .map_or_else(String::new, |words| format!(" ({words})"));
                    let value = pretty(&member.value, 2);
                    let _ = writeln!(text, "  {name:width$}  {value}{words}");
                }
            }
            None => {
                let _ = writeln!(text, "  {}", pretty(&value, 2));
            }
        },
        None => {
            let _ = writeln!(text, "  {}", part.shown());
        }
    }
}

/// A name as it is, or quoted where it could be taken for something else.
fn plain_name(name: &str) -> String {
    let is_plain = !name.is_empty()
        && name
            .chars()
            .all(|character| character.is_ascii_graphic() && character != '"');
    if is_plain {
        name.to_owned()
    } else {
        quoted(name)
    }
}

fn time_in_words(part: &str, name: &str, value: &Value<'_>, now: Timestamp) -> Option<String> {
    let number = value.as_number()?;
    (part == "claims" && TIME_CLAIMS.contains(&name))
        .then(|| time::date_in_words(number.floor(), now))
}

/// What `--output json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    verified: bool,
    well_formed: bool,
    header: Option<Box<RawValue>>,
    claims: Option<Box<RawValue>>,
    signature_bytes: Option<usize>,
    times: Box<RawValue>,
    problems: &'a [Finding],
    unusual: &'a [Finding],
}

fn json(anatomy: &Anatomy, unusual: &[Finding], now: Timestamp) -> Result<String> {
    let internal = |error: serde_json::Error| {
        Failure::harness("cannot print the token").evidence(error.to_string())
    };
    let raw = |value: Option<Value<'_>>| {
        value
            .map(|value| RawValue::from_string(value.to_string()))
            .transpose()
            .map_err(internal)
    };
    let claims = anatomy.claims.json();
    let mut times = Vec::new();
    for name in TIME_CLAIMS {
        let number = claims
            .as_ref()
            .and_then(|claims| claims.member(name))
            .and_then(Value::as_number);
        if let Some(number) = number {
            let date = Timestamp::from_second(number.floor())
                .map_or_else(|_| "null".to_owned(), |date| quoted(&date.to_string()));
            let distance = quoted(&time::distance(number.floor(), now));
            times.push(format!(
                "{}:{{\"date\":{date},\"distance\":{distance}}}",
                quoted(name)
            ));
        }
    }
    let printed = Printed {
        verified: false,
        well_formed: anatomy.problems.is_empty(),
        header: raw(anatomy.header.json())?,
        claims: raw(claims)?,
        signature_bytes: anatomy.signature_bytes,
        times: RawValue::from_string(format!("{{{}}}", times.join(","))).map_err(internal)?,
        problems: &anatomy.problems,
        unusual,
    };
    let text = serde_json::to_string(&printed).map_err(internal)?;
    Ok(json_text::prettify(&text))
}
