//! Characters of HTML text: which ones are not seen, and the character references that occur in the lines around quoted mail.
//!
//! Not a full table of references: what is missing here only stays as it is written.

/// Whether nothing of the text is seen: white space, also as a character reference, and characters without width.
pub(super) fn is_blank(octets: &[u8], utf_8: bool) -> bool {
    let mut rest = octets;
    loop {
        rest = rest.trim_ascii_start();
        rest = match rest {
            [] => return true,
            [0xC2, 0xA0, tail @ ..] | [0xE2, 0x80, 0x8B..=0x8F, tail @ ..] | [0xEF, 0xBB, 0xBF, tail @ ..] if utf_8 => tail,
            [0xA0, tail @ ..] if !utf_8 => tail,
            [b'&', ..] => match ["&nbsp;", "&#160;", "&#xA0;", "&#xa0;", "&zwnj;", "&#8203;", "&#65279;", "&#13;", "&#10;"]
                .iter()
                .find_map(|blank| rest.strip_prefix(blank.as_bytes()))
            {
                Some(tail) => tail,
                None => return false,
            },
            _ => return false,
        };
    }
}

/// Character references that occur in lines around quoted mail.
pub(super) fn decode_references(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.char_indices().take(12).find(|(_, character)| *character == ';').map(|(at, _)| at);
        match end.and_then(|end| reference(&rest[1..end]).map(|character| (character, end))) {
            Some((character, end)) => {
                out.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    Some(match name {
        "nbsp" => '\u{A0}',
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "agrave" => 'à',
        "eacute" => 'é',
        "uuml" => 'ü',
        "ouml" => 'ö',
        "auml" => 'ä',
        "aring" => 'å',
        "ccedil" => 'ç',
        "oacute" => 'ó',
        "rsquo" => '’',
        _ => return None,
    })
}
