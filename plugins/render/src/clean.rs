//! What a template brings along from a browser, a word processor or another service, taken out before the template is looked at: document
//! wrappers, style sheets, scripts, forms, comments. Mail clients remove the same, so a reader misses nothing.
//!
//! Every line of the template stays where it was. Whatever computes something is never taken out, as that would change what the template
//! means; it is an error. So is what has no end.

use std::ops::Range;

use crate::css;
use crate::inline::{self, Inliner, Styles, VOID};
use crate::markup::{Problem, opens_tag};
use crate::tag::{self, Attribute, Piece, Pieces};

/// Elements that go with everything inside, which is no HTML and ends at the first end tag.
const RAW: [&str; 9] = ["iframe", "noembed", "noframes", "noscript", "script", "style", "textarea", "title", "xmp"];

/// Elements that go with everything inside, which is HTML.
const WHOLE: [&str; 6] = ["applet", "frameset", "math", "object", "select", "svg"];

/// Elements without an end tag that go.
const BARE: [&str; 6] = ["base", "embed", "frame", "input", "link", "meta"];

/// Elements whose tags go; what is inside stays.
const WRAPPERS: [&str; 6] = ["body", "button", "form", "head", "html", "plaintext"];

/// What a `<body>` hands on to the `<div>` that takes its place.
const KEPT_OF_BODY: [&str; 5] = ["class", "dir", "id", "lang", "style"];

/// Schemes of links that run something. What else leads astray is an error, because an image or a link would be missed.
const RUNS: [&str; 2] = ["javascript:", "vbscript:"];

/// A template without what goes.
#[derive(Debug, Default)]
pub(crate) struct Cleaned {
    pub(crate) source: String,
    pub(crate) warnings: Vec<Problem>,
    pub(crate) errors: Vec<Problem>,
}

/// A template taken apart: pieces, and elements that go with what is in them.
enum Part {
    Piece(Piece),
    Element { name: String, attributes: Vec<Attribute>, span: Range<usize>, inside: Range<usize> },
}

/// The work on one template.
struct Cleaner<'t> {
    template: &'t str,
    cleaned: Cleaned,
    inliner: Inliner,
    /// Up to where the template is copied.
    copied: usize,
    /// Whether a `<div>` stands for a `<body>` that has not ended.
    body: bool,
}

/// Takes out what goes, and makes style sheets inline styles.
pub(crate) fn clean(template: &str) -> Cleaned {
    let mut cleaner = Cleaner { template, cleaned: Cleaned::default(), inliner: Inliner::default(), copied: 0, body: false };
    let parts = cleaner.parts();
    cleaner.read_sheets(&parts);
    for part in parts {
        match part {
            Part::Piece(Piece::Start { name, span, attributes, closed }) => cleaner.start(&name, span, &attributes, closed),
            Part::Piece(Piece::End { name, span }) => cleaner.end(&name, span),
            Part::Piece(Piece::Other { span }) => cleaner.other(span),
            Part::Piece(Piece::Code { .. }) => (),
            // What is in a style sheet has been told already.
            Part::Element { name, span, .. } if name == "style" => cleaner.take_out(span),
            Part::Element { name, span, .. } => {
                cleaner.warn(span.start, &format!("<{name}>"), "is left out with what is in it: mail clients remove it");
                cleaner.without_code(span.clone(), &format!("<{name}>"));
                cleaner.take_out(span);
            }
        }
    }
    cleaner.finish()
}

