//! One organisation: people, groups, roles, domains, consents, and the log of changes that delta queries read.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::exchange::Exchange;
use crate::random::Id;

/// Template of the role that may do everything.
pub const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";
/// Template of the role that may configure Exchange Online.
pub const EXCHANGE_ADMINISTRATOR: &str = "29232cdf-9323-42fd-ade2-1d097af3e4de";

/// Property values of an object; an absent one is null.
#[derive(Debug, Clone, Default)]
pub struct Properties(Vec<(Cow<'static, str>, Value)>);

impl Properties {
    /// The value; none when null.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value)
    }

    /// The value as text; empty when it is none.
    pub fn text(&self, name: &str) -> &str {
        self.value(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the value is `true`.
    pub fn flag(&self, name: &str) -> bool {
        self.value(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// The texts of a list.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.value(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Sets a value; null removes it.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        let name = name.into();
        self.0.retain(|(given, _)| *given != name);
        if !value.is_null() {
            self.0.push((name, value));
        }
    }

    /// All that is set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Gives back unused memory; a large directory is made of many of these.
    pub fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}

impl<const N: usize> From<[(&'static str, Value); N]> for Properties {
    fn from(pairs: [(&'static str, Value); N]) -> Self {
        let mut properties = Self::default();
        for (name, value) in pairs {
            properties.set(name, value);
        }
        properties
    }
}

/// Whether an object is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It is.
    Live,
    /// In the recycle bin.
    SoftDeleted,
    /// For good not.
    Deleted,
}

/// What kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A person, shared mailbox, guest or room.
    User,
    /// A group.
    Group,
}

/// A user or a group.
#[derive(Debug, Clone)]
pub struct Object {
    /// For ever.
    pub id: Id,
    /// What it is.
    pub kind: Kind,
    /// Whether it is there.
    pub life: Life,
    /// Its properties, but for the id.
    pub properties: Properties,
    /// A user's manager.
    pub manager: Option<Id>,
    /// A group's members.
    pub members: Vec<Id>,
    /// A user's password; without one nobody can sign in.
    pub password: Option<String>,
    /// A user's picture: its tag and octets, a JPEG.
    pub photo: Option<(String, Vec<u8>)>,
}

impl Object {
    /// An object with these properties.
    pub fn new(id: Id, kind: Kind, properties: Properties) -> Self {
        Self { id, kind, life: Life::Live, properties, manager: None, members: Vec::new(), password: None, photo: None }
    }

    /// `#microsoft.graph.user` or `#microsoft.graph.group`.
    pub fn odata_type(&self) -> &'static str {
        match self.kind {
            Kind::User => "#microsoft.graph.user",
            Kind::Group => "#microsoft.graph.group",
        }
    }

    /// Whether it is a mail-enabled security group, which alone can be chosen.
    pub fn is_mail_security_group(&self) -> bool {
        let flag = |name| self.properties.flag(name);
        self.kind == Kind::Group
            && flag("mailEnabled")
            && flag("securityEnabled")
            && !self.properties.texts("groupTypes").any(|t| t == "Unified")
    }
}

/// What happened to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It is new, or was restored.
    Created,
    /// Properties changed.
    Properties(Vec<String>),
    /// The manager changed; who it was.
    Manager(Option<Id>),
    /// Members came.
    Added(Vec<Id>),
    /// Members went.
    Removed(Vec<Id>),
    /// It was removed, or removed for good.
    Gone,
}

/// An entry of the change log.
#[derive(Debug, Clone)]
pub struct Change {
    /// The object.
    pub object: Id,
    /// Its kind.
    pub kind: Kind,
    /// What happened.
    pub what: What,
}

/// How a role is assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// For good.
    Assigned,
    /// Activated for a time, until these milliseconds.
    Activated(i64),
}

/// A role assignment.
#[derive(Debug, Clone)]
pub struct RoleAssignment {
    /// Its id.
    pub id: String,
    /// The role's template id.
    pub role: String,
    /// A user or a group.
    pub principal: Id,
    /// How.
    pub assignment: Assignment,
}

/// A domain of the organisation.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its name, lower case.
    pub name: String,
    /// The `*.onmicrosoft.com` one.
    pub initial: bool,
    /// The default for new people.
    pub default: bool,
    /// The TXT record that proves it.
    pub proof: String,
    /// Since when it is verified, in milliseconds.
    pub verified: Option<i64>,
}

/// What an organisation has granted to an application.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    /// Application permissions, as `resource name/permission`.
    pub roles: BTreeSet<String>,
    /// Delegated permissions for everybody.
    pub scopes: BTreeSet<String>,
    /// Delegated permissions that one person gave.
    pub personal: HashMap<Id, BTreeSet<String>>,
    /// From when on the token endpoint knows, in milliseconds.
    pub effective: i64,
    /// When it last grew, in milliseconds.
    pub granted: i64,
}

