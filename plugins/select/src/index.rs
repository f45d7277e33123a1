//! Which rules can apply to a sender at all, without asking them.

use std::collections::BTreeMap;

use crate::case::{Case, Role, values};
use crate::condition::value::Want;
use crate::condition::{About, Condition, Test};
use crate::rule::{Banner, Scope, Step};

/// Things by what their sender must be. Each is filed once, under the key that excludes most senders.
#[derive(Debug, Default)]
pub(crate) struct Index {
    addresses: BTreeMap<String, Vec<usize>>,
    groups: BTreeMap<String, Vec<usize>>,
    domains: BTreeMap<String, Vec<usize>>,
    /// By name and value, in lower case, of an attribute.
    attributes: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
    /// Those that every sender must be tried with.
    others: Vec<usize>,
}

impl Index {
    /// Rules and folders by their step. A rule in a folder must fulfil the folder's conditions, too; the end of a folder has them alone.
    pub(crate) fn of_steps(steps: &[Step]) -> Self {
        let mut index = Self::default();
        for (number, step) in steps.iter().enumerate() {
            let folder = match step {
                Step::Enter(_) => None,
                Step::Try(rule) => rule.folder,
                Step::Leave(_, folder) => Some(*folder),
            };
            let folder = folder.and_then(|folder| steps[folder].scope());
            let tests: Vec<&About> = step.scope().into_iter().chain(folder).flat_map(about_sender).collect();
            index.file(number, &tests);
        }
        index
    }

    /// Banners by their number.
    pub(crate) fn of_banners(banners: &[Banner]) -> Self {
        let mut index = Self::default();
        for (number, banner) in banners.iter().enumerate() {
            index.file(number, &about_sender(&banner.scope).collect::<Vec<_>>());
        }
        index
    }

    fn file(&mut self, number: usize, tests: &[&About]) {
        let Some(key) = tests.iter().filter_map(|test| Key::of(test)).min_by_key(Key::rank) else {
            self.others.push(number);
            return;
        };
        let (map, keys) = match key {
            Key::Addresses(keys) => (&mut self.addresses, keys),
            Key::Groups(keys) => (&mut self.groups, keys),
            Key::Domains(keys) => (&mut self.domains, keys),
            Key::Attribute(name, keys) => (self.attributes.entry(name.to_owned()).or_default(), keys),
        };
        for key in keys {
            map.entry(key.to_owned()).or_default().push(number);
        }
    }

    /// The numbers of those to try, ascending.
    pub(crate) fn candidates(&self, case: &Case<'_>) -> Vec<usize> {
        let sender = case.sender();
        let mut candidates = self.others.clone();
        candidates.extend(self.addresses.get(&sender.address).into_iter().flatten());
        candidates.extend(self.domains.get(&sender.person.address.domain).into_iter().flatten());
        candidates.extend(sender.person.groups.iter().filter_map(|group| self.groups.get(group)).flatten());
        for (name, by_value) in &self.attributes {
            candidates.extend(values(sender.person, name).filter_map(|value| by_value.get(&value.to_lowercase())).flatten());
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }
}

/// The tests about the sender that must hold where the scope applies.
fn about_sender(scope: &Scope) -> impl Iterator<Item = &About> {
    scope.conditions.shared.iter().filter_map(|condition| match condition {
        Condition::Test(Test::Person(Role::Sender, about)) => Some(about),
        _ => None,
    })
}

/// What something can be filed under.
pub(crate) enum Key<'t> {
    Addresses(Vec<&'t str>),
    Groups(Vec<&'t str>),
    Domains(Vec<&'t str>),
    Attribute(&'t str, Vec<&'t str>),
}

impl<'t> Key<'t> {
    /// The key of one test: values of which the sender must have one.
    pub(crate) fn of(test: &'t About) -> Option<Self> {
        let texts = |list: &'t [String]| list.iter().map(String::as_str).collect();
        match test {
            About::Addresses(patterns) if patterns.iter().all(|pattern| pattern.is_exact()) => {
                Some(Self::Addresses(patterns.iter().map(|pattern| pattern.text.as_str()).collect()))
            }
            About::Addresses(patterns) if patterns.iter().all(|pattern| !pattern.domain().contains('*')) => {
                Some(Self::Domains(patterns.iter().map(|pattern| pattern.domain()).collect()))
            }
            About::Groups(groups) => Some(Self::Groups(texts(groups))),
            About::Domains(domains) if domains.iter().all(|domain| !domain.starts_with('*')) => Some(Self::Domains(texts(domains))),
            About::Attribute(name, Want::OneOf(wanted)) => Some(Self::Attribute(name, texts(wanted))),
            _ => None,
        }
    }

    /// The rank, the attribute's name, and the values.
    pub(crate) fn parts(self) -> (u8, &'t str, Vec<&'t str>) {
        let rank = self.rank();
        match self {
            Self::Addresses(values) | Self::Groups(values) | Self::Domains(values) => (rank, "", values),
            Self::Attribute(name, values) => (rank, name, values),
        }
    }

    /// Smaller for a key that fewer senders have.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Addresses(_) => 0,
            Self::Groups(_) => 1,
            Self::Attribute(..) => 2,
            Self::Domains(_) => 3,
        }
    }
}
