//! Mail flow rules.

use serde_json::{Map, Value, json};

use super::parameters::merged;
use super::{Exchange, Failure, Item, Outcome};
use crate::tenant::{Kind, Tenant};
use crate::world::World;

const KIND: &str = "TransportRule";
/// The longest name.
const LONGEST_NAME: usize = 64;
/// Parameters that name recipients or groups that must exist.
const GROUPS: [&str; 2] = ["FromMemberOf", "ExceptIfFromMemberOf"];
const PEOPLE: [&str; 2] = ["From", "ExceptIfFrom"];
/// Parameters that go in pairs.
const PAIRS: [(&str, &str); 5] = [
    ("ExceptIfHeaderContainsMessageHeader", "ExceptIfHeaderContainsWords"),
    ("ExceptIfHeaderMatchesMessageHeader", "ExceptIfHeaderMatchesPatterns"),
    ("HeaderContainsMessageHeader", "HeaderContainsWords"),
    ("HeaderMatchesMessageHeader", "HeaderMatchesPatterns"),
    ("SetHeaderName", "SetHeaderValue"),
];
/// Parameters that do something; a rule has at least one.
const ACTIONS: [&str; 12] = [
    "RouteMessageOutboundConnector",
    "RouteMessageOutboundRequireTls",
    "SetHeaderName",
    "RemoveHeader",
    "PrependSubject",
    "ApplyHtmlDisclaimerText",
    "BlindCopyTo",
    "RedirectMessageTo",
    "RejectMessageReasonText",
    "DeleteMessage",
    "SetSCL",
    "StopRuleProcessing",
];

/// Runs Get, New, Set, Remove, Enable or Disable on a rule.
pub(super) fn run(world: &mut World, tenant: &str, verb: &str, mut parameters: Map<String, Value>) -> Result<Outcome, Failure> {
    let identity = parameters.remove("Identity").and_then(|value| value.as_str().map(str::to_owned));
    let (now, guid) = (world.timestamp(), world.random.id());
    let tenant = world.tenant_mut(tenant).ok_or_else(|| Failure::missing("Organization", tenant))?;
    let find = |tenant: &Tenant| {
        let identity = identity.clone().unwrap_or_default();
        tenant.exchange.rules.iter().position(|rule| rule.is(&identity)).ok_or_else(|| Failure::missing(KIND, &identity))
    };
    match verb {
        "get" => {
            if identity.is_some() {
                let at = find(tenant)?;
                return Ok(Outcome::of(vec![Value::Object(shown(&tenant.exchange.rules[at], at))]));
            }
            let state = parameters.get("State").cloned();
            let rules = tenant.exchange.rules.iter().enumerate().map(|(at, rule)| shown(rule, at));
            let fitting = rules.filter(|rule| state.as_ref().is_none_or(|state| rule.get("State") == Some(state)));
            Ok(Outcome::of(fitting.map(Value::Object).collect()))
        }
        "new" => {
            let name = parameters.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned();
            if tenant.exchange.rules.iter().any(|rule| rule.is(&name)) {
                return Err(Failure::exists("transport rule", &name));
            }
            let mut rule = Item { guid, properties: defaults() };
            let enabled = parameters.remove("Enabled") != Some(json!(false));
            let priority = priority(&mut parameters, tenant.exchange.rules.len())?;
            apply(&mut rule, parameters, &now);
            rule.properties.insert("State".to_owned(), json!(if enabled { "Enabled" } else { "Disabled" }));
            judge(tenant, &mut rule)?;
            let at = priority.unwrap_or(tenant.exchange.rules.len());
            tenant.exchange.rules.insert(at, rule);
            Ok(Outcome::of(vec![Value::Object(shown(&tenant.exchange.rules[at], at))]))
        }
        "set" => {
            let at = find(tenant)?;
            let mut rule = tenant.exchange.rules[at].clone();
            if let Some(name) = parameters.get("Name").and_then(Value::as_str)
                && tenant.exchange.rules.iter().enumerate().any(|(other, rule)| other != at && rule.is(name))
            {
                return Err(Failure::exists("transport rule", name));
            }
            let priority = priority(&mut parameters, tenant.exchange.rules.len() - 1)?;
            apply(&mut rule, parameters, &now);
            judge(tenant, &mut rule)?;
            tenant.exchange.rules.remove(at);
            tenant.exchange.rules.insert(priority.unwrap_or(at), rule);
            Ok(Outcome::default())
        }
        "remove" => {
            let at = find(tenant)?;
            tenant.exchange.rules.remove(at);
            Ok(Outcome::default())
        }
        _ => {
            let at = find(tenant)?;
            let state = if verb == "enable" { "Enabled" } else { "Disabled" };
            let rule = &mut tenant.exchange.rules[at];
            rule.properties.insert("State".to_owned(), json!(state));
            rule.properties.insert("WhenChanged".to_owned(), json!(now));
            Ok(Outcome::default())
        }
    }
}

fn priority(parameters: &mut Map<String, Value>, most: usize) -> Result<Option<usize>, Failure> {
    let Some(value) = parameters.remove("Priority") else { return Ok(None) };
    match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
        Some(number) if number <= most => Ok(Some(number)),
        _ => Err(Failure::wrong(format!("The priority {value} isn't between 0 and {most}."))),
    }
}

