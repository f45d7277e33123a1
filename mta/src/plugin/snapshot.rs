//! From a component file to something that can be called in microseconds: admit, compile, configure once, snapshot, compile again.
//!
//! `configure` fills the guest's memory with its parsed rules or templates. That memory becomes the initial memory of a rewritten
//! component (Wizer), so every later instance starts configured, copy-on-write, whatever the number of rules. All of this takes about a
//! second and belongs off the mail path. Tables are not part of a snapshot; admission refuses components that write to them.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre, Lift, Linker, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::admission::{self, World};
use super::call::{classify, panic_text};
use super::engine::Engine;
use super::fault::LoadError;
use super::host::{self, Host};
use super::limits::Limits;

/// Memory that reading the snapshot takes on top: one page in which the accessor returns a pointer and a length.
const ACCESSOR: usize = 64 << 10;

/// A configured plugin, ready to be instantiated.
pub(super) struct Prepared<T> {
    pub(super) pre: InstancePre<Host>,
    /// Octets of linear memory that every instance starts with.
    pub(super) memory: usize,
    /// What `configure` answered.
    pub(super) answer: T,
}

/// Makes the interfaces of a world available to its plugins.
pub(super) type Link = fn(&mut Linker<Host>) -> wasmtime::Result<()>;

/// Admits and compiles the component, has `configure` called on it, and snapshots what that left behind.
pub(super) fn prepare<T>(
    engine: &Engine,
    wasm: &[u8],
    (world, link): (World, Link),
    limits: &Limits,
    configure: impl FnOnce(&mut Store<Host>, &Instance) -> Result<T, LoadError>,
) -> Result<Prepared<T>, LoadError> {
    admission::admit(wasm, world)?;
    let mut compiled = engine.one_at_a_time();
    // The rewriter asserts its invariants; one that does not hold must not take the process along.
    catch_unwind(AssertUnwindSafe(|| {
        let mut linker = Linker::new(engine.wasm());
        link(&mut linker).map_err(|error| LoadError::Host(format!("{error:#}")))?;
        let mut wizer = Wizer::new();
        wizer.keep_init_func(true);
        let (context, instrumented) = wizer.instrument_component(wasm).map_err(snapshot_error)?;
        let component = compiled.get_or_compile(&admission::sha256(wasm), || Component::new(engine.wasm(), &instrumented));
        let component = component.map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        let pre = linker.instantiate_pre(&component).map_err(|error| LoadError::Interface(format!("{error:#}")))?;

        let mut store = host::store(engine, limits, limits.configure_memory, limits.configure_deadline, None);
        let configured = run(&mut store, &pre, configure);
        let snapshot = configured.and_then(|(instance, answer)| {
            let memory = store.data().limiter.reached();
            let wasm = read(&mut store, instance, |state| ready(wizer.snapshot_component(&context, state)), memory, limits)?;
            Ok((wasm, memory, answer))
        });
        store.into_data().log.emit(world.name);

        let (wasm, memory, answer) = snapshot?;
        let component = Component::new(engine.wasm(), &wasm).map_err(snapshot_error)?;
        // Otherwise the first message would pay for it.
        component.initialize_copy_on_write_image().map_err(snapshot_error)?;
        let pre = linker.instantiate_pre(&component).map_err(snapshot_error)?;
        Ok(Prepared { pre, memory, answer })
    }))
    .unwrap_or_else(|panic| Err(LoadError::Host(panic_text(&*panic))))
}

fn snapshot_error(error: wasmtime::Error) -> LoadError {
    LoadError::Snapshot(format!("{error:#}"))
}

fn run<T>(
    store: &mut Store<Host>,
    pre: &InstancePre<Host>,
    configure: impl FnOnce(&mut Store<Host>, &Instance) -> Result<T, LoadError>,
) -> Result<(Instance, T), LoadError> {
    let instance = pre.instantiate(&mut *store);
    let instance = instance.map_err(|error| LoadError::Call { call: "the start function", fault: classify(&error) })?;
    let answer = configure(store, &instance)?;
    Ok((instance, answer))
}

/// The rewritten component with the `memory` octets that the instance has now.
fn read(
    store: &mut Store<Host>,
    instance: Instance,
    rewrite: impl FnOnce(&mut State<'_>) -> Option<wasmtime::Result<Vec<u8>>>,
    memory: usize,
    limits: &Limits,
) -> Result<Vec<u8>, LoadError> {
    // Reading the whole memory is our doing, not the guest's, and time for it is not taken from the guest's.
    store.data_mut().limiter.allow(ACCESSOR);
    store.set_hostcall_fuel(memory.saturating_add(ACCESSOR));
    host::arm(store, limits.configure_deadline);
    let mut state = State { store, instance, memories: HashMap::new(), error: None };
    let rewritten = rewrite(&mut state);
    match (state.error, rewritten) {
        (Some(error), _) => Err(snapshot_error(error)),
        (None, Some(rewritten)) => rewritten.map_err(snapshot_error),
        (None, None) => Err(LoadError::Host("reading the snapshot did not finish at once".to_owned())),
    }
}

/// The output of a future that never waits: the rewriter's interface is asynchronous, our calls are not.
fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Reads memories and globals of a configured instance through the accessor functions that the rewriter added. Its interface has no
/// errors, so the first one is kept and the rest is answered with nothing.
struct State<'a> {
    store: &'a mut Store<Host>,
    instance: Instance,
    /// The rewriter reads every memory twice; each reading would grow it.
    memories: HashMap<String, Vec<u8>>,
    error: Option<wasmtime::Error>,
}

impl State<'_> {
    fn call<R: Lift + Send + Sync + 'static, U>(
        &mut self,
        instance: &str,
        func: &str,
        used: impl FnOnce(&mut Store<Host>, R) -> U,
    ) -> wasmtime::Result<U> {
        let missing = || wasmtime::Error::msg(format!("the accessor `{instance}#{func}` is missing"));
        let instance_export = self.instance.get_export_index(&mut *self.store, None, instance).ok_or_else(missing)?;
        let export = self.instance.get_export_index(&mut *self.store, Some(&instance_export), func).ok_or_else(missing)?;
        let func = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, export)?;
        let (value,) = func.call(&mut *self.store, ())?;
        Ok(used(self.store, value))
    }

    fn scalar<R: Lift + Copy + Default + Send + Sync + 'static>(&mut self, instance: &str, func: &str) -> R {
        match self.call(instance, func, |_, value: R| value) {
            Ok(value) => value,
            Err(error) => {
                self.error.get_or_insert(error);
                R::default()
            }
        }
    }
}

impl ComponentInstanceState for State<'_> {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        if !self.memories.contains_key(func) {
            let memory = self.call(instance, func, |store, list: WasmList<u8>| list.as_le_slice(&*store).to_vec());
            let memory = memory.unwrap_or_else(|error| {
                self.error.get_or_insert(error);
                Vec::new()
            });
            self.memories.insert(func.to_owned(), memory);
        }
        contents(self.memories.get(func).map_or(&[], Vec::as_slice));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.scalar(instance, func)
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.scalar(instance, func)
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.scalar::<f32>(instance, func).to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.scalar::<f64>(instance, func).to_bits()
    }
}
