//! People and groups of one tenant, in memory: who a sender is, and which groups a recipient is in.
//!
//! A [`Directory`] is read from TOML or CSV text (`text`) and never changes; a newer one replaces it as a whole. Look-up is by any address of a
//! person, without regard to case. Texts lie in one block, attribute and group names are kept once, and addresses are a sorted list: a
//! hundred thousand people with twelve attributes take some forty megabytes and are found in about two microseconds. It decides nothing.
//!
//! A synchronised directory is put together from [`Rows`]; [`Directories`] holds the one in use of each tenant, so that it can be replaced while
//! mail is served.

mod current;
mod rows;
mod search;
mod text;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::address::Mailbox;
use crate::signature::{Asset, PERSON_PHOTO, Person};

pub use current::{Current, Directories};
pub use rows::{Row, Rows};

/// People and groups of one tenant.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    texts: String,
    attribute_names: Vec<String>,
    /// In ascending order of the ids, so that ascending indexes are ascending ids.
    groups: Vec<String>,
    /// Other words for each group; none in a directory that was read from text.
    group_names: Vec<Vec<Piece>>,
    entries: Vec<Entry>,
    attributes: Vec<Attribute>,
    memberships: Vec<u32>,
    /// Ascending by the address's text.
    addresses: Vec<(Piece, u32)>,
    /// Pictures by entry.
    photos: HashMap<u32, Arc<Asset>>,
    people: usize,
}

/// A person, a group's address, or an address that is only known as a group's member.
#[derive(Clone, Debug)]
struct Entry {
    attributes: Range<u32>,
    memberships: Range<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Attribute {
    name: u32,
    value: Piece,
}

/// A part of [`Directory::texts`].
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u32,
    length: u32,
}

/// Attributes whose value may be the address of another person.
const RELATED: [&str; 2] = ["manager", "assistant"];

/// The attribute that names a person's picture.
const PHOTO: &str = "photo";

/// Whether a finding makes the directory unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The directory must not be used.
    Error,
    /// It can be used, but is probably not what its author meant.
    Warning,
}

/// One finding about the text of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Error or warning.
    pub severity: Severity,
    /// From 1; 0 when it concerns the whole text.
    pub line: usize,
    /// Which key or column.
    pub key: String,
    /// What is wrong, with the value and a way out.
    pub message: String,
}

impl Directory {
    /// Reads TOML: `[[person]]` with `address`, `aliases`, `groups` and `[person.attributes]`; `[[group]]` with `id`, `name`, `address`, `members`.
    pub fn from_toml(text: &[u8]) -> (Self, Vec<Finding>) {
        text::from_toml(text)
    }

    /// Reads CSV (RFC 4180) with a header line: `address`, optionally `aliases` and `groups` (each separated by `;`); every other column is
    /// an attribute.
    pub fn from_csv(text: &[u8]) -> (Self, Vec<Finding>) {
        text::from_csv(text)
    }

    /// The person with this address; for an unknown one, the address is all there is. An attribute `manager` or `assistant` that is somebody's
    /// address adds that person's attributes as `manager.NAME` or `assistant.NAME`, and the address itself as `manager.email`.
    pub fn person(&self, mailbox: &Mailbox) -> Person {
        let (local, domain) = (mailbox.local().to_owned(), mailbox.domain().as_str().to_owned());
        let Some(entry) = self.find(mailbox) else { return Person { local, domain, ..Person::default() } };
        let own = || self.attributes_of(entry);
        let mut attributes: Vec<(String, String)> = own().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (relation, address) in own().filter(|(name, _)| RELATED.contains(name)) {
            let other = Mailbox::parse(address).ok();
            if let Some((other, entry)) = other.and_then(|other| self.find(&other).map(|entry| (other, entry))) {
                attributes.push((format!("{relation}.email"), other.as_str().to_owned()));
                // A picture has the same name for everybody: the person's own.
                let own_photo = |name: &str, value: &str| name == PHOTO && value == PERSON_PHOTO;
                let theirs = self.attributes_of(entry).filter(|(name, value)| !RELATED.contains(name) && !own_photo(name, value));
                attributes.extend(theirs.map(|(name, value)| (format!("{relation}.{name}"), value.to_owned())));
            }
        }
        Person { local, domain, attributes, groups: self.group_ids(entry) }
    }

