//! Where a client goes on: next links and delta links, kept here so that they mean nothing to others.

use crate::random::Id;
use crate::tenant::Kind;

/// A place to go on from.
#[derive(Debug, Clone)]
pub(crate) enum Cursor {
    /// In a list: path and query of the first request, and how far it came.
    List { path: String, query: String, position: usize },
    /// In a delta round, or after it.
    Delta(DeltaCursor),
}

/// A place in a delta round.
#[derive(Debug, Clone)]
pub(crate) struct DeltaCursor {
    pub(crate) tenant: String,
    pub(crate) kind: Kind,
    pub(crate) select: Option<Vec<String>>,
    pub(crate) ids: Vec<Id>,
    pub(crate) minimal: bool,
    /// Changes from here; none reads everything.
    pub(crate) from: Option<usize>,
    /// Changes up to here, where the next round begins.
    pub(crate) to: usize,
    /// Items, or objects and members of the one under way, that were given.
    pub(crate) position: (usize, usize),
    /// Pages that were given.
    pub(crate) page: usize,
    /// When the link was given, in milliseconds.
    pub(crate) issued: i64,
    /// Whether the round is over, so that the link is a delta link.
    pub(crate) complete: bool,
    pub(crate) expired: bool,
}
