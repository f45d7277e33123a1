//! Starting the control plane: the plugin, its way out, the tokens, the state machine, the synchronisation, and what they need of the rest.
//!
//! Nothing here knows what a tenant's service is; the plugin does. Without `[control]` none of this exists.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, Record};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use super::StartError;
use super::people::People;
use super::rounds::Rounds;
use crate::address::Mailbox;
use crate::config::{self, ApplicationCredential, Config};
use crate::console::{self, Console};
use crate::control::credentials::{self, Cloud, Credentials};
use crate::control::egress::{Egress, EgressSettings};
use crate::control::onboarding::{self, ConnectedTenant, Foundation};
use crate::control::plane::ControlPlane;
use crate::control::session::Caller;
use crate::control::tokens::Tokens;
use crate::control::words::{Trial, Word};
use crate::plugin::{ControlLimits, Controller, Engine};
use crate::probe;
use crate::service::{SWEEP_INTERVAL, Shared};
use crate::smtp::auth::Logins;
use crate::store::Store;
use crate::tls::{CertificateFiles, ClientAuthentication, Roots, ServerTls, ServerTlsSettings, TlsError};

/// The path below the console's address to which the service sends browsers back.
pub(crate) const RETURN_PATH: &str = "/connect/return";

/// The tokens, with the keys that the configuration names.
pub(super) fn credentials(control: &config::Control, console: &str, now: SystemTime) -> Result<Credentials, StartError> {
    let address = |text: &str| text.parse::<Url>().map_err(|error| StartError::Control(format!("{text:?} is no address: {error}")));
    let (graph, exchange) = (address(&control.graph)?, address(&control.exchange)?);
    let (graph_scope, exchange_scope) = scopes(&graph)?;
    let settings = credentials::Settings {
        authority: address(&control.authority)?,
        synchronisation: application(&control.synchronisation)?,
        setup: application(&control.setup)?,
        redirect: address(&format!("{console}{RETURN_PATH}"))?,
        resources: credentials::Resources { graph, graph_scope, exchange, exchange_scope },
        roots: match &control.roots {
            Roots::Native => Vec::new(),
            Roots::File(path) => vec![path.clone()],
        },
    };
    Credentials::load(settings, now).map_err(|error| StartError::Control(error.to_string()))
}

/// What tokens are asked for: the names of the cloud's resources, which are not always their addresses. An address that is none of Microsoft's is a
/// proxy's or a stand-in's, for the worldwide cloud.
fn scopes(graph: &Url) -> Result<(String, String), StartError> {
    let mut worldwide = None;
    for cloud in [Cloud::Global, Cloud::GccHigh, Cloud::Dod, Cloud::China] {
        let (_, resources) = cloud.endpoints().map_err(|error| StartError::Control(error.to_string()))?;
        let scopes = (resources.graph_scope, resources.exchange_scope);
        if resources.graph.host() == graph.host() {
            return Ok(scopes);
        }
        worldwide = worldwide.or(Some(scopes));
    }
    worldwide.ok_or_else(|| StartError::Control("there is no cloud".to_owned()))
}

fn application(configured: &config::Application) -> Result<credentials::Application, StartError> {
    let client_id = configured.client_id.parse();
    let client_id = client_id.map_err(|error| StartError::Control(format!("client_id {:?}: {error}", configured.client_id)))?;
    let credential = match &configured.credential {
        ApplicationCredential::Certificate(files) => {
            credentials::Credential::Certificate { certificate: files.chain.clone(), key: files.key.clone() }
        }
        ApplicationCredential::Secret(path) => credentials::Credential::Secret(path.clone()),
    };
    Ok(credentials::Application { client_id, credential })
}

fn controller(control: &config::Control) -> Result<Controller, StartError> {
    let limits = ControlLimits { deadline: control.call_deadline, ..ControlLimits::default() };
    let engine = Engine::new(&limits.engine())?;
    let component = control.plugin.as_ref().map_or(crate::DEFAULT_CONTROLLER, |plugin| &plugin.wasm);
    let controller = Controller::load(&engine, component, &limits);
    controller.map_err(|error| StartError::Control(format!("control.plugin: the plugin does not load: {error}")))
}

