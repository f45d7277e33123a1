//! Inbound and outbound connectors.

use serde_json::{Map, Value, json};

use super::parameters::merged;
use super::{Exchange, Failure, Item, Outcome};
use crate::random::Id;
use crate::world::World;

/// The longest name.
const LONGEST_NAME: usize = 64;

/// Runs Get, New, Set, Remove or Validate on a connector.
pub(super) fn run(world: &mut World, tenant: &str, verb: &str, inbound: bool, parameters: Map<String, Value>) -> Result<Outcome, Failure> {
    let order = Order {
        inbound,
        identity: parameters.get("Identity").and_then(Value::as_str).map(str::to_owned),
        parameters,
        disabled: world.knobs.connectors_disabled,
        valid: world.knobs.validation_succeeds,
        now: world.timestamp(),
        guid: world.random.id(),
        accepted: super::recipients::accepted_names(world, tenant),
    };
    let exchange = exchange(world, tenant)?;
    match verb {
        "get" => order.show(exchange),
        "new" => order.make(exchange),
        "set" => order.change(exchange),
        "remove" => order.remove(exchange),
        _ => order.validate(exchange),
    }
}

/// A cmdlet on a connector, and what it depends on.
struct Order {
    inbound: bool,
    identity: Option<String>,
    parameters: Map<String, Value>,
    disabled: bool,
    valid: bool,
    now: String,
    guid: Id,
    accepted: Vec<String>,
}

impl Order {
    fn kind(&self) -> &'static str {
        if self.inbound { "InboundConnector" } else { "OutboundConnector" }
    }

    fn at(&self, exchange: &mut Exchange) -> Result<usize, Failure> {
        let identity = self.identity.as_deref().unwrap_or_default();
        list(exchange, self.inbound).iter().position(|item| item.is(identity)).ok_or_else(|| Failure::missing(self.kind(), identity))
    }

    fn show(self, exchange: &mut Exchange) -> Result<Outcome, Failure> {
        let wanted = |item: &&mut Item| {
            let scope = self.parameters.get("IsTransportRuleScoped");
            let scoped = scope.is_none_or(|flag| item.properties.get("IsTransportRuleScoped") == Some(flag));
            self.identity.as_deref().is_none_or(|identity| item.is(identity)) && scoped
        };
        let items = list(exchange, self.inbound).iter_mut().filter(wanted);
        let values: Vec<Value> = items.map(|item| Value::Object(item.properties.clone())).collect();
        match &self.identity {
            Some(identity) if values.is_empty() => Err(Failure::missing(self.kind(), identity)),
            _ => Ok(Outcome::of(values)),
        }
    }

    fn make(self, exchange: &mut Exchange) -> Result<Outcome, Failure> {
        let name = self.parameters.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if list(exchange, self.inbound).iter().any(|item| item.is(&name)) {
            return Err(Failure::exists(self.kind(), &name));
        }
        let mut item = Item { guid: self.guid, properties: defaults(self.inbound) };
        let enabled = self.parameters.get("Enabled") != Some(&json!(false));
        apply(&mut item, self.parameters, &self.now);
        judge(&item, self.inbound, &self.accepted)?;
        let mut outcome = Outcome::default();
        if self.inbound && self.disabled && enabled {
            item.properties.insert("Enabled".to_owned(), json!(false));
            outcome.warnings.push(format!("The connector '{name}' has been created in a disabled state. Contact Support to enable it."));
        }
        outcome.values.push(Value::Object(item.properties.clone()));
        list(exchange, self.inbound).push(item);
        Ok(outcome)
    }

    fn change(self, exchange: &mut Exchange) -> Result<Outcome, Failure> {
        let at = self.at(exchange)?;
        let former = list(exchange, self.inbound)[at].clone();
        let mut item = former.clone();
        let renamed = self.parameters.get("Name").and_then(Value::as_str).filter(|name| !former.is(name));
        if let Some(name) = renamed.filter(|name| list(exchange, self.inbound).iter().any(|other| other.is(name))) {
            return Err(Failure::exists(self.kind(), name));
        }
        let enables = self.parameters.get("Enabled") == Some(&json!(true)) && !flag(&former, "Enabled");
        if self.inbound && self.disabled && enables {
            return Err(Failure::wrong("The connector can't be enabled. Contact Support to enable it."));
        }
        apply(&mut item, self.parameters, &self.now);
        judge(&item, self.inbound, &self.accepted)?;
        let (old, new) = (former.text("Name").to_owned(), item.text("Name").to_owned());
        list(exchange, self.inbound)[at] = item;
        super::rules::connector_renamed(exchange, &old, &new);
        Ok(Outcome::default())
    }

    fn remove(self, exchange: &mut Exchange) -> Result<Outcome, Failure> {
        let at = self.at(exchange)?;
        let item = list(exchange, self.inbound)[at].clone();
        let user = exchange.rules.iter().find(|rule| !self.inbound && item.is(rule.text("RouteMessageOutboundConnector")));
        if let Some(rule) = user {
            let (name, rule) = (item.text("Name"), rule.text("Name"));
            return Err(Failure::wrong(format!(
                "The connector '{name}' can't be removed because it's used by the transport rule '{rule}'."
            )));
        }
        list(exchange, self.inbound).remove(at);
        Ok(Outcome::default())
    }

    fn validate(self, exchange: &mut Exchange) -> Result<Outcome, Failure> {
        let at = self.at(exchange)?;
        let item = &mut exchange.outbound[at];
        item.properties.insert("IsValidated".to_owned(), json!(self.valid));
        item.properties.insert("LastValidationTimestamp".to_owned(), json!(self.now));
        Ok(Outcome::of(validation(item, &self.parameters, self.valid)))
    }
}

