//! The two written forms of a directory, and what can be wrong with them.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use toml::Spanned;

use super::{Builder, Directory, Finding, MOST_OCTETS, Severity};
use crate::address::Mailbox;

/// More findings than this are one mistake made many times.
const MOST_FINDINGS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDirectory {
    #[serde(default)]
    person: Vec<RawPerson>,
    #[serde(default)]
    group: Vec<RawGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPerson {
    address: Spanned<String>,
    #[serde(default)]
    aliases: Vec<Spanned<String>>,
    #[serde(default)]
    groups: Vec<Spanned<String>>,
    #[serde(default)]
    attributes: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    id: Spanned<String>,
    /// For people who read the file.
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default)]
    address: Option<Spanned<String>>,
    #[serde(default)]
    members: Vec<Spanned<String>>,
    /// Ids of groups that this one is a member of: its members are theirs, too.
    #[serde(default)]
    member_of: Vec<Spanned<String>>,
}

pub(super) fn from_toml(octets: &[u8]) -> (Directory, Vec<Finding>) {
    let text = match checked(octets) {
        Ok(text) => text,
        Err(finding) => return (Directory::default(), vec![finding]),
    };
    let line = |offset: usize| text.as_bytes()[..offset.min(text.len())].iter().filter(|octet| **octet == b'\n').count() + 1;
    let raw: RawDirectory = match toml::from_str(text) {
        Ok(raw) => raw,
        Err(error) => {
            let line = error.span().map_or(0, |span| line(span.start));
            return (Directory::default(), vec![error_at(line, "", error.message().to_owned())]);
        }
    };
    let mut reader =
        Reader { builder: Builder::default(), findings: Vec::new(), places: HashMap::new(), declared: HashMap::new(), line: &line };
    for group in &raw.group {
        reader.declare(group);
    }
    let declared = !raw.group.is_empty();
    for person in &raw.person {
        let Some(entry) = reader.person("person.address", person.address.get_ref(), person.address.span().start) else { continue };
        let attributes = person.attributes.iter().map(|(name, value)| (name.as_str(), value.get_ref().as_str(), value.span().start));
        reader.attributes("person.attributes", attributes.collect());
        for alias in &person.aliases {
            reader.address("person.aliases", alias.get_ref(), alias.span().start, entry);
        }
        for group in &person.groups {
            reader.join(entry, group.get_ref(), group.span().start, declared);
        }
    }
    for group in &raw.group {
        for member in &group.members {
            reader.member(group.id.get_ref(), member.get_ref(), member.span().start);
        }
        for parent in &group.member_of {
            reader.nest(group.id.get_ref(), parent.get_ref(), parent.span().start);
        }
    }
    reader.findings.sort_by_key(|finding| finding.line);
    (reader.builder.finish(), reader.findings)
}

pub(super) fn from_csv(octets: &[u8]) -> (Directory, Vec<Finding>) {
    let text = match checked(octets) {
        Ok(text) => text,
        Err(finding) => return (Directory::default(), vec![finding]),
    };
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = match csv.headers() {
        Ok(header) => header.clone(),
        Err(error) => return (Directory::default(), vec![error_at(1, "", error.to_string())]),
    };
    let column = |name: &str| header.iter().position(|column| column == name);
    let mut findings = columns(&header);
    let Some(address) = column("address") else { return (Directory::default(), findings) };
    let (aliases, groups) = (column("aliases"), column("groups"));
    // A record's number of lines is known to the CSV reader alone, so its places are lines already.
    let line = |line: usize| line;
    let mut reader =
        Reader { builder: Builder::default(), findings: Vec::new(), places: HashMap::new(), declared: HashMap::new(), line: &line };
    for record in csv.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, |position| position.line());
                let message = match error.kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("has {len} columns where the header line has {expected_len}")
                    }
                    _ => error.to_string(),
                };
                reader.error(usize::try_from(line).unwrap_or(0), "", message);
                continue;
            }
        };
        let line = record.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
        let Some(entry) = reader.person("address", record.get(address).unwrap_or_default(), line) else { continue };
        let special = |index: usize| index == address || Some(index) == aliases || Some(index) == groups;
        let attributes = header.iter().zip(&record).enumerate().filter(|(index, _)| !special(*index));
        reader.attributes("attribute", attributes.map(|(_, (name, value))| (name, value, line)).collect());
        for alias in aliases.and_then(|index| record.get(index)).into_iter().flat_map(several) {
            reader.address("aliases", alias, line, entry);
        }
        for group in groups.and_then(|index| record.get(index)).into_iter().flat_map(several) {
            reader.join(entry, group, line, false);
        }
    }
    findings.append(&mut reader.findings);
    (reader.builder.finish(), findings)
}

fn columns(header: &csv::StringRecord) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !header.iter().any(|column| column == "address") {
        findings.push(error_at(1, "address", "is missing in the header line; for example address,displayName,title,groups".to_owned()));
    }
    for (index, column) in header.iter().enumerate() {
        if column.is_empty() {
            findings.push(error_at(1, "", format!("column {} has no name", index + 1)));
        } else if header.iter().take(index).any(|earlier| earlier == column) {
            findings.push(error_at(1, column, "is the name of two columns".to_owned()));
        }
    }
    findings
}

fn several(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(';').map(str::trim).filter(|item| !item.is_empty())
}

