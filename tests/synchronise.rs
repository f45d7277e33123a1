//! The synchronisation of a directory: the embedded control plugin, the real way out over loopback and the real store, against the stand-in for
//! Microsoft's cloud. What comes out is compared with what the stand-in has.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use signet::address::Mailbox;
use signet::control::egress::{Awaited, Bearer, CredentialSource, Egress, EgressSettings, Rule};
use signet::control::report::Synchronised;
use signet::control::session::Caller;
use signet::control::synchronise::{Settings, Synchroniser};
use signet::control::words::{Connection, Routing, Synchronisation, Word};
use signet::directory::{Directories, Directory, Row, Rows};
use signet::plugin::{ControlLimits, Controller, Engine};
use signet::signature::{Asset, PERSON_PHOTO};
use signet::smtp::client::SystemResolver;
use signet::store::Store;
use signet_cloud::{Cloud, Fault, Id, Kind, Resource, Size, Wrong, server};
use tokio::task::JoinHandle;

use crate::harness;

const TENANT: &str = signet_cloud::seed::TENANT;

/// The embedded controller; compiled once for all tests.
static CONTROLLER: LazyLock<Arc<Controller>> = LazyLock::new(|| {
    let limits = ControlLimits::default();
    let engine = Engine::new(&limits.engine()).expect("an engine");
    Arc::new(Controller::load(&engine, signet::DEFAULT_CONTROLLER, &limits).expect("the embedded controller loads"))
});

struct Tokens {
    token: String,
    origin: String,
}

impl CredentialSource for Tokens {
    fn bearer<'a>(&'a self, _: &'a str, _: &'a str) -> Awaited<'a, Result<Bearer, String>> {
        Box::pin(async { Ok(Bearer::new(self.token.clone(), self.origin.clone())) })
    }
    fn rejected<'a>(&'a self, _: &'a str, _: &'a str, _: &'a Bearer, _: &'a str) -> Awaited<'a, ()> {
        Box::pin(async {})
    }
}

/// The service, and one Signet without mail.
struct Place {
    cloud: Arc<Cloud>,
    server: JoinHandle<()>,
    caller: Caller,
    store: Store,
    connection: Connection,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Place {
    async fn small() -> Self {
        Self::sized(0, 0).await
    }

    async fn sized(people: usize, groups: usize) -> Self {
        let listener = server::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let cloud = Arc::new(Cloud::sized(&base, &Size { people, groups, seed: 0 }).expect("the stand-in starts"));
        cloud.with(|world| (world.knobs.user_page, world.knobs.group_page, world.knobs.member_chunk) = (5, 4, 4));
        let served = Arc::clone(&cloud);
        let server = tokio::spawn(async move { drop(server::serve(listener, served, None).await) });
        let rules = vec![Rule::parse(&format!("GET,POST {base}/v1.0/ /v1.0/$batch")).expect("a rule")];
        let private_networks = vec!["127.0.0.0/8".parse().expect("a network")];
        let settings = EgressSettings { rules, private_networks, request_time: Duration::from_secs(5), ..EgressSettings::default() };
        let token = cloud.application_token("sync", Resource::Graph).expect("a token");
        let credentials = Arc::new(Tokens { token, origin: base.clone() });
        let egress = Arc::new(Egress::new(settings, Arc::new(SystemResolver), credentials).expect("it starts"));
        let store = Store::in_memory().expect("open");
        let caller = Caller::new(Arc::clone(&CONTROLLER), egress, store.clone(), None);
        Self { cloud, server, caller, store, connection: connection(&base) }
    }

    fn signet(&self) -> Signet {
        self.signet_with(&self.connection)
    }

    fn signet_with(&self, connection: &Connection) -> Signet {
        let directories = Directories::default();
        let connection = connection.clone();
        let settings = settings();
        let connections = Arc::new(move |tenant: &str| (tenant == TENANT).then(|| connection.clone()));
        let synchroniser = Synchroniser::new(self.caller.clone(), self.store.clone(), directories.clone(), settings, connections);
        Signet { synchroniser, directories }
    }

    /// The control interface of the stand-in.
    fn control(&self, method: &str, path: &str, body: &Value) {
        let mut call = signet_cloud::Call::json(&format!("/_control/{path}"), body);
        method.clone_into(&mut call.method);
        let answer = self.cloud.answer(&call);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.value());
    }

