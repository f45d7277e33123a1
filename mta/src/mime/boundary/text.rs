//! Plain text: quoted lines, separators, header blocks and attributions.
//!
//! Lines are looked at one by one, in order; format=flowed (RFC 3676) needs no more, since its quotes start with ">" as well.

use std::ops::Range;

use memchr::{memchr, memmem};

use super::super::encoding::Text;
use super::super::{Confidence, Passed};
use super::lines::{self, LONGEST_LINE};
use super::words::Label;
use super::{Boundary, Points, only};

/// Most lines over which an attribution is wrapped.
const ATTRIBUTION_LINES: usize = 3;
/// Lines after a possible header block's first one in which its other labels must come.
const HEADER_BLOCK_LINES: usize = 8;

/// Labels that a header block must have when it follows the text above it without a blank line.
const UNSEPARATED_LABELS: usize = 4;

struct Lines<'a> {
    text: &'a Text,
    spans: Vec<Range<usize>>,
}

impl Lines<'_> {
    fn octets(&self, line: usize) -> &[u8] {
        self.spans.get(line).map_or(&[], |span| &self.text.octets[span.clone()])
    }

    fn is_blank(&self, line: usize) -> bool {
        let octets = self.octets(line);
        octets.is_empty() || octets.trim_ascii().is_empty() || octets.len() < 16 && self.string(line).trim().is_empty()
    }

    fn is_quoted(&self, line: usize) -> bool {
        let octets = self.octets(line);
        // ">From " is how mail stores protect a line, not a quote.
        let octets = octets.strip_prefix(b" ").filter(|rest| rest.starts_with(b"> ")).unwrap_or(octets);
        octets.starts_with(b">") && !octets.starts_with(b">From ")
    }

    /// Whether the line is nothing but a link, or the end of one, that was broken out of the quoted line above it.
    fn is_broken_link(&self, line: usize) -> bool {
        let octets = self.octets(line).trim_ascii();
        let above = line.checked_sub(1).filter(|&above| self.is_quoted(above));
        octets.starts_with(b"(http")
            || octets.starts_with(b"<http")
            || octets.ends_with(b")")
                && !octets.contains(&b' ')
                && above.is_some_and(|above| memmem::find(self.octets(above), b"(http").is_some())
    }

    /// Whether the quote that starts here is forwarded mail, as Apple Mail writes it: then nobody answers inside of it.
    fn is_quoted_forward(&self, quote: usize) -> bool {
        let text = self.string(quote);
        lines::separator(text.trim_start_matches(['>', ' '])).is_some_and(|separator| separator.forward)
    }

    /// Octets of the author's own text in front of an attribution that shares its line.
    fn shared_attribution(&self, line: usize) -> usize {
        let same_octets = self.text.charset.is_utf_8() || self.octets(line).is_ascii();
        if same_octets { lines::shared_attribution(&self.string(line)).unwrap_or(0) } else { 0 }
    }

    fn string(&self, line: usize) -> String {
        let octets = self.octets(line);
        self.text.decode(&octets[..octets.len().min(LONGEST_LINE)])
    }

    fn label(&self, line: usize) -> Option<Label> {
        let octets = self.octets(line);
        let head = &octets[..octets.len().min(64)];
        // The fullwidth colon has no ASCII octet in any charset.
        (memchr(b':', head).is_some() || !head.is_ascii()).then(|| lines::label(&self.string(line))).flatten()
    }

    /// Labels of a header block from `line` on, each kind once.
    fn labels(&self, line: usize) -> Vec<Label> {
        let mut labels = Vec::new();
        let mut missed = 0;
        for line in line..self.spans.len().min(line + HEADER_BLOCK_LINES) {
            match self.label(line) {
                Some(label) if !labels.contains(&label) => labels.push(label),
                Some(_) => {}
                None => missed += 1,
            }
            // A long value goes on in the next line, more than that is text.
            if missed > 2 {
                break;
            }
        }
        labels
    }

    /// Whether a header block that no other mark announces starts here: the less there is of it, the more must point to it.
    fn starts_header_block(&self, line: usize) -> bool {
        let Some(first) = self.label(line) else {
            return false;
        };
        let labels = self.labels(line);
        if !(line == 0 || self.is_blank(line - 1)) {
            return labels.contains(&Label::From) && labels.len() >= UNSEPARATED_LABELS;
        }
        let addressed = || (line..self.spans.len().min(line + HEADER_BLOCK_LINES)).any(|line| self.octets(line).contains(&b'@'));
        match labels.len() {
            0 | 1 => false,
            2 => first == Label::From || labels.contains(&Label::Date) && labels.contains(&Label::To) && addressed(),
            _ => labels.contains(&Label::From),
        }
    }

    fn next_filled(&self, line: usize) -> usize {
        (line..self.spans.len()).take(3).find(|&line| !self.is_blank(line)).unwrap_or(line)
    }

    /// First line of the attribution whose last line is `last`, if it is one. `quoted`: quoted lines follow; without them, the words
    /// alone must look like one.
    fn attribution(&self, last: usize, quoted: bool) -> Option<usize> {
        let mut joined = String::new();
        let mut found = None;
        let mut complete = false;
        for first in (0..=last).rev().take(ATTRIBUTION_LINES) {
            if self.is_blank(first) || self.is_quoted(first) {
                break;
            }
            let line = self.string(first);
            joined = if joined.is_empty() { line.trim().to_owned() } else { format!("{} {joined}", line.trim()) };
            let whole = lines::is_attribution(&joined);
            if !(whole || quoted && first == last && lines::is_short_attribution(&joined)) {
                continue;
            }
            if lines::opens_attribution(&line) {
                return Some(first);
            }
            if !complete {
                found = Some(first);
                // A line that begins with the address goes on from the one above it.
                complete = whole && !line.trim_start().starts_with('<');
            }
        }
        found.filter(|_| quoted)
    }
}

