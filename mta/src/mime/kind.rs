//! Whether a message starts a conversation, answers or forwards: In-Reply-To and References (RFC 5322 section 3.6.4), Thread-Index,
//! and the prefixes that mail clients write in front of a subject in their language.

use ::base64::Engine as _;
use ::base64::alphabet::STANDARD as ALPHABET;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::signature::Kind;

/// Octets of a Thread-Index that starts a conversation; each answer adds five ([MS-OXOMSG] section 2.2.1.3).
const THREAD_INDEX_START: usize = 22;
/// A prefix longer than this is a word of the subject.
const LONGEST_PREFIX: usize = 24;

/// Subject prefixes of replies, without the colon.
const REPLY_PREFIXES: &[&str] = &[
    "re",
    "aw",
    "antw",
    "antwort",
    "sv",
    "vs",
    "vb",
    "ré",
    "rép",
    "réf",
    "rif",
    "r",
    "res",
    "resp",
    "odp",
    "od",
    "atb",
    "ynt",
    "yan",
    "cevap",
    "απ",
    "σχετ",
    "ответ",
    "отв",
    "відп",
    "回复",
    "回覆",
    "答复",
    "答覆",
    "返信",
    "답장",
    "회신",
    "השב",
    "תשובה",
    "رد",
    "vá",
    "va",
    "enc re",
    "bls",
    "trả lời",
    "ref",
];

/// Subject prefixes of forwarded mail, without the colon.
const FORWARD_PREFIXES: &[&str] = &[
    "fw",
    "fwd",
    "wg",
    "wtr",
    "weitergeleitet",
    "tr",
    "trans",
    "rv",
    "rif fwd",
    "enc",
    "i",
    "inoltra",
    "doorst",
    "doorgestuurd",
    "vb fwd",
    "vl",
    "vid",
    "videres",
    "pd",
    "pdl",
    "podaj dalej",
    "přep",
    "fwd",
    "továbbítás",
    "i̇lt",
    "ilt",
    "ytm",
    "πρθ",
    "προωθ",
    "пер",
    "перес",
    "пересл",
    "转发",
    "轉寄",
    "轉發",
    "転送",
    "전달",
    "העבר",
    "הועבר",
    "إعادة توجيه",
    "redir",
    "trs",
    "chuyển tiếp",
    "tns",
];

/// What the header section says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Thread<'a> {
    pub(super) subject: &'a str,
    pub(super) in_reply_to: bool,
    pub(super) references: bool,
    pub(super) thread_index: Option<&'a str>,
}

impl Thread<'_> {
    /// What the header alone tells.
    pub(super) fn kind(&self) -> Kind {
        match prefix(self.subject) {
            Some(Kind::Forward) => Kind::Forward,
            Some(_) => Kind::Reply,
            None if self.belongs_to_an_earlier_one() => Kind::Reply,
            None => Kind::New,
        }
    }

    /// Whether a field other than the subject names an earlier message of the conversation.
    pub(super) fn belongs_to_an_earlier_one(&self) -> bool {
        self.in_reply_to || self.references || self.thread_index.is_some_and(continues)
    }
}

fn continues(index: &str) -> bool {
    let engine = GeneralPurpose::new(&ALPHABET, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
    let compact: String = index.chars().filter(|character| !character.is_whitespace()).collect();
    engine.decode(compact).is_ok_and(|octets| octets.len() > THREAD_INDEX_START)
}

/// The kind that the subject's first prefix tells; `[tags]` of mailing lists and counters (`Re[2]:`) are passed over.
fn prefix(subject: &str) -> Option<Kind> {
    let mut rest = subject.trim_start();
    while let Some(tag) = rest.strip_prefix('[') {
        rest = tag.split_once(']')?.1.trim_start();
    }
    let head = &rest[..rest.floor_char_boundary(LONGEST_PREFIX)];
    let colon = head.find([':', '：'])?;
    let word = head[..colon].split(['[', '(', '^']).next().unwrap_or_default().trim().to_lowercase();
    let is = |words: &[&str]| words.contains(&word.as_str());
    if is(FORWARD_PREFIXES) { Some(Kind::Forward) } else { is(REPLY_PREFIXES).then_some(Kind::Reply) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_tell_the_kind_in_many_languages() {
        for (subject, kind) in [
            ("Re: x", Some(Kind::Reply)),
            ("RE[2]: x", Some(Kind::Reply)),
            ("[list] AW: x", Some(Kind::Reply)),
            ("SV: x", Some(Kind::Reply)),
            ("Antw.: x", None),
            ("Odp: x", Some(Kind::Reply)),
            ("回复：x", Some(Kind::Reply)),
            ("Fwd: x", Some(Kind::Forward)),
            ("FW: RE: x", Some(Kind::Forward)),
            ("WG: x", Some(Kind::Forward)),
            ("TR: x", Some(Kind::Forward)),
            ("RV: x", Some(Kind::Forward)),
            ("转发：x", Some(Kind::Forward)),
            ("Rent: x", None),
            ("[broken", None),
            ("", None),
        ] {
            assert_eq!(prefix(subject), kind, "{subject}");
        }
    }

    #[test]
    fn a_long_thread_index_is_an_answer() {
        let index = |length: usize| ::base64::engine::general_purpose::STANDARD.encode(vec![1; length]);
        assert!(!continues(&index(22)));
        assert!(continues(&index(27)));
        assert!(!continues("not base64!"));
        let thread = Thread { subject: "x", references: true, ..Thread::default() };
        assert_eq!(thread.kind(), Kind::Reply);
        assert_eq!(Thread { subject: "x", ..Thread::default() }.kind(), Kind::New);
    }
}
