//! WebAssembly instructions for a request: a measure that is the same on every machine, however busy, so that a change
//! that makes the filter slower shows in a test. What the host does for the filter is not in it, and one instruction may
//! cost as much as ten others: it tells whether something has changed, not what it costs.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use nexus_host::{FakeClock, LogLevel, Module, Outcome, Proxy, Request, Vm, VmConfig};
use nexus_tests::{artifacts, nexusctl, tokens::now};
use serde_json::json;

use crate::{
    Options,
    contenders::{PATH, policy},
    document::Document,
    scenarios::{SCENARIOS, Scenario},
    table::Table,
    tokens::{ALGORITHMS, Pool},
};

/// Requests before those that are counted: every repeated token at least once.
const BEFORE: usize = 20;
/// Requests that are counted. No two take exactly the same, since no two tokens are the same.
const COUNTED: usize = 20;
/// By how much a figure may be larger than the one that is kept, in per cent, before it is taken for a regression.
const TOLERANCE: u64 = 5;

/// Counts, compares with what is kept, prints and writes.
///
/// # Errors
/// When something is named that there is not, and when a request takes notably more instructions than is kept.
///
/// # Panics
/// When the filter does not start or answers something else than it should.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    if let Some(unknown) = options
        .only
        .iter()
        .find(|name| !SCENARIOS.iter().any(|one| one.name() == **name))
    {
        let names = SCENARIOS.map(Scenario::name).join(" ");
        return Err(format!(
            "there is no scenario `{unknown}`\n  there are: {names}"
        ));
    }
    let counts =
        count(|scenario| options.only.is_empty() || options.only.contains(&scenario.name()));
    let table = table(&counts);
    print!("{}", table.to_text());
    options.write(
        "instructions.json",
        &json!(counts.iter().cloned().collect::<BTreeMap<_, _>>()),
    )?;
    if options.write_docs {
        let mut document = Document::open();
        document.replace("instructions", &table.to_markdown());
        document.save();
        return keep(&counts);
    }
    let slower = regressions(&counts, &kept()?);
    if slower.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the filter takes more instructions than before\n  {}\n\
         hint: where that is worth it, run `cargo xtask bench instructions --write-docs` and commit what changes",
        slower.join("\n  ")
    ))
}

/// For each chosen scenario the mean number of instructions of a request.
fn count(chosen: impl Fn(Scenario) -> bool) -> Vec<(String, u64)> {
    let pools = ALGORITHMS.map(|algorithm| (algorithm, Pool::mint(algorithm, BEFORE + COUNTED)));
    let keys: Vec<_> = pools.iter().map(|(_, pool)| pool.jwk.clone()).collect();
    let configuration = nexusctl::compile_policy(&policy(&keys, "auto"));
    let wasm = fs::read(artifacts::wasm()).expect("the module can be read");
    let module = Module::compile_counting(&wasm).expect("the module is one");
    let scenarios = SCENARIOS.into_iter().filter(|scenario| chosen(*scenario));
    scenarios
        .map(|scenario| {
            let (_, pool) = pools
                .iter()
                .find(|(algorithm, _)| *algorithm == scenario.algorithm())
                .expect("every algorithm has a pool");
            let vm = start(&module, &configuration);
            (
                scenario.name(),
                count_one(&vm, scenario, &scenario.tokens(pool)),
            )
        })
        .collect()
}

/// A VM of its own for each scenario, so that none profits from another.
fn start(module: &Module, configuration: &str) -> Vm {
    let now = Duration::from_secs(now().unsigned_abs());
    let proxy = Proxy::builder()
        .clock(FakeClock::at(now))
        .seed(1)
        .log_level(LogLevel::Warn)
        .build();
    let config = VmConfig {
        root_id: "nexus".to_owned(),
        plugin_name: "nexus".to_owned(),
        plugin_configuration: configuration.as_bytes().to_vec(),
        ..VmConfig::default()
    };
    let vm = proxy.start_vm(module, config).expect("the filter starts");
    proxy.advance(Duration::from_millis(10));
    vm
}

fn count_one(vm: &Vm, scenario: Scenario, tokens: &[String]) -> u64 {
    for number in 0..BEFORE {
        send(vm, scenario, tokens, number);
    }
    let instructions = || vm.instructions().expect("instructions are counted");
    let before = instructions();
    for number in BEFORE..BEFORE + COUNTED {
        send(vm, scenario, tokens, number);
    }
    (instructions() - before) / COUNTED as u64
}

fn send(vm: &Vm, scenario: Scenario, tokens: &[String], number: usize) {
    let mut request = Request::get("api.example.com", PATH)
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)")
        .header("accept", "application/json");
    if !tokens.is_empty() {
        let token = &tokens[number % tokens.len()];
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let status = match vm.request(request).outcome() {
        Outcome::Forwarded(_) => 200,
        Outcome::Replied(reply) => reply.status,
        other => panic!("{}: {other:?}", scenario.name()),
    };
    assert_eq!(status, u32::from(scenario.status()), "{}", scenario.name());
}

/// Where the figures are kept.
fn kept_file() -> PathBuf {
    artifacts::repository().join("bench/instructions.json")
}

fn kept() -> Result<BTreeMap<String, u64>, String> {
    let file = kept_file();
    let text =
        fs::read(&file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
    let json: serde_json::Map<_, _> =
        serde_json::from_slice(&text).map_err(|error| format!("`{}`: {error}", file.display()))?;
    let figures = json.into_iter();
    Ok(figures
        .filter_map(|(name, figure)| Some((name, figure.as_u64()?)))
        .collect())
}

fn keep(counts: &[(String, u64)]) -> Result<(), String> {
    let mut all = kept().unwrap_or_default();
    all.extend(counts.iter().cloned());
    let file = kept_file();
    fs::write(&file, format!("{:#}\n", json!(all)))
        .map_err(|error| format!("cannot write `{}`: {error}", file.display()))
}

/// What takes notably more than is kept, or is not kept.
fn regressions(counts: &[(String, u64)], kept: &BTreeMap<String, u64>) -> Vec<String> {
    counts
        .iter()
        .filter_map(|(scenario, count)| match kept.get(scenario) {
            Some(old) if *count <= old + old * TOLERANCE / 100 => None,
            Some(old) => Some(format!(
                "`{scenario}`: {count}, at most {old} and {TOLERANCE} %"
            )),
            None => Some(format!("`{scenario}`: {count}, and none is kept")),
        })
        .collect()
}

fn table(counts: &[(String, u64)]) -> Table {
    let mut table = Table::new(["tokens", "instructions"]);
    for (scenario, count) in counts {
        table.row([scenario.clone(), count.to_string()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::regressions;

    #[test]
    fn a_twentieth_more_is_let_pass_and_what_is_more_or_unknown_is_not() {
        let kept = [("expired".to_owned(), 1_000)].into();
        let slower = |name: &str, count| regressions(&[(name.to_owned(), count)], &kept);
        assert!(slower("expired", 1_050).is_empty());
        assert_eq!(
            slower("expired", 1_051),
            ["`expired`: 1051, at most 1000 and 5 %"]
        );
        assert_eq!(slower("missing", 1), ["`missing`: 1, and none is kept"]);
    }
}
