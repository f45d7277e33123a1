//! The configuration: TOML text becomes a [`Config`] whose values are parsed, whose files are read and whose parts fit together.
//!
//! Two steps: the text as written (`raw`: known keys only, every value with its place), then what it means (`check`, `tenants`). Errors are
//! collected and shown together; each names file, line, key and value and shows a valid line. Durations and sizes need a unit. Paths are
//! relative to the folder of the configuration file. Loading opens no port and changes nothing, so it serves `check`, `serve` and reload
//! alike: a reload is a whole new [`Config`] or an error. Nothing later parses text again. `settings` turns parts of it into what the
//! modules want.

mod check;
mod control;
mod error;
mod files;
mod leaf;
mod overlap;
mod raw;
mod settings;
mod source;
mod tenants;
mod units;
mod zone;

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ipnet::IpNet;

use crate::address::Domain;
use crate::directory::Directory;
use crate::signature::Asset;
use crate::smtp::auth::StoredKeys;
use crate::telemetry::LogSettings;
use crate::tls::{ClientTlsSettings, ServerTlsSettings};

pub use crate::tenant::{Proof, SecretHeader};
pub use control::{Application, ApplicationCredential, Connection, Console, Control, Role, User};
pub use error::{ConfigError, ConfigErrors};
pub(crate) use files::{DEEPEST as DEEPEST_FOLDER, media_type, walk};
pub use zone::Zone;

/// A complete, consistent configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this host, as it says in greeting and EHLO.
    pub hostname: Domain,
    /// The authserv-id of our Authentication-Results fields (RFC 8601 section 2.5).
    pub authserv_id: String,
    /// What peers may use.
    pub limits: Limits,
    /// How long we wait for peers.
    pub timeouts: Timeouts,
    /// Where mail arrives; at least one.
    pub listeners: Vec<Listener>,
    /// Name resolution for the checks.
    pub dns: Dns,
    /// Where metrics and health are served.
    pub operations: SocketAddr,
    /// What outlives a message.
    pub state: State,
    /// How long open transactions may take after a request to stop.
    pub drain_deadline: Duration,
    /// The plugin engine and what one call may use.
    pub plugins: Plugins,
    /// What is logged and how.
    pub log: LogSettings,
    /// The control plane, when there is one.
    pub control: Option<Control>,
    /// The operator's web pages, when they are served.
    pub console: Option<Console>,
    /// Whose mail we take; at least one.
    pub tenants: Vec<Arc<Tenant>>,
    /// What an operator should know although the configuration is valid.
    pub warnings: Vec<ConfigError>,
    /// SHA-256 over the configuration and all files it names, for logs and metrics: two nodes with the same digest run the same configuration.
    pub digest: [u8; 32],
}

impl Config {
    /// Reads and checks a configuration file and everything that it names.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::load_at(path, SystemTime::now())
    }

    /// As [`Config::load`], at a given time: certificates expire.
    pub fn load_at(path: &Path, now: SystemTime) -> Result<Self, ConfigErrors> {
        let whole_file = |message: String| {
            let error = ConfigError { file: path.to_owned(), line: 0, column: 0, key: String::new(), message, example: None };
            ConfigErrors::new(vec![error], path)
        };
        let octets = std::fs::read(path).map_err(|error| whole_file(format!("cannot be read: {error}")))?;
        let text = String::from_utf8(octets).map_err(|_| whole_file("is not UTF-8 text".to_owned()))?;
        let mut source = source::Source::new(path, &text, now);
        let config = source.parse().and_then(|raw| check::config(&mut source, &raw));
        let (warnings, digest) = source.finish()?;
        let config = config.ok_or_else(|| whole_file("cannot be understood".to_owned()))?;
        Ok(Self { warnings, digest, ..config })
    }

    /// The digest in lower-case hexadecimal.
    pub fn digest_hex(&self) -> String {
        self.digest.iter().fold(String::with_capacity(64), |mut text, octet| {
            let _infallible = write!(text, "{octet:02x}");
            text
        })
    }
}

/// What peers may use. Every number is a hard limit; the reply when it is reached is in `refusal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one message (RFC 1870).
    pub message_size: usize,
    /// Octets of all messages that are in the process at once.
    pub memory_budget: usize,
    /// Open connections.
    pub connections: usize,
    /// Open connections from one address.
    pub connections_per_address: usize,
    /// Recipients of one mail transaction; at least 100 (RFC 5321 section 4.5.3.1.8).
    pub recipients: usize,
    /// Commands of one connection.
    pub commands: usize,
    /// Refused commands of one connection.
    pub errors: usize,
    /// Commands of one connection that are none: a sign that the peer does not speak SMTP.
    pub unrecognised: usize,
    /// Mail transactions of one connection.
    pub transactions_per_connection: usize,
    /// Received fields of one message; at least 100 are advised (RFC 5321 section 6.3).
    pub hops: usize,
    /// Outgoing copies of one message; beyond them, recipients whose signatures nobody shares get none.
    pub copies: usize,
}

