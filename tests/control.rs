//! The embedded control plugin, in its sandbox, against the stand-in for Microsoft's cloud: what an administrator and a synchronisation have
//! it do. The stand-in answers in this process, so that its clock can be moved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use signet::control::words::{
    Answer, Call, Change, Connection, Goal, HttpError, Outcome, Request, Response, Routing, Synchronisation, Trial, Word,
};
use signet::plugin::{Broken, ControlLimits, Controller, Engine, Failed, Outside};
use signet_cloud::{Cloud, Resource};

const BASE: &str = "https://cloud.test";
const ADMINISTRATOR: &str = "astrid.holm@northwind.example";

/// A connection to the stand-in: tokens, state, and when the next request is to fail.
struct Service {
    cloud: Cloud,
    tokens: BTreeMap<String, String>,
    state: BTreeMap<String, Vec<u8>>,
    requests: usize,
    break_at: Option<usize>,
}

impl Service {
    fn new() -> Arc<Mutex<Self>> {
        let cloud = Cloud::small(BASE).expect("the stand-in starts");
        let mut service = Self { cloud, tokens: BTreeMap::new(), state: BTreeMap::new(), requests: 0, break_at: None };
        service.sign_in();
        Arc::new(Mutex::new(service))
    }

    /// Tokens last for an hour.
    fn sign_in(&mut self) {
        let tokens = [
            ("directory", self.cloud.application_token("sync", Resource::Graph)),
            ("administrator", self.cloud.person_token("setup", Resource::Graph, ADMINISTRATOR)),
            ("exchange", self.cloud.person_token("setup", Resource::Exchange, ADMINISTRATOR)),
        ];
        self.tokens = tokens.map(|(handle, token)| (handle.to_owned(), token.expect("a token"))).into();
    }
}

