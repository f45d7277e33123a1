use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { size: 1 << 20, line: 2000 };

/// The message and the octets behind the end of data; None when the end never came.
fn decode(wire: &[u8], limits: Limits) -> Option<(Result<Bytes, Violation>, Vec<u8>)> {
    let mut decoder = Decoder::new(limits, 0);
    let (used, ended) = decoder.feed(wire);
    ended.then(|| (decoder.finish(), wire[used..].to_vec()))
}

fn message(wire: &[u8]) -> Result<Bytes, Violation> {
    let (message, rest) = decode(wire, LIMITS).expect("an end of data");
    assert!(rest.is_empty());
    message
}

fn chunks(parts: &[&[u8]]) -> Result<Bytes, Violation> {
    let mut chunks = Chunks::new(LIMITS, 0);
    for part in parts {
        chunks.feed(part);
    }
    chunks.finish()
}

#[test]
fn dot_stuffing_is_undone() {
    for (wire, content) in [
        (&b".\r\n"[..], &b""[..]),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"a\r\n...b\r\n.\r\n", b"a\r\n..b\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a.\r\nb\r\n.\r\n", b"a.\r\nb\r\n"),
        (b"a\r\n. \r\n.\r\n", b"a\r\n \r\n"),
        (b"\xff\x01\t\r\n.\r\n", b"\xff\x01\t\r\n"),
    ] {
        assert_eq!(message(wire).unwrap(), content, "{wire:?}");
    }
}

#[test]
fn what_follows_the_end_of_data_is_left() {
    let (message, rest) = decode(b"a\r\n.\r\nMAIL FROM:<a@b>\r\n", LIMITS).unwrap();
    assert_eq!(message.unwrap(), &b"a\r\n"[..]);
    assert_eq!(rest, b"MAIL FROM:<a@b>\r\n");
}

/// SMTP smuggling (CVE-2023-51764, CVE-2023-51765, CVE-2023-51766): none of these ends the data, each condemns the message, and the commands
/// behind it stay part of the message.
#[test]
fn smuggling_sequences_do_not_end_the_data() {
    for (name, sequence, violation) in [
        ("LF.LF", &b"\n.\n"[..], Violation::BareLineFeed),
        ("LF.CRLF", b"\n.\r\n", Violation::BareLineFeed),
        ("CRLF.LF", b"\r\n.\n", Violation::BareLineFeed),
        ("CRLF.CR", b"\r\n.\r", Violation::BareCarriageReturn),
        ("CR.CR", b"\r.\r", Violation::BareCarriageReturn),
        ("CR.CRLF", b"\r.\r\n", Violation::BareCarriageReturn),
        ("CR.LF", b"\r.\n", Violation::BareCarriageReturn),
        ("LF.CR", b"\n.\r", Violation::BareLineFeed),
        ("CRLF.CRCRLF", b"\r\n.\r\r\n", Violation::BareCarriageReturn),
        ("CRCRLF.CRLF", b"\r\r\n .\r\n", Violation::BareCarriageReturn),
        ("CRLF NUL.CRLF", b"\r\n\0.\r\n", Violation::Nul),
        ("CRLF.NUL CRLF", b"\r\n.\0\r\n", Violation::Nul),
        ("CR NUL LF.CRLF", b"\r\0\n.\r\n", Violation::BareCarriageReturn),
        ("CRLF.CR NUL LF", b"\r\n.\r\0\n", Violation::BareCarriageReturn),
    ] {
        let wire = [b"Subject: x\r\n\r\na", sequence, b"MAIL FROM:<evil@b.example>\r\nDATA\r\n"].concat();
        assert!(decode(&wire, LIMITS).is_none(), "{name} ends the data");
        let (message, rest) = decode(&[&wire[..], b"\r\n.\r\nQUIT\r\n"].concat(), LIMITS).expect(name);
        assert_eq!(message, Err(violation), "{name}");
        assert_eq!(rest, b"QUIT\r\n", "{name}");
    }
}

