//! What came of the request, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::Style;
use jiff::Timestamp;
use nexus_core::config::Config;
use nexus_core::json::{Number, Value};
use nexus_host::{HeaderMap, LogEntry, Response};
use serde::{Deserialize, Serialize};

use super::request::Played;
use crate::exit::{Failure, Outcome, Result};
use crate::inspect_token::Anatomy;
use crate::json_text;
use crate::output::{BAD, FAINT, GOOD, ODD, TITLE, styled, visible};

/// What the filter's log lines about decisions begin with.
const DECISION: &str = "nexus.decision ";

/// The longest value of a header that is shown to people, in characters.
const LONGEST_VALUE: usize = 100;

/// The filter's own account of its decision.
#[derive(Debug, Default, Deserialize)]
struct Explanation {
    decision: String,
    reason: Option<String>,
    /// The reason for which a rule that only reports would have denied.
    would_deny: Option<String>,
    app: Option<String>,
    route: Option<String>,
    provider: Option<String>,
    kid: Option<String>,
    evidence: Option<String>,
}

/// What became of the request.
enum Fate {
    Allowed {
        headers: HeaderMap,
        original: HeaderMap,
        /// What the proxy keeps with the request, by the key that Envoy gives it.
        filter_state: BTreeMap<String, String>,
    },
    Denied(Response),
}

/// What came of the request.
pub(super) struct Report {
    explanation: Explanation,
    fate: Fate,
}

