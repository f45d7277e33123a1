//! The tenants: whose mail, on what proof, with which rules, templates, people, keys, and where it goes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::check::{seconds, waiting};
use super::raw::{Leaf, RawKey, RawProof, RawReturn, RawReturnTimeouts, RawSeal, RawTenant, Scalar, Section};
use super::source::{At, Source};
use super::{
    FaultPolicy, KeyFile, Listener, Login, LoopToken, Proof, Return, ReturnTimeouts, Seal, SecretHeader, Tenant, Unaligned, Zone, control,
    units,
};
use crate::address::Domain;
use crate::directory::{Directory, Severity};
use crate::seal::Key;
use crate::smtp::auth::{Logins, StoredKeys};
use crate::tenant::{Registry, TenantError};
use crate::tls::{ClientAuthentication, ClientTlsSettings, Roots};

/// People of a very large organisation, with twenty attributes each.
const MOST_OF_PEOPLE: u64 = 512 * 1024 * 1024;
/// Found mistakes of one file beyond these are more of the same.
const MOST_FINDINGS: usize = 50;
const WORD: &str = "\"a-long-random-word\"";
const GUID: &str = "\"3b4a7a2c-6a35-4c0a-9d0e-2f3b8a1c5d7e\"";

/// What of the rest of the file a tenant must fit to.
pub(super) struct Surroundings<'a> {
    pub(super) listeners: &'a [Listener],
    pub(super) component_size: u64,
    pub(super) hostname: Option<&'a Domain>,
    /// Whether there is a control plane.
    pub(super) controlled: bool,
}

/// Where the parts of a tenant stand that may collide with another tenant's.
pub(super) struct Places {
    pub(super) table: Range<usize>,
    pub(super) certificate_domain: Range<usize>,
    pub(super) id: Range<usize>,
    pub(super) domains: Vec<Range<usize>>,
    pub(super) server_names: Vec<Range<usize>>,
    pub(super) logins: Vec<Range<usize>>,
    pub(super) proof: Range<usize>,
}

/// All tenants, each with the places of its parts; those with mistakes in what makes them a tenant are left out.
pub(super) fn tenants(source: &mut Source<'_>, sections: &[Section<RawTenant>], around: &Surroundings<'_>) -> Vec<(Tenant, Places)> {
    if sections.is_empty() {
        let at = At::Missing { table: None, path: "tenant".to_owned() };
        source.error(at, "is missing: without a tenant no mail is taken".to_owned(), Some("[[tenant]] id = \"example\"".to_owned()));
    }
    sections.iter().filter_map(|section| tenant(source, section, around)).collect()
}

fn tenant(source: &mut Source<'_>, section: &Section<RawTenant>, around: &Surroundings<'_>) -> Option<(Tenant, Places)> {
    let raw = &section.body;
    let id = source.required(&raw.id, section.missing("tenant.id"), "\"example\"", tenant_id);
    let name = source.value(&raw.name, "\"Example Ltd\"", units::text).or_else(|| id.clone());
    if raw.domains.items.is_empty() {
        source.wrong(&section.missing("tenant.domains"), "is missing".to_owned(), "[\"example.com\"]");
    }
    let domains = source.list(&raw.domains, "[\"example.com\"]", units::domain);
    let (domains, domain_places): (Vec<_>, Vec<_>) = domains.into_iter().unzip();
    let (logins, login_places): (Vec<_>, Vec<_>) = logins(source, section).into_iter().unzip();
    let (proof, server_name_places) = proof(source, section, id.as_deref(), &logins, around.listeners);
    let zone = source.value(&raw.time_zone, "\"Europe/Berlin\"", |scalar| Zone::parse(&units::text(scalar)?)).unwrap_or_default();
    let locale = source.value(&raw.locale, "\"de-DE\"", units::locale).unwrap_or_default();
    let seal = seal(source, &raw.seal, &domains);
    let connection = control::connection(source, section, id.as_deref(), &seal, around.hostname, around.controlled);
    let route = route(source, section);
    if let (Some(connection), Some(tls)) = (&connection, &route.tls) {
        control::check_certificate(source, section, connection, tls);
    }
    let table = section.span.clone().unwrap_or_default();
    let places = Places {
        certificate_domain: control::certificate_place(section).unwrap_or_default(),
        id: raw.id.span().unwrap_or_default(),
        domains: domain_places,
        server_names: server_name_places,
        logins: login_places,
        proof: raw.proof.span.clone().unwrap_or_else(|| table.clone()),
        table,
    };
    let relay = [("relay-unsigned", FaultPolicy::RelayUnsigned), ("defer", FaultPolicy::Defer)];
    let plugins = &raw.plugins.body;
    let files = &raw.signatures.body;
    let partial = Tenant {
        id: id.clone().unwrap_or_default(),
        name: name.unwrap_or_default(),
        partners: source.values(&raw.partners, "[\"partner.example\"]", units::domain),
        domains,
        zone,
        locale,
        locale_from: source.values(&raw.locale_from, "[\"message\", \"person\"]", units::locale_origin),
        proof,
        logins,
        unaligned: unaligned(source, &raw.alignment.body.unaligned),
        trusted_sealers: source.values(&raw.alignment.body.trusted_sealers, "[\"sealer.example\"]", units::domain),
        fault: source.choice(&plugins.fault, &relay),
        selector: source.component(&plugins.selector, "tenant.plugins.selector", around.component_size),
        renderer: source.component(&plugins.renderer, "tenant.plugins.renderer", around.component_size),
        rules: source.texts(&files.rules, "[\"rules.toml\"]"),
        templates: source.text_folder(&files.templates, "\"templates\""),
        assets: source.assets(&files.assets, "\"assets\""),
        directory: directory(source, &raw.directory.body.people),
        connection,
        seal,
        route,
    };
    id.map(|_| {
        fitness(source, &partial, &places);
        (partial, places)
    })
}

