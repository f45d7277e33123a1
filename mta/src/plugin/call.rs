//! One call of a plugin through a fresh instance: breaker, store, instance, outcome class, log.
//!
//! Nothing of a call outlives it: the store is dropped, and with it the instance, before the next one begins.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace};

use super::breaker::Breaker;
use super::control::Broken;
use super::engine::Engine;
use super::fault::Fault;
use super::host::{self, Exceeded, Host, MessageView};
use super::limits::{Limits, REASON};
use super::text;

/// A loaded plugin of either world; `P` is its pre-instantiated component.
pub(super) struct Plugin<P> {
    pub(super) engine: Engine,
    pub(super) pre: P,
    pub(super) limits: Limits,
    /// Octets of linear memory that a call may reach.
    pub(super) memory: usize,
    pub(super) breaker: Breaker,
    pub(super) name: String,
}

impl<P> Plugin<P> {
    pub(super) fn new(engine: &Engine, pre: P, limits: &Limits, base: usize, name: &str) -> Self {
        Self {
            engine: engine.clone(),
            pre,
            limits: limits.clone(),
            memory: base.saturating_add(limits.memory),
            breaker: Breaker::new(limits.breaker),
            name: name.to_owned(),
        }
    }

    /// Has `run` make the call and check its answer. Whatever happens inside, a panic of the host included, ends as a [`Fault`].
    pub(super) fn call<R>(
        &self,
        deadline: Duration,
        message: Option<Arc<dyn MessageView>>,
        run: impl FnOnce(&mut Store<Host>, &P) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        if !self.breaker.admits(Instant::now()) {
            return Err(Fault::BreakerOpen);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut store = host::store(&self.engine, &self.limits, self.memory, deadline, message);
            let outcome = run(&mut store, &self.pre);
            store.into_data().log.emit(&self.name);
            outcome
        }));
        let outcome = outcome.unwrap_or_else(|panic| Err(Fault::Host(panic_text(&*panic))));
        self.breaker.record(Instant::now(), outcome.as_ref().is_err_and(Fault::counts));
        outcome
    }
}

/// The outcome class of a call that did not come back with an answer.
pub(super) fn classify(error: &wasmtime::Error) -> Fault {
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return match exceeded {
            Exceeded::Memory | Exceeded::Table => Fault::Memory,
            Exceeded::Calls | Exceeded::Reads => Fault::HostCalls(exceeded.to_string().into()),
        };
    }
    if let Some(broken) = error.downcast_ref::<Broken>() {
        return Fault::Host(broken.to_string());
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::Interrupt => Fault::Deadline,
            Trap::AllocationTooLarge => Fault::Memory,
            trap => Fault::Trap(trapped(*trap, error)),
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Fault::Host(error.root_cause().to_string());
    }
    // The engine has no types for these two; a test for each guards the words.
    let cause = error.root_cause().to_string();
    if cause.contains("handle limit") {
        return Fault::HostCalls("resource handles".into());
    }
    if cause.contains("fuel allocated for hostcalls") {
        return Fault::HostCalls("octets moved in one call".into());
    }
    // What is left is an answer or an argument that breaks the canonical ABI: bad pointers, invalid UTF-8, unknown cases.
    Fault::BadOutput(text::line(cause, REASON))
}

/// The trap and the innermost function, which is what a plugin's author needs first.
fn trapped(trap: Trap, error: &wasmtime::Error) -> String {
    let frame = error.downcast_ref::<WasmBacktrace>().and_then(|trace| trace.frames().first());
    let function = frame.map(|frame| frame.func_name().map_or_else(|| format!("function {}", frame.func_index()), str::to_owned));
    let text = function.map_or_else(|| trap.to_string(), |function| format!("{trap} in {function}"));
    text::line(text, REASON)
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    text::line(text.unwrap_or_else(|| "it panicked".to_owned()), REASON)
}
