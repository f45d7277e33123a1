//! Puts signatures into a message by splicing: the received octets stay where they are, additions go between them.
//!
//! [`place`] decides on offsets, [`compose`] writes the text that goes there, [`part`] carries it into the part's charset and
//! content-transfer-encoding, [`fields`] says so in its header section, [`images`] adds the pictures. A header field that is no longer true
//! stays, under a name that means nothing, below the one that is written instead.
//!
//! Octets of a body part are replaced in few cases only: the whole body, when it is not ASCII and its charset cannot hold the text, so that it
//! becomes UTF-8 (UTF-16 always does), or when it is ASCII with control characters, or the text holds a delimiter of the message; and in base64
//! the group that holds the place, and those behind it, when its bits do not fit, which is rare ([`super::encoding::base64`]).
//! [`Edited::splices`] names every change, and [`Edited::rewrites`] tells whether one replaces anything.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::Message;
use super::analysis::{Analysis, Form, Segment};
use crate::signature::{Fragment, Kind, Placed, Placement};

mod compose;

pub use compose::{Stray, stray};
mod fields;
mod images;
mod part;

/// How sure it is that a place is where a person would put it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Nothing told where the newest text ends, only one form of the body did, or markup is left open there.
    Low,
    /// Recognised by its looks.
    Medium,
    /// Recognised by a mark that a mail client sets, or there is nothing to recognise.
    High,
}

impl Confidence {
    /// In lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What makes the names that we add unlike any other, and equal in a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Goes into Content-IDs and boundaries.
    pub seed: u64,
    /// The right-hand side of Content-IDs.
    pub domain: String,
}

/// One change: `with` stands in the output where the input had `at`.
#[derive(Clone, PartialEq, Eq)]
pub struct Splice {
    /// Range of the received octets; empty for an insertion.
    pub at: Range<usize>,
    /// What stands there instead.
    pub with: Bytes,
}

/// Without the content: that goes into no log.
impl fmt::Debug for Splice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Splice").field("at", &self.at).field("octets", &self.with.len()).finish()
    }
}

impl Splice {
    fn insert(at: usize, with: impl Into<Bytes>) -> Self {
        Self { at: at..at, with: with.into() }
    }

    fn replace(at: Range<usize>, with: impl Into<Bytes>) -> Self {
        Self { at, with: with.into() }
    }
}

/// Where one signature went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementReport {
    /// The signature's id.
    pub id: String,
    /// Index of the MIME part, in document order with containers.
    pub part: usize,
    /// The part's media type.
    pub media_type: &'static str,
    /// What was asked for.
    pub placement: Placement,
    /// What the place was recognised by.
    pub rule: &'static str,
    /// How sure that is.
    pub confidence: Confidence,
}

/// Why nothing was inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message is not edited ({reason}): relay it unchanged")]
pub struct Unedited {
    /// Machine-readable: a [`Passed`](super::Passed) word, `already-signed`, `no-signature`, `no-matching-form` or
    /// `malformed-fragment`.
    pub reason: &'static str,
}

/// A message with signatures in it: slices of the received octets and additions, in order.
#[derive(Clone)]
pub struct Edited {
    pub(super) header: Bytes,
    pub(super) body: Vec<Bytes>,
    pub(super) report: Vec<PlacementReport>,
    splices: Vec<Splice>,
}

/// Without the content: that goes into no log.
impl fmt::Debug for Edited {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Edited").field("splices", &self.splices).field("report", &self.report).finish_non_exhaustive()
    }
}

impl Edited {
    /// The output, in order; the first piece is the whole header section with its empty line.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.header).chain(&self.body)
    }

    /// Every change, in the order of the message; they do not overlap.
    pub fn splices(&self) -> &[Splice] {
        &self.splices
    }

    /// Whether octets were replaced, rather than only added.
    pub fn rewrites(&self) -> bool {
        self.splices.iter().any(|splice| !splice.at.is_empty())
    }

    /// What went where.
    pub fn report(&self) -> &[PlacementReport] {
        &self.report
    }
}

/// One place in a decoded body part, with the signatures that go there from top to bottom.
struct Insertion<'a> {
    at: usize,
    placed: Vec<&'a Placed>,
}

/// The changes, apart for the header section and for what follows it: both may change at the same offset.
#[derive(Debug, Default)]
struct Changes {
    header: Vec<Splice>,
    body: Vec<Splice>,
}

