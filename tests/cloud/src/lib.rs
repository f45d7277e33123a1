//! A stand-in for Microsoft's cloud, for the demo and for tests: Entra ID, Microsoft Graph v1.0 and the cmdlet endpoint of Exchange
//! Online, under one origin. `Cloud` answers requests as values, without sockets; the binary puts TLS and HTTP around it.
//!
//! It is a test double: faithful to what Microsoft documents, and hostile on demand (`/_control`, or the methods of `World`). It takes
//! nothing from the software that it tests.

pub mod call;
pub mod cloud;
pub mod control;
pub mod entra;
pub mod exchange;
pub mod faults;
pub mod file;
pub mod graph;
pub mod random;
pub mod seed;
pub mod server;
pub mod tenant;
pub mod world;

#[cfg(test)]
mod tests;

pub use call::{Answer, Call, Delivery};
pub use cloud::Cloud;
pub use faults::{Fault, Wrong};
pub use random::Id;
pub use seed::Size;
pub use tenant::{Kind, Life, Tenant};
pub use world::{Knobs, Resource, World};
