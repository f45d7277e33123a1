//! Whatever a renderer answers, the message stays the message: the same parts, one regular header section, no line that mail cannot carry.

use proptest::prelude::*;

use super::*;
use crate::header::{fields, is_regular};

const BODIES: [&str; 6] = [
    "Content-Type: text/plain; charset=utf-8\n\nHello.\n\nOn Mon, Bob wrote:\n> Hi\n",
    "Content-Type: text/plain\n\nHello.\n",
    "Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n<p>Gr=FC=DFe</p>\n",
    "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\nPHA+SGVsbG88L3A+PGRpdj5ieWU8L2Rpdj4=\n",
    "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=us-ascii\n\nHello = you\n--b\nContent-Type: text/html\n\n<p>Hello</p>\n--b--\n",
    "Content-Type: multipart/mixed; boundary=\"b b\"\n\n--b b\nContent-Type: text/plain; charset=utf-8; format=flowed\n\nHello \nthere\n--b b\nContent-Type: application/pdf; name=x.pdf\nContent-Transfer-Encoding: base64\n\nAAAA\n--b b--\n",
];

/// What could end a line, a part, a header section or an element.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "Ada King",
        "\r\n",
        "\n",
        "\r",
        "\0",
        "--b",
        "\r\n--b--\r\n",
        "\n--b b\n",
        "\r\n\r\nSubject: x\r\n",
        "From: x",
        ".",
        "\r\n.\r\n",
        "=",
        "=3D",
        "ü",
        "Кинг",
        "😀",
        "-- \n",
        "> ",
        " ",
        "\t",
        "&lt;",
        "\u{2028}",
        "\u{202e}",
        "\u{b}",
        "\u{c}",
        "a@b.example",
    ]);
    prop::collection::vec(pieces, 1..20).prop_map(|pieces| pieces.concat())
}

/// Media types of all parts, but those of our own wrapper.
fn parts(message: &Message) -> Vec<String> {
    let own = |part: &&structure::Part| part.parameter("boundary").is_some_and(|boundary| boundary.starts_with("=_signet_"));
    message.structure.parts.iter().filter(|part| !own(part)).map(|part| part.media_type.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_fragment_leaves_parts_fields_and_lines_as_they_have_to_be(
        body in prop::sample::select(BODIES.to_vec()),
        text in hostile(),
        inner in hostile(),
        end in any::<bool>(),
    ) {
        let message = message(&format!("From: a@acme.example\nSubject: x\nMIME-Version: 1.0\n{body}"));
        let html = format!("<div>{}</div>", inner.replace('<', "&lt;").replace('\0', ""));
        let placed = Placed { placement: if end { Placement::End } else { Placement::NewestReply }, ..with_text(&html, &text) };
        let before = parts(&message);
        if let Ok(edited) = insert(&message, &[placed], &marks()) {
            let output = output(&edited);
            let again = Message::parse(Bytes::from(output.clone()));
            prop_assert_eq!(parts(&again), before, "{}", String::from_utf8_lossy(&output));
            prop_assert!(again.class() == Class::Editable, "{}", String::from_utf8_lossy(&output));
            let end = crate::header::body_start(&output);
            prop_assert!(is_regular(&output[..end]));
            prop_assert_eq!(fields(&output).filter(|field| field.is("subject")).count(), 1);
            prop_assert!(!output.contains(&0), "a NUL");
            let lines = output.split(|&octet| octet == b'\n');
            prop_assert!(lines.clone().all(|line| line.len() <= 999), "a long line");
            let bare = output.windows(2).any(|pair| (pair[0] == b'\r') != (pair[1] == b'\n') && (pair[0] == b'\r' || pair[1] == b'\n'));
            prop_assert!(!bare, "a bare CR or LF in {}", String::from_utf8_lossy(&output));
        }
    }
}
