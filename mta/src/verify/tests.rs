use std::time::{Duration, Instant};

use mail_auth::crypto::{RsaKey, Sha256};
use mail_auth::dkim::DkimSigner;
use mail_auth::headers::HeaderWriter as _;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::net::UdpSocket;

use self::support::{Zone, accepted, policy, resolver, rsa_pem};
use super::{Alignment, Decision, Unaligned, Verified, verify};
use crate::authentication_results;

pub(crate) mod support;

const FROM: &str = "From: Ann <ann@contoso.example>\r\nTo: bob@elsewhere.example\r\nSubject: s\r\n";
const BODY: &str = "\r\nHello\r\n";

fn signed(content: &str, domain: &str, partial: bool) -> String {
    let key = RsaKey::<Sha256>::from_key_der(PrivateKeyDer::from_pem_slice(rsa_pem().as_bytes()).unwrap()).unwrap();
    let signer = DkimSigner::from_key(key).domain(domain).selector("s1").headers(["From", "To", "Subject"]).body_length(partial);
    format!("{}{content}", signer.sign(content.as_bytes()).unwrap().to_header())
}

fn key_record(domain: &str) -> String {
    support::key_record(rsa_pem(), domain, "s1")
}

async fn check(zone: &Zone, reverse_path: &str, content: String) -> Verified {
    verify(
        accepted("out.contoso.example", reverse_path, &["bob@elsewhere.example"], content),
        &zone.resolver(),
        &policy(Unaligned::Reject, &[]),
    )
    .await
}

#[tokio::test]
async fn an_aligned_spf_pass_proves_the_author() {
    let zone = Zone::start(["contoso.example TXT v=spf1 ip4:192.0.2.0/24 -all", "_dmarc.contoso.example TXT v=DMARC1; p=reject"]).await;
    let verified = check(&zone, "ann@contoso.example", format!("{FROM}{BODY}")).await;
    let words = verified.authentication();
    assert_eq!((words.spf, words.dkim, words.dmarc, words.arc, words.aligned), ("pass", "none", "pass", "none", true));
    assert_eq!(verified.alignment(), &Alignment::By("spf"));
    assert_eq!(verified.decision(), Decision::Signable);
    assert_eq!(
        verified.results(),
        "spf=pass smtp.mailfrom=ann@contoso.example; dkim=none; dmarc=pass header.from=contoso.example; arc=none smtp.remote-ip=192.0.2.1"
    );
}

#[tokio::test]
async fn a_dkim_pass_proves_the_author_also_through_a_cname_and_over_tcp() {
    let record = key_record("contoso.example");
    let published = record.split_once(' ').unwrap().1;
    let padded = format!("{}; n={}", published, "x".repeat(1500));
    let cnamed = [
        "s1._domainkey.contoso.example CNAME s1-contoso._domainkey.provider.example.".to_owned(),
        format!("s1-contoso._domainkey.provider.example {published}"),
    ];
    for records in [vec![record.clone()], cnamed.to_vec(), vec![format!("s1._domainkey.contoso.example {padded}")]] {
        let zone = Zone::start(&records).await;
        let verified = check(&zone, "bounce@list.example", signed(&format!("{FROM}{BODY}"), "contoso.example", false)).await;
        assert_eq!(verified.authentication().dkim, "pass", "{}", verified.results());
        assert_eq!(verified.alignment(), &Alignment::By("dkim"));
        assert!(verified.dkim_aligned());
        assert!(verified.results().contains("dkim=pass header.d=contoso.example header.s=s1 header.b="));
    }
}

#[tokio::test]
async fn subdomains_are_aligned_where_dmarc_says_so_only() {
    let spf = "mail.contoso.example TXT v=spf1 ip4:192.0.2.1 -all";
    for (dmarc, aligned) in [(None, false), (Some("v=DMARC1; p=reject"), true), (Some("v=DMARC1; p=reject; aspf=s"), false)] {
        let records = std::iter::once(spf.to_owned()).chain(dmarc.map(|record| format!("_dmarc.contoso.example TXT {record}")));
        let zone = Zone::start(records).await;
        let verified = check(&zone, "ann@mail.contoso.example", format!("{FROM}{BODY}")).await;
        assert_eq!(verified.aligned(), aligned, "{dmarc:?}: {}", verified.results());
    }
}

