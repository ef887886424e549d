//! A policy and the files beside it: read, compiled, and what is wrong with it shown.

use std::path::{Path, PathBuf};

use nexus_core::policy::{self, CompileOptions, Compiled, Diagnostic, Source};

use crate::exit::{Blame, Failure, Report, Result};
use crate::files;
use crate::output::{self, count, visible};

/// A policy that was accepted.
pub(crate) struct PolicyFile {
    /// How messages name it.
    pub(crate) name: String,
    /// What it compiles to.
    pub(crate) compiled: Compiled,
}

impl PolicyFile {
    /// Reads and compiles a policy, and shows its warnings.
    ///
    /// # Errors
    /// [`Blame::Input`], with everything that is wrong.
    pub(crate) fn compile(path: &Path, options: &CompileOptions) -> Result<Self> {
        let text = files::read(path)?;
        let name = if files::is_dash(path) {
            "<stdin>".to_owned()
        } else {
            visible(&path.display().to_string())
        };
        let folder = folder_of(path);
        let mut beside = |named: &str| read_beside(&folder, named);
        let source = Source::new(&name, &text);
        match policy::compile(&text, options, &mut beside) {
            Ok(compiled) => {
                show_warnings(&source, &compiled.warnings);
                Ok(Self { name, compiled })
            }
            Err(found) => {
                show_warnings(&source, &found.warnings);
                let reports: Vec<Report> = found
                    .errors
                    .iter()
                    .map(|error| Report::from(source.report(error)))
                    .collect();
                let errors = count(reports.len().saturating_add(found.omitted), "error");
                let summary = match found.omitted {
                    0 => format!("{name}: {errors}"),
                    omitted => format!("{name}: {errors}, {omitted} of them not shown"),
                };
                Err(Failure {
                    blame: Blame::Input,
                    reports,
                    summary: Some(summary),
                })
            }
        }
    }
}

fn show_warnings(source: &Source<'_>, warnings: &[Diagnostic]) {
    for warning in warnings {
        output::warning_report(&Report::from(source.report(warning)));
    }
}

/// The folder that names in a policy are relative to.
fn folder_of(policy: &Path) -> PathBuf {
    match policy.parent() {
        Some(parent) if !files::is_dash(policy) => parent.to_owned(),
        _ => PathBuf::new(),
    }
}

fn read_beside(folder: &Path, named: &str) -> std::result::Result<Vec<u8>, String> {
    let path = folder.join(named);
    // A dash is a file's name here.
    if files::is_dash(&path) {
        return Err("standard input cannot be named in a policy".to_owned());
    }
    files::read(&path).map_err(|failure| {
        let reports = failure.reports.iter();
        let reasons: Vec<String> = reports
            .map(|report| match report.evidence.first() {
                Some(evidence) => evidence.clone(),
                None => report.message.clone(),
            })
            .collect();
        reasons.join("; ")
    })
}
