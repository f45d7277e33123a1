//! Quoted-printable (RFC 2045 section 6.7): reading a body, carrying an offset of the decoded text back to the encoded one,
//! writing further text at such a place, and making a body quoted-printable that is not, by adding octets only. Malformed escapes are kept as they are written, as mail clients show them.

use memchr::memchr;

/// RFC 2045 section 6.7 rule 5.
const MAXIMUM_LINE: usize = 76;

/// What the encoding says at one place.
enum Step {
    /// These octets stand for themselves.
    Literal(usize),
    /// Three octets stand for this one.
    Escaped(u8),
    /// A soft line break of this length stands for nothing.
    SoftBreak(usize),
}

fn step(raw: &[u8], at: usize) -> Step {
    let rest = &raw[at..];
    if rest[0] != b'=' {
        return Step::Literal(memchr(b'=', rest).unwrap_or(rest.len()));
    }
    let hex = |octet: &u8| char::from(*octet).to_digit(16).map(|digit| digit as u8);
    if let (Some(high), Some(low)) = (rest.get(1).and_then(hex), rest.get(2).and_then(hex)) {
        return Step::Escaped(high << 4 | low);
    }
    let padding = rest[1..].iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
    match &rest[1 + padding..] {
        [b'\r', b'\n', ..] => Step::SoftBreak(3 + padding),
        [b'\n', ..] => Step::SoftBreak(2 + padding),
        [] => Step::SoftBreak(1 + padding),
        _ => Step::Literal(1),
    }
}

/// The decoded octets.
pub(in super::super) fn decode(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        match step(raw, at) {
            Step::Literal(length) => {
                text.extend_from_slice(&raw[at..at + length]);
                at += length;
            }
            Step::Escaped(octet) => {
                text.push(octet);
                at += 3;
            }
            Step::SoftBreak(length) => at += length,
        }
    }
    text
}

/// Where, in the encoded body, the octet that decodes to position `offset` begins; its end for the end of the text.
pub(in super::super) fn locate(raw: &[u8], offset: usize) -> usize {
    let mut decoded = 0;
    let mut at = 0;
    while at < raw.len() {
        match step(raw, at) {
            Step::Literal(length) => {
                if offset < decoded + length {
                    return at + (offset - decoded);
                }
                decoded += length;
                at += length;
            }
            Step::Escaped(_) => {
                if offset == decoded {
                    return at;
                }
                decoded += 1;
                at += 3;
            }
            Step::SoftBreak(length) => at += length,
        }
    }
    raw.len()
}

/// Encodes octets line by line, keeping characters of UTF-8 on one line.
struct Writer {
    out: Vec<u8>,
    column: usize,
}

impl Writer {
    fn token(&mut self, token: &[u8]) {
        // The last column is kept free for the "=" of a soft line break.
        if self.column + token.len() > MAXIMUM_LINE - 1 {
            self.soft_break();
        }
        self.out.extend_from_slice(token);
        self.column += token.len();
    }

    fn soft_break(&mut self) {
        self.out.extend_from_slice(b"=\r\n");
        self.column = 0;
    }

    fn hard_break(&mut self) {
        self.out.extend_from_slice(b"\r\n");
        self.column = 0;
    }

    fn text(&mut self, text: &[u8]) {
        let mut at = 0;
        while at < text.len() {
            if text[at..].starts_with(b"\r\n") {
                self.hard_break();
                at += 2;
                continue;
            }
            // A line that we begin must not look like a delimiter.
            if self.column == 0 && matches!(text[at..], [b'-', b'-', third, ..] if third != b' ' && third != b'\r') {
                self.escape(b"-");
                at += 1;
                continue;
            }
            // Plain characters need no look ahead; they are taken as one run as far as the line has room.
            let room = (MAXIMUM_LINE - 1).saturating_sub(self.column).max(1);
            let run = text[at..].iter().take(room).take_while(|octet| matches!(octet, b'!'..=b'<' | b'>'..=b'~')).count();
            if run > 0 {
                if self.column + run > MAXIMUM_LINE - 1 {
                    self.soft_break();
                    continue;
                }
                self.token(&text[at..at + run]);
                at += run;
                continue;
            }
            let at_end = at + 1 == text.len() || text[at + 1..].starts_with(b"\r\n");
            let length = character_length(&text[at..]);
            match text[at] {
                b'=' => self.token(b"=3D"),
                octet @ (b' ' | b'\t') if at_end => self.escape(&[octet]),
                octet @ (b' '..=b'~' | b'\t') => self.token(&[octet]),
                _ => self.escape(&text[at..at + length]),
            }
            at += length;
        }
    }

