use proptest::prelude::*;

use super::{authserv_id, canonical, claims, pvalue, results};

const OURS: &str = "mx.signet.example";

#[test]
fn every_spelling_of_our_authserv_id_is_recognised() {
    for value in [
        " mx.signet.example; spf=pass",
        " mx.signet.example 1; spf=pass",
        "mx.signet.example;none",
        "MX.Signet.EXAMPLE; none",
        " (a comment) mx.signet.example (another (nested) one) ; none",
        "\r\n\tmx.signet.example\r\n\t1;\r\n\tnone",
        "\"mx.signet.example\"; none",
        "\"mx.sig\\net.example\"; none",
        "\"mx.\r\n signet.example\"; none".replace("\r\n ", "\r\n").as_str(),
        " mx.signet.example. ; none",
        " (\\)) mx.signet.example; none",
        "mx.signet.example",
        "mx.signet.example(no space);none",
        "mx.(split)signet.example; none",
        "\"mx\".signet.example; none",
        "mx.signet.example/1; none",
    ] {
        assert!(claims(value.as_bytes(), OURS), "{value:?}");
    }
}

#[test]
fn other_hosts_results_are_not_taken_for_ours() {
    for value in [
        "mx.example; spf=pass smtp.mailfrom=mx.signet.example",
        "notmx.signet.example; none",
        "mx.signet.example.evil.example; none",
        "(mx.signet.example) other.example; none",
        "spf=pass (mx.signet.example) smtp.mailfrom=mx.signet.example",
        "; mx.signet.example",
        "(mx.signet.example",
        "",
    ] {
        assert!(!claims(value.as_bytes(), OURS), "{value:?}");
    }
}

#[test]
fn international_names_are_compared_as_a_labels() {
    let ours = canonical("mx.xn--bcher-kva.example");
    assert!(claims("mx.bücher.example; none".as_bytes(), &ours));
    assert!(claims("MX.BÜCHER.EXAMPLE 1; none".as_bytes(), &ours));
    assert_eq!(canonical("mx.bücher.example"), ours);
}

#[test]
fn an_unclosed_comment_hides_what_follows_it_as_it_does_for_other_readers() {
    assert_eq!(authserv_id(b"(never closed mx.signet.example; none"), None);
    assert_eq!(authserv_id("(".repeat(100_000).as_bytes()), None);
}

#[test]
fn the_examples_of_rfc_8601_appendix_b_are_read() {
    let value = b" example.com;\r\n         spf=pass smtp.mailfrom=example.net";
    assert_eq!(authserv_id(value).as_deref(), Some("example.com"));
    let found = results(value, 1);
    assert_eq!(
        (found[0].method.as_str(), found[0].result.as_str(), found[0].property("smtp.mailfrom")),
        ("spf", "pass", Some("example.net"))
    );

    let value = b"example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=fail smtp.mailfrom=example.com";
    let found = results(value, 1);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].property("smtp.auth"), Some("sender@example.net"));
    assert_eq!(found[1].result, "fail");

    assert_eq!(results(b"example.org 1; none", 1), vec![]);

    // Appendix B.7: everything as complicated as the grammar allows.
    let value = b"foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot can go here) . (like that) expired (this surprised me) = (as I wasn't expecting it) 1362471462";
    assert_eq!(authserv_id(value).as_deref(), Some("foo.example.net"));
    assert!(claims(value, "foo.example.net"));

    let value = b"example.com; dkim=pass (good signature) header.d=mail-router.example.net; dkim=fail reason=\"bad; one\" header.d=newyork.example.com header.b=\"oINEO8hg\"";
    let found = results(value, 1);
    assert_eq!(found[1].property("reason"), Some("bad; one"));
    assert_eq!(found[1].property("header.b"), Some("oINEO8hg"));
}

#[test]
fn microsofts_arc_results_are_read() {
    let value = b"i=1; mx.microsoft.com 1; spf=pass\r\n smtp.mailfrom=contoso.com; dmarc=pass action=none header.from=contoso.com;\r\n dkim=pass header.d=contoso.com; arc=none";
    let found = results(value, 2);
    let words: Vec<_> = found.iter().map(|result| format!("{}={}", result.method, result.result)).collect();
    assert_eq!(words, ["spf=pass", "dmarc=pass", "dkim=pass", "arc=none"]);
    assert_eq!(found[1].property("header.from"), Some("contoso.com"));
}

#[test]
fn values_are_quoted_where_they_could_be_read_as_something_else() {
    for (value, expected) in [
        ("example.com", "example.com"),
        ("a@b.example", "a@b.example"),
        ("", "\"\""),
        ("two words", "\"two words\""),
        ("x; dkim=pass", "\"x; dkim=pass\""),
        ("a=b", "\"a=b\""),
        ("q\"q\\", "\"q\\\"q\\\\\""),
        ("a\r\nb", "\"ab\""),
        ("(c)", "\"(c)\""),
        ("2001:db8::1", "\"2001:db8::1\""),
        ("üser@b.example", "üser@b.example"),
        ("a\u{2028}b", "\"ab\""),
        (&"x".repeat(1000), &"x".repeat(320)),
    ] {
        assert_eq!(pvalue(value), expected);
    }
}

proptest! {
    #[test]
    fn readers_never_panic(value in proptest::collection::vec(prop_oneof![Just(b'('), Just(b')'), Just(b'"'), Just(b'\\'), Just(b'='), Just(b';'), any::<u8>()], 0..200)) {
        let _ = authserv_id(&value);
        let _ = results(&value, 1);
        let _ = claims(&value, OURS);
    }

    #[test]
    fn a_quoted_value_is_read_back(value in "[ -~]{1,60}") {
        let field = format!("{OURS}; dkim=pass header.d={}", pvalue(&value));
        let found = results(field.as_bytes(), 1);
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(found[0].property("header.d"), Some(value.as_str()));
    }
}
