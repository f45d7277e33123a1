//! Which part of each MIME structure is edited, and how it is written.

use super::*;

fn leaf(kind: &str, text: &str) -> String {
    format!("Content-Type: {kind}\n\n{text}")
}

fn multipart(kind: &str, boundary: &str, parts: &[String]) -> String {
    let parts: String = parts.iter().map(|part| format!("--{boundary}\n{part}\n")).collect();
    format!("Content-Type: multipart/{kind}; boundary={boundary}\n\n{parts}--{boundary}--")
}

fn mail(body: &str) -> String {
    format!("MIME-Version: 1.0\n{body}\n")
}

const HTML_BODY: &str = "<html><body><p>Hi</p></body></html>";

#[test]
fn plain_text_without_any_mime_field() {
    assert_eq!(edit("Subject: x\n\nHello\n"), "Subject: x\n\nHello\n\nAda King\nACME Engines\n");
    let output = edit_with("Subject: x\n\nHello\n", &[with_text("", "Zoë King\nACME")]);
    assert_eq!(
        output,
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nHello\n\nZo=C3=AB King\nACME\n"
    );
}

#[test]
fn empty_bodies_and_bare_header_sections() {
    assert_eq!(edit("Subject: x\n\n"), "Subject: x\n\nAda King\nACME Engines\n");
    assert_eq!(edit("Subject: x\n"), "Subject: x\n\nAda King\nACME Engines\n");
    assert_eq!(brief(&edit("Content-Type: text/html\n\n")), "Content-Type: text/html\n\n[SIGNATURE]");
    let empty = mail("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b\nContent-Type: image/png\n\nx\n--b--");
    assert!(edit(&empty).contains("--b\n\nAda King\nACME Engines\n--b\n"), "{}", edit(&empty));
}

