//! The surroundings of the server under test: keys, certificates, a DNS zone, the sink, and the folder with its configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::ClientConfig;
use signet::demo::materials::{Authority, DkimKey, PrivateFolder, random};
use signet::demo::zone::{Zone, ZoneServer};

use crate::sink::{self, Sink};

const CONFIGURATION: &str = include_str!("signet.toml");
/// Rules, templates, people and images.
const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/demo");
const WITH_SEAL: &str = r#"[tenant.seal]
arc = true
arc_key = { domain = "signet.example", selector = "arc", file = "keys/arc.pem" }

[[tenant.seal.key]]
domain = "northwind.example"
selector = "signet"
file = "keys/tenant.pem""#;
const WITHOUT_SEAL: &str = "[tenant.seal]\narc = false";

/// Everything that lives as long as the benchmark.
pub(crate) struct Stage {
    _folder: PrivateFolder,
    _zone: ZoneServer,
    sealed: PathBuf,
    unsealed: PathBuf,
    /// Where messages end.
    pub(crate) sink: Sink,
    /// How the generator connects: with the certificate of Microsoft's outbound hosts.
    pub(crate) client: Arc<ClientConfig>,
    /// Signs what the generator sends.
    pub(crate) microsoft: DkimKey,
}

impl Stage {
    pub(crate) async fn set() -> Result<Self> {
        let folder = PrivateFolder::new()?;
        let authority = Authority::new()?;
        let [microsoft, tenant, arc] = [DkimKey::new()?, DkimKey::new()?, DkimKey::new()?];
        let zone = Zone::new()
            .txt("spf.protection.outlook.com", "v=spf1 ip4:127.0.0.0/8 -all")
            .txt("mail-outbound.protection.example", "v=spf1 ip4:127.0.0.0/8 -all")
            .txt("northwind.example", "v=spf1 include:spf.protection.outlook.com -all")
            .txt("_dmarc.northwind.example", "v=DMARC1; p=reject")
            .cname("selector1._domainkey.northwind.example", "selector1-northwind._domainkey.onmicrosoft.example")
            .txt("selector1-northwind._domainkey.onmicrosoft.example", &microsoft.record);
        let zone = zone.serve().await?;
        let sink = sink::start(authority.server(&authority.issue(&["return.northwind.example"])?)?).await?;
        let client = authority.client(Some(&authority.issue(&["mail.protection.outlook.com"])?))?;

        folder.write("keys/tenant.pem", tenant.pem.as_bytes())?;
        folder.write("keys/arc.pem", arc.pem.as_bytes())?;
        folder.write("keys/loop.key", &random::<32>()?)?;
        folder.write("tls/authority.pem", authority.pem().as_bytes())?;
        for (file, name) in [("listener", "smtp.signet.example"), ("tenant", "k7q2m4x9.smtp.signet.example")] {
            let identity = authority.issue(&[name])?;
            folder.write(&format!("tls/{file}.pem"), identity.certificate_pem.as_bytes())?;
            folder.write(&format!("tls/{file}.key"), identity.key_pem.as_bytes())?;
        }
        for name in ["people.toml", "rules.toml"] {
            folder.write(name, &read(&Path::new(DEMO).join(name))?)?;
        }
        for (name, content) in files("templates")?.into_iter().chain(files("assets")?) {
            folder.write(&name, &content)?;
        }
        let configuration = |name: &str, seal: &str| {
            let text = CONFIGURATION
                .replace("@dns@", &zone.address().to_string())
                .replace("@return-port@", &sink.port.to_string())
                .replace("@seal@", seal);
            folder.write(name, text.as_bytes())
        };
        let (sealed, unsealed) = (configuration("sealed.toml", WITH_SEAL)?, configuration("unsealed.toml", WITHOUT_SEAL)?);
        Ok(Self { _folder: folder, sealed, unsealed, sink, client, microsoft, _zone: zone })
    }

    /// The server's configuration.
    pub(crate) fn configuration(&self, sealed: bool) -> &Path {
        if sealed { &self.sealed } else { &self.unsealed }
    }
}

/// The files of one of the demo's folders, with the folder's name before theirs.
pub(crate) fn files(folder: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let path = Path::new(DEMO).join(folder);
    let entries = fs::read_dir(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        files.push((format!("{folder}/{}", entry.file_name().to_string_lossy()), read(&entry.path())?));
    }
    files.sort();
    Ok(files)
}

/// One file of the demo.
pub(crate) fn text(name: &str) -> Result<String> {
    String::from_utf8(read(&Path::new(DEMO).join(name))?).with_context(|| format!("{name} is no text"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}
