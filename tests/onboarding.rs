//! How a tenant is connected, changed and disconnected, and what can go wrong on the way: the control plane, the embedded plugin and the real way
//! out, against the stand-in for Microsoft's cloud.

mod rig;

use std::sync::atomic::Ordering;
use std::time::Duration;

use rig::{ASTRID, Process, Rig, browser};
use serde_json::json;
use signet::config::Config;
use signet::control::credentials::BrowserBinding;
use signet::control::onboarding::ConnectedTenant;
use signet::control::plane::Return;
use signet::control::report::{People, Senders, Stage, StepState, Trouble, Way};
use signet::control::words::{Action, Goal, Standing};
use signet_cloud::seed::{FOREIGN_TENANT, TENANT};
use signet_cloud::{Call, Cloud, Fault, Id, Kind, Resource, Wrong};

use crate::harness::setup::PLAIN;
use crate::harness::{Setup, TenantSetup, run};

/// The id of the group with that name.
fn id(cloud: &Cloud, name: &str) -> Id {
    cloud.with(|world| {
        let mut groups = world.tenants[0].live(Kind::Group);
        groups.find(|group| group.properties.text("displayName") == name).map(|group| group.id).expect("it is there")
    })
}

/// Connects all of the organisation.
async fn connect(process: &Process) {
    process.choose(None, None).await;
    process.authorize(Goal::Connect, ASTRID).await.expect("it is authorised");
    process.wait(|overview| overview.stage == Stage::Connected).await;
}

/// Runs a cmdlet as somebody else would.
fn cmdlet(cloud: &Cloud, name: &str, parameters: &serde_json::Value) {
    let token = cloud.person_token("setup", Resource::Exchange, ASTRID).expect("a token");
    let body = json!({"CmdletInput": {"CmdletName": name, "Parameters": parameters}});
    let call = Call::json(&format!("/adminapi/beta/{TENANT}/InvokeCommand"), &body).bearer(&token);
    let answer = cloud.answer(&call.header("X-AnchorMailbox", &format!("UPN:{ASTRID}")));
    assert!(answer.status < 300, "{name}: {}", answer.value());
}

#[test]
fn a_tenant_is_connected_from_the_sign_in_to_the_last_step() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        assert_eq!(process.plane.tenants()[0], (TENANT.to_owned(), "Northwind".to_owned()));
        assert_eq!(process.overview().await.stage, Stage::Disconnected);
        process.sign_in().await;
        let overview = process.overview().await;
        assert_eq!((overview.stage, overview.signed_in.as_deref()), (Stage::ChoosePeople, Some(ASTRID)));
        assert_eq!(overview.organisation.expect("it was read").name, "Northwind Harbour");
        let found = process.plane.find_groups(TENANT, "sig").await.expect("groups");
        assert_eq!(found.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["Signature Users"]);
        assert_eq!(process.plane.choose_people(TENANT, None).await.expect("chosen"), People::Full);
        assert_eq!(process.overview().await.stage, Stage::ChooseRouting);
        assert_eq!(process.plane.choose_routing(TENANT, None).await.expect("chosen"), Senders::AllUsers);
        assert_eq!(process.overview().await.stage, Stage::Authorize);
        assert_eq!(rig.people.last(), "", "nobody is read before a plan begins");
        assert_eq!(process.authorize(Goal::Connect, ASTRID).await, Ok(Return::Tenant(TENANT.to_owned())));
        assert_eq!(rig.people.last(), format!("begin {TENANT} Full"));
        let overview = process.wait(|overview| overview.stage == Stage::Connected).await;
        let work = overview.work.expect("the plan");
        assert_eq!((work.goal, work.way, work.finished.is_some()), (Goal::Connect, Way::Service, true));
        assert!(work.steps.iter().all(|step| step.state == StepState::Done && step.done.is_some()), "{work:?}");
        let changed = work.changed().join("\n");
        for expected in ["Added the domain k7q2m4x9", "\"Send to Signet\"", "went through the loop", "\"Messages for Signet\" on"] {
            assert!(changed.contains(expected), "{expected} in {changed}");
        }
        assert_eq!(overview.connected.as_ref(), Some(&overview.choices));
        assert_eq!(overview.administrator.expect("checked").standing, Standing::Direct);
        assert_eq!((overview.trouble, overview.synchronised.people), (None, 7));
        assert_eq!(*rig.trials.senders.lock().expect("no panic"), ["signet-probe@k7q2m4x9.smtp.signet.example"]);
        for expected in ["k7q2m4x9.smtp.signet.example", "v4Jq7GZ9mT2c", "another-long-word", "InOrganization"] {
            assert!(rig.objects().contains(expected), "{expected} in {}", rig.objects());
        }
        let refused = process.plane.plan(TENANT, Goal::Connect).await.expect_err("the administrator's tokens are not kept");
        assert_eq!(
            (refused.kind.as_str(), refused.next_step.as_str()),
            ("credential", "Authorise first; or read the script, which says the same.")
        );
    });
}

