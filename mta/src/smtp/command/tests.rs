use proptest::prelude::*;

use super::*;
use crate::address::Mailbox;

fn refusal(line: &str) -> (u16, EnhancedCode) {
    let reply = parse(line.as_bytes()).expect_err(line).reply();
    (reply.code, reply.enhanced.expect("every refusal has an enhanced code"))
}

fn mail(line: &str) -> MailParameters {
    match parse(line.as_bytes()) {
        Ok(Command::Mail { parameters, .. }) => parameters,
        other => panic!("{line}: {other:?}"),
    }
}

fn rcpt(line: &str) -> Recipient {
    match parse(line.as_bytes()) {
        Ok(Command::Rcpt { recipient, .. }) => recipient,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn well_formed_commands_are_read() {
    let auth =
        |mechanism: &str, initial: Option<&str>| Command::Auth { mechanism: mechanism.to_owned(), initial: initial.map(str::to_owned) };
    for (line, command) in [
        ("EHLO mail.example.com", Command::Ehlo("mail.example.com".to_owned())),
        ("ehlo [192.0.2.1]", Command::Ehlo("[192.0.2.1]".to_owned())),
        ("EHLO [IPv6:2001:db8::1]", Command::Ehlo("[IPv6:2001:db8::1]".to_owned())),
        ("EHLO WIN_10.local.", Command::Ehlo("WIN_10.local.".to_owned())),
        ("EHLO xn--bcher-kva.example", Command::Ehlo("xn--bcher-kva.example".to_owned())),
        ("HELO host", Command::Helo("host".to_owned())),
        ("DATA", Command::Data),
        ("data  \t", Command::Data),
        ("BDAT 0 LAST", Command::Bdat { size: 0, last: true }),
        ("bdat 1000 last", Command::Bdat { size: 1000, last: true }),
        ("BDAT 86", Command::Bdat { size: 86, last: false }),
        ("RSET", Command::Rset),
        ("NOOP", Command::Noop),
        ("NOOP anything at all", Command::Noop),
        ("QUIT", Command::Quit),
        ("VRFY joe", Command::Vrfy),
        ("HELP MAIL", Command::Help),
        ("STARTTLS", Command::StartTls),
        ("AUTH plain", auth("PLAIN", None)),
        ("AUTH PLAIN =", auth("PLAIN", Some("="))),
        ("AUTH SCRAM-SHA-256 biws", auth("SCRAM-SHA-256", Some("biws"))),
    ] {
        assert_eq!(parse(line.as_bytes()), Ok(command), "{line}");
    }
}

#[test]
fn malformed_commands_get_the_codes_of_the_rfcs() {
    for (line, code, enhanced) in [
        ("", 500, (5, 5, 2)),
        (" ", 500, (5, 5, 2)),
        (" NOOP", 500, (5, 5, 2)),
        ("FOO", 500, (5, 5, 2)),
        ("XCLIENT ADDR=192.0.2.1", 500, (5, 5, 2)),
        ("NOOP\rNOOP", 500, (5, 5, 2)),
        ("NOOP\0", 500, (5, 5, 2)),
        ("NOOP\u{85}", 500, (5, 5, 2)),
        ("EXPN list", 502, (5, 5, 1)),
        ("TURN", 502, (5, 5, 1)),
        ("SEND FROM:<a@b.example>", 502, (5, 5, 1)),
        ("ETRN example.com", 502, (5, 5, 1)),
        ("GET / HTTP/1.1", 421, (4, 7, 0)),
        ("POST /", 421, (4, 7, 0)),
        ("EHLO", 501, (5, 5, 4)),
        ("EHLO two words", 501, (5, 5, 4)),
        ("EHLO a..b", 501, (5, 5, 4)),
        ("EHLO .", 501, (5, 5, 4)),
        ("EHLO a..", 501, (5, 5, 4)),
        ("EHLO bücher.example", 501, (5, 5, 4)),
        ("EHLO a;b", 501, (5, 5, 4)),
        ("EHLO <script>", 501, (5, 5, 4)),
        ("EHLO [192.0.2.300]", 501, (5, 5, 4)),
        ("HELO", 501, (5, 5, 4)),
        ("DATA now", 501, (5, 5, 4)),
        ("RSET x", 501, (5, 5, 4)),
        ("QUIT x", 501, (5, 5, 4)),
        ("STARTTLS x", 501, (5, 5, 4)),
        ("VRFY", 501, (5, 5, 4)),
        ("AUTH", 501, (5, 5, 4)),
        ("AUTH PLAIN a b", 501, (5, 5, 4)),
        ("AUTH PL$IN", 501, (5, 5, 4)),
        ("BDAT", 501, (5, 5, 4)),
        ("BDAT x", 501, (5, 5, 4)),
        ("BDAT -1", 501, (5, 5, 4)),
        ("BDAT +1", 501, (5, 5, 4)),
        ("BDAT 1 FIRST", 501, (5, 5, 4)),
        ("BDAT 1 LAST x", 501, (5, 5, 4)),
        ("BDAT 99999999999999999999", 501, (5, 5, 4)),
    ] {
        assert_eq!(refusal(line), (code, enhanced), "{line:?}");
    }
    assert_eq!(parse(b"NOOP \xff"), Err(CommandError::Octets));
}

#[test]
fn malformed_paths_get_the_codes_of_the_rfcs() {
    let long = "a".repeat(300);
    for (line, code, enhanced) in [
        ("MAIL", 501, (5, 5, 4)),
        ("MAIL TO:<a@b.example>", 501, (5, 5, 4)),
        ("MAIL FROM<a@b.example>", 501, (5, 5, 4)),
        ("MAIL FROM:", 501, (5, 5, 4)),
        ("MAIL FROM:a@b.example", 501, (5, 5, 4)),
        ("MAIL FROM:<a@b.example", 501, (5, 5, 4)),
        ("MAIL FROM:<a@b.example>SIZE=1", 501, (5, 5, 4)),
        ("MAIL FROM:<joe>", 553, (5, 1, 7)),
        ("MAIL FROM:<a@b..example>", 553, (5, 1, 7)),
        ("MAIL FROM:<a b@c.example>", 553, (5, 1, 7)),
        ("MAIL FROM:<a@b.example;rm -rf /;>", 553, (5, 1, 7)),
        ("MAIL FROM:<ä@b.example>", 553, (5, 6, 7)),
        (&format!("MAIL FROM:<{long}@b.example>"), 501, (5, 1, 7)),
        ("RCPT", 501, (5, 5, 4)),
        ("RCPT FROM:<a@b.example>", 501, (5, 5, 4)),
        ("RCPT TO:a@b.example", 501, (5, 5, 4)),
        ("RCPT TO:<>", 553, (5, 1, 3)),
        ("RCPT TO:<joe>", 553, (5, 1, 3)),
        ("RCPT TO:<@b.example>", 553, (5, 1, 3)),
        ("RCPT TO:<a@[192.0.2.300]>", 553, (5, 1, 3)),
        (&format!("RCPT TO:<{long}@b.example>"), 501, (5, 1, 3)),
    ] {
        assert_eq!(refusal(line), (code, enhanced), "{line:?}");
    }
}

#[test]
fn parameters_that_are_not_offered_or_wrong_get_the_codes_of_the_rfcs() {
    let envid = "E".repeat(101);
    for (parameters, code, enhanced) in [
        ("FOO", 555, (5, 5, 4)),
        ("FOO=BAR", 555, (5, 5, 4)),
        ("BY=60;R", 555, (5, 5, 4)),
        ("MT-PRIORITY=3", 555, (5, 5, 4)),
        ("BODY=BINARYMIME", 555, (5, 5, 4)),
        ("BODY", 501, (5, 5, 4)),
        ("BODY=9BIT", 501, (5, 5, 4)),
        ("SIZE", 501, (5, 5, 4)),
        ("SIZE=", 501, (5, 5, 4)),
        ("SIZE=1k", 501, (5, 5, 4)),
        ("SIZE=+1", 501, (5, 5, 4)),
        ("SIZE=1 SIZE=2", 501, (5, 5, 4)),
        ("RET=BODY", 501, (5, 5, 4)),
        ("ENVID=a=b", 501, (5, 5, 4)),
        ("ENVID=a+2", 501, (5, 5, 4)),
        ("ENVID=a+2b", 501, (5, 5, 4)),
        ("ENVID=a+0D+0AX", 501, (5, 5, 4)),
        (&format!("ENVID={envid}"), 501, (5, 5, 4)),
        ("SMTPUTF8=yes", 501, (5, 5, 4)),
        ("AUTH=a=b", 501, (5, 5, 4)),
        ("=1", 501, (5, 5, 4)),
        ("-A=1", 501, (5, 5, 4)),
        ("A_B=1", 501, (5, 5, 4)),
    ] {
        assert_eq!(refusal(&format!("MAIL FROM:<a@b.example> {parameters}")), (code, enhanced), "{parameters:?}");
    }
    for (parameters, code, enhanced) in [
        ("SIZE=1", 555, (5, 5, 4)),
        ("NOTIFY", 501, (5, 5, 4)),
        ("NOTIFY=NEVER,DELAY", 501, (5, 5, 4)),
        ("NOTIFY=SUCCESS,SUCCESS", 501, (5, 5, 4)),
        ("NOTIFY=SOMETIMES", 501, (5, 5, 4)),
        ("NOTIFY=SUCCESS,", 501, (5, 5, 4)),
        ("ORCPT=rfc822", 501, (5, 5, 4)),
        ("ORCPT=;a@b", 501, (5, 5, 4)),
        ("ORCPT=rfc822;", 501, (5, 5, 4)),
        ("ORCPT=rfc822;a=b", 501, (5, 5, 4)),
        ("ORCPT=rfc822;ä@b", 501, (5, 5, 4)),
    ] {
        assert_eq!(refusal(&format!("RCPT TO:<a@b.example> {parameters}")), (code, enhanced), "{parameters:?}");
    }
}

#[test]
fn parameters_travel_as_received() {
    assert_eq!(
        mail("MAIL FROM:<a@b.example> SIZE=1000 BODY=8BITMIME RET=hdrs ENVID=QQ+2B314 SMTPUTF8 AUTH=<>"),
        MailParameters {
            body: Some(Body::EightBitMime),
            size: Some(1000),
            ret: Some(Ret::Hdrs),
            envid: Some("QQ+2B314".to_owned()),
            smtputf8: true
        }
    );
    assert_eq!(mail("MAIL FROM:<> body=7bit").body, Some(Body::SevenBit));
    assert_eq!(mail("MAIL FROM:<a@b.example> AUTH=a+3Db@c.example"), MailParameters::default());
    assert!(mail("MAIL FROM:<ä@b.example> SMTPUTF8").smtputf8);
    let recipient = rcpt("RCPT TO:<a@b.example> NOTIFY=success,Delay ORCPT=rfc822;Joe+2Bx@b.example");
    assert_eq!((recipient.notify.as_deref(), recipient.orcpt.as_deref()), (Some("SUCCESS,DELAY"), Some("rfc822;Joe+2Bx@b.example")));
    assert_eq!(rcpt("RCPT TO:<a@b.example> ORCPT=utf-8;\\x{E4}@b.example").orcpt.as_deref(), Some("utf-8;\\x{E4}@b.example"));
    assert_eq!(rcpt("RCPT TO:<a@b.example> ORCPT=UTF-8;ä@b.example").orcpt.as_deref(), Some("UTF-8;ä@b.example"));
    assert_eq!(rcpt("RCPT TO:<Postmaster>").path, ForwardPath::Postmaster);
}

#[test]
fn common_liberties_are_tolerated() {
    let joe = ForwardPath::Mailbox(Mailbox::parse("joe@b.example").unwrap());
    for line in ["RCPT TO:<joe@b.example>", "rcpt to: <joe@b.example>  ", "RCPT  TO:<joe@b.example>", "RCPT TO:<@a.example:joe@b.example>"]
    {
        assert_eq!(rcpt(line).path, joe, "{line}");
    }
    assert_eq!(mail("MAIL FROM:<a@b.example>  SIZE=1   RET=FULL ").size, Some(1));
}

#[test]
fn each_command_has_its_own_line_limit() {
    for (line, octets, limit) in [("NOOP ", MAX_COMMAND, MAX_COMMAND), ("AUTH PLAIN ", MAX_AUTH_LINE, MAX_AUTH_LINE)] {
        let fits = format!("{line}{}", "a".repeat(octets - line.len() - 2));
        assert!(parse(fits.as_bytes()).is_ok());
        assert_eq!(parse(format!("{fits}a").as_bytes()), Err(CommandError::Long(limit)));
    }
    assert_eq!(refusal(&format!("MAIL FROM:<a@b.example> ENVID={}", "a".repeat(MAX_PATH_COMMAND))), (500, (5, 5, 6)));
    // Above 512 octets, because of a parameter.
    assert!(parse(format!("RCPT TO:<a@b.example> ORCPT=rfc822;{}", "a".repeat(493)).as_bytes()).is_ok());
}

#[test]
fn a_refusal_does_not_echo_the_address() {
    let text = &parse(b"MAIL FROM:<secret>").unwrap_err().reply().lines[0];
    assert!(!text.contains("secret"), "{text}");
}

proptest! {
    #[test]
    fn no_octets_make_the_parser_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _result = parse(&octets).map_err(|error| error.reply());
    }

    #[test]
    fn no_arguments_make_the_parser_panic(verb in "EHLO |MAIL FROM:|MAIL FROM:<a@b> |RCPT TO:|RCPT TO:<a@b> |BDAT |AUTH ", rest in "[ -~äü]{0,60}") {
        let _result = parse(format!("{verb}{rest}").as_bytes()).map_err(|error| error.reply());
    }
}
