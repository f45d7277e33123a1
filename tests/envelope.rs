//! Parameters of MAIL and RCPT on their way to the next hop.

use crate::harness::*;

const FROM: &str = "ada@northwind.example";
const TO: &str = "lucia@contoso.example";

async fn lacking(keyword: &'static str) -> Rig {
    Setup::new().return_host(|host| host.extensions.retain(|offered| !offered.starts_with(keyword))).start().await
}

#[test]
fn parameters_reach_the_next_hop_as_they_came() {
    run(async {
        let rig = Setup::new().start().await;
        let mail = message(FROM, "parameters", "gr\u{fc}\u{df}e\r\n");
        let from = format!("<{FROM}> SIZE={} BODY=8BITMIME RET=HDRS ENVID=QQ314159+2B SMTPUTF8", mail.len());
        let to = [
            "<lucia@contoso.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Lucia+2Bx@contoso.example",
            "<\u{fc}ser@contoso.example> NOTIFY=NEVER",
        ];
        rig.send(&from, &to, &mail).await.is("250");
        let received = rig.one();
        let words: Vec<_> = received.mail_from.split(' ').collect();
        assert_eq!(words[0], format!("<{FROM}>"));
        for word in ["BODY=8BITMIME", "RET=HDRS", "ENVID=QQ314159+2B", "SMTPUTF8"] {
            assert!(words.contains(&word), "{word} in {words:?}");
        }
        assert!(words.iter().any(|word| word.starts_with("SIZE=")), "{words:?}");
        assert_eq!(received.recipients, to);
        assert!(field(&received.content, "Received")[0].contains("with UTF8SMTPS"));
    });
}

#[test]
fn no_parameter_is_invented() {
    run(async {
        let rig = Setup::new().start().await;
        rig.send(FROM, &[TO], &message(FROM, "none", "hi\r\n")).await.is("250");
        let received = rig.one();
        assert_eq!((received.mail_from.as_str(), received.recipients.as_slice()), ("<ada@northwind.example>", &[format!("<{TO}>")][..]));
    });
}

#[test]
fn internationalised_mail_is_refused_where_the_next_hop_lacks_smtputf8() {
    run(async {
        let rig = lacking("SMTPUTF8").await;
        rig.send(&format!("<{FROM}> SMTPUTF8"), &[TO], &message(FROM, "utf8", "hi\r\n")).await.is("550 5.6.7");
        rig.send("<\u{e4}da@northwind.example> SMTPUTF8", &[TO], &message(FROM, "utf8", "hi\r\n")).await.is("550 5.6.7");
        rig.send(FROM, &[TO], &message(FROM, "ascii", "hi\r\n")).await.is("250");
        assert_eq!(rig.arrived().len(), 1);
    });
}

#[test]
fn eight_bit_content_is_refused_where_the_next_hop_lacks_8bitmime() {
    run(async {
        let rig = lacking("8BITMIME").await;
        let from = format!("<{FROM}> BODY=8BITMIME");
        rig.send(&from, &[TO], &message(FROM, "eight", "gr\u{fc}\u{df}e\r\n")).await.is("554 5.6.3");
        assert_eq!(rig.arrived().len(), 0);
        rig.send(&from, &[TO], &message(FROM, "seven", "hi\r\n")).await.is("250");
        assert_eq!(rig.one().mail_from, format!("<{FROM}>"));
    });
}

#[test]
fn a_message_of_ascii_stays_one_whatever_its_signature_is() {
    run(async {
        let author = "hanna.lindqvist@northwind.example";
        let rig = Setup::new()
            .return_host(|host| host.extensions.retain(|offered| !offered.starts_with("8BITMIME")))
            .change(|tenant| tenant.selector = None)
            .start()
            .await;
        let mail = message(author, "ascii", "plain words\r\n");
        let mail = String::from_utf8(mail).expect("text").replacen("\r\n\r\n", "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", 1);
        rig.send(author, &[TO], mail.as_bytes()).await.is("250");
        let arrived = String::from_utf8(rig.one().content).expect("text");
        assert!(arrived.is_ascii() && arrived.contains("=C2=B7"), "{arrived}");
    });
}

#[test]
fn delivery_status_parameters_are_left_out_where_the_next_hop_lacks_dsn() {
    run(async {
        let rig = lacking("DSN").await;
        rig.send(&format!("<{FROM}> RET=FULL ENVID=a"), &["<lucia@contoso.example> NOTIFY=NEVER"], &message(FROM, "dsn", "hi\r\n"))
            .await
            .is("250");
        let received = rig.one();
        assert_eq!((received.mail_from, received.recipients), (format!("<{FROM}>"), vec![format!("<{TO}>")]));
    });
}

#[test]
fn a_message_over_the_next_hop_s_size_is_refused() {
    run(async {
        let small = |host: &mut signet::demo::return_host::Settings| host.extensions[0] = "SIZE 2000".to_owned();
        let rig = Setup::new().return_host(small).start().await;
        rig.send(&format!("<{FROM}> SIZE=3000"), &[TO], &message(FROM, "declared", "hi\r\n")).await.is("552 5.3.4");
        rig.send(FROM, &[TO], &message(FROM, "real", &"0123456789\r\n".repeat(300))).await.is("552 5.3.4");
        assert_eq!(rig.arrived().len(), 0);
    });
}

#[test]
fn a_next_hop_without_chunking_gets_data_with_the_same_octets() {
    run(async {
        let rig = lacking("CHUNKING").await;
        let mail = message(FROM, "dots", ".\r\n..\r\n.a\r\n\r\n.\r\n");
        let mut client = rig.secure(&[]).await;
        client.mail_chunked(FROM, &[TO], &mail).await.is("250");
        let received = rig.one();
        assert!(!received.chunked);
        assert_eq!(below_trace(&received.content), mail);
    });
}
