//! The three objects in Exchange Online: what each must look like, which one is ours, and how it differs.
//!
//! An object is ours when its id is the one that was kept, or when it has our name and our marker in its comment; never by its name
//! alone. Settings that are not listed here are somebody else's and stay as they are.

use serde_json::{Value as Json, json};
use signet_plugin_sdk::control::{Cause, Connection, Difference, Problem, Surroundings};

use crate::exchange::{Failure, Object, invoke};

/// Which object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The connector that takes our mail back.
    Inbound,
    /// The connector to us.
    Outbound,
    /// The rule that chooses what goes to us.
    Rule,
}

impl Kind {
    /// The noun of its cmdlets.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Inbound => "InboundConnector",
            Self::Outbound => "OutboundConnector",
            Self::Rule => "TransportRule",
        }
    }

    /// What people call it.
    pub(crate) fn word(self) -> &'static str {
        if self == Self::Rule { "mail-flow rule" } else { "connector" }
    }

    /// The name that ours is created with; at most 64 characters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Inbound => "Receive from Signet",
            Self::Outbound => "Send to Signet",
            Self::Rule => "Messages for Signet",
        }
    }

    /// The step that makes it.
    pub(crate) fn step(self) -> &'static str {
        match self {
            Self::Inbound => "inbound-connector",
            Self::Outbound => "outbound-connector",
            Self::Rule => "rule",
        }
    }

    /// The property with its comment.
    pub(crate) fn comment(self) -> &'static str {
        if self == Self::Rule { "Comments" } else { "Comment" }
    }
}

/// What a setting must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A word of Exchange or a domain name: case does not matter.
    Word(String),
    /// A text that must be exactly so and is not shown: it proves something.
    Secret(String),
    Flag(bool),
    /// A set of words.
    List(Vec<String>),
    /// A set of texts that are not shown.
    Secrets(Vec<String>),
    /// Octets.
    Size(u64),
    /// An object by its name, or by its id.
    Reference(String, String),
    /// No value.
    Nothing,
    /// No values.
    Empty,
}

/// A parameter with its value; the property that is read has the same name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value: Value,
}

pub(crate) fn setting(name: &'static str, value: Value) -> Setting {
    Setting { name, value }
}

fn word(text: &str) -> Value {
    Value::Word(text.to_owned())
}

/// Properties that prove something, whoever set them.
const SECRET: &[&str] = &["ExceptIfHeaderContainsWords", "SetHeaderValue"];

/// What is shown of a secret.
const HIDDEN: &str = "(a secret word)";

impl Value {
    /// As a parameter.
    pub(crate) fn json(&self) -> Json {
        match self {
            Self::Word(text) | Self::Secret(text) | Self::Reference(text, _) => json!(text),
            Self::Flag(flag) => json!(flag),
            Self::List(list) | Self::Secrets(list) => json!(list),
            Self::Size(octets) => json!(format!("{octets}B")),
            Self::Nothing => Json::Null,
            Self::Empty => json!([]),
        }
    }

    /// For people.
    fn shown(&self) -> String {
        match self {
            Self::Secret(_) | Self::Secrets(_) => HIDDEN.to_owned(),
            Self::Size(octets) => format!("{octets} octets"),
            other => shown(&other.json()),
        }
    }

    /// Whether a property that was read is it.
    fn is(&self, found: &Json) -> bool {
        match self {
            Self::Word(text) => found.as_str().is_some_and(|found| found.eq_ignore_ascii_case(text)),
            Self::Secret(text) => found.as_str() == Some(text),
            Self::Flag(flag) => found.as_bool() == Some(*flag),
            Self::List(list) => folded(texts(found)) == folded(list.clone()),
            Self::Secrets(list) => texts(found) == *list,
            Self::Size(octets) => found.as_str().and_then(size) == Some(*octets) || found.as_u64() == Some(*octets),
            Self::Reference(name, id) => {
                found.as_str().is_some_and(|found| found.eq_ignore_ascii_case(name) || (!id.is_empty() && found.eq_ignore_ascii_case(id)))
            }
            Self::Nothing | Self::Empty => found.is_null() || found.as_str() == Some("") || found.as_array().is_some_and(Vec::is_empty),
        }
    }
}

