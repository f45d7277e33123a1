//! What is reported as probably not meant, and what is not.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Two rules: the first with what is given, the second below it.
fn two(first: &str, second: &str) -> String {
    format!("[[rule]]\nname='a'\nsignature='x'\n{first}\n\n[[rule]]\nname='b'\nsignature='y'\n{second}\n")
}

#[test]
fn rules_that_can_never_apply_are_named_with_the_reason() {
    for (rule, why) in [
        ("from = 2026-12-24\nuntil = 2026-12-01", "`from` 2026-12-24 and `until` 2026-12-01 exclude each other"),
        (
            "from = 2026-12-24T08:00:00Z\nuntil = 2026-12-24T09:00:00+01:00",
            "`from` 2026-12-24T08:00:00Z and `until` 2026-12-24T09:00:00+01:00 exclude each other",
        ),
        (
            "sender = { addresses = ['ada@a.example', '*@b.example'], domains = ['c.example', '*.b.example'] }",
            "`sender.addresses` one of \"ada@a.example\", \"*@b.example\" and `sender.domains` one of \"c.example\", \"*.b.example\" exclude each other",
        ),
        ("sender = { known = false, groups = 'x' }", "`sender.groups` \"x\" and `sender.known` false exclude each other"),
        (
            "sender.attributes = [{ name = 'a', absent = true }, { name = 'a', equals = 'b' }]",
            "`sender.attributes` a absent and `sender.attributes` a = \"b\" exclude each other",
        ),
        ("sender.on-behalf = false\ndelegate.groups = 'x'", "`sender.on-behalf` false and `delegate.groups` \"x\" exclude each other"),
        (
            "message = { kind = 'reply', first-in-thread = true }",
            "`message.kind` \"reply\" and `message.first-in-thread` true exclude each other",
        ),
        (
            "message.kind = 'reply'\nwhen.message.kind = ['new', 'forward']",
            "`message.kind` \"reply\" and `message.kind` one of \"new\", \"forward\" exclude each other",
        ),
        (
            "message.kind = 'reply'\nwhen.any = [{ message.kind = 'new' }, { message.kind = 'forward', message.attachments = true }]",
            "`message.kind` \"reply\" and (`message.kind` \"new\" or (`message.kind` \"forward\" and `message.attachments` true)) exclude each other",
        ),
        (
            "sender.groups = 'x'\nwhen.not = { sender.groups = ['x', 'y'] }",
            "`sender.groups` \"x\" and not `sender.groups` one of \"x\", \"y\" exclude each other",
        ),
        (
            "recipients.all.class = 'internal'\nrecipient.class = ['external', 'partner']",
            "`recipients.all` class \"internal\" and `recipient` class one of \"external\", \"partner\" exclude each other",
        ),
        (
            "recipients = { any = { class = 'external', domains = 'x.example' }, none.class = 'external' }",
            "`recipients.any` class \"external\" and domain \"x.example\" and `recipients.none` class \"external\" exclude each other",
        ),
        (
            "weekdays = 'mon'\nwhen.weekdays = 'tue-sun'",
            "`weekdays and hours` weekdays mon and `weekdays and hours` weekdays tue-sun exclude each other",
        ),
        (
            "message.size.at-least = '2 MB'\nwhen.message.size.at-most = '1 MB'",
            "`message.size` at least 2000000 and `message.size` at most 1000000 exclude each other",
        ),
        (
            "message.kind = 'reply'\nsender.groups = 'x'\nexcept = [{ message.kind = ['reply', 'forward'] }]",
            "an exception of this one, `message.kind` one of \"reply\", \"forward\", holds wherever the conditions do",
        ),
    ] {
        let found = findings(&format!("[[rule]]\nname='a'\nsignature='x'\n{rule}\n"));
        assert_eq!(found, [format!("warning rules.toml:1 rule[1]: \"a\" can never apply: {why}")], "{rule}");
    }
}

