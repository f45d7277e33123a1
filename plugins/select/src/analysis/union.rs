//! Rules that several earlier ones cover together, each a part of their mail.
//!
//! Only what has few values is parted: the recipient's class, whether the sender is known, the message's kind and format, and what is
//! true or false. A class, kind or format that a later version of the interface may add is left out of account.

use std::collections::BTreeSet;

use super::Claim;
use super::contradicts::contradiction;
use super::implies::all_imply;
use crate::case::Role;
use crate::condition::Condition;
use crate::condition::leaf::{About, FORMATS, KINDS, Test};
use crate::condition::who::{CLASSES, Who};

/// Those of `earlier` that together apply wherever `claim` does, by their place in it.
pub(super) fn cover(earlier: &[&Claim<'_>], claim: &Claim<'_>, left: &mut usize) -> Option<BTreeSet<usize>> {
    let within = |earlier: &Claim<'_>| {
        let open = |condition: &&&Condition| !all_imply(&claim.conditions, condition);
        earlier.excepts_no_more_than(claim) && earlier.conditions.iter().filter(open).all(|condition| is_parted(condition))
    };
    let helpers: Vec<(usize, &Claim<'_>)> = earlier.iter().copied().enumerate().filter(|(_, earlier)| within(earlier)).collect();
    let mut axes: Vec<Vec<Condition>> = Vec::new();
    for condition in helpers.iter().flat_map(|(_, helper)| &helper.conditions) {
        let mut tests = Vec::new();
        condition.tests(&mut tests);
        for axis in tests.into_iter().filter_map(values) {
            if !axes.contains(&axis) {
                axes.push(axis);
            }
        }
    }
    let mut used = BTreeSet::new();
    (!axes.is_empty() && parts(&helpers, &claim.conditions, &axes, &mut used, left)).then_some(used)
}

/// Whether every part of what fulfils `given` is covered; `used` gets those that do it.
fn parts(
    helpers: &[(usize, &Claim<'_>)],
    given: &[&Condition],
    axes: &[Vec<Condition>],
    used: &mut BTreeSet<usize>,
    left: &mut usize,
) -> bool {
    if helpers.len() > *left {
        return false;
    }
    *left -= helpers.len();
    if contradiction(given).is_some() {
        return true;
    }
    let covers = |helper: &Claim<'_>| helper.conditions.iter().all(|condition| all_imply(given, condition));
    if let Some((number, _)) = helpers.iter().find(|(_, helper)| covers(helper)) {
        used.insert(*number);
        return true;
    }
    let Some((axis, axes)) = axes.split_first() else { return false };
    axis.iter().all(|value| parts(helpers, &[given, &[value]].concat(), axes, used, left))
}

/// Whether only what has few values decides it.
fn is_parted(condition: &Condition) -> bool {
    let mut tests = Vec::new();
    condition.tests(&mut tests);
    tests.into_iter().all(|test| values(test).is_some())
}

/// A condition for each value of what is asked; one of them holds, and none is unknown.
fn values(test: &Test) -> Option<Vec<Condition>> {
    let flags = |test: fn(bool) -> Test| [true, false].map(test).to_vec();
    let words = |words: &[&str], test: fn(Vec<usize>) -> Test| (0..words.len()).map(|index| test(vec![index])).collect();
    let tests: Vec<Test> = match test {
        Test::Recipient(who) if who.is_class_only() => {
            CLASSES.iter().map(|(_, class)| Test::Recipient(Who { classes: vec![*class], ..Who::default() })).collect()
        }
        Test::Person(Role::Sender, About::Known(_)) => flags(|known| Test::Person(Role::Sender, About::Known(known))),
        Test::Kind(_) => words(&KINDS, Test::Kind),
        Test::Format(_) => words(&FORMATS, Test::Format),
        Test::OnBehalf(_) => flags(Test::OnBehalf),
        Test::FirstInThread(_) => flags(Test::FirstInThread),
        Test::Authenticated(_) => flags(Test::Authenticated),
        Test::Attachments(_) => flags(Test::Attachments),
        _ => return None,
    };
    Some(tests.into_iter().map(Condition::Test).collect())
}