#[test]
fn a_connected_tenant_is_changed_looked_at_and_started_anew() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        connect(&process).await;
        let [users, office] = ["Signature Users", "Harbour Office"].map(|name| id(&rig.cloud, name).to_string());
        process.choose(Some(&users), Some(&office)).await;
        let overview = process.overview().await;
        assert_eq!(overview.connected.expect("still").senders, Some(Senders::AllUsers));
        process.authorize(Goal::Connect, ASTRID).await.expect("it is authorised");
        let overview = process.wait(|overview| overview.stage == Stage::Connected).await;
        let connected = overview.connected.expect("connected");
        let Some(People::Limited(people)) = &connected.people else { panic!("{connected:?}") };
        assert_eq!((people.name.as_str(), people.address.as_str()), ("Signature Users", "signature-users@northwind.example"));
        assert!(rig.objects().contains("harbour-office@northwind.example"), "{}", rig.objects());
        assert_eq!(rig.trials.senders.lock().expect("no panic").len(), 1, "the loop is the same, so it is not tried again");
        assert_eq!(rig.people.last(), format!("begin {TENANT} Limited({users:?})"));
        let status = process.plane.status(TENANT).await.expect("a report").status;
        assert_eq!((status.routed_only_count, status.synchronised_only_count), (0, 3), "{status:?}");
        process.plane.synchronise(TENANT).await.expect("a round");
        process.plane.accept_shrink(TENANT).await.expect("taken over");
        assert_eq!(rig.people.last(), format!("accept {TENANT}"));
        let advice = process.plane.spf(TENANT).await.expect("advice");
        assert_eq!((advice.len(), advice[0].domain.as_str()), (1, "northwind.example"));
        assert!(advice[0].publish.contains("include:spf.signet.example"), "{advice:?}");
        let trouble = process.plane.spf(FOREIGN_TENANT).await.expect_err("no answer");
        assert!(trouble.kind == "unavailable" && trouble.detail.contains("contrafforte.example"), "{trouble:?}");
        drop(process);
        let process = rig.start().await;
        assert_eq!(process.overview().await.connected, Some(connected));
        assert_eq!(rig.people.last(), format!("begin {TENANT} Limited({users:?})"), "rounds go on after a start");
    });
}

#[test]
fn what_was_chosen_and_not_applied_is_forgotten_when_it_is_given_up() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        connect(&process).await;
        let (before, users) = (process.overview().await, id(&rig.cloud, "Signature Users").to_string());
        process.choose(Some(&users), Some(&users)).await;
        process.plane.abandon(TENANT).await.expect("given up");
        let after = process.overview().await;
        assert_eq!((after.stage, &after.choices, &after.connected), (Stage::Connected, &before.choices, &before.connected));
    });
}

#[test]
fn a_plan_that_is_given_up_ends_and_another_one_begins_at_once() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        process.choose(None, None).await;
        let gate = rig.trials.hold();
        process.authorize(Goal::Connect, ASTRID).await.expect("it is authorised");
        let tried = || rig.trials.senders.lock().expect("no panic").len();
        process.wait(|_| tried() == 1).await;
        process.plane.abandon(TENANT).await.expect("given up");
        let overview = process.overview().await;
        assert_eq!((overview.stage, overview.connected), (Stage::Disconnected, None));
        let work = overview.work.expect("the history");
        assert!(work.notes.iter().any(|note| note.contains("given up")));
        let trouble = overview.trouble.expect("told");
        assert_eq!((trouble.kind.as_str(), &trouble.changed), ("half-made", &work.changed()));
        assert!(trouble.changed[0].contains("Added the domain k7q2m4x9"), "{trouble:?}");
        assert_eq!(rig.people.last(), format!("stop {TENANT}"));
        drop(gate);
        connect(&process).await;
        assert_eq!(process.overview().await.trouble, None, "what was half-made is made");
        assert_eq!(tried(), 2, "the loop was not tried to its end, so it is tried again");
    });
}

