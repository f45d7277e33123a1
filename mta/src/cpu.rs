//! Where processor-bound work runs: plugin calls and RSA, off the threads that serve sockets.
//!
//! One permit a core: more would only make the jobs wait for each other inside, where their deadlines already run. Callers wait in
//! arrival order; their number is bounded by the number of connections.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::Semaphore;

/// Why a job has no result.
#[derive(Debug, Error)]
pub(crate) enum CpuError {
    /// The job panicked; the message names where.
    #[error("a processing job ended in a panic: {0}")]
    Panicked(String),
    /// The process is stopping.
    #[error("the processing threads have stopped")]
    Stopped,
}

/// The pool of processing threads.
#[derive(Clone, Debug)]
pub(crate) struct Cpu {
    permits: Arc<Semaphore>,
}

impl Cpu {
    /// A pool that runs at most `workers` jobs at once.
    pub(crate) fn new(workers: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(workers.max(1))) }
    }

    /// Runs `job` on a processing thread.
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, CpuError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| CpuError::Stopped)?;
        let done = tokio::task::spawn_blocking(move || {
            let result = job();
            drop(permit);
            result
        });
        done.await.map_err(|error| if error.is_panic() { CpuError::Panicked(error.to_string()) } else { CpuError::Stopped })
    }
}

#[cfg(test)]
mod tests {
    use super::{Cpu, CpuError};

    #[tokio::test]
    async fn a_panicking_job_is_an_error_and_the_next_job_runs() {
        let cpu = Cpu::new(1);
        let failed = cpu.run(|| if true { panic!("on purpose") }).await;
        assert!(matches!(failed, Err(CpuError::Panicked(_))));
        assert_eq!(cpu.run(|| 7).await.expect("the pool goes on"), 7);
    }
}
