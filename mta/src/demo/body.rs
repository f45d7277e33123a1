//! A message's body as a mail program shows it: HTML with its inline images, and plain text.
//!
//! `mail-parser` reads it, so the demo does not see a message with the eyes of the code that edited it. Display only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{Message, MessageParser, PartKind};

/// The two forms of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    /// Decoded; images are still referred to as `cid:`.
    pub(super) html: Option<String>,
    /// Decoded, with the line ends of the message.
    pub(super) text: Option<String>,
    /// Inline images: Content-ID and a `data:` URI.
    pub(super) images: Vec<(String, String)>,
    /// Names of the attachments.
    pub(super) attachments: Vec<String>,
}

/// Where what was added stands in the longer of two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addition {
    /// Its first octet.
    pub(super) start: usize,
    /// The octet after its last.
    pub(super) end: usize,
}

impl Body {
    /// Reads a message.
    pub(super) fn of(content: &[u8]) -> Self {
        MessageParser::default().parse(content).map_or_else(Self::default, |message| Self::read(&message))
    }

    fn read(message: &Message<'_>) -> Self {
        let root = message.root();
        let html = root.html_body().filter(|part| matches!(part.kind(), PartKind::Html)).filter_map(|part| part.text());
        let text = root.text_body().filter(|part| matches!(part.kind(), PartKind::Text)).filter_map(|part| part.text());
        let images = message.parts().filter_map(|part| {
            let kind = part.content_type()?;
            let id = part.content_id()?.to_owned();
            Some((id, format!("data:{}/{};base64,{}", kind.ctype(), kind.subtype()?, STANDARD.encode(part.decoded()))))
        });
        let attachments = root.attachments().filter(|part| part.content_id().is_none());
        Self {
            html: join(html),
            text: join(text),
            images: images.collect(),
            attachments: attachments.map(|part| part.attachment_name().unwrap_or("without a name").to_owned()).collect(),
        }
    }

    /// The HTML form with its images inside.
    pub(super) fn complete(&self, html: &str) -> String {
        self.images.iter().fold(html.to_owned(), |html, (id, uri)| html.replace(&format!("cid:{id}"), uri))
    }
}

fn join<T: AsRef<str>>(parts: impl Iterator<Item = T>) -> Option<String> {
    let parts: Vec<T> = parts.collect();
    (!parts.is_empty()).then(|| parts.iter().map(AsRef::as_ref).collect())
}

impl Addition {
    /// What `after` has that `before` has not, if it is in one place. Where several answers are equally good, one that is a natural
    /// beginning is taken: a block inserted before `<div>` that itself begins with `<div>` would otherwise seem to begin inside the tag.
    pub(super) fn find(before: &str, after: &str, natural: fn(&str, usize) -> bool) -> Option<Self> {
        let grown = after.len().checked_sub(before.len()).filter(|grown| *grown > 0)?;
        let (old, new) = (before.as_bytes(), after.as_bytes());
        let latest = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        let suffix = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
        let earliest = old.len().saturating_sub(suffix);
        let whole = |start: &usize| after.is_char_boundary(*start) && after.is_char_boundary(start + grown);
        let mut starts = (earliest..=latest).rev().filter(whole);
        let start = starts.clone().find(|start| natural(after, *start)).or_else(|| starts.next())?;
        Some(Self { start, end: start + grown })
    }

    /// A natural beginning in HTML: a tag.
    pub(super) fn at_tag(text: &str, start: usize) -> bool {
        text[start..].starts_with('<')
    }

    /// A natural beginning in plain text: a line.
    pub(super) fn at_line(text: &str, start: usize) -> bool {
        text[..start].ends_with('\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_addition_begins_where_a_reader_would_say() {
        let before = "<div>Hello</div><div>quoted</div>";
        let after = "<div>Hello</div><div>signature</div><div>quoted</div>";
        let addition = Addition::find(before, after, Addition::at_tag).unwrap();
        assert_eq!(&after[addition.start..addition.end], "<div>signature</div>");
        assert_eq!(Addition::find(before, before, Addition::at_tag), None);
        assert_eq!(Addition::find("a b c", "a x c d", Addition::at_line), None);
        let addition = Addition::find("Grüße\n", "Grüße\nÜber uns\n", Addition::at_line).unwrap();
        assert_eq!(addition, Addition { start: "Grüße\n".len(), end: "Grüße\nÜber uns\n".len() });
    }

    #[test]
    fn images_are_shown_in_their_place() {
        let message = concat!(
            "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src=\"cid:logo@x\">\r\n",
            "--b\r\nContent-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n--b--\r\n"
        );
        let body = Body::of(message.as_bytes());
        let html = body.html.clone().unwrap();
        assert!(body.complete(&html).starts_with("<img src=\"data:image/png;base64,aGk=\">"), "{html}");
        assert_eq!(body.text, None);
        assert!(body.attachments.is_empty());
    }
}