#[test]
fn a_role_that_is_not_held_directly_changes_nothing_and_says_what_to_do() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        process.choose(None, None).await;
        // Somebody consented for the organisation before: the page that only an administrator passes is not shown.
        rig.cloud.grant(TENANT, "setup").expect("granted");
        let untouched = rig.objects();
        for (login, standing) in [
            ("bo.larsen@northwind.example", Standing::ThroughGroup),
            ("carla.weiss@northwind.example", Standing::Activated(None)),
            ("tom.okafor@northwind.example", Standing::Absent),
        ] {
            let trouble = process.authorize(Goal::Connect, login).await.expect_err("the role is not enough");
            assert_eq!((trouble.kind.as_str(), trouble.changed.len()), ("role", 0), "{login}: {trouble:?}");
            assert!(trouble.detail.contains("Global Administrator") && trouble.detail.ends_with("Nothing was changed."), "{trouble:?}");
            assert!(!trouble.steps.is_empty() && !trouble.next_step.is_empty(), "{trouble:?}");
            let overview = process.overview().await;
            assert_eq!((overview.stage, overview.trouble.map(|trouble| trouble.kind)), (Stage::Authorize, Some("role".to_owned())));
            let found = overview.administrator.expect("checked").standing;
            assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&standing), "{login}: {found:?}");
            assert_eq!(rig.objects(), untouched, "{login}");
            assert_eq!(process.plane.plan(TENANT, Goal::Connect).await.expect_err("the tokens are forgotten").kind, "credential");
        }
        process.authorize(Goal::Connect, ASTRID).await.expect("hers is enough");
        assert_eq!(process.wait(|overview| overview.stage == Stage::Connected).await.trouble, None, "it is overcome");
    });
}

#[test]
fn a_consent_that_is_declined_or_not_for_this_tenant_changes_nothing() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        for (accept, replaced, kind, said) in
            [(false, TENANT, "declined", "declined"), (true, FOREIGN_TENANT, "wrong-tenant", "Contrafforte (8b7d2c14-93aa")]
        {
            let url = process.plane.begin(TENANT, browser()).await.expect("it begins");
            let back = process.visit(&url, ASTRID, true).expect("she signs in");
            let Ok(Return::Onward(url)) = process.plane.returned(&back, browser()).await else { panic!("there is a consent to give") };
            let back = process.visit(&url, ASTRID, accept).expect("a page");
            let back = back.replace(&format!("tenant={TENANT}"), &format!("tenant={replaced}"));
            let trouble = process.plane.returned(&back, browser()).await.expect_err("refused");
            assert_eq!((trouble.kind.as_str(), trouble.changed.len()), (kind, 0), "{trouble:?}");
            assert!(trouble.detail.contains(said) && trouble.detail.ends_with("Nothing was changed."), "{trouble:?}");
            let overview = process.overview().await;
            assert_eq!((overview.stage, overview.trouble), (Stage::SignedIn, Some(trouble)));
        }
        process.sign_in().await;
        let overview = process.overview().await;
        assert_eq!((overview.stage, overview.trouble), (Stage::ChoosePeople, None));
        process.plane.choose_people(TENANT, None).await.expect("people");
        process.plane.choose_routing(TENANT, None).await.expect("senders");
        let url = process.plane.authorize(TENANT, Goal::Connect, browser()).await.expect("it begins");
        let back = process.visit(&url, ASTRID, false).expect("she declines");
        let trouble = process.plane.returned(&back, browser()).await.expect_err("declined");
        assert_eq!((trouble.kind.as_str(), process.overview().await.stage), ("declined", Stage::Authorize));
    });
}

