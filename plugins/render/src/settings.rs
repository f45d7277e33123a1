//! `signatures.toml`: values for templates, further signatures, the customer's domains, and how heavy a signature may be.

use std::collections::BTreeMap;

use signet_plugin_sdk::settings::Table;
use signet_plugin_sdk::{Diagnostic, File, settings};

use crate::context::{FUNCTIONS, RESERVED};
use crate::layers::{Layers, Values};
use crate::{Signature, campaign, locale};

/// The file's name.
pub(crate) const FILE: &str = "signatures.toml";

/// Octets of HTML without a warning. Gmail clips a message at 102 KB, and a conversation carries a signature several times.
const HTML_BUDGET: usize = 24 << 10;

/// Octets of images without a warning: they come with every message.
const IMAGE_BUDGET: usize = 100 << 10;

/// What one signature may weigh without a warning, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) html: usize,
    pub(crate) images: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { html: HTML_BUDGET, images: IMAGE_BUDGET }
    }
}

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) layers: Layers,
    pub(crate) budget: Budget,
    /// In lower case.
    pub(crate) domains: Vec<String>,
}

/// Reads the file when there is one, and adds its signatures to those that have files of their own name.
pub(crate) fn read(files: &[File], signatures: &mut BTreeMap<String, Signature>, findings: &mut Vec<Diagnostic>) -> Settings {
    let Some(file) = files.iter().find(|file| file.name == FILE) else { return Settings::default() };
    let settings = settings::read(file, findings, |root| {
        if let Some(named) = root.table("signature", "[signature.full]") {
            for (id, table) in named.entries("[signature.full]") {
                read_signature(id, &table, files, signatures);
            }
        }
        let tenant = read_values(root);
        Settings {
            layers: Layers { groups: read_groups(root), locales: read_locales(root), tenant },
            budget: read_budget(root),
            domains: read_domains(root),
        }
    });
    settings.unwrap_or_default()
}

/// Whether a text may be a signature's id.
pub(crate) fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
}

