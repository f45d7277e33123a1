//! Certificate chains, private keys and trust roots from PEM files, checked before they are used.
//!
//! RFC 5280 (certificates), RFC 6125 section 6.4 (names), RFC 7468 (PEM). Every fault names the file, the value and the way out, because
//! `signet check` prints it as it is. It does not build TLS configurations and does not watch files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Where a certificate chain and its private key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the own certificate first, then the intermediate ones.
    pub chain: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC 1; readable by its owner only.
    pub key: PathBuf,
}

/// Which certification authorities are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those that the operating system trusts.
    Native,
    /// Those in a PEM file.
    File(PathBuf),
}

/// Why a TLS configuration cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is missing or cannot be read.
    #[error("cannot read {}: {source}; check the path and that the service user may read it", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file is readable by more than its owner.
    #[error("private key {} has mode {mode:04o} and can be read by others; run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No certificate in the file.
    #[error("{} holds no PEM certificate; it must hold -----BEGIN CERTIFICATE----- blocks", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// No private key in the file.
    #[error("{} holds no PEM private key; it must hold one unencrypted -----BEGIN PRIVATE KEY----- block", path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// Something in the file is not what its PEM label says.
    #[error("{} is damaged: {reason}; replace it by the file that the certification authority issued", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// The certificate's time is over.
    #[error("certificate {} (names {names}) expired at {at}; renew it", path.display())]
    Expired {
        /// Which file.
        path: PathBuf,
        /// Its DNS names.
        names: String,
        /// The end of its validity.
        at: String,
    },
    /// The certificate's time has not come.
    #[error("certificate {} (names {names}) is valid only from {at}; check the clock or install it later", path.display())]
    NotYetValid {
        /// Which file.
        path: PathBuf,
        /// Its DNS names.
        names: String,
        /// The start of its validity.
        at: String,
    },
    /// The certificate has no DNS name that a peer could compare.
    #[error("certificate {} (common name {common_name:?}) has no DNS name among its subject alternative names; have it reissued with one", path.display())]
    NoName {
        /// Which file.
        path: PathBuf,
        /// The subject's common name.
        common_name: String,
    },
    /// The private key belongs to another certificate.
    #[error("private key {} does not belong to certificate {} (names {names}); name the key that the certificate was requested with", key.display(), chain.display())]
    Mismatch {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The certificate's DNS names.
        names: String,
    },
    /// The operating system offers no trust roots.
    #[error("the operating system's store of trusted authorities is empty ({reason}); install ca-certificates or name a PEM file")]
    NoNativeRoots {
        /// What went wrong while it was read.
        reason: String,
    },
    /// A listener without a certificate.
    #[error("TLS needs at least one certificate; name a chain file and a key file")]
    NoCertificates,
    /// The library refuses the combination.
    #[error("TLS cannot be set up: {0}; check the certificates and roots that this listener or tenant names")]
    Setup(String),
}

/// A chain with its key, checked at one point in time.
pub(super) struct Loaded {
    pub(super) names: Vec<String>,
    pub(super) sha256: String,
    pub(super) key: Arc<CertifiedKey>,
}

/// Reads and checks a chain and its key.
pub(super) fn load(files: &CertificateFiles, now: SystemTime, provider: &CryptoProvider) -> Result<Loaded, TlsError> {
    let chain = certificates(&files.chain)?;
    let leaf = chain.first().ok_or_else(|| TlsError::NoCertificate { path: files.chain.clone() })?;
    let names = check_certificate(&files.chain, leaf, now)?;
    let sha256 = fingerprint(leaf);
    let key = private_key(&files.key)?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::Mismatch { chain: files.chain.clone(), key: files.key.clone(), names: names.join(", ") }
        }
        other => TlsError::Damaged { path: files.key.clone(), reason: other.to_string() },
    })?;
    Ok(Loaded { names, sha256, key: Arc::new(key) })
}

/// Reads trust roots. Of the native ones, those that the library cannot parse are left out, as every other TLS client does.
pub(super) fn load_roots(roots: &Roots) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Native => {
            let native = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(native.certs);
            if store.is_empty() {
                let reason = native.errors.first().map_or_else(|| "no file found".to_owned(), ToString::to_string);
                return Err(TlsError::NoNativeRoots { reason });
            }
        }
        Roots::File(path) => {
            for certificate in certificates(path)? {
                store.add(certificate).map_err(|error| TlsError::Damaged { path: path.clone(), reason: error.to_string() })?;
            }
        }
    }
    Ok(store)
}

/// Lower-case hexadecimal SHA-256 of a certificate's DER form.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    use std::fmt::Write as _;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.as_ref());
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, octet| {
        let _infallible = write!(text, "{octet:02x}");
        text
    })
}

/// The names in the first certificate of a PEM file, lower case; none when it cannot be read.
pub(crate) fn names_in(path: &Path) -> Vec<String> {
    let der = fs::read(path).ok().and_then(|pem| CertificateDer::from_pem_slice(&pem).ok());
    let parsed = der.as_ref().and_then(|der| X509Certificate::from_der(der).ok());
    parsed.map(|(_, certificate)| names(&certificate)).unwrap_or_default()
}

/// DNS names of the subject alternative names, lower case; the common name when there are none.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let dns = dns_names(certificate);
    if dns.is_empty() { common_name(certificate).map(str::to_ascii_lowercase).into_iter().collect() } else { dns }
}

fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return Vec::new() };
    let dns = alternative.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    dns.collect()
}

fn common_name<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a str> {
    certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| TlsError::Damaged { path: path.to_owned(), reason: error.to_string() })?;
    if found.is_empty() { Err(TlsError::NoCertificate { path: path.to_owned() }) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let read = |source| TlsError::Read { path: path.to_owned(), source };
    refuse_exposed(path, &fs::metadata(path).map_err(read)?)?;
    let text = fs::read(path).map_err(read)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => TlsError::NoKey { path: path.to_owned() },
        other => TlsError::Damaged { path: path.to_owned(), reason: other.to_string() },
    })
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, metadata: &fs::Metadata) -> Result<(), TlsError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(TlsError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &fs::Metadata) -> Result<(), TlsError> {
    Ok(())
}

/// Checks validity and names; answers the DNS names.
fn check_certificate(path: &Path, certificate: &CertificateDer<'_>, now: SystemTime) -> Result<Vec<String>, TlsError> {
    let damaged = |reason: String| TlsError::Damaged { path: path.to_owned(), reason };
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| damaged(error.to_string()))?;
    let names = dns_names(&parsed);
    if names.is_empty() {
        let common_name = common_name(&parsed).unwrap_or_default().to_owned();
        return Err(TlsError::NoName { path: path.to_owned(), common_name });
    }
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if now > validity.not_after.timestamp() {
        let at = validity.not_after.to_string();
        return Err(TlsError::Expired { path: path.to_owned(), names: names.join(", "), at });
    }
    if now < validity.not_before.timestamp() {
        let at = validity.not_before.to_string();
        return Err(TlsError::NotYetValid { path: path.to_owned(), names: names.join(", "), at });
    }
    Ok(names)
}
