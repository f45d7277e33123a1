use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::address::Domain;
use crate::message::Peer;
use crate::smtp::auth::{Logins, StoredKeys};
use crate::tenant::{Permit, Proof, Registry, Tenant, TenantId};

/// A driver without sockets: accepts everything but what the tests tell it to refuse, and notes what happens.
struct Driver {
    session: Session,
    input: BytesMut,
    wire: Vec<u8>,
    messages: Vec<Message>,
    events: Vec<String>,
    refuse_content: Option<Reply>,
}

fn settings() -> Settings {
    Settings {
        hostname: "mx.signet.example".to_owned(),
        maximum_size: 1000,
        maximum_line: 200,
        starttls: true,
        tls_required: false,
        authentication: true,
        limits: Limits { recipients: 3, ..Limits::default() },
    }
}

fn permit() -> Permit {
    let proof = Proof { networks: vec!["127.0.0.0/8".parse().unwrap()], reverse_path: true, ..Proof::default() };
    let domains = vec![Domain::parse("b.example").unwrap()];
    let tenant = Tenant { id: TenantId::new("b"), name: "B".to_owned(), domains, partners: Vec::new(), proof };
    let registry = Registry::new(vec![Arc::new(tenant)], []).unwrap();
    let (address, local) = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:25".parse().unwrap());
    registry.permit(&Peer { address, local, helo: "client.example".to_owned(), extended: true, tls: None, login: None }).unwrap()
}

fn logins() -> Arc<Logins> {
    let keys = StoredKeys::derive("secret", b"0123456789abcdef", 4096).unwrap();
    Arc::new(Logins::new([("joe".to_owned(), keys)], &[1; 32]).unwrap())
}

impl Driver {
    fn new(settings: Settings, tls: bool) -> Self {
        let session = Session::new(Arc::new(settings), tls);
        Self { session, input: BytesMut::new(), wire: Vec::new(), messages: Vec::new(), events: Vec::new(), refuse_content: None }
    }

    fn plain() -> Self {
        Self::new(settings(), false)
    }

    fn encrypted() -> Self {
        Self::new(settings(), true)
    }

    /// Hands in octets, runs all steps, answers the replies' octets.
    fn send(&mut self, octets: impl AsRef<[u8]>) -> String {
        self.input.extend_from_slice(octets.as_ref());
        while let Some(step) = self.session.next(&mut self.input) {
            self.step(step);
        }
        String::from_utf8(std::mem::take(&mut self.wire)).unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Reply(reply) => reply.render(&mut self.wire),
            Step::Abort(reply) => {
                self.events.push("abort".to_owned());
                reply.render(&mut self.wire);
            }
            Step::Close(reply) => {
                self.events.push("close".to_owned());
                reply.render(&mut self.wire);
            }
            Step::StartTls { reply, dropped } => {
                self.events.push(format!("tls {dropped}"));
                reply.render(&mut self.wire);
                self.session.tls_established();
            }
            Step::Authenticate(attempt) => {
                let outcome = attempt.run(&logins());
                self.session.answer_authentication(outcome);
            }
            Step::Mail(request) => {
                let stranger = request.reverse_path().to_string().starts_with("stranger");
                self.session.answer_mail(request, if stranger { Err(Reply::not_permitted()) } else { Ok(permit()) });
            }
            Step::Recipient(request) => {
                let name = request.recipient().path.to_string();
                let reply = match name.split('@').next() {
                    Some("unknown") => Reply::new(550, (5, 1, 1), "no such user"),
                    Some("down") => Reply::new(421, (4, 4, 1), "next hop down"),
                    _ => Reply::new(250, (2, 1, 5), "recipient ok"),
                };
                self.session.answer_recipient(request, reply);
            }
            Step::Content(request) => {
                let answer = self.refuse_content.take().map_or(Ok(()), Err);
                self.session.answer_content(request, answer);
            }
            Step::Message(message) => {
                self.messages.push(message);
                self.session.answer_message(Reply::new(250, (2, 0, 0), "delivered"));
            }
        }
    }

    /// The codes of the replies to `octets`, for example `250 2.1.0, 354`.
    fn codes(&mut self, octets: impl AsRef<[u8]>) -> String {
        let mut codes = Vec::new();
        for line in self.send(octets).lines().filter(|line| line.as_bytes().get(3) == Some(&b' ')) {
            let enhanced = line.split(' ').nth(1).filter(|word| word.split('.').count() == 3 && word.starts_with(['2', '4', '5']));
            codes.push(enhanced.map_or(line[..3].to_owned(), |enhanced| format!("{} {enhanced}", &line[..3])));
        }
        codes.join(", ")
    }

    fn closed(&self) -> bool {
        self.events.last().is_some_and(|event| event == "close")
    }
}

