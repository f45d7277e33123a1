//! Rules as a customer writes them, decisions as the host gets them.

use signet_plugin_sdk::select::{Choice, CopyPlan, Explanation, Outcome, Placement, sign, skip};
use signet_plugin_sdk::{Address, Authentication, Format, Header, Kind, Moment, Person, Recipient, RecipientClass, Severity, TestMessage};

use super::*;

mod analysis;
mod banners;
mod conditions;
mod copies;
mod folders;
mod people;
mod schedule;

fn address(text: &str) -> Address {
    let (local, domain) = text.rsplit_once('@').unwrap();
    Address { local: local.into(), domain: domain.into() }
}

fn recipient(text: &str) -> Recipient {
    let address = address(text);
    let class = match address.domain.as_str() {
        "northwind.example" => RecipientClass::Internal,
        "partner.example" => RecipientClass::Partner,
        _ => RecipientClass::External,
    };
    let groups = if address.local == "bea" { vec!["board".into()] } else { vec![] };
    Recipient { address, class, groups }
}

/// A new message from Ada, who is in sales, to one external recipient. 2026-11-23T12:00Z, local time one hour ahead.
fn facts() -> Facts {
    Facts {
        tenant: "northwind".into(),
        sender: Person {
            address: address("Ada.King@northwind.example"),
            attributes: vec![("displayName".into(), "Ada King".into()), ("department".into(), "Inside Sales".into())],
            groups: vec!["all".into(), "sales".into()],
        },
        recipients: vec![recipient("you@customer.example")],
        subject: "Offer [Q4]".into(),
        headers: vec![Header { name: "x-campaign".into(), value: "Spring".into() }],
        kind: Kind::New,
        authentication: Authentication { spf: "pass".into(), dkim: "pass".into(), dmarc: "pass".into(), arc: "none".into(), aligned: true },
        size: 1000,
        attachments: 0,
        format: Format::Alternative,
        already_signed: false,
        now: Moment { unix_milliseconds: 1_795_435_200_000, offset_minutes: 60, zone: "Europe/Berlin".into() },
        seed: 1,
        delegate: None,
        in_thread: false,
        explain_every_rule: false,
    }
}

fn to(recipients: &[&str]) -> Facts {
    Facts { recipients: recipients.iter().map(|text| recipient(text)).collect(), ..facts() }
}

fn rules(content: &str) -> Rules {
    let files = [File { name: "rules.toml".into(), content: content.into() }];
    Rules::configure(&files).unwrap_or_else(|findings| panic!("{findings:?}")).0
}

fn decision(content: &str, facts: &Facts) -> Decision {
    rules(content).select(facts, &TestMessage::new("Dear Bea,\nthe OFFER is attached.")).unwrap()
}

/// Every line of the first copy's explanation.
fn explained(content: &str, facts: &Facts) -> Vec<String> {
    lines(&decide(content, facts)[0])
}

fn lines(copy: &CopyPlan) -> Vec<String> {
    let line = |line: &Explanation| format!("{} {}: {}", if line.applied { '+' } else { '-' }, line.rule, line.reason);
    copy.explanation.iter().map(line).collect()
}

fn decide(content: &str, facts: &Facts) -> Vec<CopyPlan> {
    decision(content, facts).copies
}

fn outcomes(content: &str, facts: &Facts) -> Vec<(Vec<u32>, Outcome)> {
    decide(content, facts).into_iter().map(|copy| (copy.recipients, copy.outcome)).collect()
}

fn findings(content: &str) -> Vec<String> {
    let files = [File { name: "rules.toml".into(), content: content.into() }];
    let findings = match Rules::configure(&files) {
        Ok((_, summary)) => summary.warnings,
        Err(findings) => findings,
    };
    let word = |severity: &Severity| if *severity == Severity::Error { "error" } else { "warning" };
    findings.iter().map(|f| format!("{} {}:{} {}: {}", word(&f.severity), f.file, f.line, f.key, f.message)).collect()
}

