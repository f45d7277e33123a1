//! The plan against a tenant with state: what a run makes, what a second one changes, and that a crash anywhere changes nothing of it.

use serde_json::{Value as Json, json};
use signet_plugin_sdk::control::{Action, Cause, Connection, Goal, Outcome, Plan, Problem, Routing, Trial};

use super::{apply_step, make_plan};
use crate::testing::{Cloud, DOMAIN, GROUP, connection};

/// One step as the host does it: repeated while the service asks for it, the trial made when it is wanted.
fn run(cloud: &Cloud, connection: &Connection, goal: &Goal, step: &str) -> Result<Vec<String>, Problem> {
    let mut trial = Trial::None;
    for _ in 0..40 {
        match cloud.call(|around| apply_step(around, connection, goal, step, &trial))? {
            Outcome::Done(lines) => return Ok(lines),
            Outcome::Again((seconds, _)) => cloud.time.set(cloud.time.get() + u64::from(seconds) * 1000),
            Outcome::Probe(sender) => {
                let rule = cloud.object("TransportRule");
                assert_eq!(rule["State"], "Enabled", "nothing would come back");
                assert_eq!(rule["FromAddressMatchesPatterns"], json!([r"^signet\-probe@t1\.smtp\.signet\.example$"]));
                assert_eq!(sender, format!("signet-probe@{DOMAIN}"));
                trial = Trial::Passed;
            }
            other => panic!("{step}: {other:?}"),
        }
    }
    panic!("{step} has no end")
}

/// What must be so at any time: nobody's mail goes to a loop that was not tried.
fn safe(cloud: &Cloud) {
    let objects = cloud.objects.borrow();
    for rule in objects.get("TransportRule").into_iter().flatten().filter(|rule| rule["State"] == "Enabled") {
        let narrow = rule.get("FromAddressMatchesPatterns").is_some_and(|list| *list != json!([]));
        assert!(narrow || cloud.kept.borrow().contains_key("mail-flow/tried"), "{rule:?}");
        assert!(["InboundConnector", "OutboundConnector"].iter().all(|noun| objects[*noun].len() == 1));
    }
}

fn plan(cloud: &Cloud, connection: &Connection, goal: &Goal) -> Plan {
    cloud.call(|around| make_plan(around, connection, goal)).unwrap()
}

fn actions(plan: &Plan) -> Vec<(&str, &Action)> {
    plan.steps.iter().map(|step| (step.id.as_str(), &step.action)).collect()
}

/// The whole plan; what was changed.
fn apply(cloud: &Cloud, connection: &Connection, goal: &Goal) -> Vec<String> {
    let plan = plan(cloud, connection, goal);
    plan.steps.iter().flat_map(|step| run(cloud, connection, goal, &step.id).unwrap()).collect()
}

fn connected() -> Cloud {
    let cloud = Cloud::new();
    apply(&cloud, &connection(), &Goal::Connect);
    cloud
}

fn changing(cloud: &Cloud) -> Vec<String> {
    let name = |request: &signet_plugin_sdk::control::Request| {
        let body: Json = serde_json::from_slice(request.body.as_deref()?).ok()?;
        body["CmdletInput"]["CmdletName"].as_str().map(str::to_owned)
    };
    cloud.asked.borrow().iter().filter_map(name).filter(|name| !name.starts_with("Get-")).collect()
}

