//! From rules and facts to a decision.
//!
//! Whatever does not depend on the recipient is decided once; what remains is tried for each recipient, and recipients with the same
//! outcome become one copy. Explanations are written once a copy, after everything is decided.

use signet_plugin_sdk::select::{Choice, CopyPlan, Decision, Explanation, Outcome};
use signet_plugin_sdk::{Facts, Message, Recipient, RecipientClass};

use crate::condition::{Case, Test};
use crate::index::Index;
use crate::rule::{Action, Conditions, Rule, STACK};

/// Rules that the index excluded and that are explained one by one; beyond them only their number is told. Explaining costs about a
/// microsecond a rule and copy, and nobody reads a thousand lines.
const EXCLUDED_SHOWN: usize = 32;

/// Octets of one explanation line, as in the interface.
const LINE: usize = 1024;

/// The reason when nothing applied.
const NO_RULE: &str = "no-rule-applied";

/// The reason when the author's text already carries a signature.
const ALREADY_SIGNED: &str = "already-signed";

/// Why a rule did not apply.
enum Obstacle<'r> {
    /// It asks the directory about someone whom the directory does not know.
    Unknown(&'r Test),
    /// A condition does not hold.
    Condition(&'r Test),
    /// All of an exception's conditions hold.
    Exception(usize, &'r Conditions),
}

/// Decides for one message.
pub(crate) fn decide(rules: &[Rule], index: &Index, facts: &Facts, message: &dyn Message) -> Decision {
    if facts.already_signed {
        let mut decision = Decision::everyone(facts, Outcome::Skip(ALREADY_SIGNED.to_owned()));
        let reason = "what the author wrote now already carries a signature".to_owned();
        decision.copies[0].explanation.push(Explanation { rule: "(every rule)".to_owned(), applied: false, reason });
        return decision;
    }
    let case = Case::new(facts, message);
    let candidates = index.candidates(&case);
    let possible: Vec<usize> = candidates.iter().copied().filter(|rule| shared_obstacle(&rules[*rule], &case).is_none()).collect();
    let mut decider = Decider::new(rules, &case, &possible);
    for (number, recipient) in (0..).zip(&facts.recipients) {
        decider.add(number, recipient);
    }
    let groups = std::mem::take(&mut decider.groups);
    let copies = groups.into_iter().map(|group| {
        let recipient = &facts.recipients[group.recipients[0] as usize];
        CopyPlan { explanation: explain(rules, &candidates, &case, recipient), recipients: group.recipients, outcome: group.outcome }
    });
    Decision { copies: copies.collect(), remove_from_subject: Vec::new() }
}

/// Recipients with one outcome.
struct Group {
    recipients: Vec<u32>,
    outcome: Outcome,
}

struct Decider<'a> {
    rules: &'a [Rule],
    case: &'a Case<'a>,
    possible: &'a [usize],
    groups: Vec<Group>,
    /// Whether recipients of one class must have one outcome.
    class_decides: bool,
    /// The classes met so far with their group, when the class decides.
    classes: Vec<(&'a RecipientClass, usize)>,
}

impl<'a> Decider<'a> {
    fn new(rules: &'a [Rule], case: &'a Case<'a>, possible: &'a [usize]) -> Self {
        let mut tests = possible.iter().flat_map(|number| rules[*number].tests());
        let class_decides = tests.all(|test| !matches!(test, Test::Recipient(who) if !who.is_class_only()));
        Self { rules, case, possible, groups: Vec::new(), class_decides, classes: Vec::new() }
    }

    fn add(&mut self, number: u32, recipient: &'a Recipient) {
        let met = self.classes.iter().find(|(class, _)| **class == recipient.class);
        if let Some((_, group)) = met {
            self.groups[*group].recipients.push(number);
            return;
        }
        let group = self.file(number, recipient);
        if self.class_decides {
            self.classes.push((&recipient.class, group));
        }
    }

    /// The number of the group that the recipient joins.
    fn file(&mut self, number: u32, recipient: &Recipient) -> usize {
        let outcome = self.outcome(recipient);
        if let Some(group) = self.groups.iter().position(|group| group.outcome == outcome) {
            self.groups[group].recipients.push(number);
            return group;
        }
        self.groups.push(Group { recipients: vec![number], outcome });
        self.groups.len() - 1
    }

    fn outcome(&self, recipient: &Recipient) -> Outcome {
        let mut stack: Vec<Choice> = Vec::new();
        for rule in self.possible.iter().map(|number| &self.rules[*number]) {
            if individual_obstacle(rule, self.case, recipient).is_some() {
                continue;
            }
            match &rule.action {
                Action::Skip(reason) => return if stack.is_empty() { Outcome::Skip(reason.clone()) } else { Outcome::Sign(stack) },
                Action::Sign { ids, placement } => {
                    for id in ids {
                        if stack.len() < STACK && stack.iter().all(|chosen| chosen.id != *id) {
                            stack.push(Choice { id: id.clone(), placement: placement.clone() });
                        }
                    }
                }
            }
            if rule.stop {
                break;
            }
        }
        if stack.is_empty() { Outcome::Skip(NO_RULE.to_owned()) } else { Outcome::Sign(stack) }
    }
}

/// What keeps the rule from applying to anyone.
fn shared_obstacle<'r>(rule: &'r Rule, case: &Case<'_>) -> Option<Obstacle<'r>> {
    if !case.known
        && let Some(test) = rule.tests().find(|test| test.asks_directory())
    {
        return Some(Obstacle::Unknown(test));
    }
    let failing = rule.conditions.tests.iter().find(|test| !test.is_individual() && !test.holds(case, None));
    if let Some(test) = failing {
        return Some(Obstacle::Condition(test));
    }
    let exceptions = (1..).zip(&rule.exceptions);
    let mut shared = exceptions.filter(|(_, exception)| !exception.tests.iter().any(Test::is_individual));
    shared.find(|(_, exception)| exception.hold(case, None)).map(|(number, exception)| Obstacle::Exception(number, exception))
}

/// What keeps a rule without shared obstacle from applying to this recipient.
fn individual_obstacle<'r>(rule: &'r Rule, case: &Case<'_>, recipient: &Recipient) -> Option<Obstacle<'r>> {
    let recipient = Some(recipient);
    let failing = rule.conditions.tests.iter().find(|test| test.is_individual() && !test.holds(case, recipient));
    if let Some(test) = failing {
        return Some(Obstacle::Condition(test));
    }
    let exceptions = (1..).zip(&rule.exceptions);
    let mut individual = exceptions.filter(|(_, exception)| exception.tests.iter().any(Test::is_individual));
    individual.find(|(_, exception)| exception.hold(case, recipient)).map(|(number, exception)| Obstacle::Exception(number, exception))
}

impl Conditions {
    fn hold(&self, case: &Case<'_>, recipient: Option<&Recipient>) -> bool {
        self.tests.iter().all(|test| test.holds(case, recipient))
    }

    fn in_words(&self, case: &Case<'_>, recipient: &Recipient) -> String {
        let findings = self.tests.iter().map(|test| format!("{}: {}", test.key(), test.found(case, Some(recipient))));
        findings.collect::<Vec<_>>().join("; ")
    }
}

fn explain(rules: &[Rule], candidates: &[usize], case: &Case<'_>, recipient: &Recipient) -> Vec<Explanation> {
    let mut lines = Vec::with_capacity(candidates.len() + EXCLUDED_SHOWN + 1);
    let mut stopped_by: Option<&Rule> = None;
    let excluded = rules.len() - candidates.len();
    let every = excluded <= EXCLUDED_SHOWN;
    let numbers: Vec<usize> = if every { (0..rules.len()).collect() } else { candidates.to_vec() };
    for rule in numbers.into_iter().map(|number| &rules[number]) {
        let obstacle = || shared_obstacle(rule, case).or_else(|| individual_obstacle(rule, case, recipient));
        let (applied, reason) = if let Some(by) = stopped_by {
            (false, format!("not asked: {:?} ended the search", by.name))
        } else if let Some(obstacle) = obstacle() {
            (false, obstacle.in_words(case, recipient))
        } else {
            if rule.stop || matches!(rule.action, Action::Skip(_)) {
                stopped_by = Some(rule);
            }
            let found = rule.conditions.in_words(case, recipient);
            (true, if found.is_empty() { "has no conditions".to_owned() } else { found })
        };
        lines.push(Explanation { rule: cut(rule.name.clone()), applied, reason: cut(reason) });
    }
    if !every {
        let reason = "none of their sender addresses, groups or domains is the sender's".to_owned();
        lines.push(Explanation { rule: format!("({excluded} more rules)"), applied: false, reason });
    }
    lines
}

impl Obstacle<'_> {
    fn in_words(&self, case: &Case<'_>, recipient: &Recipient) -> String {
        match self {
            Self::Unknown(test) => format!("{}: the directory does not know {:?}", test.key(), case.sender),
            Self::Condition(test) => {
                format!("{}: wanted {}, found {}", test.key(), test.wanted(), test.found(case, Some(recipient)))
            }
            Self::Exception(number, exception) => format!("exception {number} holds: {}", exception.in_words(case, recipient)),
        }
    }
}

fn cut(mut line: String) -> String {
    if line.len() > LINE {
        line.truncate(line.floor_char_boundary(LINE));
    }
    line
}
