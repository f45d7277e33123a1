//! Base64 bodies (RFC 2045 section 6.8): reading one, and writing it anew from the group that holds a place on, in the line width
//! that it already has.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use mail_parser::Encoding;
use memchr::memchr;

/// RFC 2045 section 6.8.
const MAXIMUM_LINE: usize = 76;
/// Longest line that is kept where a sender wrote one long line: the longest one that RFC 5322 allows, in whole groups.
const LONGEST_LINE: usize = 996;

/// The decoded octets, unless something stands in the body that is not base64, padding inside it, or half a group.
pub(in super::super) fn decode(raw: &[u8]) -> Option<Vec<u8>> {
    let mut characters = 0_usize;
    for octet in raw {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => characters += 1,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => return None,
        }
    }
    if !characters.is_multiple_of(4) {
        return None;
    }
    if let Some(padding) = memchr(b'=', raw)
        && raw[padding..].iter().any(|octet| *octet != b'=' && !octet.is_ascii_whitespace())
    {
        return None;
    }
    let (text, malformed) = Encoding::Base64.decode_checked(raw);
    (!malformed).then(|| text.into_owned())
}

/// A whole body, lines of 76.
pub(in super::super) fn encode(text: &[u8]) -> Vec<u8> {
    write(text, 0, MAXIMUM_LINE)
}

fn write(text: &[u8], mut column: usize, width: usize) -> Vec<u8> {
    let encoded = STANDARD.encode(text);
    let mut rest = encoded.as_bytes();
    let mut out = Vec::with_capacity(rest.len() + rest.len() / width * 2 + 4);
    while !rest.is_empty() {
        if column >= width {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        let (line, tail) = rest.split_at(rest.len().min(width - column));
        out.extend_from_slice(line);
        column += line.len();
        rest = tail;
    }
    out
}

/// The part of the body that changes when text is inserted at `offset` of the decoded text: which octets are replaced, and from
/// which decoded octet on `text` (the new decoded text from there) is written instead.
pub(in super::super) struct Tail<'a> {
    raw: &'a [u8],
    /// Start in the encoded body of the group that holds the place.
    pub(in super::super) start: usize,
    /// End of the encoded octets; white space may follow.
    pub(in super::super) end: usize,
    /// Decoded offset of the group.
    pub(in super::super) decoded: usize,
}

impl<'a> Tail<'a> {
    /// The tail from the group that holds decoded octet `offset` on.
    pub(in super::super) fn from(raw: &'a [u8], offset: usize) -> Self {
        let group = offset / 3;
        let start = locate(raw, group * 4);
        Self { raw, start, end: raw.trim_ascii_end().len().max(start), decoded: group * 3 }
    }

    /// Encodes the tail's new text.
    pub(in super::super) fn encode(&self, text: &[u8]) -> Vec<u8> {
        let line = memchr::memrchr(b'\n', &self.raw[..self.start]).map_or(0, |newline| newline + 1);
        write(text, self.raw[line..self.start].trim_ascii().len(), width(self.raw))
    }
}

/// Offset of character `count` of the alphabet.
fn locate(raw: &[u8], mut count: usize) -> usize {
    let mut at = 0;
    while at < raw.len() {
        let next = memchr(b'\n', &raw[at..]).map_or(raw.len(), |newline| at + newline + 1);
        for (index, octet) in raw[at..next].iter().enumerate() {
            if !octet.is_ascii_whitespace() {
                if count == 0 {
                    return at + index;
                }
                count -= 1;
            }
        }
        at = next;
    }
    raw.trim_ascii_end().len()
}

fn width(raw: &[u8]) -> usize {
    let text = raw.trim_ascii();
    match memchr(b'\n', text) {
        Some(newline) => text[..newline].trim_ascii_end().len().clamp(4, LONGEST_LINE),
        None if text.len() > MAXIMUM_LINE => LONGEST_LINE,
        None => MAXIMUM_LINE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_before_the_group_stays_and_the_width_too() {
        for width in [60, 64, 72, 76] {
            let text: Vec<u8> = (0..200u8).collect();
            let raw = write(&text, 0, width);
            for offset in [0, 1, 58, 100, 199, 200] {
                let tail = Tail::from(&raw, offset);
                let mut new = text[tail.decoded..offset].to_vec();
                new.extend_from_slice(b"inserted");
                new.extend_from_slice(&text[offset..]);
                let mut output = raw[..tail.start].to_vec();
                output.extend(tail.encode(&new));
                let mut expected = text.clone();
                expected.splice(offset..offset, *b"inserted");
                assert_eq!(output, write(&expected, 0, width), "{width} {offset}");
            }
        }
    }

    #[test]
    fn padding_inside_is_damage() {
        assert_eq!(decode(b"YQ==\r\nYg==\r\n"), None);
        assert_eq!(decode(b"Y!Wx"), None);
        assert_eq!(decode(b"YWJ\r\nYWI=\r\n"), None);
        assert_eq!(decode(b"YWI=\r\n\r\n").as_deref(), Some(&b"ab"[..]));
    }
}
