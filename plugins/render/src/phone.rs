//! Telephone numbers as people write them and as telephones dial them (ITU-T E.164, RFC 3966).
//!
//! The numbering plans are libphonenumber's. It does not ask whether a number is assigned to anybody.

use celes::Country;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};

/// Longest text that is looked at, in octets. A number with its extension has some thirty; the rest is somebody's remark.
const LONGEST: usize = 64;

/// How a number may be written, by the names that templates use.
pub(crate) const STYLES: [&str; 3] = ["international", "national", "e164"];

/// The numbering plan for a country as a directory names it: `DE`, `DEU` or `Germany`.
pub(crate) fn region(country: &str) -> Option<Region> {
    // Microsoft and people say `UK`, which is no code of ISO 3166-1.
    let country = if country.eq_ignore_ascii_case("UK") { "GB" } else { country.trim() };
    // Short names are aliases without spaces: `UnitedKingdom`.
    let by_name = || country.replace(' ', "").parse::<Country>();
    country.parse::<Country>().or_else(|_| by_name()).ok()?.alpha2.parse().ok()
}

/// The number in one of [`STYLES`]; what is no number stays as it was written.
pub(crate) fn formatted(number: &str, style: &str, region: Option<Region>) -> String {
    let style = match style {
        "national" => PhoneNumberFormat::National,
        "e164" => PhoneNumberFormat::E164,
        _ => PhoneNumberFormat::International,
    };
    parsed(number, region).map_or_else(|| number.to_owned(), |parsed| PHONE_NUMBER_UTIL.format(&parsed, style).into_owned())
}

/// What stands behind `tel:`.
pub(crate) fn dialled(number: &str, region: Option<Region>) -> String {
    let Some(parsed) = parsed(number, region) else { return digits(number) };
    let dialled = PHONE_NUMBER_UTIL.format(&parsed, PhoneNumberFormat::E164).into_owned();
    match parsed.extension.as_deref().filter(|extension| !extension.is_empty()) {
        Some(extension) => format!("{dialled};ext={extension}"),
        None => dialled,
    }
}

/// Parses one number now, so that the numbering plans are in memory before the first message.
pub(crate) fn warm_up(region: Option<Region>) {
    for number in ["+442079460018", "+4940555014100"] {
        formatted(number, "international", region);
    }
    formatted("+12025550143", "national", region);
    if let Some(example) = region.and_then(|region| PHONE_NUMBER_UTIL.get_example_number(region).ok()) {
        formatted(&PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::National), "national", region);
    }
}

/// A number that says its country is taken when its length is right: plans grow faster than lists of them. One that does not must be
/// valid where it is taken to be from, because otherwise it may be an extension, or a number from anywhere.
fn parsed(number: &str, region: Option<Region>) -> Option<PhoneNumber> {
    let number = number.trim();
    if number.len() > LONGEST {
        return None;
    }
    let parsed = PHONE_NUMBER_UTIL.parse(number, region).ok()?;
    let fits = PHONE_NUMBER_UTIL.is_possible_number(&parsed);
    let says_its_country = number.starts_with('+');
    (fits && (says_its_country || PHONE_NUMBER_UTIL.is_valid_number(&parsed))).then_some(parsed)
}

fn digits(number: &str) -> String {
    // Behind the first letter is an extension, or a remark.
    let first = number.find(|char: char| char.is_ascii_digit()).unwrap_or(0);
    let end = number[first..].find(char::is_alphabetic).map_or(number.len(), |at| first + at);
    let number = number[..end].trim();
    // "(0)" is read by people who dial from inside the country, and must not be dialled from outside.
    let international = number.starts_with('+');
    let number = if international { number.replace("(0)", "") } else { number.to_owned() };
    let digits = number.chars().filter(char::is_ascii_digit);
    if international { std::iter::once('+').chain(digits).collect() } else { digits.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_their_country_writes_them() {
        for (number, country, international, national) in [
            ("+494055501410", "", "+49 40 55501410", "040 55501410"),
            ("+442079460018", "", "+44 20 7946 0018", "020 7946 0018"),
            ("+12025550143", "", "+1 202-555-0143", "(202) 555-0143"),
            ("+97236951234", "", "+972 3-695-1234", "03-695-1234"),
            ("+33 1 99 00 12 34", "", "+33 1 99 00 12 34", "01 99 00 12 34"),
            ("040 555014-10", "Germany", "+49 40 55501410", "040 55501410"),
            ("020 7946 0018", "UK", "+44 20 7946 0018", "020 7946 0018"),
            ("020 7946 0018", "gbr", "+44 20 7946 0018", "020 7946 0018"),
            ("+49 40 555 01410 ext. 12", "", "+49 40 55501410 ext. 12", "040 55501410 ext. 12"),
        ] {
            let region = region(country);
            assert_eq!(formatted(number, "international", region), international, "{number}");
            assert_eq!(formatted(number, "national", region), national, "{number}");
        }
        assert_eq!(formatted("+44 (0)20 7946 0018", "e164", None), "+442079460018");
    }

    #[test]
    fn what_is_no_number_stays_as_it_was_written() {
        let long = "+4".repeat(LONGEST);
        for number in ["ext. 12", "020 7946 0018", "on request", "+é", "", "+1", "0800 CALL", long.as_str()] {
            assert_eq!(formatted(number, "international", None), number);
        }
        assert_eq!(formatted("4711", "international", region("DE")), "4711");
    }

    #[test]
    fn numbers_are_reduced_to_what_is_dialled() {
        for (number, country, expected) in [
            ("+44 (0)20 7946-0018", "", "+442079460018"),
            ("0171 123456 ext 5", "GB", "0171123456"),
            ("020/7946 0018", "", "02079460018"),
            ("020/7946 0018", "GB", "+442079460018"),
            ("+49 40 55501410 ext. 12", "", "+494055501410;ext=12"),
            ("ext. 12", "", "12"),
            ("javascript:", "", ""),
        ] {
            assert_eq!(dialled(number, region(country)), expected, "{number}");
        }
    }

    #[test]
    fn countries_are_known_by_code_and_by_name() {
        for (country, code) in [
            ("Germany", "DE"),
            ("germany", "DE"),
            ("de", "DE"),
            ("Israel", "IL"),
            ("United Kingdom", "GB"),
            ("United States", "US"),
            ("Czech Republic", "CZ"),
            ("Netherlands", "NL"),
        ] {
            assert_eq!(region(country), code.parse().ok(), "{country}");
        }
        assert_eq!(region("Atlantis"), None);
    }
}
