//! The next hop: answers every transaction with 250 and throws the message away, except for one that shows what arrives.
//!
//! It requires the tenant's client certificate, as Microsoft's return host does, and offers what Exchange Online offers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    received: AtomicUsize,
    connections: AtomicUsize,
    sample: Mutex<Option<Vec<u8>>>,
}

impl Sink {
    /// Messages it has answered 250.
    pub(crate) fn received(&self) -> usize {
        self.state.received.load(Ordering::Relaxed)
    }

    /// Connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// The first message since the last call.
    pub(crate) fn take_sample(&self) -> Option<Vec<u8>> {
        self.state.sample.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Binds a port on loopback and serves it until the runtime ends.
pub(crate) async fn start(tls: Arc<ServerConfig>) -> Result<Sink> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("binding the sink")?;
    let port = listener.local_addr()?.port();
    let state = Arc::<State>::default();
    let shared = Arc::clone(&state);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (tls, state) = (TlsAcceptor::from(Arc::clone(&tls)), Arc::clone(&shared));
            state.connections.fetch_add(1, Ordering::Relaxed);
            // A connection that ends early shows in the generator's count.
            tokio::spawn(async move { connection(tcp, tls, &state).await.ok() });
        }
    });
    Ok(Sink { port, state })
}

async fn connection(tcp: TcpStream, tls: TlsAcceptor, state: &State) -> Result<()> {
    tcp.set_nodelay(true)?;
    let mut plain = BufReader::new(tcp);
    plain.write_all(b"220 sink.example ESMTP\r\n").await?;
    if !dialogue(&mut plain, state).await? {
        return Ok(());
    }
    let mut stream = BufReader::with_capacity(64 * 1024, tls.accept(plain.into_inner()).await?);
    dialogue(&mut stream, state).await?;
    Ok(())
}

/// Answers commands until QUIT or the end (false), or until STARTTLS was answered (true).
async fn dialogue<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, state: &State) -> Result<bool> {
    let mut line = String::new();
    let mut replies = Vec::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(false);
        }
        let verb = line.trim_end().to_ascii_uppercase();
        match verb.split(' ').next().unwrap_or_default() {
            "EHLO" => replies.extend_from_slice(EHLO),
            "STARTTLS" => {
                stream.write_all(b"220 2.0.0 ready\r\n").await?;
                stream.flush().await?;
                return Ok(true);
            }
            "BDAT" => {
                let size: u64 = verb.split(' ').nth(1).unwrap_or_default().parse()?;
                content(stream, size, state).await?;
                state.received.fetch_add(1, Ordering::Relaxed);
                replies.extend_from_slice(b"250 2.6.0 queued\r\n");
            }
            "QUIT" => {
                stream.write_all(b"221 2.0.0 bye\r\n").await?;
                stream.flush().await?;
                return Ok(false);
            }
            _ => replies.extend_from_slice(b"250 2.0.0 ok\r\n"),
        }
        // Replies to pipelined commands leave together (RFC 2920 section 3.2).
        if stream.buffer().is_empty() {
            stream.write_all(&replies).await?;
            stream.flush().await?;
            replies.clear();
        }
    }
}

async fn content<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, size: u64, state: &State) -> Result<()> {
    let wanted = state.sample.lock().unwrap_or_else(PoisonError::into_inner).is_none();
    if wanted {
        let mut message = Vec::new();
        stream.take(size).read_to_end(&mut message).await?;
        *state.sample.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
    } else {
        tokio::io::copy_buf(&mut stream.take(size), &mut tokio::io::sink()).await?;
    }
    Ok(())
}