fn defaults() -> Map<String, Value> {
    json!({
        "Mode": "Enforce", "RuleErrorAction": "Ignore", "SenderAddressLocation": "Header", "StopRuleProcessing": false, "Comments": null,
        "FromScope": null, "FromMemberOf": null, "From": null, "SentToScope": null, "ExceptIfFrom": null, "ExceptIfFromMemberOf": null,
        "ExceptIfHeaderContainsMessageHeader": null, "ExceptIfHeaderContainsWords": null, "ExceptIfHeaderMatchesMessageHeader": null,
        "ExceptIfHeaderMatchesPatterns": null, "ExceptIfMessageTypeMatches": null, "ExceptIfMessageSizeOver": null,
        "RouteMessageOutboundConnector": null, "RouteMessageOutboundRequireTls": false, "SetHeaderName": null, "SetHeaderValue": null,
        "RemoveHeader": null, "ActivationDate": null, "ExpiryDate": null, "SetAuditSeverity": null,
    })
    .as_object()
    .cloned()
    .unwrap_or_default()
}

fn apply(rule: &mut Item, parameters: Map<String, Value>, now: &str) {
    for (name, value) in parameters {
        let present = rule.properties.get(&name).cloned().unwrap_or_default();
        let value = merged(&present, value);
        // An emptied list is a condition that is not there.
        let value = if value.as_array().is_some_and(Vec::is_empty) { Value::Null } else { value };
        rule.properties.insert(name, value);
    }
    rule.properties.insert("WhenChanged".to_owned(), json!(now));
}

/// Judges a rule, and writes groups and people as their addresses.
fn judge(tenant: &Tenant, rule: &mut Item) -> Result<(), Failure> {
    let name = rule.text("Name");
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        return Err(Failure::wrong(format!(
            "The rule name '{name}' has {} characters; 1 to {LONGEST_NAME} are allowed.",
            name.chars().count()
        )));
    }
    for (names, kind) in [(GROUPS, Kind::Group), (PEOPLE, Kind::User)] {
        for name in names {
            let Some(Value::Array(items)) = rule.properties.get(name).cloned() else { continue };
            let addresses: Result<Vec<Value>, Failure> =
                items.iter().map(|item| address(tenant, item.as_str().unwrap_or_default(), kind)).collect();
            rule.properties.insert(name.to_owned(), json!(addresses?));
        }
    }
    let given = |name: &str| rule.properties.get(name).is_some_and(|value| !value.is_null() && *value != json!(false));
    for (one, other) in PAIRS {
        if given(one) != given(other) {
            return Err(Failure::wrong(format!("{one} and {other} are used together.")));
        }
    }
    let size = rule.text("ExceptIfMessageSizeOver");
    if !size.is_empty() && !is_size(size) {
        return Err(Failure::wrong(format!("The size '{size}' is not of the form 35MB.")));
    }
    let connector = rule.text("RouteMessageOutboundConnector");
    if !connector.is_empty() {
        let Some(found) = tenant.exchange.outbound.iter().find(|item| item.is(connector)) else {
            return Err(Failure::wrong(format!("The connector '{connector}' wasn't found.")));
        };
        if found.properties.get("IsTransportRuleScoped") != Some(&json!(true)) {
            return Err(Failure::wrong(format!("The connector '{connector}' isn't scoped to transport rules (IsTransportRuleScoped).")));
        }
    }
    if !ACTIONS.iter().any(|action| given(action)) {
        return Err(Failure::wrong("The rule has no action."));
    }
    Ok(())
}

fn address(tenant: &Tenant, name: &str, kind: Kind) -> Result<Value, Failure> {
    let by_name = || tenant.live(kind).find(|object| object.properties.text("displayName").eq_ignore_ascii_case(name));
    let object = tenant.find(name, kind).or_else(by_name).filter(|object| !object.properties.text("mail").is_empty());
    object.map(|object| json!(object.properties.text("mail"))).ok_or_else(|| {
        let text = format!("The recipient '{name}' couldn't be found, or isn't mail-enabled.");
        Failure::new("ManagementObjectNotFoundException", text)
    })
}

fn is_size(text: &str) -> bool {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text[number.len()..].to_ascii_uppercase();
    number.trim_end().parse::<u64>().is_ok() && ["B", "KB", "MB", "GB", ""].contains(&unit.as_str())
}

/// A rule as Get-TransportRule shows it.
pub(super) fn shown(rule: &Item, priority: usize) -> Map<String, Value> {
    let mut shown = rule.properties.clone();
    let name = rule.text("Name").to_owned();
    for (key, value) in [
        ("Identity", json!(name)),
        ("Guid", json!(rule.guid.to_string())),
        ("ImmutableId", json!(rule.guid.to_string())),
        ("Priority", json!(priority)),
        ("IsValid", json!(true)),
    ] {
        shown.insert(key.to_owned(), value);
    }
    shown
}

/// Rules show a connector by its name.
pub(super) fn connector_renamed(exchange: &mut Exchange, old: &str, new: &str) {
    for rule in exchange.rules.iter_mut().filter(|rule| rule.text("RouteMessageOutboundConnector").eq_ignore_ascii_case(old)) {
        rule.properties.insert("RouteMessageOutboundConnector".to_owned(), json!(new));
    }
}
