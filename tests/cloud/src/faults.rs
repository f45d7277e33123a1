//! Faults on demand: what the next requests to a path get instead of, or done to, their answer.

use std::time::Duration;

use serde_json::{Value, json};

use crate::call::{Answer, Call, Delivery};
use crate::graph::errors::graph_error;
use crate::world::World;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// That status with the service's error body; for 429 and 503 with so many seconds of `Retry-After`, or without.
    Status(u16, Option<u32>),
    /// 410 with a `Location` that begins anew.
    Gone,
    /// The answer comes late.
    Slow(Duration),
    /// The body is cut.
    Truncated,
    /// The connection breaks.
    Dropped,
    /// Text where a Boolean belongs, a number where text does, an object where a list does.
    WrongTypes,
    /// The body is no JSON.
    NotJson,
    /// The items of the page come twice.
    Duplicated,
    /// The items of the page come in another order.
    Reordered,
    /// The page has no items, and its links stay.
    Emptied,
    /// The link to the next page leads to this page again.
    Circular,
}

/// A fault that waits for its requests.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The path begins with this.
    pub prefix: String,
    /// The cmdlet, for Exchange; empty for every request.
    pub cmdlet: String,
    /// So many requests pass first.
    pub after: u32,
    /// So many requests get it.
    pub times: u32,
    /// What.
    pub wrong: Wrong,
}

impl Fault {
    /// The next `times` requests below `prefix`.
    pub fn new(prefix: &str, times: u32, wrong: Wrong) -> Self {
        Self { prefix: prefix.to_owned(), cmdlet: String::new(), after: 0, times, wrong }
    }

    /// Reads the control interface's form: `{"path", "cmdlet"?, "after"?, "times"?, "fault", "retry_after"?, "milliseconds"?}`.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        let number = |name: &str| value[name].as_u64().and_then(|n| u32::try_from(n).ok());
        let path = value["path"].as_str().ok_or("a fault needs \"path\", for example \"/v1.0/users\"")?;
        let wrong = match value["fault"].as_str().unwrap_or_default() {
            "gone" | "410" => Wrong::Gone,
            "slow" => Wrong::Slow(Duration::from_millis(number("milliseconds").unwrap_or(1000).into())),
            "truncated" => Wrong::Truncated,
            "dropped" => Wrong::Dropped,
            "wrong-types" => Wrong::WrongTypes,
            "not-json" => Wrong::NotJson,
            "duplicated" => Wrong::Duplicated,
            "reordered" => Wrong::Reordered,
            "emptied" => Wrong::Emptied,
            "circular" => Wrong::Circular,
            code => Wrong::Status(
                code.parse().ok().filter(|status| (400..600).contains(status)).ok_or_else(|| {
                    format!(
                        "unknown fault {code:?}; take a status like \"429\", or gone, slow, truncated, dropped, wrong-types, not-json, \
                         duplicated, reordered, emptied, circular"
                    )
                })?,
                number("retry_after"),
            ),
        };
        Ok(Self {
            prefix: path.to_owned(),
            cmdlet: value["cmdlet"].as_str().unwrap_or_default().to_owned(),
            after: number("after").unwrap_or(0),
            times: number("times").unwrap_or(1),
            wrong,
        })
    }

    pub(crate) fn describe(&self) -> Value {
        json!({"path": self.prefix, "cmdlet": self.cmdlet, "after": self.after, "times": self.times, "fault": format!("{:?}", self.wrong)})
    }
}

/// The fault for this request, counted down.
pub(crate) fn due(world: &mut World, path: &str, cmdlet: &str) -> Option<Wrong> {
    let mut due = None;
    for fault in &mut world.faults {
        if !path.starts_with(&fault.prefix) || !(fault.cmdlet.is_empty() || fault.cmdlet.eq_ignore_ascii_case(cmdlet)) {
            continue;
        }
        if fault.after > 0 {
            fault.after -= 1;
        } else if due.is_none() && fault.times > 0 {
            fault.times -= 1;
            due = Some(fault.wrong.clone());
        }
    }
    world.faults.retain(|fault| fault.times > 0);
    due
}

/// The answer that a fault gives in place of the real one.
pub(crate) fn instead(world: &mut World, call: &Call, wrong: &Wrong) -> Option<Answer> {
    match wrong {
        Wrong::Status(status, retry_after) => {
            let (code, text) = match status {
                429 => ("TooManyRequests", "Too many requests"),
                503 => ("ServiceUnavailable", "The service is temporarily unavailable."),
                504 => ("GatewayTimeout", "The request timed out."),
                502 => ("BadGateway", "Bad gateway."),
                _ => ("InternalServerError", "An unexpected error occurred."),
            };
            let mut answer = graph_error(world, call, *status, code, text);
            if let Some(seconds) = retry_after {
                answer = answer.header("retry-after", &seconds.to_string());
            }
            Some(answer)
        }
        Wrong::Gone => {
            let location = format!("{}{}?$deltatoken=", world.base, call.path());
            Some(graph_error(world, call, 410, "syncStateNotFound", "Sync state generation not found.").header("location", &location))
        }
        Wrong::Dropped => Some(Answer { delivery: Delivery::Dropped, ..Answer::status(0) }),
        _ => None,
    }
}

/// Spoils a real answer.
pub(crate) fn spoil(base: &str, call: &Call, answer: &mut Answer, wrong: &Wrong) {
    match wrong {
        Wrong::Slow(time) => answer.delay = *time,
        Wrong::Truncated => {
            answer.delivery = Delivery::Truncated;
            let (whole, kept) = (answer.body.len(), answer.body.len() / 2);
            answer.headers.push(("content-length".to_owned(), whole.to_string()));
            answer.body.truncate(kept);
        }
        Wrong::NotJson => answer.body = b"<html><head><title>Object moved</title></head></html>".to_vec(),
        _ => {
            let mut body = answer.value();
            if body.is_null() {
                return;
            }
            spoil_json(base, call, &mut body, wrong);
            answer.body = body.to_string().into_bytes();
        }
    }
}

fn spoil_json(base: &str, call: &Call, body: &mut Value, wrong: &Wrong) {
    if *wrong == Wrong::Circular {
        if let Some(next) = body.get_mut("@odata.nextLink") {
            *next = json!(format!("{base}{}", call.target));
        }
        return;
    }
    if *wrong == Wrong::WrongTypes {
        let items = if body["value"].is_array() { &mut body["value"] } else { body };
        retype(items);
        return;
    }
    let Some(items) = body["value"].as_array_mut() else { return };
    match wrong {
        Wrong::Duplicated => *items = items.iter().flat_map(|item| [item.clone(), item.clone()]).collect(),
        Wrong::Reordered => items.reverse(),
        Wrong::Emptied => items.clear(),
        _ => {}
    }
}

fn retype(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(retype),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut().filter(|(name, _)| !name.starts_with("@odata") && *name != "id") {
                *field = match field.take() {
                    Value::Bool(flag) => json!(flag.to_string()),
                    Value::String(_) if name == "displayName" => json!(42),
                    Value::Array(_) => json!({}),
                    other => other,
                };
            }
        }
        _ => {}
    }
}
