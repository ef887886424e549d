//! The policy that people write, and its compiler.
//!
//! A policy is JSON for people: with names, presets and defaults, and refused with every mistake at its
//! line and column. [`compile`] turns it into a [`Config`] for the filter. The module is pure as
//! all of this crate: it reads no file, but asks its caller for those that a policy names, and it writes none.
//!
//! It decides nothing about requests, and nothing that is wrong with a policy may get past it: what it
//! accepts, the filter accepts.

mod app;
mod auth;
mod check;
mod claim;
mod compiler;
mod condition;
mod demand;
mod diagnostic;
mod discovery;
mod form;
mod forward;
mod http;
mod key_sources;
mod keys;
mod node;
mod possession;
mod preset;
mod provider;
mod read;
mod redact;
mod reference;
mod render;
mod replies;
mod reply_header;
mod requirement;
mod requirements;
mod revocation;
mod route;
mod schema;
pub mod source;
mod suggest;
mod syntax;
mod terms;
mod text_match;
mod token_source;
mod url;
mod value;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;

use crate::config::{CACHE_TTL_VARIABLE, Config, FixedKeys};
use crate::engine::Engine;
use crate::jose::Algorithm;
use crate::json::{self, Span, Value};
use crate::time::Timestamp;
use check::Checker;
use compiler::Compiler;
pub use diagnostic::{Code, Diagnostic, Diagnostics, MAX_FINDINGS, Related, Severity};
use form::Form;
use node::Node;
pub use reference::reference;
pub use render::{Excerpt, LineIndex, Position, Report, Source, render};
use requirements::Collector;
pub use requirements::{ClusterRequirement, Requirements};
pub use schema::schema;
pub use suggest::nearest as nearest_name;
use url::JwksUrl;

/// The longest policy that is read, in bytes. Envoy takes configurations of this size still; a policy for
/// a thousand apps has a tenth of it.
pub const MAX_POLICY_BYTES: usize = 8 * 1024 * 1024;

/// Reads a file that a policy names. It gets the name as it stands in the policy, and answers with the
/// content or with the reason why there is none.
pub type FileReader<'f> = &'f mut dyn FnMut(&str) -> Result<Vec<u8>, String>;

/// What the compiler has to know about the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompileOptions {
    /// The clusters for key URLs: authority (host and port as in the URL, lower case) to cluster. A provider's
    /// own `jwks_cluster` goes before it.
    pub clusters: BTreeMap<String, String>,
    /// Whether clusters that nobody names are named as Istio names them, `outbound|PORT||HOST`, and not by
    /// the authority.
    pub istio: bool,
}

impl CompileOptions {
    /// The cluster that requests for a URL are sent to.
    fn cluster(&self, url: &JwksUrl) -> String {
        match self.clusters.get(&url.authority) {
            Some(name) => name.clone(),
            None if self.istio => format!("outbound|{}||{}", url.port, url.host),
            None => url.authority.clone(),
        }
    }
}

/// A policy that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// What the filter reads.
    pub config: Config,
    /// The same as JSON, in one line with a line feed at its end. The same policy with the same files and
    /// options gives the same bytes, and so does one whose members stand in another order.
    pub json: String,
    /// What ought to be looked at, in the order of the text.
    pub warnings: Vec<Diagnostic>,
    /// What the proxy has to have.
    pub requirements: Requirements,
}

/// Compiles a policy: a whole one, or a single app.
///
/// # Errors
/// Returns all that is wrong with it, and at least one error. Where its structure is wrong already, what
/// its fields mean together is not judged.
pub fn compile(
    text: &[u8],
    options: &CompileOptions,
    files: FileReader<'_>,
) -> Result<Compiled, Diagnostics> {
    let mut found = Diagnostics::default();
    let compiled = compile_into(text, options, files, &mut found);
    found.sort();
    match compiled {
        Some((config, json, requirements)) if found.errors.is_empty() => Ok(Compiled {
            config,
            json,
            warnings: found.warnings,
            requirements,
        }),
        _ => Err(found),
    }
}

