//! Campaigns one after the other: gaps between them, overlaps, and banners that compete.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use signet_plugin_sdk::Diagnostic;

use super::implies::all_imply;
use super::{Claim, is_dead, named, warning};
use crate::condition::{Condition, Test};
use crate::rule::{Action, Banner, RuleSet, Scope};
use crate::schedule::{Time, Zone};

/// A longer time between two campaigns is a pause that somebody wanted; a shorter one is more likely a date that is off by one.
const GAP: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Campaigns of one family that are compared at most; each is compared with those before it.
const CAMPAIGNS: usize = 500;

pub(super) fn report(rules: &RuleSet, dead: &[&Scope], findings: &mut Vec<Diagnostic>) {
    let mut families: BTreeMap<(bool, &str), Vec<Campaign<'_>>> = BTreeMap::new();
    for rule in rules.rules().filter(|rule| !is_dead(&rule.scope, dead)) {
        if let Action::Sign(stack) = &rule.action {
            let campaign = Campaign::new("rule", Claim::of_rule(rule, &rules.steps));
            families.entry((true, family(&stack.ids))).or_default().extend(campaign);
        }
    }
    let banners = || rules.banners.iter().filter(|banner| !is_dead(&banner.scope, dead));
    for banner in banners() {
        let campaign = Campaign::new("banner", Claim::of_banner(banner));
        families.entry((false, family(&banner.stack.ids))).or_default().extend(campaign);
    }
    for mut campaigns in families.into_values() {
        campaigns.truncate(CAMPAIGNS);
        report_sequence(campaigns, findings);
    }
    // With room for several banners, competition is not a matter of two.
    if rules.settings.banners == 1 {
        report_competition(&banners().take(CAMPAIGNS).collect::<Vec<_>>(), findings);
    }
}

/// What the ids of one campaign after the other have in common: what stands before the first `-`, `_` or digit.
fn family(ids: &[String]) -> &str {
    let id = ids.first().map_or("", String::as_str);
    id.split(|letter: char| letter == '-' || letter == '_' || letter.is_ascii_digit()).next().unwrap_or(id)
}

/// Something with dates.
struct Campaign<'r> {
    kind: &'static str,
    claim: Claim<'r>,
    from: Option<&'r Time>,
    until: Option<&'r Time>,
}

impl<'r> Campaign<'r> {
    /// Nothing without dates, or with dates that cannot be compared.
    fn new(kind: &'static str, mut claim: Claim<'r>) -> Option<Self> {
        let (mut from, mut until) = (None, None);
        let mut plain = true;
        claim.conditions.retain(|condition| {
            let place = match condition {
                Condition::Test(Test::From(time)) => (&mut from, time),
                Condition::Test(Test::Until(time)) => (&mut until, time),
                _ => return true,
            };
            // A folder may have dates of its own.
            plain &= place.0.replace(place.1).is_none();
            false
        });
        let comparable = from.zip(until).is_none_or(|(from, until): (&Time, &Time)| from.compare(until).is_some());
        (plain && comparable && (from.is_some() || until.is_some())).then_some(Self { kind, claim, from, until })
    }

    fn zone(&self) -> Option<(bool, &Zone)> {
        self.from.or(self.until).map(Time::clock)
    }

    fn start(&self) -> Timestamp {
        self.from.map_or(Timestamp::MIN, Time::position)
    }

    /// Whether it is for the same mail, apart from the dates.
    fn is_alternative_of(&self, other: &Self) -> bool {
        self.claim.conditions == other.claim.conditions && self.claim.exceptions == other.claim.exceptions && self.zone() == other.zone()
    }
}

