//! The control plane: the control plugin and what it may reach, the applications that Signet is at the identity provider, the console, and what
//! a tenant's connection is.
//!
//! A connection that could not work is refused here: without the word that its mail-flow rule looks for, or with an id that is no tenant's of
//! Microsoft 365.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::check::{seconds, waiting};
use super::raw::{Leaf, List, RawComponent, RawTenant, Scalar, Section};
use super::source::{At, Source};
use super::units::{self, Fault};
use super::{Component, Seal};
use crate::address::Domain;
use crate::control::egress::Rule;
use crate::smtp::auth::StoredKeys;
use crate::tls::{CertificateFiles, ClientTlsSettings, Roots, names_in};

const MIB: u64 = 1024 * 1024;
/// Octets of a PEM file with a certificate; a chain has some ten thousand.
const CERTIFICATE: u64 = 64 * 1024;
const GUID: &str = "\"8f2d3c4b-5a69-4788-9a0b-1c2d3e4f5a6b\"";
const STORED: &str = "\"SCRAM-SHA-256$4096:SALT$STORED-KEY:SERVER-KEY\"";

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawControl {
    plugin: Section<RawComponent>,
    egress: List,
    private_networks: List,
    roots: Leaf,
    request_timeout: Leaf,
    response_size: Leaf,
    requests: Leaf,
    call_deadline: Leaf,
    synchronise_every: Leaf,
    shrink_limit: Leaf,
    photo_memory: Leaf,
    recordings: Leaf,
    microsoft: Section<RawMicrosoft>,
    synchronisation: Section<RawApplication>,
    setup: Section<RawApplication>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawMicrosoft {
    authority: Leaf,
    graph: Leaf,
    exchange: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawApplication {
    client_id: Leaf,
    certificate: Leaf,
    key: Leaf,
    secret_file: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConsole {
    address: Leaf,
    url: Leaf,
    certificate: Leaf,
    key: Leaf,
    idle: Leaf,
    lifetime: Leaf,
    user: Vec<Section<RawUser>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawUser {
    name: Leaf,
    secret: Leaf,
    secret_file: Leaf,
    role: Leaf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConnection {
    smart_host: Leaf,
    certificate_domain: Leaf,
    size_limit: Leaf,
    spf_term: Leaf,
    photos: Leaf,
}

/// The control plugin, what it may reach, and as whom.
#[derive(Clone, Debug)]
pub struct Control {
    /// The plugin; nothing means the embedded one, for Microsoft 365.
    pub plugin: Option<Component>,
    /// What it may send: methods, scheme, host, port and the beginning of the path. Empty means nothing.
    pub egress: Vec<Rule>,
    /// Networks that are not public and that it may reach nevertheless.
    pub private_networks: Vec<ipnet::IpNet>,
    /// Who vouches for the service's certificates.
    pub roots: Roots,
    /// For one request.
    pub request_timeout: Duration,
    /// Octets of one answer, decoded.
    pub response_size: usize,
    /// Requests of one call.
    pub requests: usize,
    /// Processor time of one call.
    pub call_deadline: Duration,
    /// Between the end of one synchronisation and the beginning of the next.
    pub synchronise_every: Duration,
    /// Percent of the people that one complete read may be short of before it is held back.
    pub shrink_limit: usize,
    /// Octets of pictures of all people of a tenant.
    pub photo_memory: usize,
    /// Where calls are recorded; nowhere means they are not.
    pub recordings: Option<PathBuf>,
    /// Where the identity provider is.
    pub authority: String,
    /// Microsoft Graph.
    pub graph: String,
    /// Exchange Online.
    pub exchange: String,
    /// The application that reads the directory.
    pub synchronisation: Application,
    /// The application with which an administrator sets up mail flow.
    pub setup: Application,
}

/// What Signet is to the identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id there.
    pub client_id: String,
    /// How it proves that.
    pub credential: ApplicationCredential,
}

/// How an application proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplicationCredential {
    /// By signing with the key of a certificate.
    Certificate(CertificateFiles),
    /// By a shared secret, alone in that file.
    Secret(PathBuf),
}

/// The operator's web pages.
#[derive(Clone, Debug)]
pub struct Console {
    /// Where they are served.
    pub address: SocketAddr,
    /// How browsers reach them, without a slash at the end.
    pub url: String,
    /// TLS; without it on loopback addresses only.
    pub tls: Option<CertificateFiles>,
    /// How long a session lasts without being used.
    pub idle: Duration,
    /// How long it lasts at most.
    pub lifetime: Duration,
    /// Who may sign in.
    pub users: Vec<User>,
}

/// Somebody who may sign in to the console.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// Proves a password without containing it.
    pub keys: StoredKeys,
    /// What they may do.
    pub role: Role,
}

/// What a user of the console may do; each may do what the next may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Connect, re-connect, disconnect, invite.
    Owner,
    /// Synchronise now, and look at everything.
    Administrator,
    /// Signatures; so far, look at everything.
    Editor,
    /// Look at everything.
    Auditor,
}

/// What a tenant's mail service is connected with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The name that the service delivers to.
    pub smart_host: Domain,
    /// The name in the certificate with which mail is handed back.
    pub certificate_domain: Domain,
    /// Octets above which a message is not routed.
    pub size_limit: usize,
    /// What SPF records should authorise; empty for nothing.
    pub spf_term: String,
    /// Whether pictures of people are read.
    pub photos: bool,
}

