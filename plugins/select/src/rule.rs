//! Rules, and reading them from TOML.

use std::collections::HashMap;

use signet_plugin_sdk::select::Placement;
use signet_plugin_sdk::settings::{Datetime, Offset, Table, read as read_table};
use signet_plugin_sdk::{Diagnostic, File, Severity, diagnostic};

use crate::condition::{CLASSES, FORMATS, KINDS, Quantifier, Test, Time, Want, Who};

/// As many signatures as the interface lets one copy have.
pub(crate) const STACK: usize = 8;

/// As many header fields as the interface lets a plugin ask for.
const HEADERS: usize = 32;

const MILLISECONDS_A_DAY: i64 = 86_400_000;

/// A test from what it asks for.
type Make<T> = fn(T) -> Test;

/// What a rule does where it applies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Sign { ids: Vec<String>, placement: Placement },
    Skip(String),
}

/// Tests that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Conditions {
    pub(crate) tests: Vec<Test>,
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) conditions: Conditions,
    pub(crate) exceptions: Vec<Conditions>,
    pub(crate) action: Action,
    /// Whether the search ends where it applied.
    pub(crate) stop: bool,
    order: i64,
    enabled: bool,
    file: String,
    line: u32,
}

impl Rule {
    /// Every test of its conditions and exceptions.
    pub(crate) fn tests(&self) -> impl Iterator<Item = &Test> {
        std::iter::once(&self.conditions).chain(&self.exceptions).flat_map(|conditions| &conditions.tests)
    }
}

/// Reads every `.toml` file, in the order in which rules are tried.
pub(crate) fn read(files: &[File], findings: &mut Vec<Diagnostic>) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut files: Vec<&File> = files.iter().collect();
    files.sort_by(|left, right| left.name.cmp(&right.name));
    for file in files {
        if file.name.ends_with(".toml") {
            let read = read_table(file, findings, |root| read_file(file, root)).unwrap_or_default();
            rules.extend(read);
        } else {
            findings.push(diagnostic(Severity::Warning, &file.name, 0, "", "is not read: rules are in files that end in `.toml`"));
        }
    }
    report_repeated_names(&rules, findings);
    rules.retain(|rule| rule.enabled);
    rules.sort_by_key(|rule| rule.order);
    report_unreachable(&rules, findings);
    report_many_headers(&rules, findings);
    rules
}

fn read_file(file: &File, root: &Table<'_>) -> Vec<Rule> {
    root.tables("rule", "[[rule]]").iter().filter_map(|table| read_rule(file, table)).collect()
}

