//! What is known about the connection of a tenant, and how events change it: state and event give the next state and what is to be done
//! about it. No I/O and no clock; the time of an event comes with it.

use serde::{Deserialize, Serialize};

use super::invitation::Kept;
use super::trouble::{SIGN_IN_AGAIN, half_made, of_role, stage as refused};
use crate::control::report::{Choices, People, Senders, Stage, StepRecord, StepState, Trouble, Way, Work};
use crate::control::words::{Action, Administrator, Goal, Organisation, Plan};

/// Everything that is kept about one tenant's connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::control) struct Record {
    pub(in crate::control) stage: Stage,
    /// The service said that the tenant consented; the proof is still to come.
    pub(in crate::control) consented: bool,
    pub(in crate::control) organisation: Option<Organisation>,
    pub(in crate::control) signed_in: Option<String>,
    pub(in crate::control) choices: Choices,
    pub(in crate::control) connected: Option<Choices>,
    pub(in crate::control) connected_since: Option<u64>,
    pub(in crate::control) administrator: Option<Administrator>,
    pub(in crate::control) work: Option<Work>,
    pub(in crate::control) trouble: Option<Trouble>,
    /// What a plan changed that was given up before its end; until another one is through.
    pub(in crate::control) half_made: Option<Trouble>,
    pub(in crate::control) invitation: Option<Kept>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            stage: Stage::Disconnected,
            consented: false,
            organisation: None,
            signed_in: None,
            choices: Choices::default(),
            connected: None,
            connected_since: None,
            administrator: None,
            work: None,
            trouble: None,
            half_made: None,
            invitation: None,
        }
    }
}

/// One of the two choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Choice {
    /// Whose people.
    People,
    /// Whose mail.
    Senders,
}

/// What happened.
#[derive(Clone, Debug)]
pub(in crate::control) enum Event {
    /// The process has started.
    Started,
    /// Somebody of the tenant signed in, with that name.
    SignedIn(Option<String>),
    /// The service says that the tenant consented.
    Consented,
    /// The directory could be read.
    DirectoryRead(Organisation),
    /// Chosen, and found fit.
    PeopleChosen(People),
    /// Chosen, and found fit.
    SendersChosen(Senders),
    /// An administrator authorised, whose role is enough.
    Authorized(Goal, Administrator),
    /// An administrator authorised, whose role is not enough.
    RoleShort(Administrator),
    /// A chosen group is not there any more, or cannot be chosen any more.
    GroupGone(Choice, Trouble),
    /// The plan was made, or made again.
    Planned(Plan),
    /// Something that an administrator should know about the work.
    Noted(String),
    /// A step is being done.
    Running(String),
    /// It is repeated at that time.
    Again { step: String, at: u64, reason: String },
    /// Somebody has to do something first.
    ActionNeeded { step: String, what: String },
    /// It is done.
    Done { step: String, changed: Vec<String> },
    /// The work stopped; it can go on from where it is.
    Failed(Trouble),
    /// Something else failed; it says so, and nothing else changes.
    Troubled(Trouble),
    /// The last step is done, and what it needs beside it.
    Finished,
    /// An administrator says that the script was run; with the plan when it could be looked.
    ScriptRan(Goal, Option<Plan>),
    /// What was not applied is to be forgotten.
    Abandoned,
    /// Somebody wants it tried again.
    GoOn,
    /// A link was made.
    Invited(Kept),
    /// Somebody came with that link.
    Redeemed(String),
}

/// What is to be done about it, after the record was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Effect {
    /// Read the organisation, until the consent has arrived.
    Prove,
    /// Go on with the work.
    Apply,
    /// What is under way ends.
    Halt,
    /// The synchronisation is to be as the record says.
    Synchronise,
    /// The administrator's tokens are not needed any more.
    ForgetAdministrator,
}

type Effects = Vec<Effect>;

impl Record {
    /// Whose people are to be read now; none when nobody's.
    pub(in crate::control) fn synchronised_by(&self) -> Option<&Choices> {
        let connecting = self.stage == Stage::InProgress && self.work.as_ref().is_some_and(|work| work.goal == Goal::Connect);
        if connecting { Some(&self.choices) } else { self.connected.as_ref() }
    }

    /// What is wrong, for people. While a plan is applied, what was half-made before is being mended.
    pub(in crate::control) fn told(&self) -> Option<Trouble> {
        let half_made = self.half_made.clone().filter(|_| self.stage != Stage::InProgress);
        match (self.trouble.clone(), half_made) {
            (Some(trouble), Some(half)) => {
                Some(Trouble { detail: format!("{} {}", trouble.detail, half.detail), changed: half.changed, ..trouble })
            }
            (trouble, half_made) => trouble.or(half_made),
        }
    }

