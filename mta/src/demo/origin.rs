//! A stand-in for the host that hands mail to us: Exchange Online's outbound connector.
//!
//! It speaks as that host does: EHLO, STARTTLS with a server name and a client certificate, pipelined MAIL and RCPT with whatever
//! parameters the caller gives, BDAT where it is offered and DATA otherwise (RFC 5321, 2920, 3030, 3207). It signs as that host does
//! (RFC 6376). It does not retry, queue or look at the answers: it returns them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mail_auth::crypto::{RsaKey, Sha256};
use mail_auth::dkim::{Canonicalization, DkimSigner};
use mail_auth::headers::HeaderWriter;
use rustls::ClientConfig;
use rustls_pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::materials::{DkimKey, MaterialsError};

/// No answer takes longer on loopback, even with a slow next hop behind it.
const PATIENCE: Duration = Duration::from_secs(60);
/// A reply line of 512 octets is the rule (RFC 5321 section 4.5.3.1.5).
const LINE: u64 = 4096;
/// More lines than any reply to EHLO has.
const LINES: usize = 64;
/// The fields that Exchange Online signs.
const SIGNED: [&str; 8] =
    ["From", "Date", "Subject", "Message-ID", "Content-Type", "MIME-Version", "X-MS-Exchange-SenderADCheck", "X-OriginatorOrg"];

/// Why a submission did not come to an answer.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The connection broke.
    #[error("connection to {address}: {source}")]
    Connection {
        /// To where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The server name is not one.
    #[error("server name: {0}")]
    ServerName(#[from] InvalidDnsNameError),
    /// The host answered something else than the protocol allows.
    #[error("unexpected answer to {command}: {answer}")]
    Answer {
        /// Which command.
        command: &'static str,
        /// What came back.
        answer: String,
    },
    /// The key cannot sign.
    #[error("dkim: {0}")]
    Dkim(#[from] mail_auth::Error),
    /// The key cannot be read.
    #[error(transparent)]
    Key(#[from] MaterialsError),
}

/// How the host connects.
#[derive(Clone)]
pub struct Origin {
    /// Where to.
    pub address: SocketAddr,
    /// The name in the server's certificate, sent as SNI.
    pub server_name: String,
    /// What it says in EHLO.
    pub hello: String,
    /// With the client certificate.
    pub tls: Arc<ClientConfig>,
}

/// One mail transaction to make.
#[derive(Clone, Debug)]
pub struct Submission<'a> {
    /// What follows `MAIL FROM:`, with parameters.
    pub mail_from: &'a str,
    /// What follows each `RCPT TO:`, with parameters.
    pub recipients: &'a [String],
    /// The message, with CRLF line ends.
    pub content: &'a [u8],
    /// BDAT instead of DATA, if it is offered.
    pub chunked: bool,
}

/// What the other host answered; each is a whole reply, lines joined by `\n`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// To MAIL.
    pub mail: String,
    /// To each RCPT.
    pub recipients: Vec<String>,
    /// To the end of data, or to DATA when that was refused; empty when no recipient was accepted.
    pub data: String,
}

impl Answers {
    /// The answer that decided: to the end of data, else the first refusal.
    pub fn last_word(&self) -> &str {
        if !self.data.is_empty() {
            return &self.data;
        }
        if !self.mail.starts_with('2') {
            return &self.mail;
        }
        self.recipients.iter().find(|reply| !reply.starts_with('2')).map_or("", String::as_str)
    }
}

impl Origin {
    /// Connects, starts TLS and says EHLO again.
    pub async fn connect(&self) -> Result<Connection, OriginError> {
        let fail = |source| OriginError::Connection { address: self.address, source };
        let stream = TcpStream::connect(self.address).await.map_err(fail)?;
        stream.set_nodelay(true).map_err(fail)?;
        let mut plain = Lines::new(stream);
        expect(&plain.reply().await.map_err(fail)?, "220", "the connection")?;
        expect(&plain.ask(&format!("EHLO {}", self.hello)).await.map_err(fail)?, "250", "EHLO")?;
        expect(&plain.ask("STARTTLS").await.map_err(fail)?, "220", "STARTTLS")?;
        let name = ServerName::try_from(self.server_name.clone())?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, plain.stream.into_inner()).await.map_err(fail)?;
        let mut lines = Lines::new(Box::new(stream) as Box<dyn Stream>);
        let offer = lines.ask(&format!("EHLO {}", self.hello)).await.map_err(fail)?;
        expect(&offer, "250", "EHLO")?;
        let offer: Vec<String> = offer.lines().skip(1).map(|line| line[4..].to_ascii_uppercase()).collect();
        Ok(Connection { address: self.address, offer, lines })
    }
}

