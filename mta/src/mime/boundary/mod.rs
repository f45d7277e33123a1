//! Where, in a body, what the author wrote now ends and quoted earlier mail begins.
//!
//! [`text`] reads plain text, [`html`] HTML; both answer with [`Points`]: offsets into the decoded text. Nothing is cut or changed
//! here, and the caller decides what to do when there is no boundary.

use std::ops::Range;

use super::Confidence;

mod characters;
pub(super) mod elements;
pub(super) mod html;
mod lines;
pub(super) mod text;
pub(super) mod tokenizer;
pub(super) mod words;

/// The boundary between the newest text and quoted mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Boundary {
    /// Offset in the decoded text: a signature goes in front of it.
    pub(super) at: usize,
    /// What it was recognised by.
    pub(super) rule: &'static str,
    pub(super) confidence: Confidence,
    /// What follows is forwarded, not answered.
    pub(super) forward: bool,
}

/// What was found in one body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Points {
    /// Where the newest text ends; none in a message without quoted mail, or where answers stand between or below the quotes.
    pub(super) boundary: Option<Boundary>,
    /// Answers stand between or below the quotes.
    pub(super) interleaved: bool,
    /// Where the body ends.
    pub(super) end: usize,
    /// Whether that end is where elements are left open: markup that we cannot foresee comes around an insertion.
    pub(super) end_is_open: bool,
    /// What the author wrote, without quotes.
    pub(super) authored: Vec<Range<usize>>,
    /// Our mark is in `authored`.
    pub(super) signed: bool,
    /// Why this body must not be edited.
    pub(super) refused: Option<super::Passed>,
}

/// The list of one range.
fn only(range: Range<usize>) -> Vec<Range<usize>> {
    std::iter::once(range).collect()
}
