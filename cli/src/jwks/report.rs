//! What was found out about sources of keys, for people and as JSON.

use std::fmt::Write as _;

use nexus_core::engine::{LONGEST_RETRY_AFTER, MAX_AGE_BOUNDS_SECS, Prospect};
use nexus_core::time::Millis;
use serde::Serialize;

use super::check::{Answered, Checked, Facts};
use super::document::{Document, Key, Verdict};
use crate::exit::Failure;
use crate::inspect_token::Finding;
use crate::json_text;
use crate::output::{BAD, GOOD, ODD, TITLE, count, styled, visible};
use crate::time::length_in_words;

/// How many keys of a set are shown one by one to people.
const MAX_SHOWN: usize = 20;

/// The width of the first column.
const WIDTH: usize = 9;

/// The results for people.
pub(super) fn human(sources: &[Checked]) -> String {
    let mut text = String::new();
    for (index, source) in sources.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", styled(TITLE, &source.name));
        if let Some(answered) = &source.answered {
            section(&mut text, "answer", &[answer_line(answered)]);
        }
        if let Some(document) = &source.document {
            keys(&mut text, document);
        }
        if let Some(answered) = &source.answered {
            section(&mut text, "caching", &caching_lines(answered));
            let usable = source.document.as_ref().map_or(0, |it| it.usable);
            section(&mut text, "Nexus", &prospect_lines(answered, usable));
        }
        let unusual: Vec<String> = source.unusual.iter().map(|it| visible(&it.text)).collect();
        section(&mut text, &styled_label("unusual"), &unusual);
    }
    text
}

/// The label of what is unusual, padded before its style, so that the columns stay in line.
fn styled_label(label: &str) -> String {
    styled(ODD, &format!("{label:WIDTH$}"))
}

/// Lines with a label before the first.
fn section(text: &mut String, label: &str, lines: &[String]) {
    for (index, line) in lines.iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        let _ = writeln!(text, "  {label:WIDTH$} {line}");
    }
}

fn answer_line(answered: &Answered) -> String {
    let facts = match &answered.answer {
        Ok(facts) => facts,
        Err(reason) => return format!("none: {reason}"),
    };
    let mut line = facts.status.to_string();
    for name in ["content-type", "content-encoding"] {
        if let Some(value) = facts.header(name) {
            let _ = write!(line, ", {}", visible(value));
        }
    }
    let _ = match &facts.bytes {
        Ok(bytes) => write!(line, ", {}", count(*bytes, "byte")),
        Err(reason) => write!(line, ", not whole: {reason}"),
    };
    line
}

fn keys(text: &mut String, document: &Document) {
    let summary = format!(
        "{} of {} can be used",
        document.usable,
        count(document.total, "key")
    );
    section(text, "keys", &[summary]);
    for key in document.keys.iter().take(MAX_SHOWN) {
        section(text, &format!("key {}", key.index), &key_lines(key));
    }
    let Some(rest) = document
        .keys
        .get(MAX_SHOWN..)
        .filter(|rest| !rest.is_empty())
    else {
        return;
    };
    let usable = |key: &&Key| matches!(key.verdict, Verdict::Usable { .. });
    let usable = rest.iter().filter(usable).count();
    let hidden = document.total - MAX_SHOWN;
    let line = format!(
        "{hidden} more are not shown: {usable} can be used, {} cannot; `--output json` has them",
        hidden - usable
    );
    section(text, "", &[line]);
}

fn key_lines(key: &Key) -> Vec<String> {
    let mut line = match &key.kid {
        Some(kid) => format!("`{}`", visible(kid)),
        None => "no kid".to_owned(),
    };
    let kind = [key.kty.clone(), key.crv.clone()].into_iter().flatten();
    let kind: Vec<String> = kind.map(|it| visible(&it)).collect();
    let bits = key.bits.map(|bits| format!("{bits} bits"));
    let kind: Vec<String> = kind.into_iter().chain(bits).collect();
    let named =
        |name, value: &Option<String>| value.as_ref().map(|it| format!("{name} {}", visible(it)));
    let key_ops = key.key_ops.as_ref().map(|it| it.join(" "));
    let members = [
        (!kind.is_empty()).then(|| kind.join(" ")),
        named("alg", &key.alg),
        named("use", &key.key_use),
        named("key_ops", &key_ops),
    ];
    for member in members.into_iter().flatten() {
        let _ = write!(line, ", {member}");
    }
    match &key.verdict {
        Verdict::Usable {
            thumbprint,
            algorithms,
        } => {
            let names: Vec<&str> = algorithms.iter().map(|it| it.name()).collect();
            vec![
                line,
                format!("thumbprint {thumbprint}"),
                format!("{} for {}", styled(GOOD, "used"), names.join(", ")),
            ]
        }
        Verdict::PutAside { reason, envoy } => {
            let envoy = envoy.map_or_else(String::new, |name| format!(" ({name})"));
            vec![
                line,
                format!("{}: {}{envoy}", styled(BAD, "not used"), visible(reason)),
            ]
        }
    }
}

