//! Where things are printed: results on standard output, all else on standard error.
//!
//! Colours go to terminals only, unless `CLICOLOR_FORCE` asks for them; `NO_COLOR` turns them off.
//! Text that came out of a token, a policy or a filter passes [`visible`] before it meets a terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::exit::{Failure, Result};

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
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} {}", styled(BAD, "error:"), report.message);
        for line in &report.evidence {
            let _ = writeln!(text, "  {line}");
        }
        if let Some(hint) = &report.hint {
            let _ = writeln!(text, "{} {hint}", styled(HINT, "hint:"));
        }
    }
    write_stderr(&text);
}

fn write_stderr(text: &str) {
    // Nobody is left to be told when standard error is gone.
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
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
