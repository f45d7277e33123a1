//! The default controller: Microsoft 365, through Microsoft Graph and the cmdlet endpoint of Exchange Online.
//!
//! | module | does |
//! |---|---|
//! | `graph` | requests to Microsoft Graph, and what its errors mean |
//! | `exchange` | cmdlets, and what their errors mean |
//! | `administrator` | how a person holds the role Global Administrator |
//! | `directory` | organisation, groups that can be chosen |
//! | `mail_flow` | the plan: certificate domain, connectors, mail-flow rule; its steps; the same as a script |
//! | `status` | drift, the two-group report, SPF |
//! | `sync` | people, groups and pictures |
//!
//! All knowledge of Microsoft is here; sign-in, tokens, the network and storage are the host's. It never sees a message.
mod graph;
mod sync;
