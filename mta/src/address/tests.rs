use proptest::prelude::*;

use super::*;

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

#[test]
fn domains_are_canonical() {
    for (text, canonical) in [
        ("Example.COM", "example.com"),
        ("localhost", "localhost"),
        ("r3---sn-abc.example", "r3---sn-abc.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[ipv6:2001:DB8::1]", "[IPv6:2001:db8::1]"),
        ("[IPv6:2001:db8:0:0:0:0:0:1]", "[IPv6:2001:db8::1]"),
    ] {
        assert_eq!(domain(text).as_str(), canonical, "{text}");
    }
}

#[test]
fn malformed_domains_are_refused() {
    let label = "a".repeat(64);
    let name = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join(".");
    for text in [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a_b",
        "a b",
        "a\0b",
        "a\r\nb",
        "xn--a",
        "ex\u{ad}ample .com",
        "a/b",
        "a@b",
        "<a>",
        &label,
        &name,
    ] {
        assert!(matches!(Domain::parse(text), Err(AddressError::Domain(_))), "{text:?}");
    }
    for text in ["[", "[]", "[192.0.2]", "[192.0.2.256]", "[2001:db8::1]", "[IPv6:]", "[IPv6:192.0.2.1]", "[tag:x]", "[192.0.2.1", "[a]b]"]
    {
        assert!(matches!(Domain::parse(text), Err(AddressError::Literal(_))), "{text:?}");
    }
    assert_eq!(Domain::parse(&"a".repeat(256)), Err(AddressError::LongDomain(256)));
}

#[test]
fn subdomains_end_at_a_dot() {
    let parent = domain("example.com");
    assert!(domain("example.com").is_same_or_subdomain_of(&parent));
    assert!(domain("a.b.EXAMPLE.com").is_same_or_subdomain_of(&parent));
    assert!(!domain("badexample.com").is_same_or_subdomain_of(&parent));
    assert!(!domain("com").is_same_or_subdomain_of(&parent));
    assert!(domain("[192.0.2.1]").is_same_or_subdomain_of(&domain("[192.0.2.1]")));
}

#[test]
fn mailboxes_keep_what_was_received() {
    for (text, local, domain, key) in [
        ("Joe@Example.COM", "Joe", "example.com", "joe@example.com"),
        ("a.b+c=d/e'f@example.com", "a.b+c=d/e'f", "example.com", "a.b+c=d/e'f@example.com"),
        ("\"Joe\"@example.com", "\"Joe\"", "example.com", "joe@example.com"),
        ("\"j\\oe\"@example.com", "\"j\\oe\"", "example.com", "joe@example.com"),
        ("\"j oe\"@example.com", "\"j oe\"", "example.com", "\"j oe\"@example.com"),
        ("\"a@b>c\"@example.com", "\"a@b>c\"", "example.com", "\"a@b>c\"@example.com"),
        ("\"\"@example.com", "\"\"", "example.com", "\"\"@example.com"),
        ("joe@[192.0.2.1]", "joe", "[192.0.2.1]", "joe@[192.0.2.1]"),
        ("Jörg@bücher.example", "Jörg", "xn--bcher-kva.example", "jörg@xn--bcher-kva.example"),
        ("用户@例子.example", "用户", "xn--fsqu00a.example", "用户@xn--fsqu00a.example"),
    ] {
        let mailbox = Mailbox::parse(text).unwrap();
        assert_eq!((mailbox.local(), mailbox.domain().as_str(), mailbox.as_str()), (local, domain, text));
        assert_eq!(mailbox.key(), key);
        assert_eq!(mailbox.is_ascii(), text.is_ascii());
    }
}

#[test]
fn malformed_mailboxes_are_refused() {
    for text in [
        "@example.com",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        "a b@example.com",
        "a\tb@example.com",
        "a\"b\"@example.com",
        "\"a\"b@example.com",
        "\"a@example.com",
        "\"a\\\"@example.com",
        "\"a\nb\"@example.com",
        "\"a\\\nb\"@example.com",
        "\"a\u{85}b\"@example.com",
        "a\u{2028}b@example.com",
        "a\u{202e}b@example.com",
        "a,b@example.com",
        "a:b@example.com",
        "a(b)@example.com",
        "a\\b@example.com",
        "a<b@example.com",
    ] {
        assert!(matches!(Mailbox::parse(text), Err(AddressError::LocalPart(_))), "{text:?}: {:?}", Mailbox::parse(text));
    }
    assert!(matches!(Mailbox::parse("joe"), Err(AddressError::NoAt(_))));
    assert!(matches!(Mailbox::parse("joe@"), Err(AddressError::Domain(_))));
    assert!(matches!(Mailbox::parse("a@b@example.com"), Err(AddressError::Domain(_))));
}

