//! The template engine: limits, escaping, functions and filters.

use std::collections::BTreeSet;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Rest;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, escape_formatter};

use crate::plain::{EMPTY, FULL};

/// Work that one render may do: about so many instructions, or 64 octets of data each. A signature takes a few hundred.
const FUEL: u64 = 50_000;

/// Nesting of includes and macros; each level takes stack, of which a guest has little.
const NESTING: usize = 24;

/// What the error for an unknown image starts with: a trial with invented values must not fail by it.
pub(crate) const NO_IMAGE: &str = "there is no image";

/// The images that a render referred to, each once.
#[derive(Debug, Default)]
pub(crate) struct Images(pub(crate) Vec<String>);

/// An environment without templates.
pub(crate) fn new(assets: BTreeSet<String>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(NESTING);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    // A line that has nothing but a statement leaves no line behind; the delimiters are Jinja's own, so the syntax is valid.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.unwrap_or_default());
    environment.set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
    environment.set_formatter(print);
    environment.add_function("image", move |state: &mut State, name: &str| image(state, &assets, name));
    environment.add_function("joined", joined);
    environment.add_filter("phone", |value: &Value| phone(value.as_str().unwrap_or_default()));
    environment.add_filter("tel", |value: &Value| dialled(value.as_str().unwrap_or_default()));
    environment
}

/// An error in words, without the source it points to.
pub(crate) fn in_words(error: &Error) -> String {
    let place = match (error.name(), error.line()) {
        (Some(name), Some(line)) => format!("{name} line {line}: "),
        _ => String::new(),
    };
    match error.detail() {
        Some(detail) => format!("{place}{detail} ({})", error.kind()),
        None => format!("{place}{}", error.kind()),
    }
}

/// Prints a value; in text, with a mark that tells whether there was one, so that the line can be left out.
fn print(output: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let nothing = value.is_undefined() || value.is_none() || value.as_str().is_some_and(str::is_empty);
    if matches!(state.auto_escape(), AutoEscape::None) {
        output.write_str(if nothing { EMPTY } else { FULL })?;
    }
    if nothing { Ok(()) } else { escape_formatter(output, state, value) }
}

fn image(state: &mut State, assets: &BTreeSet<String>, name: &str) -> Result<Value, Error> {
    if !assets.contains(name) {
        let known = assets.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(Error::new(ErrorKind::InvalidOperation, format!("{NO_IMAGE} {name:?}; the assets are: {known}")));
    }
    let images = state.get_or_insert_extension_with(Images::default);
    if !images.0.iter().any(|image| image == name) {
        images.0.push(name.to_owned());
    }
    // Asset names have no characters that HTML would need escaped.
    Ok(Value::from_safe_string(format!("cid:{name}")))
}

/// The values that are there, with the separator between them. It is HTML when the separator is marked `safe`.
fn joined(state: &mut State, separator: &Value, values: Rest<Value>) -> Result<Value, Error> {
    let present: Vec<&Value> = values.iter().filter(|value| value.as_str().is_some_and(|text| !text.is_empty())).collect();
    if matches!(state.auto_escape(), AutoEscape::None) {
        let texts: Vec<&str> = present.iter().filter_map(|value| value.as_str()).collect();
        return Ok(Value::from(texts.join(separator.as_str().unwrap_or_default())));
    }
    let separator = state.format(separator.clone())?;
    let texts = present.into_iter().map(|value| state.format(value.clone())).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::from_safe_string(texts.join(&separator)))
}

/// What a telephone dials: digits, and `+` in front.
fn dialled(number: &str) -> String {
    // "(0)" is read by people who dial from inside the country, and must not be dialled from outside.
    let number = if number.trim_start().starts_with('+') { number.replace("(0)", "") } else { number.to_owned() };
    let digits = number.chars().filter(char::is_ascii_digit);
    if number.trim_start().starts_with('+') { std::iter::once('+').chain(digits).collect() } else { digits.collect() }
}

/// A number in E.164 form, grouped for people; any other stays as it is.
fn phone(number: &str) -> String {
    let Some(digits) = number.strip_prefix('+').filter(|digits| (8..=15).contains(&digits.len())) else { return number.to_owned() };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return number.to_owned();
    }
    let (country, rest) = digits.split_at(country_code_length(digits));
    let groups: Vec<&str> = if country == "1" && rest.len() == 10 { vec![&rest[..3], &rest[3..6], &rest[6..]] } else { threes(rest) };
    format!("+{country} {}", groups.join(" "))
}

/// Groups of three; the last has up to four, so that none has one.
fn threes(mut digits: &str) -> Vec<&str> {
    let mut groups = Vec::new();
    while digits.len() > 4 {
        let (group, rest) = digits.split_at(3);
        groups.push(group);
        digits = rest;
    }
    groups.push(digits);
    groups
}

/// ITU-T E.164: zones 1 and 7 have one digit; these have two, all others three.
fn country_code_length(digits: &str) -> usize {
    const TWO: [&str; 43] = [
        "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49", "51", "52", "53", "54",
        "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95",
    ];
    match &digits[..2] {
        code if code.starts_with(['1', '7']) => 1,
        "98" => 2,
        code if TWO.contains(&code) => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_for_people() {
        for (number, expected) in [
            ("+442079460018", "+44 207 946 0018"),
            ("+12025550143", "+1 202 555 0143"),
            ("+4930901820", "+49 309 018 20"),
            ("+35312345678", "+353 123 456 78"),
            ("+44 20 7946 0018", "+44 20 7946 0018"),
            ("020 7946 0018", "020 7946 0018"),
            ("+é", "+é"),
            ("", ""),
        ] {
            assert_eq!(phone(number), expected);
        }
    }

    #[test]
    fn numbers_are_reduced_to_what_is_dialled() {
        for (number, expected) in
            [("+44 (0)20 7946-0018", "+442079460018"), ("020/7946 0018", "02079460018"), ("ext. 12", "12"), ("javascript:", "")]
        {
            assert_eq!(dialled(number), expected);
        }
    }
}
