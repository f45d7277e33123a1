//! When pages are asked for, and what happens when there is none.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::rows::{Applied, Shrink};
use super::seat::{Seat, add_notes};
use super::{now, photos, rows, snapshot};
use crate::control::report::{Synchronised, Trouble};
use crate::control::session::{CallError, Caller};
use crate::control::words::{Connection, Page, Synchronisation};
use crate::directory::Directories;
use crate::plugin::Failed;
use crate::store::{Store, StoreError};

/// How often one page is asked for again when the service asks to wait: with its half minutes, growing, some minutes. Then the round rests until
/// the next one, which goes on where this one stopped.
const ATTEMPTS: u32 = 5;

/// The longest wait, in seconds, that a round lasts through; one that is asked to wait for longer rests until the next one.
const PATIENCE: u32 = 600;

/// Rounds that fail one after the other begin at growing intervals, up to this one: somebody has to do something, and may do it at night.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// How tenants are connected now; none for one that is not.
pub type Connections = Arc<dyn Fn(&str) -> Option<Connection> + Send + Sync>;

/// How directories are synchronised.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Between the end of one round and the beginning of the next.
    pub every: Duration,
    /// Percent of the people that a complete round may be short of before it is held back.
    pub shrink_limit: usize,
    /// Octets of pictures of one tenant's people that are held in memory.
    pub photo_memory: usize,
    /// How long a second is that the service asks to wait; shorter for tests only.
    pub second: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { every: Duration::from_secs(900), shrink_limit: 20, photo_memory: 256 << 20, second: Duration::from_secs(1) }
    }
}

/// Synchronises the directories of all tenants, each on a task of its own. The tasks end with it.
pub struct Synchroniser {
    shared: Arc<Shared>,
    seats: Mutex<HashMap<String, Arc<Seat>>>,
}

/// What all tasks use.
pub(super) struct Shared {
    pub(super) caller: Caller,
    pub(super) store: Store,
    pub(super) directories: Directories,
    pub(super) settings: Settings,
    connections: Connections,
}

impl Drop for Synchroniser {
    fn drop(&mut self) {
        for seat in self.seats.get_mut().unwrap_or_else(PoisonError::into_inner).values() {
            drop(seat.abort());
        }
    }
}

impl Synchroniser {
    /// Begins nothing yet.
    pub fn new(caller: Caller, store: Store, directories: Directories, settings: Settings, connections: Connections) -> Self {
        let shared = Shared { caller, store, directories, settings, connections };
        Self { shared: Arc::new(shared), seats: Mutex::default() }
    }

    /// Puts the directory in use that the tenant's last complete round left, with or without pictures. To be called before mail is served.
    pub async fn restore(&self, tenant: &str, photos: bool) -> Result<(), StoreError> {
        let seat = self.seat(tenant);
        seat.photos.store(photos, Ordering::Relaxed);
        restore(&self.shared, &seat).await
    }

    /// Begins the rounds of a tenant, with or without pictures; one that runs begins a round now.
    pub fn begin(&self, tenant: &str, photos: bool) {
        let seat = self.seat(tenant);
        if seat.photos.swap(photos, Ordering::Relaxed) != photos {
            seat.stale.store(true, Ordering::Relaxed);
        }
        let shared = Arc::clone(&self.shared);
        seat.start(|| tokio::spawn(run(shared, Arc::clone(&seat))));
    }

    /// Begins a round now, or right after the one that runs.
    pub fn now(&self, tenant: &str) {
        self.seat(tenant).wake.notify_one();
    }

    /// Ends the rounds of a tenant and forgets its directory.
    pub async fn stop(&self, tenant: &str) -> Result<(), StoreError> {
        let seat = self.seats.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
        if let Some(seat) = seat {
            *seat.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
            if let Some(task) = seat.abort() {
                // It ends because it was told to.
                drop(task.await);
            }
        }
        let forgotten = tenant.to_owned();
        // What the task still had in the store's queue is done before this.
        self.shared.store.run(move |database| rows::forget(database, &forgotten)).await?;
        self.shared.directories.of(tenant).synchronise(None);
        tokio::spawn(tidy(self.shared.store.clone()));
        Ok(())
    }

