//! `nexusctl import`: from what other products call a JWT policy to a Nexus policy.
//!
//! A module for each product reads its documents, field by field, and says what a policy has for each.
//! Three things may come of a field: it is carried over; it is reported by file, line and name; or the
//! import is refused, where a policy without it would let more requests pass than the original. Nothing is
//! passed over in silence. What is written has passed the compiler.

mod access;
mod envoy;
mod envoy_gateway;
mod fields;
mod findings;
mod istio;
mod keys;
mod kgateway;
mod kubernetes;
mod names;
mod policy;
mod token_sources;
mod yaml;

use std::path::{Path, PathBuf};

use nexus_core::policy::{self as compiler, CompileOptions, Source as SourceText};

use crate::exit::{Blame, Failure, Outcome, Report, Result};
use crate::files::{self, Access};
use crate::output::{self, count, visible};
use findings::{Findings, Weight};
use policy::Policy;
use yaml::Node;

const EXAMPLES: &str = "\
Examples:
  From Envoy's configuration, a whole bootstrap, a listener or the filter's own part:
    $ nexusctl import envoy envoy.yaml -o policy.json

  From what a cluster has, in as many files and documents as there are:
    $ kubectl get requestauthentication,authorizationpolicy -n shop -o yaml > shop.yaml
    $ nexusctl import istio shop.yaml -o policy.json
    $ nexusctl import kgateway extension.yaml traffic-policy.yaml -o policy.json

  In CI, where nobody reads warnings: write nothing unless everything is carried over:
    $ nexusctl import envoy-gateway security-policy.yaml --strict -o policy.json

YAML and JSON are read, several documents in a file and Kubernetes lists. What is written has passed
`compile-policy`. On standard error, each with file and line:
  warning  a field that has no counterpart: the policy differs there
  note     a field that is not needed, because Nexus does it anyway
  error    without it, requests would pass that the original refuses, or it is not valid;
           nothing is written then, and the exit code is 3
What each field becomes, and why some do not: docs/migrating.md.";

/// Turn the JWT configuration of Envoy, Istio, Envoy Gateway or kgateway into a policy
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Whose configuration it is
    #[arg(value_enum, value_name = "PRODUCT")]
    product: Product,

    /// Files with it; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Write the policy to this file, not to standard output
    #[arg(short, long = "output-file", value_name = "FILE")]
    output: Option<PathBuf>,

    /// Overwrite the file if it exists
    #[arg(long, requires = "output")]
    force: bool,

    /// Write nothing when a field has no counterpart; the exit code is 3 then
    #[arg(long)]
    strict: bool,
}

/// A product whose configuration can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Product {
    /// The HTTP filter `jwt_authn`
    Envoy,
    /// `RequestAuthentication` and `AuthorizationPolicy`
    Istio,
    /// `SecurityPolicy`
    EnvoyGateway,
    /// `GatewayExtension` and `TrafficPolicy`
    Kgateway,
}

impl Product {
    fn import(self, documents: &[Node], findings: &mut Findings) -> Option<Policy> {
        match self {
            Self::Envoy => envoy::import(documents, findings),
            Self::Istio => istio::import(documents, findings),
            Self::EnvoyGateway => envoy_gateway::import(documents, findings),
            Self::Kgateway => kgateway::import(documents, findings),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    if let Some(output) = &args.output
        && !args.force
    {
        files::refuse_existing(output)?;
    }
    let (names, documents) = read(&args.files)?;
    let mut findings = Findings::default();
    let policy = args.product.import(&documents, &mut findings);
    tell(&findings, &names);
    let policy = match policy {
        Some(policy) if findings.count(Weight::Refused) == 0 => policy,
        _ => return Err(refused(&findings, &names, Weight::Refused)),
    };
    let lost = findings.count(Weight::NotCarried);
    if args.strict && lost > 0 {
        return Err(refused(&findings, &names, Weight::NotCarried));
    }
    let text = policy
        .to_json()
        .map_err(|error| Failure::harness("the policy is no JSON").evidence(error.to_string()))?;
    let path = args.output.as_deref().unwrap_or(Path::new(files::DASH));
    let name = match files::is_dash(path) {
        true => "<policy>".to_owned(),
        false => visible(&path.display().to_string()),
    };
    let original = args.files.first().map_or(Path::new(""), PathBuf::as_path);
    compiled(&text, &name, original)?;
    files::write(path, text.as_bytes(), Access::Public)?;
    if !files::is_dash(path) {
        output::status(&format!("wrote {}", path.display()));
    }
    if lost > 0 {
        output::note(&format!(
            "{} without a counterpart: the policy differs there",
            count(lost, "field")
        ));
    }
    Ok(Outcome::Fine)
}

/// The names of the files as messages have them, and their documents.
fn read(paths: &[PathBuf]) -> Result<(Vec<String>, Vec<Node>)> {
    let mut names = Vec::new();
    let mut documents = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let name = match files::is_dash(path) {
            true => "<stdin>".to_owned(),
            false => visible(&path.display().to_string()),
        };
        let text = files::read_text(path)?;
        let found = yaml::documents(&text, index).map_err(|error| {
            Failure::input(format!(
                "{name}:{}: {}",
                error.line,
                visible(&error.message)
            ))
        })?;
        if found.is_empty() {
            return Err(Failure::input(format!("{name} has no document")));
        }
        documents.extend(found);
        names.push(name);
    }
    Ok((names, documents))
}

/// Says what is not carried over and what is not needed.
fn tell(findings: &Findings, names: &[String]) {
    for report in findings.reports(Weight::Note, names) {
        output::note(&report.message);
    }
    for report in findings.reports(Weight::NotCarried, names) {
        output::warning_report(&report);
    }
}

/// Nothing is written because of the findings of this weight.
fn refused(findings: &Findings, names: &[String], weight: Weight) -> Failure {
    let reports: Vec<Report> = match weight {
        // They were shown as warnings.
        Weight::NotCarried => vec![Report::new(format!(
            "{} without a counterpart",
            count(findings.count(weight), "field")
        ))],
        weight => findings.reports(weight, names),
    };
    let summary = match weight {
        Weight::NotCarried => "nothing written, because of `--strict`".to_owned(),
        _ => format!("{}, nothing written", count(reports.len(), "error")),
    };
    Failure {
        blame: Blame::Input,
        reports,
        summary: Some(summary),
    }
}

/// Passes the policy through the compiler; `name` is how messages name it. Files that it names are looked for
/// beside the original.
fn compiled(text: &str, name: &str, original: &Path) -> Result<()> {
    let folder = original.parent().unwrap_or(Path::new("")).to_owned();
    let mut beside =
        |named: &str| files::read(&folder.join(named)).map_err(|_| "it cannot be read".to_owned());
    let options = CompileOptions::default();
    let source = SourceText::new(name, text.as_bytes());
    let warn = |warnings: &[compiler::Diagnostic]| {
        for warning in warnings {
            output::warning_report(&Report::from(source.report(warning)));
        }
    };
    match compiler::compile(text.as_bytes(), &options, &mut beside) {
        Ok(compiled) => {
            warn(&compiled.warnings);
            Ok(())
        }
        Err(found) => {
            warn(&found.warnings);
            let reports = found
                .errors
                .iter()
                .map(|error| Report::from(source.report(error)))
                .collect();
            Err(Failure {
                blame: Blame::Input,
                reports,
                summary: Some(
                    "the policy that would come of it is not valid, nothing written".to_owned(),
                ),
            })
        }
    }
}

#[cfg(test)]
mod tests;
