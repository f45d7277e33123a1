//! `signet signatures test DIR`: the operator's own expectations, from `DIR/tests/*.toml`, held against what rules and templates do.
//!
//! ```toml
//! at = 2026-12-01T10:00:00            # when, in the tenant's time zone; for all that say nothing else
//!
//! [[decision]]
//! name = "A partner gets the full signature, colleagues the short one"
//! from = "ada@northwind.example"
//! to = ["bob@partner.example", "eve@northwind.example"]
//! subject = "Offer"
//! kind = "reply"                      # new (when absent), reply, forward
//! # also: delegate, text, headers = { Importance = "high" }, at, eml = "offer.eml" (a file beside this one)
//!
//! [[decision.copy]]                   # one for each group of recipients, in any order
//! to = ["bob@partner.example"]
//! signatures = ["full", "banner"]
//! [[decision.copy]]
//! to = ["eve@northwind.example"]
//! skip = "no-rule-applied"            # part of the reason
//!
//! [[fragment]]
//! name = "Ada's full signature"
//! person = "ada@northwind.example"
//! signature = "full"
//! html = "ada-full.html"              # files beside this one, which `--update` writes
//! text = "ada-full.txt"
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::civil::DateTime;
use serde::Deserialize;
use similar::TextDiff;

use super::explain::{address, outcome};
use super::folder::{files, octets, text};
use super::{Answered, Question, Workbench, WorkbenchError};
use crate::address::Mailbox;
use crate::signature::{Format, Kind, Outcome};

