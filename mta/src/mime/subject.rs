//! Takes texts, such as a trigger word, out of the Subject field, and leaves the rest as it is: its octets, its folding, its encoded words (RFC 5322
//! section 2.2.3, RFC 2047).
//!
//! An encoded word of which only a part goes is written anew in its own charset and encoding, and never gets longer. What cannot be read, or
//! be taken out, without doubt (several Subject fields, an unknown charset, half a character in an encoded word) is left alone.

use std::ops::Range;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use encoding_rs::Encoding;

use crate::header::{fields, is_regular};

/// One thing in the field's value that goes or stays as a whole.
struct Token {
    /// Its octets in the header section.
    at: Range<usize>,
    kind: TokenKind,
}

enum TokenKind {
    /// A character that stands for itself.
    Character,
    /// A line break before white space (folding).
    Fold,
    /// White space between two encoded words: it is not part of the text.
    Between,
    Encoded(EncodedWord),
}

/// RFC 2047 section 2.
struct EncodedWord {
    encoding: &'static Encoding,
    /// `=?charset?Q?`, with a language tag if there is one (RFC 2231).
    head: Range<usize>,
    base64: bool,
    text: Vec<char>,
}

/// One character of the text as a reader sees it: itself, the token that it comes from.
struct Seen {
    character: char,
    token: usize,
}

/// The header section without `texts` in its Subject, compared without regard to letter case; nothing when none of them is there.
pub(super) fn without(header: &[u8], texts: &[String]) -> Option<Vec<u8>> {
    if !is_regular(header) {
        return None;
    }
    let mut named = fields(header).filter(|field| field.is("Subject"));
    let field = named.next().filter(|_| named.next().is_none())?;
    let end = field.span.end - header[field.span.clone()].iter().rev().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
    let tokens = tokens(header, end - field.value.len()..end)?;
    let seen = seen(header, &tokens)?;
    let mut gone = vec![false; seen.len()];
    for text in texts {
        mark(&seen, text, &mut gone);
    }
    if !gone.contains(&true) {
        return None;
    }
    let mut out = header[..end - field.value.len()].to_vec();
    write(header, &tokens, &seen, &gone, &mut out)?;
    out.extend_from_slice(&header[end..]);
    is_regular(&out).then_some(out)
}

fn tokens(header: &[u8], value: Range<usize>) -> Option<Vec<Token>> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = value.start;
    while at < value.end {
        let rest = &header[at..value.end];
        let (length, kind) = if rest.starts_with(b"\r\n") {
            (2, TokenKind::Fold)
        } else if rest.starts_with(b"\n") {
            (1, TokenKind::Fold)
        } else if rest.starts_with(b"=?")
            && let Some(length) = encoded_length(rest)
        {
            forget_space_between(header, &mut tokens);
            (length, TokenKind::Encoded(encoded_word(rest, at, length)?))
        } else {
            let length = std::str::from_utf8(&rest[..rest.len().min(4)]).map_or_else(|error| error.valid_up_to(), str::len);
            let first = std::str::from_utf8(&rest[..length]).ok()?.chars().next()?;
            (first.len_utf8(), TokenKind::Character)
        };
        tokens.push(Token { at: at..at + length, kind });
        at += length;
    }
    Some(tokens)
}

/// White space and folds since the last encoded word separate two encoded words and mean nothing.
fn forget_space_between(header: &[u8], tokens: &mut [Token]) {
    let is_space = |token: &Token| match token.kind {
        TokenKind::Character => matches!(header[token.at.start], b' ' | b'\t'),
        TokenKind::Fold | TokenKind::Between => true,
        TokenKind::Encoded(_) => false,
    };
    let start = tokens.iter().rposition(|token| !is_space(token)).map_or(0, |last| last + 1);
    if start > 0 && matches!(tokens[start - 1].kind, TokenKind::Encoded(_)) {
        tokens[start..].iter_mut().for_each(|token| token.kind = TokenKind::Between);
    }
}

/// Octets of the encoded word at the start of `rest`, if that is one.
fn encoded_length(rest: &[u8]) -> Option<usize> {
    let mut parts = rest[2..].splitn(4, |&octet| octet == b'?');
    let (charset, encoding, text, tail) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let sound = !charset.is_empty() && encoding.len() == 1 && tail.starts_with(b"=");
    let length = 2 + charset.len() + 1 + encoding.len() + 1 + text.len() + 2;
    (sound && !rest[..length].iter().any(u8::is_ascii_whitespace)).then_some(length)
}

