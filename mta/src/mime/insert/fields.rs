//! The header section of an edited part: fields that are added, and fields that are written instead of others, which stay under a name that means
//! nothing.

use std::ops::Range;

use mail_parser::HeaderForm;

use super::super::Passed;
use super::super::encoding::MAXIMUM_LINE;
use super::super::structure::{Field, Part};
use super::{Changes, Splice};

/// Put in front of the name of a field that is no longer true, so that it says nothing any more and no octet of it is lost; RFC 2045 section 9
/// gives a meaning to no field of a part whose name does not begin with "Content-".
const ORIGINAL: &str = "X-Signet-Original-";

/// How the header section of the edited part changes: what goes between its fields or into one, and what goes below the last one.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) inserted: Vec<Splice>,
    pub(super) added: Vec<u8>,
}

impl Header {
    /// Puts `instead` in the place of a field, which stays under another name.
    pub(super) fn supersede(&mut self, content: &[u8], field: &Field, instead: &str) -> Result<(), Passed> {
        let line = memchr::memchr(b'\n', &content[field.span.clone()]).unwrap_or(field.span.len());
        if line + ORIGINAL.len() > MAXIMUM_LINE {
            return Err(Passed::DamagedHeader);
        }
        self.inserted.push(Splice::insert(field.span.start, format!("{instead}{ORIGINAL}")));
        Ok(())
    }
}

/// Sets the charset and, unless the body keeps it, the content-transfer-encoding; leaves every other parameter as it is.
pub(super) fn relabel(content: &[u8], part: &Part, encoding: Option<&str>, header: &mut Header) -> Result<(), Passed> {
    match part.fields_named(content, "content-type").next() {
        Some(field) => {
            let splice = charset_splice(content, &field.value).filter(|splice| says_utf_8(content, &field.value, splice));
            let splice = splice.ok_or(Passed::DamagedContentType)?;
            if splice.at.is_empty() {
                header.inserted.push(splice);
            } else {
                let new = [&content[field.span.start..splice.at.start], &splice.with, &content[splice.at.end..field.span.end]].concat();
                header.supersede(content, field, &String::from_utf8(new).map_err(|_| Passed::DamagedContentType)?)?;
            }
        }
        None => header.added.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n"),
    }
    let Some(encoding) = encoding else { return Ok(()) };
    let new = format!("Content-Transfer-Encoding: {encoding}\r\n");
    match part.fields_named(content, "content-transfer-encoding").next() {
        Some(field) => header.supersede(content, field, &new)?,
        None => header.added.extend_from_slice(new.as_bytes()),
    }
    Ok(())
}

/// The change that makes a Content-Type value say `charset=utf-8`.
fn charset_splice(content: &[u8], value: &Range<usize>) -> Option<Splice> {
    let text = &content[value.clone()];
    let mut end_of_type = None;
    let mut at = 0;
    // Start of the parameter's name, when the scan is behind a ";".
    let mut name = None;
    while at < text.len() {
        match text[at] {
            b'"' => at += quoted_length(&text[at..], b'"')?,
            b'(' => at += quoted_length(&text[at..], b')')?,
            b';' => {
                end_of_type.get_or_insert(text[..at].trim_ascii_end().len());
                at += 1;
                name = Some(at);
            }
            b'=' => {
                let key = name.take().map(|name: usize| text[name..at].trim_ascii()).unwrap_or_default();
                at += 1;
                if key.eq_ignore_ascii_case(b"charset") {
                    let start = at + text[at..].iter().take_while(|octet| octet.is_ascii_whitespace()).count();
                    let length = match text.get(start) {
                        Some(b'"') => quoted_length(&text[start..], b'"')?,
                        _ => text[start..].iter().take_while(|octet| !octet.is_ascii_whitespace() && !matches!(octet, b';' | b'(')).count(),
                    };
                    return Some(Splice::replace(value.start + start..value.start + start + length, "utf-8"));
                }
                if key.len() > 7 && key[..8].eq_ignore_ascii_case(b"charset*") {
                    return None;
                }
            }
            _ => at += 1,
        }
    }
    let place = value.start + end_of_type.unwrap_or(text.trim_ascii_end().len());
    Some(Splice::insert(place, "; charset=utf-8"))
}

/// Whether the changed value has one charset for a parser that was not written with the change in mind.
fn says_utf_8(content: &[u8], value: &Range<usize>, splice: &Splice) -> bool {
    let new = [&content[value.start..splice.at.start], &splice.with, &content[splice.at.end..value.end]].concat();
    let parsed = HeaderForm::ContentType.parse(&new);
    let parsed = parsed.value();
    let charsets = parsed
        .as_content_type()
        .map(|kind| kind.attributes().filter(|(name, _)| *name == "charset").map(|(_, value)| value).collect::<Vec<_>>());
    charsets.is_some_and(|charsets| charsets == ["utf-8"])
}

/// Octets of a quoted string or comment with its marks.
fn quoted_length(text: &[u8], close: u8) -> Option<usize> {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            octet if octet == close => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// Offset of the empty line that ends a part's header section, or what must be added to have one.
fn header_end(content: &[u8], part: &Part) -> (usize, &'static str) {
    let header = &content[part.header..part.body];
    if header == b"\r\n" || header.ends_with(b"\n\r\n") {
        (part.body - 2, "")
    } else if header == b"\n" || header.ends_with(b"\n\n") {
        (part.body - 1, "")
    } else {
        (part.body, "\r\n")
    }
}

pub(super) fn mime_version(content: &[u8], part: &Part) -> &'static [u8] {
    let missing = part.parent.is_none() && part.fields_named(content, "mime-version").next().is_none();
    if missing { b"MIME-Version: 1.0\r\n" } else { b"" }
}

/// What stands at the end of the header section: added fields, and the empty line if it was missing.
pub(super) fn header_tail(content: &[u8], part: &Part, added: Vec<u8>) -> Option<Splice> {
    let (end, empty_line) = header_end(content, part);
    let with = [&added, empty_line.as_bytes()].concat();
    (!with.is_empty()).then(|| Splice::insert(end, with))
}

pub(super) fn apply_header(content: &[u8], part: &Part, mut header: Header, own: &mut Changes) {
    if !header.added.is_empty() {
        header.added.splice(0..0, mime_version(content, part).iter().copied());
    }
    own.header.extend(header.inserted);
    own.header.extend(header_tail(content, part, header.added));
}