/// How long we wait for peers. Names as in RFC 5321 section 4.5.3.2, where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the PROXY header and for the TLS handshake, each.
    pub handshake: Duration,
    /// For the next command (section 4.5.3.2.7).
    pub server: Duration,
    /// For the next octets of a message (section 4.5.3.2.5, seen from the other side).
    pub data_block: Duration,
    /// For a whole message, however steadily it drips.
    pub message: Duration,
    /// For a reply to be taken.
    pub write: Duration,
}

/// Where mail arrives.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// How the connection is protected.
    pub tls: ListenerTls,
    /// Whose PROXY headers are believed; connections from there must begin with one.
    pub proxy_networks: Vec<IpNet>,
}

/// How a listener's connections are protected.
#[derive(Clone, Debug)]
pub enum ListenerTls {
    /// RFC 3207.
    StartTls {
        /// Certificates and client certificates.
        settings: ServerTlsSettings,
        /// Whether MAIL is refused before TLS.
        required: bool,
    },
    /// TLS from the first octet (RFC 8314 section 3.3).
    Implicit {
        /// Certificates and client certificates.
        settings: ServerTlsSettings,
    },
    /// No TLS: on loopback addresses only.
    Plain,
}

impl ListenerTls {
    /// Certificates and client certificates, when there is TLS.
    pub fn settings(&self) -> Option<&ServerTlsSettings> {
        match self {
            Self::StartTls { settings, .. } | Self::Implicit { settings } => Some(settings),
            Self::Plain => None,
        }
    }
}

/// Name resolution for SPF, DKIM, DMARC and ARC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Servers; empty means those of the operating system.
    pub servers: Vec<SocketAddr>,
    /// For one question to one server.
    pub timeout: Duration,
    /// Questions before an answer counts as missing.
    pub attempts: usize,
    /// Answers kept.
    pub cache_entries: usize,
    /// How long an answer that says "no" is kept at most.
    pub negative_ttl: Duration,
}

/// What outlives a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Where the ledger is kept; nowhere means in memory only.
    pub directory: Option<PathBuf>,
    /// How long a copy that was delivered while others failed is remembered.
    pub ledger_partial: Duration,
    /// How long a message is remembered whose 250 may not have arrived.
    pub ledger_unconfirmed: Duration,
    /// Recipients remembered at once.
    pub ledger_entries: usize,
}

/// The plugin engine and what one call may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugins {
    /// Threads that run plugins and other work that only computes; nothing means one a processor.
    pub workers: Option<usize>,
    /// Plugin instances alive at once; nothing means four a worker.
    pub instances: Option<usize>,
    /// Octets of a component file.
    pub component_size: usize,
    /// Octets that a call may add to the memory that `configure` left behind.
    pub memory: usize,
    /// Octets of memory that `configure` may reach.
    pub configure_memory: usize,
    /// Processor time of one selector call.
    pub select_deadline: Duration,
    /// Processor time of one renderer call.
    pub render_deadline: Duration,
    /// Processor time of reading rules or templates once.
    pub configure_deadline: Duration,
    /// Elements of one table.
    pub table_elements: usize,
    /// Resource handles alive at once.
    pub handles: usize,
    /// Octets that the host copies for one host call or one answer.
    pub hostcall: usize,
    /// Host calls of one plugin call.
    pub host_calls: usize,
    /// Octets of the message that one call may read in all.
    pub read_total: usize,
    /// Log lines of one call; more are counted and dropped.
    pub log_lines: usize,
    /// Faults within the window that stop a plugin from being called; 0 means that it is always called.
    pub breaker_faults: usize,
    /// How long a fault counts.
    pub breaker_window: Duration,
    /// How long a plugin is not called.
    pub breaker_pause: Duration,
}

