use crate::sandbox::{Sandbox, transcripts};

#[test]
fn help_texts() {
    let sandbox = Sandbox::new();
    let nested = sandbox.run(["jwks", "check", "--help"]).expect(0);
    insta::assert_snapshot!("help-jwks-check", nested.transcript());
    insta::assert_snapshot!("help", sandbox.run(["--help"]).expect(0).transcript());
    insta::assert_snapshot!("help-short", sandbox.run(["-h"]).expect(0).transcript());
    for command in [
        "compile-policy",
        "compile-revocations",
        "import",
        "test-token",
        "inspect-token",
        "jwks",
        "mint-token",
        "mint-proof",
        "keygen",
        "completions",
        "man",
    ] {
        let run = sandbox.run([command, "--help"]).expect(0);
        insta::assert_snapshot!(format!("help-{command}"), run.transcript());
    }
}

#[test]
fn version_is_that_of_the_package() {
    let run = Sandbox::new().run(["--version"]).expect(0);
    assert_eq!(
        run.stdout,
        format!("nexusctl {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_arguments_end_with_2() {
    let sandbox = Sandbox::new();
    let runs = [
        sandbox.run([""; 0]).expect(2),
        sandbox.run(["mint"]).expect(2),
        sandbox.run(["keygen"]).expect(2),
        sandbox.run(["keygen", "--alg", "ES255"]).expect(2),
        sandbox.run(["mint-token", "--expires-in", "60"]).expect(2),
        sandbox
            .run(["inspect-token", "x", "--token-file", "y"])
            .expect(2),
    ];
    insta::assert_snapshot!(transcripts(&runs));
}

#[test]
fn the_generated_page_has_every_command() {
    let page = Sandbox::new().run(["docs", "cli"]).expect(0).stdout;
    for title in [
        "## nexusctl\n",
        "## nexusctl jwks check\n",
        "## nexusctl mint-token\n",
        "## nexusctl man\n",
    ] {
        assert!(page.contains(title), "{title}");
    }
    assert!(!page.contains("## nexusctl docs"));
}
