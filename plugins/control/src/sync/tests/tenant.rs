//! A small tenant that answers as Graph documents it: delta queries with tokens that expire, pages in any order with duplicates, groups in
//! pieces, batches. It shares no code with what is tested.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use signet_plugin_sdk::control::{HttpError, Request, Response};

use super::{BASE, answer, failure};

#[derive(Clone, Debug, Default)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) mailbox: bool,
    pub(super) manager: Option<String>,
    /// When it was changed last, and when anything but the manager was.
    changed: u64,
    itself: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) members: BTreeSet<String>,
    changed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tenant {
    pub(super) users: BTreeMap<String, User>,
    pub(super) groups: BTreeMap<String, Group>,
    /// When users and groups were deleted, and memberships changed.
    gone: BTreeMap<String, u64>,
    pairs: BTreeMap<(String, String), u64>,
    time: u64,
    /// Pages that were cut and not asked for yet, by their token.
    cut: BTreeMap<u64, Value>,
    /// Tokens below are forgotten.
    oldest: u64,
    random: u64,
    /// How the next requests fail.
    pub(super) failing: Vec<Result<Response, HttpError>>,
}

impl Tenant {
    pub(super) fn new(seed: u64) -> RefCell<Self> {
        RefCell::new(Self { random: seed, ..Self::default() })
    }

    fn tick(&mut self) -> u64 {
        self.time += 1;
        self.time
    }

