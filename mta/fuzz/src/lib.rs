//! The parsers of Signet without the rest of it, so that fuzzing compiles neither the plugin engine nor TLS.
//!
//! The modules are the server's own files; only the stand-in below replaces a type that no parser looks into.
#![allow(missing_docs, dead_code, unreachable_pub, reason = "the items are documented where they belong, and not all are fuzzed")]

#[path = "../../src/address.rs"]
pub mod address;
#[path = "../../src/authentication_results.rs"]
pub mod authentication_results;
#[path = "../../src/header.rs"]
pub mod header;
#[path = "../../src/message.rs"]
pub mod message;
#[path = "../../src/mime/mod.rs"]
pub mod mime;
#[path = "../../src/signature.rs"]
pub mod signature;

pub mod smtp;

/// Evidence that parsers carry and never open.
pub mod tenant {
    /// In place of the server's permit.
    #[derive(Clone, Debug)]
    pub struct Permit;
}
