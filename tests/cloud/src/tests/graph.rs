//! Reading users, groups, roles and domains.

use serde_json::{Value, json};

use super::{column, get, get_eventual, small};
use crate::{Call, Cloud, Resource, Size};

#[test]
fn pages_follow_one_another_until_all_is_read_once() {
    let cloud = Cloud::sized(super::BASE, &Size { people: 250, groups: 3, seed: 5 }).unwrap();
    let mut target = "/v1.0/users?$select=id,mail&$top=100".to_owned();
    let mut seen = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let (status, body) = get(&cloud, &target);
        assert_eq!(status, 200, "{body}");
        let page = column(&body, "id");
        sizes.push(page.len());
        seen.extend(page);
        match body["@odata.nextLink"].as_str() {
            Some(next) => target = next.to_owned(),
            None => break,
        }
    }
    let total = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((sizes.as_slice(), seen.len()), ([100, 100, 62].as_slice(), total));
}

#[test]
fn what_graph_refuses_is_refused() {
    let cloud = small();
    let group = cloud.id("everyone@northwind.example").unwrap();
    let cast = format!("/v1.0/groups/{group}/transitiveMembers/microsoft.graph.user");
    let cases = [
        ("/v1.0/users?$select=id,favouriteColour".to_owned(), 400, "BadRequest"),
        ("/v1.0/users?$select=id,%20mail".to_owned(), 400, "BadRequest"),
        ("/v1.0/users?$select=mailboxSettings".to_owned(), 501, "NotImplemented"),
        ("/v1.0/users?$top=1000".to_owned(), 400, "Request_BadRequest"),
        ("/v1.0/users?$skip=5".to_owned(), 400, "Request_BadRequest"),
        ("/v1.0/users?$selct=id".to_owned(), 400, "BadRequest"),
        ("/v1.0/users?$search=\"displayName:ha\"".to_owned(), 400, "Request_UnsupportedQuery"),
        ("/v1.0/users?$count=true".to_owned(), 400, "Request_UnsupportedQuery"),
        ("/v1.0/users?$filter=mail%20ne%20null".to_owned(), 400, "Request_UnsupportedQuery"),
        ("/v1.0/users?$filter=displayName%20eq%20'O'Brien'".to_owned(), 400, "Request_BadRequest"),
        ("/v1.0/users?$skiptoken=abc".to_owned(), 400, "Directory_ExpiredPageToken"),
        (cast, 400, "Request_UnsupportedQuery"),
        ("/v1.0/users/nobody@northwind.example".to_owned(), 404, "Request_ResourceNotFound"),
        ("/v1.0/me".to_owned(), 400, "Request_BadRequest"),
        ("/v1.0/domains".to_owned(), 403, "Authorization_RequestDenied"),
        ("/v1.0/sites".to_owned(), 400, "BadRequest"),
    ];
    for (target, status, code) in cases {
        let (found, body) = get(&cloud, &target);
        assert_eq!((found, &body["error"]["code"]), (status, &json!(code)), "{target}: {body}");
    }
    let (status, body) = get_eventual(&cloud, "/v1.0/users?$filter=mail%20ne%20null");
    assert_eq!((status, &body["error"]["code"]), (400, &json!("Request_UnsupportedQuery")), "$count=true is missing");
}