/// An organisation.
#[derive(Debug)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its domains.
    pub domains: Vec<Domain>,
    /// Users and groups in the order of creation; what is gone stays as a tombstone.
    pub objects: Vec<Object>,
    index: HashMap<Id, usize>,
    names: HashMap<String, usize>,
    /// What happened since the tenant was made.
    pub changes: Vec<Change>,
    /// Who has which role.
    pub roles: Vec<RoleAssignment>,
    /// Grants by client id.
    pub grants: HashMap<String, Grant>,
    /// Whether the organisation has the licence for role schedules.
    pub premium: bool,
    /// Its mail flow settings.
    pub exchange: Exchange,
}

impl Tenant {
    /// An organisation with its initial domain.
    pub fn new(id: &str, name: &str, initial: &str) -> Self {
        let domain = Domain { name: initial.to_owned(), initial: true, default: false, proof: String::new(), verified: Some(0) };
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            domains: vec![domain],
            objects: Vec::new(),
            index: HashMap::new(),
            names: HashMap::new(),
            changes: Vec::new(),
            roles: Vec::new(),
            grants: HashMap::new(),
            premium: true,
            exchange: Exchange::default(),
        }
    }

    /// The initial domain.
    pub fn initial(&self) -> &str {
        self.domains.iter().find(|domain| domain.initial).map_or("", |domain| &domain.name)
    }

    /// Whether `name` is the id or a domain of this organisation.
    pub fn is(&self, name: &str) -> bool {
        self.id.eq_ignore_ascii_case(name)
            || self.domains.iter().any(|domain| domain.verified.is_some() && domain.name.eq_ignore_ascii_case(name))
    }

    /// Adds an object without a log entry: what was there from the beginning.
    pub fn seed(&mut self, object: Object) -> Id {
        let (id, slot) = (object.id, self.objects.len());
        self.index.insert(id, slot);
        for name in ["userPrincipalName", "mail"] {
            let value = object.properties.text(name).to_lowercase();
            if !value.is_empty() {
                self.names.entry(value).or_insert(slot);
            }
        }
        self.objects.push(object);
        id
    }

    /// Adds an object, as an administrator would.
    pub fn add(&mut self, object: Object) -> Id {
        let kind = object.kind;
        let members = object.members.clone();
        let id = self.seed(object);
        self.log(id, kind, What::Created);
        if !members.is_empty() {
            self.log(id, kind, What::Added(members));
        }
        id
    }

    fn log(&mut self, object: Id, kind: Kind, what: What) {
        self.changes.push(Change { object, kind, what });
    }

    /// The object of that id, gone ones too.
    pub fn any(&self, id: Id) -> Option<&Object> {
        self.index.get(&id).map(|&slot| &self.objects[slot])
    }

    /// The object of that id, to change without a log entry.
    pub fn any_mut(&mut self, id: Id) -> Option<&mut Object> {
        self.index.get(&id).map(|&slot| &mut self.objects[slot])
    }

    /// The live object of that id and kind.
    pub fn object(&self, id: Id, kind: Kind) -> Option<&Object> {
        self.any(id).filter(|object| object.life == Life::Live && object.kind == kind)
    }

    /// The live user or group of that id, principal name or address.
    pub fn find(&self, name: &str, kind: Kind) -> Option<&Object> {
        let by_id = Id::parse(name).and_then(|id| self.object(id, kind));
        let fits = |object: &&Object| object.life == Life::Live && object.kind == kind;
        by_id.or_else(|| self.names.get(&name.to_lowercase()).map(|&slot| &self.objects[slot]).filter(fits))
    }

    /// Live objects of a kind.
    pub fn live(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(move |object| object.kind == kind && object.life == Life::Live)
    }

    /// Changes properties; `manager` takes an id or null. False when there is no such object.
    pub fn change(&mut self, id: Id, values: &Map<String, Value>) -> bool {
        let Some(&slot) = self.index.get(&id) else { return false };
        let object = &mut self.objects[slot];
        let former = object.manager;
        for (name, value) in values {
            if name == "manager" {
                object.manager = value.as_str().and_then(Id::parse);
            } else {
                object.properties.set(name.clone(), value.clone());
            }
        }
        let kind = object.kind;
        for name in ["userPrincipalName", "mail"] {
            if let Some(value) = values.get(name).and_then(Value::as_str) {
                self.names.insert(value.to_lowercase(), slot);
            }
        }
        if values.contains_key("manager") {
            self.log(id, kind, What::Manager(former));
        }
        let names: Vec<String> = values.keys().filter(|name| *name != "manager").cloned().collect();
        if !names.is_empty() {
            self.log(id, kind, What::Properties(names));
        }
        true
    }

    /// Removes an object, for good or so that it can be restored; memberships go with it.
    pub fn remove(&mut self, id: Id, for_good: bool) -> bool {
        let Some(object) = self.any_mut(id).filter(|object| object.life != Life::Deleted) else { return false };
        object.life = if for_good { Life::Deleted } else { Life::SoftDeleted };
        let kind = object.kind;
        self.log(id, kind, What::Gone);
        let holders: Vec<Id> = self.live(Kind::Group).filter(|group| group.members.contains(&id)).map(|group| group.id).collect();
        for holder in holders {
            self.change_members(holder, &[], &[id]);
        }
        self.roles.retain(|role| role.principal != id);
        true
    }

    /// Takes an object out of the recycle bin.
    pub fn restore(&mut self, id: Id) -> bool {
        let Some(object) = self.any_mut(id).filter(|object| object.life == Life::SoftDeleted) else { return false };
        object.life = Life::Live;
        let kind = object.kind;
        self.log(id, kind, What::Created);
        true
    }

    /// Adds and removes members of a group. False when there is no such group.
    pub fn change_members(&mut self, group: Id, add: &[Id], remove: &[Id]) -> bool {
        let Some(object) = self.any_mut(group).filter(|object| object.kind == Kind::Group) else { return false };
        let present: HashSet<Id> = object.members.iter().copied().collect();
        let added: Vec<Id> = add.iter().copied().filter(|id| !present.contains(id)).collect();
        let removed: Vec<Id> = remove.iter().copied().filter(|id| present.contains(id)).collect();
        object.members.retain(|id| !removed.contains(id));
        object.members.extend(&added);
        for (what, ids) in [(What::Added(added.clone()), &added), (What::Removed(removed.clone()), &removed)] {
            if !ids.is_empty() {
                self.log(group, Kind::Group, what);
            }
        }
        true
    }

    /// All members of a group, through nested groups too, without the group itself, each once.
    pub fn transitive_members(&self, group: Id) -> Vec<&Object> {
        let (mut seen, mut found, mut open) = (HashSet::from([group]), Vec::new(), vec![group]);
        while let Some(id) = open.pop() {
            let Some(object) = self.object(id, Kind::Group) else { continue };
            for member in &object.members {
                if let Some(member) = self.any(*member).filter(|member| member.life == Life::Live && seen.insert(member.id)) {
                    found.push(member);
                    open.push(member.id);
                }
            }
        }
        found
    }

    /// The groups that hold the object, directly or through nested groups.
    pub fn memberships(&self, id: Id, transitive: bool) -> Vec<&Object> {
        let (mut seen, mut found, mut open) = (HashSet::new(), Vec::new(), vec![id]);
        while let Some(id) = open.pop() {
            for group in self.live(Kind::Group).filter(|group| group.members.contains(&id)) {
                if seen.insert(group.id) {
                    found.push(group);
                    if transitive {
                        open.push(group.id);
                    }
                }
            }
        }
        found
    }

    /// Templates of the roles that a person holds at that time, however assigned.
    pub fn roles_of(&self, person: Id, now: i64) -> BTreeSet<&str> {
        let groups: HashSet<Id> = self.memberships(person, true).iter().map(|group| group.id).collect();
        let holds = |role: &&RoleAssignment| {
            let active = !matches!(role.assignment, Assignment::Activated(end) if end <= now);
            active && (role.principal == person || groups.contains(&role.principal))
        };
        self.roles.iter().filter(holds).map(|role| role.role.as_str()).collect()
    }

    /// What is configured, for tests and the curious.
    pub fn describe(&self) -> Value {
        let domains: Vec<Value> =
            self.domains.iter().map(|d| json!({"name": d.name, "verified": d.verified.is_some(), "proof": d.proof})).collect();
        json!({
            "id": self.id, "name": self.name, "domains": domains,
            "users": self.live(Kind::User).count(), "groups": self.live(Kind::Group).count(), "changes": self.changes.len(),
            "exchange": self.exchange.describe(),
        })
    }
}
