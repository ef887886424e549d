//! `nexusctl mint-token`: tokens to try a policy out with, good ones and bad ones.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use nexus_core::jose::Algorithm;
use nexus_core::json::{self, Value};

use crate::exit::{Failure, Outcome, Result};
use crate::files;
use crate::json_text::{self, quoted};
use crate::keygen::algorithm_parser;
use crate::keys::{KeyFile, PrivateKey, base64url, parse_key_file};
use crate::output::{self, count, visible};
use crate::time::{self, Time, parse_duration, parse_time};

const EXAMPLES: &str = "\
Examples:
  A token that is valid for an hour:
    $ nexusctl mint-token --key key.json --iss https://idp.example.com --aud my-app --sub alice

  Claims of any kind; a value that is JSON is taken as JSON, all else as a string:
    $ nexusctl mint-token --key key.json --claim email=alice@example.com --claim 'roles=[\"admin\"]'

  A token that ran out five minutes ago, and one that is not valid yet:
    $ nexusctl mint-token --key key.json --sub alice --expires-in=-5m
    $ nexusctl mint-token --key key.json --sub alice --not-before +10m

  The same claims every time:
    $ nexusctl mint-token --key key.json --sub alice --now 2026-01-01T00:00:00Z

  A token that only whoever holds a key can use (see `nexusctl mint-proof`):
    $ nexusctl mint-token --key key.json --bind-key client.json

  With the secret that the proxy has in an environment variable:
    $ nexusctl mint-token --secret-env JWT_SECRET --sub alice

TIME is seconds since the epoch (1700000000), RFC 3339 (2023-11-14T22:13:20Z), now, or an offset
from now (+5m, -1h30m). DURATION is numbers with units (90s, 1h30m, 7d).";

/// Sign a token
///
/// Prints the token alone. Unless told otherwise it has `iat` and an `exp` one hour later.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("signer").required(true).args(["key", "secret_env"]))]
pub(crate) struct Args {
    /// The private key: a JWK, a JWK set with private keys, or PEM; `-` is standard input
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Sign with the secret in this environment variable, its bytes as they are
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,

    /// The algorithm [default: `alg` of the JWK, else what fits the key: RS256, ES256, HS256, …]
    #[arg(long, value_name = "ALG", value_parser = algorithm_parser())]
    alg: Option<Algorithm>,

    /// The `kid` of the header; chooses the key of a JWK set [default: that of the JWK]
    #[arg(long, value_name = "KID", conflicts_with = "no_kid")]
    kid: Option<String>,

    /// Leave `kid` out
    #[arg(long)]
    no_kid: bool,

    /// The `typ` of the header; empty leaves it out
    #[arg(long, value_name = "TYPE", default_value = "JWT")]
    typ: String,

    /// Add or replace a member of the header; VALUE is JSON, or else a string
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    header: Vec<(String, String)>,

    /// Add or replace a claim; VALUE is JSON, or else a string
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    claim: Vec<(String, String)>,

    /// Start from the claims in this file, a JSON object; `-` is standard input
    #[arg(long, value_name = "FILE")]
    claims_file: Option<PathBuf>,

    /// The issuer
    #[arg(long, value_name = "TEXT")]
    iss: Option<String>,

    /// The subject
    #[arg(long, value_name = "TEXT")]
    sub: Option<String>,

    /// The audience; an array when given several times
    #[arg(long, value_name = "TEXT")]
    aud: Vec<String>,

    /// The identifier of the token
    #[arg(long, value_name = "TEXT")]
    jti: Option<String>,

    /// How long the token is valid; negative makes it expired [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["exp", "no_exp"])]
    expires_in: Option<SignedDuration>,

    /// When the token expires
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    #[arg(conflicts_with = "no_exp")]
    exp: Option<Time>,

    /// Leave `exp` out
    #[arg(long)]
    no_exp: bool,

    /// When the token starts to be valid [default: no `nbf`]
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    not_before: Option<Time>,

    /// When the token was issued [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    #[arg(conflicts_with = "no_iat")]
    issued_at: Option<Time>,

