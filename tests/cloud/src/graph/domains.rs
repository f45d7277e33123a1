//! Domains: adding one, the record that proves it, verifying it.

use serde_json::{Value, json};

use super::errors::Refusal;
use super::request::{Request, context};
use super::segment_missing;
use crate::call::Answer;
use crate::tenant::{Domain, GLOBAL_ADMINISTRATOR};
use crate::world::World;

const PROPERTIES: [&str; 10] = [
    "id",
    "authenticationType",
    "availabilityStatus",
    "isAdminManaged",
    "isDefault",
    "isInitial",
    "isRoot",
    "isVerified",
    "supportedServices",
    "state",
];

fn shown(domain: &Domain) -> Value {
    let services: &[&str] = if domain.verified.is_some() { &["Email", "OfficeCommunicationsOnline"] } else { &[] };
    json!({
        "id": domain.name, "authenticationType": "Managed", "availabilityStatus": null, "isAdminManaged": true, "isDefault": domain.default,
        "isInitial": domain.initial, "isRoot": true, "isVerified": domain.verified.is_some(), "supportedServices": services, "state": null,
    })
}

/// `GET /domains`, `/domains/{id}` and the records of a domain.
pub(crate) fn read(world: &World, request: &Request<'_>, parts: &[&str]) -> Result<Answer, Refusal> {
    let tenant = request.tenant(world)?;
    let find =
        |name: &str| tenant.domains.iter().find(|domain| domain.name.eq_ignore_ascii_case(name)).ok_or_else(|| Refusal::missing(name));
    let select = request.select(&|name| {
        let text =
            format!("Parsing OData Select and Expand failed: Could not find a property named '{name}' on type 'microsoft.graph.domain'.");
        if PROPERTIES.contains(&name) { Ok(()) } else { Err(Refusal::new(400, "BadRequest", text)) }
    })?;
    let selected = |mut value: Value| {
        if let (Some(names), Some(fields)) = (&select, value.as_object_mut()) {
            fields.retain(|name, _| names.contains(name) || name == "id");
        }
        value
    };
    let body = match parts {
        [] => {
            request.allow(&["$select", "$top"])?;
            let items: Vec<Value> = tenant.domains.iter().map(|domain| selected(shown(domain))).collect();
            json!({"@odata.context": context(world, "domains"), "value": items})
        }
        [name] => {
            request.allow(&["$select"])?;
            let mut body = selected(shown(find(name)?));
            body["@odata.context"] = json!(context(world, "domains/$entity"));
            body
        }
        [name, relation @ ("verificationDnsRecords" | "serviceConfigurationRecords")] => {
            request.allow(&[])?;
            let domain = find(name)?;
            let records = if *relation == "verificationDnsRecords" { proofs(domain) } else { service(domain, tenant.initial()) };
            json!({"@odata.context": context(world, &format!("domains('{}')/{relation}", domain.name)), "value": records})
        }
        _ => return Err(segment_missing(parts)),
    };
    Ok(Answer::json(200, &body))
}

fn proofs(domain: &Domain) -> Value {
    let number = domain.proof.trim_start_matches("MS=");
    json!([
        {
            "@odata.type": "#microsoft.graph.domainDnsTxtRecord", "isOptional": false, "label": domain.name, "recordType": "Txt",
            "supportedService": "Email", "ttl": 3600, "text": domain.proof, "id": format!("aceff52c-06a5-447f-ac5f-{:0>12}", number.trim_start_matches("ms")),
        },
        {
            "@odata.type": "#microsoft.graph.domainDnsMxRecord", "isOptional": false, "label": domain.name, "recordType": "Mx",
            "supportedService": "Email", "ttl": 3600, "mailExchange": format!("{number}.msv1.invalid"), "preference": 32767,
            "id": format!("5fbde38c-0865-497f-82b1-{:0>12}", number.trim_start_matches("ms")),
        },
    ])
}

fn service(domain: &Domain, initial: &str) -> Value {
    let label = domain.name.replace('.', "-");
    let host = if initial == domain.name { initial.split('.').next().unwrap_or_default().to_owned() } else { label };
    json!([{
        "@odata.type": "#microsoft.graph.domainDnsMxRecord", "isOptional": false, "label": domain.name, "recordType": "Mx",
        "supportedService": "Email", "ttl": 3600, "mailExchange": format!("{host}.mail.protection.outlook.com"), "preference": 0,
        "id": "2b672237-0853-4d2a-9b2f-0123456789ab",
    }])
}

