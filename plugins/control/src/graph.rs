//! Requests to Microsoft Graph v1.0, and what its errors mean.
//!
//! Errors are told apart by status and `error.code`, never by message: messages change (Graph, "Microsoft Graph error responses").

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use signet_plugin_sdk::control::{Cause, Connection, HttpError, Problem, Request, Response, Surroundings};

/// The handle of the application's credential.
pub(crate) const DIRECTORY: &str = "directory";

/// The handle of the signed-in administrator's credential.
pub(crate) const ADMINISTRATOR: &str = "administrator";

/// Seconds to wait when the service asks to slow down and does not say for how long (Graph, "throttling guidance").
pub(crate) const BACK_OFF: u32 = 30;

/// What may stand in a query value as it is.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'$').remove(b',').remove(b'\'');

/// A query value, with everything encoded that could end it.
pub(crate) fn encoded(value: &str) -> String {
    utf8_percent_encode(value, QUERY).to_string()
}

/// A text inside an OData string: quotes are doubled.
pub(crate) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// The address of a path such as `/users/delta?$select=id`.
pub(crate) fn url(connection: &Connection, path: &str) -> String {
    let base = connection.endpoints.iter().find(|endpoint| endpoint.name == "graph");
    format!("{}/v1.0{path}", base.map_or("https://graph.microsoft.com", |base| base.value.as_str()))
}

/// A request for a path of Graph, or for a whole address that Graph gave (`@odata.nextLink`).
pub(crate) fn request(connection: &Connection, credential: &str, method: &str, target: &str) -> Request {
    let url = if target.starts_with('/') { url(connection, target) } else { target.to_owned() };
    let headers = vec![("Accept".to_owned(), "application/json".to_owned())];
    Request { method: method.to_owned(), url, headers, body: None, credential: Some(credential.to_owned()) }
}

/// The same with the header that advanced queries need (Graph, "Advanced query capabilities").
pub(crate) fn advanced(mut request: Request) -> Request {
    request.headers.push(("ConsistencyLevel".to_owned(), "eventual".to_owned()));
    request
}

/// The same with a JSON body.
pub(crate) fn with_json(mut request: Request, body: &serde_json::Value) -> Request {
    request.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    request.body = Some(body.to_string().into_bytes());
    request
}

/// Sends it and reads a JSON answer.
pub(crate) fn json<T: DeserializeOwned>(around: &dyn Surroundings, request: &Request) -> Result<T, Problem> {
    decode(request, &success(around, request)?)
}

/// Reads a JSON answer.
pub(crate) fn decode<T: DeserializeOwned>(request: &Request, response: &Response) -> Result<T, Problem> {
    serde_json::from_slice(&response.body).map_err(|error| protocol(request, &format!("is not what the service documents: {error}")))
}

/// Sends it; every status is an answer.
pub(crate) fn answer(around: &dyn Surroundings, request: &Request) -> Result<Response, Problem> {
    around.send(request).map_err(|error| unsent(request, &error))
}

/// Sends it; every status but 2xx is a problem.
pub(crate) fn success(around: &dyn Surroundings, request: &Request) -> Result<Response, Problem> {
    let response = answer(around, request)?;
    if (200..300).contains(&response.status) { Ok(response) } else { Err(refused(request, &response)) }
}

/// What Graph says went wrong; `error.code` of the outermost error.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ErrorBody {
    #[serde(default)]
    pub(crate) error: ErrorDetail,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct ErrorDetail {
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// The code of an error answer; empty when it has none.
pub(crate) fn code(response: &Response) -> String {
    serde_json::from_slice::<ErrorBody>(&response.body).unwrap_or_default().error.code
}

/// The value of a header field.
pub(crate) fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}

/// Seconds that the service asks for.
pub(crate) fn retry_after(response: &Response) -> Option<u32> {
    header(response, "retry-after").and_then(|value| value.trim().parse().ok())
}

/// The problem that an error answer is.
pub(crate) fn refused(request: &Request, response: &Response) -> Problem {
    let body: ErrorBody = serde_json::from_slice(&response.body).unwrap_or_default();
    let (cause, next_step) = match response.status {
        401 => (Cause::Credential, "Sign in again."),
        403 => (Cause::Permission, "Have a Global Administrator grant the permissions: choose Re-connect and accept the request."),
        404 => (Cause::Missing, "Choose again."),
        429 | 500 | 502..=504 => (Cause::Unavailable, "Nothing: it is tried again by itself."),
        _ => (Cause::Protocol, "Look at the service's words; if they do not help, report this with the request id."),
    };
    let wait = matches!(cause, Cause::Unavailable).then(|| retry_after(response).unwrap_or(BACK_OFF));
    let id = header(response, "request-id").map(|id| format!(" (request {id})")).unwrap_or_default();
    let detail = format!("{} answered {} {} {}{id}", named(request), response.status, body.error.code, body.error.message);
    Problem { cause, detail, next_step: next_step.to_owned(), wait }
}

/// The problem that no answer is.
pub(crate) fn unsent(request: &Request, error: &HttpError) -> Problem {
    let (cause, what, next_step, wait) = match error {
        HttpError::Denied(why) => {
            (Cause::Denied, format!("is not allowed: {why}"), "Add it to `control.egress` in the configuration.", None)
        }
        HttpError::Unreachable(why) => {
            (Cause::Unavailable, format!("failed: {why}"), "Nothing: it is tried again by itself.", Some(BACK_OFF))
        }
        HttpError::TimedOut => (Cause::Unavailable, "took too long".to_owned(), "Nothing: it is tried again by itself.", Some(BACK_OFF)),
        HttpError::TooLarge(octets) => (Cause::Protocol, format!("has more than {octets} octets"), "Report this.", None),
        HttpError::Exhausted(count) => {
            (Cause::Other("exhausted".to_owned()), format!("is one too many after {count}"), "Report this.", None)
        }
        // The application's own credential is the operator's affair, and the host says what to do about it.
        HttpError::NoCredential(why) if request.credential.as_deref() == Some(DIRECTORY) => {
            (Cause::Credential, format!("has no credential: {why}"), "Do what it says; it is tried again by itself.", None)
        }
        HttpError::NoCredential(why) => (Cause::Credential, format!("has no credential: {why}"), "Sign in again.", None),
        HttpError::Other(why) => (Cause::Other("http".to_owned()), format!("failed: {why}"), "Report this.", None),
    };
    Problem { cause, detail: format!("{} {what}", named(request)), next_step: next_step.to_owned(), wait }
}

/// The problem that an answer is which the service must not give.
pub(crate) fn protocol(request: &Request, what: &str) -> Problem {
    Problem {
        cause: Cause::Protocol,
        detail: format!("the answer to {} {what}", named(request)),
        next_step: "Nothing: it is tried again by itself. If it stays, report this.".to_owned(),
        wait: Some(BACK_OFF),
    }
}

/// Method and path, without the query: that may hold a token.
fn named(request: &Request) -> String {
    let path = request.url.split('?').next().unwrap_or_default();
    let path = path.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or(path);
    format!("{} {path}", request.method)
}
