//! The whole configuration, and the parts of it that concern no tenant.
//!
//! Defaults stand beside the keys that they belong to; `config/signet.toml` repeats each with its reason.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::raw::{RawConfig, RawDns, RawLimits, RawListener, RawLog, RawPlugins, RawState, RawTimeouts, Scalar, Section};
use super::source::{At, Source};
use super::{Config, Dns, Limits, Listener, ListenerTls, Plugins, State, Timeouts, control, overlap, tenants, units};
use crate::telemetry::{LogFormat, LogSettings};
use crate::tls::{CertificateFiles, ClientAuthentication, Roots, ServerTlsSettings};

/// The only version of the configuration's language so far.
const VERSION: i64 = 1;
/// Looking at a handful of files costs nothing beside a handshake; a renewed certificate is in use within this time.
const CERTIFICATE_RELOAD_INTERVAL: Duration = Duration::from_secs(60);
/// For every count that has no natural bound: far more than one machine can serve, small enough never to overflow an allocation.
const MANY: usize = 10_000_000;
const MIB: u64 = 1024 * 1024;

/// Durations in whole seconds.
pub(super) const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// From a millisecond to a day: anything that waits for somebody.
pub(super) fn waiting() -> RangeInclusive<Duration> {
    Duration::from_millis(1)..=seconds(86_400)
}

/// Everything; nothing when too much is wrong to go on.
pub(super) fn config(source: &mut Source<'_>, raw: &RawConfig) -> Option<Config> {
    version(source, raw);
    let top = |key: &str| At::Missing { table: None, path: key.to_owned() };
    let hostname = source.required(&raw.hostname, top("hostname"), "\"mx.signet.example\"", units::domain);
    let authserv_id = source.value(&raw.authserv_id, "\"mx.signet.example\"", units::domain).or_else(|| hostname.clone());
    let listeners = listeners(source, &raw.listener);
    let plugins = plugins(source, &raw.plugins);
    let component_size = plugins.component_size as u64;
    let control = control::control(source, &raw.control, component_size);
    let console = control::console(source, &raw.console);
    if raw.control.span.is_some() && !raw.state.body.directory.is_set() {
        let at = At::Missing { table: raw.state.span.clone(), path: "state.directory".to_owned() };
        let message = "is missing: [control] keeps connections, people and groups there".to_owned();
        source.error(at, message, Some("directory = \"/var/lib/signet\"".to_owned()));
    }
    let surroundings = tenants::Surroundings {
        listeners: &listeners,
        component_size,
        hostname: hostname.as_ref(),
        controlled: raw.control.span.is_some(),
    };
    let tenants = tenants::tenants(source, &raw.tenant, &surroundings);
    overlap::check(source, &tenants);
    let config = Config {
        hostname: hostname?,
        authserv_id: authserv_id?.as_str().to_owned(),
        limits: limits(source, &raw.limits),
        timeouts: timeouts(source, &raw.timeouts),
        listeners,
        dns: dns(source, &raw.dns),
        operations: operations(source, raw),
        state: state(source, &raw.state),
        drain_deadline: source.duration(&raw.drain.body.deadline, Duration::ZERO..=seconds(3600), seconds(30)),
        plugins,
        log: log(source, &raw.log),
        control,
        console,
        tenants: tenants.into_iter().map(|(tenant, _)| Arc::new(tenant)).collect(),
        warnings: Vec::new(),
        digest: [0; 32],
    };
    Some(config)
}

fn version(source: &mut Source<'_>, raw: &RawConfig) {
    let missing = At::Missing { table: None, path: "version".to_owned() };
    source.required(&raw.version, missing, &VERSION.to_string(), |scalar| match scalar {
        Scalar::Integer(VERSION) => Ok(()),
        _ => Err(format!("is not a version that this program reads; it reads {VERSION}")),
    });
}