    /// What a plan for that goal is about: to disconnect, what is connected.
    pub(in crate::control) fn chosen_for(&self, goal: Goal) -> &Choices {
        match (goal, &self.connected) {
            (Goal::Disconnect, Some(connected)) => connected,
            _ => &self.choices,
        }
    }

    /// Whether a plan for that goal may be authorised, written or applied now.
    pub(in crate::control) fn may(&self, goal: Goal, at: u64) -> Result<(), Trouble> {
        let Goal::Connect = goal else { return Ok(()) };
        if self.stage == Stage::InProgress && self.work.as_ref().is_some_and(|work| work.goal == Goal::Disconnect) {
            return Err(refused("This tenant is being disconnected.", "Wait until it is done, or give it up first.", at));
        }
        let ready = matches!(self.stage, Stage::Authorize | Stage::InProgress | Stage::Connected);
        if ready && self.choices.people.is_some() && self.choices.senders.is_some() {
            return Ok(());
        }
        Err(refused("It is not chosen yet whose people are read and whose mail is routed.", self.next(), at))
    }

    /// Changes the record. An error is a refusal, and then nothing has changed.
    pub(in crate::control) fn on(&mut self, event: Event, at: u64) -> Result<Effects, Trouble> {
        match event {
            Event::Started => Ok(self.started(at)),
            Event::SignedIn(name) => {
                self.require(self.stage != Stage::InProgress, "A plan is being applied.", at)?;
                self.enter(Stage::SignedIn);
                (self.signed_in, self.consented) = (name, false);
                Ok(vec![Effect::Halt])
            }
            Event::Consented => {
                self.require(self.stage == Stage::SignedIn, "Nobody has signed in before this consent.", at)?;
                self.enter(Stage::SignedIn);
                self.consented = true;
                Ok(vec![Effect::Prove])
            }
            Event::DirectoryRead(organisation) => {
                self.require(self.stage == Stage::SignedIn, "Nobody asked for the directory.", at)?;
                self.enter(Stage::ChoosePeople);
                (self.organisation, self.consented) = (Some(organisation), false);
                Ok(Vec::new())
            }
            Event::PeopleChosen(people) => {
                self.may_choose(Choice::People, at)?;
                self.choices.people = Some(people);
                self.enter(Stage::ChooseRouting);
                Ok(Vec::new())
            }
            Event::SendersChosen(senders) => {
                self.may_choose(Choice::Senders, at)?;
                self.choices.senders = Some(senders);
                self.enter(Stage::Authorize);
                Ok(Vec::new())
            }
            Event::Authorized(goal, administrator) => self.authorized(goal, administrator, at),
            Event::RoleShort(administrator) => {
                self.trouble = Some(of_role(&administrator, at));
                self.administrator = Some(administrator);
                Ok(vec![Effect::ForgetAdministrator])
            }
            Event::GroupGone(choice, trouble) => Ok(self.group_gone(choice, trouble, at)),
            Event::ScriptRan(goal, plan) => self.script_ran(goal, plan, at),
            Event::Abandoned => Ok(self.abandoned(at)),
            Event::GoOn => self.go_on(at),
            Event::Invited(kept) => {
                self.invitation = Some(kept);
                Ok(Vec::new())
            }
            Event::Redeemed(token) => self.redeemed(&token, at),
            Event::Troubled(trouble) => {
                self.trouble = Some(trouble);
                Ok(Vec::new())
            }
            work => self.worked(work, at),
        }
    }

    /// Whether that choice can be made now.
    pub(in crate::control) fn may_choose(&self, choice: Choice, at: u64) -> Result<(), Trouble> {
        let from = if choice == Choice::People { Stage::ChoosePeople } else { Stage::ChooseRouting };
        let open = [Stage::ChoosePeople, Stage::ChooseRouting, Stage::Authorize];
        let open = open.iter().skip_while(|stage| **stage != from);
        self.require(open.into_iter().any(|stage| *stage == self.stage), "This cannot be chosen now.", at)
    }

    fn require(&self, holds: bool, otherwise: &str, at: u64) -> Result<(), Trouble> {
        if holds { Ok(()) } else { Err(refused(otherwise, self.next(), at)) }
    }