/// Where expectations that say no time are: a working day in no season. A test must not end with a campaign.
const WHEN: &str = "2024-01-08T10:00:00";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    at: Option<toml::value::Datetime>,
    #[serde(default)]
    decision: Vec<RawDecision>,
    #[serde(default)]
    fragment: Vec<RawFragment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDecision {
    name: String,
    from: Option<String>,
    delegate: Option<String>,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    subject: String,
    text: Option<String>,
    #[serde(default)]
    kind: RawKind,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    eml: Option<String>,
    at: Option<toml::value::Datetime>,
    copy: Vec<RawCopy>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawKind {
    #[default]
    New,
    Reply,
    Forward,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCopy {
    to: Vec<String>,
    #[serde(default)]
    signatures: Vec<String>,
    skip: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFragment {
    name: String,
    person: String,
    signature: String,
    locale: Option<String>,
    at: Option<toml::value::Datetime>,
    html: Option<String>,
    text: Option<String>,
}

/// Runs all expectation files and prints each that does not hold, with the difference; whether all hold. With `update`, expected fragments are
/// written instead of compared.
pub fn test(workbench: &Workbench, update: bool, out: &mut dyn Write) -> Result<bool, WorkbenchError> {
    let folder = workbench.folder.path.join("tests");
    let all = files(&folder, "")?;
    let tests: Vec<&(PathBuf, String)> = all.iter().filter(|(_, name)| name.ends_with(".toml")).collect();
    if tests.is_empty() {
        return Err(WorkbenchError::Question(format!("{} holds no file that ends in .toml", folder.display())));
    }
    let (mut passed, mut failed) = (0_usize, 0_usize);
    for (path, name) in tests {
        let content = text(path)?;
        let raw: RawFile = toml::from_str(&content).map_err(|error| WorkbenchError::Question(format!("tests/{name}: {error}")))?;
        let case = Case { workbench, folder: path.parent().unwrap_or(&folder), at: raw.at, update };
        let decisions = raw.decision.iter().map(|decision| (&decision.name, case.decision(decision)));
        let fragments = raw.fragment.iter().map(|fragment| (&fragment.name, case.fragment(fragment)));
        for (expectation, outcome) in decisions.chain(fragments).collect::<Vec<_>>() {
            match outcome? {
                None => passed += 1,
                Some(difference) => {
                    failed += 1;
                    writeln!(out, "tests/{name}: {expectation:?} does not hold\n{difference}")?;
                }
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(failed == 0)
}

/// The expectations of one file.
struct Case<'a> {
    workbench: &'a Workbench,
    folder: &'a Path,
    at: Option<toml::value::Datetime>,
    update: bool,
}

impl Case<'_> {
    /// The difference between what is expected and what is decided.
    fn decision(&self, raw: &RawDecision) -> Result<Option<String>, WorkbenchError> {
        let question = Question {
            from: raw.from.as_deref().map(mailbox).transpose()?,
            delegate: raw.delegate.as_deref().map(mailbox).transpose()?,
            to: raw.to.iter().map(|address| mailbox(address)).collect::<Result<_, _>>()?,
            subject: raw.subject.clone(),
            kind: match raw.kind {
                RawKind::New => Kind::New,
                RawKind::Reply => Kind::Reply,
                RawKind::Forward => Kind::Forward,
            },
            headers: raw.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            message: raw.eml.as_ref().map(|file| octets(&self.folder.join(file))).transpose()?,
            ..Question::at(self.time(raw.at)?)
        };
        let question = Question { text: raw.text.clone().unwrap_or(question.text), ..question };
        let answered = self.workbench.answer(&question)?;
        let (expected, found) = (expected(raw)?, found(&answered));
        let holds = expected.len() == found.len() && expected.iter().zip(&found).all(|(expected, found)| expected.holds(found));
        if holds {
            return Ok(None);
        }
        let words = |lines: Vec<String>| lines.into_iter().map(|line| line + "\n").collect::<String>();
        let expected = words(expected.iter().map(|copy| format!("{}: {}", copy.to.join(", "), copy.outcome())).collect());
        let found = words(found.iter().map(|copy| format!("{}: {}", copy.to.join(", "), copy.outcome())).collect());
        Ok(Some(difference(&expected, &found)))
    }

    /// The difference between the expected and the rendered fragment.
    fn fragment(&self, raw: &RawFragment) -> Result<Option<String>, WorkbenchError> {
        let person = self.workbench.person(&mailbox(&raw.person)?);
        let locale = raw.locale.clone().unwrap_or_else(|| self.workbench.locale(&person));
        let placed = self.workbench.render(&raw.signature, &person, &locale, self.time(raw.at)?, Format::Alternative)?;
        let mut differences = String::new();
        for (file, found) in [(&raw.html, placed.fragment.html), (&raw.text, placed.fragment.text)] {
            let Some(file) = file else { continue };
            let path = self.folder.join(file);
            let found = format!("{}\n", found.unwrap_or_default().trim_end());
            if self.update {
                fs::write(&path, &found).map_err(|source| WorkbenchError::Write { path: path.clone(), source })?;
                continue;
            }
            let expected = if path.exists() { text(&path)? } else { String::new() };
            if expected != found {
                differences.push_str(&format!("--- {file}\n{}", difference(&expected, &found)));
            }
        }
        Ok((!differences.is_empty()).then_some(differences))
    }

    fn time(&self, own: Option<toml::value::Datetime>) -> Result<SystemTime, WorkbenchError> {
        let written = own.or(self.at).map_or_else(|| WHEN.to_owned(), |at| at.to_string());
        time(&written, self.workbench)
    }
}

/// A date or a date and time, in the tenant's time zone unless it says its offset.
pub fn time(written: &str, workbench: &Workbench) -> Result<SystemTime, WorkbenchError> {
    let wrong =
        || WorkbenchError::Question(format!("{written:?} is not a time; for example 2026-12-01T10:00:00 or 2026-12-01T10:00:00+01:00"));
    if let Ok(timestamp) = written.parse::<jiff::Timestamp>() {
        return Ok(timestamp.into());
    }
    let local: DateTime = written.parse().map_err(|_| wrong())?;
    workbench.folder.zone.instant(local).ok_or_else(wrong)
}

/// Who gets what; recipients in ascending order.
struct Expected {
    to: Vec<String>,
    signatures: Vec<String>,
    /// Why there is none: as expected a part of it, as found all of it.
    skip: Option<String>,
}

impl Expected {
    fn holds(&self, found: &Self) -> bool {
        let skipped = match (&self.skip, &found.skip) {
            (Some(part), Some(reason)) => reason.contains(part.as_str()),
            (None, None) => true,
            _ => false,
        };
        self.to == found.to && self.signatures == found.signatures && skipped
    }

    fn outcome(&self) -> String {
        match &self.skip {
            Some(reason) => format!("no signature: {reason}"),
            None => format!("signature {}", self.signatures.join(", ")),
        }
    }
}

fn expected(raw: &RawDecision) -> Result<Vec<Expected>, WorkbenchError> {
    let copy = |copy: &RawCopy| {
        if copy.skip.is_some() != copy.signatures.is_empty() {
            let message = format!("{:?}: a copy has either `signatures` or `skip`; for example signatures = [\"full\"]", raw.name);
            return Err(WorkbenchError::Question(message));
        }
        let mut to = copy.to.iter().map(|address| Ok(mailbox(address)?.key())).collect::<Result<Vec<_>, WorkbenchError>>()?;
        to.sort();
        Ok(Expected { to, signatures: copy.signatures.clone(), skip: copy.skip.clone() })
    };
    let mut copies = raw.copy.iter().map(copy).collect::<Result<Vec<_>, _>>()?;
    copies.sort_by(|one, other| one.to.cmp(&other.to));
    Ok(copies)
}

fn found(answered: &Answered) -> Vec<Expected> {
    let mut copies: Vec<Expected> = answered
        .copies
        .iter()
        .map(|answer| {
            let recipients = answer.plan.recipients.iter().map(|index| &answered.facts.recipients[*index]);
            let mut to: Vec<String> = recipients
                .map(|recipient| address(&recipient.local, &recipient.domain))
                .map(|address| Mailbox::parse(&address).map_or(address, |mailbox| mailbox.key()))
                .collect();
            to.sort();
            match (&answer.plan.outcome, answer.copy.reason()) {
                (Outcome::Sign(choices), None) => {
                    Expected { to, signatures: choices.iter().map(|choice| choice.id.clone()).collect(), skip: None }
                }
                _ => Expected { to, signatures: Vec::new(), skip: Some(outcome(answer)) },
            }
        })
        .collect();
    copies.sort_by(|one, other| one.to.cmp(&other.to));
    copies
}

pub(super) fn mailbox(address: &str) -> Result<Mailbox, WorkbenchError> {
    Mailbox::parse(address).map_err(|error| WorkbenchError::Question(error.to_string()))
}

pub(super) fn difference(expected: &str, found: &str) -> String {
    TextDiff::from_lines(expected, found).unified_diff().context_radius(2).to_string()
}