/// The control plane, when the file has one.
pub(super) fn control(source: &mut Source<'_>, section: &Section<RawControl>, component_size: u64) -> Option<Control> {
    section.span.as_ref()?;
    let raw = &section.body;
    if raw.egress.items.is_empty() {
        source.warn(section.missing("control.egress"), "nothing is on it, so no tenant can be connected or read".to_owned());
    }
    let base = |source: &mut Source<'_>, leaf: &Leaf, default: &str| {
        source.value(leaf, &format!("{default:?}"), url).unwrap_or_else(|| default.to_owned())
    };
    let microsoft = &raw.microsoft.body;
    let synchronisation = application(source, &raw.synchronisation, section.span.as_ref(), "control.synchronisation");
    let setup = application(source, &raw.setup, section.span.as_ref(), "control.setup");
    Some(Control {
        plugin: source.component(&raw.plugin, "control.plugin", component_size),
        egress: source.values(&raw.egress, "[\"GET https://graph.microsoft.com/v1.0/users\"]", rule),
        private_networks: source.values(&raw.private_networks, "[\"127.0.0.1/32\"]", units::network),
        roots: if raw.roots.is_set() { source.roots(&raw.roots)? } else { Roots::Native },
        request_timeout: source.duration(&raw.request_timeout, waiting(), seconds(60)),
        response_size: source.size(&raw.response_size, 64 * 1024..=64 * MIB, "8 MiB"),
        requests: source.count(&raw.requests, 1..=10_000, 200),
        call_deadline: source.duration(&raw.call_deadline, Duration::from_millis(10)..=seconds(300), seconds(20)),
        synchronise_every: source.duration(&raw.synchronise_every, seconds(1)..=seconds(86_400), seconds(900)),
        shrink_limit: source.count(&raw.shrink_limit, 0..=100, 20),
        photo_memory: source.size(&raw.photo_memory, 0..=8192 * MIB, "256 MiB"),
        recordings: source.folder(&raw.recordings, "\"recordings\""),
        authority: base(source, &microsoft.authority, "https://login.microsoftonline.com"),
        graph: base(source, &microsoft.graph, "https://graph.microsoft.com"),
        exchange: base(source, &microsoft.exchange, "https://outlook.office365.com"),
        synchronisation: synchronisation?,
        setup: setup?,
    })
}