#[test]
fn somebody_of_another_organisation_is_told_so() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        let url = process.plane.begin(TENANT, browser()).await.expect("it begins");
        let page = process.visit(&url, "admin@contrafforte.example", true).expect_err("the service itself refuses");
        assert!(page.contains("AADSTS50020"), "{page}");
        // What a person reaches who changes the address: a code of the other organisation.
        let mut other = process.plane.begin(TENANT, browser()).await.expect("it begins");
        other.set_path(&url.path().replace(TENANT, FOREIGN_TENANT));
        let back = process.visit(&other, "admin@contrafforte.example", true).expect("she signs in there");
        let trouble = process.plane.returned(&back, browser()).await.expect_err("refused");
        assert!(trouble.changed.is_empty() && trouble.detail.ends_with("Nothing was changed."), "{trouble:?}");
        let overview = process.overview().await;
        assert_eq!((overview.stage, overview.trouble), (Stage::Disconnected, Some(trouble)));
        assert_eq!(process.plane.begin("8b7d2c14", browser()).await.expect_err("not here").kind, "unknown-tenant");
    });
}

#[test]
fn a_sign_in_works_once_in_its_browser_and_for_some_minutes() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        let back = async || {
            let url = process.plane.begin(TENANT, browser()).await.expect("it begins");
            process.visit(&url, ASTRID, true).expect("she signs in")
        };
        let check = |trouble: Trouble, next: &str| {
            assert_eq!((trouble.kind.as_str(), trouble.next_step.as_str()), ("state", next), "{trouble:?}");
        };
        let twice = back().await;
        process.plane.returned(&twice, browser()).await.expect("the first time");
        check(process.plane.returned(&twice, browser()).await.expect_err("used"), "Start again.");
        let other = BrowserBinding::of(b"another browser");
        let refused = process.plane.returned(&back().await, other).await.expect_err("not its own");
        check(refused, "Start again and finish in the same browser.");
        assert_eq!(process.overview().await.trouble, None, "that is not this connection's trouble");
        let late = back().await;
        rig.time.pass(Duration::from_secs(11 * 60)).await;
        check(process.plane.returned(&late, browser()).await.expect_err("too late"), "Start again.");
        check(process.plane.returned("code=1&state=invented", browser()).await.expect_err("unknown"), "Start again.");
    });
}

#[test]
fn a_consent_that_takes_a_while_is_waited_for() {
    run(async {
        let rig = Rig::new().await;
        rig.cloud.with(|world| world.knobs.consent_delay = 60_000);
        let process = rig.start().await;
        process.sign_in().await;
        assert_eq!(process.overview().await.stage, Stage::ChoosePeople);
    });
}

#[test]
fn a_consent_that_never_arrives_is_told_and_can_be_tried_again() {
    run(async {
        let rig = Rig::new().await;
        rig.cloud.with(|world| world.knobs.consent_delay = 24 * 3_600_000);
        let process = rig.start().await;
        let url = process.plane.begin(TENANT, browser()).await.expect("it begins");
        let back = process.visit(&url, ASTRID, true).expect("she signs in");
        let Ok(Return::Onward(url)) = process.plane.returned(&back, browser()).await else { panic!("there is a consent to give") };
        let back = process.visit(&url, ASTRID, true).expect("she consents");
        let trouble = process.plane.returned(&back, browser()).await.expect_err("nothing arrived");
        assert!(trouble.kind == "permission" && trouble.next_step.starts_with("Connect again"), "{trouble:?}");
        rig.time.pass(Duration::from_secs(24 * 3600)).await;
        process.plane.go_on(TENANT).await.expect("tried again");
        assert_eq!(process.wait(|overview| overview.stage == Stage::ChoosePeople).await.trouble, None);
    });
}