fn caching_lines(answered: &Answered) -> Vec<String> {
    let Ok(facts) = &answered.answer else {
        return Vec::new();
    };
    let header = |name: &str, shown: &str| {
        let value = facts.header(name)?;
        Some(format!("{shown}: {}", visible(value)))
    };
    let again = answered.again.as_ref().map(|again| match again {
        Ok(304) => "asked again with If-None-Match: 304, nothing is sent again".to_owned(),
        Ok(status) => format!("asked again with If-None-Match: {status}, as if nothing was there"),
        Err(reason) => format!("asked again with If-None-Match: no answer, {reason}"),
    });
    let lines: Vec<String> = [
        header("cache-control", "Cache-Control"),
        header("age", "Age"),
        header("etag", "ETag"),
        again,
        header("retry-after", "Retry-After"),
    ]
    .into_iter()
    .flatten()
    .collect();
    match lines.is_empty() {
        true => vec!["the source says nothing about it".to_owned()],
        false => lines,
    }
}

fn prospect_lines(answered: &Answered, usable: usize) -> Vec<String> {
    match &answered.prospect {
        Prospect::Taken {
            time_to_live,
            refresh_after,
            max_stale,
            if_none_match,
        } => {
            let said = answered.freshness.max_age_secs;
            let (least, most) = MAX_AGE_BOUNDS_SECS;
            let why = match said {
                None => "the source does not say for how long".to_owned(),
                Some(secs) if (least..=most).contains(&secs) => "as the source says".to_owned(),
                Some(secs) => format!(
                    "the source says {}, and Nexus takes {} to {}",
                    length_in_words(secs),
                    length_in_words(least),
                    length_in_words(most)
                ),
            };
            let condition = match if_none_match {
                Some(_) => "with If-None-Match",
                None => "without If-None-Match",
            };
            vec![
                format!(
                    "uses {}, fresh for {}: {why}",
                    count(usable, "key"),
                    words(*time_to_live)
                ),
                format!("fetches again after {}, {condition}", range(*refresh_after)),
                format!(
                    "while the source fails, uses its keys for {} more",
                    words(*max_stale)
                ),
            ]
        }
        Prospect::Refused { retry_after, .. } => {
            let asked = answered.freshness.retry_after_secs;
            let why = match asked.map(Millis::from_seconds) {
                Some(asked) if asked > LONGEST_RETRY_AFTER => format!(
                    ": the source asks for {}, and Nexus waits {} at most",
                    length_in_words(asked.0 / 1000),
                    words(LONGEST_RETRY_AFTER)
                ),
                Some(asked) if asked == retry_after.1 => ", as the source asks".to_owned(),
                _ => ", then after pauses that grow".to_owned(),
            };
            vec![
                "has no keys from it: tokens that need them are refused".to_owned(),
                format!("asks again after {}{why}", range(*retry_after)),
            ]
        }
    }
}

/// A length of time, with tenths of a second where it is not whole.
fn words(length: Millis) -> String {
    match length.0 % 1000 {
        0 => length_in_words(length.0 / 1000),
        _ => format!("{}.{} s", length.0 / 1000, length.0 % 1000 / 100),
    }
}

fn range((least, most): (Millis, Millis)) -> String {
    match least == most {
        true => words(least),
        false => format!("{} to {}", words(least), words(most)),
    }
}

/// What `--output json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    sources: Vec<PrintedSource<'a>>,
}

#[derive(Serialize)]
struct PrintedSource<'a> {
    source: &'a str,
    status: Option<u16>,
    content_type: Option<&'a str>,
    bytes: Option<usize>,
    total_keys: Option<usize>,
    usable_keys: Option<usize>,
    keys: Vec<PrintedKey<'a>>,
    caching: Option<PrintedCaching<'a>>,
    nexus: Option<PrintedProspect>,
    problems: Vec<PrintedProblem<'a>>,
    unusual: &'a [Finding],
}

#[derive(Serialize)]
struct PrintedKey<'a> {
    index: usize,
    kid: Option<&'a str>,
    kty: Option<&'a str>,
    crv: Option<&'a str>,
    bits: Option<usize>,
    alg: Option<&'a str>,
    r#use: Option<&'a str>,
    key_ops: Option<&'a [String]>,
    usable: bool,
    thumbprint: Option<&'a str>,
    algorithms: Vec<&'static str>,
    reason: Option<&'a str>,
    envoy_status: Option<&'static str>,
}