#[test]
fn a_plan_makes_the_objects_in_order_and_a_second_one_changes_nothing() {
    let cloud = Cloud::new();
    let before = plan(&cloud, &connection(), &Goal::Connect);
    let steps = ["certificate-domain", "accepted-domain", "inbound-connector", "outbound-connector", "rule", "probe", "enable"];
    assert_eq!(before.steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>(), steps);
    assert!(changing(&cloud).is_empty(), "a plan changes nothing");
    apply(&cloud, &connection(), &Goal::Connect);
    assert_eq!(
        changing(&cloud),
        [
            "New-InboundConnector",
            "New-OutboundConnector",
            "New-TransportRule",
            "Set-TransportRule",
            "Enable-TransportRule",
            "Disable-TransportRule",
            "Set-TransportRule",
            "Enable-TransportRule"
        ]
    );
    let (inbound, outbound, rule) = (cloud.object("InboundConnector"), cloud.object("OutboundConnector"), cloud.object("TransportRule"));
    assert_eq!(inbound["TlsSenderCertificateName"], DOMAIN);
    assert_eq!(outbound["SmartHosts"], json!(["in.signet.example"]));
    assert_eq!(inbound["CloudServicesMailEnabled"], outbound["CloudServicesMailEnabled"]);
    assert_eq!((&rule["State"], &rule["Priority"], &rule["FromScope"]), (&json!("Enabled"), &json!(0), &json!("InOrganization")));
    assert_eq!(rule["RouteMessageOutboundConnector"], "Send to Signet");
    assert_eq!(rule["FromAddressMatchesPatterns"], json!([]));
    assert!(rule.get("FromMemberOf").is_none_or(|found| *found == json!([])));
    let after = plan(&cloud, &connection(), &Goal::Connect);
    assert!(after.steps.iter().all(|step| step.action == Action::Keep), "{:?}", actions(&after));
    cloud.asked.borrow_mut().clear();
    assert!(apply(&cloud, &connection(), &Goal::Connect).is_empty());
    assert!(changing(&cloud).is_empty());
}

#[test]
fn a_break_at_any_request_ends_in_the_same_state() {
    for goal in [Goal::Connect, Goal::Disconnect] {
        let start = || if goal == Goal::Connect { Cloud::new() } else { connected() };
        let undisturbed = start();
        let steps = plan(&undisturbed, &connection(), &goal).steps;
        undisturbed.asked.borrow_mut().clear();
        steps.iter().for_each(|step| drop(run(&undisturbed, &connection(), &goal, &step.id).unwrap()));
        let mut breaks = 0;
        for step in 0..steps.len() {
            for at in 0..20 {
                for works in [false, true] {
                    let cloud = start();
                    for step in &steps[..step] {
                        run(&cloud, &connection(), &goal, &step.id).unwrap();
                    }
                    cloud.breaks.set(Some((at, works)));
                    let broken = run(&cloud, &connection(), &goal, &steps[step].id).is_err();
                    breaks += usize::from(broken);
                    cloud.breaks.set(None);
                    safe(&cloud);
                    // The host begins anew: a plan, and all its steps.
                    for again in plan(&cloud, &connection(), &goal).steps {
                        run(&cloud, &connection(), &goal, &again.id).unwrap();
                        safe(&cloud);
                    }
                    let what = format!("{goal:?} {} {at} {works}", steps[step].id);
                    assert_eq!(*cloud.domains.borrow(), *undisturbed.domains.borrow(), "{what}");
                    assert_eq!(plain(&cloud), plain(&undisturbed), "{what}");
                }
            }
        }
        assert_eq!(breaks, 2 * undisturbed.asked.borrow().len(), "every request was broken, before and after its work");
    }
}

/// The objects, with no value and no property being the same.
fn plain(cloud: &Cloud) -> Json {
    let mut objects = json!(*cloud.objects.borrow());
    for object in objects.as_object_mut().unwrap().values_mut().flat_map(|list| list.as_array_mut().unwrap()) {
        object.as_object_mut().unwrap().retain(|_, value| !value.is_null() && *value != json!([]));
    }
    objects
}