fn application(
    source: &mut Source<'_>,
    section: &Section<RawApplication>,
    table: Option<&Range<usize>>,
    path: &str,
) -> Option<Application> {
    let raw = &section.body;
    let span = section.span.as_ref().or(table).cloned();
    let missing = |key: &str| At::Missing { table: span.clone(), path: format!("{path}.{key}") };
    let client_id = source.required(&raw.client_id, missing("client_id"), GUID, guid);
    if raw.secret_file.is_set() && (raw.certificate.is_set() || raw.key.is_set()) {
        let message = "stands beside a certificate; an application proves itself with one of them".to_owned();
        source.error(At::Span(raw.secret_file.span()?), message, None);
        return None;
    }
    let credential = if raw.secret_file.is_set() {
        let (path, _) = source.secret_file(&raw.secret_file, "\"secrets/client.txt\"")?;
        ApplicationCredential::Secret(path)
    } else {
        // It names an application and no host, so it is not held to what a listener's must be.
        let certificate = source.required(&raw.certificate, missing("certificate"), "\"tls/entra.pem\"", units::text);
        let key = source.required(&raw.key, missing("key"), "\"tls/entra.key\"", units::text);
        certificate.and(key)?;
        let (chain, _) = source.file(&raw.certificate, "\"tls/entra.pem\"", CERTIFICATE)?;
        let (key, _) = source.secret_file(&raw.key, "\"tls/entra.key\"")?;
        ApplicationCredential::Certificate(CertificateFiles { chain, key })
    };
    Some(Application { client_id: client_id?, credential })
}

/// The console, when the file has one.
pub(super) fn console(source: &mut Source<'_>, section: &Section<RawConsole>) -> Option<Console> {
    section.span.as_ref()?;
    let raw = &section.body;
    let default = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9726);
    let address = source.value(&raw.address, "\"127.0.0.1:9726\"", units::socket_address).unwrap_or(default);
    let tls = if raw.certificate.is_set() || raw.key.is_set() {
        Some(source.identity(&raw.certificate, &raw.key, |key| section.missing(&format!("console.{key}")))?)
    } else {
        None
    };
    if tls.is_none() && !super::is_loopback(address.ip()) {
        let message = format!("{address} is not a loopback address, and without a certificate anyone on the way could read passwords");
        source.wrong(&At::Span(raw.address.span().unwrap_or_default()), message, "\"127.0.0.1:9726\"");
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = source.value(&raw.url, "\"https://signet.example\"", url).unwrap_or_else(|| format!("{scheme}://{address}"));
    let users: Vec<User> = raw.user.iter().filter_map(|entry| user(source, entry)).collect();
    if raw.user.is_empty() {
        let example = Some("[[console.user]] name = \"ada\"".to_owned());
        source.error(section.missing("console.user"), "is missing: nobody could sign in".to_owned(), example);
    } else if users.len() == raw.user.len() && !users.iter().any(|user| user.role == Role::Owner) {
        source.warn(section.missing("console.user"), "nobody is \"owner\", so nobody can connect a tenant".to_owned());
    }
    Some(Console {
        address,
        url,
        tls,
        idle: source.duration(&raw.idle, seconds(60)..=seconds(86_400), seconds(1800)),
        lifetime: source.duration(&raw.lifetime, seconds(300)..=seconds(7 * 86_400), seconds(12 * 3600)),
        users,
    })
}

fn user(source: &mut Source<'_>, entry: &Section<RawUser>) -> Option<User> {
    let raw = &entry.body;
    let name = source.required(&raw.name, entry.missing("console.user.name"), "\"ada\"", units::text);
    let roles = [("auditor", Role::Auditor), ("editor", Role::Editor), ("administrator", Role::Administrator), ("owner", Role::Owner)];
    let role = source.choice(&raw.role, &roles);
    let missing = entry.missing("console.user.secret");
    let (text, span) = source.secret_text(&raw.secret, &raw.secret_file, missing, STORED)?;
    match text.parse::<StoredKeys>() {
        Ok(keys) => Some(User { name: name?, keys, role }),
        // The value is a secret, so it is not repeated.
        Err(error) => {
            source.error(At::Span(span), error.to_string(), Some(format!("secret = {STORED}")));
            None
        }
    }
}

