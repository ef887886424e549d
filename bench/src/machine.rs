//! Where and when a run was made.

use std::{
    fs,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use nexus_tests::{artifacts, envoy};

/// What has to stand beside figures.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The day and the minute, UTC.
    pub(crate) date: String,
    /// The commit, with `, changed` when the folder has more than it.
    pub(crate) commit: String,
    /// The version of Envoy.
    pub(crate) envoy: String,
    /// The processor's model.
    pub(crate) processor: String,
    /// How many of them there are.
    pub(crate) processors: usize,
    /// The kernel's name and version.
    pub(crate) kernel: String,
}

impl Run {
    /// This moment on this machine.
    pub(crate) fn now(envoy: &envoy::Version) -> Self {
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_secs());
        Self {
            date: date(seconds),
            commit: commit(),
            envoy: envoy.to_string(),
            processor: processor(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel(),
        }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let Self {
            date,
            commit,
            envoy,
            processor,
            processors,
            kernel,
        } = self;
        format!("{date}, commit {commit}, Envoy {envoy}, {processors} × {processor}, {kernel}")
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "date": self.date,
            "commit": self.commit,
            "envoy": self.envoy,
            "processor": self.processor,
            "processors": self.processors,
            "kernel": self.kernel,
        })
    }
}

/// A time in seconds since 1970 as `2026-11-25 22:30 UTC`.
fn date(seconds: u64) -> String {
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!(
        "{year}-{month:02}-{:02} {:02}:{:02} UTC",
        days + 1,
        rest / 3_600,
        rest / 60 % 60
    )
}

fn processor(cpuinfo: &str) -> String {
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map(|(_, model)| model.trim());
    model.unwrap_or(std::env::consts::ARCH).to_owned()
}

fn kernel() -> String {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    format!("{} {}", read("ostype"), read("osrelease"))
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(artifacts::repository())
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if !changes.is_empty() => format!("{commit}, changed"),
        _ => commit,
    }
}

#[cfg(test)]
mod tests {
    use super::{date, processor};

    #[test]
    fn date_is_of_the_gregorian_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_709_251_199), "2024-02-29 23:59 UTC");
        assert_eq!(date(1_767_225_599), "2025-12-31 23:59 UTC");
        assert_eq!(date(1_767_225_600), "2026-01-01 00:00 UTC");
    }

    #[test]
    fn processor_is_the_first_models_name() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Another\n";
        assert_eq!(processor(text), "Some CPU @ 2 GHz");
    }
}
