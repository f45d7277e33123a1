//! `/_control`: what a test or a person does to the stand-in, as JSON over HTTP. `GET /_control` lists it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::call::{Answer, Call};
use crate::exchange;
use crate::faults::Fault;
use crate::random::Id;
use crate::tenant::{Assignment, GLOBAL_ADMINISTRATOR, Kind, Object, Properties, RoleAssignment, Tenant};
use crate::world::World;

const HELP: &[&str] = &[
    "GET    /_control/state                        connectors, rules, domains, counts",
    "GET    /_control/requests                     what was asked; DELETE forgets it",
    "GET    /_control/faults                       those that wait; DELETE removes all",
    "POST   /_control/faults                       {\"path\":\"/v1.0/users\",\"fault\":\"429\",\"retry_after\":2,\"times\":3,\"after\":0}",
    "GET    /_control/knobs                        POST {\"user_page\":50,...}",
    "POST   /_control/clock                        {\"advance\":\"8d\"}",
    "POST   /_control/expire-delta                 {}",
    "POST   /_control/rotate-keys                  {}",
    "POST   /_control/users                        {\"displayName\":..,\"mail\":..,\"userPrincipalName\":..,...}",
    "PATCH  /_control/users/{id or address}        {\"jobTitle\":..,\"manager\":\"address or null\"}; /_control/groups/{..} alike",
    "DELETE /_control/users/{id or address}        soft; ?for_good=1; /_control/groups/{..} alike",
    "POST   /_control/users/{id}/restore           {}",
    "POST   /_control/groups                       {\"displayName\":..,\"mail\":..,\"mailEnabled\":true,\"securityEnabled\":true}",
    "POST   /_control/groups/{id or address}/members {\"add\":[..],\"remove\":[..]}",
    "POST   /_control/route                        {\"sender\":\"..\",\"size\":1,\"headers\":[[\"name\",\"value\"]],\"type\":\"\"}: the connector",
    "POST   /_control/accept                       {\"certificate_names\":[..]}: the connector that lets that host in",
    "POST   /_control/records                      {\"name\":\"x.example\",\"text\":\"MS=ms12345678\"}",
    "POST   /_control/standing                     {\"user\":\"address\",\"standing\":\"direct|activated|group|absent\",\"until\":\"2h\"}",
    "POST   /_control/tenant                       {\"premium\":false}",
    "DELETE /_control/consent                      forgets all grants",
    "POST   /_control/redirects                    {\"application\":\"setup\",\"uri\":\"http://127.0.0.1/connect/callback\"}",
    "POST   /_control/certificates                 {\"application\":\"sync\",\"pem\":\"-----BEGIN CERTIFICATE-----...\"}",
];

/// Answers a request below `/_control`; all of it is about the first organisation.
pub(crate) fn answer(world: &mut World, call: &Call) -> Answer {
    let body: Value = if call.body.is_empty() { json!({}) } else { serde_json::from_slice(&call.body).unwrap_or_default() };
    let segments = call.segments();
    let parts: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    let outcome = if body.is_object() { serve(world, call, &parts, &body) } else { Err("the body is no JSON object".to_owned()) };
    match outcome {
        Ok(value) => Answer::json(200, &value),
        Err(text) => Answer::json(400, &json!({"error": text})),
    }
}

