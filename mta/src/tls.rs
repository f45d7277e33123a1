//! TLS in both directions: the listeners' certificates and the client certificates that they ask for, and one client configuration a
//! tenant for the way out.
//!
//! RFC 8446 and RFC 5246 (versions 1.3 and 1.2 only), RFC 6066 (server name), RFC 3207 (what STARTTLS proves), RFC 6125 (names). Listener
//! files that change are read again at a bounded interval; a broken new file keeps the old configuration. When a client certificate is
//! optional, a client may present none, but one that is presented and does not verify fails the handshake: it is never treated as absent,
//! because then a misconfigured sender would silently lose its proof. Nothing here decides what a certificate name is worth: `tenant` does.

mod files;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConnection, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::message::{ClientCertificate, Tls};

pub(crate) use files::names_in;
pub use files::{CertificateFiles, Roots, TlsError};

/// Whether a listener asks its clients for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// It does not ask.
    None,
    /// It asks; a certificate that is presented must verify against these roots.
    Optional(Roots),
    /// Without a certificate that verifies against these roots there is no session.
    Required(Roots),
}

/// What a TLS listener needs.
#[derive(Clone, Debug)]
pub struct ServerTlsSettings {
    /// The first is shown to clients that name no server or an unknown one; the others are chosen by server name.
    pub certificates: Vec<CertificateFiles>,
    /// Client certificates.
    pub client: ClientAuthentication,
    /// The files are looked at again at most this often.
    pub reload_interval: Duration,
}

/// A listener's TLS, kept in step with its files.
pub struct ServerTls {
    settings: ServerTlsSettings,
    config: ArcSwap<ServerConfig>,
    watched: Mutex<Watched>,
}

struct Watched {
    checked: SystemTime,
    stamps: Vec<(PathBuf, Option<Stamp>)>,
}

/// What tells one state of a file from another. The inode is there because an atomic replacement may keep length and time.
#[derive(PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl ServerTls {
    /// Reads and checks all files.
    pub fn load(settings: ServerTlsSettings, now: SystemTime) -> Result<Self, TlsError> {
        let stamps = stamps(&settings);
        let config = server_config(&settings, now)?;
        let watched = Mutex::new(Watched { checked: now, stamps });
        Ok(Self { settings, config: ArcSwap::from_pointee(config), watched })
    }

    /// The acceptor for one connection; reads the files again when the interval has passed and one of them has changed.
    pub fn acceptor(&self, now: SystemTime) -> TlsAcceptor {
        self.refresh(now);
        TlsAcceptor::from(self.config.load_full())
    }

    /// Performs the handshake. The caller bounds its time and has dropped whatever plaintext the client sent ahead.
    pub async fn accept<S>(&self, stream: S, now: SystemTime) -> io::Result<(TlsStream<S>, Tls)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = self.acceptor(now).accept(stream).await?;
        let tls = session(stream.get_ref().1);
        Ok((stream, tls))
    }

    fn refresh(&self, now: SystemTime) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that went backwards must not switch reloading off.
        let waited = now.duration_since(watched.checked).unwrap_or(self.settings.reload_interval);
        if waited < self.settings.reload_interval {
            return;
        }
        watched.checked = now;
        let stamps = stamps(&self.settings);
        if stamps == watched.stamps {
            return;
        }
        // Remembered before the outcome is known: a broken file is reported once, not at every connection.
        watched.stamps = stamps;
        match server_config(&self.settings, now) {
            Ok(config) => {
                self.config.store(Arc::new(config));
                tracing::info!(event = "tls.reloaded", "TLS files changed and were loaded");
            }
            Err(error) => {
                tracing::error!(event = "tls.reload-failed", %error, "TLS files changed but cannot be used; the old ones stay in force");
            }
        }
    }
}

/// What a tenant's way out needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTlsSettings {
    /// The tenant's own certificate; next hops attribute the connection by it.
    pub certificate: Option<CertificateFiles>,
    /// Who may vouch for the next hop.
    pub roots: Roots,
}

/// A tenant's client configuration.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// Verifies the next hop's name and chain, presents the tenant's certificate, offers TLS 1.2 and 1.3 without ALPN.
    pub config: Arc<ClientConfig>,
    /// Lower-case hexadecimal SHA-256 of the client certificate; empty without one.
    pub identity: String,
    /// The client certificate's DNS names.
    pub names: Vec<String>,
}

