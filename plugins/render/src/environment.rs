//! The template engine: limits, escaping, and what belongs to them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Rest;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, escape_formatter};

use crate::context::{SAMPLE, TRIAL, is_web_image};
use crate::plain::{EMPTY, FULL};

/// Work that one render may do: about so many instructions, or 64 octets of data each. A signature takes a few hundred.
const FUEL: u64 = 50_000;

/// Nesting of includes and macros; each level takes stack, of which a guest has little.
const NESTING: usize = 24;

/// The images that a render referred to, each once.
#[derive(Debug, Default)]
pub(crate) struct Images(pub(crate) Vec<String>);

/// The texts in quotes of all templates, once they are read: what an author wrote, and `safe` may therefore mark.
pub(crate) type Literals = Arc<OnceLock<BTreeSet<String>>>;

/// An environment without templates.
pub(crate) fn new(assets: BTreeSet<String>, literals: Literals) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(NESTING);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    // A line that has nothing but a statement leaves no line behind; the delimiters are Jinja's own, so the syntax is valid.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.unwrap_or_default());
    environment.set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
    environment.set_path_join_callback(included);
    environment.set_formatter(print);
    environment.add_function("image", move |state: &mut State, name: &Value| image(state, &assets, name));
    environment.add_function("joined", joined);
    // The engine's own keeps the mark of HTML, and a value could then become part of a tag.
    environment.add_filter("replace", |text: String, from: String, to: String| text.replace(&from, &to));
    environment.add_filter("safe", move |value: &Value| safe(&literals, value));
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

/// The file that a template names. Values are escaped by the file they are printed in, so HTML must be put together from HTML alone.
fn included<'s>(name: &'s str, by: &'s str) -> Cow<'s, str> {
    if by.ends_with(".html") && !name.ends_with(".html") { format!("{name} (which is no HTML)").into() } else { name.into() }
}

/// Prints a value; in text, with a mark that tells whether there was one, so that the line can be left out.
fn print(output: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let nothing = is_nothing(value);
    if matches!(state.auto_escape(), AutoEscape::None) {
        output.write_str(if nothing { EMPTY } else { FULL })?;
    }
    if nothing { Ok(()) } else { escape_formatter(output, state, value) }
}

fn is_nothing(value: &Value) -> bool {
    match value.as_str() {
        Some(text) => text.is_empty(),
        None => value.is_undefined() || value.is_none() || (value.as_object().is_some() && value.to_string().is_empty()),
    }
}

/// The address of an image: one that comes along, or one on the web. Nothing when there is no such image.
fn image(state: &mut State, assets: &BTreeSet<String>, name: &Value) -> Result<Value, Error> {
    let Some(text) = name.as_str().filter(|text| !text.is_empty()) else { return Ok(Value::UNDEFINED) };
    if is_web_image(text) {
        return Ok(Value::from(text));
    }
    if !assets.contains(text) {
        let trial = state.lookup(TRIAL).is_some_and(|trial| trial.is_true());
        if !trial || text == SAMPLE {
            return Ok(Value::UNDEFINED);
        }
        let known = assets.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(Error::new(ErrorKind::InvalidOperation, format!("there is no image {text:?}; the assets are: {known}")));
    }
    let images = state.get_or_insert_extension_with(Images::default);
    if !images.0.iter().any(|image| image == text) {
        images.0.push(text.to_owned());
    }
    // Asset names have no characters that HTML would need escaped.
    Ok(Value::from_safe_string(format!("cid:{text}")))
}

/// The values that are there, with the separator between them. It is HTML when the separator is marked `safe`.
fn joined(state: &mut State, separator: &Value, values: Rest<Value>) -> Result<Value, Error> {
    let present: Vec<&Value> = values.iter().filter(|value| !is_nothing(value)).collect();
    if matches!(state.auto_escape(), AutoEscape::None) {
        let texts: Vec<String> = present.iter().map(|value| value.to_string()).collect();
        return Ok(Value::from(texts.join(separator.as_str().unwrap_or_default())));
    }
    let separator = state.format(separator.clone())?;
    let texts = present.into_iter().map(|value| state.format(value.clone())).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::from_safe_string(texts.join(&separator)))
}

/// Marks HTML that stands in the template itself. Anything else may be a person's attribute, and is escaped like any other value.
fn safe(literals: &OnceLock<BTreeSet<String>>, value: &Value) -> Value {
    let written = |text: &&str| literals.get().is_some_and(|literals| literals.contains(*text));
    value.as_str().filter(written).map_or_else(|| value.clone(), |text| Value::from_safe_string(text.to_owned()))
}
