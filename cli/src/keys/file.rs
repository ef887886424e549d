//! A file that holds a key: a JWK, a JWK set or PEM.

use nexus_core::jose::Algorithm;
use nexus_core::json::Value;

use super::{KeyError, PrivateKey, jwk, pem};
use crate::exit::{Failure, Result};
use crate::json_text;
use crate::output::visible;

/// A key and what its file says about it.
pub(crate) struct KeyFile {
    /// The key.
    pub(crate) key: PrivateKey,
    /// The `alg` of a JWK.
    pub(crate) algorithm: Option<Algorithm>,
    /// The `kid` of a JWK.
    pub(crate) kid: Option<String>,
}

/// Reads the private key of a file; `name` is how messages name it. Of a JWK set it takes the key with
/// `kid`, or the only private key.
///
/// # Errors
/// [`crate::exit::Blame::Input`]
pub(crate) fn parse_key_file(name: &str, text: &str, kid: Option<&str>) -> Result<KeyFile> {
    let refused = |error: KeyError| {
        let failure =
            Failure::input(format!("{name} cannot be used to sign")).evidence(error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    };
    if text.contains("-----BEGIN ") {
        let key = pem::parse(text).map_err(refused)?;
        return Ok(KeyFile {
            key,
            algorithm: None,
            kid: None,
        });
    }
    if !text.trim_start().starts_with('{') {
        return Err(refused(KeyError::UnknownFormat));
    }
    let document = json_text::parse(name, text)?;
    let jwk = match document.member("keys") {
        Some(keys) => choose(name, keys, kid)?,
        None => &document,
    };
    let algorithm = match jwk.member("alg").and_then(Value::as_str) {
        None => None,
        Some(algorithm) => Some(Algorithm::from_name(algorithm).ok_or_else(|| {
            refused(KeyError::InvalidMember(
                "alg",
                format!("is `{}`, which signs no token", visible(algorithm)),
            ))
        })?),
    };
    let key = jwk::parse(jwk).map_err(refused)?;
    if let Some(algorithm) = algorithm {
        key.check(algorithm).map_err(refused)?;
    }
    Ok(KeyFile {
        key,
        algorithm,
        kid: jwk.member("kid").and_then(Value::as_str).map(str::to_owned),
    })
}

fn choose<'v, 'a>(name: &str, keys: &'v Value<'a>, kid: Option<&str>) -> Result<&'v Value<'a>> {
    let all = keys.as_array().ok_or_else(|| {
        Failure::input(format!("{name} is no JWK set"))
            .evidence(format!("`keys` is {}, not an array", keys.kind_name()))
    })?;
    let private: Vec<&Value<'a>> = all
        .iter()
        .filter(|jwk| jwk.member("d").is_some() || jwk.member("k").is_some())
        .collect();
    let kid_of = |jwk: &Value<'a>| jwk.member("kid").and_then(Value::as_str).map(str::to_owned);
    let wanted: Vec<&Value<'a>> = match kid {
        Some(kid) => private
            .iter()
            .copied()
            .filter(|jwk| kid_of(jwk).as_deref() == Some(kid))
            .collect(),
        None => private.clone(),
    };
    match (wanted.as_slice(), private.is_empty()) {
        ([only], _) => Ok(only),
        (_, true) => Err(Failure::input(format!("{name} cannot be used to sign"))
            .evidence(KeyError::Public.to_string())),
        _ => {
            let kids: Vec<String> = private
                .iter()
                .map(|jwk| match kid_of(jwk) {
                    Some(kid) => format!("`{}`", visible(&kid)),
                    None => "one without `kid`".to_owned(),
                })
                .collect();
            let found = if wanted.is_empty() {
                "no"
            } else {
                "more than one"
            };
            let failure = Failure::input(match kid {
                Some(kid) => format!("{name} has {found} private key `{}`", visible(kid)),
                None => format!("{name} has {found} private key"),
            });
            Err(failure
                .evidence(format!("it has {}", kids.join(", ")))
                .hint("choose one with `--kid`"))
        }
    }
}
