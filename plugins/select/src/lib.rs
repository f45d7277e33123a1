//! The default selector: chooses signatures by rules from TOML files.
//!
//! ```toml
//! [[rule]]
//! name = "Full signature for new mail that leaves the company"
//! signature = "full"            # one id or a list
//! sender.groups = ["sales"]     # every key must hold; within a list one entry is enough
//! message.kind = "new"
//! recipient.class = ["external", "partner"]
//!
//! [[rule.except]]
//! message.subject-contains = ["[no signature]"]
//! ```
//!
//! # Order
//!
//! Rules are tried by `order` (smaller first, 0 when absent), then by file name, then from top to bottom. The first that applies ends
//! the search, unless it says `then = "continue"`: then its signatures are kept and the next rules may add theirs below. A rule with
//! `skip = "reason"` in place of `signature` ends the search without adding any. A rule without conditions applies to everyone.
//!
//! # Keys of a rule
//!
//! | key | meaning |
//! |---|---|
//! | `name` | unique; shown in explanations |
//! | `signature` / `skip` | what to add, or why to add nothing |
//! | `placement` | `"newest-reply"` (default) or `"end"` |
//! | `then` | `"stop"` (default) or `"continue"` |
//! | `order`, `enabled` | 0 and `true` when absent |
//! | `sender.addresses`, `sender.domains`, `sender.groups` | one of them is the sender's; a domain `"*.example.com"` means its subdomains |
//! | `sender.attributes` | all of a list such as `{ name = "department", equals = "Sales" }`; also `contains`, `present = true`, `absent = true` |
//! | `sender.known` | whether the directory knows the sender |
//! | `recipient.class`, `.domains`, `.addresses`, `.groups` | about each recipient alone: those for whom it holds get this rule's signature |
//! | `recipients.all`, `.any`, `.none` | about all of them together, for example `recipients.any.class = "external"` |
//! | `message.kind` | `"new"`, `"reply"`, `"forward"` |
//! | `message.format` | `"plain"`, `"html"`, `"alternative"` |
//! | `message.subject-contains`, `message.text-contains` | one of them is in the subject, in the text the author wrote now |
//! | `message.headers` | as `sender.attributes`, about header fields |
//! | `message.authenticated`, `message.attachments` | `true` or `false` |
//! | `from`, `until` | a date, local or with offset; a date alone counts whole |
//! | `except` | a list of tables with the conditions above: the rule does not apply where one of them holds |
//!
//! Texts are compared without regard to letter case, group ids exactly.
//!
//! # What is decided once and what for each recipient
//!
//! Conditions on `recipient` are decided for each recipient. Recipients with the same outcome share a copy of the message; a mixed list
//! never gets the internal signature outside. A sender whom the directory does not know matches no rule that asks the directory, in
//! its conditions or in its exceptions: what cannot be known is not assumed. A message that already carries a signature gets none.
//!
//! # Cost
//!
//! Rules are found by the sender's address, groups and domain, so that thousands of personal or departmental rules cost nothing for
//! everybody else's mail. Explanations name each rule that came into question; of those that did not, the first few by name and
//! the others by their number.
//!
//! This crate does not know what a signature looks like.

mod analysis;
mod case;
mod condition;
mod copies;
mod decide;
mod explain;
mod index;
mod read;
mod rollout;
mod rule;
mod schedule;
mod zone;

use signet_plugin_sdk::select::{Decision, Summary};
use signet_plugin_sdk::settings::refused;
use signet_plugin_sdk::{Description, Diagnostic, Facts, File, Message, PluginError, Selector};

use crate::condition::Test;
use crate::rule::RuleSet;

/// The attribute that everyone in a directory has: with it, even rules that use no attribute can tell a known sender.
const NAME_ATTRIBUTE: &str = "displayName";

/// The rules, ready to be asked.
#[derive(Debug)]
pub struct Rules(RuleSet);

impl Selector for Rules {
    fn configure(files: &[File]) -> Result<(Self, Summary), Vec<Diagnostic>> {
        let mut findings = Vec::new();
        let rules = read::read(files, &mut findings);
        if refused(&findings) {
            return Err(findings);
        }
        analysis::report(&rules, &mut findings);
        let banners = rules.banners.iter().flat_map(|banner| &banner.stack.ids);
        let mut signatures: Vec<String> = rules.rules().flat_map(rule::Rule::signatures).chain(banners).cloned().collect();
        signatures.sort();
        signatures.dedup();
        let count = u32::try_from(rules.rules().count() + rules.banners.len()).unwrap_or(u32::MAX);
        Ok((Self(rules), Summary { rules: count, signatures, warnings: findings }))
    }

    fn describe(&self) -> Description {
        let mut description = Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let tests: Vec<&Test> = self.0.scopes().flat_map(rule::Scope::tests).collect();
        description.headers = tests.iter().flat_map(|test| test.headers()).map(str::to_owned).collect();
        description.attributes = tests.iter().filter_map(|test| test.attribute()).map(str::to_owned).collect();
        description.attributes.push(NAME_ATTRIBUTE.to_owned());
        for names in [&mut description.headers, &mut description.attributes] {
            names.sort();
            names.dedup();
        }
        description
    }

    fn select(&self, facts: &Facts, message: &dyn Message) -> Result<Decision, PluginError> {
        Ok(decide::decide(&self.0, facts, message))
    }
}

signet_plugin_sdk::selector!(Rules);

#[cfg(test)]
mod tests;
