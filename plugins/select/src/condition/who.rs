//! Who a recipient is.

use signet_plugin_sdk::{Recipient, RecipientClass};

use super::Truth;
use super::value::{Pattern, cut, in_domains, listed, one_of, shares};
use crate::case::address;

/// Who a recipient is; all keys that are given must hold, and no key is looked at before the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) classes: Vec<Class>,
    pub(crate) addresses: Vec<Pattern>,
    pub(crate) domains: Vec<String>,
    pub(crate) groups: Vec<String>,
}

/// Where a recipient stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Internal,
    External,
    Partner,
}

/// How many of the recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    All,
    Any,
    None,
}

/// The words for recipient classes, in the order of [`Class`].
pub(crate) const CLASSES: [(&str, Class); 3] = [("internal", Class::Internal), ("external", Class::External), ("partner", Class::Partner)];

impl Who {
    pub(crate) fn includes(&self, recipient: &Recipient) -> Truth {
        let others = (self.domains.is_empty() || in_domains(&recipient.address.domain, &self.domains))
            && (self.groups.is_empty() || shares(&recipient.groups, &self.groups))
            && (self.addresses.is_empty() || {
                let address = address(&recipient.address);
                self.addresses.iter().any(|wanted| wanted.matches(&address))
            });
        if self.classes.is_empty() { others.into() } else { self.includes_class(&recipient.class).min(others.into()) }
    }

    fn includes_class(&self, class: &RecipientClass) -> Truth {
        let class = match class {
            RecipientClass::Internal => Class::Internal,
            RecipientClass::External => Class::External,
            RecipientClass::Partner => Class::Partner,
            // A class that this version does not name matches no rule that asks for one, and none that asks for its absence.
            RecipientClass::Other(_) => return Truth::Unknown,
        };
        self.classes.contains(&class).into()
    }

    /// Whether only the class is asked.
    pub(crate) fn is_class_only(&self) -> bool {
        self.addresses.is_empty() && self.domains.is_empty() && self.groups.is_empty()
    }

    pub(crate) fn in_words(&self) -> String {
        let classes = self.classes.iter().map(|class| CLASSES[*class as usize].0);
        let mut parts = Vec::new();
        if !self.classes.is_empty() {
            parts.push(format!("class {}", one_of(classes)));
        }
        if !self.domains.is_empty() {
            parts.push(format!("domain {}", one_of(self.domains.iter().map(String::as_str))));
        }
        if !self.addresses.is_empty() {
            parts.push(format!("address {}", one_of(self.addresses.iter().map(|pattern| pattern.text.as_str()))));
        }
        if !self.groups.is_empty() {
            parts.push(format!("group {}", one_of(self.groups.iter().map(String::as_str))));
        }
        parts.join(" and ")
    }
}

/// A recipient in words.
pub(crate) fn described(recipient: &Recipient) -> String {
    let groups = if recipient.groups.is_empty() {
        String::new()
    } else {
        format!(", groups {}", listed(recipient.groups.iter().map(String::as_str)))
    };
    format!("{} ({}{groups})", cut(&address(&recipient.address)), class_word(&recipient.class))
}

fn class_word(class: &RecipientClass) -> &str {
    match class {
        RecipientClass::Internal => "internal",
        RecipientClass::External => "external",
        RecipientClass::Partner => "partner",
        RecipientClass::Other(word) => word,
    }
}
