//! When a rule applies: from and until a date, on weekdays, in hours, each in the rule's time zone.
//!
//! Local times follow the zone's summer time: a date that names an hour which the clock skips means the hour after it, one that names
//! an hour which the clock repeats means its first pass.

use std::cell::OnceCell;
use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use signet_plugin_sdk::{Moment, Person};

use crate::case::values;
use crate::condition::value::quoted;
use crate::zone::named;

/// The directory attribute with a person's time zone.
const ZONE_ATTRIBUTE: &str = "timeZone";

/// The words for weekdays, from Monday on.
pub(crate) const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Whose clock counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Zone {
    #[default]
    Tenant,
    /// That of the person whose rules the message follows; where the directory does not tell it, the tenant's.
    Sender,
    Named(TimeZone),
}

impl Zone {
    /// The directory attribute it reads.
    pub(crate) fn attribute(&self) -> Option<&'static str> {
        (*self == Self::Sender).then_some(ZONE_ATTRIBUTE)
    }
}

/// A point in time as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) text: String,
    pub(crate) at: At,
    pub(crate) zone: Zone,
}

/// Where a point in time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The same for everyone.
    Instant(Timestamp),
    /// In a zone that only the message tells.
    Local(DateTime),
}

impl Time {
    /// A local time; it becomes an instant where its zone is known.
    pub(crate) fn local(text: String, at: DateTime, zone: Zone) -> Self {
        let at = if let Zone::Named(zone) = &zone { At::Instant(instant(at, zone)) } else { At::Local(at) };
        Self { text, at, zone }
    }

    /// Whether it is now or in the past.
    pub(crate) fn is_reached(&self, clock: &Clock<'_>) -> bool {
        let at = match self.at {
            At::Instant(at) => at,
            At::Local(at) => instant(at, clock.zone(&self.zone)),
        };
        at <= clock.now
    }

    /// Which of two comes first, where that does not depend on the message.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        (self.clock() == other.clock()).then(|| self.position().cmp(&other.position()))
    }

    /// What a point in time must have in common with another to be compared: whether it is an instant, and whose clock it is on.
    pub(crate) fn clock(&self) -> (bool, &Zone) {
        match self.at {
            At::Instant(_) => (true, &Zone::Tenant),
            At::Local(_) => (false, &self.zone),
        }
    }

    /// Its place among those that it can be compared with.
    pub(crate) fn position(&self) -> Timestamp {
        match self.at {
            At::Instant(at) => at,
            At::Local(at) => instant(at, &TimeZone::UTC),
        }
    }
}

fn instant(at: DateTime, zone: &TimeZone) -> Timestamp {
    // Only the last hours of the year 9999 have no instant.
    zone.to_timestamp(at).unwrap_or(Timestamp::MAX)
}

/// Weekdays and hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weekly {
    pub(crate) text: String,
    /// From Monday on.
    pub(crate) weekdays: [bool; 7],
    /// None means the whole day.
    pub(crate) hours: Vec<Hours>,
    pub(crate) zone: Zone,
}

/// A part of the day in minutes since midnight. One that ends before it starts reaches into the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hours {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

impl Weekly {
    pub(crate) fn holds(&self, clock: &Clock<'_>) -> bool {
        let (day, minute) = self.local(clock);
        if self.hours.is_empty() {
            return self.weekdays[day];
        }
        let (today, yesterday) = (self.weekdays[day], self.weekdays[(day + 6) % 7]);
        self.hours.iter().any(|Hours { start, end }| {
            if start < end { today && (*start..*end).contains(&minute) } else { today && *start <= minute || yesterday && minute < *end }
        })
    }

    pub(crate) fn found(&self, clock: &Clock<'_>) -> String {
        let (day, minute) = self.local(clock);
        let zone = clock.zone(&self.zone).iana_name().map_or_else(|| "a zone without name".to_owned(), quoted);
        format!("{} {:02}:{:02} in {zone}", WEEKDAYS[day], minute / 60, minute % 60)
    }

    /// The day from Monday on, and the minute of the day.
    fn local(&self, clock: &Clock<'_>) -> (usize, u16) {
        let local = clock.zone(&self.zone).to_datetime(clock.now);
        let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or_default();
        (day, u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs()))
    }
}

/// The time of the decision in every zone that is asked for.
pub(crate) struct Clock<'a> {
    now: Timestamp,
    moment: &'a Moment,
    sender: &'a Person,
    tenant_zone: OnceCell<TimeZone>,
    sender_zone: OnceCell<TimeZone>,
}

impl<'a> Clock<'a> {
    pub(crate) fn new(moment: &'a Moment, sender: &'a Person) -> Self {
        let now = Timestamp::from_millisecond(moment.unix_milliseconds).unwrap_or_default();
        Self { now, moment, sender, tenant_zone: OnceCell::new(), sender_zone: OnceCell::new() }
    }

    fn zone<'c>(&'c self, zone: &'c Zone) -> &'c TimeZone {
        match zone {
            Zone::Named(zone) => zone,
            Zone::Tenant => self.tenant(),
            Zone::Sender => self.sender_zone.get_or_init(|| {
                let own = values(self.sender, ZONE_ATTRIBUTE).find_map(named);
                own.unwrap_or_else(|| self.tenant().clone())
            }),
        }
    }

    fn tenant(&self) -> &TimeZone {
        self.tenant_zone.get_or_init(|| {
            // A tenant may have a fixed distance from UTC in place of a zone.
            let fixed = || Offset::from_seconds(self.moment.offset_minutes.saturating_mul(60)).unwrap_or(Offset::UTC);
            named(&self.moment.zone).unwrap_or_else(|| fixed().to_time_zone())
        })
    }
}