    /// Leave `iat` out
    #[arg(long)]
    no_iat: bool,

    /// Bind the token to this client's key, as `jkt` in `cnf` (RFC 9449); `-` is standard input
    #[arg(long, value_name = "FILE")]
    bind_key: Option<PathBuf>,

    /// What time it is [default: the machine's clock]
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    now: Option<Time>,
}

/// The members of a JSON object: names, and values as JSON text.
#[derive(Debug, Default)]
struct Object(Vec<(String, String)>);

impl Object {
    fn set(&mut self, name: &str, json: String) {
        match self.0.iter_mut().find(|(existing, _)| existing == name) {
            Some((_, value)) => *value = json,
            None => self.0.push((name.to_owned(), json)),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(existing, _)| existing == name)
    }

    fn to_json(&self) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{}:{value}", quoted(name)))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let others = [args.key.as_deref(), args.claims_file.as_deref()];
    if args.bind_key.as_deref().is_some_and(files::is_dash)
        && others.into_iter().flatten().any(files::is_dash)
    {
        return Err(Failure::usage(
            "the client's key and another file cannot both come from standard input",
        ));
    }
    let signer = signer(args)?;
    let claims = claims(args, time::resolve_now(args.now))?;
    let algorithm = args
        .alg
        .or(signer.algorithm)
        .or_else(|| signer.key.algorithms().first().copied())
        .ok_or_else(|| Failure::harness("the key has no algorithm"))?;
    let header = header(args, algorithm, signer.kid.as_deref())?;
    warn_about(&signer.key, algorithm);
    let message = format!(
        "{}.{}",
        base64url(header.to_json().as_bytes()),
        base64url(claims.to_json().as_bytes())
    );
    let signature = signer
        .key
        .sign(algorithm, message.as_bytes())
        .map_err(|error| Failure::usage(error.to_string()))?;
    output::data(format!("{message}.{signature}\n").as_bytes())?;
    Ok(Outcome::Fine)
}

fn signer(args: &Args) -> Result<KeyFile> {
    if let Some(name) = &args.secret_env {
        let secret = std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| {
                Failure::input(format!(
                    "the environment variable `{name}` is not set or empty"
                ))
            })?;
        use std::os::unix::ffi::OsStringExt as _;
        return Ok(KeyFile {
            key: PrivateKey::Secret(secret.into_vec().into()),
            algorithm: None,
            kid: None,
        });
    }
    let path = args.key.as_deref().unwrap_or(files::DASH.as_ref());
    if files::is_dash(path) && args.claims_file.as_deref().is_some_and(files::is_dash) {
        return Err(Failure::usage(
            "the key and the claims cannot both come from standard input",
        ));
    }
    let text = zeroize::Zeroizing::new(files::read_text(path)?);
    parse_key_file(&files::describe_input(path), &text, args.kid.as_deref())
}

/// What the filter would refuse about the key itself.
fn warn_about(key: &PrivateKey, algorithm: Algorithm) {
    if let Some(bits) = key.rsa_bits()
        && bits < crate::keys::MIN_RSA_BITS
    {
        output::warning(&format!(
            "the RSA key has {bits} bits, and the filter refuses fewer than {}",
            crate::keys::MIN_RSA_BITS
        ));
    }
    let minimum = match algorithm {
        Algorithm::Hs256 => 32,
        Algorithm::Hs384 => 48,
        Algorithm::Hs512 => 64,
        _ => 0,
    };
    if let PrivateKey::Secret(secret) = key
        && secret.len() < minimum
    {
        output::warning(&format!(
            "the secret has {}, and {algorithm} asks for {minimum} or more (RFC 7518 §3.2)",
            count(secret.len(), "byte")
        ));
    }
}

fn header(args: &Args, algorithm: Algorithm, key_kid: Option<&str>) -> Result<Object> {
    let mut header = Object::default();
    header.set("alg", quoted(algorithm.name()));
    if !args.typ.is_empty() {
        header.set("typ", quoted(&args.typ));
    }
    if let Some(kid) = args.kid.as_deref().or(key_kid).filter(|_| !args.no_kid) {
        header.set("kid", quoted(kid));
    }
    set_pairs(&mut header, "--header", &args.header)?;
    if args.header.iter().any(|(name, _)| name == "alg") {
        output::warning(&format!(
            "the header says another `alg` than {algorithm}, which the token is signed with"
        ));
    }
    Ok(header)
}

