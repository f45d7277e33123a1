//! What a peer meets on the wire: commands, message data, limits and time-outs, TLS, PROXY, AUTH.

use std::time::{Duration, Instant};

use crate::harness::client::dotted;
use crate::harness::setup::PLAIN;
use crate::harness::*;

const FROM: &str = "ada@northwind.example";
const TO: &str = "lucia@contoso.example";

/// A plaintext connection after EHLO.
async fn greeted(rig: &Rig) -> Client {
    let mut client = rig.connect().await;
    client.ehlo().await;
    client
}

/// A transaction up to 354.
async fn writing(client: &mut Client) {
    client.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
    client.command(&format!("RCPT TO:<{TO}>")).await.is("250");
    client.command("DATA").await.is("354");
}

#[test]
fn a_group_of_pipelined_commands_is_answered_in_order() {
    run(async {
        let rig = Setup::plain().start().await;
        let mut client = greeted(&rig).await;
        client.send(format!("MAIL FROM:<{FROM}>\r\nRCPT TO:<{TO}>\r\nRCPT TO:<broken\r\nRCPT TO:<b@contoso.example>\r\nDATA\r\n")).await;
        for code in ["250 2.1.0", "250", "501", "250", "354"] {
            client.reply().await.is(code);
        }
        let mail = message(FROM, "group", "hello\r\n");
        client.send([dotted(&mail), b"NOOP\r\nQUIT\r\n".to_vec()].concat()).await;
        for code in ["250 2.6.0", "250 2.0.0", "221 2.0.0"] {
            client.reply().await.is(code);
        }
        assert!(client.closed().await);
        let received = rig.one();
        assert_eq!(received.recipients, [format!("<{TO}>"), "<b@contoso.example>".to_owned()]);
        assert_eq!(below_trace(&received.content), mail);
    });
}

#[test]
fn data_and_bdat_hand_on_the_same_octets() {
    run(async {
        let rig = Setup::new().start().await;
        let mut client = rig.secure(&[]).await;
        let long = "x".repeat(5000);
        let bodies = [
            "",
            "\r\n",
            ".\r\n",
            "..\r\n.two\r\n...\r\n",
            "8 bit: \u{e4}\u{f6}\r\n",
            "tab\tand trailing \r\n\r\n\r\n",
            &format!("{long}\r\n.{long}\r\n"),
        ];
        for (number, body) in bodies.into_iter().enumerate() {
            let mail = message(FROM, &format!("octets-{number}"), body);
            client.mail(&format!("<{FROM}> BODY=8BITMIME"), &[TO], &mail).await.is("250");
            let by_data = rig.one();
            client.mail_chunked(&format!("<{FROM}> BODY=8BITMIME"), &[TO], &mail).await.is("250");
            let by_bdat = rig.one();
            assert_eq!(below_trace(&by_data.content), mail, "{body:?}");
            assert_eq!(below_trace(&by_bdat.content), mail, "{body:?}");
        }
        // A last line without an end, which only BDAT can carry, gets one: DATA could not carry it on.
        let mail = message(FROM, "octets-unended", "no end of line");
        client.mail_chunked(FROM, &[TO], &mail).await.is("250");
        assert_eq!(below_trace(&rig.one().content), [&mail[..], b"\r\n"].concat());
    });
}

#[test]
fn chunks_are_put_together_wherever_they_are_cut() {
    run(async {
        let rig = Setup::plain().start().await;
        let mut client = greeted(&rig).await;
        let mail = message(FROM, "chunks", "one\r\n.\r\ntwo\r\n");
        client.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
        client.command(&format!("RCPT TO:<{TO}>")).await.is("250");
        for chunk in mail.chunks(7) {
            client.send([format!("BDAT {}\r\n", chunk.len()).into_bytes(), chunk.to_vec()].concat()).await;
            client.reply().await.is("250");
        }
        client.command("BDAT 0 LAST").await.is("250");
        assert_eq!(below_trace(&rig.one().content), mail);
    });
}

