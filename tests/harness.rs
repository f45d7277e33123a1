//! What the end-to-end tests stand on: Signet in this process on free ports, with stand-ins around it, and a client that can misbehave.
//!
//! A [`Rig`] is one Signet with its own configuration folder, DNS zone and return host. [`Setup`] describes it: parts of the configuration as
//! text, so that a test shows what an operator would write. Unless a test asks for the embedded plugins, tiny ones that load in no time take
//! their place (`plugins`). All tests share one runtime ([`run`]), because servers outlive the call that starts them.

pub(crate) mod client;
pub(crate) mod dns;
#[path = "../mta/src/plugin/tests/guest.rs"]
mod guest;
pub(crate) mod plugins;
pub(crate) mod setup;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use signet::Server;
use signet::config::Config;
use signet::demo::materials::{Authority, DkimKey, PrivateFolder};
use signet::demo::origin;
use signet::demo::return_host::{Action, Event, Received, ReturnHost, Step};
use signet::demo::zone::ZoneServer;
use signet::event::MessageEvent;

pub(crate) use client::{Client, Reply};
pub(crate) use setup::{Setup, TenantSetup};

/// The tenant that every rig has unless the test names others, its id and its domain.
pub(crate) const TENANT: &str = "3f1c9a52-7d0e-4b86-9c41-5e2a8d6b7f10";
pub(crate) const DOMAIN: &str = "northwind.example";
/// Signet's name, also in its certificate.
pub(crate) const SIGNET: &str = "smtp.signet.example";
/// The return host's name.
pub(crate) const RETURN: &str = "northwind-example.mail.protection.outlook.com";
/// The name in the client certificate that Signet shows to the return host.
pub(crate) const TENANT_CERTIFICATE: &str = "k7q2m4x9.smtp.signet.example";
/// The name in the client certificate of Microsoft's outbound hosts.
pub(crate) const MICROSOFT: &str = "mail.protection.outlook.com";
/// Nothing on loopback takes longer, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test on the runtime that all share.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let build = || tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("the runtime starts");
    RUNTIME.get_or_init(build).block_on(test)
}

/// The authority that all certificates come from.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new().expect("an authority"))
}

/// The keys whose records are in every zone: Microsoft's for the tenant (`selector1`), the tenant's (`signet`), and the one for ARC.
pub(crate) struct Keys {
    pub(crate) microsoft: DkimKey,
    pub(crate) tenant: DkimKey,
    pub(crate) arc: DkimKey,
}

pub(crate) fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    let key = || DkimKey::new().expect("a key");
    KEYS.get_or_init(|| Keys { microsoft: key(), tenant: key(), arc: key() })
}

/// Signs a message as Microsoft's hosts do for the tenant.
pub(crate) fn dkim_sign(content: &[u8]) -> Vec<u8> {
    origin::dkim_sign(content, &keys().microsoft, DOMAIN, "selector1").expect("the message can be signed")
}

