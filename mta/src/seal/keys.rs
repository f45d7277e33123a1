//! Private keys: from a file that only we can read to a DKIM or ARC signature value.
//!
//! RFC 6376 section 3.3, RFC 8301 (RSA of at least 2048 bits here), RFC 8463 (Ed25519). Key material stays in this module: it is never
//! printed, cloned or handed out. Which fields are signed is decided in `dkim` and `arc`.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use thiserror::Error;
use x509_parser::der_parser::parse_der;

use crate::address::Domain;

/// The shortest RSA key that is still taken seriously (RFC 8301 section 3.2 recommends it).
pub const MIN_RSA_BITS: usize = 2048;
/// RFC 6376 section 3.3.3: verifiers need not accept longer keys, and their DNS records do not fit.
pub const MAX_RSA_BITS: usize = 4096;
/// An 8192 bit key in PEM has 6.4 KB.
const MAX_FILE: u64 = 64 * 1024;

/// Why a key cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("key file {path} cannot be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Others could sign with it.
    #[error("key file {path} can be read by others (mode {mode:04o}); run: chmod 600 {path}")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a key that can sign mail.
    #[error(
        "key file {path} holds no usable private key ({detail}); make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {path}"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Too short or too long.
    #[error(
        "key file {path} holds an RSA key of {bits} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are usable, make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {path}"
    )]
    Bits {
        /// The file.
        path: PathBuf,
        /// The key's length.
        bits: usize,
    },
    /// It goes into `s=` and into a DNS name.
    #[error("selector {0:?} is no DNS label sequence; write for example \"signet1\"")]
    Selector(String),
    /// The signing operation failed.
    #[error("signing with the key of {0} failed")]
    Sign(String),
}

enum Private {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// A private key with the name that verifiers look it up under.
pub struct Key {
    domain: Domain,
    selector: String,
    private: Private,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}._domainkey.{}, {})", self.selector, self.domain, self.algorithm())
    }
}

impl Key {
    /// Reads a PEM file (RSA as PKCS#1 or PKCS#8, Ed25519 as PKCS#8) that nobody but its owner may read.
    pub fn load(path: &Path, domain: Domain, selector: &str) -> Result<Self, KeyError> {
        let read = |error| KeyError::Read { path: path.to_owned(), error };
        let file = File::open(path).map_err(read)?;
        check_permissions(path, &file.metadata().map_err(read)?)?;
        let mut pem = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut pem).map_err(read)?;
        Self::from_pem(path, &pem, domain, selector)
    }

    fn from_pem(path: &Path, pem: &[u8], domain: Domain, selector: &str) -> Result<Self, KeyError> {
        if Domain::parse(selector).map_or(true, |parsed| parsed.as_str() != selector.to_ascii_lowercase()) {
            return Err(KeyError::Selector(selector.to_owned()));
        }
        let format = |detail: String| KeyError::Format { path: path.to_owned(), detail };
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|error| format(error.to_string()))?;
        if let Some(bits) = rsa_bits(&der).filter(|bits| !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(bits)) {
            return Err(KeyError::Bits { path: path.to_owned(), bits });
        }
        let private = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).map(rsa),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(|pair| Private::Ed25519(Box::new(pair)));
                RsaKeyPair::from_pkcs8(der).map(rsa).or_else(|rejected| ed25519().map_err(|_| rejected))
            }
            _ => return Err(format("neither RSA nor Ed25519".to_owned())),
        };
        let private = private.map_err(|rejected| format(rejected.to_string()))?;
        Ok(Self { domain, selector: selector.to_ascii_lowercase(), private })
    }

    /// `d=`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// `s=`.
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// `a=`.
    pub fn algorithm(&self) -> &'static str {
        match self.private {
            Private::Rsa(_) => "rsa-sha256",
            Private::Ed25519(_) => "ed25519-sha256",
        }
    }

    /// Whether every verifier can check it: Ed25519 is only good next to RSA.
    pub fn is_rsa(&self) -> bool {
        matches!(self.private, Private::Rsa(_))
    }

    /// The TXT record to publish at `selector._domainkey.domain`.
    pub fn dns_record(&self) -> Result<String, KeyError> {
        match &self.private {
            Private::Rsa(pair) => {
                let der: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::Sign(format!("{self:?}")))?;
                Ok(format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(der.as_ref())))
            }
            Private::Ed25519(pair) => Ok(format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(pair.public_key().as_ref()))),
        }
    }

    /// The value of `b=` for this input. The same input gives the same value.
    pub(super) fn sign(&self, input: &[u8]) -> Result<String, KeyError> {
        match &self.private {
            Private::Rsa(pair) => {
                let mut value = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut value).map_err(|_| KeyError::Sign(format!("{self:?}")))?;
                Ok(STANDARD.encode(value))
            }
            // RFC 8463 section 3: the hash is what is signed.
            Private::Ed25519(pair) => Ok(STANDARD.encode(pair.sign(digest(&SHA256, input).as_ref()).as_ref())),
        }
    }
}

/// Length of the modulus of an RSA key; the library refuses short keys without saying how short they are.
fn rsa_bits(der: &PrivateKeyDer<'_>) -> Option<usize> {
    let inner;
    let pkcs1 = match der {
        PrivateKeyDer::Pkcs1(der) => der.secret_pkcs1_der(),
        PrivateKeyDer::Pkcs8(der) => {
            // RFC 5958: version, algorithm, key.
            inner = parse_der(der.secret_pkcs8_der()).ok()?.1;
            inner.as_sequence().ok()?.get(2)?.as_slice().ok()?
        }
        _ => return None,
    };
    // RFC 8017 appendix A.1.2: version, modulus, ...
    let key = parse_der(pkcs1).ok()?.1;
    let modulus = key.as_sequence().ok()?.get(1)?.as_slice().ok()?;
    let digits = &modulus[modulus.iter().position(|octet| *octet != 0)?..];
    Some(digits.len() * 8 - digits[0].leading_zeros() as usize)
}

fn rsa(pair: RsaKeyPair) -> Private {
    Private::Rsa(Box::new(pair))
}

#[cfg(unix)]
fn check_permissions(path: &Path, metadata: &std::fs::Metadata) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyError::Permissions { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_permissions(_: &Path, _: &std::fs::Metadata) -> Result<(), KeyError> {
    Ok(())
}

#[cfg(test)]
mod tests;