fn exchange<'w>(world: &'w mut World, tenant: &str) -> Result<&'w mut Exchange, Failure> {
    world.tenant_mut(tenant).map(|tenant| &mut tenant.exchange).ok_or_else(|| Failure::missing("Organization", tenant))
}

fn list(exchange: &mut Exchange, inbound: bool) -> &mut Vec<Item> {
    if inbound { &mut exchange.inbound } else { &mut exchange.outbound }
}

fn defaults(inbound: bool) -> Map<String, Value> {
    let value = if inbound {
        json!({
            "Enabled": true, "ConnectorType": "Partner", "ConnectorSource": "Default", "Comment": "", "SenderIPAddresses": [], "SenderDomains": [],
            "TrustedOrganizations": [], "ClientHostNames": [], "AssociatedAcceptedDomains": [], "RequireTls": false,
            "RestrictDomainsToIPAddresses": false, "RestrictDomainsToCertificate": false, "CloudServicesMailEnabled": false,
            "TreatMessagesAsInternal": false, "TlsSenderCertificateName": null, "EFTestMode": false, "EFSkipLastIP": false, "EFSkipIPs": [],
            "EFSkipMailGateway": [], "EFUsers": [], "ScanAndDropRecipients": [],
        })
    } else {
        json!({
            "Enabled": true, "UseMXRecord": true, "Comment": "", "ConnectorType": "Partner", "ConnectorSource": "Default", "RecipientDomains": [],
            "SmartHosts": [], "TlsDomain": null, "TlsSettings": null, "IsTransportRuleScoped": false, "RouteAllMessagesViaOnPremises": false,
            "CloudServicesMailEnabled": false, "AllAcceptedDomains": false, "SenderRewritingEnabled": false, "TestMode": false,
            "LinkForModifiedConnector": "00000000-0000-0000-0000-000000000000", "ValidationRecipients": null, "IsValidated": false,
            "LastValidationTimestamp": null, "MtaStsMode": "Opportunistic", "SmtpDaneMode": "Opportunistic",
        })
    };
    value.as_object().cloned().unwrap_or_default()
}

fn apply(item: &mut Item, parameters: Map<String, Value>, now: &str) {
    for (name, value) in parameters.into_iter().filter(|(name, _)| name != "Identity") {
        let present = item.properties.get(&name).cloned().unwrap_or_default();
        let value = if present.is_array() && value.is_null() { json!([]) } else { merged(&present, value) };
        item.properties.insert(name, value);
    }
    let (name, guid) = (item.text("Name").to_owned(), item.guid.to_string());
    let mut set = |key: &str, value: Value| item.properties.insert(key.to_owned(), value);
    set("Identity", json!(name));
    set("Id", json!(name));
    set("Guid", json!(guid));
    set("IsValid", json!(true));
    set("WhenChangedUTC", json!(now));
    set("WhenChanged", json!(now));
    item.properties.entry("WhenCreatedUTC").or_insert_with(|| json!(now));
}

fn judge(item: &Item, inbound: bool, accepted: &[String]) -> Result<(), Failure> {
    let name = item.text("Name");
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        return Err(Failure::wrong(format!("The name '{name}' has {} characters; 1 to {LONGEST_NAME} are allowed.", name.chars().count())));
    }
    if inbound { judge_inbound(item, accepted) } else { judge_outbound(item) }
}