#[test]
fn a_group_that_cannot_be_chosen_or_was_deleted_meanwhile_leads_back_to_the_choice() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        process.sign_in().await;
        for (name, kind) in [("Harbour Festival", "unfit"), ("Harbour News", "unfit"), ("Senders without campaign banners", "unfit")] {
            let trouble = process.plane.choose_people(TENANT, Some(&id(&rig.cloud, name).to_string())).await.expect_err(name);
            assert_eq!(trouble.kind, kind, "{trouble:?}");
        }
        assert_eq!(process.plane.choose_people(TENANT, Some("no id")).await.expect_err("no group").kind, "missing");
        let [users, office] = ["Signature Users", "Harbour Office"].map(|name| id(&rig.cloud, name));
        process.plane.choose_people(TENANT, Some(&users.to_string())).await.expect("people");
        process.plane.choose_routing(TENANT, Some(&office.to_string())).await.expect("senders");
        let untouched = rig.objects();
        rig.cloud.with(|world| world.tenants[0].remove(office, true));
        let trouble = process.authorize(Goal::Connect, ASTRID).await.expect_err("it is gone");
        assert!(trouble.kind == "missing" && trouble.detail.contains("\"Harbour Office\""), "{trouble:?}");
        let overview = process.overview().await;
        assert_eq!((overview.stage, overview.choices.senders), (Stage::ChooseRouting, None));
        assert_eq!(overview.trouble.expect("told").kind, "missing");
        assert_eq!(rig.objects(), untouched);
        rig.cloud.with(|world| world.tenants[0].remove(users, true));
        process.plane.choose_routing(TENANT, None).await.expect("senders");
        process.authorize(Goal::Connect, ASTRID).await.expect_err("the other is gone too");
        let overview = process.overview().await;
        assert_eq!(
            (overview.stage, overview.choices.people, overview.choices.senders),
            (Stage::ChoosePeople, None, Some(Senders::AllUsers))
        );
    });
}

#[test]
fn a_name_that_somebody_else_uses_stops_the_plan_until_it_is_free() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        process.choose(None, None).await;
        let foreign = json!({"Name": "Send to Signet", "ConnectorType": "Partner", "IsTransportRuleScoped": true, "SmartHosts": ["mx.other.example"], "UseMXRecord": false});
        cmdlet(&rig.cloud, "New-OutboundConnector", &foreign);
        process.authorize(Goal::Connect, ASTRID).await.expect("it is authorised");
        let overview = process.wait(|overview| overview.trouble.is_some()).await;
        let trouble = overview.trouble.expect("told");
        assert_eq!((overview.stage, trouble.kind.as_str()), (Stage::InProgress, "conflict"), "{trouble:?}");
        assert!(!trouble.next_step.is_empty());
        let sent = process.plane.begin(TENANT, browser()).await.expect_err("a plan is under way");
        assert_eq!(sent.kind, "stage");
        cmdlet(&rig.cloud, "Remove-OutboundConnector", &json!({"Identity": "Send to Signet", "Confirm": false}));
        process.plane.go_on(TENANT).await.expect("it goes on");
        assert_eq!(process.wait(|overview| overview.stage == Stage::Connected).await.trouble, None);
    });
}

#[test]
fn a_trial_that_fails_waits_for_somebody_with_the_rule_off() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        process.choose(None, None).await;
        rig.trials.failures.lock().expect("no panic").push("nothing came back within five minutes".to_owned());
        process.authorize(Goal::Connect, ASTRID).await.expect("it is authorised");
        let needed = |state: &StepState| matches!(state, StepState::ActionNeeded(_));
        let overview = process.wait(|overview| overview.work.iter().flat_map(|work| &work.steps).any(|step| needed(&step.state))).await;
        let work = overview.work.expect("the plan");
        let step = work.steps.iter().find(|step| needed(&step.state)).expect("it waits");
        assert!(step.step.id == "probe" && format!("{:?}", step.state).contains("nothing came back"), "{step:?}");
        assert!(rig.objects().contains("\"State\":\"Disabled\""), "{}", rig.objects());
        let plan = process.plane.plan(TENANT, Goal::Connect).await.expect("the authorisation has not ended");
        assert!(plan.steps.iter().any(|step| step.id == "enable" && step.action == Action::Change), "{plan:?}");
        process.plane.go_on(TENANT).await.expect("it goes on");
        process.wait(|overview| overview.stage == Stage::Connected).await;
        assert_eq!(rig.trials.senders.lock().expect("no panic").len(), 2);
    });
}

