use proptest::prelude::*;

use super::*;

fn parse(wire: &[u8]) -> Result<Reply, ReplyError> {
    let (used, reply) = Parser::new().feed(wire)?;
    assert_eq!(used, wire.len());
    Ok(reply.expect("a complete reply"))
}

#[test]
fn the_enhanced_code_stands_on_every_line() {
    let reply = Reply { code: 550, enhanced: Some((5, 7, 1)), lines: vec!["no".to_owned(), String::new(), "really".to_owned()] };
    assert_eq!(reply.to_wire(), b"550-5.7.1 no\r\n550-5.7.1\r\n550 5.7.1 really\r\n");
}

#[test]
fn a_text_cannot_begin_a_second_reply() {
    let reply = Reply::new(250, (2, 0, 0), "ok\r\n250 2.0.0 more\0");
    assert_eq!(reply.to_wire(), b"250 2.0.0 ok  250 2.0.0 more \r\n");
}

#[test]
fn an_empty_challenge_keeps_its_space() {
    assert_eq!(Reply::plain(334, [""]).to_wire(), b"334 \r\n");
}

#[test]
fn replies_of_a_next_hop_pass_exactly() {
    for wire in [
        "250 ok\r\n",
        "250\r\n",
        "250-a\r\n250-\r\n250 b\r\n",
        "250 2.1.0 ok\r\n",
        "250 2.1.0\r\n",
        "250 2.1.0 \r\n",
        "250 2.1.0  two spaces\r\n",
        "550-5.7.1 a\r\n550 b\r\n",
        "550-5.7.1 a\r\n550 5.7.2 b\r\n",
        "550 4.7.1 wrong class\r\n",
        "550 5.07.1 zeros\r\n",
        "550 5.7.1.2 four\r\n",
        "550 5.7.1234 long\r\n",
        "452 4.5.3 Too many recipients (AS780090) [DB1PEPF000.eurprd03.prod.outlook.com 2026-01-01T00:00:00.000Z]\r\n",
        "550 5.1.1 größer\r\n",
        "354\r\n",
    ] {
        assert_eq!(String::from_utf8(parse(wire.as_bytes()).unwrap().to_wire()).unwrap(), wire);
    }
    assert_eq!(
        parse(b"250-2.1.0 a\r\n250 2.1.0 b\r\n").unwrap(),
        Reply { code: 250, enhanced: Some((2, 1, 0)), lines: vec!["a".into(), "b".into()] }
    );
}

#[test]
fn what_could_harm_a_log_or_a_peer_is_replaced() {
    assert_eq!(parse(b"550 a\x1b[31m\0\xffb\r\n").unwrap().lines, ["a?[31m?\u{fffd}b"]);
}

#[test]
fn malformed_replies_are_errors() {
    for (wire, error) in [
        (&b"250 ok\n"[..], ReplyError::BareLineFeed),
        (b"250 o\rk\r\n", ReplyError::BareCarriageReturn),
        (b"250 ok\r\r\n", ReplyError::BareCarriageReturn),
        (b"\r\n", ReplyError::Code),
        (b"25\r\n", ReplyError::Code),
        (b"25a ok\r\n", ReplyError::Code),
        (b"250_ok\r\n", ReplyError::Code),
        (b"150 ok\r\n", ReplyError::Code),
        (b"600 ok\r\n", ReplyError::Code),
        (b"250-a\r\n251 b\r\n", ReplyError::MixedCodes(250, 251)),
    ] {
        assert_eq!(parse(wire), Err(error), "{}", String::from_utf8_lossy(wire));
    }
}

#[test]
fn a_reply_has_limits() {
    let line = |octets: usize| format!("250 {}\r\n", "a".repeat(octets - 6));
    assert!(parse(line(MAX_LINE).as_bytes()).is_ok());
    assert_eq!(parse(line(MAX_LINE + 1).as_bytes()), Err(ReplyError::LongLine));
    assert_eq!(Parser::new().feed(&[b'2'; MAX_LINE + 1]), Err(ReplyError::LongLine));
    let lines = |count: usize| "250-a\r\n".repeat(count - 1) + "250 b\r\n";
    assert_eq!(parse(lines(MAX_LINES).as_bytes()).unwrap().lines.len(), MAX_LINES);
    assert_eq!(parse(lines(MAX_LINES + 1).as_bytes()), Err(ReplyError::ManyLines));
}

#[test]
fn pipelined_replies_come_one_by_one() {
    let wire = b"250 a\r\n550-5.1.1 b\r\n550 5.1.1 c\r\n354 d";
    let mut parser = Parser::new();
    let (first, reply) = parser.feed(wire).unwrap();
    assert_eq!((first, reply.unwrap().code), (7, 250));
    let (second, reply) = parser.feed(&wire[first..]).unwrap();
    assert_eq!(reply.unwrap().code, 550);
    assert!(parser.is_idle());
    assert_eq!(parser.feed(&wire[first + second..]).unwrap(), (5, None));
    assert!(!parser.is_idle());
    assert_eq!(parser.feed(b"\r\n").unwrap().1.unwrap().code, 354);
}

proptest! {
    #[test]
    fn a_reply_survives_the_round_trip(code in 200u16..600, enhanced in proptest::option::of((0u16..1000, 0u16..1000)), lines in prop::collection::vec("[A-Za-z][ -~]{0,60}", 1..6), cut in 0usize..40) {
        let class = u8::try_from(code / 100).unwrap();
        let reply = Reply { code, enhanced: enhanced.map(|(subject, detail)| (class, subject, detail)), lines };
        let wire = reply.to_wire();
        let mut parser = Parser::new();
        let cut = cut.min(wire.len() - 1);
        prop_assert_eq!(parser.feed(&wire[..cut]).unwrap().1, None);
        let (used, parsed) = parser.feed(&wire[cut..]).unwrap();
        prop_assert_eq!(used, wire.len() - cut);
        prop_assert_eq!(parsed.unwrap(), reply);
    }

    #[test]
    fn no_octets_make_the_parser_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _result = Parser::new().feed(&octets);
    }
}
