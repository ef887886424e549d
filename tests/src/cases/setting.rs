//! What surrounds a case: a policy with the files beside it, the environment, the key sets behind URLs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::nexusctl::Nexusctl;

/// The name of the policy's file in [`Setting::folder`].
const POLICY: &str = "policy.json";

/// A policy at work: what the filter and the proxy are given, whatever the time is.
#[derive(Debug)]
pub struct Setting {
    name: String,
    folder: TempDir,
    environment: BTreeMap<String, String>,
    documents: BTreeMap<String, String>,
    down: BTreeSet<String>,
    compiled: OnceLock<String>,
}

/// Something that the filter fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its URL, as the policy has it or as its preset makes it.
    pub url: String,
    /// The proxy's cluster that it is fetched from.
    pub cluster: String,
    /// The path and query of the request for it.
    pub path: String,
}

impl Setting {
    /// A policy, in a folder of its own.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn new(name: &str, policy: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("nexus-case-")
            .tempdir()
            .expect("a temporary folder");
        let setting = Self {
            name: name.to_owned(),
            folder,
            environment: BTreeMap::new(),
            documents: BTreeMap::new(),
            down: BTreeSet::new(),
            compiled: OnceLock::new(),
        };
        setting.file(POLICY, policy)
    }

    /// Puts a file beside the policy.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn file(self, name: &str, content: &str) -> Self {
        let path = self.folder.path().join(name);
        fs::write(&path, content)
            .unwrap_or_else(|error| panic!("cannot write `{}`: {error}", path.display()));
        self
    }

    /// Sets an environment variable of the VM.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Publishes a key set at a URL.
    #[must_use]
    pub fn key_set(self, url: &str, jwks: &str) -> Self {
        self.document(url, jwks)
    }

    /// Publishes something at a URL: a metadata document, a revocation list in JSON, a key set.
    #[must_use]
    pub fn document(mut self, url: &str, text: &str) -> Self {
        self.documents.insert(url.to_owned(), text.to_owned());
        self
    }

    /// Says that nothing is published at a URL on purpose: what is fetched there is answered 404.
    #[must_use]
    pub fn down(mut self, url: &str) -> Self {
        self.down.insert(url.to_owned());
        self
    }

    /// Whether nothing is published at a URL on purpose.
    pub fn is_down(&self, url: &str) -> bool {
        self.down.contains(url)
    }

    /// What it is called in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the policy and the files beside it are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The policy's file.
    pub fn policy_file(&self) -> PathBuf {
        self.folder.path().join(POLICY)
    }

    /// The VM's environment.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// The configuration that `nexusctl compile-policy` makes of the policy.
    ///
    /// # Panics
    /// When the policy is refused.
    pub fn compiled(&self) -> &str {
        self.compiled.get_or_init(|| {
            let output = Nexusctl::new(["compile-policy", POLICY])
                .folder(self.folder())
                .run()
                .expect_code(0);
            String::from_utf8(output.stdout).expect("a compiled policy is UTF-8")
        })
    }

    /// What the filter fetches, each once, in the configuration's order: key sets, metadata documents and what
    /// they may lead to, revocation lists.
    ///
    /// # Panics
    /// When the configuration is not of the form that is documented.
    pub fn remotes(&self) -> Vec<Remote> {
        let configuration: Value = serde_json::from_str(self.compiled()).expect("JSON");
        let mut remotes = Vec::new();
        for provider in configuration["providers"].as_array().expect("providers") {
            let keys = provider["keys"]["remote"].as_array();
            let keys = keys.map(Vec::as_slice).unwrap_or_default();
            let places = keys.iter().map(|remote| &remote["url"]);
            let places = places.chain([&provider["revocation"]["remote"]]);
            for remote in places.filter(|remote| remote.is_object()) {
                remotes.push(Remote {
                    url: text(remote, "url"),
                    cluster: text(remote, "cluster"),
                    path: text(remote, "path"),
                });
            }
            for remote in keys {
                remotes.extend(self.discovered(&remote["discovery"]));
            }
        }
        let mut seen = Vec::new();
        remotes.retain(|remote| {
            !seen.contains(remote) && {
                seen.push(remote.clone());
                true
            }
        });
        remotes
    }

    /// The metadata documents of an issuer, and all that is published on its hosts.
    fn discovered(&self, discovery: &Value) -> Vec<Remote> {
        let mut remotes = Vec::new();
        for host in discovery["hosts"].as_array().into_iter().flatten() {
            let origin = format!("{}://{}", text(host, "scheme"), text(host, "authority"));
            let mut paths: Vec<String> = self
                .documents
                .keys()
                .filter_map(|url| url.strip_prefix(&origin))
                .filter(|path| path.starts_with('/'))
                .map(str::to_owned)
                .collect();
            if remotes.is_empty() {
                let asked = discovery["paths"].as_array().expect("paths");
                paths.extend(
                    asked
                        .iter()
                        .map(|path| path.as_str().expect("text").to_owned()),
                );
            }
            for path in paths {
                remotes.push(Remote {
                    url: format!("{origin}{path}"),
                    cluster: text(host, "cluster"),
                    path,
                });
            }
        }
        remotes
    }

    /// What is published at a URL; none where nothing is, which is answered 404.
    pub fn published(&self, url: &str) -> Option<&str> {
        self.documents.get(url).map(String::as_str)
    }

    /// The key set at a URL.
    ///
    /// # Panics
    /// When none is published there.
    pub fn jwks(&self, url: &str) -> &str {
        self.published(url)
            .unwrap_or_else(|| panic!("`{}` publishes no key set at `{url}`", self.name))
    }
}

fn text(object: &Value, name: &str) -> String {
    object[name]
        .as_str()
        .unwrap_or_else(|| panic!("no `{name}` in {object}"))
        .to_owned()
}