#[test]
fn what_may_apply_is_not_reported() {
    for rule in [
        "from = 2026-12-01\nuntil = 2026-12-01",
        // Which comes first depends on where the sender is.
        "from = 2026-12-24\nzone = 'sender'\nuntil = 2026-12-23T12:00:00Z",
        "sender = { addresses = ['ada@a.example', '*@*.example'], domains = 'c.example' }",
        "sender = { domains = 'a.b.example' }\nwhen.sender.domains = '*.b.example'",
        "sender.groups = 'x'\nwhen.sender.groups = 'y'",
        "sender.attributes = [{ name = 'a', equals = 'b' }, { name = 'a', equals = 'c' }]",
        "message.kind = ['reply', 'new']\nwhen.message.kind = ['new', 'forward']",
        "when.any = [{ message.kind = 'reply' }, { message.kind = 'new' }]\nmessage.kind = 'new'",
        "sender.groups = ['x', 'y']\nwhen.not = { sender.groups = 'x' }",
        "recipients.any.class = 'internal'\nrecipient.class = 'external'",
        "recipient.class = 'external'\nwhen.recipient.domains = 'x.example'",
        "weekdays = 'mon'\nhours = '22:00-06:00'\nwhen.weekdays = 'tue'",
        "weekdays = 'mon'\nzone = 'sender'\nwhen.weekdays = 'tue'",
        "rollout = 1",
        "message.kind = 'reply'\nexcept = [{ message.kind = 'reply', sender.groups = 'x' }]",
        "message.subject-contains = 'a'\nexcept = [{ message.subject-contains = 'ab' }]",
    ] {
        assert_eq!(findings(&format!("[[rule]]\nname='a'\nsignature='x'\n{rule}\n")), [""; 0], "{rule}");
    }
}

#[test]
fn rules_that_an_earlier_one_shadows_are_named_with_it() {
    let kind = "message.kind = 'new'";
    for (first, second, why) in [
        ("", kind, "applies to every message"),
        (kind, kind, "has the same conditions"),
        (kind, "message.kind = 'new'\nsender.groups = 'x'", "applies wherever this one would"),
        ("message.kind = ['new', 'reply']", kind, "applies wherever this one would"),
        ("sender.domains = '*.example'", "sender.domains = ['a.example', '*.b.example']", "applies wherever this one would"),
        ("sender.domains = 'a.example'", "sender.addresses = 'ada@a.example'", "applies wherever this one would"),
        ("sender.addresses = '*@a.example'", "sender.addresses = 'ada@a.example'", "applies wherever this one would"),
        ("sender.groups = ['x', 'y']", "sender.groups = ['y', 'x']", "applies wherever this one would"),
        ("sender.known = true", "sender.groups = 'x'", "applies wherever this one would"),
        (
            "sender.attributes = [{ name = 'a', contains = 'sales' }]",
            "sender.attributes = [{ name = 'a', one-of = ['Inside Sales', 'Sales'] }]",
            "applies wherever this one would",
        ),
        ("message.subject-contains = 'in'", "message.subject-words = ['invoice', 'bin']", "applies wherever this one would"),
        ("message.size.at-least = '1 MB'", "message.size.at-least = '2 MB'", "applies wherever this one would"),
        ("from = 2026-01-01", "from = 2026-02-01\nuntil = 2026-12-31", "applies wherever this one would"),
        ("weekdays = 'mon-fri'", "weekdays = 'mon'\nhours = '08:00-18:00'", "applies wherever this one would"),
        ("recipient.class = ['external', 'partner']", "recipients.all.class = 'external'", "applies wherever this one would"),
        (
            "recipients.any.class = 'external'",
            "recipient = { class = 'external', domains = 'x.example' }",
            "applies wherever this one would",
        ),
        ("when.any = [{ message.kind = 'new' }, { sender.groups = 'x' }]", "sender.groups = 'x'", "applies wherever this one would"),
        (
            "message.kind = ['new', 'reply']",
            "when.any = [{ message.kind = 'new' }, { message.kind = 'reply' }]",
            "applies wherever this one would",
        ),
        ("message.kind = 'new'", "message.first-in-thread = true", "applies wherever this one would"),
        ("sender.on-behalf = true", "delegate.groups = 'x'", "applies wherever this one would"),
        ("rollout = 100", kind, "applies wherever this one would"),
        (
            "except = [{ sender.groups = 'x' }]",
            "message.kind = 'new'\nexcept = [{ sender.groups = 'y' }, { sender.groups = 'x' }]",
            "applies wherever this one would",
        ),
    ] {
        let found = findings(&two(first, second));
        let line = 6 + first.lines().count().max(1) - 1;
        let hint = "give it `then = \"continue\"`, or this one a smaller `order`";
        let expected =
            format!("warning rules.toml:{line} rule[2]: \"b\" is never reached: \"a\" (rules.toml line 1) {why} and stops; {hint}");
        assert_eq!(found, [expected], "{first} / {second}");
    }
}

