//! Describes a rig: the parts of its configuration as an operator would write them, and its surroundings.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use signet::Server;
use signet::config::Config;
use signet::demo::materials::{PrivateFolder, random};
use signet::demo::return_host::{self, ReturnHost};
use signet::demo::stage;
use signet::demo::zone::{Zone, ZoneServer};
use signet::event::MessageEvent;

use super::plugins::{self, Choice};
use super::{DOMAIN, RETURN, Rig, SIGNET, Script, TENANT, TENANT_CERTIFICATE, authority, dns, keys};

/// One tenant: each field is the text of a table of the configuration, without its header.
#[derive(Clone)]
pub(crate) struct TenantSetup {
    pub(crate) id: String,
    pub(crate) domains: String,
    pub(crate) proof: String,
    pub(crate) alignment: String,
    /// `[tenant.plugins]` besides the components.
    pub(crate) plugins: String,
    /// Further tables, with headers: `[[tenant.login]]`, `[tenant.seal.loop]`.
    pub(crate) more: String,
    /// Further keys of `[tenant.return]`.
    pub(crate) return_more: String,
    /// Where its mail goes; none means the rig's return host.
    pub(crate) return_to: Option<SocketAddr>,
    /// Whether the way there is in plaintext.
    pub(crate) return_plain: bool,
    /// The embedded plugins with the demo's rules and templates, or a tiny one that decides like this.
    pub(crate) selector: Option<Choice>,
    /// Component files in place of the tiny ones: selector and renderer.
    pub(crate) components: [Option<Vec<u8>>; 2],
}

impl TenantSetup {
    /// A tenant that is proven by loopback addresses and its reverse-path, with the tiny selector that skips.
    pub(crate) fn new(id: &str, domain: &str) -> Self {
        Self {
            id: id.to_owned(),
            domains: format!("[{domain:?}]"),
            proof: "networks = [\"127.0.0.0/8\"]\nreverse_path = true\n".to_owned(),
            alignment: String::new(),
            plugins: String::new(),
            more: String::new(),
            return_more: String::new(),
            return_to: None,
            return_plain: false,
            selector: Some(Choice::Skip),
            components: [None, None],
        }
    }

    /// The tenant of most tests.
    pub(crate) fn northwind() -> Self {
        Self::new(TENANT, DOMAIN)
    }

    /// Replaces `[tenant.proof]`.
    pub(crate) fn proof(mut self, text: &str) -> Self {
        text.clone_into(&mut self.proof);
        self
    }

    /// Adds tables.
    pub(crate) fn more(mut self, text: &str) -> Self {
        self.more.push_str(text);
        self.more.push('\n');
        self
    }

    /// DKIM with the tenant's key, ARC with the server's, and the loop token.
    pub(crate) fn sealed(self) -> Self {
        self.more(
            "[tenant.seal]\narc = true\narc_key = { domain = \"signet.example\", selector = \"arc\", file = \"keys/arc.pem\" }\n\
             [[tenant.seal.key]]\ndomain = \"northwind.example\"\nselector = \"signet\"\nfile = \"keys/northwind.pem\"\n\
             [tenant.seal.loop]\nkey_file = \"keys/loop.key\"",
        )
    }

    fn text(&self, folder: &PrivateFolder, return_host: SocketAddr) -> String {
        let Self { id, domains, proof, alignment, plugins, more, return_more, return_to, return_plain, .. } = self;
        let port = return_to.unwrap_or(return_host).port();
        let security = match return_plain {
            true => "plaintext_loopback = true".to_owned(),
            false => format!(
                "server_name = {RETURN:?}\nroots = \"tls/authority.pem\"\ncertificate = \"tls/tenant.pem\"\nkey = \"tls/tenant.key\""
            ),
        };
        let host = if return_more.contains("host =") { "" } else { "host = \"127.0.0.1\"\n" };
        let signatures = self.components(folder);
        format!(
            "[[tenant]]\nid = {id:?}\ndomains = {domains}\ntime_zone = \"Europe/Berlin\"\nlocale = \"en-GB\"\n\
             [tenant.proof]\n{proof}\n[tenant.alignment]\n{alignment}\n[tenant.plugins]\n{plugins}\n{signatures}\n\
             [tenant.return]\n{host}port = {port}\n{security}\n{return_more}\n{more}\n"
        )
    }

    fn components(&self, folder: &PrivateFolder) -> String {
        let Some(choice) = self.selector else {
            return "[tenant.signatures]\nrules = [\"rules.toml\"]\ntemplates = \"templates\"\nassets = \"assets\"\n\
                    [tenant.directory]\npeople = \"people.toml\""
                .to_owned();
        };
        let [selector, renderer] = self.components.clone();
        let components = [
            ("selector", selector.unwrap_or_else(|| plugins::selector(choice))),
            ("renderer", renderer.unwrap_or_else(|| plugins::renderer("renderer"))),
        ];
        let table = |(kind, component): (&str, Vec<u8>)| {
            let name = format!("{kind}-{}.wasm", self.id);
            folder.write(&name, &component).expect("the component can be written");
            let sha256 = signet::plugin::inspect(&component).expect("it is a component").sha256;
            format!("[tenant.plugins.{kind}]\npath = {name:?}\nsha256 = \"{sha256}\"\n")
        };
        components.map(table).concat()
    }
}

