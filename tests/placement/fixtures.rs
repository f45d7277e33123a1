//! Reply fixtures that nobody here wrote: talon's, planer's and quotequail's tests say where the newest text ends, and that is where the
//! signature must go. `judges/reply_cases.py` reads them out of the source distributions that `make judges` fetches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::view::{View, marked_html, marked_text};
use crate::{MARKER, Score, bodies, crlf, sign};

/// The issue asks for so many in a hundred.
const SHARE: f64 = 95.0;

/// Letters of a newest text's end that are compared where quotes stand in it.
const TAIL: usize = 10;

/// Fixtures whose split is not where the signature goes, and why. Exact: one that is right must not stand here.
const MISSES: &[(&str, &str)] = &[
    (
        "planer outlook-mixed",
        "nothing is written above the first header block, and the signature goes above it; planer keeps what is below",
    ),
    (
        "talon-html gmail_quote_blockquote",
        "Gmail's quote without an attribution: talon takes it for the author's own, we for what Gmail calls it",
    ),
    (
        "talon-html reply_separated_by_hr",
        "talon cuts the author's name away with the rule that follows it; the signature goes below the name",
    ),
    ("talon-standard outlook", "the header section says that it is a new message, and there header-like lines are the author's own"),
    ("talon-text link_closed_with_quotation_marker_on_new_line", "one line \"From:\" is no header block"),
    ("talon-text pattern_on_date_polymail", "the attribution goes over a blank line, and its last line starts like a quote"),
];

/// One fixture, as `reply_cases.py` prints it.
#[derive(Deserialize)]
struct Fixture {
    client: String,
    name: String,
    form: String,
    kind: String,
    source: String,
    reply: Option<String>,
    holds: Option<[String; 2]>,
}

impl Fixture {
    fn mail(&self) -> String {
        let (subject, thread) = match self.kind.as_str() {
            "new" => ("x", ""),
            "forward" => ("Fwd: x", ""),
            _ => ("Re: x", "In-Reply-To: <1@other.example>\n"),
        };
        let kind = match self.form.as_str() {
            "message" => return crlf(&self.source),
            "text" => "plain",
            other => other,
        };
        // An empty line more than any fixture ends with: a body must end in a line break.
        crlf(&format!(
            "From: a@acme.example\nSubject: {subject}\n{thread}MIME-Version: 1.0\nContent-Type: text/{kind}; charset=utf-8\n\
             Content-Transfer-Encoding: 8bit\n\n{}\n",
            self.source
        ))
    }

    fn wrong(&self) -> Option<String> {
        let (output, edited) = match sign(&self.mail()) {
            Ok(signed) => signed,
            Err(unedited) => return Some(unedited.reason.to_owned()),
        };
        let mut signed = 0;
        for body in bodies(&output) {
            let html = marked_html(&body).map(|body| View::of_html(&body));
            // What the fixture gives is the plain text, which names the address of a link; a reader of the HTML does not see it.
            let reply = self
                .reply
                .as_ref()
                .map(|reply| if html.is_some() && self.form == "message" { without_links(reply) } else { reply.clone() });
            let Some(found) = html.or_else(|| marked_text(&body).map(|body| View::of_text(&body))) else { continue };
            signed += 1;
            if let Some(wrong) = self.misplaced(&found, reply.as_deref()) {
                return Some(format!("{wrong}\n{:?}\n{}", edited.report(), self.source));
            }
        }
        (signed == 0).then(|| "no signature".to_owned())
    }

    fn misplaced(&self, found: &View, reply: Option<&str>) -> Option<String> {
        let at = found.words.iter().position(|word| word == MARKER).expect("it is there");
        let visible = |words: &[String]| words.iter().filter(|word| *word != "<hr>").map(String::as_str).collect::<String>();
        let (before, after) = (visible(&found.words[..at]), visible(&found.words[at + 1..]));
        if let Some([new, old]) = &self.holds {
            let right = before.contains(&self.seen(new)) && after.contains(&self.seen(old));
            return (!right).then(|| format!("{new:?} is not in front, or {old:?} not behind"));
        }
        let expected = self.seen(reply.expect("one of the two is given"));
        let right = if (before.clone() + &after).starts_with(&expected) {
            before == expected
        } else {
            // The newest text stands below or around what is quoted: the signature follows its end.
            let tail = expected.char_indices().rev().nth(TAIL - 1).map_or(0, |(at, _)| at);
            before.ends_with(&expected[tail..])
        };
        (!right).then(|| format!("{expected:?} expected in front, {before:?} found"))
    }

    /// What a reader sees of a text of the fixture, without white space.
    fn seen(&self, text: &str) -> String {
        let view = if self.form == "html" { View::of_html(text) } else { View::of_text(text) };
        view.words.into_iter().filter(|word| word != "<hr>").collect()
    }
}

fn without_links(text: &str) -> String {
    text.split_whitespace().filter(|word| !word.starts_with("(http")).collect::<Vec<_>>().join(" ")
}

fn fixtures(judges: &Path) -> Vec<Fixture> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/judges/reply_cases.py");
    let mut command = Command::new(judges.join("bin/python"));
    let output = command.arg(script).arg(judges.join("sources")).output().expect("the judges' Python starts: run `make judges`");
    assert!(output.status.success(), "run `make judges`: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

#[test]
fn foreign_reply_fixtures_get_their_signature_where_they_split() {
    let Some(judges) = std::env::var_os("SIGNET_JUDGES").map(PathBuf::from) else {
        eprintln!("SKIPPED: reply fixtures: SIGNET_JUDGES names no folder; run `make judges` and set it to target/judges");
        return;
    };
    let fixtures = fixtures(&judges);
    assert!(fixtures.len() >= 100, "only {} fixtures", fixtures.len());
    let known: BTreeMap<&str, &str> = MISSES.iter().copied().collect();
    let mut score = Score::default();
    let mut surprises = Vec::new();
    for fixture in &fixtures {
        let name = format!("{} {}", fixture.client, fixture.name);
        let wrong = fixture.wrong();
        score.count(&fixture.client, wrong.is_none());
        match (&wrong, known.get(name.as_str())) {
            (Some(_), Some(reason)) => eprintln!("missed, as known: {name}: {reason}"),
            (Some(wrong), None) => surprises.push(format!("{name} is missed: {wrong}")),
            (None, Some(_)) => surprises.push(format!("{name} is right and must leave the table of misses")),
            (None, None) => {}
        }
    }
    let (hits, all) = score.totals();
    eprintln!("== foreign fixtures: {hits} of {all} right, {:.1} %", crate::percent(hits, all));
    score.print("by client");
    assert!(surprises.is_empty(), "{} surprises:\n{}", surprises.len(), surprises.join("\n\n"));
    assert!(crate::percent(hits, all) >= SHARE, "fewer than {SHARE} % of the fixtures are right");
}
