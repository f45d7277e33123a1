//! The text of a configuration file and what has been found wrong with it so far.
//!
//! Knows where a value stands (line, column, dotted key) and collects findings, so that an operator sees all of them at once. Reads the
//! files that the configuration names; every octet read goes into the configuration's digest. Knows no key by name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue, Deserializer};

use super::error::{ConfigError, ConfigErrors};
use super::raw::RawConfig;

const NEAREST: &str = "the nearest known key is ";
/// More wrong keys than this are a file of another program.
const MOST_STRUCTURAL_ERRORS: usize = 64;

/// The file's text, the findings, and the files that were read on its behalf.
pub(super) struct Source<'t> {
    path: PathBuf,
    text: &'t str,
    places: Vec<Place>,
    pub(super) now: SystemTime,
    errors: Vec<ConfigError>,
    warnings: Vec<ConfigError>,
    files: BTreeMap<PathBuf, Arc<[u8]>>,
}

/// Where one key and its value stand.
struct Place {
    path: String,
    key: Range<usize>,
    value: Range<usize>,
}

/// Where a finding belongs.
#[derive(Clone, Debug)]
pub(super) enum At {
    /// At this value or key.
    Span(Range<usize>),
    /// In this table (by its header, if it is there), at a key of it that is missing.
    Missing { table: Option<Range<usize>>, path: String },
}

impl<'t> Source<'t> {
    pub(super) fn new(path: &Path, text: &'t str, now: SystemTime) -> Self {
        let mut source =
            Self { path: path.to_owned(), text, places: Vec::new(), now, errors: Vec::new(), warnings: Vec::new(), files: BTreeMap::new() };
        source.files.insert(path.to_owned(), text.as_bytes().into());
        source
    }

