//! How a finding is shown: file, line and column, the line itself, and what is meant underlined.
//!
//! Colour is the command's affair; the parts of a [`Report`] are there for it. Whatever the text holds,
//! nothing that is shown carries a control character, a line without end, or a secret.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::diagnostic::{Diagnostic, Severity, is_unprintable};
use super::redact::secrets;
use crate::json::Span;

/// How many characters of a line are shown before what is meant.
const MAX_BEFORE: usize = 60;
/// How many characters of a line are shown from the beginning of what is meant.
const MAX_BEHIND: usize = 60;
/// How many bytes around the place are looked at: no character is shown as fewer than one or takes more than four.
const WINDOW: usize = 4 * 64;

/// Where the lines of a text begin.
#[derive(Debug, Clone)]
pub struct LineIndex {
    /// INVARIANT: ascending, and the first is 0.
    starts: Vec<usize>,
}

/// A place in a text as editors count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1. Bytes that are not UTF-8 count as one character per sequence.
    pub column: usize,
}

impl LineIndex {
    /// The index of `text`. Lines end in LF or CR LF.
    pub fn new(text: &[u8]) -> Self {
        let behind = |(at, byte): (usize, &u8)| (*byte == b'\n').then(|| at.saturating_add(1));
        let starts = core::iter::once(0)
            .chain(text.iter().enumerate().filter_map(behind))
            .collect();
        Self { starts }
    }

    /// The line and column of the byte at `offset`; behind the end of the text, those of its end.
    pub fn position(&self, text: &[u8], offset: usize) -> Position {
        let offset = offset.min(text.len());
        let line = self.line(offset);
        let before = text.get(self.start(line)..offset).unwrap_or_default();
        Position {
            line,
            column: String::from_utf8_lossy(before)
                .chars()
                .count()
                .saturating_add(1),
        }
    }

    /// The line of an offset, from 1.
    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).max(1)
    }

    /// The offset at which a line begins.
    fn start(&self, line: usize) -> usize {
        self.starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0)
    }

    /// The bytes of a line, without its end.
    fn range(&self, text: &[u8], line: usize) -> Range<usize> {
        let start = self.start(line);
        let end = self
            .starts
            .get(line)
            .map_or(text.len(), |next| next.saturating_sub(1));
        match text.get(start..end) {
            Some([.., b'\r']) => start..end.saturating_sub(1),
            _ => start..end,
        }
    }
}

/// A text with its name, ready to show places in it.
#[derive(Debug, Clone)]
pub struct Source<'t> {
    name: String,
    text: &'t [u8],
    lines: LineIndex,
    secrets: Vec<Span>,
}

/// A finding as it is shown. [`fmt::Display`] writes it without colour, a line feed at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The place, and further places that belong to it.
    pub excerpts: Vec<Excerpt>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A line with something underlined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// What is there; `None` for the place of the finding itself.
    pub label: Option<String>,
    /// The name of the text, made harmless.
    pub file: String,
    /// The place, as editors count it.
    pub position: Position,
    /// The line: cut around the place, tabs as four spaces, controls escaped, secrets redacted.
    pub text: String,
    /// What is meant, in characters of `text`. Never empty; may lie behind the end of `text`.
    pub underline: Range<usize>,
}

impl<'t> Source<'t> {
    /// The text with the name `name`.
    pub fn new(name: &str, text: &'t [u8]) -> Self {
        Self {
            name: name
                .chars()
                .map(|character| {
                    if is_unprintable(character) {
                        '\u{fffd}'
                    } else {
                        character
                    }
                })
                .collect(),
            text,
            lines: LineIndex::new(text),
            secrets: secrets(text),
        }
    }

    /// The line and column of an offset.
    pub fn position(&self, offset: usize) -> Position {
        self.lines.position(self.text, offset)
    }

    /// The finding as it is shown.
    pub fn report(&self, diagnostic: &Diagnostic) -> Report {
        let first = self.excerpt(diagnostic.span, None);
        let further = diagnostic
            .related
            .iter()
            .map(|related| self.excerpt(related.span, Some(related.message.clone())));
        Report {
            severity: diagnostic.severity,
            message: diagnostic.message.clone(),
            excerpts: core::iter::once(first).chain(further).collect(),
            hint: diagnostic.hint.clone(),
        }
    }

    fn excerpt(&self, span: Span, label: Option<String>) -> Excerpt {
        let start = span.start.min(self.text.len());
        let line = self.lines.range(self.text, self.lines.line(start));
        let cells = self.cells(&line, start);
        let marked = start..span.end.max(start.saturating_add(1));
        let mut text = String::new();
        let mut width: usize = 0;
        let mut underline: Option<Range<usize>> = None;
        for cell in &cells {
            let end = width.saturating_add(cell.text.chars().count());
            if cell.span.start < marked.end && cell.span.end > marked.start {
                let from = underline.map_or(width, |range| range.start);
                underline = Some(from..end);
            }
            text.push_str(&cell.text);
            width = end;
        }
        let underline = underline.unwrap_or(width..width.saturating_add(1));
        let (text, underline) = cut(&text, underline);
        Excerpt {
            label,
            file: self.name.clone(),
            position: self.position(start),
            text,
            underline,
        }
    }

