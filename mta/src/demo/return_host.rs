//! A stand-in for the host that takes mail back: Microsoft's inbound connector, as one tenant sees it.
//!
//! It offers what Exchange Online offers (RFC 5321, 1870, 2920, 3030, 3207, 3461, 6152, 6531), demands STARTTLS and a client certificate
//! with the tenant's name, and keeps every transaction it accepts so that the caller can look at it. A script may answer, delay or close
//! at any step. It stores nothing on disk, delivers nothing, and checks only the order of commands.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What Exchange Online offers on port 25, in its order; STARTTLS is added while there is something to start.
pub const EXTENSIONS: [&str; 7] = ["SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "8BITMIME", "CHUNKING", "SMTPUTF8"];
/// RFC 5321 section 4.5.3.1 allows 512 octets; extensions add to that.
const LINE: u64 = 4096;
/// What EHLO offers as the largest message.
const CONTENT: usize = 157_286_400;
/// RFC 5321 section 4.1.1.4.
const END_OF_DATA: &[u8] = b"\r\n.\r\n";
/// A client that is silent for this long is gone: the waits of a test or a demo are short.
const IDLE: Duration = Duration::from_secs(60);
/// One read of the socket; a large message takes fewer wake-ups.
const BUFFER: usize = 64 * 1024;

/// How the host behaves.
#[derive(Clone)]
pub struct Settings {
    /// Its name in the greeting.
    pub hostname: String,
    /// What it offers after EHLO, besides STARTTLS.
    pub extensions: Vec<String>,
    /// Its certificate and the roots that client certificates must come from; without it the host speaks plaintext.
    pub tls: Option<Arc<ServerConfig>>,
    /// One of these must be in the client's certificate; empty accepts any.
    pub certificate_names: Vec<String>,
    /// Whether the content of messages is kept, or only counted.
    pub keep_content: bool,
    /// Asked at every step.
    pub script: Option<Script>,
}

impl Settings {
    /// As Exchange Online behaves for the tenant whose certificate carries `name`.
    pub fn exchange_online(hostname: &str, tls: Arc<ServerConfig>, name: &str) -> Self {
        Self {
            hostname: hostname.to_owned(),
            extensions: EXTENSIONS.map(str::to_owned).to_vec(),
            tls: Some(tls),
            certificate_names: vec![name.to_owned()],
            keep_content: true,
            script: None,
        }
    }
}

/// What the host is about to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The connection, with the greeting.
    Connect,
    /// EHLO or HELO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Recipient,
    /// DATA, with 354.
    Data,
    /// The last octet of the message.
    Content,
    /// RSET.
    Reset,
    /// QUIT.
    Quit,
}

/// A step of one connection.
#[derive(Clone, Debug)]
pub struct Event {
    /// Counts connections from 0.
    pub connection: usize,
    /// Counts MAIL commands of the connection from 0; before the first one it is 0.
    pub transaction: usize,
    /// Which step.
    pub step: Step,
    /// The whole command line, empty for the connection and for content.
    pub line: String,
}

/// What to do instead of the usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The usual.
    Continue,
    /// The usual, later.
    Delay(Duration),
    /// Answer with this line and do nothing else.
    Reply(String),
    /// Close without an answer.
    Close,
    /// At [`Step::Content`]: keep the message, then close without an answer.
    KeepAndClose,
}

/// Decides at each step.
pub type Script = Arc<dyn Fn(&Event) -> Action + Send + Sync>;

/// One mail transaction that the host accepted.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Counts connections from 0.
    pub connection: usize,
    /// What followed `MAIL FROM:`, with parameters.
    pub mail_from: String,
    /// What followed each accepted `RCPT TO:`, with parameters.
    pub recipients: Vec<String>,
    /// Whether the content came by BDAT.
    pub chunked: bool,
    /// The message, unless the settings say not to keep it.
    pub content: Vec<u8>,
    /// Its length, kept or not.
    pub size: usize,
    /// DNS names in the client's certificate.
    pub certificate_names: Vec<String>,
}

/// A running host; dropping it ends it and closes all connections.
pub struct ReturnHost {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

struct Shared {
    settings: Settings,
    received: Mutex<Vec<Received>>,
    count: AtomicUsize,
    arrived: Notify,
}

impl ReturnHost {
    /// Listens on a free port of loopback.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        Self::listen(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, settings)
    }

