//! What a next hop offers, and the MAIL and RCPT lines that make use of it.
//!
//! RFC 5321 section 4.1.1.1, RFC 1870, RFC 2920, RFC 3030, RFC 3461, RFC 6152, RFC 6531. Parameters of an extension that is not offered
//! are left out here; whether the message may be sent without them is decided in `handoff`.

use std::fmt::Write as _;

use crate::address::{ForwardPath, ReversePath};
use crate::message::{Body, MailParameters, Recipient, Ret};
use crate::smtp::reply::Reply;

/// The service extensions of a next hop that matter to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// SIZE (RFC 1870) is offered.
    pub size: bool,
    /// The largest content it takes; `None` when it names no limit.
    pub size_limit: Option<u64>,
}

impl Extensions {
    /// Reads the reply to EHLO. Its first line is the greeting.
    pub fn parse(reply: &Reply) -> Self {
        let mut found = Self::default();
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "STARTTLS" => found.starttls = true,
                "PIPELINING" => found.pipelining = true,
                "8BITMIME" => found.eight_bit_mime = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "CHUNKING" => found.chunking = true,
                "DSN" => found.dsn = true,
                "SIZE" => {
                    found.size = true;
                    // RFC 1870 section 4: zero means that no fixed limit is in force.
                    found.size_limit = words.next().and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
                }
                _ => {}
            }
        }
        found
    }
}

/// What a copy gains, as far as that is known before the message is: trace fields, seals, and a signature with its images. RFC 1870 section 6.1
/// asks for an estimate that is not too small.
const ROOM: u64 = 64 * 1024;

/// The MAIL command. `size` is the size of the copy once it is known; until then the declared size stands, with room for what we add.
pub fn mail(reverse_path: &ReversePath, parameters: &MailParameters, size: Option<u64>, offered: &Extensions) -> String {
    let mut line = format!("MAIL FROM:<{reverse_path}>");
    let ascii = reverse_path.mailbox().is_none_or(|mailbox| mailbox.is_ascii());
    if offered.smtputf8 && (parameters.smtputf8 || !ascii) {
        line.push_str(" SMTPUTF8");
    }
    if offered.eight_bit_mime {
        match parameters.body {
            Some(Body::SevenBit) => line.push_str(" BODY=7BIT"),
            Some(Body::EightBitMime) => line.push_str(" BODY=8BITMIME"),
            None => {}
        }
    }
    let limit = offered.size_limit.unwrap_or(u64::MAX);
    let estimate = || parameters.size.map(|declared| declared.max(limit.min(declared.saturating_add(ROOM))));
    if let Some(size) = size.or_else(estimate).filter(|_| offered.size) {
        let _infallible = write!(line, " SIZE={size}");
    }
    if offered.dsn {
        match parameters.ret {
            Some(Ret::Full) => line.push_str(" RET=FULL"),
            Some(Ret::Hdrs) => line.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = &parameters.envid {
            let _infallible = write!(line, " ENVID={envid}");
        }
    }
    line
}

/// The RCPT command.
pub fn rcpt(recipient: &Recipient, offered: &Extensions) -> String {
    let mut line = match &recipient.path {
        ForwardPath::Postmaster => "RCPT TO:<Postmaster>".to_owned(),
        ForwardPath::Mailbox(mailbox) => format!("RCPT TO:<{}>", mailbox.as_str()),
    };
    if offered.dsn {
        if let Some(notify) = &recipient.notify {
            let _infallible = write!(line, " NOTIFY={notify}");
        }
        if let Some(orcpt) = &recipient.orcpt {
            let _infallible = write!(line, " ORCPT={orcpt}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Mailbox;

    fn all() -> Extensions {
        let lines = ["next.example greets", "PIPELINING", "size 1000", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "STARTTLS", "X-OTHER 1"];
        Extensions::parse(&Reply { code: 250, enhanced: None, lines: lines.map(str::to_owned).to_vec() })
    }

    fn parameters() -> MailParameters {
        MailParameters {
            body: Some(Body::EightBitMime),
            size: Some(77),
            ret: Some(Ret::Hdrs),
            envid: Some("QQ+2B".to_owned()),
            smtputf8: true,
        }
    }

    fn alice() -> ReversePath {
        ReversePath::Mailbox(Mailbox::parse("alice@example.com").expect("address"))
    }

    #[test]
    fn extensions_are_read_whatever_their_case() {
        let found = all();
        assert!(found.starttls && found.pipelining && found.eight_bit_mime && found.smtputf8 && found.chunking && found.dsn && found.size);
        assert_eq!(found.size_limit, Some(1000));
    }

    #[test]
    fn a_size_of_zero_is_no_limit() {
        let lines = vec!["next.example".to_owned(), "SIZE 0".to_owned()];
        let found = Extensions::parse(&Reply { code: 250, enhanced: None, lines });
        assert_eq!((found.size, found.size_limit), (true, None));
    }

    #[test]
    fn the_declared_size_gets_room_for_what_is_added_within_the_next_hops_limit() {
        let offered = |limit| Extensions { size: true, size_limit: limit, ..Extensions::default() };
        for (declared, limit, announced) in [(77, None, 77 + ROOM), (77, Some(1000), 1000), (2000, Some(1000), 2000)] {
            let parameters = MailParameters { size: Some(declared), ..MailParameters::default() };
            assert_eq!(mail(&alice(), &parameters, None, &offered(limit)), format!("MAIL FROM:<alice@example.com> SIZE={announced}"));
        }
    }

    #[test]
    fn all_envelope_parameters_travel_on() {
        let line = mail(&alice(), &parameters(), Some(77), &all());
        assert_eq!(line, "MAIL FROM:<alice@example.com> SMTPUTF8 BODY=8BITMIME SIZE=77 RET=HDRS ENVID=QQ+2B");
        let path = ForwardPath::Mailbox(Mailbox::parse("Bob@example.net").expect("address"));
        let recipient = Recipient { path, notify: Some("SUCCESS,DELAY".to_owned()), orcpt: Some("rfc822;b@x".to_owned()) };
        assert_eq!(rcpt(&recipient, &all()), "RCPT TO:<Bob@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@x");
    }

    #[test]
    fn parameters_of_extensions_that_are_not_offered_are_left_out() {
        let none = Extensions::default();
        assert_eq!(mail(&ReversePath::Null, &parameters(), Some(9), &none), "MAIL FROM:<>");
        let recipient = Recipient { path: ForwardPath::Postmaster, notify: Some("NEVER".to_owned()), orcpt: None };
        assert_eq!(rcpt(&recipient, &none), "RCPT TO:<Postmaster>");
    }
}
