//! Single tests, and whether they hold.

use signet_plugin_sdk::{Format, Kind, Recipient};

use super::Truth;
use super::header::{IMPORTANCE, LABELS, LANGUAGE, SENSITIVITY, importance, labels, sensitivity, speaks};
use super::value::{Keywords, Pattern, Range, Want, has_word, in_domains, shares};
use super::who::{Quantifier, Who};
use crate::case::{Case, Party, Role};
use crate::rollout;
use crate::schedule::{Time, Weekly};

/// The words for new, reply, forward; tests have indexes into it.
pub(crate) const KINDS: [&str; 3] = ["new", "reply", "forward"];
/// The words for body formats; tests have indexes into it.
pub(crate) const FORMATS: [&str; 3] = ["plain", "html", "alternative"];

/// One test. All of them but `Recipient` are decided once a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Person(Role, About),
    OnBehalf(bool),
    Kind(Vec<usize>),
    Format(Vec<usize>),
    FirstInThread(bool),
    Subject(Keywords),
    /// One of the words is in the subject, and may be taken out of it.
    Trigger(Vec<String>),
    Text(Keywords),
    Header(String, Want),
    Labels(Vec<String>),
    Sensitivity(Vec<usize>),
    Importance(Vec<usize>),
    Languages(Vec<String>),
    Authenticated(bool),
    Attachments(bool),
    Size(Range),
    From(Time),
    Until(Time),
    Weekly(Weekly),
    /// A share of the senders in percent, drawn with the rule's name.
    Rollout(u8, String),
    Recipients(Quantifier, Who),
    Count(Range),
    Recipient(Who),
}

/// What is asked about a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Addresses(Vec<Pattern>),
    Domains(Vec<String>),
    Groups(Vec<String>),
    Attribute(String, Want),
    Known(bool),
}

impl About {
    fn holds(&self, party: &Party<'_>) -> Truth {
        match self {
            Self::Addresses(wanted) => wanted.iter().any(|wanted| wanted.matches(&party.address)).into(),
            Self::Domains(wanted) => in_domains(&party.person.address.domain, wanted).into(),
            Self::Groups(_) | Self::Attribute(..) if !party.known => Truth::Unknown,
            Self::Groups(wanted) => shares(&party.person.groups, wanted).into(),
            Self::Attribute(name, want) => want.holds(party.attribute(name)).into(),
            Self::Known(wanted) => (party.known == *wanted).into(),
        }
    }
}

impl Test {
    /// The header fields it reads.
    pub(crate) fn headers(&self) -> Vec<&str> {
        match self {
            Self::Header(name, _) => vec![name],
            Self::Labels(_) => vec![LABELS],
            Self::Sensitivity(_) => vec![SENSITIVITY],
            Self::Importance(_) => IMPORTANCE.to_vec(),
            Self::Languages(_) => vec![LANGUAGE],
            _ => Vec::new(),
        }
    }

    /// The attribute it reads.
    pub(crate) fn attribute(&self) -> Option<&str> {
        match self {
            Self::Person(_, About::Attribute(name, _)) => Some(name),
            Self::From(Time { zone, .. }) | Self::Until(Time { zone, .. }) | Self::Weekly(Weekly { zone, .. }) => zone.attribute(),
            _ => None,
        }
    }

    /// Whether it holds; `recipient` is the one under decision, and only asked by a test that is individual.
    pub(crate) fn holds(&self, case: &Case<'_>, recipient: Option<&Recipient>) -> Truth {
        let facts = case.facts;
        let holds = match self {
            Self::Person(role, about) => return case.party(*role).map_or(Truth::No, |party| about.holds(party)),
            Self::OnBehalf(wanted) => facts.delegate.is_some() == *wanted,
            Self::Kind(wanted) => wanted.iter().any(|kind| KINDS[*kind] == kind_word(&facts.kind)),
            Self::Format(wanted) => wanted.iter().any(|format| FORMATS[*format] == format_word(&facts.format)),
            Self::FirstInThread(wanted) => (!facts.in_thread && facts.kind == Kind::New) == *wanted,
            Self::Subject(keywords) => keywords.occur_in(case.subject()),
            Self::Trigger(words) => words.iter().any(|word| has_word(case.subject(), word)),
            Self::Text(keywords) => keywords.occur_in(case.text()),
            Self::Header(name, want) => want.holds(case.header_values(name)),
            Self::Labels(wanted) => case.header_values(LABELS).flat_map(labels).any(|label| wanted.contains(&label)),
            Self::Sensitivity(wanted) => sensitivity(case.header_values(SENSITIVITY).next()).is_some_and(|found| wanted.contains(&found)),
            Self::Importance(wanted) => found_importance(case).is_some_and(|found| wanted.contains(&found)),
            Self::Languages(wanted) => case.header_values(LANGUAGE).any(|field| {
                let field = field.to_lowercase();
                wanted.iter().any(|wanted| speaks(&field, wanted))
            }),
            Self::Authenticated(wanted) => facts.authentication.aligned == *wanted,
            Self::Attachments(wanted) => (facts.attachments > 0) == *wanted,
            Self::Size(range) => range.includes(facts.size),
            Self::From(time) => time.is_reached(&case.clock),
            Self::Until(time) => !time.is_reached(&case.clock),
            Self::Weekly(weekly) => weekly.holds(&case.clock),
            Self::Rollout(percent, rule) => rollout::includes(*percent, &case.sender().address, rule),
            Self::Recipients(quantifier, who) => {
                let each = facts.recipients.iter().map(|recipient| who.includes(recipient));
                return match quantifier {
                    Quantifier::All => Truth::all(each),
                    Quantifier::Any => Truth::any(each),
                    Quantifier::None => !Truth::any(each),
                };
            }
            Self::Count(range) => range.includes(facts.recipients.len() as u64),
            Self::Recipient(who) => return recipient.map_or(Truth::No, |recipient| who.includes(recipient)),
        };
        holds.into()
    }
}

/// The index into [`IMPORTANCES`](super::header::IMPORTANCES) of the message under decision.
pub(super) fn found_importance(case: &Case<'_>) -> Option<usize> {
    importance(IMPORTANCE.iter().find_map(|name| case.header_values(name).next()))
}

pub(super) fn kind_word(kind: &Kind) -> &str {
    match kind {
        Kind::New => "new",
        Kind::Reply => "reply",
        Kind::Forward => "forward",
        Kind::Other(word) => word,
    }
}

pub(super) fn format_word(format: &Format) -> &str {
    match format {
        Format::Plain => "plain",
        Format::Html => "html",
        Format::Alternative => "alternative",
        Format::Other(word) => word,
    }
}
