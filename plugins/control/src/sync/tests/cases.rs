//! One case after the other: what is asked, and what follows from each kind of answer.

use serde_json::{Value, json};
use signet_plugin_sdk::control::{Cause, Change, Entry, HttpError, Page, Photo, Problem, Response, Synchronisation};

use super::{BASE, Service, answer, connection, failure};
use crate::sync::{page, photo};

const USERS_SELECT: &str = "id,businessPhones,employeeOrgData,onPremisesExtensionAttributes,proxyAddresses,displayName,givenName,surname,\
    jobTitle,department,companyName,officeLocation,mobilePhone,faxNumber,streetAddress,city,state,postalCode,country,usageLocation,\
    preferredLanguage,employeeId,employeeType,mail,mailNickname,userPrincipalName";

fn full() -> Synchronisation {
    Synchronisation::Full
}

fn next(path: &str, objects: Value) -> Value {
    json!({ "value": objects, "@odata.nextLink": format!("{BASE}{path}?$skiptoken=next") })
}

fn last(path: &str, objects: Value) -> Value {
    json!({ "value": objects, "@odata.deltaLink": format!("{BASE}{path}?$deltatoken=later") })
}

fn ann() -> Value {
    json!({ "id": "u1", "displayName": "Ann", "userPrincipalName": "ann@contoso.example", "mail": "ann@contoso.example" })
}

/// The first page of a first round whose users are these.
fn users(objects: Value) -> Result<Page, Problem> {
    one(answer(200, &next("/users/delta", objects)))
}

/// The first page of a first round, whatever it is.
fn one(reply: Result<Response, HttpError>) -> Result<Page, Problem> {
    page(&Service::scripted(vec![("/$count", answer(200, &json!(7))), ("/users/delta", reply)]), &connection(full()), None)
}

/// A cursor in the middle of the users.
fn middle() -> Vec<u8> {
    users(json!([])).expect("an empty page").cursor
}

fn people(page: &Page) -> Vec<&Entry> {
    page.changes.iter().filter_map(|change| if let Change::Person(entry) = change { Some(entry) } else { None }).collect()
}

fn texts(changes: &[Change]) -> Vec<String> {
    let text = |change: &Change| match change {
        Change::Person(entry) => format!("person {} of {:?}", entry.id, entry.manager),
        Change::PersonRemoved(id) => format!("no person {id}"),
        Change::Group(entry) => format!("group {}", entry.id),
        Change::GroupRemoved(id) => format!("no group {id}"),
        Change::Member((group, member)) => format!("{member} in {group}"),
        Change::MemberRemoved((group, member)) => format!("{member} not in {group}"),
        Change::MembersRestart(group) => format!("members of {group}"),
    };
    changes.iter().map(text).collect()
}

#[test]
fn a_first_round_reads_users_then_groups_and_the_next_one_only_what_has_changed() {
    let service = Service::scripted(vec![
        ("/users/$count", Ok(Response { status: 200, headers: vec![], body: "\u{feff}3".as_bytes().to_vec() })),
        ("/groups/$count", answer(200, &json!(2))),
        ("/users/delta?$select", answer(200, &next("/users/delta", json!([ann()])))),
        ("/users/delta?$skiptoken", answer(200, &last("/users/delta", json!([])))),
        ("/groups/delta?$select", answer(200, &next("/groups/delta", json!([{ "id": "g1", "displayName": "All" }])))),
        ("/groups/delta?$skiptoken", answer(200, &last("/groups/delta", json!([{ "id": "g1", "members@delta": [{ "id": "u1" }] }])))),
        ("/users/delta?$deltatoken", answer(200, &last("/users/delta", json!([{ "id": "u1", "@removed": { "reason": "changed" } }])))),
        ("/groups/delta?$deltatoken", answer(200, &last("/groups/delta", json!([])))),
    ]);
    let mut cursor = None;
    let mut seen = Vec::new();
    for _ in 0..6 {
        let page = page(&service, &connection(full()), cursor.as_deref()).expect("a page");
        let progress = &page.progress;
        seen.push((texts(&page.changes).join(", "), page.restarted, page.complete, progress.pages, progress.objects, progress.expected));
        cursor = Some(page.cursor);
    }
    let none = String::new;
    assert_eq!(
        seen,
        [
            ("person u1 of Some(\"\")".to_owned(), true, false, 1, 1, Some(5)),
            (none(), false, false, 2, 1, Some(5)),
            ("group g1".to_owned(), false, false, 3, 2, Some(5)),
            ("u1 in g1".to_owned(), false, true, 4, 3, Some(5)),
            ("no person u1".to_owned(), false, false, 1, 1, None),
            (none(), false, true, 2, 1, None),
        ]
    );
    assert_eq!(
        service.asked(),
        [
            format!("GET /users/delta?$select={USERS_SELECT},manager"),
            "GET /users/$count".to_owned(),
            "GET /groups/$count".to_owned(),
            "GET /users/delta?$skiptoken=next".to_owned(),
            "GET /groups/delta?$select=displayName,mail,proxyAddresses,mailNickname,groupTypes,mailEnabled,securityEnabled,members"
                .to_owned(),
            "GET /groups/delta?$skiptoken=next".to_owned(),
            "GET /users/delta?$deltatoken=later".to_owned(),
            "GET /groups/delta?$deltatoken=later".to_owned(),
        ]
    );
}

