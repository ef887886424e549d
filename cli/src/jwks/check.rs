//! `nexusctl jwks check`: what sources of keys serve, and what Nexus would do with it.
//!
//! What is fetched may be written by anybody: it is shown in pieces of bounded length, and never a secret.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_core::config::{Remote, RemoteKeys};
use nexus_core::engine::{FetchAnswer, Freshness, Prospect};
use nexus_core::jose::JwkSetError;
use nexus_core::json::{self, Value};
use nexus_core::policy::{self, Code, CompileOptions};
use nexus_core::time::Timestamp;

use super::client::{Answer, Client, Lost};
use super::document::{self, Document};
use super::report;
use crate::exit::{Blame, Failure, Outcome, Report, Result};
use crate::files;
use crate::inspect_token::{Finding, Format};
use crate::output::{self, visible};
use crate::time::{self, parse_duration};

const EXAMPLES: &str = "\
Examples:
  What an identity provider serves, asked as the filter asks:
    $ nexusctl jwks check https://www.googleapis.com/oauth2/v3/certs

  In CI, before a set is published:
    $ nexusctl jwks check jwks.json

  Which of the keys of two sources can be used:
    $ nexusctl jwks check https://a.example.com/keys https://b.example.com/keys --output json \\
        | jq '.sources[].keys[] | select(.usable) | .kid'

The filter fetches through a cluster of the proxy. Whether the proxy reaches the source, and
trusts its certificate, is not seen from here.

The exit code is 3 when a source has no key that Nexus can use, and when it publishes a private or
symmetric key; it is 0 otherwise, whatever else is unusual.";

/// The policy that a URL is checked with, up to it: the defaults are those of a policy that says nothing else.
const BEFORE_URL: &str = r#"{"providers":{"source":{"jwks_url":"#;

/// The rest of it.
const AFTER_URL: &str = r#"}},"apps":[{"name":"check","slug":"check","hosts":["*"],"gateway_path":"/","default_policy":{"auth":{"auth_type":"jwt","providers":["source"]}}}]}"#;

/// Show what a source of keys serves, and what Nexus would do with it
///
/// Every key with its thumbprint and the algorithms that it is used for, or the reason why it is not
/// used; what the source says about caching; and for how long Nexus would use its keys and when it would
/// ask again, where the policy does not say otherwise. No private or symmetric key is printed.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// URLs of key sets, as `jwks_url` has them, or files; `-` is standard input
    #[arg(value_name = "URL", required = true)]
    sources: Vec<String>,

    /// How long an answer may take [default: that of a policy, 5s]
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout)]
    timeout: Option<Duration>,

    /// Trust the authorities in this file (PEM), and not those of the system
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// How the result is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Human)]
    output: Format,
}

/// Why a source cannot be used, or must not.
pub(super) struct Problem {
    /// A stable name.
    pub(super) code: &'static str,
    pub(super) report: Report,
}

/// What was found out about a source.
pub(super) struct Checked {
    /// Its URL without the query, or its file. Nothing in it acts upon a terminal.
    pub(super) name: String,
    /// Whether it is a file, whose content may not be public yet.
    is_file: bool,
    /// What it answered, if it is behind a URL.
    pub(super) answered: Option<Answered>,
    /// Its key set, if it has one.
    pub(super) document: Option<Document>,
    pub(super) problems: Vec<Problem>,
    pub(super) unusual: Vec<Finding>,
}

/// What became of asking.
pub(super) struct Answered {
    /// The answer, or why there is none.
    pub(super) answer: std::result::Result<Facts, String>,
    pub(super) freshness: Freshness,
    /// What became of asking again with the entity tag.
    pub(super) again: Option<std::result::Result<u16, String>>,
    pub(super) prospect: Prospect,
}

