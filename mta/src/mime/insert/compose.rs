//! Writes the text that is inserted: HTML in a neutral block that carries our mark, plain text with a blank line in front.

use super::super::boundary::elements::{self, Class, OWN_MARK};
use super::super::boundary::tokenizer::{Token, Tokenizer};
use super::images::Images;
use crate::signature::{Fragment, Placed};

/// Version of the mark; a change of the wrapper that readers must tell apart raises it.
const MARK_VERSION: &str = "1";

/// What a block inherits from the text around it, set back to where a template starts from. Only inline: clients drop style sheets.
const NEUTRAL: &str = "clear:both;margin:12px 0;padding:0;border:0;text-indent:0;line-height:normal;white-space:normal;\
                       font-style:normal;font-weight:normal;text-decoration:none;letter-spacing:normal;text-align:";

/// The HTML of several signatures, from top to bottom.
pub(super) fn html(placed: &[&Placed], images: &Images) -> String {
    let mut out = String::new();
    for placed in placed {
        let Some(html) = &placed.fragment.html else {
            continue;
        };
        let (direction, side) = if is_right_to_left(&placed.fragment) { ("rtl", "right") } else { ("ltr", "left") };
        let mark = [OWN_MARK, MARK_VERSION].concat();
        // Two marks: editors that drop classes keep anchors, and the other way round.
        out.push_str(&format!(r#"<div class="{mark}" dir="{direction}" style="{NEUTRAL}{side}"><a name="{mark}"></a>"#));
        out.push_str(&images.with_content_ids(&lines(html.trim())));
        out.push_str("</div>");
    }
    out
}

/// A tag that reaches beyond a signature, so that the message around it would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Where it begins.
    pub at: usize,
    /// What is wrong with it.
    pub what: String,
}

/// What keeps the HTML from being put into a message: it must close what it opens and nothing else. Elements whose end tag HTML lets out may
/// stay open.
pub fn stray(html: &str) -> Option<Stray> {
    let mut open: Vec<(&[u8], usize)> = Vec::new();
    let stray = |at: usize, what: String| Some(Stray { at, what });
    let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    for (range, token) in Tokenizer::new(html.as_bytes()) {
        match token {
            Token::Unfinished => return stray(range.start, "is not finished".to_owned()),
            Token::Start { name, .. } => match elements::class(name) {
                Class::Root => return stray(range.start, format!("<{}> belongs to a whole document", shown(name))),
                Class::Void | Class::Break => {}
                _ => open.push((name, range.start)),
            },
            Token::End { name } => match open.iter().rposition(|(other, _)| other.eq_ignore_ascii_case(name)) {
                Some(index) => {
                    if let Some((left, at)) = open[index + 1..].iter().find(|(other, _)| !may_stay_open(other)) {
                        return stray(*at, format!("<{}> is not closed before </{}>", shown(left), shown(name)));
                    }
                    open.truncate(index);
                }
                None if may_stay_open(name) && !open.is_empty() || matches!(elements::class(name), Class::Break | Class::Paragraph) => {}
                None => return stray(range.start, format!("</{}> closes nothing", shown(name))),
            },
            Token::Text(_) | Token::Hidden => {}
        }
    }
    let raw = open.last().filter(|(name, _)| elements::is_raw(name));
    let left = open.iter().find(|(name, _)| !may_stay_open(name)).or(raw)?;
    stray(left.1, format!("<{}> is not closed", shown(left.0)))
}

fn may_stay_open(name: &[u8]) -> bool {
    let structure = [&b"tbody"[..], b"thead", b"tfoot", b"tr", b"colgroup"].iter().any(|wanted| name.eq_ignore_ascii_case(wanted));
    structure || matches!(elements::class(name), Class::Paragraph | Class::ListItem | Class::Cell)
}

/// With CRLF line ends, and without the characters that mail cannot carry.
fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                if characters.peek() != Some(&'\n') {
                    out.push_str("\r\n");
                }
            }
            '\n' => out.push_str("\r\n"),
            '\0' => {}
            other => out.push(other),
        }
    }
    out
}