fn expect(answer: &str, code: &str, command: &'static str) -> Result<(), OriginError> {
    if answer.starts_with(code) { Ok(()) } else { Err(OriginError::Answer { command, answer: answer.to_owned() }) }
}

/// An encrypted connection on which any number of transactions can follow each other.
pub struct Connection {
    address: SocketAddr,
    offer: Vec<String>,
    lines: Lines<Box<dyn Stream>>,
}

impl Connection {
    /// What the other host offered after EHLO, in upper case.
    pub fn offer(&self) -> &[String] {
        &self.offer
    }

    /// Makes one transaction.
    pub async fn submit(&mut self, submission: &Submission<'_>) -> Result<Answers, OriginError> {
        self.transaction(submission).await.map_err(|source| OriginError::Connection { address: self.address, source })
    }

    async fn transaction(&mut self, submission: &Submission<'_>) -> io::Result<Answers> {
        let mut commands = format!("MAIL FROM:{}\r\n", submission.mail_from);
        for recipient in submission.recipients {
            commands.push_str(&format!("RCPT TO:{recipient}\r\n"));
        }
        self.lines.send(commands.as_bytes()).await?;
        let mut answers = Answers { mail: self.lines.reply().await?, ..Answers::default() };
        for _ in submission.recipients {
            answers.recipients.push(self.lines.reply().await?);
        }
        if !answers.recipients.iter().any(|reply| reply.starts_with('2')) {
            self.lines.ask("RSET").await?;
            return Ok(answers);
        }
        if submission.chunked && self.offer.iter().any(|keyword| keyword == "CHUNKING") {
            self.lines.send(format!("BDAT {} LAST\r\n", submission.content.len()).as_bytes()).await?;
            self.lines.send(submission.content).await?;
        } else {
            answers.data = self.lines.ask("DATA").await?;
            if !answers.data.starts_with("354") {
                return Ok(answers);
            }
            self.lines.send(&dotted(submission.content)).await?;
        }
        answers.data = self.lines.reply().await?;
        Ok(answers)
    }

    /// Says QUIT and waits for the answer.
    pub async fn quit(mut self) -> Result<String, OriginError> {
        self.lines.ask("QUIT").await.map_err(|source| OriginError::Connection { address: self.address, source })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

struct Lines<S> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lines<S> {
    fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    async fn ask(&mut self, command: &str) -> io::Result<String> {
        self.send(format!("{command}\r\n").as_bytes()).await?;
        self.reply().await
    }

    async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await
    }

    /// One reply with all its lines.
    async fn reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        for _ in 0..LINES {
            let mut line = String::new();
            let mut limited = (&mut self.stream).take(LINE);
            if tokio::time::timeout(PATIENCE, limited.read_line(&mut line)).await?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if line.len() < 4 || !line.is_char_boundary(4) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, line.to_owned()));
            }
            if !reply.is_empty() {
                reply.push('\n');
            }
            reply.push_str(line);
            if line.as_bytes()[3] != b'-' {
                return Ok(reply);
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "a reply without end"))
    }
}

/// RFC 5321 section 4.5.2, with the lone dot at the end.
fn dotted(content: &[u8]) -> Vec<u8> {
    let mut dotted = Vec::with_capacity(content.len() + 64);
    for line in content.split_inclusive(|&octet| octet == b'\n') {
        if line.starts_with(b".") {
            dotted.push(b'.');
        }
        dotted.extend_from_slice(line);
    }
    if !dotted.is_empty() && !dotted.ends_with(b"\r\n") {
        dotted.extend_from_slice(b"\r\n");
    }
    dotted.extend_from_slice(b".\r\n");
    dotted
}

