//! Whatever a directory holds, whatever message it meets, and whoever receives it: the message stays what it was, what is added stays text, and every
//! recipient is served once.
//!
//! Random values go through the real renderer and every signature of the demo into every message at hand: the demo's always, the foreign ones of
//! [`corpus`] where `make judges` has fetched them. mail-parser reads what comes out.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mail_parser::{MessageParser, MessagePart};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use signet::DEFAULT_RENDERER;
use signet::demo::{mail::MAIL, stage};
use signet::header::{fields, is_regular};
use signet::mime::{Class, Edited, Marks, Message, insert};
use signet::plugin::{Engine, EngineSettings, File, Limits, Renderer};
use signet::signature::{Asset, Format, Moment, Person, Placed, Placement};

use crate::harness::*;
use crate::{corpus, judges};

/// Attributes that the demo's templates print.
const ATTRIBUTES: [&str; 20] = [
    "displayName",
    "givenName",
    "jobTitle",
    "department",
    "companyName",
    "businessPhone",
    "mobilePhone",
    "streetAddress",
    "postalCode",
    "city",
    "country",
    "photo",
    "website",
    "legal",
    "extensionAttribute1",
    "extensionAttribute7",
    "assistant.displayName",
    "assistant.businessPhone",
    "manager.displayName",
    "manager.jobTitle",
];
/// What ends a value, a line, a part, a header section, an element, an attribute or a message, and what only looks strange.
const PIECES: [&str; 36] = [
    "Ada King",
    "<script>alert(1)</script>",
    "</td></tr></table>",
    "</div></body></html>",
    "<img src=x onerror=y>",
    "<!--",
    "-->",
    "\"",
    "'",
    "`",
    "&lt;",
    "&#10;",
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\u{b}",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\u{2066}",
    "👩‍🚀",
    "Дворжак",
    "{{ email }}",
    "{% raw %}",
    "{#",
    "javascript:x",
    "https://northwind.example/",
    "+494055501410",
    "hanna.png",
    "--boundary",
    "\r\n--boundary--\r\n",
    "=?utf-8?Q?=0D=0ABcc:_x@y.example?=",
    "\r\nBcc: x@y.example\r\n\r\n",
    "\r\n.\r\n",
    "=3D=\r\n",
];
/// Content-IDs that we make end with this.
const OURS: &str = "marks.northwind.example";
/// Octets of a message from which on few values are enough: each is read several times.
const LARGE: usize = 256 << 10;
/// SMTP's limit for a line (RFC 5321 section 4.5.3.1.6), with its end.
const LONGEST_LINE: usize = 1000;

#[test]
fn no_value_harms_a_message_of_the_demo() {
    let mail: Vec<Vec<u8>> = MAIL.iter().map(signet::demo::mail::Mail::content).collect();
    let (large, small): (Vec<_>, Vec<_>) = mail.into_iter().partition(|content| content.len() > LARGE);
    assert!(no_value_harms(&small, 96) > 0 && no_value_harms(&large, 2) > 0, "signatures were inserted");
}

#[test]
fn no_value_harms_a_foreign_message() {
    let Some(judges) = judges::installed("values in foreign messages") else { return };
    let (large, small): (Vec<_>, Vec<_>) = corpus::contents(&judges).into_iter().partition(|content| content.len() > LARGE);
    let inserted = no_value_harms(&small, 12);
    no_value_harms(&large, 1);
    eprintln!("{} foreign messages of up to {LARGE} octets, {inserted} times edited and read again", small.len());
    assert!(inserted > small.len(), "signatures were inserted");
}