#[test]
fn ehlo_offers_starttls_before_tls_and_the_rest_on_both_sides() {
    run(async {
        let rig = Setup::new().start().await;
        let mut client = rig.connect().await;
        let before = client.ehlo().await;
        let mut client = client.start_tls(&client::tls(&[]), SIGNET).await.unwrap();
        let after = client.ehlo().await;
        let common = ["PIPELINING", "SIZE 150000000", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES"];
        assert_eq!(after.lines[1..], common);
        assert_eq!(before.lines[1..8], common);
        assert_eq!(before.lines[8..], ["STARTTLS"]);
        client.command("STARTTLS").await.is("503 5.5.1");
    });
}

#[test]
fn mail_before_starttls_is_refused_and_the_connection_lives() {
    run(async {
        let rig = Setup::new().start().await;
        let mut client = greeted(&rig).await;
        for command in [&format!("MAIL FROM:<{FROM}>"), &format!("RCPT TO:<{TO}>"), "DATA", "RSET", "VRFY ada", "HELO a.example"] {
            client.command(command).await.is("530 5.7.0");
        }
        client.send("BDAT 5\r\nhello").await;
        client.reply().await.is("530 5.7.0");
        client.command("NOOP").await.is("250");
        let mut client = client.start_tls(&client::tls(&[]), SIGNET).await.unwrap();
        client.command(&format!("MAIL FROM:<{FROM}>")).await.is("503");
        client.ehlo().await;
        client.mail(FROM, &[TO], &message(FROM, "late", "hi\r\n")).await.is("250");
        assert_eq!(rig.arrived().len(), 1);
    });
}

#[test]
fn commands_injected_behind_starttls_are_dropped() {
    run(async {
        let rig = Setup::new().start().await;
        let mut client = greeted(&rig).await;
        client.send(format!("STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@{DOMAIN}>\r\n")).await;
        client.reply().await.is("220");
        // The injected octets would be taken for the handshake, or answered inside TLS, if they were kept.
        let mut client = client.handshake(&client::tls(&[]), SIGNET).await.expect("the injected plaintext is no part of the handshake");
        client.command("NOOP").await.is("250 2.0.0");
        client.command(&format!("RCPT TO:<{TO}>")).await.is("503");
    });
}

#[test]
fn who_talks_before_the_greeting_is_refused() {
    run(async {
        let rig = Setup::new().start().await;
        let mut client = Client::raw(rig.address()).await;
        client.send("EHLO early.example\r\n").await;
        client.reply().await.is("554 5.5.1");
        assert!(client.closed().await);
    });
}

#[test]
fn an_over_long_command_line_is_refused_and_an_endless_one_ends_the_connection() {
    run(async {
        let rig = Setup::plain().start().await;
        let mut client = greeted(&rig).await;
        for length in [600, 3_000, 20_000] {
            client.command(&format!("NOOP {}", "x".repeat(length))).await.is("500 5.5.6");
        }
        client.command("NOOP").await.is("250");
        client.send("x".repeat(400_000)).await;
        client.reply().await.is("500 5.5.6");
        assert!(client.closed().await);
    });
}

#[test]
fn an_oversize_message_is_refused_by_its_declaration_and_by_its_octets() {
    run(async {
        let rig = Setup::plain().section("limits", "message_size = \"100 KB\"").start().await;
        let mut client = greeted(&rig).await;
        client.command(&format!("MAIL FROM:<{FROM}> SIZE=100001")).await.is("552 5.3.4");
        let big = message(FROM, "big", &"0123456789abcde\r\n".repeat(7_000));
        client.mail(FROM, &[TO], &big).await.is("552 5.3.4");
        client.mail_chunked(FROM, &[TO], &big).await.is("552 5.3.4");
        let mail = message(FROM, "small", "hi\r\n");
        client.mail(FROM, &[TO], &mail).await.is("250");
        assert_eq!(below_trace(&rig.one().content), mail);
    });
}

#[test]
fn nothing_but_crlf_dot_crlf_ends_a_message_and_bare_line_ends_are_refused() {
    run(async {
        let rig = Setup::plain().start().await;
        let forms: [&[u8]; 14] = [
            b"\n.\n",
            b"\n.\r\n",
            b"\r.\r",
            b"\r.\r\n",
            b"\r\n.\n",
            b"\r\n.\r",
            b"\r\n.\r.\r\n",
            b"\n\r.\r\n",
            b"\r\n\0.\r\n",
            b"\r\n.\0\r\n",
            b"\r\r\n.\r\n\r",
            b"\r",
            b"\n",
            b"\0",
        ];
        for form in forms {
            let mut client = greeted(&rig).await;
            writing(&mut client).await;
            let head = message(FROM, "smuggled", "hello");
            let second = format!("MAIL FROM:<admin@{DOMAIN}>\r\nRCPT TO:<{TO}>\r\nDATA\r\nSubject: smuggled\r\n\r\nhi");
            // A form that truly ends the message in the strict sense has its violation before that end.
            let strict_end = find(form, b"\r\n.\r\n").is_some();
            let rest = if strict_end { String::new() } else { format!("{second}\r\n.\r\n") };
            client.send([&head, form, rest.as_bytes()].concat()).await;
            client.reply().await.is("550 5.6.0");
            if !strict_end {
                client.command("NOOP").await.is("250");
            }
            // BDAT has no end of data; the same octets are refused all the same.
            let mut client = greeted(&rig).await;
            client.mail_chunked(FROM, &[TO], &[&head, form, b"rest\r\n"].concat()).await.is("550 5.6.0");
            client.command("NOOP").await.is("250");
        }
        assert_eq!(rig.arrived().len(), 0, "nothing of it may reach the next hop");
    });
}

fn find(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    octets.windows(wanted.len()).position(|window| window == wanted)
}

#[test]
fn commands_out_of_sequence_and_malformed_ones_get_their_codes() {
    run(async {
        let rig = Setup::plain().section("limits", "unrecognised = 50\nerrors = 100").start().await;
        let mut client = rig.connect().await;
        for (command, code) in [
            ("MAIL FROM:<ada@northwind.example>", "503"),
            ("EHLO", "501"),
            ("EHLO mail.northwind.example", "250"),
            ("RCPT TO:<a@contoso.example>", "503"),
            ("DATA", "503"),
            ("MAIL FROM:ada@northwind.example", "501"),
            ("MAIL FROM:<ada@northwind.example", "501"),
            ("MAIL FROM:<a@b@c>", "553 5.1.7"),
            ("MAIL FROM:<ada@northwind.example> FOO=1", "555 5.5.4"),
            ("MAIL FROM:<ada@northwind.example> SIZE=x", "501 5.5.4"),
            ("MAIL FROM:<ada@northwind.example> BODY=9BIT", "501 5.5.4"),
            ("MAIL FROM:<ada@northwind.example> SIZE=1 SIZE=1", "501 5.5.4"),
            ("MAIL FROM:<\u{e4}da@northwind.example>", "553 5.6.7"),
            ("MAIL FROM:<ada@northwind.example>", "250 2.1.0"),
            ("MAIL FROM:<ada@northwind.example>", "503"),
            ("DATA", "503"),
            ("RCPT TO:<>", "553 5.1.3"),
            ("RCPT TO:<nobody>", "553 5.1.3"),
            ("RCPT TO:<a@contoso.example> NOTIFY=SOMETIMES", "501 5.5.4"),
            ("RCPT TO:<a@contoso.example>", "250"),
            ("DATA now", "501"),
            ("FOO", "500 5.5.2"),
            ("EXPN list", "502 5.5.1"),
            ("TURN", "50"),
            ("VRFY ada", "252"),
            ("HELP", "214"),
            ("NOOP", "250"),
            ("RSET", "250"),
            ("DATA", "503"),
            ("STARTTLS", "502 5.5.1"),
            ("AUTH PLAIN", "502 5.5.1"),
        ] {
            let reply = client.command(command).await;
            assert!(reply.text().starts_with(code), "{command}: expected {code}, got {reply:?}");
        }
        client.mail(FROM, &[TO], &message(FROM, "after-all", "hi\r\n")).await.is("250");
        assert_eq!(rig.arrived().len(), 1);
    });
}

#[test]
fn a_bdat_out_of_sequence_is_read_to_its_end_before_it_is_refused() {
    run(async {
        let rig = Setup::plain().start().await;
        let mut client = greeted(&rig).await;
        client.send("BDAT 12\r\nRSET\r\nQUIT\r\nNOOP\r\n").await;
        client.reply().await.is("503");
        client.reply().await.is("250");
        client.command("BDAT x").await.is("501");
        assert!(client.closed().await, "the octets behind a broken BDAT cannot be told from commands");
    });
}

#[test]
fn errors_commands_and_unknown_commands_are_limited() {
    run(async {
        let rig = Setup::plain().section("limits", "errors = 3\ncommands = 100\nunrecognised = 2").start().await;
        let mut client = greeted(&rig).await;
        for _ in 0..3 {
            client.command("DATA").await.is("503");
        }
        client.command("DATA").await.is("421 4.7.0");
        assert!(client.closed().await);
        let mut client = greeted(&rig).await;
        for _ in 0..2 {
            client.command("FOO").await.is("500");
        }
        client.command("FOO").await.is("421 4.7.0");
        assert!(client.closed().await);
        let mut client = greeted(&rig).await;
        for _ in 0..99 {
            client.command("NOOP").await.is("250");
        }
        client.command("NOOP").await.is("421 4.7.0");
        assert!(client.closed().await);
    });
}

#[test]
fn http_on_the_port_is_cut_off_at_once() {
    run(async {
        let rig = Setup::plain().start().await;
        let mut client = rig.connect().await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\n\r\nMAIL FROM:<ada@northwind.example>\r\n").await;
        let reply = client.reply().await;
        assert!(!reply.positive());
        assert!(client.closed().await);
    });
}

#[test]
fn a_recipient_too_many_gets_452_and_the_others_get_the_message() {
    run(async {
        let rig = Setup::plain().section("limits", "recipients = 100").start().await;
        let mut client = greeted(&rig).await;
        client.command(&format!("MAIL FROM:<{FROM}>")).await.is("250");
        let group: String = (0..101).map(|number| format!("RCPT TO:<r{number}@contoso.example>\r\n")).collect();
        client.send(group).await;
        for _ in 0..100 {
            client.reply().await.is("250");
        }
        client.reply().await.is("452 4.5.3");
        client.command("DATA").await.is("354");
        client.send(dotted(&message(FROM, "many", "hi\r\n"))).await;
        client.reply().await.is("250");
        assert_eq!(rig.one().recipients.len(), 100);
    });
}

#[test]
fn transactions_on_one_connection_are_limited() {
    run(async {
        let rig = Setup::plain().section("limits", "transactions_per_connection = 2").start().await;
        let mut client = greeted(&rig).await;
        for number in 0..2 {
            client.mail(FROM, &[TO], &message(FROM, &format!("t{number}"), "hi\r\n")).await.is("250");
        }
        client.command(&format!("MAIL FROM:<{FROM}>")).await.is("421");
        assert!(client.closed().await);
        assert_eq!(rig.arrived().len(), 2);
    });
}

#[test]
fn a_silent_peer_gets_421_between_commands_and_inside_a_message() {
    run(async {
        let rig = Setup::plain().section("timeouts", "server = \"300 ms\"\ndata_block = \"600 ms\"\nmessage = \"1500 ms\"").start().await;
        let mut client = greeted(&rig).await;
        client.reply().await.is("421 4.4.2");
        assert!(client.closed().await);
        let mut client = greeted(&rig).await;
        writing(&mut client).await;
        client.send("Subject: silence\r\n").await;
        client.reply().await.is("421 4.4.2");
        assert!(client.closed().await);
        // One that drips is not silent, but a message has a limit as a whole.
        let mut client = greeted(&rig).await;
        writing(&mut client).await;
        let begun = Instant::now();
        let drip = async {
            for _ in 0..18 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                client.send("x").await;
            }
        };
        drip.await;
        client.reply().await.is("421 4.4.2");
        assert!(begun.elapsed() >= Duration::from_millis(1500));
        assert_eq!(rig.arrived().len(), 0);
    });
}

