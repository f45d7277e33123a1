//! Templates as a customer writes them, fragments as the host gets them.

use signet_plugin_sdk::Address;

use super::*;

fn file(name: &str, content: &str) -> File {
    File { name: name.into(), content: content.into() }
}

fn assets() -> Vec<Asset> {
    ["logo.png", "banner.png"].map(|name| Asset { name: name.into(), media_type: "image/png".into(), size: 1000 }).to_vec()
}

fn templates(files: &[(&str, &str)]) -> Templates {
    let files: Vec<File> = files.iter().map(|(name, content)| file(name, content)).collect();
    Templates::configure(&files, &assets()).unwrap_or_else(|findings| panic!("{findings:?}")).0
}

fn findings(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<File> = files.iter().map(|(name, content)| file(name, content)).collect();
    let findings = match Templates::configure(&files, &assets()) {
        Ok((_, summary)) => summary.warnings,
        Err(findings) => findings,
    };
    findings.iter().map(|finding| format!("{}:{} {}: {}", finding.file, finding.line, finding.key, finding.message)).collect()
}

fn person(attributes: &[(&str, &str)]) -> Person {
    Person {
        address: Address { local: "ada".into(), domain: "northwind.example".into() },
        attributes: attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        groups: vec!["sales".into()],
    }
}

/// 2026-11-23T23:30Z, which is the next day in the tenant's zone.
fn now() -> Moment {
    Moment { unix_milliseconds: 1_795_476_600_000, offset_minutes: 60, zone: "Europe/Berlin".into() }
}

fn render(files: &[(&str, &str)], attributes: &[(&str, &str)], format: &Format) -> Fragment {
    let templates = templates(files);
    let id = templates.shared.signatures.keys().next().unwrap().clone();
    templates.render(&id, &person(attributes), "", &now(), format).unwrap()
}

fn html(template: &str, attributes: &[(&str, &str)]) -> String {
    render(&[("a.html", template)], attributes, &Format::Html).html.unwrap()
}

fn text(template: &str, attributes: &[(&str, &str)]) -> String {
    render(&[("a.txt", template)], attributes, &Format::Plain).text.unwrap()
}

#[test]
fn variables_are_the_persons_attributes_and_a_few_more() {
    for (template, expected) in [
        ("{{ displayName }}, {{ extensionAttribute15 }}", "Ada, fifteen"),
        ("{{ person['cost-center'] }}", "42"),
        ("{{ nobody }}{{ nobody.nothing }}", ""),
        ("{{ email }} {{ groups | join('+') }}", "ada@northwind.example sales"),
        ("{{ now.date }} {{ now.year }} {{ now.month }} {{ now.day }}", "2026-11-24 2026 11 24"),
        ("{{ phone | phone }} {{ phone | tel }}", "+44 20 7946 0018 +442079460018"),
        ("{{ displayName | upper }} {{ 'a b' | title }} {{ 'a b&' | urlencode }} {{ nobody | default('x') }}", "ADA A B a%20b%26 x"),
        ("{{ joined('+', 'a', 'b') }}", "a+b"),
        ("{% for group in groups %}[{{ group }}]{% endfor %}", "[sales]"),
    ] {
        let attributes = [
            ("displayName", "Ada"),
            ("extensionAttribute15", "fifteen"),
            ("cost-center", "42"),
            ("phone", "+442079460018"),
            ("joined", "hidden"),
        ];
        assert_eq!(html(template, &attributes), expected, "{template}");
    }
}

#[test]
fn values_stay_text_whatever_is_in_them() {
    for (value, in_html, in_text) in [
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;", "<script>x</script>"),
        ("\" onclick='x'", "&quot; onclick=&#x27;x&#x27;", "\" onclick='x'"),
        ("{{ email }}{% if %}{#", "{{ email }}{% if %}{#", "{{ email }}{% if %}{#"),
        ("a\r\n.\r\nMAIL FROM:<x>", "a, ., MAIL FROM:&lt;x&gt;", "a, ., MAIL FROM:<x>"),
        ("a\0b\u{fdd0}\u{202e}c", "abc", "abc"),
    ] {
        assert_eq!(html("{{ a }}", &[("a", value)]), in_html);
        assert_eq!(text("{{ a }}", &[("a", value)]), in_text);
    }
}