/// Puts a DKIM signature in front of a message, as Exchange Online does for its customers.
pub fn dkim_sign(content: &[u8], key: &DkimKey, domain: &str, selector: &str) -> Result<Vec<u8>, OriginError> {
    let key = RsaKey::<Sha256>::from_key_der(key.private()?)?;
    let signer = DkimSigner::from_key(key)
        .domain(domain)
        .selector(selector)
        .headers(SIGNED)
        .header_canonicalization(Canonicalization::Relaxed)
        .body_canonicalization(Canonicalization::Relaxed);
    let mut signed = signer.sign(content)?.to_header().into_bytes();
    signed.extend_from_slice(content);
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::super::materials::{Authority, Identity};
    use super::super::return_host::{Action, ReturnHost, Settings, Step};
    use super::*;

    const MESSAGE: &[u8] = b"From: a@northwind.example\r\nSubject: dots\r\n\r\n.one\r\n..two\r\nlast\r\n";

    async fn pair(names: &str, settings: impl FnOnce(&mut Settings)) -> (ReturnHost, Origin) {
        let authority = Authority::new().unwrap();
        let server = authority.issue(&["mx.example"]).unwrap();
        let client: Identity = authority.issue(&[names]).unwrap();
        let mut host = Settings::exchange_online("mx.example", authority.server(&server).unwrap(), "k.smtp.example");
        settings(&mut host);
        let host = ReturnHost::start(host).await.unwrap();
        let origin = Origin {
            address: host.address(),
            server_name: "mx.example".to_owned(),
            hello: "out.example".to_owned(),
            tls: authority.client(Some(&client)).unwrap(),
        };
        (host, origin)
    }

    fn submission<'a>(recipients: &'a [String], chunked: bool) -> Submission<'a> {
        Submission { mail_from: "<a@northwind.example> BODY=8BITMIME", recipients, content: MESSAGE, chunked }
    }

    #[tokio::test]
    async fn messages_arrive_as_they_were_sent_by_data_and_by_bdat() {
        let (host, origin) = pair("k.smtp.example", |_| ()).await;
        let mut connection = origin.connect().await.unwrap();
        assert!(connection.offer().contains(&"CHUNKING".to_owned()) && !connection.offer().contains(&"STARTTLS".to_owned()));
        let recipients = ["<b@contoso.example> NOTIFY=NEVER".to_owned(), "<c@contoso.example>".to_owned()];
        for chunked in [false, true] {
            let answers = connection.submit(&submission(&recipients, chunked)).await.unwrap();
            assert!(answers.last_word().starts_with("250 2.6.0"), "{answers:?}");
        }
        assert!(connection.quit().await.unwrap().starts_with("221"));
        host.wait_for(2).await;
        for (received, chunked) in host.take().iter().zip([false, true]) {
            assert_eq!(received.content, MESSAGE);
            assert_eq!(received.chunked, chunked);
            assert_eq!(received.mail_from, "<a@northwind.example> BODY=8BITMIME");
            assert_eq!(received.recipients, recipients);
            assert_eq!(received.certificate_names, ["k.smtp.example"]);
        }
    }

    #[tokio::test]
    async fn a_stranger_s_certificate_is_not_attributed() {
        let (host, origin) = pair("other.smtp.example", |_| ()).await;
        let answers = origin.connect().await.unwrap().submit(&submission(&["<b@contoso.example>".to_owned()], true)).await.unwrap();
        assert!(answers.last_word().starts_with("550 5.7.64"), "{answers:?}");
        assert_eq!(host.count(), 0);
    }

    #[tokio::test]
    async fn the_script_refuses_closes_and_keeps() {
        let script = |step, action: Action| {
            move |settings: &mut Settings| {
                settings.script = Some(Arc::new(move |event| if event.step == step { action.clone() } else { Action::Continue }));
            }
        };
        let one = ["<b@contoso.example>".to_owned()];
        let (host, origin) = pair("k.smtp.example", script(Step::Recipient, Action::Reply("550 5.1.1 unknown".to_owned()))).await;
        let answers = origin.connect().await.unwrap().submit(&submission(&one, true)).await.unwrap();
        assert_eq!((answers.last_word(), host.count()), ("550 5.1.1 unknown", 0));
        let (host, origin) = pair("k.smtp.example", script(Step::Content, Action::KeepAndClose)).await;
        assert!(origin.connect().await.unwrap().submit(&submission(&one, false)).await.is_err());
        assert_eq!(host.count(), 1);
        let (_host, origin) = pair("k.smtp.example", script(Step::Connect, Action::Close)).await;
        assert!(origin.connect().await.is_err());
    }
}
