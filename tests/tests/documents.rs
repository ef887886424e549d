//! What the documents show is what happens: every `console` block in them is run, in order, and its
//! output compared.
//!
//! A block has lines that start with `$ ` (the command, continued by lines that start with `> `), then what
//! it prints on standard output and error, and `? N` where it exits with N other than 0. `[..]` in a line
//! stands for any text. `NEXUS_UPDATE=1` writes what was printed into the document.

use std::fs;
use std::path::Path;
use std::process::Command;

use nexus_tests::{artifacts, cases::example::folders};

/// A command in a document and what it says will happen.
struct Step {
    /// The first line of the output, from 0.
    line: usize,
    command: String,
    output: Vec<String>,
    status: i32,
}

fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_block = false;
    for (number, line) in document.lines().enumerate() {
        if line.starts_with("```") {
            in_block = line == "```console";
        } else if in_block {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step {
                    line: number + 1,
                    command: command.to_owned(),
                    output: Vec::new(),
                    status: 0,
                });
                continue;
            }
            let step = steps.last_mut().expect("a block starts with a command");
            if let Some(more) = line.strip_prefix("> ") {
                step.command.push('\n');
                step.command.push_str(more);
                step.line = number + 1;
            } else if let Some(status) = line.strip_prefix("? ") {
                step.status = status.parse().expect("an exit code");
            } else {
                step.output.push(line.to_owned());
            }
        }
    }
    steps
}

/// Whether `line` is what `pattern` says, `[..]` being any text.
fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            None => return false,
            Some(at) => rest = &rest[at + part.len()..],
        }
    }
    true
}

fn run(command: &str, folder: &Path) -> (Vec<String>, i32) {
    let nexusctl = artifacts::nexusctl();
    let tools = nexusctl.parent().expect("nexusctl lies in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("{{ {command}\n}} 2>&1"))
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("NO_COLOR", "1")
        .output()
        .expect("a POSIX shell is there: install `sh`");
    let text = String::from_utf8(output.stdout).expect("the output is UTF-8");
    let lines = text.lines().map(str::to_owned).collect();
    (
        lines,
        output.status.code().expect("the command was not killed"),
    )
}

fn check(document: &str) {
    let path = artifacts::repository().join(document);
    let text = fs::read_to_string(&path).expect(document);
    let folder = tempfile::tempdir().expect("a folder for the run");
    for shared in ["docs", "envoy-config", "examples"] {
        std::os::unix::fs::symlink(
            artifacts::repository().join(shared),
            folder.path().join(shared),
        )
        .expect(shared);
    }
    let update = std::env::var_os("NEXUS_UPDATE").is_some();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut shift = 0_isize;
    let steps = steps(&text);
    assert!(!steps.is_empty(), "{document} has no command to run");
    for step in &steps {
        let (output, status) = run(&step.command, folder.path());
        let same = output.len() == step.output.len()
            && step
                .output
                .iter()
                .zip(&output)
                .all(|(pattern, line)| fits(pattern, line));
        if update && !same {
            let start = step
                .line
                .checked_add_signed(shift)
                .expect("a line of the document");
            lines.splice(start..start + step.output.len(), output.iter().cloned());
            shift += output.len() as isize - step.output.len() as isize;
            continue;
        }
        assert!(
            same && status == step.status,
            "{document} says that\n$ {}\nprints\n{}\n? {}\nbut it prints\n{}\n? {status}\n\
             hint: `NEXUS_UPDATE=1 cargo xtask test what_happens` writes this into the document",
            step.command,
            step.output.join("\n"),
            step.status,
            output.join("\n"),
        );
    }
    if update {
        fs::write(&path, lines.join("\n") + "\n").expect("the document can be written");
    }
}

#[test]
fn the_readme_shows_what_happens() {
    check("README.md");
}

#[test]
fn the_page_about_imports_shows_what_happens() {
    check("docs/migrating.md");
}

#[test]
fn the_readmes_of_the_examples_show_what_happens() {
    for folder in folders() {
        let readme = folder.join("README.md");
        let document = readme
            .strip_prefix(artifacts::repository())
            .expect("examples are in the repository");
        check(document.to_str().expect("a path in UTF-8"));
    }
}

#[test]
fn the_policies_of_the_readme_compile() {
    let readme = fs::read_to_string(artifacts::repository().join("README.md")).expect("README.md");
    let policies: Vec<&str> = readme
        .split("```json\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert!(policies.len() > 1, "the README shows policies");
    let folder = tempfile::tempdir().expect("a folder for the run");
    let keygen = "nexusctl keygen --alg ES256 --jwks partners.jwks.json -o key.json";
    assert_eq!(run(keygen, folder.path()).1, 0);
    for policy in &policies {
        fs::write(folder.path().join("policy.json"), policy).expect("a policy can be written");
        let (output, status) = run("nexusctl compile-policy policy.json --check", folder.path());
        assert_eq!(status, 0, "{}", output.join("\n"));
    }
    let example = artifacts::repository().join("examples/sso-app/policy.json");
    let example = fs::read_to_string(example).expect("the example's policy");
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(
        parsed(policies[0]),
        parsed(&example),
        "the README shows the example's policy"
    );
}

#[test]
fn a_pattern_stands_for_any_text() {
    for (pattern, line, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a[..]", "ab", true),
        ("[..]c", "abc", true),
        ("a[..]c[..]e", "abcde", true),
        ("a[..]c", "abd", false),
        ("a[..]x[..]e", "abcde", false),
        ("[..]", "", true),
    ] {
        assert_eq!(fits(pattern, line), expected, "{pattern} {line}");
    }
}
