//! Cmdlets of Exchange Online, through the endpoint that Microsoft's own PowerShell module uses, and what its errors mean.
//!
//! Microsoft does not document that endpoint, so everything about it is here, and [`crate::mail_flow`] can write a script instead. Errors
//! are told apart by the type of the exception, never by message. It knows no connector and no rule.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use signet_plugin_sdk::control::{Cause, Connection, Problem, Request, Response, Surroundings};

use crate::graph::{BACK_OFF, header, protocol, retry_after, unsent};

/// The handle of the credential for mail flow.
pub(crate) const EXCHANGE: &str = "exchange";

/// Seconds after which a refused cmdlet is tried again: roles and consent reach Exchange within minutes, at worst an hour.
pub(crate) const ROLE_WAIT: u32 = 60;

/// Pages of one cmdlet's answer: a thousand objects each, and no tenant may have a tenth as many rules or connectors.
const PAGES: usize = 20;

/// The mailbox by which Exchange finds the tenant; every tenant has it.
const ANCHOR: &str = "APP:SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}";

/// An object as a cmdlet gives it.
pub(crate) type Object = Map<String, Value>;

/// What a cmdlet answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) objects: Vec<Object>,
    pub(crate) warnings: Vec<String>,
}

/// Why a cmdlet did not do it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The object is not there.
    Absent(Problem),
    /// An object of that name is there.
    Exists(Problem),
    /// The caller is not allowed to, perhaps not yet: roles take time to reach Exchange.
    Unready(Problem),
    /// Anything else.
    Other(Problem),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Absent(problem) | Failure::Exists(problem) | Failure::Unready(problem) | Failure::Other(problem) => problem,
        }
    }
}

/// Runs a cmdlet and reads all pages of its answer.
pub(crate) fn invoke(around: &dyn Surroundings, connection: &Connection, cmdlet: &str, parameters: Object) -> Result<Answer, Failure> {
    let base = connection.endpoints.iter().find(|endpoint| endpoint.name == "exchange");
    let base = base.map_or("https://outlook.office365.com", |base| base.value.as_str());
    let mut url = format!("{base}/adminapi/beta/{}/InvokeCommand", connection.tenant);
    let body = json!({ "CmdletInput": { "CmdletName": cmdlet, "Parameters": parameters } }).to_string().into_bytes();
    let mut answer = Answer::default();
    for _ in 0..PAGES {
        let request = request(connection, url, body.clone());
        let page = page(around, &request, cmdlet)?;
        answer.objects.extend(page.value);
        answer.warnings.extend(page.warnings);
        match page.next {
            None => return Ok(answer),
            // The host would refuse another host too; this says why.
            Some(next) if !next.starts_with(&format!("{base}/")) => {
                return Err(Failure::Other(protocol(&request, "goes on at an address that is not the service's")));
            }
            Some(next) => url = next,
        }
    }
    let request = request(connection, url, Vec::new());
    Err(Failure::Other(protocol(&request, "has more pages than a tenant can have objects")))
}