    /// Listens on a socket of the caller's.
    pub fn listen(listener: TcpListener, settings: Settings) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { settings, received: Mutex::default(), count: AtomicUsize::new(0), arrived: Notify::new() });
        let listener = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, listener })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many transactions it has accepted since it started.
    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::Acquire)
    }

    /// Takes out what it has accepted so far, in order of acceptance.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.shared.received.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until it has accepted this many transactions since it started.
    pub async fn wait_for(&self, count: usize) {
        loop {
            let arrived = self.shared.arrived.notified();
            if self.count() >= count {
                return;
            }
            arrived.await;
        }
    }
}

impl Drop for ReturnHost {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Sessions end with the set, and the set ends with this task.
    let mut sessions = tokio::task::JoinSet::new();
    let mut connection = 0;
    while let Ok((stream, _)) = listener.accept().await {
        while sessions.try_join_next().is_some() {}
        sessions.spawn(serve(stream, Arc::clone(&shared), connection));
        connection += 1;
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, connection: usize) {
    // A connection that breaks is the client's affair: whoever runs the test sees it from the other end.
    drop(session(stream, shared, connection).await);
}

async fn session(stream: TcpStream, shared: Arc<Shared>, connection: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let greeting = format!("220 {} Microsoft ESMTP MAIL Service ready", shared.settings.hostname);
    let tls = shared.settings.tls.clone();
    let mut plain = Session::new(stream, &shared, connection, tls.is_some());
    if plain.answer(Step::Connect, "", &greeting).await? == After::Close {
        return Ok(());
    }
    if plain.run().await? == After::Close {
        return Ok(());
    }
    let Some(tls) = tls else { return Ok(()) };
    let stream = TlsAcceptor::from(tls).accept(plain.stream.into_inner()).await?;
    let names = certificate_names(&stream);
    let mut encrypted = Session::new(stream, &shared, connection, false);
    encrypted.transaction = plain.transaction;
    encrypted.names = names;
    encrypted.run().await.map(drop)
}

fn certificate_names(stream: &TlsStream<TcpStream>) -> Vec<String> {
    let Some(certificate) = stream.get_ref().1.peer_certificates().and_then(<[_]>::first) else { return Vec::new() };
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let dns = names.value.general_names.iter().filter_map(|name| match name {
        x509_parser::extensions::GeneralName::DNSName(name) => Some((*name).to_ascii_lowercase()),
        _ => None,
    });
    dns.collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Next,
    StartTls,
    Close,
}

struct Session<'a, S> {
    stream: BufReader<S>,
    shared: &'a Shared,
    connection: usize,
    transaction: usize,
    started: usize,
    offers_tls: bool,
    names: Vec<String>,
    open: Option<Received>,
    /// Octets of BDAT chunks of the open transaction.
    chunks: Vec<u8>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Session<'a, S> {
    fn new(stream: S, shared: &'a Shared, connection: usize, offers_tls: bool) -> Self {
        let stream = BufReader::with_capacity(BUFFER, stream);
        Self { stream, shared, connection, transaction: 0, started: 0, offers_tls, names: Vec::new(), open: None, chunks: Vec::new() }
    }

    /// Answers commands until the connection ends or TLS starts.
    async fn run(&mut self) -> io::Result<After> {
        loop {
            let Some(line) = self.line().await? else { return Ok(After::Close) };
            let after = self.command(&line).await?;
            // Replies to pipelined commands leave together (RFC 2920 section 3.2).
            if self.stream.buffer().is_empty() || after != After::Next {
                self.stream.flush().await?;
            }
            if after != After::Next {
                return Ok(after);
            }
        }
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(LINE);
        let read = tokio::time::timeout(IDLE, limited.read_until(b'\n', &mut line)).await??;
        Ok((read > 0).then(|| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
    }

    async fn command(&mut self, line: &str) -> io::Result<After> {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" => {
                let offer = self.offer(&verb);
                self.answer(Step::Hello, line, &offer).await
            }
            "STARTTLS" if self.offers_tls => Ok(match self.answer(Step::StartTls, line, "220 2.0.0 SMTP server ready").await? {
                After::Next => After::StartTls,
                other => other,
            }),
            "MAIL" => self.mail(line).await,
            "RCPT" => self.recipient(line).await,
            "DATA" => self.data(line).await,
            "BDAT" => self.chunk(line).await,
            "RSET" => {
                self.forget();
                self.answer(Step::Reset, line, "250 2.0.0 Resetting").await
            }
            "NOOP" => self.say("250 2.0.0 OK").await,
            "QUIT" => {
                self.answer(Step::Quit, line, "221 2.0.0 Service closing transmission channel").await?;
                Ok(After::Close)
            }
            _ => self.say("500 5.3.3 Unrecognized command").await,
        }
    }

