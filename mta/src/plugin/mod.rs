//! The plugin host: loads selector, renderer and control components and calls them, one fresh instance a call.
//!
//! The only module that names wasmtime. Selectors and renderers are pure functions of their inputs: no WASI, no clock, no randomness, no
//! state between calls; a control plugin reaches what [`Outside`] offers and nothing else. They decide; the host checks every answer before anyone sees it and alone edits mail. Every way in which a plugin can misbehave ends
//! as a [`Fault`] or a [`LoadError`] within bounded time and memory; what then happens to the message is the pipeline's policy.
//!
//! - [`Engine`]: compiler, instance pool and epoch ticker, one a process.
//! - [`Selector`], [`Renderer`]: a configured plugin; `load` takes about a second, a call some ten microseconds.
//! - [`Controller`]: a control plugin, with an engine of its own.
//! - [`component`]: makes a component from a guest crate; [`inspect`]: what a component file can do, read from its structure alone.

mod admission;
mod bindings;
mod breaker;
mod call;
pub mod component;
mod control;
mod describe;
mod engine;
mod fault;
mod host;
mod limits;
mod render;
mod select;
mod snapshot;
mod text;

#[cfg(test)]
mod tests;

pub use admission::{AdmissionError, CONTROLLER, FILE, Inspection, RENDERER, SELECTOR, World, inspect, sha256};
pub use control::{Broken, CALLS, ControlLimits, Controller, Failed, Outside};
pub use engine::{Engine, EngineError, EngineSettings};
pub use fault::{Description, Diagnostic, Fault, File, LoadError, PluginError, Severity};
pub use host::{MessageView, PartInfo};
pub use limits::{BreakerSettings, Limits};
pub use render::{Renderer, RendererSummary};
pub use select::{Selector, SelectorSummary};
