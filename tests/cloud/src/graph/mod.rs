//! Microsoft Graph v1.0: users, groups, roles, domains and the organisation.
//!
//! What it does not do: writing users and groups (the control interface does), subscriptions, applications.

pub(crate) mod batch;
pub(crate) mod cursor;
pub(crate) mod delta;
pub(crate) mod domains;
pub(crate) mod errors;
pub(crate) mod filter;
pub(crate) mod lists;
pub(crate) mod permissions;
pub(crate) mod photos;
pub(crate) mod properties;
pub(crate) mod request;
pub(crate) mod roles;

use serde_json::{Map, Value, json};

use self::errors::{Refusal, graph_error};
use self::lists::Shape;
use self::properties::{Standing, project, standing, type_name};
use self::request::{Request, context};
use crate::call::{Answer, Call};
use crate::random::Id;
use crate::tenant::{Kind, Object};
use crate::world::{Access, Resource, World};

/// Answers a request below `/v1.0`.
pub(crate) fn answer(world: &mut World, call: &Call) -> Answer {
    let answer = match admit(world, call).and_then(|access| serve(world, call, access)) {
        Ok(answer) => answer,
        Err(refusal) => return graph_error(world, call, refusal.status, refusal.code, &refusal.message),
    };
    let id = world.random.id().to_string();
    let client = call.field("client-request-id").unwrap_or(&id).to_owned();
    answer.header("request-id", &id).header("client-request-id", &client).header("x-ms-resource-unit", "1")
}

/// What the token says, when it is good for Graph.
fn admit(world: &World, call: &Call) -> Result<Access, Refusal> {
    let refuse = |text: &str| Refusal::new(401, "InvalidAuthenticationToken", text);
    let header = call.field("authorization").ok_or_else(|| refuse("Access token is empty."))?;
    let access = world.access(Some(header)).ok_or_else(|| refuse("Access token validation failure. Invalid token."))?;
    if access.resource != Resource::Graph {
        return Err(refuse("Access token validation failure. Invalid audience."));
    }
    if access.expires <= world.now() {
        return Err(refuse("Lifetime validation failed, the token is expired."));
    }
    Ok(access.clone())
}

fn serve(world: &mut World, call: &Call, access: Access) -> Result<Answer, Refusal> {
    // The namespace has a short name, which Microsoft's own SDKs use.
    let long = |segment: String| if segment.starts_with("graph.") { format!("microsoft.{segment}") } else { segment };
    let segments: Vec<String> = call.segments().into_iter().map(long).collect();
    let parts: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    permissions::judge(&access, &call.method, &parts)?;
    let own = access.user.map(|id| id.to_string()).unwrap_or_default();
    let request = Request { call, access, options: call.options() };
    let parts: Vec<&str> = match parts.split_first() {
        Some((&"me", rest)) => [&["users", own.as_str()], rest].concat(),
        _ => parts,
    };
    if call.method == "POST" {
        return match parts.as_slice() {
            ["$batch"] => batch::answer(world, &request),
            ["domains"] => domains::create(world, &request),
            ["domains", name, "verify"] => domains::verify(world, &request, name),
            _ => Err(not_allowed()),
        };
    }
    match (call.method.as_str(), parts.as_slice()) {
        ("DELETE", ["domains", name]) => domains::delete(world, &request, name),
        ("GET", ["domains", rest @ ..]) => domains::read(world, &request, rest),
        ("GET", ["users" | "groups", ..]) => objects(world, &request, &parts),
        ("GET", ["organization"]) => organization(world, &request, None),
        ("GET", ["organization", id]) => organization(world, &request, Some(id)),
        ("GET", ["roleManagement", "directory", rest @ ..]) => roles::management(world, &request, rest),
        ("GET", [first, rest @ ..]) if first.starts_with("directoryRoles") => roles::directory_roles(world, &request, first, rest),
        ("GET", _) => Err(segment_missing(&parts)),
        _ => Err(not_allowed()),
    }
}

