//! One user or group of Graph, as people and templates know it.
//!
//! **Who is a person.** A user with an SMTP address: in `proxyAddresses`, or in `mail`, which directories without Exchange fill in. A shared
//! mailbox is such a user (one who cannot sign in) and is not told apart. Not a person is who comes from another tenant: such an account is
//! called `NAME#EXT#@...`, and its mailbox, from which alone it can send, is elsewhere. The word Guest in `userType` does not
//! matter: a guest without `#EXT#` is one's own account, and may have a mailbox here.
//!
//! **Addresses.** The one marked `SMTP:` first, then `mail`, then those marked `smtp:`; compared without regard to case. The
//! `userPrincipalName` is no address: nobody can send from it unless it is listed, and it may be listed for somebody else.
//!
//! **Wrong types** make an object unreadable. It is left out with the name of the property, never with its value.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;
use signet_plugin_sdk::control::{Change, Entry, Problem, Request};

use crate::graph;

/// Properties of a user that are attributes as they are. Private ones (other addresses, dates) are not asked for.
const PERSON_TEXTS: [&str; 21] = [
    "displayName",
    "givenName",
    "surname",
    "jobTitle",
    "department",
    "companyName",
    "officeLocation",
    "mobilePhone",
    "faxNumber",
    "streetAddress",
    "city",
    "state",
    "postalCode",
    "country",
    "usageLocation",
    "preferredLanguage",
    "employeeId",
    "employeeType",
    "mail",
    "mailNickname",
    "userPrincipalName",
];

/// Properties of a user that become attributes, addresses or the manager.
const PERSON_OTHERS: &str = "id,businessPhones,employeeOrgData,onPremisesExtensionAttributes,proxyAddresses";

/// Properties of a group that are attributes as they are.
const GROUP_TEXTS: [&str; 3] = ["displayName", "mail", "mailNickname"];

/// What is asked of a group in a delta query.
pub(super) const GROUP_SELECT: &str = "displayName,mail,proxyAddresses,mailNickname,groupTypes,mailEnabled,securityEnabled,members";

/// Extension attributes that Exchange has.
const EXTENSION_ATTRIBUTES: std::ops::RangeInclusive<u32> = 1..=15;

/// Octets of an id. Those of Graph have 36.
const ID_LIMIT: usize = 128;

/// What is asked of a user.
pub(super) fn person_select() -> String {
    format!("{PERSON_OTHERS},{}", PERSON_TEXTS.join(","))
}

/// The property that has a wrong type.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong(pub(super) &'static str);

/// What a user is.
#[derive(Debug)]
pub(super) enum Read {
    /// Somebody.
    Person(Entry),
    /// Nobody here, or nobody any more: the id.
    Nobody(String),
    /// A part of somebody: the id, and the manager when that is given.
    Part(String, Option<String>),
}

/// An object's properties, unread.
pub(super) struct Object<'r>(BTreeMap<String, &'r RawValue>);

/// An object in a list of changes to a relation.
#[derive(Deserialize)]
pub(super) struct Reference {
    pub(super) id: String,
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
    #[serde(rename = "@removed")]
    removed: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct OrganisationData {
    division: Option<String>,
    #[serde(rename = "costCenter")]
    cost_centre: Option<String>,
}

impl<'r> Object<'r> {
    pub(super) fn open(raw: &'r RawValue) -> Result<Self, Wrong> {
        serde_json::from_str(raw.get()).map(Self).map_err(|_| Wrong("object"))
    }

    /// The value of a property; null and absent are the same.
    pub(super) fn value<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, Wrong> {
        let Some(raw) = self.0.get(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|_| Wrong(name))
    }

    pub(super) fn id(&self) -> Result<String, Wrong> {
        self.value("id")?.filter(|id: &String| valid(id)).ok_or(Wrong("id"))
    }

    /// Whether it is gone, for a time (`changed`) or for ever (`deleted`): it is not there now, and is told whole when it comes back.
    pub(super) fn removed(&self) -> Result<bool, Wrong> {
        Ok(self.value::<IgnoredAny>("@removed")?.is_some())
    }

