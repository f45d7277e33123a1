use super::super::snapshot;
use super::*;
use crate::address::Mailbox;
use crate::control::words::Progress;
use crate::directory::Directory;
use crate::store::Store;

const LIMIT: usize = 20;

fn person(id: &str) -> Change {
    person_with(id, &[], Some(""))
}

fn person_with(id: &str, attributes: &[(&str, &str)], manager: Option<&str>) -> Change {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let addresses = vec![format!("{id}@example.org")];
    Change::Person(Entry { id: id.to_owned(), addresses, attributes, manager: manager.map(str::to_owned) })
}

fn group(id: &str) -> Change {
    let attributes = vec![("displayName".to_owned(), format!("Group {id}"))];
    Change::Group(Entry { id: id.to_owned(), addresses: Vec::new(), attributes, manager: None })
}

fn member(group: &str, member: &str) -> Change {
    Change::Member { group: group.to_owned(), member: member.to_owned() }
}

fn not_member(group: &str, member: &str) -> Change {
    Change::MemberRemoved { group: group.to_owned(), member: member.to_owned() }
}

fn gone(id: &str) -> Change {
    Change::PersonRemoved(id.to_owned())
}

fn page(changes: Vec<Change>) -> Page {
    let progress = Progress { pages: 1, objects: 1, expected: None, subject: "people".to_owned() };
    Page { changes, cursor: b"on".to_vec(), complete: false, restarted: false, progress, notes: Vec::new() }
}

fn first(changes: Vec<Change>) -> Page {
    Page { restarted: true, ..page(changes) }
}

fn last(changes: Vec<Change>) -> Page {
    Page { complete: true, cursor: b"next round".to_vec(), ..page(changes) }
}

/// A round of one page that reads everything.
fn only(changes: Vec<Change>) -> Page {
    Page { restarted: true, ..last(changes) }
}

struct Tenant(Store);

impl Tenant {
    fn new() -> Self {
        Self(Store::in_memory().expect("open"))
    }

    async fn put(&self, page: Page) -> Applied {
        self.put_scope("everybody", page).await
    }

    async fn put_scope(&self, scope: &'static str, page: Page) -> Applied {
        self.0.run(move |database| apply(database, "north", scope, &page, (LIMIT, 7))).await.expect("written")
    }

    async fn round(&self) -> Round {
        self.0.run(|database| round(database, "north")).await.expect("read").expect("there is one")
    }

    async fn directory(&self) -> Directory {
        let base = self.round().await.base.expect("a complete round");
        snapshot::build(&self.0, base, std::sync::Arc::default()).await.expect("built").0
    }

    /// Everybody in use with their groups: `1 a b, 2`.
    async fn people(&self) -> String {
        let directory = self.directory().await;
        let mut people: Vec<String> = Vec::new();
        for id in 0..200 {
            let mailbox = Mailbox::parse(&format!("{id}@example.org")).expect("an address");
            if directory.contains(&mailbox) {
                let groups = directory.groups(&mailbox).into_iter().filter(|group| !group.starts_with("Group"));
                people.push([id.to_string()].into_iter().chain(groups).collect::<Vec<_>>().join(" "));
            }
        }
        people.join(", ")
    }

    /// Everything that is stored, but for the numbers of layers.
    async fn everything(&self) -> Vec<String> {
        self.0
            .run(|database| {
                let base = round(database, "north")?.and_then(|round| round.base);
                let mut all = Vec::new();
                for sql in [
                    "SELECT 'person ' || (layer = ?1) || ' ' || id || coalesce(addresses, '-') || coalesce(attributes, '-') || coalesce(manager, '-')
                     FROM directory_person ORDER BY 1",
                    "SELECT 'group ' || (layer = ?1) || ' ' || id || coalesce(addresses, '-') FROM directory_group ORDER BY 1",
                    "SELECT 'member ' || (layer = ?1) || ' ' || id || ' ' || member || ' ' || present FROM directory_member ORDER BY 1",
                ] {
                    let mut statement = database.prepare(sql)?;
                    let lines = statement.query_map([base.unwrap_or(-1)], |row| row.get::<_, String>(0))?;
                    all.extend(lines.collect::<rusqlite::Result<Vec<_>>>()?);
                }
                Ok(all)
            })
            .await
            .expect("read")
    }
}

#[tokio::test]
async fn nothing_of_a_round_is_in_use_before_it_is_complete() {
    let tenant = Tenant::new();
    assert_eq!(tenant.put(first(vec![person("1")])).await, Applied::Going);
    assert_eq!(tenant.round().await.base, None);
    assert_eq!(tenant.put(last(vec![person("2"), group("a"), member("a", "1")])).await, Applied::Taken(true));
    assert_eq!(tenant.people().await, "1 a, 2");
    assert_eq!(tenant.put(page(vec![gone("1"), person("3"), member("a", "2")])).await, Applied::Going);
    assert_eq!(tenant.people().await, "1 a, 2", "what has changed so far is not in use");
    assert_eq!(tenant.round().await.cursor, b"on");
    assert_eq!(tenant.put(last(vec![])).await, Applied::Taken(true));
    assert_eq!(tenant.people().await, "2 a, 3");
    assert_eq!(tenant.put(last(vec![])).await, Applied::Taken(false), "nothing has changed");
    assert_eq!(tenant.round().await.ended, Some(7));
}

