//! A directory from what a service told of people, groups and members, by their ids; and two directories in one.
//!
//! Every group is known by its id, by each of its addresses in lower case, and by its name as it is written. Ids and addresses belong to one group;
//! names need not, and a name that several groups have is a word for none of them: who may make groups could else take another group's signature.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Builder, Directory, PHOTO, narrow, range};
use crate::address::Mailbox;
use crate::signature::{Asset, PERSON_PHOTO};

/// Somebody as the service knows them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row<'a> {
    /// By which members and pictures name them.
    pub id: &'a str,
    /// The primary one first.
    pub addresses: &'a [String],
    /// Names and values.
    pub attributes: &'a [(String, String)],
    /// The manager's primary address.
    pub manager: Option<&'a str>,
    /// Their picture, which templates find in the attribute `photo`.
    pub photo: Option<&'a Arc<Asset>>,
}

/// Puts a directory together: people first, then groups, then members.
#[derive(Default)]
pub struct Rows {
    builder: Builder,
    people: HashMap<Box<str>, u32>,
    /// Claimed last: nobody's further address may take another's primary one.
    aliases: Vec<(String, u32)>,
    /// Words for a group; none when several groups have the same.
    words: HashMap<String, Option<u32>>,
}

impl Rows {
    /// Somebody. Who has no address that mail can come from is left out.
    pub fn person(&mut self, row: &Row<'_>) {
        let mut keys = keys(row.addresses);
        let Some(primary) = keys.next() else { return };
        let entry = self.builder.entry();
        self.builder.directory.people += 1;
        let attributes = row.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let manager = row.manager.map(|address| ("manager", address));
        let photo = row.photo.map(|_| (PHOTO, PERSON_PHOTO));
        self.builder.attributes(attributes.chain(manager).chain(photo));
        if let Some(photo) = row.photo {
            self.builder.directory.photos.insert(entry, Arc::clone(photo));
        }
        self.builder.address(&primary, entry);
        self.aliases.extend(keys.map(|key| (key, entry)));
        self.people.insert(row.id.into(), entry);
    }

    /// A group, with all that it can be named by.
    pub fn group(&mut self, id: &str, addresses: &[String], name: &str) {
        let group = self.builder.group(id);
        let keys: Vec<String> = keys(addresses).collect();
        if !keys.is_empty() {
            let entry = self.builder.entry();
            self.builder.join(entry, group);
            self.aliases.extend(keys.iter().map(|key| (key.clone(), entry)));
        }
        for word in keys.into_iter().chain((!name.is_empty()).then(|| name.to_owned())) {
            let known = self.words.entry(word).or_insert(Some(group));
            *known = known.filter(|known| *known == group);
        }
    }

    /// Somebody, or another group, is in a group. Nothing when either is not known.
    pub fn member(&mut self, group: &str, member: &str) {
        let Some(group) = self.builder.groups.get(group).copied() else { return };
        if let Some(entry) = self.people.get(member) {
            self.builder.join(*entry, group);
        } else if let Some(child) = self.builder.groups.get(member).copied() {
            self.builder.nest(child, group);
        }
    }

    /// The directory, and how many names belong to several groups and therefore name none.
    pub fn finish(self) -> (Directory, usize) {
        let Self { mut builder, people, aliases, words } = self;
        drop(people);
        for (key, entry) in aliases {
            builder.address(&key, entry);
        }
        let ambiguous = words.values().filter(|group| group.is_none()).count();
        for (word, group) in words.into_iter().filter_map(|(word, group)| Some((word, group?))) {
            if !builder.groups.contains_key(&word) {
                let piece = builder.text(&word);
                builder.directory.group_names[group as usize].push(piece);
            }
        }
        (builder.finish(), ambiguous)
    }
}

fn keys(addresses: &[String]) -> impl Iterator<Item = String> {
    addresses.iter().filter_map(|address| Mailbox::parse(address).ok()).map(|mailbox| mailbox.key())
}

impl Directory {
    /// This directory and whoever only `other` knows. Of somebody whom both know, this one is right; that `other` has them in a group of its own
    /// holds too.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut builder = Builder::resume(self.clone());
        let groups: Vec<u32> = other.groups.iter().map(|id| builder.group(id)).collect();
        let mut addresses = other.addresses.clone();
        // Aliases are read after the address that they belong to.
        addresses.sort_by_key(|(address, entry)| (*entry, address.start));
        for same in addresses.chunk_by(|(_, a), (_, b)| a == b) {
            let theirs = &other.entries[same[0].1 as usize];
            let known = same.iter().find_map(|(address, _)| builder.entries.get(other.piece(*address)).copied());
            let entry = known.unwrap_or_else(|| {
                let entry = builder.entry();
                builder.directory.people += usize::from(!theirs.attributes.is_empty());
                builder.attributes(other.attributes_of(theirs));
                for (address, _) in same {
                    builder.address(other.piece(*address), entry);
                }
                entry
            });
            for group in &other.memberships[range(&theirs.memberships)] {
                builder.join(entry, groups[*group as usize]);
            }
        }
        builder.finish()
    }
}