impl Report {
    /// The request went on to the service.
    ///
    /// # Errors
    /// [`crate::exit::Blame::Harness`] when the filter's explanation does not say so.
    pub(super) fn of_allowed(
        logs: &[LogEntry],
        headers: HeaderMap,
        original: &HeaderMap,
        properties: BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Result<Self> {
        Ok(Self {
            explanation: explanation(logs, "allow")?,
            fate: Fate::Allowed {
                headers,
                original: original.clone(),
                filter_state: properties
                    .into_iter()
                    .map(|(name, value)| (format!("wasm.{}", text_of(&name)), text_of(&value)))
                    .collect(),
            },
        })
    }

    /// The request was answered by the filter.
    ///
    /// # Errors
    /// [`crate::exit::Blame::Harness`] when the filter's explanation does not say so, or there is no answer.
    pub(super) fn of_denied(logs: &[LogEntry], response: Option<Response>) -> Result<Self> {
        let response = response.ok_or_else(|| {
            Failure::harness("the filter answered the request, but not to its end")
        })?;
        Ok(Self {
            explanation: explanation(logs, "deny")?,
            fate: Fate::Denied(response),
        })
    }

    /// How the command ends.
    pub(super) fn outcome(&self) -> Outcome {
        match self.fate {
            Fate::Allowed { .. } => Outcome::Fine,
            Fate::Denied(_) => Outcome::Denied,
        }
    }

    /// The report for people, with styles.
    pub(super) fn human(&self, played: &Played) -> String {
        let mut text = String::new();
        let explanation = &self.explanation;
        match &self.fate {
            Fate::Allowed { .. } => {
                let report = explanation
                    .would_deny
                    .as_deref()
                    .map_or_else(String::new, |reason| {
                        format!(" {} {}", styled(BAD, "would DENY"), visible(reason))
                    });
                line(&mut text, &format!("{}{report}", styled(GOOD, "ALLOW")));
            }
            Fate::Denied(response) => {
                let status = response
                    .status()
                    .map_or_else(String::new, |status| format!(" {status}"));
                let reason = explanation
                    .reason
                    .as_deref()
                    .map_or_else(String::new, |reason| format!(" {}", visible(reason)));
                line(
                    &mut text,
                    &format!("{}{status}{reason}", styled(BAD, "DENY")),
                );
            }
        }
        if let Some(evidence) = &explanation.evidence {
            line(&mut text, &format!("  {}", visible(evidence)));
        }
        line(&mut text, "");
        let request = format!("{} {}{}", played.method, played.host, played.path);
        let facts = [
            ("request", Some(&request)),
            ("app", explanation.app.as_ref()),
            ("route", explanation.route.as_ref()),
            ("provider", explanation.provider.as_ref()),
            ("key", explanation.kid.as_ref()),
        ];
        for (name, value) in facts {
            if let Some(value) = value {
                let name = format!("{name:8}");
                line(
                    &mut text,
                    &format!("{}  {}", styled(TITLE, &name), visible(value)),
                );
            }
        }
        line(&mut text, "");
        match &self.fate {
            Fate::Allowed {
                headers,
                original,
                filter_state,
            } => {
                upstream(&mut text, headers, original);
                kept(&mut text, filter_state);
            }
            Fate::Denied(response) => reply(&mut text, response),
        }
        text
    }

    /// The report as one JSON object.
    ///
    /// # Errors
    /// [`crate::exit::Blame::Harness`] when it cannot be written.
    pub(super) fn json(&self, played: &Played, now: Timestamp) -> Result<String> {
        let explanation = &self.explanation;
        let (allowed, denied) = match &self.fate {
            Fate::Allowed {
                headers, original, ..
            } => (Some((headers, original)), None),
            Fate::Denied(response) => (None, Some(response)),
        };
        let printed = Printed {
            decision: if allowed.is_some() { "allow" } else { "deny" },
            status: denied.and_then(Response::status),
            reason: explanation.reason.as_deref(),
            would_deny: explanation.would_deny.as_deref(),
            evidence: explanation.evidence.as_deref(),
            body: denied.map(|response| text_of(&response.whole_body())),
            app: explanation.app.as_deref(),
            route: explanation.route.as_deref(),
            provider: explanation.provider.as_deref(),
            kid: explanation.kid.as_deref(),
            request: PrintedRequest {
                method: &played.method,
                host: &played.host,
                path: &played.path,
                now: now.to_string(),
            },
            upstream_headers: allowed.map(|(headers, _)| by_name(headers)),
            header_changes: allowed.map(|(headers, original)| {
                let changes = headers.changes_from(original);
                PrintedChanges {
                    added: by_name(&changes.added),
                    changed: by_name(&changes.changed),
                    removed: by_name(&changes.removed).into_keys().collect(),
                }
            }),
            filter_state: match &self.fate {
                Fate::Allowed { filter_state, .. } => filter_state.clone(),
                Fate::Denied(_) => BTreeMap::new(),
            },
            response_headers: denied.map(|response| by_name(&response.headers)),
        };
        let text = serde_json::to_string(&printed).map_err(|error| {
            Failure::harness("cannot print the result").evidence(error.to_string())
        })?;
        Ok(json_text::prettify(&text))
    }

    /// What to try next, where there is something.
    pub(super) fn hint(&self, played: &Played, config: &Config, live: bool) -> Option<String> {
        match self.explanation.reason.as_deref()? {
            "token_missing" if played.token.is_none() => {
                Some("send a token with `--token`, `--token-file` or `-`".to_owned())
            }
            "dpop_scheme_missing" => Some(
                "the token goes under its own scheme, with a proof beside it: `--header 'Authorization: DPoP …' \
                 --header 'DPoP: …'` (`nexusctl mint-proof`)"
                    .to_owned(),
            ),
            "dpop_request_mismatch" => Some(
                "scheme, host, port and path count: `--method`, `--host`, `--path`, and `--header \
                 'x-forwarded-proto: https'` for the scheme that the proxy would set"
                    .to_owned(),
            ),
            "token_expired" => time_claim(played, "exp").map(|exp| {
                let before = exp.saturating_sub(1);
                format!("use `--now {before}` to evaluate just before expiry")
            }),
            "token_not_yet_valid" => time_claim(played, "nbf")
                .map(|nbf| format!("use `--now {nbf}` to evaluate when it starts to be valid")),
            "jwks_unavailable" if live => {
                Some("use `--jwks FILE` to answer the fetch from a file".to_owned())
            }
            "jwks_unavailable" => Some(
                "without `--revocations` keys are fetched from the policy's URLs; beside it, use `--jwks`"
                    .to_owned(),
            ),
            "revocations_unavailable" => {
                Some("use `--revocations FILE` to answer the fetch from a file".to_owned())
            }
            "no_app_matched" => {
                let apps: Vec<String> = config
                    .apps
                    .iter()
                    .take(5)
                    .map(|app| format!("`{}` at {}{}", app.slug, app.hosts.join(" or "), app.path))
                    .collect();
                Some(format!(
                    "use `--host` and `--path`; the policy has {}{}",
                    apps.join(", "),
                    if config.apps.len() > apps.len() {
                        ", …"
                    } else {
                        ""
                    }
                ))
            }
            _ => None,
        }
    }
}

fn explanation(logs: &[LogEntry], decision: &str) -> Result<Explanation> {
    let Some(line) = logs
        .iter()
        .rev()
        .find_map(|entry| entry.message.strip_prefix(DECISION))
    else {
        return Err(Failure::harness("the filter did not explain its decision").hint(
            "a filter that `--wasm` names has to be Nexus, built with the same version as this command",
        ));
    };
    let explanation: Explanation = serde_json::from_str(line).map_err(|error| {
        Failure::harness("the filter's explanation cannot be read").evidence(error.to_string())
    })?;
    if explanation.decision != decision {
        return Err(Failure::harness(format!(
            "the filter says `{}`, but what it did is `{decision}`",
            visible(&explanation.decision)
        )));
    }
    Ok(explanation)
}

/// A time of the token, as whole seconds.
fn time_claim(played: &Played, name: &str) -> Option<i64> {
    let anatomy = Anatomy::of(played.token.as_ref()?.as_bytes());
    let claims = anatomy.claims.json()?;
    claims
        .member(name)
        .and_then(Value::as_number)
        .map(Number::floor)
}

fn line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}

