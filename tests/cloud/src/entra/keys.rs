//! The key that signs identity and access tokens.

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

/// An RSA key with its certificate.
pub(crate) struct SigningKey {
    pair: RsaKeyPair,
    certificate: Vec<u8>,
    kid: String,
}

/// A certificate with its private key, in PEM, and the certificate in DER.
pub(crate) struct Identity {
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
    pub(crate) certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    /// A new RSA key and a certificate that it signed itself.
    pub(crate) fn generate(name: &str) -> Result<Self> {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).context("generating an RSA key")?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).context("signing a certificate")?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
        })
    }
}

impl SigningKey {
    pub(crate) fn generate() -> Result<Self> {
        let identity = Identity::generate("accounts.accesscontrol.example")?;
        let pair = RsaKeyPair::from_pkcs8(&identity.key).context("reading the RSA key")?;
        let kid = thumbprint(&identity.certificate);
        Ok(Self { pair, certificate: identity.certificate, kid })
    }

    /// A signed JWT.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"typ": "JWT", "alg": "RS256", "kid": self.kid, "x5t": self.kid});
        let text = format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        if self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).is_err() {
            signature.clear();
        }
        format!("{text}.{}", encoded(&signature))
    }

    /// The public half, for the keys document.
    pub(crate) fn jwk(&self, issuer: &str) -> Value {
        let (modulus, exponent) = public_numbers(&self.certificate).unwrap_or_default();
        json!({
            "kty": "RSA", "use": "sig", "kid": self.kid, "x5t": self.kid,
            "n": encoded(&modulus),
            "e": encoded(&exponent),
            "x5c": [STANDARD.encode(&self.certificate)], "issuer": issuer,
        })
    }
}

/// Modulus and exponent of a certificate's RSA key, without leading zeros.
fn public_numbers(certificate: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let PublicKey::RSA(key) = certificate.public_key().parsed().ok()? else { return None };
    let bare = |number: &[u8]| number.iter().copied().skip_while(|octet| *octet == 0).collect();
    Some((bare(key.modulus), bare(key.exponent)))
}

/// base64url without padding.
pub(crate) fn encoded(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// The octets of base64url without padding.
pub(crate) fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// base64url of SHA-1: `x5t`.
pub(crate) fn thumbprint(der: &[u8]) -> String {
    encoded(digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref())
}

/// base64url of SHA-256: `x5t#S256`, and the challenge of a code verifier.
pub(crate) fn sha256(octets: &[u8]) -> String {
    encoded(digest(&SHA256, octets).as_ref())
}
