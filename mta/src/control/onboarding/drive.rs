//! What takes time: the proof of a consent, and a plan, step by step.
//!
//! A task makes one call after the other, keeps what came of each before it goes on, and ends as soon as something else was begun. Steps can be
//! repeated, so a task that ended anywhere is continued by a new one, which makes the plan again and begins with the first step that is not done.

use std::sync::Arc;
use std::time::Duration;

use super::desk::{Desk, Office, Unheard};
use super::machine::{Choice, Event, Record, is_done};
use super::trouble::{self, of_credential};
use super::{milliseconds, of_call};
use crate::control::credentials::{ADMINISTRATOR, DIRECTORY, EXCHANGE};
use crate::control::report::{Choices, People, Senders, Stage, StepState, Trouble};
use crate::control::session::CallError;
use crate::control::state;
use crate::control::words::{Goal, Outcome, Plan, Status, Trial};

/// How often a call is repeated that says that repeating makes sense, before somebody is told.
const ATTEMPTS: u32 = 10;
/// How often a plan is made anew. A permission that was just granted takes up to an hour until the mail service knows it, and it asks for a wait of a
/// minute; the administrator's sign-in ends after that hour anyway.
const PLANNINGS: u32 = 60;
/// How often the organisation is read before a consent counts as not given; with the waits below some more than the ten minutes that it may take.
const PROOFS: u32 = 30;
/// The wait between two such reads: short at first, because most consents arrive within seconds.
const PROOF_WAIT: Duration = Duration::from_secs(2);
/// The longest of these waits.
const LONGEST_PROOF_WAIT: Duration = Duration::from_secs(30);
/// Trials of one step in one go: one, and another for a plugin that starts over.
const PROBES: u32 = 2;
/// A wait is made of parts of this length, so that a clock that is set does not prolong it.
const PART: Duration = Duration::from_secs(15);
/// A step that is to be repeated at once is not repeated without a pause.
const SHORTEST: Duration = Duration::from_secs(1);

/// Why a task ends before its end.
enum Halt {
    /// Something else was begun, or the record could not be kept.
    Unheard(Unheard),
    /// Somebody has to do something, and the record says so.
    Waits,
    /// It failed.
    Trouble(Trouble),
    /// A chosen group is gone.
    GroupGone(Choice, Trouble),
}

impl From<Unheard> for Halt {
    fn from(unheard: Unheard) -> Self {
        Self::Unheard(unheard)
    }
}

impl Office {
    /// Begins to read the organisation until the consent has arrived.
    pub(super) fn start_proof(self: &Arc<Self>, desk: &Arc<Desk>, run: u64) {
        let (office, desk) = (Arc::clone(self), Arc::clone(desk));
        self.spawn(Box::pin(async move {
            let _turn = desk.turn.lock().await;
            let halt = office.prove(&desk, run).await;
            office.end(&desk, run, halt, Event::Troubled).await;
        }));
    }

    /// Begins the work, or goes on with it.
    pub(super) fn start_work(self: &Arc<Self>, desk: &Arc<Desk>, run: u64) {
        let (office, desk) = (Arc::clone(self), Arc::clone(desk));
        self.spawn(Box::pin(async move {
            let _turn = desk.turn.lock().await;
            let halt = office.work(&desk, run).await;
            office.end(&desk, run, halt, Event::Failed).await;
        }));
    }

    /// Keeps why a task ended.
    async fn end(self: &Arc<Self>, desk: &Arc<Desk>, run: u64, halt: Result<(), Halt>, failed: impl Fn(Trouble) -> Event) {
        let (choice, trouble) = match halt {
            Ok(()) | Err(Halt::Waits | Halt::Unheard(Unheard::Stale)) => return,
            Err(Halt::Trouble(trouble) | Halt::Unheard(Unheard::Trouble(trouble))) => (None, trouble),
            Err(Halt::GroupGone(choice, trouble)) => (Some(choice), trouble),
        };
        let (tenant, kind) = (desk.tenant.id, &trouble.kind);
        tracing::warn!(event = "control.halted", %tenant, kind, error = %trouble, "the connection waits for somebody");
        let event = match choice {
            Some(choice) => Event::GroupGone(choice, trouble),
            None => failed(trouble),
        };
        if let Err(Unheard::Trouble(error)) = self.on_run(desk, run, event).await {
            tracing::error!(event = "control.not-kept", tenant = %desk.tenant.id, %error, "what stopped the connection could not be kept");
        }
    }

