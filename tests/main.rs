//! Every behaviour that a peer, a next hop, an operator or a plugin can see, through real sockets and TLS: one file a behaviour.
//!
//! [`harness`] starts Signet in this process with stand-ins around it; `process` runs the real binary.

mod corpus;
mod foreign_clients;
mod harness;
mod judges;
mod secure;
mod wire;
mod spf_suite;
