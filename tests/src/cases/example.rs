//! The folders under `examples/`: a policy, `requests.json`, and a README. The form of `requests.json`
//! is told in `examples/README.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Case, Request, Setting,
    requests_file::{Content, File, KeyEntry, ProofEntry, RequestEntry, TokenEntry, Values},
};
use crate::{
    artifacts,
    keys::{self, Algorithm, Key},
    tokens::Token,
};

/// What a folder has to hold.
pub const FILES: [&str; 3] = ["policy.json", "requests.json", "README.md"];

/// How long a token is good for where the file does not say, in seconds; `mint-token` does the same.
const VALIDITY: i64 = 3_600;

/// An example with its keys made.
#[derive(Debug)]
pub struct Example {
    folder: PathBuf,
    file: File,
    keys: BTreeMap<String, (Key, Algorithm)>,
}

/// The folders under `examples/`, in the order of their names.
///
/// # Panics
/// When there is none.
pub fn folders() -> Vec<PathBuf> {
    let root = artifacts::repository().join("examples");
    let mut folders: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", root.display()))
        .map(|entry| entry.expect("an entry of a folder").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "`{}` has no folder", root.display());
    folders
}

impl Example {
    /// Reads a folder and makes its keys.
    ///
    /// # Panics
    /// When a file is missing, `requests.json` is not of the form that is told, or names what it does not
    /// define; with the place.
    pub fn load(folder: &Path) -> Self {
        for file in FILES {
            assert!(
                folder.join(file).is_file(),
                "the example `{}` has no `{file}`",
                folder.display()
            );
        }
        let path = folder.join("requests.json");
        let file: File = serde_json::from_str(&read(&path))
            .unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
        let example = Self {
            keys: make_keys(folder, &file.keys),
            folder: folder.to_path_buf(),
            file,
        };
        example.check_names();
        example
    }

    /// The name of its folder.
    ///
    /// # Panics
    /// When it is not UTF-8.
    pub fn name(&self) -> &str {
        self.folder
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a folder's name is UTF-8")
    }

    /// The policy with all that stands around it.
    pub fn setting(&self) -> Setting {
        let mut setting = Setting::new(self.name(), &read(&self.folder.join("policy.json")));
        for (name, content) in &self.file.files {
            setting = setting.file(name, &self.content(content));
        }
        for (name, content) in &self.file.environment {
            setting = setting.env(name, &self.content(content));
        }
        for (url, keys) in &self.file.key_sets {
            setting = setting.key_set(url, &self.jwks(keys));
        }
        for (url, document) in &self.file.documents {
            setting = setting.document(url, &document.to_string());
        }
        setting
    }

    /// The cases, with tokens minted at `now`, in seconds since the epoch.
    pub fn cases(&self, now: i64) -> Vec<Case> {
        self.file
            .requests
            .iter()
            .map(|entry| self.case(entry, now))
            .collect()
    }

    fn case(&self, entry: &RequestEntry, now: i64) -> Case {
        let mut request = Request {
            method: entry.method.clone(),
            host: entry.host.clone(),
            path: self.with_tokens(&entry.path, now),
            headers: Vec::new(),
        };
        if let Some(token) = &entry.token {
            let token = self.token(token, now);
            request = match &entry.proof {
                Some(proof) => {
                    let proof = self.proof(proof, &request, &token, now);
                    request
                        .header("authorization", format!("DPoP {token}"))
                        .header("dpop", proof)
                }
                None => request.bearer(&token),
            };
        }
        for (name, values) in &entry.headers {
            for value in values.as_slice() {
                request = request.header(name, self.with_tokens(value, now));
            }
        }
        Case {
            name: entry.name.clone(),
            request,
            expected: entry.expect.to_expected(),
        }
    }

    /// A text with each `${NAME}` replaced by the token of that name.
    fn with_tokens(&self, text: &str, now: i64) -> String {
        named_tokens(text).fold(text.to_owned(), |text, name| {
            text.replace(&format!("${{{name}}}"), &self.token(name, now))
        })
    }

    /// A proof for the request and its token, where the entry does not say otherwise.
    fn proof(&self, entry: &ProofEntry, request: &Request, token: &str, now: i64) -> String {
        let (key, algorithm) = self.key(&entry.key);
        let path = request.path.split('?').next().unwrap_or_default();
        let url = format!("http://{}{path}", request.host);
        let other = entry.token.as_ref().map(|name| self.token(name, now));
        Token::proof(
            key,
            entry.method.as_deref().unwrap_or(&request.method),
            entry.url.as_deref().unwrap_or(&url),
            other.as_deref().unwrap_or(token),
            now + entry.made_in_secs.unwrap_or_default(),
        )
        .sign(&key.without_kid(), *algorithm)
    }

    fn token(&self, name: &str, now: i64) -> String {
        let entry = self.resolved(name, 0);
        let (key, algorithm) = self.key(
            entry
                .key
                .as_ref()
                .unwrap_or_else(|| panic!("{}: the token `{name}` has no `key`", self.name())),
        );
        let mut token = Token::empty().claim("iat", now);
        if entry.no_exp != Some(true) {
            token = token.claim("exp", now + entry.expires_in_secs.unwrap_or(VALIDITY));
        }
        if let Some(seconds) = entry.valid_in_secs {
            token = token.claim("nbf", now + seconds);
        }
        if let Some(key) = &entry.bound_to {
            let thumbprint = self.key(key).0.thumbprint();
            token = token.claim("cnf", json!({ "jkt": thumbprint }));
        }
        for (name, value) in entry.claims {
            token = if value.is_null() {
                token.without(&name)
            } else {
                token.claim(&name, value)
            };
        }
        let mut key = key.clone();
        for (name, value) in entry.header {
            match value {
                Value::Null if name == "kid" => key = key.without_kid(),
                value => token = token.header(&name, value),
            }
        }
        token.sign(&key, *algorithm)
    }

