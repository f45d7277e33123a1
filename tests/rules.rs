//! What rules need of the server: delegates, threads, trigger words in subjects, and the limit on copies.

use crate::harness::*;

const HANNA: &str = "hanna.lindqvist@northwind.example";
const ADA: &str = "ada.king@northwind.example";
const CUSTOMER: &str = "lucia@contoso.example";

const RULES: &str = r##"
[[rule]]
name = "A trigger word asks for the banner"
signature = "banner"
message.trigger = "#promo"
remove-trigger = true

[[rule]]
name = "Sent for somebody else"
signature = "reply"
sender.on-behalf = true
delegate.groups = ["harbour-office"]

[[rule]]
name = "First of its thread"
signature = "full"
message.first-in-thread = true

[[rule]]
name = "Nothing else"
skip = "further down"
"##;

fn with_header(mail: &[u8], field: &str) -> Vec<u8> {
    [field.as_bytes(), b"\r\n", mail].concat()
}

#[test]
fn rules_ask_for_delegates_threads_and_triggers_and_the_subject_keeps_the_rest() {
    run(async {
        let rig = Setup::signing().start().await;
        rig.rewrite("rules.toml", |_| RULES.to_owned());
        rig.reload().await.expect("the rules are good");
        let signatures = async |mail: &[u8]| {
            rig.send(HANNA, &[CUSTOMER], mail).await.is("250");
            let event = rig.event();
            (event.copies[0].signatures.join(" "), event.copies[0].subject_changed, String::from_utf8(rig.one().content).expect("text"))
        };
        let mail = String::from_utf8(message(HANNA, "x", "Hello.\r\n")).expect("text");
        let encoded = mail.replace("Subject: x", "Subject: =?utf-8?Q?#Promo_Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?B?IGF1cyBIYW1idXJn?=");
        let (chosen, changed, arrived) = signatures(encoded.as_bytes()).await;
        assert_eq!((chosen.as_str(), changed), ("banner", true));
        assert!(arrived.contains("\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?B?IGF1cyBIYW1idXJn?=\r\n"), "{arrived}");

        let (chosen, changed, _) = signatures(&with_header(mail.as_bytes(), &format!("Sender: <{HANNA}>"))).await;
        assert_eq!((chosen.as_str(), changed), ("full", false), "the author is no delegate");
        let for_ada = String::from_utf8(message(ADA, "y", "Hello.\r\n")).expect("text");
        let (chosen, _, _) = signatures(&with_header(for_ada.as_bytes(), &format!("Sender: <{HANNA}>"))).await;
        assert_eq!(chosen, "reply");
        let (chosen, _, _) = signatures(&with_header(mail.as_bytes(), "References: <1@contoso.example>")).await;
        assert_eq!(chosen, "");
    });
}

#[test]
fn beyond_the_limit_of_copies_the_fewest_recipients_get_none() {
    run(async {
        let rig = Setup::signing().section("limits", "copies = 2").start().await;
        let rule = |(number, id): (usize, &str)| {
            format!("[[rule]]\nname = \"Domain {number}\"\nsignature = \"{id}\"\nrecipient.domains = [\"d{number}.example\"]\n")
        };
        let rules: String = ["full", "banner", "reply"].into_iter().enumerate().map(rule).collect();
        rig.rewrite("rules.toml", |_| rules.clone());
        rig.reload().await.expect("the rules are good");
        let to = ["a@d0.example", "b@d0.example", "c@d1.example", "d@d2.example"];
        rig.send(HANNA, &to, &message(HANNA, "copies", "Hello.\r\n")).await.is("250");
        let event = rig.event();
        let copies: Vec<_> = event.copies.iter().map(|copy| (copy.recipients, copy.signatures.join(" "), copy.reason.clone())).collect();
        assert_eq!(copies.len(), 2, "{copies:?}");
        assert_eq!((copies[0].0, copies[0].1.as_str()), (2, "full"));
        assert_eq!((copies[1].0, copies[1].1.as_str(), copies[1].2.as_str()), (2, "", "copies-limit"));
        let mut arrived: Vec<_> = rig.arrived().into_iter().flat_map(|received| received.recipients).collect();
        arrived.sort();
        assert_eq!(arrived, to.map(|address| format!("<{address}>")), "everybody has it once");
    });
}
