//! Conditions from their tables.

use signet_plugin_sdk::settings::Table;

use super::person::{addresses, domains, lower, owned, person, wants};
use super::{number, schedule};
use crate::case::Role;
use crate::condition::header::{IMPORTANCES, SENSITIVITIES};
use crate::condition::leaf::{FORMATS, KINDS};
use crate::condition::value::{Keywords, Range};
use crate::condition::who::{CLASSES, Quantifier, Who};
use crate::condition::{Condition, Conditions, Test};

/// How deep `any`, `all` and `not` may be nested: deeper than anybody reads, and a bound on the stack of a plugin.
const DEPTH: usize = 8;

/// Most recipients that can be asked for: more than any message has.
const MOST_RECIPIENTS: i64 = 1_000_000;

/// A test from what it asks for.
type Make<T> = fn(T) -> Test;

/// The conditions of a rule, folder or banner: the keys beside its name, and those under `when`.
pub(super) fn with_when(table: &Table<'_>) -> Vec<Condition> {
    let mut conditions = flat(table);
    if let Some(when) = table.table("when", r#"when.any = [{ message.kind = "new" }, { recipient.class = "external" }]"#) {
        let nested = nested(&when, 1);
        if nested.is_empty() {
            none(&when);
        }
        conditions.extend(nested);
    }
    conditions
}