fn flag(item: &Item, name: &str) -> bool {
    item.properties.get(name) == Some(&json!(true))
}

fn texts<'i>(item: &'i Item, name: &str) -> Vec<&'i str> {
    item.properties.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn judge_inbound(item: &Item, accepted: &[String]) -> Result<(), Failure> {
    if texts(item, "SenderDomains").is_empty() {
        return Err(Failure::wrong("SenderDomains can't be empty; use *."));
    }
    if flag(item, "TreatMessagesAsInternal") && flag(item, "CloudServicesMailEnabled") {
        return Err(Failure::wrong("TreatMessagesAsInternal and CloudServicesMailEnabled can't both be true."));
    }
    if flag(item, "TreatMessagesAsInternal") && item.text("ConnectorType") != "OnPremises" {
        return Err(Failure::wrong("TreatMessagesAsInternal can be used for OnPremises connectors only."));
    }
    if flag(item, "RestrictDomainsToCertificate") && item.text("TlsSenderCertificateName").is_empty() {
        return Err(Failure::wrong("RestrictDomainsToCertificate needs TlsSenderCertificateName."));
    }
    if flag(item, "RestrictDomainsToIPAddresses") && texts(item, "SenderIPAddresses").is_empty() {
        return Err(Failure::wrong("RestrictDomainsToIPAddresses needs SenderIPAddresses."));
    }
    for range in texts(item, "SenderIPAddresses") {
        let (address, length) = range.split_once('/').unwrap_or((range, "32"));
        let good = address.parse::<std::net::Ipv4Addr>().is_ok() && length.parse::<u8>().is_ok_and(|length| (24..=32).contains(&length));
        if !good {
            return Err(Failure::wrong(format!("'{range}' is no IPv4 address or range of /24 to /32.")));
        }
    }
    let certificate = item.text("TlsSenderCertificateName").trim_start_matches("*.").to_lowercase();
    let on_premises = item.text("ConnectorType") == "OnPremises";
    if on_premises
        && !certificate.is_empty()
        && !accepted.iter().any(|domain| certificate == *domain || certificate.ends_with(&format!(".{domain}")))
    {
        let text = format!("The TLS certificate name '{certificate}' isn't an accepted domain of the organization.");
        return Err(Failure::wrong(text));
    }
    Ok(())
}

fn judge_outbound(item: &Item) -> Result<(), Failure> {
    let (mx, hosts) = (flag(item, "UseMXRecord"), texts(item, "SmartHosts"));
    if mx != hosts.is_empty() {
        return Err(Failure::wrong(if mx {
            "SmartHosts can't be used with UseMXRecord true."
        } else {
            "SmartHosts is needed with UseMXRecord false."
        }));
    }
    let settings = item.text("TlsSettings");
    let domain = item.text("TlsDomain");
    if !domain.is_empty() && settings != "DomainValidation" {
        return Err(Failure::wrong("TlsDomain can be used with TlsSettings DomainValidation only."));
    }
    if settings == "DomainValidation" && domain.is_empty() {
        return Err(Failure::wrong("TlsSettings DomainValidation needs TlsDomain."));
    }
    if flag(item, "RouteAllMessagesViaOnPremises") && item.text("ConnectorType") != "OnPremises" {
        return Err(Failure::wrong("RouteAllMessagesViaOnPremises can be used for OnPremises connectors only."));
    }
    if flag(item, "IsTransportRuleScoped") && !texts(item, "RecipientDomains").is_empty() {
        return Err(Failure::wrong("A connector that is scoped to transport rules has no RecipientDomains."));
    }
    if !flag(item, "IsTransportRuleScoped") && texts(item, "RecipientDomains").is_empty() && !flag(item, "AllAcceptedDomains") {
        return Err(Failure::wrong("RecipientDomains is needed unless IsTransportRuleScoped or AllAcceptedDomains is true."));
    }
    Ok(())
}

fn validation(item: &Item, parameters: &Map<String, Value>, succeeds: bool) -> Vec<Value> {
    let recipients = parameters.get("Recipients").and_then(Value::as_array).cloned().unwrap_or_default();
    let hosts = texts(item, "SmartHosts").join(",");
    let result = |task: &str, ok: bool| {
        json!({
            "TaskName": task, "IsTaskSuccessful": ok, "SmartHosts": hosts, "Recipients": recipients,
            "Detail": if ok { "Success" } else { "450 4.4.317 Cannot connect to remote server" },
        })
    };
    vec![result("CheckConnectivity", succeeds), result("SendTestEmail", succeeds)]
}
