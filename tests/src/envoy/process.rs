//! One Envoy process, from its start to its end.
//!
//! It never outlives the test: dropping it kills and reaps it, and a watchdog process kills it
//! when the test process ends without dropping it (a static, an abort, a `SIGKILL`).

use std::{
    error::Error,
    fmt, fs,
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Config, Launch, Memory, Stats, Version, admin::Admin};
use crate::{client::Client, eventually, http::Response};

/// How many lines of the log a failure shows.
const TAIL: usize = 60;

/// What stands before the code in the counters of denials.
pub const DENIED: &str = "wasmcustom.nexus.denied.";

/// A running Envoy; dropping it kills the process.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: Admin,
    listeners: Vec<(String, SocketAddr)>,
}

/// Why Envoy is not ready.
#[derive(Debug)]
pub enum StartError {
    /// It ended, as it does when it refuses its configuration.
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// Its whole log.
        log: String,
    },
    /// It runs and did not become ready in time.
    NotReady {
        /// How long it was given.
        waited: Duration,
        /// Its whole log.
        log: String,
    },
}

impl StartError {
    /// Envoy's whole log.
    pub fn log(&self) -> &str {
        match self {
            Self::Exited { log, .. } | Self::NotReady { log, .. } => log,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { status, .. } => write!(f, "envoy ended at its start ({status})")?,
            Self::NotReady { waited, .. } => {
                write!(f, "envoy is not ready after {} s", waited.as_secs())?;
            }
        }
        write!(f, "; the end of its log:\n{}", tail(self.log()))
    }
}

impl Error for StartError {}

/// A line of the access log that [`Config::bootstrap`] sets up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogEntry {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The status that the client got; 0 when it left first.
    pub status: u64,
    /// `%RESPONSE_CODE_DETAILS%`: who answered, and why.
    pub details: String,
    /// `%RESPONSE_FLAGS%`, `-` when there are none.
    pub flags: String,
    /// The whole line, with what a test added to its format.
    pub line: Value,
}

impl Envoy {
    /// Starts Envoy and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready, with the end of its log.
    pub fn start(version: &Version, config: &Config) -> Self {
        Self::try_start(version, config).unwrap_or_else(|error| panic!("envoy {version}: {error}"))
    }

    /// Starts Envoy and waits until it is ready.
    ///
    /// # Errors
    /// When it ends, as with a configuration that it refuses, or is not ready in time.
    pub fn try_start(version: &Version, config: &Config) -> Result<Self, StartError> {
        let era = config.launch().hot_restart.map(|_| Era::first());
        Self::spawn(version, config.launch(), era, |folder| {
            config.bootstrap(&access_log(folder)).to_string()
        })
    }

    /// Starts another Envoy that takes over from this one: it gets the sockets of the listeners of the same name, and
    /// this one asks its clients to leave and ends in time.
    ///
    /// # Panics
    /// When this one was not started for that, and when the other one does not become ready.
    #[must_use]
    pub fn restart(&self, version: &Version, config: &Config) -> Self {
        let era = self.process.era.as_ref().expect("`Config::hot_restart`");
        let listeners = self.listeners.clone();
        // It is handed sockets by their address, which it therefore has to know.
        let config = config.clone().edit(move |bootstrap| {
            let configured = bootstrap["static_resources"]["listeners"].as_array_mut();
            for listener in configured.into_iter().flatten() {
                let known = listeners
                    .iter()
                    .find(|(name, _)| listener["name"] == **name);
                if let Some((_, addr)) = known {
                    listener["address"]["socket_address"]["port_value"] = addr.port().into();
                }
            }
        });
        Self::spawn(version, config.launch(), Some(era.next()), |folder| {
            config.bootstrap(&access_log(folder)).to_string()
        })
        .unwrap_or_else(|error| panic!("envoy {version}, taking over: {error}"))
    }

    /// Starts Envoy with a configuration as text (YAML or JSON), which should have its admin
    /// interface and its listeners on port 0 of the loopback address.
    ///
    /// # Errors
    /// As [`Self::try_start`].
    pub fn try_start_text(
        version: &Version,
        configuration: &str,
        launch: &Launch,
    ) -> Result<Self, StartError> {
        let era = launch.hot_restart.map(|_| Era::first());
        Self::spawn(version, launch, era, |_| configuration.to_owned())
    }