/// A small message from `from`; `id` makes it different from all others.
pub(crate) fn message(from: &str, id: &str, body: &str) -> Vec<u8> {
    let header = format!(
        "From: <{from}>\r\nTo: <undisclosed@contoso.example>\r\nSubject: {id}\r\nDate: Mon, 23 Nov 2026 08:12:22 +0000\r\n\
         Message-ID: <{id}@northwind.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    );
    format!("{header}{body}").into_bytes()
}

/// What stands below the trace fields that Signet puts on top: everything from the first field that it does not write.
pub(crate) fn below_trace(content: &[u8]) -> &[u8] {
    const OURS: [&str; 7] = [
        "received",
        "authentication-results",
        "arc-seal",
        "arc-message-signature",
        "arc-authentication-results",
        "dkim-signature",
        "x-signet-loop",
    ];
    let first = signet::header::fields(content).find(|field| !OURS.iter().any(|name| field.is(name)));
    first.map_or(&[], |field| &content[field.span.start..])
}

/// The values of all header fields of this name, unfolded.
pub(crate) fn field(content: &[u8], name: &str) -> Vec<String> {
    signet::header::fields(content).filter(|field| field.is(name)).map(|field| field.text()).collect()
}

/// Decides what the return host does at each step; can be replaced while it runs.
pub(crate) type Decide = Box<dyn Fn(&Event) -> Action + Send>;

/// The return host's script, which a test may change at any time.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Option<Decide>>>);

impl Script {
    /// From now on `decide` answers.
    pub(crate) fn set(&self, decide: impl Fn(&Event) -> Action + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(decide));
    }

    /// Acts once at `step`, then as usual. The answer turns true when it has acted.
    pub(crate) fn once(&self, step: Step, action: Action) -> Arc<AtomicBool> {
        let done = Arc::new(AtomicBool::new(false));
        let acted = Arc::clone(&done);
        self.set(move |event| if event.step == step && !done.swap(true, Ordering::AcqRel) { action.clone() } else { Action::Continue });
        acted
    }

    /// Acts every time at `step`.
    pub(crate) fn always(&self, step: Step, action: Action) {
        self.set(move |event| if event.step == step { action.clone() } else { Action::Continue });
    }

    /// As usual again.
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn decide(&self, event: &Event) -> Action {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(Action::Continue, |decide| decide(event))
    }
}

/// One Signet with its surroundings; everything ends when it is dropped.
pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) sink: ReturnHost,
    pub(crate) script: Script,
    pub(crate) dns: dns::Gate,
    pub(crate) folder: PrivateFolder,
    configuration: PathBuf,
    events: Arc<Mutex<Vec<MessageEvent>>>,
    _zone: ZoneServer,
}

impl Rig {
    /// Where the first listener listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    /// Signet's configuration file.
    pub(crate) fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// Connects to the first listener and reads the greeting.
    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address()).await
    }

    /// Connects, starts TLS with a certificate for `names` (none without names) and says EHLO on both sides of it.
    pub(crate) async fn secure(&self, names: &[&str]) -> Client {
        let mut client = self.connect().await;
        client.ehlo().await;
        let mut client = client.start_tls(&client::tls(names), SIGNET).await.expect("the handshake succeeds");
        client.ehlo().await;
        client
    }

    /// Sends one message over a connection of its own; the reply that decided.
    pub(crate) async fn send(&self, from: &str, to: &[&str], content: &[u8]) -> Reply {
        let mut client = self.secure(&[]).await;
        let reply = client.mail(from, to, content).await;
        client.send(b"QUIT\r\n").await;
        reply
    }

    /// Takes out what the return host has accepted so far.
    pub(crate) fn arrived(&self) -> Vec<Received> {
        self.sink.take()
    }

    /// Takes out the one message that the return host has accepted.
    pub(crate) fn one(&self) -> Received {
        let mut arrived = self.arrived();
        assert_eq!(arrived.len(), 1, "one message should have arrived");
        arrived.remove(0)
    }

    /// Takes out the records of the messages so far. A record is there before its reply is written.
    pub(crate) fn events(&self) -> Vec<MessageEvent> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes out the one record.
    pub(crate) fn event(&self) -> MessageEvent {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "there should be one record: {events:?}");
        events.remove(0)
    }

    /// Replaces a file of the configuration folder.
    pub(crate) fn rewrite(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.folder.path().join(name);
        let text = std::fs::read_to_string(&path).expect("the file is there");
        let changed = change(text.clone());
        assert_ne!(text, changed, "{name} should change");
        std::fs::write(&path, changed).expect("the file can be written");
    }

    /// Reads the configuration again and puts it in force, as SIGHUP does; the error as text.
    pub(crate) async fn reload(&self) -> Result<(), String> {
        let config = Config::load(self.configuration()).map_err(|errors| errors.to_string())?;
        self.server.reload(config).await.map_err(|error| error.to_string())
    }

    /// GET from the operations port: status line and body.
    pub(crate) async fn get(&self, path: &str) -> (String, String) {
        client::http_get(self.server.operations(), path).await
    }
}
