//! Killing the next hop, the DNS server or the client at each step of a transaction loses nothing and doubles nothing.
//!
//! The sender retries as real senders do: the same message, until 250 or a permanent refusal. One thing no SMTP relay can avoid: a next hop that
//! stores a message and dies before it says so gets it again (RFC 5321 section 6.1). So the return host here counts a message only when
//! it also answers; the last test shows the other case.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use signet::demo::return_host::{Action, Received, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::plugins::Choice;
use crate::harness::*;

const FROM: &str = "ada@northwind.example";
const TO: [&str; 3] = ["a@contoso.example", "b@contoso.example", "c@contoso.example"];
/// More than any failure here needs.
const ATTEMPTS: usize = 20;

/// Sends as a sender with a queue does; how many attempts it took.
async fn persist(rig: &Rig, mail: &[u8]) -> usize {
    for attempt in 1..=ATTEMPTS {
        let mut client = rig.secure(&[]).await;
        match client.try_mail(FROM, &TO, mail).await {
            Ok(reply) if reply.positive() => return attempt,
            Ok(reply) => assert_eq!(reply.code / 100, 4, "a failure that passes must not become a bounce: {reply:?}"),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the message was not taken in {ATTEMPTS} attempts");
}

/// Each recipient has exactly one copy.
#[track_caller]
fn exactly_once(arrived: &[Received], what: &str) {
    let mut recipients: Vec<_> =
        arrived.iter().flat_map(|received| &received.recipients).map(|path| path.trim_matches(['<', '>'])).collect();
    recipients.sort_unstable();
    assert_eq!(recipients, TO, "{what}");
}

fn body() -> String {
    "0123456789abcdef0123456789abcdef\r\n".repeat(1_000)
}

#[test]
fn the_next_hop_dies_at_each_step() {
    run(async {
        let with_data = |setup: Setup| setup.return_host(|host| host.extensions.retain(|offered| offered != "CHUNKING"));
        for choice in [Choice::Skip, Choice::SignFirst] {
            for step in [Step::Connect, Step::Hello, Step::StartTls, Step::Mail, Step::Recipient, Step::Data, Step::Content, Step::Reset] {
                let setup = Setup::new().change(|tenant| tenant.selector = Some(choice));
                let rig = if step == Step::Data { with_data(setup) } else { setup }.start().await;
                let killed = rig.script.once(step, Action::Close);
                let what = format!("{choice:?} {step:?}");
                persist(&rig, &message(FROM, &what.replace(' ', "-"), &body())).await;
                exactly_once(&rig.arrived(), &what);
                // One copy for all needs no RSET.
                assert!(killed.load(Ordering::Acquire) || (choice, step) == (Choice::Skip, Step::Reset), "{what}: nothing was killed");
            }
        }
    });
}

/// A way to the next hop that cuts its first connection after so many octets from Signet, inside the handshake or inside the content.
async fn cutting(target: SocketAddr, after: usize) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((mut inner, _)) = listener.accept().await {
            let first = connections.fetch_add(1, Ordering::AcqRel) == 0;
            tokio::spawn(async move {
                let Ok(mut outer) = TcpStream::connect(target).await else { return };
                if !first {
                    drop(tokio::io::copy_bidirectional(&mut inner, &mut outer).await);
                    return;
                }
                let (mut from_signet, mut to_signet) = inner.split();
                let (mut from_host, mut to_host) = outer.split();
                let forward = async {
                    let mut left = after;
                    let mut buffer = vec![0; 4096];
                    while left > 0 {
                        let limit = left.min(buffer.len());
                        match from_signet.read(&mut buffer[..limit]).await {
                            Ok(0) | Err(_) => return,
                            Ok(read) => {
                                left -= read;
                                if to_host.write_all(&buffer[..read]).await.is_err() {
                                    return;
                                }
                            }
                        }
                    }
                };
                tokio::select! {
                    () = forward => {}
                    _ = tokio::io::copy(&mut from_host, &mut to_signet) => {}
                }
            });
        }
    });
    address
}

