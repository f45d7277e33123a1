//! What a request brings: the fields of a form or of a query (WHATWG URL, `application/x-www-form-urlencoded`), or the members of a flat
//! JSON object.

use url::form_urlencoded;

/// Fields that are looked at; no form of ours has as many.
const MAX_FIELDS: usize = 32;

/// Names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// From a form's body or a query.
    pub(super) fn form(octets: &[u8]) -> Self {
        Self(form_urlencoded::parse(octets).take(MAX_FIELDS).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// From a JSON object whose members are strings or null; nothing at all is an empty object.
    pub(super) fn json(octets: &[u8]) -> Result<Self, String> {
        if octets.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let value: serde_json::Value = serde_json::from_slice(octets).map_err(|error| format!("The body is not JSON: {error}."))?;
        let serde_json::Value::Object(members) = value else { return Err("The body is not a JSON object.".to_owned()) };
        let mut fields = Vec::new();
        for (name, value) in members.into_iter().take(MAX_FIELDS) {
            match value {
                serde_json::Value::String(text) => fields.push((name, text)),
                serde_json::Value::Null => {}
                _ => return Err(format!("The member {name:?} of the body is neither a string nor null.")),
            }
        }
        Ok(Self(fields))
    }

    /// The value of a field, without white space around it; none when it is not there or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// The value as it was sent: a password may begin with a space.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_json_give_the_same_fields() {
        let form = Fields::form(b"goal=disconnect&group=+a%20b+&none=");
        let json = Fields::json(br#"{"goal": "disconnect", "group": " a b ", "none": null}"#).unwrap();
        for fields in [form, json] {
            assert_eq!(fields.get("goal"), Some("disconnect"));
            assert_eq!(fields.get("group"), Some("a b"));
            assert_eq!(fields.raw("group"), " a b ");
            assert_eq!(fields.get("none"), None);
        }
        assert_eq!(Fields::json(b" ").unwrap(), Fields::default());
    }

    #[test]
    fn json_that_is_no_flat_object_is_refused() {
        for body in ["[]", "{", "\"a\"", r#"{"a": {}}"#, r#"{"a": 1}"#] {
            assert!(Fields::json(body.as_bytes()).is_err(), "{body}");
        }
    }
}