/// Reads a plain text body. `reply`: the header says that it answers or forwards something.
pub(in super::super) fn analyse(text: &Text, reply: bool) -> Points {
    let lines = Lines { text, spans: spans(&text.octets) };
    let end = text.octets.len();
    let flat = flat_boundary(&lines, reply);
    let limit = flat.map_or(lines.spans.len(), |(line, _)| line);
    // A patch may begin with header lines of its own: what looks like quoted mail with nothing above it may be the patch itself.
    let bare = flat.is_some_and(|(line, boundary)| boundary.rule == "header-block" && (0..line).all(|line| lines.is_blank(line)));
    let refused = refusal(&lines, if bare { lines.spans.len() } else { limit });
    let flat = flat.map(|(_, boundary)| boundary);
    let authored_end = flat.map_or(end, |boundary| boundary.at);
    let quote = (0..limit).find(|&line| lines.is_quoted(line));
    let points = Points { end, refused, ..Points::default() };
    let Some(quote) = quote else {
        return Points { boundary: flat, authored: only(0..authored_end), ..points };
    };
    let start = quote_start(&lines, quote);
    let forward = lines.is_quoted_forward(quote);
    let answered = if forward { Vec::new() } else { answers_after(&lines, quote, limit) };
    if !answered.is_empty() {
        let mut authored = only(0..lines.spans[start].start);
        authored.extend(answered);
        return Points { boundary: flat, interleaved: flat.is_none(), authored, ..points };
    }
    let attributed = start != quote;
    if !(reply || attributed || forward) {
        return Points { boundary: flat, authored: only(0..authored_end), ..points };
    }
    let shared = if attributed { lines.shared_attribution(start) } else { 0 };
    let boundary = Boundary {
        at: lines.spans[start].start + shared,
        rule: if attributed { "attribution" } else { "quoted-lines" },
        confidence: if attributed && reply { Confidence::High } else { Confidence::Medium },
        forward,
    };
    Points { boundary: Some(boundary), authored: only(0..boundary.at), ..points }
}

fn spans(text: &[u8]) -> Vec<Range<usize>> {
    let mut spans = Vec::with_capacity(text.len() / 40 + 1);
    let mut start = 0;
    while start < text.len() {
        let next = memchr(b'\n', &text[start..]).map_or(text.len(), |newline| start + newline + 1);
        let line = &text[start..next];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        spans.push(start..start + line.strip_suffix(b"\r").unwrap_or(line).len());
        start = next;
    }
    spans
}

