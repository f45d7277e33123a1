//! Control plugins: one call about a tenant in, a checked answer in the product's own words out.
//!
//! A controller waits for the network, so its calls have an engine of their own and never take an instance from the mail path. It keeps
//! nothing but what it writes through [`Outside`], which is all that it can reach; there is nothing to configure and so no snapshot. Calls
//! are synchronous: they belong on threads that may block. What the network and the storage are is the caller's business.

mod answer;
mod convert;
mod host;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker};

use super::admission::{self, CONTROLLER};
use super::bindings::control::exports::signet::control::controller as guest;
use super::bindings::control::{ControllerPlugin, ControllerPluginPre};
use super::call::{classify, panic_text};
use super::describe::describe;
use super::engine::{Engine, EngineSettings};
use super::fault::{Description, Fault, LoadError};
use crate::control::words::{Answer, Call, Connection, HttpError, Problem, Request, Response};
use host::{ControlHost, store};

/// Calls of control plugins that run at once. A tenant needs one for its synchronisation and one for an administrator who is looking; the
/// others wait their turn.
pub const CALLS: u32 = 8;

/// What a control plugin may use in one call. Every field is a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlLimits {
    /// Octets of linear memory. An answer of 8 MiB, parsed, with the page made from it.
    pub memory: usize,
    /// Processor time, without what the host waits for.
    pub deadline: Duration,
    /// Elements of one table.
    pub table_elements: usize,
    /// Octets that the host copies out of the guest in one host call or for one answer: the whole state in one value fits.
    pub hostcall_fuel: usize,
    /// Host calls of one call.
    pub host_calls: u32,
    /// Log lines kept of one call.
    pub log_lines: usize,
}

impl Default for ControlLimits {
    fn default() -> Self {
        Self {
            memory: 128 << 20,
            deadline: Duration::from_secs(10),
            table_elements: 20_000,
            hostcall_fuel: 32 << 20,
            host_calls: 10_000,
            log_lines: 64,
        }
    }
}

impl ControlLimits {
    /// An engine for control plugins of these limits.
    pub fn engine(&self) -> EngineSettings {
        // Nothing stays mapped between calls: they are rare, and what they leave is megabytes.
        EngineSettings { instances: CALLS, memory: self.memory, keep_resident: 0 }
    }
}

/// The host could not do what it must be able to: the call ends, and the plugin is not to blame.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// All that one call can reach. Implemented over the network and the store, over a recording, and by tests.
pub trait Outside: Send {
    /// Sends one request and waits for its answer.
    fn send(&mut self, request: Request) -> Result<Response, HttpError>;
    /// The value under that key.
    fn read(&mut self, key: &str) -> Result<Option<Vec<u8>>, Broken>;
    /// Keeps a value; the inner error tells the plugin what was too large.
    fn write(&mut self, key: &str, value: Vec<u8>) -> Result<Result<(), String>, Broken>;
    /// Forgets a key.
    fn remove(&mut self, key: &str) -> Result<(), Broken>;
    /// The keys that begin with `prefix`, ascending.
    fn keys(&mut self, prefix: &str) -> Result<Vec<String>, Broken>;
    /// Milliseconds since 1970-01-01T00:00:00Z, the same for the whole call.
    fn now(&mut self) -> u64;
    /// Hears a line of the plugin's log, cleaned, beside the operator's log.
    fn log(&mut self, _level: &'static str, _line: &str) {}
}

/// The plugin gets one handle and the caller keeps another, to see afterwards what was written.
impl<T: Outside> Outside for Arc<Mutex<T>> {
    fn send(&mut self, request: Request) -> Result<Response, HttpError> {
        self.lock().unwrap_or_else(PoisonError::into_inner).send(request)
    }
    fn read(&mut self, key: &str) -> Result<Option<Vec<u8>>, Broken> {
        self.lock().unwrap_or_else(PoisonError::into_inner).read(key)
    }
    fn write(&mut self, key: &str, value: Vec<u8>) -> Result<Result<(), String>, Broken> {
        self.lock().unwrap_or_else(PoisonError::into_inner).write(key, value)
    }
    fn remove(&mut self, key: &str) -> Result<(), Broken> {
        self.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }
    fn keys(&mut self, prefix: &str) -> Result<Vec<String>, Broken> {
        self.lock().unwrap_or_else(PoisonError::into_inner).keys(prefix)
    }
    fn now(&mut self) -> u64 {
        self.lock().unwrap_or_else(PoisonError::into_inner).now()
    }
    fn log(&mut self, level: &'static str, line: &str) {
        self.lock().unwrap_or_else(PoisonError::into_inner).log(level, line);
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// The plugin says what is wrong, and what to do.
    #[error("{0}")]
    Problem(Problem),
    /// The plugin misbehaved, or the host could not make the call.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A loaded control plugin. Calls may run at the same time; each has its own instance.
pub struct Controller {
    engine: Engine,
    pre: ControllerPluginPre<ControlHost>,
    limits: ControlLimits,
    description: Description,
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller").field("description", &self.description).finish_non_exhaustive()
    }
}

impl Controller {
    /// Admits and compiles a control plugin. `engine` is made from [`ControlLimits::engine`], not the mail path's. Takes about a second.
    pub fn load(engine: &Engine, wasm: &[u8], limits: &ControlLimits) -> Result<Self, LoadError> {
        admission::admit(wasm, CONTROLLER)?;
        let mut compiled = engine.one_at_a_time();
        let component = compiled.get_or_compile(&admission::sha256(wasm), || Component::new(engine.wasm(), wasm));
        let component = component.map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        drop(compiled);
        let mut linker = Linker::new(engine.wasm());
        ControllerPlugin::add_to_linker::<_, HasSelf<ControlHost>>(&mut linker, |host| host)
            .map_err(|error| LoadError::Host(format!("{error:#}")))?;
        let pre = linker.instantiate_pre(&component).and_then(ControllerPluginPre::new);
        let pre = pre.map_err(|error| LoadError::Interface(format!("{error:#}")))?;
        let mut controller = Self { engine: engine.clone(), pre, limits: limits.clone(), description: Description::default() };
        controller.description = describe(controller.describe()?)?;
        Ok(controller)
    }