fn encoded_word(rest: &[u8], at: usize, length: usize) -> Option<EncodedWord> {
    let mut parts = rest[2..length - 2].splitn(3, |&octet| octet == b'?');
    let (charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
    let label = charset.split(|&octet| octet == b'*').next()?;
    let base64 = match encoding {
        b"B" | b"b" => true,
        b"Q" | b"q" => false,
        _ => return None,
    };
    let octets = if base64 { STANDARD.decode(text).ok()? } else { q_decoded(text)? };
    let charset = Encoding::for_label(label).filter(|encoding| encoding.output_encoding() == *encoding)?;
    let decoded = charset.decode_without_bom_handling_and_without_replacement(&octets)?;
    Some(EncodedWord { encoding: charset, head: at..at + length - 2 - text.len(), base64, text: decoded.chars().collect() })
}

fn q_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&octet) = rest.next() {
        octets.push(match octet {
            b'_' => b' ',
            b'=' => {
                let mut digit = || rest.next().and_then(|&digit| char::from(digit).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    Some(octets)
}

fn seen(header: &[u8], tokens: &[Token]) -> Option<Vec<Seen>> {
    let mut seen = Vec::new();
    for (token, Token { at, kind }) in tokens.iter().enumerate() {
        match kind {
            TokenKind::Character => {
                let character = std::str::from_utf8(&header[at.clone()]).ok()?.chars().next()?;
                seen.push(Seen { character, token });
            }
            TokenKind::Encoded(word) => seen.extend(word.text.iter().map(|&character| Seen { character, token })),
            TokenKind::Fold | TokenKind::Between => {}
        }
    }
    Some(seen)
}

/// Marks every occurrence of `text` that is not part of a longer word, with the white space that would otherwise be doubled or stand at an end.
fn mark(seen: &[Seen], text: &str, gone: &mut [bool]) {
    let folded = |character: char| character.to_lowercase().next().unwrap_or(character);
    let wanted: Vec<char> = text.chars().map(folded).collect();
    let is_space = |index: usize| seen.get(index).is_some_and(|seen| seen.character == ' ' || seen.character == '\t');
    let mut at = 0;
    while !wanted.is_empty() && at + wanted.len() <= seen.len() {
        let found = seen[at..at + wanted.len()].iter().map(|seen| folded(seen.character)).eq(wanted.iter().copied());
        let inside_a_word =
            |index: Option<usize>| index.and_then(|index| seen.get(index)).is_some_and(|seen| seen.character.is_alphanumeric());
        if !found || inside_a_word(at.checked_sub(1)) || inside_a_word(Some(at + wanted.len())) {
            at += 1;
            continue;
        }
        let (mut start, mut end) = (at, at + wanted.len());
        if gone[..start].iter().rposition(|gone| !gone).is_none_or(is_space) {
            while is_space(end) {
                end += 1;
            }
        }
        // The space behind the colon is no part of the text, but has to stay.
        if end == seen.len() {
            while start > 1 && is_space(start - 1) {
                start -= 1;
            }
        }
        gone[start..end].fill(true);
        at = end;
    }
}

/// Writes what stays.
fn write(header: &[u8], tokens: &[Token], seen: &[Seen], gone: &[bool], out: &mut Vec<u8>) -> Option<()> {
    let of_token = |token: usize| seen.iter().zip(gone).filter(move |(seen, _)| seen.token == token);
    let goes = |token: usize| of_token(token).all(|(_, gone)| *gone) && of_token(token).next().is_some();
    for (index, Token { at, kind }) in tokens.iter().enumerate() {
        match kind {
            TokenKind::Character if goes(index) => {}
            // A fold goes with the white space that it stands before; without it the line would begin with text.
            TokenKind::Fold if goes(index + 1) => {}
            // Two encoded words that are left need the space between them; one that is gone takes the space behind it along.
            TokenKind::Between if left_neighbour(tokens, index).is_some_and(goes) => {}
            TokenKind::Character | TokenKind::Fold | TokenKind::Between => out.extend_from_slice(&header[at.clone()]),
            TokenKind::Encoded(_) if goes(index) => {}
            TokenKind::Encoded(_) if of_token(index).all(|(_, gone)| !gone) => out.extend_from_slice(&header[at.clone()]),
            TokenKind::Encoded(word) => {
                let text: String = of_token(index).filter(|(_, gone)| !**gone).map(|(seen, _)| seen.character).collect();
                let (octets, _, lossy) = word.encoding.encode(&text);
                if lossy {
                    return None;
                }
                out.extend_from_slice(&header[word.head.clone()]);
                out.extend(if word.base64 { STANDARD.encode(&octets).into_bytes() } else { q_encoded(&octets) });
                out.extend_from_slice(b"?=");
            }
        }
    }
    Some(())
}

fn left_neighbour(tokens: &[Token], index: usize) -> Option<usize> {
    tokens[..index].iter().rposition(|token| matches!(token.kind, TokenKind::Encoded(_)))
}

/// Every octet that an encoded word of a Subject may hold as it is stays so: the result is never longer than what was decoded.
fn q_encoded(octets: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(octets.len() * 3);
    for &octet in octets {
        match octet {
            b' ' => text.push(b'_'),
            b'=' | b'?' | b'_' => text.extend_from_slice(format!("={octet:02X}").as_bytes()),
            b'!'..=b'~' => text.push(octet),
            _ => text.extend_from_slice(format!("={octet:02X}").as_bytes()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edited(subject: &str, texts: &[&str]) -> Option<String> {
        let header = format!("From: a@b.example\r\nSubject:{subject}\r\nTo: c@d.example\r\n\r\n");
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let output = String::from_utf8(without(header.as_bytes(), &texts)?).unwrap();
        let subject =
            output.strip_prefix("From: a@b.example\r\nSubject:").and_then(|rest| rest.strip_suffix("\r\nTo: c@d.example\r\n\r\n"));
        Some(subject.unwrap_or_else(|| panic!("{output}")).to_owned())
    }

    #[test]
    fn the_word_goes_and_the_rest_keeps_its_octets_folding_and_encoding() {
        for (subject, texts, expected) in [
            (" #promo Hello", &["#promo"][..], " Hello"),
            (" Hello #PROMO", &["#promo"], " Hello"),
            (" Hello #promo world", &["#promo"], " Hello world"),
            (" #promo", &["#promo"], " "),
            (" a #promo b #promo c", &["#promo"], " a b c"),
            (" a\r\n #promo\r\n b", &["#promo"], " a\r\n b"),
            (" a\r\n #promo", &["#promo"], " a"),
            (" #promo\r\n\tHello", &["#promo"], " Hello"),
            (" [x]#one (#two)", &["#one", "#two"], " [x] ()"),
            (" =?utf-8?Q?Gr=C3=BC=C3=9Fe_#promo?=", &["#promo"], " =?utf-8?Q?Gr=C3=BC=C3=9Fe?="),
            (" =?iso-8859-1?q?#promo_Gr=FC=DFe,_A=2EB?=", &["#PROMO"], " =?iso-8859-1?q?Gr=FC=DFe,_A.B?="),
            (" =?utf-8?B?I3Byb21vIEdyw7zDn2U=?=", &["#promo"], " =?utf-8?B?R3LDvMOfZQ==?="),
            (" =?utf-8*de?B?I3Byb21vIEdyw7zDn2U=?=", &["#promo"], " =?utf-8*de?B?R3LDvMOfZQ==?="),
            (" =?utf-8?Q?#promo?=\r\n =?utf-8?Q?_Gr=C3=BC=C3=9Fe?=", &["#promo"], " =?utf-8?Q?Gr=C3=BC=C3=9Fe?="),
            (" #promo =?utf-8?Q?Gr=C3=BC=C3=9Fe?=", &["#promo"], " =?utf-8?Q?Gr=C3=BC=C3=9Fe?="),
            (" =?utf-8?Q?Gr=C3=BC=C3=9Fe?= #promo", &["#promo"], " =?utf-8?Q?Gr=C3=BC=C3=9Fe?="),
            (" =?utf-8?Q?#pro?= =?utf-8?Q?mo_Hallo?=", &["#promo"], " =?utf-8?Q?Hallo?="),
            (" Grüße #promo", &["#promo"], " Grüße"),
        ] {
            assert_eq!(edited(subject, texts).as_deref(), Some(expected), "{subject:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_without_doubt_is_left_alone() {
        for subject in [
            " Hello",
            " #promotion",
            " x#promo",
            " =?x-nobody-knows?Q?#promo?=",
            " =?utf-8?Q?#promo_=C3?= x",
            " =?utf-8?X?#promo?=",
            " =?utf-16?B?#promo?=",
        ] {
            assert_eq!(edited(subject, &["#promo"]), None, "{subject}");
        }
        assert_eq!(without(b"Subject: #promo\r\nSubject: b\r\n\r\n", &["#promo".to_owned()]), None);
        assert_eq!(without(b"Subject: #promo\r\nno field\r\n\r\n", &["#promo".to_owned()]), None);
        assert_eq!(without(b"To: x\r\n\r\n", &["#promo".to_owned()]), None);
    }

    proptest! {
        #[test]
        fn any_subject_stays_one_regular_field(subject in "( |\r\n |#promo|a|=\\?utf-8\\?Q\\?#promo_=C3=BC\\?=|=\\?utf-8\\?B\\?I3Byb21v\\?=|ü|=\\?){0,12}x") {
            let header = format!("Subject: {subject}\r\nTo: x@y.example\r\n\r\n");
            prop_assume!(is_regular(header.as_bytes()));
            if let Some(output) = without(header.as_bytes(), &["#promo".to_owned()]) {
                prop_assert!(is_regular(&output), "{}", String::from_utf8_lossy(&output));
                prop_assert!(output.len() <= header.len());
                prop_assert_eq!(fields(&output).count(), 2);
            }
        }
    }
}