/// One text or several, always as several.
fn texts(json: &Json) -> Vec<String> {
    match json {
        Json::Array(list) => list.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        Json::String(text) => vec![text.clone()],
        _ => Vec::new(),
    }
}

/// Lower case, sorted, and without the decoration that Exchange gives to domains: `*` comes back as `smtp:*;1`.
fn folded(list: Vec<String>) -> Vec<String> {
    let fold = |text: String| {
        let text = text.to_lowercase();
        let bare = text.strip_prefix("smtp:").unwrap_or(&text);
        let cost = bare.rsplit_once(';').filter(|(_, cost)| cost.bytes().all(|octet| octet.is_ascii_digit()));
        cost.map_or(bare, |(domain, _)| domain).to_owned()
    };
    let mut folded: Vec<String> = list.into_iter().map(fold).collect();
    folded.sort();
    folded
}

/// Octets in Exchange's notations: `22.5 MB (23,592,960 bytes)`, `35MB`, `23592960B`, `23592960`.
fn size(text: &str) -> Option<u64> {
    if let Some((_, exact)) = text.split_once('(') {
        return exact.split(' ').next()?.replace(',', "").parse().ok();
    }
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
    let unit = text[digits.len()..].trim().to_ascii_uppercase();
    let factor = match unit.as_str() {
        "" | "B" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// A property for people.
fn shown(json: &Json) -> String {
    match json {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Array(_) => texts(json).join(", "),
        other => other.to_string(),
    }
}

/// What the inbound connector must be. Our certificate proves the tenant, so that only this tenant's mail comes through it.
pub(crate) fn inbound(connection: &Connection) -> Vec<Setting> {
    vec![
        setting("ConnectorType", word("OnPremises")),
        setting("SenderDomains", Value::List(vec!["*".to_owned()])),
        setting("RequireTls", Value::Flag(true)),
        setting("RestrictDomainsToCertificate", Value::Flag(true)),
        setting("TlsSenderCertificateName", word(&connection.certificate_domain)),
        setting("CloudServicesMailEnabled", Value::Flag(true)),
        setting("Enabled", Value::Flag(true)),
    ]
}

/// What the outbound connector must be. `CloudServicesMailEnabled` must be the same on both, or one of them strips Exchange's own fields.
pub(crate) fn outbound(connection: &Connection) -> Vec<Setting> {
    vec![
        setting("ConnectorType", word("OnPremises")),
        setting("IsTransportRuleScoped", Value::Flag(true)),
        setting("UseMXRecord", Value::Flag(false)),
        setting("SmartHosts", Value::List(vec![connection.smart_host.clone()])),
        setting("TlsSettings", word("DomainValidation")),
        setting("TlsDomain", word(&connection.smart_host)),
        setting("CloudServicesMailEnabled", Value::Flag(true)),
        setting("Enabled", Value::Flag(true)),
    ]
}

/// Who is let through by the rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scope {
    /// Everybody inside.
    Everybody,
    /// Members of the group with that address.
    Members(String),
    /// Only that sender, for the trial.
    Only(String),
}

/// What the rule must be, but for whether it is enabled.
///
/// `ExceptIfMessageTypeMatches` takes one value: calendar messages, the only class that a null sender does not already keep out and that
/// Exchange handles badly when it comes back. Automatic replies have a null sender. A second rule that marks them as processed, as others
/// have it, would send the tenant's secret word to strangers; and Signet passes every class that must not be edited through unchanged.
pub(crate) fn rule(connection: &Connection, connector: (String, String), scope: &Scope) -> Vec<Setting> {
    let (members, only) = match scope {
        Scope::Everybody => (Value::Empty, Value::Empty),
        Scope::Members(address) => (Value::List(vec![address.clone()]), Value::Empty),
        Scope::Only(sender) => (Value::Empty, Value::List(vec![exactly(sender)])),
    };
    let (name, value) = match &connection.identification {
        Some(field) => (word(&field.name), Value::Secret(field.value.clone())),
        None => (Value::Nothing, Value::Nothing),
    };
    vec![
        setting("FromScope", word("InOrganization")),
        setting("FromMemberOf", members),
        setting("FromAddressMatchesPatterns", only),
        setting("RouteMessageOutboundConnector", Value::Reference(connector.0, connector.1)),
        setting("ExceptIfHeaderContainsMessageHeader", word(&connection.processed.name)),
        setting("ExceptIfHeaderContainsWords", Value::Secrets(vec![connection.processed.value.clone()])),
        setting("ExceptIfFromAddressMatchesPatterns", Value::List(vec!["<>".to_owned()])),
        setting("ExceptIfMessageSizeOver", Value::Size(connection.size_limit)),
        setting("ExceptIfMessageTypeMatches", word("Calendaring")),
        setting("SetHeaderName", name),
        setting("SetHeaderValue", value),
        setting("SenderAddressLocation", word("Envelope")),
        setting("StopRuleProcessing", Value::Flag(true)),
        setting("RuleErrorAction", word("Ignore")),
        setting("Mode", word("Enforce")),
    ]
}

/// A pattern that one address matches and no other.
fn exactly(address: &str) -> String {
    let mut pattern = "^".to_owned();
    for letter in address.chars() {
        if !letter.is_ascii_alphanumeric() && !matches!(letter, '@' | '_') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('$');
    pattern
}

/// The text in a comment by which we know an object.
pub(crate) fn marker(connection: &Connection) -> String {
    format!("[signet:{}]", connection.certificate_domain)
}

/// The comment of an object that is created.
pub(crate) fn comment(connection: &Connection) -> String {
    format!("Made by Signet, which adds signatures. Change it there, not here. {}", marker(connection))
}

/// An object's property as a text; empty when it has none.
pub(crate) fn text<'o>(object: &'o Object, property: &str) -> &'o str {
    object.get(property).and_then(Json::as_str).unwrap_or_default()
}

