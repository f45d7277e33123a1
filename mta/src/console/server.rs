//! The console's HTTP server: HTTP/1.1 (RFC 9112), TLS when there is a certificate, and limits that hold before anybody has signed in.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
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
/// Connections of one address that is not this machine's, so that one address cannot take all.
const MAX_CONNECTIONS_OF_ADDRESS: usize = 32;
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
    let open = Open::default();
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
                    let Some(place) = open.enter(peer.ip()) else { continue };
                    let (tls, router) = (tls.clone(), router.clone());
                    connections.spawn(async move {
                        converse(stream, peer, tls, router).await;
                        drop((place, permit));
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

/// How many connections each address has.
#[derive(Clone, Debug, Default)]
struct Open(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Open {
    /// A place for one more of that address; none when it has enough.
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= MAX_CONNECTIONS_OF_ADDRESS && !address.to_canonical().is_loopback() {
            return None;
        }
        *count += 1;
        Some(Place { open: self.clone(), address })
    }
}

/// Given back when it is dropped.
#[derive(Debug)]
struct Place {
    open: Open,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_its_share_and_gives_it_back() {
        let open = Open::default();
        let (one, other, own) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), [127, 0, 0, 1].into());
        let places: Vec<Place> = std::iter::from_fn(|| open.enter(one)).collect();
        assert_eq!(places.len(), MAX_CONNECTIONS_OF_ADDRESS);
        assert!(open.enter(other).is_some());
        let proxied: Vec<Option<Place>> = (0..=MAX_CONNECTIONS_OF_ADDRESS).map(|_| open.enter(own)).collect();
        assert!(proxied.iter().all(Option::is_some), "a proxy on this machine speaks for many");
        drop((places, proxied));
        assert!(open.enter(one).is_some());
        assert!(open.0.lock().unwrap().is_empty(), "nothing is kept of those who left");
    }
}
