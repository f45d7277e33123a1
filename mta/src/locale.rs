//! In which language a signature is rendered: what the message says, what the directory says of the person, or the tenant's.
//!
//! Language tags are those of BCP 47 (RFC 5646), by their form. This module guesses no language from text.

use crate::signature::Person;

/// Where a message's locale is taken from, before the tenant's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The first tag of the message's Content-Language field (RFC 3282 section 2).
    Message,
    /// The sender's attribute `preferredLanguage`.
    Person,
}

impl Origin {
    /// The word for it in configuration.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "message" => Some(Self::Message),
            "person" => Some(Self::Person),
            _ => None,
        }
    }
}

/// The attribute that names a person's language, as in Microsoft Graph.
const PREFERRED: &str = "preferredLanguage";

/// The first of `origins` that gives a language tag, else `tenant`. `content_language` are the values of the message's fields.
pub fn choose(origins: &[Origin], content_language: &[String], person: &Person, tenant: &str) -> String {
    let of_person = || person.attributes.iter().find(|(name, _)| name == PREFERRED).map(|(_, value)| value.trim());
    let of_message = || content_language.iter().flat_map(|value| value.split(',')).map(str::trim).next();
    let given = origins.iter().filter_map(|origin| match origin {
        Origin::Message => of_message(),
        Origin::Person => of_person(),
    });
    given.into_iter().find(|tag| is_language_tag(tag)).unwrap_or(tenant).to_owned()
}

/// Whether it has the form of a language tag: `de`, `de-AT`, `zh-Hant-TW`.
pub fn is_language_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().is_some_and(|part| (2..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_alphabetic()));
    language && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_origin_that_gives_a_language_tag_counts() {
        const BOTH: &[Origin] = &[Origin::Message, Origin::Person];
        for (origins, message, person, expected) in [
            (&[][..], "de", "fr", "en-GB"),
            (&[Origin::Person], "de", "fr-CA", "fr-CA"),
            (&[Origin::Message], "de-AT, en", "fr", "de-AT"),
            (BOTH, "de", "fr", "de"),
            (BOTH, "", "fr", "fr"),
            (BOTH, "German", " fr ", "fr"),
            (BOTH, "<script>", "../x", "en-GB"),
            (BOTH, "", "", "en-GB"),
        ] {
            let attributes = vec![(PREFERRED.to_owned(), person.to_owned())];
            let person = Person { attributes, ..Person::default() };
            let found = choose(origins, &[message.to_owned()], &person, "en-GB");
            assert_eq!(found, expected, "{origins:?} {message:?} {:?}", person.attributes);
        }
    }
}