/// What `tenant` refuses about one tenant alone. What tenants have to do with each other is found with lines in `overlap`.
fn fitness(source: &mut Source<'_>, tenant: &Tenant, places: &Places) {
    let registry = Registry::new(vec![tenant.identity()], []);
    if let Err(error @ (TenantError::SharedProof { .. } | TenantError::SecretHeader(_))) = registry {
        let example = matches!(error, TenantError::SharedProof { .. }).then(|| "cross_tenant_id = true".to_owned());
        let at = At::Missing { table: Some(places.proof.clone()), path: "tenant.proof".to_owned() };
        source.error(at, error.to_string(), example);
    }
}

fn tenant_id(scalar: &Scalar) -> Result<String, units::Fault> {
    /// A GUID has 36 characters.
    const LONGEST: usize = 64;
    let Scalar::Text(id) = scalar else { return Err("is not a tenant id".to_owned()) };
    let letters = id.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet));
    let sound = letters && !id.is_empty() && id.len() <= LONGEST;
    if sound { Ok(id.to_ascii_lowercase()) } else { Err("is not a tenant id of letters, digits, \"-\", \"_\" and \".\"".to_owned()) }
}

pub(super) fn guid(scalar: &Scalar) -> Result<String, units::Fault> {
    let Scalar::Text(text) = scalar else { return Err("is not a GUID".to_owned()) };
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let digits = text.bytes().all(|octet| octet.is_ascii_hexdigit() || octet == b'-');
    if lengths == [8, 4, 4, 4, 12] && digits { Ok(text.to_ascii_lowercase()) } else { Err("is not a GUID".to_owned()) }
}

fn unaligned(source: &mut Source<'_>, leaf: &Leaf) -> Unaligned {
    source.choice(leaf, &[("relay-unsigned", Unaligned::RelayUnsigned), ("reject", Unaligned::Reject), ("sign", Unaligned::Sign)])
}

fn logins(source: &mut Source<'_>, section: &Section<RawTenant>) -> Vec<(Login, Range<usize>)> {
    let mut logins = Vec::new();
    for entry in &section.body.login {
        let raw = &entry.body;
        let name = source.required(&raw.name, entry.missing("tenant.login.name"), "\"printer\"", units::text);
        let example = "\"SCRAM-SHA-256$4096:SALT$STORED-KEY:SERVER-KEY\"";
        let missing = entry.missing("tenant.login.secret");
        let Some((text, span)) = source.secret_text(&raw.secret, &raw.secret_file, missing, example) else { continue };
        match (text.parse::<StoredKeys>(), name) {
            (Ok(keys), Some(name)) => {
                let place = raw.name.span().unwrap_or_default();
                if let Err(error) = Logins::new([(name.clone(), keys.clone())], &[0; 32]) {
                    source.wrong(&At::Span(place), error.to_string(), "\"printer\"");
                } else {
                    logins.push((Login { name, keys }, place));
                }
            }
            (Ok(_), None) => {}
            // The value is a secret, so it is not repeated.
            (Err(error), _) => source.error(At::Span(span), error.to_string(), Some(format!("secret = {example}"))),
        }
    }
    logins
}

