//! Replies: ours to the peer, and the next hop's to us.
//!
//! RFC 5321 section 4.2 (syntax, multi-line replies, code 421), RFC 2034 (enhanced codes on every line), RFC 3463 (their meaning). A reply that
//! the next hop gave is rendered again octet for octet, except that control characters and octets outside UTF-8 are replaced. What a
//! reply means for a transaction is decided elsewhere.

use memchr::memchr;

/// Class, subject and detail of RFC 3463.
pub type EnhancedCode = (u8, u16, u16);

/// Lines in one reply of a next hop. The longest real ones (EHLO, policy texts) have about thirty.
pub const MAX_LINES: usize = 128;
/// Octets in one line of a next hop's reply, CRLF included. RFC 5321 section 4.5.3.1.5 says 512; links in real refusals are longer.
pub const MAX_LINE: usize = 2048;

/// One SMTP reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// Stands in front of the text on every line.
    pub enhanced: Option<EnhancedCode>,
    /// The text of each line; at least one, which may be empty.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply with one line and an enhanced code.
    pub fn new(code: u16, enhanced: EnhancedCode, text: impl Into<String>) -> Self {
        Self { code, enhanced: Some(enhanced), lines: vec![text.into()] }
    }

    /// A reply without an enhanced code, as the greeting and the answer to EHLO are (RFC 2034 section 3).
    pub fn plain<T: Into<String>>(code: u16, lines: impl IntoIterator<Item = T>) -> Self {
        Self { code, enhanced: None, lines: lines.into_iter().map(Into::into).collect() }
    }

    /// 2yz
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3yz
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4yz
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Appends the octets for the wire. A control character in a text becomes a space, so that no text can begin a second reply.
    pub fn render(&self, wire: &mut Vec<u8>) {
        let prefix = self.enhanced.map(|(class, subject, detail)| format!("{class}.{subject}.{detail}")).unwrap_or_default();
        let empty = [String::new()];
        let lines = if self.lines.is_empty() { &empty[..] } else { &self.lines };
        for (index, line) in lines.iter().enumerate() {
            let last = index + 1 == lines.len();
            wire.extend_from_slice(self.code.to_string().as_bytes());
            if !last {
                wire.push(b'-');
            } else if !prefix.is_empty() || !line.is_empty() || self.code == 334 {
                // RFC 4954 section 4: an empty challenge keeps its space.
                wire.push(b' ');
            }
            wire.extend_from_slice(prefix.as_bytes());
            if !prefix.is_empty() && !line.is_empty() {
                wire.push(b' ');
            }
            wire.extend(line.bytes().map(|octet| if is_control(octet) { b' ' } else { octet }));
            wire.extend_from_slice(b"\r\n");
        }
    }

    /// The octets for the wire.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(64);
        self.render(&mut wire);
        wire
    }

    /// 421 4.4.2: the peer was silent for too long (RFC 5321 section 4.5.3.2.7).
    pub fn timeout() -> Self {
        Self::new(421, (4, 4, 2), "timeout, closing the connection")
    }

    /// 421 4.3.2: this server stops (RFC 5321 section 3.8).
    pub fn shutdown() -> Self {
        Self::new(421, (4, 3, 2), "service is shutting down, try again")
    }

    /// 421 4.3.2: no further connection is taken now.
    pub fn too_many_connections() -> Self {
        Self::new(421, (4, 3, 2), "too many connections, try again later")
    }

    /// 451 4.3.0: something failed here; the peer shall try again.
    pub fn local_error() -> Self {
        Self::new(451, (4, 3, 0), "local error, try again later")
    }

    /// 452 4.3.1: no room for the message now.
    pub fn out_of_room() -> Self {
        Self::new(452, (4, 3, 1), "insufficient system resources, try again later")
    }

    /// 530 5.7.0: RFC 4954 section 6.
    pub fn authentication_required() -> Self {
        Self::new(530, (5, 7, 0), "authentication required")
    }

    /// 550 5.7.1: the peer has not proven that it may send this.
    pub fn not_permitted() -> Self {
        Self::new(550, (5, 7, 1), "delivery not authorized, message refused")
    }
}

fn is_control(octet: u8) -> bool {
    octet < b' ' && octet != b'\t' || octet == 0x7f
}