    /// The one next step of a stage.
    fn next(&self) -> &'static str {
        match self.stage {
            Stage::Disconnected => "Choose Connect and sign in.",
            Stage::SignedIn => "Accept the request for consent; choose Connect again if its page is gone.",
            Stage::ChoosePeople => "Choose whose people are synchronised.",
            Stage::ChooseRouting => "Choose whose mail is routed.",
            Stage::Authorize => "Choose Authorize.",
            Stage::InProgress => "Wait until the plan is applied, or give it up first.",
            Stage::Connected => "Choose Re-connect to change it.",
        }
    }

    fn enter(&mut self, stage: Stage) {
        (self.stage, self.trouble) = (stage, None);
    }

    fn started(&mut self, at: u64) -> Effects {
        let mut effects = Vec::new();
        if self.synchronised_by().is_some() {
            effects.push(Effect::Synchronise);
        }
        if self.stage == Stage::SignedIn && self.consented {
            effects.push(Effect::Prove);
        }
        if let (Stage::InProgress, Some(work)) = (self.stage, &mut self.work) {
            interrupt(work);
            if is_done(work) {
                effects.push(Effect::Apply);
            } else {
                let detail =
                    "The service was started anew while the plan was applied. The administrator's sign-in is never kept over a restart.";
                let mut trouble = Trouble::new("credential", detail, SIGN_IN_AGAIN, at);
                trouble.changed = work.changed();
                self.trouble = Some(trouble);
            }
        }
        effects
    }

    fn authorized(&mut self, goal: Goal, administrator: Administrator, at: u64) -> Result<Effects, Trouble> {
        self.may(goal, at)?;
        let goes_on = self.stage == Stage::InProgress && self.work.as_ref().is_some_and(|work| work.goal == goal);
        if goes_on {
            if let Some(work) = &mut self.work {
                interrupt(work);
            }
        } else {
            self.work = Some(Work { goal, way: Way::Service, notes: Vec::new(), steps: Vec::new(), begun: at, finished: None });
        }
        self.administrator = Some(administrator);
        self.enter(Stage::InProgress);
        Ok(vec![Effect::Synchronise, Effect::Apply])
    }

    fn group_gone(&mut self, choice: Choice, trouble: Trouble, at: u64) -> Effects {
        let changed = self.changed();
        self.leave_half_made(at);
        match choice {
            Choice::People => {
                self.choices.people = None;
                self.enter(Stage::ChoosePeople);
            }
            Choice::Senders => {
                self.choices.senders = None;
                self.enter(Stage::ChooseRouting);
            }
        }
        self.trouble = Some(Trouble { changed, ..trouble });
        vec![Effect::Halt, Effect::ForgetAdministrator, Effect::Synchronise]
    }

    /// A link works once.
    fn redeemed(&mut self, token: &str, at: u64) -> Result<Effects, Trouble> {
        match self.invitation.take() {
            Some(kept) if kept.is_of(token) && at < kept.expires() => Ok(Vec::new()),
            other => {
                self.invitation = other;
                Err(Self::no_invitation(at))
            }
        }
    }

    /// A link that does not work.
    pub(in crate::control) fn no_invitation(at: u64) -> Trouble {
        let detail = "This link does not work: it was used before, has ended, or was replaced by a newer one.";
        Trouble::new("state", detail, "Ask for a new link.", at)
    }

    /// What the work under way has changed.
    fn changed(&self) -> Vec<String> {
        if self.stage == Stage::InProgress { self.work.as_ref().map(Work::changed).unwrap_or_default() } else { Vec::new() }
    }

    /// A plan that ends before its end leaves what it changed, beside what an earlier one left.
    fn leave_half_made(&mut self, at: u64) {
        let mut changed = self.half_made.take().map(|half| half.changed).unwrap_or_default();
        for line in self.changed() {
            if !changed.contains(&line) {
                changed.push(line);
            }
        }
        self.half_made = (!changed.is_empty()).then(|| half_made(changed, self.connected.is_some(), at));
    }

    fn script_ran(&mut self, goal: Goal, plan: Option<Plan>, at: u64) -> Result<Effects, Trouble> {
        self.may(goal, at)?;
        let looked = plan.is_some();
        let Plan { steps, mut notes } = plan.unwrap_or(Plan { steps: Vec::new(), notes: Vec::new() });
        if !looked {
            notes.push(match goal {
                Goal::Connect => {
                    "The script was run, as an administrator says; Signet could not look. The first message proves it.".to_owned()
                }
                Goal::Disconnect => "The script was run, as an administrator says; Signet could not look.".to_owned(),
            });
        }
        let done = |step| StepRecord { step, state: StepState::Done, changed: Vec::new(), done: Some(at) };
        let steps = steps.into_iter().map(done).collect();
        self.work = Some(Work { goal, way: Way::Script, notes, steps, begun: at, finished: None });
        let mut effects = vec![Effect::Halt];
        effects.extend(self.finished(at));
        effects.push(Effect::Synchronise);
        Ok(effects)
    }

    /// The work is through.
    fn finished(&mut self, at: u64) -> Effects {
        let Some(mut work) = self.work.take() else { return Vec::new() };
        (work.finished, self.half_made) = (Some(at), None);
        match work.goal {
            Goal::Connect => {
                (self.connected, self.connected_since) = (Some(self.choices.clone()), Some(at));
                self.enter(Stage::Connected);
            }
            Goal::Disconnect => *self = Self::default(),
        }
        self.work = Some(work);
        vec![Effect::ForgetAdministrator]
    }

    fn abandoned(&mut self, at: u64) -> Effects {
        self.leave_half_made(at);
        if let (Stage::InProgress, Some(work)) = (self.stage, &mut self.work) {
            interrupt(work);
            work.notes.push(
                "It was given up before it was done. What it changed stays until it is applied again, or until Disconnect.".to_owned(),
            );
        }
        self.choices = self.connected.clone().unwrap_or_default();
        self.consented = false;
        self.enter(if self.connected.is_some() { Stage::Connected } else { Stage::Disconnected });
        vec![Effect::Halt, Effect::ForgetAdministrator, Effect::Synchronise]
    }

    fn go_on(&mut self, at: u64) -> Result<Effects, Trouble> {
        match self.stage {
            Stage::InProgress => Ok(vec![Effect::Apply]),
            Stage::SignedIn if self.consented => {
                self.trouble = None;
                Ok(vec![Effect::Prove])
            }
            _ => Err(refused("Nothing is under way.", self.next(), at)),
        }
    }

    /// Events of the work.
    fn worked(&mut self, event: Event, at: u64) -> Result<Effects, Trouble> {
        let Some(work) = self.work.as_mut().filter(|_| self.stage == Stage::InProgress) else {
            return Err(refused("Nothing is being applied.", self.next(), at));
        };
        let (id, state) = match event {
            Event::Finished => return Ok(self.finished(at)),
            Event::Failed(mut trouble) => {
                interrupt(work);
                trouble.changed = work.changed();
                self.trouble = Some(trouble);
                return Ok(Vec::new());
            }
            Event::Noted(note) => {
                work.notes.push(note);
                return Ok(Vec::new());
            }
            Event::Planned(plan) => {
                merge(work, plan);
                self.trouble = None;
                return Ok(Vec::new());
            }
            Event::Running(step) => (step, StepState::Running),
            Event::Again { step, at, reason } => (step, StepState::Again { at, reason }),
            Event::ActionNeeded { step, what } => {
                let makes = |found: &&mut StepRecord| found.step.id == step && matches!(found.step.action, Action::Create | Action::Change);
                // What a step changed before it had to wait, only this text says.
                if let Some(found) = work.steps.iter_mut().find(makes)
                    && !found.changed.contains(&what)
                {
                    found.changed.push(what.clone());
                }
                (step, StepState::ActionNeeded(what))
            }
            Event::Done { step, changed } => {
                if let Some(found) = work.steps.iter_mut().find(|found| found.step.id == step) {
                    found.changed.extend(changed);
                    found.done = Some(at);
                }
                (step, StepState::Done)
            }
            other => return Err(refused(format!("{other:?} is no event of a plan."), self.next(), at)),
        };
        if let Some(found) = work.steps.iter_mut().find(|found| found.step.id == id) {
            found.state = state;
        }
        self.trouble = None;
        Ok(Vec::new())
    }
}