#[test]
fn a_link_leads_nowhere_when_a_value_would_lead_it_astray() {
    for (value, expected) in [
        ("javascript:alert(1)", "#"),
        ("JAVASCRIPT:x", "#"),
        ("data:text/html,x", "#"),
        ("java\nscript:x", "java, script:x"),
        ("https://a.example", "https://a.example"),
        ("mailto:a@b.example", "mailto:a@b.example"),
    ] {
        let expected = if expected == "java, script:x" { "#" } else { expected };
        assert_eq!(html("<a href=\"{{ a }}\">x</a>", &[("a", value)]), format!("<a href=\"{expected}\">x</a>"), "{value}");
    }
}

const CONTACT: &str = "<table>\n  <tr data-if=\"phone\">\n    <td>T</td><td>{{ phone }}</td>\n  </tr>\n  <tr data-if=\"mobile\"><td>M</td><td>{{ mobile }}</td></tr>\n</table>";

#[test]
fn an_empty_field_takes_its_row_along() {
    let row = "<tr>\n    <td>T</td><td>1</td>\n  </tr>\n";
    assert_eq!(html(CONTACT, &[("phone", "1")]), format!("<table>\n{row}</table>"));
    assert_eq!(html(CONTACT, &[]), "<table>\n</table>");
    assert_eq!(html(CONTACT, &[("phone", " \r\n ")]), "<table>\n</table>");
}

#[test]
fn an_empty_field_takes_its_line_along() {
    let template = "{{ name }}\n\nT  {{ phone }}\nM  {{ mobile }}\n{{ joined(' | ', city, zip, country) }}\n\nfixed";
    for (attributes, expected) in [
        (&[("name", "Ada"), ("phone", "1"), ("city", "Hamburg"), ("country", "Germany")][..], "Ada\n\nT  1\nHamburg | Germany\n\nfixed"),
        (&[("mobile", "2")], "M  2\n\nfixed"),
        (&[], "fixed"),
    ] {
        assert_eq!(text(template, attributes), expected);
    }
}

#[test]
fn separators_stand_only_between_values_that_are_there() {
    let template = "{{ joined(' &middot; '|safe, a, b, c) }}";
    assert_eq!(html(template, &[("a", "<1>"), ("c", "3")]), "&lt;1&gt; &middot; 3");
    assert_eq!(html("{{ joined(' < ', a, b) }}", &[("a", "1"), ("b", "2")]), "1 &lt; 2");
    assert_eq!(html("{{ joined(', ', a, joined(' ', b, c)) }}", &[("b", "&")]), "&amp;");
}

#[test]
fn images_are_named_once_in_the_order_of_their_appearance() {
    let template = "<img src=\"{{ image('logo.png') }}\">{% include '_b.html' %}<img src='{{ image(\"logo.png\") }}'>";
    let fragment = render(&[("a.html", template), ("_b.html", "<img src='{{ image('banner.png') }}'>")], &[], &Format::Html);
    assert_eq!(fragment.html.unwrap(), "<img src=\"cid:logo.png\"><img src='cid:banner.png'><img src='cid:logo.png'>");
    assert_eq!(fragment.images, ["logo.png", "banner.png"]);
}