    /// Puts a round in use that was held back because too many people were missing; false when none was.
    pub async fn accept_shrink(&self, tenant: &str) -> Result<bool, StoreError> {
        let seat = self.seat(tenant);
        let _turn = seat.turn.lock().await;
        let of = seat.tenant.clone();
        if !self.shared.store.run(move |database| rows::accept(database, &of, now())).await? {
            return Ok(false);
        }
        tracing::info!(event = "synchronise.accepted", tenant = %seat.tenant, "missing people are accepted");
        seat.edit().trouble = None;
        publish(&self.shared, &seat).await?;
        Ok(true)
    }

    /// How the synchronisation of a tenant is.
    pub fn report(&self, tenant: &str) -> Synchronised {
        let seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.get(tenant).map(|seat| seat.report()).unwrap_or_default()
    }

    fn seat(&self, tenant: &str) -> Arc<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(seats.entry(tenant.to_owned()).or_insert_with(|| Arc::new(Seat::new(tenant))))
    }
}

/// Rounds without end.
async fn run(shared: Arc<Shared>, seat: Arc<Seat>) {
    if shared.directories.of(&seat.tenant).load().is_none()
        && let Err(error) = restore(&shared, &seat).await
    {
        seat.trouble(stored(&error));
    }
    let every = shared.settings.every;
    let mut failures = 0;
    loop {
        seat.begun();
        let pause = match round(&shared, &seat).await {
            Ok(()) => {
                failures = 0;
                every
            }
            Err(trouble) => {
                seat.trouble(*trouble);
                failures += 1;
                growing(every, failures)
            }
        };
        seat.rests(pause);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = seat.wake.notified() => {}
        }
    }
}

/// The pause after so many failures: it doubles with each but the first.
fn growing(every: Duration, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    every.saturating_mul(factor).min(LONGEST_PAUSE.max(every))
}

/// Reads pages to the end of a round, and puts it in use.
async fn round(shared: &Shared, seat: &Seat) -> Result<(), Box<Trouble>> {
    let unconnected = || Trouble::new("stage", "The tenant is not connected.", "Connect it.", now());
    let connection = (shared.connections)(&seat.tenant).ok_or_else(unconnected)?;
    let scope = match &connection.synchronisation {
        Synchronisation::Full => "everybody".to_owned(),
        Synchronisation::Limited(group) => format!("group {group}"),
    };
    let of = seat.tenant.clone();
    let known = shared.store.run(move |database| rows::round(database, &of)).await.map_err(|error| stored(&error))?;
    // What was held back is read again from the beginning: changes alone would not tell that the service was wrong.
    let mut cursor = known.filter(|round| round.scope == scope && !round.is_held()).map(|round| round.cursor);
    let (mut notes, mut first) = (Vec::new(), true);
    loop {
        let mut page = ask(shared, seat, &connection, cursor).await?;
        seat.progress(&page.progress, first);
        first = false;
        add_notes(&mut notes, std::mem::take(&mut page.notes));
        cursor = Some(page.cursor.clone());
        tracing::debug!(
            event = "synchronise.page", tenant = %seat.tenant, subject = %page.progress.subject, pages = page.progress.pages,
            objects = page.progress.objects, restarted = page.restarted, "a page of the directory was read"
        );
        match apply(shared, seat, &scope, page).await.map_err(|error| stored(&error))? {
            Applied::Going => {}
            Applied::Taken(_) => {
                let mut report = seat.edit();
                (report.trouble, report.complete) = (None, Some(now()));
                break;
            }
            Applied::Held(shrink) => {
                tidy(shared.store.clone()).await;
                seat.notes(notes);
                return Err(Box::new(shrunk(shrink)));
            }
        }
    }
    seat.notes(notes.clone());
    tidy(shared.store.clone()).await;
    if seat.with_photos() {
        let changed = photos::refresh(shared, seat, &connection, &mut notes).await.map_err(|error| stored(&error))?;
        if changed {
            let _turn = seat.turn.lock().await;
            publish(shared, seat).await.map_err(|error| stored(&error))?;
        }
        seat.notes(notes);
    }
    Ok(())
}

