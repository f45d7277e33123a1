//! What is known about the connection of a tenant, as pages, the API and the command line show it. Plain data without secrets; the JSON of the
//! API is made from it as it stands.
//!
//! Times are milliseconds since 1970-01-01T00:00:00Z.

use serde::{Deserialize, Serialize};

use super::words::{Administrator, Cause, Goal, Group, Organisation, Problem, Progress, Status, Step};

/// How far the connection of a tenant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing is connected.
    Disconnected,
    /// Somebody of the tenant signed in; the consent to read its directory is missing.
    SignedIn,
    /// The directory can be read; whose people are synchronised is to be chosen.
    ChoosePeople,
    /// Whose mail is routed is to be chosen.
    ChooseRouting,
    /// Both are chosen; an administrator has to authorise the change of mail flow, or to run the script.
    Authorize,
    /// Steps of the plan are being applied, or wait for somebody.
    InProgress,
    /// Mail is routed as chosen.
    Connected,
}

/// Whose people are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum People {
    /// Everybody.
    Full,
    /// The members of one mail-enabled security group.
    Limited(Group),
}

/// Whose mail is routed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Senders {
    /// Every sender inside the organisation.
    AllUsers,
    /// Members of one mail-enabled security group.
    Group(Group),
}

/// What was chosen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    /// Whose people.
    pub people: Option<People>,
    /// Whose mail.
    pub senders: Option<Senders>,
}

/// How the plan is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// By Signet, in the name of the administrator who authorised it.
    Service,
    /// By a script that an administrator reads and runs.
    Script,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Its turn has not come.
    Waiting,
    /// It is being done.
    Running,
    /// It is repeated at that time, for that reason.
    Again {
        /// When.
        at: u64,
        /// Why.
        reason: String,
    },
    /// Somebody has to do something first.
    ActionNeeded(String),
    /// It is done.
    Done,
}

/// A step and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// As the plan has it.
    pub step: Step,
    /// How far it is.
    pub state: StepState,
    /// What it changed, one line each.
    pub changed: Vec<String>,
    /// When it was done.
    pub done: Option<u64>,
}

/// A plan that is or was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// What for.
    pub goal: Goal,
    /// How.
    pub way: Way,
    /// What an administrator should know.
    pub notes: Vec<String>,
    /// In order.
    pub steps: Vec<StepRecord>,
    /// When it was begun.
    pub begun: u64,
    /// When the last step was done.
    pub finished: Option<u64>,
}

impl Work {
    /// Everything that was changed so far, one line each.
    pub fn changed(&self) -> Vec<String> {
        self.steps.iter().flat_map(|step| step.changed.iter().cloned()).collect()
    }
}

/// What went wrong: what happened, what was changed so far, and the one next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Trouble {
    /// A word for programs: `declined`, `wrong-tenant`, `state`, `permission`, `credential`, `role`, `missing`, `unfit`, `conflict`,
    /// `unavailable`, `denied`, `protocol`, `stage`, `half-made`, `unknown-tenant`, `shrunk`, `store`, `fault`.
    pub kind: String,
    /// What happened, in one or two sentences. No secrets.
    pub detail: String,
    /// What was changed in the tenant so far by what failed, one line each; empty when nothing.
    pub changed: Vec<String>,
    /// The one next step.
    pub next_step: String,
    /// The steps of that one step, where it takes several; empty otherwise.
    pub steps: Vec<String>,
    /// When.
    pub at: u64,
}

impl Trouble {
    /// Trouble without changes and further steps.
    pub fn new(kind: &str, detail: impl Into<String>, next_step: impl Into<String>, at: u64) -> Self {
        let (kind, detail, next_step) = (kind.to_owned(), detail.into(), next_step.into());
        Self { kind, detail, changed: Vec::new(), next_step, steps: Vec::new(), at }
    }

    /// A plugin's problem.
    pub fn of(problem: &Problem, at: u64) -> Self {
        let kind = match &problem.cause {
            Cause::Permission => "permission",
            Cause::Credential => "credential",
            Cause::Unavailable => "unavailable",
            Cause::Missing => "missing",
            Cause::Unfit => "unfit",
            Cause::Conflict => "conflict",
            Cause::Denied => "denied",
            Cause::Protocol => "protocol",
            Cause::Other(_) => "fault",
        };
        Self::new(kind, problem.detail.clone(), problem.next_step.clone(), at)
    }
}

/// How the synchronisation of a tenant is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synchronised {
    /// Whether a round is being read now.
    pub running: bool,
    /// How far that is.
    pub progress: Option<Progress>,
    /// Seconds until the round is complete, at the pace so far; none when that cannot be said.
    pub seconds_left: Option<u64>,
    /// When the last complete round ended; the directory in use is as it was then.
    pub complete: Option<u64>,
    /// When the next round begins.
    pub next: Option<u64>,
    /// People in the directory in use.
    pub people: u64,
    /// Groups in it.
    pub groups: u64,
    /// Why the last round came to nothing; the directory of the last complete one stays in use.
    pub trouble: Option<Trouble>,
    /// What an operator should know, without personal data.
    pub notes: Vec<String>,
}

/// How the service differs from what was set up, as far as that could be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Whether connectors and rule were compared: only while an administrator's authorisation has not ended.
    pub compared: bool,
    /// What was found.
    #[serde(flatten)]
    pub status: Status,
}

/// Everything about one tenant's connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// The tenant's id: its GUID at Microsoft.
    pub tenant: String,
    /// Its name in the configuration.
    pub name: String,
    /// How far.
    pub stage: Stage,
    /// As the service knows it; none before the consent.
    pub organisation: Option<Organisation>,
    /// Who signed in last, by name.
    pub signed_in: Option<String>,
    /// Chosen, and not in force yet when that is another one than `connected`.
    pub choices: Choices,
    /// What mail is routed by now; none while nothing is connected.
    pub connected: Option<Choices>,
    /// Since when.
    pub connected_since: Option<u64>,
    /// How the last administrator who authorised holds the role.
    pub administrator: Option<Administrator>,
    /// The plan that is or was applied last.
    pub work: Option<Work>,
    /// What went wrong last and was not overcome since.
    pub trouble: Option<Trouble>,
    /// How the people are.
    pub synchronised: Synchronised,
    /// What an operator should know: certificates that expire, for example.
    pub warnings: Vec<String>,
}