#[test]
fn the_connection_to_the_next_hop_is_cut_at_any_octet_before_the_end_of_data() {
    run(async {
        // The rig's own return host is behind the cutting way; its address is known only when it runs.
        let rig = Setup::new().start().await;
        let text = std::fs::read_to_string(rig.configuration()).unwrap();
        let own = format!("port = {}", rig.sink.address().port());
        // EHLO and STARTTLS take 60 octets, the handshake some 2,500 with the client certificate, the content 34,000.
        for after in [0, 1, 30, 45, 60, 200, 400, 1_000, 1_800, 2_500, 3_000, 6_000, 20_000, 30_000] {
            let way = cutting(rig.sink.address(), after).await;
            std::fs::write(rig.configuration(), text.replace(&own, &format!("port = {}", way.port()))).unwrap();
            rig.reload().await.unwrap();
            let attempts = persist(&rig, &message(FROM, &format!("cut-{after}"), &body())).await;
            exactly_once(&rig.arrived(), &format!("cut after {after} octets, {attempts} attempts"));
            assert!(attempts <= 2, "cut after {after}: {attempts} attempts");
        }
    });
}

/// Where the client dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Death {
    Connected,
    Ehlo,
    StartTls,
    Handshake,
    Mail,
    Recipient,
    Data,
    HalfOfTheContent,
    EndOfData,
    /// The reply has been written and not read.
    Reply,
}

const DEATHS: [Death; 10] = [
    Death::Connected,
    Death::Ehlo,
    Death::StartTls,
    Death::Handshake,
    Death::Mail,
    Death::Recipient,
    Death::Data,
    Death::HalfOfTheContent,
    Death::EndOfData,
    Death::Reply,
];

