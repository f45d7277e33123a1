//! `delta`: everything once, then what changed since, by links.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::cursor::{Cursor, DeltaCursor};
use super::errors::{Refusal, graph_error};
use super::filter;
use super::properties::{Standing, project, standing, type_name};
use super::request::{Request, context};
use crate::call::Answer;
use crate::random::Id;
use crate::tenant::{Kind, Life, Object, Tenant, What};
use crate::world::World;

/// How long a link of a directory object can be followed, in milliseconds.
const LIFE: i64 = 7 * 24 * 3600 * 1000;
/// How many ids a filter may name.
const MOST_IDS: usize = 50;

/// Answers `/users/delta` and `/groups/delta`.
pub(crate) fn answer(world: &mut World, request: &Request<'_>, kind: Kind) -> Result<Answer, Refusal> {
    let mut cursor = match find(world, request, kind)? {
        Found::Cursor(cursor) => cursor,
        Found::Expired(select) => return Ok(expired(world, request, kind, select.as_deref())),
    };
    let knobs = world.knobs.clone();
    let empty = knobs.empty_page_every > 0 && cursor.page % knobs.empty_page_every == 1 && !cursor.complete;
    if cursor.complete {
        let now = world.tenant(&cursor.tenant).map_or(0, |tenant| tenant.changes.len());
        cursor = DeltaCursor { from: Some(cursor.to), to: now, position: (0, 0), page: 0, complete: false, ..cursor };
    }
    let tenant = world.tenant(&cursor.tenant).ok_or_else(|| Refusal::missing("tenant"))?;
    let limit = if kind == Kind::User { knobs.user_page } else { knobs.group_page };
    let (items, next) = if empty {
        (Vec::new(), Some(cursor.position))
    } else if let Some(from) = cursor.from {
        changes_page(tenant, &cursor, from, limit, knobs.member_chunk)
    } else {
        first_page(tenant, &cursor, limit, knobs.member_chunk)
    };
    cursor.page += 1;
    cursor.issued = world.now();
    cursor.complete = next.is_none();
    cursor.position = next.unwrap_or_default();
    let (link, name) = if cursor.complete { ("@odata.deltaLink", "deltatoken") } else { ("@odata.nextLink", "skiptoken") };
    let token = world.random.token(8);
    world.cursors.insert(token.clone(), Cursor::Delta(cursor));
    let mut body = json!({"@odata.context": context(world, if kind == Kind::User { "users" } else { "groups" }), "value": items});
    body[link] = json!(format!("{}{}?${name}={token}", world.base, request.call.path()));
    Ok(Answer::json(200, &body))
}

enum Found {
    Cursor(DeltaCursor),
    Expired(Option<Vec<String>>),
}

fn find(world: &World, request: &Request<'_>, kind: Kind) -> Result<Found, Refusal> {
    let options = &request.options;
    let token = options.0.iter().find(|(name, _)| name.eq_ignore_ascii_case("$deltatoken") || name.eq_ignore_ascii_case("$skiptoken"));
    let Some((name, token)) = token.filter(|(_, token)| !token.is_empty() && token != "latest") else {
        return begin(world, request, kind, token.is_some_and(|(_, token)| token == "latest")).map(Found::Cursor);
    };
    if options.0.len() > 1 {
        return Err(Refusal::bad("Query options are encoded in the token; send the link as it was given."));
    }
    let Some(Cursor::Delta(cursor)) = world.cursors.get(token) else {
        return Err(Refusal::new(400, "syncStateNotFound", "Badly formed or unknown token."));
    };
    if cursor.complete != name.eq_ignore_ascii_case("$deltatoken") || cursor.kind != kind || cursor.tenant != request.access.tenant {
        return Err(Refusal::bad("The token does not belong to this request."));
    }
    if cursor.expired || cursor.issued + LIFE < world.now() {
        return Ok(Found::Expired(cursor.select.clone()));
    }
    Ok(Found::Cursor(cursor.clone()))
}

fn begin(world: &World, request: &Request<'_>, kind: Kind, latest: bool) -> Result<DeltaCursor, Refusal> {
    let (mut select, mut ids) = (None, Vec::new());
    for (name, value) in &request.options.0 {
        match name.to_ascii_lowercase().as_str() {
            "$select" => select = Some(selected(kind, value)?),
            "$filter" => ids = filtered(kind, value)?,
            "$deltatoken" => {}
            other => return Err(Refusal::bad(format!("The query option '{other}' is not supported by change tracking."))),
        }
    }
    let tenant = request.tenant(world)?;
    let minimal =
        request.call.field("prefer").is_some_and(|prefer| prefer.to_ascii_lowercase().replace(' ', "").contains("return=minimal"));
    Ok(DeltaCursor {
        tenant: tenant.id.clone(),
        kind,
        select,
        ids,
        minimal,
        from: latest.then_some(tenant.changes.len()),
        to: tenant.changes.len(),
        position: (0, 0),
        page: 0,
        issued: world.now(),
        complete: false,
        expired: false,
    })
}