fn request(connection: &Connection, url: String, body: Vec<u8>) -> Request {
    let headers = [
        ("Accept", "application/json".to_owned()),
        ("Content-Type", "application/json; charset=utf-8".to_owned()),
        ("Prefer", "odata.maxpagesize=1000".to_owned()),
        ("X-AnchorMailbox", format!("{ANCHOR}@{}", connection.tenant)),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Request { method: "POST".to_owned(), url, headers, body: Some(body), credential: Some(EXCHANGE.to_owned()) }
}

#[derive(Debug, Default, Deserialize)]
struct Page {
    #[serde(default)]
    value: Vec<Object>,
    #[serde(default, rename = "@adminapi.warnings")]
    warnings: Vec<String>,
    #[serde(default, rename = "@odata.nextLink")]
    next: Option<String>,
}

fn page(around: &dyn Surroundings, request: &Request, cmdlet: &str) -> Result<Page, Failure> {
    let response = around.send(request).map_err(|error| Failure::Other(unsent(request, &error)))?;
    match response.status {
        // Set-* and Remove-* answer with nothing.
        200..=299 if response.body.is_empty() => Ok(Page::default()),
        200..=299 => serde_json::from_slice(&response.body)
            .map_err(|error| Failure::Other(protocol(request, &format!("to {cmdlet} is not what is known of it: {error}")))),
        _ => Err(failure(cmdlet, &response)),
    }
}

/// What an error answer means.
fn failure(cmdlet: &str, response: &Response) -> Failure {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let error = Refusal::of(&body);
    let id = header(response, "request-id").map(|id| format!(" (request {id})")).unwrap_or_default();
    let detail = format!("Exchange Online answered {cmdlet} with {}: {}{id}", response.status, error.text);
    let problem = |cause, next_step: &str, wait| Problem { cause, detail: detail.clone(), next_step: next_step.to_owned(), wait };
    if error.is("ManagementObjectNotFoundException") {
        return Failure::Absent(problem(Cause::Missing, "Make the plan again: somebody removed the object meanwhile.", None));
    }
    if error.is("ManagementObjectAlreadyExistsException") {
        return Failure::Exists(problem(Cause::Conflict, "Rename or remove the object of that name in Exchange Online, then go on.", None));
    }
    match response.status {
        401 | 403 => Failure::Unready(problem(
            if response.status == 401 { Cause::Credential } else { Cause::Permission },
            "Check that whoever authorised is a Global Administrator or an Exchange Administrator, then choose Re-connect.",
            Some(ROLE_WAIT),
        )),
        408 | 429 | 500 | 502..=504 => Failure::Other(problem(
            Cause::Unavailable,
            "Nothing: it is tried again by itself.",
            Some(retry_after(response).unwrap_or(BACK_OFF)),
        )),
        _ => Failure::Other(problem(
            Cause::Protocol,
            "Look at the service's words; if they do not help, use the script instead and report this with the request id.",
            None,
        )),
    }
}

/// The parts of an error body: the types of its exceptions, and the best text.
struct Refusal {
    types: Vec<String>,
    text: String,
}

impl Refusal {
    fn of(body: &Value) -> Self {
        let error = &body["error"];
        let inner = either(error, "innererror", "innerError");
        let internal = either(inner, "internalexception", "internalException");
        let mut types: Vec<String> = [inner, internal].iter().filter_map(|part| part["type"].as_str()).map(str::to_owned).collect();
        let mut text = [internal, inner, error].iter().find_map(|part| part["message"].as_str()).unwrap_or("no reason").to_owned();
        for detail in error["details"].as_array().into_iter().flatten().filter_map(|detail| detail["message"].as_str()) {
            // `|type|text`, with or without a number before it.
            let mut parts = detail.splitn(3, '|').skip(1);
            match parts.next().zip(parts.next()) {
                Some((name, words)) => {
                    types.push(name.to_owned());
                    words.trim().clone_into(&mut text);
                }
                None => detail.clone_into(&mut text),
            }
        }
        Self { types, text }
    }

    fn is(&self, exception: &str) -> bool {
        self.types.iter().any(|name| name.rsplit('.').next() == Some(exception))
    }
}

fn either<'v>(value: &'v Value, one: &str, other: &str) -> &'v Value {
    value.get(one).unwrap_or(&value[other])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: Value) -> Failure {
        failure("Get-TransportRule", &Response { status, headers: Vec::new(), body: body.to_string().into_bytes() })
    }

    #[test]
    fn errors_are_told_apart_by_the_type_of_the_exception_wherever_it_stands() {
        let name = "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException";
        for body in [
            json!({ "error": { "details": [{ "message": format!("|{name}|It is not there.") }] } }),
            json!({ "error": { "details": [{ "message": format!("Ex1B2C3D|{name}|It is not there.") }] } }),
            json!({ "error": { "innererror": { "internalexception": { "type": name, "message": "It is not there." } } } }),
            json!({ "error": { "innerError": { "type": name, "message": "It is not there." } } }),
        ] {
            let Failure::Absent(problem) = refused(404, body) else { panic!("not absent") };
            assert!(problem.detail.contains("It is not there."), "{problem:?}");
        }
        let exists = json!({ "error": { "details": [{ "message": "|X.ManagementObjectAlreadyExistsException|Taken." }] } });
        assert!(matches!(refused(400, exists), Failure::Exists(_)));
        let words = json!({ "error": { "message": "ManagementObjectNotFoundException" } });
        assert!(matches!(refused(400, words), Failure::Other(_)), "a message decides nothing");
        let role = json!({ "error": { "code": "Unauthorized", "message": "User is not allowed to call Get-TransportRule" } });
        assert!(matches!(refused(401, role), Failure::Unready(problem) if problem.cause == Cause::Credential));
        assert!(matches!(refused(503, json!(null)), Failure::Other(problem) if problem.wait == Some(BACK_OFF)));
        assert!(matches!(refused(400, json!("text")), Failure::Other(problem) if problem.cause == Cause::Protocol));
    }
}
