//! What a reader sees of a body with a signature in it: the words in order, and inside of which marked elements the signature stands.
//!
//! Two places are the same for a reader when only white space, line breaks and unmarked wrappers lie between them. This tokenizer knows the
//! well-formed HTML of our templates and of the fixtures, and shares nothing with the one that it judges.

use crate::{HTML, MARKER, TEXT};

/// A body as a reader sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Words, pictures, rules and the marker, in order.
    pub(crate) words: Vec<String>,
    /// Elements with an id or class, and quotes, that the marker stands in.
    pub(crate) around: Vec<String>,
}

impl View {
    /// Of plain text.
    pub(crate) fn of_text(text: &str) -> Self {
        Self { words: words(text), around: Vec::new() }
    }

    /// Of HTML.
    pub(crate) fn of_html(html: &str) -> Self {
        let mut view = Self { words: Vec::new(), around: Vec::new() };
        let mut open: Vec<(String, Option<String>)> = Vec::new();
        let mut rest = html;
        while !rest.is_empty() {
            let (text, tail) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
            if !open.iter().any(|(name, _)| matches!(name.as_str(), "head" | "style" | "script" | "title")) {
                let found = words(&decoded(text));
                if found.iter().any(|word| word == MARKER) {
                    view.around = open.iter().filter_map(|(_, mark)| mark.clone()).collect();
                }
                view.words.extend(found);
            }
            rest = view.tag(tail, &mut open);
        }
        view
    }

    /// Reads the tag at the start of `html`; what is behind it.
    fn tag<'a>(&mut self, html: &'a str, open: &mut Vec<(String, Option<String>)>) -> &'a str {
        if html.starts_with("<!--") {
            return html.find("-->").map_or("", |end| &html[end + 3..]);
        }
        let Some(end) = tag_end(html) else {
            return "";
        };
        let (tag, rest) = (&html[1..end], &html[end + 1..]);
        let name: String = tag.chars().take_while(|letter| !letter.is_whitespace() && *letter != '>').collect::<String>().to_lowercase();
        if let Some(name) = name.strip_prefix('/') {
            if let Some(index) = open.iter().rposition(|(other, _)| other == name) {
                open.truncate(index);
            }
        } else if matches!(name.as_str(), "img" | "hr") {
            self.words.push(format!("<{name}>"));
        } else if !(matches!(name.as_str(), "br" | "meta" | "link" | "input" | "col" | "base" | "html" | "body")
            || tag.starts_with(['!', '?']))
            && !tag.ends_with('/')
        {
            let marked = name == "blockquote" || tag.contains(" id=") || tag.contains(" class=");
            open.push((name.clone(), marked.then(|| tag.split_whitespace().collect::<Vec<_>>().join(" "))));
        }
        rest
    }
}

/// The body with the inserted block of HTML replaced by the marker.
pub(crate) fn marked_html(body: &str) -> Option<String> {
    let start = body.find("<div class=\"signet-signature-1\" dir=")?;
    let close = start + body[start..].find("</div").expect("the block ends");
    let end = close + body[close..].find('>').expect("the tag ends") + 1;
    // Where the message's line is long already, it may be broken inside of what was inserted, also inside a tag.
    assert!(View::of_html(&body[start..end]) == View::of_html(HTML), "{}", &body[start..end]);
    Some(format!("{}{MARKER}{}", &body[..start], &body[end..]))
}

/// The body with the inserted lines of text replaced by the marker.
pub(crate) fn marked_text(body: &str) -> Option<String> {
    let body = body.replace("\r\n", "\n");
    body.rfind(TEXT).map(|start| format!("{}{MARKER}{}", &body[..start], &body[start + TEXT.len()..]))
}

fn tag_end(html: &str) -> Option<usize> {
    let mut quote = None;
    html.bytes().position(|octet| {
        match (quote, octet) {
            (None, b'>') => return true,
            (None, b'"' | b'\'') => quote = Some(octet),
            (Some(open), octet) if open == octet => quote = None,
            _ => {}
        }
        false
    })
}

/// Words without white space, no-break spaces and characters without width; the marker is a word of its own.
fn words(text: &str) -> Vec<String> {
    let spaced = text.replace(MARKER, &format!(" {MARKER} "));
    let split = |letter: char| letter.is_whitespace() || matches!(letter, '\u{FEFF}' | '\u{200B}'..='\u{200F}');
    spaced.split(split).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn decoded(text: &str) -> String {
    text.replace("&nbsp;", " ")
        .replace("&#160;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[test]
fn a_view_tells_places_apart_that_a_reader_can_tell_apart() {
    let same = |one: &str, other: &str| View::of_html(one) == View::of_html(other);
    assert!(same("<p>a</p>[SIGN]<br><div>b</div>", "<p>a</p><br><div>[SIGN]b</div>"));
    assert!(!same("<p>a</p>[SIGN]<hr>b", "<p>a</p><hr>[SIGN]b"));
    assert!(!same("<p>a</p>[SIGN]<blockquote>b</blockquote>", "<p>a</p><blockquote>[SIGN]b</blockquote>"));
    assert!(!same("<p class=x>a[SIGN]</p>", "<p class=x>a</p>[SIGN]"));
    assert!(!same("a[SIGN]b", "ab[SIGN]"));
}
