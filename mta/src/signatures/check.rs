//! `signet signatures check DIR`: everything that can be known about rules and templates before a message comes.
//!
//! The plugins say what is wrong with their files, and which rules stand in each other's way. Here the parts are held against each other: ids that
//! are chosen and ids that exist, groups and attributes that are named and those that the directory has, and what the signatures weigh when they are
//! rendered for real people.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::SystemTime;

use toml::de::{DeTable, DeValue};

use super::{Workbench, WorkbenchError, finding};
use crate::address::Mailbox;
use crate::plugin::{Diagnostic, File, Severity};
use crate::signature::{Format, Person};

/// Every signature is rendered for so many people, spread over the directory: enough to meet long names and missing fields, and a second's work.
const PEOPLE: usize = 200;

/// Prints all findings, then what each signature weighs; whether there is no error.
pub fn check(workbench: &Workbench, at: SystemTime, out: &mut dyn Write) -> Result<bool, WorkbenchError> {
    let mut findings = workbench.findings.clone();
    findings.extend(ids(workbench));
    findings.extend(groups(workbench));
    findings.extend(attributes(workbench));
    let weights = weigh(workbench, at, &mut findings);
    findings.sort_by(|one, other| (&one.file, one.line, &one.message).cmp(&(&other.file, other.line, &other.message)));
    findings.dedup();
    for found in &findings {
        writeln!(out, "{}", finding(found))?;
    }
    print(&weights, out)?;
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let rules = workbench.selector.summary().rules;
    let signatures = workbench.renderer.summary().signatures.len();
    let people = workbench.folder.directory.people();
    let warnings = findings.len() - errors;
    writeln!(out, "{rules} rules, {signatures} signatures, {people} people: {errors} errors, {warnings} warnings")?;
    Ok(errors == 0)
}

/// Signatures that are chosen and do not exist, and the other way round.
fn ids(workbench: &Workbench) -> Vec<Diagnostic> {
    let (chosen, defined) = (&workbench.selector.summary().signatures, &workbench.renderer.summary().signatures);
    let missing = chosen.iter().filter(|id| !defined.contains(id)).map(|id| {
        let message = format!("chooses signature {id:?}, which no template defines; there are {}", defined.join(", "));
        place(&workbench.folder.rules, id, Severity::Error, "signature", message)
    });
    let idle = defined.iter().filter(|id| !chosen.contains(id)).map(|id| Diagnostic {
        severity: Severity::Warning,
        file: super::folder::TEMPLATES.to_owned(),
        line: 0,
        key: id.clone(),
        message: "no rule chooses this signature".to_owned(),
    });
    missing.chain(idle).collect()
}

/// Groups that rules name and the directory does not have: such a rule never applies.
fn groups(workbench: &Workbench) -> Vec<Diagnostic> {
    let known = workbench.folder.directory.all_groups();
    let mut findings = Vec::new();
    for file in workbench.folder.rules.iter().filter(|file| file.name.ends_with(".toml")) {
        let mut named = Vec::new();
        if let Ok(table) = DeTable::parse(&file.content) {
            collect(table.get_ref(), false, &mut named);
        }
        for (group, offset) in named.into_iter().filter(|(group, _)| known.binary_search(group).is_err()) {
            let message = format!("the directory has no group {group:?}");
            findings.push(at(file, offset, Severity::Warning, "groups", message));
        }
    }
    findings
}

/// The texts below keys that are called `groups`, with their places.
fn collect(table: &DeTable<'_>, wanted: bool, named: &mut Vec<(String, usize)>) {
    for (key, value) in table {
        descend(value.get_ref(), value.span().start, wanted || key.get_ref() == "groups", named);
    }
}

fn descend(value: &DeValue<'_>, offset: usize, wanted: bool, named: &mut Vec<(String, usize)>) {
    match value {
        DeValue::String(text) if wanted => named.push((text.to_string(), offset)),
        DeValue::Array(items) => items.iter().for_each(|item| descend(item.get_ref(), item.span().start, wanted, named)),
        DeValue::Table(table) => collect(table, wanted, named),
        _ => {}
    }
}

/// Attributes that rules or templates name and nobody in the directory has.
fn attributes(workbench: &Workbench) -> Vec<Diagnostic> {
    let known = workbench.folder.directory.attribute_names();
    let own = |name: &str| {
        known.iter().any(|known| known == name.strip_prefix("manager.").or_else(|| name.strip_prefix("assistant.")).unwrap_or(name))
    };
    let by_rules = workbench.selector.description().attributes.iter().map(|name| (name, &workbench.folder.rules));
    let by_templates = workbench.renderer.description().attributes.iter().map(|name| (name, &workbench.folder.templates));
    let unknown = by_rules.chain(by_templates).filter(|(name, _)| !own(name));
    let variables = variables(&workbench.folder.templates);
    let unknown = unknown.filter(|(name, _)| !variables.contains(name.as_str()));
    // A name that stands in no file is the plugin's own wish.
    let written = unknown.filter(|(name, files)| files.iter().any(|file| file.content.contains(name.as_str())));
    written
        .map(|(name, files)| {
            let mut found = place(files, name, Severity::Warning, name, "nobody in the directory has this attribute".to_owned());
            if std::ptr::eq(files, &workbench.folder.templates) {
                found.file = format!("{}/{}", super::folder::TEMPLATES, found.file);
            }
            found
        })
        .collect()
}

