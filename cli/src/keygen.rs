//! `nexusctl keygen`: a key to try things out with, and what a policy needs to know of it.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use nexus_core::jose::Algorithm;
use nexus_core::json::Value;
use zeroize::Zeroizing;

use crate::exit::{Failure, Outcome, Result};
use crate::files::{self, Access};
use crate::json_text;
use crate::keys::{MAX_RSA_BITS, MIN_RSA_BITS, Members, PrivateKey};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  A key for ES256, with the key set that a policy or an identity provider would publish:
    $ nexusctl keygen --alg ES256 -o key.json --jwks jwks.json

  A second key for the same set, as in a key rotation:
    $ nexusctl keygen --alg ES256 -o next.json --jwks jwks.json --append

  An RSA key in PEM, with the public key for `jwt_public_key_env`:
    $ nexusctl keygen --alg RS256 --bits 3072 -o key.pem --public-pem public.pem
    $ export JWT_PUBLIC_KEY=\"$(cat public.pem)\"

  A secret for `jwt_secret_env`:
    $ export JWT_SECRET=\"$(nexusctl keygen --alg HS256 --format secret)\"";

/// Generate a key and its public JWK set
///
/// The private key goes to standard output, or with mode 0600 to the file that `-o` names. Nothing is
/// overwritten without `--force`.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The algorithm that the key is for
    #[arg(long, value_name = "ALG", value_parser = algorithm_parser())]
    alg: Algorithm,

    /// The length of an RSA key in bits, 2048 to 8192 [default: 2048]
    #[arg(long, value_name = "N")]
    bits: Option<usize>,

    /// The `kid` of the key [default: its thumbprint by RFC 7638]
    #[arg(long, value_name = "KID")]
    kid: Option<String>,

    /// Write the private key to this file; `-` is standard output
    #[arg(short, long = "output-file", value_name = "FILE", default_value = files::DASH, hide_default_value = true)]
    output: PathBuf,

    /// How the private key is written [default: pem when FILE ends in .pem, otherwise jwk]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Write a JWK set with the public key to this file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,

    /// Add the public key to the JWK set in place of starting a new one
    #[arg(long, requires = "jwks")]
    append: bool,

    /// Write the public key in PEM to this file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    public_pem: Option<PathBuf>,

    /// Overwrite files that exist
    #[arg(long)]
    force: bool,
}

/// How a private key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A JSON Web Key (RFC 7517)
    Jwk,
    /// PKCS#8 in PEM (RFC 5208)
    Pem,
    /// The bare secret, for HS256, HS384 and HS512 only
    Secret,
}

/// Parses the name of an algorithm, and lists the names in help and errors.
pub(crate) fn algorithm_parser() -> impl clap::builder::TypedValueParser<Value = Algorithm> {
    use clap::builder::TypedValueParser as _;
    clap::builder::PossibleValuesParser::new(Algorithm::ALL.map(Algorithm::name)).try_map(|name| {
        Algorithm::from_name(&name).ok_or_else(|| format!("`{name}` is no algorithm"))
    })
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let format = format_of(args)?;
    check_usage(args, format)?;
    let bits = args.bits.unwrap_or(MIN_RSA_BITS);
    let key = PrivateKey::generate(args.alg, bits).map_err(internal)?;
    let kid = args.kid.clone().unwrap_or_else(|| key.thumbprint());
    // Everything is made before anything is written.
    let private = private_text(&key, args.alg, &kid, format)?;
    let public_set = match &args.jwks {
        Some(path) => Some((path, public_set(args, &key, &kid, path)?)),
        None => None,
    };
    let public_pem = match &args.public_pem {
        Some(path) => Some((
            path,
            key.public_pem().map_err(internal)?.unwrap_or_default(),
        )),
        None => None,
    };

    files::write(&args.output, private.as_bytes(), Access::Private)?;
    wrote(&args.output, &format!("{} key `{kid}`, private", args.alg));
    if let Some((path, text)) = public_set {
        files::write(path, text.as_bytes(), Access::Public)?;
        wrote(path, "JWK set, public");
    }
    if let Some((path, text)) = public_pem {
        files::write(path, text.as_bytes(), Access::Public)?;
        wrote(path, "public key");
    }
    Ok(Outcome::Fine)
}

fn wrote(path: &Path, what: &str) {
    if !files::is_dash(path) {
        output::status(&format!("wrote {} ({what})", path.display()));
    }
}

