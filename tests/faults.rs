//! A plugin that fails never loses mail, through the whole server.

use crate::harness::plugins::{self, Choice};
use crate::harness::*;

const FROM: &str = "ada@northwind.example";
const ONE: [&str; 1] = ["lucia@contoso.example"];
const TWO: [&str; 2] = ["lucia@contoso.example", "b@contoso.example"];

async fn with(choice: Choice, policy: &str) -> Rig {
    let change = |tenant: &mut TenantSetup| {
        tenant.selector = Some(choice);
        tenant.plugins = format!("fault = {policy:?}");
    };
    // Long enough for a busy machine, short enough for a test.
    Setup::new().change(change).section("plugins", "select_deadline = \"100 ms\"\nrender_deadline = \"100 ms\"\nworkers = 2").start().await
}

#[test]
fn a_selector_that_traps_or_loops_gets_the_policy_and_the_next_message_is_signed() {
    run(async {
        for (choice, class) in [(Choice::TrapForTwo, "trap"), (Choice::LoopForTwo, "deadline")] {
            for (policy, reply, arrives) in [("relay-unsigned", "250", 1), ("defer", "451 4.3.0", 0)] {
                let rig = with(choice, policy).await;
                let mail = message(FROM, class, "hi\r\n");
                rig.send(FROM, &TWO, &mail).await.is(reply);
                let event = rig.event();
                assert_eq!(event.fault, class);
                let arrived = rig.arrived();
                assert_eq!(arrived.len(), arrives);
                if let Some(received) = arrived.first() {
                    assert_eq!(below_trace(&received.content), mail);
                    assert_eq!((received.recipients.len(), event.copies[0].reason.as_str()), (2, &*format!("plugin-{class}")));
                }
                rig.send(FROM, &ONE, &mail).await.is("250");
                let event = rig.event();
                assert_eq!((event.copies[0].signatures.as_slice(), event.fault.as_str()), (&["full".to_owned()][..], ""));
                assert!(String::from_utf8_lossy(&rig.one().content).contains("full"));
            }
        }
    });
}

#[test]
fn hostile_guests_end_in_their_outcome_class_and_the_mail_goes_on() {
    run(async {
        for (name, class) in [
            ("memory-bomb", "memory"),
            ("recursion", "trap"),
            ("log-storm", "host-calls"),
            ("huge-string", "bad-output"),
            ("invalid-utf8", "bad-output"),
            ("missing", "bad-output"),
            ("refuses", "refused"),
        ] {
            let change = |tenant: &mut TenantSetup| tenant.components[0] = Some(plugins::hostile_selector(name));
            let rig = Setup::new().change(change).start().await;
            let mail = message(FROM, name, "hi\r\n");
            rig.send(FROM, &ONE, &mail).await.is("250");
            assert_eq!(rig.event().fault, class, "{name}");
            assert_eq!(below_trace(&rig.one().content), mail, "{name}");
        }
    });
}

#[test]
fn a_renderer_that_loops_or_answers_nonsense_leaves_the_message_unsigned() {
    run(async {
        for (name, class) in [("render-loop", "deadline"), ("render-large", "bad-output"), ("render-nothing", "bad-output")] {
            let change = |tenant: &mut TenantSetup| {
                tenant.selector = Some(Choice::Sign);
                tenant.components[1] = Some(plugins::renderer(name));
            };
            let section = "select_deadline = \"2 s\"\nrender_deadline = \"100 ms\"";
            let rig = Setup::new().change(change).section("plugins", section).start().await;
            let mail = message(FROM, name, "hi\r\n");
            rig.send(FROM, &TWO, &mail).await.is("250");
            assert_eq!(rig.event().fault, class, "{name}");
            assert_eq!(below_trace(&rig.one().content), mail, "{name}");
        }
    });
}

#[test]
fn after_a_storm_of_traps_the_selector_is_left_alone_and_comes_back() {
    run(async {
        let change = |tenant: &mut TenantSetup| tenant.selector = Some(Choice::TrapForTwo);
        let section = "select_deadline = \"2 s\"\n[plugins.breaker]\nfaults = 3\nwindow = \"10 s\"\npause = \"1 s\"";
        let rig = Setup::plain().change(change).section("plugins", section).start().await;
        let mut client = rig.connect().await;
        client.ehlo().await;
        for _ in 0..3 {
            client.mail(FROM, &TWO, &message(FROM, "storm", "hi\r\n")).await.is("250");
            assert_eq!(rig.event().fault, "trap");
        }
        client.mail(FROM, &ONE, &message(FROM, "storm", "hi\r\n")).await.is("250");
        assert_eq!(rig.event().fault, "breaker-open");
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        client.mail(FROM, &ONE, &message(FROM, "storm", "hi\r\n")).await.is("250");
        assert_eq!(rig.event().copies[0].signatures, ["full"]);
        assert_eq!(rig.arrived().len(), 5);
    });
}

#[test]
fn a_plugin_that_does_not_fit_keeps_the_server_from_starting() {
    run(async {
        for (component, said) in [
            (plugins::renderer("renderer"), "selector"),
            (plugins::hostile_selector("configure-trap"), "configure"),
            (plugins::hostile_selector("configure-refuses"), ""),
        ] {
            let change = |tenant: &mut TenantSetup| tenant.components[0] = Some(component);
            let Err(error) = Setup::new().change(change).try_start().await else { panic!("it starts with {said}") };
            assert!(error.contains("selector plugin does not load") && error.contains(said), "{error}");
        }
    });
}
