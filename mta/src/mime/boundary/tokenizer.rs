//! Finds the tags of an HTML text and says where they are (tokenization as in the HTML Standard, section 13.2.5).
//!
//! It builds no tree and changes nothing. Comments, quoted attribute values and the content of elements such as `style` and
//! `title` never yield tags. A construct that never ends is reported as [`Token::Unfinished`]: text added behind it would be swallowed.

use std::ops::Range;

use memchr::{memchr, memchr3, memmem};

/// What stands at one place of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Token<'a> {
    /// Character data.
    Text(&'a [u8]),
    /// A start tag with the text of its attributes.
    Start { name: &'a [u8], attributes: &'a [u8] },
    /// An end tag.
    End { name: &'a [u8] },
    /// Comment, doctype, processing instruction, or content of an element that shows none.
    Hidden,
    /// Something that runs to the end of the text without being closed.
    Unfinished,
}

/// Elements whose content is character data only, whatever it looks like.
const RAW: [&str; 9] = ["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"];

/// Walks over the tokens of an HTML text in order, without a gap.
pub(in super::super) struct Tokenizer<'a> {
    html: &'a [u8],
    at: usize,
    raw: Option<&'static str>,
}

impl<'a> Tokenizer<'a> {
    pub(in super::super) fn new(html: &'a [u8]) -> Self {
        Self { html, at: 0, raw: None }
    }

    fn raw_content(&mut self, element: &'static str) -> (usize, Token<'a>) {
        let rest = &self.html[self.at..];
        let mut from = 0;
        while let Some(found) = memmem::find(&rest[from..], b"</") {
            let name = &rest[from + found + 2..];
            let named = name.get(..element.len()).is_some_and(|name| name.eq_ignore_ascii_case(element.as_bytes()));
            if named && name.get(element.len()).is_some_and(|octet| octet.is_ascii_whitespace() || matches!(octet, b'>' | b'/')) {
                return (from + found, Token::Hidden);
            }
            from += found + 2;
        }
        (rest.len(), Token::Unfinished)
    }

    fn markup(&mut self) -> (usize, Token<'a>) {
        let rest = &self.html[self.at..];
        match rest.get(1) {
            Some(b'!') if rest.starts_with(b"<!--") => comment(rest),
            // A processing instruction, a doctype, or what browsers take for a comment: it ends at the first ">".
            Some(b'!' | b'?') => until_greater(rest),
            Some(b'/') => match rest.get(2) {
                Some(letter) if letter.is_ascii_alphabetic() => tag(rest, 2),
                Some(b'>') => (3, Token::Hidden),
                Some(_) => until_greater(rest),
                None => (rest.len(), Token::Text(rest)),
            },
            Some(letter) if letter.is_ascii_alphabetic() => tag(rest, 1),
            _ => (1, Token::Text(&rest[..1])),
        }
    }
}

impl<'a> Iterator for Tokenizer<'a> {
    type Item = (Range<usize>, Token<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        let rest = &self.html[start..];
        if rest.is_empty() {
            return None;
        }
        let (length, token) = if let Some(element) = self.raw.take().filter(|element| !ends_here(rest, element)) {
            self.raw_content(element)
        } else if rest[0] == b'<' {
            self.markup()
        } else {
            let length = memchr(b'<', rest).unwrap_or(rest.len());
            (length, Token::Text(&rest[..length]))
        };
        if let Token::Start { name, .. } = token {
            self.raw = RAW.into_iter().find(|element| name.eq_ignore_ascii_case(element.as_bytes()));
        }
        self.at += length;
        Some((start..self.at, token))
    }
}

/// Whether the element's content is empty.
fn ends_here(rest: &[u8], element: &str) -> bool {
    rest.starts_with(b"</")
        && rest[2..].get(..element.len()).is_some_and(|name| name.eq_ignore_ascii_case(element.as_bytes()))
        && rest.get(2 + element.len()).is_some_and(|octet| octet.is_ascii_whitespace() || matches!(octet, b'>' | b'/'))
}

fn comment(rest: &[u8]) -> (usize, Token<'_>) {
    let text = &rest[4..];
    if text.starts_with(b">") {
        return (5, Token::Hidden);
    }
    if text.starts_with(b"->") {
        return (6, Token::Hidden);
    }
    // "--!>" closes a comment too.
    let usual = memmem::find(text, b"-->");
    let other = memmem::find(&text[..usual.unwrap_or(text.len())], b"--!>");
    let end = other.map(|at| at + 4).or(usual.map(|at| at + 3));
    end.map_or((rest.len(), Token::Unfinished), |end| (4 + end, Token::Hidden))
}

fn until_greater(rest: &[u8]) -> (usize, Token<'_>) {
    memchr(b'>', rest).map_or((rest.len(), Token::Unfinished), |end| (end + 1, Token::Hidden))
}