#[test]
fn a_proxied_peer_is_who_the_proxy_says_and_garbage_is_cut_off() {
    run(async {
        let rig = Setup::plain()
            .listener(&format!("{PLAIN}\nproxy_networks = [\"127.0.0.0/8\"]"))
            .change(|tenant| tenant.proof = "networks = [\"192.0.2.7/32\"]".to_owned())
            .zone(|zone| zone.txt("proxied.example", "v=spf1 ip4:192.0.2.7 -all"))
            .start()
            .await;
        let header = |address: [u8; 4]| {
            let mut octets = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
            octets.extend(address);
            octets.extend([192, 0, 2, 1, 0x30, 0x39, 0, 25]);
            octets
        };
        let mut client = Client::raw(rig.address()).await;
        client.send(header([192, 0, 2, 7])).await;
        client.reply().await.is("220");
        client.ehlo().await;
        client.mail(FROM, &[TO], &message(FROM, "proxied", "hi\r\n")).await.is("250");
        assert_eq!(rig.event().peer, "192.0.2.7:12345");
        assert_eq!(rig.arrived().len(), 1);

        let mut client = Client::raw(rig.address()).await;
        client.send(header([192, 0, 2, 8])).await;
        client.reply().await.is("220");
        client.ehlo().await;
        client.command(&format!("MAIL FROM:<{FROM}>")).await.is("550 5.7.1");

        for garbage in [&b"EHLO a.example\r\nMAIL FROM:<>\r\n"[..], b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n", &[0; 64]] {
            let mut client = Client::raw(rig.address()).await;
            client.send(garbage).await;
            assert!(client.closed().await, "no greeting for {garbage:?}");
        }
    });
}

#[test]
fn a_proxy_header_from_elsewhere_is_an_early_talker() {
    run(async {
        let rig = Setup::plain().listener(&format!("{PLAIN}\nproxy_networks = [\"192.0.2.0/24\"]")).start().await;
        let mut client = Client::raw(rig.address()).await;
        client.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x30\x39\0\x19").await;
        client.reply().await.is("554 5.5.1");
        assert!(client.closed().await);
    });
}