#[test]
fn crcrlf_before_a_dot_is_a_violation_and_then_an_end() {
    // CR CR LF ends a line by its last two octets; the message is condemned by the first.
    assert_eq!(message(b"a\r\r\n.\r\n"), Err(Violation::BareCarriageReturn));
}

#[test]
fn the_first_violation_is_reported() {
    assert_eq!(message(b"a\0b\nc\rd\r\n.\r\n"), Err(Violation::Nul));
    assert_eq!(message(b"a\nb\0\r\n.\r\n"), Err(Violation::BareLineFeed));
}

/// Found by fuzzing: the size used to be looked at only where the input was divided.
#[test]
fn the_first_violation_is_the_same_in_every_division() {
    let limits = Limits { size: 4, line: 6 };
    for wire in [&b"12345\nx\r\n.\r\n"[..], b"12345\rx\r\n.\r\n", b"12345\0\r\n.\r\n", b"123456789\r\n.\r\n", b"123\n5\r\n.\r\n"] {
        let expected = if wire[3] == b'\n' { Violation::BareLineFeed } else { Violation::Size };
        for cut in 1..=wire.len() {
            let (mut decoder, mut chunks) = (Decoder::new(limits, 0), Chunks::new(limits, 0));
            for part in wire.chunks(cut) {
                decoder.feed(part);
                chunks.feed(part);
            }
            assert_eq!((decoder.finish(), chunks.finish()), (Err(expected), Err(expected)), "{wire:?} {cut}");
        }
    }
}

#[test]
fn violations_have_replies() {
    for (violation, code, enhanced) in [
        (Violation::BareCarriageReturn, 550, (5, 6, 0)),
        (Violation::BareLineFeed, 550, (5, 6, 0)),
        (Violation::Nul, 550, (5, 6, 0)),
        (Violation::Line, 550, (5, 6, 0)),
        (Violation::Size, 552, (5, 3, 4)),
    ] {
        assert_eq!((violation.reply().code, violation.reply().enhanced), (code, Some(enhanced)));
    }
}

#[test]
fn the_size_limit_counts_the_message_not_the_wire() {
    let limits = Limits { size: 10, line: 100 };
    assert_eq!(decode(b"..345678\r\n.\r\n", limits).unwrap().0.unwrap().len(), 9);
    assert!(decode(b"12345678\r\n.\r\n", limits).unwrap().0.is_ok());
    assert_eq!(decode(b"123456789\r\n.\r\n", limits).unwrap().0, Err(Violation::Size));
}

#[test]
fn an_oversize_message_is_drained_without_being_held() {
    let mut decoder = Decoder::new(Limits { size: 100, line: 100 }, u64::MAX);
    for _ in 0..1000 {
        assert_eq!(decoder.feed(b"0123456789012345\r\n"), (18, false));
        assert!(decoder.held() <= 100);
    }
    assert_eq!(decoder.feed(b".\r\n"), (3, true));
    assert_eq!(decoder.received(), 18_003);
    assert_eq!(decoder.finish(), Err(Violation::Size));
}

#[test]
fn long_lines_pass_up_to_the_limit() {
    let line = |octets: usize| [&vec![b'a'; octets - 2][..], b"\r\n.\r\n"].concat();
    assert_eq!(message(&line(2000)).unwrap().len(), 2000);
    assert_eq!(message(&line(2001)), Err(Violation::Line));
    assert_eq!(chunks(&[&line(2000)[..2000]]).unwrap().len(), 2000);
    assert_eq!(chunks(&[&line(2001)[..2001]]), Err(Violation::Line));
}

#[test]
fn chunks_are_taken_as_they_are() {
    assert_eq!(chunks(&[]).unwrap(), &b""[..]);
    assert_eq!(chunks(&[b"a\r", b"\n.\r\n", b"..b\r\n"]).unwrap(), &b"a\r\n.\r\n..b\r\n"[..]);
}

