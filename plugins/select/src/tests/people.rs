//! Senders, delegates, and shares of the senders.

use super::*;

/// Ada's message, sent by Bob of the assistants.
fn on_behalf() -> Facts {
    let delegate = Person {
        address: address("Bob@assist.example"),
        attributes: vec![("title".into(), "Assistant".into())],
        groups: vec!["assistants".into()],
    };
    Facts { delegate: Some(delegate), ..facts() }
}

#[test]
fn senders_are_told_by_wildcards_and_attributes() {
    for (condition, holds, fails) in [
        ("sender.addresses", "'*@northwind.example'", "'*@*.northwind.example'"),
        ("sender.addresses", "['x@x.example', 'ada.*@northwind.example']", "'ada-*@northwind.example'"),
        ("sender.attributes", "[{ name = 'department', starts-with = 'inside' }]", "[{ name = 'department', starts-with = 'sales' }]"),
        ("sender.attributes", "[{ name = 'department', ends-with = 'SALES' }]", "[{ name = 'department', ends-with = 'inside' }]"),
        ("sender.attributes", "[{ name = 'department', one-of = ['x', 'inside sales'] }]", "[{ name = 'department', one-of = 'sales' }]"),
    ] {
        assert!(applies(&format!("{condition} = {holds}"), &facts()), "{condition} = {holds}");
        assert!(!applies(&format!("{condition} = {fails}"), &facts()), "{condition} = {fails}");
    }
}

#[test]
fn a_delegate_is_asked_about_on_its_own() {
    for (condition, expected) in [
        ("sender.on-behalf = true", true),
        ("sender.on-behalf = false", false),
        ("delegate.addresses = 'bob@*'", true),
        ("delegate.domains = 'northwind.example'", false),
        ("delegate.groups = 'assistants'", true),
        ("delegate.attributes = [{ name = 'title', equals = 'assistant' }]", true),
        ("delegate.known = true", true),
        ("sender.groups = 'sales'", true),
    ] {
        assert_eq!(applies(condition, &on_behalf()), expected, "{condition}");
    }
    for condition in ["sender.on-behalf = true", "delegate.groups = 'assistants'", "delegate.known = false"] {
        assert!(!applies(condition, &facts()), "{condition} without a delegate");
    }
    assert!(applies("when.not = { delegate.groups = 'assistants' }", &facts()), "nobody is not an assistant");
}

#[test]
fn the_settings_say_whose_rules_a_delegated_message_follows() {
    let rules = |on_behalf: &str| {
        format!(
            "{on_behalf}\n[[rule]]\nname = 'a'\nsignature = 'ada'\nsender.groups = 'sales'\n\
             [[rule]]\nname = 'b'\nsignature = 'bob'\nsender.addresses = 'bob@assist.example'\n"
        )
    };
    for (setting, delegated) in [("", "ada"), ("settings.on-behalf = 'author'", "ada"), ("settings.on-behalf = 'delegate'", "bob")] {
        assert_eq!(outcomes(&rules(setting), &on_behalf()), [(vec![0], sign([delegated]))], "{setting}");
        assert_eq!(outcomes(&rules(setting), &facts()), [(vec![0], sign(["ada"]))], "{setting} without a delegate");
    }
}

#[test]
fn a_rollout_takes_the_same_senders_each_time_and_more_of_them_later() {
    let chosen = |rollout: &str, name: &str| {
        let rules = rules(&format!("[[rule]]\nname = '{name}'\nsignature = 's'\nrollout = {rollout}\n"));
        let chosen = |number: &u32| {
            let mut facts = facts();
            facts.sender.address.local = format!("Person{number}");
            rules.select(&facts, &TestMessage::default()).unwrap().copies[0].outcome == sign(["s"])
        };
        (0..1000).filter(chosen).collect::<Vec<u32>>()
    };
    let few = chosen("20", "Spring");
    assert!((150..250).contains(&few.len()), "{}", few.len());
    assert_eq!(few, chosen("'20 %'", "Spring"));
    let more = chosen("'60%'", "Spring");
    assert!(few.iter().all(|number| more.contains(number)) && more.len() > few.len());
    assert_ne!(few, chosen("20", "Summer"));
    for wrong in ["101", "-1", "'a fifth'", "'20.5 %'"] {
        let found = findings(&format!("[[rule]]\nname = 'a'\nsignature = 's'\nrollout = {wrong}\n"));
        let expected = "is not a whole number from 0 to 100; for example `rollout = \"20 %\"`";
        assert!(found.len() == 1 && found[0].ends_with(expected), "{found:?}");
    }
}

#[test]
fn settings_count_for_all_files_and_stand_in_one() {
    let file = |name: &str, content: &str| File { name: name.into(), content: content.into() };
    let rule = "[[rule]]\nname = 'a'\nsignature = 's'\n";
    let found = Rules::configure(&[file("a.toml", &format!("settings.copies = 4\n{rule}")), file("b.toml", "settings.copies = 5\n")]);
    let message = &found.unwrap_err()[0].message;
    assert_eq!(message, "is already set in a.toml line 1, and counts for all files; keep one of the two");
    for (setting, expected) in [
        ("settings.copies = 1", "error rules.toml:1 settings.copies: 1 is not from 2 to 100; for example `copies = 16`"),
        ("settings.banners = 9", "error rules.toml:1 settings.banners: 9 is not from 0 to 8; for example `banners = 1`"),
        (
            "settings.on-behalf = 'x'",
            "error rules.toml:1 settings.on-behalf: \"x\" is none of author, delegate; for example `on-behalf = \"author\"`",
        ),
    ] {
        assert_eq!(findings(&format!("{setting}\n{rule}")), [expected]);
    }
}

#[test]
fn rules_by_attribute_are_found_without_trying_the_others() {
    let mut content: String = (0..1000)
        .map(|n| format!("[[rule]]\nname='d{n}'\nsignature='s'\nsender.attributes=[{{ name = 'department', equals = 'D{n}' }}]\n"))
        .collect();
    content.push_str("[[rule]]\nname='mine'\nsignature='full'\nsender.attributes=[{ name = 'department', equals = 'inside SALES' }]\n");
    assert_eq!(outcomes(&content, &facts()), [(vec![0], sign(["full"]))]);
    let lines = explained(&content, &facts());
    assert_eq!(lines.len(), 2, "{lines:?}");
    let every = explained(&content, &Facts { explain_every_rule: true, ..facts() });
    assert_eq!((every.len(), every[0].as_str()), (1001, r#"- d0: sender.attributes: wanted department = "d0", found "Inside Sales""#));
}
