//! What serves mail: the parts that live as long as the process ([`Shared`]), and one generation of the configuration made ready to use
//! ([`Service`]), which a reload replaces as a whole.
//!
//! A message is served to its end by the generation that was in force at its MAIL command. Nothing here decides about mail.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use thiserror::Error;

use crate::budget::Budget;
use crate::config::{self, Config, Zone};
use crate::cpu::Cpu;
use crate::directory::{Current, Directories, Directory};
use crate::event::MessageEvent;
use crate::handoff::{Ledger, Pool, Route};
use crate::locale::Origin;
use crate::plugin::{Engine, Limits, LoadError, Renderer, Selector};
use crate::probe::Probes;
use crate::seal;
use crate::smtp::auth::Logins;
use crate::smtp::server::{Connections, Timeouts};
use crate::smtp::session;
use crate::telemetry::{self, Metrics};
use crate::tenant::{Registry, Tenant, TenantError, TenantId};
use crate::tls::TlsError;
use crate::verify::{Policy, Resolver};

pub(crate) use crate::config::FaultPolicy;

/// The default selector, compiled from `plugins/select` by the build script.
pub const SELECTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/select.wasm"));
/// The default renderer, compiled from `plugins/render` by the build script.
pub const RENDERER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/render.wasm"));

/// Sees every message's record after its reply is decided.
pub type Observer = Arc<dyn Fn(&MessageEvent) + Send + Sync>;

/// What all connections share, across reloads.
pub(crate) struct Shared {
    pub(crate) service: ArcSwap<Service>,
    pub(crate) message_ids: MessageIds,
    pub(crate) resolver: Resolver,
    pub(crate) pool: Arc<Pool>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) connections: Connections,
    pub(crate) cpu: Cpu,
    pub(crate) metrics: Metrics,
    pub(crate) engine: Engine,
    pub(crate) observer: Option<Observer>,
    pub(crate) probes: Probes,
}

/// Ids that are unique among all messages of this host: the start of the process and a number.
pub(crate) struct MessageIds {
    epoch: u64,
    count: AtomicU64,
}