fn read_signature(id: &str, table: &Table<'_>, files: &[File], signatures: &mut BTreeMap<String, Signature>) {
    if !is_id(id) {
        table.error("", "is not an id: letters, digits, `-` and `_`; for example `[signature.full]`");
    }
    let signature = signatures.entry(id.to_owned()).or_default();
    for (key, example, forms) in
        [("html", r#"html = "full.html""#, &mut signature.html), ("text", r#"text = "full.txt""#, &mut signature.text)]
    {
        let Some(name) = table.text(key, example) else { continue };
        let ending = if key == "html" { ".html" } else { ".txt" };
        if !name.ends_with(ending) || !files.iter().any(|file| file.name == name) {
            table.error(key, format!("there is no template {name:?} that ends in `{ending}`; for example `{example}`"));
        }
        forms.insert(String::new(), name.to_owned());
    }
    signature.values = read_values(table);
    if signature.html.is_empty() && signature.text.is_empty() {
        table.error("", r#"has no template; for example `html = "full.html"`"#);
    }
}

fn read_values(table: &Table<'_>) -> Values {
    const EXAMPLE: &str = r#"companyName = "Northwind Harbour""#;
    let Some(variables) = table.table("variables", r#"variables.companyName = "Northwind Harbour""#) else { return Values::new() };
    let values = variables.strings(EXAMPLE);
    for (name, _) in values.iter().filter(|(name, _)| RESERVED.contains(&name.as_str()) || FUNCTIONS.contains(&name.as_str())) {
        variables.error(name, format!("is a name of the renderer's own, which a variable cannot have; for example `{EXAMPLE}`"));
    }
    values
}

/// In the order of the file, which says whose value comes first for a person of several groups.
fn read_groups(root: &Table<'_>) -> Vec<(String, Values)> {
    const EXAMPLE: &str = r#"[group."sales".variables]"#;
    let Some(groups) = root.table("group", EXAMPLE) else { return Vec::new() };
    groups.entries(EXAMPLE).into_iter().map(|(id, table)| (id.to_owned(), read_values(&table))).collect()
}

fn read_locales(root: &Table<'_>) -> BTreeMap<String, Values> {
    const EXAMPLE: &str = "[locale.de.variables]";
    let Some(locales) = root.table("locale", EXAMPLE) else { return BTreeMap::new() };
    let read = |(tag, table): (&str, Table<'_>)| {
        if !locale::is_tag(tag) {
            table.error("", format!("is not a language tag; for example `{EXAMPLE}` or `[locale.de-AT.variables]`"));
        }
        (tag.to_ascii_lowercase(), read_values(&table))
    };
    locales.entries(EXAMPLE).into_iter().map(read).collect()
}

fn read_budget(root: &Table<'_>) -> Budget {
    let mut budget = Budget::default();
    let Some(table) = root.table("budget", r#"budget.html = "24 KiB""#) else { return budget };
    for (key, example, octets) in
        [("html", r#"html = "24 KiB""#, &mut budget.html), ("images", r#"images = "100 KiB""#, &mut budget.images)]
    {
        let Some(written) = table.text(key, example) else { continue };
        match size(written) {
            Some(size) => *octets = size,
            None => table.error(key, format!("{written:?} is no size: a whole number and B, KiB or MiB; for example `{example}`")),
        }
    }
    budget
}

/// Octets of `24 KiB`. A number alone could mean either.
fn size(text: &str) -> Option<usize> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let shift = match text[digits..].trim_start() {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        _ => return None,
    };
    text[..digits].parse::<usize>().ok()?.checked_mul(1 << shift)
}

fn read_domains(root: &Table<'_>) -> Vec<String> {
    const EXAMPLE: &str = r#"domains = ["northwind.example"]"#;
    let Some(table) = root.table("links", r#"links.domains = ["northwind.example"]"#) else { return Vec::new() };
    let domains = table.texts("domains", EXAMPLE);
    for domain in domains.iter().filter(|domain| !campaign::is_domain(domain)) {
        table.error("domains", format!("{domain:?} is no domain: no scheme, no path, no `*`; for example `{EXAMPLE}`"));
    }
    domains.into_iter().map(str::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(content: &str) -> (Settings, Vec<String>) {
        let mut findings = Vec::new();
        let file = File { name: FILE.into(), content: content.into() };
        let settings = read(&[file], &mut BTreeMap::new(), &mut findings);
        (settings, findings.iter().map(|finding| format!("{} {}: {}", finding.line, finding.key, finding.message)).collect())
    }

    #[test]
    fn groups_keep_the_order_of_the_file() {
        let (settings, findings) = read_text(
            "[group.zebra.variables]\na = '1'\n[group.\"an id with spaces\".variables]\na = '2'\n[locale.de-AT.variables]\na = '3'\n",
        );
        assert_eq!(findings, Vec::<String>::new());
        assert_eq!(settings.layers.groups.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["zebra", "an id with spaces"]);
        assert_eq!(settings.layers.locales.keys().collect::<Vec<_>>(), ["de-at"]);
    }

    #[test]
    fn a_size_has_a_unit() {
        for (text, octets) in [("24 KiB", Some(24 << 10)), ("1MiB", Some(1 << 20)), ("500 B", Some(500)), ("0 B", Some(0))] {
            assert_eq!(size(text), octets);
        }
        for text in ["24", "24 KB", "24 kib", "KiB", "1.5 KiB", "-1 B", "99999999999999999999 B", "18446744073709551615 MiB", ""] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named_with_line_key_and_example() {
        for (content, expected) in [
            ("\nbudget.html = '24'", r#"2 budget.html: "24" is no size: a whole number and B, KiB or MiB; for example `html = "24 KiB"`"#),
            (
                "links.domains = ['https://a.example']",
                r#"1 links.domains: "https://a.example" is no domain: no scheme, no path, no `*`; for example `domains = ["northwind.example"]`"#,
            ),
            (
                "[variables]\nemail = 'x'",
                r#"2 variables.email: is a name of the renderer's own, which a variable cannot have; for example `companyName = "Northwind Harbour"`"#,
            ),
            (
                "[locale.\"d e\".variables]\na = ''",
                "1 locale.d e: is not a language tag; for example `[locale.de.variables]` or `[locale.de-AT.variables]`",
            ),
            (
                "[group.sales]\nvariable.a = ''",
                r#"2 group.sales.variable: is not a key of this table; did you mean `variables.companyName = "Northwind Harbour"`?"#,
            ),
        ] {
            assert_eq!(read_text(content).1, [expected], "{content}");
        }
    }
}
