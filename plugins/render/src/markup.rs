//! What HTML templates may print where, `data-if`, and where links may lead. What templates may not contain at all has been taken out
//! before, in `clean`.

use std::ops::Range;

use crate::css;
use crate::inline::VOID;
use crate::tag::{self, Attribute, Piece, Pieces};

/// Attributes that hold an address.
const ADDRESSES: [&str; 4] = ["background", "cite", "href", "src"];

/// Schemes that an address may have; `cid` is an image that comes along.
const SCHEMES: [&str; 6] = ["cid", "http", "https", "mailto", "sms", "tel"];

/// What stands in for an address with another scheme.
const NOWHERE: &str = "#";

/// What is wrong with a tag that would take along what comes behind it.
const UNFINISHED: &str = "is a tag that does not end before the next one begins: add `>`";

/// The end of a condition. With its `+` it keeps the line end behind it, which may be the only space between two words.
const END: &str = "{% endif +%}";

/// Something in a template that cannot be accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where in the template.
    pub(crate) offset: usize,
    /// The element or attribute.
    pub(crate) key: String,
    /// What is wrong, and what would be right.
    pub(crate) message: String,
}

/// A template as the engine gets it.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// With `data-if` turned into conditions; the lines are the author's.
    pub(crate) source: String,
    pub(crate) problems: Vec<Problem>,
    /// Whether an address or a style is computed from anything but the name of an image.
    pub(crate) computes_values: bool,
}

/// An element with `data-if` whose end tag has not come yet.
struct Open {
    name: String,
    /// Elements of the same name inside it.
    depth: usize,
    offset: usize,
}

/// Checks an HTML template and prepares it for the engine.
pub(crate) fn prepare(template: &str) -> Prepared {
    let mut prepared = Prepared { source: String::with_capacity(template.len() + 256), ..Prepared::default() };
    let mut open: Vec<Open> = Vec::new();
    prepared.check_statements(template);
    for piece in Pieces::of_template(template) {
        match piece {
            Piece::Start { name, span, attributes, closed } => {
                prepared.check(template, &name, &span, &attributes);
                let condition = attributes.iter().find(|attribute| attribute.name == "data-if");
                let childless = closed || VOID.contains(&name.as_str());
                if let Some(condition) = condition {
                    prepared.start_condition(template, span, condition);
                    if childless {
                        prepared.source.push_str(END);
                    } else {
                        open.push(Open { name, depth: 0, offset: condition.span.start });
                    }
                    continue;
                }
                if let Some(inner) = open.last_mut().filter(|inner| inner.name == name && !childless) {
                    inner.depth += 1;
                }
                prepared.source.push_str(&template[span]);
            }
            Piece::End { name, span } => {
                if name.contains('<') || !template[span.clone()].ends_with('>') {
                    prepared.problem(span.start, &format!("</{name}>"), UNFINISHED);
                }
                prepared.source.push_str(&template[span]);
                match open.last_mut().filter(|inner| inner.name == name) {
                    Some(inner) if inner.depth == 0 => {
                        prepared.source.push_str(END);
                        open.pop();
                    }
                    Some(inner) => inner.depth -= 1,
                    None => (),
                }
            }
            Piece::Code { span } => {
                prepared.check_code(template, span.clone());
                prepared.source.push_str(&template[span]);
            }
            Piece::Other { span } => prepared.source.push_str(&template[span]),
        }
    }
    for Open { name, offset, .. } in open {
        prepared.problem(offset, "data-if", format!("the element has no end tag of its own: add `</{name}>`"));
    }
    prepared
}

impl Prepared {
    fn problem(&mut self, offset: usize, key: &str, message: impl Into<String>) {
        self.problems.push(Problem { offset, key: key.to_owned(), message: message.into() });
    }

    /// Writes the condition and the start tag without `data-if`.
    fn start_condition(&mut self, template: &str, span: Range<usize>, attribute: &Attribute) {
        let condition = template[attribute.value.clone()].trim();
        if condition.is_empty() || condition.contains(['{', '}']) {
            let example = r#"`data-if="mobilePhone"`"#;
            self.problem(
                attribute.span.start,
                "data-if",
                format!("needs an attribute's name or a condition, without braces; for example {example}"),
            );
            return;
        }
        self.source.push_str("{% if ");
        self.source.push_str(condition);
        self.source.push_str(" %}");
        self.source.push_str(&template[span.start..attribute.span.start]);
        self.source.push_str(&template[attribute.span.end..span.end]);
    }

