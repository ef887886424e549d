//! The comparison: every contender with every kind of request, in short rounds by turns.

use std::fs;

use nexus_tests::envoy;
use serde_json::Value;

use crate::{
    LATENCY_TIME, Options, ROUND_TIME, TOKENS_PER_ROUND, WARM_UP_TIME, charts,
    contenders::{CONTENDERS, Contender, PATH, Running},
    cpu::Used,
    document::Document,
    driver::{Answers, End, Requests},
    machine::Run,
    results::{Latency, Load, Percentiles, Results},
    scenarios::{SCENARIOS, Scenario},
    statistics::{Sample, percentile},
    tokens::{ALGORITHMS, Pool},
};

/// Which of the scenarios latencies are measured with.
const PACED: Scenario = Scenario::Repeated(nexus_tests::keys::Algorithm::RS256);
/// What that is called on the command line.
const LATENCY: &str = "latency";
/// The contender whose capacity says what the rate is.
const PACEMAKER: &str = "native-cache";
/// The part of its capacity.
const PART_OF_CAPACITY: f64 = 0.5;
/// A contender that could do no more than this part of the rate more is not asked: it would not keep up.
const HEADROOM: f64 = 1.1;

/// How many distinct tokens each contender sees before the first round, so that the engine has compiled what is
/// used much.
const WARM_UP_TOKENS: usize = 1_000;

/// The part of its time that a worker may wait for a processor in a run that is worth something.
const MOST_WAITED: f64 = 0.1;

/// What `--only` leaves.
struct Choice {
    contenders: Vec<Contender>,
    scenarios: Vec<Scenario>,
    latency: bool,
}

impl Choice {
    fn of(only: &[String]) -> Result<Self, String> {
        let known = |name: &str| {
            name == LATENCY
                || CONTENDERS.iter().any(|contender| contender.name == name)
                || SCENARIOS.iter().any(|scenario| scenario.name() == name)
        };
        if let Some(unknown) = only.iter().find(|name| !known(name)) {
            let contenders = CONTENDERS.map(|contender| contender.name);
            let scenarios = SCENARIOS.map(Scenario::name);
            return Err(format!(
                "there is no contender or scenario `{unknown}`\n  contenders: {}\n  scenarios: {} {LATENCY}",
                contenders.join(" "),
                scenarios.join(" ")
            ));
        }
        let named = |name: &str| only.iter().any(|wanted| wanted == name);
        let all_contenders = !CONTENDERS.iter().any(|contender| named(contender.name));
        let all_scenarios =
            !named(LATENCY) && !SCENARIOS.iter().any(|scenario| named(&scenario.name()));
        Ok(Self {
            contenders: CONTENDERS
                .into_iter()
                .filter(|contender| all_contenders || named(contender.name))
                .collect(),
            scenarios: SCENARIOS
                .into_iter()
                .filter(|scenario| all_scenarios || named(&scenario.name()))
                .collect(),
            latency: all_scenarios || named(LATENCY),
        })
    }

    /// What has to be driven: latencies need the capacity.
    fn loads(&self) -> Vec<Scenario> {
        SCENARIOS
            .into_iter()
            .filter(|scenario| {
                self.scenarios.contains(scenario) || (self.latency && *scenario == PACED)
            })
            .collect()
    }
}

/// One contender at work, with the scenarios it takes part in.
struct Lane {
    contender: Contender,
    running: Running,
}

/// The tokens of a scenario.
struct Traffic {
    scenario: Scenario,
    tokens: Vec<String>,
}

/// Measures, prints and writes.
///
/// # Errors
/// When something is named that there is not.
///
/// # Panics
/// When an Envoy does not start or answers something else than it should.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let choice = Choice::of(&options.only)?;
    fs::create_dir_all(&options.output)
        .map_err(|error| format!("cannot create `{}`: {error}", options.output.display()))?;
    let version = envoy::newest();
    let results = measure(options, &choice, &version);
    print(&results);
    let file = options.write("bench.json", &results.to_json())?;
    println!("\nwritten to {}", file.display());
    if options.write_docs {
        write_docs(&results);
    }
    Ok(())
}

