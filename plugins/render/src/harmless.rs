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
            Some((name, attributes.into_iter().map(|attribute| attribute.name).collect()))
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_brings_no_element_no_attribute_and_no_line(a in value(), b in value()) {
        let files = [("a.html", HTML), ("a.txt", TEXT), ("signatures.toml", TOML)]
            .map(|(name, content)| File { name: name.into(), content: content.into() });
        let (templates, _) = Templates::configure(&files, &[]).unwrap();
        let now = Moment { unix_milliseconds: 0, offset_minutes: 0, zone: "UTC".into() };
        let render = |a: &str, b: &str| templates.render("a", &person(a, b), "he", &now, &Format::Alternative).unwrap();
        let (hostile, plain) = (render(&a, &b), render("plain", "text"));
        // An empty value takes its row along; that is another shape, and a right one.
        if hostile.html.as_ref().unwrap().contains("<td style") {
            prop_assert_eq!(shape(&hostile.html.unwrap()), shape(&plain.html.unwrap()));
        }
        let text = hostile.text.unwrap();
        prop_assert!(text.lines().count() <= plain.text.unwrap().lines().count(), "{text:?}");
        let breaks = |char: char| (char.is_control() && char != '\n') || "\u{2028}\u{2029}\u{202e}\u{2066}".contains(char);
        prop_assert!(!text.contains(breaks), "{text:?}");
    }
}
