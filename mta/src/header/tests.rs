use proptest::prelude::*;

use super::{AuthorFault, HeaderError, MAX_LINE, author, body_start, encode, fields, is_regular, relaxed, sender};

fn names(content: &str) -> Vec<String> {
    fields(content.as_bytes()).map(|field| String::from_utf8_lossy(field.name).into_owned()).collect()
}

#[test]
fn fields_are_found_with_their_folding_and_spans() {
    let content = "From: a@b.example\r\nSubject: one\r\n two\r\n\tthree\r\nX-Empty:\r\n\r\nbody: not a field\r\n";
    let found: Vec<_> = fields(content.as_bytes()).collect();
    assert_eq!(found.len(), 3);
    assert_eq!(found[1].value, b" one\r\n two\r\n\tthree");
    assert_eq!(found[1].text(), "one two three");
    assert_eq!(&content[found[1].span.clone()], "Subject: one\r\n two\r\n\tthree\r\n");
    assert_eq!(found[2].value, b"");
    assert_eq!(&content[body_start(content.as_bytes())..], "body: not a field\r\n");
}

#[test]
fn broken_header_sections_are_read_as_far_as_they_go() {
    for (content, expected) in [
        ("", vec![]),
        ("\r\nFrom: x\r\n", vec![]),
        ("no colon here\r\nFrom: x\r\n\r\n", vec!["From"]),
        (" leading: fold\r\n more: of it\r\nFrom: x\r\n\r\n", vec!["From"]),
        ("From: x", vec!["From"]),
        ("From: x\r\nTo: y\r\n", vec!["From", "To"]),
        ("From : x\r\nFROM\t: y\r\n", vec!["From", "FROM"]),
        (": nameless\r\nTo: y\r\n", vec!["To"]),
        ("A: 1\r\n \r\nB: 2\r\n", vec!["A", "B"]),
        ("A: 1\nB: 2\n\nC: 3", vec!["A", "B"]),
        ("no colon\r\n in: the continuation\r\nB: 2\r\n", vec!["B"]),
    ] {
        assert_eq!(names(content), expected, "{content:?}");
    }
}

#[test]
fn a_header_section_is_regular_when_every_line_is_a_field_or_its_continuation() {
    for header in ["", "\r\n", "A: 1\r\n", "A: 1\r\n\r\n", "A:\r\n 1\r\n\t2\r\n\r\n", "A: 1\nB: 2\n\n"] {
        assert!(is_regular(header.as_bytes()), "{header:?}");
    }
    for header in [
        "no colon\r\n\r\n",
        "A: 1\r\nno colon\r\nB: 2\r\n\r\n",
        " fold: first\r\nA: 1\r\n\r\n",
        "A : 1\r\n\r\n",
        "A\t: 1\r\n\r\n",
        "A b: 1\r\n\r\n",
        ": nameless\r\n\r\n",
        "A: 1\r\n \r\nB: 2\r\n\r\n",
        "\u{fc}: 1\r\n\r\n",
        "A: 1\r2\r\n\r\n",
        "A: unfinished",
    ] {
        assert!(!is_regular(header.as_bytes()), "{header:?}");
    }
}

#[test]
fn the_one_sender_field_names_who_sent_it_for_the_author() {
    for (header, expected) in [
        ("From: a@b.example\r\n", None),
        ("Sender: Dee <d@b.example>\r\n", Some("d@b.example")),
        ("Sender: d@b.example\r\nSender: e@b.example\r\n", None),
        ("Sender: d@b.example, e@b.example\r\n", None),
        ("Sender:\r\n", None),
    ] {
        assert_eq!(sender(header.as_bytes()).map(|mailbox| mailbox.to_string()).as_deref(), expected, "{header}");
    }
}

#[test]
fn the_body_starts_after_the_first_empty_line() {
    for (content, start) in
        [("", 0), ("\r\nx", 2), ("A: 1\r\n\r\nx", 8), ("A: 1\r\n", 6), ("A: 1\r\n\r\n\r\n", 8), ("A: 1\r\n \r\n\r\n", 11)]
    {
        assert_eq!(body_start(content.as_bytes()), start, "{content:?}");
    }
}

#[test]
fn short_fields_stay_on_one_line_and_long_ones_fold_at_spaces() {
    assert_eq!(encode("X-A", "b c").unwrap(), b"X-A: b c\r\n");
    assert_eq!(encode("X-A", "").unwrap(), b"X-A:\r\n");
    let value = ["word"; 60].join(" ");
    let field = String::from_utf8(encode("X-A", &value).unwrap()).unwrap();
    assert!(field.lines().all(|line| line.len() <= 78 && !line.trim().is_empty()), "{field}");
    assert_eq!(field.replace("\r\n", ""), format!("X-A: {value}"));
}

#[test]
fn a_word_longer_than_the_preferred_line_gets_its_own_up_to_the_limit() {
    let long = "x".repeat(MAX_LINE - 1);
    let field = encode("X-A", &format!("a {long} b")).unwrap();
    assert_eq!(field, format!("X-A: a\r\n {long}\r\n b\r\n").as_bytes());
    assert_eq!(encode("X-A", &format!("a {long}x")), Err(HeaderError::LongWord { name: "X-A".into(), octets: MAX_LINE + 1 }));
}

