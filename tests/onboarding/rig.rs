//! What the tests of the onboarding stand on: the control plane with the embedded plugin and the real way out, against the stand-in for
//! Microsoft's cloud on loopback. Time is moved, and never waited for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use signet::address::Domain;
use signet::config;
use signet::control::credentials::{Application, BrowserBinding, Credential, Credentials, Resources, Settings};
use signet::control::egress::{Awaited, Bearer, CredentialSource, Egress, EgressSettings, Rule};
use signet::control::onboarding::{ConnectedTenant, Foundation, Later, Probe, Synchronise, TextRecords};
use signet::control::plane::{ControlPlane, Return};
use signet::control::report::{Overview, Synchronised, Trouble};
use signet::control::session::Caller;
use signet::control::state::State;
use signet::control::words::{Connection, Goal, Trial, Word};
use signet::plugin::{ControlLimits, Controller, Engine};
use signet::smtp::client::SystemResolver;
use signet::store::Store;
use signet_cloud::seed::{FOREIGN_TENANT, PASSWORD, SETUP, SYNC, TENANT};
use signet_cloud::{Cloud, server};
use url::Url;
use uuid::Uuid;

pub(super) const ASTRID: &str = "astrid.holm@northwind.example";
/// Nothing on loopback takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

/// One organisation at the stand-in, and what outlives a process here.
pub(super) struct Rig {
    pub(super) cloud: Arc<Cloud>,
    pub(super) store: Store,
    pub(super) people: Arc<People>,
    pub(super) trials: Arc<Trials>,
    pub(super) time: Arc<Time>,
    address: SocketAddr,
    folder: PathBuf,
    server: tokio::task::JoinHandle<()>,
}

