//! Conditions: what each of them asks, whether it holds, and what it found, in words.

use std::cell::OnceCell;

use signet_plugin_sdk::{Facts, Format, Header, Kind, Message, Recipient, RecipientClass};

/// Characters of the authored text that `message.text-contains` looks at: what a person writes in one mail, and a bound on the work.
const TEXT_LIMIT: u32 = 64 << 10;

/// Characters of one found or wanted value in an explanation, so that every value of a line has room in its 1 KiB.
const SHOWN: usize = 120;

/// What is asked about one named value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Want {
    Equals(String),
    Contains(String),
    Present,
    Absent,
}

/// Who a recipient is; all keys that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    pub(crate) classes: Vec<Class>,
    pub(crate) addresses: Vec<String>,
    pub(crate) domains: Vec<String>,
    pub(crate) groups: Vec<String>,
}

/// Where a recipient stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    Internal,
    External,
    Partner,
}

/// How many of the recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Quantifier {
    All,
    Any,
    None,
}

/// New, reply, forward, as indexes into [`KINDS`]; formats as indexes into [`FORMATS`].
pub(crate) const KINDS: [&str; 3] = ["new", "reply", "forward"];
/// The words for body formats.
pub(crate) const FORMATS: [&str; 3] = ["plain", "html", "alternative"];
/// The words for recipient classes, in the order of [`Class`].
pub(crate) const CLASSES: [(&str, Class); 3] = [("internal", Class::Internal), ("external", Class::External), ("partner", Class::Partner)];

/// One condition. All of them but `Recipient` are decided once a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    Addresses(Vec<String>),
    Domains(Vec<String>),
    Groups(Vec<String>),
    Attribute(String, Want),
    Known(bool),
    Kind(Vec<usize>),
    Format(Vec<usize>),
    Subject(Vec<String>),
    Text(Vec<String>),
    Header(String, Want),
    Authenticated(bool),
    Attachments(bool),
    From(Time),
    Until(Time),
    Recipients(Quantifier, Who),
    Recipient(Who),
}

/// A point in time as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Time {
    pub(crate) text: String,
    /// Since 1970; in the tenant's local time unless `utc`.
    pub(crate) milliseconds: i64,
    pub(crate) utc: bool,
}

/// What a decision is about, with what several rules would otherwise compute again.
pub(crate) struct Case<'a> {
    pub(crate) facts: &'a Facts,
    message: &'a dyn Message,
    text: OnceCell<String>,
    subject: OnceCell<String>,
    /// The sender's address in lower case.
    pub(crate) sender: String,
    /// Whether the directory knows the sender.
    pub(crate) known: bool,
}

impl<'a> Case<'a> {
    pub(crate) fn new(facts: &'a Facts, message: &'a dyn Message) -> Self {
        let person = &facts.sender;
        Self {
            facts,
            message,
            text: OnceCell::new(),
            subject: OnceCell::new(),
            sender: address(&person.address),
            known: !person.attributes.is_empty() || !person.groups.is_empty(),
        }
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| self.message.authored_text(TEXT_LIMIT).to_lowercase())
    }

    fn subject(&self) -> &str {
        self.subject.get_or_init(|| self.facts.subject.to_lowercase())
    }

    fn attribute(&self, name: &str) -> Option<&'a str> {
        self.facts.sender.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn header_values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.facts.headers.iter().filter(move |Header { name: known, .. }| known == name).map(|header| header.value.as_str())
    }
}

/// An address as rules are written: lower case.
pub(crate) fn address(address: &signet_plugin_sdk::Address) -> String {
    format!("{}@{}", address.local.to_lowercase(), address.domain)
}

impl Test {
    /// The header field it reads.
    pub(crate) fn header(&self) -> Option<&str> {
        if let Self::Header(name, _) = self { Some(name) } else { None }
    }

    /// The attribute it reads.
    pub(crate) fn attribute(&self) -> Option<&str> {
        if let Self::Attribute(name, _) = self { Some(name) } else { None }
    }

    /// Whether it can only be answered for a person that the directory knows.
    pub(crate) fn asks_directory(&self) -> bool {
        matches!(self, Self::Groups(_) | Self::Attribute(..))
    }

    /// Whether it is decided for each recipient.
    pub(crate) fn is_individual(&self) -> bool {
        matches!(self, Self::Recipient(_))
    }

