//! Whether a side gave what a case expects, and whether all sides gave the same.

use std::collections::BTreeMap;

use super::{
    Arrival, Case, NOW, Observed, Setting, by_name, ctl, envoy, native, wasm, wasm::Variant,
};
use crate::{envoy::Version, http::escape, tokens};

impl Observed {
    /// The same, with `(as sent)` for every header that the service got just as the case sent it: a token
    /// is another one where the time is another.
    fn relative_to(&self, case: &Case) -> Self {
        let sent = case.request.as_seen_by_filters();
        let sent = by_name(
            sent.iter()
                .map(|(name, value)| (name.as_slice(), value.as_slice())),
        );
        let mut relative = self.clone();
        for (name, values) in relative.upstream_headers.iter_mut().flatten() {
            if sent.get(name) == Some(values) {
                *values = vec![b"(as sent)".to_vec()];
            }
        }
        relative
    }
}

impl Case {
    /// What in `observed` is not as the case expects; empty when all is.
    fn faults(&self, observed: &Observed) -> Vec<String> {
        let mut faults = Vec::new();
        match (&self.expected.denial, &observed.reply) {
            (None, None) => self.header_faults(observed, &mut faults),
            (Some(expected), Some(reply)) => {
                let mut differs = |what: &str, expected: String, found: String| {
                    if expected != found {
                        faults.push(format!("{what} is {found}, expected {expected}"));
                    }
                };
                differs(
                    "the status",
                    expected.status.to_string(),
                    reply.status.to_string(),
                );
                differs("the body", expected.body.clone(), escape(&reply.body));
                differs(
                    "the reason",
                    expected.reason.clone(),
                    observed.reason.clone().unwrap_or_default(),
                );
                let challenges: Vec<&[u8]> = reply.challenges.iter().map(Vec::as_slice).collect();
                differs(
                    "`www-authenticate`",
                    format!("{:?}", expected.challenges),
                    format!(
                        "{:?}",
                        challenges
                            .iter()
                            .map(|value| escape(value))
                            .collect::<Vec<_>>()
                    ),
                );
                let headers: BTreeMap<&String, Vec<&[u8]>> = expected
                    .headers
                    .iter()
                    .map(|(name, value)| (name, vec![value.as_bytes()]))
                    .collect();
                let found: BTreeMap<&String, Vec<&[u8]>> = reply
                    .headers
                    .iter()
                    .map(|(name, values)| (name, values.iter().map(Vec::as_slice).collect()))
                    .collect();
                let text = |headers: &BTreeMap<&String, Vec<&[u8]>>| -> String {
                    let lines = headers.iter().flat_map(|(name, values)| {
                        values
                            .iter()
                            .map(move |value| format!("{name}: {}", escape(value)))
                    });
                    format!("{:?}", lines.collect::<Vec<_>>())
                };
                differs("the headers of the reply", text(&headers), text(&found));
            }
            (None, Some(_)) => faults.push("it is denied, expected to pass".to_owned()),
            (Some(_), None) => faults.push("it passes, expected to be denied".to_owned()),
        }
        for (what, expected, found) in [
            ("app", &self.expected.app, &observed.app),
            ("route", &self.expected.route, &observed.route),
            ("provider", &self.expected.provider, &observed.provider),
            ("kid", &self.expected.kid, &observed.kid),
        ] {
            if expected.is_some() && expected != found {
                faults.push(format!(
                    "the {what} is {found:?}, expected {:?}",
                    expected.as_deref().unwrap_or_default()
                ));
            }
        }
        faults
    }

