//! `nexusctl compile-policy`: from what people write to what the filter reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nexus_core::policy::{CompileOptions, Requirements};

use crate::exit::{Failure, Outcome, Result};
use crate::files::{self, Access};
use crate::output;
use crate::policy_file::PolicyFile;

const EXAMPLES: &str = "\
Examples:
  Say what is wrong with a policy, or that it is fine and what the proxy needs for it:
    $ nexusctl compile-policy policy.json --check

  Write the configuration that Envoy loads as the filter's `configuration`:
    $ nexusctl compile-policy policy.json -o nexus.json

  Keys come through the Envoy cluster `keycloak`, not one named as the URL's host:
    $ nexusctl compile-policy policy.json --cluster idp.example.com=keycloak -o nexus.json

  For Istio's `pluginConfig`, with Istio's own cluster names:
    $ nexusctl compile-policy policy.json --istio -o nexus.json

The same policy with the same options gives the same bytes. When anything is wrong, nothing is
written, and a file that exists stays as it is. Files that the policy names (`jwks_file`) are read
from the policy's folder.";

/// Turn a policy into the filter's configuration
///
/// Reports everything that is wrong with it, with file, line and column. Tells on standard error which
/// clusters and environment variables the proxy has to have.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The policy; `-` is standard input
    #[arg(value_name = "POLICY")]
    policy: PathBuf,

    /// Write the configuration to this file, not to standard output
    #[arg(
        short,
        long = "output-file",
        value_name = "FILE",
        conflicts_with = "check"
    )]
    output: Option<PathBuf>,

    /// Write nothing, only say whether the policy is fine
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    clusters: Clusters,
}

/// How the proxy's clusters are named.
#[derive(clap::Args)]
pub(crate) struct Clusters {
    /// Fetch keys from this host (as in the URL: host, or host:port) through this cluster
    #[arg(long = "cluster", value_name = "AUTHORITY=NAME", value_parser = parse_cluster)]
    clusters: Vec<(String, String)>,

    /// Name all other clusters as Istio does, `outbound|PORT||HOST`, not as the URL's host
    #[arg(long)]
    istio: bool,
}

impl Clusters {
    fn options(&self) -> Result<CompileOptions> {
        let mut clusters = BTreeMap::new();
        for (authority, name) in &self.clusters {
            if clusters.insert(authority.clone(), name.clone()).is_some() {
                return Err(Failure::usage(format!(
                    "`--cluster {authority}=…` is given twice"
                )));
            }
        }
        Ok(CompileOptions {
            clusters,
            istio: self.istio,
        })
    }
}

fn parse_cluster(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((authority, _)) if authority.contains("://") => Err(
            "expected the host of the URL without `https://`, as in `idp.example.com=keycloak`"
                .to_owned(),
        ),
        Some((authority, name)) if !authority.is_empty() && !name.is_empty() => {
            Ok((authority.to_ascii_lowercase(), name.to_owned()))
        }
        _ => Err("expected AUTHORITY=NAME, as in `idp.example.com=keycloak`".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    if let Some(output) = &args.output {
        refuse_to_overwrite_source(&args.policy, output)?;
    }
    let options = args.clusters.options()?;
    let policy = PolicyFile::compile(&args.policy, &options).map_err(|mut failure| {
        if let Some(summary) = &mut failure.summary {
            summary.push_str(", nothing written");
        }
        failure
    })?;
    let unused: Vec<&str> = options
        .clusters
        .keys()
        .filter(|authority| {
            let clusters = &policy.compiled.requirements.clusters;
            !clusters.iter().any(|used| used.authority == **authority)
        })
        .map(String::as_str)
        .collect();
    for authority in unused {
        output::warning(&format!(
            "`--cluster {authority}=…` has no effect: no key set is fetched from there"
        ));
    }
    match (&args.output, args.check) {
        (_, true) => output::status(&format!("{}: fine", policy.name)),
        (Some(path), _) => {
            files::write(path, policy.compiled.json.as_bytes(), Access::Public)?;
            if !files::is_dash(path) {
                output::status(&format!("wrote {}", path.display()));
            }
        }
        (None, _) => output::data(policy.compiled.json.as_bytes())?,
    }
    tell_requirements(&policy.compiled.requirements, args.clusters.istio);
    Ok(Outcome::Fine)
}

fn refuse_to_overwrite_source(policy: &Path, output: &Path) -> Result<()> {
    let same = match (fs::canonicalize(policy), fs::canonicalize(output)) {
        (Ok(policy), Ok(output)) => policy == output && output.is_file(),
        _ => false,
    };
    if same {
        return Err(
            Failure::usage("the configuration would overwrite the policy")
                .evidence(format!("both are `{}`", output.display()))
                .hint("name another file with `-o`"),
        );
    }
    Ok(())
}

/// What has to be set up in the proxy, on standard error.
fn tell_requirements(requirements: &Requirements, istio: bool) {
    let mut lines = Vec::new();
    for cluster in &requirements.clusters {
        let providers = cluster.used_by.join("`, `");
        lines.push(format!(
            "cluster `{}`, to {}://{}:{}, for `{providers}`",
            cluster.name, cluster.scheme, cluster.host, cluster.port
        ));
    }
    let setting = if istio {
        "`vmConfig.env`, `valueFrom: HOST`"
    } else {
        "`host_env_keys`"
    };
    for name in &requirements.env {
        lines.push(format!("environment variable `{name}`, in {setting}"));
    }
    for name in &requirements.optional_env {
        lines.push(format!(
            "environment variable `{name}`, in {setting}, if it is set"
        ));
    }
    if !lines.is_empty() {
        output::note(&format!("the proxy needs\n  {}", lines.join("\n  ")));
    }
}
