//! Dates in the order and the words of a language (CLDR), in the Gregorian calendar. It knows no times of day.

use icu_calendar::{Date, Gregorian};
use icu_datetime::FixedCalendarDateTimeFormatter;
use icu_datetime::fieldsets::{YMD, YMDE};
use icu_locale_core::{Locale, locale};

/// How a date may be written, by the names that templates use.
pub(crate) const STYLES: [&str; 4] = ["short", "medium", "long", "full"];

/// A date that starts with `YYYY-MM-DD` in one of [`STYLES`]; nothing when it does not. A text that is no BCP 47 tag counts as English.
pub(crate) fn formatted(date: &str, style: &str, tag: &str) -> Option<String> {
    let date = parsed(date)?;
    let locale = tag.parse::<Locale>().ok().filter(|tag| !tag.id.language.is_unknown()).unwrap_or(locale!("en-GB"));
    // The script may choose another calendar's year; signatures are read abroad.
    if style == "full" {
        let formatter = FixedCalendarDateTimeFormatter::<Gregorian, YMDE>::try_new(locale.into(), YMDE::long()).ok()?;
        return Some(formatter.format(&date).to_string());
    }
    let fields = match style {
        "short" => YMD::short(),
        "medium" => YMD::medium(),
        _ => YMD::long(),
    };
    let formatter = FixedCalendarDateTimeFormatter::<Gregorian, YMD>::try_new(locale.into(), fields).ok()?;
    Some(formatter.format(&date).to_string())
}

/// RFC 3339 full-date, with or without a time behind it.
fn parsed(date: &str) -> Option<Date<Gregorian>> {
    let (date, rest) = date.split_at_checked("YYYY-MM-DD".len())?;
    if !(rest.is_empty() || rest.starts_with(['T', ' '])) {
        return None;
    }
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    Date::try_new_gregorian(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_language_writes_them() {
        for (tag, expected) in [
            ("", "24 November 2026"),
            ("en-GB", "24 November 2026"),
            ("en-US", "November 24, 2026"),
            ("de-AT", "24. November 2026"),
            ("fr", "24 novembre 2026"),
            ("es", "24 de noviembre de 2026"),
            ("it", "24 novembre 2026"),
            ("pt-BR", "24 de novembro de 2026"),
            ("nl", "24 november 2026"),
            ("pl", "24 listopada 2026"),
            ("cs", "24. listopadu 2026"),
            ("sv", "24 november 2026"),
            ("fi", "24. marraskuuta 2026"),
            ("tr", "24 Kasım 2026"),
            ("ja", "2026年11月24日"),
            ("zh-CN", "2026年11月24日"),
            ("he", "24 בנובמבר 2026"),
            ("ar", "24 نوفمبر 2026"),
            ("hu", "2026. november 24."),
            ("not a tag", "24 November 2026"),
        ] {
            assert_eq!(formatted("2026-11-24", "long", tag).as_deref(), Some(expected), "{tag}");
        }
    }

    #[test]
    fn a_date_has_four_lengths() {
        for (style, expected) in
            [("short", "24.11.26"), ("medium", "24.11.2026"), ("long", "24. November 2026"), ("full", "Dienstag, 24. November 2026")]
        {
            assert_eq!(formatted("2026-11-24T09:00:00Z", style, "de").as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_no_date_has_no_form() {
        for text in ["", "24.11.2026", "2026-13-01", "2026-02-29", "2026-1-1", "2026-11-24x", "2026-11-ü4", "Sample"] {
            assert_eq!(formatted(text, "long", "en"), None, "{text}");
        }
    }
}