#[test]
fn rules_that_something_reaches_are_not_reported() {
    let kind = "message.kind = 'new'";
    for (first, second) in [
        (kind, ""),
        ("message.kind = 'new'\nthen = 'continue'", kind),
        ("message.kind = 'new'\nexcept = [{ sender.groups = 'x' }]", kind),
        ("message.kind = 'new'\nrollout = 99", kind),
        ("message.kind = 'new'\nenabled = false", kind),
        ("sender.groups = 'x'", "sender.groups = ['x', 'y']"),
        ("sender.domains = '*.a.example'", "sender.domains = 'a.example'"),
        ("sender.addresses = 'ada@a.example'", "sender.domains = 'a.example'"),
        ("sender.groups = 'x'", "delegate.groups = 'x'"),
        ("sender.attributes = [{ name = 'a', starts-with = 'x' }]", "sender.attributes = [{ name = 'a', contains = 'x' }]"),
        ("sender.attributes = [{ name = 'a', present = true }]", "sender.attributes = [{ name = 'b', equals = 'x' }]"),
        ("message.subject-words = 'offer'", "message.subject-contains = 'offer'"),
        ("message.subject-contains = 'offer'", "message.text-contains = 'offer'"),
        ("recipient.class = 'external'", "recipients.any.class = 'external'"),
        ("recipients.all.class = 'external'", "recipient.class = 'external'"),
        ("recipient = { class = 'external', domains = 'x.example' }", "recipient.class = 'external'"),
        ("from = 2026-01-01\nzone = 'sender'", "from = 2026-02-01"),
        ("weekdays = 'fri'", "weekdays = 'fri'\nhours = '22:00-06:00'"),
        ("when.not = { sender.groups = 'x' }", "when.not = { sender.known = true }"),
        ("when.any = [{ message.kind = 'new' }, { sender.groups = 'x' }]", "sender.groups = 'y'"),
        ("rollout = 50", "rollout = 20"),
    ] {
        assert_eq!(findings(&two(first, second)), [""; 0], "{first} / {second}");
    }
}

