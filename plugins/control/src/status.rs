//! How the tenant differs from what was set up: drift of the mail flow, and who is in one of the two scopes only.
//!
//! Whose people are read and whose mail is routed are two choices. Somebody in one of them only gets no signature, and nobody notices
//! until a customer does; so both lists are shown.

use std::collections::HashSet;

use serde::Deserialize;
use signet_plugin_sdk::control::{Action, Cause, Connection, Listed, Problem, Routing, Status, Surroundings, Synchronisation};

use crate::exchange::EXCHANGE;
use crate::graph::{DIRECTORY, advanced, encoded, json, request};
use crate::mail_flow;

/// People in one list: enough to see who it is, few enough to read.
const LISTED: usize = 100;

/// Pages of one collection, of 999 people each: more than a million people.
const PAGES: usize = 1_100;

/// What a person of a report needs; people without an address send no mail.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    id: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    mail: Option<String>,
    #[serde(default)]
    user_type: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    value: Vec<Person>,
    #[serde(default, rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(default, rename = "@odata.count")]
    count: Option<u64>,
}

impl Person {
    fn sends(&self) -> bool {
        let guest = self.user_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("Guest"));
        !guest && self.mail.as_deref().is_some_and(|mail| !mail.is_empty())
    }

    fn listed(&self) -> Listed {
        Listed { id: self.id.clone(), name: self.display_name.clone().unwrap_or_default(), address: self.mail.clone().unwrap_or_default() }
    }
}

/// People who are in one scope only.
#[derive(Debug, Default, PartialEq)]
struct Only {
    listed: Vec<Listed>,
    count: u64,
}

/// Compares the tenant with what was set up.
pub(crate) fn read(around: &dyn Surroundings, connection: &Connection) -> Result<Status, Problem> {
    let mut notes = Vec::new();
    let (routed, synchronised) = match scopes(around, connection) {
        Ok(only) => only,
        Err(problem) if problem.cause == Cause::Missing => {
            notes.push("A chosen group is not there any more: choose Re-connect and another one.".to_owned());
            Default::default()
        }
        Err(problem) => return Err(problem),
    };
    let drift = drift(around, connection, &mut notes)?;
    Ok(Status {
        drift,
        routed_only: routed.listed,
        routed_only_count: routed.count,
        synchronised_only: synchronised.listed,
        synchronised_only_count: synchronised.count,
        notes,
    })
}

/// Steps that would change something.
fn drift(
    around: &dyn Surroundings,
    connection: &Connection,
    notes: &mut Vec<String>,
) -> Result<Vec<signet_plugin_sdk::control::Step>, Problem> {
    if !connection.credentials.iter().any(|handle| handle == EXCHANGE) {
        notes.push(
            "Connectors and rule were not compared: nobody is signed in for mail flow. A new authorization compares them and sets right what differs.".to_owned(),
        );
        return Ok(Vec::new());
    }
    let (plan, found) = match mail_flow::compare(around, connection) {
        Ok(compared) => compared,
        Err(problem) if matches!(problem.cause, Cause::Missing | Cause::Unfit | Cause::Conflict) => {
            notes.push(format!("{} {}", problem.detail, problem.next_step));
            return Ok(Vec::new());
        }
        Err(problem) => return Err(problem),
    };
    notes.extend(found);
    Ok(plan.steps.into_iter().filter(|step| !matches!(step.action, Action::Keep | Action::Check)).collect())
}

/// Routed only, and synchronised only.
fn scopes(around: &dyn Surroundings, connection: &Connection) -> Result<(Only, Only), Problem> {
    match (&connection.routing, &connection.synchronisation) {
        (Routing::AllUsers, Synchronisation::Full) => Ok(Default::default()),
        (Routing::Group(routed), Synchronisation::Limited(read)) if routed == read => Ok(Default::default()),
        (Routing::AllUsers, Synchronisation::Limited(group)) => {
            Ok((outside(around, connection, &members(around, connection, group)?)?, Only::default()))
        }
        (Routing::Group(group), Synchronisation::Full) => {
            Ok((Only::default(), outside(around, connection, &members(around, connection, group)?)?))
        }
        (Routing::Group(routed), Synchronisation::Limited(read)) => {
            let (routed, read) = (members(around, connection, routed)?, members(around, connection, read)?);
            Ok((less(&routed, &read), less(&read, &routed)))
        }
    }
}

/// Those of one list that are not in the other.
fn less(these: &[Person], others: &[Person]) -> Only {
    let others: HashSet<&str> = others.iter().map(|person| person.id.as_str()).collect();
    let mut only = Only::default();
    for person in these.iter().filter(|person| !others.contains(person.id.as_str())) {
        only.count += 1;
        if only.listed.len() < LISTED {
            only.listed.push(person.listed());
        }
    }
    only
}

/// People of a group and of the groups in it.
fn members(around: &dyn Surroundings, connection: &Connection, group: &str) -> Result<Vec<Person>, Problem> {
    let group = crate::directory::read_group(around, connection, group)?.id;
    let target =
        format!("/groups/{group}/transitiveMembers/microsoft.graph.user?$count=true&$top=999&$select=id,displayName,mail,userType");
    let mut request = advanced(request(connection, DIRECTORY, "GET", &target));
    let mut people = Vec::new();
    for _ in 0..PAGES {
        let page: Page = json(around, &request)?;
        people.extend(page.value.into_iter().filter(Person::sends));
        match page.next {
            Some(next) => request.url = next,
            None => return Ok(people),
        }
    }
    Err(crate::graph::protocol(&request, "has no end"))
}

