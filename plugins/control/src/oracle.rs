//! Every request of this plugin against Microsoft's own description of what may be asked: paths, options, permissions, cmdlets.
//!
//! The descriptions are `../shared/graph` beside the repository, or the folder that `SIGNET_GRAPH` names; without them there is nothing to
//! compare with.

use std::path::PathBuf;

use serde_json::{Value, json};
use signet_plugin_sdk::control::{Connection, Goal, Outcome, Request, Routing, Synchronisation, Trial};

use crate::mail_flow::{apply_step, make_plan, script};
use crate::permissions::NEEDS;
use crate::testing::{Cloud, Fake, GROUP, connection};
use crate::{administrator, directory, status};

const PERSON: &str = "11111111-2222-3333-4444-555555555555";

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

/// Everything that is asked on every path through onboarding, change, status, removal and synchronisation.
fn requests() -> Vec<Request> {
    let cloud = Cloud::new();
    let grouped = Connection { routing: Routing::Group(GROUP.to_owned()), ..connection() };
    cloud.published.set(false);
    cloud.trap.set(true);
    for (goal, connection) in [(Goal::Connect, &connection()), (Goal::Connect, &grouped), (Goal::Disconnect, &grouped)] {
        for step in make_plan(&cloud, connection, &goal).expect("a plan").steps {
            let mut trial = Trial::None;
            for _ in 0..20 {
                match apply_step(&cloud, connection, &goal, &step.id, &trial).expect("a step") {
                    Outcome::Done(_) => break,
                    Outcome::Probe(_) => trial = Trial::Passed,
                    Outcome::ActionNeeded(_) => cloud.published.set(true),
                    _ => {}
                }
                cloud.time.set(cloud.time.get() + 300_000);
            }
        }
    }
    let mut requests = cloud.asked.take();
    let none = || (200, json!({ "value": [] }));
    let denied = || (403, json!({}));
    let group = || (200, json!({ "id": GROUP, "mail": "g@contoso.example", "mailEnabled": true, "securityEnabled": true }));
    let fake = Fake::answering([denied(), denied(), none(), none()]);
    administrator::check(&fake, &connection(), PERSON).expect("a verdict");
    requests.append(&mut fake.asked.borrow_mut());
    let fake = Fake::answering([none(), none(), group(), none(), none()]);
    directory::read_organisation(&fake, &connection()).expect_err("none");
    directory::find_groups(&fake, &connection(), "O'N", 10).expect("groups");
    let limited = Connection { synchronisation: Synchronisation::Limited(GROUP.to_owned()), credentials: Vec::new(), ..connection() };
    status::read(&fake, &limited).expect("a status");
    requests.append(&mut fake.asked.borrow_mut());
    requests.extend(crate::sync::tests::requests::requests());
    requests
}

/// Path and options of a request to Graph.
fn taken_apart(request: &Request) -> Option<(String, Vec<(String, String)>)> {
    let rest =
        request.url.strip_prefix("https://graph.example/v1.0").or_else(|| request.url.strip_prefix("https://graph.microsoft.com/v1.0"))?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().expect("UTF-8").into_owned();
    let options = query.split('&').filter(|option| !option.is_empty());
    let options = options.map(|option| option.split_once('=').map(|(name, value)| (name.to_owned(), decoded(value))).expect("a value"));
    Some((path.to_owned(), options.collect()))
}

/// Whether a path is one of a template such as `/groups/{groupId}`.
fn fits(path: &str, template: &str) -> bool {
    let (parts, places): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
    let fit = |(part, place): (&&str, &&str)| match (place.find('{'), place.find('}')) {
        (Some(from), Some(to)) => {
            let (start, end) = (&place[..from], &place[to + 1..]);
            part.len() > start.len() + end.len() && part.starts_with(start) && part.ends_with(end)
        }
        _ => part == place,
    };
    parts.len() == places.len() && parts.iter().zip(&places).all(fit)
}

fn template<'d>(paths: &'d Value, path: &str) -> &'d str {
    let names = || paths.as_object().expect("paths").keys();
    let exact = names().find(|name| *name == path);
    exact.or_else(|| names().find(|name| fits(path, name))).unwrap_or_else(|| panic!("{path} is no path of Graph"))
}

#[test]
fn every_request_to_graph_is_one_that_microsoft_describes() {
    let Some(graph) = description("graph-openapi.json") else { return };
    for request in requests() {
        let Some((path, options)) = taken_apart(&request) else { continue };
        let place = template(&graph["paths"], &path);
        let operation = &graph["paths"][place][request.method.to_lowercase()];
        assert!(operation.is_object(), "{} {place}", request.method);
        let references = operation["parameters"].as_array().into_iter().flatten().filter_map(|parameter| parameter["$ref"].as_str());
        let names: Vec<&str> =
            references.filter_map(|reference| reference.rsplit('/').next()).filter(|name| !name.starts_with("no.")).collect();
        let parameters: Vec<&Value> = names.iter().map(|name| &graph["components"]["parameters"][*name]).collect();
        for (name, value) in &options {
            let parameter = parameters.iter().find(|parameter| parameter["name"] == **name).unwrap_or_else(|| panic!("{name} of {place}"));
            let items = &parameter["schema"]["items"];
            let allowed = items["enum"].as_array().or_else(|| items["anyOf"][0]["enum"].as_array());
            if name == "$select" {
                let allowed = allowed.expect("properties");
                value.split(',').for_each(|property| assert!(allowed.contains(&json!(property)), "{property} of {place}"));
            }
        }
        // A link bears the options of the first request.
        let followed = options.iter().any(|(name, _)| name.ends_with("token"));
        let header = |name: &str| request.headers.iter().any(|(field, _)| field.eq_ignore_ascii_case(name));
        for parameter in parameters.iter().filter(|parameter| parameter["required"] == true && parameter["in"] != "path") {
            let name = parameter["name"].as_str().expect("a name");
            let there = header(name) || options.iter().any(|(option, _)| option == name);
            assert!(there || (followed && parameter["in"] == "query"), "{name} of {place}");
        }
        let advanced =
            options.iter().any(|(name, value)| name == "$count" || name == "$search" || value.contains("NOT ") || value.contains(" ne "));
        assert!(!advanced || header("ConsistencyLevel"), "{path}");
        assert_eq!(operation["requestBody"].is_object(), request.body.is_some(), "{} {path}", request.method);
    }
}

