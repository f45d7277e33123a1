//! The server on a real socket, with and without TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::client::console;
use crate::console::server::serve;
use crate::tls::testing::{Authority, Folder};
use crate::tls::{ClientAuthentication, ClientTls, ClientTlsSettings, ServerTls, ServerTlsSettings};

const ASK: &str = "GET /sign-in HTTP/1.1\r\nhost: signet.example\r\nconnection: close\r\n\r\n";

async fn started(tls: Option<Arc<ServerTls>>) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (router, _) = console();
    let drained = async {
        stopped.await.ok();
    };
    (address, stop, tokio::spawn(serve(listener, tls, router, drained)))
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, ask: &str) -> String {
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut octets = Vec::new();
    // A peer may close without a notice; what was read counts.
    stream.read_to_end(&mut octets).await.ok();
    String::from_utf8(octets).unwrap()
}

#[tokio::test]
async fn the_server_answers_until_it_is_told_to_stop() {
    let (address, stop, task) = started(None).await;
    let page = answer(TcpStream::connect(address).await.unwrap(), ASK).await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("<h1>Sign in</h1>"), "{page}");
    let idle = TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), task).await.expect("an idle connection does not hold it up").unwrap();
    drop(idle);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let (address, _stop, _task) = started(None).await;
    let long = format!("GET /sign-in HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(64 * 1024));
    let page = answer(TcpStream::connect(address).await.unwrap(), &long).await;
    assert!(page.starts_with("HTTP/1.1 431 "), "{page}");
}

#[tokio::test]
async fn with_a_certificate_there_is_tls_and_nothing_else() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let certificates = vec![authority.files(&folder, "console", &["signet.example"])];
    let settings = ServerTlsSettings { certificates, client: ClientAuthentication::None, reload_interval: Duration::from_secs(60) };
    let tls = ServerTls::load(settings, SystemTime::now()).unwrap();
    let client = ClientTls::load(&ClientTlsSettings { certificate: None, roots: authority.roots(&folder) }, SystemTime::now()).unwrap();
    let (address, _stop, _task) = started(Some(Arc::new(tls))).await;
    let plain = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("signet.example").unwrap();
    let stream = TlsConnector::from(client.config).connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap();
    let page = answer(stream, ASK).await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("strict-transport-security"), "{page}");
    let mut plain_answer = Vec::new();
    let mut plain = plain;
    plain.write_all(ASK.as_bytes()).await.unwrap();
    plain.read_to_end(&mut plain_answer).await.ok();
    assert!(!plain_answer.starts_with(b"HTTP/"), "nothing is answered without TLS");
}
