//! A tenant's time zone: a name of the IANA database, or a fixed distance from UTC.
//!
//! The database is compiled in, so that a decision replayed on another machine sees the same local time.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use crate::signature::Moment;

/// A tenant's time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }
}

impl Zone {
    /// From `Europe/Berlin`, `UTC` or `+05:30`. The error ends a sentence that begins with the value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fault = || "is neither a time zone name nor a distance from UTC".to_owned();
        let rules = match text.strip_prefix(['+', '-']) {
            Some(distance) => TimeZone::fixed(offset(distance, text.starts_with('-')).ok_or_else(fault)?),
            None => TimeZoneDatabase::bundled().get(text).map_err(|_| fault())?,
        };
        Ok(Self { name: rules.iana_name().unwrap_or(text).to_owned(), rules })
    }

    /// Its name as plugins see it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Minutes to add to UTC for local time, then.
    pub fn offset_minutes(&self, at: SystemTime) -> i32 {
        Timestamp::try_from(at).map_or(0, |at| self.rules.to_offset(at).seconds() / 60)
    }

    /// The instant of a local date and time; where clocks are set back, the earlier one.
    pub fn instant(&self, local: DateTime) -> Option<SystemTime> {
        self.rules.to_timestamp(local).ok().map(SystemTime::from)
    }

    /// A point in time as plugins see it.
    pub fn moment(&self, at: SystemTime) -> Moment {
        let unix_milliseconds = Timestamp::try_from(at).map_or(0, Timestamp::as_millisecond);
        Moment { unix_milliseconds, offset_minutes: self.offset_minutes(at), zone: self.name.clone() }
    }
}

fn offset(distance: &str, west: bool) -> Option<Offset> {
    let (hours, minutes) = distance.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    // The line islands are 14 hours ahead; nobody is further.
    let sound = (0..=14).contains(&hours) && (0..60).contains(&minutes) && distance.len() == 5;
    let seconds = hours * 3600 + minutes * 60;
    if sound { Offset::from_seconds(if west { -seconds } else { seconds }).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::Zone;

    #[test]
    fn a_named_zone_follows_summer_time_and_a_fixed_one_does_not() {
        let january = UNIX_EPOCH + Duration::from_secs(1_768_478_400);
        let july = UNIX_EPOCH + Duration::from_secs(1_784_116_800);
        for (zone, winter, summer) in [("Europe/Berlin", 60, 120), ("+05:30", 330, 330), ("-03:00", -180, -180), ("UTC", 0, 0)] {
            let zone = Zone::parse(zone).expect("it is a zone");
            assert_eq!((zone.offset_minutes(january), zone.offset_minutes(july)), (winter, summer), "{}", zone.name());
        }
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for text in ["", "Berlin", "Europe/Nowhere", "+1", "+15:00", "+01:60", "+-1:00"] {
            assert!(Zone::parse(text).is_err(), "{text:?}");
        }
    }
}
