//! Numbers for Prometheus: counters, gauges and times, each described, all named `signet_`.
//!
//! Labels come from closed sets and from the configuration (tenant ids), never from mail, so their number is bounded. The recorder is passed
//! around; the facade's global one is not used.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

use crate::event::{MessageEvent, Micros};

const CONNECTIONS: &str = "signet_connections";
const CONNECTIONS_TOTAL: &str = "signet_connections_total";
const CONNECTIONS_REFUSED: &str = "signet_connections_refused_total";
const HANDSHAKES_FAILED: &str = "signet_tls_handshakes_failed_total";
const MESSAGES: &str = "signet_messages_total";
const REFUSED: &str = "signet_refused_total";
const OCTETS: &str = "signet_message_octets_total";
const MESSAGE_SECONDS: &str = "signet_message_seconds";
const STAGE_SECONDS: &str = "signet_stage_seconds";
const AUTHENTICATION: &str = "signet_authentication_total";
const PASSED: &str = "signet_passed_total";
const FAULTS: &str = "signet_plugin_faults_total";
const COPIES: &str = "signet_copies_total";
const LOOK_ALIKES: &str = "signet_loop_look_alikes_total";
const MEMORY_USED: &str = "signet_memory_used_octets";
const MEMORY_BUDGET: &str = "signet_memory_budget_octets";
const RETURN_CONNECTIONS: &str = "signet_return_connections_idle";
const LEDGER: &str = "signet_ledger_recipients";
const PEOPLE: &str = "signet_directory_people";
const GENERATION: &str = "signet_config_generation";
const CONFIG: &str = "signet_config_info";
const RELOADS: &str = "signet_config_reloads_total";
const LOG_DROPPED: &str = "signet_log_lines_dropped_total";
const READY: &str = "signet_ready";

/// From a plugin call, which takes microseconds, to a next hop that answers at the last moment.
const BUCKETS: [f64; 18] =
    [0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0];

const COUNTERS: [(&str, &str); 12] = [
    (REFUSED, "Transactions and messages that Signet itself refused, by reason"),
    (CONNECTIONS_TOTAL, "Connections accepted"),
    (CONNECTIONS_REFUSED, "Connections refused, by reason"),
    (HANDSHAKES_FAILED, "TLS handshakes that failed"),
    (MESSAGES, "Messages answered, by tenant and outcome"),
    (OCTETS, "Octets of messages received"),
    (AUTHENTICATION, "Authentication results, by check and result word"),
    (PASSED, "Messages passed on unedited, by reason"),
    (FAULTS, "Plugin calls without an answer, by tenant and outcome class"),
    (COPIES, "Outgoing copies, by tenant and whether they were signed"),
    (LOOK_ALIKES, "Loop tokens that were not ours"),
    (RELOADS, "Attempts to load a configuration, by result"),
];
const GAUGES: [(&str, &str); 9] = [
    (CONNECTIONS, "Connections open"),
    (MEMORY_USED, "Octets of messages in memory"),
    (MEMORY_BUDGET, "Octets of messages that may be in memory"),
    (RETURN_CONNECTIONS, "Connections to next hops that wait for work"),
    (LEDGER, "Recipients on record in the ledger"),
    (PEOPLE, "People in the directory, by tenant"),
    (GENERATION, "Configurations loaded since the start"),
    (CONFIG, "1 for the configuration in use, by digest"),
    (READY, "1 when ready for mail"),
];

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
#[error("metrics do not start: {0}")]
pub struct MetricsError(#[from] metrics_exporter_prometheus::BuildError);

/// Records numbers; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    recorder: PrometheusRecorder,
    stages: [(StageTime, Histogram); 9],
    total: Histogram,
    octets: Counter,
    connections: Counter,
    open: Gauge,
    digest: Mutex<String>,
}

type StageTime = fn(&Micros) -> u64;

/// The stages in the order of the message's way.
const STAGES: [(&str, StageTime); 9] = [
    ("receive", |micros| micros.receive),
    ("attribute", |micros| micros.attribute),
    ("verify", |micros| micros.verify),
    ("classify", |micros| micros.classify),
    ("select", |micros| micros.select),
    ("render", |micros| micros.render),
    ("insert", |micros| micros.insert),
    ("seal", |micros| micros.seal),
    ("handoff", |micros| micros.handoff),
];