#[test]
fn a_person_has_the_attributes_that_templates_name() {
    let page = users(json!([{
        "id": "u1", "displayName": "Ann", "givenName": "", "surname": "  ", "jobTitle": null, "department": "Sales",
        "userPrincipalName": "ann@contoso.example", "businessPhones": ["", "+49 1", "+49 2"], "mobilePhone": "+49 3",
        "employeeOrgData": { "division": "North", "costCenter": null }, "unknown": { "deep": [1] },
        "onPremisesExtensionAttributes": { "extensionAttribute1": "she/her", "extensionAttribute15": "x", "extensionAttribute2": null,
            "extensionAttribute16": "no" },
        "proxyAddresses": ["smtp:a@contoso.example", "SMTP:Ann@contoso.example", "X500:/o=x", "sip:ann@contoso.example", "SPO:x@y", "smtp:",
            "smtp:ANN@contoso.example", "smtp:a b@contoso.example", "Smtp:b@contoso.example"],
        "mail": "ann@CONTOSO.example", "manager@delta": [{ "@odata.type": "#microsoft.graph.user", "id": "u2" }]
    }]))
    .expect("a page");
    let [person] = people(&page)[..] else { panic!("{page:?}") };
    assert_eq!(person.addresses, ["Ann@contoso.example", "a@contoso.example", "b@contoso.example"]);
    assert_eq!(person.manager.as_deref(), Some("u2"));
    let attributes: Vec<String> = person.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let wanted = "displayName=Ann|department=Sales|mobilePhone=+49 3|mail=ann@CONTOSO.example|userPrincipalName=ann@contoso.example|\
        businessPhone=+49 1|businessPhones=+49 1, +49 2|division=North|extensionAttribute1=she/her|extensionAttribute15=x";
    assert_eq!(attributes.join("|"), wanted);
}

#[test]
fn a_person_is_who_has_an_address_here() {
    let account = |changes: Value| {
        let mut account = json!({ "id": "u1", "userPrincipalName": "ann@contoso.example", "accountEnabled": false });
        account.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
        account
    };
    for (account, addresses) in [
        (account(json!({ "mail": "shared@contoso.example" })), Some(vec!["shared@contoso.example"])),
        (account(json!({ "proxyAddresses": ["smtp:only@contoso.example"] })), Some(vec!["only@contoso.example"])),
        (account(json!({ "mail": "m@c.example", "proxyAddresses": ["SMTP:p@c.example"] })), Some(vec!["p@c.example", "m@c.example"])),
        (account(json!({})), None),
        (account(json!({ "mail": null, "proxyAddresses": [] })), None),
        (account(json!({ "mail": "not an address" })), None),
        (account(json!({ "proxyAddresses": ["SIP:ann@contoso.example"] })), None),
        (account(json!({ "mail": "ann@home.example", "userPrincipalName": "ann_home.example#EXT#@contoso.example" })), None),
        (account(json!({ "mail": "ann@contoso.example", "userType": "Guest" })), Some(vec!["ann@contoso.example"])),
        (account(json!({ "mail": "ann@contoso.example", "@removed": { "reason": "deleted" } })), None),
    ] {
        let page = users(json!([account])).expect("a page");
        match addresses {
            Some(addresses) => assert_eq!(people(&page)[0].addresses, addresses, "{account}"),
            None => assert_eq!(texts(&page.changes), ["no person u1"], "{account}"),
        }
    }
}