/// The first line behind which everything is earlier mail, although no line is marked as quoted.
fn flat_boundary(lines: &Lines<'_>, reply: bool) -> Option<(usize, Boundary)> {
    for line in 0..lines.spans.len() {
        let octets = lines.octets(line).trim_ascii();
        // Yahoo writes a whole header block behind its dashes, in one line.
        if octets.is_empty() || octets.len() > LONGEST_LINE && octets[0] != b'-' || lines.is_quoted(line) {
            continue;
        }
        let found =
            |line: usize, rule, confidence, forward| Some((line, Boundary { at: lines.spans[line].start, rule, confidence, forward }));
        let colon = octets.ends_with(b":") || octets.ends_with("：".as_bytes()) || !octets.is_ascii();
        if (matches!(octets[0], b'-' | b'=' | b'*') || colon)
            && let Some(separator) = lines::separator(&lines.string(line))
        {
            let labels = lines.labels(lines.next_filled(line + 1)).len();
            let whole = labels >= 2 || separator.labelled;
            if reply || whole {
                let confidence = if whole { Confidence::High } else { Confidence::Medium };
                return found(line, "separator", confidence, separator.forward);
            }
        }
        if octets[0] == b'_' && lines::is_rule(&lines.string(line)) && lines.labels(lines.next_filled(line + 1)).len() >= 2 {
            return found(line, "rule-and-header-block", Confidence::High, false);
        }
        // What only looks like a header is believed in an answer, never in a new message.
        if !reply {
            continue;
        }
        if lines.starts_header_block(line) {
            return found(line, "header-block", Confidence::Medium, false);
        }
        if (colon || octets[0] == b'-')
            && !lines.is_quoted(lines.next_filled(line + 1))
            && let Some(first) = lines.attribution(line, false)
        {
            return found(first, "attribution", Confidence::Medium, false);
        }
    }
    None
}

/// The line where the first quote starts: its attribution, if there is one.
fn quote_start(lines: &Lines<'_>, quote: usize) -> usize {
    let last = (quote.saturating_sub(3)..quote).rev().find(|&line| !lines.is_blank(line));
    last.and_then(|last| lines.attribution(last, true)).unwrap_or(quote)
}

/// What the author wrote behind the first quoted line.
fn answers_after(lines: &Lines<'_>, quote: usize, limit: usize) -> Vec<Range<usize>> {
    let mut answers: Vec<Range<usize>> = Vec::new();
    let mut attribution_end = None;
    let mut quote_below = false;
    for line in (quote..limit).rev() {
        if lines.is_quoted(line) {
            quote_below = true;
            attribution_end = (quote.max(line.saturating_sub(2))..line).rev().find(|&line| !lines.is_blank(line));
            continue;
        }
        if lines.is_blank(line) {
            continue;
        }
        if attribution_end == Some(line) && lines.attribution(line, true).is_some() || quote_below && lines.is_broken_link(line) {
            continue;
        }
        answers.push(lines.spans[line].clone());
    }
    answers.reverse();
    // The author's own signature below a quote is no answer.
    let signature = (quote..limit).find(|&line| matches!(lines.octets(line), b"-- " | b"--")).map(|line| lines.spans[line].start);
    if signature.is_some_and(|start| answers.first().is_none_or(|first| first.start >= start)) { Vec::new() } else { answers }
}

/// Text that must not be touched: a signed or encrypted block, or a patch that is applied as it stands.
fn refusal(lines: &Lines<'_>, limit: usize) -> Option<Passed> {
    let mut old_file = false;
    for line in 0..limit {
        let octets = lines.octets(line);
        match octets.first() {
            Some(b'-') if octets.starts_with(b"-----BEGIN PGP MESSAGE-----") => return Some(Passed::PgpEncrypted),
            Some(b'-') if octets.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----") => return Some(Passed::PgpSigned),
            Some(b'd') if octets.starts_with(b"diff --git ") => return Some(Passed::Patch),
            Some(b'-') if octets.starts_with(b"--- ") => old_file = true,
            Some(b'+') if old_file && octets.starts_with(b"+++ ") && lines.octets(line + 1).starts_with(b"@@ ") => {
                return Some(Passed::Patch);
            }
            Some(_) => old_file = false,
            None => {}
        }
    }
    None
}