#[test]
fn what_takes_its_time_at_the_service_is_repeated_and_shown() {
    run(async {
        let rig = Rig::new().await;
        rig.cloud.with(|world| {
            world.knobs.exchange_delay = 20 * 60_000;
            world.knobs.accepted_domain_delay = 5 * 60_000;
            world.faults.push(Fault::new("/v1.0/domains", 2, Wrong::Status(503, Some(7))));
        });
        let process = rig.start().await;
        process.choose(None, None).await;
        process.authorize(Goal::Connect, ASTRID).await.expect("it is authorised");
        let overview = process.wait(|overview| overview.stage == Stage::Connected).await;
        let work = overview.work.expect("the plan");
        assert!(work.notes.iter().any(|note| note.contains("tried again by itself")), "{work:?}");
        assert!(work.finished.is_some_and(|end| end - work.begun > 20 * 60_000), "{work:?}");
    });
}

#[test]
fn nothing_is_left_after_disconnect() {
    run(async {
        let rig = Rig::new().await;
        let untouched = rig.objects();
        let process = rig.start().await;
        connect(&process).await;
        process.authorize(Goal::Disconnect, ASTRID).await.expect("it is authorised");
        // The rule may be in use for an hour, and the administrator's sign-in is kept for an hour: somebody signs in once more.
        let overview = process.wait(|overview| overview.trouble.is_some()).await;
        let trouble = overview.trouble.expect("told");
        assert_eq!((trouble.kind.as_str(), trouble.next_step.as_str()), ("credential", "Sign in again to go on."));
        assert!(trouble.changed[0].contains("\"Messages for Signet\" off"), "{trouble:?}");
        assert_eq!((overview.stage, overview.connected.is_some()), (Stage::InProgress, true));
        process.authorize(Goal::Disconnect, ASTRID).await.expect("again");
        let overview = process.wait(|overview| overview.stage == Stage::Disconnected).await;
        assert_eq!(rig.objects(), untouched);
        assert_eq!((rig.state().await, rig.people.last()), (Vec::new(), format!("stop {TENANT}")));
        let work = overview.work.clone().expect("the history");
        assert!(work.goal == Goal::Disconnect && work.changed().join(" ").contains("Removed the domain"), "{work:?}");
        assert_eq!((overview.connected, overview.organisation, overview.signed_in, overview.administrator), (None, None, None, None));
        drop(process);
        let process = rig.start().await;
        assert_eq!(process.overview().await.work, Some(work));
        connect(&process).await;
    });
}

#[test]
fn what_a_first_plan_made_before_it_was_given_up_can_be_taken_away() {
    run(async {
        let rig = Rig::new().await;
        let untouched = rig.objects();
        let process = rig.start().await;
        process.choose(None, None).await;
        rig.trials.failures.lock().expect("no panic").push("nothing came back".to_owned());
        process.authorize(Goal::Connect, ASTRID).await.expect("it is authorised");
        let needed = |state: &StepState| matches!(state, StepState::ActionNeeded(_));
        process.wait(|overview| overview.work.iter().flat_map(|work| &work.steps).any(|step| needed(&step.state))).await;
        process.plane.abandon(TENANT).await.expect("given up");
        assert_eq!(process.overview().await.trouble.expect("told").kind, "half-made");
        let mut overview = process.overview().await;
        while overview.work.as_ref().is_none_or(|work| work.finished.is_none()) {
            process.authorize(Goal::Disconnect, ASTRID).await.expect("it is authorised");
            overview = process.wait(|overview| overview.trouble.is_some() || overview.stage == Stage::Disconnected).await;
            assert!(overview.trouble.iter().all(|trouble| trouble.kind == "credential"), "{overview:?}");
        }
        assert_eq!((rig.objects(), overview.trouble), (untouched, None));
    });
}

