//! The mail flow of a tenant as a plan: what is there, what is wanted, and the steps from one to the other.
//!
//! | step | connect | disconnect |
//! |---|---|---|
//! | `certificate-domain` | 1: add and verify it | 6: remove it, if we added it |
//! | `accepted-domain` | 2: wait until Exchange Online knows it | |
//! | `inbound-connector` | 3 | 5 |
//! | `outbound-connector` | 4 | 4 |
//! | `rule` | 5: created disabled | 3 |
//! | `probe` | 6: one message through the loop | |
//! | `enable` | 7: switch the rule on | 1: switch it off |
//! | `settle` | | 2: wait until no server uses it any more |
//!
//! The rule's place among others is chosen once, at its creation: first, because it ends the processing and the message comes back, so
//! that every other rule sees it exactly once and signed. Later the order is the administrator's.
//! Nothing here touches a list of allowed addresses.

mod apply;
mod domain;
pub(crate) mod objects;
pub(crate) mod script;
#[cfg(test)]
mod tests;

use serde_json::Value as Json;
use signet_plugin_sdk::control::{Action, Cause, Connection, Difference, Goal, Plan, Problem, Routing, Step, Surroundings};

pub(crate) use apply::apply_step;
use objects::{Kind, Scope, all, changes, differences, ours, text};

use crate::directory::read_group;
use crate::exchange::{Object, invoke};
use crate::graph::ADMINISTRATOR;

/// The local part of the sender that is let through while the loop is tried.
const PROBE: &str = "signet-probe";

/// What is there of ours, and what else matters.
struct Present {
    accepted: bool,
    inbound: Option<Object>,
    outbound: Option<Object>,
    rule: Option<Object>,
    rules: Vec<Object>,
}

/// Reads what is there.
fn read(around: &dyn Surroundings, connection: &Connection) -> Result<Present, Problem> {
    let of = |kind| -> Result<(Option<Object>, Vec<Object>), Problem> {
        let objects = all(around, connection, kind)?;
        Ok((ours(around, connection, kind, &objects)?.cloned(), objects))
    };
    let (rule, rules) = of(Kind::Rule)?;
    Ok(Present { accepted: is_accepted(around, connection)?, inbound: of(Kind::Inbound)?.0, outbound: of(Kind::Outbound)?.0, rule, rules })
}

/// Whether Exchange Online takes the certificate domain for one of the tenant's.
fn is_accepted(around: &dyn Surroundings, connection: &Connection) -> Result<bool, Problem> {
    let parameters = Object::from_iter([("ResultSize".to_owned(), Json::from("Unlimited"))]);
    let domains = invoke(around, connection, "Get-AcceptedDomain", parameters)?.objects;
    Ok(domains.iter().any(|domain| text(domain, "DomainName").eq_ignore_ascii_case(&connection.certificate_domain)))
}

/// Who is to be let through by the rule, with the group's address as the directory has it now.
fn scope(around: &dyn Surroundings, connection: &Connection) -> Result<Scope, Problem> {
    match &connection.routing {
        Routing::AllUsers => Ok(Scope::Everybody),
        Routing::Group(id) => Ok(Scope::Members(read_group(around, connection, id)?.address)),
    }
}

/// What has to be done.
pub(crate) fn make_plan(around: &dyn Surroundings, connection: &Connection, goal: &Goal) -> Result<Plan, Problem> {
    let present = read(around, connection)?;
    match goal {
        Goal::Connect => connect(around, connection, &present),
        Goal::Disconnect => Ok(disconnect(around, connection, &present)),
        Goal::Other(other) => Err(unknown("goal", other)),
    }
}

/// The plan to connect, with notes on what was found there already.
pub(crate) fn compare(around: &dyn Surroundings, connection: &Connection) -> Result<(Plan, Vec<String>), Problem> {
    let present = read(around, connection)?;
    Ok((connect(around, connection, &present)?, notes(&present)))
}

