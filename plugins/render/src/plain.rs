//! Plain text: leaving out empty lines of text templates, and deriving one form of a signature from the other.

use crate::tag::{Piece, Pieces};

/// Printed where a value is empty. Noncharacters cannot come from a value: those are removed there.
pub(crate) const EMPTY: &str = "\u{fdd0}";

/// Printed in front of a value that is there.
pub(crate) const FULL: &str = "\u{fdd1}";

/// Elements that stand on lines of their own.
const BLOCKS: [&str; 13] = ["blockquote", "div", "dl", "h1", "h2", "h3", "h4", "li", "ol", "p", "table", "tr", "ul"];

/// Leaves out lines whose values were all empty, the marks, and empty lines at both ends and beyond one between paragraphs.
pub(crate) fn without_empty_lines(marked: &str) -> String {
    let mut text = String::with_capacity(marked.len());
    for line in marked.lines().filter(|line| !line.contains(EMPTY) || line.contains(FULL)) {
        push_line(&mut text, &line.replace([MARKS[0], MARKS[1]], ""));
    }
    text.truncate(text.trim_end().len());
    text
}

/// [`EMPTY`] and [`FULL`] as characters.
const MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];

/// Appends a line, without white space at its end; an empty one only between paragraphs.
fn push_line(text: &mut String, line: &str) {
    // The signature separator of RFC 3676 section 4.3 is the one line whose last space counts.
    let line = if line == "-- " { line } else { line.trim_end() };
    if !line.is_empty() || !(text.is_empty() || text.ends_with("\n\n")) {
        text.push_str(line);
        text.push('\n');
    }
}

/// Text as HTML: the same lines.
pub(crate) fn to_html(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 64);
    html.push_str("<div>");
    for char in text.chars() {
        match char {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '\n' => html.push_str("<br>"),
            _ => html.push(char),
        }
    }
    html.push_str("</div>");
    html
}

/// HTML as text: lines for blocks and table rows, spaces between cells, the address behind a link that does not show it. Images
/// vanish: what matters in them, a text reader has no use for.
pub(crate) fn from_html(html: &str) -> String {
    let mut writer = Writer::default();
    for piece in Pieces::of_html(html) {
        match piece {
            Piece::Start { name, attributes, .. } if name == "a" => {
                let href =
                    attributes.iter().find(|attribute| attribute.name == "href").map(|attribute| decoded(&html[attribute.value.clone()]));
                writer.link = href.map(|href| (href, writer.line.len()));
            }
            Piece::End { name, .. } if name == "a" => writer.end_link(),
            Piece::Start { name, .. } | Piece::End { name, .. } if name == "br" || BLOCKS.contains(&name.as_str()) => {
                writer.end_line(name == "br" || name == "p");
            }
            Piece::Start { name, .. } if name == "td" || name == "th" => writer.space(),
            Piece::Other { span } if !html[span.clone()].starts_with("<!--") => writer.text(&decoded(&html[span])),
            _ => (),
        }
    }
    writer.end_line(false);
    writer.text.truncate(writer.text.trim_end().len());
    writer.text
}

#[derive(Default)]
struct Writer {
    text: String,
    line: String,
    /// The address of the link that is open, and where its text starts in the line.
    link: Option<(String, usize)>,
}

impl Writer {
    fn space(&mut self) {
        if !self.line.is_empty() && !self.line.ends_with(' ') {
            self.line.push(' ');
        }
    }

    fn text(&mut self, text: &str) {
        for char in text.chars() {
            // A no-break space is white space here: nobody lays out text with them.
            if char.is_whitespace() { self.space() } else { self.line.push(char) }
        }
    }

    /// `always`: an empty line is one that the author asked for.
    fn end_line(&mut self, always: bool) {
        let line = std::mem::take(&mut self.line);
        if always || !line.trim().is_empty() {
            push_line(&mut self.text, &line);
        }
        if let Some((_, start)) = &mut self.link {
            *start = 0;
        }
    }

    fn end_link(&mut self) {
        let Some((address, start)) = self.link.take() else { return };
        let shown = self.line.get(start..).unwrap_or_default().trim();
        let bare = |address: &str| address.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/').to_owned();
        let is_web = address.starts_with("https://") || address.starts_with("http://");
        if is_web && !shown.is_empty() && bare(&address) != bare(shown) {
            self.line.push_str(&format!(" <{address}>"));
        }
    }
}

/// Without character references. Those that signatures use are known by name, all by number.
fn decoded(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest.find(';').and_then(|end| Some((referred(&rest[1..end])?, end)));
        match reference {
            Some((char, end)) => {
                text.push(char);
                rest = &rest[end + 1..];
            }
            None => {
                text.push('&');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

fn referred(name: &str) -> Option<char> {
    const NAMED: [(&str, char); 24] = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("ensp", ' '),
        ("emsp", ' '),
        ("thinsp", ' '),
        ("middot", '·'),
        ("bull", '•'),
        ("ndash", '–'),
        ("mdash", '—'),
        ("hellip", '…'),
        ("lsquo", '‘'),
        ("rsquo", '’'),
        ("ldquo", '“'),
        ("rdquo", '”'),
        ("copy", '©'),
        ("reg", '®'),
        ("trade", '™'),
        ("euro", '€'),
        ("rarr", '→'),
        ("shy", '\u{ad}'),
    ];
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?).filter(|char| !char.is_control());
    }
    NAMED.iter().find(|(known, _)| *known == name).map(|(_, char)| *char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_whose_values_are_empty_are_left_out() {
        let marked = format!("-- \n{FULL}Ada\n\nT {EMPTY}\nM {FULL}1{EMPTY}\n\n\n{EMPTY}\nend  \n\n");
        assert_eq!(without_empty_lines(&marked), "-- \nAda\n\nM 1\n\nend");
    }

    #[test]
    fn html_becomes_lines() {
        for (html, expected) in [
            ("<table><tr><td>T</td>\n <td>+1&nbsp;2</td></tr><tr><td>M</td></tr></table>", "T +1 2\nM"),
            ("a<br>b<br><br>c", "a\nb\n\nc"),
            ("<p>a</p><p>b</p>", "a\n\nb"),
            ("<a href=\"https://x.example/\">x.example</a> <a href=\"https://y.example\">Book</a>", "x.example Book <https://y.example>"),
            ("<a href=\"mailto:a@b.example\">Write</a>", "Write"),
            ("&lt;b&gt; &amp; &#x2f;&#39;&unknown; &", "<b> & /'&unknown; &"),
            ("<!-- x --><div><div>deep</div></div><img src='cid:x' alt='x'>", "deep"),
        ] {
            assert_eq!(from_html(html), expected, "{html}");
        }
    }

    #[test]
    fn text_becomes_the_same_lines() {
        assert_eq!(to_html("a <b>\nc & d"), "<div>a &lt;b&gt;<br>c &amp; d</div>");
    }
}
