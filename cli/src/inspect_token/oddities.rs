//! What is unusual about a well-formed token.
//!
//! None of this decides anything: a policy may accept an odd token and refuse a plain one.

use jiff::Timestamp;
use nexus_core::jose::Algorithm;
use nexus_core::json::{Number, Value};

use super::Finding;
use super::anatomy::Anatomy;
use crate::output::{count, visible};
use crate::time::{distance, length_in_words};

/// The longest validity that is not remarked upon, in seconds: a week.
const LONG_LIFETIME: i64 = 7 * 24 * 3600;

/// How far ahead `iat` may be without remark, in seconds: clocks differ.
const FUTURE_LEEWAY: i64 = 60;

/// Later than this a NumericDate is taken for milliseconds: the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// Header members that name or carry a key (RFC 7515 §4.1), which only the token's author vouches for.
const KEY_MEMBERS: [&str; 4] = ["jwk", "jku", "x5u", "x5c"];

/// Everything unusual about a token at a time.
pub(super) fn of(anatomy: &Anatomy, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(header) = anatomy.header.json() {
        algorithm(&header, anatomy.signature_bytes, &mut findings);
        header_members(&header, &mut findings);
    }
    if let Some(claims) = anatomy.claims.json()
        && claims.as_object().is_some()
    {
        times(&claims, now, &mut findings);
        identity(&claims, &mut findings);
    }
    findings
}

fn algorithm(header: &Value<'_>, signature_bytes: Option<usize>, findings: &mut Vec<Finding>) {
    let Some(value) = header.member("alg") else {
        if header.as_object().is_some() {
            findings.push(Finding::new("alg_missing", "no `alg`: nothing accepts it"));
        }
        return;
    };
    let Some(name) = value.as_str() else {
        findings.push(Finding::new(
            "alg_unknown",
            format!("`alg` is {}, not a string", value.kind_name()),
        ));
        return;
    };
    if name.eq_ignore_ascii_case("none") {
        findings.push(Finding::new(
            "alg_none",
            "`alg` is `none`: the token is not signed, and nothing may accept it",
        ));
        return;
    }
    match Algorithm::from_name(name) {
        None => findings.push(Finding::new(
            "alg_unknown",
            format!("`alg` is `{}`, which Nexus does not verify", visible(name)),
        )),
        Some(algorithm) => {
            if algorithm.is_symmetric() {
                findings.push(Finding::new(
                    "alg_symmetric",
                    format!("`alg` is {algorithm}: whoever can verify the token can also make one"),
                ));
            }
            if let Some(length) = signature_bytes {
                signature_length(algorithm, length, findings);
            }
        }
    }
}

fn signature_length(algorithm: Algorithm, length: usize, findings: &mut Vec<Finding>) {
    let expected = match algorithm {
        Algorithm::Es256 | Algorithm::Es256k | Algorithm::EdDsa | Algorithm::Hs512 => 64,
        Algorithm::Es384 => 96,
        Algorithm::Es512 => 132,
        Algorithm::Hs256 => 32,
        Algorithm::Hs384 => 48,
        // As long as the modulus, which the token does not tell.
        _ if length < 256 => 256,
        _ => length,
    };
    if length == 0 {
        findings.push(Finding::new("signature_empty", "the signature is empty"));
    } else if length != expected {
        let least = if algorithm.name().starts_with(['R', 'P']) {
            " or more"
        } else {
            ""
        };
        findings.push(Finding::new(
            "signature_length",
            format!(
                "the signature has {}, {algorithm} gives {expected}{least}",
                count(length, "byte")
            ),
        ));
    }
}

