//! HTML: one walk over the tags that finds the boundary by what mail clients mark it with, and the end of the body.
//!
//! The walk keeps its own stack of open elements, close enough to the HTML Standard's tree construction to tell what an offset is
//! inside of. It never builds a tree: offsets are all that leaves this module.

use std::ops::Range;

use memchr::memchr;

use super::super::encoding::Text;
use super::super::{Confidence, Passed};
use super::characters::{decode_references, is_blank};
use super::elements::{self, Class, Mark, Role};
use super::lines::{self, LONGEST_LINE};
use super::tokenizer::{Token, Tokenizer};
use super::words::Label;
use super::{Boundary, Points, only};

/// Deepest nesting that is followed; deeper elements count as part of the one around them.
const MAXIMUM_DEPTH: usize = 256;
/// Lines that are remembered in front of a quote: an attribution is wrapped over at most three.
const REMEMBERED_LINES: usize = 3;

/// An element that is open at the current place.
#[derive(Clone, Copy, Debug)]
struct Open<'a> {
    name: &'a [u8],
    class: Class,
    role: Role,
    start: usize,
}

/// A line of visible text: its octets, and where a signature would go to stand in front of it.
#[derive(Clone, Debug, Default)]
struct Line {
    octets: Vec<u8>,
    at: usize,
    visible: bool,
}

/// Lines without a label inside a header block: a long list of recipients goes on in the next line.
const MAXIMUM_GAP: usize = 1;

/// How the quoted mail that was found first is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    /// Everything behind the boundary.
    Flat,
    /// Elements; text may follow them.
    Contained,
}

struct Walk<'a> {
    text: &'a Text,
    reply: bool,
    stack: Vec<Open<'a>>,
    /// End of the last visible thing that the author may have written.
    visible_end: usize,
    line: Line,
    recent: Vec<Line>,
    /// A rule with nothing visible behind it.
    rule: Option<usize>,
    /// A place that becomes the boundary if the labels of a header block follow.
    pending: Option<(usize, &'static str, bool)>,
    /// In front of a line that announces quoted mail, until it shows whether a block quote follows.
    announced: Option<usize>,
    /// In front of a block quote without any mark, until something is seen behind it.
    bare_quote: Option<usize>,
    labels: Vec<Label>,
    labels_at: usize,
    gap: usize,
    boundary: Option<(Boundary, Quote)>,
    /// A second boundary, flat, behind quotes that were answered.
    second: Option<Boundary>,
    answers: bool,
    /// Open elements with these roles.
    quotes: usize,
    gmail_quotes: usize,
    /// Inside Gmail's container, behind its first block quote.
    between_quotes: bool,
    /// Gmail's container holds forwarded mail.
    forwarded: bool,
    quoted_since: Option<usize>,
    authored: Vec<Range<usize>>,
    authored_from: usize,
    marks: Vec<usize>,
    end: Option<(usize, bool)>,
    section_end: Option<usize>,
    last_start: usize,
    frames: bool,
}

/// Reads an HTML body. `reply`: the header says that it answers or forwards something.
pub(in super::super) fn analyse(text: &Text, reply: bool) -> Points {
    let scannable = text.scannable();
    let mut walk = Walk::new(text, reply);
    let mut unfinished = None;
    for (at, token) in Tokenizer::new(&scannable) {
        match token {
            Token::Text(_) => walk.text(at),
            Token::Start { name, attributes } => walk.start(at, name, attributes),
            Token::End { name } => walk.end_tag(at, name),
            Token::Hidden => {}
            Token::Unfinished => {
                let inside = walk.stack.last().is_some_and(|open| elements::is_raw(open.name));
                unfinished = Some(if inside { walk.last_start } else { at.start });
            }
        }
    }
    // The text may also end right behind the start tag of an element that swallows what follows.
    let swallowed = walk.stack.last().filter(|open| elements::is_raw(open.name)).map(|_| walk.last_start);
    walk.finish(unfinished.or(swallowed).unwrap_or(text.octets.len()))
}