#[test]
fn chunks_have_the_same_violations_over_their_boundaries() {
    for (parts, violation) in [
        (&[&b"a\n"[..]][..], Violation::BareLineFeed),
        (&[b"\n"], Violation::BareLineFeed),
        (&[b"a\rb\r\n"], Violation::BareCarriageReturn),
        (&[b"a\r", b"b\r\n"], Violation::BareCarriageReturn),
        (&[b"a\r", b"\r\n"], Violation::BareCarriageReturn),
        (&[b"a\r\n", b"\n"], Violation::BareLineFeed),
        (&[b"a\r\n", b"\r"], Violation::BareCarriageReturn),
        (&[b"a\0\r\n"], Violation::Nul),
        (&[b"a\r", b"\0"], Violation::BareCarriageReturn),
        (&[b"a\r\n.\n.\r\n"], Violation::BareLineFeed),
    ] {
        assert_eq!(chunks(parts), Err(violation), "{parts:?}");
    }
}

#[test]
fn a_last_line_without_crlf_gets_one() {
    assert_eq!(chunks(&[b"a\r\nb"]).unwrap(), &b"a\r\nb\r\n"[..]);
    assert_eq!(chunks(&[b"a\r\nb\r\n"]).unwrap(), &b"a\r\nb\r\n"[..]);
}

/// What RFC 5321 section 4.5.2 says, one octet at a time.
fn oracle(wire: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut lines = Vec::new();
    let mut start = 0;
    while let Some(length) = wire[start..].windows(2).position(|pair| pair == b"\r\n") {
        let line = &wire[start..start + length + 2];
        start += length + 2;
        match line {
            b".\r\n" => return Some((lines, start)),
            [b'.', rest @ ..] => lines.extend_from_slice(rest),
            line => lines.extend_from_slice(line),
        }
    }
    None
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_the_division(wire in "(a|b|\\.|\r|\n|\r\n|\r\n\\.|\0){0,60}", tail in "(\r\n\\.\r\n)?", cuts in prop::collection::vec(1usize..7, 1..40)) {
        let wire = [wire.as_bytes(), tail.as_bytes(), b"QUIT\r\n"].concat();
        let whole = decode(&wire, LIMITS);
        let mut decoder = Decoder::new(LIMITS, 0);
        let mut at = 0;
        let mut ended = false;
        let mut sizes = cuts.iter().cycle();
        while at < wire.len() && !ended {
            let end = wire.len().min(at + sizes.next().unwrap());
            let (used, now) = decoder.feed(&wire[at..end]);
            prop_assert!(now || used == end - at);
            at += used;
            ended = now;
        }
        prop_assert_eq!(ended.then(|| (decoder.finish(), wire[at..].to_vec())), whole);
    }

    #[test]
    fn the_end_of_data_is_where_the_rfc_says(wire in "(a|\\.|\r|\n|\r\n|\r\n\\.|\r\n\\.\r\n|\0){0,40}") {
        let wire = wire.as_bytes();
        let decoded = decode(wire, LIMITS);
        match oracle(wire) {
            None => prop_assert!(decoded.is_none()),
            Some((content, end)) => {
                let (message, rest) = decoded.expect("an end of data");
                prop_assert_eq!(&rest[..], &wire[end..]);
                if let Ok(message) = message {
                    prop_assert_eq!(&message[..], &content[..]);
                    prop_assert!(memchr::memchr(0, &message).is_none());
                    let text = String::from_utf8(message.to_vec()).unwrap().replace("\r\n", "");
                    prop_assert!(!text.contains(['\r', '\n']));
                }
            }
        }
    }

    #[test]
    fn chunks_do_not_depend_on_the_division(wire in "(a|\\.|\r|\n|\r\n|\0){0,40}", cut in 0usize..40) {
        let wire = wire.as_bytes();
        let cut = cut.min(wire.len());
        prop_assert_eq!(chunks(&[&wire[..cut], &wire[cut..]]), chunks(&[wire]));
    }
}
