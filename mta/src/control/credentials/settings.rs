//! What an operator says about the sign-in service: addresses, applications, where their credentials are. Plain values; the files that they
//! name are read by `key`.

use std::net::IpAddr;
use std::path::PathBuf;

use url::{Host, Url};
use uuid::Uuid;

/// How a scope ends that stands for everything that is registered for a resource.
pub(super) const DEFAULT: &str = "/.default";

/// One cloud's sign-in service, as the operator configured it. Tokens of one cloud are useless in another.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base address of the sign-in service, `https://login.microsoftonline.com` for example.
    pub authority: Url,
    /// The application that reads the directory on its own behalf.
    pub synchronisation: Application,
    /// The application in whose name an administrator changes mail flow.
    pub setup: Application,
    /// Where the service sends browsers back to; registered with both applications.
    pub redirect: Url,
    /// What tokens are asked for.
    pub resources: Resources,
    /// PEM files with certification authorities that are trusted beside those of the operating system.
    pub roots: Vec<PathBuf>,
}

/// The services that tokens are for.
#[derive(Clone, Debug)]
pub struct Resources {
    /// Base address of Microsoft Graph.
    pub graph: Url,
    /// The scope of its tokens: `https://graph.microsoft.com/.default`.
    pub graph_scope: String,
    /// Base address of the Exchange administration service.
    pub exchange: Url,
    /// The scope of its tokens, which in some clouds is not below its address: `https://outlook.office365.com/.default`.
    pub exchange_scope: String,
}

/// An application as it is registered with the service.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its application (client) id.
    pub client_id: Uuid,
    /// How it proves itself.
    pub credential: Credential,
}

/// How an application proves itself.
#[derive(Clone, Debug)]
pub enum Credential {
    /// By a signed assertion (RFC 7523), with an RSA key. PEM files.
    Certificate {
        /// The certificate that is registered with the application.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// By a shared secret, alone in a file.
    Secret(PathBuf),
}

/// Microsoft's clouds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// The worldwide one, GCC included.
    Global,
    /// US Government, GCC High.
    GccHigh,
    /// US Government, Department of Defense.
    Dod,
    /// China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// The cloud's authority and resources.
    pub fn endpoints(self) -> Result<(Url, Resources), url::ParseError> {
        let [authority, graph, exchange, exchange_scope] = match self {
            Self::Global => [
                "https://login.microsoftonline.com",
                "https://graph.microsoft.com",
                "https://outlook.office365.com",
                "https://outlook.office365.com/.default",
            ],
            Self::GccHigh => [
                "https://login.microsoftonline.us",
                "https://graph.microsoft.us",
                "https://outlook.office365.us",
                "https://outlook.office365.us/.default",
            ],
            Self::Dod => [
                "https://login.microsoftonline.us",
                "https://dod-graph.microsoft.us",
                "https://outlook-dod.office365.us",
                "https://outlook-dod.office365.us/.default",
            ],
            Self::China => [
                "https://login.partner.microsoftonline.cn",
                "https://microsoftgraph.chinacloudapi.cn",
                "https://outlook.office365.cn",
                "https://partner.outlook.cn/.default",
            ],
        };
        let resources = Resources {
            graph: graph.parse()?,
            graph_scope: format!("{graph}{DEFAULT}"),
            exchange: exchange.parse()?,
            exchange_scope: exchange_scope.to_owned(),
        };
        Ok((authority.parse()?, resources))
    }
}

impl Resources {
    /// The scope of one permission of Microsoft Graph.
    pub(super) fn graph_permission(&self, permission: &str) -> String {
        format!("{}/{permission}", self.graph_scope.trim_end_matches(DEFAULT))
    }

    /// The scope of one permission of Exchange.
    pub(super) fn exchange_permission(&self, permission: &str) -> String {
        format!("{}/{permission}", self.exchange_scope.trim_end_matches(DEFAULT))
    }
}

/// A base address without the slash at its end, to which paths are added.
pub(super) fn base(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// Whether secrets may be sent there: by TLS, or to this machine.
pub(super) fn is_safe(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let plain_parts = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    plain_parts && (url.scheme() == "https" || url.scheme() == "http" && loopback)
}
