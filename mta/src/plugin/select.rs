//! Selector plugins: facts in, a checked decision out.
//!
//! The check is the host's, whatever the plugin: every recipient is in exactly one copy, every signature id is one that `configure`
//! announced. Ids and indexes that are wrong make the whole answer unusable; words for people (reasons, explanations) are cleaned and cut
//! instead, because a long reason is no reason to lose a signature. It does not know whether a renderer has these ids.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, Linker};

use super::admission::SELECTOR;
use super::bindings::select::exports::signet::select::selector as guest;
use super::bindings::select::{SelectorPlugin, SelectorPluginPre};
use super::call::{Plugin, classify};
use super::describe::{describe, diagnostics, ids};
use super::engine::Engine;
use super::fault::{Description, Diagnostic, Fault, File, LoadError, PluginError};
use super::host::{Host, Lent, MessageView};
use super::limits::{EXPLANATIONS, ID, Limits, REASON, STACK, SUBJECT_REMOVAL, SUBJECT_REMOVALS};
use super::snapshot::prepare;
use super::text;
use crate::signature::{Choice, CopyPlan, Decision, Explanation, Facts, Outcome, Placement};

/// A configured selector. Calls may run at the same time; each has its own instance.
pub struct Selector {
    plugin: Plugin<SelectorPluginPre<Host>>,
    description: Description,
    summary: SelectorSummary,
}

/// What `configure` accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectorSummary {
    /// Number of rules.
    pub rules: u32,
    /// Every signature id that a rule can choose.
    pub signatures: Vec<String>,
    /// Findings that do not prevent use.
    pub warnings: Vec<Diagnostic>,
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selector").field("description", &self.description).field("summary", &self.summary).finish_non_exhaustive()
    }
}

impl Selector {
    /// Admits, compiles and configures a selector. Takes about a second: not on the mail path.
    pub fn load(engine: &Engine, wasm: &[u8], files: &[File], limits: &Limits) -> Result<Self, LoadError> {
        let prepared = prepare(engine, wasm, (SELECTOR, link), limits, |store, instance| configure(store, instance, files))?;
        let (summary, description) = prepared.answer;
        let pre = SelectorPluginPre::new(prepared.pre).map_err(|error| LoadError::Interface(format!("{error:#}")))?;
        let plugin = Plugin::new(engine, pre, limits, prepared.memory, &description.name);
        Ok(Self { plugin, description, summary })
    }

    /// Who the plugin is and what it wants to be told.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What `configure` accepted.
    pub fn summary(&self) -> &SelectorSummary {
        &self.summary
    }

    /// Decides for one message. Synchronous and processor-bound.
    pub fn select(&self, facts: &Facts, message: Arc<dyn MessageView>) -> Result<Decision, Fault> {
        self.plugin.call(self.plugin.limits.select_deadline, Some(message), |store, pre| {
            let instance = pre.instantiate(&mut *store).map_err(|error| classify(&error))?;
            let answer = instance.signet_select_selector().call_select(&mut *store, &facts.into(), Lent::handle());
            let decision = answer.map_err(|error| classify(&error))?.map_err(PluginError::from)?;
            check(decision, facts.recipients.len(), &self.summary.signatures).map_err(Fault::BadOutput)
        })
    }
}

fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    SelectorPlugin::add_to_linker::<_, HasSelf<Host>>(linker, |host| host)
}

fn configure(store: &mut Store<Host>, instance: &Instance, files: &[File]) -> Result<(SelectorSummary, Description), LoadError> {
    let fault = |call: &'static str| move |error: wasmtime::Error| LoadError::Call { call, fault: classify(&error) };
    let plugin = SelectorPlugin::new(&mut *store, instance).map_err(|error| LoadError::Interface(format!("{error:#}")))?;
    let files: Vec<_> = files.iter().map(Into::into).collect();
    let answer = plugin.signet_select_selector().call_configure(&mut *store, &files).map_err(fault("configure"))?;
    let guest::Summary { rules, signatures, warnings } = answer.map_err(|found| LoadError::Diagnostics(diagnostics(found)))?;
    let signatures = ids(signatures).map_err(|detail| LoadError::Answer { call: "configure", detail })?;
    let summary = SelectorSummary { rules, signatures, warnings: diagnostics(warnings) };
    let answer = plugin.signet_plugin_describe().call_describe(&mut *store).map_err(fault("describe"))?;
    Ok((summary, describe(answer.into())?))
}

