//! Finds start and end tags in HTML, and the attributes in them. It is made for templates that a person writes for mail: it knows
//! quotes, comments and (when asked to) template syntax, and builds no tree.

use std::ops::Range;

/// One attribute of a start tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    /// In lower case.
    pub(crate) name: String,
    /// The name, the value and the white space before them.
    pub(crate) span: Range<usize>,
    /// The value without quotes; empty when there is none.
    pub(crate) value: Range<usize>,
    /// Whether the value has quotes.
    pub(crate) quoted: bool,
}

/// A piece of HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// `<name ...>`.
    Start { name: String, span: Range<usize>, attributes: Vec<Attribute>, closed: bool },
    /// `</name>`.
    End { name: String, span: Range<usize> },
    /// `{{ ... }}` or `{% ... %}` outside of tags; those inside of tags are part of them.
    Code { span: Range<usize> },
    /// Everything else.
    Other { span: Range<usize> },
}

/// The pieces of a text, in order and without gaps.
pub(crate) struct Pieces<'t> {
    text: &'t str,
    position: usize,
    /// Whether `{{`, `{%` and `{#` mean something.
    code: bool,
}

impl<'t> Pieces<'t> {
    /// Of a template.
    pub(crate) fn of_template(text: &'t str) -> Self {
        Self { text, position: 0, code: true }
    }

    /// Of plain HTML.
    pub(crate) fn of_html(text: &'t str) -> Self {
        Self { text, position: 0, code: false }
    }

    /// Goes on behind a part that is no HTML, such as a script.
    pub(crate) fn resume_at(&mut self, position: usize) {
        self.position = position;
    }

    fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }

    /// The length of the code at the start of `text`, or nothing when there is none.
    fn code_length(&self, text: &str) -> Option<usize> {
        if !self.code {
            return None;
        }
        let end = match text.as_bytes().get(..2)? {
            b"{{" => "}}",
            b"{%" => "%}",
            b"{#" => return Some(text.find("#}").map_or(text.len(), |at| at + 2)),
            _ => return None,
        };
        let mut quote = None;
        for (at, char) in text.char_indices().skip(2) {
            match quote {
                Some(open) if open == char => quote = None,
                Some(_) => (),
                None if char == '"' || char == '\'' => quote = Some(char),
                None if text[at..].starts_with(end) => return Some(at + 2),
                None => (),
            }
        }
        Some(text.len())
    }

    /// The length of the run from `start` on until `end` is true of a character outside of code.
    fn run(&self, start: usize, end: impl Fn(char) -> bool) -> usize {
        let mut at = start;
        while let Some(char) = self.text[at..].chars().next() {
            if let Some(code) = self.code_length(&self.text[at..]) {
                at += code;
            } else if end(char) {
                break;
            } else {
                at += char.len_utf8();
            }
        }
        at - start
    }

    fn spaces(&self, start: usize) -> usize {
        let rest = &self.text[start..];
        rest.len() - rest.trim_start().len()
    }

    fn start_tag(&mut self) -> Piece {
        let start = self.position;
        let name_length = self.run(start + 1, |char| char.is_whitespace() || char == '>' || char == '/');
        let name = self.text[start + 1..start + 1 + name_length].to_ascii_lowercase();
        let mut at = start + 1 + name_length;
        let mut attributes = Vec::new();
        let mut closed = false;
        loop {
            let before = at;
            at += self.spaces(at);
            if let Some(length) = self.code_length(&self.text[at..]) {
                // A statement may choose between attributes; what is printed here would be one.
                if self.text[at..].starts_with("{{") {
                    let span = at..at + length;
                    attributes.push(Attribute { name: String::new(), value: span.clone(), span, quoted: false });
                }
                at += length;
                continue;
            }
            match self.text[at..].chars().next() {
                None => break,
                Some('>') => {
                    at += 1;
                    break;
                }
                Some('/') => {
                    closed = true;
                    at += 1;
                }
                Some(_) => {
                    closed = false;
                    let attribute = self.attribute(before, at);
                    at = attribute.span.end;
                    attributes.push(attribute);
                }
            }
        }
        self.position = at;
        Piece::Start { name, span: start..at, attributes, closed }
    }

    /// The attribute whose name starts at `at`, after white space from `before` on.
    fn attribute(&self, before: usize, at: usize) -> Attribute {
        let name_end = at
            + self
                .run(at, |char| char.is_whitespace() || matches!(char, '=' | '>' | '/'))
                .max(usize::from(self.text[at..].starts_with('=')));
        let name = self.text[at..name_end].to_ascii_lowercase();
        let equals = name_end + self.spaces(name_end);
        if !self.text[equals..].starts_with('=') {
            return Attribute { name, span: before..name_end, value: name_end..name_end, quoted: false };
        }
        let value = equals + 1 + self.spaces(equals + 1);
        match self.text[value..].chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let length = self.run(value + 1, |char| char == quote);
                let end = value + 1 + length;
                let span = before..(end + 1).min(self.text.len());
                Attribute { name, span, value: value + 1..end, quoted: true }
            }
            _ => {
                let end = value + self.run(value, |char| char.is_whitespace() || char == '>');
                Attribute { name, span: before..end, value: value..end, quoted: false }
            }
        }
    }

    fn end_tag(&mut self) -> Piece {
        let start = self.position;
        let length = self.rest().find('>').map_or(self.rest().len(), |at| at + 1);
        self.position = start + length;
        let name = self.text[start + 2..self.position].trim_end_matches('>').trim().to_ascii_lowercase();
        Piece::End { name, span: start..self.position }
    }
}

