//! What a guest is given: the log, the lent message, and the limits of one call.
//!
//! Everything that a guest can make the host keep is counted here: memory and tables (through the engine's limiter), host calls,
//! octets read, log lines. A limit that is passed ends the call with a typed error, never with less than the guest asked for and no
//! word about it; only log lines are dropped and counted, because losing one is harmless.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use super::bindings::mail::PartInfo as GuestPartInfo;
use super::bindings::select::signet::mail::{message, types as mail_types};
use super::bindings::select::signet::plugin::{log, types as plugin_types};
use super::engine::{Engine, TICK};
use super::limits::{Limits, READ, REASON};
use super::text;

/// A message that a selector may look into. Implemented for the parsed message; must not change between calls.
pub trait MessageView: Send + Sync {
    /// Number of MIME leaf parts.
    fn part_count(&self) -> u32;
    /// Describes leaf part `index`.
    fn part_info(&self, index: u32) -> Option<PartInfo>;
    /// What the author wrote in this message, as plain text, cut at `max` characters.
    fn authored_text(&self, max: usize) -> String;
    /// Up to `max` octets of the decoded content of leaf part `index` from `offset` on; empty past its end.
    fn read_part(&self, index: u32, offset: u64, max: usize) -> Vec<u8>;
}

/// What is known of one MIME leaf part without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    /// `type/subtype` in lower case.
    pub media_type: String,
    /// File name, decoded.
    pub name: Option<String>,
    /// Octets of the decoded content.
    pub size: u64,
    /// Whether the part is an attachment.
    pub attachment: bool,
}

/// Type of the lent handle. There is one message a call, so the handle itself carries nothing.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Lent;

impl Lent {
    /// The handle for the message in the store.
    pub(super) fn handle() -> Resource<Self> {
        Resource::new_borrow(0)
    }
}

/// Which limit of the host a guest ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Exceeded {
    #[error("memory limit")]
    Memory,
    #[error("table limit")]
    Table,
    #[error("host calls")]
    Calls,
    #[error("octets read from the message")]
    Reads,
}

/// State of one call. Dropped with its instance.
pub(super) struct Host {
    pub(super) limiter: Limiter,
    pub(super) log: Log,
    message: Option<Arc<dyn MessageView>>,
    calls: u32,
    reads: usize,
}

impl Host {
    fn call(&mut self) -> wasmtime::Result<()> {
        self.calls = self.calls.checked_sub(1).ok_or(Exceeded::Calls)?;
        Ok(())
    }

    /// The message, after accounting for one host call.
    fn view(&mut self) -> wasmtime::Result<Arc<dyn MessageView>> {
        self.call()?;
        self.message.clone().ok_or_else(|| wasmtime::Error::msg("there is no message in this call"))
    }

    fn read(&mut self, octets: usize) -> wasmtime::Result<()> {
        self.reads = self.reads.checked_sub(octets).ok_or(Exceeded::Reads)?;
        Ok(())
    }
}

/// A store for one call with all its limits armed. `memory` is the most that the linear memory may reach.
pub(super) fn store(
    engine: &Engine,
    limits: &Limits,
    memory: usize,
    deadline: Duration,
    message: Option<Arc<dyn MessageView>>,
) -> Store<Host> {
    let host = Host {
        limiter: Limiter::new(memory, limits.table_elements, limits.tables, limits.instances),
        log: Log::new(limits.log_lines),
        message,
        calls: limits.host_calls,
        reads: limits.read_total,
    };
    let mut store = Store::new(engine.wasm(), host);
    store.limiter(|host| &mut host.limiter);
    store.set_hostcall_fuel(limits.hostcall_fuel);
    store.set_max_component_handles(limits.handles);
    arm(&mut store, deadline);
    store
}

/// Sets the deadline of what the store does next.
pub(super) fn arm(store: &mut Store<Host>, deadline: Duration) {
    let mut overtime = Overtime { deadline, since: None, extensions: 0 };
    store.set_epoch_deadline(ticks(deadline) + 1);
    store.epoch_deadline_callback(move |_| Ok(overtime.next(thread_time())));
}

pub(super) fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX).clamp(1, u64::from(u32::MAX))
}

/// What happens when the epoch deadline passes. Epochs count time on the wall, and on a busy machine a thread can lose the processor
/// for longer than a deadline: that is not the plugin's fault and must not cost a signature. So processor time is looked at, but only now:
/// reading it in every call would cost as much as the call.
struct Overtime {
    deadline: Duration,
    since: Option<Duration>,
    extensions: u32,
}

impl Overtime {
    /// However busy the machine is: a call is over after this many deadlines on the wall.
    const EXTENSIONS: u32 = 20;

    fn next(&mut self, used: Option<Duration>) -> UpdateDeadline {
        let Some(used) = used else { return UpdateDeadline::Interrupt };
        let since = *self.since.get_or_insert(used);
        self.extensions += 1;
        if self.extensions > Self::EXTENSIONS || used.saturating_sub(since) >= self.deadline {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Continue(ticks(self.deadline))
        }
    }
}

