//! Finding people by the beginning of a name or an address, for people who look something up. Reads everybody; not for the mail path.

use super::{Directory, range};

/// The attribute with the name that people are shown by.
const NAME: &str = "displayName";

impl Directory {
    /// Name and main address of people of whose name some word, or any of whose addresses, begins with `text`; in the order of names, at most `limit`.
    pub fn search(&self, text: &str, limit: usize) -> Vec<(String, String)> {
        let text = text.trim().to_lowercase();
        let mut found = Vec::new();
        let mut by_entry: Vec<_> =
            self.addresses.iter().filter(|(_, entry)| !self.entries[*entry as usize].attributes.is_empty()).collect();
        // Aliases are read after the address that they belong to.
        by_entry.sort_by_key(|(address, entry)| (*entry, address.start));
        for of_one in by_entry.chunk_by(|a, b| a.1 == b.1) {
            let entry = &self.entries[of_one[0].1 as usize];
            let name = self.display_name(&entry.attributes).unwrap_or_default();
            let by_name = || {
                let lower = name.to_lowercase();
                lower.starts_with(&text) || lower.split([' ', '-']).any(|word| word.starts_with(&text))
            };
            if of_one.iter().any(|(address, _)| self.piece(*address).starts_with(&text)) || by_name() {
                found.push((name.to_owned(), self.piece(of_one[0].0).to_owned()));
            }
        }
        found.sort_by_cached_key(|(name, address)| (name.is_empty(), name.to_lowercase(), address.clone()));
        found.truncate(limit);
        found
    }

    fn display_name(&self, attributes: &std::ops::Range<u32>) -> Option<&str> {
        let mut named = self.attributes[range(attributes)].iter();
        named.find(|attribute| self.attribute_names[attribute.name as usize] == NAME).map(|attribute| self.piece(attribute.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_found_by_the_beginning_of_a_word_of_their_name_or_of_an_address() {
        let text = "address,aliases,displayName\nada@example.com,a.king@example.com,Ada King\nbo@example.com,,Bo Åkesson-Lind\nx1@example.com,,Adam Zimmer\n\
                    group-only@example.com,,\n";
        let (directory, findings) = Directory::from_csv(text.as_bytes());
        assert!(findings.is_empty(), "{findings:?}");
        let cases: [(&str, usize, &[&str]); 8] = [
            ("ada", 10, &["ada@example.com", "x1@example.com"]),
            ("ADA K", 10, &["ada@example.com"]),
            ("king", 10, &["ada@example.com"]),
            ("a.ki", 10, &["ada@example.com"]),
            ("åke", 10, &["bo@example.com"]),
            ("lind", 10, &["bo@example.com"]),
            ("da", 10, &[]),
            ("", 2, &["ada@example.com", "x1@example.com"]),
        ];
        for (text, limit, expected) in cases {
            let found: Vec<String> = directory.search(text, limit).into_iter().map(|(_, address)| address).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
