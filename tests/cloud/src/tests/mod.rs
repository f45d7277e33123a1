//! The stand-in as its clients see it: requests in, answers out.

mod delta;
mod entra;
mod exchange;
mod faults;
mod graph;

use serde_json::Value;

use crate::{Call, Cloud, Resource};

/// Where the tests' stand-in believes to be.
const BASE: &str = "https://cloud.test";

/// The small organisation at a fixed time.
fn small() -> Cloud {
    let cloud = Cloud::small(BASE).unwrap();
    // 2026-06-01T08:00:00Z
    cloud.with(|world| world.stop_clock(1_780_300_800_000));
    cloud
}

/// `GET` with the token of the sync application.
fn get(cloud: &Cloud, target: &str) -> (u16, Value) {
    let token = cloud.application_token("sync", Resource::Graph).unwrap();
    let answer = cloud.answer(&Call::get(target.strip_prefix(BASE).unwrap_or(target)).bearer(&token));
    (answer.status, answer.value())
}

/// The same, with `ConsistencyLevel: eventual`.
fn get_eventual(cloud: &Cloud, target: &str) -> (u16, Value) {
    let token = cloud.application_token("sync", Resource::Graph).unwrap();
    let call = Call::get(target.strip_prefix(BASE).unwrap_or(target)).bearer(&token).header("ConsistencyLevel", "eventual");
    let answer = cloud.answer(&call);
    (answer.status, answer.value())
}

/// One property of all items.
fn column(body: &Value, name: &str) -> Vec<String> {
    let items = body["value"].as_array().unwrap();
    items.iter().map(|item| item[name].as_str().unwrap_or_default().to_owned()).collect()
}
