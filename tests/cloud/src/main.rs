//! `signet-cloud`: the stand-in as a server on loopback, with a connection file for those who use it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use serde_json::{Value, json};
use signet_cloud::server::{self, Tls};
use signet_cloud::{Cloud, Size, seed};
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in for Microsoft's cloud.
#[derive(Parser)]
struct Arguments {
    /// Where cloud.json and the certificates are written.
    #[arg(long)]
    folder: PathBuf,
    /// Where to listen; loopback only.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// So many people beyond those that are always there.
    #[arg(long, default_value_t = 0)]
    people: usize,
    /// So many groups beyond those that are always there.
    #[arg(long, default_value_t = 0)]
    groups: usize,
    /// Another seed gives other names and ids.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// HTTP without TLS.
    #[arg(long)]
    plain: bool,
    /// A redirect address to register for both applications, besides those on loopback.
    #[arg(long)]
    redirect: Vec<String>,
    /// Ends after that time.
    #[arg(long = "for", default_value = "10min", value_parser = humantime::parse_duration)]
    time: Duration,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut end = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    let listener = server::bind(arguments.listen).await?;
    let scheme = if arguments.plain { "http" } else { "https" };
    let base = format!("{scheme}://{}", listener.local_addr().context("reading the own address")?);
    let size = Size { people: arguments.people, groups: arguments.groups, seed: arguments.seed };
    let cloud = Arc::new(Cloud::sized(&base, &size)?);
    cloud.with(|world| {
        for application in &mut world.applications {
            application.redirects.extend(arguments.redirect.iter().cloned());
        }
    });
    let tls = if arguments.plain { None } else { Some(Tls::generate().context("making certificates")?) };
    write(&arguments.folder, &cloud, &base, tls.as_ref())?;
    announce(&format!("signet-cloud: {base} ({})", arguments.folder.join("cloud.json").display()))?;
    tokio::select! {
        served = server::serve(listener, cloud, tls) => match served? {},
        _ = end.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
        () = tokio::time::sleep(arguments.time) => {}
    }
    Ok(())
}

fn announce(line: &str) -> Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").context("writing to standard output")
}

/// Writes the certificates, and then, at once, the connection file.
fn write(folder: &Path, cloud: &Cloud, base: &str, tls: Option<&Tls>) -> Result<()> {
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
