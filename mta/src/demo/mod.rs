//! `signet demo`: the main job from end to end on one machine, with nothing to install or configure.
//!
//! It makes keys and a zone, starts a stand-in for Microsoft's outbound host (`origin`), Signet itself as `signet serve` would, and a
//! stand-in for the tenant's return connector (`return_host`); sends the mail in `config/demo/mail/` through them; judges what arrived
//! (`outcome`); prints a table and writes a page. All traffic stays on loopback. The stand-ins and the materials also serve the tests and
//! the benchmark.

pub mod arrival;
mod body;
mod cloud;
mod connect;
pub mod mail;
pub mod materials;
pub mod origin;
pub mod outcome;
mod page;
pub mod return_host;
pub mod stage;
mod table;
pub mod zone;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::config::{Config, ConfigErrors};
use crate::control::report::Trouble;
use crate::event::MessageEvent;
use crate::{Observer, Server, StartError};
use cloud::{Cloud, CloudError};
use mail::{Expected, MAIL, Mail};
use materials::MaterialsError;
use origin::{Origin, OriginError, Submission};
use outcome::{Arrival, Outcome};
use stage::{Stage, StageError};

/// The record of a message may come a moment after the reply to it, never much later.
const RECORD_WAIT: Duration = Duration::from_secs(2);
/// Records that wait to be read; the demo reads each before it sends the next message.
const RECORDS: usize = 64;

