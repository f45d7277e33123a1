//! Signet: a mail transfer agent that gives every message the sender's company signature, and hands it back.
//!
//! # The way of a message, which is also the order in which to read
//!
//! 1. [`smtp::server`] accepts a connection, [`smtp::session`] speaks SMTP on it (no I/O), [`tenant`] says whose mail it can be.
//! 2. `pipeline` takes the complete message: [`tenant`] attributes it, [`verify`] checks SPF, DKIM, DMARC and ARC, [`mime`] finds its
//!    structure, [`plugin`] chooses and renders signatures, [`mime`] places them, [`seal`] writes trace fields and signs.
//! 3. [`handoff`] passes the copies to the tenant's next hop, whose answer is the answer to the sender.
//!
//! # Around it
//!
//! [`config`] makes the parsed configuration, `service` makes it ready to use, [`serve`] starts, reloads and stops. [`directory`] knows
//! people and groups, [`store`] keeps the little that must outlive the process, [`telemetry`] shows operators what happens, [`demo`] shows
//! newcomers, [`signatures`] lets rules and templates be tried. [`control`] connects tenants and keeps their people in step, through what the control
//! plugin may reach; [`console`] is the pages and the API on which that is used, [`remote`] the same from a terminal, and `probe` tries the way before mail takes it.
//!
//! # Invariants
//!
//! No envelope without a [`tenant::Permit`]; no edit before [`verify::Verified`]; no edit after [`seal::Sealed`]; no 250 without
//! [`handoff::HandedOff`], but for a trial of the way, which is addressed to Signet itself. Attachments are never copied. Message content is never logged and never written to disk. Leaves do no I/O.

pub mod address;
pub mod authentication_results;
pub mod budget;
pub mod config;
pub mod console;
pub mod control;
mod cpu;
pub mod demo;
pub mod directory;
pub mod event;
pub mod handoff;
pub mod header;
pub mod locale;
pub mod message;
pub mod mime;
mod pipeline;
pub mod plugin;
mod probe;
pub mod refusal;
pub mod remote;
pub mod seal;
pub mod serve;
mod service;
pub mod signature;
pub mod signatures;
pub mod smtp;
pub mod store;
pub mod telemetry;
pub mod tenant;
pub mod tls;
pub mod verify;

pub use control::CONTROLLER as DEFAULT_CONTROLLER;
pub use serve::{Observer, Server, StartError};
pub use service::{RENDERER as DEFAULT_RENDERER, SELECTOR as DEFAULT_SELECTOR};

/// What `[[tenant.login]]` keeps of a password: SCRAM-SHA-256 keys with a fresh random salt (RFC 5802 section 3).
pub fn stored_keys(password: &str) -> Result<smtp::auth::StoredKeys, smtp::auth::AuthError> {
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| smtp::auth::AuthError::Random)?;
    smtp::auth::StoredKeys::derive(password, &salt, smtp::auth::DEFAULT_ITERATIONS)
}
