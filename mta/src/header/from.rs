//! Whom a message says it is from, when it says exactly one thing.
//!
//! RFC 5322 sections 3.4 and 3.6.2 allow several addresses and groups in From; DMARC (RFC 9989 section 5.7) and our tenants need one
//! address. Everything that two readers could understand differently is a fault here: two fields, two addresses, a group, a source route,
//! text after the closing bracket. Display names are skipped, not decoded.

use super::fields;
use crate::address::Mailbox;

/// Why From does not name one author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorFault {
    /// No From field.
    Absent,
    /// More than one From field.
    SeveralFields,
    /// More than one address.
    SeveralAddresses,
    /// `name: a, b;`
    Group,
    /// Not an address, or not one in all readers' eyes.
    Malformed,
}

impl AuthorFault {
    /// For logs and Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "no From field",
            Self::SeveralFields => "several From fields",
            Self::SeveralAddresses => "several addresses in From",
            Self::Group => "a group in From",
            Self::Malformed => "malformed From",
        }
    }
}

/// The one address in the one From field of `content`.
pub fn author(content: &[u8]) -> Result<Mailbox, AuthorFault> {
    let mut named = fields(content).filter(|field| field.is("From"));
    let field = named.next().ok_or(AuthorFault::Absent)?;
    if named.next().is_some() {
        return Err(AuthorFault::SeveralFields);
    }
    only_mailbox(&field.unfolded())
}

/// The address in the one Sender field of `content` (RFC 5322 section 3.6.2): who sent it for the author. Nothing where there is no such field, several,
/// or one that does not name one mailbox.
pub fn sender(content: &[u8]) -> Option<Mailbox> {
    let mut named = fields(content).filter(|field| field.is("Sender"));
    let field = named.next()?;
    if named.next().is_some() { None } else { only_mailbox(&field.unfolded()).ok() }
}

#[derive(Default)]
struct Scan {
    /// Outside of brackets and comments: the display name, or the bare address.
    outside: Vec<u8>,
    /// Inside of the angle brackets.
    inside: Option<Vec<u8>>,
    in_angle: bool,
}

impl Scan {
    fn push(&mut self, octet: u8) -> Result<(), AuthorFault> {
        match &mut self.inside {
            Some(inside) if self.in_angle => inside.push(octet),
            Some(_) if octet == b' ' || octet == b'\t' => {}
            Some(_) => return Err(AuthorFault::Malformed),
            None => self.outside.push(octet),
        }
        Ok(())
    }

    fn special(&mut self, octet: u8) -> Result<(), AuthorFault> {
        match octet {
            b'<' if self.inside.is_none() => {
                self.inside = Some(Vec::new());
                self.in_angle = true;
            }
            b'<' if !self.in_angle => return Err(AuthorFault::SeveralAddresses),
            b'>' if self.in_angle => self.in_angle = false,
            b',' if !self.in_angle => return Err(AuthorFault::SeveralAddresses),
            b':' | b';' if !self.in_angle => return Err(AuthorFault::Group),
            _ => return Err(AuthorFault::Malformed),
        }
        Ok(())
    }
}

fn only_mailbox(value: &[u8]) -> Result<Mailbox, AuthorFault> {
    let mut scan = Scan::default();
    let mut octets = value.iter().copied();
    let mut comments = 0usize;
    let mut quoted = false;
    let mut literal = false;
    while let Some(octet) = octets.next() {
        if comments > 0 {
            match octet {
                b'\\' => drop(octets.next()),
                b'(' => comments += 1,
                b')' => comments -= 1,
                _ => {}
            }
        } else if quoted {
            scan.push(octet)?;
            match octet {
                b'\\' => scan.push(octets.next().ok_or(AuthorFault::Malformed)?)?,
                b'"' => quoted = false,
                _ => {}
            }
        } else {
            match octet {
                b'(' => comments = 1,
                b'<' | b'>' | b',' | b';' => scan.special(octet)?,
                b':' if !literal => scan.special(octet)?,
                _ => {
                    quoted = octet == b'"';
                    literal = (literal || octet == b'[') && octet != b']';
                    scan.push(octet)?;
                }
            }
        }
    }
    if comments > 0 || quoted || scan.in_angle {
        return Err(AuthorFault::Malformed);
    }
    let address = scan.inside.unwrap_or(scan.outside);
    let text = std::str::from_utf8(address.trim_ascii()).map_err(|_| AuthorFault::Malformed)?;
    Mailbox::parse(text).map_err(|_| AuthorFault::Malformed)
}