/// A person needs a role as well; an application does not.
fn may_write(world: &World, request: &Request<'_>) -> Result<(), Refusal> {
    let Some(user) = request.access.user else { return Ok(()) };
    if request.tenant(world)?.roles_of(user, world.now()).contains(GLOBAL_ADMINISTRATOR) {
        return Ok(());
    }
    Err(Refusal::new(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."))
}

/// `POST /domains`.
pub(crate) fn create(world: &mut World, request: &Request<'_>) -> Result<Answer, Refusal> {
    may_write(world, request)?;
    let body: Value = serde_json::from_slice(&request.call.body).map_err(|_| Refusal::bad("Unable to read JSON request payload."))?;
    let fields = body.as_object().ok_or_else(|| Refusal::bad("The body is not an object."))?;
    let name = fields.get("id").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    if fields.len() != 1 || !well_formed(&name) {
        return Err(Refusal::bad(
            "Invalid value specified for property 'id' of resource 'Domain'; the body is {\"id\": \"name.example\"}.",
        ));
    }
    if world.tenants.iter().any(|tenant| tenant.id != request.access.tenant && tenant.is(&name)) {
        let text = format!("The domain name '{name}' is already verified in another organization.");
        return Err(Refusal::new(400, "Request_BadRequest", text));
    }
    let proof = format!("MS=ms{:08}", world.random.below(100_000_000));
    let tenant = request.tenant_mut(world)?;
    if tenant.domains.iter().any(|domain| domain.name == name) {
        let text = "Another object with the same value for property id already exists.";
        return Err(Refusal::new(409, "Request_MultipleObjectsWithSameKeyValue", text));
    }
    let domain = Domain { name, initial: false, default: false, proof, verified: None };
    let mut answer = shown(&domain);
    tenant.domains.push(domain);
    answer["@odata.context"] = json!(context(world, "domains/$entity"));
    Ok(Answer::json(201, &answer))
}

fn well_formed(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(label)
}

/// `POST /domains/{id}/verify`.
pub(crate) fn verify(world: &mut World, request: &Request<'_>, name: &str) -> Result<Answer, Refusal> {
    may_write(world, request)?;
    let (now, automatic, published) = (world.now(), world.knobs.records_published, world.records.clone());
    let tenant = request.tenant_mut(world)?;
    let domain = tenant.domains.iter_mut().find(|domain| domain.name.eq_ignore_ascii_case(name)).ok_or_else(|| Refusal::missing(name))?;
    if domain.verified.is_none() {
        if !automatic && !published.iter().any(|(owner, text)| owner.eq_ignore_ascii_case(&domain.name) && *text == domain.proof) {
            let text = format!("Domain verification failed with the following error: 'DnsRecordNotFound' for {}.", domain.name);
            return Err(Refusal::new(400, "Request_BadRequest", text));
        }
        domain.verified = Some(now);
    }
    let mut body = shown(domain);
    body["@odata.context"] = json!(context(world, "domains/$entity"));
    Ok(Answer::json(200, &body))
}

/// `DELETE /domains/{id}`.
pub(crate) fn delete(world: &mut World, request: &Request<'_>, name: &str) -> Result<Answer, Refusal> {
    may_write(world, request)?;
    let tenant = request.tenant_mut(world)?;
    let at = tenant.domains.iter().position(|domain| domain.name.eq_ignore_ascii_case(name)).ok_or_else(|| Refusal::missing(name))?;
    let end = format!("@{}", tenant.domains[at].name);
    let used = tenant.live(crate::tenant::Kind::User).any(|user| user.properties.text("userPrincipalName").to_lowercase().ends_with(&end));
    if tenant.domains[at].initial || tenant.domains[at].default || used {
        return Err(Refusal::bad(format!("Domain '{name}' is in use, or is the initial or default domain, and cannot be removed.")));
    }
    tenant.domains.remove(at);
    Ok(Answer::status(204))
}
