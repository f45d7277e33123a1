//! The demo's surroundings: the zone, the keys, the two stand-ins, and the folder with Signet's configuration.
//!
//! Everything is made fresh and lives on loopback; it ends with the value. Signet itself is started by the caller.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::arrival::Judge;
use super::cloud::Cloud;
use super::mail::Mail;
use super::materials::{Authority, DkimKey, MaterialsError, PrivateFolder, random, random_name};
use super::origin::{self, Origin, OriginError};
use super::return_host::{ReturnHost, Settings};
use super::zone::{Zone, ZoneError, ZoneServer};

/// The configuration, with places for the ports.
const CONFIGURATION: &str = include_str!("../../../config/demo/signet.toml");
/// Rules, templates, people and images, each with its name in the folder. `build.rs` lists `config/demo`.
pub const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/demo.rs"));

/// The tenant's id at Microsoft, in the configuration and in the stand-in for its cloud.
pub const TENANT: &str = "3f1c9a52-7d0e-4b86-9c41-5e2a8d6b7f10";
/// Who may connect it in the console.
const OWNER: &str = "owner";
/// The tenant's domain.
const DOMAIN: &str = "northwind.example";
/// What Microsoft's outbound host calls itself.
const OUTBOUND: &str = "DEU01-FR2-obe.outbound.protection.outlook.com";
/// The name in the client certificate of every outbound host of Microsoft's: it proves some tenant, never which.
const MICROSOFT: &str = "mail.protection.outlook.com";
/// Where the tenant takes its mail back.
const RETURN: &str = "northwind-example.mail.protection.outlook.com";
/// The name that this tenant alone has in the certificate of its return connection.
const TENANT_CERTIFICATE: &str = "k7q2m4x9.smtp.signet.example";
/// Signet's own name.
const SIGNET: &str = "smtp.signet.example";

