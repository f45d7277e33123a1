//! What mail does with the connectors and rules that are set up: which connector a message leaves by, and which one lets a message in.
//!
//! Conditions and exceptions are those that a rule for a signature service has; a rule with another one does not apply, and the answer says so. Patterns
//! are compared as an exact text when they are anchored at both ends, and as a part otherwise. No message is moved here.

use serde_json::{Value, json};

use super::{Exchange, Item};
use crate::tenant::{Kind, Tenant};

/// A message as a rule sees it.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// The reverse-path, empty for the null one.
    pub sender: String,
    /// Header fields, name and value.
    pub headers: Vec<(String, String)>,
    /// Octets.
    pub size: u64,
    /// `Calendaring` and the like; empty for ordinary mail.
    pub class: String,
}

/// Conditions and exceptions that are understood; every other one that is set makes a rule useless here.
const UNDERSTOOD: &[&str] = &[
    "FromScope",
    "FromMemberOf",
    "FromAddressMatchesPatterns",
    "ExceptIfHeaderContainsMessageHeader",
    "ExceptIfHeaderContainsWords",
    "ExceptIfFromAddressMatchesPatterns",
    "ExceptIfMessageSizeOver",
    "ExceptIfMessageTypeMatches",
];

/// Beginnings of the names of conditions and exceptions that a cmdlet knows.
const CONDITIONS: &[&str] = &["From", "ExceptIf", "SentTo", "Subject", "HeaderContains", "MessageSize", "MessageType", "Recipient"];

/// Where a message goes: the connector with its smart hosts and the fields that the rule sets, and what each rule said.
pub fn route(tenant: &Tenant, accepted: &[String], mail: &Mail) -> Value {
    let mut said = Vec::new();
    for rule in &tenant.exchange.rules {
        let reason = match refuses(tenant, accepted, rule, mail) {
            Some(reason) => reason,
            None => match outbound(&tenant.exchange, rule.text("RouteMessageOutboundConnector")) {
                Ok(connector) => {
                    said.push(json!({"rule": rule.text("Name"), "said": "applies"}));
                    let (name, value) = (rule.text("SetHeaderName"), rule.text("SetHeaderValue"));
                    let fields = if name.is_empty() { json!([]) } else { json!([[name, value]]) };
                    return json!({
                        "connector": connector.text("Name"), "smart_hosts": connector.properties.get("SmartHosts"),
                        "tls_domain": connector.text("TlsDomain"), "set_headers": fields, "rules": said,
                    });
                }
                Err(reason) => reason,
            },
        };
        said.push(json!({"rule": rule.text("Name"), "said": reason}));
    }
    json!({"connector": null, "rules": said})
}

/// The connector that lets in a host with one of these names in its certificate, as mail of the organisation.
pub fn accept(exchange: &Exchange, certificate_names: &[String]) -> Value {
    let lets_in = |connector: &&Item| {
        let name = connector.text("TlsSenderCertificateName");
        flag(connector, "Enabled") && !name.is_empty() && certificate_names.iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    let connector = exchange.inbound.iter().find(lets_in);
    json!({"connector": connector.map(|connector| connector.text("Name"))})
}

fn outbound<'e>(exchange: &'e Exchange, name: &str) -> Result<&'e Item, String> {
    let connector = exchange.outbound.iter().find(|connector| connector.is(name)).ok_or("routes to no connector that is there")?;
    if flag(connector, "Enabled") { Ok(connector) } else { Err(format!("routes to {name:?}, which is switched off")) }
}

