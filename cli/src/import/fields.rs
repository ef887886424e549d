//! Reading an object field by field, so that none is passed over: what nobody asked for is reported.

use std::cell::RefCell;

use nexus_core::policy::nearest_name;

use super::findings::Findings;
use super::yaml::{Entry, Kind, Node, Place};

/// How the names of fields are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// `camelCase` alone, as in Kubernetes.
    Camel,
    /// `snake_case` or `camelCase`, as in the JSON of protocol buffers.
    Proto,
}

/// An object that is being read.
pub(crate) struct Fields<'n> {
    place: Place,
    entries: &'n [Entry],
    spelling: Spelling,
    used: RefCell<Vec<bool>>,
    /// The names that were asked for, which are all there are.
    asked: RefCell<Vec<String>>,
}

impl<'n> Fields<'n> {
    /// The fields of an object; what is none is reported as `what`.
    pub(crate) fn of(
        node: &'n Node,
        spelling: Spelling,
        what: &str,
        findings: &mut Findings,
    ) -> Option<Self> {
        let entries: &[Entry] = match &node.kind {
            Kind::Object(entries) => entries,
            // Nothing behind the colon of a message is a message without fields.
            Kind::Null => &[],
            _ => {
                findings.refused(node.place, format!("`{what}` has to be an object"));
                return None;
            }
        };
        Some(Self {
            place: node.place,
            entries,
            spelling,
            used: RefCell::new(vec![false; entries.len()]),
            asked: RefCell::default(),
        })
    }

    /// Where the object begins.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// How its names are spelt.
    pub(crate) fn spelling(&self) -> Spelling {
        self.spelling
    }