fn measure(options: &Options, choice: &Choice, version: &envoy::Version) -> Results {
    let rounds = options.rounds();
    let distinct = |algorithm| match choice.loads().contains(&Scenario::Distinct(algorithm)) {
        true => WARM_UP_TOKENS + rounds * TOKENS_PER_ROUND,
        false => 0,
    };
    let pools: Vec<Pool> = ALGORITHMS
        .into_iter()
        .map(|algorithm| Pool::load_or_mint(&options.output, algorithm, distinct(algorithm)))
        .collect();
    let keys: Vec<Value> = pools.iter().map(|pool| pool.jwk.clone()).collect();
    let traffic: Vec<Traffic> = choice
        .loads()
        .into_iter()
        .map(|scenario| {
            let place = ALGORITHMS
                .iter()
                .position(|one| *one == scenario.algorithm());
            let pool = place.and_then(|place| pools.get(place));
            Traffic {
                scenario,
                tokens: scenario.tokens(pool.expect("every algorithm has a pool")),
            }
        })
        .collect();

    eprintln!("  starting {} Envoys …", choice.contenders.len());
    let mut lanes: Vec<Lane> = choice
        .contenders
        .iter()
        .map(|contender| Lane {
            contender: *contender,
            running: contender.start(version, &keys),
        })
        .collect();

    let mut loads = loads(&traffic, &lanes);
    eprintln!("  warming up …");
    for traffic in &traffic {
        for lane in lanes.iter_mut().filter(|lane| lane.takes_part(traffic)) {
            lane.warm_up(traffic);
        }
    }
    for round in 0..rounds {
        eprintln!("  round {} of {rounds} …", round + 1);
        for traffic in &traffic {
            // Each round another contender begins.
            let count = lanes.len();
            for turn in 0..count {
                let lane = &mut lanes[(turn + round) % count];
                if lane.takes_part(traffic) {
                    let measured = lane.round(traffic, round);
                    add(&mut loads, lane.contender, traffic.scenario, &measured);
                }
            }
        }
    }

    let mut results = Results {
        run: Run::now(version),
        rounds,
        loads,
        paced_at: None,
        latencies: Vec::new(),
        memory: Vec::new(),
    };
    if choice.latency {
        measure_latencies(&mut results, &mut lanes, &traffic, options);
    }
    results.memory = lanes
        .iter()
        .map(|lane| (lane.contender, lane.running.envoy.resident_bytes()))
        .collect();
    results
        .loads
        .retain(|load| choice.scenarios.contains(&load.scenario) || choice.scenarios.is_empty());
    results
}

/// A load for each part of a contender in a scenario, without rounds as yet.
fn loads(traffic: &[Traffic], lanes: &[Lane]) -> Vec<Load> {
    let mut loads = Vec::new();
    for traffic in traffic {
        for lane in lanes.iter().filter(|lane| lane.takes_part(traffic)) {
            loads.push(Load {
                scenario: traffic.scenario,
                contender: lane.contender,
                requests: 0,
                cpu: Sample(Vec::new()),
                process_cpu: Sample(Vec::new()),
                rate: Sample(Vec::new()),
                waited: Sample(Vec::new()),
            });
        }
    }
    loads
}

/// One round.
struct Measured {
    answers: u64,
    cpu: f64,
    process_cpu: f64,
    rate: f64,
    waited: f64,
}

fn add(loads: &mut [Load], contender: Contender, scenario: Scenario, measured: &Measured) {
    let load = loads
        .iter_mut()
        .find(|load| load.contender == contender && load.scenario == scenario)
        .expect("every part has a load");
    load.requests += measured.answers;
    load.cpu.0.push(measured.cpu);
    load.process_cpu.0.push(measured.process_cpu);
    load.rate.0.push(measured.rate);
    load.waited.0.push(measured.waited);
}

impl Lane {
    fn takes_part(&self, traffic: &Traffic) -> bool {
        self.contender.checks_tokens() || traffic.scenario.is_for_all()
    }

