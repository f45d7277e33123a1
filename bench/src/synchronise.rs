//! What the synchronisation of a large tenant costs: the first round, a round of changes, and looking people up afterwards.

use std::io::{BufRead as _, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use signet::address::Mailbox;
use signet::control::egress::{Awaited, Bearer, CredentialSource, Egress, EgressSettings, Rule};
use signet::control::report::Synchronised;
use signet::control::session::Caller;
use signet::control::synchronise::{Settings, Synchroniser};
use signet::control::words::{Connection, Request, Routing, Synchronisation, Word};
use signet::directory::{Directories, Directory};
use signet::plugin::{ControlLimits, Controller, Engine};
use signet::smtp::client::SystemResolver;
use signet::store::Store;
use signet_cloud::{Cloud, Resource, Size, server};

use crate::measure::{peak_memory, percentile, processor_time, reset_peak_memory};

const METHOD: &str = "\
Method. The stand-in for Microsoft's cloud runs as a process of its own on the same cores and answers over HTTP on loopback: 200 people or 100
groups a page, a hundred members of a group an item. The embedded control plugin reads page by page through the real way out; each page and its
cursor are written to a store on disk, synchronously. Time is from asking for the round until its directory is in use; requests are those that the
stand-in counted; processor time is this process's; memory is the growth of peak resident memory (VmHWM), the plugin's compilation
not included. Then people all over the directory are looked up with attributes, manager and groups, one after the other.";

/// In the large tenant.
const PEOPLE: usize = 100_000;
const GROUPS: usize = 5_000;
/// Of whom so many change.
const CHANGED: usize = 1_000;
/// Look-ups that are timed.
const CALLS: usize = 100_000;
/// No round takes longer, however slow the machine is.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The stand-in as a process: it ends when its standard input does. Prints where it is and a token for it.
pub(crate) async fn stand_in(out: &mut impl Write) -> Result<()> {
    let listener = server::bind("127.0.0.1:0".parse()?).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let cloud = Arc::new(Cloud::sized(&base, &Size { people: PEOPLE, groups: GROUPS, seed: 0 })?);
    writeln!(out, "{base} {}", cloud.application_token("sync", Resource::Graph)?)?;
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().lines().count());
    tokio::select! {
        served = server::serve(listener, cloud, None) => match served? {},
        ended = ended => ended.map(drop).context("waiting for the end"),
    }
}

struct StandIn {
    child: Child,
    base: String,
    token: String,
}

impl StandIn {
    fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("--stand-in").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting the stand-in")?;
        let output = child.stdout.take().context("the stand-in has no standard output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let (base, token) = line.trim().split_once(' ').context("the stand-in did not say where it is")?;
        let (base, token) = (base.to_owned(), token.to_owned());
        Ok(Self { child, base, token })
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // It may have ended by itself; both only fail then.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl CredentialSource for StandIn {
    fn bearer<'a>(&'a self, _: &'a str, _: &'a str) -> Awaited<'a, Result<Bearer, String>> {
        Box::pin(async { Ok(Bearer::new(self.token.clone(), self.base.clone())) })
    }
    fn rejected<'a>(&'a self, _: &'a str, _: &'a str, _: &'a Bearer, _: &'a str) -> Awaited<'a, ()> {
        Box::pin(async {})
    }
}