    /// Code outside of tags: it may not be a part of one, whatever it prints or hides.
    fn check_code(&mut self, template: &str, span: Range<usize>) {
        let before = &template[..span.start];
        if before.ends_with(['<', '/', '!']) && opens_tag(before) {
            self.problem(
                span.start,
                &template[span],
                "stands where the name of an element would, which a value could choose; write the name",
            );
        }
    }

    /// Statements, wherever they stand: they may neither switch off that values are escaped nor that code is looked at.
    fn check_statements(&mut self, template: &str) {
        for code in tag::code(template) {
            let statement = tag::statement(&template[code.clone()]).unwrap_or_default();
            if statement.starts_with("autoescape") {
                let message = "is not allowed: values are always escaped; HTML of your own is `\"...\" | safe`";
                self.problem(code.start, "autoescape", message);
            } else if statement.starts_with("raw") {
                self.problem(code.start, "raw", "is not allowed: what stands in it would not be looked at; braces are `{{ '{{' }}`");
            }
        }
    }

    fn check(&mut self, template: &str, element: &str, span: &Range<usize>, attributes: &[Attribute]) {
        if element.contains('{') {
            self.problem(span.start, &format!("<{element}>"), "prints the name of an element, which a value could choose; write the name");
        } else if element.contains('<') || attributes.iter().any(|one| one.name.contains('<')) || !is_whole(template, span, attributes) {
            self.problem(span.start, &format!("<{element}>"), UNFINISHED);
        }
        for attribute in attributes {
            self.check_attribute(template, attribute);
        }
    }

    fn check_attribute(&mut self, template: &str, attribute: &Attribute) {
        let Attribute { name, span, value, quoted } = attribute;
        let value = template[value.clone()].trim();
        let computed = value.contains("{{") || value.contains("{%");
        if !name.is_empty() && name.contains('{') {
            self.problem(span.start, name, "prints the name of an attribute, which a value could choose; write the name");
        }
        if name.is_empty() {
            self.problem(span.start, value, "prints between attributes, where a value could become one; put it in quotes behind a name");
        } else if computed && !quoted {
            self.problem(
                span.start,
                name,
                format!("has a computed value without quotes, which a space in it would end; write `{name}=\"{value}\"`"),
            );
        }
        self.computes_values |= name == "style" && computed;
        if !ADDRESSES.contains(&name.as_str()) {
            return;
        }
        if value.to_ascii_lowercase().starts_with("cid:") {
            let image = &value["cid:".len()..];
            self.problem(span.start, name, format!("names an attached image by hand; write `{name}=\"{{{{ image('{image}') }}}}\"`"));
        } else if computed {
            self.computes_values |= !is_named_image(value);
        } else if !is_safe(value) {
            self.problem(span.start, name, format!("leads to {value:?}; a signature may lead to {}", SCHEMES.join(", ")));
        }
    }
}

/// Whether an address has one of the schemes, or none. Where the scheme would be, a character reference can only hide one.
fn is_safe(address: &str) -> bool {
    let address = address.trim_start();
    let scheme = address.split([':', '/', '?']).next().unwrap_or_default();
    if scheme.contains('&') && !scheme.starts_with('#') {
        return false;
    }
    match address.find([':', '/', '?', '#']) {
        Some(at) if address[at..].starts_with(':') => SCHEMES.contains(&address[..at].to_ascii_lowercase().as_str()),
        _ => true,
    }
}

/// Whether nothing is left of an address but its scheme: the attribute that it was made of is not there.
fn is_bare(address: &str) -> bool {
    let address = address.trim();
    let scheme = address.strip_suffix("//").unwrap_or(address).strip_suffix(':').unwrap_or("x");
    address.is_empty() || SCHEMES.contains(&scheme.to_ascii_lowercase().as_str())
}