fn limits(source: &mut Source<'_>, section: &Section<RawLimits>) -> Limits {
    let raw = &section.body;
    let limits = Limits {
        message_size: source.size(&raw.message_size, 64 * 1024..=2_000_000_000, "150 MB"),
        memory_budget: source.size(&raw.memory_budget, 1024 * 1024..=1 << 44, "1 GiB"),
        connections: source.count(&raw.connections, 1..=1_000_000, 2000),
        connections_per_address: source.count(&raw.connections_per_address, 1..=1_000_000, 200),
        recipients: source.count(&raw.recipients, 100..=100_000, 1000),
        commands: source.count(&raw.commands, 100..=MANY, 100_000),
        errors: source.count(&raw.errors, 1..=MANY, 20),
        unrecognised: source.count(&raw.unrecognised, 1..=MANY, 5),
        transactions_per_connection: source.count(&raw.transactions_per_connection, 1..=MANY, 1000),
        hops: source.count(&raw.hops, 10..=1000, 100),
        copies: source.count(&raw.copies, 1..=1000, 32),
    };
    if limits.memory_budget < limits.message_size {
        let span = raw.memory_budget.span().or_else(|| raw.message_size.span()).unwrap_or_default();
        let message = "is smaller than message_size, so the largest message could never be taken".to_owned();
        source.wrong(&At::Span(span), message, "\"1 GiB\"");
    }
    limits
}

fn timeouts(source: &mut Source<'_>, section: &Section<RawTimeouts>) -> Timeouts {
    let raw = &section.body;
    Timeouts {
        handshake: source.duration(&raw.handshake, waiting(), seconds(30)),
        server: source.duration(&raw.server, waiting(), seconds(300)),
        data_block: source.duration(&raw.data_block, waiting(), seconds(180)),
        message: source.duration(&raw.message, waiting(), seconds(1800)),
        write: source.duration(&raw.write, waiting(), seconds(60)),
    }
}

fn listeners(source: &mut Source<'_>, sections: &[Section<RawListener>]) -> Vec<Listener> {
    if sections.is_empty() {
        let at = At::Missing { table: None, path: "listener".to_owned() };
        source.error(at, "is missing".to_owned(), Some("[[listener]] address = \"0.0.0.0:25\"".to_owned()));
    }
    let mut first: HashMap<SocketAddr, usize> = HashMap::new();
    let mut listeners = Vec::new();
    for section in sections {
        let Some(listener) = listener(source, section) else { continue };
        let span = section.body.address.span().unwrap_or_default();
        let line = source.line(&span);
        if listener.address.port() != 0
            && let Some(other) = first.insert(listener.address, line)
        {
            let message = format!("{} is already the address of the listener on line {other}", listener.address);
            source.wrong(&At::Span(span), message, "\"0.0.0.0:587\"");
        }
        listeners.push(listener);
    }
    listeners
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    StartTls,
    Implicit,
    Plain,
}

fn listener(source: &mut Source<'_>, section: &Section<RawListener>) -> Option<Listener> {
    let raw = &section.body;
    let missing = section.missing("listener.address");
    let address = source.required(&raw.address, missing, "\"0.0.0.0:25\"", units::socket_address);
    let mode = source.choice(&raw.tls, &[("starttls", Mode::StartTls), ("implicit", Mode::Implicit), ("plain", Mode::Plain)]);
    let proxy_networks = source.values(&raw.proxy_networks, "[\"10.0.0.0/8\"]", units::network);
    if let (Some(span), true) = (raw.proxy_networks.span.clone(), proxy_networks.iter().any(|network| network.prefix_len() == 0)) {
        let message = "trusts every peer to say which address it comes from; name the load balancers".to_owned();
        source.error(At::Span(span), message, Some("proxy_networks = [\"10.0.0.0/24\"]".to_owned()));
    }
    let required = source.flag(&raw.starttls_required, true);
    if mode != Mode::StartTls && raw.starttls_required.is_set() {
        let span = raw.starttls_required.span().unwrap_or_default();
        source.error(At::Span(span), "belongs to a listener with tls = \"starttls\" only".to_owned(), None);
    }
    let tls = match mode {
        Mode::Plain => {
            plain(source, section, address);
            ListenerTls::Plain
        }
        Mode::StartTls => ListenerTls::StartTls { settings: server_tls(source, section)?, required },
        Mode::Implicit => ListenerTls::Implicit { settings: server_tls(source, section)? },
    };
    Some(Listener { address: address?, tls, proxy_networks })
}