/// By what a cmdlet finds exactly this object.
pub(crate) fn identity(object: &Object) -> &str {
    let id = text(object, "Guid");
    if id.is_empty() { text(object, "Identity") } else { id }
}

fn key(kind: Kind) -> String {
    format!("mail-flow/{}", kind.step())
}

/// Keeps an object's id.
pub(crate) fn remember(around: &dyn Surroundings, kind: Kind, object: &Object) -> Result<(), Problem> {
    let id = identity(object);
    if around.read(&key(kind)).as_deref() == Some(id.as_bytes()) { Ok(()) } else { keep(around, &key(kind), id) }
}

/// Writes to the tenant's state.
pub(crate) fn keep(around: &dyn Surroundings, key: &str, value: &str) -> Result<(), Problem> {
    around.write(key, value.as_bytes()).map_err(|why| Problem {
        cause: Cause::Other("state".to_owned()),
        detail: format!("What was done could not be kept: {why}"),
        next_step: "Report this.".to_owned(),
        wait: None,
    })
}

/// Forgets an object's id.
pub(crate) fn forget(around: &dyn Surroundings, kind: Kind) {
    around.remove(&key(kind));
}

/// All objects of a kind.
pub(crate) fn all(around: &dyn Surroundings, connection: &Connection, kind: Kind) -> Result<Vec<Object>, Failure> {
    let parameters = Object::from_iter([("ResultSize".to_owned(), json!("Unlimited"))]);
    Ok(invoke(around, connection, &format!("Get-{}", kind.noun()), parameters)?.objects)
}

/// Ours among them; a foreign object of our name is a conflict.
pub(crate) fn ours<'o>(
    around: &dyn Surroundings,
    connection: &Connection,
    kind: Kind,
    objects: &'o [Object],
) -> Result<Option<&'o Object>, Problem> {
    let kept = around.read(&key(kind)).and_then(|id| String::from_utf8(id).ok()).unwrap_or_default();
    if let Some(object) = objects.iter().find(|object| !kept.is_empty() && identity(object).eq_ignore_ascii_case(&kept)) {
        return Ok(Some(object));
    }
    let named: Vec<&Object> = objects.iter().filter(|object| text(object, "Name").eq_ignore_ascii_case(kind.name())).collect();
    match named.iter().find(|object| text(object, kind.comment()).contains(&marker(connection))) {
        Some(object) => Ok(Some(object)),
        None if named.is_empty() => Ok(None),
        None => Err(conflict(kind)),
    }
}