async fn die(rig: &Rig, mail: &[u8], death: Death) {
    let mut client = rig.connect().await;
    if death == Death::Connected {
        return;
    }
    client.ehlo().await;
    match death {
        Death::Ehlo => return,
        Death::StartTls => return client.send("STARTTLS\r\n").await,
        _ => {}
    }
    let mut client = client.start_tls(&client::tls(&[]), SIGNET).await.expect("the handshake succeeds");
    if death == Death::Handshake {
        return;
    }
    client.ehlo().await;
    client.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
    if death == Death::Mail {
        return;
    }
    for recipient in TO {
        client.command(&format!("RCPT TO:<{recipient}>")).await.is("250");
    }
    if death == Death::Recipient {
        return;
    }
    client.command("DATA").await.is("354");
    let wire = client::dotted(mail);
    match death {
        Death::Data => {}
        Death::HalfOfTheContent => client.send(&wire[..wire.len() / 2]).await,
        Death::EndOfData => client.send(&wire).await,
        _ => {
            client.send(&wire).await;
            rig.sink.wait_for(1).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[test]
fn the_client_dies_at_each_step() {
    run(async {
        for choice in [Choice::Skip, Choice::SignFirst] {
            for death in DEATHS {
                let rig = Setup::new().change(|tenant| tenant.selector = Some(choice)).start().await;
                let what = format!("{choice:?} {death:?}");
                let mail = message(FROM, &what.replace(' ', "-"), &body());
                die(&rig, &mail, death).await;
                persist(&rig, &mail).await;
                exactly_once(&rig.arrived(), &what);
                // The same text with another Message-ID is another message.
                persist(&rig, &message(FROM, "another", &body())).await;
                exactly_once(&rig.arrived(), &what);
                assert_eq!(rig.server.memory_in_use(), 0, "{what}");
            }
        }
    });
}

#[test]
fn the_client_dies_while_the_next_hop_is_busy_with_its_message() {
    run(async {
        for choice in [Choice::Skip, Choice::SignFirst] {
            let rig = Setup::new().change(|tenant| tenant.selector = Some(choice)).start().await;
            let busy = rig.script.once(Step::Content, Action::Delay(Duration::from_millis(400)));
            let mail = message(FROM, "busy", &body());
            let dying = async {
                let mut client = rig.secure(&[]).await;
                // It never reads the reply.
                drop(tokio::time::timeout(Duration::from_millis(200), client.try_mail(FROM, &TO, &mail)).await);
            };
            dying.await;
            assert!(busy.load(Ordering::Acquire), "the next hop has the content");
            persist(&rig, &mail).await;
            exactly_once(&rig.arrived(), &format!("{choice:?}"));
            assert_eq!(rig.server.memory_in_use(), 0);
        }
    });
}

#[test]
fn a_client_that_died_without_a_word_is_recognised_when_it_comes_back() {
    run(async {
        let rig = Setup::new().start().await;
        let mail = message(FROM, "silent", &body());
        // Its host lost power: the connection stays open on our side, and nobody has read the 250.
        let mut silent = rig.secure(&[]).await;
        silent.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
        for recipient in TO {
            silent.command(&format!("RCPT TO:<{recipient}>")).await.is("250");
        }
        silent.command("DATA").await.is("354");
        silent.send(client::dotted(&mail)).await;
        rig.sink.wait_for(1).await;
        persist(&rig, &mail).await;
        exactly_once(&rig.arrived(), "sent once");
        // If it lives after all, it has its answer and goes on as usual.
        silent.reply().await.is("250");
        silent.mail(FROM, &TO, &message(FROM, "next", &body())).await.is("250");
        exactly_once(&rig.arrived(), "the next message");
    });
}

#[test]
fn a_client_that_gives_up_before_its_reply_is_recognised_when_it_comes_back() {
    run(async {
        for farewell in ["QUIT\r\n", "RSET\r\n"] {
            let rig = Setup::new().start().await;
            let busy = rig.script.once(Step::Content, Action::Delay(Duration::from_millis(400)));
            let mail = message(FROM, "impatient", &body());
            let mut client = rig.secure(&[]).await;
            client.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
            for recipient in TO {
                client.command(&format!("RCPT TO:<{recipient}>")).await.is("250");
            }
            client.command("DATA").await.is("354");
            client.send(client::dotted(&mail)).await;
            while !busy.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            client.send(farewell).await;
            rig.sink.wait_for(1).await;
            // The replies come, and nobody reads them.
            tokio::time::sleep(Duration::from_millis(200)).await;
            drop(client);
            persist(&rig, &mail).await;
            exactly_once(&rig.arrived(), farewell);
        }
    });
}

#[test]
fn equal_messages_without_a_message_id_are_all_delivered() {
    run(async {
        let rig = Setup::new().start().await;
        // A machine that reports the same thing again, and closes without QUIT.
        let mail = format!("From: <{FROM}>\r\nSubject: paper out\r\n\r\npaper out\r\n").into_bytes();
        for _ in 0..3 {
            let mut client = rig.secure(&[]).await;
            client.mail(FROM, &TO, &mail).await.is("250");
        }
        assert_eq!(rig.arrived().len(), 3);
    });
}

#[test]
fn a_message_that_comes_twice_on_purpose_is_delivered_twice() {
    run(async {
        let rig = Setup::new().start().await;
        let mail = message(FROM, "twice", "hi\r\n");
        for _ in 0..2 {
            // The client reads its 250 and goes on: nothing is left to doubt.
            let mut client = rig.secure(&[]).await;
            client.mail(FROM, &TO, &mail).await.is("250");
            client.command("QUIT").await.is("221");
            exactly_once(&rig.arrived(), "once each time");
        }
    });
}

#[test]
fn the_dns_server_dies_at_each_step() {
    run(async {
        for (step, heard) in [("connection", "451 4.4.3"), ("recipients", "250"), ("data", "250")] {
            // The next hop is known by name here.
            let rig = Setup::new().change(|tenant| tenant.return_more = format!("host = {RETURN:?}")).start().await;
            let mail = dkim_sign(&message(FROM, step, &body()));
            if step == "connection" {
                rig.dns.kill();
            }
            let mut client = rig.secure(&[]).await;
            client.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
            let mut last = None;
            for recipient in TO {
                last = Some(client.command(&format!("RCPT TO:<{recipient}>")).await);
            }
            if step == "recipients" {
                rig.dns.kill();
            }
            if step != "connection" {
                client.command("DATA").await.is("354");
                let wire = client::dotted(&mail);
                client.send(&wire[..wire.len() / 2]).await;
                rig.dns.kill();
                client.send(&wire[wire.len() / 2..]).await;
                last = Some(client.reply().await);
            }
            let reply = last.expect("a reply");
            assert!(reply.text().starts_with(heard), "{step}: {reply:?}");
            rig.dns.revive();
            if !reply.positive() {
                persist(&rig, &mail).await;
            }
            exactly_once(&rig.arrived(), step);
        }
    });
}

#[test]
fn a_next_hop_that_stores_a_message_without_saying_so_gets_it_again_rather_than_never() {
    run(async {
        let rig = Setup::new().start().await;
        rig.script.once(Step::Content, Action::KeepAndClose);
        let mail = message(FROM, "unsaid", &body());
        rig.send(FROM, &TO, &mail).await.is("451 4.4.2");
        rig.send(FROM, &TO, &mail).await.is("250");
        assert_eq!(rig.arrived().len(), 2);
    });
}