#[test]
fn a_manager_is_set_cleared_or_left_as_the_service_tells_it() {
    let now = json!({ "@odata.type": "#microsoft.graph.user", "id": "u3" });
    let before = json!({ "@odata.type": "#microsoft.graph.user", "id": "u2", "@removed": { "reason": "deleted" } });
    let cursor = {
        let service = Service::scripted(vec![
            ("/$count", failure(403, "Authorization_RequestDenied")),
            ("/users/delta", answer(200, &last("/users/delta", json!([])))),
            ("/groups/delta", answer(200, &last("/groups/delta", json!([])))),
        ]);
        let first = page(&service, &connection(full()), None).expect("users");
        assert_eq!(first.progress.expected, None);
        page(&service, &connection(full()), Some(&first.cursor)).expect("groups").cursor
    };
    for (told, at_first, later) in [
        (Value::Null, Some(""), None),
        (json!([]), Some(""), None),
        (json!([now]), Some("u3"), Some("u3")),
        (json!([before]), Some(""), Some("")),
        (json!([before, now]), Some("u3"), Some("u3")),
        (json!([now, before]), Some("u3"), Some("u3")),
    ] {
        let mut user = ann();
        user["manager@delta"] = told.clone();
        let first = users(json!([user])).expect("a page");
        let service = Service::scripted(vec![("/users/delta", answer(200, &last("/users/delta", json!([user]))))]);
        let change = page(&service, &connection(full()), Some(&cursor)).expect("a page");
        assert_eq!(people(&first)[0].manager.as_deref(), at_first, "{told} at first");
        assert_eq!(people(&change)[0].manager.as_deref(), later, "{told} later");
    }
}

#[test]
fn pieces_of_a_group_add_up_and_only_what_can_send_is_a_member() {
    let kind = |kind: &str, id: &str| json!({ "@odata.type": format!("#microsoft.graph.{kind}"), "id": id });
    let gone = json!({ "@odata.type": "#microsoft.graph.user", "id": "u3", "@removed": { "reason": "deleted" } });
    let groups = json!([
        { "id": "g1", "displayName": "All", "mail": "all@contoso.example", "groupTypes": ["Unified"], "mailEnabled": true,
          "members@delta": [kind("user", "u1"), kind("group", "g2"), kind("device", "d1"), kind("orgContact", "c1")] },
        { "id": "g1", "members@delta": [kind("user", "u2"), gone, { "id": "u4" }] },
        { "id": "g2", "@removed": { "reason": "changed" } },
        { "id": "g3" },
    ]);
    let service = Service::scripted(vec![
        ("/$count", answer(200, &json!(1))),
        ("/users/delta", answer(200, &last("/users/delta", json!([])))),
        ("/groups/delta", answer(200, &last("/groups/delta", groups))),
    ]);
    let first = page(&service, &connection(full()), None).expect("users");
    let found = page(&service, &connection(full()), Some(&first.cursor)).expect("groups");
    let wanted = ["group g1", "u1 in g1", "g2 in g1", "u2 in g1", "u3 not in g1", "u4 in g1", "no group g2"];
    assert_eq!(texts(&found.changes), wanted);
    let Change::Group(entry) = &found.changes[0] else { panic!("{found:?}") };
    assert_eq!((entry.addresses.join(" "), entry.manager.as_deref()), ("all@contoso.example".to_owned(), None));
    let kind = entry.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
    assert_eq!(kind, "displayName=All mail=all@contoso.example mailEnabled=true groupTypes=Unified");
    assert_eq!((found.complete, found.progress.subject.as_str()), (true, "groups"));
}

#[test]
fn somebody_told_in_part_is_read_again_as_a_whole() {
    let parts: Vec<Value> = (0..130).map(|number| json!({ "id": format!("u{number}"), "manager@delta": [{ "id": "boss" }] })).collect();
    let service = Service::new(|request| {
        let Some(body) = &request.body else { return answer(200, &last("/users/delta", json!(parts))) };
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let reply = |inner: &Value| {
            let id = inner["url"].as_str().expect("an address")["/users/".len()..].split('?').next().expect("an id").to_owned();
            let missing = json!({ "id": inner["id"], "status": 404, "body": { "error": { "code": "Request_ResourceNotFound" } } });
            let mail = format!("{id}@contoso.example");
            let found = json!({ "id": inner["id"], "status": 200, "body": { "id": id, "userPrincipalName": mail, "mail": mail } });
            if id == "u7" { missing } else { found }
        };
        let responses: Vec<Value> = body["requests"].as_array().expect("a list").iter().rev().map(reply).collect();
        answer(200, &json!({ "responses": responses }))
    });
    let mut found = page(&service, &connection(full()), None).expect("a page");
    assert_eq!((found.changes.len(), found.complete), (0, false));
    let mut changes = Vec::new();
    for _ in 0..2 {
        found = page(&service, &connection(full()), Some(&found.cursor)).expect("a page");
        changes.extend(texts(&found.changes));
    }
    let wanted = |number| if number == 7 { "no person u7".to_owned() } else { format!("person u{number} of Some(\"boss\")") };
    assert_eq!(changes, (0..130).map(wanted).collect::<Vec<_>>());
    let batches = service.asked().iter().filter(|asked| *asked == "POST /$batch").count();
    assert_eq!(batches, 7);
    assert!(String::from_utf8_lossy(&found.cursor).contains("\"stage\":\"groups\""));
}