fn claims(args: &Args, now: Timestamp) -> Result<Object> {
    let mut claims = match &args.claims_file {
        Some(path) => {
            let name = files::describe_input(path);
            let text = files::read_text(path)?;
            object(&name, &json_text::parse(&name, &text)?)?
        }
        None => Object::default(),
    };
    let texts = [("iss", &args.iss), ("sub", &args.sub), ("jti", &args.jti)];
    for (name, text) in texts {
        if let Some(text) = text {
            claims.set(name, quoted(text));
        }
    }
    let audiences: Vec<String> = args.aud.iter().map(|audience| quoted(audience)).collect();
    match audiences.as_slice() {
        [] => {}
        [only] => claims.set("aud", only.clone()),
        several => claims.set("aud", format!("[{}]", several.join(","))),
    }
    set_times(args, now, &mut claims);
    if let Some(path) = &args.bind_key {
        let thumbprint = quoted(&client_thumbprint(path)?);
        claims.set("cnf", format!("{{\"jkt\":{thumbprint}}}"));
    }
    set_pairs(&mut claims, "--claim", &args.claim)?;
    Ok(claims)
}

/// The thumbprint of the client's key in a file.
fn client_thumbprint(path: &Path) -> Result<String> {
    let text = zeroize::Zeroizing::new(files::read_text(path)?);
    let client = parse_key_file(&files::describe_input(path), &text, None)?;
    if matches!(client.key, PrivateKey::Secret(_)) {
        return Err(Failure::usage("a token cannot be bound to a shared secret"));
    }
    Ok(client.key.thumbprint())
}

/// Sets the times that were asked for, and those that a token has unless it was told otherwise.
fn set_times(args: &Args, now: Timestamp, claims: &mut Object) {
    let seconds = |timestamp: Timestamp| timestamp.as_second().to_string();
    if let Some(time) = args.not_before {
        claims.set("nbf", seconds(time.resolve(now)));
    }
    match args.issued_at {
        Some(time) => claims.set("iat", seconds(time.resolve(now))),
        None if args.no_iat => claims.0.retain(|(name, _)| name != "iat"),
        None if claims.has("iat") => {}
        None => claims.set("iat", seconds(now)),
    }
    match (args.exp, args.expires_in) {
        (Some(time), _) => claims.set("exp", seconds(time.resolve(now))),
        (None, Some(duration)) => {
            claims.set("exp", seconds(Time::FromNow(duration).resolve(now)));
        }
        (None, None) if args.no_exp => claims.0.retain(|(name, _)| name != "exp"),
        (None, None) if claims.has("exp") => {}
        (None, None) => {
            let hour = Time::FromNow(SignedDuration::from_hours(1));
            claims.set("exp", seconds(hour.resolve(now)));
        }
    }
}

fn object(name: &str, value: &Value<'_>) -> Result<Object> {
    let members = value.as_object().ok_or_else(|| {
        Failure::input(format!("{name} holds no claims"))
            .evidence(format!("it is {}, not an object", value.kind_name()))
    })?;
    Ok(Object(
        members
            .iter()
            .map(|member| (member.name.clone().into_owned(), member.value.to_string()))
            .collect(),
    ))
}

fn set_pairs(object: &mut Object, option: &str, pairs: &[(String, String)]) -> Result<()> {
    for (index, (name, value)) in pairs.iter().enumerate() {
        if pairs.iter().take(index).any(|(earlier, _)| earlier == name) {
            return Err(Failure::usage(format!(
                "`{option} {}=…` is given twice",
                visible(name)
            )));
        }
        let json = match json::parse(value.as_bytes()) {
            Ok(value) => value.to_string(),
            Err(_) => quoted(value),
        };
        object.set(name, json);
    }
    Ok(())
}

fn parse_pair(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
