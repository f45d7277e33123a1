//! Pictures that a signature shows: one image part each, referred to by Content-ID (RFC 2392), in a multipart/related (RFC 2387).
//!
//! An existing multipart/related around the HTML gets the parts at its end; otherwise the HTML part is wrapped in a new one. All names
//! come from the seed, so that a replay gives the same octets.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::memmem;

use super::super::encoding::base64;
use super::{Marks, Placed};
use crate::signature::Asset;

/// Tries to find a boundary that the enclosed octets do not contain; one try is enough unless someone knows the seed.
const BOUNDARY_TRIES: u32 = 64;

/// The pictures of all signatures of one copy, each once.
#[derive(Debug)]
pub(super) struct Images {
    images: Vec<Image>,
    marks: Marks,
}

#[derive(Debug)]
struct Image {
    asset: Arc<Asset>,
    content_id: String,
}

impl Images {
    pub(super) fn new(placed: &[&Placed], marks: &Marks) -> Self {
        let domain: String =
            marks.domain.chars().filter(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '-')).collect();
        let mut images: Vec<Image> = Vec::new();
        let used = placed.iter().filter(|placed| placed.fragment.html.is_some());
        for asset in used.flat_map(|placed| &placed.assets) {
            if images.iter().any(|image| image.asset.name == asset.name) {
                continue;
            }
            let content_id = format!("{}.{:016x}@{domain}", safe(&asset.name), marks.seed);
            images.push(Image { asset: Arc::clone(asset), content_id });
        }
        Self { images, marks: Marks { seed: marks.seed, domain } }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The HTML with every `cid:NAME` of a picture replaced by its Content-ID.
    pub(super) fn with_content_ids<'a>(&self, html: &'a str) -> Cow<'a, str> {
        if self.is_empty() || !html.contains("cid:") {
            return Cow::Borrowed(html);
        }
        let mut out = String::with_capacity(html.len() + self.images.len() * 48);
        let mut rest = html;
        while let Some(found) = rest.find("cid:") {
            let name = &rest[found + 4..];
            let length = name.bytes().take_while(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_')).count();
            let image = self.images.iter().find(|image| image.asset.name == name[..length]);
            out.push_str(&rest[..found + 4]);
            out.push_str(image.map_or(&name[..length], |image| &image.content_id));
            rest = &name[length..];
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// The image parts, each led in by a delimiter of `boundary`; the line break in front of a delimiter belongs to it.
    pub(super) fn parts(&self, boundary: &str) -> Vec<u8> {
        let size: usize = self.images.iter().map(|image| image.asset.content.len() * 11 / 8 + 512).sum();
        let mut out = Vec::with_capacity(size);
        for Image { asset, content_id } in &self.images {
            let (name, media_type) = (safe(&asset.name), media_type(&asset.media_type));
            let header = format!(
                "\r\n--{boundary}\r\nContent-Type: {media_type}; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\
                 Content-ID: <{content_id}>\r\nContent-Disposition: inline; filename=\"{name}\"\r\n\r\n"
            );
            out.extend_from_slice(header.as_bytes());
            out.extend_from_slice(&base64::encode(&asset.content));
        }
        out
    }

    /// A boundary that `enclosed` does not contain.
    pub(super) fn boundary(&self, enclosed: &[u8]) -> Option<String> {
        (0..BOUNDARY_TRIES)
            .map(|number| format!("=_signet_{:016x}_{number}", self.marks.seed))
            .find(|boundary| memmem::find(enclosed, boundary.as_bytes()).is_none())
    }
}

/// The name with nothing in it that a header field or a Content-ID would have to quote.
fn safe(name: &str) -> String {
    let name: String = name.chars().filter(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_')).collect();
    if name.is_empty() { "image".to_owned() } else { name }
}

fn media_type(name: &str) -> &str {
    let token = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&octet));
    match name.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) => name,
        _ => "application/octet-stream",
    }
}
