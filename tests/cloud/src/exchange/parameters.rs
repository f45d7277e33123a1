//! Which parameters a cmdlet takes, of which kind. Names and kinds are those of the cmdlets' reference pages.

use serde_json::{Map, Value};

const TABLE: &str = include_str!("parameters.txt");

/// A parameter of a cmdlet.
struct Parameter<'t> {
    name: &'t str,
    kind: &'t str,
    required: bool,
    nullable: bool,
    values: Vec<&'t str>,
}

/// Why parameters are refused: the exception's short type and its text.
pub(crate) type Refusal = (&'static str, String);

/// Whether there is such a cmdlet.
pub(crate) fn exists(cmdlet: &str) -> bool {
    TABLE.lines().any(|line| line.eq_ignore_ascii_case(cmdlet))
}

fn table(cmdlet: &str) -> impl Iterator<Item = Parameter<'static>> {
    let lines = TABLE.lines().skip_while(move |line| !line.eq_ignore_ascii_case(cmdlet)).skip(1);
    lines.take_while(|line| line.starts_with(' ')).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, kind) = (words.next()?, words.next()?);
        let rest: Vec<&str> = words.collect();
        let values = rest.iter().find(|word| word.contains('|')).map(|word| word.split('|').collect()).unwrap_or_default();
        Some(Parameter { name, kind, required: rest.contains(&"required"), nullable: rest.contains(&"nullable"), values })
    })
}

/// The parameters under their proper names, without those that are only about how the cmdlet runs.
pub(crate) fn check(cmdlet: &str, given: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let known: Vec<Parameter<'_>> = table(cmdlet).collect();
    let mut checked = Map::new();
    for (name, value) in given {
        let Some(parameter) = known.iter().find(|known| known.name.eq_ignore_ascii_case(name)) else {
            return Err(("ParameterBindingException", format!("A parameter cannot be found that matches parameter name '{name}'.")));
        };
        let value = fitting(parameter, value).ok_or_else(|| {
            let text = format!(
                "Cannot process argument transformation on parameter '{name}'. Cannot convert value \"{value}\" to its type ({}).",
                parameter.kind
            );
            ("ParameterBindingArgumentTransformationException", text)
        })?;
        if !["Confirm", "WhatIf"].contains(&parameter.name) {
            checked.insert(parameter.name.to_owned(), value);
        }
    }
    match known.iter().find(|parameter| parameter.required && checked.get(parameter.name).is_none_or(Value::is_null)) {
        Some(missing) => {
            let text = format!("Cannot process command because of one or more missing mandatory parameters: {}.", missing.name);
            Err(("ParameterBindingException", text))
        }
        None => Ok(checked),
    }
}

/// The value as the parameter has it; none when it does not fit.
fn fitting(parameter: &Parameter<'_>, value: &Value) -> Option<Value> {
    if value.is_null() {
        // A null clears what it is given for; only a mandatory parameter and a switch cannot be null.
        return (parameter.nullable || (!parameter.required && parameter.kind != "flag")).then_some(Value::Null);
    }
    match parameter.kind {
        "flag" => value.is_boolean().then(|| value.clone()),
        "number" => value.is_i64().then(|| value.clone()),
        "unlimited" => (value.is_u64() || value.as_str() == Some("Unlimited")).then(|| value.clone()),
        "list" => match value {
            Value::Array(items) => items.iter().all(Value::is_string).then(|| value.clone()),
            Value::Object(change) => (change.get("@odata.type")?.as_str()? == "#Exchange.GenericHashTable").then(|| value.clone()),
            Value::String(_) => Some(Value::Array(vec![value.clone()])),
            _ => None,
        },
        _ => {
            let text = value.as_str()?;
            if parameter.values.is_empty() {
                return Some(value.clone());
            }
            parameter.values.iter().find(|known| known.eq_ignore_ascii_case(text)).map(|known| Value::from(*known))
        }
    }
}

/// Applies a list parameter, which may be `{"Add": [..], "Remove": [..]}`, to what is there.
pub(crate) fn merged(present: &Value, given: Value) -> Value {
    let Value::Object(change) = &given else { return given };
    let texts = |name: &str| change.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut items = present.as_array().cloned().unwrap_or_default();
    let removed = texts("Remove");
    items.retain(|item| !removed.contains(item));
    items.extend(texts("Add"));
    Value::Array(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_are_judged_by_name_and_kind() {
        let good =
            json!({"name": "To Signet", "SenderDomains": ["*"], "ConnectorType": "onpremises", "RequireTls": true, "Confirm": false});
        let checked = check("New-InboundConnector", good.as_object().unwrap()).unwrap();
        assert_eq!(
            Value::Object(checked),
            json!({"Name": "To Signet", "SenderDomains": ["*"], "ConnectorType": "OnPremises", "RequireTls": true})
        );
        let wrong = [
            json!({"Name": "x"}),
            json!({"Name": "x", "SenderDomains": ["*"], "Sender": "y"}),
            json!({"Name": "x", "SenderDomains": ["*"], "RequireTls": "true"}),
            json!({"Name": "x", "SenderDomains": ["*"], "ConnectorType": "Hybrid"}),
            json!({"Name": 5, "SenderDomains": ["*"]}),
        ];
        for case in wrong {
            assert!(check("New-InboundConnector", case.as_object().unwrap()).is_err(), "{case}");
        }
    }

    #[test]
    fn a_list_can_be_added_to() {
        let change = json!({"@odata.type": "#Exchange.GenericHashTable", "Add": ["c"], "Remove": ["a"]});
        assert_eq!(merged(&json!(["a", "b"]), change), json!(["b", "c"]));
        assert_eq!(merged(&json!(["a"]), json!(["z"])), json!(["z"]));
    }
}
