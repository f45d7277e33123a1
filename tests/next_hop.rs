//! A next hop that refuses, is slow or is not whom it should be: the sender hears the truth and nothing is lost or doubled.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use signet::demo::return_host::{Action, Step};

use crate::harness::plugins::Choice;
use crate::harness::*;

const FROM: &str = "ada@northwind.example";
const TO: &str = "lucia@contoso.example";
const OTHER: &str = "bcc@contoso.example";

fn says(reply: &str) -> Action {
    Action::Reply(reply.to_owned())
}

#[test]
fn the_next_hop_s_refusals_reach_the_sender_as_they_are_and_those_of_the_session_as_451() {
    run(async {
        let rig = Setup::new().return_host(|host| host.extensions.retain(|offered| offered != "CHUNKING")).start().await;
        for (step, answer, heard) in [
            (Step::Connect, "554 5.7.1 go away", "451 4.4.1"),
            (Step::Connect, "421 4.3.2 busy", "451 4.4.1"),
            (Step::Hello, "550 5.7.1 not you", "451 4.4.1"),
            (Step::StartTls, "454 4.7.0 not now", "451 4."),
            (Step::Mail, "550 5.1.8 bad sender", "550 5.1.8 bad sender"),
            (Step::Mail, "451 4.7.500 server busy", "451 4.7.500 server busy"),
            (Step::Recipient, "550 5.1.1 unknown", "550 5.1.1 unknown"),
            (Step::Recipient, "452 4.2.2 full", "452 4.2.2 full"),
            (Step::Recipient, "421 4.3.2 closing", "451 4.3.2 closing"),
            (Step::Data, "451 4.3.0 no", "451 4.3.0 no"),
            (Step::Data, "554 5.5.1 never", "554 5.5.1 never"),
            (Step::Content, "554 5.6.0 spam", "554 5.6.0 spam"),
            (Step::Content, "452 4.3.1 full", "452 4.3.1 full"),
        ] {
            // Connections that earlier cases left open have passed the first steps.
            let rig = if matches!(step, Step::Connect | Step::Hello | Step::StartTls) { &Setup::new().start().await } else { &rig };
            rig.script.always(step, says(answer));
            let reply = rig.send(FROM, &[TO], &message(FROM, "refused", "hi\r\n")).await;
            assert!(reply.text().starts_with(heard), "{step:?} {answer}: {reply:?}");
            assert_eq!(rig.arrived().len(), 0);
            rig.script.clear();
            rig.send(FROM, &[TO], &message(FROM, "taken", "hi\r\n")).await.is("250");
            assert_eq!(rig.arrived().len(), 1, "{step:?} {answer}");
        }
    });
}

#[test]
fn one_refused_recipient_does_not_keep_the_other_from_the_message() {
    run(async {
        let rig = Setup::new().start().await;
        rig.script.set(|event| if event.line.contains(OTHER) { says("550 5.1.1 unknown") } else { Action::Continue });
        let mut client = rig.secure(&[]).await;
        client.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
        client.command(&format!("RCPT TO:<{OTHER}>")).await.is("550 5.1.1 unknown");
        client.command(&format!("RCPT TO:<{TO}>")).await.is("250");
        client.command("DATA").await.is("354");
        client.send(client::dotted(&message(FROM, "one-of-two", "hi\r\n"))).await;
        client.reply().await.is("250");
        assert_eq!(rig.one().recipients, [format!("<{TO}>")]);
    });
}

#[test]
fn a_next_hop_that_is_not_there_gives_451() {
    run(async {
        let closed = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let rig = Setup::new().change(|tenant| tenant.return_to = Some(closed)).start().await;
        rig.send(FROM, &[TO], &message(FROM, "nobody", "hi\r\n")).await.is("451 4.4.1");
    });
}

#[test]
fn a_slow_next_hop_gives_451_before_the_sender_gives_up() {
    run(async {
        let limits = "recipient_within = \"400 ms\"\ndeliver_within = \"400 ms\"";
        for (step, heard) in
            [(Step::Connect, "451 4.4.1"), (Step::Mail, "451 4.4.1"), (Step::Recipient, "451 4.4.1"), (Step::Content, "451 4.4.1")]
        {
            let rig = Setup::new().change(|tenant| tenant.return_more = limits.to_owned()).start().await;
            rig.script.always(step, Action::Delay(Duration::from_secs(20)));
            let begun = Instant::now();
            let reply = rig.send(FROM, &[TO], &message(FROM, "slow", "hi\r\n")).await;
            assert!(reply.text().starts_with(heard), "{step:?}: {reply:?}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{step:?}: {:?}", begun.elapsed());
            assert_eq!(rig.arrived().len(), 0);
        }
    });
}

#[test]
fn a_next_hop_without_the_right_certificate_or_without_tls_gets_no_mail() {
    run(async {
        let wrong_name = authority().server(&authority().issue(&["mx.mallory.example"]).unwrap()).unwrap();
        let stranger = signet::demo::materials::Authority::new().unwrap();
        let wrong_authority = stranger.server(&stranger.issue(&[RETURN]).unwrap()).unwrap();
        for (tls, heard) in [(Some(wrong_name), "451 4.7.5"), (Some(wrong_authority), "451 4.7.5"), (None, "451 4.7.4")] {
            let rig = Setup::new().return_host(|host| host.tls = tls).start().await;
            rig.send(FROM, &[TO], &message(FROM, "wrong", "hi\r\n")).await.is(heard);
            assert_eq!(rig.arrived().len(), 0);
        }
    });
}