impl<'a> Walk<'a> {
    fn new(text: &'a Text, reply: bool) -> Self {
        Self {
            text,
            reply,
            stack: Vec::with_capacity(32),
            visible_end: 0,
            line: Line::default(),
            recent: Vec::with_capacity(REMEMBERED_LINES + 1),
            rule: None,
            pending: None,
            announced: None,
            bare_quote: None,
            labels: Vec::new(),
            labels_at: 0,
            gap: 0,
            boundary: None,
            second: None,
            answers: false,
            quotes: 0,
            gmail_quotes: 0,
            between_quotes: false,
            forwarded: false,
            quoted_since: None,
            authored: Vec::new(),
            authored_from: 0,
            marks: Vec::new(),
            end: None,
            section_end: None,
            last_start: 0,
            frames: false,
        }
    }
}

impl<'a> Walk<'a> {
    /// Whether the current place is inside earlier mail.
    fn is_quoted(&self) -> bool {
        match self.boundary {
            Some((_, Quote::Flat)) => true,
            _ => self.second.is_some() || self.quotes > 0 || self.gmail_quotes > 0 && !self.between_quotes,
        }
    }

    /// The place that a signature in front of `start` would take: outside of every element that has shown nothing yet.
    fn outside(&self, start: usize) -> usize {
        let mut at = start;
        for open in self.stack.iter().rev() {
            if open.class == Class::Root || open.role == Role::Section || open.start < self.visible_end {
                break;
            }
            at = open.start;
        }
        at
    }

    /// Whether text may stand at `at`, which is the start of an open element or of the current one.
    fn is_text_place(&self, at: usize) -> bool {
        self.stack.iter().rev().find(|open| open.start < at).is_none_or(|open| !matches!(open.class, Class::Structure))
    }

    fn text(&mut self, at: Range<usize>) {
        let octets = &self.text.octets[at.clone()];
        if is_blank(octets, self.text.charset.is_utf_8()) {
            if self.line.visible {
                self.line.octets.push(b' ');
            }
            return;
        }
        if self.stack.last().is_some_and(|open| elements::is_hidden(open.name)) {
            return;
        }
        self.show(at.clone());
        let room = LONGEST_LINE.saturating_sub(self.line.octets.len());
        self.line.octets.extend_from_slice(&octets[..octets.len().min(room)]);
    }

    /// Something visible stands here.
    fn show(&mut self, at: Range<usize>) {
        if !self.line.visible {
            self.line.visible = true;
            self.line.at = self.before_rule(at.start);
        }
        self.end = None;
        self.section_end = None;
        if self.boundary.is_none() {
            self.visible_end = at.end;
            if self.bare_quote.is_some() && !self.stack.iter().any(|open| open.name.eq_ignore_ascii_case(b"blockquote")) {
                self.bare_quote = None;
            }
        }
    }

    fn start(&mut self, at: Range<usize>, name: &'a [u8], attributes: &'a [u8]) {
        self.last_start = at.start;
        let class = elements::class(name);
        if name.eq_ignore_ascii_case(b"frameset") {
            self.frames = true;
        }
        if !matches!(class, Class::Inline | Class::Formatting | Class::Void) {
            self.end_line();
        }
        if name.eq_ignore_ascii_case(b"img") {
            self.show(at.clone());
        }
        self.imply_end_tags(class);
        let role = elements::mark(name, attributes).map_or(Role::None, |mark| self.marked(at.start, mark));
        // Clients give an indented paragraph a style; a block quote without one, at the end of an answer, is more likely a quote.
        if self.reply && self.boundary.is_none() && attributes.is_empty() && name.eq_ignore_ascii_case(b"blockquote") {
            self.bare_quote = self.bare_quote.or(Some(self.outside(at.start)));
        }
        if !matches!(class, Class::Void | Class::Break) && self.stack.len() < MAXIMUM_DEPTH {
            self.quotes += usize::from(role == Role::Quote);
            self.gmail_quotes += usize::from(role == Role::GmailQuote);
            self.stack.push(Open { name, class, role, start: at.start });
            self.quote_changes(at.start);
        }
    }

