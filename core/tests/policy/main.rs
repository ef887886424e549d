//! The policy language from outside: what is compiled to what, and what is refused with which words.

mod accepted;
mod documents;
mod every_field;
mod properties;
mod refused;
mod rendering;

use nexus_core::policy::{CompileOptions, Compiled, Diagnostics, Source, compile};

/// The files that policies of these tests name.
fn read(name: &str) -> Result<Vec<u8>, String> {
    let text: &[u8] = match name {
        "rsa.pem" => include_bytes!("../fixtures/policy/rsa.pem"),
        "rsa1024.pem" => include_bytes!("../fixtures/policy/rsa1024.pem"),
        "p256.pem" => include_bytes!("../fixtures/policy/p256.pem"),
        "p384.pem" => include_bytes!("../fixtures/policy/p384.pem"),
        "p521.pem" => include_bytes!("../fixtures/policy/p521.pem"),
        "k256.pem" => include_bytes!("../fixtures/policy/k256.pem"),
        "ed25519.pem" => include_bytes!("../fixtures/policy/ed25519.pem"),
        "x25519.pem" => include_bytes!("../fixtures/policy/x25519.pem"),
        "private.pem" => b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "ec.json" => EC_SET.as_bytes(),
        "array.json" => b"[]",
        "broken.json" => b"{\"keys\":\n  [}\n",
        "empty.json" => b"{\"keys\":[]}",
        _ => return Err("no such file".into()),
    };
    Ok(text.into())
}

/// A set with the key of `p256.pem`.
const EC_SET: &str = concat!(
    r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"ec","#,
    r#""x":"TLN7UQTXpcSNma0kNNjHiKEFRf3giq4VHgazbhfPsEk","#,
    r#""y":"iyGnqSBkjXVFHoxW2CqXhTBfa53wXiKe8T4RvD2jxXA"}]}"#
);

fn compiled(text: &str) -> Result<Compiled, Diagnostics> {
    compile(text.as_bytes(), &CompileOptions::default(), &mut read)
}

/// All that is said about a policy, as a person sees it.
fn said(text: &[u8]) -> String {
    let (errors, warnings) = match compile(text, &CompileOptions::default(), &mut read) {
        Ok(compiled) => (Vec::new(), compiled.warnings),
        Err(diagnostics) => (diagnostics.errors, diagnostics.warnings),
    };
    let source = Source::new("policy.json", text);
    errors
        .iter()
        .chain(&warnings)
        .map(|diagnostic| source.report(diagnostic).to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

/// A single app whose `auth` has these members beside `auth_type` `jwt`.
fn with_auth(members: &str) -> String {
    format!(
        "{{\"slug\":\"a\",\"gateway_path\":\"/a\",\"default_policy\":{{\"auth\":{{\"auth_type\":\"jwt\",\n{members}\n}}}}}}"
    )
}

/// A single app, open to everybody, with these members.
fn with_app(members: &str) -> String {
    format!("{{\"default_policy\":{{\"auth\":{{\"auth_type\":\"none\"}}}},\n{members}\n}}")
}

/// A single app with one more route of these members.
fn with_route(members: &str) -> String {
    with_app(&format!(
        "\"slug\":\"a\",\"gateway_path\":\"/a\",\"routes\":[{{\n{members}\n}}]"
    ))
}

/// A policy whose one app uses the provider `idp`, which has these members.
fn with_provider(members: &str) -> String {
    format!(
        "{{\"apps\":[{{\"slug\":\"a\",\"gateway_path\":\"/a\",\"default_policy\":{{\"auth\":\
         {{\"auth_type\":\"jwt\",\"providers\":[\"idp\"]}}}}}}],\"providers\":{{\"idp\":{{\n{members}\n}}}}}}"
    )
}