/// One process: a control plane, and when it dies.
pub(super) struct Process {
    pub(super) plane: Arc<ControlPlane>,
    pub(super) death: Arc<Death>,
    cloud: Arc<Cloud>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.abort();
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Rig {
    pub(super) async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let listener = server::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let cloud = Arc::new(Cloud::small(&format!("http://{address}")).expect("the stand-in starts"));
        let served = Arc::clone(&cloud);
        let server = tokio::spawn(async move { drop(server::serve(listener, served, None).await) });
        let name = format!("signet-onboarding-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        // A file is flushed with every change; that what was answered survives is the store's own test.
        let store = Store::in_memory().expect("a store");
        let time = Arc::new(Time { advanced: AtomicU64::new(0), cloud: Arc::clone(&cloud), store: store.clone() });
        Self { cloud, store, people: Arc::default(), trials: Arc::default(), time, address, folder, server }
    }

    /// Starts a process on what is kept.
    pub(super) async fn start(&self) -> Process {
        let credentials = Arc::new(self.credentials());
        let death = Arc::new(Death::default());
        let source = Source {
            credentials: Arc::clone(&credentials),
            death: Arc::clone(&death),
            time: Arc::clone(&self.time),
            origin: format!("http://{}", self.address),
        };
        let rule = Rule::parse(&format!("GET,POST,PATCH,DELETE http://{}/", self.address)).expect("a rule");
        let settings =
            EgressSettings { rules: vec![rule], private_networks: vec!["127.0.0.0/8".parse().expect("a network")], ..Default::default() };
        let egress = Arc::new(Egress::new(settings, Arc::new(SystemResolver), Arc::new(source)).expect("the way out"));
        let (clock, sleep) = (Arc::clone(&self.time), Arc::clone(&self.time));
        let word = |name: &str| Word { name: name.to_owned(), value: format!("http://{}", self.address) };
        let foundation = Foundation {
            caller: Caller::new(controller(), egress, self.store.clone(), None),
            credentials,
            store: self.store.clone(),
            probe: Arc::clone(&self.trials) as Arc<dyn Probe>,
            synchroniser: Arc::clone(&self.people) as Arc<dyn Synchronise>,
            spf: Arc::new(Published),
            tenants: vec![northwind(), contrafforte()],
            endpoints: vec![word("graph"), word("exchange")],
            clock: Arc::new(move || clock.now()),
            sleep: Arc::new(move |time| {
                let clock = Arc::clone(&sleep);
                Box::pin(async move { clock.pass(time).await })
            }),
        };
        let plane = ControlPlane::new(foundation).await.expect("what was kept can be read");
        *death.plane.lock().expect("no panic") = Some(Arc::downgrade(&plane));
        Process { plane, death, cloud: Arc::clone(&self.cloud) }
    }

    fn credentials(&self) -> Credentials {
        let application = |client_id: &str| {
            let secret = self.cloud.with(|world| world.application(client_id).expect("it is registered").secret.clone());
            let file = self.folder.join(client_id);
            std::fs::write(&file, secret).expect("a file");
            Application { client_id: Uuid::try_parse(client_id).expect("an id"), credential: Credential::Secret(file) }
        };
        let base: Url = format!("http://{}", self.address).parse().expect("a URL");
        let settings = Settings {
            authority: base.clone(),
            synchronisation: application(SYNC),
            setup: application(SETUP),
            redirect: "http://127.0.0.1:9726/connect/done".parse().expect("a URL"),
            resources: Resources {
                graph: base.clone(),
                graph_scope: "https://graph.microsoft.com/.default".to_owned(),
                exchange: base,
                exchange_scope: "https://outlook.office365.com/.default".to_owned(),
            },
            roots: Vec::new(),
        };
        Credentials::load(settings, self.time.now()).expect("credentials")
    }

    /// Connectors, rules and domains, without what is drawn at random or comes from the clock.
    pub(super) fn objects(&self) -> String {
        let (mut objects, domains) = self.cloud.with(|world| {
            let tenant = &world.tenants[0];
            let domains: Vec<(String, bool)> =
                tenant.domains.iter().map(|domain| (domain.name.clone(), domain.verified.is_some())).collect();
            (tenant.exchange.describe(), domains)
        });
        for kind in objects.as_object_mut().expect("kinds of objects").values_mut() {
            for object in kind.as_array_mut().expect("a list").iter_mut().filter_map(|object| object.as_object_mut()) {
                for drawn in ["Guid", "Identity", "ImmutableId", "WhenChanged", "WhenCreated", "WhenChangedUTC", "WhenCreatedUTC"] {
                    object.remove(drawn);
                }
            }
        }
        format!("{objects} {domains:?}")
    }

    /// The keys that the plugin keeps.
    pub(super) async fn state(&self) -> Vec<String> {
        State::open(&self.store, TENANT).await.expect("the state").keys("")
    }
}

impl Process {
    /// Goes to `url` as that person; the query of the way back.
    pub(super) fn visit(&self, url: &Url, login: &str, accept: bool) -> Result<String, String> {
        let target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let back = self.cloud.sign_in(&target, login, PASSWORD, accept).map_err(|error| error.to_string())?;
        Ok(back.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default())
    }

    /// Sign-in and consent.
    pub(super) async fn sign_in(&self) {
        let url = self.plane.begin(TENANT, browser()).await.expect("it begins");
        let back = self.visit(&url, ASTRID, true).expect("it signs in");
        let Ok(Return::Onward(url)) = self.plane.returned(&back, browser()).await else { panic!("there is a consent to give") };
        let back = self.visit(&url, ASTRID, true).expect("it consents");
        let returned = self.plane.returned(&back, browser()).await.expect("the directory can be read");
        assert_eq!(returned, Return::Tenant(TENANT.to_owned()));
    }

    /// Sign-in, consent and both choices.
    pub(super) async fn choose(&self, people: Option<&str>, senders: Option<&str>) {
        self.sign_in().await;
        self.plane.choose_people(TENANT, people).await.expect("people");
        self.plane.choose_routing(TENANT, senders).await.expect("senders");
    }

    /// What somebody's authorisation comes to.
    pub(super) async fn authorize(&self, goal: Goal, login: &str) -> Result<Return, Trouble> {
        let url = self.plane.authorize(TENANT, goal, browser()).await?;
        let back = self.visit(&url, login, true).expect("it authorises");
        self.plane.returned(&back, browser()).await
    }

