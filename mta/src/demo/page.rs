//! The demo's result as one page: each message before and after, with the decision and what led to it.
//!
//! The page loads nothing and runs nothing: its content security policy forbids both, and mail is shown in sandboxed frames. Everything
//! that comes from a message or from a reply is escaped here.

use std::fmt::Write as _;

use super::body::{Addition, Body};
use super::mail::Expected;
use super::outcome::{Arrival, Outcome};
use super::table;
use crate::event::{MessageEvent, Micros};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// Shown inside every frame before the message's own style, so that a message without any is still readable.
const FRAME_STYLE: &str = "<style>:root{color-scheme:light}body{margin:16px;font:15px/1.45 Calibri,Carlito,'Segoe UI',system-ui,sans-serif;\
    color:#1c2526;background:#fff}\
    blockquote[type=cite]{margin-left:0;padding-left:12px;border-left:2px solid #b9c7c3}.signet-demo-added{outline:1.5px dashed #0f7b5f;outline-offset:5px;border-radius:2px}</style>";
/// The frame cannot tell its height without a script, so it is estimated: characters of text in one line of the frame, and octets of an
/// image's `data:` URI have no part in it.
const FRAME_LINE: usize = 62;
/// Pixels of one line of text.
const FRAME_LEADING: usize = 21;
/// Pixels of the lowest and highest frame; the rest scrolls.
const FRAME_HEIGHT: std::ops::RangeInclusive<usize> = 220..=620;
/// Colours of the stages in the bar of times; they read on both backgrounds.
const COLOURS: [&str; 8] = ["#8a9a97", "#3f7fbf", "#b08ad0", "#e0a030", "#d9734e", "#4fa37f", "#0f7b5f", "#5f6f8f"];

/// The whole page.
pub(super) fn render(outcomes: &[Outcome], version: &str, when: &str) -> String {
    let wrong = outcomes.iter().filter(|outcome| !outcome.faults().is_empty()).count();
    let headline = match wrong {
        0 => format!("{} messages, each ended as it should", outcomes.len()),
        _ => format!("{wrong} of {} messages did not end as they should", outcomes.len()),
    };
    let rows: String = outcomes.iter().enumerate().map(|(index, outcome)| summary_row(index + 1, outcome)).collect();
    let messages: String = outcomes.iter().enumerate().map(|(index, outcome)| message(index + 1, outcome)).collect();
    let meta = format!("signet {version} · {when} · milliseconds are from the last octet of the message to the reply");
    // The parts with text from messages go in last: a placeholder's name in a message stays text.
    let (head, rest) = PAGE.split_once("@rows@").unwrap_or((PAGE, ""));
    let (middle, tail) = rest.split_once("@messages@").unwrap_or((rest, ""));
    let head = head.replace("@style@", STYLE).replace("@headline@", &escape(&headline)).replace("@meta@", &escape(&meta));
    [head.as_str(), &rows, middle, &messages, tail].concat()
}

/// Text for element content and quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn result(word: &str) -> String {
    let class = match word {
        "pass" => "pass",
        "fail" | "permerror" | "temperror" => "fail",
        _ => "other",
    };
    let shown = if word.is_empty() { "–" } else { word };
    format!("<span class=\"{class}\">{}</span>", escape(shown))
}

fn summary_row(number: usize, outcome: &Outcome) -> String {
    let checks = outcome.event.as_ref().map(|event| event.authentication.clone()).unwrap_or_default();
    format!(
        "<tr><td>{number}</td><td><a href=\"#message-{number}\">{}</a></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td class=\"number\">{}</td><td>{}</td><td class=\"number\">{:.1}</td></tr>\n",
        escape(outcome.mail.title),
        escape(&table::verdict(outcome)),
        result(checks.spf),
        result(checks.dkim),
        result(checks.dmarc),
        lines(&table::signatures(outcome)),
        lines(&table::placements(outcome)),
        outcome.arrived.len(),
        escape(&table::seals(outcome)),
        table::milliseconds(outcome),
    )
}

fn lines(text: &str) -> String {
    escape(text).replace('\n', "<br>")
}

fn message(number: usize, outcome: &Outcome) -> String {
    let mut html = format!("<section class=\"mail\" id=\"message-{number}\">\n");
    html.push_str(&heading(number, outcome));
    html.push_str(&facts(outcome));
    html.push_str(&decision(outcome));
    let faults: String = outcome.faults().iter().map(|fault| format!("<li>{}</li>", escape(fault))).collect();
    if !faults.is_empty() {
        let _infallible = writeln!(html, "<ul class=\"wrongs\">{faults}</ul>");
    }
    html.push_str(&bodies(outcome));
    html.push_str(&plain_texts(outcome));
    html.push_str(&headers(outcome));
    if let Some(event) = &outcome.event {
        html.push_str(&rules(event));
        html.push_str(&proofs(outcome, event));
        html.push_str(&times(event));
    }
    html.push_str("</section>\n");
    html
}