/// Processor time of this thread, where the kernel tells (its first field, in nanoseconds).
pub(super) fn thread_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Memory and table limits. Passing one ends the call: a guest that is told "no" would only fail later and less clearly.
pub(super) struct Limiter {
    memory: usize,
    elements: usize,
    tables: usize,
    instances: usize,
    reached: usize,
}

impl Limiter {
    /// Limits on octets of memory, elements of a table, tables and core instances.
    pub(super) fn new(memory: usize, elements: usize, tables: usize, instances: usize) -> Self {
        Self { memory, elements, tables, instances, reached: 0 }
    }

    /// Octets that the linear memory reached.
    pub(super) fn reached(&self) -> usize {
        self.reached
    }

    /// Lets the memory grow by `octets` more than was allowed.
    pub(super) fn allow(&mut self, octets: usize) {
        self.memory = self.memory.saturating_add(octets);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.memory || maximum.is_some_and(|maximum| desired > maximum) {
            return Err(Exceeded::Memory.into());
        }
        self.reached = self.reached.max(desired);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Exceeded::Memory.into())
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.elements || maximum.is_some_and(|maximum| desired > maximum) {
            return Err(Exceeded::Table.into());
        }
        Ok(true)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Exceeded::Table.into())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        1
    }
}

/// The first lines that a guest logged, and how many more there were.
pub(super) struct Log {
    lines: Vec<(log::Level, String)>,
    keep: usize,
    dropped: u32,
}

impl Log {
    /// Keeps the first `keep` lines.
    pub(super) fn new(keep: usize) -> Self {
        Self { lines: Vec::new(), keep, dropped: 0 }
    }

    /// Whether further lines are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= self.keep
    }

    /// Hands the lines to the operator's log under the plugin's name.
    pub(super) fn emit(self, plugin: &str) {
        for (level, line) in &self.lines {
            match level {
                log::Level::Debug => tracing::debug!(plugin, line, "plugin log"),
                log::Level::Info | log::Level::Other(_) => tracing::info!(plugin, line, "plugin log"),
                log::Level::Warning => tracing::warn!(plugin, line, "plugin log"),
                log::Level::Error => tracing::error!(plugin, line, "plugin log"),
            }
        }
        if self.dropped > 0 {
            tracing::warn!(plugin, dropped = self.dropped, "plugin log lines dropped");
        }
    }

    pub(super) fn push(&mut self, level: log::Level, line: String) {
        if self.lines.len() < self.keep {
            self.lines.push((level, text::line(line, REASON)));
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}

impl mail_types::Host for Host {}
impl plugin_types::Host for Host {}
impl message::Host for Host {}

impl log::Host for Host {
    fn log(&mut self, level: log::Level, line: String) -> wasmtime::Result<()> {
        self.call()?;
        self.log.push(level, line);
        Ok(())
    }
}

impl message::HostMessage for Host {
    fn part_count(&mut self, _: Resource<Lent>) -> wasmtime::Result<u32> {
        Ok(self.view()?.part_count())
    }

    fn part_info(&mut self, _: Resource<Lent>, index: u32) -> wasmtime::Result<Option<GuestPartInfo>> {
        let info = self.view()?.part_info(index);
        Ok(info.map(|PartInfo { media_type, name, size, attachment }| GuestPartInfo { media_type, name, size, attachment }))
    }

    fn authored_text(&mut self, _: Resource<Lent>, max: u32) -> wasmtime::Result<String> {
        let max = usize::try_from(max).unwrap_or(READ).min(READ);
        let mut text = self.view()?.authored_text(max);
        text.truncate(text.floor_char_boundary(READ));
        self.read(text.len())?;
        Ok(text)
    }

    fn read_part(&mut self, _: Resource<Lent>, index: u32, offset: u64, max: u32) -> wasmtime::Result<Vec<u8>> {
        let max = usize::try_from(max).unwrap_or(READ).min(READ);
        let mut octets = self.view()?.read_part(index, offset, max);
        octets.truncate(max);
        self.read(octets.len())?;
        Ok(octets)
    }

    fn drop(&mut self, _: Resource<Lent>) -> wasmtime::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn continues(update: &UpdateDeadline) -> bool {
        matches!(update, UpdateDeadline::Continue(_))
    }

    #[test]
    fn overtime_is_measured_in_processor_time() {
        let ms = Duration::from_millis;
        let mut overtime = Overtime { deadline: ms(5), since: None, extensions: 0 };
        assert!(continues(&overtime.next(Some(ms(100)))), "the first look only starts the clock");
        assert!(continues(&overtime.next(Some(ms(104)))), "the thread did not have its five milliseconds");
        assert!(!continues(&overtime.next(Some(ms(105)))));
    }

    #[test]
    fn overtime_ends_on_the_wall_too() {
        let mut overtime = Overtime { deadline: Duration::from_millis(5), since: None, extensions: 0 };
        let extended = (0..100).take_while(|_| continues(&overtime.next(Some(Duration::ZERO)))).count();
        assert_eq!(extended, 20);
    }

    #[test]
    fn without_a_processor_clock_the_deadline_is_the_wall() {
        let mut overtime = Overtime { deadline: Duration::from_millis(5), since: None, extensions: 0 };
        assert!(!continues(&overtime.next(None)));
    }
}
