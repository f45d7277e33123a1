//! The administration endpoint of Exchange Online that runs cmdlets: `/adminapi/beta/{tenant}/InvokeCommand`.
//!
//! What it does not do: mailboxes, permissions, and moving mail. Which way mail would take is answered by `transport`.

mod connectors;
mod parameters;
mod recipients;
mod rules;
mod transport;

pub(crate) use recipients::accepted_names;
pub use transport::{Mail, accept, route};

use serde_json::{Map, Value, json};

use crate::call::{Answer, Call};
use crate::random::Id;
use crate::tenant::{EXCHANGE_ADMINISTRATOR, GLOBAL_ADMINISTRATOR, Tenant};
use crate::world::{Access, Resource, World};

/// A connector or a rule.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its GUID.
    pub guid: Id,
    /// Its properties, with their names as cmdlets show them.
    pub properties: Map<String, Value>,
}

impl Item {
    fn text(&self, name: &str) -> &str {
        self.properties.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn is(&self, identity: &str) -> bool {
        self.text("Name").eq_ignore_ascii_case(identity) || self.guid.to_string().eq_ignore_ascii_case(identity)
    }
}

/// Mail flow settings of an organisation.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    /// Inbound connectors.
    pub inbound: Vec<Item>,
    /// Outbound connectors.
    pub outbound: Vec<Item>,
    /// Rules, the first with priority 0.
    pub rules: Vec<Item>,
}

impl Exchange {
    /// All settings.
    pub fn describe(&self) -> Value {
        let all = |items: &[Item]| -> Vec<Value> { items.iter().map(|item| Value::Object(item.properties.clone())).collect() };
        let rules: Vec<Value> = self.rules.iter().enumerate().map(|(at, rule)| Value::Object(rules::shown(rule, at))).collect();
        json!({"inbound_connectors": all(&self.inbound), "outbound_connectors": all(&self.outbound), "transport_rules": rules})
    }
}

/// Why a cmdlet failed.
pub(crate) struct Failure {
    status: u16,
    code: &'static str,
    exception: String,
    message: String,
}

impl Failure {
    fn new(exception: &str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: "BadRequest",
            exception: format!("Microsoft.Exchange.Configuration.Tasks.{exception}"),
            message: message.into(),
        }
    }

    fn missing(kind: &str, identity: &str) -> Self {
        let text = format!("The operation couldn't be performed because object '{identity}' couldn't be found ({kind}).");
        Self { status: 404, code: "NotFound", ..Self::new("ManagementObjectNotFoundException", text) }
    }

    fn exists(kind: &str, name: &str) -> Self {
        Self::new("ManagementObjectAlreadyExistsException", format!("The {kind} '{name}' already exists."))
    }

    fn wrong(message: impl Into<String>) -> Self {
        Self::new("InvalidOperationException", message)
    }
}

/// What a cmdlet gave.
#[derive(Default)]
pub(crate) struct Outcome {
    values: Vec<Value>,
    warnings: Vec<String>,
}

impl Outcome {
    fn of(values: Vec<Value>) -> Self {
        Self { values, warnings: Vec::new() }
    }
}

/// The cmdlet that a request names; empty when it names none.
pub(crate) fn cmdlet(call: &Call) -> String {
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    body["CmdletInput"]["CmdletName"].as_str().unwrap_or_default().to_owned()
}

/// Answers a request below `/adminapi`.
pub(crate) fn answer(world: &mut World, call: &Call) -> Answer {
    match serve(world, call) {
        Ok(answer) => answer,
        Err(failure) => refuse(world, &failure),
    }
}

fn refuse(world: &mut World, failure: &Failure) -> Answer {
    let id = world.random.id().to_string();
    let kind = failure.exception.split('.').next_back().unwrap_or_default();
    let body = json!({"error": {
        "code": failure.code,
        "message": format!("Error executing request. {}", failure.message),
        "details": [{"code": "Context", "target": "", "message": format!("Ex{:06X}|{}|{}", kind.len() * 0x1357 % 0xff_ffff, failure.exception, failure.message)}],
        "innererror": {
            "message": format!("Error executing request. {}", failure.message),
            "type": "Microsoft.Exchange.Admin.OData.Core.ODataServiceException",
            "internalexception": {"message": failure.message, "type": failure.exception},
        },
    }});
    Answer::json(failure.status, &body).header("request-id", &id)
}

fn unauthorized(message: impl Into<String>) -> Failure {
    Failure {
        status: 401,
        code: "Unauthorized",
        exception: "Microsoft.Exchange.Admin.OData.Core.ODataServiceException".to_owned(),
        message: message.into(),
    }
}

