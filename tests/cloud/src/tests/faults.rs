//! Faults and the control interface.

use serde_json::{Value, json};

use super::small;
use crate::{Call, Cloud, Delivery, Resource};

fn control(cloud: &Cloud, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut call = Call::json(&format!("/_control/{path}"), body);
    method.clone_into(&mut call.method);
    let answer = cloud.answer(&call);
    (answer.status, answer.value())
}

#[test]
fn a_fault_happens_as_often_as_told_and_where_told() {
    let cloud = small();
    let token = cloud.application_token("sync", Resource::Graph).unwrap();
    let read = |path: &str| cloud.answer(&Call::get(path).bearer(&token));
    let (status, _) =
        control(&cloud, "POST", "faults", &json!({"path": "/v1.0/users", "fault": "429", "retry_after": 7, "times": 2, "after": 1}));
    assert_eq!(status, 200);
    let statuses: Vec<u16> = (0..4).map(|_| read("/v1.0/users?$top=1").status).collect();
    assert_eq!(statuses, [200, 429, 429, 200]);
    for (fault, judge) in [
        ("503", (|a: &crate::Answer| a.status == 503 && a.field("retry-after").is_none()) as fn(&crate::Answer) -> bool),
        ("gone", |a| a.status == 410 && a.field("location").is_some()),
        ("slow", |a| a.status == 200 && a.delay.as_millis() == 1000),
        ("truncated", |a| a.delivery == Delivery::Truncated && a.value().is_null() && a.field("content-length").is_some()),
        ("dropped", |a| a.delivery == Delivery::Dropped),
        ("wrong-types", |a| a.value()["value"][0]["displayName"] == 42 && a.value()["value"][0]["businessPhones"] == json!({})),
        ("not-json", |a| a.status == 200 && a.value().is_null()),
        ("duplicated", |a| a.value()["value"].as_array().unwrap().len() == 4),
        ("reordered", |a| a.value()["value"][0]["displayName"] == "Hanna Lindqvist"),
        ("emptied", |a| a.value()["value"] == json!([]) && a.value()["@odata.nextLink"].is_string()),
        ("circular", |a| a.value()["@odata.nextLink"] == "https://cloud.test/v1.0/users?$top=2"),
    ] {
        assert_eq!(control(&cloud, "POST", "faults", &json!({"path": "/v1.0/users", "fault": fault})).0, 200);
        let answer = read("/v1.0/users?$top=2");
        assert!(judge(&answer), "{fault}: {answer:?}");
        assert_eq!(read("/v1.0/users?$top=2").status, 200);
    }
    assert_eq!(control(&cloud, "POST", "faults", &json!({"path": "/", "fault": "weather"})).0, 400);
}

#[test]
fn the_control_interface_changes_the_directory_and_shows_what_was_asked() {
    let cloud = small();
    let token = cloud.application_token("sync", Resource::Graph).unwrap();
    let read = |path: &str| cloud.answer(&Call::get(path).bearer(&token)).value();
    let new = json!({"displayName": "New Person", "mail": "new@northwind.example", "userPrincipalName": "new@northwind.example"});
    assert_eq!(control(&cloud, "POST", "users", &new).0, 200);
    let change = json!({"jobTitle": "Diver", "manager": "ada.king@northwind.example"});
    assert_eq!(control(&cloud, "PATCH", "users/new@northwind.example", &change).0, 200);
    assert_eq!(read("/v1.0/users/new@northwind.example/manager")["displayName"], "Ada King");
    let members = json!({"add": ["new@northwind.example"], "remove": ["ada.king@northwind.example"]});
    assert_eq!(control(&cloud, "POST", "groups/commercial@northwind.example/members", &members).0, 200);
    assert_eq!(control(&cloud, "DELETE", "users/new@northwind.example", &json!({})).0, 200);
    let group = cloud.id("commercial@northwind.example").unwrap();
    let left = read(&format!("/v1.0/groups/{group}/members?$select=displayName"));
    assert_eq!(super::column(&left, "displayName"), ["Marek Dvořák"]);
    let standing = json!({"user": "hanna.lindqvist@northwind.example", "standing": "group"});
    assert_eq!(control(&cloud, "POST", "standing", &standing).0, 200);
    assert_eq!(control(&cloud, "POST", "knobs", &json!({"user_page": "many"})).0, 400);
    assert_eq!(control(&cloud, "POST", "clock", &json!({"advance": "8d"})).0, 200);
    let (_, requests) = control(&cloud, "GET", "requests", &json!({}));
    let last = &requests.as_array().unwrap()[0];
    assert_eq!((&last["token"], &last["permissions"][2]), (&json!("application"), &json!("User.Read.All")));
    assert_eq!(control(&cloud, "GET", "state", &json!({})).1["users"], 12);
}
