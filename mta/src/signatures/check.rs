//! `signet signatures check DIR`: everything that can be known about rules and templates before a message comes.
//!
//! The plugins say what is wrong with their files, and which rules stand in each other's way. Here the parts are held against each other: ids that
//! are chosen and ids that exist, groups and attributes that are named and those that the directory has, and what the signatures weigh when they are
//! rendered for real people.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::SystemTime;

use toml::de::{DeTable, DeValue};

use super::{Question, Workbench, WorkbenchError, finding};
use crate::address::Mailbox;
use crate::mime::{Stray, stray};
use crate::plugin::{Diagnostic, File, Severity};
use crate::signature::{Format, Outcome, Person};

/// Every signature is rendered for so many people, spread over the directory: enough to meet long names and missing fields, and a second's work.
const PEOPLE: usize = 200;

/// Prints all findings, then what each signature weighs; whether there is no error.
pub fn check(workbench: &Workbench, at: SystemTime, out: &mut dyn Write) -> Result<bool, WorkbenchError> {
    let mut findings = workbench.findings.clone();
    findings.extend(ids(workbench));
    findings.extend(groups(workbench));
    findings.extend(variable_groups(workbench));
    findings.extend(languages(workbench));
    findings.extend(unknown_senders(workbench, at));
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
            let message = format!("the directory has no group {group:?}{}", suggestion(&group, known));
            findings.push(at(file, offset, Severity::Warning, "groups", message));
        }
    }
    findings
}

/// Groups for which the templates' settings have variables.
fn variable_groups(workbench: &Workbench) -> Vec<Diagnostic> {
    let known = workbench.folder.directory.all_groups();
    let mut findings = Vec::new();
    for file in workbench.folder.templates.iter().filter(|file| file.name.ends_with(".toml")) {
        let Ok(table) = DeTable::parse(&file.content) else { continue };
        let Some(DeValue::Table(groups)) = table.get_ref().get("group").map(|value| value.get_ref()) else { continue };
        for key in groups.keys().filter(|key| known.binary_search_by(|id| id.as_str().cmp(key.get_ref())).is_err()) {
            let message = format!("the directory has no group {:?}{}", key.get_ref(), suggestion(key.get_ref(), known));
            findings.push(in_templates(at(file, key.span().start, Severity::Warning, "group", message)));
        }
    }
    findings
}

/// Templates of a language in which nothing is ever rendered.
fn languages(workbench: &Workbench) -> Vec<Diagnostic> {
    let folder = &workbench.folder;
    if !folder.locale_from.is_empty() {
        return Vec::new();
    }
    let language = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let of_name =
        |file: &&File| file.name.strip_suffix(".html").or(file.name.strip_suffix(".txt"))?.split_once('.').map(|(_, tag)| language(tag));
    let foreign = folder.templates.iter().filter(|file| of_name(file).is_some_and(|tag| tag != language(&folder.locale)));
    foreign
        .map(|file| {
            let message = format!(
                "is never used: every message has the tenant's locale {:?}; write locale_from = [\"person\"] in tenant.toml (and in the \
                 configuration) to take the language from the sender's preferredLanguage",
                folder.locale
            );
            in_templates(Diagnostic { severity: Severity::Warning, file: file.name.clone(), line: 0, key: String::new(), message })
        })
        .collect()
}

/// Signatures that somebody whom the directory does not know would get, with holes where the person's attributes belong.
fn unknown_senders(workbench: &Workbench, now: SystemTime) -> Vec<Diagnostic> {
    let domain = workbench.folder.own_domain().map_or_else(|| "unknown.invalid".to_owned(), |domain| domain.as_str().to_owned());
    let Ok(stranger) = Mailbox::parse(&format!("{STRANGER}@{domain}")) else { return Vec::new() };
    let Ok(outside) = Mailbox::parse(OUTSIDE) else { return Vec::new() };
    let question = Question { from: Some(stranger), to: vec![outside], ..Question::at(now) };
    let Ok(answered) = workbench.answer(&question) else { return Vec::new() };
    let variables = variables(&workbench.folder.templates);
    let personal: Vec<&String> = workbench.renderer.description().attributes.iter().filter(|name| !variables.contains(*name)).collect();
    let mut findings = Vec::new();
    for answer in &answered.copies {
        let Outcome::Sign(choices) = &answer.plan.outcome else { continue };
        for id in choices.iter().map(|choice| &choice.id) {
            let named = files_of(workbench, id).any(|file| personal.iter().any(|name| printed(&file.content).any(|word| word == *name)));
            if named {
                let message =
                    "somebody whom the directory does not know gets this signature, without name or number; add `sender.known = true` to \
                               the rule, or choose a signature of the company for them"
                        .to_owned();
                findings.push(place(&workbench.folder.rules, &format!("{id:?}"), Severity::Warning, "signature", message));
            }
        }
    }
    findings
}

/// An address that no directory has.
const STRANGER: &str = "signet-check-unknown-sender";

/// Somebody outside every company (RFC 2606 section 2).
const OUTSIDE: &str = "somebody@outside.invalid";

/// The templates that the signature is rendered from, as far as their names tell.
fn files_of<'w>(workbench: &'w Workbench, id: &'w str) -> impl Iterator<Item = &'w File> {
    workbench.folder.templates.iter().filter(move |file| file.name.split('.').next() == Some(id))
}

/// The words of what a template prints.
fn printed(template: &str) -> impl Iterator<Item = &str> {
    let prints = template.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(print, _)| print);
    prints.flat_map(|print| print.split(|char: char| !char.is_alphanumeric() && char != '_'))
}

/// A known name that differs in letter case only, or in a letter or two.
fn suggestion(wanted: &str, known: &[String]) -> String {
    let distance = |known: &&String| strsim::damerau_levenshtein(&wanted.to_lowercase(), &known.to_lowercase());
    let nearest = known.iter().min_by_key(distance).filter(|known| distance(known) <= 2);
    nearest.map(|nearest| format!("; it has {nearest:?}")).unwrap_or_default()
}

fn in_templates(found: Diagnostic) -> Diagnostic {
    Diagnostic { file: format!("{}/{}", super::folder::TEMPLATES, found.file), ..found }
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
            let message = format!("nobody in the directory has the attribute {name:?}{}", suggestion(name, known));
            let mut found = place(files, name, Severity::Warning, "attribute", message);
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
            match workbench.render(id, person, &workbench.locale(person), at, Format::Alternative) {
                Ok(placed) => {
                    weight.add(address, &placed);
                    if let Some(stray) = placed.fragment.html.as_deref().and_then(stray) {
                        findings.push(uncontained(workbench, id, address, &stray));
                        break;
                    }
                }
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

/// A signature that cannot be put into any message, with the line of its template when that shows the same.
fn uncontained(workbench: &Workbench, id: &str, address: &str, found: &Stray) -> Diagnostic {
    let written = files_of(workbench, id).filter(|file| file.name.ends_with(".html"));
    let in_source = written.filter_map(|file| Some((file, stray(&file.content)?))).find(|(_, other)| other.what == found.what);
    let message = format!(
        "{}, so the signature would reach beyond itself and is never added to a message (rendered for {address}); close every element, and close \
         nothing else: <div>...</div>",
        found.what
    );
    match in_source {
        Some((file, other)) => in_templates(at(file, other.at, Severity::Error, id, message)),
        None => Diagnostic { severity: Severity::Error, file: super::folder::TEMPLATES.to_owned(), line: 0, key: id.to_owned(), message },
    }
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