/// The plugin with everything around a call.
pub(super) fn caller(
    control: &config::Control,
    shared: &Shared,
    credentials: &Arc<Credentials>,
    store: Store,
) -> Result<Caller, StartError> {
    let controller = controller(control)?;
    let settings = EgressSettings {
        rules: control.egress.clone(),
        private_networks: control.private_networks.clone(),
        roots: control.roots.clone(),
        request_time: control.request_timeout,
        requests: u32::try_from(control.requests).unwrap_or(u32::MAX),
        received: control.response_size,
        ..EgressSettings::default()
    };
    let egress = Egress::new(settings, Arc::new(shared.resolver.hosts()), Arc::new(Tokens::new(Arc::clone(credentials))));
    let egress = egress.map_err(|error| StartError::Control(error.to_string()))?;
    Ok(Caller::new(Arc::new(controller), Arc::new(egress), store, control.recordings.clone()))
}

/// Without a console no browser comes back; the address is only to be valid.
const NO_CONSOLE: &str = "http://127.0.0.1";

/// How often the console's certificate files are looked at.
const CERTIFICATE_RELOAD: Duration = Duration::from_secs(60);

/// Everything that [`start`] would refuse and that needs no port: keys, certificates, the plugin, the names of the console's users.
pub(super) fn check(config: &Config, now: SystemTime) -> Result<(), StartError> {
    let Some(control) = &config.control else { return Ok(()) };
    credentials(control, config.console.as_ref().map_or(NO_CONSOLE, |console| &console.url), now)?;
    controller(control)?;
    let Some(console) = &config.console else { return Ok(()) };
    let users = console.users.iter().map(|user| (user.name.clone(), user.keys.clone()));
    Logins::new(users, &[0; 32]).map_err(|error| StartError::Control(format!("console.user: {error}")))?;
    console
        .tls
        .as_ref()
        .map(|files| console_tls(files, now))
        .transpose()
        .map(drop)
        .map_err(|error| StartError::Tls { address: console.address, error: Box::new(error) })
}

/// What is running.
pub(super) struct Running {
    pub(super) plane: Arc<ControlPlane>,
    /// Where the console listens.
    pub(super) console: Option<SocketAddr>,
    users: Option<Console>,
}

impl Running {
    /// Other users of the console from the next request on.
    pub(super) fn reload(&self, config: &Config) {
        let (Some(console), Some(configured)) = (&self.users, &config.console) else { return };
        if let Err(error) = console.replace_users(&configured.users) {
            tracing::error!(event = "console.users-kept", %error, "the console keeps its users");
        }
    }
}

