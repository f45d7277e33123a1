//! One tenant: its record, one change at a time, each on disk before anybody sees it; and what follows from a change.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::errand::Errands;
use super::machine::{Effect, Event, Record};
use super::{ConnectedTenant, Foundation, KeepError, Later, keep, milliseconds, trouble};
use crate::control::credentials::DIRECTORY;
use crate::control::report::{Choices, Trouble};
use crate::control::words::Connection;

/// Tasks whose handles are kept before those that have ended are swept.
const TASKS: usize = 64;

/// Everything about one tenant that is kept or under way.
pub(in crate::control) struct Desk {
    pub(in crate::control) tenant: ConnectedTenant,
    record: tokio::sync::Mutex<Record>,
    /// Held from before a change until its effects are over: those of two changes must not overtake each other.
    order: tokio::sync::Mutex<()>,
    /// Held for a call that may write the plugin's state of the mail flow: two at once would not see each other's writes.
    pub(super) calls: tokio::sync::Mutex<()>,
    /// Held by the task that is under way, for as long as it is.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Grows with everything that is begun or ended; a task whose number is not the last one has nothing to say any more.
    run: AtomicU64,
    /// Tells the task that is under way when it grows.
    wake: Notify,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

/// All of them, and what they stand on.
pub(in crate::control) struct Office {
    pub(in crate::control) foundation: Foundation,
    pub(in crate::control) desks: Vec<Arc<Desk>>,
    pub(super) errands: Errands,
    by_id: HashMap<Uuid, usize>,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// A task is told that it has nothing to say any more, or why its change is refused.
#[derive(Debug)]
pub(super) enum Unheard {
    /// Something else was begun.
    Stale,
    /// It could not be kept, or does not fit.
    Trouble(Trouble),
}

impl Office {
    /// Reads what was kept and goes on with what was under way.
    pub(in crate::control) async fn open(mut foundation: Foundation) -> Result<Arc<Self>, KeepError> {
        let mut desks = Vec::new();
        for tenant in std::mem::take(&mut foundation.tenants) {
            let record = keep::load(&foundation.store, &tenant.id.to_string()).await?;
            desks.push(Arc::new(Desk {
                tenant,
                record: tokio::sync::Mutex::new(record),
                order: tokio::sync::Mutex::default(),
                calls: tokio::sync::Mutex::default(),
                turn: tokio::sync::Mutex::default(),
                run: AtomicU64::new(0),
                wake: Notify::new(),
                changes: watch::channel(0).0,
            }));
        }
        let by_id = desks.iter().enumerate().map(|(place, desk)| (desk.tenant.id, place)).collect();
        let office = Arc::new(Self { foundation, desks, errands: Errands::default(), by_id, tasks: Mutex::default() });
        for desk in &office.desks {
            if let Err(trouble) = office.on(desk, Event::Started).await {
                tracing::error!(event = "control.start-failed", tenant = %desk.tenant.id, %trouble, "a connection does not go on");
            }
        }
        Ok(office)
    }

    /// Milliseconds since 1970.
    pub(in crate::control) fn now(&self) -> u64 {
        milliseconds((self.foundation.clock)())
    }

    /// The tenant of that id.
    pub(in crate::control) fn desk(&self, tenant: &str) -> Result<&Arc<Desk>, Trouble> {
        let found = Uuid::try_parse(tenant).ok().and_then(|id| self.of(id));
        found.ok_or_else(|| {
            let tenant: String = tenant.chars().filter(|letter| !letter.is_control()).take(64).collect();
            let next_step = "Check the id, and that the tenant has a [tenant.connection] in the configuration.";
            Trouble::new("unknown-tenant", format!("There is no tenant {tenant:?} that can be connected."), next_step, self.now())
        })
    }

    pub(super) fn of(&self, id: Uuid) -> Option<&Arc<Desk>> {
        self.by_id.get(&id).and_then(|place| self.desks.get(*place))
    }

    /// What a call about that tenant is given, with the credentials that are there now.
    pub(in crate::control) fn connection(&self, desk: &Desk, choices: &Choices) -> Connection {
        let handles = self.foundation.credentials.handles(desk.tenant.id, (self.foundation.clock)());
        desk.tenant.connection(&self.foundation.endpoints, choices, &handles)
    }