const EHLO: &str = "EHLO client.example\r\n";
const OPEN: &str = "EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

#[test]
fn a_group_of_commands_with_message_works_in_one_piece() {
    let mut driver = Driver::plain();
    let codes = driver
        .codes(format!("{OPEN}RCPT TO:<unknown@d.example>\r\nDATA\r\nSubject: x\r\n\r\n..a\r\n.\r\nMAIL FROM:<>\r\nRSET\r\nQUIT\r\n"));
    assert_eq!(codes, "250, 250 2.1.0, 250 2.1.5, 550 5.1.1, 354, 250 2.0.0, 250 2.1.0, 250 2.0.0, 221 2.0.0");
    let message = &driver.messages[0];
    assert_eq!(message.content, Bytes::from_static(b"Subject: x\r\n\r\n.a\r\n"));
    assert_eq!(message.envelope.reverse_path().to_string(), "a@b.example");
    assert_eq!(message.envelope.recipients().len(), 1);
    assert_eq!(driver.events, ["abort", "close"]);
}

#[test]
fn the_greeting_names_us_and_refuses_early_talkers() {
    let mut session = Session::new(Arc::new(settings()), false);
    assert!(matches!(session.greeting(false), Step::Reply(reply) if reply.to_wire() == b"220 mx.signet.example ESMTP Signet\r\n"));
    let mut session = Session::new(Arc::new(settings()), false);
    assert!(matches!(session.greeting(true), Step::Close(reply) if (reply.code, reply.enhanced) == (554, Some((5, 5, 1)))));
    assert!(session.next(&mut BytesMut::from(EHLO)).is_none());
}

#[test]
fn ehlo_offers_what_the_connection_allows() {
    let common = "250-mx.signet.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n";
    assert_eq!(Driver::plain().send(EHLO), format!("{common}250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n"));
    assert_eq!(Driver::encrypted().send(EHLO), format!("{common}250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n"));
    let bare = Settings { starttls: false, authentication: false, ..settings() };
    assert_eq!(Driver::new(bare, false).send(EHLO), format!("{common}250 ENHANCEDSTATUSCODES\r\n"));
    let mut driver = Driver::plain();
    assert_eq!(driver.send("HELO client.example\r\n"), "250 mx.signet.example\r\n");
    assert!(!driver.session.extended());
    assert_eq!(driver.session.helo(), Some("client.example"));
}

