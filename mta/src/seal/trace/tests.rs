use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Hops, hops, received};
use crate::message::Peer;
use crate::verify::tests::support::accepted;

fn text(change: impl FnOnce(&mut Peer), only: bool) -> String {
    let mut message = accepted("out.contoso.example", "ann@contoso.example", &["bob@elsewhere.example"], "From: x\r\n\r\n");
    let mut peer = Peer::clone(&message.peer);
    change(&mut peer);
    message.peer = Arc::new(peer);
    let path = message.envelope.recipients()[0].path.clone();
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let field = received(&message, "mx.signet.example", only.then_some(&path), now).unwrap();
    String::from_utf8(field).unwrap().replace("\r\n ", " ").replace("\r\n", "")
}

#[test]
fn received_says_who_how_when_and_for_whom() {
    assert_eq!(
        text(|_| {}, true),
        "Received: from out.contoso.example ([192.0.2.1]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384) by mx.signet.example with ESMTPS id m1 for <bob@elsewhere.example>; Tue, 14 Nov 2023 22:13:20 +0000"
    );
    assert!(!text(|_| {}, false).contains(" for "));
}

#[test]
fn the_with_word_follows_the_transaction() {
    for (word, change) in [
        ("with ESMTP id", (|peer| peer.tls = None) as fn(&mut Peer)),
        ("with ESMTPA id", |peer| (peer.tls, peer.login) = (None, Some("ann".into()))),
        ("with ESMTPSA id", |peer| peer.login = Some("ann".into())),
        ("with SMTP id", |peer| (peer.tls, peer.extended) = (None, false)),
    ] {
        assert!(text(change, false).contains(word), "{word}");
    }
}

#[test]
fn addresses_are_literals_and_a_helo_cannot_add_anything() {
    let v6 = text(|peer| peer.address = "[2001:db8::1]:25".parse().unwrap(), false);
    assert!(v6.contains("([IPv6:2001:db8::1])"));
    let mapped = text(|peer| peer.address = "[::ffff:192.0.2.9]:25".parse().unwrap(), false);
    assert!(mapped.contains("([192.0.2.9])"));
    for helo in ["", "a b", "x) by evil.example (y", "a;b", "a\r\nBcc: x", "ä.example", &"x".repeat(300)] {
        assert!(text(|peer| peer.helo = helo.to_owned(), false).starts_with("Received: from unknown (["), "{helo:?}");
    }
}

#[test]
fn received_fields_are_counted_with_ours_apart() {
    let content = "Received: from a by b.example with ESMTP; x\r\nReceived: from c ([1.2.3.4])\r\n\tBY MX.signet.example with ESMTPS id 1; y\r\nRECEIVED: by nowhere\r\nX: Received: z\r\n\r\nReceived: body\r\n";
    assert_eq!(hops(content.as_bytes(), "mx.signet.example"), Hops { received: 3, own: 1 });
}
