//! Where processor-bound work runs: plugin calls and RSA, off the threads that serve sockets.
//!
//! One thread a core: more would only make the jobs wait for each other inside, where their deadlines already run. Callers wait in
//! arrival order; their number is bounded by the number of connections.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::oneshot;

/// Why a job has no result.
#[derive(Debug, Error)]
pub(crate) enum CpuError {
    /// The job panicked, and with what.
    #[error("a processing job ended in a panic: {0}")]
    Panicked(String),
    /// The process is stopping.
    #[error("the processing threads have stopped")]
    Stopped,
}

/// The pool of processing threads.
#[derive(Clone)]
pub(crate) struct Cpu {
    queue: Arc<Mutex<Queue>>,
}

type Job = Box<dyn FnOnce() + Send>;

struct Queue {
    waiting: VecDeque<Job>,
    running: usize,
    workers: usize,
}

impl Cpu {
    /// A pool that runs at most `workers` jobs at once.
    pub(crate) fn new(workers: usize) -> Self {
        Self { queue: Arc::new(Mutex::new(Queue { waiting: VecDeque::new(), running: 0, workers: workers.max(1) })) }
    }

    /// Runs `job` on a processing thread.
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, CpuError> {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move || {
            // Whoever asked may have gone away.
            sender.send(catch_unwind(AssertUnwindSafe(job))).ok();
        });
        if self.enqueue(job) {
            let queue = Arc::clone(&self.queue);
            tokio::task::spawn_blocking(move || work(&queue));
        }
        match receiver.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => Err(CpuError::Panicked(text(&*panic))),
            Err(_) => Err(CpuError::Stopped),
        }
    }

    /// Whether another thread is wanted.
    fn enqueue(&self, job: Job) -> bool {
        let mut queue = lock(&self.queue);
        queue.waiting.push_back(job);
        let more = queue.running < queue.workers;
        queue.running += usize::from(more);
        more
    }
}

/// Takes one job after the other until none is waiting: on a busy host the thread never sleeps between them, and nobody has to wake it.
fn work(queue: &Mutex<Queue>) {
    while let Some(job) = next(queue) {
        job();
    }
}

fn next(queue: &Mutex<Queue>) -> Option<Job> {
    let mut queue = lock(queue);
    let job = queue.waiting.pop_front();
    // Under the same lock as the look at the queue, so that no job is left behind without a thread.
    queue.running -= usize::from(job.is_none());
    job
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // No job runs under the lock, so a panic leaves nothing half done.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a word".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Cpu, CpuError};

    #[tokio::test]
    async fn a_panicking_job_is_an_error_and_the_next_job_runs() {
        let cpu = Cpu::new(1);
        let failed = cpu
            .run(|| {
                if true {
                    panic!("on purpose")
                }
            })
            .await;
        assert!(matches!(failed, Err(CpuError::Panicked(_))));
        assert_eq!(cpu.run(|| 7).await.expect("the pool goes on"), 7);
    }

    #[tokio::test]
    async fn no_more_jobs_run_at_once_than_there_are_workers_and_none_is_left_behind() {
        let cpu = Cpu::new(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs: Vec<_> = (0..100)
            .map(|number| {
                let (cpu, running, most) = (cpu.clone(), Arc::clone(&running), Arc::clone(&most));
                tokio::spawn(async move {
                    let job = move || {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        number
                    };
                    cpu.run(job).await.expect("it runs")
                })
            })
            .collect();
        for (number, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.await.expect("no panic"), number);
        }
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn a_job_runs_to_its_end_although_nobody_waits_for_it() {
        let cpu = Cpu::new(1);
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut asked = Box::pin(cpu.run(move || sender.send(()).is_ok()));
        // It may be done at once: then there is nothing to abandon.
        drop(poll_once(&mut asked));
        drop(asked);
        assert!(tokio::task::spawn_blocking(move || receiver.recv()).await.expect("no panic").is_ok());
        assert_eq!(cpu.run(|| 7).await.expect("the pool goes on"), 7);
    }

    /// Polls once: the job is queued, nobody waits.
    fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
