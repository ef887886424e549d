//! The program as people call it.
//!
//! `xtask::artifacts` builds this test beside each native executable; see there why.

use std::process::{Command, Output};

fn xtask(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn help_tells_how_it_is_called_and_names_every_command() {
    let output = xtask(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(
        help.contains("Usage: cargo xtask [OPTIONS] <COMMAND>"),
        "{help}"
    );
    for command in ["build", "test", "check", "demo", "bench", "docs", "audit"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
}

#[test]
fn unknown_toolchain_is_a_usage_error_that_names_the_known_ones() {
    let output = xtask(&["build", "--toolchain", "gcc"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("[possible values: auto, rustup, debian]"),
        "{error}"
    );
}
