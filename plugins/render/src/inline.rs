//! Style sheets made inline styles. Which element stands in which is followed in the template as it is written: conditions between the
//! tags are looked through, and an end tag that HTML lets an author leave out is not made up.

use std::collections::BTreeSet;

use crate::css::{Declaration, Rule, Sheet};
use crate::markup::Problem;
use crate::selector::{Element, Selector};
use crate::tag::{self, Attribute};

/// Elements without an end tag.
pub(crate) const VOID: [&str; 7] = ["area", "br", "col", "hr", "img", "source", "wbr"];

/// What a style sheet has to say about one element.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Styles {
    /// Goes in front of the element's own declarations, which win by coming later.
    pub(crate) before: Vec<String>,
    /// `!important`: goes behind them.
    pub(crate) after: Vec<String>,
}

/// The rules of one template and the elements that are open in it.
#[derive(Debug, Default)]
pub(crate) struct Inliner {
    rules: Vec<Rule>,
    /// The selectors of each rule that have meant an element.
    used: Vec<BTreeSet<usize>>,
    classes: BTreeSet<String>,
    path: Vec<Element>,
}

impl Inliner {
    /// Takes the rules of a style sheet that begins at `base` in the template.
    pub(crate) fn add(&mut self, sheet: Sheet, base: usize) {
        for mut rule in sheet.rules {
            rule.offset += base;
            self.classes.extend(rule.selectors.iter().flat_map(Selector::classes).map(str::to_owned));
            self.rules.push(rule);
            self.used.push(BTreeSet::new());
        }
    }

    /// A start tag: what the rules say about its element.
    pub(crate) fn enter(&mut self, template: &str, name: &str, tag_start: usize, attributes: &[Attribute], childless: bool) -> Styles {
        if self.rules.is_empty() {
            return Styles::default();
        }
        self.path.push(element(template, name, tag_start, attributes));
        let styles = self.styles();
        if childless {
            self.path.pop();
        }
        styles
    }

    /// An end tag, which closes everything inside of its element as well.
    pub(crate) fn leave(&mut self, name: &str) {
        if let Some(depth) = self.path.iter().rposition(|element| element.name == name) {
            self.path.truncate(depth);
        }
    }

    /// The classes that the rules name are done with once they are inlined, and would let another mail's style sheet in. The others of
    /// a `class` attribute, or nothing when they all stay.
    pub(crate) fn other_classes(&self, classes: &str) -> Option<String> {
        if classes.contains('{') || !classes.split_whitespace().any(|class| self.classes.contains(class)) {
            return None;
        }
        Some(classes.split_whitespace().filter(|class| !self.classes.contains(*class)).collect::<Vec<_>>().join(" "))
    }

    /// Rules that have something to say and nobody to say it to.
    pub(crate) fn unused(&self) -> Vec<Problem> {
        let idle = self.rules.iter().zip(&self.used).filter_map(|(rule, used)| {
            let idle = rule.selectors.iter().enumerate().filter(|(at, _)| !used.contains(at));
            let idle: Vec<&str> = idle.map(|(_, selector)| selector.text.as_str()).collect();
            let message = "matches nothing in this file, and rules count for their own file only; remove it";
            (!idle.is_empty()).then(|| Problem { offset: rule.offset, key: idle.join(", "), message: message.into() })
        });
        idle.collect()
    }

    /// What the rules say about the innermost element, the strongest last (CSS Cascade 4, section 6).
    fn styles(&mut self) -> Styles {
        let mut found: Vec<([usize; 3], usize)> = Vec::new();
        for (at, (rule, used)) in self.rules.iter().zip(&mut self.used).enumerate() {
            let meant = rule.selectors.iter().enumerate().filter(|(_, selector)| selector.matches(&self.path));
            let meant: Vec<(usize, [usize; 3])> = meant.map(|(at, selector)| (at, selector.specificity())).collect();
            used.extend(meant.iter().map(|(at, _)| *at));
            found.extend(meant.iter().map(|(_, specificity)| (*specificity, at)).max());
        }
        found.sort_unstable();
        let declarations = || found.iter().flat_map(|(_, rule)| &self.rules[*rule].declarations);
        let texts = |important: bool| {
            let wanted = move |one: &&Declaration| one.important == important;
            declarations().filter(wanted).map(|one| one.text.clone()).collect()
        };
        Styles { before: texts(false), after: texts(true) }
    }
}

/// An element as selectors see it. A class or an id that a template computes, or that a condition in the tag may leave out, is none.
fn element(template: &str, name: &str, tag_start: usize, attributes: &[Attribute]) -> Element {
    let value = |wanted: &str| {
        let attribute = attributes.iter().find(|attribute| attribute.name == wanted)?;
        let text = &template[attribute.value.clone()];
        (!text.contains('{') && !is_conditional(template, tag_start, attributes, attribute)).then_some(text.trim())
    };
    let classes = value("class").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    Element { name: name.to_owned(), id: value("id").map(str::to_owned), classes }
}

/// Whether an attribute stands in a condition: `<td {% if a %}class="b"{% endif %}>`.
pub(crate) fn is_conditional(template: &str, tag_start: usize, attributes: &[Attribute], attribute: &Attribute) -> bool {
    let mut depth = 0;
    let mut at = tag_start;
    for other in attributes.iter().take_while(|other| other.span.start <= attribute.span.start) {
        depth += nesting(&template[at..other.span.start]);
        at = other.span.end;
    }
    depth > 0
}

/// How many blocks of the template language a text opens, less those that it closes.
pub(crate) fn nesting(text: &str) -> isize {
    tag::code(text).map(|code| tag::statement(&text[code]).map_or(0, opened)).sum()
}

fn opened(statement: &str) -> isize {
    let word = statement.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or_default();
    match word {
        "if" | "for" | "macro" | "call" | "filter" | "with" | "block" => 1,
        "set" if !statement.contains('=') => 1,
        _ if word.starts_with("end") => -1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted() {
        for (text, expected) in [
            ("{% if a %}x{% else %}", 1),
            ("{% if a %}{% endif +%}", 0),
            ("{%- for a in b %}{% set c = 1 %}{% set d %}", 2),
            ("{{ 'if' }}{# {% if %} #}{% include 'a' %}", 0),
        ] {
            assert_eq!(nesting(text), expected, "{text}");
        }
    }
}