fn compile_into(
    text: &[u8],
    options: &CompileOptions,
    files: FileReader<'_>,
    found: &mut Diagnostics,
) -> Option<(Config, String, Requirements)> {
    if text.len() > MAX_POLICY_BYTES {
        let message = format!(
            "the policy has {} bytes, the limit is {MAX_POLICY_BYTES}",
            text.len()
        );
        found.push(Diagnostic::error(
            Code::TooLarge,
            Span { start: 0, end: 1 },
            "",
            message,
        ));
        return None;
    }
    let document = match json::parse(text) {
        Ok(document) => document,
        Err(error) => {
            found.push(syntax::syntax_error(text, error));
            return None;
        }
    };
    let node = Node::root(&document);
    let form = check_structure(&node, found)?;
    let mut compiler = Compiler {
        options,
        files,
        found,
        requirements: Collector::default(),
        providers: Vec::new(),
        named: BTreeMap::new(),
    };
    let config = match form {
        Form::Policy => {
            let policy = typed(&document, compiler.found)?;
            compiler.policy(&node, &policy)
        }
        Form::App => {
            let app = typed(&document, compiler.found)?;
            compiler.single_app(&node, &app)
        }
    };
    let requirements = compiler.requirements.finish();
    if !found.errors.is_empty() {
        return None;
    }
    let json = write(&config, &document, found)?;
    Some((config, json, requirements))
}

/// Checks a document against the schema of its form; `None` when something is wrong, which was reported.
fn check_structure(node: &Node<'_, '_>, found: &mut Diagnostics) -> Option<Form> {
    let Some(definitions) = schema::definitions() else {
        internal(
            node.span(),
            "the schema has a form that the check does not know",
            found,
        );
        return None;
    };
    let form = match form::form(node, &definitions) {
        Ok(form) => form,
        Err(diagnostic) => {
            found.push(diagnostic);
            return None;
        }
    };
    let name = match form {
        Form::Policy => schema::POLICY,
        Form::App => schema::APP,
    };
    Checker::new(&definitions, found).check(node, name);
    found.errors.is_empty().then_some(form)
}

/// The types of a document whose structure was checked.
fn typed<'n, T: Deserialize<'n>>(document: &'n Value<'_>, found: &mut Diagnostics) -> Option<T> {
    match read::read(document) {
        Ok(policy) => Some(policy),
        Err(error) => {
            let message = format!("the policy passed its check, but not its reader: {error}");
            internal(document.span, &message, found);
            None
        }
    }
}

/// The configuration as JSON, after the filter's own code has accepted it.
fn write(config: &Config, document: &Value<'_>, found: &mut Diagnostics) -> Option<String> {
    let written = serde_json::to_string(config).map_err(|error| error.to_string());
    let checked = written.and_then(|json| match Config::parse(json.as_bytes()) {
        Ok(read) if read == *config => try_out(read).map(|()| json),
        Ok(_) => Err("it is read back as another one".into()),
        Err(error) => Err(error.to_string()),
    });
    match checked {
        Ok(mut json) => {
            json.push('\n');
            Some(json)
        }
        Err(reason) => {
            let message = format!("the compiled configuration is refused: {reason}");
            internal(document.span, &message, found);
            None
        }
    }
}

/// Builds what the filter builds of a configuration. The environment of the proxy is not known here: keys
/// from it are taken for good ones.
fn try_out(mut config: Config) -> Result<(), String> {
    for provider in &mut config.providers {
        if let Some(FixedKeys::PublicKeyEnv(name)) = &provider.keys.fixed {
            provider.keys.fixed = Some(FixedKeys::SecretEnv(name.clone()));
            provider.keys.pinned.clear();
            provider.algorithms = Vec::from([Algorithm::Hs256]);
        }
    }
    let environment = |name: &str| (name != CACHE_TTL_VARIABLE).then(|| Vec::from([b'x'; 64]));
    Engine::new(config, &environment, 0, Timestamp::from_seconds(0))
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn internal(span: Span, message: &str, found: &mut Diagnostics) {
    let error = Diagnostic::error(Code::Internal, node::opening(span), "", message.into());
    found.push(error.with_hint("this is a defect of Nexus; please report it"));
}