#[test]
fn folders_are_part_of_the_conditions_of_their_rules() {
    let folder = "[[folder]]\nname = 'f'\nsender.groups = 'x'\n";
    let rule = |name: &str, conditions: &str| format!("name = '{name}'\nsignature = 's'\n{conditions}\n");
    let never = |line: u32, rule: &str, by: &str| {
        let hint = "give it `then = \"continue\"`, or this one a smaller `order`";
        format!("warning rules.toml:{line} rule[1]: \"{rule}\" is never reached: {by} applies wherever this one would and stops; {hint}")
    };
    let dead = "\"f\" (rules.toml line 1)";
    for (content, expected) in [
        (
            format!("{folder}[[folder.rule]]\n{}[[rule]]\n{}", rule("a", ""), rule("b", "sender.groups = 'x'\nmessage.kind = 'new'")),
            vec![never(8, "b", "\"a\" (rules.toml line 4)")],
        ),
        (format!("{folder}[[folder.rule]]\n{}[[rule]]\n{}", rule("a", ""), rule("b", "message.kind = 'new'")), vec![]),
        (
            format!(
                "{folder}then = 'stop'\n[[folder.rule]]\n{}[[rule]]\n{}",
                rule("a", "message.kind = 'reply'"),
                rule("b", "sender.groups = 'x'\nmessage.kind = 'new'")
            ),
            vec![never(9, "b", dead)],
        ),
        (
            format!("{folder}message.kind = 'new'\n[[folder.rule]]\n{}", rule("a", "message.kind = 'reply'")),
            vec![format!(
                "warning rules.toml:5 folder[1].rule[1]: \"a\" can never apply: its folder {dead}'s `message.kind` \"new\" and `message.kind` \"reply\" exclude each other"
            )],
        ),
        (
            format!("{folder}sender.known = false\n[[folder.rule]]\n{}", rule("a", "")),
            vec![
                "warning rules.toml:1 folder[1]: \"f\" can never apply: `sender.groups` \"x\" and `sender.known` false exclude each other"
                    .to_owned(),
            ],
        ),
    ] {
        assert_eq!(findings(&content), expected, "{content}");
    }
}

#[test]
fn gaps_and_overlaps_between_campaigns_are_named() {
    let campaigns = |end: &str, start: &str, more: &str| {
        two(&format!("from = 2026-11-01\nuntil = {end}\nthen = 'continue'"), &format!("from = {start}\n{more}"))
            .replace("'x'", "'banner-winter'")
            .replace("'y'", "'banner-spring'")
    };
    let warning = |why: &str| vec![format!("warning rules.toml:8 rule[2]: {why}")];
    let quiet: Vec<String> = Vec::new();
    for (end, start, more, expected) in [
        (
            "2026-12-24",
            "2026-12-26",
            "",
            warning("\"b\" starts a day after \"a\" (rules.toml line 1) ends: neither applies between 2026-12-24 and 2026-12-26"),
        ),
        (
            "2026-12-24T12:00:00",
            "2026-12-24T18:30:00",
            "",
            warning(
                "\"b\" starts 6 hours and 30 minutes after \"a\" (rules.toml line 1) ends: neither applies between 2026-12-24T12:00:00 and 2026-12-24T18:30:00",
            ),
        ),
        (
            "2026-12-24",
            "2026-12-24",
            "until = 2027-01-01",
            warning("\"b\" starts before \"a\" (rules.toml line 1) ends: both apply from 2026-12-24 until 2026-12-24"),
        ),
        ("2026-12-24", "2026-12-25", "", quiet.clone()),
        ("2026-12-24", "2027-03-01", "", quiet.clone()),
        ("2026-12-24", "2026-12-26", "message.kind = 'new'", quiet.clone()),
        ("2026-12-24", "2026-12-26", "zone = 'sender'", quiet.clone()),
        ("2026-12-24", "2026-12-01", "until = 2026-12-03", quiet.clone()),
        ("2026-12-24", "2026-12-26T00:00:00Z", "", quiet.clone()),
    ] {
        assert_eq!(findings(&campaigns(end, start, more)), expected, "{end} {start} {more}");
    }
    let others = campaigns("2026-12-24", "2026-12-26", "").replace("banner-spring", "legal");
    assert_eq!(findings(&others), quiet, "another family");
    let third = campaigns("2026-12-24", "2026-12-26", "")
        + "[[rule]]\nname='c'\nsignature='banner-days'\nfrom=2026-12-25\nuntil=2026-12-25\nthen='continue'\n";
    assert_eq!(findings(&third), quiet, "a third one fills the gap");
}