fn serve(world: &mut World, call: &Call, parts: &[&str], body: &Value) -> Result<Value, String> {
    let done = json!({"done": true});
    match (call.method.as_str(), parts) {
        ("GET", []) => return Ok(json!({"help": HELP})),
        ("GET", ["state"]) => return Ok(state(world)),
        ("GET", ["requests"]) => return Ok(requests(world)),
        ("DELETE", ["requests"]) => world.received.clear(),
        ("GET", ["faults"]) => return Ok(world.faults.iter().map(Fault::describe).collect()),
        ("DELETE", ["faults"]) => world.faults.clear(),
        ("POST", ["faults"]) => world.faults.push(Fault::parse(body)?),
        ("GET", ["knobs"]) => return Ok(world.knobs.describe()),
        ("POST", ["knobs"]) => {
            for (name, value) in body.as_object().into_iter().flatten() {
                world.knobs.turn(name, value)?;
            }
        }
        ("POST", ["clock"]) => world.advance(duration(body, "advance")?.ok_or("\"advance\" is a time like \"8d\"")?),
        ("POST", ["expire-delta"]) => world.expire_delta_tokens(),
        ("POST", ["rotate-keys"]) => world.rotate_keys().map_err(|error| error.to_string())?,
        ("POST", ["route"]) => return Ok(route(world, body)),
        ("POST", ["accept"]) => {
            let names: Vec<String> = serde_json::from_value(body["certificate_names"].clone()).unwrap_or_default();
            return Ok(exchange::accept(&world.tenants[0].exchange, &names));
        }
        ("POST", ["records"]) => world.records.push((text(body, "name")?, text(body, "text")?)),
        ("POST", ["standing"]) => standing(world, body)?,
        ("POST", ["tenant"]) => {
            let flag = body["premium"].as_bool().ok_or("\"premium\" is true or false")?;
            world.tenants[0].premium = flag;
        }
        ("DELETE", ["consent"]) => world.tenants[0].grants.clear(),
        ("POST", ["redirects"]) => application(world, body)?.redirects.push(text(body, "uri")?),
        ("POST", ["certificates"]) => {
            let pem = text(body, "pem")?;
            let der = certificate(&pem).ok_or("\"pem\" holds no certificate")?;
            application(world, body)?.certificates.push(der);
        }
        (method, ["users" | "groups", rest @ ..]) => return objects(world, method, call, parts[0], rest, body),
        _ => return Err("there is no such control; GET /_control lists them".to_owned()),
    }
    Ok(done)
}

fn route(world: &World, body: &Value) -> Value {
    let tenant = &world.tenants[0];
    let mail = exchange::Mail {
        sender: body["sender"].as_str().unwrap_or_default().to_owned(),
        headers: serde_json::from_value(body["headers"].clone()).unwrap_or_default(),
        size: body["size"].as_u64().unwrap_or_default(),
        class: body["type"].as_str().unwrap_or_default().to_owned(),
    };
    exchange::route(tenant, &exchange::accepted_names(world, &tenant.id), &mail)
}

fn text(body: &Value, name: &str) -> Result<String, String> {
    body[name].as_str().map(str::to_owned).ok_or_else(|| format!("\"{name}\" is missing"))
}

fn duration(body: &Value, name: &str) -> Result<Option<Duration>, String> {
    let Some(text) = body[name].as_str() else { return Ok(None) };
    humantime::parse_duration(text).map(Some).map_err(|error| format!("\"{name}\": {error}; for example \"8d\""))
}

/// The octets of the first certificate of a PEM text.
pub fn certificate(pem: &str) -> Option<Vec<u8>> {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| der.to_vec())
}

fn application<'w>(world: &'w mut World, body: &Value) -> Result<&'w mut crate::world::Application, String> {
    let name = text(body, "application")?;
    let found = world.applications.iter_mut().find(|known| known.name == name || known.client_id == name);
    found.ok_or_else(|| format!("no application {name:?}; there are sync and setup"))
}

/// All that is configured.
pub fn state(world: &World) -> Value {
    let mut state = world.tenants[0].describe();
    state["grants"] = world.tenants[0]
        .grants
        .iter()
        .map(|(client, grant)| (client.clone(), json!({"roles": grant.roles, "scopes": grant.scopes, "people": grant.personal.len()})))
        .collect();
    state["time"] = json!(world.timestamp());
    state["requests"] = json!(world.received.len());
    state
}

fn requests(world: &World) -> Value {
    let shown = world.received.iter().map(|received| {
        json!({
            "method": received.method, "path": received.path, "query": received.query, "headers": received.headers,
            "token": received.token, "permissions": received.permissions, "cmdlet": received.cmdlet, "status": received.status,
        })
    });
    shown.collect()
}

