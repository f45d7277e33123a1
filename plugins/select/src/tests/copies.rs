//! Every recipient is in exactly one copy, whatever the rules and facts.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Conditions that differ in what they ask and whom.
const CONDITIONS: [&str; 12] = [
    "",
    "recipient.class = 'internal'",
    "recipient.class = ['external', 'partner']",
    "recipient.addresses = 'r1*@*'",
    "recipient.groups = 'board'",
    "recipients.any.class = 'partner'",
    "recipients.count.at-least = 3",
    "message.kind = 'reply'",
    "sender.groups = 'sales'",
    "sender.groups = 'board'",
    "when.any = [{ recipient.domains = 'partner.example' }, { not = { recipient.addresses = 'r2*@*' } }]",
    "when.not = { sender.groups = 'sales', recipient.class = 'external' }",
];

const DOMAINS: [&str; 4] = ["northwind.example", "partner.example", "customer.example", "other.example"];

prop_compose! {
    /// A rule, folder or banner.
    fn item()(kind in 0..4, condition in 0..CONDITIONS.len(), exception in 0..CONDITIONS.len(), signature in 0..6,
              skips in proptest::bool::weighted(0.1), goes_on in any::<bool>()) -> (i32, String) {
        let action = if skips && kind != 3 { "skip = 'no'".to_owned() } else { format!("signature = 's{signature}'") };
        let then = if goes_on && kind != 3 { "then = 'continue'\n" } else { "" };
        let except = CONDITIONS[exception];
        let except = if exception % 3 == 1 || exception == 11 { format!("except = [{{ {except} }}]\n") } else { String::new() };
        (kind, format!("{action}\n{then}{}\n{except}", CONDITIONS[condition]))
    }
}

fn content(items: Vec<(i32, String)>, copies: usize) -> String {
    let mut content = format!("settings.copies = {copies}\n");
    for (number, (kind, item)) in items.into_iter().enumerate() {
        content += &match kind {
            0 | 1 => format!("[[rule]]\nname = 'n{number}'\n{item}"),
            2 => {
                let condition = CONDITIONS[number % CONDITIONS.len()];
                format!("[[folder]]\nname = 'f{number}'\nthen = 'stop'\n{condition}\n[[folder.rule]]\nname = 'n{number}'\n{item}")
            }
            _ => format!("[[banner]]\nname = 'n{number}'\n{item}"),
        };
    }
    content
}

proptest! {
    #[test]
    fn every_recipient_is_in_exactly_one_copy_for_any_rules(
        items in vec(item(), 0..12),
        names in vec((0..40_u32, 0..DOMAINS.len(), any::<bool>()), 1..60),
        copies in 2..6_usize,
        kind in 0..3,
        known in any::<bool>(),
        strange in any::<bool>(),
    ) {
        let mut facts = facts();
        facts.recipients = names.iter().map(|(name, domain, board)| {
            let mut recipient = recipient(&format!("r{name}@{}", DOMAINS[*domain]));
            recipient.groups = if *board { vec!["board".into()] } else { vec![] };
            recipient
        }).collect();
        if strange {
            facts.recipients[0].class = RecipientClass::Other("cousin".into());
        }
        facts.kind = [Kind::New, Kind::Reply, Kind::Other("answer".into())][usize::try_from(kind).unwrap()].clone();
        if !known {
            facts.sender.attributes.clear();
            facts.sender.groups.clear();
        }
        let content = content(items, copies);
        let plans = decide(&content, &facts);
        let mut covered: Vec<u32> = plans.iter().flat_map(|plan| plan.recipients.clone()).collect();
        covered.sort_unstable();
        prop_assert_eq!(covered, (0..u32::try_from(facts.recipients.len()).unwrap()).collect::<Vec<_>>());
        prop_assert!(plans.len() <= copies && plans.iter().all(|plan| !plan.recipients.is_empty()));
        for plan in &plans {
            if let Outcome::Sign(stack) = &plan.outcome {
                prop_assert!((1..=8).contains(&stack.len()));
            }
        }
        // Alone, each recipient gets the same, unless the rules ask about all of them together or copies ran out.
        let together = content.contains("recipients.") || plans.iter().any(|plan| plan.outcome == skip("copies-limit"));
        for plan in plans.iter().filter(|_| !together) {
            for recipient in &plan.recipients {
                let alone = Facts { recipients: vec![facts.recipients[*recipient as usize].clone()], ..facts.clone() };
                let alone = &decide(&content, &alone)[0];
                prop_assert_eq!(&alone.outcome, &plan.outcome);
                // What applied to it is told in the explanation of the copy, which may leave out the last of many ways.
                let told = lines(plan);
                if !told.iter().any(|line| line.contains(" more recipients): ")) {
                    for line in alone.explanation.iter().filter(|line| line.applied) {
                        prop_assert!(told.iter().any(|told| told.starts_with(&format!("+ {}: ", line.rule))), "{}: {told:?}", line.rule);
                    }
                }
            }
        }
    }
}