fn proof(
    source: &mut Source<'_>,
    section: &Section<RawTenant>,
    id: Option<&str>,
    logins: &[Login],
    listeners: &[Listener],
) -> (Proof, Vec<Range<usize>>) {
    let raw = &section.body.proof.body;
    let server_names =
        source.list(&raw.server_names, "[\"example.signet.example\"]", |scalar| units::domain(scalar).map(|name| name.to_string()));
    let (server_names, server_name_places): (Vec<_>, Vec<_>) = server_names.into_iter().unzip();
    let cross_tenant_id = source.value(&raw.cross_tenant_id, GUID, |scalar| match (scalar, id) {
        (Scalar::Boolean(true), Some(id)) => {
            guid(&Scalar::Text(id.to_owned())).map_err(|_| format!("stands for the tenant's id {id:?}, which is not a GUID")).map(Some)
        }
        (Scalar::Boolean(_), _) => Ok(None),
        _ => guid(scalar).map(Some),
    });
    let proof = Proof {
        networks: source.values(&raw.networks, "[\"192.0.2.0/24\"]", units::network),
        certificate_names: source.values(&raw.certificate_names, "[\"mail.protection.outlook.com\"]", units::certificate_name),
        server_names,
        login: source.flag(&raw.login, !section.body.login.is_empty()),
        reverse_path: source.flag(&raw.reverse_path, true),
        cross_tenant_id: cross_tenant_id.flatten(),
        secret_header: secret_header(source, raw),
        header_from: source.flag(&raw.header_from, false),
    };
    peer_factors(source, section, &proof, logins);
    reachable_factors(source, raw, &proof, listeners);
    (proof, server_name_places)
}

fn secret_header(source: &mut Source<'_>, raw: &RawProof) -> Option<SecretHeader> {
    let section = &raw.secret_header;
    section.span.as_ref()?;
    let missing = section.missing("tenant.proof.secret_header.name");
    let name = source.required(&section.body.name, missing, "\"X-Signet-Secret\"", units::header_name);
    let missing = section.missing("tenant.proof.secret_header.value");
    let (value, span) = source.secret_text(&section.body.value, &section.body.value_file, missing, WORD)?;
    if let Err(fault) = units::word(&value) {
        source.error(At::Span(span), format!("the value {fault}"), Some(format!("value = {WORD}")));
        return None;
    }
    Some(SecretHeader { name: name?, value })
}

/// A tenant that any stranger's connection satisfies would make an open relay of the server.
fn peer_factors(source: &mut Source<'_>, section: &Section<RawTenant>, proof: &Proof, logins: &[Login]) {
    let raw = &section.body.proof;
    let at = |leaf: Option<Range<usize>>| leaf.map_or_else(|| raw_or_tenant(section), At::Span);
    let everybody = !proof.networks.is_empty() && proof.networks.iter().any(|network| network.prefix_len() == 0);
    let networks = !proof.networks.is_empty() && !everybody;
    let broken = !raw.body.networks.items.is_empty() && proof.networks.is_empty()
        || !raw.body.certificate_names.items.is_empty() && proof.certificate_names.is_empty();
    if !networks && proof.certificate_names.is_empty() && !proof.login && !broken {
        let message = match (everybody, proof.server_names.is_empty()) {
            (true, _) => "every address is in these networks, and no other factor proves the peer: this is an open relay",
            (false, false) => "any client can ask for a server name, and no other factor proves the peer: this is an open relay",
            (false, true) => "no factor proves the peer: this is an open relay",
        };
        let example = "certificate_names = [\"mail.protection.outlook.com\"]".to_owned();
        source.error(at(raw.body.networks.span.clone()), message.to_owned(), Some(example));
    }
    let broken_logins = logins.len() < section.body.login.len();
    if proof.login && logins.is_empty() && !broken_logins {
        let example = Some("[[tenant.login]] name = \"printer\"".to_owned());
        source.error(at(raw.body.login.span()), "is true, and the tenant has no [[tenant.login]]".to_owned(), example);
    } else if !proof.login && !logins.is_empty() {
        source.wrong(&at(raw.body.login.span()), "is false, so the tenant's [[tenant.login]] would never be asked for".to_owned(), "true");
    }
}

fn raw_or_tenant(section: &Section<RawTenant>) -> At {
    let table = section.body.proof.span.clone().or_else(|| section.span.clone());
    At::Missing { table, path: "tenant.proof".to_owned() }
}