#[test]
fn every_request_is_covered_by_a_permission_and_every_permission_by_a_request() {
    let Some(permissions) = description("graph-permissions.json") else { return };
    let requests = requests();
    // The requests inside a batch have their own.
    for need in NEEDS.iter().filter(|need| need.credential != "exchange" && !need.permission.is_empty()) {
        let kind = if need.credential == "directory" { "application" } else { "delegated" };
        let accepted = permissions["paths"][need.path][need.method][kind]["accepted"].as_array();
        assert!(accepted.is_some_and(|accepted| accepted.contains(&json!(need.permission))), "{need:?}");
        let used =
            |request: &Request| taken_apart(request).is_some_and(|(path, _)| request.method == need.method && fits(&path, need.path));
        assert!(requests.iter().any(used), "{need:?} is not needed");
    }
    for request in &requests {
        let path = taken_apart(request).map_or("/adminapi/beta/{tenant}/InvokeCommand".to_owned(), |(path, _)| path);
        let covers = |need: &&crate::permissions::Need| {
            need.method == request.method
                && (need.path == path || fits(&path, need.path))
                && request.credential.as_deref() == Some(need.credential)
        };
        assert!(NEEDS.iter().any(|need| covers(&need)), "{} {path} with {:?}", request.method, request.credential);
    }
}

#[test]
fn every_cmdlet_and_parameter_exists_and_has_the_right_kind() {
    let Some(exchange) = description("exchange-cmdlets.json") else { return };
    let mut seen = std::collections::BTreeSet::new();
    for request in requests().iter().filter(|request| request.url.starts_with("https://exchange.example/")) {
        let body: Value = serde_json::from_slice(request.body.as_deref().expect("a body")).expect("JSON");
        let input = &body["CmdletInput"];
        let name = input["CmdletName"].as_str().expect("a name");
        seen.insert(name.to_owned());
        let known = exchange["cmdlets"][name]["parameters"].as_object().unwrap_or_else(|| panic!("{name} is no cmdlet"));
        let given = input["Parameters"].as_object().expect("parameters");
        for (parameter, value) in given {
            let known = known.get(parameter).unwrap_or_else(|| panic!("{name} has no {parameter}"));
            assert_ne!(known["onPremisesOnly"], true, "{name} {parameter}");
            let kind = match value {
                Value::Bool(_) => "boolean",
                Value::Number(_) => "integer",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                // Clears a property, as $null does.
                Value::Null => continue,
                Value::Object(_) => "object",
            };
            assert!(known["json"].as_str().is_some_and(|kinds| kinds.split('|').any(|one| one == kind)), "{name} {parameter} {value}");
            if let (Some(values), Some(text)) = (known["values"].as_array().filter(|values| !values.is_empty()), value.as_str()) {
                assert!(values.contains(&json!(text)), "{name} {parameter} {text}");
            }
        }
        for (parameter, known) in known.iter().filter(|(_, known)| known["required"] == true) {
            assert!(given.contains_key(parameter), "{name} needs {parameter}: {known}");
        }
    }
    assert!(seen.len() >= 15, "{seen:?}");
}

#[test]
fn the_script_uses_only_cmdlets_and_parameters_that_exist() {
    let Some(exchange) = description("exchange-cmdlets.json") else { return };
    let cmdlets = exchange["cmdlets"].as_object().expect("cmdlets");
    let mut checked = 0;
    for (goal, routing) in [(Goal::Connect, Routing::Group(GROUP.to_owned())), (Goal::Disconnect, Routing::AllUsers)] {
        let script = script::write(&Connection { routing, ..connection() }, &goal).expect("a script");
        for line in script.lines().filter(|line| !line.trim_start().starts_with('#') && !line.contains("Get-Command")) {
            for (name, cmdlet) in cmdlets {
                let Some((_, rest)) = line.split_once(&format!("{name} ")) else { continue };
                let call = rest.split(['|', ';', ')', '}']).next().unwrap_or_default();
                for word in call.split(' ').filter_map(|word| word.strip_prefix('-')) {
                    let parameter = word.split(':').next().unwrap_or_default();
                    checked += 1;
                    assert!(cmdlet["parameters"].get(parameter).is_some(), "{name} has no {parameter}: {line}");
                }
            }
        }
    }
    assert!(checked > 20, "{checked}");
}
