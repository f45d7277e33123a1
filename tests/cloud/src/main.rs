//! `signet-cloud`: the stand-in as a server on loopback, with a connection file for those who use it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use signet_cloud::server::{self, Tls};
use signet_cloud::{Cloud, Size, file};
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
    file::write(&arguments.folder, &cloud, &base, tls.as_ref())?;
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
