//! Reading rules from TOML files, in the order in which they are tried.

mod conditions;
mod person;
mod rules;
mod schedule;

use std::collections::HashMap;

use signet_plugin_sdk::settings::{Table, read as read_table};
use signet_plugin_sdk::{Diagnostic, File, Severity, diagnostic};

use self::rules::{Item, Kind, Node};
use crate::condition::Test;
use crate::index::Index;
use crate::rule::{OnBehalf, Place, RuleSet, STACK, Scope, Settings, Step};

/// As many header fields as the interface lets a plugin ask for.
const HEADERS: usize = 32;

/// Most copies of one message that the settings may allow.
const MOST_COPIES: i64 = 100;

/// Reads every `.toml` file.
pub(crate) fn read(files: &[File], findings: &mut Vec<Diagnostic>) -> RuleSet {
    let mut files: Vec<&File> = files.iter().collect();
    files.sort_by(|left, right| left.name.cmp(&right.name));
    let mut reader = Reader::default();
    for file in files {
        if file.name.ends_with(".toml") {
            let mut found = Vec::new();
            read_table(file, &mut found, |root| reader.file(file, root));
            findings.append(&mut found);
        } else {
            findings.push(diagnostic(Severity::Warning, &file.name, 0, "", "is not read: rules are in files that end in `.toml`"));
        }
    }
    report_repeated_names(&reader.nodes, findings);
    let rules = reader.finish(findings);
    report_many_headers(&rules, findings);
    rules
}

#[derive(Default)]
struct Reader {
    nodes: Vec<Node>,
    settings: Settings,
    /// Keys of the settings with where they were given.
    given: HashMap<&'static str, Place>,
}

impl Reader {
    fn file(&mut self, file: &File, root: &Table<'_>) {
        if let Some(settings) = root.table("settings", r#"settings.on-behalf = "author""#) {
            self.settings(file, &settings);
        }
        let mut nodes: Vec<Node> = root.tables("rule", "[[rule]]").iter().filter_map(|table| rules::rule(file, table)).collect();
        nodes.extend(root.tables("folder", "[[folder]]").iter().filter_map(|table| rules::folder(file, table)));
        // Lists of tables may be interleaved; what counts is what stands above.
        nodes.sort_by_key(|node| node.scope.place.line);
        nodes.extend(root.tables("banner", "[[banner]]").iter().filter_map(|table| rules::banner(file, table)));
        self.nodes.append(&mut nodes);
    }

    fn settings(&mut self, file: &File, table: &Table<'_>) {
        if let Some(word) = table.word("on-behalf", r#"on-behalf = "author""#, &["author", "delegate"]) {
            self.settings.on_behalf = if word == 1 { OnBehalf::Delegate } else { OnBehalf::Author };
            self.give("on-behalf", file, table);
        }
        if let Some(banners) = number(table, "banners", "banners = 1", 0..=STACK as i64) {
            self.settings.banners = banners;
            self.give("banners", file, table);
        }
        if let Some(copies) = number(table, "copies", "copies = 16", 2..=MOST_COPIES) {
            self.settings.copies = copies;
            self.give("copies", file, table);
        }
    }

    fn give(&mut self, key: &'static str, file: &File, table: &Table<'_>) {
        let place = Place::of(file, table);
        if let Some(first) = self.given.insert(key, place) {
            let first = format!("{} line {}", first.file, first.line);
            table.error(key, format!("is already set in {first}, and counts for all files; keep one of the two"));
        }
    }

    fn finish(self, findings: &mut Vec<Diagnostic>) -> RuleSet {
        let mut steps = Vec::new();
        let mut banners = Vec::new();
        let mut nodes: Vec<Node> = self.nodes.into_iter().filter(|node| keep(node, findings)).collect();
        nodes.sort_by_key(|node| node.order);
        for node in nodes {
            match node.item {
                Item::Rule(rule) => steps.push(Step::Try(rule.finish(node.scope, None))),
                Item::Folder(folder) => folder.finish(node.scope, &mut steps),
                Item::Banner(banner) => banners.push(banner.finish(node.scope)),
            }
        }
        banners.sort_by_key(|banner| std::cmp::Reverse(banner.priority));
        let (index, banner_index) = (Index::of_steps(&steps), Index::of_banners(&banners));
        let explained = steps.iter().filter_map(Step::scope).count() + banners.len();
        RuleSet { settings: self.settings, steps, index, banners, banner_index, explained }
    }
}

/// Whether it is enabled. Disabling a rule is how one keeps it for later; disabling a folder with rules that are not is worth a word.
fn keep(node: &Node, findings: &mut Vec<Diagnostic>) -> bool {
    if let (false, Item::Folder(folder)) = (node.enabled, &node.item) {
        let rules = folder.rules.iter().filter(|rule| rule.enabled).count();
        if rules > 0 {
            let Place { file, line, path } = &node.scope.place;
            let message = format!("{:?} is disabled, so {rules} of its rules never apply", node.scope.name);
            findings.push(diagnostic(Severity::Warning, file, *line, &format!("{path}.enabled"), message));
        }
    }
    node.enabled
}

/// An integer in a range.
fn number(table: &Table<'_>, key: &'static str, example: &'static str, range: std::ops::RangeInclusive<i64>) -> Option<usize> {
    let number = table.integer(key, example)?;
    if !range.contains(&number) {
        table.error(key, format!("{number} is not from {} to {}; for example `{example}`", range.start(), range.end()));
        return None;
    }
    usize::try_from(number).ok()
}

fn report_repeated_names(nodes: &[Node], findings: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<&str, (&str, &Scope)> = HashMap::new();
    for node in nodes.iter().flat_map(Node::with_rules) {
        let (Kind { word }, scope) = node;
        if let Some((kind, first)) = seen.get(scope.name.as_str()) {
            let (name, Place { file, line, .. }) = (&scope.name, &first.place);
            let message = format!(
                "{name:?} is already the name of the {kind} in {file} line {line}; names must differ, for example `name = \"{name} (2)\"`"
            );
            let key = format!("{}.name", scope.place.path);
            findings.push(diagnostic(Severity::Error, &scope.place.file, scope.place.line, &key, message));
        } else {
            seen.insert(&scope.name, (word, scope));
        }
    }
}

fn report_many_headers(rules: &RuleSet, findings: &mut Vec<Diagnostic>) {
    let mut names: Vec<&str> = Vec::new();
    for scope in rules.scopes() {
        for name in scope.tests().into_iter().flat_map(Test::headers) {
            if names.contains(&name) {
                continue;
            }
            names.push(name);
            if names.len() == HEADERS + 1 {
                let message = format!("the rules read more than {HEADERS} different header fields, here {name:?}; use fewer");
                findings.push(diagnostic(Severity::Error, &scope.place.file, scope.place.line, "message.headers", message));
            }
        }
    }
}
