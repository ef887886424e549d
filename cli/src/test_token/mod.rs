//! `nexusctl test-token`: one request through the very filter that a proxy would run.
//!
//! Nothing here decides anything. The filter decides, and explains its decision in its log; this
//! command sets the stage and tells what it saw.

mod answers;
mod filter;
mod report;
mod request;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use nexus_core::config::Config;
use nexus_core::policy::{CompileOptions, Requirements};
use nexus_host::{
    FakeClock, LogEntry, LogLevel, Outcome as Fate, Proxy, StartError, SystemClock, VmConfig,
};

use crate::exit::{Failure, Outcome, Result};
use crate::inspect_token::Format;
use crate::output::{self, visible};
use crate::policy_file::PolicyFile;
use crate::time::{self, Time, parse_time};
use answers::Answers;
use report::Report;
use request::{Header, Played, parse_header};

/// How long the filter may take to decide. It bounds its own fetches; this is for filters that do not.
const PATIENCE: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  A token in a file, the key set from a file, nothing from the network:
    $ nexusctl test-token --policy policy.json --jwks jwks.json --token-file token --path /my-app

  A request without a token:
    $ nexusctl test-token --policy policy.json --path /my-app/health

  What the identity provider publishes at this moment:
    $ nexusctl test-token --policy policy.json --token-file token

  Just before the token expires, and as a service in a script sees it:
    $ nexusctl test-token --policy policy.json --token-file token --now 2026-01-01T00:59:59Z
    $ nexusctl test-token --policy policy.json --token-file token --output json \\
        | jq .upstream_headers

  A header that the client tries to forge:
    $ nexusctl test-token --policy policy.json --token-file token --header 'x-user-id: root'

A token on the command line can be seen by others on the same machine, and stays in the shell's
history: prefer a file or standard input for tokens that somebody could use.

Exit codes: 0 allowed, 1 denied, 2 wrong arguments, 3 an invalid policy, key set or token file,
4 the filter failed or never decided.";

/// Play one request through the filter and say what it decides
///
/// Compiles the policy, runs the filter as a proxy would, and tells the decision with its reason, the
/// headers that the service would see, and the reply that the client would get.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("source").args(["token", "token_file", "stdin"]))]
pub(crate) struct Args {
    /// The policy; `-` is standard input
    #[arg(long, value_name = "POLICY")]
    policy: PathBuf,

    /// The token, sent as `Authorization: Bearer TOKEN`
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true)]
    token: Option<String>,

    /// Read the token from this file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Read the token from standard input
    #[arg(value_name = "-", value_parser = ["-"], hide_possible_values = true)]
    stdin: Option<String>,

    /// The method of the request
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,

    /// The path of the request, with its query [default: the path of the policy's first app]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,

    /// The host of the request [default: one that the policy's first app has, or localhost]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// A header of the request; may be given several times
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header)]
    header: Vec<Header>,

    /// Answer every fetch of keys from this JWK set, wherever an issuer says they are [default: fetch
    /// from the policy's URLs]
    #[arg(long, value_name = "FILE-OR-URL")]
    jwks: Option<String>,

    /// Answer every fetch of a revocation list from this one, in JSON or compact [default: fetch from
    /// the policy's URLs, or nothing beside `--jwks`]
    #[arg(long, value_name = "FILE-OR-URL")]
    revocations: Option<String>,

    /// What time it is: epoch seconds, RFC 3339, or an offset such as +5m [default: the machine's clock]
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    now: Option<Time>,

    /// Set an environment variable of the filter [default: those that the policy names, as they are here]
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    env: Vec<(String, String)>,

    /// Run this filter, not the one inside this command
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,

    /// How the result is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Human)]
    output: Format,

    /// Print everything that the filter logs on standard error
    #[arg(short, long)]
    verbose: bool,
}