fn serve(world: &mut World, call: &Call) -> Result<Answer, Failure> {
    let segments = call.segments();
    let [_, "beta", name, "InvokeCommand"] = segments.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return Err(Failure { status: 404, code: "NotFound", ..Failure::wrong("Resource not found for the segment.") });
    };
    if call.method != "POST" {
        return Err(Failure {
            status: 405,
            code: "MethodNotAllowed",
            ..Failure::wrong("The requested resource does not support this method.")
        });
    }
    let body: Value = serde_json::from_slice(&call.body).map_err(|_| Failure::wrong("The request body is no JSON."))?;
    let cmdlet = body["CmdletInput"]["CmdletName"].as_str().unwrap_or_default().to_owned();
    let tenant = admit(world, call, name, &cmdlet)?;
    if !parameters::exists(&cmdlet) {
        let text = format!("The term '{cmdlet}' is not recognized as the name of a cmdlet.");
        return Err(Failure { status: 404, code: "NotFound", ..Failure::new("CommandNotFoundException", text) });
    }
    let none = Map::new();
    let given = match &body["CmdletInput"]["Parameters"] {
        Value::Null => &none,
        Value::Object(given) => given,
        _ => return Err(Failure::wrong("Parameters is not an object.")),
    };
    if given.get("WhatIf") == Some(&json!(true)) {
        return Ok(page(world, call, Outcome::default()));
    }
    let parameters = parameters::check(&cmdlet, given)
        .map_err(|(exception, text)| Failure { exception: format!("System.Management.Automation.{exception}"), ..Failure::wrong(text) })?;
    let outcome = run(world, &tenant, &cmdlet.to_ascii_lowercase(), parameters)?;
    Ok(page(world, call, outcome))
}

/// Judges token, organisation, anchor and role; gives the organisation's id.
fn admit(world: &World, call: &Call, name: &str, cmdlet: &str) -> Result<String, Failure> {
    let access = world.access(call.field("authorization")).ok_or_else(|| unauthorized("The access token is missing or unknown."))?;
    if access.resource != Resource::Exchange {
        return Err(unauthorized("The audience of the access token is not Exchange Online."));
    }
    if access.expires <= world.now() {
        return Err(unauthorized("The access token has expired."));
    }
    let tenant = world.tenant(name).filter(|tenant| tenant.id == access.tenant);
    let tenant = tenant.ok_or_else(|| unauthorized(format!("The organization '{name}' is not the one of the access token.")))?;
    let anchor = call.field("x-anchormailbox").unwrap_or_default();
    if !(anchor.starts_with("UPN:") || anchor.starts_with("APP:")) || !anchor.contains('@') {
        return Err(Failure::wrong(
            "The header X-AnchorMailbox is missing; it has the form UPN:user@domain or APP:SystemMailbox{..}@tenant.",
        ));
    }
    if holds_role(world, tenant, access) {
        return Ok(tenant.id.clone());
    }
    if access.user.is_none() {
        let text = format!("The role assigned to application {} isn't supported in this scenario.", access.client_id);
        return Err(Failure { status: 403, code: "Forbidden", ..unauthorized(text) });
    }
    Err(unauthorized(format!("User is not allowed to call {cmdlet}")))
}

fn holds_role(world: &World, tenant: &Tenant, access: &Access) -> bool {
    let now = world.now();
    let ready = tenant.grants.get(&access.client_id).is_some_and(|grant| grant.granted + world.knobs.exchange_delay <= now);
    let right = match access.user {
        None => world.knobs.application_is_administrator && access.permissions.contains("Exchange.ManageAsApp"),
        Some(user) => {
            let roles = tenant.roles_of(user, now);
            let role = roles.contains(GLOBAL_ADMINISTRATOR) || roles.contains(EXCHANGE_ADMINISTRATOR);
            role && access.permissions.contains("Exchange.Manage")
        }
    };
    ready && right
}

fn run(world: &mut World, tenant: &str, cmdlet: &str, parameters: Map<String, Value>) -> Result<Outcome, Failure> {
    let (verb, noun) = cmdlet.split_once('-').unwrap_or_default();
    match noun {
        "inboundconnector" | "outboundconnector" => connectors::run(world, tenant, verb, noun == "inboundconnector", parameters),
        "transportrule" => rules::run(world, tenant, verb, parameters),
        _ => recipients::run(world, tenant, cmdlet, &parameters),
    }
}

/// The first page, and the rest behind a link.
fn page(world: &mut World, call: &Call, outcome: Outcome) -> Answer {
    let size =
        call.field("prefer").and_then(|prefer| prefer.split("odata.maxpagesize=").nth(1)?.split([',', ';', ' ']).next()?.parse().ok());
    let size = size.unwrap_or(world.knobs.exchange_page).clamp(1, world.knobs.exchange_page);
    let options = call.options();
    let start = match options.value("$skiptoken").and_then(|token| world.exchange_pages.get(token)) {
        Some((cmdlet, start)) if *cmdlet == self::cmdlet(call) => *start,
        _ => 0,
    };
    let total = outcome.values.len();
    let values: Vec<Value> = outcome.values.into_iter().skip(start).take(size).collect();
    let end = start + values.len();
    let mut body = json!({
        "@odata.context": format!("{}{}/$metadata#Collection(Edm.ComplexType)", world.base, call.path().trim_end_matches("/InvokeCommand")),
        "@adminapi.warnings": outcome.warnings,
        "value": values,
    });
    if end < total {
        let token = world.random.token(4);
        body["@odata.nextLink"] = json!(format!("{}{}?$skiptoken={token}", world.base, call.path()));
        world.exchange_pages.insert(token, (cmdlet(call), end));
    }
    Answer::json(200, &body)
}
