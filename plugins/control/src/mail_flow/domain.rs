//! The certificate domain in the directory: added, verified, removed.
//!
//! Exchange Online hands mail over only to a certificate that bears a domain of the tenant; nobody else's has this one. It is removed only
//! when this connection added it.

use serde::Deserialize;
use serde_json::json;
use signet_plugin_sdk::control::{Action, Cause, Connection, Outcome, Problem, Surroundings};

use super::objects::keep;
use crate::directory::Collection;
use crate::graph::{ADMINISTRATOR, answer, code, decode, json as read, refused, request, with_json};

/// The domain that we added, or are about to: written before the request, so that a crash between the two is known of.
const ADDED: &str = "mail-flow/added-domain";

/// Seconds until the record of what is about to be done is kept.
const AT_ONCE: u32 = 1;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Domain {
    #[serde(default)]
    is_verified: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(default)]
    record_type: Option<String>,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    ttl: Option<u32>,
}

fn find(around: &dyn Surroundings, connection: &Connection) -> Result<Option<Domain>, Problem> {
    let target = format!("/domains/{}?$select=id,isVerified", connection.certificate_domain);
    let request = request(connection, ADMINISTRATOR, "GET", &target);
    let response = answer(around, &request)?;
    match response.status {
        200..=299 => decode(&request, &response).map(Some),
        404 => Ok(None),
        _ => Err(refused(&request, &response)),
    }
}

/// What has to be done about it.
pub(super) fn planned(around: &dyn Surroundings, connection: &Connection) -> Result<Action, Problem> {
    if !connection.credentials.iter().any(|handle| handle == ADMINISTRATOR) {
        return Ok(Action::Create);
    }
    Ok(match find(around, connection)? {
        None => Action::Create,
        Some(domain) if domain.is_verified == Some(true) => Action::Keep,
        Some(_) => Action::Change,
    })
}

/// Adds it and verifies it.
pub(super) fn ensure(around: &dyn Surroundings, connection: &Connection) -> Result<Outcome, Problem> {
    let name = &connection.certificate_domain;
    let mut changed = Vec::new();
    match find(around, connection)? {
        Some(domain) if domain.is_verified == Some(true) => return Ok(Outcome::Done(changed)),
        Some(_) => {}
        None if around.read(ADDED).as_deref() != Some(name.as_bytes()) => {
            keep(around, ADDED, name)?;
            return Ok(Outcome::Again((AT_ONCE, format!("The domain {name} is not there yet and is added next."))));
        }
        None => {
            add(around, connection)?;
            changed.push(format!("Added the domain {name}."));
        }
    }
    let request = request(connection, ADMINISTRATOR, "POST", &format!("/domains/{name}/verify"));
    let response = answer(around, &request)?;
    match response.status {
        200..=299 => {
            let domain: Domain = decode(&request, &response)?;
            if domain.is_verified == Some(false) {
                return Ok(Outcome::ActionNeeded(record(around, connection)?));
            }
            changed.push(format!("Verified the domain {name}."));
            Ok(Outcome::Done(changed))
        }
        400 | 404 => Ok(Outcome::ActionNeeded(record(around, connection)?)),
        _ => Err(refused(&request, &response)),
    }
}

fn add(around: &dyn Surroundings, connection: &Connection) -> Result<(), Problem> {
    let name = &connection.certificate_domain;
    let request = with_json(request(connection, ADMINISTRATOR, "POST", "/domains"), &json!({ "id": name }));
    let response = answer(around, &request)?;
    match response.status {
        200..=299 => Ok(()),
        // Another tenant has it, or has not let go of it.
        400 | 409 => {
            let problem = refused(&request, &response);
            let next_step = format!(
                "Check that {name} is a valid domain name and belongs to no other Microsoft 365 tenant; remove it there, or give this tenant \
                 another certificate domain."
            );
            Err(Problem { cause: Cause::Conflict, next_step, ..problem })
        }
        _ => Err(refused(&request, &response)),
    }
}

/// The record that proves the domain.
fn record(around: &dyn Surroundings, connection: &Connection) -> Result<String, Problem> {
    let name = &connection.certificate_domain;
    let request = request(connection, ADMINISTRATOR, "GET", &format!("/domains/{name}/verificationDnsRecords"));
    let records: Collection<Record> = read(around, &request)?;
    let record = records.value.iter().find_map(|record| match (&record.record_type, &record.text) {
        (Some(kind), Some(text)) if kind.eq_ignore_ascii_case("Txt") => Some((record, text)),
        _ => None,
    });
    let (record, text) = record.ok_or_else(|| crate::graph::protocol(&request, "has no TXT record"))?;
    let label = record.label.as_deref().filter(|label| !matches!(*label, "" | "@")).unwrap_or(name);
    let ttl = record.ttl.map(|ttl| format!(", time to live {ttl} seconds")).unwrap_or_default();
    Ok(format!(
        "Microsoft cannot see yet that {name} is yours. Publish this record in its zone, then go on: name {label}, type TXT, text {text}{ttl}."
    ))
}

/// Removes it, if we added it; what happened is said in any case.
pub(super) fn remove(around: &dyn Surroundings, connection: &Connection) -> Result<Outcome, Problem> {
    let name = &connection.certificate_domain;
    if !is_ours(around, connection) {
        return Ok(Outcome::Done(Vec::new()));
    }
    if find(around, connection)?.is_none() {
        around.remove(ADDED);
        return Ok(Outcome::Done(Vec::new()));
    }
    let request = request(connection, ADMINISTRATOR, "DELETE", &format!("/domains/{name}"));
    let response = answer(around, &request)?;
    match response.status {
        200..=299 | 404 => {
            around.remove(ADDED);
            Ok(Outcome::Done(vec![format!("Removed the domain {name}.")]))
        }
        400 | 409 => {
            let why = code(&response);
            Ok(Outcome::ActionNeeded(format!(
                "The domain {name} could not be removed ({why}): something still uses it. In the Microsoft 365 admin center, under Settings, \
                 Domains, see what does, then go on; it harms nothing while it stays."
            )))
        }
        _ => Err(refused(&request, &response)),
    }
}

/// Whether it is ours to remove: we added it, and no mail of the tenant comes from it.
pub(super) fn is_ours(around: &dyn Surroundings, connection: &Connection) -> bool {
    let name = &connection.certificate_domain;
    let added = around.read(ADDED).as_deref() == Some(name.as_bytes());
    added && !connection.domains.iter().any(|domain| domain.eq_ignore_ascii_case(name))
}
