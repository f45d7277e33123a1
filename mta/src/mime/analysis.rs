//! What is known of an editable message's body: the parts that will be edited, their decoded text, and the boundaries in it.
//!
//! Made once a message, when something first asks; the copies of a split message share it.

use std::sync::OnceLock;

use bytes::Bytes;

use super::Passed;
use super::boundary::{self, Points};
use super::classify::classify;
use super::compare::{self, Words};
use super::encoding::Text;
use super::kind::Thread;
use super::structure::{Structure, decoded_value};
use crate::signature::{Fragment, Kind};

/// Largest body part that is read as a letter; longer ones are machine output, and would hold a thread for too long.
const LARGEST_BODY: usize = 4 * 1024 * 1024;
/// Longest header value that is looked at for the kind.
const LONGEST_VALUE: usize = 4 * 1024;

/// The two forms of text that are edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Html,
}

impl Form {
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain",
            Self::Html => "text/html",
        }
    }
}

/// One form of the body: the part that a signature under the newest text goes into, and the one at the end.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) form: Form,
    /// In reading order; more than one where files stand between paragraphs.
    pub(super) segments: Vec<Segment>,
    /// The segment that holds the end of the newest text.
    pub(super) newest: usize,
}

/// One body part.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) part: usize,
    pub(super) text: Text,
    pub(super) points: Points,
}

/// The body of an editable message.
#[derive(Debug)]
pub(super) struct Analysis {
    pub(super) bodies: Vec<Body>,
    pub(super) header_kind: Kind,
    words: OnceLock<Vec<Words>>,
}

/// The kind that the header section tells.
pub(super) fn thread_kind(content: &[u8], structure: &Structure) -> Kind {
    with_thread(content, structure, |thread| thread.kind()).unwrap_or(Kind::New)
}

/// Whether the header section names an earlier message of the conversation.
pub(super) fn in_thread(content: &[u8], structure: &Structure) -> bool {
    with_thread(content, structure, |thread| thread.belongs_to_an_earlier_one()).unwrap_or(false)
}

