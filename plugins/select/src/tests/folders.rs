//! Folders: conditions before the rules inside them.

use super::*;

const FOLDER: &str = r#"
[[folder]]
name = "Sales"
sender.groups = "sales"
[[folder.except]]
message.subject-contains = "private"
[[folder.rule]]
name = "inside"
signature = "short"
recipient.class = "internal"
[[folder.rule]]
name = "new"
signature = "full"
message.kind = "new"

[[rule]]
name = "rest"
signature = "rest"
"#;

#[test]
fn the_rules_of_a_folder_are_tried_where_the_folder_applies() {
    let decide = |change: fn(&mut Facts)| {
        let mut facts = to(&["you@customer.example", "bob@northwind.example"]);
        change(&mut facts);
        outcomes(FOLDER, &facts).into_iter().map(|(_, outcome)| outcome).collect::<Vec<_>>()
    };
    assert_eq!(decide(|_| ()), [sign(["full"]), sign(["short"])]);
    assert_eq!(decide(|facts| facts.kind = Kind::Reply), [sign(["rest"]), sign(["short"])]);
    assert_eq!(decide(|facts| facts.sender.groups = vec!["x".into()]), [sign(["rest"])]);
    assert_eq!(decide(|facts| facts.subject = "Private".into()), [sign(["rest"])]);
}

#[test]
fn a_folder_that_stops_ends_the_search_for_its_mail() {
    let rules = FOLDER.replacen("sender.groups", "then = 'stop'\nsender.groups", 1);
    let reply = Facts { kind: Kind::Reply, ..facts() };
    assert_eq!(outcomes(&rules, &reply), [(vec![0], skip("no-rule-applied"))]);
    let lines = explained(&rules, &reply);
    assert_eq!(lines.last().unwrap(), r#"- rest: not asked: "Sales" ended the search"#);
    let other = Facts { subject: "Private".into(), ..reply };
    assert_eq!(outcomes(&rules, &other), [(vec![0], sign(["rest"]))]);
}

#[test]
fn a_folder_may_be_for_some_recipients() {
    let rules = "[[folder]]\nname = 'f'\nthen = 'stop'\nrecipient.class = 'external'\n\
                 [[folder.rule]]\nname = 'a'\nsignature = 'a'\nmessage.kind = 'reply'\n\
                 [[rule]]\nname = 'b'\nsignature = 'b'\n";
    let facts = to(&["you@customer.example", "bob@northwind.example"]);
    assert_eq!(outcomes(rules, &facts), [(vec![0], skip("no-rule-applied")), (vec![1], sign(["b"]))]);
}

#[test]
fn folders_and_rules_are_ordered_together_and_inside() {
    let rules = |first: &str, inside: &str| {
        format!(
            "[[rule]]\nname='a'\nsignature='a'\nthen='continue'\n[[folder]]\nname='f'\n{first}\n\
             [[folder.rule]]\nname='b'\nsignature='b'\nthen='continue'\n[[folder.rule]]\nname='c'\nsignature='c'\nthen='continue'\n{inside}\n\
             [[rule]]\nname='d'\nsignature='d'\nthen='continue'\n"
        )
    };
    for (first, inside, expected) in
        [("", "", ["a", "b", "c", "d"]), ("order = -1", "", ["b", "c", "a", "d"]), ("order = 1", "order = -1", ["a", "d", "c", "b"])]
    {
        assert_eq!(outcomes(&rules(first, inside), &facts()), [(vec![0], sign(expected))], "{first} {inside}");
    }
}

#[test]
fn a_disabled_folder_takes_its_rules_with_it_and_says_so() {
    let rules = FOLDER.replacen("sender.groups", "enabled = false\nsender.groups", 1);
    assert_eq!(outcomes(&rules, &facts()), [(vec![0], sign(["rest"]))]);
    assert_eq!(findings(&rules), [r#"warning rules.toml:2 folder[1].enabled: "Sales" is disabled, so 2 of its rules never apply"#]);
}

#[test]
fn every_rule_has_a_line_when_somebody_reads_them() {
    let facts = Facts { subject: "Private".into(), ..facts() };
    let folder = r#"- folder: Sales: exception 1 holds: message.subject-contains: one of them"#;
    assert_eq!(explained(FOLDER, &facts), [folder, "+ rest: has no conditions"]);
    assert_eq!(
        explained(FOLDER, &Facts { explain_every_rule: true, ..facts.clone() }),
        [
            folder,
            r#"- inside: not asked: its folder "Sales" does not apply"#,
            r#"- new: not asked: its folder "Sales" does not apply"#,
            "+ rest: has no conditions"
        ]
    );
    let signed = Facts { explain_every_rule: true, already_signed: true, ..facts };
    assert_eq!(explained(FOLDER, &signed).len(), 4);
}

#[test]
fn rules_that_the_index_leaves_out_have_a_line_when_somebody_reads_them() {
    let mut content: String = "[[folder]]\nname='f'\nsender.domains='northwind.example'\n".to_owned();
    content.extend((0..100).map(|n| format!("[[folder.rule]]\nname='p{n}'\nsignature='s'\nsender.addresses='p{n}@northwind.example'\n")));
    let lines = explained(&content, &facts());
    assert_eq!(lines[1..], ["- (100 more rules): none of their sender addresses, groups, attributes or domains is the sender's"]);
    let every = explained(&content, &Facts { explain_every_rule: true, ..facts() });
    assert_eq!(every.len(), 101);
    assert!(every[100].starts_with(r#"- p99: sender.addresses: wanted "p99@northwind.example", found "#), "{}", every[100]);
}

#[test]
fn a_rule_found_by_its_own_key_still_needs_its_folder() {
    // The folder is filed under its domain, the rule under its group: the sender has the one and not the other.
    let rules =
        "[[folder]]\nname='f'\nsender.domains='elsewhere.example'\n[[folder.rule]]\nname='a'\nsignature='a'\nsender.groups='sales'\n";
    assert_eq!(outcomes(rules, &facts()), [(vec![0], skip("no-rule-applied"))]);
}

#[test]
fn names_differ_over_rules_folders_and_banners() {
    let content = "[[rule]]\nname='a'\nsignature='x'\nmessage.kind='new'\n[[folder]]\nname='b'\n[[folder.rule]]\nname='a'\nsignature='y'\n\
                   [[banner]]\nname='b'\nsignature='z'\n";
    let found = findings(content);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains(r#"rules.toml:7 folder[1].rule[1].name: "a" is already the name of the rule in rules.toml line 1"#),
        "{found:?}"
    );
    assert!(found[1].contains(r#"rules.toml:10 banner[1].name: "b" is already the name of the folder in rules.toml line 5"#), "{found:?}");
}
