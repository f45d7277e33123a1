//! Surroundings for tests: scripted answers, and a small tenant with the state that the plan changes.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use signet_plugin_sdk::control::{Connection, HttpError, Request, Response, Routing, Surroundings, Synchronisation, Word};

use crate::exchange::Object;

pub(crate) const TENANT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
pub(crate) const GROUP: &str = "99999999-8888-7777-6666-555555555555";
pub(crate) const DOMAIN: &str = "t1.smtp.signet.example";

pub(crate) fn connection() -> Connection {
    let word = |name: &str, value: &str| Word { name: name.to_owned(), value: value.to_owned() };
    Connection {
        tenant: TENANT.to_owned(),
        endpoints: vec![word("graph", "https://graph.example"), word("exchange", "https://exchange.example")],
        credentials: ["directory", "administrator", "exchange"].map(str::to_owned).to_vec(),
        synchronisation: Synchronisation::Full,
        routing: Routing::AllUsers,
        smart_host: "in.signet.example".to_owned(),
        certificate_domain: DOMAIN.to_owned(),
        processed: word("X-Signet-Processed", "s3cr3t-0123456789"),
        identification: Some(word("X-Signet-Tenant", "t0k3n-0123456789")),
        size_limit: 23_592_960,
        domains: vec!["contoso.example".to_owned()],
        spf_term: "include:spf.signet.example".to_owned(),
    }
}

pub(crate) fn response(status: u16, body: &Value) -> Response {
    Response { status, headers: vec![("request-id".to_owned(), "r1".to_owned())], body: body.to_string().into_bytes() }
}

/// Scripted answers in order; a request too many is refused.
#[derive(Default)]
pub(crate) struct Fake {
    answers: RefCell<VecDeque<(u16, Value)>>,
    pub(crate) asked: RefCell<Vec<Request>>,
}

impl Fake {
    pub(crate) fn answering(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        Self { answers: RefCell::new(answers.into_iter().collect()), asked: RefCell::default() }
    }

    pub(crate) fn finished(&self) -> bool {
        self.answers.borrow().is_empty()
    }
}