    fn escape(&mut self, character: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut token = [b'='; 12];
        for (place, octet) in token.as_chunks_mut::<3>().0.iter_mut().zip(character) {
            place[1] = DIGITS[usize::from(octet >> 4)];
            place[2] = DIGITS[usize::from(octet & 15)];
        }
        self.token(&token[..character.len().min(4) * 3]);
    }
}

/// Octets of the UTF-8 character at the start of `text`, or 1 where there is none.
fn character_length(text: &[u8]) -> usize {
    let length = match text[0] {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return 1,
    };
    match text.get(1..length) {
        Some(rest) if rest.iter().all(|octet| octet & 0xC0 == 0x80) => length,
        _ => 1,
    }
}

/// A whole body.
pub(in super::super) fn encode(text: &[u8]) -> Vec<u8> {
    let mut writer = Writer { out: Vec::with_capacity(text.len() + text.len() / 4), column: 0 };
    writer.text(text);
    writer.out
}

/// What must stand between `raw[..at]` and `raw[at..]` so that `text` is inserted there in the decoded text.
pub(in super::super) fn encode_between(raw: &[u8], at: usize, text: &[u8]) -> Vec<u8> {
    let (before, after) = raw.split_at(at);
    let line = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let mut writer = Writer { out: Vec::with_capacity(text.len() + text.len() / 4 + 8), column: before.len() - line };
    let tail = &before[line..];
    if tail.trim_ascii_end().ends_with(b"=") {
        // At the end of the body an unfinished soft line break; elsewhere a lone "=", which must not become one, nor an escape.
        if after.is_empty() { writer.hard_break() } else { writer.soft_break() }
    } else if matches!(tail, [.., b'=', _]) {
        // A lone "=4" must not take our first character for its second digit.
        writer.soft_break();
    }
    if writer.column >= MAXIMUM_LINE && !text.starts_with(b"\r\n") {
        writer.soft_break();
    }
    writer.text(text);
    let continues = !(after.is_empty() || after.starts_with(b"\r\n") || after.starts_with(b"\n"));
    if continues && writer.column > 0 {
        writer.soft_break();
    }
    writer.out
}

