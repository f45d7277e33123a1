//! Why each rule, folder and banner did or did not apply to a recipient, in words.

use signet_plugin_sdk::Recipient;
use signet_plugin_sdk::select::Explanation;

use crate::case::Case;
use crate::condition::Truth;
use crate::decide::{Fate, Numbers, Obstacle, judge};
use crate::rule::{RuleSet, Scope, Step};

/// What the index excluded and is explained one by one where nobody asked for every rule; beyond that only the number is told.
/// Explaining costs about a microsecond a rule and copy, and nobody reads a thousand lines.
const EXCLUDED_SHOWN: usize = 32;

/// Octets of one explanation line, as in the interface.
const LINE: usize = 1024;

/// The explanation of one copy. `candidates` are what the index did not exclude.
pub(crate) fn explain(rules: &RuleSet, candidates: &Numbers, case: &Case<'_>, recipient: &Recipient) -> Vec<Explanation> {
    let ends = candidates.steps.iter().filter(|number| matches!(rules.steps[**number], Step::Leave(..))).count();
    let excluded = rules.explained + ends - candidates.steps.len() - candidates.banners.len();
    let asked = case.facts.explain_every_rule;
    let every = asked || excluded <= EXCLUDED_SHOWN;
    let all = every.then(|| Numbers { steps: (0..rules.steps.len()).collect(), banners: (0..rules.banners.len()).collect() });
    let mut lines = Vec::new();
    let mut listener = |title: String, scope: &Scope, fate: Fate<'_>| {
        // The line of a folder speaks for the rules in it.
        if !asked && matches!(fate, Fate::Outside(_)) {
            return;
        }
        let applied = matches!(fate, Fate::Applied);
        lines.push(Explanation { rule: cut(title), applied, reason: cut(fate.in_words(scope, case, recipient)) });
    };
    let numbers = all.as_ref().unwrap_or(candidates);
    judge(rules, numbers, &|scope| scope.shared_obstacle(case).or_else(|| scope.individual_obstacle(case, recipient)), Some(&mut listener));
    if !every {
        let reason = "none of their sender addresses, groups, attributes or domains is the sender's".to_owned();
        lines.push(Explanation { rule: format!("({excluded} more rules)"), applied: false, reason });
    }
    lines
}

impl Fate<'_> {
    fn in_words(&self, scope: &Scope, case: &Case<'_>, recipient: &Recipient) -> String {
        match self {
            Self::Applied if scope.conditions.is_empty() && scope.exceptions.is_empty() => "has no conditions".to_owned(),
            Self::Applied if scope.conditions.is_empty() => "has no conditions, and no exception holds".to_owned(),
            Self::Applied => scope.conditions.found(case, recipient),
            Self::Kept(obstacle) => obstacle.in_words(case, recipient),
            Self::Outside(folder) => format!("not asked: its folder {:?} does not apply", folder.scope.name),
            Self::Ended(by) => format!("not asked: {by:?} ended the search"),
            Self::Left(reason) => format!("not added: {reason}"),
        }
    }
}

impl Obstacle<'_> {
    fn in_words(&self, case: &Case<'_>, recipient: &Recipient) -> String {
        match self {
            Self::Condition(condition) => condition.obstacle(case, recipient),
            Self::Exception(number, exception, Truth::Unknown) => {
                let unknown = exception.iter().find(|condition| condition.holds(case, Some(recipient)) == Truth::Unknown);
                let why = unknown.map(|condition| condition.obstacle(case, recipient)).unwrap_or_default();
                format!("exception {number} cannot be ruled out: {why}")
            }
            Self::Exception(number, exception, _) => format!("exception {number} holds: {}", exception.found(case, recipient)),
        }
    }
}

fn cut(mut line: String) -> String {
    if line.len() > LINE {
        line.truncate(line.floor_char_boundary(LINE));
    }
    line
}
