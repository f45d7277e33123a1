//! `$filter`: the part of OData's language that the directory supports, read and applied.

use serde_json::{Value, json};

use super::errors::Refusal;
use super::properties::{Standing, standing, type_name};
use crate::tenant::Kind;

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Compare(String, Operator, Value),
    In(String, Vec<Value>),
    Starts(String, String),
    Ends(String, String),
    Any(String, Box<Self>),
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Ge,
    Le,
    Gt,
    Lt,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
    Colon,
}

/// Reads a filter; property names are judged by `known`.
pub(crate) fn parse(text: &str, known: &dyn Fn(&str) -> Result<(), Refusal>) -> Result<Condition, Refusal> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, text, known, variable: None };
    let condition = parser.alternatives()?;
    if parser.at < tokens.len() {
        return Err(parser.wrong());
    }
    Ok(condition)
}

/// Judges names as properties of users or groups.
pub(crate) fn of_kind(kind: Kind) -> impl Fn(&str) -> Result<(), Refusal> {
    move |path| {
        let name = path.split('/').next().unwrap_or_default();
        match standing(kind, name) {
            Standing::Everywhere => Ok(()),
            _ => {
                Err(Refusal::bad(format!("Invalid filter clause: Could not find a property named '{name}' on type '{}'.", type_name(kind))))
            }
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let wrong = |what: &str| Refusal::bad(format!("Invalid filter clause: {what} in '{text}'."));
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let simple = match first {
            '(' => Some(Token::Open),
            ')' => Some(Token::Close),
            ',' => Some(Token::Comma),
            ':' => Some(Token::Colon),
            _ => None,
        };
        if let Some(token) = simple {
            tokens.push(token);
            rest = rest[1..].trim_start();
        } else if first == '\'' {
            let (value, after) = quoted(&rest[1..]).ok_or_else(|| wrong("There is an unterminated string literal"))?;
            tokens.push(Token::Text(value));
            if after.starts_with(|letter: char| letter.is_alphanumeric()) {
                return Err(wrong("There is a syntax error after a string literal; a quote inside is doubled"));
            }
            rest = after.trim_start();
        } else {
            let digit = first.is_ascii_digit();
            let inside = |letter: char| letter.is_alphanumeric() || "_./-$@+".contains(letter) || (digit && letter == ':');
            let end = rest.find(|letter| !inside(letter)).unwrap_or(rest.len());
            if end == 0 {
                return Err(wrong(&format!("There is an unexpected '{first}'")));
            }
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = rest[end..].trim_start();
        }
    }
    Ok(tokens)
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('\'')?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                value.push('\'');
                rest = after;
            }
            None => return Some((value, rest)),
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    text: &'a str,
    known: &'a dyn Fn(&str) -> Result<(), Refusal>,
    variable: Option<String>,
}

