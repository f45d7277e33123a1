//! Compares texts by their words, so that what mail clients do to white space, line breaks and quote marks makes no difference.

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

/// The words of a text, each as a hash of its lower-case form. Not keyed: the hashes never leave this process, and a collision only
/// leaves a signature out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    hashes: Vec<u64>,
    /// One bit a hash: tells quickly that a word is not there.
    filter: [u64; FILTER],
}

/// Words of the filter: 4,096 bits, for letters of some hundred words.
const FILTER: usize = 64;

fn bit(hash: u64) -> (usize, u64) {
    ((hash >> 58) as usize % FILTER, 1 << (hash >> 52 & 63))
}

/// FNV-1a with a final mix, over the lower-case form.
fn hash(word: &str) -> u64 {
    let step = |state: u64, octet: u8| (state ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01B3);
    let start = 0xCBF2_9CE4_8422_2325;
    let state = if word.is_ascii() {
        word.bytes().map(|octet| octet.to_ascii_lowercase()).fold(start, step)
    } else {
        word.to_lowercase().bytes().fold(start, step)
    };
    (state ^ state >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let mut words = Self { hashes: Vec::with_capacity(text.len() / 5), filter: [0; FILTER] };
        words.extend(text);
        words
    }

    pub(super) fn of_html(html: &str) -> Self {
        let mut text = String::with_capacity(html.len() / 2);
        html_to_text(html, &mut text);
        Self::of(&text)
    }

    fn extend(&mut self, text: &str) {
        let separator =
            |character: char| if character.is_ascii() { !character.is_ascii_alphanumeric() } else { !character.is_alphanumeric() };
        for word in text.split(separator).filter(|word| !word.is_empty()) {
            let hash = hash(word);
            let (index, bit) = bit(hash);
            self.filter[index] |= bit;
            self.hashes.push(hash);
        }
    }

    /// The words of the lines that are not quoted.
    pub(super) fn of_unquoted(text: &str) -> Self {
        // What is quoted ends the run of words, so that it cannot be part of a match.
        let mut all = Self::of("");
        for line in text.lines() {
            if line.starts_with('>') {
                all.hashes.clear();
            } else {
                all.extend(line);
            }
        }
        all
    }

    pub(super) fn is_short(&self) -> bool {
        self.hashes.len() < FEWEST_WORDS
    }

    fn may_hold(&self, hash: u64) -> bool {
        let (index, bit) = bit(hash);
        self.filter[index] & bit != 0
    }

    /// Whether these words contain the other ones, in order or nearly so.
    pub(super) fn contain(&self, other: &Self) -> bool {
        let held = other.hashes.iter().filter(|&&hash| self.may_hold(hash)).count();
        if other.hashes.is_empty() || held * 100 < other.hashes.len() * SHARE {
            return false;
        }
        // Over octets, because that search is linear whatever the words are.
        if memchr::memmem::find(&octets(&self.hashes), &octets(&other.hashes)).is_some() {
            return true;
        }
        if other.hashes.len() <= SHINGLE {
            return false;
        }
        let own: std::collections::HashSet<&[u64]> = self.hashes.windows(SHINGLE).collect();
        let all = other.hashes.len() - SHINGLE + 1;
        let found = other.hashes.windows(SHINGLE).filter(|shingle| own.contains(shingle)).count();
        found * 100 >= all * SHARE
    }

    pub(super) fn end_with(&self, other: &Self) -> bool {
        !other.hashes.is_empty() && self.hashes.ends_with(&other.hashes)
    }
}

fn octets(hashes: &[u64]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect()
}

/// Appends HTML as the text that a reader sees: one line a block, without the content of elements that show none.
pub(super) fn html_to_text(html: &str, out: &mut String) {
    let mut hidden = 0_usize;
    for (at, token) in Tokenizer::new(html.as_bytes()) {
        match token {
            Token::Text(_) if hidden == 0 => push_text(&html[at], out),
            Token::Start { name, .. } => match elements::class(name) {
                Class::Formatting | Class::Inline if elements::is_hidden(name) => hidden += 1,
                Class::Formatting | Class::Inline | Class::Void => {}
                Class::Cell => out.push(' '),
                _ if elements::is_hidden(name) => hidden += 1,
                // Browsers close the head at the first element that cannot stand in it.
                _ => {
                    hidden = 0;
                    end_line(out);
                }
            },
            Token::End { name } if elements::is_hidden(name) => hidden = hidden.saturating_sub(1),
            Token::End { name }
                if matches!(elements::class(name), Class::Block | Class::Paragraph | Class::ListItem | Class::Structure) =>
            {
                end_line(out)
            }
            _ => {}
        }
    }
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
        let mut text = String::new();
        html_to_text(html, &mut text);
        assert_eq!(text, "Thanks!\nAda\u{A0}König\na < b &unknown; AT&T\n x y\n");
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