#[tokio::test]
async fn a_page_that_is_written_twice_is_the_same_as_once() {
    let start = vec![
        first(vec![person("1"), person("2"), group("a"), group("b"), member("a", "1"), member("b", "a")]),
        last(vec![person("3"), member("a", "3"), not_member("a", "9")]),
    ];
    let next = vec![
        page(vec![gone("2"), person_with("1", &[("title", "x")], None), person("4")]),
        last(vec![Change::MembersRestart("a".to_owned()), member("a", "4"), not_member("b", "a"), Change::GroupRemoved("b".to_owned())]),
    ];
    let (once, twice) = (Tenant::new(), Tenant::new());
    for page in start.into_iter().chain(next) {
        once.put(page.clone()).await;
        // The last page of a round ends it, so it is not asked for again.
        if !page.complete {
            twice.put(page.clone()).await;
        }
        twice.put(page).await;
        while twice.0.run(prune).await.expect("pruned") {}
    }
    assert_eq!(once.people().await, "1, 3, 4 a");
    while once.0.run(prune).await.expect("pruned") {}
    assert_eq!(once.everything().await, twice.everything().await);
}

#[tokio::test]
async fn whom_a_round_that_read_everything_did_not_name_is_gone() {
    let tenant = Tenant::new();
    tenant.put(only(vec![person("1"), person("2"), group("a"), group("b"), member("a", "1"), member("a", "2"), member("b", "1")])).await;
    // A round of changes is interrupted, because the service has forgotten where we were.
    tenant.put(page(vec![person("3"), gone("1")])).await;
    tenant.put(first(vec![person("1")])).await;
    assert_eq!(tenant.people().await, "1 a b, 2 a");
    tenant.put(first(vec![person("2")])).await;
    tenant.put(last(vec![person("4"), group("a"), member("a", "4")])).await;
    assert_eq!(tenant.people().await, "2, 4 a");
    while tenant.0.run(prune).await.expect("pruned") {}
    let rows = tenant.everything().await;
    assert_eq!(rows.len(), 4, "nothing of it is kept: {rows:?}");
    // A later round of changes sweeps nothing.
    tenant.put(last(vec![person("5")])).await;
    assert_eq!(tenant.people().await, "2, 4 a, 5");
}

#[tokio::test]
async fn members_that_are_not_known_yet_are_kept_and_groups_in_groups_count() {
    let tenant = Tenant::new();
    let circle = [member("a", "1"), member("b", "a"), member("a", "b"), member("c", "b"), member("later", "1")];
    tenant.put(only([circle.to_vec(), vec![person("2"), group("a"), group("b"), group("c"), member("a", "2")]].concat())).await;
    assert_eq!(tenant.people().await, "2 a b c");
    tenant.put(last(vec![person("1"), group("later")])).await;
    assert_eq!(tenant.people().await, "1 a b c later, 2 a b c");
    tenant.put(last(vec![Change::GroupRemoved("b".to_owned()), gone("2")])).await;
    assert_eq!(tenant.people().await, "1 a later", "a group that is gone leads nowhere");
    tenant.put(last(vec![group("b"), person("2")])).await;
    assert_eq!(tenant.people().await, "1 a b c later, 2 a b c", "members are not told again when somebody comes back");
}

#[tokio::test]
async fn members_that_are_told_anew_take_the_place_of_those_known() {
    let tenant = Tenant::new();
    let restart = || Change::MembersRestart("a".to_owned());
    let people = ["1", "2", "3"].map(person);
    tenant.put(first([&people[..], &[group("a"), member("a", "1"), restart(), member("a", "2")]].concat())).await;
    tenant.put(last(vec![member("a", "3")])).await;
    assert_eq!(tenant.people().await, "1, 2 a, 3 a");
    tenant.put(page(vec![member("a", "3"), restart(), member("a", "1")])).await;
    tenant.put(last(vec![member("a", "2"), not_member("a", "2")])).await;
    assert_eq!(tenant.people().await, "1 a, 2, 3");
}

