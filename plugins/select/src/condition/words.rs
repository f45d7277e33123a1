//! Single tests in words: the key, what it asks for, and what it found.

use signet_plugin_sdk::{Facts, Recipient, RecipientClass};

use super::Truth;
use super::header::{IMPORTANCES, LABELS, LANGUAGE, SENSITIVITIES, SENSITIVITY, labels, sensitivity};
use super::leaf::{About, FORMATS, KINDS, Test, format_word, found_importance, kind_word};
use super::value::{listed, one_of, quoted};
use super::who::{Quantifier, described};
use crate::case::{Case, Party, Role};

impl Test {
    /// The key as the rule's author wrote it.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Person(Role::Sender, about) => match about {
                About::Addresses(_) => "sender.addresses",
                About::Domains(_) => "sender.domains",
                About::Groups(_) => "sender.groups",
                About::Attribute(..) => "sender.attributes",
                About::Known(_) => "sender.known",
            },
            Self::Person(Role::Delegate, about) => match about {
                About::Addresses(_) => "delegate.addresses",
                About::Domains(_) => "delegate.domains",
                About::Groups(_) => "delegate.groups",
                About::Attribute(..) => "delegate.attributes",
                About::Known(_) => "delegate.known",
            },
            Self::OnBehalf(_) => "sender.on-behalf",
            Self::Kind(_) => "message.kind",
            Self::Format(_) => "message.format",
            Self::FirstInThread(_) => "message.first-in-thread",
            Self::Subject(keywords) if keywords.whole => "message.subject-words",
            Self::Subject(_) => "message.subject-contains",
            Self::Trigger(_) => "message.trigger",
            Self::Text(keywords) if keywords.whole => "message.text-words",
            Self::Text(_) => "message.text-contains",
            Self::Header(..) => "message.headers",
            Self::Labels(_) => "message.sensitivity-labels",
            Self::Sensitivity(_) => "message.sensitivity",
            Self::Importance(_) => "message.importance",
            Self::Languages(_) => "message.languages",
            Self::Authenticated(_) => "message.authenticated",
            Self::Attachments(_) => "message.attachments",
            Self::Size(_) => "message.size",
            Self::From(_) => "from",
            Self::Until(_) => "until",
            Self::Weekly(_) => "weekdays and hours",
            Self::Rollout(..) => "rollout",
            Self::Recipients(Quantifier::All, _) => "recipients.all",
            Self::Recipients(Quantifier::Any, _) => "recipients.any",
            Self::Recipients(Quantifier::None, _) => "recipients.none",
            Self::Count(_) => "recipients.count",
            Self::Recipient(_) => "recipient",
        }
    }

    /// What it asks for.
    pub(crate) fn wanted(&self) -> String {
        let words = |words: &[&str], indexes: &[usize]| one_of(indexes.iter().map(|index| words[*index]));
        let texts = |texts: &[String]| one_of(texts.iter().map(String::as_str));
        match self {
            Self::Person(_, About::Addresses(wanted)) => one_of(wanted.iter().map(|pattern| pattern.text.as_str())),
            Self::Person(_, About::Domains(wanted) | About::Groups(wanted)) => texts(wanted),
            Self::Person(_, About::Attribute(name, want)) | Self::Header(name, want) => want.in_words(name),
            Self::Subject(wanted) | Self::Text(wanted) => texts(&wanted.parts),
            Self::Trigger(wanted) | Self::Labels(wanted) | Self::Languages(wanted) => texts(wanted),
            Self::Kind(wanted) => words(&KINDS, wanted),
            Self::Format(wanted) => words(&FORMATS, wanted),
            Self::Sensitivity(wanted) => words(&SENSITIVITIES, wanted),
            Self::Importance(wanted) => words(&IMPORTANCES, wanted),
            Self::Person(_, About::Known(wanted))
            | Self::OnBehalf(wanted)
            | Self::FirstInThread(wanted)
            | Self::Authenticated(wanted)
            | Self::Attachments(wanted) => wanted.to_string(),
            Self::From(time) | Self::Until(time) => time.text.clone(),
            Self::Weekly(weekly) => weekly.text.clone(),
            Self::Rollout(percent, _) => format!("the first {percent} of 100 parts of the senders"),
            Self::Size(range) | Self::Count(range) => range.in_words(),
            Self::Recipients(_, who) | Self::Recipient(who) => who.in_words(),
        }
    }

    /// What it found. Never the text of a message: an explanation is logged.
    pub(crate) fn found(&self, case: &Case<'_>, recipient: &Recipient) -> String {
        let facts = case.facts;
        let holds = || self.holds(case, Some(recipient)) == Truth::Yes;
        match self {
            Self::Person(role, about) => case.party(*role).map_or_else(|| "no delegate".to_owned(), |party| about.found(party)),
            Self::OnBehalf(_) => facts.delegate.is_some().to_string(),
            Self::Kind(_) => quoted(kind_word(&facts.kind)),
            Self::Format(_) => quoted(format_word(&facts.format)),
            Self::FirstInThread(_) => first_in_thread(facts),
            Self::Subject(_) | Self::Text(_) | Self::Trigger(_) => if holds() { "one of them" } else { "none of them" }.to_owned(),
            Self::Header(name, _) if case.header_values(name).next().is_none() => "absent".to_owned(),
            Self::Header(..) => "present".to_owned(),
            Self::Labels(_) => listed(case.header_values(LABELS).flat_map(labels).collect::<Vec<_>>().iter().map(String::as_str)),
            Self::Sensitivity(_) => word(&SENSITIVITIES, sensitivity(case.header_values(SENSITIVITY).next())),
            Self::Importance(_) => word(&IMPORTANCES, found_importance(case)),
            Self::Languages(_) => listed(case.header_values(LANGUAGE)),
            Self::Authenticated(_) => facts.authentication.aligned.to_string(),
            Self::Attachments(_) => facts.attachments.to_string(),
            Self::Size(_) => format!("{} octets", facts.size),
            Self::From(_) | Self::Until(_) => if holds() { "it is in time" } else { "it is not in time" }.to_owned(),
            Self::Weekly(weekly) => weekly.found(&case.clock),
            Self::Rollout(..) => if holds() { "the sender is among them" } else { "the sender is not among them" }.to_owned(),
            Self::Recipients(_, who) => {
                let included = facts.recipients.iter().filter(|recipient| who.includes(recipient) == Truth::Yes).count();
                format!("{included} of {} recipients", facts.recipients.len())
            }
            Self::Count(_) => facts.recipients.len().to_string(),
            Self::Recipient(_) => described(recipient),
        }
    }

    /// Why it cannot be known whether it holds.
    pub(crate) fn unknown(&self, case: &Case<'_>, recipient: &Recipient) -> String {
        match self {
            Self::Person(role, _) => {
                let address = case.party(*role).map(|party| party.address.as_str()).unwrap_or_default();
                format!("the directory does not know {}", quoted(address))
            }
            _ => {
                let classes = case.facts.recipients.iter().chain([recipient]).filter_map(|recipient| match &recipient.class {
                    RecipientClass::Other(word) => Some(word.as_str()),
                    _ => None,
                });
                format!("recipients of the class {} are not known here", listed(classes.take(1)))
            }
        }
    }
}

impl About {
    fn found(&self, party: &Party<'_>) -> String {
        match self {
            Self::Addresses(_) => quoted(&party.address),
            Self::Domains(_) => quoted(&party.person.address.domain),
            Self::Groups(_) => listed(party.person.groups.iter().map(String::as_str)),
            Self::Attribute(name, _) => party.attribute(name).next().map_or_else(|| "absent".to_owned(), quoted),
            Self::Known(_) => party.known.to_string(),
        }
    }
}

fn first_in_thread(facts: &Facts) -> String {
    let thread = if facts.in_thread { "header fields of an earlier message" } else { "no header field of an earlier message" };
    format!("kind {} with {thread}", quoted(kind_word(&facts.kind)))
}

fn word(words: &[&str], index: Option<usize>) -> String {
    index.map_or_else(|| "a word that means nothing".to_owned(), |index| quoted(words[index]))
}
