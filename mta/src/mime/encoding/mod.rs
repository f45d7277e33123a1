//! Charsets and content-transfer-encodings of a body part: reading it, and writing into it (RFC 2045 section 6, RFC 2047 labels as
//! the WHATWG Encoding Standard reads them).
//!
//! Decoded text keeps the octets of its charset, so that an offset into it can be carried back to the octets of the message. Only
//! charsets in which an ASCII octet is no character of its own (UTF-16) are converted as a whole; such a part is written anew. UTF-7, HZ and
//! ISO-2022 other than ISO-2022-JP, which no mail client writes any more and the Encoding Standard does not read, are not supported.

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::Passed;
use super::structure::{Part, Transfer};

pub(super) mod base64;
pub(super) mod quoted_printable;
pub(super) mod wrap;

/// RFC 5322 section 2.1.1: octets of a line without its CRLF.
pub(super) const MAXIMUM_LINE: usize = 998;

/// How the octets of a text become characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// `us-ascii`, or no label.
    Ascii,
    /// A label of the Encoding Standard. `strict`: the label promises ISO 8859, where the octets 80-9F are no characters.
    Known { encoding: &'static Encoding, strict: bool },
    /// A label that nobody knows; taken to contain ASCII.
    Unknown,
}

impl Charset {
    /// UTF-8.
    pub(super) const UTF_8: Self = Self::Known { encoding: UTF_8, strict: false };

    fn of(label: Option<&str>) -> Option<Self> {
        let Some(label) = label.map(str::trim).filter(|label| !label.is_empty()) else {
            return Some(Self::Ascii);
        };
        let lower = label.to_ascii_lowercase();
        if matches!(lower.as_str(), "us-ascii" | "ascii" | "ansi_x3.4-1968" | "iso646-us") {
            return Some(Self::Ascii);
        }
        // The Encoding Standard maps these stateful charsets to "replacement", which decodes nothing; UTF-32 and UTF-7 it does not know.
        if lower.starts_with("iso-2022-") && lower != "iso-2022-jp"
            || lower.starts_with("hz-")
            || lower.starts_with("utf-32")
            || lower == "utf-7"
        {
            return None;
        }
        let strict = lower.starts_with("iso-8859") || lower.starts_with("iso8859") || lower.starts_with("latin") || lower == "l1";
        Some(match Encoding::for_label(lower.as_bytes()) {
            Some(encoding) => Self::Known { encoding, strict },
            None => Self::Unknown,
        })
    }

    /// Whether it is UTF-8.
    pub(super) fn is_utf_8(self) -> bool {
        self == Self::UTF_8
    }

    /// Whether no label, or none that anybody knows, says what the octets above 7F are.
    pub(super) fn is_unsaid(self) -> bool {
        matches!(self, Self::Ascii | Self::Unknown)
    }

    /// Whether an octet below 80 can be part of a longer character anywhere in the text.
    fn is_stateful(self) -> bool {
        matches!(self, Self::Known { encoding, .. } if encoding == ISO_2022_JP)
    }

    /// As text; what is not valid becomes U+FFFD. Without a usable label: UTF-8 if it is valid, else windows-1252.
    pub(super) fn decode(self, text: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Known { encoding, .. } => encoding.decode_without_bom_handling(text).0,
            Self::Ascii | Self::Unknown => match std::str::from_utf8(text) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => WINDOWS_1252.decode_without_bom_handling(text).0,
            },
        }
    }

    /// The octets for `text`, or nothing when the charset, as its label promises it, lacks one of the characters.
    pub(super) fn encode(self, text: &str) -> Option<Cow<'_, [u8]>> {
        if text.is_ascii() {
            return Some(Cow::Borrowed(text.as_bytes()));
        }
        let Self::Known { encoding, strict } = self else {
            return None;
        };
        let (octets, used, unmappable) = encoding.encode(text);
        let outside = strict && encoding.is_single_byte() && octets.iter().any(|octet| (0x80..0xA0).contains(octet));
        (!unmappable && used == encoding && !outside).then_some(octets)
    }
}

/// A body part's text, decoded.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// Octets in `charset`; for a body that is not transfer-encoded a slice of the message.
    pub(super) octets: Bytes,
    pub(super) charset: Charset,
    /// Whether `octets` are not the part's own ones but a conversion to UTF-8.
    pub(super) converted: bool,
}