#[test]
fn a_forgotten_link_begins_a_round_that_reads_everything() {
    for forgotten in [
        failure(410, "resyncRequired"),
        failure(410, ""),
        Ok(Response { status: 410, headers: vec![], body: vec![] }),
        failure(400, "syncStateNotFound"),
        failure(404, "SyncStateNotFound"),
        failure(400, "Directory_ExpiredPageToken"),
        failure(400, "Request_BadRequest"),
        answer(409, &json!({ "error": { "code": "x", "innerError": { "code": "resyncRequired" } } })),
    ] {
        let service = Service::scripted(vec![
            ("token=", forgotten.clone()),
            ("/$count", answer(200, &json!(1))),
            ("/users/delta?$select", answer(200, &next("/users/delta", json!([ann()])))),
        ]);
        let found = page(&service, &connection(full()), Some(&middle())).unwrap_or_else(|problem| panic!("{forgotten:?}: {problem:?}"));
        assert!(found.restarted && !found.complete, "{forgotten:?}");
        assert_eq!((found.progress.pages, people(&found).len(), found.notes.len()), (1, 1, 1), "{forgotten:?}");
        // At once again: reading in circles is slowed down, and the cursor stays good.
        service.now.set(service.now.get() + 60_000);
        let problem = page(&service, &connection(full()), Some(&found.cursor)).expect_err("too soon");
        assert!(matches!(problem.cause, Cause::Unavailable), "{problem:?}");
        assert_eq!(problem.wait, Some(240));
        service.now.set(service.now.get() + 240_000);
        assert!(page(&service, &connection(full()), Some(&found.cursor)).expect("a page").restarted);
    }
}

#[test]
fn a_first_request_that_is_refused_does_not_begin_anew() {
    let service = Service::scripted(vec![("/users/delta", failure(410, "resyncRequired"))]);
    let problem = page(&service, &connection(full()), None).expect_err("refused");
    assert!(matches!(problem.cause, Cause::Protocol), "{problem:?}");
    assert_eq!(service.asked().len(), 1);
}

#[test]
fn a_failure_says_whether_and_when_to_repeat() {
    let busy = |after: Option<&str>| {
        let headers = after.map(|after| ("retry-after".to_owned(), after.to_owned())).into_iter().collect();
        Ok(Response { status: 429, headers, body: vec![] })
    };
    for (reply, cause, wait) in [
        (busy(Some("17")), "Unavailable", Some(17)),
        (busy(None), "Unavailable", Some(30)),
        (busy(Some("Tue, 24 Nov 2026 10:00:00 GMT")), "Unavailable", Some(30)),
        (failure(500, "InternalServerError"), "Unavailable", Some(30)),
        (failure(503, "serviceNotAvailable"), "Unavailable", Some(30)),
        (failure(504, "GatewayTimeout"), "Unavailable", Some(30)),
        (Err(HttpError::TimedOut), "Unavailable", Some(30)),
        (Err(HttpError::Unreachable("reset".to_owned())), "Unavailable", Some(30)),
        (failure(401, "InvalidAuthenticationToken"), "Credential", None),
        (Err(HttpError::NoCredential("expired".to_owned())), "Credential", None),
        (failure(403, "Authorization_RequestDenied"), "Permission", None),
        (Err(HttpError::Denied("host".to_owned())), "Denied", None),
        (Ok(Response { status: 302, headers: vec![], body: vec![] }), "Protocol", None),
        (Err(HttpError::TooLarge(8 << 20)), "Protocol", None),
    ] {
        for cursor in [None, Some(middle())] {
            let service = Service::scripted(vec![("/users/delta", reply.clone())]);
            let problem = page(&service, &connection(full()), cursor.as_deref()).expect_err("a failure");
            assert_eq!((format!("{:?}", problem.cause).rsplit("::").next(), problem.wait), (Some(cause), wait), "{reply:?}");
            assert!(!problem.detail.contains("token"), "{}", problem.detail);
        }
    }
}

