//! Whether one condition holds wherever another does. "No" also means "not certain".

use std::cmp::Ordering;

use super::contradicts::tests_exclude;
use crate::condition::Condition;
use crate::condition::header::speaks;
use crate::condition::leaf::{About, Test};
use crate::condition::value::{Keywords, Pattern, Range, Want, in_domains};
use crate::condition::who::{Quantifier, Who};
use crate::schedule::{Hours, Weekly};

/// Whether `wanted` holds wherever all of `given` do.
pub(super) fn all_imply(given: &[&Condition], wanted: &Condition) -> bool {
    match wanted {
        Condition::All(parts) => parts.iter().all(|part| all_imply(given, part)),
        Condition::Any(parts) if parts.iter().any(|part| all_imply(given, part)) => true,
        _ => given.iter().any(|given| implies(given, wanted)),
    }
}

fn implies(given: &Condition, wanted: &Condition) -> bool {
    if given == wanted {
        return true;
    }
    match (given, wanted) {
        (_, Condition::All(parts)) => parts.iter().all(|part| implies(given, part)),
        (Condition::Any(parts), _) => parts.iter().all(|part| implies(part, wanted)),
        (_, Condition::Any(parts)) => parts.iter().any(|part| implies(given, part)),
        (Condition::All(parts), _) => parts.iter().any(|part| implies(part, wanted)),
        (Condition::Test(given), Condition::Test(wanted)) => test_implies(given, wanted),
        (Condition::Test(given), Condition::Not(wanted)) => {
            matches!(&**wanted, Condition::Test(wanted) if is_definite(wanted) && tests_exclude(given, wanted))
        }
        // Of two negations one may be unknown where the other is not.
        _ => false,
    }
}

/// Whether it does not hold wherever something that excludes it holds, instead of being unknown there.
fn is_definite(test: &Test) -> bool {
    match test {
        Test::Person(_, About::Known(_)) => true,
        Test::Recipient(who) => who.is_class_only(),
        Test::Kind(_) | Test::Format(_) | Test::OnBehalf(_) => true,
        Test::FirstInThread(_) | Test::Authenticated(_) | Test::Attachments(_) => true,
        _ => false,
    }
}

/// Whether `wanted` holds wherever `given` does.
pub(super) fn test_implies(given: &Test, wanted: &Test) -> bool {
    if given == wanted {
        return true;
    }
    match (given, wanted) {
        (Test::Person(role, given), Test::Person(other, wanted)) => role == other && about_implies(given, wanted),
        (Test::Person(crate::case::Role::Delegate, _), Test::OnBehalf(true)) => true,
        (Test::Kind(given), Test::Kind(wanted))
        | (Test::Format(given), Test::Format(wanted))
        | (Test::Sensitivity(given), Test::Sensitivity(wanted))
        | (Test::Importance(given), Test::Importance(wanted)) => is_subset(given, wanted),
        (Test::FirstInThread(true), Test::Kind(wanted)) => wanted.contains(&0),
        (Test::Kind(given), Test::FirstInThread(false)) => !given.contains(&0),
        (Test::Subject(given), Test::Subject(wanted)) | (Test::Text(given), Test::Text(wanted)) => keywords_imply(given, wanted),
        (Test::Trigger(given), Test::Subject(wanted)) => keywords_imply(&Keywords { parts: given.clone(), whole: true }, wanted),
        (Test::Subject(given), Test::Trigger(wanted)) => given.whole && is_subset(&given.parts, wanted),
        (Test::Trigger(given), Test::Trigger(wanted)) | (Test::Labels(given), Test::Labels(wanted)) => is_subset(given, wanted),
        (Test::Languages(given), Test::Languages(wanted)) => given.iter().all(|given| wanted.iter().any(|wanted| speaks(given, wanted))),
        (Test::Header(name, given), Test::Header(other, wanted)) => name == other && want_implies(given, wanted),
        (Test::Size(given), Test::Size(wanted)) | (Test::Count(given), Test::Count(wanted)) => range_implies(*given, *wanted),
        (Test::From(given), Test::From(wanted)) => given.compare(wanted).is_some_and(Ordering::is_ge),
        (Test::Until(given), Test::Until(wanted)) => given.compare(wanted).is_some_and(Ordering::is_le),
        (Test::Weekly(given), Test::Weekly(wanted)) => weekly_implies(given, wanted),
        (_, Test::Rollout(100, _)) => true,
        (Test::Rollout(given, rule), Test::Rollout(wanted, other)) => rule == other && given <= wanted,
        (Test::Recipient(given), Test::Recipient(wanted) | Test::Recipients(Quantifier::Any, wanted)) => who_implies(given, wanted),
        (Test::Recipients(Quantifier::Any, given), Test::Recipients(Quantifier::Any, wanted)) => who_implies(given, wanted),
        (Test::Recipients(Quantifier::All, given), Test::Recipients(Quantifier::All, wanted) | Test::Recipient(wanted)) => {
            who_implies(given, wanted)
        }
        (Test::Recipients(Quantifier::None, given), Test::Recipients(Quantifier::None, wanted)) => who_implies(wanted, given),
        _ => false,
    }
}

