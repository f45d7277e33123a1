//! What is valid and probably not meant: rules that can never apply, rules that an earlier one shadows, campaigns that leave a gap.
//!
//! Everything here is said only where it is certain. Conditions that are not understood well enough make it say nothing.

mod contradicts;
mod dates;
mod implies;
mod shadow;

use signet_plugin_sdk::{Diagnostic, Severity, diagnostic};

use self::contradicts::contradiction;
use self::implies::all_imply;
use crate::condition::{Condition, Conditions};
use crate::rule::{Banner, Place, Rule, RuleSet, Scope, Step};

/// Where something applies, with what its folder adds.
pub(crate) struct Claim<'r> {
    scope: &'r Scope,
    folder: Option<&'r Scope>,
    /// The folder's first.
    conditions: Vec<&'r Condition>,
    exceptions: Vec<&'r Conditions>,
}

impl<'r> Claim<'r> {
    fn new(scope: &'r Scope, folder: Option<&'r Scope>) -> Self {
        let scopes = || folder.into_iter().chain([scope]);
        Self {
            scope,
            folder,
            conditions: scopes().flat_map(|scope| scope.conditions.iter()).collect(),
            exceptions: scopes().flat_map(|scope| &scope.exceptions).collect(),
        }
    }

    fn of_rule(rule: &'r Rule, steps: &'r [Step]) -> Self {
        Self::new(&rule.scope, rule.folder.and_then(|folder| steps[folder].scope()))
    }

    fn of_banner(banner: &'r Banner) -> Self {
        Self::new(&banner.scope, None)
    }

    /// Whether this applies wherever `other` does.
    fn covers(&self, other: &Self) -> bool {
        self.conditions.iter().all(|condition| all_imply(&other.conditions, condition))
            && self.exceptions.iter().all(|exception| other.exceptions.contains(exception))
    }

    /// Why it can never apply.
    fn impossible(&self) -> Option<String> {
        let folder = || self.folder.map(|folder| format!("its folder {} or ", named(folder))).unwrap_or_default();
        if let Some((left, right)) = contradiction(&self.conditions) {
            let from_folder = self.folder.is_some_and(|folder| folder.conditions.iter().any(|condition| condition == left));
            let of = if from_folder { folder().replace(" or ", "'s ") } else { String::new() };
            return Some(format!("{of}{} and {} exclude each other", in_words(left), in_words(right)));
        }
        let hopeless = self.exceptions.iter().find(|exception| exception.iter().all(|condition| all_imply(&self.conditions, condition)));
        let exception = hopeless?.iter().map(in_words).collect::<Vec<_>>().join(" with ");
        Some(format!("an exception of {}this one, {exception}, holds wherever the conditions do", folder()))
    }
}

/// Reports what is probably not meant.
pub(crate) fn report(rules: &RuleSet, findings: &mut Vec<Diagnostic>) {
    let mut dead: Vec<&Scope> = Vec::new();
    let mut impossible = |kind: &str, claim: &Claim<'_>| -> bool {
        let why = claim.impossible();
        if let Some(why) = &why {
            findings.push(warning(kind, claim.scope, format!("{:?} can never apply: {why}", claim.scope.name)));
        }
        why.is_some()
    };
    for step in &rules.steps {
        match step {
            Step::Enter(folder) if impossible("folder", &Claim::new(&folder.scope, None)) => dead.push(&folder.scope),
            Step::Try(rule) => {
                let claim = Claim::of_rule(rule, &rules.steps);
                let in_dead_folder = claim.folder.is_some_and(|folder| dead.iter().any(|dead| std::ptr::eq(*dead, folder)));
                if in_dead_folder || impossible("rule", &claim) {
                    dead.push(&rule.scope);
                }
            }
            _ => (),
        }
    }
    for banner in &rules.banners {
        if impossible("banner", &Claim::of_banner(banner)) {
            dead.push(&banner.scope);
        }
    }
    shadow::report(rules, &dead, findings);
    dates::report(rules, &dead, findings);
}

fn is_dead(scope: &Scope, dead: &[&Scope]) -> bool {
    dead.iter().any(|dead| std::ptr::eq(*dead, scope))
}

fn warning(key: &str, scope: &Scope, message: String) -> Diagnostic {
    diagnostic(Severity::Warning, &scope.place.file, scope.place.line, key, message)
}

/// Name, file and line.
fn named(scope: &Scope) -> String {
    let Place { file, line } = &scope.place;
    format!("{:?} ({file} line {line})", scope.name)
}

fn in_words(condition: &Condition) -> String {
    let each = |conditions: &[Condition], word: &str| conditions.iter().map(in_words).collect::<Vec<_>>().join(word);
    match condition {
        Condition::Test(test) => format!("`{}` {}", test.key(), test.wanted()),
        Condition::All(conditions) => format!("({})", each(conditions, " and ")),
        Condition::Any(conditions) => format!("({})", each(conditions, " or ")),
        Condition::Not(condition) => format!("not {}", in_words(condition)),
    }
}
