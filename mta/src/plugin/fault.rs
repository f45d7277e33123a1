//! How loading and calling a plugin can end, other than well: typed outcome classes, so that policy and metrics need no text.

use std::borrow::Cow;

use thiserror::Error;

use super::admission::AdmissionError;

/// One file of the customer's configuration, handed to `configure`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path relative to the configured folder, with `/` between its parts.
    pub name: String,
    /// The file's text.
    pub content: String,
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is accepted, but is probably not what its author meant.
    Warning,
}

/// One finding about the configuration, for the operator to act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Which file.
    pub file: String,
    /// Which line, from 1; 0 when it concerns the whole file.
    pub line: u32,
    /// Which key or element.
    pub key: String,
    /// What is wrong, and a valid example.
    pub message: String,
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Who a plugin is and what it wants to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its name, for logs.
    pub name: String,
    /// Its own version, for logs.
    pub version: String,
    /// Header fields it wants in the facts, lower case.
    pub headers: Vec<String>,
    /// Directory attributes it wants; empty means all.
    pub attributes: Vec<String>,
}

/// An error that the plugin itself reports as its answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PluginError {
    /// What it was configured with does not allow an answer.
    #[error("configuration: {0}")]
    InvalidConfig(String),
    /// The request is understood and not supported.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// Something inside the plugin went wrong.
    #[error("internal: {0}")]
    Internal(String),
    /// A reason that this version of the interface does not name.
    #[error("{0}")]
    Other(String),
}

/// Why a call has no answer. What then happens to the message is the tenant's policy; it is never lost.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The guest stopped on an illegal operation.
    #[error("the plugin trapped: {0}")]
    Trap(String),
    /// It used more processor time than a call may.
    #[error("the plugin exceeded its deadline")]
    Deadline,
    /// It wanted more memory or table space than a call may have.
    #[error("the plugin exceeded its memory limit")]
    Memory,
    /// It called the host too often, or moved too much data, or held too many handles.
    #[error("the plugin exceeded its limit of {0}")]
    HostCalls(Cow<'static, str>),
    /// It answered, but not what the interface allows.
    #[error("the plugin's answer is not usable: {0}")]
    BadOutput(String),
    /// It answered with an error of its own.
    #[error("the plugin refused: {0}")]
    Refused(#[from] PluginError),
    /// It failed so often that it is not called for a while.
    #[error("the plugin failed too often and is not called for now")]
    BreakerOpen,
    /// The host, not the plugin, could not make the call.
    #[error("the plugin host failed: {0}")]
    Host(String),
}

impl Fault {
    /// The outcome class: one word for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::HostCalls(_) => "host-calls",
            Self::BadOutput(_) => "bad-output",
            Self::Refused(_) => "refused",
            Self::BreakerOpen => "breaker-open",
            Self::Host(_) => "host",
        }
    }

    /// Whether the plugin misbehaved, so that the breaker counts it. An error that it reports itself is an answer.
    pub(super) fn counts(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::BreakerOpen | Self::Host(_))
    }
}

/// Why a plugin cannot be used.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The component is not one that this host runs.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// Its imports or exports have the right names and other types.
    #[error("the component's interface differs from what the host offers: {0}; build it against the wit folder of this version")]
    Interface(String),
    /// It does not compile.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// `configure` or `describe` did not answer.
    #[error("{call} did not answer: {fault}")]
    Call {
        /// Which export.
        call: &'static str,
        /// How it ended.
        fault: Fault,
    },
    /// `configure` refuses the files.
    #[error("the plugin refuses its configuration: {}", list(.0))]
    Diagnostics(Vec<Diagnostic>),
    /// What `configure` or `describe` answered is not usable.
    #[error("the plugin's answer to {call} is not usable: {detail}")]
    Answer {
        /// Which export.
        call: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The initialised memory cannot be snapshotted.
    #[error("the configured plugin cannot be snapshotted: {0}")]
    Snapshot(String),
    /// An asset's name cannot be referred to.
    #[error(
        "the asset name `{0}` is not usable; use letters, digits, `.`, `-` and `_`, for example `logo.png`; `person-photo` is the name of everybody's own picture"
    )]
    Asset(String),
    /// The host, not the plugin, failed.
    #[error("the plugin host failed while loading: {0}")]
    Host(String),
}

fn list(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
