//! One page of a collection of Graph: its envelope, its links, and what an expired link looks like.
//!
//! Links are followed as they are given ("Paging Microsoft Graph data"), but only to where they were asked for.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use signet_plugin_sdk::control::{Cause, Connection, Problem, Request, Response, Surroundings};

use crate::graph;

/// Octets of a link; those of Graph have a few thousand. More would only fill the host's storage.
const LINK_LIMIT: usize = 32 * 1024;

/// Codes of an error that says that a link is too old. They are compared without regard to case: documentation and service differ.
const EXPIRED: [&str; 5] =
    ["syncStateNotFound", "syncStateInvalid", "resyncRequired", "Directory_ExpiredPageToken", "Directory_ResyncRequired"];

/// How deep errors may nest, so that none can exhaust the stack.
const NESTED_ERRORS: usize = 8;

/// A collection and how it is asked for.
pub(super) struct Place {
    /// Its path below the version.
    pub(super) path: String,
    /// The first query; later ones are in the links.
    pub(super) query: String,
    /// Whether it is an advanced query.
    pub(super) advanced: bool,
    /// Whether its last page bears a link for the next round.
    pub(super) delta: bool,
}

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Failure {
    /// The link is too old: begin anew. The problem says what the service answered.
    Expired(Problem),
    Problem(Problem),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Failure {
    pub(super) fn into_problem(self) -> Problem {
        match self {
            Self::Expired(problem) | Self::Problem(problem) => problem,
        }
    }
}

/// Where a page leads.
#[derive(Debug, PartialEq)]
pub(super) enum Onward {
    /// To another page.
    Next(String),
    /// To the next round.
    Delta(String),
    /// Nowhere: it is the last one.
    End,
}

/// A page with its objects as they were sent.
#[derive(Debug)]
pub(super) struct Contents<'r> {
    pub(super) objects: Vec<&'r RawValue>,
    pub(super) onward: Onward,
    /// How many objects there are on all pages, when the service says so.
    pub(super) count: Option<u64>,
}

/// Asks for the page at `link`, or for the first one.
pub(super) fn get(
    around: &dyn Surroundings,
    connection: &Connection,
    place: &Place,
    link: Option<&str>,
) -> Result<(Request, Response), Failure> {
    let target = link.map_or_else(|| format!("{}?{}", place.path, place.query), str::to_owned);
    let request = patient(graph::request(connection, graph::DIRECTORY, "GET", &target));
    let request = if place.advanced { graph::advanced(request) } else { request };
    let response = around.send(&request).map_err(|error| graph::unsent(&request, &error))?;
    match response.status {
        200..300 => Ok((request, response)),
        _ if link.is_some() && expired(&response) => {
            let problem = graph::refused(&request, &response);
            Err(Failure::Expired(Problem { cause: Cause::Unavailable, wait: Some(graph::BACK_OFF), ..problem }))
        }
        _ => Err(graph::refused(&request, &response).into()),
    }
}

/// Asks to be throttled before people who wait for an answer are ("Microsoft Graph throttling guidance").
pub(super) fn patient(mut request: Request) -> Request {
    request.headers.push(("x-ms-throttle-priority".to_owned(), "low".to_owned()));
    request
}

/// A link is all that such a request consists of, so a bad request is a bad link.
fn expired(response: &Response) -> bool {
    match response.status {
        400 | 410 => true,
        401 | 429 => false,
        402..500 => {
            let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            let mut error = body.get("error");
            for _ in 0..NESTED_ERRORS {
                let code = error.and_then(|error| error.get("code")).and_then(Value::as_str).unwrap_or_default();
                if EXPIRED.iter().any(|known| known.eq_ignore_ascii_case(code)) {
                    return true;
                }
                error = error.and_then(|error| error.get("innerError").or_else(|| error.get("innererror")));
            }
            false
        }
        _ => false,
    }
}

#[derive(Deserialize)]
struct Envelope<'r> {
    #[serde(borrow)]
    value: Vec<&'r RawValue>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    delta: Option<String>,
    #[serde(rename = "@odata.count")]
    count: Option<u64>,
}

/// Opens the envelope and looks at its links.
pub(super) fn contents<'r>(
    connection: &Connection,
    place: &Place,
    request: &Request,
    response: &'r Response,
) -> Result<Contents<'r>, Problem> {
    let envelope: Envelope<'r> = serde_json::from_slice(&response.body)
        // The parser's own words can quote the text, which is somebody's data.
        .map_err(|error| graph::protocol(request, &format!("is no page: line {}, column {}", error.line(), error.column())))?;
    let onward = match (envelope.next, envelope.delta, place.delta) {
        (Some(next), None, _) => Onward::Next(next),
        (None, Some(delta), true) => Onward::Delta(delta),
        (None, None, false) => Onward::End,
        (None, None, true) => return Err(graph::protocol(request, "has neither a next link nor a delta link")),
        (Some(_), Some(_), _) => return Err(graph::protocol(request, "has both a next link and a delta link")),
        (None, Some(_), false) => return Err(graph::protocol(request, "has a delta link, which was not asked for")),
    };
    if let Onward::Next(link) | Onward::Delta(link) = &onward
        && !leads_to(connection, place, link)
    {
        return Err(graph::protocol(request, "leads to another place"));
    }
    if matches!(&onward, Onward::Next(link) if *link == request.url) {
        return Err(graph::protocol(request, "leads to itself"));
    }
    Ok(Contents { objects: envelope.value, onward, count: envelope.count })
}

/// Whether a link is to the collection. Case does not matter, and the function `delta` has a longer name (OData, "invoking a function").
pub(super) fn leads_to(connection: &Connection, place: &Place, link: &str) -> bool {
    let (address, query) = link.split_once('?').unwrap_or((link, ""));
    let address = address.strip_suffix("()").unwrap_or(address).to_ascii_lowercase();
    let address = address.strip_suffix("/microsoft.graph.delta").map(|start| format!("{start}/delta")).unwrap_or(address);
    let same = address == graph::url(connection, &place.path).to_ascii_lowercase();
    same && !query.is_empty() && link.len() <= LINK_LIMIT && link.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'#')
}
