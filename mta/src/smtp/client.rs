//! The outbound SMTP dialogue with a next hop, one function a phase: connect, hello, envelope, content, reset, quit.
//!
//! RFC 5321 (sections 3 and 4.5.3.2: time limits), RFC 3207 (STARTTLS, always demanded), RFC 2920 (PIPELINING), RFC 3030 (CHUNKING),
//! RFC 1870, RFC 3461, RFC 6152, RFC 6531 (which parameters may be used). Plaintext is spoken with loopback addresses only, and only when
//! no TLS configuration is given. It does not decide what a refusal means for the sender, does not retry, and keeps no connections.

mod command;
mod wire;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::smtp::reply::Reply;

pub use command::{Extensions, mail, rcpt};
use wire::{Stream, Wire};

/// A name that resolves to more addresses than this gets no more attempts: the sender is waiting.
const ADDRESSES: usize = 8;

/// Commands sent together before their replies are read. The replies to that many fit into any socket buffer, so that the next hop goes on
/// reading while we write (RFC 2920 section 3.1).
const PIPELINED: usize = 100;

/// How long a farewell may take; nothing depends on its answer.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long a next hop that broke off the content may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Time limits of the dialogue (RFC 5321 section 4.5.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and TCP connection, for each address.
    pub connect: Duration,
    /// The 220 greeting.
    pub greeting: Duration,
    /// EHLO, STARTTLS and its handshake, MAIL, RCPT, RSET.
    pub command: Duration,
    /// From DATA to 354.
    pub data_initiation: Duration,
    /// Each block of content.
    pub data_block: Duration,
    /// From the end of data to its answer.
    pub data_termination: Duration,
}

impl Default for Timeouts {
    /// The values that the RFC asks for; it names none for the connection itself.
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            connect: Duration::from_secs(30),
            greeting: minutes(5),
            command: minutes(5),
            data_initiation: minutes(2),
            data_block: minutes(3),
            data_termination: minutes(10),
        }
    }
}

/// Where in the dialogue something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Resolving and connecting.
    Connect,
    /// Waiting for 220.
    Greeting,
    /// EHLO.
    Hello,
    /// STARTTLS and its reply.
    StartTls,
    /// The TLS handshake.
    Handshake,
    /// MAIL and RCPT.
    Envelope,
    /// DATA and its reply.
    Data,
    /// Writing the content; the next hop cannot have accepted it.
    Content,
    /// The content is written, its reply is missing: the next hop may have accepted it.
    Final,
    /// RSET.
    Reset,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Handshake => "TLS handshake",
            Self::Envelope => "MAIL and RCPT",
            Self::Data => "DATA",
            Self::Content => "content",
            Self::Final => "end of data",
            Self::Reset => "RSET",
        })
    }
}

