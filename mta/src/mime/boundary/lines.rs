//! Recognises single lines that mail clients write around quoted mail: separators, labels of header blocks, attributions.
//!
//! Works on decoded text; where the line stands, and whether it may be believed, is decided by the callers.

use super::words::{
    ATTRIBUTIONS, FORWARD_INTRODUCTIONS, FORWARD_STEMS, LABELS, Label, NAMING_SEPARATORS, OPENERS, SEPARATORS, SHARED_OPENERS,
};

/// Longest line, in octets, that can announce quoted mail; nothing that clients write is longer.
pub(super) const LONGEST_LINE: usize = 400;
/// Longest label of a header block in octets, with the marks around it.
const LONGEST_LABEL: usize = 48;

/// A line that separates what follows as quoted or forwarded mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Separator {
    /// It announces forwarded mail.
    pub(super) forward: bool,
    /// A label of a header block follows in the same line, as Yahoo writes it.
    pub(super) labelled: bool,
}

/// Direction marks, byte order marks and the white space that mail clients put around words.
fn is_filler(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

fn clean(line: &str) -> &str {
    line.trim_matches(|character: char| is_filler(character) || character == '*')
}

fn lower(text: &str) -> String {
    let lower = text.to_lowercase();
    // The Turkish capital "İ" becomes two characters.
    if lower.is_ascii() { lower } else { lower.replace('\u{A0}', " ").replace('\u{307}', "") }
}

/// The label of a header block that the line starts with ("From: ...").
pub(super) fn label(line: &str) -> Option<Label> {
    let line = line.trim_start_matches(|character: char| is_filler(character) || matches!(character, '*' | '>' | '|'));
    let head = &line[..line.floor_char_boundary(LONGEST_LABEL)];
    let colon = head.find([':', '：'])?;
    let name = lower(clean(&head[..colon]));
    if name.is_empty() {
        return None;
    }
    LABELS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(label, _)| *label)
}

/// Whether the line is a separator ("-----Original Message-----") or the introduction of forwarded mail.
pub(super) fn separator(line: &str) -> Option<Separator> {
    let line = clean(line);
    let first = line.chars().next()?;
    let dashes = line.starts_with("--") || line.starts_with("==") || matches!(first, '—' | '–' | '－');
    if line.len() > LONGEST_LINE || !(dashes || line.ends_with([':', '：'])) {
        return None;
    }
    let text = lower(line);
    let forward = FORWARD_STEMS.iter().any(|stem| text.contains(stem));
    if FORWARD_INTRODUCTIONS.contains(&text.as_str()) {
        return Some(Separator { forward: true, labelled: false });
    }
    if !dashes {
        return None;
    }
    let inner = text.trim_matches(|character: char| is_dash(character) || matches!(character, ' ' | ':' | '：'));
    if SEPARATORS.contains(&inner) || NAMING_SEPARATORS.iter().any(|words| inner.starts_with(words)) {
        return Some(Separator { forward, labelled: false });
    }
    // "---- Ada King wrote ----": Android, Polymail and Zoho.
    if text.ends_with("--") && ATTRIBUTIONS.iter().any(|verb| inner.ends_with(verb)) {
        return Some(Separator { forward: false, labelled: false });
    }
    let (words, rest) = inner.split_once("--")?;
    let labelled = SEPARATORS.contains(&words.trim_end()) && label(rest.trim_start_matches(is_dash)).is_some();
    labelled.then_some(Separator { forward, labelled })
}

fn is_dash(character: char) -> bool {
    matches!(character, '-' | '=' | '—' | '–' | '－')
}

/// Whether the line is nothing but underscores, as Outlook draws a rule in plain text.
pub(super) fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 10 && line.bytes().all(|octet| octet == b'_')
}