    /// Parses the text. Keys that are unknown or hold the wrong kind of value are recorded and left out, so that the rest is checked too.
    pub(super) fn parse(&mut self) -> Option<RawConfig> {
        let (tree, syntax) = DeTable::parse_recoverable(self.text);
        if !syntax.is_empty() {
            for error in syntax {
                self.error(At::Span(error.span().unwrap_or_default()), error.message().to_owned(), None);
            }
            return None;
        }
        let mut tree = tree;
        collect(tree.get_ref(), "", &mut self.places);
        for _ in 0..MOST_STRUCTURAL_ERRORS {
            match RawConfig::deserialize(Deserializer::from(tree.clone())) {
                Ok(raw) => return Some(raw),
                Err(error) => {
                    let span = error.span().unwrap_or_default();
                    let (message, example) = structural(error.message(), &self.key_at(&span));
                    self.error(At::Span(span.clone()), message, example);
                    if !remove(tree.get_mut(), &span) {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// Records a finding.
    pub(super) fn error(&mut self, at: At, message: String, example: Option<String>) {
        let error = self.finding(at, message, example);
        // A key that was left out because of its kind, or that was misspelt, is not missing as well.
        let nearest = format!("{NEAREST}{}", error.key.rsplit('.').next().unwrap_or_default());
        let explained = |earlier: &ConfigError| earlier.key == error.key || earlier.message.ends_with(&nearest);
        if !(error.message.starts_with("is missing") && self.errors.iter().any(explained)) {
            self.errors.push(error);
        }
    }

    /// Records something that an operator should know and that does not prevent the start.
    pub(super) fn warn(&mut self, at: At, message: String) {
        let warning = self.finding(at, message, None);
        self.warnings.push(warning);
    }

    /// Records a finding about a line of another file.
    pub(super) fn error_in(&mut self, file: &Path, line: usize, key: String, message: String) {
        self.errors.push(ConfigError { file: file.to_owned(), line, column: 0, key, message, example: None });
    }

    /// Records a warning about a line of another file.
    pub(super) fn warn_in(&mut self, file: &Path, line: usize, key: String, message: String) {
        self.warnings.push(ConfigError { file: file.to_owned(), line, column: 0, key, message, example: None });
    }

    /// The line on which a span begins, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.position(span.start).0
    }

    /// The last segment of the dotted key at a span.
    pub(super) fn key_name(&self, at: &At) -> String {
        let path = match at {
            At::Span(span) => self.key_at(span),
            At::Missing { path, .. } => path.clone(),
        };
        path.rsplit('.').next().unwrap_or_default().to_owned()
    }

    /// A path as the configuration means it: relative to the folder of the configuration file.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// The configuration file itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file once; at most `most` octets.
    pub(super) fn read(&mut self, path: &Path, most: u64) -> io::Result<Arc<[u8]>> {
        if let Some(content) = self.files.get(path) {
            return Ok(content.clone());
        }
        let mut content = Vec::new();
        File::open(path)?.take(most + 1).read_to_end(&mut content)?;
        if content.len() as u64 > most {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("is larger than {most} octets")));
        }
        let content: Arc<[u8]> = content.into();
        self.files.insert(path.to_owned(), content.clone());
        Ok(content)
    }

    /// The warnings and the SHA-256 of everything that was read, or every error.
    pub(super) fn finish(self) -> Result<(Vec<ConfigError>, [u8; 32]), ConfigErrors> {
        if !self.errors.is_empty() {
            return Err(ConfigErrors::new(self.errors, &self.path));
        }
        let base = self.path.parent().unwrap_or(Path::new(""));
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for (path, content) in &self.files {
            // Relative names, so that two nodes with the same files in different folders have the same digest.
            let name = path.strip_prefix(base).unwrap_or(path).as_os_str().as_encoded_bytes();
            for part in [name, content] {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part);
            }
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Ok((self.warnings, digest))
    }

    fn finding(&self, at: At, message: String, example: Option<String>) -> ConfigError {
        let (start, key) = match at {
            At::Span(span) => (Some(span.start), self.key_at(&span)),
            At::Missing { table, path } => (table.map(|table| table.start), path),
        };
        let (line, column) = start.map_or((1, 0), |start| self.position(start));
        ConfigError { file: self.path.clone(), line, column, key, message, example }
    }

    fn key_at(&self, span: &Range<usize>) -> String {
        let exact = self.places.iter().find(|place| place.key == *span || place.value == *span);
        exact.map(|place| place.path.clone()).unwrap_or_default()
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

fn collect(table: &DeTable<'_>, prefix: &str, places: &mut Vec<Place>) {
    for (key, value) in table.iter() {
        let name = key.get_ref();
        let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
        places.push(Place { path: path.clone(), key: key.span(), value: value.span() });
        descend(value.get_ref(), &path, places);
    }
}

fn descend(value: &DeValue<'_>, path: &str, places: &mut Vec<Place>) {
    match value {
        DeValue::Table(table) => collect(table, path, places),
        DeValue::Array(items) => {
            for item in items.iter() {
                places.push(Place { path: path.to_owned(), key: item.span(), value: item.span() });
                descend(item.get_ref(), path, places);
            }
        }
        _ => {}
    }
}

/// Removes the entry or the list item whose key or value has this span.
fn remove(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let before = table.len();
    let keep = |key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>| key.span() != *span && value.span() != *span;
    *table = std::mem::take(table).into_iter().filter(|(key, value)| keep(key, value)).collect();
    if table.len() < before {
        return true;
    }
    table.iter_mut().any(|(_, value)| remove_inside(value.get_mut(), span))
}

fn remove_inside(value: &mut DeValue<'_>, span: &Range<usize>) -> bool {
    match value {
        DeValue::Table(table) => remove(table, span),
        DeValue::Array(items) => {
            let mut kept = DeArray::new();
            items.iter().filter(|item| item.span() != *span).for_each(|item| kept.push(item.clone()));
            let removed = kept.len() < items.len();
            *items = kept;
            removed || items.iter_mut().any(|item| remove_inside(item.get_mut(), span))
        }
        _ => false,
    }
}

/// Says in an operator's words what serde found.
fn structural(message: &str, key: &str) -> (String, Option<String>) {
    let name = key.rsplit('.').next().unwrap_or_default();
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let mut names = rest.split('`').step_by(2);
        let unknown = names.next().unwrap_or_default();
        let names: Vec<&str> = names.collect();
        let nearest = names.iter().copied().min_by_key(|known| distance(unknown, known)).unwrap_or_default();
        // Half of the letters must be right for it to be the same word.
        if distance(unknown, nearest) * 2 <= unknown.chars().count() {
            return (format!("is not a known key; {NEAREST}{nearest}"), None);
        }
        return (format!("is not a known key; known here are {}", names.join(", ")), None);
    }
    let Some((found, expected)) = message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) else {
        return (message.to_owned(), None);
    };
    // serde's words for a value: `string "a"`, `integer `1``, `sequence`, `map`.
    let found = match found.split_once(' ') {
        Some((_, value)) => value.trim_matches('`'),
        None if found == "sequence" => "a list",
        None => "a table",
    };
    if expected.starts_with("struct") {
        return (format!("{found} stands where a table belongs"), Some(format!("[{key}]")));
    }
    (format!("{found} stands where a list belongs"), Some(format!("{name} = [{found}]")))
}

/// Levenshtein's distance: how many letters to change, add or take away.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