    fn spawn(
        version: &Version,
        launch: &Launch,
        era: Option<Era>,
        configuration: impl FnOnce(&Path) -> String,
    ) -> Result<Self, StartError> {
        let folder = tempfile::Builder::new()
            .prefix("nexus-envoy-")
            .tempdir()
            .expect("a temporary folder");
        // YAML is a superset of JSON, and Envoy goes by the name's ending.
        fs::write(config_file(folder.path()), configuration(folder.path()))
            .expect("writing the configuration");
        let mut process = Process::spawn(version, launch, era, folder);
        let mut admin = None;
        let mut exited = None;
        let ready = eventually(launch.ready_within, || {
            exited = process.try_wait();
            admin = admin.or_else(|| process.admin());
            exited.is_some() || admin.is_some_and(Admin::is_ready)
        });
        match (exited, admin) {
            (Some(status), _) => Err(StartError::Exited {
                status,
                log: process.log(),
            }),
            (None, Some(admin)) if ready => Ok(Self {
                listeners: admin.listeners(),
                process,
                admin,
            }),
            _ => Err(StartError::NotReady {
                waited: launch.ready_within,
                log: process.log(),
            }),
        }
    }

    /// The address of the first listener.
    ///
    /// # Panics
    /// When there is none.
    pub fn addr(&self) -> SocketAddr {
        self.listeners.first().expect("Envoy has a listener").1
    }

    /// The address of the listener of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn listener(&self, name: &str) -> SocketAddr {
        self.listeners
            .iter()
            .find(|(listener, _)| listener == name)
            .unwrap_or_else(|| panic!("no listener `{name}` among {:?}", self.listeners))
            .1
    }

    /// The address of the admin interface.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.addr()
    }

    /// A new client of the first listener, with a connection of its own.
    pub fn client(&self) -> Client {
        Client::new(self.addr())
    }

    /// A page of the admin interface.
    ///
    /// # Panics
    /// When it is not answered with 200.
    pub fn admin(&self, path: &str) -> Response {
        self.admin.page(path)
    }

    /// Counters and gauges.
    pub fn stats(&self) -> Stats {
        self.admin.stats()
    }

    /// Waits until the statistics fulfil `condition`.
    ///
    /// # Panics
    /// When they do not in time, with those whose name contains `shown`.
    pub fn wait_for_stats(
        &self,
        shown: &str,
        timeout: Duration,
        mut condition: impl FnMut(&Stats) -> bool,
    ) -> Stats {
        let mut stats = Stats::default();
        let fulfilled = eventually(timeout, || {
            stats = self.stats();
            condition(&stats)
        });
        assert!(
            fulfilled,
            "the statistics do not become what they should: {:#?}",
            stats.with(shown)
        );
        stats
    }

    /// Waits until the filter has told of so many requests that passed, which it does once a second, and not of more.
    ///
    /// # Panics
    /// When it has told of another number.
    pub fn assert_allowed(&self, requests: u64) {
        self.assert_told("wasmcustom.nexus.allowed", requests);
    }

    /// The same for requests that were refused; gives the statistics, which tell why.
    ///
    /// # Panics
    /// When it has told of another number.
    pub fn assert_denied(&self, requests: u64) -> Stats {
        self.assert_told(DENIED, requests)
    }

    /// Waits until the counters whose names begin like that are so many together.
    fn assert_told(&self, counters: &str, requests: u64) -> Stats {
        let stats = self.wait_for_stats(counters, Duration::from_secs(5), |stats| {
            stats.sum(counters) >= requests
        });
        assert_eq!(stats.sum(counters), requests);
        stats
    }

    /// `/config_dump`.
    pub fn config_dump(&self) -> Value {
        self.admin.page("/config_dump").json()
    }

    /// Envoy's own view of its memory.
    pub fn memory(&self) -> Memory {
        self.admin.memory()
    }

    /// The resident memory of the process, V8's included, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = self.process.proc_file("status");
        let kibibytes: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse().ok())
            .expect("a process that runs has a resident size");
        kibibytes * 1024
    }

    /// Everything that Envoy has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The last lines that Envoy has logged, without the list of extensions that it starts with.
    pub fn log_end(&self) -> String {
        tail(&self.log())
    }

    /// Waits until the log contains `text`; says whether it does.
    pub fn wait_for_log(&self, text: &str, timeout: Duration) -> bool {
        eventually(timeout, || self.log().contains(text))
    }

    /// The access log of [`Config::bootstrap`]; Envoy writes it out every 50 ms.
    pub fn access_log(&self) -> Vec<AccessLogEntry> {
        let text = fs::read_to_string(access_log(self.process.folder.path())).unwrap_or_default();
        text.lines()
            .filter_map(|line| access_log_entry(&serde_json::from_str(line).ok()?))
            .collect()
    }

    /// Waits until the access log has at least `count` entries.
    ///
    /// # Panics
    /// When it has not after 5 s.
    pub fn wait_for_access_log(&self, count: usize) -> Vec<AccessLogEntry> {
        let mut entries = Vec::new();
        let enough = eventually(Duration::from_secs(5), || {
            entries = self.access_log();
            entries.len() >= count
        });
        assert!(
            enough,
            "{} instead of {count} entries: {entries:#?}",
            entries.len()
        );
        entries
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.try_wait().is_none()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.envoy.id()
    }

    /// Asks Envoy to end, as an operator does, and waits; gives how it ended and its whole log.
    ///
    /// # Panics
    /// When it has not ended after 20 s.
    pub fn shut_down(mut self) -> (ExitStatus, String) {
        self.admin.ask("POST", "/quitquitquit");
        self.process.end(Duration::from_secs(20))
    }

    /// Waits until Envoy has ended, as it does when another one has taken over; gives how it ended and its whole log.
    ///
    /// # Panics
    /// When it has not ended in time.
    pub fn wait_for_end(mut self, timeout: Duration) -> (ExitStatus, String) {
        self.process.end(timeout)
    }
}

