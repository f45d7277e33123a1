//! Reads TOML strictly and tells the operator everything that is wrong at once: file, line, key, and a valid example.
//!
//! A plugin asks a [`Table`] for each key that it knows, together with an example. What it never asked for is an unknown key, reported
//! when the table is dropped. Findings carry on: one mistake does not hide the next. Only what is not TOML at all ends a file at the
//! first mistake, because a parser that has lost its way finds others that are not there.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
pub use toml::value::{Datetime, Offset};

use crate::{Diagnostic, File, Severity, diagnostic};

/// Unknown keys this close to a known one are taken for slips of the pen.
const SLIP: usize = 2;

struct Document<'a> {
    name: &'a str,
    /// Where each line but the first starts.
    lines: Vec<usize>,
    findings: RefCell<Vec<Diagnostic>>,
}

impl<'a> Document<'a> {
    fn new(file: &'a File) -> Self {
        let lines = file.content.match_indices('\n').map(|(at, _)| at + 1).collect();
        Self { name: &file.name, lines, findings: RefCell::default() }
    }

    fn line(&self, offset: usize) -> u32 {
        let lines = self.lines.partition_point(|start| *start <= offset);
        u32::try_from(lines).map_or(u32::MAX, |lines| lines.saturating_add(1))
    }

    fn report(&self, severity: Severity, offset: usize, key: &str, message: String) {
        self.findings.borrow_mut().push(diagnostic(severity, self.name, self.line(offset), key, message));
    }
}

/// Parses `file` and lets `read` take from it what it wants. Findings are appended in line order; the result is nothing when the file
/// is not TOML at all.
pub fn read<T>(file: &File, findings: &mut Vec<Diagnostic>, read: impl FnOnce(&Table<'_>) -> T) -> Option<T> {
    let document = Document::new(file);
    let (root, errors) = DeTable::parse_recoverable(&file.content);
    let first = errors.iter().map(|error| (error.span().map_or(0, |span| span.start), error.message()));
    if let Some((offset, message)) = first.min_by_key(|(offset, _)| *offset) {
        document.report(
            Severity::Error,
            offset,
            "",
            format!("not TOML: {message}{}", syntax_hint(&document, &file.content, offset, message)),
        );
    }
    let result = errors.is_empty().then(|| {
        let table = Table { document: &document, path: String::new(), offset: 0, content: root.get_ref(), asked: RefCell::default() };
        read(&table)
    });
    let mut found = document.findings.into_inner();
    found.sort_by_key(|finding| finding.line);
    findings.append(&mut found);
    result
}

/// What a line of the kind looks like that could not be read, and where else the mistake may be: a bracket or quotation mark that is
/// missing is noticed only where the next line does not fit.
fn syntax_hint(document: &Document<'_>, content: &str, offset: usize, message: &str) -> String {
    let number = document.line(offset) as usize;
    let lines = (1..).zip(content.lines().map(str::trim)).take(number);
    let written: Vec<(usize, &str)> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    let line = written.last().filter(|(at, _)| *at == number).map_or("", |(_, line)| line);
    let is_header = message.contains("table");
    let example = if is_header && line.starts_with("[[") {
        "[[name]]"
    } else if is_header {
        "[name]"
    } else if message.contains("array") {
        r#"names = ["one", "two"]"#
    } else {
        r#"name = "value""#
    };
    let before = written.iter().rev().find(|(at, _)| *at < number).filter(|_| !message.contains("duplicate key"));
    let before = before.map(|(at, _)| format!("; the mistake may be in line {at} before it")).unwrap_or_default();
    format!("{before}; for example `{example}`")
}

/// Whether a finding among them refuses the configuration.
#[must_use]
pub fn refused(findings: &[Diagnostic]) -> bool {
    findings.iter().any(|finding| finding.severity != Severity::Warning)
}

/// One table of a file.
pub struct Table<'a> {
    document: &'a Document<'a>,
    path: String,
    offset: usize,
    content: &'a DeTable<'a>,
    asked: RefCell<Vec<(&'static str, &'static str)>>,
}