fn with_thread<T>(content: &[u8], structure: &Structure, ask: impl FnOnce(Thread<'_>) -> T) -> Option<T> {
    let root = structure.root()?;
    let value = |name| root.fields_named(content, name).next().map(|field| decoded_value(content, field, LONGEST_VALUE));
    let filled = |name| root.fields_named(content, name).any(|field| !content[field.value.clone()].trim_ascii().is_empty());
    let (subject, thread_index) = (value("subject").unwrap_or_default(), value("thread-index"));
    Some(ask(Thread {
        subject: &subject,
        in_reply_to: filled("in-reply-to"),
        references: filled("references"),
        thread_index: thread_index.as_deref(),
    }))
}

impl Analysis {
    /// Reads the body, or says why the message passes unchanged.
    pub(super) fn of(content: &Bytes, structure: &Structure) -> Result<Self, Passed> {
        if structure.root().is_none() {
            return Err(Passed::DamagedMime);
        }
        if let Some(passed) = classify(content, structure) {
            return Err(passed);
        }
        let parts = structure.bodies().ok_or(Passed::AmbiguousBody)?;
        let edited = if parts.is_empty() { vec![0] } else { [parts.plain.as_slice(), &parts.html].concat() };
        if let Some(damage) = structure.damage(content, &edited) {
            return Err(damage);
        }
        if parts.is_empty() {
            return Err(Passed::NoBody);
        }
        let header_kind = thread_kind(content, structure);
        let reply = header_kind != Kind::New;
        let mut bodies = Vec::with_capacity(2);
        for (form, parts) in [(Form::Plain, parts.plain), (Form::Html, parts.html)] {
            if !parts.is_empty() {
                bodies.push(Body::read(content, structure, form, &parts, reply)?);
            }
        }
        Ok(Self { bodies, header_kind, words: OnceLock::new() })
    }

    /// The kind that quoted mail in the body tells.
    pub(super) fn kind(&self) -> Kind {
        let mut segments = self.bodies.iter().flat_map(|body| &body.segments);
        match segments.find_map(|segment| segment.points.boundary) {
            Some(boundary) if boundary.forward => Kind::Forward,
            Some(_) => Kind::Reply,
            None => Kind::New,
        }
    }

    /// Whether the header says that it answers or forwards something, but only one form of the body shows what.
    pub(super) fn is_one_sided(&self) -> bool {
        let mut found = self.bodies.iter().map(Body::shows_quotes);
        self.header_kind != Kind::New && found.next().is_some_and(|first| found.any(|other| other != first))
    }

    pub(super) fn signed(&self) -> bool {
        self.bodies.iter().flat_map(|body| &body.segments).any(|segment| segment.points.signed)
    }

    fn words(&self) -> &[Words] {
        self.words.get_or_init(|| self.bodies.iter().map(|body| Words::of(&body.authored())).collect())
    }

    /// Whether the fragment stands in what the author wrote; `at_end`: or at the very end of the body, where a second copy would
    /// follow the first one.
    pub(super) fn contains(&self, fragment: &Fragment, at_end: bool) -> bool {
        self.bodies.iter().zip(self.words()).any(|(body, words)| {
            let text = match (body.form, &fragment.html, &fragment.text) {
                (Form::Plain, _, Some(text)) => Words::of(text),
                (Form::Html, Some(html), _) => Words::of_html(html),
                _ => return false,
            };
            if text.is_short() {
                // A picture alone has no words: only our mark tells.
                return body.segments.iter().any(|segment| segment.points.signed);
            }
            words.contain(&text) || at_end && body.ends_with(&text)
        })
    }

    pub(super) fn authored_text(&self, max: usize) -> String {
        self.bodies.first().map(|body| body.authored_text(max)).unwrap_or_default()
    }
}

impl Body {
    fn read(content: &Bytes, structure: &Structure, form: Form, parts: &[usize], reply: bool) -> Result<Self, Passed> {
        let mut segments = Vec::with_capacity(parts.len());
        for &part in parts {
            if structure.parts[part].end - structure.parts[part].body > LARGEST_BODY {
                return Err(Passed::BodyTooLarge);
            }
            let text = Text::read(content, &structure.parts[part])?;
            let points = match form {
                Form::Plain => boundary::text::analyse(&text, reply),
                Form::Html => boundary::html::analyse(&text, reply),
            };
            if let Some(refused) = points.refused {
                return Err(refused);
            }
            segments.push(Segment { part, text, points });
        }
        let newest = segments.iter().position(|segment| segment.points.boundary.is_some()).unwrap_or(segments.len() - 1);
        Ok(Self { form, segments, newest })
    }

    fn shows_quotes(&self) -> bool {
        self.segments.iter().any(|segment| segment.points.boundary.is_some() || segment.points.interleaved)
    }

    fn authored_text(&self, max: usize) -> String {
        let mut text = self.authored();
        let end = text.trim_end().char_indices().nth(max).map_or(text.trim_end().len(), |(at, _)| at);
        text.truncate(end);
        text
    }

    /// What the author wrote, with `\n` line ends.
    fn authored(&self) -> String {
        let mut out = String::new();
        for segment in &self.segments[..=self.newest] {
            for range in &segment.points.authored {
                let text = segment.text.charset.decode(&segment.text.octets[range.clone()]);
                match self.form {
                    Form::Plain => text.split('\r').for_each(|piece| out.push_str(piece)),
                    Form::Html => compare::html_to_text(&text, &mut out),
                }
                out.push('\n');
            }
        }
        out
    }

    /// Whether the body ends with these words, outside of any quote.
    fn ends_with(&self, words: &Words) -> bool {
        let Some(segment) = self.segments.last() else {
            return false;
        };
        let octets = &segment.text.octets[..segment.points.end.min(segment.text.octets.len())];
        // Only the tail is read: a signature at the end is not longer than this.
        let tail = &octets[octets.len().saturating_sub(compare::LONGEST_TAIL)..];
        let text = segment.text.decode(tail);
        match self.form {
            Form::Plain => Words::of_unquoted(&text).end_with(words),
            Form::Html => compare::after_last_quote(&text).is_some_and(|text| Words::of_html(text).end_with(words)),
        }
    }
}