pub(crate) fn unknown(what: &str, name: &str) -> Problem {
    Problem {
        cause: Cause::Unfit,
        detail: format!("There is no {what} {name:?}."),
        next_step: "Update the plugin, or Signet, so that both speak of the same.".to_owned(),
        wait: None,
    }
}

fn step(id: &str, action: Action, differences: Vec<Difference>) -> Step {
    let (title, purpose) = match id {
        "certificate-domain" => {
            ("Certificate domain", "Exchange Online takes mail back only from a certificate with a domain of this tenant.")
        }
        "accepted-domain" => {
            ("Certificate domain in Exchange Online", "A new domain reaches Exchange Online some minutes after the directory.")
        }
        "inbound-connector" => {
            ("Connector from Signet", "It takes signed mail back, by the certificate that only this tenant's mail is returned with.")
        }
        "outbound-connector" => ("Connector to Signet", "It takes mail to Signet, over TLS to a host that proves its name."),
        "rule" => ("Mail-flow rule", "It chooses the messages that go to Signet, and leaves those alone that have been there."),
        "probe" => ("Trial", "One message goes through the loop before anybody's mail does."),
        "enable" => ("Rule switched on or off", "From here on mail goes through Signet, or no longer does."),
        _ => ("Waiting", "The rule may be in use for up to an hour after it was switched off; what it needs must stay that long."),
    };
    Step { id: id.to_owned(), title: title.to_owned(), purpose: purpose.to_owned(), action, differences }
}

/// The step that makes or changes an object.
fn ensured(connection: &Connection, kind: Kind, object: Option<&Object>, wanted: Vec<objects::Setting>) -> Step {
    match object {
        None => step(kind.step(), Action::Create, differences(None, &wanted)),
        Some(found) => {
            let changes = changes(connection, kind, found, wanted);
            let action = if changes.is_empty() { Action::Keep } else { Action::Change };
            step(kind.step(), action, differences(object, &changes))
        }
    }
}

fn connect(around: &dyn Surroundings, connection: &Connection, present: &Present) -> Result<Plan, Problem> {
    let domain = if present.accepted { Action::Keep } else { domain::planned(around, connection)? };
    let scope = scope(around, connection)?;
    let connector = present.outbound.as_ref().map_or((Kind::Outbound.name().to_owned(), String::new()), apply::reference);
    let enabled = present.rule.as_ref().is_some_and(is_enabled);
    let tried = apply::tried(around, connection);
    let mut steps = vec![
        step("certificate-domain", domain, Vec::new()),
        step("accepted-domain", if present.accepted { Action::Keep } else { Action::Check }, Vec::new()),
        ensured(connection, Kind::Inbound, present.inbound.as_ref(), objects::inbound(connection)),
        ensured(connection, Kind::Outbound, present.outbound.as_ref(), objects::outbound(connection)),
        ensured(connection, Kind::Rule, present.rule.as_ref(), objects::rule(connection, connector, &scope)),
        step("probe", if tried { Action::Keep } else { Action::Check }, Vec::new()),
    ];
    steps.push(if enabled {
        step("enable", Action::Keep, Vec::new())
    } else {
        step("enable", Action::Change, switched("Disabled", "Enabled"))
    });
    let mut notes = vec![format!(
        "While the loop is tried, the rule is on for {} only. The new settings reach all of Exchange Online's servers within an hour.",
        probe_sender(connection)
    )];
    if present.rule.is_none() {
        notes.push("The rule becomes the first one: every other rule then sees each message once, when it comes back signed.".to_owned());
    }
    notes.extend(order(present));
    Ok(Plan { steps, notes })
}

