use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proptest::prelude::*;

use super::canonical::BodyHash;
use super::{Key, LoopToken, Parts, Removed, SealError, Sealed, Settings, seal_parts};
use crate::header::{body_start, fields};
use crate::tenant::TenantId;
use crate::verify::tests::support::{Zone, accepted, ed25519_pem, key, key_record, policy, rsa_pem};
use crate::verify::{Alignment, Unaligned, Verified, verify};

const HEADER: &str = "Received: from x by y; z\r\nFrom: Ann <ann@contoso.example>\r\nTo: bob@elsewhere.example\r\nSUBJECT: one\r\n  two\r\nMessage-ID: <1@contoso.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n";
const BODY: &str = "\r\nHello,  world \r\n\r\n \t\r\n";

fn now() -> SystemTime {
    // mail-auth compares with the system's clock, so a fixed time would age.
    SystemTime::now() - Duration::from_secs(5)
}

fn settings() -> Settings {
    Settings {
        hostname: "mx.signet.example".to_owned(),
        authserv_id: "mx.signet.example".to_owned(),
        arc: Some(key(rsa_pem(), "signet.example", "arc")),
        dkim: vec![key(rsa_pem(), "contoso.example", "s1")],
        arc_enabled: true,
        loop_token: None,
        maximum_hops: 30,
        private_fields: Vec::new(),
    }
}

async fn zone() -> Zone {
    Zone::start([
        "contoso.example TXT v=spf1 ip4:192.0.2.1 -all".to_owned(),
        "_dmarc.contoso.example TXT v=DMARC1; p=reject".to_owned(),
        key_record(rsa_pem(), "contoso.example", "s1"),
        key_record(ed25519_pem(), "contoso.example", "s2"),
        key_record(rsa_pem(), "signet.example", "arc"),
        key_record(rsa_pem(), "trusted.example", "arc"),
        key_record(rsa_pem(), "other.example", "s1"),
    ])
    .await
}

async fn check(zone: &Zone, reverse_path: &str, content: impl Into<Bytes>, trusted: &[&str]) -> Verified {
    let message = accepted("out.contoso.example", reverse_path, &["bob@elsewhere.example", "carol@elsewhere.example"], content);
    verify(message, &zone.resolver(), &policy(Unaligned::RelayUnsigned, trusted)).await
}

/// The message as it is, or with a line added and cut into small pieces.
fn sealed(verified: &Verified, settings: &Settings, edited: bool) -> Result<Sealed, SealError> {
    let content = &verified.accepted().content;
    let split = body_start(content);
    let mut body = vec![content.slice(split..)];
    if edited {
        body.push(Bytes::from_static(b"-- \r\nThe company\r\n"));
        body = body.iter().flat_map(|piece| (0..piece.len()).step_by(3).map(|at| piece.slice(at..(at + 3).min(piece.len())))).collect();
    }
    let parts = Parts { recipients: &[0], header: &content.slice(..split), body: &body, edited };
    seal_parts(&parts, verified, settings, now())
}

fn joined(sealed: &Sealed) -> Bytes {
    let octets = sealed.pieces().concat();
    assert_eq!(octets.len(), sealed.len());
    octets.into()
}

fn names(content: &[u8]) -> Vec<String> {
    fields(content).map(|field| String::from_utf8_lossy(field.name).into_owned()).collect()
}

