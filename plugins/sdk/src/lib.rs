//! Write a Signet plugin in Rust: implement one trait, name the type in one macro.
//!
//! | plugin | decides | trait | macro |
//! |---|---|---|---|
//! | selector | which signatures a message gets, for which recipients | [`Selector`] | [`selector!`] |
//! | renderer | what a signature looks like for one person | [`Renderer`] | [`renderer!`] |
//! | controller | how a mail service is connected, and what its directory says | [`Controller`] | [`controller!`] |
//!
//! ```
//! use signet_plugin_sdk::select::{CopyPlan, Decision, Outcome, Summary, sign};
//! use signet_plugin_sdk::{Description, Diagnostic, Facts, File, Message, PluginError, Selector};
//!
//! pub struct ByDomain;
//!
//! impl Selector for ByDomain {
//!     fn configure(_: &[File]) -> Result<(Self, Summary), Vec<Diagnostic>> {
//!         Ok((Self, Summary { rules: 1, signatures: vec!["full".into()], warnings: vec![] }))
//!     }
//!
//!     fn describe(&self) -> Description {
//!         Description::new("by-domain", "1.0.0")
//!     }
//!
//!     fn select(&self, facts: &Facts, _: &dyn Message) -> Result<Decision, PluginError> {
//!         Ok(Decision::everyone(facts, sign(["full"])))
//!     }
//! }
//!
//! signet_plugin_sdk::selector!(ByDomain);
//! ```
//!
//! The crate is a `cdylib`; `signet plugin build DIR` turns it into a component. The traits and the types are plain Rust, so a plugin's
//! tests are ordinary `cargo test` tests that run natively: call `configure` and `select` yourself and lend it a [`TestMessage`].
//!
//! **A call lives in its own instance.** What `configure` returns is snapshotted, and every later call starts from that snapshot in
//! memory that is thrown away afterwards. Nothing that `select` or `render` stores is seen again, so there is nothing to clean up: do
//! the costly work in `configure`. There is no clock, no randomness, no file and no network; the time and a seed are in the facts.
//!
//! A panic ends the call, and its message is the last line of the plugin's log. This crate neither talks to the host's side nor knows
//! what a rule or a template is.

#[cfg(feature = "allocator")]
#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "the global allocator is the guest's; natively only tests use it"))]
mod allocator;
#[doc(hidden)]
pub mod bindings;
pub mod control;
#[doc(hidden)]
pub mod glue;
mod message;
pub mod render;
pub mod select;
#[cfg(feature = "settings")]
pub mod settings;

pub use bindings::plugin::exports::signet::plugin::describe::Description;
pub use bindings::plugin::signet::mail::types::{
    Address, Authentication, Facts, Format, Header, Kind, Moment, PartInfo, Person, Recipient, RecipientClass,
};
pub use bindings::plugin::signet::plugin::log::Level;
pub use bindings::plugin::signet::plugin::types::{Diagnostic, File, PluginError, Severity};
pub use control::Controller;
pub use message::{Message, TestMessage};
pub use render::Renderer;
pub use select::Selector;

#[cfg(all(target_family = "wasm", feature = "allocator"))]
#[global_allocator]
static ALLOCATOR: allocator::Bump = allocator::Bump::new();

impl Description {
    /// A plugin that wants no header fields and all attributes.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), headers: Vec::new(), attributes: Vec::new() }
    }
}

/// Writes one line to the operator's log: at most 16 lines a call of 1 KiB each. Natively, as in tests, it goes to standard error.
pub fn log(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    bindings::plugin::signet::plugin::log::log(&level, message);
    #[cfg(not(target_family = "wasm"))]
    eprintln!("{level:?}: {message}");
}

/// An error or warning about the configuration. `line` counts from 1; 0 means the whole file.
pub fn diagnostic(severity: Severity, file: &str, line: u32, key: &str, message: impl Into<String>) -> Diagnostic {
    Diagnostic { severity, file: file.to_owned(), line, key: key.to_owned(), message: message.into() }
}