fn disconnect(around: &dyn Surroundings, connection: &Connection, present: &Present) -> Plan {
    let removed =
        |kind: Kind, object: &Option<Object>| step(kind.step(), if object.is_some() { Action::Remove } else { Action::Keep }, Vec::new());
    let on = present.rule.as_ref().is_some_and(is_enabled);
    let ours = domain::is_ours(around, connection);
    let administrator = connection.credentials.iter().any(|handle| handle == ADMINISTRATOR);
    let steps = vec![
        if on { step("enable", Action::Change, switched("Enabled", "Disabled")) } else { step("enable", Action::Keep, Vec::new()) },
        step("settle", if present.rule.is_some() { Action::Check } else { Action::Keep }, Vec::new()),
        removed(Kind::Rule, &present.rule),
        removed(Kind::Outbound, &present.outbound),
        removed(Kind::Inbound, &present.inbound),
        step("certificate-domain", if ours { Action::Remove } else { Action::Keep }, Vec::new()),
    ];
    let mut notes =
        vec!["From the first step on, new mail leaves without a signature; mail that is in Signet comes back until the last.".to_owned()];
    let name = &connection.certificate_domain;
    if !ours && present.accepted {
        notes.push(format!(
            "The domain {name} stays: this connection did not add it. Remove it in the Microsoft 365 admin center if nothing else uses it."
        ));
    } else if ours && !administrator {
        notes.push(format!("Removing the domain {name} needs a Global Administrator's sign-in."));
    }
    notes.extend(foreign(present));
    Plan { steps, notes }
}

fn switched(before: &str, after: &str) -> Vec<Difference> {
    vec![Difference { property: "State".to_owned(), before: before.to_owned(), after: after.to_owned() }]
}

/// Other rules that use our connector: it cannot be removed before they are.
fn foreign(present: &Present) -> Vec<String> {
    let Some(outbound) = &present.outbound else { return Vec::new() };
    let own = present.rule.as_ref().map(objects::identity).unwrap_or_default();
    let users = present.rules.iter().filter(|rule| objects::identity(rule) != own);
    let users = users.filter(|rule| text(rule, "RouteMessageOutboundConnector").eq_ignore_ascii_case(text(outbound, "Name")));
    let note = |rule: &Object| format!("The rule {:?} uses the connector to Signet too: change or remove it first.", text(rule, "Name"));
    users.map(note).collect()
}

/// What is worth knowing about the order of rules.
fn order(present: &Present) -> Vec<String> {
    let place = |rule: &Object| rule.get("Priority").and_then(Json::as_i64).unwrap_or_default();
    let Some(own) = present.rule.as_ref() else { return Vec::new() };
    let before: Vec<&Object> = present.rules.iter().filter(|rule| is_enabled(rule) && place(rule) < place(own)).collect();
    let names = before.iter().map(|rule| format!("{:?}", text(rule, "Name"))).collect::<Vec<_>>().join(", ");
    if before.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "Rules before ours see each message twice, unsigned and signed, and one that stops the processing keeps mail from Signet: {names}."
    )]
}

/// Whether a rule is on.
pub(crate) fn is_enabled(rule: &Object) -> bool {
    text(rule, "State").eq_ignore_ascii_case("Enabled")
}

/// What was found there, for the status of the connection.
fn notes(present: &Present) -> Vec<String> {
    let mut notes = order(present);
    for (kind, object) in [(Kind::Inbound, &present.inbound), (Kind::Outbound, &present.outbound)] {
        if object.as_ref().is_some_and(|object| object.get("Enabled").and_then(Json::as_bool) == Some(false)) {
            notes.push(format!("The connector {:?} is switched off.", object.as_ref().map_or(kind.name(), |object| text(object, "Name"))));
        }
    }
    if present.rule.as_ref().is_some_and(|rule| !is_enabled(rule)) {
        notes.push("The rule is switched off: no mail goes to Signet, and it leaves without a signature.".to_owned());
    }
    notes
}

/// Who sends the message of the trial: an address that the certificate domain makes ours, and nobody's mailbox.
pub(crate) fn probe_sender(connection: &Connection) -> String {
    format!("{PROBE}@{}", connection.certificate_domain)
}