fn read_rule(file: &File, table: &Table<'_>) -> Option<Rule> {
    const NAME: &str = r#"name = "Full signature for new mail""#;
    let name = table.text("name", NAME);
    if name.is_none_or(|name| name.trim().is_empty()) && !(table.has("name") && name.is_none()) {
        table.missing("name", NAME);
    }
    let mut conditions = read_conditions(table);
    for (key, test) in [("from", Test::From as Make<Time>), ("until", Test::Until)] {
        conditions.tests.extend(read_time(table, key).map(test));
    }
    let exceptions = read_exceptions(table);
    let stop = table.word("then", r#"then = "continue""#, &["stop", "continue"]) != Some(1);
    let order = table.integer("order", "order = 10").unwrap_or(0);
    let enabled = table.flag("enabled", "enabled = false").unwrap_or(true);
    let action = read_action(table)?;
    let (name, line) = (name?.trim().to_owned(), table.line());
    Some(Rule { name, conditions, exceptions, action, stop, order, enabled, file: file.name.clone(), line })
}

fn read_action(table: &Table<'_>) -> Option<Action> {
    const SIGNATURE: &str = r#"signature = "full""#;
    let ids = table.texts("signature", SIGNATURE);
    let skip = table.text("skip", r#"skip = "internal mail has no signature""#);
    let place = table.word("placement", r#"placement = "end""#, &["newest-reply", "end"]);
    let placement = if place == Some(1) { Placement::End } else { Placement::NewestReply };
    if let Some(id) = ids.iter().find(|id| !is_id(id)) {
        table.error("signature", format!("{id:?} is not an id: letters, digits, `-` and `_`; for example `{SIGNATURE}`"));
    }
    if ids.len() > STACK {
        table.error("signature", format!("has {} ids, and a message carries at most {STACK}; for example `{SIGNATURE}`", ids.len()));
    }
    match (table.has("signature"), skip) {
        (true, Some(_)) => table.error("skip", "contradicts `signature`; keep one of the two"),
        (false, None) if !table.has("skip") => table.error("", format!("adds nothing and skips nothing; for example `{SIGNATURE}`")),
        (false, reason) => return reason.map(|reason| Action::Skip(reason.to_owned())),
        (true, None) => (),
    }
    Some(Action::Sign { ids: ids.into_iter().map(str::to_owned).collect(), placement })
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
}

fn read_exceptions(table: &Table<'_>) -> Vec<Conditions> {
    let mut exceptions = Vec::new();
    for exception in table.tables("except", "[[rule.except]]") {
        let conditions = read_conditions(&exception);
        if conditions.tests.is_empty() {
            exception.error("", r#"has no condition, so the rule could never apply; for example `message.kind = "reply"`"#);
        }
        exceptions.push(conditions);
    }
    exceptions
}

fn read_conditions(table: &Table<'_>) -> Conditions {
    let mut tests = Vec::new();
    if let Some(sender) = table.table("sender", r#"sender.groups = ["sales"]"#) {
        read_sender(&sender, &mut tests);
    }
    if let Some(message) = table.table("message", r#"message.kind = "new""#) {
        read_message(&message, &mut tests);
    }
    if let Some(recipients) = table.table("recipients", r#"recipients.any.class = "external""#) {
        for (key, quantifier) in [("all", Quantifier::All), ("any", Quantifier::Any), ("none", Quantifier::None)] {
            let who = recipients.table(key, r#"any.class = "external""#);
            tests.extend(who.map(|who| Test::Recipients(quantifier, read_who(&who))));
        }
    }
    if let Some(recipient) = table.table("recipient", r#"recipient.class = "external""#) {
        tests.push(Test::Recipient(read_who(&recipient)));
    }
    Conditions { tests }
}

fn read_sender(sender: &Table<'_>, tests: &mut Vec<Test>) {
    let lists: [(Vec<String>, Make<Vec<String>>); 3] = [
        (read_addresses(sender), Test::Addresses),
        (read_domains(sender), Test::Domains),
        (owned(sender.texts("groups", r#"groups = ["sales"]"#)), Test::Groups),
    ];
    tests.extend(lists.into_iter().filter(|(list, _)| !list.is_empty()).map(|(list, test)| test(list)));
    const ATTRIBUTE: &str = r#"attributes = [{ name = "department", equals = "Sales" }]"#;
    for (name, want) in read_wants(sender, "attributes", ATTRIBUTE) {
        tests.push(Test::Attribute(name, want));
    }
    tests.extend(sender.flag("known", "known = false").map(Test::Known));
}

fn read_message(message: &Table<'_>, tests: &mut Vec<Test>) {
    let indexes: [(Vec<usize>, Make<Vec<usize>>); 2] = [
        (message.words("kind", r#"kind = ["reply", "forward"]"#, &KINDS), Test::Kind),
        (message.words("format", r#"format = "html""#, &FORMATS), Test::Format),
    ];
    tests.extend(indexes.into_iter().filter(|(list, _)| !list.is_empty()).map(|(list, test)| test(list)));
    tests.extend(message.flag("authenticated", "authenticated = true").map(Test::Authenticated));
    tests.extend(message.flag("attachments", "attachments = true").map(Test::Attachments));
    for (name, want) in read_wants(message, "headers", r#"headers = [{ name = "x-campaign", present = true }]"#) {
        tests.push(Test::Header(name.to_lowercase(), want));
    }
    let parts = lower(message.texts("subject-contains", r#"subject-contains = ["[no signature]"]"#));
    tests.extend((!parts.is_empty()).then_some(Test::Subject(parts)));
    // Last, because it costs a call into the host.
    let parts = lower(message.texts("text-contains", r#"text-contains = ["kind regards"]"#));
    tests.extend((!parts.is_empty()).then_some(Test::Text(parts)));
}

fn read_who(table: &Table<'_>) -> Who {
    let words = CLASSES.map(|(word, _)| word);
    let classes = table.words("class", r#"class = ["external", "partner"]"#, &words);
    let who = Who {
        classes: classes.into_iter().map(|class| CLASSES[class].1).collect(),
        addresses: read_addresses(table),
        domains: read_domains(table),
        groups: owned(table.texts("groups", r#"groups = ["sales"]"#)),
    };
    if who == Who::default() && !["class", "addresses", "domains", "groups"].iter().any(|key| table.has(key)) {
        table.error("", r#"has no condition; for example `class = "external"`"#);
    }
    who
}

/// A list of tables that each name a value and say what is wanted of it.
fn read_wants(table: &Table<'_>, key: &'static str, example: &'static str) -> Vec<(String, Want)> {
    let mut wants = Vec::new();
    for entry in table.tables(key, example) {
        let name = entry.text("name", r#"name = "department""#);
        let equals = entry.text("equals", r#"equals = "Sales""#).map(|text| Want::Equals(text.to_lowercase()));
        let contains = entry.text("contains", r#"contains = "sales""#).map(|text| Want::Contains(text.to_lowercase()));
        let present = entry.flag("present", "present = true").map(|yes| if yes { Want::Present } else { Want::Absent });
        let absent = entry.flag("absent", "absent = true").map(|yes| if yes { Want::Absent } else { Want::Present });
        let mut wanted: Vec<Want> = [equals, contains, present, absent].into_iter().flatten().collect();
        match (name, wanted.pop(), wanted.is_empty()) {
            (None, ..) if !entry.has("name") => entry.missing("name", r#"name = "department""#),
            (Some(name), Some(want), true) => wants.push((name.to_owned(), want)),
            (Some(_), Some(_), false) => {
                entry.error("", format!("asks for two things; split it in two entries, or for example `{example}`"))
            }
            (Some(_), None, _) if !["equals", "contains", "present", "absent"].iter().any(|key| entry.has(key)) => {
                entry.error("", format!("says nothing about the value; for example `{example}`"));
            }
            _ => (),
        }
    }
    wants
}

fn read_addresses(table: &Table<'_>) -> Vec<String> {
    const EXAMPLE: &str = r#"addresses = ["ada@northwind.example"]"#;
    let addresses = lower(table.texts("addresses", EXAMPLE));
    for address in &addresses {
        let halves = address.rsplit_once('@');
        if address.contains('*') || halves.is_none_or(|(local, domain)| local.is_empty() || domain.is_empty()) {
            table.error("addresses", format!("{address:?} is not one address; for all of a domain use `domains`; for example `{EXAMPLE}`"));
        }
    }
    addresses
}

fn read_domains(table: &Table<'_>) -> Vec<String> {
    const EXAMPLE: &str = r#"domains = ["northwind.example", "*.northwind.example"]"#;
    let domains = lower(table.texts("domains", EXAMPLE));
    for domain in &domains {
        let name = domain.strip_prefix("*.").unwrap_or(domain);
        if !name.is_ascii() {
            table.error("domains", format!("{domain:?} must be written with A-labels (`xn--...`); for example `{EXAMPLE}`"));
        } else if name.is_empty() || name.starts_with('.') || name.contains(['*', '@', ' ']) {
            table.error("domains", format!("{domain:?} is not a domain; for example `{EXAMPLE}`"));
        }
    }
    domains
}

fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

fn lower(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_lowercase).collect()
}

fn read_time(table: &Table<'_>, key: &'static str) -> Option<Time> {
    let example = if key == "from" { "from = 2026-12-01" } else { "until = 2026-12-24" };
    let written = table.datetime(key, example)?;
    let Some(time) = time_of(written, key == "until") else {
        table.error(key, format!("is a time of day without a date; for example `{example}`"));
        return None;
    };
    Some(time)
}

/// `end`: a date without a time means the end of that day.
fn time_of(written: Datetime, end: bool) -> Option<Time> {
    let date = written.date?;
    let days = days_since_1970(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let of_day = match written.time {
        Some(time) => {
            let seconds = (i64::from(time.hour) * 60 + i64::from(time.minute)) * 60 + time.second.map_or(0, i64::from);
            seconds * 1000 + time.nanosecond.map_or(0, |nanoseconds| i64::from(nanoseconds / 1_000_000))
        }
        None if end => MILLISECONDS_A_DAY,
        None => 0,
    };
    let offset = written.offset.map(|offset| match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    });
    let milliseconds = days * MILLISECONDS_A_DAY + of_day - offset.unwrap_or(0) * 60_000;
    Some(Time { text: written.to_string(), milliseconds, utc: offset.is_some() })
}

/// Days of the Gregorian calendar. Years are counted from March, so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    /// Days from 0000-03-01 to 1970-01-01.
    const EPOCH: i64 = 719_468;
    let year = if month < 3 { year - 1 } else { year };
    let days_before_month = (153 * ((month + 9) % 12) + 2) / 5;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + days_before_month + day - 1 - EPOCH
}

fn report_repeated_names(rules: &[Rule], findings: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<&str, &Rule> = HashMap::new();
    for rule in rules {
        if let Some(first) = seen.get(rule.name.as_str()) {
            let message = format!(
                "{:?} is already the name of the rule in {} line {}; names must differ, for example `name = \"{} (2)\"`",
                rule.name, first.file, first.line, rule.name
            );
            findings.push(diagnostic(Severity::Error, &rule.file, rule.line, "rule.name", message));
        } else {
            seen.insert(&rule.name, rule);
        }
    }
}

/// A rule below one that catches all of its mail. Exact repetitions and catch-all rules are found; whether one set of conditions
/// contains another is not examined.
fn report_unreachable(rules: &[Rule], findings: &mut Vec<Diagnostic>) {
    let mut ending: HashMap<(&Conditions, &[Conditions]), &Rule> = HashMap::new();
    let mut catch_all: Option<&Rule> = None;
    for rule in rules {
        let same = ending.get(&(&rule.conditions, rule.exceptions.as_slice())).copied();
        if let Some(earlier) = catch_all.or(same) {
            let why = if catch_all.is_some() { "applies to every message" } else { "has the same conditions" };
            let message = format!(
                "{:?} is never reached: {:?} ({} line {}) {why} and stops; give it `then = \"continue\"`, or this one a smaller `order`",
                rule.name, earlier.name, earlier.file, earlier.line
            );
            findings.push(diagnostic(Severity::Warning, &rule.file, rule.line, "rule", message));
        } else if rule.stop || matches!(rule.action, Action::Skip(_)) {
            ending.insert((&rule.conditions, &rule.exceptions), rule);
            if rule.conditions.tests.is_empty() && rule.exceptions.is_empty() {
                catch_all = Some(rule);
            }
        }
    }
}

fn report_many_headers(rules: &[Rule], findings: &mut Vec<Diagnostic>) {
    let mut names: Vec<&str> = Vec::new();
    for rule in rules {
        for name in rule.tests().filter_map(Test::header) {
            if names.contains(&name) {
                continue;
            }
            names.push(name);
            if names.len() == HEADERS + 1 {
                let message = format!("the rules read more than {HEADERS} different header fields, here {name:?}; use fewer");
                findings.push(diagnostic(Severity::Error, &rule.file, rule.line, "message.headers", message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_calendar() {
        for (date, days) in [((1970, 1, 1), 0), ((1970, 3, 1), 59), ((2000, 2, 29), 11_016), ((2026, 11, 23), 20_780), ((1969, 12, 31), -1)]
        {
            assert_eq!(days_since_1970(date.0, date.1, date.2), days, "{date:?}");
        }
    }
}