impl Outside for Service {
    fn send(&mut self, request: Request) -> Result<Response, HttpError> {
        self.requests += 1;
        if self.break_at == Some(self.requests) {
            return Err(HttpError::TimedOut);
        }
        let path = request.url.strip_prefix(BASE).expect("only the service is asked");
        let mut call = signet_cloud::Call::new(&request.method, path);
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        if let Some(handle) = &request.credential {
            call = call.bearer(&self.tokens[handle]);
        }
        call.body = request.body.unwrap_or_default();
        let answer = self.cloud.answer(&call);
        let headers = answer.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Ok(Response { status: answer.status, headers, body: answer.body })
    }
    fn read(&mut self, key: &str) -> Result<Option<Vec<u8>>, Broken> {
        Ok(self.state.get(key).cloned())
    }
    fn write(&mut self, key: &str, value: Vec<u8>) -> Result<Result<(), String>, Broken> {
        self.state.insert(key.to_owned(), value);
        Ok(Ok(()))
    }
    fn remove(&mut self, key: &str) -> Result<(), Broken> {
        self.state.remove(key);
        Ok(())
    }
    fn keys(&mut self, prefix: &str) -> Result<Vec<String>, Broken> {
        Ok(self.state.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
    fn now(&mut self) -> u64 {
        u64::try_from(self.cloud.with(|world| world.now())).unwrap_or_default()
    }
}

fn controller() -> Controller {
    let limits = ControlLimits::default();
    let engine = Engine::new(&limits.engine()).expect("an engine");
    Controller::load(&engine, signet::DEFAULT_CONTROLLER, &limits).expect("the embedded controller loads")
}

fn connection(routing: Routing) -> Connection {
    let word = |name: &str, value: &str| Word { name: name.to_owned(), value: value.to_owned() };
    Connection {
        tenant: signet_cloud::seed::TENANT.to_owned(),
        endpoints: vec![word("graph", BASE), word("exchange", BASE)],
        credentials: ["directory", "administrator", "exchange"].map(str::to_owned).to_vec(),
        synchronisation: Synchronisation::Full,
        routing,
        smart_host: "smtp.signet.example".to_owned(),
        certificate_domain: "k7q2m4x9.smtp.signet.example".to_owned(),
        processed: word("X-Signet-Word", "v4Jq7GZ9mT2c"),
        identification: Some(word("X-Signet-Secret", "another-long-word")),
        size_limit: 35_000_000,
        domains: vec!["northwind.example".to_owned()],
        spf_term: "include:spf.signet.example".to_owned(),
    }
}

/// Applies the whole plan as a host does: repeats what says so, sends the probe, moves the clock for what waits.
fn apply(controller: &Controller, service: &Arc<Mutex<Service>>, connection: &Connection, goal: Goal) -> Result<(), String> {
    // What a call wrote is kept only when it has an answer.
    let call = |call: Call| {
        let kept = service.lock().expect("no panic").state.clone();
        let answer = controller.call(connection, &call, Box::new(Arc::clone(service)));
        if answer.is_err() {
            service.lock().expect("no panic").state = kept;
        }
        answer
    };
    let plan = match call(Call::MakePlan { goal }) {
        Ok(Answer::Plan(plan)) => plan,
        other => return Err(format!("{other:?}")),
    };
    for step in plan.steps {
        let mut trial = Trial::None;
        for attempt in 0.. {
            assert!(attempt < 200, "{} never ends", step.id);
            let apply = Call::ApplyStep { goal, step: step.id.clone(), trial: std::mem::replace(&mut trial, Trial::None) };
            match call(apply) {
                Ok(Answer::Outcome(Outcome::Done(_))) => break,
                Ok(Answer::Outcome(Outcome::Again { seconds, .. })) => {
                    let wait = Duration::from_secs(seconds.max(1).into());
                    let mut service = service.lock().expect("no panic");
                    service.cloud.with(|world| world.advance(wait));
                    service.sign_in();
                }
                Ok(Answer::Outcome(Outcome::Probe(_))) => trial = Trial::Passed,
                Err(Failed::Problem(problem)) if problem.wait.is_some() => {}
                other => return Err(format!("{}: {other:?}", step.id)),
            }
        }
    }
    Ok(())
}

/// Connectors and rules, without what is drawn at random or comes from the clock.
fn objects(service: &Arc<Mutex<Service>>) -> String {
    let service = service.lock().expect("no panic");
    let mut objects = service.cloud.with(|world| world.tenants[0].exchange.describe());
    for kind in objects.as_object_mut().expect("kinds of objects").values_mut() {
        for object in kind.as_array_mut().expect("a list").iter_mut().filter_map(|object| object.as_object_mut()) {
            for drawn in ["Guid", "Identity", "ImmutableId", "WhenChanged", "WhenCreated", "WhenChangedUTC", "WhenCreatedUTC"] {
                object.remove(drawn);
            }
        }
    }
    objects.to_string()
}

#[test]
fn the_embedded_controller_connects_changes_and_disconnects_the_stand_in() {
    let (controller, service) = (controller(), Service::new());
    let everybody = connection(Routing::AllUsers);
    let untouched = objects(&service);
    apply(&controller, &service, &everybody, Goal::Connect).expect("it connects");
    let connected = objects(&service);
    for expected in ["k7q2m4x9.smtp.signet.example", "smtp.signet.example", "v4Jq7GZ9mT2c", "Calendaring", "InOrganization"] {
        assert!(connected.contains(expected), "{expected} in {connected}");
    }
    apply(&controller, &service, &everybody, Goal::Connect).expect("it is the same again");
    assert_eq!(objects(&service), connected);
    apply(&controller, &service, &everybody, Goal::Disconnect).expect("it disconnects");
    assert_eq!(objects(&service), untouched);
}

#[test]
fn a_request_that_fails_in_any_step_changes_nothing_about_the_end() {
    let controller = controller();
    let everybody = connection(Routing::AllUsers);
    let undisturbed = Service::new();
    apply(&controller, &undisturbed, &everybody, Goal::Connect).expect("it connects");
    let (expected, requests) = (objects(&undisturbed), undisturbed.lock().expect("no panic").requests);
    // The plan itself is read with the first requests; a failure there is the caller's to repeat.
    for broken in 8..=requests {
        let service = Service::new();
        service.lock().expect("no panic").break_at = Some(broken);
        apply(&controller, &service, &everybody, Goal::Connect).unwrap_or_else(|error| panic!("request {broken}: {error}"));
        assert_eq!(objects(&service), expected, "request {broken}");
    }
}

#[test]
fn the_embedded_controller_reads_the_whole_directory_and_then_only_what_changed() {
    let (controller, service) = (controller(), Service::new());
    let everybody = connection(Routing::AllUsers);
    let round = |mut cursor: Option<Vec<u8>>| {
        let mut changes = Vec::new();
        loop {
            let call = Call::SyncPage { cursor: cursor.clone() };
            match controller.call(&everybody, &call, Box::new(Arc::clone(&service))) {
                Ok(Answer::Page(page)) => {
                    changes.extend(page.changes);
                    cursor = Some(page.cursor);
                    if page.complete {
                        return (changes, cursor);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    };
    let (changes, cursor) = round(None);
    let people = changes.iter().filter(|change| matches!(change, Change::Person(_))).count();
    assert!(people >= 5, "{changes:?}");
    assert!(changes.iter().any(|change| matches!(change, Change::Member { .. })), "{changes:?}");
    let hanna = changes.iter().find_map(|change| match change {
        Change::Person(entry) if entry.addresses.iter().any(|address| address == "hanna.lindqvist@northwind.example") => Some(entry),
        _ => None,
    });
    assert!(hanna.is_some_and(|hanna| hanna.attributes.iter().any(|(name, _)| name == "jobTitle")), "{hanna:?}");
    let (changes, _) = round(cursor);
    assert!(changes.is_empty(), "{changes:?}");
}