impl Parser<'_> {
    fn wrong(&self) -> Refusal {
        Refusal::bad(format!("Invalid filter clause: Syntax error at token {} in '{}'.", self.at, self.text))
    }

    fn word(&self) -> &str {
        match self.tokens.get(self.at) {
            Some(Token::Word(word)) => word,
            _ => "",
        }
    }

    fn next(&mut self, token: &Token) -> Result<(), Refusal> {
        if self.tokens.get(self.at) != Some(token) {
            return Err(self.wrong());
        }
        self.at += 1;
        Ok(())
    }

    fn alternatives(&mut self) -> Result<Condition, Refusal> {
        let mut left = self.conjunction()?;
        while self.word() == "or" {
            self.at += 1;
            left = Condition::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Condition, Refusal> {
        let mut left = self.single()?;
        while self.word() == "and" {
            self.at += 1;
            left = Condition::And(Box::new(left), Box::new(self.single()?));
        }
        Ok(left)
    }

    fn single(&mut self) -> Result<Condition, Refusal> {
        if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            let inner = self.alternatives()?;
            self.next(&Token::Close)?;
            return Ok(inner);
        }
        let word = self.word().to_owned();
        self.at += 1;
        match word.as_str() {
            "" => {
                self.at -= 1;
                Err(self.wrong())
            }
            "not" | "NOT" => Ok(Condition::Not(Box::new(self.single()?))),
            "startswith" | "endswith" => self.text_function(&word),
            "contains" | "tolower" | "substringof" => Err(Refusal::unsupported(format!("Filter function '{word}' is not supported."))),
            _ => match word.strip_suffix("/any") {
                Some(list) => self.any(list),
                None => self.comparison(word),
            },
        }
    }

    fn path(&self, path: &str) -> Result<String, Refusal> {
        if self.variable.as_deref() != Some(path) {
            (self.known)(path)?;
        }
        Ok(path.to_owned())
    }

    fn text_function(&mut self, function: &str) -> Result<Condition, Refusal> {
        self.next(&Token::Open)?;
        let path = self.path(self.word())?;
        self.at += 1;
        self.next(&Token::Comma)?;
        let Some(Token::Text(text)) = self.tokens.get(self.at).cloned() else { return Err(self.wrong()) };
        self.at += 1;
        self.next(&Token::Close)?;
        Ok(if function == "startswith" { Condition::Starts(path, text) } else { Condition::Ends(path, text) })
    }

    fn any(&mut self, list: &str) -> Result<Condition, Refusal> {
        let list = self.path(list)?;
        self.next(&Token::Open)?;
        let variable = self.word().to_owned();
        self.at += 1;
        self.next(&Token::Colon)?;
        self.variable = Some(variable);
        let inner = self.alternatives()?;
        self.variable = None;
        self.next(&Token::Close)?;
        Ok(Condition::Any(list, Box::new(inner)))
    }

    fn comparison(&mut self, path: String) -> Result<Condition, Refusal> {
        let path = self.path(&path)?;
        let operator = match self.word() {
            "eq" => Operator::Eq,
            "ne" => Operator::Ne,
            "ge" => Operator::Ge,
            "le" => Operator::Le,
            "gt" => Operator::Gt,
            "lt" => Operator::Lt,
            "in" => {
                self.at += 1;
                return self.list(path);
            }
            _ => return Err(self.wrong()),
        };
        self.at += 1;
        Ok(Condition::Compare(path, operator, self.literal()?))
    }

    fn list(&mut self, path: String) -> Result<Condition, Refusal> {
        self.next(&Token::Open)?;
        let mut values = vec![self.literal()?];
        while self.tokens.get(self.at) == Some(&Token::Comma) {
            self.at += 1;
            values.push(self.literal()?);
        }
        self.next(&Token::Close)?;
        Ok(Condition::In(path, values))
    }

    fn literal(&mut self) -> Result<Value, Refusal> {
        let value = match self.tokens.get(self.at) {
            Some(Token::Text(text)) => json!(text),
            Some(Token::Word(word)) => match word.as_str() {
                "true" => json!(true),
                "false" => json!(false),
                "null" => Value::Null,
                word if word.starts_with(|letter: char| letter.is_ascii_digit()) => {
                    word.parse::<i64>().map_or_else(|_| json!(word), |n| json!(n))
                }
                _ => return Err(self.wrong()),
            },
            _ => return Err(self.wrong()),
        };
        self.at += 1;
        Ok(value)
    }
}

impl Condition {
    /// Whether it needs `ConsistencyLevel: eventual` and `$count=true`.
    pub(crate) fn advanced(&self) -> bool {
        match self {
            Self::And(left, right) | Self::Or(left, right) => left.advanced() || right.advanced(),
            Self::Not(_) | Self::Ends(..) | Self::Compare(_, Operator::Ne, _) => true,
            Self::Any(_, inner) => inner.advanced(),
            Self::Compare(path, ..) | Self::In(path, _) | Self::Starts(path, _) => path.starts_with("onPremisesExtensionAttributes"),
        }
    }

