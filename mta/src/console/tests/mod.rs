//! The console through its router, with a control plane that the tests lead.

mod api;
mod client;
mod connecting;
mod fake;
mod listening;
mod pages;
mod safety;
