//! A DNS server on loopback and messages to check, for the tests of this module and of `seal`.

use std::collections::HashMap;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, SOA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use crate::address::{ForwardPath, ReversePath};
use crate::message::{Accepted, Envelope, MailParameters, Peer, Recipient, Tls};
use crate::seal::Key;
use crate::tenant::{Proof, Registry, Tenant, TenantId};
use crate::verify::{DnsSettings, Policy, Resolver, Unaligned};

/// Answers over UDP from `records`; what is longer than 1,232 octets is truncated and has to be fetched over TCP.
pub(crate) struct Zone {
    pub(crate) address: SocketAddr,
    queries: Arc<AtomicUsize>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Zone {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A port that is free for both; the one that UDP gets may be taken for TCP.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

impl Zone {
    /// Records as `name TYPE value`.
    pub(crate) async fn start(records: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut table: HashMap<String, Vec<RData>> = HashMap::new();
        for record in records {
            let mut words = record.as_ref().splitn(3, ' ');
            let (name, kind, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            table.entry(format!("{name}.")).or_default().push(rdata(kind, value));
        }
        let table = Arc::new(table);
        let queries = Arc::new(AtomicUsize::new(0));
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().unwrap();
        let (count, records) = (Arc::clone(&queries), Arc::clone(&table));
        let udp_task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, peer) = udp.recv_from(&mut buffer).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let answer = answer(&buffer[..length], &records);
                let octets = answer.to_vec().unwrap();
                let octets = if octets.len() > 1232 { answer.truncate().to_vec().unwrap() } else { octets };
                udp.send_to(&octets, peer).await.unwrap();
            }
        });
        let tcp_task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                while let Ok(length) = stream.read_u16().await {
                    let mut query = vec![0; length.into()];
                    stream.read_exact(&mut query).await.unwrap();
                    let octets = answer(&query, &table).to_vec().unwrap();
                    stream.write_u16(octets.len().try_into().unwrap()).await.unwrap();
                    stream.write_all(&octets).await.unwrap();
                }
            }
        });
        Self { address, queries, tasks: [udp_task, tcp_task] }
    }

    /// UDP queries so far.
    pub(crate) fn queries(&self) -> usize {
        self.queries.load(Ordering::Relaxed)
    }

    pub(crate) fn resolver(&self) -> Resolver {
        resolver(self.address)
    }
}

pub(crate) fn resolver(server: SocketAddr) -> Resolver {
    let settings = DnsSettings { servers: vec![server], timeout: Duration::from_millis(500), attempts: 1, ..DnsSettings::default() };
    Resolver::new(&settings).unwrap()
}

fn rdata(kind: &str, value: &str) -> RData {
    match kind {
        "TXT" => RData::TXT(TXT::new(value.as_bytes().chunks(255).map(|chunk| String::from_utf8(chunk.to_vec()).unwrap()).collect())),
        "A" => RData::A(A(value.parse().unwrap())),
        "CNAME" => RData::CNAME(CNAME(Name::from_ascii(value).unwrap())),
        _ => panic!("unknown type {kind}"),
    }
}

fn answer(query: &[u8], table: &HashMap<String, Vec<RData>>) -> Message {
    let query = Message::from_vec(query).unwrap();
    let question = query.queries[0].clone();
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.metadata.recursion_available = true;
    let mut name = question.name().clone();
    let mut known = false;
    while let Some(records) = table.get(&name.to_ascii().to_lowercase()) {
        known = true;
        let cname = records.iter().find_map(|data| if let RData::CNAME(target) = data { Some(target.0.clone()) } else { None });
        for data in records.iter().filter(|data| data.record_type() == question.query_type() || cname.is_some()) {
            answer.add_answer(Record::from_rdata(name.clone(), 300, data.clone()));
        }
        let Some(target) = cname else { break };
        name = target;
    }
    if answer.answers.is_empty() {
        let apex = Name::from_ascii("example.").unwrap();
        let soa = SOA::new(apex.clone(), apex.clone(), 1, 1, 1, 1, 300);
        answer.add_authority(Record::from_rdata(apex, 300, RData::SOA(soa)));
        if !known {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
    }
    answer.add_query(question);
    answer
}

/// One RSA key for all tests, as PKCS#8 PEM.
pub(crate) fn rsa_pem() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()))
    })
}

/// One Ed25519 key for all tests, as PKCS#8 PEM.
pub(crate) fn ed25519_pem() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| {
        let der = Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()))
    })
}

/// A file with this content and mode, removed when dropped.
pub(crate) struct TestFile(pub(crate) PathBuf);

impl TestFile {
    pub(crate) fn new(content: &str, mode: u32) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("signet-test-{}-{}.pem", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Self(path)
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// The key in `pem` under this name.
pub(crate) fn key(pem: &str, domain: &str, selector: &str) -> Arc<Key> {
    Arc::new(Key::load(&TestFile::new(pem, 0o600).0, domain.parse().unwrap(), selector).unwrap())
}

/// The record that publishes [`key`].
pub(crate) fn key_record(pem: &str, domain: &str, selector: &str) -> String {
    format!("{selector}._domainkey.{domain} TXT {}", key(pem, domain, selector).dns_record().unwrap())
}

/// A registry with one tenant that trusts loopback.
pub(crate) fn registry() -> Registry {
    let proof = Proof {
        networks: ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "127.0.0.0/8", "2001:db8::/32"]
            .map(|net| net.parse().unwrap())
            .to_vec(),
        ..Proof::default()
    };
    let tenant = Tenant { id: TenantId::new("contoso"), name: String::new(), domains: Vec::new(), partners: Vec::new(), proof };
    Registry::new(vec![Arc::new(tenant)], []).unwrap()
}

/// An accepted message from 192.0.2.1 to these recipients.
pub(crate) fn accepted(helo: &str, reverse_path: &str, recipients: &[&str], content: impl Into<Bytes>) -> Accepted {
    let peer = Peer {
        address: "192.0.2.1:4711".parse().unwrap(),
        local: "127.0.0.1:25".parse().unwrap(),
        helo: helo.to_owned(),
        extended: true,
        tls: Some(Tls { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384".to_owned(), server_name: None, client: None }),
        login: None,
    };
    let permit = registry().permit(&peer).unwrap();
    let mut paths = recipients.iter().map(|path| Recipient { path: ForwardPath::parse(path).unwrap(), notify: None, orcpt: None });
    let mut envelope = Envelope::new(permit, ReversePath::parse(reverse_path).unwrap(), MailParameters::default(), paths.next().unwrap());
    paths.for_each(|recipient| envelope.add(recipient));
    Accepted { id: "m1".into(), peer: Arc::new(peer), envelope: Arc::new(envelope), content: content.into(), received: SystemTime::now() }
}

pub(crate) fn policy(unaligned: Unaligned, trusted: &[&str]) -> Policy {
    Policy {
        authserv_id: "mx.signet.example".to_owned(),
        hostname: "mx.signet.example".to_owned(),
        unaligned,
        trusted_sealers: trusted.iter().map(|domain| domain.parse().unwrap()).collect(),
    }
}