#[test]
fn only_the_forms_that_the_message_has_are_rendered() {
    let both = [("a.html", "<b>h</b>"), ("a.txt", "t")];
    for (files, format, html, text) in [
        (&both[..], Format::Html, Some("<b>h</b>"), None),
        (&both, Format::Plain, None, Some("t")),
        (&both, Format::Alternative, Some("<b>h</b>"), Some("t")),
        (&both, Format::Other("rtf".into()), Some("<b>h</b>"), Some("t")),
        (&both[..1], Format::Alternative, Some("<b>h</b>"), Some("h")),
        (&both[..1], Format::Plain, None, Some("h")),
        (&both[1..], Format::Alternative, Some("<div>t</div>"), Some("t")),
        (&both[1..], Format::Html, Some("<div>t</div>"), None),
    ] {
        let fragment = render(files, &[], &format);
        assert_eq!((fragment.html.as_deref(), fragment.text.as_deref()), (html, text), "{format:?}");
    }
}

#[test]
fn a_plain_form_from_html_names_no_images() {
    let fragment = render(&[("a.html", "<img src=\"{{ image('logo.png') }}\">x")], &[], &Format::Plain);
    assert_eq!((fragment.text.as_deref(), fragment.images.len()), (Some("x"), 0));
}

#[test]
fn the_nearest_locale_is_taken() {
    let templates = templates(&[("a.html", "any"), ("a.de.html", "de"), ("a.pt-BR.html", "br")]);
    for (locale, expected) in
        [("", "any"), ("en-GB", "any"), ("de", "de"), ("de-AT", "de"), ("DE-de", "de"), ("pt-br", "br"), ("pt", "any")]
    {
        let fragment = templates.render("a", &person(&[]), locale, &now(), &Format::Html).unwrap();
        assert_eq!(fragment.html.unwrap(), expected, "{locale}");
    }
}

#[test]
fn settings_name_variables_and_further_signatures() {
    let settings =
        "[variables]\ncompany = 'Northwind'\ncolour = 'blue'\n[signature.campaign]\nhtml = '_shared.html'\nvariables.colour = 'red'\n";
    let templates = templates(&[
        ("signatures.toml", settings),
        ("_shared.html", "{{ company }} {{ colour }}"),
        ("a.html", "{{ company }} {{ colour }}"),
    ]);
    let html = |id: &str, person: &Person| templates.render(id, person, "", &now(), &Format::Html).unwrap().html.unwrap();
    assert_eq!(html("campaign", &person(&[])), "Northwind red");
    assert_eq!(html("a", &person(&[("company", "Own")])), "Own blue");
    assert_eq!(templates.describe().attributes, ["colour", "company"]);
}

#[test]
fn the_description_names_the_attributes_that_templates_use() {
    let used = |template: &str| templates(&[("a.html", template)]).describe().attributes;
    assert_eq!(
        used("{{ displayName }}{% set x = 1 %}{{ x }}{{ now.year }}{{ image('logo.png') }}<p data-if='jobTitle'></p>"),
        ["displayName", "jobTitle"]
    );
    assert!(used("{{ displayName }}{{ person['x'] }}").is_empty());
}

#[test]
fn an_unknown_signature_is_an_error_that_names_the_known_ones() {
    let error = templates(&[("a.html", "x")]).render("b", &person(&[]), "", &now(), &Format::Html).unwrap_err();
    assert_eq!(error, PluginError::InvalidConfig("no template for signature \"b\"; there are a".into()));
}

#[test]
fn work_and_output_are_bounded() {
    let deep = "{% macro m() %}{{ m() }}{% endmacro %}{% if go %}{{ m() }}{% endif %}";
    for template in [
        "{% if go %}{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}{% endif %}",
        "{% if go %}{{ go * 300000 }}{% endif %}",
        deep,
    ] {
        let files = [file("a.html", template)];
        // The trial with every attribute may already refuse it; both are fine, hanging is not.
        let Ok((templates, _)) = Templates::configure(&files, &[]) else { continue };
        let result = templates.render("a", &person(&[("go", "x")]), "", &now(), &Format::Html);
        assert!(matches!(result, Err(PluginError::InvalidConfig(_))), "{template}");
    }
}

