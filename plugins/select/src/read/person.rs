//! Conditions on people: addresses, domains, groups, directory attributes.

use signet_plugin_sdk::settings::Table;

use crate::case::Role;
use crate::condition::value::{Pattern, Want};
use crate::condition::{About, Test};

/// Reads what is asked about one person.
pub(super) fn person(table: &Table<'_>, role: Role, tests: &mut Vec<Test>) {
    let about = |about| Test::Person(role, about);
    let addresses = addresses(table);
    tests.extend((!addresses.is_empty()).then(|| about(About::Addresses(addresses))));
    let domains = domains(table);
    tests.extend((!domains.is_empty()).then(|| about(About::Domains(domains))));
    let groups = owned(table.texts("groups", r#"groups = ["sales"]"#));
    tests.extend((!groups.is_empty()).then(|| about(About::Groups(groups))));
    const ATTRIBUTE: &str = r#"attributes = [{ name = "department", equals = "Sales" }]"#;
    tests.extend(wants(table, "attributes", ATTRIBUTE).into_iter().map(|(name, want)| about(About::Attribute(name, want))));
    tests.extend(table.flag("known", "known = false").map(|known| about(About::Known(known))));
}

/// A list of tables that each name a value and say what is wanted of it.
pub(super) fn wants(table: &Table<'_>, key: &'static str, example: &'static str) -> Vec<(String, Want)> {
    let mut wants = Vec::new();
    for entry in table.tables(key, example) {
        const KEYS: [&str; 7] = ["equals", "one-of", "contains", "starts-with", "ends-with", "present", "absent"];
        let name = entry.filled_text("name", r#"name = "department""#);
        let one_of = lower(entry.texts("one-of", r#"one-of = ["Sales", "Marketing"]"#));
        let text = |key, example, want: fn(String) -> Want| entry.filled_text(key, example).map(|text| want(text.to_lowercase()));
        let flag = |key, example, yes, no| entry.flag(key, example).map(|flag| if flag { yes } else { no });
        let wanted = [
            text("equals", r#"equals = "Sales""#, |text| Want::OneOf(vec![text])),
            (!one_of.is_empty()).then_some(Want::OneOf(one_of)),
            text("contains", r#"contains = "sales""#, Want::Contains),
            text("starts-with", r#"starts-with = "Head of""#, Want::StartsWith),
            text("ends-with", r#"ends-with = "Manager""#, Want::EndsWith),
            flag("present", "present = true", Want::Present, Want::Absent),
            flag("absent", "absent = true", Want::Absent, Want::Present),
        ];
        let mut wanted: Vec<Want> = wanted.into_iter().flatten().collect();
        match (name, wanted.pop(), wanted.is_empty()) {
            (None, ..) if !entry.has("name") => entry.missing("name", r#"name = "department""#),
            (Some(name), Some(want), true) => wants.push((name.to_owned(), want)),
            (Some(_), Some(_), false) => {
                entry.error("", format!("asks for two things; split it in two entries, or for example `{example}`"))
            }
            (Some(_), None, _) if !KEYS.iter().any(|key| entry.has(key)) => {
                entry.error("", format!("says nothing about the value; for example `{example}`"));
            }
            _ => (),
        }
    }
    wants
}

/// Addresses, with `*` for any characters.
pub(super) fn addresses(table: &Table<'_>) -> Vec<Pattern> {
    const EXAMPLE: &str = r#"addresses = ["ada@northwind.example", "info-*@northwind.example"]"#;
    let mut patterns = Vec::new();
    for address in lower(table.texts("addresses", EXAMPLE)) {
        match Pattern::new(address.clone()) {
            Some(pattern) if pattern.domain().is_ascii() && !address.contains(' ') => patterns.push(pattern),
            Some(pattern) if !pattern.domain().is_ascii() => {
                table.error("addresses", format!("{address:?} must have its domain in A-labels (`xn--...`); for example `{EXAMPLE}`"));
            }
            _ => {
                let message = format!("{address:?} is not an address; for all of a domain use `domains`; for example `{EXAMPLE}`");
                table.error("addresses", message);
            }
        }
    }
    patterns
}

/// Domains, with `*.` for the subdomains of one.
pub(super) fn domains(table: &Table<'_>) -> Vec<String> {
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

pub(super) fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

pub(super) fn lower(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_lowercase).collect()
}