/// Why the demo could not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The surroundings could not be made.
    #[error("demo: {0}")]
    Stage(#[from] StageError),
    /// A certificate could not be made.
    #[error("demo: {0}")]
    Materials(#[from] MaterialsError),
    /// The demo's configuration is wrong.
    #[error("demo configuration:\n{0}")]
    Configuration(#[from] ConfigErrors),
    /// Signet did not start.
    #[error("demo: {0}")]
    Start(#[from] StartError),
    /// A message could not be sent.
    #[error("demo, {file}: {source}")]
    Origin {
        /// Which message.
        file: &'static str,
        /// What went wrong.
        source: OriginError,
    },
    /// The stand-in for Microsoft's cloud.
    #[error("demo: {0}")]
    Cloud(#[from] CloudError),
    /// The tenant could not be connected.
    #[error("demo: {trouble} Next step: {}", trouble.next_step)]
    Trouble {
        /// What happened.
        #[from]
        trouble: Trouble,
    },
    /// The stand-in has nobody who may connect it.
    #[error("demo: the stand-in for Microsoft's cloud has no Global Administrator with a direct assignment")]
    NoAdministrator,
    /// It took too long.
    #[error("demo: the tenant is not connected{0}")]
    NotConnected(String),
    /// Signet was started without what was asked for.
    #[error("demo: signet runs without its {0}")]
    Without(&'static str),
    /// Signet has no listener.
    #[error("demo: signet listens nowhere")]
    NoListener,
    /// The page could not be written.
    #[error("{path}: {source}")]
    Page {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The terminal is gone.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// How the tenant is connected.
#[derive(Clone, Debug)]
pub enum Connection {
    /// Not at all: people come from a file, and all mail is sent to Signet.
    None,
    /// Through the stand-in whose cloud.json that is, by an administrator who is played.
    Played(PathBuf),
    /// Through the stand-in, by whoever opens the console in a browser within that time.
    Browser(PathBuf, Duration),
}

/// Runs the demo and writes its page to this folder; answers whether every message ended as it should.
pub async fn run(output: &Path, connection: &Connection, out: &mut (dyn Write + Send)) -> Result<bool, DemoError> {
    writeln!(out, "Making keys, certificates and a DNS zone ...")?;
    let cloud = match connection {
        Connection::None => None,
        Connection::Played(file) | Connection::Browser(file, _) => Some(Cloud::load(file)?),
    };
    let stage = Stage::set_for(cloud.as_ref()).await?;
    let (observer, mut records) = observer();
    let server = Server::start(Config::load(stage.configuration())?, Some(observer)).await?;
    let address = server.addresses().first().copied().ok_or(DemoError::NoListener)?;
    let origin = stage.origin(address)?;
    if let Some(cloud) = &cloud {
        tokio::select! {
            connected = connect(&server, &stage, cloud, connection, out) => connected?,
            ended = connect::exchange(&stage, &origin, cloud) => match ended? {},
        }
        stage.return_host().take();
    }
    writeln!(out, "Signet listens on {address}; sending {} messages as Microsoft 365 would ...\n", MAIL.len())?;

    let mut outcomes = Vec::with_capacity(MAIL.len());
    let mut kept_away = 0;
    for mail in &MAIL {
        let fields = match &cloud {
            Some(cloud) => match way(cloud, mail, out).await? {
                Some(fields) => fields,
                None => {
                    kept_away += 1;
                    continue;
                }
            },
            None => Vec::new(),
        };
        let outcome = send(&stage, &origin, mail, &fields, &mut records).await;
        let mut outcome = outcome.map_err(|source| DemoError::Origin { file: mail.file, source })?;
        if let Some(cloud) = &cloud {
            outcome.arrived = let_in(cloud, outcome.arrived).await?;
        }
        outcomes.push(outcome);
    }
    table::write(out, &outcomes)?;
    let path = write_page(output, &outcomes)?;
    let good = outcomes.iter().filter(|outcome| outcome.faults().is_empty()).count();
    writeln!(out, "\n{good} of {} messages ended as they should. Before and after, side by side: {}", outcomes.len(), path.display())?;
    if kept_away > 0 {
        writeln!(out, "{kept_away} of {} messages were not sent to Signet: the rule leaves them alone.", MAIL.len())?;
    }
    if let (Some(cloud), Connection::Browser(_, most)) = (&cloud, connection) {
        writeln!(out, "The console stays for {} minutes; press Ctrl-C to end.", most.as_secs().div_ceil(60))?;
        tokio::select! {
            ended = connect::exchange(&stage, &origin, cloud) => match ended? {},
            _ = tokio::signal::ctrl_c() => {}
            () = tokio::time::sleep(*most) => {}
        }
    }
    server.stop().await;
    Ok(good == outcomes.len() && kept_away < MAIL.len())
}

async fn connect(
    server: &Server,
    stage: &Stage,
    cloud: &Cloud,
    connection: &Connection,
    out: &mut (dyn Write + Send),
) -> Result<(), DemoError> {
    let plane = server.control().ok_or(DemoError::Without("control plane"))?;
    let Connection::Browser(_, most) = connection else { return connect::as_administrator(plane, cloud, out).await };
    let console = server.console().ok_or(DemoError::Without("console"))?;
    let (name, password) = stage.owner();
    writeln!(
        out,
        "Open http://{console}/ and sign in as {name} with {password}; then Connect. The demo goes on when the tenant is connected."
    )?;
    if let Some((login, password)) = cloud.account("Global Administrator, direct") {
        writeln!(out, "At the stand-in for Microsoft's sign-in: {login} with {password}.")?;
    }
    connect::until_connected(plane, *most, out).await
}

/// The fields that the tenant's rule adds to a message on its way to Signet; none when the rule leaves it alone.
async fn way(cloud: &Cloud, mail: &Mail, out: &mut (dyn Write + Send)) -> Result<Option<Vec<(String, String)>>, DemoError> {
    let content = mail.content();
    if !String::from_utf8_lossy(&content).contains(stage::TENANT) {
        // Another tenant's message, and therefore by another tenant's connector.
        return Ok(Some(Vec::new()));
    }
    let way = cloud.route(mail.sender, &content).await?;
    if way.connector.is_none() {
        writeln!(out, "{} is not sent to Signet. {}", mail.file, way.said.join("; "))?;
        let fits = matches!(mail.expected, Expected::Unchanged { .. });
        return if fits { Ok(None) } else { Err(DemoError::NotConnected(format!(": no rule takes {}", mail.file))) };
    }
    Ok(Some(way.fields))
}

/// What the tenant's inbound connector lets in.
async fn let_in(cloud: &Cloud, arrived: Vec<Arrival>) -> Result<Vec<Arrival>, DemoError> {
    let mut let_in = Vec::with_capacity(arrived.len());
    for arrival in arrived {
        if cloud.accepts(&arrival.received.certificate_names).await?.is_some() {
            let_in.push(arrival);
        }
    }
    Ok(let_in)
}

/// What takes Signet's records, and where they come out.
fn observer() -> (Observer, mpsc::Receiver<MessageEvent>) {
    let (sender, receiver) = mpsc::channel(RECORDS);
    let observer: Observer = Arc::new(move |event: &MessageEvent| {
        // A full channel means that nobody reads: the page then says less, and no message waits.
        drop(sender.try_send(event.clone()));
    });
    (observer, receiver)
}

async fn send(
    stage: &Stage,
    origin: &Origin,
    mail: &'static Mail,
    fields: &[(String, String)],
    records: &mut mpsc::Receiver<MessageEvent>,
) -> Result<Outcome, OriginError> {
    // The fields that the rule adds are Signet's to take away again: what has to arrive unchanged is the rest.
    let sent = stage.content(mail)?;
    let mut content: Vec<u8> = fields.iter().flat_map(|(name, value)| format!("{name}: {value}\r\n").into_bytes()).collect();
    content.extend(&sent);
    let mail_from = format!("<{}> SIZE={} BODY=8BITMIME RET=HDRS", mail.sender, content.len());
    let recipients = mail.forward_paths();
    let mut connection = origin.connect().await?;
    let started = Instant::now();
    let submission = Submission { mail_from: &mail_from, recipients: &recipients, content: &content, chunked: true };
    let answers = connection.submit(&submission).await?;
    let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
    connection.quit().await?;
    let event = match answers.data.is_empty() {
        true => records.try_recv().ok(),
        false => tokio::time::timeout(RECORD_WAIT, records.recv()).await.ok().flatten(),
    };
    let mut arrived = Vec::new();
    for received in stage.return_host().take() {
        let checks = stage.judge().check(&received.content).await;
        arrived.push(Arrival { received, checks });
    }
    Ok(Outcome { mail, sent, answers, event, arrived, milliseconds })
}

fn write_page(folder: &Path, outcomes: &[Outcome]) -> Result<PathBuf, DemoError> {
    let path = folder.join("index.html");
    let fail = |source| DemoError::Page { path: path.clone(), source };
    let format = time::macros::format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    let when = time::OffsetDateTime::now_utc().format(format).unwrap_or_default();
    std::fs::create_dir_all(folder).map_err(fail)?;
    std::fs::write(&path, page::render(outcomes, env!("CARGO_PKG_VERSION"), &when)).map_err(fail)?;
    Ok(path)
}