/// Why a rule leaves a message alone; none when it applies.
fn refuses(tenant: &Tenant, accepted: &[String], rule: &Item, mail: &Mail) -> Option<String> {
    if !rule.text("State").eq_ignore_ascii_case("Enabled") {
        return Some("is switched off".to_owned());
    }
    let strange = |name: &&String| CONDITIONS.iter().any(|word| name.starts_with(word)) && !UNDERSTOOD.contains(&name.as_str());
    if let Some(name) = rule.properties.iter().filter(|(_, value)| is_set(value)).map(|(name, _)| name).find(strange) {
        return Some(format!("has the condition {name}, which the stand-in does not know"));
    }
    let inside = mail.sender.rsplit_once('@').is_some_and(|(_, domain)| accepted.iter().any(|known| known.eq_ignore_ascii_case(domain)));
    if rule.text("FromScope").eq_ignore_ascii_case("InOrganization") && !inside {
        return Some("the sender is outside the organisation".to_owned());
    }
    let groups = texts(rule, "FromMemberOf");
    if !groups.is_empty() && !groups.iter().any(|group| is_member(tenant, group, &mail.sender)) {
        return Some("the sender is in none of the groups".to_owned());
    }
    let patterns = texts(rule, "FromAddressMatchesPatterns");
    if !patterns.is_empty() && !patterns.iter().any(|pattern| matches(pattern, &mail.sender)) {
        return Some("the sender matches no pattern".to_owned());
    }
    exception(rule, mail)
}

fn exception(rule: &Item, mail: &Mail) -> Option<String> {
    let name = rule.text("ExceptIfHeaderContainsMessageHeader");
    let words = texts(rule, "ExceptIfHeaderContainsWords");
    let has_word = |(field, value): &(String, String)| {
        field.eq_ignore_ascii_case(name) && words.iter().any(|word| value.to_lowercase().contains(&word.to_lowercase()))
    };
    if !name.is_empty() && mail.headers.iter().any(has_word) {
        return Some(format!("the field {name} has the word"));
    }
    let sender = if mail.sender.is_empty() { "<>" } else { &mail.sender };
    if texts(rule, "ExceptIfFromAddressMatchesPatterns").iter().any(|pattern| matches(pattern, sender)) {
        return Some("the sender is excepted".to_owned());
    }
    let most = octets(rule.text("ExceptIfMessageSizeOver"));
    if most.is_some_and(|most| mail.size > most) {
        return Some("the message is too large".to_owned());
    }
    let class = rule.text("ExceptIfMessageTypeMatches");
    (!class.is_empty() && class.eq_ignore_ascii_case(&mail.class)).then(|| format!("messages of the type {class} are excepted"))
}

fn is_member(tenant: &Tenant, group: &str, sender: &str) -> bool {
    let Some(group) = tenant.find(group, Kind::Group) else { return false };
    let Some(person) = tenant.find(sender, Kind::User) else { return false };
    tenant.transitive_members(group.id).iter().any(|member| member.id == person.id)
}

fn matches(pattern: &str, text: &str) -> bool {
    let plain: String = pattern.replace('\\', "").to_lowercase();
    let text = text.to_lowercase();
    match plain.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')) {
        Some(exact) => exact == text,
        None => text.contains(&plain),
    }
}

/// `22.5 MB (23,592,960 bytes)`, `35000000B`.
fn octets(text: &str) -> Option<u64> {
    let exact = text.split_once('(').map_or(text, |(_, exact)| exact);
    let digits: String =
        exact.chars().take_while(|letter| letter.is_ascii_digit() || *letter == ',').filter(|letter| *letter != ',').collect();
    digits.parse().ok()
}