    fn warm_up(&mut self, traffic: &Traffic) {
        let (tokens, requests) = match traffic.scenario {
            Scenario::Distinct(_) => (&traffic.tokens[..WARM_UP_TOKENS], WARM_UP_TOKENS),
            _ => (&traffic.tokens[..], usize::MAX),
        };
        self.drive(
            traffic.scenario,
            tokens,
            End {
                after: WARM_UP_TIME,
                requests,
            },
        );
    }

    fn round(&mut self, traffic: &Traffic, round: usize) -> Measured {
        let (tokens, requests) = match traffic.scenario {
            Scenario::Distinct(_) => {
                let count = TOKENS_PER_ROUND;
                let first = WARM_UP_TOKENS + round * count;
                (&traffic.tokens[first..first + count], count)
            }
            _ => (&traffic.tokens[..], usize::MAX),
        };
        let (answers, used) = self.drive(
            traffic.scenario,
            tokens,
            End {
                after: ROUND_TIME,
                requests,
            },
        );
        let count = answers.count() as f64;
        Measured {
            answers: answers.count(),
            cpu: used.worker.as_secs_f64() * 1e6 / count,
            process_cpu: used.process.as_secs_f64() * 1e6 / count,
            rate: count / answers.elapsed.as_secs_f64(),
            waited: used.waited.as_secs_f64() / (used.waited + used.worker).as_secs_f64(),
        }
    }

    fn drive(&mut self, scenario: Scenario, tokens: &[String], end: End) -> (Answers, Used) {
        let (answers, used) = self.running.saturate(Requests::new(PATH, tokens), end);
        self.check(scenario, &answers);
        (answers, used)
    }

    /// A figure about wrong answers would be worth nothing.
    fn check(&self, scenario: Scenario, answers: &Answers) {
        let expected = match self.contender.checks_tokens() {
            true => scenario.status(),
            false => 200,
        };
        assert!(
            answers.by_status.keys().all(|status| *status == expected),
            "{} should answer {} with {expected}: {:?}\n{}",
            self.contender.name,
            scenario.name(),
            answers.by_status,
            self.running.envoy.log_end()
        );
    }
}

fn measure_latencies(
    results: &mut Results,
    lanes: &mut [Lane],
    traffic: &[Traffic],
    options: &Options,
) {
    let Some(traffic) = traffic.iter().find(|traffic| traffic.scenario == PACED) else {
        return;
    };
    let capacity = |name: &str| Some(results.load(PACED, name)?.rate.median());
    let slowest = || {
        let rates = results.loads.iter().filter(|load| load.scenario == PACED);
        let rates = rates.map(|load| load.rate.median());
        rates.min_by(f64::total_cmp)
    };
    let Some(rate) = capacity(PACEMAKER).or_else(slowest) else {
        return;
    };
    let rate = rate * PART_OF_CAPACITY;
    eprintln!("  measuring latencies at {rate:.0} requests a second …");
    let keeps_up: Vec<bool> = lanes
        .iter()
        .map(|lane| capacity(lane.contender.name).is_some_and(|most| most > rate * HEADROOM))
        .collect();
    let mut latencies: Vec<Latency> = lanes
        .iter()
        .zip(&keeps_up)
        .map(|(lane, keeps_up)| Latency {
            contender: lane.contender,
            percentiles: keeps_up.then(|| Percentiles {
                p50: Sample(Vec::new()),
                p99: Sample(Vec::new()),
                p999: Sample(Vec::new()),
            }),
        })
        .collect();
    for round in 0..options.rounds() {
        let count = lanes.len();
        for turn in 0..count {
            let place = (turn + round) % count;
            let (lane, latency) = (&mut lanes[place], &mut latencies[place]);
            if let Some(percentiles) = &mut latency.percentiles {
                let mut answers = lane.pace(traffic, rate, round);
                answers.latencies.sort_unstable();
                let micros = |part| percentile(&answers.latencies, part) as f64 / 1e3;
                percentiles.p50.0.push(micros(0.5));
                percentiles.p99.0.push(micros(0.99));
                percentiles.p999.0.push(micros(0.999));
            }
        }
    }
    results.paced_at = Some(rate);
    results.latencies = latencies;
}

