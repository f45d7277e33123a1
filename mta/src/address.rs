//! Mail addresses as types: domains, mailboxes, reverse-paths and forward-paths.
//!
//! RFC 5321 sections 4.1.2 and 4.1.3 (Path, Mailbox, address literals, quoted local-parts, source routes, which are accepted and ignored as
//! its appendix C asks), section 4.5.3.1 (length limits), RFC 6531 section 3.3 (UTF-8 local-parts and U-labels). Header address lists
//! (RFC 5322) are not read here; no name is looked up.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// In octets, quotes included. RFC 5321 section 4.5.3.1.1 demands 64; reply and service-desk addresses are longer, and refusing one would
/// lose mail. The path's limit holds anyway.
pub const MAX_LOCAL_PART: usize = 250;
/// RFC 5321 section 4.5.3.1.2, in octets, as received.
pub const MAX_DOMAIN: usize = 255;
/// RFC 5321 section 4.5.3.1.3, in octets, angle brackets included.
pub const MAX_PATH: usize = 256;
/// RFC 1035 section 2.3.4: what fits into a DNS name when written with dots.
const MAX_DNS_NAME: usize = 253;
/// RFC 1035 section 2.3.4.
const MAX_LABEL: usize = 63;

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `@` outside quotes.
    #[error("address {0:?} has no \"@\"; write local-part@domain")]
    NoAt(String),
    /// RFC 5321 section 4.5.3.1.1.
    #[error("local-part of {0} octets is longer than {MAX_LOCAL_PART}")]
    LongLocalPart(usize),
    /// RFC 5321 section 4.5.3.1.2.
    #[error("domain of {0} octets is longer than {MAX_DOMAIN}")]
    LongDomain(usize),
    /// RFC 5321 section 4.5.3.1.3.
    #[error("path of {0} octets is longer than {MAX_PATH}")]
    LongPath(usize),
    /// Neither a dot-string nor a quoted-string.
    #[error("local-part {0:?} is neither a dot-string nor a quoted-string")]
    LocalPart(String),
    /// Not a name in letters, digits and hyphens, nor valid under IDNA.
    #[error("domain {0:?} is no valid domain name; write for example \"mail.example.com\"")]
    Domain(String),
    /// Neither an IPv4 nor an IPv6 literal.
    #[error("address literal {0:?} is neither \"[192.0.2.1]\" nor \"[IPv6:2001:db8::1]\"")]
    Literal(String),
    /// No `<` at the start or no `>` at the end of the path.
    #[error("path {0:?} is not enclosed in angle brackets")]
    Brackets(String),
    /// `@a,@b:` is malformed.
    #[error("source route in {0:?} is malformed")]
    SourceRoute(String),
}

/// A domain name in its canonical form (lower case, A-labels) or an address literal such as `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Reads a domain name, with A-labels or U-labels, or an address literal.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_DOMAIN {
            return Err(AddressError::LongDomain(text.len()));
        }
        if let Some(rest) = text.strip_prefix('[') {
            return rest.strip_suffix(']').and_then(canonical_literal).ok_or_else(|| AddressError::Literal(text.to_owned()));
        }
        let canonical = canonical_name(text).ok_or_else(|| AddressError::Domain(text.to_owned()))?;
        Ok(Self(canonical.into()))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is an address literal and no name.
    pub fn is_literal(&self) -> bool {
        self.0.starts_with('[')
    }

    /// Whether this is `other` or lies below it. An address literal is only itself.
    pub fn is_same_or_subdomain_of(&self, other: &Self) -> bool {
        match self.0.strip_suffix(other.as_str()) {
            Some("") => true,
            Some(above) => above.ends_with('.') && !self.is_literal() && !other.is_literal(),
            None => false,
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.0)
    }
}

impl std::str::FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// The inside of the square brackets. A `Standardized-tag` other than IPv6 has never been registered.
fn canonical_literal(inside: &str) -> Option<Domain> {
    let text = match inside.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => format!("[IPv6:{}]", inside[5..].parse::<Ipv6Addr>().ok()?),
        _ => format!("[{}]", inside.parse::<Ipv4Addr>().ok()?),
    };
    Some(Domain(text.into()))
}

fn canonical_name(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if !lower.is_ascii() || lower.split('.').any(|label| label.starts_with("xn--")) {
        // Hyphens in positions three and four of ordinary labels exist in real host names ("r3---sn-abc").
        let name = Uts46::new().to_ascii(lower.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify).ok()?;
        return is_host_name(&name).then(|| name.into_owned());
    }
    is_host_name(&lower).then_some(lower)
}

fn is_host_name(name: &str) -> bool {
    name.len() <= MAX_DNS_NAME && name.split('.').all(is_label)
}

/// `Let-dig [Ldh-str]` of RFC 5321 section 4.1.2.
fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `local-part@domain`, kept exactly as received. Equality is that of the received text; [`Mailbox::key`] is for look-ups.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox {
    text: Arc<str>,
    at: usize,
    domain: Domain,
}

