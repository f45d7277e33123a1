//! Who gets which signature, in how many copies, and what has been here before.

use std::sync::{Arc, PoisonError, Weak};

use tokio::sync::{Mutex, MutexGuard};

use crate::harness::*;

const ADA: &str = "ada.king@northwind.example";
const CUSTOMER: &str = "lucia@contoso.example";

/// The embedded plugins take seconds to compile, so these tests share one rig while any of them needs it, and take turns.
fn shared() -> Arc<Mutex<Rig>> {
    static RIG: std::sync::Mutex<Weak<Mutex<Rig>>> = std::sync::Mutex::new(Weak::new());
    let mut shared = RIG.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let rig = Arc::new(Mutex::new(run(Setup::signing().start())));
        *shared = Arc::downgrade(&rig);
        rig
    })
}

fn with_rig<F: AsyncFnOnce(MutexGuard<'_, Rig>)>(test: F) {
    let rig = shared();
    run(async {
        let rig = rig.lock().await;
        drop((rig.arrived(), rig.events()));
        test(rig).await;
    });
}

fn text(content: &[u8]) -> String {
    String::from_utf8_lossy(content).into_owned()
}

#[test]
fn a_new_message_gets_the_full_signature_and_a_reply_the_short_one() {
    with_rig(async |rig| {
        rig.send(ADA, &[CUSTOMER], &message(ADA, "new", "Hello.\r\n")).await.is("250");
        let event = rig.event();
        assert_eq!((event.kind, event.copies[0].signatures.as_slice()), ("new", &["full".to_owned(), "banner".to_owned()][..]));
        let arrived = text(&rig.one().content);
        assert!(arrived.contains("Managing Director") && arrived.contains("Harbour Days"), "{arrived}");

        let quoted = "Gladly.\r\n\r\nOn Mon, 23 Nov 2026 at 08:00, Lucia wrote:\r\n> Would you?\r\n";
        let reply = text(&message(ADA, "reply", quoted)).replace("Subject: ", "In-Reply-To: <1@contoso.example>\r\nSubject: Re: ");
        rig.send(ADA, &[CUSTOMER], reply.as_bytes()).await.is("250");
        let event = rig.event();
        assert_eq!((event.kind, event.copies[0].signatures.as_slice()), ("reply", &["reply".to_owned()][..]));
        let arrived = text(&rig.one().content);
        let place = |words: &str| arrived.find(words).unwrap_or_else(|| panic!("{words} in {arrived}"));
        assert!(place("Gladly.") < place("Ada King") && place("Ada King") < place("Lucia wrote"), "{arrived}");
    });
}

#[test]
fn recipients_with_different_signatures_get_different_copies_and_learn_of_no_other() {
    with_rig(async |rig| {
        let hidden = "auditor@secret.example";
        let colleagues = ["marek.dvorak@northwind.example", "sofia.brandt@northwind.example"];
        rig.send(ADA, &[CUSTOMER, colleagues[0], hidden, colleagues[1]], &message(ADA, "split", "Hello.\r\n")).await.is("250");
        let event = rig.event();
        let copies: Vec<_> = event.copies.iter().map(|copy| (copy.recipients, copy.signatures.join(" "))).collect();
        assert_eq!(copies.len(), 2, "{copies:?}");
        assert!(copies.contains(&(2, "full banner".to_owned())) && copies.contains(&(2, "reply".to_owned())), "{copies:?}");
        let arrived = rig.arrived();
        let mut all: Vec<_> = arrived.iter().flat_map(|received| received.recipients.clone()).collect();
        all.sort();
        let mut wanted: Vec<_> = [CUSTOMER, colleagues[0], colleagues[1], hidden].map(|address| format!("<{address}>")).to_vec();
        wanted.sort();
        assert_eq!(all, wanted, "each recipient is in exactly one copy");
        for received in &arrived {
            let inside = received.recipients.contains(&format!("<{}>", colleagues[0]));
            assert_eq!(text(&received.content).contains("Harbour Days"), !inside);
            for address in [hidden, CUSTOMER, colleagues[0], colleagues[1]] {
                assert!(!text(&received.content).contains(address), "the copy names {address}");
            }
        }
    });
}

#[test]
fn a_proven_loop_token_means_no_second_signature_and_a_look_alike_means_nothing() {
    with_rig(async |rig| {
        rig.send(ADA, &[CUSTOMER], &message(ADA, "round", "Hello.\r\n")).await.is("250");
        let once = rig.one().content;
        drop(rig.events());
        rig.send(ADA, &[CUSTOMER], &once).await.is("250");
        let event = rig.event();
        assert_eq!((event.passed.as_str(), event.look_alikes), ("already-processed", 0));
        let twice = rig.one().content;
        assert_eq!(text(&twice).matches("Harbour Days").count(), 1);
        assert_eq!(field(&twice, "X-Signet-Loop").len(), 1);

        let token = field(&once, "X-Signet-Loop").remove(0);
        let forged = [format!("X-Signet-Loop: {token}\r\n").as_bytes(), &message(ADA, "another", "Hello.\r\n")].concat();
        rig.send(ADA, &[CUSTOMER], &forged).await.is("250");
        let event = rig.event();
        assert_eq!((event.passed.as_str(), event.look_alikes), ("", 1));
        let arrived = rig.one().content;
        assert!(text(&arrived).contains("Harbour Days"));
        let tokens = field(&arrived, "X-Signet-Loop");
        assert!(tokens.len() == 1 && tokens[0] != token, "{tokens:?}");
    });
}

