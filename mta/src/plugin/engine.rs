//! The one WebAssembly engine of the mail path: every setting with its reason, the instance pool, the epoch ticker.
//!
//! Component model without WASI, async, threads, GC, exceptions or 64-bit memories: nearly every advisory of the past year
//! concerns one of those. Calls are synchronous and belong on processor-bound threads with at least 2 MiB of stack. This module
//! knows nothing about what plugins do; `host` has the per-call limits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;
use wasmtime::component::Component;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy};

/// Length of one epoch. Deadlines are a few milliseconds, so a coarser tick would miss them and a finer one would only burn power.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// Native stack that guest frames may use. An overflow of the native stack itself would abort the process, so this stays far
/// below the 2 MiB of a worker thread.
pub(super) const WASM_STACK: usize = 256 << 10;
/// Core instances a component is made of: the plugin and the encoder's two shims, and one more while it is snapshotted.
const CORE_INSTANCES: u32 = 8;
/// Tables of one component: the plugin's own and a shim's.
const TABLES: u32 = 4;

/// How many calls can run at once and what memory they may occupy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// Instances alive at once. Four a processor thread keep a warm slot for the selector and the renderer of a few tenants.
    pub instances: u32,
    /// Largest linear memory of any instance, in octets; at least [`Limits::configure_memory`](super::Limits) plus
    /// [`Limits::memory`](super::Limits).
    pub memory: usize,
    /// Octets of a slot's memory that stay mapped between calls and are reset by copying instead of by the kernel.
    pub keep_resident: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            instances: u32::try_from(threads).unwrap_or(u32::MAX).saturating_mul(4).clamp(8, 1024),
            memory: 96 << 20,
            // More than one call writes, so that a reset needs no page faults: 19 against 52 us a call.
            keep_resident: 2 << 20,
        }
    }
}

/// Why the engine cannot start.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The settings or the machine do not allow it.
    #[error(
        "the WebAssembly engine does not start with {instances} instances of {memory} octets: {reason}; allow more address space or set fewer instances"
    )]
    Start {
        /// Instances asked for.
        instances: u32,
        /// Memory of each.
        memory: usize,
        /// What the engine says.
        reason: String,
    },
    /// The ticker thread does not start.
    #[error("the epoch ticker thread does not start: {0}; allow the process one more thread")]
    Ticker(#[from] std::io::Error),
}

/// The engine. Cheap to clone; the ticker ends with the last clone.
#[derive(Clone)]
pub struct Engine {
    wasm: wasmtime::Engine,
    compiled: Arc<Mutex<Compiled>>,
    _ticker: Arc<Ticker>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Reserves the address space of the pool and starts the ticker.
    pub fn new(settings: &EngineSettings) -> Result<Self, EngineError> {
        let start = |reason: wasmtime::Error| EngineError::Start {
            instances: settings.instances,
            memory: settings.memory,
            reason: format!("{reason:#}"),
        };
        let wasm = wasmtime::Engine::new(&config(settings)).map_err(start)?;
        let ticker = Ticker::start(&wasm)?;
        Ok(Self { wasm, compiled: Arc::default(), _ticker: Arc::new(ticker) })
    }

    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// Plugins are loaded one after the other: a race in the type registry between concurrent loads was an advisory once.
    pub(super) fn one_at_a_time(&self) -> MutexGuard<'_, Compiled> {
        // Entries are added whole, so a panic while it was held leaves nothing half done.
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Components compiled for configuring, by the digest of their file: tenants share the default plugins, and a reload has the same ones
/// again with other files.
#[derive(Default)]
pub(super) struct Compiled(VecDeque<(String, Component)>);

impl Compiled {
    /// The default plugins and a few of customers; each is some megabytes of code.
    const KEPT: usize = 8;