impl Mailbox {
    /// Reads `local-part@domain`, without angle brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        // The two angle brackets count.
        if text.len() + 2 > MAX_PATH {
            return Err(AddressError::LongPath(text.len() + 2));
        }
        let at = local_part_end(text).ok_or_else(|| AddressError::LocalPart(text.to_owned()))?;
        let local = &text[..at];
        if local.len() > MAX_LOCAL_PART {
            return Err(AddressError::LongLocalPart(local.len()));
        }
        if !text[at..].starts_with('@') {
            return Err(if text.contains('@') { AddressError::LocalPart(text.to_owned()) } else { AddressError::NoAt(text.to_owned()) });
        }
        let domain = Domain::parse(&text[at + 1..])?;
        Ok(Self { text: text.into(), at, domain })
    }

    /// The local-part as received, quotes included.
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// The canonical domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The address exactly as received.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the address can travel without SMTPUTF8 as it is.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// The form for look-ups: needless quotes removed, local-part in lower case, canonical domain.
    pub fn key(&self) -> String {
        let local = plain_local_part(self.local()).to_lowercase();
        format!("{local}@{}", self.domain)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({})", self.text)
    }
}

impl std::str::FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// Offset after the dot-string or quoted-string at the start of `text`.
fn local_part_end(text: &str) -> Option<usize> {
    if text.starts_with('"') {
        return quoted_string_end(text);
    }
    let end = text.find(|character| !is_atext(character) && character != '.').unwrap_or(text.len());
    text[..end].split('.').all(|atom| !atom.is_empty()).then_some(end)
}

/// Offset after the closing quote of the quoted-string at the start of `text` (RFC 5321 `Quoted-string`: no CR, LF, tab or control).
fn quoted_string_end(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    while let Some((offset, character)) = characters.next() {
        match character {
            '"' => return Some(offset + 1),
            '\\' => {
                let (_, quoted) = characters.next()?;
                if !matches!(quoted, ' '..='~') {
                    return None;
                }
            }
            ' '..='~' => {}
            _ if is_utf8_text(character) => {}
            _ => return None,
        }
    }
    None
}

/// `atext` of RFC 5322 section 3.2.3, extended by RFC 6531 section 3.3.
fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character) || is_utf8_text(character)
}

/// `UTF8-non-ascii` without what could pass for a line end or hide in a display: C1 controls, line and paragraph separators, direction marks.
fn is_utf8_text(character: char) -> bool {
    !character.is_ascii() && !character.is_control() && !matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The local-part without quotes when it is a dot-string without them.
fn plain_local_part(local: &str) -> String {
    let Some(inside) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return local.to_owned();
    };
    let mut plain = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        plain.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    if local_part_end(&plain) == Some(plain.len()) && !plain.starts_with('"') { plain } else { local.to_owned() }
}

/// From whom: the null reverse-path `<>` of notifications, or a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`
    Null,
    /// Someone to notify.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// Reads what stands between the angle brackets; nothing is the null reverse-path.
    pub fn parse(inside: &str) -> Result<Self, AddressError> {
        if inside.is_empty() { Ok(Self::Null) } else { routed_mailbox(inside).map(Self::Mailbox) }
    }

    /// The mailbox, unless this is the null reverse-path.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether the path can travel without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mailbox().map_or(Ok(()), |mailbox| mailbox.fmt(f))
    }
}

/// To whom: the postmaster without a domain, or a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>`
    Postmaster,
    /// A recipient.
    Mailbox(Mailbox),
}

impl ForwardPath {
    /// Reads what stands between the angle brackets.
    pub fn parse(inside: &str) -> Result<Self, AddressError> {
        if inside.eq_ignore_ascii_case("postmaster") { Ok(Self::Postmaster) } else { routed_mailbox(inside).map(Self::Mailbox) }
    }

    /// The mailbox, unless this is the postmaster without a domain.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether the path can travel without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("Postmaster"),
            Self::Mailbox(mailbox) => mailbox.fmt(f),
        }
    }
}

/// A mailbox behind an optional source route `@a,@b:`, which is checked and dropped (RFC 5321 appendix C).
fn routed_mailbox(inside: &str) -> Result<Mailbox, AddressError> {
    if inside.len() + 2 > MAX_PATH {
        return Err(AddressError::LongPath(inside.len() + 2));
    }
    if !inside.starts_with('@') {
        return Mailbox::parse(inside);
    }
    let malformed = || AddressError::SourceRoute(inside.to_owned());
    // A colon also occurs in IPv6 literals; the route ends at the first one outside square brackets.
    let mut in_literal = false;
    let end = inside
        .bytes()
        .position(|octet| {
            in_literal = (in_literal || octet == b'[') && octet != b']';
            octet == b':' && !in_literal
        })
        .ok_or_else(malformed)?;
    for hop in inside[..end].split(',') {
        Domain::parse(hop.strip_prefix('@').ok_or_else(malformed)?)?;
    }
    Mailbox::parse(&inside[end + 1..])
}

/// Splits `<path> rest` into the inside of the angle brackets and what follows; a `>` inside a quoted-string does not end the path.
pub fn split_path(text: &str) -> Result<(&str, &str), AddressError> {
    let missing = || AddressError::Brackets(text.to_owned());
    let inside = text.strip_prefix('<').ok_or_else(missing)?;
    let mut quoted = false;
    let mut escaped = false;
    for (offset, octet) in inside.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Ok((&inside[..offset], &inside[offset + 1..])),
            _ => {}
        }
    }
    Err(missing())
}

#[cfg(test)]
mod tests;
