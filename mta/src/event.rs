//! One record a message: what was decided about it, by which stage and why, and how long that took.
//!
//! The record is what operators search in the log, what `signet demo` prints and what tests assert. It holds no message content: no
//! subject, no body text, no header values beyond the factors that attributed the tenant.

use serde::Serialize;

/// Everything that Signet decided about one message.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MessageEvent {
    /// Identifies the message in logs and in our Received field.
    pub id: String,
    /// The peer's address.
    pub peer: String,
    /// The name that the peer gave in EHLO or HELO.
    pub helo: String,
    /// TLS version and cipher suite, empty for plaintext.
    pub tls: String,
    /// The attributed tenant's id, empty when none was.
    pub tenant: String,
    /// The factors that led to the tenant verdict.
    pub factors: Vec<Factor>,
    /// The reverse-path, empty for the null reverse-path.
    pub reverse_path: String,
    /// Number of recipients.
    pub recipients: usize,
    /// Octets received.
    pub size: usize,
    /// RFC 8601 result words.
    pub authentication: Authentication,
    /// Whether the From domain is proven, and by what or why not.
    pub alignment: String,
    /// `new`, `reply` or `forward`.
    pub kind: &'static str,
    /// Why the message as a whole is not edited, empty when it may be.
    pub passed: String,
    /// Loop tokens that were not ours; they are removed.
    pub look_alikes: usize,
    /// One entry an outgoing copy.
    pub copies: Vec<CopyEvent>,
    /// The plugin outcome class, empty when all calls answered.
    pub fault: String,
    /// The reply that the peer got at the end of data: code, enhanced code, text.
    pub reply: String,
    /// Refused, delivered, deferred: what the reply means.
    pub outcome: &'static str,
    /// Microseconds spent, by stage.
    pub micros: Micros,
}

/// One factor of the tenant verdict.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Factor {
    /// `network`, `certificate`, `server-name`, `login`, `reverse-path`, `cross-tenant-id`, ...
    pub name: &'static str,
    /// Whether it agrees.
    pub agrees: bool,
    /// What was seen, cut to 128 characters.
    pub value: String,
}

/// Result words of the checks.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Authentication {
    /// RFC 7208.
    pub spf: &'static str,
    /// RFC 6376.
    pub dkim: &'static str,
    /// RFC 9989.
    pub dmarc: &'static str,
    /// RFC 8617.
    pub arc: &'static str,
}

/// One outgoing copy.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CopyEvent {
    /// How many recipients receive it.
    pub recipients: usize,
    /// Ids of the signatures that were added, from top to bottom.
    pub signatures: Vec<String>,
    /// Why these, or why none.
    pub reason: String,
    /// Every rule with why it did or did not apply; not logged, because it may be long.
    #[serde(skip)]
    pub explanation: Vec<String>,
    /// Where each went: the part, the boundary rule that decided, the confidence.
    pub placements: Vec<String>,
    /// Whether a body had to be written anew in another charset or encoding; otherwise octets were only added.
    pub rewritten: bool,
    /// Whether a trigger word was taken out of the subject.
    pub subject_changed: bool,
    /// Which seals were written: `dkim=DOMAIN/SELECTOR`, `arc=i`.
    pub seals: Vec<String>,
    /// Why nothing was signed although the tenant's settings ask for it, empty otherwise.
    pub unsealed: &'static str,
}

/// Microseconds by stage. They add up to the time between the last octet of the message and the reply, but for queueing.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Micros {
    /// Receiving the data.
    pub receive: u64,
    /// Tenant attribution.
    pub attribute: u64,
    /// SPF, DKIM, DMARC, ARC, with DNS.
    pub verify: u64,
    /// Parsing and classifying.
    pub classify: u64,
    /// The selector plugin.
    pub select: u64,
    /// The renderer plugin.
    pub render: u64,
    /// Placing and splicing.
    pub insert: u64,
    /// Trace fields, DKIM, ARC.
    pub seal: u64,
    /// The next hop.
    pub handoff: u64,
    /// From the last octet to the reply.
    pub total: u64,
}