#[test]
fn lists_give_what_is_asked_for() {
    let cloud = small();
    let everyone = cloud.id("signature-users@northwind.example").unwrap();
    let hanna = cloud.id("hanna.lindqvist@northwind.example").unwrap();
    let cases = [
        ("/v1.0/users?$search=\"displayName:lin\"&$select=displayName".to_owned(), vec!["Hanna Lindqvist"]),
        ("/v1.0/users?$filter=proxyAddresses/any(p:p%20eq%20'smtp:h.lindqvist@northwind.example')".to_owned(), vec!["Hanna Lindqvist"]),
        ("/v1.0/users?$filter=accountEnabled%20eq%20false&$select=displayName".to_owned(), vec!["Harbour Information", "Pier Room"]),
        ("/v1.0/groups?$filter=startswith(displayName,'harbour')%20and%20mailEnabled%20eq%20true%20and%20NOT%20groupTypes/any(c:c%20eq%20'Unified')&$count=true"
            .to_owned(), vec!["Harbour Office", "Harbour News"]),
        (format!("/v1.0/groups/{everyone}/members?$select=displayName"), vec!["Harbour Office", "Commercial", "Tom Okafor"]),
        (format!("/v1.0/users/{hanna}/transitiveMemberOf/microsoft.graph.group?$count=true&$orderby=displayName"),
            vec!["Everyone", "Harbour Festival", "Harbour News", "Harbour Office", "Signature Users"]),
        ("/v1.0/users?$orderby=displayName%20desc&$top=1".to_owned(), vec!["Tom Okafor"]),
    ];
    for (target, names) in cases {
        let (status, body) = get_eventual(&cloud, &target);
        assert_eq!(
            (status, column(&body, "displayName")),
            (200, names.iter().map(|name| (*name).to_owned()).collect()),
            "{target}: {body}"
        );
    }
    let target = format!("/v1.0/groups/{everyone}/transitiveMembers/microsoft.graph.user?$count=true&$select=displayName");
    let (_, body) = get_eventual(&cloud, &target);
    let mut names = column(&body, "displayName");
    names.sort();
    assert_eq!(names, ["Ada King", "Hanna Lindqvist", "Marek Dvořák", "Sofia Brandt", "Tom Okafor"]);
    assert_eq!(body["@odata.count"], 5);
}

#[test]
fn a_person_shows_attributes_manager_and_picture() {
    let cloud = small();
    let target = "/v1.0/users/hanna.lindqvist@northwind.example?$select=id,jobTitle,faxNumber,onPremisesExtensionAttributes,otherMails,aboutMe\
                  &$expand=manager($select=id,displayName)";
    let (_, body) = get(&cloud, target);
    assert_eq!(body["onPremisesExtensionAttributes"]["extensionAttribute1"], "she/her");
    assert_eq!(body["onPremisesExtensionAttributes"]["extensionAttribute15"], Value::Null);
    assert_eq!((&body["faxNumber"], &body["otherMails"], &body["manager"]["displayName"]), (&Value::Null, &json!([]), &json!("Ada King")));
    let (_, photo) = get(&cloud, "/v1.0/users/hanna.lindqvist@northwind.example/photo");
    assert_eq!((&photo["@odata.mediaContentType"], &photo["width"]), (&json!("image/jpeg"), &json!(240)));
    assert_eq!(get(&cloud, "/v1.0/users/tom.okafor@northwind.example/photo/$value").0, 404);
    assert_eq!(get(&cloud, "/v1.0/users/hanna.lindqvist@northwind.example/photos/50x50/$value").0, 400);
}

#[test]
fn roles_tell_how_each_administrator_holds_them() {
    const ROLE: &str = "62e90394-69f5-4237-9190-012177145e10";
    let cloud = small();
    let token = cloud.person_token("setup", Resource::Graph, "astrid.holm@northwind.example").unwrap();
    let read = |target: &str| cloud.answer(&Call::get(target).bearer(&token)).value();
    let direct = read(&format!("/v1.0/directoryRoles(roleTemplateId='{ROLE}')/members/microsoft.graph.user?$select=displayName,mail"));
    assert_eq!(column(&direct, "displayName"), ["Astrid Holm", "Carla Weiss"], "the cast hides the group");
    for (login, member, kind) in [
        ("astrid.holm@northwind.example", "Direct", "Assigned"),
        ("bo.larsen@northwind.example", "Group", "Assigned"),
        ("carla.weiss@northwind.example", "Direct", "Activated"),
        ("hanna.lindqvist@northwind.example", "", ""),
    ] {
        let id = cloud.id(login).unwrap();
        let filter = format!("principalId%20eq%20'{id}'%20and%20roleDefinitionId%20eq%20'{ROLE}'");
        let rows = read(&format!("/v1.0/roleManagement/directory/roleAssignmentScheduleInstances?$filter={filter}"));
        assert_eq!(
            (rows["value"][0]["memberType"].as_str().unwrap_or_default(), rows["value"][0]["assignmentType"].as_str().unwrap_or_default()),
            (member, kind),
            "{login}"
        );
    }
    cloud.with(|world| world.tenants[0].premium = false);
    let refused = read("/v1.0/roleManagement/directory/roleAssignmentScheduleInstances");
    assert_eq!(refused["error"]["code"], "AadPremiumLicenseRequired");
    assert_eq!(read("/v1.0/roleManagement/directory/roleAssignments")["value"].as_array().unwrap().len(), 4);
}

