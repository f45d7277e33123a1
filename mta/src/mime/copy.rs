//! One outgoing form of a message: which recipients get it, and its octets as slices of the original and additions.
//!
//! Made here only, so that nothing but [`insert`](super::insert()) can have changed the octets. It does not sign, send or store.

use std::fmt;

use bytes::Bytes;

use super::{Edited, Message, PlacementReport, subject};

/// One outgoing form of a message.
#[derive(Clone)]
pub struct Copy {
    recipients: Vec<usize>,
    header: Bytes,
    body: Vec<Bytes>,
    outcome: Outcome,
    retitled: bool,
    rewritten: bool,
}

#[derive(Clone, Debug)]
enum Outcome {
    Edited(Vec<PlacementReport>),
    Unedited(String),
}

/// Without the content: that goes into no log.
impl fmt::Debug for Copy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = formatter.debug_struct("Copy");
        out.field("recipients", &self.recipients).field("octets", &self.len()).field("outcome", &self.outcome).finish()
    }
}

impl Copy {
    /// A copy that carries what was inserted.
    pub fn edited(recipients: Vec<usize>, edited: Edited) -> Self {
        let rewritten = edited.rewrites();
        let Edited { header, body, report, .. } = edited;
        Self { recipients, header, body, outcome: Outcome::Edited(report), retitled: false, rewritten }
    }

    /// A copy whose octets are those of the message, with the reason why nothing was inserted.
    pub fn unedited(recipients: Vec<usize>, message: &Message, reason: impl Into<String>) -> Self {
        let split = message.body_start();
        let content = message.content();
        let body = if split == content.len() { Vec::new() } else { vec![content.slice(split..)] };
        Self {
            recipients,
            header: content.slice(..split),
            body,
            outcome: Outcome::Unedited(reason.into()),
            retitled: false,
            rewritten: false,
        }
    }

    /// Takes texts out of the subject; whether one was there. The copy counts as edited then: a DKIM signature over the subject is broken.
    pub fn without_in_subject(&mut self, texts: &[String]) -> bool {
        let Some(header) = subject::without(&self.header, texts) else { return false };
        self.header = Bytes::from(header);
        self.retitled = true;
        true
    }

    /// Indexes of the recipients that get this copy.
    pub fn recipients(&self) -> &[usize] {
        &self.recipients
    }

    /// The header section in one piece, with the empty line if the message has one.
    pub fn header(&self) -> &Bytes {
        &self.header
    }

    /// What follows the header section, in order.
    pub fn body(&self) -> &[Bytes] {
        &self.body
    }

    /// The whole copy, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.header).chain(&self.body)
    }

    /// Octets of the whole copy.
    pub fn len(&self) -> usize {
        self.pieces().map(Bytes::len).sum()
    }

    /// Whether there is no octet at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether anything was inserted, or taken out of the subject.
    pub fn is_edited(&self) -> bool {
        self.retitled || matches!(self.outcome, Outcome::Edited(_))
    }

    /// Whether a body was written anew in another charset or encoding, rather than only added to.
    pub fn is_rewritten(&self) -> bool {
        self.rewritten
    }

    /// Why nothing was inserted.
    pub fn reason(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Edited(_) => None,
            Outcome::Unedited(reason) => Some(reason),
        }
    }

    /// What went where; empty for an unedited copy.
    pub fn report(&self) -> &[PlacementReport] {
        match &self.outcome {
            Outcome::Edited(report) => report,
            Outcome::Unedited(_) => &[],
        }
    }
}