#[tokio::test]
async fn the_policy_decides_about_unproven_authors() {
    let zone = Zone::start(["evil.example TXT v=spf1 ip4:192.0.2.1 -all", "_dmarc.contoso.example TXT v=DMARC1; p=none"]).await;
    let message = || accepted("out.evil.example", "x@evil.example", &["bob@elsewhere.example"], format!("{FROM}{BODY}"));
    let reason = "no aligned SPF or DKIM pass";
    for (unaligned, decision) in [
        (Unaligned::Reject, Decision::Reject(reason)),
        (Unaligned::RelayUnsigned, Decision::RelayUnsigned(reason)),
        (Unaligned::Sign, Decision::Signable),
    ] {
        let verified = verify(message(), &zone.resolver(), &policy(unaligned, &[])).await;
        assert_eq!(verified.decision(), decision);
        assert!(!verified.aligned());
        assert!(
            verified.results().contains("dmarc=fail reason=\"no aligned SPF or DKIM pass\" header.from=contoso.example"),
            "{}",
            verified.results()
        );
    }
}

#[tokio::test]
async fn the_null_reverse_path_is_checked_by_helo() {
    let zone = Zone::start(["out.contoso.example TXT v=spf1 ip4:192.0.2.1 -all", "_dmarc.contoso.example TXT v=DMARC1; p=reject"]).await;
    let verified = check(&zone, "", format!("{FROM}{BODY}")).await;
    assert_eq!(verified.authentication().spf, "pass");
    assert!(verified.aligned());
    assert!(verified.results().starts_with("spf=pass smtp.helo=out.contoso.example; "), "{}", verified.results());
}

#[tokio::test]
async fn a_dead_dns_server_is_a_temporary_error_and_no_hang() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let content = signed(&format!("{FROM}{BODY}"), "contoso.example", false);
    let started = Instant::now();
    let resolver = resolver(silent.local_addr().unwrap()).with_deadline(Duration::from_millis(200));
    let verified = verify(
        accepted("out.contoso.example", "ann@contoso.example", &["b@c.example"], content),
        &resolver,
        &policy(Unaligned::Reject, &[]),
    )
    .await;
    assert!(started.elapsed() < Duration::from_secs(8));
    let words = verified.authentication();
    assert_eq!((words.spf, words.dkim, words.dmarc, words.aligned), ("temperror", "temperror", "temperror", false));
    assert_eq!(verified.decision(), Decision::Defer("a check could not be finished"));
}

#[tokio::test]
async fn a_from_that_names_no_single_author_is_not_aligned() {
    let zone = Zone::start(["contoso.example TXT v=spf1 ip4:192.0.2.1 -all"]).await;
    for (header, reason) in [
        ("To: x@y.example\r\n", "no From field"),
        ("From: ann@contoso.example\r\nFrom: ann@contoso.example\r\n", "several From fields"),
        ("From: ann@contoso.example, eve@evil.example\r\n", "several addresses in From"),
        ("From: team: ann@contoso.example;\r\n", "a group in From"),
        ("From: ann@contoso.example <eve@evil.example\r\n", "malformed From"),
        ("From:\r\n", "malformed From"),
    ] {
        let verified = check(&zone, "ann@contoso.example", format!("{header}{BODY}")).await;
        assert_eq!(verified.alignment(), &Alignment::Not(reason), "{header:?}");
        assert_eq!(verified.from_domain(), None);
        assert!(verified.results().contains(&format!("reason=\"{reason}\"")));
    }
    let empty = check(&zone, "ann@contoso.example", "\r\n".to_owned()).await;
    assert!(!empty.aligned());
}

#[tokio::test]
async fn a_dkim_signature_over_a_part_of_the_body_does_not_count() {
    let zone = Zone::start([key_record("contoso.example")]).await;
    let content = signed(&format!("{FROM}{BODY}"), "contoso.example", true);
    assert!(content.contains("l=7"));
    for content in [content.clone(), format!("{content}appended\r\n")] {
        let verified = check(&zone, "x@elsewhere.example", content).await;
        assert_eq!(verified.alignment(), &Alignment::Not("a DKIM signature with l= does not count"));
        assert!(verified.results().contains("dkim=neutral reason=\"l= does not count\""), "{}", verified.results());
    }
}