fn format_of(args: &Args) -> Result<Format> {
    let format =
        args.format.unwrap_or_else(
            || match args.output.extension().and_then(|end| end.to_str()) {
                Some("pem") => Format::Pem,
                _ => Format::Jwk,
            },
        );
    match (format, args.alg.is_symmetric()) {
        (Format::Pem, true) => Err(Failure::usage(format!(
            "a secret for {} cannot be written as PEM",
            args.alg
        ))
        .hint("use `--format jwk` or `--format secret`")),
        (Format::Secret, false) => Err(Failure::usage(format!(
            "a key for {} cannot be written as a bare secret",
            args.alg
        ))
        .hint("use `--format jwk` or `--format pem`")),
        (format, _) => Ok(format),
    }
}

fn check_usage(args: &Args, format: Format) -> Result<()> {
    let is_rsa = args.alg.name().starts_with(['R', 'P']);
    match args.bits {
        Some(_) if !is_rsa => {
            return Err(Failure::usage(format!(
                "`--bits` is for RSA keys, and {} has one length only",
                args.alg
            )));
        }
        Some(bits) if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) => {
            return Err(
                Failure::usage(format!("an RSA key of {bits} bits cannot be made"))
                    .evidence(format!(
                        "{MIN_RSA_BITS} to {MAX_RSA_BITS} bits are possible"
                    ))
                    .evidence(format!(
                        "fewer than {MIN_RSA_BITS} are refused by the filter (RFC 7518 §3.3)"
                    )),
            );
        }
        _ => {}
    }
    if args.alg.is_symmetric() {
        for (option, path) in [("--jwks", &args.jwks), ("--public-pem", &args.public_pem)] {
            if path.is_some() {
                return Err(Failure::usage(format!(
                    "`{option}` writes a public key, and a secret for {} has none",
                    args.alg
                ))
                .hint("whoever verifies needs the secret itself, as in `jwt_secret_env`"));
            }
        }
    }
    let outputs = [
        Some(&args.output),
        args.jwks.as_ref(),
        args.public_pem.as_ref(),
    ];
    let named: Vec<&PathBuf> = outputs.into_iter().flatten().collect();
    for (index, path) in named.iter().enumerate() {
        if named.iter().skip(index + 1).any(|other| other == path) {
            return Err(Failure::usage(format!(
                "two results cannot both go to {}",
                if files::is_dash(path) {
                    "standard output".to_owned()
                } else {
                    format!("`{}`", path.display())
                }
            ))
            .hint("name a file for the private key with `-o`"));
        }
    }
    if !args.force {
        for path in named {
            let appended = args.append && args.jwks.as_ref() == Some(path);
            if !appended {
                files::refuse_existing(path)?;
            }
        }
    }
    debug_assert!(format != Format::Pem || !args.alg.is_symmetric());
    Ok(())
}

fn private_text(
    key: &PrivateKey,
    algorithm: Algorithm,
    kid: &str,
    format: Format,
) -> Result<Zeroizing<String>> {
    match (format, key) {
        (Format::Secret, PrivateKey::Secret(secret)) => Ok(Zeroizing::new(format!(
            "{}\n",
            String::from_utf8_lossy(secret)
        ))),
        (Format::Pem, _) => Ok(key.private_pem().map_err(internal)?.unwrap_or_default()),
        _ => Ok(Zeroizing::new(json_text::prettify(&compact(
            &key.private_jwk(algorithm, kid),
        )?))),
    }
}

fn public_set(args: &Args, key: &PrivateKey, kid: &str, path: &Path) -> Result<String> {
    let Some(jwk) = key.public_jwk(args.alg, kid) else {
        return Err(Failure::usage(format!("{} has no public half", key.kind())));
    };
    let mut keys = Vec::new();
    if args.append && path.exists() {
        keys = existing_keys(path, kid)?;
    }
    keys.push(compact(&jwk)?);
    Ok(json_text::prettify(&format!(
        "{{\"keys\":[{}]}}",
        keys.join(",")
    )))
}

/// The keys of a set, as JSON. Whatever kinds they are, they stay as they are.
fn existing_keys(path: &Path, kid: &str) -> Result<Vec<String>> {
    let name = files::describe_input(path);
    let text = files::read_text(path)?;
    let document = json_text::parse(&name, &text)?;
    let keys = document
        .member("keys")
        .and_then(Value::as_array)
        .ok_or_else(|| Failure::input(format!("{name} is no JWK set")))?;
    if keys
        .iter()
        .any(|key| key.member("kid").and_then(Value::as_str) == Some(kid))
    {
        return Err(Failure::input(format!("{name} has a key `{kid}` already"))
            .hint("name the new key with `--kid`"));
    }
    Ok(keys.iter().map(ToString::to_string).collect())
}

fn compact(jwk: &Members) -> Result<String> {
    serde_json::to_string(jwk).map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::harness("cannot make the key").evidence(error.to_string())
}
