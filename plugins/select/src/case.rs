//! What a decision is about: the facts, and what several rules would otherwise compute again.

use std::cell::OnceCell;

use signet_plugin_sdk::{Facts, Header, Message, Person};

use crate::rule::OnBehalf;
use crate::schedule::Clock;

/// Characters of the authored text that keywords are looked for in: what a person writes in one mail, and a bound on the work.
const TEXT_LIMIT: u32 = 64 << 10;

/// One of the people behind a message.
pub(crate) struct Party<'a> {
    pub(crate) person: &'a Person,
    /// The address in lower case.
    pub(crate) address: String,
    /// Whether the directory knows the person.
    pub(crate) known: bool,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Whose rules the message follows.
    Sender,
    /// Who sent it on somebody else's behalf.
    Delegate,
}

/// What a decision is about.
pub(crate) struct Case<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) clock: Clock<'a>,
    message: &'a dyn Message,
    sender: Party<'a>,
    delegate: Option<Party<'a>>,
    text: OnceCell<String>,
    subject: OnceCell<String>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(facts: &'a Facts, message: &'a dyn Message, on_behalf: OnBehalf) -> Self {
        let sender = match (on_behalf, &facts.delegate) {
            (OnBehalf::Delegate, Some(delegate)) => Party::new(delegate),
            _ => Party::new(&facts.sender),
        };
        let clock = Clock::new(&facts.now, sender.person);
        let delegate = facts.delegate.as_ref().map(Party::new);
        Self { facts, clock, message, sender, delegate, text: OnceCell::new(), subject: OnceCell::new() }
    }

    /// The person whose rules the message follows.
    pub(crate) fn sender(&self) -> &Party<'a> {
        &self.sender
    }

    /// The person in that role; a message that its author sent has no delegate.
    pub(crate) fn party(&self, role: Role) -> Option<&Party<'a>> {
        match role {
            Role::Sender => Some(&self.sender),
            Role::Delegate => self.delegate.as_ref(),
        }
    }

    /// What the author wrote now, in lower case.
    pub(crate) fn text(&self) -> &str {
        self.text.get_or_init(|| self.message.authored_text(TEXT_LIMIT).to_lowercase())
    }

    /// The subject in lower case.
    pub(crate) fn subject(&self) -> &str {
        self.subject.get_or_init(|| self.facts.subject.to_lowercase())
    }

    /// The values of a header field in message order.
    pub(crate) fn header_values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.facts.headers.iter().filter(move |Header { name: known, .. }| known == name).map(|header| header.value.as_str())
    }
}

impl<'a> Party<'a> {
    fn new(person: &'a Person) -> Self {
        let known = !person.attributes.is_empty() || !person.groups.is_empty();
        Self { person, address: address(&person.address), known }
    }

    /// The values of a directory attribute.
    pub(crate) fn attribute(&self, name: &str) -> impl Iterator<Item = &'a str> {
        values(self.person, name)
    }
}

/// The values of a directory attribute.
pub(crate) fn values<'a>(person: &'a Person, name: &str) -> impl Iterator<Item = &'a str> {
    person.attributes.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// An address as rules are written: lower case.
pub(crate) fn address(address: &signet_plugin_sdk::Address) -> String {
    format!("{}@{}", address.local.to_lowercase(), address.domain)
}