/// The outside of an answer.
pub(super) struct Facts {
    pub(super) status: u16,
    /// The length of the body in bytes, or why it broke off.
    pub(super) bytes: std::result::Result<usize, String>,
    /// Headers that matter, in the order of [`SHOWN_HEADERS`], cut.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// The headers that are told of.
const SHOWN_HEADERS: [&str; 7] = [
    "content-type",
    "content-encoding",
    "location",
    "cache-control",
    "age",
    "etag",
    "retry-after",
];

impl Facts {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| *it == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn parse_timeout(text: &str) -> std::result::Result<Duration, String> {
    let duration = Duration::try_from(parse_duration(text)?);
    match duration {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("expected a duration above zero".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let client = Client::new(args.ca_file.as_deref())?;
    // What is wrong with an argument is told before anything is asked.
    let places = args.sources.iter().map(|source| Place::of(source));
    let places = places.collect::<Result<Vec<Place>>>()?;
    let checked: Vec<Checked> = places
        .into_iter()
        .map(|place| match place {
            Place::Remote { remote, warning } => {
                behind_url(&client, &remote, warning, args.timeout)
            }
            Place::File(path) => in_file(&path),
        })
        .collect();
    match args.output {
        Format::Human => output::text(&report::human(&checked))?,
        Format::Json => output::data(report::json(&checked)?.as_bytes())?,
    }
    let problems = checked.into_iter().flat_map(|source| source.problems);
    let reports: Vec<Report> = problems.map(|problem| problem.report).collect();
    if reports.is_empty() {
        return Ok(Outcome::Fine);
    }
    Err(Failure {
        blame: Blame::Input,
        reports,
        summary: None,
    })
}

/// Where a source is.
enum Place {
    Remote {
        remote: Box<Remote>,
        /// What the compiler warns of.
        warning: Option<String>,
    },
    File(PathBuf),
}

impl Place {
    /// # Errors
    /// [`Blame::Usage`] for a URL that no policy can have.
    fn of(source: &str) -> Result<Self> {
        if !source.contains("://") {
            return Ok(Self::File(PathBuf::from(source)));
        }
        let mut policy = String::from(BEFORE_URL);
        // Writing to a string does not fail.
        let _ = json::write_string(&mut policy, source);
        policy.push_str(AFTER_URL);
        let mut no_files = |_: &str| Err(String::new());
        let compiled =
            policy::compile(policy.as_bytes(), &CompileOptions::default(), &mut no_files);
        let compiled = compiled.map_err(|found| {
            let first = found.errors.first();
            let message = first.map_or("", |error| error.message.as_str());
            let mut failure = Failure::usage(visible(message));
            if let Some(hint) = first.and_then(|error| error.hint.as_ref()) {
                failure = failure.hint(hint);
            }
            failure
        })?;
        let mut warnings = compiled.warnings.into_iter();
        let warning =
            warnings.find(|it| it.code == Code::Insecure && it.path.ends_with("jwks_url"));
        let provider = compiled.config.providers.into_iter().next();
        match provider.and_then(|provider| provider.keys.remote.into_iter().next()) {
            Some(RemoteKeys::Url(remote)) => Ok(Self::Remote {
                remote: Box::new(remote),
                warning: warning.map(|warning| warning.message),
            }),
            _ => Err(Failure::harness(
                "a policy with a URL has no source of keys",
            )),
        }
    }
}

/// A URL for messages: without its query, where people put keys of APIs.
fn shown_url(url: &str) -> String {
    match url.split_once('?') {
        Some((place, _)) => visible(&format!("{place}?…")),
        None => visible(url),
    }
}

fn in_file(path: &Path) -> Checked {
    let name = files::describe_input(path);
    let mut checked = Checked::new(visible(name.trim_matches('`')), true);
    match files::read(path) {
        Ok(text) => checked.look_at(&text, Some("application/json")),
        Err(failure) => checked
            .problems
            .extend(failure.reports.into_iter().map(|report| Problem {
                code: "unreadable",
                report,
            })),
    }
    checked
}

fn behind_url(
    client: &Client,
    remote: &Remote,
    warning: Option<String>,
    timeout: Option<Duration>,
) -> Checked {
    let timeout = timeout.unwrap_or(Duration::from_millis(remote.timeout_ms));
    let mut checked = Checked::new(shown_url(&remote.url), false);
    if let Some(warning) = warning {
        checked.unusual.push(Finding::new("insecure", warning));
    }
    let answer = match client.ask(&remote.url, None, timeout) {
        Ok(answer) => answer,
        Err(lost) => {
            checked.answered = Some(Answered {
                answer: Err(lost.reason.clone()),
                freshness: Freshness::default(),
                again: None,
                prospect: Prospect::of_keys(FetchAnswer::NoResponse, remote),
            });
            let message = format!("there is no answer from `{}`", checked.name);
            checked.lost("no_answer", message, lost);
            return checked;
        }
    };
    let freshness = freshness(&answer);
    let fetched = match &answer.body {
        Ok(body) => {
            FetchAnswer::response(answer.status, body.as_slice()).with_freshness(freshness.clone())
        }
        Err(_) => FetchAnswer::NoResponse,
    };
    let prospect = Prospect::of_keys(fetched, remote);
    let again = match &prospect {
        Prospect::Taken {
            if_none_match: Some(etag),
            ..
        } => Some(match client.ask(&remote.url, Some(etag), timeout) {
            Ok(answer) => Ok(answer.status),
            Err(lost) => Err(lost.reason),
        }),
        _ => None,
    };
    let facts = facts(&answer);
    checked.look_at_headers(&facts, &freshness, again.as_ref());
    match (answer.status, answer.body) {
        (200, Ok(body)) => checked.look_at(&body, facts.header("content-type")),
        (200, Err(lost)) => {
            let message = format!("the answer from `{}` is not whole", checked.name);
            checked.lost("broken_off", message, lost);
        }
        (status, body) => {
            checked.refused(status, facts.header("location"));
            // A secret is published with every status.
            checked.look_for_secrets(&body.unwrap_or_default());
        }
    }
    checked.answered = Some(Answered {
        answer: Ok(facts),
        freshness,
        again,
        prospect,
    });
    checked
}

/// What the answer says about its freshness, read by the filter's own function.
fn freshness(answer: &Answer) -> Freshness {
    let now = u64::try_from(time::system_now().as_second()).unwrap_or_default();
    let headers = answer.headers.iter();
    Freshness::of(
        headers.map(|(name, value)| (name.as_bytes(), value.as_slice())),
        Timestamp::from_seconds(now),
    )
}

fn facts(answer: &Answer) -> Facts {
    let headers = SHOWN_HEADERS.into_iter().filter_map(|name| {
        let value = answer.header(name)?;
        Some((name, longer_excerpt(&value)))
    });
    Facts {
        status: answer.status,
        bytes: match &answer.body {
            Ok(body) => Ok(body.len()),
            Err(lost) => Err(lost.reason.clone()),
        },
        headers: headers.collect(),
    }
}

/// A header as it may be repeated: long enough for a URL.
fn longer_excerpt(text: &str) -> String {
    const MOST: usize = 256;
    let mut excerpt: String = text.chars().take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        excerpt.push('…');
    }
    excerpt
}

impl Checked {
    fn new(name: String, is_file: bool) -> Self {
        Self {
            name,
            is_file,
            answered: None,
            document: None,
            problems: Vec::new(),
            unusual: Vec::new(),
        }
    }

