//! The embedded state: one SQLite file, one thread that owns it, one bounded queue of work for that thread.
//!
//! Write-ahead log and `synchronous=FULL`: what [`Store::run`] answered survives a power cut. The schema has a version and only grows.
//! Nothing here knows what the rows mean; it holds no message content.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait. Each takes about one disk flush; more waiting ones than this would outlast their callers' patience.
const QUEUE: usize = 256;

/// How long a caller waits for room in the queue.
const ROOM: Duration = Duration::from_secs(5);

/// How long SQLite waits for another process's lock, a backup for example.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// One step each, applied in order; `user_version` counts the applied ones.
const MIGRATIONS: &[&str] = &[
    "CREATE TABLE ledger (
        label BLOB NOT NULL, message BLOB NOT NULL, recipient BLOB NOT NULL, expires INTEGER NOT NULL,
        PRIMARY KEY (message, recipient)) WITHOUT ROWID;
     CREATE INDEX ledger_expires ON ledger (expires);",
    "CREATE TABLE control_state (tenant TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (tenant, key));",
    // How far the connection of each tenant is (`control::onboarding`).
    "CREATE TABLE connection (tenant TEXT NOT NULL PRIMARY KEY, record BLOB NOT NULL);",
    "CREATE TABLE directory_layer (layer INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL);
     CREATE TABLE directory_round (
        tenant TEXT PRIMARY KEY, base INTEGER, base_scope TEXT NOT NULL, top INTEGER NOT NULL, whole INTEGER NOT NULL, scope TEXT NOT NULL,
        cursor BLOB NOT NULL, complete INTEGER NOT NULL, missing INTEGER, of_people INTEGER, accepted INTEGER NOT NULL,
        ended INTEGER) WITHOUT ROWID;
     CREATE TABLE directory_person (
        layer INTEGER NOT NULL, id TEXT NOT NULL, addresses TEXT, attributes TEXT, manager TEXT, PRIMARY KEY (layer, id)) WITHOUT ROWID;
     CREATE TABLE directory_group (
        layer INTEGER NOT NULL, id TEXT NOT NULL, addresses TEXT, attributes TEXT, PRIMARY KEY (layer, id)) WITHOUT ROWID;
     CREATE TABLE directory_member (
        layer INTEGER NOT NULL, id TEXT NOT NULL, member TEXT NOT NULL, present INTEGER NOT NULL, PRIMARY KEY (layer, id, member)) WITHOUT ROWID;
     CREATE TABLE directory_photo (
        tenant TEXT NOT NULL, person TEXT NOT NULL, asked INTEGER NOT NULL, tag TEXT, media_type TEXT, content BLOB,
        PRIMARY KEY (tenant, person));",
];

/// Why state cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be created with the right permissions.
    #[error("cannot open state file {}: {source}; check that its folder exists and that the service user may write there", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A newer program wrote it.
    #[error("state file {} has schema version {found}, this program knows up to {known}; run the newer program, or name another file", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// SQLite refuses.
    #[error("state file: {0}; check the disk's free space and health")]
    Sqlite(#[from] rusqlite::Error),
    /// More work than the disk can take.
    #[error("state file: no room in the queue of {QUEUE} jobs within {} s; the disk is too slow", ROOM.as_secs())]
    Busy,
    /// The thread has ended.
    #[error("state file: its thread has ended; restart the service")]
    Ended,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the state; clones share it. The last one waits for the queued work to finish.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens or creates the file, readable by its owner only.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path).map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::start(Connection::open_with_flags(path, flags)?, path)
    }

    /// State that ends with the process.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::start(Connection::open_in_memory()?, Path::new(":memory:"))
    }

    fn start(mut connection: Connection, path: &Path) -> Result<Self, StoreError> {
        prepare(&mut connection, path)?;
        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE);
        let work = move || {
            while let Some(job) = waiting.blocking_recv() {
                job(&mut connection);
            }
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(work);
        let thread = thread.map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        Ok(Self { inner: Arc::new(Inner { jobs: Some(jobs), thread: Mutex::new(Some(thread)) }) })
    }

    /// Does `work` on the store's thread and waits for its answer. Work that was accepted is done even if the caller stops waiting.
    pub async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |connection: &mut Connection| {
            // The caller may have stopped waiting; the work is done nevertheless.
            let _unheard = answer.send(work(connection));
        });
        let jobs = self.inner.jobs.as_ref().ok_or(StoreError::Ended)?;
        match jobs.send_timeout(job, ROOM).await {
            Ok(()) => Ok(answered.await.map_err(|_| StoreError::Ended)??),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(StoreError::Busy),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(StoreError::Ended),
        }
    }

    /// Queues `work` without waiting for room or for an answer; for callers that cannot wait. Its failure is logged.
    pub fn post<F>(&self, work: F) -> Result<(), StoreError>
    where
        F: FnOnce(&mut Connection) -> rusqlite::Result<()> + Send + 'static,
    {
        let job: Job = Box::new(move |connection| {
            if let Err(error) = work(connection) {
                tracing::error!(event = "store.failed", %error, "state could not be kept");
            }
        });
        let jobs = self.inner.jobs.as_ref().ok_or(StoreError::Ended)?;
        jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Ended,
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A panic there was printed already; there is nothing left to undo.
            let _panicked = thread.join();
        }
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map(drop)
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    connection.busy_timeout(LOCK_WAIT)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    if found > MIGRATIONS.len() {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: MIGRATIONS.len() });
    }
    for (version, step) in MIGRATIONS.iter().enumerate().skip(found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", i64::try_from(version + 1).unwrap_or(i64::MAX))?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("signet-store-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        folder.join("state.sqlite")
    }

    fn remove(path: &Path) {
        std::fs::remove_dir_all(path.parent().expect("folder")).expect("removed");
    }

    #[tokio::test]
    async fn what_was_answered_is_there_after_reopening() {
        let path = path("reopen");
        let store = Store::open(&path).expect("open");
        let insert = "INSERT INTO ledger VALUES (x'01', x'02', x'03', 4)";
        store.run(move |connection| connection.execute(insert, [])).await.expect("insert");
        drop(store);
        let store = Store::open(&path).expect("reopen");
        let count: i64 =
            store.run(|connection| connection.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0))).await.expect("count");
        assert_eq!(count, 1);
        drop(store);
        remove(&path);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = path("mode");
        drop(Store::open(&path).expect("open"));
        assert_eq!(std::fs::metadata(&path).expect("file").permissions().mode() & 0o777, 0o600);
        remove(&path);
    }

    #[test]
    fn a_file_of_a_newer_program_is_refused_by_version() {
        let path = path("newer");
        drop(Store::open(&path).expect("open"));
        Connection::open(&path).expect("raw").pragma_update(None, "user_version", 99).expect("set");
        let error = Store::open(&path).err().expect("refused").to_string();
        assert!(error.contains("schema version 99"), "{error}");
        remove(&path);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = Store::open(Path::new("/nonexistent/state.sqlite")).err().expect("refused").to_string();
        assert!(error.contains("/nonexistent/state.sqlite"), "{error}");
    }

    #[tokio::test]
    async fn a_failed_statement_is_an_error_and_the_store_lives_on() {
        let store = Store::in_memory().expect("open");
        assert!(matches!(store.run(|connection| connection.execute("nonsense", [])).await, Err(StoreError::Sqlite(_))));
        assert_eq!(store.run(|_| Ok(7)).await.expect("alive"), 7);
    }
}
