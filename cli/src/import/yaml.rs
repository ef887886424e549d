//! YAML (and JSON, which is YAML) as a tree that knows on which line everything stands.
//!
//! Other people's files are read here, so everything that can grow is bounded: the text, the nodes that
//! aliases unfold to, the depth. What two readers might understand differently (a key that stands twice, a
//! key that is no text, a tag) is refused. Nothing here knows what a field means.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, options};

/// The most nodes that a file may have once its aliases are unfolded.
const MAX_NODES: usize = 200_000;
/// How deep collections may be nested.
const MAX_DEPTH: usize = 100;
/// The largest file, in bytes: more than a key set for every tenant of a large platform needs.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The file, by its place among those that were given.
    pub(crate) file: usize,
    /// The line, from 1.
    pub(crate) line: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where it begins.
    pub(crate) place: Place,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Nothing: `null`, `~`, or left out behind a colon.
    Null,
    /// A scalar: its text, and whether it was quoted and is therefore a string whatever it looks like.
    Scalar {
        /// As YAML reads it.
        text: String,
        /// Whether it stands in quotes or is a block.
        quoted: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// An object, in the order of the file.
    Object(Vec<Entry>),
}

/// A field of an object.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: String,
    /// Where the name stands.
    pub(crate) place: Place,
    /// Its value.
    pub(crate) value: Node,
}

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong: lower case, no final period.
    pub(crate) message: String,
}

impl Node {
    /// Whether it stands for nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// The field of an object; `None` when it is no object, has no such field or the field is null.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Object(entries) => entries
                .iter()
                .find(|entry| entry.name == name)
                .map(|entry| &entry.value)
                .filter(|value| !value.is_null()),
            _ => None,
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The elements of a list, the values of an object.
    pub(crate) fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::List(elements) => elements.iter().collect(),
            Kind::Object(entries) => entries.iter().map(|entry| &entry.value).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether any of its fields has a value, be it one that is no list or a list with elements.
    pub(crate) fn says_something(&self) -> bool {
        let is_empty = |node: &Self| match &node.kind {
            Kind::Null => true,
            Kind::List(elements) => elements.is_empty(),
            _ => false,
        };
        self.children().into_iter().any(|child| !is_empty(child))
    }

    /// How many nodes it consists of, itself included.
    fn size(&self) -> usize {
        let mut size = 0_usize;
        let mut open = vec![self];
        while let Some(node) = open.pop() {
            size = size.saturating_add(1);
            open.extend(node.children());
        }
        size
    }
}

/// The documents of a text; one that is empty is left out.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn documents(text: &str, file: usize) -> Result<Vec<Node>, YamlError> {
    if text.len() > MAX_BYTES {
        return Err(YamlError {
            line: 1,
            message: format!("the file has more than {} MiB", MAX_BYTES >> 20),
        });
    }
    let options = options! { emit_comments: false };
    let mut reader = Reader {
        file,
        nodes: 0,
        anchors: BTreeMap::new(),
        open: Vec::new(),
        documents: Vec::new(),
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| YamlError {
            line: error.marker().line(),
            message: format!("this is no YAML: {}", error.info()),
        })?;
        reader.event(event, span)?;
    }
    Ok(reader.documents)
}

struct Reader {
    file: usize,
    nodes: usize,
    anchors: BTreeMap<usize, (Node, usize)>,
    open: Vec<Open>,
    documents: Vec<Node>,
}

/// A collection whose end has not come.
struct Open {
    anchor: usize,
    place: Place,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Object {
        entries: Vec<Entry>,
        key: Option<(String, Place)>,
    },
}