pub(crate) fn conflict(kind: Kind) -> Problem {
    Problem {
        cause: Cause::Conflict,
        detail: format!(
            "There is a {} named {:?} in Exchange Online that was not made for this connection. It was left as it is.",
            kind.word(),
            kind.name()
        ),
        next_step: format!("Rename or remove that {}, then go on.", kind.word()),
        wait: None,
    }
}

/// How an object differs, as settings that would change it. A comment that lost our marker gets it back behind what it says.
pub(crate) fn changes(connection: &Connection, kind: Kind, object: &Object, wanted: Vec<Setting>) -> Vec<Setting> {
    let absent = Json::Null;
    let mut changes: Vec<Setting> = wanted;
    changes.retain(|wanted| !wanted.value.is(object.get(wanted.name).unwrap_or(&absent)));
    // A field's name and its value are one condition or action to Exchange: one without the other is refused.
    for (one, other) in PAIRS {
        let changed = |name| changes.iter().any(|setting| setting.name == name);
        if changed(*one) != changed(*other) {
            let missing = if changed(*one) { *other } else { *one };
            let same = object.get(missing).cloned().unwrap_or_default();
            changes.push(setting(missing, again(missing, &same)));
        }
    }
    let remark = text(object, kind.comment());
    if !remark.contains(&marker(connection)) {
        let remark = if remark.is_empty() { comment(connection) } else { format!("{remark} {}", marker(connection)) };
        changes.push(setting(kind.comment(), Value::Word(remark)));
    }
    changes
}

/// Settings that go together.
const PAIRS: &[(&str, &str)] =
    &[("ExceptIfHeaderContainsMessageHeader", "ExceptIfHeaderContainsWords"), ("SetHeaderName", "SetHeaderValue")];

/// The value that is there, sent once more.
fn again(name: &str, found: &Json) -> Value {
    match (name, found.as_str()) {
        ("ExceptIfHeaderContainsWords", _) => Value::Secrets(texts(found)),
        (_, None) => Value::Nothing,
        ("SetHeaderValue", Some(text)) => Value::Secret(text.to_owned()),
        (_, Some(text)) => word(text),
    }
}

/// Changes for people.
pub(crate) fn differences(object: Option<&Object>, changes: &[Setting]) -> Vec<Difference> {
    let difference = |setting: &Setting| {
        let before = object.and_then(|object| object.get(setting.name)).map(shown).unwrap_or_default();
        let before = if SECRET.contains(&setting.name) && !before.is_empty() { HIDDEN.to_owned() } else { before };
        Difference { property: setting.name.to_owned(), before, after: setting.value.shown() }
    };
    changes.iter().filter(|setting| object.is_some() || !matches!(setting.value, Value::Nothing | Value::Empty)).map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_compared_as_exchange_writes_them() {
        let list = |words: &[&str]| Value::List(words.iter().map(|&word| word.to_owned()).collect());
        for (value, found, same) in [
            (list(&["*"]), json!(["smtp:*;1"]), true),
            (list(&["*"]), json!("*"), true),
            (list(&["*"]), json!(["smtp:contoso.example;1"]), false),
            (list(&["b", "A"]), json!(["a", "B"]), true),
            (list(&["a"]), json!(["a", "b"]), false),
            (Value::Size(23_592_960), json!("22.5 MB (23,592,960 bytes)"), true),
            (Value::Size(36_700_160), json!("35MB"), true),
            (Value::Size(10), json!("10B"), true),
            (Value::Size(10), json!("ten"), false),
            (Value::Secret("Ab".to_owned()), json!("ab"), false),
            (word("OnPremises"), json!("onpremises"), true),
            (Value::Flag(true), json!(null), false),
            (Value::Nothing, json!(""), true),
            (Value::Empty, json!(["x"]), false),
            (Value::Reference("n".to_owned(), "id".to_owned()), json!("ID"), true),
            (Value::Reference("n".to_owned(), String::new()), json!(""), false),
        ] {
            assert_eq!(value.is(&found), same, "{value:?} {found}");
        }
    }

    #[test]
    fn a_pattern_of_one_address_holds_every_special_letter() {
        assert_eq!(exactly("a.b+c@x-y.example"), r"^a\.b\+c@x\-y\.example$");
    }
}
