//! Conditions about the message and its recipients, and what joins them.

use super::*;

fn with_header(name: &str, value: &str) -> Facts {
    Facts { headers: vec![Header { name: name.into(), value: value.into() }], ..facts() }
}

#[test]
fn conditions_are_joined_with_and_or_not() {
    for (when, expected) in [
        ("any = [{ message.kind = 'reply' }, { sender.groups = 'sales' }]", true),
        ("any = [{ message.kind = 'reply' }, { sender.groups = 'board' }]", false),
        ("all = [{ message.kind = 'new' }, { sender.groups = 'sales' }]", true),
        ("all = [{ message.kind = 'new' }, { sender.groups = 'board' }]", false),
        ("not = { message.kind = 'reply' }", true),
        ("not = { message.kind = 'new' }", false),
        // All keys of a negated table together.
        ("not = { message.kind = 'new', sender.groups = 'board' }", true),
        ("any = [{ message.kind = 'reply' }, { all = [{ message.kind = 'new' }, { not = { sender.groups = 'board' } }] }]", true),
        ("any = [{ message.kind = 'reply' }, { all = [{ message.kind = 'new' }, { not = { sender.groups = 'sales' } }] }]", false),
        ("message.kind = 'new'\nany = [{ recipient.class = 'internal' }, { recipient.domains = 'customer.example' }]", true),
        ("message.kind = 'reply'\nany = [{ recipient.class = 'internal' }, { recipient.domains = 'customer.example' }]", false),
    ] {
        assert_eq!(applies(&format!("[rule.when]\n{when}"), &facts()), expected, "{when}");
        assert_eq!(applies(&format!("[[rule.except]]\n{when}"), &facts()), !expected, "except {when}");
    }
    assert!(!applies("message.kind = 'reply'\n[rule.when]\nany = [{ message.kind = 'new' }]", &facts()), "the keys beside it count, too");
}

#[test]
fn a_nested_condition_on_recipients_is_decided_for_each() {
    let rules = "[[rule]]\nname = 'a'\nsignature = 's'\n\
                 when.any = [{ recipient.class = 'internal' }, { recipient.domains = 'partner.example' }]\n";
    let facts = to(&["bob@northwind.example", "you@customer.example", "pat@partner.example"]);
    assert_eq!(outcomes(rules, &facts), [(vec![0, 2], sign(["s"])), (vec![1], skip("no-rule-applied"))]);
}

