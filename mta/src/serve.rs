//! Starting, reloading and stopping: the life of the process, apart from signals and command line.
//!
//! [`Server::start`] binds everything before it returns. [`Server::reload`] puts a whole new configuration in force or leaves the old one
//! untouched. [`Server::stop`] refuses new work, lets open transactions finish under a deadline, and says how many did not.

mod control;
mod people;
mod rounds;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::budget::Budget;
use crate::config::{self, Config, ListenerTls};
use crate::control::plane::ControlPlane;
use crate::cpu::Cpu;
use crate::directory::Directories;
use crate::handoff::{Ledger, Pool};
use crate::plugin::{Engine, EngineError};
use crate::probe::Probes;
use crate::service::{MessageIds, SWEEP_INTERVAL, Service, ServiceError, Shared};
use crate::smtp::server::{self, Connections, Listener, Mode};
use crate::store::{Store, StoreError};
use crate::telemetry::{self, Health, Metrics, MetricsError};
use crate::tls::{ServerTls, TlsError};
use crate::verify::{Resolver, VerifyError};

pub use crate::service::Observer;

/// Why the server does not start, or does not take a new configuration.
#[derive(Debug, Error)]
pub enum StartError {
    /// Plugins, keys, tenants.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The plugin engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// DNS.
    #[error(transparent)]
    Dns(#[from] VerifyError),
    /// A listener's certificate.
    #[error("listener {address}: {error}")]
    Tls {
        /// Which listener.
        address: SocketAddr,
        /// Why.
        error: Box<TlsError>,
    },
    /// The ledger's database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A port that cannot be had.
    #[error("cannot listen on {address}: {error}; is another process listening there, or does the port need a privilege?")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// Metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// What a running process cannot change.
    #[error("{0} changed, which needs a restart; the old configuration stays in force")]
    NeedsRestart(&'static str),
    /// The control plane.
    #[error("control: {0}")]
    Control(String),
    /// The job that compiles plugins panicked.
    #[error("the configuration could not be made ready: {0}")]
    Build(String),
}

/// A running server.
pub struct Server {
    shared: Arc<Shared>,
    config: Mutex<Config>,
    addresses: Vec<SocketAddr>,
    operations: SocketAddr,
    health: Health,
    drain: watch::Sender<bool>,
    tasks: JoinSet<()>,
    control: Option<control::Running>,
}

/// What stopping came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still open at the deadline; their senders keep their messages.
    pub cut_off: usize,
}

/// Checks everything that [`Server::start`] would, and binds no port.
pub fn check(config: &Config) -> Result<(), StartError> {
    let now = SystemTime::now();
    let engine = Engine::new(&config.plugins.engine())?;
    Service::build(config, &engine, None, now)?;
    Resolver::new(&config.dns.resolver())?;
    control::check(config, now)?;
    for listener in &config.listeners {
        self::listener(listener, 0, now)?;
    }
    Ok(())
}

impl Server {
    /// Starts serving. Every port is bound when this returns.
    pub async fn start(config: Config, observer: Option<Observer>) -> Result<Self, StartError> {
        let now = SystemTime::now();
        let engine = Engine::new(&config.plugins.engine())?;
        let service = build(config.clone(), engine.clone(), None).await?;
        let resolver = Resolver::new(&config.dns.resolver())?;
        let metrics = Metrics::new()?;
        let store = config.state.directory.as_deref().map(|folder| Store::open(&folder.join("signet.db"))).transpose()?;
        let ledger = Ledger::open(config.state.ledger(), store.clone(), now).await?;
        let limits = &config.limits;
        let shared = Arc::new(Shared {
            service: ArcSwap::from_pointee(service),
            message_ids: MessageIds::new(now),
            pool: Arc::new(Pool::new(Arc::new(resolver.hosts()), limits.connections)),
            resolver,
            ledger: Arc::new(ledger),
            budget: Budget::new(limits.memory_budget),
            connections: Connections::new(limits.connections, limits.connections_per_address),
            cpu: Cpu::new(config.plugins.workers()),
            metrics: metrics.clone(),
            engine,
            observer,
            probes: Probes::default(),
        });
        let (drain, drained) = watch::channel(false);
        let health = Health::new();
        let mut tasks = JoinSet::new();
        // Who was synchronised before the last stop is known before the first message comes.
        let control = control::start(&config, &shared, store, &drained, &mut tasks, now).await?;
        let addresses = listen(&config, &shared, &drained, &mut tasks, now).await?;
        let operations = operate(&config, &metrics, &health, &drained, &mut tasks).await?;
        tasks.spawn(housekeeping(Arc::clone(&shared), config.limits.memory_budget, drained));
        announce(&shared, &config);
        health.set_ready("listeners");
        metrics.ready(true);
        Ok(Self { shared, config: Mutex::new(config), addresses, operations, health, drain, tasks, control })
    }

