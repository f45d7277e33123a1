//! From rules and facts to a decision.
//!
//! Whatever does not depend on the recipient is decided once; what remains is tried for each recipient, and recipients with the same
//! outcome become one copy. Explanations are written once a copy, after everything is decided, by the same search.

use std::cell::RefCell;

use signet_plugin_sdk::select::{Choice, CopyPlan, Decision, Explanation, Outcome};
use signet_plugin_sdk::{Facts, Message, Recipient, RecipientClass};

use crate::case::Case;
use crate::condition::value::has_word;
use crate::condition::{Condition, Conditions, Truth};
use crate::copies::{Group, limited};
use crate::explain::explain;
use crate::rule::{Action, Banner, Folder, RuleSet, STACK, Scope, Stack, Step};

/// As many texts as the interface can take out of a subject.
const REMOVALS: usize = 8;

/// The reason when nothing applied.
const NO_RULE: &str = "no-rule-applied";

/// The reason when the author's text already carries a signature.
const ALREADY_SIGNED: &str = "already-signed";

/// Why something did not apply.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Obstacle<'r> {
    /// A condition does not hold, or nobody knows whether it does.
    Condition(&'r Condition),
    /// An exception holds, or nobody knows whether it does.
    Exception(usize, &'r Conditions, Truth),
}

/// Two are one when they speak of the same place in the rules.
impl PartialEq for Obstacle<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Condition(one), Self::Condition(other)) => std::ptr::eq(*one, *other),
            (Self::Exception(_, one, truth), Self::Exception(_, other, another)) => std::ptr::eq(*one, *other) && truth == another,
            _ => false,
        }
    }
}

/// Decides for one message.
pub(crate) fn decide(rules: &RuleSet, facts: &Facts, message: &dyn Message) -> Decision {
    if facts.already_signed {
        return already_signed(rules, facts);
    }
    let case = Case::new(facts, message, rules.settings.on_behalf);
    let candidates = Numbers { steps: candidates(rules, &case), banners: rules.banner_index.candidates(&case) };
    let possible = Numbers { steps: possible_steps(rules, &candidates, &case), banners: possible_banners(rules, &candidates, &case) };
    let mut decider = Decider::new(rules, &case, &possible);
    for (number, recipient) in (0..).zip(&facts.recipients) {
        decider.add(number, recipient);
    }
    let (groups, merged) = limited(decider.groups, rules.settings.copies);
    let mut remove_from_subject: Vec<String> = Vec::new();
    for word in groups.iter().flat_map(|group| &group.removes).filter(|word| has_word(case.subject(), word)) {
        if remove_from_subject.len() < REMOVALS && !remove_from_subject.iter().any(|known| known == word) {
            remove_from_subject.push((*word).to_owned());
        }
    }
    let copies = groups.into_iter().map(|group| {
        let mut explanation = explain(rules, &candidates, &case, &group);
        if let (true, Some(merged)) = (group.is_fallback, &merged) {
            explanation.insert(0, merged.clone());
        }
        CopyPlan { explanation, recipients: group.recipients, outcome: group.outcome }
    });
    Decision { copies: copies.collect(), remove_from_subject }
}

fn already_signed(rules: &RuleSet, facts: &Facts) -> Decision {
    let mut decision = Decision::everyone(facts, Outcome::Skip(ALREADY_SIGNED.to_owned()));
    let line = |rule: String| {
        let reason = "what the author wrote now already carries a signature".to_owned();
        Explanation { rule, applied: false, reason }
    };
    let lines = if facts.explain_every_rule {
        rules.steps.iter().filter_map(Step::title).chain(rules.banners.iter().map(Banner::title)).map(line).collect()
    } else {
        vec![line("(every rule)".to_owned())]
    };
    decision.copies[0].explanation = lines;
    decision
}

/// The steps and banners to look at, ascending.
pub(crate) struct Numbers {
    pub(crate) steps: Vec<usize>,
    pub(crate) banners: Vec<usize>,
}

/// The steps that can concern the sender. A folder belongs to each of its rules.
fn candidates(rules: &RuleSet, case: &Case<'_>) -> Vec<usize> {
    let mut steps = rules.index.candidates(case);
    let mut folders: Vec<usize> = steps.iter().filter_map(|number| rules.steps[*number].folder()).collect();
    folders.dedup();
    if !folders.is_empty() {
        steps.append(&mut folders);
        steps.sort_unstable();
        steps.dedup();
    }
    steps
}

/// The candidates that can apply to a recipient.
fn possible_steps(rules: &RuleSet, candidates: &Numbers, case: &Case<'_>) -> Vec<usize> {
    let mut possible = Vec::new();
    let mut beyond = 0;
    for &number in candidates.steps.iter() {
        let step = &rules.steps[number];
        if number < beyond {
            continue;
        }
        if step.scope().is_none_or(|scope| scope.shared_obstacle(case).is_none()) {
            possible.push(number);
        } else if let Step::Enter(folder) = step {
            beyond = folder.end;
        }
    }
    possible
}