/// Inserts `placed`, from top to bottom, into every form of the body that they have a text for. What the author already wrote, or an
/// earlier pass inserted, is left out.
pub fn insert(message: &Message, placed: &[Placed], marks: &Marks) -> Result<Edited, Unedited> {
    let analysis = message.analysis().map_err(|passed| Unedited { reason: passed.as_str() })?;
    if placed.is_empty() {
        return Err(Unedited { reason: "no-signature" });
    }
    let wanted: Vec<&Placed> =
        placed.iter().filter(|placed| !analysis.contains(&placed.fragment, placed.placement == Placement::End)).collect();
    if wanted.is_empty() {
        return Err(Unedited { reason: "already-signed" });
    }
    if !wanted.iter().all(|placed| placed.fragment.html.as_deref().is_none_or(|html| stray(html).is_none())) {
        return Err(Unedited { reason: "malformed-fragment" });
    }
    let images = images::Images::new(&wanted, marks);
    let mut changes = Changes::default();
    let mut report = Vec::new();
    for body in &analysis.bodies {
        for (index, segment) in body.segments.iter().enumerate() {
            let insertions = insertions(analysis, body, index, &wanted, &mut report);
            if !insertions.is_empty() {
                part::edit(message, body.form, segment, &insertions, &images, &mut changes)
                    .map_err(|passed| Unedited { reason: passed.as_str() })?;
            }
        }
    }
    if report.is_empty() {
        return Err(Unedited { reason: "no-matching-form" });
    }
    Ok(changes.apply(message, report))
}

fn has_form(fragment: &Fragment, form: Form) -> bool {
    match form {
        Form::Plain => fragment.text.is_some(),
        Form::Html => fragment.html.is_some(),
    }
}

/// Which signatures go where in one body part.
fn insertions<'a>(
    analysis: &Analysis,
    body: &super::analysis::Body,
    index: usize,
    wanted: &[&'a Placed],
    report: &mut Vec<PlacementReport>,
) -> Vec<Insertion<'a>> {
    let segment = &body.segments[index];
    let mut insertions: Vec<Insertion<'a>> = Vec::new();
    for placed in wanted.iter().copied().filter(|placed| has_form(&placed.fragment, body.form)) {
        let target = match placed.placement {
            Placement::NewestReply => body.newest,
            Placement::End => body.segments.len() - 1,
        };
        if target != index {
            continue;
        }
        let (at, rule, confidence) = place(analysis, segment, placed.placement);
        report.push(PlacementReport {
            id: placed.id.clone(),
            part: segment.part,
            media_type: body.form.media_type(),
            placement: placed.placement,
            rule,
            confidence,
        });
        match insertions.iter_mut().find(|insertion| insertion.at == at) {
            Some(insertion) => insertion.placed.push(placed),
            None => insertions.push(Insertion { at, placed: vec![placed] }),
        }
    }
    insertions.sort_by_key(|insertion| insertion.at);
    insertions
}

/// The offset in the decoded text, what it was recognised by, and how sure that is.
fn place(analysis: &Analysis, segment: &Segment, placement: Placement) -> (usize, &'static str, Confidence) {
    let points = &segment.points;
    let open = if points.end_is_open { Confidence::Low } else { Confidence::High };
    // The two forms are read apart; when only one of them finds quoted mail, one of them is wrong.
    let agreed = if analysis.is_one_sided() { Confidence::Low } else { Confidence::High };
    match (placement, points.boundary) {
        (Placement::End, _) => (points.end, "end", open),
        (Placement::NewestReply, Some(boundary)) => (boundary.at, boundary.rule, boundary.confidence.min(agreed)),
        (Placement::NewestReply, None) if points.interleaved => (points.end, "interleaved", open.min(Confidence::Medium).min(agreed)),
        (Placement::NewestReply, None) if analysis.header_kind == Kind::New => (points.end, "end", open),
        (Placement::NewestReply, None) => (points.end, "no-boundary", Confidence::Low),
    }
}

impl Changes {
    fn apply(mut self, message: &Message, report: Vec<PlacementReport>) -> Edited {
        let content = message.content();
        let split = message.body_start();
        // Stable: what was pushed first stands first where several changes meet.
        self.header.sort_by_key(|splice| (splice.at.start, splice.at.end));
        self.body.sort_by_key(|splice| (splice.at.start, splice.at.end));
        let header = match pieces(content, 0..split, &self.header).as_slice() {
            [only] => only.clone(),
            several => Bytes::from(several.concat()),
        };
        let body = pieces(content, split..content.len(), &self.body);
        let mut splices = self.header;
        splices.append(&mut self.body);
        Edited { header, body, report, splices }
    }
}

fn pieces(content: &Bytes, range: Range<usize>, splices: &[Splice]) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(splices.len() * 2 + 1);
    let mut at = range.start;
    for splice in splices {
        if splice.at.start > at {
            pieces.push(content.slice(at..splice.at.start));
        }
        if !splice.with.is_empty() {
            pieces.push(splice.with.clone());
        }
        at = splice.at.end.max(at);
    }
    if at < range.end {
        pieces.push(content.slice(at..range.end));
    }
    pieces
}
