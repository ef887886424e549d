use std::io::Read as _;
use std::process::Stdio;

use crate::sandbox::Sandbox;

#[test]
fn every_shell_gets_a_script_with_the_commands_in_it() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = sandbox.run(["completions", shell]).expect(0);
        assert!(run.stdout.contains("mint-token"), "{shell}");
        assert_eq!(run.stderr, "", "{shell}");
    }
}

#[test]
fn manual_pages_are_written_one_per_command() {
    let sandbox = Sandbox::new();
    sandbox.run(["man", "--dir", "man/man1"]).expect(0);
    for page in [
        "nexusctl.1",
        "nexusctl-jwks-check.1",
        "nexusctl-keygen.1",
        "nexusctl-mint-token.1",
    ] {
        let text = sandbox.read(&format!("man/man1/{page}"));
        assert!(text.contains(".TH nexusctl"), "{page}: {text}");
    }
    assert!(!sandbox.path("man/man1/nexusctl-docs.1").exists());
    let single = sandbox.run(["man"]).expect(0);
    assert_eq!(single.stdout, sandbox.read("man/man1/nexusctl.1"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .command()
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed unread, while there is more to write than a pipe holds or before anything is written.
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}