    /// Who the plugin is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Asks the plugin, in a fresh instance. Blocks while it works and waits.
    pub fn call(&self, connection: &Connection, call: &Call, outside: Box<dyn Outside>) -> Result<Answer, Failed> {
        self.run(outside, |store, plugin| {
            let asked = guest::Connection::from(connection);
            let controller = plugin.signet_control_controller();
            let answer = convert::ask(controller, &mut *store, &asked, call).map_err(|error| classify(&error))?;
            let answer = answer.map_err(|problem| Failed::Problem(answer::problem(problem)))?;
            answer::check(answer, call).map_err(|detail| Failed::Fault(Fault::BadOutput(detail)))
        })
    }

    fn describe(&self) -> Result<Description, LoadError> {
        let outcome = self.run(Box::new(Nothing), |store, plugin| {
            let answer = plugin.signet_plugin_describe().call_describe(&mut *store);
            Ok(answer.map_err(|error| classify(&error))?.into())
        });
        outcome.map_err(|failed| match failed {
            Failed::Fault(fault) => LoadError::Call { call: "describe", fault },
            Failed::Problem(problem) => LoadError::Answer { call: "describe", detail: problem.to_string() },
        })
    }

    /// Whatever happens inside, a panic of the host included, ends as a [`Fault`].
    fn run<R>(
        &self,
        outside: Box<dyn Outside>,
        ask: impl FnOnce(&mut Store<ControlHost>, &ControllerPlugin) -> Result<R, Failed>,
    ) -> Result<R, Failed> {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut store = store(&self.engine, &self.limits, outside);
            let instance = self.pre.instantiate(&mut store).map_err(|error| Failed::from(classify(&error)));
            let outcome = instance.and_then(|plugin| ask(&mut store, &plugin));
            store.into_data().log.emit(&self.description.name);
            outcome
        }));
        outcome.unwrap_or_else(|panic: Box<dyn Any + Send>| Err(Fault::Host(panic_text(&*panic)).into()))
    }
}

/// Surroundings in which there is nothing, for `describe`.
struct Nothing;

impl Outside for Nothing {
    fn send(&mut self, _: Request) -> Result<Response, HttpError> {
        Err(HttpError::Denied("describe may not send".to_owned()))
    }
    fn read(&mut self, _: &str) -> Result<Option<Vec<u8>>, Broken> {
        Ok(None)
    }
    fn write(&mut self, _: &str, _: Vec<u8>) -> Result<Result<(), String>, Broken> {
        Ok(Err("describe may not write".to_owned()))
    }
    fn remove(&mut self, _: &str) -> Result<(), Broken> {
        Ok(())
    }
    fn keys(&mut self, _: &str) -> Result<Vec<String>, Broken> {
        Ok(Vec::new())
    }
    fn now(&mut self) -> u64 {
        0
    }
}