/// Asks for a page, and again after the wait that the service asks for.
async fn ask(shared: &Shared, seat: &Seat, connection: &Connection, cursor: Option<Vec<u8>>) -> Result<Page, Box<Trouble>> {
    let (mut attempts, before) = (0, seat.edit().trouble.clone());
    loop {
        let problem = match shared.caller.sync_page(connection, cursor.clone()).await {
            Ok(page) => {
                seat.edit().trouble = before;
                return Ok(page);
            }
            Err(CallError::Failed(Failed::Problem(problem))) => problem,
            Err(CallError::Failed(Failed::Fault(fault))) => {
                return Err(Box::new(Trouble::new("fault", fault.to_string(), "Look at the log, and report this.", now())));
            }
            Err(CallError::Store(error)) => return Err(stored(&error).into()),
        };
        attempts += 1;
        let wait = problem.wait.map(|wait| wait.max(1).saturating_mul(attempts));
        match wait.filter(|wait| attempts <= ATTEMPTS && *wait <= PATIENCE) {
            Some(wait) => {
                seat.trouble(Trouble::of(&problem, now()));
                tokio::time::sleep(shared.settings.second.saturating_mul(wait)).await;
            }
            None => return Err(Box::new(Trouble::of(&problem, now()))),
        }
    }
}

/// Writes a page and, when it completes the round, puts its directory in use.
async fn apply(shared: &Shared, seat: &Seat, scope: &str, page: Page) -> Result<Applied, StoreError> {
    let _turn = seat.turn.lock().await;
    let (tenant, scope, limit) = (seat.tenant.clone(), scope.to_owned(), shared.settings.shrink_limit);
    let work = move |database: &mut _| rows::apply(database, &tenant, &scope, &page, (limit, now()));
    let applied = shared.store.run(work).await?;
    if let Applied::Taken(changed) = applied
        && (seat.stale.fetch_or(changed, Ordering::Relaxed) || changed)
    {
        publish(shared, seat).await?;
    }
    Ok(applied)
}

/// Puts the directory of the layer in use into use for mail. With the turn.
async fn publish(shared: &Shared, seat: &Seat) -> Result<(), StoreError> {
    let of = seat.tenant.clone();
    let round = shared.store.run(move |database| rows::round(database, &of)).await?;
    let Some((base, round)) = round.and_then(|round| Some((round.base?, round))) else { return Ok(()) };
    let pictures = if seat.with_photos() { photos::known(shared, seat).await? } else { Arc::default() };
    let (directory, notes) = snapshot::build(&shared.store, base, pictures).await?;
    let directory = Arc::new(directory);
    {
        let mut report = seat.edit();
        report.people = u64::try_from(directory.people()).unwrap_or(u64::MAX);
        report.groups = u64::try_from(directory.all_groups().len()).unwrap_or(u64::MAX);
        report.complete = round.ended;
        *seat.standing.lock().unwrap_or_else(PoisonError::into_inner) = notes;
        tracing::info!(
            event = "synchronise.in-use", tenant = %seat.tenant, people = report.people, groups = report.groups,
            "a synchronised directory is in use"
        );
    }
    let current = shared.directories.of(&seat.tenant);
    let stopped = Arc::clone(&seat.stopped);
    // Configured people are added to it, which takes a while.
    let put = tokio::task::spawn_blocking(move || {
        let stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*stopped {
            current.synchronise(Some(directory));
        }
    });
    put.await.map_err(|_| StoreError::Ended)?;
    seat.stale.store(false, Ordering::Relaxed);
    Ok(())
}

async fn restore(shared: &Shared, seat: &Seat) -> Result<(), StoreError> {
    let _turn = seat.turn.lock().await;
    let of = seat.tenant.clone();
    let round = shared.store.run(move |database| rows::round(database, &of)).await?;
    if let Some(shrink) = round.and_then(|round| round.held) {
        seat.edit().trouble = Some(shrunk(shrink));
    }
    publish(shared, seat).await
}

/// Removes what no round needs any more.
async fn tidy(store: Store) {
    while let Ok(true) = store.run(rows::prune).await {}
}

fn stored(error: &StoreError) -> Trouble {
    Trouble::new("store", error.to_string(), "Look at the disk; it is tried again by itself.", now())
}

fn shrunk(Shrink { missing, of }: Shrink) -> Trouble {
    let detail = format!("{missing} of {of} people are missing in what the service says now; the directory in use stays as it was.");
    let next = "Look at the group, or at the tenant. If they are gone on purpose, accept it in the console, or with `signet tenant accept-shrink`.";
    Trouble::new("shrunk", detail, next, now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_failures_and_have_an_end() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        for (every, failures, expected) in [
            (minutes(15), 1, minutes(15)),
            (minutes(15), 2, minutes(30)),
            (minutes(15), 4, minutes(120)),
            (minutes(15), 40, LONGEST_PAUSE),
            (minutes(24 * 60), 3, minutes(24 * 60)),
        ] {
            assert_eq!(growing(every, failures), expected, "{failures}");
        }
    }
}
