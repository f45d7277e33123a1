//! Rules, folders and banners from their tables.

use signet_plugin_sdk::File;
use signet_plugin_sdk::select::Placement;
use signet_plugin_sdk::settings::Table;

use super::conditions;
use crate::condition::{Condition, Conditions, Test};
use crate::rule::{Action, Banner, Folder, Place, Rule, STACK, Scope, Stack, Step};

/// Octets of one text that the interface can take out of a subject.
const REMOVAL: usize = 256;

/// Something with a name, as it was read.
pub(super) struct Node {
    pub(super) order: i64,
    pub(super) enabled: bool,
    pub(super) scope: Scope,
    pub(super) item: Item,
}

/// What it is.
pub(super) enum Item {
    Rule(RawRule),
    Folder(RawFolder),
    Banner(RawBanner),
}

/// What it is, in a word.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) word: &'static str,
}

pub(super) struct RawRule {
    action: Action,
    continues: bool,
    removes: Vec<String>,
}

pub(super) struct RawFolder {
    pub(super) rules: Vec<Node>,
    stops: bool,
}

pub(super) struct RawBanner {
    stack: Stack,
    priority: i64,
    only_with_signature: bool,
    removes: Vec<String>,
}

impl Node {
    /// It and the rules in it.
    pub(super) fn with_rules(&self) -> Vec<(Kind, &Scope)> {
        let kind = Kind {
            word: match self.item {
                Item::Rule(_) => "rule",
                Item::Folder(_) => "folder",
                Item::Banner(_) => "banner",
            },
        };
        let rules = if let Item::Folder(folder) = &self.item { folder.rules.as_slice() } else { &[] };
        std::iter::once((kind, &self.scope)).chain(rules.iter().map(|rule| (Kind { word: "rule" }, &rule.scope))).collect()
    }
}

impl RawRule {
    pub(super) fn finish(self, scope: Scope, folder: Option<usize>) -> Rule {
        Rule { scope, action: self.action, continues: self.continues, removes: self.removes, folder }
    }
}

impl RawFolder {
    /// Appends the folder and its enabled rules.
    pub(super) fn finish(mut self, scope: Scope, steps: &mut Vec<Step>) {
        self.rules.retain(|rule| rule.enabled);
        self.rules.sort_by_key(|rule| rule.order);
        let number = steps.len();
        let name = scope.name.clone();
        steps.push(Step::Enter(Folder { scope, end: number + 1 + self.rules.len() + usize::from(self.stops) }));
        for Node { scope, item, .. } in self.rules {
            if let Item::Rule(rule) = item {
                steps.push(Step::Try(rule.finish(scope, Some(number))));
            }
        }
        if self.stops {
            steps.push(Step::Leave(name, number));
        }
    }
}

impl RawBanner {
    pub(super) fn finish(self, scope: Scope) -> Banner {
        let Self { stack, priority, only_with_signature, removes } = self;
        Banner { scope, stack, priority, only_with_signature, removes }
    }
}

