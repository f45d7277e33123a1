//! Synchronisation as the control plane asks for it: by tenant, with the connection that holds from now on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config;
use crate::control::onboarding::{ConnectedTenant, Later, Synchronise};
use crate::control::report::{Synchronised, Trouble};
use crate::control::session::Caller;
use crate::control::synchronise::{Settings, Synchroniser};
use crate::control::words::Connection;
use crate::directory::Directories;
use crate::store::{Store, StoreError};

/// How each tenant is connected, for the rounds to come.
type Known = Arc<Mutex<HashMap<String, Connection>>>;

/// The synchroniser, and what it is told.
pub(super) struct Rounds {
    synchroniser: Synchroniser,
    known: Known,
    photos: HashMap<String, bool>,
}

impl Rounds {
    /// Puts in use what was read before the process ended; nothing is read yet.
    pub(super) async fn restore(
        caller: Caller,
        store: Store,
        directories: Directories,
        control: &config::Control,
        tenants: &[ConnectedTenant],
    ) -> Result<Self, StoreError> {
        let settings = Settings {
            every: control.synchronise_every,
            shrink_limit: control.shrink_limit,
            photo_memory: control.photo_memory,
            ..Settings::default()
        };
        let known = Known::default();
        let connection = {
            let known = Arc::clone(&known);
            move |tenant: &str| known.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
        };
        let synchroniser = Synchroniser::new(caller, store, directories, settings, Arc::new(connection));
        let photos: HashMap<String, bool> = tenants.iter().map(|tenant| (tenant.id.to_string(), tenant.settings.photos)).collect();
        for (tenant, photos) in &photos {
            synchroniser.restore(tenant, *photos).await?;
        }
        Ok(Self { synchroniser, known, photos })
    }
}

impl Synchronise for Rounds {
    fn begin<'a>(&'a self, tenant: &'a str, connection: &'a Connection) -> Later<'a, ()> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.to_owned(), connection.clone());
        self.synchroniser.begin(tenant, self.photos.get(tenant).copied().unwrap_or_default());
        // What was chosen may have changed; a round that reads the same again is short.
        self.synchroniser.now(tenant);
        Box::pin(std::future::ready(()))
    }

    fn now<'a>(&'a self, tenant: &'a str) -> Later<'a, Result<(), Trouble>> {
        self.synchroniser.now(tenant);
        Box::pin(std::future::ready(Ok(())))
    }

    fn stop<'a>(&'a self, tenant: &'a str) -> Later<'a, ()> {
        Box::pin(async move {
            if let Err(error) = self.synchroniser.stop(tenant).await {
                tracing::error!(event = "synchronise.not-forgotten", tenant, %error, "people who were read stay in the state file");
            }
            self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
        })
    }

    fn accept_shrink<'a>(&'a self, tenant: &'a str) -> Later<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or_default());
            match self.synchroniser.accept_shrink(tenant).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Trouble::new("stage", "No round is held back.", "There is nothing to do.", at)),
                Err(error) => Err(Trouble::new("store", error.to_string(), "Look at the disk, then try again.", at)),
            }
        })
    }

    fn report<'a>(&'a self, tenant: &'a str) -> Later<'a, Synchronised> {
        Box::pin(std::future::ready(self.synchroniser.report(tenant)))
    }
}