#[test]
fn banners_of_equal_priority_that_compete_are_named() {
    let banners = |first: &str, second: &str| {
        format!("[[banner]]\nname='a'\nsignature='x'\n{first}\n[[banner]]\nname='b'\nsignature='y'\n{second}\n")
    };
    let warning = |line: usize, (apply, priority): (&str, i64)| {
        format!(
            "warning rules.toml:{line} banner[2]: \"b\" competes with \"a\" (rules.toml line 1): both {apply} to the same mail at the same time, have \
             priority {priority}, and only one banner is added; give one of them another `priority`"
        )
    };
    let (sure, perhaps) = (Some(("apply", 0)), Some(("may apply", 0)));
    for (first, second, expected) in [
        ("", "", sure),
        ("", "sender.groups = 'x'", sure),
        ("sender = { groups = 'x' }", "message.kind = 'new'\nsender.groups = 'x'", sure),
        ("until = 2026-12-24", "from = 2026-12-24", sure),
        ("priority = 5", "priority = 5", Some(("apply", 5))),
        ("priority = 5", "", None),
        ("until = 2026-12-24", "from = 2026-12-25", None),
        ("until = 2026-12-24\nzone = 'sender'", "from = 2026-12-01", perhaps),
        ("sender.groups = 'y'", "sender.groups = 'x'", perhaps),
        ("recipient.class = 'external'", "sender.groups = 'x'", perhaps),
        ("recipient.class = 'external'", "recipient.class = ['internal', 'partner']", None),
        ("sender.addresses = 'ada@a.example'", "sender.addresses = 'bea@a.example'", None),
        ("message.kind = 'new'\nsender.groups = 'x'", "when.not = { message.kind = 'new' }", None),
        ("except = [{ sender.groups = 'x' }]", "", sure),
        ("except = [{ sender.groups = 'x' }]", "except = [{ sender.groups = 'y' }]", perhaps),
        ("except = [{ sender.groups = ['x', 'y'] }]", "sender.groups = 'x'", None),
        ("rollout = 50", "rollout = 50", perhaps),
        ("enabled = false", "", None),
    ] {
        let found = findings(&banners(first, second));
        let line = 5 + first.lines().count().max(1) - 1;
        assert_eq!(found, expected.map(|words| warning(line, words)).into_iter().collect::<Vec<_>>(), "{first} / {second}");
        assert_eq!(findings(&format!("settings.banners = 2\n{}", banners(first, second))), [""; 0]);
    }
}

#[test]
fn a_share_of_nobody_is_named_once_with_what_to_do() {
    let hint = "reaches nobody, because its `rollout` is 0; raise it, for example `rollout = 5`, or say `enabled = false` until then";
    let inside = "[[folder]]\nname='f'\nrollout=0\nthen='stop'\n[[folder.rule]]\nname='a'\nsignature='x'\nmessage.kind='new'\n";
    for (content, key) in [
        ("[[rule]]\nname='a'\nsignature='x'\nrollout = '0 %'\nsender.known = true\nmessage.kind='new'\n", "rule[1]: \"a\""),
        ("[[banner]]\nname='a'\nsignature='x'\nrollout = 0\n[[banner]]\nname='b'\nsignature='y'\n", "banner[1]: \"a\""),
        (inside, "folder[1]: \"f\""),
    ] {
        assert_eq!(findings(content), [format!("warning rules.toml:1 {key} {hint}")], "{content}");
    }
}

/// Rules `r1`, `r2` and so on with these conditions, each of which takes four lines and one for each of them.
fn numbered(conditions: &[&str]) -> String {
    let rule = |(number, condition): (usize, &&str)| format!("[[rule]]\nname='r{number}'\nsignature='s'\n{condition}\n");
    (1..).zip(conditions).map(rule).collect()
}