    /// End tags that the standard implies in front of a start tag.
    fn imply_end_tags(&mut self, class: Class) {
        let top = self.stack.last().map(|open| open.class);
        match class {
            Class::Block | Class::Paragraph | Class::Structure if top == Some(Class::Paragraph) => self.pop(),
            Class::ListItem if matches!(top, Some(Class::ListItem | Class::Paragraph)) => self.pop(),
            Class::Cell if top == Some(Class::Cell) => self.pop(),
            _ => {}
        }
    }

    fn pop(&mut self) {
        let Some(open) = self.stack.pop() else {
            return;
        };
        match open.role {
            Role::Quote => {
                self.quotes -= 1;
                self.between_quotes = !self.forwarded && self.gmail_quotes > 0;
            }
            Role::GmailQuote => {
                self.gmail_quotes -= 1;
                (self.between_quotes, self.forwarded) = (false, false);
            }
            _ => {}
        }
    }

    fn end_tag(&mut self, at: Range<usize>, name: &'a [u8]) {
        let class = elements::class(name);
        if !matches!(class, Class::Inline | Class::Formatting | Class::Void) {
            self.end_line();
        }
        if class == Class::Root {
            if self.end.is_none() {
                self.end = Some((at.start, self.is_open()));
            }
            return;
        }
        let Some(index) = self.matching(name, class) else {
            return;
        };
        if class == Class::Formatting && self.stack[index + 1..].iter().any(|open| !matches!(open.class, Class::Formatting | Class::Inline))
        {
            self.stack.remove(index);
            return;
        }
        let section = self.stack[index].role == Role::Section;
        while self.stack.len() > index {
            self.pop();
        }
        if section {
            self.section_end = Some(at.start);
        }
        self.quote_changes(at.end);
    }

    /// The open element that an end tag closes.
    fn matching(&self, name: &[u8], class: Class) -> Option<usize> {
        for (index, open) in self.stack.iter().enumerate().rev() {
            if open.name.eq_ignore_ascii_case(name) {
                return Some(index);
            }
            let special = !matches!(open.class, Class::Inline | Class::Formatting);
            let fence = open.class == Class::Cell || open.name.eq_ignore_ascii_case(b"table");
            if class == Class::Inline && special || fence && !matches!(class, Class::Cell | Class::Structure) {
                return None;
            }
        }
        None
    }

    /// Whether an element other than `html` and `body` is open.
    fn is_open(&self) -> bool {
        self.stack.iter().any(|open| open.class != Class::Root)
    }

    fn string(&self, line: &Line) -> String {
        decode_references(&self.text.decode(&line.octets))
    }

    fn end_line(&mut self) {
        if !self.line.visible {
            return;
        }
        let line = std::mem::take(&mut self.line);
        if self.boundary.is_none() { self.line_in_front(line) } else { self.line_behind(&line) }
    }

    /// A line in front of any boundary: perhaps it is the first of one.
    fn line_in_front(&mut self, line: Line) {
        // As in plain text, in an answer only: what follows the attribution is not marked as quoted.
        if let Some(at) = self.announced.take()
            && self.found(at, "attribution", Confidence::Medium, false, Quote::Flat)
        {
            return;
        }
        if may_announce(&line.octets) {
            let text = self.string(&line);
            if self.reply && lines::opens_attribution(&text) && lines::is_attribution(&text) {
                self.announced = Some(line.at);
            }
            if let Some(separator) = lines::separator(&text) {
                if !(self.reply && self.found(line.at, "separator", Confidence::High, separator.forward, Quote::Flat)) {
                    let (at, rule, _) = self.pending.unwrap_or((line.at, "separator", false));
                    self.pending = Some((at, rule, separator.forward));
                    self.labels.clear();
                }
                self.remember(line);
                return;
            }
            if let Some(label) = lines::label(&text) {
                let below_rule = self.rule.is_some_and(|rule| rule == line.at);
                if self.reply && below_rule && label == Label::From && text.contains('@') {
                    self.found(line.at, "rule-and-sender", Confidence::Medium, false, Quote::Flat);
                }
                self.labelled(label, line.at);
                self.remember(line);
                return;
            }
        }
        self.gap += 1;
        if self.labels.is_empty() || self.gap > MAXIMUM_GAP {
            self.pending = None;
            self.labels.clear();
            self.rule = None;
        }
        self.remember(line);
    }

