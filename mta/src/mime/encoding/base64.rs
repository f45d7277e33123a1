//! Base64 bodies (RFC 2045 section 6.8): reading one, and writing into it, in the line width that it already has.
//!
//! Three octets are four characters, so an insertion of a multiple of three octets leaves every group behind it as it is. Only the group that holds
//! the place is torn apart, and even its characters stay when the insertion's first or last octet shares the bits that they mix:
//! [`between`] finds out. Where that fails, [`Tail`] writes everything from that group on anew.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use mail_parser::Encoding;
use memchr::memchr;

/// Octets that become four characters.
pub(in super::super) const GROUP: usize = 3;
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

/// Where in the encoded body of `text` which characters go, so that it decodes to `text` with `inserted` at `offset` and not one of
/// its own characters changes; nothing when the group at the place cannot be kept, or `inserted` is no multiple of [`GROUP`].
/// `earlier` is what this answered for the place before this one: it may stand on the same line.
pub(in super::super) fn between(
    raw: &[u8],
    text: &[u8],
    offset: usize,
    inserted: &[u8],
    earlier: Option<&(usize, Vec<u8>)>,
) -> Option<(usize, Vec<u8>)> {
    if !inserted.len().is_multiple_of(GROUP) {
        return None;
    }
    let group = offset / GROUP;
    let torn = &text[group * GROUP..text.len().min((group + 1) * GROUP)];
    let (before, after) = torn.split_at(offset - group * GROUP);
    let new = STANDARD.encode([before, inserted, after].concat());
    let old = &raw[locate(raw, group * 4)..];
    let old: Vec<u8> = old.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).take(4).collect();
    let kept = (0..=old.len()).find(|&kept| new.as_bytes().starts_with(&old[..kept]) && new.as_bytes().ends_with(&old[kept..]))?;
    let at = locate(raw, group * 4 + kept);
    Some((at, broken(raw, at, &new.as_bytes()[kept..new.len() - (old.len() - kept)], earlier)))
}

/// Octets that stand on the line in front of `at`, when what was inserted earlier is there.
fn column(raw: &[u8], at: usize, earlier: Option<&(usize, Vec<u8>)>) -> usize {
    let line = memchr::memrchr(b'\n', &raw[..at]).map_or(0, |newline| newline + 1);
    match earlier {
        Some((place, with)) if *place >= line => {
            let own = match memchr::memrchr(b'\n', with) {
                Some(newline) => with.len() - newline - 1,
                None => raw[line..*place].trim_ascii().len() + with.len(),
            };
            own + raw[*place..at].trim_ascii().len()
        }
        _ => raw[line..at].trim_ascii().len(),
    }
}