fn plain(source: &mut Source<'_>, section: &Section<RawListener>, address: Option<SocketAddr>) {
    let raw = &section.body;
    if let Some(address) = address
        && !super::is_loopback(address.ip())
    {
        let span = raw.tls.span().unwrap_or_default();
        let message = format!("\"plain\" on {address} would let anyone on the way read and change mail; it is for loopback addresses only");
        source.wrong(&At::Span(span), message, "\"starttls\"");
    }
    for leaf in [&raw.certificate, &raw.key, &raw.client_roots, &raw.client_certificate] {
        if let Some(span) = leaf.span() {
            source.wrong(
                &At::Span(span),
                "has no use on a listener with tls = \"plain\"; remove it".to_owned(),
                "\"...\" with tls = \"starttls\"",
            );
        }
    }
}

fn server_tls(source: &mut Source<'_>, section: &Section<RawListener>) -> Option<ServerTlsSettings> {
    let raw = &section.body;
    let mut certificates: Vec<CertificateFiles> = Vec::new();
    if raw.certificate.is_set() || raw.key.is_set() {
        let missing = |key: &str| section.missing(&format!("listener.{key}"));
        certificates.extend(source.identity(&raw.certificate, &raw.key, missing));
    } else if raw.identity.is_empty() {
        source.wrong(&section.missing("listener.certificate"), "is missing: TLS needs a certificate".to_owned(), "\"tls/mx.pem\"");
        return None;
    }
    for identity in &raw.identity {
        let missing = |key: &str| identity.missing(&format!("listener.identity.{key}"));
        certificates.extend(source.identity(&identity.body.certificate, &identity.body.key, missing));
    }
    let client = client_authentication(source, section);
    Some(ServerTlsSettings { certificates, client: client?, reload_interval: CERTIFICATE_RELOAD_INTERVAL })
}

fn client_authentication(source: &mut Source<'_>, section: &Section<RawListener>) -> Option<ClientAuthentication> {
    let raw = &section.body;
    // Constructors as choices: which one is decided before the roots are known.
    let none: Option<fn(Roots) -> ClientAuthentication> = None;
    let optional: Option<fn(Roots) -> ClientAuthentication> = Some(ClientAuthentication::Optional);
    let required: Option<fn(Roots) -> ClientAuthentication> = Some(ClientAuthentication::Required);
    let wish = source.choice(&raw.client_certificate, &[("none", none), ("optional", optional), ("required", required)]);
    let roots = source.roots(&raw.client_roots);
    match (wish, raw.client_roots.span()) {
        (None, None) => Some(ClientAuthentication::None),
        (None, Some(span)) => {
            let message = "has no use while client_certificate is \"none\"; remove it, or ask for certificates".to_owned();
            source.error(At::Span(span), message, Some("client_certificate = \"optional\"".to_owned()));
            None
        }
        (Some(_), None) => {
            let message = "is missing: client certificates are worth what their roots are worth".to_owned();
            source.wrong(&section.missing("listener.client_roots"), message, "\"system\"");
            None
        }
        (Some(authentication), Some(_)) => roots.map(authentication),
    }
}

fn dns(source: &mut Source<'_>, section: &Section<RawDns>) -> Dns {
    let raw = &section.body;
    Dns {
        servers: source.values(&raw.servers, "[\"127.0.0.1:53\"]", units::dns_server),
        timeout: source.duration(&raw.timeout, waiting(), seconds(3)),
        attempts: source.count(&raw.attempts, 1..=10, 2),
        cache_entries: source.count(&raw.cache_entries, 16..=MANY, 50_000),
        negative_ttl: source.duration(&raw.negative_ttl, Duration::ZERO..=seconds(86_400), seconds(60)),
    }
}

