//! `cloud.json`: what users of the stand-in need to know about it, with the files that it names.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::server::Tls;
use crate::{Cloud, seed};

/// Writes the certificates and keys into the folder, and then, at once, `cloud.json`.
pub fn write(folder: &Path, cloud: &Cloud, base: &str, tls: Option<&Tls>) -> Result<()> {
    let put = |name: &str, text: &str| -> Result<PathBuf> {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    };
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let folder = folder.canonicalize().with_context(|| format!("finding {}", folder.display()))?;
    let at = |name: &str| folder.join(name);
    put("application.crt.pem", &cloud.credential().certificate)?;
    let key = put("application.key.pem", &cloud.credential().key)?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).with_context(|| format!("protecting {}", key.display()))?;
    if let Some(tls) = tls {
        put("authority.pem", &tls.authority)?;
    }
    let applications: serde_json::Map<String, Value> = cloud.with(|world| {
        let shown = world.applications.iter().map(|application| {
            let value = json!({
                "client_id": application.client_id, "secret": application.secret, "display_name": application.display_name,
                "certificate": at("application.crt.pem"), "key": at("application.key.pem"),
                "application_permissions": application.roles, "delegated_permissions": application.scopes, "redirects": application.redirects,
            });
            (application.name.clone(), value)
        });
        shown.collect()
    });
    let file = json!({
        "base": base,
        "graph": format!("{base}/v1.0"),
        "exchange": base,
        "control": format!("{base}/_control"),
        "authority": tls.map(|_| at("authority.pem")),
        "scopes": {"graph": "https://graph.microsoft.com/.default", "exchange": "https://outlook.office365.com/.default"},
        "tenants": [
            {"id": seed::TENANT, "name": "Northwind Harbour", "domains": ["northwind.onmicrosoft.com", "northwind.example", "campaigns.northwind.example"]},
            {"id": seed::FOREIGN_TENANT, "name": "Contrafforte Shipping", "domains": ["contrafforte.onmicrosoft.com", "contrafforte.example"]},
        ],
        "accounts": seed::accounts(),
        "applications": applications,
    });
    let part = at("cloud.json.part");
    fs::write(&part, serde_json::to_string_pretty(&file)?).with_context(|| format!("writing {}", part.display()))?;
    fs::rename(&part, at("cloud.json")).context("renaming cloud.json.part")
}
