//! What an operator does and sees: reload, stop, memory, connections, metrics, records.

use std::time::Duration;

use crate::harness::plugins::{self, Choice};
use crate::harness::*;

const FROM: &str = "ada@northwind.example";
const TO: &str = "lucia@contoso.example";

#[test]
fn a_reload_holds_for_the_next_transaction_and_leaves_the_open_one_alone() {
    run(async {
        let component = plugins::selector(Choice::Sign);
        let sha256 = signet::plugin::inspect(&component).unwrap().sha256;
        let rig = Setup::new().file("signing.wasm", &component).start().await;
        let mut open = rig.secure(&[]).await;
        open.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
        open.command(&format!("RCPT TO:<{TO}>")).await.is("250");
        let old = signet::plugin::inspect(&plugins::selector(Choice::Skip)).unwrap().sha256;
        rig.rewrite("signet.toml", |text| text.replace(&format!("selector-{TENANT}.wasm"), "signing.wasm").replace(&old, &sha256));
        rig.reload().await.unwrap();
        open.command("DATA").await.is("354");
        open.send(client::dotted(&message(FROM, "open", "hi\r\n"))).await;
        open.reply().await.is("250");
        assert!(rig.event().copies[0].signatures.is_empty(), "the transaction began under the old configuration");
        open.mail(FROM, &[TO], &message(FROM, "next", "hi\r\n")).await.is("250");
        assert_eq!(rig.event().copies[0].signatures, ["full"]);
    });
}

#[test]
fn a_broken_configuration_is_named_with_file_line_and_key_and_the_old_one_stays() {
    run(async {
        let rig = Setup::new().start().await;
        for (from, to, said) in [
            ("version = 1", "version = 1\nwhatever = 2", &["signet.toml:2", "whatever"][..]),
            ("timeout = \"1 s\"", "timeout = 1", &["timeout", "\"3 s\""]),
            ("tls/listener.pem", "tls/nowhere.pem", &["nowhere.pem", "certificate"]),
            ("attempts = 1", "attempts = 2", &["[dns]", "restart"]),
        ] {
            let good = std::fs::read_to_string(rig.configuration()).unwrap();
            rig.rewrite("signet.toml", |text| text.replacen(from, to, 1));
            let error = rig.reload().await.unwrap_err();
            for words in said {
                assert!(error.contains(words), "{words} in {error}");
            }
            std::fs::write(rig.configuration(), good).unwrap();
            rig.send(FROM, &[TO], &message(FROM, "still", "hi\r\n")).await.is("250");
        }
        assert_eq!(rig.arrived().len(), 4);
    });
}

#[test]
fn stopping_lets_the_open_transaction_finish_and_sends_the_idle_away() {
    run(async {
        let rig = Setup::new().start().await;
        let address = rig.address();
        let mut idle = rig.secure(&[]).await;
        let mut open = rig.secure(&[]).await;
        open.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
        open.command(&format!("RCPT TO:<{TO}>")).await.is("250");
        open.command("DATA").await.is("354");
        let Rig { server, sink, dns: _dns, folder: _folder, .. } = rig;
        let stopping = tokio::spawn(server.stop());
        idle.reply().await.is("421 4.3.2");
        assert!(idle.closed().await);
        // The idle peer may hear of it before the listener does.
        let nobody_listens = async {
            while tokio::net::TcpStream::connect(address).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, nobody_listens).await.expect("nobody listens any more");
        open.send(client::dotted(&message(FROM, "last", "hi\r\n"))).await;
        open.reply().await.is("250");
        open.reply().await.is("421 4.3.2");
        assert_eq!(stopping.await.unwrap().cut_off, 0);
        assert_eq!(sink.take().len(), 1);
    });
}

#[test]
fn stopping_does_not_wait_for_ever() {
    run(async {
        let rig = Setup::plain().section("drain", "deadline = \"300 ms\"").start().await;
        let mut open = rig.connect().await;
        open.ehlo().await;
        open.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
        let begun = std::time::Instant::now();
        let Rig { server, .. } = rig;
        assert_eq!(server.stop().await.cut_off, 1);
        assert!(begun.elapsed() < Duration::from_secs(10));
    });
}

