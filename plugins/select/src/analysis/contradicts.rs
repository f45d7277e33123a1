//! Whether conditions can never hold together. "No" also means "not certain".

use std::cmp::Ordering;

use super::implies::{all_imply, who_implies};
use crate::case::Role;
use crate::condition::Condition;
use crate::condition::leaf::{About, Test};
use crate::condition::value::{Pattern, Range, Want, in_domains};
use crate::condition::who::{Quantifier, Who};
use crate::schedule::{Hours, Weekly};

/// Two of the conditions that exclude each other; the same one twice when it excludes itself.
pub(super) fn contradiction<'c>(conditions: &[&'c Condition]) -> Option<(&'c Condition, &'c Condition)> {
    for (number, left) in conditions.iter().enumerate() {
        if let Condition::Not(inner) = left
            && all_imply(conditions, inner)
        {
            let cause = conditions.iter().find(|condition| all_imply(&[condition], inner)).unwrap_or(left);
            return Some((cause, left));
        }
        if let Some(right) = conditions[number..].iter().find(|right| exclude(left, right)) {
            return Some((left, right));
        }
    }
    None
}

fn exclude(left: &Condition, right: &Condition) -> bool {
    match (left, right) {
        (Condition::Test(left), Condition::Test(right)) => tests_exclude(left, right),
        (Condition::Any(parts), other) | (other, Condition::Any(parts)) if !matches!(other, Condition::Any(_)) => {
            parts.iter().all(|part| exclude(part, other))
        }
        (Condition::All(parts), other) | (other, Condition::All(parts)) if !matches!(other, Condition::All(_)) => {
            parts.iter().any(|part| exclude(part, other))
        }
        _ => false,
    }
}

/// Whether the two never hold together.
pub(super) fn tests_exclude(left: &Test, right: &Test) -> bool {
    excludes(left, right) || excludes(right, left)
}

fn excludes(left: &Test, right: &Test) -> bool {
    match (left, right) {
        (Test::Person(role, left), Test::Person(other, right)) => role == other && abouts_exclude(left, right),
        (Test::OnBehalf(false), Test::Person(Role::Delegate, _)) => true,
        (Test::OnBehalf(left), Test::OnBehalf(right))
        | (Test::FirstInThread(left), Test::FirstInThread(right))
        | (Test::Authenticated(left), Test::Authenticated(right))
        | (Test::Attachments(left), Test::Attachments(right)) => left != right,
        (Test::FirstInThread(true), Test::Kind(kinds)) => !kinds.contains(&0),
        (Test::Kind(left), Test::Kind(right))
        | (Test::Format(left), Test::Format(right))
        | (Test::Sensitivity(left), Test::Sensitivity(right))
        | (Test::Importance(left), Test::Importance(right)) => are_disjoint(left, right),
        (Test::Header(name, left), Test::Header(other, right)) => name == other && wants_exclude(left, right),
        (Test::Size(left), Test::Size(right)) | (Test::Count(left), Test::Count(right)) => is_above(*left, *right),
        (Test::From(from), Test::Until(until)) => until.compare(from).is_some_and(Ordering::is_le),
        (Test::Weekly(left), Test::Weekly(right)) => weeklies_exclude(left, right),
        (Test::Recipient(left), Test::Recipient(right) | Test::Recipients(Quantifier::All, right))
        | (Test::Recipients(Quantifier::Any, left), Test::Recipients(Quantifier::All, right)) => whos_exclude(left, right),
        (Test::Recipient(left) | Test::Recipients(Quantifier::Any, left), Test::Recipients(Quantifier::None, right)) => {
            who_implies(left, right)
        }
        _ => false,
    }
}

fn abouts_exclude(left: &About, right: &About) -> bool {
    match (left, right) {
        (About::Addresses(left), About::Addresses(right)) => patterns_exclude(left, right),
        (About::Addresses(patterns), About::Domains(domains)) => patterns_outside(patterns, domains),
        (About::Domains(left), About::Domains(right)) => domains_exclude(left, right),
        (About::Known(false), About::Groups(_) | About::Attribute(..)) => true,
        (About::Known(left), About::Known(right)) => left != right,
        (About::Attribute(name, left), About::Attribute(other, right)) => name == other && wants_exclude(left, right),
        _ => false,
    }
}

fn patterns_exclude(left: &[Pattern], right: &[Pattern]) -> bool {
    let apart = |left: &Pattern, right: &Pattern| match (left.is_exact(), right.is_exact()) {
        (true, _) => !right.matches(&left.text),
        (false, true) => !left.matches(&right.text),
        (false, false) => !left.domain().contains('*') && !right.domain().contains('*') && left.domain() != right.domain(),
    };
    left.iter().all(|left| right.iter().all(|right| apart(left, right)))
}

fn patterns_outside(patterns: &[Pattern], domains: &[String]) -> bool {
    patterns.iter().all(|pattern| !pattern.domain().contains('*') && !in_domains(pattern.domain(), domains))
}

fn domains_exclude(left: &[String], right: &[String]) -> bool {
    let apart = |left: &String, right: &String| match (left.strip_prefix('*'), right.strip_prefix('*')) {
        (None, _) => !in_domains(left, std::slice::from_ref(right)),
        (Some(_), None) => !in_domains(right, std::slice::from_ref(left)),
        (Some(left), Some(right)) => !left.ends_with(right) && !right.ends_with(left),
    };
    left.iter().all(|left| right.iter().all(|right| apart(left, right)))
}

fn wants_exclude(left: &Want, right: &Want) -> bool {
    // A name may have several values, so that only the absence of all excludes something.
    (*left == Want::Absent) != (*right == Want::Absent)
}

/// Whether all of one is above or below all of the other.
fn is_above(left: Range, right: Range) -> bool {
    let above = |high: Range, low: Range| high.least.zip(low.most).is_some_and(|(least, most)| least > most);
    above(left, right) || above(right, left)
}

fn weeklies_exclude(left: &Weekly, right: &Weekly) -> bool {
    let stays = |weekly: &Weekly| weekly.hours.iter().all(|hours| hours.start < hours.end);
    let days = left.weekdays.iter().zip(&right.weekdays).all(|(left, right)| !left || !right);
    let apart = |left: &Hours, right: &Hours| left.end <= right.start || right.end <= left.start;
    let hours = !left.hours.is_empty()
        && !right.hours.is_empty()
        && left.hours.iter().all(|left| right.hours.iter().all(|right| apart(left, right)));
    left.zone == right.zone && stays(left) && stays(right) && (days || hours)
}

fn whos_exclude(left: &Who, right: &Who) -> bool {
    !left.classes.is_empty() && !right.classes.is_empty() && are_disjoint(&left.classes, &right.classes)
        || !left.domains.is_empty() && !right.domains.is_empty() && domains_exclude(&left.domains, &right.domains)
        || !left.addresses.is_empty() && !right.addresses.is_empty() && patterns_exclude(&left.addresses, &right.addresses)
        || !left.addresses.is_empty() && !right.domains.is_empty() && patterns_outside(&left.addresses, &right.domains)
        || !left.domains.is_empty() && !right.addresses.is_empty() && patterns_outside(&right.addresses, &left.domains)
}

fn are_disjoint<T: PartialEq>(left: &[T], right: &[T]) -> bool {
    left.iter().all(|left| !right.contains(left))
}