    fn attributes_of(&self, entry: &Entry) -> impl Iterator<Item = (&str, &str)> {
        let attributes = self.attributes[range(&entry.attributes)].iter();
        attributes.map(|attribute| (self.attribute_names[attribute.name as usize].as_str(), self.piece(attribute.value)))
    }

    /// The picture of the person with this address, when the service has one.
    pub fn photo(&self, mailbox: &Mailbox) -> Option<&Arc<Asset>> {
        self.photos.get(&self.index(mailbox)?)
    }

    /// The main address of everybody who has attributes, in the order of the file.
    pub fn people_addresses(&self) -> impl Iterator<Item = &str> {
        let known = self.addresses.iter().filter(|(_, entry)| !self.entries[*entry as usize].attributes.is_empty());
        let mut first: Vec<(Piece, u32)> = known.copied().collect();
        // Aliases are read after the address that they belong to.
        first.sort_by_key(|(address, entry)| (*entry, address.start));
        first.dedup_by_key(|(_, entry)| *entry);
        first.into_iter().map(|(address, _)| self.piece(address))
    }

    /// The names of all attributes that anybody has.
    pub fn attribute_names(&self) -> &[String] {
        &self.attribute_names
    }

    /// Ids and other names of the groups that this address is in, ascending; for the address of a group, the group itself.
    pub fn groups(&self, mailbox: &Mailbox) -> Vec<String> {
        self.find(mailbox).map(|entry| self.group_ids(entry)).unwrap_or_default()
    }

    /// Whether the address is that of a person or a group, or of a group's member.
    pub fn contains(&self, mailbox: &Mailbox) -> bool {
        self.find(mailbox).is_some()
    }

    /// Number of people.
    pub fn people(&self) -> usize {
        self.people
    }

    /// Ids of all groups, ascending.
    pub fn all_groups(&self) -> &[String] {
        &self.groups
    }

    fn find(&self, mailbox: &Mailbox) -> Option<&Entry> {
        self.entries.get(self.index(mailbox)? as usize)
    }

    fn index(&self, mailbox: &Mailbox) -> Option<u32> {
        let key = mailbox.key();
        let index = self.addresses.binary_search_by(|(address, _)| self.piece(*address).cmp(&key)).ok()?;
        Some(self.addresses[index].1)
    }

    fn group_ids(&self, entry: &Entry) -> Vec<String> {
        let groups = self.memberships[range(&entry.memberships)].iter().map(|group| *group as usize);
        let mut ids = Vec::with_capacity(entry.memberships.len());
        for group in groups {
            ids.push(self.groups[group].clone());
            ids.extend(self.group_names[group].iter().map(|name| self.piece(*name).to_owned()));
        }
        if ids.len() > entry.memberships.len() {
            ids.sort_unstable();
        }
        ids
    }

    fn piece(&self, piece: Piece) -> &str {
        &self.texts[piece.start as usize..(piece.start + piece.length) as usize]
    }
}

fn range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// Puts a directory together. Addresses are already in the form of [`Mailbox::key`].
#[derive(Default)]
struct Builder {
    directory: Directory,
    names: HashMap<String, u32>,
    groups: HashMap<String, u32>,
    /// Group indexes in order of appearance, by entry.
    memberships: Vec<Vec<u32>>,
    entries: HashMap<String, u32>,
    /// Groups that a group is a member of.
    parents: HashMap<u32, Vec<u32>>,
}

/// Offsets are 32 bits wide, which halves the index; a file of this size is refused before it is read.
const MOST_OCTETS: usize = u32::MAX as usize / 4;

impl Builder {
    /// The group's index; a new one when it was not seen before.
    fn group(&mut self, id: &str) -> u32 {
        if let Some(index) = self.groups.get(id) {
            return *index;
        }
        let index = narrow(self.directory.groups.len());
        self.directory.groups.push(id.to_owned());
        self.directory.group_names.push(Vec::new());
        self.groups.insert(id.to_owned(), index);
        index
    }

