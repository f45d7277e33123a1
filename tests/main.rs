//! Every behaviour that a peer, a next hop, an operator or a plugin can see, through real sockets and TLS: one file a behaviour.
//!
//! [`harness`] starts Signet in this process with stand-ins around it; `process` runs the real binary.

mod connect;
mod control;
mod corpus;
mod envelope;
mod faults;
mod foreign_clients;
mod harness;
mod judges;
mod kill;
mod next_hop;
mod onboarding;
mod operation;
mod process;
mod rules;
mod secure;
mod signature;
mod signatures;
mod spf_suite;
mod synchronise;
mod tenant;
mod values;
mod verify;
mod wire;