    pub(super) async fn overview(&self) -> Overview {
        self.plane.overview(TENANT).await.expect("an overview")
    }

    /// The overview once it satisfies `until`.
    pub(super) async fn wait(&self, until: impl Fn(&Overview) -> bool) -> Overview {
        let start = Instant::now();
        loop {
            let overview = self.overview().await;
            if until(&overview) {
                return overview;
            }
            assert!(start.elapsed() < PATIENCE, "it does not come to that: {overview:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(super) fn browser() -> BrowserBinding {
    BrowserBinding::of(b"the cookie of one browser")
}

/// Compiled once a process.
fn controller() -> Arc<Controller> {
    static CONTROLLER: LazyLock<Arc<Controller>> = LazyLock::new(|| {
        let limits = ControlLimits::default();
        let engine = Engine::new(&limits.engine()).expect("an engine");
        Arc::new(Controller::load(&engine, signet::DEFAULT_CONTROLLER, &limits).expect("the embedded controller loads"))
    });
    Arc::clone(&CONTROLLER)
}

fn northwind() -> ConnectedTenant {
    let word = |name: &str, value: &str| Word { name: name.to_owned(), value: value.to_owned() };
    ConnectedTenant {
        id: Uuid::try_parse(TENANT).expect("an id"),
        name: "Northwind".to_owned(),
        domains: vec!["northwind.example".to_owned()],
        settings: config::Connection {
            smart_host: Domain::parse("smtp.signet.example").expect("a domain"),
            certificate_domain: Domain::parse("k7q2m4x9.smtp.signet.example").expect("a domain"),
            size_limit: 35_000_000,
            spf_term: "include:spf.signet.example".to_owned(),
            photos: false,
        },
        processed: word("X-Signet-Word", "v4Jq7GZ9mT2c"),
        identification: Some(word("X-Signet-Secret", "another-long-word")),
    }
}

fn contrafforte() -> ConnectedTenant {
    let id = Uuid::try_parse(FOREIGN_TENANT).expect("an id");
    ConnectedTenant { id, name: "Contrafforte".to_owned(), domains: vec!["contrafforte.example".to_owned()], ..northwind() }
}

/// The time here and at the stand-in: the machine's, moved on by what is waited.
pub(super) struct Time {
    advanced: AtomicU64,
    cloud: Arc<Cloud>,
    store: Store,
}

impl Time {
    fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_millis(self.advanced.load(Ordering::SeqCst))
    }

    /// That time passes. The plugin has the machine's clock, so what it wrote down becomes older instead.
    pub(super) async fn pass(&self, time: Duration) {
        const WRITTEN_DOWN: &str = "mail-flow/switched-off";
        let passed = u64::try_from(time.as_millis()).expect("a wait");
        self.advanced.fetch_add(passed, Ordering::SeqCst);
        self.cloud.with(|world| world.advance(time));
        let mut state = State::open(&self.store, TENANT).await.expect("the state");
        if let Some(since) = state.read(WRITTEN_DOWN).await.expect("the state") {
            let since: u64 = String::from_utf8(since).expect("text").parse().expect("a time");
            state.write(WRITTEN_DOWN, (since - passed).to_string().into_bytes()).expect("it fits");
            state.commit().await.expect("kept");
        }
        tokio::task::yield_now().await;
    }
}

/// When a process dies: before or after its n-th request with a credential. What it was doing is cut off, and it sends nothing any more.
#[derive(Default)]
pub(super) struct Death {
    plane: Mutex<Option<std::sync::Weak<ControlPlane>>>,
    pub(super) requests: AtomicUsize,
    pub(super) at: AtomicUsize,
    pub(super) after: AtomicBool,
    pub(super) dead: AtomicBool,
}

impl Death {
    /// One more request; false when the dead would send it.
    fn lets(&self) -> bool {
        if self.dead.load(Ordering::SeqCst) {
            return false;
        }
        let count = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        if count != self.at.load(Ordering::SeqCst) {
            return true;
        }
        self.dead.store(true, Ordering::SeqCst);
        let plane = self.plane.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(plane) = plane.and_then(|plane| plane.upgrade()) {
            plane.stop();
        }
        self.after.load(Ordering::SeqCst)
    }
}

struct Source {
    credentials: Arc<Credentials>,
    death: Arc<Death>,
    time: Arc<Time>,
    origin: String,
}

impl CredentialSource for Source {
    fn bearer<'a>(&'a self, tenant: &'a str, handle: &'a str) -> Awaited<'a, Result<Bearer, String>> {
        Box::pin(async move {
            if !self.death.lets() {
                return Err("this process is dead".to_owned());
            }
            let tenant = Uuid::try_parse(tenant).map_err(|error| error.to_string())?;
            let bearer = self.credentials.bearer(tenant, handle, self.time.now()).await.map_err(|error| error.to_string())?;
            let token = bearer.authorization().trim_start_matches("Bearer ").to_owned();
            Ok(Bearer::new(token, self.origin.clone()))
        })
    }