#[test]
fn commands_out_of_sequence_get_503_or_554() {
    for (before, command, codes) in [
        ("", "MAIL FROM:<a@b.example>", "503 5.5.1"),
        (EHLO, "RCPT TO:<c@d.example>", "503 5.5.1"),
        (EHLO, "DATA", "503 5.5.1"),
        ("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n", "DATA", "503 5.5.1"),
        ("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<unknown@d.example>\r\n", "DATA", "554 5.5.1"),
        (OPEN, "MAIL FROM:<a@b.example>", "503 5.5.1"),
        (OPEN, "STARTTLS", "503 5.5.1"),
        ("", "STARTTLS", "503 5.5.1"),
        ("HELO client.example\r\n", "MAIL FROM:<a@b.example> SIZE=1", "555 5.5.4"),
        ("HELO client.example\r\nMAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example> NOTIFY=NEVER", "555 5.5.4"),
        (EHLO, "MAIL FROM:<a@b.example> SIZE=1001", "552 5.3.4"),
        (EHLO, "MAIL FROM:<stranger@b.example>", "550 5.7.1"),
        ("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n", "RCPT TO:<ä@d.example>", "553 5.6.7"),
        ("EHLO client.example\r\nMAIL FROM:<a@b.example> SMTPUTF8\r\n", "RCPT TO:<ä@d.example>", "250 2.1.5"),
        (OPEN, "VRFY joe", "252 2.5.0"),
        (OPEN, "EXPN list", "502 5.5.1"),
        (OPEN, "HELP", "214 2.0.0"),
        (OPEN, "NOOP", "250 2.0.0"),
        (OPEN, "FOO", "500 5.5.2"),
        (OPEN, "AUTH PLAIN", "538 5.7.11"),
    ] {
        let mut driver = Driver::plain();
        driver.send(before);
        assert_eq!(driver.codes(format!("{command}\r\n")), codes, "{before:?} {command}");
        assert!(!driver.closed(), "{command}");
        assert_eq!(driver.codes("NOOP\r\n"), "250 2.0.0");
    }
}

#[test]
fn an_error_leaves_the_transaction_open() {
    let mut driver = Driver::plain();
    driver.send(OPEN);
    assert_eq!(
        driver.codes("FOO\r\nRCPT TO:<bad\r\nMAIL FROM:<x@y.example>\r\nRCPT TO:<e@f.example>\r\nDATA\r\n.\r\n"),
        "500 5.5.2, 501 5.5.4, 503 5.5.1, 250 2.1.5, 354, 250 2.0.0"
    );
    assert_eq!(driver.messages[0].envelope.recipients().len(), 2);
    assert!(driver.messages[0].content.is_empty());
}

#[test]
fn ehlo_and_rset_end_the_transaction_and_say_so() {
    for command in ["RSET\r\n", EHLO, "HELO x\r\n"] {
        let mut driver = Driver::plain();
        driver.send(OPEN);
        assert!(driver.session.in_transaction());
        driver.send(command);
        assert_eq!(driver.events, ["abort"], "{command}");
        assert!(!driver.session.in_transaction());
        assert_eq!(driver.codes("DATA\r\n"), "503 5.5.1");
    }
    let mut driver = Driver::plain();
    driver.send(format!("{EHLO}RSET\r\n"));
    assert!(driver.events.is_empty());
}

#[test]
fn a_next_hop_that_closes_closes_the_connection() {
    let mut driver = Driver::plain();
    assert_eq!(driver.codes(format!("{OPEN}RCPT TO:<down@d.example>\r\nDATA\r\n")), "250, 250 2.1.0, 250 2.1.5, 421 4.4.1");
    assert!(driver.closed());
}

#[test]
fn limits_end_in_421_and_a_closed_connection() {
    let limited = |limits: Limits| Driver::new(Settings { limits, ..settings() }, false);
    let mut driver = limited(Limits { commands: 3, ..Limits::default() });
    assert_eq!(driver.codes("NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n"), "250 2.0.0, 250 2.0.0, 250 2.0.0, 421 4.7.0");
    assert!(driver.closed());
    let mut driver = limited(Limits { errors: 1, ..Limits::default() });
    assert_eq!(driver.codes("DATA x\r\nRSET x\r\nNOOP\r\n"), "501 5.5.4, 421 4.7.0");
    assert!(driver.closed());
    let mut driver = limited(Limits { unrecognised: 2, ..Limits::default() });
    assert_eq!(driver.codes("FOO\r\nBAR\r\nBAZ\r\nNOOP\r\n"), "500 5.5.2, 500 5.5.2, 421 4.7.0");
    assert!(driver.closed());
    let mut driver = limited(Limits { transactions: 1, ..Limits::default() });
    assert_eq!(driver.codes(format!("{OPEN}DATA\r\n.\r\nMAIL FROM:<>\r\n")), "250, 250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 421 4.7.0");
    assert!(driver.closed());
}