#[test]
fn a_message_that_carries_the_signature_already_gets_none() {
    with_rig(async |rig| {
        let html = |body: &str| {
            text(&message(ADA, "html", "")).replace("text/plain", "text/html")
                + &format!("<html><body><p>Hello.</p>{body}</body></html>\r\n")
        };
        rig.send(ADA, &[CUSTOMER], html("").as_bytes()).await.is("250");
        let once = rig.one().content;
        drop(rig.events());
        // The author's client has stored it with the signature: the header is new, the loop token is gone.
        let start = signet::header::body_start(&once);
        let kept = [
            signet::header::fields(&once).find(|field| field.is("Content-Type")),
            signet::header::fields(&once).find(|field| field.is("Content-Transfer-Encoding")),
        ];
        let structure: String = kept.into_iter().flatten().map(|field| text(&once[field.span])).collect();
        let again = text(&message(ADA, "again", "")).replace("Content-Type: text/plain; charset=utf-8\r\n", &structure);
        rig.send(ADA, &[CUSTOMER], &[again.as_bytes(), &once[start..]].concat()).await.is("250");
        let event = rig.event();
        assert_eq!((event.copies[0].signatures.len(), event.copies[0].reason.as_str()), (0, "already-signed"), "{event:?}");
    });
}

#[test]
fn what_must_not_be_edited_passes_with_its_octets_and_the_reason() {
    with_rig(async |rig| {
        for (content_type, reason) in [
            ("multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b", "smime-signed"),
            ("multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b", "pgp-encrypted"),
            ("multipart/report; report-type=delivery-status; boundary=b", "report"),
        ] {
            let body = "--b\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--b--\r\n";
            let mail = text(&message(ADA, reason, body)).replace("text/plain; charset=utf-8", content_type);
            rig.send(ADA, &[CUSTOMER], mail.as_bytes()).await.is("250");
            assert_eq!(rig.event().passed, reason);
            assert!(rig.one().content.ends_with(mail.as_bytes()), "{reason}");
        }
    });
}

#[test]
fn new_rules_hold_for_the_next_message_and_broken_ones_change_nothing() {
    run(async {
        let rig = Setup::signing().start().await;
        let signatures = async || {
            rig.send(ADA, &[CUSTOMER], &message(ADA, "rules", "Hello.\r\n")).await.is("250");
            rig.event().copies[0].signatures.clone()
        };
        assert_eq!(signatures().await, ["full", "banner"]);
        rig.rewrite("rules.toml", |text| text.replace("signature = \"banner\"", "signature = \"company\""));
        rig.reload().await.unwrap();
        assert_eq!(signatures().await, ["full", "company"]);
        rig.rewrite("rules.toml", |text| text.replacen("sender.known", "sender.unknown-key", 1));
        let error = rig.reload().await.unwrap_err();
        assert!(error.contains("rules.toml") && error.contains("unknown-key"), "{error}");
        assert_eq!(signatures().await, ["full", "company"]);
        let (_, metrics) = rig.get("/metrics").await;
        assert!(metrics.contains("signet_config_generation 2"), "{metrics}");
        // A rule that chooses what no template renders is found before it is in force.
        rig.rewrite("rules.toml", |text| text.replacen("sender.unknown-key", "sender.known", 1).replace("\"company\"", "\"nowhere\""));
        let error = rig.reload().await.unwrap_err();
        assert!(error.contains("nowhere"), "{error}");
        assert_eq!(signatures().await, ["full", "company"]);
    });
}

#[test]
fn a_message_with_too_many_hops_is_a_loop() {
    run(async {
        let rig = Setup::plain().section("limits", "hops = 10").start().await;
        let mut client = rig.connect().await;
        client.ehlo().await;
        let hops = |count: usize, host: &str| {
            let field = format!("Received: from a.example by {host} with ESMTP id 1; Mon, 23 Nov 2026 08:12:22 +0000\r\n");
            [field.repeat(count).as_bytes(), &message("ada@northwind.example", "loop", "hi\r\n")].concat()
        };
        client.mail("ada@northwind.example", &[CUSTOMER], &hops(10, "b.example")).await.is("250");
        client.mail("ada@northwind.example", &[CUSTOMER], &hops(11, "b.example")).await.is("554 5.4.6");
        client.mail("ada@northwind.example", &[CUSTOMER], &hops(5, SIGNET)).await.is("554 5.4.6");
        assert_eq!(rig.arrived().len(), 1);
    });
}