impl Text {
    /// Reads a part, or says why it cannot be read.
    pub(super) fn read(content: &Bytes, part: &Part) -> Result<Self, Passed> {
        let raw = content.slice(part.body..part.end);
        let octets = match part.transfer {
            Transfer::SevenBit | Transfer::EightBit | Transfer::Binary => raw,
            Transfer::QuotedPrintable => Bytes::from(quoted_printable::decode(&raw)),
            Transfer::Base64 => Bytes::from(base64::decode(&raw).ok_or(Passed::DamagedTransferEncoding)?),
            Transfer::Unknown => return Err(Passed::UnknownTransferEncoding),
        };
        let label = part.parameter("charset");
        let charset = Charset::of(label).ok_or(Passed::UnsupportedCharset)?;
        match charset {
            Charset::Known { encoding, .. } if encoding == UTF_16LE || encoding == UTF_16BE => {
                // RFC 2781 section 4.3: without a byte order mark, "utf-16" is big-endian.
                let plain = label.is_some_and(|label| label.trim().eq_ignore_ascii_case("utf-16"));
                let encoding = if plain { UTF_16BE } else { encoding };
                let (text, _, malformed) = encoding.decode(&octets);
                if malformed {
                    return Err(Passed::DamagedCharset);
                }
                Ok(Self { octets: Bytes::from(text.into_owned()), charset: Charset::UTF_8, converted: true })
            }
            _ => Ok(Self { octets, charset, converted: false }),
        }
    }

    /// The octets to look for markup and line structure in: same length as `octets`, where shifted characters are masked.
    pub(super) fn scannable(&self) -> Cow<'_, [u8]> {
        if self.charset.is_stateful() && memchr::memchr(0x1B, &self.octets).is_some() {
            Cow::Owned(mask_shifted(&self.octets))
        } else {
            Cow::Borrowed(&self.octets)
        }
    }

    /// As text.
    pub(super) fn decode(&self, octets: &[u8]) -> String {
        self.charset.decode(octets).into_owned()
    }
}

/// ISO-2022-JP: replaces every octet outside the ASCII and JIS-Roman states, so that no half of a character looks like markup.
fn mask_shifted(text: &[u8]) -> Vec<u8> {
    let mut masked = text.to_vec();
    let mut shifted = false;
    let mut at = 0;
    while at < text.len() {
        if text[at] == 0x1B && at + 2 < text.len() {
            shifted = !matches!(&text[at + 1..at + 3], b"(B" | b"(J");
            let length = if text[at + 1..].starts_with(b"$(") { 4 } else { 3 };
            let end = (at + length).min(text.len());
            masked[at..end].fill(0x80);
            at = end;
            continue;
        }
        // RFC 1468: every line ends in the ASCII state.
        if text[at] == b'\n' {
            shifted = false;
        } else if shifted && text[at] != b'\r' {
            masked[at] = 0x80;
        }
        at += 1;
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_8859_1_refuses_what_only_windows_1252_has() {
        let latin = Charset::of(Some("ISO-8859-1")).unwrap();
        assert_eq!(latin.encode("Zoë").as_deref(), Some(&b"Zo\xEB"[..]));
        assert_eq!(latin.encode("5 €"), None);
        let windows = Charset::of(Some("windows-1252")).unwrap();
        assert_eq!(windows.encode("5 €").as_deref(), Some(&b"5 \x80"[..]));
    }

    #[test]
    fn legacy_labels_mean_what_senders_mean() {
        for (label, text) in [("ks_c_5601-1987", "안녕"), ("gb2312", "您好"), ("shift_jis", "敬具"), ("koi8-r", "привет"), ("big5", "您好")]
        {
            let charset = Charset::of(Some(label)).unwrap();
            let octets = charset.encode(text).unwrap().into_owned();
            assert_eq!(charset.decode(&octets), text, "{label}");
        }
        assert_eq!(Charset::of(Some("x-nobody-knows")), Some(Charset::Unknown));
        assert_eq!(Charset::of(Some("hz-gb-2312")), None);
        assert_eq!(Charset::of(None), Some(Charset::Ascii));
    }

    #[test]
    fn shifted_characters_are_masked() {
        let text = b"<p>\x1B$B$\"$<\x1B(B</p>\n<\x1B$B<<\n<b>";
        let masked = mask_shifted(text);
        assert_eq!(masked.len(), text.len());
        assert_eq!(masked.iter().filter(|&&octet| octet == b'<').count(), 4);
    }
}