impl Builder {
    /// Goes on with a directory that was finished.
    fn resume(mut directory: Directory) -> Self {
        let text = |directory: &Directory, piece| directory.piece(piece).to_owned();
        let number = |texts: &[String]| texts.iter().enumerate().map(|(index, text)| (text.clone(), narrow(index))).collect();
        let memberships = directory.entries.iter().map(|entry| directory.memberships[range(&entry.memberships)].to_vec()).collect();
        let entries = directory.addresses.iter().map(|(address, entry)| (text(&directory, *address), *entry)).collect();
        directory.memberships.clear();
        Self {
            names: number(&directory.attribute_names),
            groups: number(&directory.groups),
            memberships,
            entries,
            parents: HashMap::new(),
            directory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(address: &str) -> Mailbox {
        Mailbox::parse(address).expect("an address")
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn rows() -> Rows {
        let mut rows = Rows::default();
        let mut person = |id: &str, addresses: &[&str], name: &str, manager| {
            let (addresses, attributes) = (texts(addresses), vec![("displayName".to_owned(), name.to_owned())]);
            rows.person(&Row { id, addresses: &addresses, attributes: &attributes, manager, photo: None });
        };
        person("1", &["Ada@example.org", "second@example.org"], "Ada", None);
        person("2", &["bo@example.org", "ada@example.org"], "Bo", Some("Ada@example.org"));
        person("3", &["no address", ""], "Nobody", None);
        person("4", &["second@example.org"], "Second", None);
        rows.group("g1", &texts(&["Sales@example.org", "sell@example.org"]), "Sales");
        rows.group("g2", &[], "Everybody");
        rows.group("g3", &[], "Twice");
        rows.group("g4", &[], "Twice");
        rows.group("g5", &[], "g1");
        rows
    }

    #[test]
    fn nobodys_further_address_takes_anothers_primary_one() {
        let (directory, _) = rows().finish();
        for (address, name) in [("ada@example.org", "Ada"), ("BO@example.org", "Bo"), ("second@example.org", "Second")] {
            let person = directory.person(&mailbox(address));
            assert!(person.attributes.contains(&("displayName".to_owned(), name.to_owned())), "{address}: {person:?}");
        }
        assert_eq!(directory.people(), 3, "who has no address is nobody");
        let bo = directory.person(&mailbox("bo@example.org"));
        assert!(bo.attributes.contains(&("manager.displayName".to_owned(), "Ada".to_owned())), "{bo:?}");
    }

    #[test]
    fn a_picture_is_the_persons_own_and_not_the_one_of_whose_manager_they_are() {
        let mut rows = rows();
        let photo = Arc::new(Asset { name: PERSON_PHOTO.to_owned(), media_type: "image/jpeg".to_owned(), content: "x".into() });
        let (five, six) = (texts(&["five@example.org"]), texts(&["six@example.org"]));
        rows.person(&Row { id: "5", addresses: &five, photo: Some(&photo), ..Row::default() });
        rows.person(&Row { id: "6", addresses: &six, manager: Some("five@example.org"), ..Row::default() });
        let (directory, _) = rows.finish();
        let (five, six) = (mailbox("five@example.org"), mailbox("six@example.org"));
        assert_eq!(directory.person(&five).attributes, [("photo".to_owned(), PERSON_PHOTO.to_owned())]);
        assert_eq!(directory.photo(&five), Some(&photo));
        let names: Vec<String> = directory.person(&six).attributes.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["manager", "manager.email"]);
        assert_eq!(directory.photo(&six), None);
    }

    #[test]
    fn groups_are_known_by_id_address_and_unambiguous_name() {
        let mut rows = rows();
        rows.member("g1", "2");
        rows.member("g2", "g1");
        rows.member("g1", "g2");
        for unknown in [("g1", "9"), ("9", "1"), ("9", "g1")] {
            rows.member(unknown.0, unknown.1);
        }
        rows.member("g3", "1");
        rows.member("g5", "4");
        let (directory, ambiguous) = rows.finish();
        assert_eq!(ambiguous, 1);
        for (address, groups) in [
            ("bo@example.org", &["Everybody", "Sales", "g1", "g2", "sales@example.org", "sell@example.org"][..]),
            ("sell@example.org", &["Everybody", "Sales", "g1", "g2", "sales@example.org", "sell@example.org"]),
            ("ada@example.org", &["g3"]),
            // A name that is another group's id is no word for this one.
            ("second@example.org", &["g5"]),
        ] {
            assert_eq!(directory.groups(&mailbox(address)), groups, "{address}");
        }
    }

    #[test]
    fn whom_only_the_other_directory_knows_is_added_and_its_groups_hold_for_all() {
        let mut rows = rows();
        rows.member("g2", "1");
        let (directory, _) = rows.finish();
        let text = "[[person]]\naddress = \"ada@example.org\"\ngroups = [\"board\"]\n[person.attributes]\ndisplayName = \"Old Ada\"\n\
                    [[person]]\naddress = \"robot@example.org\"\naliases = [\"r@example.org\"]\n[person.attributes]\ndisplayName = \"Robot\"\n";
        let (other, findings) = Directory::from_toml(text.as_bytes());
        assert_eq!(findings, []);
        let both = directory.with(&other);
        assert_eq!(both.people(), 4);
        let (ada, robot) = (both.person(&mailbox("ada@example.org")), both.person(&mailbox("R@example.org")));
        assert_eq!(ada.attributes, [("displayName".to_owned(), "Ada".to_owned())]);
        assert_eq!(ada.groups, ["Everybody", "board", "g2"]);
        assert_eq!(robot.attributes, [("displayName".to_owned(), "Robot".to_owned())]);
        assert_eq!(directory.people(), 3, "what was there stays as it was");
    }
}
