//! What SPF, DKIM and DMARC say, and what each policy makes of it.

use std::time::{Duration, Instant};

use crate::harness::plugins::Choice;
use crate::harness::*;

const FROM: &str = "ada@northwind.example";
const TO: &str = "lucia@contoso.example";
/// Proven by its address only, so that the reverse-path may be anybody's.
const NETWORK: &str = "networks = [\"127.0.0.0/8\"]\nreverse_path = false";

async fn with_policy(policy: &str) -> Rig {
    let change = |tenant: &mut TenantSetup| {
        tenant.alignment = format!("unaligned = {policy:?}");
        tenant.selector = Some(Choice::Sign);
    };
    Setup::new().tenant(TenantSetup::northwind().proof(NETWORK)).change(change).start().await
}

#[test]
fn an_author_proven_by_spf_or_dkim_is_signed_for_whatever_the_policy() {
    run(async {
        for policy in ["reject", "relay-unsigned", "sign"] {
            let rig = with_policy(policy).await;
            let mail = message(FROM, policy, "hi\r\n");
            rig.send(FROM, &[TO], &mail).await.is("250");
            let event = rig.event();
            assert_eq!((event.alignment.as_str(), event.authentication.spf, event.authentication.dmarc), ("by spf", "pass", "pass"));
            assert_eq!(event.copies[0].signatures, ["full"]);
            rig.send("bounces@mallory.example", &[TO], &dkim_sign(&mail)).await.is("250");
            let event = rig.event();
            assert_eq!((event.alignment.as_str(), event.authentication.dkim), ("by dkim", "pass"));
            assert_eq!(event.copies[0].signatures, ["full"]);
            for received in rig.arrived() {
                assert!(String::from_utf8_lossy(&received.content).contains("full"));
                let results = field(&received.content, "Authentication-Results");
                assert!(results[0].starts_with("smtp.signet.example; ") && results[0].contains("dmarc=pass"), "{results:?}");
            }
        }
    });
}

#[test]
fn an_unproven_author_gets_what_the_policy_says() {
    run(async {
        let mail = message(FROM, "unproven", "hi\r\n");
        let forged = String::from_utf8(dkim_sign(&mail)).unwrap().replace("\r\n\r\nhi", "\r\n\r\nho").into_bytes();
        for (policy, reply, signed) in [("reject", "550 5.7.26", None), ("relay-unsigned", "250", Some(false)), ("sign", "250", Some(true))]
        {
            let rig = with_policy(policy).await;
            for content in [&mail, &forged] {
                rig.send("ada@mallory.example", &[TO], content).await.is(reply);
                let event = rig.event();
                assert!(event.alignment.starts_with("not: "), "{event:?}");
                assert_eq!(event.authentication.dmarc, "fail");
                let arrived = rig.arrived();
                assert_eq!(arrived.len(), usize::from(signed.is_some()));
                if let Some(signed) = signed {
                    assert_eq!(!event.copies[0].signatures.is_empty(), signed, "{event:?}");
                    assert_eq!(arrived[0].content.ends_with(content), !signed);
                    assert!(field(&arrived[0].content, "Authentication-Results")[0].contains("dmarc=fail"));
                }
            }
        }
    });
}

#[test]
fn without_dns_mail_goes_on_unsigned_or_waits_and_never_hangs() {
    run(async {
        for (policy, reply, arrives) in [("relay-unsigned", "250", 1), ("reject", "451 4.7.0", 0)] {
            let rig = with_policy(policy).await;
            rig.dns.kill();
            let mail = dkim_sign(&message(FROM, policy, "hi\r\n"));
            let begun = Instant::now();
            rig.send(FROM, &[TO], &mail).await.is(reply);
            assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
            assert!(rig.dns.asked() > 0);
            let event = rig.event();
            assert_eq!((event.authentication.spf, event.authentication.dkim), ("temperror", "temperror"), "{event:?}");
            let arrived = rig.arrived();
            assert_eq!(arrived.len(), arrives);
            if let Some(received) = arrived.first() {
                assert!(received.content.ends_with(&mail), "it is unedited");
                assert!(field(&received.content, "Authentication-Results")[0].contains("temperror"));
            }
            rig.dns.revive();
            let mail = dkim_sign(&message(FROM, "again", "hi\r\n"));
            rig.send(FROM, &[TO], &mail).await.is("250");
            assert_eq!(rig.event().copies[0].signatures, ["full"], "the failure is not remembered");
        }
    });
}

#[test]
fn results_that_claim_to_be_ours_are_removed_and_those_of_others_stay() {
    run(async {
        let rig = Setup::new().start().await;
        let forged = "Authentication-Results: smtp.signet.example; dkim=pass header.d=bank.example\r\n\
                      authentication-results: (comment) SMTP.signet.example 1;\r\n\tspf=pass\r\n\
                      Authentication-Results: mx.other.example; spf=fail\r\n";
        let mail = message(FROM, "forged-results", "hi\r\n");
        rig.send(FROM, &[TO], &[forged.as_bytes(), &mail].concat()).await.is("250");
        let results = field(&rig.one().content, "Authentication-Results");
        assert_eq!(results.len(), 2, "{results:?}");
        assert!(results[0].starts_with("smtp.signet.example;") && !results[0].contains("bank.example"), "{results:?}");
        assert_eq!(results[1], "mx.other.example; spf=fail");
    });
}

#[test]
fn an_unedited_message_keeps_every_octet_below_our_trace_fields() {
    run(async {
        let rig = Setup::new().tenant(TenantSetup::northwind().sealed()).start().await;
        let strange = b"Received: from a.example by b.example; Mon, 23 Nov 2026 08:12:22 +0000\r\nFrom:ada@northwind.example\r\n\
            X-Odd :  value \r\nSubject: =?utf-8?q?a?=\r\n =?utf-8?q?b?=\r\nDATE: Mon, 23 Nov 2026 08:12:22 +0000\r\nno colon at all\r\n\
            Message-ID: <odd@northwind.example>\r\nContent-Type: multipart/mixed; boundary=\"never used\"\r\n\r\n.leading dot\r\n\x80\xff\r\n  \r\n\r\n";
        for content in [&strange[..], &dkim_sign(&message(FROM, "kept", "hi\r\n"))] {
            rig.send(&format!("<{FROM}> BODY=8BITMIME"), &[TO], content).await.is("250");
            let received = rig.one();
            assert!(received.content.ends_with(content), "{}", String::from_utf8_lossy(&received.content));
            let trace = &received.content[..received.content.len() - content.len()];
            assert!(trace.starts_with(b"Received: ") && trace.ends_with(b"\r\n"));
        }
    });
}