    fn fault(&self, path: &str, times: u32, wrong: Wrong) {
        self.cloud.with(|world| world.faults.push(Fault::new(path, times, wrong)));
    }

    fn requests(&self) -> usize {
        self.cloud.with(|world| world.received.len())
    }

    /// Everybody as the stand-in has them, by address.
    fn truth(&self) -> BTreeMap<String, String> {
        self.cloud.with(|world| {
            let tenant = &world.tenants[0];
            let mailed = |id: Id| {
                let user = tenant.object(id, Kind::User)?;
                let (mail, account) = (user.properties.text("mail"), user.properties.text("userPrincipalName"));
                (!mail.is_empty() && !account.contains("#EXT#")).then(|| mail.to_owned())
            };
            let people = tenant.live(Kind::User).filter_map(|user| Some((mailed(user.id)?, user)));
            people
                .map(|(mail, user)| {
                    let text = |name| user.properties.text(name);
                    let mut groups: Vec<String> = tenant.memberships(user.id, true).iter().map(|group| group.id.to_string()).collect();
                    groups.sort();
                    let manager = user.manager.and_then(mailed).unwrap_or_default();
                    (mail, format!("{} | {} | {manager} | {}", text("displayName"), text("jobTitle"), groups.join(" ")))
                })
                .collect()
        })
    }

    /// The rows in use and those of the round that is under way.
    async fn rows(&self) -> Vec<String> {
        self.store
            .run(|database| {
                let mut all = Vec::new();
                for sql in [
                    "SELECT (layer = base) || id || coalesce(addresses, '-') || coalesce(attributes, '-') || coalesce(manager, '-')
                     FROM directory_person, directory_round WHERE layer IN (base, top) ORDER BY 1",
                    "SELECT (layer = base) || id || coalesce(addresses, '-') || coalesce(attributes, '-')
                     FROM directory_group, directory_round WHERE layer IN (base, top) ORDER BY 1",
                    "SELECT (layer = base) || id || member || present FROM directory_member, directory_round
                     WHERE layer IN (base, top) ORDER BY 1",
                    "SELECT whole || scope || complete FROM directory_round",
                ] {
                    let mut statement = database.prepare(sql)?;
                    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
                    for line in lines {
                        all.push(line?);
                    }
                }
                Ok(all)
            })
            .await
            .expect("read")
    }
}

struct Signet {
    synchroniser: Synchroniser,
    directories: Directories,
}

impl Signet {
    /// Runs a round and waits for its end.
    async fn round(&self) -> Synchronised {
        self.round_with(false).await
    }

    async fn round_with(&self, photos: bool) -> Synchronised {
        let before = self.report().next;
        self.synchroniser.begin(TENANT, photos);
        self.until(|report| !report.running && report.next.is_some() && report.next != before).await
    }