    fn problem(
        &mut self,
        code: &'static str,
        message: String,
        evidence: Vec<String>,
        hint: Option<String>,
    ) {
        let report = Report {
            evidence,
            hint,
            ..Report::new(message)
        };
        self.problems.push(Problem { code, report });
    }

    fn lost(&mut self, code: &'static str, message: String, lost: Lost) {
        let hint = lost.hint.map(str::to_owned);
        self.problem(code, message, vec![lost.reason], hint);
    }

    /// An answer with another status than 200.
    fn refused(&mut self, status: u16, location: Option<&str>) {
        let message = format!("`{}` is answered {status}, not 200", self.name);
        match location.filter(|_| (300..400).contains(&status)) {
            Some(location) => {
                let evidence = vec![
                    format!("it leads to `{}`", visible(location)),
                    "the filter follows no redirects, because anybody could stand at their end"
                        .to_owned(),
                ];
                let hint = "if the keys are meant to be there, put that URL into the policy";
                self.problem("redirect", message, evidence, Some(hint.to_owned()));
            }
            None => self.problem("status", message, Vec::new(), None),
        }
    }

    fn look_at_headers(
        &mut self,
        facts: &Facts,
        freshness: &Freshness,
        again: Option<&std::result::Result<u16, String>>,
    ) {
        if facts
            .header("content-encoding")
            .is_some_and(|it| it != "identity")
        {
            self.unusual.push(Finding::new(
                "content_encoding",
                "the body is encoded, though nothing asked for it: Nexus does not decode it",
            ));
        }
        if facts.status == 200 && facts.header("etag").is_some() && freshness.etag.is_none() {
            self.unusual.push(Finding::new(
                "etag_not_used",
                "the entity tag is too long or not in quotes (RFC 9110 §8.8.3): Nexus does not send it back",
            ));
        }
        if let Some(Ok(status)) = again
            && *status != 304
        {
            self.unusual.push(Finding::new(
                "etag_ignored",
                format!(
                    "the source has an entity tag, but answers {status} to If-None-Match: it sends its keys anew each time"
                ),
            ));
        }
    }

