//! Conditions: single tests, and what joins them with and, or, not; whether they hold, and what they found, in words.

pub(crate) mod header;
pub(crate) mod leaf;
pub(crate) mod value;
pub(crate) mod who;
mod words;

use std::fmt::Write as _;

use signet_plugin_sdk::Recipient;

use crate::case::Case;
pub(crate) use leaf::{About, Test};

/// Whether something holds. What cannot be known, such as the groups of somebody whom the directory does not know, is neither yes nor
/// no, and its negation is not either. The order makes "and" the least, "or" the greatest of several (Kleene's logic).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    No,
    Unknown,
    Yes,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

impl Truth {
    /// Whether all hold; asks no further than it must.
    pub(crate) fn all(truths: impl Iterator<Item = Self>) -> Self {
        let mut least = Self::Yes;
        for truth in truths {
            least = least.min(truth);
            if least == Self::No {
                break;
            }
        }
        least
    }

    /// Whether one holds.
    pub(crate) fn any(truths: impl Iterator<Item = Self>) -> Self {
        !Self::all(truths.map(|truth| !truth))
    }
}

/// A tree of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Test(Test),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}

impl Condition {
    /// The condition that all of `conditions` hold.
    pub(crate) fn all(mut conditions: Vec<Self>) -> Self {
        if conditions.len() == 1 { conditions.remove(0) } else { Self::All(conditions) }
    }

    /// Whether it holds; `recipient` is the one under decision, and only asked where a test is individual.
    pub(crate) fn holds(&self, case: &Case<'_>, recipient: Option<&Recipient>) -> Truth {
        match self {
            Self::Test(test) => test.holds(case, recipient),
            Self::All(conditions) => Truth::all(conditions.iter().map(|condition| condition.holds(case, recipient))),
            Self::Any(conditions) => Truth::any(conditions.iter().map(|condition| condition.holds(case, recipient))),
            Self::Not(condition) => !condition.holds(case, recipient),
        }
    }

    /// Appends every test in it.
    pub(crate) fn tests<'c>(&'c self, into: &mut Vec<&'c Test>) {
        match self {
            Self::Test(test) => into.push(test),
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().for_each(|condition| condition.tests(into)),
            Self::Not(condition) => condition.tests(into),
        }
    }

    /// Whether it is decided for each recipient.
    fn is_individual(&self) -> bool {
        match self {
            Self::Test(test) => matches!(test, Test::Recipient(_)),
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().any(Self::is_individual),
            Self::Not(condition) => condition.is_individual(),
        }
    }

    /// What it found.
    pub(crate) fn found(&self, case: &Case<'_>, recipient: &Recipient) -> String {
        let truth = |condition: &Self| condition.holds(case, Some(recipient));
        match self {
            Self::Test(test) => format!("{}: {}", test.key(), test.found(case, recipient)),
            Self::All(conditions) => match conditions.iter().find(|condition| truth(condition) == Truth::No) {
                Some(failing) => failing.found(case, recipient),
                None => joined(conditions, |condition| condition.found(case, recipient)),
            },
            Self::Any(conditions) => match conditions.iter().find(|condition| truth(condition) == Truth::Yes) {
                Some(holding) => holding.found(case, recipient),
                None => joined(conditions, |condition| condition.found(case, recipient)),
            },
            Self::Not(condition) => format!("not ({})", condition.found(case, recipient)),
        }
    }

    /// Why it does not hold, or why that cannot be known.
    pub(crate) fn obstacle(&self, case: &Case<'_>, recipient: &Recipient) -> String {
        match self {
            Self::Test(test) if test.holds(case, Some(recipient)) == Truth::Unknown => {
                format!("{}: {}", test.key(), test.unknown(case, recipient))
            }
            Self::Test(test) => format!("{}: wanted {}, found {}", test.key(), test.wanted(), test.found(case, recipient)),
            Self::All(conditions) => {
                let failing = conditions.iter().min_by_key(|condition| condition.holds(case, Some(recipient)));
                failing.map(|condition| condition.obstacle(case, recipient)).unwrap_or_default()
            }
            Self::Any(conditions) => {
                let each = joined(conditions, |condition| condition.obstacle(case, recipient));
                format!("none of {} holds ({each})", conditions.len())
            }
            Self::Not(condition) if condition.holds(case, Some(recipient)) == Truth::Unknown => {
                format!("not ({})", condition.obstacle(case, recipient))
            }
            Self::Not(condition) => format!("holds and must not: {}", condition.found(case, recipient)),
        }
    }
}

fn joined(conditions: &[Condition], words: impl Fn(&Condition) -> String) -> String {
    let mut line = String::new();
    for condition in conditions {
        let separator = if line.is_empty() { "" } else { "; " };
        let Ok(()) = write!(line, "{separator}{}", words(condition)) else { break };
    }
    line
}

/// Conditions that must all hold, parted by when they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// Once a message.
    pub(crate) shared: Vec<Condition>,
    /// For each recipient.
    pub(crate) individual: Vec<Condition>,
}

impl Conditions {
    pub(crate) fn new(conditions: Vec<Condition>) -> Self {
        let (individual, shared) = conditions.into_iter().partition(Condition::is_individual);
        Self { shared, individual }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.shared.iter().chain(&self.individual)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.individual.is_empty()
    }

    /// Every test in them.
    pub(crate) fn tests(&self) -> Vec<&Test> {
        let mut tests = Vec::new();
        self.iter().for_each(|condition| condition.tests(&mut tests));
        tests
    }

    pub(crate) fn hold(&self, case: &Case<'_>, recipient: Option<&Recipient>) -> Truth {
        Truth::all(self.iter().map(|condition| condition.holds(case, recipient)))
    }

    /// What they found.
    pub(crate) fn found(&self, case: &Case<'_>, recipient: &Recipient) -> String {
        self.iter().map(|condition| condition.found(case, recipient)).collect::<Vec<_>>().join("; ")
    }
}