fn heading(number: usize, outcome: &Outcome) -> String {
    let (class, word) = match (outcome.faults().is_empty(), outcome.mail.expected) {
        (false, _) => ("wrong", "not as expected"),
        (true, Expected::Signed { .. }) => ("signed", "signed"),
        (true, Expected::Unchanged { .. }) => ("unchanged", "passed unchanged"),
        (true, Expected::Refused { .. }) => ("refused", "refused"),
    };
    format!(
        "<header><span class=\"count\">{number}</span><div><h2>{}</h2><p class=\"about\">{}</p></div><span class=\"tag {class}\">{word}</span></header>\n",
        escape(outcome.mail.title),
        escape(outcome.mail.about),
    )
}

fn facts(outcome: &Outcome) -> String {
    let checks = outcome.event.as_ref().map(|event| event.authentication.clone()).unwrap_or_default();
    let item = |name: &str, value: String| format!("<li><b>{name}</b>{value}</li>");
    let items = [
        item("From", escape(outcome.mail.sender)),
        item("To", escape(&outcome.mail.recipients.join(", "))),
        item("Tenant", escape(&table::verdict(outcome))),
        item("SPF", result(checks.spf)),
        item("DKIM", result(checks.dkim)),
        item("DMARC", result(checks.dmarc)),
        item("ARC", result(checks.arc)),
        item("Copies", outcome.arrived.len().to_string()),
        item("Time", format!("{:.1} ms", table::milliseconds(outcome))),
    ];
    format!("<ul class=\"facts\">{}</ul>\n", items.concat())
}

/// The decision in full.
fn decision(outcome: &Outcome) -> String {
    let mut items: Vec<(String, String)> = Vec::new();
    let mut item = |name: &str, value: &str| {
        if !value.is_empty() {
            items.push((name.to_owned(), value.to_owned()));
        }
    };
    if let Some(event) = &outcome.event {
        for (index, copy) in event.copies.iter().enumerate() {
            if event.copies.len() > 1 {
                item(&format!("Copy {}", index + 1), &format!("for {} of {} recipients", copy.recipients, event.recipients));
            }
            item("Signature", if copy.signatures.is_empty() { "none" } else { "" });
            item("Signature", &copy.signatures.join(" + "));
            item("Why", &copy.reason);
            item("Placed", &copy.placements.join("\n"));
            item("Sealed", &copy.seals.join(", "));
        }
        item("Author", &event.alignment);
        item("Plugin fault", &event.fault);
    }
    item("Answer", outcome.answers.last_word());
    let lines: String = items.iter().map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", escape(name), lines(value))).collect();
    format!("<dl class=\"why\">{lines}</dl>\n")
}

/// The forms that a mail program shows first, side by side.
fn bodies(outcome: &Outcome) -> String {
    let before = Body::of(&outcome.sent);
    let after: Vec<Body> = outcome.arrived.iter().map(|copy| Body::of(&copy.received.content)).collect();
    let height = after.iter().chain([&before]).map(frame_height).max().unwrap_or(*FRAME_HEIGHT.start());
    let mut html = String::from("<div class=\"pair\">\n");
    let caption = format!("as handed over, {}", octets(outcome.sent.len()));
    html.push_str(&figure("Before", &caption, &before, None, height));
    for (index, (copy, body)) in outcome.arrived.iter().zip(&after).enumerate() {
        let name = if after.len() > 1 { format!("After, copy {}", index + 1) } else { "After".to_owned() };
        let caption = format!("to {}, {}", recipients(copy), octets(copy.received.size));
        html.push_str(&figure(&name, &caption, body, Some(&before), height));
    }
    if outcome.arrived.is_empty() {
        let _infallible = writeln!(
            html,
            "<figure><figcaption><b>After</b><span>nothing reached the return host</span></figcaption>\
             <div class=\"refusal\"><code>{}</code><p>The sending host reports this to the author. Nothing was passed on.</p></div></figure>",
            escape(outcome.answers.last_word())
        );
    }
    html.push_str("</div>\n");
    html
}

fn recipients(copy: &Arrival) -> String {
    let each = copy.received.recipients.iter().map(|to| to.split('>').next().unwrap_or_default().trim_start_matches('<'));
    each.collect::<Vec<_>>().join(", ")
}

fn octets(number: usize) -> String {
    bytesize::ByteSize(number as u64).display().si().to_string()
}