    /// What is shown for the bytes of a line around `place`.
    fn cells(&self, line: &Range<usize>, place: usize) -> Vec<Cell> {
        let mut at = line.start.max(place.saturating_sub(WINDOW));
        while at > line.start && self.is_inside_character(at) {
            at = at.saturating_sub(1);
        }
        let mut end = line.end.min(place.saturating_add(WINDOW));
        while end < line.end && self.is_inside_character(end) {
            end = end.saturating_add(1);
        }
        let mut cells = Vec::new();
        if at > line.start {
            cells.push(Cell::new(line.start..at, "…".into()));
        }
        let mut next = self.secrets.partition_point(|secret| secret.end <= at);
        while at < end {
            match self.secrets.get(next) {
                Some(secret) if secret.start <= at => {
                    cells.push(Cell::new(at..secret.end, "[redacted]".into()));
                    at = secret.end.max(at.saturating_add(1));
                    next = next.saturating_add(1);
                }
                secret => {
                    let until = secret.map_or(end, |secret| secret.start.min(end));
                    self.push_plain(&mut cells, at..until);
                    at = until;
                }
            }
        }
        if at < line.end {
            cells.push(Cell::new(at..line.end, "…".into()));
        }
        cells
    }

    /// Whether the byte at `at` continues a UTF-8 sequence.
    fn is_inside_character(&self, at: usize) -> bool {
        self.text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80)
    }

    fn push_plain(&self, cells: &mut Vec<Cell>, range: Range<usize>) {
        let mut at = range.start;
        for chunk in self.text.get(range).unwrap_or_default().utf8_chunks() {
            for character in chunk.valid().chars() {
                let end = at.saturating_add(character.len_utf8());
                let text = match character {
                    '\t' => "    ".into(),
                    _ if is_unprintable(character) => character.escape_unicode().to_string(),
                    _ => character.to_string(),
                };
                cells.push(Cell::new(at..end, text));
                at = end;
            }
            if !chunk.invalid().is_empty() {
                let end = at.saturating_add(chunk.invalid().len());
                cells.push(Cell::new(at..end, "\u{fffd}".into()));
                at = end;
            }
        }
    }
}

/// Some bytes of the text and what is shown for them.
struct Cell {
    span: Range<usize>,
    text: String,
}

impl Cell {
    const fn new(span: Range<usize>, text: String) -> Self {
        Self { span, text }
    }
}

/// Cuts a line to a readable length around what is underlined.
fn cut(text: &str, underline: Range<usize>) -> (String, Range<usize>) {
    if text.chars().count() <= MAX_BEFORE.saturating_add(MAX_BEHIND) {
        return (text.into(), underline);
    }
    let skipped = underline.start.saturating_sub(MAX_BEFORE);
    let mut kept: String = text
        .chars()
        .skip(skipped)
        .take(MAX_BEFORE.saturating_add(MAX_BEHIND))
        .collect();
    let shown = kept.chars().count();
    if shown.saturating_add(skipped) < text.chars().count() {
        kept.push('…');
    }
    let mut underline =
        underline.start.saturating_sub(skipped)..underline.end.saturating_sub(skipped);
    if skipped > 0 {
        kept.insert(0, '…');
        underline = underline.start.saturating_add(1)..underline.end.saturating_add(1);
    }
    let limit = kept.chars().count().max(underline.start.saturating_add(1));
    (kept, underline.start..underline.end.min(limit))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = |excerpt: &Excerpt| excerpt.position.line.to_string().len();
        let gutter = self.excerpts.iter().map(digits).max().unwrap_or(1);
        writeln!(f, "{}: {}", self.severity.label(), self.message)?;
        for excerpt in &self.excerpts {
            if let Some(label) = &excerpt.label {
                writeln!(f, "note: {label}")?;
            }
            let Position { line, column } = excerpt.position;
            let start = excerpt.underline.start;
            let length = excerpt.underline.end.saturating_sub(start);
            writeln!(f, "{:gutter$}--> {}:{line}:{column}", "", excerpt.file)?;
            writeln!(f, "{:gutter$} |", "")?;
            match excerpt.text.trim_end() {
                "" => writeln!(f, "{line:>gutter$} |")?,
                text => writeln!(f, "{line:>gutter$} | {text}")?,
            }
            writeln!(f, "{:gutter$} | {:start$}{}", "", "", "^".repeat(length))?;
        }
        match &self.hint {
            None => Ok(()),
            Some(hint) => writeln!(f, "hint: {hint}"),
        }
    }
}

/// The finding as text, without colour. For several findings in one text, [`Source`] does the work on the
/// text only once.
pub fn render(diagnostic: &Diagnostic, file: &str, text: &[u8]) -> String {
    format!("{}", Source::new(file, text).report(diagnostic))
}