    async fn prove(self: &Arc<Self>, desk: &Arc<Desk>, run: u64) -> Result<(), Halt> {
        let mut pause = PROOF_WAIT;
        for proof in 1.. {
            let record = self.record_of(desk, run).await?;
            // The handle may be missing from the list because of an earlier refusal; it is what is to be proven.
            let connection = desk.tenant.connection(&self.foundation.endpoints, &record.choices, &[DIRECTORY]);
            let error = match self.foundation.caller.read_organisation(&connection).await {
                Ok(organisation) if organisation.id.eq_ignore_ascii_case(&connection.tenant) => {
                    return Ok(self.on_run(desk, run, Event::DirectoryRead(organisation)).await?);
                }
                Ok(organisation) => {
                    let detail = format!("The directory is that of {} ({}). Nothing was changed.", organisation.name, organisation.id);
                    let next_step = "Connect again with an account of the tenant that is being connected.";
                    return Err(Halt::Trouble(Trouble::new("wrong-tenant", detail, next_step, self.now())));
                }
                Err(error) => error,
            };
            let early = trouble::may_be_early(&error) || trouble::wait(&error).is_some();
            if proof >= PROOFS || !early {
                return Err(Halt::Trouble(self.explained(desk, &error, &[DIRECTORY]).await));
            }
            self.pause(desk, run, pause.max(Duration::from_secs(trouble::wait(&error).unwrap_or_default().into()))).await?;
            pause = (pause * 2).min(LONGEST_PROOF_WAIT);
        }
        Ok(())
    }

    async fn work(self: &Arc<Self>, desk: &Arc<Desk>, run: u64) -> Result<(), Halt> {
        let record = self.record_of(desk, run).await?;
        let Some(work) = &record.work else { return Ok(()) };
        let goal = work.goal;
        if !is_done(work) {
            self.authorised(desk, run).await?;
            if goal == Goal::Connect {
                self.check_groups(desk, &record).await.map_err(|(choice, trouble)| Halt::GroupGone(choice, trouble))?;
            }
            self.plan(desk, run, goal).await?;
            while let Some(step) = next_step(&self.record_of(desk, run).await?) {
                self.step(desk, run, goal, &step).await?;
            }
        }
        if goal == Goal::Disconnect {
            self.clear(desk).await.map_err(Halt::Trouble)?;
        }
        self.on_run(desk, run, Event::Finished).await?;
        tracing::info!(event = "control.applied", tenant = %desk.tenant.id, ?goal, "the plan is applied");
        Ok(())
    }

    /// Makes the plan, again where it was made before.
    async fn plan(self: &Arc<Self>, desk: &Arc<Desk>, run: u64, goal: Goal) -> Result<(), Halt> {
        for attempt in 1.. {
            let record = self.record_of(desk, run).await?;
            match self.make_plan(desk, record.chosen_for(goal), goal).await {
                Ok(plan) => return Ok(self.on_run(desk, run, Event::Planned(plan)).await?),
                Err(error) => match trouble::wait(&error) {
                    Some(seconds) if attempt < PLANNINGS => {
                        if attempt == 1 {
                            let note = format!(
                                "The plan could not be made at once, and was tried again by itself. {}",
                                of_call(&error, self.now()).detail
                            );
                            self.on_run(desk, run, Event::Noted(note)).await?;
                        }
                        self.pause(desk, run, Duration::from_secs(seconds.into()).max(SHORTEST)).await?;
                    }
                    _ => return Err(Halt::Trouble(self.explained(desk, &error, &[ADMINISTRATOR, EXCHANGE, DIRECTORY]).await)),
                },
            }
        }
        Ok(())
    }

    /// Does one step until it is done, or until somebody has to do something. A step may ask to be repeated as often as it likes: that ends with the
    /// administrator's sign-in.
    async fn step(self: &Arc<Self>, desk: &Arc<Desk>, run: u64, goal: Goal, step: &str) -> Result<(), Halt> {
        let (mut trial, mut probes, mut failures) = (Trial::None, 0, 0);
        loop {
            self.on_run(desk, run, Event::Running(step.to_owned())).await?;
            self.authorised(desk, run).await?;
            let record = self.record_of(desk, run).await?;
            let connection = self.connection(desk, record.chosen_for(goal));
            let calls = desk.calls.lock().await;
            let outcome = self.foundation.caller.apply_step(&connection, goal, step, trial.clone()).await;
            drop(calls);
            let (seconds, reason) = match outcome {
                Ok(Outcome::Done(changed)) => {
                    return Ok(self.on_run(desk, run, Event::Done { step: step.to_owned(), changed }).await?);
                }
                Ok(Outcome::ActionNeeded(what)) => {
                    self.on_run(desk, run, Event::ActionNeeded { step: step.to_owned(), what }).await?;
                    return Err(Halt::Waits);
                }
                Ok(Outcome::Probe(sender)) if probes < PROBES => {
                    probes += 1;
                    trial = tokio::select! {
                        trial = self.foundation.probe.send(&connection.tenant, &sender) => trial,
                        () = desk.superseded(run) => return Err(Unheard::Stale.into()),
                    };
                    continue;
                }
                Ok(other @ (Outcome::Probe(_) | Outcome::Other(_))) => return Err(Halt::Trouble(self.unknown(&other))),
                Ok(Outcome::Again { seconds, reason }) => {
                    (trial, failures) = (Trial::None, 0);
                    (seconds, reason)
                }
                Err(error) => match trouble::wait(&error) {
                    // The trial is told again: it was made, whatever became of the answer.
                    Some(seconds) if failures < ATTEMPTS => {
                        failures += 1;
                        (seconds, of_call(&error, self.now()).detail)
                    }
                    _ => return Err(Halt::Trouble(self.explained(desk, &error, &[ADMINISTRATOR, EXCHANGE, DIRECTORY]).await)),
                },
            };
            let pause = Duration::from_secs(seconds.into()).max(SHORTEST);
            let at = milliseconds((self.foundation.clock)() + pause);
            self.on_run(desk, run, Event::Again { step: step.to_owned(), at, reason }).await?;
            self.pause(desk, run, pause).await?;
        }
    }