fn figure(name: &str, caption: &str, body: &Body, before: Option<&Body>, height: usize) -> String {
    let shown = match (&body.html, &body.text) {
        (Some(html), _) => {
            let marked = body.complete(&outlined(html, before.and_then(|before| before.html.as_deref())));
            let document = escape(&format!("{FRAME_STYLE}{marked}"));
            format!("<iframe sandbox=\"\" title=\"{}\" style=\"height:{height}px\" srcdoc=\"{document}\"></iframe>", escape(name))
        }
        (None, Some(text)) => text_block(text, before.and_then(|before| before.text.as_deref())),
        (None, None) => "<pre>no body that a mail program would show</pre>".to_owned(),
    };
    let files = if body.attachments.is_empty() {
        String::new()
    } else {
        format!("<p class=\"files\">Attached: {}</p>", escape(&body.attachments.join(", ")))
    };
    format!("<figure><figcaption><b>{}</b><span>{}</span></figcaption>{shown}{files}</figure>\n", escape(name), escape(caption))
}

/// Draws a line around what was added.
fn outlined(html: &str, before: Option<&str>) -> String {
    let addition = before.and_then(|before| Addition::find(before, html, Addition::at_tag));
    match addition {
        Some(Addition { start, end }) if html[start..end].starts_with('<') && html[..end].trim_end().ends_with('>') => {
            format!("{}<div class=\"signet-demo-added\">{}</div>{}", &html[..start], &html[start..end], &html[end..])
        }
        _ => html.to_owned(),
    }
}

fn text_block(text: &str, before: Option<&str>) -> String {
    let normal = text.replace("\r\n", "\n");
    let before = before.map(|before| before.replace("\r\n", "\n"));
    match before.and_then(|before| Addition::find(&before, &normal, Addition::at_line)) {
        Some(Addition { start, end }) => {
            let (added, rest) = (&normal[start..end], &normal[end..]);
            format!("<pre>{}<mark>{}</mark>{}</pre>", escape(&normal[..start]), escape(added), escape(rest))
        }
        None => format!("<pre>{}</pre>", escape(&normal)),
    }
}

fn frame_height(body: &Body) -> usize {
    let text = body.text.as_deref().unwrap_or_default();
    let lines: usize = text.lines().map(|line| 1 + line.chars().count() / FRAME_LINE).sum();
    let images = body.images.len() * 4;
    ((lines + images + 2) * FRAME_LEADING).clamp(*FRAME_HEIGHT.start(), *FRAME_HEIGHT.end())
}

/// The plain text form, where the other one was shown above.
fn plain_texts(outcome: &Outcome) -> String {
    let before = Body::of(&outcome.sent);
    let (Some(_), Some(text)) = (&before.html, &before.text) else { return String::new() };
    let block = |name: &str, caption: &str, block: String| {
        format!("<figure><figcaption><b>{}</b><span>{}</span></figcaption>{block}</figure>\n", escape(name), escape(caption))
    };
    let mut html = String::from("<details><summary>Plain text form</summary><div class=\"pair\">\n");
    html.push_str(&block("Before", "", text_block(text, None)));
    for copy in &outcome.arrived {
        if let Some(after) = Body::of(&copy.received.content).text {
            html.push_str(&block("After", &format!("to {}", recipients(copy)), text_block(&after, Some(text))));
        }
    }
    html.push_str("</div></details>\n");
    html
}

/// The fields of the header section, each on one line.
fn fields(content: &[u8]) -> Vec<String> {
    let end = content.windows(4).position(|octets| octets == b"\r\n\r\n").unwrap_or(content.len());
    let mut fields: Vec<String> = Vec::new();
    for line in String::from_utf8_lossy(&content[..end]).split("\r\n") {
        match fields.last_mut() {
            Some(field) if line.starts_with([' ', '\t']) => {
                field.push(' ');
                field.push_str(line.trim_start());
            }
            _ => fields.push(line.to_owned()),
        }
    }
    fields
}

fn headers(outcome: &Outcome) -> String {
    let before = fields(&outcome.sent);
    let mut html = String::new();
    for copy in &outcome.arrived {
        let after = fields(&copy.received.content);
        let added: Vec<&String> = after.iter().filter(|field| !before.contains(field)).collect();
        let gone: Vec<&String> = before.iter().filter(|field| !after.contains(field)).collect();
        let whom = if outcome.arrived.len() > 1 { format!(", to {}", recipients(copy)) } else { String::new() };
        let _infallible = write!(
            html,
            "<details><summary>What changed in the header<small>{} added, {} gone, {} as they were{}</small></summary><ul class=\"fields\">",
            added.len(),
            gone.len(),
            before.len() - gone.len(),
            escape(&whom),
        );
        added.iter().for_each(|field| html.push_str(&field_item(field, "")));
        gone.iter().for_each(|field| html.push_str(&field_item(field, " class=\"gone\"")));
        html.push_str("</ul></details>\n");
    }
    html
}