    /// Where the listeners listen, in configuration order; a configured port 0 is a real one here.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where metrics and health are served.
    pub fn operations(&self) -> SocketAddr {
        self.operations
    }

    /// The connections of tenants; none without `[control]`.
    pub fn control(&self) -> Option<&Arc<ControlPlane>> {
        self.control.as_ref().map(|running| &running.plane)
    }

    /// Where the console listens; none without `[console]`.
    pub fn console(&self) -> Option<SocketAddr> {
        self.control.as_ref().and_then(|running| running.console)
    }

    /// The synchronised directories of all tenants, to be filled: mail is signed with what is in use there.
    pub fn directories(&self) -> Directories {
        self.shared.service().directories.clone()
    }

    /// Octets of messages that are in memory now.
    pub fn memory_in_use(&self) -> usize {
        self.shared.budget.used()
    }

    /// Makes known how many log lines were dropped since the start.
    pub fn log_lines_dropped(&self, number: u64) {
        self.shared.metrics.log_lines_dropped(number);
    }

    /// Counts a configuration that could not even be read.
    pub fn configuration_refused(&self) {
        self.shared.metrics.configuration_refused();
    }

    /// Puts `config` in force for the next mail transaction, or leaves the old configuration as it is.
    pub async fn reload(&self, config: Config) -> Result<(), StartError> {
        let mut current = self.config.lock().await;
        let outcome = match needs_restart(&current, &config) {
            Some(what) => Err(StartError::NeedsRestart(what)),
            None => build(config.clone(), self.shared.engine.clone(), Some(self.shared.service())).await,
        };
        match outcome {
            Ok(service) => {
                self.shared.replace(service);
                announce(&self.shared, &config);
                if let Some(running) = &self.control {
                    running.reload(&config);
                }
                *current = config;
                Ok(())
            }
            Err(error) => {
                self.shared.metrics.configuration_refused();
                Err(error)
            }
        }
    }

    /// Stops: no new connections, no new transactions; open ones may finish until the deadline.
    pub async fn stop(mut self) -> Drained {
        let deadline = self.config.lock().await.drain_deadline;
        self.health.set_waiting("listeners", "stopping");
        self.shared.metrics.ready(false);
        tracing::info!(event = "server.draining", connections = self.shared.connections.open(), "stopping; open transactions may finish");
        // The receivers live as long as the tasks; none left means there is nobody to tell.
        self.drain.send(true).ok();
        let cut_off = match tokio::time::timeout(deadline, self.shared.connections.all_closed()).await {
            Ok(()) => 0,
            Err(_) => self.shared.connections.open(),
        };
        if let Some(running) = &self.control {
            running.plane.stop();
        }
        self.shared.pool.close().await;
        self.tasks.shutdown().await;
        tracing::info!(event = "server.stopped", cut_off, "stopped");
        Drained { cut_off }
    }
}

async fn build(config: Config, engine: Engine, previous: Option<Arc<Service>>) -> Result<Service, StartError> {
    let job = move || Service::build(&config, &engine, previous.as_deref(), SystemTime::now());
    let built = tokio::task::spawn_blocking(job).await.map_err(|error| StartError::Build(error.to_string()))?;
    Ok(built?)
}

/// What only a restart can change: sockets, and the sizes of what all generations share.
fn needs_restart(old: &Config, new: &Config) -> Option<&'static str> {
    let listener = |listener: &config::Listener| format!("{:?} {:?} {:?}", listener.address, listener.proxy_networks, listener.tls);
    let listeners = |config: &Config| config.listeners.iter().map(listener).collect::<Vec<_>>();
    let console =
        |config: &Config| config.console.as_ref().map(|console| format!("{:?}", config::Console { users: Vec::new(), ..console.clone() }));
    let connections =
        |config: &Config| config.tenants.iter().map(|tenant| (tenant.id.clone(), tenant.connection.clone())).collect::<Vec<_>>();
    let checks = [
        ("[[listener]]", listeners(old) != listeners(new)),
        ("[operations]", old.operations != new.operations),
        ("[dns]", old.dns != new.dns),
        ("[state]", old.state != new.state),
        ("[log]", old.log != new.log),
        ("[control]", format!("{:?}", old.control) != format!("{:?}", new.control)),
        ("[console], but for its users,", console(old) != console(new)),
        ("[tenant.connection]", connections(old) != connections(new)),
        (
            "[plugins] workers, instances or memory",
            old.plugins.engine() != new.plugins.engine() || old.plugins.workers() != new.plugins.workers(),
        ),
        (
            "[limits] memory_budget or connections",
            (old.limits.memory_budget, old.limits.connections, old.limits.connections_per_address)
                != (new.limits.memory_budget, new.limits.connections, new.limits.connections_per_address),
        ),
    ];
    checks.into_iter().find(|(_, changed)| *changed).map(|(what, _)| what)
}

