//! Keeps the lines of inserted HTML below the limit of RFC 5322 by breaking them inside tags, where white space means nothing.

use super::MAXIMUM_LINE;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    Tag,
    Quoted(u8),
}

/// `html` with line breaks added so that no line is too long when it stands after `before` octets and in front of `after` octets of
/// a line; nothing when that cannot be done. Line breaks that are already there stay.
pub(in super::super) fn html(html: &[u8], before: usize, after: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(html.len() + 16);
    let mut state = State::Text;
    let mut column = before;
    // Where, in `out`, a line break may be put.
    let mut candidate: Option<usize> = None;
    for &octet in html {
        match (state, octet) {
            (State::Text, b'<') => state = State::Tag,
            (State::Tag, b'>') => {
                candidate = Some(out.len());
                state = State::Text;
            }
            (State::Tag, b'"' | b'\'') => state = State::Quoted(octet),
            (State::Quoted(quote), _) if quote == octet => state = State::Tag,
            (State::Text | State::Tag, b' ') => candidate = Some(out.len()),
            _ => {}
        }
        if octet == b'\n' {
            (column, candidate) = (0, None);
            out.push(octet);
            continue;
        }
        if octet != b'\r' && column >= MAXIMUM_LINE {
            column = break_at(&mut out, candidate.take()?);
        }
        out.push(octet);
        if octet != b'\r' {
            column += 1;
        }
    }
    if column + after > MAXIMUM_LINE {
        column = break_at(&mut out, candidate?);
    }
    (column + after <= MAXIMUM_LINE).then_some(out)
}

/// Puts a line break at `place` and answers how long the last line is now.
fn break_at(out: &mut Vec<u8>, place: usize) -> usize {
    out.splice(place..place, *b"\r\n");
    out.len() - place - 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_html_is_left_alone() {
        assert_eq!(html(b"<p>x</p>", 10, 10).as_deref(), Some(&b"<p>x</p>"[..]));
    }

    #[test]
    fn long_lines_break_inside_tags_or_at_spaces_only() {
        let long = "<td style=\"a b\">x</td>".repeat(200);
        let wrapped = html(long.as_bytes(), 900, 50).unwrap();
        assert!(wrapped.split(|&octet| octet == b'\n').skip(1).all(|line| line.len() <= 999));
        assert!(wrapped.windows(3).all(|at| !at.starts_with(b"\r\n") || at[2] == b'>' || at[2] == b' '));
        let text: Vec<u8> = wrapped.into_iter().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
        assert_eq!(text, long.as_bytes());
    }

    #[test]
    fn one_endless_word_cannot_be_wrapped() {
        assert_eq!(html("x".repeat(2_000).as_bytes(), 0, 0), None);
    }
}
