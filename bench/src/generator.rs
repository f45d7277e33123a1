//! The load: connections with a client certificate that each send one message after the other, as fast as they are answered.
//!
//! A transaction is one write (MAIL, RCPT and `BDAT n LAST` pipelined, RFC 2920 and RFC 3030), so that the generator costs little next to
//! the server under test.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What to send, where to, for how long.
#[derive(Clone)]
pub(crate) struct Load {
    /// The server under test.
    pub(crate) port: u16,
    /// TLS with the client certificate.
    pub(crate) tls: Arc<ClientConfig>,
    /// Distinct messages, sent in turn.
    pub(crate) messages: Arc<Vec<Bytes>>,
    /// Reverse-path and forward-path.
    pub(crate) envelope: (&'static str, &'static str),
    /// Simultaneous connections.
    pub(crate) connections: usize,
    /// How long new messages are started.
    pub(crate) duration: Duration,
}

/// What came of it.
pub(crate) struct Outcome {
    /// Messages that were answered 250.
    pub(crate) accepted: usize,
    /// From the first message to the last answer.
    pub(crate) elapsed: Duration,
    /// Time from writing a transaction to its 250, each message, ascending.
    pub(crate) latencies: Vec<Duration>,
}

type Stream = BufReader<tokio_rustls::client::TlsStream<TcpStream>>;

/// Runs the load; any answer but the expected one is an error.
pub(crate) async fn run(load: Load) -> Result<Outcome> {
    let mut streams = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        streams.push(connect(&load).await?);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = streams.into_iter().map(|stream| tokio::spawn(send_all(stream, load.clone(), Arc::clone(&next), start))).collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let elapsed = start.elapsed();
    latencies.sort_unstable();
    Ok(Outcome { accepted: latencies.len(), elapsed, latencies })
}

async fn send_all(mut stream: Stream, load: Load, next: Arc<AtomicUsize>, start: Instant) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut sent_on_connection = 0_usize;
    while start.elapsed() < load.duration {
        let content = &load.messages[next.fetch_add(1, Ordering::Relaxed) % load.messages.len()];
        let (from, to) = load.envelope;
        let mut octets = Vec::with_capacity(content.len() + 160);
        octets.extend_from_slice(
            format!("MAIL FROM:<{from}> BODY=8BITMIME SIZE={size}\r\nRCPT TO:<{to}>\r\nBDAT {size} LAST\r\n", size = content.len())
                .as_bytes(),
        );
        octets.extend_from_slice(content);
        let begun = Instant::now();
        stream.write_all(&octets).await?;
        stream.flush().await?;
        for _ in 0..3 {
            expect(&mut stream, "250").await?;
        }
        latencies.push(begun.elapsed());
        sent_on_connection += 1;
        if sent_on_connection == MESSAGES_A_CONNECTION {
            sent_on_connection = 0;
            stream.write_all(b"QUIT\r\n").await?;
            stream = connect(&load).await?;
        }
    }
    stream.write_all(b"QUIT\r\n").await?;
    Ok(latencies)
}

/// Exchange Online sends about this many messages before it opens a new connection.
const MESSAGES_A_CONNECTION: usize = 20;

async fn connect(load: &Load) -> Result<Stream> {
    let tcp = TcpStream::connect(("127.0.0.1", load.port)).await.context("connecting to the server under test")?;
    tcp.set_nodelay(true)?;
    let mut plain = BufReader::new(tcp);
    expect(&mut plain, "220").await?;
    plain.write_all(b"EHLO mail-outbound.protection.example\r\n").await?;
    expect(&mut plain, "250").await?;
    plain.write_all(b"STARTTLS\r\n").await?;
    expect(&mut plain, "220").await?;
    let name = ServerName::try_from("smtp.signet.example")?;
    let mut stream = BufReader::new(TlsConnector::from(Arc::clone(&load.tls)).connect(name, plain.into_inner()).await?);
    stream.write_all(b"EHLO mail-outbound.protection.example\r\n").await?;
    expect(&mut stream, "250").await?;
    Ok(stream)
}

async fn expect<S: tokio::io::AsyncRead + Unpin>(stream: &mut BufReader<S>, code: &str) -> Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            bail!("the server closed the connection where {code} was expected");
        }
        if !line.starts_with(code) {
            let mut rest = vec![0; 512];
            let more = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut rest)).await;
            bail!("expected {code}, got {line:?} ({more:?} octets more)");
        }
        if line.as_bytes().get(3) == Some(&b' ') {
            return Ok(());
        }
    }
}
