//! Properties that hold for every input.

use proptest::prelude::*;

use super::*;

fn exercise(content: Vec<u8>) {
    let message = Message::parse(Bytes::from(content));
    let _ =
        (message.kind(), message.format(), message.subject(), message.attachments(), message.already_signed(), message.authored_text(50));
    for index in 0..message.part_count().min(20) {
        let _ = (message.part_info(index), message.read_part(index, 1, 10));
    }
    for placed in [vec![placed()], vec![with_image(), at_end()]] {
        match insert(&message, &placed, &marks()) {
            Ok(edited) => {
                assert_eq!(without_additions(&edited, message.content()), message.content()[..]);
                let copy = Copy::edited(vec![0], edited.clone());
                assert_eq!(copy.len(), output(&edited).len());
            }
            Err(_) => assert_eq!(Copy::unedited(vec![0], &message, "x").len(), message.content().len()),
        }
    }
}

fn body() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "Hi",
        "\r\n",
        "> q\r\n",
        "On 1 Jan 2024, Bob wrote:\r\n",
        "<p>",
        "</p>",
        "<div id=appendonsend>",
        "<blockquote type=cite>",
        "</blockquote>",
        "<!--",
        "-->",
        "</body>",
        "=",
        "=20",
        "=\r\n",
        "<table><tr><td>",
        "</table>",
        "-- \r\n",
        "ä",
        "&nbsp;",
        "From: x\r\n",
        "Sent: y\r\n",
        "-----Original Message-----\r\n",
        "<hr>",
        "SGVs",
        "bG8=",
        "<title>",
        "--b\r\n",
    ]);
    prop::collection::vec(pieces, 0..14).prop_map(|pieces| pieces.concat())
}

fn leaf() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "text/plain",
        "text/html",
        "image/png",
        "text/plain; format=flowed",
        "message/rfc822",
        "application/pdf; name=x",
    ]);
    let charset = prop::sample::select(vec![
        "",
        "; charset=utf-8",
        "; charset=iso-8859-1",
        "; charset=utf-16",
        "; charset=iso-2022-jp",
        "; charset=\"us-ascii\"",
    ]);
    let encoding = prop::sample::select(vec![
        "",
        "Content-Transfer-Encoding: quoted-printable\r\n",
        "Content-Transfer-Encoding: base64\r\n",
        "Content-Transfer-Encoding: 8bit\r\n",
    ]);
    (kind, charset, encoding, body())
        .prop_map(|(kind, charset, encoding, body)| format!("Content-Type: {kind}{charset}\r\n{encoding}\r\n{body}"))
}

fn tree() -> impl Strategy<Value = String> {
    leaf().prop_recursive(3, 12, 4, |inner| {
        let kind = prop::sample::select(vec!["mixed", "alternative", "related"]);
        (kind, "[a-e]{2}", prop::collection::vec(inner, 1..4)).prop_map(|(kind, boundary, parts)| {
            let parts: String = parts.iter().map(|part| format!("--{boundary}\r\n{part}\r\n")).collect();
            format!("Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n{parts}--{boundary}--")
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_octets_are_survived(content in prop::collection::vec(any::<u8>(), 0..400)) {
        exercise(content);
    }

    #[test]
    fn any_text_with_mail_words_is_survived(content in "(Content-Type: |multipart/mixed|; boundary=b|\r\n|--b|text/html|<|>|=|a| ){0,60}") {
        exercise(content.into_bytes());
    }

    #[test]
    fn any_tree_keeps_its_octets(tree in tree(), reply in any::<bool>()) {
        let reply = if reply { "In-Reply-To: <x>\r\n" } else { "" };
        exercise(format!("{reply}MIME-Version: 1.0\r\n{tree}\r\n").into_bytes());
    }

    #[test]
    fn editing_twice_is_editing_once(tree in tree()) {
        let message = Message::parse(Bytes::from(format!("MIME-Version: 1.0\r\n{tree}\r\n")));
        if let Ok(edited) = insert(&message, &[placed()], &marks()) {
            let again = Message::parse(Bytes::from(output(&edited)));
            let second = insert(&again, &[placed()], &marks()).map(|edited| String::from_utf8_lossy(&output(&edited)).into_owned());
            prop_assert_eq!(second.map_err(|unedited| unedited.reason), Err("already-signed"));
        }
    }
}