fn possible_banners(rules: &RuleSet, candidates: &Numbers, case: &Case<'_>) -> Vec<usize> {
    let banners = candidates.banners.iter().copied();
    banners.filter(|number| rules.banners[*number].scope.shared_obstacle(case).is_none()).collect()
}

struct Decider<'a> {
    rules: &'a RuleSet,
    case: &'a Case<'a>,
    possible: &'a Numbers,
    groups: Vec<Group<'a>>,
    /// Whether recipients of one class must have one outcome.
    class_decides: bool,
    /// The classes met so far with their group and its variant, when the class decides.
    classes: Vec<(&'a RecipientClass, (usize, Option<usize>))>,
}

impl<'a> Decider<'a> {
    fn new(rules: &'a RuleSet, case: &'a Case<'a>, possible: &'a Numbers) -> Self {
        let steps = possible.steps.iter().filter_map(|number| rules.steps[*number].scope());
        let mut scopes = steps.chain(possible.banners.iter().map(|number| &rules.banners[*number].scope));
        let class_decides = scopes.all(|scope| !scope.asks_beyond_class);
        Self { rules, case, possible, groups: Vec::new(), class_decides, classes: Vec::new() }
    }

    fn add(&mut self, number: u32, recipient: &'a Recipient) {
        let met = self.classes.iter().find(|(class, _)| **class == recipient.class);
        if let Some((_, (group, variant))) = met {
            self.groups[*group].recipients.push(number);
            self.groups[*group].count_again(*variant);
            return;
        }
        let place = self.file(number, recipient);
        if self.class_decides {
            self.classes.push((&recipient.class, place));
        }
    }

    /// The number of the group that the recipient joins, and of its variant.
    fn file(&mut self, number: u32, recipient: &'a Recipient) -> (usize, Option<usize>) {
        let trace = RefCell::new(Vec::new());
        let obstacle = |scope: &'a Scope| {
            let obstacle = scope.individual_obstacle(self.case, recipient);
            trace.borrow_mut().push(obstacle);
            obstacle
        };
        let Verdict { outcome, removes } = judge(self.rules, self.possible, &obstacle, None);
        let known = self.groups.iter().position(|group| group.outcome == outcome);
        let group = known.unwrap_or(self.groups.len());
        if known.is_none() {
            self.groups.push(Group::new(outcome));
        }
        self.groups[group].recipients.push(number);
        self.groups[group].removes.extend(removes);
        (group, self.groups[group].count(recipient, trace.into_inner()))
    }
}

/// What happened to a step or banner.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate<'r> {
    Applied,
    Kept(Obstacle<'r>),
    /// It is in a folder that does not apply.
    Outside(&'r Folder),
    /// That rule or folder ended the search.
    Ended(&'r str),
    /// A banner that would have applied, and why it was not added.
    Left(&'static str),
}

impl PartialEq for Fate<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Applied, Self::Applied) => true,
            (Self::Kept(one), Self::Kept(other)) => one == other,
            (Self::Outside(one), Self::Outside(other)) => std::ptr::eq(*one, *other),
            (Self::Ended(one), Self::Ended(other)) => one == other,
            (Self::Left(one), Self::Left(other)) => one == other,
            _ => false,
        }
    }
}

/// What a recipient gets.
pub(crate) struct Verdict<'r> {
    outcome: Outcome,
    removes: Vec<&'r str>,
}

/// Hears what happened to everything that is looked at.
pub(crate) type Listener<'l, 'r> = &'l mut dyn FnMut(String, &'r Scope, Fate<'r>);