#[tokio::test]
async fn the_manager_is_kept_when_it_is_not_told_and_shown_by_the_primary_address() {
    let tenant = Tenant::new();
    let title = [("title", "Boss")];
    tenant.put(only(vec![person_with("1", &title, Some("2")), person_with("2", &title, Some("9"))])).await;
    let manager = |directory: &Directory| {
        let person = directory.person(&Mailbox::parse("1@example.org").expect("an address"));
        person.attributes.into_iter().filter(|(name, _)| name.starts_with("manager")).map(|(_, value)| value).collect::<Vec<_>>()
    };
    let known = ["2@example.org", "2@example.org", "Boss"];
    assert_eq!(manager(&tenant.directory().await), known);
    tenant.put(last(vec![person_with("1", &[("title", "Less")], None)])).await;
    assert_eq!(manager(&tenant.directory().await), known);
    tenant.put(last(vec![person_with("1", &[], Some("")), person_with("1", &title, None)])).await;
    assert_eq!(manager(&tenant.directory().await), Vec::<String>::new());
}

#[tokio::test]
async fn a_round_in_which_too_many_are_missing_is_held_back_until_it_is_accepted_or_they_are_back() {
    let everybody = || (0..100).map(|id| person(&id.to_string())).collect::<Vec<_>>();
    let few = || everybody().into_iter().take(70).collect::<Vec<_>>();
    let held = Applied::Held(Shrink { missing: 30, of: 100 });
    for whole in [true, false] {
        let tenant = Tenant::new();
        tenant.put(only(everybody())).await;
        let before = tenant.people().await;
        let loss = || if whole { only(few()) } else { last((70..100).map(|id| gone(&id.to_string())).collect()) };
        assert_eq!(tenant.put(loss()).await, held);
        assert_eq!(tenant.people().await, before);
        assert_eq!(tenant.round().await.held, Some(Shrink { missing: 30, of: 100 }));
        assert_eq!(tenant.round().await.cursor, b"next round", "the next round goes on from there");
        // Another one joins; it is still too few.
        assert_eq!(tenant.put(page(vec![person("150")])).await, Applied::Going);
        assert_eq!(tenant.put(last(vec![])).await, held);
        assert_eq!(tenant.people().await, before);
        // They come back.
        tenant.put(last((70..95).map(|id| person(&id.to_string())).collect())).await;
        assert!(tenant.people().await.ends_with("94, 150") && tenant.round().await.held.is_none());
        // They go again, and it is accepted, once between two rounds and once within one.
        let loss = || last((70..95).map(|id| gone(&id.to_string())).collect());
        assert!(matches!(tenant.put(loss()).await, Applied::Held(_)));
        if whole {
            tenant.put(page(vec![person("151")])).await;
            assert!(tenant.0.run(|database| accept(database, "north", 8)).await.expect("accepted"));
            assert!(tenant.people().await.ends_with("94, 150"));
            assert_eq!(tenant.put(last(vec![])).await, Applied::Taken(true));
            assert!(tenant.people().await.ends_with("69, 150, 151"));
        } else {
            assert!(tenant.0.run(|database| accept(database, "north", 8)).await.expect("accepted"));
            assert!(tenant.people().await.ends_with("69, 150"));
        }
        assert!(!tenant.0.run(|database| accept(database, "north", 8)).await.expect("nothing to accept"));
    }
}

#[tokio::test]
async fn the_guard_leaves_first_rounds_few_people_and_a_change_of_scope_alone() {
    let people = |count: usize| (0..count).map(|id| person(&id.to_string())).collect::<Vec<_>>();
    for (before, after, scope, taken) in [
        (0, 0, "everybody", true),
        (9, 0, "everybody", true),
        (10, 0, "everybody", false),
        (100, 80, "everybody", true),
        (100, 79, "everybody", false),
        (100, 5, "group g", true),
    ] {
        let tenant = Tenant::new();
        tenant.put(only(people(before))).await;
        // Not even said to be restarted: other people are asked for.
        let next = Page { restarted: scope == "everybody", ..last(people(after)) };
        let applied = tenant.put_scope(scope, next).await;
        assert_eq!(matches!(applied, Applied::Taken(_)), taken, "{before} {after} {scope}: {applied:?}");
        assert_eq!(tenant.directory().await.people(), if taken { after } else { before });
    }
}

#[tokio::test]
async fn a_tenant_that_is_forgotten_leaves_no_rows_and_others_keep_theirs() {
    let tenant = Tenant::new();
    let north = || only(vec![person("1"), group("a"), member("a", "1")]);
    tenant.put(north()).await;
    tenant.put(page(vec![person("2")])).await;
    tenant.0.run(move |database| apply(database, "south", "everybody", &north(), (LIMIT, 7))).await.expect("written");
    tenant.0.run(|database| forget(database, "north")).await.expect("forgotten");
    while tenant.0.run(prune).await.expect("pruned") {}
    assert_eq!(tenant.everything().await.len(), 3);
    let layers: i64 =
        tenant.0.run(|database| database.query_row("SELECT count(*) FROM directory_layer", [], |row| row.get(0))).await.expect("counted");
    assert_eq!(layers, 2);
}
