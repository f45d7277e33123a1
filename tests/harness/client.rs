//! A client that speaks SMTP octet by octet, well or badly.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{PATIENCE, authority};

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    /// Each line without code and separator.
    pub(crate) lines: Vec<String>,
}

impl Reply {
    /// Code and first line.
    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.code, self.lines[0])
    }

    /// Fails unless the reply begins with this, for example `550 5.7.1`.
    #[track_caller]
    pub(crate) fn is(&self, start: &str) -> &Self {
        assert!(self.text().starts_with(start), "expected {start}, got {self:?}");
        self
    }

    pub(crate) fn positive(&self) -> bool {
        (200..400).contains(&self.code)
    }
}

/// The TLS settings of a client that trusts our authority and shows a certificate for `names`, if there are any.
pub(crate) fn tls(names: &[&str]) -> Arc<ClientConfig> {
    let identity = (!names.is_empty()).then(|| authority().issue(names).expect("a certificate"));
    authority().client(identity.as_ref()).expect("the settings are good")
}

/// One connection.
pub(crate) struct Client {
    stream: BufReader<Box<dyn Stream>>,
}

impl Client {
    /// Connects and does nothing else.
    pub(crate) async fn raw(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        stream.set_nodelay(true).expect("the socket is open");
        Self::over(Box::new(stream))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Connects and reads the greeting.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut client = Self::raw(address).await;
        client.reply().await.is("220");
        client
    }

    /// Connects with TLS from the first octet and reads the greeting.
    pub(crate) async fn implicit(address: SocketAddr, tls: &Arc<ClientConfig>, name: &str) -> Self {
        let mut client = Self::raw(address).await.handshake(tls, name).await.expect("the handshake succeeds");
        client.reply().await.is("220");
        client
    }

    /// STARTTLS and the handshake. With TLS 1.3 a client certificate that is refused shows at the first read only.
    pub(crate) async fn start_tls(mut self, tls: &Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        self.command("STARTTLS").await.is("220");
        self.handshake(tls, name).await
    }

    pub(crate) async fn handshake(self, tls: &Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).expect("a server name");
        let stream = timeout(PATIENCE, TlsConnector::from(Arc::clone(tls)).connect(name, self.stream.into_inner())).await??;
        Ok(Self::over(Box::new(stream)))
    }

    /// Writes octets as they are. A peer that is gone is no failure here: the next read shows it.
    pub(crate) async fn send(&mut self, octets: impl AsRef<[u8]>) {
        let write = async {
            self.stream.write_all(octets.as_ref()).await?;
            self.stream.flush().await
        };
        drop(timeout(PATIENCE, write).await.expect("the peer reads"));
    }

    /// One reply; fails when the connection ends instead.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> impl Future<Output = Reply> {
        let caller = std::panic::Location::caller();
        async move { self.try_reply().await.unwrap_or_else(|error| panic!("no reply at {caller}: {error}")) }
    }

    pub(crate) async fn try_reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if timeout(PATIENCE, self.stream.read_line(&mut line)).await?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            assert!(line.ends_with("\r\n") && line.len() >= 5, "a reply line: {line:?}");
            let line = line.trim_end_matches("\r\n");
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code: line[..3].parse().expect("a reply code"), lines });
            }
        }
    }

    /// Writes a line and reads the reply.
    #[track_caller]
    pub(crate) fn command(&mut self, line: &str) -> impl Future<Output = Reply> {
        let caller = std::panic::Location::caller();
        async move { self.try_command(line).await.unwrap_or_else(|error| panic!("no reply to {line:?} at {caller}: {error}")) }
    }

    pub(crate) async fn try_command(&mut self, line: &str) -> io::Result<Reply> {
        self.send(format!("{line}\r\n")).await;
        self.try_reply().await
    }

    pub(crate) async fn ehlo(&mut self) -> Reply {
        let reply = self.command("EHLO mail.northwind.example").await;
        reply.is("250");
        reply
    }

    /// MAIL, RCPT, DATA: the reply that decided. Parameters may follow the addresses: `a@b> SIZE=1` is not needed, `<a@b> SIZE=1` works too.
    pub(crate) async fn mail(&mut self, from: &str, to: &[&str], content: &[u8]) -> Reply {
        self.try_mail(from, to, content).await.expect("the connection lasts")
    }

    pub(crate) async fn try_mail(&mut self, from: &str, to: &[&str], content: &[u8]) -> io::Result<Reply> {
        let reply = self.try_command(&format!("MAIL FROM:{}", path(from))).await?;
        if !reply.positive() {
            return Ok(reply);
        }
        let mut refused = None;
        let mut accepted = 0;
        for recipient in to {
            let reply = self.try_command(&format!("RCPT TO:{}", path(recipient))).await?;
            if reply.positive() {
                accepted += 1;
            } else {
                refused = Some(reply);
            }
        }
        if let (0, Some(reply)) = (accepted, refused) {
            self.try_command("RSET").await?;
            return Ok(reply);
        }
        let reply = self.try_command("DATA").await?;
        if reply.code != 354 {
            return Ok(reply);
        }
        self.send(dotted(content)).await;
        self.try_reply().await
    }

    /// The same with one BDAT chunk.
    pub(crate) async fn mail_chunked(&mut self, from: &str, to: &[&str], content: &[u8]) -> Reply {
        self.command(&format!("MAIL FROM:{}", path(from))).await.is("250");
        for recipient in to {
            self.command(&format!("RCPT TO:{}", path(recipient))).await.is("250");
        }
        self.send(format!("BDAT {} LAST\r\n", content.len())).await;
        self.send(content).await;
        self.reply().await
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A connection that breaks has ended too.
        drop(timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await.expect("the server closes"));
        rest
    }

    /// Whether the server has closed: nothing more comes.
    pub(crate) async fn closed(&mut self) -> bool {
        self.rest().await.is_empty()
    }
}

fn path(address: &str) -> String {
    if address.starts_with('<') { address.to_owned() } else { format!("<{address}>") }
}

/// RFC 5321 section 4.5.2, with the lone dot at the end.
pub(crate) fn dotted(content: &[u8]) -> Vec<u8> {
    let mut dotted = Vec::with_capacity(content.len() + 64);
    let mut line_start = true;
    for octet in content {
        if line_start && *octet == b'.' {
            dotted.push(b'.');
        }
        dotted.push(*octet);
        line_start = dotted.ends_with(b"\r\n");
    }
    if !line_start {
        dotted.extend_from_slice(b"\r\n");
    }
    dotted.extend_from_slice(b".\r\n");
    dotted
}

pub(crate) async fn http_get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.expect("the operations port listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the request goes out");
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a header section");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}