fn flag(item: &Item, name: &str) -> bool {
    item.properties.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn is_set(value: &Value) -> bool {
    !(value.is_null() || value.as_str() == Some("") || value.as_bool() == Some(false) || value.as_array().is_some_and(Vec::is_empty))
}

fn texts(item: &Item, name: &str) -> Vec<String> {
    match item.properties.get(name) {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(text)) if !text.is_empty() => vec![text.clone()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::Cloud;
    use crate::random::Id;

    fn item(cloud: &Cloud, properties: Value) -> Item {
        let guid: Id = cloud.id("astrid.holm@northwind.example").expect("she is there");
        let Value::Object(properties) = properties else { return Item { guid, properties: Map::new() } };
        Item { guid, properties }
    }

    /// A rule for everybody to a connector that is on, then changed.
    fn routed(change: Value, mail: &Mail) -> Value {
        let cloud = Cloud::small("https://cloud.test").expect("it starts");
        let mut rule = json!({
            "Name": "Messages for Signet", "State": "Enabled", "FromScope": "InOrganization", "RouteMessageOutboundConnector": "Send to Signet",
            "ExceptIfHeaderContainsMessageHeader": "X-Signet-Word", "ExceptIfHeaderContainsWords": ["word"],
            "ExceptIfFromAddressMatchesPatterns": ["<>"], "ExceptIfMessageSizeOver": "1 KB (1,024 bytes)",
            "ExceptIfMessageTypeMatches": "Calendaring", "SetHeaderName": "X-Signet-Secret", "SetHeaderValue": "secret",
        });
        let mut connector =
            json!({"Name": "Send to Signet", "Enabled": true, "SmartHosts": ["smtp.signet.example"], "TlsDomain": "smtp.signet.example"});
        for (name, value) in change.as_object().expect("an object") {
            let target = if name == "Enabled" { &mut connector } else { &mut rule };
            target[name] = value.clone();
        }
        let (rule, connector) = (item(&cloud, rule), item(&cloud, connector));
        cloud.with(|world| {
            world.tenants[0].exchange.rules = vec![rule];
            world.tenants[0].exchange.outbound = vec![connector];
            route(&world.tenants[0], &["northwind.example".to_owned()], mail)
        })
    }

    #[test]
    fn a_rule_routes_what_its_conditions_name_and_its_exceptions_do_not() {
        let mail = |sender: &str| Mail { sender: sender.to_owned(), size: 100, ..Mail::default() };
        let astrid = mail("astrid.holm@northwind.example");
        let processed = Mail { headers: vec![("x-signet-word".to_owned(), "a WORD".to_owned())], ..astrid.clone() };
        let calendar = Mail { class: "Calendaring".to_owned(), ..astrid.clone() };
        let large = Mail { size: 2000, ..astrid.clone() };
        let cases = [
            ("everybody", json!({}), astrid.clone(), "applies"),
            ("off", json!({"State": "Disabled"}), astrid.clone(), "is switched off"),
            ("no connector", json!({"Enabled": false}), astrid.clone(), "routes to \"Send to Signet\", which is switched off"),
            ("a stranger", json!({}), mail("somebody@elsewhere.example"), "the sender is outside the organisation"),
            ("processed", json!({}), processed, "the field X-Signet-Word has the word"),
            ("calendar", json!({}), calendar, "messages of the type Calendaring are excepted"),
            ("large", json!({}), large, "the message is too large"),
            (
                "the probe",
                json!({"FromAddressMatchesPatterns": ["^signet\\-probe@northwind\\.example$"]}),
                mail("signet-probe@northwind.example"),
                "applies",
            ),
            (
                "not the probe",
                json!({"FromAddressMatchesPatterns": ["^signet\\-probe@northwind\\.example$"]}),
                astrid.clone(),
                "the sender matches no pattern",
            ),
            ("no group", json!({"FromMemberOf": ["nobody@northwind.example"]}), astrid.clone(), "the sender is in none of the groups"),
            (
                "unknown",
                json!({"SubjectContainsWords": ["x"]}),
                astrid,
                "has the condition SubjectContainsWords, which the stand-in does not know",
            ),
        ];
        for (name, change, mail, expected) in cases {
            assert_eq!(routed(change, &mail)["rules"][0]["said"], *expected, "{name}");
        }
    }

    #[test]
    fn a_routed_message_has_the_fields_that_the_rule_sets() {
        let mail = Mail { sender: "astrid.holm@northwind.example".to_owned(), ..Mail::default() };
        let routed = routed(json!({}), &mail);
        assert_eq!(routed["smart_hosts"], json!(["smtp.signet.example"]));
        assert_eq!(routed["set_headers"], json!([["X-Signet-Secret", "secret"]]));
    }

    #[test]
    fn a_connector_lets_in_the_certificate_that_it_names() {
        let cloud = Cloud::small("https://cloud.test").expect("it starts");
        let connector =
            item(&cloud, json!({"Name": "Receive", "Enabled": true, "TlsSenderCertificateName": "k7q2m4x9.smtp.signet.example"}));
        let exchange = Exchange { inbound: vec![connector], ..Exchange::default() };
        for (names, expected) in
            [(vec!["K7Q2M4X9.smtp.signet.example"], json!("Receive")), (vec!["other.example"], Value::Null), (vec![], Value::Null)]
        {
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            assert_eq!(accept(&exchange, &names)["connector"], expected);
        }
    }
}
