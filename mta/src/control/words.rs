//! The words of `wit/control` as the product's own types. They are stored and shown as JSON, so their names are part of the format.
//!
//! Values that came from a plugin were checked and cleaned by `plugin`: no control characters in lines, bounded lengths and counts. Nothing
//! here does anything.

use serde::{Deserialize, Serialize};

/// Whose people are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Synchronisation {
    /// Everybody.
    Full,
    /// The members of one mail-enabled security group, by its id.
    Limited(String),
}

/// Whose mail is routed through Signet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// Every sender inside the organisation.
    AllUsers,
    /// Members of one mail-enabled security group, by its id.
    Group(String),
}

/// One word in a header field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Field name.
    pub name: String,
    /// Field value.
    pub value: String,
}

/// One tenant and what is to be connected; the same record for every call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The tenant's id in the service (a GUID), proven by sign-in.
    pub tenant: String,
    /// Base addresses of the service by name, without a slash at the end.
    pub endpoints: Vec<Word>,
    /// Handles of the credentials that the host can add now.
    pub credentials: Vec<String>,
    /// Whose people.
    pub synchronisation: Synchronisation,
    /// Whose mail.
    pub routing: Routing,
    /// The host name that the service delivers to, and that its certificate bears.
    pub smart_host: String,
    /// The domain name in the certificate with which this tenant's mail is handed back; nobody else's has it.
    pub certificate_domain: String,
    /// The field that Signet adds to what it has processed, with the tenant's secret word.
    pub processed: Word,
    /// A field that the rule sets, by which Signet recognises the tenant; none when it is not demanded.
    pub identification: Option<Word>,
    /// Octets above which a message is not to be routed.
    pub size_limit: u64,
    /// The domains that the operator configured for the tenant, lower case.
    pub domains: Vec<String>,
    /// What a sending domain's SPF record should authorise in addition; empty when nothing.
    pub spf_term: String,
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The tenant has not granted what the call needs.
    Permission,
    /// The credential is refused or missing: somebody must sign in (again).
    Credential,
    /// The service asks to slow down, or does not answer for now.
    Unavailable,
    /// An object that was chosen is not there any more.
    Missing,
    /// An object is there and not of the needed kind.
    Unfit,
    /// A name is taken by an object that is not ours.
    Conflict,
    /// The host does not allow the request.
    Denied,
    /// The service answered what it must not.
    Protocol,
    /// A cause that this version does not name.
    Other(String),
}

/// A failure as a person needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind.
    pub cause: Cause,
    /// What happened, in one or two sentences.
    pub detail: String,
    /// The one next step.
    pub next_step: String,
    /// Seconds after which repeating makes sense; none when it does not without somebody's doing.
    pub wait: Option<u32>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.detail)?;
        if !self.next_step.is_empty() {
            write!(f, " Next step: {}", self.next_step)?;
        }
        Ok(())
    }
}

/// How a person holds the administrator role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Assigned directly and permanently: what is needed.
    Direct,
    /// Activated for a time; until when, as RFC 3339, when that is known.
    Activated(Option<String>),
    /// Through a group.
    ThroughGroup,
    /// Not at all.
    Absent,
    /// A standing that this version does not name.
    Other(String),
}

/// What is known about the administrator's role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Administrator {
    /// How the role is held.
    pub standing: Standing,
    /// Whether configuration may go on.
    pub sufficient: bool,
    /// What this means, in plain words.
    pub explanation: String,
    /// What to do about it, step by step; empty when nothing.
    pub steps: Vec<String>,
    /// The request that decided.
    pub source: String,
}

/// The organisation as the service knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The domain that it was created with, lower case.
    pub initial_domain: String,
    /// Verified domains that mail may come from, lower case.
    pub domains: Vec<String>,
}

/// A group that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
}

/// What the plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// As the connection record says.
    Connect,
    /// Nothing of ours is left.
    Disconnect,
}

/// What a step does to its object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is not there and will be made.
    Create,
    /// It is there and will be changed.
    Change,
    /// It is as it should be.
    Keep,
    /// It will be removed.
    Remove,
    /// Nothing is changed: something is waited for or tried.
    Check,
    /// An action that this version does not name.
    Other(String),
}

/// One property that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Which property.
    pub property: String,
    /// As it is; empty when it is not there.
    pub before: String,
    /// As it will be.
    pub after: String,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name, stable over plans; no other step of the plan has it.
    pub id: String,
    /// For people.
    pub title: String,
    /// Why it is needed, in one sentence.
    pub purpose: String,
    /// What it will do.
    pub action: Action,
    /// How the object differs from what is wanted.
    pub differences: Vec<Difference>,
}