    /// The service has to get what was sent, but for what the case names.
    fn header_faults(&self, observed: &Observed, faults: &mut Vec<String>) {
        let sent = self.request.as_seen_by_filters();
        let mut expected = by_name(
            sent.iter()
                .map(|(name, value)| (name.as_slice(), value.as_slice())),
        );
        for (name, value) in &self.expected.service_sees {
            let before = match value {
                Some(value) => expected.insert(name.clone(), vec![value.clone().into_bytes()]),
                None => expected.remove(name),
            };
            let sent_so = before.is_some() && before.as_ref() == expected.get(name);
            if sent_so || (before.is_none() && value.is_none()) {
                faults.push(format!(
                    "the case names `{name}`, which is just as it was sent"
                ));
            }
        }
        if observed.upstream_headers.as_ref() != Some(&expected) {
            let names = expected
                .keys()
                .chain(observed.upstream_headers.iter().flat_map(BTreeMap::keys));
            let mut seen = Vec::new();
            for name in names {
                let found = observed
                    .upstream_headers
                    .as_ref()
                    .and_then(|it| it.get(name));
                if found != expected.get(name) && !seen.contains(&name) {
                    let text = |values: Option<&Vec<Vec<u8>>>| match values {
                        None => "absent".to_owned(),
                        Some(values) => values
                            .iter()
                            .map(|value| format!("{:?}", escape(value)))
                            .collect::<Vec<_>>()
                            .join(", "),
                    };
                    faults.push(format!(
                        "the service sees `{name}` as {}, expected {}",
                        text(found),
                        text(expected.get(name))
                    ));
                    seen.push(name);
                }
            }
        }
    }
}

/// Runs the cases natively and through the `.wasm`, each with the keys there and with the request first, and
/// in each of the Envoys.
///
/// # Panics
/// When a side does not give what a case expects, or two sides differ; with all of it.
pub fn check(setting: &Setting, cases: impl Fn(i64) -> Vec<Case>, envoys: &[Version]) {
    let pretended = cases(NOW);
    let mut sides = Vec::new();
    for (arrival, note) in [
        (Arrival::AfterKeys, ""),
        (Arrival::BeforeKeys, ", request before keys"),
    ] {
        sides.push(Side {
            name: format!("native engine{note}"),
            observed: native::observe(setting, &pretended, arrival),
            cases: pretended.clone(),
        });
        for variant in Variant::ALL {
            sides.push(Side {
                name: format!("nexus-host{}{note}", variant.note()),
                observed: wasm::observe(setting, &pretended, arrival, variant),
                cases: pretended.clone(),
            });
        }
    }
    for version in envoys {
        let cases = cases(tokens::now());
        sides.push(Side {
            name: format!("envoy {version}"),
            observed: envoy::observe(setting, &cases, version),
            cases,
        });
    }
    compare(setting, &sides);
}

/// Runs the cases by `nexusctl test-token` and natively.
///
/// # Panics
/// As [`check`].
pub fn check_by_nexusctl(setting: &Setting, cases: impl Fn(i64) -> Vec<Case>) {
    let cases = cases(NOW);
    let sides = [
        Side {
            name: "native engine".to_owned(),
            observed: native::observe(setting, &cases, Arrival::AfterKeys),
            cases: cases.clone(),
        },
        Side {
            name: "nexusctl test-token".to_owned(),
            observed: ctl::observe(setting, &cases),
            cases,
        },
    ];
    compare(setting, &sides);
}

/// What came of the cases on one side.
struct Side {
    name: String,
    /// With tokens of the side's own time.
    cases: Vec<Case>,
    observed: Vec<Observed>,
}

fn compare(setting: &Setting, sides: &[Side]) {
    let first = &sides[0];
    assert!(!first.cases.is_empty(), "`{}` has no case", setting.name());
    let mut report = Vec::new();
    for index in 0..first.cases.len() {
        let reference = first.observed[index].relative_to(&first.cases[index]);
        for side in sides {
            let (case, observed) = (&side.cases[index], &side.observed[index]);
            let faults = case.faults(observed);
            if !faults.is_empty() {
                report.push(format!(
                    "`{}`, {}:\n    {}\n    it gave {observed:?}",
                    case.name,
                    side.name,
                    faults.join("\n    ")
                ));
            }
            let relative = observed.relative_to(case);
            if relative != reference {
                report.push(format!(
                    "`{}`: two sides differ\n    {}: {reference:?}\n    {}: {relative:?}",
                    case.name, first.name, side.name
                ));
            }
        }
    }
    assert!(
        report.is_empty(),
        "in `{}`:\n\n{}\n",
        setting.name(),
        report.join("\n\n")
    );
}
