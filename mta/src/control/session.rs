//! One call of the control plugin with everything around it: a turn, the tenant's state, the way out, the recording.
//!
//! Calls block a thread of their own while the plugin works and waits. A call whose caller stops waiting runs to its end and writes nothing. What is asked
//! when, and what happens with the answers, is the business of those who call.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::egress::{Egress, Exit};
use super::recording::{self, Recorder};
use super::state::State;
use super::words::{
    Administrator, Answer, Call, Connection, Goal, Group, HttpError, Organisation, Outcome, Page, Photo, Plan, Request, Response,
    SpfAdvice, Status, Trial,
};
use crate::plugin::{Broken, CALLS, Controller, Failed, Fault, Outside};
use crate::store::{Store, StoreError};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The plugin has none.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// Its state cannot be read or kept; then the call counts as not made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault.into())
    }
}

/// Makes calls.
#[derive(Clone)]
pub struct Caller {
    controller: Arc<Controller>,
    egress: Arc<Egress>,
    store: Store,
    recordings: Option<PathBuf>,
    turns: Arc<Semaphore>,
}

/// An answer of another kind than the call's cannot be: `plugin` makes one from the other.
macro_rules! answer {
    ($self:ident, $connection:ident, $call:expr, $kind:ident) => {
        match $self.call($connection, $call).await? {
            Answer::$kind(answer) => Ok(answer),
            _ => Err(Fault::Host("an answer of another kind than the call".to_owned()).into()),
        }
    };
}

impl Caller {
    /// Calls are recorded in the folder when one is named.
    pub fn new(controller: Arc<Controller>, egress: Arc<Egress>, store: Store, recordings: Option<PathBuf>) -> Self {
        // As many as there are instances.
        let turns = Arc::new(Semaphore::new(usize::try_from(CALLS).unwrap_or(1)));
        Self { controller, egress, store, recordings, turns }
    }

    /// How that person holds the administrator role.
    pub async fn check_administrator(&self, connection: &Connection, person: &str) -> Result<Administrator, CallError> {
        answer!(self, connection, Call::CheckAdministrator { person: person.to_owned() }, Administrator)
    }

    /// The organisation, as a proof that the directory can be read.
    pub async fn read_organisation(&self, connection: &Connection) -> Result<Organisation, CallError> {
        answer!(self, connection, Call::ReadOrganisation, Organisation)
    }

    /// At most `limit` groups whose name or address begins with `text` and that can be chosen.
    pub async fn find_groups(&self, connection: &Connection, text: &str, limit: u32) -> Result<Vec<Group>, CallError> {
        answer!(self, connection, Call::FindGroups { text: text.to_owned(), limit }, Groups)
    }

    /// The group of that id, if it can be chosen.
    pub async fn read_group(&self, connection: &Connection, id: &str) -> Result<Group, CallError> {
        answer!(self, connection, Call::ReadGroup { id: id.to_owned() }, Group)
    }

    /// What has to be done.
    pub async fn make_plan(&self, connection: &Connection, goal: Goal) -> Result<Plan, CallError> {
        answer!(self, connection, Call::MakePlan { goal }, Plan)
    }

    /// Does one step of the plan.
    pub async fn apply_step(&self, connection: &Connection, goal: Goal, step: &str, trial: Trial) -> Result<Outcome, CallError> {
        answer!(self, connection, Call::ApplyStep { goal, step: step.to_owned(), trial }, Outcome)
    }

    /// The same plan as a script.
    pub async fn write_script(&self, connection: &Connection, goal: Goal) -> Result<String, CallError> {
        answer!(self, connection, Call::WriteScript { goal }, Script)
    }

    /// The next page of the directory.
    pub async fn sync_page(&self, connection: &Connection, cursor: Option<Vec<u8>>) -> Result<Page, CallError> {
        answer!(self, connection, Call::SyncPage { cursor }, Page)
    }

    /// The picture of a person; none when there is none, or when it is still the one of `tag`.
    pub async fn read_photo(&self, connection: &Connection, person: &str, tag: Option<&str>) -> Result<Option<Photo>, CallError> {
        answer!(self, connection, Call::ReadPhoto { person: person.to_owned(), tag: tag.map(str::to_owned) }, Photo)
    }

    /// How the service differs from what was set up.
    pub async fn read_status(&self, connection: &Connection) -> Result<Status, CallError> {
        answer!(self, connection, Call::ReadStatus, Status)
    }

    /// What SPF record a domain should have, given its TXT records.
    pub async fn advise_spf(&self, connection: &Connection, domain: &str, published: Vec<String>) -> Result<SpfAdvice, CallError> {
        answer!(self, connection, Call::AdviseSpf { domain: domain.to_owned(), published }, SpfAdvice)
    }

    /// Makes a call. Its state is kept when it has an answer, and only then.
    pub async fn call(&self, connection: &Connection, call: Call) -> Result<Answer, CallError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let _turn = turn.map_err(|_| Fault::Host("no calls are made any more".to_owned()))?;
        let state = State::open(&self.store, &connection.tenant).await?;
        let live = Live { exit: self.egress.open(&connection.tenant), state, now: now(), runtime: Handle::current() };
        let at = live.now;
        let session = Arc::new(Mutex::new(Recorder::new(live, self.recordings.is_some())));
        let (controller, outside) = (Arc::clone(&self.controller), Box::new(Arc::clone(&session)));
        let (asked, about) = (call.clone(), connection.clone());
        let outcome = tokio::task::spawn_blocking(move || controller.call(&about, &asked, outside)).await;
        let outcome = outcome.map_err(|error| Fault::Host(error.to_string()))?;
        let session = Arc::into_inner(session).ok_or_else(|| Fault::Host("the call has not ended".to_owned()))?;
        let (mut live, events) = session.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).finish();
        if let Some(folder) = &self.recordings {
            let (folder, outcome, connection) = (folder.clone(), outcome.clone(), connection.clone());
            let written = tokio::task::spawn_blocking(move || recording::write(&folder, at, &connection, &call, events, &outcome)).await;
            match written {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(event = "control.recording-failed", %error, "a call could not be recorded"),
                Err(error) => tracing::warn!(event = "control.recording-failed", %error, "a call could not be recorded"),
            }
        }
        let answer = outcome?;
        live.state.commit().await?;
        Ok(answer)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The real surroundings.
struct Live {
    exit: Exit,
    state: State,
    now: u64,
    runtime: Handle,
}

impl Outside for Live {
    fn send(&mut self, request: Request) -> Result<Response, HttpError> {
        self.runtime.block_on(self.exit.send(&request))
    }

    fn read(&mut self, key: &str) -> Result<Option<Vec<u8>>, Broken> {
        self.runtime.block_on(self.state.read(key)).map_err(|error| Broken(error.to_string()))
    }

    fn write(&mut self, key: &str, value: Vec<u8>) -> Result<Result<(), String>, Broken> {
        Ok(self.state.write(key, value))
    }

    fn remove(&mut self, key: &str) -> Result<(), Broken> {
        self.state.remove(key);
        Ok(())
    }

    fn keys(&mut self, prefix: &str) -> Result<Vec<String>, Broken> {
        Ok(self.state.keys(prefix))
    }

    fn now(&mut self) -> u64 {
        self.now
    }
}

#[cfg(test)]
mod tests;
