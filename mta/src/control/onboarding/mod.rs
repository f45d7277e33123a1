//! How a tenant is connected, from the first sign-in to the last step of the plan, and back.
//!
//! | module | does |
//! |---|---|
//! | `machine` | what is known about a connection and how events change it; no I/O, no clock |
//! | `keep` | that record in the embedded store, written before anybody is told of a change |
//! | `desk` | one tenant: its record, and what follows from an event |
//! | `arrive` | a browser that comes back from the service |
//! | `drive` | the tasks that take time: the proof of a consent, and the plan, step by step |
//! | `errand` | what each browser was sent away for |
//! | `invitation` | the secret part of a link that works once |
//! | `tenant` | what the configuration says about a tenant, and the record that a call of the plugin is given |
//! | `trouble` | errors in a person's words |
//! | [`probe`] | the trial of the loop, which is made elsewhere |
//!
//! People are synchronised from the moment that a plan to connect begins, so that they are there when the first mail is routed; a Re-connect therefore
//! reads the people of the new choice while the old routing is still in force. Everything here is kept over a restart but the administrator's
//! tokens: a plan that was under way then waits for somebody to sign in again, and goes on at the first step that is not done.

mod arrive;
mod desk;
mod drive;
mod errand;
mod invitation;
mod keep;
mod machine;
pub mod probe;
mod tenant;
mod trouble;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::credentials::Credentials;
use super::report::{Synchronised, Trouble};
use super::session::Caller;
use super::words::{Connection, Word};
use crate::store::Store;

pub(super) use desk::{Desk, Office};
pub(super) use invitation::Kept;
pub use keep::KeepError;
pub(super) use machine::{Choice, Event, Record};
pub use probe::Probe;
pub use tenant::ConnectedTenant;
pub(super) use trouble::{before_authorisation, of_call, of_credential, stage as stage_trouble};

/// What somebody else answers later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Waits that long by the same clock.
pub type Sleep = Arc<dyn Fn(Duration) -> Later<'static, ()> + Send + Sync>;

/// The reading of people and groups, which goes on for as long as a tenant is connected.
pub trait Synchronise: Send + Sync {
    /// Begins rounds, or goes on with them, as `connection` says from now on; the same twice is the same as once.
    fn begin<'a>(&'a self, tenant: &'a str, connection: &'a Connection) -> Later<'a, ()>;

    /// A round now.
    fn now<'a>(&'a self, tenant: &'a str) -> Later<'a, Result<(), Trouble>>;

    /// No more rounds, and what was read is forgotten. None is under way any more when it has answered.
    fn stop<'a>(&'a self, tenant: &'a str) -> Later<'a, ()>;

    /// Takes over the round that was held back.
    fn accept_shrink<'a>(&'a self, tenant: &'a str) -> Later<'a, Result<(), Trouble>>;

    /// How it is.
    fn report<'a>(&'a self, tenant: &'a str) -> Later<'a, Synchronised>;
}

/// Published TXT records.
pub trait TextRecords: Send + Sync {
    /// Those of a domain, the parts of each put together; none when there are none. The error is in words for a person.
    fn of<'a>(&'a self, domain: &'a str) -> Later<'a, Result<Vec<String>, String>>;
}

/// What the control plane stands on.
pub struct Foundation {
    /// Makes calls of the plugin.
    pub caller: Caller,
    /// Sign-ins and tokens.
    pub credentials: Arc<Credentials>,
    /// What outlives the process.
    pub store: Store,
    /// The trial of the loop.
    pub probe: Arc<dyn Probe>,
    /// The reading of people.
    pub synchroniser: Arc<dyn Synchronise>,
    /// For advice on SPF.
    pub spf: Arc<dyn TextRecords>,
    /// Tenants with a `[tenant.connection]`, in the order of the configuration.
    pub tenants: Vec<ConnectedTenant>,
    /// Base addresses of the service by name, without a slash at the end: `graph` and `exchange`.
    pub endpoints: Vec<Word>,
    /// The time.
    pub clock: Clock,
    /// Waiting.
    pub sleep: Sleep,
}

/// The machine's own clock.
pub fn machine_time() -> (Clock, Sleep) {
    (Arc::new(SystemTime::now), Arc::new(|time| Box::pin(tokio::time::sleep(time))))
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
