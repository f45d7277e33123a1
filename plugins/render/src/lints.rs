//! What an author can do better: images without alternative, links without text, values marked `safe`. None of it is refused.

use crate::markup::Problem;
use crate::tag::{Attribute, Piece, Pieces};

/// A link whose end tag has not come yet.
struct Link<'t> {
    offset: usize,
    /// Whether there is anything in it to read.
    read: bool,
    /// Whether something in it is computed.
    computed: bool,
    /// The attribute without which it leads nowhere, when nothing in the template asks whether it is there.
    needs: Option<&'t str>,
}

/// Findings in an HTML template.
/// `always` says which names have a value for everybody.
pub(crate) fn find(template: &str, always: &dyn Fn(&str) -> bool) -> Vec<Problem> {
    let mut findings = Vec::new();
    let mut link: Option<Link<'_>> = None;
    for piece in Pieces::of_template(template) {
        match piece {
            Piece::Start { name, span, attributes, .. } if name == "img" => {
                image(&mut findings, template, span.start, &attributes);
                let readable = value(template, &attributes, "alt").is_some_and(|alt| !alt.is_empty());
                link.iter_mut().for_each(|link| link.read |= readable);
            }
            Piece::Start { name, span, attributes, .. } if name == "a" => {
                let named =
                    ["aria-label", "title"].iter().any(|name| value(template, &attributes, name).is_some_and(|text| !text.is_empty()));
                let href = value(template, &attributes, "href");
                let needs = href.and_then(|href| needed(template, href)).filter(|name| !always(name));
                link = Some(Link { offset: span.start, read: named || href.is_none(), computed: false, needs });
            }
            Piece::End { name, .. } if name == "a" => findings.extend(link.take().and_then(Link::problem)),
            Piece::Code { span } => {
                unsafe_mark(&mut findings, template, span.clone());
                let prints = template[span].starts_with("{{");
                link.iter_mut().for_each(|link| (link.read, link.computed) = (link.read || prints, true));
            }
            Piece::Other { span } if !template[span.clone()].starts_with("<!--") => {
                let readable = !template[span].trim().is_empty();
                link.iter_mut().for_each(|link| link.read |= readable);
            }
            _ => (),
        }
    }
    findings
}

impl Link<'_> {
    fn problem(self) -> Option<Problem> {
        let Self { offset, read, computed, needs } = self;
        if !read {
            let message = "there is nothing to read in this link: write text in it, or `alt=\"...\"` on its image";
            return Some(Problem { offset, key: "<a>".into(), message: message.into() });
        }
        let needs = needs.filter(|_| !computed)?;
        let message = format!(
            "for people without `{needs}` its text stays and leads nowhere; add `data-if=\"{needs}\"` to it or to what is around it"
        );
        Some(Problem { offset, key: "href".into(), message })
    }
}

/// The attribute that is the whole address but for its scheme, unless a condition of the template names it.
fn needed<'t>(template: &str, href: &'t str) -> Option<&'t str> {
    let (before, code) = href.split_once("{{")?;
    let (code, behind) = code.split_once("}}")?;
    let name = code.trim();
    let end = name.find(|char: char| !char.is_alphanumeric() && !matches!(char, '_' | '.')).unwrap_or(name.len());
    let (name, rest) = name.split_at(end);
    let alone = behind.is_empty() && (before.is_empty() || before.ends_with([':', '/']));
    let may_lack = !rest.trim_start().starts_with('(') && !rest.contains("default") && !["email", "now", "locale"].contains(&name);
    let asked = template.split("data-if=").skip(1).chain(template.split("{%").skip(1)).any(|part| {
        let part = part.split(['>', '}']).next().unwrap_or_default();
        part.split(|char: char| !char.is_alphanumeric() && !matches!(char, '_' | '.')).any(|word| word == name)
    });
    (alone && may_lack && !name.is_empty() && !asked).then_some(name)
}

