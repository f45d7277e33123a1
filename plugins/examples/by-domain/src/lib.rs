//! A whole selector: partners and colleagues get the short signature, everybody else the full one, each in a copy of their own.

use signet_plugin_sdk::select::{CopyPlan, Decision, Summary, sign};
use signet_plugin_sdk::{Description, Diagnostic, Facts, File, Message, PluginError, RecipientClass, Selector};

/// The plugin. It needs no state.
pub struct ByDomain;

impl Selector for ByDomain {
    fn configure(_: &[File]) -> Result<(Self, Summary), Vec<Diagnostic>> {
        Ok((Self, Summary { rules: 1, signatures: vec!["reply".into(), "full".into()], warnings: vec![] }))
    }

    fn describe(&self) -> Description {
        Description::new("by-domain", "1.0.0")
    }

    fn select(&self, facts: &Facts, _: &dyn Message) -> Result<Decision, PluginError> {
        let (outside, inside): (Vec<u32>, Vec<u32>) = (0..)
            .take(facts.recipients.len())
            .partition(|index| matches!(facts.recipients[*index as usize].class, RecipientClass::External));
        let copies = [(outside, "full"), (inside, "reply")].into_iter().filter(|(recipients, _)| !recipients.is_empty());
        let copies = copies.map(|(recipients, id)| CopyPlan { recipients, outcome: sign([id]), explanation: vec![] }).collect();
        Ok(Decision { copies, remove_from_subject: vec![] })
    }
}

signet_plugin_sdk::selector!(ByDomain);