#[test]
fn rules_that_several_earlier_ones_shadow_together_are_named_with_them() {
    let known = ["sender.known = true", "sender.known = false"];
    for (conditions, by) in [
        (vec!["recipient.class = 'internal'", "recipient.class = ['external', 'partner']", ""], &[1, 2][..]),
        (vec![known[0], known[1], ""], &[1, 2]),
        (vec![known[0], known[1], "until = 2020-01-01"], &[1, 2]),
        (vec!["sender.groups = 'x'", known[1], "message.kind = 'new'", known[0], "sender.domains = 'x.example'"], &[2, 4]),
        (vec!["message.kind = 'new'", "message.kind = 'reply'", "message.kind = 'forward'", ""], &[1, 2, 3]),
        (vec!["message.kind = 'new'", "message.kind = 'reply'", "message.kind = ['new', 'reply']"], &[1, 2]),
        (vec!["message.kind = 'new'", "when.not = { message.kind = 'new' }", "sender.groups = 'x'"], &[1, 2]),
        (vec!["recipient.class = 'internal'", "when.not.recipient.class = 'internal'", ""], &[1, 2]),
        (vec!["message.attachments = true", "message.attachments = false", ""], &[1, 2]),
        (vec!["message.authenticated = true", "message.authenticated = false", "message.size.at-least = '1 MB'"], &[1, 2]),
        (vec!["sender.on-behalf = true", "sender.on-behalf = false", ""], &[1, 2]),
        (vec!["message.format = ['plain', 'html']", "message.format = 'alternative'", ""], &[1, 2]),
        (
            vec![
                "message.kind = 'new'\nrecipient.class = 'internal'",
                "message.kind = ['reply', 'forward']",
                "recipient.class = ['external', 'partner']",
                "",
            ],
            &[1, 2, 3],
        ),
        // A message that is first in its thread is new.
        (vec!["message.first-in-thread = false", "message.kind = 'new'", "sender.groups = 'x'"], &[1, 2]),
        (vec!["message.kind = 'new'\nsender.groups = 'x'", "message.kind = ['reply', 'forward']", "sender.groups = 'x'"], &[1, 2]),
    ] {
        let content = numbered(&conditions);
        let line = |number: usize| 1 + content[..content.find(&format!("name='r{number}'")).unwrap()].lines().count() - 1;
        let names: Vec<String> = by.iter().map(|number| format!("\"r{number}\" (rules.toml line {})", line(*number))).collect();
        let last = conditions.len();
        let hint = "give one of them `then = \"continue\"`, or this one a smaller `order`";
        let expected = format!(
            "warning rules.toml:{} rule[{last}]: \"r{last}\" is never reached: {} together apply wherever this one would and stop; {hint}",
            line(last),
            names.join(" and ")
        );
        assert_eq!(findings(&content), [expected], "{conditions:?}");
    }
}

#[test]
fn what_several_earlier_rules_leave_over_is_not_reported() {
    let internal = "recipient.class = 'internal'";
    for conditions in [
        vec![internal, "recipient.class = 'external'", ""],
        vec![internal, "recipient = { class = ['external', 'partner'], domains = 'x.example' }", ""],
        vec![internal, "recipient.class = ['external', 'partner']\nthen = 'continue'", ""],
        vec![internal, "recipient.class = ['external', 'partner']\nexcept = [{ message.kind = 'new' }]", ""],
        vec!["recipients.all.class = 'internal'", "recipients.any.class = ['external', 'partner']", ""],
        vec!["sender.groups = 'x'", "when.not.sender.groups = 'x'", ""],
        vec!["message.kind = 'new'", "message.kind = 'reply'", ""],
        vec!["message.kind = 'new'\nsender.groups = 'x'", "message.kind = ['reply', 'forward']\nsender.groups = 'y'", ""],
        vec!["delegate.known = true", "delegate.known = false", ""],
        vec!["sender.known = true\nrollout = 99", "sender.known = false", ""],
    ] {
        assert_eq!(findings(&numbered(&conditions)), [""; 0], "{conditions:?}");
    }
}

#[test]
fn a_rule_that_holds_in_every_case_is_said_to_shadow_the_rest() {
    let found = findings(&numbered(&["message.kind = ['new', 'reply', 'forward']", "sender.groups = 'x'"]));
    let expected = "\"r2\" is never reached: \"r1\" (rules.toml line 1) applies case by case wherever this one would and stops";
    assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
}