    fn rejected<'a>(&'a self, _: &'a str, _: &'a str, _: &'a Bearer, _: &'a str) -> Awaited<'a, ()> {
        Box::pin(async {})
    }
}

/// What the synchronisation was told.
#[derive(Default)]
pub(super) struct People {
    pub(super) told: Mutex<Vec<String>>,
}

impl People {
    fn note(&self, what: String) {
        self.told.lock().expect("no panic").push(what);
    }

    pub(super) fn last(&self) -> String {
        self.told.lock().expect("no panic").last().cloned().unwrap_or_default()
    }
}

impl Synchronise for People {
    fn begin<'a>(&'a self, tenant: &'a str, connection: &'a Connection) -> Later<'a, ()> {
        assert_eq!(connection.credentials, ["directory"], "nothing of the administrator's");
        self.note(format!("begin {tenant} {:?}", connection.synchronisation));
        Box::pin(async {})
    }

    fn now<'a>(&'a self, tenant: &'a str) -> Later<'a, Result<(), Trouble>> {
        self.note(format!("now {tenant}"));
        Box::pin(async { Ok(()) })
    }

    fn stop<'a>(&'a self, tenant: &'a str) -> Later<'a, ()> {
        self.note(format!("stop {tenant}"));
        Box::pin(async {})
    }

    fn accept_shrink<'a>(&'a self, tenant: &'a str) -> Later<'a, Result<(), Trouble>> {
        self.note(format!("accept {tenant}"));
        Box::pin(async { Ok(()) })
    }

    fn report<'a>(&'a self, _: &'a str) -> Later<'a, Synchronised> {
        Box::pin(async { Synchronised { people: 7, ..Synchronised::default() } })
    }
}

/// Trials of the loop: who sent, and what comes of the next ones.
#[derive(Default)]
pub(super) struct Trials {
    pub(super) senders: Mutex<Vec<String>>,
    pub(super) failures: Mutex<Vec<String>>,
    gate: Mutex<std::sync::Weak<()>>,
}

impl Trials {
    /// The next trials do not end while somebody has this.
    pub(super) fn hold(&self) -> Arc<()> {
        let gate = Arc::new(());
        *self.gate.lock().expect("no panic") = Arc::downgrade(&gate);
        gate
    }
}

impl Probe for Trials {
    fn send<'a>(&'a self, tenant: &'a str, sender: &'a str) -> Later<'a, Trial> {
        assert_eq!(tenant, TENANT);
        self.senders.lock().expect("no panic").push(sender.to_owned());
        let failure = self.failures.lock().expect("no panic").pop();
        Box::pin(async move {
            while self.gate.lock().expect("no panic").strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            failure.map_or(Trial::Passed, Trial::Failed)
        })
    }
}

/// One domain's TXT records.
struct Published;

impl TextRecords for Published {
    fn of<'a>(&'a self, domain: &'a str) -> Later<'a, Result<Vec<String>, String>> {
        let records = match domain {
            "northwind.example" => Ok(vec!["MS=ms1".to_owned(), "v=spf1 include:spf.protection.outlook.com -all".to_owned()]),
            _ => Err("no answer".to_owned()),
        };
        Box::pin(async { records })
    }
}
