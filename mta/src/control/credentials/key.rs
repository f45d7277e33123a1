//! An application's own credential: the files that hold it, and the proof made of it for one request. RFC 7521 and 7523 (client assertions), RFC 7515
//! section 4.1.8 (`x5t#S256`), RFC 7518 section 3.5 (PS256).

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use uuid::Uuid;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use super::error::{Cause, CredentialError};
use super::secret::{Secret, random};
use super::settings::{Application, Credential};

/// Lifetime of an assertion: it is used at once, so it only has to bridge the difference of two clocks.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// How long before its end a certificate is mentioned: time for somebody to renew it without haste.
const RENEWAL_NOTICE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Why an application's credential cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}: {reason}", path.display())]
pub struct KeyError {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong with it, and how it should be.
    pub reason: String,
}

/// An application that can prove itself.
pub(super) struct Client {
    pub(super) id: Uuid,
    proof: Proof,
}

enum Proof {
    Certificate(Box<Certificate>),
    Secret(Secret),
}

struct Certificate {
    key: EncodingKey,
    thumbprint: String,
    not_before: SystemTime,
    not_after: SystemTime,
    path: PathBuf,
}

/// What a request carries to prove the application.
pub(super) enum Evidence {
    Assertion(Secret),
    Secret(Secret),
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: u64,
    iat: u64,
    exp: u64,
}

impl Client {
    /// Reads the files and checks that key and certificate belong together. An expired certificate is no error here: everything that does not need it
    /// goes on.
    pub(super) fn load(application: &Application) -> Result<Self, KeyError> {
        let proof = match &application.credential {
            Credential::Secret(path) => Proof::Secret(load_secret(path)?),
            Credential::Certificate { certificate, key } => Proof::Certificate(Box::new(Certificate::load(certificate, key)?)),
        };
        Ok(Self { id: application.client_id, proof })
    }

    /// A fresh proof for the token endpoint `audience`.
    pub(super) fn evidence(&self, audience: &str, now: SystemTime) -> Result<Evidence, CredentialError> {
        match &self.proof {
            Proof::Secret(secret) => Ok(Evidence::Secret(secret.clone())),
            Proof::Certificate(certificate) => certificate.assertion(&self.id.to_string(), audience, now).map(Evidence::Assertion),
        }
    }

    /// What an operator should do before it is too late.
    pub(super) fn warning(&self, now: SystemTime) -> Option<String> {
        let Proof::Certificate(certificate) = &self.proof else { return None };
        let path = certificate.path.display();
        match certificate.not_after.duration_since(now) {
            Err(_) => Some(format!("certificate {path} of application {} has expired; issue a new one and upload it", self.id)),
            Ok(left) if left < RENEWAL_NOTICE => {
                let days = left.as_secs() / (24 * 60 * 60);
                Some(format!("certificate {path} of application {} expires in {days} days; issue a new one and upload it", self.id))
            }
            Ok(_) => None,
        }
    }
}

impl Certificate {
    fn load(certificate_path: &Path, key_path: &Path) -> Result<Self, KeyError> {
        let fault = |path: &Path, reason: &str| KeyError { path: path.to_owned(), reason: reason.to_owned() };
        let der = CertificateDer::from_pem_slice(&read(certificate_path)?)
            .map_err(|_| fault(certificate_path, "it holds no PEM certificate; it must hold a -----BEGIN CERTIFICATE----- block"))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| fault(certificate_path, "its certificate is damaged"))?;
        let no_key = "it holds no RSA private key; it must hold one unencrypted -----BEGIN PRIVATE KEY----- block with 2048 bits or more";
        let key = EncodingKey::from_rsa_pem(&read(key_path)?).map_err(|_| fault(key_path, no_key))?;
        let public = DecodingKey::from_rsa_der(&parsed.public_key().subject_public_key.data);
        let trial = jsonwebtoken::crypto::sign(b"trial", &key, Algorithm::PS256).map_err(|_| fault(key_path, no_key))?;
        if !jsonwebtoken::crypto::verify(&trial, b"trial", &public, Algorithm::PS256).unwrap_or(false) {
            return Err(fault(key_path, &format!("it does not belong to certificate {}", certificate_path.display())));
        }
        Ok(Self {
            key,
            thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, &der)),
            not_before: instant(parsed.validity().not_before.timestamp()),
            not_after: instant(parsed.validity().not_after.timestamp()),
            path: certificate_path.to_owned(),
        })
    }

    fn assertion(&self, client_id: &str, audience: &str, now: SystemTime) -> Result<Secret, CredentialError> {
        if let Ok(early) = self.not_before.duration_since(now) {
            return Err(CredentialError::new(Cause::CertificateNotYetValid(early)));
        }
        if let Ok(late) = now.duration_since(self.not_after) {
            return Err(CredentialError::new(Cause::CertificateExpired(late)));
        }
        let octets = random::<16>().ok_or(CredentialError::new(Cause::Local("it has no randomness")))?;
        let issued = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let claims = Claims {
            aud: audience,
            iss: client_id,
            sub: client_id,
            jti: uuid::Builder::from_random_bytes(*octets).into_uuid().to_string(),
            nbf: issued,
            iat: issued,
            exp: issued + ASSERTION_LIFETIME.as_secs(),
        };
        let header = Header { x5t_s256: Some(self.thumbprint.clone()), ..Header::new(Algorithm::PS256) };
        let assertion = jsonwebtoken::encode(&header, &claims, &self.key);
        assertion.map(Secret::new).map_err(|_| CredentialError::new(Cause::Local("the private key cannot sign")))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proof = match &self.proof {
            Proof::Certificate(certificate) => certificate.path.display().to_string(),
            Proof::Secret(_) => "secret".to_owned(),
        };
        out.debug_struct("Client").field("id", &self.id).field("proof", &proof).finish()
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Assertion(secret) | Self::Secret(secret)) = self;
        secret.fmt(out)
    }
}

fn load_secret(path: &Path) -> Result<Secret, KeyError> {
    let octets = read(path)?;
    let text = std::str::from_utf8(&octets).unwrap_or_default().trim();
    if text.is_empty() || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        let reason = "it must hold the client secret's value alone, on one line".to_owned();
        return Err(KeyError { path: path.to_owned(), reason });
    }
    Ok(Secret::new(text.to_owned()))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let octets = fs::read(path).map_err(|error| KeyError {
        path: path.to_owned(),
        reason: format!("{error}; check the path and that the service user may read it"),
    })?;
    Ok(Zeroizing::new(octets))
}

fn instant(timestamp: i64) -> SystemTime {
    let distance = Duration::from_secs(timestamp.unsigned_abs());
    if timestamp < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}
