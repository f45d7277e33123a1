//! A gate in front of the zone's server: a DNS server that can be killed and come back at the same address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Longer than any name on loopback takes.
const ANSWER: Duration = Duration::from_secs(5);
/// EDNS answers are shorter.
const DATAGRAM: usize = 4096;

pub(crate) struct Gate {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    relay: JoinHandle<()>,
}

impl Gate {
    /// In front of `server`.
    pub(crate) async fn new(server: SocketAddr) -> Self {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket"));
        let address = socket.local_addr().expect("an address");
        let (open, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let relay = tokio::spawn(relay(socket, server, Arc::clone(&open), Arc::clone(&asked)));
        Self { address, open, asked, relay }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nobody answers any more.
    pub(crate) fn kill(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// Answers again.
    pub(crate) fn revive(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// How many questions were asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

async fn relay(socket: Arc<UdpSocket>, server: SocketAddr, open: Arc<AtomicBool>, asked: Arc<AtomicUsize>) {
    let mut question = [0; DATAGRAM];
    while let Ok((length, client)) = socket.recv_from(&mut question).await {
        asked.fetch_add(1, Ordering::AcqRel);
        if !open.load(Ordering::Acquire) {
            continue;
        }
        let (question, socket) = (question[..length].to_vec(), Arc::clone(&socket));
        tokio::spawn(async move {
            let Ok(upstream) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await else { return };
            if upstream.send_to(&question, server).await.is_err() {
                return;
            }
            let mut answer = [0; DATAGRAM];
            if let Ok(Ok(length)) = tokio::time::timeout(ANSWER, upstream.recv(&mut answer)).await {
                drop(socket.send_to(&answer[..length], client).await);
            }
        });
    }
}
