//! Which rules can apply to a sender at all, without asking them.

use std::collections::BTreeMap;

use signet_plugin_sdk::Facts;

use crate::condition::{Case, Test};
use crate::rule::Rule;

/// Rules by what their sender must be. A rule is filed once, under the key that excludes most senders.
#[derive(Debug, Default)]
pub(crate) struct Index {
    addresses: BTreeMap<String, Vec<usize>>,
    groups: BTreeMap<String, Vec<usize>>,
    domains: BTreeMap<String, Vec<usize>>,
    /// Rules that every sender must be tried with.
    others: Vec<usize>,
}

impl Index {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in rules.iter().enumerate() {
            index.file(number, &rule.conditions.tests);
        }
        index
    }

    fn file(&mut self, number: usize, tests: &[Test]) {
        let by = |wanted: fn(&Test) -> Option<&Vec<String>>| tests.iter().find_map(wanted);
        let exact = |domains: &&Vec<String>| domains.iter().all(|domain| !domain.starts_with('*'));
        let (map, keys) = if let Some(keys) = by(|test| if let Test::Addresses(keys) = test { Some(keys) } else { None }) {
            (&mut self.addresses, keys)
        } else if let Some(keys) = by(|test| if let Test::Groups(keys) = test { Some(keys) } else { None }) {
            (&mut self.groups, keys)
        } else if let Some(keys) = by(|test| if let Test::Domains(keys) = test { Some(keys) } else { None }).filter(exact) {
            (&mut self.domains, keys)
        } else {
            self.others.push(number);
            return;
        };
        for key in keys {
            map.entry(key.clone()).or_default().push(number);
        }
    }

    /// The numbers of the rules to try, ascending.
    pub(crate) fn candidates(&self, case: &Case<'_>) -> Vec<usize> {
        let Facts { sender, .. } = case.facts;
        let mut candidates = self.others.clone();
        candidates.extend(self.addresses.get(&case.sender).into_iter().flatten());
        candidates.extend(self.domains.get(&sender.address.domain).into_iter().flatten());
        candidates.extend(sender.groups.iter().filter_map(|group| self.groups.get(group)).flatten());
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }
}