/// Whether an address is `{{ image('logo.png') }}`, of which nothing has to be looked at later.
fn is_named_image(value: &str) -> bool {
    let name = value.strip_prefix("{{").and_then(|code| code.strip_suffix("}}")?.trim().strip_prefix("image(")?.strip_suffix(')'));
    let name = name.map(str::trim).unwrap_or_default();
    let text = |quote: char| name.strip_prefix(quote).and_then(|name| name.strip_suffix(quote)).is_some_and(|name| !name.contains(quote));
    text('"') || text('\'')
}

/// Whether a start tag has its `>`, and not only one in quotes that nobody closed.
fn is_whole(template: &str, span: &Range<usize>, attributes: &[Attribute]) -> bool {
    template[span.clone()].ends_with('>') && attributes.last().is_none_or(|last| last.span.end < span.end)
}

/// Whether a text ends in the beginning of a tag: `<`, `</` or `<!`.
pub(crate) fn opens_tag(text: &str) -> bool {
    text.trim_end_matches(['/', '!']).ends_with('<')
}

/// Replaces every address that a signature may not lead to and every style that would fetch something, leaves out images that have no
/// address, and the `href` of links that lead nowhere. The engine has escaped values by then, so an address cannot hide its scheme behind a character reference that was not in
/// the template.
pub(crate) fn without_harm(html: String) -> String {
    let mut replaced: Vec<(Range<usize>, &str)> = Vec::new();
    for piece in Pieces::of_html(&html) {
        let Piece::Start { name, span, attributes, .. } = piece else { continue };
        let is_empty = |attribute: &Attribute| attribute.name == "src" && html[attribute.value.clone()].trim().is_empty();
        if name == "img" && attributes.iter().any(is_empty) {
            replaced.push((span, ""));
            continue;
        }
        for Attribute { name: attribute, value, span, .. } in attributes {
            if name == "a" && attribute == "href" && is_bare(&html[value.clone()]) {
                replaced.push((span, ""));
            } else if ADDRESSES.contains(&attribute.as_str()) && !is_safe(&html[value.clone()]) {
                replaced.push((value, NOWHERE));
            } else if attribute == "style" && css::harm(&html[value.clone()]).is_some() {
                replaced.push((value, ""));
            }
        }
    }
    if replaced.is_empty() {
        return html;
    }
    let mut safe = String::with_capacity(html.len());
    let mut copied = 0;
    for (span, replacement) in replaced {
        safe.push_str(&html[copied..span.start]);
        safe.push_str(replacement);
        copied = span.end;
    }
    safe.push_str(&html[copied..]);
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(template: &str) -> Vec<String> {
        prepare(template).problems.into_iter().map(|problem| format!("{} {}", problem.offset, problem.key)).collect()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_none() {
        for (html, expected) in [
            ("<p><a href=\"\" style=\"color:red\">site</a>.</p>", "<p><a style=\"color:red\">site</a>.</p>"),
            ("<a href=\" tel: \"><b>call</b></a> <a href=\"tel:1\">1</a>", "<a><b>call</b></a> <a href=\"tel:1\">1</a>"),
            ("<a href=\"HTTPS://\">x</a>", "<a>x</a>"),
            ("<a href=\"https://x.example\">x</a>", "<a href=\"https://x.example\">x</a>"),
            ("<a name=\"x\">x</a>", "<a name=\"x\">x</a>"),
        ] {
            assert_eq!(without_harm(html.to_owned()), expected);
        }
    }

    #[test]
    fn data_if_becomes_a_condition_around_its_element() {
        for (template, expected) in [
            ("<tr data-if=\"phone\"><td>x</td></tr>!", "{% if phone %}<tr><td>x</td></tr>{% endif +%}!"),
            ("<div data-if='a'><div>b</div></div>", "{% if a %}<div><div>b</div></div>{% endif +%}"),
            (
                "<div data-if=a><div data-if=b></div><p></p></div>",
                "{% if a %}<div>{% if b %}<div></div>{% endif +%}<p></p></div>{% endif +%}",
            ),
            ("<img data-if=\"a == 'x'\" alt=\"\">", "{% if a == 'x' %}<img alt=\"\">{% endif +%}"),
            ("<br data-if='a'/>", "{% if a %}<br/>{% endif +%}"),
            ("<p>a</p>", "<p>a</p>"),
        ] {
            let prepared = prepare(template);
            assert_eq!(prepared.source, expected);
            assert!(prepared.problems.is_empty(), "{template}: {:?}", prepared.problems);
        }
    }

    #[test]
    fn what_a_signature_may_not_have_is_refused_where_it_stands() {
        for (template, expected) in [
            ("<td width={{ w }}>", "3 width"),
            ("<td {{ w }}>", "4 {{ w }}"),
            ("<a href='javascript:x'>", "2 href"),
            ("<a href=' JaVaScript:x'>", "2 href"),
            ("<img src='data:image/png;base64,'>", "4 src"),
            ("<img src='cid:logo.png'>", "4 src"),
            ("<tr data-if='a'>", "3 data-if"),
            ("<tr data-if='{{ a }}'></tr>", "3 data-if"),
            ("<tr data-if></tr>", "3 data-if"),
            ("<{{ a }}>", "1 {{ a }}"),
            ("</{{ a }}>", "2 {{ a }}"),
            ("<t{{ a }}>", "0 <t{{ a }}>"),
            ("<b<td>", "0 <b<td>"),
            ("<b c/<td>", "0 <b>"),
            ("<b c='d>", "0 <b>"),
            ("</b<td>", "0 </b<td>"),
            ("</b", "0 </b>"),
            ("<p on{{ a }}='x'>", "2 on{{ a }}"),
            ("<{# a #}b>", "1 {# a #}"),
            ("</{% if a %}b{% endif %}>", "2 {% if a %}"),
            ("<a href='&#106;avascript:x'>", "2 href"),
            ("<a href='javascript&colon;x'>", "2 href"),
            ("{%- autoescape false %}", "0 autoescape"),
            ("<p title='{% autoescape false %}'>", "10 autoescape"),
            ("<!-- {% autoescape 'none' %} -->", "5 autoescape"),
            ("{% raw %}", "0 raw"),
        ] {
            assert_eq!(problems(template), [expected], "{template}");
        }
        for fine in [
            "<a href='https://x/'>",
            "<a href='/a:b'>",
            "<a href='#a&amp;b'>",
            "<a href='https://x/?a=b&amp;c:d'>",
            "{# <style> #}",
            "1 < {{ a }} and <b>/{{ c }}</b>",
            "<!--[if mso]><style></style><![endif]-->",
            "<p style='color:red' {% if a %}title='{{ b }}'{% endif %}>",
        ] {
            assert!(problems(fine).is_empty(), "{fine}");
        }
    }

    #[test]
    fn only_computed_targets_are_looked_at_later() {
        for (template, expected) in [
            ("<a href='{{ x }}'>", true),
            ("<a href='mailto:{{ x }}'>", true),
            ("<img src=\"{{ image('a.png') }}\">", false),
            ("<img src=\"{% if a %}{{ b }}{% endif %}\">", true),
            ("<img src='{{ image(photo) }}'>", true),
            ("<img src=\"{{ image('a') ~ image('b') }}\">", true),
            ("<td style='color:{{ colour }}'>", true),
            ("<a href='https://x' title='{{ a }}'>", false),
        ] {
            assert_eq!(prepare(template).computes_values, expected, "{template}");
        }
    }

    #[test]
    fn unsafe_targets_lead_nowhere() {
        let html = r##"<a href="javascript:x">a</a><a href='https://x'>javascript:y</a><img src="data:,">"##;
        assert_eq!(without_harm(html.to_owned()), r##"<a href="#">a</a><a href='https://x'>javascript:y</a><img src="#">"##);
    }

    #[test]
    fn styles_fetch_nothing_and_images_without_address_are_left_out() {
        for (html, expected) in [
            ("<td style='color:red;background:URL(https://x)'>a", "<td style=''>a"),
            ("<td style='background:u\\72l(x)'>", "<td style=''>"),
            ("<td style='color:red; POSITION : fixed'>", "<td style=''>"),
            ("<td style='color:red'>", "<td style='color:red'>"),
            ("a<img src='' alt='x'>b", "ab"),
            ("<img src='cid:x'>", "<img src='cid:x'>"),
        ] {
            assert_eq!(without_harm(html.to_owned()), expected);
        }
    }
}
