//! Takes secrets out of a recording, the same way everywhere in it, so that it can still be replayed. Pure.
//!
//! Credentials are not in a recording to begin with: the way out adds them behind it. What is left are the values of delta and skip tokens (they
//! grant nothing without a credential, but stand for a customer's directory), tokens and passwords in bodies, and the tenant's own secret words.
//! A token that a plugin stores bare is known only in a call that also has it in a link. Each is replaced by `redacted-N`; which one is the same in a whole recording, so a link that the plugin follows fits the one that it was given.

use serde_json::Value;

/// Shortest value that counts as a secret. A shorter one is in many texts by accident, and replacing it would garble the recording.
const SHORTEST: usize = 8;
/// After these follows a secret, up to the first octet that cannot be part of it.
const IN_LINKS: [&str; 2] = ["deltatoken=", "skiptoken="];
/// The same for a credential in a text (RFC 6750 section 2.1).
const IN_TEXT: &str = "Bearer ";
/// Members of JSON objects whose values are secrets (RFC 6749, Microsoft Graph).
const MEMBERS: [&str; 8] =
    ["access_token", "refresh_token", "id_token", "client_secret", "client_assertion", "password", "secretText", "code_verifier"];

/// The secrets of one recording.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Adds a secret that is known beforehand.
    pub(super) fn add(&mut self, secret: &str) {
        if secret.len() >= SHORTEST && !self.0.iter().any(|known| known == secret) {
            self.0.push(secret.to_owned());
        }
    }

    /// Finds the secrets in all strings of a value, at any depth.
    pub(super) fn find(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.find_in(text),
            Value::Array(values) => values.iter().for_each(|value| self.find(value)),
            Value::Object(members) => members.values().for_each(|value| self.find(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn find_in(&mut self, text: &str) {
        let lower = text.to_ascii_lowercase();
        for mark in IN_LINKS {
            for (at, _) in lower.match_indices(mark) {
                let rest = &text[at + mark.len()..];
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-._~%+/=!*()".contains(c))).unwrap_or(rest.len());
                self.add(&rest[..end]);
            }
        }
        for (at, mark) in text.match_indices(IN_TEXT) {
            let rest = &text[at + mark.len()..];
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/=".contains(c))).unwrap_or(rest.len());
            self.add(&rest[..end]);
        }
        for member in MEMBERS {
            for (at, mark) in text.match_indices(&format!("\"{member}\"")) {
                let rest = text[at + mark.len()..].trim_start().strip_prefix(':').unwrap_or_default().trim_start();
                let value = rest.strip_prefix('"').unwrap_or_default();
                self.add(&value[..value.find(['"', '\\']).unwrap_or(value.len())]);
            }
        }
    }

    /// The replacer, when all are found. Longer secrets are replaced first: a shorter one may be part of them.
    pub(super) fn replacer(self) -> Replacer {
        let mut replaced: Vec<(String, String)> =
            self.0.into_iter().enumerate().map(|(index, secret)| (secret, format!("redacted-{}", index + 1))).collect();
        replaced.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        Replacer(replaced)
    }
}

/// Replaces secrets.
pub(super) struct Replacer(Vec<(String, String)>);

impl Replacer {
    /// In all strings of a value, at any depth.
    pub(super) fn replace(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                for (secret, name) in &self.0 {
                    if text.contains(secret.as_str()) {
                        *text = text.replace(secret.as_str(), name);
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.replace(value)),
            Value::Object(members) => members.values_mut().for_each(|value| self.replace(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(texts: &[&str]) -> Vec<String> {
        let mut value = serde_json::json!(texts);
        let mut secrets = Secrets::default();
        secrets.find(&value);
        secrets.replacer().replace(&mut value);
        serde_json::from_value(value).expect("they are texts")
    }

    #[test]
    fn tokens_are_replaced_the_same_way_everywhere() {
        for (given, expected) in [
            (
                &["https://g.example/delta?$deltatoken=AbCdEfGh12&x=1", "AbCdEfGh12"][..],
                &["https://g.example/delta?$deltatoken=redacted-1&x=1", "redacted-1"][..],
            ),
            (
                &["{\"@odata.nextLink\":\"https://g.example/?%24skipToken=AbCdEfGh12\"}"],
                &["{\"@odata.nextLink\":\"https://g.example/?%24skipToken=redacted-1\"}"],
            ),
            (&["{\"access_token\": \"eyJ0eXAiOi\",\"expires_in\":1}"], &["{\"access_token\": \"redacted-1\",\"expires_in\":1}"]),
            (&["got Bearer eyJ0eXAiOi.x.y, it said"], &["got Bearer redacted-1, it said"]),
            (&["$deltatoken=12345678 $skiptoken=1234567890"], &["$deltatoken=redacted-1 $skiptoken=redacted-2"]),
            (&["$deltatoken=latest"], &["$deltatoken=latest"]),
            (&["Bearer of news"], &["Bearer of news"]),
        ] {
            assert_eq!(redacted(given), expected);
        }
    }
}