#[test]
fn another_scope_changes_the_rule_only() {
    let cloud = connected();
    cloud.asked.borrow_mut().clear();
    let group = Connection { routing: Routing::Group(GROUP.to_owned()), ..connection() };
    let plan = plan(&cloud, &group, &Goal::Connect);
    let rule = plan.steps.iter().find(|step| step.action != Action::Keep).unwrap();
    assert_eq!((rule.id.as_str(), rule.differences[0].after.as_str()), ("rule", "sales@contoso.example"));
    let done = apply(&cloud, &group, &Goal::Connect);
    assert_eq!(done, [r#"Changed FromMemberOf of the mail-flow rule "Messages for Signet" from "" to "sales@contoso.example"."#]);
    assert_eq!(changing(&cloud), ["Set-TransportRule"]);
    assert_eq!(cloud.object("TransportRule")["State"], "Enabled");
    apply(&cloud, &connection(), &Goal::Connect);
    assert_eq!(cloud.object("TransportRule")["FromMemberOf"], json!([]));
}

#[test]
fn a_foreign_object_of_our_name_is_a_conflict_and_is_left_alone() {
    for noun in ["InboundConnector", "OutboundConnector", "TransportRule"] {
        let name = match noun {
            "InboundConnector" => "Receive from Signet",
            "OutboundConnector" => "send to signet",
            _ => "Messages for Signet",
        };
        let cloud = Cloud::new();
        cloud.add(noun, json!({ "Name": name, "Comment": "[signet:t2.smtp.signet.example]" }));
        let problem = cloud.call(|around| make_plan(around, &connection(), &Goal::Connect)).unwrap_err();
        assert_eq!(problem.cause, Cause::Conflict);
        assert!(problem.detail.to_lowercase().contains(&name.to_lowercase()), "{problem:?}");
        let plan = cloud.call(|around| make_plan(around, &connection(), &Goal::Disconnect));
        assert_eq!(plan.unwrap_err().cause, Cause::Conflict, "what is not ours is not removed");
    }
}

#[test]
fn ours_is_known_by_its_id_when_it_was_renamed_and_foreign_settings_stay() {
    let cloud = connected();
    {
        let mut objects = cloud.objects.borrow_mut();
        let outbound = &mut objects.get_mut("OutboundConnector").unwrap()[0];
        outbound.insert("Name".to_owned(), json!("Signatures"));
        outbound.insert("Comment".to_owned(), json!("Ask Ada."));
        outbound.insert("SmartHosts".to_owned(), json!(["elsewhere.example"]));
        outbound.insert("MtaStsMode".to_owned(), json!("None"));
        objects.get_mut("TransportRule").unwrap()[0].insert("RouteMessageOutboundConnector".to_owned(), json!("Signatures"));
    }
    let drift = plan(&cloud, &connection(), &Goal::Connect);
    let changed: Vec<_> = drift.steps.iter().filter(|step| step.action != Action::Keep).collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0].differences.iter().map(|one| one.property.as_str()).collect::<Vec<_>>(), ["SmartHosts", "Comment"]);
    apply(&cloud, &connection(), &Goal::Connect);
    let outbound = cloud.object("OutboundConnector");
    assert_eq!((&outbound["Name"], &outbound["MtaStsMode"]), (&json!("Signatures"), &json!("None")));
    assert_eq!(outbound["SmartHosts"], json!(["in.signet.example"]));
    assert_eq!(outbound["Comment"], format!("Ask Ada. [signet:{DOMAIN}]"));
}

