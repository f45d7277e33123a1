//! One line of the table: a fresh server, a warm-up, the rounds, and whether everything that was sent came back signed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;

use crate::generator::{self, Load};
use crate::measure::{median, peak_memory, percentile, processor_time, reset_peak_memory};
use crate::server::Server;
use crate::stage::Stage;

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) kilobytes: usize,
    pub(crate) connections: usize,
    pub(crate) sealed: bool,
}

impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seal = if self.sealed { "sealed" } else { "unsealed" };
        write!(formatter, "{} KB, {} connections, {seal}", self.kilobytes, self.connections)
    }
}

/// How often and how long.
#[derive(Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) number: usize,
    pub(crate) length: Duration,
}

/// What came of it; times in microseconds, medians over the rounds.
pub(crate) struct Line {
    pub(crate) scenario: Scenario,
    pub(crate) rate: f64,
    pub(crate) processor: f64,
    /// Lowest and highest of the rounds.
    pub(crate) processor_range: (f64, f64),
    /// Of generator and sink.
    pub(crate) own_processor: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// KiB.
    pub(crate) peak: u64,
    /// KiB, up to the first message.
    pub(crate) start_peak: u64,
    /// Mean wall time a message, by the names of `signet_stage_seconds`.
    pub(crate) stages: BTreeMap<String, f64>,
    /// Messages over one connection to the sink, on average.
    pub(crate) reuse: f64,
}

pub(crate) async fn run(scenario: Scenario, messages: Arc<Vec<Bytes>>, rounds: Rounds, program: &Path, stage: &Stage) -> Result<Line> {
    let server = Server::start(program, stage.configuration(scenario.sealed))?;
    let start_peak = peak_memory(server.pid())?;
    let load = Load {
        port: server.port,
        tls: Arc::clone(&stage.client),
        messages,
        envelope: ("sofia.brandt@northwind.example", "petersen@elbwerft.example"),
        connections: scenario.connections,
        duration: rounds.length,
    };
    stage.sink.take_sample();
    generator::run(load.clone()).await.context("warm-up")?;
    check(&stage.sink.take_sample().context("nothing arrived")?, scenario.sealed)?;
    reset_peak_memory(server.pid())?;
    let (before, sunk, sink_connections) = (server.metrics().await?, stage.sink.received(), stage.sink.connections());

    let (mut rates, mut costs, mut own_costs, mut p50s, mut p99s, mut accepted) = (vec![], vec![], vec![], vec![], vec![], 0);
    for _ in 0..rounds.number {
        let (used, own) = (processor_time(server.pid())?, processor_time(std::process::id())?);
        let outcome = generator::run(load.clone()).await?;
        let messages = outcome.accepted as f64;
        let cost = |since: Duration, now: Duration| (now.saturating_sub(since)).as_secs_f64() * 1e6 / messages;
        costs.push(cost(used, processor_time(server.pid())?));
        own_costs.push(cost(own, processor_time(std::process::id())?));
        rates.push(messages / outcome.elapsed.as_secs_f64());
        p50s.push(percentile(&outcome.latencies, 50));
        p99s.push(percentile(&outcome.latencies, 99));
        accepted += outcome.accepted;
    }
    let after = server.metrics().await?;
    let arrived = stage.sink.received() - sunk;
    ensure!(arrived == accepted, "{accepted} messages were accepted and {arrived} arrived");
    let signed = difference(&before, &after, "signet_copies_total{", "signed=\"yes\"");
    ensure!(signed as usize == accepted, "{accepted} messages were accepted and {signed} were signed");
    let range = costs.iter().fold((f64::MAX, 0_f64), |(low, high), cost| (low.min(*cost), high.max(*cost)));
    Ok(Line {
        scenario,
        rate: median(&rates),
        processor: median(&costs),
        processor_range: range,
        own_processor: median(&own_costs),
        p50: median(&p50s),
        p99: median(&p99s),
        peak: peak_memory(server.pid())?,
        start_peak,
        stages: stages(&before, &after),
        reuse: accepted as f64 / (stage.sink.connections() - sink_connections).max(1) as f64,
    })
}

/// Looks at one message that arrived.
fn check(message: &[u8], sealed: bool) -> Result<()> {
    let text = String::from_utf8_lossy(message);
    ensure!(text.matches("Sofia Brandt").count() >= 2 && text.contains("Northwind Harbour"), "a message arrived without its signature");
    ensure!(text.contains("ARC-Seal:") == sealed, "a message arrived sealed when it should not be, or the other way round");
    ensure!(text.contains("dkim=pass") && text.contains("dmarc=pass"), "a message's checks did not pass");
    Ok(())
}

type Samples = BTreeMap<String, f64>;

/// How much the samples whose name begins and ends like this have grown, all labels together.
fn difference(before: &Samples, after: &Samples, start: &str, label: &str) -> f64 {
    let wanted = |name: &&String| name.starts_with(start) && name.contains(label);
    after.iter().filter(|(name, _)| wanted(name)).map(|(name, value)| value - before.get(name).unwrap_or(&0.0)).sum()
}

fn stages(before: &Samples, after: &Samples) -> BTreeMap<String, f64> {
    let prefix = "signet_stage_seconds_count{stage=\"";
    let names = after.keys().filter_map(|name| name.strip_prefix(prefix)?.strip_suffix("\"}"));
    let mut means: BTreeMap<String, f64> =
        names.map(|stage| (stage.to_owned(), mean(before, after, "signet_stage_seconds", stage))).collect();
    means.insert("total".to_owned(), mean(before, after, "signet_message_seconds", ""));
    means
}

/// In microseconds. A stage that took less than half a microsecond is not counted by the server, so the mean is over all messages.
fn mean(before: &Samples, after: &Samples, metric: &str, stage: &str) -> f64 {
    let messages = difference(before, after, "signet_message_seconds_count", "");
    difference(before, after, &format!("{metric}_sum"), stage) * 1e6 / messages.max(1.0)
}