    /// A new entry without attributes.
    fn entry(&mut self) -> u32 {
        let none = narrow(self.directory.attributes.len());
        self.directory.entries.push(Entry { attributes: none..none, memberships: 0..0 });
        self.memberships.push(Vec::new());
        narrow(self.directory.entries.len() - 1)
    }

    /// Makes an entry known under an address; false when the address is taken.
    fn address(&mut self, key: &str, entry: u32) -> bool {
        if self.entries.contains_key(key) {
            return false;
        }
        let piece = self.text(key);
        self.directory.addresses.push((piece, entry));
        self.entries.insert(key.to_owned(), entry);
        true
    }

    /// The attributes of the newest entry; empty values are left out.
    fn attributes<'a>(&mut self, attributes: impl Iterator<Item = (&'a str, &'a str)>) {
        let start = narrow(self.directory.attributes.len());
        for (name, value) in attributes.filter(|(_, value)| !value.is_empty()) {
            let name = self.name(name);
            let value = self.text(value);
            self.directory.attributes.push(Attribute { name, value });
        }
        let end = narrow(self.directory.attributes.len());
        if let Some(entry) = self.directory.entries.last_mut() {
            entry.attributes = start..end;
        }
    }

    fn join(&mut self, entry: u32, group: u32) {
        self.memberships[entry as usize].push(group);
    }

    fn nest(&mut self, group: u32, parent: u32) {
        self.parents.entry(group).or_default().push(parent);
    }

    /// The groups with all that they are members of, however far up; groups that are members of each other are no trouble.
    fn with_parents(&self, groups: &[u32]) -> Vec<u32> {
        let mut all = groups.to_vec();
        let mut next = 0;
        while let Some(group) = all.get(next).copied() {
            let parents = self.parents.get(&group).into_iter().flatten();
            let new: Vec<u32> = parents.filter(|parent| !all.contains(parent)).copied().collect();
            all.extend(new);
            next += 1;
        }
        all
    }

    fn finish(mut self) -> Directory {
        if !self.parents.is_empty() {
            self.memberships = self.memberships.iter().map(|groups| self.with_parents(groups)).collect();
        }
        let mut order: Vec<u32> = (0..narrow(self.directory.groups.len())).collect();
        order.sort_by(|a, b| self.directory.groups[*a as usize].cmp(&self.directory.groups[*b as usize]));
        let mut place = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            place[*old as usize] = narrow(new);
        }
        let mut names = std::mem::take(&mut self.directory.group_names);
        self.directory.group_names = order.iter().map(|old| std::mem::take(&mut names[*old as usize])).collect();
        self.directory.groups.sort();
        for (entry, groups) in self.directory.entries.iter_mut().zip(&mut self.memberships) {
            groups.iter_mut().for_each(|group| *group = place[*group as usize]);
            groups.sort_unstable();
            groups.dedup();
            let start = narrow(self.directory.memberships.len());
            self.directory.memberships.extend_from_slice(groups);
            entry.memberships = start..narrow(self.directory.memberships.len());
        }
        let mut addresses = std::mem::take(&mut self.directory.addresses);
        addresses.sort_by(|a, b| self.directory.piece(a.0).cmp(self.directory.piece(b.0)));
        self.directory.addresses = addresses;
        let mut directory = self.directory;
        // It was built by doubling and stays for days.
        directory.texts.shrink_to_fit();
        directory.entries.shrink_to_fit();
        directory.attributes.shrink_to_fit();
        directory.memberships.shrink_to_fit();
        directory.addresses.shrink_to_fit();
        directory
    }

    fn name(&mut self, name: &str) -> u32 {
        if let Some(index) = self.names.get(name) {
            return *index;
        }
        let index = narrow(self.directory.attribute_names.len());
        self.directory.attribute_names.push(name.to_owned());
        self.names.insert(name.to_owned(), index);
        index
    }

    fn text(&mut self, text: &str) -> Piece {
        let start = narrow(self.directory.texts.len());
        self.directory.texts.push_str(text);
        Piece { start, length: narrow(text.len()) }
    }
}

/// Everything counted here is smaller than the file, and [`MOST_OCTETS`] bounds that.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
