//! What a receiver can prove about a message that came back: DKIM and ARC, checked against the demo's own zone.
//!
//! RFC 6376, RFC 8617, through the same library that Signet verifies with; the foreign judges are in `tests/`. It decides nothing.

use std::net::SocketAddr;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::{ArcResult, AuthenticatedMessage, DkimResult, MessageAuthenticator};

/// Checks messages that arrived.
pub struct Judge {
    authenticator: MessageAuthenticator,
}

/// One check with its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which DKIM signature or ARC chain.
    pub name: String,
    /// Whether it passes.
    pub passes: bool,
    /// What the library says, when it does not.
    pub result: String,
}

impl Judge {
    /// A judge that asks this DNS server.
    pub fn new(dns: SocketAddr) -> Result<Self, hickory_resolver::net::NetError> {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = dns.port();
        }
        let server = NameServerConfig::new(dns.ip(), true, connections);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        Ok(Self { authenticator: MessageAuthenticator::new(config, ResolverOpts::default())? })
    }

    /// Every DKIM signature of the message from the top, then its ARC chain if it has one.
    pub async fn check(&self, content: &[u8]) -> Vec<Check> {
        let Some(message) = AuthenticatedMessage::parse(content) else { return Vec::new() };
        let mut checks = Vec::new();
        for output in self.authenticator.verify_dkim(&message).await {
            let Some(signature) = output.signature() else { continue };
            let passes = matches!(output.result(), DkimResult::Pass);
            let result = if passes { "pass".to_owned() } else { output.result().to_string() };
            checks.push(Check { name: format!("dkim={}/{}", signature.d, signature.s), passes, result });
        }
        let arc = self.authenticator.verify_arc(&message).await;
        if !matches!(arc.result(), ArcResult::None) {
            let passes = matches!(arc.result(), ArcResult::Pass);
            let result = if passes { "pass".to_owned() } else { arc.result().to_string() };
            checks.push(Check { name: "arc".to_owned(), passes, result });
        }
        checks
    }
}