#[derive(Serialize)]
struct PrintedCaching<'a> {
    cache_control: Option<&'a str>,
    age: Option<&'a str>,
    etag: Option<&'a str>,
    retry_after: Option<&'a str>,
    max_age_secs: Option<u64>,
    if_none_match_status: Option<u16>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PrintedProspect {
    Taken {
        uses_keys: bool,
        fresh_ms: u64,
        refresh_after_ms: (u64, u64),
        max_stale_ms: u64,
        if_none_match: bool,
    },
    Refused {
        uses_keys: bool,
        failure: &'static str,
        retry_after_ms: (u64, u64),
    },
}

#[derive(Serialize)]
struct PrintedProblem<'a> {
    code: &'static str,
    text: &'a str,
    evidence: &'a [String],
    hint: Option<&'a str>,
}

/// The results as one JSON object.
///
/// # Errors
/// When they are no JSON, which is nobody's fault but ours.
pub(super) fn json(sources: &[Checked]) -> crate::exit::Result<String> {
    let printed = Printed {
        sources: sources.iter().map(PrintedSource::of).collect(),
    };
    let text = serde_json::to_string(&printed)
        .map_err(|error| Failure::harness("cannot print the result").evidence(error.to_string()))?;
    Ok(json_text::prettify(&text))
}

impl<'a> PrintedSource<'a> {
    fn of(checked: &'a Checked) -> Self {
        let answered = checked.answered.as_ref();
        let facts = answered.and_then(|it| it.answer.as_ref().ok());
        let document = checked.document.as_ref();
        let problems = checked.problems.iter().map(|problem| PrintedProblem {
            code: problem.code,
            text: &problem.report.message,
            evidence: &problem.report.evidence,
            hint: problem.report.hint.as_deref(),
        });
        let keys = document.map_or(&[][..], |it| &it.keys);
        Self {
            source: &checked.name,
            status: facts.map(|it| it.status),
            content_type: facts.and_then(|it| it.header("content-type")),
            bytes: facts.and_then(|it| it.bytes.as_ref().ok().copied()),
            total_keys: document.map(|it| it.total),
            usable_keys: document.map(|it| it.usable),
            keys: keys.iter().map(PrintedKey::of).collect(),
            caching: facts
                .zip(answered)
                .map(|(facts, answered)| PrintedCaching::of(facts, answered)),
            nexus: answered.map(|it| PrintedProspect::of(&it.prospect)),
            problems: problems.collect(),
            unusual: &checked.unusual,
        }
    }
}

impl<'a> PrintedKey<'a> {
    fn of(key: &'a Key) -> Self {
        let printed = Self {
            index: key.index,
            kid: key.kid.as_deref(),
            kty: key.kty.as_deref(),
            crv: key.crv.as_deref(),
            bits: key.bits,
            alg: key.alg.as_deref(),
            r#use: key.key_use.as_deref(),
            key_ops: key.key_ops.as_deref(),
            usable: false,
            thumbprint: None,
            algorithms: Vec::new(),
            reason: None,
            envoy_status: None,
        };
        match &key.verdict {
            Verdict::Usable {
                thumbprint,
                algorithms,
            } => Self {
                usable: true,
                thumbprint: Some(thumbprint),
                algorithms: algorithms.iter().map(|it| it.name()).collect(),
                ..printed
            },
            Verdict::PutAside { reason, envoy } => Self {
                reason: Some(reason),
                envoy_status: *envoy,
                ..printed
            },
        }
    }
}

impl<'a> PrintedCaching<'a> {
    fn of(facts: &'a Facts, answered: &Answered) -> Self {
        let again = answered.again.as_ref();
        Self {
            cache_control: facts.header("cache-control"),
            age: facts.header("age"),
            etag: facts.header("etag"),
            retry_after: facts.header("retry-after"),
            max_age_secs: answered.freshness.max_age_secs,
            if_none_match_status: again.and_then(|it| it.as_ref().ok().copied()),
        }
    }
}

impl PrintedProspect {
    fn of(prospect: &Prospect) -> Self {
        let pair = |(least, most): (Millis, Millis)| (least.0, most.0);
        match prospect {
            Prospect::Taken {
                time_to_live,
                refresh_after,
                max_stale,
                if_none_match,
            } => Self::Taken {
                uses_keys: true,
                fresh_ms: time_to_live.0,
                refresh_after_ms: pair(*refresh_after),
                max_stale_ms: max_stale.0,
                if_none_match: if_none_match.is_some(),
            },
            Prospect::Refused {
                failure,
                retry_after,
            } => Self::Refused {
                uses_keys: false,
                failure: failure.code(),
                retry_after_ms: pair(*retry_after),
            },
        }
    }
}