#[test]
fn a_fragment_over_the_interfaces_limits_is_refused() {
    let long = "x".repeat(HTML_LIMIT + 1);
    let error = templates(&[("a.html", &long)]).render("a", &person(&[]), "", &now(), &Format::Html).unwrap_err();
    assert!(matches!(error, PluginError::InvalidConfig(why) if why.contains("262145 octets of HTML, and may have 262144")));
}

#[test]
fn mistakes_are_named_with_file_and_line() {
    for (files, expected) in [
        (&[("a.html", "x\n{% if %}")][..], "a.html:2 : syntax error: unexpected end of block"),
        (&[("a.html", "x\n<style>")], "a.html:2 <style>: the element has no end tag of its own: add `</style>`"),
        (&[("a.html", "x\n\n{{ image('no.png') }}")], "a.html:3 image: there is no image \"no.png\"; the assets are: banner.png, logo.png"),
        (&[("a.html", "x\n{{ a | nofilter }}")], "a.html:2 : unknown filter: filter nofilter is unknown"),
        (&[("a.html", "{% include '_b.html' %}")], "a.html:1 : template not found: tried to include non-existing template '_b.html'"),
        (&[("a.html", "{% if a %}\n{{ b | nofilter }}{% endif %}")], "a.html:2 : unknown filter: filter nofilter is unknown"),
        (&[("a.html", "x\n<tr data-if=\"a b\"></tr>")], "a.html:2 : syntax error: unexpected identifier, expected end of block"),
        (
            &[("a b.html", "x")],
            "a b.html:0 : is not named ID.html or ID.LOCALE.html, ID being letters, digits, `-` and `_`; for example `full.de.html`",
        ),
        (&[], ":0 : there is no signature: add a template, for example `full.html`"),
        (
            &[("a.html", "x"), ("readme.md", "")],
            "readme.md:0 : is not read: templates end in `.html` or `.txt`, and settings are in `signatures.toml`",
        ),
        (
            &[("a.html", "x"), ("signatures.toml", "[signature.b]\nhtml = 'c.html'\n")],
            "signatures.toml:2 signature.b.html: there is no template \"c.html\" that ends in `.html`; for example `html = \"full.html\"`",
        ),
        (
            &[("a.html", "x"), ("signatures.toml", "[signatur.b]\n")],
            "signatures.toml:1 signatur: is not a key of this table; did you mean `[signature.full]`?",
        ),
    ] {
        assert_eq!(findings(files)[0], expected, "{files:?}");
    }
}

/// The files of the demo, which are what a newcomer starts from.
fn demo() -> Vec<(&'static str, &'static str)> {
    macro_rules! demo {
        ($($name:literal),*) => { vec![$(($name, include_str!(concat!("../../../config/demo/templates/", $name)))),*] };
    }
    demo!("signatures.toml", "full.html", "full.txt", "reply.html", "reply.txt", "banner.html", "banner.txt", "company.html")
}

#[test]
fn the_demo_renders_as_it_should() {
    let files: Vec<File> = demo().into_iter().map(|(name, content)| file(name, content)).collect();
    let assets = ["logo.png", "harbour-days.png"].map(|name| Asset { name: name.into(), media_type: "image/png".into(), size: 1000 });
    let (templates, summary) = Templates::configure(&files, &assets).unwrap();
    assert_eq!(
        (summary.signatures.as_slice(), summary.warnings),
        (["banner", "company", "full", "reply"].map(str::to_owned).as_slice(), vec![])
    );
    let hanna = person(&[
        ("displayName", "Hanna Lindqvist"),
        ("jobTitle", "Harbour Master"),
        ("businessPhone", "+494055501410"),
        ("streetAddress", "Nordkai 3"),
        ("postalCode", "20457"),
        ("city", "Hamburg"),
    ]);
    let render = |id: &str, person: &Person| templates.render(id, person, "en-GB", &now(), &Format::Alternative).unwrap();
    let full = render("full", &hanna);
    assert_eq!(
        full.text.unwrap(),
        "Hanna Lindqvist\nHarbour Master\nNorthwind Harbour\n\nPhone   +49 40 55501410\nMail    ada@northwind.example\n\
         Visit   Nordkai 3, 20457 Hamburg\n\nNorthwind Harbour GmbH · Nordkai 3, 20457 Hamburg · Amtsgericht Hamburg, HRB 000000 · \
         Managing Director: Ada King"
    );
    assert_eq!(full.html.unwrap(), include_str!("golden/full.html").trim_end());
    let reply = render("reply", &person(&[("displayName", "Tom Okafor")]));
    assert_eq!(reply.text.unwrap(), "Tom Okafor\nNorthwind Harbour");
    assert_eq!(reply.html.unwrap(), include_str!("golden/reply.html").trim_end());
    assert_eq!(render("banner", &hanna).images, ["harbour-days.png"]);
    assert_eq!(render("company", &person(&[])).text.unwrap(), "Northwind Harbour · northwind.example · +49 40 55501400");
}

