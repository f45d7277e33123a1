//! For tests: servers on loopback, names, credentials, and the guest of `tests/guests/controller`.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::egress::{Awaited, Bearer, CredentialSource, Egress, EgressSettings, Rule};
use super::words::{Connection, Request, Routing, Synchronisation, Word};
use crate::smtp::client::Resolve;

/// What a server answers to the whole request, head and body.
pub(super) type Answer = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

/// An answer without special fields.
pub(super) fn plain(status: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{fields}\r\n{body}", body.len()).into_bytes()
}

/// A server that ends with the test; counts its connections.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(address: &str, tls: Option<TlsAcceptor>, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, answer): (_, Answer) = (Arc::clone(&connections), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (tls, answer) = (tls.clone(), Arc::clone(&answer));
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &answer).await;
                            }
                        }
                        None => serve(stream, &answer).await,
                    }
                });
            }
        });
        Self { address, connections, task }
    }

    /// A server that sends back the request as it came.
    pub(super) async fn echo() -> Self {
        Self::start("127.0.0.1:0", None, |request| plain("200 OK", "X-Seen: yes\r\n", request)).await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: &Answer) {
    let mut request = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    // A client that has read enough hangs up.
    drop(stream.write_all(&answer(&text)).await);
    drop(stream.shutdown().await);
}

/// Names and the answers to successive look-ups of each; the last is repeated.
#[derive(Default)]
pub(super) struct Names {
    known: HashMap<String, Vec<Vec<IpAddr>>>,
    asked: Mutex<HashMap<String, usize>>,
}

impl Names {
    pub(super) fn with(mut self, name: &str, answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().expect("an address")).collect();
        self.known.insert(name.to_owned(), answers.iter().map(parse).collect());
        self
    }

    pub(super) fn asked(&self, name: &str) -> usize {
        self.asked.lock().expect("nobody panics").get(name).copied().unwrap_or(0)
    }
}

impl Resolve for Names {
    fn addresses<'a>(&'a self, host: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        let mut asked = self.asked.lock().expect("nobody panics");
        let times = asked.entry(host.to_owned()).or_default();
        let answers = self.known.get(host);
        let answer = answers.and_then(|answers| answers.get(*times).or(answers.last())).cloned();
        *times += 1;
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such name")) })
    }
}

/// Tokens `token-of-TENANT-HANDLE-N`, where N counts the rejected ones.
pub(super) struct Tokens {
    pub(super) origin: String,
    pub(super) rejected: AtomicU32,
    pub(super) challenge: Mutex<String>,
}

impl Tokens {
    pub(super) fn of(origin: &str) -> Arc<Self> {
        Arc::new(Self { origin: origin.to_owned(), rejected: AtomicU32::new(0), challenge: Mutex::default() })
    }
}

impl CredentialSource for Tokens {
    fn bearer<'a>(&'a self, tenant: &'a str, handle: &'a str) -> Awaited<'a, Result<Bearer, String>> {
        Box::pin(async move {
            if handle != "directory" {
                return Err(format!("nobody has signed in for `{handle}`"));
            }
            let token = format!("token-of-{tenant}-{handle}-{}", self.rejected.load(Ordering::SeqCst));
            Ok(Bearer::new(token, self.origin.clone()))
        })
    }

    fn rejected<'a>(&'a self, _: &'a str, _: &'a str, _: &'a Bearer, challenge: &'a str) -> Awaited<'a, ()> {
        Box::pin(async move {
            self.rejected.fetch_add(1, Ordering::SeqCst);
            challenge.clone_into(&mut self.challenge.lock().expect("nobody panics"));
        })
    }
}

/// Settings that allow these rules and loopback addresses.
pub(super) fn settings(rules: &[String]) -> EgressSettings {
    let rules = rules.iter().map(|rule| Rule::parse(rule).unwrap_or_else(|error| panic!("{error}"))).collect();
    EgressSettings { rules, private_networks: vec!["127.0.0.0/8".parse().expect("a network")], ..EgressSettings::default() }
}

pub(super) fn egress(settings: EgressSettings, names: Names, origin: &str) -> Arc<Egress> {
    Arc::new(Egress::new(settings, Arc::new(names), Tokens::of(origin)).expect("it starts"))
}

pub(super) fn get(url: &str) -> Request {
    Request { method: "GET".to_owned(), url: url.to_owned(), headers: Vec::new(), body: None, credential: None }
}

pub(super) fn connection(endpoint: &str) -> Connection {
    let word = |name: &str, value: &str| Word { name: name.to_owned(), value: value.to_owned() };
    Connection {
        tenant: "north".to_owned(),
        endpoints: vec![word("graph", endpoint)],
        credentials: vec!["directory".to_owned()],
        synchronisation: Synchronisation::Full,
        routing: Routing::Group("g".to_owned()),
        smart_host: "in.signet.example".to_owned(),
        certificate_domain: "north.signet.example".to_owned(),
        processed: word("X-Signet", "the-tenants-secret-word"),
        identification: None,
        size_limit: 1,
        domains: vec!["example.org".to_owned()],
        spf_term: "include:spf.signet.example".to_owned(),
    }
}

/// The hostile controller, built once a process.
pub(super) fn hostile() -> &'static [u8] {
    static WASM: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let built = crate::plugin::component::build(&root.join("tests/guests/controller"), &root.join("target/guests"));
        built.unwrap_or_else(|error| panic!("{error}"))
    });
    &WASM
}