    /// SplitMix64; `below` may be 1.
    fn random(&mut self, below: usize) -> usize {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % below as u64) as usize
    }

    pub(super) fn put_user(&mut self, id: &str, name: &str, mailbox: bool) {
        let time = self.tick();
        self.gone.remove(id);
        let user = self.users.entry(id.to_owned()).or_default();
        *user = User { name: name.to_owned(), mailbox, manager: user.manager.clone(), changed: time, itself: time };
    }

    pub(super) fn set_manager(&mut self, id: &str, manager: Option<String>) {
        let time = self.tick();
        if let Some(user) = self.users.get_mut(id) {
            user.manager = manager;
            user.changed = time;
        }
    }

    pub(super) fn put_group(&mut self, id: &str, name: &str) {
        let time = self.tick();
        self.gone.remove(id);
        let group = self.groups.entry(id.to_owned()).or_default();
        (group.name, group.changed) = (name.to_owned(), time);
    }

    pub(super) fn drop(&mut self, id: &str) {
        // A group that comes back has lost its members.
        let members = self.groups.get(id).map(|group| group.members.clone()).unwrap_or_default();
        members.iter().for_each(|member| self.set_member(id, member, false));
        let known = self.users.remove(id).is_some() | self.groups.remove(id).is_some();
        if known {
            let time = self.tick();
            self.gone.insert(id.to_owned(), time);
            let groups: Vec<String> = self.groups.keys().cloned().collect();
            groups.iter().for_each(|group| self.set_member(group, id, false));
            let managed: Vec<String> =
                self.users.iter().filter(|(_, user)| user.manager.as_deref() == Some(id)).map(|(id, _)| id.clone()).collect();
            managed.iter().for_each(|managed| self.set_manager(managed, None));
        }
    }

    pub(super) fn set_member(&mut self, group: &str, member: &str, there: bool) {
        let exists = self.users.contains_key(member) || self.groups.contains_key(member);
        let Some(entry) = self.groups.get_mut(group) else { return };
        let changed =
            if there { exists && group != member && entry.members.insert(member.to_owned()) } else { entry.members.remove(member) };
        if changed {
            let time = self.tick();
            self.pairs.insert((group.to_owned(), member.to_owned()), time);
        }
    }

    /// The service forgets all tokens.
    pub(super) fn expire(&mut self) {
        self.oldest = self.tick();
        self.cut.clear();
    }

    /// The users in a group, also through groups.
    pub(super) fn inside(&self, group: &str) -> BTreeSet<String> {
        let (mut seen, mut open) = (BTreeSet::from([group.to_owned()]), vec![group.to_owned()]);
        let mut users = BTreeSet::new();
        while let Some(next) = open.pop() {
            for member in self.groups.get(&next).map(|group| group.members.clone()).unwrap_or_default() {
                if self.users.contains_key(&member) {
                    users.insert(member);
                } else if seen.insert(member.clone()) {
                    open.push(member);
                }
            }
        }
        users
    }

    pub(super) fn reply(&mut self, request: &Request) -> Result<Response, HttpError> {
        if let Some(failing) = self.failing.pop() {
            return failing;
        }
        let path = request.url.strip_prefix(BASE).expect("another place is asked");
        if path == "/$batch" {
            return self.batch(request);
        }
        self.get(path)
    }

    fn batch(&mut self, request: &Request) -> Result<Response, HttpError> {
        let body: Value = serde_json::from_slice(request.body.as_deref().unwrap_or_default()).expect("no JSON");
        let requests = body["requests"].as_array().expect("no list").clone();
        assert!((1..=20).contains(&requests.len()), "a batch of {}", requests.len());
        let mut responses: Vec<Value> = Vec::new();
        for inner in requests {
            let response = self.get(inner["url"].as_str().expect("no address")).expect("inner requests are answered");
            let body: Value = serde_json::from_slice(&response.body).expect("no JSON");
            let at = self.random(responses.len() + 1);
            responses.insert(at, json!({ "id": inner["id"], "status": response.status, "body": body }));
        }
        answer(200, &json!({ "responses": responses }))
    }

    fn get(&mut self, path: &str) -> Result<Response, HttpError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if let Some(token) = query.strip_prefix("$skiptoken=") {
            let page = self.cut.get(&token.parse().expect("a token of ours")).cloned();
            return page.map_or_else(|| failure(400, "Directory_ExpiredPageToken"), |page| answer(200, &page));
        }
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match parts.as_slice() {
            ["users" | "groups", "delta"] => {
                let since = query.strip_prefix("$deltatoken=").map(|token| token.parse::<u64>().expect("a token of ours"));
                if since.is_some_and(|since| since < self.oldest) {
                    return if self.random(2) == 0 { failure(410, "resyncRequired") } else { failure(404, "syncStateNotFound") };
                }
                let objects = if parts[0] == "users" { self.changed_users(since) } else { self.changed_groups(since) };
                let link = format!("{BASE}{path}?$deltatoken={}", self.time);
                answer(200, &self.pages(path, objects, Some(link)))
            }
            ["users", "$count"] => answer(200, &json!(self.users.len())),
            ["groups", "$count"] => answer(200, &json!(self.groups.len())),
            ["users", id] => self.users.get(*id).map_or_else(missing, |user| answer(200, &properties(id, user))),
            ["users", id, "manager"] => {
                let manager = self.users.get(*id).and_then(|user| user.manager.clone());
                manager.map_or_else(missing, |manager| answer(200, &json!({ "id": manager })))
            }
            ["users", id, "transitiveMemberOf", _] => {
                if !self.users.contains_key(*id) {
                    return missing();
                }
                let ids: Vec<String> = self.groups.keys().filter(|group| self.inside(group).contains(*id)).cloned().collect();
                let groups = ids.iter().map(|id| json!({ "id": id, "displayName": self.groups[id].name })).collect();
                answer(200, &self.pages(path, groups, None))
            }
            ["groups", id] => self.groups.get(*id).map_or_else(missing, |group| {
                answer(200, &json!({ "id": id, "displayName": group.name, "mailEnabled": true, "securityEnabled": true, "groupTypes": [] }))
            }),
            ["groups", id, "transitiveMembers", _] => {
                let users: Vec<Value> = self.inside(id).iter().map(|id| properties(id, &self.users[id])).collect();
                let count = users.len();
                let mut page = self.pages(path, users, None);
                page["@odata.count"] = json!(count);
                answer(200, &page)
            }
            _ => panic!("no such path: {path}"),
        }
    }

    fn changed_users(&mut self, since: Option<u64>) -> Vec<Value> {
        let mut objects = Vec::new();
        for (id, user) in self.users.clone() {
            if since.is_some_and(|since| user.changed <= since) {
                continue;
            }
            // A change of the manager alone can come without anything else.
            let alone = since.is_some_and(|since| user.itself <= since) && self.random(2) == 0;
            let mut object = if alone { json!({ "id": id }) } else { properties(&id, &user) };
            match user.manager {
                Some(manager) => object["manager@delta"] = json!([{ "@odata.type": "#microsoft.graph.user", "id": manager }]),
                None if since.is_some() => object["manager@delta"] = json!([{ "id": "before", "@removed": { "reason": "deleted" } }]),
                None => {}
            }
            objects.push(object);
        }
        let gone = self.gone.iter().filter(|(id, at)| id.starts_with('u') && since.is_none_or(|since| **at > since));
        objects.extend(gone.map(|(id, at)| json!({ "id": id, "@removed": { "reason": if at % 2 == 0 { "changed" } else { "deleted" } } })));
        objects
    }

    fn changed_groups(&mut self, since: Option<u64>) -> Vec<Value> {
        let mut objects = Vec::new();
        for (id, group) in self.groups.clone() {
            let since = since.unwrap_or(0);
            let mut members: Vec<Value> = Vec::new();
            for ((of, member), at) in &self.pairs {
                if *of == id && *at > since {
                    let kind = if member.starts_with('u') { "user" } else { "group" };
                    let mut reference = json!({ "@odata.type": format!("#microsoft.graph.{kind}"), "id": member });
                    if !group.members.contains(member) {
                        reference["@removed"] = json!({ "reason": "deleted" });
                    }
                    members.push(reference);
                }
            }
            if members.is_empty() && group.changed <= since {
                continue;
            }
            let size = 1 + self.random(3);
            let mut pieces: Vec<&[Value]> = members.chunks(size).collect();
            pieces.resize(pieces.len().max(1), &[]);
            for piece in pieces {
                let mut object = json!({ "id": id, "displayName": group.name, "mailEnabled": true, "securityEnabled": true });
                if !piece.is_empty() {
                    object["members@delta"] = json!(piece);
                }
                objects.push(object);
            }
        }
        let gone = self.gone.iter().filter(|(id, at)| id.starts_with('g') && since.is_none_or(|since| **at > since));
        objects.extend(gone.map(|(id, _)| json!({ "id": id, "@removed": { "reason": "deleted" } })));
        objects
    }

    /// Shuffles and doubles some of the objects of a delta query, cuts them into pages, and gives the first.
    fn pages(&mut self, path: &str, mut objects: Vec<Value>, delta: Option<String>) -> Value {
        if delta.is_some() {
            for at in 0..objects.len() {
                if self.random(5) == 0 {
                    objects.push(objects[at].clone());
                }
            }
            for at in (1..objects.len()).rev() {
                let other = self.random(at + 1);
                objects.swap(at, other);
            }
        }
        let mut pages: Vec<Vec<Value>> = vec![Vec::new()];
        for object in objects {
            while self.random(4) == 0 {
                pages.push(Vec::new());
            }
            pages.last_mut().expect("there is one").push(object);
        }
        let mut following: Option<u64> = None;
        let mut first = Value::Null;
        for objects in pages.into_iter().rev() {
            let mut page = Map::from_iter([("value".to_owned(), Value::Array(objects))]);
            match (following, &delta) {
                (Some(token), _) => page.insert("@odata.nextLink".to_owned(), json!(format!("{BASE}{path}?$skiptoken={token}"))),
                (None, Some(link)) => page.insert("@odata.deltaLink".to_owned(), json!(link)),
                (None, None) => None,
            };
            first = Value::Object(page);
            // Tokens of pages do not count as changes.
            let token = 1_000_000_000 + self.random(usize::MAX) as u64 / 2;
            self.cut.insert(token, first.clone());
            following = Some(token);
        }
        first
    }
}

fn missing() -> Result<Response, HttpError> {
    failure(404, "Request_ResourceNotFound")
}

fn properties(id: &str, user: &User) -> Value {
    let mut object = json!({ "id": id, "displayName": user.name, "userPrincipalName": format!("{id}@contoso.example") });
    if user.mailbox {
        object["mail"] = json!(format!("{id}@contoso.example"));
        object["proxyAddresses"] = json!([format!("SMTP:{id}@contoso.example"), format!("smtp:{}@contoso.example", user.name)]);
    } else {
        object["mail"] = Value::Null;
    }
    object
}
