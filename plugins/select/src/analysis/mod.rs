//! What is valid and probably not meant: rules that can never apply, rules that an earlier one shadows, campaigns that leave a gap.
//!
//! Everything here is said only where it is certain. Conditions that are not understood well enough make it say nothing.

mod contradicts;
mod dates;
mod implies;
mod shadow;
mod union;

use signet_plugin_sdk::{Diagnostic, Severity, diagnostic};

use self::contradicts::contradiction;
use self::implies::all_imply;
use crate::condition::{Condition, Conditions, Test};
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

    /// Where both apply.
    fn and(mut self, mut other: Self) -> Self {
        self.conditions.append(&mut other.conditions);
        self.exceptions.append(&mut other.exceptions);
        self
    }

    /// Whether this applies wherever `other` does.
    fn covers(&self, other: &Self) -> bool {
        self.conditions.iter().all(|condition| all_imply(&other.conditions, condition)) && self.excepts_no_more_than(other)
    }

    fn excepts_no_more_than(&self, other: &Self) -> bool {
        self.exceptions.iter().all(|exception| other.exceptions.contains(exception))
    }

    /// What keeps it from ever applying.
    fn impossible(&self) -> Option<String> {
        if self.conditions.iter().any(|condition| matches!(condition, Condition::Test(Test::Rollout(0, _)))) {
            let hint = "raise it, for example `rollout = 5`, or say `enabled = false` until then";
            return Some(format!("reaches nobody, because its `rollout` is 0; {hint}"));
        }
        self.excluded().map(|why| format!("can never apply: {why}"))
    }

    /// Which of its conditions and exceptions exclude that it applies.
    fn excluded(&self) -> Option<String> {
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
    let mut impossible = |claim: &Claim<'_>| -> bool {
        let why = claim.impossible();
        if let Some(why) = &why {
            findings.push(warning(claim.scope, format!("{:?} {why}", claim.scope.name)));
        }
        why.is_some()
    };
    for step in &rules.steps {
        match step {
            Step::Enter(folder) if impossible(&Claim::new(&folder.scope, None)) => dead.push(&folder.scope),
            Step::Try(rule) => {
                let claim = Claim::of_rule(rule, &rules.steps);
                let in_dead_folder = claim.folder.is_some_and(|folder| dead.iter().any(|dead| std::ptr::eq(*dead, folder)));
                if in_dead_folder || impossible(&claim) {
                    dead.push(&rule.scope);
                }
            }
            _ => (),
        }
    }
    for banner in &rules.banners {
        if impossible(&Claim::of_banner(banner)) {
            dead.push(&banner.scope);
        }
    }
    shadow::report(rules, &dead, findings);
    dates::report(rules, &dead, findings);
}

fn is_dead(scope: &Scope, dead: &[&Scope]) -> bool {
    dead.iter().any(|dead| std::ptr::eq(*dead, scope))
}

fn warning(scope: &Scope, message: String) -> Diagnostic {
    let Place { file, line, path } = &scope.place;
    diagnostic(Severity::Warning, file, *line, path, message)
}

/// Name, file and line.
fn named(scope: &Scope) -> String {
    let Place { file, line, .. } = &scope.place;
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