/// One customer organisation.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id, lower case.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// The domains that it sends from; at least one.
    pub domains: Vec<Domain>,
    /// Domains of its partners.
    pub partners: Vec<Domain>,
    /// Its time zone.
    pub zone: Zone,
    /// Its language, BCP 47; empty for none.
    pub locale: String,
    /// Where a message's language is taken from before that one.
    pub locale_from: Vec<crate::locale::Origin>,
    /// What a peer and a message must prove.
    pub proof: Proof,
    /// Who may log in for it.
    pub logins: Vec<Login>,
    /// What happens to mail whose author is not proven.
    pub unaligned: Unaligned,
    /// ARC sealers whose results count as proof.
    pub trusted_sealers: Vec<Domain>,
    /// What happens to mail when a plugin does not answer.
    pub fault: FaultPolicy,
    /// The selector; nothing means the embedded one.
    pub selector: Option<Component>,
    /// The renderer; nothing means the embedded one.
    pub renderer: Option<Component>,
    /// What the selector is configured with.
    pub rules: Vec<TextFile>,
    /// What the renderer is configured with.
    pub templates: Vec<TextFile>,
    /// Images that templates refer to.
    pub assets: Vec<Arc<Asset>>,
    /// People and groups.
    pub directory: Arc<Directory>,
    /// What its mail service is connected with, when it is to be.
    pub connection: Option<Connection>,
    /// Keys and switches of the seal.
    pub seal: Seal,
    /// Where its mail goes.
    pub route: Return,
}

/// Who may log in, with what the server keeps of the password (RFC 5802 section 3).
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub name: String,
    /// Proves a password without containing it.
    pub keys: StoredKeys,
}

/// What happens to mail whose author is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unaligned {
    /// 550 5.7.1.
    Reject,
    /// It is passed on without a signature.
    RelayUnsigned,
    /// It is treated like any other.
    Sign,
}

/// What happens to mail when a plugin does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPolicy {
    /// It is passed on without a signature.
    RelayUnsigned,
    /// 451; the sender tries again later.
    Defer,
}

/// A plugin file whose content is what the operator approved.
#[derive(Clone, PartialEq, Eq)]
pub struct Component {
    /// The file.
    pub path: PathBuf,
    /// Its content, whose SHA-256 was compared.
    pub wasm: Arc<[u8]>,
    /// The SHA-256.
    pub sha256: [u8; 32],
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("path", &self.path).field("octets", &self.wasm.len()).finish_non_exhaustive()
    }
}

/// A text file for a plugin's `configure`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFile {
    /// Relative to the configured folder, with `/` between its parts.
    pub name: String,
    /// Its text.
    pub content: String,
}

/// Keys and switches of the seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Whether an ARC set is added (RFC 8617).
    pub arc: bool,
    /// The key of the ARC set, when there is one.
    pub arc_key: Option<KeyFile>,
    /// The keys of DKIM signatures (RFC 6376).
    pub keys: Vec<KeyFile>,
    /// What proves that we have seen a message before.
    pub loop_token: Option<LoopToken>,
}

/// A private key that was checked and is read again by the seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The signing domain, `d=`.
    pub domain: Domain,
    /// The selector, `s=`.
    pub selector: String,
    /// PEM file of the private key.
    pub path: PathBuf,
}

/// What proves that we have seen a message before.
#[derive(Clone, PartialEq, Eq)]
pub struct LoopToken {
    /// The name of the header field.
    pub header: String,
    /// The key of its keyed MAC.
    pub key: Arc<[u8]>,
    /// A second field with a constant word, which the tenant's mail-flow rule matches.
    pub word: Option<SecretHeader>,
}

impl std::fmt::Debug for LoopToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoopToken").field("header", &self.header).field("word", &self.word).finish_non_exhaustive()
    }
}

/// Where a tenant's mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// Host name or address of the next hop.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name that its certificate must have.
    pub server_name: String,
    /// TLS, unless the next hop is on a loopback address and plaintext is allowed.
    pub tls: Option<ClientTlsSettings>,
    /// Connections at once.
    pub connections: usize,
    /// How long a transaction waits for one of them.
    pub wait: Duration,
    /// Messages before a connection is closed.
    pub messages_per_connection: usize,
    /// How long an unused connection stays open.
    pub idle: Duration,
    /// How long the sender waits for the answer to RCPT at most.
    pub recipient_within: Duration,
    /// How long the sender waits for the answer to the end of data at most, once the copies are ready.
    pub deliver_within: Duration,
    /// How long we wait for the next hop.
    pub timeouts: ReturnTimeouts,
}

/// RFC 5321 section 4.5.3.2, from the client's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTimeouts {
    /// For name resolution and the TCP connection, for each address.
    pub connect: Duration,
    /// For the greeting (section 4.5.3.2.1).
    pub initial_220: Duration,
    /// For the replies to MAIL (section 4.5.3.2.2), RCPT (section 4.5.3.2.3) and the other commands.
    pub command: Duration,
    /// For the reply to DATA (section 4.5.3.2.4).
    pub data_initiation: Duration,
    /// For a block of the message to be taken (section 4.5.3.2.5).
    pub data_block: Duration,
    /// For the reply after the last octet (section 4.5.3.2.6).
    pub data_termination: Duration,
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests;