impl Cleaner<'_> {
    fn warn(&mut self, offset: usize, key: &str, message: impl Into<String>) {
        self.cleaned.warnings.push(Problem { offset, key: key.to_owned(), message: message.into() });
    }

    fn error(&mut self, offset: usize, key: &str, message: impl Into<String>) {
        self.cleaned.errors.push(Problem { offset, key: key.to_owned(), message: message.into() });
    }

    fn parts(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut pieces = Pieces::of_template(self.template);
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Start { name, span, attributes, closed } if RAW.contains(&name.as_str()) || WHOLE.contains(&name.as_str()) => {
                    let (inside, end) = self.extent(&mut pieces, &name, &span, closed);
                    pieces.resume_at(end);
                    parts.push(Part::Element { name, attributes, span: span.start..end, inside });
                }
                piece => parts.push(Part::Piece(piece)),
            }
        }
        parts
    }

    /// What is inside of an element that goes, and where its end tag ends.
    fn extent(&mut self, pieces: &mut Pieces<'_>, name: &str, tag: &Range<usize>, closed: bool) -> (Range<usize>, usize) {
        if closed && is_foreign(name) {
            return (tag.end..tag.end, tag.end);
        }
        let end = if RAW.contains(&name) { raw_end(self.template, tag.end, name) } else { whole_end(self.template, pieces, name) };
        let closing = |at: usize| self.template[at..].find('>').map(|length| at + length + 1);
        if let Some((end, after)) = end.and_then(|end| Some((end, closing(end)?))) {
            return (tag.end..end, after);
        }
        self.error(tag.start, &format!("<{name}>"), format!("the element has no end tag of its own: add `</{name}>`"));
        (tag.end..self.template.len(), self.template.len())
    }

    fn read_sheets(&mut self, parts: &[Part]) {
        let mut depth = 0;
        for part in parts {
            match part {
                Part::Piece(Piece::Code { span }) => depth += inline::nesting(&self.template[span.clone()]),
                Part::Element { name, attributes, span, inside } if name == "style" => {
                    let conditional = depth > 0 || attributes.iter().any(|attribute| attribute.name == "data-if");
                    self.read_sheet(attributes, span.clone(), inside.clone(), conditional);
                }
                _ => (),
            }
        }
    }

    fn read_sheet(&mut self, attributes: &[Attribute], span: Range<usize>, inside: Range<usize>, conditional: bool) {
        let value = |wanted: &str| {
            let attribute = attributes.iter().find(|attribute| attribute.name == wanted)?;
            Some(self.template[attribute.value.clone()].trim().to_ascii_lowercase()).filter(|value| !value.is_empty())
        };
        if value("media").is_some_and(|media| media != "all" && media != "screen") || value("type").is_some_and(|kind| kind != "text/css") {
            return self.warn(span.start, "<style>", "is left out: inline styles count everywhere, and this style sheet does not");
        }
        let text = &self.template[inside.clone()];
        if let Some(at) = code_in_css(text).or_else(|| self.template[span.start..inside.start].find('{').map(|_| 0)) {
            let example = "`<td style=\"color: {{ colour }}\">`";
            let message =
                format!("has template code in it, but is read before anybody's values are there; write it inline, for example {example}");
            return self.error(inside.start + at, "<style>", message);
        }
        if conditional {
            let example = "`<td style=\"{% if sales %}color: #333333{% endif %}\">`";
            let message =
                format!("stands in a condition, but its rules count for the whole file; write them inline, for example {example}");
            return self.error(span.start, "<style>", message);
        }
        match css::parse(text) {
            Ok(mut sheet) => {
                let left_out = std::mem::take(&mut sheet.left_out).into_iter();
                self.cleaned.warnings.extend(left_out.map(|problem| Problem { offset: inside.start + problem.offset, ..problem }));
                self.inliner.add(sheet, inside.start);
            }
            Err(problem) => self.cleaned.errors.push(Problem { offset: inside.start + problem.offset, ..problem }),
        }
    }

    fn start(&mut self, name: &str, span: Range<usize>, attributes: &[Attribute], closed: bool) {
        let bare = BARE.contains(&name);
        let styles = self.inliner.enter(self.template, name, span.start, attributes, bare || closed || VOID.contains(&name));
        let key = format!("<{name}>");
        if bare {
            self.warn(span.start, &key, "is left out: mail clients remove it");
            self.without_code(span.clone(), &key);
            return self.take_out(span);
        }
        if !WRAPPERS.contains(&name) {
            return self.attributes(name, span, attributes, styles);
        }
        let styled = styles != Styles::default() || attributes.iter().any(|one| ["dir", "lang", "style"].contains(&one.name.as_str()));
        if name == "body" && styled && !self.body {
            self.body = true;
            self.warn(span.start, &key, "is made a `<div>`: a signature is a part of a message, and no document");
            self.attributes(name, span, attributes, styles);
        } else {
            self.warn(span.start, &key, "is left out, and what is in it stays: a signature is a part of a message");
            if let Some(condition) = attributes.iter().find(|attribute| attribute.name == "data-if") {
                self.error(condition.span.start, "data-if", "stands on an element that is left out; write it on an element that stays");
            }
            self.without_code(span.clone(), &key);
            self.take_out(span);
        }
    }

    fn end(&mut self, name: &str, span: Range<usize>) {
        self.inliner.leave(name);
        if name == "body" && std::mem::take(&mut self.body) {
            self.replace(span, "</div>");
        } else if WRAPPERS.contains(&name) || BARE.contains(&name) {
            self.take_out(span);
        } else if RAW.contains(&name) || WHOLE.contains(&name) {
            self.warn(span.start, &format!("</{name}>"), "is left out: it ends nothing");
            self.take_out(span);
        }
    }

    /// Comments, and `<!DOCTYPE html>` and `<?xml ...?>`, with which browsers do the same as with comments.
    fn other(&mut self, span: Range<usize>) {
        let text = &self.template[span.clone()];
        if text.starts_with("<!--") {
            let is_code = tag::code(text).next().is_some();
            if tag::comment_length(text).is_none() {
                self.error(span.start, "<!--", "the comment has no end, and would hide the rest of the message: add `-->`");
            } else if is_code {
                self.warn(span.start, "<!--", "stays, with the values in it, because there is template code in it; write `{# ... #}`");
            } else if !is_outlooks(text) {
                self.warn(span.start, "<!-- -->", "is left out: readers see no comments");
                self.take_out(span);
            }
        } else if (text.starts_with("<!") && !text.starts_with("<![")) || text.starts_with("<?") {
            let name: String = text.chars().take_while(|char| !char.is_whitespace() && *char != '>').collect();
            match text.find('>') {
                Some(end) => {
                    self.warn(span.start, &name, "is left out: a signature is a part of a message, and no document");
                    self.take_out(span.start..span.start + end + 1);
                }
                None => self.error(span.start, &name, "begins a declaration that has no `>`; write `&lt;` for a `<` in a text"),
            }
        }
    }

    /// A start tag that stays: what has to go of its attributes, and what a style sheet adds to them.
    fn attributes(&mut self, name: &str, span: Range<usize>, attributes: &[Attribute], styles: Styles) {
        let mut styles = Some(styles).filter(|styles| *styles != Styles::default());
        let own: Vec<&Attribute> = attributes.iter().filter(|attribute| attribute.name == "style").collect();
        if let (Some(_), Some(style)) =
            (&styles, own.iter().find(|style| inline::is_conditional(self.template, span.start, attributes, style)))
        {
            let example = "`style=\"{% if sales %}color: #333333{% endif %}\"`";
            let message =
                format!("stands in a condition, and a style sheet has something to add; write the condition inside, as in {example}");
            self.error(style.span.start, "style", message);
            styles = None;
        }
        let name_end = span.start + 1 + name.len();
        if name == "body" {
            self.replace(span.start + 1..name_end, "div");
        }
        if let Some(styles) = styles.take_if(|_| own.is_empty()) {
            let style = joined(&styles, "", '"');
            self.replace(name_end..name_end, &format!(" style=\"{style}\""));
        }
        for attribute in attributes {
            match attribute.name.as_str() {
                "style" => self.style(attribute, styles.as_ref()),
                "class" => self.class(attribute),
                other if name == "body" && !KEPT_OF_BODY.contains(&other) && other != "data-if" => self.drop_attribute(attribute),
                other if (other.starts_with("on") && !other.contains('{')) || other == "srcdoc" => {
                    self.warn(attribute.span.start, other, "is left out: mail clients remove it");
                    self.drop_attribute(attribute);
                }
                other if self.runs(attribute) => {
                    self.warn(attribute.span.start, other, "is left out: no mail client runs anything");
                    self.drop_attribute(attribute);
                }
                _ => (),
            }
        }
    }

    fn style(&mut self, attribute: &Attribute, styles: Option<&Styles>) {
        let written = self.template[attribute.value.clone()].trim();
        let mut own = written.trim_end_matches(';').to_owned();
        if let Some(why) = css::harm(written) {
            if written.contains(['{', '}']) {
                self.warn(attribute.span.start, "style", format!("is emptied in every signature: {why}; write it without"));
            } else {
                let (harmful, rest): (Vec<&str>, Vec<&str>) = css::inline(written).into_iter().partition(|one| css::harm(one).is_some());
                for declaration in harmful {
                    let why = css::harm(declaration).unwrap_or(why);
                    self.warn(attribute.span.start, declaration, format!("is left out: {why}"));
                }
                // What only the whole has, such as a comment over two declarations, leaves nothing to keep.
                own = Some(rest.join(";")).filter(|rest| css::harm(rest).is_none()).unwrap_or_default();
            }
        }
        if styles.is_none() && own == written.trim_end_matches(';') {
            return;
        }
        let quote = if attribute.quoted { self.template[..attribute.value.start].chars().next_back().unwrap_or('"') } else { '"' };
        let own = if attribute.quoted { own } else { own.replace('"', "&quot;") };
        let style = joined(styles.unwrap_or(&Styles::default()), &own, quote);
        let equals = if self.template[attribute.span.clone()].contains('=') { "" } else { "=" };
        let text = if attribute.quoted { style } else { format!("{equals}\"{style}\"") };
        self.replace(attribute.value.clone(), &text);
    }

    fn class(&mut self, attribute: &Attribute) {
        match self.inliner.other_classes(&self.template[attribute.value.clone()]) {
            Some(rest) if rest.is_empty() => self.drop_attribute(attribute),
            Some(rest) => self.replace(attribute.value.clone(), &rest),
            None => (),
        }
    }

    fn runs(&self, attribute: &Attribute) -> bool {
        let value: String = self.template[attribute.value.clone()].chars().filter(|char| *char > ' ').collect();
        let value = value.to_ascii_lowercase();
        RUNS.iter().any(|scheme| value.starts_with(scheme))
    }

    /// Removes an attribute, without bringing its neighbours together.
    fn drop_attribute(&mut self, attribute: &Attribute) {
        self.without_code(attribute.span.clone(), &attribute.name);
        let lines = self.template[attribute.span.clone()].contains('\n');
        let separated = self.template[attribute.span.end..].starts_with(|char: char| char.is_whitespace() || matches!(char, '>' | '/'));
        self.replace(attribute.span.clone(), if lines || separated { "" } else { " " });
    }

    fn without_code(&mut self, span: Range<usize>, key: &str) {
        if let Some(code) = tag::code(&self.template[span.clone()]).next() {
            let message = "has template code in it, but is left out of a signature; take it out of the template";
            self.error(span.start + code.start, key, message);
        }
    }

    /// Removes a part outside of tags. The engine's comment keeps the lines without printing them.
    fn take_out(&mut self, span: Range<usize>) {
        let before = &self.template[..span.start];
        if opens_tag(before) || before.ends_with('{') {
            let message = "stands behind a single `<` or `{`, which would become something else without it; write `&lt;` or `&#123;`";
            self.error(span.start, before.get(before.len() - 1..).unwrap_or_default(), message);
        }
        let lines = line_ends(&self.template[span.clone()]);
        let comment = if lines.is_empty() { String::new() } else { format!("{{#+{lines}+#}}") };
        self.replace(span, &comment);
    }

    /// Puts a text in the place of another; a tag that was written over several lines still is.
    fn replace(&mut self, span: Range<usize>, text: &str) {
        self.cleaned.source.push_str(&self.template[self.copied..span.start]);
        self.cleaned.source.push_str(text);
        let lines = line_ends(&self.template[span.clone()]);
        self.cleaned.source.push_str(lines.get(line_ends(text).len()..).unwrap_or_default());
        self.copied = span.end;
    }

    fn finish(mut self) -> Cleaned {
        let end = self.template.len();
        self.replace(end..end, if self.body { "</div>" } else { "" });
        self.cleaned.warnings.extend(self.inliner.unused());
        self.cleaned
    }
}