    /// Whether it holds; `recipient` is the one under decision, and only asked by a test that is individual.
    pub(crate) fn holds(&self, case: &Case<'_>, recipient: Option<&Recipient>) -> bool {
        let facts = case.facts;
        match self {
            Self::Addresses(wanted) => wanted.contains(&case.sender),
            Self::Domains(wanted) => in_domains(&facts.sender.address.domain, wanted),
            Self::Groups(wanted) => shares(&facts.sender.groups, wanted),
            Self::Attribute(name, want) => want.holds(case.attribute(name).into_iter()),
            Self::Known(wanted) => case.known == *wanted,
            Self::Kind(wanted) => wanted.iter().any(|kind| KINDS[*kind] == kind_word(&facts.kind)),
            Self::Format(wanted) => wanted.iter().any(|format| FORMATS[*format] == format_word(&facts.format)),
            Self::Subject(wanted) => wanted.iter().any(|part| case.subject().contains(part)),
            Self::Text(wanted) => wanted.iter().any(|part| case.text().contains(part)),
            Self::Header(name, want) => want.holds(case.header_values(name)),
            Self::Authenticated(wanted) => facts.authentication.aligned == *wanted,
            Self::Attachments(wanted) => (facts.attachments > 0) == *wanted,
            Self::From(time) => time.milliseconds <= now(facts, time),
            Self::Until(time) => now(facts, time) < time.milliseconds,
            Self::Recipients(quantifier, who) => {
                let mut recipients = facts.recipients.iter();
                match quantifier {
                    Quantifier::All => recipients.all(|recipient| who.includes(recipient)),
                    Quantifier::Any => recipients.any(|recipient| who.includes(recipient)),
                    Quantifier::None => !recipients.any(|recipient| who.includes(recipient)),
                }
            }
            Self::Recipient(who) => recipient.is_some_and(|recipient| who.includes(recipient)),
        }
    }

    /// The key as the rule's author wrote it.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Addresses(_) => "sender.addresses",
            Self::Domains(_) => "sender.domains",
            Self::Groups(_) => "sender.groups",
            Self::Attribute(..) => "sender.attributes",
            Self::Known(_) => "sender.known",
            Self::Kind(_) => "message.kind",
            Self::Format(_) => "message.format",
            Self::Subject(_) => "message.subject-contains",
            Self::Text(_) => "message.text-contains",
            Self::Header(..) => "message.headers",
            Self::Authenticated(_) => "message.authenticated",
            Self::Attachments(_) => "message.attachments",
            Self::From(_) => "from",
            Self::Until(_) => "until",
            Self::Recipients(Quantifier::All, _) => "recipients.all",
            Self::Recipients(Quantifier::Any, _) => "recipients.any",
            Self::Recipients(Quantifier::None, _) => "recipients.none",
            Self::Recipient(_) => "recipient",
        }
    }

    /// What it asks for.
    pub(crate) fn wanted(&self) -> String {
        let words = |words: &[&str], indexes: &[usize]| one_of(indexes.iter().map(|index| words[*index]));
        match self {
            Self::Addresses(wanted) | Self::Domains(wanted) | Self::Groups(wanted) => one_of(wanted.iter().map(String::as_str)),
            Self::Subject(wanted) | Self::Text(wanted) => one_of(wanted.iter().map(String::as_str)),
            Self::Attribute(name, want) | Self::Header(name, want) => want.in_words(name),
            Self::Kind(wanted) => words(&KINDS, wanted),
            Self::Format(wanted) => words(&FORMATS, wanted),
            Self::Known(wanted) | Self::Authenticated(wanted) | Self::Attachments(wanted) => wanted.to_string(),
            Self::From(time) | Self::Until(time) => time.text.clone(),
            Self::Recipients(_, who) | Self::Recipient(who) => who.in_words(),
        }
    }

    /// What it found. Never the text of a message: an explanation is logged.
    pub(crate) fn found(&self, case: &Case<'_>, recipient: Option<&Recipient>) -> String {
        let facts = case.facts;
        match self {
            Self::Addresses(_) => quoted(&case.sender),
            Self::Domains(_) => quoted(&facts.sender.address.domain),
            Self::Groups(_) => listed(facts.sender.groups.iter().map(String::as_str)),
            Self::Attribute(name, _) => case.attribute(name).map_or_else(|| "absent".to_owned(), quoted),
            Self::Known(_) => case.known.to_string(),
            Self::Kind(_) => quoted(kind_word(&facts.kind)),
            Self::Format(_) => quoted(format_word(&facts.format)),
            Self::Subject(_) | Self::Text(_) => if self.holds(case, recipient) { "one of them" } else { "none of them" }.to_owned(),
            Self::Header(name, _) if case.header_values(name).next().is_none() => "absent".to_owned(),
            Self::Header(..) => "present".to_owned(),
            Self::Authenticated(_) => facts.authentication.aligned.to_string(),
            Self::Attachments(_) => facts.attachments.to_string(),
            Self::From(_) | Self::Until(_) => if self.holds(case, recipient) { "it is in time" } else { "it is not in time" }.to_owned(),
            Self::Recipients(_, who) => {
                let included = facts.recipients.iter().filter(|recipient| who.includes(recipient)).count();
                format!("{included} of {} recipients", facts.recipients.len())
            }
            Self::Recipient(_) => recipient.map_or_else(|| "none".to_owned(), described),
        }
    }
}