impl MessageIds {
    pub(crate) fn new(start: SystemTime) -> Self {
        let epoch = start.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or_default());
        Self { epoch, count: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> String {
        format!("{:x}.{:x}", self.epoch, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

impl Shared {
    /// The generation in force.
    pub(crate) fn service(&self) -> Arc<Service> {
        self.service.load_full()
    }

    /// Puts another generation in force.
    pub(crate) fn replace(&self, service: Service) {
        service.take_effect();
        self.service.store(Arc::new(service));
    }

    /// Makes the record of a message known.
    pub(crate) fn report(&self, event: &MessageEvent) {
        self.metrics.message(event);
        telemetry::log_message(event);
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }
}

/// One generation of the configuration, ready to use.
pub(crate) struct Service {
    /// How many generations there were, with this one.
    pub(crate) generation: u64,
    /// The configuration's digest.
    pub(crate) digest: String,
    /// Whose mail.
    pub(crate) registry: Registry,
    /// For each listener of the configuration, in its order.
    pub(crate) terms: Vec<Arc<Terms>>,
    /// Synchronised people of all tenants: the same in all generations.
    pub(crate) directories: Directories,
    sites: HashMap<TenantId, Arc<Site>>,
}

/// What a listener's connections are told and allowed.
pub(crate) struct Terms {
    /// What the session offers and demands.
    pub(crate) session: Arc<session::Settings>,
    /// Who may log in.
    pub(crate) logins: Arc<Logins>,
    /// How long to wait for the peer.
    pub(crate) timeouts: Timeouts,
}

/// Everything that is used for one tenant's mail.
pub(crate) struct Site {
    /// Who it is, and what proves it.
    pub(crate) tenant: Arc<Tenant>,
    /// How its mail is judged.
    pub(crate) policy: Policy,
    /// What happens when a plugin gives no answer.
    pub(crate) faults: FaultPolicy,
    /// Chooses and renders signatures; a tenant without rules, templates and plugins of its own has none.
    pub(crate) plugins: Option<Plugins>,
    /// People and groups of the configuration.
    configured: Arc<Directory>,
    /// People and groups of the service that the tenant is connected with.
    synchronised: Arc<Current>,
    /// The first file with rules, as the configuration names it; empty when there is none.
    pub(crate) rules: String,
    /// Keys and trace fields.
    pub(crate) seal: seal::Settings,
    /// The next hop.
    pub(crate) route: Arc<Route>,
    /// Most outgoing copies of one message.
    pub(crate) maximum_copies: usize,
    /// Local time.
    pub(crate) zone: Zone,
    /// BCP 47, for messages whose language is taken from nowhere else.
    pub(crate) locale: String,
    /// Where a message's language is taken from.
    pub(crate) locale_from: Vec<Origin>,
    /// The right-hand side of the Content-IDs of images that are added.
    pub(crate) content_id_domain: String,
}

impl Site {
    /// People and groups as they are now: those of the service that the tenant is connected with, else those of the configuration. A message takes
    /// them once.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.synchronised.load().unwrap_or_else(|| Arc::clone(&self.configured))
    }
}

/// A tenant's plugins, configured.
#[derive(Clone)]
pub(crate) struct Plugins {
    /// Chooses signatures.
    pub(crate) selector: Arc<Selector>,
    /// Renders them.
    pub(crate) renderer: Arc<Renderer>,
    keys: PluginKeys,
}

/// What the compiled plugins were made from: while it stays the same, a reload keeps them.
#[derive(Clone, PartialEq, Eq)]
struct PluginKeys {
    selector: [u8; 32],
    renderer: [u8; 32],
}

/// Why a configuration cannot be put to use although it could be read.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The tenants do not go together.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// A plugin, or what it is configured with.
    #[error("tenant {tenant}: {key}: the {plugin} plugin does not load: {error}")]
    Plugin {
        /// Whose.
        tenant: String,
        /// What of the configuration it reads.
        key: &'static str,
        /// `selector` or `renderer`.
        plugin: &'static str,
        /// Why.
        error: Box<LoadError>,
    },
    /// A rule chooses what no template renders.
    #[error("tenant {tenant}: {place} chooses signature {signature:?}, which the templates do not define; they define {defined}")]
    UnknownSignature {
        /// Whose.
        tenant: String,
        /// The rule file and line.
        place: String,
        /// The id.
        signature: String,
        /// The ids that exist.
        defined: String,
    },
    /// A key or a certificate.
    #[error("tenant {tenant}: {error}")]
    Seal {
        /// Whose.
        tenant: String,
        /// Why.
        error: Box<seal::SealError>,
    },
    /// The tenant's client certificate.
    #[error("tenant {tenant}: {error}")]
    Tls {
        /// Whose.
        tenant: String,
        /// Why.
        error: Box<TlsError>,
    },
    /// Logins.
    #[error("logins: {0}")]
    Logins(String),
}

impl Service {
    /// Makes a configuration ready: compiles plugins, reads keys. Takes about a second a tenant; not for a thread that serves mail. Plugins whose
    /// component and configuration did not change are taken over from `previous`.
    pub(crate) fn build(config: &Config, engine: &Engine, previous: Option<&Self>, now: SystemTime) -> Result<Self, ServiceError> {
        let limits = config.plugins.limits();
        let directories = previous.map(|service| service.directories.clone()).unwrap_or_default();
        let mut tenants = Vec::with_capacity(config.tenants.len());
        let mut sites = HashMap::with_capacity(config.tenants.len());
        let mut names = Vec::new();
        for configured in &config.tenants {
            let tenant = configured.identity();
            let old = previous.and_then(|service| service.site(&tenant.id));
            let synchronised = directories.of(tenant.id.as_str());
            let site = site(config, configured, (&tenant, synchronised), engine, &limits, old.as_deref(), now)?;
            names.extend(configured.logins.iter().map(|login| (login.name.clone(), tenant.id.clone())));
            sites.insert(tenant.id.clone(), Arc::new(site));
            tenants.push(tenant);
        }
        let logins = Arc::new(logins(config)?);
        let terms = config.listeners.iter().map(|listener| Arc::new(terms(config, listener, &logins))).collect();
        let service = Self {
            generation: previous.map_or(1, |service| service.generation + 1),
            digest: config.digest_hex(),
            registry: Registry::new(tenants, names)?,
            terms,
            directories,
            sites,
        };
        if previous.is_none() {
            service.take_effect();
        }
        Ok(service)
    }

    /// Adds the people of this configuration to those who are synchronised.
    fn take_effect(&self) {
        for site in self.sites() {
            site.synchronised.configure(&site.configured);
        }
    }

    /// What is used for a tenant's mail.
    pub(crate) fn site(&self, tenant: &TenantId) -> Option<Arc<Site>> {
        self.sites.get(tenant).cloned()
    }

    /// Whether somebody who is not known yet may become known by logging in.
    pub(crate) fn has_logins(&self) -> bool {
        self.terms.iter().any(|terms| !terms.logins.is_empty())
    }

    /// All of them, in no order.
    pub(crate) fn sites(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.sites.values()
    }
}

fn terms(config: &Config, listener: &config::Listener, logins: &Arc<Logins>) -> Terms {
    Terms { session: Arc::new(config.session(&listener.tls)), logins: Arc::clone(logins), timeouts: config.timeouts.server() }
}

fn logins(config: &Config) -> Result<Logins, ServiceError> {
    let mut decoy = [0; 32];
    aws_lc_rs::rand::fill(&mut decoy).map_err(|_| ServiceError::Logins("the system gives no random octets".to_owned()))?;
    let logins = config.tenants.iter().flat_map(|tenant| &tenant.logins).map(|login| (login.name.clone(), login.keys.clone()));
    Logins::new(logins, &decoy).map_err(|error| ServiceError::Logins(error.to_string()))
}

fn site(
    config: &Config,
    configured: &config::Tenant,
    (tenant, synchronised): (&Arc<Tenant>, Arc<Current>),
    engine: &Engine,
    limits: &Limits,
    old: Option<&Site>,
    now: SystemTime,
) -> Result<Site, ServiceError> {
    let id = tenant.id.to_string();
    let plugins = plugins(configured, engine, limits, old)?;
    let seal = config.seal(configured).map_err(|error| ServiceError::Seal { tenant: id.clone(), error: Box::new(error) })?;
    let route = config.route(configured, now).map_err(|error| ServiceError::Tls { tenant: id, error: Box::new(error) })?;
    Ok(Site {
        policy: config.policy(configured),
        faults: configured.fault,
        plugins,
        configured: Arc::clone(&configured.directory),
        synchronised,
        rules: configured.rules.first().map(|file| file.name.clone()).unwrap_or_default(),
        seal,
        route: Arc::new(route),
        maximum_copies: config.limits.copies,
        zone: configured.zone.clone(),
        locale: configured.locale.clone(),
        locale_from: configured.locale_from.clone(),
        content_id_domain: config.hostname.to_string(),
        tenant: Arc::clone(tenant),
    })
}

/// Compiles what changed since `old` and takes over the rest.
fn plugins(configured: &config::Tenant, engine: &Engine, limits: &Limits, old: Option<&Site>) -> Result<Option<Plugins>, ServiceError> {
    let own = configured.selector.is_some() || configured.renderer.is_some();
    if !own && configured.rules.is_empty() && configured.templates.is_empty() {
        return Ok(None);
    }
    let old = old.and_then(|site| site.plugins.as_ref());
    let keys = PluginKeys { selector: selector_key(configured, limits), renderer: renderer_key(configured, limits) };
    let selector = match old.filter(|plugins| plugins.keys.selector == keys.selector) {
        Some(plugins) => Arc::clone(&plugins.selector),
        None => Arc::new(load_selector(configured, engine, limits)?),
    };
    let renderer = match old.filter(|plugins| plugins.keys.renderer == keys.renderer) {
        Some(plugins) => Arc::clone(&plugins.renderer),
        None => Arc::new(load_renderer(configured, engine, limits)?),
    };
    let defined = &renderer.summary().signatures;
    if let Some(signature) = selector.summary().signatures.iter().find(|id| !defined.contains(id)) {
        return Err(ServiceError::UnknownSignature {
            tenant: configured.id.clone(),
            place: place_of(&configured.rules, signature),
            signature: signature.clone(),
            defined: format!("{defined:?}"),
        });
    }
    Ok(Some(Plugins { selector, renderer, keys }))
}

/// The file and line where a rule file first names a signature.
fn place_of(rules: &[config::TextFile], signature: &str) -> String {
    let quoted = format!("\"{signature}\"");
    let found = rules.iter().find_map(|file| Some((file, file.content.find(&quoted)?)));
    found.map_or_else(
        || "the selector".to_owned(),
        |(file, offset)| format!("{}:{}", file.name, file.content[..offset].matches('\n').count() + 1),
    )
}

fn load_selector(configured: &config::Tenant, engine: &Engine, limits: &Limits) -> Result<Selector, ServiceError> {
    let wasm = configured.selector.as_ref().map_or(SELECTOR, |component| &component.wasm);
    Selector::load(engine, wasm, &configured.rule_files(), limits).map_err(|error| ServiceError::Plugin {
        tenant: configured.id.clone(),
        key: "tenant.signatures.rules",
        plugin: "selector",
        error: Box::new(error),
    })
}

fn load_renderer(configured: &config::Tenant, engine: &Engine, limits: &Limits) -> Result<Renderer, ServiceError> {
    let wasm = configured.renderer.as_ref().map_or(RENDERER, |component| &component.wasm);
    Renderer::load(engine, wasm, &configured.template_files(), configured.assets.clone(), limits).map_err(|error| ServiceError::Plugin {
        tenant: configured.id.clone(),
        key: "tenant.signatures.templates",
        plugin: "renderer",
        error: Box::new(error),
    })
}

fn selector_key(configured: &config::Tenant, limits: &Limits) -> [u8; 32] {
    let component = configured.selector.as_ref().map_or(SELECTOR, |component| &component.wasm);
    plugin_key(component, &configured.rules, &[], limits)
}

fn renderer_key(configured: &config::Tenant, limits: &Limits) -> [u8; 32] {
    let component = configured.renderer.as_ref().map_or(RENDERER, |component| &component.wasm);
    plugin_key(component, &configured.templates, &configured.assets, limits)
}

/// A hash of everything that a loaded plugin depends on, each part with its length before it.
fn plugin_key(component: &[u8], texts: &[config::TextFile], assets: &[Arc<crate::signature::Asset>], limits: &Limits) -> [u8; 32] {
    use aws_lc_rs::digest::{Context, SHA256};
    let mut hash = Context::new(&SHA256);
    let mut part = |octets: &[u8]| {
        hash.update(&(octets.len() as u64).to_be_bytes());
        hash.update(octets);
    };
    part(component);
    part(format!("{limits:?}").as_bytes());
    for text in texts {
        part(text.name.as_bytes());
        part(text.content.as_bytes());
    }
    for asset in assets {
        part(asset.name.as_bytes());
        part(asset.media_type.as_bytes());
        part(&asset.content);
    }
    let mut key = [0; 32];
    key.copy_from_slice(hash.finish().as_ref());
    key
}

/// How often connections to next hops that have been idle for too long are looked for.
pub(crate) const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
