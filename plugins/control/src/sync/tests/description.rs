//! Every request of the synchronisation against Microsoft's own description of what may be asked: paths, options, headers, permissions.
//!
//! The description is `../shared/graph` beside the repository, or the folder that `SIGNET_GRAPH` names; without it there is nothing to
//! compare with.

use std::path::PathBuf;

use serde_json::{Value, json};
use signet_plugin_sdk::control::{Request, Synchronisation};

use super::tenant::Tenant;
use super::{BASE, Service, answer, connection, failure};
use crate::sync::{page, photo};

/// The permissions that the application has for the synchronisation.
const GRANTED: [&str; 2] = ["User.Read.All", "GroupMember.Read.All"];

const GROUP: &str = "22222222-2222-4222-8222-222222222222";

fn description(name: &str) -> Option<Value> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/graph");
    let named = std::env::var_os("SIGNET_GRAPH").map(PathBuf::from);
    let file = named.clone().unwrap_or_else(beside).join(name);
    match std::fs::read(&file) {
        Ok(text) => Some(serde_json::from_slice(&text).expect("a description is JSON")),
        Err(error) if named.is_some() => panic!("{}: {error}", file.display()),
        Err(_) => None,
    }
}

/// Everything that is asked, those of a batch one by one after it.
fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for synchronisation in [Synchronisation::Full, Synchronisation::Limited(GROUP.to_owned())] {
        let tenant = Tenant::new(7);
        tenant.borrow_mut().put_group(GROUP, "signed");
        for number in 0..60 {
            let user = format!("u{number}");
            tenant.borrow_mut().put_user(&user, "name", true);
            tenant.borrow_mut().set_member(GROUP, &user, true);
            tenant.borrow_mut().set_manager(&user, Some("u0".to_owned()));
        }
        let service = Service::new(|request| tenant.borrow_mut().reply(request));
        let (mut cursor, mut rounds) = (None, 0);
        while rounds < 2 {
            let page = page(&service, &connection(synchronisation.clone()), cursor.as_deref()).expect("a page");
            if page.complete {
                rounds += 1;
                (0..60).for_each(|number| tenant.borrow_mut().set_manager(&format!("u{number}"), None));
            }
            cursor = Some(page.cursor);
        }
        requests.append(&mut service.sent.borrow_mut());
    }
    for width in [648, 64] {
        let described = json!({ "@odata.mediaEtag": "t", "width": width, "height": width });
        let service = Service::scripted(vec![("$value", failure(404, "x")), ("/photo", answer(200, &described))]);
        photo(&service, &connection(Synchronisation::Full), "u1", None).expect("none");
        requests.append(&mut service.sent.borrow_mut());
    }
    requests.iter().flat_map(unpacked).collect()
}

fn unpacked(request: &Request) -> Vec<Request> {
    let body: Value = request.body.as_deref().map_or(Value::Null, |body| serde_json::from_slice(body).expect("JSON"));
    let inner = body["requests"].as_array().into_iter().flatten().map(|inner| Request {
        method: inner["method"].as_str().expect("a method").to_owned(),
        url: format!("{BASE}{}", inner["url"].as_str().expect("an address")),
        headers: inner["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
            .collect(),
        body: None,
        credential: request.credential.clone(),
    });
    std::iter::once(request.clone()).chain(inner).collect()
}

/// The described path, and the options of the query.
fn taken_apart<'d>(paths: &'d Value, request: &'d Request) -> (&'d str, Vec<(&'d str, &'d str)>) {
    let target = request.url.strip_prefix(BASE).expect("an address of Graph");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let fits = |place: &&String| {
        let (parts, places): (Vec<_>, Vec<_>) = (path.split('/').collect(), place.split('/').collect());
        parts.len() == places.len() && parts.iter().zip(&places).all(|(part, place)| part == place || place.starts_with('{'))
    };
    let names = || paths.as_object().expect("paths").keys();
    let place = names().find(|name| *name == path).or_else(|| names().find(fits));
    let options = query.split('&').filter(|option| !option.is_empty());
    let place = place.unwrap_or_else(|| panic!("{path} is no path of Graph"));
    (place, options.map(|option| option.split_once('=').expect("a value")).collect())
}

#[test]
fn every_request_is_one_that_microsoft_describes() {
    let Some(graph) = description("graph-openapi.json") else { return };
    let mut seen = std::collections::BTreeSet::new();
    for request in requests() {
        let (place, options) = taken_apart(&graph["paths"], &request);
        seen.insert(place.to_owned());
        let operation = &graph["paths"][place][request.method.to_lowercase()];
        assert!(operation.is_object(), "{} {place}", request.method);
        assert_eq!(operation["requestBody"].is_object(), request.body.is_some(), "{place}");
        let references = operation["parameters"].as_array().into_iter().flatten().filter_map(|parameter| parameter["$ref"].as_str());
        let names = references.filter_map(|reference| reference.rsplit('/').next()).filter(|name| !name.starts_with("no."));
        let parameters: Vec<&Value> = names.map(|name| &graph["components"]["parameters"][name]).collect();
        for (name, value) in &options {
            let parameter = parameters.iter().find(|parameter| parameter["name"] == **name).unwrap_or_else(|| panic!("{name} of {place}"));
            if *name == "$select" {
                let allowed = parameter["schema"]["items"]["anyOf"][0]["enum"].as_array().expect("properties");
                value.split(',').for_each(|property| assert!(allowed.contains(&json!(property)), "{property} of {place}"));
            }
        }
        let header = |name: &str| request.headers.iter().any(|(field, _)| field.eq_ignore_ascii_case(name));
        // A link bears the options of the first request.
        let followed = options.iter().any(|(name, _)| name.ends_with("token"));
        for parameter in parameters.iter().filter(|parameter| parameter["required"] == true && parameter["in"] != "path") {
            let name = parameter["name"].as_str().expect("a name");
            let there = header(name) || options.iter().any(|(option, _)| *option == name);
            assert!(there || (followed && parameter["in"] == "query"), "{name} of {place}");
        }
    }
    assert_eq!(seen.len(), 13, "{seen:?}");
}

#[test]
fn two_permissions_cover_every_request_and_both_are_needed() {
    let Some(permissions) = description("graph-permissions.json") else { return };
    let mut needed = std::collections::BTreeSet::new();
    for request in requests().iter().filter(|request| !request.url.ends_with("/$batch")) {
        let (place, _) = taken_apart(&permissions["paths"], request);
        let accepted = permissions["paths"][place][&request.method]["application"]["accepted"].as_array().expect("permissions");
        let covering: Vec<&str> = GRANTED.into_iter().filter(|granted| accepted.contains(&json!(granted))).collect();
        assert!(!covering.is_empty(), "{place}");
        needed.extend((covering.len() == 1).then(|| covering[0]));
    }
    assert_eq!(needed.len(), GRANTED.len(), "{needed:?}");
}