#[test]
fn a_domain_is_added_proven_and_accepted_later() {
    let cloud = small();
    cloud.with(|world| {
        world.knobs.records_published = false;
        world.knobs.accepted_domain_delay = 60_000;
    });
    let token = cloud.person_token("setup", Resource::Graph, "astrid.holm@northwind.example").unwrap();
    let send = |call: Call| {
        let answer = cloud.answer(&call.bearer(&token));
        (answer.status, answer.value())
    };
    let name = "t7.smtp.signet.example";
    assert_eq!(send(Call::json("/v1.0/domains", &json!({"id": "no domain"}))).0, 400);
    assert_eq!(send(Call::json("/v1.0/domains", &json!({"id": name}))).0, 201);
    assert_eq!(send(Call::json("/v1.0/domains", &json!({"id": name}))).0, 409);
    let (_, records) = send(Call::get(&format!("/v1.0/domains/{name}/verificationDnsRecords")));
    let proof = records["value"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(send(Call::new("POST", &format!("/v1.0/domains/{name}/verify"))).0, 400);
    cloud.with(|world| world.records.push((name.to_owned(), proof)));
    let (status, body) = send(Call::new("POST", &format!("/v1.0/domains/{name}/verify")));
    assert_eq!((status, &body["isVerified"]), (200, &json!(true)));
    assert_eq!(send(Call::new("DELETE", &format!("/v1.0/domains/{name}"))).0, 204);
}

#[test]
fn a_batch_answers_each_request_by_itself() {
    let cloud = small();
    let token = cloud.application_token("sync", Resource::Graph).unwrap();
    let send = |requests: Value| {
        let answer = cloud.answer(&Call::json("/v1.0/$batch", &json!({"requests": requests})).bearer(&token));
        (answer.status, answer.value())
    };
    let item = |id: &str, url: &str| json!({"id": id, "method": "GET", "url": url});
    cloud.with(|world| world.faults.push(crate::Fault::new("/v1.0/groups", 1, crate::Wrong::Status(429, Some(3)))));
    let (status, body) = send(json!([item("a", "/users?$top=1"), item("b", "/groups"), item("c", "/users/nobody@x.example")]));
    let statuses: Vec<(&str, i64)> =
        body["responses"].as_array().unwrap().iter().map(|r| (r["id"].as_str().unwrap(), r["status"].as_i64().unwrap())).collect();
    assert_eq!((status, statuses), (200, vec![("c", 404), ("b", 429), ("a", 200)]));
    assert_eq!(body["responses"][1]["headers"]["retry-after"], "3");
    assert_eq!(send(json!([item("a", "/users"), item("a", "/users")])).0, 400);
    let many: Vec<Value> = (0..21).map(|n| item(&n.to_string(), "/users")).collect();
    assert_eq!(send(json!(many)).0, 400);
}

#[test]
fn a_token_is_judged() {
    let cloud = small();
    let exchange = cloud.person_token("setup", Resource::Exchange, "astrid.holm@northwind.example").unwrap();
    for token in ["", "nonsense", exchange.as_str()] {
        let answer = cloud.answer(&Call::get("/v1.0/users").bearer(token));
        assert_eq!((answer.status, &answer.value()["error"]["code"]), (401, &json!("InvalidAuthenticationToken")));
    }
    let token = cloud.application_token("sync", Resource::Graph).unwrap();
    cloud.with(|world| world.advance(std::time::Duration::from_secs(3600)));
    assert_eq!(cloud.answer(&Call::get("/v1.0/users").bearer(&token)).status, 401);
}
