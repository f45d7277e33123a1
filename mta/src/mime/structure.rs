//! The MIME tree of one message as an owned table of offsets (RFC 2045, RFC 2046), and the question which parts are its body.
//!
//! mail-parser finds the parts once; what it found is copied out, so that a [`Structure`] borrows nothing and can be kept. What it
//! says is not trusted further than it can be checked: before a part is edited, [`Structure::damage`] looks at every part on the
//! way from the root to it and refuses wherever two parsers could see different trees. Enclosed messages are leaves here: this
//! module never looks into a message/rfc822 part. It does not decode or change anything.

use std::ops::Range;

use mail_parser::{HeaderForm, MessageParser, PartFlags, PartKind};
use memchr::memchr;

use super::Passed;
use crate::header::is_regular;

/// Deepest nesting that is followed; mail clients write at most five or six levels.
const MAXIMUM_DEPTH: usize = 32;
/// Most parts that are looked at; a message with more is no letter.
const MAXIMUM_PARTS: usize = 2_000;

/// One header field: where its name, its value (up to its final line break) and the whole of it are.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
    pub(super) span: Range<usize>,
}

/// RFC 2045 section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    SevenBit,
    EightBit,
    Binary,
    QuotedPrintable,
    Base64,
    Unknown,
}

impl Transfer {
    fn parse(value: &[u8]) -> Self {
        let token = value.split(|&octet| octet == b'(' || octet == b';').next().unwrap_or_default().trim_ascii();
        let is = |name: &str| token.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("7bit") => Self::SevenBit,
            () if is("8bit") => Self::EightBit,
            () if is("binary") => Self::Binary,
            () if is("quoted-printable") => Self::QuotedPrintable,
            () if is("base64") => Self::Base64,
            () => Self::Unknown,
        }
    }

    pub(super) fn is_identity(self) -> bool {
        matches!(self, Self::SevenBit | Self::EightBit | Self::Binary)
    }
}

/// RFC 2183.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    None,
    Inline,
    Attachment,
}

/// One part: `content[header..body]` is its header section with the empty line, `content[body..end]` its body without the line
/// break that belongs to the next delimiter.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) parent: Option<usize>,
    pub(super) children: Vec<usize>,
    pub(super) media_type: String,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) disposition: Disposition,
    pub(super) name: Option<String>,
    pub(super) content_id: Option<String>,
    pub(super) transfer: Transfer,
    pub(super) fields: Vec<Field>,
    pub(super) header: usize,
    pub(super) body: usize,
    pub(super) end: usize,
    flags: PartFlags,
    typed: bool,
}

impl Part {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_multipart(&self) -> bool {
        self.media_type.starts_with("multipart/")
    }

    pub(super) fn fields_named<'a>(&'a self, content: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(move |field| content[field.name.clone()].eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// The parts that are the body, in reading order. More than one of a kind only where a client puts files between paragraphs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bodies {
    pub(super) plain: Vec<usize>,
    pub(super) html: Vec<usize>,
}

impl Bodies {
    pub(super) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.html.is_empty()
    }
}

/// All parts of one message, in document order; the first is the message itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Structure {
    pub(super) parts: Vec<Part>,
}

impl Structure {
    /// Reads the tree. Without any header field or empty line there are no parts.
    pub(super) fn parse(content: &[u8]) -> Self {
        // Transfer-encoded enclosed messages would be decoded, and nothing here ever looks into one.
        let parser = MessageParser::new().max_depth(MAXIMUM_DEPTH).max_parts(MAXIMUM_PARTS).max_encoded_nesting(0);
        let Some(parsed) = parser.parse(content) else {
            return Self::default();
        };
        let mut parts: Vec<Part> = Vec::new();
        let mut ids: Vec<u32> = Vec::new();
        for part in parsed.root().parts() {
            let parent = part.parent().and_then(|parent| ids.binary_search(&parent.id()).ok());
            let index = parts.len();
            let digest = parent.is_some_and(|parent| parts[parent].media_type == "multipart/digest");
            parts.push(convert(content, part, parent, digest));
            ids.push(part.id());
            // A parent precedes its children in the table, so there can be no cycle.
            if let Some(parent) = parent {
                parts[parent].children.push(index);
            }
        }
        Self { parts }
    }

    pub(super) fn root(&self) -> Option<&Part> {
        self.parts.first()
    }