    fn unknown(&self, outcome: &Outcome) -> Trouble {
        let detail = match outcome {
            Outcome::Probe(_) => "The control plugin asks for one trial after the other.".to_owned(),
            other => format!("The control plugin answered what this version does not know: {other:?}."),
        };
        Trouble::new("fault", detail, "Update Signet or the plugin, so that both speak of the same.", self.now())
    }

    /// Everything that only a connected tenant has is forgotten, but for its record. The same twice is the same as once.
    pub(in crate::control) async fn clear(&self, desk: &Desk) -> Result<(), Trouble> {
        self.foundation.synchroniser.stop(&desk.tenant.id.to_string()).await;
        self.foundation.credentials.forget(desk.tenant.id);
        let calls = desk.calls.lock().await;
        let forgotten = state::forget(&self.foundation.store, &desk.tenant.id.to_string()).await;
        drop(calls);
        forgotten.map_err(|error| trouble::of_store(&error, self.now()))
    }

    /// The groups that were chosen, read again.
    pub(super) async fn check_groups(&self, desk: &Desk, record: &Record) -> Result<(), (Choice, Trouble)> {
        let people = match &record.choices.people {
            Some(People::Limited(group)) => Some((Choice::People, group)),
            _ => None,
        };
        let senders = match &record.choices.senders {
            Some(Senders::Group(group)) => Some((Choice::Senders, group)),
            _ => None,
        };
        let connection = self.connection(desk, &record.choices);
        for (choice, group) in [people, senders].into_iter().flatten() {
            if let Err(error) = self.foundation.caller.read_group(&connection, &group.id).await {
                let trouble = of_call(&error, self.now());
                // Whatever else is wrong shows in the plan, which can be repeated.
                if ["missing", "unfit"].contains(&trouble.kind.as_str()) {
                    let detail = format!("The chosen group {:?} cannot be used any more. {}", group.name, trouble.detail);
                    return Err((choice, Trouble { detail, ..trouble }));
                }
            }
        }
        Ok(())
    }

    /// Makes the plan, while no other call about the mail flow is made.
    pub(in crate::control) async fn make_plan(&self, desk: &Desk, choices: &Choices, goal: Goal) -> Result<Plan, CallError> {
        let _calls = desk.calls.lock().await;
        self.foundation.caller.make_plan(&self.connection(desk, choices), goal).await
    }

    /// Compares the service with what was set up, while no other call about the mail flow is made.
    pub(in crate::control) async fn read_status(&self, desk: &Desk, choices: &Choices) -> Result<Status, CallError> {
        let _calls = desk.calls.lock().await;
        self.foundation.caller.read_status(&self.connection(desk, choices)).await
    }

    /// Waits until the administrator's tokens are there, or says why they are not.
    async fn authorised(self: &Arc<Self>, desk: &Arc<Desk>, run: u64) -> Result<(), Halt> {
        for handle in [ADMINISTRATOR, EXCHANGE] {
            for attempt in 1.. {
                let now = (self.foundation.clock)();
                let Err(error) = self.foundation.credentials.bearer(desk.tenant.id, handle, now).await else { break };
                match error.wait {
                    Some(wait) if attempt < ATTEMPTS => self.pause(desk, run, wait.max(SHORTEST)).await?,
                    _ => return Err(Halt::Trouble(of_credential(&error, self.now()))),
                }
            }
        }
        Ok(())
    }

    /// A call's error in a person's words; for one about a credential the sign-in's own, which know clocks and certificates.
    pub(in crate::control) async fn explained(&self, desk: &Desk, error: &CallError, handles: &[&str]) -> Trouble {
        if trouble::is_credential(error) {
            for handle in handles {
                let now = (self.foundation.clock)();
                if let Err(error) = self.foundation.credentials.bearer(desk.tenant.id, handle, now).await {
                    return of_credential(&error, self.now());
                }
            }
        }
        of_call(error, self.now())
    }

    /// Waits that long, unless something else is begun.
    async fn pause(&self, desk: &Desk, run: u64, time: Duration) -> Result<(), Unheard> {
        let until = (self.foundation.clock)() + time;
        let parts = time.as_secs() / PART.as_secs() + 1;
        for _ in 0..parts {
            let left = until.duration_since((self.foundation.clock)()).unwrap_or_default();
            if left.is_zero() {
                break;
            }
            tokio::select! {
                () = (self.foundation.sleep)(left.min(PART)) => {}
                () = desk.superseded(run) => return Err(Unheard::Stale),
            }
        }
        Ok(())
    }
}

/// The first step that is not done.
fn next_step(record: &Record) -> Option<String> {
    let work = record.work.as_ref().filter(|_| record.stage == Stage::InProgress)?;
    work.steps.iter().find(|step| step.state != StepState::Done).map(|step| step.step.id.clone())
}