fn header_members(header: &Value<'_>, findings: &mut Vec<Finding>) {
    if header.as_object().is_some() && header.member("kid").is_none() {
        findings.push(Finding::new(
            "kid_missing",
            "no `kid`: every key that fits the algorithm has to be tried",
        ));
    }
    if let Some(kid) = header.member("kid")
        && kid.as_str().is_none_or(|kid| {
            kid.is_empty() || kid.contains("..") || kid.contains(['/', '\\', '\'', '"', '\0'])
        })
    {
        findings.push(Finding::new(
            "kid_odd",
            "`kid` is not a plain name, and may be meant for something that looks keys up in files or a database",
        ));
    }
    for name in KEY_MEMBERS {
        if header.member(name).is_some() {
            findings.push(Finding::new(
                "embedded_key",
                format!("`{name}` brings a key of the token's own choice, which Nexus never uses"),
            ));
        }
    }
    if header.member("crit").is_some() {
        findings.push(Finding::new(
            "crit",
            "`crit` asks for extensions, and Nexus refuses those that it does not know (RFC 7515 §4.1.11)",
        ));
    }
    if header.member("b64").is_some() {
        findings.push(Finding::new(
            "b64",
            "`b64` changes how the payload is read, which RFC 7797 §7 forbids for JWTs",
        ));
    }
    if header.member("enc").is_some() || header.member("zip").is_some() {
        findings.push(Finding::new(
            "encrypted",
            "`enc` and `zip` belong to encrypted tokens, which Nexus does not read",
        ));
    }
    if let Some(typ) = header.member("typ").and_then(Value::as_str) {
        let short = typ
            .get(..12)
            .filter(|prefix| prefix.eq_ignore_ascii_case("application/"))
            .and_then(|_| typ.get(12..))
            .unwrap_or(typ);
        let known = ["jwt", "at+jwt", "id+jwt"];
        if !known.contains(&short.to_ascii_lowercase().as_str()) {
            findings.push(Finding::new(
                "typ_odd",
                format!(
                    "`typ` is `{}`: it may be meant for another use than access (RFC 8725 §3.11)",
                    visible(typ)
                ),
            ));
        }
    }
}

fn times(claims: &Value<'_>, now: Timestamp, findings: &mut Vec<Finding>) {
    let seconds_now = now.as_second();
    let exp = numeric_date(claims, "exp", findings);
    let nbf = numeric_date(claims, "nbf", findings);
    let iat = numeric_date(claims, "iat", findings);
    match exp {
        Some(exp) if exp <= seconds_now => findings.push(Finding::new(
            "expired",
            format!("expired {}", distance(exp, now)),
        )),
        None if claims.member("exp").is_none() => findings.push(Finding::new(
            "exp_missing",
            "no `exp`: the token never expires",
        )),
        _ => {}
    }
    if let Some(nbf) = nbf.filter(|nbf| *nbf > seconds_now) {
        findings.push(Finding::new(
            "not_yet_valid",
            format!("not valid yet, only {}", distance(nbf, now)),
        ));
    }
    if let Some(iat) = iat.filter(|iat| *iat > seconds_now.saturating_add(FUTURE_LEEWAY)) {
        findings.push(Finding::new(
            "iat_future",
            format!("issued in the future, {}", distance(iat, now)),
        ));
    }
    if let (Some(exp), Some(start)) = (exp, iat.or(nbf)) {
        let lifetime = exp.saturating_sub(start);
        if lifetime < 0 {
            findings.push(Finding::new(
                "lifetime_negative",
                "it expires before it is issued",
            ));
        } else if lifetime > LONG_LIFETIME && exp < MILLISECONDS_FROM {
            findings.push(Finding::new(
                "lifetime_long",
                format!("valid for {}", length_in_words(lifetime.unsigned_abs())),
            ));
        }
    }
}

/// The claim as whole seconds, with remarks on how it is written.
fn numeric_date(claims: &Value<'_>, name: &str, findings: &mut Vec<Finding>) -> Option<i64> {
    let value = claims.member(name)?;
    let Some(number) = value.as_number() else {
        findings.push(Finding::new(
            "time_not_a_number",
            format!(
                "`{name}` is {}, not a number (RFC 7519 §2)",
                value.kind_name()
            ),
        ));
        return None;
    };
    let seconds = Number::floor(number);
    if seconds >= MILLISECONDS_FROM {
        findings.push(Finding::new(
            "time_in_milliseconds",
            format!("`{name}` looks like milliseconds; it has to be seconds (RFC 7519 §2)"),
        ));
    } else if seconds < 0 {
        findings.push(Finding::new(
            "time_negative",
            format!("`{name}` is before 1970"),
        ));
    }
    Some(seconds)
}

fn identity(claims: &Value<'_>, findings: &mut Vec<Finding>) {
    if claims.member("iss").is_none() {
        findings.push(Finding::new(
            "iss_missing",
            "no `iss`: it does not say who issued it",
        ));
    }
    if claims.member("aud").is_none() {
        findings.push(Finding::new(
            "aud_missing",
            "no `aud`: it does not say whom it is for",
        ));
    }
}