/// The condition alone decides whether the one rule applies.
fn applies(condition: &str, facts: &Facts) -> bool {
    let copies = decide(&format!("[[rule]]\nname = 'a'\nsignature = 'full'\n{condition}\n"), facts);
    assert_eq!(copies.len(), 1, "{condition}");
    let applied = copies[0].outcome == sign(["full"]);
    assert_eq!(copies[0].explanation[0].applied, applied, "{condition}: {:?}", copies[0].explanation);
    applied
}

#[test]
fn every_condition_holds_and_fails_as_written() {
    for (condition, holds, fails) in [
        ("sender.addresses", "'ada.KING@northwind.example'", "['bob@northwind.example']"),
        ("sender.domains", "['x.example', 'Northwind.example']", "'*.northwind.example'"),
        ("sender.domains", "'*.example'", "['orthwind.example']"),
        ("sender.groups", "['board', 'sales']", "['Sales']"),
        ("sender.attributes", "[{ name = 'department', equals = 'inside sales' }]", "[{ name = 'department', equals = 'sales' }]"),
        ("sender.attributes", "[{ name = 'department', contains = 'SALES' }]", "[{ name = 'Department', contains = 'sales' }]"),
        ("sender.attributes", "[{ name = 'department', present = true }]", "[{ name = 'phone', present = true }]"),
        ("sender.attributes", "[{ name = 'phone', absent = true }]", "[{ name = 'department', absent = true }]"),
        ("sender.known", "true", "false"),
        ("message.kind", "['reply', 'new']", "['reply', 'forward']"),
        ("message.format", "'alternative'", "['plain', 'html']"),
        ("message.subject-contains", "['nothing', '[q4]']", "'[q5]'"),
        ("message.text-contains", "'offer is'", "'kind regards'"),
        ("message.headers", "[{ name = 'X-Campaign', equals = 'spring' }]", "[{ name = 'x-campaign', absent = true }]"),
        ("message.authenticated", "true", "false"),
        ("message.attachments", "false", "true"),
        ("from", "2026-11-23", "2026-11-24"),
        ("from", "2026-11-23T13:00:00", "2026-11-23T13:00:01"),
        ("from", "2026-11-23T13:00:00+01:00", "2026-11-23T12:30:00Z"),
        ("until", "2026-11-23", "2026-11-22"),
        ("until", "2026-11-23T12:00:01Z", "2026-11-23T12:00:00Z"),
        ("recipient.class", "['partner', 'external']", "'internal'"),
        ("recipient.domains", "'customer.example'", "'northwind.example'"),
        ("recipient.addresses", "'You@customer.example'", "'me@customer.example'"),
        ("recipients.all.class", "'external'", "'partner'"),
        ("recipients.any.class", "'external'", "'partner'"),
        ("recipients.none.class", "'internal'", "'external'"),
    ] {
        assert!(applies(&format!("{condition} = {holds}"), &facts()), "{condition} = {holds}");
        assert!(!applies(&format!("{condition} = {fails}"), &facts()), "{condition} = {fails}");
        let exception = |value: &str| format!("[[rule.except]]\n{condition} = {value}");
        if !condition.starts_with("from") && !condition.starts_with("until") {
            assert!(!applies(&exception(holds), &facts()), "except {condition} = {holds}");
            assert!(applies(&exception(fails), &facts()), "except {condition} = {fails}");
        }
    }
}

#[test]
fn quantifiers_look_at_all_recipients_together() {
    let mixed = to(&["bob@northwind.example", "you@customer.example"]);
    for (condition, expected) in [
        ("recipients.all.class = 'external'", false),
        ("recipients.any.class = 'external'", true),
        ("recipients.none.class = 'external'", false),
        ("recipients.none.class = 'partner'", true),
        ("recipients.all.class = ['external', 'internal']", true),
    ] {
        assert_eq!(applies(condition, &mixed), expected, "{condition}");
    }
}

const SPLIT: &str = r#"
[[rule]]
name = "short inside"
signature = "short"
recipient.class = "internal"

[[rule]]
name = "full outside"
signature = "full"
recipient.class = ["external", "partner"]
"#;