    /// The component of that digest, compiled now if it is not here yet.
    pub(super) fn get_or_compile<E>(&mut self, sha256: &str, compile: impl FnOnce() -> Result<Component, E>) -> Result<Component, E> {
        if let Some((_, component)) = self.0.iter().find(|(known, _)| known == sha256) {
            return Ok(component.clone());
        }
        let component = compile()?;
        self.0.push_back((sha256.to_owned(), component.clone()));
        if self.0.len() > Self::KEPT {
            self.0.pop_front();
        }
        Ok(component)
    }
}

fn config(settings: &EngineSettings) -> Config {
    let mut config = Config::new();
    // The other compiler lacks epochs and had a third of one month's advisories.
    config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::Speed);
    // Replays compare octets: NaN bits must not depend on the processor.
    config.cranelift_nan_canonicalization(true).relaxed_simd_deterministic(true);
    features(&mut config);
    // Deadlines. Fuel would be deterministic and slower; replays use it elsewhere.
    config.epoch_interruption(true).consume_fuel(false);
    config.max_wasm_stack(WASM_STACK);
    // Fresh instances in microseconds: memory is mapped copy-on-write from the snapshot, functions enter tables when first called,
    // and guard pages replace bounds checks. The image must be mapped whatever its density, or every call would copy it.
    config.memory_init_cow(true).memory_guaranteed_dense_image_size(settings.memory as u64);
    config.table_lazy_init(true).guard_before_linear_memory(true);
    // Unwinding through guest frames is the engine's own; registering each plugin with the platform is quadratic on some.
    config.native_unwind_info(false);
    // Enough frames to find the function; walking more is time that a trap storm would use.
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(20));
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings)));
    config
}

/// Core features: what current compilers emit for Rust, C and Zig, and nothing else.
fn features(config: &mut Config) {
    config.wasm_reference_types(true).wasm_bulk_memory(true).wasm_multi_value(true).wasm_extended_const(true);
    // Vector instructions had two miscompilations in 2026, and text work needs none.
    config.wasm_simd(false).wasm_relaxed_simd(false);
    // Typed references, GC and exceptions were seven of 36 advisories; tail calls crashed backtraces.
    config.wasm_function_references(false).wasm_gc(false).gc_support(false).wasm_exceptions(false).wasm_tail_call(false);
    // No guest needs them, and each is a way out of the limits below.
    config.wasm_multi_memory(false).wasm_memory64(false).wasm_custom_page_sizes(false).wasm_wide_arithmetic(false);
    config.wasm_stack_switching(false).shared_memory(false);
}

fn pool(settings: &EngineSettings) -> PoolingAllocationConfig {
    let instances = settings.instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances).total_memories(instances);
    pool.total_core_instances(instances.saturating_mul(CORE_INSTANCES)).total_tables(instances.saturating_mul(TABLES));
    pool.max_core_instances_per_component(CORE_INSTANCES).max_memories_per_component(1).max_tables_per_component(TABLES);
    pool.max_component_instance_size(1 << 20).max_core_instance_size(1 << 20);
    pool.table_elements(20_000).max_memory_size(settings.memory);
    // A plugin that stays hot keeps its mapped slot.
    pool.max_unused_warm_slots(instances);
    pool.linear_memory_keep_resident(settings.keep_resident).table_keep_resident(160 << 10);
    pool.pagemap_scan(if swap_is_off() { Enabled::Auto } else { Enabled::No });
    pool
}

/// Resetting only the pages that the kernel reports as written is the fastest way, but a page that was swapped out may be missed
/// and keep what the last guest wrote. So it is used only where nothing is ever swapped out; unreadable means unknown means no.
fn swap_is_off() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() <= 1)
}

/// Advances the epoch. Holds the engine weakly, so that it never keeps compiled code alive.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: &wasmtime::Engine) -> Result<Self, std::io::Error> {
        let weak = engine.weak();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("plugin-epoch".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::park_timeout(TICK);
                let Some(engine) = weak.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A ticker that panicked has nothing left to do either.
            drop(thread.join());
        }
    }
}