    fn texts(&self, names: &[&'static str]) -> Result<Vec<(String, String)>, Wrong> {
        let mut attributes = Vec::with_capacity(names.len());
        for name in names {
            add(&mut attributes, name, self.value(name)?);
        }
        Ok(attributes)
    }

    fn addresses(&self) -> Result<Vec<String>, Wrong> {
        let listed: Vec<String> = self.value("proxyAddresses")?.unwrap_or_default();
        let mail: Option<String> = self.value("mail")?;
        let smtp = |primary: bool| {
            listed.iter().filter_map(move |entry| {
                let (scheme, address) = entry.split_once(':')?;
                (scheme.eq_ignore_ascii_case("smtp") && (scheme == "SMTP") == primary).then_some(address)
            })
        };
        let mut addresses: Vec<String> = Vec::new();
        for address in smtp(true).chain(mail.as_deref()).chain(smtp(false)) {
            let known = addresses.iter().any(|known| known.eq_ignore_ascii_case(address));
            if !known && mailbox(address) {
                addresses.push(address.to_owned());
            }
        }
        Ok(addresses)
    }
}

/// Reads a user. In a round that reads everything, somebody without a manager has none; in a later one the manager is as before.
pub(super) fn person(object: &Object<'_>, whole: bool) -> Result<Read, Wrong> {
    let id = object.id()?;
    if object.removed()? {
        return Ok(Read::Nobody(id));
    }
    let manager = manager(object)?.or_else(|| whole.then(String::new));
    let Some(account) = object.value::<String>("userPrincipalName")? else { return Ok(Read::Part(id, manager)) };
    let addresses = object.addresses()?;
    if addresses.is_empty() || account.to_ascii_uppercase().contains("#EXT#") {
        return Ok(Read::Nobody(id));
    }
    let mut attributes = object.texts(&PERSON_TEXTS)?;
    let phones: Vec<String> = object.value("businessPhones")?.unwrap_or_default();
    let phones: Vec<&str> = phones.iter().map(|phone| phone.trim()).filter(|phone| !phone.is_empty()).collect();
    add(&mut attributes, "businessPhone", phones.first().map(|phone| (*phone).to_owned()));
    add(&mut attributes, "businessPhones", Some(phones.join(", ")));
    if let Some(data) = object.value::<OrganisationData>("employeeOrgData")? {
        add(&mut attributes, "division", data.division);
        add(&mut attributes, "costCenter", data.cost_centre);
    }
    let extensions: Option<BTreeMap<String, Option<String>>> = object.value("onPremisesExtensionAttributes")?;
    let mut extensions = extensions.unwrap_or_default();
    for number in EXTENSION_ATTRIBUTES {
        let name = format!("extensionAttribute{number}");
        let value = extensions.remove(&name).flatten();
        add(&mut attributes, &name, value);
    }
    Ok(Read::Person(Entry { id, addresses, attributes, manager }))
}

/// The manager as a delta query tells of it: none when it does not, empty when there is none any more.
fn manager(object: &Object<'_>) -> Result<Option<String>, Wrong> {
    const NAME: &str = "manager@delta";
    let Some(references) = object.value::<Vec<Reference>>(NAME)? else { return Ok(None) };
    // Whoever was manager before and who is now may come in either order.
    let now = references.iter().rev().find(|reference| reference.removed.is_none());
    match now {
        Some(reference) if valid(&reference.id) => Ok(Some(reference.id.clone())),
        Some(_) => Err(Wrong(NAME)),
        None => Ok((!references.is_empty()).then(String::new)),
    }
}

/// Reads a group of a delta query: itself, and changes to its members. A large group comes in several pieces, which add up; one without a
/// name (which no group is) tells of members only.
pub(super) fn group(object: &Object<'_>, tally: &mut Tally) -> Result<Vec<Change>, Wrong> {
    let id = object.id()?;
    if object.removed()? {
        return Ok(vec![Change::GroupRemoved(id)]);
    }
    let mut changes = Vec::new();
    if object.value::<String>("displayName")?.is_some() {
        changes.push(Change::Group(group_entry(object, &id)?));
    }
    let members: Vec<Box<RawValue>> = object.value("members@delta")?.unwrap_or_default();
    tally.expect(members.len());
    for member in &members {
        match serde_json::from_str::<Reference>(member.get()) {
            Ok(member) if valid(&member.id) => {
                // Devices, contacts and applications are members too, and send no mail.
                let counts = member.kind.as_deref().is_none_or(|kind| matches!(kind, "#microsoft.graph.user" | "#microsoft.graph.group"));
                let pair = (id.clone(), member.id);
                let change = if member.removed.is_some() { Change::MemberRemoved(pair) } else { Change::Member(pair) };
                changes.extend(counts.then_some(change));
            }
            _ => tally.leave_out(&Wrong("members@delta")),
        }
    }
    Ok(changes)
}

/// A group's name, addresses and kind.
pub(super) fn group_entry(object: &Object<'_>, id: &str) -> Result<Entry, Wrong> {
    let mut attributes = object.texts(&GROUP_TEXTS)?;
    for name in ["mailEnabled", "securityEnabled"] {
        add(&mut attributes, name, object.value::<bool>(name)?.map(|value| value.to_string()));
    }
    add(&mut attributes, "groupTypes", object.value::<Vec<String>>("groupTypes")?.map(|types| types.join(", ")));
    Ok(Entry { id: id.to_owned(), addresses: object.addresses()?, attributes, manager: None })
}

fn add(attributes: &mut Vec<(String, String)>, name: &str, value: Option<String>) {
    if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
        attributes.push((name.to_owned(), value));
    }
}

/// Whether it can be an id: it becomes a part of paths and keys.
pub(super) fn valid(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_LIMIT && id.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
}

/// Whether it looks like an address; the host reads it more closely.
fn mailbox(address: &str) -> bool {
    let parts = address.rsplit_once('@');
    let plain = !address.chars().any(|character| character.is_whitespace() || character.is_control());
    plain && parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

/// Objects that were left out. A few wrong ones are theirs; many mean that the service speaks another language than is understood here.
#[derive(Debug, Default)]
pub(super) struct Tally {
    objects: usize,
    wrong: BTreeMap<&'static str, usize>,
}

/// One in so many objects of a page may be unreadable, and one in any case.
const TOLERATED: usize = 100;

impl Tally {
    /// So many objects are there to be read.
    pub(super) fn expect(&mut self, objects: usize) {
        self.objects += objects;
    }

    pub(super) fn leave_out(&mut self, wrong: &Wrong) {
        *self.wrong.entry(wrong.0).or_default() += 1;
    }

    /// A note about what was left out, or the problem that it is.
    pub(super) fn note(&self, request: &Request) -> Result<Option<String>, Problem> {
        let left_out: usize = self.wrong.values().sum();
        if left_out == 0 {
            return Ok(None);
        }
        let properties: Vec<String> = self.wrong.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        let what = format!("{left_out} of {} objects, unreadable because of {}", self.objects, properties.join(", "));
        if left_out > (self.objects / TOLERATED).max(1) {
            return Err(graph::protocol(request, &format!("has {what}")));
        }
        Ok(Some(format!("Left out: {what}.")))
    }
}