fn image(findings: &mut Vec<Problem>, template: &str, offset: usize, attributes: &[Attribute]) {
    let mut report = |key: &str, message: String| findings.push(Problem { offset, key: key.into(), message });
    if value(template, attributes, "alt").is_none() {
        let message = "this image has no words for those who do not see it; write `alt=\"...\"`, or `alt=\"\"` when it is decoration";
        report("alt", message.into());
    }
    for (key, example) in [("width", "width=\"96\""), ("height", "height=\"32\"")] {
        if value(template, attributes, key).is_none() {
            report(key, format!("this image has no {key}, so Outlook shows it in its own size; for example `{example}`"));
        }
    }
    if value(template, attributes, "src").is_some_and(|source| source.to_ascii_lowercase().starts_with("http:")) {
        report(
            "src",
            "this image is fetched without encryption, which mail clients refuse; write `https:`, or `{{ image('...') }}`".into(),
        );
    }
}

fn value<'t>(template: &'t str, attributes: &[Attribute], name: &str) -> Option<&'t str> {
    attributes.iter().find(|attribute| attribute.name == name).map(|attribute| template[attribute.value.clone()].trim())
}

/// `safe` behind anything but quotes does nothing, and its author thinks otherwise.
fn unsafe_mark(findings: &mut Vec<Problem>, template: &str, span: std::ops::Range<usize>) {
    let code = &template[span.clone()];
    for (at, _) in code.match_indices('|') {
        let name = code[at + 1..].trim_start();
        let is_safe = name.strip_prefix("safe").is_some_and(|rest| !rest.starts_with(|char: char| char.is_alphanumeric() || char == '_'));
        if is_safe && !code[..at].trim_end().ends_with(['"', '\'', ')']) {
            let message = "marks nothing here: only text in quotes can be HTML, such as `\" &middot; \" | safe`; values are always text";
            findings.push(Problem { offset: span.start + at, key: "safe".into(), message: message.into() });
        }
    }
}

/// The texts in quotes inside of a template's code.
pub(crate) fn literals(template: &str) -> Vec<String> {
    let mut literals = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['"', '\'']) {
        let quote = &rest[at..=at];
        // A quotation mark may stand anywhere in HTML, so a text may begin at each of them.
        if let Some(end) = rest[at + 1..].find(quote) {
            literals.push(rest[at + 1..at + 1 + end].to_owned());
        }
        rest = &rest[at + 1..];
    }
    literals
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(template: &str) -> Vec<String> {
        find(template, &|name| name == "website").into_iter().map(|problem| format!("{} {}", problem.offset, problem.key)).collect()
    }

    #[test]
    fn what_could_be_better_is_found_where_it_stands() {
        for (template, expected) in [
            ("<img src='x' width='1' height='1'>", &["0 alt"][..]),
            ("<img src='x' alt=''>", &["0 width", "0 height"]),
            ("<img src='HTTP://x/y.png' alt='' width='1' height='1'>", &["0 src"]),
            ("<a href='x'> <img alt='' width='1' height='1'></a>", &["0 <a>"]),
            ("<a href='tel:{{ mobilePhone | tel }}'>call</a>", &["0 href"]),
            ("<a href='{{ site }}'>site</a>", &["0 href"]),
            ("<p><a href='x'></a>", &["3 <a>"]),
            ("{{ a | safe }}{{ b|safe|upper }}", &["5 safe", "18 safe"]),
        ] {
            assert_eq!(keys(template), expected, "{template}");
        }
        for fine in [
            "<a href='x'>{{ name }}</a>",
            "<a href='x'><img alt='x' width='1' height='1'></a>",
            "<a href='mailto:{{ email }}'>write</a>",
            "<a href='{{ site }}'>{{ site }}</a>",
            "<a href='https://{{ website }}'>site</a>",
            "<p data-if='site or blog'><a href='{{ site }}'>site</a></p>",
            "{% if site %}<a href='{{ site }}'>site</a>{% endif %}",
            "<a href='{{ site | default(\"https://x.example\") }}'>site</a>",
            "<a href='{{ campaign(\"https://x.example\") }}'>site</a>",
            "<a href='x' title='y'></a>",
            "<a name='x'></a>",
            "{{ joined(' &middot; ' | safe, a | safely) }}",
            "{{ joined('x', a) | safe }}",
        ] {
            assert!(keys(fine).is_empty(), "{fine}");
        }
    }
}
