//! Dates, weekdays and hours from their keys.

use jiff::civil::DateTime;
use jiff::tz;
use signet_plugin_sdk::settings::{Datetime, Offset, Table};

use super::person::lower;
use crate::condition::Test;
use crate::schedule::{At, Hours, Time, WEEKDAYS, Weekly, Zone};
use crate::zone::named;

/// The keys that a zone is about.
const KEYS: [&str; 4] = ["from", "until", "weekdays", "hours"];

/// Reads `from`, `until`, `weekdays`, `hours`, and the `zone` that they are in.
pub(super) fn read(table: &Table<'_>, tests: &mut Vec<Test>) {
    let zone = read_zone(table);
    let from = time(table, "from", "from = 2026-12-01", &zone);
    let until = time(table, "until", "until = 2026-12-24", &zone);
    tests.extend(from.map(Test::From));
    tests.extend(until.map(Test::Until));
    let (day_texts, days) = read_weekdays(table);
    let (hour_texts, hours) = read_hours(table);
    let named = [("weekdays", &day_texts), ("hours", &hour_texts)].into_iter().filter(|(_, texts)| !texts.is_empty());
    let text = named.map(|(key, texts)| format!("{key} {}", texts.join(", "))).collect::<Vec<_>>().join(" and ");
    if !text.is_empty() {
        let weekdays = if day_texts.is_empty() { [true; 7] } else { days };
        tests.push(Test::Weekly(Weekly { text, weekdays, hours, zone }));
    }
}

fn read_zone(table: &Table<'_>) -> Zone {
    const EXAMPLE: &str = r#"zone = "Europe/Berlin""#;
    let Some(text) = table.text("zone", EXAMPLE) else { return Zone::Tenant };
    if !KEYS.iter().any(|key| table.has(key)) {
        table.warning("zone", "is not used: there is no `from`, `until`, `weekdays` or `hours` beside it");
    }
    if text == "sender" {
        return Zone::Sender;
    }
    named(text).map_or_else(
        || {
            table.error("zone", format!("{text:?} is neither a time zone's name nor `sender`; for example `{EXAMPLE}`"));
            Zone::Tenant
        },
        Zone::Named,
    )
}

fn time(table: &Table<'_>, key: &'static str, example: &'static str, zone: &Zone) -> Option<Time> {
    let written = table.datetime(key, example)?;
    if written.date.is_none() {
        table.error(key, format!("is a time of day without a date; for example `{example}`"));
        return None;
    }
    let Some(local) = local(written, key == "until") else {
        table.error(key, format!("{written} is not in the calendar; for example `{example}`"));
        return None;
    };
    let text = written.to_string();
    let Some(offset) = written.offset else { return Some(Time::local(text, local, zone.clone())) };
    let minutes = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i32::from(minutes),
    };
    let instant = tz::Offset::from_seconds(minutes * 60).ok().and_then(|offset| offset.to_timestamp(local).ok());
    if instant.is_none() {
        table.error(key, format!("{written} is not in the calendar; for example `{example}`"));
    }
    // The zone means nothing to a time with an offset; two such times compare alike whatever stands beside them.
    Some(Time { text, at: At::Instant(instant?), zone: Zone::Tenant })
}

/// `end`: a date without a time means the end of that day.
fn local(written: Datetime, end: bool) -> Option<DateTime> {
    let date = written.date?;
    let narrow = |part: u8| i8::try_from(part).ok();
    let date = jiff::civil::Date::new(i16::try_from(date.year).ok()?, narrow(date.month)?, narrow(date.day)?).ok()?;
    match written.time {
        Some(time) => {
            // A leap second is the last one of its minute.
            let second = time.second.unwrap_or(0).min(59);
            let nanosecond = i32::try_from(time.nanosecond.unwrap_or(0)).ok()?;
            let time = jiff::civil::Time::new(narrow(time.hour)?, narrow(time.minute)?, narrow(second)?, nanosecond).ok()?;
            Some(date.to_datetime(time))
        }
        None if end => Some(date.tomorrow().ok()?.to_datetime(jiff::civil::Time::midnight())),
        None => Some(date.to_datetime(jiff::civil::Time::midnight())),
    }
}

/// The texts and the days that they name.
fn read_weekdays(table: &Table<'_>) -> (Vec<String>, [bool; 7]) {
    const EXAMPLE: &str = r#"weekdays = ["mon-thu", "sat"]"#;
    let texts = lower(table.texts("weekdays", EXAMPLE));
    let mut days = [false; 7];
    for text in &texts {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let day = |word: &str| WEEKDAYS.iter().position(|weekday| *weekday == word.trim());
        let (Some(first), Some(last)) = (day(first), day(last)) else {
            let words = WEEKDAYS.join(", ");
            table.error("weekdays", format!("{text:?} is neither one of {words} nor a range of them; for example `{EXAMPLE}`"));
            continue;
        };
        // A range may reach over the weekend: `sat-mon`.
        (0..=(last + 7 - first) % 7).for_each(|day| days[(first + day) % 7] = true);
    }
    (texts, days)
}

/// The texts and the hours that they name.
fn read_hours(table: &Table<'_>) -> (Vec<String>, Vec<Hours>) {
    const EXAMPLE: &str = r#"hours = "08:00-18:00""#;
    let texts = lower(table.texts("hours", EXAMPLE));
    let mut hours = Vec::new();
    for text in &texts {
        let range = text.split_once('-').and_then(|(start, end)| Some(Hours { start: minute(start)?, end: minute(end)? }));
        match range {
            Some(range) if range.start != range.end && range.start < 24 * 60 => hours.push(range),
            _ => {
                let message = format!("{text:?} is not a time of day, `-`, and another one up to 24:00; for example `{EXAMPLE}`");
                table.error("hours", message);
            }
        }
    }
    (texts, hours)
}

/// Minutes since midnight of `HH:MM`, up to 24:00.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_digit());
    let (hour, minute): (u16, u16) = (digits(hour).then(|| hour.parse().ok())??, digits(minute).then(|| minute.parse().ok())??);
    (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
}
