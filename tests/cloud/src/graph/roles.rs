//! Directory roles: who holds them, and how they are assigned.

use serde_json::{Value, json};

use super::errors::Refusal;
use super::filter;
use super::lists::{self, Shape};
use super::request::{Request, context};
use super::segment_missing;
use crate::call::Answer;
use crate::random::Id;
use crate::tenant::{Assignment, EXCHANGE_ADMINISTRATOR, GLOBAL_ADMINISTRATOR, Kind, Object, RoleAssignment, Tenant};
use crate::world::{World, rfc3339};

/// Roles that were activated in the directory: template, name, what they are for.
const ACTIVE: [(&str, &str, &str); 2] = [
    (GLOBAL_ADMINISTRATOR, "Global Administrator", "Can manage all aspects of Microsoft Entra ID and services that use its identities."),
    (EXCHANGE_ADMINISTRATOR, "Exchange Administrator", "Can manage all aspects of the Exchange product."),
];

/// The object id of an activated role: its template's, with another beginning.
fn object_id(template: &str) -> String {
    format!("d1{}", &template[2..])
}

fn shown((template, name, description): &(&str, &str, &str)) -> Value {
    json!({"id": object_id(template), "deletedDateTime": null, "description": description, "displayName": name, "roleTemplateId": template})
}

/// `/directoryRoles`, one by id or template, and its members.
pub(crate) fn directory_roles(world: &mut World, request: &Request<'_>, first: &str, rest: &[&str]) -> Result<Answer, Refusal> {
    let keyed = first.strip_prefix("directoryRoles(roleTemplateId='").and_then(|rest| rest.strip_suffix("')"));
    let (role, rest) = match (keyed, rest) {
        (Some(template), rest) => (ACTIVE.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(template.trim())), rest),
        (None, []) if first == "directoryRoles" => {
            let roles: Vec<Value> = ACTIVE.iter().map(shown).collect();
            return Ok(Answer::json(200, &json!({"@odata.context": context(world, "directoryRoles"), "value": roles})));
        }
        (None, [id, rest @ ..]) if first == "directoryRoles" => (ACTIVE.iter().find(|(known, _, _)| object_id(known) == *id), rest),
        _ => return Err(segment_missing(&[first])),
    };
    let Some(role) = role else { return Err(Refusal::missing(first)) };
    let kind = match rest {
        [] => {
            let mut body = shown(role);
            body["@odata.context"] = json!(context(world, "directoryRoles/$entity"));
            return Ok(Answer::json(200, &body));
        }
        ["members"] => None,
        ["members", "microsoft.graph.user"] => Some(Kind::User),
        ["members", "microsoft.graph.group"] => Some(Kind::Group),
        _ => return Err(segment_missing(rest)),
    };
    let now = world.now();
    let tenant = request.tenant(world)?;
    let principals = active(tenant, now).filter(|assignment| assignment.role == role.0).map(|assignment| assignment.principal);
    let holders: Vec<&Object> =
        principals.filter_map(|id| tenant.object(id, Kind::User).or_else(|| tenant.object(id, Kind::Group))).collect();
    let set = if kind == Some(Kind::User) { "users" } else { "directoryObjects" };
    let listed = lists::answer(tenant, world, request, Shape { set, kind, cast: false }, &mut holders.into_iter())?;
    Ok(lists::finish(world, request, listed))
}

fn active(tenant: &Tenant, now: i64) -> impl Iterator<Item = &RoleAssignment> {
    tenant.roles.iter().filter(move |role| !matches!(role.assignment, Assignment::Activated(end) if end <= now))
}

/// `/roleManagement/directory/...`.
pub(crate) fn management(world: &World, request: &Request<'_>, parts: &[&str]) -> Result<Answer, Refusal> {
    let tenant = request.tenant(world)?;
    let (set, rows) = match parts {
        ["roleAssignments", ..] => ("roleAssignments", assignments(tenant, world.now())),
        ["roleAssignmentScheduleInstances", ..] if !tenant.premium => {
            let text = "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.";
            return Err(Refusal::new(400, "AadPremiumLicenseRequired", text));
        }
        ["roleAssignmentScheduleInstances", ..] => ("roleAssignmentScheduleInstances", instances(tenant, world.now())),
        _ => return Err(segment_missing(parts)),
    };
    let rows: Vec<Value> = match (&parts[1..], request.access.user) {
        ([], _) => filtered(request, rows)?,
        (["filterByCurrentUser(on='principal')"], Some(user)) => {
            rows.into_iter().filter(|row| row["principalId"] == json!(user.to_string())).collect()
        }
        ([id], _) => {
            let mut row = rows.into_iter().find(|row| row["id"] == json!(id)).ok_or_else(|| Refusal::missing(id))?;
            row["@odata.context"] = json!(context(world, &format!("roleManagement/directory/{set}/$entity")));
            return Ok(Answer::json(200, &row));
        }
        _ => return Err(segment_missing(parts)),
    };
    Ok(Answer::json(200, &json!({"@odata.context": context(world, &format!("roleManagement/directory/{set}")), "value": rows})))
}

fn filtered(request: &Request<'_>, rows: Vec<Value>) -> Result<Vec<Value>, Refusal> {
    request.allow(&["$filter", "$select", "$top"])?;
    const NAMES: [&str; 7] = ["principalId", "roleDefinitionId", "directoryScopeId", "memberType", "assignmentType", "id", "endDateTime"];
    let known = |path: &str| {
        if NAMES.contains(&path) { Ok(()) } else { Err(Refusal::bad(format!("Invalid filter clause: no property '{path}'."))) }
    };
    let Some(text) = request.options.value("$filter") else {
        return Ok(rows);
    };
    let condition = filter::parse(text, &known)?;
    Ok(rows.into_iter().filter(|row| condition.holds(&|path| row[path].clone())).collect())
}

fn assignments(tenant: &Tenant, now: i64) -> Vec<Value> {
    let row = |role: &RoleAssignment| json!({"id": role.id, "principalId": role.principal.to_string(), "directoryScopeId": "/", "roleDefinitionId": role.role});
    active(tenant, now).map(row).collect()
}

/// A row for each direct holder, and one of `memberType` `Group` for each member of a group that holds a role.
fn instances(tenant: &Tenant, now: i64) -> Vec<Value> {
    let row = |role: &RoleAssignment, principal: Id, member: &str, suffix: usize| {
        let (kind, end) = match role.assignment {
            Assignment::Assigned => ("Assigned", Value::Null),
            Assignment::Activated(end) => ("Activated", json!(rfc3339(end))),
        };
        let start = if kind == "Assigned" { Value::Null } else { json!(rfc3339(now - 3_600_000)) };
        json!({
            "id": format!("{}-{suffix}", role.id), "principalId": principal.to_string(), "roleDefinitionId": role.role, "directoryScopeId": "/",
            "appScopeId": null, "startDateTime": start, "endDateTime": end, "assignmentType": kind, "memberType": member,
            "roleAssignmentOriginId": role.id, "roleAssignmentScheduleId": role.id,
        })
    };
    let mut rows = Vec::new();
    for role in active(tenant, now) {
        rows.push(row(role, role.principal, "Direct", 1));
        if tenant.object(role.principal, Kind::Group).is_some() {
            let people = tenant.transitive_members(role.principal).into_iter().filter(|member| member.kind == Kind::User);
            rows.extend(people.enumerate().map(|(number, member)| row(role, member.id, "Group", number + 2)));
        }
    }
    rows
}
