//! People, groups and pictures of a tenant, a page a call.
//!
//! | module | does |
//! |---|---|
//! | `cursor` | where a round is; all that is kept between two calls |
//! | `fetch` | one page of a collection: its links, and what an expired link looks like |
//! | `object` | one user or group, as people and templates know it |
//! | `batch` | several requests in one |
//! | `full` | everybody: a first round, then what has changed (Graph, "delta query overview") |
//! | `limited` | the members of one group, everything anew in each round |
//! | `photo` | a person's picture |
//!
//! What follows from the contract (`wit/control`) and from what Graph documents:
//!
//! - A call that fails leaves the cursor where it was, so repeating it is safe; and every change may be applied twice.
//! - A link that the service has forgotten begins a round in which everything is read again. Nothing is removed here for that: the host
//!   compares what a complete round named (people, groups, members) with what it knew.
//! - Members are pairs of ids. They come in any order, before or after the person or group they name, and for people that are none here
//!   (without a mailbox, from another tenant). A host that forgets them because it does not know the person loses a membership
//!   that is not told again when the person gets a mailbox.
//! - Graph leaves out properties that were never set and gives null for cleared ones; asked without `return=minimal`, it gives all others.
//!   So a property that is not there is empty. `userPrincipalName` is never empty: a user without it is a part of one and is read again.

mod batch;
mod cursor;
mod fetch;
mod full;
mod limited;
mod object;
mod photo;
#[cfg(test)]
pub(crate) mod tests;

use signet_plugin_sdk::control::{Cause, Change, Connection, Page, Problem, Progress, Surroundings, Synchronisation};

use self::cursor::Cursor;
use self::fetch::Failure;
pub(crate) use self::photo::photo;

/// Milliseconds between two rounds that had to begin anew: reading a large directory in circles would use up the tenant's requests.
const RESTART_PAUSE: u64 = 5 * 60 * 1000;

/// Pages of one round. Graph gives about two hundred objects a page, so this is far more than any directory has.
const PAGE_LIMIT: u32 = 100_000;

/// What a step came to.
struct Turn {
    /// Where to go on.
    cursor: Cursor,
    changes: Vec<Change>,
    complete: bool,
    /// What was being read.
    subject: &'static str,
    notes: Vec<String>,
    /// Pages and objects of the round, and how many are expected.
    read: (u32, u64, Option<u64>),
}

/// The next page of the directory.
pub(crate) fn page(around: &dyn Surroundings, connection: &Connection, cursor: Option<&[u8]>) -> Result<Page, Problem> {
    let known = cursor.and_then(|octets| Cursor::open(connection, octets));
    let foreign = cursor.is_some() && known.is_none();
    let mut notes = Vec::new();
    if foreign {
        notes.push("The settings or the version have changed since the last page: everything is read again.".to_owned());
    }
    let here = known.unwrap_or_else(|| Cursor::begin(connection));
    let first = here.begins_whole();
    match step(around, connection, here.clone()) {
        Ok(turn) => Ok(finished(turn, first, notes)),
        Err(Failure::Problem(problem)) => Err(problem),
        Err(Failure::Expired(problem)) => {
            let anew = begin_anew(around, connection, &here, problem)?;
            notes.push("The service has forgotten where the last page ended: everything is read again.".to_owned());
            step(around, connection, anew).map(|turn| finished(turn, true, notes)).map_err(Failure::into_problem)
        }
    }
}

fn step(around: &dyn Surroundings, connection: &Connection, here: Cursor) -> Result<Turn, Failure> {
    if here.pages >= PAGE_LIMIT {
        return Err(Failure::Expired(Problem {
            cause: Cause::Protocol,
            detail: format!("a round has more than {PAGE_LIMIT} pages: its links go in circles"),
            next_step: WAITING.to_owned(),
            wait: None,
        }));
    }
    match &connection.synchronisation {
        Synchronisation::Full => full::step(around, connection, here),
        Synchronisation::Limited(group) => limited::step(around, connection, here, group),
    }
}

/// A cursor for a new round, unless the last one that had to begin anew is too short ago.
fn begin_anew(around: &dyn Surroundings, connection: &Connection, here: &Cursor, expired: Problem) -> Result<Cursor, Problem> {
    let now = around.now();
    let earliest = here.restarted.saturating_add(RESTART_PAUSE);
    // A clock that was set back must not delay it longer than the pause.
    if here.restarted > 0 && here.restarted <= now && now < earliest {
        let wait = u32::try_from((earliest - now).div_ceil(1000)).unwrap_or(u32::MAX);
        let detail = format!("{}; it began anew less than {} minutes ago", expired.detail, RESTART_PAUSE / 60_000);
        return Err(Problem { cause: Cause::Unavailable, detail, next_step: WAITING.to_owned(), wait: Some(wait) });
    }
    Ok(Cursor { restarted: now, ..Cursor::begin(connection) })
}

/// The next step when there is nothing to do.
const WAITING: &str = "Nothing: it is tried again by itself.";

fn finished(turn: Turn, restarted: bool, mut notes: Vec<String>) -> Page {
    let (pages, objects, expected) = turn.read;
    notes.extend(turn.notes);
    Page {
        changes: turn.changes,
        cursor: turn.cursor.to_octets(),
        complete: turn.complete,
        restarted,
        progress: Progress { pages, objects, expected: expected.map(|expected| expected.max(objects)), subject: turn.subject.to_owned() },
        notes,
    }
}
