//! The listeners: accept, PROXY header, TLS, and one task a connection that drives the session.
//!
//! RFC 5321 section 4.5.3.2 (timeouts), RFC 3207 and RFC 8314 (TLS), PROXY protocol version 2. What is said on a connection is the
//! session's business, whose mail it is `tenant`'s, what becomes of it the pipeline's. Nothing here parses SMTP.

mod connections;
mod conversation;
mod transaction;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, BytesMut};
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::service::Shared;
use crate::smtp::proxy::{self, Progress};
use crate::tls::ServerTls;

pub use connections::Connections;
use conversation::{Conversation, Line};

/// A byte stream to the peer, with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// After STARTTLS (RFC 3207).
    StartTls,
    /// With the first octet (RFC 8314).
    Implicit,
    /// Never; for loopback only.
    Plain,
}

/// What one listener does.
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// When TLS begins.
    pub mode: Mode,
    /// The certificates; there for every mode but plain.
    pub tls: Option<ServerTls>,
    /// Peers that begin with a PROXY header; its source address is believed.
    pub proxy_networks: Vec<IpNet>,
    /// Which of the configured listeners it is: its terms may change with a reload.
    pub number: usize,
}

/// How long to wait for the peer (RFC 5321 section 4.5.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the PROXY header and for the TLS handshake, each.
    pub handshake: Duration,
    /// For the next command: five minutes by section 4.5.3.2.7.
    pub command: Duration,
    /// For the next octets of a message: three minutes by section 4.5.3.2.5.
    pub content: Duration,
    /// For a whole message, however steadily it drips.
    pub message: Duration,
    /// For the peer to take replies.
    pub write: Duration,
}

/// After a failed accept (no file descriptors left, say) the next attempt waits this long, so that the loop does not spin.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// Accepts connections until `drain` turns true. Each connection has its own task.
pub(crate) async fn accept(tcp: TcpListener, listener: Arc<Listener>, shared: Arc<Shared>, mut drain: watch::Receiver<bool>) {
    loop {
        let permit = tokio::select! {
            permit = shared.connections.permit() => permit,
            _ = drain.wait_for(|stop| *stop) => return,
        };
        let accepted = tokio::select! {
            accepted = tcp.accept() => accepted,
            _ = drain.wait_for(|stop| *stop) => return,
        };
        let (socket, address) = match accepted {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(event = "connection.accept-failed", %error, listener = %listener.address, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
                continue;
            }
        };
        let (listener, shared, drain) = (Arc::clone(&listener), Arc::clone(&shared), drain.clone());
        shared.metrics.connection_opened();
        tokio::spawn(async move {
            let metrics = shared.metrics.clone();
            if let Err(error) = connection(socket, address, listener, shared, drain).await {
                tracing::debug!(event = "connection.failed", %error, peer = %address, "a connection ended before the greeting");
            }
            metrics.connection_closed();
            drop(permit);
        });
    }
}

/// Addresses of the two ends of a connection.
struct Ends {
    peer: SocketAddr,
    local: SocketAddr,
}

async fn connection(
    mut socket: TcpStream,
    address: SocketAddr,
    listener: Arc<Listener>,
    shared: Arc<Shared>,
    drain: watch::Receiver<bool>,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let Some(terms) = shared.service().terms.get(listener.number).cloned() else { return Ok(()) };
    let mut ends = Ends { peer: address, local: socket.local_addr()? };
    let mut input = BytesMut::new();
    if listener.proxy_networks.iter().any(|network| network.contains(&plain_address(address.ip()))) {
        let header = proxy_header(&mut socket, &mut input);
        let header = within(terms.timeouts.handshake, header).await?;
        if let Some((source, destination)) = header {
            ends = Ends { peer: source, local: destination };
        }
    }
    let Some(_place) = shared.connections.admit(ends.peer.ip()) else {
        use tokio::io::AsyncWriteExt as _;
        shared.metrics.connection_refused("address-limit");
        let reply = crate::smtp::reply::Reply::too_many_connections().to_wire();
        return within(terms.timeouts.write, async move { socket.write_all(&reply).await }).await;
    };
    let (stream, tls): (Box<dyn Stream>, _) = match (listener.mode, &listener.tls) {
        (Mode::Implicit, Some(server)) => {
            // What came with the PROXY header belongs to the handshake.
            let stream = Prefixed { prefix: std::mem::take(&mut input), stream: socket };
            let (stream, tls) = within(terms.timeouts.handshake, server.accept(stream, SystemTime::now())).await?;
            (Box::new(stream), Some(tls))
        }
        _ => (Box::new(socket), None),
    };
    let line = Line { address: ends.peer, local: ends.local, stream, tls, input };
    Conversation::new(shared, listener, terms, line).run(drain).await;
    Ok(())
}

/// IPv4 addresses that a dual-stack socket shows as IPv6 are compared as IPv4.
pub(crate) fn plain_address(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}

/// Reads the PROXY header; what follows it stays in `input`. None for a health check of the proxy itself.
async fn proxy_header(socket: &mut TcpStream, input: &mut BytesMut) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
    loop {
        match proxy::parse(input).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            Progress::Header { source, destination, length } => {
                input.advance(length);
                return Ok(Some((source, destination)));
            }
            Progress::Local { length } => {
                input.advance(length);
                return Ok(None);
            }
            Progress::NeedMore(_) => {
                if socket.read_buf(input).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
}

/// A stream whose first octets have been read already.
struct Prefixed {
    prefix: BytesMut,
    stream: TcpStream,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return std::pin::Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.prefix.len().min(buffer.remaining());
        buffer.put_slice(&self.prefix.split_to(length));
        std::task::Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        octets: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