/// Where an Envoy stands in a row of Envoys, each of which takes over from the one before it.
#[derive(Clone, Debug)]
struct Era {
    meeting: Arc<Meeting>,
    epoch: u32,
}

impl Era {
    /// The first Envoy of a row of its own.
    fn first() -> Self {
        /// Envoy takes ten times the number for 32 bits.
        const PER_PROCESS: u32 = 100;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // No process has a number of more than 22 bits.
        let count = COUNT.fetch_add(1, Ordering::Relaxed) % PER_PROCESS;
        Self {
            meeting: Arc::new(Meeting {
                base_id: process::id() * PER_PROCESS + count,
            }),
            epoch: 0,
        }
    }

    /// The one that takes over from this one.
    fn next(&self) -> Self {
        Self {
            meeting: Arc::clone(&self.meeting),
            epoch: self.epoch + 1,
        }
    }
}

/// Where the Envoys of a row meet. Its shared memory outlives all of them, and is removed here.
#[derive(Debug)]
struct Meeting {
    base_id: u32,
}

impl Meeting {
    fn shared_memory(&self) -> PathBuf {
        PathBuf::from(format!("/dev/shm/envoy_shared_memory_{}0", self.base_id))
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        // An Envoy that did not start has made none.
        let _ = fs::remove_file(self.shared_memory());
    }
}

/// The process with its folder and its watchdog.
#[derive(Debug)]
struct Process {
    envoy: Child,
    watchdog: Child,
    folder: TempDir,
    era: Option<Era>,
}

impl Process {
    fn spawn(version: &Version, launch: &Launch, era: Option<Era>, folder: TempDir) -> Self {
        let log = fs::File::create(log_file(folder.path())).expect("creating the log");
        let log_twin = log.try_clone().expect("two handles of the log");
        let envoy = Command::new(&version.path)
            .arg("--config-path")
            .arg(config_file(folder.path()))
            .arg("--admin-address-path")
            .arg(admin_file(folder.path()))
            .args(["--concurrency", &launch.concurrency.to_string()])
            .args(["--log-level", &launch.log_level])
            .args(["--component-log-level", &launch.component_log_level])
            .args(["--file-flush-interval-msec", "50"])
            .args(hot_restart_arguments(launch, era.as_ref()))
            // Ctrl-C is for the test process; its end is Envoy's end.
            .process_group(0)
            .envs(launch.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_twin)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run `{}`: {error}", version.path.display()));
        let shared_memory = era.as_ref().map(|era| era.meeting.shared_memory());
        let left: Vec<&Path> = [folder.path()]
            .into_iter()
            .chain(shared_memory.as_deref())
            .collect();
        let watchdog = watch(envoy.id(), &left);
        Self {
            envoy,
            watchdog,
            folder,
            era,
        }
    }

