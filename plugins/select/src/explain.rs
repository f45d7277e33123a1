//! Why each rule, folder and banner did or did not apply to a recipient, in words.

use signet_plugin_sdk::Recipient;
use signet_plugin_sdk::select::Explanation;

use crate::case::Case;
use crate::condition::Truth;
use crate::condition::who::described;
use crate::copies::{Group, Variant};
use crate::decide::{Fate, Numbers, Obstacle, judge};
use crate::rule::{RuleSet, Scope, Step};

/// What the index excluded and is explained one by one where nobody asked for every rule; beyond that only the number is told.
/// Explaining costs about a microsecond a rule and copy, and nobody reads a thousand lines.
const EXCLUDED_SHOWN: usize = 32;

/// Octets of one explanation line, as in the interface.
const LINE: usize = 1024;

/// What happened to one rule, folder or banner for each variant.
struct Line<'r> {
    title: String,
    scope: &'r Scope,
    fates: Vec<Fate<'r>>,
}

/// The explanation of one copy. `candidates` are what the index did not exclude. A rule has a line for each way in which the
/// recipients came to their outcome, where they differ about it; the line names whom it is about.
pub(crate) fn explain<'r>(rules: &'r RuleSet, candidates: &Numbers, case: &Case<'_>, group: &Group<'r>) -> Vec<Explanation> {
    let ends = candidates.steps.iter().filter(|number| matches!(rules.steps[**number], Step::Leave(..))).count();
    let excluded = rules.explained + ends - candidates.steps.len() - candidates.banners.len();
    let asked = case.facts.explain_every_rule;
    let every = asked || excluded <= EXCLUDED_SHOWN;
    let all = every.then(|| Numbers { steps: (0..rules.steps.len()).collect(), banners: (0..rules.banners.len()).collect() });
    let mut lines = Vec::new();
    for line in fates(rules, all.as_ref().unwrap_or(candidates), case, &group.variants) {
        line.tell(case, &group.variants, &mut lines);
    }
    if !every {
        let reason = "none of their sender addresses, groups, attributes or domains is the sender's".to_owned();
        lines.push(Explanation { rule: format!("({excluded} more rules)"), applied: false, reason });
    }
    if group.others > 0 {
        let reason = "other rules decided for them, or other conditions, with the same outcome".to_owned();
        lines.push(Explanation { rule: format!("({} more recipients)", group.others), applied: false, reason });
    }
    lines
}

/// What happened to everything that has a title, for each variant.
fn fates<'r>(rules: &'r RuleSet, numbers: &Numbers, case: &Case<'_>, variants: &[Variant<'r>]) -> Vec<Line<'r>> {
    let mut lines: Vec<Line<'r>> = Vec::new();
    for (round, Variant { recipient, .. }) in variants.iter().enumerate() {
        let mut number = 0;
        let mut listener = |title: String, scope: &'r Scope, fate: Fate<'r>| {
            match lines.get_mut(number) {
                Some(line) if round > 0 => line.fates.push(fate),
                _ => lines.push(Line { title, scope, fates: vec![fate] }),
            }
            number += 1;
        };
        let obstacle = |scope: &'r Scope| scope.shared_obstacle(case).or_else(|| scope.individual_obstacle(case, recipient));
        judge(rules, numbers, &obstacle, Some(&mut listener));
    }
    lines
}

impl Line<'_> {
    /// What ended the search for all before it came here: for each variant it may be something else.
    fn ended(&self) -> Option<String> {
        let mut names: Vec<String> = Vec::new();
        for fate in &self.fates {
            let Fate::Ended(by) = fate else { return None };
            let name = format!("{by:?}");
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Some(format!("not asked: {} ended the search", names.join(" or ")))
    }

    /// One line where all variants agree, otherwise one for each way.
    fn tell(&self, case: &Case<'_>, variants: &[Variant<'_>], lines: &mut Vec<Explanation>) {
        if let Some(reason) = self.ended() {
            lines.push(Explanation { rule: cut(self.title.clone()), applied: false, reason: cut(reason) });
            return;
        }
        for (number, fate) in self.fates.iter().enumerate() {
            // The line of a folder speaks for the rules in it.
            let is_told = !case.facts.explain_every_rule && matches!(fate, Fate::Outside(_));
            if is_told || self.fates[..number].contains(fate) {
                continue;
            }
            let recipient = variants[number].recipient;
            let mut reason = fate.in_words(self.scope, case, recipient);
            if self.fates.iter().any(|other| other != fate) {
                let alike = self.fates.iter().zip(variants).filter(|(other, _)| *other == fate);
                let others = alike.map(|(_, variant)| variant.size).sum::<usize>() - 1;
                let others = if others > 0 { format!(" and {others} more") } else { String::new() };
                reason = format!("for {}{others}: {reason}", described(recipient));
            }
            lines.push(Explanation { rule: cut(self.title.clone()), applied: matches!(fate, Fate::Applied), reason: cut(reason) });
        }
    }
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
