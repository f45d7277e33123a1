//! Whatever happens to a directory, and however it is told, a host that applies the changes ends with that directory.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use signet_plugin_sdk::control::{Cause, Change, Connection, Entry, HttpError, Page, Synchronisation};

use super::tenant::Tenant;
use super::{Service, answer, connection, failure};
use crate::sync::page;

/// Group and member.
type Pairs = BTreeSet<(String, String)>;

/// People (id, name, manager), groups, and who is in them.
type Known = (Vec<(String, String, String)>, Vec<String>, Pairs);

/// A host as the contract wants it: it marks what a whole round names, and sweeps the rest when the round is complete.
#[derive(Default)]
struct Host {
    people: BTreeMap<String, Entry>,
    groups: BTreeMap<String, Entry>,
    members: Pairs,
    marked: Option<(BTreeSet<String>, Pairs)>,
    cursor: Option<Vec<u8>>,
}

impl Host {
    fn apply(&mut self, page: &Page) {
        if page.restarted {
            self.marked = Some(Default::default());
        }
        for change in &page.changes {
            let mark = self.marked.as_mut();
            match change {
                Change::Person(entry) => {
                    let mut entry = entry.clone();
                    let known = self.people.get(&entry.id).and_then(|known| known.manager.clone());
                    entry.manager = entry.manager.or(known);
                    mark.map(|mark| mark.0.insert(entry.id.clone()));
                    self.people.insert(entry.id.clone(), entry);
                }
                Change::PersonRemoved(id) => {
                    self.people.remove(id);
                }
                Change::Group(entry) => {
                    mark.map(|mark| mark.0.insert(entry.id.clone()));
                    self.groups.insert(entry.id.clone(), entry.clone());
                }
                Change::GroupRemoved(id) => {
                    self.groups.remove(id);
                    self.members.retain(|(group, _)| group != id);
                }
                Change::Member(pair) => {
                    mark.map(|mark| mark.1.insert(pair.clone()));
                    self.members.insert(pair.clone());
                }
                Change::MemberRemoved(pair) => {
                    self.members.remove(pair);
                }
                Change::MembersRestart(group) => self.members.retain(|(of, _)| of != group),
            }
        }
        self.cursor = Some(page.cursor.clone());
        if page.complete
            && let Some((objects, pairs)) = self.marked.take()
        {
            self.people.retain(|id, _| objects.contains(id));
            self.groups.retain(|id, _| objects.contains(id));
            self.members.retain(|pair| pairs.contains(pair));
        }
    }

    /// One call, its page applied; whether the round is complete.
    fn step(&mut self, service: &Service<'_>, connection: &Connection) -> bool {
        match page(service, connection, self.cursor.as_deref()) {
            Ok(page) => {
                self.apply(&page);
                page.complete
            }
            Err(problem) => {
                assert!(matches!(problem.cause, Cause::Unavailable), "{problem:?}");
                assert!(problem.wait.is_some(), "{problem:?}");
                service.now.set(service.now.get() + 1000 * u64::from(problem.wait.unwrap_or(0)));
                false
            }
        }
    }

    /// What is known, in the form of [`expected`].
    fn known(&self) -> Known {
        let person = |entry: &Entry| {
            let name = entry.attributes.iter().find(|(name, _)| name == "displayName").map(|(_, value)| value.clone());
            (entry.id.clone(), name.unwrap_or_default(), entry.manager.clone().unwrap_or_default())
        };
        (self.people.values().map(person).collect(), self.groups.keys().cloned().collect(), self.members.clone())
    }
}

