//! Everything secret about the connection to a cloud: how an administrator signs in, how a tenant consents, and the tokens that are added to the control
//! plugin's requests. The plugin names a handle and never sees what is behind it.
//!
//! RFC 6749 (OAuth 2.0), RFC 7636 (PKCE), RFC 7523 (certificate assertions), RFC 6750 (bearer tokens), OpenID Connect Core 1.0; Microsoft's additions
//! are in `answer`. Nothing is written to disk or to the log, and nothing survives a restart. It does not decide whether a request may be sent, and
//! it does not know roles: the directory is asked.
//!
//! One [`Credentials`] is one cloud: it has one authority, so a tenant's token cannot come from, or go to, another one.

mod answer;
mod delegation;
mod error;
mod id_token;
mod key;
mod pending;
mod secret;
mod settings;
mod sign_in;
mod slot;
mod token;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use delegation::Delegation;
use id_token::Keys;
use key::Client;
use pending::PendingStates;
use slot::Slot;
use token::{Endpoint, Grant, Request};
use wire::Wire;

pub use error::{Cause, CredentialError, IdTokenFault, Said, SignInError};
pub use id_token::Identity;
pub use key::KeyError;
pub use pending::BrowserBinding;
pub use secret::Bearer;
pub use settings::{Application, Cloud, Credential, Resources, Settings};
pub use sign_in::{Completed, Purpose};
pub use wire::WireSetupError;

/// The application's own access to the directory.
pub const DIRECTORY: &str = "directory";
/// The administrator who authorised, for the directory.
pub const ADMINISTRATOR: &str = "administrator";
/// The administrator who authorised, for mail flow.
pub const EXCHANGE: &str = "exchange";

/// Tenants whose tokens are held, some 10 kB each. More than one installation serves; the rest asks anew each time one makes room.
const TENANT_LIMIT: usize = 10_000;
/// A claims challenge has some hundred octets.
const CHALLENGE_LIMIT: usize = 8 * 1024;

/// All credentials for one cloud.
pub struct Credentials {
    settings: Settings,
    graph: Arc<Url>,
    exchange: Arc<Url>,
    synchronisation: Client,
    setup: Client,
    wire: Wire,
    keys: Keys,
    pending: PendingStates,
    directory: Mutex<HashMap<Uuid, Arc<Slot>>>,
    delegations: Mutex<HashMap<Uuid, Arc<Delegation>>>,
}

