//! The syntax of expressions: RE2's, without classes of Unicode (`\pL`), `\C` and octal escapes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::str::Chars;

use super::{MAX_DEPTH, MAX_REPETITION, RegexError};

use crate::sort::sort_by;

/// An expression as a tree, and the sets of characters that it refers to.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Node,
    pub(super) sets: Vec<Set>,
}

#[derive(Debug)]
pub(super) enum Node {
    Char(char),
    /// By its index in [`Tree::sets`].
    Set(usize),
    Look(Look),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
    },
}

/// What a place in the text has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordBoundary,
    NoWordBoundary,
}

impl Look {
    /// Whether the place between these two characters is such a place.
    pub(super) fn holds(self, (before, behind): (Option<char>, Option<char>)) -> bool {
        let is_word = |char: Option<char>| {
            char.is_some_and(|char| char.is_ascii_alphanumeric() || char == '_')
        };
        match self {
            Self::TextStart => before.is_none(),
            Self::TextEnd => behind.is_none(),
            Self::LineStart => matches!(before, None | Some('\n')),
            Self::LineEnd => matches!(behind, None | Some('\n')),
            Self::WordBoundary => is_word(before) != is_word(behind),
            Self::NoWordBoundary => is_word(before) == is_word(behind),
        }
    }
}

/// A set of characters: ranges with both ends, in order, none touching another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Set {
    fn new(mut ranges: Vec<(char, char)>, negated: bool) -> Self {
        sort_by(&mut ranges, Ord::cmp);
        let mut merged: Vec<(char, char)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= *end || behind(*end) == Some(first) => {
                    *end = last.max(*end);
                }
                _ => merged.push((first, last)),
            }
        }
        Self {
            ranges: merged,
            negated,
        }
    }

    pub(super) fn contains(&self, char: char) -> bool {
        let found = self.ranges.binary_search_by(|(first, last)| {
            if char < *first {
                Ordering::Greater
            } else if *last < char {
                Ordering::Less
            } else {
                Ordering::Equal
            }
        });
        found.is_ok() != self.negated
    }
}

/// The ASCII letters whose other case is in one of the ranges.
fn other_cases(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let has = |char: char| {
        ranges
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&char))
    };
    ('a'..='z')
        .zip('A'..='Z')
        .flat_map(|(lower, upper)| [(lower, upper), (upper, lower)])
        .filter(|(_, other)| has(*other))
        .map(|(letter, _)| (letter, letter))
        .collect()
}

/// What is outside of these ranges, which have to be in order and apart.
fn complement(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut outside = Vec::new();
    let mut from = Some('\0');
    for (first, last) in ranges {
        if let (Some(from), Some(to)) = (from, before(*first)) {
            if from <= to {
                outside.push((from, to));
            }
        }
        from = behind(*last);
    }
    outside.extend(from.map(|from| (from, char::MAX)));
    outside
}

fn before(char: char) -> Option<char> {
    char::from_u32(u32::from(char).checked_sub(1)?)
}

fn behind(char: char) -> Option<char> {
    char::from_u32(u32::from(char).checked_add(1)?)
}

fn add_class(ranges: &mut Vec<(char, char)>, class: &[(char, char)], negated: bool) {
    match negated {
        true => ranges.extend(complement(class)),
        false => ranges.extend_from_slice(class),
    }
}