#[test]
fn recipients_with_different_outcomes_get_different_copies() {
    let facts = to(&["you@customer.example", "bob@northwind.example", "pat@partner.example", "eve@northwind.example"]);
    assert_eq!(outcomes(SPLIT, &facts), [(vec![0, 2], sign(["full"])), (vec![1, 3], sign(["short"]))]);
}

#[test]
fn every_recipient_is_in_exactly_one_copy() {
    let rules = format!("{SPLIT}\n[[rule.except]]\nrecipient.addresses = 'r7@customer.example'\n");
    let names: Vec<String> =
        (0..60).map(|n| format!("r{n}@{}", ["customer.example", "northwind.example", "partner.example"][n % 3])).collect();
    let facts = to(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let copies = decide(&rules, &facts);
    let mut recipients: Vec<u32> = copies.iter().flat_map(|copy| copy.recipients.clone()).collect();
    recipients.sort_unstable();
    assert_eq!(recipients, (0..60).collect::<Vec<_>>());
}

#[test]
fn a_condition_on_the_group_of_a_recipient_is_decided_for_each() {
    let rules =
        "[[rule]]\nname = 'a'\nskip = 'the board reads no signatures'\nrecipient.groups = 'board'\n[[rule]]\nname = 'b'\nsignature = 's'\n";
    let facts = to(&["bob@northwind.example", "bea@northwind.example", "eve@northwind.example"]);
    assert_eq!(outcomes(rules, &facts), [(vec![0, 2], sign(["s"])), (vec![1], skip("the board reads no signatures"))]);
}

#[test]
fn an_individual_exception_concerns_its_recipients_only() {
    let rules = "[[rule]]\nname = 'a'\nsignature = 's'\n[[rule.except]]\nmessage.kind = 'new'\nrecipient.class = 'partner'\n";
    let facts = to(&["you@customer.example", "pat@partner.example"]);
    assert_eq!(outcomes(rules, &facts), [(vec![0], sign(["s"])), (vec![1], skip("no-rule-applied"))]);
}

#[test]
fn the_first_rule_that_applies_ends_the_search_unless_it_continues() {
    let rules = |then: &str| {
        format!(
            "[[rule]]\nname='a'\nsignature=['full','legal']\n{then}\n[[rule]]\nname='b'\nsignature=['legal','banner']\nplacement='end'\n"
        )
    };
    assert_eq!(outcomes(&rules(""), &facts()), [(vec![0], sign(["full", "legal"]))]);
    assert_eq!(outcomes(&rules("then = 'stop'"), &facts()), [(vec![0], sign(["full", "legal"]))]);
    let Outcome::Sign(stack) = outcomes(&rules("then = 'continue'"), &facts()).remove(0).1 else { panic!() };
    assert_eq!(stack.iter().map(|choice| choice.id.as_str()).collect::<Vec<_>>(), ["full", "legal", "banner"]);
    assert_eq!(stack[2], Choice { id: "banner".into(), placement: Placement::End });
}

#[test]
fn a_stack_has_at_most_eight_signatures() {
    let rules: String = (0..12).map(|n| format!("[[rule]]\nname='{n}'\nsignature='s{n}'\nthen='continue'\n")).collect();
    let Outcome::Sign(stack) = outcomes(&rules, &facts()).remove(0).1 else { panic!() };
    assert_eq!(stack.len(), 8);
}

#[test]
fn a_skip_below_a_stack_keeps_what_is_on_it() {
    let rules =
        "[[rule]]\nname='a'\nsignature='full'\nthen='continue'\n[[rule]]\nname='b'\nskip='enough'\n[[rule]]\nname='c'\nsignature='x'\n";
    assert_eq!(outcomes(rules, &facts()), [(vec![0], sign(["full"]))]);
}

#[test]
fn smaller_orders_come_first_then_files_by_name() {
    let rule = |name: &str, order: &str| format!("[[rule]]\nname='{name}'\nsignature='{name}'\nthen='continue'\n{order}\n");
    let files = [
        File { name: "20.toml".into(), content: rule("c", "") + &rule("d", "order = 5") },
        File { name: "10.toml".into(), content: rule("b", "") + &rule("a", "order = -1") },
    ];
    let (rules, summary) = Rules::configure(&files).unwrap();
    assert_eq!((summary.rules, summary.signatures), (4, ["a", "b", "c", "d"].map(str::to_owned).to_vec()));
    let copies = rules.select(&facts(), &TestMessage::default()).unwrap().copies;
    assert_eq!(copies[0].outcome, sign(["a", "b", "c", "d"]));
}

#[test]
fn a_disabled_rule_does_not_exist() {
    let rules = "[[rule]]\nname='a'\nsignature='a'\nenabled=false\n[[rule]]\nname='b'\nsignature='b'\n";
    assert_eq!(outcomes(rules, &facts()), [(vec![0], sign(["b"]))]);
}

#[test]
fn an_unknown_sender_matches_no_rule_that_asks_the_directory() {
    let mut facts = facts();
    facts.sender.attributes.clear();
    facts.sender.groups.clear();
    for condition in [
        "sender.groups = 'sales'",
        "sender.attributes = [{ name = 'phone', absent = true }]",
        "sender.known = true",
        "[[rule.except]]\nsender.groups = 'board'",
    ] {
        assert!(!applies(condition, &facts), "{condition}");
    }
    for condition in ["", "sender.known = false", "sender.domains = 'northwind.example'"] {
        assert!(applies(condition, &facts), "{condition}");
    }
}

#[test]
fn a_message_that_is_already_signed_gets_none() {
    let facts = Facts { already_signed: true, ..to(&["a@customer.example", "b@northwind.example"]) };
    assert_eq!(outcomes(SPLIT, &facts), [(vec![0, 1], skip("already-signed"))]);
}

#[test]
fn a_recipient_class_that_is_not_known_gets_nothing_meant_for_another() {
    let mut facts = facts();
    facts.recipients[0].class = RecipientClass::Other("cousin".into());
    assert_eq!(outcomes(SPLIT, &facts), [(vec![0], skip("no-rule-applied"))]);
}

#[test]
fn the_explanation_names_every_rule_with_what_decided() {
    let rules = r#"
[[rule]]
name = "board"
signature = "board"
sender.groups = ["board", "owners"]
[[rule]]
name = "replies"
signature = "short"
message.kind = ["reply", "forward"]
[[rule]]
name = "campaign"
signature = "banner"
then = "continue"
sender.attributes = [{ name = "department", contains = "sales" }]
[[rule.except]]
message.subject-contains = "[Q4]"
[[rule]]
name = "outside"
signature = "full"
message.kind = "new"
recipient.class = ["external", "partner"]
[[rule]]
name = "rest"
signature = "short"
"#;
    let copies = decide(rules, &to(&["you@customer.example", "bea@northwind.example"]));
    let shared = [
        r#"- board: sender.groups: wanted one of "board", "owners", found "all", "sales""#,
        r#"- replies: message.kind: wanted one of "reply", "forward", found "new""#,
        "- campaign: exception 1 holds: message.subject-contains: one of them",
    ];
    assert_eq!(lines(&copies[0])[..3], shared);
    assert_eq!(
        lines(&copies[0])[3..],
        [
            r#"+ outside: message.kind: "new"; recipient: you@customer.example (external)"#,
            r#"- rest: not asked: "outside" ended the search"#
        ]
    );
    assert_eq!(lines(&copies[1])[..3], shared);
    assert_eq!(
        lines(&copies[1])[3..],
        [
            r#"- outside: recipient: wanted class one of "external", "partner", found bea@northwind.example (internal, groups "board")"#,
            "+ rest: has no conditions",
        ]
    );
}

#[test]
fn no_explanation_line_is_too_long_and_none_breaks_out_of_its_quotes() {
    let mut facts = facts();
    facts.sender.groups = (0..500).map(|n| format!("group \"{n}\"\n")).collect();
    facts.sender.attributes[1].1 = "é".repeat(5000);
    let rules = "[[rule]]\nname='a'\nsignature='x'\nsender.groups='none'\n[[rule]]\nname='b'\nsignature='x'\nsender.attributes=[{name='department', equals='x'}]\n";
    for line in &decide(rules, &facts)[0].explanation {
        assert!(line.reason.len() <= 1024 && !line.reason.contains('\n'), "{line:?}");
    }
}

#[test]
fn thousands_of_rules_for_others_are_told_as_a_number() {
    let mut content: String =
        (0..5000).map(|n| format!("[[rule]]\nname='p{n}'\nsignature='s'\nsender.addresses='p{n}@northwind.example'\n")).collect();
    content.push_str("[[rule]]\nname='mine'\nsignature='full'\nsender.groups='sales'\n");
    let copies = decide(&content, &facts());
    assert_eq!(copies[0].outcome, sign(["full"]));
    let lines: Vec<&str> = copies[0].explanation.iter().map(|line| line.rule.as_str()).collect();
    assert_eq!(lines, ["mine", "(5000 more rules)"]);
}

#[test]
fn the_description_names_what_the_rules_read() {
    let content = "[[rule]]\nname='a'\nsignature='x'\nsender.attributes=[{name='department', present=true}]\n\
                   [[rule.except]]\nmessage.headers=[{name='List-Id', present=true}]\nsender.attributes=[{name='title', present=true}]\n";
    let description = rules(content).describe();
    assert_eq!(
        (description.headers, description.attributes),
        (vec!["list-id".to_owned()], ["department", "displayName", "title"].map(str::to_owned).to_vec())
    );
}

#[test]
fn mistakes_are_named_with_line_key_and_example() {
    for (content, expected) in [
        (
            "[[rule]]\nname='a'\nsignature='x'\nplacemnt='end'\n",
            "error rules.toml:4 rule[1].placemnt: is not a key of this table; did you mean `placement = \"end\"`?",
        ),
        ("[[rule]]\nname='a'\n", "error rules.toml:1 rule[1]: adds nothing and skips nothing; for example `signature = \"full\"`"),
        ("[[rule]]\nsignature='x'\n", "error rules.toml:1 rule[1].name: is missing; for example `name = \"Full signature for new mail\"`"),
        (
            "[[rule]]\nname='a'\nsignature='a b'\n",
            "error rules.toml:3 rule[1].signature: \"a b\" is not an id: letters, digits, `-` and `_`; for example `signature = \"full\"`",
        ),
        ("[[rule]]\nname='a'\nsignature='x'\nskip='y'\n", "error rules.toml:4 rule[1].skip: contradicts `signature`; keep one of the two"),
        (
            "[[rule]]\nname='a'\nsignature='x'\nmessage.kind='nwe'\n",
            "error rules.toml:4 rule[1].message.kind: \"nwe\" is none of new, reply, forward; for example `kind = [\"reply\", \"forward\"]`",
        ),
        (
            "[[rule]]\nname='a'\nsignature='x'\nsender.addresses='x.example'\n",
            "error rules.toml:4 rule[1].sender.addresses: \"x.example\" is not an address; for all of a domain use `domains`; for example `addresses = [\"ada@northwind.example\", \"info-*@northwind.example\"]`",
        ),
        (
            "[[rule]]\nname='a'\nsignature='x'\nsender.domains='münchen.example'\n",
            "error rules.toml:4 rule[1].sender.domains: \"münchen.example\" must be written with A-labels (`xn--...`); for example `domains = [\"northwind.example\", \"*.northwind.example\"]`",
        ),
        (
            "[[rule]]\nname='a'\nsignature='x'\nsender.attributes=[{name='b'}]\n",
            "error rules.toml:4 rule[1].sender.attributes[1]: says nothing about the value; for example `attributes = [{ name = \"department\", equals = \"Sales\" }]`",
        ),
        (
            "[[rule]]\nname='a'\nsignature='x'\nfrom=12:00:00\n",
            "error rules.toml:4 rule[1].from: is a time of day without a date; for example `from = 2026-12-01`",
        ),
        (
            "[[rule]]\nname='a'\nsignature='x'\n[[rule.except]]\n",
            "error rules.toml:4 rule[1].except[1]: has no condition, so the rule could never apply; for example `message.kind = \"reply\"`",
        ),
        (
            "[[rule]]\nname='a'\nsignature='x'\nrecipient={}\n",
            "error rules.toml:4 rule[1].recipient: has no condition; for example `class = \"external\"`",
        ),
        (
            "[[rule]]\nname='a'\nsignature='x'\nmessage.kind='new'\n[[rule]]\nname='a'\nsignature='y'\n",
            "error rules.toml:5 rule[2].name: \"a\" is already the name of the rule in rules.toml line 1; names must differ, for example `name = \"a (2)\"`",
        ),
        (
            "[[rule]]\nname='a'\nsignature='x'\nmessage.kind='new'\n[[rule]]\nname='b'\nsignature='y'\nmessage.kind='new'\n",
            "warning rules.toml:5 rule[2]: \"b\" is never reached: \"a\" (rules.toml line 1) has the same conditions and stops; give it `then = \"continue\"`, or this one a smaller `order`",
        ),
        (
            "[[rule]]\nname='a'\nsignature='x'\n[[rule]]\nname='b'\nsignature='y'\nmessage.kind='new'\n",
            "warning rules.toml:4 rule[2]: \"b\" is never reached: \"a\" (rules.toml line 1) applies to every message and stops; give it `then = \"continue\"`, or this one a smaller `order`",
        ),
        ("rule = 1\n", "error rules.toml:1 rule: must be a list of tables, and is of type integer; for example `[[rule]]`"),
    ] {
        assert_eq!(findings(content), [expected], "{content}");
    }
}

#[test]
fn a_condition_with_an_empty_text_is_refused_instead_of_holding_everywhere() {
    for (key, empty) in [
        ("sender.addresses", "''"),
        ("sender.addresses", "['ada@x.example', '']"),
        ("sender.domains", "''"),
        ("sender.groups", "['sales', ' ']"),
        ("delegate.groups", "''"),
        ("recipient.addresses", "''"),
        ("recipient.class", "''"),
        ("recipients.any.domains", "['']"),
        ("recipients.none.groups", "''"),
        ("message.kind", "''"),
        ("message.subject-contains", "''"),
        ("message.subject-contains", "['[x]', '']"),
        ("message.text-contains", "' '"),
        ("message.subject-words", "['']"),
        ("message.text-words", "''"),
        ("message.trigger", "''"),
        ("message.languages", "''"),
        ("message.sensitivity-labels", "''"),
        ("weekdays", "''"),
        ("hours", "''"),
    ] {
        for (before, after, path) in [("", "", ""), ("except = [{ ", " }]", "except[1].")] {
            let found = findings(&format!("[[rule]]\nname='a'\nsignature='x'\n{before}{key} = {empty}{after}\n"));
            let text = if empty.contains("' '") { " " } else { "" };
            let expected = format!("error rules.toml:4 rule[1].{path}{key}: has the empty text {text:?}; leave it out, or for example `");
            assert!(found[0].starts_with(&expected), "{key} = {empty}: {found:?}");
            assert!(found.len() == 1 || !before.is_empty(), "{found:?}");
        }
    }
    for want in ["equals", "one-of", "contains", "starts-with", "ends-with"] {
        for key in ["sender.attributes", "message.headers"] {
            let found = findings(&format!("[[rule]]\nname='a'\nsignature='x'\n{key} = [{{ name = 'x', {want} = '' }}]\n"));
            let expected =
                format!("error rules.toml:4 rule[1].{key}[1].{want}: has the empty text \"\"; leave it out, or for example `{want} = ");
            assert!(found.len() == 1 && found[0].starts_with(&expected), "{key} {want}: {found:?}");
        }
    }
    let found = findings("[[rule]]\nname='a'\nsignature='x'\nsender.attributes = [{ name = '', equals = 'x' }]\n");
    assert!(found.len() == 1 && found[0].contains("attributes[1].name: has the empty text"), "{found:?}");
}

#[test]
fn a_forgotten_bracket_is_one_error_that_names_the_line_above() {
    let found = findings("[[rule]]\nname = 'x'\nsignature = 's'\nsender.groups = ['sales'\n\n[[rule]]\nname = 'y'\nsignature = 's'\n");
    let hint = r#"; the mistake may be in line 4 before it; for example `names = ["one", "two"]`"#;
    assert!(found.len() == 1 && found[0].starts_with("error rules.toml:6 : not TOML: ") && found[0].ends_with(hint), "{found:?}");
}

#[test]
fn the_same_conditions_below_a_rule_that_continues_are_reached() {
    let content = "[[rule]]\nname='a'\nsignature='x'\nthen='continue'\n[[rule]]\nname='b'\nsignature='y'\n";
    assert_eq!(findings(content), [""; 0]);
}

#[test]
fn several_mistakes_are_reported_at_once() {
    assert_eq!(findings("colour = 1\n[[rule]]\nname = 1\nsignature = 2\norder = 'x'\n").len(), 4);
}

#[test]
fn the_examples_of_the_manual_are_valid() {
    let mut examples = 0;
    for block in include_str!("lib.rs").split("//! ```toml\n").skip(1) {
        let lines = block.lines().take_while(|line| *line != "//! ```").map(|line| line.trim_start_matches("//!").trim_start_matches(' '));
        let example = lines.collect::<Vec<_>>().join("\n");
        let rule = if example.starts_with("[rule.when]") { "[[rule]]\nname = 'a'\nsignature = 'x'\n" } else { "" };
        assert_eq!(findings(&format!("{rule}{example}\n")), [""; 0], "{example}");
        examples += 1;
    }
    assert_eq!(examples, 4);
}

#[test]
fn the_manual_names_every_key() {
    let manual: String = include_str!("lib.rs").lines().filter(|line| line.starts_with("//! |")).collect();
    // Whoever asks for a key that nobody knows is told all that are known.
    let tables =
        ["", "message.", "message.size.", "sender.", "delegate.", "recipient.", "recipients.", "recipients.count.", "except.", "when."];
    for table in tables {
        let key = format!("{table}xxxxxxxxxxxx = 1").replace("except.", "except = [{ a = 1 }]\n");
        let found = findings(&format!("[[rule]]\nname = 'a'\nsignature = 'x'\n{key}\n"));
        let (_, known) = found.iter().find_map(|finding| finding.split_once("known here: ")).unwrap();
        for key in known.split(", ").filter(|key| !JOINTS.contains(key)) {
            let named =
                ["`", "."].iter().any(|before| manual.contains(&format!("{before}{key}`")) || manual.contains(&format!("{before}{key}.")));
            assert!(named, "{table}{key} is not in the manual");
        }
    }
}

/// Keys that are explained outside of the tables, or that stand before others.
const JOINTS: [&str; 4] = ["all", "any", "not", "message"];

#[test]
fn the_demo_decides_as_it_should() {
    let files = [File { name: "rules.toml".into(), content: include_str!("../../../config/demo/rules.toml").into() }];
    let (rules, summary) = Rules::configure(&files).unwrap();
    assert_eq!((summary.rules, summary.warnings), (7, vec![]));
    let decide = |change: fn(&mut Facts)| {
        let mut facts = to(&["you@customer.example", "bea@northwind.example"]);
        facts.sender.groups = vec!["everyone".into(), "harbour-office".into()];
        change(&mut facts);
        let copies = rules.select(&facts, &TestMessage::default()).unwrap().copies;
        copies.into_iter().map(|copy| copy.outcome).collect::<Vec<_>>()
    };
    assert_eq!(decide(|_| ()), [sign(["full", "banner"]), sign(["reply"])]);
    assert_eq!(decide(|facts| facts.sender.groups.push("no-campaigns".into())), [sign(["full"]), sign(["reply"])]);
    assert_eq!(decide(|facts| facts.subject = "Invoice 88213".into()), [sign(["full"]), sign(["reply"])]);
    assert_eq!(decide(|facts| facts.kind = Kind::Reply), [sign(["reply"])]);
    assert_eq!(decide(|facts| facts.subject.push_str(" [No Signature]")), [skip("the subject asks for no signature")]);
    assert_eq!(
        decide(|facts| {
            facts.sender.attributes.clear();
            facts.sender.groups.clear();
        }),
        [sign(["company"])]
    );
    assert_eq!(
        decide(|facts| facts.headers = vec![Header { name: "auto-submitted".into(), value: "auto-replied".into() }]),
        [skip("an automatic answer")]
    );
}