    async fn until(&self, reached: impl Fn(&Synchronised) -> bool) -> Synchronised {
        let begun = Instant::now();
        loop {
            let report = self.report();
            if reached(&report) {
                return report;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "it never ends: {report:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn report(&self) -> Synchronised {
        self.synchroniser.report(TENANT)
    }

    fn directory(&self) -> Option<Arc<Directory>> {
        self.directories.of(TENANT).load()
    }

    /// Everybody as mail would be signed, by address.
    fn seen(&self) -> BTreeMap<String, String> {
        self.directory().map(|directory| seen(&directory)).unwrap_or_default()
    }
}

fn seen(directory: &Directory) -> BTreeMap<String, String> {
    let people = directory.people_addresses().map(|address| Mailbox::parse(address).expect("an address"));
    let seen: BTreeMap<String, String> = people
        .map(|mailbox| {
            let person = directory.person(&mailbox);
            let text = |name: &str| person.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
            let groups: Vec<&str> = person.groups.iter().map(String::as_str).filter(|group| Id::parse(group).is_some()).collect();
            let line = format!("{} | {} | {} | {}", text("displayName"), text("jobTitle"), text("manager"), groups.join(" "));
            (text("mail").to_owned(), line)
        })
        .collect();
    assert_eq!(seen.len(), directory.people(), "everybody has an address of their own");
    seen
}

fn connection(base: &str) -> Connection {
    let word = |name: &str, value: &str| Word { name: name.to_owned(), value: value.to_owned() };
    Connection {
        tenant: TENANT.to_owned(),
        endpoints: vec![word("graph", base), word("exchange", base)],
        credentials: vec!["directory".to_owned()],
        synchronisation: Synchronisation::Full,
        routing: Routing::AllUsers,
        smart_host: "smtp.signet.example".to_owned(),
        certificate_domain: "k7q2m4x9.smtp.signet.example".to_owned(),
        processed: word("X-Signet-Word", "v4Jq7GZ9mT2c"),
        identification: None,
        size_limit: 35_000_000,
        domains: vec!["northwind.example".to_owned()],
        spf_term: String::new(),
    }
}

/// Rounds begin when they are asked for, and waiting takes no time.
fn settings() -> Settings {
    let every = Duration::from_secs(3600);
    Settings { every, second: Duration::from_millis(1), photo_memory: 40_000, ..Settings::default() }
}

fn mailbox(address: &str) -> Mailbox {
    Mailbox::parse(address).expect("an address")
}

/// Changes of every kind, some of which undo each other.
fn change(place: &Place) {
    place.control("PATCH", "users/hanna.lindqvist@northwind.example", &json!({ "jobTitle": "Chief of the harbour", "manager": null }));
    place.control("PATCH", "users/tom.okafor@northwind.example", &json!({ "manager": "marek.dvorak@northwind.example" }));
    let new = json!({ "displayName": "Nils New", "mail": "nils.new@northwind.example", "userPrincipalName": "nils.new@northwind.example" });
    place.control("POST", "users", &new);
    place.control("POST", "groups", &json!({ "displayName": "New group", "mailEnabled": false, "securityEnabled": true }));
    let add = json!({ "add": ["nils.new@northwind.example", "commercial@northwind.example"], "remove": ["ada.king@northwind.example"] });
    place.control("POST", "groups/harbour-office@northwind.example/members", &add);
    place.control("POST", "groups/everyone@northwind.example/members", &json!({ "remove": ["hanna.lindqvist@northwind.example"] }));
    place.control("POST", "groups/everyone@northwind.example/members", &json!({ "add": ["hanna.lindqvist@northwind.example"] }));
    place.control("DELETE", "users/dan.petersen@northwind.example", &json!({}));
    place.control("DELETE", "groups/harbour-news@northwind.example", &json!({}));
}

#[tokio::test]
async fn a_first_round_brings_everybody_and_later_ones_what_has_changed() {
    let place = Place::small().await;
    let signet = place.signet();
    let report = signet.round().await;
    assert_eq!(report.trouble, None);
    let truth = place.truth();
    assert!(truth.len() >= 11 && truth.values().any(|line| line.contains("ada.king@northwind.example")), "{truth:?}");
    assert_eq!(signet.seen(), truth);
    assert_eq!((report.people, report.groups, report.running), (truth.len() as u64, 8, false));
    assert!(report.complete.is_some() && report.progress.is_none());
    let directory = signet.directory().expect("it is in use");
    let ada = directory.groups(&mailbox("ADA@northwind.example"));
    for word in ["Commercial", "commercial@northwind.example", "Signature Users"] {
        assert!(ada.iter().any(|group| group == word), "{word} in {ada:?}");
    }
    // Who has it keeps it.
    let before = seen(&directory);
    change(&place);
    let requests = place.requests();
    let report = signet.round().await;
    assert_eq!((report.trouble, signet.seen()), (None, place.truth()));
    assert_eq!(seen(&directory), before);
    assert!(!signet.seen().contains_key("dan.petersen@northwind.example"));
    assert!(place.requests() - requests <= 8, "changes are few");
    place.control("POST", &format!("users/{}/restore", place_id("dan.petersen@northwind.example", &place)), &json!({}));
    signet.round().await;
    assert!(signet.seen().contains_key("dan.petersen@northwind.example"), "who was removed for a time is back");
}

/// The id of somebody who may be gone.
fn place_id(address: &str, place: &Place) -> String {
    place.cloud.with(|world| {
        let found = world.tenants[0].objects.iter().find(|object| object.properties.text("mail") == address);
        found.map(|object| object.id.to_string()).expect("somebody has it")
    })
}

#[tokio::test]
async fn a_service_that_has_forgotten_where_we_were_leaves_no_dead_people() {
    for with_location in [true, false] {
        let place = Place::small().await;
        place.cloud.with(|world| world.knobs.gone_with_location = with_location);
        let signet = place.signet();
        signet.round().await;
        change(&place);
        place.control("POST", "expire-delta", &json!({}));
        let report = signet.round().await;
        assert_eq!((report.trouble, signet.seen()), (None, place.truth()));
        assert!(report.notes.iter().any(|note| note.contains("everything is read again")), "{:?}", report.notes);
        // Nothing of anybody who is gone is kept either.
        let (dan, rows) = (place_id("dan.petersen@northwind.example", &place), place.rows().await);
        assert!(!rows.iter().any(|row| row.contains(&dan)), "{rows:?}");
    }
}

#[tokio::test]
async fn a_link_that_expires_within_a_round_begins_it_anew() {
    let place = Place::small().await;
    let signet = place.signet();
    // The third page of people.
    place.cloud.with(|world| world.faults.push(Fault { after: 2, ..Fault::new("/v1.0/users/delta", 1, Wrong::Gone) }));
    let report = signet.round().await;
    assert_eq!((report.trouble, signet.seen()), (None, place.truth()));
}

#[tokio::test]
async fn passing_trouble_is_waited_through() {
    let place = Place::small().await;
    for wrong in [
        Wrong::Status(429, Some(3)),
        Wrong::Status(429, None),
        Wrong::Status(500, None),
        Wrong::Status(503, Some(1)),
        Wrong::Status(504, None),
        Wrong::Truncated,
        Wrong::NotJson,
        Wrong::Dropped,
        Wrong::WrongTypes,
    ] {
        let store = Store::in_memory().expect("open");
        let fresh = place.signet_on(&store);
        for path in ["/v1.0/users/delta", "/v1.0/groups/delta"] {
            place.cloud.with(|world| world.faults.push(Fault { after: 1, ..Fault::new(path, 2, wrong.clone()) }));
        }
        let report = fresh.round().await;
        assert_eq!((report.trouble, fresh.seen()), (None, place.truth()), "{wrong:?}");
        assert_eq!(place.cloud.with(|world| world.faults.len()), 0, "{wrong:?} came to pass");
    }
}

impl Place {
    /// A Signet with another store.
    fn signet_on(&self, store: &Store) -> Signet {
        let mut signet = self.signet();
        let connection = self.connection.clone();
        let settings = settings();
        let connections = Arc::new(move |_: &str| Some(connection.clone()));
        signet.synchroniser = Synchroniser::new(self.caller.clone(), store.clone(), signet.directories.clone(), settings, connections);
        signet
    }
}

#[tokio::test]
async fn lasting_trouble_leaves_the_last_good_directory_in_use_and_says_so() {
    let place = Place::small().await;
    let signet = place.signet();
    signet.round().await;
    let before = signet.seen();
    change(&place);
    for (wrong, kind) in [
        (Wrong::Status(429, Some(2)), "unavailable"),
        (Wrong::Status(429, Some(86_000)), "unavailable"),
        (Wrong::Status(503, None), "unavailable"),
        (Wrong::Status(401, None), "credential"),
        (Wrong::Status(403, None), "permission"),
        (Wrong::Truncated, "unavailable"),
        (Wrong::NotJson, "protocol"),
        (Wrong::WrongTypes, "protocol"),
    ] {
        // People are read, groups are not.
        place.fault("/v1.0/groups/delta", u32::MAX, wrong.clone());
        let report = signet.round().await;
        let trouble = report.trouble.unwrap_or_else(|| panic!("{wrong:?} is no trouble"));
        assert_eq!(trouble.kind, kind, "{wrong:?}: {trouble:?}");
        assert!(!trouble.next_step.is_empty());
        assert_eq!(signet.seen(), before, "{wrong:?}");
        assert!(report.complete.is_some_and(|complete| complete < trouble.at));
        // A process that starts now has the last good one, too.
        let again = place.signet();
        again.synchroniser.restore(TENANT, false).await.expect("restored");
        assert_eq!(again.seen(), before, "{wrong:?}");
        place.control("DELETE", "faults", &json!({}));
    }
    let report = signet.round().await;
    assert_eq!((report.trouble, signet.seen()), (None, place.truth()));
}

#[tokio::test]
async fn pages_that_come_twice_or_in_another_order_change_nothing() {
    for wrong in [Wrong::Duplicated, Wrong::Reordered] {
        let place = Place::sized(20, 6).await;
        place.fault("/v1.0", u32::MAX, wrong.clone());
        let signet = place.signet();
        signet.round().await;
        assert_eq!(signet.seen(), place.truth(), "{wrong:?}");
        change(&place);
        let report = signet.round().await;
        assert_eq!((report.trouble, signet.seen()), (None, place.truth()), "{wrong:?}");
    }
}

#[tokio::test]
async fn pages_without_people_are_held_back_until_they_are_back_or_accepted() {
    let place = Place::sized(60, 3).await;
    let signet = place.signet();
    signet.round().await;
    let everybody = signet.seen();
    let empty = || {
        place.control("POST", "expire-delta", &json!({}));
        // All pages but the first.
        place.cloud.with(|world| world.faults.push(Fault { after: 2, ..Fault::new("/v1.0/users/delta", u32::MAX, Wrong::Emptied) }));
    };
    empty();
    let report = signet.round().await;
    let trouble = report.trouble.expect("too many are missing");
    assert_eq!(trouble.kind, "shrunk");
    assert!(
        trouble.detail.contains("of 71 people are missing") && trouble.next_step.contains("signet tenant accept-shrink"),
        "{trouble:?}"
    );
    assert_eq!(signet.seen(), everybody);
    // So does a process that starts meanwhile.
    let again = place.signet();
    again.synchroniser.restore(TENANT, false).await.expect("restored");
    assert_eq!((again.seen(), again.report().trouble.map(|trouble| trouble.kind)), (everybody.clone(), Some("shrunk".to_owned())));
    drop(again);
    // The service is itself again.
    place.control("DELETE", "faults", &json!({}));
    let report = signet.round().await;
    assert_eq!((report.trouble, signet.seen()), (None, everybody.clone()));
    assert!(!signet.synchroniser.accept_shrink(TENANT).await.expect("nothing is held back"));
    // It happens again, and it is accepted.
    empty();
    let report = place.signet_with(&place.connection).round().await;
    assert_eq!(report.trouble.map(|trouble| trouble.kind).as_deref(), Some("shrunk"));
    assert!(signet.synchroniser.accept_shrink(TENANT).await.expect("accepted"));
    assert!(signet.seen().len() < 20 && signet.report().trouble.is_none());
}

#[tokio::test]
async fn another_choice_of_people_takes_the_place_of_the_first_without_being_held_back() {
    let place = Place::sized(60, 3).await;
    place.signet().round().await;
    let group = place.cloud.id("signature-users@northwind.example").expect("it is there");
    let limited = Connection { synchronisation: Synchronisation::Limited(group.to_string()), ..place.connection.clone() };
    let signet = place.signet_with(&limited);
    let report = signet.round().await;
    assert_eq!(report.trouble, None);
    let expected = ["ada.king", "hanna.lindqvist", "marek.dvorak", "sofia.brandt", "tom.okafor"];
    assert_eq!(signet.seen().into_keys().collect::<Vec<_>>(), expected.map(|name| format!("{name}@northwind.example")));
    // Everything is read again, and who is not in the group any more is gone.
    place.control("POST", "groups/signature-users@northwind.example/members", &json!({ "remove": ["tom.okafor@northwind.example"] }));
    signet.round().await;
    assert_eq!(signet.seen().len(), 4);
    drop(signet);
    let everybody = place.signet();
    everybody.round().await;
    assert_eq!(everybody.seen(), place.truth());
}

#[tokio::test]
async fn a_tenant_that_is_stopped_is_forgotten() {
    let place = Place::small().await;
    let signet = place.signet();
    signet.round().await;
    // In the middle of a round.
    change(&place);
    place.fault("/v1.0/groups/delta", 1, Wrong::Slow(Duration::from_millis(200)));
    signet.synchroniser.now(TENANT);
    signet.until(|report| report.running).await;
    signet.synchroniser.stop(TENANT).await.expect("stopped");
    assert!(signet.directory().is_none() && signet.report() == Synchronised::default());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(place.rows().await, Vec::<String>::new());
    assert!(signet.directory().is_none());
    signet.round().await;
    assert_eq!(signet.seen(), place.truth());
}

#[tokio::test]
async fn pictures_are_read_and_kept_with_the_people_who_have_them() {
    let place = Place::small().await;
    let signet = place.signet();
    let hanna = mailbox("hanna.lindqvist@northwind.example");
    let photo = |signet: &Signet| signet.directory().and_then(|directory| directory.photo(&hanna).cloned());
    signet.round_with(true).await;
    let person = signet.directory().expect("in use").person(&hanna);
    let name = photo(&signet).expect("there is one").name.clone();
    assert!(person.attributes.contains(&("photo".to_owned(), name)), "{person:?}");
    assert!(photo(&signet).is_some_and(|photo| photo.media_type == "image/jpeg" && photo.content.starts_with(b"\xff\xd8\xff")));
    let sofia = mailbox("sofia.brandt@northwind.example");
    assert!(signet.directory().is_some_and(|directory| directory.photo(&sofia).is_none()));
    drop(signet);
    let again = place.signet();
    again.synchroniser.restore(TENANT, true).await.expect("restored");
    assert!(photo(&again).is_some(), "it is there before the service is asked");
    // After some days they are asked about again, mostly with the tag that is known; and without it, which tells what is gone.
    let change = |new: Option<(&str, &[u8])>| {
        place.cloud.with(|world| {
            let tenant = &mut world.tenants[0];
            let id = tenant.find(hanna.as_str(), Kind::User).expect("she is there").id;
            tenant.any_mut(id).expect("she is there").photo = new.map(|(tag, content)| (tag.to_owned(), content.to_vec()));
        });
    };
    let asked = async |at: i64| {
        let sql = "UPDATE directory_photo SET asked = ?1";
        place.store.run(move |database| database.execute(sql, [at])).await.expect("written");
        again.round_with(true).await
    };
    change(Some(("2", b"\xff\xd8\xffsecond")));
    again.round_with(true).await;
    assert!(photo(&again).is_some_and(|photo| !photo.content.ends_with(b"second")), "it is not asked for every time");
    asked(1).await;
    assert!(photo(&again).is_some_and(|photo| photo.content.ends_with(b"second")));
    asked(1).await;
    assert!(photo(&again).is_some_and(|photo| photo.content.ends_with(b"second")), "the same one is kept");
    // Larger than all the memory for pictures.
    change(Some(("3", &[b"\xff\xd8\xff".as_slice(), &[0; 50_000]].concat())));
    let report = asked(1).await;
    assert!(report.notes.iter().any(|note| note.contains("control.photo_memory")), "{:?}", report.notes);
    assert!(photo(&again).is_some_and(|photo| photo.content.ends_with(b"second")));
    change(None);
    asked(4).await;
    assert!(photo(&again).is_none());
}

/// Ends a Signet while its `number`th request is under way; false when it needs fewer.
async fn end_at_request(place: &Place, number: usize) -> bool {
    let before = place.requests();
    let after = u32::try_from(number - 1).expect("small");
    let slow = Wrong::Slow(Duration::from_millis(60));
    place.cloud.with(|world| world.faults.push(Fault { after, ..Fault::new("/v1.0", 1, slow) }));
    let signet = place.signet();
    signet.synchroniser.begin(TENANT, false);
    let begun = Instant::now();
    let reached = loop {
        assert!(begun.elapsed() < Duration::from_secs(20), "request {number} never ends");
        if place.requests() - before >= number {
            break true;
        }
        if signet.report().next.is_some() {
            break false;
        }
        tokio::task::yield_now().await;
    };
    drop(signet);
    place.control("DELETE", "faults", &json!({}));
    reached
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_it_is_killed_it_ends_as_if_it_had_not_been() {
    let undisturbed = Place::small().await;
    let signet = undisturbed.signet();
    signet.round().await;
    let first = (signet.seen(), undisturbed.rows().await);
    change_always_alike(&undisturbed);
    signet.round().await;
    let second = (signet.seen(), undisturbed.rows().await);
    assert_ne!(first.0, second.0);
    for number in 1.. {
        let place = Place::small().await;
        let reached = end_at_request(&place, number).await;
        let signet = place.signet();
        signet.synchroniser.restore(TENANT, false).await.expect("restored");
        assert!(signet.directory().is_none() || signet.seen() == first.0, "nothing unfinished is in use");
        signet.round().await;
        assert_eq!((signet.seen(), place.rows().await), first, "the first round, request {number}");
        drop(signet);
        change_always_alike(&place);
        let also = end_at_request(&place, number).await;
        let signet = place.signet();
        signet.synchroniser.restore(TENANT, false).await.expect("restored");
        assert!([&first.0, &second.0].contains(&&signet.seen()), "nothing unfinished is in use");
        signet.round().await;
        assert_eq!((signet.seen(), place.rows().await), second, "the round of changes, request {number}");
        if !reached && !also {
            assert!(number > 8, "there are several pages");
            break;
        }
    }
}

/// Like `change`, without new ids, which are drawn at random.
fn change_always_alike(place: &Place) {
    for (number, person) in ["ada.king", "hanna.lindqvist", "sofia.brandt", "tom.okafor", "bo.larsen", "info"].iter().enumerate() {
        let values: Map<String, Value> = [("jobTitle".to_owned(), json!(format!("Title {number}")))].into_iter().collect();
        place.control("PATCH", &format!("users/{person}@northwind.example"), &Value::Object(values));
    }
    place.control("DELETE", "users/dan.petersen@northwind.example", &json!({}));
    for group in ["everyone", "commercial", "harbour-office", "signature-users", "harbour-festival"] {
        let add = json!({ "add": ["carla.weiss@northwind.example"], "remove": ["ada.king@northwind.example"] });
        place.control("POST", &format!("groups/{group}@northwind.example/members"), &add);
    }
    place.control("DELETE", "groups/harbour-news@northwind.example", &json!({}));
}

#[test]
fn mail_is_signed_with_whoever_is_synchronised_and_else_with_whoever_is_configured() {
    harness::run(async {
        let rig = harness::Setup::signing().start().await;
        let rule = "[[rule]]\nname = \"Sales\"\nsignature = \"modern\"\nsender.groups = [\"sales@northwind.example\"]\n\
                    [[rule]]\nname = \"Others\"\nsignature = \"full\"\n";
        rig.rewrite("rules.toml", |_| rule.to_owned());
        rig.reload().await.expect("the rules are good");
        let signed = async |from: &str, id: &str| {
            let mail = String::from_utf8(harness::message(from, id, "<p>Hello.</p>\r\n")).expect("text").replace("text/plain", "text/html");
            rig.send(from, &["lucia@contoso.example"], mail.as_bytes()).await.is("250");
            (rig.event().copies[0].signatures.join(" "), String::from_utf8(rig.one().content).expect("text"))
        };
        let (hanna, ada) = ("hanna.lindqvist@northwind.example", "ada.king@northwind.example");
        let (chosen, before) = signed(hanna, "before").await;
        assert!(chosen == "full" && before.contains("Harbour Master"), "{before}");

        let photo =
            Asset { name: PERSON_PHOTO.to_owned(), media_type: "image/jpeg".to_owned(), content: b"\xff\xd8\xffpicture"[..].into() };
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let attributes = [("displayName", "Hanna Lindqvist"), ("jobTitle", "Synchronised")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let mut rows = Rows::default();
        rows.person(&Row {
            id: "1",
            addresses: &texts(&[hanna]),
            attributes: &attributes,
            photo: Some(&Arc::new(photo)),
            ..Row::default()
        });
        rows.group("g", &texts(&["Sales@northwind.example"]), "Sales");
        rows.member("g", "1");
        let current = rig.server.directories().of(harness::TENANT);
        current.synchronise(Some(Arc::new(rows.finish().0)));
        let (chosen, after) = signed(hanna, "after").await;
        assert!(chosen == "modern" && after.contains("Synchronised") && !after.contains("Harbour Master"), "{after}");
        let encoded = "/9j/cGljdHVyZQ==";
        assert!(after.contains("image/jpeg") && after.contains("cid:") && after.contains(encoded), "{after}");
        // The service does not know Ada; the file does. A reload does not forget who is synchronised.
        rig.rewrite("rules.toml", |rules| format!("{rules}\n"));
        rig.reload().await.expect("the rules are good");
        let (chosen, text) = signed(ada, "ada").await;
        assert!(chosen == "full" && text.contains("Ada King"), "{text}");
        assert_eq!(signed(hanna, "reloaded").await.0, "modern");

        current.synchronise(None);
        assert!(signed(hanna, "no more").await.1.contains("Harbour Master"));
    });
}