/// Turns the guest's answer into a decision, or says what is wrong with it.
fn check(decision: guest::Decision, recipients: usize, known: &[String]) -> Result<Decision, String> {
    let known: HashSet<&str> = known.iter().map(String::as_str).collect();
    let mut covered = vec![false; recipients];
    let mut explanations = 0;
    let copies = decision.copies.into_iter().map(|copy| {
        let guest::CopyPlan { recipients, outcome, explanation } = copy;
        Ok(CopyPlan {
            recipients: cover(&recipients, &mut covered)?,
            outcome: self::outcome(outcome, &known)?,
            explanation: explain(explanation, &mut explanations),
        })
    });
    let copies = copies.collect::<Result<Vec<_>, String>>()?;
    match covered.iter().position(|covered| !covered) {
        Some(missing) => Err(format!("recipient {missing} is in no copy")),
        None if copies.is_empty() => Err("there is no copy".to_owned()),
        None => Ok(Decision { copies, remove_from_subject: removals(decision.remove_from_subject)? }),
    }
}

fn removals(texts: Vec<String>) -> Result<Vec<String>, String> {
    if texts.len() > SUBJECT_REMOVALS || texts.iter().any(|text| text.trim().is_empty() || text.len() > SUBJECT_REMOVAL) {
        return Err(format!("up to {SUBJECT_REMOVALS} texts of 1 to {SUBJECT_REMOVAL} octets can be taken out of a subject"));
    }
    Ok(texts)
}