/// Why octets are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line feed without a carriage return before it.
    #[error("reply has a bare line feed")]
    BareLineFeed,
    /// A carriage return without a line feed after it.
    #[error("reply has a bare carriage return")]
    BareCarriageReturn,
    /// More than [`MAX_LINE`].
    #[error("reply has a line of more than {MAX_LINE} octets")]
    LongLine,
    /// More than [`MAX_LINES`].
    #[error("reply has more than {MAX_LINES} lines")]
    ManyLines,
    /// Not three digits and a space or hyphen, or not in 200 to 599.
    #[error("reply line does not begin with a code from 200 to 599")]
    Code,
    /// Lines of one reply with different codes.
    #[error("reply has lines with code {0} and code {1}")]
    MixedCodes(u16, u16),
}

/// Reads replies from octets that arrive in any division.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    code: Option<u16>,
    lines: Vec<String>,
}

impl Parser {
    /// Waits for the first line of a reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no part of a reply has been read.
    pub fn is_idle(&self) -> bool {
        self.line.is_empty() && self.lines.is_empty()
    }

    /// Reads up to the end of one reply. Answers how many octets were used and the reply when it is complete; call again with the rest.
    /// After an error nothing can be said about where the next reply begins: close the connection.
    pub fn feed(&mut self, octets: &[u8]) -> Result<(usize, Option<Reply>), ReplyError> {
        let mut used = 0;
        while let Some(end) = memchr(b'\n', &octets[used..]) {
            self.append(&octets[used..=used + end])?;
            used += end + 1;
            if let Some(reply) = self.finish_line()? {
                return Ok((used, Some(reply)));
            }
        }
        self.append(&octets[used..])?;
        Ok((octets.len(), None))
    }

    fn append(&mut self, octets: &[u8]) -> Result<(), ReplyError> {
        if self.line.len() + octets.len() > MAX_LINE {
            return Err(ReplyError::LongLine);
        }
        self.line.extend_from_slice(octets);
        Ok(())
    }

    fn finish_line(&mut self) -> Result<Option<Reply>, ReplyError> {
        let line = std::mem::take(&mut self.line);
        let text = line.strip_suffix(b"\r\n").ok_or(ReplyError::BareLineFeed)?;
        if memchr(b'\r', text).is_some() {
            return Err(ReplyError::BareCarriageReturn);
        }
        if self.lines.len() == MAX_LINES {
            return Err(ReplyError::ManyLines);
        }
        let (code, more, text) = split_line(text).ok_or(ReplyError::Code)?;
        let first = *self.code.get_or_insert(code);
        if first != code {
            return Err(ReplyError::MixedCodes(first, code));
        }
        self.lines.push(text);
        if more {
            return Ok(None);
        }
        self.code = None;
        Ok(Some(with_enhanced_code(code, std::mem::take(&mut self.lines))))
    }
}

/// Code, whether lines follow, and the text.
fn split_line(line: &[u8]) -> Option<(u16, bool, String)> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    let (more, text) = match rest.split_first() {
        None => (false, &b""[..]),
        Some((b' ', text)) => (false, text),
        Some((b'-', text)) => (true, text),
        Some(_) => return None,
    };
    let text = String::from_utf8_lossy(text)
        .chars()
        .map(|character| if character.is_control() && character != '\t' { '?' } else { character })
        .collect();
    (200..600).contains(&code).then_some((code, more, text))
}

/// Lifts the enhanced code out of the text when every line has the same one; otherwise the text stays as it is, to be passed on exactly.
fn with_enhanced_code(code: u16, lines: Vec<String>) -> Reply {
    let Some(enhanced) = lines.first().and_then(|line| enhanced_code(code, line)) else {
        return Reply { code, enhanced: None, lines };
    };
    let prefix = format!("{}.{}.{}", enhanced.0, enhanced.1, enhanced.2);
    let rests: Option<Vec<String>> = lines
        .iter()
        .map(|line| match line.strip_prefix(&prefix)? {
            "" => Some(String::new()),
            rest => rest.strip_prefix(' ').filter(|text| !text.is_empty()).map(str::to_owned),
        })
        .collect();
    match rests {
        Some(lines) => Reply { code, enhanced: Some(enhanced), lines },
        None => Reply { code, enhanced: None, lines },
    }
}

/// The enhanced code at the start of `text`, if its class is that of `code` (RFC 2034 section 4).
fn enhanced_code(code: u16, text: &str) -> Option<EnhancedCode> {
    let word = text.split(' ').next()?;
    let mut numbers = word.split('.');
    let class = number(numbers.next()?)?;
    let (subject, detail) = (number(numbers.next()?)?, number(numbers.next()?)?);
    let class = u8::try_from(class).ok().filter(|class| u16::from(*class) == code / 100)?;
    numbers.next().is_none().then_some((class, subject, detail))
}

/// One to three digits without needless zeros (RFC 3463 section 2).
fn number(digits: &str) -> Option<u16> {
    let valid = (1..=3).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    valid.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
