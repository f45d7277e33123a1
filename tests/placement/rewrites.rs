//! What clients do to a message that is signed already, before it comes to us again: no rewriting may bring a second signature.
//!
//! Each rewriting is applied to every signed message of the matrix.

use base64::Engine as _;

use crate::matrix::{Case, cases};
use crate::{bodies, crlf, sign};

/// A change that some client or gateway makes, to the HTML and to the text.
struct Rewriting {
    name: &'static str,
    html: fn(&str) -> String,
    text: fn(&str) -> String,
}

const REWRITINGS: &[Rewriting] = &[
    Rewriting { name: "the same octets", html: str::to_owned, text: str::to_owned },
    Rewriting { name: "x_ in front of ids and classes", html: prefixed, text: str::to_owned },
    Rewriting { name: "classes dropped", html: |html| without_attributes(html, &["class"]), text: str::to_owned },
    Rewriting {
        name: "ids, classes, names and styles dropped",
        html: |html| without_attributes(html, &["id", "class", "name", "style"]),
        text: str::to_owned,
    },
    Rewriting { name: "comments stripped", html: without_comments, text: str::to_owned },
    Rewriting { name: "white space changed", html: respaced, text: trimmed },
    Rewriting { name: "upper-case tags", html: upper_case, text: str::to_owned },
    Rewriting {
        name: "no-break spaces",
        html: |html| outside_tags(html, |text| text.replace(' ', "&nbsp;")),
        text: |text| text.replace(' ', "\u{A0}"),
    },
];

/// How a body is carried.
const TRANSFERS: [&str; 3] = ["8bit", "base64", "quoted-printable"];

fn outside_tags(html: &str, change: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = html;
    while !rest.is_empty() {
        let (text, tail) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
        out.push_str(&change(text));
        let end = if tail.starts_with("<!--") { tail.find("-->").map(|end| end + 3) } else { tail.find('>').map(|end| end + 1) };
        let (tag, tail) = tail.split_at(end.unwrap_or(tail.len()));
        out.push_str(tag);
        rest = tail;
    }
    out
}

fn prefixed(html: &str) -> String {
    let mut out = html.replace(" id=\"", " id=\"x_").replace(" class=\"", " class=\"x_").replace(" name=\"", " name=\"x_");
    for name in ["MsoNormal", "WordSection1"] {
        out = out.replace(&format!("class={name}"), &format!("class=x_{name}"));
    }
    out
}

fn without_attributes(html: &str, names: &[&str]) -> String {
    let mut out = html.to_owned();
    for name in names {
        let start = format!(" {name}=\"");
        while let Some(at) = out.find(&start) {
            let end = at + start.len() + out[at + start.len()..].find('"').expect("the value ends") + 1;
            out.replace_range(at..end, "");
        }
    }
    out
}

fn without_comments(html: &str) -> String {
    let mut out = html.to_owned();
    while let Some(at) = out.find("<!--") {
        let end = at + out[at..].find("-->").expect("the comment ends") + 3;
        out.replace_range(at..end, "");
    }
    out
}

/// Every run of white space becomes a line break and two blanks, and lines break between tags too.
fn respaced(html: &str) -> String {
    let broken = html.replace("><", ">\n<");
    outside_tags(&broken, |text| {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if words.is_empty() { text.to_owned() } else { format!("\n  {}\n", words.join("\n  ")) }
    })
}

/// Lines without white space at their ends, and without more than one blank line.
fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").replace("\n\n\n", "\n\n") + "\n"
}

fn upper_case(html: &str) -> String {
    let mut out = String::new();
    let mut name = false;
    for letter in html.chars() {
        name = match letter {
            '<' => true,
            '/' => name,
            letter if letter.is_ascii_alphanumeric() => name,
            _ => false,
        };
        out.push(if name { letter.to_ascii_uppercase() } else { letter });
    }
    out
}

/// The signed message, written anew by a client.
fn rewritten(case: &Case, output: &str, rewriting: &Rewriting, transfer: &str) -> String {
    let header = output.split_once("Content-Type:").expect("it has a body").0;
    let parts: Vec<String> = bodies(output)
        .iter()
        .zip([case.text.is_some(), false])
        .map(|(body, is_text)| {
            let body = body.replace("\r\n", "\n");
            let (kind, body) = if is_text { ("plain", (rewriting.text)(&body)) } else { ("html", (rewriting.html)(&body)) };
            format!("Content-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: {transfer}\n\n{}", carried(&body, transfer))
        })
        .collect();
    match parts.as_slice() {
        [only] => crlf(&format!("{header}{only}")),
        several => {
            crlf(&format!("{header}Content-Type: multipart/alternative; boundary=new\n\n--new\n{}\n--new--\n", several.join("\n--new\n")))
        }
    }
}

fn carried(body: &str, transfer: &str) -> String {
    match transfer {
        "base64" => {
            let text = base64::engine::general_purpose::STANDARD.encode(crlf(body));
            text.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line) + "\n").collect()
        }
        "quoted-printable" => body
            .lines()
            .map(|line| {
                let octets: Vec<String> = line
                    .bytes()
                    .map(|octet| if octet.is_ascii_alphanumeric() { char::from(octet).into() } else { format!("={octet:02X}") })
                    .collect();
                octets.chunks(24).map(<[String]>::concat).collect::<Vec<_>>().join("=\n") + "\n"
            })
            .collect(),
        _ => body.to_owned(),
    }
}

#[test]
fn no_rewriting_of_a_signed_message_brings_a_second_signature() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for case in cases(false) {
        let (output, _) = sign(&case.mail()).unwrap_or_else(|unedited| panic!("{}: {unedited}", case.name()));
        let is_changed = |rewriting: &Rewriting| {
            let html = case.html.as_ref().is_some_and(|html| (rewriting.html)(html) != *html);
            html || case.text.as_ref().is_some_and(|text| (rewriting.text)(text) != *text)
        };
        for (number, rewriting) in REWRITINGS.iter().enumerate().filter(|(number, rewriting)| *number == 0 || is_changed(rewriting)) {
            let mail = rewritten(&case, &output, rewriting, TRANSFERS[(count + number) % TRANSFERS.len()]);
            count += 1;
            let reason = sign(&mail).map_or_else(|unedited| unedited.reason, |_| "signed again");
            if reason != "already-signed" {
                wrong.push(format!("{}, {}: {reason}", case.name(), rewriting.name));
            }
        }
    }
    eprintln!("== {count} rewritten messages, {} signed again", wrong.len());
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn rewritings_change_what_they_say() {
    let html = "<div id=\"a\" class=\"b\"><!-- c --><p>d e</p></div>";
    let changed: Vec<String> = REWRITINGS.iter().map(|rewriting| (rewriting.html)(html)).collect();
    assert_eq!(
        changed,
        [
            html,
            "<div id=\"x_a\" class=\"x_b\"><!-- c --><p>d e</p></div>",
            "<div id=\"a\"><!-- c --><p>d e</p></div>",
            "<div><!-- c --><p>d e</p></div>",
            "<div id=\"a\" class=\"b\"><p>d e</p></div>",
            "<div id=\"a\" class=\"b\">\n<!-- c -->\n<p>\n  d\n  e\n</p>\n</div>",
            "<DIV id=\"a\" class=\"b\"><!-- c --><P>d e</P></DIV>",
            "<div id=\"a\" class=\"b\"><!-- c --><p>d&nbsp;e</p></div>",
        ]
    );
}