/// Whether the text, one to three lines joined, says who wrote what follows: a verb of writing, and a date or an address.
pub(super) fn is_attribution(text: &str) -> bool {
    if text.len() > LONGEST_LINE {
        return false;
    }
    let text = lower(clean(text).trim_matches('-'));
    let text = text.trim();
    let colon = text.ends_with([':', '：']);
    if !(colon || text.ends_with('>') || ATTRIBUTIONS.iter().any(|verb| text.ends_with(verb))) {
        return false;
    }
    // Gmail in some languages, Yandex and mail.ru write date, name and address only.
    let bare =
        colon && text.contains('@') && (text.starts_with(|character: char| character.is_numeric() || character == '"') || has_year(text));
    let dated = text.contains('@') || text.chars().any(char::is_numeric);
    bare || dated && ATTRIBUTIONS.iter().any(|verb| text.contains(verb))
}

/// Whether a number of four digits that is a year of our time stands in the text.
fn has_year(text: &str) -> bool {
    text.split(|character: char| !character.is_ascii_digit())
        .any(|number| number.len() == 4 && (number.starts_with("19") || number.starts_with("20")))
}

/// As [`is_attribution`] for a line directly in front of quoted lines, where date or verb may be missing ("Ada wrote:",
/// "2024/1/1 Ada <ada@example.com>").
pub(super) fn is_short_attribution(text: &str) -> bool {
    let text = lower(clean(text));
    let verb = ATTRIBUTIONS.iter().any(|verb| text.strip_suffix([':', '：']).is_some_and(|text| text.trim_end().ends_with(verb)));
    let address = text.ends_with('>') && text.contains('@') && text.starts_with(char::is_numeric);
    text.len() <= LONGEST_LINE / 2 && (verb || address)
}

/// Octets of the author's own text in front of an attribution that shares its line.
pub(super) fn shared_attribution(line: &str) -> Option<usize> {
    let at = SHARED_OPENERS.iter().find_map(|opener| line.find(opener))?;
    let text = line[..at].trim_end_matches(|character: char| is_dash(character) || is_filler(character));
    (!text.is_empty() && is_attribution(line[at..].trim_start())).then_some(text.len())
}

/// Whether an attribution may begin with this line.
pub(super) fn opens_attribution(line: &str) -> bool {
    let line = lower(clean(line));
    OPENERS.iter().any(|opener| line.starts_with(opener)) || starts_with_date(&line)
}

