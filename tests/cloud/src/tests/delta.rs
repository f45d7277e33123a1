//! Change tracking.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{get, small};
use crate::{Call, Cloud, Resource, Size};

/// Reads a round; gives its items and the delta link.
fn round(cloud: &Cloud, start: &str) -> (Vec<Value>, String, usize) {
    let (mut target, mut items, mut pages) = (start.to_owned(), Vec::new(), 0);
    loop {
        let (status, body) = get(cloud, &target);
        assert_eq!(status, 200, "{target}: {body}");
        pages += 1;
        items.extend(body["value"].as_array().unwrap().iter().cloned());
        match (body["@odata.nextLink"].as_str(), body["@odata.deltaLink"].as_str()) {
            (Some(next), None) => target = next.to_owned(),
            (None, Some(link)) => return (items, link.to_owned(), pages),
            other => panic!("{other:?}"),
        }
    }
}

fn set(cloud: &Cloud, login: &str, name: &str, value: Value) {
    let id = cloud.id(login).unwrap();
    cloud.with(|world| world.tenants[0].change(id, &Map::from_iter([(name.to_owned(), value)])));
}

#[test]
fn a_round_reads_all_and_the_next_one_what_changed() {
    let cloud = small();
    let (all, link, _) = round(&cloud, "/v1.0/users/delta?$select=id,mail,jobTitle,manager");
    assert_eq!(all.len(), 12);
    let (none, link, _) = round(&cloud, &link);
    assert_eq!(none, Vec::<Value>::new());
    let tom = cloud.id("tom.okafor@northwind.example").unwrap();
    let sofia = cloud.id("sofia.brandt@northwind.example").unwrap();
    let ada = cloud.id("ada.king@northwind.example").unwrap();
    set(&cloud, "tom.okafor@northwind.example", "jobTitle", Value::Null);
    set(&cloud, "tom.okafor@northwind.example", "manager", json!(ada.to_string()));
    set(&cloud, "hanna.lindqvist@northwind.example", "city", json!("Bremen"));
    cloud.with(|world| world.tenants[0].remove(sofia, false));
    let (items, link, _) = round(&cloud, &link);
    assert_eq!(
        items,
        [
            json!({
                "id": tom.to_string(), "mail": "tom.okafor@northwind.example", "jobTitle": null,
                "manager@delta": [{"@odata.type": "#microsoft.graph.user", "id": ada.to_string()}],
            }),
            json!({"id": sofia.to_string(), "@removed": {"reason": "changed"}}),
        ],
        "what is cleared is null; what is not selected is not told"
    );
    cloud.with(|world| world.tenants[0].restore(sofia));
    let (items, link, _) = round(&cloud, &link);
    assert_eq!(items[0]["mail"], "sofia.brandt@northwind.example");
    cloud.with(|world| world.tenants[0].remove(sofia, true));
    let (items, _, _) = round(&cloud, &link);
    assert_eq!(items, [json!({"id": sofia.to_string(), "@removed": {"reason": "deleted"}})]);
}

#[test]
fn minimal_answers_hold_only_what_changed() {
    let cloud = small();
    let token = cloud.application_token("sync", Resource::Graph).unwrap();
    let start = Call::get("/v1.0/users/delta?$select=id,mail,city&$deltaToken=latest").bearer(&token).header("Prefer", "return=minimal");
    let body = cloud.answer(&start).value();
    assert_eq!(body["value"], json!([]));
    set(&cloud, "tom.okafor@northwind.example", "city", json!("Bremen"));
    let (items, _, _) = round(&cloud, body["@odata.deltaLink"].as_str().unwrap());
    let tom = cloud.id("tom.okafor@northwind.example").unwrap();
    assert_eq!(items, [json!({"id": tom.to_string(), "city": "Bremen"})]);
}

#[test]
fn a_large_group_is_split_over_items_and_pages() {
    let cloud = Cloud::sized(super::BASE, &Size { people: 230, groups: 4, seed: 9 }).unwrap();
    cloud.with(|world| {
        world.knobs.member_chunk = 50;
        world.knobs.group_page = 3;
        world.knobs.empty_page_every = 3;
    });
    let (items, link, pages) = round(&cloud, "/v1.0/groups/delta?$select=displayName,members");
    assert!(pages > 4, "{pages}");
    let mut members: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for item in &items {
        let ids = item["members@delta"].as_array().unwrap().iter().map(|member| member["id"].as_str().unwrap().to_owned());
        members.entry(item["id"].as_str().unwrap().to_owned()).or_default().extend(ids);
    }
    let expected: BTreeMap<String, BTreeSet<String>> = cloud.with(|world| {
        let groups = world.tenants[0].live(crate::Kind::Group);
        groups.map(|group| (group.id.to_string(), group.members.iter().map(ToString::to_string).collect())).collect()
    });
    assert_eq!(members, expected);
    let (group, tom) = (cloud.id("commercial@northwind.example").unwrap(), cloud.id("tom.okafor@northwind.example").unwrap());
    let ada = cloud.id("ada.king@northwind.example").unwrap();
    cloud.with(|world| world.tenants[0].change_members(group, &[tom], &[ada]));
    let (items, _, _) = round(&cloud, &link);
    let told = json!([
        {"@odata.type": "#microsoft.graph.user", "id": tom.to_string()},
        {"@odata.type": "#microsoft.graph.user", "id": ada.to_string(), "@removed": {"reason": "deleted"}},
    ]);
    assert_eq!((items.len(), &items[0]["members@delta"]), (1, &told));
}

#[test]
fn a_link_that_is_too_old_begins_anew() {
    let cloud = small();
    let (_, link, _) = round(&cloud, "/v1.0/users/delta?$select=id,mail");
    cloud.with(|world| world.advance(Duration::from_secs(8 * 24 * 3600)));
    let token = cloud.application_token("sync", Resource::Graph).unwrap();
    let answer = cloud.answer(&Call::get(link.strip_prefix(super::BASE).unwrap()).bearer(&token));
    assert_eq!((answer.status, &answer.value()["error"]["code"]), (410, &json!("syncStateNotFound")));
    let (items, link, _) = round(&cloud, answer.field("location").unwrap());
    assert_eq!((items.len(), items[0].as_object().unwrap().len()), (12, 2));
    cloud.with(|world| {
        world.expire_delta_tokens();
        world.knobs.gone_with_location = false;
    });
    assert_eq!(get(&cloud, &link).0, 400);
}

#[test]
fn a_first_request_is_judged() {
    let cloud = small();
    let many: Vec<String> = (0..51).map(|n| format!("id%20eq%20'{n:08}-0000-4000-8000-000000000000'")).collect();
    let cases = [
        ("/v1.0/users/delta?$top=5".to_owned(), 400),
        ("/v1.0/users/delta?$expand=manager".to_owned(), 400),
        ("/v1.0/users/delta?$select=colour".to_owned(), 400),
        ("/v1.0/users/delta?$select=skills".to_owned(), 400),
        ("/v1.0/users/delta?$filter=mail%20eq%20'x'".to_owned(), 400),
        (format!("/v1.0/users/delta?$filter={}", many.join("%20or%20")), 400),
        (format!("/v1.0/users/delta?$filter={}", many[..50].join("%20or%20")), 200),
        ("/v1.0/users/delta?$deltatoken=nonsense".to_owned(), 400),
    ];
    for (target, status) in cases {
        assert_eq!(get(&cloud, &target).0, status, "{target}");
    }
}