#[test]
fn over_the_memory_budget_messages_wait_with_452_and_then_go_through() {
    run(async {
        let rig = Setup::plain().section("limits", "memory_budget = \"1200 KB\"\nmessage_size = \"1 MB\"").start().await;
        let big = message(FROM, "big", &"0123456789abcde\r\n".repeat(50_000));
        let mut first = rig.connect().await;
        first.ehlo().await;
        first.command(&format!("MAIL FROM:<{FROM}> SIZE={}", big.len())).await.is("250");
        first.command(&format!("RCPT TO:<{TO}>")).await.is("250");
        first.command("DATA").await.is("354");
        // What is only announced keeps nobody out; what has arrived does.
        let mut second = rig.connect().await;
        second.ehlo().await;
        second.mail(FROM, &[TO], &message(FROM, "big-0", &"0123456789abcde\r\n".repeat(50_000))).await.is("250");
        first.send(&big[..500_000]).await;
        while rig.server.memory_in_use() < 500_000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Declared: refused before its octets. Not declared: while they come, and the connection lives.
        second.mail(&format!("<{FROM}> SIZE={}", big.len()), &[TO], &big).await.is("452 4.3.1");
        second.mail(FROM, &[TO], &big).await.is("452 4.3.1");
        second.mail_chunked(FROM, &[TO], &big).await.is("452 4.3.1");
        second.mail(FROM, &[TO], &message(FROM, "small", "hi\r\n")).await.is("250");
        first.send(&client::dotted(&big)[500_000..]).await;
        first.reply().await.is("250");
        second.mail(FROM, &[TO], &message(FROM, "big-2", &"0123456789abcde\r\n".repeat(50_000))).await.is("250");
        first.command("NOOP").await.is("250");
        second.command("NOOP").await.is("250");
        assert_eq!(rig.server.memory_in_use(), 0);
        assert_eq!(rig.arrived().len(), 4);
        let (_, metrics) = rig.get("/metrics").await;
        assert!(metrics.contains("signet_refused_total{reason=\"memory\"} 3"), "{metrics}");
    });
}

#[test]
fn one_address_gets_no_more_than_its_share_of_connections() {
    run(async {
        let rig = Setup::plain().section("limits", "connections_per_address = 2").start().await;
        let first = rig.connect().await;
        let _second = rig.connect().await;
        let mut third = Client::raw(rig.address()).await;
        third.reply().await.is("421 4.3.2");
        assert!(third.closed().await);
        drop(first);
        // The place is free as soon as the server has seen the end.
        for _ in 0..100 {
            let mut next = Client::raw(rig.address()).await;
            if next.reply().await.code == 220 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the place was not given back");
    });
}

#[test]
fn metrics_and_health_say_what_happens() {
    run(async {
        let rig = Setup::new().start().await;
        assert_eq!(rig.get("/livez").await, ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
        let (status, body) = rig.get("/readyz").await;
        assert!(status.contains("200") && body.contains("\"ready\":true"), "{status} {body}");
        assert!(rig.get("/nowhere").await.0.contains("404"));
        rig.send(FROM, &[TO], &message(FROM, "metrics", "hi\r\n")).await.is("250");
        rig.send("m@mallory.example", &[TO], &message(FROM, "metrics", "hi\r\n")).await.is("550");
        let (_, metrics) = rig.get("/metrics").await;
        for line in [
            &format!("signet_messages_total{{tenant=\"{TENANT}\",outcome=\"delivered\"}} 1"),
            "signet_refused_total{reason=\"no-tenant\"} 1",
            "signet_connections_total 2",
            "signet_authentication_total{check=\"spf\",result=\"pass\"} 1",
            "signet_config_generation 1",
            "signet_ready 1",
        ] {
            assert!(metrics.contains(line), "{line} in {metrics}");
        }
        assert!(!metrics.contains("contoso"), "no address is a label");
    });
}

#[test]
fn the_record_of_a_message_tells_factors_authentication_copies_and_times_and_no_content() {
    run(async {
        let rig = Setup::new().change(|tenant| tenant.selector = Some(Choice::SignFirst)).start().await;
        let mail = message(FROM, "record", "a very private remark\r\n");
        rig.send(FROM, &[TO, "b@contoso.example"], &mail).await.is("250");
        let record = serde_json::to_value(rig.event()).unwrap();
        assert_eq!(record["tenant"], TENANT);
        assert_eq!(record["factors"][0], serde_json::json!({ "name": "network", "agrees": true, "value": "127.0.0.1" }));
        assert_eq!(record["authentication"], serde_json::json!({ "spf": "pass", "dkim": "none", "dmarc": "pass", "arc": "none" }));
        assert_eq!((record["recipients"].as_u64(), record["copies"].as_array().map(Vec::len)), (Some(2), Some(2)));
        assert_eq!(record["copies"][0]["signatures"], serde_json::json!(["full"]));
        assert_eq!(record["copies"][1]["reason"], "quick");
        assert_eq!(record["outcome"], "delivered");
        assert!(record["reply"].as_str().unwrap().starts_with("250 2.6.0"));
        assert!(record["micros"]["total"].as_u64().unwrap() > 0);
        let text = record.to_string();
        for content in ["private", "undisclosed", TO] {
            assert!(!text.contains(content), "{content} in {text}");
        }
    });
}