#[test]
fn too_many_recipients_are_put_off() {
    let mut driver = Driver::plain();
    driver.send(OPEN);
    assert_eq!(
        driver.codes("RCPT TO:<2@d.example>\r\nRCPT TO:<3@d.example>\r\nRCPT TO:<4@d.example>\r\nDATA\r\n.\r\n"),
        "250 2.1.5, 250 2.1.5, 452 4.5.3, 354, 250 2.0.0"
    );
    assert_eq!(driver.messages[0].envelope.recipients().len(), 3);
}

#[test]
fn over_long_lines_are_refused_and_the_connection_goes_on() {
    for octets in [600, 12_286, 12_287, 50_000] {
        let mut driver = Driver::plain();
        let line = format!("NOOP {}\r\n", "a".repeat(octets - 5));
        let mut replies = String::new();
        for part in line.as_bytes().chunks(1000) {
            replies += &driver.codes(part);
        }
        assert_eq!(replies, "500 5.5.6", "{octets}");
        assert_eq!(driver.codes("NOOP\r\n"), "250 2.0.0");
    }
    let mut driver = Driver::plain();
    assert_eq!(driver.codes("a".repeat(MAX_SKIPPED + MAX_AUTH_LINE)), "500 5.5.6");
    assert!(driver.closed());
}

#[test]
fn a_command_that_ends_in_a_bare_line_feed_closes() {
    let mut driver = Driver::plain();
    assert_eq!(driver.codes("NOOP\nMAIL FROM:<a@b.example>\r\n"), "500 5.5.2");
    assert!(driver.closed());
}

#[test]
fn a_browser_is_turned_away() {
    let mut driver = Driver::plain();
    assert_eq!(driver.codes("POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b.example>\r\n"), "421 4.7.0");
    assert!(driver.closed());
}

#[test]
fn every_smuggling_sequence_is_refused_and_swallowed() {
    for sequence in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r\n.\rX", "\r.\r", "\r.\r\n", "\r\n\0.\r\n", "\r\n.\0\r\n", "\r\n.\r\r\n"] {
        let mut driver = Driver::plain();
        driver.send(OPEN);
        let codes = driver
            .codes(format!("DATA\r\na{sequence}MAIL FROM:<evil@b.example>\r\nRCPT TO:<victim@d.example>\r\nDATA\r\nb\r\n.\r\nNOOP\r\n"));
        assert_eq!(codes, "354, 550 5.6.0, 250 2.0.0", "{sequence:?}");
        assert!(driver.messages.is_empty());
        assert_eq!(driver.events, ["abort"]);
    }
}

#[test]
fn an_oversize_message_is_read_to_its_end() {
    let mut driver = Driver::plain();
    driver.send(OPEN);
    let lines = "0123456789\r\n".repeat(100);
    assert_eq!(driver.codes(format!("DATA\r\n{lines}.\r\nNOOP\r\n")), "354, 552 5.3.4, 250 2.0.0");
    assert!(driver.messages.is_empty());
    let mut driver = Driver::plain();
    driver.send(OPEN);
    assert_eq!(driver.codes(format!("DATA\r\n{}", lines.repeat(1000))), "354, 552 5.3.4");
    assert!(driver.closed());
}

#[test]
fn the_driver_can_refuse_before_and_during_the_message() {
    let mut driver = Driver::plain();
    driver.send(OPEN);
    driver.refuse_content = Some(Reply::out_of_room());
    assert_eq!(driver.codes("DATA\r\n"), "452 4.3.1");
    assert_eq!(driver.events, ["abort"]);
    driver.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nabc\r\n");
    assert_eq!(driver.session.held(), 5);
    assert!(driver.session.receives_content());
    driver.session.refuse_content(Reply::out_of_room());
    assert_eq!(driver.session.held(), 0);
    assert_eq!(driver.codes("NOOP\r\n.\r\nNOOP\r\n"), "452 4.3.1, 250 2.0.0");
    assert!(driver.messages.is_empty());
}