impl Surroundings for Fake {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        self.asked.borrow_mut().push(request.clone());
        let (status, body) = self.answers.borrow_mut().pop_front().ok_or(HttpError::Exhausted(0))?;
        Ok(response(status, &body))
    }
    fn read(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
    fn write(&self, _: &str, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
    fn remove(&self, _: &str) {}
    fn keys(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn now(&self) -> u64 {
        0
    }
}

/// A tenant: domains, connectors and rules that change as cmdlets and requests say. Answers of Exchange have its own notations.
pub(crate) struct Cloud {
    /// Domain and whether it is verified.
    pub(crate) domains: RefCell<BTreeMap<String, bool>>,
    pub(crate) objects: RefCell<BTreeMap<String, Vec<Object>>>,
    pub(crate) group: RefCell<Value>,
    pub(crate) asked: RefCell<Vec<Request>>,
    /// Whether the record for the verification is published.
    pub(crate) published: Cell<bool>,
    /// Whether new connectors are created switched off.
    pub(crate) trap: Cell<bool>,
    /// Whether they cannot be switched on either.
    pub(crate) locked: Cell<bool>,
    /// Whether something else uses our objects.
    pub(crate) used: Cell<bool>,
    /// The answer to every cmdlet, for a while.
    pub(crate) refusal: RefCell<Option<(u16, Value)>>,
    /// The request that breaks, counted down; whether it still does its work.
    pub(crate) breaks: Cell<Option<(u32, bool)>>,
    pub(crate) kept: RefCell<BTreeMap<String, Vec<u8>>>,
    pub(crate) time: Cell<u64>,
    serial: Cell<u32>,
}

impl Cloud {
    pub(crate) fn new() -> Self {
        Self {
            domains: RefCell::new(BTreeMap::from([("contoso.example".to_owned(), true)])),
            objects: RefCell::default(),
            group: RefCell::new(json!({ "id": GROUP, "displayName": "Sales", "mail": "sales@contoso.example", "mailEnabled": true,
                "securityEnabled": true, "groupTypes": [] })),
            asked: RefCell::default(),
            published: Cell::new(true),
            trap: Cell::new(false),
            locked: Cell::new(false),
            used: Cell::new(false),
            refusal: RefCell::default(),
            breaks: Cell::new(None),
            kept: RefCell::default(),
            time: Cell::new(1_000_000),
            serial: Cell::new(0),
        }
    }

    /// A call: what it keeps is forgotten when it fails.
    pub(crate) fn call<T, E>(&self, call: impl FnOnce(&dyn Surroundings) -> Result<T, E>) -> Result<T, E> {
        let before = self.kept.borrow().clone();
        let result = call(self);
        if result.is_err() {
            *self.kept.borrow_mut() = before;
        }
        result
    }

    pub(crate) fn object(&self, noun: &str) -> Object {
        let objects = self.objects.borrow();
        let objects = objects.get(noun).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(objects.len(), 1, "{noun}: {objects:?}");
        objects[0].clone()
    }

    pub(crate) fn add(&self, noun: &str, object: Value) {
        let Value::Object(mut object) = object else { panic!("no object") };
        self.serial.set(self.serial.get() + 1);
        object.insert("Guid".to_owned(), json!(format!("00000000-0000-0000-0000-{:012}", self.serial.get())));
        self.objects.borrow_mut().entry(noun.to_owned()).or_default().push(object);
    }

    fn answer(&self, request: &Request) -> (u16, Value) {
        let url = request.url.split('?').next().unwrap_or_default();
        let path = url.strip_prefix("https://graph.example/v1.0").unwrap_or(url);
        let body: Value = request.body.as_deref().map_or(Value::Null, |body| serde_json::from_slice(body).expect("JSON"));
        match (request.method.as_str(), path) {
            ("POST", "https://exchange.example/adminapi/beta/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/InvokeCommand") => {
                self.refusal.borrow().clone().unwrap_or_else(|| self.cmdlet(&body["CmdletInput"]))
            }
            ("POST", "/domains") => {
                let name = body["id"].as_str().expect("a name").to_owned();
                let taken = self.domains.borrow_mut().insert(name.clone(), false).is_some();
                if taken {
                    (400, json!({ "error": { "code": "Request_BadRequest" } }))
                } else {
                    (201, json!({ "id": name, "isVerified": false }))
                }
            }
            ("GET", path) if path == format!("/groups/{GROUP}") => match &*self.group.borrow() {
                Value::Null => (404, json!({ "error": { "code": "Request_ResourceNotFound" } })),
                group => (200, group.clone()),
            },
            (method, path) => self.domain(method, path.strip_prefix("/domains/").expect("a known path")),
        }
    }

    fn domain(&self, method: &str, path: &str) -> (u16, Value) {
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        let mut domains = self.domains.borrow_mut();
        let Some(verified) = domains.get_mut(name) else { return (404, json!({ "error": { "code": "Request_ResourceNotFound" } })) };
        match (method, rest) {
            ("GET", "") => (200, json!({ "id": name, "isVerified": *verified })),
            ("GET", "verificationDnsRecords") => {
                (200, json!({ "value": [{ "recordType": "Txt", "label": name, "text": "MS=ms123", "ttl": 3600 }] }))
            }
            ("POST", "verify") if self.published.get() => {
                *verified = true;
                (200, json!({ "id": name, "isVerified": true }))
            }
            ("POST", "verify") => (400, json!({ "error": { "code": "Request_BadRequest" } })),
            ("DELETE", "") => {
                domains.remove(name);
                (204, Value::Null)
            }
            other => panic!("{other:?}"),
        }
    }

    fn cmdlet(&self, input: &Value) -> (u16, Value) {
        let cmdlet = input["CmdletName"].as_str().expect("a name");
        let parameters = input["Parameters"].as_object().expect("parameters").clone();
        let (verb, noun) = cmdlet.split_once('-').expect("verb and noun");
        if noun == "AcceptedDomain" {
            let domains = self.domains.borrow();
            let rows = domains.iter().filter(|(_, verified)| **verified).map(|(name, _)| json!({ "DomainName": name }));
            return (200, json!({ "value": rows.collect::<Vec<_>>() }));
        }
        if verb == "New" {
            return self.create(noun, parameters);
        }
        let mut objects = self.objects.borrow_mut();
        let objects = objects.entry(noun.to_owned()).or_default();
        if verb == "Get" {
            return (200, json!({ "value": objects }));
        }
        let Some(at) = objects.iter().position(|object| object["Guid"] == parameters["Identity"]) else {
            return (404, json!({ "error": { "details": [{ "message": "|X.ManagementObjectNotFoundException|Not there." }] } }));
        };
        let refused = |words: &str| {
            (400, json!({ "error": { "code": "BadRequest", "details": [{ "message": format!("|X.InvalidOperationException|{words}") }] } }))
        };
        if verb == "Set" && self.locked.get() && parameters.get("Enabled") == Some(&json!(true)) {
            return refused("It can't be enabled. Contact Support.");
        }
        if verb == "Remove" && self.used.get() {
            return refused("It is used by another rule.");
        }
        match verb {
            "Set" => objects[at].extend(parameters.into_iter().filter(|(name, _)| name != "Identity").map(noted)),
            "Enable" => drop(objects[at].insert("State".to_owned(), json!("Enabled"))),
            "Disable" => drop(objects[at].insert("State".to_owned(), json!("Disabled"))),
            "Remove" => drop(objects.remove(at)),
            other => panic!("{other}"),
        }
        (200, json!({ "value": [] }))
    }

    fn create(&self, noun: &str, parameters: Object) -> (u16, Value) {
        let taken =
            self.objects.borrow().get(noun).is_some_and(|objects| objects.iter().any(|object| object["Name"] == parameters["Name"]));
        if taken {
            return (400, json!({ "error": { "details": [{ "message": "|X.ManagementObjectAlreadyExistsException|Taken." }] } }));
        }
        let mut object: Object = parameters.into_iter().map(noted).collect();
        if noun == "TransportRule" {
            let on = object.remove("Enabled") != Some(json!(false));
            object.insert("State".to_owned(), json!(if on { "Enabled" } else { "Disabled" }));
        } else if self.trap.get() {
            object.insert("Enabled".to_owned(), json!(false));
        }
        self.add(noun, Value::Object(object));
        let created = self.objects.borrow()[noun].last().cloned();
        (
            200,
            json!({ "value": [created], "@adminapi.warnings": if self.trap.get() { vec!["Created in a disabled state."] } else { vec![] } }),
        )
    }
}

/// A property as Exchange gives it back.
fn noted((name, value): (String, Value)) -> (String, Value) {
    let value = match (name.as_str(), &value) {
        ("SenderDomains", _) => json!(["smtp:*;1"]),
        ("ExceptIfMessageSizeOver", Value::String(text)) => {
            let octets: u64 = text.trim_end_matches('B').parse().expect("octets");
            json!(format!("{} MB ({octets} bytes)", octets >> 20))
        }
        _ => value,
    };
    (name, value)
}

impl Surroundings for Cloud {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        let breaks = match self.breaks.get() {
            Some((0, works)) => Some(works),
            Some((left, works)) => {
                self.breaks.set(Some((left - 1, works)));
                None
            }
            None => None,
        };
        if breaks == Some(false) {
            return Err(HttpError::Unreachable("broke before".to_owned()));
        }
        self.asked.borrow_mut().push(request.clone());
        let (status, body) = self.answer(request);
        if breaks == Some(true) { Err(HttpError::Unreachable("broke after".to_owned())) } else { Ok(response(status, &body)) }
    }
    fn read(&self, key: &str) -> Option<Vec<u8>> {
        self.kept.borrow().get(key).cloned()
    }
    fn write(&self, key: &str, value: &[u8]) -> Result<(), String> {
        self.kept.borrow_mut().insert(key.to_owned(), value.to_owned());
        Ok(())
    }
    fn remove(&self, key: &str) {
        self.kept.borrow_mut().remove(key);
    }
    fn keys(&self, prefix: &str) -> Vec<String> {
        self.kept.borrow().keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }
    fn now(&self) -> u64 {
        self.time.get()
    }
}