#[test]
fn other_people_are_seen_under_their_own_names_only() {
    let attributes = [("displayName", "Ada"), ("manager.displayName", "Grace <1>"), ("manager.mobilePhone", " ")];
    for (template, expected) in [
        ("{{ manager.displayName }} {{ manager }}", "Grace &lt;1&gt; Grace &lt;1&gt;"),
        ("<b data-if='manager.displayName'>x</b><i data-if='manager.mobilePhone'>y</i><u data-if='assistant'>z</u>", "<b>x</b>"),
        ("{{ manager.jobTitle }}{{ assistant.displayName }}{{ assistant }}", ""),
    ] {
        assert_eq!(html(template, &attributes), expected, "{template}");
    }
    assert_eq!(templates(&[("a.html", "{{ manager.displayName }}")]).describe().attributes, ["manager.displayName"]);
}

#[test]
fn a_photo_is_there_when_its_image_is() {
    let template = "<img data-if=\"photo\" src=\"{{ image(photo) }}\" alt=\"\" width=\"1\" height=\"1\">x<img src=\"{{ image(photo) }}\">";
    for (photo, expected) in [("logo.png", "cid:logo.png"), ("https://a.example/p.png?a=1&b", "https://a.example/p.png?a=1&amp;b")] {
        let img = format!("<img src=\"{expected}\" alt=\"\" width=\"1\" height=\"1\">x<img src=\"{expected}\">");
        assert_eq!(html(template, &[("photo", photo)]), img);
    }
    for photo in ["", "none.png", "http://a.example/p.png", "https://a.example\\@b"] {
        assert_eq!(html(template, &[("photo", photo)]), "x", "{photo}");
    }
}