    /// The part and its ancestors, from the part up to the root.
    pub(super) fn path(&self, part: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(part), |&index| self.parts[index].parent)
    }

    /// Which parts are the body. `None` when an alternative offers the same form twice.
    pub(super) fn bodies(&self) -> Option<Bodies> {
        if self.parts.is_empty() { Some(Bodies::default()) } else { self.bodies_of(0, true) }
    }

    fn bodies_of(&self, index: usize, first: bool) -> Option<Bodies> {
        let part = &self.parts[index];
        // A named text is a file that the author attached, unless it is all there is to read.
        let shown = part.disposition != Disposition::Attachment && (first || part.name.is_none());
        match part.media_type.as_str() {
            "text/plain" if shown => Some(Bodies { plain: vec![index], html: Vec::new() }),
            "text/html" if shown => Some(Bodies { plain: Vec::new(), html: vec![index] }),
            "multipart/alternative" => self.alternative(part),
            "multipart/related" => self.related_root(index).map_or(Some(Bodies::default()), |root| self.bodies_of(root, true)),
            "multipart/digest" => Some(Bodies::default()),
            name if name.starts_with("multipart/") => self.mixed(part),
            _ => Some(Bodies::default()),
        }
    }

    fn alternative(&self, part: &Part) -> Option<Bodies> {
        let mut all = Bodies::default();
        for &child in &part.children {
            let bodies = self.bodies_of(child, true)?;
            for (own, new) in [(&mut all.plain, bodies.plain), (&mut all.html, bodies.html)] {
                if !new.is_empty() && !own.is_empty() {
                    return None;
                }
                own.extend(new);
            }
        }
        Some(all)
    }

    /// The first readable child decides the form; later ones of the same single form continue it (Apple Mail: text, file, text).
    fn mixed(&self, part: &Part) -> Option<Bodies> {
        let mut all = Bodies::default();
        for (position, &child) in part.children.iter().enumerate() {
            let bodies = self.bodies_of(child, position == 0)?;
            if all.is_empty() {
                all = bodies;
                if !all.plain.is_empty() && !all.html.is_empty() {
                    break;
                }
            } else if all.html.is_empty() && bodies.html.is_empty() {
                all.plain.extend(bodies.plain);
            } else if all.plain.is_empty() && bodies.plain.is_empty() {
                all.html.extend(bodies.html);
            }
        }
        Some(all)
    }

    /// RFC 2387: the part that `start=` names, else the first.
    pub(super) fn related_root(&self, related: usize) -> Option<usize> {
        let part = &self.parts[related];
        let start = part.parameter("start").map(|start| start.trim().trim_start_matches('<').trim_end_matches('>'));
        start
            .and_then(|start| part.children.iter().copied().find(|&child| self.parts[child].content_id.as_deref() == Some(start)))
            .or_else(|| part.children.first().copied())
    }

    /// The nearest multipart/related that shows `part` as (part of) its root: where images for it belong.
    pub(super) fn related_around(&self, part: usize) -> Option<usize> {
        let mut below = part;
        for above in self.path(part).skip(1) {
            match self.parts[above].media_type.as_str() {
                "multipart/related" => return (self.related_root(above) == Some(below)).then_some(above),
                "multipart/alternative" => below = above,
                _ => return None,
            }
        }
        None
    }

    /// What makes it unsafe to edit these parts: anything on their paths that another parser could read differently.
    pub(super) fn damage(&self, content: &[u8], parts: &[usize]) -> Option<Passed> {
        let mut checked = vec![false; self.parts.len()];
        for &part in parts {
            let mut boundaries: Vec<&str> = Vec::new();
            for index in self.path(part) {
                if !std::mem::replace(&mut checked[index], true)
                    && let Some(damage) = self.part_damage(content, index)
                {
                    return Some(damage);
                }
                if let Some(boundary) = self.parts[index].parameter("boundary").filter(|_| self.parts[index].is_multipart()) {
                    // RFC 2046 section 5.1.1: a line that starts with "--" and the boundary is a delimiter, whatever follows.
                    if boundaries.iter().any(|other| other.starts_with(boundary) || boundary.starts_with(other)) {
                        return Some(Passed::AmbiguousBoundary);
                    }
                    boundaries.push(boundary);
                }
            }
        }
        None
    }

    fn part_damage(&self, content: &[u8], index: usize) -> Option<Passed> {
        let part = &self.parts[index];
        let only_header = index == 0 && part.body == content.len() && part.children.is_empty();
        let mut allowed = PartFlags::default();
        if only_header {
            allowed |= PartFlags::NO_BLANK_LINE;
        }
        if !(part.flags.is_empty() || part.flags == allowed) {
            return Some(Passed::DamagedMime);
        }
        for name in ["content-type", "content-transfer-encoding", "content-disposition", "mime-version"] {
            if part.fields_named(content, name).count() > 1 {
                return Some(Passed::DuplicateHeaderField);
            }
        }
        if !is_regular(&content[part.header..part.body]) {
            return Some(Passed::DamagedHeader);
        }
        if part.transfer == Transfer::Unknown {
            return Some(Passed::UnknownTransferEncoding);
        }
        if !part.typed && part.fields_named(content, "content-type").next().is_some() {
            return Some(Passed::DamagedContentType);
        }
        for name in ["boundary", "charset", "start"] {
            if part.parameters.iter().filter(|(key, _)| key == name).count() > 1 {
                return Some(Passed::DuplicateParameter);
            }
        }
        if part.is_multipart() { self.multipart_damage(content, part) } else { None }
    }

    fn multipart_damage(&self, content: &[u8], part: &Part) -> Option<Passed> {
        let boundary = part.parameter("boundary").unwrap_or_default();
        if boundary.is_empty() || part.children.is_empty() {
            return Some(Passed::DamagedMime);
        }
        if !part.transfer.is_identity() {
            return Some(Passed::EncodedMultipart);
        }
        let regular = part.children.iter().enumerate().all(|(position, &child)| {
            let child = &self.parts[child];
            let last = position + 1 == part.children.len();
            let before = content[..child.header].strip_suffix(b"\n").unwrap_or(&content[..child.header]);
            let line = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
            is_delimiter(&content[line..child.header], boundary, false)
                && is_delimiter(after_line_break(&content[child.end..]), boundary, last)
        });
        if regular { None } else { Some(Passed::DamagedMime) }
    }
}

