//! What a template sees: the person, the signature's variables, the time.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use signet_plugin_sdk::{Moment, Person};

/// Names that are never taken for attributes of the person.
pub(crate) const RESERVED: [&str; 5] = ["email", "groups", "locale", "now", "person"];

/// Names of functions, which an attribute of the same name must not hide.
const FUNCTIONS: [&str; 5] = ["dict", "image", "joined", "namespace", "range"];

/// What every attribute is in a trial.
const SAMPLE: &str = "Sample";

/// The root of the variables.
#[derive(Debug)]
pub(crate) struct Context {
    person: Arc<Attributes>,
    email: String,
    groups: Vec<String>,
    locale: String,
    now: Moment,
    variables: Vec<(String, String)>,
}

/// A person's attributes by name.
#[derive(Debug)]
struct Attributes {
    values: Vec<(String, String)>,
    /// In a trial every attribute is there.
    trial: bool,
}

impl Context {
    pub(crate) fn new(person: &Person, locale: &str, now: &Moment, variables: &[(String, String)]) -> Self {
        Self {
            person: Arc::new(Attributes { values: person.attributes.clone(), trial: false }),
            email: clean(&format!("{}@{}", person.address.local, person.address.domain)),
            groups: person.groups.iter().map(|group| clean(group)).collect(),
            locale: locale.to_owned(),
            now: now.clone(),
            variables: variables.to_vec(),
        }
    }

    /// A person with every attribute, to try a template with.
    pub(crate) fn trial(mut self) -> Self {
        self.person = Arc::new(Attributes { values: Vec::new(), trial: true });
        self
    }

    pub(crate) fn into_value(self) -> Value {
        Value::from_object(self)
    }
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let variable = || self.variables.iter().find(|(name, _)| name == key).map(|(_, value)| Value::from(value));
        match key {
            "email" => Some(Value::from(&self.email)),
            "groups" => Some(self.groups.iter().map(Value::from).collect()),
            "locale" => Some(Value::from(&self.locale)),
            "now" => Some(date(&self.now)),
            _ if FUNCTIONS.contains(&key) => None,
            "person" => Some(Value::from_dyn_object(Arc::clone(&self.person))),
            _ if self.person.trial => variable().or_else(|| self.person.get_value_by_str(key)),
            _ => self.person.get_value_by_str(key).or_else(variable),
        }
    }
}

impl Object for Attributes {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if self.trial {
            return Some(Value::from(SAMPLE));
        }
        let (_, value) = self.values.iter().find(|(name, _)| name == key)?;
        let value = clean(value);
        (!value.is_empty()).then(|| Value::from(value))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.iter().map(|(name, _)| Value::from(name)).collect())
    }
}

/// One line of printable text. Directories keep several lines in one attribute (streets, above all); control characters could end a line
/// of a plain text message, and direction overrides could turn the text around them.
fn clean(value: &str) -> String {
    let mut clean = String::with_capacity(value.len());
    for line in value.split(['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}']).map(str::trim).filter(|line| !line.is_empty()) {
        if !clean.is_empty() {
            clean.push_str(", ");
        }
        clean.extend(line.chars().map(|char| if char == '\t' { ' ' } else { char }).filter(|char| !is_unprintable(*char)));
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Control characters, direction overrides and embeddings, and noncharacters.
fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fdd0}'..='\u{fdef}' | '\u{fffe}' | '\u{ffff}')
}

/// The date in the tenant's time zone.
fn date(now: &Moment) -> Value {
    let local = now.unix_milliseconds.div_euclid(60_000).saturating_add(i64::from(now.offset_minutes));
    let (year, month, day) = civil(local.div_euclid(24 * 60));
    Value::from_pairs([
        ("year", Value::from(year)),
        ("month", Value::from(month)),
        ("day", Value::from(day)),
        ("date", Value::from(format!("{year:04}-{month:02}-{day:02}"))),
    ])
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar. Years are counted from March, so that the leap day is
/// the last; 400 years are a whole period.
fn civil(days: i64) -> (i64, i64, i64) {
    /// Days from 0000-03-01 to 1970-01-01.
    const EPOCH: i64 = 719_468;
    const PERIOD: i64 = 146_097;
    let days = days.saturating_add(EPOCH);
    let of_period = days.rem_euclid(PERIOD);
    let year_of_period = (of_period - of_period / 1460 + of_period / 36_524 - of_period / 146_096) / 365;
    let of_year = of_period - (365 * year_of_period + year_of_period / 4 - year_of_period / 100);
    let march_month = (5 * of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_period + days.div_euclid(PERIOD) * 400 + i64::from(month < 3);
    (year, month, of_year - (153 * march_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        for (days, date) in [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (11_016, (2000, 2, 29)), (20_780, (2026, 11, 23)), (-1, (1969, 12, 31))]
        {
            assert_eq!(civil(days), date);
        }
    }

    #[test]
    fn values_become_one_printable_line() {
        for (value, expected) in [
            ("Harbour Road 1\r\nBuilding 2\r\n", "Harbour Road 1, Building 2"),
            ("  a\tb\0c  ", "a bc"),
            ("\u{202e}gnp.exe", "gnp.exe"),
            ("\r\n.\r\n", "."),
            (" \u{7} ", ""),
            ("Zoë 😀", "Zoë 😀"),
        ] {
            assert_eq!(clean(value), expected);
        }
    }
}