#[test]
fn a_page_that_is_none_is_refused_without_quoting_it() {
    let link = |path: &str| json!({ "value": [], "@odata.nextLink": path });
    let long = format!("{BASE}/users/delta?$skiptoken={}", "x".repeat(40_000));
    let bodies = vec![
        "".to_owned(),
        "[]".to_owned(),
        "{\"value\":[{\"id\":\"secret".to_owned(),
        "\"secret\"".to_owned(),
        json!({ "value": "secret", "@odata.nextLink": format!("{BASE}/users/delta?x") }).to_string(),
        json!({ "value": null, "@odata.nextLink": format!("{BASE}/users/delta?x") }).to_string(),
        json!({ "@odata.nextLink": format!("{BASE}/users/delta?x") }).to_string(),
        json!({ "value": [ann()] }).to_string(),
        json!({ "value": [], "@odata.nextLink": 7 }).to_string(),
        json!({ "value": [], "@odata.nextLink": format!("{BASE}/users/delta?a"), "@odata.deltaLink": format!("{BASE}/users/delta?b") })
            .to_string(),
        link("").to_string(),
        link("https://evil.example/v1.0/users/delta?secret").to_string(),
        link("https://graph.microsoft.com.evil.example/v1.0/users/delta?secret").to_string(),
        link("https://graph.microsoft.com@evil.example/v1.0/users/delta?secret").to_string(),
        link("http://graph.microsoft.com/v1.0/users/delta?secret").to_string(),
        link(&format!("{BASE}/groups/delta?secret")).to_string(),
        link(&format!("{BASE}/users/delta/../u1?secret")).to_string(),
        link(&format!("{BASE}/users/delta?secret#x")).to_string(),
        link(&format!("{BASE}/users/delta?a b")).to_string(),
        link(&format!("{BASE}/users/delta")).to_string(),
        link("/users/delta?secret").to_string(),
        link(&long).to_string(),
        link(&format!("{BASE}/users/delta?$select={USERS_SELECT},manager")).to_string(),
    ];
    for body in bodies {
        let reply = Ok(Response { status: 200, headers: vec![], body: body.clone().into_bytes() });
        let problem = one(reply).expect_err(&body);
        assert!(matches!(problem.cause, Cause::Protocol), "{body}: {problem:?}");
        assert!(!problem.detail.contains("secret"), "{}", problem.detail);
    }
}

#[test]
fn a_link_may_spell_the_same_place_in_another_way() {
    for link in [
        "https://GRAPH.microsoft.com/v1.0/users/delta?$skiptoken=a",
        "https://graph.microsoft.com/v1.0/Users/delta()?$skiptoken=a",
        "https://graph.microsoft.com/v1.0/users/microsoft.graph.delta()?$skiptoken=a",
        "https://graph.microsoft.com/v1.0/users/microsoft.graph.delta?$skiptoken=a/b%2f..",
    ] {
        let found = one(answer(200, &json!({ "value": [], "@odata.nextLink": link }))).expect(link);
        let service = Service::scripted(vec![("", answer(200, &last("/users/delta", json!([]))))]);
        page(&service, &connection(full()), Some(&found.cursor)).expect(link);
        assert_eq!(service.sent.borrow()[0].url, link);
    }
}

#[test]
fn a_few_unreadable_objects_are_left_out_and_many_refused() {
    let many = |good: usize, wrong: &[Value]| {
        let mut objects: Vec<Value> = (0..good).map(|number| json!({ "id": format!("u{number}"), "userPrincipalName": "a@b.c" })).collect();
        objects.splice(good / 2..good / 2, wrong.iter().cloned());
        users(json!(objects))
    };
    let mut wrong = Vec::new();
    for (property, value) in [
        ("jobTitle", json!(5)),
        ("proxyAddresses", json!("SMTP:secret@contoso.example")),
        ("proxyAddresses", json!([null])),
        ("businessPhones", json!({ "secret": 1 })),
        ("id", json!(null)),
        ("id", json!("../secret")),
        ("userPrincipalName", json!(["secret"])),
        ("onPremisesExtensionAttributes", json!({ "extensionAttribute1": 7 })),
        ("employeeOrgData", json!("secret")),
        ("manager@delta", json!({ "id": "secret" })),
    ] {
        let mut object = ann();
        object[property] = value;
        let found = many(5, std::slice::from_ref(&object)).expect("one is tolerated");
        assert_eq!(found.changes.len(), 5, "{object}");
        assert_eq!(found.notes, [format!("Left out: 1 of 6 objects, unreadable because of {property} (1).")]);
        wrong.push(object);
    }
    assert_eq!(many(5, &[json!("secret")]).expect("one is tolerated").changes.len(), 5);
    assert_eq!(many(290, &wrong[..3]).expect_err("more than one in a hundred").wait, Some(30));
    let found = many(297, &wrong[..3]).expect("one in a hundred");
    assert_eq!(found.notes, ["Left out: 3 of 300 objects, unreadable because of jobTitle (1), proxyAddresses (2)."]);
    let problem = many(2, &wrong[..2]).expect_err("two of four");
    assert!(matches!(problem.cause, Cause::Protocol) && !problem.detail.contains("secret"), "{problem:?}");
}

