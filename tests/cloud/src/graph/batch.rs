//! `$batch`: up to twenty requests in one.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::errors::Refusal;
use super::request::Request;
use crate::call::{Answer, Call};
use crate::faults;
use crate::world::World;

/// How many requests a batch may hold.
const MOST: usize = 20;

/// Answers `POST /$batch`.
pub(crate) fn answer(world: &mut World, request: &Request<'_>) -> Result<Answer, Refusal> {
    let body: Value = serde_json::from_slice(&request.call.body).map_err(|_| Refusal::bad("Unable to read JSON request payload."))?;
    let items = body["requests"].as_array().ok_or_else(|| Refusal::bad("The batch has no requests."))?;
    if items.is_empty() || items.len() > MOST {
        return Err(Refusal::bad(format!("Number of batch request steps is {}; it must be between 1 and {MOST}.", items.len())));
    }
    let mut ids = HashSet::new();
    for item in items {
        let id = item["id"].as_str().filter(|id| !id.is_empty()).ok_or_else(|| Refusal::bad("Every batch request needs an id."))?;
        if !ids.insert(id) {
            return Err(Refusal::bad(format!("Request Id {id} has to be unique in a batch.")));
        }
        let url = item["url"].as_str().unwrap_or_default();
        if url.contains("://") || url.trim_start_matches('/').starts_with("v1.0/") || item["method"].as_str().is_none() {
            return Err(Refusal::bad(format!("The url of batch request {id} is relative and without version: '/users'.")));
        }
        if !item["body"].is_null() && !item["headers"].is_object() {
            return Err(Refusal::bad(format!("Batch request {id} has a body and no headers.")));
        }
    }
    let mut statuses: HashMap<String, u16> = HashMap::new();
    let mut answers: Vec<Value> = Vec::new();
    for item in items {
        let id = item["id"].as_str().unwrap_or_default();
        let answer = one(world, request, item, &statuses);
        statuses.insert(id.to_owned(), answer.status);
        answers.push(described(id, &answer));
    }
    // The service answers in any order.
    answers.reverse();
    Ok(Answer::json(200, &json!({"responses": answers})))
}

fn one(world: &mut World, request: &Request<'_>, item: &Value, statuses: &HashMap<String, u16>) -> Answer {
    let inner = inner(request, item);
    let failed = |id: &Value| id.as_str().and_then(|id| statuses.get(id)).is_none_or(|status| *status >= 400);
    if item["dependsOn"].as_array().is_some_and(|before| before.iter().any(failed)) {
        return super::graph_error(world, &inner, 424, "FailedDependency", "A request that this one depends on failed.");
    }
    let path = inner.path().to_owned();
    let answer = match faults::due(world, &path, "").and_then(|wrong| faults::instead(world, &inner, &wrong)) {
        Some(answer) => answer,
        None => super::answer(world, &inner),
    };
    world.remember(&inner, &answer, "");
    answer
}

fn inner(request: &Request<'_>, item: &Value) -> Call {
    let url = item["url"].as_str().unwrap_or_default();
    let mut call =
        Call::new(&item["method"].as_str().unwrap_or_default().to_ascii_uppercase(), &format!("/v1.0/{}", url.trim_start_matches('/')));
    for (name, value) in item["headers"].as_object().into_iter().flatten() {
        call.headers.push((name.clone(), value.as_str().unwrap_or_default().to_owned()));
    }
    call.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    call.headers.extend(request.call.field("authorization").map(|value| ("authorization".to_owned(), value.to_owned())));
    if !item["body"].is_null() {
        call.body = item["body"].to_string().into_bytes();
    }
    call
}

fn described(id: &str, answer: &Answer) -> Value {
    let headers: serde_json::Map<String, Value> = answer.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let mut item = json!({"id": id, "status": answer.status, "headers": headers});
    if !answer.body.is_empty() {
        let json_body = answer.field("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        item["body"] = if json_body { answer.value() } else { json!(STANDARD.encode(&answer.body)) };
    }
    item
}