fn not_allowed() -> Refusal {
    Refusal::new(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
}

fn segment_missing(parts: &[&str]) -> Refusal {
    Refusal::new(400, "BadRequest", format!("Resource not found for the segment '{}'.", parts.last().unwrap_or(&"")))
}

fn objects(world: &mut World, request: &Request<'_>, parts: &[&str]) -> Result<Answer, Refusal> {
    let kind = if parts[0] == "users" { Kind::User } else { Kind::Group };
    let shape = Shape { set: parts[0], kind: Some(kind), cast: false };
    match &parts[1..] {
        [] => {
            let tenant = request.tenant(world)?;
            let listed = lists::answer(tenant, world, request, shape, &mut tenant.live(kind))?;
            Ok(lists::finish(world, request, listed))
        }
        ["$count"] => lists::count(request, shape, &mut request.tenant(world)?.live(kind)),
        ["delta" | "delta()" | "microsoft.graph.delta" | "microsoft.graph.delta()"] => delta::answer(world, request, kind),
        [key] => single(world, request, kind, key),
        [key, "manager"] if kind == Kind::User => manager(world, request, key),
        [key, "photo" | "photos", ..] if kind == Kind::User => photos::answer(world, request, key, &parts[2..]),
        [key, relation @ ("memberOf" | "transitiveMemberOf"), cast @ ..] if kind == Kind::User => {
            let tenant = request.tenant(world)?;
            let object = found(tenant.find(key, kind), key)?;
            let related = tenant.memberships(object.id, *relation == "transitiveMemberOf");
            members(world, request, related.iter().map(|object| object.id).collect(), cast, parts)
        }
        [key, relation @ ("members" | "transitiveMembers"), cast @ ..] if kind == Kind::Group => {
            let tenant = request.tenant(world)?;
            let group = found(Id::parse(key).and_then(|id| tenant.object(id, kind)), key)?;
            let ids = match *relation {
                "members" => group.members.clone(),
                _ => tenant.transitive_members(group.id).iter().map(|object| object.id).collect(),
            };
            members(world, request, ids, cast, parts)
        }
        _ => Err(segment_missing(parts)),
    }
}

fn found<'t>(object: Option<&'t Object>, key: &str) -> Result<&'t Object, Refusal> {
    object.ok_or_else(|| Refusal::missing(key))
}

/// A list of related objects, all of them or those of one type.
fn members(world: &mut World, request: &Request<'_>, ids: Vec<Id>, cast: &[&str], parts: &[&str]) -> Result<Answer, Refusal> {
    let (kind, counted) = match cast {
        [] => (None, false),
        ["$count"] => (None, true),
        ["microsoft.graph.user"] => (Some(Kind::User), false),
        ["microsoft.graph.group"] => (Some(Kind::Group), false),
        ["microsoft.graph.user", "$count"] => (Some(Kind::User), true),
        _ => return Err(segment_missing(parts)),
    };
    let set = match kind {
        None => "directoryObjects",
        Some(Kind::User) => "users",
        Some(Kind::Group) => "groups",
    };
    let shape = Shape { set, kind, cast: kind.is_some() };
    let tenant = request.tenant(world)?;
    let live = |id: Id| tenant.object(id, Kind::User).or_else(|| tenant.object(id, Kind::Group));
    let mut source = ids.into_iter().filter_map(live);
    if counted {
        return lists::count(request, shape, &mut source);
    }
    let listed = lists::answer(tenant, world, request, shape, &mut source)?;
    Ok(lists::finish(world, request, listed))
}

/// Judges the selected names of a single object.
fn single_select(request: &Request<'_>, kind: Kind) -> Result<Option<Vec<String>>, Refusal> {
    request.select(&|name| match standing(kind, name) {
        Standing::Unknown => {
            let text =
                format!("Parsing OData Select and Expand failed: Could not find a property named '{name}' on type '{}'.", type_name(kind));
            Err(Refusal::new(400, "BadRequest", text))
        }
        _ => Ok(()),
    })
}

