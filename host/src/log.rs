//! What a filter said: its log lines, kept in order and readable while it runs.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// How grave a log line is (`proxy_log_level_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum LogLevel {
    /// Every step.
    Trace = 0,
    /// For developers.
    Debug = 1,
    /// For operators; also what a guest writes to standard output.
    Info = 2,
    /// Something is odd.
    Warn = 3,
    /// Something is wrong; also what a guest writes to standard error.
    Error = 4,
    /// Nothing works.
    Critical = 5,
}

impl LogLevel {
    pub(crate) fn from_guest(value: u32) -> Option<Self> {
        Some(match value {
            0 => Self::Trace,
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warn,
            4 => Self::Error,
            5 => Self::Critical,
            _ => return None,
        })
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        })
    }
}

/// Who wrote a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// The guest, by `proxy_log`.
    Guest,
    /// The guest, by writing to standard output or standard error.
    Wasi,
    /// The host, about the guest (a trap, for instance).
    Host,
}

/// One line of log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// How grave it is.
    pub level: LogLevel,
    /// The text; bytes that are not UTF-8 are replaced.
    pub message: String,
    /// Who wrote it.
    pub source: LogSource,
    /// The worker whose VM wrote it, counted from 0 in the order of their start.
    pub worker: usize,
    /// The context that was running, 0 when none was.
    pub context_id: u32,
}

pub(crate) type Listener = Box<dyn Fn(&LogEntry) + Send + Sync>;

/// The log of one process.
pub struct Log {
    level: LogLevel,
    listener: Option<Listener>,
    entries: Mutex<Vec<LogEntry>>,
}

impl Log {
    pub(crate) fn new(level: LogLevel, listener: Option<Listener>) -> Self {
        Self {
            level,
            listener,
            entries: Mutex::new(Vec::new()),
        }
    }

    /// The least grave level that is kept.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        self.level
    }

    /// Everything so far, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<LogEntry> {
        self.with(|entries| entries.clone())
    }

    /// Everything since the last `take`, oldest first, and forgets it.
    #[must_use]
    pub fn take(&self) -> Vec<LogEntry> {
        self.with(std::mem::take)
    }

    /// Whether some line contains this text.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.with(|entries| entries.iter().any(|entry| entry.message.contains(text)))
    }

    pub(crate) fn len(&self) -> usize {
        self.with(|entries| entries.len())
    }

    pub(crate) fn since(&self, start: usize) -> Vec<LogEntry> {
        self.with(|entries| entries.get(start..).unwrap_or_default().to_vec())
    }

    pub(crate) fn write(&self, entry: LogEntry) {
        if entry.level < self.level {
            return;
        }
        if let Some(listener) = &self.listener {
            listener(&entry);
        }
        self.with(|entries| entries.push(entry));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<LogEntry>) -> T) -> T {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Log")
            .field("level", &self.level)
            .field("entries", &self.entries())
            .finish_non_exhaustive()
    }
}
