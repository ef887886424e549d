//! What is wrong with a policy, and where: the findings, apart from how they are shown.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::json::Span;

/// How many errors, and how many warnings, are kept. A text with more of them is broken in one way that
/// repeats itself, and nobody reads on.
pub const MAX_FINDINGS: usize = 100;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The policy is refused.
    Error,
    /// The policy is taken, but does perhaps not mean what its author meant.
    Warning,
}

impl Severity {
    /// The word that stands before the message.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What kind of finding it is; stable, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// The text is not JSON, or not JSON that Nexus accepts.
    Syntax,
    /// The text is longer than [`MAX_POLICY_BYTES`](super::MAX_POLICY_BYTES).
    TooLarge,
    /// A field that does not exist here.
    UnknownField,
    /// A field that has to be there is not.
    MissingField,
    /// A value of another type than the field has.
    WrongType,
    /// A value that the field cannot have.
    InvalidValue,
    /// A number outside of its range.
    OutOfRange,
    /// Two statements that cannot both hold.
    Contradiction,
    /// A name that refers to nothing.
    UnknownName,
    /// Something that may stand only once.
    Duplicate,
    /// A key or key set that cannot be used.
    InvalidKey,
    /// A file that could not be read.
    UnreadableFile,
    /// Something that is allowed and yet dangerous.
    Insecure,
    /// Something that is allowed and has no effect, or hardly the one that was meant.
    Suspicious,
    /// Nexus disagrees with itself about the policy: a defect of Nexus.
    Internal,
}

impl Code {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::TooLarge => "too-large",
            Self::UnknownField => "unknown-field",
            Self::MissingField => "missing-field",
            Self::WrongType => "wrong-type",
            Self::InvalidValue => "invalid-value",
            Self::OutOfRange => "out-of-range",
            Self::Contradiction => "contradiction",
            Self::UnknownName => "unknown-name",
            Self::Duplicate => "duplicate",
            Self::InvalidKey => "invalid-key",
            Self::UnreadableFile => "unreadable-file",
            Self::Insecure => "insecure",
            Self::Suspicious => "suspicious",
            Self::Internal => "internal",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind it is.
    pub code: Code,
    /// The place in the text.
    pub span: Span,
    /// The place in the document: `apps[0].default_policy.auth.issuer`; empty for the whole document.
    pub path: String,
    /// What is wrong: lower case, no final period, what the author wrote in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Further places that belong to it.
    pub related: Vec<Related>,
}

/// A further place that belongs to a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// The place in the text.
    pub span: Span,
    /// What is there: `the first is here`.
    pub message: String,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: Code, span: Span, path: impl Into<String>, message: String) -> Self {
        Self {
            severity: Severity::Error,
            code,
            span,
            path: path.into(),
            message,
            hint: None,
            related: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(code: Code, span: Span, path: impl Into<String>, message: String) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, span, path, message)
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a further place.
    #[must_use]
    pub fn with_place(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related.push(Related {
            span,
            message: message.into(),
        });
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity.label(), self.message)?;
        if !self.path.is_empty() {
            write!(f, " (at {})", self.path)?;
        }
        Ok(())
    }
}

/// Everything that was found in a policy that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics {
    /// What has to be repaired, in the order of the text. Not empty when a policy is refused.
    pub errors: Vec<Diagnostic>,
    /// What ought to be looked at, in the order of the text.
    pub warnings: Vec<Diagnostic>,
    /// How many more errors there are than the [`MAX_FINDINGS`] that are kept.
    pub omitted: usize,
}

impl Diagnostics {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        let list = match diagnostic.severity {
            Severity::Error if self.errors.len() >= MAX_FINDINGS => {
                self.omitted = self.omitted.saturating_add(1);
                return;
            }
            Severity::Error => &mut self.errors,
            Severity::Warning if self.warnings.len() >= MAX_FINDINGS => return,
            Severity::Warning => &mut self.warnings,
        };
        list.push(diagnostic);
    }

    pub(super) fn sort(&mut self) {
        for list in [&mut self.errors, &mut self.warnings] {
            list.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        match self.omitted {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl core::error::Error for Diagnostics {}

/// How much of what the author wrote a message repeats, in characters.
const MAX_QUOTED: usize = 64;

/// What the author wrote, in backticks: cut to a readable length, and with everything escaped that could
/// play tricks on a terminal or a reader.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("`");
    for (index, character) in text.chars().enumerate() {
        if index >= MAX_QUOTED {
            quoted.push('…');
            break;
        }
        if is_unprintable(character) {
            quoted.push_str(&format!("\\u{{{:04x}}}", u32::from(character)));
        } else {
            quoted.push(character);
        }
    }
    quoted.push('`');
    quoted
}

/// Names in backticks, with commas.
pub(super) fn quote_list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const MAX_LISTED: usize = 40;
    let mut list = String::new();
    for (index, name) in names.into_iter().enumerate() {
        if index >= MAX_LISTED {
            list.push_str(", …");
            break;
        }
        if index > 0 {
            list.push_str(", ");
        }
        list.push_str(&quote(name));
    }
    list
}

/// Whether a character is a control, or invisible, or changes the direction of the text around it.
pub(super) const fn is_unprintable(character: char) -> bool {
    matches!(character,
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}