/// Why the dialogue cannot go on. The connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The name has no address, or the resolver gave none in time.
    #[error("cannot resolve next hop {host}: {reason}; check the name and the DNS servers")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        reason: String,
    },
    /// A route without TLS leads off this machine.
    #[error("next hop {address} is not on this machine and must not be spoken to in plaintext; configure TLS for it")]
    Plaintext {
        /// Where it leads.
        address: IpAddr,
    },
    /// Nothing accepts connections there.
    #[error("cannot connect to next hop {address}: {source}; check that it runs and that firewalls let port {} through", address.port())]
    Connect {
        /// Where.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// No progress within the limit.
    #[error("next hop was silent for {} s at {phase}; check its load, or raise the limit", limit.as_secs_f32())]
    Timeout {
        /// Where in the dialogue.
        phase: Phase,
        /// The limit.
        limit: Duration,
    },
    /// The next hop closed the connection.
    #[error("next hop closed the connection at {phase}; its log says why")]
    Closed {
        /// Where in the dialogue.
        phase: Phase,
    },
    /// Reading or writing failed.
    #[error("connection to next hop failed at {phase}: {source}; check the network between")]
    Io {
        /// Where in the dialogue.
        phase: Phase,
        /// What the operating system or TLS says.
        source: io::Error,
    },
    /// The next hop answered something that is no SMTP reply, or one that has no place there.
    #[error("next hop does not speak SMTP at {phase}: {reason}; check host and port")]
    Malformed {
        /// Where in the dialogue.
        phase: Phase,
        /// What is wrong.
        reason: String,
    },
    /// The next hop refuses the session as such.
    #[error("next hop refused the session at {phase} with {}; ask its operator", reply.code)]
    Refused {
        /// Where in the dialogue.
        phase: Phase,
        /// Its answer.
        reply: Reply,
    },
    /// STARTTLS is not offered.
    #[error("next hop does not offer STARTTLS; there is no fallback to plaintext, have it switched on there")]
    NoStartTls,
    /// Octets in plaintext followed the reply to STARTTLS (CVE-2011-0411).
    #[error("next hop sent {octets} octets of plaintext behind its reply to STARTTLS; someone on the way may be injecting replies")]
    Injected {
        /// How many.
        octets: usize,
    },
    /// The certificate is not for this name, not from a trusted authority, or out of date; or the next hop did not accept ours.
    #[error("TLS with next hop {server_name} failed: {reason}; check its certificate, the configured roots and our client certificate")]
    Tls {
        /// The name that was demanded.
        server_name: String,
        /// What the TLS library says.
        reason: String,
    },
    /// A value for a command line holds a control character.
    #[error("a command to the next hop would hold a control character; the message is not sent")]
    ControlCharacter,
}

impl ClientError {
    /// Whether the next hop may have accepted the content although we have not seen its answer.
    pub fn is_ambiguous(&self) -> bool {
        let (Self::Timeout { phase, .. } | Self::Closed { phase } | Self::Io { phase, .. } | Self::Malformed { phase, .. }) = self else {
            return false;
        };
        *phase == Phase::Final
    }

    /// Whether the connection was lost, rather than something refused over it.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Io { .. })
    }
}

/// Finds the addresses of a next hop.
pub trait Resolve: Send + Sync {
    /// Its addresses in order of preference.
    fn addresses<'a>(&'a self, host: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn addresses<'a>(&'a self, host: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

impl Resolve for hickory_resolver::TokioResolver {
    fn addresses<'a>(&'a self, host: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(async move { Ok(self.lookup_ip(host).await.map_err(io::Error::other)?.iter().collect()) })
    }
}

/// A next hop and the terms on which it is spoken to.
#[derive(Clone, Debug)]
pub struct Target {
    /// A name or an IP address.
    pub host: String,
    /// Usually 25.
    pub port: u16,
    /// The name that its certificate must carry.
    pub server_name: String,
    /// Without it the next hop must be on this machine.
    pub tls: Option<Arc<ClientConfig>>,
    /// What we call ourselves in EHLO.
    pub hello: String,
    /// Time limits.
    pub timeouts: Timeouts,
}

/// A session with a next hop, ready for MAIL.
pub struct Connection {
    wire: Wire<Stream>,
    extensions: Extensions,
    timeouts: Timeouts,
    peer: SocketAddr,
    messages: u32,
    used: Instant,
    in_transaction: bool,
    closing: bool,
}

/// The answers to MAIL and to each RCPT.
#[derive(Debug)]
pub struct EnvelopeReplies {
    /// To MAIL.
    pub mail: Reply,
    /// To each RCPT, in order; empty when MAIL was refused.
    pub recipients: Vec<Reply>,
}

