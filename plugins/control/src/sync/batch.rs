//! Several requests in one ("Combine multiple HTTP requests using JSON batching"), each with an answer of its own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use signet_plugin_sdk::control::{Cause, Connection, Problem, Request, Response, Surroundings};

use super::fetch;
use crate::graph;

/// Requests that a batch may have.
pub(super) const SIZE: usize = 20;

/// One request to read something.
pub(super) struct Inquiry {
    /// Path and query below the version.
    pub(super) target: String,
    /// Whether it is an advanced query.
    pub(super) advanced: bool,
}

impl Inquiry {
    /// As it would be without the batch.
    pub(super) fn request(&self, connection: &Connection) -> Request {
        graph::request(connection, graph::DIRECTORY, "GET", &self.target)
    }
}

#[derive(Deserialize)]
struct Answers {
    responses: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    id: String,
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    body: Option<Box<RawValue>>,
}

/// Sends at most [`SIZE`] inquiries. The answers are in their order; none for what is not there (404). Any other failure of one fails all:
/// the whole is repeated, after the longest of the waits that were asked for.
pub(super) fn send(around: &dyn Surroundings, connection: &Connection, inquiries: &[Inquiry]) -> Result<Vec<Option<Response>>, Problem> {
    let requests: Vec<Value> = inquiries.iter().enumerate().map(|(number, inquiry)| described(number, inquiry)).collect();
    let request =
        graph::with_json(fetch::patient(graph::request(connection, graph::DIRECTORY, "POST", "/$batch")), &json!({ "requests": requests }));
    let response = graph::success(around, &request)?;
    // The parser's own words can quote the text, which is somebody's data.
    let answers: Answers = serde_json::from_slice(&response.body)
        .map_err(|error| graph::protocol(&request, &format!("is no batch: line {}, column {}", error.line(), error.column())))?;
    let mut by_number: BTreeMap<String, Answer> = answers.responses.into_iter().map(|answer| (answer.id.clone(), answer)).collect();
    let mut found = Vec::with_capacity(inquiries.len());
    let mut busy: Option<Problem> = None;
    for (number, inquiry) in inquiries.iter().enumerate() {
        let answer = by_number.remove(&number.to_string()).ok_or_else(|| graph::protocol(&request, "lacks some of the answers"))?;
        match as_response(answer) {
            response @ Response { status: 200..300, .. } => found.push(Some(response)),
            Response { status: 404, .. } => found.push(None),
            response => {
                let problem = graph::refused(&inquiry.request(connection), &response);
                if !matches!(problem.cause, Cause::Unavailable) {
                    return Err(problem);
                }
                if busy.as_ref().is_none_or(|known| known.wait < problem.wait) {
                    busy = Some(problem);
                }
            }
        }
    }
    busy.map_or(Ok(found), Err)
}

fn described(number: usize, inquiry: &Inquiry) -> Value {
    let mut described = json!({ "id": number.to_string(), "method": "GET", "url": inquiry.target });
    if inquiry.advanced {
        described["headers"] = json!({ "ConsistencyLevel": "eventual" });
    }
    described
}

fn as_response(answer: Answer) -> Response {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Response {
        status: answer.status,
        headers: answer.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), text(value))).collect(),
        body: answer.body.map(|body| String::from(Box::<str>::from(body)).into_bytes()).unwrap_or_default(),
    }
}
