//! What is hashed: the body and the header fields in RFC 6376's relaxed form.
//!
//! Section 3.4.2 (header fields), 3.4.4 (body), 3.7 (which instance of a field, and in which order). The body is hashed once for all DKIM
//! signatures and the ARC set, from slices that may be cut anywhere, without being copied together; mail-auth's signers take one buffer. Bare
//! CR and LF do not occur in what `smtp` accepts; they count as text here.

use aws_lc_rs::digest::{Context, SHA256};
use memchr::memchr3;

use crate::header::relaxed;

/// Empty lines are hashed in blocks: a body may consist of millions of them.
const LINE_ENDS: [u8; 512] = {
    let mut block = [b'\r'; 512];
    let mut at = 1;
    while at < block.len() {
        block[at] = b'\n';
        at += 2;
    }
    block
};

/// The SHA-256 of a body in relaxed form.
pub(super) struct BodyHash {
    hash: Context,
    /// Ends of lines not hashed yet: those at the end of the body do not count.
    line_ends: usize,
    /// White space not hashed yet: at the end of a line it does not count.
    space: bool,
    /// The last octet was a CR.
    carriage_return: bool,
    any: bool,
}

impl BodyHash {
    pub(super) fn new() -> Self {
        Self { hash: Context::new(&SHA256), line_ends: 0, space: false, carriage_return: false, any: false }
    }

    pub(super) fn update(&mut self, chunk: &[u8]) {
        let mut at = 0;
        if self.carriage_return && !chunk.is_empty() {
            self.carriage_return = false;
            if chunk[0] == b'\n' {
                self.line_end();
                at = 1;
            } else {
                self.text(b"\r");
            }
        }
        while let Some(&octet) = chunk.get(at) {
            match (octet, chunk.get(at + 1)) {
                (b' ' | b'\t', _) => {
                    self.space = true;
                    at += 1;
                }
                (b'\r', Some(b'\n')) => {
                    self.line_end();
                    at += 2;
                }
                (b'\r', None) => {
                    self.carriage_return = true;
                    at += 1;
                }
                _ => {
                    let end = text_end(chunk, at);
                    self.text(&chunk[at..end]);
                    at = end;
                }
            }
        }
    }

    pub(super) fn finish(mut self) -> [u8; 32] {
        if self.carriage_return {
            self.text(b"\r");
        }
        if self.any {
            self.hash.update(b"\r\n");
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(self.hash.finish().as_ref());
        digest
    }

    fn line_end(&mut self) {
        self.space = false;
        self.line_ends += 1;
    }

    fn text(&mut self, text: &[u8]) {
        let mut octets = self.line_ends * 2;
        while octets > 0 {
            let block = octets.min(LINE_ENDS.len());
            self.hash.update(&LINE_ENDS[..block]);
            octets -= block;
        }
        self.line_ends = 0;
        if self.space {
            self.hash.update(b" ");
            self.space = false;
        }
        self.hash.update(text);
        self.any = true;
    }
}

/// End of the longest stretch from `start` that relaxed form leaves as it is.
fn text_end(chunk: &[u8], start: usize) -> usize {
    let plain = |at: usize| chunk.get(at).is_some_and(|octet| !matches!(octet, b' ' | b'\t' | b'\r'));
    let mut at = start + 1;
    while let Some(offset) = memchr3(b' ', b'\t', b'\r', chunk.get(at..).unwrap_or_default()) {
        let stop = at + offset;
        at = match (chunk[stop], chunk.get(stop + 1)) {
            (b' ', _) if plain(stop + 1) => stop + 2,
            (b'\r', Some(b'\n')) if plain(stop + 2) => stop + 3,
            (b'\r', Some(next)) if *next != b'\n' => stop + 1,
            _ => return stop,
        };
    }
    chunk.len()
}

/// Appends `name:value` in relaxed form, without a line end.
pub(super) fn push_field(name: &[u8], value: &[u8], into: &mut Vec<u8>) {
    into.extend(name.iter().map(u8::to_ascii_lowercase));
    into.push(b':');
    relaxed(value, into);
}

/// The signed fields named by `names`, each name's instances from the bottom up; a name without a (further) instance adds nothing.
pub(super) fn signed_fields(fields: &[(&[u8], &[u8])], names: &[&str]) -> Vec<u8> {
    let mut input = Vec::with_capacity(2048);
    let mut taken: Vec<(&str, usize)> = Vec::new();
    for name in names {
        let before = taken.iter().filter(|(seen, _)| seen == name).map(|(_, count)| *count).sum();
        let instance = fields.iter().rev().filter(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes())).nth(before);
        taken.push((name, 1));
        if let Some((field, value)) = instance {
            push_field(field, value, &mut input);
            input.extend_from_slice(b"\r\n");
        }
    }
    input
}