#[test]
fn nothing_that_starts_another_field_passes_the_encoder() {
    for bad in ["a\r\nBcc: x", "a\nb", "a\rb", "a\0b", "a\tb", "a\u{7f}b", "a\u{85}b", "a\u{2028}b", "\r\n", "x\r\n\r\nbody"] {
        assert!(matches!(encode("X-A", bad), Err(HeaderError::Control { .. })), "{bad:?}");
    }
    for bad in ["", "A:", "A B", "A\r\n", "Ä", "A\0", &"n".repeat(65)] {
        assert!(matches!(encode(bad, "x"), Err(HeaderError::Name(_))), "{bad:?}");
    }
}

#[test]
fn relaxed_form_is_that_of_rfc_6376() {
    let mut out = Vec::new();
    relaxed(b" A\tX \r\n  Y \t Z\t\r\n\t", &mut out);
    assert_eq!(out, b"A X Y Z");
}

#[test]
fn one_author_is_found_and_everything_ambiguous_is_not() {
    use AuthorFault::{Absent, Group, Malformed, SeveralAddresses, SeveralFields};
    for (value, expected) in [
        ("a@b.example", Ok("a@b.example")),
        ("<a@b.example>", Ok("a@b.example")),
        ("Ann <a@b.example>", Ok("a@b.example")),
        ("\"Ann, of <b@c.example>\" <a@b.example>", Ok("a@b.example")),
        ("\"b@c.example\" <a@b.example>", Ok("a@b.example")),
        ("(x@y.example) a@b.example (c)", Ok("a@b.example")),
        ("Ann (nested (comment) \\)) <a@b.example> (tail)", Ok("a@b.example")),
        ("=?utf-8?q?A=2C_B?= <a@b.example>", Ok("a@b.example")),
        ("Ann\r\n <a@b.example>", Ok("a@b.example")),
        ("<a@[192.0.2.1]>", Ok("a@[192.0.2.1]")),
        ("<a@[IPv6:2001:db8::1]>", Ok("a@[IPv6:2001:db8::1]")),
        ("a@b.example, c@d.example", Err(SeveralAddresses)),
        ("Ann <a@b.example>, Bob <b@c.example>", Err(SeveralAddresses)),
        ("<a@b.example> <c@d.example>", Err(SeveralAddresses)),
        ("<a@b.example> c@d.example", Err(Malformed)),
        ("a@b.example c@d.example", Err(Malformed)),
        ("Doe, Ann <a@b.example>", Err(SeveralAddresses)),
        ("team: a@b.example;", Err(Group)),
        ("undisclosed:;", Err(Group)),
        ("<@relay.example:a@b.example>", Err(Malformed)),
        ("<<a@b.example>>", Err(Malformed)),
        ("<a@b.example", Err(Malformed)),
        ("a@b.example>", Err(Malformed)),
        ("\"open <a@b.example>", Err(Malformed)),
        ("(open <a@b.example>", Err(Malformed)),
        ("<>", Err(Malformed)),
        ("Ann", Err(Malformed)),
        ("", Err(Malformed)),
    ] {
        let content = format!("X: y\r\nfrom:{value}\r\n\r\nFrom: other@c.example\r\n");
        let found = author(content.as_bytes());
        assert_eq!(found.as_ref().map(|mailbox| mailbox.as_str()).map_err(|fault| *fault), expected, "{value}");
    }
    assert_eq!(author(b"To: a@b.example\r\n\r\nFrom: a@b.example"), Err(Absent));
    assert_eq!(author(b"From: a@b.example\r\nFROM : a@b.example\r\n\r\n"), Err(SeveralFields));
}

proptest! {
    #[test]
    fn the_scanner_never_panics_and_its_spans_never_overlap(content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), any::<u8>()], 0..300)) {
        let start = body_start(&content);
        let mut end = 0;
        for field in fields(&content) {
            prop_assert!(field.span.start >= end && field.span.end <= start && !field.name.is_empty());
            end = field.span.end;
        }
        drop(author(&content));
    }

    #[test]
    fn what_the_encoder_accepts_is_one_field_with_that_value(value in "[ -~\u{a1}-\u{ff}]{0,400}") {
        if let Ok(field) = encode("X-Test", &value) {
            let found: Vec<_> = fields(&field).collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&found[0].span, &(0..field.len()));
            let read = String::from_utf8(found[0].unfolded().to_vec()).unwrap();
            prop_assert_eq!(read.trim_matches(' '), value.trim_matches(' '));
            prop_assert!(field.split(|octet| *octet == b'\n').all(|line| line.len() <= MAX_LINE + 1));
        }
    }

    #[test]
    fn the_encoder_refuses_every_control_character(before in "[ -~]{0,20}", control in any::<char>().prop_filter("control", |c| c.is_control()), after in "[ -~]{0,20}") {
        let value = format!("{before}{control}{after}");
        let refused = matches!(encode("X-Test", &value), Err(HeaderError::Control { .. }));
        prop_assert!(refused);
    }
}
