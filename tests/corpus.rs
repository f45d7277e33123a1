//! Real messages that nobody here wrote go through the running server, and programs that nobody here wrote look at what arrives.
//!
//! Each message is sent twice: as it was found, with the signature under the newest text; and with a From of the tenant, so that Signet adds a DKIM
//! signature, with the signature at the end. What arrived the first time is sent a third time: it must pass untouched, on a longer ARC chain.
//! Python's email parser compares trees and octets (`judges/tree.py`); dkimpy, OpenDKIM and Mail::DKIM verify every seal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use signet::event::MessageEvent;

use crate::harness::*;
use crate::judges::{self, Judges};

/// The issue asks for so many messages at least.
const FEWEST: usize = 250;
/// In every signature's HTML and text.
const MARK: &str = "Northwind Harbour";
const AUTHOR: &str = "hanna.lindqvist@northwind.example";

/// Senders whom the directory knows get their signature at the end, others under the newest text.
const RULES: &str = r#"
[[rule]]
name = "Known senders"
signature = ["full", "banner"]
placement = "end"
sender.known = true

[[rule]]
name = "Everybody else"
signature = ["full", "banner"]
"#;

/// Where Python's email parser is known to see another tree than Signet: message, and why Signet's is right.
const OTHER_TREES: [(&str, &str); 1] = [(
    "mail-parser-crate~regressions~header-name-blanks-before-colon",
    "Python ends the header section at \"From<TAB>:\", a field name with white space behind it (RFC 5322 section 4.5.8)",
)];

/// The pass in which all messages arrive with our own ARC set.
const SECOND: &str = "second-time";

struct Mail {
    name: String,
    content: Vec<u8>,
}

/// What was done to the files to make mail of them; no octet of content is touched otherwise.
#[derive(Default)]
struct Preparation {
    line_ends: usize,
    last_line_ends: usize,
}

#[test]
fn real_messages_pass_with_nothing_changed_but_what_was_inserted_and_all_seals_verify() {
    let Some(judges) = judges::installed("real messages") else { return };
    let mut preparation = Preparation::default();
    let found = gather(&judges, &mut preparation);
    let own: Vec<Mail> = found.iter().map(|mail| Mail { name: mail.name.clone(), content: with_own_author(&mail.content) }).collect();
    eprintln!(
        "{} messages; line ends made CRLF in {}, last line ended in {}; From replaced for the second pass in {}",
        found.len(),
        preparation.line_ends,
        preparation.last_line_ends,
        own.len()
    );
    let tenant = TenantSetup { selector: None, alignment: "unaligned = \"sign\"".to_owned(), ..TenantSetup::northwind() }.sealed();
    let rig = run(Setup::new().section("limits", "errors = 1000").tenant(tenant).start());
    rig.rewrite("rules.toml", |_| RULES.to_owned());
    run(rig.reload()).expect("the rules are good");
    let folder = judges.output("corpus");
    let passes = [Pass::send(&rig, "as-found", &found, &folder), Pass::send(&rig, "own-author", &own, &folder)];
    let again: Vec<Mail> =
        passes[0].arrived.iter().map(|(name, content, _)| Mail { name: name.clone(), content: content.clone() }).collect();
    let second = Pass::send(&rig, SECOND, &again, &folder);
    assert_eq!((second.arrived.len(), second.edited()), (again.len(), 0), "what was processed once passes untouched");

    for (mail, (name, content, _)) in again.iter().zip(&second.arrived) {
        assert!(content.ends_with(&without_what_is_written_anew(&mail.content)), "{name} changed the second time");
    }

    let mut wrong: Vec<String> = passes.iter().flat_map(|pass| pass.trees(&judges)).collect();
    for pass in passes.iter().chain([&second]) {
        assert!(pass.arrived.len() >= FEWEST, "{}: only {} messages arrived", pass.name, pass.arrived.len());
        pass.print();
        wrong.extend(pass.seals(&judges, &folder));
    }
    assert!(passes.iter().all(|pass| pass.edited() * 2 > pass.arrived.len()), "most messages get a signature");
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
}