    fn remember(&mut self, line: Line) {
        if self.recent.len() == REMEMBERED_LINES {
            self.recent.remove(0);
        }
        self.recent.push(line);
    }

    /// A line with a label of a header block.
    fn labelled(&mut self, label: Label, at: usize) {
        if self.labels.is_empty() {
            self.labels_at = at;
        }
        if !self.labels.contains(&label) {
            self.labels.push(label);
        }
        self.gap = 0;
        let named = self.labels.contains(&Label::From);
        match self.pending {
            Some((place, rule, forward)) if named && self.labels.len() >= 2 => {
                self.found(place, rule, Confidence::High, forward, Quote::Flat);
            }
            // Without any mark a header block is believed in an answer only, and only if it is a whole one.
            None if named && self.reply && self.labels.len() >= 3 => {
                self.found(self.labels_at, "header-block", Confidence::Medium, false, Quote::Flat);
            }
            _ => {}
        }
    }

    /// A line behind the boundary: perhaps an answer.
    fn line_behind(&mut self, line: &Line) {
        let signature = line.octets.trim_ascii() == b"--" || self.stack.iter().any(|open| matches!(open.role, Role::Own | Role::Signature));
        if signature || line.octets.is_empty() {
            return;
        }
        if self.gmail_quotes > 0 && lines::separator(&self.string(line)).is_some_and(|line| line.forward) {
            self.forwarded = true;
            if let Some((boundary, _)) = &mut self.boundary {
                boundary.forward = true;
            }
        }
        if !self.is_quoted() && !lines::is_attribution(&self.string(line)) {
            self.answers = true;
        }
    }

    fn finish(mut self, length: usize) -> Points {
        self.end_line();
        if let (None, Some(at)) = (self.boundary, self.bare_quote) {
            self.found(at, "bare-block-quote", Confidence::Low, false, Quote::Flat);
        }
        let (end, end_is_open) = match (self.section_end, self.end) {
            (Some(at), _) => (at, false),
            (None, Some(end)) => end,
            (None, None) => (length, self.is_open()),
        };
        if self.boundary.is_none() {
            self.authored = only(0..length);
        } else if self.quoted_since.is_none() {
            self.authored.push(self.authored_from.min(length)..length);
        }
        let boundary = if self.answers { self.second } else { self.boundary.map(|(boundary, _)| boundary) };
        let signed = self.marks.iter().any(|mark| self.authored.iter().any(|range| range.contains(mark)));
        let refused = if self.frames { Some(Passed::Frames) } else { pgp(&self.text.octets, &self.authored) };
        Points { boundary, interleaved: self.answers && self.second.is_none(), end, end_is_open, authored: self.authored, signed, refused }
    }

    /// Handles what the attributes say; answers what the element holds.
    fn marked(&mut self, start: usize, mark: Mark) -> Role {
        let quoted = self.is_quoted();
        match mark {
            Mark::Holds(Role::Own) => {
                if !quoted {
                    self.marks.push(start);
                }
                Role::Own
            }
            Mark::Holds(role) => role,
            Mark::Rule => {
                if self.boundary.is_none() {
                    self.rule = Some(self.outside(start));
                }
                Role::None
            }
            Mark::BorderTop => {
                if self.boundary.is_none() {
                    self.pending = Some((self.before_rule(start), "outlook-header", false));
                    self.labels.clear();
                }
                Role::None
            }
            Mark::Flat { rule, forward } => {
                if !quoted {
                    self.found(self.before_rule(start), rule, Confidence::High, forward, Quote::Flat);
                }
                Role::None
            }
            Mark::Contained { rule, forward } => self.container(start, quoted, rule, forward, Role::Quote),
            Mark::Gmail => self.container(start, quoted, "gmail", false, Role::GmailQuote),
            Mark::PossibleQuote { cite } => self.block_quote(start, quoted, cite),
        }
    }

