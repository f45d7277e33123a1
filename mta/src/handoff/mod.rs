//! How a message leaves: to which next hop, over which connection, and what the sender is told.
//!
//! RFC 5321 sections 3.6, 4.2.5 and 6.1. Pass-through is the handoff so far: the sender gets the next hop's own answers, and the only success
//! it can be told of is a [`HandedOff`], which exists only when the next hop has taken every copy. It edits nothing and keeps no content.

pub mod ledger;
pub mod pass_through;
pub mod pool;

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use crate::smtp::client::{ClientError, Phase, Target, Timeouts};
use crate::smtp::reply::Reply;
use crate::tenant::TenantId;

pub use ledger::{Ledger, LedgerSettings, Receipt, Unconfirmed};
pub use pass_through::{Transaction, deliver_late};
pub use pool::Pool;

/// Where a tenant's mail goes and on which terms.
#[derive(Clone, Debug)]
pub struct Route {
    /// Whose mail.
    pub tenant: TenantId,
    /// The next hop: a name or an IP address.
    pub host: String,
    /// Usually 25.
    pub port: u16,
    /// The name that its certificate must carry.
    pub server_name: String,
    /// Without it the next hop must be on this machine.
    pub tls: Option<Arc<ClientConfig>>,
    /// The client certificate's fingerprint; empty without one.
    pub identity: String,
    /// What we call ourselves in EHLO.
    pub hello: String,
    /// Bounds.
    pub limits: RouteLimits,
}

impl Route {
    pub(crate) fn target(&self) -> Target {
        Target {
            host: self.host.clone(),
            port: self.port,
            server_name: self.server_name.clone(),
            tls: self.tls.clone(),
            hello: self.hello.clone(),
            timeouts: self.limits.timeouts.clone(),
        }
    }
}

/// The bounds of one tenant's way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteLimits {
    /// Connections at a time.
    pub connections: usize,
    /// How long a transaction waits for one of them.
    pub wait: Duration,
    /// Contents sent over one connection before it is replaced.
    pub messages_per_connection: u32,
    /// How long a connection stays open without work; zero switches reuse off.
    pub idle: Duration,
    /// How long the sender waits for the answer to RCPT, everything included.
    pub recipient_within: Duration,
    /// How long the sender waits for the answer to the end of data, counted from when the copies are ready.
    pub deliver_within: Duration,
    /// The limits of each step with the next hop.
    pub timeouts: Timeouts,
}

impl Default for RouteLimits {
    fn default() -> Self {
        Self {
            // One is taken from the first RCPT to the end of data, so slow senders hold theirs for long.
            connections: 50,
            wait: Duration::from_secs(30),
            // Exchange Online spreads load by connection; long-lived ones pin it to one front end.
            messages_per_connection: 20,
            // Below the two minutes after which common servers close with 421.
            idle: Duration::from_secs(60),
            // RFC 5321 section 4.5.3.2.3: clients wait five minutes for RCPT. They must get our 451 before they give up.
            recipient_within: Duration::from_secs(4 * 60),
            // RFC 5321 section 4.5.3.2.6: clients wait ten minutes. One that gives up earlier than we do would send again what may arrive.
            deliver_within: Duration::from_secs(9 * 60),
            timeouts: Timeouts::default(),
        }
    }
}

/// Evidence that the next hop has the message: all copies, for all recipients. The 250 to the sender is built from this and nothing else.
#[derive(Debug)]
pub struct HandedOff {
    reply: Reply,
    copies: usize,
    repeated: bool,
    receipt: Option<Receipt>,
}

impl HandedOff {
    /// What the sender is told.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    /// How many copies were sent now.
    pub fn copies(&self) -> usize {
        self.copies
    }

    /// Whether an earlier attempt had delivered some or all of it.
    pub fn is_repeat(&self) -> bool {
        self.repeated
    }

    /// For [`Ledger::hold`], until the sender has shown that it has our answer; nothing where the message has no name to know it by.
    pub fn into_receipt(self) -> Option<Receipt> {
        self.receipt
    }
}

/// The message, or part of it, was not handed off.
#[derive(Debug)]
pub struct Undelivered {
    /// What the sender is told: always 4yz or 5yz.
    pub reply: Reply,
    /// What happened, for the log; `None` when the next hop's own answer says it all.
    pub trouble: Option<Trouble>,
    /// Recipients that have their copy nevertheless; a retry leaves them out.
    pub delivered: usize,
}

/// Why the next hop has not taken a message although it may be fine.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The dialogue failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// All connections to the next hop were in use for too long.
    #[error("all {connections} connections to the next hop are in use; raise the limit, or find out why it is slow")]
    Saturated {
        /// The limit.
        connections: usize,
    },
    /// The sender would not wait longer.
    #[error("the next hop was not done within {} s; check its load", limit.as_secs_f32())]
    Deadline {
        /// The limit.
        limit: Duration,
    },
    /// The same message to one of the same recipients is being handed off over another connection.
    #[error("the same message is being handed off already; it is answered when that is done")]
    Repeated,
    /// The copies leave out a recipient, name one twice, or name one that does not exist.
    #[error("the copies do not cover each of {recipients} recipients once; this is a defect of Signet, report it")]
    Copies {
        /// How many there are.
        recipients: usize,
    },
}

impl Trouble {
    /// What the sender is told. Always 4yz: it keeps the message and tries again.
    pub fn reply(&self) -> Reply {
        match self {
            Self::Client(error) => client_reply(error),
            Self::Saturated { .. } => Reply::new(451, (4, 3, 2), "next hop is busy, try again later"),
            Self::Deadline { .. } => Reply::new(451, (4, 4, 1), "next hop did not answer in time"),
            Self::Repeated => Reply::new(451, (4, 5, 0), "this message is being delivered over another connection"),
            Self::Copies { .. } => Reply::local_error(),
        }
    }
}

fn client_reply(error: &ClientError) -> Reply {
    match error {
        ClientError::Resolve { .. } => Reply::new(451, (4, 4, 3), "next hop cannot be resolved"),
        ClientError::Connect { .. } => Reply::new(451, (4, 4, 1), "no answer from next hop"),
        ClientError::Refused { reply, .. } => {
            // The next hop refuses us, not this message: 5yz there must not become a bounce here (RFC 5321 section 4.2.5).
            Reply::new(451, (4, 4, 1), format!("next hop refuses the session with {}", reply.code))
        }
        ClientError::NoStartTls => Reply::new(451, (4, 7, 4), "next hop does not offer STARTTLS"),
        ClientError::Tls { .. } | ClientError::Injected { .. } => Reply::new(451, (4, 7, 5), "no trusted TLS session with next hop"),
        ClientError::Malformed { .. } => Reply::new(451, (4, 5, 0), "next hop does not follow the protocol"),
        ClientError::Plaintext { .. } | ClientError::ControlCharacter => Reply::local_error(),
        ClientError::Timeout { phase, .. } | ClientError::Closed { phase } | ClientError::Io { phase, .. } => match phase {
            Phase::Connect | Phase::Greeting | Phase::Hello | Phase::StartTls | Phase::Handshake => {
                Reply::new(451, (4, 4, 1), "no answer from next hop")
            }
            Phase::Final => Reply::new(451, (4, 4, 2), "next hop did not confirm the message"),
            Phase::Envelope | Phase::Data | Phase::Content | Phase::Reset => Reply::new(451, (4, 4, 2), "connection to next hop was lost"),
        },
    }
}