impl Lane {
    fn pace(&mut self, traffic: &Traffic, rate: f64, round: usize) -> Answers {
        let mut requests = Requests::new(PATH, &traffic.tokens);
        let answers = self
            .running
            .driver
            .pace(&mut requests, rate, LATENCY_TIME, round as u64)
            .unwrap_or_else(|error| panic!("{}: {error}", self.contender.name));
        self.check(traffic.scenario, &answers);
        answers
    }
}

/// When and where, and whether the machine had time for it.
fn about_run(results: &Results) -> String {
    let waited = results.waited();
    let mut text = format!("{}, {} rounds.", results.run.line(), results.rounds);
    if waited > MOST_WAITED {
        text += &format!(
            " The machine was busy with something else: for {:.0} % of the time in which a worker had something to do \
             it waited for a processor. Figures of such a run are worth little.",
            waited * 100.0
        );
    }
    text
}

fn print(results: &Results) {
    println!("{}\n", about_run(results));
    let about = |title: &str| println!("{title}\n");
    about(&format!(
        "Microseconds of the worker's CPU for a request: median of {} rounds ± half the distance of the quartiles\n\
         (in proportion to `native`, round by round)",
        results.rounds
    ));
    println!("{}", results.cpu_table().to_text());
    about("Requests in a second, one worker");
    println!("{}", results.rate_table().to_text());
    if let Some(rate) = results.paced_at {
        about(&format!(
            "Microseconds until the answer, {} at {rate:.0} requests in a second",
            PACED.name()
        ));
        println!("{}", results.latency_table().to_text());
    }
    about("Resident memory at the end");
    println!("{}", results.memory_table().to_text());
    about("Goals");
    print!("{}", results.goal_table().to_text());
}

fn write_docs(results: &Results) {
    let mut document = Document::open();
    document.replace("run", &about_run(results));
    document.replace("cpu", &results.cpu_table().to_markdown());
    document.replace("rate", &results.rate_table().to_markdown());
    if let Some(rate) = results.paced_at {
        let text = format!(
            "At {rate:.0} requests in a second:\n\n{}",
            results.latency_table().to_markdown()
        );
        document.replace("latency", &text);
    }
    document.replace("memory", &results.memory_table().to_markdown());
    document.replace("goals", &results.goal_table().to_markdown());
    document.chart("cpu", &charts::cpu(results));
    document.chart("latency", &charts::latency(results));
    document.save();
}

#[cfg(test)]
mod tests {
    use super::Choice;

    fn chosen(only: &[&str]) -> (Vec<&'static str>, Vec<String>, bool) {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        let choice = Choice::of(&only).unwrap();
        (
            choice.contenders.iter().map(|one| one.name).collect(),
            choice.scenarios.iter().map(|one| one.name()).collect(),
            choice.latency,
        )
    }

    #[test]
    fn without_a_name_everything_is_measured() {
        let (contenders, scenarios, latency) = chosen(&[]);
        assert!(contenders.len() >= 5 && scenarios.len() == 12 && latency);
    }

    #[test]
    fn names_of_one_kind_leave_all_of_the_other() {
        let (contenders, scenarios, latency) = chosen(&["nexus"]);
        assert_eq!(contenders, ["nexus"]);
        assert!(scenarios.len() == 12 && latency);

        let (contenders, scenarios, latency) = chosen(&["expired", "native", "nexus"]);
        assert_eq!(contenders, ["native", "nexus"]);
        assert_eq!(scenarios, ["expired"]);
        assert!(!latency);
    }

    #[test]
    fn unknown_name_is_refused_with_the_known_ones() {
        let error = Choice::of(&["nginx".to_owned()]).err().unwrap();
        assert!(
            error.contains("`nginx`") && error.contains("native-cache"),
            "{error}"
        );
    }
}
