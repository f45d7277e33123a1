//! Text that a guest wrote and a person or a mail will read: control characters out, length cut. Pure.

/// One line for logs, reasons and errors: control characters (line ends included) become spaces, and it is cut at `max` octets on
/// a character boundary. Bidirectional overrides and other format characters stay: they are legitimate text.
pub(super) fn line(mut text: String, max: usize) -> String {
    truncate(&mut text, max);
    if text.chars().any(char::is_control) { text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() } else { text }
}

/// A block of several lines for a mail: CRLF and CR become LF; every other control character but the tab is removed. NUL and bare
/// CR would make the message one that no server accepts.
pub(super) fn block(text: String) -> String {
    let fine = |c: char| !c.is_control() || c == '\n' || c == '\t';
    if text.chars().all(fine) {
        return text;
    }
    text.replace("\r\n", "\n").replace('\r', "\n").chars().filter(|c| fine(*c)).collect()
}

/// Whether an id can be compared, logged and written into a header as it is: 1 to `max` octets, no control characters.
pub(super) fn is_id(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control)
}

fn truncate(text: &mut String, max: usize) {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_control_characters_and_ends_on_a_character() {
        for (given, max, expected) in [
            ("plain", 10, "plain"),
            ("a\r\nb\0c\u{1b}[31m", 20, "a  b c [31m"),
            ("\u{85}next", 20, " next"),
            ("aé", 2, "a"),
            ("aé", 3, "aé"),
            ("", 3, ""),
        ] {
            assert_eq!(line(given.to_owned(), max), expected, "{given:?}");
        }
    }

    #[test]
    fn a_block_keeps_lines_and_tabs_and_loses_other_control_characters() {
        for (given, expected) in [("a\r\nb\rc\nd", "a\nb\nc\nd"), ("a\0b\u{7f}\u{9b}c\td", "abc\td"), ("ü", "ü")] {
            assert_eq!(block(given.to_owned()), expected, "{given:?}");
        }
    }

    #[test]
    fn an_id_is_short_and_printable() {
        for (id, expected) in
            [("sales-de", true), ("Größe 1", true), ("", false), ("a\nb", false), ("12345678", true), ("123456789", false)]
        {
            assert_eq!(is_id(id, 8.max(id.len() * usize::from(id.starts_with('G')))), expected, "{id:?}");
        }
    }
}
