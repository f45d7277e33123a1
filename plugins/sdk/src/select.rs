//! Selectors: the trait, the macro, and what a selector answers.

pub use crate::bindings::select::exports::signet::select::selector::{
    Choice, CopyPlan, Decision, Explanation, Outcome, Placement, Summary,
};
use crate::{Description, Diagnostic, Facts, File, Message, PluginError};

/// A plugin that chooses signatures. Register it with [`selector!`](crate::selector!).
pub trait Selector: Sized + 'static {
    /// Reads the rules. The value returned is what every later call starts from; an error carries every finding, not only the first.
    fn configure(files: &[File]) -> Result<(Self, Summary), Vec<Diagnostic>>;

    /// Who the plugin is and what it wants in the facts.
    fn describe(&self) -> Description;

    /// Decides for one message: every recipient of `facts` is in exactly one copy.
    fn select(&self, facts: &Facts, message: &dyn Message) -> Result<Decision, PluginError>;
}

/// Makes `$plugin`, a [`Selector`], the crate's component.
#[macro_export]
macro_rules! selector {
    ($plugin:ty) => {
        const _: () = {
            $crate::__plugin!($plugin, $crate::Selector);

            impl $crate::bindings::select::exports::signet::select::selector::Guest for Component {
                fn configure(
                    files: ::std::vec::Vec<$crate::File>,
                ) -> ::std::result::Result<$crate::select::Summary, ::std::vec::Vec<$crate::Diagnostic>> {
                    $crate::glue::configured(|| <$plugin as $crate::Selector>::configure(&files), keep)
                }

                fn select(
                    facts: $crate::Facts,
                    message: &$crate::bindings::select::signet::mail::message::Message,
                ) -> ::std::result::Result<$crate::select::Decision, $crate::PluginError> {
                    with(|plugin| $crate::Selector::select(plugin, &facts, message))
                        .unwrap_or_else(|| $crate::glue::not_configured("select"))
                }
            }

            #[cfg(target_family = "wasm")]
    $crate::bindings::select::export_selector!(Component with_types_in $crate::bindings::select);
        };
    };
}

/// Signatures one below the other, each under the newest reply.
pub fn sign<I: Into<String>>(ids: impl IntoIterator<Item = I>) -> Outcome {
    Outcome::Sign(ids.into_iter().map(|id| Choice { id: id.into(), placement: Placement::NewestReply }).collect())
}

/// No signature, for this reason.
pub fn skip(reason: impl Into<String>) -> Outcome {
    Outcome::Skip(reason.into())
}

impl Decision {
    /// One copy with the same outcome for every recipient.
    #[must_use]
    pub fn everyone(facts: &Facts, outcome: Outcome) -> Self {
        let recipients = (0..).take(facts.recipients.len()).collect();
        Self { copies: vec![CopyPlan { recipients, outcome, explanation: Vec::new() }], remove_from_subject: Vec::new() }
    }
}