#[test]
fn what_cannot_be_known_is_not_turned_into_its_opposite() {
    let mut unknown = facts();
    unknown.sender.attributes.clear();
    unknown.sender.groups.clear();
    for (condition, expected) in [
        ("when.not = { sender.groups = 'board' }", false),
        ("when.any = [{ sender.groups = 'board' }, { sender.known = false }]", true),
        ("when.not = { sender.groups = 'board', message.kind = 'reply' }", true),
        ("[[rule.except]]\nsender.groups = 'board'\nmessage.kind = 'new'", false),
        ("[[rule.except]]\nsender.groups = 'board'\nmessage.kind = 'reply'", true),
    ] {
        assert_eq!(applies(condition, &unknown), expected, "{condition}");
    }
    let mut cousin = facts();
    cousin.recipients[0].class = RecipientClass::Other("cousin".into());
    for condition in ["when.not = { recipient.class = 'external' }", "recipients.none.class = 'external'"] {
        assert!(!applies(condition, &cousin), "{condition}");
    }
    let why = explained("[[rule]]\nname = 'a'\nsignature = 's'\nwhen.not = { recipient.class = 'external' }\n", &cousin);
    assert_eq!(why, [r#"- a: not (recipient: recipients of the class "cousin" are not known here)"#]);
    let why = explained("[[rule]]\nname = 'a'\nsignature = 's'\n[[rule.except]]\nsender.groups = 'x'\n", &unknown);
    let address = r#""ada.king@northwind.example""#;
    assert_eq!(why, [format!("- a: exception 1 cannot be ruled out: sender.groups: the directory does not know {address}")]);
}

#[test]
fn nested_conditions_explain_what_decided() {
    let rules = "[[rule]]\nname = 'a'\nsignature = 's'\n\
                 when.any = [{ message.kind = 'reply' }, { all = [{ message.attachments = false }, { sender.groups = 'x' }] }]\n\
                 [[rule]]\nname = 'b'\nsignature = 's'\nwhen.not = { message.kind = ['new', 'reply'] }\n\
                 [[rule]]\nname = 'c'\nsignature = 's'\nwhen.any = [{ message.kind = 'reply' }, { not = { message.attachments = true } }]\n";
    assert_eq!(
        explained(rules, &facts()),
        [
            r#"- a: none of 2 holds (message.kind: wanted "reply", found "new"; sender.groups: wanted "x", found "all", "sales")"#,
            r#"- b: holds and must not: message.kind: "new""#,
            "+ c: not (message.attachments: 0)",
        ]
    );
}

#[test]
fn conditions_are_nested_up_to_eight_levels() {
    let nested = |levels: usize| format!("{}{{ message.kind = 'new' }}{}", "{ not = ".repeat(levels), " }".repeat(levels));
    let rule = |levels: usize| format!("[[rule]]\nname = 'a'\nsignature = 'x'\nwhen = {}\n", nested(levels));
    assert_eq!(findings(&rule(7)), [""; 0]);
    let found = findings(&rule(8));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("is nested more than 8 levels deep; "), "{found:?}");
}

#[test]
fn keywords_may_be_whole_words() {
    for (condition, expected) in [
        ("message.subject-words = 'offer'", true),
        ("message.subject-words = ['off', 'q']", false),
        ("message.subject-contains = 'off'", true),
        ("message.text-words = ['bea', 'nothing']", true),
        ("message.text-words = 'be'", false),
    ] {
        assert_eq!(applies(condition, &facts()), expected, "{condition}");
    }
}

#[test]
fn sizes_have_units_and_counts_have_none() {
    let facts = Facts { size: 2_000_000, ..to(&["a@x.example", "b@x.example", "c@x.example"]) };
    for (condition, expected) in [
        ("message.size.at-least = '2 MB'", true),
        ("message.size.at-least = '2MiB'", false),
        ("message.size.at-most = '2000 kb'", true),
        ("message.size = { at-least = '1 KB', at-most = '1 MB' }", false),
        ("recipients.count.at-most = 3", true),
        ("recipients.count.at-least = 4", false),
        ("recipients.count = { at-least = 2, at-most = 3 }", true),
    ] {
        assert_eq!(applies(condition, &facts), expected, "{condition}");
    }
    for (condition, expected) in [
        (
            "message.size.at-least = 2000",
            "rule[1].message.size.at-least: must be a string, and is of type integer; for example `at-least = \"100 KB\"`",
        ),
        (
            "message.size.at-most = '2000'",
            "rule[1].message.size.at-most: \"2000\" is not a whole number with one of the units KB, MB, GB, KiB, MiB, GiB; for example `at-most = \"2 MB\"`",
        ),
        (
            "message.size = { at-least = '2 MB', at-most = '1 MB' }",
            "rule[1].message.size.at-least: is more than `at-most`, so nothing is in between; for example `at-most = \"2 MB\"`",
        ),
        ("recipients.count = {}", "rule[1].recipients.count: has no condition; for example `at-most = 10`"),
        ("recipients.count.at-most = -1", "rule[1].recipients.count.at-most: -1 is not from 0 to 1000000; for example `at-most = 10`"),
    ] {
        let found = findings(&format!("[[rule]]\nname = 'a'\nsignature = 'x'\n{condition}\n"));
        assert_eq!(found, [format!("error rules.toml:4 {expected}")], "{condition}");
    }
}

#[test]
fn the_first_message_of_a_thread_is_told_by_its_kind_and_header_fields() {
    for (kind, in_thread, expected) in
        [(Kind::New, false, true), (Kind::New, true, false), (Kind::Reply, false, false), (Kind::Forward, true, false)]
    {
        let facts = Facts { kind, in_thread, ..facts() };
        assert_eq!(applies("message.first-in-thread = true", &facts), expected);
        assert_eq!(applies("message.first-in-thread = false", &facts), !expected);
    }
}

#[test]
fn header_fields_that_clients_agree_on_have_conditions_of_their_own() {
    let label = "MSIP_Label_1a2b_Enabled=True; MSIP_Label_1a2b_Name=Confidential";
    for (name, value, condition, expected) in [
        ("msip_labels", label, "message.sensitivity-labels = ['public', 'confidential']", true),
        ("msip_labels", label, "message.sensitivity-labels = '1A2B'", true),
        ("msip_labels", label, "message.sensitivity-labels = 'conf'", false),
        ("sensitivity", "Company-Confidential", "message.sensitivity = ['private', 'company-confidential']", true),
        ("sensitivity", "Personal", "message.sensitivity = 'normal'", false),
        ("x", "y", "message.sensitivity = 'normal'", true),
        ("importance", "high", "message.importance = 'high'", true),
        ("x-priority", "5 (Lowest)", "message.importance = 'low'", true),
        ("x-msmail-priority", "High", "message.importance = ['low', 'normal']", false),
        ("x", "y", "message.importance = 'normal'", true),
        ("content-language", "de-AT, en", "message.languages = ['fr', 'DE']", true),
        ("content-language", "de", "message.languages = 'de-AT'", false),
        ("x", "y", "message.languages = 'de'", false),
    ] {
        assert_eq!(applies(condition, &with_header(name, value)), expected, "{name}: {value} {condition}");
    }
    let content = "[[rule]]\nname='a'\nsignature='x'\nmessage = { sensitivity-labels = 'a', sensitivity = 'private', importance = 'low', languages = 'de' }\n";
    assert_eq!(
        rules(content).describe().headers,
        ["content-language", "importance", "msip_labels", "sensitivity", "x-msmail-priority", "x-priority"]
    );
}

#[test]
fn wildcards_and_classes_are_looked_at_together() {
    let facts = to(&["info-de@partner.example", "info@partner.example"]);
    let rules = "[[rule]]\nname = 'a'\nsignature = 's'\nrecipient = { class = ['internal', 'partner'], addresses = 'info-*@*' }\n";
    assert_eq!(outcomes(rules, &facts), [(vec![0], sign(["s"])), (vec![1], skip("no-rule-applied"))]);
    // Asked for internal people or one partner, the class does not hide the partner.
    let rules =
        "[[rule]]\nname = 'a'\nsignature = 's'\nwhen.any = [{ recipient.class = 'internal' }, { recipient.addresses = 'info@*' }]\n";
    assert_eq!(outcomes(rules, &facts), [(vec![0], skip("no-rule-applied")), (vec![1], sign(["s"]))]);
}

const TRIGGER: &str = "[[rule]]\nname = 'promo'\nsignature = 'banner'\nmessage.trigger = ['#Promo', '#sale']\nremove-trigger = true\nrecipient.class = 'external'\n\
                       [[rule]]\nname = 'rest'\nsignature = 'full'\n";

#[test]
fn a_trigger_word_makes_a_rule_apply_and_leaves_the_subject() {
    for (subject, to_whom, outcome, removed) in [
        ("News #PROMO today", "you@customer.example", "banner", &["#promo"][..]),
        ("#sale #promo", "you@customer.example", "banner", &["#promo", "#sale"][..]),
        ("News #promotion", "you@customer.example", "full", &[][..]),
        ("News #promo", "bob@northwind.example", "full", &[][..]),
    ] {
        let facts = Facts { subject: subject.into(), ..to(&[to_whom]) };
        let decision = decision(TRIGGER, &facts);
        assert_eq!(
            (decision.copies[0].outcome.clone(), decision.remove_from_subject),
            (sign([outcome]), removed.iter().map(|&word| word.to_owned()).collect()),
            "{subject}"
        );
    }
}

#[test]
fn a_trigger_leaves_the_subject_of_every_copy() {
    let facts = Facts { subject: "News #promo".into(), ..to(&["bob@northwind.example", "you@customer.example"]) };
    let decision = decision(TRIGGER, &facts);
    assert_eq!((decision.copies.len(), decision.remove_from_subject), (2, vec!["#promo".to_owned()]));
}

#[test]
fn a_trigger_that_is_to_be_removed_must_be_there() {
    for (rule, expected) in [
        (
            "remove-trigger = true",
            "error rules.toml:4 rule[1].remove-trigger: has no trigger to remove, of up to 256 octets; for example `message.trigger = \"#promo\"`",
        ),
        (
            "message.trigger = ' '",
            "error rules.toml:4 rule[1].message.trigger: has the empty text \" \"; leave it out, or for example `trigger = \"#promo\"`",
        ),
    ] {
        assert_eq!(findings(&format!("[[rule]]\nname = 'a'\nsignature = 'x'\n{rule}\n")), [expected]);
    }
}

#[test]
fn mistakes_in_nested_conditions_are_named_where_they_are() {
    for (rule, expected) in [
        ("when = {}", "error rules.toml:4 rule[1].when: has no condition; for example `message.kind = \"new\"`"),
        ("when.any = [{}]", "error rules.toml:4 rule[1].when.any[1]: has no condition; for example `message.kind = \"new\"`"),
        (
            "when.any = [{ message.kind = 'new' }, { message.knd = 'new' }]",
            "error rules.toml:4 rule[1].when.any[2].message.knd: is not a key of this table; did you mean `kind = [\"reply\", \"forward\"]`?",
        ),
        (
            "sender.addresses = 'a@münchen.example'",
            "error rules.toml:4 rule[1].sender.addresses: \"a@münchen.example\" must have its domain in A-labels (`xn--...`); for example `addresses = [\"ada@northwind.example\", \"info-*@northwind.example\"]`",
        ),
    ] {
        assert_eq!(findings(&format!("[[rule]]\nname = 'a'\nsignature = 'x'\n{rule}\n")), [expected]);
    }
}
