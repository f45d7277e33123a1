//! Message data from the wire: the DATA decoder and the BDAT decoder.
//!
//! RFC 5321 sections 4.1.1.4 and 4.5.2 (end of data, transparency), 4.5.3.1.6 and 2.3.8 (lines), RFC 1870 (size), RFC 3030 (chunks). The end of
//! data is exactly CRLF `.` CRLF. Nothing is normalised: a bare CR, a bare LF or a NUL condemns the message, and the decoder goes on
//! to the real end of data, so that no octet of a message is ever taken for a command. MIME is not looked at.

use bytes::Bytes;
use memchr::memchr3;

use crate::smtp::reply::Reply;

/// Octets of one line, CRLF included, when nothing else is configured. RFC 5321 allows 1000; programs that write HTML in one line are common,
/// and a relay that breaks such lines breaks DKIM signatures, so they pass untouched.
pub const DEFAULT_MAX_LINE: usize = 1 << 20;
/// Room reserved at once for a message whose size is declared; a declaration alone must not cost memory.
const FIRST_RESERVE: usize = 1 << 20;

/// Limits for one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the message, dot-stuffing and end of data not counted.
    pub size: u64,
    /// Octets of one line, CRLF included.
    pub line: usize,
}

/// Why a message is refused whose end we have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A CR without LF after it.
    #[error("message contains a bare carriage return")]
    BareCarriageReturn,
    /// An LF without CR before it.
    #[error("message contains a bare line feed")]
    BareLineFeed,
    /// A NUL.
    #[error("message contains a NUL octet")]
    Nul,
    /// More than [`Limits::size`].
    #[error("message exceeds the maximum size")]
    Size,
    /// More than [`Limits::line`].
    #[error("message contains a line that exceeds the maximum length")]
    Line,
}

impl Violation {
    /// What the peer gets.
    pub fn reply(self) -> Reply {
        match self {
            Self::Size => Reply::new(552, (5, 3, 4), self.to_string()),
            Self::BareCarriageReturn | Self::BareLineFeed | Self::Nul | Self::Line => Reply::new(550, (5, 6, 0), self.to_string()),
        }
    }
}

/// The octets kept so far, or the reason why none are.
#[derive(Debug)]
struct Content {
    octets: Vec<u8>,
    limits: Limits,
    violation: Option<Violation>,
    discarded: bool,
    received: u64,
    line: usize,
}

impl Content {
    fn new(limits: Limits, declared: u64) -> Self {
        let reserve = usize::try_from(declared.min(limits.size)).unwrap_or(FIRST_RESERVE).min(FIRST_RESERVE);
        Self { octets: Vec::with_capacity(reserve), limits, violation: None, discarded: false, received: 0, line: 0 }
    }

    fn keep(&mut self, octets: &[u8]) {
        if self.octets.len() as u64 + octets.len() as u64 > self.limits.size {
            self.violate(Violation::Size);
        }
        if !self.discarded {
            self.octets.extend_from_slice(octets);
        }
    }

    /// Records a violation behind `before`, the octets that are not kept yet: they may exceed the size first.
    fn violate_behind(&mut self, before: &[u8], violation: Violation) {
        self.keep(before);
        self.violate(violation);
    }

    /// The first violation is the one that is reported.
    fn violate(&mut self, violation: Violation) {
        if !self.discarded {
            self.violation = Some(violation);
            self.discard();
        }
    }

    fn discard(&mut self) {
        self.discarded = true;
        self.octets = Vec::new();
    }

    /// Ends a line, whose last octets may be in `before`.
    fn end_line(&mut self, before: &[u8]) {
        if self.line > self.limits.line {
            self.violate_behind(before, Violation::Line);
        }
        self.line = 0;
    }

    fn finish(self) -> Result<Bytes, Violation> {
        self.violation.map_or_else(|| Ok(Bytes::from(self.octets)), Err)
    }
}

/// Where in the text the decoder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// After CRLF, or before the first octet.
    LineStart,
    /// After a dot at the start of a line.
    Dot,
    /// After a dot at the start of a line and a CR.
    DotReturn,
    /// In a line.
    Text,
    /// After a CR in a line.
    Return,
}

/// Undoes dot-stuffing and finds the end of data, whatever the division of the input.
#[derive(Debug)]
pub struct Decoder {
    position: Position,
    content: Content,
}

impl Decoder {
    /// Starts behind the CRLF of the DATA command. `declared` is what SIZE said, or 0.
    pub fn new(limits: Limits, declared: u64) -> Self {
        Self { position: Position::LineStart, content: Content::new(limits, declared) }
    }

