//! Certificates, keys and a private folder, made fresh for one run of the demo, a test or the benchmark.
//!
//! A certificate authority of our own stands in for the public ones (RFC 5280), so that every TLS handshake verifies both ends as it
//! would in earnest. DKIM keys are RSA-2048 in PKCS#8 (RFC 6376 section 3.3, RFC 8301). Nothing here reads or replaces real keys.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
    PublicKeyData, RsaKeySize,
};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why materials could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MaterialsError {
    /// A certificate or key was refused by the library that makes it.
    #[error("certificate for {name}: {source}")]
    Certificate {
        /// The first name it was for.
        name: String,
        /// What the library says.
        source: rcgen::Error,
    },
    /// A TLS configuration was refused.
    #[error("tls configuration: {0}")]
    Tls(#[from] rustls::Error),
    /// The roots were refused.
    #[error("client certificate roots: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// A key's PEM form could not be read back.
    #[error("private key: {0}")]
    Key(#[from] rustls_pki_types::pem::Error),
    /// The private folder could not be written.
    #[error("{path}: {source}")]
    Folder {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system gave no randomness.
    #[error("the system's random source gave nothing")]
    Random,
}

/// A certificate authority that lives as long as one run.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with its own key.
    pub fn new() -> Result<Self, MaterialsError> {
        let fail = |source| MaterialsError::Certificate { name: "the authority".to_owned(), source };
        let mut params = CertificateParams::new(Vec::new()).map_err(fail)?;
        params.distinguished_name.push(DnType::CommonName, "Signet demo authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(fail)?;
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, key).map_err(fail)? })
    }

    /// The authority's own certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The roots that trust this authority alone.
    pub fn roots(&self) -> Result<Arc<RootCertStore>, MaterialsError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone())?;
        Ok(Arc::new(roots))
    }

    /// A certificate for these DNS names, good for either end of a connection.
    pub fn issue(&self, names: &[&str]) -> Result<Identity, MaterialsError> {
        let first = names.first().copied().unwrap_or_default();
        let fail = |source| MaterialsError::Certificate { name: first.to_owned(), source };
        let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).map_err(fail)?;
        params.distinguished_name.push(DnType::CommonName, first);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(fail)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(fail)?;
        Ok(Identity { certificate: certificate.der().clone(), certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// The TLS settings of a host that demands a client certificate from this authority.
    pub fn server(&self, identity: &Identity) -> Result<Arc<ServerConfig>, MaterialsError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider()).build()?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![identity.certificate.clone()], identity.key()?)?;
        Ok(Arc::new(config))
    }

    /// The TLS settings of a client that trusts this authority and presents a certificate if it has one.
    pub fn client(&self, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, MaterialsError> {
        let builder =
            ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?.with_root_certificates(self.roots()?);
        Ok(Arc::new(match identity {
            Some(identity) => builder.with_client_auth_cert(vec![identity.certificate.clone()], identity.key()?)?,
            None => builder.with_no_client_auth(),
        }))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A certificate with its private key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    /// The certificate, as a file holds it.
    pub certificate_pem: String,
    /// The key in PKCS#8, as a file holds it.
    pub key_pem: String,
}

impl Identity {
    fn key(&self) -> Result<PrivateKeyDer<'static>, MaterialsError> {
        Ok(PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())?)
    }
}

/// An RSA-2048 key for DKIM or ARC.
pub struct DkimKey {
    /// The private key in PKCS#8, as a file holds it.
    pub pem: String,
    /// The text of the TXT record that publishes the public key.
    pub record: String,
}

impl DkimKey {
    /// A new key.
    pub fn new() -> Result<Self, MaterialsError> {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
            .map_err(|source| MaterialsError::Certificate { name: "a DKIM key".to_owned(), source })?;
        let record = format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(key.subject_public_key_info()));
        Ok(Self { pem: key.serialize_pem(), record })
    }

    /// The key in the form that `mail-auth` signs with.
    pub fn private(&self) -> Result<PrivateKeyDer<'static>, MaterialsError> {
        Ok(PrivateKeyDer::from_pem_slice(self.pem.as_bytes())?)
    }
}

/// A folder that only we can read; it is removed with everything in it when the value is dropped.
pub struct PrivateFolder {
    path: PathBuf,
}

impl PrivateFolder {
    /// A new folder below the system's place for temporary files.
    pub fn new() -> Result<Self, MaterialsError> {
        let path = std::env::temp_dir().join(format!("signet-demo-{}", random_name()?));
        DirBuilder::new().mode(0o700).create(&path).map_err(|source| MaterialsError::Folder { path: path.clone(), source })?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that only we can read, with the folders above it, and says where it is.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, MaterialsError> {
        let path = self.path.join(name);
        let fail = |source| MaterialsError::Folder { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(fail)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(fail)?;
        file.write_all(content).map_err(fail)?;
        Ok(path)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // Nothing useful can be done about a failure here: the folder stays, readable by us alone.
        drop(std::fs::remove_dir_all(&self.path));
    }
}

/// Random octets.
pub fn random<const N: usize>() -> Result<[u8; N], MaterialsError> {
    let mut octets = [0; N];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| MaterialsError::Random)?;
    Ok(octets)
}

/// A random name of sixteen hexadecimal digits.
pub fn random_name() -> Result<String, MaterialsError> {
    Ok(format!("{:016x}", u64::from_be_bytes(random()?)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_folder_is_ours_alone_and_goes_away() {
        let folder = PrivateFolder::new().unwrap();
        let file = folder.write("keys/one.pem", b"secret").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        assert_eq!(mode(&file), 0o600);
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_dkim_key_can_be_loaded_and_its_record_fits_one_name() {
        let key = DkimKey::new().unwrap();
        assert!(matches!(key.private().unwrap(), PrivateKeyDer::Pkcs8(_)));
        assert!(key.record.starts_with("v=DKIM1; k=rsa; p=MIIBIjAN"), "{}", key.record);
    }
}
