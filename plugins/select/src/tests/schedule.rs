//! Dates, weekdays and hours in their time zones.

use super::*;

/// At a time in UTC, for a tenant in Berlin whose sender sits elsewhere.
fn at(utc: &str, zone: &str) -> Facts {
    let timestamp: jiff::Timestamp = utc.parse().unwrap();
    let mut facts = facts();
    let berlin = zone::named("Europe/Berlin").unwrap();
    facts.now.unix_milliseconds = timestamp.as_millisecond();
    facts.now.offset_minutes = berlin.to_offset(timestamp).seconds() / 60;
    facts.sender.attributes.push(("timeZone".into(), zone.into()));
    facts
}

#[test]
fn dates_without_offset_are_in_the_zone_of_the_rule() {
    for (condition, utc, expected) in [
        ("from = 2026-07-01", "2026-06-30T22:00:00Z", true),
        ("from = 2026-07-01", "2026-06-30T21:59:59Z", false),
        ("from = 2026-07-01\nzone = 'America/New_York'", "2026-07-01T04:00:00Z", true),
        ("from = 2026-07-01\nzone = 'America/New_York'", "2026-07-01T03:59:59Z", false),
        ("until = 2026-12-24\nzone = 'America/New_York'", "2026-12-25T04:59:59Z", true),
        ("until = 2026-12-24\nzone = 'America/New_York'", "2026-12-25T05:00:00Z", false),
        ("from = 2026-07-01\nzone = 'sender'", "2026-06-30T15:00:00Z", true),
        ("from = 2026-07-01\nzone = 'sender'", "2026-06-30T14:59:59Z", false),
        // An offset says it all.
        ("from = 2026-07-01T00:00:00Z\nzone = 'America/New_York'", "2026-07-01T00:00:00Z", true),
        ("from = 2026-07-01T00:00:00+02:00\nzone = 'sender'", "2026-06-30T21:59:59Z", false),
        ("from = 2026-07-01\nzone = 'W. Europe Standard Time'", "2026-06-30T22:00:00Z", true),
    ] {
        assert_eq!(applies(condition, &at(utc, "Asia/Tokyo")), expected, "{condition} at {utc}");
    }
}

#[test]
fn summer_time_moves_dates_and_hours() {
    for (condition, utc, expected) in [
        // Berlin skips 02:00 to 03:00 on 2026-03-29: what falls into the gap is meant an hour later.
        ("from = 2026-03-29T02:30:00", "2026-03-29T01:29:59Z", false),
        ("from = 2026-03-29T02:30:00", "2026-03-29T01:30:00Z", true),
        // It repeats 02:00 to 03:00 on 2026-10-25: the first pass counts, and what began does not stop again.
        ("from = 2026-10-25T02:30:00", "2026-10-25T00:29:59Z", false),
        ("from = 2026-10-25T02:30:00", "2026-10-25T00:30:00Z", true),
        ("from = 2026-10-25T02:30:00", "2026-10-25T01:10:00Z", true),
        ("until = 2026-10-25T02:30:00", "2026-10-25T01:10:00Z", false),
        ("hours = '08:00-18:00'", "2026-07-01T06:00:00Z", true),
        ("hours = '08:00-18:00'", "2026-12-01T06:00:00Z", false),
        ("hours = '08:00-18:00'", "2026-12-01T07:00:00Z", true),
    ] {
        assert_eq!(applies(condition, &at(utc, "")), expected, "{condition} at {utc}");
    }
}