/// All messages without their names, for other tests.
pub(crate) fn contents(judges: &Judges) -> Vec<Vec<u8>> {
    gather(judges, &mut Preparation::default()).into_iter().map(|mail| mail.content).collect()
}

/// All messages, in the order of their names.
fn gather(judges: &Judges, preparation: &mut Preparation) -> Vec<Mail> {
    let script = "import os, test.test_email; print(os.path.dirname(test.test_email.__file__))";
    let python = PathBuf::from(judges::output(judges.python().args(["-c", script])).trim()).join("data");
    let talon = judges.source("talon-1.4.4").join("tests/fixtures");
    let dkimpy = judges.source("dkimpy-1.1.8").join("dkim/tests/data");
    let sources: [(&str, PathBuf, &[&str]); 5] = [
        ("cpython", python, &["txt"]),
        ("mail-parser-crate", crate_folder("mail-parser", "1.0.1").join("resources/eml"), &["eml"]),
        ("mail-parser-pypi", judges.source("mail-parser-4.8.0").join("tests/mails"), &[]),
        ("talon", talon, &["eml"]),
        ("dkimpy", dkimpy, &["msg", "message", "baddomain"]),
    ];
    let mut all = Vec::new();
    for (name, folder, extensions) in sources {
        let before = all.len();
        for path in files(&folder) {
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if extensions.is_empty() || extensions.contains(&extension.as_str()) {
                let below = path.strip_prefix(&folder).expect("it is below").with_extension("");
                let below = below.to_string_lossy().replace('/', "~");
                let below = if extension == "baddomain" { below + "-baddomain" } else { below };
                let content = prepared(&fs::read(&path).expect("the file can be read"), preparation);
                all.push(Mail { name: format!("{name}~{below}"), content });
            }
        }
        eprintln!("{:>4} from {name}", all.len() - before);
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let names: BTreeSet<&str> = all.iter().map(|mail| mail.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "names are different");
    all
}

/// The unpacked source of a dependency.
fn crate_folder(name: &str, version: &str) -> PathBuf {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let version_of_rustc = judges::output(Command::new("rustc").arg("-vV"));
    let host = version_of_rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let mut ask = Command::new(cargo);
    // Only what is built for this machine has been downloaded.
    ask.args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host, "--manifest-path", manifest]);
    let text = judges::output(&mut ask);
    let metadata: Value = serde_json::from_str(&text).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let package = packages.iter().find(|package| package["name"] == name && package["version"] == version).expect("a dependency");
    let manifest = PathBuf::from(package["manifest_path"].as_str().expect("a path"));
    manifest.parent().expect("a folder").to_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Files have the line ends of the machine that they were made on.
fn prepared(content: &[u8], preparation: &mut Preparation) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 1024);
    for line in content.split_inclusive(|&octet| octet == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(text.strip_suffix(b"\r").filter(|_| text.len() < line.len()).unwrap_or(text));
        if text.len() < line.len() {
            out.extend_from_slice(b"\r\n");
        }
    }
    preparation.line_ends += usize::from(out != content);
    if !out.ends_with(b"\r\n") {
        preparation.last_line_ends += 1;
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The message with one From field, on top, that names somebody of the tenant.
fn with_own_author(content: &[u8]) -> Vec<u8> {
    let mut out = format!("From: Hanna Lindqvist <{AUTHOR}>\r\n").into_bytes();
    let mut at = 0;
    for field in signet::header::fields(content).filter(|field| field.name.trim_ascii().eq_ignore_ascii_case(b"from")) {
        out.extend_from_slice(&content[at..field.span.start]);
        at = field.span.end;
    }
    out.extend_from_slice(&content[at..]);
    out
}

/// The only fields that are taken out of what we processed before: both are written anew, on top.
fn without_what_is_written_anew(content: &[u8]) -> Vec<u8> {
    let ours = |field: &signet::header::Field<'_>| {
        field.is("X-Signet-Loop") || field.is("Authentication-Results") && field.text().starts_with(SIGNET)
    };
    let mut out = Vec::with_capacity(content.len());
    let mut at = 0;
    for field in signet::header::fields(content).filter(ours) {
        out.extend_from_slice(&content[at..field.span.start]);
        at = field.span.end;
    }
    out.extend_from_slice(&content[at..]);
    out
}