/// What has to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps; those that change nothing are there too.
    pub steps: Vec<Step>,
    /// What an administrator should know before it is applied.
    pub notes: Vec<String>,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is done; what was changed, one line each. Empty when it was done before.
    Done(Vec<String>),
    /// Not yet.
    Again {
        /// Repeat it after that many seconds.
        seconds: u32,
        /// Why.
        reason: String,
    },
    /// Somebody has to do something first: what, in full. Repeat it then.
    ActionNeeded(String),
    /// A message must be sent through the loop and the step repeated with the result: the sender that the rule lets through.
    Probe(String),
    /// An outcome that this version does not name.
    Other(String),
}

/// The host's trial of the loop, for the step that asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// There was none.
    None,
    /// The message came back and was accepted.
    Passed,
    /// It did not; why.
    Failed(String),
}

/// Somebody whose mail may be signed, or a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id, for ever.
    pub id: String,
    /// The primary address first; none when it has no mailbox.
    pub addresses: Vec<String>,
    /// Name and value; names are those that templates use.
    pub attributes: Vec<(String, String)>,
    /// The id of the manager: none when unchanged or unknown, empty when there is no manager.
    pub manager: Option<String>,
}

/// What a page says about the directory. Applying the same change twice is the same as once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A person as a whole: takes the place of what was known, but for the manager when that is none.
    Person(Entry),
    /// A person is gone.
    PersonRemoved(String),
    /// A group's name and addresses; its members stay.
    Group(Entry),
    /// A group is gone.
    GroupRemoved(String),
    /// A member that a group has now.
    Member {
        /// The group's id.
        group: String,
        /// A person's or a group's id.
        member: String,
    },
    /// A member that it no longer has.
    MemberRemoved {
        /// The group's id.
        group: String,
        /// A person's or a group's id.
        member: String,
    },
    /// All members of a group follow in this page and the next ones: forget those known.
    MembersRestart(String),
}

/// How far a long read is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Pages read in this round, this one included.
    pub pages: u32,
    /// Objects read in this round.
    pub objects: u64,
    /// Objects expected in all; none when the service does not say.
    pub expected: Option<u64>,
    /// What is being read.
    pub subject: String,
}

/// A part of a round of synchronisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// In the order in which they are to be applied.
    pub changes: Vec<Change>,
    /// Where to go on; kept together with the changes.
    #[serde(with = "octets")]
    pub cursor: Vec<u8>,
    /// Whether the round is complete.
    pub complete: bool,
    /// Whether the round began anew with this page: everything is read again, and what a complete round did not name is gone.
    pub restarted: bool,
    /// How far it is.
    pub progress: Progress,
    /// What an operator should know, without personal data.
    pub notes: Vec<String>,
}

/// A person's picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photo {
    /// Its media type: `image/jpeg`, `image/png` or `image/gif`, and its content begins like one.
    pub media_type: String,
    /// Its octets.
    #[serde(with = "octets")]
    pub content: Vec<u8>,
    /// A tag that changes with the picture.
    pub tag: String,
}

/// Somebody in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Address.
    pub address: String,
}

/// What a sending domain's SPF record should say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpfAdvice {
    /// The domain.
    pub domain: String,
    /// What is published now; empty when nothing is.
    pub published: String,
    /// The exact record to publish; empty when the published one will do.
    pub publish: String,
    /// Why, in one sentence.
    pub explanation: String,
}

/// How the service differs from what was set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Steps of the plan that are not `keep` or `check`: drift.
    pub drift: Vec<Step>,
    /// Routed, but not synchronised: they get no signature. The first hundred.
    pub routed_only: Vec<Listed>,
    /// How many there are.
    pub routed_only_count: u64,
    /// Synchronised, but not routed: they get none either. The first hundred.
    pub synchronised_only: Vec<Listed>,
    /// How many there are.
    pub synchronised_only_count: u64,
    /// What else an operator should know.
    pub notes: Vec<String>,
}

/// One request of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `GET`, `POST`, `PATCH`, `PUT` or `DELETE`.
    pub method: String,
    /// Absolute, with scheme and host.
    pub url: String,
    /// Names in any case.
    pub headers: Vec<(String, String)>,
    /// None is no body.
    #[serde(with = "some_octets")]
    pub body: Option<Vec<u8>>,
    /// Which credential is added, by its handle.
    pub credential: Option<String>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Decoded from transfer and content coding.
    #[serde(with = "octets")]
    pub body: Vec<u8>,
}

/// Why there is no answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum HttpError {
    /// The request is not on the allow-list, or its address is not public.
    #[error("denied: {0}")]
    Denied(String),
    /// No connection, or it broke; also TLS and name resolution.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The time for one request is over.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is larger than the limit, in octets.
    #[error("the answer is larger than {0} octets")]
    TooLarge(u64),
    /// This call has sent as many requests as it may.
    #[error("a call may send {0} requests")]
    Exhausted(u32),
    /// There is no valid credential for that handle.
    #[error("no credential: {0}")]
    NoCredential(String),
    /// Another reason.
    #[error("{0}")]
    Other(String),
}