/// The exceptions of a rule, folder or banner.
pub(super) fn exceptions(table: &Table<'_>) -> Vec<Conditions> {
    let mut exceptions = Vec::new();
    for exception in table.tables("except", "[[rule.except]]") {
        let mut conditions = with_when(&exception);
        conditions.extend(joined(&exception, 1));
        if conditions.is_empty() {
            exception.error("", r#"has no condition, so the rule could never apply; for example `message.kind = "reply"`"#);
        }
        exceptions.push(Conditions::new(conditions));
    }
    exceptions
}

/// The keys of a table of conditions, among them `any`, `all` and `not`.
fn nested(table: &Table<'_>, depth: usize) -> Vec<Condition> {
    if depth > DEPTH {
        table.error("", format!("is nested more than {DEPTH} levels deep; name the cases one by one, for example in rules of their own"));
        table.leave();
        return Vec::new();
    }
    let mut conditions = flat(table);
    conditions.extend(joined(table, depth));
    conditions
}

/// The keys `any`, `all` and `not` of a table of conditions.
fn joined(table: &Table<'_>, depth: usize) -> Vec<Condition> {
    let group = |table: &Table<'_>| {
        let conditions = nested(table, depth + 1);
        if conditions.is_empty() && depth < DEPTH {
            none(table);
        }
        Condition::all(conditions)
    };
    let all = table.tables("all", r#"all = [{ message.kind = "new" }, { recipient.class = "external" }]"#);
    let mut conditions: Vec<Condition> = all.iter().map(group).collect();
    let any = table.tables("any", r#"any = [{ sender.groups = ["sales"] }, { message.kind = "new" }]"#);
    if !any.is_empty() {
        conditions.push(Condition::Any(any.iter().map(group).collect()));
    }
    if let Some(not) = table.table("not", r#"not = { message.kind = "reply" }"#) {
        conditions.push(Condition::Not(Box::new(group(&not))));
    }
    conditions
}

/// Reports a table without conditions, unless what it has is wrong and reported already.
fn none(table: &Table<'_>) {
    if table.is_empty() {
        table.error("", r#"has no condition; for example `message.kind = "new"`"#);
    }
}

fn flat(table: &Table<'_>) -> Vec<Condition> {
    let mut tests = Vec::new();
    if let Some(sender) = table.table("sender", r#"sender.groups = ["sales"]"#) {
        person(&sender, Role::Sender, &mut tests);
        tests.extend(sender.flag("on-behalf", "on-behalf = true").map(Test::OnBehalf));
    }
    if let Some(delegate) = table.table("delegate", r#"delegate.groups = ["assistants"]"#) {
        person(&delegate, Role::Delegate, &mut tests);
    }
    schedule::read(table, &mut tests);
    if let Some(message) = table.table("message", r#"message.kind = "new""#) {
        read_message(&message, &mut tests);
    }
    if let Some(recipients) = table.table("recipients", r#"recipients.any.class = "external""#) {
        for (key, quantifier) in [("all", Quantifier::All), ("any", Quantifier::Any), ("none", Quantifier::None)] {
            let who = recipients.table(key, r#"any.class = "external""#);
            tests.extend(who.map(|who| Test::Recipients(quantifier, read_who(&who))));
        }
        if let Some(count) = recipients.table("count", "count.at-most = 10") {
            let bound = |key, example| number(&count, key, example, 0..=MOST_RECIPIENTS).map(|number| number as u64);
            let range = Range { least: bound("at-least", "at-least = 2"), most: bound("at-most", "at-most = 10") };
            tests.extend(checked(&count, range, "at-most = 10").map(Test::Count));
        }
    }
    if let Some(recipient) = table.table("recipient", r#"recipient.class = "external""#) {
        tests.push(Test::Recipient(read_who(&recipient)));
    }
    tests.into_iter().map(Condition::Test).collect()
}

fn read_message(message: &Table<'_>, tests: &mut Vec<Test>) {
    let indexes: [(Vec<usize>, Make<Vec<usize>>); 4] = [
        (message.words("kind", r#"kind = ["reply", "forward"]"#, &KINDS), Test::Kind),
        (message.words("format", r#"format = "html""#, &FORMATS), Test::Format),
        (message.words("sensitivity", r#"sensitivity = "private""#, &SENSITIVITIES), Test::Sensitivity),
        (message.words("importance", r#"importance = "high""#, &IMPORTANCES), Test::Importance),
    ];
    tests.extend(indexes.into_iter().filter(|(list, _)| !list.is_empty()).map(|(list, test)| test(list)));
    tests.extend(message.flag("authenticated", "authenticated = true").map(Test::Authenticated));
    tests.extend(message.flag("attachments", "attachments = true").map(Test::Attachments));
    tests.extend(message.flag("first-in-thread", "first-in-thread = true").map(Test::FirstInThread));
    if let Some(size) = message.table("size", r#"size.at-most = "2 MB""#) {
        let range =
            Range { least: octets(&size, "at-least", r#"at-least = "100 KB""#), most: octets(&size, "at-most", r#"at-most = "2 MB""#) };
        tests.extend(checked(&size, range, r#"at-most = "2 MB""#).map(Test::Size));
    }
    for (name, want) in wants(message, "headers", r#"headers = [{ name = "x-campaign", present = true }]"#) {
        tests.push(Test::Header(name.to_lowercase(), want));
    }
    let lists: [(Vec<&str>, Make<Vec<String>>); 3] = [
        (message.texts("sensitivity-labels", r#"sensitivity-labels = ["Confidential"]"#), Test::Labels),
        (message.texts("languages", r#"languages = ["de", "fr-CA"]"#), Test::Languages),
        (words(message, "trigger", r##"trigger = "#promo""##), Test::Trigger),
    ];
    tests.extend(lists.into_iter().filter(|(list, _)| !list.is_empty()).map(|(list, test)| test(lower(list))));
    // The text comes last, because it costs a call into the host.
    let keywords: [(Vec<&str>, bool, Make<Keywords>); 4] = [
        (message.texts("subject-contains", r#"subject-contains = ["[no signature]"]"#), false, Test::Subject),
        (words(message, "subject-words", r#"subject-words = ["invoice", "reminder"]"#), true, Test::Subject),
        (message.texts("text-contains", r#"text-contains = ["kind regards"]"#), false, Test::Text),
        (words(message, "text-words", r#"text-words = ["offer"]"#), true, Test::Text),
    ];
    for (parts, whole, test) in keywords {
        tests.extend((!parts.is_empty()).then(|| test(Keywords { parts: lower(parts), whole })));
    }
}

/// Whole words: no letter stands beside them, so that blanks around them mean nothing.
fn words<'a>(message: &Table<'a>, key: &'static str, example: &'static str) -> Vec<&'a str> {
    message.texts(key, example).into_iter().map(str::trim).collect()
}

/// A range that says something and is not empty.
fn checked(table: &Table<'_>, range: Range, example: &str) -> Option<Range> {
    match (range.least, range.most) {
        (None, None) if !table.has("at-least") && !table.has("at-most") => {
            table.error("", format!("has no condition; for example `{example}`"));
        }
        (Some(least), Some(most)) if least > most => {
            table.error("at-least", format!("is more than `at-most`, so nothing is in between; for example `{example}`"));
        }
        (None, None) => (),
        _ => return Some(range),
    }
    None
}

/// A size with its unit.
fn octets(table: &Table<'_>, key: &'static str, example: &'static str) -> Option<u64> {
    const UNITS: [(&str, u64); 6] =
        [("kb", 1000), ("mb", 1_000_000), ("gb", 1_000_000_000), ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30)];
    let text = table.text(key, example)?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_lowercase();
    let factor = UNITS.iter().find(|(word, _)| *word == unit).map(|(_, factor)| *factor);
    let octets = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    if octets.is_none() {
        table
            .error(key, format!("{text:?} is not a whole number with one of the units KB, MB, GB, KiB, MiB, GiB; for example `{example}`"));
    }
    octets
}

fn read_who(table: &Table<'_>) -> Who {
    let words = CLASSES.map(|(word, _)| word);
    let classes = table.words("class", r#"class = ["external", "partner"]"#, &words);
    let who = Who {
        classes: classes.into_iter().map(|class| CLASSES[class].1).collect(),
        addresses: addresses(table),
        domains: domains(table),
        groups: owned(table.texts("groups", r#"groups = ["sales"]"#)),
    };
    if who == Who::default() && !["class", "addresses", "domains", "groups"].iter().any(|key| table.has(key)) {
        table.error("", r#"has no condition; for example `class = "external"`"#);
    }
    who
}
