//! Credentials as the way out asks for them: by tenant and handle, with the tokens of [`Credentials`].
//!
//! What was refused is never given out again, and a claims challenge is answered by a token that has the claims. Tokens are kept there, not here.

use std::sync::Arc;
use std::time::SystemTime;

use uuid::Uuid;

use super::credentials::{self, Credentials};
use super::egress::{Awaited, Bearer, CredentialSource};

/// Hands out the tokens of [`Credentials`], and keeps none.
pub struct Tokens {
    credentials: Arc<Credentials>,
}

impl Tokens {
    /// Those of these credentials.
    pub fn new(credentials: Arc<Credentials>) -> Self {
        Self { credentials }
    }

    async fn give(&self, tenant: &str, handle: &str) -> Result<Bearer, String> {
        let id: Uuid = tenant.parse().map_err(|_| format!("{tenant:?} is not the id of a Microsoft 365 tenant"))?;
        let bearer = self.credentials.bearer(id, handle, SystemTime::now()).await;
        bearer.map(|bearer| plain(&bearer)).map_err(|error| format!("{error} {}", error.next_step()))
    }

    async fn refuse(&self, tenant: &str, handle: &str, refused: &Bearer, challenge: &str) {
        let now = SystemTime::now();
        let Ok(id) = tenant.parse::<Uuid>() else { return };
        // The one that is held is the one that was refused, unless another request came before.
        let Ok(held) = self.credentials.bearer(id, handle, now).await else { return };
        if !plain(&held).is_same(refused) {
            return;
        }
        match self.credentials.challenged(id, handle, challenge, &held, now).await {
            Ok(Some(_)) => {}
            Ok(None) => self.credentials.refused(id, handle, &held, now),
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
