//! `nexusctl mint-proof`: DPoP proofs to try a policy out with (RFC 9449 §4.2).

use std::path::PathBuf;

use nexus_core::jose::Algorithm;
use nexus_core::target_uri::TargetUri;
use sha2::{Digest as _, Sha256};

use crate::exit::{Failure, Outcome, Result};
use crate::files;
use crate::json_text::quoted;
use crate::keygen::algorithm_parser;
use crate::keys::{base64url, parse_key_file, random_text};
use crate::output;
use crate::time::{self, Time, parse_time};

const EXAMPLES: &str = "\
Examples:
  A key of the client's, a token that is bound to it, and a proof for one request:
    $ nexusctl keygen --alg ES256 -o client.json
    $ nexusctl mint-token --key key.json --bind-key client.json > token
    $ nexusctl mint-proof --key client.json --url https://api.example.com/orders \\
        --token-file token > proof

  The request:
    $ curl -H \"Authorization: DPoP $(cat token)\" -H \"DPoP: $(cat proof)\" \\
        https://api.example.com/orders

A proof is for one request: nobody can use it a second time.";

/// Sign a DPoP proof for one request
///
/// Prints the proof alone, as it stands in the header `DPoP`.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("access_token").required(true).args(["token", "token_file"]))]
pub(crate) struct Args {
    /// The client's private key: a JWK, a JWK set with private keys, or PEM; `-` is standard input
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The algorithm [default: `alg` of the JWK, else what fits the key: RS256, ES256, EdDSA, …]
    #[arg(long, value_name = "ALG", value_parser = algorithm_parser())]
    alg: Option<Algorithm>,

    /// The access token that the request carries
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true)]
    token: Option<String>,

    /// Read the access token from this file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// The method of the request
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,

    /// The URL of the request; its query is left out
    #[arg(long, value_name = "URL")]
    url: String,

    /// The identifier of the proof [default: a new one]
    #[arg(long, value_name = "TEXT")]
    jti: Option<String>,

    /// What time it is [default: the machine's clock]
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    now: Option<Time>,
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let reads_token = args.token_file.as_deref().is_some_and(files::is_dash);
    if reads_token && files::is_dash(&args.key) {
        return Err(Failure::usage(
            "the key and the token cannot both come from standard input",
        ));
    }
    let text = zeroize::Zeroizing::new(files::read_text(&args.key)?);
    let signer = parse_key_file(&files::describe_input(&args.key), &text, None)?;
    let jwk = signer.key.bare_jwk().ok_or_else(|| {
        Failure::usage("a shared secret signs no proof")
            .hint("`nexusctl keygen --alg ES256` makes a key for a client")
    })?;
    let algorithm = args
        .alg
        .or(signer.algorithm)
        .or_else(|| signer.key.algorithms().first().copied())
        .ok_or_else(|| Failure::harness("the key has no algorithm"))?;
    let url = without_query(&args.url);
    if TargetUri::parse(url).is_none() {
        output::warning(
            "the URL is no absolute `http` or `https` URL with a clear path: the filter will refuse the proof",
        );
    }
    let token = match (&args.token, &args.token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(path)) => files::read_text(path)?.trim().to_owned(),
        (None, None) => return Err(Failure::harness("no token was asked for")),
    };
    let jti = match &args.jti {
        Some(jti) => jti.clone(),
        None => String::from_utf8_lossy(&random_text(16)).into_owned(),
    };
    let jwk = serde_json::to_string(&jwk)
        .map_err(|error| Failure::harness(format!("the key is no JSON: {error}")))?;
    let header = format!(
        "{{\"typ\":\"dpop+jwt\",\"alg\":{},\"jwk\":{jwk}}}",
        quoted(algorithm.name())
    );
    let payload = format!(
        "{{\"jti\":{},\"htm\":{},\"htu\":{},\"iat\":{},\"ath\":{}}}",
        quoted(&jti),
        quoted(&args.method),
        quoted(url),
        time::resolve_now(args.now).as_second(),
        quoted(&base64url(&Sha256::digest(token.as_bytes()))),
    );
    let message = format!(
        "{}.{}",
        base64url(header.as_bytes()),
        base64url(payload.as_bytes())
    );
    let signature = signer
        .key
        .sign(algorithm, message.as_bytes())
        .map_err(|error| Failure::usage(error.to_string()))?;
    output::data(format!("{message}.{signature}\n").as_bytes())?;
    Ok(Outcome::Fine)
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}
