//! The members of one group, and only theirs: nobody else's data is asked for, not even to be thrown away.
//!
//! A delta query cannot be kept to a group's members (a filter takes fifty ids), so every round reads everything. Groups and manager are read
//! for each person, which needs two requests in a batch: an advanced query takes no `$expand`. Of a manager only the id is read.

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use signet_plugin_sdk::control::{Cause, Change, Connection, Entry, Problem, Response, Surroundings};

use super::Turn;
use super::batch::{self, Inquiry};
use super::cursor::Cursor;
use super::fetch::{self, Failure, Onward, Place};
use super::object::{self, Object, Read, Tally, Wrong};
use crate::graph;

/// People a page: with two requests for each in batches of twenty, a call sends five requests.
const PEOPLE: usize = 40;

/// Groups on one page of a person's groups; the most that Graph gives.
const GROUPS: usize = 999;

/// Pages of one person's groups. Nobody can be in more than a few thousand groups, but pages may be empty and lead on.
const GROUP_PAGES: usize = 32;

/// Requests for one person.
const FOR_ONE: usize = 2;

/// What is asked of a person's groups.
const GROUP_SELECT: &str = "id,displayName,mail";

/// The users in a group, also through groups in it.
pub(super) fn members(group: &str) -> Place {
    Place {
        path: format!("/groups/{}/transitiveMembers/microsoft.graph.user", graph::encoded(group)),
        query: format!("$select={}&$count=true&$top={PEOPLE}", object::person_select()),
        advanced: true,
        delta: false,
    }
}

/// The groups that a person is in, also through groups.
fn memberships(person: &str) -> Place {
    Place {
        path: format!("/users/{}/transitiveMemberOf/microsoft.graph.group", graph::encoded(person)),
        query: format!("$select={GROUP_SELECT}&$count=true&$top={GROUPS}"),
        advanced: true,
        delta: false,
    }
}

/// Reads the next page.
pub(super) fn step(around: &dyn Surroundings, connection: &Connection, mut here: Cursor, group: &str) -> Result<Turn, Failure> {
    if here.begins_whole() {
        check(around, connection, group)?;
    }
    let place = members(group);
    let (request, response) = fetch::get(around, connection, &place, here.link.as_deref())?;
    let page = fetch::contents(connection, &place, &request, &response)?;
    let mut tally = Tally::default();
    tally.expect(page.objects.len());
    let mut changes = Vec::new();
    let mut people = Vec::new();
    for raw in &page.objects {
        match Object::open(raw).and_then(|object| object::person(&object, false)) {
            Ok(Read::Person(entry)) => people.push(entry),
            Ok(Read::Nobody(id)) => changes.push(Change::PersonRemoved(id)),
            Ok(Read::Part(..)) => tally.leave_out(&Wrong("userPrincipalName")),
            Err(wrong) => tally.leave_out(&wrong),
        }
    }
    let notes = tally.note(&request)?.into_iter().collect();
    changes.extend(related(around, connection, people)?);
    here.count(page.objects.len());
    here.expected = page.count.or(here.expected);
    let read = here.read();
    let (cursor, complete) = match page.onward {
        Onward::Next(link) => (Cursor { link: Some(link), ..here }, false),
        Onward::Delta(_) | Onward::End => (Cursor { restarted: here.restarted, ..Cursor::begin(connection) }, true),
    };
    Ok(Turn { cursor, changes, complete, subject: "people", notes, read })
}