    /// Waits for the end; gives how it ended and the whole log.
    fn end(&mut self, timeout: Duration) -> (ExitStatus, String) {
        let mut exited = None;
        eventually(timeout, || {
            exited = self.try_wait();
            exited.is_some()
        });
        (exited.expect("Envoy ends in time"), self.log())
    }

    fn try_wait(&mut self) -> Option<ExitStatus> {
        self.envoy.try_wait().expect("waiting for a child")
    }

    fn admin(&self) -> Option<Admin> {
        let addr = fs::read_to_string(admin_file(self.folder.path())).ok()?;
        Some(Admin::new(addr.trim().parse().ok()?))
    }

    fn log(&self) -> String {
        fs::read(log_file(self.folder.path()))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn proc_file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.envoy.id());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read `{path}`: {error}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog first, so that it never kills a number that is somebody else's by then.
        for child in [&mut self.watchdog, &mut self.envoy] {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            eprintln!("the end of Envoy's log:\n{}", tail(&self.log()));
        }
    }
}

fn hot_restart_arguments(launch: &Launch, era: Option<&Era>) -> Vec<String> {
    let (Some(era), Some(times)) = (era, launch.hot_restart) else {
        // Without it there is neither shared memory nor a base id, over which two Envoys
        // could meet, and nothing is left behind when one is killed.
        return vec!["--disable-hot-restart".to_owned()];
    };
    [
        ("--base-id", era.meeting.base_id),
        ("--restart-epoch", era.epoch),
        ("--drain-time-s", times.drain_secs),
        ("--parent-shutdown-time-s", times.shutdown_secs),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value.to_string()])
    .collect()
}

/// A shell that waits for the end of its standard input, which comes when this process ends in
/// whatever way, then kills the process `pid` and removes what it leaves.
fn watch(pid: u32, left: &[&Path]) -> Child {
    const SCRIPT: &str = "read -r _; kill -KILL \"$1\"; shift; rm -rf -- \"$@\"";
    Command::new("sh")
        .args(["-c", SCRIPT, "watchdog"])
        .arg(pid.to_string())
        .args(left)
        // Ctrl-C in a terminal goes to a whole group of processes; the watchdog has to outlive it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("there is a shell")
}

fn config_file(folder: &Path) -> PathBuf {
    folder.join("envoy.yaml")
}

fn admin_file(folder: &Path) -> PathBuf {
    folder.join("admin-address")
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("envoy.log")
}

fn access_log(folder: &Path) -> PathBuf {
    folder.join("access.log")
}

fn access_log_entry(line: &Value) -> Option<AccessLogEntry> {
    let text = |name: &str| Some(line[name].as_str().unwrap_or("-").to_owned());
    Some(AccessLogEntry {
        method: text("method")?,
        path: text("path")?,
        status: line["status"].as_u64()?,
        details: text("details")?,
        flags: text("flags")?,
        line: line.clone(),
    })
}

/// The end of a log, without the list of extensions with which every log starts.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| !line.contains("[info][main] [source/server/server.cc"))
        .collect();
    let skipped = lines.len().saturating_sub(TAIL);
    lines.get(skipped..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn watchdog_kills_when_this_process_can_no_longer_hold_its_pipe() {
        let mut sleeper = Command::new("sleep").arg("600").spawn().expect("sleep");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut watchdog = watch(sleeper.id(), &[folder.path()]);
        thread::sleep(Duration::from_millis(100));
        assert_eq!(sleeper.try_wait().expect("waiting"), None);
        // What the kernel does with the pipe when this process ends.
        drop(watchdog.stdin.take());
        watchdog.wait().expect("waiting");
        let status = sleeper.wait().expect("waiting");
        assert_eq!(status.signal(), Some(9));
        assert!(!folder.path().exists());
    }
}