    fn container(&mut self, start: usize, quoted: bool, rule: &'static str, forward: bool, role: Role) -> Role {
        if quoted || self.boundary.is_some() || self.found(self.before_rule(start), rule, Confidence::High, forward, Quote::Contained) {
            role
        } else {
            Role::None
        }
    }

    fn block_quote(&mut self, start: usize, quoted: bool, cite: bool) -> Role {
        if quoted || self.boundary.is_some() {
            // Gmail's answers stand between the block quotes of its container, so they must be told apart.
            return Role::Quote;
        }
        self.announced = None;
        match self.attribution() {
            Some((at, forward)) if self.found(at, "attribution", Confidence::High, forward, Quote::Contained) => Role::Quote,
            None if cite && self.reply && self.found(self.outside(start), "block-quote", Confidence::Medium, false, Quote::Contained) => {
                Role::Quote
            }
            None if cite && !self.reply => {
                // Apple Mail's forward announces itself inside the block quote.
                self.pending = Some((self.before_rule(start), "block-quote", false));
                self.labels.clear();
                Role::None
            }
            _ => Role::None,
        }
    }

    /// The remembered lines in front of a block quote, if they announce it.
    fn attribution(&self) -> Option<(usize, bool)> {
        let mut joined = String::new();
        for line in self.recent.iter().rev() {
            let text = self.string(line);
            joined = if joined.is_empty() { text.clone() } else { format!("{text} {joined}") };
            if let Some(separator) = lines::separator(&text) {
                return Some((line.at, separator.forward));
            }
            if lines::is_attribution(&joined) {
                return Some((line.at, false));
            }
        }
        None
    }

    fn before_rule(&self, start: usize) -> usize {
        let at = self.outside(start);
        self.rule.filter(|&rule| rule >= self.visible_end && rule < at).unwrap_or(at)
    }

    /// Sets the boundary. Refused, and `false`, where text cannot stand.
    fn found(&mut self, at: usize, rule: &'static str, confidence: Confidence, forward: bool, quote: Quote) -> bool {
        if !self.is_text_place(at) {
            return false;
        }
        let boundary = Boundary { at, rule, confidence, forward };
        match self.boundary {
            None => {
                self.authored.push(0..at);
                self.boundary = Some((boundary, quote));
                self.quoted_since = Some(at);
            }
            Some((_, Quote::Contained)) if quote == Quote::Flat && self.second.is_none() => {
                self.close_authored(at);
                self.second = Some(boundary);
            }
            Some(_) => {}
        }
        true
    }

    /// Notices that quoted mail has begun or ended at `at`.
    fn quote_changes(&mut self, at: usize) {
        if self.boundary.is_none() {
            return;
        }
        match (self.is_quoted(), self.quoted_since) {
            (true, None) => self.close_authored(at),
            (false, Some(_)) => {
                self.quoted_since = None;
                self.authored_from = at;
            }
            _ => {}
        }
    }

    fn close_authored(&mut self, at: usize) {
        if self.quoted_since.is_none() {
            self.authored.push(self.authored_from.min(at)..at);
            self.quoted_since = Some(at);
        }
    }
}

/// Whether a line needs to be read as text at all.
fn may_announce(octets: &[u8]) -> bool {
    let head = octets.trim_ascii_start();
    let head = &head[..head.len().min(64)];
    memchr(b':', head).is_some()
        || matches!(head.first(), Some(b'-' | b'=' | 0x80..))
        || octets.trim_ascii_end().ends_with(b":")
        || !head.is_ascii()
}

/// An armoured block in what the author wrote.
fn pgp(text: &[u8], authored: &[Range<usize>]) -> Option<Passed> {
    authored.iter().find_map(|range| {
        let text = text.get(range.clone())?;
        let begin = memchr::memmem::find(text, b"-----BEGIN PGP ")?;
        let kind = &text[begin + 15..];
        if kind.starts_with(b"MESSAGE-----") {
            Some(Passed::PgpEncrypted)
        } else {
            kind.starts_with(b"SIGNED MESSAGE-----").then_some(Passed::PgpSigned)
        }
    })
}
