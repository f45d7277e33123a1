//! `signet demo`: the main job from end to end on one machine, with nothing to install or configure.
//!
//! It makes keys and a zone, starts a stand-in for Microsoft's outbound host (`origin`), Signet itself as `signet serve` would, and a
//! stand-in for the tenant's return connector (`return_host`); sends the mail in `config/demo/mail/` through them; judges what arrived
//! (`outcome`); prints a table and writes a page. All traffic stays on loopback. The stand-ins and the materials also serve the tests and
//! the benchmark.

pub mod arrival;
mod body;
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
use crate::event::MessageEvent;
use crate::{Observer, Server, StartError};
use mail::{MAIL, Mail};
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

/// Runs the demo and writes its page to this folder; answers whether every message ended as it should.
pub async fn run(output: &Path, out: &mut (dyn Write + Send)) -> Result<bool, DemoError> {
    writeln!(out, "Making keys, certificates and a DNS zone ...")?;
    let stage = Stage::set().await?;
    let (observer, mut records) = observer();
    let server = Server::start(Config::load(stage.configuration())?, Some(observer)).await?;
    let address = server.addresses().first().copied().ok_or(DemoError::NoListener)?;
    writeln!(out, "Signet listens on {address}; sending {} messages as Microsoft 365 would ...\n", MAIL.len())?;

    let origin = stage.origin(address)?;
    let mut outcomes = Vec::with_capacity(MAIL.len());
    for mail in &MAIL {
        let outcome = send(&stage, &origin, mail, &mut records).await;
        outcomes.push(outcome.map_err(|source| DemoError::Origin { file: mail.file, source })?);
    }
    server.stop().await;

    table::write(out, &outcomes)?;
    let path = write_page(output, &outcomes)?;
    let good = outcomes.iter().filter(|outcome| outcome.faults().is_empty()).count();
    writeln!(out, "\n{good} of {} messages ended as they should. Before and after, side by side: {}", outcomes.len(), path.display())?;
    Ok(good == outcomes.len())
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
    records: &mut mpsc::Receiver<MessageEvent>,
) -> Result<Outcome, OriginError> {
    let sent = stage.content(mail)?;
    let mail_from = format!("<{}> SIZE={} BODY=8BITMIME RET=HDRS", mail.sender, sent.len());
    let recipients = mail.forward_paths();
    let mut connection = origin.connect().await?;
    let started = Instant::now();
    let submission = Submission { mail_from: &mail_from, recipients: &recipients, content: &sent, chunked: true };
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