    /// The entry of a field; the name is that of the specification. One without a value is left out.
    pub(crate) fn entry(&self, name: &str, findings: &mut Findings) -> Option<&'n Entry> {
        let mut found: Option<&Entry> = None;
        self.asked.borrow_mut().push(name.to_owned());
        for (entry, used) in self.entries.iter().zip(self.used.borrow_mut().iter_mut()) {
            let is_it = entry.name == name
                || (self.spelling == Spelling::Proto && entry.name == camel(name));
            if !is_it {
                continue;
            }
            *used = true;
            if let Some(first) = found {
                findings.refused(
                    entry.place,
                    format!("`{}` and `{}` are the same field", first.name, entry.name),
                );
            }
            found = Some(entry);
        }
        found.filter(|entry| !entry.value.is_null())
    }

    /// The value of a field.
    pub(crate) fn get(&self, name: &str, findings: &mut Findings) -> Option<&'n Node> {
        self.entry(name, findings).map(|entry| &entry.value)
    }

    /// The text of a field; empty counts as absent, as in protocol buffers.
    pub(crate) fn text(&self, name: &str, findings: &mut Findings) -> Option<String> {
        let node = self.get(name, findings)?;
        text_of(node, name, findings).filter(|text| !text.is_empty())
    }

    /// A duration in milliseconds, and where it stands; `example` is one, for the message about what is none.
    pub(crate) fn duration(
        &self,
        name: &str,
        example: &str,
        findings: &mut Findings,
    ) -> Option<(u64, Place)> {
        let node = self.get(name, findings)?;
        let duration = milliseconds(node);
        if duration.is_none() {
            let message = format!("`{name}` has to be a duration, as in `{example}`");
            findings.refused(node.place, message);
        }
        duration.map(|duration| (duration, node.place))
    }

    /// A field that is true or false.
    pub(crate) fn boolean(&self, name: &str, findings: &mut Findings) -> Option<bool> {
        let node = self.get(name, findings)?;
        match &node.kind {
            Kind::Scalar {
                text,
                quoted: false,
            } if text.eq_ignore_ascii_case("true") => Some(true),
            Kind::Scalar {
                text,
                quoted: false,
            } if text.eq_ignore_ascii_case("false") => Some(false),
            _ => {
                findings.refused(node.place, format!("`{name}` has to be `true` or `false`"));
                None
            }
        }
    }

    /// A whole number that is not negative, also as protocol buffers wrap it.
    pub(crate) fn number(&self, name: &str, findings: &mut Findings) -> Option<u64> {
        let node = self.get(name, findings)?;
        let value = node.field("value").unwrap_or(node);
        let number = value.text().and_then(|text| text.parse().ok());
        if number.is_none() {
            let message = format!("`{name}` has to be a whole number that is not negative");
            findings.refused(node.place, message);
        }
        number
    }

    /// The elements of a list.
    pub(crate) fn list(&self, name: &str, findings: &mut Findings) -> Vec<&'n Node> {
        match self.get(name, findings) {
            None => Vec::new(),
            Some(node) => match &node.kind {
                Kind::List(elements) => elements.iter().collect(),
                _ => {
                    findings.refused(node.place, format!("`{name}` has to be a list"));
                    Vec::new()
                }
            },
        }
    }

    /// The elements of a list of texts.
    pub(crate) fn texts(&self, name: &str, findings: &mut Findings) -> Vec<String> {
        self.list(name, findings)
            .into_iter()
            .filter_map(|element| text_of(element, name, findings))
            .collect()
    }

    /// The first of these fields that is there, with its name, where only one of them may be.
    pub(crate) fn one_of(
        &self,
        names: &[&'static str],
        findings: &mut Findings,
    ) -> Option<(&'static str, &'n Entry)> {
        let mut found: Option<(&'static str, &Entry)> = None;
        for name in names {
            let Some(entry) = self.entry(name, findings) else {
                continue;
            };
            match found {
                None => found = Some((name, entry)),
                Some((first, _)) => findings.refused(
                    entry.place,
                    format!("`{name}` cannot stand beside `{first}`"),
                ),
            }
        }
        found
    }

    /// Says of a field that it has no place in a policy.
    pub(crate) fn not_carried(&self, name: &str, why: &str, findings: &mut Findings) {
        if let Some(entry) = self.entry(name, findings) {
            let message = format!("`{name}` is not carried over");
            findings.not_carried(entry.place, message, why);
        }
    }

    /// Says of a field that nothing is lost without it.
    pub(crate) fn needless(&self, name: &str, why: &str, findings: &mut Findings) {
        if let Some(entry) = self.entry(name, findings) {
            findings.note(entry.place, format!("`{name}` is not needed: {why}"));
        }
    }

    /// Passes a field over that says nothing about access.
    pub(crate) fn skip(&self, name: &str, findings: &mut Findings) {
        let _ = self.entry(name, findings);
    }

    /// Says of a field that what it is about is done by whoever did it until now.
    pub(crate) fn stays(&self, name: &str, with: &str, findings: &mut Findings) {
        if let Some(entry) = self.entry(name, findings) {
            findings.note(
                entry.place,
                format!("`{name}` stays with {with}: it says nothing about JWTs"),
            );
        }
    }

    /// Refuses every field that nobody asked for. What is not known may say who may pass, and one that is misspelt
    /// and left out would open what it was to close.
    pub(crate) fn finish(self, findings: &mut Findings) {
        let used = self.used.into_inner();
        let asked = self.asked.into_inner();
        let left = self.entries.iter().zip(used).filter(|(_, used)| !used);
        for (entry, _) in left {
            let known = asked.iter().map(String::as_str);
            let hint = match nearest_name(&entry.name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "see docs/migrating.md for the fields that are known".to_owned(),
            };
            findings.refused_with_hint(
                entry.place,
                format!(
                    "`{}` is not known here: without it, more requests may pass",
                    entry.name
                ),
                hint,
            );
        }
    }
}

/// The text of a scalar; anything else is reported.
pub(crate) fn text_of(node: &Node, name: &str, findings: &mut Findings) -> Option<String> {
    let text = node.text().map(str::to_owned);
    if text.is_none() {
        findings.refused(node.place, format!("`{name}` has to be a text"));
    }
    text
}

/// The JSON name of a field of a protocol buffer.
fn camel(name: &str) -> String {
    let mut camel = String::new();
    let mut raise = false;
    for character in name.chars() {
        match character {
            '_' => raise = true,
            _ if raise => {
                camel.extend(character.to_uppercase());
                raise = false;
            }
            _ => camel.push(character),
        }
    }
    camel
}

/// A duration in milliseconds: `1.5s` or `{seconds: 1, nanos: 500000000}` of protocol buffers, `1h30m` of Go.
/// Rounded up; `None` when it is none or negative.
fn milliseconds(node: &Node) -> Option<u64> {
    if let Kind::Object(_) = node.kind {
        let part = |name: &str| match node.field(name) {
            None => Some(0_u64),
            Some(value) => value.text()?.parse().ok(),
        };
        let nanos = part("nanos")?;
        return part("seconds")?
            .checked_mul(1000)?
            .checked_add(nanos.div_ceil(1_000_000));
    }
    let mut rest = node.text()?;
    if rest == "0" {
        return Some(0);
    }
    let mut nanos = 0_u128;
    while !rest.is_empty() {
        let digits =
            rest.find(|character: char| !(character.is_ascii_digit() || character == '.'))?;
        let (number, behind) = rest.split_at(digits);
        let length = behind
            .find(|character: char| character.is_ascii_digit() || character == '.')
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(length);
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        nanos = nanos.checked_add(scaled(number, unit)?)?;
        rest = behind;
    }
    match node.text()? {
        "" => None,
        _ => u64::try_from(nanos.div_ceil(1_000_000)).ok(),
    }
}

/// A decimal number times a unit.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let digits = |text: &str| match text {
        "" => Some(0_u128),
        text => text.parse().ok(),
    };
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole = digits(whole)?.checked_mul(unit)?;
    let part = digits(fraction)?.checked_mul(unit)?.checked_div(scale)?;
    whole.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::super::yaml::documents;
    use super::*;

    #[test]
    fn durations_of_protocol_buffers_and_of_go() {
        for (text, expected) in [
            ("300s", Some(300_000)),
            ("0.5s", Some(500)),
            ("1.0005s", Some(1001)),
            ("{seconds: 300}", Some(300_000)),
            ("{seconds: \"2\", nanos: 1}", Some(2001)),
            ("1h30m", Some(5_400_000)),
            ("250ms", Some(250)),
            ("0", Some(0)),
            ("-1s", None),
            ("5", None),
            ("s", None),
            ("1d", None),
            ("\"\"", None),
            (".s", None),
        ] {
            let node = &documents(&format!("d: {text}"), 0).unwrap()[0];
            assert_eq!(milliseconds(node.field("d").unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn both_names_of_a_field_are_one_field() {
        let node = &documents("claimToHeaders: 1\nclaim_to_headers: 2\n", 0).unwrap()[0];
        let mut findings = Findings::default();
        let fields = Fields::of(node, Spelling::Proto, "x", &mut findings).unwrap();
        fields.get("claim_to_headers", &mut findings);
        fields.finish(&mut findings);
        assert_eq!(
            findings.lines(),
            ["2: refused: `claimToHeaders` and `claim_to_headers` are the same field"]
        );
    }

    #[test]
    fn a_field_that_nobody_asked_for_is_refused() {
        let node = &documents("issuer: a\nisuer: b\n", 0).unwrap()[0];
        let mut findings = Findings::default();
        let fields = Fields::of(node, Spelling::Camel, "x", &mut findings).unwrap();
        assert_eq!(fields.text("issuer", &mut findings).as_deref(), Some("a"));
        fields.finish(&mut findings);
        assert_eq!(
            findings.lines(),
            ["2: refused: `isuer` is not known here: without it, more requests may pass"]
        );
    }
}
