//! Measures what Nexus costs beside Envoy's own JWT filter, in real Envoys.
//!
//! `cargo xtask bench` builds what it needs, names it in the environment and runs it. It looks at the filter from
//! outside, as the tests do, and drives Envoy from this process, so that what is measured there is Envoy alone.
//! It judges no figure: it prints them beside the goals, and only an answer that is wrong is a failure.

mod charts;
mod compare;
mod contenders;
mod cpu;
mod document;
mod driver;
mod flood;
mod goals;
mod instructions;
mod machine;
mod results;
mod scale;
mod scenarios;
mod startup;
mod statistics;
mod table;
mod tokens;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use serde_json::Value;

/// Measure Nexus beside Envoy's own JWT filter
#[derive(Parser)]
#[command(
    name = "nexus-bench",
    bin_name = "cargo xtask bench",
    disable_help_subcommand = true
)]
struct Arguments {
    /// What is measured
    #[arg(value_enum, default_value_t)]
    benchmark: Benchmark,

    #[command(flatten)]
    options: Options,
}

/// A benchmark by itself.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Benchmark {
    /// What a request costs with each filter
    #[default]
    Compare,
    /// What a request costs as apps, routes, providers, keys and tokens become many
    Scale,
    /// How long Envoy takes until it answers
    Startup,
    /// What a flood of tokens with made-up `kid`s takes from good ones
    Flood,
    /// How many WebAssembly instructions a request takes, the same on every machine
    Instructions,
}

/// How much is measured, and where the results go.
#[derive(clap::Args, Clone, Debug)]
struct Options {
    /// Measure less, in about a minute
    #[arg(long)]
    quick: bool,

    /// How many rounds there are [default: 61; with --quick 9]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// Only these contenders and scenarios, of either all when none is named; for `scale` only what grows so
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,

    /// Where results and tokens are kept
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    output: PathBuf,

    /// Write tables and charts into docs/performance.md and docs/performance/ as well
    #[arg(long)]
    write_docs: bool,
}

impl Options {
    fn rounds(&self) -> usize {
        let rounds = self.rounds.unwrap_or(if self.quick { 9 } else { 61 });
        usize::try_from(rounds).expect("at most 1000")
    }

    /// Writes results for other programs, and gives the file.
    fn write(&self, name: &str, results: &Value) -> Result<PathBuf, String> {
        let file = self.output.join(name);
        fs::create_dir_all(&self.output)
            .and_then(|()| fs::write(&file, format!("{results:#}\n")))
            .map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
        Ok(file)
    }
}

/// How long a round of one contender with one kind of request takes: short, so that what disturbs one contender meets the
/// next one too, and many.
const ROUND_TIME: Duration = Duration::from_millis(100);

/// How long a contender is warmed up with one kind of request.
const WARM_UP_TIME: Duration = Duration::from_millis(200);

/// How long a round takes in which latencies are measured: enough requests for the rare ones among them.
const LATENCY_TIME: Duration = Duration::from_millis(500);

/// How many distinct tokens a contender is sent in a round at most.
const TOKENS_PER_ROUND: usize = 500;

fn main() -> ExitCode {
    let Arguments { benchmark, options } = Arguments::parse();
    let run = match benchmark {
        Benchmark::Compare => compare::run,
        Benchmark::Scale => scale::run,
        Benchmark::Startup => startup::run,
        Benchmark::Flood => flood::run,
        Benchmark::Instructions => instructions::run,
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
