//! A DNS server on loopback with the records that a test or the demo needs.
//!
//! It answers for the whole tree from memory over UDP and TCP (RFC 1035), so that no query leaves the machine. It does not forward, sign or
//! change anything.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::proto::ProtoError;
use hickory_server::proto::rr::rdata::{A, CNAME, MX, SOA, TXT};
use hickory_server::proto::rr::{LowerName, Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType};
use tokio::net::{TcpListener, UdpSocket};

/// One character-string of a TXT record holds no more (RFC 1035 section 3.3.14).
const CHARACTER_STRING: usize = 255;
/// Short, because nothing changes while the server lives.
const TTL: u32 = 300;
/// A client that says nothing on a TCP connection for this long is gone.
const TCP_IDLE: Duration = Duration::from_secs(5);
/// Answers that may wait on one TCP connection.
const TCP_ANSWERS: usize = 64;
/// A free UDP port is rarely taken for TCP; trying often enough makes failure a real one.
const PORT_ATTEMPTS: usize = 16;

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// A name or value is not one.
    #[error("dns record for {name}: {source}")]
    Record {
        /// Whose record.
        name: String,
        /// What the library says.
        source: ProtoError,
    },
    /// The record contradicts another, such as a second CNAME.
    #[error("dns record for {0} contradicts another one")]
    Conflict(String),
    /// No socket on loopback.
    #[error("dns socket on loopback: {0}")]
    Socket(#[from] io::Error),
}

/// Records to serve.
#[derive(Default)]
pub struct Zone {
    records: Vec<(String, Value)>,
}

enum Value {
    Txt(String),
    Cname(String),
    A(Ipv4Addr),
    Mx(u16, String),
}

impl Zone {
    /// No records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds text of any length.
    #[must_use]
    pub fn txt(self, name: &str, text: &str) -> Self {
        self.with(name, Value::Txt(text.to_owned()))
    }

    /// Adds an alias.
    #[must_use]
    pub fn cname(self, name: &str, target: &str) -> Self {
        self.with(name, Value::Cname(target.to_owned()))
    }

    /// Adds an address.
    #[must_use]
    pub fn a(self, name: &str, address: Ipv4Addr) -> Self {
        self.with(name, Value::A(address))
    }

    /// Adds a mail exchanger.
    #[must_use]
    pub fn mx(self, name: &str, preference: u16, exchange: &str) -> Self {
        self.with(name, Value::Mx(preference, exchange.to_owned()))
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.records.push((name.to_owned(), value));
        self
    }

    /// Serves the records on a free port of loopback until the value is dropped.
    pub async fn serve(self) -> Result<ZoneServer, ZoneError> {
        let mut catalog = Catalog::new();
        let handlers: Vec<Arc<dyn ZoneHandler>> = vec![Arc::new(self.handler()?)];
        catalog.upsert(LowerName::new(&Name::root()), handlers);
        let (udp, tcp) = sockets().await?;
        let address = udp.local_addr()?;
        let mut server = Server::new(catalog);
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_ANSWERS);
        Ok(ZoneServer { address, _server: server })
    }

    fn handler(self) -> Result<InMemoryZoneHandler<TokioRuntimeProvider>, ZoneError> {
        let mut handler = InMemoryZoneHandler::empty(Name::root(), ZoneType::Primary, AxfrPolicy::Deny);
        let nobody = Name::root();
        let soa = SOA::new(nobody.clone(), nobody, 1, 3600, 600, 86400, TTL);
        let mut records = BTreeMap::from([(0, Record::from_rdata(Name::root(), TTL, RData::SOA(soa)))]);
        for (index, (name, value)) in self.records.into_iter().enumerate() {
            let fail = |source| ZoneError::Record { name: name.clone(), source };
            let data = value.data().map_err(fail)?;
            records.insert(index + 1, Record::from_rdata(Name::from_ascii(absolute(&name)).map_err(fail)?, TTL, data));
        }
        for record in records.into_values() {
            let name = record.name.to_string();
            if !handler.upsert_mut(record, 1) {
                return Err(ZoneError::Conflict(name));
            }
        }
        Ok(handler)
    }
}

impl Value {
    fn data(&self) -> Result<RData, ProtoError> {
        Ok(match self {
            Self::Txt(text) => RData::TXT(TXT::new(character_strings(text))),
            Self::Cname(target) => RData::CNAME(CNAME(Name::from_ascii(absolute(target))?)),
            Self::A(address) => RData::A(A(*address)),
            Self::Mx(preference, exchange) => RData::MX(MX::new(*preference, Name::from_ascii(absolute(exchange))?)),
        })
    }
}

fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

fn character_strings(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    // Records here are ASCII, where a character is an octet.
    characters.chunks(CHARACTER_STRING).map(|chunk| chunk.iter().collect()).collect()
}

/// The same free port for UDP and TCP.
async fn sockets() -> io::Result<(UdpSocket, TcpListener)> {
    let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..PORT_ATTEMPTS {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// A running server; dropping it ends it.
pub struct ZoneServer {
    address: SocketAddr,
    _server: Server<Catalog>,
}

impl ZoneServer {
    /// Where it answers, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::TokioResolver;
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::proto::rr::RecordType;

    use super::*;

    fn resolver(address: SocketAddr) -> TokioResolver {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = address.port();
        }
        let server = NameServerConfig::new(address.ip(), true, connections);
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap()
    }

    #[tokio::test]
    async fn text_is_found_through_an_alias_whatever_its_length() {
        let long = format!("v=DKIM1; p={}", "A".repeat(600));
        let zone = Zone::new()
            .cname("selector1._domainkey.northwind.example", "selector1-northwind._domainkey.onmicrosoft.example")
            .txt("selector1-northwind._domainkey.onmicrosoft.example", &long)
            .a("mx.northwind.example", Ipv4Addr::LOCALHOST)
            .mx("northwind.example", 10, "mx.northwind.example");
        let server = zone.serve().await.unwrap();
        let resolver = resolver(server.address());
        let found = resolver.txt_lookup("selector1._domainkey.northwind.example.").await.unwrap();
        let text = found.answers().iter().find_map(|record| match &record.data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        });
        assert_eq!(text.unwrap(), long.as_bytes());
        assert!(resolver.lookup("northwind.example.", RecordType::MX).await.is_ok());
        let nothing = resolver.txt_lookup("northwind.example.").await.unwrap_err();
        assert!(nothing.is_no_records_found() && !nothing.is_nx_domain(), "{nothing}");
        assert!(resolver.txt_lookup("nowhere.example.").await.unwrap_err().is_nx_domain());
    }

    #[tokio::test]
    async fn a_contradiction_is_named() {
        let zone = Zone::new().cname("a.example", "b.example").txt("a.example", "text");
        assert!(matches!(zone.serve().await, Err(ZoneError::Conflict(name)) if name == "a.example."));
    }
}