/// Whether `text` starts with the delimiter line (or, `close`, the close delimiter line) and nothing else stands on that line.
fn is_delimiter(text: &[u8], boundary: &str, close: bool) -> bool {
    let Some(rest) = text.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary.as_bytes())) else {
        return false;
    };
    let rest = if close { rest.strip_prefix(b"--") } else { Some(rest) };
    rest.is_some_and(|rest| rest[..memchr(b'\n', rest).unwrap_or(rest.len())].trim_ascii().is_empty())
}

fn after_line_break(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\r\n").or_else(|| text.strip_prefix(b"\n")).unwrap_or(text)
}

fn convert(content: &[u8], part: mail_parser::MessagePart<'_>, parent: Option<usize>, digest: bool) -> Part {
    let kind = part.content_type();
    let media_type = match kind {
        Some(kind) => format!("{}/{}", kind.ctype().to_ascii_lowercase(), kind.subtype().unwrap_or_default().to_ascii_lowercase()),
        None if digest => "message/rfc822".to_owned(),
        None => "text/plain".to_owned(),
    };
    // A multipart whose delimiters were not found is kept by the parser as text.
    let opened = matches!(part.kind(), PartKind::Multipart) || !media_type.starts_with("multipart/");
    let (body, end) = (part.offset_body() as usize, part.offset_end() as usize);
    let fields: Vec<Field> = part.headers().iter().map(|header| field(content, &header)).collect();
    let transfer = fields
        .iter()
        .rev()
        .find(|field| content[field.name.clone()].eq_ignore_ascii_case(b"content-transfer-encoding"))
        .map_or(Transfer::SevenBit, |field| Transfer::parse(&content[field.value.clone()]));
    Part {
        parent,
        children: Vec::new(),
        typed: opened && kind.is_some_and(|kind| kind.subtype().is_some()),
        media_type,
        parameters: kind.map(|kind| kind.attributes().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()).unwrap_or_default(),
        disposition: match part.content_disposition() {
            None => Disposition::None,
            Some(value) if value.is_inline() => Disposition::Inline,
            // RFC 2183 section 2.8: an unknown disposition is treated as attachment.
            Some(_) => Disposition::Attachment,
        },
        name: part.attachment_name().filter(|name| !name.is_empty()).map(str::to_owned),
        content_id: part.content_id().map(|id| id.trim().trim_start_matches('<').trim_end_matches('>').to_owned()),
        transfer,
        fields,
        header: part.offset_header() as usize,
        body,
        end: end.max(body),
        flags: part.flags(),
    }
}

fn field(content: &[u8], header: &mail_parser::Header<'_>) -> Field {
    let start = header.offset_field() as usize;
    let value = header.offset_start() as usize;
    let end = (header.offset_end() as usize).min(content.len());
    let name = content[start..value.saturating_sub(1).max(start)].trim_ascii_end().len();
    let trimmed = content[value..end].strip_suffix(b"\n").map_or(end - value, |text| text.strip_suffix(b"\r").unwrap_or(text).len());
    Field { name: start..start + name, value: value..value + trimmed, span: start..end }
}

/// A field's value with folding undone and encoded words decoded (RFC 2047), at most `limit` octets.
pub(super) fn decoded_value(content: &[u8], field: &Field, limit: usize) -> String {
    let raw = &content[field.value.clone()];
    let parsed = HeaderForm::Text.parse(raw);
    let mut text = match parsed.value().as_text() {
        Some(text) => text.to_owned(),
        None => String::from_utf8_lossy(raw).trim().to_owned(),
    };
    text.truncate(text.floor_char_boundary(limit));
    text
}
