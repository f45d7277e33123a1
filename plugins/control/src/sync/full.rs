//! Everybody: users, then groups with their members, first all of them and from then on what has changed.

use serde_json::value::RawValue;
use signet_plugin_sdk::control::{Change, Connection, Problem, Surroundings};

use super::Turn;
use super::batch::{self, Inquiry};
use super::cursor::{Cursor, Partial, Stage};
use super::fetch::{self, Failure, Onward, Place};
use super::object::{self, GROUP_SELECT, Object, Read, Tally, Wrong};
use crate::graph;

/// People who are read again in one call: five requests.
const RE_READ: usize = 5 * batch::SIZE;

/// Users, with the manager's id.
pub(super) fn people() -> Place {
    let query = format!("$select={},manager", object::person_select());
    Place { path: "/users/delta".to_owned(), query, advanced: false, delta: true }
}

/// Groups, with their members' ids.
pub(super) fn groups() -> Place {
    Place { path: "/groups/delta".to_owned(), query: format!("$select={GROUP_SELECT}"), advanced: false, delta: true }
}

/// Reads the next page.
pub(super) fn step(around: &dyn Surroundings, connection: &Connection, mut here: Cursor) -> Result<Turn, Failure> {
    if !here.again.is_empty() {
        return Ok(read_again(around, connection, here)?);
    }
    let subject = subject(here.stage);
    let place = if here.stage == Stage::People { people() } else { groups() };
    let (request, response) = fetch::get(around, connection, &place, here.link.as_deref())?;
    let page = fetch::contents(connection, &place, &request, &response)?;
    if here.begins_whole() {
        here.expected = expected(around, connection);
    }
    let mut tally = Tally::default();
    tally.expect(page.objects.len());
    let mut changes = Vec::with_capacity(page.objects.len());
    for raw in &page.objects {
        let read = match here.stage {
            Stage::People => read_person(raw, &mut here, &mut changes),
            Stage::Groups => read_group(raw, &mut tally, &mut changes),
        };
        if let Err(wrong) = read {
            tally.leave_out(&wrong);
        }
    }
    let notes = tally.note(&request)?.into_iter().collect();
    here.count(page.objects.len());
    let read = here.read();
    let complete = matches!((&page.onward, here.stage), (Onward::Delta(_), Stage::Groups));
    Ok(Turn { cursor: moved(here, page.onward), changes, complete, subject, notes, read })
}

fn read_person(raw: &RawValue, here: &mut Cursor, changes: &mut Vec<Change>) -> Result<(), Wrong> {
    match object::person(&Object::open(raw)?, here.whole)? {
        Read::Person(entry) => changes.push(Change::Person(entry)),
        Read::Nobody(id) => changes.push(Change::PersonRemoved(id)),
        Read::Part(id, manager) => here.again.push(Partial { id, manager }),
    }
    Ok(())
}

fn read_group(raw: &RawValue, tally: &mut Tally, changes: &mut Vec<Change>) -> Result<(), Wrong> {
    changes.extend(object::group(&Object::open(raw)?, tally)?);
    Ok(())
}

/// Where the page leads: on, from people to groups, or to the next round.
fn moved(mut here: Cursor, onward: Onward) -> Cursor {
    match (onward, here.stage) {
        (Onward::Next(link), _) => here.link = Some(link),
        (Onward::Delta(link), Stage::People) => {
            here.people = Some(link);
            here.stage = Stage::Groups;
            here.link.clone_from(&here.groups);
        }
        (Onward::Delta(link), Stage::Groups) => {
            here.groups = Some(link);
            return here.next_round();
        }
        (Onward::End, _) => {}
    }
    here
}

/// Reads people of whom a page had only a part.
fn read_again(around: &dyn Surroundings, connection: &Connection, mut here: Cursor) -> Result<Turn, Problem> {
    let later = here.again.split_off(here.again.len().min(RE_READ));
    let now = std::mem::replace(&mut here.again, later);
    let inquiry = |part: &Partial| Inquiry {
        target: format!("/users/{}?$select={}", graph::encoded(&part.id), object::person_select()),
        advanced: false,
    };
    let mut tally = Tally::default();
    let mut changes = Vec::with_capacity(now.len());
    let mut notes = Vec::new();
    for parts in now.chunks(batch::SIZE) {
        let inquiries: Vec<Inquiry> = parts.iter().map(inquiry).collect();
        let answers = batch::send(around, connection, &inquiries)?;
        tally.expect(parts.len());
        for (part, answer) in parts.iter().zip(answers) {
            match answer.map(|answer| whole_person(&answer.body, part)) {
                Some(Ok(change)) => changes.push(change),
                Some(Err(wrong)) => tally.leave_out(&wrong),
                None => changes.push(Change::PersonRemoved(part.id.clone())),
            }
        }
        notes = tally.note(&inquiries[0].request(connection))?.into_iter().collect();
    }
    here.count(0);
    let read = here.read();
    Ok(Turn { cursor: here, changes, complete: false, subject: subject(Stage::People), notes, read })
}

fn whole_person(body: &[u8], part: &Partial) -> Result<Change, Wrong> {
    let raw: &RawValue = serde_json::from_slice(body).map_err(|_| Wrong("object"))?;
    match object::person(&Object::open(raw)?, false)? {
        Read::Person(mut entry) if entry.id == part.id => {
            entry.manager.clone_from(&part.manager);
            Ok(Change::Person(entry))
        }
        Read::Nobody(id) if id == part.id => Ok(Change::PersonRemoved(id)),
        Read::Part(..) => Err(Wrong("userPrincipalName")),
        Read::Person(_) | Read::Nobody(_) => Err(Wrong("id")),
    }
}

fn subject(stage: Stage) -> &'static str {
    match stage {
        Stage::People => "people",
        Stage::Groups => "groups",
    }
}

/// How many users and groups there are. It is for people who wait, so not being told is no failure.
fn expected(around: &dyn Surroundings, connection: &Connection) -> Option<u64> {
    let count = |path: &str| -> Option<u64> {
        let mut request = graph::advanced(fetch::patient(graph::request(connection, graph::DIRECTORY, "GET", path)));
        // A number is no JSON object: Graph refuses to give it as one.
        request.headers.retain(|(name, _)| name != "Accept");
        request.headers.push(("Accept".to_owned(), "text/plain".to_owned()));
        let response = graph::success(around, &request).ok()?;
        // The service sends a byte order mark before it.
        std::str::from_utf8(&response.body).ok()?.trim_start_matches('\u{feff}').trim().parse().ok()
    };
    count("/users/$count")?.checked_add(count("/groups/$count")?)
}
