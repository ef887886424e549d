//! What surrounds a case: a policy with the files beside it, the environment, the key sets behind URLs.

use std::{
    collections::BTreeMap,
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
    key_sets: BTreeMap<String, String>,
    compiled: OnceLock<String>,
}

/// A key set that the filter fetches.
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
            key_sets: BTreeMap::new(),
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
    pub fn key_set(mut self, url: &str, jwks: &str) -> Self {
        self.key_sets.insert(url.to_owned(), jwks.to_owned());
        self
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

    /// The key sets that the filter fetches, each once, in the configuration's order.
    ///
    /// # Panics
    /// When the configuration is not of the form that is documented.
    pub fn remotes(&self) -> Vec<Remote> {
        let configuration: Value = serde_json::from_str(self.compiled()).expect("JSON");
        let mut remotes = Vec::new();
        for provider in configuration["providers"].as_array().expect("providers") {
            let remote = &provider["keys"]["remote"];
            let text = |name: &str| {
                remote[name]
                    .as_str()
                    .unwrap_or_else(|| panic!("no `{name}` in {remote}"))
                    .to_owned()
            };
            if remote.is_object() {
                let remote = Remote {
                    url: text("url"),
                    cluster: text("cluster"),
                    path: text("path"),
                };
                if !remotes.contains(&remote) {
                    remotes.push(remote);
                }
            }
        }
        remotes
    }

    /// The key set at a URL.
    ///
    /// # Panics
    /// When none is published there.
    pub fn jwks(&self, url: &str) -> &str {
        self.key_sets
            .get(url)
            .unwrap_or_else(|| panic!("`{}` publishes no key set at `{url}`", self.name))
    }
}