/// Removed when the measurement ends.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is the system's to remove.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Measures and prints.
pub(crate) async fn run(out: &mut impl Write) -> Result<()> {
    writeln!(out, "{METHOD}\n\n{PEOPLE} people, {GROUPS} groups. {}\n", crate::report::machine())?;
    let stand_in = Arc::new(StandIn::start()?);
    let base = stand_in.base.clone();
    let folder = Folder(std::env::temp_dir().join(format!("signet-bench-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0)?;
    let store = Store::open(&folder.0.join("signet.db"))?;
    let limits = ControlLimits::default();
    let controller = Arc::new(Controller::load(&Engine::new(&limits.engine())?, signet::DEFAULT_CONTROLLER, &limits)?);
    let egress = |rule: String| -> Result<Arc<Egress>> {
        let (rules, private_networks) = (vec![Rule::parse(&rule)?], vec!["127.0.0.0/8".parse()?]);
        let settings = EgressSettings { rules, private_networks, requests: u32::MAX, call_time: PATIENCE, ..EgressSettings::default() };
        Ok(Arc::new(Egress::new(settings, Arc::new(SystemResolver), Arc::clone(&stand_in) as Arc<dyn CredentialSource>)?))
    };
    let caller = Caller::new(controller, egress(format!("GET,POST {base}/v1.0/ /v1.0/$batch"))?, store.clone(), None);
    let directories = Directories::default();
    let connection = connection(&base);
    let tenant = connection.tenant.clone();
    let settings = Settings { every: PATIENCE, ..Settings::default() };
    let connections = Arc::new(move |_: &str| Some(connection.clone()));
    let synchroniser = Synchroniser::new(caller, store, directories.clone(), settings, connections);
    let control = Control { egress: egress(format!("GET,PATCH {base}/_control/"))?, base };

    writeln!(out, "| round | s | requests | processor s | memory MiB | people | groups |\n|---|---|---|---|---|---|---|")?;
    round(out, "first", &synchroniser, &tenant, &control).await?;
    control.change(CHANGED).await?;
    round(out, "changes", &synchroniser, &tenant, &control).await?;
    let directory = directories.of(&tenant).load().context("no directory is in use")?;
    let changed = directory.person(&Mailbox::parse("p000001@northwind.example")?);
    ensure!(changed.attributes.iter().any(|(_, value)| value == "Changed"), "the changes are not there: {changed:?}");
    look_up(out, &directory)
}

async fn round(out: &mut impl Write, name: &str, synchroniser: &Synchroniser, tenant: &str, control: &Control) -> Result<()> {
    let pid = std::process::id();
    let before = synchroniser.report(tenant).next;
    let requests = control.requests().await?;
    reset_peak_memory(pid)?;
    let (memory, processor, begun) = (peak_memory(pid)?, processor_time(pid)?, Instant::now());
    synchroniser.begin(tenant, false);
    let report = loop {
        let report: Synchronised = synchroniser.report(tenant);
        if !report.running && report.next.is_some() && report.next != before {
            break report;
        }
        ensure!(begun.elapsed() < PATIENCE, "it never ends: {report:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let elapsed = begun.elapsed().as_secs_f64();
    ensure!(report.trouble.is_none(), "the round failed: {:?}", report.trouble);
    let (processor, grown) = (processor_time(pid)?.saturating_sub(processor), peak_memory(pid)?.saturating_sub(memory) / 1024);
    let requests = control.requests().await? - requests;
    let (processor, Synchronised { people, groups, .. }) = (processor.as_secs_f64(), report);
    writeln!(out, "| {name} | {elapsed:.1} | {requests} | {processor:.1} | {grown} | {people} | {groups} |")?;
    Ok(())
}

fn look_up(out: &mut impl Write, directory: &Directory) -> Result<()> {
    let mut times = Vec::with_capacity(CALLS);
    for call in 0..CALLS {
        let mailbox = Mailbox::parse(&format!("p{:06}@northwind.example", 1 + call * 7919 % PEOPLE))?;
        let begun = Instant::now();
        let person = directory.person(&mailbox);
        times.push(begun.elapsed());
        ensure!(!person.attributes.is_empty() && !person.groups.is_empty(), "{} is not known", mailbox.as_str());
    }
    times.sort_unstable();
    writeln!(out, "\nLook-up of a person: p50 {:.1} us, p99 {:.1} us.", percentile(&times, 50), percentile(&times, 99))?;
    Ok(())
}

/// The control interface of the stand-in.
struct Control {
    egress: Arc<Egress>,
    base: String,
}

impl Control {
    async fn send(&self, method: &str, path: &str, body: Option<&str>) -> Result<String> {
        let url = format!("{}/_control/{path}", self.base);
        let body = body.map(|body| body.as_bytes().to_vec());
        let request = Request { method: method.to_owned(), url, headers: Vec::new(), body, credential: None };
        let response = self.egress.open("bench").send(&request).await.map_err(|error| anyhow!("{method} {path}: {error}"))?;
        ensure!(response.status == 200, "{method} {path}: {}", response.status);
        Ok(String::from_utf8(response.body)?)
    }

    /// Requests that were answered so far.
    async fn requests(&self) -> Result<u64> {
        let state = self.send("GET", "state", None).await?;
        let (_, rest) = state.rsplit_once("\"requests\":").context("the stand-in counts no requests")?;
        Ok(rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse()?)
    }

    async fn change(&self, people: usize) -> Result<()> {
        for number in 1..=people {
            self.send("PATCH", &format!("users/p{number:06}@northwind.example"), Some("{\"jobTitle\":\"Changed\"}")).await?;
        }
        Ok(())
    }
}

fn connection(base: &str) -> Connection {
    let word = |name: &str, value: &str| Word { name: name.to_owned(), value: value.to_owned() };
    Connection {
        tenant: signet_cloud::seed::TENANT.to_owned(),
        endpoints: vec![word("graph", base), word("exchange", base)],
        credentials: vec!["directory".to_owned()],
        synchronisation: Synchronisation::Full,
        routing: Routing::AllUsers,
        smart_host: "smtp.signet.example".to_owned(),
        certificate_domain: "k7q2m4x9.smtp.signet.example".to_owned(),
        processed: word("X-Signet", "word"),
        identification: None,
        size_limit: 35_000_000,
        domains: vec!["northwind.example".to_owned()],
        spf_term: String::new(),
    }
}
