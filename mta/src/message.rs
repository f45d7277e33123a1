//! From whom, to whom, which octets: the values that later stages share.
//!
//! RFC 5321 section 2.3.1 (envelope and content), RFC 3461 (DSN parameters), RFC 6152, RFC 6531. An [`Envelope`] is built by
//! `smtp::session` only, and only with a [`Permit`]; an [`Accepted`] message is built at the end of data only. Nothing here does I/O.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::address::{ForwardPath, ReversePath};
use crate::tenant::Permit;

/// What is known of the other end of a connection before it says anything about mail.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address: the socket's, or what a trusted PROXY header says.
    pub address: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// The name it gave in EHLO or HELO.
    pub helo: String,
    /// Whether it said EHLO.
    pub extended: bool,
    /// The TLS session, if there is one.
    pub tls: Option<Tls>,
    /// The login it proved by SMTP AUTH.
    pub login: Option<Arc<str>>,
}

/// A TLS session as the peer negotiated it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite's IANA name.
    pub cipher: String,
    /// The server name that the client asked for (RFC 6066), lower case.
    pub server_name: Option<String>,
    /// The client's certificate, verified against the configured roots.
    pub client: Option<ClientCertificate>,
}

/// A client certificate whose chain the handshake has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// DNS names of its subject alternative names, lower case; the common name when it has none.
    pub names: Vec<String>,
    /// Lower-case hexadecimal SHA-256 of its DER form.
    pub sha256: String,
}

/// MAIL FROM parameters that travel to the next hop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// `BODY=` (RFC 6152).
    pub body: Option<Body>,
    /// `SIZE=` as declared (RFC 1870), in octets.
    pub size: Option<u64>,
    /// `RET=` (RFC 3461).
    pub ret: Option<Ret>,
    /// `ENVID=` in its xtext form (RFC 3461).
    pub envid: Option<String>,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
}

/// RFC 6152 body type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `7BIT`
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
}

/// RFC 3461 section 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// `FULL`
    Full,
    /// `HDRS`
    Hdrs,
}

/// One forward-path with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// To whom.
    pub path: ForwardPath,
    /// `NOTIFY=` (RFC 3461), as received, upper case.
    pub notify: Option<String>,
    /// `ORCPT=` (RFC 3461), as received.
    pub orcpt: Option<String>,
}

/// A mail transaction's envelope. Exists only after an accepted RCPT, and only for a peer that `tenant` permitted.
#[derive(Clone, Debug)]
pub struct Envelope {
    permit: Permit,
    reverse_path: ReversePath,
    parameters: MailParameters,
    recipients: Vec<Recipient>,
}

impl Envelope {
    /// The envelope after its first accepted recipient.
    pub(crate) fn new(permit: Permit, reverse_path: ReversePath, parameters: MailParameters, first: Recipient) -> Self {
        Self { permit, reverse_path, parameters, recipients: vec![first] }
    }

    /// Adds a further accepted recipient.
    pub(crate) fn add(&mut self, recipient: Recipient) {
        self.recipients.push(recipient);
    }

    /// Evidence that the peer may send, and for which tenants.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// From whom.
    pub fn reverse_path(&self) -> &ReversePath {
        &self.reverse_path
    }

    /// The MAIL FROM parameters.
    pub fn parameters(&self) -> &MailParameters {
        &self.parameters
    }

    /// To whom; never empty, in the order of the RCPT commands.
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }
}

/// A complete message whose responsibility we have not taken yet. Its octets are shared and immutable: lines end in CRLF, there is no
/// bare CR, bare LF or NUL, and dot-stuffing is undone.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Identifies the message in logs and in our Received field.
    pub id: Arc<str>,
    /// Who handed it over.
    pub peer: Arc<Peer>,
    /// From whom and to whom.
    pub envelope: Arc<Envelope>,
    /// Header, empty line, body.
    pub content: Bytes,
    /// When its last octet arrived.
    pub received: SystemTime,
}