#[test]
fn of_many_rules_that_shadow_another_the_first_are_named() {
    let mut conditions = vec![];
    let all: Vec<String> = ["new", "reply", "forward"]
        .iter()
        .flat_map(|kind| [true, false].map(|known| format!("message.kind = '{kind}'\nsender.known = {known}")))
        .collect();
    conditions.extend(all.iter().map(String::as_str));
    conditions.push("");
    let found = findings(&numbered(&conditions));
    let expected = "\"r4\" (rules.toml line 16) and 2 more together apply wherever this one would and stop";
    assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
}

/// Conditions with many relations among each other.
const CONDITIONS: [&str; 36] = [
    "",
    "message.kind = 'new'",
    "message.kind = ['new', 'reply']",
    "message.kind = ['reply', 'forward']",
    "message.first-in-thread = true",
    "message.first-in-thread = false",
    "sender.groups = 'sales'",
    "sender.groups = ['sales', 'board']",
    "sender.known = true",
    "sender.known = false",
    "sender.domains = '*.example'",
    "sender.domains = 'northwind.example'",
    "sender.addresses = '*@northwind.example'",
    "sender.addresses = 'ada.king@northwind.example'",
    "sender.attributes = [{ name = 'department', contains = 'sales' }]",
    "sender.attributes = [{ name = 'department', equals = 'inside sales' }]",
    "sender.attributes = [{ name = 'department', absent = true }]",
    "sender.on-behalf = false",
    "delegate.groups = 'sales'",
    "recipient.class = 'external'",
    "recipient.class = ['external', 'partner']",
    "recipient = { class = 'external', domains = 'customer.example' }",
    "recipients.all.class = 'external'",
    "recipients.any.class = ['external', 'internal']",
    "recipients.none.class = 'internal'",
    "recipients.count.at-least = 2",
    "recipients.count.at-most = 1",
    "message.subject-contains = 'off'",
    "message.subject-words = 'offer'",
    "when.not = { message.kind = 'new' }",
    "when.not = { sender.known = true }",
    "when.not = { message.kind = ['reply', 'forward'] }",
    "when.not = { sender.groups = 'sales' }",
    "when.not = { recipient.class = 'external' }",
    "when.any = [{ message.kind = 'reply' }, { sender.groups = 'board' }]",
    "when.any = [{ recipient.class = 'internal' }, { not = { sender.known = true } }]",
];

fn some_facts() -> impl Strategy<Value = Facts> {
    let recipients = vec(0..4_usize, 1..4);
    (0..4_usize, any::<bool>(), 0..3_usize, 0..2_usize, any::<bool>(), 0..2_usize, recipients).prop_map(
        |(kind, in_thread, sender, subject, delegate, department, recipients)| {
            let people = ["you@customer.example", "bob@northwind.example", "pat@partner.example", "x@cousin.example"];
            let mut facts = to(&recipients.iter().map(|person| people[*person]).collect::<Vec<_>>());
            for recipient in facts.recipients.iter_mut().filter(|recipient| recipient.address.domain == "cousin.example") {
                recipient.class = RecipientClass::Other("cousin".into());
            }
            facts.kind = [Kind::New, Kind::Reply, Kind::Forward, Kind::Other("x".into())][kind].clone();
            facts.in_thread = in_thread;
            facts.subject = ["An offer", "Offside"][subject].into();
            facts.delegate = delegate.then(|| facts.sender.clone());
            facts.sender.attributes.truncate(1 + department);
            match sender {
                1 => facts.sender.groups = vec!["board".into()],
                2 => (facts.sender.groups, facts.sender.attributes) = (vec![], vec![]),
                _ => (),
            }
            facts
        },
    )
}

/// What a finding says where the cases were looked at one by one.
const BY_PARTS: [&str; 2] = ["together apply", "case by case"];

