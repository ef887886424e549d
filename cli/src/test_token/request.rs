//! The request that is played through the filter.

use std::path::PathBuf;

use nexus_core::config::Config;
use nexus_host::Request;

use super::Args;
use crate::exit::{Failure, Result};
use crate::files;
use crate::inspect_token::cleaned;
use crate::output::{self, visible};

/// A request as the arguments describe it.
pub(super) struct Played {
    pub(super) method: String,
    pub(super) host: String,
    pub(super) path: String,
    /// The token in `Authorization`, where one was given.
    pub(super) token: Option<String>,
    headers: Vec<(String, String)>,
}

/// A header as the command line has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    name: String,
    value: String,
}

impl Played {
    /// The request of these arguments; what they leave open comes from the first app of the policy.
    ///
    /// # Errors
    /// When the token cannot be read or cannot stand in a header.
    pub(super) fn of(args: &Args, config: &Config) -> Result<Self> {
        let app = config.apps.first();
        let path = args
            .path
            .clone()
            .or_else(|| app.map(|app| app.path.clone()))
            .unwrap_or_else(|| "/".to_owned());
        let host = args
            .host
            .clone()
            .or_else(|| app.map(|app| concrete_host(&app.hosts)))
            .unwrap_or_else(|| "localhost".to_owned());
        let token = token(args)?;
        let mut headers = Vec::new();
        if let Some(token) = &token {
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        for header in &args.header {
            headers.push((header.name.clone(), header.value.clone()));
        }
        Ok(Self {
            method: args.method.clone(),
            host,
            path,
            token,
            headers,
        })
    }

    /// The request as the host takes it.
    pub(super) fn to_request(&self) -> Request {
        Request::new(&self.method, &self.host, &self.path).headers(
            self.headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        )
    }
}

/// A host that the first of these patterns matches.
fn concrete_host(patterns: &[String]) -> String {
    let any = patterns.iter().any(|pattern| pattern == "*");
    let exact = patterns.iter().find(|pattern| !pattern.contains('*'));
    match (any, exact, patterns.first()) {
        (true, ..) | (false, None, None) => "localhost".to_owned(),
        (false, Some(host), _) => host.clone(),
        (false, None, Some(pattern)) => pattern.replace('*', "www"),
    }
}

/// Standard input can be read only once.
///
/// # Errors
/// [`crate::exit::Blame::Usage`] when the policy and the token both come from it.
pub(super) fn refuse_two_readers(args: &Args) -> Result<()> {
    let reads_token = token_path(args).is_some_and(|path| files::is_dash(&path));
    if reads_token && files::is_dash(&args.policy) {
        return Err(Failure::usage(
            "the policy and the token cannot both come from standard input",
        ));
    }
    Ok(())
}

/// Where the token is read from; `None` when it is an argument, or there is none.
fn token_path(args: &Args) -> Option<PathBuf> {
    if args.stdin.is_some() || args.token.as_deref() == Some(files::DASH) {
        return Some(PathBuf::from(files::DASH));
    }
    args.token_file.clone()
}

fn token(args: &Args) -> Result<Option<String>> {
    match (token_path(args), &args.token) {
        (Some(path), _) => {
            let text = files::read_text(&path)?;
            one_line(&text, &files::describe_input(&path)).map(Some)
        }
        (None, Some(token)) => one_line(token, "the token").map(Some),
        (None, None) => Ok(None),
    }
}

/// The token in a text, ready for a header.
fn one_line(text: &str, name: &str) -> Result<String> {
    let (token, unusual) = cleaned(text);
    if unusual
        .iter()
        .any(|finding| finding.code == "bearer_prefix")
    {
        output::warning(&format!("{name} starts with `Bearer`, which was left out"));
    }
    if token.is_empty() {
        return Err(Failure::input(format!("{name} is empty"))
            .hint("leave the token out to send a request without one"));
    }
    if let Some(control) = token.chars().find(|character| character.is_control()) {
        return Err(Failure::input(format!("{name} cannot be sent in a header"))
            .evidence(format!("it contains `{}`", visible(&control.to_string()))));
    }
    Ok(token.to_owned())
}

/// Parses `name: value`.
///
/// # Errors
/// A sentence for the user.
pub(super) fn parse_header(text: &str) -> std::result::Result<Header, String> {
    if text.starts_with(':') {
        return Err(
            "`:method`, `:path` and `:authority` are set by `--method`, `--path` and `--host`"
                .to_owned(),
        );
    }
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| "expected `name: value`".to_owned())?;
    // A token of RFC 9110 §5.6.2.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(format!("`{}` is no name of a header", visible(name)));
    }
    let value = value.trim_matches([' ', '\t']);
    if value
        .chars()
        .any(|character| character.is_ascii_control() && character != '\t')
    {
        return Err("the value has a control character in it".to_owned());
    }
    Ok(Header {
        name: name.to_ascii_lowercase(),
        value: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_host_is_one_that_the_app_has() {
        for (patterns, host) in [
            (vec!["*"], "localhost"),
            (vec![], "localhost"),
            (vec!["api.example.com", "*"], "localhost"),
            (vec!["*.example.com", "api.example.com"], "api.example.com"),
            (vec!["*.example.com"], "www.example.com"),
        ] {
            let patterns: Vec<String> = patterns.into_iter().map(str::to_owned).collect();
            assert_eq!(concrete_host(&patterns), host, "{patterns:?}");
        }
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let header = parse_header("X-User:  a: b\t").unwrap();
        assert_eq!(
            (header.name.as_str(), header.value.as_str()),
            ("x-user", "a: b")
        );
        for text in ["novalue", ": x", ":path: /", "a b: c", "a: b\nc: d"] {
            assert!(parse_header(text).is_err(), "{text:?}");
        }
    }
}