/// All messages, sent in one way.
struct Pass {
    name: &'static str,
    folder: PathBuf,
    /// Name, what arrived, what Signet says about it.
    arrived: Vec<(String, Vec<u8>, MessageEvent)>,
    refused: Vec<(String, String)>,
}

impl Pass {
    fn send(rig: &Rig, name: &'static str, mails: &[Mail], folder: &Path) -> Self {
        let begun = std::time::Instant::now();
        let folder = folder.join(name);
        fs::create_dir(&folder).expect("the folder can be made");
        let mut pass = Self { name, folder, arrived: Vec::new(), refused: Vec::new() };
        run(async {
            let mut client = rig.secure(&[]).await;
            for (number, mail) in mails.iter().enumerate() {
                let from = format!("<{AUTHOR}> BODY=8BITMIME");
                let to = ["bob@contoso.example"];
                let reply = match number % 2 {
                    0 => client.mail_chunked(&from, &to, &mail.content).await,
                    _ => client.mail(&from, &to, &mail.content).await,
                };
                if reply.code != 250 {
                    rig.events();
                    pass.refused.push((mail.name.clone(), reply.text()));
                    continue;
                }
                let event = rig.event();
                assert!(event.fault.is_empty(), "{}: {}", mail.name, event.fault);
                let content = rig.one().content;
                fs::write(pass.folder.join(format!("{}.in", mail.name)), &mail.content).expect("the message can be written");
                fs::write(pass.folder.join(format!("{}.out", mail.name)), &content).expect("the message can be written");
                pass.arrived.push((mail.name.clone(), content, event));
            }
        });
        eprintln!("\n== {name}: {} sent, {} arrived, {} ms", mails.len(), pass.arrived.len(), begun.elapsed().as_millis());
        pass
    }

    fn edited(&self) -> usize {
        self.arrived.iter().filter(|(_, _, event)| !event.copies[0].signatures.is_empty()).count()
    }

    /// How many were edited where, and why the others were not.
    fn print(&self) {
        let mut table: BTreeMap<String, usize> = BTreeMap::new();
        for (_, _, event) in &self.arrived {
            let copy = &event.copies[0];
            let row = match copy.signatures.is_empty() {
                true => format!("not edited: {}", copy.reason),
                false => "edited".to_owned(),
            };
            *table.entry(row).or_default() += 1;
            for placement in &copy.placements {
                *table.entry(format!("  placed in {placement}")).or_default() += 1;
            }
            for seal in &copy.seals {
                *table.entry(format!("  sealed: {seal}")).or_default() += 1;
            }
        }
        eprintln!("-- {}: what Signet did", self.name);
        table.iter().for_each(|(row, count)| eprintln!("{count:>6}  {row}"));
        self.refused.iter().for_each(|(name, reply)| eprintln!("refused {name}: {reply}"));
    }