fn tag(rest: &[u8], name: usize) -> (usize, Token<'_>) {
    let length = rest[name..].iter().take_while(|octet| !octet.is_ascii_whitespace() && !matches!(octet, b'>' | b'/')).count();
    let attributes = name + length;
    let mut at = attributes;
    // A quote counts only where a value starts: after "=" and white space.
    let mut value = false;
    while let Some(&octet) = rest.get(at) {
        match octet {
            b'>' => {
                let token = if name == 2 {
                    Token::End { name: &rest[name..attributes] }
                } else {
                    Token::Start { name: &rest[name..attributes], attributes: &rest[attributes..at] }
                };
                return (at + 1, token);
            }
            b'=' => (value, at) = (true, at + 1),
            b'"' | b'\'' if value => match memchr(octet, &rest[at + 1..]) {
                Some(end) => (value, at) = (false, at + end + 2),
                None => return (rest.len(), Token::Unfinished),
            },
            b' ' | b'\t' | b'\r' | b'\n' | 0x0C => at += 1,
            _ => {
                // The rest of an attribute's name, or of an unquoted value.
                let run = rest[at..].iter().take_while(|octet| !octet.is_ascii_whitespace() && !matches!(octet, b'>')).count();
                let stop = if value { run } else { memchr3(b'=', b'>', b'>', &rest[at..at + run]).unwrap_or(run) };
                (value, at) = (false, at + stop.max(1));
            }
        }
    }
    (rest.len(), Token::Unfinished)
}

/// The attributes of a start tag, name and value; entities in values are left as they are.
pub(in super::super) struct Attributes<'a>(pub(in super::super) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.0.iter().position(|octet| !octet.is_ascii_whitespace() && *octet != b'/')?;
        let rest = &self.0[start..];
        let length = rest.iter().take_while(|octet| !octet.is_ascii_whitespace() && !matches!(octet, b'=' | b'/')).count().max(1);
        let (name, tail) = rest.split_at(length);
        let tail = tail.trim_ascii_start();
        let Some(tail) = tail.strip_prefix(b"=") else {
            self.0 = tail;
            return Some((name, &[]));
        };
        let tail = tail.trim_ascii_start();
        let (value, after) = match tail.first() {
            Some(&quote @ (b'"' | b'\'')) => {
                let end = memchr(quote, &tail[1..]).map_or(tail.len(), |end| end + 1);
                (&tail[1..end], tail.get(end + 1..).unwrap_or_default())
            }
            _ => tail.split_at(tail.iter().take_while(|octet| !octet.is_ascii_whitespace()).count()),
        };
        self.0 = after;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ends(html: &str) -> Vec<usize> {
        Tokenizer::new(html.as_bytes())
            .filter(|(_, token)| matches!(token, Token::End { name } if name.eq_ignore_ascii_case(b"body")))
            .map(|(at, _)| at.start)
            .collect()
    }

    #[test]
    fn end_of_body_counts_only_where_it_is_a_tag() {
        for hidden in [
            "<!-- </body> -->",
            "<script>'</body>'</script>",
            "<style>/*</body>*/</style>",
            "<title></body></title>",
            "<textarea></body></textarea>",
            "<a title='</body>'>",
            "<a title = \"</body>\">",
            "<!--></body>-->",
            "<img alt=\">\" title=\"</body>\">",
        ] {
            let html = format!("{hidden}</BODY >");
            let expected = if hidden.starts_with("<!-->") { vec![5, hidden.len()] } else { vec![hidden.len()] };
            assert_eq!(ends(&html), expected, "{hidden}");
        }
    }

    #[test]
    fn what_never_ends_is_unfinished() {
        for open in ["<!-- x", "<script>x</scrip", "<a href=\"x>", "<textarea></body>", "<div class=x", "<plaintext>x", "<!doctype"] {
            assert_eq!(Tokenizer::new(open.as_bytes()).last().unwrap().1, Token::Unfinished, "{open}");
        }
    }

    #[test]
    fn attributes_are_found_however_they_are_written() {
        let attributes = b" ID=one class = 'two three' hidden title=\"a > b\"name=x";
        for (name, value) in [("id", "one"), ("class", "two three"), ("hidden", ""), ("title", "a > b"), ("name", "x")] {
            let found = Attributes(attributes).find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
            assert_eq!(found.map(|(_, value)| value), Some(value.as_bytes()), "{name}");
        }
        assert_eq!(Attributes(attributes).count(), 5);
    }

    proptest! {
        #[test]
        fn tokens_cover_the_text_without_gap(html in "[<>!/a-c=\"' -]{0,80}") {
            let mut end = 0;
            for (at, _) in Tokenizer::new(html.as_bytes()) {
                prop_assert_eq!(at.start, end);
                prop_assert!(at.end > at.start);
                end = at.end;
            }
            prop_assert_eq!(end, html.len());
        }
    }
}
