//! What was measured, for the tables, the charts, the goals and for other programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    contenders::Contender,
    goals::{self, Verdict},
    machine::Run,
    scenarios::Scenario,
    statistics::Sample,
    table::{Table, figure},
};

/// Rounds of one contender with one kind of request.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) scenario: Scenario,
    pub(crate) contender: Contender,
    /// Answers over all rounds.
    pub(crate) requests: u64,
    /// Microseconds of the worker's processor time for a request.
    pub(crate) cpu: Sample,
    /// The same for all threads of the process.
    pub(crate) process_cpu: Sample,
    /// Answers in a second.
    pub(crate) rate: Sample,
    /// The part of the time in which the worker had something to do that it waited for a processor.
    pub(crate) waited: Sample,
}

/// Rounds at a rate that does not depend on the answers, in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    pub(crate) contender: Contender,
    /// `None` where the rate is more than the contender can do.
    pub(crate) percentiles: Option<Percentiles>,
}

/// Microseconds, each of every round.
#[derive(Clone, Debug)]
pub(crate) struct Percentiles {
    pub(crate) p50: Sample,
    pub(crate) p99: Sample,
    pub(crate) p999: Sample,
}

/// Everything that a run gave.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    pub(crate) run: Run,
    pub(crate) rounds: usize,
    pub(crate) loads: Vec<Load>,
    /// Requests in a second at which latencies were measured.
    pub(crate) paced_at: Option<f64>,
    pub(crate) latencies: Vec<Latency>,
    /// Resident bytes of each contender's Envoy when all was done.
    pub(crate) memory: Vec<(Contender, u64)>,
}

impl Results {
    /// The load of a contender, if it was measured.
    pub(crate) fn load(&self, scenario: Scenario, contender: &str) -> Option<&Load> {
        self.loads
            .iter()
            .find(|load| load.scenario == scenario && load.contender.name == contender)
    }

    /// The processor time of one contender in proportion to that of another, round by round.
    pub(crate) fn cpu_ratio(
        &self,
        scenario: Scenario,
        name: &str,
        against: &str,
    ) -> Option<Sample> {
        let load = self.load(scenario, name)?;
        Some(load.cpu.ratio(&self.load(scenario, against)?.cpu))
    }

    /// The percentiles of a contender, if they were measured.
    pub(crate) fn percentiles(&self, contender: &str) -> Option<&Percentiles> {
        self.latencies
            .iter()
            .find(|latency| latency.contender.name == contender)?
            .percentiles
            .as_ref()
    }

    /// The part of their time that workers waited for a processor, median over all rounds.
    pub(crate) fn waited(&self) -> f64 {
        let all = self.loads.iter().flat_map(|load| load.waited.0.clone());
        Sample(all.collect()).median()
    }

    /// The contenders that were measured, in their order.
    pub(crate) fn contenders(&self) -> Vec<Contender> {
        self.memory
            .iter()
            .map(|(contender, _)| *contender)
            .collect()
    }

    /// The scenarios that were measured, in their order.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios: Vec<Scenario> = self.loads.iter().map(|load| load.scenario).collect();
        scenarios.dedup();
        scenarios
    }

    /// Microseconds of processor time for a request, with the ratio to `native`.
    pub(crate) fn cpu_table(&self) -> Table {
        self.load_table(|load| {
            let ratio = self.cpu_ratio(load.scenario, load.contender.name, "native");
            let ratio = ratio.map_or(String::new(), |ratio| {
                format!(" ({})", figure(ratio.median()))
            });
            format!(
                "{} ±{}{ratio}",
                figure(load.cpu.median()),
                figure(load.cpu.spread())
            )
        })
    }

    /// Answers in a second.
    pub(crate) fn rate_table(&self) -> Table {
        self.load_table(|load| format!("{:.0}", load.rate.median()))
    }

    fn load_table(&self, cell: impl Fn(&Load) -> String) -> Table {
        let contenders = self.contenders();
        let names = contenders.iter().map(|contender| contender.name);
        let mut table = Table::new(std::iter::once("tokens").chain(names));
        for scenario in self.scenarios() {
            let cells = contenders.iter().map(|contender| {
                let load = self.load(scenario, contender.name);
                load.map_or_else(String::new, &cell)
            });
            table.row(std::iter::once(scenario.name()).chain(cells));
        }
        table
    }

    /// Latencies in microseconds.
    pub(crate) fn latency_table(&self) -> Table {
        let mut table = Table::new(["", "p50", "p99", "p99.9"]);
        for latency in &self.latencies {
            let cells = match &latency.percentiles {
                Some(Percentiles { p50, p99, p999 }) => [p50, p99, p999].map(|sample| {
                    format!("{} ±{}", figure(sample.median()), figure(sample.spread()))
                }),
                None => ["over capacity", "", ""].map(str::to_owned),
            };
            table.row(std::iter::once(latency.contender.name.to_owned()).chain(cells));
        }
        table
    }

    /// Resident memory in mebibytes.
    pub(crate) fn memory_table(&self) -> Table {
        let mut table = Table::new(["", "MiB"]);
        for (contender, bytes) in &self.memory {
            let mebibytes = *bytes as f64 / f64::from(1 << 20);
            table.row([contender.name.to_owned(), figure(mebibytes)]);
        }
        table
    }

    /// The goals and how far they are reached.
    pub(crate) fn goal_table(&self) -> Table {
        let mut table = Table::new(["goal", "against", "at most", "measured", ""]);
        for verdict in goals::judge(self) {
            table.row([
                verdict.goal.what.to_owned(),
                verdict.goal.against.to_owned(),
                figure(verdict.goal.limit),
                verdict.measured(),
                verdict.word().to_owned(),
            ]);
        }
        table
    }

    /// All of it for other programs.
    pub(crate) fn to_json(&self) -> Value {
        let loads = self.loads.iter().map(|load| {
            let ratio = self.cpu_ratio(load.scenario, load.contender.name, "native");
            json!({
                "scenario": load.scenario.name(),
                "contender": load.contender.name,
                "requests": load.requests,
                "cpu_us": load.cpu.to_json(),
                "process_cpu_us": load.process_cpu.to_json(),
                "requests_per_second": load.rate.to_json(),
                "waited_for_processor": load.waited.to_json(),
                "cpu_ratio_to_native": ratio.map(|ratio| ratio.to_json()),
            })
        });
        let latencies = self.latencies.iter().map(|latency| {
            let percentiles = latency.percentiles.as_ref().map(|percentiles| {
                json!({
                    "p50_us": percentiles.p50.to_json(),
                    "p99_us": percentiles.p99.to_json(),
                    "p999_us": percentiles.p999.to_json(),
                })
            });
            json!({"contender": latency.contender.name, "percentiles": percentiles})
        });
        let memory: BTreeMap<&str, u64> = self
            .memory
            .iter()
            .map(|(contender, bytes)| (contender.name, *bytes))
            .collect();
        json!({
            "run": self.run.to_json(),
            "rounds": self.rounds,
            "loads": loads.collect::<Vec<_>>(),
            "latency": {
                "requests_per_second": self.paced_at,
                "contenders": latencies.collect::<Vec<_>>(),
            },
            "resident_bytes": memory,
            "goals": goals::judge(self).iter().map(Verdict::to_json).collect::<Vec<_>>(),
        })
    }
}