/// A client that does not wait for 354 would have its message read as commands when DATA is refused.
#[test]
fn content_behind_a_refused_data_is_never_read_as_commands() {
    let mut driver = Driver::plain();
    assert_eq!(
        driver
            .codes(format!("{EHLO}MAIL FROM:<a@b.example>\r\nRCPT TO:<unknown@d.example>\r\nDATA\r\nMAIL FROM:<evil@b.example>\r\n.\r\n")),
        "250, 250 2.1.0, 550 5.1.1, 554 5.5.1"
    );
    assert!(driver.closed());
    let mut driver = Driver::plain();
    driver.refuse_content = Some(Reply::out_of_room());
    assert_eq!(driver.codes(format!("{OPEN}DATA\r\nNOOP\r\n.\r\n")), "250, 250 2.1.0, 250 2.1.5, 452 4.3.1");
    assert!(driver.closed());
}

#[test]
fn chunks_make_a_message() {
    let mut driver = Driver::plain();
    driver.send(OPEN);
    assert_eq!(driver.codes("BDAT 4\r\na\r\n.BDAT 0\r\nBDAT 3 LAST\r\n\r\nxNOOP\r\n"), "250 2.0.0, 250 2.0.0, 250 2.0.0, 250 2.0.0");
    assert_eq!(driver.messages[0].content, Bytes::from_static(b"a\r\n.\r\nx\r\n"));
}

#[test]
fn an_empty_last_chunk_ends_the_message() {
    let mut driver = Driver::plain();
    driver.send(OPEN);
    assert_eq!(driver.codes("BDAT 3\r\na\r\nBDAT 0 LAST\r\nNOOP\r\n"), "250 2.0.0, 250 2.0.0, 250 2.0.0");
    assert_eq!(driver.messages[0].content, Bytes::from_static(b"a\r\n"));
    let mut driver = Driver::plain();
    driver.send(OPEN);
    assert_eq!(driver.codes("BDAT 0 LAST\r\n"), "250 2.0.0");
    assert!(driver.messages[0].content.is_empty());
}

