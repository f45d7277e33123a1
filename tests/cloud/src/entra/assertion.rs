//! Client assertions: a JWT that an application signs with its certificate in place of a secret.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::keys::{decoded, sha256, thumbprint};
use crate::world::Application;

/// How far the clocks may differ, in seconds.
const SKEW: i64 = 300;
/// The longest life of an assertion that is taken, in seconds.
const LONGEST: i64 = 24 * 3600;

/// Why an assertion is refused: AADSTS number and text.
pub(crate) type Refusal = (u32, String);

/// Verifies an assertion; gives its `jti` (empty when it has none).
pub(crate) fn verify(application: &Application, assertion: &str, audiences: &[String], now: i64) -> Result<String, Refusal> {
    let broken = || (50027, "JWT token is invalid or malformed.".to_owned());
    let mut parts = assertion.split('.');
    let (Some(head), Some(body), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(broken());
    };
    let parse = |text: &str| decoded(text).and_then(|octets| serde_json::from_slice::<Value>(&octets).ok());
    let (header, claims) = (parse(head).ok_or_else(broken)?, parse(body).ok_or_else(broken)?);
    let signature = decoded(signature).ok_or_else(broken)?;
    let signed = &assertion[..head.len() + 1 + body.len()];
    signature_fits(application, &header, signed.as_bytes(), &signature, now)?;
    claims_fit(application, &claims, audiences, now)?;
    Ok(claims["jti"].as_str().unwrap_or_default().to_owned())
}

fn signature_fits(application: &Application, header: &Value, signed: &[u8], signature: &[u8], now: i64) -> Result<(), Refusal> {
    // MSAL for Python pads its thumbprints with '=', and Entra takes them.
    let bare = |name: &str| header[name].as_str().map(|print| print.trim_end_matches('='));
    let named = |der: &&Vec<u8>| match (bare("x5t#S256"), bare("x5t")) {
        (Some(print), _) => print == sha256(der),
        (None, Some(print)) => print == thumbprint(der),
        (None, None) => false,
    };
    let Some(der) = application.certificates.iter().find(named) else {
        let text = "Client assertion contains an invalid signature. [Reason - The key was not found. No registered certificate has the \
                    thumbprint of x5t#S256 or x5t.]";
        return Err((700_027, text.to_owned()));
    };
    let algorithm = match header["alg"].as_str() {
        Some("PS256") => &RSA_PSS_2048_8192_SHA256,
        Some("RS256") => &RSA_PKCS1_2048_8192_SHA256,
        other => {
            return Err((5_002_738, format!("Invalid JWT token. '{}' is not a supported signature algorithm.", other.unwrap_or("none"))));
        }
    };
    let failed =
        || (700_027, "Client assertion failed signature validation. [Reason - The key was used, and the signature is wrong.]".to_owned());
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| failed())?;
    let (from, to) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    if !(from..=to).contains(&(now / 1000)) {
        return Err((700_027, "The certificate with identifier used to sign the client assertion is expired on application.".to_owned()));
    }
    UnparsedPublicKey::new(algorithm, certificate.public_key().subject_public_key.data.as_ref())
        .verify(signed, signature)
        .map_err(|_| failed())
}

fn claims_fit(application: &Application, claims: &Value, audiences: &[String], now: i64) -> Result<(), Refusal> {
    let seconds = now / 1000;
    for name in ["iss", "sub"] {
        if claims[name].as_str() != Some(application.client_id.as_str()) {
            return Err((700_021, format!("Client assertion application identifier doesn't match 'client_id' parameter ({name}).")));
        }
    }
    let audience = claims["aud"].as_str().unwrap_or_default();
    if !audiences.iter().any(|allowed| allowed == audience) {
        return Err((
            700_023,
            format!("Client assertion audience claim '{audience}' does not match Realm issuer. Expected '{}'.", audiences[0]),
        ));
    }
    // A NumericDate may have a fraction (RFC 7519, section 2).
    let date = |name: &str| claims[name].as_number().and_then(|number| number.to_string().split('.').next()?.parse::<i64>().ok());
    let out_of_range = |what: &str| (700_024, format!("Client assertion is not within its valid time range ({what})."));
    let expires = date("exp").ok_or_else(|| out_of_range("exp is missing"))?;
    if expires + SKEW < seconds {
        return Err(out_of_range("it has expired"));
    }
    if date("nbf").is_some_and(|from| from - SKEW > seconds) {
        return Err(out_of_range("it is not valid yet"));
    }
    if expires - seconds > LONGEST {
        return Err(out_of_range("it lives too long"));
    }
    Ok(())
}
