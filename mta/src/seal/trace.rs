//! The Received field that we add, and what the others tell about loops.
//!
//! RFC 5321 section 4.4 (syntax), RFC 3848 and RFC 6531 section 4.3 (`with` words). Received is never signed. The way back through other
//! hosts is not judged here, only counted.

use std::net::IpAddr;
use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::SealError;
use crate::address::ForwardPath;
use crate::header::{encode, fields};
use crate::message::{Accepted, Peer};

/// One message passes us once for each tenant that forwards it; more often than this is a loop whatever the total is.
pub const MAX_OWN_PASSES: usize = 4;

/// How many hosts a message has been through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hops {
    /// Received fields.
    pub received: usize,
    /// Those that this host wrote.
    pub own: usize,
}

/// Counts the Received fields of `content`; `hostname` is ours.
pub fn hops(content: &[u8], hostname: &str) -> Hops {
    let mut hops = Hops { received: 0, own: 0 };
    for field in fields(content).filter(|field| field.is("Received")) {
        hops.received += 1;
        let text = field.text();
        let mut words = text.split(' ');
        let by_us =
            words.any(|word| word.eq_ignore_ascii_case("by")) && words.next().is_some_and(|host| host.eq_ignore_ascii_case(hostname));
        hops.own += usize::from(by_us);
    }
    hops
}

/// Our Received field. `only` is the recipient when the copy has one: naming one of several would tell him of the others.
pub(super) fn received(accepted: &Accepted, hostname: &str, only: Option<&ForwardPath>, now: SystemTime) -> Result<Vec<u8>, SealError> {
    let peer = &accepted.peer;
    let mut value = format!("from {} ({})", said(&peer.helo), literal(peer.address.ip()));
    if let Some(tls) = &peer.tls {
        value.push_str(&format!(" (using {} with cipher {})", said(tls.version), said(&tls.cipher)));
    }
    value.push_str(&format!(" by {hostname} with {} id {}", with(peer, accepted.envelope.parameters().smtputf8), said(&accepted.id)));
    if let Some(path) = only {
        value.push_str(&format!(" for <{path}>"));
    }
    let date = OffsetDateTime::from(now).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH).format(&Rfc2822);
    value.push_str("; ");
    value.push_str(&date.map_err(|_| SealError::Clock)?);
    Ok(encode("Received", &value)?)
}

fn with(peer: &Peer, smtputf8: bool) -> String {
    let base = match (smtputf8, peer.extended) {
        (true, _) => "UTF8SMTP",
        (false, true) => "ESMTP",
        // RFC 3848 has no word for TLS without EHLO; STARTTLS needs EHLO anyway.
        (false, false) => return "SMTP".to_owned(),
    };
    let secure = if peer.tls.is_some() { "S" } else { "" };
    let login = if peer.login.is_some() { "A" } else { "" };
    format!("{base}{secure}{login}")
}

fn literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

/// What the peer said, as far as it can stand in the field without changing its meaning.
fn said(text: &str) -> &str {
    let harmless = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:[]".contains(&octet);
    if !text.is_empty() && text.len() <= crate::address::MAX_DOMAIN && text.bytes().all(harmless) { text } else { "unknown" }
}

#[cfg(test)]
mod tests;