#[test]
fn more_outcomes_than_copies_leave_the_least_common_without_signature() {
    let mut content = "settings.copies = 3\n".to_owned();
    content.extend((0..5).map(|n| format!("[[rule]]\nname='r{n}'\nsignature='s{n}'\nrecipient.addresses='r{n}@*'\n")));
    let facts = to(&["r0@a.example", "r1@a.example", "r1@b.example", "r2@a.example", "r3@a.example", "r3@b.example", "r4@a.example"]);
    assert_eq!(outcomes(&content, &facts), [(vec![1, 2], sign(["s1"])), (vec![4, 5], sign(["s3"])), (vec![0, 3, 6], skip("copies-limit"))]);
    let copies = decide(&content, &facts);
    assert_eq!(lines(&copies[2])[0], "+ (copies): 5 different outcomes are more than the 3 copies that the settings allow");
}

#[test]
fn sixteen_copies_are_made_when_the_settings_do_not_say() {
    let content: String = (0..20).map(|n| format!("[[rule]]\nname='r{n}'\nsignature='s{n}'\nrecipient.addresses='r{n}@*'\n")).collect();
    let names: Vec<String> = (0..20).map(|n| format!("r{n}@x.example")).collect();
    let copies = decide(&content, &to(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!((copies.len(), copies[15].recipients.len()), (16, 5));
}

/// Whose signature is the same, for two reasons.
const ALIKE: &str = "[[rule]]\nname='inside'\nsignature='s'\nrecipient.class='internal'\n[[rule]]\nname='outside'\nsignature='s'\n\
                     recipient.class='external'\n[[rule]]\nname='rest'\nskip='x'\nexcept=[{ message.kind='reply' }]\n";

#[test]
fn recipients_of_one_copy_who_came_to_it_in_different_ways_have_lines_of_their_own() {
    let facts = to(&["x@x.example", "bob@northwind.example", "y@x.example", "eve@northwind.example", "z@x.example"]);
    let copies = decide(ALIKE, &facts);
    assert_eq!((copies.len(), &copies[0].outcome), (1, &sign(["s"])));
    assert_eq!(
        lines(&copies[0]),
        [
            "- inside: for x@x.example (external) and 2 more: recipient: wanted class \"internal\", found x@x.example (external)",
            "+ inside: for bob@northwind.example (internal) and 1 more: recipient: bob@northwind.example (internal)",
            "+ outside: for x@x.example (external) and 2 more: recipient: x@x.example (external)",
            "- outside: for bob@northwind.example (internal) and 1 more: not asked: \"inside\" ended the search",
            r#"- rest: not asked: "outside" or "inside" ended the search"#,
        ]
    );
}

#[test]
fn recipients_who_came_to_their_copy_in_one_way_share_its_lines() {
    let external = to(&["x@x.example", "y@y.example"]);
    assert_eq!(lines(&decide(ALIKE, &external)[0]), lines(&decide(ALIKE, &to(&["x@x.example"]))[0]));
    let rules = "[[rule]]\nname='a'\nsignature='s'\nrecipient.class='partner'\n[[rule]]\nname='b'\nsignature='s'\n\
                 except=[{ recipient.addresses='nobody@*' }]\n";
    let mixed = to(&["x@x.example", "bob@northwind.example"]);
    assert_eq!(
        lines(&decide(rules, &mixed)[0]),
        ["- a: recipient: wanted class \"partner\", found x@x.example (external)", "+ b: has no conditions, and no exception holds"]
    );
}

#[test]
fn only_the_first_ways_to_an_outcome_are_told_and_the_number_of_the_others() {
    let mut content: String = (0..20).map(|n| format!("[[rule]]\nname='r{n}'\nsignature='s'\nrecipient.addresses='r{n}@*'\n")).collect();
    let names: Vec<String> = (0..20).flat_map(|n| [format!("r{n}@x.example"), format!("r{n}@y.example")]).collect();
    let facts = to(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let copies = decide(&content, &facts);
    let told = lines(&copies[0]);
    assert_eq!((copies.len(), told.last().unwrap().as_str()), (1, OTHERS));
    assert!(told.len() <= 4 * 20 + 1, "{}", told.len());
    assert!(told.contains(&"+ r3: for r3@x.example (external) and 1 more: recipient: r3@x.example (external)".to_owned()), "{told:?}");

    // Those who share a copy because there were too many have different reasons, too.
    content = "settings.copies = 2\n".to_owned()
        + &(0..20).map(|n| format!("[[rule]]\nname='r{n}'\nsignature='s{n}'\nrecipient.addresses='r{n}@*'\n")).collect::<String>();
    let copies = decide(&content, &facts);
    assert_eq!((copies.len(), copies[1].outcome.clone()), (2, skip("copies-limit")));
    let told = lines(&copies[1]);
    assert!(told[0].starts_with("+ (copies): "), "{told:?}");
    assert!(told.contains(&"+ r1: for r1@x.example (external) and 1 more: recipient: r1@x.example (external)".to_owned()), "{told:?}");
    assert_eq!(told.last().unwrap(), "- (30 more recipients): other rules decided for them, or other conditions, with the same outcome");
}

const OTHERS: &str = "- (32 more recipients): other rules decided for them, or other conditions, with the same outcome";