fn field_item(field: &str, class: &str) -> String {
    let (name, value) = field.split_once(':').unwrap_or((field, ""));
    format!("<li{class}><b>{}:</b>{}</li>", escape(name), escape(value))
}

/// Every rule with what decided it.
fn rules(event: &MessageEvent) -> String {
    let mut html = String::new();
    for (index, copy) in event.copies.iter().enumerate().filter(|(_, copy)| !copy.explanation.is_empty()) {
        let which = if event.copies.len() > 1 { format!("<small>copy {}</small>", index + 1) } else { String::new() };
        let items: String = copy.explanation.iter().map(|rule| format!("<li>{}</li>", escape(rule))).collect();
        let _infallible =
            writeln!(html, "<details><summary>Every rule and what decided it{which}</summary><ul class=\"rules\">{items}</ul></details>");
    }
    html
}

/// Whose mail it is, and what the receiver can prove.
fn proofs(outcome: &Outcome, event: &MessageEvent) -> String {
    let mut html = String::from("<details><summary>Whose mail it is, and what the receiver can prove</summary><table>");
    html.push_str("<tr><th>Tenant factor</th><th>Seen</th><th>Agrees</th></tr>");
    for factor in &event.factors {
        let agrees = if factor.agrees { "<span class=\"pass\">yes</span>" } else { "<span class=\"fail\">no</span>" };
        let _infallible = write!(html, "<tr><td>{}</td><td>{}</td><td>{agrees}</td></tr>", escape(factor.name), escape(&factor.value));
    }
    html.push_str("</table>");
    for copy in &outcome.arrived {
        let _infallible = write!(html, "<table><tr><th>At the return host, to {}</th><th>Result</th></tr>", escape(&recipients(copy)));
        for check in &copy.checks {
            let class = if check.passes { "pass" } else { "other" };
            let _infallible =
                write!(html, "<tr><td>{}</td><td><span class=\"{class}\">{}</span></td></tr>", escape(&check.name), escape(&check.result));
        }
        let _infallible =
            write!(html, "<tr><td>client certificate</td><td>{}</td></tr></table>", escape(&copy.received.certificate_names.join(", ")));
    }
    html.push_str("</details>\n");
    html
}

fn times(event: &MessageEvent) -> String {
    let Micros { attribute, verify, classify, select, render, insert, seal, handoff, total, .. } = event.micros;
    let stages = [
        ("attribute", attribute),
        ("verify", verify),
        ("classify", classify),
        ("select", select),
        ("render", render),
        ("insert", insert),
        ("seal", seal),
        ("handoff", handoff),
    ];
    let mut bar = String::new();
    let mut legend = String::new();
    for ((name, micros), colour) in stages.iter().zip(COLOURS).filter(|((_, micros), _)| *micros > 0) {
        let _infallible = write!(bar, "<span style=\"flex:{micros} 1 0;background:{colour}\"></span>");
        let _infallible = write!(legend, "<li><i style=\"background:{colour}\"></i>{name} {micros} µs</li>");
    }
    if bar.is_empty() {
        return bar;
    }
    format!(
        "<details><summary>Where the time went<small>{total} µs</small></summary><div class=\"bar\">{bar}</div>\
         <ul class=\"legend\">{legend}</ul></details>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_message_becomes_markup_of_the_page() {
        assert_eq!(escape("<a href=\"x\" id='y'>&"), "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;");
        let body = Body { html: Some("</iframe><script>\"".to_owned()), ..Body::default() };
        let figure = figure("<b>", "\"", &body, None, 200);
        assert!(!figure.contains("<script") && figure.matches("</iframe>").count() == 1, "{figure}");
    }

    #[test]
    fn what_was_added_is_outlined() {
        let html = outlined("<p>a</p><div>new</div><div>old</div>", Some("<p>a</p><div>old</div>"));
        assert_eq!(html, "<p>a</p><div class=\"signet-demo-added\"><div>new</div></div><div>old</div>");
        let text = text_block("a\r\nnew\r\n> old\r\n", Some("a\r\n> old\r\n"));
        assert_eq!(text, "<pre>a\n<mark>new\n</mark>&gt; old\n</pre>");
    }

    #[test]
    fn folded_fields_are_one() {
        assert_eq!(fields(b"A: b\r\n c\r\nD: e\r\n\r\nF: g\r\n"), ["A: b c", "D: e"]);
    }
}
