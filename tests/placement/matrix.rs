//! The matrix: every client's templates in every language, at every depth, as HTML, as text and as both.
//!
//! Clients (`clients/*.toml`) and languages (`languages.toml`) are data. A template says with a marker where a person would put the
//! signature; the marker is taken out of what is sent, and what comes back is compared with where it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use serde::Deserialize;
use signet::mime::Edited;

use crate::view::{View, marked_html, marked_text};
use crate::{HTML, MARKER, Score, TEXT, bodies, crlf, sign};

/// The issue asks for so many cases at least.
const FEWEST: usize = 2_000;
/// The width at which Gmail wraps the plain text of an attribution.
const GMAIL_WIDTH: usize = 76;
const NAME: &str = "Bob Engelbart";
const ADDRESS: &str = "bob.engelbart@other.example";

/// The words of one language.
#[derive(Deserialize)]
struct Language {
    direction: Option<String>,
    prefixes: [String; 2],
    outlook: [String; 5],
    apple_labels: [String; 4],
    thunderbird_labels: [String; 4],
    #[serde(flatten)]
    words: BTreeMap<String, String>,
}

/// The templates of one client: depth to template.
#[derive(Deserialize)]
struct Client {
    name: String,
    prefixes: String,
    #[serde(default)]
    blocks: BTreeMap<String, String>,
    #[serde(default)]
    html: BTreeMap<String, String>,
    text: BTreeMap<String, String>,
    /// Plain text beside HTML, where it differs from text alone.
    #[serde(default)]
    alternative: BTreeMap<String, String>,
}

/// One message, and where its signature belongs.
pub(crate) struct Case {
    pub(crate) client: String,
    pub(crate) language: String,
    pub(crate) depth: String,
    pub(crate) body: &'static str,
    /// Header section without the body's fields.
    header: String,
    /// With the marker.
    pub(crate) html: Option<String>,
    pub(crate) text: Option<String>,
}

impl Case {
    pub(crate) fn name(&self) -> String {
        format!("{} {} {} {}", self.client, self.language, self.depth, self.body)
    }

    /// The message as the client sends it.
    pub(crate) fn mail(&self) -> String {
        let part = |kind: &str, body: &str| {
            format!("Content-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{}", body.replace(MARKER, ""))
        };
        let mail = match (&self.text, &self.html) {
            (Some(text), None) => format!("{}{}", self.header, part("plain", text)),
            (None, Some(html)) => format!("{}{}", self.header, part("html", html)),
            (Some(text), Some(html)) => format!(
                "{}Content-Type: multipart/alternative; boundary=alt\n\n--alt\n{}\n--alt\n{}\n--alt--\n",
                self.header,
                part("plain", text),
                part("html", html)
            ),
            (None, None) => unreachable!("every case has a body"),
        };
        crlf(&mail)
    }

    /// What is wrong with the signed message, if anything is.
    pub(crate) fn wrong(&self, output: &str) -> Option<String> {
        let templates = [self.text.as_ref().map(|text| (false, text)), self.html.as_ref().map(|html| (true, html))];
        templates.into_iter().flatten().zip(bodies(output)).find_map(|((is_html, template), body)| {
            let body = body.replace("\r\n", "\n");
            if is_html { wrong_html(template, &body) } else { wrong_text(template, &body) }
        })
    }
}

fn wrong_html(template: &str, body: &str) -> Option<String> {
    let Some(found) = marked_html(body) else {
        return Some(format!("no signature in HTML\n{body}"));
    };
    if found.replace(MARKER, "").trim_end() != template.replace(MARKER, "").trim_end() {
        return Some(format!("more than the signature was changed\n{found}"));
    }
    differ(&View::of_html(template), &View::of_html(&found), &found)
}

fn wrong_text(template: &str, body: &str) -> Option<String> {
    let Some(found) = marked_text(body) else {
        return Some(format!("no signature in the text\n{body}"));
    };
    let (before, after) = found.split_once(MARKER).expect("it is there");
    if !(before.is_empty() || before.ends_with("\n\n")) || !(after.is_empty() || after.starts_with('\n')) {
        return Some(format!("the signature does not stand on lines of its own\n{found}"));
    }
    differ(&View::of_text(template), &View::of_text(&found), &found)
}

