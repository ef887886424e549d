//! Where things are printed: results on standard output, all else on standard error.
//!
//! Colours go to terminals only, unless `CLICOLOR_FORCE` asks for them; `NO_COLOR` turns them off.
//! Text that came out of a token, a policy or a filter passes [`visible`] before it meets a terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use nexus_core::policy::{Excerpt, Position};

use crate::exit::{Failure, Report, Result};

/// `error:`, DENY.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// `warning:`, what is unusual.
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default().bold();
/// ALLOW, what was added.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// `hint:`.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Titles.
pub(crate) const TITLE: Style = Style::new().bold();
/// What may be skipped when reading.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// The text between the codes of a style.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes bytes to standard output as they are.
///
/// # Errors
/// When standard output cannot be written. A reader that went away is none.
pub(crate) fn data(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    delivered(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes text with styles to standard output, without the styles where they are not wanted.
///
/// # Errors
/// When standard output cannot be written. A reader that went away is none.
pub(crate) fn text(text: &str) -> Result<()> {
    let mut stdout = anstream::stdout().lock();
    delivered(
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush()),
    )
}

fn delivered(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            Err(Failure::harness("cannot write to standard output").evidence(error.to_string()))
        }
        Ok(()) => Ok(()),
    }
}

/// Tells the user something on standard error.
pub(crate) fn note(message: &str) {
    message_line(TITLE, "note", message);
}

/// Tells the user on standard error that something is probably not as meant.
pub(crate) fn warning(message: &str) {
    message_line(ODD, "warning", message);
}

/// Tells the user on standard error what to do next.
pub(crate) fn hint(message: &str) {
    message_line(HINT, "hint", message);
}

/// A line on standard error without any label.
pub(crate) fn status(message: &str) {
    write_stderr(&format!("{message}\n"));
}

fn message_line(style: Style, label: &str, message: &str) {
    write_stderr(&format!("{style}{label}:{style:#} {message}\n"));
}

/// Prints every report of a failure on standard error.
pub(crate) fn failure(failure: &Failure) {
    let mut text = String::new();
    for (index, report) in failure.reports.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        write_report(&mut text, &styled(BAD, "error:"), report);
    }
    if let Some(summary) = &failure.summary {
        // Writing to a string does not fail.
        let _ = writeln!(text, "\n{}", styled(TITLE, summary));
    }
    write_stderr(&text);
}

/// Prints a report as a warning on standard error, with an empty line behind it.
pub(crate) fn warning_report(report: &Report) {
    let mut text = String::new();
    write_report(&mut text, &styled(ODD, "warning:"), report);
    write_stderr(&format!("{text}\n"));
}

fn write_report(text: &mut String, label: &str, report: &Report) {
    let _ = writeln!(text, "{label} {}", report.message);
    let digits = |excerpt: &Excerpt| excerpt.position.line.to_string().len();
    let gutter = report.excerpts.iter().map(digits).max().unwrap_or(1);
    for excerpt in &report.excerpts {
        write_excerpt(text, gutter, excerpt);
    }
    for line in &report.evidence {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(hint) = &report.hint {
        let _ = writeln!(text, "{} {hint}", styled(HINT, "hint:"));
    }
}

/// The line of an excerpt with its place above and carets below, as compilers show it.
fn write_excerpt(text: &mut String, gutter: usize, excerpt: &Excerpt) {
    let Position { line, column } = excerpt.position;
    let start = excerpt.underline.start;
    let carets = "^".repeat(excerpt.underline.end.saturating_sub(start));
    if let Some(label) = &excerpt.label {
        let _ = writeln!(text, "{} {label}", styled(TITLE, "note:"));
    }
    let bar = styled(FAINT, "|");
    let _ = writeln!(
        text,
        "{:gutter$}{} {}:{line}:{column}",
        "",
        styled(FAINT, "-->"),
        excerpt.file
    );
    let _ = writeln!(text, "{:gutter$} {bar}", "");
    let _ = writeln!(text, "{line:>gutter$} {bar} {}", excerpt.text.trim_end());
    let carets = styled(BAD, &carets);
    let _ = writeln!(text, "{:gutter$} {bar} {:start$}{carets}", "", "");
}

fn write_stderr(text: &str) {
    // Nobody is left to be told when standard error is gone.
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// A number of things: `1 byte`, `2 bytes`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// The text with everything escaped that a terminal would act upon or not show: control characters
/// (C0, DEL, C1), marks that change the direction of writing, and characters without width.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a terminal acts upon the character, or shows nothing for it.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_a_terminal_would_act_upon_is_escaped() {
        assert_eq!(
            visible("a\u{1b}[31m\u{9b}2J\u{202e}b\u{200b}\r\n\t"),
            "a\\u{1b}[31m\\u{9b}2J\\u{202e}b\\u{200b}\\u{d}\\u{a}\\u{9}"
        );
        assert_eq!(visible("grüße, 世界 \\ \""), "grüße, 世界 \\ \"");
    }
}