/// What a tenant's mail service is connected with, when it is to be.
pub(super) fn connection(
    source: &mut Source<'_>,
    tenant: &Section<RawTenant>,
    id: Option<&str>,
    seal: &Seal,
    hostname: Option<&Domain>,
    controlled: bool,
) -> Option<Connection> {
    let section = &tenant.body.connection;
    let span = section.span.clone()?;
    let raw = &section.body;
    if !controlled {
        let example = Some("[control] egress = [\"GET https://graph.microsoft.com/v1.0/\"]".to_owned());
        source.error(At::Span(span.clone()), "needs a [control] table in this file".to_owned(), example);
    }
    if id.is_some_and(|id| guid(&Scalar::Text(id.to_owned())).is_err()) {
        let place = tenant.body.id.span().unwrap_or_default();
        source.wrong(&At::Span(place), "is not the id of a Microsoft 365 tenant, and [tenant.connection] needs one".to_owned(), GUID);
    }
    if seal.loop_token.as_ref().is_none_or(|token| token.word.is_none()) {
        let at = At::Missing { table: Some(span), path: "tenant.seal.loop.word".to_owned() };
        let message = "is missing: the mail-flow rule that [tenant.connection] makes would send every message round for ever";
        source.error(at, message.to_owned(), Some("word = \"v4Jq7GZ9mT2c\"".to_owned()));
    }
    let smart_host = source.value(&raw.smart_host, "\"mx.signet.example\"", units::domain).or_else(|| hostname.cloned());
    let missing = section.missing("tenant.connection.certificate_domain");
    let certificate_domain = source.required(&raw.certificate_domain, missing, "\"k7q2m4x9.smtp.signet.example\"", units::domain);
    Some(Connection {
        smart_host: smart_host?,
        certificate_domain: certificate_domain?,
        size_limit: source.size(&raw.size_limit, 64 * 1024..=2_000_000_000, "35 MB"),
        spf_term: source.value(&raw.spf_term, "\"include:spf.signet.example\"", spf_term).unwrap_or_default(),
        photos: source.flag(&raw.photos, false),
    })
}

/// The tenant takes mail back from whoever has the certificate domain in the certificate of `tenant.return`.
pub(super) fn check_certificate(source: &mut Source<'_>, tenant: &Section<RawTenant>, connection: &Connection, tls: &ClientTlsSettings) {
    let place = certificate_place(tenant).unwrap_or_default();
    let names = tls.certificate.as_ref().map(|files| names_in(&files.chain)).unwrap_or_default();
    let domain = connection.certificate_domain.as_str();
    if names.is_empty() {
        let message = format!("needs a certificate in [tenant.return] that bears {domain:?}: by it the tenant knows its mail again");
        source.error(At::Span(place), message, Some("certificate = \"tls/example.pem\" in [tenant.return]".to_owned()));
    } else if !names.iter().any(|name| name == domain) {
        let message = format!("{domain:?} is not in the certificate of tenant.return, which bears {}", names.join(", "));
        source.wrong(&At::Span(place), message, &format!("{:?}", names[0]));
    }
}

/// Where the name stands that the tenant alone may have.
pub(super) fn certificate_place(tenant: &Section<RawTenant>) -> Option<Range<usize>> {
    tenant.body.connection.body.certificate_domain.span()
}

fn rule(scalar: &Scalar) -> Result<Rule, Fault> {
    let text = units::text(scalar)?;
    Rule::parse(&text).map_err(|error| format!("is not a rule: {}", error.reason))
}

fn guid(scalar: &Scalar) -> Result<String, Fault> {
    let Scalar::Text(text) = scalar else { return Err("is not a GUID".to_owned()) };
    super::tenants::guid(&Scalar::Text(text.clone()))
}

/// A scheme and a host, perhaps a port; no path.
fn url(scalar: &Scalar) -> Result<String, Fault> {
    let Scalar::Text(text) = scalar else { return Err("is not an address of a service".to_owned()) };
    let text = text.strip_suffix('/').unwrap_or(text);
    let sound = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).is_some_and(|host| {
        !host.is_empty() && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b':' | b'[' | b']'))
    });
    if sound { Ok(text.to_ascii_lowercase()) } else { Err("is not the address of a service, scheme and host alone".to_owned()) }
}

/// One mechanism of RFC 7208 section 4.6.1.
fn spf_term(scalar: &Scalar) -> Result<String, Fault> {
    match scalar {
        Scalar::Text(text) if text.is_empty() || is_spf_term(text) => Ok(text.clone()),
        _ => Err("is not one mechanism of an SPF record".to_owned()),
    }
}

fn is_spf_term(text: &str) -> bool {
    let known = ["include:", "ip4:", "ip6:", "a:", "mx:", "exists:"];
    known.iter().any(|name| text.strip_prefix(name).is_some_and(|rest| !rest.is_empty()))
        && text.bytes().all(|octet| octet.is_ascii_graphic())
}