const DIGIT: &[(char, char)] = &[('0', '9')];
const SPACE: &[(char, char)] = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// The classes that have a name (`[[:alpha:]]`), as RE2 has them.
const NAMED: &[(&str, &[(char, char)])] = &[
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

pub(super) fn parse(pattern: &str, ignore_case: bool) -> Result<Tree, RegexError> {
    let mut parser = Parser {
        rest: pattern.chars(),
        at: 1,
        depth: 0,
        flags: Flags {
            ignore_case,
            ..Flags::default()
        },
        sets: Vec::new(),
    };
    let root = parser.alternation()?;
    match parser.peek() {
        None => Ok(Tree {
            root,
            sets: parser.sets,
        }),
        // An alternation ends at the end or before a `)`.
        Some(_) => Err(RegexError::UnopenedGroup { at: parser.at }),
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    /// `i`
    ignore_case: bool,
    /// `m`: `^` and `$` stand for the ends of lines too.
    lines: bool,
    /// `s`: `.` takes a line feed too.
    dot_all: bool,
}

struct Parser<'p> {
    rest: Chars<'p>,
    /// The number of the next character, from 1.
    at: usize,
    depth: usize,
    flags: Flags,
    sets: Vec<Set>,
}

/// What stands behind a backslash.
enum Escape {
    Char(char),
    Class {
        ranges: &'static [(char, char)],
        negated: bool,
    },
    Look(Look),
    /// `\Q`: everything up to `\E` stands for itself.
    Quote,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn take(&mut self) -> Option<char> {
        let char = self.rest.next()?;
        self.at = self.at.saturating_add(1);
        Some(char)
    }

    fn take_if(&mut self, wanted: &str) -> bool {
        if !self.rest.as_str().starts_with(wanted) {
            return false;
        }
        for _ in wanted.chars() {
            self.take();
        }
        true
    }

    fn alternation(&mut self) -> Result<Node, RegexError> {
        let mut branches = Vec::from([self.concatenation()?]);
        while self.take_if("|") {
            branches.push(self.concatenation()?);
        }
        Ok(Node::Alternate(branches))
    }

    fn concatenation(&mut self) -> Result<Node, RegexError> {
        let mut nodes = Vec::new();
        // Whether the last node may be repeated.
        let mut repeatable = false;
        while let Some(next) = self.peek() {
            let at = self.at;
            match next {
                '|' | ')' => break,
                '*' | '+' | '?' | '{' => {
                    let (min, max) = self.repetition()?;
                    let node = nodes.pop().filter(|_| repeatable);
                    let node = Box::new(node.ok_or(RegexError::NothingToRepeat { at })?);
                    nodes.push(Node::Repeat { node, min, max });
                    repeatable = false;
                }
                '(' => match self.group()? {
                    Some(node) => {
                        nodes.push(node);
                        repeatable = true;
                    }
                    // Flags for the rest of this group.
                    None => repeatable = false,
                },
                '\\' => {
                    self.take();
                    match self.escape(at)? {
                        Escape::Quote => repeatable = self.quoted(&mut nodes),
                        escape => {
                            nodes.push(self.escaped(escape));
                            repeatable = true;
                        }
                    }
                }
                _ => {
                    nodes.push(self.single()?);
                    repeatable = true;
                }
            }
        }
        Ok(Node::Concat(nodes))
    }

    /// One character that is no backslash, or a class.
    fn single(&mut self) -> Result<Node, RegexError> {
        let at = self.at;
        Ok(match self.take() {
            Some('.') => {
                let but = match self.flags.dot_all {
                    true => Vec::new(),
                    false => Vec::from([('\n', '\n')]),
                };
                self.set(Set::new(but, true))
            }
            Some('^') if self.flags.lines => Node::Look(Look::LineStart),
            Some('^') => Node::Look(Look::TextStart),
            Some('$') if self.flags.lines => Node::Look(Look::LineEnd),
            Some('$') => Node::Look(Look::TextEnd),
            Some('[') => self.class(at)?,
            Some(char) => self.literal(char),
            None => Node::Concat(Vec::new()),
        })
    }

    fn literal(&mut self, char: char) -> Node {
        if self.flags.ignore_case && char.is_ascii_alphabetic() {
            let (lower, upper) = (char.to_ascii_lowercase(), char.to_ascii_uppercase());
            let both = Vec::from([(lower, lower), (upper, upper)]);
            return self.set(Set::new(both, false));
        }
        Node::Char(char)
    }

    fn set(&mut self, set: Set) -> Node {
        let known = self.sets.iter().position(|other| *other == set);
        Node::Set(known.unwrap_or_else(|| {
            self.sets.push(set);
            self.sets.len().saturating_sub(1)
        }))
    }

    fn escaped(&mut self, escape: Escape) -> Node {
        match escape {
            Escape::Char(char) => self.literal(char),
            Escape::Class { ranges, negated } => self.set(Set::new(ranges.to_vec(), negated)),
            Escape::Look(look) => Node::Look(look),
            Escape::Quote => Node::Concat(Vec::new()),
        }
    }

    /// The text up to `\E`; whether there is any.
    fn quoted(&mut self, nodes: &mut Vec<Node>) -> bool {
        let mut any = false;
        while !self.take_if("\\E") {
            let Some(char) = self.take() else {
                break;
            };
            let node = self.literal(char);
            nodes.push(node);
            any = true;
        }
        any
    }

    /// `*`, `+`, `?` or `{n,m}`, and the `?` behind it that asks for few, which makes no difference to
    /// whether the whole text matches.
    fn repetition(&mut self) -> Result<(u32, Option<u32>), RegexError> {
        let at = self.at;
        let counts = match self.take() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            _ => self.counts().ok_or(RegexError::InvalidRepetition { at })?,
        };
        self.take_if("?");
        Ok(counts)
    }

    /// `n}`, `n,}` or `n,m}`.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let min = self.number()?;
        let max = match self.take_if(",") {
            false => Some(min),
            true if self.peek() == Some('}') => None,
            true => Some(self.number()?),
        };
        let in_order = max.is_none_or(|max| min <= max);
        (self.take_if("}") && in_order).then_some((min, max))
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|char| char.to_digit(10)) {
            self.take();
            let value = number
                .unwrap_or(0_u32)
                .saturating_mul(10)
                .saturating_add(digit);
            number = Some(value);
        }
        number.filter(|number| *number <= MAX_REPETITION)
    }

    /// A group; `None` for flags without a group.
    fn group(&mut self) -> Result<Option<Node>, RegexError> {
        let at = self.at;
        self.take();
        let outside = self.flags;
        if self.take_if("?") {
            match self.group_start() {
                None => return Err(RegexError::UnknownGroup { at }),
                // `(?i)`: the flags stay.
                Some(')') => return Ok(None),
                Some(_) => {}
            }
        }
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(RegexError::TooDeep { at });
        }
        let node = self.alternation()?;
        if !self.take_if(")") {
            return Err(RegexError::UnclosedGroup { at });
        }
        self.depth = self.depth.saturating_sub(1);
        self.flags = outside;
        Ok(Some(node))
    }

    /// What stands behind `(?`: a name or flags. Gives the character that it ends with; `None` when it is
    /// neither.
    fn group_start(&mut self) -> Option<char> {
        if self.take_if("P<") || self.take_if("<") {
            let mut length = 0_usize;
            loop {
                match self.take()? {
                    '>' if length > 0 => return Some('>'),
                    char if char.is_ascii_alphanumeric() || char == '_' => {
                        length = length.saturating_add(1);
                    }
                    _ => return None,
                }
            }
        }
        let mut on = true;
        let mut is_open = false;
        loop {
            match self.take()? {
                'i' => self.flags.ignore_case = on,
                'm' => self.flags.lines = on,
                's' => self.flags.dot_all = on,
                // Which of several ways to match is taken makes no difference.
                'U' => {}
                '-' if on => {
                    on = false;
                    is_open = true;
                    continue;
                }
                end @ (':' | ')') if !is_open => return Some(end),
                _ => return None,
            }
            is_open = false;
        }
    }

    /// An escape whose backslash, at `at`, was taken.
    fn escape(&mut self, at: usize) -> Result<Escape, RegexError> {
        let escaped = self.take();
        let class = |ranges, negated| Escape::Class { ranges, negated };
        Ok(match escaped {
            Some('d') => class(DIGIT, false),
            Some('D') => class(DIGIT, true),
            Some('s') => class(SPACE, false),
            Some('S') => class(SPACE, true),
            Some('w') => class(WORD, false),
            Some('W') => class(WORD, true),
            Some('A') => Escape::Look(Look::TextStart),
            Some('z') => Escape::Look(Look::TextEnd),
            Some('b') => Escape::Look(Look::WordBoundary),
            Some('B') => Escape::Look(Look::NoWordBoundary),
            Some('Q') => Escape::Quote,
            Some('a') => Escape::Char('\x07'),
            Some('f') => Escape::Char('\x0c'),
            Some('n') => Escape::Char('\n'),
            Some('r') => Escape::Char('\r'),
            Some('t') => Escape::Char('\t'),
            Some('v') => Escape::Char('\x0b'),
            Some('x') => Escape::Char(
                self.hexadecimal()
                    .ok_or(RegexError::UnknownEscape { at, escaped })?,
            ),
            Some(char) if char.is_ascii_punctuation() || char == ' ' => Escape::Char(char),
            _ => return Err(RegexError::UnknownEscape { at, escaped }),
        })
    }

    /// `41` or `{1F600}`.
    fn hexadecimal(&mut self) -> Option<char> {
        let mut code = 0_u32;
        let mut add = |digit: char| -> Option<()> {
            code = code.checked_mul(16)?.checked_add(digit.to_digit(16)?)?;
            Some(())
        };
        if self.take_if("{") {
            add(self.take()?)?;
            loop {
                match self.take()? {
                    '}' => break,
                    digit => add(digit)?,
                }
            }
        } else {
            add(self.take()?)?;
            add(self.take()?)?;
        }
        char::from_u32(code)
    }

    /// A class whose `[`, at `at`, was taken.
    fn class(&mut self, at: usize) -> Result<Node, RegexError> {
        let unclosed = RegexError::UnclosedClass { at };
        let negated = self.take_if("^");
        let mut ranges = Vec::new();
        let mut is_first = true;
        loop {
            let range_at = self.at;
            // A `]` that stands first is a character.
            match self.peek() {
                None => return Err(unclosed),
                Some(']') if !is_first => {
                    self.take();
                    break;
                }
                Some(_) => is_first = false,
            }
            if self.take_if("[:") {
                self.named_class(range_at, &mut ranges)?;
                continue;
            }
            let Some(first) = self.class_char(&mut ranges, unclosed)? else {
                continue;
            };
            let mut ahead = self.rest.clone();
            let is_range = ahead.next() == Some('-') && ahead.next() != Some(']');
            let last = match is_range {
                false => first,
                true => {
                    self.take();
                    let last = self.class_char(&mut ranges, unclosed)?;
                    last.filter(|last| first <= *last)
                        .ok_or(RegexError::InvalidRange { at: range_at })?
                }
            };
            ranges.push((first, last));
        }
        if self.flags.ignore_case {
            ranges.extend(other_cases(&ranges));
        }
        Ok(self.set(Set::new(ranges, negated)))
    }

    /// The next character of a class; `None` when it was a class itself, which was added.
    fn class_char(
        &mut self,
        ranges: &mut Vec<(char, char)>,
        unclosed: RegexError,
    ) -> Result<Option<char>, RegexError> {
        let at = self.at;
        match self.take() {
            None => Err(unclosed),
            Some('\\') => {
                let escaped = self.peek();
                match self.escape(at)? {
                    Escape::Char(char) => Ok(Some(char)),
                    Escape::Class {
                        ranges: class,
                        negated,
                    } => {
                        add_class(ranges, class, negated);
                        Ok(None)
                    }
                    Escape::Look(_) | Escape::Quote => {
                        Err(RegexError::UnknownEscape { at, escaped })
                    }
                }
            }
            Some(char) => Ok(Some(char)),
        }
    }

    /// `alpha:]` or `^alpha:]`.
    fn named_class(&mut self, at: usize, ranges: &mut Vec<(char, char)>) -> Result<(), RegexError> {
        let negated = self.take_if("^");
        let known = NAMED.iter().find_map(|(name, class)| {
            let rest = self.rest.as_str().strip_prefix(name)?;
            rest.starts_with(":]").then_some((*name, *class))
        });
        let (name, class) = known.ok_or(RegexError::UnknownClass { at })?;
        self.take_if(name);
        self.take_if(":]");
        add_class(ranges, class, negated);
        Ok(())
    }
}