/// Elements that `/>` ends.
fn is_foreign(name: &str) -> bool {
    ["math", "svg"].contains(&name)
}

/// Where the end tag of an element begins whose inside is no HTML.
fn raw_end(template: &str, start: usize, name: &str) -> Option<usize> {
    let ends = template[start..].match_indices("</").map(|(at, _)| start + at);
    let is_end = |at: &usize| {
        let rest = &template.as_bytes()[at + 2..];
        let named = rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()));
        named && rest.get(name.len()).is_none_or(|next| next.is_ascii_whitespace() || matches!(next, b'>' | b'/'))
    };
    ends.into_iter().find(is_end)
}

/// Where the end tag of an element begins whose inside is HTML.
fn whole_end(template: &str, pieces: &mut Pieces<'_>, name: &str) -> Option<usize> {
    let mut depth = 0;
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Start { name: inner, closed, .. } if inner == name && !(closed && is_foreign(name)) => depth += 1,
            Piece::Start { name: inner, span, closed: false, .. } if RAW.contains(&inner.as_str()) => {
                pieces.resume_at(raw_end(template, span.end, &inner)?);
            }
            Piece::End { name: inner, span } if inner == name => {
                if depth == 0 {
                    return Some(span.start);
                }
                depth -= 1;
            }
            _ => (),
        }
    }
    None
}