impl<'a> Table<'a> {
    /// The line that the table starts on.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.document.line(self.offset)
    }

    /// Where the table is in the file, such as `rule[2].message`; nothing for the file's own table.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the table has `key`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.content.contains_key(key)
    }

    /// Whether the table has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// Reports that `key` does not mean anything valid. `message` says what is wrong and what would be right.
    pub fn error(&self, key: &str, message: impl Into<String>) {
        self.document.report(Severity::Error, self.offset_of(key), &self.path_of(key), message.into());
    }

    /// Reports something that is valid and probably not meant.
    pub fn warning(&self, key: &str, message: impl Into<String>) {
        self.document.report(Severity::Warning, self.offset_of(key), &self.path_of(key), message.into());
    }

    /// Reports that `key` must be there.
    pub fn missing(&self, key: &str, example: &str) {
        self.error(key, format!("is missing; for example `{example}`"));
    }

    /// A string.
    pub fn text(&self, key: &'static str, example: &'static str) -> Option<&'a str> {
        self.typed(key, example, "a string", DeValue::as_str)
    }

    /// A string that is one of `words`, as the word's index.
    pub fn word(&self, key: &'static str, example: &'static str, words: &[&str]) -> Option<usize> {
        self.index(key, example, words, self.text(key, example)?)
    }

    /// A string that is not blank.
    pub fn filled_text(&self, key: &'static str, example: &'static str) -> Option<&'a str> {
        let text = self.text(key, example)?;
        if is_blank(text) {
            self.error(key, empty(text, example));
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &'static str, example: &'static str) -> Option<bool> {
        self.typed(key, example, "true or false", DeValue::as_bool)
    }

    /// An integer.
    pub fn integer(&self, key: &'static str, example: &'static str) -> Option<i64> {
        self.typed(key, example, "an integer", |value| {
            let integer = value.as_integer()?;
            i64::from_str_radix(integer.as_str(), integer.radix()).ok()
        })
    }

    /// An integer or a string, as text: for a quantity that may have a unit.
    pub fn quantity(&self, key: &'static str, example: &'static str) -> Option<String> {
        self.typed(key, example, "an integer or a string", |value| match value {
            DeValue::String(text) => Some(text.to_string()),
            value => {
                let integer = value.as_integer()?;
                i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|integer| integer.to_string())
            }
        })
    }

    /// A date, with or without a time of day.
    pub fn datetime(&self, key: &'static str, example: &'static str) -> Option<Datetime> {
        self.typed(key, example, "a date", |value| value.as_datetime().copied())
    }

    /// Leaves the table's other keys unread: something else is wrong with it, and has been reported.
    pub fn leave(&self) {
        self.asked.borrow_mut().push(("*", ""));
    }

    /// One string or a list of at least one, none of them blank: a text without letters is in every text.
    pub fn texts(&self, key: &'static str, example: &'static str) -> Vec<&'a str> {
        let texts = self.typed(key, example, "a string or a list of strings", |value| match value {
            DeValue::String(one) => Some(vec![&**one]),
            DeValue::Array(many) => many.iter().map(|one| one.get_ref().as_str()).collect(),
            _ => None,
        });
        if texts.as_ref().is_some_and(Vec::is_empty) {
            self.error(key, format!("is an empty list; leave it out, or for example `{example}`"));
        }
        let mut texts = texts.unwrap_or_default();
        if let Some(blank) = texts.iter().find(|text| is_blank(text)) {
            self.error(key, empty(blank, example));
            texts.retain(|text| !is_blank(text));
        }
        texts
    }

    /// One string or a list of them, each one of `words`, as their indexes.
    pub fn words(&self, key: &'static str, example: &'static str, words: &[&str]) -> Vec<usize> {
        self.texts(key, example).into_iter().filter_map(|text| self.index(key, example, words, text)).collect()
    }

    /// A table.
    pub fn table(&self, key: &'static str, example: &'static str) -> Option<Table<'a>> {
        let table = self.typed(key, example, "a table", DeValue::as_table)?;
        Some(self.child(self.path_of(key), self.offset_of(key), table))
    }

    /// A list of tables; none when the key is absent.
    pub fn tables(&self, key: &'static str, example: &'static str) -> Vec<Table<'a>> {
        let tables = self.typed(key, example, "a list of tables", |value| {
            value.as_array()?.iter().map(|one| Some((one.span().start, one.get_ref().as_table()?))).collect::<Option<Vec<_>>>()
        });
        let path = self.path_of(key);
        let tables = tables.unwrap_or_default().into_iter();
        (1..).zip(tables).map(|(number, (offset, table))| self.child(format!("{path}[{number}]"), offset, table)).collect()
    }

    /// The table's own keys, for tables whose keys are the file's to choose; each of them then counts as known.
    pub fn entries(&self, example: &'static str) -> Vec<(&'a str, Table<'a>)> {
        let mut tables = Vec::new();
        for (name, value) in self.content {
            match value.get_ref().as_table() {
                Some(table) => tables.push((name.get_ref().as_ref(), self.child(self.path_of(name.get_ref()), name.span().start, table))),
                None => self.error(name.get_ref(), format!("must be a table; for example `{example}`")),
            }
        }
        self.asked.borrow_mut().push(("*", example));
        tables.sort_by_key(|(_, table)| table.offset);
        tables
    }

    /// The table's own keys with a string each; each of them then counts as known.
    #[must_use]
    pub fn strings(&self, example: &'static str) -> Vec<(String, String)> {
        let mut strings = Vec::new();
        for (name, value) in self.content {
            match value.get_ref().as_str() {
                Some(text) => strings.push((name.get_ref().to_string(), text.to_owned())),
                None => self.error(name.get_ref(), format!("must be a string; for example `{example}`")),
            }
        }
        self.asked.borrow_mut().push(("*", example));
        strings
    }

    fn child(&self, path: String, offset: usize, content: &'a DeTable<'a>) -> Table<'a> {
        Table { document: self.document, path, offset, content, asked: RefCell::default() }
    }

    fn typed<T>(
        &self,
        key: &'static str,
        example: &'static str,
        wanted: &str,
        take: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<T> {
        self.asked.borrow_mut().push((key, example));
        let value = self.content.get(key)?;
        let taken = take(value.get_ref());
        if taken.is_none() {
            let found = value.get_ref().type_str();
            self.error(key, format!("must be {wanted}, and is of type {found}; for example `{example}`"));
        }
        taken
    }

    fn index(&self, key: &str, example: &str, words: &[&str], text: &str) -> Option<usize> {
        let index = words.iter().position(|word| *word == text);
        if index.is_none() {
            self.error(key, format!("{text:?} is none of {}; for example `{example}`", words.join(", ")));
        }
        index
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() || key.is_empty() { format!("{}{key}", self.path) } else { format!("{}.{key}", self.path) }
    }

    fn offset_of(&self, key: &str) -> usize {
        self.content.iter().find(|(name, _)| name.get_ref() == key).map_or(self.offset, |(name, _)| name.span().start)
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        let asked = std::mem::take(self.asked.get_mut());
        if asked.iter().any(|(key, _)| *key == "*") {
            return;
        }
        for name in self.content.keys() {
            let name: &Spanned<_> = name;
            let key: &str = name.get_ref();
            if asked.iter().any(|(known, _)| *known == key) {
                continue;
            }
            let slip = asked.iter().map(|(known, example)| (distance(key, known), example)).filter(|(far, _)| *far <= SLIP).min();
            let hint = match slip {
                Some((_, example)) => format!("did you mean `{example}`?"),
                None => format!("known here: {}", asked.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ")),
            };
            self.error(key, format!("is not a key of this table; {hint}"));
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn empty(text: &str, example: &str) -> String {
    format!("has the empty text {text:?}; leave it out, or for example `{example}`")
}

/// Levenshtein distance in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, left) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, right) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(content: &str, reader: impl FnOnce(&Table<'_>)) -> Vec<String> {
        let mut findings = Vec::new();
        read(&File { name: "a.toml".into(), content: content.into() }, &mut findings, reader);
        findings.iter().map(|finding| format!("{}:{} {} {}", finding.file, finding.line, finding.key, finding.message)).collect()
    }

    #[test]
    fn every_mistake_is_named_with_line_key_and_example() {
        let found = findings("a = 1\n[[rule]]\nname = 7\n[[rule]]\nnmae = 'x'\ncolour = 'x'\nkind = 'nwe'\n", |root| {
            assert_eq!(root.integer("a", "a = 1"), Some(1));
            for rule in root.tables("rule", "[[rule]]") {
                rule.text("name", r#"name = "Sales""#);
                rule.words("kind", r#"kind = "new""#, &["new", "reply"]);
            }
        });
        assert_eq!(
            found,
            [
                r#"a.toml:3 rule[1].name must be a string, and is of type integer; for example `name = "Sales"`"#,
                r#"a.toml:5 rule[2].nmae is not a key of this table; did you mean `name = "Sales"`?"#,
                "a.toml:6 rule[2].colour is not a key of this table; known here: name, kind",
                r#"a.toml:7 rule[2].kind "nwe" is none of new, reply; for example `kind = "new"`"#,
            ]
        );
    }

    #[test]
    fn a_file_that_is_not_toml_is_named_with_its_line() {
        let found = findings("a = 1\nb = \n", |_| ());
        assert!(found[0].starts_with("a.toml:2  not TOML: "), "{found:?}");
    }

    #[test]
    fn of_a_file_that_is_not_toml_only_the_first_mistake_is_told_with_the_line_before_and_an_example() {
        for (content, line, hint) in [
            (
                "[[rule]]\na = 1\nb = ['x'\n\n# next\n[[rule]]\nname = 'y'\nother = 'z'\n",
                6,
                r#"; the mistake may be in line 3 before it; for example `names = ["one", "two"]`"#,
            ),
            ("a = 1\nb = \n", 2, r#"; the mistake may be in line 1 before it; for example `name = "value"`"#),
            ("a = 1\n[[rule]\nb = x\n", 2, "; the mistake may be in line 1 before it; for example `[[name]]`"),
            ("[rule\nb = 1\n", 1, "; for example `[name]`"),
            ("a = 1\na = 2\n", 2, r#"duplicate key; for example `name = "value"`"#),
            ("a = 'x\nb = 1\n", 1, r#"; for example `name = "value"`"#),
            ("=", 1, r#"; for example `name = "value"`"#),
        ] {
            let found = findings(content, |_| ());
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("a.toml:{line}  not TOML: ")) && found[0].ends_with(hint), "{found:?}");
            assert!(line > 1 || !found[0].contains("before it"), "{found:?}");
        }
    }

    #[test]
    fn a_blank_text_is_refused_like_an_empty_list() {
        let found = findings("a = ''\nb = ['x', ' ']\nc = \"\\t\"\nd = 'x'\n", |root| {
            assert!(root.texts("a", "a = 'x'").is_empty());
            assert_eq!(root.texts("b", "b = 'x'"), ["x"]);
            assert_eq!(root.filled_text("c", "c = 'x'"), None);
            assert_eq!(root.filled_text("d", "d = 'x'"), Some("x"));
        });
        assert_eq!(
            found,
            [
                r#"a.toml:1 a has the empty text ""; leave it out, or for example `a = 'x'`"#,
                r#"a.toml:2 b has the empty text " "; leave it out, or for example `b = 'x'`"#,
                r#"a.toml:3 c has the empty text "\t"; leave it out, or for example `c = 'x'`"#,
            ]
        );
    }

    #[test]
    fn lists_take_one_string_or_many_and_not_none() {
        let found = findings("a = 'x'\nb = ['x', 'y']\nc = []\nd = [1]\n", |root| {
            assert_eq!(root.texts("a", "a"), ["x"]);
            assert_eq!(root.texts("b", "b"), ["x", "y"]);
            assert!(root.texts("c", "c = ['x']").is_empty() && root.texts("d", "d = ['x']").is_empty());
        });
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn quantities_are_integers_or_texts_and_a_table_that_is_left_has_no_unknown_keys() {
        let found = findings("a = 0x10\nb = '2 MB'\nc = true\n[d]\nx = 1\n", |root| {
            assert_eq!(root.quantity("a", "a = 1").as_deref(), Some("16"));
            assert_eq!(root.quantity("b", "b = 1").as_deref(), Some("2 MB"));
            assert_eq!(root.quantity("c", "c = '1 %'"), None);
            root.table("d", "d = {}").expect("it is a table").leave();
        });
        assert_eq!(found, ["a.toml:3 c must be an integer or a string, and is of type boolean; for example `c = '1 %'`"]);
    }

    #[test]
    fn distances() {
        for (left, right, expected) in [("", "", 0), ("name", "nmae", 2), ("kind", "kinds", 1), ("a", "xyz", 3)] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }
}