fn expected(tenant: &Tenant, limited: Option<&str>) -> Known {
    let inside = limited.map(|group| tenant.inside(group));
    let here = |id: &String| inside.as_ref().is_none_or(|inside| inside.contains(id));
    let users: Vec<_> = tenant.users.iter().filter(|(id, user)| user.mailbox && here(id)).collect();
    let people = users.iter().map(|(id, user)| ((*id).clone(), user.name.clone(), user.manager.clone().unwrap_or_default())).collect();
    let pairs: Pairs = if limited.is_some() {
        let of = |group: &String| tenant.inside(group).into_iter().map(|member| (group.clone(), member)).collect::<Vec<_>>();
        let all = tenant.groups.keys().flat_map(of);
        all.filter(|(_, member)| users.iter().any(|(id, _)| *id == member)).collect()
    } else {
        tenant.groups.iter().flat_map(|(id, group)| group.members.iter().map(|member| (id.clone(), member.clone()))).collect()
    };
    let groups = if limited.is_some() {
        pairs.iter().map(|(group, _)| group.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    } else {
        tenant.groups.keys().cloned().collect()
    };
    (people, groups, pairs)
}

/// What happens next, by three numbers.
fn happen(tenant: &RefCell<Tenant>, (what, one, two): (u8, u8, u8)) -> bool {
    let (user, other) = (format!("u{}", one % 12), format!("u{}", two % 12));
    let (group, inner) = (format!("g{}", one % 5), format!("g{}", two % 5));
    let mut tenant = tenant.borrow_mut();
    match what % 16 {
        0 | 1 => tenant.put_user(&user, &format!("name{two}"), two % 4 != 0),
        2 => tenant.drop(&user),
        3 => {
            let there = tenant.users.contains_key(&other) && user != other;
            tenant.set_manager(&user, there.then_some(other));
        }
        4 => tenant.set_manager(&user, None),
        5 => tenant.put_group(&group, &format!("group{two}")),
        // The group of the limited synchronisation stays.
        6 if group != "g0" => tenant.drop(&group),
        7 | 8 => tenant.set_member(&group, &other, true),
        9 => tenant.set_member(&group, &inner, true),
        10 => tenant.set_member(&group, if two % 2 == 0 { &other } else { &inner }, false),
        11 if two % 3 == 0 => tenant.expire(),
        12 => tenant.failing.push(match two % 5 {
            0 => failure(429, "TooManyRequests"),
            1 => failure(503, "serviceNotAvailable"),
            2 => Err(HttpError::TimedOut),
            3 => Err(HttpError::Unreachable("reset".to_owned())),
            _ => answer(504, &serde_json::Value::Null),
        }),
        _ => return true,
    }
    false
}

fn follow(synchronisation: Synchronisation, seed: u64, events: &[(u8, u8, u8)]) {
    let connection = connection(synchronisation.clone());
    let tenant = Tenant::new(seed);
    tenant.borrow_mut().put_group("g0", "signed");
    let service = Service::new(|request| tenant.borrow_mut().reply(request));
    let mut host = Host::default();
    for event in events {
        if happen(&tenant, *event) {
            host.step(&service, &connection);
        }
    }
    // The round that is under way may have begun before the last change: it ends, and so does one more.
    tenant.borrow_mut().failing.clear();
    let mut rounds = 0;
    for _ in 0..1000 {
        rounds += usize::from(host.step(&service, &connection));
        if rounds == 2 {
            break;
        }
    }
    assert_eq!(rounds, 2, "no round ends");
    let limited = if let Synchronisation::Limited(group) = &synchronisation { Some(group.as_str()) } else { None };
    assert_eq!(host.known(), expected(&tenant.borrow(), limited));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn everybody_is_known_after_any_changes_pages_and_failures(seed: u64, events in prop::collection::vec(any::<(u8, u8, u8)>(), 0..120)) {
        follow(Synchronisation::Full, seed, &events);
    }

    #[test]
    fn the_members_of_a_group_are_known_after_any_changes_pages_and_failures(
        seed: u64, events in prop::collection::vec(any::<(u8, u8, u8)>(), 0..120),
    ) {
        follow(Synchronisation::Limited("g0".to_owned()), seed, &events);
    }

    #[test]
    fn no_answer_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300), status in 200u16..600, cursor in prop::option::of(".*")) {
        let service = Service::new(|_| Ok(signet_plugin_sdk::control::Response { status, headers: Vec::new(), body: body.clone() }));
        let found = page(&service, &connection(Synchronisation::Full), cursor.as_ref().map(|text| text.as_bytes()));
        prop_assert!(found.is_err());
    }
}