/// Conditions for Outlook, which tables of a fixed width and its buttons are made of.
fn is_outlooks(comment: &str) -> bool {
    let inside = comment.trim_start_matches("<!--").trim_start();
    inside.starts_with("[if") || inside.starts_with("<![endif]") || comment.trim_end_matches("-->").trim_end().ends_with("<![endif]")
}

/// Where template code begins in a style sheet. `{#` alone is the beginning of a rule's block: `@media print{#top{...}}`.
fn code_in_css(text: &str) -> Option<usize> {
    let comment = text.find("{#").filter(|at| text[*at..].contains("#}"));
    [text.find("{{"), text.find("{%"), comment].into_iter().flatten().min()
}

/// The value of a `style` attribute: what a style sheet says around what is there.
fn joined(styles: &Styles, own: &str, quote: char) -> String {
    let quoted = |declarations: &[String]| declarations.iter().map(|declaration| escaped(declaration, quote)).collect::<Vec<_>>();
    let mut all = quoted(&styles.before);
    all.extend(Some(own.to_owned()).filter(|own| !own.is_empty()));
    all.extend(quoted(&styles.after));
    all.join(";")
}

/// A declaration for an attribute. Quotation marks in it become the other ones where they can.
fn escaped(declaration: &str, quote: char) -> String {
    let (other, reference) = if quote == '"' { ("'", "&quot;") } else { ("\"", "&#39;") };
    let replacement = if declaration.contains(other) { reference } else { other };
    declaration.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(quote, replacement)
}