    /// Takes octets; answers how many belong to the message data, and whether the end of data was among them.
    pub fn feed(&mut self, input: &[u8]) -> (usize, bool) {
        let mut run = 0;
        let mut at = 0;
        while at < input.len() {
            let before = at;
            match self.position {
                Position::LineStart if input[at] == b'.' => {
                    self.content.keep(&input[run..at]);
                    at += 1;
                    run = at;
                    self.position = Position::Dot;
                }
                Position::Dot if input[at] == b'\r' => {
                    at += 1;
                    run = at;
                    self.position = Position::DotReturn;
                }
                Position::LineStart | Position::Dot => self.position = Position::Text,
                Position::DotReturn if input[at] == b'\n' => {
                    self.content.received += at as u64 + 1;
                    return (at + 1, true);
                }
                Position::Return if input[at] == b'\n' => {
                    at += 1;
                    self.position = Position::LineStart;
                }
                Position::DotReturn | Position::Return => {
                    self.content.violate_behind(&input[run..at], Violation::BareCarriageReturn);
                    self.position = Position::Text;
                }
                Position::Text => at = self.text(input, run, at),
            }
            self.content.line += at - before;
            if self.position == Position::LineStart {
                self.content.end_line(&input[run..at]);
            }
        }
        self.content.keep(&input[run..]);
        self.content.received += input.len() as u64;
        (input.len(), false)
    }

    /// From `at` to behind the next octet that may not stand alone.
    fn text(&mut self, input: &[u8], run: usize, at: usize) -> usize {
        let Some(offset) = memchr3(b'\r', b'\n', 0, &input[at..]) else {
            return input.len();
        };
        let before = &input[run..at + offset];
        match input[at + offset] {
            b'\r' => self.position = Position::Return,
            // Not a line end: a dot that follows is text.
            b'\n' => self.content.violate_behind(before, Violation::BareLineFeed),
            _ => self.content.violate_behind(before, Violation::Nul),
        }
        at + offset + 1
    }

    /// Octets received so far, end of data included.
    pub fn received(&self) -> u64 {
        self.content.received
    }

    /// Octets held in memory.
    pub fn held(&self) -> usize {
        self.content.octets.len()
    }

    /// Keeps nothing from now on, but goes on to the end of data.
    pub fn discard(&mut self) {
        self.content.discard();
    }

    /// The message, once [`Decoder::feed`] has seen the end of data.
    pub fn finish(self) -> Result<Bytes, Violation> {
        self.content.finish()
    }
}

/// Collects the chunks of one message, whose octets are counted by the caller.
#[derive(Debug)]
pub struct Chunks {
    returned: bool,
    content: Content,
}

impl Chunks {
    /// Before the first chunk. `declared` is what SIZE said, or 0.
    pub fn new(limits: Limits, declared: u64) -> Self {
        Self { returned: false, content: Content::new(limits, declared) }
    }

    /// Takes octets of a chunk.
    pub fn feed(&mut self, input: &[u8]) {
        let mut at = 0;
        while at < input.len() {
            let before = at;
            if self.returned {
                self.returned = false;
                if input[at] == b'\n' {
                    at += 1;
                    self.content.line += 1;
                    self.content.end_line(&input[..at]);
                } else {
                    self.content.violate_behind(&input[..at], Violation::BareCarriageReturn);
                }
                continue;
            }
            at = match memchr3(b'\r', b'\n', 0, &input[at..]) {
                None => input.len(),
                Some(offset) => {
                    let before = &input[..at + offset];
                    match input[at + offset] {
                        b'\r' => self.returned = true,
                        b'\n' => self.content.violate_behind(before, Violation::BareLineFeed),
                        _ => self.content.violate_behind(before, Violation::Nul),
                    }
                    at + offset + 1
                }
            };
            self.content.line += at - before;
        }
        self.content.keep(input);
        self.content.received += input.len() as u64;
    }

    /// What is wrong with the message so far.
    pub fn violation(&self) -> Option<Violation> {
        self.content.violation
    }

    /// Octets received so far.
    pub fn received(&self) -> u64 {
        self.content.received
    }

    /// Octets held in memory.
    pub fn held(&self) -> usize {
        self.content.octets.len()
    }

    /// Keeps nothing from now on.
    pub fn discard(&mut self) {
        self.content.discard();
    }

    /// Condemns the message because the announced chunks exceed its size limit.
    pub fn oversize(&mut self) {
        self.content.violate(Violation::Size);
    }

    /// The message after the last chunk. A last line without CRLF gets one: DATA could not carry it to the next hop otherwise, and
    /// both canonicalizations of RFC 6376 section 3.4 add the same CRLF, so that DKIM signatures stay valid.
    pub fn finish(mut self) -> Result<Bytes, Violation> {
        if self.returned {
            self.content.violate(Violation::BareCarriageReturn);
        }
        if !self.content.octets.is_empty() && !self.content.octets.ends_with(b"\r\n") {
            self.content.octets.extend_from_slice(b"\r\n");
        }
        self.content.finish()
    }
}

#[cfg(test)]
mod tests;