/// What a rig is to be.
pub(crate) struct Setup {
    listeners: Vec<String>,
    sections: Vec<(String, String)>,
    tenants: Vec<TenantSetup>,
    zone: Zone,
    dns: Option<String>,
    return_host: return_host::Settings,
    files: Vec<(String, Vec<u8>)>,
}

/// A rig without Signet.
pub(crate) struct Surroundings {
    pub(crate) sink: ReturnHost,
    pub(crate) script: Script,
    pub(crate) dns: dns::Gate,
    pub(crate) folder: PrivateFolder,
    pub(crate) configuration: PathBuf,
    pub(crate) zone: ZoneServer,
}

/// A listener with STARTTLS that asks for client certificates.
pub(crate) const STARTTLS: &str = "tls = \"starttls\"\nclient_certificate = \"optional\"\nclient_roots = \"tls/authority.pem\"";
/// The same with TLS from the first octet.
pub(crate) const IMPLICIT: &str = "tls = \"implicit\"\nclient_certificate = \"optional\"\nclient_roots = \"tls/authority.pem\"";
/// Without TLS.
pub(crate) const PLAIN: &str = "tls = \"plain\"";

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// One STARTTLS listener, one tenant whose mail passes unedited to a return host like Microsoft's.
    pub(crate) fn new() -> Self {
        let identity = authority().issue(&[RETURN]).expect("a certificate");
        let tls = authority().server(&identity).expect("the settings are good");
        Self {
            listeners: vec![STARTTLS.to_owned()],
            sections: Vec::new(),
            tenants: Vec::new(),
            zone: records(),
            dns: None,
            return_host: return_host::Settings::exchange_online(RETURN, tls, TENANT_CERTIFICATE),
            files: Vec::new(),
        }
    }

    /// One plaintext listener, and the way to the return host in plaintext too: for what has nothing to do with TLS.
    pub(crate) fn plain() -> Self {
        Self::new().listener(PLAIN).tenant(TenantSetup { return_plain: true, ..TenantSetup::northwind() })
    }

    /// The embedded plugins with the demo's rules, templates and people, everything sealed.
    pub(crate) fn signing() -> Self {
        Self::new().tenant(TenantSetup { selector: None, ..TenantSetup::northwind() }.sealed())
    }

    /// Replaces the listeners by this one: the keys of `[[listener]]` without address, certificate and key.
    pub(crate) fn listener(mut self, text: &str) -> Self {
        self.listeners = vec![text.to_owned()];
        self
    }

    /// A further listener.
    pub(crate) fn also_listener(mut self, text: &str) -> Self {
        self.listeners.push(text.to_owned());
        self
    }

    /// A table of the configuration, such as `limits`, `timeouts`, `plugins`, `drain`, `state`.
    pub(crate) fn section(mut self, name: &str, text: &str) -> Self {
        self.sections.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Replaces the first call's default tenant, then adds.
    pub(crate) fn tenant(mut self, tenant: TenantSetup) -> Self {
        self.tenants.push(tenant);
        self
    }

    /// Changes the only tenant.
    pub(crate) fn change(mut self, change: impl FnOnce(&mut TenantSetup)) -> Self {
        if self.tenants.is_empty() {
            self.tenants.push(TenantSetup::northwind());
        }
        change(&mut self.tenants[0]);
        self
    }

    /// Adds records.
    pub(crate) fn zone(mut self, add: impl FnOnce(Zone) -> Zone) -> Self {
        self.zone = add(self.zone);
        self
    }

    /// Replaces `[dns]` as a whole; otherwise it names the rig's gate in front of the rig's zone.
    pub(crate) fn dns(mut self, text: &str) -> Self {
        self.dns = Some(text.to_owned());
        self
    }

    /// Changes the return host. Its script is the rig's.
    pub(crate) fn return_host(mut self, change: impl FnOnce(&mut return_host::Settings)) -> Self {
        change(&mut self.return_host);
        self
    }

    /// A further file in the configuration folder.
    pub(crate) fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// Starts everything.
    pub(crate) async fn start(self) -> Rig {
        self.try_start().await.expect("the rig starts")
    }

    /// Starts everything; what Signet has against the configuration as text.
    pub(crate) async fn try_start(self) -> Result<Rig, String> {
        let Surroundings { sink, script, dns, folder, configuration, zone } = self.surroundings().await;
        let config = Config::load(&configuration).map_err(|errors| errors.to_string())?;
        let events: Arc<Mutex<Vec<MessageEvent>>> = Arc::default();
        let seen = Arc::clone(&events);
        let observer: signet::Observer = Arc::new(move |event| seen.lock().expect("nobody panics here").push(event.clone()));
        let server = Server::start(config, Some(observer)).await.map_err(|error| error.to_string())?;
        Ok(Rig { server, sink, script, dns, folder, configuration, events, _zone: zone })
    }

    /// Everything but Signet itself.
    pub(crate) async fn surroundings(mut self) -> Surroundings {
        let script = Script::default();
        let decide = script.clone();
        self.return_host.script = Some(Arc::new(move |event| decide.decide(event)));
        if self.tenants.is_empty() {
            self.tenants.push(TenantSetup::northwind());
        }
        if self.tenants.iter().all(|tenant| tenant.return_plain) {
            self.return_host.tls = None;
            self.return_host.certificate_names.clear();
        }
        let sink = ReturnHost::start(self.return_host.clone()).await.expect("the return host starts");
        let zone = std::mem::take(&mut self.zone).serve().await.expect("the zone is served");
        let dns = dns::Gate::new(zone.address()).await;
        let folder = PrivateFolder::new().expect("a folder");
        self.write_files(&folder);
        let text = self.text(&folder, sink.address(), dns.address());
        let configuration = folder.write("signet.toml", text.as_bytes()).expect("the configuration can be written");
        Surroundings { sink, script, dns, folder, configuration, zone }
    }

    fn write_files(&self, folder: &PrivateFolder) {
        let write = |name: &str, content: &[u8]| drop(folder.write(name, content).expect("the file can be written"));
        write("keys/northwind.pem", keys().tenant.pem.as_bytes());
        write("keys/arc.pem", keys().arc.pem.as_bytes());
        write("keys/loop.key", &random::<32>().expect("random octets"));
        write("tls/authority.pem", authority().pem().as_bytes());
        for (file, name) in [("listener", SIGNET), ("tenant", TENANT_CERTIFICATE)] {
            let identity = authority().issue(&[name]).expect("a certificate");
            write(&format!("tls/{file}.pem"), identity.certificate_pem.as_bytes());
            write(&format!("tls/{file}.key"), identity.key_pem.as_bytes());
        }
        if self.tenants.iter().any(|tenant| tenant.selector.is_none()) {
            stage::FILES.iter().for_each(|(name, content)| write(name, content));
        }
        self.files.iter().for_each(|(name, content)| write(name, content));
    }

    fn text(&self, folder: &PrivateFolder, return_host: SocketAddr, gate: SocketAddr) -> String {
        let mut text = format!("version = 1\nhostname = {SIGNET:?}\n\n");
        for listener in &self.listeners {
            let certificate =
                if listener.contains("plain") { "" } else { "certificate = \"tls/listener.pem\"\nkey = \"tls/listener.key\"\n" };
            text.push_str(&format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{certificate}{listener}\n\n"));
        }
        let dns = self.dns.clone().unwrap_or_else(|| format!("servers = [\"{gate}\"]\ntimeout = \"1 s\"\nattempts = 1"));
        text.push_str(&format!("[dns]\n{dns}\n\n[operations]\naddress = \"127.0.0.1:0\"\n\n"));
        if !self.sections.iter().any(|(name, _)| name == "log") {
            text.push_str("[log]\nlevel = \"warn\"\n\n");
        }
        for (name, section) in &self.sections {
            text.push_str(&format!("[{name}]\n{section}\n\n"));
        }
        if !self.sections.iter().any(|(name, _)| name == "plugins") {
            // A machine that is busy with other tests must not make a plugin late.
            text.push_str("[plugins]\nselect_deadline = \"2 s\"\nrender_deadline = \"2 s\"\nworkers = 2\n\n");
        }
        self.tenants.iter().for_each(|tenant| text.push_str(&tenant.text(folder, return_host)));
        text
    }
}

/// What the world can look up about the tests' domains: SPF passes for loopback, DMARC rejects, all keys are published.
fn records() -> Zone {
    let selector = "selector1-northwind-example._domainkey.northwindharbour.onmicrosoft.example";
    Zone::new()
        .mx(DOMAIN, 0, RETURN)
        .a(RETURN, Ipv4Addr::LOCALHOST)
        .txt(DOMAIN, "v=spf1 ip4:127.0.0.0/8 -all")
        .txt("_dmarc.northwind.example", "v=DMARC1; p=reject; sp=quarantine; adkim=r; aspf=r")
        .txt("southwind.example", "v=spf1 ip4:127.0.0.0/8 -all")
        .txt("_dmarc.southwind.example", "v=DMARC1; p=reject")
        .txt("mallory.example", "v=spf1 ip4:127.0.0.0/8 -all")
        .cname("selector1._domainkey.northwind.example", selector)
        .txt(selector, &keys().microsoft.record)
        .txt("signet._domainkey.northwind.example", &keys().tenant.record)
        .txt("arc._domainkey.signet.example", &keys().arc.record)
}