fn find(tenant: &Tenant, set: &str, name: &str) -> Result<Id, String> {
    let kind = if set == "users" { Kind::User } else { Kind::Group };
    let live = tenant.find(name, kind).map(|object| object.id);
    live.or_else(|| Id::parse(name).filter(|id| tenant.any(*id).is_some())).ok_or_else(|| format!("there is no {name:?} among the {set}"))
}

fn objects(world: &mut World, method: &str, call: &Call, set: &str, rest: &[&str], body: &Value) -> Result<Value, String> {
    let new = world.random.id();
    let tenant = &mut world.tenants[0];
    let kind = if set == "users" { Kind::User } else { Kind::Group };
    let id = match (method, rest) {
        ("POST", []) => {
            let mut object = Object::new(new, kind, Properties::default());
            if kind == Kind::User {
                object.properties.set("accountEnabled", json!(true));
                object.properties.set("userType", json!("Member"));
            }
            for (name, value) in body.as_object().into_iter().flatten() {
                object.properties.set(name.clone(), value.clone());
            }
            tenant.add(object)
        }
        ("PATCH", [name]) => {
            let id = find(tenant, set, name)?;
            let mut values: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
            if let Some(manager) = values.get("manager").and_then(Value::as_str) {
                let manager = find(tenant, "users", manager)?;
                values.insert("manager".to_owned(), json!(manager.to_string()));
            }
            tenant.change(id, &values);
            id
        }
        ("DELETE", [name]) => {
            let id = find(tenant, set, name)?;
            tenant.remove(id, call.options().value("for_good").is_some());
            id
        }
        ("POST", [name, "restore"]) => {
            let id = find(tenant, set, name)?;
            if !tenant.restore(id) {
                return Err(format!("{name:?} is not in the recycle bin"));
            }
            id
        }
        ("POST", [name, "members"]) if kind == Kind::Group => {
            let id = find(tenant, set, name)?;
            let ids = |list: &str| -> Result<Vec<Id>, String> {
                let names = body[list].as_array().into_iter().flatten().filter_map(Value::as_str);
                names.map(|name| find(tenant, "users", name).or_else(|_| find(tenant, "groups", name))).collect()
            };
            let (add, remove) = (ids("add")?, ids("remove")?);
            tenant.change_members(id, &add, &remove);
            id
        }
        _ => return Err("there is no such control; GET /_control lists them".to_owned()),
    };
    Ok(json!({"id": id.to_string()}))
}

/// Changes how a person holds the role of a Global Administrator.
fn standing(world: &mut World, body: &Value) -> Result<(), String> {
    let login = text(body, "user")?;
    let until = duration(body, "until")?.unwrap_or(Duration::from_secs(2 * 3600));
    let end = world.now() + i64::try_from(until.as_millis()).unwrap_or(i64::MAX);
    let user = find(&world.tenants[0], "users", &login)?;
    world.set_standing(user, &text(body, "standing")?, end)
}

impl World {
    /// Makes a person a Global Administrator of the first organisation: `direct`, `activated` (until `end`, in milliseconds), `group`, or
    /// `absent`.
    pub fn set_standing(&mut self, user: Id, standing: &str, end: i64) -> Result<(), String> {
        let id = self.random.token(2);
        let tenant = &mut self.tenants[0];
        let holder = tenant.roles.iter().map(|role| role.principal).find(|id| tenant.object(*id, Kind::Group).is_some());
        let holder = holder.ok_or("no group holds the role")?;
        tenant.roles.retain(|role| role.principal != user || role.role != GLOBAL_ADMINISTRATOR);
        tenant.change_members(holder, &[], &[user]);
        let assignment = match standing {
            "direct" => Assignment::Assigned,
            "activated" => Assignment::Activated(end),
            "group" => {
                tenant.change_members(holder, &[user], &[]);
                return Ok(());
            }
            "absent" => return Ok(()),
            other => return Err(format!("unknown standing {other:?}; take direct, activated, group or absent")),
        };
        tenant.roles.push(RoleAssignment { id, role: GLOBAL_ADMINISTRATOR.to_owned(), principal: user, assignment });
        Ok(())
    }
}