#[test]
fn a_script_is_believed_when_nobody_is_signed_in_and_looked_after_when_somebody_is() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        assert_eq!(process.plane.script(TENANT, Goal::Connect).await.expect_err("nothing is chosen").kind, "stage");
        process.choose(None, None).await;
        let script = process.plane.script(TENANT, Goal::Connect).await.expect("a script");
        assert!(script.contains("New-OutboundConnector") && script.contains("k7q2m4x9"), "{script}");
        process.plane.script_was_run(TENANT, Goal::Connect).await.expect("believed");
        let overview = process.overview().await;
        let work = overview.work.expect("noted");
        assert_eq!((overview.stage, work.way), (Stage::Connected, Way::Script));
        assert!(work.notes[0].contains("could not look"), "{work:?}");
        assert_eq!(rig.people.last(), format!("begin {TENANT} Full"));
        // A plan that stopped has an authorisation, so the next word is not just believed.
        rig.trials.failures.lock().expect("no panic").push("no".to_owned());
        process.authorize(Goal::Connect, ASTRID).await.expect("it is authorised");
        let stopped = |state: &StepState| matches!(state, StepState::ActionNeeded(_));
        process.wait(|overview| overview.work.iter().flat_map(|work| &work.steps).any(|step| stopped(&step.state))).await;
        let trouble = process.plane.script_was_run(TENANT, Goal::Connect).await.expect_err("the rule is off");
        assert!(trouble.kind == "missing" && trouble.detail.contains("Rule switched on"), "{trouble:?}");
        cmdlet(&rig.cloud, "Enable-TransportRule", &json!({"Identity": "Messages for Signet"}));
        process.plane.script_was_run(TENANT, Goal::Connect).await.expect("now it is done");
        assert_eq!(process.overview().await.stage, Stage::Connected);
    });
}

#[test]
fn an_invitation_is_used_once_outlives_the_process_and_ends() {
    run(async {
        let rig = Rig::new().await;
        let process = rig.start().await;
        let first = process.plane.invite(TENANT).await.expect("a link");
        let second = process.plane.invite(TENANT).await.expect("a link");
        let check = |refused: Result<String, Trouble>| {
            let trouble = refused.expect_err("it does not work");
            assert_eq!((trouble.kind.as_str(), trouble.next_step.as_str()), ("state", "Ask for a new link."));
        };
        check(process.plane.redeem(&first.token).await);
        check(process.plane.redeem("").await);
        drop(process);
        let process = rig.start().await;
        let plane = &process.plane;
        let results = tokio::join!(plane.redeem(&second.token), plane.redeem(&second.token), plane.redeem(&second.token));
        let worked = [results.0, results.1, results.2].into_iter().filter_map(Result::ok).collect::<Vec<_>>();
        assert_eq!(worked, [TENANT], "once, however many come at the same time");
        let late = process.plane.invite(TENANT).await.expect("a link");
        rig.time.pass(Duration::from_secs(24 * 3600)).await;
        check(process.plane.redeem(&late.token).await);
    });
}

#[test]
fn a_tenant_is_connected_with_what_its_configuration_says() {
    run(async {
        let control = "egress = []\n[control.synchronisation]\nclient_id = \"5b2f7c0e-1a44-4d83-9f2b-6f6f0c1d7a01\"\nsecret_file = \"keys/app.txt\"\n\
                       [control.setup]\nclient_id = \"c4e1d9a7-8b30-4c6e-a7d5-2f9b0e3c8d02\"\nsecret_file = \"keys/app.txt\"";
        let connection = "[tenant.seal.loop]\nkey_file = \"keys/loop.key\"\nword = \"v4Jq7GZ9mT2c\"\nword_header = \"X-Northwind\"\n\
                          [tenant.connection]\ncertificate_domain = \"k7q2m4x9.smtp.signet.example\"";
        let tenant = TenantSetup { return_plain: true, ..TenantSetup::northwind() }.more(connection);
        let setup = Setup::new()
            .listener(PLAIN)
            .section("state", "directory = \"keys\"")
            .section("control", control)
            .file("keys/app.txt", "a~secret~of~an~application");
        let with = setup.tenant(tenant).tenant(TenantSetup { return_plain: true, ..TenantSetup::new("south", "southwind.example") });
        let around = with.surroundings().await;
        let config = Config::load(&around.configuration).unwrap_or_else(|errors| panic!("{errors}"));
        let tenants: Vec<ConnectedTenant> = config.tenants.iter().filter_map(|tenant| ConnectedTenant::of(tenant)).collect();
        assert_eq!((tenants.len(), tenants[0].id.to_string()), (1, TENANT.to_owned()));
        assert_eq!((&tenants[0].processed.name, &tenants[0].processed.value), (&"X-Northwind".to_owned(), &"v4Jq7GZ9mT2c".to_owned()));
        assert_eq!((tenants[0].identification.as_ref(), &tenants[0].domains), (None, &vec!["northwind.example".to_owned()]));
        assert_eq!(tenants[0].settings.smart_host.as_str(), "smtp.signet.example");
    });
}