fn checked(octets: &[u8]) -> Result<&str, Finding> {
    if octets.len() > MOST_OCTETS {
        return Err(error_at(0, "", format!("is larger than {MOST_OCTETS} octets")));
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    std::str::from_utf8(octets).map_err(|error| {
        let line = octets[..error.valid_up_to()].iter().filter(|octet| **octet == b'\n').count() + 1;
        error_at(line, "", "is not UTF-8 text; save it as \"CSV UTF-8\"".to_owned())
    })
}

fn error_at(line: usize, key: &str, message: String) -> Finding {
    Finding { severity: Severity::Error, line, key: key.to_owned(), message }
}

struct Reader<'a> {
    builder: Builder,
    findings: Vec<Finding>,
    /// Where an address was first seen.
    places: HashMap<String, usize>,
    /// Groups by their ids and their addresses.
    declared: HashMap<String, u32>,
    line: &'a dyn Fn(usize) -> usize,
}

impl Reader<'_> {
    fn declare(&mut self, group: &RawGroup) {
        let (id, place) = (group.id.get_ref(), group.id.span().start);
        if id.is_empty() || id.chars().any(char::is_control) {
            return self.error(place, "group.id", format!("{id:?} is not a group id; for example id = \"sales\""));
        }
        if self.builder.groups.contains_key(id) {
            return self.error(place, "group.id", format!("{id:?} is already the id of another group"));
        }
        let index = self.builder.group(id);
        self.declared.insert(id.to_owned(), index);
        if let Some(address) = &group.address {
            let entry = self.builder.entry();
            self.builder.join(entry, index);
            self.address("group.address", address.get_ref(), address.span().start, entry);
            if let Ok(mailbox) = Mailbox::parse(address.get_ref()) {
                self.declared.insert(mailbox.key(), index);
            }
        }
    }

    fn person(&mut self, key: &str, address: &str, place: usize) -> Option<u32> {
        let mailbox = self.mailbox(key, address, place)?;
        let entry = self.builder.entry();
        self.builder.directory.people += 1;
        self.claim(key, &mailbox, place, entry);
        Some(entry)
    }

    fn address(&mut self, key: &str, address: &str, place: usize, entry: u32) {
        if let Some(mailbox) = self.mailbox(key, address, place) {
            self.claim(key, &mailbox, place, entry);
        }
    }

    /// A member is a person's address, or a group by its id or its address: then everybody in that group is in this one, too.
    fn member(&mut self, group: &str, address: &str, place: usize) {
        let nested = Mailbox::parse(address).map_or_else(|_| address.to_owned(), |mailbox| mailbox.key());
        if let Some(child) = self.declared.get(&nested).copied() {
            let parent = self.builder.group(group);
            return self.builder.nest(child, parent);
        }
        let Some(mailbox) = self.mailbox("group.members", address, place) else { return };
        let key = mailbox.key();
        let entry = match self.builder.entries.get(&key) {
            Some(entry) => *entry,
            None => {
                let entry = self.builder.entry();
                self.claim("group.members", &mailbox, place, entry);
                entry
            }
        };
        let group = self.builder.group(group);
        self.builder.join(entry, group);
    }

    fn nest(&mut self, group: &str, parent: &str, place: usize) {
        match (self.builder.groups.get(group).copied(), self.builder.groups.get(parent).copied()) {
            (Some(group), Some(parent)) => self.builder.nest(group, parent),
            (_, None) => {
                let message = format!("{parent:?} is the id of no [[group]] in this file; for example member_of = [\"everybody\"]");
                self.error(place, "group.member_of", message);
            }
            (None, _) => {}
        }
    }

    fn join(&mut self, entry: u32, group: &str, place: usize, declared: bool) {
        if declared && !self.builder.groups.contains_key(group) {
            let message = format!("{group:?} is the id of no [[group]] in this file");
            self.find(Severity::Warning, place, "person.groups", message);
        }
        let group = self.builder.group(group);
        self.builder.join(entry, group);
    }

    fn attributes(&mut self, key: &str, attributes: Vec<(&str, &str, usize)>) {
        for (name, value, place) in &attributes {
            // A line break inside a value is layout; any other control character is damage.
            if value.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t')) {
                self.error(*place, &format!("{key}.{name}"), "holds a control character; remove it".to_owned());
            }
        }
        self.builder.attributes(attributes.iter().map(|(name, value, _)| (*name, *value)));
    }

    fn mailbox(&mut self, key: &str, address: &str, place: usize) -> Option<Mailbox> {
        match Mailbox::parse(address) {
            Ok(mailbox) => Some(mailbox),
            Err(error) => {
                self.error(place, key, error.to_string());
                None
            }
        }
    }

    fn claim(&mut self, key: &str, mailbox: &Mailbox, place: usize, entry: u32) {
        let address = mailbox.key();
        if self.builder.address(&address, entry) {
            self.places.insert(address, place);
            return;
        }
        let first = self.places.get(&address).map_or(0, |place| (self.line)(*place));
        self.error(place, key, format!("{address:?} is already an address on line {first}"));
    }

    fn error(&mut self, place: usize, key: &str, message: String) {
        self.find(Severity::Error, place, key, message);
    }

    fn find(&mut self, severity: Severity, place: usize, key: &str, message: String) {
        if self.findings.len() < MOST_FINDINGS {
            let line = (self.line)(place);
            self.findings.push(Finding { severity, line, key: key.to_owned(), message });
        }
    }
}
