//! The same as the pages, as JSON; `docs/api.md` describes it for those who use it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::Shared;
use super::connect::{invitation_link, permitted_goal};
use super::failure::Failure;
use super::guard::Visit;
use super::people::{MAX_FOUND, known};
use super::show::{self, Answered, stage_words};
use crate::control::words::Goal;

type Console = State<Arc<Shared>>;

fn ok(value: &impl Serialize) -> Response {
    show::json(StatusCode::OK, value)
}

/// What a change comes to: everything about the tenant afterwards.
async fn changed(shared: &Shared, tenant: &str) -> Answered {
    Ok(ok(&shared.plane.overview(tenant).await?))
}

pub(super) async fn tenants(State(shared): Console) -> Answered {
    let mut tenants = Vec::new();
    for (id, name) in shared.plane.tenants() {
        let overview = shared.plane.overview(&id).await?;
        tenants.push(json!({ "id": id, "name": name, "stage": overview.stage, "words": stage_words(&overview) }));
    }
    Ok(ok(&tenants))
}

pub(super) async fn overview(State(shared): Console, Path(tenant): Path<String>) -> Answered {
    changed(&shared, &tenant).await
}

pub(super) async fn groups(State(shared): Console, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    Ok(ok(&shared.plane.find_groups(&tenant, visit.fields.get("text").unwrap_or_default()).await?))
}

pub(super) async fn begin(State(shared): Console, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    Ok(ok(&json!({ "url": shared.plane.begin(&tenant, visit.browser()?).await? })))
}

pub(super) async fn authorize(State(shared): Console, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    let goal = permitted_goal(&shared, &visit, &tenant).await?;
    Ok(ok(&json!({ "url": shared.plane.authorize(&tenant, goal, visit.browser()?).await? })))
}

pub(super) async fn disconnect(State(shared): Console, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    Ok(ok(&json!({ "url": shared.plane.authorize(&tenant, Goal::Disconnect, visit.browser()?).await? })))
}

pub(super) async fn choose_people(State(shared): Console, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    Ok(ok(&shared.plane.choose_people(&tenant, group(&visit, "full", "limited")?).await?))
}

pub(super) async fn choose_routing(State(shared): Console, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    Ok(ok(&shared.plane.choose_routing(&tenant, group(&visit, "all-users", "group")?).await?))
}

/// The group of a choice. Everybody must be said in so many words: an empty body chooses nothing.
fn group<'a>(visit: &'a Visit, everybody: &str, one: &str) -> Result<Option<&'a str>, Failure> {
    match (visit.fields.get("choice"), visit.fields.get("group")) {
        (Some(choice), None) if choice == everybody => Ok(None),
        (Some(choice), Some(group)) if choice == one => Ok(Some(group)),
        _ => {
            let next_step = format!("Send {{\"choice\": \"{everybody}\"}} or {{\"choice\": \"{one}\", \"group\": \"<id of a group>\"}}.");
            Err(Failure::bad_request("The body does not say what is chosen.", next_step))
        }
    }
}

pub(super) async fn plan(State(shared): Console, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    Ok(ok(&shared.plane.plan(&tenant, show::goal(visit.fields.get("goal"))?).await?))
}

pub(super) async fn script_run(State(shared): Console, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    let goal = permitted_goal(&shared, &visit, &tenant).await?;
    shared.plane.script_was_run(&tenant, goal).await?;
    changed(&shared, &tenant).await
}

pub(super) async fn go_on(State(shared): Console, Path(tenant): Path<String>) -> Answered {
    shared.plane.go_on(&tenant).await?;
    changed(&shared, &tenant).await
}

pub(super) async fn abandon(State(shared): Console, Path(tenant): Path<String>) -> Answered {
    shared.plane.abandon(&tenant).await?;
    changed(&shared, &tenant).await
}

pub(super) async fn invite(State(shared): Console, Path(tenant): Path<String>) -> Answered {
    let invitation = shared.plane.invite(&tenant).await?;
    Ok(ok(&json!({ "url": invitation_link(&shared, &invitation.token), "expires": invitation.expires })))
}

pub(super) async fn synchronise(State(shared): Console, Path(tenant): Path<String>) -> Answered {
    shared.plane.synchronise(&tenant).await?;
    changed(&shared, &tenant).await
}

pub(super) async fn accept_shrink(State(shared): Console, Path(tenant): Path<String>) -> Answered {
    shared.plane.accept_shrink(&tenant).await?;
    changed(&shared, &tenant).await
}

pub(super) async fn status(State(shared): Console, Path(tenant): Path<String>) -> Answered {
    Ok(ok(&shared.plane.status(&tenant).await?))
}

pub(super) async fn spf(State(shared): Console, Path(tenant): Path<String>) -> Answered {
    Ok(ok(&shared.plane.spf(&tenant).await?))
}

pub(super) async fn people(State(shared): Console, Extension(visit): Extension<Visit>, Path(tenant): Path<String>) -> Answered {
    // Whether there is such a tenant is the control plane's to say.
    shared.plane.overview(&tenant).await?;
    Ok(ok(&shared.directory.search(&tenant, visit.fields.get("text").unwrap_or_default(), MAX_FOUND).await?))
}

pub(super) async fn person(State(shared): Console, Path((tenant, address)): Path<(String, String)>) -> Answered {
    shared.plane.overview(&tenant).await?;
    let person = known(&shared, &tenant, &address).await?;
    let (signature, trouble) = match shared.directory.signature(&tenant, &person.address, super::now()).await {
        Ok(signature) => (Some(signature), None),
        Err(trouble) => (None, Some(trouble)),
    };
    Ok(ok(&json!({ "person": person, "signature": signature, "trouble": trouble })))
}
