//! SMTP: commands, replies, message data, the session, login and the PROXY header, all without I/O; and the server and client that add it.
//!
//! RFC 5321 and its extensions; each module names its own. Sockets, TLS, clocks and waits are in `server` and `client` only.

pub mod auth;
pub mod client;
pub mod command;
pub mod data;
pub mod proxy;
pub mod reply;
pub mod server;
pub mod session;
