//! Whatever a directory holds: it stays text. Values are made of what breaks out of something, and of anything else.

use proptest::prelude::*;

use super::*;
use crate::tag::{Piece, Pieces};

/// Every place where a template may print a value.
const HTML: &str = "<table dir=\"{{ direction }}\"><tr data-if=\"a\"><td style=\"color:{{ a }}\" title='{{ a }}'>{{ a }}</td></tr>\
    <tr><td>{{ joined(' &middot; ' | safe, a, b, a | phone) }}{{ a | safe }}{{ a | upper }}{{ a | title('tr') }}{{ a | sentence('de') }}\
    {{ a | ltr }}{{ a | date('full', a) }}{{ a | urlencode }}{{ manager.a }}{{ manager }}{{ ('<i>' | safe) ~ a }}\
    {{ ('<i>' | safe) | replace('i', a) }}{{ [a, b] | join('<i>' | safe) }}</td></tr></table>\
    <a href=\"{{ a }}\">{{ a }}</a><a href='tel:{{ a | tel }}'>x</a><a href=\"{{ campaign(a, source=b) }}\">y</a>\
    <img src=\"{{ image(a) }}\" alt=\"{{ a }}\" width=\"1\" height=\"1\"><!-- {{ a }} -->{% set c %}{{ a }}{% endset %}{{ c }}{{ qr(a) }}";

const TEXT: &str = "first {{ a }}\n{{ joined(' | ', a, b, a | phone, a | tel) }}\n{{ a | ltr }}\n{{ a | date('long', a) }}\n\
    {{ manager.a }}{{ campaign(a, source=b) }}{{ qr(a) }}\nlast";

const TOML: &str = "links.domains = ['northwind.example']\n";

/// The same as another service would wrap it up. The code is left out, because what is behind it is not compared.
fn wrapped() -> String {
    let html = HTML.replace("{{ qr(a) }}", "");
    format!(
        "<!DOCTYPE html><html><head><title>x</title><meta charset=utf-8><link href=x><style>body {{ color: #333 }} table > tr > td \
         {{ font: 1px 'A \"B' !important; margin: 0 }} a {{ color: red }} a:hover {{ top: 0 }} .x {{ a: b }}</style></head>\
         <body style=\"color:{{{{ a }}}}\" onload=\"x()\"><form action=x><script>'<td {{'</script><p style=\"top:{{{{ a }}}};left:1px\" \
         onclick='x' class=\"x {{{{ a }}}}\">{{{{ a }}}}</p>{html}<input value=x><!-- x --></form></body></html>"
    )
}

/// What a reader of the HTML is told to do: elements, attributes by name, and where links and styles lead.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    tags: Vec<(String, Vec<String>)>,
}

/// QR codes and images come and go with the value; everything else has to be the author's.
fn shape(html: &str) -> Shape {
    let html = html.split("<table role=\"img\"").next().unwrap_or(html);
    let tags = Pieces::of_html(html).filter_map(|piece| match piece {
        Piece::Start { name, attributes, .. } if name != "img" => {
            for attribute in &attributes {
                let value = html[attribute.value.clone()].to_ascii_lowercase();
                assert!(!value.contains(['<', '>']), "{html}");
                assert!(attribute.name != "href" || !value.trim_start().starts_with("javascript:"), "{html}");
                assert!(attribute.name != "style" || !value.contains("url("), "{html}");
            }
            // A link that leads nowhere has no address.
            let bare = |attribute: &String| name == "a" && attribute == "href";
            let names = attributes.into_iter().map(|attribute| attribute.name).filter(|attribute| !bare(attribute)).collect();
            Some((name, names))
        }
        Piece::End { name, .. } => Some((format!("/{name}"), Vec::new())),
        _ => None,
    });
    Shape { tags: tags.collect() }
}

fn person(a: &str, b: &str) -> Person {
    let attributes = [("a", a), ("b", b), ("manager.a", a), ("manager.displayName", b)].map(|(name, value)| (name.into(), value.into()));
    let address = signet_plugin_sdk::Address { local: "ada".into(), domain: "northwind.example".into() };
    Person { address, attributes: attributes.to_vec(), groups: vec![a.to_owned()] }
}

fn value() -> impl Strategy<Value = String> {
    const PARTS: [&str; 30] = [
        "<script>",
        "</td>",
        "<img src=x onerror=y>",
        "\"",
        "'",
        "`",
        ">",
        "-->",
        "--!>",
        "&lt;",
        "&#60;",
        "\r\n",
        "\n",
        "\r",
        "\0",
        "\u{2028}",
        "\u{202e}",
        "\u{2066}",
        "\u{85}",
        "{{ email }}",
        "{% raw %}",
        "{#",
        "javascript:x",
        "JAVASCRIPT:",
        "data:text/html,",
        "url(https://x.example)",
        "\\75rl(x)",
        "https://northwind.example/",
        "+494055501410",
        "\r\nBcc: x@y.example\r\n\r\n.\r\n",
    ];
    let part =
        prop_oneof![4 => prop::sample::select(&PARTS[..]).prop_map(str::to_owned), 2 => "[a-z0-9 :;=/<>\"']{0,8}", 1 => any::<String>()];
    prop_oneof![
        20 => prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat()),
        1 => Just("<b onclick='x'>\"".repeat(150)),
    ]
}