fn selected(kind: Kind, value: &str) -> Result<Vec<String>, Refusal> {
    let mut names = Vec::new();
    for name in value.split(',') {
        let navigation = matches!((kind, name), (Kind::User, "manager") | (Kind::Group, "members" | "owners"));
        match standing(kind, name) {
            Standing::Everywhere => {}
            _ if navigation => {}
            Standing::Single => return Err(Refusal::unsupported(format!("Change tracking is not supported for the property '{name}'."))),
            Standing::Unknown => {
                let text = format!(
                    "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type '{}'.",
                    type_name(kind)
                );
                return Err(Refusal::new(400, "BadRequest", text));
            }
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn filtered(kind: Kind, value: &str) -> Result<Vec<Id>, Refusal> {
    let condition = filter::parse(value, &filter::of_kind(kind))?;
    let ids = condition.ids().ok_or_else(|| Refusal::unsupported("Change tracking filters by 'id eq' only."))?;
    if ids.len() > MOST_IDS {
        return Err(Refusal::bad(format!("Change tracking filters by at most {MOST_IDS} ids.")));
    }
    ids.into_iter().map(|id| Id::parse(id).ok_or_else(|| Refusal::bad(format!("'{id}' is not an id.")))).collect()
}

fn expired(world: &mut World, request: &Request<'_>, kind: Kind, select: Option<&[String]>) -> Answer {
    let status = if world.knobs.gone_with_location { 410 } else { 400 };
    let text = "The sync state generation is not found; continuing the sync requires a full synchronization.";
    let answer = graph_error(world, request.call, status, "syncStateNotFound", text);
    if status == 400 {
        return answer;
    }
    let set = if kind == Kind::User { "users" } else { "groups" };
    let select = select.map(|names| format!("&$select={}", names.join(","))).unwrap_or_default();
    let location = format!("{}/v1.0/{set}/delta?$deltatoken={select}", world.base);
    answer.header("location", &location)
}

fn wants(cursor: &DeltaCursor, name: &str) -> bool {
    match &cursor.select {
        Some(names) => names.iter().any(|selected| selected == name),
        None => name == "members",
    }
}

/// A page of the first round, and where the next begins.
fn first_page(tenant: &Tenant, cursor: &DeltaCursor, limit: usize, chunk: usize) -> (Vec<Value>, Option<(usize, usize)>) {
    let (mut slot, mut offset) = cursor.position;
    let mut items = Vec::new();
    while slot < tenant.objects.len() {
        let object = &tenant.objects[slot];
        let wanted = object.kind == cursor.kind && (cursor.ids.is_empty() || cursor.ids.contains(&object.id));
        if !wanted || object.life == Life::Deleted {
            slot += 1;
            continue;
        }
        if items.len() == limit {
            return (items, Some((slot, offset)));
        }
        if object.life == Life::SoftDeleted {
            items.push(gone(object));
            slot += 1;
            continue;
        }
        let mut item = full(object, cursor);
        let end = if cursor.kind == Kind::Group && wants(cursor, "members") {
            let end = object.members.len().min(offset + chunk);
            item.insert(
                "members@delta".to_owned(),
                object.members[offset..end].iter().filter_map(|id| member(tenant, *id, false)).collect(),
            );
            end
        } else {
            object.members.len()
        };
        items.push(Value::Object(item));
        (slot, offset) = if end < object.members.len() { (slot, end) } else { (slot + 1, 0) };
    }
    (items, None)
}

fn gone(object: &Object) -> Value {
    let reason = if object.life == Life::SoftDeleted { "changed" } else { "deleted" };
    json!({"id": object.id.to_string(), "@removed": {"reason": reason}})
}

fn full(object: &Object, cursor: &DeltaCursor) -> Map<String, Value> {
    let names = cursor.select.as_ref().map(|names| {
        let properties = names.iter().filter(|name| !["manager", "members", "owners"].contains(&name.as_str()));
        properties.cloned().collect::<Vec<String>>()
    });
    let mut item = project(object, names.as_deref());
    // A property that was never set is left out.
    item.retain(|_, value| !value.is_null());
    if cursor.kind == Kind::User
        && wants(cursor, "manager")
        && let Some(manager) = object.manager
    {
        item.insert("manager@delta".to_owned(), json!([{"@odata.type": "#microsoft.graph.user", "id": manager.to_string()}]));
    }
    item.insert("id".to_owned(), json!(object.id.to_string()));
    item
}

fn member(tenant: &Tenant, id: Id, removed: bool) -> Option<Value> {
    let object = tenant.any(id)?;
    let mut entry = json!({"@odata.type": object.odata_type(), "id": id.to_string()});
    if removed {
        entry["@removed"] = json!({"reason": "deleted"});
    }
    Some(entry)
}

/// What happened to one object in a window of the log.
#[derive(Default)]
struct Touched {
    created: bool,
    gone: bool,
    names: BTreeSet<String>,
    managers: Vec<Option<Id>>,
    members: Vec<Id>,
}

/// A page of what changed, and where the next begins.
fn changes_page(tenant: &Tenant, cursor: &DeltaCursor, from: usize, limit: usize, chunk: usize) -> (Vec<Value>, Option<(usize, usize)>) {
    let mut order = Vec::new();
    let mut touched = std::collections::HashMap::<Id, Touched>::new();
    for change in &tenant.changes[from.min(tenant.changes.len())..cursor.to.min(tenant.changes.len())] {
        if change.kind != cursor.kind || !(cursor.ids.is_empty() || cursor.ids.contains(&change.object)) {
            continue;
        }
        let entry = touched.entry(change.object).or_insert_with(|| {
            order.push(change.object);
            Touched::default()
        });
        match &change.what {
            What::Created => (entry.created, entry.gone) = (true, false),
            What::Gone => entry.gone = true,
            What::Properties(names) => entry.names.extend(names.iter().cloned()),
            What::Manager(former) => entry.managers.push(*former),
            What::Added(ids) | What::Removed(ids) => {
                let news: Vec<Id> = ids.iter().copied().filter(|id| !entry.members.contains(id)).collect();
                entry.members.extend(news);
            }
        }
    }
    let items: Vec<Value> = order
        .iter()
        .filter_map(|id| Some((tenant.any(*id)?, &touched[id])))
        .flat_map(|(object, seen)| changed(tenant, cursor, object, seen, chunk))
        .collect();
    let start = cursor.position.0;
    let end = items.len().min(start + limit);
    let next = (end < items.len()).then_some((end, 0));
    (items.into_iter().skip(start).take(limit).collect(), next)
}

/// The items that tell of one object's changes.
fn changed(tenant: &Tenant, cursor: &DeltaCursor, object: &Object, seen: &Touched, chunk: usize) -> Vec<Value> {
    if object.life != Life::Live || seen.gone {
        return if object.life == Life::Live { Vec::new() } else { vec![gone(object)] };
    }
    let tracked = |name: &&String| cursor.select.is_none() || wants(cursor, name);
    let names: Vec<&String> = seen.names.iter().filter(tracked).collect();
    let members = if cursor.kind == Kind::Group && wants(cursor, "members") { seen.members.as_slice() } else { &[] };
    let managers = if wants(cursor, "manager") { seen.managers.as_slice() } else { &[] };
    if !seen.created && names.is_empty() && members.is_empty() && managers.is_empty() {
        return Vec::new();
    }
    let mut item = full(object, cursor);
    let names: Vec<String> = names.into_iter().cloned().collect();
    let values = project(object, Some(&names));
    if cursor.minimal && !seen.created {
        item.retain(|name, _| name == "id" || names.contains(name));
    }
    // What was cleared is null.
    item.extend(values);
    if !managers.is_empty() {
        item.insert("manager@delta".to_owned(), manager_entries(object, managers));
    }
    if members.is_empty() {
        return vec![Value::Object(item)];
    }
    let chunks = members.chunks(chunk).map(|ids| {
        let mut part = item.clone();
        let entries = ids.iter().filter_map(|id| member(tenant, *id, !object.members.contains(id))).collect();
        part.insert("members@delta".to_owned(), entries);
        Value::Object(part)
    });
    chunks.collect()
}

fn manager_entries(object: &Object, former: &[Option<Id>]) -> Value {
    let mut entries: Vec<Value> = Vec::new();
    for id in former.iter().flatten().filter(|id| Some(**id) != object.manager) {
        entries.push(json!({"@odata.type": "#microsoft.graph.user", "id": id.to_string(), "@removed": {"reason": "deleted"}}));
    }
    entries.extend(object.manager.map(|id| json!({"@odata.type": "#microsoft.graph.user", "id": id.to_string()})));
    json!(entries)
}
