//! Keeps the directory of every connected tenant as the service has it.
//!
//! - [`driver`](Synchroniser): when pages are asked for, what happens when there is none, and what is reported.
//! - `rows`: what was told, in the store; which round is in use.
//! - `snapshot`: from rows to the [`Directory`](crate::directory::Directory) that mail is served with.
//! - `photos`: pictures of people.
//! - `seat`: what is known of one tenant while the process lives.
//!
//! A round that fails, or that is held back because too many people are missing, leaves the directory in use as it is. Nothing here knows the
//! service: pages come from the control plugin.

mod driver;
mod photos;
mod rows;
mod seat;
mod snapshot;

pub use driver::{Connections, Settings, Synchroniser};
pub use rows::FEW;

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