/// `added` in lines of the body's width. Lines hold whole groups if they did before: some readers decode line by line.
fn broken(raw: &[u8], at: usize, added: &[u8], earlier: Option<&(usize, Vec<u8>)>) -> Vec<u8> {
    let before = column(raw, at, earlier);
    let after = raw[at..memchr(b'\n', &raw[at..]).map_or(raw.len(), |newline| at + newline)].trim_ascii().len();
    let width = (width(raw) & !3).max(4);
    let (mut out, mut column, mut on_line) = (Vec::with_capacity(added.len() + added.len() / width * 2 + 4), before, 0);
    let mut rest = added;
    while !rest.is_empty() && before + added.len() + after > width {
        if column >= width {
            out.extend_from_slice(b"\r\n");
            (column, on_line) = (0, 0);
        }
        let (piece, tail) = rest.split_at(rest.len().min(width - column));
        out.extend_from_slice(piece);
        (column, on_line, rest) = (column + piece.len(), on_line + piece.len(), tail);
    }
    out.extend_from_slice(rest);
    if column + after > width {
        let with_the_next = ((4 - after % 4) % 4).min(on_line);
        let place = out.len() - with_the_next;
        out.splice(place..place, *b"\r\n");
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_group_is_torn_apart_without_changing_when_the_bits_around_it_agree() {
        // After one octet, after two, at the end of a text of each length: a tag's ">" before, a "<" or a line end behind the place.
        for (text, offset) in [("a>b", 2), (">ab", 1), ("a<b", 1), ("ab<", 2), ("a\r\n", 1), ("ab\r\n", 2), ("a", 1), ("ab", 2), ("abc", 3)]
        {
            let raw = write(text.as_bytes(), 0, 76);
            let inserted = if offset == text.len() || text.contains('\r') { b"\r\n<div></div>\r\n" } else { b"<div   ></div >" };
            let (at, with) = between(&raw, text.as_bytes(), offset, inserted, None).unwrap_or_else(|| panic!("{text:?} {offset}"));
            let output = [&raw[..at], &with, &raw[at..]].concat();
            assert_eq!(decode(&output).unwrap(), [&text.as_bytes()[..offset], inserted, &text.as_bytes()[offset..]].concat());
        }
        assert_eq!(between(&write(b"xyz", 0, 76), b"xyz", 1, b"<b>", None), None);
        assert_eq!(between(&write(b"xyz", 0, 76), b"xyz", 0, b"four", None), None);
    }

    proptest! {
        #[test]
        fn what_is_inserted_decodes_and_lines_stay_whole_groups(
            text in prop::collection::vec(any::<u8>(), 0..300),
            inserted in prop::collection::vec(any::<u8>(), 0..300),
            place in 0usize..300,
            width in prop::sample::select(vec![4_usize, 60, 64, 72, 76, 996]),
        ) {
            let raw = write(&text, 0, width);
            let place = place.min(text.len());
            let inserted = &inserted[..inserted.len() / GROUP * GROUP];
            if let Some((at, with)) = between(&raw, &text, place, inserted, None) {
                let output = [&raw[..at], &with, &raw[at..]].concat();
                prop_assert_eq!(decode(&output).unwrap(), [&text[..place], inserted, &text[place..]].concat());
                let width = match raw.contains(&b'\n') {
                    true => width,
                    false if raw.len() > MAXIMUM_LINE => LONGEST_LINE,
                    false => MAXIMUM_LINE,
                };
                for line in output.split(|&octet| octet == b'\n') {
                    let line = line.trim_ascii_end();
                    prop_assert!(line.len().is_multiple_of(4) && line.len() <= width, "{}", String::from_utf8_lossy(line));
                }
            } else {
                prop_assert!(!place.is_multiple_of(GROUP));
            }
        }

        #[test]
        fn what_is_inserted_twice_on_a_line_fits_on_it(
            text in prop::collection::vec(any::<u8>(), 6..900),
            groups in prop::collection::vec(0usize..300, 2),
            inserted in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 2),
            width in prop::sample::select(vec![4_usize, 76, 996]),
        ) {
            let raw = write(&text, 0, width);
            let mut places: Vec<usize> = groups.iter().map(|group| group % (text.len() / GROUP) * GROUP).collect();
            places.sort_unstable();
            prop_assume!(places[0] < places[1]);
            let cut = |text: &[u8]| text[..text.len() / GROUP * GROUP].to_vec();
            let (first, second) = (cut(&inserted[0]), cut(&inserted[1]));
            let one = between(&raw, &text, places[0], &first, None).unwrap();
            let two = between(&raw, &text, places[1], &second, Some(&one)).unwrap();
            let output = [&raw[..one.0], &one.1, &raw[one.0..two.0], &two.1, &raw[two.0..]].concat();
            let expected = [&text[..places[0]], &first, &text[places[0]..places[1]], &second, &text[places[1]..]].concat();
            prop_assert_eq!(decode(&output).unwrap(), expected);
            let most = if raw.contains(&b'\n') { width } else { LONGEST_LINE };
            let longest = output.split(|&octet| octet == b'\n').map(|line| line.trim_ascii_end().len()).max();
            prop_assert!(longest.is_some_and(|longest| longest <= most), "{longest:?} of {most}");
        }
    }

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