fn listener(configured: &config::Listener, number: usize, now: SystemTime) -> Result<Listener, StartError> {
    let mode = match &configured.tls {
        ListenerTls::StartTls { .. } => Mode::StartTls,
        ListenerTls::Implicit { .. } => Mode::Implicit,
        ListenerTls::Plain => Mode::Plain,
    };
    let address = configured.address;
    let load = |settings: &crate::tls::ServerTlsSettings| ServerTls::load(settings.clone(), now);
    let tls = configured.tls.settings().map(load).transpose().map_err(|error| StartError::Tls { address, error: Box::new(error) })?;
    Ok(Listener { address, mode, tls, proxy_networks: configured.proxy_networks.clone(), number })
}

async fn listen(
    config: &Config,
    shared: &Arc<Shared>,
    drained: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
    now: SystemTime,
) -> Result<Vec<SocketAddr>, StartError> {
    let mut addresses = Vec::new();
    for (number, configured) in config.listeners.iter().enumerate() {
        let listener = listener(configured, number, now)?;
        let tcp = bind(listener.address).await?;
        addresses.push(tcp.local_addr().map_err(|error| StartError::Bind { address: listener.address, error })?);
        tasks.spawn(server::accept(tcp, Arc::new(listener), Arc::clone(shared), drained.clone()));
    }
    Ok(addresses)
}

async fn operate(
    config: &Config,
    metrics: &Metrics,
    health: &Health,
    drained: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) -> Result<SocketAddr, StartError> {
    let tcp = bind(config.operations).await?;
    let address = tcp.local_addr().map_err(|error| StartError::Bind { address: config.operations, error })?;
    let (metrics, health, mut drained) = (metrics.clone(), health.clone(), drained.clone());
    tasks.spawn(async move {
        // While connections drain, the health page still answers; it ends with the process.
        let stop = async move {
            if drained.wait_for(|stop| *stop).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        if let Err(error) = telemetry::serve(tcp, metrics, health, stop).await {
            tracing::error!(event = "operations.failed", %error, "metrics and health are no longer served");
        }
    });
    Ok(address)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| StartError::Bind { address, error })
}

/// Closes connections to next hops that nobody uses, and keeps slow gauges current.
async fn housekeeping(shared: Arc<Shared>, budget: usize, mut drained: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
            _ = drained.wait_for(|stop| *stop) => return,
        }
        shared.pool.sweep(std::time::Instant::now()).await;
        shared.metrics.memory(shared.budget.used(), budget);
        shared.metrics.return_connections_idle(shared.pool.idle());
        shared.metrics.ledger_recipients(shared.ledger.rows());
        for site in shared.service().sites() {
            shared.metrics.people(site.tenant.id.as_str(), site.directory().people());
        }
    }
}

fn announce(shared: &Shared, config: &Config) {
    let service = shared.service();
    for warning in &config.warnings {
        tracing::warn!(event = "config.warning", %warning, "the configuration is valid, but look at this");
    }
    shared.metrics.configured(service.generation, &service.digest);
    for site in service.sites() {
        shared.metrics.people(site.tenant.id.as_str(), site.directory().people());
    }
    tracing::info!(
        event = "config.loaded", generation = service.generation, digest = %service.digest,
        tenants = config.tenants.len(), "a configuration is in force"
    );
}
