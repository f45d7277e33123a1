//! Campaign banners below the signatures.

use super::*;

const RULES: &str = r#"
[[rule]]
name = "none"
skip = "asked for none"
message.subject-contains = "none"
[[rule]]
name = "full"
signature = "full"
message.kind = "new"
"#;

fn with(banners: &str) -> String {
    format!("{RULES}{banners}")
}

#[test]
fn a_banner_is_added_below_also_where_the_rule_stopped() {
    let rules = with("[[banner]]\nname = 'spring'\nsignature = 'b1'\nplacement = 'end'\n");
    let Outcome::Sign(stack) = outcomes(&rules, &facts()).remove(0).1 else { panic!() };
    assert_eq!(stack.iter().map(|choice| choice.id.as_str()).collect::<Vec<_>>(), ["full", "b1"]);
    assert_eq!(stack[1].placement, Placement::End);
}

#[test]
fn banners_need_a_signature_unless_they_do_not_and_never_come_where_a_rule_skips() {
    for (banner, subject, kind, expected) in [
        ("", "x", Kind::Reply, skip("no-rule-applied")),
        ("only-with-signature = false", "x", Kind::Reply, sign(["b"])),
        ("only-with-signature = false", "none", Kind::New, skip("asked for none")),
        ("", "x", Kind::New, sign(["full", "b"])),
        ("message.kind = 'reply'", "x", Kind::New, sign(["full"])),
        ("until = 2020-01-01", "x", Kind::New, sign(["full"])),
        ("sender.groups = 'board'", "x", Kind::New, sign(["full"])),
        ("except = [{ recipient.class = 'external' }]", "x", Kind::New, sign(["full"])),
        ("enabled = false", "x", Kind::New, sign(["full"])),
        ("signature = ['b', 'c']", "x", Kind::New, sign(["full", "b", "c"])),
        ("signature = 'full'", "x", Kind::New, sign(["full"])),
    ] {
        let signature = if banner.starts_with("signature") { "" } else { "signature = 'b'\n" };
        let rules = with(&format!("[[banner]]\nname = 'x'\n{signature}{banner}\n"));
        let facts = Facts { subject: subject.into(), kind, ..facts() };
        assert_eq!(outcomes(&rules, &facts), [(vec![0], expected)], "{banner}");
    }
}

#[test]
fn the_settings_limit_banners_and_priority_chooses() {
    let banners = "[[banner]]\nname='a'\nsignature='a'\n[[banner]]\nname='b'\nsignature='b'\npriority=5\n[[banner]]\nname='c'\nsignature='c'\npriority=5\nsender.groups='sales'\n";
    for (setting, expected) in [
        ("", &["full", "b"][..]),
        ("settings.banners = 0", &["full"][..]),
        ("settings.banners = 2", &["full", "b", "c"][..]),
        ("settings.banners = 3", &["full", "b", "c", "a"][..]),
    ] {
        let rules = format!("{setting}\n{}", with(banners));
        assert_eq!(outcomes(&rules, &facts()), [(vec![0], sign(expected.iter().copied()))], "{setting}");
    }
    assert_eq!(
        explained(&with(banners), &facts())[2..],
        [
            "+ banner: b: has no conditions",
            "- banner: c: not added: the message has as many banners as the settings allow",
            "- banner: a: not added: the message has as many banners as the settings allow",
        ]
    );
}

#[test]
fn a_full_stack_has_no_room_for_a_banner() {
    let ids: Vec<String> = (0..8).map(|n| format!("'s{n}'")).collect();
    let rules = format!("[[rule]]\nname='a'\nsignature=[{}]\n[[banner]]\nname='b'\nsignature='b'\n", ids.join(","));
    let Outcome::Sign(stack) = outcomes(&rules, &facts()).remove(0).1 else { panic!() };
    assert_eq!(stack.len(), 8);
    assert_eq!(
        explained(&rules, &facts())[1],
        "- banner: b: not added: its signatures are there already, or the message has as many as it can carry"
    );
}

#[test]
fn a_banner_for_some_recipients_makes_a_copy_for_them() {
    let rules = with("[[banner]]\nname = 'x'\nsignature = 'b'\nrecipient.domains = 'customer.example'\n");
    let facts = to(&["a@other.example", "you@customer.example", "b@other.example"]);
    assert_eq!(outcomes(&rules, &facts), [(vec![0, 2], sign(["full"])), (vec![1], sign(["full", "b"]))]);
}

#[test]
fn a_banner_may_have_a_trigger() {
    let rules = with("[[banner]]\nname = 'x'\nsignature = 'b'\nmessage.trigger = '#fair'\nremove-trigger = true\n");
    let facts = Facts { subject: "Offer #fair".into(), ..facts() };
    let decision = decision(&rules, &facts);
    assert_eq!((decision.copies[0].outcome.clone(), decision.remove_from_subject), (sign(["full", "b"]), vec!["#fair".to_owned()]));
}

#[test]
fn banners_are_announced_and_counted_and_need_a_signature() {
    let files = [File { name: "a.toml".into(), content: with("[[banner]]\nname = 'x'\nsignature = 'b'\n") }];
    let (_, summary) = Rules::configure(&files).unwrap();
    assert_eq!((summary.rules, summary.signatures), (3, vec!["b".to_owned(), "full".to_owned()]));
    let found = findings(&with("[[banner]]\nname = 'x'\n"));
    assert_eq!(found, [r#"error rules.toml:10 banner[1].signature: is missing; for example `signature = "banner-spring"`"#]);
}