/// Whether the first letter with a direction belongs to a script that is written from right to left.
fn is_right_to_left(fragment: &Fragment) -> bool {
    let mut tag = false;
    let html = fragment.html.as_deref().unwrap_or_default();
    let first = html.chars().find(|character| match character {
        '<' => {
            tag = true;
            false
        }
        '>' => {
            tag = false;
            false
        }
        other => !tag && other.is_alphabetic(),
    });
    first.is_some_and(|letter| matches!(letter, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}'))
}

/// Non-ASCII characters as numeric character references: ASCII in any charset that contains it, and safe from every relabelling.
pub(super) fn references(html: &str) -> String {
    if html.is_ascii() {
        return html.to_owned();
    }
    let mut out = String::with_capacity(html.len() * 2);
    for character in html.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            out.push_str(&format!("&#{};", u32::from(character)));
        }
    }
    out
}

/// What surrounds a place in plain text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) before: &'a [u8],
    pub(super) after: &'a [u8],
    /// RFC 3676 format=flowed.
    pub(super) flowed: bool,
    /// A delimiter follows the text, and its line break is not part of the text.
    pub(super) delimited: bool,
}

/// The plain text of several signatures, from top to bottom, with a blank line around each.
pub(super) fn plain(placed: &[&Placed], around: Surroundings<'_>) -> String {
    let mut out = String::new();
    if !around.before.is_empty() {
        let open = !around.before.ends_with(b"\n");
        if open {
            out.push_str("\r\n");
        }
        let text = around.before.strip_suffix(b"\n").unwrap_or(around.before);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let blank = !open && (text.is_empty() || text.ends_with(b"\n"));
        if !blank {
            out.push_str("\r\n");
        }
        // A flowed last line would take the blank line for its continuation.
        if around.flowed && text.ends_with(b" ") && !text.ends_with(b"\n-- ") {
            out.push_str("\r\n");
        }
    }
    for (index, placed) in placed.iter().enumerate() {
        if index > 0 {
            out.push_str("\r\n");
        }
        let text = lines(placed.fragment.text.as_deref().unwrap_or_default());
        for line in text.trim_end_matches(['\r', '\n']).split("\r\n") {
            if around.flowed {
                flowed_line(line, &mut out);
            } else {
                out.push_str(line);
            }
            out.push_str("\r\n");
        }
    }
    if !around.after.is_empty() {
        if !(around.after.starts_with(b"\r\n") || around.after.starts_with(b"\n")) {
            out.push_str("\r\n");
        }
    } else if around.delimited && !around.before.ends_with(b"\n") {
        out.truncate(out.len() - 2);
    }
    out
}

/// An inserted HTML text, in any charset that contains ASCII, that has grown by `by` octets and means the same: white space inside its first tag.
pub(super) fn padded_html(html: &[u8], by: usize) -> Option<Vec<u8>> {
    let tag = b"<div".len();
    html.starts_with(b"<div").then(|| [&html[..tag], &vec![b' '; by], &html[tag..]].concat())
}

/// An inserted plain text that is at least `by` octets longer, up to a multiple of three: white space that nobody sees behind its last line, or,
/// where that would make the line flow into the next one, blank lines above it.
pub(super) fn padded_plain(text: &[u8], by: usize, flowed: bool) -> Vec<u8> {
    if flowed {
        // One line end is two octets; two are four, which is one more than a whole group.
        let lines = if by == 2 { 1 } else { 2 * by };
        return [b"\r\n".repeat(lines), text.to_vec()].concat();
    }
    let end = text.trim_ascii_end().len();
    [&text[..end], &vec![b' '; by], &text[end..]].concat()
}

/// RFC 3676 section 4: our lines are fixed, and stuffed where they could be taken for something else.
fn flowed_line(line: &str, out: &mut String) {
    if line == "-- " {
        out.push_str(line);
        return;
    }
    if line.starts_with([' ', '>']) || line.starts_with("From ") {
        out.push(' ');
    }
    out.push_str(line.trim_end_matches(' '));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_closes_what_it_opens_and_nothing_else() {
        for html in [
            "",
            "text",
            "<p>a<p>b",
            "<table><tr><td>a<td>b<tr></table>",
            "<b>a<i>b</i></b><br><img src=x>",
            "<!--[if mso]><td><![endif]-->x",
            "<ul><li>a<li>b</ul>",
        ] {
            assert_eq!(stray(html), None, "{html}");
        }
        for html in [
            "</div>",
            "<div>",
            "<b>x",
            "<b><i>x</b></i>",
            "<!-- x",
            "<style>",
            "<a href=\"x>",
            "</body>",
            "<body>x</body>",
            "<table></td></table></table>",
            "</td>",
        ] {
            assert!(stray(html).is_some(), "{html}");
        }
    }
}