/// Requests with a credential from the return of the browser to the end of the plan.
async fn undisturbed(goal: Goal) -> (usize, String) {
    let rig = Rig::new().await;
    let process = rig.start().await;
    process.choose(None, None).await;
    if goal == Goal::Disconnect {
        process.authorize(Goal::Connect, ASTRID).await.expect("it is authorised");
        process.wait(|overview| overview.stage == Stage::Connected).await;
    }
    process.death.requests.store(0, Ordering::SeqCst);
    finish(&process, goal).await;
    (process.death.requests.load(Ordering::SeqCst), rig.objects())
}

/// Authorises as often as it takes.
async fn finish(process: &Process, goal: Goal) {
    let end = if goal == Goal::Connect { Stage::Connected } else { Stage::Disconnected };
    for _ in 0..3 {
        process.authorize(goal, ASTRID).await.expect("it is authorised");
        if process.wait(|overview| overview.stage == end || overview.trouble.is_some()).await.stage == end {
            return;
        }
    }
    panic!("it does not end: {:?}", process.overview().await);
}

/// Kills the process before or after its n-th request of the plan, starts another, and lets somebody sign in again.
async fn killed(goal: Goal, at: usize, after: bool) -> String {
    let rig = Rig::new().await;
    let process = rig.start().await;
    process.choose(None, None).await;
    if goal == Goal::Disconnect {
        process.authorize(Goal::Connect, ASTRID).await.expect("it is authorised");
        process.wait(|overview| overview.stage == Stage::Connected).await;
    }
    process.death.requests.store(0, Ordering::SeqCst);
    process.death.after.store(after, Ordering::SeqCst);
    process.death.at.store(at, Ordering::SeqCst);
    let url = process.plane.authorize(TENANT, goal, browser()).await.expect("it begins");
    let back = process.visit(&url, ASTRID, true).expect("she authorises");
    // It may die before it has an answer for the browser.
    drop(process.plane.returned(&back, browser()).await);
    let again = process.wait(|overview| process.death.dead.load(Ordering::SeqCst) || overview.trouble.is_some()).await;
    if !process.death.dead.load(Ordering::SeqCst) {
        assert_eq!(again.trouble.map(|trouble| trouble.kind).as_deref(), Some("credential"));
        drop(process.authorize(goal, ASTRID).await);
        process.wait(|_| process.death.dead.load(Ordering::SeqCst)).await;
    }
    drop(process);
    let process = rig.start().await;
    let overview = process.overview().await;
    if overview.stage == Stage::InProgress {
        let trouble = overview.trouble.expect("it waits for somebody");
        assert_eq!((trouble.kind.as_str(), trouble.next_step.as_str()), ("credential", "Sign in again to go on."), "{at} {after}");
        assert_eq!(trouble.changed, overview.work.expect("the plan").changed());
    }
    finish(&process, goal).await;
    rig.objects()
}

#[test]
fn a_process_that_is_killed_at_any_request_of_a_plan_ends_where_an_undisturbed_one_does() {
    run(async {
        for goal in [Goal::Connect, Goal::Disconnect] {
            let (requests, expected) = undisturbed(goal).await;
            assert!(requests > 15, "{requests}");
            // After one request and before the next are the same moment.
            let cases: Vec<(usize, bool)> = std::iter::once((1, false)).chain((1..=requests).map(|at| (at, true))).collect();
            for pair in cases.chunks(4) {
                let runs = pair.iter().map(|&(at, after)| (at, after, tokio::spawn(killed(goal, at, after)))).collect::<Vec<_>>();
                for (at, after, run) in runs {
                    assert_eq!(run.await.expect("it ends"), expected, "{goal:?}: request {at}, after it: {after}");
                }
            }
        }
    });
}