    /// A token with what it takes over from the one that it is `like`.
    fn resolved(&self, name: &str, depth: usize) -> TokenEntry {
        assert!(depth < 8, "{}: `{name}` is like itself", self.name());
        let own = self.file.tokens[name].clone();
        let Some(model) = &own.like else {
            return own;
        };
        let mut base = self.resolved(model, depth + 1);
        base.header.extend(own.header);
        base.claims.extend(own.claims);
        TokenEntry {
            like: None,
            key: own.key.or(base.key),
            header: base.header,
            claims: base.claims,
            bound_to: own.bound_to.or(base.bound_to),
            expires_in_secs: own.expires_in_secs.or(base.expires_in_secs),
            valid_in_secs: own.valid_in_secs.or(base.valid_in_secs),
            no_exp: own.no_exp.or(base.no_exp),
        }
    }

    fn content(&self, content: &Content) -> String {
        match content {
            Content::Text(text) => text.clone(),
            Content::JwksOf(keys) => self.jwks(keys),
            Content::PublicPemOf(key) => self.key(key).0.public_pem(),
            Content::SecretOf(key) => self.key(key).0.secret_text(),
        }
    }

    fn jwks(&self, names: &[String]) -> String {
        keys::jwks(names.iter().map(|name| {
            let (key, algorithm) = self.key(name);
            key.public_jwk_with(&json!({"alg": algorithm.name(), "use": "sig"}))
        }))
    }

    fn key(&self, name: &str) -> &(Key, Algorithm) {
        self.keys
            .get(name)
            .unwrap_or_else(|| panic!("{}: there is no key `{name}`", self.name()))
    }

    /// Every name that is used is defined, and every one that is defined is used.
    fn check_names(&self) {
        assert_eq!(
            self.tokens_in_use(),
            self.file.tokens.keys().map(String::as_str).collect(),
            "{}: the tokens",
            self.name()
        );
        assert_eq!(
            self.keys_in_use(),
            self.file.keys.keys().collect(),
            "{}: the keys",
            self.name()
        );
        let mut names = BTreeSet::new();
        for request in &self.file.requests {
            assert!(
                names.insert(&request.name),
                "{}: two requests are called `{}`",
                self.name(),
                request.name
            );
            assert!(
                request.proof.is_none() || request.token.is_some(),
                "{}: `{}` has a proof and no `token` that it is for",
                self.name(),
                request.name
            );
        }
    }

    fn tokens_in_use(&self) -> BTreeSet<&str> {
        let like = self.file.tokens.values().filter_map(|it| it.like.as_ref());
        let sent = self.file.requests.iter().filter_map(|it| it.token.as_ref());
        let proven = self.proofs().filter_map(|it| it.token.as_ref());
        let placed = self.file.requests.iter().flat_map(|it| {
            let values = it.headers.values().flat_map(Values::as_slice);
            values.chain([&it.path]).flat_map(|text| named_tokens(text))
        });
        let named = like.chain(sent).chain(proven).map(String::as_str);
        named.chain(placed).collect()
    }

    fn keys_in_use(&self) -> BTreeSet<&String> {
        let files = self.file.files.values();
        let contents = files.chain(self.file.environment.values());
        let in_contents = contents.flat_map(|content| match content {
            Content::Text(_) => &[],
            Content::JwksOf(keys) => keys.as_slice(),
            Content::PublicPemOf(key) | Content::SecretOf(key) => std::slice::from_ref(key),
        });
        let tokens = self.file.tokens.values();
        in_contents
            .chain(self.file.key_sets.values().flatten())
            .chain(tokens.flat_map(|it| it.key.iter().chain(&it.bound_to)))
            .chain(self.proofs().map(|it| &it.key))
            .collect()
    }

    fn proofs(&self) -> impl Iterator<Item = &ProofEntry> {
        self.file.requests.iter().filter_map(|it| it.proof.as_ref())
    }
}

/// The names in every `${NAME}` of a text.
fn named_tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
}

/// RSA keys take long to generate: the first two are those of the process.
fn make_keys(
    folder: &Path,
    entries: &BTreeMap<String, KeyEntry>,
) -> BTreeMap<String, (Key, Algorithm)> {
    let mut rsa = [keys::rsa, keys::other_rsa].into_iter();
    let mut make = |entry: &KeyEntry| {
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == entry.alg)
            .unwrap_or_else(|| panic!("{}: no algorithm `{}`", folder.display(), entry.alg));
        let key = match (&entry.file, algorithm) {
            (Some(file), _) => {
                let jwk = serde_json::from_str(&read(&folder.join(file)))
                    .unwrap_or_else(|error| panic!("`{file}` is no JWK: {error}"));
                Key::from_private_jwk(&jwk)
            }
            (None, Algorithm::ES256) => Key::generate_p256(),
            (None, Algorithm::EdDSA) => Key::generate_ed25519(),
            (None, algorithm) if algorithm.is_symmetric() => Key::secret(keys::random_text(64)),
            (None, algorithm) if is_rsa(algorithm) => match rsa.next() {
                Some(shared) => shared().clone(),
                None => Key::generate_rsa(2048),
            },
            (None, algorithm) => keys::for_algorithm(algorithm).clone(),
        };
        let key = match &entry.kid {
            Some(kid) => key.with_kid(kid),
            None => key,
        };
        (key, algorithm)
    };
    entries
        .iter()
        .map(|(name, entry)| (name.clone(), make(entry)))
        .collect()
}

fn is_rsa(algorithm: Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512
    )
}

fn read(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()))
}