/// Connects to the first address that lets us in: TCP, greeting, EHLO, STARTTLS, EHLO.
pub async fn connect(target: &Target, resolver: &dyn Resolve) -> Result<Connection, ClientError> {
    let addresses = resolve(target, resolver).await?;
    let mut last = ClientError::Resolve { host: target.host.clone(), reason: "it has no address".to_owned() };
    for address in addresses.into_iter().take(ADDRESSES) {
        if target.tls.is_none() && !address.is_loopback() {
            return Err(ClientError::Plaintext { address });
        }
        match open(target, SocketAddr::new(address, target.port)).await {
            Ok(connection) => return Ok(connection),
            // Another address may be up (RFC 5321 section 5.1). Anything later concerns the host, not the address.
            Err(error @ ClientError::Connect { .. }) => last = error,
            Err(error @ (ClientError::Closed { phase } | ClientError::Refused { phase, .. })) if phase == Phase::Greeting => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

async fn resolve(target: &Target, resolver: &dyn Resolve) -> Result<Vec<IpAddr>, ClientError> {
    let literal = target.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&target.host);
    if let Ok(address) = literal.parse() {
        return Ok(vec![address]);
    }
    let failed = |reason: String| ClientError::Resolve { host: target.host.clone(), reason };
    match timeout(target.timeouts.connect, resolver.addresses(&target.host)).await {
        Ok(addresses) => addresses.map_err(|error| failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {} s", target.timeouts.connect.as_secs_f32()))),
    }
}

async fn open(target: &Target, peer: SocketAddr) -> Result<Connection, ClientError> {
    let timeouts = &target.timeouts;
    let failed = |source| ClientError::Connect { address: peer, source };
    let stream = match timeout(timeouts.connect, TcpStream::connect(peer)).await {
        Ok(outcome) => outcome.map_err(failed)?,
        Err(_) => return Err(failed(io::ErrorKind::TimedOut.into())),
    };
    // Commands are small and are answered before the next ones: waiting to fill a segment only adds delay.
    stream.set_nodelay(true).map_err(failed)?;
    let mut wire = Wire::new(Stream::Plain(stream));
    expect(&mut wire, Phase::Greeting, timeouts.greeting, 220).await?;
    let mut extensions = hello(&mut wire, &target.hello, timeouts).await?;
    if let Some(config) = &target.tls {
        if !extensions.starttls {
            return Err(ClientError::NoStartTls);
        }
        wire = start_tls(wire, target, config).await?;
        // With TLS 1.3 a next hop that does not accept our certificate says so after our side of the handshake is done.
        extensions = hello(&mut wire, &target.hello, timeouts).await.map_err(|error| match error {
            ClientError::Io { source, .. } if is_tls(&source) => tls_failed(target, source.to_string()),
            other => other,
        })?;
    }
    let timeouts = timeouts.clone();
    Ok(Connection { wire, extensions, timeouts, peer, messages: 0, used: Instant::now(), in_transaction: false, closing: false })
}

async fn hello(wire: &mut Wire<Stream>, name: &str, timeouts: &Timeouts) -> Result<Extensions, ClientError> {
    wire.stage(&format!("EHLO {name}"))?;
    wire.send(Phase::Hello, timeouts.command).await?;
    Ok(Extensions::parse(&expect(wire, Phase::Hello, timeouts.command, 250).await?))
}

async fn start_tls(mut wire: Wire<Stream>, target: &Target, config: &Arc<ClientConfig>) -> Result<Wire<Stream>, ClientError> {
    let limit = target.timeouts.command;
    wire.stage("STARTTLS")?;
    wire.send(Phase::StartTls, limit).await?;
    expect(&mut wire, Phase::StartTls, limit, 220).await?;
    let (stream, early) = wire.into_parts();
    if !early.is_empty() {
        return Err(ClientError::Injected { octets: early.len() });
    }
    let failed = |reason: String| tls_failed(target, reason);
    let name = ServerName::try_from(target.server_name.clone()).map_err(|error| failed(error.to_string()))?;
    let Stream::Plain(stream) = stream else { return Err(failed("TLS is already in force".to_owned())) };
    match timeout(limit, TlsConnector::from(Arc::clone(config)).connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(Wire::new(Stream::Tls(Box::new(stream)))),
        Ok(Err(error)) if is_tls(&error) => Err(failed(error.to_string())),
        Ok(Err(source)) => Err(ClientError::Io { phase: Phase::Handshake, source }),
        Err(_) => Err(ClientError::Timeout { phase: Phase::Handshake, limit }),
    }
}

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

fn tls_failed(target: &Target, reason: String) -> ClientError {
    ClientError::Tls { server_name: target.server_name.clone(), reason }
}

async fn expect(wire: &mut Wire<Stream>, phase: Phase, limit: Duration, code: u16) -> Result<Reply, ClientError> {
    let reply = wire.reply(phase, limit).await?;
    match reply.code {
        found if found == code => Ok(reply),
        400..=599 => Err(ClientError::Refused { phase, reply }),
        found => Err(ClientError::Malformed { phase, reason: format!("{found} instead of {code}") }),
    }
}

impl Connection {
    /// What the next hop offers.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Its address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// How many contents were sent over this connection.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// When it last answered.
    pub fn used(&self) -> Instant {
        self.used
    }

    /// Whether the next hop has closed it, announced that (421), or said something unasked. Does not wait.
    pub fn is_stale(&mut self) -> bool {
        self.closing || self.wire.is_disturbed()
    }

    /// Whether a transaction has been begun and neither completed nor reset.
    pub fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Begins a transaction, after RSET when another one is open: MAIL with its RCPTs, pipelined where the next hop offers it.
    pub async fn envelope(&mut self, mail: &str, recipients: &[String]) -> Result<EnvelopeReplies, ClientError> {
        let reset = self.in_transaction;
        if !self.extensions.pipelining {
            if reset {
                self.reset().await?;
            }
            let reply = self.command(mail).await?;
            self.in_transaction = reply.code == 250;
            let recipients = if self.in_transaction { self.recipients(recipients).await? } else { Vec::new() };
            return Ok(EnvelopeReplies { mail: reply, recipients });
        }
        if reset {
            self.wire.stage("RSET")?;
        }
        self.wire.stage(mail)?;
        let first = &recipients[..recipients.len().min(PIPELINED)];
        for recipient in first {
            self.wire.stage(recipient)?;
        }
        self.wire.send(Phase::Envelope, self.timeouts.command).await?;
        if reset {
            self.reset_reply().await?;
        }
        let mail = self.envelope_reply().await?;
        self.in_transaction = mail.code == 250;
        let mut replies = Vec::with_capacity(recipients.len());
        for _ in first {
            // After 421 nothing more need come; the answer to MAIL stands for all.
            if self.closing {
                break;
            }
            replies.push(self.envelope_reply().await?);
        }
        if !self.in_transaction {
            return Ok(EnvelopeReplies { mail, recipients: Vec::new() });
        }
        replies.extend(self.recipients(&recipients[first.len()..]).await?);
        Ok(EnvelopeReplies { mail, recipients: replies })
    }

    /// Adds recipients to the open transaction. After a 421 the remaining ones get that same answer.
    pub async fn recipients(&mut self, recipients: &[String]) -> Result<Vec<Reply>, ClientError> {
        if self.closing && !recipients.is_empty() {
            return Err(ClientError::Closed { phase: Phase::Envelope });
        }
        let mut replies: Vec<Reply> = Vec::with_capacity(recipients.len());
        let together = if self.extensions.pipelining { PIPELINED } else { 1 };
        for batch in recipients.chunks(together) {
            if self.closing {
                break;
            }
            for recipient in batch {
                self.wire.stage(recipient)?;
            }
            self.wire.send(Phase::Envelope, self.timeouts.command).await?;
            for _ in batch {
                if !self.closing {
                    replies.push(self.envelope_reply().await?);
                }
            }
        }
        if let Some(last) = replies.last().cloned() {
            replies.resize(recipients.len(), last);
        }
        Ok(replies)
    }

    async fn command(&mut self, line: &str) -> Result<Reply, ClientError> {
        self.wire.stage(line)?;
        self.wire.send(Phase::Envelope, self.timeouts.command).await?;
        self.envelope_reply().await
    }

    async fn envelope_reply(&mut self) -> Result<Reply, ClientError> {
        let reply = self.wire.reply(Phase::Envelope, self.timeouts.command).await?;
        self.note(&reply);
        match reply.code {
            200..=299 | 400..=599 => Ok(reply),
            code => Err(ClientError::Malformed { phase: Phase::Envelope, reason: format!("{code} has no place there") }),
        }
    }

    /// Sends the content of the open transaction and reads its answer: in one round trip with CHUNKING, else DATA, dot-stuffed.
    pub async fn content(&mut self, pieces: &[Bytes]) -> Result<Reply, ClientError> {
        let block = self.timeouts.data_block;
        let written = if self.extensions.chunking {
            let length: usize = pieces.iter().map(Bytes::len).sum();
            self.wire.stage(&format!("BDAT {length} LAST"))?;
            self.wire.content(pieces, block).await
        } else {
            self.wire.stage("DATA")?;
            self.wire.send(Phase::Data, self.timeouts.data_initiation).await?;
            let reply = self.wire.reply(Phase::Data, self.timeouts.data_initiation).await?;
            self.note(&reply);
            match reply.code {
                354 => self.wire.stuffed_content(pieces, block).await,
                400..=599 => return Ok(reply),
                code => return Err(ClientError::Malformed { phase: Phase::Data, reason: format!("{code} instead of 354") }),
            }
        };
        if let Err(error) = written {
            self.closing = true;
            return self.last_words(error).await;
        }
        let reply = self.wire.reply(Phase::Final, self.timeouts.data_termination).await?;
        self.note(&reply);
        // After a refusal some next hops still hold the transaction (RFC 3030 section 4.1): RSET makes sure.
        self.in_transaction = !reply.is_positive();
        self.messages += 1;
        match reply.code {
            200..=299 | 400..=599 => Ok(reply),
            code => Err(ClientError::Malformed { phase: Phase::Final, reason: format!("{code} has no place there") }),
        }
    }

    /// A next hop that stops reading usually says why. It cannot have accepted content whose end it was not sent.
    async fn last_words(&mut self, error: ClientError) -> Result<Reply, ClientError> {
        match self.wire.reply(Phase::Content, LAST_WORDS).await {
            Ok(reply) if (400..=599).contains(&reply.code) => Ok(reply),
            _ => Err(error),
        }
    }

    /// Ends the open transaction without sending anything.
    pub async fn reset(&mut self) -> Result<(), ClientError> {
        self.wire.stage("RSET")?;
        self.wire.send(Phase::Reset, self.timeouts.command).await?;
        self.reset_reply().await
    }

    /// Anything but 250 means that the two sides no longer agree on where they are.
    async fn reset_reply(&mut self) -> Result<(), ClientError> {
        let reply = self.wire.reply(Phase::Reset, self.timeouts.command).await?;
        self.note(&reply);
        if reply.code != 250 {
            return Err(ClientError::Refused { phase: Phase::Reset, reply });
        }
        self.in_transaction = false;
        Ok(())
    }

    /// Says goodbye and closes, within a bounded time.
    pub async fn quit(mut self) {
        let farewell = async {
            self.wire.stage("QUIT")?;
            self.wire.send(Phase::Reset, FAREWELL).await?;
            self.wire.reply(Phase::Reset, FAREWELL).await
        };
        if let Ok(Ok(_)) = timeout(FAREWELL, farewell).await {
            // Without a close in order the other end cannot tell the end of the session from a cut; it matters to nobody else.
            let _closed = timeout(FAREWELL, self.wire.shutdown()).await;
        }
    }

    fn note(&mut self, reply: &Reply) {
        self.used = Instant::now();
        self.closing |= reply.code == 421;
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
