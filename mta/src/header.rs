//! The header section as octets: one scanner for the fields that are there, and the one encoder for the fields that we add.
//!
//! RFC 5322 section 2.2 (fields, folding, the 998 and 78 octet limits) and RFC 6376 section 3.4.2 (relaxed form of a value). The scanner copes
//! with what is not RFC 5322: lines without a colon, a continuation line at the start, no empty line. Values are not decoded here
//! (RFC 2047), and apart from From ([`author`]) no value is interpreted.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr_iter};
use thiserror::Error;

// With its path, because the fuzz crate takes this file in by its path too.
#[path = "header/from.rs"]
mod from;

pub use from::{AuthorFault, author, sender};

/// RFC 5322 section 2.1.1: no line may be longer, without its CRLF.
pub const MAX_LINE: usize = 998;
/// RFC 5322 section 2.1.1: lines should not be longer.
const PREFERRED_LINE: usize = 78;
/// So that the name and a first word still fit on a line of the preferred length.
const MAX_NAME: usize = 64;

/// Why a field cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Empty, too long, or with octets that RFC 5322 section 3.6.8 does not allow.
    #[error(
        "{0:?} is no header field name; write printable ASCII without \":\" or space, at most 64 characters, for example \"X-Signet-Loop\""
    )]
    Name(String),
    /// A control character would start another line or another field.
    #[error("the value of {name} holds the control character U+{code:04X}; write one line of text")]
    Control {
        /// The field's name.
        name: String,
        /// The character.
        code: u32,
    },
    /// No white space to fold at.
    #[error("the value of {name} holds a word of {octets} octets; a line may have {MAX_LINE}")]
    LongWord {
        /// The field's name.
        name: String,
        /// Length of the line that would result.
        octets: usize,
    },
}

/// One header field as it stands in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// What stands before the colon, without white space at its end.
    pub name: &'a [u8],
    /// What stands after the colon: with its folding, without the CRLF at its end.
    pub value: &'a [u8],
    /// The whole field in the message, with the CRLF at its end.
    pub span: Range<usize>,
}

impl<'a> Field<'a> {
    /// Whether the field has this name; case does not matter.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value in its relaxed form ([`relaxed`]); octets that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        let mut octets = Vec::with_capacity(self.value.len());
        relaxed(self.value, &mut octets);
        String::from_utf8(octets).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// The value without folding, otherwise as it is.
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        if memchr(b'\n', self.value).is_none() {
            return Cow::Borrowed(self.value);
        }
        Cow::Owned(self.value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect())
    }
}

/// The fields of the header section of `content`, from the top. Lines that are no field are passed over.
pub fn fields(content: &[u8]) -> Fields<'_> {
    Fields { content, at: 0 }
}

/// Iterates over header fields; made by [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    content: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let rest = self.content.get(self.at..).unwrap_or_default();
            if rest.is_empty() || empty_line(rest) != 0 {
                return None;
            }
            let span = self.at..self.at + field_length(rest);
            self.at = span.end;
            if let Some(field) = field(self.content, span) {
                return Some(field);
            }
        }
    }
}

/// Where the body starts: after the first empty line, or at the end when there is none.
pub fn body_start(content: &[u8]) -> usize {
    let mut line = 0;
    for newline in memchr_iter(b'\n', content) {
        if empty_line(&content[line..]) != 0 {
            return newline + 1;
        }
        line = newline + 1;
    }
    content.len()
}

/// Whether every reader sees the same fields in a header section, with or without the empty line at its end: each line is a whole field or the
/// continuation of one (RFC 5322 section 2.2), no name has white space in it or behind it (section 4.5 lets old software write that), and
/// no line is white space only, because some readers end the section there.
pub fn is_regular(header: &[u8]) -> bool {
    let mut rest = header;
    let mut first = true;
    while !rest.is_empty() {
        let Some(end) = memchr(b'\n', rest) else {
            return false;
        };
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        if line.is_empty() {
            return rest.is_empty();
        }
        let regular = match line[0] {
            b' ' | b'\t' => !first && !line.trim_ascii().is_empty(),
            _ => memchr(b':', line).is_some_and(|colon| colon > 0 && line[..colon].iter().all(u8::is_ascii_graphic)),
        };
        if !regular || memchr(b'\r', line).is_some() {
            return false;
        }
        first = false;
    }
    true
}

/// Appends `value` unfolded, with every run of spaces and tabs as one space, and none at its ends (RFC 6376 section 3.4.2).
pub fn relaxed(value: &[u8], into: &mut Vec<u8>) {
    let start = into.len();
    let mut gap = false;
    for &octet in value {
        match octet {
            b' ' | b'\t' => gap = true,
            b'\r' | b'\n' => {}
            _ => {
                if gap && into.len() > start {
                    into.push(b' ');
                }
                gap = false;
                into.push(octet);
            }
        }
    }
}

/// One complete field, folded at white space, with the CRLF at its end. Unfolding gives back `value` (without space at its ends).
pub fn encode(name: &str, value: &str) -> Result<Vec<u8>, HeaderError> {
    check_name(name)?;
    if let Some(control) = value.chars().find(|character| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')) {
        return Err(HeaderError::Control { name: name.to_owned(), code: control.into() });
    }
    let mut field = Vec::with_capacity(name.len() + value.len() + 2 + value.len() / PREFERRED_LINE * 2 + 4);
    field.extend_from_slice(name.as_bytes());
    field.push(b':');
    let mut line = field.len();
    let mut rest = value.trim_matches(' ');
    let mut gap = " ";
    while !rest.is_empty() {
        let word_end = rest.find(' ').unwrap_or(rest.len());
        let (word, tail) = rest.split_at(word_end);
        let length = gap.len() + word.len();
        // "Name:" alone on a line is legal, but some readers take it for an empty field.
        let after_name = line == name.len() + 1;
        if line + length > if after_name { MAX_LINE } else { PREFERRED_LINE } {
            field.extend_from_slice(b"\r\n");
            line = 0;
        }
        line += length;
        if line > MAX_LINE {
            return Err(HeaderError::LongWord { name: name.to_owned(), octets: line });
        }
        field.extend_from_slice(gap.as_bytes());
        field.extend_from_slice(word.as_bytes());
        let gap_end = tail.find(|character| character != ' ').unwrap_or(tail.len());
        (gap, rest) = tail.split_at(gap_end);
    }
    field.extend_from_slice(b"\r\n");
    Ok(field)
}

/// Whether `name` can be a field name that we write.
pub fn check_name(name: &str) -> Result<(), HeaderError> {
    let legal = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':');
    if legal { Ok(()) } else { Err(HeaderError::Name(name.to_owned())) }
}

/// Length of the empty line that `rest` starts with, 0 when it starts with something else.
fn empty_line(rest: &[u8]) -> usize {
    match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        _ => 0,
    }
}

/// Length of the field or line that `rest` starts with, with its continuation lines.
fn field_length(rest: &[u8]) -> usize {
    memchr_iter(b'\n', rest).find(|newline| !matches!(rest.get(newline + 1), Some(b' ' | b'\t'))).map_or(rest.len(), |newline| newline + 1)
}

fn field(content: &[u8], span: Range<usize>) -> Option<Field<'_>> {
    let text = &content[span.clone()];
    let first_line = &text[..memchr(b'\n', text).unwrap_or(text.len())];
    let colon = memchr(b':', first_line)?;
    let name = text[..colon].trim_ascii_end();
    if name.is_empty() || matches!(text[0], b' ' | b'\t') {
        return None;
    }
    let value = &text[colon + 1..];
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    Some(Field { name, value, span })
}

#[cfg(test)]
mod tests;