    /// Python's email parser about what arrived.
    fn trees(&self, judges: &Judges) -> Vec<String> {
        let answers = judges::objects(judges.script("tree.py").args([MARK, SIGNET]).arg(&self.folder));
        assert_eq!(answers.len(), self.arrived.len());
        let mut wrong = Vec::new();
        let mut table: BTreeMap<String, usize> = BTreeMap::new();
        let (mut parts, mut added) = (0, 0);
        for answer in &answers {
            let name = answer["name"].as_str().expect("a name");
            let how = answer["how"].as_str().expect("a word");
            let event = &self.arrived.iter().find(|(own, _, _)| own == name).expect("it was sent").2;
            let problems = answer["problems"].as_array().expect("a list");
            let known = OTHER_TREES.iter().any(|(other, _)| *other == name);
            if !problems.is_empty() && !known {
                wrong.push(format!("{} {name}: {problems:?}", self.name));
            }
            if (how == "unchanged") != event.copies[0].signatures.is_empty() {
                wrong.push(format!("{} {name}: Signet says {:?}, the judge {how:?}", self.name, event.copies[0].reason));
            }
            if how == "recoded" {
                wrong.push(format!("{} {name}: a body was written anew", self.name));
            }
            *table.entry(how.to_owned()).or_default() += 1;
            parts += answer["parts"].as_u64().unwrap_or_default();
            added += answer["added"].as_u64().unwrap_or_default();
        }
        eprintln!("-- {}: Python's email parser compared {parts} parts of edited messages, {added} parts were added", self.name);
        table.iter().for_each(|(row, count)| eprintln!("{count:>6}  {row}"));
        wrong
    }

    /// The three verifiers about our DKIM signatures and the ARC chain.
    fn seals(&self, judges: &Judges, folder: &Path) -> Vec<String> {
        let keys = folder.join("keys.json");
        judges.write_keys(&keys);
        let broken = self.arrived.iter().filter(|(_, _, event)| event.authentication.arc == "fail");
        let mut wrong: Vec<String> = broken.map(|(name, _, _)| format!("{} {name}: arrived with arc=fail", self.name)).collect();
        for (judge, script) in [("dkimpy", "dkimpy.py"), ("mail-dkim", "mail_dkim.pl"), ("opendkim", "opendkim.py")] {
            let (mut dkim, mut arc) = (0, 0);
            // Where nothing was written there is nothing to accept, and some judges say nothing about such a header section at all.
            let sealed: Vec<_> = self.arrived.iter().filter(|(_, _, event)| !event.copies[0].seals.is_empty()).collect();
            let outputs = sealed.iter().map(|(name, _, _)| self.folder.join(format!("{name}.out")));
            let answers = judges::objects(judges.script(script).arg(&keys).arg(DOMAIN).args(outputs));
            assert_eq!(answers.len(), sealed.len(), "{judge}");
            for (answer, (name, _, event)) in answers.iter().zip(sealed) {
                let expected = Expected::of(event);
                let verdicts = answer["dkim"].as_array().expect("a list");
                let passes = verdicts.iter().filter(|verdict| *verdict == "pass").count();
                let chain = answer.get("arc").and_then(Value::as_str);
                let agrees = (passes, verdicts.len()) == (expected.dkim, expected.dkim) && chain.is_none_or(|chain| chain == expected.arc);
                if !agrees {
                    let wanted = format!("{} DKIM signatures and arc {}", expected.dkim, expected.arc);
                    wrong.push(format!("{} {name}: {judge} says {answer}, wanted are {wanted}", self.name));
                }
                dkim += passes;
                arc += usize::from(chain == Some("pass"));
            }
            eprintln!("-- {}: {judge} accepts {dkim} DKIM signatures, {arc} ARC chains", self.name);
        }
        let unsealed = self.arrived.iter().filter(|(_, _, event)| event.copies[0].unsealed == "damaged-header").count();
        eprintln!("-- {}: {unsealed} messages have a damaged header section and got no seal", self.name);
        wrong
    }
}

/// What verifiers must find.
struct Expected {
    dkim: usize,
    arc: &'static str,
}

impl Expected {
    fn of(event: &MessageEvent) -> Self {
        let seals = &event.copies[0].seals;
        let ours = seals.iter().any(|seal| seal.starts_with("arc="));
        // A chain that arrived broken stays broken: our set says cv=fail, and verifiers must say so too.
        let arc = match (event.authentication.arc, ours) {
            ("none" | "pass", true) => "pass",
            ("none", false) => "none",
            _ => "fail",
        };
        Self { dkim: seals.iter().filter(|seal| seal.starts_with("dkim=")).count(), arc }
    }
}