#[test]
fn the_tenant_s_own_certificate_is_shown_to_its_next_hop() {
    run(async {
        let rig = Setup::new().start().await;
        rig.send(FROM, &[TO], &message(FROM, "certificate", "hi\r\n")).await.is("250");
        assert_eq!(rig.one().certificate_names, [TENANT_CERTIFICATE]);
    });
}

#[test]
fn a_connection_to_the_next_hop_serves_several_messages_and_is_replaced_when_it_went_away() {
    run(async {
        let rig = Setup::new().start().await;
        for number in 0..3 {
            rig.send(FROM, &[TO], &message(FROM, &format!("pooled-{number}"), "hi\r\n")).await.is("250");
        }
        let connections: Vec<_> = rig.arrived().iter().map(|received| received.connection).collect();
        assert_eq!(connections, [0, 0, 0]);
        // The next hop closes idle connections, as all do.
        rig.script.set(|event| if event.connection == 0 { Action::Close } else { Action::Continue });
        rig.send(FROM, &[TO], &message(FROM, "pooled-3", "hi\r\n")).await.is("250");
        assert_eq!(rig.one().connection, 1);
    });
}

async fn split() -> Rig {
    Setup::new().change(|tenant| tenant.selector = Some(Choice::SignFirst)).start().await
}

/// Acts at the second content from now on, once.
fn at_the_second_copy(rig: &Rig, action: Action) {
    let contents = AtomicUsize::new(0);
    rig.script.set(move |event| {
        let second = event.step == Step::Content && contents.fetch_add(1, Ordering::AcqRel) == 1;
        if second { action.clone() } else { Action::Continue }
    });
}

#[test]
fn when_the_second_of_two_copies_fails_for_now_only_it_is_sent_again() {
    run(async {
        for action in [says("451 4.3.0 later"), Action::Close, says("421 4.3.2 closing")] {
            let rig = split().await;
            at_the_second_copy(&rig, action.clone());
            let mail = message(FROM, "split", "hi\r\n");
            let reply = rig.send(FROM, &[TO, OTHER], &mail).await;
            assert_eq!(reply.code, 451, "{action:?}: {reply:?}");
            assert_eq!(rig.one().recipients, [format!("<{TO}>")]);
            rig.send(FROM, &[TO, OTHER], &mail).await.is("250");
            assert_eq!(rig.one().recipients, [format!("<{OTHER}>")]);
            // The record is about this message: the sender's next one goes to both.
            rig.send(FROM, &[TO, OTHER], &message(FROM, "split-next", "hi\r\n")).await.is("250");
            assert_eq!(rig.arrived().len(), 2);
        }
    });
}

#[test]
fn when_the_second_of_two_copies_is_refused_for_good_the_sender_hears_it() {
    run(async {
        let rig = split().await;
        at_the_second_copy(&rig, says("554 5.6.0 spam"));
        rig.send(FROM, &[TO, OTHER], &message(FROM, "split", "hi\r\n")).await.is("554 5.6.0 spam");
        assert_eq!(rig.one().recipients, [format!("<{TO}>")]);
    });
}

#[test]
fn the_ledger_on_disk_outlives_the_process() {
    run(async {
        let rig = split().await;
        let mut text = std::fs::read_to_string(rig.configuration()).unwrap();
        text.push_str("\n[state]\ndirectory = \"state\"\n");
        std::fs::write(rig.configuration(), text).unwrap();
        drop(std::fs::create_dir(rig.folder.path().join("state")));
        let start = || async {
            let config = signet::config::Config::load(rig.configuration()).unwrap();
            signet::Server::start(config, None).await.unwrap()
        };
        let send = |address: SocketAddr| async move {
            let mut client = Client::connect(address).await;
            client.ehlo().await;
            let mut client = client.start_tls(&client::tls(&[]), SIGNET).await.unwrap();
            client.ehlo().await;
            client.mail(FROM, &[TO, OTHER], &message(FROM, "kept", "hi\r\n")).await
        };
        at_the_second_copy(&rig, says("451 4.3.0 later"));
        let first = start().await;
        send(first.addresses()[0]).await.is("451");
        first.stop().await;
        assert_eq!(rig.one().recipients, [format!("<{TO}>")]);
        let second = start().await;
        send(second.addresses()[0]).await.is("250");
        assert_eq!(rig.one().recipients, [format!("<{OTHER}>")]);
        for entry in std::fs::read_dir(rig.folder.path().join("state")).unwrap() {
            let octets = std::fs::read(entry.unwrap().path()).unwrap();
            for secret in [TO, OTHER, FROM, "kept@northwind"] {
                assert!(!octets.windows(secret.len()).any(|window| window == secret.as_bytes()), "the ledger holds {secret}");
            }
        }
    });
}
