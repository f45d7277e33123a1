//! What an administrator's sign-in is worth for a while: tokens in that person's name, in memory only, for the time of one plan.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use url::Url;
use uuid::Uuid;

use super::Credentials;
use super::error::{Cause, CredentialError};
use super::secret::{Bearer, Secret};
use super::slot::Slot;
use super::token::{Grant, Issued, Request};

/// The longest that a sign-in is held: a plan takes minutes, and an hour leaves room for a person who has to ask somebody.
pub(super) const DELEGATION_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// One administrator of one tenant. Dropping it overwrites the tokens.
#[derive(Debug)]
pub(super) struct Delegation {
    pub(super) administrator: Slot,
    pub(super) exchange: Slot,
    refresh: Mutex<Option<Secret>>,
    until: SystemTime,
}

impl Delegation {
    /// From what the sign-in issued; its access token is for the directory.
    pub(super) fn new(issued: Issued, graph: Arc<Url>, now: SystemTime) -> Self {
        let until = now + DELEGATION_LIFETIME;
        let bearer = Bearer::new(issued.access, graph, issued.expires.min(until));
        Self { administrator: Slot::holding(bearer, now), exchange: Slot::default(), refresh: Mutex::new(issued.refresh), until }
    }

    /// Whether its time is over.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        now >= self.until
    }

    /// Another access token by the refresh token, which is replaced when the service sends a new one.
    pub(super) async fn renew(
        &self,
        credentials: &Credentials,
        tenant: Uuid,
        resource: &Arc<Url>,
        scopes: Vec<String>,
        claims: Option<&str>,
        now: SystemTime,
    ) -> Result<Bearer, CredentialError> {
        let refresh = self.refresh.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let refresh = refresh.ok_or(CredentialError::new(Cause::GrantExpired))?;
        let request = Request { client: &credentials.setup, grant: Grant::Refresh(&refresh), scopes: &scopes, claims };
        let issued = credentials.endpoint().ask(&tenant.to_string(), request, now).await?;
        if let Some(next) = issued.refresh {
            *self.refresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        }
        Ok(Bearer::new(issued.access, Arc::clone(resource), issued.expires.min(self.until)))
    }
}
