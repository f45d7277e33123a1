//! Compares texts by their words, so that what mail clients do to white space, line breaks and quote marks makes no difference.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::boundary::elements::{self, Class};
use super::boundary::tokenizer::{Token, Tokenizer};

/// Most octets of a body's end in which a signature is looked for.
pub(super) const LONGEST_TAIL: usize = 64 * 1024;
/// Fewer words than this are no signature that could be recognised.
const FEWEST_WORDS: usize = 2;
/// Words of one shingle.
const SHINGLE: usize = 3;
/// Longest character reference of HTML.
const LONGEST_REFERENCE: usize = 34;
/// Share of a fragment's shingles, in percent, that must be there for a copy that was edited slightly.
const SHARE: usize = 90;

/// The words of a text, each as a hash of its lower-case form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words(Vec<u64>);

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let mut words = Vec::with_capacity(text.len() / 6);
        for word in text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
            // Not keyed: the hashes never leave this process, and a collision only leaves a signature out.
            let mut hasher = DefaultHasher::new();
            if word.is_ascii() {
                word.bytes().for_each(|octet| octet.to_ascii_lowercase().hash(&mut hasher));
            } else {
                word.chars().flat_map(char::to_lowercase).for_each(|character| character.hash(&mut hasher));
            }
            words.push(hasher.finish());
        }
        Self(words)
    }

    /// The words of the lines that are not quoted.
    pub(super) fn of_unquoted(text: &str) -> Self {
        // What is quoted ends the run of words, so that it cannot be part of a match.
        let mut all = Vec::new();
        for line in text.lines() {
            if line.starts_with('>') {
                all.clear();
            } else {
                all.extend(Self::of(line).0);
            }
        }
        Self(all)
    }

    pub(super) fn is_short(&self) -> bool {
        self.0.len() < FEWEST_WORDS
    }

    /// Whether these words contain the other ones, in order or nearly so.
    pub(super) fn contain(&self, other: &Self) -> bool {
        if self.0.len() < other.0.len() * SHARE / 100 || other.0.is_empty() {
            return false;
        }
        if memchr::memmem::find(bytes(&self.0).as_slice(), bytes(&other.0).as_slice()).is_some() {
            return true;
        }
        if other.0.len() < SHINGLE + 1 {
            return false;
        }
        let own: std::collections::HashSet<&[u64]> = self.0.windows(SHINGLE).collect();
        let all = other.0.len() - SHINGLE + 1;
        let found = other.0.windows(SHINGLE).filter(|shingle| own.contains(shingle)).count();
        found * 100 >= all * SHARE
    }

    pub(super) fn end_with(&self, other: &Self) -> bool {
        !other.0.is_empty() && self.0.ends_with(&other.0)
    }
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// HTML as the text that a reader sees: one line a block, without the content of elements that show none.
pub(super) fn html_to_text(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut hidden = 0_usize;
    for (at, token) in Tokenizer::new(html.as_bytes()) {
        match token {
            Token::Text(_) if hidden == 0 => push_text(&html[at], &mut out),
            Token::Start { name, .. } => match elements::class(name) {
                Class::Formatting | Class::Inline if elements::is_hidden(name) => hidden += 1,
                Class::Formatting | Class::Inline | Class::Void => {}
                Class::Cell => out.push(' '),
                _ if elements::is_hidden(name) => hidden += 1,
                // Browsers close the head at the first element that cannot stand in it.
                _ => {
                    hidden = 0;
                    end_line(&mut out);
                }
            },
            Token::End { name } if elements::is_hidden(name) => hidden = hidden.saturating_sub(1),
            Token::End { name } if matches!(elements::class(name), Class::Block | Class::Paragraph | Class::ListItem | Class::Structure) => end_line(&mut out),
            _ => {}
        }
    }
    out
}

fn end_line(out: &mut String) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

/// Text with its character references decoded and its white space collapsed.
fn push_text(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        if first.is_ascii_whitespace() {
            if !out.ends_with([' ', '\n']) && !out.is_empty() {
                out.push(' ');
            }
            rest = rest.trim_ascii_start();
            continue;
        }
        if first == b'&'
            && let Some(end) = rest.bytes().take(LONGEST_REFERENCE).position(|octet| octet == b';')
        {
            mail_parser::add_html_token(out, &rest.as_bytes()[..=end], false);
            rest = &rest[end + 1..];
            continue;
        }
        let length = rest.bytes().skip(1).position(|octet| octet.is_ascii_whitespace() || octet == b'&').map_or(rest.len(), |at| at + 1);
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
}

/// What stands behind the last element that mail clients quote in.
pub(super) fn after_last_quote(html: &str) -> Option<&str> {
    match html.rfind("</blockquote>").or_else(|| html.rfind("</BLOCKQUOTE>")) {
        Some(at) => html.get(at..),
        None => Some(html),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &str = "Ada King\nHead of Engines, ACME Ltd\n+44 20 7946 0000";

    #[test]
    fn white_space_and_case_make_no_difference() {
        let body = Words::of("Hello\u{A0}Bob,\r\n\r\n  Ada   King \r\n Head of\u{A0}Engines,\r\n ACME Ltd +44 20 7946 0000\r\n");
        assert!(body.contain(&Words::of(SIGNATURE)));
        assert!(body.end_with(&Words::of(SIGNATURE)));
        assert!(!Words::of("Hello Bob, Ada King").contain(&Words::of(SIGNATURE)));
    }

    #[test]
    fn html_reads_as_its_blocks() {
        let html = "<html><head><title>no</title><style>p{}</style></head><body><div>Thanks<b>!</b></div><p>Ada&nbsp;K&ouml;nig<br>\n  a &lt; b &unknown; AT&T</p><table><tr><td>x</td><td>y</td></tr></table></body></html>";
        assert_eq!(html_to_text(html), "Thanks!\nAda\u{A0}König\na < b &unknown; AT&T\n x y\n");
    }

    #[test]
    fn a_slightly_edited_copy_is_recognised() {
        let long: String = (0..60).map(|number| format!("word{number} ")).collect();
        let edited = long.replace("word59", "other");
        assert!(Words::of(&edited).contain(&Words::of(&long)));
        assert!(!Words::of(&long.replace("word3", "other")).contain(&Words::of(&long)));
    }

    #[test]
    fn quoted_lines_do_not_count() {
        assert!(!Words::of_unquoted("Hi\n> Ada King\n> ACME\n").end_with(&Words::of("Ada King ACME")));
        assert!(Words::of_unquoted("> x\nAda King\nACME\n").end_with(&Words::of("Ada King ACME")));
    }
}