    /// Changes a record from outside: what is under way there ends when the event says so.
    pub(in crate::control) async fn on(self: &Arc<Self>, desk: &Arc<Desk>, event: Event) -> Result<(), Trouble> {
        match self.change(desk, None, event).await {
            Ok(()) => Ok(()),
            Err(Unheard::Trouble(trouble)) => Err(trouble),
            Err(Unheard::Stale) => Err(trouble::stage("Something else was begun meanwhile.", "Look at the connection again.", self.now())),
        }
    }

    /// Changes a record from the task with that number.
    pub(super) async fn on_run(self: &Arc<Self>, desk: &Arc<Desk>, run: u64, event: Event) -> Result<(), Unheard> {
        self.change(desk, Some(run), event).await
    }

    /// The record as it is now, for the task with that number.
    pub(super) async fn record_of(&self, desk: &Desk, run: u64) -> Result<Record, Unheard> {
        let record = desk.record.lock().await;
        if desk.run.load(Ordering::SeqCst) == run { Ok(record.clone()) } else { Err(Unheard::Stale) }
    }

    async fn change(self: &Arc<Self>, desk: &Arc<Desk>, run: Option<u64>, event: Event) -> Result<(), Unheard> {
        let _order = desk.order.lock().await;
        if run.is_some_and(|run| desk.run.load(Ordering::SeqCst) != run) {
            return Err(Unheard::Stale);
        }
        let before = desk.record().await;
        let mut next = before.clone();
        let effects = next.on(event, self.now()).map_err(Unheard::Trouble)?;
        if next != before {
            let kept = keep::save(&self.foundation.store, &desk.tenant.id.to_string(), &next).await;
            kept.map_err(|error| Unheard::Trouble(trouble::of_keep(&error, self.now())))?;
            desk.record.lock().await.clone_from(&next);
            desk.changes.send_modify(|count| *count += 1);
        }
        for effect in effects {
            self.effect(desk, &next, effect).await;
        }
        Ok(())
    }

    async fn effect(self: &Arc<Self>, desk: &Arc<Desk>, record: &Record, effect: Effect) {
        let id = desk.tenant.id.to_string();
        match effect {
            Effect::Prove => self.start_proof(desk, desk.next_run()),
            Effect::Apply => self.start_work(desk, desk.next_run()),
            Effect::Halt => drop(desk.next_run()),
            Effect::ForgetAdministrator => self.foundation.credentials.forget_administrator(desk.tenant.id),
            Effect::Synchronise => match record.synchronised_by() {
                Some(choices) => {
                    // The administrator's credentials are for the plan alone.
                    let connection = desk.tenant.connection(&self.foundation.endpoints, choices, &[DIRECTORY]);
                    self.foundation.synchroniser.begin(&id, &connection).await;
                }
                None => self.foundation.synchroniser.stop(&id).await,
            },
        }
    }

    /// Runs a task that ends with the office at the latest.
    pub(super) fn spawn(&self, task: Later<'static, ()>) {
        let handle = tokio::spawn(task).abort_handle();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.len() >= TASKS {
            tasks.retain(|task| !task.is_finished());
        }
        tasks.push(handle);
    }

    /// Ends all tasks where they are. What they did is kept; what they were doing is done again after the next start.
    pub(in crate::control) fn stop(&self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

impl Desk {
    /// The record as it is now.
    pub(in crate::control) async fn record(&self) -> Record {
        self.record.lock().await.clone()
    }

    /// Waits until the record satisfies `until`, or for that long.
    pub(super) async fn settles(&self, until: impl Fn(&Record) -> bool, longest: Duration) {
        let mut changes = self.changes.subscribe();
        let settled = async { while !until(&*self.record.lock().await) && changes.changed().await.is_ok() {} };
        // The one who waits looks at the record in any case.
        drop(tokio::time::timeout(longest, settled).await);
    }

    /// Waits until the task with that number has nothing to say any more.
    pub(super) async fn superseded(&self, run: u64) {
        while self.run.load(Ordering::SeqCst) == run {
            self.wake.notified().await;
        }
    }

    /// Whoever was under way is not any more.
    fn next_run(&self) -> u64 {
        let run = self.run.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        run
    }
}