impl ClientTls {
    /// Reads and checks all files.
    pub fn load(settings: &ClientTlsSettings, now: SystemTime) -> Result<Self, TlsError> {
        let provider = provider();
        let roots = files::load_roots(&settings.roots)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(VERSIONS).map_err(setup)?;
        let builder = builder.with_root_certificates(roots);
        let Some(certificate) = &settings.certificate else {
            return Ok(Self { config: Arc::new(builder.with_no_client_auth()), identity: String::new(), names: Vec::new() });
        };
        let loaded = files::load(certificate, now, &provider)?;
        let resolver = rustls::sign::SingleCertAndKey::from(Arc::unwrap_or_clone(loaded.key));
        let config = builder.with_client_cert_resolver(Arc::new(resolver));
        Ok(Self { config: Arc::new(config), identity: loaded.sha256, names: loaded.names })
    }
}

const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// The provider is named here and nowhere installed, so no other library can change it.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn setup(error: rustls::Error) -> TlsError {
    TlsError::Setup(error.to_string())
}

fn server_config(settings: &ServerTlsSettings, now: SystemTime) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(VERSIONS).map_err(setup)?;
    let verifier = |roots: &Roots, optional: bool| {
        let store = Arc::new(files::load_roots(roots)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(store, Arc::clone(&provider));
        let verifier = if optional { verifier.allow_unauthenticated() } else { verifier };
        // Native stores hold over a hundred authorities: their names would fill every handshake, and senders have one certificate anyway.
        let verifier = if *roots == Roots::Native { verifier.clear_root_hint_subjects() } else { verifier };
        verifier.build().map_err(|error| TlsError::Setup(error.to_string()))
    };
    let builder = match &settings.client {
        ClientAuthentication::None => builder.with_no_client_auth(),
        ClientAuthentication::Optional(roots) => builder.with_client_cert_verifier(verifier(roots, true)?),
        ClientAuthentication::Required(roots) => builder.with_client_cert_verifier(verifier(roots, false)?),
    };
    let loaded: Result<Vec<_>, _> = settings.certificates.iter().map(|files| files::load(files, now, &provider)).collect();
    let mut config = builder.with_cert_resolver(Arc::new(ByServerName::new(loaded?)?));
    // Tickets are sealed with keys of this configuration only: a session cannot be resumed across a change of roots or certificates.
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(setup)?;
    Ok(config)
}

/// Chooses the certificate by the server name that the client asks for (RFC 6066 section 3).
#[derive(Debug)]
struct ByServerName {
    keys: Vec<Arc<CertifiedKey>>,
    names: HashMap<String, Vec<usize>>,
}

impl ByServerName {
    fn new(loaded: Vec<files::Loaded>) -> Result<Self, TlsError> {
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, certificate) in loaded.iter().enumerate() {
            for name in &certificate.names {
                names.entry(name.clone()).or_default().push(index);
            }
        }
        let keys: Vec<_> = loaded.into_iter().map(|certificate| certificate.key).collect();
        if keys.is_empty() { Err(TlsError::NoCertificates) } else { Ok(Self { keys, names }) }
    }

    fn candidates(&self, server_name: &str) -> Option<&[usize]> {
        let server_name = server_name.to_ascii_lowercase();
        let exact = self.names.get(&server_name);
        let found = exact.or_else(|| {
            let (_, parent) = server_name.split_once('.')?;
            self.names.get(&format!("*.{parent}"))
        });
        found.map(Vec::as_slice)
    }
}

impl ResolvesServerCert for ByServerName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |index: &&usize| self.keys[**index].key.choose_scheme(hello.signature_schemes()).is_some();
        let named = hello.server_name().and_then(|name| self.candidates(name)).and_then(|candidates| candidates.iter().find(fits));
        named.map_or_else(|| self.keys.first(), |index| self.keys.get(*index)).cloned()
    }
}

/// Describes an established session for the later stages.
fn session(connection: &ServerConnection) -> Tls {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
    // The library spells the 1.3 suites with their version; IANA does not.
    let cipher = suite.and_then(|suite| suite.as_str()).unwrap_or_default().replacen("TLS13_", "TLS_", 1);
    let server_name = connection.server_name().map(str::to_ascii_lowercase);
    let leaf = connection.peer_certificates().and_then(<[_]>::first);
    let client = leaf.and_then(|leaf| {
        let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
        Some(ClientCertificate { names: files::names(&parsed), sha256: files::fingerprint(leaf) })
    });
    Tls { version, cipher, server_name, client }
}

fn stamps(settings: &ServerTlsSettings) -> Vec<(PathBuf, Option<Stamp>)> {
    let roots = match &settings.client {
        ClientAuthentication::Optional(Roots::File(path)) | ClientAuthentication::Required(Roots::File(path)) => Some(path),
        _ => None,
    };
    let certificates = settings.certificates.iter().flat_map(|files| [&files.chain, &files.key]);
    certificates.chain(roots).map(|path| (path.clone(), stamp(path))).collect()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), length: metadata.len(), inode: inode(&metadata) })
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