/// Why the surroundings could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Certificates, keys or the folder.
    #[error(transparent)]
    Materials(#[from] MaterialsError),
    /// The zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The return host.
    #[error("return host on loopback: {0}")]
    ReturnHost(#[from] io::Error),
    /// The judge's resolver.
    #[error("resolver: {0}")]
    Resolver(#[from] hickory_resolver::net::NetError),
}

/// The demo's surroundings.
pub struct Stage {
    folder: PrivateFolder,
    configuration: PathBuf,
    authority: Authority,
    microsoft: DkimKey,
    return_host: ReturnHost,
    judge: Judge,
    password: String,
    _zone: ZoneServer,
}

impl Stage {
    /// Makes everything.
    pub async fn set() -> Result<Self, StageError> {
        Self::set_for(None).await
    }

    /// Makes everything; with a stand-in for Microsoft's cloud, Signet is to have a control plane and a console.
    pub(super) async fn set_for(cloud: Option<&Cloud>) -> Result<Self, StageError> {
        let folder = PrivateFolder::new()?;
        let authority = Authority::new()?;
        let [microsoft, tenant, arc] = [DkimKey::new()?, DkimKey::new()?, DkimKey::new()?];
        let zone = records(&microsoft, &tenant, &arc).serve().await?;
        let host = authority.server(&authority.issue(&[RETURN])?)?;
        let return_host = ReturnHost::start(Settings::exchange_online(RETURN, host, TENANT_CERTIFICATE)).await?;

        folder.write("keys/northwind.pem", tenant.pem.as_bytes())?;
        folder.write("keys/arc.pem", arc.pem.as_bytes())?;
        folder.write("keys/loop.key", &random::<32>()?)?;
        folder.write("tls/authority.pem", authority.pem().as_bytes())?;
        for (file, name) in [("listener", SIGNET), ("k7q2m4x9", TENANT_CERTIFICATE)] {
            let identity = authority.issue(&[name])?;
            folder.write(&format!("tls/{file}.pem"), identity.certificate_pem.as_bytes())?;
            folder.write(&format!("tls/{file}.key"), identity.key_pem.as_bytes())?;
        }
        for (name, content) in FILES {
            folder.write(name, content)?;
        }
        let text =
            CONFIGURATION.replace("@dns@", &zone.address().to_string()).replace("@return-port@", &return_host.address().port().to_string());
        let password = random_name()?;
        let text = match cloud {
            Some(cloud) => controlled(&text, cloud, &folder, &password)?,
            None => text,
        };
        let configuration = folder.write("signet.toml", text.as_bytes())?;
        let judge = Judge::new(zone.address())?;
        Ok(Self { folder, configuration, authority, microsoft, return_host, judge, password, _zone: zone })
    }

    /// Signet's configuration file.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// The folder that holds it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Name and password of the console's owner.
    pub fn owner(&self) -> (&'static str, &str) {
        (OWNER, &self.password)
    }

    /// What takes mail back.
    pub fn return_host(&self) -> &ReturnHost {
        &self.return_host
    }

    /// What checks the mail that arrived.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// What hands mail to Signet at this address.
    pub fn origin(&self, address: std::net::SocketAddr) -> Result<Origin, MaterialsError> {
        let identity = self.authority.issue(&[MICROSOFT])?;
        let tls = self.authority.client(Some(&identity))?;
        Ok(Origin { address, server_name: SIGNET.to_owned(), hello: OUTBOUND.to_owned(), tls })
    }

    /// A message as Microsoft's host sends it: with its DKIM signature, if it is to have one.
    pub fn content(&self, mail: &Mail) -> Result<Vec<u8>, OriginError> {
        let content = mail.content();
        if mail.dkim { origin::dkim_sign(&content, &self.microsoft, DOMAIN, "selector1") } else { Ok(content) }
    }
}

/// The configuration with everything that connecting a tenant needs.
fn controlled(text: &str, cloud: &Cloud, folder: &PrivateFolder, password: &str) -> Result<String, StageError> {
    let state = folder.path().join("state");
    std::fs::create_dir_all(&state)?;
    let keys = crate::stored_keys(password).map_err(|error| io::Error::other(error.to_string()))?;
    let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let [word, secret] = [random_name()?, random_name()?];
    let console = format!(
        "[console]\naddress = \"127.0.0.1:{port}\"\n\n[[console.user]]\nname = \"{OWNER}\"\nrole = \"owner\"\nsecret = \"{keys}\"\n"
    );
    let top = format!("[state]\ndirectory = {:?}\n\n{}\n{console}\n[[tenant]]", state.display().to_string(), cloud.control());
    let proof = format!("cross_tenant_id = true\n\n[tenant.proof.secret_header]\nname = \"X-Signet-Secret\"\nvalue = \"{secret}\"");
    let connection = format!(
        "key_file = \"keys/loop.key\"\nword = \"{word}\"\n\n[tenant.connection]\ncertificate_domain = \"{TENANT_CERTIFICATE}\"\n\
         spf_term = \"include:spf.signet.example\"\nphotos = true"
    );
    Ok(text.replacen("[[tenant]]", &top, 1).replacen("cross_tenant_id = true", &proof, 1).replacen(
        "key_file = \"keys/loop.key\"",
        &connection,
        1,
    ))
}

/// What the world can look up about the demo's domains.
fn records(microsoft: &DkimKey, tenant: &DkimKey, arc: &DkimKey) -> Zone {
    // Exchange Online's customers publish an alias; the key's record is Microsoft's.
    let selector = "selector1-northwind-example._domainkey.northwindharbour.onmicrosoft.example";
    Zone::new()
        .mx(DOMAIN, 0, RETURN)
        .a(RETURN, Ipv4Addr::LOCALHOST)
        .a(OUTBOUND, Ipv4Addr::LOCALHOST)
        .txt(OUTBOUND, "v=spf1 ip4:127.0.0.0/8 -all")
        .txt("spf.protection.outlook.com", "v=spf1 ip4:127.0.0.0/8 -all")
        .txt(DOMAIN, "v=spf1 include:spf.protection.outlook.com -all")
        .txt("campaigns.northwind.example", "v=spf1 ip4:203.0.113.25 -all")
        .txt("_dmarc.northwind.example", "v=DMARC1; p=reject; sp=quarantine; adkim=r; aspf=r")
        .cname("selector1._domainkey.northwind.example", selector)
        .txt(selector, &microsoft.record)
        .txt("signet._domainkey.northwind.example", &tenant.record)
        .txt("arc._domainkey.signet.example", &arc.record)
}
