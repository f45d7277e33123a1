//! Filters and functions about people: numbers, letter case, dates, cards, codes, links. Each is an adaptor for a file of its own.
//!
//! A value that has no such form stays as it is, because one odd attribute must not cost a signature. What the template's author
//! writes (a style, a locale) is checked, and refused when the template is tried.

use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value};
use rlibphonenumber::Region;

use crate::campaign::{self, Refusal};
use crate::context::TRIAL;
use crate::{card, dates, letters, phone, square};

/// Where a number without a country code is taken to be from; the first of these that names a country.
pub(crate) const REGIONS: [&str; 3] = ["region", "usageLocation", "country"];

/// The mark that makes what stands beside it left to right (Unicode Standard Annex 9). It is older than isolates, and is there where
/// those would be shown as boxes.
const LEFT_TO_RIGHT: &str = "\u{200e}";

/// Adds them to an environment. `domains` are the customer's own.
pub(crate) fn add(environment: &mut Environment<'static>, domains: Vec<String>) {
    environment.add_filter("phone", as_phone);
    environment.add_filter("tel", |state: &State, value: &Value, kwargs: Kwargs| -> Result<String, Error> {
        let region = region(state, &kwargs)?;
        Ok(phone::dialled(value.as_str().unwrap_or_default(), region))
    });
    environment.add_filter("date", as_date);
    for (name, change) in [
        ("upper", letters::upper as fn(&str, &str) -> String),
        ("lower", letters::lower),
        ("title", letters::title),
        ("sentence", letters::sentence),
    ] {
        environment.add_filter(name, move |state: &State, value: &Value, locale: Option<String>| {
            let locale = locale.unwrap_or_else(|| text(state, "locale"));
            value.as_str().map_or_else(|| value.clone(), |text| Value::from(change(text, &locale)))
        });
    }
    environment.add_filter("ltr", left_to_right);
    environment.add_function("vcard", vcard);
    environment.add_function("qr", qr);
    environment.add_function("campaign", move |state: &State, url: &Value, kwargs: Kwargs| with_campaign(state, &domains, url, &kwargs));
}

/// A root variable as text.
fn text(state: &State, name: &str) -> String {
    state.lookup(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn region(state: &State, kwargs: &Kwargs) -> Result<Option<Region>, Error> {
    let own: Option<String> = kwargs.get("region")?;
    kwargs.assert_all_used()?;
    match own {
        Some(own) => phone::region(&own).map(Some).ok_or_else(|| unknown("country", &own, "for example \"DE\" or \"Germany\"")),
        None => Ok(REGIONS.iter().find_map(|name| phone::region(&text(state, name)))),
    }
}

fn unknown(what: &str, value: &str, hint: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{value:?} is no {what}; {hint}"))
}

fn one_of(what: &str, value: &str, known: &[&str]) -> Result<(), Error> {
    if known.contains(&value) { Ok(()) } else { Err(unknown(what, value, &format!("there are {}", known.join(", ")))) }
}

fn as_phone(state: &State, value: &Value, style: Option<String>, kwargs: Kwargs) -> Result<String, Error> {
    let style = style.as_deref().unwrap_or(phone::STYLES[0]);
    one_of("style of numbers", style, &phone::STYLES)?;
    let region = region(state, &kwargs)?;
    Ok(phone::formatted(value.as_str().unwrap_or_default(), style, region))
}

fn as_date(state: &State, value: &Value, style: Option<String>, locale: Option<String>) -> Result<Value, Error> {
    let style = style.as_deref().unwrap_or("long");
    one_of("style of dates", style, &dates::STYLES)?;
    let locale = locale.unwrap_or_else(|| text(state, "locale"));
    // `now` is a map with the date in it.
    let date = if value.as_str().is_some() { value.clone() } else { value.get_attr("date").unwrap_or_default() };
    let formatted = date.as_str().and_then(|date| dates::formatted(date, style, &locale));
    Ok(formatted.map_or_else(|| value.clone(), Value::from))
}

/// Keeps a number or an address in one piece in text that runs from right to left.
fn left_to_right(state: &mut State, value: &Value) -> Result<Value, Error> {
    let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { return Ok(value.clone()) };
    if matches!(state.auto_escape(), AutoEscape::None) {
        return Ok(Value::from(format!("{LEFT_TO_RIGHT}{text}{LEFT_TO_RIGHT}")));
    }
    let escaped = state.format(value.clone())?;
    Ok(Value::from_safe_string(format!("<span dir=\"ltr\" style=\"unicode-bidi:embed;\">{escaped}</span>")))
}

fn vcard(state: &State, version: Option<String>, kwargs: Kwargs) -> Result<String, Error> {
    let version = version.as_deref().unwrap_or(card::VERSIONS[0]);
    one_of("version of vCard", version, &card::VERSIONS)?;
    let address = kwargs.get::<Option<bool>>("address")?.unwrap_or(true);
    let region = region(state, &kwargs)?;
    let value = |name: &str| match name {
        "businessPhone" | "mobilePhone" => phone::formatted(&text(state, name), "e164", region),
        _ => text(state, name),
    };
    Ok(card::card(version, address, &value))
}

/// A QR code in HTML; in text an address as it is, and nothing for anything else.
fn qr(state: &State, content: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    let module = kwargs.get::<Option<u32>>("module")?.unwrap_or(square::MODULE);
    kwargs.assert_all_used()?;
    if !square::MODULES.contains(&module) {
        let (least, most) = (square::MODULES.start(), square::MODULES.end());
        return Err(unknown("width of a module", &module.to_string(), &format!("{least} to {most} pixels")));
    }
    let content = content.as_str().unwrap_or_default();
    if matches!(state.auto_escape(), AutoEscape::None) {
        return Ok(if campaign::host(content).is_some() { Value::from(content) } else { Value::UNDEFINED });
    }
    Ok(square::table(content, module).map_or(Value::UNDEFINED, Value::from_safe_string))
}

fn with_campaign(state: &State, domains: &[String], url: &Value, kwargs: &Kwargs) -> Result<Value, Error> {
    let mut parameters = Vec::new();
    for name in campaign::PARAMETERS {
        let value: Option<Value> = kwargs.get(name)?;
        let value = value.and_then(|value| value.as_str().map(str::to_owned)).filter(|value| !value.is_empty());
        parameters.extend(value.map(|value| (name, value)));
    }
    kwargs.assert_all_used()?;
    let trial = state.lookup(TRIAL).is_some_and(|trial| trial.is_true());
    if trial && domains.is_empty() {
        let message =
            "campaign() needs the domains whose links it may change; in signatures.toml `[links]`, `domains = [\"northwind.example\"]`";
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    let Some(address) = url.as_str() else { return Ok(Value::UNDEFINED) };
    match campaign::tagged(address, domains, &parameters) {
        Ok(tagged) => Ok(Value::from(tagged)),
        Err(Refusal::Foreign) if trial => {
            let message = format!("campaign() changes links to {} only, and this one leads to {address:?}", domains.join(", "));
            Err(Error::new(ErrorKind::InvalidOperation, message))
        }
        Err(_) => Ok(url.clone()),
    }
}