    /// A body that should be a key set.
    fn look_at(&mut self, text: &[u8], content_type: Option<&str>) {
        match Document::parse(text) {
            Ok(document) => {
                if document.usable == 0 {
                    let message = format!("no key of `{}` can be used", self.name);
                    let evidence = match document.total {
                        0 => "the set is empty".to_owned(),
                        _ => "why is told with each key".to_owned(),
                    };
                    self.problem("no_usable_key", message, vec![evidence], None);
                }
                self.unusual.extend(document.unusual.iter().cloned());
                self.document = Some(document);
            }
            Err(error) => self.no_set(text, &error, content_type),
        }
        self.look_for_secrets(text);
    }

    /// A body that is no key set.
    fn no_set(&mut self, text: &[u8], error: &JwkSetError, content_type: Option<&str>) {
        if let Some(metadata) = Metadata::of(text) {
            let message = format!("`{}` is the metadata of an issuer, no key set", self.name);
            let evidence = vec![
                format!("`issuer` is `{}`", visible(&metadata.issuer)),
                format!("`jwks_uri` is `{}`", visible(&metadata.jwks_uri)),
            ];
            let hint = "check that URL, or let the policy find it: `issuer` and `\"oidc_discovery\": true`";
            return self.problem("metadata", message, evidence, Some(hint.to_owned()));
        }
        let message = format!("`{}` is no key set", self.name);
        let is_html = content_type.is_some_and(|it| it.starts_with("text/html"))
            || text.trim_ascii_start().starts_with(b"<");
        let is_key = json::parse(text).is_ok_and(|it| it.member("kty").is_some());
        let hint = if is_html {
            Some("this is a web page: is it the URL of the key set, and is a login needed?")
        } else if is_key {
            Some("for a single key serve `{\"keys\": [KEY]}`")
        } else {
            None
        };
        self.problem(
            "no_key_set",
            message,
            vec![visible(&error.to_string())],
            hint.map(str::to_owned),
        );
    }

    fn look_for_secrets(&mut self, text: &[u8]) {
        /// How many secrets are told one by one.
        const MOST: usize = 8;
        let secrets = document::secrets(text);
        if secrets.is_empty() {
            return;
        }
        let mut evidence: Vec<String> = secrets
            .iter()
            .take(MOST)
            .map(|secret| {
                let members: Vec<String> =
                    secret.members.iter().map(|it| format!("`{it}`")).collect();
                format!("{} has {}", visible(&secret.place), members.join(", "))
            })
            .collect();
        if let Some(more) = secrets.len().checked_sub(MOST).filter(|more| *more > 0) {
            evidence.push(format!("and {more} more"));
        }
        let does = if self.is_file { "holds" } else { "publishes" };
        let message = format!("`{}` {does} a secret", self.name);
        let hint = "whoever has read it can sign tokens: make new keys, and publish their public halves alone";
        self.problem("secret", message, evidence, Some(hint.to_owned()));
    }
}

/// What counts of an issuer's metadata document (OpenID Connect Discovery 1.0 §3, RFC 8414 §2).
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Metadata {
    fn of(text: &[u8]) -> Option<Self> {
        let document = json::parse(text).ok()?;
        let member = |name| document.member(name).and_then(Value::as_str);
        Some(Self {
            issuer: longer_excerpt(member("issuer")?),
            jwks_uri: longer_excerpt(member("jwks_uri")?),
        })
    }
}