/// Reads one `[[rule]]`.
pub(super) fn rule(file: &File, table: &Table<'_>) -> Option<Node> {
    let head = head(file, table, r#"name = "Full signature for new mail""#);
    let continues = table.word("then", r#"then = "continue""#, &["stop", "continue"]) == Some(1);
    let action = action(table);
    let order = order(table);
    let (enabled, scope) = head?;
    let removes = removes(table, &scope);
    Some(Node { order, enabled, scope, item: Item::Rule(RawRule { action: action?, continues, removes }) })
}

/// Reads one `[[folder]]` with its rules.
pub(super) fn folder(file: &File, table: &Table<'_>) -> Option<Node> {
    let head = head(file, table, r#"name = "Sales department""#);
    let stops = table.word("then", r#"then = "continue""#, &["continue", "stop"]) == Some(1);
    let rules = table.tables("rule", "[[folder.rule]]").iter().filter_map(|table| rule(file, table)).collect();
    if !table.has("rule") {
        table.warning("", "has no rules; add one with `[[folder.rule]]`");
    }
    let order = order(table);
    let (enabled, scope) = head?;
    Some(Node { order, enabled, scope, item: Item::Folder(RawFolder { rules, stops }) })
}

/// Reads one `[[banner]]`.
pub(super) fn banner(file: &File, table: &Table<'_>) -> Option<Node> {
    const SIGNATURE: &str = r#"signature = "banner-spring""#;
    let head = head(file, table, r#"name = "Spring campaign""#);
    let stack = stack(table, SIGNATURE);
    if !table.has("signature") {
        table.missing("signature", SIGNATURE);
    }
    let priority = table.integer("priority", "priority = 10").unwrap_or(0);
    let only_with_signature = table.flag("only-with-signature", "only-with-signature = false").unwrap_or(true);
    let (enabled, scope) = head?;
    let removes = removes(table, &scope);
    let item = Item::Banner(RawBanner { stack, priority, only_with_signature, removes });
    Some(Node { order: 0, enabled, scope, item })
}

fn order(table: &Table<'_>) -> i64 {
    table.integer("order", "order = 10").unwrap_or(0)
}

/// What all three have in common: whether it is enabled, and the scope.
fn head(file: &File, table: &Table<'_>, example: &'static str) -> Option<(bool, Scope)> {
    let name = table.text("name", example);
    if name.is_none_or(|name| name.trim().is_empty()) && !(table.has("name") && name.is_none()) {
        table.missing("name", example);
    }
    let name = name.map(|name| name.trim().to_owned());
    let mut conditions = conditions::with_when(table);
    if let Some(percent) = percent(table) {
        conditions.push(Condition::Test(Test::Rollout(percent, name.clone().unwrap_or_default())));
    }
    let exceptions = conditions::exceptions(table);
    let enabled = table.flag("enabled", "enabled = false").unwrap_or(true);
    let place = Place::of(file, table);
    Some((enabled, Scope::new(name?, Conditions::new(conditions), exceptions, place)))
}

fn percent(table: &Table<'_>) -> Option<u8> {
    const EXAMPLE: &str = r#"rollout = "20 %""#;
    let text = table.quantity("rollout", EXAMPLE)?;
    let number = text.strip_suffix('%').unwrap_or(&text).trim();
    let percent = number.parse::<u8>().ok().filter(|percent| *percent <= 100);
    if percent.is_none() {
        table.error("rollout", format!("{text:?} is not a whole number from 0 to 100; for example `{EXAMPLE}`"));
    }
    percent
}

fn action(table: &Table<'_>) -> Option<Action> {
    const SIGNATURE: &str = r#"signature = "full""#;
    let stack = stack(table, SIGNATURE);
    let skip = table.text("skip", r#"skip = "internal mail has no signature""#);
    match (table.has("signature"), skip) {
        (true, Some(_)) => table.error("skip", "contradicts `signature`; keep one of the two"),
        (false, None) if !table.has("skip") => table.error("", format!("adds nothing and skips nothing; for example `{SIGNATURE}`")),
        (false, reason) => return reason.map(|reason| Action::Skip(reason.to_owned())),
        (true, None) => (),
    }
    Some(Action::Sign(stack))
}

fn stack(table: &Table<'_>, example: &'static str) -> Stack {
    let ids = table.texts("signature", example);
    let place = table.word("placement", r#"placement = "end""#, &["newest-reply", "end"]);
    let placement = if place == Some(1) { Placement::End } else { Placement::NewestReply };
    if let Some(id) = ids.iter().find(|id| !is_id(id)) {
        table.error("signature", format!("{id:?} is not an id: letters, digits, `-` and `_`; for example `{example}`"));
    }
    if ids.len() > STACK {
        table.error("signature", format!("has {} ids, and a message carries at most {STACK}; for example `{example}`", ids.len()));
    }
    Stack { ids: ids.into_iter().map(str::to_owned).collect(), placement }
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
}

/// The trigger words of the conditions, where they are to be taken out of the subject.
fn removes(table: &Table<'_>, scope: &Scope) -> Vec<String> {
    const EXAMPLE: &str = r##"message.trigger = "#promo""##;
    if table.flag("remove-trigger", "remove-trigger = true") != Some(true) {
        return Vec::new();
    }
    let mut words: Vec<String> = Vec::new();
    for test in scope.conditions.tests() {
        if let Test::Trigger(triggers) = test {
            words.extend(triggers.iter().filter(|trigger| trigger.len() <= REMOVAL).cloned());
        }
    }
    if words.is_empty() {
        table.error("remove-trigger", format!("has no trigger to remove, of up to {REMOVAL} octets; for example `{EXAMPLE}`"));
    }
    words
}