/// What a plugin is asked: one value a call, so that it can be recorded and replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// How that person holds the administrator role.
    CheckAdministrator {
        /// Their id.
        person: String,
    },
    /// The organisation, as a proof that the directory can be read.
    ReadOrganisation,
    /// Groups whose name or address begins with `text` and that can be chosen.
    FindGroups {
        /// What was typed.
        text: String,
        /// At most so many.
        limit: u32,
    },
    /// The group of that id, if it can be chosen.
    ReadGroup {
        /// Which.
        id: String,
    },
    /// What has to be done.
    MakePlan {
        /// What for.
        goal: Goal,
    },
    /// Does one step of the plan.
    ApplyStep {
        /// What for.
        goal: Goal,
        /// Which step, by its id.
        step: String,
        /// How the trial went that it asked for.
        trial: Trial,
    },
    /// The same plan as a script.
    WriteScript {
        /// What for.
        goal: Goal,
    },
    /// The next page of the directory.
    SyncPage {
        /// Where the last page ended; none begins the first round.
        #[serde(with = "some_octets")]
        cursor: Option<Vec<u8>>,
    },
    /// The picture of a person.
    ReadPhoto {
        /// Their id.
        person: String,
        /// The tag of the picture that is known.
        tag: Option<String>,
    },
    /// Compares the service with what was set up.
    ReadStatus,
    /// What SPF record a domain should have.
    AdviseSpf {
        /// Which.
        domain: String,
        /// The TXT records that it has.
        published: Vec<String>,
    },
}

impl Call {
    /// Its name in `wit/control`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::CheckAdministrator { .. } => "check-administrator",
            Self::ReadOrganisation => "read-organisation",
            Self::FindGroups { .. } => "find-groups",
            Self::ReadGroup { .. } => "read-group",
            Self::MakePlan { .. } => "make-plan",
            Self::ApplyStep { .. } => "apply-step",
            Self::WriteScript { .. } => "write-script",
            Self::SyncPage { .. } => "sync-page",
            Self::ReadPhoto { .. } => "read-photo",
            Self::ReadStatus => "read-status",
            Self::AdviseSpf { .. } => "advise-spf",
        }
    }
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To `check-administrator`.
    Administrator(Administrator),
    /// To `read-organisation`.
    Organisation(Organisation),
    /// To `find-groups`.
    Groups(Vec<Group>),
    /// To `read-group`.
    Group(Group),
    /// To `make-plan`.
    Plan(Plan),
    /// To `apply-step`.
    Outcome(Outcome),
    /// To `write-script`.
    Script(String),
    /// To `sync-page`.
    Page(Page),
    /// To `read-photo`.
    Photo(Option<Photo>),
    /// To `read-status`.
    Status(Status),
    /// To `advise-spf`.
    SpfAdvice(SpfAdvice),
}

/// Octets in JSON: text where they are UTF-8, which nearly all are, so that a recording can be read; else `{"base64": "..."}`.
pub(super) mod octets {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    pub(super) enum Form {
        Text(String),
        Encoded { base64: String },
    }

    impl From<&[u8]> for Form {
        fn from(octets: &[u8]) -> Self {
            match std::str::from_utf8(octets) {
                Ok(text) => Self::Text(text.to_owned()),
                Err(_) => Self::Encoded { base64: STANDARD.encode(octets) },
            }
        }
    }

    impl Form {
        pub(super) fn into_octets(self) -> Result<Vec<u8>, base64::DecodeError> {
            match self {
                Self::Text(text) => Ok(text.into_bytes()),
                Self::Encoded { base64 } => STANDARD.decode(base64),
            }
        }
    }

    pub(crate) fn serialize<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        Form::from(octets).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Form::deserialize(deserializer)?.into_octets().map_err(D::Error::custom)
    }
}

/// The same for octets that may be absent.
pub(super) mod some_octets {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::octets::Form;

    #[allow(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(octets: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        octets.as_deref().map(Form::from).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let form = Option::<Form>::deserialize(deserializer)?;
        form.map(Form::into_octets).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_text_where_they_can_be_and_come_back_as_they_were() {
        for (body, expected) in
            [(Some(&b"{\"a\":1}"[..]), r#""{\"a\":1}""#), (Some(b"\xff\x00"), r#"{"base64":"/wA="}"#), (Some(b""), r#""""#), (None, "null")]
        {
            let request = Request {
                method: "GET".to_owned(),
                url: String::new(),
                headers: Vec::new(),
                body: body.map(<[u8]>::to_vec),
                credential: None,
            };
            let json = serde_json::to_string(&request).expect("it is JSON");
            assert!(json.contains(&format!("\"body\":{expected}")), "{json}");
            assert_eq!(serde_json::from_str::<Request>(&json).expect("it comes back"), request);
        }
    }
}