fn single(world: &World, request: &Request<'_>, kind: Kind, key: &str) -> Result<Answer, Refusal> {
    request.allow(&["$select", "$expand"])?;
    let tenant = request.tenant(world)?;
    let by_id = Id::parse(key);
    let object = match kind {
        Kind::User => found(tenant.find(key, kind), key)?,
        Kind::Group => match by_id {
            Some(id) => found(tenant.object(id, kind), key)?,
            None => return Err(Refusal::bad(format!("Invalid object identifier '{key}'."))),
        },
    };
    let select = single_select(request, kind)?;
    let set = if kind == Kind::User { "users/$entity" } else { "groups/$entity" };
    let mut body = Map::from_iter([("@odata.context".to_owned(), json!(context(world, set)))]);
    body.extend(project(object, select.as_deref()));
    if let Some(text) = request.options.value("$expand") {
        let names = lists::expand(text, Some(kind))?;
        body.extend(lists::manager(tenant, object, names.as_deref()).map(|manager| ("manager".to_owned(), manager)));
    }
    Ok(Answer::json(200, &Value::Object(body)))
}

fn manager(world: &World, request: &Request<'_>, key: &str) -> Result<Answer, Refusal> {
    request.allow(&["$select"])?;
    let tenant = request.tenant(world)?;
    let object = found(tenant.find(key, Kind::User), key)?;
    let select = single_select(request, Kind::User)?;
    let Some(Value::Object(manager)) = lists::manager(tenant, object, select.as_deref()) else {
        return Err(Refusal::missing("manager"));
    };
    let mut body = Map::from_iter([("@odata.context".to_owned(), json!(context(world, "directoryObjects/$entity")))]);
    body.extend(manager);
    Ok(Answer::json(200, &Value::Object(body)))
}

const ORGANIZATION: [&str; 8] = [
    "id",
    "displayName",
    "tenantType",
    "verifiedDomains",
    "country",
    "createdDateTime",
    "onPremisesSyncEnabled",
    "technicalNotificationMails",
];

fn organization(world: &World, request: &Request<'_>, id: Option<&str>) -> Result<Answer, Refusal> {
    request.allow(&["$select"])?;
    let tenant = request.tenant(world)?;
    if id.is_some_and(|id| id != tenant.id) {
        return Err(Refusal::missing(id.unwrap_or_default()));
    }
    let select = request.select(&|name| {
        let text = format!(
            "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type 'microsoft.graph.organization'."
        );
        if ORGANIZATION.contains(&name) { Ok(()) } else { Err(Refusal::new(400, "BadRequest", text)) }
    })?;
    let domains: Vec<Value> = tenant
        .domains
        .iter()
        .filter(|domain| domain.verified.is_some())
        .map(|domain| {
            let capabilities = if domain.initial { "Email, OfficeCommunicationsOnline" } else { "Email" };
            json!({"capabilities": capabilities, "isDefault": domain.default, "isInitial": domain.initial, "name": domain.name, "type": "Managed"})
        })
        .collect();
    let Value::Object(mut item) = json!({
        "id": tenant.id, "displayName": tenant.name, "tenantType": "AAD", "verifiedDomains": domains, "country": "Germany",
        "createdDateTime": "2019-03-04T08:00:00Z", "onPremisesSyncEnabled": null,
        "technicalNotificationMails": [format!("postmaster@{}", tenant.initial())],
    }) else {
        return Err(Refusal::missing("organization"));
    };
    if let Some(names) = select {
        item.retain(|name, _| names.contains(name));
    }
    let body = match id {
        None => json!({"@odata.context": context(world, "organization"), "value": [item]}),
        Some(_) => {
            item.insert("@odata.context".to_owned(), json!(context(world, "organization/$entity")));
            Value::Object(item)
        }
    };
    Ok(Answer::json(200, &body))
}
