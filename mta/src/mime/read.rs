//! Reading parts for a plugin: what the leaf parts are, and windows of their decoded content.

use memchr::memchr;

use super::Message;
use super::encoding::{base64, quoted_printable};
use super::structure::{Disposition, Part, Transfer};

/// Most octets that one call of [`Message::read_part`] returns (`wit/mail`).
pub const MAXIMUM_READ: usize = 64 * 1024;

/// What is known of a part without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    /// `type/subtype` in lower case.
    pub media_type: String,
    /// File name, decoded.
    pub name: Option<String>,
    /// Octets of the decoded content.
    pub size: u64,
    /// Whether the part is an attachment.
    pub attachment: bool,
}

impl Message {
    fn leaves(&self) -> impl Iterator<Item = (usize, &Part)> {
        self.structure.parts.iter().enumerate().filter(|(_, part)| part.children.is_empty() && !part.is_multipart())
    }

    fn is_attachment(&self, bodies: &[usize], index: usize, part: &Part) -> bool {
        let image = part.media_type.starts_with("image/") && part.disposition != Disposition::Attachment;
        let related = part.parent.is_some_and(|parent| self.structure.parts[parent].media_type == "multipart/related");
        let inline = related && (image || part.content_id.is_some() && part.disposition != Disposition::Attachment)
            || image && part.content_id.is_some();
        let alternative = part.parent.is_some_and(|parent| self.structure.parts[parent].media_type == "multipart/alternative");
        !bodies.contains(&index) && !inline && !alternative
    }

    fn bodies(&self) -> Vec<usize> {
        self.structure.bodies().map(|bodies| [bodies.plain, bodies.html].concat()).unwrap_or_default()
    }

    /// Parts that are neither body nor inline image.
    pub fn attachments(&self) -> u32 {
        let bodies = self.bodies();
        let count = self.leaves().filter(|(index, part)| self.is_attachment(&bodies, *index, part)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Number of MIME leaf parts; an enclosed message is one.
    pub fn part_count(&self) -> u32 {
        u32::try_from(self.leaves().count()).unwrap_or(u32::MAX)
    }

    fn leaf(&self, index: u32) -> Option<(usize, &Part)> {
        self.leaves().nth(usize::try_from(index).ok()?)
    }

    /// Describes leaf part `index`, or nothing when there is no such part.
    pub fn part_info(&self, index: u32) -> Option<PartInfo> {
        let (index, part) = self.leaf(index)?;
        let raw = &self.content()[part.body..part.end];
        let size = match part.transfer {
            Transfer::Base64 => mail_parser::Encoding::Base64.decoded_len(raw),
            Transfer::QuotedPrintable => quoted_printable::decode(raw).len(),
            _ => raw.len(),
        };
        Some(PartInfo {
            media_type: part.media_type.clone(),
            name: part.name.clone(),
            size: size as u64,
            attachment: self.is_attachment(&self.bodies(), index, part),
        })
    }

    /// At most `max` octets, and never more than [`MAXIMUM_READ`], of leaf part `index`, decoded, from octet `offset` on; empty past its
    /// end and for an unknown part.
    pub fn read_part(&self, index: u32, offset: u64, max: usize) -> Vec<u8> {
        let (Some((_, part)), Ok(offset)) = (self.leaf(index), usize::try_from(offset)) else {
            return Vec::new();
        };
        let max = max.min(MAXIMUM_READ);
        let raw = &self.content()[part.body..part.end];
        let window = |text: &[u8]| text[offset.min(text.len())..offset.saturating_add(max).min(text.len())].to_vec();
        match part.transfer {
            Transfer::Base64 => read_base64(raw, offset, max),
            Transfer::QuotedPrintable => window(&quoted_printable::decode(raw)),
            _ => window(raw),
        }
    }
}

/// Decodes only the lines that the window needs.
fn read_base64(raw: &[u8], offset: usize, max: usize) -> Vec<u8> {
    let start = base64::Tail::from(raw, offset);
    let mut end = start.start;
    let mut characters = 0;
    // Four characters more than the window needs: it may start inside a group.
    while end < raw.len() && characters < max / 3 * 4 + 12 {
        let next = memchr(b'\n', &raw[end..]).map_or(raw.len(), |newline| end + newline + 1);
        characters += raw[end..next].trim_ascii().len();
        end = next;
    }
    let mut text = Vec::new();
    mail_parser::Encoding::Base64.decode_append(&raw[start.start.min(end)..end], &mut text);
    let skip = offset.saturating_sub(start.decoded).min(text.len());
    text.drain(..skip);
    text.truncate(max);
    text
}
