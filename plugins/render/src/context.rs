//! What a template sees: the person, the values set for it, the time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use signet_plugin_sdk::{Moment, Person};

use crate::layers::{Layers, Values};
use crate::{Signature, locale};

/// Names that are never taken for attributes of the person or for variables.
pub(crate) const RESERVED: [&str; 8] = ["direction", "email", "end", "groups", "locale", "now", "person", "start"];

/// Names of functions, which an attribute of the same name must not hide.
pub(crate) const FUNCTIONS: [&str; 8] = ["campaign", "dict", "image", "joined", "namespace", "qr", "range", "vcard"];

/// Whether this is a trial at configuration, where functions report what they would put up with in a message. No template can name it.
pub(crate) const TRIAL: &str = "(trial)";

/// What every attribute is in a trial with all of them.
pub(crate) const SAMPLE: &str = "Sample";

/// People beside the person whose attributes come with a prefix; others work as well, but a trial does not know of them.
const RELATED: [&str; 2] = ["assistant", "manager"];

/// What is the same for every message: values, the names of images, and the signatures by id.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) layers: Layers,
    pub(crate) assets: BTreeSet<String>,
    pub(crate) signatures: BTreeMap<String, Signature>,
}

/// The root of the variables.
#[derive(Debug)]
pub(crate) struct Context {
    person: Arc<Attributes>,
    email: String,
    groups: Vec<String>,
    locale: String,
    now: Moment,
    shared: &'static Shared,
    signature: &'static Values,
    trial: bool,
}

/// A person's attributes by name.
#[derive(Debug)]
struct Attributes {
    values: Vec<(String, String)>,
    /// In a trial every attribute may be there.
    sample: bool,
}

impl Context {
    pub(crate) fn new(person: &Person, locale: &str, now: &Moment, shared: &'static Shared, signature: &'static Values) -> Self {
        Self {
            person: Arc::new(Attributes { values: person.attributes.clone(), sample: false }),
            email: clean(&format!("{}@{}", person.address.local, person.address.domain)),
            groups: person.groups.clone(),
            locale: locale.to_owned(),
            now: now.clone(),
            shared,
            signature,
            trial: false,
        }
    }

    /// To try a template with; with every attribute when `everything` is set.
    pub(crate) fn trial(mut self, everything: bool) -> Self {
        self.trial = true;
        if everything {
            self.person = Arc::new(Attributes { values: Vec::new(), sample: true });
        }
        self
    }

    pub(crate) fn into_value(self) -> Value {
        Value::from_object(self)
    }

    fn variable(&self, name: &str) -> Option<Value> {
        self.shared.layers.find(self.signature, &self.groups, &self.locale, name).map(Value::from)
    }

    fn attribute_or_variable(&self, name: &str) -> Option<Value> {
        // In a trial a sample says nothing that the operator's own value does not say better.
        if self.person.sample {
            return self.variable(name).or_else(|| self.person.named(name));
        }
        self.person.named(name).or_else(|| self.variable(name))
    }

    /// The name of the person's photo, or its address, when there is such an image: otherwise its place must close up.
    fn photo(&self) -> Option<Value> {
        let photo = self.attribute_or_variable("photo")?;
        let name = photo.as_str()?;
        let known = self.person.sample || self.shared.assets.contains(name) || is_web_image(name);
        known.then_some(photo)
    }

    fn side(&self, at_start: bool) -> Value {
        Value::from(if locale::is_right_to_left(&self.locale) == at_start { "right" } else { "left" })
    }
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "direction" => Some(Value::from(if locale::is_right_to_left(&self.locale) { "rtl" } else { "ltr" })),
            "email" => Some(Value::from(&self.email)),
            "end" => Some(self.side(false)),
            "groups" => Some(self.groups.iter().map(|group| Value::from(clean(group))).collect()),
            "locale" => Some(Value::from(&self.locale)),
            "now" => Some(date(&self.now)),
            "person" => Some(Value::from_dyn_object(Arc::clone(&self.person))),
            "photo" => self.photo(),
            "start" => Some(self.side(true)),
            TRIAL => Some(Value::from(self.trial)),
            _ if FUNCTIONS.contains(&key) => None,
            _ => self.attribute_or_variable(key),
        }
    }
}

impl Attributes {
    /// The attribute's value, or the person whose attributes are called `name.ATTRIBUTE`.
    fn named(&self, name: &str) -> Option<Value> {
        if self.sample {
            let related = || Value::from_object(Self { values: Vec::new(), sample: true });
            return Some(if RELATED.contains(&name) { related() } else { Value::from(SAMPLE) });
        }
        let of_related = |(known, value): &(String, String)| {
            let attribute = known.strip_prefix(name)?.strip_prefix('.')?;
            (!clean(value).is_empty()).then(|| (attribute.to_owned(), value.clone()))
        };
        let related: Vec<_> = self.values.iter().filter_map(of_related).collect();
        if !related.is_empty() {
            return Some(Value::from_object(Self { values: related, sample: false }));
        }
        let (_, value) = self.values.iter().find(|(known, _)| known == name)?;
        let value = clean(value);
        (!value.is_empty()).then(|| Value::from(value))
    }
}

impl Object for Attributes {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.named(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        if self.sample {
            return Enumerator::Values(vec![Value::from("displayName")]);
        }
        Enumerator::Values(self.values.iter().map(|(name, _)| Value::from(name)).collect())
    }

    /// `{{ manager }}` is the manager's name.
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.named("displayName").map_or(Ok(()), |name| fmt::Display::fmt(&name, f))
    }
}

/// Whether an image may be fetched from this address: encrypted, so that nobody on the way learns who reads what.
pub(crate) fn is_web_image(address: &str) -> bool {
    address.starts_with("https://") && crate::campaign::host(address).is_some()
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