/// What must stand where so that a body that is not encoded becomes quoted-printable, with `insertions` (offset and text, in order) in it and every octet
/// of its own where it was: `=` gets its `3D`, a long line soft line breaks, white space at the end of a line a soft line break behind it. Nothing
/// when the body has octets that must be escaped, or a line that would begin like a delimiter where it is broken.
pub(in super::super) fn stuffed(raw: &[u8], insertions: &[(usize, &[u8])]) -> Option<Vec<(usize, Vec<u8>)>> {
    let mut stuffing = Vec::new();
    let mut insertions = insertions.iter().peekable();
    let (mut column, mut at) = (0, 0);
    loop {
        let blank = at > 0 && matches!(raw[at - 1], b' ' | b'\t');
        while let Some((_, text)) = insertions.next_if(|(place, _)| *place == at) {
            let mut writer = Writer { out: Vec::with_capacity(text.len() * 2), column };
            if blank && text.starts_with(b"\r\n") {
                writer.soft_break();
            }
            writer.text(text);
            column = writer.column;
            stuffing.push((at, writer.out));
        }
        let Some(&octet) = raw.get(at) else {
            if blank && stuffing.last().is_none_or(|(place, _)| *place < at) {
                stuffing.push((at, b"=\r\n".to_vec()));
            }
            return Some(stuffing);
        };
        if raw[at..].starts_with(b"\r\n") {
            if blank {
                stuffing.push((at, b"=\r\n".to_vec()));
            }
            column = 0;
            at += 2;
            continue;
        }
        let width = match octet {
            b'=' => 3,
            b' '..=b'~' | b'\t' => 1,
            _ => return None,
        };
        if column + width > MAXIMUM_LINE - 1 && !(column + width == MAXIMUM_LINE && raw[at + 1..].starts_with(b"\r\n")) {
            if raw[at..].starts_with(b"--") {
                return None;
            }
            stuffing.push((at, b"=\r\n".to_vec()));
            column = 0;
        }
        at += 1;
        column += width;
        if octet == b'=' {
            stuffing.push((at, b"3D".to_vec()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn malformed_escapes_stay_as_written() {
        assert_eq!(decode(b"a=3Db=\r\nc=zz=4 =E4=  \r\nd="), b"a=bc=zz=4 \xE4d");
    }

    #[test]
    fn offsets_lead_back_to_the_encoded_octet() {
        let raw = b"a=C3=A4=\r\nb";
        assert_eq!([0, 1, 2, 3, 4].map(|offset| locate(raw, offset)), [0, 1, 4, 10, 11]);
    }

    #[test]
    fn lines_stay_short_and_characters_whole() {
        let encoded = encode("ж".repeat(60).as_bytes());
        for line in encoded.split(|&octet| octet == b'\n') {
            assert!(line.len() <= 77);
            assert_eq!(line.iter().filter(|&&octet| octet == b'=').count() % 2, usize::from(line.ends_with(b"=\r")));
        }
        assert_eq!(encode(b"end \r\n\tx "), b"end=20\r\n\tx=20");
        assert_eq!(encode(b"-- \r\n--delimiter\r\na--b"), b"--=20\r\n=2D-delimiter\r\na--b");
        let broken = encode(&[&[b'x'; 75][..], b"--delimiter"].concat());
        assert_eq!(broken[75..], *b"=\r\n=2D-delimiter");
    }

    #[test]
    fn a_body_becomes_quoted_printable_by_additions_only() {
        let long = "word ".repeat(40);
        for raw in ["a=b", "x \r\ny\t\r\n", "", "\r\n", long.trim(), &format!("{}\r\n", "y".repeat(76))] {
            let place = raw.len();
            let stuffing = stuffed(raw.as_bytes(), &[(place, "\r\nZoë\r\n".as_bytes())]).unwrap();
            let (mut output, mut from) = (Vec::new(), 0);
            for (at, with) in &stuffing {
                output.extend_from_slice(&raw.as_bytes()[from..*at]);
                output.extend_from_slice(with);
                from = *at;
            }
            output.extend_from_slice(&raw.as_bytes()[from..]);
            assert_eq!(decode(&output), format!("{raw}\r\nZoë\r\n").as_bytes());
            assert!(output.split(|&octet| octet == b'\n').all(|line| line.len() <= 77), "{}", String::from_utf8_lossy(&output));
        }
        assert_eq!(stuffed(b"x ", &[]), Some(vec![(2, b"=\r\n".to_vec())]));
        for raw in ["\u{c}", "ä", &"-".repeat(80)] {
            assert_eq!(stuffed(raw.as_bytes(), &[]), None, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn inserting_encoded_is_inserting_decoded(raw in "[a-c=\r\n4F ]{0,120}", place in 0usize..200, text in "[a-z=ä \r\n]{0,100}") {
            let raw = raw.replace('\r', "").replace('\n', "\r\n").into_bytes();
            let text = text.replace('\r', "").replace('\n', "\r\n");
            let decoded = decode(&raw);
            let place = place.min(decoded.len());
            let at = locate(&raw, place);
            let mut output = raw[..at].to_vec();
            output.extend(encode_between(&raw, at, text.as_bytes()));
            output.extend_from_slice(&raw[at..]);
            let mut expected = decoded[..place].to_vec();
            expected.extend_from_slice(text.as_bytes());
            expected.extend_from_slice(&decoded[place..]);
            prop_assert_eq!(decode(&output), expected);
        }
    }
}