impl Metrics {
    /// A recorder of its own, with everything described.
    pub fn new() -> Result<Self, MetricsError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(STAGE_SECONDS.to_owned()), &BUCKETS)?
            .set_buckets_for_metric(Matcher::Full(MESSAGE_SECONDS.to_owned()), &BUCKETS)?
            .build_recorder();
        for (name, description) in COUNTERS {
            recorder.describe_counter(name.into(), None, description.into());
        }
        for (name, description) in GAUGES {
            recorder.describe_gauge(name.into(), None, description.into());
        }
        recorder.describe_counter(LOG_DROPPED.into(), None, "Log lines dropped because their reader was too slow".into());
        recorder.describe_histogram(STAGE_SECONDS.into(), Some(Unit::Seconds), "Time of one message in one stage".into());
        recorder.describe_histogram(
            MESSAGE_SECONDS.into(),
            Some(Unit::Seconds),
            "Time from the last octet of a message to the reply".into(),
        );
        let stages = STAGES.map(|(name, of)| (of, recorder.register_histogram(&key(STAGE_SECONDS, &[("stage", name)]), &METADATA)));
        Ok(Self(Arc::new(Inner {
            total: recorder.register_histogram(&key(MESSAGE_SECONDS, &[]), &METADATA),
            octets: recorder.register_counter(&key(OCTETS, &[]), &METADATA),
            connections: recorder.register_counter(&key(CONNECTIONS_TOTAL, &[]), &METADATA),
            open: recorder.register_gauge(&key(CONNECTIONS, &[]), &METADATA),
            digest: Mutex::new(String::new()),
            stages,
            recorder,
        })))
    }

    /// Everything, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.recorder.handle().render()
    }

    /// Moves recorded times into their buckets; without it, and without anyone who asks for metrics, they would pile up.
    pub fn upkeep(&self) {
        self.0.recorder.handle().run_upkeep();
    }

    /// A message was answered.
    pub fn message(&self, event: &MessageEvent) {
        let tenant = event.tenant.as_str();
        self.counter(MESSAGES, &[("tenant", tenant), ("outcome", event.outcome)]).increment(1);
        self.0.octets.increment(event.size as u64);
        for (of, histogram) in &self.0.stages {
            let micros = of(&event.micros);
            // A stage that the message did not reach has no time; recording zero would hide the real ones.
            if micros > 0 {
                histogram.record(Duration::from_micros(micros));
            }
        }
        self.0.total.record(Duration::from_micros(event.micros.total));
        let authentication = &event.authentication;
        for (check, result) in
            [("spf", authentication.spf), ("dkim", authentication.dkim), ("dmarc", authentication.dmarc), ("arc", authentication.arc)]
        {
            if !result.is_empty() {
                self.counter(AUTHENTICATION, &[("check", check), ("result", result)]).increment(1);
            }
        }
        if !event.passed.is_empty() {
            self.counter(PASSED, &[("reason", &event.passed)]).increment(1);
        }
        if !event.fault.is_empty() {
            self.counter(FAULTS, &[("tenant", tenant), ("class", &event.fault)]).increment(1);
        }
        if event.look_alikes > 0 {
            self.counter(LOOK_ALIKES, &[]).increment(event.look_alikes as u64);
        }
        for copy in &event.copies {
            let signed = if copy.signatures.is_empty() { "no" } else { "yes" };
            self.counter(COPIES, &[("tenant", tenant), ("signed", signed)]).increment(1);
        }
    }

    /// A connection was accepted.
    pub fn connection_opened(&self) {
        self.0.connections.increment(1);
        self.0.open.increment(1);
    }

    /// An accepted connection has ended.
    pub fn connection_closed(&self) {
        self.0.open.decrement(1);
    }

    /// A connection was turned away.
    pub fn connection_refused(&self, reason: &'static str) {
        self.counter(CONNECTIONS_REFUSED, &[("reason", reason)]).increment(1);
    }

    /// Mail was refused by us, by reason.
    pub fn refused(&self, reason: &'static str) {
        self.counter(REFUSED, &[("reason", reason)]).increment(1);
    }

    /// A TLS handshake failed.
    pub fn handshake_failed(&self) {
        self.counter(HANDSHAKES_FAILED, &[]).increment(1);
    }

    /// How full the memory budget is.
    pub fn memory(&self, used: usize, budget: usize) {
        self.gauge(MEMORY_USED, &[]).set(used as f64);
        self.gauge(MEMORY_BUDGET, &[]).set(budget as f64);
    }

    /// How many connections to next hops wait for work.
    pub fn return_connections_idle(&self, idle: usize) {
        self.gauge(RETURN_CONNECTIONS, &[]).set(idle as f64);
    }

    /// How many recipients the ledger has on record.
    pub fn ledger_recipients(&self, rows: usize) {
        self.gauge(LEDGER, &[]).set(rows as f64);
    }

    /// How many people a tenant has.
    pub fn people(&self, tenant: &str, number: usize) {
        self.gauge(PEOPLE, &[("tenant", tenant)]).set(number as f64);
    }

    /// A configuration is in use.
    pub fn configured(&self, generation: u64, digest: &str) {
        self.counter(RELOADS, &[("result", "loaded")]).increment(1);
        self.gauge(GENERATION, &[]).set(generation as f64);
        let mut current = self.0.digest.lock().unwrap_or_else(PoisonError::into_inner);
        if !current.is_empty() {
            self.gauge(CONFIG, &[("digest", &current)]).set(0.0);
        }
        self.gauge(CONFIG, &[("digest", digest)]).set(1.0);
        digest.clone_into(&mut current);
    }

    /// A configuration was refused; the old one stays in use.
    pub fn configuration_refused(&self) {
        self.counter(RELOADS, &[("result", "refused")]).increment(1);
    }

    /// Log lines dropped since the start.
    pub fn log_lines_dropped(&self, number: u64) {
        self.counter(LOG_DROPPED, &[]).absolute(number);
    }

    /// Whether mail is welcome.
    pub fn ready(&self, ready: bool) {
        self.gauge(READY, &[]).set(f64::from(u8::from(ready)));
    }

    fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        self.0.recorder.register_counter(&key(name, labels), &METADATA)
    }

    fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        self.0.recorder.register_gauge(&key(name, labels), &METADATA)
    }
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(name, labels)
}