/// Why the credentials cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An application's credential.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The way to the service.
    #[error(transparent)]
    Wire(#[from] WireSetupError),
    /// An address that secrets must not be sent to.
    #[error("{name} = {value:?} cannot be used; it must be an https address without user, query and fragment, for example {example:?}")]
    Address {
        /// Which setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// How it could be.
        example: &'static str,
    },
    /// A scope from which no permission can be derived.
    #[error("{name} = {value:?} cannot be used; it must end in /.default, for example \"https://graph.microsoft.com/.default\"")]
    Scope {
        /// Which setting.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

impl Credentials {
    /// Reads the files that `settings` name. A certificate that is about to expire is told to the log.
    pub fn load(settings: Settings, now: SystemTime) -> Result<Self, SetupError> {
        let addresses = [
            ("authority", &settings.authority, "https://login.microsoftonline.com"),
            ("redirect", &settings.redirect, "https://signet.example.com/connect/done"),
            ("graph", &settings.resources.graph, "https://graph.microsoft.com"),
            ("exchange", &settings.resources.exchange, "https://outlook.office365.com"),
        ];
        if let Some((name, value, example)) = addresses.into_iter().find(|(_, url, _)| !settings::is_safe(url)) {
            return Err(SetupError::Address { name, value: value.to_string(), example });
        }
        let scopes = [("graph_scope", &settings.resources.graph_scope), ("exchange_scope", &settings.resources.exchange_scope)];
        if let Some((name, value)) = scopes.into_iter().find(|(_, scope)| !scope.ends_with(settings::DEFAULT)) {
            return Err(SetupError::Scope { name, value: value.clone() });
        }
        let credentials = Self {
            graph: Arc::new(settings.resources.graph.clone()),
            exchange: Arc::new(settings.resources.exchange.clone()),
            synchronisation: Client::load(&settings.synchronisation)?,
            setup: Client::load(&settings.setup)?,
            wire: Wire::new(&settings.roots)?,
            keys: Keys::default(),
            pending: PendingStates::default(),
            directory: Mutex::default(),
            delegations: Mutex::default(),
            settings,
        };
        for warning in credentials.warnings(now) {
            tracing::warn!(event = "control.certificate-expires", "{warning}");
        }
        Ok(credentials)
    }

    /// What an operator should do before a certificate expires; empty when nothing.
    pub fn warnings(&self, now: SystemTime) -> Vec<String> {
        [&self.synchronisation, &self.setup].into_iter().filter_map(|client| client.warning(now)).collect()
    }

    /// The token behind `handle`, from memory or from the service.
    pub async fn bearer(&self, tenant: Uuid, handle: &str, now: SystemTime) -> Result<Bearer, CredentialError> {
        self.obtain(tenant, handle, None, now).await
    }

    /// Another token in the place of `refused`, when the resource's 401 came with a claims challenge (`insufficient_claims` in `challenge`, the value of
    /// its WWW-Authenticate field); none when it did not. To be called once for a request.
    pub async fn challenged(
        &self,
        tenant: Uuid,
        handle: &str,
        challenge: &str,
        refused: &Bearer,
        now: SystemTime,
    ) -> Result<Option<Bearer>, CredentialError> {
        let Some(claims) = claims(challenge) else { return Ok(None) };
        self.refuse(&self.slot(tenant, handle, now)?, refused);
        self.obtain(tenant, handle, Some(&claims), now).await.map(Some)
    }

    /// The resource's 401 came without a challenge: the token is not given out again.
    pub fn refused(&self, tenant: Uuid, handle: &str, refused: &Bearer, now: SystemTime) {
        if let Ok(place) = self.slot(tenant, handle, now) {
            self.refuse(&place, refused);
        }
    }

    fn refuse(&self, place: &Place, refused: &Bearer) {
        match place {
            Place::Directory(slot) => slot.refuse(refused),
            Place::Administrator(delegation) => delegation.administrator.refuse(refused),
            Place::Exchange(delegation) => delegation.exchange.refuse(refused),
        }
    }

    /// The handles that a plugin may use for the tenant now.
    pub fn handles(&self, tenant: Uuid, now: SystemTime) -> Vec<&'static str> {
        let mut handles = Vec::new();
        let slot = self.locked_directory().get(&tenant).cloned();
        if slot.is_none_or(|slot| slot.is_hopeful(now)) {
            handles.push(DIRECTORY);
        }
        if let Some(delegation) = self.delegation(tenant, now) {
            let held = [(ADMINISTRATOR, &delegation.administrator), (EXCHANGE, &delegation.exchange)];
            handles.extend(held.into_iter().filter(|(_, slot)| slot.is_hopeful(now)).map(|(handle, _)| handle));
        }
        handles
    }

    /// The plan is done, or given up: the administrator's tokens are overwritten.
    pub fn forget_administrator(&self, tenant: Uuid) {
        self.locked_delegations().remove(&tenant);
    }

    /// The tenant is disconnected: nothing of it stays.
    pub fn forget(&self, tenant: Uuid) {
        self.forget_administrator(tenant);
        self.locked_directory().remove(&tenant);
    }

    /// Overwrites what is too old. Every other call does so too; this one is for a timer, so that nothing stays when nobody calls.
    pub fn sweep(&self, now: SystemTime) {
        self.locked_delegations().retain(|_, delegation| !delegation.is_over(now));
    }

    async fn obtain(&self, tenant: Uuid, handle: &str, claims: Option<&str>, now: SystemTime) -> Result<Bearer, CredentialError> {
        let answer = match self.slot(tenant, handle, now)? {
            Place::Directory(slot) => slot.bearer(now, self.fetch_directory(tenant, claims, now)).await,
            Place::Administrator(delegation) => {
                let fetch = delegation.renew(self, tenant, &self.graph, self.administrator_scopes(), claims, now);
                delegation.administrator.bearer(now, fetch).await
            }
            Place::Exchange(delegation) => {
                let scopes = vec![self.settings.resources.exchange_scope.clone()];
                delegation.exchange.bearer(now, delegation.renew(self, tenant, &self.exchange, scopes, claims, now)).await
            }
        };
        if let Err(error) = &answer {
            tracing::warn!(event = "control.no-credential", %tenant, handle, %error, "no token for the control plugin's request");
        }
        answer
    }

    async fn fetch_directory(&self, tenant: Uuid, claims: Option<&str>, now: SystemTime) -> Result<Bearer, CredentialError> {
        let scopes = [self.settings.resources.graph_scope.clone()];
        let request = Request { client: &self.synchronisation, grant: Grant::Client, scopes: &scopes, claims };
        let issued = self.endpoint().ask(&tenant.to_string(), request, now).await?;
        if lacks_roles(issued.access.expose()) {
            return Err(CredentialError::new(Cause::NotYet));
        }
        Ok(Bearer::new(issued.access, Arc::clone(&self.graph), issued.expires))
    }

    fn slot(&self, tenant: Uuid, handle: &str, now: SystemTime) -> Result<Place, CredentialError> {
        let delegation = || self.delegation(tenant, now).ok_or(CredentialError::new(Cause::NotSignedIn));
        match handle {
            DIRECTORY => Ok(Place::Directory(self.directory_slot(tenant))),
            ADMINISTRATOR => delegation().map(Place::Administrator),
            EXCHANGE => delegation().map(Place::Exchange),
            other => Err(CredentialError::new(Cause::UnknownHandle(other.chars().take(64).collect()))),
        }
    }

    fn directory_slot(&self, tenant: Uuid) -> Arc<Slot> {
        let mut slots = self.locked_directory();
        if slots.len() >= TENANT_LIMIT && !slots.contains_key(&tenant) {
            let any = slots.keys().next().copied();
            any.and_then(|any| slots.remove(&any));
        }
        Arc::clone(slots.entry(tenant).or_default())
    }

    fn delegation(&self, tenant: Uuid, now: SystemTime) -> Option<Arc<Delegation>> {
        self.sweep(now);
        self.locked_delegations().get(&tenant).cloned()
    }

    fn endpoint(&self) -> Endpoint<'_> {
        Endpoint { authority: &self.settings.authority, redirect: &self.settings.redirect, wire: &self.wire }
    }

    fn locked_directory(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Slot>>> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked_delegations(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Delegation>>> {
        self.delegations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Credentials").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Where a handle's token is.
enum Place {
    Directory(Arc<Slot>),
    Administrator(Arc<Delegation>),
    Exchange(Arc<Delegation>),
}

/// Whether an application's token says that nothing was granted. A token that cannot be read is the resource's business alone, and this is no
/// decision about access: it only spares a request that would fail while a consent spreads.
fn lacks_roles(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Granted {
        #[serde(default)]
        roles: Vec<String>,
    }
    jsonwebtoken::dangerous::insecure_decode_claims::<Granted>(token).is_ok_and(|granted| granted.roles.is_empty())
}

/// The claims that a challenge demands: a JSON object in base64.
fn claims(challenge: &str) -> Option<String> {
    if challenge.len() > CHALLENGE_LIMIT || parameter(challenge, "error")? != "insufficient_claims" {
        return None;
    }
    let encoded = parameter(challenge, "claims")?;
    let octets = STANDARD.decode(encoded).or_else(|_| URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('='))).ok()?;
    let text = String::from_utf8(octets).ok()?;
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).ok()?;
    Some(text)
}

/// A parameter in quotes of a challenge (RFC 9110 section 11.6.1).
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = challenge;
    loop {
        let (before, behind) = rest.split_once("=\"")?;
        let (value, next) = behind.split_once('"')?;
        let found = before.rsplit([' ', ',']).next()?;
        if found.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next;
    }
}
