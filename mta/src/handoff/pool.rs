//! Connections to next hops, kept for the next message of the same tenant.
//!
//! A connection belongs to one tenant, one client certificate and one next hop, because next hops attribute what comes over it by that
//! certificate: it is never lent to another tenant. One limit bounds the connections of such a key, another the idle ones of all. A
//! connection that was idle is asked nothing before it is used again: if it turns out to be closed, the transaction opens a fresh one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustls::ClientConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::handoff::{Route, Trouble};
use crate::smtp::client::{self, Connection, Resolve};
use crate::tenant::TenantId;

/// All connections to next hops.
pub struct Pool {
    resolver: Arc<dyn Resolve>,
    shared: Arc<Shared>,
}

struct Shared {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    idle: Arc<AtomicUsize>,
    idle_limit: usize,
}

/// What two transactions must have in common to use the same connection.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: TenantId,
    identity: String,
    host: String,
    port: u16,
    server_name: String,
}

struct Slot {
    connections: usize,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    /// The configuration that it was verified with: after a reload it is not reused.
    tls: Option<Arc<ClientConfig>>,
    until: Instant,
    _place: Place,
}

/// One among the idle connections of all keys; free again when dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// An empty pool; at most `idle_limit` connections stay open without work.
    pub fn new(resolver: Arc<dyn Resolve>, idle_limit: usize) -> Self {
        Self { resolver, shared: Arc::new(Shared { slots: Mutex::default(), idle: Arc::default(), idle_limit }) }
    }

    /// A connection for one transaction: an idle one when there is one, else a fresh one. Waits for a free place up to the route's limit.
    pub(super) async fn take(&self, route: &Arc<Route>) -> Result<Lease, Trouble> {
        let slot = self.slot(route);
        let permit = match timeout(route.limits.wait, Arc::clone(&slot.permits).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) | Err(_) => return Err(Trouble::Saturated { connections: slot.connections }),
        };
        let found = self.shared.reuse(&slot, route);
        let reused = found.is_some();
        let connection = match found {
            Some(connection) => connection,
            None => client::connect(&route.target(), &*self.resolver).await?,
        };
        Ok(Lease { connection, reused, route: Arc::clone(route), shared: Arc::clone(&self.shared), slot, permit })
    }

    /// Replaces a connection that was lost by a fresh one in the same place.
    pub(super) async fn renew(&self, lease: Lease) -> Result<Lease, Trouble> {
        let Lease { connection, route, shared, slot, permit, .. } = lease;
        drop(connection);
        let connection = client::connect(&route.target(), &*self.resolver).await?;
        Ok(Lease { connection, reused: false, route, shared, slot, permit })
    }

    /// Closes connections that were idle for longer than their route allows, and forgets keys that are no longer used. To be called
    /// every few seconds.
    pub async fn sweep(&self, now: Instant) {
        let mut expired = Vec::new();
        lock(&self.shared.slots).retain(|_, slot| {
            let mut idle = lock(&slot.idle);
            expired.extend(idle.extract_if(.., |idle| now >= idle.until));
            // Another holder of the slot is a lease, or is about to become one.
            !idle.is_empty() || Arc::strong_count(slot) > 1
        });
        self.farewell(expired).await;
    }

    /// Closes all idle connections, at shutdown.
    pub async fn close(&self) {
        let idle = lock(&self.shared.slots).values().flat_map(|slot| std::mem::take(&mut *lock(&slot.idle))).collect();
        self.farewell(idle).await;
    }

    /// How many connections are idle, for the metrics.
    pub fn idle(&self) -> usize {
        self.shared.idle.load(Ordering::Relaxed)
    }

    async fn farewell(&self, idle: Vec<Idle>) {
        let mut farewells = tokio::task::JoinSet::new();
        for idle in idle {
            farewells.spawn(idle.connection.quit());
        }
        while farewells.join_next().await.is_some() {}
    }

    fn slot(&self, route: &Route) -> Arc<Slot> {
        let key = Key {
            tenant: route.tenant.clone(),
            identity: route.identity.clone(),
            host: route.host.clone(),
            port: route.port,
            server_name: route.server_name.clone(),
        };
        let connections = route.limits.connections.max(1);
        let fresh = || Arc::new(Slot { connections, permits: Arc::new(Semaphore::new(connections)), idle: Mutex::default() });
        let mut slots = lock(&self.shared.slots);
        let slot = slots.entry(key).or_insert_with(fresh);
        if slot.connections != connections {
            // A reload changed the limit. What is lent under the old one comes back there and is closed with it.
            *slot = fresh();
        }
        Arc::clone(slot)
    }
}

impl Shared {
    fn reuse(&self, slot: &Slot, route: &Route) -> Option<Connection> {
        loop {
            // The newest first: it is the least likely to have been closed by the next hop.
            let mut idle = lock(&slot.idle).pop()?;
            let same = match (&idle.tls, &route.tls) {
                (Some(theirs), Some(ours)) => Arc::ptr_eq(theirs, ours),
                (None, None) => true,
                _ => false,
            };
            if same && Instant::now() < idle.until && !idle.connection.is_stale() {
                return Some(idle.connection);
            }
        }
    }

    /// Whether one more may stay idle.
    fn admit(&self) -> Option<Place> {
        let more = |idle: usize| (idle < self.idle_limit).then_some(idle + 1);
        self.idle.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place(Arc::clone(&self.idle)))
    }
}

/// A connection in use. Dropped, it is closed; given back, it may be used again.
pub(super) struct Lease {
    pub(super) connection: Connection,
    /// Whether it has carried an earlier transaction.
    pub(super) reused: bool,
    route: Arc<Route>,
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    /// Its place among the key's connections; free again when the lease ends.
    permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Keeps the connection for the next transaction if it is fit for one, else closes it.
    pub(super) fn give_back(self) {
        let Self { mut connection, route, shared, slot, permit, .. } = self;
        let spent = connection.messages() >= route.limits.messages_per_connection;
        if connection.in_transaction() || connection.is_stale() {
            return;
        }
        let place = if spent || route.limits.idle.is_zero() { None } else { shared.admit() };
        let Some(place) = place else {
            // The farewell is bounded, keeps the place until it is over, and nobody waits for it.
            drop(tokio::spawn(async move {
                connection.quit().await;
                drop(permit);
            }));
            return;
        };
        let until = Instant::now() + route.limits.idle;
        lock(&slot.idle).push(Idle { connection, tls: route.tls.clone(), until, _place: place });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
