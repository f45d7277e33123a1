//! Credentials as the way out asks for them: by tenant and handle, with the tokens of [`Credentials`].
//!
//! What was refused is never given out again, and a claims challenge is answered by a token that has the claims. No token is kept here for longer
//! than the one before it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use uuid::Uuid;

use super::credentials::{self, Credentials};
use super::egress::{Awaited, Bearer, CredentialSource};

/// Tenant and handle.
type Key = (Uuid, String);

/// Hands out the tokens of [`Credentials`].
pub struct Tokens {
    credentials: Arc<Credentials>,
    /// What was given out last, to know it again when it is refused.
    given: Mutex<HashMap<Key, credentials::Bearer>>,
}

impl Tokens {
    /// Those of these credentials.
    pub fn new(credentials: Arc<Credentials>) -> Self {
        Self { credentials, given: Mutex::default() }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Key, credentials::Bearer>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn give(&self, tenant: &str, handle: &str) -> Result<Bearer, String> {
        let id: Uuid = tenant.parse().map_err(|_| format!("{tenant:?} is not the id of a Microsoft 365 tenant"))?;
        let bearer = self.credentials.bearer(id, handle, SystemTime::now()).await;
        let bearer = bearer.map_err(|error| format!("{error} {}", error.next_step()))?;
        let out = plain(&bearer);
        self.locked().insert((id, handle.to_owned()), bearer);
        Ok(out)
    }

    async fn refuse(&self, tenant: &str, handle: &str, refused: &Bearer, challenge: &str) {
        let Ok(id) = tenant.parse::<Uuid>() else { return };
        let key = (id, handle.to_owned());
        let Some(given) = self.locked().get(&key).cloned().filter(|given| plain(given).is_same(refused)) else { return };
        self.locked().remove(&key);
        let now = SystemTime::now();
        match self.credentials.challenged(id, handle, challenge, &given, now).await {
            Ok(Some(_)) => {}
            Ok(None) => self.credentials.refused(id, handle, &given, now),
            // The next request says it to a person.
            Err(error) => {
                tracing::warn!(event = "control.challenge-failed", %tenant, handle, %error, "no token with the claims that were asked for")
            }
        }
    }
}

fn plain(bearer: &credentials::Bearer) -> Bearer {
    let authorization = bearer.authorization();
    Bearer::new(authorization.strip_prefix("Bearer ").unwrap_or_default(), bearer.origin())
}

impl CredentialSource for Tokens {
    fn bearer<'a>(&'a self, tenant: &'a str, handle: &'a str) -> Awaited<'a, Result<Bearer, String>> {
        Box::pin(self.give(tenant, handle))
    }

    fn rejected<'a>(&'a self, tenant: &'a str, handle: &'a str, bearer: &'a Bearer, challenge: &'a str) -> Awaited<'a, ()> {
        Box::pin(self.refuse(tenant, handle, bearer, challenge))
    }
}
