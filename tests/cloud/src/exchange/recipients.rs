//! Accepted domains, distribution groups and the organisation, read only.

use serde_json::{Map, Value, json};

use super::{Failure, Outcome};
use crate::tenant::{Kind, Object, Tenant};
use crate::world::World;

/// The accepted domains of an organisation now.
pub(crate) fn accepted_names(world: &World, tenant: &str) -> Vec<String> {
    let latest = world.now() - world.knobs.accepted_domain_delay;
    let domains = world.tenant(tenant).map(|tenant| tenant.domains.as_slice()).unwrap_or_default();
    domains.iter().filter(|domain| domain.verified.is_some_and(|at| at <= latest)).map(|domain| domain.name.clone()).collect()
}

/// Runs a cmdlet that only reads.
pub(super) fn run(world: &World, tenant: &str, cmdlet: &str, parameters: &Map<String, Value>) -> Result<Outcome, Failure> {
    let identity = parameters.get("Identity").and_then(Value::as_str);
    let accepted = accepted_names(world, tenant);
    let tenant = world.tenant(tenant).ok_or_else(|| Failure::missing("Organization", tenant))?;
    let values: Vec<Value> = match cmdlet {
        "get-accepteddomain" => {
            let shown = |name: &String| {
                let domain = tenant.domains.iter().find(|domain| domain.name == *name);
                let (initial, default) = domain.map_or((false, false), |domain| (domain.initial, domain.default));
                json!({
                    "Name": name, "Identity": name, "Id": name, "DomainName": name, "DomainType": "Authoritative", "Default": default,
                    "InitialDomain": initial, "MatchSubDomains": false, "AuthenticationType": "Managed", "IsValid": true,
                })
            };
            accepted.iter().filter(|name| identity.is_none_or(|identity| name.eq_ignore_ascii_case(identity))).map(shown).collect()
        }
        "get-distributiongroup" => tenant.live(Kind::Group).filter(|group| listed(group, parameters)).map(distribution_group).collect(),
        "get-distributiongroupmember" => {
            let group =
                find(tenant, identity.unwrap_or_default()).ok_or_else(|| Failure::missing("Group", identity.unwrap_or_default()))?;
            group.members.iter().filter_map(|id| tenant.any(*id)).map(member).collect()
        }
        "get-organizationconfig" => vec![json!({
            "Name": tenant.initial(), "Identity": tenant.initial(), "DisplayName": tenant.name, "Guid": tenant.id,
            "ExternalDirectoryOrganizationId": tenant.id, "IsDehydrated": false, "IsValid": true,
        })],
        _ => {
            let text = format!("The stand-in knows '{cmdlet}' by name only.");
            return Err(Failure { status: 501, code: "NotImplemented", ..Failure::wrong(text) });
        }
    };
    match identity {
        Some(identity) if values.is_empty() && cmdlet != "get-distributiongroupmember" => Err(Failure::missing("Object", identity)),
        _ => Ok(Outcome::of(values)),
    }
}

fn kind(group: &Object) -> &'static str {
    if group.properties.flag("securityEnabled") { "MailUniversalSecurityGroup" } else { "MailUniversalDistributionGroup" }
}

fn is_listed_kind(group: &Object) -> bool {
    group.properties.flag("mailEnabled") && !group.properties.texts("groupTypes").any(|kind| kind == "Unified")
}

fn find<'t>(tenant: &'t Tenant, name: &str) -> Option<&'t Object> {
    let by_name = || {
        tenant
            .live(Kind::Group)
            .find(|group| ["displayName", "mailNickname"].iter().any(|property| group.properties.text(property).eq_ignore_ascii_case(name)))
    };
    tenant.find(name, Kind::Group).or_else(by_name).filter(|group| is_listed_kind(group))
}

fn listed(group: &Object, parameters: &Map<String, Value>) -> bool {
    let text = |name: &str| parameters.get(name).and_then(Value::as_str);
    let named = |identity: &str| {
        let own = [
            group.id.to_string(),
            group.properties.text("displayName").into(),
            group.properties.text("mail").into(),
            group.properties.text("mailNickname").into(),
        ];
        own.iter().any(|name: &String| name.eq_ignore_ascii_case(identity))
    };
    let types: Vec<&str> =
        parameters.get("RecipientTypeDetails").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let begins = |start: &str| {
        let start = start.to_lowercase();
        ["displayName", "mail"].iter().any(|property| group.properties.text(property).to_lowercase().starts_with(&start))
    };
    is_listed_kind(group)
        && text("Identity").is_none_or(named)
        && (types.is_empty() || types.contains(&kind(group)))
        && text("Anr").is_none_or(begins)
}

fn distribution_group(group: &Object) -> Value {
    let (name, mail) = (group.properties.text("displayName"), group.properties.text("mail"));
    json!({
        "Name": name, "DisplayName": name, "Identity": name, "Alias": group.properties.text("mailNickname"), "PrimarySmtpAddress": mail,
        "WindowsEmailAddress": mail, "EmailAddresses": group.properties.value("proxyAddresses"), "RecipientTypeDetails": kind(group),
        "RecipientType": kind(group), "ExternalDirectoryObjectId": group.id.to_string(), "Guid": group.id.to_string(), "IsValid": true,
    })
}

fn member(object: &Object) -> Value {
    let details = match object.kind {
        Kind::Group => kind(object),
        Kind::User => "UserMailbox",
    };
    json!({
        "Name": object.properties.text("displayName"), "DisplayName": object.properties.text("displayName"),
        "PrimarySmtpAddress": object.properties.text("mail"), "RecipientTypeDetails": details,
        "ExternalDirectoryObjectId": object.id.to_string(), "Guid": object.id.to_string(),
    })
}