/// What no signature may have in it.
const REMOVED: [&str; 16] = [
    "body", "button", "embed", "form", "html", "iframe", "input", "link", "meta", "noscript", "object", "script", "select", "style", "svg",
    "title",
];

/// Parts of templates, most of which go, whole and in pieces.
fn removable() -> impl Strategy<Value = String> {
    const WHOLE: [&str; 22] = [
        "<p class=\"n\" style='color:{{ a }}'>{{ a }}</p>",
        "<td onclick=\"x('>')\" class=n>b</td>",
        "<a href=' javascript:x' title='{{ a }}'>{{ a }}</a>",
        "<a href=\"{{ a }}\">b</a>",
        "<script>if (a < b) '<p>'</script>",
        "<SCRIPT src=x></SCRIPT\n>",
        "<style>.n { color: red; x: url(y) } p > b, td:hover { a: \"b'<>\" !important }</style>",
        "<style>@media print { p { a: b } } * { font: 'x' }</style>",
        "<!-- <script> -->",
        "<!-- --!>",
        "<!DOCTYPE html>",
        "<body onload=x style=\"top:0\" class=n>",
        "</body>",
        "<form><input onfocus=x><select><option></select></form>",
        "<iframe srcdoc='<b>'></iframe>",
        "<svg><script>x</script><a href='javascript:x'></a></svg>",
        "<object data=x><embed src=y></object>",
        "<title></title>",
        "<textarea><b onclick=x></textarea>",
        "<noscript><p onclick=x></noscript>",
        "{% if a %}<b onmouseover='x'>{% endif %}</b>",
        "<p style='a:url(b);c:d' {% if a %}onclick=x{% endif %}>",
    ];
    const BROKEN: [&str; 16] =
        ["<", ">", "\"", "'", "{", "}", "<b", " onclick=x", "<script", "</script>", "<style>", "</style>", "-->", "<!", "script>", "{# #}"];
    prop_oneof![
        6 => prop::sample::select(&WHOLE[..]).prop_map(str::to_owned),
        1 => prop::sample::select(&BROKEN[..]).prop_map(str::to_owned),
        1 => "[a-z<>/ =\"'{}#-]{0,4}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_brings_no_element_no_attribute_and_no_line(a in value(), b in value(), wrap in any::<bool>()) {
        let wrapped = wrapped();
        let files = [("a.html", if wrap { wrapped.as_str() } else { HTML }), ("a.txt", TEXT), ("signatures.toml", TOML)]
            .map(|(name, content)| File { name: name.into(), content: content.into() });
        let (templates, _) = Templates::configure(&files, &[]).unwrap();
        let now = Moment { unix_milliseconds: 0, offset_minutes: 0, zone: "UTC".into() };
        let render = |a: &str, b: &str| templates.render("a", &person(a, b), "he", &now, &Format::Alternative).unwrap();
        let (hostile, plain) = (render(&a, &b), render("plain", "text"));
        // An empty value takes its row along; that is another shape, and a right one.
        if hostile.html.as_ref().unwrap().contains(" title='") {
            prop_assert_eq!(shape(&hostile.html.unwrap()), shape(&plain.html.unwrap()));
        }
        let text = hostile.text.unwrap();
        prop_assert!(text.lines().count() <= plain.text.unwrap().lines().count(), "{text:?}");
        let breaks = |char: char| (char.is_control() && char != '\n') || "\u{2028}\u{2029}\u{202e}\u{2066}".contains(char);
        prop_assert!(!text.contains(breaks), "{text:?}");
    }

    #[test]
    fn what_is_left_out_of_a_template_does_not_come_back(pieces in prop::collection::vec(removable(), 0..12), a in value()) {
        let template = pieces.concat();
        let files = [File { name: "a.html".into(), content: template.clone() }];
        let Ok((templates, _)) = Templates::configure(&files, &[]) else { return Ok(()) };
        let now = Moment { unix_milliseconds: 0, offset_minutes: 0, zone: "UTC".into() };
        let html = templates.render("a", &person(&a, &a), "en", &now, &Format::Html).unwrap().html.unwrap();
        for piece in Pieces::of_html(&html) {
            match piece {
                Piece::Start { name, attributes, .. } => {
                    prop_assert!(!REMOVED.contains(&name.as_str()), "{template}\n{html}");
                    for attribute in attributes {
                        let value = html[attribute.value.clone()].to_ascii_lowercase();
                        prop_assert!(!attribute.name.starts_with("on") && attribute.name != "srcdoc", "{template}\n{html}");
                        prop_assert!(attribute.name != "href" || !value.trim_start().starts_with("javascript:"), "{template}\n{html}");
                        prop_assert!(attribute.name != "style" || !value.contains("url("), "{template}\n{html}");
                    }
                }
                Piece::End { name, .. } => prop_assert!(!REMOVED.contains(&name.as_str()), "{template}\n{html}"),
                Piece::Other { span } => prop_assert!(!html[span].starts_with("<!"), "{template}\n{html}"),
                Piece::Code { .. } => (),
            }
        }
    }
}
