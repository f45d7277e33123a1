//! What a request came to when it is not what was asked for: a status code and the trouble. It becomes a page or JSON at the end, in one
//! place.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::control::report::Trouble;

/// No result.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) trouble: Box<Trouble>,
    /// The tenant whose connection it is about, where its page is the way back.
    pub(super) tenant: Option<String>,
}

impl Failure {
    /// With a cause of the console itself.
    pub(super) fn new(status: StatusCode, kind: &str, detail: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { status, trouble: Box::new(Trouble::new(kind, detail, next_step, super::now())), tenant: None }
    }

    /// There is no such page, or nobody by that name.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "missing", detail, "Look for it from the start page.")
    }

    /// A field is missing or wrong.
    pub(super) fn bad_request(detail: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request", detail, next_step)
    }

    /// The system has no random octets.
    pub(super) fn no_random() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "fault", "The system gives no random octets.", "Look at the machine.")
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let status = match trouble.kind.as_str() {
            "unknown-tenant" | "missing" => StatusCode::NOT_FOUND,
            "unfit" => StatusCode::UNPROCESSABLE_ENTITY,
            "unavailable" | "store" | "protocol" | "denied" | "fault" => StatusCode::SERVICE_UNAVAILABLE,
            // The request is sound; the tenant, or the administrator, is not in the state for it.
            _ => StatusCode::CONFLICT,
        };
        Self { status, trouble: Box::new(trouble), tenant: None }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