    /// The ids, when it is `id eq '..'`, alone or joined by `or`.
    pub(crate) fn ids(&self) -> Option<Vec<&str>> {
        match self {
            Self::Compare(path, Operator::Eq, Value::String(id)) if path == "id" => Some(vec![id]),
            Self::Or(left, right) => Some([left.ids()?, right.ids()?].concat()),
            _ => None,
        }
    }

    /// Whether it holds for the object whose values `value` gives.
    pub(crate) fn holds(&self, value: &dyn Fn(&str) -> Value) -> bool {
        match self {
            Self::And(left, right) => left.holds(value) && right.holds(value),
            Self::Or(left, right) => left.holds(value) || right.holds(value),
            Self::Not(inner) => !inner.holds(value),
            Self::Compare(path, operator, wanted) => compare(&value(path), *operator, wanted),
            Self::In(path, wanted) => wanted.iter().any(|wanted| compare(&value(path), Operator::Eq, wanted)),
            Self::Starts(path, start) => lower(&value(path)).is_some_and(|text| text.starts_with(&start.to_lowercase())),
            Self::Ends(path, end) => lower(&value(path)).is_some_and(|text| text.ends_with(&end.to_lowercase())),
            Self::Any(path, inner) => {
                value(path).as_array().is_some_and(|items| items.iter().any(|item| inner.holds(&|_: &str| item.clone())))
            }
        }
    }
}

fn lower(value: &Value) -> Option<String> {
    value.as_str().map(str::to_lowercase)
}

fn compare(value: &Value, operator: Operator, wanted: &Value) -> bool {
    let equal = match (lower(value), lower(wanted)) {
        (Some(left), Some(right)) => left == right,
        _ => value == wanted,
    };
    let order = || match (lower(value), lower(wanted)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => Some(value.as_i64()?.cmp(&wanted.as_i64()?)),
    };
    match operator {
        Operator::Eq => equal,
        Operator::Ne => !equal,
        Operator::Ge => order().is_some_and(std::cmp::Ordering::is_ge),
        Operator::Le => order().is_some_and(std::cmp::Ordering::is_le),
        Operator::Gt => order().is_some_and(std::cmp::Ordering::is_gt),
        Operator::Lt => order().is_some_and(std::cmp::Ordering::is_lt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_hold_as_the_directory_has_it() {
        let values = json!({
            "displayName": "Zoë O'Brien", "mailEnabled": true, "groupTypes": ["Unified"], "department": null,
            "proxyAddresses": ["SMTP:zoe@northwind.example", "smtp:z@northwind.example"],
        });
        let cases = [
            ("displayName eq 'zoë o''brien'", true, false),
            ("startswith(displayName,'zo') and mailEnabled eq true", true, false),
            ("mailEnabled eq false or (displayName ge 'a')", true, false),
            ("groupTypes/any(c:c eq 'Unified')", true, false),
            ("NOT groupTypes/any(c:c eq 'Unified')", false, true),
            ("proxyAddresses/any(p:startswith(p,'smtp:z@'))", true, false),
            ("department eq null", true, false),
            ("department ne null", false, true),
            ("endswith(displayName,'brien')", true, true),
            ("displayName in ('a','Zoë O''Brien')", true, false),
        ];
        for (text, holds, advanced) in cases {
            let condition = parse(text, &of_kind_both).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
            assert_eq!(condition.holds(&|path| values[path].clone()), holds, "{text}");
            assert_eq!(condition.advanced(), advanced, "{text}");
        }
    }

    fn of_kind_both(path: &str) -> Result<(), Refusal> {
        of_kind(Kind::User)(path).or_else(|_| of_kind(Kind::Group)(path))
    }

    #[test]
    fn wrong_filters_are_refused() {
        for text in [
            "displayName eq 'O'Brien'",
            "displayName eq \"x\"",
            "displayName = 'x'",
            "displayName eq 'x",
            "displayName eq x",
            "displayname eq 'x'",
            "contains(displayName,'x')",
            "displayName eq 'x' and",
            "(displayName eq 'x'",
            "aboutMe eq 'x'",
            "",
        ] {
            assert!(parse(text, &of_kind(Kind::User)).is_err(), "{text}");
        }
    }
}