#[test]
fn a_cursor_of_another_kind_begins_anew() {
    let good = String::from_utf8(middle()).expect("text");
    let limited = Synchronisation::Limited("g1".to_owned());
    let cases = [
        ("this version's", good.clone(), full(), false),
        ("another version's", good.replace("\"version\":1", "\"version\":2"), full(), true),
        ("a later one's with more in it", good.replace("{\"version\"", "{\"more\":1,\"version\""), full(), true),
        ("another place's", good.replace("microsoft.com/v1.0/users/delta?", "microsoft.com/v1.0/domains?"), full(), true),
        ("another host's", good.replace("https://graph.microsoft.com/v1.0/users", "https://evil.example/v1.0/users"), full(), true),
        ("of the wrong stage", good.replace("\"people\"", "\"groups\""), full(), true),
        ("nothing", String::new(), full(), true),
        ("other words", "{}".to_owned(), full(), true),
        ("for everybody", good, limited, true),
    ];
    for (what, cursor, synchronisation, anew) in cases {
        let service = Service::scripted(vec![
            ("/$count", answer(200, &json!(1))),
            ("/users/delta", answer(200, &last("/users/delta", json!([])))),
            ("/transitiveMembers/", answer(200, &json!({ "value": [] }))),
            ("/groups/g1", answer(200, &json!({ "id": "g1", "mailEnabled": true, "securityEnabled": true }))),
        ]);
        let found = page(&service, &connection(synchronisation), Some(cursor.as_bytes())).expect(what);
        assert_eq!((found.restarted, found.notes.len()), (anew, usize::from(anew)), "{what}");
    }
}

const SIGNED: &str = "33333333-3333-4333-8333-333333333333";

fn limited_service(group: Result<Response, HttpError>, batch: Result<Response, HttpError>) -> Service<'static> {
    let guest = json!({ "id": "u9", "userPrincipalName": "x#EXT#@contoso.example", "mail": "x@home.example" });
    let members = format!("{BASE}/groups/{SIGNED}/transitiveMembers/microsoft.graph.user?$skiptoken=next");
    let people = json!({ "value": [ann(), guest], "@odata.count": 57, "@odata.nextLink": members });
    Service::scripted(vec![
        ("$skiptoken=next", answer(200, &json!({ "value": [] }))),
        ("/transitiveMembers/", answer(200, &people)),
        ("/groups/33333333", group),
        ("/$batch", batch),
        ("/transitiveMemberOf/microsoft.graph.group?$skiptoken=more", answer(200, &json!({ "value": [{ "id": "g2" }] }))),
    ])
}

fn signed() -> Result<Response, HttpError> {
    answer(200, &json!({ "id": SIGNED, "displayName": "Signed", "mailEnabled": true, "securityEnabled": true, "groupTypes": [] }))
}

fn batch(groups: Value, manager: Value) -> Result<Response, HttpError> {
    answer(200, &json!({ "responses": [manager, groups] }))
}

