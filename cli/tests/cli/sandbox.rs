//! A folder in which `nexusctl` is run, and what it printed, as one text.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// 2023-11-14T22:13:20Z, the present of these tests.
pub(crate) const NOW: &str = "1700000000";

/// The private key of RFC 8037 appendix A.1.
pub(crate) const ED25519_JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"rfc8037",
"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// A folder of its own.
pub(crate) struct Sandbox {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// A finished run.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    line: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            variables: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), content).unwrap();
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexusctl"));
        // Servers of tests are reached without any proxy.
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            command
                .env_remove(name)
                .env_remove(name.to_ascii_uppercase());
        }
        command
            .current_dir(self.folder.path())
            .env_remove("CLICOLOR_FORCE")
            .env_remove("NO_COLOR")
            .env_remove("COLUMNS")
            .envs(self.variables.clone())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run {
        self.run_with("", args)
    }

    pub(crate) fn run_with<A: AsRef<OsStr>>(
        &self,
        stdin: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Run {
        let mut command = self.command();
        let mut line = "$ nexusctl".to_owned();
        for arg in args {
            let shown = arg.as_ref().to_str().unwrap();
            let is_plain = !shown.is_empty()
                && shown.chars().all(|character| {
                    character.is_ascii_alphanumeric() || "-_./:=@+,".contains(character)
                });
            if is_plain {
                let _ = write!(line, " {shown}");
            } else {
                let _ = write!(line, " '{shown}'");
            }
            command.arg(arg);
        }
        if !stdin.is_empty() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().unwrap();
        if let Some(mut pipe) = child.stdin.take() {
            match pipe.write_all(stdin.as_bytes()) {
                // A run that does not read its input is no failure of the test.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                result => result.unwrap(),
            }
        }
        Run::new(line, child.wait_with_output().unwrap())
    }
}

impl Run {
    fn new(line: String, output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            line,
        }
    }

    /// Itself, when the exit code is `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.transcript());
        self
    }

    /// Standard output without the line break at its end.
    #[track_caller]
    pub(crate) fn line(self) -> String {
        self.expect(0).stdout.trim_end().to_owned()
    }

    /// Command line, both outputs and exit code.
    pub(crate) fn transcript(&self) -> String {
        let mut text = format!("{}\n", self.line);
        for (name, output) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !output.is_empty() {
                let _ = write!(text, "--- {name}\n{output}");
                if !output.ends_with('\n') {
                    text.push_str("(no line break)\n");
                }
            }
        }
        let _ = write!(
            text,
            "--- exit {}",
            self.code
                .map_or_else(|| "by signal".to_owned(), |code| code.to_string())
        );
        text
    }
}

/// The transcripts of several runs, one below the other.
pub(crate) fn transcripts(runs: &[Run]) -> String {
    let texts: Vec<String> = runs.iter().map(Run::transcript).collect();
    texts.join("\n\n")
}

/// The permissions of a file, such as 0o600.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
