//! What is known of one tenant's synchronisation while the process lives.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::now;
use crate::control::report::{Synchronised, Trouble};
use crate::control::words::Progress;
use crate::signature::Asset;

/// Lines that are kept of a round; a page has at most as many.
const NOTES: usize = 100;

/// Pictures by the id of the person.
pub(super) type Photos = HashMap<String, Arc<Asset>>;

/// One tenant.
pub(super) struct Seat {
    pub(super) tenant: String,
    /// Whether pictures are read.
    pub(super) photos: AtomicBool,
    /// A round is wanted now.
    pub(super) wake: Notify,
    /// Held while the layer in use is changed or read.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Whether the directory in use is older than the layer in use.
    pub(super) stale: AtomicBool,
    /// Pictures that were read; none before they were looked up in the store.
    pub(super) pictures: Mutex<Option<Arc<Photos>>>,
    /// What is to be said about the directory in use.
    pub(super) standing: Mutex<Vec<String>>,
    /// Set when the tenant is forgotten: what is under way must not put anything in use then.
    pub(super) stopped: Arc<Mutex<bool>>,
    report: Mutex<Synchronised>,
    pace: Mutex<Option<Pace>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// How fast a round goes.
#[derive(Clone, Copy)]
struct Pace {
    since: Instant,
    /// Objects that were read before.
    first: u64,
}

impl Seat {
    pub(super) fn new(tenant: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            photos: AtomicBool::new(false),
            wake: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            stale: AtomicBool::new(false),
            pictures: Mutex::new(None),
            standing: Mutex::default(),
            stopped: Arc::default(),
            report: Mutex::new(Synchronised::default()),
            pace: Mutex::new(None),
            task: Mutex::new(None),
        }
    }

    /// Starts the task unless it runs.
    pub(super) fn start(&self, task: impl FnOnce() -> JoinHandle<()>) {
        let mut running = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_some_and(|task| !task.is_finished()) {
            self.wake.notify_one();
        } else {
            *running = Some(task());
        }
    }

    /// Ends the task where it waits next.
    pub(super) fn abort(&self) -> Option<JoinHandle<()>> {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        task.inspect(JoinHandle::abort)
    }

    pub(super) fn edit(&self) -> MutexGuard<'_, Synchronised> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The report, with the time that is left at the pace so far.
    pub(super) fn report(&self) -> Synchronised {
        let mut report = self.edit().clone();
        let pace = *self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        report.seconds_left = report.progress.as_ref().zip(pace).and_then(|(progress, pace)| pace.left(progress));
        report
    }

    pub(super) fn begun(&self) {
        let mut report = self.edit();
        (report.running, report.progress, report.next) = (true, None, None);
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Some(Pace { since: Instant::now(), first: 0 });
    }

    /// A page came.
    pub(super) fn progress(&self, progress: &Progress, first: bool) {
        self.edit().progress = Some(progress.clone());
        // A round that goes on after a restart was read before, at another pace.
        if first && progress.pages > 1 {
            *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Some(Pace { since: Instant::now(), first: progress.objects });
        }
    }

    /// The round is over, for better or worse, and the next one begins after that time.
    pub(super) fn rests(&self, pause: Duration) {
        let mut report = self.edit();
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        (report.running, report.progress, report.next) = (false, None, Some(now().saturating_add(pause)));
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The round is complete; what it said, beside what is to be said about the directory in use.
    pub(super) fn notes(&self, of_round: Vec<String>) {
        let mut notes = self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        add_notes(&mut notes, of_round);
        self.edit().notes = notes;
    }

    /// What is wrong; the directory in use stays.
    pub(super) fn trouble(&self, trouble: Trouble) {
        tracing::warn!(
            event = "synchronise.trouble", tenant = %self.tenant, kind = %trouble.kind,
            "the directory could not be synchronised; the last complete one stays in use"
        );
        // The service's words may name somebody.
        tracing::debug!(event = "synchronise.trouble-detail", tenant = %self.tenant, detail = %trouble.detail, "what happened");
        self.edit().trouble = Some(trouble);
    }

    /// Whether pictures are to be read.
    pub(super) fn with_photos(&self) -> bool {
        self.photos.load(Ordering::Relaxed)
    }
}

impl Pace {
    fn left(self, progress: &Progress) -> Option<u64> {
        let read = progress.objects.checked_sub(self.first).filter(|read| *read > 0)?;
        let left = progress.expected?.saturating_sub(progress.objects);
        let millis = self.since.elapsed().as_millis().saturating_mul(u128::from(left)) / u128::from(read);
        u64::try_from(millis.div_ceil(1000)).ok()
    }
}

/// Adds lines that are not there yet.
pub(super) fn add_notes(notes: &mut Vec<String>, more: Vec<String>) {
    for note in more {
        if notes.len() < NOTES && !notes.contains(&note) {
            notes.push(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_follows_from_the_pace_of_this_process() {
        let progress = |pages, objects, expected| Progress { pages, objects, expected, subject: "people".to_owned() };
        let since = Instant::now().checked_sub(Duration::from_secs(10)).expect("the machine runs for longer");
        for (first, objects, expected, left) in [
            (0, 100, Some(300), Some(20..=21)),
            (100, 200, Some(300), Some(10..=11)),
            (0, 300, Some(300), Some(0..=0)),
            (0, 400, Some(300), Some(0..=0)),
            (0, 0, Some(300), None),
            (0, 100, None, None),
        ] {
            let found = Pace { since, first }.left(&progress(1, objects, expected));
            assert_eq!(found.is_some(), left.is_some(), "{first} {objects} {expected:?}");
            assert!(found.zip(left).is_none_or(|(found, left)| left.contains(&found)), "{found:?}");
        }
    }
}
