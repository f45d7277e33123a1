//! What operators see: log events (`log`), metrics (`metrics`), health, and the small HTTP server that shows the last two (`operations`).
//!
//! A log event is a constant sentence with fixed field names ([`field`]) and one record a message ([`log_message`]); no message content is
//! ever logged. Values that came from outside are [`clean`]ed. Metrics are kept by a recorder that is passed around, so nothing here is
//! global; the one process-wide thing is the tracing subscriber that `main` installs. This module does not decide what is worth saying.

mod health;
mod log;
mod metrics;
mod operations;

use std::borrow::Cow;

use crate::event::MessageEvent;

pub use health::{Health, Readiness};
pub use log::{LogError, LogFormat, LogGuard, LogSettings, subscriber};
pub use metrics::{Metrics, MetricsError};
pub use operations::{router, serve};

/// Names of the fields of log events, the same everywhere.
pub mod field {
    /// What happened, in a word that never changes: `config.reloaded`.
    pub const EVENT: &str = "event";
    /// The whole record of one message, as JSON.
    pub const RECORD: &str = "record";
    /// The message's id.
    pub const ID: &str = "id";
    /// The other end's address.
    pub const PEER: &str = "peer";
    /// The tenant's id.
    pub const TENANT: &str = "tenant";
    /// What went wrong.
    pub const ERROR: &str = "error";
    /// How many configurations were loaded since the start.
    pub const GENERATION: &str = "generation";
    /// SHA-256 of the configuration.
    pub const DIGEST: &str = "digest";
}

/// Longest value in a log event, in characters: one line of a screen, a few times over.
pub const LONGEST_VALUE: usize = 1024;

/// A text from outside as it may be shown: without control characters and characters that change the direction of writing, and cut at `most`
/// characters.
pub fn clean(text: &str, most: usize) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) && text.chars().nth(most).is_none() {
        return Cow::Borrowed(text);
    }
    let mut visible = text.chars().filter(|character| !is_hidden(*character));
    let mut shown: String = visible.by_ref().take(most).collect();
    if visible.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    Cow::Owned(shown)
}

fn is_hidden(character: char) -> bool {
    character.is_control() || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Logs the one record of a message.
pub fn log_message(event: &MessageEvent) {
    match serde_json::to_string(event) {
        Ok(record) => tracing::info!(target: "signet::message", event = "message", record, "message handled"),
        Err(error) => {
            tracing::error!(target: "signet::message", event = "message", id = event.id, %error, "message record cannot be written")
        }
    }
}

#[cfg(test)]
mod tests;