fn upstream(text: &mut String, headers: &HeaderMap, original: &HeaderMap) {
    let changes = headers.changes_from(original);
    line(text, &styled(TITLE, "what the service sees"));
    for (name, value) in headers.iter() {
        if changes.added.contains(name) {
            header(text, "+", GOOD, name, value);
        } else if changes.changed.contains(name) {
            header(text, "~", ODD, name, value);
        } else {
            header(text, " ", FAINT, name, value);
        }
    }
    // What was there in place of what was changed, and what is gone.
    for (name, value) in original.iter() {
        if changes.changed.contains(name) || changes.removed.contains(name) {
            header(text, "-", BAD, name, value);
        }
    }
    let is_marked =
        !(changes.added.is_empty() && changes.changed.is_empty() && changes.removed.is_empty());
    if is_marked {
        line(
            text,
            &styled(FAINT, "(+ added, ~ changed, - removed by the filter)"),
        );
    }
}

/// What filters and access logs behind the filter find.
fn kept(text: &mut String, filter_state: &BTreeMap<String, String>) {
    if filter_state.is_empty() {
        return;
    }
    line(text, "");
    line(text, &styled(TITLE, "what the proxy keeps as filter state"));
    for (key, value) in filter_state {
        header(text, " ", Style::new(), key.as_bytes(), value.as_bytes());
    }
}

fn reply(text: &mut String, response: &Response) {
    line(text, &styled(TITLE, "what the client gets"));
    for (name, value) in response.headers.iter() {
        header(text, " ", Style::new(), name, value);
    }
    let body = text_of(&response.whole_body());
    if !body.is_empty() {
        line(text, "");
        for body_line in body.lines() {
            line(text, &format!("    {}", visible(body_line)));
        }
    }
}

fn header(text: &mut String, mark: &str, style: Style, name: &[u8], value: &[u8]) {
    let value = visible(&text_of(value));
    let length = value.chars().count();
    let value = if length > LONGEST_VALUE {
        let start: String = value.chars().take(LONGEST_VALUE / 2).collect();
        format!("{start}… ({length} characters)")
    } else {
        value
    };
    let shown = format!("{mark} {}: {value}", visible(&text_of(name)));
    line(text, &format!("  {}", styled(style, &shown)));
}

/// Bytes as text: what is not UTF-8 as `\xNN`.
fn text_of(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The values of each name, in order.
type ByName = BTreeMap<String, Vec<String>>;

fn by_name(headers: &HeaderMap) -> ByName {
    let mut by_name = ByName::new();
    for (name, value) in headers.iter() {
        by_name
            .entry(text_of(name))
            .or_default()
            .push(text_of(value));
    }
    by_name
}

/// What `--output json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    decision: &'a str,
    status: Option<u32>,
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_deny: Option<&'a str>,
    evidence: Option<&'a str>,
    body: Option<String>,
    app: Option<&'a str>,
    route: Option<&'a str>,
    provider: Option<&'a str>,
    kid: Option<&'a str>,
    request: PrintedRequest<'a>,
    upstream_headers: Option<ByName>,
    header_changes: Option<PrintedChanges>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    filter_state: BTreeMap<String, String>,
    response_headers: Option<ByName>,
}

#[derive(Serialize)]
struct PrintedRequest<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    now: String,
}

#[derive(Serialize)]
struct PrintedChanges {
    added: ByName,
    changed: ByName,
    removed: Vec<String>,
}