/// A factor that no listener can ever deliver would refuse all of the tenant's mail.
fn reachable_factors(source: &mut Source<'_>, raw: &RawProof, proof: &Proof, listeners: &[Listener]) {
    let tls = listeners.iter().any(|listener| listener.tls.settings().is_some());
    let asks = listeners.iter().filter_map(|listener| listener.tls.settings()).any(|tls| tls.client != ClientAuthentication::None);
    if listeners.is_empty() {
        return;
    }
    if !asks
        && !proof.certificate_names.is_empty()
        && let Some(span) = raw.certificate_names.span.clone()
    {
        let message = "no listener asks for client certificates, so this can never agree".to_owned();
        source.error(At::Span(span), message, Some("client_certificate = \"optional\" in [[listener]]".to_owned()));
    }
    if !tls
        && !proof.server_names.is_empty()
        && let Some(span) = raw.server_names.span.clone()
    {
        let message = "no listener has TLS, so this can never agree".to_owned();
        source.error(At::Span(span), message, Some("tls = \"starttls\" in [[listener]]".to_owned()));
    }
    if !tls && proof.login {
        let span = raw.login.span();
        let at = span.map_or(At::Missing { table: None, path: "tenant.login".to_owned() }, At::Span);
        let message = "no listener has TLS, and nobody may log in without it".to_owned();
        source.error(at, message, Some("tls = \"starttls\" in [[listener]]".to_owned()));
    }
}

fn directory(source: &mut Source<'_>, leaf: &Leaf) -> Arc<Directory> {
    let Some((path, content)) = source.file(leaf, "\"people.toml\"", MOST_OF_PEOPLE) else { return Arc::default() };
    let csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let (directory, findings) = if csv { Directory::from_csv(&content) } else { Directory::from_toml(&content) };
    for finding in findings.into_iter().take(MOST_FINDINGS) {
        match finding.severity {
            Severity::Error => source.error_in(&path, finding.line, finding.key, finding.message),
            Severity::Warning => source.warn_in(&path, finding.line, finding.key, finding.message),
        }
    }
    Arc::new(directory)
}

fn seal(source: &mut Source<'_>, section: &Section<RawSeal>, domains: &[Domain]) -> Seal {
    let raw = &section.body;
    let keys: Vec<_> = raw.key.iter().filter_map(|entry| Some((key(source, entry, "tenant.seal.key")?, entry))).collect();
    for ((file, key), entry) in &keys {
        let at = At::Span(entry.body.domain.span().unwrap_or_default());
        if !domains.iter().any(|domain| domain.is_same_or_subdomain_of(&file.domain)) {
            source.warn(at.clone(), format!("none of the tenant's domains is {} or below it, so this key signs nothing", file.domain));
        }
        if !key.is_rsa() && !keys.iter().any(|((other, key), _)| key.is_rsa() && other.domain == file.domain) {
            let message = format!("{} has an Ed25519 key only, which big receivers do not verify; add an RSA key for it", file.domain);
            source.error(at, message, Some("[[tenant.seal.key]]".to_owned()));
        }
    }
    let own = raw.arc_key.span.as_ref().and_then(|_| key(source, &raw.arc_key, "tenant.seal.arc_key"));
    if own.as_ref().is_some_and(|(_, key)| !key.is_rsa())
        && let Some(span) = raw.arc_key.body.file.span()
    {
        source.wrong(&At::Span(span), "is no RSA key, and ARC knows rsa-sha256 only".to_owned(), "\"arc.pem\"");
    }
    let named = !raw.key.is_empty() || raw.arc_key.span.is_some();
    let arc = source.flag(&raw.arc, named);
    if arc && !named {
        let at = raw.arc.span().map_or_else(|| section.missing("tenant.seal.arc"), At::Span);
        let example = "[[tenant.seal.key]] domain = \"example.com\"".to_owned();
        source.error(at, "is true, and the tenant has no key to seal with".to_owned(), Some(example));
    }
    let first_rsa = || keys.iter().find(|((_, key), _)| key.is_rsa()).map(|((file, _), _)| file.clone());
    let arc_key = if arc { own.map(|(file, _)| file).or_else(first_rsa) } else { None };
    Seal { arc, arc_key, keys: keys.into_iter().map(|((file, _), _)| file).collect(), loop_token: loop_token(source, section) }
}

fn key(source: &mut Source<'_>, section: &Section<RawKey>, path: &str) -> Option<(KeyFile, Key)> {
    let raw = &section.body;
    let missing = |key: &str| section.missing(&format!("{path}.{key}"));
    let domain = source.required(&raw.domain, missing("domain"), "\"example.com\"", units::domain);
    let selector = source.required(&raw.selector, missing("selector"), "\"signet\"", units::selector);
    source.sealing_key(&raw.file, missing("file"), domain, selector)
}

