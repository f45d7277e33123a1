//! Cmdlets.

use serde_json::{Value, json};

use super::small;
use crate::seed::TENANT;
use crate::{Call, Cloud, Resource};

fn run(cloud: &Cloud, login: &str, cmdlet: &str, parameters: &Value) -> (u16, Value) {
    let token = cloud.person_token("setup", Resource::Exchange, login).unwrap();
    let body = json!({"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}});
    let call = Call::json(&format!("/adminapi/beta/{TENANT}/InvokeCommand"), &body).bearer(&token);
    let answer = cloud.answer(&call.header("X-AnchorMailbox", &format!("UPN:{login}")));
    (answer.status, answer.value())
}

fn administrator(cloud: &Cloud, cmdlet: &str, parameters: &Value) -> (u16, Value) {
    run(cloud, "astrid.holm@northwind.example", cmdlet, parameters)
}

fn outbound() -> Value {
    json!({
        "Name": "To Signet", "ConnectorType": "OnPremises", "IsTransportRuleScoped": true, "UseMXRecord": false, "SmartHosts": ["mx.signet.example"],
        "TlsSettings": "DomainValidation", "TlsDomain": "mx.signet.example", "CloudServicesMailEnabled": true, "Enabled": true,
    })
}

fn rule() -> Value {
    json!({
        "Name": "Signet", "FromScope": "InOrganization", "FromMemberOf": ["commercial@northwind.example"], "RouteMessageOutboundConnector": "To Signet",
        "ExceptIfHeaderContainsMessageHeader": "X-Signet", "ExceptIfHeaderContainsWords": ["word"], "ExceptIfMessageSizeOver": "35MB",
        "StopRuleProcessing": true, "Enabled": false, "Mode": "Enforce", "Comments": "made by Signet",
    })
}

#[test]
fn connectors_and_rules_are_made_shown_changed_and_removed() {
    let cloud = small();
    assert_eq!(administrator(&cloud, "New-OutboundConnector", &outbound()).0, 200);
    assert_eq!(administrator(&cloud, "New-TransportRule", &rule()).0, 200);
    let (_, shown) = administrator(&cloud, "Get-TransportRule", &json!({"Identity": "Signet"}));
    let found = &shown["value"][0];
    assert_eq!(
        (&found["State"], &found["Priority"], &found["FromMemberOf"]),
        (&json!("Disabled"), &json!(0), &json!(["commercial@northwind.example"]))
    );
    let (status, refused) = administrator(&cloud, "Remove-OutboundConnector", &json!({"Identity": "To Signet", "Confirm": false}));
    assert!(status == 400 && refused["error"]["message"].as_str().unwrap().contains("Signet"), "{refused}");
    assert_eq!(administrator(&cloud, "Enable-TransportRule", &json!({"Identity": "Signet", "Confirm": false})).0, 200);
    assert_eq!(administrator(&cloud, "Set-TransportRule", &json!({"Identity": "Signet", "FromMemberOf": null})).0, 200);
    assert_eq!(administrator(&cloud, "Set-OutboundConnector", &json!({"Identity": "To Signet", "Name": "Signet out"})).0, 200);
    let (_, shown) = administrator(&cloud, "Get-TransportRule", &json!({}));
    let found = &shown["value"][0];
    assert_eq!(
        (&found["State"], &found["RouteMessageOutboundConnector"], &found["FromMemberOf"]),
        (&json!("Enabled"), &json!("Signet out"), &Value::Null)
    );
    for (cmdlet, name) in [("Remove-TransportRule", "Signet"), ("Remove-OutboundConnector", "Signet out")] {
        assert_eq!(administrator(&cloud, cmdlet, &json!({"Identity": name, "Confirm": false})).0, 200);
    }
    assert_eq!(administrator(&cloud, "Get-OutboundConnector", &json!({})).1["value"], json!([]));
}

#[test]
fn failures_say_which_exception() {
    let cloud = small();
    administrator(&cloud, "New-OutboundConnector", &outbound());
    let change = |base: Value, name: &str, value: Value| {
        let mut changed = base;
        changed[name] = value;
        changed
    };
    let inbound = json!({"Name": "From Signet", "SenderDomains": ["*"], "ConnectorType": "OnPremises", "RequireTls": true});
    let named = |name: &str| change(outbound(), "Name", json!(name));
    let cases = [
        ("New-OutboundConnector", outbound(), "ManagementObjectAlreadyExistsException"),
        ("Get-OutboundConnector", json!({"Identity": "nothing"}), "ManagementObjectNotFoundException"),
        ("New-OutboundConnector", change(named("b"), "UseMXRecord", json!(true)), "InvalidOperationException"),
        ("New-OutboundConnector", change(named("b"), "TlsSettings", json!("EncryptionOnly")), "InvalidOperationException"),
        ("New-OutboundConnector", change(named("b"), "SmartHost", json!("x")), "ParameterBindingException"),
        ("New-OutboundConnector", named(&"x".repeat(65)), "InvalidOperationException"),
        ("New-InboundConnector", change(inbound.clone(), "SenderIPAddresses", json!(["10.0.0.0/8"])), "InvalidOperationException"),
        ("New-InboundConnector", change(inbound.clone(), "TlsSenderCertificateName", json!("other.example")), "InvalidOperationException"),
        ("New-InboundConnector", change(inbound, "RestrictDomainsToCertificate", json!(true)), "InvalidOperationException"),
        ("New-TransportRule", change(rule(), "RouteMessageOutboundConnector", json!("nothing")), "InvalidOperationException"),
        ("New-TransportRule", change(rule(), "ExceptIfHeaderContainsWords", Value::Null), "InvalidOperationException"),
        ("New-TransportRule", change(rule(), "FromMemberOf", json!(["nobody@northwind.example"])), "ManagementObjectNotFoundException"),
        ("New-TransportRule", change(rule(), "Enabled", json!("false")), "ParameterBindingArgumentTransformationException"),
        ("Set-TransportRule", json!({"Enabled": true, "Identity": "Signet"}), "ParameterBindingException"),
        ("Get-Weather", json!({}), "CommandNotFoundException"),
    ];
    for (cmdlet, parameters, exception) in cases {
        let (status, body) = administrator(&cloud, cmdlet, &parameters);
        let text = body["error"]["details"][0]["message"].as_str().unwrap_or_default();
        assert!(status >= 400 && text.contains(exception), "{cmdlet} {parameters}: {status} {body}");
    }
}

#[test]
fn a_connector_may_be_made_disabled() {
    let cloud = small();
    cloud.with(|world| world.knobs.connectors_disabled = true);
    let parameters = json!({"Name": "From Signet", "SenderDomains": ["*"], "ConnectorType": "OnPremises", "TlsSenderCertificateName": "northwind.example"});
    let (status, body) = administrator(&cloud, "New-InboundConnector", &parameters);
    assert!(status == 200 && body["@adminapi.warnings"][0].as_str().unwrap().contains("disabled state"), "{body}");
    let (_, shown) = administrator(&cloud, "Get-InboundConnector", &json!({"Identity": "From Signet"}));
    assert_eq!(shown["value"][0]["Enabled"], false);
    assert_eq!(administrator(&cloud, "Set-InboundConnector", &json!({"Identity": "From Signet", "Enabled": true})).0, 400);
}

#[test]
fn roles_decide_who_may_and_when() {
    let cloud = small();
    for (login, status) in [
        ("astrid.holm@northwind.example", 200),
        ("bo.larsen@northwind.example", 200),
        ("dan.petersen@northwind.example", 200),
        ("hanna.lindqvist@northwind.example", 401),
    ] {
        assert_eq!(run(&cloud, login, "Get-AcceptedDomain", &json!({})).0, status, "{login}");
    }
    cloud.with(|world| {
        let now = world.now();
        world.knobs.exchange_delay = 60_000;
        world.tenants[0].grants.values_mut().for_each(|grant| grant.granted = now);
    });
    let (status, body) = administrator(&cloud, "Get-AcceptedDomain", &json!({}));
    assert!(status == 401 && body["error"]["message"].as_str().unwrap().contains("is not allowed to call Get-AcceptedDomain"), "{body}");
    cloud.with(|world| world.advance(std::time::Duration::from_secs(61)));
    assert_eq!(administrator(&cloud, "Get-AcceptedDomain", &json!({})).1["value"].as_array().unwrap().len(), 3);
    let token = cloud.person_token("setup", Resource::Exchange, "astrid.holm@northwind.example").unwrap();
    let body = json!({"CmdletInput": {"CmdletName": "Get-AcceptedDomain"}});
    let call = Call::json(&format!("/adminapi/beta/{TENANT}/InvokeCommand"), &body).bearer(&token);
    assert_eq!(cloud.answer(&call).status, 400, "X-AnchorMailbox is missing");
}

#[test]
fn pages_are_asked_for_with_the_same_body() {
    let cloud = small();
    cloud.with(|world| world.knobs.exchange_page = 2);
    let token = cloud.person_token("setup", Resource::Exchange, "astrid.holm@northwind.example").unwrap();
    let parameters = json!({"RecipientTypeDetails": ["MailUniversalSecurityGroup"]});
    let body = json!({"CmdletInput": {"CmdletName": "Get-DistributionGroup", "Parameters": parameters}});
    let (mut target, mut names) = (format!("/adminapi/beta/{TENANT}/InvokeCommand"), Vec::new());
    loop {
        let call = Call::json(&target, &body).bearer(&token).header("X-AnchorMailbox", "UPN:astrid.holm@northwind.example");
        let page = cloud.answer(&call).value();
        names.extend(super::column(&page, "Name"));
        match page["@odata.nextLink"].as_str() {
            Some(next) => target = next.strip_prefix(super::BASE).unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(names, ["Everyone", "Commercial", "Harbour Office", "Signature Users"]);
}
