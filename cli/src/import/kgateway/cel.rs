//! The part of the Common Expression Language that says something about claims: comparisons of a claim with
//! texts, joined by `&&` and `||`. Everything else is left to the caller to refuse.

use super::super::access::MAX_WAYS;
use super::super::access::{Conditions, all_of};
use super::super::policy::{Claim, ClaimTest, RequiredClaim};

/// How deep parentheses may be nested.
const MAX_DEPTH: usize = 16;
/// What the claims of a verified token are called, in either quotation marks.
const PAYLOAD: [&str; 2] = ["envoy.filters.http.jwt_authn", "payload"];

/// The ways in which an expression is true; `None` when it is not of this part of the language.
pub(super) fn ways(expression: &str) -> Option<Vec<Conditions>> {
    let mut parser = Parser {
        tokens: tokens(expression)?,
        at: 0,
        depth: 0,
    };
    let ways = parser.any()?;
    (parser.at == parser.tokens.len()).then_some(ways)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    Text(String),
    Sign(&'static str),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let signs = ["&&", "||", "==", "(", ")", "[", "]", ".", ","];
        if let Some(sign) = signs.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = rest.get(sign.len()..)?;
        } else if first == '\'' || first == '"' {
            let inner = rest.get(1..)?;
            let end = inner.find(first)?;
            let inside = inner.get(..end)?;
            // Escapes are not read, so that none is misread.
            if inside.contains('\\') {
                return None;
            }
            tokens.push(Token::Text(inside.to_owned()));
            rest = inner.get(end + 1..)?;
        } else {
            let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
            let end = rest
                .find(|character: char| !is_name(character))
                .unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            tokens.push(Token::Name(rest.get(..end)?.to_owned()));
            rest = rest.get(end..)?;
        }
        rest = rest.trim_start();
    }
    Some(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn next_is(&mut self, sign: &'static str) -> bool {
        let is_it = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        if is_it {
            self.at += 1;
        }
        is_it
    }

    fn any(&mut self) -> Option<Vec<Conditions>> {
        let mut ways = self.all()?;
        while self.next_is("||") {
            ways.extend(self.all()?);
        }
        (ways.len() <= MAX_WAYS).then_some(ways)
    }

    fn all(&mut self) -> Option<Vec<Conditions>> {
        let mut parts = vec![self.one()?];
        while self.next_is("&&") {
            parts.push(self.one()?);
        }
        all_of(&parts)
    }

    fn one(&mut self) -> Option<Vec<Conditions>> {
        if self.next_is("(") {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return None;
            }
            let inner = self.any()?;
            self.depth -= 1;
            return self.next_is(")").then_some(inner);
        }
        let (claim, test) = match self.tokens.get(self.at)?.clone() {
            Token::Text(text) => {
                self.at += 1;
                if !self.next_is_name("in") {
                    // `'dev' == claim`
                    if !self.next_is("==") {
                        return None;
                    }
                    return Some(vec![condition(self.claim()?, ClaimTest::Equals(text))]);
                }
                (self.claim()?, ClaimTest::Contains(text))
            }
            _ => {
                let claim = self.claim()?;
                if self.next_is_name("in") {
                    let each = |text| condition(claim.clone(), ClaimTest::Equals(text));
                    return Some(self.texts()?.into_iter().map(each).collect());
                }
                if !self.next_is("==") {
                    return None;
                }
                (claim, ClaimTest::Equals(self.text()?))
            }
        };
        Some(vec![condition(claim, test)])
    }

    fn next_is_name(&mut self, name: &str) -> bool {
        let is_it = self.tokens.get(self.at) == Some(&Token::Name(name.to_owned()));
        if is_it {
            self.at += 1;
        }
        is_it
    }

    fn text(&mut self) -> Option<String> {
        match self.tokens.get(self.at)?.clone() {
            Token::Text(text) => {
                self.at += 1;
                Some(text)
            }
            _ => None,
        }
    }

    fn texts(&mut self) -> Option<Vec<String>> {
        if !self.next_is("[") {
            return None;
        }
        let mut texts = vec![self.text()?];
        while self.next_is(",") {
            texts.push(self.text()?);
        }
        self.next_is("]").then_some(texts)
    }

    /// `metadata.filter_metadata['envoy.filters.http.jwt_authn']['payload']['a'].b`
    fn claim(&mut self) -> Option<Claim> {
        let mut path = Vec::new();
        if !self.next_is_name("metadata") {
            return None;
        }
        loop {
            if self.next_is(".") {
                match self.tokens.get(self.at)?.clone() {
                    Token::Name(name) => path.push(name),
                    _ => return None,
                }
                self.at += 1;
            } else if self.next_is("[") {
                path.push(self.text()?);
                if !self.next_is("]") {
                    return None;
                }
            } else {
                break;
            }
        }
        // A call is no member.
        if self.tokens.get(self.at) == Some(&Token::Sign("(")) {
            return None;
        }
        match path.as_slice() {
            [first, filter, payload, claim @ ..]
                if first == "filter_metadata"
                    && filter == PAYLOAD[0]
                    && payload == PAYLOAD[1]
                    && !claim.is_empty() =>
            {
                Some(Claim::of_path(claim.to_vec()))
            }
            _ => None,
        }
    }
}

fn condition(claim: Claim, test: ClaimTest) -> Conditions {
    Conditions {
        claims: vec![RequiredClaim { claim, test }],
        ..Conditions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIMS: &str = "metadata.filter_metadata['envoy.filters.http.jwt_authn']['payload']";

    fn read(expression: &str) -> Option<String> {
        let ways = ways(&expression.replace("C", CLAIMS))?;
        let texts: Vec<String> = ways
            .iter()
            .map(|way| serde_json::to_string(&way.claims).unwrap())
            .collect();
        Some(texts.join(" or "))
    }

    #[test]
    fn comparisons_of_claims_become_conditions() {
        for (expression, expected) in [
            ("C['team'] == 'dev'", r#"[{"claim":"team","equals":"dev"}]"#),
            ("\"dev\" == C.team", r#"[{"claim":"team","equals":"dev"}]"#),
            (
                "'a' in C['x']['y']",
                r#"[{"claim":["x","y"],"contains":"a"}]"#,
            ),
            (
                "C['t'] in ['a', 'b']",
                r#"[{"claim":"t","equals":"a"}] or [{"claim":"t","equals":"b"}]"#,
            ),
            (
                "(C.a == '1' || C.b == '2') && C.c == '3'",
                r#"[{"claim":"a","equals":"1"},{"claim":"c","equals":"3"}] or [{"claim":"b","equals":"2"},{"claim":"c","equals":"3"}]"#,
            ),
        ] {
            assert_eq!(read(expression).as_deref(), Some(expected), "{expression}");
        }
    }

    #[test]
    fn everything_else_is_left_to_be_refused() {
        for expression in [
            "",
            "true",
            "C",
            "C['a'] != 'x'",
            "!(C['a'] == 'x')",
            "C['a'] == 1",
            "C['a'] == 'x' &&",
            "C['a'] == 'x' C['b'] == 'y'",
            "C['a'].startsWith('x')",
            "C['a'] == 'it\\'s'",
            "request.path == '/x'",
            "metadata.filter_metadata['other']['payload']['a'] == 'x'",
            "(((((((((((((((((C['a'] == 'x')))))))))))))))))",
            "C['a'] == 'x' ? true : false",
        ] {
            assert_eq!(read(expression), None, "{expression}");
        }
    }
}
