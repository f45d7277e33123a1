//! The synchronisation against a scripted service (`cases`), a small tenant that changes (`rounds`), and Microsoft's description of Graph
//! (`description`).

mod cases;
pub(crate) mod requests;
mod rounds;
mod tenant;

use std::cell::{Cell, RefCell};

use serde_json::{Value, json};
use signet_plugin_sdk::control::{Connection, HttpError, Request, Response, Routing, Surroundings, Synchronisation, Word};

pub(super) const BASE: &str = "https://graph.microsoft.com/v1.0";

pub(super) fn connection(synchronisation: Synchronisation) -> Connection {
    let word = |name: &str, value: &str| Word { name: name.to_owned(), value: value.to_owned() };
    Connection {
        tenant: "7f6e1b62-0000-4000-8000-000000000001".to_owned(),
        endpoints: vec![word("graph", "https://graph.microsoft.com")],
        credentials: vec!["directory".to_owned()],
        synchronisation,
        routing: Routing::AllUsers,
        smart_host: "in.signet.example".to_owned(),
        certificate_domain: "t1.signet.example".to_owned(),
        processed: word("X-Signet", "secret"),
        identification: None,
        size_limit: 1 << 20,
        domains: vec!["contoso.example".to_owned()],
        spf_term: String::new(),
    }
}

pub(super) fn answer(status: u16, body: &Value) -> Reply {
    Ok(Response { status, headers: Vec::new(), body: body.to_string().into_bytes() })
}

pub(super) fn failure(status: u16, code: &str) -> Reply {
    answer(status, &json!({ "error": { "code": code, "message": "words" } }))
}

/// What came back, or why nothing did.
pub(super) type Reply = Result<Response, HttpError>;

/// Surroundings without state: a synchronisation that wrote any would not survive on its cursor alone.
pub(super) struct Service<'a> {
    reply: Box<dyn Fn(&Request) -> Reply + 'a>,
    pub(super) sent: RefCell<Vec<Request>>,
    pub(super) now: Cell<u64>,
}

impl<'a> Service<'a> {
    pub(super) fn new(reply: impl Fn(&Request) -> Reply + 'a) -> Self {
        Self { reply: Box::new(reply), sent: RefCell::default(), now: Cell::new(1_790_000_000_000) }
    }

    /// Answers by the first fragment that the address contains.
    pub(super) fn scripted(script: Vec<(&'static str, Reply)>) -> Self {
        Service::new(move |request| {
            let found = script.iter().find(|(fragment, _)| request.url.contains(fragment));
            found.unwrap_or_else(|| panic!("nothing is scripted for {} {}", request.method, request.url)).1.clone()
        })
    }

    /// Method and address below the version, of everything that was sent.
    pub(super) fn asked(&self) -> Vec<String> {
        self.sent.borrow().iter().map(|request| format!("{} {}", request.method, request.url.replace(BASE, ""))).collect()
    }
}

impl Surroundings for Service<'_> {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        assert_eq!(request.credential.as_deref(), Some("directory"), "of {}", request.url);
        self.sent.borrow_mut().push(request.clone());
        (self.reply)(request)
    }
    fn read(&self, key: &str) -> Option<Vec<u8>> {
        panic!("{key} is read: there is no state but the cursor")
    }
    fn write(&self, key: &str, _: &[u8]) -> Result<(), String> {
        panic!("{key} is written: there is no state but the cursor")
    }
    fn remove(&self, key: &str) {
        panic!("{key} is removed: there is no state but the cursor")
    }
    fn keys(&self, prefix: &str) -> Vec<String> {
        panic!("{prefix} is listed: there is no state but the cursor")
    }
    fn now(&self) -> u64 {
        self.now.get()
    }
}