/// Every key in the settings of the templates: what is a variable there is not missed where a person does not have it.
fn variables(files: &[File]) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for file in files.iter().filter(|file| file.name.ends_with(".toml")) {
        if let Ok(table) = DeTable::parse(&file.content) {
            all_keys(table.get_ref(), &mut keys);
        }
    }
    keys
}

fn all_keys(table: &DeTable<'_>, keys: &mut BTreeSet<String>) {
    for (key, value) in table {
        keys.insert(key.get_ref().to_string());
        if let DeValue::Table(table) = value.get_ref() {
            all_keys(table, keys);
        }
    }
}

/// A finding at the first line that has the word.
fn place(files: &[File], word: &str, severity: Severity, key: &str, message: String) -> Diagnostic {
    let found = files.iter().find_map(|file| Some((file, file.content.find(word)?)));
    match found {
        Some((file, offset)) => at(file, offset, severity, key, message),
        None => Diagnostic { severity, file: String::new(), line: 0, key: key.to_owned(), message },
    }
}

fn at(file: &File, offset: usize, severity: Severity, key: &str, message: String) -> Diagnostic {
    let line = file.content.as_bytes()[..offset.min(file.content.len())].iter().filter(|octet| **octet == b'\n').count() + 1;
    Diagnostic { severity, file: file.name.clone(), line: u32::try_from(line).unwrap_or(0), key: key.to_owned(), message }
}

/// What one signature weighs at most.
#[derive(Debug, Default)]
struct Weight {
    id: String,
    html: (usize, String),
    text: (usize, String),
    images: BTreeSet<String>,
    image_octets: usize,
}

fn weigh(workbench: &Workbench, at: SystemTime, findings: &mut Vec<Diagnostic>) -> Vec<Weight> {
    let people = people(workbench);
    let mut weights = Vec::new();
    for id in &workbench.renderer.summary().signatures {
        let mut weight = Weight { id: id.clone(), ..Weight::default() };
        for (address, person) in &people {
            match workbench.render(id, person, workbench.locale(), at, Format::Alternative) {
                Ok(placed) => weight.add(address, &placed),
                Err(error) => {
                    findings.push(Diagnostic {
                        severity: Severity::Error,
                        file: super::folder::TEMPLATES.to_owned(),
                        line: 0,
                        key: id.clone(),
                        message: format!("cannot be rendered for {address}: {error}"),
                    });
                    break;
                }
            }
        }
        weights.push(weight);
    }
    weights
}

impl Weight {
    fn add(&mut self, address: &str, placed: &crate::signature::Placed) {
        for (most, form) in [(&mut self.html, &placed.fragment.html), (&mut self.text, &placed.fragment.text)] {
            let octets = form.as_ref().map_or(0, String::len);
            if octets > most.0 {
                *most = (octets, address.to_owned());
            }
        }
        for asset in &placed.assets {
            if self.images.insert(asset.name.clone()) {
                self.image_octets += asset.content.len();
            }
        }
    }
}

/// People all over the directory; somebody invented where it is empty.
fn people(workbench: &Workbench) -> Vec<(String, Person)> {
    let addresses: Vec<&str> = workbench.folder.directory.people_addresses().collect();
    let step = addresses.len().div_ceil(PEOPLE).max(1);
    let spread = addresses.iter().step_by(step).filter_map(|address| Some(((*address).to_owned(), Mailbox::parse(address).ok()?)));
    let mut people: Vec<(String, Person)> = spread.map(|(address, mailbox)| (address, workbench.person(&mailbox))).collect();
    if people.is_empty() {
        people.push(("somebody unknown".to_owned(), Person::default()));
    }
    people
}

fn print(weights: &[Weight], out: &mut dyn Write) -> Result<(), WorkbenchError> {
    if weights.is_empty() {
        return Ok(());
    }
    let width = weights.iter().map(|weight| weight.id.len()).max().unwrap_or_default().max(9);
    writeln!(out, "{:width$}  {:>8}  {:>8}  {:>6}  {:>8}  largest for", "signature", "HTML", "text", "images", "octets")?;
    for weight in weights {
        let Weight { id, html, text, images, image_octets } = weight;
        writeln!(out, "{id:width$}  {:>8}  {:>8}  {:>6}  {image_octets:>8}  {}", html.0, text.0, images.len(), html.1)?;
    }
    Ok(())
}
