//! Runs the `nexusctl` executable as a user would.

use std::{
    ffi::{OsStr, OsString},
    io::{Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{artifacts, eventually, http::escape};

/// How long one run may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A run to be: arguments, standard input, folder, environment.
#[derive(Clone, Debug)]
pub struct Nexusctl {
    args: Vec<OsString>,
    stdin: Vec<u8>,
    folder: Option<PathBuf>,
    variables: Vec<(String, Option<OsString>)>,
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit code; `None` when a signal ended the run.
    pub code: Option<i32>,
    /// Standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// Standard error, byte for byte.
    pub stderr: Vec<u8>,
    /// From the start to the end of the process.
    pub elapsed: Duration,
}

impl Output {
    /// Standard output as text, with `\xNN` for bytes that are not UTF-8.
    pub fn stdout_text(&self) -> String {
        escape(&self.stdout)
    }

    /// Standard error as text, with `\xNN` for bytes that are not UTF-8.
    pub fn stderr_text(&self) -> String {
        escape(&self.stderr)
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is not JSON ({error}): {self:?}"))
    }

    /// Itself, when the exit code is `code`.
    ///
    /// # Panics
    /// Otherwise, with both outputs.
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "unexpected exit code\n--- standard output\n{}\n--- standard error\n{}",
            self.stdout_text(),
            self.stderr_text()
        );
        self
    }
}

impl Nexusctl {
    /// A run with these arguments, without colours.
    pub fn new(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self {
            args: args
                .into_iter()
                .map(|arg| arg.as_ref().to_owned())
                .collect(),
            stdin: Vec::new(),
            folder: None,
            variables: vec![("NO_COLOR".to_owned(), Some("1".into()))],
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Sets standard input; it is empty otherwise.
    #[must_use]
    pub fn stdin(mut self, stdin: impl AsRef<[u8]>) -> Self {
        self.stdin = stdin.as_ref().to_vec();
        self
    }

    /// Runs in this folder.
    #[must_use]
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_path_buf());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.variables.push((name.to_owned(), None));
        self
    }

    /// Runs to the end.
    ///
    /// # Panics
    /// When `NEXUSCTL` names no executable, or the run takes more than 60 s.
    pub fn run(&self) -> Output {
        let mut command = Command::new(artifacts::nexusctl());
        command
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let started = Instant::now();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let (stdout, stderr) = thread::scope(|scope| {
            let mut stdin = child.stdin.take().expect("standard input is a pipe");
            let out = read_all(scope, child.stdout.take());
            let err = read_all(scope, child.stderr.take());
            scope.spawn(move || {
                // A command that does not read its input closes it: no failure of the run.
                let _ = stdin.write_all(&self.stdin);
            });
            if !ends_in_time(&mut child) {
                let _ = child.kill();
                let _ = child.wait();
                panic!("still running after {} s: {command:?}", TIMEOUT.as_secs());
            }
            let join = |reader: thread::ScopedJoinHandle<'_, Vec<u8>>| {
                reader.join().expect("reading a pipe does not panic")
            };
            (join(out), join(err))
        });
        let status = child.wait().expect("the process has ended");
        Output {
            code: status.code(),
            stdout,
            stderr,
            elapsed: started.elapsed(),
        }
    }
}

/// Runs `nexusctl` with these arguments and nothing on standard input.
///
/// # Panics
/// As [`Nexusctl::run`].
pub fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Output {
    Nexusctl::new(args).run()
}

/// The filter configuration that `nexusctl compile-policy -` makes of a policy.
///
/// # Panics
/// When the policy is refused, with the diagnostics.
pub fn compile_policy(policy: &str) -> String {
    let output = Nexusctl::new(["compile-policy", "-"])
        .stdin(policy)
        .run()
        .expect_code(0);
    String::from_utf8(output.stdout).expect("a compiled policy is UTF-8")
}

fn read_all<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    pipe: Option<impl Read + Send + 'scope>,
) -> thread::ScopedJoinHandle<'scope, Vec<u8>> {
    let mut pipe = pipe.expect("the output is a pipe");
    scope.spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("reading a pipe");
        bytes
    })
}

fn ends_in_time(child: &mut Child) -> bool {
    eventually(TIMEOUT, || {
        child.try_wait().expect("waiting for a child").is_some()
    })
}
