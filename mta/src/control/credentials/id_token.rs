//! Who signed in: checks an id_token as OpenID Connect Core 1.0 section 3.1.3.7 demands, with the keys that the service publishes (RFC 7517). RS256
//! only, which is what the service uses and what every provider must offer.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use oauth2::HttpRequest;
use oauth2::http::Method;
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use super::error::{Cause, CredentialError, IdTokenFault, SignInError};
use super::secret::Secret;
use super::settings::base;
use super::wire::Wire;

/// By how much two clocks may differ.
const SKEW: Duration = Duration::from_secs(5 * 60);
/// The service changes its keys every few weeks and announces them early.
const KEYS_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// An unknown key makes us look again, but not more often than this: anybody can invent key names.
const KEYS_PAUSE: Duration = Duration::from_secs(60);
/// Tenants whose keys are remembered, some 10 kB each.
const KEYS_LIMIT: usize = 256;

/// Who signed in, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The tenant.
    pub tenant: Uuid,
    /// The person's id in the tenant.
    pub person: Uuid,
    /// The name that the person signed in with, for display only: it can be changed and given to somebody else.
    pub name: Option<String>,
    /// Roles that the token mentions, by template id. A hint: the directory is asked before anything depends on it.
    pub roles_hint: Vec<Uuid>,
}

#[derive(Deserialize)]
struct Claims {
    tid: Uuid,
    oid: Uuid,
    exp: u64,
    #[serde(default)]
    nbf: u64,
    #[serde(default)]
    nonce: String,
    #[serde(default)]
    preferred_username: Option<String>,
    #[serde(default)]
    wids: Vec<String>,
}

#[derive(Deserialize)]
struct Tenant {
    tid: Uuid,
}

/// The keys of every tenant that somebody signed in from.
#[derive(Debug, Default)]
pub(super) struct Keys(tokio::sync::Mutex<HashMap<Uuid, Published>>);

#[derive(Debug)]
struct Published {
    keys: JwkSet,
    read: SystemTime,
}

/// What an id_token must fit.
pub(super) struct Expected<'a> {
    pub(super) authority: &'a Url,
    pub(super) client_id: Uuid,
    pub(super) nonce: &'a Secret,
}

impl Keys {
    /// The identity in `token`, if everything about it holds.
    pub(super) async fn verify(
        &self,
        token: &Secret,
        expected: &Expected<'_>,
        wire: &Wire,
        now: SystemTime,
    ) -> Result<Identity, SignInError> {
        let header = jsonwebtoken::decode_header(token.expose()).map_err(|error| match error.kind() {
            ErrorKind::Json(_) => IdTokenFault::Algorithm,
            _ => IdTokenFault::Unreadable,
        })?;
        if header.alg != Algorithm::RS256 || header.crit.is_some() {
            return Err(IdTokenFault::Algorithm.into());
        }
        // The tenant is only believed once the signature and the issuer, which names it again, are checked.
        let Tenant { tid } = jsonwebtoken::dangerous::insecure_decode_claims(token.expose()).map_err(|_| IdTokenFault::Unreadable)?;
        let kid = header.kid.ok_or(IdTokenFault::UnknownKey)?;
        let key = self.key(tid, &kid, expected.authority, wire, now).await?;

        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[expected.client_id]);
        validation.set_issuer(&[format!("{}/{tid}/v2.0", base(expected.authority))]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        // The library reads the system's clock; times are checked below against ours.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        let claims = jsonwebtoken::decode::<Claims>(token.expose(), &key, &validation).map_err(|error| fault(error.kind()))?.claims;
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if claims.exp.saturating_add(SKEW.as_secs()) <= now {
            return Err(IdTokenFault::Expired.into());
        }
        if claims.nbf > now.saturating_add(SKEW.as_secs()) {
            return Err(IdTokenFault::NotYetValid.into());
        }
        if !expected.nonce.is(&claims.nonce) {
            return Err(IdTokenFault::Nonce.into());
        }
        let roles_hint = claims.wids.iter().filter_map(|id| Uuid::try_parse(id).ok()).collect();
        Ok(Identity { tenant: claims.tid, person: claims.oid, name: claims.preferred_username, roles_hint })
    }

    /// The key of that name. Two sign-ins at once fetch once, because the second waits.
    async fn key(&self, tenant: Uuid, kid: &str, authority: &Url, wire: &Wire, now: SystemTime) -> Result<DecodingKey, SignInError> {
        let mut tenants = self.0.lock().await;
        let age = |published: &Published| now.duration_since(published.read).unwrap_or_default();
        let known = tenants.get(&tenant).filter(|published| age(published) < KEYS_LIFETIME);
        let found = known.and_then(|published| published.keys.find(kid));
        if let Some(key) = found {
            return DecodingKey::from_jwk(key).map_err(|_| IdTokenFault::UnknownKey.into());
        }
        if known.is_some_and(|published| age(published) < KEYS_PAUSE) {
            return Err(IdTokenFault::UnknownKey.into());
        }
        let keys = fetch(tenant, authority, wire).await?;
        let key = keys.find(kid).map(DecodingKey::from_jwk);
        if tenants.len() >= KEYS_LIMIT && !tenants.contains_key(&tenant) {
            let oldest = tenants.iter().min_by_key(|(_, published)| published.read).map(|(tenant, _)| *tenant);
            oldest.and_then(|oldest| tenants.remove(&oldest));
        }
        tenants.insert(tenant, Published { keys, read: now });
        key.and_then(Result::ok).ok_or(IdTokenFault::UnknownKey.into())
    }
}

async fn fetch(tenant: Uuid, authority: &Url, wire: &Wire) -> Result<JwkSet, CredentialError> {
    let mut request = HttpRequest::new(Vec::new());
    *request.method_mut() = Method::GET;
    let address = format!("{}/{tenant}/discovery/v2.0/keys", base(authority));
    *request.uri_mut() = address.parse().map_err(|_| CredentialError::new(Cause::Local("the keys' address is no URL")))?;
    let answer = wire.send(request).await.map_err(|error| CredentialError::new(Cause::Unreachable(error.0)))?;
    match answer.status().as_u16() {
        200 => {}
        429 => return Err(CredentialError::new(Cause::Throttled)),
        status @ 500.. => return Err(CredentialError::new(Cause::Unavailable(status))),
        status => return Err(CredentialError::new(Cause::Protocol(format!("status {status} for its keys")))),
    }
    serde_json::from_slice(answer.body()).map_err(|_| CredentialError::new(Cause::Protocol("its list of keys cannot be read".to_owned())))
}

fn fault(kind: &ErrorKind) -> IdTokenFault {
    match kind {
        ErrorKind::InvalidSignature => IdTokenFault::Signature,
        ErrorKind::InvalidIssuer => IdTokenFault::Issuer,
        ErrorKind::InvalidAudience => IdTokenFault::Audience,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => IdTokenFault::Algorithm,
        _ => IdTokenFault::Unreadable,
    }
}
