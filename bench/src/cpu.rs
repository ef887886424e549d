//! Processor time of Envoy's threads, as the kernel counts it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// The name that Envoy gives its first worker.
const WORKER: &str = "wrk:worker_0";

/// Reads what a process and its first worker have used.
#[derive(Debug)]
pub(crate) struct Clock {
    tasks: PathBuf,
    worker: PathBuf,
}

/// Processor time since the start of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Of the first worker.
    pub(crate) worker: Duration,
    /// Of all threads that run.
    pub(crate) process: Duration,
}

impl Used {
    /// What was used between `earlier` and this.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            worker: self.worker.saturating_sub(earlier.worker),
            process: self.process.saturating_sub(earlier.process),
        }
    }
}

impl Clock {
    /// The clock of an Envoy that runs.
    ///
    /// # Panics
    /// When it has no worker.
    pub(crate) fn of(pid: u32) -> Self {
        let tasks = PathBuf::from(format!("/proc/{pid}/task"));
        let worker = threads(&tasks)
            .into_iter()
            .find(|thread| {
                fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim_end() == WORKER)
            })
            .unwrap_or_else(|| panic!("no thread `{WORKER}` in `{}`", tasks.display()));
        Self { tasks, worker }
    }

    /// What was used until now. A thread that runs at this moment is counted until the last tick of the kernel, so
    /// this is for moments in which Envoy has nothing to do.
    ///
    /// # Panics
    /// When the process is gone, or the kernel does not tell.
    pub(crate) fn read(&self) -> Used {
        let worker = time_of(&self.worker).unwrap_or_else(|| {
            panic!(
                "`{}` does not tell the processor time",
                self.worker.display()
            )
        });
        // A thread may end while they are listed.
        let process = threads(&self.tasks)
            .iter()
            .filter_map(|thread| time_of(thread))
            .sum();
        Used { worker, process }
    }
}

fn threads(tasks: &Path) -> Vec<PathBuf> {
    fs::read_dir(tasks)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", tasks.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

/// `schedstat` begins with the nanoseconds on a processor, user and system.
fn time_of(thread: &Path) -> Option<Duration> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
