//! Where a round is: an opaque text for the host, all that is kept between two calls.
//!
//! A cursor that this version cannot use (another version, another tenant, other settings, links to another place) is no error: the
//! round begins anew.

use serde::{Deserialize, Serialize};
use signet_plugin_sdk::control::{Connection, Synchronisation};

use super::fetch::{self, Place};
use super::full;
use crate::graph;

/// To be raised when the shape below changes, or what is asked for (`$select`): links of Graph remember the properties they were asked for.
const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    pub(super) version: u32,
    /// Whose directory, where, and which part of it.
    pub(super) scope: String,
    /// What is being read.
    pub(super) stage: Stage,
    /// Where to go on in it; none at its beginning.
    pub(super) link: Option<String>,
    /// Where the next round begins, for people and for groups.
    pub(super) people: Option<String>,
    pub(super) groups: Option<String>,
    /// Whether this round reads everything, and not only what has changed.
    pub(super) whole: bool,
    /// People of whom only a part was given, to be read before anything else.
    pub(super) again: Vec<Partial>,
    /// Pages and objects read in this round, and objects expected.
    pub(super) pages: u32,
    pub(super) objects: u64,
    pub(super) expected: Option<u64>,
    /// When a round had to begin anew, in milliseconds since 1970; 0 for never.
    pub(super) restarted: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    People,
    Groups,
}

/// Somebody to be read again, with what is known of the manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Partial {
    pub(super) id: String,
    pub(super) manager: Option<String>,
}

impl Cursor {
    /// The beginning of a round that reads everything.
    pub(super) fn begin(connection: &Connection) -> Self {
        Self {
            version: VERSION,
            scope: scope(connection),
            stage: Stage::People,
            link: None,
            people: None,
            groups: None,
            whole: true,
            again: Vec::new(),
            pages: 0,
            objects: 0,
            expected: None,
            restarted: 0,
        }
    }

    /// The beginning of a round that reads what has changed.
    pub(super) fn next_round(&self) -> Self {
        let kept = self.clone();
        Self { stage: Stage::People, link: kept.people.clone(), whole: false, pages: 0, objects: 0, expected: None, ..kept }
    }

    /// Reads what [`Cursor::to_octets`] wrote; none when it is of no use for this connection.
    pub(super) fn open(connection: &Connection, octets: &[u8]) -> Option<Self> {
        let cursor: Self = serde_json::from_slice(octets).ok()?;
        let ours = cursor.version == VERSION && cursor.scope == scope(connection) && cursor.leads_to_service(connection);
        ours.then_some(cursor)
    }

    /// The host keeps it.
    pub(super) fn to_octets(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether nothing was read yet of a round that reads everything.
    pub(super) fn begins_whole(&self) -> bool {
        self.whole && self.pages == 0
    }

    /// Counts a page.
    pub(super) fn count(&mut self, objects: usize) {
        self.pages = self.pages.saturating_add(1);
        self.objects = self.objects.saturating_add(objects as u64);
    }

    /// The numbers for [`super::Turn::read`].
    pub(super) fn read(&self) -> (u32, u64, Option<u64>) {
        (self.pages, self.objects, self.expected)
    }

    fn leads_to_service(&self, connection: &Connection) -> bool {
        let leads = |link: &Option<String>, place: &Place| link.as_ref().is_none_or(|link| fetch::leads_to(connection, place, link));
        match (&connection.synchronisation, self.stage) {
            (Synchronisation::Full, stage) => {
                let current = if stage == Stage::People { full::people() } else { full::groups() };
                leads(&self.link, &current) && leads(&self.people, &full::people()) && leads(&self.groups, &full::groups())
            }
            (Synchronisation::Limited(group), Stage::People) => leads(&self.link, &super::limited::members(group)),
            (Synchronisation::Limited(_), Stage::Groups) => false,
        }
    }
}

fn scope(connection: &Connection) -> String {
    let part = match &connection.synchronisation {
        Synchronisation::Full => "everybody",
        Synchronisation::Limited(group) => group,
    };
    format!("{} {} {part}", connection.tenant, graph::url(connection, ""))
}