/// The line ends of a text.
fn line_ends(text: &str) -> String {
    text.chars().filter(|char| *char == '\n').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(problems: Vec<Problem>) -> Vec<String> {
        problems.into_iter().map(|problem| format!("{} {}", problem.offset, problem.key)).collect()
    }

    #[test]
    fn what_mail_clients_remove_is_left_out_with_a_warning() {
        for (template, source, warnings) in [
            ("a<SCRIPT src='x'>if (a<b) '<p>'</Script >b", "ab", &["1 <script>"][..]),
            ("<script>\n\n</script>\nb", "{#+\n\n+#}\nb", &["0 <script>"]),
            ("<noscript><img></noscript><title>a</title>", "", &["0 <noscript>", "26 <title>"]),
            ("<object><object></object><script>'</object>'</script></object>a", "a", &["0 <object>"]),
            ("<svg/>a<svg><style>b{</style></svg>c", "ac", &["0 <svg>", "7 <svg>"]),
            ("<meta charset=utf-8><link href='x'/><base>a", "a", &["0 <meta>", "20 <link>", "36 <base>"]),
            (
                "<!DOCTYPE html>\n<html xmlns=\"x\"><head></head><body>a</body></html>",
                "\na",
                &["0 <!DOCTYPE", "16 <html>", "32 <head>", "45 <body>"],
            ),
            ("<body style='color:red' bgcolor='red' onload='x'><p>a</p></body>", "<div style='color:red'><p>a</p></div>", &["0 <body>"]),
            (
                "<body dir='{{ direction }}' style='color:{{ c }}'>a",
                "<div dir='{{ direction }}' style='color:{{ c }}'>a</div>",
                &["0 <body>"],
            ),
            ("<body lang=de>a<body lang=en>b</body></body>", "<div lang=de>ab</div>", &["0 <body>", "15 <body>"]),
            ("<form action='x'><input name=a><b>c</b><button>d</button></form>", "<b>c</b>d", &["0 <form>", "17 <input>", "39 <button>"]),
            ("<select><option>a</select><textarea><b></textarea>", "", &["0 <select>", "26 <textarea>"]),
            ("<iframe src='x'></iframe><embed src='y'></script>", "", &["0 <iframe>", "25 <embed>", "40 </script>"]),
            ("a<!-- b\nc -->d<?xml version='1'?>", "a{#+\n+#}d", &["1 <!-- -->", "14 <?xml"]),
            ("<!-- x --!><b>", "<b>", &["0 <!-- -->"]),
            ("<p onclick='x' class=a>", "<p class=a>", &["2 onclick"]),
            ("<p ONCLICK=\"x\"title=\"a\"\nonload>b", "<p title=\"a\"\n>b", &["2 onclick", "23 onload"]),
            ("<a on onclick=\"x\"click=y>", "<a click=y>", &["2 on", "5 onclick"]),
            ("<p {% if a %}onclick='x'{% endif %}>", "<p {% if a %} {% endif %}>", &["13 onclick"]),
            ("<a href=' Java\nScript:x' title=a>b", "<a\n title=a>b", &["2 href"]),
            ("<p style='color:red; background:url(x.png);top:1px'>", "<p style='color:red;top:1px'>", &["2 background:url(x.png)"]),
        ] {
            let cleaned = clean(template);
            assert_eq!((cleaned.source.as_str(), shown(cleaned.errors)), (source, vec![]), "{template}");
            assert_eq!(shown(cleaned.warnings), warnings, "{template}");
        }
    }

    #[test]
    fn what_is_a_signatures_own_stays() {
        for template in [
            "<p style=\"color:red\" class='a' {% if b %}id=c{% endif %}>d</p>",
            "<!--[if mso]><table><tr><td><![endif]-->a<!--[if mso]></td></tr></table><![endif]-->",
            "<!--[if !mso]><!-->a<!--<![endif]-->",
            "<![if !mso]>a<![endif]>",
            "{# <script> #}{{ '<script>' }}",
            "a < b <> </ c",
            "<a href='https://a.example'>b</a><o:p></o:p>",
        ] {
            let cleaned = clean(template);
            assert_eq!((cleaned.source.as_str(), shown(cleaned.warnings), shown(cleaned.errors)), (template, vec![], vec![]));
        }
    }

    #[test]
    fn what_computes_something_or_has_no_end_is_an_error() {
        for (template, expected) in [
            ("<script>var a = '{{ a }}'</script>", "17 <script>"),
            ("<title>{% if a %}</title>", "7 <title>"),
            ("<svg><p title='{{ a }}'></p></svg>", "15 <svg>"),
            ("<meta content='{{ a }}'>", "15 <meta>"),
            ("<form action='{{ a }}'>", "14 <form>"),
            ("<html lang='{{ locale }}'>", "12 <html>"),
            ("<body bgcolor='{{ a }}' dir=ltr>", "15 bgcolor"),
            ("<p onclick='{{ a }}'>", "12 onclick"),
            ("<a href='javascript:{{ a }}'>", "20 href"),
            ("<form data-if='a'></form>", "5 data-if"),
            ("<script>a", "0 <script>"),
            ("<svg><svg></svg>", "0 <svg>"),
            ("a<!-- b", "1 <!--"),
            ("a<!b", "1 <!b"),
            ("<<script></script>b onclick='x'>", "1 <"),
            ("{<script></script>{ a }}", "1 {"),
            ("<style>\ntd{color:{{ a }}}</style>", "17 <style>"),
            ("<style>{# a #}</style>", "7 <style>"),
            ("{% if a %}<style>td{}</style>{% endif %}", "10 <style>"),
            ("<style data-if='a'>td{}</style>", "0 <style>"),
            ("<style>td{a b}</style>", "10 a b"),
            ("<style>td{a:b}</style><td {% if c %}style='d:e'{% endif %}>", "36 style"),
        ] {
            assert_eq!(shown(clean(template).errors), [expected], "{template}");
        }
        let kept = clean("<!-- {{ a }} -->");
        assert_eq!((kept.source.as_str(), shown(kept.warnings)), ("<!-- {{ a }} -->", vec!["0 <!--".to_owned()]));
    }

    fn inlined(css: &str, html: &str) -> String {
        let cleaned = clean(&format!("<style>{css}</style>{html}"));
        assert_eq!(cleaned.errors, [], "{css}");
        cleaned.source
    }

    #[test]
    fn a_style_sheet_becomes_inline_styles() {
        for (css, html, expected) in [
            ("td{color:red}", "<td>a</td>", "<td style=\"color:red\">a</td>"),
            ("td{color:red;margin:0}", "<td style='top:0;'>", "<td style='color:red;margin:0;top:0'>"),
            ("td{a:b}", "<td style=c:d><td style><td style=>", "<td style=\"a:b;c:d\"><td style=\"a:b\"><td style=\"a:b\">"),
            ("td{a:b}", "<td style='{% if c %}d:e{% endif %}'>", "<td style='a:b;{% if c %}d:e{% endif %}'>"),
            (".n{a:1} td{a:2} #i{a:3} *{a:4}", "<td id=i class='n'>", "<td style=\"a:4;a:2;a:1;a:3\" id=i>"),
            ("td{a:1} td{a:2}", "<td>", "<td style=\"a:1;a:2\">"),
            ("td,.n{a:1} td.m{a:2}", "<td class='n m k'>", "<td style=\"a:1;a:2\" class='k'>"),
            ("td{a:1!important;b:2}", "<td style=\"a:3\">", "<td style=\"b:2;a:3;a:1\">"),
            (
                "tr > td{a:1} table td{b:2}",
                "<table><tr>{% if x %}<td>{% endif %}",
                "<table><tr>{% if x %}<td style=\"a:1;b:2\">{% endif %}",
            ),
            ("p p{a:1}", "<p><br></p><p></p>", "<p><br></p><p></p>"),
            (".n{a:1}", "<p class='n {{ x }}'><p {% if x %}class='n'{% endif %}>", "<p class='n {{ x }}'><p {% if x %} {% endif %}>"),
            ("td{a:'b c'}", "<td><td style='d'>", "<td style=\"a:'b c'\"><td style='a:\"b c\";d'>"),
            ("td{a:\"b\" 'c' & <}", "<td>", "<td style=\"a:&quot;b&quot; 'c' &amp; &lt;\">"),
            ("body{a:1} body p{b:2}", "<body><p></p></body>", "<div style=\"a:1\"><p style=\"b:2\"></p></div>"),
            ("img{border:0}", "<img src=a/><img src='b'/>", "<img style=\"border:0\" src=a/><img style=\"border:0\" src='b'/>"),
            ("<!-- td{a:b} -->", "<td\nclass=x>", "<td style=\"a:b\"\nclass=x>"),
        ] {
            assert_eq!(inlined(css, html), expected, "{css} {html}");
        }
        assert_eq!(
            clean("<td>\n<style>\ntd{a:b}</style>").source,
            "<td style=\"a:b\">\n{#+\n+#}",
            "rules count for what stands before them"
        );
    }

    #[test]
    fn what_cannot_be_inlined_is_left_out_with_a_warning() {
        for (template, expected) in [
            ("<style>@media print{#a{b:c}}\na:hover, td{x:y}</style><td>", vec!["7 @media print", "29 a:hover"]),
            ("<style>td{x:url(y)}</style><td>", vec!["10 x:url(y)"]),
            ("<style>.a, td, p{x:y}</style><td>", vec!["7 .a, p"]),
            ("<style media=print>td{x:y}</style><td>", vec!["0 <style>"]),
            ("<style type='text/less'>td{x:y}</style><td>", vec!["0 <style>"]),
            ("<td style='background:url(x);color:{{ c }}'>", vec!["3 style"]),
        ] {
            let cleaned = clean(template);
            assert_eq!(
                (shown(cleaned.warnings), cleaned.errors),
                (expected.into_iter().map(str::to_owned).collect(), vec![]),
                "{template}"
            );
        }
    }
}