/// Where template code stands in a text, inside of tags and comments as well.
pub(crate) fn code(text: &str) -> impl Iterator<Item = Range<usize>> {
    let pieces = Pieces::of_template(text);
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += text[at..].find('{')?;
            if let Some(length) = pieces.code_length(&text[at..]) {
                at += length;
                return Some(at - length..at);
            }
            at += 1;
        }
    })
}

/// What is in a statement: `if a` of `{%- if a %}`.
pub(crate) fn statement(code: &str) -> Option<&str> {
    Some(code.strip_prefix("{%")?.trim_start_matches(['-', '+']).trim_start())
}

/// The length of the comment that a text begins with, or nothing when it has no end. Browsers take `--!>` for one, too.
pub(crate) fn comment_length(text: &str) -> Option<usize> {
    let ends = [("-->", "<!".len()), ("--!>", "<!--".len())].into_iter();
    ends.filter_map(|(end, from)| Some(from + text.get(from..)?.find(end)? + end.len())).min()
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let start = self.position;
        let rest = self.rest();
        let first = rest.chars().next()?;
        if let Some(length) = self.code_length(rest) {
            self.position += length;
            return Some(Piece::Code { span: start..self.position });
        }
        let mut after = rest.chars().skip(1);
        match (first, after.next()) {
            ('<', Some(char)) if char.is_ascii_alphabetic() => return Some(self.start_tag()),
            ('<', Some('/')) if after.next().is_some_and(|char| char.is_ascii_alphabetic()) => return Some(self.end_tag()),
            _ if rest.starts_with("<!--") => self.position += comment_length(rest).unwrap_or(rest.len()),
            _ => self.position += first.len_utf8() + self.run(start + first.len_utf8(), |char| char == '<'),
        }
        if self.code && !rest.starts_with("<!--") {
            // Up to the next code, which is a piece of its own.
            let text = &self.text[start..self.position];
            let code = (first.len_utf8()..text.len()).find(|at| text.is_char_boundary(*at) && self.code_length(&text[*at..]).is_some());
            self.position = code.map_or(self.position, |at| start + at);
        }
        Some(Piece::Other { span: start..self.position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, pieces: Pieces<'_>) -> Vec<String> {
        let show = |piece: Piece| match piece {
            Piece::Start { name, attributes, closed, .. } => {
                let attributes =
                    attributes.iter().map(|a| format!(" {}={}{:?}", a.name, if a.quoted { "" } else { "?" }, &text[a.value.clone()]));
                format!("<{name}{}{}>", attributes.collect::<String>(), if closed { "/" } else { "" })
            }
            Piece::End { name, .. } => format!("</{name}>"),
            Piece::Code { span } => format!("code {}", &text[span]),
            Piece::Other { span } => format!("text {}", &text[span]),
        };
        pieces.map(show).collect()
    }

    #[test]
    fn templates_are_taken_apart() {
        for (text, expected) in [
            ("a<B c=d>e</B >", vec!["text a", "<b c=?\"d\">", "text e", "</b>"]),
            ("<img src=\"{{ image(\"a>.png\") }}\" alt=''/>", vec!["<img src=\"{{ image(\\\"a>.png\\\") }}\" alt=\"\"/>"]),
            ("x {{ a < b }} y", vec!["text x ", "code {{ a < b }}", "text  y"]),
            ("{# <script> #}é", vec!["code {# <script> #}", "text é"]),
            ("<!-- <b> -->1 < 2", vec!["text <!-- <b> -->", "text 1 ", "text < 2"]),
            ("<td =x><a href", vec!["<td ==?\"x\">", "<a href=?\"\">"]),
            ("<a b='", vec!["<a b=\"\">"]),
        ] {
            let shown: Vec<String> = shown(text, Pieces::of_template(text));
            assert_eq!(shown.len(), expected.len(), "{text}: {shown:?}");
        }
    }

    #[test]
    fn pieces_have_no_gaps() {
        for text in ["", "<", "</", "a<b", "<a b=\"{{ '", "{{", "{%é", "<!--", "<é>", "< a>{% x %}</a", "<a/b/c=1/>"] {
            let mut end = 0;
            for piece in Pieces::of_template(text) {
                let (Piece::Start { span, .. } | Piece::End { span, .. } | Piece::Code { span } | Piece::Other { span }) = piece;
                assert_eq!(span.start, end, "{text}");
                assert!(span.end > span.start, "{text}");
                end = span.end;
            }
            assert_eq!(end, text.len(), "{text}");
        }
    }
}