#[test]
fn lengths_are_limited_in_octets() {
    let at = |local: usize| format!("{}@example.com", "a".repeat(local));
    assert!(Mailbox::parse(&at(200)).is_ok());
    assert_eq!(Mailbox::parse(&format!("{}@b", "a".repeat(251))), Err(AddressError::LongLocalPart(251)));
    assert_eq!(Mailbox::parse(&format!("{}@b", "ä".repeat(126))), Err(AddressError::LongLocalPart(252)));
    let labels = |octets: usize| format!("{}.{}", vec!["b".repeat(50); 4].join("."), "c".repeat(octets - 204));
    assert!(Mailbox::parse(&format!("a@{}", labels(252))).is_ok());
    assert_eq!(Mailbox::parse(&format!("ab@{}", labels(252))), Err(AddressError::LongPath(257)));
}

#[test]
fn source_routes_are_ignored() {
    for text in ["@a.example,@b.example:joe@example.com", "@[IPv6:::1]:joe@example.com"] {
        assert_eq!(ReversePath::parse(text).unwrap().to_string(), "joe@example.com");
        assert_eq!(ForwardPath::parse(text).unwrap().to_string(), "joe@example.com");
    }
    for text in ["@a.example", "@a.example,b.example:joe@example.com", "@a.example,:joe@example.com"] {
        assert!(matches!(ReversePath::parse(text), Err(AddressError::SourceRoute(_))), "{text}");
    }
    assert!(ReversePath::parse("@a b:joe@example.com").is_err());
}

#[test]
fn paths_without_mailbox() {
    assert_eq!(ReversePath::parse(""), Ok(ReversePath::Null));
    assert_eq!(ReversePath::Null.to_string(), "");
    assert_eq!(ForwardPath::parse("postMaster"), Ok(ForwardPath::Postmaster));
    assert!(ForwardPath::parse("").is_err());
    assert!(ReversePath::parse("postmaster").is_err());
}

#[test]
fn a_path_ends_outside_quotes() {
    assert_eq!(split_path("<a@b> SIZE=1"), Ok(("a@b", " SIZE=1")));
    assert_eq!(split_path("<\"a>\\\"b\"@c>"), Ok(("\"a>\\\"b\"@c", "")));
    assert_eq!(split_path("<>"), Ok(("", "")));
    for text in ["", "a@b", "<a@b", "<\"a>b"] {
        assert!(matches!(split_path(text), Err(AddressError::Brackets(_))), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in "\\PC{0,80}") {
        let _result = Mailbox::parse(&text).map(|mailbox| mailbox.key());
        let _result = ReversePath::parse(&text);
        let _result = ForwardPath::parse(&text);
        let _result = split_path(&text);
    }

    #[test]
    fn a_mailbox_survives_the_round_trip(local in "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[a-z]{1,5})?|\"[ -!#-\\[\\]-~]{0,20}\"", host in "[a-z0-9]{1,10}(\\.[a-z]{2,5}){0,3}") {
        let text = format!("{local}@{host}");
        let mailbox = Mailbox::parse(&text).unwrap();
        prop_assert_eq!(mailbox.to_string(), &text[..]);
        prop_assert_eq!(mailbox.local(), local);
        let key = mailbox.key();
        prop_assert_eq!(Mailbox::parse(&key).unwrap().key(), key);
        let path = format!("<{text}> X");
        prop_assert_eq!(split_path(&path), Ok((&text[..], " X")));
    }

    #[test]
    fn canonical_domains_stay_as_they_are(text in "[a-zA-Z0-9äöüß例-]{1,12}(\\.[a-zé]{1,8}){0,3}") {
        if let Ok(domain) = Domain::parse(&text) {
            prop_assert_eq!(Domain::parse(domain.as_str()), Ok(domain));
        }
    }
}
