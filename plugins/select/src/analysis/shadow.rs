//! Rules below others that catch all of their mail.

use std::collections::HashMap;

use signet_plugin_sdk::Diagnostic;

use super::{Claim, is_dead, named, union, warning};
use crate::case::Role;
use crate::condition::{About, Condition, Test};
use crate::index::Key;
use crate::rule::{RuleSet, Scope, Step};

/// Pairs of rules that are compared at most: a second's work at a time when nobody waits for mail. Beyond it the rest is not examined.
const COMPARISONS: usize = 1_000_000;

/// Of rules that cover another one together, as many are named as one reads in a line.
const NAMED: usize = 4;

pub(super) fn report(rules: &RuleSet, dead: &[&Scope], findings: &mut Vec<Diagnostic>) {
    let mut enders = Enders::default();
    let mut left = COMPARISONS;
    for step in &rules.steps {
        match step {
            Step::Enter(_) => (),
            Step::Leave(_, folder) => {
                if let Some(scope) = rules.steps[*folder].scope().filter(|scope| !is_dead(scope, dead)) {
                    enders.add(Claim::new(scope, None));
                }
            }
            Step::Try(rule) if is_dead(&rule.scope, dead) => (),
            Step::Try(rule) => {
                let claim = Claim::of_rule(rule, &rules.steps);
                if let Some(message) = enders.obstruction(&claim, &mut left) {
                    findings.push(warning(&rule.scope, message));
                } else if rule.ends() {
                    enders.add(claim);
                }
            }
        }
    }
}

/// Why nothing that `later` applies to gets past the earlier ones.
fn why(earlier: &[&Claim<'_>], later: &Claim<'_>) -> String {
    let stops = match earlier {
        [one] if !one.covers(later) => "applies case by case wherever this one would and stops",
        [one] if one.conditions.is_empty() && one.exceptions.is_empty() => "applies to every message and stops",
        [one] if one.conditions == later.conditions => "has the same conditions and stops",
        [_] => "applies wherever this one would and stops",
        _ => "together apply wherever this one would and stop",
    };
    let shown: Vec<String> = earlier.iter().take(NAMED).map(|claim| named(claim.scope)).collect();
    let more = if earlier.len() > NAMED { format!(" and {} more", earlier.len() - NAMED) } else { String::new() };
    let give = if earlier.len() == 1 { "it" } else { "one of them" };
    let hint = format!("give {give} `then = \"continue\"`, or this one a smaller `order`");
    format!("{:?} is never reached: {}{more} {stops}; {hint}", later.scope.name, shown.join(" and "))
}

/// Rules that end the search, by the key that they are filed under in the index, too: one that covers another shares its key.
#[derive(Default)]
struct Enders<'r> {
    claims: Vec<Claim<'r>>,
    by_key: HashMap<(u8, &'r str, &'r str), Vec<usize>>,
    others: Vec<usize>,
}

impl<'r> Enders<'r> {
    fn add(&mut self, claim: Claim<'r>) {
        let number = self.claims.len();
        let keys: Option<Key<'r>> = about_sender(&claim).filter_map(Key::of).min_by_key(Key::rank);
        match keys.map(Key::parts) {
            None => self.others.push(number),
            Some((rank, name, values)) => {
                for value in values {
                    self.by_key.entry((rank, name, value)).or_default().push(number);
                }
            }
        }
        self.claims.push(claim);
    }

    /// What keeps `claim` from being reached.
    fn obstruction(&self, claim: &Claim<'r>, left: &mut usize) -> Option<String> {
        let candidates = self.candidates(claim, left);
        if let Some(one) = candidates.iter().find(|earlier| earlier.covers(claim)) {
            return Some(why(&[one], claim));
        }
        let used = union::cover(&candidates, claim, left)?;
        Some(why(&used.into_iter().map(|number| candidates[number]).collect::<Vec<_>>(), claim))
    }

    /// Those that can cover some of `claim`.
    fn candidates(&self, claim: &Claim<'r>, left: &mut usize) -> Vec<&Claim<'r>> {
        let mut numbers = self.others.clone();
        for about in about_sender(claim) {
            // Whoever covers this claim has all of its values; the first is enough to find it.
            if let Some((rank, name, values)) = Key::of(about).map(Key::parts) {
                numbers.extend(values.first().and_then(|value| self.by_key.get(&(rank, name, *value))).into_iter().flatten());
            }
            if let About::Addresses(patterns) = about
                && let Some(first) = patterns.first()
            {
                let key = (Key::Domains(Vec::new()).rank(), "", first.domain());
                numbers.extend(self.by_key.get(&key).into_iter().flatten());
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers.truncate(*left);
        *left -= numbers.len();
        numbers.into_iter().map(|number| &self.claims[number]).collect()
    }
}

fn about_sender<'r>(claim: &Claim<'r>) -> impl Iterator<Item = &'r About> {
    claim.conditions.iter().filter_map(|condition| match condition {
        Condition::Test(Test::Person(Role::Sender, about)) => Some(about),
        _ => None,
    })
}