fn differ(expected: &View, found: &View, body: &str) -> Option<String> {
    (expected != found).then(|| format!("{:?} expected, {:?} found\n{body}", expected.around, found.around))
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/placement"))
}

fn read<T: for<'de> Deserialize<'de>>(path: &PathBuf) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All cases. `signed`: the earlier author's mail carries our signature already.
pub(crate) fn cases(signed: bool) -> Vec<Case> {
    let languages: BTreeMap<String, Language> = read(&folder().join("languages.toml"));
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder().join("clients")).expect("the folder is there").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for client in files.iter().map(read::<Client>) {
        for (code, language) in &languages {
            for depth in client.text.keys() {
                let page = Page { client: &client, language, signed };
                cases.extend(page.bodies(code, depth));
            }
        }
    }
    cases
}

/// One client in one language.
struct Page<'a> {
    client: &'a Client,
    language: &'a Language,
    signed: bool,
}

impl Page<'_> {
    fn bodies(&self, code: &str, depth: &str) -> Vec<Case> {
        let text = self.filled(&self.client.text[depth], false);
        let html = self.client.html.get(depth).map(|template| self.html(template));
        let beside = self.client.alternative.get(depth).map_or_else(|| text.clone(), |template| self.filled(template, false));
        let case = |body, text, html| Case {
            client: self.client.name.clone(),
            language: code.to_owned(),
            depth: depth.to_owned(),
            body,
            header: self.header(depth),
            html,
            text,
        };
        let mut cases = vec![case("text", Some(text), None)];
        if let Some(html) = html {
            cases.push(case("html", None, Some(html.clone())));
            cases.push(case("alternative", Some(beside), Some(html)));
        }
        cases
    }

    fn header(&self, depth: &str) -> String {
        let english = ["Re".to_owned(), "Fwd".to_owned()];
        let prefixes = if self.client.prefixes == "localised" { &self.language.prefixes } else { &english };
        let subject = match depth {
            "new" => "Pump".to_owned(),
            "forward" => format!("{}: Pump", prefixes[1]),
            _ => format!("{}: Pump", prefixes[0]),
        };
        let subject = base64::engine::general_purpose::STANDARD.encode(subject);
        let thread = match depth {
            "new" | "forward" => "",
            _ => "In-Reply-To: <1@other.example>\nReferences: <1@other.example>\n",
        };
        format!("From: Ada King <ada@acme.example>\nTo: {ADDRESS}\nSubject: =?utf-8?B?{subject}?=\n{thread}MIME-Version: 1.0\n")
    }

    fn html(&self, template: &str) -> String {
        let html = self.filled(template, true);
        match self.language.direction.as_deref() {
            Some(direction) => html.replace("dir=\"ltr\"", &format!("dir=\"{direction}\"")),
            None => html,
        }
    }

    /// The template with its names replaced; braces around anything else are style sheets.
    fn filled(&self, template: &str, html: bool) -> String {
        let mut out = String::with_capacity(template.len() * 2);
        let mut rest = template;
        while let Some(start) = rest.find('{') {
            out.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest[1..].find(|letter: char| !(letter.is_ascii_lowercase() || matches!(letter, '.' | '_'))).map(|end| end + 1);
            match end.filter(|&end| end > 1 && rest[end..].starts_with('}')) {
                Some(end) => {
                    out.push_str(&self.named(&rest[1..end], html));
                    rest = &rest[end + 1..];
                }
                None => {
                    out.push('{');
                    rest = &rest[1..];
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn named(&self, name: &str, html: bool) -> String {
        if let Some(block) = self.client.blocks.get(name) {
            return self.filled(block, html);
        }
        let word = self.word(name);
        let word = if html { word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;") } else { word };
        match (name, html) {
            ("gmail", true) => word.replace(ADDRESS, &format!("<a href=\"mailto:{ADDRESS}\">{ADDRESS}</a>")),
            ("older", true) if self.signed => {
                format!("{word}<div class=\"signet-signature-1\"><a name=\"signet-signature-1\"></a>{HTML}</div>")
            }
            ("older", false) if self.signed => format!("{word} {}", TEXT.replace('\n', " ")),
            _ => word,
        }
    }

    fn word(&self, name: &str) -> String {
        let language = self.language;
        let place = |names: &[&str], words: &[String]| {
            let label = name.split_once('.')?.1;
            names.iter().position(|name| *name == label).map(|at| words[at].clone())
        };
        let found = match name.split_once('.') {
            Some(("o", _)) => place(&["from", "sent", "to", "copy", "subject"], &language.outlook),
            Some(("a", _)) => place(&["from", "subject", "date", "to"], &language.apple_labels),
            Some(("t", _)) => place(&["subject", "date", "from", "to"], &language.thunderbird_labels),
            Some((name, "wrapped")) => Some(wrapped(&self.word(name))),
            _ => match name {
                "name" => Some(NAME.to_owned()),
                "address" => Some(ADDRESS.to_owned()),
                _ => language.words.get(name).map(|word| word.replace("{name}", NAME).replace("{address}", ADDRESS)),
            },
        };
        found.unwrap_or_else(|| panic!("{}: no {{{name}}} in languages.toml or [blocks]; an example is {{older}}", self.client.name))
    }
}

fn wrapped(line: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in line.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > GMAIL_WIDTH {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out
}

/// Signs every case and compares; panics on any miss.
fn measure(title: &str, cases: &[Case]) -> Vec<Edited> {
    let (mut clients, mut languages, mut depths, mut bodies) = (Score::default(), Score::default(), Score::default(), Score::default());
    let mut misses = Vec::new();
    let mut all = Vec::new();
    for case in cases {
        let wrong = match sign(&case.mail()) {
            Ok((output, edited)) => {
                let wrong = case.wrong(&output).map(|wrong| format!("{wrong}\n{:?}", edited.report()));
                all.push(edited);
                wrong
            }
            Err(unedited) => Some(unedited.reason.to_owned()),
        };
        for (score, name) in
            [(&mut clients, case.client.as_str()), (&mut languages, &case.language), (&mut depths, &case.depth), (&mut bodies, case.body)]
        {
            score.count(name, wrong.is_none());
        }
        misses.extend(wrong.map(|wrong| (case, wrong)));
    }
    let mut rows: BTreeMap<String, (Vec<&str>, String)> = BTreeMap::new();
    let (hits, count) = clients.totals();
    eprintln!("\n== {title}: {hits} of {count} right");
    clients.print("by client");
    languages.print("by language");
    depths.print("by depth");
    bodies.print("by body");
    for (case, wrong) in &misses {
        let (languages, first) = rows.entry([case.client.as_str(), &case.depth, case.body].join(" ")).or_default();
        languages.push(case.language.as_str());
        if first.is_empty() {
            first.clone_from(wrong);
        }
    }
    rows.iter().for_each(|(row, (languages, first))| eprintln!("missed: {row}: {}\n{first}", languages.join(" ")));
    assert!(misses.is_empty(), "{} of {count} signatures are not where a person would put them", misses.len());
    all
}

#[test]
fn every_client_in_every_language_gets_its_signature_where_a_person_would_put_it() {
    let cases = cases(false);
    assert!(cases.len() >= FEWEST, "only {} cases", cases.len());
    measure("matrix", &cases);
}

#[test]
fn a_signature_in_quoted_mail_does_not_keep_the_answer_from_getting_one() {
    let cases: Vec<Case> = cases(true).into_iter().filter(|case| case.depth != "new").collect();
    measure("answers to signed mail", &cases);
}

#[test]
fn every_template_holds_one_marker() {
    for case in cases(false) {
        for template in [&case.text, &case.html].into_iter().flatten() {
            assert_eq!(template.matches(MARKER).count(), 1, "{}", case.name());
        }
    }
}