/// Whether the first word begins like a date: with a number, and without a letter or address behind it that only long numbers have.
fn starts_with_date(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    word.starts_with(char::is_numeric) && !word.contains(|character: char| character.is_ascii_alphabetic() || character == '@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributions_in_many_languages() {
        for line in [
            "On Mon, 1 Jan 2024 at 10:00, Ada King <ada@example.com> wrote:",
            "Am 01.01.2024 um 10:00 schrieb Ada King:",
            "Le lun. 1 janv. 2024 à 10:00, Ada King <ada@example.com> a écrit :",
            "El lun, 1 ene 2024 a las 10:00, Ada King (<ada@example.com>) escribió:",
            "Il giorno lun 1 gen 2024 alle ore 10:00 Ada King <ada@example.com> ha scritto:",
            "Em seg., 1 de jan. de 2024 às 10:00, Ada King <ada@example.com> escreveu:",
            "Op ma 1 jan 2024 om 10:00 schreef Ada King <ada@example.com>:",
            "pon., 1 sty 2024 o 10:00 Ada King <ada@example.com> napisał(a):",
            "Den mån 1 jan. 2024 kl 10:00 skrev Ada King <ada@example.com>:",
            "ma 1. tammik. 2024 klo 10.00 Ada King (ada@example.com) kirjoitti:",
            "пн, 1 янв. 2024 г. в 10:00, Ada King <ada@example.com>:",
            "1 января 2024 г., 10:00 пользователь Ada King <ada@example.com> написал:",
            "po 1. 1. 2024 v 10:00 odesílatel Ada King <ada@example.com> napsal:",
            "1 Oca 2024 Pzt 10:00 tarihinde Ada King <ada@example.com> şunu yazdı:",
            "在 2024年1月1日，10:00，Ada King <ada@example.com> 写道：",
            "2024年1月1日(月) 10:00 Ada King <ada@example.com>のメッセージ:",
            "2024년 1월 1일 (월) 오전 10:00, Ada King <ada@example.com>님이 작성:",
            "\u{202b}בתאריך 1.1.2024 בשעה 10:00, \u{200f}Ada King\u{200f} <ada@example.com> כתב/ה:\u{202c}",
            "في 1 يناير 2024، الساعة 10:00، كتب Ada King <ada@example.com>:",
            "01.01.2024, 10:00, \"Ada King\" <ada@example.com>:",
            "Mon, 1 Jan 2024 10:00:00 +0400 от Ada King <ada@example.com>:",
            "---- On Mon, 1 Jan 2024 10:00:00 +0530 Ada King<ada@example.com> wrote ----",
            "Op 1 jan. 2024 om 10:00 heeft Ada King <ada@example.com> het volgende geschreven:",
            "Ada King <ada@example.com> schrieb am Mo., 1. Jan. 2024 um 10:00 Uhr:",
        ] {
            assert!(is_attribution(line), "{line}");
        }
        for line in ["On Monday we wrote a letter to them.", "My answer:", "Please look at https://example.com/1:", "He wrote to us"] {
            assert!(!is_attribution(line), "{line}");
        }
    }

    #[test]
    fn separators_and_labels() {
        for (line, forward) in [
            ("-----Original Message-----", false),
            ("-------- Original-Nachricht --------", false),
            ("-----Ursprüngliche Nachricht-----", false),
            ("-----Message d'origine-----", false),
            ("-----Mensaje original-----", false),
            ("-----Messaggio originale-----", false),
            ("-----Oorspronkelijk bericht-----", false),
            ("-----Oryginalna wiadomość-----", false),
            ("-----Ursprungligt meddelande-----", false),
            ("-----Исходное сообщение-----", false),
            ("-----原始邮件-----", false),
            ("---------- Forwarded message ---------", true),
            ("---------- Weitergeleitete Nachricht ---------", true),
            ("-------- Message transféré --------", true),
            ("Begin forwarded message:", true),
            ("----- Forwarded by Ada King/ACME on 01/01/2024 -----", true),
            ("----- Forwarded message from Ada King <ada@example.com> -----", true),
            ("-------- İletilen İleti --------", true),
            ("İleti başlangıcı:", true),
        ] {
            assert_eq!(separator(line), Some(Separator { forward, labelled: false }), "{line}");
        }
        let yahoo = "----- Message transmis ----- De : Ada King <ada@example.com>À : Bob";
        assert_eq!(separator(yahoo), Some(Separator { forward: true, labelled: true }));
        assert_eq!(separator("----- Message transmis ----- hier"), None);
        assert!(separator("---- Ada King wrote ----").is_some() && separator("---- Ada King").is_none());
        assert_eq!(shared_attribution("reply--- On Wed, 4 Apr 2012, ada@example.com wrote:"), Some(5));
        assert_eq!(shared_attribution("On Wed, 4 Apr 2012, ada@example.com wrote:"), None);
        assert!(opens_attribution("23.11.2026 10:15, Ada:") && !opens_attribution("416ffd3@example.com>"));
        assert_eq!(separator("-- "), None);
        assert_eq!(separator("---------- agenda ----------"), None);
        for (line, expected) in [
            ("From: Ada", Some(Label::From)),
            ("*Von:* Ada", Some(Label::From)),
            ("Envoyé : lundi", Some(Label::Date)),
            ("发件人： Ada", Some(Label::From)),
            ("Betreff: x", Some(Label::Subject)),
            ("Hello: x", None),
            ("Note that this is long: x", None),
        ] {
            assert_eq!(label(line), expected, "{line}");
        }
        assert!(is_rule("________________________________") && !is_rule("____"));
    }
}
