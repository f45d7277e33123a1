//! Reading one key: a default when it is absent, a finding with a valid example when it is wrong.
//!
//! After a finding the default, or nothing, stands in, so that the checks go on; no configuration comes of it.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;

use super::raw::{Leaf, List, Scalar, Section};
use super::source::{At, Source};
use super::units::{self, Fault};

impl Leaf {
    /// Where the value stands.
    pub(super) fn span(&self) -> Option<Range<usize>> {
        self.0.as_ref().map(Spanned::span)
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.is_some()
    }
}

impl<T> Section<T> {
    /// A key of this table that is missing; `path` is the whole dotted key.
    pub(super) fn missing(&self, path: &str) -> At {
        At::Missing { table: self.span.clone(), path: path.to_owned() }
    }
}

impl Source<'_> {
    /// Any value: `parse` says what is wrong with it, `example` is a right one in TOML.
    pub(super) fn value<T>(&mut self, leaf: &Leaf, example: &str, parse: impl FnOnce(&Scalar) -> Result<T, Fault>) -> Option<T> {
        self.item(leaf.0.as_ref()?, example, parse)
    }

    /// Any value of a list; `example` is a whole right list in TOML.
    fn item<T>(&mut self, item: &Spanned<Scalar>, example: &str, parse: impl FnOnce(&Scalar) -> Result<T, Fault>) -> Option<T> {
        match parse(item.get_ref()) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.wrong(&At::Span(item.span()), format!("{} {fault}", item.get_ref()), example);
                None
            }
        }
    }

    /// All values of a list with their places; wrong ones are left out.
    pub(super) fn list<T>(&mut self, list: &List, example: &str, parse: impl Fn(&Scalar) -> Result<T, Fault>) -> Vec<(T, Range<usize>)> {
        let mut values = Vec::with_capacity(list.items.len());
        for item in &list.items {
            values.extend(self.item(item, example, &parse).map(|value| (value, item.span())));
        }
        values
    }

    /// As [`Source::list`], without the places.
    pub(super) fn values<T>(&mut self, list: &List, example: &str, parse: impl Fn(&Scalar) -> Result<T, Fault>) -> Vec<T> {
        self.list(list, example, parse).into_iter().map(|(value, _)| value).collect()
    }

    /// A value that must be there.
    pub(super) fn required<T>(
        &mut self,
        leaf: &Leaf,
        missing: At,
        example: &str,
        parse: impl FnOnce(&Scalar) -> Result<T, Fault>,
    ) -> Option<T> {
        if leaf.0.is_none() {
            self.wrong(&missing, "is missing".to_owned(), example);
        }
        self.value(leaf, example, parse)
    }

    /// A text that is not repeated in a finding.
    pub(super) fn secret(&mut self, leaf: &Leaf, example: &str) -> Option<String> {
        let value = leaf.0.as_ref()?;
        let text = units::text(value.get_ref());
        if let Err(fault) = &text {
            self.wrong(&At::Span(value.span()), format!("the value {fault}"), example);
        }
        text.ok()
    }

    /// Records a finding whose example is this key with a right value.
    pub(super) fn wrong(&mut self, at: &At, message: String, example: &str) {
        let key = self.key_name(at);
        self.error(at.clone(), message, Some(format!("{key} = {example}")));
    }

    pub(super) fn flag(&mut self, leaf: &Leaf, default: bool) -> bool {
        self.value(leaf, if default { "false" } else { "true" }, units::flag).unwrap_or(default)
    }

    pub(super) fn count(&mut self, leaf: &Leaf, range: RangeInclusive<usize>, default: usize) -> usize {
        self.value(leaf, &default.to_string(), |scalar| units::count(scalar, &range)).unwrap_or(default)
    }

    pub(super) fn duration(&mut self, leaf: &Leaf, range: RangeInclusive<Duration>, default: Duration) -> Duration {
        let example = format!("\"{}\"", units::written(default));
        self.value(leaf, &example, |scalar| units::duration(scalar, &range)).unwrap_or(default)
    }

    /// A size; `default` is written as an operator would write it.
    pub(super) fn size(&mut self, leaf: &Leaf, range: RangeInclusive<u64>, default: &str) -> usize {
        let fallback = units::size(&Scalar::Text(default.to_owned()), &range).unwrap_or_default();
        self.value(leaf, &format!("\"{default}\""), |scalar| units::size(scalar, &range)).unwrap_or(fallback)
    }

    /// One of a few words; the first is the default and the example.
    pub(super) fn choice<T: Copy>(&mut self, leaf: &Leaf, choices: &[(&str, T)]) -> T {
        let chosen = self.value(leaf, &format!("{:?}", choices[0].0), |scalar| {
            let found = choices.iter().find(|(word, _)| matches!(scalar, Scalar::Text(text) if text == word));
            found.map(|(_, choice)| *choice).ok_or_else(|| {
                let words: Vec<String> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
                format!("is none of {}", words.join(", "))
            })
        });
        chosen.unwrap_or(choices[0].1)
    }
}