/// Conditions on what has few values, in a table.
const PARTED: [&str; 22] = [
    "message.kind = 'new'",
    "recipient.class = 'internal'",
    "sender.known = true",
    "sender.known = false",
    "message.kind = 'reply'",
    "message.kind = 'forward'",
    "message.kind = ['reply', 'forward']",
    "message.kind = ['new', 'reply', 'forward']",
    "recipient.class = ['external', 'partner']",
    "recipient.class = 'partner'",
    "recipient.class = 'external'",
    "sender.on-behalf = true",
    "sender.on-behalf = false",
    "message.first-in-thread = true",
    "message.first-in-thread = false",
    "sender.groups = 'sales'",
    "delegate.known = true",
    "not = { message.kind = 'new' }",
    "not = { recipient.class = 'internal' }",
    "not = { sender.known = true }",
    "any = [{ recipient.class = 'internal' }, { sender.known = true }]",
    "any = [{ message.kind = 'new' }, { not = { message.kind = 'new' } }]",
];

/// Fails where something applied of which a finding says that it cannot.
fn no_report_is_wrong(content: &str, all_facts: &[Facts]) -> Result<(), TestCaseError> {
    let found = findings(content);
    let rules = rules(content);
    for facts in all_facts {
        // What several rules cover is told for the kinds and classes that have a name.
        let strange = matches!(facts.kind, Kind::Other(_))
            || facts.recipients.iter().any(|recipient| matches!(recipient.class, RecipientClass::Other(_)));
        let reports = found.iter().filter(|finding| !strange || !BY_PARTS.iter().any(|words| finding.contains(words)));
        let reported: Vec<&str> = reports.filter_map(|finding| finding.split('"').nth(1)).collect();
        for copy in rules.select(facts, &TestMessage::default()).unwrap().copies {
            for line in copy.explanation.iter().filter(|line| line.applied) {
                let name = line.rule.trim_start_matches("folder: ");
                prop_assert!(!reported.contains(&name), "{name} applies to {facts:?} and was reported: {found:?}");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn nothing_that_applies_is_ever_reported(
        rules in vec((0..CONDITIONS.len(), 0..CONDITIONS.len(), proptest::bool::weighted(0.2), any::<bool>()), 2..6),
        all_facts in vec(some_facts(), 12),
    ) {
        let mut content = String::new();
        for (number, (first, second, excepts, folder)) in rules.iter().enumerate() {
            let (first, second) = (CONDITIONS[*first], CONDITIONS[*second]);
            let except = if *excepts && !second.is_empty() { format!("except = [{{ {second} }}]") } else { String::new() };
            content += &if *folder {
                format!("[[folder]]\nname = 'f{number}'\nthen = 'stop'\n{second}\n[[folder.rule]]\nname = 'r{number}'\nsignature = 's'\n{first}\n{except}\n")
            } else {
                format!("[[rule]]\nname = 'r{number}'\nsignature = 's'\n{first}\n{except}\n")
            };
        }
        no_report_is_wrong(&content, &all_facts)?;
    }

    #[test]
    fn nothing_that_applies_is_reported_as_covered_by_several(
        rules in vec((0..PARTED.len(), 0..PARTED.len(), 0..4), 3..9),
        all_facts in vec(some_facts(), 24),
    ) {
        let rule = |(number, (first, second, kind)): (usize, &(usize, usize, i32))| {
            let second = if *kind == 0 { format!(", {{ {} }}", PARTED[*second]) } else { String::new() };
            let except = if *kind == 1 { format!("except = [{{ {} }}]", PARTED[number % 3]) } else { String::new() };
            let when = format!("when.all = [{{ {} }}{second}]", PARTED[*first]);
            format!("[[rule]]\nname = 'r{number}'\nsignature = 's'\n{when}\n{except}\n")
        };
        let content: String = rules.iter().enumerate().map(rule).collect();
        no_report_is_wrong(&content, &all_facts)?;
    }
}