/// Searches the steps and adds banners. `obstacle` says what keeps a scope from applying. With a listener everything is looked at, also
/// what comes after the end.
pub(crate) fn judge<'r>(
    rules: &'r RuleSet,
    numbers: &Numbers,
    obstacle: &dyn Fn(&'r Scope) -> Option<Obstacle<'r>>,
    mut listener: Option<Listener<'_, 'r>>,
) -> Verdict<'r> {
    let mut pile = Pile::default();
    let mut ended: Option<&str> = None;
    let mut outside: Option<&Folder> = None;
    for &number in &numbers.steps {
        outside = outside.filter(|folder| number < folder.end);
        let step = &rules.steps[number];
        let Some(scope) = step.scope() else {
            if let (Step::Leave(name, _), None, None) = (step, ended, outside) {
                ended = Some(name);
            }
            continue;
        };
        let fate = match (ended, outside) {
            (Some(_), _) if listener.is_none() => break,
            (Some(by), _) => Fate::Ended(by),
            (None, Some(folder)) => Fate::Outside(folder),
            (None, None) => obstacle(scope).map_or(Fate::Applied, Fate::Kept),
        };
        match (&fate, step) {
            (Fate::Kept(_), Step::Enter(folder)) => outside = Some(folder),
            (Fate::Applied, Step::Try(rule)) => {
                match &rule.action {
                    Action::Skip(reason) => pile.skipped = Some(reason),
                    Action::Sign(stack) => _ = pile.add(stack),
                }
                pile.removes.extend(rule.removes.iter().map(String::as_str));
                ended = rule.ends().then_some(scope.name.as_str());
            }
            _ => (),
        }
        if let (Some(listener), Some(title)) = (&mut listener, step.title()) {
            listener(title, scope, fate);
        }
    }
    let mut room = rules.settings.banners;
    for banner in numbers.banners.iter().map(|number| &rules.banners[*number]) {
        let fate = obstacle(&banner.scope).map_or_else(|| pile.put(banner, &mut room), Fate::Kept);
        if let Some(listener) = &mut listener {
            listener(banner.title(), &banner.scope, fate);
        }
    }
    pile.verdict()
}

/// What has been chosen so far.
#[derive(Default)]
struct Pile<'r> {
    stack: Vec<Choice>,
    skipped: Option<&'r str>,
    removes: Vec<&'r str>,
}

impl<'r> Pile<'r> {
    /// Adds what is not there yet and fits; whether that was anything.
    fn add(&mut self, Stack { ids, placement }: &Stack) -> bool {
        let before = self.stack.len();
        for id in ids {
            if self.stack.len() < STACK && self.stack.iter().all(|chosen| chosen.id != *id) {
                self.stack.push(Choice { id: id.clone(), placement: placement.clone() });
            }
        }
        self.stack.len() > before
    }

    /// Adds a banner that applies, unless something speaks against it.
    fn put(&mut self, banner: &'r Banner, room: &mut usize) -> Fate<'r> {
        if self.skipped.is_some() {
            return Fate::Left("a rule wants nothing added");
        }
        if banner.only_with_signature && self.stack.is_empty() {
            return Fate::Left("there is no signature to be below");
        }
        if *room == 0 {
            return Fate::Left("the message has as many banners as the settings allow");
        }
        if !self.add(&banner.stack) {
            return Fate::Left("its signatures are there already, or the message has as many as it can carry");
        }
        *room -= 1;
        self.removes.extend(banner.removes.iter().map(String::as_str));
        Fate::Applied
    }

    fn verdict(self) -> Verdict<'r> {
        let outcome = match (self.stack.is_empty(), self.skipped) {
            (false, _) => Outcome::Sign(self.stack),
            (true, Some(reason)) => Outcome::Skip(reason.to_owned()),
            (true, None) => Outcome::Skip(NO_RULE.to_owned()),
        };
        Verdict { outcome, removes: self.removes }
    }
}

impl Step {
    /// The step that explains it, as a title.
    fn title(&self) -> Option<String> {
        match self {
            Self::Enter(folder) => Some(format!("folder: {}", folder.scope.name)),
            Self::Try(rule) => Some(rule.scope.name.clone()),
            Self::Leave(..) => None,
        }
    }

    /// The step of the folder that it is in.
    fn folder(&self) -> Option<usize> {
        match self {
            Self::Enter(_) => None,
            Self::Try(rule) => rule.folder,
            Self::Leave(_, folder) => Some(*folder),
        }
    }
}

impl Banner {
    fn title(&self) -> String {
        format!("banner: {}", self.scope.name)
    }
}

impl Scope {
    /// What keeps it from applying to anyone.
    pub(crate) fn shared_obstacle(&self, case: &Case<'_>) -> Option<Obstacle<'_>> {
        self.obstacle(case, None)
    }

    /// What keeps a scope without shared obstacle from applying to this recipient.
    pub(crate) fn individual_obstacle(&self, case: &Case<'_>, recipient: &Recipient) -> Option<Obstacle<'_>> {
        self.obstacle(case, Some(recipient))
    }

    fn obstacle(&self, case: &Case<'_>, recipient: Option<&Recipient>) -> Option<Obstacle<'_>> {
        let conditions = if recipient.is_some() { &self.conditions.individual } else { &self.conditions.shared };
        if let Some(failing) = conditions.iter().find(|condition| condition.holds(case, recipient) != Truth::Yes) {
            return Some(Obstacle::Condition(failing));
        }
        let exceptions = (1..).zip(&self.exceptions).filter(|(_, exception)| exception.individual.is_empty() == recipient.is_none());
        let mut truths = exceptions.map(|(number, exception)| (number, exception, exception.hold(case, recipient)));
        truths.find(|(_, _, truth)| *truth != Truth::No).map(|(number, exception, truth)| Obstacle::Exception(number, exception, truth))
    }
}