#[test]
fn a_limited_round_asks_for_nobody_but_the_members() {
    let more = format!("{BASE}/users/u1/transitiveMemberOf/microsoft.graph.group?$skiptoken=more");
    let groups = json!({ "id": "0", "status": 200, "body": {
        "value": [{ "id": SIGNED, "displayName": "Signed", "mail": "s@contoso.example" }], "@odata.nextLink": more } });
    let manager = json!({ "id": "1", "status": 200, "body": { "id": "u5" } });
    let service = limited_service(signed(), batch(groups, manager));
    let connection = connection(Synchronisation::Limited(SIGNED.to_owned()));
    let first = page(&service, &connection, None).expect("a page");
    let wanted =
        ["no person u9", "person u1 of Some(\"u5\")", &format!("group {SIGNED}"), &format!("u1 in {SIGNED}"), "group g2", "u1 in g2"];
    assert_eq!(texts(&first.changes), wanted);
    assert_eq!((first.restarted, first.complete, first.progress.expected), (true, false, Some(57)));
    let second = page(&service, &connection, Some(&first.cursor)).expect("a page");
    assert_eq!((second.restarted, second.complete, second.progress.objects), (false, true, 2));
    assert!(page(&service, &connection, Some(&second.cursor)).expect("a page").restarted, "the next round reads everything");
    let sent = service.sent.borrow();
    assert_eq!(
        service.asked()[..5],
        [
            format!("GET /groups/{SIGNED}?$select=id,displayName,mailEnabled,securityEnabled,groupTypes"),
            format!("GET /groups/{SIGNED}/transitiveMembers/microsoft.graph.user?$select={USERS_SELECT}&$count=true&$top=40"),
            "POST /$batch".to_owned(),
            "GET /users/u1/transitiveMemberOf/microsoft.graph.group?$skiptoken=more".to_owned(),
            format!("GET /groups/{SIGNED}/transitiveMembers/microsoft.graph.user?$skiptoken=next"),
        ]
    );
    let advanced = |index: usize| sent[index].headers.contains(&("ConsistencyLevel".to_owned(), "eventual".to_owned()));
    assert_eq!((0..5).map(advanced).collect::<Vec<_>>(), [false, true, false, true, true]);
    let body: Value = serde_json::from_slice(sent[2].body.as_deref().expect("a body")).expect("JSON");
    let groups_url = "/users/u1/transitiveMemberOf/microsoft.graph.group?$select=id,displayName,mail&$count=true&$top=999";
    assert_eq!(
        body,
        json!({ "requests": [
            { "id": "0", "method": "GET", "url": groups_url, "headers": { "ConsistencyLevel": "eventual" } },
            { "id": "1", "method": "GET", "url": "/users/u1/manager?$select=id" }
        ] })
    );
}

#[test]
fn a_limited_round_stops_when_its_group_is_gone_or_of_another_kind() {
    let kind = |mail: bool, security: bool, types: Value| {
        answer(200, &json!({ "id": SIGNED, "displayName": "S", "mailEnabled": mail, "securityEnabled": security, "groupTypes": types }))
    };
    for (group, cause) in [
        (failure(404, "Request_ResourceNotFound"), "Missing"),
        (kind(true, true, json!(["Unified"])), "Unfit"),
        (kind(true, false, json!([])), "Unfit"),
        (kind(false, true, Value::Null), "Unfit"),
        (kind(true, true, json!("Unified")), "Protocol"),
        (failure(429, "TooManyRequests"), "Unavailable"),
    ] {
        let service = limited_service(group.clone(), Err(HttpError::TimedOut));
        let connection = connection(Synchronisation::Limited(SIGNED.to_owned()));
        let problem = page(&service, &connection, None).expect_err(cause);
        assert_eq!(format!("{:?}", problem.cause).rsplit("::").next(), Some(cause), "{group:?}");
        assert_eq!(service.asked().len(), 1, "{group:?}");
    }
}

#[test]
fn a_part_of_a_batch_that_fails_is_not_taken_for_nothing() {
    let good = json!({ "id": "0", "status": 200, "body": { "value": [] } });
    let none = json!({ "id": "1", "status": 404, "body": { "error": { "code": "Request_ResourceNotFound" } } });
    let busy = |id: &str, after: &str| json!({ "id": id, "status": 429, "headers": { "Retry-After": after }, "body": {} });
    let part = |id: &str, status: u16, body: Value| json!({ "id": id, "status": status, "body": body });
    for (what, responses, wanted) in [
        ("no manager", json!([none, good]), Ok("no person u9, person u1 of Some(\"\")")),
        ("deleted meanwhile", json!([none, part("0", 404, json!({}))]), Ok("no person u9")),
        ("one busy", json!([good, busy("1", "9")]), Err(("Unavailable", Some(9)))),
        ("both busy", json!([busy("1", "9"), busy("0", "40")]), Err(("Unavailable", Some(40)))),
        ("busy without a time", json!([good, part("1", 503, json!({}))]), Err(("Unavailable", Some(30)))),
        ("not allowed", json!([part("0", 403, json!({})), none]), Err(("Permission", None))),
        ("an answer is missing", json!([good]), Err(("Protocol", Some(30)))),
        ("no page", json!([part("0", 200, json!({ "value": 1 })), none]), Err(("Protocol", Some(30)))),
        ("no group", json!([part("0", 200, json!({ "value": [{}] })), none]), Err(("Protocol", Some(30)))),
        ("no manager object", json!([good, part("1", 200, json!({ "id": 5 }))]), Err(("Protocol", Some(30)))),
        ("no list", json!(5), Err(("Protocol", Some(30)))),
    ] {
        let service = limited_service(signed(), answer(200, &json!({ "responses": responses })));
        let found = page(&service, &connection(Synchronisation::Limited(SIGNED.to_owned())), None);
        match (found, wanted) {
            (Ok(page), Ok(wanted)) => assert_eq!(texts(&page.changes).join(", "), wanted, "{what}"),
            (Err(problem), Err((cause, wait))) => {
                assert_eq!((format!("{:?}", problem.cause).rsplit("::").next(), problem.wait), (Some(cause), wait), "{what}: {problem:?}");
            }
            (found, _) => panic!("{what}: {found:?}"),
        }
    }
}