fn operations(source: &mut Source<'_>, raw: &RawConfig) -> SocketAddr {
    let leaf = &raw.operations.body.address;
    let default = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9725);
    let address = source.value(leaf, "\"127.0.0.1:9725\"", units::socket_address).unwrap_or(default);
    if !super::is_loopback(address.ip()) {
        let message = format!("{address} is not a loopback address: anyone who reaches it can read metrics");
        source.warn(At::Span(leaf.span().unwrap_or_default()), message);
    }
    address
}

fn state(source: &mut Source<'_>, section: &Section<RawState>) -> State {
    let raw = &section.body;
    // A sender tries again after half an hour (RFC 5321 section 4.5.4.1); nothing that is remembered for less can help.
    let remembering = || seconds(1800)..=seconds(30 * 86_400);
    State {
        directory: source.folder(&raw.directory, "\"/var/lib/signet\""),
        ledger_partial: source.duration(&raw.ledger_partial, remembering(), seconds(5 * 86_400)),
        ledger_unconfirmed: source.duration(&raw.ledger_unconfirmed, remembering(), seconds(4 * 3600)),
        ledger_entries: source.count(&raw.ledger_entries, 1..=MANY, 100_000),
    }
}

fn plugins(source: &mut Source<'_>, section: &Section<RawPlugins>) -> Plugins {
    let raw = &section.body;
    let short = || Duration::from_millis(1)..=seconds(10);
    let breaker = &raw.breaker.body;
    Plugins {
        workers: source.value(&raw.workers, "4", |scalar| units::count(scalar, &(1..=256))),
        instances: source.value(&raw.instances, "16", |scalar| units::count(scalar, &(1..=1024))),
        component_size: source.size(&raw.component_size, 1024..=64 * MIB, "4 MiB"),
        memory: source.size(&raw.memory, MIB..=64 * MIB, "16 MiB"),
        configure_memory: source.size(&raw.configure_memory, MIB..=512 * MIB, "64 MiB"),
        select_deadline: source.duration(&raw.select_deadline, short(), Duration::from_millis(5)),
        render_deadline: source.duration(&raw.render_deadline, short(), Duration::from_millis(20)),
        configure_deadline: source.duration(&raw.configure_deadline, Duration::from_millis(1)..=seconds(300), seconds(10)),
        table_elements: source.count(&raw.table_elements, 100..=1_000_000, 20_000),
        handles: source.count(&raw.handles, 8..=4096, 64),
        hostcall: source.size(&raw.hostcall, 64 * 1024..=64 * MIB, "1 MiB"),
        host_calls: source.count(&raw.host_calls, 100..=1_000_000, 10_000),
        read_total: source.size(&raw.read_total, 0..=2048 * MIB, "32 MiB"),
        log_lines: source.count(&raw.log_lines, 0..=1000, 16),
        breaker_faults: source.count(&breaker.faults, 0..=1_000_000, 20),
        breaker_window: source.duration(&breaker.window, waiting(), seconds(10)),
        breaker_pause: source.duration(&breaker.pause, waiting(), seconds(30)),
    }
}

fn log(source: &mut Source<'_>, section: &Section<RawLog>) -> LogSettings {
    let raw = &section.body;
    let level = source.value(&raw.level, "\"info\"", |scalar| {
        let text = units::text(scalar)?;
        let directives = tracing_subscriber::filter::EnvFilter::builder().parse(&text);
        directives.map(|_| text).map_err(|_| "is not a log level".to_owned())
    });
    let format = source.choice(&raw.format, &[("json", LogFormat::Json), ("text", LogFormat::Text)]);
    LogSettings { level: level.unwrap_or_else(|| "info".to_owned()), format }
}