#[test]
fn what_could_be_better_is_a_warning() {
    let long = "x".repeat(2048);
    let settings = ("signatures.toml", "[links]\ndomains = ['northwind.example']\n[budget]\nhtml = '1 KiB'\nimages = '999 B'");
    for (files, expected) in [
        (
            vec![("a.html", "\n<img src='https://x' alt=''>")],
            "a.html:2 width: this image has no width, so Outlook shows it in its own size",
        ),
        (vec![("a.html", long.as_str()), settings], "a.html:0 budget.html: this signature has 2048 octets of HTML, and the budget is 1024"),
        (vec![("a.html", "{{ image('logo.png') }}"), settings], "a.html:0 budget.images: this signature has 1000 octets of images"),
        (vec![("a.html", "\n{{ campaign('https://b.example') }}"), settings], "a.html:2 : invalid operation: campaign() changes links to"),
        (vec![("a.html", "{{ campaign('https://b.example') }}")], "a.html:1 : invalid operation: campaign() needs the domains"),
        (
            vec![("a.html", "{% include 'b.txt' %}"), ("b.txt", "x")],
            "a.html:1 : template not found: tried to include non-existing template",
        ),
        (vec![("a.html", "{{ a | phone('loud') }}")], "a.html:1 : invalid operation: \"loud\" is no style of numbers"),
    ] {
        let found = findings(&files);
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn every_signature_of_the_demo_is_without_findings() {
    macro_rules! more {
        ($($name:literal),*) => { [$(($name, include_str!(concat!("../../../config/demo/templates/", $name)))),*] };
    }
    let mut all = demo();
    all.extend(more!(
        "classic.html",
        "classic.txt",
        "modern.html",
        "modern.txt",
        "compact.html",
        "compact.txt",
        "executive.html",
        "executive.txt",
        "rtl.html",
        "rtl.txt",
        "campaign.html",
        "campaign.txt",
        "card.html",
        "card.txt"
    ));
    let files: Vec<File> = all.into_iter().map(|(name, content)| file(name, content)).collect();
    let assets = ["logo.png", "harbour-days.png", "harbour-june.png", "compass.png", "hanna.png"];
    let assets = assets.map(|name| Asset { name: name.into(), media_type: "image/png".into(), size: 5000 });
    let (templates, summary) = Templates::configure(&files, &assets).unwrap();
    assert_eq!(summary.warnings, vec![]);
    for id in &summary.signatures {
        let fragment = templates.render(id, &person(&[]), "en-GB", &now(), &Format::Alternative).unwrap();
        assert!(fragment.html.is_some_and(|html| html.len() < 24 << 10) && fragment.text.is_some(), "{id}");
    }
}

#[test]
fn a_template_from_another_service_is_cleaned_and_its_style_sheet_inlined() {
    let files = [file("a.html", include_str!("golden/styled.html"))];
    let (templates, summary) = Templates::configure(&files, &assets()).unwrap();
    let attributes = [("displayName", "Ada <King>"), ("jobTitle", "Pilot"), ("colour", "#333"), ("mobilePhone", "1")];
    let rendered = templates.render("a", &person(&attributes), "", &now(), &Format::Html).unwrap().html.unwrap();
    assert_eq!(rendered, include_str!("golden/styled.inlined.html").trim_end());
    let warnings: Vec<String> = summary.warnings.iter().map(|warning| format!("{} {}", warning.line, warning.key)).collect();
    assert_eq!(
        warnings,
        [
            "10 @import url(\"https://fonts.example/harbour.css\")",
            "18 a:hover",
            "19 background: url(https://track.example/p.gif)",
            "20 @media only screen and (max-width: 480px)",
            "1 <!DOCTYPE",
            "2 <html>",
            "3 <head>",
            "4 <meta>",
            "5 <meta>",
            "6 <title>",
            "7 <link>",
            "25 <body>",
            "26 <!-- -->",
            "27 <form>",
            "30 onerror",
            "35 href",
            "43 <input>",
            "45 <script>",
            "14 .sig > tr > td.photo",
        ]
    );
    let unused = &summary.warnings.last().unwrap().message;
    assert_eq!(unused, "matches nothing in this file, and rules count for their own file only; remove it");
}

#[test]
fn lines_are_the_authors_behind_what_is_left_out() {
    let head =
        "<!DOCTYPE html>\n<head>\n<style>\ntd { color: red }\n</style>\n</head>\n<td\n onclick=\"a\n\"\n style='x:url(y);\n'>\n<!--\n-->";
    for (last, expected) in [
        ("{{ b | nofilter }}", "a.html:14 : unknown filter: filter nofilter is unknown"),
        ("<p {{ b }}>", "a.html:14 {{ b }}: prints between attributes"),
        ("{{ image('no.png') }}", "a.html:14 image: there is no image"),
    ] {
        let found = findings(&[("a.html", &format!("{head}\n{last}"))]);
        assert!(found.iter().any(|finding| finding.starts_with(expected)), "{last}: {found:?}");
    }
}

#[test]
fn what_stood_in_a_removed_part_is_no_html_of_the_authors() {
    let template = "<script>var a = '<b>';</script>{{ a | safe }}{{ '<i>' | safe }}";
    assert_eq!(html(template, &[("a", "<b>")]), "&lt;b&gt;<i>");
}