fn cover(indexes: &[u32], covered: &mut [bool]) -> Result<Vec<usize>, String> {
    if indexes.is_empty() {
        return Err("a copy has no recipients".to_owned());
    }
    let recipients = covered.len();
    let mut indexes = indexes
        .iter()
        .map(|&index| {
            let at = usize::try_from(index).unwrap_or(usize::MAX);
            match covered.get_mut(at) {
                Some(true) => Err(format!("recipient {index} is in two copies")),
                Some(covered) => {
                    *covered = true;
                    Ok(at)
                }
                None => Err(format!("there is no recipient {index}: the message has {recipients}")),
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    indexes.sort_unstable();
    Ok(indexes)
}

fn outcome(outcome: guest::Outcome, known: &HashSet<&str>) -> Result<Outcome, String> {
    match outcome {
        guest::Outcome::Skip(reason) => Ok(Outcome::Skip(text::line(reason, REASON))),
        guest::Outcome::Sign(choices) if choices.is_empty() || choices.len() > STACK => {
            Err(format!("a copy has {} signatures; between 1 and {STACK} are allowed", choices.len()))
        }
        guest::Outcome::Sign(choices) => {
            choices.into_iter().map(|choice| self::choice(choice, known)).collect::<Result<_, _>>().map(Outcome::Sign)
        }
    }
}

fn choice(choice: guest::Choice, known: &HashSet<&str>) -> Result<Choice, String> {
    let guest::Choice { id, placement } = choice;
    if !known.contains(id.as_str()) {
        return Err(format!("the signature `{}` was not announced by configure", text::line(id, ID)));
    }
    let placement = match placement {
        guest::Placement::NewestReply => Placement::NewestReply,
        guest::Placement::End => Placement::End,
        guest::Placement::Other(name) => return Err(format!("the placement `{}` is unknown", text::line(name, ID))),
    };
    Ok(Choice { id, placement })
}

/// Cleans the lines, and keeps the first [`EXPLANATIONS`] of the whole decision.
fn explain(explanation: Vec<guest::Explanation>, seen: &mut usize) -> Vec<Explanation> {
    let room = EXPLANATIONS.saturating_sub(*seen);
    *seen = seen.saturating_add(explanation.len());
    explanation
        .into_iter()
        .take(room)
        .map(|guest::Explanation { rule, applied, reason }| Explanation {
            rule: text::line(rule, ID),
            applied,
            reason: text::line(reason, REASON),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn copy(recipients: &[u32], outcome: guest::Outcome) -> guest::CopyPlan {
        guest::CopyPlan { recipients: recipients.to_vec(), outcome, explanation: Vec::new() }
    }

    fn skip(recipients: &[u32]) -> guest::CopyPlan {
        copy(recipients, guest::Outcome::Skip("no rule applies".to_owned()))
    }

    fn sign(ids: &[&str]) -> guest::CopyPlan {
        let choices = ids.iter().map(|id| guest::Choice { id: (*id).to_owned(), placement: guest::Placement::End }).collect();
        copy(&[0], guest::Outcome::Sign(choices))
    }

    #[test]
    fn every_recipient_is_in_exactly_one_copy() {
        for (copies, recipients, expected) in [
            (vec![skip(&[2, 0]), skip(&[1])], 3, Ok(vec![vec![0, 2], vec![1]])),
            (vec![skip(&[0]), skip(&[0])], 1, Err("recipient 0 is in two copies")),
            (vec![skip(&[0, 0])], 1, Err("recipient 0 is in two copies")),
            (vec![skip(&[0])], 2, Err("recipient 1 is in no copy")),
            (vec![skip(&[0, 7])], 1, Err("there is no recipient 7: the message has 1")),
            (vec![skip(&[u32::MAX])], 1, Err("there is no recipient 4294967295: the message has 1")),
            (vec![skip(&[])], 0, Err("a copy has no recipients")),
            (vec![], 0, Err("there is no copy")),
            (vec![], 1, Err("recipient 0 is in no copy")),
        ] {
            let found = check(guest::Decision { copies, remove_from_subject: Vec::new() }, recipients, &[]);
            let found = found.map(|decision| decision.copies.into_iter().map(|copy| copy.recipients).collect::<Vec<_>>());
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }

    /// Copies for up to 300 recipients in any order, some of them with an index more or less than they should have.
    fn any_copies() -> impl Strategy<Value = (usize, Vec<Vec<u32>>)> {
        let index = prop_oneof![8 => 0..304_u32, 1 => Just(u32::MAX)];
        let damage =
            prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(index)), 1..3)];
        let whole = (0..300_u32).prop_flat_map(|recipients| {
            let order = Just((0..recipients).collect::<Vec<_>>()).prop_shuffle();
            (order, prop::collection::vec(0..9_usize, recipients as usize))
        });
        (whole, damage, any::<bool>()).prop_map(|((order, places), damage, empty)| {
            let mut copies = vec![Vec::new(); 9];
            order.iter().zip(places).for_each(|(index, place)| copies[place].push(*index));
            for (place, more) in damage {
                let copy = place.get_mut(&mut copies);
                match more {
                    Some(index) => copy.push(index),
                    None => drop(copy.pop()),
                }
            }
            copies.retain(|copy| empty && order.len() % 7 == 0 || !copy.is_empty());
            (order.len(), copies)
        })
    }

    proptest! {
        #[test]
        fn no_answer_leaves_a_recipient_out_or_serves_one_twice((recipients, copies) in any_copies()) {
            let mut all: Vec<u32> = copies.concat();
            all.sort_unstable();
            let each_once = all.iter().map(|index| *index as usize).eq(0..recipients);
            let sound = each_once && !copies.is_empty() && copies.iter().all(|copy| !copy.is_empty());
            let plans = copies.iter().map(|copy| skip(copy)).collect();
            match check(guest::Decision { copies: plans, remove_from_subject: Vec::new() }, recipients, &[]) {
                Ok(decision) => {
                    prop_assert!(sound, "{copies:?}");
                    let mut served = decision.copies.iter().flat_map(|copy| copy.recipients.clone()).collect::<Vec<_>>();
                    served.sort_unstable();
                    prop_assert_eq!(served, (0..recipients).collect::<Vec<_>>());
                    prop_assert!(decision.copies.iter().all(|copy| copy.recipients.is_sorted()));
                }
                Err(reason) => prop_assert!(!sound, "{reason}: {copies:?}"),
            }
        }
    }

    #[test]
    fn signatures_are_announced_ones_and_at_most_eight() {
        let known = ["a".to_owned(), "b".to_owned()];
        for (ids, expected) in [
            (vec!["a", "b"], None),
            (vec!["a"; STACK], None),
            (vec!["a"; STACK + 1], Some("a copy has 9 signatures; between 1 and 8 are allowed")),
            (vec![], Some("a copy has 0 signatures; between 1 and 8 are allowed")),
            (vec!["a", "c\r\nX: y"], Some("the signature `c  X: y` was not announced by configure")),
        ] {
            let found = check(guest::Decision { copies: vec![sign(&ids)], remove_from_subject: Vec::new() }, 1, &known);
            assert_eq!(found.err().as_deref(), expected);
        }
    }

    #[test]
    fn a_place_that_this_version_does_not_know_is_refused() {
        let mut copy = sign(&["a"]);
        if let guest::Outcome::Sign(choices) = &mut copy.outcome {
            choices[0].placement = guest::Placement::Other("top".to_owned());
        }
        let found = check(guest::Decision { copies: vec![copy], remove_from_subject: Vec::new() }, 1, &["a".to_owned()]);
        assert_eq!(found.err().as_deref(), Some("the placement `top` is unknown"));
    }

    #[test]
    fn words_for_people_are_cleaned_and_cut() {
        let mut copy = copy(&[0], guest::Outcome::Skip("a\r\nb".repeat(1000)));
        let line = guest::Explanation { rule: "r\0".to_owned(), applied: true, reason: "x".repeat(REASON + 1) };
        copy.explanation = vec![line; EXPLANATIONS + 5];
        let decision =
            check(guest::Decision { copies: vec![copy], remove_from_subject: Vec::new() }, 1, &[]).expect("a long reason is no fault");
        let Outcome::Skip(reason) = &decision.copies[0].outcome else { panic!("it skips") };
        assert!(reason.len() == REASON && reason.starts_with("a  ba  b"));
        let explanation = &decision.copies[0].explanation;
        assert_eq!(explanation.len(), EXPLANATIONS);
        assert_eq!((explanation[0].rule.as_str(), explanation[0].reason.len()), ("r ", REASON));
    }
}