#[test]
fn refused_chunks_are_drained() {
    for (before, chunk, codes) in [
        // No transaction.
        ("EHLO client.example\r\n", "BDAT 6 LAST\r\nRSET\r\nNOOP\r\n", "503 5.5.1, 250 2.0.0"),
        // No recipient.
        (
            "EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<unknown@d.example>\r\n",
            "BDAT 6 LAST\r\nRSET\r\nNOOP\r\n",
            "554 5.5.1, 250 2.0.0",
        ),
        // A violation, then pipelined chunks of the same message.
        (OPEN, "BDAT 3\r\na\nbBDAT 6\r\nRSET\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "550 5.6.0, 503 5.5.1, 503 5.5.1, 250 2.0.0"),
        // A violation over the boundary.
        (OPEN, "BDAT 2\r\na\rBDAT 2 LAST\r\nb\nNOOP\r\n", "250 2.0.0, 550 5.6.0, 250 2.0.0"),
        // A carriage return at the very end.
        (OPEN, "BDAT 2 LAST\r\na\rNOOP\r\n", "550 5.6.0, 250 2.0.0"),
        // After the last chunk.
        (OPEN, "BDAT 3 LAST\r\na\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "250 2.0.0, 503 5.5.1, 250 2.0.0"),
        // Other commands between chunks.
        (OPEN, "BDAT 3\r\na\r\nDATA\r\n", "250 2.0.0, 503 5.5.1"),
        (
            OPEN,
            "BDAT 3\r\na\r\nRCPT TO:<e@f.example>\r\nMAIL FROM:<>\r\nRSET\r\nNOOP\r\n",
            "250 2.0.0, 503 5.5.1, 503 5.5.1, 250 2.0.0, 250 2.0.0",
        ),
    ] {
        let mut driver = Driver::plain();
        driver.send(before);
        assert_eq!(driver.codes(chunk), codes, "{chunk:?}");
        assert!(!driver.closed());
    }
}

#[test]
fn the_size_limit_holds_across_chunks() {
    let mut driver = Driver::plain();
    driver.send(OPEN);
    let chunk = format!("BDAT 600\r\n{}", "0123456789\r\n".repeat(50));
    assert_eq!(driver.codes(format!("{chunk}{chunk}NOOP\r\n")), "250 2.0.0, 552 5.3.4, 250 2.0.0");
    assert_eq!(driver.events, ["abort"]);
    let mut driver = Driver::plain();
    driver.send(OPEN);
    assert_eq!(driver.codes(format!("BDAT 1200 LAST\r\n{}NOOP\r\n", "0123456789\r\n".repeat(100))), "552 5.3.4, 250 2.0.0");
    let mut driver = Driver::plain();
    driver.send(OPEN);
    assert_eq!(driver.codes("BDAT 18446744073709551615 LAST\r\n"), "552 5.3.4");
    assert!(driver.closed());
}

#[test]
fn a_chunk_of_unknown_size_closes() {
    for command in ["BDAT", "BDAT x", "BDAT 5 FIRST"] {
        let mut driver = Driver::plain();
        driver.send(OPEN);
        assert_eq!(driver.codes(format!("{command}\r\nRSET\r\n")), "501 5.5.4", "{command}");
        assert!(driver.closed());
    }
}

#[test]
fn the_driver_can_refuse_a_chunk() {
    let mut driver = Driver::plain();
    driver.send(OPEN);
    driver.refuse_content = Some(Reply::out_of_room());
    assert_eq!(driver.codes("BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), "452 4.3.1, 503 5.5.1, 250 2.0.0");
    driver.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 3\r\na\r\n");
    driver.session.refuse_content(Reply::out_of_room());
    assert_eq!(driver.codes("BDAT 3 LAST\r\nb\r\nNOOP\r\n"), "452 4.3.1, 250 2.0.0");
    assert!(driver.messages.is_empty());
}

fn strict() -> Driver {
    Driver::new(Settings { tls_required: true, ..settings() }, false)
}

#[test]
fn tls_is_demanded_before_mail() {
    for command in ["MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA", "HELO x", "RSET", "VRFY x", "HELP"] {
        let mut driver = strict();
        driver.send(EHLO);
        assert_eq!(driver.codes(format!("{command}\r\nNOOP\r\n")), "530 5.7.0, 250 2.0.0", "{command}");
    }
    let mut driver = strict();
    assert_eq!(
        driver.codes(format!("{EHLO}BDAT 6\r\nRSET\r\nNOOP\r\nAUTH PLAIN\r\nQUIT\r\n")),
        "250, 530 5.7.0, 250 2.0.0, 538 5.7.11, 221 2.0.0"
    );
}

/// CVE-2011-0411 and its class: commands behind STARTTLS in the clear must not survive the handshake.
#[test]
fn starttls_drops_injected_commands_and_forgets_everything() {
    let mut driver = strict();
    assert_eq!(driver.codes(format!("{EHLO}STARTTLS\r\n{OPEN}")), "250, 220 2.0.0");
    assert_eq!(driver.events, [format!("tls {}", OPEN.len())]);
    assert!(driver.session.tls());
    assert_eq!(driver.session.helo(), None);
    assert_eq!(driver.codes("MAIL FROM:<a@b.example>\r\n"), "503 5.5.1");
    assert!(driver.send(EHLO).contains("AUTH PLAIN"));
    assert_eq!(driver.codes("STARTTLS\r\nMAIL FROM:<a@b.example>\r\n"), "503 5.5.1, 250 2.1.0");
}

#[test]
fn starttls_that_is_not_offered_is_not_implemented() {
    let mut driver = Driver::new(Settings { starttls: false, ..settings() }, false);
    assert_eq!(driver.codes(format!("{EHLO}STARTTLS\r\n")), "250, 502 5.5.1");
    let mut session = Session::new(Arc::new(settings()), false);
    session.tls_established();
    assert!(!session.tls(), "no handshake was asked for");
}

#[test]
fn logins_work_over_tls() {
    let mut driver = Driver::encrypted();
    // "\0joe\0secret"
    assert_eq!(driver.codes(format!("{EHLO}AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n")), "250, 235 2.7.0");
    assert_eq!(driver.session.login().map(|login| &login[..]), Some("joe"));
    assert_eq!(driver.codes("AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"), "503 5.5.1");
    let mut driver = Driver::encrypted();
    driver.send(EHLO);
    assert_eq!(driver.send("AUTH PLAIN\r\n"), "334 \r\n");
    assert_eq!(driver.codes("AGpvZQBzZWNyZXQ=\r\nMAIL FROM:<a@b.example>\r\n"), "235 2.7.0, 250 2.1.0");
    let mut driver = Driver::encrypted();
    driver.send(EHLO);
    // "n,,n=joe,r=abc"
    assert!(driver.send("AUTH SCRAM-SHA-256 biwsbj1qb2Uscj1hYmM=\r\n").starts_with("334 cj1hYm"));
}

#[test]
fn failed_logins_get_the_codes_of_rfc_4954() {
    for (lines, codes) in [
        ("AUTH PLAIN AGpvZQB3cm9uZw==\r\n", "535 5.7.8"),
        ("AUTH PLAIN =\r\n", "535 5.7.8"),
        ("AUTH PLAIN !\r\n", "501 5.5.2"),
        ("AUTH PLAIN\r\n*\r\n", "334, 501 5.7.0"),
        ("AUTH PLAIN\r\nNOOP!\r\n", "334, 501 5.5.2"),
        ("AUTH LOGIN\r\n", "504 5.5.4"),
        ("AUTH CRAM-MD5\r\n", "504 5.5.4"),
        ("MAIL FROM:<a@b.example>\r\nAUTH PLAIN\r\n", "250 2.1.0, 503 5.5.1"),
    ] {
        let mut driver = Driver::encrypted();
        driver.send(EHLO);
        assert_eq!(driver.codes(lines), codes, "{lines:?}");
        assert_eq!(driver.codes("NOOP\r\n"), "250 2.0.0");
        assert!(driver.session.login().is_none());
    }
    let mut driver = Driver::encrypted();
    assert_eq!(driver.codes("AUTH PLAIN\r\n"), "503 5.5.1");
    let mut driver = Driver::new(Settings { authentication: false, ..settings() }, true);
    assert_eq!(driver.codes(format!("{EHLO}AUTH PLAIN\r\n")), "250, 502 5.5.1");
    let mut driver = Driver::encrypted();
    driver.send(format!("{EHLO}AUTH PLAIN\r\n"));
    assert_eq!(driver.codes(format!("{}\r\nNOOP\r\n", "A".repeat(MAX_AUTH_LINE))), "500 5.5.6, 250 2.0.0");
}

#[test]
fn the_third_failed_login_closes() {
    let mut driver = Driver::encrypted();
    driver.send(EHLO);
    let line = "AUTH PLAIN AGpvZQB3cm9uZw==\r\n";
    assert_eq!(driver.codes(line.repeat(4)), "535 5.7.8, 535 5.7.8, 421 4.7.0");
    assert!(driver.closed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_conversation_makes_the_session_panic_or_depend_on_the_division(
        parts in prop::collection::vec("EHLO a\r\n|MAIL FROM:<a@b>\r\n|RCPT TO:<c@d>\r\n|RCPT TO:<unknown@d>\r\n|DATA\r\n|BDAT 3\r\n|BDAT 4 LAST\r\n|RSET\r\n|AUTH PLAIN\r\n|\\*\r\n|a\r\n|\\.\r\n|\r|\0|x{1,4}", 0..25),
        cut in 1usize..9,
    ) {
        // DATA is the last of its group, as RFC 2920 demands; what a hasty client gets depends on what has arrived.
        let groups: Vec<String> = parts.concat().split_inclusive("DATA\r\n").map(str::to_owned).collect();
        let (mut whole, mut divided) = (Driver::encrypted(), Driver::encrypted());
        for group in groups {
            let expected = whole.send(&group);
            let replies: String = group.as_bytes().chunks(cut).map(|part| divided.send(part)).collect();
            prop_assert_eq!(replies, expected);
            prop_assert_eq!(divided.messages.len(), whole.messages.len());
        }
    }
}
