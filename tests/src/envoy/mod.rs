//! Real Envoy processes: which executables there are, how one is configured, started, looked
//! into and stopped.

mod admin;
mod config;
mod process;

use std::{fmt, path::PathBuf};

pub use self::{
    admin::{Memory, Stats},
    config::{Config, HotRestart, Launch},
    process::{AccessLogEntry, DENIED, Envoy, StartError},
};
use crate::artifacts;

/// An Envoy executable and the version that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Major, minor, patch.
    pub number: [u32; 3],
    /// The executable.
    pub path: PathBuf,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.number;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// All Envoy executables that `NEXUS_ENVOYS` lists, oldest first.
///
/// # Panics
/// When the variable is unset, lists none, or lists what is no file.
pub fn versions() -> Vec<Version> {
    let list = artifacts::variable(artifacts::ENVOYS_VARIABLE);
    let mut versions: Vec<Version> = list
        .split(',')
        .map(|entry| {
            parse_version(entry).unwrap_or_else(|| {
                panic!(
                    "`{}` has an entry `{entry}` that is not `MAJOR.MINOR.PATCH=EXECUTABLE`: \
                     run the tests by `cargo xtask test`",
                    artifacts::ENVOYS_VARIABLE
                )
            })
        })
        .collect();
    versions.sort_by_key(|version| version.number);
    versions
}

/// The oldest Envoy.
///
/// # Panics
/// As [`versions`].
pub fn oldest() -> Version {
    versions().swap_remove(0)
}

/// The newest Envoy.
///
/// # Panics
/// As [`versions`].
pub fn newest() -> Version {
    versions()
        .pop()
        .expect("a list that was split has an entry")
}

/// Runs a test with the oldest and then with the newest Envoy; once when there is only one.
///
/// # Panics
/// As [`versions`], and when the test does.
pub fn for_oldest_and_newest(mut test: impl FnMut(&Version)) {
    let mut ends = vec![oldest(), newest()];
    ends.dedup();
    for version in &ends {
        // Shown with the output of a test that fails, so that it says which Envoy it was.
        println!("with Envoy {version}");
        test(version);
    }
}

fn parse_version(entry: &str) -> Option<Version> {
    let (name, path) = entry.trim().split_once('=')?;
    // A build between releases has a suffix: `1.41.0-dev`.
    let number: Vec<u32> = name
        .split('-')
        .next()?
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let path = PathBuf::from(path);
    path.is_file().then_some(())?;
    Some(Version {
        number: number.try_into().ok()?,
        path,
    })
}