/// Whether the group is there and still one that can be chosen: mail-enabled, for security, and no Microsoft 365 group (which can be
/// both as well).
fn check(around: &dyn Surroundings, connection: &Connection, group: &str) -> Result<(), Problem> {
    let target = format!("/groups/{}?$select=id,displayName,mailEnabled,securityEnabled,groupTypes", graph::encoded(group));
    let request = fetch::patient(graph::request(connection, graph::DIRECTORY, "GET", &target));
    let response = graph::success(around, &request).map_err(|problem| match problem.cause {
        Cause::Missing => Problem {
            detail: format!("The group of the synchronisation is not there any more: {}", problem.detail),
            next_step: "Choose Re-connect and select another group; until then the people known last stay.".to_owned(),
            ..problem
        },
        _ => problem,
    })?;
    let wrong = |wrong: Wrong| graph::protocol(&request, &format!("has a wrong type in {}", wrong.0));
    let raw: &RawValue = serde_json::from_slice(&response.body).map_err(|_| wrong(Wrong("object")))?;
    let object = Object::open(raw).map_err(wrong)?;
    let flag = |name: &'static str| object.value::<bool>(name).map(|value| value == Some(true)).map_err(wrong);
    let types: Vec<String> = object.value("groupTypes").map_err(wrong)?.unwrap_or_default();
    let unified = types.iter().any(|kind| kind.eq_ignore_ascii_case("Unified"));
    if flag("mailEnabled")? && flag("securityEnabled")? && !unified {
        return Ok(());
    }
    let name: String = object.value("displayName").map_err(wrong)?.unwrap_or_default();
    Err(Problem {
        cause: Cause::Unfit,
        detail: format!("The group `{name}` of the synchronisation is not a mail-enabled security group any more."),
        next_step: "Choose Re-connect and select a mail-enabled security group; until then the people known last stay.".to_owned(),
        wait: None,
    })
}

/// The people with their manager, the groups that they are in, and that they are in them.
fn related(around: &dyn Surroundings, connection: &Connection, people: Vec<Entry>) -> Result<Vec<Change>, Problem> {
    let mut changes = Vec::new();
    let mut known = BTreeSet::new();
    let mut people = people.into_iter().peekable();
    while people.peek().is_some() {
        let some: Vec<Entry> = people.by_ref().take(batch::SIZE / FOR_ONE).collect();
        let inquiries: Vec<Inquiry> = some.iter().flat_map(|person| inquiries(&person.id)).collect();
        let answers = batch::send(around, connection, &inquiries)?;
        for ((mut person, answers), asked) in some.into_iter().zip(answers.chunks(FOR_ONE)).zip(inquiries.chunks(FOR_ONE)) {
            // Without groups there is no such person: deleted since the page was made.
            let [Some(groups), manager] = answers else { continue };
            let groups = all_groups(around, connection, &person.id, groups)?;
            person.manager = Some(manager.as_ref().map_or(Ok(String::new()), |manager| {
                manager_id(manager).map_err(|_| graph::protocol(&asked[1].request(connection), "is no manager"))
            })?);
            let id = person.id.clone();
            changes.push(Change::Person(person));
            for group in groups {
                let group_id = group.id.clone();
                if known.insert(group_id.clone()) {
                    changes.push(Change::Group(group));
                }
                changes.push(Change::Member((group_id, id.clone())));
            }
        }
    }
    Ok(changes)
}

fn inquiries(person: &str) -> [Inquiry; FOR_ONE] {
    let groups = memberships(person);
    [
        Inquiry { target: format!("{}?{}", groups.path, groups.query), advanced: true },
        Inquiry { target: format!("/users/{}/manager?$select=id", graph::encoded(person)), advanced: false },
    ]
}

fn manager_id(response: &Response) -> Result<String, Wrong> {
    let raw: &RawValue = serde_json::from_slice(&response.body).map_err(|_| Wrong("object"))?;
    Object::open(raw)?.id()
}

/// All groups of a person, whose first page is in the batch. One that cannot be read fails the page: somebody with fewer groups than there
/// are could get the wrong signature.
fn all_groups(around: &dyn Surroundings, connection: &Connection, person: &str, first: &Response) -> Result<Vec<Entry>, Problem> {
    let place = memberships(person);
    let mut request = graph::request(connection, graph::DIRECTORY, "GET", &place.path);
    let mut response = first.clone();
    let mut groups = Vec::new();
    for _ in 0..GROUP_PAGES {
        let page = fetch::contents(connection, &place, &request, &response)?;
        for raw in &page.objects {
            let entry = Object::open(raw).and_then(|object| object::group_entry(&object, &object.id()?));
            groups.push(entry.map_err(|wrong| graph::protocol(&request, &format!("has a wrong type in {}", wrong.0)))?);
        }
        let Onward::Next(link) = page.onward else { return Ok(groups) };
        (request, response) = fetch::get(around, connection, &place, Some(&link)).map_err(Failure::into_problem)?;
    }
    Err(graph::protocol(&request, &format!("is page {GROUP_PAGES} of one person's groups, and there are more")))
}
