//! The message as MIME: where its body is, what in it is new, and how a signature gets in.
//!
//! RFC 2045 to 2049, RFC 2183, RFC 2387, RFC 3676, RFC 5322. A [`Message`] is parsed once, for offsets; [`insert()`] answers with slices
//! of the received octets and what goes between them, so that the output without our additions is the input, byte for byte.
//! [`Class`] says which messages are never edited. Nothing here does I/O, reads a clock, or sees the envelope.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::signature::{Format, Fragment, Kind};

mod analysis;
mod boundary;
mod classify;
mod compare;
mod copy;
mod encoding;
mod insert;
mod kind;
mod read;
mod structure;
mod subject;
#[cfg(test)]
mod tests;

use analysis::Analysis;
pub use classify::{Class, Passed};
pub use copy::Copy;
pub use insert::{Confidence, Edited, Marks, PlacementReport, Splice, Stray, Unedited, insert, stray};
pub use read::{MAXIMUM_READ, PartInfo};
use structure::{Field, Structure, decoded_value};

/// Longest decoded header value that is handed out, in octets (`wit/mail`).
const LONGEST_VALUE: usize = 4 * 1024;

/// A parsed message. It shares the received octets and owns the offsets found in them.
pub struct Message {
    content: Bytes,
    structure: Structure,
    analysis: OnceLock<Result<Analysis, Passed>>,
}

/// Without the content: that goes into no log.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("octets", &self.content.len())
            .field("parts", &self.structure.parts.len())
            .finish_non_exhaustive()
    }
}

impl Message {
    /// Finds the parts. Never fails: what is damaged is remembered, and such a message is not [`Class::Editable`].
    pub fn parse(content: Bytes) -> Self {
        let structure = Structure::parse(&content);
        Self { content, structure, analysis: OnceLock::new() }
    }

    /// The octets as received.
    pub fn content(&self) -> &Bytes {
        &self.content
    }

    /// Offset after the empty line that ends the header section; the message's length when there is none.
    fn body_start(&self) -> usize {
        self.structure.root().map_or(0, |root| root.body)
    }

    fn analysis(&self) -> Result<&Analysis, Passed> {
        self.analysis.get_or_init(|| Analysis::of(&self.content, &self.structure)).as_ref().map_err(|passed| *passed)
    }

    /// Whether it may be edited.
    pub fn class(&self) -> Class {
        match self.analysis() {
            Ok(_) => Class::Editable,
            Err(passed) => Class::Passed(passed),
        }
    }

    /// Whether it starts a conversation, answers or forwards: from header fields, and from quoted mail in the body where they are silent.
    pub fn kind(&self) -> Kind {
        let header = analysis::thread_kind(&self.content, &self.structure);
        match self.analysis() {
            Ok(analysis) if header == Kind::New => analysis.kind(),
            _ => header,
        }
    }

    /// Whether header fields other than the subject say that it belongs to an earlier conversation.
    pub fn in_thread(&self) -> bool {
        analysis::in_thread(&self.content, &self.structure)
    }

    /// Which forms the body has; none when there is no body to edit.
    pub fn format(&self) -> Option<Format> {
        let bodies = self.structure.bodies()?;
        match (bodies.plain.is_empty(), bodies.html.is_empty()) {
            (false, false) => Some(Format::Alternative),
            (false, true) => Some(Format::Plain),
            (true, false) => Some(Format::Html),
            (true, true) => None,
        }
    }

    fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> {
        self.structure.root().into_iter().flat_map(move |root| root.fields_named(&self.content, name))
    }

    /// The subject, decoded and unfolded; empty when there is none.
    pub fn subject(&self) -> String {
        self.fields("subject").next().map(|field| decoded_value(&self.content, field, LONGEST_VALUE)).unwrap_or_default()
    }

    /// The values of all header fields of that name, in any case, decoded and unfolded, in message order.
    pub fn headers(&self, name: &str) -> Vec<String> {
        self.fields(name).map(|field| decoded_value(&self.content, field, LONGEST_VALUE)).collect()
    }

    /// Whether what the author wrote carries one of our marks; quoted ones do not count.
    pub fn already_signed(&self) -> bool {
        self.analysis().is_ok_and(Analysis::signed)
    }

    /// Whether what the author wrote already contains the fragment's text; quoted mail does not count.
    pub fn already_contains(&self, fragment: &Fragment) -> bool {
        self.analysis().is_ok_and(|analysis| analysis.contains(fragment, false))
    }

    /// What the author wrote in this message, without quoted mail, as plain text of at most `max` characters.
    pub fn authored_text(&self, max: usize) -> String {
        self.analysis().map(|analysis| analysis.authored_text(max)).unwrap_or_default()
    }
}
