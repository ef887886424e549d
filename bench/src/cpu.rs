//! Processor time of Envoy's threads, as the kernel counts it.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// The name that Envoy gives its first worker.
const WORKER: &str = "wrk:worker_0";

/// How long Envoy is left alone before its processor time is read.
const SETTLE: Duration = Duration::from_millis(5);

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
    /// For how long the first worker had something to do and no processor to do it on.
    pub(crate) waited: Duration,
}

impl Used {
    /// What was used between `earlier` and this.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            worker: self.worker.saturating_sub(earlier.worker),
            process: self.process.saturating_sub(earlier.process),
            waited: self.waited.saturating_sub(earlier.waited),
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

    /// What was used until now, once Envoy has been left alone for a moment.
    ///
    /// # Panics
    /// Like [`read`](Self::read).
    pub(crate) fn read_settled(&self) -> Used {
        thread::sleep(SETTLE);
        self.read()
    }

    /// What was used until now. A thread that runs at this moment is counted until the last tick of the kernel, so
    /// this is for moments in which Envoy has nothing to do.
    ///
    /// # Panics
    /// When the process is gone, or the kernel does not tell.
    pub(crate) fn read(&self) -> Used {
        let (worker, waited) = times_of(&self.worker).unwrap_or_else(|| {
            panic!(
                "`{}` does not tell the processor time",
                self.worker.display()
            )
        });
        // A thread may end while they are listed.
        let process = threads(&self.tasks)
            .iter()
            .filter_map(|thread| Some(times_of(thread)?.0))
            .sum();
        Used {
            worker,
            process,
            waited,
        }
    }
}

fn threads(tasks: &Path) -> Vec<PathBuf> {
    fs::read_dir(tasks)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", tasks.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

/// `schedstat` begins with the nanoseconds on a processor, user and system, and those of waiting for one.
fn times_of(thread: &Path) -> Option<(Duration, Duration)> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    let mut fields = text.split_whitespace();
    let mut next = || Some(Duration::from_nanos(fields.next()?.parse().ok()?));
    Some((next()?, next()?))
}