impl Reader {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let place = Place {
            file: self.file,
            line: span.start.line(),
        };
        let error = |message: &str| YamlError {
            line: place.line,
            message: message.to_owned(),
        };
        let tag = match &event {
            Event::Scalar(_, _, _, tag)
            | Event::SequenceStart(_, _, tag)
            | Event::MappingStart(_, _, tag) => tag.is_some(),
            _ => false,
        };
        if tag {
            return Err(error("a tag (`!…`) is not understood here"));
        }
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let quoted = style != ScalarStyle::Plain;
                let kind = match text.as_ref() {
                    "" | "~" | "null" | "Null" | "NULL" if !quoted => Kind::Null,
                    text => Kind::Scalar {
                        text: text.to_owned(),
                        quoted,
                    },
                };
                self.add(Node { place, kind }, anchor, 1)
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor) else {
                    return Err(error("an alias inside of what it stands for"));
                };
                let (node, size) = (node.clone(), *size);
                self.add(node, 0, size)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.start(place, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => self.start(
                place,
                anchor,
                Content::Object {
                    entries: Vec::new(),
                    key: None,
                },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, place: Place, anchor: usize, content: Content) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(YamlError {
                line: place.line,
                message: format!("nested deeper than {MAX_DEPTH} levels"),
            });
        }
        self.open.push(Open {
            anchor,
            place,
            content,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let kind = match open.content {
            Content::List(elements) => Kind::List(elements),
            Content::Object { entries, .. } => Kind::Object(entries),
        };
        let node = Node {
            place: open.place,
            kind,
        };
        self.add(node, open.anchor, 1)
    }

    /// Puts a finished node where it belongs. `size` is what it adds to the file.
    fn add(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), YamlError> {
        let line = node.place.line;
        let error = |message: String| Err(YamlError { line, message });
        self.nodes = self.nodes.saturating_add(size);
        if self.nodes > MAX_NODES {
            return error(format!("more than {MAX_NODES} values, aliases unfolded"));
        }
        if anchor != 0 {
            let size = node.size();
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => {
                if !node.is_null() {
                    self.documents.push(node);
                }
            }
            Some(Content::List(elements)) => elements.push(node),
            Some(Content::Object { entries, key }) => match key.take() {
                None => match node.kind {
                    Kind::Scalar { text, .. } => *key = Some((text, node.place)),
                    _ => return error("a key has to be a text".to_owned()),
                },
                Some((name, _)) if name == "<<" => {
                    return error("a merge key (`<<`) is not understood here".to_owned());
                }
                Some((name, place)) => {
                    if let Some(first) = entries.iter().find(|entry| entry.name == name) {
                        return Err(YamlError {
                            line: place.line,
                            message: format!(
                                "the key `{name}` stands twice, first in line {}",
                                first.place.line
                            ),
                        });
                    }
                    entries.push(Entry {
                        name,
                        place,
                        value: node,
                    });
                }
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> (usize, String) {
        let error = documents(text, 0).unwrap_err();
        (error.line, error.message)
    }

    #[test]
    fn documents_know_their_lines() {
        let all = documents("a: 1\n---\n# nothing\n---\nb:\n- x\n- {c: \"2\"}\n", 3).unwrap();
        assert_eq!(all.len(), 2);
        let list = all[1].field("b").unwrap();
        assert_eq!(list.place, Place { file: 3, line: 6 });
        let c = list.children()[1].field("c").unwrap();
        assert_eq!(c.place.line, 7);
        assert!(matches!(&c.kind, Kind::Scalar { text, quoted: true } if text == "2"));
        let one = all[0].field("a").unwrap();
        assert!(matches!(&one.kind, Kind::Scalar { text, quoted: false } if text == "1"));
    }

    #[test]
    fn json_is_yaml() {
        let all = documents("{\n\t\"a\": {\"b\": [\"\\u00e4\\/\", null, true]}\n}\n", 0).unwrap();
        let b = all[0].field("a").unwrap().field("b").unwrap();
        assert_eq!(b.children()[0].text(), Some("ä/"));
        assert!(b.children()[1].is_null());
    }

    #[test]
    fn aliases_stand_for_what_they_name() {
        let all = documents("a: &x {b: 1}\nc: *x\n", 0).unwrap();
        assert_eq!(
            all[0].field("c").unwrap().field("b").unwrap().text(),
            Some("1")
        );
    }

    #[test]
    fn aliases_do_not_unfold_without_bound() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..10 {
            let below = format!("*a{}", level - 1);
            let list = [below.as_str(); 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        let (_, message) = error(&text);
        assert_eq!(message, "more than 200000 values, aliases unfolded");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for (text, line, message) in [
            (
                "a: 1\nb: 2\na: 3\n",
                3,
                "the key `a` stands twice, first in line 1",
            ),
            (
                "{\"a\": 1,\n \"a\": 1}",
                2,
                "the key `a` stands twice, first in line 1",
            ),
            ("? [1]\n: 2\n", 1, "a key has to be a text"),
            ("a: !!int 3\n", 1, "a tag (`!…`) is not understood here"),
            (
                "a: &x {b: 1}\nc:\n  <<: *x\n",
                1,
                "a merge key (`<<`) is not understood here",
            ),
            ("a: &x [*x]\n", 1, "an alias inside of what it stands for"),
        ] {
            assert_eq!(error(text), (line, message.to_owned()), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let (_, message) = error(&format!("{}{}", "[".repeat(150), "]".repeat(150)));
        assert_eq!(message, "nested deeper than 100 levels");
    }

    #[test]
    fn a_text_that_is_no_yaml_is_named_with_its_line() {
        let (line, message) = error("a: b\n c: [d\n");
        assert!(
            line >= 2 && message.starts_with("this is no YAML: "),
            "{line}: {message}"
        );
    }
}
