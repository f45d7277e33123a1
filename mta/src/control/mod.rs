//! The host side of the control plugin: what it may reach, what it keeps, and the record of what it did.
//!
//! - [`words`]: what a control plugin is asked and answers.
//! - [`credentials`]: sign-in, consent and tokens: everything secret.
//! - [`tokens`]: those, as the way out asks for them.
//! - [`egress`]: the only way out: an allow-list, checked addresses, credentials by handle.
//! - [`state`]: what the plugin keeps between calls.
//! - [`onboarding`]: how a tenant is connected, step by step, over restarts.
//! - [`plane`]: what can be done with connections, in one place; [`report`]: what is known about them.
//! - [`recording`]: calls as JSON lines without secrets, and their replay.
//! - [`session`]: one call with all of this around it.
//! - [`synchronise`]: keeps the directories of tenants as the service has them.
//!
//! All knowledge of the service that is connected is the plugin's. Nothing on the mail path knows this module; it serves with the directories that
//! [`synchronise`] puts in use.

pub mod credentials;
pub mod egress;
pub mod onboarding;
pub mod plane;
pub mod recording;
pub mod report;
pub mod session;
#[cfg(test)]
mod stand_in;
pub mod state;
pub mod synchronise;
pub mod tokens;
pub mod words;

/// The default controller, for Microsoft 365, compiled from `plugins/control` by the build script.
pub const CONTROLLER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/control.wasm"));
