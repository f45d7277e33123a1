//! The next hop: answers every transaction with 250 and throws the message away.
//!
//! It requires the tenant's client certificate, as Microsoft's return host does, and offers what Exchange Online offers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const EHLO: &[u8] = b"250-sink.example\r\n250-SIZE 157286400\r\n250-PIPELINING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n";

/// A running sink.
pub(crate) struct Sink {
    /// Where it listens.
    pub(crate) port: u16,
    /// Messages it has answered 250.
    pub(crate) received: Arc<AtomicUsize>,
}

/// Binds a port on loopback and serves it until the runtime ends.
pub(crate) async fn start(tls: Arc<ServerConfig>) -> Result<Sink> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("binding the sink")?;
    let port = listener.local_addr()?.port();
    let received = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (tls, counter) = (TlsAcceptor::from(Arc::clone(&tls)), Arc::clone(&counter));
            // A connection that ends early shows in the generator's count.
            tokio::spawn(async move { connection(tcp, tls, &counter).await.ok() });
        }
    });
    Ok(Sink { port, received })
}

async fn connection(tcp: TcpStream, tls: TlsAcceptor, received: &AtomicUsize) -> Result<()> {
    tcp.set_nodelay(true)?;
    let mut plain = BufReader::new(tcp);
    plain.write_all(b"220 sink.example ESMTP\r\n").await?;
    if !dialogue(&mut plain, received).await? {
        return Ok(());
    }
    let mut stream = BufReader::with_capacity(64 * 1024, tls.accept(plain.into_inner()).await?);
    dialogue(&mut stream, received).await?;
    Ok(())
}

/// Answers commands until QUIT or the end (false), or until STARTTLS was answered (true).
async fn dialogue<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, received: &AtomicUsize) -> Result<bool> {
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(false);
        }
        let verb = line.trim_end().to_ascii_uppercase();
        let reply: &[u8] = match verb.split(' ').next().unwrap_or_default() {
            "EHLO" => EHLO,
            "STARTTLS" => {
                stream.write_all(b"220 2.0.0 ready\r\n").await?;
                stream.flush().await?;
                return Ok(true);
            }
            "BDAT" => {
                let size: u64 = verb.split(' ').nth(1).unwrap_or_default().parse()?;
                tokio::io::copy(&mut stream.take(size), &mut tokio::io::sink()).await?;
                received.fetch_add(1, Ordering::Relaxed);
                b"250 2.6.0 queued\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 2.0.0 bye\r\n").await?;
                return Ok(false);
            }
            _ => b"250 2.0.0 ok\r\n",
        };
        stream.write_all(reply).await?;
        if stream.buffer().is_empty() {
            stream.flush().await?;
        }
    }
}
