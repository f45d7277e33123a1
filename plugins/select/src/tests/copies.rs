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
                prop_assert_eq!(&decide(&content, &alone)[0].outcome, &plan.outcome);
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