impl Want {
    fn holds<'v>(&self, mut values: impl Iterator<Item = &'v str>) -> bool {
        match self {
            Self::Equals(wanted) => values.any(|value| value.to_lowercase() == *wanted),
            Self::Contains(wanted) => values.any(|value| value.to_lowercase().contains(wanted)),
            Self::Present => values.next().is_some(),
            Self::Absent => values.next().is_none(),
        }
    }

    fn in_words(&self, name: &str) -> String {
        match self {
            Self::Equals(wanted) => format!("{name} = {}", quoted(wanted)),
            Self::Contains(wanted) => format!("{name} containing {}", quoted(wanted)),
            Self::Present => format!("{name} present"),
            Self::Absent => format!("{name} absent"),
        }
    }
}

impl Who {
    fn includes(&self, recipient: &Recipient) -> bool {
        let class = match &recipient.class {
            RecipientClass::Internal => Some(Class::Internal),
            RecipientClass::External => Some(Class::External),
            RecipientClass::Partner => Some(Class::Partner),
            // A class that this version does not name matches no rule that asks for one: no signature goes to the wrong side.
            RecipientClass::Other(_) => None,
        };
        (self.classes.is_empty() || class.is_some_and(|class| self.classes.contains(&class)))
            && (self.domains.is_empty() || in_domains(&recipient.address.domain, &self.domains))
            && (self.groups.is_empty() || shares(&recipient.groups, &self.groups))
            && (self.addresses.is_empty() || self.addresses.contains(&address(&recipient.address)))
    }

    /// Whether only the class is asked.
    pub(crate) fn is_class_only(&self) -> bool {
        self.addresses.is_empty() && self.domains.is_empty() && self.groups.is_empty()
    }

    fn in_words(&self) -> String {
        let classes = self.classes.iter().map(|class| CLASSES[*class as usize].0);
        let mut parts = Vec::new();
        if !self.classes.is_empty() {
            parts.push(format!("class {}", one_of(classes)));
        }
        for (key, values) in [("domain", &self.domains), ("address", &self.addresses), ("group", &self.groups)] {
            if !values.is_empty() {
                parts.push(format!("{key} {}", one_of(values.iter().map(String::as_str))));
            }
        }
        parts.join(" and ")
    }
}

/// The word for a recipient's class.
pub(crate) fn class_word(class: &RecipientClass) -> &str {
    match class {
        RecipientClass::Internal => "internal",
        RecipientClass::External => "external",
        RecipientClass::Partner => "partner",
        RecipientClass::Other(word) => word,
    }
}

fn described(recipient: &Recipient) -> String {
    let groups = if recipient.groups.is_empty() {
        String::new()
    } else {
        format!(", groups {}", listed(recipient.groups.iter().map(String::as_str)))
    };
    format!("{} ({}{groups})", cut(&address(&recipient.address)), class_word(&recipient.class))
}

fn kind_word(kind: &Kind) -> &str {
    match kind {
        Kind::New => "new",
        Kind::Reply => "reply",
        Kind::Forward => "forward",
        Kind::Other(word) => word,
    }
}

fn format_word(format: &Format) -> &str {
    match format {
        Format::Plain => "plain",
        Format::Html => "html",
        Format::Alternative => "alternative",
        Format::Other(word) => word,
    }
}

fn now(facts: &Facts, time: &Time) -> i64 {
    let offset = if time.utc { 0 } else { i64::from(facts.now.offset_minutes) * 60_000 };
    facts.now.unix_milliseconds.saturating_add(offset)
}

/// Whether `domain` is in the list, or is a subdomain of one written `*.domain`.
fn in_domains(domain: &str, list: &[String]) -> bool {
    list.iter().any(|wanted| match wanted.strip_prefix('*') {
        Some(suffix) => domain.len() > suffix.len() && domain.ends_with(suffix),
        None => domain == wanted,
    })
}

fn shares(own: &[String], wanted: &[String]) -> bool {
    wanted.iter().any(|wanted| own.contains(wanted))
}

fn one_of<'v>(values: impl ExactSizeIterator<Item = &'v str>) -> String {
    if values.len() == 1 { listed(values) } else { format!("one of {}", listed(values)) }
}

fn listed<'v>(values: impl Iterator<Item = &'v str>) -> String {
    let mut list = String::new();
    for value in values {
        if list.len() + value.len() > SHOWN {
            list.push_str(if list.is_empty() { "..." } else { ", ..." });
            break;
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&quoted(value));
    }
    if list.is_empty() { "none".to_owned() } else { list }
}

/// With escapes, so that a value cannot look like part of the explanation.
fn quoted(value: &str) -> String {
    format!("{:?}", cut(value))
}

fn cut(value: &str) -> String {
    if value.chars().count() <= SHOWN { value.to_owned() } else { value.chars().take(SHOWN).chain("...".chars()).collect() }
}