fn parse_variable(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let now = time::resolve_now(args.now);
    request::refuse_two_readers(args)?;
    let policy = PolicyFile::compile(&args.policy, &CompileOptions::default())?;
    let config = &policy.compiled.config;
    let played = Played::of(args, config)?;
    let answers = Answers::of(args.jwks.as_deref(), args.revocations.as_deref())?;
    let environment = environment(args, &policy.compiled.requirements)?;
    let module = filter::load(args.wasm.as_deref())?;

    let are_live = answers.are_live();
    let proxy = process(answers, config, now)?;
    let started = proxy.start_vm(
        &module,
        VmConfig {
            plugin_name: "nexus".to_owned(),
            plugin_configuration: policy.compiled.json.into_bytes(),
            environment,
            ..VmConfig::default()
        },
    );
    let vm = started.map_err(|error| did_not_start(&error))?;
    let stream = vm.request(played.to_request());
    let fate = stream.wait(PATIENCE);
    let logs = proxy.log().entries();
    if let Some(reason) = vm.failure() {
        return Err(with_logs(
            Failure::harness("the filter trapped").evidence(visible(&reason)),
            &logs,
        ));
    }
    let report = match fate {
        Fate::Forwarded(forwarded) => {
            let original = stream.original_headers();
            Report::of_allowed(&logs, forwarded.headers, &original, stream.properties())
        }
        Fate::Replied(_) => Report::of_denied(&logs, stream.client_response()),
        Fate::Paused(_) => Err(Failure::harness(format!(
            "the filter did not decide within {} s",
            PATIENCE.as_secs()
        ))),
        Fate::Reset => Err(Failure::harness("the filter closed the request's stream")),
    }
    .map_err(|failure| with_logs(failure, &logs))?;
    show_logs(&logs, args.verbose);
    match args.output {
        Format::Human => output::text(&report.human(&played))?,
        Format::Json => output::data(report.json(&played, now)?.as_bytes())?,
    }
    if let Some(hint) = report.hint(&played, config, are_live) {
        output::hint(&hint);
    }
    Ok(report.outcome())
}

/// A process whose time is `now`: it stands still when nothing comes from the network, and goes on otherwise.
fn process(answers: Answers, config: &Config, now: Timestamp) -> Result<Proxy> {
    let since_epoch = Duration::try_from(now.as_duration())
        .map_err(|_| Failure::usage("`--now` is before 1970").evidence(format!("it is {now}")))?;
    let builder = Proxy::builder().log_level(LogLevel::Debug);
    let builder = if answers.are_live() {
        builder.clock(SystemClock::starting_at(since_epoch))
    } else {
        builder.clock(FakeClock::at(since_epoch))
    };
    Ok(answers.install(builder, config).build())
}

/// The variables that the filter gets: those that the policy names, and those that were set for it.
fn environment(args: &Args, requirements: &Requirements) -> Result<Vec<(String, String)>> {
    let mut environment: Vec<(String, String)> = Vec::new();
    let required = requirements.env.iter().map(|name| (name, true));
    let optional = requirements.optional_env.iter().map(|name| (name, false));
    for (name, is_required) in required.chain(optional) {
        let given = args.env.iter().rev().find(|(given, _)| given == name);
        let value = match given {
            Some((_, value)) => Some(value.clone()),
            None => std::env::var_os(name)
                .map(|value| value.into_string())
                .transpose()
                .map_err(|_| {
                    Failure::input(format!("the environment variable `{name}` is not UTF-8"))
                })?,
        };
        match value {
            Some(value) => environment.push((name.clone(), value)),
            None if is_required => {
                return Err(Failure::input(format!(
                    "the policy needs the environment variable `{name}`, which is not set"
                ))
                .hint(format!("set it, or use `--env {name}=VALUE`")));
            }
            None => {}
        }
    }
    for (name, _) in &args.env {
        if !environment.iter().any(|(known, _)| known == name) {
            output::warning(&format!(
                "`--env {name}=…` has no effect: the policy does not name it"
            ));
        }
    }
    Ok(environment)
}

fn did_not_start(error: &StartError) -> Failure {
    with_logs(Failure::harness(visible(&error.to_string())), error.logs())
}

/// Adds what the filter logged to a failure.
fn with_logs(mut failure: Failure, logs: &[LogEntry]) -> Failure {
    for entry in logs {
        failure = failure.evidence(format!("{}: {}", entry.level, visible(&entry.message)));
    }
    failure
}

fn show_logs(logs: &[LogEntry], everything: bool) {
    for entry in logs {
        let message = visible(&entry.message);
        if everything {
            output::status(&format!("{:5} {message}", entry.level));
        } else if entry.level >= LogLevel::Warn {
            output::warning(&format!("the filter says: {message}"));
        }
    }
}