/// Starts everything; none without `[control]`.
pub(super) async fn start(
    config: &Config,
    shared: &Arc<Shared>,
    store: Option<Store>,
    drained: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
    now: SystemTime,
) -> Result<Option<Running>, StartError> {
    let (Some(control), Some(store)) = (&config.control, store) else { return Ok(None) };
    let tcp = match &config.console {
        Some(console) => Some(super::bind(console.address).await?),
        None => None,
    };
    let url = config.console.as_ref().map_or(NO_CONSOLE, |console| &console.url);
    let credentials = Arc::new(credentials(control, url, now)?);
    let caller = caller(control, shared, &credentials, store.clone())?;
    let tenants: Vec<ConnectedTenant> = config.tenants.iter().filter_map(|tenant| ConnectedTenant::of(tenant)).collect();
    let word = |name: &str, value: &str| Word { name: name.to_owned(), value: value.to_owned() };
    let (clock, sleep) = onboarding::machine_time();
    let directories = shared.service().directories.clone();
    let rounds = Rounds::restore(caller.clone(), store.clone(), directories, control, &tenants).await?;
    let foundation = Foundation {
        caller,
        credentials: Arc::clone(&credentials),
        store,
        probe: Arc::new(Loop { shared: Arc::clone(shared), tenants: tenants.clone() }),
        synchroniser: Arc::new(rounds),
        spf: Arc::new(Records(shared.resolver.hosts())),
        tenants,
        endpoints: vec![word("graph", &control.graph), word("exchange", &control.exchange)],
        clock,
        sleep,
    };
    let plane = ControlPlane::new(foundation).await.map_err(|error| StartError::Control(error.to_string()))?;
    tasks.spawn(sweep(credentials, drained.clone()));
    let (mut listens, mut users) = (None, None);
    if let (Some(settings), Some(tcp)) = (&config.console, tcp) {
        let address = tcp.local_addr().map_err(|error| StartError::Bind { address: settings.address, error })?;
        let console = console(settings, &plane, shared)?;
        let tls = settings.tls.as_ref().map(|files| console_tls(files, now)).transpose();
        let tls = tls.map_err(|error| StartError::Tls { address, error: Box::new(error) })?;
        let (router, mut drained) = (console.router(), drained.clone());
        tasks.spawn(async move {
            let stop = async move { drop(drained.wait_for(|stop| *stop).await) };
            console::server::serve(tcp, tls, router, stop).await;
        });
        tracing::info!(event = "console.listening", %address, url = %settings.url, "the console is served");
        (listens, users) = (Some(address), Some(console));
    }
    Ok(Some(Running { plane, console: listens, users }))
}

fn console(settings: &config::Console, plane: &Arc<ControlPlane>, shared: &Arc<Shared>) -> Result<Console, StartError> {
    let foundation = console::Foundation {
        settings: settings.clone(),
        plane: Arc::clone(plane) as Arc<dyn console::plane::Plane>,
        directory: Arc::new(People(Arc::clone(shared))),
    };
    Console::new(foundation).map_err(|error| StartError::Control(error.to_string()))
}

fn console_tls(files: &CertificateFiles, now: SystemTime) -> Result<Arc<ServerTls>, TlsError> {
    let settings =
        ServerTlsSettings { certificates: vec![files.clone()], client: ClientAuthentication::None, reload_interval: CERTIFICATE_RELOAD };
    ServerTls::load(settings, now).map(Arc::new)
}

/// Overwrites tokens that are too old, so that nothing stays when nobody asks.
async fn sweep(credentials: Arc<Credentials>, mut drained: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_INTERVAL) => credentials.sweep(SystemTime::now()),
            _ = drained.wait_for(|stop| *stop) => return,
        }
    }
}

/// The trial of the loop by a real message.
struct Loop {
    shared: Arc<Shared>,
    tenants: Vec<ConnectedTenant>,
}

impl onboarding::Probe for Loop {
    fn send<'a>(&'a self, tenant: &'a str, sender: &'a str) -> Pin<Box<dyn Future<Output = Trial> + Send + 'a>> {
        Box::pin(async move {
            let known = self.tenants.iter().find(|known| known.id.to_string() == tenant);
            let (Some(known), Ok(sender)) = (known, Mailbox::parse(sender)) else {
                return Trial::Failed(format!("{sender:?} is no sender of tenant {tenant}"));
            };
            let (host, names) = (known.settings.smart_host.as_str(), self.shared.resolver.hosts());
            match probe::probe(&self.shared, tenant, &sender, host, &names).await {
                Ok(()) => Trial::Passed,
                Err(error) => Trial::Failed(error.to_string()),
            }
        })
    }
}

/// Published TXT records, by the resolver of the mail path.
struct Records(TokioResolver);

impl onboarding::TextRecords for Records {
    fn of<'a>(&'a self, domain: &'a str) -> onboarding::Later<'a, Result<Vec<String>, String>> {
        Box::pin(async move {
            match self.0.txt_lookup(format!("{domain}.")).await {
                Ok(found) => Ok(found.answers().iter().filter_map(text_of).collect()),
                Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}

fn text_of(record: &Record) -> Option<String> {
    match &record.data {
        RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
        _ => None,
    }
}