fn loop_token(source: &mut Source<'_>, seal: &Section<RawSeal>) -> Option<LoopToken> {
    let section = &seal.body.loop_token;
    section.span.as_ref()?;
    let raw = &section.body;
    let missing = |key: &str| section.missing(&format!("tenant.seal.loop.{key}"));
    let header = source.value(&raw.header, "\"X-Signet-Loop\"", units::header_name).unwrap_or_else(|| "X-Signet-Loop".to_owned());
    if !raw.key_file.is_set() {
        source.wrong(&missing("key_file"), "is missing".to_owned(), "\"loop.key\"");
    }
    let key = source.mac_key(&raw.key_file);
    let word = source.secret(&raw.word, WORD);
    if let Some(Err(fault)) = word.as_deref().map(units::word) {
        source.wrong(&At::Span(raw.word.span()?), format!("the value {fault}"), WORD);
    }
    let word_header = source.value(&raw.word_header, "\"X-Signet-Word\"", units::header_name);
    if raw.word_header.is_set() && !raw.word.is_set() {
        source.wrong(&missing("word"), "is missing: word_header needs it".to_owned(), WORD);
    }
    let word = word.map(|value| SecretHeader { name: word_header.unwrap_or_else(|| "X-Signet-Word".to_owned()), value });
    Some(LoopToken { header, key: key?, word })
}

fn route(source: &mut Source<'_>, tenant: &Section<RawTenant>) -> Return {
    let section = &tenant.body.return_route;
    let raw = &section.body;
    let table = section.span.clone().or_else(|| tenant.span.clone());
    let missing = At::Missing { table, path: "tenant.return.host".to_owned() };
    let host = source.required(&raw.host, missing, "\"example-com.mail.protection.outlook.com\"", units::host);
    let port = source.value(&raw.port, "25", units::port).unwrap_or(25);
    let server_name = source.value(&raw.server_name, "\"example-com.mail.protection.outlook.com\"", units::host);
    let tls = return_tls(source, section, host.as_deref());
    let timeouts = return_timeouts(source, &raw.timeouts.body);
    let connections = source.count(&raw.connections, 1..=10_000, 20);
    let wait = source.duration(&raw.wait, waiting(), seconds(30));
    let messages_per_connection = source.count(&raw.messages_per_connection, 1..=1_000_000, 20);
    let idle = source.duration(&raw.idle, Duration::ZERO..=seconds(3600), seconds(60));
    let recipient_within = source.duration(&raw.recipient_within, waiting(), seconds(240));
    let deliver_within = source.duration(&raw.deliver_within, waiting(), seconds(540));
    let host = host.unwrap_or_default();
    let server_name = server_name.unwrap_or_else(|| host.clone());
    Return { host, port, server_name, tls, connections, wait, messages_per_connection, idle, recipient_within, deliver_within, timeouts }
}

fn return_tls(source: &mut Source<'_>, section: &Section<RawReturn>, host: Option<&str>) -> Option<ClientTlsSettings> {
    let raw = &section.body;
    if source.flag(&raw.plaintext_loopback, false) {
        let span = raw.plaintext_loopback.span().unwrap_or_default();
        let loopback = host.is_some_and(|host| host == "localhost" || host.parse().is_ok_and(super::is_loopback));
        if !loopback && host.is_some() {
            let message = format!("is true, and host {:?} is not a loopback address", host.unwrap_or_default());
            source.wrong(&At::Span(span), message, "false");
        }
        for leaf in [&raw.roots, &raw.certificate, &raw.key, &raw.server_name] {
            if let Some(span) = leaf.span() {
                let example = Some("plaintext_loopback = false".to_owned());
                source.error(At::Span(span), "has no use with plaintext_loopback = true; remove one of them".to_owned(), example);
            }
        }
        return None;
    }
    let roots = if raw.roots.is_set() { source.roots(&raw.roots) } else { Some(Roots::Native) };
    let certificate = if raw.certificate.is_set() || raw.key.is_set() {
        source.identity(&raw.certificate, &raw.key, |key| section.missing(&format!("tenant.return.{key}")))
    } else {
        None
    };
    Some(ClientTlsSettings { certificate, roots: roots? })
}

fn return_timeouts(source: &mut Source<'_>, raw: &RawReturnTimeouts) -> ReturnTimeouts {
    ReturnTimeouts {
        connect: source.duration(&raw.connect, waiting(), seconds(30)),
        initial_220: source.duration(&raw.initial_220, waiting(), seconds(300)),
        command: source.duration(&raw.command, waiting(), seconds(300)),
        data_initiation: source.duration(&raw.data_initiation, waiting(), seconds(120)),
        data_block: source.duration(&raw.data_block, waiting(), seconds(180)),
        data_termination: source.duration(&raw.data_termination, waiting(), seconds(600)),
    }
}
