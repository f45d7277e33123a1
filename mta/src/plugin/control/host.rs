//! What a control plugin is given in one call, and the limits of that call.
//!
//! Waiting for the network costs the plugin nothing: its deadline counts processor time of the thread, and where the kernel does not tell
//! that, time on the wall without the waits.

use std::time::{Duration, Instant};

use wasmtime::{Store, UpdateDeadline};

use super::{Broken, ControlLimits, Outside};
use crate::control::words;
use crate::plugin::bindings::control::signet::control::{clock, http, state};
use crate::plugin::bindings::select::signet::plugin::log;
use crate::plugin::engine::Engine;
use crate::plugin::host::{Exceeded, Limiter, Log, thread_time, ticks};
use crate::plugin::limits::REASON;
use crate::plugin::text;

/// Tables of one instance: its own and the encoder's shim's.
const TABLES: usize = 4;
/// Core instances of one component: the plugin and the encoder's two shims.
const INSTANCES: usize = 8;
/// Resource handles: the world has none.
const HANDLES: usize = 1;
/// However busy the machine is: a call is over after it had this many deadlines on the wall, waits not counted.
const PATIENCE: u32 = 20;
/// Header fields of one request: a plugin sets a handful.
const HEADERS: usize = 64;

/// State of one call. Dropped with its instance.
pub(in crate::plugin) struct ControlHost {
    limiter: Limiter,
    pub(super) log: Log,
    outside: Box<dyn Outside>,
    calls: u32,
    /// How long the host has waited for others.
    waited: Duration,
}

impl ControlHost {
    /// Accounts for one host call and makes it.
    fn outside<R>(&mut self, call: impl FnOnce(&mut dyn Outside) -> R) -> wasmtime::Result<R> {
        self.calls = self.calls.checked_sub(1).ok_or(Exceeded::Calls)?;
        let start = Instant::now();
        let answer = call(&mut *self.outside);
        self.waited += start.elapsed();
        Ok(answer)
    }
}

/// A store for one call with all its limits armed.
pub(super) fn store(engine: &Engine, limits: &ControlLimits, outside: Box<dyn Outside>) -> Store<ControlHost> {
    let host = ControlHost {
        limiter: Limiter::new(limits.memory, limits.table_elements, TABLES, INSTANCES),
        log: Log::new(limits.log_lines),
        outside,
        calls: limits.host_calls,
        waited: Duration::ZERO,
    };
    let mut store = Store::new(engine.wasm(), host);
    store.limiter(|host| &mut host.limiter);
    store.set_hostcall_fuel(limits.hostcall_fuel);
    store.set_max_component_handles(HANDLES);
    let work = Work { deadline: limits.deadline, start: Instant::now(), processor: thread_time() };
    store.set_epoch_deadline(ticks(limits.deadline) + 1);
    store.epoch_deadline_callback(move |context| {
        let processor = thread_time().zip(work.processor).map(|(now, then)| now.saturating_sub(then));
        Ok(work.next(processor, work.start.elapsed().saturating_sub(context.data().waited)))
    });
    store
}

/// The plugin's own time in this call.
struct Work {
    deadline: Duration,
    start: Instant,
    processor: Option<Duration>,
}

impl Work {
    /// What happens when an epoch deadline passes: `processor` is the thread's time in this call, `wall` the time without waits.
    fn next(&self, processor: Option<Duration>, wall: Duration) -> UpdateDeadline {
        let left = self.deadline.checked_sub(processor.unwrap_or(wall)).filter(|left| !left.is_zero());
        match left {
            Some(left) if wall < self.deadline * PATIENCE => UpdateDeadline::Continue(ticks(left)),
            _ => UpdateDeadline::Interrupt,
        }
    }
}

impl log::Host for ControlHost {
    fn log(&mut self, level: log::Level, line: String) -> wasmtime::Result<()> {
        let line = text::line(line, REASON);
        let word = match level {
            log::Level::Debug => "debug",
            log::Level::Info | log::Level::Other(_) => "info",
            log::Level::Warning => "warning",
            log::Level::Error => "error",
        };
        if !self.log.is_full() {
            self.outside(|outside| outside.log(word, &line))?;
        } else {
            self.outside(|_| ())?;
        }
        self.log.push(level, line);
        Ok(())
    }
}

impl http::Host for ControlHost {
    fn send(&mut self, request: http::Request) -> wasmtime::Result<Result<http::Response, http::HttpError>> {
        let http::Request { method, url, headers, body, credential } = request;
        if headers.len() > HEADERS {
            self.outside(|_| ())?;
            return Ok(Err(http::HttpError::Denied(format!("{} header fields; at most {HEADERS} are sent", headers.len()))));
        }
        let request = words::Request { method, url, headers, body, credential };
        let answer = self.outside(|outside| outside.send(request))?;
        Ok(answer.map(|words::Response { status, headers, body }| http::Response { status, headers, body }).map_err(http::HttpError::from))
    }
}

impl From<words::HttpError> for http::HttpError {
    fn from(error: words::HttpError) -> Self {
        match error {
            words::HttpError::Denied(text) => Self::Denied(text),
            words::HttpError::Unreachable(text) => Self::Unreachable(text),
            words::HttpError::TimedOut => Self::TimedOut,
            words::HttpError::TooLarge(octets) => Self::TooLarge(octets),
            words::HttpError::Exhausted(requests) => Self::Exhausted(requests),
            words::HttpError::NoCredential(text) => Self::NoCredential(text),
            words::HttpError::Other(text) => Self::Other(text),
        }
    }
}

impl state::Host for ControlHost {
    fn read(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.outside(|outside| outside.read(&key))?.map_err(broken)
    }

    fn write(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), String>> {
        self.outside(|outside| outside.write(&key, value))?.map_err(broken)
    }

    fn remove(&mut self, key: String) -> wasmtime::Result<()> {
        self.outside(|outside| outside.remove(&key))?.map_err(broken)
    }

    fn keys(&mut self, prefix: String) -> wasmtime::Result<Vec<String>> {
        self.outside(|outside| outside.keys(&prefix))?.map_err(broken)
    }
}

impl clock::Host for ControlHost {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.outside(|outside| outside.now())
    }
}

fn broken(error: Broken) -> wasmtime::Error {
    wasmtime::Error::new(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_not_work() {
        let ms = Duration::from_millis;
        let work = Work { deadline: ms(100), start: Instant::now(), processor: None };
        for (processor, wall, continues) in [
            (Some(ms(0)), ms(0), true),
            (Some(ms(99)), ms(1900), true),
            (Some(ms(100)), ms(100), false),
            (Some(ms(1)), ms(2000), false),
            (None, ms(99), true),
            (None, ms(100), false),
        ] {
            let found = matches!(work.next(processor, wall), UpdateDeadline::Continue(_));
            assert_eq!(found, continues, "{processor:?} {wall:?}");
        }
    }
}