/// Puts so many people's signatures into each message; how often there was a place for them.
fn no_value_harms(contents: &[Vec<u8>], people: u32) -> usize {
    let renderer = renderer();
    let messages: Vec<Message> = contents.iter().map(|content| Message::parse(Bytes::from(content.clone()))).collect();
    let mut inserted = 0;
    let choice = (prop::sample::select(renderer.summary().signatures.clone()), any::<bool>());
    let all = (person(), prop::collection::vec(choice, 1..4), any::<u64>());
    let mut runner = TestRunner::new(Config { cases: people, failure_persistence: None, ..Config::default() });
    let result = runner.run(&all, |(person, choices, seed)| {
        let marks = Marks { seed, domain: OURS.to_owned() };
        let mut stacks: HashMap<u8, Vec<Placed>> = HashMap::new();
        for message in &messages {
            let Some(format) = message.format() else { continue };
            let stack = stacks.entry(format as u8).or_insert_with(|| stack(&renderer, &person, &choices, format));
            match insert(message, stack, &marks) {
                Ok(edited) => stays_itself(message, &edited)?,
                Err(unedited) => prop_assert_ne!(unedited.reason, "malformed-fragment", "{:?}", stack),
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    for message in &messages {
        let plain = Person { local: "ada".to_owned(), domain: DOMAIN.to_owned(), ..Person::default() };
        let stack = stack(&renderer, &plain, &[("full".to_owned(), true)], Format::Alternative);
        inserted += usize::from(insert(message, &stack, &Marks { seed: 1, domain: OURS.to_owned() }).is_ok());
    }
    inserted * people as usize
}

/// The embedded renderer with the demo's templates.
fn renderer() -> Renderer {
    let named = |folder: &'static str| stage::FILES.iter().filter_map(move |(name, content)| Some((name.strip_prefix(folder)?, *content)));
    let text = |content: &[u8]| String::from_utf8(content.to_vec()).expect("templates are UTF-8");
    let templates: Vec<File> = named("templates/").map(|(name, content)| File { name: name.to_owned(), content: text(content) }).collect();
    let asset = |(name, content): (&str, &'static [u8])| {
        Arc::new(Asset { name: name.to_owned(), media_type: "image/png".to_owned(), content: Bytes::from_static(content) })
    };
    // A machine that is busy with other tests must not make a plugin late.
    let limits = Limits { render_deadline: Duration::from_secs(10), ..Limits::default() };
    let engine = Engine::new(&EngineSettings::default()).expect("the engine starts");
    Renderer::load(&engine, DEFAULT_RENDERER, &templates, named("assets/").map(asset).collect(), &limits)
        .expect("the demo's templates are good")
}

fn person() -> impl Strategy<Value = Person> {
    let local = prop::sample::select(vec!["ada", "o'neil", "\"a b\"", "x+y", "дворжак", "<i>"]);
    let part = prop_oneof![5 => prop::sample::select(&PIECES[..]).prop_map(str::to_owned), 1 => any::<String>()];
    let value = prop_oneof![
        1 => Just(String::new()),
        12 => prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat()),
        1 => prop::sample::select(vec!["W", "ü ", "<b>\"", "--boundary\r\n"]).prop_map(|piece| piece.repeat(400)),
    ];
    (local, prop::collection::vec(value, ATTRIBUTES.len())).prop_map(|(local, values)| Person {
        local: local.to_owned(),
        domain: DOMAIN.to_owned(),
        attributes: ATTRIBUTES.iter().map(|name| (*name).to_owned()).zip(values).filter(|(_, value)| !value.is_empty()).collect(),
        groups: vec!["everyone".to_owned()],
    })
}

/// What the pipeline hands to `mime` for these choices. No value brings an element that the templates do not have.
fn stack(renderer: &Renderer, person: &Person, choices: &[(String, bool)], format: Format) -> Vec<Placed> {
    let now = Moment { unix_milliseconds: 1_764_000_000_000, offset_minutes: 60, zone: "Europe/Berlin".to_owned() };
    let placed = choices.iter().map(|(id, end)| {
        let fragment = renderer.render(id, person, "en-GB", &now, format).unwrap_or_else(|fault| panic!("{id} for {person:?}: {fault}"));
        let html = fragment.html.as_deref().unwrap_or_default();
        assert!(!["<script", "<img src=x", "<body", "href=\"javascript:"].iter().any(|harm| html.contains(harm)), "{html}");
        let assets = fragment.images.iter().filter_map(|name| renderer.asset(name).cloned()).collect();
        Placed { id: id.clone(), placement: if *end { Placement::End } else { Placement::NewestReply }, fragment, assets }
    });
    placed.collect()
}

/// Everything that an edit must keep.
fn stays_itself(message: &Message, edited: &Edited) -> Result<(), TestCaseError> {
    let (input, output) = (message.content(), edited.pieces().flat_map(|piece| piece.iter().copied()).collect::<Vec<u8>>());
    let shown = || String::from_utf8_lossy(&output).into_owned();
    prop_assert!(Message::parse(Bytes::from(output.clone())).class() == Class::Editable, "{}", shown());
    prop_assert_eq!(&without_additions(edited, input, &output), input, "{}", shown());
    prop_assert_eq!(foreign_fields(&output), foreign_fields(input), "{}", shown());
    let header = |content: &[u8]| signet::header::body_start(content);
    prop_assert!(is_regular(&output[..header(&output)]) || !is_regular(&input[..header(input)]), "{}", shown());
    for (what, is_in) in [("NUL", has_nul as fn(&[u8]) -> bool), ("bare CR or LF", has_bare), ("long line", has_long_line)] {
        prop_assert!(!is_in(&output) || is_in(input), "{} in {}", what, shown());
    }
    same_parts(input, &output, edited.report().len()).map_err(|wrong| TestCaseError::fail(format!("{wrong}\n{}", shown())))
}

/// Takes the additions out of the output again.
fn without_additions(edited: &Edited, input: &[u8], output: &[u8]) -> Vec<u8> {
    let (mut rest, mut found, mut at) = (output, Vec::new(), 0);
    for splice in edited.splices() {
        let (kept, behind) = rest.split_at((splice.at.start - at).min(rest.len()));
        found.extend_from_slice(kept);
        found.extend_from_slice(&input[splice.at.clone()]);
        rest = behind.strip_prefix(&splice.with[..]).unwrap_or_default();
        at = splice.at.end;
    }
    found.extend_from_slice(rest);
    found
}

/// The fields at the top that no editor of MIME has to do with, octet for octet.
fn foreign_fields(content: &[u8]) -> Vec<&[u8]> {
    let ours = |name: &str| name.starts_with("content-") || name.starts_with("x-signet-original-") || name == "mime-version";
    let found = fields(content).filter(|field| !ours(String::from_utf8_lossy(field.name).trim().to_ascii_lowercase().as_str()));
    found.map(|field| &content[field.span.clone()]).collect()
}

fn has_nul(content: &[u8]) -> bool {
    content.contains(&0)
}

fn has_bare(content: &[u8]) -> bool {
    content.starts_with(b"\n") || content.ends_with(b"\r") || content.windows(2).any(|pair| (pair[0] == b'\r') != (pair[1] == b'\n'))
}

fn has_long_line(content: &[u8]) -> bool {
    content.split_inclusive(|&octet| octet == b'\n').any(|line| line.len() > LONGEST_LINE)
}

/// The same leaves in the same order, and between them nothing but our images. At most as many as were reported changed, and those only gained.
fn same_parts(input: &[u8], output: &[u8], reported: usize) -> Result<(), String> {
    let parse = |content| MessageParser::new().parse(content).ok_or_else(|| "mail-parser finds no message".to_owned());
    let (before, after) = (parse(input)?, parse(output)?);
    let is_leaf = |part: &MessagePart<'_>| part.children().len() == 0;
    let is_ours = |part: &MessagePart<'_>| part.content_id().is_some_and(|id| id.trim_end_matches('>').ends_with(&format!("@{OURS}")));
    let leaves = |(of, ours): (&_, bool)| leaves_of(of, &is_leaf, &|part| ours == is_ours(part));
    let (old, new, images) = (leaves((&before, false)), leaves((&after, false)), leaves((&after, true)));
    if let Some(other) = images.iter().find(|image| !image.label.starts_with("image/png ")) {
        return Err(format!("{} was added", other.label));
    }
    if old.len() != new.len() {
        return Err(format!("{} parts became {}", old.len(), new.len()));
    }
    let mut changed = 0;
    for (old, new) in old.iter().zip(&new) {
        if old.label != new.label {
            return Err(format!("{} became {}", old.label, new.label));
        }
        if old.content != new.content {
            changed += 1;
            if !old.is_body || !is_within(&old.text, &new.text) {
                return Err(format!("{} lost something", old.label));
            }
        }
    }
    if changed > reported { Err(format!("{changed} parts changed, {reported} are reported")) } else { Ok(()) }
}

/// What is compared of a leaf.
struct Leaf {
    label: String,
    is_body: bool,
    content: Vec<u8>,
    text: String,
}

fn leaves_of(
    message: &mail_parser::Message<'_>,
    is_leaf: &dyn Fn(&MessagePart<'_>) -> bool,
    wanted: &dyn Fn(&MessagePart<'_>) -> bool,
) -> Vec<Leaf> {
    let leaf = |part: MessagePart<'_>| {
        let kind = part.content_type().map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_ascii_lowercase());
        let kind = kind.unwrap_or_else(|| "text/plain".to_owned());
        let label = format!("{kind} {:?}", part.attachment_name());
        let text = part.text().map(|text| text.chars().filter(|character| !character.is_whitespace()).collect()).unwrap_or_default();
        Leaf { label, is_body: kind.starts_with("text/"), content: part.decoded().into_owned(), text }
    };
    message.parts().filter(|part| is_leaf(part) && wanted(part)).map(leaf).collect()
}

/// Whether every character of `old` is in `new`, in order.
fn is_within(old: &str, new: &str) -> bool {
    let mut new = new.chars();
    old.chars().all(|wanted| new.any(|found| found == wanted))
}

/// A signature for some of the domains, so that a list of recipients falls into many copies.
fn rules() -> String {
    let mut rules = "settings.copies = 5\n".to_owned();
    for (number, signature) in ["full", "reply", "company", "modern", "classic", "compact", "rtl"].iter().enumerate() {
        // Writing to a String cannot fail.
        write!(rules, "[[rule]]\nname = \"{number}\"\nsignature = \"{signature}\"\nrecipient.domains = [\"d{number}.example\"]\n").ok();
    }
    rules + "[[rule]]\nname = \"Colleagues\"\nskip = \"colleagues\"\nrecipient.class = \"internal\"\n"
}

#[test]
fn every_recipient_of_any_list_gets_the_message_once() {
    let rig = run(Setup::signing().start());
    rig.rewrite("rules.toml", |_| rules());
    run(rig.reload()).expect("the rules are good");
    // Upper and lower case are different mailboxes or the same one: that is for the next hop to know.
    let recipient = (
        "[abAB]{1,2}",
        prop::sample::select(vec![
            DOMAIN,
            "d0.example",
            "D1.example",
            "d2.example",
            "d3.example",
            "d4.example",
            "d5.example",
            "d6.example",
            "else.example",
        ]),
    )
        .prop_map(|(local, domain)| format!("{local}@{domain}"));
    let lists = prop_oneof![2 => prop::collection::vec(recipient.clone(), 1..12), 1 => prop::collection::vec(recipient, 100..300)];
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let result = runner.run(&lists, |list| {
        let to: Vec<&str> = list.iter().map(String::as_str).collect();
        // None of them is named in the message: they are all blind copies.
        let reply =
            run(rig.send("hanna.lindqvist@northwind.example", &to, &message("hanna.lindqvist@northwind.example", "list", "Hello.\r\n")));
        prop_assert_eq!(reply.code, 250, "{}", reply.text());
        let event = rig.event();
        prop_assert_eq!(event.copies.iter().map(|copy| copy.recipients).sum::<usize>(), list.len());
        prop_assert!(event.copies.len() <= 5);
        let arrived = rig.arrived();
        let mut served: Vec<String> = arrived.iter().flat_map(|received| received.recipients.clone()).collect();
        let mut wanted: Vec<String> = list.iter().map(|address| format!("<{address}>")).collect();
        served.sort();
        wanted.sort();
        prop_assert_eq!(served, wanted);
        for received in &arrived {
            // Received names who is alone, to nobody else.
            let own = format!("for {}", received.recipients[0]);
            let content = String::from_utf8_lossy(&received.content).replace(&own, "");
            prop_assert!(!list.iter().any(|address| content.contains(address.as_str())), "a copy names a recipient: {}", content);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
