//! The console's HTTP server: HTTP/1.1 (RFC 9112), TLS when there is a certificate, and limits that hold before anybody has signed in.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::tls::ServerTls;

/// Connections at one time; a browser opens six.
const MAX_CONNECTIONS: usize = 256;
/// Requests that are being answered at one time.
pub(super) const MAX_REQUESTS: usize = 64;
/// Octets of a request's body: the largest form of ours has some hundred.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// Octets of a request line with its fields.
const MAX_HEAD: usize = 32 * 1024;
/// For a handshake, for the fields of a request, for its body, and for a connection to stay open unused.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// For an answer: a plan is read from the service meanwhile.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(90);
/// After an accept that failed: too many open files pass only with time.
const PAUSE: Duration = Duration::from_millis(200);

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// Serves until `drained`; connections that are open then are closed. What a request has begun in the control plane goes on there.
pub async fn serve(listener: TcpListener, tls: Option<Arc<ServerTls>>, router: Router, drained: impl Future<Output = ()>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    tokio::pin!(drained);
    loop {
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        tokio::select! {
            () = &mut drained => return,
            Some(_) = connections.join_next() => {}
            (permit, accepted) = accepted => match accepted {
                Ok((stream, peer)) => {
                    let (tls, router) = (tls.clone(), router.clone());
                    connections.spawn(async move {
                        converse(stream, peer, tls, router).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(event = "console.accept-failed", %error, "a connection to the console was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn converse(stream: TcpStream, peer: SocketAddr, tls: Option<Arc<ServerTls>>, router: Router) {
    let router = router.layer(Extension(Peer(peer.ip())));
    let ended = match tls {
        None => answer(stream, router).await,
        Some(tls) => match tokio::time::timeout(PATIENCE, tls.accept(stream, SystemTime::now())).await {
            Ok(Ok((stream, _))) => answer(stream, router).await,
            // Scanners and browsers that do not know the certificate: theirs to report.
            Ok(Err(_)) | Err(_) => Ok(()),
        },
    };
    if let Err(error) = ended {
        tracing::debug!(event = "console.connection-ended", %error, "a connection to the console ended early");
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, router: Router) -> Result<(), hyper::Error> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}