#[tokio::test]
async fn our_fields_stand_above_an_unedited_message_whose_octets_are_untouched() {
    let zone = zone().await;
    let content = format!("{HEADER}{BODY}");
    let verified = check(&zone, "ann@contoso.example", content.clone(), &[]).await;
    let sealed = sealed(&verified, &settings(), false).unwrap();
    let output = joined(&sealed);
    assert!(output.ends_with(content.as_bytes()));
    let original = verified.accepted().content.as_ptr_range();
    assert!(sealed.pieces()[1..].iter().all(|piece| original.contains(&piece.as_ptr())), "nothing was copied");
    let ours = &names(&output)[..6];
    assert_eq!(
        ours,
        ["Received", "Authentication-Results", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results", "DKIM-Signature"]
    );
    assert_eq!(sealed.seals(), ["dkim=contoso.example/s1", "arc=1"]);
    assert_eq!((sealed.recipients(), sealed.removed()), (&[0][..], Removed::default()));
}

#[tokio::test]
async fn what_we_seal_verifies_whatever_the_body_is() {
    let zone = zone().await;
    for (header, body) in [
        (HEADER, BODY),
        (HEADER, "\r\n"),
        (HEADER, ""),
        (HEADER, "\r\n\r\n\r\n"),
        (HEADER, "\r\n \t \r\n\t\r\n"),
        (HEADER, "\r\n trailing  \r\n"),
        (HEADER, "\r\nno final line end"),
        ("From: ann@contoso.example\r\n", "\r\nx\r\n"),
        ("From:ann@contoso.example\r\nSubject: \u{fc}ber\r\nCc:\r\nCc: two\r\nreply-TO:  x \r\n", "\r\n\u{fc}\r\n"),
        ("From: ann@contoso.example\r\nList-Unsubscribe: <https://x.example>\r\nReferences: <a@b>\r\n <c@d>\r\n\t<e@f>\r\n", "\r\nx\r\n"),
    ] {
        for edited in [false, true] {
            let verified = check(&zone, "ann@contoso.example", format!("{header}{body}"), &[]).await;
            let sealed = sealed(&verified, &settings(), edited && body.len() > 1).unwrap();
            let again = check(&zone, "x@elsewhere.example", joined(&sealed), &[]).await;
            let words = again.authentication();
            assert_eq!((words.dkim, words.arc, words.dmarc), ("pass", "pass", "pass"), "{header:?} {body:?} {}", again.results());
        }
    }
}

#[tokio::test]
async fn a_header_field_added_or_changed_later_breaks_the_seal() {
    let zone = zone().await;
    let verified = check(&zone, "ann@contoso.example", format!("{HEADER}{BODY}"), &[]).await;
    let output = String::from_utf8(joined(&sealed(&verified, &settings(), true).unwrap()).to_vec()).unwrap();
    for added in ["Subject: other", "Reply-To: eve@evil.example", "Cc: x@y.example", "Content-Type: text/html", "To: x@y.example"] {
        let again = check(&zone, "x@elsewhere.example", format!("{added}\r\n{output}"), &[]).await;
        assert_ne!(again.authentication().dkim, "pass", "{added}");
        assert_eq!(again.authentication().arc, "fail", "{added}");
    }
    let harmless = check(&zone, "x@elsewhere.example", format!("Received: later\r\nX-MS-Exchange-Foo: bar\r\n{output}"), &[]).await;
    assert_eq!((harmless.authentication().dkim, harmless.authentication().arc), ("pass", "pass"));
}

#[tokio::test]
async fn nothing_is_signed_where_verifiers_disagree_on_what_the_fields_are() {
    let zone = zone().await;
    for content in [
        format!("{HEADER}a line of text\r\n{BODY}"),
        format!("{HEADER}a line of text ends the fields\r\nand no empty line follows\r\n"),
        format!("{HEADER}X-Two words: 1\r\n{BODY}"),
    ] {
        let verified = check(&zone, "ann@contoso.example", content.clone(), &[]).await;
        let sealed = sealed(&verified, &settings(), false).unwrap();
        assert_eq!((sealed.seals(), sealed.unsealed()), (&[][..], Some("damaged-header")));
        let output = joined(&sealed);
        assert!(output.ends_with(content.as_bytes()));
        assert_eq!(names(&output)[..3], ["Received", "Authentication-Results", "Received"]);
    }
}

#[tokio::test]
async fn an_ed25519_key_signs_next_to_rsa() {
    let zone = zone().await;
    let verified = check(&zone, "ann@contoso.example", format!("{HEADER}{BODY}"), &[]).await;
    let mut settings = settings();
    settings.dkim.push(key(ed25519_pem(), "contoso.example", "s2"));
    let sealed = sealed(&verified, &settings, true).unwrap();
    assert_eq!(sealed.seals(), ["dkim=contoso.example/s1", "dkim=contoso.example/s2", "arc=1"]);
    let again = check(&zone, "x@elsewhere.example", joined(&sealed), &[]).await;
    assert_eq!(again.results().matches("dkim=pass").count(), 2, "{}", again.results());
}

#[tokio::test]
async fn only_the_authors_own_domain_signs_and_only_when_it_is_proven() {
    let zone = zone().await;
    let proven = check(&zone, "ann@contoso.example", format!("{HEADER}{BODY}"), &[]).await;
    let mut other = settings();
    other.dkim = vec![key(rsa_pem(), "other.example", "s1"), key(rsa_pem(), "sub.contoso.example", "s1")];
    assert_eq!(sealed(&proven, &other, true).unwrap().seals(), ["arc=1"]);

    let spoofed = check(&zone, "eve@evil.example", format!("{HEADER}{BODY}"), &[]).await;
    assert!(!spoofed.aligned());
    let output = sealed(&spoofed, &settings(), false).unwrap();
    assert_eq!(output.seals(), ["arc=1"]);
    let text = String::from_utf8(joined(&output).to_vec()).unwrap().replace("\r\n ", " ");
    assert!(text.contains("Authentication-Results: mx.signet.example; spf=none smtp.mailfrom=eve@evil.example"), "{text}");
    assert!(text.contains("dmarc=fail reason=\"no aligned SPF or DKIM pass\" header.from=contoso.example"), "{text}");

    let child = check(&zone, "ann@contoso.example", format!("From: x@sub.contoso.example\r\n{BODY}"), &[]).await;
    assert_eq!(sealed(&child, &settings(), true).unwrap().seals(), ["dkim=contoso.example/s1", "arc=1"]);
}

#[tokio::test]
async fn an_intact_dkim_signature_is_left_alone_and_a_broken_own_one_is_replaced() {
    let zone = zone().await;
    let first = check(&zone, "ann@contoso.example", format!("{HEADER}{BODY}"), &[]).await;
    let mut no_arc = settings();
    no_arc.arc_enabled = false;
    let once = joined(&sealed(&first, &no_arc, false).unwrap());
    let once = String::from_utf8(once.to_vec()).unwrap();
    let foreign = "DKIM-Signature: v=1; a=rsa-sha256; d=list.example; s=x; h=from; bh=AAAA; b=AAAA\r\n";
    let again = check(&zone, "ann@contoso.example", format!("{foreign}{once}"), &[]).await;
    assert!(again.dkim_aligned());

    let intact = sealed(&again, &no_arc, false).unwrap();
    assert!(intact.seals().is_empty());
    assert_eq!(intact.removed().replaced_dkim, 0);

    let edited = sealed(&again, &no_arc, true).unwrap();
    assert_eq!(edited.removed().replaced_dkim, 1);
    let output = String::from_utf8(joined(&edited).to_vec()).unwrap();
    assert_eq!(output.matches(" d=contoso.example;").count(), 1);
    assert!(output.contains(foreign));
}

#[tokio::test]
async fn chains_grow_and_the_word_of_a_trusted_sealer_counts() {
    let zone = zone().await;
    let mut at_trusted = settings();
    at_trusted.arc = Some(key(rsa_pem(), "trusted.example", "arc"));
    at_trusted.authserv_id = "mx.trusted.example".to_owned();
    at_trusted.dkim.clear();
    let first = check(&zone, "ann@contoso.example", format!("{HEADER}{BODY}"), &[]).await;
    let one = joined(&sealed(&first, &at_trusted, true).unwrap());

    for (trusted, alignment) in [
        (&["trusted.example"][..], Alignment::By("arc")),
        (&["example"], Alignment::By("arc")),
        (&["other.example"], Alignment::Not("no aligned SPF or DKIM pass")),
        (&[], Alignment::Not("no aligned SPF or DKIM pass")),
    ] {
        let second = check(&zone, "x@forwarder.example", one.clone(), trusted).await;
        assert_eq!((second.alignment(), second.authentication().arc), (&alignment, "pass"), "{trusted:?}");
    }

    let second = check(&zone, "x@forwarder.example", one.clone(), &["trusted.example"]).await;
    assert!(second.results().contains("reason=\"accepted on the word of ARC sealer trusted.example\""));
    let two = sealed(&second, &settings(), true).unwrap();
    assert_eq!(two.seals(), ["dkim=contoso.example/s1", "arc=2"]);
    let two = joined(&two);
    let third = check(&zone, "x@forwarder.example", two.clone(), &["trusted.example"]).await;
    assert_eq!(third.authentication().arc, "pass", "{}", third.results());

    // A stranger who seals last may have changed anything: what the trusted sealer said before him counts no more.
    let mut stranger = settings();
    stranger.arc = Some(key(rsa_pem(), "other.example", "s1"));
    stranger.dkim.clear();
    let changed = String::from_utf8(one.to_vec()).unwrap().replace("Hello", "Pay me");
    let seen = check(&zone, "x@forwarder.example", one.clone(), &["trusted.example"]).await;
    let resealed = joined(&sealed(&seen, &stranger, true).unwrap());
    let last = check(&zone, "x@forwarder.example", resealed, &["trusted.example"]).await;
    assert_eq!((last.authentication().arc, last.aligned()), ("pass", false));
    let broken = check(&zone, "x@forwarder.example", changed, &["trusted.example"]).await;
    assert_eq!((broken.authentication().arc, broken.aligned()), ("fail", false));
}

#[tokio::test]
async fn a_failed_chain_gets_one_last_set_that_seals_only_itself() {
    let zone = zone().await;
    let first = check(&zone, "ann@contoso.example", format!("{HEADER}{BODY}"), &[]).await;
    let one = String::from_utf8(joined(&sealed(&first, &settings(), true).unwrap()).to_vec()).unwrap();
    let broken = check(&zone, "x@elsewhere.example", one.replace("Hello", "Hallo"), &[]).await;
    assert_eq!(broken.authentication().arc, "fail");
    let output = sealed(&broken, &settings(), false).unwrap();
    assert_eq!(output.seals(), ["arc=2"]);
    let two = joined(&output);
    assert!(String::from_utf8_lossy(&two).contains("cv=fail"));
    let after = check(&zone, "x@elsewhere.example", two, &[]).await;
    assert_eq!(after.authentication().arc, "fail");
    assert!(sealed(&after, &settings(), false).unwrap().seals().is_empty(), "nothing is added after cv=fail");
}

#[tokio::test]
async fn no_set_is_added_beyond_fifty_or_to_scattered_arc_fields() {
    let zone = zone().await;
    let set = |number: u32| {
        format!(
            "ARC-Seal: i={number}; a=rsa-sha256; cv=pass; d=x.example; s=s; b=AAAA\r\nARC-Message-Signature: i={number}; a=rsa-sha256; d=x.example; s=s; h=from; bh=AAAA; b=AAAA\r\nARC-Authentication-Results: i={number}; x.example; none\r\n"
        )
    };
    for prefix in [set(50), "ARC-Authentication-Results: i=1; x.example; none\r\n".to_owned(), "ARC-Seal: nonsense\r\n".to_owned()] {
        let verified = check(&zone, "ann@contoso.example", format!("{prefix}{HEADER}{BODY}"), &[]).await;
        assert_eq!(sealed(&verified, &settings(), true).unwrap().seals(), ["dkim=contoso.example/s1"], "{prefix}");
    }
}

#[tokio::test]
async fn no_set_is_added_when_dns_did_not_let_us_judge_the_chain() {
    let zone = zone().await;
    let first = check(&zone, "ann@contoso.example", format!("{HEADER}{BODY}"), &[]).await;
    let one = joined(&sealed(&first, &settings(), true).unwrap());
    let dead = crate::verify::tests::support::resolver("127.0.0.1:1".parse().unwrap());
    let message = accepted("out.contoso.example", "ann@contoso.example", &["b@c.example"], one);
    let unknown = verify(message, &dead, &policy(Unaligned::Sign, &[])).await;
    assert_eq!(unknown.authentication().arc, "temperror");
    let output = sealed(&unknown, &settings(), true).unwrap();
    assert_eq!(output.seals(), ["dkim=contoso.example/s1"]);
}

#[tokio::test]
async fn no_message_is_too_strange_to_be_sealed() {
    let zone = zone().await;
    let long = "x".repeat(5000);
    for header in [
        format!("DKIM-Signature: v=1; a=rsa-sha256; d={long}.example; s={long}; h=from; bh=AAAA; b=AAAA\r\n"),
        "DKIM-Signature: v=1; a=rsa-sha256; d=a\u{2028}b\u{85}c; s=\u{1}\u{7f}; h=from; bh=AAAA; b=AAAA\r\n".to_owned(),
        format!("{}From: ann@contoso.example\r\n", "Cc: a@b.example\r\n".repeat(3000)),
        format!("X: {long}\r\nno field at all\r\n"),
        " \r\n".to_owned(),
        String::new(),
    ] {
        let verified = check(&zone, "ann@contoso.example", format!("{header}{BODY}"), &[]).await;
        let output = joined(&sealed(&verified, &settings(), true).unwrap());
        let ours = output.len() - header.len() - BODY.len() - "-- \r\nThe company\r\n".len();
        assert!(output[..ours].split(|octet| *octet == b'\n').all(|line| line.len() <= 999));
    }
}

#[tokio::test]
async fn forged_results_and_private_fields_are_left_out_and_nothing_else() {
    let zone = zone().await;
    let forged = [
        "Authentication-Results: mx.signet.example; dmarc=pass header.from=contoso.example\r\n",
        "authentication-RESULTS : (comment)\r\n\tMX.SIGNET.example 1;\r\n dkim=pass\r\n",
        "Authentication-Results: \"mx.signet.example\"; spf=pass\r\n",
        "X-Proof: secret\r\n",
        "X-Signet-Loop: v=1; k=1; m=1\r\n",
        "X-Word: stolen\r\n",
    ];
    let honest = [
        "Authentication-Results: mx.microsoft.com 1; spf=pass\r\n",
        "ARC-Authentication-Results: i=1; mx.signet.example; spf=pass\r\n",
        "Authentication-Results-Original: mx.signet.example; spf=pass\r\n",
        "X-Proof-Of: nothing\r\n",
    ];
    let content = format!("{}{}{HEADER}{}{BODY}", forged[0], honest.concat(), forged[1..].concat());
    let verified = check(&zone, "ann@contoso.example", content, &[]).await;
    let word = Some(("X-Word".to_owned(), "horse".to_owned()));
    let mut settings = settings();
    settings.private_fields = vec!["x-proof".to_owned()];
    settings.loop_token = Some(LoopToken::new(&TenantId::new("contoso"), "X-Signet-Loop".to_owned(), &[7; 32], word).unwrap());
    let sealed = sealed(&verified, &settings, false).unwrap();
    assert_eq!(sealed.removed(), Removed { forged_results: 3, loop_tokens: 2, private_fields: 1, replaced_dkim: 0 });
    let output = String::from_utf8(joined(&sealed).to_vec()).unwrap();
    assert!(output.ends_with(&format!("{}{HEADER}{BODY}", honest.concat())), "{output}");
    assert_eq!(output.matches("X-Word: ").count(), 1);
    assert!(output.contains("\r\nX-Word: horse\r\n") && !output.contains("secret"));
    assert_eq!(settings.loop_token.as_ref().unwrap().check(output.as_bytes()), super::Pass::Proven);
}

#[tokio::test]
async fn the_recipient_is_named_only_when_there_is_one() {
    let zone = zone().await;
    let verified = check(&zone, "ann@contoso.example", format!("{HEADER}{BODY}"), &[]).await;
    let content = &verified.accepted().content;
    let split = body_start(content);
    for (recipients, named) in [(&[1][..], Some("for <carol@elsewhere.example>")), (&[0, 1], None)] {
        let parts = Parts { recipients, header: &content.slice(..split), body: &[content.slice(split..)], edited: false };
        let output = joined(&seal_parts(&parts, &verified, &settings(), now()).unwrap());
        let top = fields(&output).next().unwrap().text();
        assert_eq!(named.is_some_and(|named| top.contains(named)), named.is_some());
        assert_eq!(top.contains("elsewhere.example"), named.is_some(), "{top}");
    }
}

#[tokio::test]
async fn the_same_input_gives_the_same_octets() {
    let zone = zone().await;
    let verified = check(&zone, "ann@contoso.example", format!("{HEADER}{BODY}"), &[]).await;
    let content = &verified.accepted().content;
    let split = body_start(content);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let parts = Parts { recipients: &[0], header: &content.slice(..split), body: &[content.slice(split..)], edited: true };
    let once = joined(&seal_parts(&parts, &verified, &settings(), time).unwrap());
    assert_eq!(once, joined(&seal_parts(&parts, &verified, &settings(), time).unwrap()));
    assert!(String::from_utf8_lossy(&once).contains("t=1700000000"));
}

#[tokio::test]
async fn every_line_we_write_is_short_and_h_has_one_spelling() {
    let zone = zone().await;
    let verified = check(&zone, "ann@contoso.example", format!("{HEADER}{BODY}"), &[]).await;
    let output = joined(&sealed(&verified, &settings(), true).unwrap());
    let ours = output.len() - HEADER.len() - BODY.len() - "-- \r\nThe company\r\n".len();
    let ours = String::from_utf8(output[..ours].to_vec()).unwrap();
    assert!(ours.lines().all(|line| line.len() <= 78 && !line.trim().is_empty()), "{ours}");
    let signature = fields(ours.as_bytes()).find(|field| field.is("DKIM-Signature")).unwrap().text();
    assert!(signature.contains("h=From:From:To:To:Cc:Subject:Subject:Date:Date:"), "{signature}");
    assert!(!signature.contains("SUBJECT") && !signature.contains("l=") && !signature.contains("Received"));
}

#[test]
fn settings_that_cannot_seal_are_refused() {
    let ed = |domain| key(ed25519_pem(), domain, "s2");
    assert!(settings().check().is_ok());
    assert!(matches!(Settings { arc: Some(ed("signet.example")), ..settings() }.check(), Err(SealError::ArcKey(_))));
    assert!(matches!(Settings { arc: None, ..settings() }.check(), Err(SealError::NoArcKey)));
    assert!(Settings { arc: None, arc_enabled: false, ..settings() }.check().is_ok());
    assert!(matches!(Settings { dkim: vec![ed("contoso.example")], ..settings() }.check(), Err(SealError::OnlyEd25519(_))));
    let both: Vec<Arc<Key>> = vec![ed("contoso.example"), key(rsa_pem(), "contoso.example", "s1")];
    assert!(Settings { dkim: both, ..settings() }.check().is_ok());
    assert!(matches!(Settings { hostname: "a\r\nb".to_owned(), ..settings() }.check(), Err(SealError::Header(_))));
}

/// RFC 6376 section 3.4.4 as it reads, line by line.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let text: String = body.iter().map(|octet| char::from(*octet)).collect();
    let mut lines: Vec<String> = text.split("\r\n").map(ToOwned::to_owned).collect();
    for line in &mut lines {
        let mut reduced = String::new();
        for character in line.trim_end_matches([' ', '\t']).chars() {
            match character {
                ' ' | '\t' if reduced.ends_with(' ') => {}
                ' ' | '\t' => reduced.push(' '),
                other => reduced.push(other),
            }
        }
        *line = reduced;
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.iter().flat_map(|line| line.chars().map(|character| character as u8).chain(*b"\r\n")).collect()
}

proptest! {
    #[test]
    fn the_body_hash_does_not_depend_on_where_the_slices_are_cut(
        words in proptest::collection::vec(prop_oneof![Just("\r\n"), Just(" "), Just("\t"), Just("a"), Just("bc"), Just("\u{fc}"), Just("-"), Just("\r\n\r\n"), Just("=20")], 0..60),
        cuts in proptest::collection::vec(1usize..9, 1..80),
    ) {
        let body: Vec<u8> = words.concat().into_bytes();
        let mut hash = BodyHash::new();
        let mut rest = body.as_slice();
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            hash.update(head);
            rest = tail;
        }
        hash.update(rest);
        let expected = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &relaxed_body(&body));
        let found = hash.finish();
        prop_assert_eq!(&found[..], expected.as_ref());
    }
}