fn about_implies(given: &About, wanted: &About) -> bool {
    match (given, wanted) {
        (About::Addresses(given), About::Addresses(wanted)) => patterns_imply(given, wanted),
        (About::Addresses(given), About::Domains(wanted)) => patterns_in_domains(given, wanted),
        (About::Domains(given), About::Domains(wanted)) => domains_imply(given, wanted),
        (About::Groups(given), About::Groups(wanted)) => is_subset(given, wanted),
        (About::Attribute(name, given), About::Attribute(other, wanted)) => name == other && want_implies(given, wanted),
        (About::Groups(_) | About::Attribute(..), About::Known(true)) => true,
        _ => given == wanted,
    }
}

/// Whether whoever is one is the other.
pub(super) fn who_implies(given: &Who, wanted: &Who) -> bool {
    let within = |given_is_empty: bool, wanted_is_empty: bool, holds: &dyn Fn() -> bool| wanted_is_empty || !given_is_empty && holds();
    within(given.classes.is_empty(), wanted.classes.is_empty(), &|| is_subset(&given.classes, &wanted.classes))
        && within(given.groups.is_empty(), wanted.groups.is_empty(), &|| is_subset(&given.groups, &wanted.groups))
        && within(given.addresses.is_empty(), wanted.addresses.is_empty(), &|| patterns_imply(&given.addresses, &wanted.addresses))
        && (within(given.domains.is_empty(), wanted.domains.is_empty(), &|| domains_imply(&given.domains, &wanted.domains))
            || !given.addresses.is_empty() && patterns_in_domains(&given.addresses, &wanted.domains))
}

fn patterns_imply(given: &[Pattern], wanted: &[Pattern]) -> bool {
    given.iter().all(|given| {
        let whole_domain = format!("*@{}", given.domain());
        wanted.iter().any(|wanted| wanted == given || wanted.text == whole_domain || given.is_exact() && wanted.matches(&given.text))
    })
}

fn patterns_in_domains(given: &[Pattern], wanted: &[String]) -> bool {
    given.iter().all(|given| !given.domain().contains('*') && in_domains(given.domain(), wanted))
}

fn domains_imply(given: &[String], wanted: &[String]) -> bool {
    given.iter().all(|given| match given.strip_prefix('*') {
        None => in_domains(given, wanted),
        Some(suffix) => wanted.iter().any(|wanted| wanted.strip_prefix('*').is_some_and(|wanted| suffix.ends_with(wanted))),
    })
}

fn keywords_imply(given: &Keywords, wanted: &Keywords) -> bool {
    given.parts.iter().all(|given_part| {
        let mut parts = wanted.parts.iter();
        if wanted.whole { given.whole && parts.any(|part| part == given_part) } else { parts.any(|part| given_part.contains(part)) }
    })
}

/// Whether a value that is as `given` is as `wanted`.
fn want_implies(given: &Want, wanted: &Want) -> bool {
    match (given, wanted) {
        (Want::OneOf(values), wanted) => values.iter().all(|value| wanted.fits(value)),
        (Want::Absent, _) => *wanted == Want::Absent,
        (_, Want::Present) => true,
        (Want::Contains(given) | Want::StartsWith(given) | Want::EndsWith(given), Want::Contains(wanted)) => given.contains(wanted),
        (Want::StartsWith(given), Want::StartsWith(wanted)) => given.starts_with(wanted),
        (Want::EndsWith(given), Want::EndsWith(wanted)) => given.ends_with(wanted),
        _ => false,
    }
}

fn range_implies(given: Range, wanted: Range) -> bool {
    let least = wanted.least.is_none_or(|wanted| given.least.is_some_and(|given| given >= wanted));
    least && wanted.most.is_none_or(|wanted| given.most.is_some_and(|given| given <= wanted))
}

fn weekly_implies(given: &Weekly, wanted: &Weekly) -> bool {
    let days = given.weekdays.iter().zip(&wanted.weekdays).all(|(given, wanted)| !given || *wanted);
    // Hours that reach into the next day leave the weekdays they are given for.
    let stay = |hours: &Hours| hours.start < hours.end;
    let hours = given.hours == wanted.hours || wanted.hours.is_empty() && given.hours.iter().all(stay);
    given.zone == wanted.zone && days && hours
}

fn is_subset<T: PartialEq>(given: &[T], wanted: &[T]) -> bool {
    given.iter().all(|given| wanted.contains(given))
}