#[tokio::test]
async fn a_changed_body_and_a_foreign_key_do_not_pass() {
    let zone = Zone::start([key_record("contoso.example"), key_record("evil.example")]).await;
    let good = signed(&format!("{FROM}{BODY}"), "contoso.example", false);
    let changed = check(&zone, "x@elsewhere.example", good.replace("Hello", "Hallo")).await;
    assert!(changed.results().contains("dkim=neutral reason=\"body hash did not verify\""), "{}", changed.results());
    let changed = check(&zone, "x@elsewhere.example", good.replace("Subject: s", "Subject: t")).await;
    assert!(changed.results().contains("dkim=fail"), "{}", changed.results());
    let foreign = check(&zone, "x@elsewhere.example", signed(&format!("{FROM}{BODY}"), "evil.example", false)).await;
    assert_eq!((foreign.authentication().dkim, foreign.aligned()), ("pass", false));
}

#[tokio::test]
async fn answers_are_cached_and_a_stranger_cannot_spoil_them() {
    let zone = Zone::start([
        key_record("contoso.example"),
        "contoso.example TXT v=spf1 ip4:192.0.2.1 -all".to_owned(),
        "evil.example TXT v=spf1 redirect=s1._domainkey.contoso.example".to_owned(),
        "evil2.example TXT v=spf1 -all exp=contoso.example".to_owned(),
    ])
    .await;
    let resolver = zone.resolver();
    let policy = policy(Unaligned::Reject, &[]);
    for sender in ["eve@evil.example", "eve@evil2.example"] {
        verify(accepted("a.example", sender, &["b@c.example"], format!("{FROM}{BODY}")), &resolver, &policy).await;
    }
    let good =
        || accepted("a.example", "ann@contoso.example", &["b@c.example"], signed(&format!("{FROM}{BODY}"), "contoso.example", false));
    for _ in 0..2 {
        let words = verify(good(), &resolver, &policy).await.authentication();
        assert_eq!((words.spf, words.dkim), ("pass", "pass"));
    }
    let asked = zone.queries();
    assert_eq!(verify(good(), &resolver, &policy).await.authentication().dkim, "pass");
    assert_eq!(zone.queries(), asked, "everything, what is not there included, comes from the cache");
}

#[tokio::test]
async fn a_flood_of_dkim_signatures_costs_no_more_than_ten_and_never_the_authors_own() {
    let own = signed(&format!("{FROM}{BODY}"), "contoso.example", false);
    let records: Vec<_> = (0..40).map(|number| key_record(&format!("d{number}.example"))).chain([key_record("contoso.example")]).collect();
    let zone = Zone::start(&records).await;
    let mut content = own;
    for number in 0..40 {
        let added = signed(&format!("{FROM}{BODY}"), &format!("d{number}.example"), false);
        content = format!("{}{content}", &added[..added.len() - FROM.len() - BODY.len()]);
    }
    let verified = check(&zone, "x@elsewhere.example", content).await;
    assert_eq!(verified.alignment(), &Alignment::By("dkim"));
    assert!(verified.results().matches("dkim=").count() <= 10, "{}", verified.results());
    assert!(zone.queries() < 25, "{}", zone.queries());
}

#[tokio::test]
async fn nothing_from_outside_can_add_a_result() {
    let zone = Zone::start(["contoso.example TXT v=spf1 -all"]).await;
    let helo = "x; dkim=pass header.d=contoso.example";
    let message =
        accepted(helo, "\"a; dkim=pass\\\" header.d=contoso.example; b=\"@contoso.example", &["b@c.example"], format!("{FROM}{BODY}"));
    let verified = verify(message, &zone.resolver(), &policy(Unaligned::Reject, &[])).await;
    let value = format!("mx.signet.example; {}", verified.results());
    let methods: Vec<_> = authentication_results::results(value.as_bytes(), 1)
        .into_iter()
        .map(|result| format!("{}={}", result.method, result.result))
        .collect();
    assert_eq!(methods, ["spf=fail", "dkim=none", "dmarc=none", "arc=none"], "{value}");
}

#[tokio::test]
async fn a_large_message_is_checked_on_another_thread_with_the_same_result() {
    let zone = Zone::start([key_record("contoso.example")]).await;
    let content = format!("{FROM}\r\n{}", "0123456789012345678901234567890123456789\r\n".repeat(10_000));
    let verified = check(&zone, "x@elsewhere.example", signed(&content, "contoso.example", false)).await;
    assert_eq!(verified.alignment(), &Alignment::By("dkim"));
}