const PIXEL: &[u8] = b"GIF89a\x01\0\x01\0\x80";
const JPEG: &[u8] = &[0xFF, 0xD8, 0xFF, 0xE0, 1, 2, 3];

fn picture(octets: &[u8]) -> Result<Response, HttpError> {
    Ok(Response { status: 200, headers: vec![], body: octets.to_vec() })
}

fn described(tag: &str, width: u32) -> Result<Response, HttpError> {
    answer(200, &json!({ "id": "a", "@odata.mediaEtag": tag, "@odata.mediaContentType": "image/png", "width": width, "height": width }))
}

#[test]
fn a_picture_is_read_once_in_a_fitting_size() {
    let none = || failure(404, "ImageNotFound");
    let large = vec![0xFF; 64 * 1024 + 1];
    let ask = "GET /users/u1/photo";
    let original = "GET /users/u1/photo/$value";
    let middle = "GET /users/u1/photos/240x240/$value";
    let small = "GET /users/u1/photos/96x96/$value";
    let cases = [
        ("a small one", described("W/1", 96), vec![("photo/$value", picture(JPEG))], Some(JPEG), vec![ask, original]),
        ("a large one", described("W/1", 648), vec![("240x240", picture(JPEG))], Some(JPEG), vec![ask, middle]),
        (
            "a heavy one",
            described("W/1", 648),
            vec![("240x240", picture(&large)), ("96x96", picture(JPEG))],
            Some(JPEG),
            vec![ask, middle, small],
        ),
        ("one that went", described("W/1", 648), vec![("240x240", none()), ("96x96", none())], None, vec![ask, middle, small]),
        ("a pixel", described("W/1", 4), vec![("photo/$value", picture(PIXEL)), ("96x96", none())], None, vec![ask, original, small]),
        (
            "no picture",
            described("W/1", 4),
            vec![("photo/$value", picture(b"<html>")), ("96x96", none())],
            None,
            vec![ask, original, small],
        ),
        ("none", none(), vec![], None, vec![ask]),
        ("the description of a pixel", described("W/1", 1), vec![], None, vec![ask]),
        ("one without a tag", described("", 648), vec![], None, vec![ask]),
        ("the known one", described("known", 648), vec![], None, vec![ask]),
    ];
    for (what, description, mut values, wanted, asked) in cases {
        values.push(("/photo", description));
        let service = Service::scripted(values);
        let found: Option<Photo> = photo(&service, &connection(full()), "u1", Some("known")).expect(what);
        assert_eq!(found.as_ref().map(|photo| photo.content.as_slice()), wanted, "{what}");
        assert_eq!(service.asked(), asked, "{what}");
        if let Some(photo) = found {
            assert_eq!((photo.media_type.as_str(), photo.tag.as_str()), ("image/jpeg", "W/1"), "{what}");
        }
    }
}

#[test]
fn a_picture_that_cannot_be_read_now_is_not_taken_for_none() {
    for (script, cause) in [
        (vec![("/photo", failure(429, "TooManyRequests"))], "Unavailable"),
        (vec![("/photo", failure(403, "ErrorAccessDenied"))], "Permission"),
        (vec![("/photo", answer(200, &json!([])))], "Protocol"),
        (vec![("$value", failure(503, "x")), ("/photo", described("t", 96))], "Unavailable"),
        (vec![("$value", Err(HttpError::TimedOut)), ("/photo", described("t", 96))], "Unavailable"),
    ] {
        let problem = photo(&Service::scripted(script), &connection(full()), "u1", None).expect_err(cause);
        assert_eq!(format!("{:?}", problem.cause).rsplit("::").next(), Some(cause));
    }
}

#[test]
fn an_id_cannot_change_the_request() {
    let service = Service::scripted(vec![("", failure(404, "x"))]);
    photo(&service, &connection(full()), "../../groups?x=1#", None).expect("nobody");
    assert_eq!(service.asked(), ["GET /users/..%2F..%2Fgroups%3Fx%3D1%23/photo"]);
}