/// Everybody but those people: counted by the service, and read only until the list is full.
fn outside(around: &dyn Surroundings, connection: &Connection, inside: &[Person]) -> Result<Only, Problem> {
    let inside: HashSet<&str> = inside.iter().map(|person| person.id.as_str()).collect();
    let filter = encoded("userType eq 'Member' and mail ne null");
    let target = format!("/users?$filter={filter}&$count=true&$top=999&$select=id,displayName,mail,userType");
    let mut request = advanced(request(connection, DIRECTORY, "GET", &target));
    let mut only = Only::default();
    let mut all = None;
    for _ in 0..PAGES {
        let page: Page = json(around, &request)?;
        all = all.or(page.count);
        let people = page.value.iter().filter(|person| person.sends() && !inside.contains(person.id.as_str()));
        only.listed.extend(people.take(LISTED - only.listed.len()).map(Person::listed));
        match page.next {
            Some(next) if only.listed.len() < LISTED => request.url = next,
            _ => break,
        }
    }
    let listed = u64::try_from(only.listed.len()).unwrap_or(u64::MAX);
    let inside = u64::try_from(inside.len()).unwrap_or(u64::MAX);
    only.count = all.map_or(listed, |all| all.saturating_sub(inside)).max(listed);
    Ok(only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, GROUP, connection};
    use serde_json::{Value, json};

    const OTHER: &str = "12121212-3434-5656-7878-909090909090";

    fn person(number: usize) -> Value {
        json!({ "id": format!("p{number}"), "displayName": format!("P {number}"), "mail": format!("p{number}@contoso.example"), "userType": "Member" })
    }

    fn group() -> (u16, Value) {
        (200, json!({ "id": GROUP, "mail": "g@contoso.example", "mailEnabled": true, "securityEnabled": true }))
    }

    fn people(numbers: impl IntoIterator<Item = usize>) -> (u16, Value) {
        (200, json!({ "value": numbers.into_iter().map(person).collect::<Vec<_>>() }))
    }

    fn without_exchange(routing: Routing, synchronisation: Synchronisation) -> Connection {
        Connection { routing, synchronisation, credentials: vec!["directory".to_owned()], ..connection() }
    }

    #[test]
    fn people_in_one_scope_only_are_counted_and_the_first_are_named() {
        let one = || Routing::Group(GROUP.to_owned());
        let two = || Synchronisation::Limited(OTHER.to_owned());
        let everybody = (200, json!({ "value": (0..150).map(person).collect::<Vec<_>>(), "@odata.count": 5000 }));
        for (routing, synchronisation, answers, routed, synchronised) in [
            (Routing::AllUsers, Synchronisation::Full, vec![], (0, 0), (0, 0)),
            (one(), Synchronisation::Limited(GROUP.to_owned()), vec![], (0, 0), (0, 0)),
            (one(), two(), vec![group(), people(0..5), group(), people(3..9)], (3, 3), (4, 4)),
            (one(), two(), vec![group(), people(0..300), group(), people(0..1)], (299, 100), (0, 0)),
            (Routing::AllUsers, two(), vec![group(), people(0..20), everybody.clone()], (4980, 100), (0, 0)),
            (one(), Synchronisation::Full, vec![group(), people(0..20), everybody], (0, 0), (4980, 100)),
        ] {
            let fake = Fake::answering(answers);
            let status = read(&fake, &without_exchange(routing, synchronisation)).unwrap();
            assert_eq!((status.routed_only_count, status.routed_only.len()), routed);
            assert_eq!((status.synchronised_only_count, status.synchronised_only.len()), synchronised);
            assert!(fake.finished());
            assert!(status.notes[0].contains("nobody is signed in"), "{:?}", status.notes);
        }
    }

    #[test]
    fn who_sends_no_mail_is_in_no_report_and_a_group_that_is_gone_is_noted() {
        let silent = json!({ "value": [{ "id": "a", "mail": null }, { "id": "b", "mail": "b@x.example", "userType": "Guest" }] });
        let connection = without_exchange(Routing::Group(GROUP.to_owned()), Synchronisation::Limited(OTHER.to_owned()));
        let fake = Fake::answering([group(), (200, silent), group(), people([])]);
        assert_eq!(read(&fake, &connection).unwrap().routed_only_count, 0);
        let fake = Fake::answering([(404, json!({ "error": { "code": "Request_ResourceNotFound" } }))]);
        assert!(read(&fake, &connection).unwrap().notes[0].contains("not there any more"));
    }

    #[test]
    fn drift_is_what_a_plan_would_change() {
        let cloud = crate::testing::Cloud::new();
        let status = cloud.call(|around| read(around, &connection())).unwrap();
        let drift: Vec<_> = status.drift.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(drift, ["certificate-domain", "inbound-connector", "outbound-connector", "rule", "enable"]);
        cloud.add("TransportRule", json!({ "Name": "Messages for Signet", "Comments": "" }));
        let status = cloud.call(|around| read(around, &connection())).unwrap();
        assert!(status.drift.is_empty() && status.notes[0].contains("not made for this connection"), "{status:?}");
    }
}