#[test]
fn alternative_edits_both_forms_in_place() {
    let text = mail(&multipart("alternative", "b", &[leaf("text/plain", "Hi"), leaf("text/html", HTML_BODY)]));
    insta::assert_snapshot!(brief(&edit(&text)), @r#"
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain

Hi

Ada King
ACME Engines
--b
Content-Type: text/html

<html><body><p>Hi</p>[SIGNATURE]</body></html>
--b--
"#);
}

#[test]
fn mixed_edits_the_text_and_leaves_files_alone() {
    let file = "Content-Type: text/plain; name=notes.txt\nContent-Disposition: attachment; filename=notes.txt\n\nnotes".to_owned();
    let enclosed = "Content-Type: message/rfc822\n\nSubject: inner\n\nbody".to_owned();
    let text = mail(&multipart("mixed", "b", &[leaf("text/plain", "Hi\n"), file, enclosed]));
    let output = edit(&text);
    assert!(output.contains("Hi\n\nAda King\nACME Engines\n\n--b\n"), "{output}");
    assert_eq!(output.matches("Ada King").count(), 1);
    assert_eq!(message(&text).attachments(), 2);
}

#[test]
fn apple_mail_puts_files_between_paragraphs() {
    let file = "Content-Type: application/pdf; name=a.pdf\nContent-Disposition: inline; filename=a.pdf\n\nx".to_owned();
    let parts = [leaf("text/plain", "one\n"), file.clone(), leaf("text/plain", "two\n")];
    let output = edit(&mail(&multipart("mixed", "b", &parts)));
    assert!(output.contains("two\n\nAda King") && output.matches("Ada King").count() == 1, "{output}");
    // The last text in front of quoted mail is not the last text.
    let parts = [leaf("text/plain", "one\n\nOn 1 Jan 2024, Bob wrote:\n> q\n"), file.clone(), leaf("text/plain", "> more\n")];
    let output = edit(&format!("In-Reply-To: <x>\n{}", mail(&multipart("mixed", "b", &parts))));
    assert!(output.contains("one\n\nAda King\nACME Engines\n\nOn 1 Jan"), "{output}");
    let inner = multipart("mixed", "c", &[leaf("text/html", "<body>one</body>"), file, leaf("text/html", "<body>two</body>")]);
    let output = edit(&mail(&multipart("alternative", "a", &[leaf("text/plain", "one two"), inner])));
    assert!(brief(&output).contains("two[SIGNATURE]</body>") && output.contains("one two\n\nAda King"), "{output}");
}

#[test]
fn related_root_is_the_body() {
    let image = "Content-Type: image/png\nContent-ID: <i@x>\n\nx".to_owned();
    let html = "Content-Type: text/html\nContent-ID: <root@x>\n\n<body>Hi</body>".to_owned();
    let text = mail(&multipart("related; start=\"<root@x>\"", "b", &[image.clone(), html.clone()]));
    assert!(brief(&edit(&text)).contains("<body>Hi[SIGNATURE]</body>"));
    let text = mail(&multipart("related", "b", &[html, image]));
    assert!(brief(&edit(&text)).contains("<body>Hi[SIGNATURE]</body>"));
    assert_eq!(message(&text).attachments(), 0);
}

#[test]
fn other_texts_are_left_alone() {
    let parts = [
        leaf("text/plain", "Hi"),
        leaf("text/x-amp-html", "<html></html>"),
        leaf("text/watch-html", "<b>Hi"),
        leaf("text/html", HTML_BODY),
    ];
    let output = edit(&mail(&multipart("alternative", "b", &parts)));
    assert!(output.contains("text/x-amp-html\n\n<html></html>\n--b") && output.contains("<b>Hi\n--b"), "{output}");
}

#[test]
fn images_wrap_a_single_html_message() {
    let text = "From: a@b\nContent-Type: text/html; charset=us-ascii\nContent-Transfer-Encoding: 7bit\nContent-MD5: Q2hlY2s=\nSubject: x\n\n<body>Hi</body>\n";
    insta::assert_snapshot!(brief(&edit_with(text, &[with_image()])), @r#"
From: a@b
Content-Type: multipart/related; boundary="=_signet_0000000000000007_0";
	type="text/html"
X-Signet-Original-Content-Type: text/html; charset=us-ascii
X-Signet-Original-Content-Transfer-Encoding: 7bit
X-Signet-Original-Content-MD5: Q2hlY2s=
Subject: x
MIME-Version: 1.0

--=_signet_0000000000000007_0
Content-Type: text/html; charset=us-ascii
Content-Transfer-Encoding: 7bit

<body>Hi[SIGNATURE]</body>

--=_signet_0000000000000007_0
Content-Type: image/png; name="logo.png"
Content-Transfer-Encoding: base64
Content-ID: <logo.png.0000000000000007@acme.example>
Content-Disposition: inline; filename="logo.png"

bm90IHJlYWxseSBhIHBpY3R1cmU=
--=_signet_0000000000000007_0--
"#);
}

#[test]
fn images_wrap_the_html_of_an_alternative() {
    let text = mail(&multipart("alternative", "b", &[leaf("text/plain", "Hi"), leaf("text/html", HTML_BODY)]));
    insta::assert_snapshot!(brief(&edit_with(&text, &[with_image()])), @r#"
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain

Hi

Ada King
ACME Engines
--b
Content-Type: multipart/related; boundary="=_signet_0000000000000007_0";
	type="text/html"

--=_signet_0000000000000007_0
Content-Type: text/html

<html><body><p>Hi</p>[SIGNATURE]</body></html>
--=_signet_0000000000000007_0
Content-Type: image/png; name="logo.png"
Content-Transfer-Encoding: base64
Content-ID: <logo.png.0000000000000007@acme.example>
Content-Disposition: inline; filename="logo.png"

bm90IHJlYWxseSBhIHBpY3R1cmU=
--=_signet_0000000000000007_0--
--b--
"#);
}

#[test]
fn images_join_an_existing_related() {
    let image = "Content-Type: image/png\nContent-ID: <i@x>\n\nx".to_owned();
    let inside = multipart(
        "alternative",
        "b",
        &[leaf("text/plain", "Hi"), multipart("related; type=\"text/html\"", "c", &[leaf("text/html", HTML_BODY), image.clone()])],
    );
    let outside = multipart(
        "related; type=\"multipart/alternative\"",
        "c",
        &[multipart("alternative", "b", &[leaf("text/plain", "Hi"), leaf("text/html", HTML_BODY)]), image],
    );
    for text in [mail(&inside), mail(&outside)] {
        let output = edit_with(&text, &[with_image()]);
        assert_eq!(output.matches("multipart/related").count(), 1);
        assert!(output.contains("\n\nx\n--c\nContent-Type: image/png; name=\"logo.png\"\n"), "{output}");
        assert!(
            output.contains("src=\"cid:logo.png.0000000000000007@acme.example\"")
                && output.contains("Content-ID: <logo.png.0000000000000007@acme.example>")
        );
    }
}

#[test]
fn our_boundary_avoids_what_is_enclosed() {
    let text = mail(&leaf("text/html", "<p>=_signet_0000000000000007_0</p>"));
    assert!(edit_with(&text, &[with_image()]).contains("boundary=\"=_signet_0000000000000007_1\""));
}

#[test]
fn a_signature_cannot_end_the_part_it_is_in() {
    let text = mail(&multipart("mixed", "bound", &[leaf("text/plain", "Hi"), leaf("image/png", "x")]));
    let output = edit_with(&text, &[with_text("", "Ada King\n--bound--\nACME Engines")]);
    assert!(output.contains("\n=2D-bound--\n"), "{output}");
    assert_eq!(message(&output).part_count(), 2);
}

#[test]
fn charsets_hold_the_text_or_the_part_becomes_utf_8() {
    let sig = with_text("<p>Zoë Кинг</p>", "Zoë Kingsley");
    let mail = |kind: &str, encoding: &str, body: &[u8]| {
        [format!("MIME-Version: 1.0\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").as_bytes(), body].concat()
    };
    let run = |content: Vec<u8>| {
        let message = Message::parse(Bytes::from(content));
        output(&insert(&message, std::slice::from_ref(&sig), &marks()).unwrap())
    };
    let ends = |output: &[u8], end: &[u8]| assert!(output.ends_with(end), "{}", String::from_utf8_lossy(output));
    ends(&run(mail("text/plain; charset=iso-8859-1", "8bit", b"\xE4\r\n")), b"\xE4\r\n\r\nZo\xEB Kingsley\r\n");
    ends(&run(mail("text/plain; charset=iso-8859-1", "quoted-printable", b"=E4\r\n")), b"=E4\r\n\r\nZo=EB Kingsley\r\n");
    // Text without a label that is UTF-8 all the same gets the label; what it is otherwise, nobody can say.
    let out = run(mail("text/plain", "7bit", "ä\r\n".as_bytes()));
    let text = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\
        X-Signet-Original-Content-Transfer-Encoding: 7bit\r\n\r\nä\r\n\r\nZoë Kingsley\r\n";
    ends(&out, text.as_bytes());
    let guess = Message::parse(Bytes::from(mail("text/plain", "8bit", b"\xE4\r\n")));
    assert_eq!(insert(&guess, std::slice::from_ref(&sig), &marks()).unwrap_err().reason, "unsupported-charset");
    // 7bit cannot carry it, koi8-r lacks it.
    let out = run(mail("text/plain; format=flowed; charset=\"us-ascii\"; delsp=yes", "7bit", b"x\r\n"));
    let text = "Content-Type: text/plain; format=flowed; charset=utf-8; delsp=yes\r\n\
        X-Signet-Original-Content-Type: text/plain; format=flowed; charset=\"us-ascii\"; delsp=yes\r\n\
        Content-Transfer-Encoding: quoted-printable\r\nX-Signet-Original-Content-Transfer-Encoding: 7bit\r\n\r\n\
        x\r\n\r\nZo=C3=AB Kingsley\r\n";
    ends(&out, text.as_bytes());
    let out = run(mail("text/plain; charset=koi8-r", "8bit", b"\xD0\xD2\xC9\xD7\xC5\xD4\r\n"));
    ends(
        &out,
        "base64\r\nX-Signet-Original-Content-Transfer-Encoding: 8bit\r\n\r\n0L/RgNC40LLQtdGCDQoNClpvw6sgS2luZ3NsZXkNCg==".as_bytes(),
    );
    // HTML never needs another charset, as long as it contains ASCII.
    for charset in ["koi8-r", "us-ascii", "shift_jis", "iso-2022-jp", "x-unknown"] {
        let out = run(mail(&format!("text/html; charset={charset}"), "7bit", b"<p>x</p>"));
        assert!(memchr::memmem::find(&out, b"Zo&#235; &#1050;&#1080;&#1085;&#1075;").is_some(), "{charset}");
    }
    let utf_16: Vec<u8> = "<p>x</p>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let out = run(mail("text/html; charset=utf-16le", "base64", &encoding::base64::encode(&utf_16)));
    assert!(memchr::memmem::find(&out, b"-Transfer-Encoding: base64\r\n\r\n<p>x</p><div").is_some(), "{}", String::from_utf8_lossy(&out));
}

#[test]
fn base64_changes_only_behind_the_place() {
    let text = "On and on. ".repeat(30);
    let encoded = ::base64::Engine::encode(&::base64::engine::general_purpose::STANDARD, &text);
    let lines: String = encoded.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    let output = edit(&format!("Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n{lines}"));
    let (_, body) = output.split_once("\n\n").unwrap();
    assert!(body.lines().all(|line| line.len() <= 64));
    assert_eq!(body.lines().take(6).collect::<Vec<_>>(), lines.lines().take(6).collect::<Vec<_>>());
}

#[test]
fn quoted_printable_html_stays_short_and_decodes() {
    let body = format!("<html><body><p>{}=C3=A4</p></body></html>", "word =\n".repeat(30));
    let text = mail(&format!("Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n{body}"));
    let output = edit(&text);
    assert!(output.lines().all(|line| line.len() <= 76), "{output}");
    assert!(output.contains("=C3=A4</p><div class=3D\"signet-signature-1\""), "{output}");
}

#[test]
fn long_lines_are_wrapped_inside_our_tags() {
    let long = with_text(&"<td>cell</td>".repeat(300), TEXT);
    let text = mail(&leaf("text/html", &format!("<p>{}</p></body>", "x".repeat(900))));
    let output = edit_with(&text, &[long]);
    assert!(output.lines().all(|line| line.len() <= 998));
    let endless = with_text(&format!("<a href=\"{}\">two words</a>", "x".repeat(1_200)), TEXT);
    let output = edit_with(&mail(&leaf("text/html", "<p>x</p>")), &[endless]);
    assert!(output.contains("Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n"), "{output}");
}

#[test]
fn flowed_text_gets_fixed_and_stuffed_lines() {
    let text = mail("Content-Type: text/plain; format=flowed\n\nHi there \nBob\n");
    let output = edit_with(&text, &[with_text("", "-- \nFrom us \n > all\nAda King")]);
    assert!(output.ends_with("Bob\n\n-- \n From us\n  > all\nAda King\n"), "{output}");
}

#[test]
fn html_ends_are_found_where_they_are() {
    for (html, expected) in [
        ("<body><p>x</p></body></html>", "<body><p>x</p>[SIGNATURE]</body></html>"),
        ("<p>x</p>", "<p>x</p>[SIGNATURE]"),
        ("x", "x[SIGNATURE]"),
        ("<body>x</body></html>y</body></html>", "<body>x</body></html>y[SIGNATURE]</body></html>"),
        ("<body>x</body></html>y", "<body>x</body></html>y[SIGNATURE]"),
        ("<body>x</html>", "<body>x[SIGNATURE]</html>"),
        ("<body>x<!-- </body> --></body>", "<body>x<!-- </body> -->[SIGNATURE]</body>"),
        ("<body>x<script>'</body>'</script></body>", "<body>x<script>'</body>'</script>[SIGNATURE]</body>"),
        (
            "<head><title></body></title><style></body></style></head><body>x</body>",
            "<head><title></body></title><style></body></style></head><body>x[SIGNATURE]</body>",
        ),
        ("<body><a title=\"</body>\">x</a></body>", "<body><a title=\"</body>\">x</a>[SIGNATURE]</body>"),
        ("<body><textarea></body></textarea>x</body>", "<body><textarea></body></textarea>x[SIGNATURE]</body>"),
        ("<body>x<!-- never closed </body>", "<body>x[SIGNATURE]<!-- never closed </body>"),
        ("<body>x<style>never closed </body>", "<body>x[SIGNATURE]<style>never closed </body>"),
        ("<body>x<a href=\"never closed></body>", "<body>x[SIGNATURE]<a href=\"never closed></body>"),
        ("<BODY>x</BODY >", "<BODY>x[SIGNATURE]</BODY >"),
    ] {
        let output = edit(&mail(&leaf("text/html", html)));
        assert_eq!(
            brief(output.split_once("\n\n").unwrap().1),
            format!("{expected}\n")
                .replace("[SIGNATURE]\n", if expected.ends_with("[SIGNATURE]") { "\n[SIGNATURE]" } else { "[SIGNATURE]\n" }),
            "{html}"
        );
    }
}

#[test]
fn open_elements_at_the_end_lower_the_confidence() {
    let message = message(&mail(&leaf("text/html", "<body><table><tr><td>x</body>")));
    assert_eq!(insert(&message, &[placed()], &marks()).unwrap().report()[0].confidence, Confidence::Low);
}

#[test]
fn several_signatures_keep_their_order_and_places() {
    let second = Placed { id: "legal".to_owned(), placement: Placement::End, ..with_text("<p>Legal notice text</p>", "Legal notice text") };
    let output =
        edit_with(&format!("In-Reply-To: <x>\n{}", mail(&leaf("text/plain", "Hi\n\nOn 1 Jan 2024, Bob wrote:\n> q"))), &[placed(), second]);
    assert!(output.ends_with("Hi\n\nAda King\nACME Engines\n\nOn 1 Jan 2024, Bob wrote:\n> q\n\nLegal notice text\n"), "{output}");
}

#[test]
fn right_to_left_signatures_say_so() {
    let output = edit_with(&mail(&leaf("text/html", "<p>x</p>")), &[with_text("<p class=\"x\">שלום עולם</p>", "x")]);
    assert!(output.contains("dir=\"rtl\"") && output.contains("text-align:right"));
}

#[test]
fn marks_count_in_the_authored_zone_only() {
    let own = "<div class=\"signet-signature-1\"><a name=\"signet-signature-1\"></a><p>Ada King, ACME Engines</p></div>";
    let quoted = own.replace("signet", "x_signet");
    let fresh = message(&html_mail(REPLY, &format!("<body><p>x</p><div id=\"appendonsend\"></div><div>{quoted}</div></body>")));
    assert!(!fresh.already_signed() && !fresh.already_contains(&fragment()));
    let quoted = message(&html_mail(REPLY, &format!("<body><p>x</p><blockquote type=cite>{own}</blockquote></body>")));
    assert!(!quoted.already_signed());
    assert!(insert(&quoted, &[placed(), at_end()], &marks()).is_ok());
    let signed = message(&html_mail(REPLY, &format!("<body><p>x</p>{own}<div id=\"appendonsend\"></div></body>")));
    assert!(signed.already_signed() && signed.already_contains(&fragment()));
    // An editor that keeps anchors only.
    let kept = own.replace("class=\"signet-signature-1\"", "class=\"x\"");
    assert!(message(&html_mail("", &kept)).already_signed());
    // Without any mark, by its words.
    assert!(message(&html_mail("", "<p>Hi</p><p>Ada&nbsp;King,<br>ACME Engines</p>")).already_contains(&fragment()));
}

#[test]
fn facts_about_the_message() {
    let text =
        "Subject: =?utf-8?q?Z=C3=BCrich?=\n again\nX-Tag: one\nx-tag: two\nIn-Reply-To: <x>\n\nHello\n\nOn 1 Jan 2024, Bob wrote:\n> q\n";
    let message = message(text);
    assert_eq!(message.subject(), "Zürich again");
    assert_eq!(message.headers("X-TAG"), ["one", "two"]);
    assert_eq!(message.authored_text(100), "Hello");
    assert_eq!(message.authored_text(3), "Hel");
    assert_eq!((message.kind(), message.format()), (Kind::Reply, Some(Format::Plain)));
    assert_eq!((message.part_count(), message.attachments()), (1, 0));
}

#[test]
fn parts_are_read_in_windows() {
    let data: Vec<u8> = (0..5_000u32).map(|number| (number % 251) as u8).collect();
    let encoded = String::from_utf8(encoding::base64::encode(&data)).unwrap();
    let text = mail(&multipart(
        "mixed",
        "b",
        &[leaf("text/plain", "x"), format!("Content-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\n{encoded}")],
    ));
    let message = message(&text);
    assert_eq!(
        message.part_info(1),
        Some(PartInfo { media_type: "application/pdf".to_owned(), name: Some("a.pdf".to_owned()), size: 5_000, attachment: true })
    );
    for (offset, length) in [(0, 10), (1, 1), (56, 3), (57, 100), (4_990, 100), (5_000, 1), (9_999, 1)] {
        let expected = &data[offset.min(5_000)..(offset + length).min(5_000)];
        assert_eq!(message.read_part(1, offset as u64, length), expected, "{offset}");
    }
    assert_eq!(message.part_info(2), None);
}