/// Gaps between campaigns for the same mail; overlaps, too, unless they are banners, which have priorities.
fn report_sequence(mut campaigns: Vec<Campaign<'_>>, findings: &mut Vec<Diagnostic>) {
    campaigns.sort_by_key(Campaign::start);
    for (number, later) in campaigns.iter().enumerate() {
        let earlier = campaigns[..number].iter().filter(|earlier| earlier.is_alternative_of(later));
        // One without end reaches over all that follow.
        let last = earlier.max_by_key(|earlier| earlier.until.map_or(Timestamp::MAX, Time::position));
        let Some((earlier, until, from)) = last.and_then(|earlier| Some((earlier, earlier.until?, later.from?))) else { continue };
        let (name, before) = (&later.claim.scope.name, named(earlier.claim.scope));
        let gap = from.position().duration_since(until.position());
        let ends_later = later.until.is_none_or(|end| end.position() >= until.position());
        let message = match gap.cmp(&SignedDuration::ZERO) {
            Ordering::Greater if gap <= GAP => {
                format!("{name:?} starts {} after {before} ends: neither applies between {} and {}", days(gap), until.text, from.text)
            }
            Ordering::Less if later.kind == "rule" && ends_later && earlier.start() < later.start() => {
                format!("{name:?} starts before {before} ends: both apply from {} until {}", from.text, until.text)
            }
            _ => continue,
        };
        findings.push(warning(later.claim.scope, message));
    }
}

fn days(gap: SignedDuration) -> String {
    let hours = gap.as_hours();
    match (hours / 24, hours % 24) {
        (1, 0) => "a day".to_owned(),
        (days, 0) => format!("{days} days"),
        _ => format!("{hours} hours and {} minutes", gap.as_mins() % 60),
    }
}

/// Banners of equal priority that nothing keeps from applying to the same mail, of which only one has room.
fn report_competition(banners: &[&Banner], findings: &mut Vec<Diagnostic>) {
    for (number, later) in banners.iter().enumerate() {
        let rivals = || banners[..number].iter().filter(|earlier| earlier.priority == later.priority);
        let sure = rivals().find(|earlier| surely_compete(earlier, later));
        let Some(earlier) = sure.or_else(|| rivals().find(|earlier| may_compete(earlier, later))) else { continue };
        let (name, first, apply) = (&later.scope.name, named(&earlier.scope), if sure.is_some() { "apply" } else { "may apply" });
        let message = format!(
            "{name:?} competes with {first}: both {apply} to the same mail at the same time, have priority {}, and only one banner is \
             added; give one of them another `priority`",
            later.priority
        );
        findings.push(warning(&later.scope, message));
    }
}

/// Whether nothing shows that both never apply to the same mail.
fn may_compete(left: &Banner, right: &Banner) -> bool {
    Claim::of_banner(left).and(Claim::of_banner(right)).excluded().is_none()
}

/// Whether there is mail that both apply to: one's conditions but the dates include the other's, and so do its dates in part.
fn surely_compete(left: &Banner, right: &Banner) -> bool {
    let claim = |banner| {
        let claim = Claim::of_banner(banner);
        let dates = claim.conditions.iter().copied().filter(|condition| is_date(condition)).collect::<Vec<_>>();
        (Claim { conditions: claim.conditions.iter().copied().filter(|condition| !is_date(condition)).collect(), ..claim }, dates)
    };
    let ((left, left_dates), (right, right_dates)) = (claim(left), claim(right));
    let dates: Vec<&Condition> = left_dates.iter().chain(&right_dates).copied().collect();
    let overlap = dates.iter().all(|one| dates.iter().all(|other| surely_meet(one, other)));
    overlap && (left.covers(&right) || right.covers(&left))
}

fn is_date(condition: &Condition) -> bool {
    matches!(condition, Condition::Test(Test::From(_) | Test::Until(_)))
}

/// Whether there is a time at which both dates hold.
fn surely_meet(one: &Condition, other: &Condition) -> bool {
    match (one, other) {
        (Condition::Test(Test::From(from)), Condition::Test(Test::Until(until)))
        | (Condition::Test(Test::Until(until)), Condition::Test(Test::From(from))) => from.compare(until).is_some_and(Ordering::is_lt),
        _ => all_imply(&[one], other) || all_imply(&[other], one),
    }
}