/// Whether every step is done.
pub(in crate::control) fn is_done(work: &Work) -> bool {
    !work.steps.is_empty() && work.steps.iter().all(|step| step.state == StepState::Done)
}

/// What was under way is not any more.
fn interrupt(work: &mut Work) {
    for step in work.steps.iter_mut().filter(|step| matches!(step.state, StepState::Running | StepState::Again { .. })) {
        step.state = StepState::Waiting;
    }
}

/// A plan that was made again keeps what is known of steps that are done. From the first one on that is not done, or that somebody undid, all are
/// done (again): each can be repeated, and builds on the ones before.
fn merge(work: &mut Work, plan: Plan) {
    let known = std::mem::take(&mut work.steps);
    let mut behind = false;
    for step in plan.steps {
        let before = known.iter().find(|before| before.step.id == step.id);
        behind |= step.action != Action::Keep || before.is_none_or(|before| before.state != StepState::Done);
        work.steps.push(match before {
            Some(before) if !behind => before.clone(),
            before => StepRecord {
                step,
                state: StepState::Waiting,
                changed: before.map(|before| before.changed.clone()).unwrap_or_default(),
                done: None,
            },
        });
    }
    for note in plan.notes {
        if !work.notes.contains(&note) {
            work.notes.push(note);
        }
    }
}

#[cfg(test)]
mod tests;
