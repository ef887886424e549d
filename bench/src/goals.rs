//! What Nexus wants to reach, in proportion to others in the same run.

use nexus_tests::keys::Algorithm;
use serde_json::{Value, json};

use crate::{
    results::Results,
    scenarios::{Fault, Scenario},
    table::figure,
};

/// A ratio that is to be no larger than a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// What is measured.
    pub(crate) what: &'static str,
    /// What it is divided by.
    pub(crate) against: &'static str,
    /// Inclusive.
    pub(crate) limit: f64,
    measure: Measure,
}

#[derive(Clone, Copy, Debug)]
enum Measure {
    /// Processor time of a contender divided by another's: the largest of these scenarios.
    Cpu {
        of: &'static str,
        by: &'static str,
        with: &'static [Scenario],
    },
    /// The 99th percentile of the latency, divided by another's.
    P99 { of: &'static str, by: &'static str },
}

const REPEATED: &[Scenario] = &[
    Scenario::Repeated(Algorithm::RS256),
    Scenario::Repeated(Algorithm::ES256),
    Scenario::Repeated(Algorithm::EdDSA),
    Scenario::Repeated(Algorithm::HS256),
];
const REPEATED_RS256: &[Scenario] = &[Scenario::Repeated(Algorithm::RS256)];
const DISTINCT_RS256: &[Scenario] = &[Scenario::Distinct(Algorithm::RS256)];
const DISTINCT_ES256: &[Scenario] = &[Scenario::Distinct(Algorithm::ES256)];
const DISTINCT_EDDSA: &[Scenario] = &[Scenario::Distinct(Algorithm::EdDSA)];
const REFUSED: &[Scenario] = &[
    Scenario::Bad(Fault::Malformed),
    Scenario::Bad(Fault::Expired),
    Scenario::Bad(Fault::Missing),
];

const GOALS: [Goal; 10] = [
    cpu("repeated token", "empty", 1.12, "nexus", REPEATED),
    cpu(
        "repeated token, RS256",
        "native",
        0.45,
        "nexus",
        REPEATED_RS256,
    ),
    cpu("repeated token", "native-cache", 1.20, "nexus", REPEATED),
    cpu(
        "distinct RS256 tokens",
        "native",
        0.95,
        "nexus",
        DISTINCT_RS256,
    ),
    cpu(
        "distinct ES256 tokens",
        "native",
        0.88,
        "nexus",
        DISTINCT_ES256,
    ),
    cpu(
        "distinct EdDSA tokens",
        "native",
        1.10,
        "nexus",
        DISTINCT_EDDSA,
    ),
    cpu(
        "malformed, expired or missing token refused",
        "native",
        1.15,
        "nexus",
        REFUSED,
    ),
    cpu(
        "host cryptography off, distinct RS256",
        "native",
        1.60,
        "nexus-module",
        DISTINCT_RS256,
    ),
    cpu(
        "host cryptography off, distinct ES256",
        "native",
        2.00,
        "nexus-module",
        DISTINCT_ES256,
    ),
    Goal {
        what: "p99 latency, repeated token",
        against: "native-cache",
        limit: 1.20,
        measure: Measure::P99 {
            of: "nexus",
            by: "native-cache",
        },
    },
];

const fn cpu(
    what: &'static str,
    by: &'static str,
    limit: f64,
    of: &'static str,
    with: &'static [Scenario],
) -> Goal {
    Goal {
        what,
        against: by,
        limit,
        measure: Measure::Cpu { of, by, with },
    }
}

/// A goal with what was measured.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) goal: Goal,
    /// The ratio, and the scenario it is from where there are several; `None` when it was not measured.
    value: Option<(f64, Option<String>)>,
}

impl Verdict {
    /// The ratio for people.
    pub(crate) fn measured(&self) -> String {
        match &self.value {
            Some((value, Some(scenario))) => format!("{} ({scenario})", figure(*value)),
            Some((value, None)) => figure(*value),
            None => String::new(),
        }
    }

    /// Whether the goal is reached, in a word.
    pub(crate) fn word(&self) -> &'static str {
        match self.is_reached() {
            Some(true) => "reached",
            Some(false) => "missed",
            None => "not measured",
        }
    }

    fn is_reached(&self) -> Option<bool> {
        Some(self.value.as_ref()?.0 <= self.goal.limit)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "goal": self.goal.what,
            "against": self.goal.against,
            "limit": self.goal.limit,
            "measured": self.value.as_ref().map(|(value, _)| value),
            "reached": self.is_reached(),
        })
    }
}

/// All goals, whether or not they were measured.
pub(crate) fn judge(results: &Results) -> Vec<Verdict> {
    GOALS
        .into_iter()
        .map(|goal| Verdict {
            value: value(results, goal.measure),
            goal,
        })
        .collect()
}

fn value(results: &Results, measure: Measure) -> Option<(f64, Option<String>)> {
    match measure {
        Measure::Cpu { of, by, with } => with
            .iter()
            .filter_map(|scenario| {
                let ratio = results.cpu_ratio(*scenario, of, by)?.median();
                Some((ratio, (with.len() > 1).then(|| scenario.name())))
            })
            .max_by(|(a, _), (b, _)| a.total_cmp(b)),
        Measure::P99 { of, by } => {
            let ratio = results
                .percentiles(of)?
                .p99
                .ratio(&results.percentiles(by)?.p99);
            Some((ratio.median(), None))
        }
    }
}