    fn offer(&self, verb: &str) -> String {
        let settings = &self.shared.settings;
        if verb == "HELO" {
            return format!("250 {} Hello", settings.hostname);
        }
        let mut lines = vec![format!("{} Hello", settings.hostname)];
        lines.extend(settings.extensions.iter().cloned());
        if self.offers_tls {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.len() - 1;
        let rendered = lines.iter().enumerate().map(|(index, line)| format!("250{}{line}", if index == last { ' ' } else { '-' }));
        rendered.collect::<Vec<_>>().join("\r\n")
    }

    async fn mail(&mut self, line: &str) -> io::Result<After> {
        self.transaction = self.started;
        self.started += 1;
        if self.offers_tls {
            return self.say("530 5.7.0 Must issue a STARTTLS command first").await;
        }
        if self.open.is_some() {
            return self.say("503 5.5.2 Sender already specified").await;
        }
        let wanted = &self.shared.settings.certificate_names;
        if !wanted.is_empty() && !wanted.iter().any(|name| self.names.contains(name)) {
            return self.say("550 5.7.64 TenantAttribution; Relay Access Denied").await;
        }
        match self.decide(Step::Mail, line).await {
            Action::Continue | Action::Delay(_) => {}
            other => return self.act(other).await,
        }
        let mail_from = after_colon(line);
        let certificate_names = self.names.clone();
        self.open = Some(Received { connection: self.connection, mail_from, certificate_names, ..Received::default() });
        self.say("250 2.1.0 Sender OK").await
    }

    async fn recipient(&mut self, line: &str) -> io::Result<After> {
        if self.open.is_none() {
            return self.say("503 5.5.2 Need mail command").await;
        }
        match self.decide(Step::Recipient, line).await {
            Action::Continue | Action::Delay(_) => {}
            other => return self.act(other).await,
        }
        if let Some(open) = &mut self.open {
            open.recipients.push(after_colon(line));
        }
        self.say("250 2.1.5 Recipient OK").await
    }

    async fn data(&mut self, line: &str) -> io::Result<After> {
        if self.open.as_ref().is_none_or(|open| open.recipients.is_empty()) {
            return self.say("503 5.5.2 Need rcpt command").await;
        }
        match self.decide(Step::Data, line).await {
            Action::Continue | Action::Delay(_) => {}
            other => return self.act(other).await,
        }
        self.say("354 Start mail input; end with <CRLF>.<CRLF>").await?;
        self.stream.flush().await?;
        let Some(content) = tokio::time::timeout(IDLE, self.dotted()).await?? else { return Ok(After::Close) };
        self.finish(content, false).await
    }

    /// Reads up to the lone dot and takes off what dot-stuffing added; nothing when the client is gone or sends too much.
    async fn dotted(&mut self) -> io::Result<Option<Vec<u8>>> {
        // With the end of the command line in front, the first line is like any other.
        let mut content = b"\r\n".to_vec();
        loop {
            let searched = content.len().saturating_sub(END_OF_DATA.len() - 1);
            let chunk = self.stream.fill_buf().await?;
            let read = chunk.len();
            if read == 0 || content.len() > CONTENT {
                return Ok(None);
            }
            content.extend_from_slice(chunk);
            let Some(found) = memchr::memmem::find(&content[searched..], END_OF_DATA) else {
                self.stream.consume(read);
                continue;
            };
            let end = searched + found + END_OF_DATA.len();
            self.stream.consume(read - (content.len() - end));
            content.truncate(end - b".\r\n".len());
            return Ok(Some(undotted(&content)));
        }
    }

    async fn chunk(&mut self, line: &str) -> io::Result<After> {
        let mut words = line.split_whitespace().skip(1);
        let size = words.next().and_then(|word| word.parse::<usize>().ok()).filter(|size| *size <= CONTENT);
        let Some(size) = size else {
            // The octets that follow cannot be told from commands.
            self.say("501 5.5.4 Invalid chunk size").await?;
            return Ok(After::Close);
        };
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let start = self.chunks.len();
        self.chunks.reserve(size);
        let mut limited = (&mut self.stream).take(size as u64);
        let read = tokio::time::timeout(IDLE, limited.read_to_end(&mut self.chunks)).await??;
        if read < size {
            return Ok(After::Close);
        }
        if self.open.as_ref().is_none_or(|open| open.recipients.is_empty()) {
            self.chunks.truncate(start);
            return self.say("503 5.5.2 Need rcpt command").await;
        }
        if !last {
            return self.say(&format!("250 2.6.0 {size} octets received")).await;
        }
        let content = std::mem::take(&mut self.chunks);
        self.finish(content, true).await
    }

    async fn finish(&mut self, content: Vec<u8>, chunked: bool) -> io::Result<After> {
        let action = self.decide(Step::Content, "").await;
        let Some(mut received) = self.open.take() else { return Ok(After::Close) };
        if !matches!(action, Action::Continue | Action::Delay(_) | Action::KeepAndClose) {
            return self.act(action).await;
        }
        received.chunked = chunked;
        received.size = content.len();
        if self.shared.settings.keep_content {
            received.content = content;
        }
        let number = {
            let mut kept = self.shared.received.lock().unwrap_or_else(PoisonError::into_inner);
            if self.shared.settings.keep_content {
                kept.push(received);
            }
            self.shared.count.fetch_add(1, Ordering::AcqRel)
        };
        self.shared.arrived.notify_waiters();
        if action == Action::KeepAndClose {
            return Ok(After::Close);
        }
        self.say(&format!("250 2.6.0 <{number}@{}> Queued mail for delivery", self.shared.settings.hostname)).await
    }

    fn forget(&mut self) {
        self.open = None;
        self.chunks.clear();
    }

    /// Asks the script; a delay has passed when this returns.
    async fn decide(&mut self, step: Step, line: &str) -> Action {
        let Some(script) = &self.shared.settings.script else { return Action::Continue };
        let event = Event { connection: self.connection, transaction: self.transaction, step, line: line.to_owned() };
        let action = script(&event);
        if let Action::Delay(time) = action {
            tokio::time::sleep(time).await;
        }
        action
    }

    async fn answer(&mut self, step: Step, line: &str, usual: &str) -> io::Result<After> {
        match self.decide(step, line).await {
            Action::Continue | Action::Delay(_) => self.say(usual).await,
            other => self.act(other).await,
        }
    }

    async fn act(&mut self, action: Action) -> io::Result<After> {
        match action {
            Action::Reply(line) => self.say(&line).await,
            _ => Ok(After::Close),
        }
    }

    async fn say(&mut self, reply: &str) -> io::Result<After> {
        self.stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        if self.stream.buffer().is_empty() {
            self.stream.flush().await?;
        }
        // The caller hears 421 and knows that the connection ends.
        Ok(if reply.starts_with("421") { After::Close } else { After::Next })
    }
}

fn after_colon(line: &str) -> String {
    line.split_once(':').map(|(_, rest)| rest.trim().to_owned()).unwrap_or_default()
}

/// RFC 5321 section 4.5.2, for content that begins with the end of the line before it.
fn undotted(content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some(dot) = memchr::memmem::find(rest, b"\r\n.") {
        plain.extend_from_slice(&rest[..dot + 2]);
        rest = &rest[dot + 3..];
    }
    plain.extend_from_slice(rest);
    plain.drain(..2);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_data_is_found_wherever_reads_divide_it() {
        let shared = Shared {
            settings: Settings {
                hostname: "mx.example".to_owned(),
                extensions: Vec::new(),
                tls: None,
                certificate_names: Vec::new(),
                keep_content: true,
                script: None,
            },
            received: Mutex::default(),
            count: AtomicUsize::new(0),
            arrived: Notify::new(),
        };
        let cases: [(&[u8], &[u8]); 4] = [
            (b"a\r\n..b\r\n.c\r\n.\r\nRSET\r\n", b"a\r\n.b\r\nc\r\n"),
            (b".\r\nRSET\r\n", b""),
            (b"...\r\n\r\n.\r\nRSET\r\n", b"..\r\n\r\n"),
            (b"a\n.\nb\r.\r\r\n.\r\nRSET\r\n", b"a\n.\nb\r.\r\r\n"),
        ];
        for (wire, content) in cases {
            for size in [1, 3, 7, 64] {
                let (mut client, host) = tokio::io::duplex(size);
                let writer = tokio::spawn(async move { client.write_all(wire).await });
                let mut session = Session::new(host, &shared, 0, false);
                assert_eq!(session.dotted().await.unwrap().unwrap(), content, "{size}");
                assert_eq!(session.line().await.unwrap().unwrap(), "RSET");
                writer.await.unwrap().unwrap();
            }
        }
    }
}