#[test]
fn a_connector_that_is_created_switched_off_needs_somebody() {
    let cloud = Cloud::new();
    cloud.trap.set(true);
    for step in ["certificate-domain", "accepted-domain"] {
        run(&cloud, &connection(), &Goal::Connect, step).unwrap();
    }
    let step = || cloud.call(|around| apply_step(around, &connection(), &Goal::Connect, "inbound-connector", &Trial::None)).unwrap();
    let Outcome::ActionNeeded(what) = step() else { panic!("not asked for") };
    assert!(what.contains("Created in a disabled state.") && what.contains("support"), "{what}");
    cloud.locked.set(true);
    let Outcome::ActionNeeded(what) = step() else { panic!("not asked for again") };
    assert!(what.contains("It can't be enabled."), "{what}");
    cloud.locked.set(false);
    let Outcome::Done(lines) = step() else { panic!("it can be switched on here") };
    assert_eq!(lines, [r#"Changed Enabled of the connector "Receive from Signet" from "false" to "true"."#]);
}

#[test]
fn a_domain_that_cannot_be_verified_yet_asks_for_the_exact_record() {
    let cloud = Cloud::new();
    cloud.published.set(false);
    let step = || cloud.call(|around| apply_step(around, &connection(), &Goal::Connect, "certificate-domain", &Trial::None)).unwrap();
    assert!(matches!(step(), Outcome::Again((1, _))));
    for _ in 0..2 {
        let Outcome::ActionNeeded(what) = step() else { panic!("not asked for") };
        assert!(what.contains("name t1.smtp.signet.example, type TXT, text MS=ms123, time to live 3600 seconds"), "{what}");
    }
    cloud.published.set(true);
    assert_eq!(step(), Outcome::Done(vec![format!("Verified the domain {DOMAIN}.")]));
}

#[test]
fn a_role_that_has_not_reached_exchange_is_waited_for_and_not_for_ever() {
    let cloud = Cloud::new();
    *cloud.refusal.borrow_mut() = Some((403, json!({ "error": { "code": "Forbidden", "message": "not allowed" } })));
    let step = || cloud.call(|around| apply_step(around, &connection(), &Goal::Connect, "accepted-domain", &Trial::None));
    assert!(matches!(step(), Ok(Outcome::Again((60, _)))));
    cloud.time.set(cloud.time.get() + 3_600_000);
    assert_eq!(step().unwrap_err().cause, Cause::Permission);
    let problem = cloud.call(|around| make_plan(around, &connection(), &Goal::Connect)).unwrap_err();
    assert_eq!((problem.cause, problem.wait), (Cause::Permission, Some(60)));
}

#[test]
fn a_failed_trial_leaves_the_rule_off_and_wide_and_says_why() {
    let cloud = Cloud::new();
    let steps = ["certificate-domain", "accepted-domain", "inbound-connector", "outbound-connector", "rule"];
    steps.iter().for_each(|step| drop(run(&cloud, &connection(), &Goal::Connect, step).unwrap()));
    let step = |step: &str, trial| cloud.call(|around| apply_step(around, &connection(), &Goal::Connect, step, &trial)).unwrap();
    assert!(matches!(step("enable", Trial::None), Outcome::ActionNeeded(_)), "nothing is on before a trial");
    assert!(matches!(step("probe", Trial::None), Outcome::Probe(_)));
    let Outcome::ActionNeeded(what) = step("probe", Trial::Failed("550 5.7.64 Relay Access Denied".to_owned())) else { panic!() };
    assert!(what.contains("5.7.64"));
    let rule = cloud.object("TransportRule");
    assert_eq!((&rule["State"], &rule["FromAddressMatchesPatterns"]), (&json!("Disabled"), &json!([])));
}

#[test]
fn disconnecting_switches_off_first_waits_and_removes_only_what_is_ours() {
    let cloud = connected();
    cloud.add("TransportRule", json!({ "Name": "Disclaimer", "State": "Enabled", "Priority": 1 }));
    cloud.add("InboundConnector", json!({ "Name": "Scanner" }));
    cloud.asked.borrow_mut().clear();
    let step = |step: &str| cloud.call(|around| apply_step(around, &connection(), &Goal::Disconnect, step, &Trial::None)).unwrap();
    assert!(matches!(step("outbound-connector"), Outcome::ActionNeeded(_)), "the rule still needs it");
    step("enable");
    assert!(matches!(step("settle"), Outcome::Again((300, _))));
    assert!(matches!(step("rule"), Outcome::Again(_)));
    let done = apply(&cloud, &connection(), &Goal::Disconnect);
    assert_eq!(changing(&cloud), ["Disable-TransportRule", "Remove-TransportRule", "Remove-OutboundConnector", "Remove-InboundConnector"]);
    assert_eq!(done.last().unwrap(), &format!("Removed the domain {DOMAIN}."));
    assert_eq!(cloud.object("TransportRule")["Name"], "Disclaimer");
    assert_eq!(cloud.object("InboundConnector")["Name"], "Scanner");
    assert!(cloud.kept.borrow().is_empty(), "{:?}", cloud.kept);
}

#[test]
fn a_connector_that_another_rule_uses_is_not_removed_and_the_rule_is_named_before() {
    let cloud = connected();
    cloud.add("TransportRule", json!({ "Name": "Newsletter", "RouteMessageOutboundConnector": "Send to Signet" }));
    let plan = plan(&cloud, &connection(), &Goal::Disconnect);
    assert!(plan.notes.iter().any(|note| note.contains(r#"The rule "Newsletter" uses the connector"#)), "{plan:?}");
    for step in ["enable", "settle", "rule"] {
        run(&cloud, &connection(), &Goal::Disconnect, step).unwrap();
    }
    cloud.used.set(true);
    let step = || cloud.call(|around| apply_step(around, &connection(), &Goal::Disconnect, "outbound-connector", &Trial::None)).unwrap();
    let Outcome::ActionNeeded(what) = step() else { panic!("not asked for") };
    assert!(what.contains("It is used by another rule."), "{what}");
    cloud.used.set(false);
    assert!(matches!(step(), Outcome::Done(_)));
}

#[test]
fn rules_before_ours_are_noted() {
    let cloud = connected();
    cloud.objects.borrow_mut().get_mut("TransportRule").unwrap()[0].insert("Priority".to_owned(), json!(1));
    cloud.add("TransportRule", json!({ "Name": "Disclaimer", "State": "Enabled", "Priority": 0 }));
    let plan = plan(&cloud, &connection(), &Goal::Connect);
    assert!(plan.notes.iter().any(|note| note.contains(r#""Disclaimer""#)), "{plan:?}");
    assert!(plan.steps.iter().all(|step| step.action == Action::Keep), "the order is the administrator's");
}

#[test]
fn a_domain_that_we_did_not_add_stays() {
    let cloud = Cloud::new();
    cloud.domains.borrow_mut().insert(DOMAIN.to_owned(), true);
    apply(&cloud, &connection(), &Goal::Connect);
    let plan = plan(&cloud, &connection(), &Goal::Disconnect);
    assert!(plan.notes.iter().any(|note| note.contains("stays")), "{plan:?}");
    apply(&cloud, &connection(), &Goal::Disconnect);
    assert_eq!(cloud.domains.borrow().get(DOMAIN), Some(&true));
}

#[test]
fn a_group_that_is_gone_or_of_another_kind_is_named() {
    let cloud = connected();
    let group = Connection { routing: Routing::Group(GROUP.to_owned()), ..connection() };
    for (found, cause) in [
        (Json::Null, Cause::Missing),
        (
            json!({ "id": GROUP, "mail": "s@contoso.example", "mailEnabled": true, "securityEnabled": true, "groupTypes": ["Unified"] }),
            Cause::Unfit,
        ),
        (json!({ "id": GROUP, "mail": "s@contoso.example", "mailEnabled": true, "securityEnabled": false }), Cause::Unfit),
        (json!({ "id": GROUP, "mail": null, "mailEnabled": false, "securityEnabled": true }), Cause::Unfit),
    ] {
        *cloud.group.borrow_mut() = found;
        assert_eq!(cloud.call(|around| make_plan(around, &group, &Goal::Connect)).unwrap_err().cause, cause);
    }
}

#[test]
fn no_secret_is_shown() {
    let cloud = connected();
    let other = signet_plugin_sdk::control::Word { value: "0th3r-secret".to_owned(), ..connection().processed };
    let changed = Connection { processed: other, identification: None, ..connection() };
    let text = format!("{:?}", plan(&cloud, &changed, &Goal::Connect));
    for secret in ["0th3r", "s3cr3t", "t0k3n"] {
        assert!(!text.contains(secret), "{text}");
    }
}
