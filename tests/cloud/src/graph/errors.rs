//! Graph's error body.

use serde_json::json;

use crate::call::{Answer, Call};
use crate::random::Id;
use crate::world::World;

/// Why a request is refused, before it has a request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// 400 `Request_BadRequest`.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "Request_BadRequest", message)
    }

    /// 400 `Request_UnsupportedQuery`.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(400, "Request_UnsupportedQuery", message)
    }

    /// 404 for an object.
    pub(crate) fn missing(name: &str) -> Self {
        let text = format!("Resource '{name}' does not exist or one of its queried reference-property objects are not present.");
        Self::new(404, "Request_ResourceNotFound", text)
    }
}

/// An error answer.
pub(crate) fn graph_error(world: &mut World, call: &Call, status: u16, code: &str, message: &str) -> Answer {
    let id = world.random.id().to_string();
    let client = call.field("client-request-id").and_then(Id::parse).map_or_else(|| id.clone(), |id| id.to_string());
    let date = world.timestamp().trim_end_matches('Z').to_owned();
    let error = json!({"code": code, "message": message, "innerError": {"date": date, "request-id": id, "client-request-id": client}});
    let mut answer = Answer::json(status, &json!({"error": error})).header("request-id", &id).header("client-request-id", &client);
    if status == 401 {
        let challenge = format!(
            "Bearer realm=\"\", authorization_uri=\"{}/common/oauth2/v2.0/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"",
            world.base
        );
        answer = answer.header("www-authenticate", &challenge);
    }
    answer
}