#[test]
fn weekdays_and_hours_are_local() {
    // 2026-11-23 is a Monday.
    for (condition, utc, expected) in [
        ("weekdays = 'mon'", "2026-11-22T22:59:59Z", false),
        ("weekdays = 'mon'", "2026-11-22T23:00:00Z", true),
        ("weekdays = ['mon', 'wed']", "2026-11-24T12:00:00Z", false),
        ("weekdays = 'mon-fri'", "2026-11-27T12:00:00Z", true),
        ("weekdays = 'mon-fri'", "2026-11-28T12:00:00Z", false),
        ("weekdays = 'sat-mon'", "2026-11-23T12:00:00Z", true),
        ("weekdays = 'Sat-Mon'", "2026-11-24T12:00:00Z", false),
        ("hours = '08:00-18:00'", "2026-11-23T16:59:59Z", true),
        ("hours = '08:00-18:00'", "2026-11-23T17:00:00Z", false),
        ("hours = ['08:00-12:00', '13:00-24:00']", "2026-11-23T22:59:00Z", true),
        ("hours = ['08:00-12:00', '13:00-24:00']", "2026-11-23T11:30:00Z", false),
        // A night belongs to the day on which it begins.
        ("hours = '22:00-06:00'\nweekdays = 'fri'", "2026-11-27T21:00:00Z", true),
        ("hours = '22:00-06:00'\nweekdays = 'fri'", "2026-11-28T04:59:00Z", true),
        ("hours = '22:00-06:00'\nweekdays = 'fri'", "2026-11-28T05:00:00Z", false),
        ("hours = '22:00-06:00'\nweekdays = 'fri'", "2026-11-27T04:00:00Z", false),
        ("hours = '08:00-10:00'\nzone = 'sender'", "2026-11-23T23:30:00Z", true),
        ("hours = '08:00-10:00'\nzone = 'sender'", "2026-11-23T08:30:00Z", false),
    ] {
        assert_eq!(applies(condition, &at(utc, "Tokyo Standard Time")), expected, "{condition} at {utc}");
    }
}

#[test]
fn where_the_directory_does_not_tell_the_zone_it_is_the_tenants() {
    for zone in ["", "Middle-earth/Shire"] {
        assert!(applies("hours = '08:00-10:00'\nzone = 'sender'", &at("2026-11-23T08:30:00Z", zone)), "{zone}");
    }
    let mut facts = at("2026-11-23T08:30:00Z", "");
    facts.now.zone = "+05:30".into();
    facts.now.offset_minutes = 330;
    assert!(applies("hours = '13:59-14:01'", &facts), "a tenant with a fixed distance from UTC");
}

#[test]
fn schedules_may_stand_in_exceptions_and_nested_conditions() {
    let monday = at("2026-11-23T12:00:00Z", "");
    assert!(!applies("[[rule.except]]\nweekdays = 'mon'", &monday));
    assert!(applies("when.any = [{ hours = '00:00-01:00' }, { weekdays = 'mon' }]", &monday));
}

#[test]
fn a_schedule_explains_the_local_time() {
    let lines = explained("[[rule]]\nname = 'a'\nsignature = 's'\nweekdays = 'tue-fri'\nhours = '08:00-18:00'\n", &facts());
    let wanted = "wanted weekdays tue-fri and hours 08:00-18:00";
    assert_eq!(lines, [format!(r#"- a: weekdays and hours: {wanted}, found mon 13:00 in "Europe/Berlin""#)]);
    assert_eq!(
        rules("[[rule]]\nname='a'\nsignature='s'\nfrom=2026-01-01\nzone='sender'\n").describe().attributes,
        ["displayName", "timeZone"]
    );
}

#[test]
fn mistakes_in_a_schedule_are_named() {
    for (condition, expected) in [
        (
            "weekdays = 'monday'",
            "error rules.toml:4 rule[1].weekdays: \"monday\" is neither one of mon, tue, wed, thu, fri, sat, sun nor a range of them; for example `weekdays = [\"mon-thu\", \"sat\"]`",
        ),
        (
            "hours = '8:00-18:00'",
            "error rules.toml:4 rule[1].hours: \"8:00-18:00\" is not a time of day, `-`, and another one up to 24:00; for example `hours = \"08:00-18:00\"`",
        ),
        (
            "hours = '08:00-08:00'",
            "error rules.toml:4 rule[1].hours: \"08:00-08:00\" is not a time of day, `-`, and another one up to 24:00; for example `hours = \"08:00-18:00\"`",
        ),
        (
            "hours = '24:00-08:00'",
            "error rules.toml:4 rule[1].hours: \"24:00-08:00\" is not a time of day, `-`, and another one up to 24:00; for example `hours = \"08:00-18:00\"`",
        ),
        (
            "zone = 'Europe/Atlantis'\nhours = '08:00-18:00'",
            "error rules.toml:4 rule[1].zone: \"Europe/Atlantis\" is neither a time zone's name nor `sender`; for example `zone = \"Europe/Berlin\"`",
        ),
        (
            "zone = 'Europe/Berlin'",
            "warning rules.toml:4 rule[1].zone: is not used: there is no `from`, `until`, `weekdays` or `hours` beside it",
        ),
    ] {
        assert_eq!(findings(&format!("[[rule]]\nname = 'a'\nsignature = 'x'\n{condition}\n")), [expected]);
    }
}
