//! The demo's result as a table of text, for a terminal of 160 columns.

use std::io::{self, Write};

use super::outcome::Outcome;

/// Title and width of each column; with two spaces between them they fill 158 columns.
const COLUMNS: [(&str, usize); 11] = [
    ("#", 2),
    ("message", 27),
    ("tenant", 17),
    ("SPF", 5),
    ("DKIM", 5),
    ("DMARC", 5),
    ("signature and why", 36),
    ("placement", 20),
    ("copies", 6),
    ("sealed", 9),
    ("ms", 6),
];
/// What does not fit these lines is on the page.
const LINES: usize = 5;

/// Writes the table.
pub(super) fn write(out: &mut dyn Write, outcomes: &[Outcome]) -> io::Result<()> {
    line(out, &COLUMNS.map(|(title, _)| title.to_owned()))?;
    line(out, &COLUMNS.map(|(_, width)| "─".repeat(width)))?;
    for (index, outcome) in outcomes.iter().enumerate() {
        row(out, &cells(index + 1, outcome))?;
    }
    for (index, outcome) in outcomes.iter().enumerate() {
        for fault in outcome.faults() {
            writeln!(out, "{:>2}  {} did not end as expected: {fault}", index + 1, outcome.mail.file)?;
        }
    }
    Ok(())
}

/// What the table says about one message, column by column.
fn cells(number: usize, outcome: &Outcome) -> [String; COLUMNS.len()] {
    let authentication = outcome.event.as_ref().map(|event| event.authentication.clone()).unwrap_or_default();
    [
        number.to_string(),
        outcome.mail.title.to_owned(),
        verdict(outcome),
        dash(authentication.spf),
        dash(authentication.dkim),
        dash(authentication.dmarc),
        signatures(outcome),
        placements(outcome),
        outcome.arrived.len().to_string(),
        seals(outcome),
        format!("{:.1}", milliseconds(outcome)),
    ]
}

fn dash(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { text.to_owned() }
}

/// Whose mail it is, or which factors speak against it.
pub(super) fn verdict(outcome: &Outcome) -> String {
    let Some(event) = &outcome.event else { return "refused".to_owned() };
    let against: Vec<&str> = event.factors.iter().filter(|factor| !factor.agrees).map(|factor| factor.name).collect();
    if event.tenant.is_empty() {
        return if against.is_empty() { "refused".to_owned() } else { format!("refused: {}", against.join(", ")) };
    }
    format!("proven by {} factors", event.factors.iter().filter(|factor| factor.agrees).count())
}

/// Which signatures each copy got and why; what the peer was told when there is no copy.
pub(super) fn signatures(outcome: &Outcome) -> String {
    let copies = outcome.event.as_ref().map(|event| event.copies.as_slice()).unwrap_or_default();
    if copies.is_empty() {
        return outcome.answers.last_word().to_owned();
    }
    let each = copies.iter().map(|copy| {
        let names = if copy.signatures.is_empty() { "none".to_owned() } else { copy.signatures.join(" + ") };
        if copy.reason.is_empty() { names } else { format!("{names}: {}", copy.reason) }
    });
    each.collect::<Vec<_>>().join("\n")
}

/// Where the signatures went.
pub(super) fn placements(outcome: &Outcome) -> String {
    let copies = outcome.event.as_ref().map(|event| event.copies.as_slice()).unwrap_or_default();
    let mut all: Vec<&str> = copies.iter().flat_map(|copy| &copy.placements).map(String::as_str).collect();
    all.dedup();
    dash(&all.join("\n"))
}

/// Which seals were written.
pub(super) fn seals(outcome: &Outcome) -> String {
    let copies = outcome.event.as_ref().map(|event| event.copies.as_slice()).unwrap_or_default();
    let mut kinds: Vec<String> = Vec::new();
    for kind in copies.iter().flat_map(|copy| &copy.seals).filter_map(|seal| seal.split('=').next()).map(str::to_uppercase) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    dash(&kinds.join(", "))
}

/// From the last octet of the message to the reply, or what the sender measured.
pub(super) fn milliseconds(outcome: &Outcome) -> f64 {
    outcome.event.as_ref().map_or(outcome.milliseconds, |event| std::time::Duration::from_micros(event.micros.total).as_secs_f64() * 1000.0)
}

fn row(out: &mut dyn Write, cells: &[String; COLUMNS.len()]) -> io::Result<()> {
    let wrapped: Vec<Vec<String>> = cells.iter().zip(COLUMNS).map(|(cell, (_, width))| wrap(cell, width)).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(1);
    for index in 0..height {
        let texts = std::array::from_fn(|column| wrapped[column].get(index).cloned().unwrap_or_default());
        line(out, &texts)?;
    }
    Ok(())
}

fn line(out: &mut dyn Write, texts: &[String; COLUMNS.len()]) -> io::Result<()> {
    let mut line = String::new();
    for (text, (title, width)) in texts.iter().zip(COLUMNS) {
        let right = matches!(title, "#" | "copies" | "ms");
        let cell = if right { format!("{text:>width$}") } else { format!("{text:<width$}") };
        line.push_str(&cell);
        line.push_str("  ");
    }
    writeln!(out, "{}", line.trim_end())
}

/// Breaks at spaces, and inside a word only when the word is wider than the column.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let mut word: Vec<char> = word.chars().collect();
            while !line.is_empty() && line.chars().count() + 1 + word.len() > width || word.len() > width {
                if line.is_empty() {
                    let rest = word.split_off(width);
                    lines.push(std::mem::replace(&mut word, rest).into_iter().collect());
                } else {
                    lines.push(std::mem::take(&mut line));
                }
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.extend(word);
        }
        lines.push(line);
    }
    if lines.len() > LINES {
        lines.truncate(LINES);
        if let Some(last) = lines.last_mut() {
            *last = last.chars().take(width - 1).chain(['…']).collect();
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_160_columns() {
        let widths: usize = COLUMNS.iter().map(|(_, width)| width + 2).sum();
        assert!(widths - 2 <= 160, "{widths}");
        assert!(COLUMNS.iter().all(|(title, width)| title.chars().count() <= *width));
    }

    #[test]
    fn text_breaks_at_spaces_and_long_words_break_anywhere() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghijk", 4), ["abcd", "efgh", "ijk"]);
        assert_eq!(wrap("a abcdefgh b", 4), ["a", "abcd", "efgh", "b"]);
        assert_eq!(wrap("", 4), Vec::<String>::new());
        assert_eq!(wrap(&"word ".repeat(20), 4).len(), LINES);
    }
}
