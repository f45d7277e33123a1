//! RFC 8601 Authentication-Results values: reading who wrote one and what it says, and quoting what we write into ours.
//!
//! Section 2.2 (syntax: comments and folding wherever the grammar allows them, quoted strings, method and result versions), section 5 (a field
//! that carries our authserv-id but came from outside is a forgery). The reader is lenient where a forger would hide and never panics.
//! Which results count is decided in `verify`; which fields are removed, in `seal`.

/// Comments nest no deeper in honest mail; RFC 5322 sets no limit.
const MAX_COMMENT_DEPTH: usize = 32;
/// RFC 5321 section 4.5.3.1: a local-part, an at sign and a domain.
const MAX_VALUE: usize = 64 + 1 + 255;

/// One `method=result` with its properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MethodResult {
    /// Lower case, without its version.
    pub method: String,
    /// Lower case.
    pub result: String,
    /// `ptype.property` in lower case, and the value; `reason` has no dot.
    pub properties: Vec<(String, String)>,
}

impl MethodResult {
    /// The value of the first property of this name.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(property, _)| property == name).map(|(_, value)| value.as_str())
    }
}

/// Who wrote the value, in lower case and with A-labels: [`None`] when it does not start with an authserv-id.
pub fn authserv_id(value: &[u8]) -> Option<String> {
    match Tokens::new(value).next()? {
        Token::Word(word) | Token::Quoted(word) => Some(canonical(&word)),
        Token::Equals | Token::Semicolon => None,
    }
}

/// Whether a reader could take `value` for one that the host `id` (see [`canonical`]) wrote. Readers differ in what they make of comments inside
/// a word, so each joined beginning is compared too.
pub fn claims(value: &[u8], id: &str) -> bool {
    let mut joined = String::new();
    Tokens::new(value)
        .map_while(|token| match token {
            Token::Word(word) | Token::Quoted(word) => Some(word),
            Token::Equals | Token::Semicolon => None,
        })
        .any(|word| {
            joined.push_str(&word);
            // Early drafts wrote a version behind a slash; some readers still take it off.
            canonical(&joined) == id || joined.split_once('/').is_some_and(|(host, _)| canonical(host) == id)
        })
}

/// `id` as [`authserv_id`] gives it back, for comparison.
pub fn canonical(id: &str) -> String {
    let id = id.trim().trim_end_matches('.');
    if id.is_ascii() { id.to_ascii_lowercase() } else { idna::domain_to_ascii(id).unwrap_or_else(|_| id.to_lowercase()) }
}

/// The results in a value, in order; what is malformed is passed over. `skip` segments come before the first result: one in
/// Authentication-Results, two in ARC-Authentication-Results (`i=` first).
pub fn results(value: &[u8], skip: usize) -> Vec<MethodResult> {
    let tokens: Vec<Token> = Tokens::new(value).collect();
    tokens.split(|token| *token == Token::Semicolon).skip(skip).filter_map(method_result).collect()
}

fn method_result(tokens: &[Token]) -> Option<MethodResult> {
    let [Token::Word(method), Token::Equals, Token::Word(result) | Token::Quoted(result), rest @ ..] = tokens else { return None };
    let method = method.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let mut found = MethodResult { method, result: result.to_ascii_lowercase(), properties: Vec::new() };
    let mut rest = rest;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let (Token::Word(name), [Token::Equals, Token::Word(value) | Token::Quoted(value), after @ ..]) = (first, tail) {
            found.properties.push((name.to_ascii_lowercase(), value.clone()));
            rest = after;
        }
    }
    Some(found)
}

/// `value` as an RFC 8601 `pvalue`: bare where that is unambiguous, else a quoted-string. Control characters are dropped, and what is longer
/// than any address is cut.
pub fn pvalue(value: &str) -> String {
    let value = &value[..value.floor_char_boundary(MAX_VALUE)];
    let bare = |character: char| character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`{|}~@".contains(character) || character > '\u{9f}';
    let line_end = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    if !value.is_empty() && value.chars().all(|character| bare(character) && !line_end(character)) {
        return value.to_owned();
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for character in value.chars().filter(|character| !line_end(*character)) {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Equals,
    Semicolon,
}

/// Words, quoted strings and the two separators; comments and white space are skipped.
struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    /// Past a comment, with those inside it. One that is never closed, or too deep, takes the rest of the value with it.
    fn skip_comment(&mut self) {
        let mut depth = 0usize;
        let mut octets = self.rest.iter().enumerate();
        while let Some((at, octet)) = octets.next() {
            match octet {
                b'\\' => drop(octets.next()),
                b'(' if depth == MAX_COMMENT_DEPTH => break,
                b'(' => depth += 1,
                b')' if depth == 1 => {
                    self.rest = &self.rest[at + 1..];
                    return;
                }
                b')' => depth -= 1,
                _ => {}
            }
        }
        self.rest = &[];
    }

    fn quoted(&mut self) -> Token {
        let mut text = Vec::new();
        let mut octets = self.rest.iter().enumerate().skip(1);
        let mut end = self.rest.len();
        while let Some((at, &octet)) = octets.next() {
            match octet {
                b'"' => {
                    end = at + 1;
                    break;
                }
                b'\\' => text.extend(octets.next().map(|(_, quoted)| *quoted)),
                b'\r' | b'\n' => {}
                _ => text.push(octet),
            }
        }
        self.rest = &self.rest[end..];
        Token::Quoted(String::from_utf8_lossy(&text).into_owned())
    }

    fn word(&mut self) -> Token {
        let stops = |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b'(' | b'"' | b'=' | b';');
        let end = self.rest.iter().position(stops).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Token::Word(String::from_utf8_lossy(word).into_owned())
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            match self.rest.first()? {
                b'(' => self.skip_comment(),
                b'"' => return Some(self.quoted()),
                b'=' | b';' => {
                    let token = if self.rest[0] == b'=' { Token::Equals } else { Token::Semicolon };
                    self.rest = &self.rest[1..];
                    return Some(token);
                }
                octet if octet.is_ascii_whitespace() => self.rest = &self.rest[1..],
                _ => return Some(self.word()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
