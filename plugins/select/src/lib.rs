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
//! Rules and folders are tried by `order` (smaller first, 0 when absent), then by file name, then from top to bottom. The first rule
//! that applies ends the search, unless it says `then = "continue"`: then its signatures are kept and the next rules may add theirs
//! below. A rule with `skip = "reason"` in place of `signature` ends the search without adding any; what is there already stays. A rule
//! without conditions applies to everyone.
//!
//! # Keys of a rule
//!
//! | key | meaning |
//! |---|---|
//! | `name` | unique among rules, folders and banners; shown in explanations |
//! | `signature` / `skip` | what to add, or why to add nothing |
//! | `placement` | `"newest-reply"` (default) or `"end"` |
//! | `then` | `"stop"` (default) or `"continue"` |
//! | `order`, `enabled` | 0 and `true` when absent |
//! | `rollout` | `20` or `"20 %"`: for a share of the senders, always the same ones; a larger share contains a smaller one |
//! | `remove-trigger` | `true`: where the rule applied to any recipient, the word of `message.trigger` leaves the subject of every copy |
//! | `when` | a table of conditions, see below |
//! | `except` | a list of tables of conditions: the rule does not apply where one of them holds |
//! | any condition | all of them must hold |
//!
//! # Conditions
//!
//! Those who send. Groups are those of the directory with everything nested in them: the host resolves membership, rules need not.
//!
//! | key | meaning |
//! |---|---|
//! | `sender.addresses` | one of them is the address that this message was sent from; `*` stands for any characters, as in `"info-*@example.com"` |
//! | `sender.domains`, `sender.groups` | one of them is the sender's; a domain `"*.example.com"` means its subdomains |
//! | `sender.attributes` | all of a list such as `{ name = "department", equals = "Sales" }`; also `one-of = [...]`, `contains`, `starts-with`, `ends-with`, `present = true`, `absent = true` |
//! | `sender.known` | whether the directory knows the sender |
//! | `sender.on-behalf` | whether somebody else sent it in the author's name (Send On Behalf); Send As leaves no trace |
//! | `delegate.addresses`, `.domains`, `.groups`, `.attributes`, `.known` | the same about who sent it on behalf; none holds without a delegate |
//!
//! `addresses` and `domains` are compared with the address in use. Somebody who sends from an alias does so with the alias, and a rule
//! that names only the main address does not apply: name both, or ask for a group or an attribute, which belong to the person.
//!
//! Those who receive.
//!
//! | key | meaning |
//! |---|---|
//! | `recipient.class`, `.domains`, `.addresses`, `.groups` | about each recipient alone: those for whom all of them hold get this rule's signature; classes are `"internal"`, `"external"`, `"partner"` |
//! | `recipients.all`, `.any`, `.none` | the same keys about all of them together, for example `recipients.any.class = "external"` |
//! | `recipients.count.at-least`, `.at-most` | how many there are |
//!
//! The keys of one such table are looked at together, none before the others. For "inside the company, and this one partner" say
//! `when.any = [{ recipient.class = "internal" }, { recipient.domains = "partner.example" }]`.
//!
//! The message.
//!
//! | key | meaning |
//! |---|---|
//! | `message.kind` | `"new"`, `"reply"`, `"forward"` |
//! | `message.first-in-thread` | whether it is new and no header field names an earlier message; no phrase in a text is looked for |
//! | `message.format` | `"plain"`, `"html"`, `"alternative"` |
//! | `message.subject-contains`, `message.text-contains` | one of them is in the subject, in the text the author wrote now |
//! | `message.subject-words`, `message.text-words` | the same, as a whole word |
//! | `message.trigger` | one of these words is in the subject, as a whole word |
//! | `message.size.at-least`, `.at-most` | with a unit: `"2 MB"`, `"500 KB"`, `"1 MiB"` (KB, MB, GB are powers of 1000; KiB, MiB, GiB of 1024) |
//! | `message.attachments`, `message.authenticated` | `true` or `false` |
//! | `message.sensitivity-labels` | one of these labels, by id or name, is on it (header field `msip_labels` of Microsoft 365) |
//! | `message.sensitivity` | `"normal"`, `"personal"`, `"private"`, `"company-confidential"` (header field `Sensitivity`) |
//! | `message.importance` | `"high"`, `"normal"`, `"low"` (`Importance`, else `X-Priority`, else `X-MSMail-Priority`) |
//! | `message.languages` | one of its languages (`Content-Language`) is one of these or more exact: `"de"` includes `de-AT` |
//! | `message.headers` | as `sender.attributes`, about header fields |
//!
//! The time.
//!
//! | key | meaning |
//! |---|---|
//! | `from`, `until` | a date, with or without time and offset; a date alone counts whole, the day of `until` included |
//! | `weekdays` | `"mon"` to `"sun"` or ranges such as `"mon-fri"` |
//! | `hours` | `"08:00-18:00"`, or a list; `"22:00-06:00"` is a night, which belongs to the weekday it begins on |
//! | `zone` | whose local time the four keys beside it mean: a name such as `"Europe/Berlin"`, or `"sender"` for the directory attribute `timeZone` (IANA or Windows name); the tenant's when absent or unknown |
//!
//! Texts are compared without regard to letter case, group ids exactly; an empty text is refused, because it would hold everywhere. Local
//! times follow summer time.
//!
//! `remove-trigger` takes out a word as it is in the subject once it is decoded. Where two encoded words (RFC 2047) of the subject divide
//! the trigger inside a character, which RFC 2047 section 5 forbids, the rule applies and the subject stays as it is.
//!
//! # And, or, not
//!
//! `when` and each table of `except` may have three more keys, up to eight levels deep: `all` and `any` are lists of tables of
//! conditions of which all, or one, must hold; `not` is a table whose conditions must not all hold.
//!
//! ```toml
//! [rule.when]
//! any = [
//!     { sender.groups = ["sales"] },
//!     { all = [{ sender.groups = ["support"] }, { not = { message.kind = "reply" } }] },
//! ]
//! ```
//!
//! What cannot be known is neither true nor false: somebody whom the directory does not know is neither in a group nor outside of it,
//! so that a rule does not apply where its conditions, or the absence of its exceptions, would depend on it.
//!
//! # Folders
//!
//! ```toml
//! [[folder]]
//! name = "Sales department"
//! sender.groups = ["sales"]
//!
//! [[folder.rule]]
//! name = "Sales, new mail"
//! signature = "sales-full"
//! message.kind = "new"
//! ```
//!
//! A folder has `name`, `order`, `enabled`, `rollout`, `when`, `except` and conditions as a rule has. They are tested before its rules,
//! which are left out where the folder does not apply. The `order` of its rules counts inside it. With `then = "stop"` (default
//! `"continue"`) the search ends below it wherever the folder applies, whether or not one of its rules did.
//!
//! # Banners
//!
//! ```toml
//! [[banner]]
//! name = "Spring campaign"
//! signature = "banner-spring"
//! priority = 10
//! until = 2027-05-31
//! recipient.class = "external"
//! ```
//!
//! A banner has a rule's keys but `skip`, `then` and `order`. Banners are added below the signatures, also where a rule said stop, never
//! where one said skip: by `priority` (larger first, 0 when absent), then by file name and from top to bottom, as many on a message as
//! the settings allow. With `only-with-signature = false` a banner is added also where no rule added a signature.
//!
//! # Settings
//!
//! | key | meaning |
//! |---|---|
//! | `settings.on-behalf` | whose rules a message follows that was sent on behalf: `"author"` (default), or `"delegate"`: then `sender`, `rollout` and `zone = "sender"` ask the delegate. It chooses the signature only: the name, telephone number and so on in it are the author's all the same |
//! | `settings.banners` | banners on one message, 0 to 8; 1 when absent |
//! | `settings.copies` | copies of one message, 2 to 100; 16 when absent |
//!
//! They count for all files; each may be given once.
//!
//! # What is decided once and what for each recipient
//!
//! Conditions on `recipient` are decided for each recipient. Recipients with the same outcome share a copy of the message, and each is
//! in exactly one; a mixed list never gets the internal signature outside. Where there are more outcomes than `settings.copies`, the
//! recipients of the least common ones share one copy without signature, with the reason `copies-limit`. A message that already carries
//! a signature gets none.
//!
//! Recipients of one copy may have come to it in different ways. Where they differ about a rule, the explanation of the copy has a line
//! for each way, which names one of its recipients and how many more there are; of more than four ways the others are counted.
//!
//! # Warnings
//!
//! Reading the rules also reports what is valid and probably not meant, with file, line and the number of the rule:
//!
//! - rules that can never apply because their conditions exclude each other or imply an exception, or that reach nobody (`rollout = 0`);
//! - rules below one that applies wherever they would and stops, or below several that do so together. What several do together is seen
//!   where they differ in the recipient's class, the message's kind or format, `sender.known`, and what is `true` or `false`;
//! - campaigns of one family (ids that are alike before the first `-`, `_` or digit) and the same conditions that overlap, or that leave
//!   a gap of at most seven days;
//! - two banners of equal priority, where there is room for one: "apply" where they surely do to the same mail at the same time, "may
//!   apply" where nothing in their conditions, exceptions and dates shows that they never do.
//!
//! But for that "may", nothing is said where it is not certain. Nothing here knows the time or the tenant: neither a date that is past
//! nor `recipient.class = "external"` beside one of the tenant's own domains is seen.
//!
//! # Cost
//!
//! Rules are found by the sender's address, groups, attributes and domain, so that thousands of personal or departmental rules cost
//! nothing for everybody else's mail. Explanations name each rule that came into question; of those that did not, the first few by name
//! and the others by their number, unless a person asks for every rule.
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
